"""What is suggested for the scenes of the library now, in pages."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from stash_sense_plugin.library.database import Database, from_json
from stash_sense_plugin.records import Decision, Fingerprint, folded

_CHUNK = 500
"""Scene ids per query: old SQLite binds at most 999 values."""

_DECISION = "CASE WHEN undone AND decision = 2 THEN 1 ELSE decision END"
"""What was undone waits for the user's word: it is asked about."""

_SHOWN = "NOT (undone AND decision = 0)"
"""What was undone and is not suggested now is only remembered."""

_SELECT = (
    "SELECT suggestions.scene_id, source, kind, key, target_id, name, label, confidence,"
    f" {_DECISION} AS decision, oshash, size_bytes, result_row FROM suggestions"
    " JOIN scenes ON scenes.id = suggestions.scene_id LEFT JOIN files ON files.id = file_id"
)

_LAST_GOOD = (
    "SELECT result FROM run_scenes WHERE row < ?"
    " AND scene_id = (SELECT scene_id FROM run_scenes WHERE row = ?)"
    " AND json_extract(result, '$.error') IS NULL ORDER BY row DESC LIMIT 1"
)

Place = tuple[Any, ...]
"""Where a page ends: what the next one begins behind."""


@dataclass(frozen=True, slots=True)
class Suggested:
    """One suggestion for one scene, as the newest result has it."""

    scene_id: str
    source: str
    """The path of the scene's file when it was looked at."""
    kind: str
    key: str
    """The casefolded name."""
    target_id: str
    name: str
    label: str
    confidence: float
    decision: Decision
    fingerprint: Fingerprint | None
    """The file's that was looked at."""
    result_row: int

    @property
    def place_by_scene(self) -> Place:
        """Where it stands in `by_scene`."""
        return (self.scene_id, self.kind, self.key, self.target_id)

    @property
    def place_by_name(self) -> Place:
        """Where it stands in `by_name`."""
        return (-self.confidence, self.scene_id, self.kind, self.target_id)


@dataclass(frozen=True, slots=True)
class Counted:
    """How often one thing is suggested."""

    kind: str
    key: str
    name: str
    ask: int
    apply: int
    refused: int

    @property
    def place(self) -> Place:
        """Where it stands in `counts`."""
        return (self.key, self.kind)


class SuggestionList:
    """Reads what is suggested; the store keeps it with every result."""

    def __init__(self, store: Database) -> None:
        self._store = store

    def by_scene(
        self,
        decision: Decision | None = None,
        scene_id: str | None = None,
        after: Place | None = None,
        limit: int = 50,
        kind: str = "",
    ) -> list[Suggested]:
        """Return a page in the order of scenes, of one scene or all; `after` is a place there."""
        # The plus keeps SQLite from the index of decisions, after which it would have to sort.
        where, values = _decided(decision, "+decision")
        if scene_id is not None:
            where, values = [*where, "suggestions.scene_id = ?"], [*values, scene_id]
        if kind:
            where, values = [*where, "kind = ?"], [*values, kind]
        if after is not None:
            where.append("(suggestions.scene_id, kind, key, target_id) > (?, ?, ?, ?)")
            values += after
        return self._rows(where, values, "suggestions.scene_id, kind, key, target_id", limit)

    def by_name(
        self,
        name: str,
        decision: Decision | None = None,
        above: float = 0.0,
        after: Place | None = None,
        limit: int = 50,
        kind: str = "",
    ) -> list[Suggested]:
        """Return a page of one thing's scenes, the most certain first; `after` is a place there.

        Things of one name that are of several kinds come together, unless `kind` names one.
        """
        where, values = _decided(decision)
        where += ["kind IN ('tag', 'studio', 'performer')", "key = ?", "confidence >= ?"]
        values += [folded(name), above]
        if kind:
            where, values = [*where, "kind = ?"], [*values, kind]
        if after is not None:
            where.append("(-confidence, suggestions.scene_id, kind, target_id) > (?, ?, ?, ?)")
            values += after
        order = "-confidence, suggestions.scene_id, kind, target_id"
        return self._rows(where, values, order, limit)

    def counts(self, after: Place = ("", ""), limit: int = 500) -> list[Counted]:
        """Return how often each thing is asked about and applied, in the order of names."""
        with self._store.read() as db:
            rows = db.execute(
                # The index has all but the name, of which one row of each thing tells.
                "SELECT kind, key, (SELECT name FROM suggestions WHERE scene_id = scene"
                " AND kind = counted.kind AND key = counted.key LIMIT 1), ask, apply, refused"
                " FROM (SELECT kind, key, max(scene_id) AS scene,"
                f" sum({_DECISION} = 1) AS ask, sum({_DECISION} = 2) AS apply,"
                " sum(decision = 0) AS refused FROM suggestions WHERE (key, kind) > (?, ?)"
                f" AND {_SHOWN} GROUP BY key, kind ORDER BY key, kind LIMIT ?) AS counted",
                (*after, limit),
            ).fetchall()
        return [Counted(*row) for row in rows]

    def of_scenes(self, scene_ids: Iterable[str]) -> dict[str, list[Suggested]]:
        """Return by scene all that is suggested for these scenes."""
        found: dict[str, list[Suggested]] = {}
        each = iter(dict.fromkeys(scene_ids))
        while some := list(islice(each, _CHUNK)):
            marks = ", ".join("?" * len(some))
            where = [f"suggestions.scene_id IN ({marks})", _SHOWN]
            rows = self._rows(where, some, "1", -1)
            for row in rows:
                found.setdefault(row.scene_id, []).append(row)
        return found

    def decisions(self, scene_id: str, *, as_shown: bool = True) -> dict[tuple[str, str], Decision]:
        """Return what is decided of a scene's things, by kind and folded name.

        What was undone is asked about, `as_shown` to the user; or else it is as it was decided.
        """
        column = _DECISION if as_shown else "decision"
        with self._store.read() as db:
            rows = db.execute(
                f"SELECT kind, key, {column} FROM suggestions WHERE scene_id = ? AND {_SHOWN}",
                (scene_id,),
            ).fetchall()
        return {(row[0], row[1]): Decision(row[2]) for row in rows}

    def shown(self, rows: Sequence[Suggested]) -> list[Mapping[str, Any]]:
        """Return when and why of each suggestion: its part of the result; empty where it is gone.

        Keys as `tag --json` has them: ranges, evidence.
        """
        parts: dict[int, dict[tuple[str, str], Mapping[str, Any]]] = {}
        for number in dict.fromkeys(row.result_row for row in rows):
            parts[number] = self._parts(number)
        return [parts[row.result_row].get((row.kind, row.key), {}) for row in rows]

    def _parts(self, result_row: int) -> dict[tuple[str, str], Mapping[str, Any]]:
        with self._store.read() as db:
            row = db.execute("SELECT result FROM run_scenes WHERE row = ?", (result_row,))
            found = row.fetchone()
            result = from_json(found[0]) if found else {}
            if result.get("error"):
                # What was suggested before a look failed still is, and was seen as it was then.
                found = db.execute(_LAST_GOOD, (result_row, result_row)).fetchone()
                result = from_json(found[0]) if found else {}
        return parts_of(result)

    def _rows(
        self, where: Sequence[str], values: Sequence[Any], order: str, limit: int
    ) -> list[Suggested]:
        clause = f" WHERE {' AND '.join(where)}" if where else ""
        with self._store.read() as db:
            rows = db.execute(
                f"{_SELECT}{clause} ORDER BY {order} LIMIT ?", (*values, limit)
            ).fetchall()
        return [_suggested(row) for row in rows]


def parts_of(result: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return what a result says of each thing, by its kind and folded name."""
    suggestions = result.get("suggestions", ())
    return {(each["kind"], folded(each["name"])): each for each in suggestions}


def _decided(decision: Decision | None, column: str = "decision") -> tuple[list[str], list[Any]]:
    """The wanted decision; without one, all that is not hidden. In words that an index knows."""
    if decision is None:
        return [f"{column} IN (1, 2)"], []
    if decision is Decision.ASK:
        return [f"{column} IN (1, 2)", f"{_DECISION} = 1"], []
    return [f"{column} = ?", f"{_DECISION} = {column}", _SHOWN], [decision.value]


def _suggested(row: sqlite3.Row) -> Suggested:
    file = None if row["oshash"] is None else Fingerprint(row["oshash"], row["size_bytes"])
    return Suggested(
        scene_id=row["scene_id"],
        source=row["source"],
        kind=row["kind"],
        key=row["key"],
        target_id=row["target_id"],
        name=row["name"],
        label=row["label"],
        confidence=row["confidence"],
        decision=Decision(row["decision"]),
        fingerprint=file,
        result_row=row["result_row"],
    )
