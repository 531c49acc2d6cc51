"""A YOLO network of Ultralytics becomes ONNX, with the metadata that it always writes.

Networks that suppress by themselves (YOLO26, YOLOv10) keep that: [b, 300, 6].
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stash_sense_plugin.extras.child import Teller
from stash_sense_plugin.extras.exporting import SAMPLES, keep_samples, lend_operators, pictures

KINDS = ("detect", "classify")
"""What its networks do that detectors here can read."""


def run(order: Mapping[str, Any], teller: Teller) -> None:
    """Make the file of the role `network`."""
    teller.progress(0.05, "loading torch and ultralytics")
    lend_operators()
    from ultralytics import YOLO

    network = YOLO(order["weights"])
    if network.task not in KINDS:
        raise ValueError(f"it is for the task {network.task}, and {' or '.join(KINDS)} is wanted")
    kept: list[Any] = []
    network.add_callback("on_export_end", kept.append)
    teller.progress(0.3, "making the network")
    arguments: dict[str, Any] = {"nms": False, **order["arguments"]}
    made = network.export(
        format="onnx",
        dynamic=True,
        simplify=False,
        opset=order["opset"],
        device="cpu",
        verbose=False,
        **arguments,
    )
    to = Path(order["folder"], order["roles"]["network"])
    Path(made).replace(to)
    teller.progress(0.8, "asking torch for what it says")
    _keep_answers(kept[0], to)


def _keep_answers(exporter: Any, to: Path) -> None:
    """Ask the very module that was exported about pictures, wide ones where it takes these."""
    import torch

    stride = int(max(exporter.model.stride))
    # Wide ones, where it takes these; larger than it was traced with, as it may choose 300 boxes.
    side, more = int(exporter.imgsz[0]), stride if exporter.model.task == "detect" else 0
    samples = pictures(side + more)[:, :, :side].mul(0.25).add(0.5).clamp(0, 1)
    with torch.inference_mode():
        answers = exporter.model(samples[:SAMPLES].contiguous())
    first = answers[0] if isinstance(answers, list | tuple) else answers
    keep_samples(to, {"images": samples.contiguous()}, [first])
