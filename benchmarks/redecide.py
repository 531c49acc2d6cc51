"""Deciding a whole library again from the store: seconds and memory, beside what they could be.

    python -m benchmarks.redecide [--scenes 10000] [--folder DIR]

A store is made with planted scenes: 60 frames each, of 512 numbers, in which five of 200 labels
hold for one to three stretches. Then a fifth of the decisions is to be another (labels are asked
about that were written), and all is decided again in a process of its own, with nothing of the
store in memory. No network is run: the words' vectors are planted as well.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import disk_rate, matrix_rate
from stash_sense_plugin.detectors.clip import ClipDetector, ZeroShot
from stash_sense_plugin.inference.catalogue import Catalogue, HubFile, ModelCard
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.library.scenes import Decidable
from stash_sense_plugin.library.store import Store, StorePrompts
from stash_sense_plugin.pipeline.deciding import decide_all
from stash_sense_plugin.pipeline.parts import DecideScene, Parts
from stash_sense_plugin.records import (
    Decision,
    Fingerprint,
    FrameSource,
    Level,
    Observation,
    Ran,
    SceneResult,
)
from stash_sense_plugin.start.environment import clean_variables
from stash_sense_plugin.vocabulary import Label, Vocabulary

FRAMES, STEP_S = 60, 10.0
DIMENSIONS = 512
LABELS, PROMPTS, NEGATIVES = 200, 4, 3
CHANGED = LABELS // 5
"""The last labels, which the last fifth of the scenes has, are asked about the second time."""
HELD = 5
"""Labels in a scene."""
MB = 1e6


@dataclass(frozen=True, slots=True)
class Planted:
    """What is in one scene: the labels' places, and for each the frames of its stretches."""

    labels: tuple[int, ...]
    stretches: tuple[tuple[tuple[int, int], ...], ...]
    """First and last frame."""

    def spans_s(self, place: int) -> list[tuple[float, float]]:
        """Return the seconds that one of its labels holds for."""
        return [(first * STEP_S, (last + 1) * STEP_S) for first, last in self.stretches[place]]


@dataclass(frozen=True, slots=True)
class Measured:
    """One time that all was decided again."""

    scenes: int
    suggestions: int
    changed_scenes: int
    changed_decisions: int
    decide_s: float
    processor_s: float
    peak_bytes: int
    vector_bytes: int
    write_s: float
    """In which what changed was kept in the store."""

    @property
    def products(self) -> int:
        """How many floating point operations the products of frames and labels are."""
        frames = self.vector_bytes // (2 * DIMENSIONS)
        return 2 * frames * DIMENSIONS * (LABELS + NEGATIVES)


# --- Planting -----------------------------------------------------------------------------------


def planted(scene: int, scenes: int) -> Planted:
    """Return what a scene has; the last fifth of them has the labels that change."""
    chance = np.random.default_rng([scene, 1])
    first, last = (LABELS - CHANGED, LABELS) if scene >= scenes * 4 // 5 else (0, LABELS - CHANGED)
    labels = chance.choice(np.arange(first, last), HELD, replace=False)
    return Planted(tuple(int(each) for each in labels), tuple(_stretches(chance) for _ in labels))


def _stretches(chance: np.random.Generator) -> tuple[tuple[int, int], ...]:
    """Return one to three stretches, so far from each other that no gap is bridged."""
    count = int(chance.integers(1, 4))
    part = FRAMES // count
    return tuple(
        (place * part, place * part + int(chance.integers(3, part - 10))) for place in range(count)
    )


def vectors_of(scene: int, plant: Planted) -> NDArray[np.float32]:
    """Return a vector of length 1 for each frame: float32 [FRAMES, DIMENSIONS].

    A label has an axis, and so has what it competes with; the rest is noise.
    """
    chance = np.random.default_rng([scene, 2])
    words = LABELS + NEGATIVES
    vectors = chance.standard_normal((FRAMES, DIMENSIONS), dtype=np.float32)
    vectors[:, :words] *= 0.05
    vectors[:, LABELS:words] += 4.0
    for label, stretches in zip(plant.labels, plant.stretches, strict=True):
        for first, last in stretches:
            vectors[first : last + 1, label] += 5.0 + chance.random()
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, np.float32)


def vocabulary(changed: bool) -> Vocabulary:
    """Return 200 labels with 4 prompts each; some never written by itself where `changed`."""
    negatives = tuple(f"rival {each}" for each in range(NEGATIVES))
    labels = [
        Label(
            name=f"label {place}",
            tag=f"Tag {place}",
            group="planted",
            prompts=tuple(f"label {place} prompt {each}" for each in range(PROMPTS)),
            negatives=negatives,
            templates=("{}",),
            ask=0.2,
            apply=None if changed and place >= LABELS - CHANGED else 0.5,
        )
        for place in range(LABELS)
    ]
    return Vocabulary({label.name: label for label in labels})


def plant_words(store: Store, model: str) -> None:
    """Keep the vectors of all prompts, as if a text network had made them."""
    prompts = StorePrompts(store)
    axes = np.eye(LABELS + NEGATIVES, DIMENSIONS, dtype=np.float32)
    for place in range(LABELS):
        for each in range(PROMPTS):
            prompts.put(model, f"label {place} prompt {each}", axes[place])
    for each in range(NEGATIVES):
        prompts.put(model, f"rival {each}", axes[LABELS + each])


def parts_of(store: Store, folder: Path, *, changed: bool) -> Parts:
    """Return the parts of deciding, with a card whose weights are nowhere."""
    files = {
        role: HubFile(repo="planted/planted", revision="0123456789", path=role)
        for role in ("visual", "textual", "tokenizer")
    }
    card = ModelCard(
        name="planted", task="clip", about="-", licence="MIT", commercial=True, files=files
    )
    shelf = Shelf(Models(folder / "models", Catalogue({"planted": card})), 1 << 20)
    detector = ClipDetector(shelf, card)
    words = ZeroShot(shelf, card, StorePrompts(store))
    return Parts(store, vocabulary(changed), (detector,), zero_shot=words)


def plant(path: Path, scenes: int) -> None:
    """Make a store in which all scenes were looked at, decided and kept once."""
    with Store(path) as store:
        parts = parts_of(store, path.parent, changed=False)
        (detector,) = parts.detectors
        plant_words(store, detector.model)
        run = store.begin_run("sweep", {})
        known = [_look(store, scene, scenes, detector.model) for scene in range(scenes)]
        for told, file, result, digest in _decided(store, known, parts):
            _keep(store, run, told, file, result, digest)
        store.end_run(run, "done", {})


def _look(store: Store, scene: int, scenes: int, model: str) -> DecideScene:
    times = [STEP_S * (index + 0.5) for index in range(FRAMES)]
    vectors = vectors_of(scene, planted(scene, scenes))
    seen = [
        Observation(str(scene), index, times[index], "clip", model, "frame", 1.0, vector=vector)
        for index, vector in enumerate(vectors)
    ]
    file = Fingerprint(f"{scene:016x}", 1 + scene)
    ran = Ran("clip", model, "cpu", "fp32", FRAMES, 1.0)
    duration_s = FRAMES * STEP_S
    store.save_analysis(
        file, "sprites", FrameSource.SPRITE, duration_s, times, "clip", model, seen, ran
    )
    return DecideScene(
        Decidable(str(scene + 1), scene + 1, file, f"/library/{scene}.mp4", duration_s, None)
    )


# --- Deciding again -----------------------------------------------------------------------------


class Quiet:
    """A job that nobody stops or watches."""

    def log(self, level: Level, message: str) -> None:
        """Show a warning: nothing is to be left out."""
        print(f"{level}: {message}", file=sys.stderr)

    def progress(self, fraction: float) -> None:
        """Tell nobody."""

    def check(self) -> None:
        """Go on."""


def _decided(
    store: Store, scenes: Sequence[DecideScene], parts: Parts
) -> Iterator[tuple[str, Fingerprint, SceneResult, bytes]]:
    for scene, result, digest in decide_all(store, scenes, parts, Quiet()):
        yield scene.known.scene_id, scene.known.fingerprint, result, digest


def _keep(
    store: Store, run: str, scene: str, file: Fingerprint, result: SceneResult, digest: bytes
) -> None:
    store.save_result(
        run, scene, file, result.as_json(), suggestions=result.suggestions, decided=digest,
        keep_undone=True,
    )  # fmt: skip


def known_scenes(store: Store) -> Iterator[DecideScene]:
    """Return all scenes that can be decided again, page by page."""
    after = ""
    while page := store.decidable(after):
        yield from map(DecideScene, page)
        after = page[-1].scene_id


def measure(path: Path) -> Measured:
    """Decide all again with the changed vocabulary, then keep what changed."""
    begun, cpu = perf_counter(), _processor_s()
    changed: list[tuple[str, Fingerprint, SceneResult, bytes]] = []
    scenes = suggestions = 0
    with Store(path) as store:
        parts = parts_of(store, path.parent, changed=True)
        for scene, result, digest in decide_all(store, known_scenes(store), parts, Quiet()):
            scenes += 1
            suggestions += len(result.suggestions)
            if digest != scene.known.decided:
                known = scene.known
                changed.append((known.scene_id, known.fingerprint, result, digest))
        decide_s, processor_s = perf_counter() - begun, _processor_s() - cpu
        begun = perf_counter()
        run = store.begin_run("decide", {})
        for each in changed:
            _keep(store, run, *each)
        store.end_run(run, "done", {})
        write_s = perf_counter() - begun
        with store.read() as db:
            vector_bytes = db.execute("SELECT sum(length(float16)) FROM embeddings").fetchone()[0]
    asked = sum(
        each.decision is Decision.ASK for _, _, result, _ in changed for each in result.suggestions
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Measured(
        scenes, suggestions, len(changed), asked, decide_s, processor_s, peak, vector_bytes, write_s
    )


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured_apart(path: Path) -> Measured:
    """Measure in a process of its own, as the worker is started, with a cold store."""
    forget(path)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.redecide", "--measure", str(path)],
        check=True,
        stdout=subprocess.PIPE,
        env=clean_variables(),
        cwd=Path(__file__).resolve().parent.parent,
    )
    return Measured(**json.loads(done.stdout))


def forget(path: Path) -> None:
    """Let the system drop a file that it holds in memory, where it can be asked to."""
    if not hasattr(os, "posix_fadvise"):
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_rate(path: Path) -> float:
    """Return MB/s at which a file is read that is not in memory."""
    forget(path)
    begun = perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 22):
            pass
    return path.stat().st_size / MB / (perf_counter() - begun)


def lines(found: Measured, flops: float, read_mb: float, written_mb: float) -> Iterator[str]:
    """Say what was measured, and what the machine's rates alone would need (GFLOP/s, MB/s)."""
    product_s = found.products / 1e9 / flops
    disk_s = found.vector_bytes / MB / read_mb
    yield (
        f"machine: {os.cpu_count()} cores, matrix product {flops:.0f} GFLOP/s, disk"
        f" {read_mb:.0f} MB/s read, {written_mb:.0f} MB/s written"
    )
    yield (
        f"{found.scenes} scenes x {FRAMES} frames x {DIMENSIONS}, {LABELS} labels x {PROMPTS}"
        f" prompts: {found.suggestions} suggestions"
    )
    yield (
        f"decided in {found.decide_s:.2f} s ({found.processor_s:.2f} s of processor time),"
        f" peak {found.peak_bytes / MB:.0f} MB resident"
    )
    yield (
        f"of it the matrix product at that rate: {product_s:.2f} s"
        f" ({product_s / found.decide_s:.0%}); reading {found.vector_bytes / MB:.0f} MB at that"
        f" rate: {disk_s:.2f} s ({disk_s / found.decide_s:.0%})"
    )
    yield (
        f"changed: {found.changed_decisions} decisions in {found.changed_scenes} scenes;"
        f" kept in the store in {found.write_s:.2f} s"
    )


def main() -> None:
    """Plant, decide again, print."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--scenes", type=int, default=10_000)
    asked.add_argument("--folder", type=Path, help="where the store is made; else a temporary one")
    asked.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.measure:
        print(json.dumps(asdict(measure(given.measure))))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "store.sqlite"
        begun = perf_counter()
        plant(path, given.scenes)
        print(f"planted in {perf_counter() - begun:.0f} s, {path.stat().st_size / MB:.0f} MB")
        found = measured_apart(path)
        rates = matrix_rate(), read_rate(path), disk_rate(path.parent)
        print("\n".join(lines(found, *rates)))


if __name__ == "__main__":
    main()
