"""Which onnxruntime is here, and on which device a network of its really runs."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference.providers import REMEDIES, Device
from stash_sense_plugin.inference.session import offered, open_network, resolve, version

_IDENTITY = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a020801"
    "620f0a0179120a0a08080112040a0208014202100d"
)
"""The smallest ONNX file: one number goes in and comes out."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What was seen of onnxruntime."""

    version: str
    providers: tuple[str, ...]
    """What it was built for, the best first: `CUDA`, `CPU`."""
    device: str
    """Where a network came to run: `cuda`, `tensorrt`, `openvino`, `cpu`."""
    told: str = ""
    """Why networks do not run where they were asked to; empty where they do."""
    remedy: str = ""

    @property
    def falls_back(self) -> bool:
        """Whether networks run elsewhere than they were asked to."""
        return bool(self.told)


def look(device: Device = "auto") -> Runtime:
    """Run the smallest network there is; raises ModelBroken when not even that runs."""
    resolved = resolve(device)
    with tempfile.TemporaryDirectory(prefix="stash-sense-") as folder:
        path = Path(folder) / "one-number.onnx"
        path.write_bytes(_IDENTITY)
        network = open_network(path, threads=1, device=device)
        [answer] = network.run({"x": np.array([3.0], np.float32)})
    if answer.tolist() != [3.0]:
        raise ModelBroken(f"onnxruntime returns {answer.tolist()} where 3 went in and out")
    remedy = REMEDIES.get(resolved.asked, "") if resolved.told else ""
    return Runtime(version(), offered(), network.device, resolved.told, remedy)
