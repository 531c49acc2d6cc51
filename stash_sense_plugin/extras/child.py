"""How a process of the extras lives: it hears one order, reaches nobody, and ends with its parent.

The order is a line of JSON on standard input, which stays open as long as the parent lives. What
the process tells are lines of JSON on its standard output; whatever a library prints goes to
standard error. Standard library only, so that it holds before the first library is imported.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

LONGEST_ORDER = 1 << 20
LONGEST_WORDS = 600
GONE = 3
"""The exit status when the parent has gone."""
NETWORK = (
    *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"),
    *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "urllib.Request"),
)
"""What Python announces before it reaches out."""
_SET_PARENT_DEATH_SIGNAL = 1
"""Linux' PR_SET_PDEATHSIG."""


class Teller:
    """Tells the parent what is going on, a line of JSON at a time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far it is, 0..1, and what begins now."""
        self._tell(progress=round(fraction, 4), text=text[:LONGEST_WORDS])

    def done(self) -> None:
        """Say that all that was ordered is there."""
        self._tell(done=True)

    def failed(self, error: BaseException) -> None:
        """Say why it cannot be done."""
        words = " ".join(str(error).split()) or "no reason given"
        self._tell(error=f"{type(error).__name__}: {words}"[:LONGEST_WORDS])

    def _tell(self, **event: object) -> None:
        self._stream.write(json.dumps(event).encode() + b"\n")
        self._stream.flush()


def live(work: Callable[[Mapping[str, Any], Teller], None]) -> int:
    """Hear the order, do `work` and tell its end; returns the exit status."""
    teller = Teller(_own_stdout())
    order = _heard()
    _end_with(int(order["parent"]))
    _write_no_more_than(int(order["most_bytes"]))
    sys.addaudithook(_refuse_network)
    os.umask(0o077)
    try:
        work(order, teller)
    except Exception as error:  # a library's own errors: the parent makes a sentence of them
        teller.failed(error)
        return 1
    teller.done()
    return 0


def _own_stdout() -> BinaryIO:
    """Keep standard output for what we tell, and send what libraries print to standard error."""
    ours = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return ours


def _heard() -> Mapping[str, Any]:
    heard = b""
    # Not through sys.stdin: what it would read ahead is not seen by the thread that waits.
    while not heard.endswith(b"\n") and len(heard) < LONGEST_ORDER:
        piece = os.read(0, 1 << 16)
        if not piece:
            break
        heard += piece
    order: Mapping[str, Any] = json.loads(heard)
    return order


def _end_with(parent: int) -> None:
    """End this process when its parent ends, however that does."""
    threading.Thread(target=_wait_for_end_of_input, daemon=True).start()
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        # At once, also in the middle of a library's own code; the thread waits for its turn.
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(GONE)


def _wait_for_end_of_input() -> None:
    while os.read(0, 1 << 12):
        pass
    os._exit(GONE)


def _write_no_more_than(most_bytes: int) -> None:
    """Let no file grow beyond this, and no memory go to disk, where the system has limits."""
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_FSIZE, most_bytes), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(what)
        lower = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (lower, lower))


def _refuse_network(event: str, _arguments: object) -> None:
    if event in NETWORK:
        raise PermissionError(f"a process that makes networks reaches nobody ({event})")
