"""The worker's log, as whoever opens it in a terminal reads it."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from stash_sense_plugin.worker.log import log_to

FORGED = (
    "a.mp4\n2026-01-01 00:00:00,000 ERROR Your disk is full\r\x1b[2J\x1b]0;title\x07\u202e\udcff"
)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    level = root.level
    handler = log_to(str(tmp_path / "worker.log"))
    yield tmp_path / "worker.log"
    root.removeHandler(handler)
    root.setLevel(level)
    handler.close()


def test_a_message_is_one_line_without_control_characters(file: Path) -> None:
    logging.getLogger("x").info("Looking at %s", FORGED)
    (line,) = file.read_text("utf-8").splitlines()
    assert " INFO Looking at a.mp4 2026-01-01" in line
    assert line.isprintable()


def test_a_traceback_keeps_its_lines_below_the_message(file: Path) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger("x").warning("Failed", exc_info=True)
    first, *below = file.read_text("utf-8").splitlines()
    assert first.endswith(" WARNING Failed")
    assert "    Traceback (most recent call last):" in below
    assert any("Your disk is full" in line for line in below)
    assert all(line.startswith("    ") and line.isprintable() for line in below)
