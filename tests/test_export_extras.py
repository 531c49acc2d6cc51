"""Real libraries make real networks of small random weights, in the extras' environment."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stash_sense_plugin.detectors.objects import ObjectDetector
from stash_sense_plugin.errors import Cancelled, ModelBroken
from stash_sense_plugin.inference import export as exporting
from stash_sense_plugin.inference import lighter
from stash_sense_plugin.inference.catalogue import load_catalogue
from stash_sense_plugin.inference.errand import ROOT, variables
from stash_sense_plugin.inference.session import Network, open_network
from tests.export_kit import Told, models_of, weights_row
from tests.test_export import card, gone, hostile, nothing_left

pytestmark = pytest.mark.extras


@pytest.fixture(scope="session")
def python() -> str:
    """The Python that has the extras; the test skips without it."""
    path = os.environ.get("STASH_SENSE_EXTRAS_PYTHON", "")
    if not path:
        pytest.skip("the extras are not here: `make test-extras` makes them, or name their Python"
                    " in STASH_SENSE_EXTRAS_PYTHON")  # fmt: skip
    assert os.access(path, os.X_OK), f"STASH_SENSE_EXTRAS_PYTHON names {path}, which does not run"
    return path


def run(python: str, folder: Path, *words: str) -> None:
    """Run a Python of the extras as an export does; what it says is shown when it fails."""
    subprocess.run(
        [python, "-B", *words],
        check=True,
        cwd=folder,
        env={**variables(folder), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="session")
def weights(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    run(python, folder, str(ROOT / "tests" / "making_weights.py"), str(folder))
    return folder


def made(python: str, folder: Path, row: dict[str, Any], half: bool = False) -> dict[str, Network]:
    """Make the networks of a row; return them open, by their roles."""
    models = models_of(folder, **row)
    exporting.export(models, card(models), Told(), python, half=half)
    assert not list(models.folder.glob(".making-*"))
    roles = [role for role, file in row["files"].items() if "made" in file and role != "tokenizer"]
    return {role: open_network(models.path(card(models), role)) for role in roles}


def answers_for_each(network: Network, shape: tuple[int, ...], count: int = 3) -> Any:
    """Return its first output for a batch, having seen that each alone gives the same."""
    port = network.inputs[0]
    batch = np.random.default_rng(1).random((count, *shape)).astype(port.dtype)
    whole = network.run({port.name: batch})[0]
    assert len(whole) == count
    alone = network.run({port.name: batch[1:2]})[0]
    assert np.abs(alone - whole[1:2]).max() < 1e-3
    return whole


YOLO = [
    pytest.param("yolov8n", "False", id="YOLOv8"),
    pytest.param("yolo11n", "False", id="YOLO11"),
    pytest.param("yolo26n", "True", id="YOLO26, which suppresses by itself"),
]


@pytest.mark.parametrize(("name", "ends"), YOLO)
def test_yolo(python: str, weights: Path, tmp_path: Path, name: str, ends: str) -> None:
    row: dict[str, Any] = {
        "task": "objects",
        "words": "things",
        "export": {"by": "ultralytics", "arguments": {"imgsz": 64}},
        "files": weights_row(weights / f"{name}.pt", network=f"{name}.onnx"),
    }
    network = made(python, tmp_path, row, half=True)["network"]
    assert network.inputs[0].shape == (None, 3, None, None)
    assert network.metadata["names"].startswith("{0: 'thing 0'")
    assert (network.metadata["task"], network.metadata["stride"]) == ("detect", "32")
    assert network.metadata["imgsz"] == "[64, 64]"
    assert network.metadata["end2end"] == ends
    answers = answers_for_each(network, (3, 64, 96))
    if ends == "True":
        assert answers.shape == (3, 84, 6)
    else:
        assert answers.shape == (3, 84, 8 * 12 + 4 * 6 + 2 * 3)


def test_a_yolo_that_tells_classes(python: str, weights: Path, tmp_path: Path) -> None:
    row: dict[str, Any] = {
        "task": "classifier",
        "words": "things",
        "classes": [f"thing {at}" for at in range(1000)],
        "export": {"by": "ultralytics", "arguments": {"imgsz": 64}},
        "files": weights_row(weights / "yolo11n-cls.pt", network="net.onnx"),
    }
    network = made(python, tmp_path, row)["network"]
    answers = answers_for_each(network, (3, 64, 64))
    assert answers.shape == (3, 1000)
    assert answers.sum(axis=1) == pytest.approx(1, abs=1e-3)


def test_a_yolo_that_draws_masks_is_refused_in_words(
    python: str, weights: Path, tmp_path: Path
) -> None:
    files = weights_row(weights / "yolo11n-seg.pt", network="net.onnx")
    models = models_of(
        tmp_path, task="objects", words="things", export={"by": "ultralytics"}, files=files
    )
    with pytest.raises(ModelBroken, match="it is for the task segment"):
        exporting.export(models, card(models), Told(), python, half=False)
    assert nothing_left(models)


def test_dinov2_of_another_size(python: str, weights: Path, tmp_path: Path) -> None:
    from tests.making_weights import DINO, DINO_ARGUMENTS

    row: dict[str, Any] = {
        "export": {"by": "timm", "model": DINO, "arguments": DINO_ARGUMENTS},
        "files": weights_row(weights / "dinov2.safetensors", network="net.onnx"),
    }
    network = made(python, tmp_path, row, half=True)["network"]
    assert network.inputs[0].shape == (None, 3, 56, 56)
    assert answers_for_each(network, (3, 56, 56)).shape == (3, 384)
    assert network.metadata["mean"] == "(0.485, 0.456, 0.406)"
    assert lighter.variant(network.path, "cuda").name == "net.fp16.onnx"


def test_a_classifier_with_classes_of_its_own(python: str, weights: Path, tmp_path: Path) -> None:
    from tests.making_weights import CLASSIFIER

    arguments = {"num_classes": 8}
    row: dict[str, Any] = {
        "task": "classifier",
        "words": "acts",
        "classes": list("abcdefgh"),
        "export": {"by": "timm", "model": CLASSIFIER, "arguments": arguments},
        "files": weights_row(weights / "classifier.pth", network="net.onnx"),
    }
    network = made(python, tmp_path, row)["network"]
    side = network.inputs[0].shape[2] or 0
    assert answers_for_each(network, (3, side, side)).shape == (3, 8)


def test_open_clip(python: str, weights: Path, tmp_path: Path) -> None:
    from tests.making_weights import CLIP

    names = {"visual": "visual.onnx", "textual": "textual.onnx", "tokenizer": "tokenizer.gz"}
    row: dict[str, Any] = {
        "task": "clip",
        "export": {"by": "open_clip", "model": CLIP},
        "files": weights_row(weights / "clip.safetensors", **names),
    }
    towers = made(python, tmp_path, row, half=True)
    seen = answers_for_each(towers["visual"], (3, 224, 224))
    tokens = np.zeros((2, 77), np.int64)
    tokens[:, :7] = [49406, 320, 1125, 539, 320, 2368, 49407]
    read = towers["textual"].run({"text": tokens})[0]
    assert seen.shape[1] == read.shape[1] == 256
    assert np.linalg.norm(seen, axis=1) == pytest.approx(1, abs=1e-4)
    assert np.linalg.norm(read, axis=1) == pytest.approx(1, abs=1e-4)
    assert float(towers["visual"].metadata["logit_scale"]) == pytest.approx(14.2857, abs=1e-3)
    assert (towers["visual"].path.parent / "tokenizer.gz").stat().st_size > 1_000_000
    assert lighter.variant(towers["visual"].path, "cuda").name == "visual.fp16.onnx"
    assert lighter.variant(towers["textual"].path, "cuda").name == "textual.onnx"


SIGLIP = """
import json, sys
from pathlib import Path
import numpy, torch
from stash_sense_plugin.extras.exporting import lend_operators
lend_operators()
import open_clip
from safetensors.torch import save_file
from stash_sense_plugin.extras import export_open_clip
from stash_sense_plugin.extras.child import Teller

folder = Path(sys.argv[1])
told = open_clip.get_model_config("ViT-B-16-SigLIP2")
told["embed_dim"] = 48
told["vision_cfg"] |= {"timm_model_name": "test_vit2", "image_size": 64, "timm_pool": "avg"}
told["text_cfg"] |= {"width": 48, "heads": 2, "layers": 2, "vocab_size": 1000}
told["vision_cfg"]["timm_proj"] = "linear"
(folder / "configs").mkdir()
(folder / "configs" / "tiny.json").write_text(json.dumps(told))
open_clip.add_model_config(folder / "configs")
save_file(open_clip.create_model("tiny").state_dict(), folder / "tiny.safetensors")
order = {
    "model": "tiny", "opset": 18, "arguments": {}, "weights": str(folder / "tiny.safetensors"),
    "folder": str(folder), "roles": {"visual": "visual.onnx", "textual": "textual.onnx"},
}
export_open_clip.run(order, Teller(sys.stdout.buffer))
"""


def test_siglip_of_a_small_configuration(python: str, tmp_path: Path) -> None:
    run(python, tmp_path, "-c", SIGLIP, str(tmp_path))
    for name in ("visual", "textual"):
        samples = exporting.read_samples(tmp_path / f"{name}.npz")
        exporting.compare(tmp_path / f"{name}.onnx", samples)
        assert samples["out_0"].shape == (3, 48)
    # 64 tokens, as SigLIP's texts have.
    assert open_network(tmp_path / "textual.onnx").inputs[0].shape == (None, 64)


def test_a_hostile_pickle_runs_nowhere(python: str, tmp_path: Path) -> None:
    path, mark = hostile(tmp_path)
    for by, model in (("timm", "resnet18"), ("open_clip", "ViT-S-32-alt"), ("ultralytics", "")):
        files = weights_row(path, network="net.onnx")
        row: dict[str, Any] = {"export": {"by": by, "model": model}, "files": files}
        if by == "open_clip":
            files = weights_row(path, visual="v.onnx", textual="t.onnx", tokenizer="t.gz")
            row |= {"task": "clip", "files": files}
        models = models_of(tmp_path, **row)
        with pytest.raises(ModelBroken, match="could not be made"):
            exporting.export(models, card(models), Told(), python, half=False)
        assert not mark.exists(), by
        assert nothing_left(models)


def test_weights_of_another_network_are_said_in_words(
    python: str, weights: Path, tmp_path: Path
) -> None:
    files = weights_row(weights / "dinov2.safetensors", network="net.onnx")
    models = models_of(tmp_path, export={"by": "timm", "model": "resnet18"}, files=files)
    with pytest.raises(ModelBroken, match="could not be made") as caught:
        exporting.export(models, card(models), Told(), python, half=False)
    assert len(caught.value.message) < 900
    assert nothing_left(models)


class _StopsAtWork(Told):
    """Stops the job when torch is being loaded."""

    def check(self) -> None:
        if any(line.startswith("debug: loading torch") for line in self.lines):
            raise Cancelled("stopped")


def test_a_cancelled_export_leaves_no_process(python: str, weights: Path, tmp_path: Path) -> None:
    files = weights_row(weights / "yolov8n.pt", network="net.onnx")
    models = models_of(
        tmp_path, task="objects", words="things", export={"by": "ultralytics"}, files=files
    )
    before = _processes_with(str(models.folder))
    with pytest.raises(Cancelled):
        exporting.export(models, card(models), _StopsAtWork(), python, half=False)
    assert all(gone(pid) for pid in _processes_with(str(models.folder)) - before)
    assert nothing_left(models)


def _processes_with(folder: str) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str((entry / "cwd").resolve()).startswith(folder):
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


ROWS = """
import json, sys
from stash_sense_plugin.extras.exporting import lend_operators
lend_operators()
import open_clip
from open_clip.pretrained import _PRETRAINED
asked, told = json.loads(sys.argv[1]), {}
for model, repo in asked:
    for tag, row in _PRETRAINED.get(model, {}).items():
        if row.get("hf_hub", "").strip("/").removesuffix("/pytorch_model.bin") == repo:
            told[repo] = [row["mean"], row["std"], row["interpolation"], row["resize_mode"]]
print(json.dumps(told))
"""


def test_rows_of_open_clip_are_fed_as_it_feeds_them(python: str, tmp_path: Path) -> None:
    cards = [
        each
        for each in load_catalogue(ROOT / "models" / "catalogue.yaml")
        if each.export is not None and each.export.by == "open_clip"
    ]
    assert cards
    asked = [(each.export.model, each.files["weights"].repo) for each in cards if each.export]  # type: ignore[union-attr]
    told = subprocess.run(
        [python, "-B", "-c", ROWS, json.dumps(asked)],
        check=True,
        capture_output=True,
        env={**variables(tmp_path), "PYTHONPATH": str(ROOT)},
    )
    known = json.loads(told.stdout.splitlines()[-1])
    fits = {"crop": "shortest", "squash": "squash"}
    for each, (_, repo) in zip(cards, asked, strict=True):
        row = [list(each.mean), list(each.std), each.filter, fits[each.fit]]
        assert known[repo] == row, each.name


def test_what_is_made_is_what_the_object_detector_reads(
    python: str, weights: Path, tmp_path: Path
) -> None:
    from stash_sense_plugin.inference.shelf import Shelf
    from stash_sense_plugin.records import Frame, FrameSource

    files = weights_row(weights / "yolo11n.pt", network="net.onnx")
    export = {"by": "ultralytics", "arguments": {"imgsz": 64}}
    models = models_of(tmp_path, task="objects", words="things", export=export, files=files)
    exporting.export(models, card(models), Told(), python, half=False)
    detector = ObjectDetector(Shelf(models, 1 << 30), card(models), floor=0.0)
    pixels = np.random.default_rng(2).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    frames = [Frame("s", at, float(at), pixels, FrameSource.VIDEO) for at in range(2)]
    seen = list(detector.detect(frames))
    assert {one.frame_index for one in seen} == {0, 1}
    assert all(one.label.startswith("things/thing ") for one in seen)
