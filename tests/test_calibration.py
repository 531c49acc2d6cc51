"""Scores to probabilities: rising, bounded, and replaced by what was fitted."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.calibration import (
    SHIPPED,
    UNKNOWN,
    Isotonic,
    Platt,
    curve_of,
    probability,
    through,
)

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


# --- Steps ----------------------------------------------------------------------------------------


@st.composite
def steps(draw: st.DrawFn) -> Isotonic:
    shares = st.floats(0, 1, allow_subnormal=False)
    scores = sorted(draw(st.sets(shares, min_size=1, max_size=8)))
    count = len(scores)
    levels = sorted(draw(st.lists(shares, min_size=count, max_size=count)))
    return Isotonic(tuple(scores), tuple(levels))


@given(steps(), anything, anything)
def test_between_steps_a_higher_score_never_means_less(
    curve: Isotonic, one: float, other: float
) -> None:
    low, high = curve.probability(one), curve.probability(other)
    assert 0 <= low <= 1
    if one <= other and math.isfinite(one) and math.isfinite(other):
        assert low <= high


def test_between_two_steps_it_goes_straight() -> None:
    curve = Isotonic((0.2, 0.6), (0.1, 0.9))
    assert [curve.probability(score) for score in (0.0, 0.2, 0.6, 1.0)] == [0.1, 0.1, 0.9, 0.9]
    assert curve.probability(0.3) == pytest.approx(0.3)
    assert curve.probability(math.nan) == 0.0


@pytest.mark.parametrize(
    ("scores", "levels"),
    [
        pytest.param((), (), id="nothing"),
        pytest.param((0.5,), (0.1, 0.2), id="of two lengths"),
        pytest.param((0.5, 0.5), (0.1, 0.2), id="two at one score"),
        pytest.param((0.1, 0.5), (0.3, 0.2), id="falling"),
        pytest.param((0.1, 0.5), (0.3, 1.2), id="above one"),
        pytest.param((0.1, math.nan), (0.3, 0.4), id="no number"),
    ],
)
def test_steps_that_are_no_curve_are_refused(
    scores: tuple[float, ...], levels: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="score"):
        Isotonic(scores, levels)


@given(steps() | st.builds(Platt, st.floats(0.1, 50), st.floats(-50, 50)))
def test_a_curve_is_read_back_as_it_was(curve: Isotonic | Platt) -> None:
    assert curve_of(curve.as_json()) == curve


@pytest.mark.parametrize("values", [{}, {"kind": "spline"}, {"kind": "platt", "slope": 1.0}])
def test_what_is_no_curve_is_not_read_as_one(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="curve"):
        curve_of(values)
