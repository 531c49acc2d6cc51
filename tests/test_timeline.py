"""From frames to stretches of time: what a sample stands for, what joins, what is too short."""

import itertools
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.records import Box, Observation, Sample, TimeRange
from stash_sense_plugin.timeline import (
    Rule,
    by_word,
    read_texts,
    rule_for,
    sample_scores,
    showing,
    time_ranges,
)
from stash_sense_plugin.vocabulary import Label

SURE, FAINT, NONE = 0.9, 0.4, 0.0
PLAIN = Rule(enter=0.5, stay=0.3)


def every(step_s: float, scores: list[float]) -> list[Sample]:
    """Samples in the middle of equal steps, so that each stands for exactly one step."""
    return [Sample(step_s * (i + 0.5), score) for i, score in enumerate(scores)]


def spans(ranges: tuple[TimeRange, ...]) -> list[tuple[float, float]]:
    return [(r.start_s, r.end_s) for r in ranges]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param([], [], id="nothing sampled"),
        pytest.param([NONE, NONE], [], id="nothing seen"),
        pytest.param([FAINT, FAINT], [], id="never sure"),
        pytest.param([SURE], [(0, 10)], id="a single sample stands for the scene"),
        pytest.param([SURE, SURE, NONE, NONE, NONE], [(0, 20)], id="to the midpoint"),
        pytest.param([FAINT, SURE, FAINT, NONE, NONE], [(0, 30)], id="stays while faint"),
        pytest.param([SURE, NONE, SURE, NONE, NONE], [(0, 30)], id="one missed frame is bridged"),
        pytest.param([SURE, NONE, NONE, SURE], [(0, 10), (30, 40)], id="two are not"),
        pytest.param([SURE, FAINT, NONE, FAINT, NONE], [(0, 20)], id="faint alone begins nothing"),
    ],
)
def test_samples_become_ranges(scores: list[float], expected: list[tuple[float, float]]) -> None:
    duration_s = 10.0 * max(1, len(scores))
    assert spans(time_ranges("dog", every(10, scores), duration_s, PLAIN)) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(PLAIN, [(0, 4), (8, 9), (14, 20)], id="no gap"),
        pytest.param(replace(PLAIN, gap_s=4), [(0, 9), (14, 20)], id="a gap of exactly the hole"),
        pytest.param(replace(PLAIN, gap_s=5), [(0, 20)], id="a gap for both holes"),
        pytest.param(replace(PLAIN, gap_s=5, cap_s=4), [(0, 9), (14, 20)], id="capped"),
        pytest.param(replace(PLAIN, gap_s=5, cap_s=0), [(0, 4), (8, 9), (14, 20)], id="cap of 0"),
        pytest.param(replace(PLAIN, gap_s=1, grow=0.67), [(0, 20)], id="grown by the longer range"),
        pytest.param(replace(PLAIN, shortest_s=2), [(0, 4), (14, 20)], id="short ones dropped"),
        pytest.param(replace(PLAIN, shortest_fraction=0.55), [(0, 4), (8, 9), (14, 20)], id="55 %"),
        pytest.param(replace(PLAIN, shortest_fraction=0.56), [], id="too little of the scene"),
    ],
)
def test_gaps_and_shortest_durations(rule: Rule, expected: list[tuple[float, float]]) -> None:
    seen = {0, 1, 2, 3, 8, *range(14, 20)}
    samples = every(1, [SURE if i in seen else NONE for i in range(20)])
    assert spans(time_ranges("dog", samples, 20, rule)) == expected


def test_growing_ranges_reach_back() -> None:
    """The two right ranges are near enough to join; only joined are they long enough to reach."""
    rule = replace(PLAIN, gap_s=0, grow=0.5)
    seen = {0, *range(6, 10), *range(12, 18)}
    samples = every(1, [SURE if i in seen else NONE for i in range(18)])
    assert spans(time_ranges("dog", samples, 18, rule)) == [(0, 18)]


def test_the_sampling_step_wins_over_the_cap() -> None:
    """81 tiles of an hour are 44 s apart: one tile without is a flicker whatever the cap."""
    scores = [SURE, NONE, SURE, *[NONE] * 78]
    ranges = time_ranges("bed", every(3600 / 81, scores), 3600, replace(PLAIN, cap_s=30))
    assert len(ranges) == 1


def test_the_local_step_counts_where_sampling_is_uneven() -> None:
    """A missed frame among sparse samples is bridged, the same hole among dense ones is not."""
    sparse = [Sample(t, s) for t, s in ((0, SURE), (40, NONE), (80, SURE), (300, NONE))]
    dense = [Sample(t, SURE if t in (0, 80) else NONE) for t in range(0, 301, 10)]
    assert len(time_ranges("bed", sparse, 300, PLAIN)) == 1
    assert len(time_ranges("bed", dense, 300, PLAIN)) == 2


@pytest.mark.parametrize("duration_s", [None, 0.0, -1.0, math.nan, math.inf])
def test_without_a_length_there_are_no_ranges(duration_s: float | None) -> None:
    assert time_ranges("dog", [Sample(0, SURE)], duration_s, PLAIN) == ()


def test_samples_behind_the_end_count_at_the_end() -> None:
    """Stash rounds durations: the last frame may lie behind it."""
    samples = [Sample(0, NONE), Sample(5, NONE), Sample(10.4, SURE)]
    assert spans(time_ranges("dog", samples, 10, PLAIN)) == [(7.5, 10)]


def test_the_best_of_two_samples_at_one_time_counts() -> None:
    samples = [Sample(5, NONE), Sample(5, SURE), Sample(5, FAINT)]
    assert time_ranges("dog", samples, 10, PLAIN) == (TimeRange("dog", 0, 10, SURE),)


def test_a_short_scene_is_not_asked_for_more_than_half() -> None:
    rule = replace(PLAIN, shortest_s=30)
    assert spans(time_ranges("dog", every(1, [SURE, SURE, NONE]), 3, rule)) == [(0, 2)]


@pytest.mark.parametrize(
    "wrong", [{"stay": 0.6}, {"gap_s": -1}, {"grow": math.nan}, {"shortest_s": -0.1}]
)
def test_a_senseless_rule_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"stay|0 or more"):
        replace(PLAIN, **wrong)


# --- Laws ---------------------------------------------------------------------------------------

seconds = st.floats(-5, 130, allow_nan=False) | st.integers(0, 120).map(float)
scores_ = st.floats(0, 1, allow_nan=False)
samples_ = st.lists(st.builds(Sample, seconds, scores_), max_size=40)
durations = st.floats(0.01, 120)
amounts = st.floats(0, 40)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    stay, enter = sorted((draw(scores_), draw(scores_)))
    return Rule(
        enter,
        stay,
        gap_s=draw(amounts),
        grow=draw(st.floats(0, 2)),
        cap_s=draw(amounts),
        shortest_s=draw(amounts),
        shortest_fraction=draw(st.floats(0, 1)),
    )


@given(samples_, durations, rules())
def test_ranges_are_sorted_disjoint_and_within_the_scene(
    samples: list[Sample], duration_s: float, rule: Rule
) -> None:
    ranges = time_ranges("x", samples, duration_s, rule)
    assert all(0 <= r.start_s < r.end_s <= duration_s for r in ranges)
    assert all(a.end_s < b.start_s for a, b in itertools.pairwise(ranges))


@given(samples_, durations, rules(), amounts)
def test_a_larger_gap_never_loses_time(
    samples: list[Sample], duration_s: float, rule: Rule, more_s: float
) -> None:
    narrow = time_ranges("x", samples, duration_s, rule)
    wide = time_ranges("x", samples, duration_s, replace(rule, gap_s=rule.gap_s + more_s))
    for one in narrow:
        assert any(r.start_s <= one.start_s and one.end_s <= r.end_s for r in wide)
    unfiltered = replace(rule, shortest_s=0, shortest_fraction=0)
    few = time_ranges("x", samples, duration_s, replace(unfiltered, gap_s=rule.gap_s + more_s))
    assert len(few) <= len(time_ranges("x", samples, duration_s, unfiltered))


@given(samples_, durations, rules(), st.randoms(use_true_random=False))
def test_the_order_of_samples_means_nothing(
    samples: list[Sample], duration_s: float, rule: Rule, rng: random.Random
) -> None:
    shuffled = list(samples)
    rng.shuffle(shuffled)
    assert time_ranges("x", shuffled, duration_s, rule) == time_ranges(
        "x", samples, duration_s, rule
    )


@given(samples_, durations, rules())
def test_nothing_is_invented(samples: list[Sample], duration_s: float, rule: Rule) -> None:
    """Each range holds a sample that entered, and its score is one that was given."""
    at = [(min(max(s.time_s, 0.0), duration_s), s.score) for s in samples]
    for found in time_ranges("x", samples, duration_s, rule):
        inside = [score for time, score in at if found.start_s <= time <= found.end_s]
        assert found.score in inside
        assert found.score >= rule.enter


@given(st.lists(scores_, min_size=1, max_size=30), rules())
def test_reversing_time_reverses_the_ranges(scores: list[float], rule: Rule) -> None:
    """Neither joining nor staying prefers a direction."""
    there = time_ranges("x", every(1, scores), len(scores), rule)
    back = time_ranges("x", every(1, scores[::-1]), len(scores), rule)
    mirrored = [(len(scores) - r.end_s, len(scores) - r.start_s) for r in reversed(back)]
    assert spans(there) == mirrored


# --- Observations to samples --------------------------------------------------------------------


def saw(time_s: float, label: str, score: float, area: float = 0.25) -> Observation:
    side = math.sqrt(area)
    box = Box(0.1, 0.1, side, side)
    return Observation("s", 0, time_s, "objects", "yolo@1", label, score, box)


PEOPLE = Label("people", "People", "people", classes=("coco/person",))


@pytest.mark.parametrize(
    ("label", "boxes", "expected"),
    [
        pytest.param(PEOPLE, [0.6, 0.9, 0.3], 0.9, id="the best box"),
        pytest.param(PEOPLE, [], 0.0, id="not seen is 0"),
        pytest.param(replace(PEOPLE, min_count=2), [0.9, 0.6, 0.3], 0.6, id="two as the second"),
        pytest.param(replace(PEOPLE, min_count=2), [0.9], 0.0, id="one is not two"),
        pytest.param(replace(PEOPLE, max_count=1), [0.9, 0.7], 0.3, id="one, unless a second"),
        pytest.param(replace(PEOPLE, max_count=1), [0.9], 0.9, id="one alone"),
        pytest.param(replace(PEOPLE, min_share=0.3), [0.9], 0.0, id="too small"),
        pytest.param(PEOPLE, [math.nan, 0.5], 0.5, id="no number is nothing"),
    ],
)
def test_boxes_of_a_frame_become_one_score(
    label: Label, boxes: list[float], expected: float
) -> None:
    seen = [saw(1.0, "coco/person", score) for score in boxes]
    (sample,) = sample_scores([1.0], [*seen, saw(1.0, "coco/dog", 1.0)], label)
    assert sample.score == pytest.approx(expected)


def test_frames_where_nothing_was_seen_count_too() -> None:
    samples = sample_scores([3.0, 1.0, 2.0, 2.0], [saw(2.0, "coco/person", 0.8)], PEOPLE)
    assert samples == (Sample(1.0, 0.0), Sample(2.0, 0.8), Sample(3.0, 0.0))


def test_an_observation_belongs_to_the_nearest_frame() -> None:
    """A keyframe lies before the time that was asked for, and the store rounds."""
    seen = [saw(1.96, "coco/person", 0.8), saw(99.0, "coco/person", 0.7)]
    assert [s.score for s in sample_scores([1.0, 2.0, 3.0], seen, PEOPLE)] == [0.0, 0.8, 0.7]


@pytest.mark.parametrize(
    ("phrase", "text", "is_there"),
    [
        pytest.param("Behind the scenes", "BEHIND THE SCENES", True, id="another case"),
        pytest.param("Behind the scenes", "BEHINDTHESCENES 4", True, id="no spaces"),
        pytest.param("Behind the scenes", "be hind-the scenes!", True, id="more spaces and signs"),
        pytest.param("Behind the scenes", "behind scenes", False, id="a word is missing"),
        pytest.param("example", "STUDIOEXAMPLE.COM", False, id="within another word"),
        pytest.param("casting", "BBC Broadcasting", False, id="long, within another word"),
        pytest.param("best of", "the best offer", False, id="across the end of a word"),
        pytest.param("the end", "Bathe, Enda", False, id="across two words"),
        pytest.param("making of", "The Making-Of", True, id="a hyphen"),
        pytest.param(".com", "NORTHLIGHT.COM/x", True, id="with its dot"),
        pytest.param(".com", "northlight. com", True, id="with its dot and a space"),
        pytest.param(".com", "com 24", False, id="without its dot"),
        pytest.param(".com", "the end.comic", False, id="a dot and a longer word"),
        pytest.param("ตัวอย่าง", "ดูตัวอย่างหนัง", True, id="Thai, without spaces"),
        pytest.param("bts", "BTS: day one", True, id="short, a word"),
        pytest.param("bts", "subtitles: debts", False, id="short, within others"),
        pytest.param("B.T.S.", "our b t s clip", True, id="short, with stops and spaces"),
        pytest.param("18+", "+18 only", True, id="short, a number"),
        pytest.param("18+", "in 2018", False, id="short, within a number"),
        pytest.param("é", "café", False, id="short, beyond ASCII"),
        pytest.param("無修正", "完全無修正版", True, id="without spaces between words"),
        pytest.param("\u2665", "I \u2665 you", True, id="a sign"),
        pytest.param("\u2665", "I love you", False, id="a sign that is not there"),
        pytest.param("straße", "STRASSE", True, id="folded"),
        pytest.param("anything", "", False, id="nothing read"),
    ],
)
def test_phrases_are_read_whatever_recognition_makes_of_spaces(
    phrase: str, text: str, is_there: bool
) -> None:
    label = Label("phrase", "Phrase", "text", reads=("not this one", phrase))
    one = replace(saw(1.0, "text", 0.9), text=text)
    assert bool(showing(label, [one])) is is_there


def test_other_labels_are_shown_by_all_that_was_seen() -> None:
    any_text = Label("text", "Text", "text", facts=("text",))
    one = replace(saw(1.0, "text", 0.9), text="whatever")
    assert showing(any_text, [one]) == [one]
    assert showing(PEOPLE, [saw(1.0, "coco/person", 0.4)]) == [saw(1.0, "coco/person", 0.4)]


def test_observations_are_sorted_by_word() -> None:
    dog, person = saw(1, "coco/dog", 0.5), saw(2, "coco/person", 0.5)
    assert by_word([dog, person, dog]) == {"coco/dog": [dog, dog], "coco/person": [person]}


def test_a_label_becomes_its_rule() -> None:
    label = replace(PEOPLE, enter=0.6, stay=0.2, gap_s=7, shortest_percent=25)
    assert rule_for(label, cap_s=12) == Rule(0.6, 0.2, 7, 0.05, 12, 1.0, 0.25)


# --- Text ---------------------------------------------------------------------------------------


def read(time_s: float, text: str, score: float = 0.9) -> Observation:
    return Observation("s", 0, time_s, "text", "ocr@1", "text", score, text=text)


TIMES = [5.0, 15.0, 25.0, 35.0, 45.0]


def test_one_text_misread_is_one_text() -> None:
    seen = [
        read(5, "NORTHLIGHT STUDIO"),
        read(15, "NORTHLIGHTSTUDIO", 0.99),
        read(25, "N0RTHLIGHT STUDI0"),
        read(35, "NORTHLIGHT STUDIO"),
    ]
    (found,) = read_texts(seen, TIMES, 50)
    assert (found.text, found.start_s, found.end_s) == ("NORTHLIGHT STUDIO", 0, 40)
    assert found.score == 0.99


def test_other_texts_are_apart_and_in_order_of_time() -> None:
    seen = [read(45, "The end"), read(5, "Bathroom tour 2"), read(25, "Bathroom tour 3")]
    found = [t.text for t in read_texts(seen, TIMES, 50)]
    assert found == ["Bathroom tour 2", "Bathroom tour 3", "The end"]


def test_short_texts_must_be_equal() -> None:
    assert len(read_texts([read(5, "ABC"), read(5, "ABD")], TIMES, 50)) == 2


def test_a_text_that_comes_back_stood_twice() -> None:
    found = read_texts([read(5, "Northlight"), read(45, "Northlight")], TIMES, 50, cap_s=5)
    assert [(t.start_s, t.end_s) for t in found] == [(0, 10), (40, 50)]


@pytest.mark.parametrize(
    ("missed_s", "cap_s", "stretches"),
    [
        pytest.param(9, 30, 1, id="hidden for some frames"),
        pytest.param(9, 4, 2, id="the user wants nearer ones only"),
        pytest.param(12, 30, 2, id="gone for long, whatever the cap"),
    ],
)
def test_a_watermark_that_is_missed_for_a_while_still_stands(
    missed_s: int, cap_s: float, stretches: int
) -> None:
    times = [float(second) for second in range(60)]
    seen = [read(t, "NORTHLIGHT") for t in times if not 20 <= t < 20 + missed_s]
    assert len(read_texts(seen, times, 60, cap_s)) == stretches


def test_a_picture_has_texts_without_time() -> None:
    (found,) = read_texts([read(0, "Northlight")], [0.0], None)
    assert (found.text, found.start_s, found.end_s, found.score) == ("Northlight", 0, 0, 0.9)


def test_what_has_no_letters_is_no_text() -> None:
    assert read_texts([read(5, "   "), read(5, "")], TIMES, 50) == ()


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        pytest.param([0.55, 0.78, 0.6], False, id="letters seen in fur are none"),
        pytest.param([0.55, 0.93], True, id="one certain reading carries the uncertain ones"),
    ],
)
def test_a_text_is_told_where_it_was_read_with_certainty(scores: list[float], told: bool) -> None:
    seen = [read(time_s, "NORTHLIGHT", score) for time_s, score in zip(TIMES, scores, strict=False)]
    assert bool(read_texts(seen, TIMES, 50)) is told


@given(
    st.lists(st.builds(read, st.sampled_from(TIMES), st.text(max_size=12), scores_), max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_of_readings_means_nothing(seen: list[Observation], rng: random.Random) -> None:
    shuffled = list(seen)
    rng.shuffle(shuffled)
    found = read_texts(seen, TIMES, 50)
    assert read_texts(shuffled, TIMES, 50) == found
    said = {" ".join((o.text or "").split()) for o in seen}
    assert all(0 <= t.start_s <= t.end_s <= 50 and t.text in said for t in found)
