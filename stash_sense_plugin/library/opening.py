"""Opens the file in the best way that its disk allows, and proves that it holds.

Writing ahead (WAL) needs memory that programs share through a file, which network mounts lack;
alone with the file, SQLite keeps that memory to itself. Where writing ahead cannot be at all, the
rollback journal is left. Mounts answer differently when they cannot: another mode, an error at
once, or one at the first read or write. So each way is tried with a write that is read back.
"""

import secrets
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stash_sense_plugin.library.migrations import APPLICATION_ID

C = TypeVar("C", bound=sqlite3.Connection)

_WAL_LIMIT_BYTES = 64 * 2**20
_SOON_S = 1.0
"""How long to wait for another program when it has been waited for once."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the file is kept whole, and whether others may open it meanwhile."""

    journal_mode: str
    """`wal`, or SQLite's name of a rollback journal: `delete`."""
    locking: str
    """`normal`; `exclusive` where no other program can open the file as long as we have it."""


SHARED = Way("wal", "normal")
ALONE = (Way("wal", "exclusive"), Way("delete", "exclusive"))

_HELD = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_OF_THE_WAY = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PROTOCOL,
        # The memory that is shared can be read and not written.
        sqlite3.SQLITE_READONLY,
    }
)
"""What another way may mend; a full disk or a damaged file it does not."""


class NotHeld(sqlite3.OperationalError):
    """The disk does not do what a database needs of it, and says nothing of it."""


def opened(
    folder: Path,
    connect: Callable[[float], C],
    prepare: Callable[[C], None],
    busy_timeout_s: float,
    ways: tuple[Way, ...] = (SHARED, *ALONE),
) -> tuple[C, Way]:
    """Return a connection that works, and the way in which it does.

    `folder` is where the file lies, `connect` is given how long to wait for other programs, and
    `prepare` checks what the file holds and brings it up to date. Raises sqlite3.Error of the last
    way tried, and what `prepare` does.
    """
    failure: sqlite3.Error | None = None
    for way in ways:
        try:
            return _attempt(connect(busy_timeout_s), way, prepare), way
        except sqlite3.Error as error:
            code = _code(error)
            if code in _HELD:
                # SQLite takes a disk that knows no locks for a file that somebody else has locked.
                _check_locks(folder)
            if code in _HELD and way is SHARED:
                return _as_it_is(connect(min(busy_timeout_s, _SOON_S)), prepare)
            if code not in _OF_THE_WAY and not isinstance(error, NotHeld):
                raise
            failure = error
    assert failure is not None
    raise failure


def _check_locks(folder: Path) -> None:
    """Raise NotHeld where surely no file can be locked."""
    if sys.platform == "win32":
        return
    import fcntl

    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile(dir=folder))
        except OSError:
            return  # A full disk, or a folder where we may not write, tells nothing of locks.
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise NotHeld(f"no file can be locked there: {error.strerror}") from error


def _attempt(connection: C, way: Way, prepare: Callable[[C], None]) -> C:
    with _closed_on_error(connection):
        connection.execute(f"PRAGMA locking_mode = {way.locking}").fetchone()
        mode = _text(connection, f"PRAGMA journal_mode = {way.journal_mode}")
        if mode != way.journal_mode:
            raise NotHeld(f"its journal stays {mode}")
        _set_up(connection, mode)
        # A file that holds something may be another program's, which is not to be touched.
        steps = (prepare, _prove) if _holds_anything(connection) else (_prove, prepare)
        for step in steps:
            step(connection)
    return connection


def _as_it_is(connection: C, prepare: Callable[[C], None]) -> tuple[C, Way]:
    """Open a file that another program has open; what it keeps us from is said when it comes."""
    with _closed_on_error(connection):
        mode = _text(connection, "PRAGMA journal_mode")
        _set_up(connection, mode)
        prepare(connection)
    return connection, Way(mode, "normal")


def _set_up(connection: sqlite3.Connection, mode: str) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
    # Without WAL a commit is the removal of a journal, which only EXTRA brings to the disk.
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'EXTRA'}")


def _prove(connection: sqlite3.Connection) -> None:
    """Write something, bring it to the disk, and read it back from there."""
    mark = secrets.token_bytes(16)
    (usual,) = connection.execute("PRAGMA synchronous").fetchone()
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("DROP TABLE IF EXISTS opening")
    connection.execute("CREATE TABLE opening (mark BLOB)")
    connection.execute("INSERT INTO opening VALUES (?)", (mark,))
    connection.execute("COMMIT")
    # What is kept in memory would be read back from there.
    connection.execute("PRAGMA shrink_memory")
    if _read_back(connection) != mark:
        raise NotHeld("what was written comes back changed")
    connection.execute("DROP TABLE opening")
    connection.execute(f"PRAGMA synchronous = {usual}")


def _holds_anything(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA page_count").fetchone()[0])


def _read_back(connection: sqlite3.Connection) -> object:
    try:
        return connection.execute("SELECT mark FROM opening").fetchall()[0][0]
    except sqlite3.Error as error:
        raise NotHeld(f"what was written does not come back: {error}") from error


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _text(connection: sqlite3.Connection, sql: str) -> str:
    return str(connection.execute(sql).fetchone()[0])


def _code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
