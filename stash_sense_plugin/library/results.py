"""Runs, what each said of a scene, and which scenes failed."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.analyses import file_row
from stash_sense_plugin.library.database import Database, from_json, to_json
from stash_sense_plugin.library.scenes import drop_replaced, keep_suggestions, tags_json
from stash_sense_plugin.library.stages import StageFile
from stash_sense_plugin.records import Failure, Fingerprint, Suggestion

RESULTS_PER_SCENE = 5
"""How many results of one scene are kept, the newest first."""
RUNS_KEPT = 5000
"""How many runs are kept once none of their results is."""

RunStatus = Literal["running", "waiting", "done", "failed", "cancelled", "interrupted"]
"""Waiting: it let another job of Stash go first, and goes on when Stash starts it again."""

_RUN = "row, id, kind, settings, status, summary, begun_at_s, ended_at_s"


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over scenes with one set of settings; times are seconds since 1970."""

    row: int
    id: str
    kind: str
    settings: Mapping[str, Any]
    status: RunStatus
    summary: Mapping[str, Any]
    begun_at_s: float
    ended_at_s: float | None


@dataclass(frozen=True, slots=True)
class StoredResult:
    """What a run said of one scene: the object that `tag --json` prints."""

    row: int
    run_id: str
    scene_id: str
    result: Mapping[str, Any]
    saved_at_s: float


@dataclass(frozen=True, slots=True)
class SceneStanding:
    """What is known of a scene after its last look."""

    source: str
    fingerprint: Fingerprint | None
    """The file's that was looked at, where it was known."""
    result: Mapping[str, Any]
    """Of the last look that went well, where the last one failed and there is one."""
    error: Failure | None
    """Why the last look failed, where it did."""
    looked_at_s: float
    """When it was looked at or decided last, in seconds since 1970."""


_STANDING = """
    SELECT source, oshash, size_bytes, result, error_kind, error_message, error_remedy, seen_at_s
    FROM scenes JOIN run_scenes ON run_scenes.row = result_row
    LEFT JOIN files ON files.id = scenes.file_id WHERE scenes.id = ?
"""

_LAST_GOOD = (
    "SELECT result FROM run_scenes WHERE scene_id = ?"
    " AND json_extract(result, '$.error') IS NULL ORDER BY row DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class SceneError:
    """A scene whose last result is a failure."""

    row: int
    """Page on with this as `after`."""
    scene_id: str
    source: str
    run_id: str
    error: Failure
    failed_at_s: float


@dataclass(frozen=True, slots=True)
class Death:
    """A scene that was in hand when the worker died."""

    scene_id: str
    count: int
    """How often the worker has died at it since it was last looked at to the end."""
    stage: str
    """What was being done with it the last time; empty where that is not known."""
    parked: bool = False
    """Whether its TagMe was taken for that since."""

    def __str__(self) -> str:
        """Return where it was, in words that follow "ended"."""
        return f"at scene {self.scene_id}" + (f" ({self.stage})" if self.stage else "")


class Results(Database):
    """The part of the store that holds runs and their results.

    A scene's id is Stash's, or the path of a file from the command line.
    """

    @cached_property
    def _stages(self) -> StageFile:
        return StageFile(self.path.with_name(f"{self.path.name}-stage"))

    def close(self) -> None:
        """Let go of the files; a second call does nothing."""
        self._stages.close()
        super().close()

    def begin_run(self, kind: str, settings: Mapping[str, Any]) -> str:
        """Open a run and return its id, which sorts by time."""
        run_id = self.new_id()
        with self.write() as db:
            row = db.execute(
                "INSERT INTO runs (id, kind, settings, status, summary, begun_at_s)"
                " VALUES (?, ?, ?, 'running', '{}', ?)",
                (run_id, kind, to_json(settings), self.clock()),
            ).lastrowid
            _forget_old_runs(db, row or 0)
        return run_id

    def end_run(self, run_id: str, status: RunStatus, summary: Mapping[str, Any]) -> None:
        """Close a run with what came of it."""
        with self.write() as db:
            ended = db.execute(
                "UPDATE runs SET status = ?, summary = ?, ended_at_s = ? WHERE id = ?",
                (status, to_json(summary), self.clock(), run_id),
            )
            if not ended.rowcount:
                raise StoreError(f"There is no run {run_id}")

    def interrupt_open_runs(self, death: Death | None = None) -> int:
        """Close the runs that a dead worker left open, with the scene at which it died.

        To be called before the first new one.
        """
        summary = {} if death is None else {"died_at": str(death)}
        with self.write() as db:
            return db.execute(
                "UPDATE runs SET status = 'interrupted', ended_at_s = ?, summary = ?"
                " WHERE status = 'running'",
                (self.clock(), to_json(summary)),
            ).rowcount

    def keep_state(self, run_id: str, state: Mapping[str, Any]) -> None:
        """Keep what a run under way needs to go on after this worker's end."""
        with self.write() as db:
            db.execute("UPDATE runs SET state = ? WHERE id = ?", (to_json(state), run_id))

    def let_wait(self, run_id: str, summary: Mapping[str, Any]) -> None:
        """Put a run aside that goes on later, with what came of it so far."""
        with self.write() as db:
            changed = db.execute(
                "UPDATE runs SET status = 'waiting', summary = ?"
                " WHERE id = ? AND status = 'running'",
                (to_json(summary), run_id),
            )
            if not changed.rowcount:
                raise StoreError(f"There is no run {run_id} under way")

    def take_up(self, run_id: str) -> dict[str, Any] | None:
        """Let a run go on that stopped before its end, and return the state that was kept.

        None where there is no such run, or it has been taken up already. Of two that ask, one
        gets it.
        """
        with self.write() as db:
            row = db.execute(
                "SELECT state FROM runs WHERE id = ? AND status NOT IN ('running', 'done')"
                " AND state != '{}'",
                (run_id,),
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "UPDATE runs SET status = 'running', ended_at_s = NULL WHERE id = ?", (run_id,)
            )
        return from_json(row[0])

    def waiting_runs(self) -> list[Run]:
        """Return the runs that were put aside, the newest first."""
        with self.read() as db:
            rows = db.execute(
                f"SELECT {_RUN} FROM runs WHERE status = 'waiting' ORDER BY row DESC"
            ).fetchall()
        return [_run(row) for row in rows]

    def run(self, run_id: str) -> Run | None:
        """Return one run."""
        with self.read() as db:
            row = db.execute(f"SELECT {_RUN} FROM runs WHERE id = ?", (run_id,)).fetchone()
        return None if row is None else _run(row)

    def unfinished(self, kind: str) -> tuple[Run, dict[str, Any]] | None:
        """Return the newest run of a kind with its state, where it was not brought to its end."""
        with self.read() as db:
            row = db.execute(
                f"SELECT {_RUN}, state FROM runs WHERE kind = ? ORDER BY row DESC LIMIT 1", (kind,)
            ).fetchone()
        if row is None or row["status"] == "done" or row["state"] == "{}":
            return None
        return _run(row[:-1]), from_json(row["state"])

    def runs_of(self, kind: str) -> frozenset[str]:
        """Return the ids of the runs of one kind."""
        with self.read() as db:
            rows = db.execute("SELECT id FROM runs WHERE kind = ?", (kind,))
            return frozenset(row[0] for row in rows)

    def drop_run(self, run_id: str) -> None:
        """Forget a run that came to nothing: it wrote no row of the ledger and said nothing."""
        with self.write() as db:
            db.execute(
                "DELETE FROM runs WHERE id = ?1"
                " AND NOT EXISTS (SELECT 1 FROM ledger WHERE run_id = ?1)"
                " AND NOT EXISTS (SELECT 1 FROM run_scenes WHERE run_id = ?1)",
                (run_id,),
            )

    def runs(self, limit: int = 50, after: int | None = None) -> list[Run]:
        """Return runs, the newest first; page on with the last one's row as `after`."""
        with self.read() as db:
            rows = db.execute(
                f"SELECT {_RUN} FROM runs WHERE ? IS NULL OR row < ? ORDER BY row DESC LIMIT ?",
                (after, after, limit),
            ).fetchall()
        return [_run(row) for row in rows]

    def save_result(
        self,
        run_id: str,
        scene_id: str,
        fingerprint: Fingerprint | None,
        result_json: Mapping[str, Any],
        *,
        suggestions: Iterable[Suggestion] | None = None,
        decided: bytes | None = None,
        tags: Collection[str] | None = None,
        keep_undone: bool | Collection[tuple[str, str]] = False,
    ) -> None:
        """Keep what the run said of the scene; a success clears the scene's error.

        Of older results of the scene, only the newest few stay, and none of another file.
        `suggestions` replace the scene's in the list of them, where given; of the hidden ones those
        are kept that the user refused, and with `keep_undone` what was undone stays so: all of it,
        or what is named by kind and casefolded name. `decided` is the digest of them all. `tags`
        are the ids of the scene's tags just before, in Stash.
        """
        text = to_json(result_json)
        with self.write() as db:
            _need_run(db, run_id)
            file_id = None
            if fingerprint is not None:
                drop_replaced(db, scene_id, fingerprint)
                file_id = file_row(db, fingerprint)
            now = self.clock()
            # Deleted and written again, not changed: the newest result has the highest row.
            db.execute(
                "DELETE FROM run_scenes WHERE run_id = ? AND scene_id = ?", (run_id, scene_id)
            )
            row = db.execute(
                "INSERT INTO run_scenes (run_id, scene_id, file_id, result, saved_at_s)"
                " VALUES (?, ?, ?, ?, ?)",
                (run_id, scene_id, file_id, text, now),
            ).lastrowid
            source = str(result_json.get("source") or scene_id)
            db.execute(
                "INSERT INTO scenes (id, file_id, source, run_id, result_row, error_kind,"
                " error_message, error_remedy, seen_at_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET file_id = coalesce(excluded.file_id, file_id),"
                " source = excluded.source, run_id = excluded.run_id,"
                " result_row = excluded.result_row, error_kind = excluded.error_kind,"
                " error_message = excluded.error_message, error_remedy = excluded.error_remedy,"
                " seen_at_s = excluded.seen_at_s",
                (scene_id, file_id, source, run_id, row, *_error(result_json), now),
            )
            if suggestions is not None:
                keep_suggestions(db, scene_id, fingerprint, suggestions, keep_undone)
            _note_tags(db, scene_id, decided, tags)
            _forget_old_results(db, scene_id)

    def result(self, run_id: str, scene_id: str) -> dict[str, Any] | None:
        """Return what the run said of the scene, or None."""
        with self.read() as db:
            row = db.execute(
                "SELECT result FROM run_scenes WHERE run_id = ? AND scene_id = ?",
                (run_id, scene_id),
            ).fetchone()
        return None if row is None else from_json(row[0])

    def met(self, run_id: str, scene_ids: Sequence[str]) -> frozenset[str]:
        """Return those of a few scenes that the run has said something of."""
        marks = ", ".join("?" * len(scene_ids))
        with self.read() as db:
            rows = db.execute(
                f"SELECT scene_id FROM run_scenes WHERE run_id = ? AND scene_id IN ({marks})",
                (run_id, *scene_ids),
            ).fetchall()
        return frozenset(row[0] for row in rows)

    def latest_result(self, scene_id: str) -> dict[str, Any] | None:
        """Return what the last run that looked said of the scene, or None."""
        with self.read() as db:
            row = db.execute(
                "SELECT result FROM run_scenes WHERE scene_id = ? ORDER BY row DESC LIMIT 1",
                (scene_id,),
            ).fetchone()
        return None if row is None else from_json(row[0])

    def standing(self, scene_id: str) -> SceneStanding | None:
        """Return what is known of a scene now; None where nothing is said of it any more."""
        with self.read() as db:
            row = db.execute(_STANDING, (scene_id,)).fetchone()
            if row is None:
                return None
            result = from_json(row["result"])
            if result.get("error"):
                good = db.execute(_LAST_GOOD, (scene_id,)).fetchone()
                result = {**result, **(from_json(good[0]) if good else {})}
        file = None if row["oshash"] is None else Fingerprint(row["oshash"], row["size_bytes"])
        error = None
        if row["error_kind"] is not None:
            error = Failure(row["error_kind"], row["error_message"], row["error_remedy"])
        return SceneStanding(row["source"], file, result, error, row["seen_at_s"])

    def results(self, run_id: str, limit: int = 50, after: int = 0) -> list[StoredResult]:
        """Return a run's results, oldest first; page on with the last one's row as `after`."""
        with self.read() as db:
            rows = db.execute(
                "SELECT row, run_id, scene_id, result, saved_at_s FROM run_scenes"
                " WHERE run_id = ? AND row > ? ORDER BY row LIMIT ?",
                (run_id, after, limit),
            ).fetchall()
        return [_stored_result(*row) for row in rows]

    def errors(self, limit: int = 50, after: int | None = None) -> list[SceneError]:
        """Return scenes whose last result failed, the newest first.

        Page on with the last one's row as `after`.
        """
        with self.read() as db:
            rows = db.execute(
                "SELECT result_row, id, source, run_id, error_kind, error_message, error_remedy,"
                " seen_at_s FROM scenes WHERE error_kind IS NOT NULL"
                " AND (? IS NULL OR result_row < ?) ORDER BY result_row DESC LIMIT ?",
                (after, after, limit),
            ).fetchall()
        return [_scene_error(*row) for row in rows]

    def forget_scene(self, scene_id: str) -> None:
        """Drop what runs said of a scene that Stash has no longer."""
        with self.write() as db:
            forget(db, scene_id)

    # --- Scenes at which the worker dies

    def begin_look(self, scene_id: str) -> None:
        """Remember which scene is in hand, so that a native crash names it."""
        with self.write() as db:
            # With a new row: the scene begun last has the highest.
            begun = db.execute(
                "UPDATE looks SET row = (SELECT max(row) + 1 FROM looks), under_way = 1, last = 0"
                " WHERE scene_id = ?",
                (scene_id,),
            )
            if not begun.rowcount:
                db.execute(
                    "INSERT INTO looks (scene_id, deaths, under_way) VALUES (?, 0, 1)", (scene_id,)
                )
        self._stages.note(scene_id, "")

    def note_stage(self, scene_id: str, stage: str) -> None:
        """Remember what is being done with the scene in hand; costs no more than a system call."""
        self._stages.note(scene_id, stage)

    def end_look(self, scene_id: str, *, by_itself: bool = True) -> None:
        """Remember that the scene in hand killed nobody, whatever came of it.

        Earlier deaths at it count on where the look was cut short and did not end `by_itself`.
        """
        with self.write() as db:
            if by_itself:
                db.execute("DELETE FROM looks WHERE scene_id = ?", (scene_id,))
            else:
                _drop_looks(db, "scene_id = ?", scene_id)

    def drop_looks(self) -> None:
        """Blame no scene in hand: the worker ends, and none of them is the cause."""
        with self.write() as db:
            _drop_looks(db, "under_way = ?", 1)

    def park(self, scene_id: str) -> None:
        """Remember that a scene's TagMe was taken for the deaths at it: it may be given again."""
        with self.write() as db:
            db.execute("UPDATE looks SET parked = 1 WHERE scene_id = ?", (scene_id,))

    def note_death(self) -> Death | None:
        """Blame the scene that a dead worker had begun last; None where it had none in hand.

        To be called before the first look.
        """
        with self.write() as db:
            row = db.execute(
                "SELECT scene_id, deaths FROM looks WHERE under_way ORDER BY row DESC LIMIT 1"
            ).fetchone()
            db.execute("UPDATE looks SET last = 0")
            death = None
            if row is not None:
                scene_id, deaths = row
                death = Death(scene_id, deaths + 1, self._stages.stage_of(scene_id))
                db.execute(
                    "UPDATE looks SET deaths = ?, stage = ?, last = 1, parked = 0"
                    " WHERE scene_id = ?",
                    (death.count, death.stage, scene_id),
                )
            db.execute("DELETE FROM looks WHERE deaths = 0")
            db.execute("UPDATE looks SET under_way = 0")
        self._stages.forget()
        return death

    def deaths(self, scene_id: str) -> int:
        """Return how often the worker died at a scene since it was last looked at to the end."""
        with self.read() as db:
            return _deaths(db, scene_id)

    def death(self, scene_id: str) -> Death | None:
        """Return what is known of the worker's deaths at a scene; None where there was none."""
        with self.read() as db:
            return _death(db, "scene_id = ? AND deaths > 0", scene_id)


def forget(db: sqlite3.Connection, scene_id: str) -> None:
    """Drop what runs said of a scene; for who holds the transaction."""
    db.execute("DELETE FROM run_scenes WHERE scene_id = ?", (scene_id,))
    db.execute("DELETE FROM looks WHERE scene_id = ?", (scene_id,))
    db.execute("DELETE FROM scenes WHERE id = ?", (scene_id,))


def last_death(db: sqlite3.Connection) -> Death | None:
    """Return at which scene the worker died that served before; None where at none."""
    return _death(db, "last = ?", 1)


def _drop_looks(db: sqlite3.Connection, where: str, value: str | int) -> None:
    db.execute(f"DELETE FROM looks WHERE deaths = 0 AND {where}", (value,))
    db.execute(f"UPDATE looks SET under_way = 0 WHERE {where}", (value,))


def _death(db: sqlite3.Connection, where: str, value: str | int) -> Death | None:
    found = db.execute(
        f"SELECT scene_id, deaths, stage, parked FROM looks WHERE {where}", (value,)
    ).fetchone()
    if found is None:
        return None
    scene_id, count, stage, parked = found
    return Death(scene_id, count, stage, bool(parked))


def _deaths(db: sqlite3.Connection, scene_id: str) -> int:
    row = db.execute("SELECT deaths FROM looks WHERE scene_id = ?", (scene_id,)).fetchone()
    return 0 if row is None else int(row[0])


def _stored_result(
    row: int, run_id: str, scene_id: str, result: str, saved_at_s: float
) -> StoredResult:
    return StoredResult(row, run_id, scene_id, from_json(result), saved_at_s)


def _scene_error(
    row: int,
    scene_id: str,
    source: str,
    run_id: str,
    kind: str,
    message: str,
    remedy: str,
    failed_at_s: float,
) -> SceneError:
    failure = Failure(kind, message, remedy)
    return SceneError(row, scene_id, source, run_id, failure, failed_at_s)


def _run(row: Sequence[Any]) -> Run:
    number, run_id, kind, settings, status, summary, begun, ended = row
    return Run(number, run_id, kind, from_json(settings), status, from_json(summary), begun, ended)


def _need_run(db: sqlite3.Connection, run_id: str) -> None:
    if db.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone() is None:
        raise StoreError(f"There is no run {run_id}", "begin it before its results are saved")


def _error(result: Mapping[str, Any]) -> tuple[str | None, ...]:
    error = result.get("error")
    if not error:
        return (None, None, None)
    return tuple(str(error.get(part) or "") for part in ("kind", "message", "remedy"))


def _note_tags(
    db: sqlite3.Connection, scene_id: str, decided: bytes | None, tags: Collection[str] | None
) -> None:
    if decided is not None:
        db.execute("UPDATE scenes SET decided = ? WHERE id = ?", (decided, scene_id))
    if tags is not None:
        db.execute(
            "UPDATE scenes SET last_tags = ?1, first_tags = coalesce(first_tags, ?1) WHERE id = ?2",
            (tags_json(tags), scene_id),
        )


def _forget_old_results(db: sqlite3.Connection, scene_id: str) -> None:
    db.execute(
        "DELETE FROM run_scenes WHERE scene_id = ? AND row <= (SELECT row FROM run_scenes"
        " WHERE scene_id = ? ORDER BY row DESC LIMIT 1 OFFSET ?)",
        (scene_id, scene_id, RESULTS_PER_SCENE),
    )


_NEEDED = """
    EXISTS (SELECT 1 FROM run_scenes WHERE run_id = {run})
    OR EXISTS (SELECT 1 FROM ledger WHERE run_id = {run} AND withdrawn IS NULL
        AND outcome IN ('intended', 'ours', 'done'))
    OR EXISTS (SELECT 1 FROM ledger WHERE of_run = {run} AND withdrawn IS NULL
        AND outcome IN ('intended', 'ours', 'done'))
    OR EXISTS (SELECT 1 FROM verdicts WHERE json_extract(detail, '$.run_id') = {run})
"""
"""A run of which results are kept, or something can be undone."""


def _forget_old_runs(db: sqlite3.Connection, newest: int) -> None:
    # An undo tells that the run it undid is no longer the last one, for as long as that is kept.
    undone = "json_extract(runs.summary, '$.undone_run')"
    db.execute(
        "DELETE FROM runs WHERE row <= ? AND status != 'running'"
        f" AND NOT ({_NEEDED.format(run='runs.id')})"
        f" AND NOT (kind = 'undo' AND {undone} IS NOT NULL AND ({_NEEDED.format(run=undone)}))",
        (newest - RUNS_KEPT,),
    )
