"""The ledger: a row before and after every write to Stash, and what the user refused."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.database import Database, from_json, to_json
from stash_sense_plugin.library.verdicts import Saying, Verdicts, accepted_of, keep, unsay
from stash_sense_plugin.records import (
    TAKING_BACK,
    Action,
    Decision,
    Fingerprint,
    LedgerEntry,
    Outcome,
    Said,
    Scene,
    folded,
)

REFUSABLE = {
    Action.ADD_TAG: "tag",
    Action.CREATE_MARKER: "marker",
    Action.SET_STUDIO: "studio",
}
"""What a user can refuse, and the kind that `refused` calls it."""

_CHUNK = 500
"""Scene ids per query: old SQLite binds at most 999 values."""

_SELECT = (
    "SELECT row, run_id, action, scene_id, oshash, size_bytes, target_id, target_name, detail,"
    " outcome, takes_back, of_run FROM ledger"
)


_OURS = "outcome = 'ours' AND withdrawn IS NULL"
_LEFT = "outcome IN ('ours', 'done') AND withdrawn IS NULL"
"""What can still be undone: what is ours, and what was taken away and not put again."""
_OF = "(run_id = ?1 OR of_run = ?1)"
"""The rows of one run: those that it wrote, and those by which an undo did its work again."""
_UNKNOWN = -(2**40)
"""Runs that the history no longer has come last."""


@dataclass(frozen=True, slots=True)
class RunLeft:
    """A run, and what of it can still be undone; times are seconds since 1970."""

    run_id: str
    kind: str
    """Empty where the history of runs no longer has it."""
    status: str
    begun_at_s: float
    newest_row: int
    counts: Mapping[Action, int]
    """What of it is still ours; under the actions that take back, what it took away."""
    verdicts: int = 0
    """What the user said in it and is still kept."""
    place: int = 0
    """Where it stands among the runs: the later it began, the higher."""


class StoreLedger:
    """The `Ledger` over the store; every write is on the disk when its call returns.

    A detail comes back as JSON has it: tuples as lists.
    """

    def __init__(self, store: Database, without: str = "") -> None:
        """Read and write the store's ledger; `without` names a run whose verdicts do not count."""
        self._store = store
        self._without = without
        self.unsaid = frozenset[int]()
        """Numbers of verdicts that do not count, for they are being taken back."""

    def intend(self, entries: Sequence[LedgerEntry]) -> list[int]:
        """Write before-rows, all or none, and return their numbers, in order."""
        if not entries:
            return []
        now = self._store.clock()
        with self._store.write(durable=True) as db:
            return [_insert(db, entry, now) for entry in entries]

    def settle(
        self,
        outcomes: Mapping[int, tuple[Outcome, str]],
        learnt: Mapping[int, Mapping[str, object]] | None = None,
    ) -> None:
        """Write after-rows, all or none: row number -> how it ended and the target's id.

        `learnt` adds to their details. An empty id keeps the one that was intended. Saying the
        same again does nothing; another outcome for a settled row, or an unknown row, raises
        StoreError and settles none.
        """
        if not outcomes:
            return
        now, learnt = self._store.clock(), learnt or {}
        with self._store.write(durable=True) as db:
            for row, (outcome, target_id) in outcomes.items():
                if _settle(db, row, outcome, target_id, now) and row in learnt:
                    _learn(db, row, learnt[row])

    def unsettled(self) -> list[LedgerEntry]:
        """Return before-rows without an after-row, in their order: what a kill interrupted."""
        with self._store.read() as db:
            return _entries(db.execute(f"{_SELECT} WHERE outcome = 'intended' ORDER BY row"))

    def ours(self, scene_ids: Iterable[str]) -> list[LedgerEntry]:
        """Return what we wrote to these scenes and have not taken back or found taken away.

        Moves of workflow tags are not among them: they come and go, and only `entries` has them.
        """
        with self._store.read() as db:
            return [entry for some in _chunks(scene_ids) for entry in _ours(db, some)]

    def moves(self, scene_ids: Iterable[str]) -> list[LedgerEntry]:
        """Return our moves of these scenes' workflow tags, in their order within a scene."""
        with self._store.read() as db:
            return [entry for some in _chunks(scene_ids) for entry in _ours(db, some, moves=True)]

    def taken(self, scene_ids: Iterable[str]) -> list[LedgerEntry]:
        """Return what we took back from these scenes and nobody put again, in its order."""
        with self._store.read() as db:
            return [entry for some in _chunks(scene_ids) for entry in _taken(db, some)]

    def taken_elsewhere(self, scene: Scene, runs: Collection[str]) -> list[LedgerEntry]:
        """Return what runs took back from other scenes with a file of this one, as `taken`."""
        found: list[LedgerEntry] = []
        with self._store.read() as db:
            for file in scene.files:
                rows = db.execute(
                    f"{_SELECT} WHERE run_id IN (SELECT value FROM json_each(?))"
                    " AND oshash = ? AND size_bytes = ?"
                    " AND scene_id != ? AND outcome = 'done' AND withdrawn IS NULL"
                    " AND takes_back IS NOT NULL ORDER BY row",
                    (json.dumps([*runs]), file.oshash, file.size_bytes, scene.id),
                )
                found += _entries(rows)
        return found

    def newest_ours(self, scenes: int) -> list[LedgerEntry]:
        """Return what is ours of the scenes that we wrote to last, as `ours`."""
        with self._store.read() as db:
            # By the table's own order, and no further back than needed.
            rows = db.execute(
                "SELECT scene_id FROM ledger NOT INDEXED WHERE outcome = 'ours'"
                " AND withdrawn IS NULL AND scene_id != '' AND action != ? ORDER BY row DESC",
                (Action.MOVE_WORKFLOW.value,),
            )
            newest: dict[str, None] = {}
            while len(newest) < scenes and (row := rows.fetchone()) is not None:
                newest[row[0]] = None
            return [entry for some in _chunks(newest) for entry in _ours(db, some)]

    def pages_of_ours(self, scenes: int = _CHUNK) -> Iterator[list[LedgerEntry]]:
        """Yield all that is ours, the entries of some scenes at a time, as `ours`."""
        after = ""
        while True:
            with self._store.read() as db:
                rows = db.execute(
                    "SELECT DISTINCT scene_id FROM ledger WHERE outcome = 'ours'"
                    " AND withdrawn IS NULL AND scene_id > ? ORDER BY scene_id LIMIT ?",
                    (after, scenes),
                ).fetchall()
                page = [row[0] for row in rows]
                entries = [entry for some in _chunks(page) for entry in _ours(db, some)]
            if not page:
                return
            after = page[-1]
            yield entries

    def refuse(self, entries: Sequence[LedgerEntry]) -> None:
        """Remember that the user took these away from their scenes: they are never put back.

        Workflow tags and the making of a tag are passed over: they are no scene's content.
        """
        refusable = [entry for entry in entries if entry.action in REFUSABLE]
        if not refusable:
            return
        now = self._store.clock()
        with self._store.write(durable=True) as db:
            for entry in refusable:
                _refuse(db, entry, now)

    def refused(self, scene: Scene) -> frozenset[tuple[str, str]]:
        """Return what the user refused for this scene or any file of it, in any run.

        Each refusal is there twice: (kind, id) and (kind, casefolded name), so that a tag made
        anew under the name, or renamed under the id, stays refused. So it is with our own name of
        what was written under an alias. Kinds: `REFUSABLE`.
        """
        return Verdicts(self._store).said_of(scene, self._without, self.unsaid)[1]

    def withdraw_everything(self) -> None:
        """Remember that nothing here is ours: what was written is in another library.

        Its ids mean other things here, so refusals go on by file and name alone, and what tags a
        scene had is learnt anew.
        """
        with self._store.write(durable=True) as db:
            db.execute(
                "UPDATE ledger SET withdrawn = 'elsewhere'"
                " WHERE outcome = 'ours' AND withdrawn IS NULL"
            )
            db.execute("DELETE FROM verdicts WHERE oshash = ''")
            db.execute("UPDATE OR REPLACE verdicts SET scene_id = '', target_id = ''")
            db.execute("UPDATE scenes SET first_tags = NULL, last_tags = NULL, decided = NULL")

    def withdraw(self, rows: Iterable[int]) -> None:
        """Remember that we took these back ourselves: no longer ours, and no refusal."""
        with self._store.write(durable=True) as db:
            db.executemany(
                "UPDATE ledger SET withdrawn = 'taken-back' WHERE row = ? AND outcome = 'ours'"
                " AND withdrawn IS NULL",
                ((row,) for row in rows),
            )

    def entries(
        self, run_id: str | None = None, after: int = 0, limit: int = 500
    ) -> list[LedgerEntry]:
        """Return rows of a run, or of all, in their order.

        Page on with the last one's row as `after`.
        """
        of_run = "" if run_id is None else "run_id = ? AND "
        values = (after, limit) if run_id is None else (run_id, after, limit)
        with self._store.read() as db:
            return _entries(
                db.execute(f"{_SELECT} WHERE {of_run}row > ? ORDER BY row LIMIT ?", values)
            )

    # --- For undo

    def runs_left(self, limit: int, after: int | None = None) -> list[RunLeft]:
        """Return runs of which something can be undone, the one that began last first.

        What an undo did again is of the run that did it first. Page on with the last one's `place`
        as `after`.
        """
        with self._store.read() as db:
            rows = db.execute(_RUNS_LEFT, (after, limit, _UNKNOWN)).fetchall()
            return [_run_left(db, row, "coalesce(of_run, run_id) = ?1") for row in rows]

    def run_left(self, run_id: str) -> RunLeft | None:
        """Return what of one run can be undone; None where nothing can."""
        with self._store.read() as db:
            row = db.execute(
                "SELECT id, kind, status, begun_at_s, row AS place,"
                f" (SELECT max(row) FROM ledger WHERE {_LEFT} AND {_OF}) AS newest"
                " FROM (SELECT id, kind, status, begun_at_s, row FROM runs WHERE id = ?1"
                "  UNION ALL SELECT run_id, '', '', min(intended_at_s), ?2 + max(row)"
                "  FROM ledger WHERE run_id = ?1 GROUP BY run_id) LIMIT 1",
                (run_id, _UNKNOWN),
            ).fetchone()
            found = None if row is None else _run_left(db, row, _OF)
        return found if found and (found.counts or found.verdicts) else None

    def rows_of(self, run_id: str) -> frozenset[int]:
        """Return the numbers of a run's rows that can still be undone."""
        with self._store.read() as db:
            rows = db.execute(f"SELECT row FROM ledger WHERE {_LEFT} AND {_OF}", (run_id,))
            return frozenset(row[0] for row in rows)

    def accepted_in(self, taken: Iterable[LedgerEntry]) -> dict[int | None, str]:
        """Return by row in which acceptance that was written which rows took back, where in one."""
        found: dict[int | None, str] = {}
        with self._store.read() as db:
            for entry in taken:
                row = db.execute(
                    "SELECT runs.id FROM ledger JOIN runs ON runs.id = coalesce(of_run, run_id)"
                    " WHERE ledger.row = ? AND runs.kind = 'accept'",
                    (entry.takes_back,),
                ).fetchone()
                found |= {} if row is None else {entry.row: str(row[0])}
        return found

    def forgotten(
        self, entries: Iterable[LedgerEntry], of_run: str | None
    ) -> dict[tuple[str, str, str], frozenset[int]]:
        """Return which verdicts an undo of these rows forgets, by scene, kind and target.

        Where a run is undone, without those that were said in it.
        """
        found = {}
        with self._store.read() as db:
            for entry in entries:
                kind = _SUGGESTED.get(entry.action)
                if kind and not (of_run is not None and kind == "marker"):
                    args = (entry.scene_id, kind, entry.about_id, entry.target_name, of_run or "")
                    found[entry.scene_id, kind, entry.target_id] = accepted_of(db, *args)
        return found

    def destroyed(self) -> frozenset[str]:
        """Return the ids of tags that we created and destroyed again ourselves."""
        with self._store.read() as db:
            rows = db.execute(
                "SELECT DISTINCT target_id FROM ledger WHERE action = ? AND outcome = 'done'",
                (Action.DESTROY_TAG.value,),
            )
            return frozenset(row[0] for row in rows)

    def undone_runs(self) -> dict[str, int]:
        """Return by run up to which row of the ledger it was undone, as `undone_up_to` said."""
        with self._store.read() as db:
            rows = db.execute(
                "SELECT summary FROM runs WHERE kind = 'undo' AND status = 'done' ORDER BY row"
            ).fetchall()
        undone: dict[str, int] = {}
        for row in rows:
            summary = from_json(row[0])
            if run_id := summary.get("undone_run"):
                undone[str(run_id)] = int(summary.get("undone_up_to", 0))
        return undone

    def scenes_left(
        self, run_id: str | None = None, names: Collection[str] = (), tag_id: str = ""
    ) -> list[str]:
        """Return the scenes with something to undo: of a run, of a tag's names or id, or of all."""
        values: list[str] = []
        if run_id is not None:
            where, values = [_LEFT, _OF], [run_id]
        else:
            # A move that puts workflow tags back is an undo already.
            back = f"action = '{Action.MOVE_WORKFLOW}' AND takes_back IS NOT NULL"
            where = [_OURS, f"NOT ({back} AND of_run IS NULL)"]
        with self._store.read() as db:
            if names:
                written = _written_as(db, names)
                marks = ", ".join("?" * len(written))
                where.append(f"action != '{Action.MOVE_WORKFLOW}'")
                where.append(f"(target_name IN ({marks}) OR (action = ? AND target_id = ?))")
                values = [*written, Action.ADD_TAG.value, tag_id]
            rows = db.execute(
                f"SELECT DISTINCT scene_id FROM ledger WHERE {' AND '.join(where)}"
                " AND scene_id != ''",
                values,
            ).fetchall()
        return sorted((row[0] for row in rows), key=_in_order)

    def names_of(self, tag_id: str) -> frozenset[str]:
        """Return the folded names under which we wrote a tag, for what is still ours."""
        with self._store.read() as db:
            rows = db.execute(
                f"SELECT DISTINCT target_name FROM ledger WHERE {_OURS} AND target_id = ?"
                " AND action IN (?, ?)",
                (tag_id, Action.ADD_TAG.value, Action.CREATE_TAG.value),
            )
            return frozenset(folded(row[0]) for row in rows)

    def taken_by(self, run_id: str) -> list[LedgerEntry]:
        """Return what a run took away of what others wrote, and nobody put again."""
        with self._store.read() as db:
            return _entries(
                db.execute(
                    f"{_SELECT} WHERE {_OF} AND outcome = 'done' AND withdrawn IS NULL"
                    f" AND takes_back NOT IN (SELECT row FROM ledger WHERE {_OF}) ORDER BY row",
                    (run_id,),
                )
            )


_RUNS_LEFT = f"""
    SELECT run AS id, coalesce(kind, '') AS kind, coalesce(status, '') AS status,
        coalesce(begun_at_s, min(at_s)) AS begun_at_s, max(newest) AS newest,
        coalesce(runs.row, ?3 + max(newest)) AS place
    FROM (
        SELECT coalesce(of_run, run_id) AS run, row AS newest, intended_at_s AS at_s
            FROM ledger WHERE {_LEFT}
        UNION ALL
        SELECT id, 0, begun_at_s FROM runs WHERE id IN
            (SELECT json_extract(detail, '$.run_id') FROM verdicts WHERE source = 'asked')
    ) LEFT JOIN runs ON runs.id = run
    GROUP BY run HAVING ?1 IS NULL OR place < ?1 ORDER BY place DESC LIMIT ?2
"""


def _run_left(db: sqlite3.Connection, row: sqlite3.Row, which: str) -> RunLeft:
    counts = db.execute(
        f"SELECT action, count(*) FROM ledger WHERE {which} AND {_LEFT} GROUP BY action",
        (row["id"],),
    ).fetchall()
    said = db.execute(
        "SELECT count(*) FROM verdicts WHERE json_extract(detail, '$.run_id') = ?"
        " AND source = 'asked'",
        (row["id"],),
    ).fetchone()
    return RunLeft(
        run_id=row["id"],
        kind=row["kind"],
        status=row["status"],
        begun_at_s=row["begun_at_s"],
        newest_row=row["newest"] or 0,
        counts={Action(action): count for action, count in counts},
        verdicts=said[0],
        place=row["place"],
    )


def _written_as(db: sqlite3.Connection, names: Collection[str]) -> list[str]:
    """The names as they were written, whatever their case."""
    rows = db.execute(f"SELECT DISTINCT target_name FROM ledger WHERE {_OURS}").fetchall()
    return [row[0] for row in rows if folded(row[0]) in names]


def _in_order(scene_id: str) -> tuple[int, str]:
    return (int(scene_id) if scene_id.isdigit() else 0, scene_id)


def _insert(db: sqlite3.Connection, entry: LedgerEntry, now: float) -> int:
    file = entry.fingerprint
    row = db.execute(
        "INSERT INTO ledger (run_id, action, scene_id, oshash, size_bytes, target_id,"
        " target_name, detail, outcome, takes_back, of_run, intended_at_s)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.run_id,
            entry.action.value,
            entry.scene_id,
            file and file.oshash,
            file and file.size_bytes,
            entry.target_id,
            entry.target_name,
            to_json(entry.detail),
            Outcome.INTENDED.value,
            entry.takes_back,
            None if entry.action in TAKING_BACK else _done_again(db, entry.takes_back),
            now,
        ),
    ).lastrowid
    assert row is not None
    return row


def _done_again(db: sqlite3.Connection, takes_back: int | None) -> str | None:
    """The run whose work is done again by what undoes a taking back; an undo has none."""
    if takes_back is None:
        return None
    row = db.execute(
        "SELECT coalesce(old.of_run, old.run_id) AS run FROM ledger AS back"
        " JOIN ledger AS old ON old.row = back.takes_back WHERE back.row = ?"
        " AND NOT EXISTS (SELECT 1 FROM runs WHERE id = run AND kind = 'undo')",
        (takes_back,),
    ).fetchone()
    return None if row is None else str(row[0])


def _settle(db: sqlite3.Connection, row: int, outcome: Outcome, target_id: str, now: float) -> bool:
    """Settle a row; whether it was not settled yet."""
    if outcome is Outcome.INTENDED:
        raise StoreError(f"Row {row} of the ledger cannot be settled as merely intended")
    changed = db.execute(
        "UPDATE ledger SET outcome = ?, settled_at_s = ?,"
        " target_id = CASE WHEN ? = '' THEN target_id ELSE ? END"
        " WHERE row = ? AND outcome = 'intended'",
        (outcome.value, now, target_id, target_id, row),
    ).rowcount
    if not changed:
        _settled_alike(db, row, outcome, target_id)
    elif outcome in (Outcome.DONE, Outcome.OURS):
        _withdraw_taken(db, row)
    return changed > 0


def _withdraw_taken(db: sqlite3.Connection, row: int) -> None:
    """Withdraw what a row took back, and what else says that the same thing is ours."""
    taken = db.execute(
        "SELECT old.row, old.scene_id, old.action, old.target_id, new.detail, new.target_name,"
        " new.outcome, old.run_id = new.run_id OR EXISTS (SELECT 1 FROM runs"
        "  WHERE id = new.run_id AND kind = 'unsay') AS by_itself FROM ledger AS new"
        " JOIN ledger AS old ON old.row = new.takes_back WHERE new.row = ?",
        (row,),
    ).fetchone()
    if taken is None:
        return
    gone = "UPDATE ledger SET withdrawn = 'taken-back' WHERE withdrawn IS NULL"
    db.execute(f"{gone} AND outcome IN ('ours', 'done') AND row = ?", (taken["row"],))
    if taken["action"] == Action.MOVE_WORKFLOW:
        return
    if taken["by_itself"]:
        # What a run wrote and took away again, or the user said and unsaid, leaves nothing to undo.
        db.execute(f"{gone} AND outcome = 'done' AND row = ?", (row,))
    # Without this the other rows would be missing at the next visit, and be taken for refused.
    db.execute(
        f"{gone} AND outcome = 'ours' AND scene_id = ? AND action = ? AND target_id = ?",
        (taken["scene_id"], taken["action"], taken["target_id"]),
    )
    action = Action(taken["action"])
    detail = from_json(taken["detail"])
    what = (taken["target_id"], taken["target_name"])
    about_id = LedgerEntry("", action, taken["scene_id"], None, *what, detail).about_id
    args = (taken["scene_id"], about_id, taken["target_name"])
    if action in _SUGGESTED and detail.get("undo"):
        _mark_undone(db, _SUGGESTED[action], *args, of_run=detail["undo"] == "run")
    elif action in _SUGGESTED_BACK and taken["outcome"] == Outcome.OURS:
        _unmark_undone(db, _SUGGESTED_BACK[action], *args)


_SUGGESTED = {
    Action.ADD_TAG: "tag",
    Action.SET_STUDIO: "studio",
    Action.CREATE_MARKER: "marker",
}
"""What is suggested that an undo takes back: `marker` stands for the markers of the tag."""
_SUGGESTED_BACK = {
    Action.REMOVE_TAG: "tag",
    Action.CLEAR_STUDIO: "studio",
    Action.DESTROY_MARKER: "marker",
}


def _unmark_undone(
    db: sqlite3.Connection, kind: str, scene_id: str, target_id: str, name: str
) -> None:
    """Remember that what was undone is wanted after all: it was put again."""
    which = "scene_id = ? AND kind = ? AND key = ?"
    if kind == "marker":
        db.execute(f"DELETE FROM suggestions WHERE {which}", (scene_id, kind, folded(name)))
        return
    db.execute(
        f"UPDATE suggestions SET undone = 0 WHERE {which}"
        " OR (undone AND scene_id = ? AND kind = ? AND target_id != '' AND target_id = ?)",
        (scene_id, kind, folded(name), scene_id, kind, target_id),
    )


def _mark_undone(
    db: sqlite3.Connection, kind: str, scene_id: str, target_id: str, name: str, *, of_run: bool
) -> None:
    """Remember that a person undid it: deciding again asks, and does not write it by itself.

    With a run goes what was accepted in it. Markers that were accepted besides stay accepted: those
    that other runs wrote stand still.
    """
    if of_run and kind == "marker" and accepted_of(db, scene_id, kind, target_id, name):
        return
    unsay(db, scene_id, kind, target_id, name)
    if kind != "studio":
        target_id = ""
    key = folded(name)
    marked = db.execute(
        "UPDATE suggestions SET undone = 1 WHERE scene_id = ? AND kind = ? AND key = ?",
        (scene_id, kind, key),
    ).rowcount
    if not marked:
        # Markers are no suggestion of their own; a tag was written before those were kept.
        decision = Decision.HIDE if kind == "marker" else Decision.ASK
        db.execute(
            "INSERT INTO suggestions (scene_id, kind, key, target_id, name, label, confidence,"
            " decision, undone) SELECT id, ?, ?, ?, ?, ?, 0, ?, 1 FROM scenes WHERE id = ?",
            (kind, key, target_id, name, name, int(decision), scene_id),
        )


def _learn(db: sqlite3.Connection, row: int, more: Mapping[str, object]) -> None:
    """Add to a row's detail."""
    there = from_json(db.execute("SELECT detail FROM ledger WHERE row = ?", (row,)).fetchone()[0])
    db.execute("UPDATE ledger SET detail = ? WHERE row = ?", (to_json({**there, **more}), row))


def _settled_alike(db: sqlite3.Connection, row: int, outcome: Outcome, target_id: str) -> None:
    """Raise StoreError unless the row already says just this."""
    there = db.execute("SELECT outcome, target_id FROM ledger WHERE row = ?", (row,)).fetchone()
    if there is None:
        raise StoreError(f"The ledger has no row {row}")
    if there["outcome"] != outcome or target_id not in ("", there["target_id"]):
        raise StoreError(
            f"Row {row} of the ledger is settled as {there['outcome']} ({there['target_id']}),"
            f" and cannot become {outcome} ({target_id})"
        )


def _ours(
    db: sqlite3.Connection, scene_ids: Sequence[str], moves: bool = False
) -> list[LedgerEntry]:
    """What is ours of these scenes: moves of workflow tags, or all besides."""
    marks = ", ".join("?" * len(scene_ids))
    which = "=" if moves else "!="
    return _entries(
        db.execute(
            f"{_SELECT} WHERE outcome = 'ours' AND withdrawn IS NULL AND scene_id IN ({marks})"
            f" AND action {which} ? ORDER BY row",
            (*scene_ids, Action.MOVE_WORKFLOW.value),
        )
    )


def _taken(db: sqlite3.Connection, scene_ids: Sequence[str]) -> list[LedgerEntry]:
    marks = ", ".join("?" * len(scene_ids))
    return _entries(
        db.execute(
            f"{_SELECT} WHERE outcome = 'done' AND withdrawn IS NULL AND scene_id IN ({marks})"
            " AND takes_back IS NOT NULL ORDER BY row",
            scene_ids,
        )
    )


def _refuse(db: sqlite3.Connection, entry: LedgerEntry, now: float) -> None:
    if not (entry.scene_id or (entry.fingerprint and entry.fingerprint.oshash)):
        raise StoreError(f"A refusal of {entry.target_name} needs a scene or a file")
    scene = Scene(entry.scene_id, "", "", entry.fingerprint, None)
    what = (REFUSABLE[entry.action], entry.target_name, entry.about_id)
    keep(db, Saying(scene, *what, Said.REFUSED, "noticed", entry.detail, entry.asked_as), now)
    gone = "UPDATE ledger SET withdrawn = 'refused' WHERE outcome = 'ours' AND withdrawn IS NULL"
    db.execute(f"{gone} AND row = ?", (entry.row,))
    if entry.scene_id:
        # The same thing may be ours by another row too, and is gone from the scene all the same.
        db.execute(
            f"{gone} AND scene_id = ? AND action = ? AND target_id = ?",
            (entry.scene_id, entry.action.value, entry.target_id),
        )


def _entries(rows: Iterable[sqlite3.Row]) -> list[LedgerEntry]:
    return [_entry(row) for row in rows]


def _entry(row: sqlite3.Row) -> LedgerEntry:
    file = None if row["oshash"] is None else Fingerprint(row["oshash"], row["size_bytes"])
    return LedgerEntry(
        run_id=row["run_id"],
        action=Action(row["action"]),
        scene_id=row["scene_id"],
        fingerprint=file,
        target_id=row["target_id"],
        target_name=row["target_name"],
        detail=from_json(row["detail"]),
        outcome=Outcome(row["outcome"]),
        row=row["row"],
        takes_back=row["takes_back"],
        of_run=row["of_run"] or "",
    )


def _chunks(scene_ids: Iterable[str]) -> Iterator[Sequence[str]]:
    each = iter(dict.fromkeys(scene_ids))
    while some := tuple(islice(each, _CHUNK)):
        yield some
