"""From which confidence on a label is right as often as the user wants; pure."""

from dataclasses import dataclass

import numpy as np

from stash_sense_plugin.learning.metrics import Bools, Floats, interval, precision_recall

LEAST_POSITIVES = 30
"""Scenes that have the tag by hand: below, a threshold would be a guess and none is offered."""

LEAST_CLAIMS = 10
"""Claims from the threshold on: of fewer, a share says next to nothing."""

STEP = 10_000
"""Thresholds are whole numbers of such parts: the store and the tables show four digits."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A confidence, and what it gave on scenes that the curve had not seen."""

    apply: float
    precision: float
    low: float
    """The interval of `precision`, 95 %."""
    high: float
    recall: float
    claims: int
    positives: int
    """Scenes that have the tag by hand."""


def threshold(
    confidences: Floats, true: Bools, positives: int, precision: float
) -> Threshold | None:
    """The lowest confidence from which on the share of right claims is at least `precision`.

    `confidences` (n, 0..1) are of claims, cross-validated; `true` whether each is right;
    `positives` counts the scenes with the tag, claimed or not. The share is the point estimate, and
    its interval is told beside it. None where no confidence reaches it, or there is too little.
    """
    if positives < LEAST_POSITIVES or not len(confidences):
        return None
    # As it will be stored, so that the claims counted here are those that it lets through.
    steps = np.floor(confidences * STEP + 1e-9) / STEP
    found = precision_recall(true, steps)
    fitting = np.flatnonzero((found.precision >= precision) & (found.claims >= LEAST_CLAIMS))
    if not len(fitting):
        return None
    # The last is the lowest: what it lets through includes all that a higher one does.
    place = fitting[-1]
    claims, right = int(found.claims[place]), int(found.rights[place])
    low, high = interval(right, claims)
    return Threshold(
        apply=float(found.thresholds[place]),
        precision=right / claims,
        low=low,
        high=high,
        recall=right / positives,
        claims=claims,
        positives=positives,
    )
