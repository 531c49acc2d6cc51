"""Writes small random weights of the classes that are exported: run by the Python of the extras.

FOLDER gets `yolov8n.pt`, `yolo11n.pt`, `yolo26n.pt`, `yolo11n-cls.pt`, `yolo11n-seg.pt`,
`dinov2.safetensors`, `classifier.pth`, `clip.safetensors`.
"""

import os
import sys
from pathlib import Path
from typing import Any

from stash_sense_plugin.extras.exporting import lend_operators

CLIP = "ViT-S-32-alt"
DINO = "vit_small_patch14_dinov2.lvd142m"
DINO_ARGUMENTS = {"depth": 2, "img_size": 56, "num_classes": 0}
CLASSIFIER = "fastvit_t8"


def main(folder: Path) -> None:
    lend_operators()
    import torch

    torch.manual_seed(7)
    _yolo(folder)
    _timm(folder, torch)
    _clip(folder, torch)


def _yolo(folder: Path) -> None:
    from ultralytics import YOLO

    for name in ("yolov8n", "yolo11n", "yolo26n", "yolo11n-cls", "yolo11n-seg"):
        network = YOLO(f"{name}.yaml")
        _stir(network.model)
        network.model.args["imgsz"] = 64
        network.model.names = {at: f"thing {at}" for at in range(len(network.model.names))}
        network.save(str(folder / f"{name}.pt"))


def _stir(module: Any) -> None:
    """Let boxes and classes differ: those of a fresh network are all alike."""
    import torch

    for name, each in module.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(each, std=1.5)


def _timm(folder: Path, torch: Any) -> None:
    import timm
    from safetensors.torch import save_file

    dino = timm.create_model(DINO, pretrained=False, **DINO_ARGUMENTS | {"img_size": 70})
    save_file(dino.state_dict(), folder / "dinov2.safetensors")
    classifier = timm.create_model(CLASSIFIER, pretrained=False, num_classes=8)
    torch.save(classifier.state_dict(), folder / "classifier.pth")


def _clip(folder: Path, torch: Any) -> None:
    import open_clip
    from safetensors.torch import save_file

    clip = open_clip.create_model(CLIP, pretrained=None)
    save_file(clip.state_dict(), folder / "clip.safetensors")


if __name__ == "__main__":
    where = Path(sys.argv[1])
    os.chdir(where)
    main(where)
