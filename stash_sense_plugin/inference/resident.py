"""What this process holds of the machine's memory, and giving back what it no longer needs."""

import ctypes
import logging
import sys
from functools import cache
from typing import Any

log = logging.getLogger(__name__)


def return_memory() -> None:
    """Give what was freed back to the system: glibc keeps it for itself, in pieces, for ever."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    """Return glibc's malloc_trim; None with other C libraries, which need no telling."""
    if sys.platform != "linux":
        return None
    try:
        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except OSError as error:
        log.debug("the C library cannot be asked: %s", error)
        return None


def resident_bytes() -> int:
    """Return what of this process lies in memory now."""
    import psutil

    return int(psutil.Process().memory_info().rss)
