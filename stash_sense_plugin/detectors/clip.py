"""Whole pictures as vectors, and how well words fit them: CLIP."""

import gzip
import html
import itertools
import string
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.detectors.feeding import feed, input_side
from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.session import Network
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.records import Frame, Observation, Pixels, Vectors, Wants

Floats = NDArray[np.float32]
Tokens = Literal["clip", "siglip"]

SIDE_PX = 224
CONTEXT = 77
"""How many tokens a text may have, its two ends counted, where the network takes any number."""
SIGLIP_CONTEXT = 64
TEXT_BATCH = 16
TEMPLATES = ("a photo of {}", "a video frame of {}", "{}")
"""What a prompt is put into; the mean of these tells more than any one."""
NEGATIVES = ("a photo", "something else", "an abstract pattern")
"""What a free label that names no negatives of its own has to beat."""
EMBEDS = ("image_embeds", "text_embeds")
"""What the output is called that is meant, where a network has several."""
SAME = 0.9999
"""Two vectors with a cosine above are one: the network did not look."""
_START, _END = "<|startoftext|>", "<|endoftext|>"
_SIGLIP_ENDS = (("<eos>", "<pad>"), ("</s>", "</s>"))
"""What ends a text and what fills it up: in Gemma's tokenizer (SigLIP 2), and in SigLIP's own."""
_NO_PUNCTUATION = str.maketrans("_", " ", string.punctuation.replace("_", ""))
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
            vectors = _look(network, [frame.pixels for frame in part], self._card)
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


@dataclass(frozen=True, slots=True)
class _Together:
    """Columns `first` to `labels_end` are labels of one group, up to `end` what is none of it."""

    first: int
    labels_end: int
    end: int


@dataclass(frozen=True, slots=True)
class _Alone:
    """Columns `first` to `end` are free labels that stand against the same columns `rivals`."""

    first: int
    end: int
    rivals: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Labels and what they compete with, as a matrix that scores any number of frames.

    A frame's scores depend in their last bits on how many frames are multiplied at once: hand over
    one scene's at a time, and they are the same whether it is decided alone or with others.
    """

    names: tuple[str, ...]
    """The labels' names, in the order of the scores' columns."""
    matrix: Floats
    """[dimensions, columns]: labels and what they compete with, each of length 1."""
    scale: np.float32
    model: str
    groups: tuple[_Together, ...]
    free: tuple[_Alone, ...]

    def scores(self, vectors: Vectors) -> Floats:
        """Return scores 0..1, float32 [frames, labels].

        `vectors` is float32 [frames, dimensions], rows of length 1, of the same model. Labels of
        a group share one softmax with all their negatives; a free label is the sigmoid of its
        lead over the best of its negatives. Both multiply cosines by the card's logit_scale
        (Radford et al. 2021). Raises ModelBroken where the dimensions differ.
        """
        return self.leads(vectors).all()

    def leads(self, vectors: Vectors) -> "Leads":
        """Multiply one scene's frames with all labels; their scores follow for those asked for."""
        if not self.names:
            return Leads(np.empty((len(vectors), 0), np.float32), 0)
        if vectors.shape[1] != len(self.matrix):
            raise _unequal(self.model, {vectors.shape[1], len(self.matrix)})
        cosines = np.asarray(vectors, np.float32) @ self.matrix
        parts = [_shares(cosines, each, self.scale) for each in self.groups]
        shared = sum(part.shape[1] for part in parts)
        parts += [_exponents(cosines, each, self.scale) for each in self.free]
        return Leads(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1), shared)


@dataclass(frozen=True, slots=True, eq=False)
class Leads:
    """A scene's frames against all labels, before the last step to scores.

    Few labels hold in a scene; the exponential is left out for the others.
    """

    values: Floats
    """[frames, labels]: shares of a softmax, then exponents of a sigmoid (less is more)."""
    shared: int
    """How many columns are shares."""

    def best(self) -> Floats:
        """Return each label's best score, float32 [labels]; there must be frames."""
        shares = self.values[:, : self.shared].max(axis=0)
        free = _sigmoid(self.values[:, self.shared :].min(axis=0))
        return np.concatenate((shares, free))

    def of(self, columns: NDArray[np.intp]) -> Floats:
        """Return the scores of some labels, float32 [frames, columns]."""
        chosen = self.values[:, columns]
        free = columns >= self.shared
        chosen[:, free] = _sigmoid(chosen[:, free])
        return chosen

    def all(self) -> Floats:
        """Return the scores of all labels, float32 [frames, labels]."""
        return self.of(np.arange(self.values.shape[1]))


def _shares(cosines: Floats, group: _Together, scale: np.float32) -> Floats:
    """Return the softmax over a group and its rivals, for its labels: [frames, labels]."""
    logits = scale * cosines[:, group.first : group.end]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = powers / powers.sum(axis=1, keepdims=True)
    return np.asarray(shares[:, : group.labels_end - group.first], np.float32)


def _exponents(cosines: Floats, alone: _Alone, scale: np.float32) -> Floats:
    """Return what `_sigmoid` makes scores of: [frames, labels]."""
    rivals = cosines[:, alone.rivals[0], None]
    for rival in alone.rivals[1:]:
        rivals = np.maximum(rivals, cosines[:, rival, None])
    return np.asarray(-scale * (cosines[:, alone.first : alone.end] - rivals), np.float32)


def _sigmoid(exponents: Floats) -> Floats:
    # Beyond this exponent float32 overflows, and the score is 0 long before.
    return np.asarray(1 / (1 + np.exp(np.minimum(exponents, np.float32(80)))), np.float32)


def _unequal(model: str, sides: set[int]) -> ModelBroken:
    return ModelBroken(
        f"{model} gives vectors of {' and '.join(map(str, sorted(sides)))} "
        "numbers for pictures and words: they do not belong together",
        "check the files of its row in the catalogue",
    )


class ZeroShot:
    """Says how well words fit pictures, from their vectors alone."""

    def __init__(self, shelf: Shelf, card: ModelCard, remember: PromptCache) -> None:
        self._shelf = shelf
        self._card = card
        self._remember = remember
        self._lock = threading.Lock()
        self._tried = not card.untried
        self._made: tuple[tuple[str, tuple[ZeroShotLabel, ...]], Columns] | None = None

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
        """Return a score 0..1 per frame for each label's name: see `Columns.scores`.

        Raises ModelMissing or ModelBroken.
        """
        columns = self.columns(labels, between)
        return dict(zip(columns.names, columns.scores(vectors).T, strict=True))

    def columns(
        self, labels: Sequence[ZeroShotLabel], between: Callable[[], None] = lambda: None
    ) -> Columns:
        """Return the labels as a matrix to be multiplied with any number of scenes' vectors.

        The last one made is kept. Texts that are not remembered run the text network; `between`
        is called before each of its batches and may raise to stop, and what is done is kept.
        Raises ModelMissing or ModelBroken.
        """
        asked = (self.model, tuple(labels))
        made = self._made
        if made is None or made[0] != asked:
            texts = self.text_vectors(_texts(labels), between)
            self._check_sides({len(vector) for vector in texts.values()})
            made = asked, _columns(labels, texts, self._card)
            self._made = made
        return made[1]

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

    def _check_sides(self, sides: set[int]) -> None:
        if len(sides) > 1:
            raise _unequal(self._card.name, sides)

    def _encode(
        self, texts: Sequence[str], between: Callable[[], None]
    ) -> Iterator[tuple[str, NDArray[np.float32]]]:
        for start in range(0, len(texts), TEXT_BATCH):
            between()
            part = texts[start : start + TEXT_BATCH]
            network = self._shelf.network(self._card, "textual")
            if not self._tried:
                told = self._read(network, ["a cat", "a house"])
                _check_unlike(told, "the words cat and house", self._card)
                self._tried = True
            yield from zip(part, self._read(network, part), strict=True)

    def _read(self, network: Network, texts: Sequence[str]) -> Vectors:
        tokenizer = self._shelf.models.path(self._card, "tokenizer")
        return _embed(network, _text_feeds(network, texts, tokenizer, self._card), self._card)


# --- Pictures -----------------------------------------------------------------------------------


def preprocess(pictures: Sequence[Pixels], card: ModelCard, side_px: int | None = None) -> Floats:
    """Turn RGB uint8 pictures of any size into float32 [b, 3, side, side], normalised.

    As CLIP was taught, unless the card says otherwise: the short side to 224 by PIL's bicubic
    filter, the middle cut out, then (x / 255 - mean) / std.
    """
    return feed(pictures, card, side_px or card.size or SIDE_PX)


def _look(network: Network, pictures: Sequence[Pixels], card: ModelCard) -> Vectors:
    batch = preprocess(pictures, card, input_side(network, card, SIDE_PX))
    return _embed(network, {network.inputs[0].name: batch}, card)


def _embed(network: Network, feeds: Mapping[str, NDArray[Any]], card: ModelCard) -> Floats:
    """Run a picture or text network and return rows of length 1."""
    count = len(next(iter(feeds.values())))
    outputs = network.run(feeds)
    names = [port.name for port in network.outputs]
    output = next(
        (one for name, one in zip(names, outputs, strict=True) if name in EMBEDS), outputs[0]
    )
    if output.ndim != 2 or len(output) != count or not np.isfinite(output).all():
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
    _check_unlike(_look(network, plain, card), "red and blue", card)


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


def _columns(
    labels: Sequence[ZeroShotLabel], texts: Mapping[str, Floats], card: ModelCard
) -> Columns:
    """Lay out all labels: groups with their rivals first, then those that share negatives."""
    made = _Layout(texts)
    by_group = dict(_grouped(labels))
    alone = by_group.pop(None, [])
    for members in by_group.values():
        # A negative that two members name is one rival.
        rivals = {negative: label for label in members for negative in label.negatives}
        first = made.add_labels(members)
        made.add(_mean(texts, (negative,), label) for negative, label in rivals.items())
        made.groups.append((first, first + len(members), made.width))
    for alike in _by_negatives(alone):
        first = made.add_labels(alike)
        made.free.append((first, made.width, made.rivals(alike[0])))
    return made.columns(card)


def _by_negatives(labels: Iterable[ZeroShotLabel]) -> Iterable[list[ZeroShotLabel]]:
    """Put free labels together that stand against the same."""
    by: dict[tuple[frozenset[str], tuple[str, ...]], list[ZeroShotLabel]] = {}
    for label in labels:
        by.setdefault((frozenset(_negatives(label)), label.templates), []).append(label)
    return by.values()


class _Layout:
    """Columns in the making."""

    def __init__(self, texts: Mapping[str, Floats]) -> None:
        self._texts = texts
        self._vectors: list[Floats] = []
        self._against: dict[tuple[str, tuple[str, ...]], int] = {}
        self.names: list[str] = []
        self.groups: list[tuple[int, int, int]] = []
        self.free: list[tuple[int, int, list[int]]] = []

    @property
    def width(self) -> int:
        return len(self._vectors)

    def add(self, vectors: Iterable[Floats]) -> int:
        """Add columns and return the place of the first."""
        first = self.width
        self._vectors += vectors
        return first

    def add_labels(self, labels: Sequence[ZeroShotLabel]) -> int:
        """Add a column for each label, whose score comes next."""
        self.names += [label.name for label in labels]
        return self.add(_mean(self._texts, label.prompts, label) for label in labels)

    def rivals(self, label: ZeroShotLabel) -> list[int]:
        """The columns of a free label's negatives, each made once for all labels."""
        found = []
        for negative in dict.fromkeys(_negatives(label)):
            key = (negative, label.templates)
            if key not in self._against:
                self._against[key] = self.add([_mean(self._texts, (negative,), label)])
            found.append(self._against[key])
        return found

    def columns(self, card: ModelCard) -> Columns:
        matrix = np.stack(self._vectors, axis=1) if self._vectors else np.empty((0, 0), np.float32)
        groups = tuple(_Together(*places) for places in self.groups)
        free = tuple(_Alone(first, last, tuple(rivals)) for first, last, rivals in self.free)
        return Columns(
            tuple(self.names),
            np.ascontiguousarray(matrix, np.float32),
            np.float32(card.logit_scale),
            card.name,
            groups,
            free,
        )


def _text_feeds(
    network: Network, texts: Sequence[str], tokenizer: Path, card: ModelCard
) -> dict[str, NDArray[Any]]:
    """Return what the text network takes: its tokens, and a mask of them where it asks for one."""
    masks = [port for port in network.inputs if "mask" in port.name.lower()]
    words = [port for port in network.inputs if port not in masks]
    if len(words) != 1 or len(words[0].shape) != 2 or len(masks) > 1:
        names = ", ".join(port.name for port in network.inputs)
        raise ModelBroken(
            f"{card.name} reads texts from {names}, not from tokens [texts, length] alone",
            "choose a network for texts only: its pictures need a file of their own",
        )
    length = words[0].shape[1] or (SIGLIP_CONTEXT if card.tokens == "siglip" else CONTEXT)
    tokens = tokenize(texts, tokenizer, length, card.tokens)
    feeds: dict[str, NDArray[Any]] = {words[0].name: tokens.ids}
    return feeds | {port.name: tokens.mask for port in masks}


@dataclass(frozen=True, slots=True, eq=False)
class Tokenized:
    """Texts as a network reads them."""

    ids: NDArray[np.int64]
    """[texts, length]"""
    mask: NDArray[np.int64]
    """[texts, length]: 1 for what is read, 0 for what only fills up."""


def tokenize(
    texts: Sequence[str], tokenizer: Path, length: int = CONTEXT, how: Tokens = "clip"
) -> Tokenized:
    """Turn texts into tokens, cut to `length` with their ends kept, and filled up.

    CLIP: a start and an end, filled up with 0. SigLIP: cleaned, no start, one end, and filled up
    with that same end (with Gemma's tokenizer, by its own filling); it was taught without a mask,
    so that all of it is read. `tokenizer` is a tokenizer.json, or OpenAI's
    bpe_simple_vocab_16e6.txt.gz. Raises ModelBroken when it is neither.
    """
    made = _tokenizer(tokenizer, tokenizer.stat().st_mtime_ns, length)
    if how == "siglip":
        return _siglip(made, texts, length)
    ids = np.zeros((len(texts), length), np.int64)
    mask = np.zeros_like(ids)
    for row, read, text in zip(ids, mask, texts, strict=True):
        found = made.encode(_clean(text)).ids
        row[: len(found)], read[: len(found)] = found, 1
    return Tokenized(ids, mask)


def _siglip(made: Any, texts: Sequence[str], length: int) -> Tokenized:
    end, filling = _siglip_ends(made)
    ids = np.full((len(texts), length), filling, np.int64)
    for row, text in zip(ids, texts, strict=True):
        found = made.encode(_canonical(text), add_special_tokens=False).ids[: length - 1]
        row[: len(found) + 1] = [*found, end]
    return Tokenized(ids, np.ones_like(ids))


def _siglip_ends(made: Any) -> tuple[int, int]:
    """Return the tokens that end a text and fill it up."""
    for end, filling in _SIGLIP_ENDS:
        ids = made.token_to_id(end), made.token_to_id(filling)
        if None not in ids:
            return ids
    raise ModelBroken(
        "The tokenizer knows no end of a text as SigLIP's does",
        "write tokens: clip into its row of the catalogue, or fetch its own tokenizer",
    )


def _clean(text: str) -> str:
    return " ".join(html.unescape(html.unescape(text)).split())


def _canonical(text: str) -> str:
    """Return a text as SigLIP was taught with: lower-cased, without punctuation (big_vision)."""
    return _clean(_clean(text).translate(_NO_PUNCTUATION).lower())


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
