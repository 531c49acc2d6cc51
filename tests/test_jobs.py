import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stash_sense_plugin.errors import StoreBusy, StoreError
from stash_sense_plugin.library.jobs import (
    DEATH_DELAYS_S,
    DEATHS_ALLOWED,
    JOBS_KEPT,
    JobTable,
    Status,
)
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.records import Failure

ROOT = Path(__file__).resolve().parent.parent
BROKEN = Failure("store", "The disk is full", "free some space")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture
def table(store: Store) -> JobTable:
    return JobTable(store)


def running(table: JobTable, kind: str = "tag", args: dict[str, object] | None = None) -> str:
    job = table.enqueue(kind, "owned", args or {})
    assert table.begin(job.id)
    return job.id


def test_a_job_waits_runs_and_ends(table: JobTable) -> None:
    job = table.enqueue("tag", "attached", {"ids": ["1", "2"]}, priority=3)
    assert (job.status, job.mode, job.priority) == (Status.QUEUED, "attached", 3)
    assert job.args == {"ids": ["1", "2"]}
    assert table.begin(job.id)
    table.progress(job.id, 0.5)
    half = table.job(job.id)
    assert half is not None
    assert (half.status, half.progress) == (Status.RUNNING, 0.5)
    assert table.finish(job.id, {"scenes": 2})
    done = table.job(job.id)
    assert done is not None
    assert (done.status, done.progress, done.result) == (Status.DONE, 1.0, {"scenes": 2})


def test_a_failure_keeps_its_reason(table: JobTable) -> None:
    job_id = running(table)
    assert table.fail(job_id, BROKEN)
    job = table.job(job_id)
    assert job is not None
    assert (job.status, job.error) == (Status.FAILED, BROKEN)


def test_the_same_work_is_one_job_while_it_is_open(table: JobTable) -> None:
    first = table.enqueue("tag", "attached", {"a": 1, "b": [2]})
    assert table.enqueue("tag", "attached", {"b": [2], "a": 1}).id == first.id
    table.begin(first.id)
    assert table.enqueue("tag", "attached", {"a": 1, "b": [2]}).id == first.id
    assert table.enqueue("tag", "attached", {"a": 1, "b": [3]}).id != first.id
    assert table.enqueue("doctor", "attached", {"a": 1, "b": [2]}).id != first.id
    table.finish(first.id)
    assert table.enqueue("tag", "attached", {"a": 1, "b": [2]}).id != first.id


def test_who_joins_a_job_can_only_make_it_stronger(table: JobTable) -> None:
    table.enqueue("tag", "attached", {}, priority=1)
    joined = table.enqueue("tag", "owned", {}, priority=5)
    assert (joined.mode, joined.priority) == ("owned", 5)
    again = table.enqueue("tag", "attached", {}, priority=0)
    assert (again.mode, again.priority) == ("owned", 5)


def test_priority_goes_first_and_then_the_oldest(table: JobTable) -> None:
    sweep = table.enqueue("tag", "attached", {"all": True})
    later = table.enqueue("tag", "owned", {"ids": ["1"]})
    urgent = table.enqueue("tag", "owned", {"ids": ["2"]}, priority=9)
    assert [job.id for job in table.open_jobs()] == [urgent.id, sweep.id, later.id]


def test_a_job_cancelled_while_it_waits_never_begins(table: JobTable) -> None:
    job = table.enqueue("tag", "owned", {})
    assert table.cancel(job.id)
    assert not table.begin(job.id)
    assert table.status(job.id) is Status.CANCELLED


def test_the_first_end_of_a_job_stays(table: JobTable) -> None:
    job_id = running(table)
    assert table.cancel(job_id)
    assert not table.finish(job_id)
    assert not table.fail(job_id, BROKEN)
    assert not table.cancel(job_id)
    assert not table.interrupt(job_id)
    assert table.status(job_id) is Status.CANCELLED


def test_an_unknown_job_is_said_to_be_unknown(table: JobTable) -> None:
    assert table.job("nothing") is None
    assert not table.cancel("nothing")
    with pytest.raises(StoreError, match="no job nothing"):
        table.status("nothing")


def test_args_that_are_no_json_are_refused(table: JobTable) -> None:
    with pytest.raises(StoreError, match="plain JSON"):
        table.enqueue("tag", "owned", {"ids": {"1"}})
    assert table.open_jobs() == []


def test_progress_stays_between_0_and_1(table: JobTable) -> None:
    job_id = running(table)
    for given, kept in [(1.5, 1.0), (-1.0, 0.0)]:
        table.progress(job_id, given)
        job = table.job(job_id)
        assert job is not None
        assert job.progress == kept


def test_after_a_kill_owned_jobs_wait_again_and_attached_ones_are_closed(table: JobTable) -> None:
    owned = running(table)
    attached = table.enqueue("tag", "attached", {"all": True}).id
    table.begin(attached)
    doorless = table.enqueue("doctor", "attached", {}).id
    waiting = table.enqueue("evaluate", "owned", {}).id
    cancelled = running(table, "index")
    table.cancel(cancelled)

    left = {job.id: job for job in table.requeue_interrupted()}

    assert set(left) == {owned, attached, doorless}
    assert left[owned].status is Status.QUEUED
    assert left[attached].status is left[doorless].status is Status.INTERRUPTED
    assert table.status(waiting) is Status.QUEUED
    assert table.status(cancelled) is Status.CANCELLED
    assert table.requeue_interrupted() == []


def test_a_job_that_kills_the_worker_again_and_again_fails(table: JobTable) -> None:
    job_id = running(table)
    for _ in range(DEATHS_ALLOWED - 1):
        (job,) = table.requeue_interrupted()
        assert job.status is Status.QUEUED
        table.begin(job_id)
    (job,) = table.requeue_interrupted()
    assert job.status is Status.FAILED
    assert job.error is not None
    assert (job.error.kind, job.error.message) == (
        "worker-died",
        "The worker died 3 times under it",
    )


def test_after_a_second_death_a_job_waits_for_a_while(tmp_path: Path) -> None:
    with Store(tmp_path / "clock.sqlite", clock=lambda: 500.0) as store:
        table = JobTable(store)
        job_id = running(table)
        (job,) = table.requeue_interrupted()
        assert job.next_at_s is None
        table.begin(job_id)
        (job,) = table.requeue_interrupted()
        assert job.next_at_s == 500.0 + DEATH_DELAYS_S[1]


def test_a_job_that_is_put_off_says_why_until_it_begins_again(table: JobTable) -> None:
    job_id = running(table)
    assert table.put_off(job_id, BROKEN, 60)
    (job,) = table.open_jobs()
    assert (job.status, job.tries, job.error) == (Status.QUEUED, 1, BROKEN)
    assert table.begin(job_id)
    (job,) = table.open_jobs()
    assert (job.tries, job.next_at_s, job.error) == (1, None, None)
    table.finish(job_id)
    assert not table.put_off(job_id, BROKEN, 60)


def test_a_store_that_another_program_holds_is_a_fault_that_passes(tmp_path: Path) -> None:
    path = tmp_path / "held.sqlite"
    with (
        Store(path, busy_timeout_s=0.01) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="locked by another program"):
            JobTable(store).enqueue("tag", "owned", {})


def test_a_job_can_step_back(table: JobTable) -> None:
    job_id = running(table)
    assert table.requeue(job_id)
    assert not table.requeue(job_id)
    (job,) = table.open_jobs()
    assert (job.id, job.status, job.deaths) == (job_id, Status.QUEUED, 0)


def test_history_is_bounded_and_open_jobs_are_not_history(store: Store, table: JobTable) -> None:
    oldest = table.enqueue("tag", "owned", {"first": True})
    for number in range(JOBS_KEPT + 20):
        table.cancel(table.enqueue("tag", "owned", {"n": number}).id)
    last = table.enqueue("tag", "owned", {"last": True})
    assert store.stats().jobs == JOBS_KEPT + 2
    assert [job.id for job in table.open_jobs()] == [oldest.id, last.id]


def test_what_is_under_way_is_told_before_what_ended_later(table: JobTable) -> None:
    sweep = running(table)
    waits = table.enqueue("tag", "owned", {"scene_ids": ["1", "2"]}, priority=5).id
    urgent = table.enqueue("tag", "owned", {"scene_id": "3"}, priority=9).id
    ended = [table.enqueue("tag", "owned", {"n": number}).id for number in range(7)]
    for job_id in ended:
        table.cancel(job_id)
    assert [job.id for job in table.jobs()] == [sweep, urgent, waits, *ended[::-1]]
    assert [job.id for job in table.jobs(limit=2)] == [sweep, urgent, *ended[:-3:-1]]


def test_what_ended_is_told_however_much_waits(table: JobTable) -> None:
    ended = table.enqueue("tag", "owned", {"first": True}).id
    table.cancel(ended)
    waits = [table.enqueue("hook", "owned", {"n": number}).id for number in range(5)]
    assert [job.id for job in table.jobs(limit=3)] == [*waits[:3], ended]


def test_threads_that_ask_for_the_same_get_one_job(table: JobTable) -> None:
    ids: list[str] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        ids.append(table.enqueue("tag", "attached", {"all": True}).id)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1


WORKER = """
import sys
from pathlib import Path
from stash_sense_plugin.library.jobs import JobTable
from stash_sense_plugin.library.store import Store

with Store(Path(sys.argv[1])) as store:
    table = JobTable(store)
    table.requeue_interrupted()
    (job,) = table.open_jobs() or [table.enqueue("tag", "owned", {"all": True})]
    table.begin(job.id)
    print(job.id, flush=True)
    if sys.stdin.readline():
        table.finish(job.id)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_job_goes_on_after_its_worker_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    begun = work_on(path, kill=True)
    with Store(path) as store:
        (job,) = JobTable(store).jobs()
        assert (job.id, job.status) == (begun, Status.RUNNING)
    assert work_on(path, kill=False) == begun
    with Store(path) as store:
        (job,) = JobTable(store).jobs()
        assert (job.status, job.deaths) == (Status.DONE, 1)


def work_on(path: Path, kill: bool) -> str:
    """Let a worker begin a job, and kill it there or let it finish; return the job's id."""
    command, pipe = [sys.executable, "-c", WORKER, str(path)], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        job_id = worker.stdout.readline().strip()
        if kill:
            os.kill(worker.pid, signal.SIGKILL)
        else:
            worker.stdin.write("go on\n")
    return job_id


def test_a_job_under_which_the_worker_died_says_at_which_scene_and_stage(
    store: Store, table: JobTable
) -> None:
    table.begin(table.enqueue("tag", "attached", {}).id)
    waits = table.enqueue("doctor", "attached", {}).id
    store.begin_look("12")
    store.note_stage("12", "objects (yolox-s@1)")
    store.note_death()
    left = {job.id: job for job in table.requeue_interrupted()}
    died = [job.error.message for job in left.values() if job.error is not None]
    assert died == ["The worker died under it at scene 12 (objects (yolox-s@1))"]
    assert left[waits].error is None


def test_a_job_that_failed_by_deaths_names_the_last_scene(store: Store, table: JobTable) -> None:
    job_id = running(table)
    for scene in ("1", "2", "3"):
        store.begin_look(scene)
        store.note_stage(scene, "reading the video")
        store.note_death()
        (job,) = table.requeue_interrupted()
        table.begin(job_id)
    assert job.error is not None
    assert job.error.message == (
        "The worker died 3 times under it, the last time at scene 3 (reading the video)"
    )


def test_an_older_death_is_not_the_cause_of_a_newer_one(store: Store, table: JobTable) -> None:
    store.begin_look("12")
    store.note_death()
    store.note_death()
    table.begin(table.enqueue("tag", "attached", {}).id)
    (job,) = table.requeue_interrupted()
    assert job.error is not None
    assert job.error.message == "The worker died under it"
