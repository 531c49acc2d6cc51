"""Which onnxruntime is here, and on which device a network of its really runs."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference.session import open_network

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
    """Where a network came to run: `cuda`, `cpu`."""

    @property
    def falls_back(self) -> bool:
        """Whether it was built for a GPU and does not use one."""
        return "CUDA" in self.providers and self.device == "cpu"


def look() -> Runtime:
    """Run the smallest network there is; raises ModelBroken when not even that runs."""
    with tempfile.TemporaryDirectory(prefix="stash-sense-") as folder:
        path = Path(folder) / "one-number.onnx"
        path.write_bytes(_IDENTITY)
        network = open_network(path, threads=1)
        [answer] = network.run({"x": np.array([3.0], np.float32)})
    if answer.tolist() != [3.0]:
        raise ModelBroken(f"onnxruntime returns {answer.tolist()} where 3 went in and out")
    # Imported by now, silenced and without telemetry, by who opened the network.
    import onnxruntime

    there = onnxruntime.get_available_providers()
    names = tuple(name.removesuffix("ExecutionProvider") for name in there)
    return Runtime(str(onnxruntime.__version__), names, network.device)
