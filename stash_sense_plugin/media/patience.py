"""Reads of files that may never end: a drive or network mount that is gone answers nothing.

Such a read cannot be interrupted, so it is done on a thread of its own: whoever waits for it hears
a stop meanwhile, and gives up where nothing moves. The thread is then left behind; it ends with
its read, or with the process.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from stash_sense_plugin.errors import MediaSilent, MemoryShort

T = TypeVar("T")
Beat = Callable[[], None]
"""Called for every little step, to show that something moves; it may raise."""

SILENT_S = 30.0
"""After so long without a step, a read is given up. A disk that wakes up takes ten."""
POLL_S = 0.1
"""How soon a stop is heard."""
LONGEST_WAIT_S = 1.0
"""What one wait counts at most: in a longer one this machine slept, or had other things to do."""
LAST_STEP_S = 0.5
"""How long a reader that is not wanted any more may take to its next step."""


def streamed(
    read: Callable[[Beat], Iterator[T]],
    check: Callable[[], None],
    what: str,
    silent_s: float = SILENT_S,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[T]:
    """Yield what is read, one ahead; what it raises is raised here, and so is what `check` does.

    `read` calls what it is given for every step. Raises MediaSilent, naming `what`, where none
    comes in `silent_s` of waiting: what `check` takes, for a more urgent job, is no waiting.
    """
    reader = _Reader(read, clock)
    try:
        while (items := reader.take()) is not None:
            yield from items
            if not items:
                if reader.silent_s > silent_s:
                    raise MediaSilent(
                        f"{what} has not answered for {silent_s:g} seconds",
                        "check its drive, or the network that it is mounted over",
                    )
                check()
    finally:
        reader.drop()


def answered(
    ask: Callable[[Beat], T],
    check: Callable[[], None],
    what: str,
    silent_s: float = SILENT_S,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Return one answer, as `streamed` yields many."""
    (answer,) = streamed(lambda beat: iter((ask(beat),)), check, what, silent_s, clock)
    return answer


class _Dropped(Exception):
    """Nobody waits for the reader any more."""


class _Reader(Generic[T]):
    """Reads on a thread of its own, one item ahead of who takes them."""

    def __init__(self, read: Callable[[Beat], Iterator[T]], clock: Callable[[], float]) -> None:
        self._read, self._clock = read, clock
        self._news = threading.Condition()
        self._items: deque[T] = deque()
        self._error: BaseException | None = None
        self._over = self._unwanted = self._moved = False
        self.silent_s = 0.0
        """For how long it was waited for, and nothing moved."""
        self._thread = threading.Thread(target=self._work, name="reader", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # no memory for its stack, or no more threads
            raise MemoryShort("no thread can be started") from error

    def take(self) -> list[T] | None:
        """Return what came, which may be nothing yet; None at the end. Raises what reading did."""
        with self._news:
            begun = self._clock()
            self._news.wait_for(lambda: self._items or self._over, POLL_S)
            waited_s = min(self._clock() - begun, LONGEST_WAIT_S)
            items = list(self._items)
            self._items.clear()
            self.silent_s = 0.0 if items or self._moved else self.silent_s + waited_s
            self._moved = False
            if items:
                self._news.notify_all()
            elif self._over and self._error is not None:
                raise self._error
            elif self._over:
                return None
        return items

    def drop(self) -> None:
        """Want nothing more; a reader that still moves ends before this returns."""
        with self._news:
            self._unwanted = True
            self._items.clear()
            self._news.notify_all()
        self._thread.join(0 if self.silent_s > LAST_STEP_S else LAST_STEP_S)

    def _beat(self) -> None:
        if self._unwanted:
            raise _Dropped
        self._moved = True

    def _work(self) -> None:
        try:
            self._hand_over(self._read(self._beat))
        except _Dropped:
            pass
        except BaseException as error:  # raised again where it is waited for
            self._error = error
        finally:
            with self._news:
                self._over = True
                self._news.notify_all()

    def _hand_over(self, items: Iterator[T]) -> None:
        with contextlib.ExitStack() as stack:
            # The file is closed on the thread that reads it.
            if hasattr(items, "close"):
                stack.callback(items.close)
            for item in items:
                with self._news:
                    self._items.append(item)
                    self._news.notify_all()
                    self._news.wait_for(lambda: not self._items or self._unwanted)
                self._beat()
