"""A network that runs: the only door to onnxruntime."""

import io
import logging
import math
import re
import sys
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stash_sense_plugin.errors import MemoryShort, ModelBroken
from stash_sense_plugin.inference import onnx_file, providers
from stash_sense_plugin.inference.providers import NAMES, PROVIDERS, Device, Place, Resolved
from stash_sense_plugin.start import gpu, machine, private

log = logging.getLogger(__name__)

Array = NDArray[Any]

_DTYPES: Mapping[str, DTypeLike] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
}
_WARNING, _FATAL = 2, 4
"""onnxruntime's severities; the last says nothing: its errors reach us as exceptions."""
NO_REASON = "onnxruntime left it out and gave no reason"
LARGEST_INPUT = 1 << 28
"""How many numbers a graph may ask for at once: a batch of 16 of 2048 x 2048 pixels has fewer."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph; a free dimension is None."""

    name: str
    shape: tuple[int | None, ...]
    dtype: DTypeLike


class Network:
    """An open network: feed it arrays, get arrays. Safe to call from several threads."""

    def __init__(self, session: Any, path: Path, device: Place, precision: str) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._running = 0
        self.path = path
        self.inputs: tuple[Port, ...] = tuple(_port(node, path) for node in session.get_inputs())
        self.outputs: tuple[Port, ...] = tuple(_port(node, path) for node in session.get_outputs())
        self.metadata: Mapping[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self.device: Place = device
        half = any(port.dtype is np.float16 for port in self.inputs)
        self.precision = "fp16" if half else precision

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
            _check_memory(error, self.path, f"while {self.path.name} ran")
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


def open_network(
    path: Path,
    threads: int | None = None,
    device: Device = "auto",
    cache: Path | None = None,
    *,
    full_precision: bool = False,
) -> Network:
    """Open an ONNX file; raises ModelBroken when it does not load.

    `threads` is how many threads one operator may use; None: the processors that we may use.
    On `auto` a GPU is used where onnxruntime can, and the CPU otherwise; what it became is in
    `Network.device`. TensorRT keeps its engines in `cache`, and `full_precision` keeps it from
    half precision.
    """
    return here().open(path, threads, device, cache, full_precision=full_precision)


def resolve(device: Device) -> Resolved:
    """Say where networks run that are opened on `device`; tried once in a process."""
    return here().resolve(device)


def version() -> str:
    """Return onnxruntime's version."""
    return here().version


def offered() -> tuple[str, ...]:
    """Return what onnxruntime was built for, the best first: `CUDA`, `CPU`."""
    return tuple(name.removesuffix("ExecutionProvider") for name in here().offered)


def quantizer() -> Any:
    """Return onnxruntime's module that rounds weights; it needs the package onnx."""
    private.keep()
    from onnxruntime import quantization

    return quantization


class Door:
    """The way to onnxruntime, and what was learnt of it; safe to call from several threads.

    `why` is asked why a place is not had, where onnxruntime leaves it out and says nothing.
    """

    def __init__(self, library: Any, why: Callable[[Place], str] = providers.reason) -> None:
        self._library = library
        self._why = why
        self._resolved: dict[Device, Resolved] = {}
        self._resolving = threading.RLock()
        self._told: set[str] = set()
        self._intel = providers.OPENVINO_DEVICES[-1]

    @property
    def version(self) -> str:
        """The version of onnxruntime."""
        return str(self._library.__version__)

    @property
    def offered(self) -> Sequence[str]:
        """The providers that onnxruntime was built with; that they work is another matter."""
        return list(self._library.get_available_providers())

    def resolve(self, device: Device) -> Resolved:
        """Find out, once, where networks run that are opened on `device`, and say what failed."""
        with self._resolving:
            if device not in self._resolved:
                found = self._resolved[device] = self._find(device)
                if found.warning:
                    self._tell_once(found.warning)
            return self._resolved[device]

    def open(
        self,
        path: Path,
        threads: int | None = None,
        device: Device = "auto",
        cache: Path | None = None,
        *,
        full_precision: bool = False,
    ) -> Network:
        """Open an ONNX file where it runs; raises ModelBroken or MemoryShort."""
        facts = onnx_file.read(path)
        wanted = self.resolve(device).place
        failed = ""
        for place in providers.places(wanted):
            told = providers.chain(
                place,
                path,
                threads=threads or usable_cpus(),
                cache=cache,
                full_precision=full_precision,
                intel=self._intel,
            )
            try:
                session = self._session(str(path), told, threads)
            except Exception as error:
                if place == "cpu":
                    raise _does_not_load(path, error) from error
                failed = failed or _first_line(error)
                continue
            came = _place(session)
            if came != wanted:
                self._tell_once(
                    f"{path}: asked for {NAMES[wanted]}, running on {NAMES[came]} because "
                    f"{failed or self._left_out(session, wanted)}"
                )
            runs_in = providers.precision_of(came, facts.precision, full_precision, self._intel)
            return Network(session, path, came, runs_in)
        raise AssertionError("the CPU is the last of every place's successors")

    def _session(
        self, network: str | bytes, told: list[tuple[str, dict[str, str]]], threads: int | None
    ) -> Any:
        """Open a session; it says nothing aloud, and does not choose other providers by itself."""
        options = self._library.SessionOptions()
        options.intra_op_num_threads = threads or usable_cpus()
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL
        if len(told) > 1:
            options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        self._preload(told[0][0])
        return self._library.InferenceSession(
            network, sess_options=options, providers=told, enable_fallback=0
        )

    def _preload(self, provider: str) -> None:
        """Load libraries from Python packages, where the loader does not look by itself."""
        if provider == PROVIDERS["tensorrt"]:
            providers.tensorrt_version()
        if provider in {PROVIDERS["cuda"], PROVIDERS["tensorrt"]}:
            _preload_cuda(self._library)

    def _find(self, device: Device) -> Resolved:
        asked = providers.asked_of(device, self.offered)
        whys: list[str] = []
        for place in providers.places(asked):
            if place == "cpu" or not (why := self._fault(place)):
                return Resolved(place, asked, "; ".join(whys))
            if why not in whys:
                whys.append(why if place == asked else f"{NAMES[place]}: {why}")
        raise AssertionError("the CPU is the last of every place's successors")

    def _fault(self, place: Place) -> str:
        """Return what keeps networks from running on a place, empty where they run."""
        if why := providers.absent(place, self.offered, self.version):
            return why
        if place != "openvino":
            return self._trial(place)
        for self._intel in providers.OPENVINO_DEVICES:
            if not (why := self._trial(place)):
                break
        return why

    def _trial(self, place: Place) -> str:
        """Run a small convolution on a place; return what went wrong.

        That a provider is offered, or even taken, proves nothing: cuDNN is first met by a run.
        """
        try:
            told = providers.chain(place, intel=self._intel)
            session = self._session(b64decode(gpu.NETWORK), told, 1)
            if _place(session) != place:
                return self._left_out(session, place)
            [answer] = session.run(None, {"x": np.ones((1, 1, 3, 3), np.float32)})
        except Exception as error:
            return self._why(place) or _first_line(error)
        right = bool((np.asarray(answer) == 4).all())
        return "" if right else f"it gives {np.ravel(answer).tolist()} where four fours are right"

    def _left_out(self, session: Any, place: Place) -> str:
        """Say why a session came without a place that it was opened with."""
        if PROVIDERS[place] in session.get_providers():
            return providers.NONE_TAKEN
        return self._why(place) or NO_REASON

    def _tell_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            log.warning("%s", sentence)


def try_aloud(place: Place) -> None:
    """Open a network on a place and let onnxruntime say to standard error what fails."""
    library = _library()
    library.set_default_logger_severity(_WARNING)
    door = Door(library, why=lambda _place: "")
    door._preload(PROVIDERS[place])
    try:
        library.InferenceSession(
            b64decode(gpu.NETWORK), providers=providers.chain(place), enable_fallback=0
        )
    except Exception as error:
        sys.stderr.write(f"{error}\n")


@cache
def here() -> Door:
    """Return the way to this environment's onnxruntime."""
    return Door(_library())


@cache
def _library() -> Any:
    """Import onnxruntime once, silent and without telemetry."""
    private.keep()
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)
    onnxruntime.disable_telemetry_events()
    return onnxruntime


_PRELOADED: set[int] = set()


def _preload_cuda(library: Any) -> None:
    """Load CUDA's libraries from Python packages, once."""
    if id(library) not in _PRELOADED and hasattr(library, "preload_dlls"):
        _PRELOADED.add(id(library))
        # It prints what it does not find, and standard output is the reply's.
        with redirect_stdout(io.StringIO()):
            library.preload_dlls()


def _place(session: Any) -> Place:
    """Return where a session came to run: what it was opened with is no proof."""
    registered = session.get_providers()
    assigned = None
    # Older ones than 1.24 do not tell who was given the operators.
    if len(registered) > 1 and hasattr(session, "get_provider_graph_assignment_info"):
        assigned = {part.ep_name for part in session.get_provider_graph_assignment_info()}
    return providers.place_of(registered, assigned or None)


def _does_not_load(path: Path, error: Exception) -> ModelBroken:
    _check_memory(error, path, f"while {path.name} was opened")
    return ModelBroken(
        f"{path} does not load: {_first_line(error)}",
        "check its files with `python -m stash_sense_plugin models verify`;"
        " a file of your own must be ONNX",
    )


def _check_memory(error: Exception, path: Path, when: str) -> None:
    """Raise MemoryShort where memory is short, ModelBroken where no machine has so much."""
    wanted = re.search(r"requested buffer of size (\d+)", str(error))
    size = int(wanted.group(1)) if wanted else 0
    if 0 < machine.memory_bytes() < size:
        raise ModelBroken(
            f"{path} wants {size / 1e9:.0f} GB at once {when}, more than this machine has",
            "fetch the model again, or choose another",
        ) from error
    MemoryShort.check(error, when)


def usable_cpus() -> int:
    """Return how many processors this process may use: its affinity, and its group's quota."""
    count, quota = machine.processors(), machine.processor_quota()
    return max(1, min(count, math.ceil(quota) if quota else count))


def _port(node: Any, path: Path) -> Port:
    if node.type not in _DTYPES:
        raise ModelBroken(f"{path.name}: {node.name} is a {node.type}, which is not supported")
    shape = tuple(side if isinstance(side, int) and side > 0 else None for side in node.shape)
    if math.prod(side or 1 for side in shape) > LARGEST_INPUT:
        sides = " x ".join(str(side or "any") for side in shape)
        raise ModelBroken(f"{path}: {node.name} is {sides} numbers, more than any picture has")
    return Port(node.name, shape, _DTYPES[node.type])


def _filled(part: Array, fixed: int | None) -> Array:
    """Repeat the last row until the part has the graph's fixed batch."""
    if fixed is None or len(part) == fixed:
        return part
    return np.concatenate([part, np.repeat(part[-1:], fixed - len(part), axis=0)])


def _joined(outputs: Sequence[Array], count: int) -> Array:
    return outputs[0][:count] if len(outputs) == 1 else np.concatenate(outputs)[:count]


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__
