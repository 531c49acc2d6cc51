"""What this machine can do, to stand beside every figure: matrix products and the disk."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

SIDE = 1024
DISK_MB = 256


def best_of(times: int, work: Callable[[], object]) -> float:
    """Return the shortest time in seconds that some work took."""
    spent = []
    for _ in range(times):
        begun = perf_counter()
        work()
        spent.append(perf_counter() - begun)
    return min(spent)


def matrix_rate(repeats: int = 5) -> float:
    """Return GFLOP/s of float32 matrix products of 1024 x 1024 (the best of some)."""
    one = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    return 2 * SIDE**3 / best_of(repeats, lambda: one @ one) / 1e9


def disk_rate(folder: Path | None = None) -> float:
    """Return MB/s at which 256 MB are written to a folder's disk and flushed to it."""
    chunk = os.urandom(1_000_000)
    with tempfile.NamedTemporaryFile(dir=folder) as file:

        def write() -> None:
            file.seek(0)
            for _ in range(DISK_MB):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())

        return DISK_MB / best_of(1, write)


def machine_line(folder: Path | None = None) -> str:
    """Return one line that says how fast this machine is now."""
    return (
        f"machine: {os.cpu_count()} cores, matrix product {matrix_rate():.0f} GFLOP/s, "
        f"disk {disk_rate(folder):.0f} MB/s written"
    )
