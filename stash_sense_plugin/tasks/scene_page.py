"""All that is known of one scene: what is suggested and why, what was read, and what is under way.

A reply is bounded: of very many suggestions the most certain are told, and how many are not.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stash_sense_plugin.errors import SettingsError
from stash_sense_plugin.library.jobs import Job
from stash_sense_plugin.library.results import SceneStanding
from stash_sense_plugin.library.suggested import Suggested, SuggestionList, parts_of
from stash_sense_plugin.records import Decision, Fingerprint, Reporter
from stash_sense_plugin.tasks.api import (
    Failure,
    JobTold,
    RanRow,
    SceneTold,
    SkippedRow,
    SuggestionRow,
    Words,
)
from stash_sense_plugin.tasks.asked import PAGE_BYTES, scene_id, scene_ids, within
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.presence import Ranges
from stash_sense_plugin.tasks.suggesting import Known, what_is_known

TEXT_BYTES = 150_000
"""What is read on screen takes no more of a reply; what comes first in the scene is told."""
SCENES_NAMED = 100
"""Scenes that a job is told with."""
TAGGING = ("tag_scene", "tag_scenes")
"""Jobs that look at scenes."""


def scene(engine: Engine, call: Call, reporter: Reporter) -> SceneTold:
    """Return all that is known of `scene_id`, the most certain suggestion first.

    After all suggestions stand the markers of tags, as rows of kind `marker`. Of what is not
    suggested only that is told which the user refused. Raises SettingsError where Stash has no such
    scene.
    """
    wanted = scene_id(call.args)
    standing = engine.store.standing(wanted)
    listed = SuggestionList(engine.store)
    rows = listed.of_scenes([wanted]).get(wanted, [])
    file = standing.fingerprint if standing else None
    parts = parts_of(standing.result) if standing else {}
    ranges = _ranges(rows, parts)
    known = what_is_known(engine, call, reporter, rows, {wanted: file}, ranges)
    if wanted not in known.scenes:
        raise SettingsError(f"Stash has no scene {wanted}", "open one that is there")
    told = _told(wanted, known, standing, _job(engine, wanted))
    room = PAGE_BYTES - len(json.dumps(told))
    shown = [row for row in rows if _is_shown(row, known)]
    shown.sort(key=lambda row: (-row.confidence, row.place_by_scene))
    marked = [row for row in shown if row.place_by_scene in ranges]
    page = within([*_told_of(shown, parts, known), *_marked(marked, parts, known)], room)
    return {**told, "suggestions": page, "more": len(shown) + len(marked) - len(page)}


_Parts = Mapping[tuple[str, str], Mapping[str, Any]]


def _ranges(rows: Sequence[Suggested], parts: _Parts) -> Ranges:
    """When the tags are there that have markers, or would: by their rows' places."""
    return {
        row.place_by_scene: found
        for row in rows
        if row.kind == "tag" and row.decision is not Decision.HIDE
        if (found := parts.get((row.kind, row.key), {}).get("ranges"))
    }


def _is_shown(row: Suggested, known: Known) -> bool:
    return row.decision is not Decision.HIDE or known.said_of(row) == "refused"


def _told_of(rows: Sequence[Suggested], parts: _Parts, known: Known) -> Iterator[SuggestionRow]:
    return (known.told(row, parts.get((row.kind, row.key), {})) for row in rows)


def _marked(rows: Sequence[Suggested], parts: _Parts, known: Known) -> Iterator[SuggestionRow]:
    return (known.told_of_markers(row, parts.get((row.kind, row.key), {})) for row in rows)


def _told(
    wanted: str, known: Known, standing: SceneStanding | None, job: JobTold | None
) -> SceneTold:
    """Everything but the suggestions."""
    in_stash = known.scenes[wanted]
    result = standing.result if standing else {}
    looked_at = standing.fingerprint if standing else None
    duration_s = in_stash.duration_s if known.asked else result.get("duration_s")
    return {
        "scene_id": wanted,
        "looked_at_s": standing.looked_at_s if standing else None,
        "duration_s": duration_s,
        "error": _error(standing),
        "suggestions": [],
        "more": 0,
        "texts": within([_text(each) for each in result.get("texts", ())], TEXT_BYTES),
        "ran": [_ran(each) for each in result.get("ran", ())],
        "skipped": [_skipped(each) for each in result.get("skipped", ())],
        "changed": _is_another(looked_at, in_stash.fingerprint),
        "job": job,
    }


def _is_another(looked_at: Fingerprint | None, now: Fingerprint | None) -> bool:
    """Whether a file is another one; of one whose fingerprint is not known nobody can say."""
    return None not in (looked_at, now) and looked_at != now


def _error(standing: SceneStanding | None) -> Failure | None:
    error = standing.error if standing else None
    if error is None:
        return None
    return {"kind": error.kind, "message": error.message, "remedy": error.remedy}


def _text(each: Mapping[str, Any]) -> Words:
    return {
        "text": each["text"],
        "start_s": each["start_s"],
        "end_s": each["end_s"],
        "score": each["score"],
    }


def _ran(each: Mapping[str, Any]) -> RanRow:
    return {
        "detector": each["detector"],
        "model": each["model"],
        "device": each["device"],
        "precision": each["precision"],
        "frames": each["frames"],
        "seconds": each["seconds"],
    }


def _skipped(each: Mapping[str, Any]) -> SkippedRow:
    return {
        "detector": each["detector"],
        "reason": each["reason"],
        "remedy": each["remedy"],
    }


# --- What is under way ----------------------------------------------------------------------------


def _job(engine: Engine, wanted: str) -> JobTold | None:
    """Return the first job that will look at the scene, as the table has it."""
    for ahead, job in enumerate(engine.jobs.open_jobs()):
        named = list(_named(job)) if job.kind in TAGGING else []
        if wanted in named:
            return _job_told(job, ahead, named)
    return None


def _named(job: Job) -> Iterator[str]:
    """The scenes that a job was asked for; whoever runs it says what cannot be read."""
    for name in ("scene_id", "scene_ids", "ids"):
        try:
            yield from scene_ids(job.args, name) or ()
        except SettingsError:
            continue


def _job_told(job: Job, ahead: int, named: Sequence[str]) -> JobTold:
    error = job.error
    return {
        "id": job.id,
        "mode": job.kind,
        "scene_ids": list(dict.fromkeys(named))[:SCENES_NAMED],
        "status": job.status.value,
        "progress": job.progress,
        "ahead": ahead,
        "lines": [],
        "output": None,
        "error": None if error is None else {"message": error.message, "remedy": error.remedy},
        "queued_at_s": job.queued_at_s,
        "tries": job.tries,
        "next_at_s": job.next_at_s,
        "begun_at_s": job.begun_at_s,
        "ended_at_s": job.ended_at_s,
    }
