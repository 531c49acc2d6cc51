"""Turns a detector's score into a probability that a person would agree.

Platt scaling (Platt 1999): p = 1 / (1 + exp(-(slope * score + offset))), with slope > 0, so that a
higher score never means less. Only COCO's shipped parameters are fitted; the others are starting
points set by hand, each stated by the two scores that it was drawn through. What was fitted to the
user's own tags and verdicts (learning/fitting.py) replaces them all, be it such a curve or steps.
"""

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

STEEPEST = 700.0
"""Beyond this exponent a float overflows; the probability is 0 or 1 long before that."""


class Curve(Protocol):
    """A score's way to a probability: it never falls."""

    def probability(self, score: float) -> float:
        """The probability, 0..1, at a score of 0..1; a score that is no number means nothing."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Plain values, which `curve_of` reads."""
        ...


@dataclass(frozen=True, slots=True)
class Platt:
    """Two parameters: little can go wrong, and little data is needed."""

    slope: float
    offset: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope) and math.isfinite(self.offset) and self.slope > 0):
            raise ValueError(f"slope {self.slope} must be above 0 and offset {self.offset} finite")

    def probability(self, score: float) -> float:
        """The probability, 0..1, at a score of 0..1; a score that is no number means nothing."""
        if not math.isfinite(score):
            return 0.0
        logit = self.slope * min(1.0, max(0.0, score)) + self.offset
        return 1.0 / (1.0 + math.exp(-min(STEEPEST, max(-STEEPEST, logit))))

    def as_json(self) -> dict[str, Any]:
        """Plain values, which `curve_of` reads."""
        return {"kind": "platt", "slope": self.slope, "offset": self.offset}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Straight lines between points that never fall (Zadrozny & Elkan 2002); level outside."""

    scores: tuple[float, ...]
    """Rising, 0..1."""
    probabilities: tuple[float, ...]
    """Not falling, 0..1, one for each score."""

    def __post_init__(self) -> None:
        scores, probabilities = self.scores, self.probabilities
        if not scores or len(scores) != len(probabilities):
            raise ValueError(f"{len(scores)} scores for {len(probabilities)} probabilities")
        rising = all(low < high for low, high in itertools.pairwise(scores))
        level = all(low <= high for low, high in itertools.pairwise(probabilities))
        bounded = all(0 <= each <= 1 for each in (*scores, *probabilities))
        if not (rising and level and bounded):
            raise ValueError("scores must rise, probabilities must not fall, both within 0..1")

    def probability(self, score: float) -> float:
        """The probability, 0..1, at a score of 0..1; a score that is no number means nothing."""
        if not math.isfinite(score):
            return 0.0
        after = bisect.bisect_left(self.scores, score)
        if after == 0:
            return self.probabilities[0]
        if after == len(self.scores):
            return self.probabilities[-1]
        low, high = self.scores[after - 1], self.scores[after]
        below, above = self.probabilities[after - 1], self.probabilities[after]
        return min(above, below + (above - below) * ((score - low) / (high - low)))

    def as_json(self) -> dict[str, Any]:
        """Plain values, which `curve_of` reads."""
        return {
            "kind": "isotonic",
            "scores": list(self.scores),
            "probabilities": list(self.probabilities),
        }


def curve_of(values: Mapping[str, Any]) -> Curve:
    """Read what a curve's `as_json` gave. Raises ValueError where it is none."""
    try:
        if values["kind"] == "platt":
            return Platt(float(values["slope"]), float(values["offset"]))
        if values["kind"] == "isotonic":
            return Isotonic(_floats(values["scores"]), _floats(values["probabilities"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"This is no curve: {error}") from error
    raise ValueError(f"There is no kind of curve {values['kind']!r}")


def _floats(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(map(float, values))


def through(low: tuple[float, float], high: tuple[float, float]) -> Platt:
    """The curve through two points (score, probability); both must rise."""
    (low_score, low_p), (high_score, high_p) = low, high
    slope = (_logit(high_p) - _logit(low_p)) / (high_score - low_score)
    return Platt(slope, _logit(low_p) - slope * low_score)


def _logit(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


SHIPPED: Mapping[str, Platt] = MappingProxyType(
    {
        # A softmax over some twenty places: one that takes half of the whole is right about as
        # often, and CLIP is sure of itself too easily at the top.
        "clip-exclusive": through((0.5, 0.5), (0.95, 0.92)),
        # One thing against a few negatives is an easier question than CLIP's answer sounds: even a
        # full score stays a question until verdicts say better.
        "clip-free": through((0.6, 0.5), (0.97, 0.88)),
        # Fitted: the best box of each class in 64 pictures of COCO val2017 against their labels,
        # 554 scores of YOLOv8n and YOLOX-nano together (alone: 6.3, -2.0 and 6.2, -1.8).
        "coco": Platt(6.3, -1.9),
        # Trained on close pictures: at a distance it takes other skin for what it knows.
        "nudenet": through((0.45, 0.5), (0.8, 0.88)),
        # By JoyTag's published validation the words that we use are right in 0.69 of all cases
        # from 0.4 on (weighted by how often each is there), mostly in drawings: a little less in
        # films. The upper point is drawn by hand: a full score stays below the bars of what is
        # asked about.
        "danbooru": through((0.4, 0.65), (0.9, 0.96)),
        # Computed, not recognised: the score itself says how clear the case is.
        "picture": through((0.5, 0.6), (0.9, 0.97)),
        # Computed as well: at 0.5 next to no picture that was left as it is passes
        # (benchmarks/quality.py), but a user's idea of a fault may be another.
        "quality": through((0.5, 0.6), (0.9, 0.95)),
        # Recognition is seldom sure of what is not text; the detector's floor has spoken before.
        "text": through((0.5, 0.6), (0.9, 0.96)),
    }
)
"""Starting points by scale (vocabulary.Label.scale), until verdicts fit better ones."""

UNKNOWN = through((0.5, 0.5), (0.9, 0.85))
"""For word lists of the user's own networks, of which we know nothing."""


def probability(
    detector: str,
    label: str,
    score: float,
    fitted: Mapping[tuple[str, str], Curve] = MappingProxyType({}),
) -> float:
    """How likely it is, 0..1, that a label with this score is there.

    `detector` is a scale: `clip-exclusive`, `clip-free`, `coco`, `nudenet`, `picture`, `text`. What
    was fitted for (scale, label), or for (scale, "") as a whole, goes before the shipped curve.
    """
    return curve_for(detector, label, fitted).probability(score)


SUREST = 1.0 - 1e-4
"""Of several sources, none speaks with more certainty than this, nor with less than what it lacks:
a source that is quite sure would leave the others without a say."""

Told = tuple[float, float]
"""A probability of one source, and its weight (above 0)."""


def pooled(holding: Sequence[Told], silent: Sequence[Told] = ()) -> float:
    """How likely a thing is by several sources: the weighted mean of their log-odds.

    The logarithmic opinion pool (Genest & Zidek 1986, "Combining probability distributions"), whose
    weights are divided by their sum: sources that look at the same frames err together, so that
    agreeing adds no certainty, as it would if their odds were multiplied.

    `holding` are the sources that saw it, at least one, and `silent` those that looked and did not:
    with the most that they may have seen. Where that is more than what the others say together it
    counts as no more: that somebody saw nothing never speaks for a thing. The answer lies within
    all of them, rises with each, and is one source's own probability to the bit where it is alone;
    their order does not matter.
    """
    if len(holding) == 1 and not silent:
        return holding[0][0]
    seen = _mean_odds(holding)
    return _mean_odds([*holding, *((min(each, seen), weight) for each, weight in silent)])


def _mean_odds(told: Sequence[Told]) -> float:
    whole = math.fsum(weight for _, weight in told)
    mean = math.fsum(weight * _logit(_unsure(each)) for each, weight in told) / whole
    # Rounding and SUREST must not lead out of what the sources say.
    least, most = min(each for each, _ in told), max(each for each, _ in told)
    return min(most, max(least, 1.0 / (1.0 + math.exp(-mean))))


def _unsure(probability: float) -> float:
    return min(SUREST, max(1.0 - SUREST, probability))


def curve_for(
    detector: str, label: str, fitted: Mapping[tuple[str, str], Curve] = MappingProxyType({})
) -> Curve:
    """The curve that `probability` goes by."""
    shipped = SHIPPED.get(detector, UNKNOWN)
    return fitted.get((detector, label)) or fitted.get((detector, "")) or shipped
