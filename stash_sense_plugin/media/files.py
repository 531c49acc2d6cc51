"""The door to files: what cannot be opened is missing, what is no plain file is unreadable."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stash_sense_plugin.errors import MediaError, MediaMissing, MediaUnreadable, MemoryShort

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
_NO_NAME = {errno.ELOOP, errno.ENAMETOOLONG}
"""What is wrong with the name itself, wherever the drive is."""
_ENDS_BYTES = 64 * 1024


@contextmanager
def open_media(path: str | Path) -> Iterator[BinaryIO]:
    """Open a plain file for reading.

    Raises MediaMissing (no file, no permission, no memory, a drive or mount that went away, also
    while it is read) or MediaUnreadable (a folder, pipe or device, a link to itself).
    """
    try:
        # Before it is opened: that alone makes some devices act, and a socket refuses it.
        _check_plain(path, os.stat(path))  # noqa: PTH116
        # A pipe without a writer would block here for ever; non-blocking, it opens at once.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _binary())
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in _NO_NAME:
            raise _unreadable(path, error, "video or picture") from error
        raise missing(path, error) from error
    try:
        _check_plain(path, os.fstat(handle))
    except MediaUnreadable:
        os.close(handle)
        raise
    with os.fdopen(handle, "rb") as file:
        try:
            yield file
        except OSError as error:
            raise missing(path, error) from error


def _check_plain(path: str | Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise MediaUnreadable(f"{path} is not a file", "name a video or picture file")


def missing(path: str | Path, error: Exception) -> MediaMissing:
    """Return the error for a file that could not be reached, or not with what this machine has.

    Raises MemoryShort where it is memory that lacks: then no other source of pictures serves.
    """
    # EAGAIN is what a decoder says that was given no thread: there is no memory for its stack.
    no_memory = getattr(error, "errno", None) in (errno.ENOMEM, errno.EAGAIN)
    if isinstance(error, MemoryError) or no_memory:
        raise MemoryShort(f"while {path} was read") from error
    remedy = "check that its drive is connected and that this user may read it"
    if _is_short(error):
        remedy = "let other programs go, or lower the setting 'Memory for models (MB)'"
    return MediaMissing(f"Cannot open {path} ({_reason(error)})", remedy)


def fault_of(name: str | Path, error: Exception, what: str) -> MediaError:
    """Return a foreign error as ours.

    Missing where the drive went away, or where memory or open files are short: another time the
    file may be read. Unreadable else. `what` says what the file was taken for: `video`, `picture`.
    """
    if _is_short(error) or getattr(error, "errno", None) in _GONE:
        return missing(name, error)
    return _unreadable(name, error, what)


def decoder_fault(name: str, error: Exception, plenty_bytes: int) -> MediaError:
    """Return a video decoder's error as ours; else as `fault_of`.

    Decoders speak of I/O where a damaged file ends too early, and of memory where its header asks
    for more than any machine has. It is the file's fault where the file can be read and
    `plenty_bytes` of memory can be had.
    """
    number = getattr(error, "errno", None)
    # EPERM is the -1 of demuxers that say nothing: a file that may not be read is EACCES.
    if number in (errno.EIO, errno.EPERM) and _can_be_read(name):
        return _unreadable(name, error, "video", "its content is damaged")
    if number == errno.ENOMEM and _can_be_had(plenty_bytes):
        return _unreadable(name, error, "video", "it asks for more memory than any video needs")
    return fault_of(name, error, "video")


def _can_be_read(name: str) -> bool:
    try:
        with open_media(name) as file:
            size = file.seek(0, os.SEEK_END)
            for place in (0, size // 2, max(0, size - _ENDS_BYTES)):
                file.seek(place)
                file.read(_ENDS_BYTES)
    except MediaError:
        return False
    return True


def _can_be_had(plenty_bytes: int) -> bool:
    try:
        np.empty(plenty_bytes, np.uint8)
    except MemoryError:
        return False
    return True


def _unreadable(name: str | Path, error: Exception, what: str, why: str = "") -> MediaUnreadable:
    return MediaUnreadable(
        f"{name} cannot be read as a {what} ({why or _reason(error)})",
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
