"""Stash's log lines: what a plugin writes to stderr, one line of bytes at a time."""

import math
import unicodedata
from typing import Final

from stash_sense_plugin.records import Level

_LETTERS: Final[dict[Level, bytes]] = {
    "trace": b"t",
    "debug": b"d",
    "info": b"i",
    "warning": b"w",
    "error": b"e",
}
LINE_BYTES: Final = 60_000
"""The longest line that we write. From 65,536 on Stash closes the pipe without a word."""
_MORE: Final = b" ..."


def format_line(level: Level, text: str) -> bytes:
    """One line of Stash's log: its mark, the text on one line, and the newline.

    Line breaks become spaces, other control characters U+FFFD; what is too long is cut on a
    character's border.
    """
    # A mark without text is shorter than the four bytes by which Stash knows a mark.
    body = _on_one_line(text).encode("utf-8", errors="replace") or b"-"
    return b"\x01" + _LETTERS[level] + b"\x02" + _cut(body) + b"\n"


def progress_line(fraction: float) -> bytes:
    """The line that moves the task's bar: 0..1; what is beyond is clipped, not-a-number is 0."""
    within = 0.0 if math.isnan(fraction) else min(max(fraction, 0.0), 1.0)
    return f"\x01p\x02{within:.4f}\n".encode("ascii")


def _on_one_line(text: str) -> str:
    lines = " ".join(part for part in text.splitlines() if part)
    return "".join("\ufffd" if _is_control(c) else c for c in lines.replace("\t", " "))


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Zl", "Zp"}


def _cut(body: bytes) -> bytes:
    room = LINE_BYTES - 4
    if len(body) <= room:
        return body
    kept = body[: room - len(_MORE)].decode("utf-8", errors="ignore").encode()
    return kept + _MORE
