"""What the user said of suggestions: it outlives models, settings, names and merged scenes."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from stash_sense_plugin.library.database import Database, from_json, to_json
from stash_sense_plugin.records import Decision, Fingerprint, Said, Scene

Source = Literal["asked", "noticed"]
"""Said in so many words, or seen: a tag of ours was taken away in Stash."""

Words = frozenset[tuple[str, str]]
"""Things as (kind, id or casefolded name): each is there under both, where both are known."""

SHOWN = {Said.ACCEPTED: Decision.APPLY, Said.REFUSED: Decision.HIDE}
"""What a verdict makes of a suggestion."""

_CHUNK = 300
"""Scenes per query: old SQLite binds at most 999 values."""

_ROW = (
    "id, kind, target_id, name, said, source, scene_id, oshash, size_bytes, detail, said_at_s"
    " FROM verdicts"
)


@dataclass(frozen=True, slots=True)
class Saying:
    """One thing, and what the user says of it for one scene."""

    scene: Scene
    kind: str
    name: str
    target_id: str
    """Stash's id of it; empty where it is not in Stash."""
    said: Said
    source: Source = "asked"
    detail: Mapping[str, object] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    """Its other names, under which it may have been spoken of before."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was said, as it is kept."""

    id: int
    kind: str
    target_id: str
    name: str
    said: Said
    source: Source
    scene_id: str
    """Empty where only the file tells: it was said in another library."""
    fingerprint: Fingerprint | None
    detail: Mapping[str, Any]
    said_at_s: float
    """Seconds since 1970."""


class Verdicts:
    """The user's verdicts over the store; each call is on the disk when it returns."""

    def __init__(self, store: Database) -> None:
        self._store = store

    def say(self, sayings: Sequence[Saying]) -> None:
        """Keep what the user says, all or nothing, in place of what was said of it before.

        The suggestions that the store shows change with it.
        """
        if not sayings:
            return
        now = self._store.clock()
        with self._store.write(durable=True) as db:
            for saying in sayings:
                keep(db, saying, now)

    def said_of(self, scene: Scene) -> tuple[Words, Words]:
        """Return what the user accepted and refused for this scene or any file of it.

        Where files that were merged into one scene disagree, the refusal holds.
        """
        with self._store.read() as db:
            return said_of(db, scene)

    def said_of_many(self, scenes: Iterable[Scene]) -> dict[str, tuple[Words, Words]]:
        """Return by scene id what `said_of` says, of those scenes of which something was said."""
        found = {}
        each = iter(scenes)
        while some := tuple(islice(each, _CHUNK)):
            with self._store.read() as db:
                said = ((scene.id, said_of(db, scene)) for scene in some)
                found.update({scene_id: words for scene_id, words in said if any(words)})
        return found

    def spoken_of(self) -> tuple[frozenset[str], frozenset[Fingerprint]]:
        """Return the scenes and the files of which anything was said: of all others, nothing."""
        with self._store.read() as db:
            rows = db.execute("SELECT DISTINCT scene_id, oshash, size_bytes FROM verdicts")
            said = rows.fetchall()
        files = frozenset(Fingerprint(row[1], row[2]) for row in said if row[1])
        return frozenset(row[0] for row in said if row[0]), files

    def listing(
        self,
        after: int | None = None,
        limit: int = 50,
        said: Said | None = None,
        scene_id: str | None = None,
    ) -> list[Verdict]:
        """Return verdicts, the newest first; page on with the last one's id as `after`."""
        wanted = {"id < ?": after, "said = ?": said and said.value, "scene_id = ?": scene_id}
        given = {clause: value for clause, value in wanted.items() if value is not None}
        where = f" WHERE {' AND '.join(given)}" if given else ""
        with self._store.read() as db:
            rows = db.execute(
                f"SELECT {_ROW}{where} ORDER BY id DESC LIMIT ?", (*given.values(), limit)
            ).fetchall()
        return [_verdict(row) for row in rows]

    def withdraw(self, verdict_id: int) -> Verdict | None:
        """Forget one verdict and return it; None where there is none of that number."""
        with self._store.write(durable=True) as db:
            row = db.execute(f"SELECT {_ROW} WHERE id = ?", (verdict_id,)).fetchone()
            db.execute("DELETE FROM verdicts WHERE id = ?", (verdict_id,))
        return None if row is None else _verdict(row)

    def withdraw_run(self, run_id: str, scene_ids: Sequence[str] | None = None) -> int:
        """Forget what was said by a run that is undone, of all scenes or some; return how many."""
        asked = "source = 'asked' AND instr(detail, ?) > 0"
        said = f'"run_id":"{run_id}"'
        with self._store.write(durable=True) as db:
            if scene_ids is None:
                return db.execute(f"DELETE FROM verdicts WHERE {asked}", (said,)).rowcount
            gone = db.executemany(
                f"DELETE FROM verdicts WHERE {asked} AND scene_id = ?",
                ((said, scene_id) for scene_id in scene_ids),
            )
            return gone.rowcount


def folded(name: str) -> str:
    """Return the name as verdicts compare it."""
    return name.strip().casefold()


def keep(db: sqlite3.Connection, saying: Saying, now: float) -> None:
    """Keep one verdict in place of an earlier one; for who holds the transaction."""
    scene = saying.scene
    for row in _rows_of(db, scene):
        if row["kind"] == saying.kind:
            _give_way(db, row, saying)
    file = scene.fingerprint or Fingerprint("", 0)
    db.execute(
        "INSERT OR REPLACE INTO verdicts (kind, target_id, name, said, source, scene_id, oshash,"
        " size_bytes, detail, said_at_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            saying.kind,
            saying.target_id,
            folded(saying.name),
            saying.said.value,
            saying.source,
            scene.id,
            file.oshash,
            file.size_bytes,
            to_json({"called": saying.name, **saying.detail}),
            now,
        ),
    )
    _show(db, saying)


def unsay(db: sqlite3.Connection, scene_id: str, kind: str, target_id: str, name: str) -> None:
    """Forget that a thing was accepted, for who undoes it; for who holds the transaction."""
    db.execute(
        "DELETE FROM verdicts WHERE said = 'accepted' AND scene_id = ? AND kind = ?"
        " AND (name = ? OR (target_id != '' AND target_id = ?))",
        (scene_id, kind, folded(name), target_id),
    )


def _give_way(db: sqlite3.Connection, row: sqlite3.Row, saying: Saying) -> None:
    """Let an earlier verdict say no more what the new one speaks of.

    A thing that was refused may have got another name since, and its name another thing: what was
    refused under the other word stays refused.
    """
    there = (row["target_id"], row["name"])
    words = (saying.target_id, folded(saying.name))
    names = {words[1], *map(folded, saying.also)}
    left = ("" if there[0] == words[0] else there[0], "" if there[1] in names else there[1])
    if row["said"] == Said.ACCEPTED:
        gone = left != there
    elif saying.said is Said.REFUSED:
        gone = there == words
    else:
        gone = not any(left)
        if not gone and left != there:
            values = (*left, row["id"])
            db.execute(
                "UPDATE OR REPLACE verdicts SET target_id = ?, name = ? WHERE id = ?", values
            )
    if gone:
        db.execute("DELETE FROM verdicts WHERE id = ?", (row["id"],))


def said_of(db: sqlite3.Connection, scene: Scene) -> tuple[Words, Words]:
    accepted, refused = [], set()
    for row in _rows_of(db, scene):
        words = {(row["kind"], word) for word in (row["target_id"], row["name"]) if word}
        if row["said"] == Said.REFUSED:
            refused |= words
        else:
            accepted.append(words)
    kept = (words for words in accepted if not words & refused)
    return frozenset(word for words in kept for word in words), frozenset(refused)


def _rows_of(db: sqlite3.Connection, scene: Scene) -> list[sqlite3.Row]:
    """All that was said of a scene or a file of it, in the order in which it was said."""
    files = [each for each in scene.files if each.oshash]
    where = ["scene_id = ?"] if scene.id else []
    where += ["oshash = ? AND size_bytes = ?"] * len(files)
    if not where:
        return []
    values = [scene.id] if scene.id else []
    pairs = [value for file in files for value in (file.oshash, file.size_bytes)]
    return db.execute(
        f"SELECT {_ROW} WHERE {' OR '.join(f'({each})' for each in where)} ORDER BY id",
        (*values, *pairs),
    ).fetchall()


def _show(db: sqlite3.Connection, saying: Saying) -> None:
    """Let the list of suggestions say at once what deciding again would."""
    db.execute(
        "UPDATE suggestions SET decision = ?, undone = 0"
        " WHERE scene_id = ? AND kind = ? AND (key = ? OR (target_id != '' AND target_id = ?))",
        (
            SHOWN[saying.said].value,
            saying.scene.id,
            saying.kind,
            folded(saying.name),
            saying.target_id,
        ),
    )


def _verdict(row: sqlite3.Row) -> Verdict:
    detail = from_json(row["detail"])
    file = Fingerprint(row["oshash"], row["size_bytes"]) if row["oshash"] else None
    return Verdict(
        id=row["id"],
        kind=row["kind"],
        target_id=row["target_id"],
        name=str(detail.get("called") or row["name"]),
        said=Said(row["said"]),
        source=row["source"],
        scene_id=row["scene_id"],
        fingerprint=file,
        detail=detail,
        said_at_s=row["said_at_s"],
    )
