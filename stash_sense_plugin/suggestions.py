"""Decides what to suggest from what was seen and when: pure.

Deciding is apart from writing: a suggestion carries a confidence, the ranges and frames that show
why, and HIDE, ASK or APPLY.
"""

import bisect
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from stash_sense_plugin.calibration import Curve, probability
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
    """Write from this confidence on; None for each label's own. It does not change `never`."""
    suggest_only: bool = False
    """Ask, where it would be written."""
    never: frozenset[str] = frozenset()
    """Names of tags and labels that are never suggested, casefolded."""
    refused: frozenset[tuple[str, str]] = frozenset()
    """(kind, id or casefolded name) of what the user refused for this scene."""
    max_gap_s: float = 30.0
    """The cap of timeline.rule_for."""


PLAIN = DecideOptions()


def decide(
    seen: Iterable[Seen],
    duration_s: float | None,
    options: DecideOptions = PLAIN,
    fitted: Mapping[tuple[str, str], Curve] = MappingProxyType({}),
) -> tuple[Suggestion, ...]:
    """One suggestion per tag that was seen, the most certain first.

    Labels of one tag, and detectors of one label, join their ranges; of their probabilities the
    greatest counts. Noisy-or would be too sure: two networks that look at the same frame err
    together, and so do two labels for the same thing. A scene of unknown length is treated like a
    picture: what was seen counts, and has no ranges.
    """
    end_s = duration_s if duration_s and 0 < duration_s < math.inf else None
    tags: defaultdict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        if _holds(one, end_s):
            tags[one.label.tag.casefold()].append(one)
    found = (_suggestion(held, end_s, options, fitted) for held in tags.values())
    return restrain(found, options)


def restrain(
    suggestions: Iterable[Suggestion], options: DecideOptions = PLAIN
) -> tuple[Suggestion, ...]:
    """Suggestions of any kind within the user's bounds, in the order of their certainty.

    What the user refused or never wants is hidden; nothing is applied when only suggesting.
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
        replace(r, start_s=max(0.0, r.start_s), end_s=min(end_s, r.end_s))
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


def _both(one: TimeRange, other: TimeRange) -> TimeRange:
    best = min(one, other, key=lambda r: (-r.score, r.label))
    return TimeRange(best.label, one.start_s, max(one.end_s, other.end_s), best.score)


# --- Deciding -----------------------------------------------------------------------------------


def _holds(seen: Seen, duration_s: float | None) -> bool:
    """Whether the label was there: somewhere in a scene, at all in a picture."""
    if duration_s is None:
        return any(sample.score >= seen.label.enter for sample in seen.samples)
    return bool(seen.ranges)


def _suggestion(
    held: Sequence[Seen],
    duration_s: float | None,
    options: DecideOptions,
    fitted: Mapping[tuple[str, str], Curve],
) -> Suggestion:
    ranges = union((r for one in held for r in one.ranges), duration_s)
    judged = [(one, _confidence(one, duration_s, fitted)) for one in held]
    best, confidence = min(
        judged, key=lambda j: (-_decision(j[0].label, j[1], options), -j[1], j[0].label.name)
    )
    return Suggestion(
        kind="tag",
        name=best.label.tag,
        label=best.label.name,
        confidence=confidence,
        decision=_decision(best.label, confidence, options),
        ranges=ranges,
        evidence=_evidence(held, ranges, duration_s),
    )


def _confidence(
    seen: Seen, duration_s: float | None, fitted: Mapping[tuple[str, str], Curve]
) -> float:
    scores = [sample.score for sample in _inside(seen, duration_s)]
    score = robust_score(scores, len(seen.samples), seen.label.stay)
    return probability(seen.label.scale, seen.label.name, score, fitted)


def robust_score(scores: Iterable[float], looks: int, floor: float) -> float:
    """The mean of the best few scores; where fewer held, `floor` stands for each that is missing.

    So one frame among many counts for less than three, and a picture's only frame for itself.
    `looks` is how many frames there were.
    """
    wanted = max(1, min(ROBUST_FRAMES, looks))
    best = sorted(scores, reverse=True)[:wanted]
    missing = wanted - len(best)
    return math.fsum([*best, *([floor] * missing)]) / wanted


def _inside(seen: Seen, duration_s: float | None) -> list[Sample]:
    """The samples that hold: not below `stay`, and in the ranges of a scene that has a length."""
    strong = [sample for sample in seen.samples if sample.score >= seen.label.stay]
    if duration_s is None:
        return strong
    ordered = sorted(seen.ranges, key=lambda r: r.start_s)
    starts = [r.start_s for r in ordered]
    kept = []
    for sample in strong:
        time_s = min(max(sample.time_s, 0.0), duration_s)
        at = bisect.bisect_right(starts, time_s) - 1
        if at >= 0 and time_s <= ordered[at].end_s:
            kept.append(sample)
    return kept


def _decision(label: Label, confidence: float, options: DecideOptions) -> Decision:
    apply = label.apply if label.apply is None or options.apply is None else options.apply
    if apply is not None and confidence >= apply:
        return Decision.APPLY
    return Decision.ASK if confidence >= label.ask else Decision.HIDE


def _restrained(suggestion: Suggestion, options: DecideOptions) -> Suggestion:
    name = suggestion.name.casefold()
    refused = {(suggestion.kind, name), (suggestion.kind, suggestion.target_id or name)}
    if options.never & {name, suggestion.label.casefold()} or options.refused & refused:
        return replace(suggestion, decision=Decision.HIDE)
    if options.suggest_only and suggestion.decision is Decision.APPLY:
        return replace(suggestion, decision=Decision.ASK)
    return suggestion


# --- Evidence -----------------------------------------------------------------------------------


def _evidence(
    held: Sequence[Seen], ranges: Sequence[TimeRange], duration_s: float | None
) -> tuple[Evidence, ...]:
    """The best frames, spread: the best of each range first, then the second best of each."""
    frames = sorted(
        (frame for one in held for frame in _shown(one, duration_s)),
        key=lambda e: (-e.score, e.time_s, e.detector, e.model, e.box is None, _corner(e.box)),
    )
    starts = [r.start_s for r in ranges]
    turns: defaultdict[int, int] = defaultdict(int)
    taken: set[float] = set()
    ranked = []
    for frame in frames:
        if frame.time_s not in taken:
            taken.add(frame.time_s)
            place = bisect.bisect_right(starts, frame.time_s)
            ranked.append((turns[place], frame))
            turns[place] += 1
    ranked.sort(key=lambda pair: pair[0])
    return tuple(frame for _, frame in ranked[:MOST_EVIDENCE])


def _shown(seen: Seen, duration_s: float | None) -> list[Evidence]:
    """The frames where a label held, each with the best box that was seen in it."""
    boxes = _best_seen(seen)
    end_s = math.inf if duration_s is None else duration_s
    frames = []
    for sample in _inside(seen, duration_s):
        best = boxes.get(sample.time_s)
        frames.append(
            Evidence(
                time_s=min(max(sample.time_s, 0.0), end_s),
                score=sample.score,
                detector=seen.detector,
                model=seen.model,
                box=best.box if best else None,
                text=best.text if best else None,
            )
        )
    return frames


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
