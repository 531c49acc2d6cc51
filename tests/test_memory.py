"""A sweep over a library holds no more at its end than when it had warmed up."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.library import MB, sweep_library

WARM = 50
GROWTH_BYTES = 8 * MB
"""Beyond the heap's own breathing and SQLite's cache, and less than 60 kB kept of each scene."""
SMALL = (32, 18)


@pytest.mark.torture
def test_memory_files_and_descriptors_do_not_grow_with_the_library(
    tmp_path: Path,
    rounds: Callable[[int, int], int],
    record_count: Callable[[str, int], None],
) -> None:
    scenes = rounds(200, 2000)
    measured = sweep_library(tmp_path, scenes, (WARM, scenes), SMALL, network=False)
    record_count("scenes swept for memory", scenes)
    assert measured.report["tagged"] == scenes
    assert [mark.scenes for mark in measured.marks] == [WARM, scenes]
    warm, last = measured.marks
    assert measured.growth_bytes < GROWTH_BYTES
    assert measured.peak_bytes - warm.resident_bytes < GROWTH_BYTES
    # A connection may have been opened anew; one of each batch must not stay.
    assert last.descriptors <= warm.descriptors + 2
    assert warm.temporary_files == last.temporary_files == 0
    assert measured.left == ()
    # What the facts of its 81 tiles and what became of them take.
    assert measured.store_bytes / scenes < 10_000
    # Its cues and its sheet, and a share of what is asked for many at once.
    assert measured.requests / scenes < 4
