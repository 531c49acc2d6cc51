"""Copies of the store that are kept before its schema changes."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from stash_sense_plugin.errors import StoreError

FreeSpace = Callable[[Path], int]
"""Bytes that are free on the disk of a folder."""

MEGABYTE = 1_000_000
SPARE_BYTES = 16 * MEGABYTE
"""What stays free beside a copy, for the work that goes on."""


def free_bytes(folder: Path) -> int:
    """Return how much this user may still write on the folder's disk."""
    return shutil.disk_usage(folder).free


def backups_of(path: Path) -> list[Path]:
    """Return the copies that were kept of a store, the newest version last."""
    found = path.parent.glob(f"{path.name}.before-*")
    return sorted((each for each in found if _number(each)), key=_number)


def instead_of(path: Path) -> str:
    """Say what can take the place of a store that cannot be read."""
    named = ", ".join(each.name for each in backups_of(path))
    there = f" (beside it lies {named}, from before an update)" if named else ""
    return f"put a backup of it in its place{there}, or move it away to begin a new store"


def need_space(path: Path, bytes_needed: int, what: str, free: FreeSpace) -> None:
    """Raise StoreError where the disk has no room for so much and some to spare."""
    there = free(path.parent)
    if there < bytes_needed + SPARE_BYTES:
        short = -(-(bytes_needed + SPARE_BYTES - there) // MEGABYTE)
        raise StoreError(
            f"The disk that holds {path} has no room for {what}: it needs"
            f" {_megabytes(bytes_needed + SPARE_BYTES)} and has {_megabytes(there)}",
            f"free {short} MB more on it, then run the task again; nothing was changed",
        )


def held_bytes(connection: sqlite3.Connection) -> int:
    """Return how large the database is, what waits in its log included."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(size)


def keep_before(
    connection: sqlite3.Connection,
    path: Path,
    version: int,
    newest: int,
    free: FreeSpace = free_bytes,
) -> None:
    """Copy the store to `<name>.before-<newest>`, readable by this user alone.

    A copy from the beginning of the same change, which was cut short, stays. Raises StoreError
    where the disk has no room for the copy, before anything is changed.
    """
    copy = path.with_name(f"{path.name}.before-{newest}")
    if _version_in(copy) in range(1, version):
        return
    need_space(path, held_bytes(connection), "a copy of it before the update", free)
    unfinished = copy.with_name(copy.name + ".part")
    unfinished.unlink(missing_ok=True)
    try:
        _copy(connection, unfinished)
        unfinished.replace(copy)
    except (OSError, sqlite3.Error) as error:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise StoreError(
            f"{path} could not be copied to {copy} before the update ({error})",
            "check the disk and the folder's rights, then run the task again; nothing was changed",
        ) from error


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy:
        # Alone with its file, so that a disk without shared memory takes it too.
        copy.execute("PRAGMA locking_mode = EXCLUSIVE").fetchone()
        connection.backup(copy)
        # One file, that can be put in the store's place as it is.
        copy.execute("PRAGMA journal_mode = DELETE").fetchone()
        [found] = copy.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"the copy is not whole: {found}")


def _version_in(path: Path) -> int | None:
    try:
        with path.open("rb") as file:
            return int.from_bytes(file.read(100)[60:64], "big")
    except OSError:
        return None


def _number(copy: Path) -> int:
    """The version before which it was made; 0 for another file."""
    end = copy.name.rpartition("-")[2]
    return int(end) if end.isascii() and end.isdigit() else 0


def _megabytes(count: int) -> str:
    return f"{-(-count // MEGABYTE)} MB"
