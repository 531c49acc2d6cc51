"""The flow over sprite scenes against the bare network, which is given its arrays ready-made.

    python -m benchmarks.flow [--scenes 100] [--threads N]
    python -m benchmarks.flow --library 1000

The network has ViT-B/32's shape and random weights. The flow decodes each scene's sheet, cuts and
prepares its 81 tiles, runs the network, stores what was seen and decides by our vocabulary. The
bare session gets float32 arrays of the same frames in the same batches. Both take turns, scene by
scene, in one run. The goal is a ratio of 0.8. Needs the package onnx (requirements-dev.txt).

With --library the task Tag scenes goes over so many scenes of a stand-in Stash, and the process's
memory, what it leaves behind and what it asks of Stash are printed; its network costs nothing.
"""

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.library import MARKS, sweep_library, told
from benchmarks.machine import machine_line
from benchmarks.sheets import GRID, STEP_S, sheet, vtt
from benchmarks.vit import VECTOR, write_vit
from stash_sense_plugin.detectors.clip import ClipDetector, ZeroShot, preprocess
from stash_sense_plugin.detectors.picture import PictureDetector
from stash_sense_plugin.errors import MediaMissing
from stash_sense_plugin.inference.catalogue import Catalogue, LocalFile, ModelCard
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.media.sampling import SceneMedia
from stash_sense_plugin.media.sprites import sprite_sampling
from stash_sense_plugin.pipeline.looking import look_at
from stash_sense_plugin.pipeline.parts import Parts
from stash_sense_plugin.records import Fingerprint, Level, Scene
from stash_sense_plugin.vocabulary import load_vocabulary

ROOT = Path(__file__).resolve().parent.parent
GOAL = 0.8
BATCH = 8
"""Frames that both hand over at a time; the flow begins with two, to hear a stop early."""
SHEET, VTT = "/sprite.jpg", "/thumbs.vtt"
VTT_TEXT = vtt()

Floats = NDArray[np.float32]


def main() -> int:
    """Measure and print; 1 where the goal was missed, 2 without onnx."""
    options = _options()
    if importlib.util.find_spec("onnx") is None:
        print("The package onnx is missing: pip install -r requirements-dev.txt", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(dir=options.keep) as folder:
        print(machine_line(Path(folder)))
        if options.library:
            return _library(Path(folder), options.library)
        ratio = _compare(Path(folder), options.scenes, options.threads)
    return 0 if ratio >= GOAL else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=100, help="scenes of 81 tiles each (100)")
    parser.add_argument("--threads", type=int, default=None, help="threads of the network (all)")
    parser.add_argument("--library", type=int, default=0, help="scenes of a library to sweep over")
    parser.add_argument("--keep", type=Path, default=None, help="where to put files (tmp)")
    return parser.parse_args()


def _library(folder: Path, scenes: int) -> int:
    """Tag a library and print what that took; 1 where a scene was not tagged."""
    marks = [*(mark for mark in MARKS if mark < scenes), scenes]
    measured = sweep_library(folder, scenes, marks, network=True)
    for line in told(measured):
        print(line)
    return 0 if measured.report["tagged"] == scenes else 1


def _compare(folder: Path, scenes: int, threads: int | None) -> float:
    card = _card(folder)
    flow_s, bare_s, of_flow_s = [], [], []
    with Store(folder / "store.sqlite") as store, _shelf(folder, card, threads) as shelf:
        parts = _parts(store, shelf, card)
        _one_scene(-1, sheet(-1), parts)
        for number in range(scenes):
            pictures = sheet(number)
            batches = _batches(pictures, card)
            begun_s = perf_counter()
            ran_s = _one_scene(number, pictures, parts)
            flow_s.append(perf_counter() - begun_s)
            of_flow_s.append(ran_s)
            bare_s.append(_bare(shelf, card, batches))
        analyses = store.stats().analyses
    return _told(scenes, flow_s, bare_s, of_flow_s, analyses)


def _told(
    scenes: int,
    flow_s: Sequence[float],
    bare_s: Sequence[float],
    of_flow_s: Sequence[float],
    analyses: int,
) -> float:
    frames = scenes * GRID * GRID
    ratio = sum(bare_s) / sum(flow_s)
    by_scene = [bare / flow for bare, flow in zip(bare_s, flow_s, strict=True)]
    print(f"{scenes} scenes of {GRID * GRID} tiles, {analyses} looks stored")
    print(f"bare network  {frames / sum(bare_s):8.1f} frames/s")
    print(f"whole flow    {frames / sum(flow_s):8.1f} frames/s")
    rest_s = (sum(flow_s) - sum(of_flow_s)) / scenes
    print(f"the flow's own time beside its detectors: {rest_s * 1000:.1f} ms a scene")
    print(f"ratio         {ratio:8.3f} (goal {GOAL}; median of scenes {median(by_scene):.3f})")
    return ratio


# --- The flow -----------------------------------------------------------------------------------


class _Quiet:
    """A job that nobody stops."""

    def log(self, level: Level, message: str) -> None:
        pass

    def progress(self, fraction: float) -> None:
        pass

    def check(self) -> None:
        pass


@dataclass
class _Directions:
    """A vector for every text: words cost the same whatever they mean."""

    known: dict[str, Floats] = field(default_factory=dict)

    def get(self, model: str, text: str) -> Floats | None:
        """Return the text's direction."""
        if text not in self.known:
            rng = np.random.default_rng(len(self.known))
            vector = rng.standard_normal(VECTOR, np.float32)
            self.known[text] = vector / np.linalg.norm(vector)
        return self.known[text]

    def put(self, model: str, text: str, vector: Floats) -> None:
        """Nothing is ever new."""


def _card(folder: Path) -> ModelCard:
    path = folder / "visual.onnx"
    parameters = write_vit(path)
    print(f"network: ViT-B/32's shape, {parameters / 1e6:.1f} million random parameters")
    files = {role: LocalFile(path=str(path)) for role in ("visual", "textual", "tokenizer")}
    return ModelCard(
        name="random", task="clip", about="", licence="none", commercial=True, files=files
    )


def _shelf(folder: Path, card: ModelCard, threads: int | None) -> Shelf:
    return Shelf(Models(folder / "models", Catalogue({card.name: card})), 1 << 32, threads)


def _parts(store: Store, shelf: Shelf, card: ModelCard) -> Parts:
    return Parts(
        store=store,
        vocabulary=load_vocabulary(ROOT / "models" / "vocabulary.yaml"),
        detectors=(ClipDetector(shelf, card, BATCH), PictureDetector()),
        zero_shot=ZeroShot(shelf, card, _Directions()),
    )


def _one_scene(number: int, pictures: bytes, parts: Parts) -> float:
    """Let the flow look at a scene; return the seconds that its detectors took."""
    duration_s = GRID * GRID * STEP_S
    print_ = Fingerprint(f"{number & 0xFFFFFFFFFFFFFFFF:016x}", 1 + abs(number))
    scene = Scene(str(number), "", "", print_, duration_s, 0, 0, SHEET, VTT)
    files = {SHEET: pictures, VTT: VTT_TEXT}

    def fetch(path: str) -> bytes:
        if path not in files:
            raise MediaMissing(f"There is no {path}")
        return files[path]

    media = SceneMedia(scene, fetch, lambda path: len(fetch(path)))
    result = look_at(scene, print_, media, parts, _Quiet())
    assert not result.skipped, result.skipped
    return sum(ran.seconds for ran in result.ran)


# --- The bare network ---------------------------------------------------------------------------


def _batches(pictures: bytes, card: ModelCard) -> list[Floats]:
    """Return a scene's frames as the network takes them, in the flow's own batches."""
    sampling = sprite_sampling(VTT_TEXT, lambda: pictures, len(pictures), None, "bare")
    pixels = [frame.pixels for frame in sampling.frames()]
    return [preprocess(pixels[i : i + BATCH], card) for i in range(0, len(pixels), BATCH)]


def _bare(shelf: Shelf, card: ModelCard, batches: Sequence[Floats]) -> float:
    """Return the seconds that onnxruntime's own session takes for ready arrays.

    It is the session that the flow uses: a second one's threads would get in its way.
    """
    session = shelf.network(card, "visual")._session
    begun_s = perf_counter()
    for batch in batches:
        session.run(None, {"pixel_values": batch})
    return perf_counter() - begun_s


if __name__ == "__main__":
    sys.exit(main())
