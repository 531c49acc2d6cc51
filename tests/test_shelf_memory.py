"""What the shelf puts away leaves the process's memory, as the system counts it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.onnx_networks import large_product
from tests.sweep_kit import ROOT

MB = 1_000_000
WIDTH, LAYERS = 2048, 9
WEIGHT = 4 * WIDTH * WIDTH * LAYERS
"""150 MB: more than what a process's memory breathes by itself."""

USES = """
import gc, json, sys
from pathlib import Path
import numpy as np
from stash_sense_plugin.inference.catalogue import Catalogue, LocalFile, ModelCard
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.resident import resident_bytes
from stash_sense_plugin.inference.shelf import Shelf

folder, small, how = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]


def card(name, path):
    return ModelCard(
        name=name, task="similarity", about="Large", licence="MIT", commercial=True,
        files={"network": LocalFile(path=str(path))}, overlaid=True,
    )


def use(shelf, name):
    network = shelf.network(shelf.models.catalogue.card(name), "network")
    network.run({"pixels": np.ones((8, 3, 2, 2048), np.float32)})


cards = {name: card(name, folder / f"{name}.onnx") for name in ("one", "two")}
cards["small"] = card("small", small)
budget = 200_000_000 if how == "budget" else 1 << 40
shelf = Shelf(Models(folder / "models", Catalogue(cards)), budget, threads=1, device="cpu")
use(shelf, "small")
marks = [resident_bytes()]
held = []
for name in ("one", "two"):
    use(shelf, name)
    marks.append(resident_bytes())
    held.append(shelf.held_bytes)
if how == "close":
    shelf.close()
elif how == "idle":
    shelf.unload_idle(0)
else:
    use(shelf, "small")
marks.append(resident_bytes())
print(json.dumps({"marks": marks, "held": held}))
"""


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    shutil.copy(large_product(folder / "one.onnx", WIDTH, LAYERS), folder / "two.onnx")
    large_product(folder / "small.onnx", WIDTH, 1)
    return folder


def used(networks: Path, how: str) -> tuple[list[int], list[int]]:
    """Use a small network and two large ones in a process of its own; return what it held."""
    words = [sys.executable, "-B", "-c", USES, str(networks), str(networks / "small.onnx"), how]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    return told["marks"], told["held"]


@pytest.mark.parametrize("how", ["idle", "close"])
def test_what_is_put_away_goes_back_to_the_system(networks: Path, how: str) -> None:
    (before, one, both, after), held = used(networks, how)
    assert one - before > 0.9 * WEIGHT
    assert both - before > 1.8 * WEIGHT
    # The memory of reading a file, as large again, is not kept once it is open.
    assert both - before < 2.4 * WEIGHT
    assert after - before < 0.1 * WEIGHT
    assert held[0] >= WEIGHT
    assert held[1] >= 2 * WEIGHT


def test_what_makes_room_goes_back_to_the_system(networks: Path) -> None:
    """Of two networks of 150 MB each, a budget of 200 MB holds one."""
    (before, one, other, _), held = used(networks, "budget")
    assert one - before > 0.9 * WEIGHT
    assert abs(other - one) < 0.2 * WEIGHT
    assert all(WEIGHT <= each < 1.5 * WEIGHT for each in held)
