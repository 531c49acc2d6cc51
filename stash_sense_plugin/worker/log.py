"""The worker's log: a file that does not grow for ever, whatever the names in it hold."""

import logging
import logging.handlers
from copy import copy
from types import TracebackType
from typing import TypeAlias

from stash_sense_plugin.start.lines import printable

LOG_BYTES = 1_000_000
LOGS_KEPT = 3

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


def log_to(path: str) -> logging.Handler:
    """Send the log to a file and return what writes it."""
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8"
    )
    handler.setFormatter(PlainLines())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    return handler
