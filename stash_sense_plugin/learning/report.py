"""What is told of an evaluation: plain values, JSON, and some lines of text; pure."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from stash_sense_plugin.learning.evaluation import (
    Calibration,
    Evaluation,
    NewCurve,
    NewThreshold,
    Summary,
    TagFigures,
    Unknown,
)
from stash_sense_plugin.learning.metrics import BINS, Average, Counts, interval

DIGITS = 4
WORST = 3
"""Tags that are named in a line."""


def as_json(found: Evaluation) -> dict[str, Any]:
    """Return an evaluation as plain values; every number is finite, shares are 0..1."""
    return {
        "wanted_precision": round(found.wanted, DIGITS),
        "scenes": found.scenes,
        "groups": found.groups,
        "written": _summary(found.written),
        "shown": _summary(found.shown),
        "written_after": _summary(found.written_after),
        "calibration": _calibration(found.calibration),
        "calibration_after": _calibration(found.calibration_after),
        "tags": [_tag(each) for each in found.tags],
        "thresholds": [_threshold(each) for each in found.thresholds],
        "curves": [_curve(each) for each in found.curves],
        "unknown": [_unknown(each) for each in found.unknown],
        "not_looked_for": list(found.not_looked_for),
    }


def without_points(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report without what only plots need."""
    tags = [{key: tag[key] for key in tag if key != "curve"} for tag in told["tags"]]
    return {**told, "tags": tags}


def text(told: Mapping[str, Any]) -> str:
    """Return a report as JSON for people."""
    return json.dumps(told, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


# --- Values ---------------------------------------------------------------------------------------


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "macro": _average(summary.macro),
        "micro": _counts(summary.micro),
        "hierarchical": _counts(summary.hierarchical),
    }


def _average(average: Average) -> dict[str, Any]:
    return {
        "precision": _share(average.precision),
        "recall": _share(average.recall),
        "f1": _share(average.f1),
    }


def _counts(counts: Counts) -> dict[str, Any]:
    shares = _average(Average(counts.precision, counts.recall, counts.f1))
    return {**asdict(counts), **shares}


def _tag(tag: TagFigures) -> dict[str, Any]:
    return {
        "id": tag.id,
        "name": tag.name,
        "scenes": tag.scenes,
        "positives": tag.positives,
        "enough": tag.enough,
        "written": _counts(tag.written),
        "shown": _counts(tag.shown),
        "average_precision": _share(tag.average_precision),
        "precision_interval": _pair(tag.precision_interval),
        "recall_interval": _pair(tag.recall_interval),
        "wrong": [_rounded(asdict(each)) for each in tag.wrong],
        "missed": [_rounded(asdict(each)) for each in tag.missed],
        "curve": [_rounded(asdict(each)) for each in tag.curve],
    }


def _calibration(calibration: Calibration) -> dict[str, Any]:
    return {
        "claims": calibration.claims,
        "error": _share(calibration.error),
        "brier": _share(calibration.brier),
        "bins": [
            _rounded(asdict(each))
            | {"right_claims": right, "interval": _pair(interval(right, each.claims))}
            for each, right in zip(calibration.bins, calibration.right, strict=True)
        ],
    }


def _threshold(each: NewThreshold) -> dict[str, Any]:
    found = each.found
    return {
        "label": each.label,
        "tag": each.tag,
        "sources": list(each.sources),
        "before": _share(each.before),
        "precision_before": _share(each.precision_before),
        "recall_before": _share(each.recall_before),
        "apply": _share(found.apply),
        "precision": _share(found.precision),
        "precision_interval": _pair((found.low, found.high)),
        "recall": _share(found.recall),
        "claims": found.claims,
        "positives": found.positives,
    }


def _curve(each: NewCurve) -> dict[str, Any]:
    return {
        "scale": each.scale,
        "label": each.label,
        "kind": each.kind,
        "positives": each.positives,
        "negatives": each.negatives,
        "loss_before": _share(each.loss_before),
        "loss": _share(each.loss),
    }


def _unknown(each: Unknown) -> dict[str, Any]:
    return {
        "id": each.id,
        "name": each.name,
        "scenes": each.scenes,
        "examples": [_rounded(asdict(example)) for example in each.examples],
    }


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _pair(values: tuple[float, float]) -> list[float]:
    return [round(value, DIGITS) for value in values]


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, DIGITS) if isinstance(value, float) else value
        for name, value in values.items()
    }


# --- Lines ----------------------------------------------------------------------------------------


def lines(found: Evaluation) -> Iterator[str]:
    """Yield what is worth saying in a log, from the whole to the parts."""
    if not found.tags:
        return
    scenes, groups = _counted(found.scenes, "scene"), _counted(found.groups, "different one")
    yield f"Judged by {scenes} ({groups}), {_counted(len(found.tags), 'tag')}"
    yield f"What is written: {said_of(found.written)}"
    yield f"What is written or asked: {said_of(found.shown)}"
    error = found.calibration.error
    if error is not None:
        yield (
            f"Confidence is off by {percent(error)} on average ({BINS} bins,"
            f" {_counted(found.calibration.claims, 'claim')})"
        )
    for what, tags in (("wrong", _most_wrong(found)), ("missed", _most_missed(found))):
        if tags:
            yield f"Most often {what}: {', '.join(tags)}"
    if found.unknown:
        names = ", ".join(f"{each.name} ({each.scenes})" for each in found.unknown[:WORST])
        yield f"No detector knows {len(found.unknown)} of your tags: {names}"
    if found.not_looked_for:
        names = ", ".join(found.not_looked_for[:WORST])
        yield f"Nothing looked for {len(found.not_looked_for)} of your tags: {names}"
    yield _offer(found)


def said_of(summary: Summary) -> str:
    """Say one summary's figures in a line."""
    micro = summary.micro
    return (
        f"precision {percent(micro.precision)}, recall {percent(micro.recall)},"
        f" F1 {percent(micro.f1)}; by tag {percent(summary.macro.f1)};"
        f" with tags above them {percent(summary.hierarchical.f1)}"
    )


def with_sources(offered: Mapping[str, Any]) -> str:
    """Return the label of a threshold, with those who see it where they are several."""
    sources = offered.get("sources", [])
    return f"{offered['label']} ({', '.join(sources)})" if len(sources) > 1 else offered["label"]


def percent(value: float | None) -> str:
    """Return a share as people read it; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{100 * value:.1f} %"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _most_wrong(found: Evaluation) -> list[str]:
    tags = sorted(found.tags, key=lambda tag: (-tag.shown.wrong, tag.name))
    return [f"{tag.name} ({tag.shown.wrong})" for tag in tags[:WORST] if tag.shown.wrong]


def _most_missed(found: Evaluation) -> list[str]:
    tags = sorted(found.tags, key=lambda tag: (-tag.shown.missed, tag.name))
    return [f"{tag.name} ({tag.shown.missed})" for tag in tags[:WORST] if tag.shown.missed]


def _offer(found: Evaluation) -> str:
    if not found.thresholds and not found.curves:
        return "No threshold is suggested: each needs 30 scenes with its tag, and enough claims"
    after = found.written_after
    return (
        f"Suggests {_counted(len(found.thresholds), 'threshold')} and"
        f" {_counted(len(found.curves), 'curve')}: what is written would have precision"
        f" {percent(after.micro.precision)} and recall {percent(after.micro.recall)}; the task Use"
        " what Evaluate suggests takes them"
    )
