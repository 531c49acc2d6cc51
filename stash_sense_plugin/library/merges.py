"""What is kept of scenes that were merged into others in Stash: it follows their files."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stash_sense_plugin.library.database import Database, to_json
from stash_sense_plugin.library.results import forget
from stash_sense_plugin.records import Fingerprint


@dataclass(frozen=True, slots=True)
class Merge:
    """A scene that is gone, and the one that has its files now."""

    gone: str
    home: str
    files: frozenset[Fingerprint]
    """Those by which the gone scene was known."""
    home_file: Fingerprint | None
    """The primary file of the scene that is left."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What is to be kept of a merge, as Stash has the scene that is left."""

    merge: Merge
    rows: Mapping[int, Mapping[str, Any]]
    """Rows of the ledger that are ours there, by number, and more for the detail of each."""
    not_ours: Sequence[int]
    """Rows of the scene that is left: they cannot be told any more from what the user put there."""
    had: frozenset[str]
    """Tags that the user brings along."""


class Merges:
    """Rewrites what is kept when scenes were merged."""

    def __init__(self, store: Database) -> None:
        self._store = store

    def strays(self, homes: Mapping[Fingerprint, str]) -> dict[str, frozenset[Fingerprint]]:
        """Return the scenes by which we know files that lie elsewhere now, and these files.

        `homes` are the scenes in which Stash has the files. Only scenes count that we looked at or
        wrote to, or of which something was said.
        """
        found: dict[str, set[Fingerprint]] = {}
        with self._store.read() as db:
            for file, home in homes.items():
                for scene_id in _known(db, file):
                    if scene_id != home:
                        found.setdefault(scene_id, set()).add(file)
        return {scene_id: frozenset(known) for scene_id, known in found.items()}

    def tags_at_look(self, scene_id: str, files: Collection[Fingerprint]) -> frozenset[str] | None:
        """Return the tags that a scene had at our last look, where one of these was its file.

        None where we never looked, or looked at another one: the number means another scene now.
        """
        with self._store.read() as db:
            row = db.execute(
                "SELECT oshash, size_bytes FROM scenes JOIN files ON files.id = file_id"
                " WHERE scenes.id = ?",
                (scene_id,),
            ).fetchone()
            known = row is not None and Fingerprint(row[0], row[1]) in files
            return _last_tags(db, scene_id) if known else None

    def follow(self, gone: str, homes: Iterable[Followed]) -> None:
        """Let all that is kept of a gone scene be of those that are left, or nothing at a kill.

        Verdicts go with the files, and rows of the ledger as they are named. What else was ours is
        withdrawn, and results are dropped.
        """
        now = self._store.clock()
        with self._store.write(durable=True) as db:
            for home in homes:
                _follow(db, home, now)
            forget(db, gone)


def _follow(db: sqlite3.Connection, followed: Followed, now: float) -> None:
    merge = followed.merge
    _add_last_tags(db, merge.home, followed.had)
    db.executemany(
        "UPDATE ledger SET withdrawn = 'merged' WHERE row = ?",
        ((row,) for row in followed.not_ours),
    )
    for row, more in followed.rows.items():
        _copy(db, row, merge, more, now)
    for file in merge.files:
        where = (merge.gone, file.oshash, file.size_bytes)
        db.execute(
            "UPDATE ledger SET withdrawn = 'merged' WHERE outcome = 'ours'"
            " AND withdrawn IS NULL AND scene_id = ? AND oshash = ? AND size_bytes = ?",
            where,
        )
        db.execute(
            "UPDATE OR REPLACE verdicts SET scene_id = ?"
            " WHERE scene_id = ? AND oshash = ? AND size_bytes = ?",
            (merge.home, *where),
        )


_NAMED = (
    "SELECT scene_id FROM ledger WHERE outcome = 'ours' AND withdrawn IS NULL",
    "SELECT scene_id FROM verdicts WHERE TRUE",
    "SELECT scenes.id FROM files JOIN scenes ON scenes.file_id = files.id WHERE TRUE",
)


def _known(db: sqlite3.Connection, file: Fingerprint) -> set[str]:
    """The scenes of Stash's that rows, verdicts and results name with this file."""
    found: set[str] = set()
    for named in _NAMED:
        rows = db.execute(
            f"{named} AND oshash = ? AND size_bytes = ?", (file.oshash, file.size_bytes)
        )
        found.update(row[0] for row in rows)
    # A file from the command line has its path for a scene.
    return {scene_id for scene_id in found if scene_id.isdigit()}


def _last_tags(db: sqlite3.Connection, scene_id: str) -> frozenset[str] | None:
    row = db.execute("SELECT last_tags FROM scenes WHERE id = ?", (scene_id,)).fetchone()
    return None if row is None or row[0] is None else frozenset(map(str, json.loads(row[0])))


def _add_last_tags(db: sqlite3.Connection, scene_id: str, more: Collection[str]) -> None:
    there = _last_tags(db, scene_id)
    if there is not None and more:
        tags = json.dumps(sorted(there | set(more)))
        db.execute("UPDATE scenes SET last_tags = ? WHERE id = ?", (tags, scene_id))


def _copy(
    db: sqlite3.Connection, row: int, merge: Merge, more: Mapping[str, Any], now: float
) -> None:
    """Write a row anew for the scene that is left: all that was written there before is earlier."""
    [detail] = db.execute("SELECT detail FROM ledger WHERE row = ?", (row,)).fetchone()
    file = merge.home_file
    db.execute(
        "INSERT INTO ledger (run_id, action, scene_id, oshash, size_bytes, target_id, target_name,"
        " detail, outcome, of_run, intended_at_s, settled_at_s)"
        " SELECT run_id, action, ?, ?, ?, target_id, target_name, ?, outcome, of_run,"
        " intended_at_s, ?"
        " FROM ledger WHERE row = ?",
        (
            merge.home,
            file and file.oshash,
            file and file.size_bytes,
            to_json({**json.loads(detail), "merged_from": merge.gone, **more}),
            now,
            row,
        ),
    )
