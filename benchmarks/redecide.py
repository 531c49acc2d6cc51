"""Deciding a whole library again from the store: seconds and memory, beside what they could be.

    python -m benchmarks.redecide [--scenes 10000] [--folder DIR]

A store is made with planted scenes: 60 frames each, of 512 numbers, in which five of 200 labels
hold for one to three stretches. The first 60 labels are seen by an object network too, whose boxes
lie in the store with others that are too faint: the two are weighed together. Then the user's
vocabulary lets the last fifth of the labels be written that was asked about, and all is decided
again in a process of its own, with nothing of the store in memory. Last, the task Decide again does
the same and writes what differs to a stand-in Stash. No network is run: the words' vectors are
planted as well.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.machine import disk_rate, matrix_rate
from benchmarks.served import ROOT, served
from stash_sense_plugin.library.scenes import Decidable
from stash_sense_plugin.library.store import Store, StorePrompts
from stash_sense_plugin.pipeline.deciding import decide_all
from stash_sense_plugin.pipeline.parts import DecideScene, Parts
from stash_sense_plugin.records import (
    Box,
    Decision,
    Fingerprint,
    FrameSource,
    Level,
    Observation,
    Ran,
)
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.start.environment import clean_variables
from stash_sense_plugin.tasks import MODES, Call, Engine
from stash_sense_plugin.tasks.differing import decided_by
from stash_sense_plugin.tasks.engine import plugin_id
from stash_sense_plugin.tasks.looking import Looker
from stash_sense_plugin.vocabulary import WORD_LISTS, load_vocabulary

FRAMES, STEP_S = 60, 10.0
DIMENSIONS = 512
LABELS, PROMPTS, NEGATIVES = 200, 4, 3
CHANGED = LABELS // 5
"""The last labels, which the last fifth of the scenes has, are written only the second time."""
HELD = 5
"""Labels in a scene."""
DOUBLY = 60
"""The first labels, which have a second source."""
FAINT = 40
"""Boxes in a scene that are too faint for any label."""
ALONE: Final[dict[str, Any]] = {
    "clip_model": "clip-vit-b32",
    "object_model": "yolox-s",
    **{f"skip_{each}": True for each in ("acts", "text", "facts", "quality")},
}
"""Settings: the labels that are seen by prompts and by objects are all there is."""
WORDS = sorted(f"coco/{word}" for word in WORD_LISTS["coco"])
OURS = ROOT / "models" / "vocabulary.yaml"
STORE = "store.sqlite"
TILE = (16, 16)
"""Of sprite sheets that nobody reads."""
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
class Decided:
    """One time that all was decided again, and nothing written."""

    scenes: int
    suggestions: int
    changed_scenes: int
    changed_decisions: int
    seconds: float
    processor_s: float
    peak_bytes: int
    vector_bytes: int

    @property
    def products(self) -> int:
        """How many floating point operations the products of frames and labels are."""
        frames = self.vector_bytes // (2 * DIMENSIONS)
        return 2 * frames * DIMENSIONS * (LABELS + NEGATIVES)


@dataclass(frozen=True, slots=True)
class Written:
    """The task, from its start to its end: what it wrote, and what it asked of Stash."""

    scenes: int
    changed: int
    written: Mapping[str, int]
    seconds: float
    processor_s: float
    requests: int
    peak_bytes: int


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


def write_vocabulary(home: Path, *, changed: bool) -> None:
    """Write a user's file with these labels alone; `changed` lets all of them be written."""
    shipped = load_vocabulary(OURS)
    group = {
        "templates": ["{}"],
        "negatives": [f"rival {each}" for each in range(NEGATIVES)],
        "ask": 0.2,
        "apply": 0.5,
    }
    last = {} if changed else {"apply": "never"}
    labels: dict[str, dict[str, object]] = {
        label.thing: {"remove": True} for label in shipped.labels.values()
    }
    for place in range(LABELS):
        prompts = [f"label {place} prompt {each}" for each in range(PROMPTS)]
        labels[f"label {place}"] = {
            "group": "planted",
            "tag": f"Tag {place}",
            "prompts": prompts,
            **({"classes": [WORDS[place]]} if place < DOUBLY else {}),
            **(last if place >= LABELS - CHANGED else {}),
        }
    said = {"groups": {"planted": group}, "labels": labels}
    (home / "vocabulary.yaml").write_text(yaml.safe_dump(said), "utf-8")


def plant_words(store: Store, model: str) -> None:
    """Keep the vectors of all prompts, as if a text network had made them."""
    prompts = StorePrompts(store)
    axes = np.eye(LABELS + NEGATIVES, DIMENSIONS, dtype=np.float32)
    for place in range(LABELS):
        for each in range(PROMPTS):
            prompts.put(model, f"label {place} prompt {each}", axes[place])
    for each in range(NEGATIVES):
        prompts.put(model, f"rival {each}", axes[LABELS + each])


@contextmanager
def opened(home: Path) -> Iterator[Engine]:
    """Open the library's parts as the worker does, with the settings that are planted for."""
    engine = Engine(home, ROOT / "stash_sense_plugin")
    engine.settings = replace(Settings(), **ALONE)
    try:
        yield engine
    finally:
        engine.close()


def parts_of(engine: Engine) -> Parts:
    """Return the parts of deciding; the weights are nowhere."""
    return Looker(engine, Quiet(), None, (), engine.settings).parts()


def plant(home: Path, scenes: int) -> None:
    """Make a store in which all scenes were looked at, decided and kept once."""
    write_vocabulary(home, changed=False)
    with opened(home) as engine:
        store, parts = engine.store, parts_of(engine)
        clip, boxes = _models(parts)
        plant_words(store, clip)
        run = store.begin_run("sweep", {})
        known = [_look(store, scene, scenes, clip, boxes) for scene in range(scenes)]
        for scene, result, _ in decide_all(store, known, parts, Quiet()):
            store.save_result(
                run,
                scene.known.scene_id,
                scene.known.fingerprint,
                result.as_json(),
                suggestions=result.suggestions,
                decided=decided_by(result, engine.settings),
            )
        store.end_run(run, "done", {})
    write_vocabulary(home, changed=True)


def _models(parts: Parts) -> tuple[str, str]:
    """Return the models whose looks are planted: of CLIP, and of the network that sees COCO."""
    models = [each.model for each in parts.detectors]
    clip = next(each.model for each in parts.detectors if each.name == "clip")
    return clip, next(each for each in models if each.startswith(f"{ALONE['object_model']}@"))


def boxes_of(scene: int, plant: Planted, model: str) -> list[Observation]:
    """Return what the object network saw: the labels that it knows, and much that is faint."""
    chance = np.random.default_rng([scene, 3])
    seen = [
        (index, WORDS[label], 0.6 + 0.4 * chance.random())
        for label, stretches in zip(plant.labels, plant.stretches, strict=True)
        if label < DOUBLY
        for first, last in stretches
        for index in range(first, last + 1)
    ]
    places = chance.integers(0, (FRAMES, len(WORDS)), (FAINT, 2)).tolist()
    seen += [(index, WORDS[word], 0.25) for index, word in places]
    box = Box(0.25, 0.25, 0.5, 0.5)
    return [
        Observation(str(scene), index, _time_s(index), "objects", model, word, score, box)
        for index, word, score in sorted(seen)
    ]


def _time_s(index: int) -> float:
    return STEP_S * (index + 0.5)


def _look(store: Store, scene: int, scenes: int, clip: str, boxes: str) -> DecideScene:
    times = [_time_s(index) for index in range(FRAMES)]
    plant = planted(scene, scenes)
    vectors = [
        Observation(str(scene), index, times[index], "clip", clip, "frame", 1.0, vector=vector)
        for index, vector in enumerate(vectors_of(scene, plant))
    ]
    file = Fingerprint(f"{scene + 1:016x}", 1 + scene)
    duration_s = FRAMES * STEP_S
    for name, model, seen in (
        ("clip", clip, vectors),
        ("objects", boxes, boxes_of(scene, plant, boxes)),
    ):
        ran = Ran(name, model, "cpu", "fp32", FRAMES, 1.0)
        store.save_analysis(
            file, "sprites", FrameSource.SPRITE, duration_s, times, name, model, seen, ran
        )
    return DecideScene(
        Decidable(str(scene + 1), scene + 1, file, f"/library/{scene}.mp4", duration_s, None)
    )


# --- Deciding again -----------------------------------------------------------------------------


class Quiet:
    """A job that nobody stops or watches."""

    def log(self, level: Level, message: str) -> None:
        """Show what should not be: nothing is to be left out."""
        if level in ("warning", "error"):
            print(f"{level}: {message}", file=sys.stderr)

    def progress(self, fraction: float) -> None:
        """Tell nobody."""

    def check(self) -> None:
        """Go on."""


def known_scenes(store: Store) -> Iterator[DecideScene]:
    """Return all scenes that can be decided again, page by page."""
    after = ""
    while page := store.decidable(after):
        yield from map(DecideScene, page)
        after = page[-1].scene_id


def measure(home: Path) -> Decided:
    """Decide all again with the changed vocabulary, and count what differs."""
    begun, cpu = perf_counter(), _processor_s()
    scenes = suggestions = changed = written = 0
    with opened(home) as engine:
        store, parts = engine.store, parts_of(engine)
        for scene, result, _ in decide_all(store, known_scenes(store), parts, Quiet()):
            scenes += 1
            suggestions += len(result.suggestions)
            if decided_by(result, engine.settings) != scene.known.decided:
                changed += 1
                written += sum(each.decision is Decision.APPLY for each in result.suggestions)
        seconds, processor_s = perf_counter() - begun, _processor_s() - cpu
        with store.read() as db:
            vector_bytes = db.execute("SELECT sum(length(float16)) FROM embeddings").fetchone()[0]
    return Decided(
        scenes, suggestions, changed, written, seconds, processor_s, _peak_bytes(), vector_bytes
    )


def write(home: Path, scenes: int) -> Written:
    """Let the task decide all again, and write what differs to a stand-in Stash."""
    with served(home / "served", scenes, TILE, plugin_id(ROOT), ALONE) as stash:
        begun, cpu, before = perf_counter(), _processor_s(), stash.requests()
        engine = Engine(home, ROOT / "stash_sense_plugin")
        try:
            server = stash.connection | {"PluginDir": str(ROOT)}
            report = MODES["decide"].run(engine, Call({}, server), Quiet())
        finally:
            engine.close()
        assert isinstance(report, dict)
        seconds, processor_s = perf_counter() - begun, _processor_s() - cpu
        asked = stash.requests() - before
    return Written(
        report["scenes"], report["changed"], report["written"], seconds, processor_s, asked,
        _peak_bytes(),
    )  # fmt: skip


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def apart(home: Path, *asked: str) -> dict[str, Any]:
    """Measure in a process of its own, started as the worker is, with a cold store."""
    forget(home / STORE)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.redecide", "--home", str(home), *asked],
        check=True,
        stdout=subprocess.PIPE,
        env=clean_variables(),
        cwd=ROOT,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


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


def decided_lines(found: Decided, flops: float, read_mb: float, written_mb: float) -> Iterator[str]:
    """Say what was measured, and what the machine's rates alone would need (GFLOP/s, MB/s)."""
    product_s = found.products / 1e9 / flops
    disk_s = found.vector_bytes / MB / read_mb
    yield (
        f"machine: {os.cpu_count()} cores, matrix product {flops:.0f} GFLOP/s, disk"
        f" {read_mb:.0f} MB/s read, {written_mb:.0f} MB/s written"
    )
    yield (
        f"{found.scenes} scenes x {FRAMES} frames x {DIMENSIONS}, {LABELS} labels x {PROMPTS}"
        f" prompts, {DOUBLY} of them seen as objects too: {found.suggestions} suggestions, of which"
        f" {found.changed_decisions} changed in {found.changed_scenes} scenes"
    )
    yield (
        f"decided in {found.seconds:.2f} s ({found.processor_s:.2f} s of processor time),"
        f" peak {found.peak_bytes / MB:.0f} MB resident"
    )
    yield (
        f"of it the matrix product at that rate: {product_s:.2f} s"
        f" ({product_s / found.seconds:.0%}); reading {found.vector_bytes / MB:.0f} MB at that"
        f" rate: {disk_s:.2f} s ({disk_s / found.seconds:.0%})"
    )


def written_line(found: Written) -> str:
    """Say what the whole task took, with what it wrote."""
    told = ", ".join(f"{count} {what}" for what, count in found.written.items() if count)
    return (
        f"the task, which writes what differs: {found.seconds:.2f} s ({found.processor_s:.2f} s of"
        f" processor time), {found.changed} of {found.scenes} scenes changed ({told}),"
        f" {found.requests} requests to Stash, peak {found.peak_bytes / MB:.0f} MB resident"
    )


def main() -> None:
    """Plant, decide again, write, print."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--scenes", type=int, default=10_000)
    asked.add_argument("--folder", type=Path, help="where the store is made; else a temporary one")
    asked.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    asked.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.home:
        one = write(given.home, given.scenes) if given.write else measure(given.home)
        print(json.dumps(asdict(one)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        home = Path(folder)
        begun = perf_counter()
        plant(home, given.scenes)
        size_mb = (home / STORE).stat().st_size / MB
        print(f"planted in {perf_counter() - begun:.0f} s, {size_mb:.0f} MB", flush=True)
        found = Decided(**apart(home))
        rates = matrix_rate(), read_rate(home / STORE), disk_rate(home)
        print("\n".join(decided_lines(found, *rates)), flush=True)
        print(written_line(Written(**apart(home, "--write", "--scenes", str(given.scenes)))))


if __name__ == "__main__":
    main()
