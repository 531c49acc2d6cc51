"""The ledger: a row before and after every write to Stash, and what the user refused."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.database import Database, from_json, to_json
from stash_sense_plugin.library.verdicts import Saying, Verdicts, folded, keep, unsay
from stash_sense_plugin.records import (
    Action,
    Decision,
    Fingerprint,
    LedgerEntry,
    Outcome,
    Said,
    Scene,
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
    " outcome, takes_back FROM ledger"
)


_OURS = "outcome = 'ours' AND withdrawn IS NULL"
_LEFT = "outcome IN ('ours', 'done') AND withdrawn IS NULL"
"""What can still be undone: what is ours, and what was taken away and not put again."""


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


class StoreLedger:
    """The `Ledger` over the store; every write is on the disk when its call returns.

    A detail comes back as JSON has it: tuples as lists.
    """

    def __init__(self, store: Database) -> None:
        self._store = store

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
        anew under the name, or renamed under the id, stays refused. Kinds: `REFUSABLE`.
        """
        return Verdicts(self._store).said_of(scene)[1]

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

    def runs_left(
        self, limit: int, after: int | None = None, run_id: str | None = None
    ) -> list[RunLeft]:
        """Return runs of which something can be undone, the newest first; or only the one named.

        Page on with the last one's `newest_row` as `after`.
        """
        with self._store.read() as db:
            rows = db.execute(
                "SELECT ledger.run_id, coalesce(kind, '') AS kind, coalesce(status, '') AS status,"
                " coalesce(begun_at_s, min(intended_at_s)) AS begun_at_s, max(ledger.row) AS newest"
                " FROM ledger LEFT JOIN runs ON runs.id = ledger.run_id"
                f" WHERE {_LEFT} AND (? IS NULL OR run_id = ?) GROUP BY run_id"
                " HAVING ? IS NULL OR max(ledger.row) < ? ORDER BY newest DESC LIMIT ?",
                (run_id, run_id, after, after, limit),
            ).fetchall()
            return [_run_left(db, row) for row in rows]

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

    def scenes_left(self, run_id: str | None = None, name: str | None = None) -> list[str]:
        """Return the scenes with something to undo: of a run, of a tag's name, or of all."""
        where, values = [_LEFT if run_id is not None else _OURS, "scene_id != ''"], list[str]()
        if run_id is not None:
            where, values = [*where, "run_id = ?"], [run_id]
        else:
            # A move that puts workflow tags back is an undo already.
            where.append(f"(action != '{Action.MOVE_WORKFLOW}' OR takes_back IS NULL)")
        with self._store.read() as db:
            if name is not None:
                names = _names_like(db, name)
                where.append(f"action != '{Action.MOVE_WORKFLOW}'")
                where.append(f"target_name IN ({', '.join('?' * len(names))})")
                values += names
            rows = db.execute(
                f"SELECT DISTINCT scene_id FROM ledger WHERE {' AND '.join(where)}", values
            ).fetchall()
        return sorted((row[0] for row in rows), key=_in_order)

    def taken_by(self, run_id: str) -> list[LedgerEntry]:
        """Return what a run took away of what others wrote, and nobody put again."""
        with self._store.read() as db:
            return _entries(
                db.execute(
                    f"{_SELECT} WHERE run_id = ? AND outcome = 'done' AND withdrawn IS NULL"
                    " AND takes_back NOT IN (SELECT row FROM ledger WHERE run_id = ?) ORDER BY row",
                    (run_id, run_id),
                )
            )


def _run_left(db: sqlite3.Connection, row: sqlite3.Row) -> RunLeft:
    counts = db.execute(
        f"SELECT action, count(*) FROM ledger WHERE run_id = ? AND {_LEFT} GROUP BY action",
        (row["run_id"],),
    ).fetchall()
    return RunLeft(
        run_id=row["run_id"],
        kind=row["kind"],
        status=row["status"],
        begun_at_s=row["begun_at_s"],
        newest_row=row["newest"],
        counts={Action(action): count for action, count in counts},
    )


def _names_like(db: sqlite3.Connection, name: str) -> list[str]:
    """The names under which this one was written, in whatever case."""
    rows = db.execute(f"SELECT DISTINCT target_name FROM ledger WHERE {_OURS}").fetchall()
    return [row[0] for row in rows if folded(row[0]) == folded(name)]


def _in_order(scene_id: str) -> tuple[int, str]:
    return (int(scene_id) if scene_id.isdigit() else 0, scene_id)


def _insert(db: sqlite3.Connection, entry: LedgerEntry, now: float) -> int:
    file = entry.fingerprint
    row = db.execute(
        "INSERT INTO ledger (run_id, action, scene_id, oshash, size_bytes, target_id,"
        " target_name, detail, outcome, takes_back, intended_at_s)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            now,
        ),
    ).lastrowid
    assert row is not None
    return row


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
        " old.run_id = new.run_id AS by_itself FROM ledger AS new"
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
        # What a run wrote and took away again leaves nothing to undo.
        db.execute(f"{gone} AND outcome = 'done' AND row = ?", (row,))
    # Without this the other rows would be missing at the next visit, and be taken for refused.
    db.execute(
        f"{gone} AND outcome = 'ours' AND scene_id = ? AND action = ? AND target_id = ?",
        (taken["scene_id"], taken["action"], taken["target_id"]),
    )
    kind = REFUSABLE.get(Action(taken["action"]))
    if kind in ("tag", "studio") and from_json(taken["detail"]).get("undo"):
        _mark_undone(db, taken["scene_id"], kind, taken["target_id"], taken["target_name"])


def _mark_undone(
    db: sqlite3.Connection, scene_id: str, kind: str, target_id: str, name: str
) -> None:
    """Remember that a person undid it: deciding again asks, and does not write it by itself."""
    unsay(db, scene_id, kind, target_id, name)
    if kind == "tag":
        target_id = ""
    key = folded(name)
    marked = db.execute(
        "UPDATE suggestions SET undone = 1 WHERE scene_id = ? AND kind = ? AND key = ?",
        (scene_id, kind, key),
    ).rowcount
    if not marked:
        # It was written before suggestions were kept by themselves.
        db.execute(
            "INSERT INTO suggestions (scene_id, kind, key, target_id, name, label, confidence,"
            " decision, undone) SELECT id, ?, ?, ?, ?, ?, 0, ?, 1 FROM scenes WHERE id = ?",
            (kind, key, target_id, name, name, int(Decision.ASK), scene_id),
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


def _refuse(db: sqlite3.Connection, entry: LedgerEntry, now: float) -> None:
    if not (entry.scene_id or (entry.fingerprint and entry.fingerprint.oshash)):
        raise StoreError(f"A refusal of {entry.target_name} needs a scene or a file")
    scene = Scene(entry.scene_id, "", "", entry.fingerprint, None)
    what = (REFUSABLE[entry.action], entry.target_name, entry.target_id)
    keep(db, Saying(scene, *what, Said.REFUSED, "noticed", entry.detail), now)
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
    )


def _chunks(scene_ids: Iterable[str]) -> Iterator[Sequence[str]]:
    each = iter(dict.fromkeys(scene_ids))
    while some := tuple(islice(each, _CHUNK)):
        yield some
