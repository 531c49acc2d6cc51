"""A lock that the operating system keeps: held while its file is open, gone with its holder."""

import errno
import os
import sys
import time

from stash_sense_plugin.start.fault import StartError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

NO_LOCKS_HERE = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a network mount without locks answers."""


class Lock:
    """A held lock; `release` or the end of the process gives it back."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def lies_at(self, path: str) -> bool:
        """Tell whether this is the lock at a path, and not one made anew after a cleaner."""
        try:
            there = os.lstat(path)
            return self._descriptor < 0 or os.path.samestat(os.fstat(self._descriptor), there)
        except OSError:
            return False

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def hold(path: str, patience_s: float = 0.0) -> "Lock | None":
    """Take the lock at `path`; None when another still holds it after `patience_s`.

    Raises OSError with an errno of NO_LOCKS_HERE where the file system keeps no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    deadline = time.monotonic() + patience_s
    try:
        while not _try(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.02)
        taken_away = not os.path.lexists(path)
    except OSError:
        os.close(descriptor)
        raise
    if taken_away:
        # A cleaner came between: what we hold has no name any more, and would keep nobody out.
        os.close(descriptor)
        return hold(path, max(0.0, deadline - time.monotonic()))
    return Lock(descriptor)


def hold_if_it_can_be(path: str, patience_s: float = 0.0) -> "Lock | None":
    """Take a lock; a file system without locks gives one that keeps nobody out."""
    try:
        return hold(path, patience_s)
    except OSError as error:
        if error.errno in NO_LOCKS_HERE:
            return Lock(-1)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StartError(
                "Cannot use {} ({})".format(path, error.strerror),
                "let the user that runs Stash write there: chown -R the folder to that user,"
                " or name another in STASH_SENSE_HOME",
            ) from error
        raise


def held(path: str) -> bool:
    """Tell whether someone holds the lock at `path`.

    Lookers do not disturb each other; but on Windows one that looks holds it for that moment, and
    who would take it, or looks too, finds it held.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return False
    try:
        return not _try(descriptor, shared=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _try(descriptor: int, shared: bool = False) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True
