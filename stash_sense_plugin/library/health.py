"""Whether the store's file is whole, within a time."""

import sqlite3
import time
from contextlib import AbstractContextManager
from typing import Literal, Protocol

Health = Literal["whole", "damaged", "unfinished"]

STARTING_S = 2.0
"""How long a file that was not closed is looked through before it is used."""

_STEPS = 10_000
"""SQLite's steps between two looks at the clock: some milliseconds."""


class Readable(Protocol):
    """A store that can be read while others use it."""

    def read_beside(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return a connection for a long read."""
        ...


def check(store: Readable, limit_s: float | None) -> tuple[Health, str]:
    """Read the file with SQLite's own check, as long as the time allows; also what was found.

    Others use the store meanwhile, where its disk lets two connections share it. None reads all of
    it, however long that takes. Raises StoreError where the damage lets nobody read on.
    """
    with store.read_beside() as db:
        return read_through(db, limit_s)


def read_through(db: sqlite3.Connection, limit_s: float | None) -> tuple[Health, str]:
    """Read all that a connection is open to; raises sqlite3.Error where it cannot go on."""
    deadline = None if limit_s is None else time.monotonic() + limit_s
    db.set_progress_handler(lambda: deadline is not None and time.monotonic() > deadline, _STEPS)
    try:
        found = [str(row[0]) for row in db.execute("PRAGMA quick_check(3)")]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return "unfinished", ""
    finally:
        db.set_progress_handler(None, 0)
    faults = [row for row in found if row != "ok"]
    return ("damaged", "; ".join(faults)) if faults else ("whole", "")
