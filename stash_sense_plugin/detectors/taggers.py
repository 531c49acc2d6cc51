"""Words for whole pictures: taggers, which say many at once, and classifiers, which say one."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.detectors.feeding import feed, finite, input_side, trial_pictures
from stash_sense_plugin.detectors.words import Words, is_left_out, own_names, read_words
from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.session import Network
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.records import Frame, Observation, Pixels, Wants

Floats = NDArray[np.float32]
Made = Literal["plain", "sigmoid", "softmax"]

FLOOR = 0.2
"""Scores below are not reported: the vocabulary's thresholds lie above."""
NEVER = 2.0
"""A floor that no score reaches."""
SLACK = 1e-3
"""How far half precision may leave 0..1."""
MOST_ON_GREY = 1 / 3
"""A tagger that gives plain grey more than this part of its words is read wrongly."""
SAME = 1e-6
"""Answers that differ by less are one: the network did not look."""


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """How a network's answers are read; found out once."""

    side_px: int
    output: int
    """Which of its outputs holds the words' numbers."""
    words: Words
    floors: Floats
    """[words]: the least score that each is told with."""
    made: Made
    """What makes scores of the numbers."""

    def scores(self, outputs: Sequence[NDArray[np.floating]], card: ModelCard) -> Floats:
        """Return scores 0..1, float32 [pictures, words]; raises ModelBroken."""
        return _scores(_numbers(outputs[self.output], card), self.made, card)


class TaggerDetector:
    """Says which words of a network's list fit a picture."""

    name: ClassVar[str] = "tagger"
    wants: ClassVar[Wants] = Wants.DETAIL
    min_side_px: ClassVar[int] = 0

    def __init__(self, shelf: Shelf, card: ModelCard, floor: float = FLOOR, batch: int = 8) -> None:
        self._shelf = shelf
        self._card = card
        self._floor = floor
        self.batch = batch
        self.device = ""
        """Where it ran, once it has."""
        self.precision = ""

    @property
    def model(self) -> str:
        """Name and version, joined by `@`."""
        return self._shelf.label(self._card)

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        """Yield a frame's words that reach their floors, the surest first.

        Labels are `WORDS/WORD`, each word as its list writes it; there is no box. Raises
        ModelMissing or ModelBroken.
        """
        for start in range(0, len(frames), self.batch):
            part = frames[start : start + self.batch]
            network = self._shelf.network(self._card, "network")
            self.device, self.precision = network.device, network.precision
            reading = self._read(network)
            outputs = _run(network, [frame.pixels for frame in part], self._card, reading.side_px)
            scores = reading.scores(outputs, self._card)
            model = self.model
            for frame, row in zip(part, scores, strict=True):
                yield from self._told(model, frame, reading, row)

    def _told(
        self, model: str, frame: Frame, reading: _Reading, scores: Floats
    ) -> Iterator[Observation]:
        seen = np.flatnonzero(scores >= reading.floors)
        for which in seen[np.argsort(-scores[seen], kind="stable")]:
            yield Observation(
                scene_key=frame.scene_key,
                frame_index=frame.index,
                time_s=frame.time_s,
                detector=self.name,
                model=model,
                label=f"{self._card.words}/{reading.words.names[which]}",
                score=float(scores[which]),
            )

    def _read(self, network: Network) -> _Reading:
        """Return how this open network is read: a detector is made for each job, it stays."""
        key = (self.model, self._floor)
        with _LEARNING:
            known = _READINGS.setdefault(network, {})
            if key not in known:
                words = _words(network, self._shelf, self._card)
                floors = _floors(words, self._card, self._floor)
                known[key] = _reading(network, self._card, words, floors)
            return known[key]


_READINGS: WeakKeyDictionary[Network, dict[tuple[str, float], _Reading]] = WeakKeyDictionary()
"""Of open networks, by model and floor: they go when the shelf lets the network go."""
_LEARNING = threading.Lock()


def _run(
    network: Network, pictures: Sequence[Pixels], card: ModelCard, side_px: int
) -> list[NDArray[np.floating]]:
    return network.run({network.inputs[0].name: feed(pictures, card, side_px)})


# --- What the network says of itself ------------------------------------------------------------


def _words(network: Network, shelf: Shelf, card: ModelCard) -> Words:
    if names := own_names(network.metadata):
        return Words(names)
    if "labels" in card.files:
        return read_words(shelf.models.path(card, "labels"), card)
    return Words(card.classes)


def _floors(words: Words, card: ModelCard, floor: float) -> Floats:
    """Return the least score of each word: its category's, else `floor`; what is left out, never.

    Raises ModelBroken for a category that no word has.
    """
    floors = np.full(len(words.names), floor, np.float32)
    unmet = set(card.floors)
    for index, word in enumerate(words.names):
        for category in words.in_category(index) & card.floors.keys():
            unmet.discard(category)
            least = card.floors[category]
            floors[index] = NEVER if least >= 1 else least
        if is_left_out(word, card):
            floors[index] = NEVER
    if unmet:
        there = ", ".join(sorted({*words.categories} - {""})) or "none"
        raise ModelBroken(
            f"{card.name} has no words of the category {', '.join(sorted(unmet))}: "
            f"its list has {there}",
            "check floors of its row in the catalogue",
        )
    return floors


def _reading(network: Network, card: ModelCard, words: Words, floors: Floats) -> _Reading:
    """Look at three made pictures to learn how the answers are read.

    They are the same for every library, so that scores do not depend on what is seen first.
    """
    side = input_side(network, card)
    outputs = _run(network, trial_pictures(), card, side)
    which = _output(outputs, card, len(words.names))
    numbers = _numbers(outputs[which], card)
    reading = _Reading(side, which, words, floors, _made(numbers, card))
    if card.untried:
        _check(numbers, reading.scores(outputs, card), card)
    return reading


def _output(outputs: Sequence[NDArray[np.floating]], card: ModelCard, count: int) -> int:
    """Return which output has a number for each word; raises ModelBroken where none has."""
    widths = [int(np.prod(output.shape[1:])) for output in outputs]
    if count in widths:
        return widths.index(count)
    raise ModelBroken(
        f"{card.name} has {count} words and answers with {widths[0]} numbers for a picture",
        "check labels or classes of its row in the catalogue: there must be a word for each number",
    )


def _numbers(output: NDArray[np.floating], card: ModelCard) -> Floats:
    """Return an output as [pictures, words], all finite."""
    flat = output.reshape(len(output), -1).astype(np.float32)
    return np.asarray(finite(flat, card), np.float32)


# --- Numbers to scores --------------------------------------------------------------------------


def _made(numbers: Floats, card: ModelCard) -> Made:
    """Decide what makes scores of a network's numbers, where its row leaves it open."""
    if card.scores != "auto":
        return card.scores
    inside = bool((numbers >= -SLACK).all() and (numbers <= 1 + SLACK).all())
    if card.task == "classifier":
        whole = inside and bool(np.allclose(numbers.sum(axis=1), 1.0, atol=0.01))
        return "plain" if whole else "softmax"
    return "plain" if inside else "sigmoid"


def _scores(numbers: Floats, made: Made, card: ModelCard) -> Floats:
    """Return scores 0..1, float32 [pictures, words]; raises ModelBroken for what are none."""
    if made == "softmax":
        powers = np.exp(numbers - numbers.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
    if made == "sigmoid":
        # Beyond this exponent float32 overflows, and the score is 0 long before.
        return np.asarray(1 / (1 + np.exp(np.minimum(-numbers, np.float32(80)))), np.float32)
    if numbers.size and (numbers.min() < -SLACK or numbers.max() > 1 + SLACK):
        raise ModelBroken(
            f"{card.name} answers with {numbers.min():.3g} to {numbers.max():.3g}, "
            "which are no scores",
            "write scores: sigmoid (or softmax) into its row in the catalogue",
        )
    return np.clip(numbers, 0.0, 1.0)


def _check(numbers: Floats, scores: Floats, card: ModelCard) -> None:
    """Refuse weights that none of us has run, and that do not look at their pictures."""
    share = float((scores[0] > 0.5).mean())
    if card.task == "tagger" and share > MOST_ON_GREY:
        raise ModelBroken(
            f"{card.name} gives {share:.0%} of its words to a plain grey picture: its weights "
            "are not what its row says",
            "check scores, colour, scale and order of its row in the catalogue",
        )
    if float(np.abs(numbers - numbers[:1]).max()) < SAME:
        raise ModelBroken(
            f"{card.name} gives three different pictures one answer: its weights are not what "
            "its row says",
            "choose another model, or check its row in the catalogue",
        )
