"""List what is suggested: by tag, by scene, or all of it; in pages that a browser can take."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stash_sense_plugin.errors import StashError
from stash_sense_plugin.library.suggested import Place, Suggested, SuggestionList
from stash_sense_plugin.library.verdicts import Words
from stash_sense_plugin.records import Decision, Reporter, Said, Scene
from stash_sense_plugin.stash.operations import scenes_by_ids
from stash_sense_plugin.tasks.asked import (
    MOST_IN_A_PAGE,
    PAGE,
    PAGE_BYTES,
    place,
    scene_id,
    text,
    whole_number,
    word,
)
from stash_sense_plugin.tasks.engine import Call, Engine

PARTS_SHOWN = 200
"""Ranges of one suggestion; a tag that flickers all through a long scene has more."""

DECISIONS = {"ask": Decision.ASK, "apply": Decision.APPLY, "refused": Decision.HIDE}
"""What a list may be of: what waits for the user's word, what is written, what was refused."""

_BY_SCENE = (str, str, str, str)
_BY_NAME = (float, str, str, str)
_COUNTS = (str, str)
"""What a place in each list is made of."""


def suggestions(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Return a page of suggestions; `after` is the last page's `next`.

    By `tag`: how often each is suggested or, with `tag`, its scenes, the most certain first. By
    `scene`: those of `scene_id`. Else all, scene after scene. `decision` is `ask`, `apply` or
    `refused`; left out, the first two.
    """
    args = call.args
    by = word(args, "by", ("tag", "scene"))
    limit = whole_number(args, "limit", PAGE, 1, MOST_IN_A_PAGE)
    listed = SuggestionList(engine.store)
    tag = text(args, "tag")
    if by == "tag" and not tag:
        return _counts(listed, place(args, _COUNTS), limit)
    decision = DECISIONS.get(word(args, "decision", DECISIONS))
    if by == "tag":
        rows = listed.by_name(tag, decision, after=place(args, _BY_NAME), limit=limit)
        return _page(engine, call, reporter, rows, limit, lambda row: row.place_by_name)
    scene = scene_id(args) if by == "scene" else None
    rows = listed.by_scene(decision, scene, place(args, _BY_SCENE), limit)
    return _page(engine, call, reporter, rows, limit, lambda row: row.place_by_scene)


def _counts(listed: SuggestionList, after: Place | None, limit: int) -> dict[str, object]:
    rows = listed.counts(limit=limit) if after is None else listed.counts(after, limit)
    counted = [
        {
            "kind": row.kind,
            "name": row.name,
            "ask": row.ask,
            "apply": row.apply,
            "refused": row.refused,
        }
        for row in rows
    ]
    return {"tags": counted, "next": _next(rows[-1].place) if len(rows) == limit else None}


def _page(
    engine: Engine,
    call: Call,
    reporter: Reporter,
    rows: Sequence[Suggested],
    limit: int,
    place_of: Callable[[Suggested], Place],
) -> dict[str, object]:
    """Return rows with all that a page shows of them, as many as a reply may hold."""
    scenes = _scenes(engine, call, reporter, rows)
    said = engine.verdicts.said_of_many(scenes.values())
    shown: list[dict[str, object]] = []
    length, last = 0, None
    for row, part in zip(rows, SuggestionList(engine.store).shown(rows), strict=True):
        if row.scene_id in scenes:
            words = said.get(row.scene_id, (frozenset(), frozenset()))
            one = _row(row, scenes[row.scene_id], part, words)
            length += len(json.dumps(one))
            if shown and length > PAGE_BYTES:
                break
            shown.append(one)
        last = row
    ended = len(rows) < limit and (last is None or last is rows[-1])
    return {
        "suggestions": shown,
        "next": None if ended or last is None else _next(place_of(last)),
    }


def _next(place: Place) -> str:
    return json.dumps(place)


def _scenes(
    engine: Engine, call: Call, reporter: Reporter, rows: Sequence[Suggested]
) -> dict[str, Scene]:
    """Return the rows' scenes that Stash still has; as the store knows them, where it is away."""
    known = {row.scene_id: Scene(row.scene_id, "", "", row.fingerprint, None) for row in rows}
    if call.server is None or not known:
        return known
    try:
        with engine.aside().stash(call, reporter) as client:
            return {scene.id: scene for scene in scenes_by_ids(client, list(known))}
    except StashError as error:
        reporter.log("warning", f"{error.message}: scenes that are gone may be listed too")
        return known


def _row(
    row: Suggested, scene: Scene, part: Mapping[str, Any], words: tuple[Words, Words]
) -> dict[str, object]:
    return {
        "scene_id": row.scene_id,
        "title": scene.title,
        "source": scene.path or row.source,
        "kind": row.kind,
        "name": row.name,
        "label": row.label,
        "target_id": row.target_id or None,
        "confidence": round(row.confidence, 4),
        "decision": row.decision.name,
        "said": said_of(row, words),
        "duration_s": scene.duration_s,
        "ranges": part.get("ranges", [])[:PARTS_SHOWN],
        "evidence": part.get("evidence", []),
    }


def said_of(row: Suggested, words: tuple[Words, Words]) -> str | None:
    """Return what the user said of a suggestion: accepted, refused or nothing."""
    own = {(row.kind, row.key), (row.kind, row.target_id)}
    accepted, refused = words
    if own & refused:
        return Said.REFUSED.value
    return Said.ACCEPTED.value if own & accepted else None
