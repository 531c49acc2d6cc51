"""Whether the store's file is whole, within a time."""

import sqlite3
import time
from typing import Literal

from stash_sense_plugin.library.database import Database

Health = Literal["whole", "damaged", "unfinished"]

_STEPS = 10_000
"""SQLite's steps between two looks at the clock: some milliseconds."""


def check(store: Database, limit_s: float | None) -> tuple[Health, str]:
    """Read the file with SQLite's own check, as long as the time allows; also what was found.

    Others use the store meanwhile, where its disk lets two connections share it. None reads all of
    it, however long that takes. Raises StoreError where the damage lets nobody read on.
    """
    deadline = None if limit_s is None else time.monotonic() + limit_s
    with store.read_beside() as db:
        db.set_progress_handler(
            lambda: deadline is not None and time.monotonic() > deadline, _STEPS
        )
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
