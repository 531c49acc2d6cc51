"""Runs, what each said of a scene, and which scenes failed."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.analyses import file_row
from stash_sense_plugin.library.database import Database, from_json, to_json
from stash_sense_plugin.records import Failure, Fingerprint

RESULTS_PER_SCENE = 5
"""How many results of one scene are kept, the newest first."""
RUNS_KEPT = 5000
"""How many runs are kept once none of their results is."""

RunStatus = Literal["running", "done", "failed", "cancelled", "interrupted"]


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
class SceneError:
    """A scene whose last result is a failure."""

    row: int
    """Page on with this as `after`."""
    scene_id: str
    source: str
    run_id: str
    error: Failure
    failed_at_s: float


class Results(Database):
    """The part of the store that holds runs and their results.

    A scene's id is Stash's, or the path of a file from the command line.
    """

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

    def interrupt_open_runs(self) -> int:
        """Close the runs that a dead worker left open; to be called before the first new one."""
        with self.write() as db:
            return db.execute(
                "UPDATE runs SET status = 'interrupted', ended_at_s = ? WHERE status = 'running'",
                (self.clock(),),
            ).rowcount

    def run(self, run_id: str) -> Run | None:
        """Return one run."""
        with self.read() as db:
            row = db.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
        return None if row is None else _run(row)

    def runs(self, limit: int = 50, after: int | None = None) -> list[Run]:
        """Return runs, the newest first; page on with the last one's row as `after`."""
        with self.read() as db:
            rows = db.execute(
                "SELECT * FROM runs WHERE ? IS NULL OR row < ? ORDER BY row DESC LIMIT ?",
                (after, after, limit),
            ).fetchall()
        return [_run(row) for row in rows]

    def save_result(
        self,
        run_id: str,
        scene_id: str,
        fingerprint: Fingerprint | None,
        result_json: Mapping[str, Any],
    ) -> None:
        """Keep what the run said of the scene; a success clears the scene's error.

        Of older results of the scene, only the newest few stay.
        """
        text = to_json(result_json)
        with self.write() as db:
            _need_run(db, run_id)
            file_id = None if fingerprint is None else file_row(db, fingerprint)
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
                "INSERT OR REPLACE INTO scenes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (scene_id, file_id, source, run_id, row, *_error(result_json), now),
            )
            _forget_old_results(db, scene_id)

    def result(self, run_id: str, scene_id: str) -> dict[str, Any] | None:
        """Return what the run said of the scene, or None."""
        with self.read() as db:
            row = db.execute(
                "SELECT result FROM run_scenes WHERE run_id = ? AND scene_id = ?",
                (run_id, scene_id),
            ).fetchone()
        return None if row is None else from_json(row[0])

    def latest_result(self, scene_id: str) -> dict[str, Any] | None:
        """Return what the last run that looked said of the scene, or None."""
        with self.read() as db:
            row = db.execute(
                "SELECT result FROM run_scenes WHERE scene_id = ? ORDER BY row DESC LIMIT 1",
                (scene_id,),
            ).fetchone()
        return None if row is None else from_json(row[0])

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
            db.execute("DELETE FROM run_scenes WHERE scene_id = ?", (scene_id,))
            db.execute("DELETE FROM looks WHERE scene_id = ?", (scene_id,))
            db.execute("DELETE FROM scenes WHERE id = ?", (scene_id,))

    # --- Scenes at which the worker dies

    def begin_look(self, scene_id: str) -> None:
        """Remember which scene is in hand, so that a native crash names it."""
        with self.write() as db:
            deaths = _deaths(db, scene_id)
            # Deleted and written again, not changed: the scene begun last has the highest row.
            db.execute("DELETE FROM looks WHERE scene_id = ?", (scene_id,))
            db.execute(
                "INSERT INTO looks (scene_id, deaths, under_way) VALUES (?, ?, 1)",
                (scene_id, deaths),
            )

    def end_look(self, scene_id: str) -> None:
        """Remember that the scene in hand killed nobody, whatever came of it."""
        with self.write() as db:
            db.execute("DELETE FROM looks WHERE scene_id = ?", (scene_id,))

    def note_death(self) -> None:
        """Blame the scene that a dead worker had begun last; to be called before the first look."""
        with self.write() as db:
            db.execute(
                "UPDATE looks SET deaths = deaths + 1"
                " WHERE row = (SELECT max(row) FROM looks WHERE under_way)"
            )
            db.execute("DELETE FROM looks WHERE deaths = 0")
            db.execute("UPDATE looks SET under_way = 0")

    def deaths(self, scene_id: str) -> int:
        """Return how often the worker died at a scene since it was last looked at to the end."""
        with self.read() as db:
            return _deaths(db, scene_id)


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


def _run(row: sqlite3.Row) -> Run:
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


def _forget_old_results(db: sqlite3.Connection, scene_id: str) -> None:
    db.execute(
        "DELETE FROM run_scenes WHERE scene_id = ? AND row <= (SELECT row FROM run_scenes"
        " WHERE scene_id = ? ORDER BY row DESC LIMIT 1 OFFSET ?)",
        (scene_id, scene_id, RESULTS_PER_SCENE),
    )


def _forget_old_runs(db: sqlite3.Connection, newest: int) -> None:
    db.execute(
        "DELETE FROM runs WHERE row <= ? AND status != 'running' AND NOT EXISTS"
        " (SELECT 1 FROM run_scenes WHERE run_scenes.run_id = runs.id)",
        (newest - RUNS_KEPT,),
    )
