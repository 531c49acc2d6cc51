"""The worker's log, as whoever opens it in a terminal reads it."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stash_sense_plugin.worker.log import log_to

FORGED = (
    "a.mp4\n2026-01-01 00:00:00,000 ERROR Your disk is full\r\x1b[2J\x1b]0;title\x07\u202e\udcff"
)


@dataclass(frozen=True)
class Log:
    """The file, and what writes it: pytest's own handlers would not bear such names."""

    file: Path
    handler: logging.Handler

    def write(self, message: str, *args: object, raised: bool = False) -> list[str]:
        exc_info = sys.exc_info() if raised else None
        record = logging.LogRecord("x", logging.INFO, __file__, 1, message, args, exc_info)
        self.handler.handle(record)
        return self.file.read_text("utf-8").splitlines()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    root = logging.getLogger()
    level = root.level
    handler = log_to(str(tmp_path / "worker.log"))
    yield Log(tmp_path / "worker.log", handler)
    root.removeHandler(handler)
    root.setLevel(level)
    handler.close()


def test_a_message_is_one_line_without_control_characters(log: Log) -> None:
    (line,) = log.write("Looking at %s", FORGED)
    assert " INFO Looking at a.mp4 2026-01-01" in line
    assert line.isprintable()


def test_a_traceback_keeps_its_lines_below_the_message(log: Log) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        first, *below = log.write("Failed", raised=True)
    assert first.endswith(" INFO Failed")
    assert "    Traceback (most recent call last):" in below
    assert any("Your disk is full" in line for line in below)
    assert all(line.startswith("    ") and line.isprintable() for line in below)
