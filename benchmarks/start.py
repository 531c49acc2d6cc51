"""What a door costs: bare Python, the door to a warm worker, and a worker started cold.

The answering worker runs an operation of the plugin itself that does next to nothing. Prints the
best and the median of many runs, and the difference that is the door's own time.
Run it as `python -m benchmarks.start` with a Python that has the packages; the door itself runs
on that Python's own interpreter, or on the one named by --door.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil

from benchmarks.machine import machine_line

ROOT = Path(__file__).resolve().parent.parent
DOOR = ROOT / "stash_sense_plugin" / "__main__.py"
LIMIT_MS = 15.0
"""What a warm door may take over bare Python."""


def main() -> int:
    """Measure, print, and fail where the door is slower than it may be."""
    asked = _options()
    print(machine_line())
    with tempfile.TemporaryDirectory(prefix="ss-") as folder:
        bench = Bench(Path(folder), asked.door)
        try:
            cold_ms = [bench.cold() for _ in range(asked.cold)]
            # Taken in turns, so that a slow moment of the machine meets both.
            pairs = [(bench.bare(), bench.warm()) for _ in range(asked.warm)]
        finally:
            bench.end_worker()
    bare_ms, warm_ms = ([pair[side] for pair in pairs] for side in (0, 1))
    own_ms = median(warm - bare for bare, warm in pairs)
    print(_row("bare python -S", bare_ms))
    print(_row("door, worker warm", warm_ms))
    print(_row("door, worker cold", cold_ms))
    print(f"the door's own time: {own_ms:.1f} ms (at most {LIMIT_MS:.0f})")
    print(f"cold / warm: {median(cold_ms) / median(warm_ms):.0f}")
    return 0 if own_ms <= LIMIT_MS else 1


class Bench:
    """One Stash configuration folder, with doors to it."""

    def __init__(self, folder: Path, door: str) -> None:
        self._home = folder / "stash-sense"
        self._door = door
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        server = {"Scheme": "http", "Host": "127.0.0.1", "Port": 9, "Dir": str(folder)}
        # `jobs` is answered by the worker itself: what is measured is the way there and back.
        self._document = json.dumps(
            {"server_connection": server, "args": {"mode": "jobs"}}
        ).encode()
        self._variables = {
            "PATH": os.environ["PATH"],
            "XDG_RUNTIME_DIR": str(runtime),
            "STASH_SENSE_PYTHON": sys.executable,
        }

    def bare(self) -> float:
        """Return the milliseconds of a Python that does nothing."""
        return self._time([self._door, "-S", "-c", ""])[0]

    def warm(self) -> float:
        """Return the milliseconds of a door to a worker that answers."""
        spent_ms, told = self._time([self._door, "-S", str(DOOR)])
        reply = json.loads(told)
        if "output" not in reply:
            raise SystemExit(f"The door failed: {reply}")
        return spent_ms

    def cold(self) -> float:
        """Return the milliseconds of a door that finds no worker and starts one."""
        self.end_worker()
        return self.warm()

    def end_worker(self) -> None:
        """End the worker of this folder, if there is one."""
        card = self._home / "worker.json"
        if not card.exists():
            return
        worker = psutil.Process(json.loads(card.read_text())["pid"])
        worker.terminate()
        worker.wait(60)

    def _time(self, argv: list[str]) -> tuple[float, bytes]:
        begun = time.perf_counter()
        told = subprocess.run(
            argv, input=self._document, capture_output=True, check=True, env=self._variables
        )
        return (time.perf_counter() - begun) * 1000, told.stdout


def _row(name: str, spent_ms: list[float]) -> str:
    return f"{name:<20} best {min(spent_ms):7.1f} ms   median {median(spent_ms):7.1f} ms"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    real = getattr(sys, "_base_executable", None) or sys.executable
    parser.add_argument("--door", default=real, help="the Python that runs the door")
    parser.add_argument("--warm", type=int, default=100, help="warm runs")
    parser.add_argument("--cold", type=int, default=3, help="cold runs")
    asked = parser.parse_args()
    if shutil.which(asked.door) is None:
        parser.error(f"there is no Python at {asked.door}")
    return asked


if __name__ == "__main__":
    sys.exit(main())
