"""Networks of random weights in torch: timed there, and exported for onnxruntime.

A program of its own under the Python of the extras, started by `benchmarks.models`. The first line
of standard input is JSON: what to build, threads, seconds, and the file to write.
"""

import importlib
import json
import logging
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.turns import best_of, take_turns
from stash_sense_plugin.extras.exporting import export, lend_operators

BATCHES = (1, 8)


def main() -> int:
    """Build, export, and take turns."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    order = json.loads(sys.stdin.readline())
    torch = importlib.import_module("torch")
    torch.set_num_threads(order["threads"])
    torch.manual_seed(0)
    module, side = BUILDERS[order["network"]]()
    module = module.eval()
    export(module, torch.rand(3, 3, side, side), Path(order["to"]), ("images", "output"), 18, {})
    batches = {batch: torch.rand(batch, 3, side, side) for batch in BATCHES}

    def turn() -> object:
        with torch.inference_mode():
            return {
                str(batch): batch / best_of(partial(module, pictures), order["seconds"])
                for batch, pictures in batches.items()
            }

    turn()
    take_turns({"side": side, "torch": torch.__version__}, turn)
    return 0


def _clip() -> tuple[Any, int]:
    lend_operators()
    open_clip = importlib.import_module("open_clip")
    return open_clip.create_model("ViT-B-32", pretrained=None).visual, 224


def _dinov2() -> tuple[Any, int]:
    lend_operators()
    timm = importlib.import_module("timm")
    arguments = {"num_classes": 0, "img_size": 224}
    return timm.create_model("vit_small_patch14_dinov2", pretrained=False, **arguments), 224


def _yolo() -> tuple[Any, int]:
    lend_operators()
    ultralytics = importlib.import_module("ultralytics")
    model = ultralytics.YOLO("yolo11n.yaml").model
    model.eval()
    # Its head then answers with one tensor, as its own exporter has it.
    model.model[-1].export = True
    return model, 640


BUILDERS: dict[str, Callable[[], tuple[Any, int]]] = {
    "CLIP ViT-B/32": _clip,
    "DINOv2 ViT-S/14": _dinov2,
    "YOLO11n": _yolo,
}
"""Each network's module and the side of its pictures, by its name."""


if __name__ == "__main__":
    sys.exit(main())
