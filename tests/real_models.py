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
  places365:
    task: classifier
    about: Places, 365 of them
    licence: none stated
    commercial: false
    words: places365
    suggest_all: true
    colour: bgr
    mean: [0.40787, 0.45752, 0.48108]
    std: [1, 1, 1]
    files:
      network: {{path: {weights}/squeezenet_places365.onnx}}
  nsfwjs:
    task: classifier
    about: Five kinds of picture, drawn or photographed
    licence: MIT
    commercial: true
    words: nsfwjs
    suggest_all: true
    order: nhwc
    fit: squash
    filter: bilinear
    mean: [0, 0, 0]
    std: [1, 1, 1]
    classes: [Drawing, Hentai, Neutral, Porn, Sexy]
    files:
      network: {{path: {weights}/nsfwjs_mobilenet_v2.onnx}}
"""


def places(real: Path) -> list[str]:
    """Return the words of the network of places, in its order: `dining room`, `inn outdoor`."""
    lines = (real / "weights" / "categories_places365.txt").read_text("utf-8").splitlines()
    words = (line.split()[0].split("/", 2)[2] for line in lines if line)
    return [word.replace("/", " ").replace("_", " ") for word in words]


def write_overlay(folder: Path, real: Path) -> Path:
    """Write a catalogue.yaml into `folder` with rows for the networks in `real`."""
    folder.mkdir(parents=True, exist_ok=True)
    overlay = folder / "catalogue.yaml"
    overlay.write_text(OVERLAY.format(weights=(real / "weights").resolve()), "utf-8")
    (folder / "places365.txt").write_text("\n".join(places(real)), "utf-8")
    return overlay
