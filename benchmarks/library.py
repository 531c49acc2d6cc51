"""The real sweep over a whole library: what the process holds meanwhile, what Stash is asked."""

import resource
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil

from benchmarks.served import ROOT, Served, served
from benchmarks.sheets import TILE
from stash_sense_plugin.records import Level
from stash_sense_plugin.tasks import MODES, Call, Engine
from stash_sense_plugin.tasks.engine import plugin_id

MARKS = (100, 200, 500, 1000)
"""Scenes after which is looked how much is held."""
MODEL = "random"
ALONE = {"skip_acts": True, "skip_objects": True, "skip_quality": True, "skip_text": True}
NO_NETWORK = {**ALONE, "skip_labels": True}
CLIP_ALONE = {**ALONE, "clip_model": MODEL}
MB = 1e6


@dataclass(frozen=True, slots=True)
class Mark:
    """What our process held after so many scenes."""

    scenes: int
    resident_bytes: int
    descriptors: int
    temporary_files: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One sweep over a library."""

    scenes: int
    report: Mapping[str, object]
    marks: tuple[Mark, ...]
    peak_bytes: int
    """The greatest of what was held whenever the sweep asked whether to stop."""
    seconds: float
    requests: int
    fields: Mapping[str, int]
    store_bytes: int
    left: tuple[str, ...]
    """Temporary files that were there at the end."""

    @property
    def growth_bytes(self) -> int:
        """By how much more was held at the last mark than at the first."""
        return self.marks[-1].resident_bytes - self.marks[0].resident_bytes

    @property
    def ratio(self) -> float:
        """What was held at the last mark, by what was held at the first."""
        return self.marks[-1].resident_bytes / self.marks[0].resident_bytes


def sweep_library(
    folder: Path,
    scenes: int,
    marks: Sequence[int],
    tile: tuple[int, int] = TILE,
    *,
    network: bool,
) -> Measured:
    """Tag a library of so many scenes; `network` gives every tile a vector and fits words to it.

    Without it the facts of the picture alone are looked for, which takes milliseconds a scene.
    """
    home, temporary = folder / "home", folder / "temporary"
    home.mkdir()
    temporary.mkdir()
    if network:
        from benchmarks.pooled import write_model  # needs onnx, which only the tools have

        write_model(home, MODEL)
    settings = CLIP_ALONE if network else NO_NETWORK
    with (
        served(folder / "served", scenes, tile, plugin_id(ROOT), settings) as stash,
        _temporary_files_in(temporary),
    ):
        return _sweep(home, temporary, scenes, marks, stash)


def _sweep(
    home: Path, temporary: Path, scenes: int, marks: Sequence[int], stash: Served
) -> Measured:
    watch = _Watch(scenes, marks, temporary)
    before, begun_s = stash.requests(), perf_counter()
    engine = Engine(home, ROOT / "stash_sense_plugin")
    try:
        server = stash.connection | {"PluginDir": str(ROOT)}
        report = MODES["tag_scenes"].run(engine, Call({}, server), watch)
    finally:
        engine.close()
    assert isinstance(report, dict)
    return Measured(
        scenes=scenes,
        report=report,
        marks=tuple(watch.marks),
        peak_bytes=watch.peak_bytes,
        seconds=perf_counter() - begun_s,
        requests=stash.requests() - before,
        fields=stash.fields(),
        store_bytes=sum(path.stat().st_size for path in home.glob("store.sqlite*")),
        left=tuple(sorted(path.name for path in temporary.rglob("*"))),
    )


class _Watch:
    """A job that nobody stops, and that looks at its own process."""

    def __init__(self, scenes: int, marks: Sequence[int], temporary: Path) -> None:
        self.marks: list[Mark] = []
        self.peak_bytes = 0
        self._scenes = scenes
        self._due = sorted(marks)
        self._temporary = temporary
        self._process = psutil.Process()

    def log(self, level: Level, message: str) -> None:
        """Nobody reads it."""

    def progress(self, fraction: float) -> None:
        """Look at the process where a mark is reached."""
        done = round(fraction * self._scenes)
        while self._due and done >= self._due[0]:
            files = sum(1 for _ in self._temporary.rglob("*"))
            descriptors = self._process.num_fds()
            self.marks.append(Mark(self._due.pop(0), self._resident(), descriptors, files))

    def check(self) -> None:
        """Look at what is held."""
        self._resident()

    def _resident(self) -> int:
        held: int = self._process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, held)
        return held


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


# --- What is printed ----------------------------------------------------------------------------


def told(measured: Measured) -> Iterator[str]:
    """Yield what was measured, a line each."""
    scenes = measured.scenes
    report = measured.report
    yield f"{scenes} scenes in {measured.seconds:.0f} s: {report['tagged']} tagged"
    for mark in measured.marks:
        yield (
            f"after {mark.scenes:5} scenes {mark.resident_bytes / MB:7.1f} MB resident,"
            f" {mark.descriptors} file descriptors, {mark.temporary_files} temporary files"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    yield f"resident, last by first {measured.ratio:.3f}; peak {peak / MB:.1f} MB"
    yield f"temporary files left: {', '.join(measured.left) or 'none'}"
    asked = sum(measured.fields.values())
    yield (
        f"requests to Stash per hundred scenes: {measured.requests * 100 / scenes:.1f}"
        f" (fields of GraphQL {asked * 100 / scenes:.1f})"
    )
    often = sorted(measured.fields.items(), key=lambda item: -item[1])[:6]
    yield "  " + ", ".join(f"{name} {count * 100 / scenes:.1f}" for name, count in often)
    yield f"store: {measured.store_bytes / scenes / 1000:.1f} kB a scene"
