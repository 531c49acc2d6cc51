"""Which onnxruntime is here, and on which device a network of its really runs."""

import tempfile
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference.providers import REMEDIES, Device
from stash_sense_plugin.inference.session import offered, open_network, resolve, version
from stash_sense_plugin.start import gpu


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
    """Run a small convolution as all networks are run; raises ModelBroken when it does not."""
    resolved = resolve(device)
    with tempfile.TemporaryDirectory(prefix="stash-sense-") as folder:
        path = Path(folder) / "convolution.onnx"
        path.write_bytes(b64decode(gpu.NETWORK))
        network = open_network(path, threads=1, device=device)
        [answer] = network.run({"x": np.ones((1, 1, 3, 3), np.float32)})
    if not (answer == 4).all():
        raise ModelBroken(f"onnxruntime gives {answer.ravel().tolist()} where four fours are right")
    remedy = REMEDIES.get(resolved.asked, "") if resolved.told else ""
    return Runtime(version(), offered(), network.device, resolved.told, remedy)
