from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from stash_sense_plugin.detectors.taggers import TaggerDetector
from stash_sense_plugin.detectors.words import MOST_LETTERS, Words, is_left_out, named
from stash_sense_plugin.errors import ModelBroken, ModelMissing
from stash_sense_plugin.inference.catalogue import Catalogue, LocalFile, ModelCard, load_catalogue
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.records import Frame, FrameSource, Observation, Pixels, Wants
from stash_sense_plugin.tasks.words import told
from tests.small_networks import Side, colour_words

Floats = NDArray[np.float32]

COLOURS = ("red", "green", "blue")
STRONG = np.array(20 * np.eye(3), np.float32)
FAINT = np.full(3, -10, np.float32)
"""A channel at 1 gives its word 10, at 0.5 it gives 0, and at 0 it gives -10."""


def plain(red: int, green: int, blue: int) -> Pixels:
    return np.full((30, 40, 3), (red, green, blue), np.uint8)


def card_of(path: Path, **facts: Any) -> ModelCard:
    stated = {
        "name": "net",
        "task": "tagger",
        "about": "Three colours",
        "licence": "MIT",
        "commercial": True,
        "words": "hues",
        "classes": COLOURS,
        "files": {"network": LocalFile(path=str(path))},
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "overlaid": True,
    }
    return ModelCard.model_validate(stated | facts)


def detector_of(path: Path, floor: float = 0.2, batch: int = 8, **facts: Any) -> TaggerDetector:
    card = card_of(path, **facts)
    models = Models(path.parent / "models", Catalogue({"net": card}))
    return TaggerDetector(Shelf(models, 1 << 30, threads=1), card, floor, batch)


def with_list(path: Path, name: str, text: str) -> dict[str, LocalFile]:
    labels = path.parent / name
    labels.write_bytes(text.encode())
    return {"network": LocalFile(path=str(path)), "labels": LocalFile(path=str(labels))}


def seen(detector: TaggerDetector, *pictures: Pixels) -> list[Observation]:
    frames = [Frame("s", i, i * 2.0, one, FrameSource.VIDEO) for i, one in enumerate(pictures)]
    return list(detector.detect(frames))


def words_of(detector: TaggerDetector, *pictures: Pixels) -> list[str]:
    return [one.label for one in seen(detector, *pictures)]


@pytest.fixture
def hues(tmp_path: Path) -> Path:
    return colour_words(tmp_path / "hues.onnx", STRONG, FAINT)


def test_each_word_that_fits_is_told_for_its_frame(hues: Path) -> None:
    detector = detector_of(hues, batch=2)
    told = seen(detector, plain(255, 0, 0), plain(0, 0, 0), plain(140, 0, 255))
    assert [(one.label, one.frame_index, one.time_s) for one in told] == [
        ("hues/red", 0, 0.0),
        ("hues/blue", 2, 4.0),
        ("hues/red", 2, 4.0),
    ]
    assert told[0].score == pytest.approx(1 / (1 + np.exp(-10)))
    assert {(one.detector, one.box, one.vector) for one in told} == {("tagger", None, None)}
    assert told[0].model.startswith("net@")
    assert (detector.device, detector.precision) == ("cpu", "fp32")
    assert detector.wants is Wants.DETAIL


def test_nothing_is_told_below_the_floor(hues: Path) -> None:
    faint = plain(115, 0, 0)  # 20 x 0.45 - 10: a score of 0.27
    assert words_of(detector_of(hues, floor=0.2), faint) == ["hues/red"]
    assert words_of(detector_of(hues, floor=0.3), faint) == []
    assert seen(detector_of(hues)) == []


@pytest.mark.parametrize(
    ("task", "last", "scores", "expected"),
    [
        pytest.param("tagger", "Identity", "auto", 1 / (1 + np.exp(-10)), id="logits"),
        pytest.param("tagger", "Sigmoid", "auto", 1 / (1 + np.exp(-10)), id="finished"),
        pytest.param("classifier", "Identity", "auto", 1 / (1 + 2 * np.exp(-20)), id="one of few"),
        pytest.param("classifier", "Softmax", "auto", 1 / (1 + 2 * np.exp(-20)), id="a whole"),
        pytest.param("tagger", "Identity", "softmax", 1 / (1 + 2 * np.exp(-20)), id="the row's"),
        pytest.param("classifier", "Sigmoid", "plain", 1 / (1 + np.exp(-10)), id="each for itself"),
    ],
)
def test_scores_are_made_as_the_numbers_ask_for(
    tmp_path: Path, task: str, last: str, scores: str, expected: float
) -> None:
    path = colour_words(tmp_path / "net.onnx", STRONG, FAINT, last=last)
    (red,) = seen(detector_of(path, task=task, scores=scores), plain(255, 0, 0))
    assert red.label == "hues/red"
    assert red.score == pytest.approx(expected, abs=1e-6)


def test_what_is_no_score_is_refused(hues: Path) -> None:
    with pytest.raises(ModelBroken, match="which are no scores: write scores: sigmoid"):
        seen(detector_of(hues, scores="plain"), plain(255, 0, 0))


def test_detectors_of_one_open_network_keep_their_own_floors(hues: Path) -> None:
    first = detector_of(hues, untried=True)
    faint = plain(115, 0, 0)
    assert words_of(first, faint) == ["hues/red"]
    shelf, card = first._shelf, first._card
    assert words_of(TaggerDetector(shelf, card, floor=0.3), faint) == []
    out = card.model_copy(update={"leave_out": ("red",)})
    assert words_of(TaggerDetector(shelf, out), faint) == []
    assert words_of(TaggerDetector(shelf, card), faint) == ["hues/red"]


# --- Words --------------------------------------------------------------------------------------

WD = "tag_id,name,category,count\r\n1,red_dress,0,5\r\n2,reimu,4,9\r\n3,explicit,9,1\r\n"


def test_the_networks_own_words_come_first(tmp_path: Path) -> None:
    names = "{0: 'rosso', 1: 'verde', 2: 'blu'}"
    path = colour_words(tmp_path / "net.onnx", STRONG, FAINT, names=names)
    files = with_list(path, "list.txt", "a\nb\nc\n")
    assert words_of(detector_of(path, files=files), plain(255, 0, 255)) == [
        "hues/rosso",
        "hues/blu",
    ]


def test_a_list_of_one_word_a_line_comes_before_the_rows(hues: Path) -> None:
    files = with_list(hues, "top_tags.txt", "\ufeffscarlet\r\nlime\r\n\r\nnavy\r\n")
    assert words_of(detector_of(hues, files=files), plain(255, 0, 0)) == ["hues/scarlet"]


@pytest.mark.parametrize("keys", [{"4": 1, "9": 1}, {"character": 1, "rating": 1}])
def test_categories_have_floors_of_their_own(hues: Path, keys: dict[str, float]) -> None:
    files = with_list(hues, "selected_tags.csv", WD)
    white = plain(255, 255, 255)
    told = words_of(detector_of(hues, files=files), white)
    assert told == ["hues/red_dress", "hues/reimu", "hues/explicit"]
    assert words_of(detector_of(hues, files=files, floors=keys), white) == ["hues/red_dress"]
    lower = detector_of(hues, floor=0.9, files=files, floors={"general": 0.4})
    assert words_of(lower, plain(128, 128, 0)) == ["hues/red_dress"]


def test_a_category_that_no_word_has_is_said(hues: Path) -> None:
    files = with_list(hues, "selected_tags.csv", WD)
    with pytest.raises(ModelBroken, match="no words of the category artist: its list has 0, 4, 9"):
        seen(detector_of(hues, files=files, floors={"artist": 0.5}), plain(0, 0, 0))


def test_words_to_leave_out_are_never_told(hues: Path) -> None:
    files = with_list(hues, "list.txt", "Red Dress\nlime\nnavy")
    detector = detector_of(hues, files=files, leave_out=("red_dress", "navy"))
    assert words_of(detector, plain(255, 255, 255)) == ["hues/lime"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("list.txt", "one\ntwo", "has 2 words and answers with 3 numbers"),
        ("list.txt", "one\ntwo\nthree\nfour", "has 4 words and answers with 3 numbers"),
        ("list.txt", "", "has 0 words and answers with 3 numbers"),
        ("list.csv", "id,word\n1,one\n", "no column name .its columns: id, word"),
        ("list.csv", "", "no column name"),
        ("list.csv", 'name\n"' + "x" * 200_000 + '"\n', "field larger than"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(hues: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(ModelBroken, match=said):
        seen(detector_of(hues, files=with_list(hues, name, text)), plain(0, 0, 0))


def test_a_list_that_is_no_text_or_endless_is_refused(hues: Path) -> None:
    files = with_list(hues, "list.txt", "")
    place = Path(files["labels"].path)
    place.write_bytes(b"\xff\xfe\x00red")
    with pytest.raises(ModelBroken, match=r"list\.txt of net is no list of words"):
        seen(detector_of(hues, files=files), plain(0, 0, 0))
    with place.open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(ModelBroken, match="more than 16 MB"):
        seen(detector_of(hues, files=files), plain(0, 0, 0))
    place.unlink()
    with pytest.raises(ModelMissing, match=r"list\.txt"):
        seen(detector_of(hues, files=files), plain(0, 0, 0))


def test_hostile_words_are_cleaned_cut_and_told_apart(hues: Path) -> None:
    text = "\x1b[31mred\u202e\x00\n\x07\n" + "x" * 5000
    detector = detector_of(hues, files=with_list(hues, "list.txt", text))
    assert sorted(words_of(detector, plain(255, 255, 255))) == [
        "hues/[31mred",
        "hues/word 2",
        "hues/" + "x" * MOST_LETTERS,
    ]
    assert named(["a", "a", "b", "a (2)"]) == ("a", "a (2)", "b", "a (2) (4)")


@given(st.lists(st.text(max_size=6) | st.sampled_from(["a", "a (2)", "a (3)"])))
def test_every_place_keeps_a_word_of_its_own(words: Sequence[str]) -> None:
    found = named(words)
    assert len(found) == len(words) == len(set(found))
    assert all(word and word.isprintable() and word == word.strip() for word in found)


# --- Networks that are not what their rows say --------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "bias", "facts", "said"),
    [
        (STRONG * 0, FAINT, {}, "gives three different pictures one answer"),
        (STRONG, -FAINT, {}, "gives 100% of its words to a plain grey picture"),
        (STRONG * np.nan, FAINT, {}, "answers with numbers that are none"),
        (STRONG, FAINT, {"order": "nhwc"}, "not three channels of a square in the order nhwc"),
    ],
)
def test_weights_that_none_has_run_check_themselves(
    tmp_path: Path, weights: Floats, bias: Floats, facts: dict[str, Any], said: str
) -> None:
    path = colour_words(tmp_path / "net.onnx", weights.astype(np.float32), bias)
    with pytest.raises(ModelBroken, match=said):
        seen(detector_of(path, untried=True, **facts), plain(255, 0, 0))


def test_weights_that_are_what_their_row_says_pass(hues: Path) -> None:
    assert words_of(detector_of(hues, untried=True), plain(255, 0, 0)) == ["hues/red"]


# --- The layouts of the catalogue's rows, on networks of random weights --------------------------

JOYTAG = {"fit": "pad", "mean": (0.48145466, 0.4578275, 0.40821073),
          "std": (0.26862954, 0.26130258, 0.27577711)}  # fmt: skip
WD_LAYOUT = {"fit": "pad", "order": "nhwc", "colour": "bgr", "scale": 1}
NSFWJS = {"task": "classifier", "fit": "squash", "order": "nhwc", "filter": "bilinear"}
ANY_SIZE = {"task": "classifier", "size": 64}


@pytest.mark.parametrize(
    ("shape", "last", "facts"),
    [
        pytest.param(("batch", 3, 448, 448), "Identity", JOYTAG, id="joytag"),
        pytest.param((1, 3, 448, 448), "Identity", JOYTAG, id="joytag, one at a time"),
        pytest.param(("batch", 448, 448, 3), "Sigmoid", WD_LAYOUT, id="wd"),
        pytest.param(("batch", 224, 224, 3), "Softmax", NSFWJS, id="nsfwjs"),
        pytest.param(("batch", 3, "h", "w"), "Softmax", ANY_SIZE, id="of any size"),
    ],
)  # fmt: skip
def test_a_layout_is_fed_and_read_as_computed_by_hand(
    tmp_path: Path, shape: tuple[Side, ...], last: str, facts: dict[str, Any]
) -> None:
    noise = np.random.default_rng(6)
    weights = noise.normal(0, 0.02, (3, 50)).astype(np.float32)
    bias = noise.normal(-2, 1, 50).astype(np.float32)
    path = colour_words(tmp_path / "net.onnx", weights, bias, shape, last)
    words = tuple(f"word_{index}" for index in range(50))
    detector = detector_of(path, floor=0.0, classes=words, untried=True, **facts)
    told = seen(detector, np.full((90, 90, 3), (200, 100, 20), np.uint8))
    means = np.array((200, 100, 20)) / facts.get("scale", 255)
    means = (means - facts.get("mean", 0)) / facts.get("std", 1)
    numbers = means[:: -1 if facts.get("colour") == "bgr" else 1] @ weights + bias
    powers = np.exp(numbers)
    expected = powers / powers.sum() if last == "Softmax" else powers / (1 + powers)
    assert len(told) == 50
    for one in told:
        assert one.score == pytest.approx(expected[int(one.label.rpartition("_")[2])], abs=1e-4)


# --- Real networks, as rows of a user's own ------------------------------------------------------

OURS = Path(__file__).resolve().parent.parent / "models" / "catalogue.yaml"
OWN = """\
models:
  nsfwjs:
    task: classifier
    about: Drawn or photographed, and how bare
    licence: MIT
    commercial: true
    untried: true
    words: nsfwjs
    classes: [Drawing, Hentai, Neutral, Porn, Sexy]
    order: nhwc
    fit: squash
    filter: bilinear
    mean: [0, 0, 0]
    std: [1, 1, 1]
    files:
      network: {{path: {weights}/nsfwjs_mobilenet_v2.onnx}}
  places:
    task: classifier
    about: Which of 365 places a picture shows
    licence: none stated
    commercial: false
    untried: true
    words: places
    colour: {colour}
    scale: 1
    mean: [104.05, 112.51, 116.68]
    std: [255, 255, 255]
    files:
      network: {{path: {weights}/squeezenet_places365.onnx}}
      labels: {{path: places.txt}}
"""
ROOMS = {
    "bathroom": {"bathroom", "shower", "jacuzzi/indoor"},
    "bedroom": {"bedroom", "bedchamber", "hotel_room", "youth_hostel", "dorm_room"},
    "kitchen": {"kitchen", "galley", "pantry", "wet_bar", "restaurant_kitchen"},
    "frontal": {"house", "mansion", "residential_neighborhood", "driveway", "yard", "lawn",
                "manufactured_home", "beach_house", "cottage", "chalet", "porch", "patio",
                "building_facade", "garage/outdoor", "apartment_building/outdoor"},
}  # fmt: skip
"""What of the 365 places stands for each folder of rooms."""


def own(tmp_path: Path, real: Path, name: str, colour: str = "bgr") -> TaggerDetector:
    weights = (real / "weights").resolve()
    lines = (weights / "categories_places365.txt").read_text().splitlines()
    words = [line.split()[0].split("/", 2)[2] for line in lines]
    (tmp_path / "places.txt").write_text("\n".join(words))
    overlay = tmp_path / "catalogue.yaml"
    overlay.write_text(OWN.format(weights=weights, colour=colour))
    catalogue = load_catalogue(OURS, overlay)
    models = Models(tmp_path / "models", catalogue)
    return TaggerDetector(Shelf(models, 1 << 30), catalogue.card(name), floor=0.0)


def scores_of(detector: TaggerDetector, files: Sequence[Path]) -> list[dict[str, float]]:
    told: list[dict[str, float]] = [{} for _ in files]
    pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    for one in seen(detector, *pictures):
        told[one.frame_index][one.label.partition("/")[2]] = one.score
    return told


def rooms_of(real: Path, count: int) -> list[Path]:
    folders = [real / "images" / "scenes" / room for room in ROOMS]
    return [file for folder in folders for file in sorted(folder.iterdir())[:count]]


@pytest.mark.real
def test_nothing_bare_is_seen_in_portraits_and_rooms(real: Path, tmp_path: Path) -> None:
    files = [*sorted((real / "images" / "people").glob("*/*")), *rooms_of(real, 10)]
    told = scores_of(own(tmp_path, real, "nsfwjs"), files)
    assert len(told) == 64
    for one in told:
        assert sum(one.values()) == pytest.approx(1.0, abs=0.01)
        assert one["Neutral"] + one["Drawing"] > 0.5
    assert np.mean([one["Porn"] for one in told]) < 0.05
    assert np.mean([one["Neutral"] for one in told]) > 0.9


@pytest.mark.real
def test_rooms_are_known_among_365_places(real: Path, tmp_path: Path) -> None:
    files = rooms_of(real, 20)

    def right(colour: str) -> float:
        told = scores_of(own(tmp_path, real, "places", colour), files)
        sums = [[sum(one[word] for word in ROOMS[room]) for room in ROOMS] for one in told]
        best = np.array(sums).argmax(axis=1)
        rooms = list(ROOMS)
        return float(
            np.mean([rooms[i] == file.parent.name for i, file in zip(best, files, strict=True)])
        )

    blue_first = right("bgr")
    assert blue_first >= 0.85
    # Fed in another order than it was taught, it sees less.
    assert blue_first > right("rgb")


# --- Our own rows --------------------------------------------------------------------------------


OF_AGE = (
    "child female_child children baby babies toddlercon infant kid kids loli oppai_loli shota"
    " younger older old old_man aged_down age_difference mature_female teenage teen petite minors"
    " flat_chest school_uniform school_swimsuit old_school_swimsuit competition_school_swimsuit"
    " school_bag school_desk school_chair school_hat lolita_hairband lolita_fashion gothic_lolita"
    " mitakihara_school_uniform tokiwadai_school_uniform ooarai_school_uniform schoolgirl serafuku"
    " gakuran gym_uniform kindergarten_uniform randoseru minigirl siblings sisters brothers family"
    " stepsister mother_and_son father_and_daughter incest twins cousins 12_years_old underage"
)
OF_NONE = (
    "babydoll baby_doll hololive lollipop person sitting_on_person 1girl catgirl tomboy cowboy_hat"
    " playboy_bunny cowgirl_position bandaged_arm damaged twintails cold bold_text old_fashioned"
    " kidney sixteenth_notes reason lawson armature photo_album bed desk skirt massage page image"
    " bandage cleavage sonar nun_(habit) another_view amateur uniform nurse teddy_bear living_room"
)


@pytest.mark.parametrize("written", [str, str.upper, lambda word: word.replace("_", " ")])
@pytest.mark.parametrize("out", [(), ("red",)])
def test_no_row_lets_its_network_speak_of_age(
    hues: Path, written: Callable[[str], str], out: tuple[str, ...]
) -> None:
    """A row of the user's in place of ours leaves nothing of it in."""
    card = card_of(hues, leave_out=out)
    assert [word for word in OF_AGE.split() if not is_left_out(written(word), card)] == []
    assert [word for word in OF_NONE.split() if is_left_out(written(word), card)] == []


def test_words_of_age_are_neither_told_nor_listed(hues: Path) -> None:
    files = with_list(hues, "list.txt", "school uniform\nOld_Man\nnavy")
    detector = detector_of(hues, files=files, leave_out=(), suggest_all=True)
    assert words_of(detector, plain(255, 255, 255)) == ["hues/navy"]
    listing = Words(("school uniform", "Old_Man", "Red Dress", "navy"))
    card = card_of(hues, leave_out=("red_dress",))
    assert told(listing, card) == ("navy",)


def test_no_word_of_a_persons_age_is_ever_told() -> None:
    catalogue = load_catalogue(OURS)
    for name in ("joytag", "wd-vit-v3", "wd-vit-large-v3"):
        out = set(catalogue.card(name).leave_out)
        assert out >= {"child", "baby", "toddler", "loli", "shota", "oppai_loli", "aged_down",
                       "female_child", "male_child", "minigirl", "younger", "age_difference",
                       "kindergarten_uniform", "randoseru", "petite", "old_man"}  # fmt: skip
