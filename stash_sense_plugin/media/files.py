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
    errno.EIO,
    errno.ENODEV,
    errno.ENXIO,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
    errno.ENETDOWN,
    errno.ETIMEDOUT,
}


@contextmanager
def open_media(path: str | Path) -> Iterator[BinaryIO]:
    """Open a plain file for reading.

    Raises MediaMissing (no file, no permission, a drive or mount that went away, also while it is
    read) or MediaUnreadable (a folder, pipe or device).
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
    """Return the error for a file that could not be reached."""
    reason = getattr(error, "strerror", None) or str(error)
    return MediaMissing(
        f"Cannot open {path} ({reason})",
        "check that its drive is connected and that this user may read it",
    )


def fault_of(name: str | Path, error: Exception, what: str) -> MediaError:
    """Return a foreign error as ours: missing where the drive went away, else unreadable.

    `what` says what the file was taken for: `video`, `picture`.
    """
    if getattr(error, "errno", None) in _GONE:
        return missing(name, error)
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return MediaUnreadable(
        f"{name} cannot be read as a {what} ({reason})",
        "check that it opens elsewhere, and replace it if it does not",
    )


def _binary() -> int:
    return getattr(os, "O_BINARY", 0)
