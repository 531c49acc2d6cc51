"""The real networks of the folder `real`, as rows of a user's own catalogue."""

from pathlib import Path

OVERLAY = """\
models:
  yolov8n:
    task: objects
    about: Eighty everyday things (COCO), YOLOv8n with int8 weights
    licence: AGPL-3.0
    commercial: true
    words: coco
    files:
      network: {{path: {weights}/yolov8n_int8w_640.onnx}}
  yolox-nano:
    task: objects
    about: Eighty everyday things (COCO), YOLOX-nano
    licence: Apache-2.0
    commercial: true
    words: coco
    layout: yolox
    colour: bgr
    size: 416
    files:
      network: {{path: {weights}/yolox_nano.onnx}}
  clipshaped:
    task: clip
    about: A stand-in with CLIP's interface that knows scene words only
    licence: none stated
    commercial: false
    logit_scale: 20
    files:
      visual: {{path: {weights}/clipshaped_visual.onnx}}
      textual: {{path: {weights}/clipshaped_text.onnx}}
      tokenizer: {{path: {weights}/clip_ref/bpe_simple_vocab_16e6.txt.gz}}
"""


def write_overlay(folder: Path, real: Path) -> Path:
    """Write a catalogue.yaml into `folder` with rows for the networks in `real`."""
    folder.mkdir(parents=True, exist_ok=True)
    overlay = folder / "catalogue.yaml"
    overlay.write_text(OVERLAY.format(weights=(real / "weights").resolve()), "utf-8")
    return overlay
