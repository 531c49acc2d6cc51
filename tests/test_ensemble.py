"""Several sources of one label: how they are weighed, what opens a network, what is taken back."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.calibration import Platt, pooled, probability
from stash_sense_plugin.inference.catalogue import load_catalogue
from stash_sense_plugin.learning import report
from stash_sense_plugin.learning.evaluation import (
    Findings,
    LabelColumn,
    SceneRow,
    TagColumn,
    evaluate,
)
from stash_sense_plugin.library.looks import kept_looks, read_looks
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.pipeline.deciding import conclude, decide_all, digest
from stash_sense_plugin.pipeline.gating import gates_of, through_gates
from stash_sense_plugin.pipeline.parts import DecideScene, Gate, Look, Parts
from stash_sense_plugin.records import (
    Box,
    Decision,
    FrameSource,
    Observation,
    Ran,
    Sample,
    Scene,
    SceneResult,
    Skipped,
    Suggestion,
    TimeRange,
)
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.suggestions import DecideOptions, Seen, decide, robust_score
from stash_sense_plugin.tasks.differing import Covering
from stash_sense_plugin.tasks.engine import Engine
from stash_sense_plugin.tasks.evaluating import FIGURES, PAGE, write_report
from stash_sense_plugin.tasks.looking import Looker, scene_of_file
from stash_sense_plugin.tasks.scoring import Scorer
from stash_sense_plugin.vocabulary import Label, Vocabulary
from tests.real_models import write_overlay
from tests.sweep_kit import ROOT
from tests.test_pipeline import Late
from tests.test_redecide import TIMES, Job, known, print_of, saw

DOG = Label("dog", "Dog", "animal", classes=("coco/dog",), shortest_s=0.0)
BY_CLIP = replace(DOG, name="dog (clip)", of="dog", classes=(), prompts=("a dog",))
BY_TAGGER = replace(DOG, name="dog (danbooru)", of="dog", classes=("danbooru/dog",), weight=0.5)
CURVES = {
    ("coco", ""): Platt(8.0, -4.0),
    ("clip-free", ""): Platt(4.0, -2.0),
    ("danbooru", ""): Platt(6.0, -3.0),
}
WORDS_OF = {"yolo": "coco", "yolo-b": "coco", "joy": "danbooru", "nsfw": "nsfw"}

shares = st.floats(0.0, 1.0)
weights = st.floats(0.01, 100.0)
voices = st.lists(st.tuples(shares, weights), min_size=1, max_size=5)
NEAR = 1e-9


# --- The pool -------------------------------------------------------------------------------------


@given(shares, weights)
def test_one_source_is_itself_to_the_bit(share: float, weight: float) -> None:
    assert pooled([(share, weight)]) == share


@given(voices, voices)
def test_the_pool_lies_within_its_members(
    holding: list[tuple[float, float]], silent: list[tuple[float, float]]
) -> None:
    told = [each for each, _ in holding]
    assert min(told) <= pooled(holding) <= max(told)
    everybody = [*told, *(each for each, _ in silent)]
    assert min(everybody) <= pooled(holding, silent) <= max(told)


@given(voices, voices, st.data())
def test_the_pool_rises_with_each_member(
    holding: list[tuple[float, float]], silent: list[tuple[float, float]], data: st.DataObject
) -> None:
    before = pooled(holding, silent)
    among = data.draw(st.sampled_from([holding, silent]))
    place = data.draw(st.integers(0, len(among) - 1))
    share, weight = among[place]
    among[place] = (data.draw(st.floats(share, 1.0)), weight)
    assert pooled(holding, silent) >= before - NEAR


@given(voices, voices)
def test_order_does_not_matter(
    holding: list[tuple[float, float]], silent: list[tuple[float, float]]
) -> None:
    assert pooled(holding[::-1], silent[::-1]) == pooled(holding, silent)


@given(st.floats(0.05, 0.95), shares)
def test_a_small_weight_hardly_matters(share: float, other: float) -> None:
    assert pooled([(share, 1.0), (other, 0.01)]) == pytest.approx(share, abs=0.04)


@given(voices, voices)
def test_who_saw_nothing_never_speaks_for_it(
    holding: list[tuple[float, float]], silent: list[tuple[float, float]]
) -> None:
    assert pooled(holding, silent) <= pooled(holding) + NEAR


def test_it_is_the_weighted_mean_of_log_odds() -> None:
    told = pooled([(0.9, 1.0), (0.6, 0.5)])
    mean = (math.log(9) + 0.5 * math.log(1.5)) / 1.5
    assert told == pytest.approx(1 / (1 + math.exp(-mean)))


def test_certainty_leaves_the_others_a_say() -> None:
    assert pooled([(1.0, 1.0), (0.0, 1.0)]) == pytest.approx(0.5)
    assert pooled([(1.0, 1.0), (1.0, 2.0)]) == 1.0


# --- Suggestions ----------------------------------------------------------------------------------


def seen(
    label: Label, score: float, spans: Sequence[tuple[float, float]] = ((0.0, 10.0),),
    detector: str = "objects", model: str = "yolo@1", first_s: float = 0.5,
) -> Seen:  # fmt: skip
    """Ten frames with one score; without spans it did not hold."""
    samples = tuple(Sample(first_s + at, score) for at in range(10))
    ranges = tuple(TimeRange(label.thing, start_s, end_s, score) for start_s, end_s in spans)
    return Seen(label, detector, model, samples, ranges)


def only(found: Sequence[Suggestion]) -> Suggestion:
    (one,) = found
    return one


def told(label: Label, score: float) -> float:
    return probability(label.scale, label.thing, score, CURVES)


CLIP_SAW = seen(BY_CLIP, 0.9, [(2, 6)], "clip", "vit@1", 0.25)


def test_sources_of_one_label_are_weighed_and_their_ranges_joined() -> None:
    found = only(decide([seen(DOG, 0.9, [(0, 3)]), CLIP_SAW], 10.0, fitted=CURVES))
    robust = robust_score([0.9] * 3, 10, DOG.stay)
    assert found.confidence == pooled([(told(DOG, robust), 1.0), (told(BY_CLIP, 0.9), 1.0)])
    assert (found.name, found.label) == ("Dog", "dog")
    assert [(part.start_s, part.end_s) for part in found.ranges] == [(0, 6)]


def test_one_source_is_decided_as_if_there_were_no_other() -> None:
    """Nobody looked with CLIP: that is no evidence."""
    alone = replace(DOG, name="dog", of="")
    assert decide([seen(DOG, 0.8)], 10.0, fitted=CURVES) == decide(
        [seen(alone, 0.8)], 10.0, fitted=CURVES
    )
    assert only(decide([seen(DOG, 0.8)], 10.0, fitted=CURVES)).confidence == told(DOG, 0.8)


def test_a_source_that_looked_and_saw_nothing_speaks_against_mildly() -> None:
    nothing = seen(BY_CLIP, 0.0, (), "clip", "vit@1")
    found = only(decide([seen(DOG, 0.9), nothing], 10.0, fitted=CURVES))
    assert found.confidence == pooled([(told(DOG, 0.9), 1.0)], [(told(BY_CLIP, BY_CLIP.stay), 1.0)])
    assert 0.5 < found.confidence < told(DOG, 0.9)
    assert {each.detector for each in found.evidence} == {"objects"}


def test_only_silence_is_no_suggestion() -> None:
    assert decide([seen(DOG, 0.0, ()), seen(BY_CLIP, 0.0, ())], 10.0, fitted=CURVES) == ()


def test_two_networks_of_one_source_are_its_members_with_equal_weights() -> None:
    one, other = seen(DOG, 0.9), seen(DOG, 0.6, model="yolo-b@1")
    found = only(decide([one, other], 10.0, fitted=CURVES)).confidence
    assert found == pytest.approx(pooled([(told(DOG, 0.9), 1.0), (told(DOG, 0.6), 1.0)]))
    silent = seen(DOG, 0.0, (), model="yolo-b@1")
    found = only(decide([one, silent], 10.0, fitted=CURVES)).confidence
    assert found == pytest.approx(pooled([(told(DOG, 0.9), 1.0), (told(DOG, DOG.stay), 1.0)]))


def test_things_of_one_tag_are_not_pooled_the_surest_counts() -> None:
    puppy = replace(DOG, name="puppy", classes=("coco/puppy",))
    found = only(decide([seen(DOG, 0.9), seen(puppy, 0.6)], 10.0, fitted=CURVES))
    assert (found.label, found.confidence) == ("dog", told(DOG, 0.9))


@pytest.mark.parametrize("scores", [(0.9, 0.3), (0.55, 0.99)])
def test_the_evidence_shows_every_source(scores: tuple[float, float]) -> None:
    """Scales differ: a network that is never quite sure would show nothing."""
    looks = [seen(DOG, scores[0]), seen(replace(BY_TAGGER, stay=0.2), scores[1], model="joy@1")]
    found = only(decide(looks, 10.0, fitted=CURVES))
    assert {each.model for each in found.evidence} == {"yolo@1", "joy@1"}
    assert len({each.time_s for each in found.evidence}) == len(found.evidence) == 5


def test_the_evidence_of_a_picture_shows_every_source() -> None:
    looks = [
        replace(each, samples=(Sample(0.0, 0.9),), ranges=())
        for each in (seen(DOG, 0.9), seen(BY_TAGGER, 0.9, model="joy@1"))
    ]
    found = only(decide(looks, None, fitted=CURVES))
    assert [(each.time_s, each.model) for each in found.evidence] == [
        (0.0, "joy@1"),
        (0.0, "yolo@1"),
    ]


def test_thresholds_curves_and_never_go_by_the_thing() -> None:
    looks = [seen(BY_TAGGER, 0.9, model="joy@1")]
    sure = {("danbooru", "dog"): Platt(1.0, 5.0)}
    found = only(decide(looks, 10.0, fitted=sure, thresholds={"dog": 0.999}))
    assert (found.decision, found.label) == (Decision.ASK, "dog")
    found = only(decide(looks, 10.0, fitted=sure, thresholds={"dog (danbooru)": 0.999}))
    assert found.decision is Decision.APPLY
    never = DecideOptions(never=frozenset({"dog"}))
    assert only(decide(looks, 10.0, never, sure)).decision is Decision.HIDE


# --- Looks ----------------------------------------------------------------------------------------


def look(
    model: str, seen: Mapping[str, Sequence[float]], detector: str = "objects",
    times: Sequence[float] = TIMES, text: str | None = None,
) -> Look:  # fmt: skip
    """A look with the scores of each word at its times; 0 is not seen."""
    observations = tuple(
        Observation("s", at, times[at], detector, model, word, score, Box(0, 0, 0.5, 0.5), text)
        for word, scores in seen.items()
        for at, score in enumerate(scores)
        if score
    )
    ran = Ran(detector, model, "cpu", "fp32", len(times), 0.0)
    return Look(ran, "sprites", FrameSource.SPRITE, 20.0, tuple(times), observations)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "own.sqlite") as opened:
        yield opened


@pytest.fixture
def parts(store: Store) -> Parts:
    labels = {label.name: label for label in (DOG, BY_CLIP, BY_TAGGER)}
    return Parts(store, Vocabulary(labels), fitted=CURVES, words_of=WORDS_OF)


def concluded(parts: Parts, *looks: Look) -> SceneResult:
    return conclude(Scene("1", "", "clip", None, 20.0), looks, (), parts, Job())


SAW, NOT = {"coco/dog": [0.9] * 20}, {"coco/cat": [0.9] * 20}


@pytest.mark.parametrize(
    ("other", "silent"),
    [
        pytest.param(look("joy@1", {}, "tagger"), BY_TAGGER, id="it looked"),
        pytest.param(look("new@1", {}, "tagger"), None, id="of no catalogue"),
        pytest.param(look("nsfw@1", {}, "tagger"), None, id="other words"),
        pytest.param(look("joy@1", {}, "tagger", ()), None, id="it saw no frame"),
        pytest.param(look("vit@1", {}, "clip"), None, id="vectors that no words fit"),
    ],
)
def test_a_source_is_silent_where_its_detector_looked(
    parts: Parts, other: Look, silent: Label | None
) -> None:
    found = only(concluded(parts, look("yolo@1", SAW), other).suggestions)
    against = [(told(silent, silent.stay), silent.weight)] if silent else []
    assert found.confidence == pooled([(told(DOG, 0.9), 1.0)], against)


def test_two_networks_of_one_word_list_are_two_members(parts: Parts) -> None:
    both = concluded(parts, look("yolo@1", SAW), look("yolo-b@1", SAW))
    assert only(both.suggestions).confidence == pytest.approx(told(DOG, 0.9))
    one = concluded(parts, look("yolo@1", SAW), look("yolo-b@1", NOT))
    mean = (0.9 + DOG.stay) / 2
    assert only(one.suggestions).confidence == pytest.approx(told(DOG, mean))
    assert only(one.suggestions).confidence < only(both.suggestions).confidence


# --- Gates ----------------------------------------------------------------------------------------

ACT = Label("act", "Act", "acts", classes=("nsfw/act",), shortest_s=0.0)
PERSON = Gate(("coco/person",), 0.5)
ALL_ALONG = {"nsfw/act": [0.9] * 20}


@pytest.fixture
def gated(parts: Parts) -> Parts:
    return replace(parts, vocabulary=Vocabulary({"act": ACT}), gates={"nsfw": PERSON})


def acts(parts: Parts, *looks: Look) -> list[tuple[float, float]]:
    return [
        (part.start_s, part.end_s)
        for each in concluded(parts, *looks).suggestions
        for part in each.ranges
    ]


@pytest.mark.parametrize(
    ("person", "holds"),
    [
        pytest.param([0.9] * 20, [(0, 20)], id="open"),
        pytest.param([0.9] * 10 + [0.0] * 10, [(0, 10)], id="half of the time"),
        pytest.param([0.4] * 20, [], id="too faint"),
        pytest.param([0.0] * 20, [], id="closed"),
    ],
)
def test_a_gated_network_speaks_while_its_gate_is_open(
    gated: Parts, person: list[float], holds: list[tuple[float, float]]
) -> None:
    guard = look("yolo@1", {"coco/person": person})
    behind = look("nsfw@1", ALL_ALONG, "tagger")
    assert acts(gated, guard, behind) == acts(gated, behind, guard) == holds
    assert acts(replace(gated, gates={}), behind) == [(0, 20)]


def test_a_gate_is_open_at_the_frames_that_are_nearest(gated: Parts) -> None:
    """The guard looked every five seconds, and saw somebody the second time alone."""
    guard = look("yolo@1", {"coco/person": [0, 0.9, 0, 0]}, times=(0.0, 5.0, 10.0, 15.0))
    assert acts(gated, guard, look("nsfw@1", ALL_ALONG, "tagger")) == [(3, 8)]


def test_a_gate_tells_nothing_of_times_beyond_its_steps(gated: Parts) -> None:
    guard = look("yolo@1", {"coco/person": [0.9] * 3}, times=(0.5, 1.5, 2.5))
    assert acts(gated, guard, look("nsfw@1", ALL_ALONG, "tagger")) == [(0, 4)]


def test_any_network_with_the_words_opens_the_gate(gated: Parts) -> None:
    guards = look("yolo@1", {}), look("yolo-b@1", {"coco/person": [0.9] * 20})
    assert acts(gated, *guards, look("nsfw@1", ALL_ALONG, "tagger")) == [(0, 20)]


def test_no_network_opens_its_own_gate(gated: Parts) -> None:
    own = {"yolo": "coco", "nsfw": "coco"}
    behind = look("nsfw@1", {**ALL_ALONG, "coco/person": [0.9] * 20}, "tagger")
    passed, skipped = through_gates([behind], gated.gates, own)
    assert (passed, len(skipped)) == ([], 1)


def test_without_its_guard_a_gated_look_is_left_out_and_it_is_said(gated: Parts) -> None:
    result = concluded(gated, look("nsfw@1", ALL_ALONG, "tagger"))
    assert result.suggestions == ()
    assert [each.detector for each in result.skipped] == ["tagger (nsfw@1)"]
    assert "coco/person" in result.skipped[0].reason
    assert "yolo, yolo-b" in result.skipped[0].remedy
    # What it said before stays: nobody looked.
    assert not covering(ACT, running={"nsfw"}).covered(result).tag("1", "Act")


def test_a_picture_has_one_frame_for_both(gated: Parts) -> None:
    guard = look("yolo@1", {"coco/person": [0.9]}, times=(0.0,))
    behind = look("nsfw@1", {"nsfw/act": [0.9]}, "tagger", times=(0.0,))
    for each, there in (((guard, behind), 1), ((look("yolo@1", {}, times=(0.0,)), behind), 0)):
        told = [replace(one, duration_s=None) for one in each]
        result = conclude(Scene("1", "", "picture", None, None), told, (), gated, Job())
        assert len(result.suggestions) == there


def test_the_catalogue_says_what_opens_a_network(tmp_path: Path) -> None:
    own = tmp_path / "catalogue.yaml"
    own.write_text(
        "models:\n  nsfw:\n    task: classifier\n    about: acts\n    licence: MIT\n"
        "    commercial: true\n    words: nsfw\n    classes: [act, none]\n"
        "    gate: {words: [coco/person], at_least: 0.4}\n"
        "    files: {network: {path: nsfw.onnx}}\n"
    )
    gates = gates_of(load_catalogue(ROOT / "models" / "catalogue.yaml", own))
    assert gates["nsfw"] == Gate(("coco/person",), 0.4)
    assert "yolox-s" not in gates


# --- Phrases --------------------------------------------------------------------------------------


def test_a_label_is_read_on_screen(parts: Parts) -> None:
    label = Label("bts", "Behind the Scenes", "text", reads=("behind the scenes", "bts"))
    words = replace(parts, vocabulary=Vocabulary({"bts": label}))
    reading = {"text": [0.0] * 5 + [0.9] * 5}
    found = only(
        concluded(words, look("ocr@1", reading, "text", text="BEHINDTHE SCENES")).suggestions
    )
    assert [(part.start_s, part.end_s) for part in found.ranges] == [(5, 10)]
    assert {each.text for each in found.evidence} == {"BEHINDTHE SCENES"}
    assert concluded(words, look("ocr@1", reading, "text", text="SUBTITLES")).suggestions == ()


# --- The store ------------------------------------------------------------------------------------


class Sees(Late):
    """Its looks are in the store."""

    def __init__(self, name: str, model: str) -> None:
        super().__init__(model)
        self.name = name  # type: ignore[misc]


def keep(store: Store, each: Look) -> None:
    saw(store, 0, each.ran.detector, each.ran.model, each.observations)


def test_likeness_is_never_read_to_decide(store: Store, parts: Parts) -> None:
    vector = np.ones(8, np.float32) / np.sqrt(8)
    frames = [
        Observation("s", at, TIMES[at], "similarity", "dino@1", "frame", 1.0, vector=vector)
        for at in range(20)
    ]
    saw(store, 0, "similarity", "dino@1", frames)
    alone = replace(parts, detectors=(Sees("similarity", "dino@1"),))
    assert list(decide_all(store, [known(store, 0)], alone, Job())) == []
    keep(store, look("yolo@1", SAW))
    both = replace(parts, detectors=(*alone.detectors, Sees("objects", "yolo@1")))
    ((_, result, _),) = decide_all(store, [known(store, 0)], both, Job())
    assert [each.detector for each in result.ran] == ["objects"]


def test_words_that_nobody_asks_for_are_not_read(store: Store) -> None:
    keep(store, look("yolo@1", {**SAW, **NOT}))
    file_id = known(store, 0).known.file_id
    [kept] = kept_looks(store, [file_id], [("objects", "yolo@1")]).values()
    for words, number in ((None, 40), ({"coco/dog"}, 20), (set(), 0)):
        found = read_looks(store, [kept], words)[file_id]
        assert isinstance(found, list)
        assert len(found[0].observations) == number
        assert found[0].times_s == tuple(TIMES)


def test_evaluate_scores_each_source_as_deciding_weighs_it(store: Store, parts: Parts) -> None:
    """Two networks of one list, of which one sees nothing, and another source."""
    looks = [
        look("yolo@1", SAW),
        look("yolo-b@1", NOT),
        look("joy@1", {"danbooru/dog": [0.7] * 20}, "tagger"),
    ]
    for each in looks:
        keep(store, each)
    detectors = [Sees(each.ran.detector, each.ran.model) for each in looks]
    scorer = Scorer(store, parts.vocabulary, detectors, None, WORDS_OF, {}, 30.0, 0.0, lambda: None)
    scores = scorer.scores([print_of(0)], 20.0)
    assert {name: each.holds for name, each in scores.items()} == {
        "dog": True,
        "dog (danbooru)": True,
    }
    pool = [(told(label, scores[label.name].score), label.weight) for label in (DOG, BY_TAGGER)]
    ((_, result, _),) = decide_all(
        store, [known(store, 0)], replace(parts, detectors=detectors), Job()
    )
    assert only(result.suggestions).confidence == pooled(pool)


# --- Evaluate -------------------------------------------------------------------------------------


def findings(scores: np.ndarray, holds: np.ndarray, true: np.ndarray) -> Findings:
    """One tag, seen by two sources."""
    columns = [
        LabelColumn("dog", 0, scale, 0.3, 0.6, source=source, weight=weight, stay=0.35)
        for scale, source, weight in (("coco", "coco", 1.0), ("clip-free", "clip", 0.5))
    ]
    rows = [SceneRow(str(at), "", at, frozenset({"1"})) for at in range(len(true))]
    return Findings(
        rows, columns, [TagColumn("1", "Dog")], scores, holds, true[:, None].astype(np.int8),
        fitted=CURVES,
    )  # fmt: skip


def test_a_thing_is_judged_by_all_that_looked_for_it() -> None:
    nobody = math.nan
    scores = np.array([[0.9, 0.9], [0.9, 0.1], [0.9, nobody], [0.1, 0.1], [nobody, 0.9]])
    holds = np.array([[1, 1], [1, 0], [1, 0], [0, 0], [0, 1]], np.bool_)
    found = evaluate(findings(scores, holds, np.array([1, 1, 1, 0, 0])), {})
    sure, unsure = told(DOG, 0.9), told(BY_CLIP, 0.9)
    expected = [
        pooled([(sure, 1.0), (unsure, 0.5)]),
        pooled([(sure, 1.0)], [(told(BY_CLIP, 0.35), 0.5)]),
        sure,
        unsure,
    ]
    [tag] = found.tags
    assert sorted(point.threshold for point in tag.curve) == pytest.approx(sorted(expected))
    assert (tag.scenes, tag.positives, found.calibration.claims) == (5, 3, 4)
    assert (tag.written.right, tag.written.wrong) == (3, 1)


def test_one_threshold_is_offered_for_a_thing_and_a_curve_for_each_source() -> None:
    chance = np.random.default_rng(3)
    true = chance.random(400) < 0.5
    scores = np.clip(true[:, None] * 0.3 + chance.random((400, 2)) * 0.7, 0, 1)
    found = evaluate(findings(scores, scores > 0.35, true), {}, wanted=0.8)
    [offered] = found.thresholds
    assert (offered.label, offered.sources) == ("dog", ("coco", "clip"))
    assert {(each.scale, each.label) for each in found.curves} == {
        ("coco", "dog"),
        ("clip-free", "dog"),
    }
    assert offered.found.precision >= 0.8
    listed = report.as_json(found)
    assert [report.with_sources(each) for each in listed["thresholds"]] == ["dog (coco, clip)"]
    # Together they order scenes better than the better of both alone.
    assert found.tags[0].average_precision is not None
    alone = [
        evaluate(
            replace(
                findings(scores, scores > 0.35, true),
                labels=[LabelColumn("dog", 0, "coco", 0.3, 0.6)],
                scores=scores[:, [place]],
                holds=scores[:, [place]] > 0.35,
            ),
            {},
        )
        .tags[0]
        .average_precision
        for place in (0, 1)
    ]
    assert found.tags[0].average_precision > max(each or 0.0 for each in alone)


def test_a_title_that_holds_no_character_breaks_no_report(tmp_path: Path) -> None:
    scores = np.full((1, 2), 0.9)
    given = findings(scores, scores > 0, np.array([0]))
    name = os.fsdecode(b"clip \xff.mp4")
    titled = replace(given, scenes=[replace(given.scenes[0], title=name)])
    listed = report.as_json(evaluate(titled, {})) | {"coverage": {"not_looked": 0}}
    write_report(tmp_path, listed)
    for file in (FIGURES, PAGE):
        assert "clip ?.mp4" in (tmp_path / file).read_text("utf-8")


# --- What is taken back ---------------------------------------------------------------------------


def covering(*labels: Label, running: set[str], off: set[str] | None = None) -> Covering:
    return Covering(
        Vocabulary({label.name: label for label in labels}),
        WORDS_OF,
        off=frozenset(off or ()),
        detectors_of={
            "coco": frozenset({"objects"}),
            "danbooru": frozenset({"tagger"}),
            "nsfw": frozenset({"tagger"}),
        },
        running=frozenset(running),
    )


def looked(*models: str) -> SceneResult:
    """Looks of networks, or of detectors that have none."""
    ran = tuple(
        Ran("objects" if "@" in model else model, model, "cpu", "fp32", 3, 0.0) for model in models
    )
    return SceneResult("clip", 20.0, {}, ran=ran)


BOTH = (DOG, BY_TAGGER)


@pytest.mark.parametrize(
    ("labels", "running", "off", "models", "goes"),
    [
        pytest.param(BOTH, {"coco", "danbooru"}, (), ("yolo@1", "joy@1"), True, id="all looked"),
        pytest.param(BOTH, {"coco", "danbooru"}, (), ("yolo@1",), False, id="one is still to look"),
        pytest.param(BOTH, {"coco"}, (), ("yolo@1",), True, id="the other does not run"),
        pytest.param(BOTH, {"coco"}, (), ("joy@1",), False, id="who runs has not looked"),
        pytest.param(BOTH, {"coco"}, (), (), False, id="nobody looked"),
        pytest.param(BOTH, {"coco"}, {"tagger"}, ("yolo@1",), True, id="the other is off"),
        pytest.param(BOTH, {"danbooru"}, {"objects"}, (), False, id="the other is still to look"),
        pytest.param(BOTH, set(), {"objects", "tagger"}, (), True, id="all are off"),
        pytest.param((BY_TAGGER,), {"coco"}, (), ("yolo@1",), False, id="it knew alone"),
        pytest.param((BY_TAGGER,), set(), {"tagger"}, (), True, id="alone, and off"),
        pytest.param((ACT,), {"danbooru"}, (), ("joy@1",), False, id="another tagger looked"),
        pytest.param((), set(), (), (), True, id="no label has it"),
    ],
)
def test_what_every_source_that_can_look_looked_for_is_taken_back(
    labels: tuple[Label, ...], running: set[str], off: set[str], models: tuple[str, ...], goes: bool
) -> None:
    judged = covering(*labels, running=running, off=off)
    result = looked(*models)
    tag = "Act" if labels == (ACT,) else "Dog"
    assert judged.covered(result).tag("7", tag) is goes
    said = {"kind": "tag", "name": tag, "label": "dog", "confidence": 0.7, "decision": "ASK"}
    kept = judged.kept_from(result, {"suggestions": [said]}, DecideOptions())
    assert bool(kept.suggestions) is not goes
    assert judged.is_whole(looked(*models, "text")) is (goes or not labels)


def test_a_network_whose_gate_nobody_watched_has_not_looked() -> None:
    left_out = replace(looked("nsfw@1"), skipped=(Skipped("objects (nsfw@1)", "no gate", ""),))
    judged = covering(ACT, running={"nsfw"})
    assert not judged.covered(left_out).tag("7", "Act")
    assert judged.covered(looked("nsfw@1")).tag("7", "Act")


def test_text_that_was_not_looked_for_takes_no_label_back_without_studios() -> None:
    read = Label("bts", "Behind the Scenes", "text", reads=("bts",))
    judged = covering(read, running={"text"}, off={"studio"})
    assert not judged.covered(looked("yolo@1")).tag("7", "Behind the Scenes")
    assert judged.covered(looked("yolo@1")).studio("7", "Northlight")


def test_studios_go_with_the_text_that_is_switched_off() -> None:
    assert covering(DOG, running={"coco"}, off={"text"}).is_whole(looked("yolo@1"))
    assert not covering(DOG, running={"coco"}).is_whole(looked("yolo@1"))


# --- Real networks --------------------------------------------------------------------------------


@pytest.mark.real
def test_two_real_networks_of_one_list_are_decided_again_as_they_were(
    real: Path, tmp_path: Path
) -> None:
    """YOLOv8n and YOLOX-nano on the labelled video: what both see is weighed, to the same end."""
    home = tmp_path / "home"
    write_overlay(home, real)
    engine = Engine(home, ROOT / "stash_sense_plugin")
    engine.settings = replace(
        Settings(), object_model="yolov8n", also_models="yolox-nano", skip_labels=True,
        skip_text=True, skip_acts=True, skip_quality=True, frames=24, text_frames=8,
        tagger_model="none",
    )  # fmt: skip
    try:
        scene = replace(scene_of_file(real / "videos" / "labelled.mp4"), id="1")
        looker = Looker(engine, Job())
        first = looker.look(scene)
        run = engine.store.begin_run("sweep", {})
        engine.store.save_result(run, "1", scene.fingerprint, first.as_json())
        (listed,) = engine.store.decidable("")
        again = list(decide_all(engine.store, [DecideScene(listed)], looker.parts(), Job()))
    finally:
        engine.close()
    ((_, result, mark),) = again
    assert result.suggestions == first.suggestions
    assert mark == digest(first)
    ran = {each.model.partition("@")[0] for each in first.ran}
    assert {"yolov8n", "yolox-nano"} <= ran
    shown = [{each.model.partition("@")[0] for each in one.evidence} for one in first.suggestions]
    assert {"yolov8n", "yolox-nano"} in shown
