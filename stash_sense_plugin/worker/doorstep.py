"""Where doors find the worker: its lock, its socket, and the card that says which."""

import contextlib
import os
import secrets
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

from stash_sense_plugin.start.address import socket_path
from stash_sense_plugin.start.lock import NO_LOCKS_HERE, Lock, hold
from stash_sense_plugin.start.paths import Home, make_socket_folder, remove, write_json

LOOK_S = 0.05
WAITING_DOORS = 128


class Doorstep:
    """Held by the one worker of a library: only its holder unlinks and binds."""

    def __init__(self, home: Home, locks: list[Lock]) -> None:
        self._home = home
        self._locks = locks
        self._path = ""
        self.token = ""
        """What doors have to show; empty on a socket that only this user can reach."""

    def listen(self, stamp: str, *, loopback: bool) -> socket.socket:
        """Open the socket and write the card; loopback with a token where there is no other."""
        listening = None if loopback else self._unix()
        if listening is None:
            listening = socket.create_server(("127.0.0.1", 0), backlog=WAITING_DOORS)
            self.token = secrets.token_hex(32)
        port = listening.getsockname()[1] if self.token else None
        card = {"pid": os.getpid(), "stamp": stamp, "socket": self._path}
        write_json(self._home.worker_card, card | {"port": port, "token": self.token})
        return listening

    def close(self) -> None:
        """Let no further door in: those that come find nobody and wait for the lock."""
        if self._path:
            remove(self._path)
        remove(self._home.worker_card)

    def release(self) -> None:
        """Give the locks back."""
        for lock in self._locks:
            lock.release()

    def _unix(self) -> socket.socket | None:
        """Bind the socket so that this user alone can connect; None where that does not work."""
        if not hasattr(socket, "AF_UNIX"):
            return None
        path = socket_path(self._home.folder)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_stale(path)
            listening.bind(path)
            Path(path).chmod(0o600)
            listening.listen(WAITING_DOORS)
        except OSError:
            listening.close()
            return None
        self._path = path
        return listening


def take(home: Home, alive: Callable[[], bool], patience_s: float) -> Doorstep | None:
    """Take a library's locks and return its doorstep; None when another worker answers doors.

    A worker that leaves holds them until its batch is done, and is waited for. Raises
    TimeoutError when it takes longer than `patience_s`.
    """
    wanted = _lock_paths(home)
    deadline = time.monotonic() + patience_s
    while True:
        with contextlib.ExitStack() as undo:
            locks = [_hold(path) for path in wanted]
            for lock in locks:
                if lock is not None:
                    undo.callback(lock.release)
            if all(lock is not None for lock in locks):
                undo.pop_all()
                return Doorstep(home, [lock for lock in locks if lock is not None])
        if alive():
            return None
        if time.monotonic() > deadline:
            raise TimeoutError(f"Another worker holds {wanted[0]} and answers no door")
        time.sleep(LOOK_S)


def _lock_paths(home: Home) -> list[str]:
    """Return the lock beside the socket, and the one in the home.

    The first works where the home is a network mount; the second where a login of this user sees
    another run-time folder than Stash does.
    """
    if not hasattr(socket, "AF_UNIX"):
        return [home.worker_lock]
    make_socket_folder(home.folder)
    return [socket_path(home.folder) + ".lock", home.worker_lock]


def _hold(path: str) -> Lock | None:
    """Take one lock; a file system without locks gives one that keeps nobody out."""
    try:
        return hold(path)
    except OSError as error:
        if error.errno in NO_LOCKS_HERE:
            return Lock(-1)
        raise


def _remove_stale(path: str) -> None:
    """Remove the socket of a worker that is dead: we hold its lock."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(Path(path).lstat().st_mode):
            remove(path)
