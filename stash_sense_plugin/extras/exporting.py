"""What the exporters share: a torch module becomes ONNX, beside what torch says of samples."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES = 3
"""How many samples both are asked about; one more than was traced, to show a free batch."""
SEED = 20_240_229
_NEWEST_WITHOUT_GRAPHS = 17
"""torch's exporter of whole graphs knows no older opset than the next."""
_lent: list[Any] = []


def lend_operators() -> None:
    """Declare torchvision's operators where its own library does not load, as beside a CPU's torch.

    Without them torchvision cannot be imported; nothing that is exported here calls them.
    """
    import torch

    found = importlib.util.find_spec("torchvision")
    libraries = sorted(Path(found.origin).parent.glob("_C.*")) if found and found.origin else []
    try:
        for library in libraries:
            torch.ops.load_library(str(library))
    except OSError:
        declared = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _lent.append(declared)


def pictures(side_px: int) -> Any:
    """Return samples of what a picture network takes: float32 [3, 3, side, side], about -2..2."""
    import torch

    dice = np.random.default_rng(SEED)
    coarse = dice.normal(size=(SAMPLES, 3, 8, 8)).astype(np.float32)
    spread = torch.nn.functional.interpolate(
        torch.from_numpy(coarse), (side_px, side_px), mode="bilinear"
    )
    grain = dice.normal(scale=0.2, size=tuple(spread.shape)).astype(np.float32)
    return spread + torch.from_numpy(grain)


def export(
    module: Any, samples: Any, to: Path, names: tuple[str, str], opset: int, told: Mapping[str, str]
) -> None:
    """Write `to` (ONNX, free batch) and beside it the samples with torch's answers (npz).

    `names` are those of the input and the output, `told` becomes the file's metadata.
    """
    import torch

    module = module.eval()
    with torch.inference_mode():
        answers = module(samples)
    with torch.no_grad():
        _write(module, samples[: SAMPLES - 1], to, names, opset)
    note(to, told)
    keep_samples(to, {names[0]: samples}, [answers])


def _write(module: Any, samples: Any, to: Path, names: tuple[str, str], opset: int) -> None:
    import torch

    if opset > _NEWEST_WITHOUT_GRAPHS:
        torch.onnx.export(
            module,
            (samples,),
            str(to),
            dynamo=True,
            external_data=False,
            opset_version=opset,
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1024)},),
            verbose=False,
        )
        return
    torch.onnx.export(
        module,
        (samples,),
        str(to),
        dynamo=False,
        opset_version=opset,
        input_names=[names[0]],
        output_names=[names[1]],
        dynamic_axes={names[0]: {0: "batch"}, names[1]: {0: "batch"}},
    )


def note(file: Path, told: Mapping[str, str]) -> None:
    """Write metadata into an ONNX file."""
    import onnx

    model = onnx.load(str(file))
    for name, value in told.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, value
    onnx.save(model, str(file))


def keep_samples(file: Path, inputs: Mapping[str, Any], answers: list[Any]) -> None:
    """Write what was fed (`in_NAME`) and answered (`out_0`, ...) beside an ONNX file, as npz."""
    arrays = {f"in_{name}": each.detach().numpy() for name, each in inputs.items()}
    arrays |= {f"out_{at}": each.detach().numpy() for at, each in enumerate(answers)}
    np.savez(file.with_suffix(".npz"), **arrays)
