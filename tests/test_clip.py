import gzip
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from stash_sense_plugin.detectors.clip import (
    ClipDetector,
    ZeroShot,
    ZeroShotLabel,
    preprocess,
    tokenize,
)
from stash_sense_plugin.detectors.feeding import middle
from stash_sense_plugin.errors import Cancelled, ModelBroken, ModelMissing
from stash_sense_plugin.inference.catalogue import (
    Catalogue,
    LocalFile,
    ModelCard,
    load_catalogue,
)
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.records import Frame, FrameSource, Pixels, Vectors
from tests.real_models import write_overlay
from tests.small_networks import masked_words, mean_colour, sum_of_words

OURS = Path(__file__).resolve().parent.parent / "models" / "catalogue.yaml"
WORDS = ("pad", "red", "green", "blue", "grey", "a", "photo")


class Remembered(dict[tuple[str, str], NDArray[np.float32]]):
    """A cache of prompts in a dictionary."""

    def get(self, model: str, text: str) -> NDArray[np.float32] | None:  # type: ignore[override]
        return super().get((model, text))

    def put(self, model: str, text: str, vector: NDArray[np.float32]) -> None:
        self[model, text] = vector


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    models = Models(tmp_path / "models", Catalogue({}))
    return Shelf(models, 1 << 30, threads=1)


@pytest.fixture
def colours(tmp_path: Path) -> ModelCard:
    """A network that knows three colours: pictures and words of one share a direction."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vectors = np.zeros((len(WORDS), 3), np.float32)
    vectors[1:4] = np.eye(3)
    vectors[4] = 1.0
    folder = tmp_path / "weights"
    mean_colour(folder / "visual.onnx")
    sum_of_words(folder / "textual.onnx", vectors)
    words = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="photo")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    return ModelCard(
        name="colours",
        task="clip",
        about="Three colours",
        licence="MIT",
        commercial=True,
        files={
            "visual": LocalFile(path=str(folder / "visual.onnx")),
            "textual": LocalFile(path=str(folder / "textual.onnx")),
            "tokenizer": LocalFile(path=str(folder / "tokenizer.json")),
        },
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        logit_scale=10.0,
        overlaid=True,
    )


def plain(colour: str) -> Pixels:
    return np.asarray(Image.new("RGB", (160, 90), colour))


def frames(*pictures: Pixels) -> list[Frame]:
    return [Frame("s", i, i * 2.0, one, FrameSource.SPRITE) for i, one in enumerate(pictures)]


def vectors_of(detector: ClipDetector, *pictures: Pixels) -> Vectors:
    return np.stack(list(_vectors(detector, *pictures)))


def _vectors(detector: ClipDetector, *pictures: Pixels) -> Iterator[NDArray[np.float32]]:
    for seen in detector.detect(frames(*pictures)):
        assert seen.vector is not None
        yield seen.vector


def label(name: str, *negatives: str, group: str | None = None) -> ZeroShotLabel:
    return ZeroShotLabel(name, (name,), negatives, group, templates=("a photo {}", "{}"))


def test_every_frame_has_a_vector_of_length_one(shelf: Shelf, colours: ModelCard) -> None:
    detector = ClipDetector(shelf, colours, batch=2)
    first, *_, last = detector.detect(frames(*[plain("red")] * 4, plain("blue")))
    assert first.vector is not None
    assert last.vector is not None
    np.testing.assert_allclose(first.vector, [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(last.vector, [0, 0, 1], atol=1e-6)
    assert (last.label, last.frame_index, last.time_s) == ("frame", 4, 8.0)
    assert last.vector.dtype == np.float32
    assert detector.model.startswith("colours@")
    assert (detector.device, detector.precision) == ("cpu", "fp32")


def test_labels_of_a_group_share_one_whole(shelf: Shelf, colours: ModelCard) -> None:
    vectors = vectors_of(ClipDetector(shelf, colours), plain("red"), plain("#00ff00"))
    labels = [label("red", "blue", group="colour"), label("green", "blue", group="colour")]
    scores = ZeroShot(shelf, colours, Remembered()).scores(vectors, labels)
    # Cosines 1, 0 and the rival's 0, ten times: e^10 / (e^10 + 2).
    assert scores["red"] == pytest.approx([0.99991, 0.00005], abs=1e-4)
    assert scores["green"] == pytest.approx([0.00005, 0.99991], abs=1e-4)


def test_a_free_label_stands_against_the_best_of_its_negatives(
    shelf: Shelf, colours: ModelCard
) -> None:
    vectors = vectors_of(ClipDetector(shelf, colours), plain("red"), plain("#00ff00"))
    scores = ZeroShot(shelf, colours, Remembered()).scores(
        vectors, [label("red", "green", "blue"), label("grey", "red", "green"), label("blue")]
    )
    grey = 1 / (1 + np.exp(-10 * (3**-0.5 - 1)))
    assert scores["red"] == pytest.approx([1 / (1 + np.exp(-10)), 1 / (1 + np.exp(10))], rel=1e-4)
    assert scores["grey"] == pytest.approx([grey, grey], rel=1e-4)
    assert scores["blue"] == pytest.approx([0.5, 0.5])
    assert scores["red"].dtype == np.float32


def test_labels_of_all_kinds_are_scored_at_once_as_each_alone(
    shelf: Shelf, colours: ModelCard
) -> None:
    zero_shot = ZeroShot(shelf, colours, Remembered())
    labels = [
        label("red", "green", "blue"),
        label("grey", "blue", group="b"),
        label("green"),
        label("blue", "red", group="a"),
        replace(label("red", "grey", group="b"), name="red of b"),
        replace(label("blue", "green", "blue"), name="blue against itself"),
    ]
    vectors = np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0, 1], [-1, 0, 0]], np.float32)
    together = zero_shot.scores(vectors, labels)
    assert together.keys() == {each.name for each in labels}
    for each in labels:
        kin = [other for other in labels if other.group == each.group]
        alone = zero_shot.scores(vectors, kin if each.group else [each])
        np.testing.assert_allclose(together[each.name], alone[each.name], atol=1e-6)
    columns = zero_shot.columns(labels)
    leads = columns.leads(vectors)
    np.testing.assert_array_equal(leads.best(), columns.scores(vectors).max(axis=0))
    few = np.array([4, 0, 3])
    np.testing.assert_array_equal(leads.of(few), columns.scores(vectors)[:, few])


def test_prompts_and_templates_are_averaged(shelf: Shelf, colours: ModelCard) -> None:
    both = ZeroShotLabel("both", ("red", "green"), ("blue",), templates=("{}", "a {}"))
    vectors = np.array([[2**-0.5, 2**-0.5, 0]], np.float32)
    scores = ZeroShot(shelf, colours, Remembered()).scores(vectors, [both])
    assert scores["both"] == pytest.approx([1 / (1 + np.exp(-10))], rel=1e-4)


def test_words_that_are_remembered_need_no_network(
    shelf: Shelf, colours: ModelCard, tmp_path: Path
) -> None:
    remember, labels = Remembered(), [label("red", "green"), label("blue", group="colour")]
    vectors = np.eye(3, dtype=np.float32)
    first = ZeroShot(shelf, colours, remember).scores(vectors, labels)
    shelf.close()
    (tmp_path / "weights" / "textual.onnx").unlink()
    again = ZeroShot(shelf, colours, remember).scores(vectors, labels)
    for name in ("red", "blue"):
        np.testing.assert_array_equal(first[name], again[name])
    with pytest.raises(ModelMissing, match=r"textual\.onnx"):
        ZeroShot(shelf, colours, remember).scores(vectors, [label("grey")])


def test_a_stop_between_texts_keeps_what_is_done(shelf: Shelf, colours: ModelCard) -> None:
    remember = Remembered()
    labels = [ZeroShotLabel(f"{i}", (f"red {i}",), ("blue",), None, ("{}",)) for i in range(40)]
    calls: list[int] = []

    def stop_at_the_second() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        ZeroShot(shelf, colours, remember).scores(
            np.eye(3, dtype=np.float32), labels, stop_at_the_second
        )
    assert 0 < len(remember) < 41


def test_pictures_and_words_of_different_networks_are_refused(
    shelf: Shelf, colours: ModelCard
) -> None:
    with pytest.raises(ModelBroken, match="vectors of 3 and 5 numbers"):
        ZeroShot(shelf, colours, Remembered()).scores(
            np.eye(5, dtype=np.float32), [label("red", "blue")]
        )


def test_weights_that_none_has_run_try_themselves_first(
    shelf: Shelf, colours: ModelCard, tmp_path: Path
) -> None:
    untried = colours.model_copy(update={"untried": True})
    assert len(vectors_of(ClipDetector(shelf, untried), plain("red"))) == 1
    blind = untried.model_copy(update={"mean": (900.0, 900.0, 900.0), "std": (1e6, 1e6, 1e6)})
    with pytest.raises(ModelBroken, match="cannot tell red and blue apart"):
        list(ClipDetector(shelf, blind).detect(frames(plain("red"))))
    sum_of_words(tmp_path / "weights" / "textual.onnx", np.ones((len(WORDS), 3), np.float32))
    with pytest.raises(ModelBroken, match="cannot tell the words cat and house apart"):
        ZeroShot(shelf, untried, Remembered()).text_vectors(["red"])


def test_no_frames_and_no_labels_are_no_fault(shelf: Shelf, colours: ModelCard) -> None:
    assert list(ClipDetector(shelf, colours).detect([])) == []
    zero_shot = ZeroShot(shelf, colours, Remembered())
    assert zero_shot.scores(np.eye(3, dtype=np.float32), []) == {}
    assert zero_shot.scores(np.empty((0, 3), np.float32), [label("red", "blue")])["red"].size == 0


def test_a_network_that_gives_no_vectors_is_broken(shelf: Shelf, colours: ModelCard) -> None:
    empty = colours.model_copy(update={"std": (0.0, 0.0, 0.0)})
    with (
        np.errstate(all="ignore"),
        pytest.raises(ModelBroken, match="instead of a vector"),
    ):
        list(ClipDetector(shelf, empty).detect(frames(plain("black"))))


@given(
    hnp.arrays(np.float32, (4, 3), elements=st.floats(-1, 1, width=32)),
    st.permutations(["red", "green", "blue", "grey"]),
)
def test_scores_do_not_depend_on_the_order_of_labels(
    tmp_path_factory: pytest.TempPathFactory, vectors: Vectors, order: list[str]
) -> None:
    remember = Remembered()
    for word, vector in zip(("red", "green", "blue", "grey"), np.eye(4, 3), strict=True):
        for text in (word, f"a photo {word}"):
            remember.put("net@abcdef01", text, vector.astype(np.float32))
    zero_shot = ZeroShot(*_nowhere(tmp_path_factory), remember)
    labels = [label(word, "grey", group="g") for word in order if word != "grey"]
    scores = zero_shot.scores(vectors, labels)
    total = np.sum(list(scores.values()), axis=0)
    assert all(((score >= 0) & (score <= 1)).all() for score in scores.values())
    assert (total <= 1.00001).all()
    other = zero_shot.scores(vectors, labels[::-1])
    for word, score in scores.items():
        np.testing.assert_allclose(score, other[word], atol=1e-6)


def _nowhere(factory: pytest.TempPathFactory) -> tuple[Shelf, ModelCard]:
    """A card whose weights are not here: its version is known all the same."""
    from stash_sense_plugin.inference.catalogue import HubFile

    files = {
        role: HubFile(repo="a/b", revision="abcdef0123", path=role)
        for role in ("visual", "textual", "tokenizer")
    }
    card = ModelCard(
        name="net", task="clip", about="-", licence="MIT", commercial=True, files=files
    )
    return Shelf(Models(factory.mktemp("models"), Catalogue({})), 1), card


# --- Pictures and words as CLIP was taught ------------------------------------------------------


@pytest.mark.parametrize("size", [(160, 90), (90, 160), (224, 224), (1, 1), (3, 700), (1280, 720)])
def test_a_picture_of_any_shape_becomes_a_square(size: tuple[int, int], colours: ModelCard) -> None:
    batch = preprocess([np.asarray(Image.new("RGB", size, (255, 0, 51)))], colours)
    assert batch.shape == (1, 3, 224, 224)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch[0].mean(axis=(1, 2)), [1.0, 0.0, 0.2], atol=1e-6)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to RLIMIT_AS")
@pytest.mark.parametrize("size", [(60000, 2), (2, 60000), (2048, 1)])
def test_a_line_of_a_picture_takes_little_memory(size: tuple[int, int]) -> None:
    """Whole, the first would be scaled to 6.7 million x 224 pixels."""
    told = subprocess.run(
        [sys.executable, "-c", LINE, *map(str, size)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (told.stdout, told.returncode) == ("white", 0), told.stderr


LINE = """
import resource, sys
import numpy as np
from stash_sense_plugin.detectors.feeding import middle
middle(np.zeros((300, 300, 3), np.uint8), 224)
width, height = map(int, sys.argv[1:])
picture = np.full((height, width, 3), 255, np.uint8)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 60_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.stdout.write("white" if middle(picture, 224).min() == 255 else "not white")
"""
"""Cuts out the middle of a long picture in a process that may take sixty more megabytes."""


@pytest.mark.parametrize("size", [(320, 180), (180, 320), (1600, 100), (100, 1600)])
def test_the_middle_of_an_ordinary_picture_is_that_of_the_whole_one(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (size[1], size[0], 3), np.uint8)
    short = min(size)
    whole = Image.fromarray(noise).resize(
        (int(224 * size[0] / short), int(224 * size[1] / short)), Image.Resampling.BICUBIC
    )
    left, top = round((whole.width - 224) / 2), round((whole.height - 224) / 2)
    expected = np.asarray(whole.crop((left, top, left + 224, top + 224)))
    np.testing.assert_array_equal(middle(noise, 224), expected)


def test_what_is_neither_kind_of_tokenizer_is_said(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "vocabulary.gz").write_bytes(gzip.compress(b"only\none two three\n"))
    for name in ("tokenizer.json", "vocabulary.gz"):
        with pytest.raises(ModelBroken, match="is no tokenizer"):
            tokenize(["a cat"], tmp_path / name)


# --- Other layouts of pictures and words --------------------------------------------------------

SIGLIP = {"tokens": "siglip", "fit": "squash", "mean": (0.5,) * 3, "std": (0.5,) * 3}


def siglip_words(path: Path, *, gemma: bool = False) -> None:
    """Write a tokenizer with the ends that SigLIP's has (1), or SigLIP 2's (1, filling 0)."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    ends = ["<pad>", "<eos>" if gemma else "</s>"]
    ids = {word: i for i, word in enumerate([*ends, "a", "cat", "dog", "red", "blue", "house"])}
    made = Tokenizer(models.WordLevel(ids, unk_token="dog"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single=f"{ends[1]} $A {ends[1]}", special_tokens=[(ends[1], 1)]
    )
    made.save(str(path))


@pytest.mark.parametrize(("gemma", "filling"), [(False, 1), (True, 0)])
def test_siglips_words_have_one_end_and_are_filled_up(
    tmp_path: Path, gemma: bool, filling: int
) -> None:
    siglip_words(tmp_path / "tokenizer.json", gemma=gemma)
    texts = ["A  Cat!", "a_dog", "", "cat " * 99]
    made = tokenize(texts, tmp_path / "tokenizer.json", 6, "siglip")
    f = filling
    assert made.ids.tolist() == [
        [2, 3, 1, f, f, f],
        [2, 4, 1, f, f, f],
        [1, f, f, f, f, f],
        [3, 3, 3, 3, 3, 1],
    ]
    assert made.mask.all()


def test_a_tokenizer_without_siglips_end_is_refused(colours: ModelCard, shelf: Shelf) -> None:
    card = colours.model_copy(update={"tokens": "siglip"})
    with pytest.raises(ModelBroken, match="knows no end of a text as SigLIP's does"):
        ZeroShot(shelf, card, Remembered()).text_vectors(["red"])


def pair(folder: Path, card: ModelCard, **facts: object) -> ModelCard:
    """A row whose files lie in a folder."""
    files = {role: LocalFile(path=str(folder / file)) for role, file in FILES.items()}
    return ModelCard.model_validate(card.model_dump() | {"files": files} | facts)


FILES = {"visual": "visual.onnx", "textual": "textual.onnx", "tokenizer": "tokenizer.json"}


@pytest.mark.parametrize(("batch", "side"), [("batch", 256), (1, 384), (2, 64)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_siglips_layout_is_fed_and_read(
    tmp_path: Path, shelf: Shelf, colours: ModelCard, batch: int | str, side: int, dtype: type
) -> None:
    vectors = np.zeros((8, 3), np.float32)
    vectors[5], vectors[6] = (1, -1, -1), (-1, -1, 1)
    siglip_words(tmp_path / "tokenizer.json")
    mean_colour(tmp_path / "visual.onnx", side, batch)
    sum_of_words(tmp_path / "textual.onnx", vectors, 64, batch, dtype)
    card = pair(tmp_path, colours, untried=True, **SIGLIP)
    sum_of_words(tmp_path / "textual.onnx", vectors + np.eye(8, 3, dtype=np.float32), 64, batch)
    seen = vectors_of(ClipDetector(shelf, card), *[plain("red")] * 4, plain("blue"))
    np.testing.assert_allclose(seen[0], np.array([1, -1, -1]) / 3**0.5, atol=1e-6)
    np.testing.assert_allclose(seen[4], np.array([-1, -1, 1]) / 3**0.5, atol=1e-6)
    sum_of_words(tmp_path / "textual.onnx", vectors, 64, batch, dtype)
    tried = card.model_copy(update={"untried": False})
    words = ZeroShot(shelf, tried, Remembered()).text_vectors(["Red!", "a blue"])
    np.testing.assert_allclose(words["Red!"], seen[0], atol=1e-6)
    np.testing.assert_allclose(words["a blue"], seen[4], atol=1e-6)


def test_a_squashed_picture_loses_no_side(colours: ModelCard) -> None:
    picture = np.zeros((90, 160, 3), np.uint8)
    picture[:, 100:] = 255
    squash = colours.model_copy(update={"fit": "squash"})
    assert preprocess([picture], squash).mean() == pytest.approx(60 / 160, abs=0.01)
    assert preprocess([picture], colours).mean() == pytest.approx(25 / 90, abs=0.01)


def test_a_text_network_that_asks_for_a_mask_gets_one(
    tmp_path: Path, shelf: Shelf, colours: ModelCard
) -> None:
    vectors = np.zeros((len(WORDS), 3), np.float32)
    vectors[0] = (0, 0, 9)  # What fills up would drown the words, were it read.
    vectors[1:3] = np.eye(2, 3)
    masked_words(tmp_path / "weights" / "textual.onnx", vectors)
    words = ZeroShot(shelf, colours, Remembered()).text_vectors(["red", "red green"])
    np.testing.assert_allclose(words["red"], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(words["red green"], [2**-0.5, 2**-0.5, 0], atol=1e-6)


def test_a_text_network_that_wants_pictures_too_is_refused(
    tmp_path: Path, shelf: Shelf, colours: ModelCard
) -> None:
    mean_colour(tmp_path / "weights" / "textual.onnx")
    with pytest.raises(ModelBroken, match="reads texts from pixels, not from tokens"):
        ZeroShot(shelf, colours, Remembered()).text_vectors(["red"])


@pytest.mark.real
def test_preprocessing_is_the_reference_to_the_bit(real: Path) -> None:
    reference = real / "weights" / "clip_ref"
    picture = np.asarray(Image.open(reference / "franz-kafka.jpg").convert("RGB"))
    made = preprocess([picture], load_catalogue(OURS).card("clip-vit-b32"))
    np.testing.assert_array_equal(made, np.load(reference / "expected_preprocessed_image.npy"))


@pytest.mark.real
def test_words_become_clips_tokens(real: Path) -> None:
    vocabulary = real / "weights" / "clip_ref" / "bpe_simple_vocab_16e6.txt.gz"
    made = tokenize(["a photo of a cat", "  A photo of\na CAT ", "dog " * 99], vocabulary)
    tokens = made.ids
    assert made.mask.sum(axis=1).tolist() == [7, 7, 77]
    assert tokens.shape == (3, 77)
    assert tokens[0, :7].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert not tokens[0, 7:].any()
    np.testing.assert_array_equal(tokens[0], tokens[1])
    assert (tokens[2, 0], tokens[2, 76]) == (49406, 49407)


@pytest.mark.real
def test_both_kinds_of_tokenizer_agree(real: Path, tmp_path: Path) -> None:
    from stash_sense_plugin.detectors.clip import openai_bpe

    vocabulary = real / "weights" / "clip_ref" / "bpe_simple_vocab_16e6.txt.gz"
    openai_bpe(vocabulary).save(str(tmp_path / "tokenizer.json"))
    texts = ["someone's café: 3 men, 42 dogs & a naïve cat!!", "", "ÜBER the sofa"]
    np.testing.assert_array_equal(
        tokenize(texts, vocabulary).ids, tokenize(texts, tmp_path / "tokenizer.json").ids
    )


# --- A real network on real rooms ---------------------------------------------------------------


@pytest.mark.real
def test_four_kinds_of_rooms_are_told_apart(real: Path, tmp_path: Path) -> None:
    catalogue = load_catalogue(OURS, write_overlay(tmp_path / "data", real))
    shelf = Shelf(Models(tmp_path / "models", catalogue), 1 << 30)
    card = catalogue.card("clipshaped")
    rooms = {
        "bathroom": "a bathroom",
        "bedroom": "a bedroom",
        "frontal": "a house",
        "kitchen": "a kitchen",
    }
    pictures = [
        (room, np.asarray(Image.open(file).convert("RGB")))
        for room in rooms
        for file in sorted((real / "images/scenes" / room).iterdir())[:20]
    ]
    vectors = vectors_of(ClipDetector(shelf, card), *[picture for _, picture in pictures])
    labels = [ZeroShotLabel(room, (words,), group="room") for room, words in rooms.items()]
    scores = ZeroShot(shelf, card, Remembered()).scores(vectors, labels)
    best = np.stack([scores[room] for room in rooms]).argmax(axis=0)
    right = [list(rooms)[i] == truth for i, (truth, _) in zip(best, pictures, strict=True)]
    assert np.mean(right) >= 0.8


@pytest.mark.real
def test_the_reference_picture_has_its_canonical_vector(real: Path, tmp_path: Path) -> None:
    """The network fed by hand with the reference's own tensor, against the whole path."""
    from stash_sense_plugin.inference.session import open_network

    catalogue = load_catalogue(OURS, write_overlay(tmp_path / "data", real))
    shelf = Shelf(Models(tmp_path / "models", catalogue), 1 << 30)
    reference = real / "weights" / "clip_ref"
    network = open_network(real / "weights" / "clipshaped_visual.onnx")
    (bare,) = network.run({"pixel_values": np.load(reference / "expected_preprocessed_image.npy")})
    picture = np.asarray(Image.open(reference / "franz-kafka.jpg").convert("RGB"))
    made = vectors_of(ClipDetector(shelf, catalogue.card("clipshaped")), picture)
    np.testing.assert_allclose(made, bare / np.linalg.norm(bare), atol=1e-6)
    assert made.shape == (1, 512)
