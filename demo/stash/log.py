"""The server's log: the last lines are shown by `logs`, new ones are told to who listens."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from demo.stash.values import now_exactly

LEVELS = ("Trace", "Debug", "Info", "Progress", "Warning", "Error")
SHOWN_LINES = 30
KEPT_LINES = 2000


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log."""

    time: str
    level: str
    message: str


class Log:
    """Lines at or above a level."""

    def __init__(self, level: str = "Info") -> None:
        self.level = level
        self._lines: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self._listeners: list[Callable[[LogLine], None]] = []
        self._lock = threading.Lock()

    def write(self, level: str, message: str) -> None:
        """Add a line, unless its level is below the log's."""
        if LEVELS.index(level) < LEVELS.index(self.level):
            return
        line = LogLine(now_exactly(), level, message)
        with self._lock:
            self._lines.append(line)
            listeners = list(self._listeners)
        for tell in listeners:
            tell(line)

    def last(self, count: int = SHOWN_LINES) -> list[LogLine]:
        """The last lines, newest first."""
        with self._lock:
            return list(self._lines)[-count:][::-1]

    def listen(self, tell: Callable[[LogLine], None]) -> Callable[[], None]:
        """Tell of each new line; the result ends that."""
        with self._lock:
            self._listeners.append(tell)

        def end() -> None:
            with self._lock:
                self._listeners.remove(tell)

        return end
