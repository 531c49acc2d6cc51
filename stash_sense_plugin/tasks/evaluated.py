"""The last evaluation's figures, as many as a page shows."""

from collections.abc import Mapping
from typing import Any

from stash_sense_plugin.library.learnt import Learnt
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.tasks.api import Bin, EvaluationTold, Share, TagJudged
from stash_sense_plugin.tasks.asked import within
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.evaluating import PAGE

TAGS_SHOWN = 300


def evaluation(engine: Engine, call: Call, reporter: Reporter) -> EvaluationTold:
    """Return what the last evaluation found; `made_at_s` is null where there was none."""
    kept = Learnt(engine.store).last_evaluation()
    if kept is None:
        return _nothing()
    made_at_s, report = kept
    tags = sorted(report["tags"], key=lambda tag: (-tag["positives"], tag["name"]))
    shown = within([_tag(each) for each in tags[:TAGS_SHOWN]])
    page = engine.home / PAGE
    return {
        "made_at_s": made_at_s,
        "scenes": report["scenes"],
        "wanted_precision": report["wanted_precision"],
        "written": _share(report["written"]["micro"]),
        "shown": _share(report["shown"]["micro"]),
        "calibration_error": report["calibration"]["error"],
        "bins": [_bin(each) for each in report["calibration"]["bins"] if each["claims"]],
        "tags": shown,
        "more": len(tags) - len(shown),
        "page": str(page) if page.is_file() else "",
    }


def _nothing() -> EvaluationTold:
    unknown: Share = {"precision": None, "recall": None, "f1": None}
    return {
        "made_at_s": None,
        "scenes": 0,
        "wanted_precision": None,
        "written": unknown,
        "shown": unknown,
        "calibration_error": None,
        "bins": [],
        "tags": [],
        "more": 0,
        "page": "",
    }


def _share(figures: Mapping[str, Any]) -> Share:
    return {
        "precision": figures["precision"],
        "recall": figures["recall"],
        "f1": figures["f1"],
    }


def _bin(figures: Mapping[str, Any]) -> Bin:
    return {
        "confidence": figures["confidence"],
        "right": figures["right"],
        "claims": figures["claims"],
    }


def _tag(figures: Mapping[str, Any]) -> TagJudged:
    return {
        "name": figures["name"],
        "scenes": figures["scenes"],
        "positives": figures["positives"],
        "enough": figures["enough"],
        "written": _share(figures["written"]),
        "shown": _share(figures["shown"]),
        "average_precision": figures["average_precision"],
    }
