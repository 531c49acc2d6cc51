"""Figures beside what is worked out by hand, and beside laws that any such figure keeps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.learning import metrics
from stash_sense_plugin.learning.metrics import Average, Bools, Counts, Floats


def bools(text: str) -> Bools:
    return np.array([letter == "1" for letter in text])


def floats(*values: float) -> Floats:
    return np.array(values, np.float64)


# --- Right and wrong ------------------------------------------------------------------------------


def test_counts_by_hand() -> None:
    counts = metrics.count(bools("11100"), bools("10110"))
    assert counts == Counts(right=2, wrong=1, missed=1)
    assert counts.precision == pytest.approx(2 / 3)
    assert counts.recall == pytest.approx(2 / 3)
    assert counts.f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("counts", "precision", "recall", "f1"),
    [
        pytest.param(Counts(0, 0, 0), None, None, None, id="nothing said, nothing true"),
        pytest.param(Counts(0, 0, 3), None, 0.0, 0.0, id="nothing said"),
        pytest.param(Counts(0, 3, 0), 0.0, None, 0.0, id="nothing true"),
        pytest.param(Counts(4, 0, 0), 1.0, 1.0, 1.0, id="all right"),
    ],
)
def test_a_share_of_nothing_is_none(
    counts: Counts, precision: float | None, recall: float | None, f1: float | None
) -> None:
    assert (counts.precision, counts.recall, counts.f1) == (precision, recall, f1)


def test_macro_counts_tags_alike_and_micro_answers() -> None:
    often, seldom = Counts(90, 10, 0), Counts(0, 0, 10)
    found = metrics.macro([often, seldom])
    assert (found.precision, found.recall) == (0.9, 0.5)
    assert found.f1 == pytest.approx((180 / 190 + 0) / 2)
    assert metrics.micro([often, seldom]) == Counts(90, 10, 10)
    assert metrics.macro([]) == Average(None, None, None)


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [
        # By hand: centre (p + z2/2n) / (1 + z2/n), half z/(1+z2/n) sqrt(p(1-p)/n + z2/4n2).
        pytest.param(8, 10, 0.4902, 0.9433, id="8 of 10"),
        pytest.param(0, 10, 0.0, 0.2775, id="none of 10"),
        pytest.param(10, 10, 0.7225, 1.0, id="all of 10"),
        pytest.param(0, 0, 0.0, 1.0, id="none of none"),
    ],
)
def test_wilsons_interval(right: int, of: int, low: float, high: float) -> None:
    assert metrics.interval(right, of) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 500), st.integers(1, 500))
def test_an_interval_holds_the_share(right: int, of: int) -> None:
    low, high = metrics.interval(min(right, of), of)
    assert 0 <= low <= min(right, of) / of <= high <= 1


# --- Rankings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("true", "scores", "wanted"),
    [
        # scikit-learn's own example: average_precision_score([0, 0, 1, 1], [.1, .4, .35, .8]).
        pytest.param("0011", (0.1, 0.4, 0.35, 0.8), 0.8333333333, id="scikit-learn's example"),
        pytest.param("1000", (0.5, 0.5, 0.5, 0.5), 0.25, id="all equal: the share of positives"),
        pytest.param("10", (0.5, 0.5), 0.5, id="a tie is said together"),
        pytest.param("01", (0.5, 0.5), 0.5, id="whichever comes first"),
        pytest.param("110", (0.9, 0.8, 0.1), 1.0, id="perfect"),
        pytest.param("001", (0.9, 0.8, 0.1), 1 / 3, id="the worst"),
    ],
)
def test_average_precision(true: str, scores: tuple[float, ...], wanted: float) -> None:
    assert metrics.average_precision(bools(true), floats(*scores)) == pytest.approx(wanted)


def test_without_a_positive_there_is_no_average_precision() -> None:
    assert metrics.average_precision(bools("00"), floats(0.1, 0.2)) is None
    assert metrics.average_precision(bools(""), floats()) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30))
def test_average_precision_is_the_sum_over_thresholds(rows: list[tuple[bool, int]]) -> None:
    """Counted the slow way: at each score, precision and recall of all at or above it."""
    true = np.array([row[0] for row in rows])
    scores = np.array([float(row[1]) for row in rows])
    wanted, recall_before = 0.0, 0.0
    for score in sorted(set(scores.tolist()), reverse=True):
        counts = metrics.count(scores >= score, true)
        recall = counts.recall or 0.0
        wanted += (recall - recall_before) * (counts.precision or 0.0)
        recall_before = recall
    found = metrics.average_precision(true, scores)
    assert found is None if not true.any() else found == pytest.approx(wanted)


# --- Trees ----------------------------------------------------------------------------------------

TREE = {
    "poodle": ["dog"],
    "dog": ["animal", "pet"],
    "cat": ["animal", "pet"],
    "left": ["right"],
    "right": ["left"],
}


def test_what_is_above_a_tag() -> None:
    assert metrics.with_ancestors(["poodle"], TREE) == {"poodle", "dog", "animal", "pet"}
    assert metrics.with_ancestors(["left"], TREE) == {"left", "right"}
    assert metrics.with_ancestors([], TREE) == frozenset()


def test_a_near_miss_is_half_right() -> None:
    # Said dog, animal, pet; true cat, animal, pet.
    assert metrics.hierarchical([["dog"]], [["cat"]], TREE) == Counts(2, 1, 1)
    # The truth is finer than what can be said: only the poodle itself is missed.
    assert metrics.hierarchical([["dog"]], [["poodle"]], TREE) == Counts(3, 0, 1)
    within = metrics.hierarchical([["dog"]], [["poodle"]], TREE, {"dog", "animal", "pet"})
    assert within == Counts(3, 0, 0)


def test_a_flat_library_is_counted_as_it_is() -> None:
    assert metrics.hierarchical([["a", "b"], []], [["a"], ["c"]], {}) == Counts(1, 1, 1)


# --- Calibration ----------------------------------------------------------------------------------


def test_calibration_by_hand() -> None:
    # Bins: 0.1-0.2 holds .12 .18 (none right), 0.8-0.9 holds .82 .88 .85 (two right), 1.0 last.
    told = floats(0.12, 0.18, 0.82, 0.88, 0.85, 1.0)
    bins = metrics.reliability(told, bools("001101"))
    assert [each.claims for each in bins] == [0, 2, 0, 0, 0, 0, 0, 0, 3, 1]
    assert bins[1].confidence == pytest.approx(0.15)
    assert bins[8].right == pytest.approx(2 / 3)
    # (2 * 0.15 + 3 * |2/3 - 0.85| + 1 * 0) / 6
    assert metrics.calibration_error(bins) == pytest.approx((0.3 + 0.55) / 6)
    squares = [0.12, 0.18, 1 - 0.82, 1 - 0.88, 0.85, 0.0]
    assert metrics.brier(told, bools("001101")) == pytest.approx(
        math.fsum(each * each for each in squares) / 6
    )


def test_without_claims_there_is_no_calibration() -> None:
    bins = metrics.reliability(floats(), bools(""))
    assert metrics.calibration_error(bins) is None
    assert metrics.brier(floats(), bools("")) is None
    assert metrics.log_loss(floats(), bools("")) == 0.0


def test_a_sure_mistake_costs_much_and_not_infinitely_much() -> None:
    assert metrics.log_loss(floats(0.5), bools("1")) == pytest.approx(math.log(2))
    assert metrics.log_loss(floats(1.0), bools("0")) == pytest.approx(-math.log(1e-6))
