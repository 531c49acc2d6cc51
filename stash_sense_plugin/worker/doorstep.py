"""Where doors find the worker: its lock, its socket, and the card that says which."""

import contextlib
import logging
import os
import secrets
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

from stash_sense_plugin.start.address import socket_path
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.lock import Lock, hold_if_it_can_be
from stash_sense_plugin.start.paths import (
    Home,
    make_socket_folder,
    read_json,
    remove,
    write_json,
)

logger = logging.getLogger(__name__)

LOOK_S = 0.05
WAITING_DOORS = 128


class Lost(StartError):
    """What made this worker the only one is gone: another may come."""


class Doorstep:
    """Held by the one worker of a library: only its holder unlinks and binds."""

    def __init__(self, home: Home, locks: list[Lock]) -> None:
        self._home = home
        self._locks = locks
        self._changing = threading.Lock()
        self._closed = False
        self._path = ""
        self._made: os.stat_result | None = None
        self._card: dict[str, object] = {}
        self.token = ""
        """What doors have to show; empty on a socket that only this user can reach."""

    def listen(self, stamp: str, *, loopback: bool) -> socket.socket:
        """Open the socket and write the card; loopback with a token where there is no other."""
        listening = None if loopback else self._unix(socket_path(self._home.folder))
        if listening is None:
            listening = socket.create_server(("127.0.0.1", 0), backlog=WAITING_DOORS)
            self.token = secrets.token_hex(32)
        port = listening.getsockname()[1] if self.token else None
        self._card = {"pid": os.getpid(), "stamp": stamp, "port": port, "token": self.token}
        self._write_card()
        return listening

    def mend(self) -> socket.socket | None:
        """Put back what a cleaner of temporary files took away: a new socket, the card.

        Returns the socket where there is a new one. Raises Lost when the home was removed, or
        another worker answers where we did.
        """
        with self._changing:
            if self._closed:
                return None
            if _absent(self._home.worker_lock):
                raise Lost(f"{self._home.worker_lock} was removed, with all that lies beside it")
            if self._is_anothers():
                raise Lost(f"another worker answers at {self._path}")
            listening = self._again() if self._path and _absent(self._path) else None
            if listening is not None or _absent(self._home.worker_card):
                self._write_card()
            return listening

    def close(self) -> None:
        """Let no further door in: those that come find nobody and wait for the lock."""
        with self._changing:
            self._closed = True
            if self._made is not None and _is(self._path, self._made):
                remove(self._path)
            card = read_json(self._home.worker_card)
            if card is not None and card.get("pid") == os.getpid():
                remove(self._home.worker_card)

    def release(self) -> None:
        """Give the locks back."""
        for lock in self._locks:
            lock.release()

    def _write_card(self) -> None:
        try:
            write_json(self._home.worker_card, self._card | {"socket": self._path})
        except OSError as error:
            # Doors find a socket at its usual place without it; a port they do not.
            if self.token:
                raise
            logger.warning("Cannot write %s (%s)", self._home.worker_card, error)

    def _unix(self, path: str) -> socket.socket | None:
        """Bind the socket so that this user alone can connect; None where that does not work."""
        if not hasattr(socket, "AF_UNIX"):
            return None
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_stale(path)
            listening.bind(path)
            Path(path).chmod(0o600)
            listening.listen(WAITING_DOORS)
            self._made = Path(path).lstat()
        except OSError:
            listening.close()
            return None
        self._path = path
        return listening

    def _is_anothers(self) -> bool:
        """Tell whether somebody made our lock and our socket anew, where the home has no locks."""
        if self._made is None or _absent(self._path) or _is(self._path, self._made):
            return False
        return not self._locks[0].lies_at(self._path + ".lock")

    def _again(self) -> socket.socket | None:
        """Open a socket where doors look now, once the lock beside it is ours too."""
        make_socket_folder(self._home.folder)
        path = socket_path(self._home.folder)
        if path != self._path or not self._locks[0].lies_at(path + ".lock"):
            lock = hold_if_it_can_be(path + ".lock")
            if lock is None:
                return None  # A new worker is looking whether we are there: at the next look.
            self._locks[0].release()
            self._locks[0] = lock
        listening = self._unix(path)
        if listening is not None:
            logger.info("The socket was taken away: another is at %s", path)
        return listening


def take(home: Home, alive: Callable[[], bool], patience_s: float) -> Doorstep | None:
    """Take a library's locks and return its doorstep; None when another worker answers doors.

    A worker that leaves holds them until its batch is done, and is waited for. Raises
    TimeoutError when it takes longer than `patience_s`.
    """
    deadline = time.monotonic() + patience_s
    while True:
        locks = _take_all(_lock_paths(home))
        if locks is not None:
            # Doors must not follow a dead worker's card while we hold the lock for them to see.
            with contextlib.suppress(OSError):
                remove(home.worker_card)
            return Doorstep(home, locks)
        if alive():
            return None
        if time.monotonic() > deadline:
            raise TimeoutError(f"Another worker holds {home.worker_lock} and answers no door")
        time.sleep(LOOK_S)


def _take_all(paths: list[str]) -> list[Lock] | None:
    """Take all the locks or none; a folder that a cleaner took away has none to give."""
    locks: list[Lock] = []
    with contextlib.ExitStack() as undo:
        for path in paths:
            try:
                lock = hold_if_it_can_be(path)
            except FileNotFoundError:
                lock = None
            if lock is None:
                return None
            undo.callback(lock.release)
            locks.append(lock)
        undo.pop_all()
    return locks


def _lock_paths(home: Home) -> list[str]:
    """Return the lock beside the socket, and the one in the home.

    The first works where the home is a network mount; the second where a login of this user sees
    another run-time folder than Stash does.
    """
    if not hasattr(socket, "AF_UNIX"):
        return [home.worker_lock]
    make_socket_folder(home.folder)
    return [socket_path(home.folder) + ".lock", home.worker_lock]


def _remove_stale(path: str) -> None:
    """Remove the socket of a worker that is dead: we hold its lock."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(Path(path).lstat().st_mode):
            remove(path)


def _absent(path: str) -> bool:
    """Tell whether there is surely nothing; a mount that fails for a while says so otherwise."""
    try:
        Path(path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _is(path: str, made: os.stat_result) -> bool:
    """Tell whether what lies at a path is the very thing that we made."""
    try:
        return os.path.samestat(Path(path).lstat(), made)
    except OSError:
        return False
