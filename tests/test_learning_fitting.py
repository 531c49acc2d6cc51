"""Fits and thresholds: right where the law is known, rising always, and none from too little."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stash_sense_plugin.calibration import Platt
from stash_sense_plugin.learning import fitting
from stash_sense_plugin.learning.fitting import (
    FOLDS,
    LEAST_FOR_STEPS,
    LEAST_OF_EACH,
    fit,
    folds_of,
    isotonic,
    platt,
    probabilities,
)
from stash_sense_plugin.learning.metrics import Bools, Floats, log_loss
from stash_sense_plugin.learning.thresholds import threshold

SHIPPED = Platt(5.0, -2.5)


def drawn(count: int, curve: Platt, seed: int = 1) -> tuple[Floats, Bools]:
    """Scores, and whether each is right, as the curve has it."""
    random = np.random.default_rng(seed)
    scores = random.random(count)
    return scores, random.random(count) < probabilities(curve, scores)


def apart(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64)


# --- Curves ---------------------------------------------------------------------------------------


def test_platt_finds_the_law_behind_the_data() -> None:
    scores, true = drawn(20_000, Platt(8.0, -3.0))
    found = platt(scores, true)
    assert found.slope == pytest.approx(8.0, rel=0.05)
    assert found.offset == pytest.approx(-3.0, rel=0.05)


def test_platts_targets_are_smoothed() -> None:
    """At the optimum the mean of the told probabilities is that of the targets (Platt 1999)."""
    scores, true = drawn(200, Platt(6.0, -3.0))
    positives = int(true.sum())
    negatives = len(true) - positives
    targets = positives * (positives + 1) / (positives + 2) + negatives / (negatives + 2)
    assert probabilities(platt(scores, true), scores).sum() == pytest.approx(targets, rel=1e-3)


def test_what_is_separable_is_not_infinitely_sure() -> None:
    scores = np.array([0.2] * 40 + [0.8] * 40)
    told = platt(scores, scores > 0.5)
    assert told.probability(0.8) == pytest.approx(41 / 42, abs=1e-3)
    assert told.probability(0.2) == pytest.approx(1 / 42, abs=1e-3)


def test_a_score_that_means_the_opposite_still_never_falls() -> None:
    scores, true = drawn(500, Platt(6.0, -3.0))
    for told in (platt(scores, ~true), isotonic(scores, ~true)):
        values = [told.probability(at / 50) for at in range(51)]
        assert values == sorted(values)
        assert math.isclose(values[0], values[-1], abs_tol=0.02)


def test_steps_by_hand() -> None:
    # 0.2 (0 of 2), 0.4 (1 of 2) and 0.6 (0 of 1) pool: 0.4 and 0.6 to 1 of 3; 0.8 is 2 of 2.
    scores = np.array([0.2, 0.2, 0.4, 0.4, 0.6, 0.8, 0.8])
    true = np.array([False, False, False, True, False, True, True])
    told = isotonic(scores, true)
    assert told.scores == pytest.approx((0.2, 0.4, 0.6, 0.8))
    assert told.probabilities == pytest.approx((1 / 4, 2 / 5, 2 / 5, 3 / 4))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40),
    st.lists(st.floats(0, 1), min_size=2, max_size=10),
)
def test_a_fit_never_falls(rows: list[tuple[float, bool]], asked: list[float]) -> None:
    scores = np.array([row[0] for row in rows])
    true = np.array([row[1] for row in rows])
    for told in (platt(scores, true), isotonic(scores, true)):
        values = [told.probability(score) for score in sorted(asked)]
        assert values == sorted(values)
        assert 0 <= values[0] <= values[-1] <= 1


# --- Choosing -------------------------------------------------------------------------------------


def test_a_better_curve_is_taken_and_tells_by_how_much() -> None:
    scores, true = drawn(150, Platt(12.0, -9.0))
    found = fit(scores, true, apart(150), probabilities(SHIPPED, scores))
    assert found is not None
    assert found.kind == "platt"
    assert (found.positives, found.negatives) == (int(true.sum()), 150 - int(true.sum()))
    assert found.loss < found.loss_before
    assert found.loss == pytest.approx(log_loss(found.held_out, true))


def test_steps_are_taken_where_two_parameters_cannot_tell() -> None:
    """Right in 10 of 100 cases below 0.3, 50 up to 0.7, 95 above: no logistic curve is so."""
    random = np.random.default_rng(4)
    scores = random.random(3000)
    shares = np.where(scores < 0.3, 0.1, np.where(scores < 0.7, 0.5, 0.95))
    before = probabilities(SHIPPED, scores)
    found = fit(scores, random.random(3000) < shares, apart(3000), before)
    assert found is not None
    assert found.kind == "isotonic"
    assert found.curve.probability(0.5) == pytest.approx(0.5, abs=0.08)


def test_a_curve_that_is_right_already_stays() -> None:
    scores, true = drawn(120, SHIPPED, seed=3)
    before = probabilities(platt(scores, true), scores)
    assert fit(scores, true, apart(120), before) is None


@pytest.mark.parametrize(
    ("positives", "negatives", "fits"),
    [
        pytest.param(LEAST_OF_EACH, LEAST_OF_EACH, True, id="just enough"),
        pytest.param(LEAST_OF_EACH - 1, 500, False, id="too few right ones"),
        pytest.param(500, LEAST_OF_EACH - 1, False, id="too few wrong ones"),
        pytest.param(0, 0, False, id="nothing"),
    ],
)
def test_too_little_is_not_fitted(positives: int, negatives: int, fits: bool) -> None:
    true = np.array([True] * positives + [False] * negatives, np.bool_)
    scores = np.where(true, 0.52, 0.48)
    found = fit(scores, true, apart(len(true)), probabilities(SHIPPED, scores))
    assert (found is not None) == fits


def test_scenes_of_one_group_alone_are_not_fitted() -> None:
    scores, true = drawn(LEAST_FOR_STEPS, Platt(12.0, -9.0))
    one = np.zeros(LEAST_FOR_STEPS, np.int64)
    assert fit(scores, true, one, probabilities(SHIPPED, scores)) is None


def test_copies_do_not_vouch_for_each_other() -> None:
    """Scores without any meaning, each scene there ten times: its copies must not teach its fold.

    Were copies spread over folds, steps would learn each by heart and look far too good.
    """
    random = np.random.default_rng(7)
    scores = np.repeat(random.random(60), 10)
    true = np.repeat(random.random(60) < 0.5, 10)
    before = probabilities(Platt(1.0, -0.5), scores)
    known_by_heart = fit(scores, true, apart(600), before)
    fair = fit(scores, true, np.repeat(apart(60), 10), before)
    assert known_by_heart is not None
    assert fair is None or fair.loss > known_by_heart.loss


# --- Folds ----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=1, max_size=60))
def test_folds_keep_groups_together(rows: list[tuple[bool, int]]) -> None:
    true = np.array([row[0] for row in rows])
    groups = np.array([row[1] for row in rows], np.int64)
    folds = folds_of(true, groups)
    assert all(len(set(folds[groups == group].tolist())) == 1 for group in set(groups.tolist()))
    assert set(folds.tolist()) <= set(range(FOLDS))


def test_each_fold_has_its_share_of_both() -> None:
    true = np.arange(103) < 31
    folds = folds_of(true, apart(103))
    assert [int(true[folds == fold].sum()) for fold in range(FOLDS)] == [7, 6, 6, 6, 6]
    assert sorted(int((folds == fold).sum()) for fold in range(FOLDS)) == [20, 20, 21, 21, 21]


# --- Thresholds -----------------------------------------------------------------------------------


def claims(*parts: tuple[float, int, int]) -> tuple[Floats, Bools]:
    """Confidence, right and wrong ones."""
    told = [confidence for confidence, right, wrong in parts for _ in range(right + wrong)]
    true = [each for _, right, wrong in parts for each in [True] * right + [False] * wrong]
    return np.array(told), np.array(true)


def test_the_lowest_confidence_that_is_right_often_enough() -> None:
    # From 0.9: 18 of 20; from 0.7: 27 of 30; from 0.5: 32 of 40. 36 scenes have the tag.
    told, true = claims((0.9, 18, 2), (0.7, 9, 1), (0.5, 5, 5))
    found = threshold(told, true, positives=36, precision=0.9)
    assert found is not None
    assert found.apply == 0.7
    assert (found.precision, found.claims) == (27 / 30, 30)
    assert found.recall == 27 / 36
    # Wilson's interval of 27 of 30, by hand.
    assert (found.low, found.high) == pytest.approx((0.7438, 0.9654), abs=5e-5)


def test_a_dip_on_the_way_down_is_passed() -> None:
    """What counts is how right all is that is written, not each step of it."""
    told, true = claims((0.95, 20, 0), (0.9, 0, 5), (0.8, 30, 0), (0.2, 0, 50))
    found = threshold(told, true, positives=60, precision=0.9)
    assert found is not None
    assert found.apply == 0.8
    assert found.precision == 50 / 55


@pytest.mark.parametrize(
    ("parts", "positives", "wanted"),
    [
        pytest.param([(0.9, 29, 0)], 29, 0.9, id="too few scenes with the tag"),
        pytest.param([(0.9, 20, 20)], 40, 0.9, id="never so right"),
        pytest.param([(0.9, 9, 0), (0.5, 0, 40)], 40, 0.9, id="too few claims"),
        pytest.param([], 40, 0.9, id="no claim"),
    ],
)
def test_no_threshold_is_offered(
    parts: list[tuple[float, int, int]], positives: int, wanted: float
) -> None:
    told, true = claims(*parts)
    assert threshold(told, true.astype(np.bool_), positives, wanted) is None


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=10, max_size=80),
    st.floats(0.1, 1.0),
)
def test_a_threshold_keeps_its_word(rows: list[tuple[float, bool]], wanted: float) -> None:
    """Applied as it is stored, it lets through just what was counted."""
    told = np.array([row[0] for row in rows])
    true = np.array([row[1] for row in rows])
    found = threshold(told, true, positives=100, precision=wanted)
    if found is None:
        return
    let_through = told >= found.apply
    assert let_through.sum() == found.claims
    assert true[let_through].mean() == pytest.approx(found.precision)
    assert found.precision >= wanted
    assert found.apply == round(found.apply, 4)


def test_scipy_is_only_there_when_something_is_fitted() -> None:
    assert "scipy" not in vars(fitting)
