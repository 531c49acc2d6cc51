"""How good a prediction is: ranges against ranges, seconds against seconds, boxes against boxes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from stash_sense_plugin.records import Box

T = TypeVar("T")

ENOUGH = 0.5
"""Intersection over union from which a range or a box counts as found."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Counts:
    """What was found, what was not, and what was said and is not there."""

    found: int = 0
    missed: int = 0
    wrong: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.found + other.found, self.missed + other.missed, self.wrong + other.wrong
        )

    @property
    def precision(self) -> float:
        """The part of what was said that is there; 1 where nothing was said."""
        said = self.found + self.wrong
        return self.found / said if said else 1.0

    @property
    def recall(self) -> float:
        """The part of what is there that was said; 1 where nothing is there."""
        there = self.found + self.missed
        return self.found / there if there else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        whole = 2 * self.found + self.missed + self.wrong
        return 2 * self.found / whole if whole else 1.0


# --- Time ---------------------------------------------------------------------------------------


def merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Join stretches that overlap or touch, in order of time."""
    joined: list[Stretch] = []
    for each in sorted(stretches, key=lambda one: (one.start_s, one.end_s)):
        if joined and each.start_s <= joined[-1].end_s:
            last = joined.pop()
            each = Stretch(last.start_s, max(last.end_s, each.end_s))
        joined.append(each)
    return joined


def time_iou(one: Stretch, other: Stretch) -> float:
    """Return the intersection over union of two stretches."""
    shared = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    if shared <= 0:
        return 0.0
    return shared / (max(one.end_s, other.end_s) - min(one.start_s, other.start_s))


def compare_ranges(truth: Sequence[Stretch], said: Sequence[Stretch]) -> Counts:
    """Count the ranges found at an intersection over union of ENOUGH, each by one at most."""
    return _compare(truth, said, time_iou)


def second_accuracy(
    truth: Mapping[str, Sequence[Stretch]], said: Mapping[str, Sequence[Stretch]], duration_s: float
) -> float:
    """Return the part of the seconds, at their middles, whose labels are exactly the truth's."""
    middles = [second + 0.5 for second in range(int(duration_s))]
    right = sum(_labels_at(truth, time_s) == _labels_at(said, time_s) for time_s in middles)
    return right / len(middles) if middles else 1.0


def _labels_at(stretches: Mapping[str, Sequence[Stretch]], time_s: float) -> set[str]:
    return {
        label
        for label, held in stretches.items()
        if any(each.start_s <= time_s < each.end_s for each in held)
    }


# --- Boxes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing in one picture, as the truth or a detector has it."""

    picture: str
    label: str
    box: Box
    score: float = 1.0


def box_iou(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    width = min(one.x + one.w, other.x + other.w) - max(one.x, other.x)
    height = min(one.y + one.h, other.y + other.h) - max(one.y, other.y)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (one.w * one.h + other.w * other.h - width * height)


def compare_things(truth: Sequence[Thing], said: Sequence[Thing]) -> Counts:
    """Count the things of each label found in each picture, the surest first."""
    counts = Counts()
    for key in {(each.picture, each.label) for each in (*truth, *said)}:
        there = [each.box for each in truth if (each.picture, each.label) == key]
        told = sorted(
            (each for each in said if (each.picture, each.label) == key), key=lambda t: -t.score
        )
        counts += _compare(there, [each.box for each in told], box_iou)
    return counts


def average_precision(truth: Sequence[Thing], said: Sequence[Thing]) -> float:
    """Return the mean over the truth's labels of the area under precision by recall.

    Precision is made to fall only, as PASCAL VOC 2010 and COCO do.
    """
    labels = sorted({each.label for each in truth})
    areas = [
        _area([t for t in truth if t.label == label], [s for s in said if s.label == label])
        for label in labels
    ]
    return sum(areas) / len(areas) if areas else 1.0


def _area(truth: Sequence[Thing], said: Sequence[Thing]) -> float:
    free = list(truth)
    hits = []
    for each in sorted(said, key=lambda one: -one.score):
        best = max(
            (one for one in free if one.picture == each.picture),
            key=lambda one: box_iou(one.box, each.box),
            default=None,
        )
        hit = best is not None and box_iou(best.box, each.box) >= ENOUGH
        if hit and best is not None:
            free.remove(best)
        hits.append(hit)
    precisions = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
    best_from = [max(precisions[i:]) for i in range(len(hits))]
    return sum(best for best, hit in zip(best_from, hits, strict=True) if hit) / len(truth)


def _compare(truth: Sequence[T], said: Sequence[T], overlap: Callable[[T, T], float]) -> Counts:
    """Pair each thing said with the free one of the truth that it overlaps most."""
    free = list(truth)
    found = 0
    for each in said:
        best = max(free, key=lambda one: overlap(one, each), default=None)
        if best is not None and overlap(best, each) >= ENOUGH:
            free.remove(best)
            found += 1
    return Counts(found, len(free), len(said) - found)
