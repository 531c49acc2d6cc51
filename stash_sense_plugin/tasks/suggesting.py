"""List what is suggested: by tag, by scene, or all of it; in pages that a browser can take."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from stash_sense_plugin.errors import StashError
from stash_sense_plugin.library.suggested import Counted as CountedRow
from stash_sense_plugin.library.suggested import Place, Suggested, SuggestionList
from stash_sense_plugin.library.verdicts import Words
from stash_sense_plugin.records import Decision, Fingerprint, Kind, Reporter, Scene
from stash_sense_plugin.stash.operations import scenes_by_ids
from stash_sense_plugin.tasks.api import (
    Counted,
    CountsTold,
    Decided,
    InStash,
    SuggestionRow,
    SuggestionsTold,
    Thing,
    Verdict,
)
from stash_sense_plugin.tasks.asked import (
    MOST_IN_A_PAGE,
    PAGE,
    PAGE_BYTES,
    place,
    scene_id,
    text,
    whole_number,
    within,
    word,
)
from stash_sense_plugin.tasks.carrying import MARKER
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.presence import Marked, Ranges, presence
from stash_sense_plugin.tasks.verdicts import KINDS

PARTS_SHOWN = 200
"""Ranges of one suggestion; a tag that flickers all through a long scene has more."""

DECISIONS = {"ask": Decision.ASK, "apply": Decision.APPLY, "refused": Decision.HIDE}
"""What a list may be of: what waits for the user's word, what is written, what was refused."""

_BY_SCENE = (str, str, str, str)
_BY_NAME = (float, str, str, str)
_COUNTS = (str, str)
"""What a place in each list is made of."""


def suggestions(engine: Engine, call: Call, reporter: Reporter) -> SuggestionsTold | CountsTold:
    """Return a page of suggestions; `after` is the last page's `next`.

    By `tag`: its scenes, the most certain first; without a tag, as `counts`. By `scene`: those of
    `scene_id`. Else all, scene after scene. `kind` leaves out all others. `decision` is `ask`,
    `apply` or `refused`; left out, the first two.
    """
    args = call.args
    by = word(args, "by", ("tag", "scene"))
    limit = whole_number(args, "limit", PAGE, 1, MOST_IN_A_PAGE)
    tag, kind = text(args, "tag"), word(args, "kind", KINDS)
    if by == "tag" and not tag:
        return counts(engine, call, reporter)
    listed = SuggestionList(engine.store)
    decision = DECISIONS.get(word(args, "decision", DECISIONS))
    if by == "tag":
        rows = listed.by_name(tag, decision, after=place(args, _BY_NAME), limit=limit, kind=kind)
        return _page(engine, call, reporter, rows, limit, lambda row: row.place_by_name)
    scene = scene_id(args) if by == "scene" else None
    rows = listed.by_scene(decision, scene, place(args, _BY_SCENE), limit, kind)
    return _page(engine, call, reporter, rows, limit, lambda row: row.place_by_scene)


def counts(engine: Engine, call: Call, reporter: Reporter) -> CountsTold:
    """Return how often each thing is suggested, by its name; `after` is the last page's `next`."""
    listed = SuggestionList(engine.store)
    limit = whole_number(call.args, "limit", PAGE, 1, MOST_IN_A_PAGE)
    after = place(call.args, _COUNTS)
    rows = listed.counts(limit=limit) if after is None else listed.counts(after, limit)
    counted = within([_counted(row) for row in rows])
    more = len(rows) == limit or len(counted) < len(rows)
    return {"tags": counted, "next": _next(rows[len(counted) - 1].place) if more else None}


def _counted(row: CountedRow) -> Counted:
    return {
        "kind": cast("Kind", row.kind),
        "name": row.name,
        "ask": row.ask,
        "apply": row.apply,
        "refused": row.refused,
    }


def _page(
    engine: Engine,
    call: Call,
    reporter: Reporter,
    rows: Sequence[Suggested],
    limit: int,
    place_of: Callable[[Suggested], Place],
) -> SuggestionsTold:
    """Return rows with all that a page shows of them, as many as a reply may hold."""
    files = {row.scene_id: row.fingerprint for row in rows}
    known = what_is_known(engine, call, reporter, rows, files)
    parts = SuggestionList(engine.store).shown(rows)
    shown: list[SuggestionRow] = []
    length, last = 0, None
    for row, part in zip(rows, parts, strict=True):
        if row.scene_id in known.scenes:
            one = known.told(row, part)
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


# --- What is known of rows ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of some suggestions besides their results."""

    scenes: Mapping[str, Scene]
    """Those that Stash still has; as the store knows them, where it is away."""
    said: Mapping[str, tuple[Words, Words]]
    """What was accepted and refused, by scene."""
    in_stash: Mapping[tuple[str, ...], InStash | None] = field(default_factory=dict)
    """By a row's place; empty where Stash was not asked."""
    asked: bool = False
    """Whether Stash has answered."""
    markers: Mapping[tuple[str, ...], Marked] = field(default_factory=dict)
    """By the place of a tag's row; empty where Stash was not asked for them."""
    called: Mapping[str, str] = field(default_factory=dict)
    """By our name of a tag what the user calls it, where that is another name."""

    def told_of_markers(self, row: Suggested, part: Mapping[str, Any]) -> SuggestionRow:
        """Return the markers of a tag's row, as a row of their own."""
        marked = self.markers.get(row.place_by_scene)
        own = replace(row, kind=MARKER, target_id=marked.tag_id if marked else row.target_id)
        told = self.told(own, {"ranges": part.get("ranges", [])})
        return {**told, "in_stash": marked.in_stash if marked else None}

    def told(self, row: Suggested, part: Mapping[str, Any]) -> SuggestionRow:
        """Return a row with its part of the result."""
        scene = self.scenes[row.scene_id]
        told: SuggestionRow = {
            "scene_id": row.scene_id,
            "title": scene.title,
            "source": scene.path or row.source,
            "kind": cast("Thing", row.kind),
            "name": row.name,
            "label": row.label,
            "target_id": row.target_id or None,
            "confidence": round(row.confidence, 4),
            "decision": cast("Decided", row.decision.name),
            "said": self.said_of(row),
            "in_stash": self.in_stash.get(row.place_by_scene),
            "duration_s": scene.duration_s,
            "ranges": part.get("ranges", [])[:PARTS_SHOWN],
            "evidence": part.get("evidence", []),
        }
        if row.kind in ("tag", MARKER) and row.name in self.called:
            told["called"] = self.called[row.name]
        return told

    def said_of(self, row: Suggested) -> Verdict | None:
        """Return what the user said of a suggestion; None for nothing."""
        accepted, refused = self.said.get(row.scene_id, (frozenset(), frozenset()))
        own = {(row.kind, row.key), (row.kind, row.target_id)}
        if own & refused:
            return "refused"
        return "accepted" if own & accepted else None


def what_is_known(
    engine: Engine,
    call: Call,
    reporter: Reporter,
    rows: Sequence[Suggested],
    files: Mapping[str, Fingerprint | None],
    ranges: Ranges | None = None,
) -> Known:
    """Return scenes, what Stash has of each row, and what was said of it.

    `files` are what was looked at, by scene: the rows' scenes, and any besides. `ranges` names
    the tags of whose markers the same is to be known.
    """
    scenes = {name: Scene(name, "", "", file, None) for name, file in files.items()}
    in_stash: dict[tuple[str, ...], InStash | None] = {}
    markers: Mapping[tuple[str, ...], Marked] = {}
    called: Mapping[str, str] = {}
    asked = False
    if call.server is not None and scenes:
        aside = engine.aside()
        try:
            with aside.stash(call, reporter) as client:
                found = {scene.id: scene for scene in scenes_by_ids(client, list(scenes))}
                there = presence(aside, client, found, rows, ranges)
            each = zip(rows, there.in_stash, strict=True)
            in_stash = {row.place_by_scene: has for row, has in each}
            scenes, asked, markers, called = found, True, there.markers, there.called
        except StashError as error:
            reporter.log("warning", f"{error.message}: scenes that are gone may be listed too")
    said = engine.verdicts.said_of_many(scenes.values())
    return Known(scenes, said, in_stash, asked, markers, called)
