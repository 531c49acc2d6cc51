"""How good what was said is, beside what is true: pure, over arrays.

`said` and `true` are bool arrays of one length: one place for each scene that is judged.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

BINS = 10
"""Bins of equal width over 0..1, as in Guo et al. 2017."""

SURE_95 = 1.959963984540054
"""The normal distribution's quantile for an interval of 95 %."""


# --- Right and wrong ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts:
    """How often it was right to say so, wrong to say so, and wrong to say nothing."""

    right: int
    wrong: int
    missed: int

    @property
    def said(self) -> int:
        """How often it was said."""
        return self.right + self.wrong

    @property
    def there(self) -> int:
        """How often it was true."""
        return self.right + self.missed

    @property
    def precision(self) -> float | None:
        """How much of what was said is true; None where nothing was said."""
        return self.right / self.said if self.said else None

    @property
    def recall(self) -> float | None:
        """How much of what is true was said; None where nothing is."""
        return self.right / self.there if self.there else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of both; None where nothing was said and nothing is true."""
        whole = self.said + self.there
        return 2 * self.right / whole if whole else None

    def __add__(self, other: "Counts") -> "Counts":
        """Both together, as micro averages have it."""
        return Counts(
            self.right + other.right, self.wrong + other.wrong, self.missed + other.missed
        )


NOTHING = Counts(0, 0, 0)


def count(said: Bools, true: Bools) -> Counts:
    """Count rights and wrongs."""
    right = int((said & true).sum())
    return Counts(right, int(said.sum()) - right, int(true.sum()) - right)


@dataclass(frozen=True, slots=True)
class Average:
    """Precision, recall and F1 over several tags; None where no tag has one."""

    precision: float | None
    recall: float | None
    f1: float | None


def macro(counts: Collection[Counts]) -> Average:
    """The mean over tags, each of which counts alike; a tag without a figure is left out of it."""
    return Average(
        mean(each.precision for each in counts),
        mean(each.recall for each in counts),
        mean(each.f1 for each in counts),
    )


def micro(counts: Iterable[Counts]) -> Counts:
    """All tags' counts together, so that each answer counts alike."""
    return sum(counts, NOTHING)


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are there; None where none is."""
    there = [value for value in values if value is not None]
    return math.fsum(there) / len(there) if there else None


def interval(right: int, of: int, quantile: float = SURE_95) -> tuple[float, float]:
    """Wilson's interval of a share (Wilson 1927): where the true one lies in 95 of 100 cases.

    Of nothing it is 0 to 1.
    """
    if not of:
        return 0.0, 1.0
    share, square = right / of, quantile * quantile
    centre = (share + square / (2 * of)) / (1 + square / of)
    half = quantile / (1 + square / of)
    half *= math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    # At the ends the two are equal but for the last digit.
    low = 0.0 if right == 0 else max(0.0, centre - half)
    return low, 1.0 if right == of else min(1.0, centre + half)


# --- Rankings -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class PrecisionRecall:
    """What each threshold gives, the highest first; of equal scores all are said together."""

    thresholds: Floats
    precision: Floats
    recall: Floats
    """Of what is true; all 0 where nothing is."""
    claims: NDArray[np.int64]
    """How many are said."""
    rights: NDArray[np.int64]
    """How many of them are true."""


def precision_recall(true: Bools, scores: Floats) -> PrecisionRecall:
    """Precision and recall from each score on that occurs (n scores, finite)."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) if len(ranked) else order
    rights, claims = np.cumsum(true[order], dtype=np.int64)[last], last + 1
    there = max(1, int(true.sum()))
    return PrecisionRecall(ranked[last], rights / claims, rights / there, claims, rights)


def average_precision(true: Bools, scores: Floats) -> float | None:
    """The sum over thresholds of the gain in recall times the precision there.

    As scikit-learn's `average_precision_score` (no interpolation, equal scores together); None
    where nothing is true.
    """
    if not true.any():
        return None
    found = precision_recall(true, scores)
    return float(np.sum(np.diff(found.recall, prepend=0.0) * found.precision))


# --- Trees of tags ------------------------------------------------------------------------------


def with_ancestors(tags: Iterable[str], parents: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """The tags and all above them; a tag may have several parents, and be its own ancestor."""
    found: set[str] = set()
    waiting = list(tags)
    while waiting:
        tag = waiting.pop()
        if tag not in found:
            found.add(tag)
            waiting += parents.get(tag, ())
    return frozenset(found)


def hierarchical(
    said: Sequence[Collection[str]],
    true: Sequence[Collection[str]],
    parents: Mapping[str, Sequence[str]],
    universe: Collection[str] | None = None,
) -> Counts:
    """Count over scenes' tags and all above them (Kiritchenko et al. 2005; Silla & Freitas 2011).

    So `Dog` is nearly right where the truth says `Poodle`. Only tags of `universe` count, where it
    is given.
    """
    total = NOTHING
    for claims, facts in zip(said, true, strict=True):
        claimed, there = with_ancestors(claims, parents), with_ancestors(facts, parents)
        if universe is not None:
            claimed, there = claimed & frozenset(universe), there & frozenset(universe)
        right = len(claimed & there)
        total += Counts(right, len(claimed) - right, len(there) - right)
    return total


# --- Calibration --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bin:
    """Claims of about one confidence, and how many of them are true."""

    low: float
    high: float
    claims: int
    confidence: float
    """The mean of theirs; 0 without claims."""
    right: float
    """The share of them that is true; 0 without claims."""


def reliability(confidences: Floats, true: Bools, bins: int = BINS) -> tuple[Bin, ...]:
    """Sort claims (n confidences, 0..1) into bins of equal width; 1 is in the last."""
    place = np.minimum((confidences * bins).astype(np.int64), bins - 1)
    claims = np.bincount(place, minlength=bins)
    sums = np.bincount(place, weights=confidences, minlength=bins)
    rights = np.bincount(place, weights=true, minlength=bins)
    shares: NDArray[Any] = np.maximum(claims, 1)
    return tuple(
        Bin(
            number / bins,
            (number + 1) / bins,
            int(claims[number]),
            float(sums[number] / shares[number]),
            float(rights[number] / shares[number]),
        )
        for number in range(bins)
    )


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Return the expected calibration error (Guo et al. 2017): the bins' distance, by claims.

    None without claims.
    """
    claims = sum(each.claims for each in bins)
    if not claims:
        return None
    return math.fsum(each.claims * abs(each.right - each.confidence) for each in bins) / claims


def brier(confidences: Floats, true: Bools) -> float | None:
    """The mean square of the distance to 0 or 1 (Brier 1950); None without claims."""
    return float(np.mean((confidences - true) ** 2)) if len(confidences) else None


def log_loss(confidences: Floats, true: Bools, least: float = 1e-6) -> float:
    """The mean of -ln of the probability given to what is the case, which is `least` at least."""
    given = np.where(true, confidences, 1.0 - confidences)
    return float(-np.mean(np.log(np.maximum(given, least)))) if len(given) else 0.0
