"""The one door to SQLite: opens the file, takes turns, and turns its errors into ours."""

import contextlib
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from stash_sense_plugin.errors import StoreBusy, StoreError
from stash_sense_plugin.library.backup import FreeSpace, free_bytes, instead_of, keep_before
from stash_sense_plugin.library.health import STARTING_S, read_through
from stash_sense_plugin.library.migrations import migrate, refuse_unread
from stash_sense_plugin.library.opening import ALONE, SHARED, NotHeld, opened
from stash_sense_plugin.start import disks

Clock = Callable[[], float]
"""Seconds since 1970."""

BUSY_TIMEOUT_S = 10.0
"""How long to wait for another process that holds the file, a backup for example."""

_AGAIN = "then run the task again; nothing is lost"
_MEANINGS = {
    sqlite3.SQLITE_FULL: ("The disk that holds {path} is full", f"free some space, {_AGAIN}"),
    sqlite3.SQLITE_BUSY: (
        "{path} is locked by another program",
        f"close what has it open (a database browser, a backup), {_AGAIN}",
    ),
    sqlite3.SQLITE_LOCKED: ("{path} is locked by another program", f"close it, {_AGAIN}"),
    sqlite3.SQLITE_READONLY: (
        "{path} cannot be written",
        "give the user that runs Stash the right to write this file and its folder",
    ),
    sqlite3.SQLITE_PERM: (
        "{path} may not be opened",
        "give the user that runs Stash the right to read and write this file and its folder",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "{path} cannot be opened",
        "check that its folder is there and that the user that runs Stash may write in it",
    ),
    sqlite3.SQLITE_IOERR: (
        "The disk or mount that holds {path} failed",
        f"check the disk and its connection, {_AGAIN}",
    ),
    sqlite3.SQLITE_CORRUPT: ("{path} is damaged", "{instead}"),
    sqlite3.SQLITE_NOTADB: ("{path} is not a database", "{instead}"),
    sqlite3.SQLITE_NOMEM: (
        "Memory is short for {path}",
        f"let other programs go, or give the container more memory, {_AGAIN}",
    ),
}
_HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_NO_LOCKS = frozenset(
    {
        sqlite3.SQLITE_IOERR_LOCK,
        sqlite3.SQLITE_IOERR_UNLOCK,
        sqlite3.SQLITE_IOERR_RDLOCK,
        sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK,
        sqlite3.SQLITE_IOERR_SHMLOCK,
        sqlite3.SQLITE_IOERR_SHMMAP,
        sqlite3.SQLITE_IOERR_SHMOPEN,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
    }
)
"""What disks say that cannot hold a database: network mounts without locks, for the most part."""


def store_error(error: sqlite3.Error, path: Path) -> StoreError:
    """Return SQLite's error in our words, with what to do about it."""
    code = getattr(error, "sqlite_errorcode", None)
    if code in _NO_LOCKS or isinstance(error, NotHeld):
        if not (os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)):
            # SQLite tells a disk that may only be read from one without locks by chance.
            meaning, remedy = _MEANINGS[sqlite3.SQLITE_READONLY]
            return StoreError(f"{meaning.format(path=path)} ({error})", remedy)
        return StoreError(
            f"The disk or mount that holds {path} cannot hold a database ({error})",
            "set STASH_SENSE_HOME to a folder on a disk of this machine where Stash is started,"
            " and run the task Set up: everything of Stash Sense (its Python, models, store and"
            f" logs) lives there then; copy {path.parent} there to keep what is in it",
        )
    known = None if code is None else _MEANINGS.get(code & 0xFF)
    if known is None:
        return StoreError(f"The store {path} failed: {error}")
    meaning, remedy = known
    told = remedy.format(instead=instead_of(path)) if "{" in remedy else remedy
    kind = StoreBusy if code is not None and code & 0xFF in _HELD else StoreError
    return kind(f"{meaning.format(path=path)} ({error})", told)


class _Connection(sqlite3.Connection):
    """Binds any Python text: a lone surrogate (from a file's name) has no UTF-8, `?` stands in."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> sqlite3.Cursor:  # type: ignore[override]
        return super().execute(sql, _bindable(parameters))

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> sqlite3.Cursor:  # type: ignore[override]
        return super().executemany(sql, map(_bindable, rows))


def _bindable(parameters: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(printable(each) if isinstance(each, str) else each for each in parameters)


def printable(text: str) -> str:
    """Return the text with every lone surrogate replaced by `?`, so that it has a UTF-8 form."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


class Database:
    """One SQLite file with our schema, shared by the threads of one process.

    One connection and a lock, not a connection per thread: SQLite has one writer at a time
    anyway, every transaction here is short, and so no thread meets SQLITE_BUSY from its
    neighbour and none that ends leaves a connection behind.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock = time.time,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        vfs: str = "",
        mounts: str = disks.MOUNTS,
        free: FreeSpace = free_bytes,
    ) -> None:
        """Open the file, or make it; `vfs` is SQLite's way to files, where not the usual one.

        `mounts` is the system's table of what is mounted. A file that an older version wrote is
        copied before it is changed, and one that was not closed is looked through for some seconds.
        """
        self.path = path
        self.clock = clock
        self.free = free
        self._vfs = vfs
        self._lock = threading.RLock()
        self._connection: _Connection | None = None
        self._busy_timeout_s = busy_timeout_s
        refuse_unread(path)
        was_open = _was_open(path)
        _prepare(path)
        mount = disks.mount_of(str(path.parent), mounts)
        # Memory that programs share through a file of another machine is gone when that machine
        # is, and ends whoever touches it then.
        ways = ALONE if mount is not None and mount.network else (SHARED, *ALONE)
        if was_open:
            self._look_through(SHARED in ways)
        with self._errors():
            self._connection, self.way = opened(
                path.parent, self._connect, self._bring_up, busy_timeout_s, ways
            )

    @property
    def journal_mode(self) -> str:
        """Return `wal`, or the rollback journal's name where the disk allows no better."""
        return self.way.journal_mode

    @property
    def locking(self) -> str:
        """Return `normal`, or `exclusive` where no other program can open the file meanwhile."""
        return self.way.locking

    def _connect(self, timeout_s: float, *, reading: bool = False) -> _Connection:
        words = {"vfs": self._vfs, "mode": "ro" if reading else ""}
        named = urlencode({name: word for name, word in words.items() if word})
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{named}" if named else self.path,
            timeout=timeout_s,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
            uri=bool(named),
        )
        connection.row_factory = sqlite3.Row
        return connection

    def _bring_up(self, connection: _Connection) -> None:
        def before(version: int, newest: int) -> None:
            keep_before(connection, self.path, version, newest, self.free)

        migrate(connection, str(self.path), before=before)

    def _look_through(self, shared: bool) -> None:
        """Raise StoreError where a file that was not closed is damaged; it is left as it is.

        What was not closed is only read, so that the next start finds it as this one did.
        """
        way = "normal" if shared else "exclusive"
        try:
            with contextlib.closing(self._connect(self._busy_timeout_s, reading=True)) as db:
                db.execute(f"PRAGMA locking_mode = {way}").fetchone()
                state, faults = read_through(db, STARTING_S)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGES:
                return  # Who opens it for writing says what else is wrong, or can do without.
            state, faults = "damaged", str(error)
        if state == "damaged":
            raise StoreError(
                f"{self.path} is damaged ({faults}), perhaps since this machine stopped without"
                " warning; it is left as it is",
                instead_of(self.path),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Hold one state of the store; SQLite's errors leave as StoreError."""
        with self._lock, self._errors(), _transaction(self._open(), "BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def read_beside(self) -> Iterator[sqlite3.Connection]:
        """Read for long, and keep nobody waiting; SQLite's errors leave as StoreError.

        Where the file is ours alone there is one connection to it, and all wait for it.
        """
        if self.way != SHARED:
            with self.read() as connection:
                yield connection
            return
        with self._errors(), contextlib.closing(self._connect(self._busy_timeout_s)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA query_only = ON")
            yield connection

    @contextlib.contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Change the store wholly or not at all; SQLite's errors leave as StoreError.

        A kill of the process loses nothing that was committed. A power cut may lose the last
        commits, never the store's order, unless `durable`: then it is on the disk.
        """
        with self._lock, self._errors():
            connection = self._open()
            if durable and self.journal_mode == "wal":
                connection.execute("PRAGMA synchronous = FULL")
            try:
                with _transaction(connection, "BEGIN IMMEDIATE"):
                    yield connection
            finally:
                if durable and self.journal_mode == "wal":
                    connection.execute("PRAGMA synchronous = NORMAL")

    def compact(self) -> None:
        """Write the file anew without its empty room; the disk needs its size twice meanwhile."""
        # Else SQLite lays its copy into the system's temporary folder, which may be in memory.
        os.environ.setdefault("SQLITE_TMPDIR", str(self.path.parent.absolute()))
        with self._lock, self._errors():
            connection = self._open()
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def new_id(self) -> str:
        """Return an id that sorts by time and never comes again."""
        return f"{int(self.clock() * 1_000_000):014x}-{secrets.token_hex(4)}"

    def size_bytes(self) -> int:
        """Return what the store takes on the disk, its write-ahead log included."""
        files = [
            self.path,
            *(self.path.with_name(self.path.name + end) for end in ("-wal", "-shm")),
        ]
        return sum(each.stat().st_size for each in files if each.exists())

    def _open(self) -> _Connection:
        if self._connection is None:
            raise StoreError(f"The store {self.path} is closed")
        return self._connection

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise store_error(error, self.path) from error
        except OverflowError as error:
            raise StoreError(
                f"The store {self.path} was given too large a number: {error}"
            ) from error


def _prepare(path: Path) -> None:
    """Make the folder and the file so that only this user reads them."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
    except OSError as error:
        raise StoreError(
            f"The store {path} cannot be opened ({error.strerror})",
            "check that its folder is there and that the user that runs Stash may write in it",
        ) from error
    # A mount without Unix rights (exFAT, SMB) refuses, and has nothing to set.
    with contextlib.suppress(OSError):
        path.chmod(0o600)


def _was_open(path: Path) -> bool:
    """Whether whoever had the file last did not close it: its log or journal is still there."""
    logs = (path.with_name(path.name + end) for end in ("-wal", "-journal"))
    try:
        return any(log.stat().st_size for log in logs if log.exists())
    except OSError:
        return False


@contextlib.contextmanager
def _transaction(connection: _Connection, begin: str) -> Iterator[sqlite3.Connection]:
    connection.execute(begin)
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def to_json(value: Mapping[str, Any]) -> str:
    """Return one JSON object without spaces; StoreError when it cannot be one."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"The store keeps only plain JSON: {error}") from error


def from_json(text: str) -> dict[str, Any]:
    """Return the object that `to_json` wrote."""
    value: dict[str, Any] = json.loads(text)
    return value
