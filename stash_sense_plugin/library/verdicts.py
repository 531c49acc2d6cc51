"""What the user said of suggestions: it outlives models, settings, names and merged scenes."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from stash_sense_plugin.library.database import Database, from_json, to_json
from stash_sense_plugin.records import Decision, Fingerprint, Said, Scene, folded

Source = Literal["asked", "noticed"]
"""Said in so many words, or seen: a tag of ours was taken away in Stash."""

Words = frozenset[tuple[str, str]]
"""Things as (kind, id or casefolded name): each is there under both, where both are known."""

SHOWN = {Said.ACCEPTED: Decision.APPLY, Said.REFUSED: Decision.HIDE}
"""What a verdict makes of a suggestion."""

_CHUNK = 300
"""Scenes per query: old SQLite binds at most 999 values."""

_REMEMBERED = 5
"""How many earlier words on the same thing a verdict remembers, for who undoes it."""

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

    def said_of(self, scene: Scene, without: str = "") -> tuple[Words, Words]:
        """Return what the user accepted and refused for this scene or any file of it.

        Where files that were merged into one scene disagree, the refusal holds. `without` names a
        run that is taken for undone.
        """
        with self._store.read() as db:
            return said_of(db, scene, without)

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
            if row is not None:
                _reconsider(db, row["scene_id"], row["oshash"], row["size_bytes"])
        return None if row is None else _verdict(row)

    def withdraw_run(self, run_id: str) -> int:
        """Forget what was said by a run that is undone, and return how many verdicts that were.

        What the user had said of the same things before holds again.
        """
        with self._store.write(durable=True) as db:
            rows = _speaking_of(db, run_id)
            return sum(_take_out(db, row, run_id) for row in rows)


def keep(db: sqlite3.Connection, saying: Saying, now: float) -> None:
    """Keep one verdict in place of an earlier one; for who holds the transaction."""
    scene, before = saying.scene, list[dict[str, Any]]()
    for row in _rows_of(db, scene):
        if row["kind"] == saying.kind and _give_way(db, row, saying):
            before.append(_word(row))
    detail = _remembering(db, saying, before)
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
            to_json({"called": saying.name, **detail}),
            now,
        ),
    )
    scene_id, kind, target_id, _ = _thing(saying)
    for name in _words_of(folded(saying.name), saying.detail):
        _show(db, saying.said, scene_id, kind, target_id, name)
    _reconsider(db, scene.id, file.oshash, file.size_bytes)


def _reconsider(db: sqlite3.Connection, scene_id: str, oshash: str, size_bytes: int) -> None:
    """Let what was said count as not decided yet: what is in Stash may differ from it already."""
    db.execute(
        "UPDATE scenes SET decided = NULL WHERE id = ? OR file_id ="
        " (SELECT id FROM files WHERE oshash = ? AND size_bytes = ?)",
        (scene_id, oshash, size_bytes),
    )


def unsay(db: sqlite3.Connection, scene_id: str, kind: str, target_id: str, name: str) -> None:
    """Forget that a thing was accepted, for who undoes it; for who holds the transaction."""
    db.execute(
        "DELETE FROM verdicts WHERE said = 'accepted' AND scene_id = ? AND kind = ?"
        " AND (name = ? OR (target_id != '' AND target_id = ?))",
        (scene_id, kind, folded(name), target_id),
    )


def _give_way(db: sqlite3.Connection, row: sqlite3.Row, saying: Saying) -> bool:
    """Let an earlier verdict say no more what the new one speaks of; whether it did.

    A thing that was refused may have got another name since, and its name another thing: what was
    refused under the other word stays refused.
    """
    there = (row["target_id"], _names(row))
    named = folded(saying.name)
    names = {named, *map(folded, saying.also)}
    target_id = "" if there[0] == saying.target_id else there[0]
    left = (target_id, tuple(each for each in there[1] if each not in names))
    if row["said"] == Said.ACCEPTED:
        gone = left != there
    elif saying.said is Said.REFUSED:
        known = _words_of(named, saying.detail)
        gone = there[0] == saying.target_id and set(there[1]) <= set(known)
    else:
        gone = not any(left)
        if not gone and left != there:
            _leave(db, row, *left)
    if gone:
        db.execute("DELETE FROM verdicts WHERE id = ?", (row["id"],))
    # Of a refusal under both words, what is said now of one leaves the other.
    return gone or (saying.said is Said.ACCEPTED and left != there)


def _leave(db: sqlite3.Connection, row: sqlite3.Row, target_id: str, names: Sequence[str]) -> None:
    """Let a refusal speak of these words alone."""
    detail = from_json(row["detail"])
    if "asked_as" in detail:
        detail["asked_as"] = list(names[1:])
    db.execute(
        "UPDATE OR REPLACE verdicts SET target_id = ?, name = ?, detail = ? WHERE id = ?",
        (target_id, names[0] if names else "", to_json(detail), row["id"]),
    )


def _names(row: sqlite3.Row) -> tuple[str, ...]:
    """The folded names of which a verdict speaks."""
    return _words_of(row["name"], from_json(row["detail"]))


def _words_of(name: str, detail: Mapping[str, Any]) -> tuple[str, ...]:
    """A name and, where the tag was found by an alias, our own; none twice, and no empty one."""
    names = (name, *map(folded, detail.get("asked_as", ())))
    return tuple(each for each in dict.fromkeys(names) if each)


def said_of(db: sqlite3.Connection, scene: Scene, without: str = "") -> tuple[Words, Words]:
    """Return what was accepted and refused; `without` a run, as if it had been undone."""
    accepted, refused = [], set()
    said = [_word(row) for row in _rows_of(db, scene)]
    for row in said if not without else [old for each in said for old in _unsaid(each, without)]:
        names = _words_of(row["name"], row["detail"])
        words = {(row["kind"], word) for word in (row["target_id"], *names) if word}
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


def _thing(saying: Saying) -> tuple[str, str, str, str]:
    return saying.scene.id, saying.kind, saying.target_id, folded(saying.name)


_SUGGESTED = "scene_id = ? AND kind = ? AND (key = ? OR (target_id != '' AND target_id = ?))"


def _show(
    db: sqlite3.Connection, said: Said, scene_id: str, kind: str, target_id: str, name: str
) -> None:
    """Let the list of suggestions say at once what deciding again would."""
    db.execute(
        f"UPDATE suggestions SET decision = ?, undone = 0 WHERE {_SUGGESTED}",
        (SHOWN[said].value, scene_id, kind, name, target_id),
    )
    if said is Said.ACCEPTED and kind == "tag":
        # Its markers are wanted again with it.
        db.execute(
            "DELETE FROM suggestions WHERE scene_id = ? AND kind = 'marker' AND key = ?",
            (scene_id, name),
        )


# --- What was said before -----------------------------------------------------------------------


def _word(row: sqlite3.Row) -> dict[str, Any]:
    """A verdict as plain values, with its detail read."""
    return {**dict(row), "detail": from_json(row["detail"])}


def _remembering(
    db: sqlite3.Connection, saying: Saying, before: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The detail of a new verdict, with the words that it replaces and the decision shown before.

    Of what the same run said of it before, only what that one had replaced is remembered.
    """
    scene_id, kind, target_id, name = _thing(saying)
    shown = db.execute(
        f"SELECT decision, undone FROM suggestions WHERE {_SUGGESTED}",
        (scene_id, kind, name, target_id),
    ).fetchone()
    detail = dict(saying.detail)
    older: list[dict[str, Any]] = []
    for word in before:
        if detail.get("run_id") and word["detail"].get("run_id") == detail["run_id"]:
            older += word["detail"].get("instead_of", ())
            shown = word["detail"].get("shown", shown)
        else:
            older.append({key: value for key, value in word.items() if key != "id"})
    if older:
        detail["instead_of"] = [_shortened(word, _REMEMBERED - 1) for word in older]
    if shown is not None:
        detail["shown"] = list(shown)
    return detail


def _shortened(word: Mapping[str, Any], depth: int) -> dict[str, Any]:
    detail = dict(word["detail"])
    older = detail.pop("instead_of", ())
    if older and depth > 0:
        detail["instead_of"] = [_shortened(each, depth - 1) for each in older]
    return {**word, "detail": detail}


def _unsaid(word: Mapping[str, Any], run_id: str) -> list[dict[str, Any]]:
    """What a verdict is without what a run said: itself, or in its place the words before it."""
    detail = dict(word["detail"])
    older = [old for each in detail.pop("instead_of", ()) for old in _unsaid(each, run_id)]
    if _is_by(word, run_id):
        return older
    return [{**word, "detail": {**detail, "instead_of": older} if older else detail}]


def _is_by(word: Mapping[str, Any], run_id: str) -> bool:
    return bool(word["source"] == "asked" and word["detail"].get("run_id") == run_id)


def _speaking_of(db: sqlite3.Connection, run_id: str) -> list[dict[str, Any]]:
    """The verdicts that a run said, and those that replaced one of its own."""
    found = db.execute(f"SELECT {_ROW} WHERE instr(detail, ?) > 0 ORDER BY id", (f'"{run_id}"',))
    return [_word(row) for row in found.fetchall()]


def _take_out(db: sqlite3.Connection, word: Mapping[str, Any], run_id: str) -> bool:
    """Take what a run said out of one verdict; whether it was the run's own."""
    left = _unsaid(word, run_id)
    if not _is_by(word, run_id):
        [kept] = left
        detail = to_json(kept["detail"])
        db.execute("UPDATE OR REPLACE verdicts SET detail = ? WHERE id = ?", (detail, word["id"]))
        return False
    db.execute("DELETE FROM verdicts WHERE id = ?", (word["id"],))
    if shown := word["detail"].get("shown"):
        said = Said(word["said"])
        db.execute(
            f"UPDATE suggestions SET decision = ?, undone = ? WHERE {_SUGGESTED} AND decision = ?",
            (*shown, *_place(word), SHOWN[said].value),
        )
    for old in left:
        _say_again(db, old, word)
    _reconsider(db, word["scene_id"], word["oshash"], word["size_bytes"])
    return True


def _place(word: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return word["scene_id"], word["kind"], word["name"], word["target_id"]


def _say_again(db: sqlite3.Connection, old: Mapping[str, Any], by_now: Mapping[str, Any]) -> None:
    """Put back what a verdict had replaced, for the scene of which that one is by now."""
    # In another library only the file and the name still say anything.
    target_id = old["target_id"] if by_now["scene_id"] else ""
    if not (by_now["scene_id"] or old["oshash"]):
        return
    # One that was refused under two words may have kept one of them.
    db.execute(
        "DELETE FROM verdicts WHERE kind = ? AND said = ? AND source = ? AND said_at_s = ?"
        " AND scene_id = ? AND oshash = ? AND size_bytes = ? AND name IN ('', ?)"
        " AND target_id IN ('', ?)",
        (
            *(old[part] for part in ("kind", "said", "source", "said_at_s")),
            by_now["scene_id"],
            *(old[part] for part in ("oshash", "size_bytes", "name")),
            target_id,
        ),
    )
    db.execute(
        "INSERT OR REPLACE INTO verdicts (kind, target_id, name, said, source, scene_id, oshash,"
        " size_bytes, detail, said_at_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            old["kind"],
            target_id,
            *(old[part] for part in ("name", "said", "source")),
            by_now["scene_id"],
            old["oshash"],
            old["size_bytes"],
            to_json(old["detail"]),
            old["said_at_s"],
        ),
    )
    _show(db, Said(old["said"]), by_now["scene_id"], old["kind"], target_id, old["name"])


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
