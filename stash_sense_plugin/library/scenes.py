"""What is known of each scene now: its file, what is suggested, and the tags that it had."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

from stash_sense_plugin.library.database import Database, from_json
from stash_sense_plugin.library.verdicts import Words, said_of
from stash_sense_plugin.records import Decision, Fingerprint, Scene, Suggestion, folded

T = TypeVar("T")

_CHUNK = 500
"""Scene ids per query: old SQLite binds at most 999 values."""

LOOKED_AT_TO_TAG = """(
    (SELECT kind FROM runs WHERE runs.id = scenes.run_id) IS NOT 'evaluate'
    OR EXISTS (
        SELECT 1 FROM run_scenes JOIN runs ON runs.id = run_scenes.run_id
        WHERE run_scenes.scene_id = scenes.id AND kind != 'evaluate'
            AND json_extract(result, '$.error') IS NULL))
"""
"""Of a scene that Evaluate alone looked at, to learn, the user never wanted anything written."""

_WANTED = (
    "error_kind IS NULL AND scenes.id != '' AND scenes.id NOT GLOB '*[^0-9]*'"
    f" AND {LOOKED_AT_TO_TAG}"
)

_DECIDABLE = f"""
    SELECT scenes.id, scenes.file_id, oshash, size_bytes, source, decided, result_row,
        (SELECT duration_s FROM samplings WHERE samplings.file_id = scenes.file_id
            AND duration_s IS NOT NULL ORDER BY samplings.id DESC LIMIT 1) AS duration_s
    FROM scenes JOIN files ON files.id = scenes.file_id
    WHERE scenes.id > ? AND {_WANTED}
    ORDER BY scenes.id LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Decidable:
    """A scene whose last look went well, so that it can be decided again from the store."""

    scene_id: str
    file_id: int
    fingerprint: Fingerprint
    source: str
    """The path of the scene's file when it was looked at."""
    duration_s: float | None
    """As the newest look at the file had it; None for a picture."""
    decided: bytes | None
    """The digest of the newest decision; None where it is to be made anew: an older version made
    it, or the user has said something of the scene since."""
    result_row: int | None = None
    """The place of the newest result: another one was saved since where it differs."""


@dataclass(frozen=True, slots=True)
class Moves:
    """What became of scenes' files since they were looked at."""

    moved: tuple[str, ...] = ()
    """Scenes whose file has another path: all that is known of them holds."""
    replaced: tuple[str, ...] = ()
    """Scenes whose file is another one: what was known of the old one was dropped."""


class Scenes(Database):
    """The part of the store that knows each scene as it is now."""

    def decidable(self, after: str = "", limit: int = 500) -> list[Decidable]:
        """Return a page of scenes that were tagged and whose last result is no failure, by id.

        Page on with the last one's `scene_id` as `after`.
        """
        with self.read() as db:
            rows = db.execute(_DECIDABLE, (after, limit)).fetchall()
        return [_decidable(row) for row in rows]

    def count_decidable(self) -> int:
        """Return how many scenes `decidable` lists in all its pages."""
        with self.read() as db:
            row = db.execute(
                f"SELECT count(*) FROM scenes WHERE file_id IS NOT NULL AND {_WANTED}"
            ).fetchone()
        return int(row[0])

    def result_rows(self, scene_ids: Iterable[str]) -> dict[str, int | None]:
        """Return by scene the place of its newest result, as in `Decidable.result_row`."""
        found: dict[str, int | None] = {}
        for some in _chunks(scene_ids):
            marks = ", ".join("?" * len(some))
            with self.read() as db:
                rows = db.execute(f"SELECT id, result_row FROM scenes WHERE id IN ({marks})", some)
                found.update((row[0], row[1]) for row in rows)
        return found

    def last_said(self, scene_id: str, file: Fingerprint) -> dict[str, Any] | None:
        """Return the newest result of this file under the scene that is no failure, or None."""
        with self.read() as db:
            row = db.execute(
                "SELECT result FROM run_scenes JOIN files ON files.id = file_id"
                " WHERE scene_id = ? AND oshash = ? AND size_bytes = ?"
                " AND json_extract(result, '$.error') IS NULL ORDER BY row DESC LIMIT 1",
                (scene_id, file.oshash, file.size_bytes),
            ).fetchone()
        return None if row is None else from_json(row[0])

    def undone(self, scene_ids: Iterable[str]) -> dict[str, frozenset[tuple[str, str]]]:
        """Return by scene the (kind, casefolded name) of what the user undid, where there is.

        Kind `marker` stands for the markers of the tag of that name.
        """
        found: dict[str, set[tuple[str, str]]] = {}
        for some in _chunks(scene_ids):
            marks = ", ".join("?" * len(some))
            with self.read() as db:
                rows = db.execute(
                    "SELECT scene_id, kind, key FROM suggestions WHERE undone"
                    f" AND scene_id IN ({marks})",
                    some,
                ).fetchall()
            for scene_id, kind, key in rows:
                found.setdefault(scene_id, set()).add((kind, key))
        return {scene_id: frozenset(things) for scene_id, things in found.items()}

    def first_tags(self, scene_ids: Iterable[str]) -> dict[str, frozenset[str]]:
        """Return by scene the ids of the tags that Stash had at our first look, where known."""
        return self._tags("first_tags", scene_ids)

    def last_tags(self, scene_ids: Iterable[str]) -> dict[str, frozenset[str]]:
        """Return by scene the ids of the tags that Stash had at our last look, where known."""
        return self._tags("last_tags", scene_ids)

    def _tags(self, column: str, scene_ids: Iterable[str]) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for some in _chunks(scene_ids):
            marks = ", ".join("?" * len(some))
            with self.read() as db:
                rows = db.execute(
                    f"SELECT id, {column} FROM scenes WHERE {column} IS NOT NULL"
                    f" AND id IN ({marks})",
                    some,
                ).fetchall()
            found.update((row[0], frozenset(map(str, json.loads(row[1])))) for row in rows)
        return found

    def see_files(self, scenes: Iterable[Scene]) -> Moves:
        """Follow the files of scenes as Stash has them now.

        A file that lies elsewhere keeps its scene's results; of one that was replaced, results and
        suggestions are dropped. A scene whose files Stash has not hashed tells nothing.
        """
        moved: list[str] = []
        replaced: list[str] = []
        for some in _chunks(scenes):
            with self.write() as db:
                for scene in some:
                    _see(db, scene, moved, replaced)
        return Moves(tuple(moved), tuple(replaced))


def keep_suggestions(
    db: sqlite3.Connection,
    scene_id: str,
    fingerprint: Fingerprint | None,
    suggestions: Iterable[Suggestion],
    keep_undone: bool | Collection[tuple[str, str]],
) -> None:
    """Put these in place of the scene's suggestions; for who holds the transaction.

    Of the hidden ones, only those stay that the user refused. `keep_undone` lets those that the
    user undid (or these of them, by kind and casefolded name) stay undone, those too that are not
    suggested now and may be again.
    """
    undone = _undone_rows(db, scene_id) if keep_undone else {}
    if not isinstance(keep_undone, bool):
        undone = {thing: row for thing, row in undone.items() if thing in keep_undone}
    accepted, refused = said_of(db, Scene(scene_id, "", "", fingerprint, None))
    # The user may have spoken since they were decided.
    suggestions = [_as_said(each, accepted, refused) for each in suggestions]
    db.execute("DELETE FROM suggestions WHERE scene_id = ?", (scene_id,))
    kept = [
        each for each in suggestions if each.decision is not Decision.HIDE or _words(each) & refused
    ]
    rows = [(scene_id, *_row(each), (each.kind, folded(each.name)) in undone) for each in kept]
    shown = {(each.kind, folded(each.name)) for each in kept}
    hidden = [(scene_id, *row) for thing, row in undone.items() if thing not in shown]
    db.executemany(
        "INSERT OR REPLACE INTO suggestions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows + hidden
    )


def drop_replaced(db: sqlite3.Connection, scene_id: str, fingerprint: Fingerprint) -> bool:
    """Drop what is known of another file under the scene; for who holds the transaction.

    Returns whether there was another one. The tags that the scene had stay: they are the scene's.
    """
    row = db.execute("SELECT file_id FROM scenes WHERE id = ?", (scene_id,)).fetchone()
    old = None if row is None else row[0]
    if old is None or old == _file_id(db, fingerprint):
        return False
    db.execute("DELETE FROM suggestions WHERE scene_id = ?", (scene_id,))
    db.execute("DELETE FROM run_scenes WHERE scene_id = ? AND file_id = ?", (scene_id, old))
    db.execute("UPDATE scenes SET decided = NULL WHERE id = ?", (scene_id,))
    return True


def tags_json(tags: Collection[str]) -> str:
    """Return the ids of tags as the store keeps them."""
    return json.dumps(sorted(tags), separators=(",", ":"))


def _see(db: sqlite3.Connection, scene: Scene, moved: list[str], replaced: list[str]) -> None:
    row = db.execute(
        "SELECT source, oshash, size_bytes FROM scenes JOIN files ON files.id = file_id"
        " WHERE scenes.id = ?",
        (scene.id,),
    ).fetchone()
    if row is None or not scene.files:
        return
    if Fingerprint(row["oshash"], row["size_bytes"]) not in scene.files:
        _forget_file(db, scene.id)
        replaced.append(scene.id)
    elif scene.path and row["source"] != scene.path:
        db.execute("UPDATE scenes SET source = ? WHERE id = ?", (scene.path, scene.id))
        moved.append(scene.id)


def _forget_file(db: sqlite3.Connection, scene_id: str) -> None:
    """Drop all that was said of a file that the scene has no longer; the ledger knows its own."""
    for table in ("suggestions", "run_scenes"):
        db.execute(f"DELETE FROM {table} WHERE scene_id = ?", (scene_id,))
    db.execute(
        "UPDATE scenes SET file_id = NULL, decided = NULL, error_kind = NULL, error_message = NULL,"
        " error_remedy = NULL WHERE id = ?",
        (scene_id,),
    )


def _file_id(db: sqlite3.Connection, file: Fingerprint) -> int | None:
    row = db.execute(
        "SELECT id FROM files WHERE oshash = ? AND size_bytes = ?", (file.oshash, file.size_bytes)
    ).fetchone()
    return None if row is None else int(row[0])


def _undone_rows(db: sqlite3.Connection, scene_id: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    """What the user undid of the scene, by kind and key, as rows that are not shown."""
    rows = db.execute(
        "SELECT kind, key, target_id, name, label, confidence FROM suggestions"
        " WHERE scene_id = ? AND undone",
        (scene_id,),
    )
    return {(row[0], row[1]): (*row, Decision.HIDE.value, True) for row in rows}


def _as_said(suggestion: Suggestion, accepted: Words, refused: Words) -> Suggestion:
    """The suggestion as the user's verdict leaves it; what is never to be suggested stays so."""
    words = _words(suggestion)
    if words & refused:
        return replace(suggestion, decision=Decision.HIDE)
    if words & accepted and suggestion.decision is Decision.ASK:
        return replace(suggestion, decision=Decision.APPLY)
    return suggestion


def _words(suggestion: Suggestion) -> frozenset[tuple[str, str]]:
    """The thing under its name and, where it is known, its id."""
    words = {folded(suggestion.name), suggestion.target_id or ""} - {""}
    return frozenset((suggestion.kind, word) for word in words)


def _row(suggestion: Suggestion) -> tuple[str | float | int, ...]:
    return (
        suggestion.kind,
        folded(suggestion.name),
        suggestion.target_id or "",
        suggestion.name,
        suggestion.label,
        float(suggestion.confidence),
        suggestion.decision.value,
    )


def _decidable(row: sqlite3.Row) -> Decidable:
    return Decidable(
        scene_id=row["id"],
        file_id=row["file_id"],
        fingerprint=Fingerprint(row["oshash"], row["size_bytes"]),
        source=row["source"],
        duration_s=row["duration_s"],
        decided=row["decided"],
        result_row=row["result_row"],
    )


def _chunks(each: Iterable[T]) -> Iterator[Sequence[T]]:
    rest = iter(each)
    while some := tuple(islice(rest, _CHUNK)):
        yield some
