"""The worker's log: a file that does not grow for ever, whatever the names in it hold."""

import contextlib
import logging
import logging.handlers
import os
from copy import copy
from types import TracebackType
from typing import TypeAlias

from stash_sense_plugin.start.lines import printable
from stash_sense_plugin.start.worker import LOG_BYTES

LOGS_KEPT = 3
APPENDED = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)

_Raised: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class PlainLines(logging.Formatter):
    """Writes a message as one line that no terminal obeys, and a traceback indented below it.

    What a file's name holds can so neither look like a line of its own nor move the cursor.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        plain = copy(record)
        plain.msg, plain.args = printable(record.getMessage()), ()
        # Another handler may have left its own text of the traceback.
        plain.exc_text = None
        return super().format(plain)

    def formatException(self, ei: _Raised) -> str:  # noqa: N802 - logging's own name
        """Return a traceback, each of its lines indented."""
        lines = super().formatException(ei).splitlines()
        return "\n".join("    " + printable(line) for line in lines)


class RotatingLog(logging.handlers.RotatingFileHandler):
    """Writes the log, and keeps a handle for what the interpreter says at a native crash.

    That handle is one of its own, because the log's is closed when its file is full; it follows
    the log to each new file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8")
        self.crashes = os.open(path, APPENDED, 0o600)
        """The handle, for faulthandler."""

    def doRollover(self) -> None:  # noqa: N802 - logging's own name
        """Begin a new file."""
        super().doRollover()
        # The number stays the same: where a crash writes to is never nothing.
        with contextlib.suppress(OSError):
            opened = os.open(self.baseFilename, APPENDED, 0o600)
            try:
                os.dup2(opened, self.crashes, inheritable=False)
            finally:
                os.close(opened)

    def close(self) -> None:
        """Let go of the file."""
        if self.crashes >= 0:
            os.close(self.crashes)
            self.crashes = -1
        super().close()


def log_to(path: str) -> logging.Handler:
    """Send the log to a file and return what writes it; a file that cannot be is done without."""
    handler: logging.Handler
    try:
        handler = RotatingLog(path)
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(PlainLines())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    return handler
