"""A sweep over a library holds no more at its end than when it had warmed up."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.library import MB, Measured
from tests.sweep_kit import ROOT

WARM = 30
GROWTH_BYTES = 8 * MB
"""Beyond the heap's own breathing and SQLite's cache; of 2,000 scenes it is 4 kB kept of each."""

SWEEP = """
import pickle, sys
from pathlib import Path
from benchmarks.library import sweep_library
folder, warm, scenes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
measured = sweep_library(folder, scenes, (warm, scenes), (32, 18), network=False)
sys.stdout.buffer.write(pickle.dumps(measured))
"""


def swept(folder: Path, scenes: int) -> Measured:
    """Sweep a library in a process of its own: what other tests left is not counted."""
    words = [sys.executable, "-c", SWEEP, str(folder), str(WARM), str(scenes)]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)
    assert told.returncode == 0, told.stderr.decode()
    measured = pickle.loads(told.stdout)
    assert isinstance(measured, Measured)
    return measured


@pytest.mark.torture
def test_memory_files_and_descriptors_do_not_grow_with_the_library(
    tmp_path: Path,
    rounds: Callable[[int, int], int],
    record_count: Callable[[str, int], None],
) -> None:
    scenes = rounds(80, 2000)
    measured = swept(tmp_path, scenes)
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
