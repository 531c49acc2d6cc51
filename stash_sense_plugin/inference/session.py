"""A network that runs: the only door to onnxruntime."""

import logging
import math
import mmap
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stash_sense_plugin.errors import MemoryShort, ModelBroken
from stash_sense_plugin.start import machine, private

log = logging.getLogger(__name__)

Array = NDArray[Any]
Device = Literal["auto", "cpu", "cuda"]

_DTYPES: Mapping[str, DTypeLike] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
}
_INT8_OPERATORS = (b"QLinearConv", b"QLinearMatMul", b"MatMulInteger", b"ConvInteger")
_FATAL = 4
"""onnxruntime's severity that says nothing: its errors reach us as exceptions."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph; a free dimension is None."""

    name: str
    shape: tuple[int | None, ...]
    dtype: DTypeLike


class Network:
    """An open network: feed it arrays, get arrays. Safe to call from several threads."""

    def __init__(self, session: Any, path: Path) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._running = 0
        self.path = path
        self.inputs: tuple[Port, ...] = tuple(_port(node, path) for node in session.get_inputs())
        self.outputs: tuple[Port, ...] = tuple(_port(node, path) for node in session.get_outputs())
        self.metadata: Mapping[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self.device = "cuda" if "CUDA" in session.get_providers()[0] else "cpu"
        self.precision = _precision(self.inputs, path)

    @property
    def busy(self) -> bool:
        """Whether it is running now."""
        return self._running > 0

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Run a batch and return the outputs in the graph's order.

        Every array of `feeds` has the batch as its first dimension and is cast to the graph's
        dtype. A graph whose batch is fixed runs as often as is needed, behind the same call.
        Raises ModelBroken when the graph does not take it.
        """
        ports = {port.name: port for port in self.inputs}
        if feeds.keys() != ports.keys():
            raise ModelBroken(
                f"{self.path.name} takes {', '.join(ports)}, not {', '.join(feeds)}",
                "check the row in the catalogue",
            )
        cast = {name: np.asarray(feed, dtype=ports[name].dtype) for name, feed in feeds.items()}
        with self.running():
            parts = [self._once(part) for part in self._parts(cast)]
        count = len(next(iter(cast.values())))
        return [_joined(outputs, count) for outputs in zip(*parts, strict=True)]

    def _parts(self, feeds: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
        count = len(next(iter(feeds.values())))
        fixed = self.inputs[0].shape[0] if self.inputs[0].shape else None
        for start in range(0, count, fixed or count or 1):
            stop = start + (fixed or count)
            yield {name: _filled(feed[start:stop], fixed) for name, feed in feeds.items()}

    def _once(self, feeds: Mapping[str, Array]) -> list[Array]:
        try:
            return list(self._session.run(None, dict(feeds)))
        except Exception as error:
            MemoryShort.check(error, f"while {self.path.name} ran")
            shapes = ", ".join(f"{name} {feed.shape}" for name, feed in feeds.items())
            raise ModelBroken(
                f"{self.path.name} failed on {shapes}: {_first_line(error)}",
                "check the row in the catalogue, or fetch the model again",
            ) from error

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count as busy for the length of the block: the shelf then keeps it."""
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1


def open_network(path: Path, threads: int | None = None, device: Device = "auto") -> Network:
    """Open an ONNX file; raises ModelBroken when it does not load.

    `threads` is how many threads one operator may use; None: the processors that we may use.
    On `auto` a GPU is used where onnxruntime can, and the CPU otherwise; what it became is in
    `Network.device`.
    """
    runtime = _runtime()
    providers = _providers(runtime, device)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cpus()
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    try:
        session = runtime.InferenceSession(str(path), sess_options=options, providers=providers)
    except Exception as error:
        MemoryShort.check(error, f"while {path.name} was opened")
        raise ModelBroken(
            f"{path} does not load: {_first_line(error)}",
            "check its files with `python -m stash_sense_plugin models verify`;"
            " a file of your own must be ONNX",
        ) from error
    network = Network(session, path)
    _tell_fallback(network, providers, device)
    return network


@cache
def _runtime() -> Any:
    """Import onnxruntime once, silent and without telemetry."""
    private.keep()
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _providers(runtime: Any, device: Device) -> list[str]:
    there = runtime.get_available_providers()
    if device == "cpu" or "CUDAExecutionProvider" not in there:
        return ["CPUExecutionProvider"]
    _preload_cuda()
    return ["CUDAExecutionProvider", "CPUExecutionProvider"]


@cache
def _preload_cuda() -> None:
    """Load CUDA's libraries from Python packages, where the loader does not look by itself."""
    runtime = _runtime()
    if hasattr(runtime, "preload_dlls"):
        # It prints what it does not find; the worker's own streams lead nowhere.
        runtime.preload_dlls()


def _tell_fallback(network: Network, providers: Sequence[str], device: Device) -> None:
    wanted = device == "cuda" or providers[0].startswith("CUDA")
    if wanted and network.device == "cpu":
        _say_that_the_cpu_works()


@cache
def _say_that_the_cpu_works() -> None:
    """Say it once, not for every network: all of them have the same GPU or none."""
    log.warning(
        "Networks run on the CPU, not on the GPU: onnxruntime found no CUDA that it can use. "
        "Press Set up again once the driver is mended; Doctor says what is there."
    )


def usable_cpus() -> int:
    """Return how many processors this process may use: its affinity, and its group's quota."""
    count, quota = machine.processors(), machine.processor_quota()
    return max(1, min(count, math.ceil(quota) if quota else count))


def _port(node: Any, path: Path) -> Port:
    if node.type not in _DTYPES:
        raise ModelBroken(f"{path.name}: {node.name} is a {node.type}, which is not supported")
    shape = tuple(side if isinstance(side, int) and side > 0 else None for side in node.shape)
    return Port(node.name, shape, _DTYPES[node.type])


def _precision(inputs: Sequence[Port], path: Path) -> str:
    if any(port.dtype is np.float16 for port in inputs):
        return "fp16"
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        whole = any(content.find(operator) >= 0 for operator in _INT8_OPERATORS)
    return "int8" if whole else "fp32"


def _filled(part: Array, fixed: int | None) -> Array:
    """Repeat the last row until the part has the graph's fixed batch."""
    if fixed is None or len(part) == fixed:
        return part
    return np.concatenate([part, np.repeat(part[-1:], fixed - len(part), axis=0)])


def _joined(outputs: Sequence[Array], count: int) -> Array:
    return outputs[0][:count] if len(outputs) == 1 else np.concatenate(outputs)[:count]


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__
