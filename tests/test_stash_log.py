import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.records import Level
from stash_sense_plugin.stash.log import format_line, progress_line

LEVELS: list[Level] = ["trace", "debug", "info", "warning", "error"]
STASH_LIMIT = 64 * 1024


@pytest.mark.parametrize(
    ("level", "text", "line"),
    [
        ("trace", "a", b"\x01t\x02a\n"),
        ("debug", "a", b"\x01d\x02a\n"),
        ("info", "Scene 1: d\u00e9j\u00e0 vu", "\x01i\x02Scene 1: d\u00e9j\u00e0 vu\n".encode()),
        ("warning", "one\r\ntwo\n\nthree\n", b"\x01w\x02one two three\n"),
        ("error", "a\tb\x01p\x020.5", "\x01e\x02a b\ufffdp\ufffd0.5\n".encode()),
        ("info", "", b"\x01i\x02-\n"),
        ("info", "\ud800", b"\x01i\x02?\n"),
        ("info", "a\u2028b\x85c", b"\x01i\x02a b c\n"),
    ],
)
def test_a_line(level: Level, text: str, line: bytes) -> None:
    assert format_line(level, text) == line


@pytest.mark.parametrize("character", ["a", "\u00e9", "\u20ac", "\U0001f3ac"])
@pytest.mark.parametrize("ahead", range(4))
def test_a_long_line_is_cut_on_a_characters_border(character: str, ahead: int) -> None:
    line = format_line("info", "x" * ahead + character * 70_000)
    assert STASH_LIMIT - 6_000 < len(line) < STASH_LIMIT
    assert line.decode().endswith(character + " ...\n")


@given(st.sampled_from(LEVELS), st.text())
def test_whatever_is_said_is_one_line_with_one_mark(level: Level, text: str) -> None:
    line = format_line(level, text)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert line.count(b"\x01") == 1
    assert b"\r" not in line
    assert len(line) > 4
    line.decode()


@pytest.mark.parametrize(
    ("fraction", "line"),
    [
        (0.25, b"\x01p\x020.2500\n"),
        (-1, b"\x01p\x020.0000\n"),
        (7, b"\x01p\x021.0000\n"),
        (math.inf, b"\x01p\x021.0000\n"),
        (math.nan, b"\x01p\x020.0000\n"),
        (1e-30, b"\x01p\x020.0000\n"),
    ],
)
def test_progress_stays_within_the_bar(fraction: float, line: bytes) -> None:
    assert progress_line(fraction) == line
