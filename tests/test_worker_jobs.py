"""The worker's jobs with the store's own table, in one process: what only code can ask for."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pytest

from stash_sense_plugin.errors import (
    HandedOver,
    MemoryShort,
    SettingsError,
    StashSenseError,
    StashUncertain,
    StashUnreachable,
    StoreBusy,
    StoreError,
)
from stash_sense_plugin.library.jobs import JobTable
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.records import Failure
from stash_sense_plugin.worker.jobs import DELAYS_S, Job, Jobs, Telling, Work

PATIENCE_S = 60.0
FIRST_S = DELAYS_S[StashUnreachable.kind][0]


class Door:
    """Listens to one job."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.ended = threading.Event()

    def __call__(self, frame: bytes) -> None:
        self.frames.append(frame)
        if frame.startswith(b"o"):
            self.ended.set()

    def lines(self) -> list[str]:
        """Return the lines of log that came."""
        shown = [frame[9:] for frame in self.frames if frame.startswith(b"e")]
        return [text[3:].decode().strip() for text in shown if text[1:2] != b"p"]

    def reply(self) -> Mapping[str, object]:
        """Wait for the reply and return it."""
        assert self.ended.wait(PATIENCE_S)
        reply: Mapping[str, object] = json.loads(self.frames[-1][9:])
        return reply


class Gate:
    """Work that waits, between its checks, until it is let go."""

    def __init__(self, name: str) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.work = Work(name, {"mode": name}, self.run)

    def run(self, telling: Telling) -> Mapping[str, object]:
        self.begun.set()
        while not self.open.wait(0.005):
            telling.check()
        telling.check()
        return {"done": True}

    def wait(self) -> None:
        assert self.begun.wait(PATIENCE_S)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[JobTable]:
    with Store(tmp_path / "store.sqlite") as store:
        yield JobTable(store)


@pytest.fixture
def jobs(table: JobTable) -> Iterator[Jobs]:
    made = Jobs(table, "the log")
    made.start()
    yield made
    made.leave()
    assert made.join(PATIENCE_S)


def work(name: str, run: Callable[[Telling], Mapping[str, object]]) -> Work:
    return Work(name, {"mode": name}, run)


def test_a_task_that_an_owner_joins_survives_its_door(jobs: Jobs) -> None:
    gate, door = Gate("look"), Door()
    attached = jobs.attach(gate.work, door)
    gate.wait()
    owned = jobs.own(gate.work)
    assert owned is attached
    jobs.detach(attached, door)
    gate.open.set()
    second = Door()
    jobs.attach(work("last", lambda _telling: {}), second)
    second.reply()
    assert jobs.describe(owned.id)["status"] == "done"


def test_who_waits_is_told_for_what_at_once_and_every_half_minute(table: JobTable) -> None:
    now = [0.0]
    jobs = Jobs(table, "the log", clock=lambda: now[0])
    jobs.start()
    gate, running, waiting, told = Gate("sweep"), Door(), Door(), threading.Event()

    def sweep(telling: Telling) -> Mapping[str, object]:
        telling.progress(0.4)
        told.set()
        return gate.run(telling)

    job = jobs.attach(work("sweep", sweep), running)
    assert told.wait(PATIENCE_S)
    second = jobs.attach(work("look", lambda _telling: {}), waiting)
    assert waiting.lines() == ["Waits for sweep, which is 40 % done"]
    now[0] = 29.9
    jobs.remind()
    assert len(waiting.lines()) == 1
    now[0], job.fraction = 30.0, 0.5
    jobs.remind()
    assert waiting.lines()[1:] == ["Waits for sweep, which is 50 % done"]
    assert jobs.describe(second.id)["lines"] == [
        {"level": "info", "message": f"Waits for sweep, which is {part} % done"}
        for part in (40, 50)
    ]
    gate.open.set()
    waiting.reply()
    assert not any("Waits" in text for text in running.lines())
    jobs.leave()
    assert jobs.join(PATIENCE_S)


def test_an_urgent_job_is_not_run_on_a_thread_that_only_reads_ahead(jobs: Jobs) -> None:
    where: list[str] = []
    urgent_waits = threading.Event()

    def sweep(telling: Telling) -> Mapping[str, object]:
        assert urgent_waits.wait(PATIENCE_S)
        reader = threading.Thread(target=telling.check)
        reader.start()
        reader.join()
        where.append("read ahead")
        telling.check()
        return {}

    def urgent(_telling: Telling) -> Mapping[str, object]:
        where.append(threading.current_thread().name)
        return {}

    door = Door()
    jobs.attach(work("sweep", sweep), door)
    jobs.own(work("urgent", urgent))
    urgent_waits.set()
    door.reply()
    assert where in (["read ahead", "engine"], ["engine", "read ahead"])


def test_progress_is_shown_but_not_more_often_than_stash_reads(jobs: Jobs) -> None:
    def run(telling: Telling) -> Mapping[str, object]:
        for step in range(1000):
            telling.progress(step / 1000)
        telling.progress(1.0)
        return {}

    door = Door()
    job = jobs.attach(work("fast", run), door)
    door.reply()
    shown = [frame for frame in door.frames if b"\x01p\x02" in frame]
    assert len(shown) < 100
    assert b"1.0000" in shown[-1]
    assert jobs.describe(job.id)["progress"] == 1.0


class Filling(JobTable):
    """A table on a disk that is full for a while."""

    full = True

    def finish(self, job_id: str, result: Mapping[str, object] | None = None) -> bool:
        if self.full:
            raise StoreError("The disk is full")
        return super().finish(job_id, result)


def test_a_store_that_fails_at_the_end_keeps_no_door_waiting(table: JobTable) -> None:
    jobs = Jobs(Filling(table._store), "the log")
    jobs.start()
    door, next_door = Door(), Door()
    jobs.attach(work("one", lambda _telling: {"n": 1}), door)
    assert door.reply() == {"output": {"n": 1}}
    jobs.attach(work("two", lambda _telling: {"n": 2}), next_door)
    assert next_door.reply() == {"output": {"n": 2}}
    jobs.leave()
    assert jobs.join(PATIENCE_S)


def test_work_whose_end_a_full_disk_did_not_take_can_be_asked_for_again(table: JobTable) -> None:
    filling = Filling(table._store)
    jobs = Jobs(filling, "the log")
    jobs.start()
    door = Door()
    first = jobs.attach(work("one", lambda _telling: {"n": 1}), door)
    door.reply()
    with pytest.raises(StoreError, match="full"):
        jobs.attach(work("one", lambda _telling: {"n": 2}), Door())
    filling.full = False
    again = Door()
    second = jobs.attach(work("one", lambda _telling: {"n": 2}), again)
    assert again.reply() == {"output": {"n": 2}}
    assert second.id != first.id
    assert table.status(first.id) == "done"
    jobs.leave()
    assert jobs.join(PATIENCE_S)


@pytest.mark.parametrize("handed_over", [True, False])
def test_what_another_version_can_go_on_with_ends_well_only_where_there_is_one(
    table: JobTable, handed_over: bool
) -> None:
    gate, door = Gate("sweep"), Door()

    def sweep(telling: Telling) -> Mapping[str, object]:
        try:
            return gate.run(telling)
        except HandedOver:
            return {"goes_on": True}

    jobs = Jobs(table, "the log")
    jobs.start()
    job = jobs.attach(work("sweep", sweep), door)
    gate.wait()
    owned = jobs.own(Gate("owned").work)
    jobs.leave(handed_over=handed_over)
    assert jobs.join(PATIENCE_S)
    reply = door.reply()
    assert reply.get("output") == ({"goes_on": True} if handed_over else None)
    assert table.status(job.id) == ("done" if handed_over else "interrupted")
    assert table.status(owned.id) == "queued"


def test_leaving_tells_attached_doors_and_keeps_owned_work(table: JobTable) -> None:
    jobs = Jobs(table, "the log")
    jobs.start()
    running, door, waiting = Gate("running"), Door(), Door()
    jobs.attach(running.work, door)
    running.wait()
    jobs.attach(Gate("waiting").work, waiting)
    owned = jobs.own(Gate("owned").work)
    jobs.leave()
    assert jobs.join(PATIENCE_S)
    assert "background process of Stash Sense is ending" in str(door.reply()["error"])
    assert "background process of Stash Sense is ending" in str(waiting.reply()["error"])
    assert table.status(owned.id) == "queued"
    again = Jobs(table, "the log")
    taken: list[str] = []

    def work_of(row: object) -> Work:
        taken.append("owned")
        return work("owned", lambda _telling: {"went": "on"})

    again.start()
    again.resume(work_of)
    door = Door()
    again.attach(work("last", lambda _telling: {}), door)
    door.reply()
    assert taken == ["owned"]
    assert table.status(owned.id) == "done"
    again.leave()
    assert again.join(PATIENCE_S)


def unreachable(_telling: Telling) -> Mapping[str, object]:
    raise StashUnreachable("Stash does not answer", "start it")


def go_by(jobs: Jobs) -> None:
    """Wait until all that was asked for is over: jobs are done one at a time."""
    door = Door()
    jobs.attach(work("behind", lambda _telling: {}), door)
    door.reply()


def test_work_that_needs_no_calling_stash_fails_at_once(jobs: Jobs, table: JobTable) -> None:
    """A task's door goes with Stash, and nobody calls again for a command line."""
    door = Door()
    attached = jobs.attach(work("look", unreachable), door)
    assert "Stash does not answer" in str(door.reply()["error"])
    typed = jobs.own(replace(work("typed", unreachable), from_stash=False))
    go_by(jobs)
    assert table.status(attached.id) == table.status(typed.id) == "failed"
    assert not jobs.put_off


class Times:
    """The time of day of a table and the jobs over it, and work that meets a fault."""

    def __init__(self, path: Path) -> None:
        self.now_s = 1_000_000.0
        self.tried_s: list[float] = []
        self.store = Store(path / "times.sqlite", clock=lambda: self.now_s)
        self.table = JobTable(self.store)
        self.fault: StashSenseError | None = None
        self.work = Work("look", {"mode": "look"}, self.run)

    def run(self, _telling: Telling) -> Mapping[str, object]:
        self.tried_s.append(self.now_s)
        if self.fault is not None:
            raise self.fault
        return {"went": "on"}

    def begin(self) -> Jobs:
        jobs = Jobs(self.table, "the log", now=lambda: self.now_s)
        jobs.start()
        return jobs

    def go_to(self, jobs: Jobs, now_s: float) -> None:
        """Let it be that time, do what is due, and wait until it is done."""
        self.now_s = now_s
        jobs.retry()
        go_by(jobs)


def end(jobs: Jobs) -> None:
    jobs.leave()
    assert jobs.join(PATIENCE_S)


@pytest.fixture
def times(tmp_path: Path) -> Iterator[Times]:
    made = Times(tmp_path)
    yield made
    made.store.close()


PASSING = [
    pytest.param(StashUnreachable("Stash does not answer"), id="Stash away"),
    pytest.param(StashUncertain("The answer was lost"), id="answer lost"),
    pytest.param(StoreBusy("The store is locked"), id="store held"),
    pytest.param(MemoryShort("in look"), id="memory short"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_owned_work_is_tried_again_after_its_delays_and_then_fails(
    times: Times, fault: StashSenseError
) -> None:
    times.fault, began_s = fault, times.now_s
    jobs = times.begin()
    owned = jobs.own(times.work)
    go_by(jobs)
    due_s = [began_s]
    for wait_s in DELAYS_S[fault.kind]:
        told = jobs.describe(owned.id)
        assert (told["status"], told["next_at_s"]) == ("queued", due_s[-1] + wait_s)
        assert told["error"] == {"message": fault.message, "remedy": fault.remedy}
        times.go_to(jobs, due_s[-1] + wait_s - 0.1)
        assert times.tried_s == due_s
        due_s.append(due_s[-1] + wait_s)
        times.go_to(jobs, due_s[-1])
        assert times.tried_s == due_s
    assert jobs.describe(owned.id)["status"] == "failed"
    assert not jobs.put_off
    end(jobs)


def test_what_would_be_met_again_is_not_tried_again(times: Times) -> None:
    times.fault = SettingsError("There is no scene 7")
    jobs = times.begin()
    owned = jobs.own(times.work)
    go_by(jobs)
    assert jobs.describe(owned.id)["status"] == "failed"
    end(jobs)


def test_a_try_survives_the_end_of_the_worker_and_waits_for_its_time(times: Times) -> None:
    times.fault = MemoryShort("in look")
    jobs = times.begin()
    owned = jobs.own(times.work)
    go_by(jobs)
    end(jobs)
    times.fault, began_s = None, times.now_s
    times.now_s += 1
    again = times.begin()
    again.resume(lambda _row: times.work)
    go_by(again)
    assert times.table.status(owned.id) == "queued"
    times.go_to(again, began_s + DELAYS_S[MemoryShort.kind][0])
    told = again.describe(owned.id)
    assert (told["status"], told["output"], told["error"]) == ("done", {"went": "on"}, None)
    end(again)


def test_what_a_job_tells_fits_one_reply_however_many_long_parts(times: Times) -> None:
    jobs = times.begin()
    long = {"a": "x" * 440_000, "b": "x" * 430_000, "c": "x" * 440_000, "d": 1}
    job = jobs.own(work("long", lambda _telling: long))
    go_by(jobs)
    told = jobs.describe(job.id)
    assert len(json.dumps(told)) < 1_000_000
    output = told["output"] or {}
    assert len(output) == 3
    assert {"b", "d"} <= output.keys()


def test_what_waits_for_stash_goes_on_or_is_cancelled(times: Times) -> None:
    jobs = times.begin()
    kept, dropped = jobs.own(work("kept", unreachable)), jobs.own(work("dropped", unreachable))
    go_by(jobs)
    assert jobs.cancel(dropped.id)
    times.now_s += FIRST_S
    jobs.resume(lambda _row: work("kept", lambda _telling: {"went": "on"}), hurried=True)
    go_by(jobs)
    assert jobs.describe(kept.id)["output"] == {"went": "on"}
    assert times.table.status(dropped.id) == "cancelled"


@pytest.mark.parametrize("fault", PASSING)
def test_only_what_waits_for_stash_goes_on_before_its_time_when_stash_calls(
    times: Times, fault: StashSenseError
) -> None:
    """A first delay passes in any case: a Stash that calls may be one that we do not reach."""
    times.fault, began_s = fault, times.now_s
    jobs = times.begin()
    owned = jobs.own(times.work)
    go_by(jobs)
    first_s, second_s, *_ = DELAYS_S[fault.kind]
    times.go_to(jobs, began_s + first_s)
    times.fault = None
    for after_s in (first_s - 0.1, first_s):
        assert jobs.describe(owned.id)["status"] == "queued"
        times.now_s = began_s + first_s + after_s
        jobs.resume(lambda _row: times.work, hurried=True)
        go_by(jobs)
    calls_help = fault.kind == StashUnreachable.kind
    assert (jobs.describe(owned.id)["status"] == "done") == calls_help
    times.go_to(jobs, began_s + first_s + second_s)
    assert jobs.describe(owned.id)["status"] == "done"
    end(jobs)


@pytest.mark.parametrize("fault", PASSING)
def test_asking_for_a_jobs_state_each_second_uses_up_none_of_its_tries(
    times: Times, fault: StashSenseError
) -> None:
    times.fault, began_s = fault, times.now_s
    jobs = times.begin()
    owned = jobs.own(times.work)
    go_by(jobs)
    for second in range(1, round(sum(DELAYS_S[fault.kind])) + 1):
        times.now_s = began_s + second
        jobs.resume(lambda _row: times.work)
        jobs.describe(owned.id)
        if not jobs.put_off:
            go_by(jobs)
    delays_s = (0.0, *accumulate(DELAYS_S[fault.kind]))
    assert times.tried_s == [began_s + after_s for after_s in delays_s]
    assert jobs.describe(owned.id)["status"] == "failed"
    end(jobs)


def test_what_is_tried_again_uses_the_session_of_the_stash_that_called_last(times: Times) -> None:
    times.fault = StashUncertain("The answer was lost")
    jobs = times.begin()
    owned = jobs.own(times.work)
    go_by(jobs)
    jobs.resume(lambda _row: work("look", lambda _telling: {"session": "new"}))
    times.go_to(jobs, times.now_s + FIRST_S)
    assert jobs.describe(owned.id)["output"] == {"session": "new"}
    end(jobs)


def test_who_asks_again_waits_no_longer(times: Times) -> None:
    times.fault = MemoryShort("in look")
    jobs = times.begin()
    owned = jobs.own(times.work)
    go_by(jobs)
    times.fault = None
    assert jobs.own(times.work).id == owned.id
    go_by(jobs)
    assert jobs.describe(owned.id)["status"] == "done"
    times.go_to(jobs, times.now_s + 1000)
    assert len(times.tried_s) == 2
    end(jobs)


def test_what_is_put_off_can_be_cancelled(times: Times) -> None:
    times.fault = MemoryShort("in look")
    jobs = times.begin()
    owned = jobs.own(times.work)
    go_by(jobs)
    assert jobs.cancel(owned.id)
    times.go_to(jobs, times.now_s + 1000)
    assert (len(times.tried_s), times.table.status(owned.id)) == (1, "cancelled")
    end(jobs)


class Held(JobTable):
    """A table that another program holds whenever a look ends."""

    held = True

    def put_off(self, job_id: str, error: Failure, wait_s: float) -> bool:
        self._hold(job_id)
        return super().put_off(job_id, error, wait_s)

    def finish(self, job_id: str, result: Mapping[str, object] | None = None) -> bool:
        self._hold(job_id)
        return super().finish(job_id, result)

    def _hold(self, job_id: str) -> None:
        job = self.job(job_id)
        if self.held and job is not None and job.kind == "look":
            raise StoreBusy("The store is locked")


@pytest.fixture
def held(times: Times) -> Held:
    times.table = Held(times.store)
    return times.table


def test_a_busy_store_that_cannot_be_told_of_the_next_try_is_told_later(
    times: Times, held: Held
) -> None:
    times.fault, began_s = StoreBusy("The store is locked"), times.now_s
    jobs = times.begin()
    owned = jobs.own(times.work)
    go_by(jobs)
    times.go_to(jobs, began_s + 1000)
    assert times.tried_s == [began_s]
    held.held, times.fault = False, None
    jobs.retry()
    due_s = began_s + 1000 + DELAYS_S[StoreBusy.kind][0]
    told = jobs.describe(owned.id)
    assert (told["status"], told["next_at_s"], told["tries"]) == ("queued", due_s, 1)
    times.go_to(jobs, due_s)
    assert times.tried_s == [began_s, due_s]
    assert jobs.describe(owned.id)["status"] == "done"
    end(jobs)


def test_an_end_that_the_store_has_not_taken_is_not_met_again_when_stash_calls(
    times: Times, held: Held
) -> None:
    jobs = times.begin()
    owned = jobs.own(times.work)
    go_by(jobs)
    jobs.resume(lambda _row: times.work, hurried=True)
    go_by(jobs)
    held.held = False
    jobs.resume(lambda _row: times.work, hurried=True)
    go_by(jobs)
    assert (len(times.tried_s), times.table.status(owned.id)) == (1, "done")
    end(jobs)


def test_who_asks_anew_for_what_could_not_be_put_off_is_told_why(times: Times, held: Held) -> None:
    times.fault = StoreBusy("The store is locked")
    jobs = times.begin()
    owned = jobs.own(times.work)
    go_by(jobs)
    with pytest.raises(StoreBusy):
        jobs.own(times.work)
    held.held, times.fault = False, None
    assert jobs.own(times.work).id == owned.id
    go_by(jobs)
    assert jobs.describe(owned.id)["status"] == "done"
    times.go_to(jobs, times.now_s + 1000)
    assert len(times.tried_s) == 2
    end(jobs)


def test_a_worker_that_leaves_writes_down_what_the_store_had_not_taken(
    times: Times, held: Held
) -> None:
    jobs = times.begin()
    owned = jobs.own(times.work)
    go_by(jobs)
    assert times.table.status(owned.id) == "running"
    held.held = False
    end(jobs)
    assert times.table.status(owned.id) == "done"


def test_a_person_goes_before_a_hook_and_a_hook_before_a_sweep(jobs: Jobs) -> None:
    gate, done = Gate("first"), list[str]()

    def named(name: str, args: dict[str, object]) -> Work:
        def run(_telling: Telling) -> Mapping[str, object]:
            done.append(name)
            return {}

        return Work(name, args, run)

    jobs.own(gate.work)
    gate.wait()
    jobs.attach(named("sweep", {"mode": "sweep"}), Door())
    jobs.own(named("hook", {"mode": "look", "hookContext": {"id": 1}}))
    jobs.own(named("hand", {"mode": "look"}))
    gate.open.set()
    go_by(jobs)
    assert done == ["hand", "hook", "sweep"]


def test_a_mode_that_is_no_more_fails_what_waits_for_it(jobs: Jobs, table: JobTable) -> None:
    old = table.enqueue("forgotten", "owned", {"mode": "forgotten"})
    jobs.resume(lambda _row: None)
    told = jobs.describe(old.id)
    assert told["status"] == "failed"
    assert "no mode forgotten" in str(told["error"])


def test_a_job_is_idle_only_when_nothing_runs(jobs: Jobs) -> None:
    gate, door = Gate("look"), Door()
    job: Job = jobs.attach(gate.work, door)
    assert jobs.busy
    assert jobs.idle_s == 0
    gate.open.set()
    door.reply()
    jobs.detach(job, door)
    assert not jobs.busy


# --- What is told of jobs -------------------------------------------------------------------------


def asked(scenes: object, name: str = "scene_ids") -> Work:
    return Work("tag_scene", {"mode": "tag_scene", name: scenes}, lambda _telling: {})


def test_a_job_says_how_far_it_is_what_it_said_last_and_what_goes_before_it(jobs: Jobs) -> None:
    told, gate = threading.Event(), Gate("sweep")

    def sweep(telling: Telling) -> Mapping[str, object]:
        for number in range(30):
            telling.log("info", f"{number} " + "x" * 600)
        telling.progress(0.31)
        telling.progress(0.32)
        told.set()
        while not gate.open.wait(0.005):
            pass
        return {}

    first = jobs.attach(work("sweep", sweep), Door())
    assert told.wait(PATIENCE_S)
    scene, other = jobs.own(asked("7", "scene_id")), jobs.own(asked("8", "scene_id"))
    some = jobs.own(asked(["1", "2"]))
    late = jobs.attach(work("late", lambda _telling: {}), Door())
    running = jobs.describe(first.id)
    # Who listens is told less often than it changes.
    assert (running["progress"], running["status"]) == (0.32, "running")
    assert [line["message"].split()[0] for line in running["lines"]] == [
        str(number) for number in range(10, 30)
    ]
    assert {len(line["message"]) for line in running["lines"]} == {500}
    ahead = {each["id"]: each["ahead"] for each in jobs.listing(9)}
    # A sweep lets them pass at its next batch.
    assert ahead == {first.id: 3, scene.id: 0, other.id: 1, some.id: 2, late.id: 4}
    gate.open.set()


def test_a_job_that_lets_others_pass_says_how_many(jobs: Jobs) -> None:
    sweep, scene = Gate("sweep"), Gate("tag_scene")
    paused = jobs.attach(sweep.work, Door())
    sweep.wait()
    urgent = jobs.own(scene.work)
    scene.wait()
    assert (jobs.describe(paused.id)["ahead"], jobs.describe(urgent.id)["ahead"]) == (1, 0)
    scene.open.set()
    sweep.open.set()


def test_the_scenes_of_a_job_are_told_up_to_a_hundred(jobs: Jobs) -> None:
    many = [str(number) for number in range(1, 151)]
    for work_, told in (
        (asked("7", "scene_id"), ["7"]),
        (asked(many), many[:100]),
        (Work("tag_scenes", {"mode": "tag_scenes", "ids": "4, 5"}, lambda _t: {}), ["4", "5"]),
        (Work("decide", {"mode": "decide", "ids": {"1": 2}}, lambda _t: {}), []),
    ):
        assert jobs.describe(jobs.own(work_).id)["scene_ids"] == told


def test_scenes_that_a_waiting_job_looks_at_are_not_asked_for_twice(jobs: Jobs) -> None:
    gate = Gate("first")
    jobs.own(gate.work)
    gate.wait()
    some = jobs.own(asked(["1", "2", "3"]))
    assert jobs.own(asked(["2", "3"])) is some
    assert jobs.own(asked(["3", "4"])) is not some
    # It is to go before them.
    assert jobs.own(asked("2", "scene_id")) is not some
    gate.open.set()


def test_a_list_of_jobs_with_long_outputs_stays_short(jobs: Jobs) -> None:
    def long(_telling: Telling) -> Mapping[str, object]:
        return {"run_id": "r", "result": {"texts": ["x" * 1000] * 300}}

    ids = []
    for number in range(8):
        door = Door()
        ids.append(jobs.attach(Work("look", {"mode": "look", "n": number}, long), door).id)
        door.reply()
    assert [each["output"] for each in jobs.listing(50)] == [{"run_id": "r"}] * 8
    whole = jobs.describe(ids[0])["output"]
    assert whole is not None
    assert whole.keys() == {"run_id", "result"}


def test_a_list_of_jobs_ends_before_it_is_a_megabyte(jobs: Jobs) -> None:
    def tall(_telling: Telling) -> Mapping[str, object]:
        return {f"part {number}": "x" * 1900 for number in range(200)}

    for number in range(4):
        door = Door()
        jobs.attach(Work("look", {"mode": "look", "n": number}, tall), door)
        door.reply()
    assert len(jobs.listing(50)) == 2
