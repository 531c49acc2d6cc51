"""Scores to probabilities: rising, bounded, and replaced by what was fitted."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.calibration import SHIPPED, UNKNOWN, Platt, probability, through

anything = st.floats(allow_nan=True, allow_infinity=True)


@given(st.sampled_from([*SHIPPED, "a network of the user's"]), anything, anything)
def test_a_higher_score_never_means_less(detector: str, one: float, other: float) -> None:
    low, high = probability(detector, "x", one), probability(detector, "x", other)
    assert 0 <= low <= 1
    if one <= other and math.isfinite(one) and math.isfinite(other):
        assert low <= high


@pytest.mark.parametrize("detector", [*SHIPPED])
def test_the_shipped_curves_separate(detector: str) -> None:
    """Nothing seen is no reason to ask, and a full score is one to write."""
    assert probability(detector, "x", 0.0) < 0.2
    assert probability(detector, "x", 1.0) > 0.85


def test_a_curve_goes_through_its_points() -> None:
    curve = through((0.3, 0.2), (0.9, 0.95))
    assert curve.probability(0.3) == pytest.approx(0.2)
    assert curve.probability(0.9) == pytest.approx(0.95)


def test_what_was_fitted_goes_first() -> None:
    label, whole = Platt(1.0, 2.0), Platt(1.0, 1.0)
    fitted = {("coco", "dog"): label, ("coco", ""): whole}
    assert probability("coco", "dog", 0.5, fitted) == label.probability(0.5)
    assert probability("coco", "cat", 0.5, fitted) == whole.probability(0.5)
    assert probability("text", "dog", 0.5, fitted) == SHIPPED["text"].probability(0.5)
    assert probability("mine", "dog", 0.5, fitted) == UNKNOWN.probability(0.5)


@pytest.mark.parametrize(
    ("slope", "offset"), [(0.0, 1.0), (-1.0, 0.0), (math.nan, 0), (1, math.inf)]
)
def test_a_curve_that_does_not_rise_is_refused(slope: float, offset: float) -> None:
    with pytest.raises(ValueError, match="slope"):
        Platt(slope, offset)


def test_steep_curves_do_not_overflow() -> None:
    assert Platt(1e6, -5e5).probability(0.0) == pytest.approx(0)
    assert Platt(1e6, -5e5).probability(1.0) == pytest.approx(1)
