"""From ranges to decisions: what is hidden, asked about or applied, and what shows why."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.calibration import Platt
from stash_sense_plugin.records import (
    Box,
    Decision,
    Observation,
    Sample,
    Suggestion,
    TimeRange,
)
from stash_sense_plugin.suggestions import (
    DecideOptions,
    Seen,
    decide,
    marker_ranges,
    restrain,
    robust_score,
    union,
)
from stash_sense_plugin.vocabulary import Label

DOG = Label("dog", "Dog", "animal", classes=("coco/dog",), ask=0.5, apply=0.85)
PUPPY = replace(DOG, name="puppy", prompts=("a puppy",), classes=())
CAT = replace(DOG, name="cat", tag="Cat", classes=("coco/cat",))
STRAIGHT = {("coco", ""): Platt(8.0, -4.0), ("clip-free", ""): Platt(8.0, -4.0)}
"""A curve for tests: a score of 0.5 is a probability of 0.5."""


def seen(
    label: Label, scores: Sequence[float], ranges: Sequence[tuple[float, float]] | None = None
) -> Seen:
    """One frame a second, in the middle of its second; by default one range over all."""
    samples = tuple(Sample(i + 0.5, score) for i, score in enumerate(scores))
    spans = [(0.0, float(len(scores)))] if ranges is None else ranges
    held = tuple(
        TimeRange(label.name, a, b, max(s.score for s in samples if a <= s.time_s <= b))
        for a, b in spans
    )
    boxes = tuple(
        Observation("s", i, s.time_s, "objects", "yolo@1", "coco/dog", s.score, Box(0, 0, 0.5, 0.5))
        for i, s in enumerate(samples)
        if s.score
    )
    return Seen(label, "objects", "yolo@1", samples, held, boxes)


def only(found: tuple[Suggestion, ...]) -> Suggestion:
    (one,) = found
    return one


@pytest.mark.parametrize(
    ("scores", "decision"),
    [
        pytest.param([0.9] * 5, Decision.APPLY, id="sure"),
        pytest.param([0.6] * 5, Decision.ASK, id="less sure"),
        pytest.param([0.4] * 5, Decision.HIDE, id="unsure"),
        pytest.param([0.95, 0.0, 0.0, 0.0, 0.0], Decision.ASK, id="one lucky frame"),
        pytest.param([0.95], Decision.APPLY, id="the only frame there is"),
    ],
)
def test_confidence_decides(scores: list[float], decision: Decision) -> None:
    found = only(decide([seen(DOG, scores)], float(len(scores)), fitted=STRAIGHT))
    assert found.decision is decision
    assert (found.kind, found.name, found.label) == ("tag", "Dog", "dog")


@pytest.mark.parametrize(
    ("options", "decision"),
    [
        pytest.param(DecideOptions(), Decision.APPLY, id="plain"),
        pytest.param(DecideOptions(apply=0.99), Decision.ASK, id="a higher bar"),
        pytest.param(DecideOptions(suggest_only=True), Decision.ASK, id="only suggest"),
        pytest.param(DecideOptions(never=frozenset({"dog"})), Decision.HIDE, id="never"),
        pytest.param(DecideOptions(never=frozenset({"cat"})), Decision.APPLY, id="never another"),
        pytest.param(
            DecideOptions(refused=frozenset({("tag", "dog")})), Decision.HIDE, id="refused"
        ),
        pytest.param(
            DecideOptions(refused=frozenset({("studio", "dog")})), Decision.APPLY, id="another kind"
        ),
    ],
)
def test_the_user_has_a_say(options: DecideOptions, decision: Decision) -> None:
    assert only(decide([seen(DOG, [0.9] * 5)], 5, options, STRAIGHT)).decision is decision


DOG_ITSELF = frozenset({("tag", "dog")})


@pytest.mark.parametrize(
    ("options", "decision"),
    [
        pytest.param(DecideOptions(), Decision.HIDE, id="not said"),
        pytest.param(DecideOptions(accepted=DOG_ITSELF), Decision.APPLY, id="accepted"),
        pytest.param(
            DecideOptions(accepted=frozenset({("studio", "dog")})), Decision.HIDE, id="another kind"
        ),
        pytest.param(
            DecideOptions(accepted=DOG_ITSELF, refused=DOG_ITSELF), Decision.HIDE, id="and refused"
        ),
        pytest.param(
            DecideOptions(accepted=DOG_ITSELF, never=frozenset({"dog"})), Decision.HIDE, id="never"
        ),
        pytest.param(
            DecideOptions(accepted=DOG_ITSELF, suggest_only=True),
            Decision.APPLY,
            id="by a person, when only suggesting",
        ),
    ],
)
def test_what_was_accepted_is_written_however_unsure(
    options: DecideOptions, decision: Decision
) -> None:
    assert only(decide([seen(DOG, [0.4] * 5)], 5, options, STRAIGHT)).decision is decision


@pytest.mark.parametrize(
    ("label", "options", "decision"),
    [
        pytest.param(DOG, DecideOptions(), Decision.APPLY, id="learnt"),
        pytest.param(replace(DOG, stated=True), DecideOptions(), Decision.ASK, id="stated"),
        pytest.param(replace(DOG, apply=None), DecideOptions(), Decision.ASK, id="never by itself"),
        pytest.param(DOG, DecideOptions(apply=0.9), Decision.ASK, id="the user's for all"),
        pytest.param(replace(CAT, name="puma"), DecideOptions(), Decision.ASK, id="of another"),
    ],
)
def test_a_learnt_threshold_gives_way_to_the_users(
    label: Label, options: DecideOptions, decision: Decision
) -> None:
    """A score of 0.6 is a probability of 0.69: below what the label says, above what was learnt."""
    found = decide([seen(label, [0.6] * 5)], 5, options, STRAIGHT, {"dog": 0.6})
    assert only(found).decision is decision


def test_a_lower_bar_applies_more() -> None:
    options = DecideOptions(apply=0.6)
    assert only(decide([seen(DOG, [0.6] * 5)], 5, options, STRAIGHT)).decision is Decision.APPLY


def test_never_is_never_whatever_the_settings() -> None:
    private = replace(DOG, apply=None)
    found = decide([seen(private, [1.0] * 5)], 5, DecideOptions(apply=0.01), STRAIGHT)
    assert only(found).decision is Decision.ASK


def test_a_label_that_never_held_is_not_suggested() -> None:
    assert decide([seen(DOG, [0.9] * 5, ranges=[])], 5) == ()


@pytest.mark.parametrize("duration_s", [None, 0.0])
def test_a_picture_needs_no_ranges(duration_s: float | None) -> None:
    held = Seen(DOG, "objects", "yolo@1", (Sample(0.0, 0.9),), ())
    weak = Seen(CAT, "objects", "yolo@1", (Sample(0.0, 0.4),), ())
    found = only(decide([held, weak], duration_s, fitted=STRAIGHT))
    assert (found.name, found.decision, found.ranges) == ("Dog", Decision.APPLY, ())
    assert [e.time_s for e in found.evidence] == [0.0]


def test_two_labels_of_one_tag_are_one_suggestion() -> None:
    """The greater probability counts: two networks that see one frame err together."""
    coarse = seen(DOG, [0.7] * 10, ranges=[(0, 4), (8, 10)])
    fine = seen(PUPPY, [0.8] * 10, ranges=[(3, 6)])
    found = only(decide([coarse, fine], 10, fitted=STRAIGHT))
    assert [(r.start_s, r.end_s, r.label) for r in found.ranges] == [
        (0, 6, "puppy"),
        (8, 10, "dog"),
    ]
    assert found.label == "puppy"
    assert found.confidence == pytest.approx(Platt(8, -4).probability(0.8))


def test_evidence_is_spread_over_the_ranges() -> None:
    scores = [0.9, 0.95, 0.99, 0.98, 0.97, 0.0, 0.0, 0.6, 0.0, 0.0, 0.5, 0.55]
    held = seen(DOG, scores, ranges=[(0, 5), (7, 8), (10, 12)])
    evidence = only(decide([held], 12, fitted=STRAIGHT)).evidence
    assert [e.time_s for e in evidence] == [2.5, 7.5, 11.5, 3.5, 10.5]
    assert all(e.box == Box(0, 0, 0.5, 0.5) and e.model == "yolo@1" for e in evidence)


def test_evidence_of_one_score_is_spread_over_its_range() -> None:
    held = seen(DOG, [0.9] * 41)
    evidence = only(decide([held], 41, fitted=STRAIGHT)).evidence
    assert sorted(e.time_s for e in evidence) == [0.5, 10.5, 20.5, 30.5, 40.5]


def test_evidence_shows_the_best_box_that_is_large_enough() -> None:
    label = replace(DOG, min_share=0.1)
    large, small = Box(0, 0, 0.5, 0.5), Box(0, 0, 0.1, 0.1)
    boxes = tuple(
        Observation("s", 0, 0.4999, "objects", "yolo@1", word, score, box)
        for word, score, box in (
            ("coco/dog", 0.7, large),
            ("coco/dog", 0.99, small),
            ("coco/cat", 0.99, large),
        )
    )
    held = Seen(
        label, "objects", "yolo@1", (Sample(0.5, 0.7),), (TimeRange("dog", 0, 1, 0.7),), boxes
    )
    (evidence,) = only(decide([held], 1)).evidence
    assert (evidence.box, evidence.score) == (large, 0.7)


def test_ranges_are_clipped_to_the_scene() -> None:
    held = Seen(
        DOG,
        "objects",
        "yolo@1",
        (Sample(0.0, 0.9), Sample(10.3, 0.9)),
        (TimeRange("dog", -1, 5, 0.9), TimeRange("dog", 9, 10.5, 0.9)),
    )
    found = only(decide([held], 10))
    assert [(r.start_s, r.end_s) for r in found.ranges] == [(0, 5), (9, 10)]
    assert {e.time_s for e in found.evidence} == {0.0, 10.0}


def test_markers_are_the_ranges_of_a_tag_that_is_shown() -> None:
    found = only(decide([seen(DOG, [0.9] * 10, ranges=[(0, 1), (4, 9)])], 10))
    assert marker_ranges(found) == found.ranges
    assert [(r.start_s, r.end_s) for r in marker_ranges(found, shortest_s=3)] == [(4, 9)]
    assert marker_ranges(replace(found, decision=Decision.HIDE)) == ()
    assert marker_ranges(replace(found, kind="studio")) == ()


def test_studios_are_restrained_by_id_too() -> None:
    studio = Suggestion("studio", "Northlight", "NORTHLIGHT", 0.9, Decision.APPLY, target_id="7")
    by_id = DecideOptions(refused=frozenset({("studio", "7")}))
    by_name = DecideOptions(never=frozenset({"northlight"}))
    assert only(restrain([studio], by_id)).decision is Decision.HIDE
    assert only(restrain([studio], by_name)).decision is Decision.HIDE
    assert only(restrain([studio])).decision is Decision.APPLY


@pytest.mark.parametrize(
    ("scores", "looks", "expected"),
    [
        pytest.param([0.9, 0.8, 0.7, 0.1], 50, 0.8, id="the best three"),
        pytest.param([0.9], 50, 0.5, id="the floor for the missing"),
        pytest.param([0.9], 1, 0.9, id="a picture's only frame"),
        pytest.param([], 0, 0.3, id="nothing"),
    ],
)
def test_the_robust_score(scores: list[float], looks: int, expected: float) -> None:
    assert robust_score(scores, looks, 0.3) == pytest.approx(expected)


# --- Laws ---------------------------------------------------------------------------------------

units = st.floats(0, 1)
edges = st.tuples(st.floats(-10, 110), st.floats(-10, 110))
some_ranges = st.lists(
    st.builds(lambda span, score: TimeRange("x", min(span), max(span), score), edges, units),
    max_size=12,
)


@given(some_ranges, st.floats(0.1, 100))
def test_a_union_is_sorted_disjoint_and_covers_the_same_time(
    ranges: list[TimeRange], duration_s: float
) -> None:
    joined = union(ranges, duration_s)
    assert all(0 <= r.start_s < r.end_s <= duration_s for r in joined)
    assert all(a.end_s < b.start_s for a, b in itertools.pairwise(joined))

    def covered(these: Sequence[TimeRange], time_s: float) -> bool:
        return any(r.start_s < time_s < r.end_s for r in these)

    ends = sorted({0.0, duration_s, *(e for r in ranges for e in (r.start_s, r.end_s))})
    for a, b in itertools.pairwise(e for e in ends if 0 <= e <= duration_s):
        middle = a + (b - a) / 2
        if a < middle < b:
            assert covered(joined, middle) == covered(ranges, middle)


@st.composite
def looks(draw: st.DrawFn) -> Seen:
    label = draw(st.sampled_from([DOG, PUPPY, CAT]))
    scores = draw(st.lists(units, min_size=4, max_size=12))
    first = draw(st.integers(0, len(scores) - 2))
    last = draw(st.integers(first + 1, len(scores)))
    return seen(label, scores, ranges=[(first, last)])


@given(st.lists(looks(), max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_what_was_seen_means_nothing(held: list[Seen], rng: random.Random) -> None:
    shuffled = list(held)
    rng.shuffle(shuffled)
    found = decide(held, 12)
    assert decide(shuffled, 12) == found
    assert len({s.name for s in found}) == len(found)
    order = [(-s.decision, -s.confidence) for s in found]
    assert order == sorted(order)
    assert all(0 <= s.confidence <= 1 and len(s.evidence) <= 5 for s in found)


@given(st.lists(units, min_size=1, max_size=12), st.floats(0, 0.5))
def test_stronger_scores_never_lower_the_decision(scores: list[float], more: float) -> None:
    weak = only(decide([seen(DOG, scores)], 12))
    strong = only(decide([seen(DOG, [min(1.0, s + more) for s in scores])], 12))
    assert strong.confidence >= weak.confidence
    assert strong.decision >= weak.decision


ASKED = replace(DOG, apply=0.98, asked=True)


@pytest.mark.parametrize(
    ("label", "apply", "learnt", "written"),
    [
        pytest.param(replace(ASKED, asked=False), 0.5, {}, True, id="the setting lowers others"),
        pytest.param(ASKED, 0.5, {}, False, id="not what is only asked about"),
        pytest.param(ASKED, None, {"dog": 0.9}, True, id="what was learnt does"),
        pytest.param(ASKED, 0.5, {"dog": 0.9}, True, id="with the setting below it"),
        pytest.param(ASKED, 0.99, {"dog": 0.9}, False, id="which may still raise it"),
        pytest.param(replace(ASKED, apply=0.9, stated=True), 0.5, {}, True, id="the user's file"),
    ],
)
def test_what_is_only_asked_about_is_written_by_its_own_bar_alone(
    label: Label, apply: float | None, learnt: dict[str, float], written: bool
) -> None:
    options = DecideOptions(apply=apply)
    found = only(decide([seen(label, [0.85] * 9)], 9.0, options, STRAIGHT, learnt))
    assert (found.confidence > 0.9, found.decision is Decision.APPLY) == (True, written)
