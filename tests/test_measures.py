"""The measures of the accuracy benchmark, on cases that can be counted by hand."""

import pytest

from benchmarks.measures import (
    Counts,
    Stretch,
    Thing,
    average_precision,
    box_iou,
    compare_ranges,
    compare_things,
    merged,
    second_accuracy,
    time_iou,
)
from stash_sense_plugin.records import Box

WHOLE, LEFT = Box(0, 0, 1, 1), Box(0, 0, 0.5, 1)


def test_neighbouring_stretches_are_one() -> None:
    parts = [Stretch(6, 12), Stretch(0, 6), Stretch(20, 22), Stretch(21, 21.5)]
    assert merged(parts) == [Stretch(0, 12), Stretch(20, 22)]


@pytest.mark.parametrize(
    ("one", "other", "iou"),
    [
        pytest.param(Stretch(0, 10), Stretch(0, 10), 1.0, id="the same"),
        pytest.param(Stretch(0, 10), Stretch(5, 15), 1 / 3, id="half each"),
        pytest.param(Stretch(0, 10), Stretch(10, 20), 0.0, id="touching"),
        pytest.param(Stretch(0, 10), Stretch(2, 4), 0.2, id="inside"),
    ],
)
def test_time_is_compared_by_intersection_over_union(
    one: Stretch, other: Stretch, iou: float
) -> None:
    assert time_iou(one, other) == time_iou(other, one) == pytest.approx(iou)


def test_a_range_is_found_once() -> None:
    truth = [Stretch(0, 10), Stretch(20, 30)]
    said = [Stretch(0, 9), Stretch(1, 10), Stretch(40, 50)]
    counts = compare_ranges(truth, said)
    assert counts == Counts(found=1, missed=1, wrong=2)
    assert (counts.precision, counts.recall, counts.f1) == (1 / 3, 1 / 2, 2 / 5)


def test_nothing_said_of_nothing_is_right() -> None:
    assert compare_ranges([], []).f1 == 1.0
    assert compare_ranges([Stretch(0, 1)], []).f1 == 0.0


def test_seconds_count_where_all_labels_are_right() -> None:
    truth = {"a": [Stretch(0, 5)], "b": [Stretch(5, 10)]}
    said = {"a": [Stretch(0, 7)], "b": [Stretch(5, 10)]}
    assert second_accuracy(truth, said, 10.0) == 0.8
    assert second_accuracy(truth, truth, 10.0) == 1.0


def test_boxes_are_found_in_their_own_picture_and_of_their_own_label() -> None:
    truth = [Thing("1", "dog", WHOLE), Thing("1", "cat", LEFT), Thing("2", "dog", WHOLE)]
    said = [Thing("1", "dog", WHOLE, 0.9), Thing("1", "dog", WHOLE, 0.8), Thing("2", "cat", WHOLE)]
    assert box_iou(WHOLE, LEFT) == 0.5
    assert compare_things(truth, said) == Counts(found=1, missed=2, wrong=2)


def test_average_precision_is_the_area_under_falling_precision() -> None:
    truth = [Thing("1", "dog", WHOLE), Thing("2", "dog", WHOLE)]
    said = [
        Thing("1", "dog", WHOLE, 0.9),
        Thing("3", "dog", WHOLE, 0.8),
        Thing("2", "dog", WHOLE, 0.7),
    ]
    assert average_precision(truth, said) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(truth, []) == 0.0
