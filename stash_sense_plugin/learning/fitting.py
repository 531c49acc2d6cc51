"""Fits curves from scores to probabilities, where there is enough to fit them to; pure."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.calibration import Curve, Isotonic, Platt
from stash_sense_plugin.learning.metrics import Bools, Floats, log_loss

Groups = NDArray[np.int64]
"""For each score, the number of the group of scenes that it belongs to."""

LEAST_OF_EACH = 30
"""True and untrue claims that are needed, each: below, the curve that there is holds."""

LEAST_FOR_STEPS = 200
"""Claims from which steps are tried too: with fewer, Platt's two parameters are the safer choice
(Niculescu-Mizil & Caruana 2005), and the folds only tell when there is something to tell."""

FOLDS = 5

FLATTEST, STEEPEST = 1e-3, 200.0
"""Slopes that are fitted: above 0, so that a higher score never means less."""

Fit = Callable[[Floats, Bools], Curve]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A curve that tells more than the one before, and what it says of scenes it did not see."""

    curve: Curve
    kind: str
    """`platt` or `isotonic`."""
    held_out: Floats
    """For each score, the probability by the curve that was fitted without its group."""
    positives: int
    negatives: int
    loss_before: float
    """Log loss of the curve that was there (nats per claim)."""
    loss: float
    """Log loss of `held_out`."""


def fit(scores: Floats, true: Bools, groups: Groups, before: Floats) -> Fitted | None:
    """Fit the curve that tells most of scenes it did not see; None where `before` tells as much.

    `scores` (n, 0..1) are of claims, `true` whether each is right, `before` (n) what is said of
    them now (see `unseen`). None too where there are too few of either, or scenes of one group
    alone. Kinds are compared by their cross-validated log loss.
    """
    folds = _folds(true, groups)
    if folds is None:
        return None
    kinds: dict[str, Fit] = {"platt": platt}
    if len(true) >= LEAST_FOR_STEPS:
        kinds["isotonic"] = isotonic
    held_out = {kind: _held_out(scores, true, folds, way) for kind, way in kinds.items()}
    losses = {kind: log_loss(told, true) for kind, told in held_out.items()}
    best = min(losses, key=lambda kind: losses[kind])
    loss_before = log_loss(before, true)
    if losses[best] >= loss_before:
        return None
    curve = kinds[best](scores, true)
    positives = int(true.sum())
    negatives = len(true) - positives
    return Fitted(curve, best, held_out[best], positives, negatives, loss_before, losses[best])


def unseen(curve: Curve, scores: Floats, true: Bools, groups: Groups) -> Floats:
    """What a learnt curve is worth on scenes it did not see (arguments as of `fit`).

    It may have been fitted to these very scenes, and then looks better than it is. So where it
    tells more of them than curves of its kind that were fitted without each, these speak for it.
    """
    told = probabilities(curve, scores)
    folds = _folds(true, groups)
    if folds is None:
        return told
    apart = _held_out(scores, true, folds, isotonic if isinstance(curve, Isotonic) else platt)
    return apart if log_loss(told, true) < log_loss(apart, true) else told


def _folds(true: Bools, groups: Groups) -> NDArray[np.int64] | None:
    """Part the claims, or None where there is too little to fit anything to."""
    positives = int(true.sum())
    if min(positives, len(true) - positives) < LEAST_OF_EACH:
        return None
    folds = folds_of(true, groups)
    return folds if len(np.unique(folds)) > 1 else None


def probabilities(curve: Curve, scores: Floats) -> Floats:
    """What a curve says of each score (n, 0..1)."""
    return np.array([curve.probability(score) for score in scores.tolist()], np.float64)


# --- Folds --------------------------------------------------------------------------------------


def folds_of(true: Bools, groups: Groups, folds: int = FOLDS) -> NDArray[np.int64]:
    """Give each scene a fold, 0 to `folds` - 1, groups of scenes together.

    Groups go, those with most that is true first, to the fold that has least of it; those without
    any to the smallest. So each fold has some of both, and a library is always cut alike.
    """
    members: defaultdict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(groups.tolist()):
        members[group].append(place)
    weights = {group: int(true[places].sum()) for group, places in members.items()}
    order = sorted(members, key=lambda group: (-weights[group], -len(members[group]), group))
    positives, sizes = [0] * folds, [0] * folds
    found = np.zeros(len(groups), np.int64)
    for group in order:
        has = weights[group] > 0
        fold = min(range(folds), key=lambda at: (positives[at] if has else 0, sizes[at], at))
        positives[fold] += weights[group]
        sizes[fold] += len(members[group])
        found[members[group]] = fold
    return found


def _held_out(scores: Floats, true: Bools, folds: NDArray[np.int64], way: Fit) -> Floats:
    told = np.zeros(len(scores), np.float64)
    for fold in np.unique(folds):
        apart = folds == fold
        told[apart] = probabilities(way(scores[~apart], true[~apart]), scores[apart])
    return told


# --- Curves -------------------------------------------------------------------------------------


def platt(scores: Floats, true: Bools) -> Platt:
    """Fit a slope and an offset by maximum likelihood (Platt 1999, as Lin et al. 2007 state it).

    Its targets are (positives + 1) / (positives + 2) and 1 / (negatives + 2), not 1 and 0: so the
    curve does not grow too sure of few claims.
    """
    # Not at the top: it takes a second to import, and a worker that never evaluates needs none.
    from scipy.optimize import minimize

    positives = int(true.sum())
    negatives = len(true) - positives
    targets = np.where(true, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        logits = parameters[0] * scores + parameters[1]
        gap = _sigmoid(logits) - targets
        # ln(1 + e^x) - t x, which overflows for no x.
        worth = np.logaddexp(0.0, logits) - targets * logits
        return float(worth.sum()), np.array([float(gap @ scores), float(gap.sum())])

    start = np.array([1.0, np.log((positives + 1) / (negatives + 1)) - float(np.mean(scores))])
    bounds = [(FLATTEST, STEEPEST), (-2 * STEEPEST, 2 * STEEPEST)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    slope, offset = map(float, found.x)
    return Platt(slope, offset)


def _sigmoid(logits: Floats) -> Floats:
    told: Floats = np.exp(-np.logaddexp(0.0, -logits))
    return told


def isotonic(scores: Floats, true: Bools) -> Isotonic:
    """Fit steps by pooling adjacent violators (Zadrozny & Elkan 2002).

    A step of n claims of which k are right stands for (k + 1) / (n + 2), as Platt's targets do:
    never 0 or 1, which the next claim could prove infinitely wrong.
    """
    from scipy.optimize import isotonic_regression

    distinct, place = np.unique(scores, return_inverse=True)
    claims = np.bincount(place).astype(np.float64)
    rights = np.bincount(place, weights=true)
    levels = isotonic_regression(rights / claims, weights=claims).x
    starts = np.flatnonzero(np.append(True, np.diff(levels) > 0))
    sizes = np.add.reduceat(claims, starts)
    smooth = (np.add.reduceat(rights, starts) + 1) / (sizes + 2)
    # Smoothing draws small steps to the middle, and may so turn two of them round.
    rising = np.maximum.accumulate(smooth).tolist()
    ends = np.append(starts[1:], len(distinct)) - 1
    return _steps([*distinct[starts].tolist(), *distinct[ends].tolist()], [*rising, *rising])


def _steps(scores: Sequence[float], levels: Sequence[float]) -> Isotonic:
    """Join the two ends of each step; a step of one score has but one point."""
    points: dict[float, float] = {}
    for score, level in zip(scores, levels, strict=True):
        points[min(1.0, max(0.0, score))] = min(1.0, max(0.0, level))
    kept = sorted(points.items())
    return Isotonic(tuple(score for score, _ in kept), tuple(level for _, level in kept))
