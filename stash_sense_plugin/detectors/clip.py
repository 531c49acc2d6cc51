"""Whole pictures as vectors, and how well words fit them: CLIP."""

import gzip
import html
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.session import Network
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.records import Frame, Observation, Pixels, Vectors, Wants

Floats = NDArray[np.float32]

SIDE_PX = 224
MOST_ASPECT = 16
"""Of pictures longer than this many times their short side, only the middle is scaled: scaling
all of a line of 2048 x 1 pixels, to cut out its middle, would take over a gigabyte."""
CONTEXT = 77
"""How many tokens a text may have, its two ends counted."""
TEXT_BATCH = 16
TEMPLATES = ("a photo of {}", "a video frame of {}", "{}")
"""What a prompt is put into; the mean of these tells more than any one."""
NEGATIVES = ("a photo", "something else", "an abstract pattern")
"""What a free label that names no negatives of its own has to beat."""
SAME = 0.9999
"""Two vectors with a cosine above are one: the network did not look."""
_START, _END = "<|startoftext|>", "<|endoftext|>"
_BPE_WORDS = 49152
"""Size of CLIP's vocabulary without its two ends and 256 single bytes, twice: its source."""
_PATTERN = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


class PromptCache(Protocol):
    """Keeps the vectors of texts, so that deciding again runs no text network."""

    def get(self, model: str, text: str) -> NDArray[np.float32] | None:
        """Return the vector that the model gave to the text, or None."""
        ...

    def put(self, model: str, text: str, vector: NDArray[np.float32]) -> None:
        """Keep a vector."""
        ...


@dataclass(frozen=True, slots=True)
class ZeroShotLabel:
    """Words that may fit a picture, and what they compete with.

    Labels of one `group` exclude each other, and all their negatives stand against them. A label
    without group stands alone against the best of its own negatives.
    """

    name: str
    prompts: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    group: str | None = None
    templates: tuple[str, ...] = TEMPLATES


class ClipDetector:
    """Gives every frame a vector."""

    name: ClassVar[str] = "clip"
    wants: ClassVar[Wants] = Wants.LABELS
    min_side_px: ClassVar[int] = 0

    def __init__(self, shelf: Shelf, card: ModelCard, batch: int = 16) -> None:
        self._shelf = shelf
        self._card = card
        self.batch = batch
        self.device = ""
        """Where it ran, once it has."""
        self.precision = ""
        self._tried = not card.untried

    @property
    def model(self) -> str:
        """Name and version, joined by `@`."""
        return self._shelf.label(self._card)

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        """Yield one observation `frame` with a vector of length 1 for every frame.

        Raises ModelMissing or ModelBroken.
        """
        for start in range(0, len(frames), self.batch):
            part = frames[start : start + self.batch]
            network = self._shelf.network(self._card, "visual")
            self.device, self.precision = network.device, network.precision
            if not self._tried:
                _try_pictures(network, self._card)
                self._tried = True
            pictures = preprocess([frame.pixels for frame in part], self._card)
            vectors = _embed(network, pictures, self._card)
            model = self.model
            for frame, vector in zip(part, vectors, strict=True):
                yield Observation(
                    scene_key=frame.scene_key,
                    frame_index=frame.index,
                    time_s=frame.time_s,
                    detector=self.name,
                    model=model,
                    label="frame",
                    score=1.0,
                    vector=vector,
                )


class ZeroShot:
    """Says how well words fit pictures, from their vectors alone."""

    def __init__(self, shelf: Shelf, card: ModelCard, remember: PromptCache) -> None:
        self._shelf = shelf
        self._card = card
        self._remember = remember
        self._lock = threading.Lock()
        self._tried = not card.untried

    @property
    def model(self) -> str:
        """Name and version, joined by `@`."""
        return self._shelf.label(self._card)

    def scores(
        self,
        vectors: Vectors,
        labels: Sequence[ZeroShotLabel],
        between: Callable[[], None] = lambda: None,
    ) -> dict[str, NDArray[np.float32]]:
        """Return a score 0..1 per frame for each label's name.

        `vectors` is float32 [frames, dimensions], rows of length 1, of the same model. Labels of
        a group share one softmax with all their negatives; a free label is the sigmoid of its
        lead over the best of its negatives. Both multiply cosines by the card's logit_scale
        (Radford et al. 2021). Texts that are not remembered run the text network; `between` is
        called before each of its batches and may raise to stop, and what is done is kept.
        Raises ModelMissing or ModelBroken.
        """
        texts = self.text_vectors(_texts(labels), between)
        self._check_sides(vectors, texts)
        scale = np.float32(self._card.logit_scale)
        scores: dict[str, NDArray[np.float32]] = {}
        for group, members in _grouped(labels):
            score = _free_scores if group is None else _group_scores
            scores |= score(np.asarray(vectors, np.float32), members, texts, scale)
        return scores

    def text_vectors(
        self, texts: Iterable[str], between: Callable[[], None] = lambda: None
    ) -> dict[str, NDArray[np.float32]]:
        """Return a vector of length 1 for each text, remembered or newly made."""
        with self._lock:
            model = self.model
            wanted = list(dict.fromkeys(texts))
            found = {text: self._remember.get(model, text) for text in wanted}
            unknown = [text for text, vector in found.items() if vector is None]
            for text, vector in self._encode(unknown, between):
                self._remember.put(model, text, vector)
                found[text] = vector
        return {text: vector for text, vector in found.items() if vector is not None}

    def _check_sides(self, vectors: Vectors, texts: Mapping[str, Floats]) -> None:
        sides = {len(vector) for vector in texts.values()} | {vectors.shape[1]}
        if texts and len(sides) > 1:
            raise ModelBroken(
                f"{self._card.name} gives vectors of {' and '.join(map(str, sorted(sides)))} "
                "numbers for pictures and words: they do not belong together",
                "check the files of its row in the catalogue",
            )

    def _encode(
        self, texts: Sequence[str], between: Callable[[], None]
    ) -> Iterator[tuple[str, NDArray[np.float32]]]:
        for start in range(0, len(texts), TEXT_BATCH):
            between()
            part = texts[start : start + TEXT_BATCH]
            network = self._shelf.network(self._card, "textual")
            tokens = self._tokens(part, network)
            if not self._tried:
                told = _embed(network, self._tokens(["a cat", "a house"], network), self._card)
                _check_unlike(told, "the words cat and house", self._card)
                self._tried = True
            yield from zip(part, _embed(network, tokens, self._card), strict=True)

    def _tokens(self, texts: Sequence[str], network: Network) -> NDArray[np.int64]:
        shape = network.inputs[0].shape
        length = shape[1] if len(shape) == 2 and shape[1] else CONTEXT
        path = self._shelf.models.path(self._card, "tokenizer")
        return tokenize(texts, path, length)


# --- Pictures -----------------------------------------------------------------------------------


def preprocess(pictures: Sequence[Pixels], card: ModelCard) -> Floats:
    """Turn RGB uint8 pictures of any size into float32 [b, 3, side, side], normalised.

    As CLIP was taught: the short side to 224 by PIL's bicubic filter, the middle cut out, then
    (x / 255 - mean) / std.
    """
    side = card.size or SIDE_PX
    levels = _levels(card.mean, card.std)
    batch = np.empty((len(pictures), 3, side, side), np.float32)
    for place, picture in zip(batch, pictures, strict=True):
        square = middle(picture, side)
        for channel in range(3):
            np.take(levels[channel], square[..., channel], out=place[channel])
    return batch


def middle(picture: Pixels, side: int) -> Pixels:
    """Scale the short side to `side` and cut out the middle square: uint8 [side, side, 3]."""
    from PIL import Image

    picture = _less_long(picture)
    height, width = picture.shape[:2]
    short = min(height, width)
    new_h, new_w = int(side * height / short), int(side * width / short)
    image = Image.fromarray(np.ascontiguousarray(picture))
    scaled = np.asarray(image.resize((new_w, new_h), Image.Resampling.BICUBIC))
    # Torchvision cuts at the rounded middle of the scaled picture. To scale only what the cut
    # shows (PIL's `box`) is quicker and changes some values by one.
    top, left = round((new_h - side) / 2), round((new_w - side) / 2)
    return np.asarray(scaled[top : top + side, left : left + side], np.uint8)


def _less_long(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    most = MOST_ASPECT * min(height, width)
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    return picture[top : top + most, left : left + most]


@cache
def _levels(mean: tuple[float, ...], std: tuple[float, ...]) -> Floats:
    """Return what each of the 256 values of a channel becomes: float32 [3, 256]."""
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    means = np.array(mean, np.float32)[:, None]
    return np.asarray((values - means) / np.array(std, np.float32)[:, None], np.float32)


def _embed(network: Network, batch: NDArray[Any], card: ModelCard) -> Floats:
    """Run a picture or text network and return rows of length 1."""
    output = network.run({network.inputs[0].name: batch})[0]
    if output.ndim != 2 or len(output) != len(batch) or not np.isfinite(output).all():
        raise ModelBroken(
            f"{card.name} answers with shape {output.shape} or with numbers that are none, "
            "instead of a vector for each input",
            "fetch the model again, or check its row in the catalogue",
        )
    return _unit(output.astype(np.float32))


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)


def _try_pictures(network: Network, card: ModelCard) -> None:
    """Look once at two plain pictures with weights that none of us has run."""
    plain = [
        np.full((SIDE_PX, SIDE_PX, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 0, 200))
    ]
    _check_unlike(_embed(network, preprocess(plain, card), card), "red and blue", card)


def _check_unlike(vectors: Vectors, what: str, card: ModelCard) -> None:
    if float(vectors[0] @ vectors[1]) > SAME:
        raise ModelBroken(
            f"{card.name} cannot tell {what} apart: its weights are not what its row says",
            "choose another model, or check its row in the catalogue",
        )


# --- Words --------------------------------------------------------------------------------------


def _filled(prompts: Sequence[str], templates: Sequence[str]) -> list[str]:
    return [template.replace("{}", prompt) for prompt in prompts for template in templates]


def _negatives(label: ZeroShotLabel) -> tuple[str, ...]:
    return label.negatives or (() if label.group else NEGATIVES)


def _texts(labels: Sequence[ZeroShotLabel]) -> Iterator[str]:
    for label in labels:
        yield from _filled((*label.prompts, *_negatives(label)), label.templates)


def _grouped(
    labels: Sequence[ZeroShotLabel],
) -> Iterator[tuple[str | None, list[ZeroShotLabel]]]:
    ordered = sorted(labels, key=lambda label: label.group or "")
    for group, members in itertools.groupby(ordered, key=lambda label: label.group or ""):
        yield group or None, list(members)


def _mean(texts: Mapping[str, Floats], prompts: Sequence[str], label: ZeroShotLabel) -> Floats:
    """Return the mean of prompts in all templates, again of length 1."""
    return _unit(np.mean([texts[text] for text in _filled(prompts, label.templates)], axis=0))


def _free_scores(
    vectors: Vectors,
    labels: Sequence[ZeroShotLabel],
    texts: Mapping[str, Floats],
    scale: np.float32,
) -> dict[str, NDArray[np.float32]]:
    scores = {}
    for label in labels:
        wanted = vectors @ _mean(texts, label.prompts, label)
        against = [_mean(texts, (negative,), label) for negative in _negatives(label)]
        lead = wanted - (vectors @ np.stack(against).T).max(axis=1)
        # Beyond this exponent float32 overflows, and the score is 0 long before.
        exponent = np.minimum(-scale * lead, np.float32(80))
        scores[label.name] = np.asarray(1 / (1 + np.exp(exponent)), np.float32)
    return scores


def _group_scores(
    vectors: Vectors,
    labels: Sequence[ZeroShotLabel],
    texts: Mapping[str, Floats],
    scale: np.float32,
) -> dict[str, NDArray[np.float32]]:
    columns = [_mean(texts, label.prompts, label) for label in labels]
    # A negative that two members name is one rival.
    rivals = {negative: label for label in labels for negative in label.negatives}
    columns += [_mean(texts, (negative,), label) for negative, label in rivals.items()]
    logits = scale * (vectors @ np.stack(columns).T)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
    return {label.name: shares[:, column] for column, label in enumerate(labels)}


def tokenize(texts: Sequence[str], tokenizer: Path, length: int = CONTEXT) -> NDArray[np.int64]:
    """Return CLIP's tokens, int64 [texts, length], cut to `length` and filled up with 0.

    `tokenizer` is a tokenizer.json, or OpenAI's bpe_simple_vocab_16e6.txt.gz. Raises ModelBroken
    when it is neither.
    """
    made = _tokenizer(tokenizer, tokenizer.stat().st_mtime_ns, length)
    tokens = np.zeros((len(texts), length), np.int64)
    for row, text in zip(tokens, texts, strict=True):
        ids = made.encode(_clean(text)).ids
        row[: len(ids)] = ids
    return tokens


def _clean(text: str) -> str:
    return " ".join(html.unescape(html.unescape(text)).split())


@cache
def _tokenizer(path: Path, _mtime_ns: int, length: int) -> Any:
    from tokenizers import Tokenizer

    try:
        made = openai_bpe(path) if path.suffix == ".gz" else Tokenizer.from_file(str(path))
    except Exception as error:
        raise ModelBroken(f"{path} is no tokenizer: {error}", "fetch the model again") from error
    made.no_padding()
    made.enable_truncation(length)
    return made


def openai_bpe(path: Path) -> Any:
    """Build CLIP's tokenizer from its list of merges (openai/CLIP, simple_tokenizer.py)."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    pairs = (line.split() for line in lines[1 : _BPE_WORDS - 256 - 2 + 1])
    merges = [(first, second) for first, second in pairs]
    letters = _byte_letters()
    words = [*letters, *(letter + "</w>" for letter in letters)]
    words += ["".join(pair) for pair in merges] + [_START, _END]
    vocabulary = {word: index for index, word in enumerate(words)}
    made = Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix="</w>", unk_token=_END))
    made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PATTERN), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    ends = [(_START, vocabulary[_START]), (_END, vocabulary[_END])]
    made.post_processor = processors.TemplateProcessing(
        single=f"{_START} $A {_END}", special_tokens=ends
    )
    return made


def _byte_letters() -> list[str]:
    """Return the letter that stands for each byte, printable bytes first (openai/CLIP)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
