"""A lock that the operating system keeps: held while its file is open, gone with its holder."""

import errno
import os
import sys
import time

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
    except OSError:
        os.close(descriptor)
        raise
    return Lock(descriptor)


def held(path: str) -> bool:
    """Tell whether someone holds the lock at `path`; lookers do not disturb each other."""
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
