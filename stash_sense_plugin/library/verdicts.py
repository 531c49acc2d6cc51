"""What the user said of suggestions: it outlives models, settings, names and merged scenes."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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

_NEVER = 2**62
"""No row of the ledger is as high: nothing was written after what does not say when it was said."""

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


@dataclass(frozen=True, slots=True)
class LastSaid:
    """What was said last of a thing at a scene, once or several times in a row."""

    ids: frozenset[int]
    """The numbers of its verdicts: a thing may be known by several ids."""
    said: Said
    source: Source
    run_ids: frozenset[str]
    """The runs in which it was said; none where it was noticed."""
    scene_id: str
    """Of which it was said; empty where only the file tells."""
    target_ids: frozenset[str]
    """Stash's ids of the thing by then."""
    was_apply: bool
    """Whether it was to be written anyway: of markers, with their tag and by the settings."""
    after_row: int
    """The ledger's newest row when it was said for the first time."""


@dataclass(frozen=True, slots=True)
class Unsaid:
    """What is taken back of what was said of a scene."""

    scene_id: str
    last: LastSaid
    is_asked: bool
    """Whether it is asked about from now on, even if it was to be written anyway."""
    heir: str = ""
    """The kind of what is said still, where that keeps markers from being written again, or in
    Stash."""


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

    def said_of(
        self, scene: Scene, without: str = "", unsaid: Collection[int] = ()
    ) -> tuple[Words, Words]:
        """Return what the user accepted and refused for this scene or any file of it.

        Where files that were merged into one scene disagree, the refusal holds. `without` names a
        run that is taken for undone, `unsaid` verdicts that are taken for taken back.
        """
        with self._store.read() as db:
            return said_of(db, scene, without, unsaid)

    def said_of_many(self, scenes: Iterable[Scene]) -> dict[str, tuple[Words, Words]]:
        """Return by scene id what `said_of` says, of those scenes of which something was said."""
        found = {}
        each = iter(scenes)
        while some := tuple(islice(each, _CHUNK)):
            with self._store.read() as db:
                said = ((scene.id, said_of(db, scene)) for scene in some)
                found.update({scene_id: words for scene_id, words in said if any(words)})
        return found

    def unmarked(self, scene: Scene) -> Words:
        """Return the tags whose markers the user refused for this scene in so many words.

        As `said_of` has them, kind `marker`. Who takes one marker away in Stash lets others stay.
        """
        with self._store.read() as db:
            _, refused = said_of(db, scene)
            markers = frozenset(word for word in refused if word[0] == "marker")
            if not markers:
                return markers
            asked = (_words(word) for word in map(_word, _rows_of(db, scene)) if _was_asked(word))
            return markers & frozenset().union(*asked)

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
        """Forget one verdict and return it; None where there is none of that number.

        What it had replaced is forgotten too: the suggestion is shown as before all of it.
        """
        with self._store.write(durable=True) as db:
            row = db.execute(f"SELECT {_ROW} WHERE id = ?", (verdict_id,)).fetchone()
            if row is not None:
                word = _word(row)
                _let_hold(db, word, _shown_first(word), ())
        return None if row is None else _verdict(row)

    def last_said(
        self, scene: Scene, kind: str, name: str, target_ids: Collection[str] = ()
    ) -> LastSaid | None:
        """Return what was said last of a thing, by its name or one of its ids; None for nothing."""
        with self._store.read() as db:
            rows = _rows_of(db, scene)
        about = [
            _word(row)
            for row in rows
            if row["kind"] == kind
            and (folded(name) in _names(row) or _target(row) in {*target_ids} - {""})
        ]
        # What was said of this scene goes before what was said of another one with its file.
        about.sort(key=lambda word: (word["scene_id"] == scene.id, word["said_at_s"], word["id"]))
        return _last(about) if about else None

    def runs_of(self, scene: Scene, name: str, target_ids: Collection[str]) -> frozenset[str]:
        """Return the runs in which was said what holds of a tag or its markers, or held before."""
        with self._store.read() as db:
            words = [_word(row) for row in _rows_of(db, scene)]
        wanted = {*target_ids, folded(name)}
        return frozenset(
            run
            for word in words
            if word["kind"] in ("tag", "marker") and wanted & {each for _, each in _words(word)}
            for each in _in_all(word)
            for run in _runs_of(each["detail"])
        )

    def unsay(self, unsaid: Iterable[Unsaid]) -> None:
        """Take back what was said last of things, all or nothing.

        What was said before it in other words holds again, and the suggestions are shown as then.
        """
        with self._store.write(durable=True) as db:
            for each in unsaid:
                for number in each.last.ids:
                    _unsay_one(db, number, each)

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
        # What was said of another scene with this file is said of that one still.
        if _is_of(row, scene) and row["kind"] == saying.kind and _give_way(db, row, saying):
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
    for key, *_ in _undone_markers(db, saying):
        # They are wanted again, for themselves or with their tag.
        db.execute(f"DELETE FROM suggestions WHERE {_MARKERS}", (scene_id, key))
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
    for number in accepted_of(db, scene_id, kind, target_id, name):
        db.execute("DELETE FROM verdicts WHERE id = ?", (number,))


def accepted_of(
    db: sqlite3.Connection, scene_id: str, kind: str, target_id: str, name: str, without: str = ""
) -> frozenset[int]:
    """The numbers of the verdicts that accept a thing, but those that the run `without` said."""
    rows = db.execute(
        "SELECT id FROM verdicts WHERE said = 'accepted' AND scene_id = ? AND kind = ?"
        " AND (name = ? OR (target_id != '' AND target_id = ?))"
        " AND json_extract(detail, '$.run_id') IS NOT ?",
        (scene_id, kind, folded(name), target_id, without),
    )
    return frozenset(row[0] for row in rows)


def _give_way(db: sqlite3.Connection, row: sqlite3.Row, saying: Saying) -> bool:
    """Let an earlier verdict say no more what the new one speaks of; whether it did.

    A thing that was refused may have got another name since, and its name another thing: what was
    refused under the other word stays refused.
    """
    there = (_target(row), _names(row))
    named = folded(saying.name)
    names = {named, *map(folded, saying.also)}
    target_id = "" if there[0] == saying.target_id else there[0]
    left = (target_id, tuple(each for each in there[1] if each not in names))
    if row["said"] == Said.ACCEPTED:
        gone = left != there
    elif saying.said is Said.REFUSED:
        known = _words_of(named, saying.detail)
        # What was refused by its name alone is refused under its id too by now.
        gone = not target_id and set(there[1]) <= set(known)
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


def _target(row: sqlite3.Row) -> str:
    """The id of the thing of which a verdict speaks: of a marker, its tag's.

    What was noticed of markers by an older version has the marker's own.
    """
    if row["kind"] != "marker" or row["source"] != "noticed":
        return str(row["target_id"])
    exact = from_json(row["detail"]).get("exact")
    return str(exact[0]) if exact and row["target_id"] else str(row["target_id"])


def _words(word: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The thing of which a verdict speaks, under its id and each of its names."""
    names = _words_of(word["name"], word["detail"])
    return {(word["kind"], each) for each in (word["target_id"], *names) if each}


def _was_asked(word: Mapping[str, Any]) -> bool:
    """Whether the user refused it in so many words, even if it was noticed besides."""
    if word["said"] != Said.REFUSED:
        return False
    older = word["detail"].get("instead_of", ())
    return word["source"] == "asked" or any(map(_was_asked, older))


def _names(row: sqlite3.Row) -> tuple[str, ...]:
    """The folded names of which a verdict speaks."""
    return _words_of(row["name"], from_json(row["detail"]))


def _words_of(name: str, detail: Mapping[str, Any]) -> tuple[str, ...]:
    """A name and, where the tag was found by an alias, our own; none twice, and no empty one."""
    names = (name, *map(folded, detail.get("asked_as", ())))
    return tuple(each for each in dict.fromkeys(names) if each)


def said_of(
    db: sqlite3.Connection, scene: Scene, without: str = "", unsaid: Collection[int] = ()
) -> tuple[Words, Words]:
    """Return what was accepted and refused; as if a run and some verdicts had been undone."""
    accepted, refused, own = [], set[tuple[str, str]](), set[tuple[str, str]]()
    # What was said of the scene itself goes before what was said of another one with its file.
    for row in sorted(_rows_of(db, scene), key=lambda row: not _is_of(row, scene)):
        before = frozenset() if _is_of(row, scene) else frozenset(own)
        for word in _holding(_word(row), without, unsaid):
            words = _words(word)
            if word["said"] == Said.REFUSED:
                refused |= words - before
            elif not words & before:
                accepted.append(words)
            if _is_of(row, scene):
                own |= words
    kept = (words for words in accepted if not words & refused)
    return frozenset(word for words in kept for word in words), frozenset(refused)


def _holding(
    word: Mapping[str, Any], without: str, unsaid: Collection[int]
) -> list[Mapping[str, Any]]:
    """What a verdict says as if a run and some verdicts had been undone."""
    left = _other(word) if word["id"] in unsaid else [word]
    if unsaid:
        # Where one marker was taken away in Stash, the others stood there until they were taken.
        left = [old for old in left if old["kind"] != "marker" or not _is_noticed(old)]
    return [old for each in left for old in _unsaid(each, without)] if without else [*left]


def _is_noticed(word: Mapping[str, Any]) -> bool:
    """Whether something is refused for it was taken away in Stash, and for nothing else."""
    return word["said"] == Said.REFUSED and not _was_asked(word)


def _is_of(row: sqlite3.Row, scene: Scene) -> bool:
    """Whether a verdict is of this scene, and not of another one with its file.

    A further file of the scene came with another scene that was merged into it.
    """
    file = Fingerprint(row["oshash"], row["size_bytes"])
    return not scene.id or row["scene_id"] in ("", scene.id) or file != scene.fingerprint


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
    if kind == "marker":
        # Markers are no suggestion of their own.
        return
    db.execute(
        f"UPDATE suggestions SET decision = ?, undone = 0 WHERE {_SUGGESTED}",
        (SHOWN[said].value, scene_id, kind, name, target_id),
    )


# --- Markers that were undone -------------------------------------------------------------------

_MARKERS = "scene_id = ? AND kind = 'marker' AND key = ?"
"""What remembers that the user undid the markers of a tag."""


def _undone_markers(db: sqlite3.Connection, saying: Saying) -> list[list[str]]:
    """Key, id and name of tags whose markers were undone, where they are accepted now."""
    if saying.said is not Said.ACCEPTED or saying.kind not in ("tag", "marker"):
        return []
    known = _words_of(folded(saying.name), saying.detail)
    names = dict.fromkeys((*known, *map(folded, saying.also)))
    found = (
        db.execute(
            f"SELECT key, target_id, name FROM suggestions WHERE {_MARKERS} AND undone",
            (saying.scene.id, name),
        ).fetchone()
        for name in names
    )
    return [list(row) for row in found if row is not None]


def _undo_markers_again(db: sqlite3.Connection, word: Mapping[str, Any]) -> None:
    """Remember again which markers the user had undone before a word."""
    for key, target_id, name in word["detail"].get("unmarked", ()):
        db.execute(
            "INSERT OR IGNORE INTO suggestions (scene_id, kind, key, target_id, name, label,"
            " confidence, decision, undone) SELECT id, 'marker', ?, ?, ?, ?, 0, ?, 1 FROM scenes"
            " WHERE id = ?",
            (key, target_id, name, name, Decision.HIDE.value, word["scene_id"]),
        )


def _comes_anyway(
    db: sqlite3.Connection, saying: Saying, before: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether markers would be written without a word of their own: with their tag."""
    if not saying.detail.get("with_tags") or any(w["said"] == Said.REFUSED for w in before):
        return False
    scene_id, _, target_id, name = _thing(saying)
    applied = db.execute(
        f"SELECT 1 FROM suggestions WHERE {_SUGGESTED} AND decision = ? AND NOT undone",
        (scene_id, "tag", name, target_id, Decision.APPLY.value),
    )
    return applied.fetchone() is not None and not _undone_markers(db, saying)


# --- What was said before -----------------------------------------------------------------------


def _word(row: sqlite3.Row) -> dict[str, Any]:
    """A verdict as plain values, with its detail read."""
    return {**dict(row), "target_id": _target(row), "detail": from_json(row["detail"])}


def _remembering(
    db: sqlite3.Connection, saying: Saying, before: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The detail of a new verdict, with the words that it replaces and the decision shown before.

    Of the same word said before, and of what the same run said of it, only that is remembered
    which they had replaced, and in which runs they were said.
    """
    scene_id, kind, target_id, name = _thing(saying)
    shown = db.execute(
        f"SELECT decision, undone FROM suggestions WHERE {_SUGGESTED}",
        (scene_id, kind, name, target_id),
    ).fetchone()
    newest = db.execute("SELECT coalesce(max(row), 0) FROM ledger").fetchone()[0]
    detail = {**saying.detail, "after_row": newest}
    unmarked = _undone_markers(db, saying)
    if "with_tags" in detail:
        detail["with_tags"] = _comes_anyway(db, saying, before)
    older: list[dict[str, Any]] = []
    for word in before:
        there = word["detail"]
        same_run = bool(detail.get("run_id")) and there.get("run_id") == detail["run_id"]
        if same_run or (word["said"], word["source"]) == (saying.said, saying.source):
            older += there.get("instead_of", ())
            shown = there.get("shown", shown if same_run else None)
            unmarked += [each for each in there.get("unmarked", ()) if each not in unmarked]
            detail |= _carried(there, detail)
        else:
            older.append({key: value for key, value in word.items() if key != "id"})
    if older:
        detail["instead_of"] = [_shortened(word, _REMEMBERED - 1) for word in older]
    if shown is not None:
        detail["shown"] = list(shown)
    if unmarked:
        detail["unmarked"] = unmarked
    return detail


def _carried(there: Mapping[str, Any], detail: Mapping[str, Any]) -> dict[str, Any]:
    """What a word has of the same one that was said before it: since when, and in which runs."""
    # However often it was said: what the first of them wrote is known for its doing too.
    runs = (*detail.get("runs", ()), *there.get("runs", ()), there.get("run_id"))
    earlier = [each for each in dict.fromkeys(runs) if each not in (None, detail.get("run_id"))]
    held = dict.fromkeys((*detail.get("holds", ()), *there.get("holds", ())))
    carried: dict[str, Any] = {"runs": earlier, "holds": [*held]}
    if "with_tags" in there:
        carried["with_tags"] = there["with_tags"]
    since = min(there.get("after_row", detail["after_row"]), detail["after_row"])
    return {key: value for key, value in carried.items() if value != []} | {"after_row": since}


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
        if not detail.get("runs"):
            return older
        # The same was said before, and is said still.
        *detail["runs"], detail["run_id"] = detail["runs"]
    elif word["source"] == "asked" and run_id in detail.get("runs", ()):
        detail["runs"] = [each for each in detail["runs"] if each != run_id]
    return [{**word, "detail": {**detail, "instead_of": older} if older else detail}]


def _is_by(word: Mapping[str, Any], run_id: str) -> bool:
    return bool(word["source"] == "asked" and word["detail"].get("run_id") == run_id)


def _speaking_of(db: sqlite3.Connection, run_id: str) -> list[dict[str, Any]]:
    """The verdicts that a run said, and those that replaced one of its own."""
    found = db.execute(f"SELECT {_ROW} WHERE instr(detail, ?) > 0 ORDER BY id", (f'"{run_id}"',))
    return [_word(row) for row in found.fetchall()]


def _take_out(db: sqlite3.Connection, word: Mapping[str, Any], run_id: str) -> bool:
    """Take what a run said out of one verdict; whether it was the run's own."""
    left, is_own = _unsaid(word, run_id), _is_by(word, run_id)
    if is_own and not word["detail"].get("runs"):
        _let_hold(db, word, word["detail"].get("shown"), left)
        return True
    [kept] = left
    detail = to_json(kept["detail"])
    db.execute("UPDATE OR REPLACE verdicts SET detail = ? WHERE id = ?", (detail, word["id"]))
    if is_own:
        _reconsider(db, word["scene_id"], word["oshash"], word["size_bytes"])
    return is_own


def _let_hold(
    db: sqlite3.Connection,
    word: Mapping[str, Any],
    shown: Sequence[int] | None,
    left: Iterable[Mapping[str, Any]],
) -> None:
    """Forget a verdict, show the suggestion as before it, and let the words before it hold."""
    db.execute("DELETE FROM verdicts WHERE id = ?", (word["id"],))
    for each in _in_a_row(word):
        _undo_markers_again(db, {**each, "scene_id": word["scene_id"]})
    if shown:
        said = Said(word["said"])
        db.execute(
            f"UPDATE suggestions SET decision = ?, undone = ? WHERE {_SUGGESTED} AND decision = ?",
            (*shown, *_place(word), SHOWN[said].value),
        )
    for old in left:
        _say_again(db, old, word)
    _reconsider(db, word["scene_id"], word["oshash"], word["size_bytes"])


# --- What was said last -------------------------------------------------------------------------


def _in_a_row(word: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a word and those that it replaced and that say the same, the newest first."""
    yield word
    for old in word["detail"].get("instead_of", ()):
        if (old["said"], old["source"]) == (word["said"], word["source"]):
            yield from _in_a_row(old)


def _in_all(word: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a word and all that it replaced."""
    yield word
    for old in word["detail"].get("instead_of", ()):
        yield from _in_all(old)


def _other(word: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The words that a verdict replaced and that say something else.

    What the user took away in Stash is asked about: it is not accepted still.
    """
    taken_away = word["source"] == "noticed"
    return [
        dict(old)
        for each in _in_a_row(word)
        for old in each["detail"].get("instead_of", ())
        if (old["said"], old["source"]) != (word["said"], word["source"])
        and not (taken_away and old["said"] == Said.ACCEPTED)
    ]


def _shown_before(word: Mapping[str, Any]) -> Sequence[int] | None:
    """The decision and whether it was undone, as shown before it was said for the first time."""
    found = [shown for each in _in_a_row(word) if (shown := each["detail"].get("shown"))]
    return found[-1] if found else None


def _shown_first(word: Mapping[str, Any]) -> Sequence[int] | None:
    """The decision and whether it was undone, as shown before any word that is remembered."""
    older = map(_shown_first, word["detail"].get("instead_of", ()))
    return next(filter(None, older), word["detail"].get("shown"))


def _last(about: Sequence[Mapping[str, Any]]) -> LastSaid:
    """What the last of these words says, and those said with it."""
    newest = about[-1]
    said = [word for word in about if _said_with(word) == _said_with(newest)]
    shown = _shown_before(newest)
    in_a_row = [each for word in said for each in _in_a_row(word)]
    runs = {run for each in in_a_row for run in _runs_of(each["detail"])}
    rows = [row for each in in_a_row if (row := each["detail"].get("after_row")) is not None]
    return LastSaid(
        ids=frozenset(word["id"] for word in said),
        said=Said(newest["said"]),
        source=newest["source"],
        run_ids=frozenset(runs) if newest["source"] == "asked" else frozenset(),
        scene_id=newest["scene_id"],
        target_ids=frozenset(word["target_id"] for word in said) - {""},
        was_apply=in_a_row[-1]["detail"].get("with_tags") is True
        if newest["kind"] == "marker"
        else list(shown or ()) == [Decision.APPLY.value, 0],
        after_row=min(rows, default=_NEVER),
    )


def _runs_of(detail: Mapping[str, Any]) -> set[str]:
    """The runs in which a word was said, and those whose taking back it holds up."""
    runs = (detail.get("run_id"), *detail.get("runs", ()), *detail.get("holds", ()))
    return {str(each) for each in runs if each is not None}


def _said_with(word: Mapping[str, Any]) -> tuple[object, ...]:
    """What words share that were said at once, of one scene."""
    run_id = word["detail"].get("run_id") if word["source"] == "asked" else None
    return word["said"], word["source"], word["scene_id"], run_id or word["said_at_s"]


def _unsay_one(db: sqlite3.Connection, number: int, unsaid: Unsaid) -> None:
    row = db.execute(f"SELECT {_ROW} WHERE id = ?", (number,)).fetchone()
    if row is None:
        return
    word = _word(row)
    if unsaid.heir:
        _pass_on(db, word, unsaid)
    _let_hold(db, word, _shown_before(word), _other(word))
    if word["kind"] == "marker":
        return
    place = (unsaid.scene_id, *_place(word)[1:])
    asked = "UPDATE suggestions SET {} WHERE " + _SUGGESTED + " AND decision = ?"
    if not word["scene_id"]:
        # Of what was shown before, only the library knows in which it was said.
        told = (Decision.ASK.value, *place, SHOWN[unsaid.last.said].value)
        db.execute(asked.format("decision = ?"), told)
    elif unsaid.is_asked:
        db.execute(asked.format("undone = 1"), (*place, Decision.APPLY.value))


def _pass_on(db: sqlite3.Connection, word: Mapping[str, Any], unsaid: Unsaid) -> None:
    """Let what is refused still write again, once it is unsaid too, what this refusal took.

    And let what is accepted still take back what this acceptance wrote.
    """
    names = {each for _, each in _words(word)}
    rows = db.execute(
        f"SELECT {_ROW} WHERE scene_id = ? AND kind = ? AND said = ? AND source = 'asked'",
        (unsaid.scene_id, unsaid.heir, word["said"]),
    ).fetchall()
    for heir in map(_word, rows):
        if names & {each for _, each in _words(heir)}:
            detail = heir["detail"]
            held = {*detail.get("holds", ()), *unsaid.last.run_ids}
            detail = {**detail, "holds": sorted(held)}
            if "with_tags" in detail:
                # They came with their tag by that word alone, where it was not to be written.
                detail["with_tags"] = detail["with_tags"] and unsaid.last.was_apply
            db.execute(
                "UPDATE OR REPLACE verdicts SET detail = ? WHERE id = ?",
                (to_json(detail), heir["id"]),
            )


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
        target_id=_target(row),
        name=str(detail.get("called") or row["name"]),
        said=Said(row["said"]),
        source=row["source"],
        scene_id=row["scene_id"],
        fingerprint=file,
        detail=detail,
        said_at_s=row["said_at_s"],
    )
