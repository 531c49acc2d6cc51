"""The queue: one job at a time, the last ended ones remembered, changes told to who listens."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from demo.stash.values import now_exactly

REMEMBERED = 10
TELL_EVERY_S = 0.1
"""Progress is told no more often."""


@dataclass(frozen=True, slots=True)
class JobState:
    """A job as it is seen; the times are texts."""

    id: int
    description: str
    status: str
    addTime: str  # noqa: N815
    subTasks: tuple[str, ...] | None = None  # noqa: N815
    progress: float = 0.0
    startTime: str | None = None  # noqa: N815
    endTime: str | None = None  # noqa: N815
    error: str | None = None


Listener = Callable[[str, JobState], None]


class JobControl:
    """What a running job may do: say how far it is, and learn that it was stopped."""

    def __init__(self, jobs: "Jobs", number: int) -> None:
        self._jobs = jobs
        self._number = number
        self._on_stop: list[Callable[[], None]] = []
        self.stopped = threading.Event()

    def progress(self, done: float) -> None:
        """Set the share that is done; it is cut to 0..1."""
        self._jobs._change(self._number, progress=min(1.0, max(0.0, done)))

    def doing(self, *what: str) -> None:
        """Say what is being done now."""
        self._jobs._change(self._number, subTasks=what or None)

    def on_stop(self, act: Callable[[], None]) -> None:
        """Call this when the job is stopped; at once if it was."""
        self._on_stop.append(act)
        if self.stopped.is_set():
            act()

    def stop(self) -> None:
        """Stop it."""
        self.stopped.set()
        for act in list(self._on_stop):
            act()


Work = Callable[[JobControl], None]


class Jobs:
    """The queue and its one thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: dict[int, tuple[JobState, Work, JobControl]] = {}
        self._ended: deque[JobState] = deque(maxlen=REMEMBERED)
        self._listeners: list[Listener] = []
        self._last_number = 0
        self._told_at = 0.0
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, description: str, work: Work) -> int:
        """Put a job at the end of the queue; its id."""
        with self._changed:
            self._last_number += 1
            number = self._last_number
            state = JobState(number, description, "READY", now_exactly())
            self._queue[number] = (state, work, JobControl(self, number))
            self._tell("ADD", state)
            self._changed.notify_all()
        return number

    def queue(self) -> list[JobState]:
        """What runs and what waits."""
        with self._changed:
            return [state for state, _, _ in self._queue.values()]

    def find(self, number: int) -> JobState | None:
        """A job in the queue, or one of the last that ended."""
        with self._changed:
            if number in self._queue:
                return self._queue[number][0]
            return next((state for state in self._ended if state.id == number), None)

    def stop(self, number: int) -> None:
        """Take a waiting job out, stop a running one; another number does nothing."""
        with self._changed:
            if number not in self._queue:
                return
            state, _, control = self._queue[number]
            if state.status == "READY":
                self._end(number, "CANCELLED", None)
                return
            self._change(number, status="STOPPING")
        control.stop()

    def stop_all(self) -> None:
        """Stop every job."""
        for state in self.queue():
            self.stop(state.id)

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Whether the queue was empty within that time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, timeout_s)

    def listen(self, tell: Listener) -> Callable[[], None]:
        """Tell of each change (ADD, UPDATE, REMOVE); the result ends that."""
        with self._changed:
            self._listeners.append(tell)

        def end() -> None:
            with self._changed:
                self._listeners.remove(tell)

        return end

    def close(self) -> None:
        """Stop everything and end the thread."""
        self.stop_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
                number = next(iter(self._queue))
                self._change(number, status="RUNNING", startTime=now_exactly())
                _, work, control = self._queue[number]
            self._do(number, work, control)

    def _do(self, number: int, work: Work, control: JobControl) -> None:
        error = None
        try:
            work(control)
        except Exception as problem:  # whatever a job breaks on is its error, not the queue's end
            error = str(problem)
        with self._changed:
            failed = "FINISHED" if error is None else "FAILED"
            status = "CANCELLED" if control.stopped.is_set() else failed
            self._change(number, endTime=now_exactly())
            self._end(number, status, error if status == "FAILED" else None)

    def _end(self, number: int, status: str, error: str | None) -> None:
        state, _, _ = self._queue.pop(number)
        state = replace(state, status=status, error=error)
        self._ended.append(state)
        self._tell("REMOVE", state)
        self._changed.notify_all()

    def _change(self, number: int, **values: object) -> None:
        """Change a job's state; what is not its start is told a tenth of a second apart."""
        with self._changed:
            if number not in self._queue:
                return
            state, work, control = self._queue[number]
            state = replace(state, **values)  # type: ignore[arg-type]
            self._queue[number] = (state, work, control)
            due = time.monotonic() - self._told_at >= TELL_EVERY_S
            if "startTime" in values or (due and "progress" in values):
                self._told_at = time.monotonic()
                self._tell("UPDATE", state)

    def _tell(self, kind: str, state: JobState) -> None:
        for tell in self._listeners:
            tell(kind, state)
