"""Jobs: what was asked of the worker, done one at a time, and told to whoever listens.

An attached job ends with its last listener; an owned one survives everybody, and the table brings
it back after a kill. A job of higher priority goes before a running one at its next batch.
Operations run at once, beside the jobs.
"""

import contextlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING

from stash_sense_plugin.errors import (
    Cancelled,
    HandedOver,
    MemoryShort,
    StashSenseError,
    StashUncertain,
    StashUnreachable,
    StoreBusy,
)
from stash_sense_plugin.records import Failure, Level, Reporter
from stash_sense_plugin.start.lines import line, progress
from stash_sense_plugin.start.wire import frame

if TYPE_CHECKING:
    from stash_sense_plugin.library.jobs import Job as Row
    from stash_sense_plugin.library.jobs import JobTable
    from stash_sense_plugin.tasks.api import JobTold

logger = logging.getLogger(__name__)

SWEEP_PRIORITY = 0
HOOK_PRIORITY = 10
SELECTED_PRIORITY = 15
HAND_PRIORITY = 20
"""Someone who asks for one scene waits for it; what came with a scan, and a sweep, have time."""

TAIL_LINES = 20
"""How many of a job's last lines are kept for who asks how far it is."""
LINE_LENGTH = 500
"""Characters of such a line."""
SCENES_TOLD = 100
LONGEST_PART = 2_000
"""Characters of one part of a job's output in a list of jobs; asked for alone, it is whole."""
REPLY_LENGTH = 900_000
"""Characters of a reply: of more, Stash's pages would have to wait too long."""
OPERATIONS_AT_ONCE = 8
STASH_AWAY = (StashUnreachable.kind, StashUncertain.kind)
DELAYS_S: Mapping[str, tuple[float, ...]] = {
    **dict.fromkeys(STASH_AWAY, (10.0, 60.0, 300.0)),
    StoreBusy.kind: (15.0, 60.0, 300.0, 300.0),
    MemoryShort.kind: (60.0, 300.0, 300.0),
}
"""How long owned work waits before each further try, by what kept it from its end; then it fails.

Any other fault would be met again, such as a setting or a scene that is gone. The delays stay
below the time for which the worker keeps its models warm.
"""

SHOWN_EVERY_S = 0.1
"""Stash drops progress that comes faster."""
STORED_EVERY_S = 2.0
REMINDED_EVERY_S = 30.0
"""How often who waits is told for what."""

LOG_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.WARNING,
}
"""What a job tells the user as an error is not a fault of the worker."""

Output = Mapping[str, object]
Listener = Callable[[bytes], None]
"""Takes frames, from any thread; the last one is the reply."""


class Stop(StrEnum):
    """Why a job is to stop."""

    CANCELLED = "cancelled"
    ALONE = "nobody waits for it any more"
    LEAVING = "the background process of Stash Sense is ending"
    HANDED_OVER = "the background process of Stash Sense is ending, for another version"


LEAVES = (Stop.LEAVING, Stop.HANDED_OVER)
"""When owned jobs wait for the next worker."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: a mode with its arguments, ready to run."""

    mode: str
    args: Mapping[str, object]
    run: Callable[["Telling"], Output]
    from_stash: bool = True
    """Whether it needs a Stash that is there; the command line's work may not."""

    @property
    def owned_priority(self) -> int:
        """How urgent it is where it is owned: a hook asked for it, or somebody for these scenes."""
        if "hookContext" in self.args:
            return HOOK_PRIORITY
        return SELECTED_PRIORITY if len(scenes_of(self.args)) > 1 else HAND_PRIORITY


@dataclass(eq=False)
class Job:
    """One piece of work under way, and who listens to it."""

    id: str
    work: Work
    priority: int
    owned: bool
    tries: int = 0
    """How often it was put off before."""
    stop: Stop | None = None
    ended: bool = False
    fraction: float = 0.0
    reminded_at: float = 0.0
    tail: deque[tuple[Level, str]] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    listeners: list[Listener] = field(default_factory=list)

    def tell(self, data: bytes) -> None:
        """Hand a frame to all who listen."""
        for listener in tuple(self.listeners):
            listener(data)

    def say(self, level: Level, message: str) -> None:
        """Show one line to all who listen, and keep it for who asks later."""
        logger.log(LOG_LEVELS.get(level, logging.INFO), "%s: %s", self.work.mode, message)
        self.tail.append((level, message))
        self.tell(frame(b"e", line(level, message)))


@dataclass(frozen=True, slots=True)
class PutOff:
    """A job that waits to be tried again, from a time in seconds since 1970."""

    job: Job
    at_s: float


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended: its reply, and the failure where it is one."""

    reply: bytes
    output: Output | None = None
    failure: Failure | None = None


class Telling(Reporter):
    """A job's reporter: its lines and progress go to the job's listeners."""

    def __init__(self, job: Job, pause: Callable[[], None], store: Callable[[float], None]) -> None:
        self._job, self._pause, self._store = job, pause, store
        self._shown_at = self._stored_at = 0.0

    @property
    def job_id(self) -> str:
        """The job's id in the store; empty for an operation, which has no row there."""
        return self._job.id

    def log(self, level: Level, message: str) -> None:
        """Show one line to the user."""
        self._job.say(level, message)

    def progress(self, fraction: float) -> None:
        """Show how far the job is, 0..1."""
        self._job.fraction = fraction
        now = time.monotonic()
        if fraction < 1 and now - self._shown_at < SHOWN_EVERY_S:
            return
        self._shown_at = now
        self._job.tell(frame(b"e", progress(fraction)))
        if now - self._stored_at >= STORED_EVERY_S:
            self._stored_at = now
            self._store(fraction)

    def check(self) -> None:
        """Let jobs that are more urgent go first; raise Cancelled when this one should stop.

        It is HandedOver where another version does what is left.
        """
        if self._job.stop is None:
            self._pause()
        if self._job.stop is not None:
            error = HandedOver if self._job.stop is Stop.HANDED_OVER else Cancelled
            raise error(f"Stopped: {self._job.stop}")


class Jobs:
    """All jobs of the worker; its methods may be called from any thread."""

    def __init__(
        self,
        table: "JobTable",
        log_path: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._log_path = log_path
        self._clock = clock
        self._now = now
        """Seconds since 1970, as the table counts them: a try may be another worker's."""
        self._lock = threading.RLock()
        self._news = threading.Condition(self._lock)
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        """Under way, the one that let the others pass first."""
        self._live: dict[str, Job] = {}
        self._untold: deque[tuple[Job, Ending]] = deque()
        """Jobs whose end the table has not taken, on a full disk for example."""
        self._operations: set[Job] = set()
        self._put_off: dict[str, PutOff] = {}
        """What is tried again later, by the job's id."""
        self._leaving = False
        self._active_at = time.monotonic()
        self._pool = ThreadPoolExecutor(OPERATIONS_AT_ONCE, "operation")
        self._thread = threading.Thread(target=self._engine, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to work; what a killed worker left is put right first."""
        self._table.requeue_interrupted()
        self._thread.start()

    # --- Asked by doors -----------------------------------------------------------------------

    def attach(self, work: Work, listener: Listener) -> Job:
        """Queue work that lasts as long as someone listens; joins the same work under way."""
        with self._lock:
            job = self._enqueue(work, owned=False)
            job.listeners.append(listener)
            self._remind(job)
            return job

    def own(self, work: Work) -> Job:
        """Queue work that goes on whoever listens; returns the same work under way.

        So it does with work that waits and will do all of this, no later.
        """
        with self._lock:
            wider = None if self._leaving else self._waiting_for(work)
            return wider or self._enqueue(work, owned=True)

    def operate(self, work: Work, listener: Listener) -> Job:
        """Run an operation at once, beside the jobs."""
        job = Job("", work, SWEEP_PRIORITY, owned=False, listeners=[listener])
        with self._lock:
            self._refuse_when_leaving()
            self._operations.add(job)
            self._pool.submit(self._operate, job)
        return job

    def detach(self, job: Job, listener: Listener) -> None:
        """Forget a listener; an attached job without any stops."""
        with self._lock:
            if listener in job.listeners:
                job.listeners.remove(listener)
            if not job.listeners and not job.owned:
                self._stop(job, Stop.ALONE)

    def cancel(self, job_id: str) -> bool:
        """Stop a job for good; False when it has ended, or is none."""
        with self._lock:
            closed = self._table.cancel(job_id)
            self._put_off.pop(job_id, None)
            job = self._live.get(job_id)
            if job is not None:
                self._stop(job, Stop.CANCELLED)
            return closed

    def describe(self, job_id: str) -> "JobTold":
        """Return what is known of one job; StashSenseError when there is none."""
        row = self._table.job(job_id)
        if row is None:
            raise StashSenseError(f"There is no job {job_id}", "list them with the mode 'jobs'")
        return self._told(_describe(row, REPLY_LENGTH // 2, REPLY_LENGTH))

    def listing(self, limit: int) -> "list[JobTold]":
        """Return what runs, what waits in its order, and what ended last; each up to `limit`.

        As many as a reply holds; of an output long parts are left out.
        """
        told = [self._told(_describe(row, LONGEST_PART)) for row in self._table.jobs(limit)]
        ends = accumulate(len(json.dumps(each)) for each in told)
        return [each for each, end in zip(told, ends, strict=True) if end <= REPLY_LENGTH]

    @property
    def put_off(self) -> bool:
        """Whether jobs wait to be tried again."""
        return bool(self._put_off)

    def resume(self, work_of: "Callable[[Row], Work | None]", *, hurried: bool = False) -> None:
        """Take the owned jobs up again that wait in the table alone: a dead worker's, or put off.

        They go on in the session of the Stash that calls, each at its time; `hurried` ones that
        Stash gave no answer need not wait for it. What `work_of` does not know any more fails
        with that reason.
        """
        with self._lock:
            if self._leaving:
                return
            self._tell_table()
            rows = self._table.open_jobs()
            known = self._live.keys() | {job.id for job, _ in self._untold}
            for row in rows:
                if row.id not in known:
                    self._put_off.pop(row.id, None)
                    self._take_up(row, work_of(row), hurried=hurried)

    def retry(self) -> None:
        """Take up what was put off and is due."""
        with self._lock:
            if self._leaving:
                return
            self._tell_table()
            for each in tuple(self._put_off.values()):
                if each.at_s <= self._now():
                    del self._put_off[each.job.id]
                    self._wait(each.job)

    # --- Asked by the worker ------------------------------------------------------------------

    def remind(self) -> None:
        """Tell those who have waited for a while what they wait for."""
        with self._lock:
            for job in self._waiting:
                if self._clock() - job.reminded_at >= REMINDED_EVERY_S:
                    self._remind(job)

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        with self._lock:
            return bool(self._live or self._operations)

    @property
    def serves_command_line(self) -> bool:
        """Whether anything runs or waits that needs no Stash."""
        with self._lock:
            under_way = (*self._live.values(), *self._operations)
            return any(not job.work.from_stash for job in under_way)

    @property
    def idle_s(self) -> float:
        """Seconds since anything ran or was asked."""
        return 0.0 if self.busy else time.monotonic() - self._active_at

    def touch(self) -> None:
        """Count a call as activity."""
        self._active_at = time.monotonic()

    def leave(self, *, handed_over: bool = False) -> None:
        """Stop after the batch in hand: attached jobs are told, owned ones wait in the table.

        They learn where they are `handed_over` to another version.
        """
        with self._lock:
            self._leaving = True
            for job in (*self._live.values(), *self._operations):
                self._stop(job, Stop.HANDED_OVER if handed_over else Stop.LEAVING)
            self._news.notify_all()

    def join(self, patience_s: float) -> bool:
        """Wait until nothing runs any more; False when something still does after that."""
        deadline = time.monotonic() + patience_s
        if self._thread.ident is not None:
            self._thread.join(patience_s)
        with self._lock:
            self._news.wait_for(lambda: not self._operations, deadline - time.monotonic())
            # The next worker would take what is open in the table for what it died under.
            self._tell_table()
            self._pool.shutdown(wait=False)
            return not self._thread.is_alive() and not self._operations

    # --- Within -------------------------------------------------------------------------------

    def _refuse_when_leaving(self) -> None:
        if self._leaving:
            raise StashSenseError(
                "The background process of Stash Sense is ending", "try again in a moment"
            )

    def _enqueue(self, work: Work, *, owned: bool) -> Job:
        self._refuse_when_leaving()
        self._tell_table_of(work)
        self._active_at = time.monotonic()
        priority = work.owned_priority if owned else SWEEP_PRIORITY
        row = self._table.enqueue(work.mode, "owned" if owned else "attached", work.args, priority)
        job = self._live.get(row.id)
        if job is None:
            self._put_off.pop(row.id, None)
            return self._wait(Job(row.id, work, row.priority, owned or row.mode == "owned"))
        job.priority, job.owned = max(job.priority, priority), job.owned or owned
        return job

    def _waiting_for(self, work: Work) -> Job | None:
        """The job that waits, goes at least as early, and looks at all scenes of this work."""
        scenes, least = frozenset(scenes_of(work.args)), work.owned_priority
        for job in self._waiting if scenes else ():
            alike = job.owned and job.work.mode == work.mode and job.priority >= least
            if alike and scenes <= frozenset(scenes_of(job.work.args)):
                return job
        return None

    def _told(self, told: "JobTold") -> "JobTold":
        """Add to what the table says of a job what is known of it while it is under way."""
        with self._lock:
            job = self._live.get(told["id"])
            if job is not None:
                told["progress"] = job.fraction
                told["ahead"] = self._ahead(job)
                told["lines"] = [
                    {"level": level, "message": shortened(text, LINE_LENGTH)}
                    for level, text in job.tail
                ]
        return told

    def _ahead(self, job: Job) -> int:
        """How many jobs go before this one, or before it goes on."""
        if job in self._running:
            paused_for = self._running[self._running.index(job) + 1 :]
            return len(paused_for) + sum(each.priority > job.priority for each in self._waiting)
        if job not in self._waiting:
            return 0
        before = self._waiting[: self._waiting.index(job)]
        sooner = [*self._running, *before]
        return sum(each.priority >= job.priority for each in sooner) + sum(
            each.priority > job.priority for each in self._waiting if each not in before
        )

    def _remind(self, job: Job) -> None:
        if job in self._waiting and self._running:
            first = self._running[-1]
            job.reminded_at = self._clock()
            job.say(
                "info", f"Waits for {first.work.mode}, which is {first.fraction * 100:.0f} % done"
            )

    def _take_up(self, row: "Row", work: Work | None, *, hurried: bool) -> None:
        if work is None:
            reason = f"This version knows no mode {row.kind}"
            self._table.fail(row.id, Failure("settings", reason, "ask for it anew"))
            return
        job = Job(row.id, work, row.priority, owned=True, tries=row.tries)
        spared_s = _spared_s(row) if hurried else 0.0
        if row.next_at_s is None or row.next_at_s - spared_s <= self._now():
            self._wait(job)
        else:
            self._put_off[row.id] = PutOff(job, row.next_at_s)

    def _wait(self, job: Job) -> Job:
        self._live[job.id] = job
        self._waiting.append(job)
        self._news.notify_all()
        return job

    def _stop(self, job: Job, why: Stop) -> None:
        """Mark a job to stop; one that did not begin ends here, one that runs at its next check."""
        if job.stop is not None or job.ended:
            return
        job.stop = why
        if why is Stop.ALONE and job.id:
            # Closed at once, so that the same work asked anew is a new job and waits for this one.
            self._table.interrupt(job.id)
            self._live.pop(job.id, None)
        if job in self._waiting:
            self._waiting.remove(job)
            self._end(job, self._stopped(job))

    def _engine(self) -> None:
        while True:
            with self._lock:
                self._news.wait_for(lambda: self._waiting or self._leaving)
                if self._leaving:
                    return
                job = self._pick(-1)
            if job is not None:
                self._carry_out(job)

    def _pick(self, above: int) -> Job | None:
        """Take the first of the most urgent jobs that wait, if it is above that priority."""
        with self._lock:
            best = max(self._waiting, key=lambda job: job.priority, default=None)
            if best is None or best.priority <= above or self._leaving:
                return None
            self._waiting.remove(best)
            self._running.append(best)
            return best

    def _let_urgent_pass(self, job: Job) -> None:
        # Frames are read ahead on threads of their own, and those may ask too.
        if threading.current_thread() is not self._thread:
            return
        while job.stop is None and (urgent := self._pick(job.priority)) is not None:
            logger.info("%s waits for %s", job.work.mode, urgent.work.mode)
            self._carry_out(urgent)

    def _carry_out(self, job: Job) -> None:
        telling = Telling(
            job,
            pause=lambda: self._let_urgent_pass(job),
            store=lambda fraction: self._table.progress(job.id, fraction),
        )
        ending = self._attempt(job, telling)
        with self._lock:
            self._running.remove(job)
            wait_s = self._wait_s(job, ending)
            if wait_s is not None and ending.failure is not None:
                why = ending.failure.message
                job.say("warning", f"{job.work.mode} is tried again in {wait_s:.0f} s: {why}")
            self._end(job, ending)

    def _operate(self, job: Job) -> None:
        telling = Telling(job, pause=lambda: None, store=lambda _fraction: None)
        ending = self._attempt(job, telling)
        with self._lock:
            job.ended = True
            job.tell(frame(b"o", ending.reply))
            self._operations.discard(job)
            self._active_at = time.monotonic()
            self._news.notify_all()

    def _attempt(self, job: Job, telling: Telling) -> Ending:
        """Run the work, and make of whatever it raises a failure that says what to do."""
        try:
            if job.id and not self._table.begin(job.id):
                job.stop = job.stop or Stop.CANCELLED
            if job.stop is not None:
                return self._stopped(job)
            output = job.work.run(telling)
            return Ending(encode({"output": output}), output=output)
        except Cancelled:
            return self._stopped(job)
        except StashSenseError as error:
            logger.info("%s failed: %s", job.work.mode, error)
            return _failed(Failure(error.kind, error.message, error.remedy))
        except MemoryError:
            logger.warning("%s failed", job.work.mode, exc_info=True)
            short = MemoryShort(f"in {job.work.mode}")
            return _failed(Failure(short.kind, short.message, short.remedy))
        except ImportError as error:
            logger.warning("%s failed", job.work.mode, exc_info=True)
            what = f"The environment lacks something ({error})"
            return _failed(Failure("environment", what, "run the task Set up"))
        except (Exception, SystemExit) as error:
            logger.exception("%s failed", job.work.mode)
            what = f"{job.work.mode} failed ({type(error).__name__}: {error})"
            return _failed(Failure("error", what, f"see {self._log_path}"))

    def _wait_s(self, job: Job, ending: Ending) -> float | None:
        """Return how long an owned job waits to be tried again; None where it ends here."""
        kind = "" if ending.failure is None else ending.failure.kind
        if not job.owned or job.stop is Stop.CANCELLED:
            return None
        if kind in STASH_AWAY and not job.work.from_stash:
            return None
        delays_s = DELAYS_S.get(kind, ())
        return delays_s[job.tries] if job.tries < len(delays_s) else None

    def _stopped(self, job: Job) -> Ending:
        why = job.stop or Stop.CANCELLED
        remedy = "run it again" if why in LEAVES else ""
        return _failed(Failure("cancelled", f"{job.work.mode} was stopped: {why}", remedy))

    def _end(self, job: Job, ending: Ending) -> None:
        """Write down how a job ended, and tell those who listen."""
        try:
            self._record(job, ending)
        except Exception as error:  # the next job must run, and the door hear how this one ended
            self._untold.append((job, ending))
            known = isinstance(error, StashSenseError)
            logger.warning(
                "Cannot write down how %s ended: %s", job.work.mode, error, exc_info=not known
            )
        job.ended = True
        if self._live.get(job.id) is job:
            del self._live[job.id]
        self._active_at = time.monotonic()
        job.tell(frame(b"o", ending.reply))

    def _tell_table(self) -> None:
        """Write down what could not be: work that is open in the table would be joined anew."""
        with contextlib.suppress(StashSenseError):
            self._tell_all()

    def _tell_table_of(self, asked: Work) -> None:
        """Do the same; raise what keeps the table from it where that very work is asked for."""
        try:
            self._tell_all()
        except StashSenseError:
            untold = [(job.work.mode, job.work.args) for job, _ in self._untold]
            if (asked.mode, asked.args) in untold:
                raise

    def _tell_all(self) -> None:
        while self._untold:
            self._record(*self._untold[0])
            self._untold.popleft()

    def _record(self, job: Job, ending: Ending) -> None:
        if ending.output is not None:
            self._table.finish(job.id, ending.output)
        elif ending.failure is not None and (wait_s := self._wait_s(job, ending)) is not None:
            if self._table.put_off(job.id, ending.failure, wait_s):
                again = Job(job.id, job.work, job.priority, owned=True, tries=job.tries + 1)
                self._put_off[job.id] = PutOff(again, self._now() + wait_s)
        elif ending.failure is not None and ending.failure.kind != "cancelled":
            self._table.fail(job.id, ending.failure)
        elif job.owned and job.stop in LEAVES:
            self._table.requeue(job.id)
        elif job.stop is Stop.CANCELLED:
            self._table.cancel(job.id)
        else:
            self._table.interrupt(job.id)


def encode(reply: Mapping[str, object]) -> bytes:
    """Return a reply as Stash reads it: JSON that holds no NaN."""
    return json.dumps(reply, allow_nan=False).encode()


def _spared_s(row: "Row") -> float:
    """Return how much of its delay a row need not wait for when Stash calls, to which it was lost.

    A first delay passes in any case: Stash that calls may be one that we do not reach.
    """
    if row.error is None or row.error.kind != StashUnreachable.kind or not row.tries:
        return 0.0
    delays_s = DELAYS_S[row.error.kind]
    return delays_s[min(row.tries, len(delays_s)) - 1] - delays_s[0]


def _failed(failure: Failure) -> Ending:
    text = f"{failure.message}: {failure.remedy}" if failure.remedy else failure.message
    return Ending(encode({"error": text}), failure=failure)


def scenes_of(args: Mapping[str, object]) -> list[str]:
    """Return the scenes that a job's arguments name; what names none is passed over."""
    found: dict[str, None] = {}
    for name in ("scene_id", "scene_ids", "ids"):
        value = args.get(name)
        parts = value.split(",") if isinstance(value, str) else value
        for part in parts if isinstance(parts, list | tuple) else [parts]:
            told = str(part).strip() if isinstance(part, str | int) else ""
            if told.isascii() and told.isdigit():
                found[told] = None
    return list(found)


def shortened(text: str, longest: int) -> str:
    """Return a text that is no longer than that; where it was cut, it says so."""
    return text if len(text) <= longest else f"{text[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"


def _describe(row: "Row", longest: int, whole: int | None = None) -> "JobTold":
    """What the table knows of a job: of its output, parts of this length, together `whole`."""
    error = row.error
    return {
        "id": row.id,
        "mode": row.kind,
        "scene_ids": scenes_of(row.args)[:SCENES_TOLD],
        "status": row.status.value,
        "progress": row.progress,
        "ahead": 0,
        "lines": [],
        "output": _outline(row.result, longest, whole) or None,
        "error": None if error is None else {"message": error.message, "remedy": error.remedy},
        "queued_at_s": row.queued_at_s,
        "tries": row.tries,
        "next_at_s": row.next_at_s,
        "begun_at_s": row.begun_at_s,
        "ended_at_s": row.ended_at_s,
    }


def _outline(output: Output, longest: int, whole: int | None = None) -> dict[str, object]:
    """An output without its parts that are longer than so many characters of JSON.

    Where all that is left is longer than `whole`, the longest of it go too.
    """
    lengths = {name: len(json.dumps({name: part})) for name, part in output.items()}
    fit = [name for name, length in lengths.items() if length <= longest]
    left = sum(lengths[name] for name in fit)
    for name in sorted(fit, key=lengths.__getitem__, reverse=True):
        if whole is None or left <= whole:
            break
        fit.remove(name)
        left -= lengths[name]
    return {name: output[name] for name in fit}
