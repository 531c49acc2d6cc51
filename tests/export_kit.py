"""Rows that are made here, a maker that does as a test says, and a reporter that may stop it."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from stash_sense_plugin.errors import Cancelled
from stash_sense_plugin.inference.catalogue import load_catalogue
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.records import Level
from tests.small_networks import doubling

ROW: dict[str, Any] = {
    "task": "similarity",
    "about": "made in a test",
    "licence": "MIT",
    "commercial": True,
    "export": {"by": "timm", "model": "resnet18"},
}

MAKER = """#!{python}
import json, os, shutil, signal, subprocess, sys, time
from pathlib import Path

order = json.loads(sys.stdin.readline())
folder, prepared = Path(order["folder"]), Path({prepared!r})
Path({ran!r}).write_text(str(os.getpid()))
Path({ordered!r}).write_text(json.dumps(order))

def tell(**event):
    print(json.dumps(event), flush=True)

def make():
    for name in order["roles"].values():
        for each in (Path(name), Path(name).with_suffix(".npz")):
            shutil.copy(prepared / each.with_stem("network"), folder / each)

{body}
"""


class Told:
    """A reporter that keeps what it is told, and stops when `stop_at` says so."""

    def __init__(self, stop_at: Path | None = None) -> None:
        self.lines: list[str] = []
        self.fractions: list[float] = []
        self._stop_at = stop_at

    def log(self, level: Level, message: str) -> None:
        self.lines.append(f"{level}: {message}")

    def progress(self, fraction: float) -> None:
        self.fractions.append(fraction)

    def check(self) -> None:
        if self._stop_at is not None and self._stop_at.exists():
            raise Cancelled("stopped")


def models_of(folder: Path, **row: Any) -> Models:
    """Return the models of a catalogue with one row `net`, made of ROW and what is given."""
    told = {**ROW, **row}
    overlay = folder / "catalogue.yaml"
    overlay.write_text(yaml.safe_dump({"models": {"net": told}}), "utf-8")
    ours = folder / "ours.yaml"
    ours.write_text("models:\n", "utf-8")
    return Models(folder / "models", load_catalogue(ours, overlay))


def weights_row(path: Path, **files: str) -> dict[str, Any]:
    """Return the `files` of a row whose weights are `path`, with its hash, and what is made."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    made = {role: {"made": name} for role, name in files.items()}
    return {**made, "weights": {"path": str(path), "sha256": sha256}}


class Maker:
    """A small program in place of the extras' Python, with right answers prepared."""

    def __init__(self, folder: Path, body: str = "make(); tell(done=True)") -> None:
        self.prepared = folder / "prepared"
        self.prepared.mkdir()
        self.ran, self.ordered = folder / "ran.pid", folder / "order.json"
        self.network = doubling(self.prepared / "network.onnx", ("batch", 4))
        self.samples = {"in_x": np.arange(12, dtype=np.float32).reshape(3, 4)}
        self.samples["out_0"] = 2 * self.samples["in_x"]
        self.keep()
        self.python = folder / "python-of-the-extras"
        self.python.write_text(
            MAKER.format(
                python=sys.executable,
                prepared=str(self.prepared),
                ran=str(self.ran),
                ordered=str(self.ordered),
                body=body,
            )
        )
        self.python.chmod(0o755)

    def keep(self, **changed: Any) -> None:
        """Write the samples anew, with some of them changed."""
        np.savez(self.prepared / "network.npz", **{**self.samples, **changed})
