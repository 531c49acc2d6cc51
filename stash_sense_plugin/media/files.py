"""The door to files: what cannot be opened is missing, what is no plain file is unreadable."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stash_sense_plugin.errors import MediaError, MediaMissing, MediaUnreadable

_GONE = {
    errno.EACCES,
    errno.EIO,
    errno.ENODEV,
    errno.ENXIO,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
    errno.ENETDOWN,
    errno.ETIMEDOUT,
}
_SHORT = {errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN}
"""EAGAIN is what a decoder says that was given no thread."""


@contextmanager
def open_media(path: str | Path) -> Iterator[BinaryIO]:
    """Open a plain file for reading.

    Raises MediaMissing (no file, no permission, no memory, a drive or mount that went away, also
    while it is read) or MediaUnreadable (a folder, pipe or device).
    """
    try:
        # A pipe without a writer would block here for ever; non-blocking, it opens at once.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _binary())
    except (OSError, ValueError) as error:
        raise missing(path, error) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise MediaUnreadable(f"{path} is not a file", "name a video or picture file")
    with os.fdopen(handle, "rb") as file:
        try:
            yield file
        except OSError as error:
            raise missing(path, error) from error


def missing(path: str | Path, error: Exception) -> MediaMissing:
    """Return the error for a file that could not be reached, or not with what this machine has."""
    remedy = "check that its drive is connected and that this user may read it"
    if _is_short(error):
        remedy = "let other programs go, or lower the memory that networks may take"
    return MediaMissing(f"Cannot open {path} ({_reason(error)})", remedy)


def fault_of(name: str | Path, error: Exception, what: str) -> MediaError:
    """Return a foreign error as ours.

    Missing where the drive went away, or where memory or open files are short: another time the
    file may be read. Unreadable else. `what` says what the file was taken for: `video`, `picture`.
    """
    if _is_short(error) or getattr(error, "errno", None) in _GONE:
        return missing(name, error)
    return MediaUnreadable(
        f"{name} cannot be read as a {what} ({_reason(error)})",
        "check that it opens elsewhere, and replace it if it does not",
    )


def _is_short(error: Exception) -> bool:
    return isinstance(error, MemoryError) or getattr(error, "errno", None) in _SHORT


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "memory is short"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _binary() -> int:
    return getattr(os, "O_BINARY", 0)
