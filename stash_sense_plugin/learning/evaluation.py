"""All figures of one library: what was said beside what is true, and what would be better; pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.calibration import Curve, curve_for, pooled
from stash_sense_plugin.learning import fitting, metrics
from stash_sense_plugin.learning.metrics import Average, Bin, Bools, Counts, Floats
from stash_sense_plugin.learning.thresholds import LEAST_POSITIVES, Threshold, threshold
from stash_sense_plugin.learning.truth import Truth

WANTED = 0.9
"""The precision for which thresholds are sought, unless the user says otherwise."""

MOST_POINTS = 100
"""Points of a tag's curve that are kept: more are not seen in a plot."""

Check = Callable[[], None]
"""Raises to stop."""


def _unchecked() -> None:
    """Let it go on."""


@dataclass(frozen=True, slots=True)
class LabelColumn:
    """One label of the vocabulary, as far as deciding goes by it: a thing as one source sees it."""

    name: str
    """The thing's: columns of one name are weighed together."""
    tag: int
    """The place of its tag."""
    scale: str
    ask: float
    apply: float | None
    """The confidence from which it is written now; None for never."""
    fixed: bool = False
    """The user's own file says from when it is written: no threshold is offered."""
    source: str = ""
    """Who sees it, for people."""
    weight: float = 1.0
    """How much it counts beside the other columns of its thing."""
    stay: float = 0.0
    """The score that stands for it where it looked and did not hold."""


@dataclass(frozen=True, slots=True)
class TagColumn:
    """One tag that we can say and the user gives."""

    id: str
    """Stash's."""
    name: str


@dataclass(frozen=True, slots=True)
class SceneRow:
    """One scene that is judged."""

    id: str
    title: str
    group: int
    """Scenes of one group are the same, cut or encoded anew: they are never fitted apart."""
    by_hand: frozenset[str] = frozenset()
    """Ids of all tags that the user gave; empty where only verdicts are known."""


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What was seen of each label in each scene, and what is true."""

    scenes: Sequence[SceneRow]
    labels: Sequence[LabelColumn]
    tags: Sequence[TagColumn]
    scores: Floats
    """Scenes x columns, 0..1: as detectors gave them; nan where none looked for the label."""
    holds: Bools
    """Scenes x columns: whether it was seen for long enough to be a suggestion."""
    truth: NDArray[np.int8]
    """Scenes x tags, as truth.Truth."""
    parents: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Tag id -> ids of the tags above it."""
    fitted: Mapping[tuple[str, str], Curve] = field(default_factory=dict)
    """The curves that are in force."""
    sayable: frozenset[str] = frozenset()
    """Ids of tags that some label has, besides `tags`."""


# --- Answers ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Example:
    """A scene to look at."""

    scene_id: str
    title: str
    confidence: float
    """Of what was said or not said; 0 where it was not seen."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one threshold gives."""

    threshold: float
    precision: float
    recall: float


@dataclass(frozen=True, slots=True)
class TagFigures:
    """How good one tag is."""

    id: str
    name: str
    scenes: int
    """Judged scenes."""
    positives: int
    """Scenes that have it."""
    written: Counts
    """At APPLY: what is written without asking."""
    shown: Counts
    """At ASK or better."""
    average_precision: float | None
    precision_interval: tuple[float, float]
    """Of what is shown; 0 to 1 where nothing is."""
    recall_interval: tuple[float, float]
    curve: tuple[Point, ...]
    wrong: tuple[Example, ...]
    """Said and not true, the surest first."""
    missed: tuple[Example, ...]
    """True and not said, the nearest first."""

    @property
    def enough(self) -> bool:
        """Whether there are enough positives for its figures to be more than a hint."""
        return self.positives >= LEAST_POSITIVES


@dataclass(frozen=True, slots=True)
class Summary:
    """All tags together, at one decision."""

    macro: Average
    micro: Counts
    hierarchical: Counts


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether 80 % sure is right in 80 of 100 cases."""

    claims: int
    error: float | None
    """Expected calibration error."""
    brier: float | None
    bins: tuple[Bin, ...]
    right: tuple[int, ...]
    """Right claims by tenths of confidence, for the histogram."""


@dataclass(frozen=True, slots=True)
class NewCurve:
    """A curve that tells more than the one in force."""

    scale: str
    label: str
    kind: str
    curve: Curve
    positives: int
    negatives: int
    loss_before: float
    loss: float


@dataclass(frozen=True, slots=True)
class NewThreshold:
    """A confidence from which a label would be right as often as is wanted."""

    label: str
    tag: str
    sources: tuple[str, ...]
    """Those who see it."""
    before: float
    recall_before: float
    """Of the label at the threshold and curve in force."""
    precision_before: float | None
    found: Threshold


@dataclass(frozen=True, slots=True)
class Unknown:
    """A tag that the user gives and no label has."""

    id: str
    name: str
    scenes: int
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good it is on this library."""

    wanted: float
    scenes: int
    groups: int
    tags: tuple[TagFigures, ...]
    written: Summary
    shown: Summary
    calibration: Calibration
    calibration_after: Calibration
    """With the new curves, each claim by a curve that did not see its scene."""
    written_after: Summary
    """With the new curves and thresholds, likewise."""
    curves: tuple[NewCurve, ...]
    thresholds: tuple[NewThreshold, ...]
    unknown: tuple[Unknown, ...]
    not_looked_for: tuple[str, ...] = ()
    """Tags of the user's for which every detector is switched off, or never ran."""


# --- Evaluating ---------------------------------------------------------------------------------


def evaluate(
    findings: Findings,
    names: Mapping[str, str],
    wanted: float = WANTED,
    examples: int = 5,
    check: Check = _unchecked,
) -> Evaluation:
    """Judge what is said of each scene by what is true of it.

    `names` are the names of tags by id, `wanted` is the precision that thresholds are sought for,
    `examples` the most scenes that are named with each fault. The order of scenes changes nothing
    but which of equal scenes are named. `check` is called for each label and tag.
    """
    things = _things(findings)
    told = _confidences(findings, check)
    now = _Saying(findings, things, _fused(findings, things, told, findings.fitted, check))
    curves, held_out = _new_curves(findings, told, check)
    fitted = {**findings.fitted, **{(each.scale, each.label): each.curve for each in curves}}
    told_after = _fused(findings, things, held_out, fitted, check)
    offered = _new_thresholds(findings, now, told_after, wanted)
    by_name = {each.label: each.found.apply for each in offered}
    lowered = [replace(each, apply=by_name.get(each.name, each.apply)) for each in things]
    after = _Saying(findings, lowered, told_after)
    figures = []
    for place in range(len(findings.tags)):
        check()
        figures.append(now.figures(place, examples))
    return Evaluation(
        wanted=wanted,
        scenes=len(findings.scenes),
        groups=len({scene.group for scene in findings.scenes}),
        tags=tuple(each for each in figures if each.scenes),
        written=now.summary(now.written),
        shown=now.summary(now.shown),
        calibration=now.calibration(),
        calibration_after=after.calibration(),
        written_after=after.summary(after.written),
        curves=curves,
        thresholds=offered,
        unknown=_unknown(findings, names, examples),
        not_looked_for=tuple(each.name for each in figures if not each.scenes),
    )


def _confidences(findings: Findings, check: Check) -> Floats:
    """What is said of each label in each scene by the curves in force; nan where not judged.

    A learnt curve says of claims what it would have said had it not seen them.
    """
    groups = _groups(findings)
    told = np.full(findings.scores.shape, np.nan)
    for place, label in enumerate(findings.labels):
        check()
        scores = findings.scores[:, place]
        seen = ~np.isnan(scores)
        curve = curve_for(label.scale, label.name, findings.fitted)
        told[seen, place] = fitting.probabilities(curve, scores[seen])
        if {(label.scale, label.name), (label.scale, "")} & findings.fitted.keys():
            claims, true = _column_claims(findings, place)
            told[claims, place] = fitting.unseen(curve, scores[claims], true, groups[claims])
    return told


def _groups(findings: Findings) -> fitting.Groups:
    return np.array([scene.group for scene in findings.scenes], np.int64)


@dataclass(frozen=True, slots=True)
class _Thing:
    """What labels of one name say together."""

    name: str
    tag: int
    ask: float
    apply: float | None
    fixed: bool
    columns: tuple[int, ...]
    sources: tuple[str, ...]


def _things(findings: Findings) -> list[_Thing]:
    columns: defaultdict[str, list[int]] = defaultdict(list)
    for place, label in enumerate(findings.labels):
        columns[label.name].append(place)
    return [_thing(findings.labels, places) for places in columns.values()]


def _thing(labels: Sequence[LabelColumn], places: Sequence[int]) -> _Thing:
    one = labels[places[0]]
    sources = tuple(labels[place].source for place in places)
    return _Thing(one.name, one.tag, one.ask, one.apply, one.fixed, tuple(places), sources)


def _fused(
    findings: Findings,
    things: Sequence[_Thing],
    told: Floats,
    fitted: Mapping[tuple[str, str], Curve],
    check: Check,
) -> Floats:
    """Weigh the columns of each thing together, as deciding does: scenes x things.

    `told` is what each column says (scenes x columns), by the curves `fitted`; nan where nobody
    looked. Where no column holds, all that looked are weighed, for the order of such scenes alone.
    """
    fused = np.full((len(findings.scenes), len(things)), np.nan)
    for place, thing in enumerate(things):
        if len(thing.columns) == 1:
            fused[:, place] = told[:, thing.columns[0]]
            continue
        check()
        weights = [findings.labels[column].weight for column in thing.columns]
        silent = [_at_stay(findings.labels[column], fitted) for column in thing.columns]
        looked = ~np.isnan(told[:, thing.columns])
        held = findings.holds[:, thing.columns] & looked
        for row in np.flatnonzero(looked.any(axis=1)).tolist():
            voices = list(zip(told[row, thing.columns].tolist(), weights, strict=True))
            holding = [voices[at] for at in np.flatnonzero(held[row]).tolist()]
            quiet = [(silent[at], weights[at]) for at in np.flatnonzero(looked[row] & ~held[row])]
            if holding:
                fused[row, place] = pooled(holding, quiet)
            else:
                fused[row, place] = pooled([voices[at] for at in np.flatnonzero(looked[row])])
    return fused


def _at_stay(label: LabelColumn, fitted: Mapping[tuple[str, str], Curve]) -> float:
    return curve_for(label.scale, label.name, fitted).probability(label.stay)


class _Saying:
    """What would be said of the scenes by some confidences and thresholds."""

    def __init__(self, findings: Findings, things: Sequence[_Thing], confidences: Floats) -> None:
        """`confidences` are scenes x things, nan where nobody looked."""
        self._findings = findings
        self.things = things
        self.confidences = confidences
        self._holds: Bools = np.zeros(confidences.shape, np.bool_)
        for place, thing in enumerate(things):
            self._holds[:, place] = findings.holds[:, thing.columns].any(axis=1)
        self.claimed = np.where(self._holds, np.nan_to_num(confidences), 0.0)
        """Scenes x things: 0 where it does not hold."""
        never = np.inf
        to_write = np.array([never if each.apply is None else each.apply for each in things])
        to_show = np.minimum(to_write, [each.ask for each in things])
        self.written = self._by_tag(self._holds & (self.claimed >= to_write))
        self.shown = self._by_tag(self._holds & (self.claimed >= to_show))

    def _by_tag(self, of_things: Bools) -> Bools:
        """Scenes x tags: a tag is said where one of its things is."""
        said = np.zeros(self._findings.truth.shape, np.bool_)
        for place, thing in enumerate(self.things):
            said[:, thing.tag] |= of_things[:, place]
        return said

    # --- One tag

    def figures(self, tag: int, examples: int) -> TagFigures:
        judged = self.judged(tag)
        true = self._findings.truth[judged, tag] == Truth.YES
        written, shown = self.written[judged, tag], self.shown[judged, tag]
        counts = metrics.count(shown, true)
        surest = self._surest(tag)[judged]
        column = self._findings.tags[tag]
        return TagFigures(
            id=column.id,
            name=column.name,
            scenes=len(judged),
            positives=int(true.sum()),
            written=metrics.count(written, true),
            shown=counts,
            average_precision=metrics.average_precision(true, self._ranks(tag)[judged]),
            precision_interval=metrics.interval(counts.right, counts.said),
            recall_interval=metrics.interval(counts.right, counts.there),
            curve=_curve(true, surest),
            wrong=self._examples(judged, surest, shown & ~true, examples),
            missed=self._examples(judged, surest, true & ~shown, examples),
        )

    def judged(self, tag: int) -> NDArray[np.int64]:
        """The scenes of which it is known, and in which somebody looked for it."""
        looked = ~np.isnan(self.confidences[:, self._places(tag)]).all(axis=1)
        known = self._findings.truth[:, tag] != Truth.UNKNOWN
        return np.flatnonzero(looked & known)

    def _places(self, tag: int) -> list[int]:
        return [at for at, thing in enumerate(self.things) if thing.tag == tag]

    def _surest(self, tag: int) -> Floats:
        best: Floats = self.claimed[:, self._places(tag)].max(axis=1)
        return best

    def _ranks(self, tag: int) -> Floats:
        """Order scenes by how sure the tag is: what holds by confidence, then the rest by it.

        So the ranking goes on where nothing is said any more, and its whole worth is seen.
        """
        places = self._places(tag)
        told = np.nan_to_num(self.confidences[:, places])
        ranks: Floats = np.where(self._holds[:, places], 1.0 + told, told).max(axis=1)
        return ranks

    def _examples(
        self, judged: NDArray[np.int64], surest: Floats, which: Bools, most: int
    ) -> tuple[Example, ...]:
        places = np.flatnonzero(which)
        order = sorted(places.tolist(), key=lambda place: (-surest[place], judged[place]))
        return tuple(
            _example(self._findings.scenes[judged[place]], float(surest[place]))
            for place in order[:most]
        )

    # --- All of them

    def summary(self, said: Bools) -> Summary:
        counts = []
        for tag in range(len(self._findings.tags)):
            judged = self.judged(tag)
            true = self._findings.truth[judged, tag] == Truth.YES
            counts.append(metrics.count(said[judged, tag], true))
        return Summary(metrics.macro(counts), metrics.micro(counts), self._hierarchical(said))

    def _hierarchical(self, said: Bools) -> Counts:
        """Over the scenes that the user tagged; of the tree what we can say and the user does."""
        findings = self._findings
        ids = [tag.id for tag in findings.tags]
        known = np.zeros(findings.truth.shape, np.bool_)
        for tag in range(len(ids)):
            known[self.judged(tag), tag] = True
        tagged = [at for at, scene in enumerate(findings.scenes) if scene.by_hand]
        claims = [_named(ids, said[at] & known[at]) for at in tagged]
        # What is not judged is neither right nor missed; what we can say is true as it is of tags.
        true: Bools = known & (findings.truth == Truth.YES)
        facts = [
            (findings.scenes[at].by_hand - frozenset(ids)) | _named(ids, true[at]) for at in tagged
        ]
        judged = [tag_id for tag_id, scenes in zip(ids, known.T, strict=True) if scenes.any()]
        universe = metrics.with_ancestors(judged, findings.parents)
        given = frozenset().union(*facts, *(findings.scenes[at].by_hand for at in tagged))
        universe &= metrics.with_ancestors(given, findings.parents)
        return metrics.hierarchical(claims, facts, findings.parents, universe)

    def calibration(self) -> Calibration:
        """Over all claims: a thing that holds in a scene of which the truth is known."""
        told, rights = [], []
        for place in range(len(self.things)):
            claims, true = self.claims(place)
            told.append(self.confidences[claims, place])
            rights.append(true)
        confidences, true = np.concatenate([*told, []]), np.concatenate([*rights, []]) > 0
        bins = metrics.reliability(confidences, true)
        return Calibration(
            claims=len(confidences),
            error=metrics.calibration_error(bins),
            brier=metrics.brier(confidences, true),
            bins=bins,
            right=tuple(round(each.right * each.claims) for each in bins),
        )

    def claims(self, place: int) -> tuple[NDArray[np.int64], Bools]:
        """The scenes in which a thing holds and the truth is known, and whether it is right."""
        return _claims(self._findings, self._holds[:, place], self.things[place].tag)


def _claims(findings: Findings, holds: Bools, tag: int) -> tuple[NDArray[np.int64], Bools]:
    """The scenes in which a label holds and of which it is known whether that is right."""
    truth = findings.truth[:, tag]
    claims = np.flatnonzero(holds & (truth != Truth.UNKNOWN))
    return claims, truth[claims] == Truth.YES


def _column_claims(findings: Findings, place: int) -> tuple[NDArray[np.int64], Bools]:
    return _claims(findings, findings.holds[:, place], findings.labels[place].tag)


def _named(ids: Sequence[str], which: Bools) -> frozenset[str]:
    return frozenset(ids[tag] for tag in np.flatnonzero(which).tolist())


def _curve(true: Bools, surest: Floats) -> tuple[Point, ...]:
    """What some confidences give, evenly among all that occur, the highest and the lowest too.

    What holds nowhere is never said.
    """
    found = metrics.precision_recall(true, surest)
    said = np.flatnonzero(found.thresholds > 0)
    if len(said) > MOST_POINTS:
        said = said[np.linspace(0, len(said) - 1, MOST_POINTS).round().astype(np.int64)]
    columns = (found.thresholds[said], found.precision[said], found.recall[said])
    return tuple(Point(*row) for row in np.stack(columns, axis=1).tolist())


def _example(scene: SceneRow, confidence: float) -> Example:
    return Example(scene.id, scene.title, confidence)


# --- What would be better -----------------------------------------------------------------------


def _new_curves(
    findings: Findings, now: Floats, check: Check
) -> tuple[tuple[NewCurve, ...], Floats]:
    """Fit what can be; also the confidences, each by a curve that did not see its scene."""
    groups = _groups(findings)
    curves, held_out = [], now.copy()
    for place, label in enumerate(findings.labels):
        check()
        claims, true = _column_claims(findings, place)
        scores, before = findings.scores[claims, place], now[claims, place]
        found = fitting.fit(scores, true, groups[claims], before)
        if found is None:
            continue
        # Of what does not hold, and of what is not known, the whole curve speaks.
        seen = ~np.isnan(findings.scores[:, place])
        told = fitting.probabilities(found.curve, findings.scores[seen, place])
        held_out[seen, place] = told
        held_out[claims, place] = found.held_out
        counts = (found.positives, found.negatives)
        losses = (found.loss_before, found.loss)
        curves.append(NewCurve(label.scale, label.name, found.kind, found.curve, *counts, *losses))
    return tuple(curves), held_out


def _new_thresholds(
    findings: Findings, now: _Saying, held_out: Floats, wanted: float
) -> tuple[NewThreshold, ...]:
    """Seek thresholds for things; `held_out` (scenes x things) are by curves that saw no claim."""
    found = []
    for place, thing in enumerate(now.things):
        if thing.apply is None or thing.fixed:
            continue
        claims, true = now.claims(place)
        looked = now.judged(thing.tag)
        positives = int((findings.truth[looked, thing.tag] == Truth.YES).sum())
        offered = threshold(held_out[claims, place], true, positives, wanted)
        if offered is None:
            continue
        before = metrics.count(now.claimed[claims, place] >= thing.apply, true)
        before = replace(before, missed=positives - before.right)
        tag = findings.tags[thing.tag].name
        shares = before.recall or 0.0, before.precision
        found.append(NewThreshold(thing.name, tag, thing.sources, thing.apply, *shares, offered))
    return tuple(found)


# --- What nobody looks for ----------------------------------------------------------------------


def _unknown(findings: Findings, names: Mapping[str, str], examples: int) -> tuple[Unknown, ...]:
    """The tags that the user gives and no label has, the most frequent first."""
    known = {tag.id for tag in findings.tags} | findings.sayable
    uses = Counter(
        tag_id for scene in findings.scenes for tag_id in scene.by_hand if tag_id not in known
    )
    order = sorted(uses, key=lambda tag_id: (-uses[tag_id], names.get(tag_id, ""), tag_id))
    return tuple(
        Unknown(tag_id, names.get(tag_id, tag_id), uses[tag_id], _with(findings, tag_id, examples))
        for tag_id in order
    )


def _with(findings: Findings, tag_id: str, most: int) -> tuple[Example, ...]:
    having = [scene for scene in findings.scenes if tag_id in scene.by_hand]
    return tuple(_example(scene, 0.0) for scene in having[:most])
