"""Stash's lines: what a plugin writes to stderr for the log and the progress bar."""

from typing import Callable

Say = Callable[[str, str], None]
"""Shows a line: its level and its text."""

LEVELS = {"trace": b"t", "debug": b"d", "info": b"i", "warning": b"w", "error": b"e"}

LONGEST_BYTES = 60_000
"""Stash stops reading, without a word, at a line of 64 KiB."""


def printable(text: str) -> str:
    """Return text without control characters, which a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def gigabytes(count: float) -> str:
    """Return a size for people."""
    return "{:.1f} GB".format(count / 1e9) if count >= 1e9 else "{:.0f} MB".format(count / 1e6)


def line(level: str, text: str) -> bytes:
    """Return one line of Stash's log, cut to what Stash reads."""
    flat = " ".join(printable(text).split())
    data = flat.encode("utf-8", "replace")
    if len(data) > LONGEST_BYTES:
        data = data[:LONGEST_BYTES].decode("utf-8", "ignore").encode() + "…".encode()
    return b"\x01" + LEVELS.get(level, b"i") + b"\x02" + data + b"\n"


def progress(fraction: float) -> bytes:
    """Return the line that moves Stash's progress bar; what is no number leaves it at 0."""
    shown = min(1.0, max(0.0, fraction)) if fraction == fraction else 0.0
    return b"\x01p\x02%.4f\n" % shown
