"""Decides what to suggest from what was seen and when: pure.

Deciding is apart from writing: a suggestion carries a confidence, the ranges and frames that show
why, and HIDE, ASK or APPLY.
"""

import bisect
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from stash_sense_plugin.calibration import Curve, pooled, probability
from stash_sense_plugin.records import (
    Box,
    Decision,
    Evidence,
    Observation,
    Sample,
    Suggestion,
    TimeRange,
)
from stash_sense_plugin.vocabulary import Label

ROBUST_FRAMES = 3
"""The best frames whose mean is the score: one lucky frame does not decide."""

MOST_EVIDENCE = 5
"""Frames that are shown to the user for one suggestion."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one detector saw of one label over a scene, in one sampling."""

    label: Label
    detector: str
    model: str
    samples: tuple[Sample, ...]
    ranges: tuple[TimeRange, ...]
    """Of `samples`; empty for a picture, and where the label never held."""
    observations: tuple[Observation, ...] = ()
    """Where in the picture it was, for the evidence's boxes; zero-shot labels have none."""


@dataclass(frozen=True, slots=True)
class DecideOptions:
    """The user's say in what becomes of suggestions."""

    apply: float | None = None
    """Write from this confidence on; None for each label's own. It does not change `never`, and
    never lowers the own bar of a label that is only `asked` about."""
    suggest_only: bool = False
    """Ask, where it would be written."""
    never: frozenset[str] = frozenset()
    """Names of tags and labels that are never suggested, casefolded."""
    refused: frozenset[tuple[str, str]] = frozenset()
    """(kind, id or casefolded name) of what the user refused for this scene."""
    accepted: frozenset[tuple[str, str]] = frozenset()
    """The same of what the user accepted: written whatever the confidence, once it was seen."""
    max_gap_s: float = 30.0
    """The cap of timeline.rule_for."""


PLAIN = DecideOptions()


@dataclass(frozen=True, slots=True)
class Learnt:
    """What evaluation learnt and the user agreed to."""

    fitted: Mapping[tuple[str, str], Curve] = field(default_factory=dict)
    """By (scale, thing): what makes a probability of a score; "" for a scale as a whole."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """By thing: the confidence from which it is written. What the user states goes before it."""


NOTHING_LEARNT = Learnt()


@dataclass(frozen=True, slots=True)
class Held:
    """A label that was there, with the frames that say so."""

    label: Label
    detector: str
    model: str
    looks: int
    """How many frames were looked at."""
    times_s: Sequence[float]
    """Of the frames in the ranges that are not below `stay`."""
    scores: Sequence[float]
    """One for each time."""
    ranges: tuple[TimeRange, ...]
    boxes: Mapping[float, Observation] = field(default_factory=dict)
    """The best that was seen at a time."""


def decide(
    seen: Iterable[Seen],
    duration_s: float | None,
    options: DecideOptions = PLAIN,
    fitted: Mapping[tuple[str, str], Curve] = MappingProxyType({}),
    thresholds: Mapping[str, float] = MappingProxyType({}),
) -> tuple[Suggestion, ...]:
    """One suggestion per tag that was seen, the most certain first: see `decide_held`."""
    held: list[Held] = []
    silent: list[Label] = []
    for one in seen:
        if (there := holding(one, duration_s)) is not None:
            held.append(there)
        else:
            silent.append(one.label)
    return decide_held(held, duration_s, options, Learnt(fitted, thresholds), silent)


def decide_held(
    held: Iterable[Held],
    duration_s: float | None,
    options: DecideOptions = PLAIN,
    learnt: Learnt = NOTHING_LEARNT,
    silent: Iterable[Label] = (),
) -> tuple[Suggestion, ...]:
    """One suggestion per tag that was seen, the most certain first.

    Labels of one thing are its sources, and are weighed together (see `weighed`). `silent` are
    those whose detector looked at the scene and saw too little, each as often as a network did so;
    sources that nobody looked with are neither for a thing nor against it.

    Of the things of one tag the surest counts. Noisy-or would be too sure: two networks that look
    at the same frame err together, and so do two labels for the same thing. The ranges of all are
    joined. A scene of unknown length is treated like a picture: what was seen counts, and has no
    ranges.
    """
    end_s = known_length(duration_s)
    tags: defaultdict[str, list[Held]] = defaultdict(list)
    for one in held:
        tags[one.label.tag.casefold()].append(one)
    quiet: defaultdict[str, list[Label]] = defaultdict(list)
    for label in silent:
        quiet[label.thing].append(label)
    found = (_suggestion(each, quiet, end_s, options, learnt) for each in tags.values())
    return restrain(found, options)


def known_length(duration_s: float | None) -> float | None:
    """Return a scene's length where it has one."""
    return duration_s if duration_s and 0 < duration_s < math.inf else None


def holding(seen: Seen, duration_s: float | None) -> Held | None:
    """Return what was seen of a label that was there; None where it was not."""
    times = [sample.time_s for sample in seen.samples]
    scores = [sample.score for sample in seen.samples]
    held = hold(seen.label, seen.detector, seen.model, times, scores, seen.ranges, duration_s)
    return replace(held, boxes=_best_seen(seen)) if held and seen.observations else held


def hold(
    label: Label,
    detector: str,
    model: str,
    times_s: Sequence[float],
    scores: Sequence[float],
    ranges: tuple[TimeRange, ...],
    duration_s: float | None,
) -> Held | None:
    """Return a label that was there: somewhere in a scene, at all in a picture; else None.

    `times_s` are different ones in order, with one score for each.
    """
    end_s = known_length(duration_s)
    if end_s is None:
        if not any(score >= label.enter for score in scores):
            return None
        inside = [(t, s) for t, s in zip(times_s, scores, strict=True) if s >= label.stay]
    elif not ranges:
        return None
    else:
        inside = _inside(label.stay, times_s, scores, ranges, end_s)
    times = [time for time, _ in inside]
    best = [score for _, score in inside]
    return Held(label, detector, model, len(times_s), times, best, ranges)


def restrain(
    suggestions: Iterable[Suggestion], options: DecideOptions = PLAIN
) -> tuple[Suggestion, ...]:
    """Suggestions of any kind within the user's bounds, in the order of their certainty.

    What the user refused or never wants is hidden, and before that what was accepted is applied;
    nothing else is applied when only suggesting.
    """
    bounded = (_restrained(suggestion, options) for suggestion in suggestions)
    return tuple(
        sorted(
            bounded, key=lambda s: (-s.decision, -s.confidence, s.kind, s.name, s.target_id or "")
        )
    )


def marker_ranges(suggestion: Suggestion, shortest_s: float = 0.0) -> tuple[TimeRange, ...]:
    """The ranges that become markers: those of a tag that is not hidden, long enough to visit."""
    if suggestion.kind != "tag" or suggestion.decision is Decision.HIDE:
        return ()
    return tuple(r for r in suggestion.ranges if r.end_s - r.start_s >= shortest_s)


def union(ranges: Iterable[TimeRange], duration_s: float | None) -> tuple[TimeRange, ...]:
    """Join ranges that overlap or touch, clipped to the scene; each takes its best part's label."""
    end_s = math.inf if duration_s is None else duration_s
    clipped = [
        r if r.start_s >= 0.0 and r.end_s <= end_s else _clipped(r, end_s)
        for r in ranges
        if r.start_s < end_s and r.end_s > 0 and r.start_s < r.end_s
    ]
    joined: list[TimeRange] = []
    for one in sorted(clipped, key=lambda r: (r.start_s, r.end_s, r.label)):
        if joined and one.start_s <= joined[-1].end_s:
            joined[-1] = _both(joined[-1], one)
        else:
            joined.append(one)
    return tuple(joined)


def _clipped(one: TimeRange, end_s: float) -> TimeRange:
    return replace(one, start_s=max(0.0, one.start_s), end_s=min(end_s, one.end_s))


def _both(one: TimeRange, other: TimeRange) -> TimeRange:
    best = min(one, other, key=lambda r: (-r.score, r.label))
    return TimeRange(best.label, one.start_s, max(one.end_s, other.end_s), best.score)


# --- Deciding -----------------------------------------------------------------------------------


def _suggestion(
    held: Sequence[Held],
    silent: Mapping[str, Sequence[Label]],
    duration_s: float | None,
    options: DecideOptions,
    learnt: Learnt,
) -> Suggestion:
    things: defaultdict[str, list[Held]] = defaultdict(list)
    for one in held:
        things[one.label.thing].append(one)
    said = []
    for thing, sources in things.items():
        confidence = weighed(sources, silent.get(thing, ()), learnt)
        decision = _decision([each.label for each in sources], confidence, options, learnt)
        said.append((-decision, -confidence, thing))
    worst, unsure, thing = min(said)
    ranges = union((r for one in held for r in one.ranges), duration_s)
    return Suggestion(
        kind="tag",
        name=min(each.label.tag for each in things[thing]),
        label=thing,
        confidence=-unsure,
        decision=Decision(-worst),
        ranges=ranges,
        evidence=_evidence(held, ranges, duration_s),
    )


def weighed(held: Sequence[Held], silent: Sequence[Label], learnt: Learnt) -> float:
    """How likely one thing is, by all that looked for it (see `calibration.pooled`).

    Each source has its own curve and weight. One that looked and saw too little counts with the
    probability at its `stay`, as `robust_score` fills frames that are missing: it is the least that
    a source may say for a thing that it saw, so nothing jumps where it begins to hold. Networks of
    one source share its words, its curve and its weight, for they err alike: the mean of their
    scores is the source's, which by Platt's curve is the pool of them with equal weights.
    """
    if len(held) == 1 and not silent:
        return _probability(held[0].label, _score(held[0]), learnt)
    labels = {one.label.name: one.label for one in held}
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for one in held:
        scores[one.label.name].append(_score(one))
    quiet = {label.name: label for label in silent if label.name not in labels}
    for label in silent:
        if label.name in labels:
            scores[label.name].append(label.stay)
    seen = [
        (_probability(labels[name], math.fsum(each) / len(each), learnt), labels[name].weight)
        for name, each in scores.items()
    ]
    unseen = [(_probability(each, each.stay, learnt), each.weight) for each in quiet.values()]
    return pooled(seen, unseen)


def _score(held: Held) -> float:
    return robust_score(held.scores, held.looks, held.label.stay)


def _probability(label: Label, score: float, learnt: Learnt) -> float:
    return probability(label.scale, label.thing, score, learnt.fitted)


def robust_score(scores: Iterable[float], looks: int, floor: float) -> float:
    """The mean of the best few scores; where fewer held, `floor` stands for each that is missing.

    So one frame among many counts for less than three, and a picture's only frame for itself.
    `looks` is how many frames there were.
    """
    wanted = max(1, min(ROBUST_FRAMES, looks))
    best = sorted(scores, reverse=True)[:wanted]
    missing = wanted - len(best)
    return math.fsum([*best, *([floor] * missing)]) / wanted


def _inside(
    stay: float,
    times_s: Sequence[float],
    scores: Sequence[float],
    ranges: Sequence[TimeRange],
    end_s: float,
) -> list[tuple[float, float]]:
    """Return (time, score) of the frames that hold: not below `stay`, and in a range."""
    ordered = sorted(ranges, key=lambda r: r.start_s)
    strong = [pair for pair in zip(times_s, scores, strict=True) if pair[1] >= stay]
    kept = []
    at, last = -1, len(ordered) - 1
    for pair in strong:
        inside_s = _within(pair[0], end_s)
        while at < last and ordered[at + 1].start_s <= inside_s:
            at += 1
        if at >= 0 and inside_s <= ordered[at].end_s:
            kept.append(pair)
    return kept


def _within(time_s: float, end_s: float) -> float:
    """Return the time, or the nearer end of the scene where it lies outside."""
    return time_s if 0.0 <= time_s <= end_s else min(max(time_s, 0.0), end_s)


def _decision(
    labels: Sequence[Label], confidence: float, options: DecideOptions, learnt: Learnt
) -> Decision:
    """Decide on one thing by the labels of all that saw it: the least of their bars holds."""
    bars = [
        bar
        for each in labels
        if (bar := written_from(each, options.apply, learnt.thresholds)) is not None
    ]
    if bars and confidence >= min(bars):
        return Decision.APPLY
    return Decision.ASK if confidence >= labels[0].ask else Decision.HIDE


def written_from(
    label: Label, setting: float | None, thresholds: Mapping[str, float]
) -> float | None:
    """Return the confidence from which a thing is written, None for never.

    What the user's file states goes before what was learnt (`thresholds`, by thing), and the
    setting for all labels before both; but what is only asked about is not written sooner for it.
    """
    if label.apply is None:
        return None
    own = label.apply if label.stated else thresholds.get(label.thing, label.apply)
    if setting is None:
        return own
    return max(setting, own) if label.asked else setting


def _restrained(suggestion: Suggestion, options: DecideOptions) -> Suggestion:
    name = suggestion.name.casefold()
    words = {(suggestion.kind, name), (suggestion.kind, suggestion.target_id or name)}
    accepted = bool(options.accepted & words)
    decision = Decision.APPLY if accepted else suggestion.decision
    if options.never & {name, suggestion.label.casefold()} or options.refused & words:
        decision = Decision.HIDE
    elif options.suggest_only and decision is Decision.APPLY and not accepted:
        decision = Decision.ASK
    return suggestion if decision is suggestion.decision else replace(suggestion, decision=decision)


# --- Evidence -----------------------------------------------------------------------------------


_Frame = tuple[float, float, str, str, bool, tuple[float, ...], int, float]
"""A frame to be sorted: its score (less is more), time, detector, model, whether it has no box,
the box's corner, its place in `held`, and its time there."""


def _evidence(
    held: Sequence[Held], ranges: Sequence[TimeRange], duration_s: float | None
) -> tuple[Evidence, ...]:
    """The best frames, spread: the best of each range first, then the second best of each.

    Where several sources or networks saw one thing, each of them shows its best.
    """
    end_s = math.inf if duration_s is None else duration_s
    if _are_fused(held):
        held = sorted(held, key=_place)
    frames: list[_Frame] = []
    for place, one in enumerate(held):
        frames += _boxed(one, place, end_s) if one.boxes else _plain(one, place, end_s)
    frames.sort()
    ranked = _spread(_apart(frames), ranges)
    if _are_fused(held):
        ranked = _with_each(ranked, frames)
    return tuple(_shown(frame, held) for frame in ranked[:MOST_EVIDENCE])


def _apart(frames: Sequence[_Frame]) -> Iterator[_Frame]:
    """Of many frames of one score put some first that lie far apart: five in a row show no more."""
    start = 0
    while start < len(frames):
        end = start + 1
        while end < len(frames) and frames[end][0] == frames[start][0]:
            end += 1
        tied = frames[start:end]
        chosen: list[int] = []
        if len(tied) > MOST_EVIDENCE:
            step = (len(tied) - 1) / (MOST_EVIDENCE - 1)
            chosen = [round(step * turn) for turn in range(MOST_EVIDENCE)]
        yield from (tied[place] for place in chosen)
        yield from (frame for place, frame in enumerate(tied) if place not in chosen)
        start = end


def _are_fused(held: Sequence[Held]) -> bool:
    """Whether one thing was seen by several."""
    return len(held) > len({one.label.thing for one in held})


def _place(held: Held) -> tuple[object, ...]:
    """Order those that saw one thing, whatever the order in which they looked."""
    label = held.label
    return label.thing, label.name, held.detector, held.model, [*held.times_s], [*held.scores]


def _spread(frames: Iterable[_Frame], ranges: Sequence[TimeRange]) -> list[_Frame]:
    """Take one frame of each time, by its turn in its range; frames come the best first."""
    starts = [r.start_s for r in ranges]
    turns: defaultdict[int, int] = defaultdict(int)
    taken: set[float] = set()
    ranked = []
    for frame in frames:
        time_s = frame[1]
        if time_s not in taken:
            taken.add(time_s)
            place = bisect.bisect_right(starts, time_s)
            ranked.append((turns[place], frame))
            turns[place] += 1
    ranked.sort(key=lambda pair: pair[0])
    return [frame for _, frame in ranked]


def _with_each(ranked: Sequence[_Frame], frames: Sequence[_Frame]) -> list[_Frame]:
    """Put the best frame of each that saw it first: of a time that none shows yet, if there is one.

    Scales differ: without this, those that are never quite sure would show nothing.
    """
    own: defaultdict[int, list[_Frame]] = defaultdict(list)
    for frame in frames:
        own[frame[6]].append(frame)
    first: dict[float, _Frame] = {}
    doubled = []
    for each in own.values():
        best = next((frame for frame in each if frame[1] not in first), None)
        if best is None:
            doubled.append(each[0])
        else:
            first[best[1]] = best
    rest = (frame for frame in ranked if frame[1] not in first)
    return [*sorted([*first.values(), *doubled]), *rest]


def _plain(held: Held, place: int, end_s: float) -> list[_Frame]:
    detector, model = held.detector, held.model
    return [
        (-score, _within(time_s, end_s), detector, model, True, (), place, time_s)
        for time_s, score in zip(held.times_s, held.scores, strict=True)
    ]


def _boxed(held: Held, place: int, end_s: float) -> Iterator[_Frame]:
    detector, model = held.detector, held.model
    for time_s, score in zip(held.times_s, held.scores, strict=True):
        best = held.boxes.get(time_s)
        box = best.box if best else None
        shown_s = _within(time_s, end_s)
        yield (-score, shown_s, detector, model, box is None, _corner(box), place, time_s)


def _shown(frame: _Frame, held: Sequence[Held]) -> Evidence:
    """The frame with the best box that was seen in it."""
    score, time_s, detector, model, _, _, place, own_time_s = frame
    best = held[place].boxes.get(own_time_s)
    box, text = (best.box, best.text) if best else (None, None)
    return Evidence(time_s, -score, detector, model, box, text)


def _best_seen(seen: Seen) -> dict[float, Observation]:
    """The best observation of each sample's time, the sample nearest to it being its own."""
    times = sorted(sample.time_s for sample in seen.samples)
    best: dict[float, Observation] = {}
    for one in seen.observations:
        small = one.box is not None and one.box.w * one.box.h < seen.label.min_share
        if not times or small or one.label not in seen.label.words:
            continue
        after = min(bisect.bisect_left(times, one.time_s), len(times) - 1)
        time = min(times[max(0, after - 1)], times[after], key=lambda t: abs(t - one.time_s))
        if time not in best or _rank(one) > _rank(best[time]):
            best[time] = one
    return best


def _rank(one: Observation) -> tuple[float, tuple[float, ...], str]:
    """By score; the rest only makes the choice the same in whatever order they come."""
    return one.score, _corner(one.box), one.text or ""


def _corner(box: Box | None) -> tuple[float, ...]:
    return () if box is None else (box.x, box.y, box.w, box.h)
