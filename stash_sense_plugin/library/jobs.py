"""The jobs: what waits, what runs and how far it is, so that a killed one goes on."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.database import Database, from_json, to_json
from stash_sense_plugin.library.results import Death, last_death
from stash_sense_plugin.records import Failure

JOBS_KEPT = 500
"""How many closed jobs are kept."""
DEATH_DELAYS_S = (0.0, 30.0)
"""How long a job waits after each death of the worker under it; after one more it fails."""
DEATHS_ALLOWED = len(DEATH_DELAYS_S) + 1

_OPEN = """
    SELECT * FROM jobs WHERE status IN ('queued', 'running')
    ORDER BY status = 'queued', priority DESC, row
"""

Mode = Literal["attached", "owned"]
"""Attached jobs end with their last door; owned ones survive it."""


class Status(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """Its door went, or the worker died under it; its scenes still wait in Stash."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work that was asked for; times are seconds since 1970."""

    row: int
    id: str
    """Ours, and never used twice; Stash's ids start again at 1."""
    kind: str
    mode: Mode
    args: Mapping[str, Any]
    priority: int
    """Higher goes first."""
    status: Status
    progress: float
    """0..1."""
    deaths: int
    """How often the worker died under it."""
    tries: int
    """How often it was put off."""
    next_at_s: float | None
    """When it is tried again, where it was put off; until then `error` says what kept it."""
    result: Mapping[str, Any]
    error: Failure | None
    queued_at_s: float
    begun_at_s: float | None
    ended_at_s: float | None


class JobTable:
    """The store's jobs; every change is one transaction, so any thread may call."""

    def __init__(self, store: Database) -> None:
        self._store = store

    def enqueue(self, kind: str, mode: Mode, args: Mapping[str, Any], priority: int = 0) -> Job:
        """Queue a job and return it; one of this kind and args that is open is returned instead.

        Then the higher priority holds, and owned before attached: someone counts on its end. One
        that was put off waits no longer.
        """
        same = _same(kind, args)
        job_id, now, text = self._store.new_id(), self._store.clock(), to_json(args)
        with self._store.write() as db:
            joined = db.execute(
                "UPDATE jobs SET priority = max(priority, ?), tries = 0, next_at_s = NULL,"
                " mode = CASE WHEN ? = 'owned' THEN 'owned' ELSE mode END"
                " WHERE same = ? AND status IN ('queued', 'running')",
                (priority, mode, same),
            ).rowcount
            if not joined:
                db.execute(
                    "INSERT INTO jobs (id, kind, mode, args, same, priority, status, queued_at_s)"
                    " VALUES (?, ?, ?, ?, ?, ?, 'queued', ?)",
                    (job_id, kind, mode, text, same, priority, now),
                )
                _forget_old(db)
            return _job(
                db.execute(
                    "SELECT * FROM jobs WHERE same = ? AND status IN ('queued', 'running')",
                    (same,),
                ).fetchone()
            )

    def begin(self, job_id: str) -> bool:
        """Mark a queued job as running; False when it no longer waits (cancelled meanwhile)."""
        return self._change(
            "UPDATE jobs SET status = 'running', begun_at_s = ?, next_at_s = NULL,"
            " error_kind = NULL, error_message = NULL, error_remedy = NULL"
            " WHERE id = ? AND status = 'queued'",
            (self._store.clock(), job_id),
        )

    def put_off(self, job_id: str, error: Failure, wait_s: float) -> bool:
        """Let an open job wait to be tried again so many seconds from now; False when it is closed.

        The job keeps what kept it from its end.
        """
        return self._change(
            "UPDATE jobs SET status = 'queued', tries = tries + 1, next_at_s = ?,"
            " error_kind = ?, error_message = ?, error_remedy = ?"
            " WHERE id = ? AND status IN ('queued', 'running')",
            (self._store.clock() + wait_s, error.kind, error.message, error.remedy, job_id),
        )

    def finish(self, job_id: str, result: Mapping[str, Any] | None = None) -> bool:
        """Close an open job as done; False when it was closed before (cancelled), which stays."""
        return self._close(job_id, Status.DONE, result or {}, None)

    def fail(self, job_id: str, error: Failure, result: Mapping[str, Any] | None = None) -> bool:
        """Close an open job as failed; False when it was closed before."""
        return self._close(job_id, Status.FAILED, result or {}, error)

    def cancel(self, job_id: str, result: Mapping[str, Any] | None = None) -> bool:
        """Close an open job as cancelled, and so for good; False when it was closed before.

        One that runs learns it by `status` between its batches.
        """
        return self._close(job_id, Status.CANCELLED, result or {}, None)

    def interrupt(self, job_id: str) -> bool:
        """Close an open job whose last door went; False when it was closed before."""
        return self._close(job_id, Status.INTERRUPTED, {}, None)

    def requeue(self, job_id: str) -> bool:
        """Let a running job wait again; False when it does not run."""
        return self._change(
            "UPDATE jobs SET status = 'queued' WHERE id = ? AND status = 'running'", (job_id,)
        )

    def requeue_interrupted(self) -> list[Job]:
        """Put right what a dead worker left, and return those jobs as they are now.

        To be called once, before the first job begins. Owned jobs that ran wait again; attached
        ones are closed, for their doors are gone. A job under which the worker died again waits
        for a while, and one under which it died once more has failed. Each says at which scene
        that was, and at what stage.
        """
        with self._store.write() as db:
            db.execute("UPDATE jobs SET deaths = deaths + 1 WHERE status = 'running'")
            left = db.execute(
                "SELECT * FROM jobs WHERE status = 'running' OR"
                " (status = 'queued' AND mode = 'attached') ORDER BY row"
            ).fetchall()
            now, death = self._store.clock(), last_death(db)
            return [_put_right(db, _job(row), death, now) for row in left]

    def progress(self, job_id: str, fraction: float) -> None:
        """Remember how far an open job is, 0..1."""
        self._change(
            "UPDATE jobs SET progress = ? WHERE id = ? AND status IN ('queued', 'running')",
            (min(1.0, max(0.0, float(fraction))), job_id),
        )

    def job(self, job_id: str) -> Job | None:
        """Return one job, or None when there is none or it is long forgotten."""
        with self._store.read() as db:
            row = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else _job(row)

    def status(self, job_id: str) -> Status:
        """Return a job's status; StoreError when there is no such job."""
        job = self.job(job_id)
        if job is None:
            raise StoreError(f"There is no job {job_id}", "list the jobs to see their ids")
        return job.status

    def open_jobs(self) -> list[Job]:
        """Return what runs and waits, in the order it will be done."""
        with self._store.read() as db:
            rows = db.execute(_OPEN).fetchall()
        return [_job(row) for row in rows]

    def jobs(self, limit: int = 50) -> list[Job]:
        """Return what runs and waits, as `open_jobs`, then what has ended, the newest first.

        Of each no more than `limit`: however much waits, what ended last is told too.
        """
        with self._store.read() as db:
            under_way = db.execute(f"{_OPEN} LIMIT ?", (limit,)).fetchall()
            ended = db.execute(
                "SELECT * FROM jobs WHERE status NOT IN ('queued', 'running')"
                " ORDER BY row DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [_job(row) for row in (*under_way, *ended)]

    def _change(self, sql: str, values: tuple[Any, ...]) -> bool:
        with self._store.write() as db:
            return db.execute(sql, values).rowcount > 0

    def _close(
        self, job_id: str, status: Status, result: Mapping[str, Any], error: Failure | None
    ) -> bool:
        with self._store.write() as db:
            return _close(db, job_id, status, result, error, self._store.clock())


def _same(kind: str, args: Mapping[str, Any]) -> bytes:
    """Return what two requests for the same work share, whatever the order of their args."""
    to_json(args)
    canonical = json.dumps([kind, args], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode(), digest_size=16).digest()


def _close(
    db: sqlite3.Connection,
    job_id: str,
    status: Status,
    result: Mapping[str, Any],
    error: Failure | None,
    now: float,
) -> bool:
    why = (None, None, None) if error is None else (error.kind, error.message, error.remedy)
    closed = db.execute(
        "UPDATE jobs SET status = ?, result = ?, error_kind = ?, error_message = ?,"
        " error_remedy = ?, ended_at_s = ?, progress = CASE ? WHEN 'done' THEN 1 ELSE progress END"
        " WHERE id = ? AND status IN ('queued', 'running')",
        (status.value, to_json(result), *why, now, status.value, job_id),
    ).rowcount
    return closed > 0


def _put_right(db: sqlite3.Connection, job: Job, death: Death | None, now: float) -> Job:
    ran = job.status is Status.RUNNING
    error = _died(job, death) if ran else None
    if job.deaths >= DEATHS_ALLOWED:
        _close(db, job.id, Status.FAILED, {}, error, now)
    elif job.mode == "attached":
        _close(db, job.id, Status.INTERRUPTED, {}, error, now)
    else:
        wait_s = DEATH_DELAYS_S[job.deaths - 1]
        db.execute(
            "UPDATE jobs SET status = 'queued', next_at_s = ? WHERE id = ?",
            (now + wait_s if wait_s else None, job.id),
        )
    return _job(db.execute("SELECT * FROM jobs WHERE id = ?", (job.id,)).fetchone())


def _died(job: Job, death: Death | None) -> Failure:
    times = "" if job.deaths == 1 else f" {job.deaths} times"
    last = ", the last time" if times and death else ""
    where = "" if death is None else f"{last} {death}"
    return Failure(
        "worker-died",
        f"The worker died{times} under it{where}",
        "see the worker's log for the cause; the command `errors` names scenes that bring it about",
    )


def _forget_old(db: sqlite3.Connection) -> None:
    db.execute(
        "DELETE FROM jobs WHERE status NOT IN ('queued', 'running') AND row <= (SELECT row"
        " FROM jobs WHERE status NOT IN ('queued', 'running') ORDER BY row DESC LIMIT 1 OFFSET ?)",
        (JOBS_KEPT,),
    )


def _job(row: sqlite3.Row) -> Job:
    error = None
    if row["error_kind"] is not None:
        error = Failure(row["error_kind"], row["error_message"], row["error_remedy"])
    return Job(
        row=row["row"],
        id=row["id"],
        kind=row["kind"],
        mode=row["mode"],
        args=from_json(row["args"]),
        priority=row["priority"],
        status=Status(row["status"]),
        progress=row["progress"],
        deaths=row["deaths"],
        tries=row["tries"],
        next_at_s=row["next_at_s"],
        result=from_json(row["result"]),
        error=error,
        queued_at_s=row["queued_at_s"],
        begun_at_s=row["begun_at_s"],
        ended_at_s=row["ended_at_s"],
    )
