"""Where networks may run: onnxruntime's execution providers, what they are told, and in what order.

Nothing here imports onnxruntime: what it is built for is handed in.
"""

import ctypes
import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from stash_sense_plugin.start import gpu

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda", "tensorrt", "openvino"]
Place = Literal["cpu", "cuda", "tensorrt", "openvino"]
"""Where a network really runs."""
Options = Mapping[str, str]

PROVIDERS: Mapping[Place, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
NAMES: Mapping[Place, str] = {
    "cpu": "the CPU",
    "cuda": "CUDA",
    "tensorrt": "TensorRT",
    "openvino": "OpenVINO",
}
_NEXT: Mapping[Place, tuple[Place, ...]] = {
    "cpu": ("cpu",),
    "cuda": ("cuda", "cpu"),
    "tensorrt": ("tensorrt", "cuda", "cpu"),
    "openvino": ("openvino", "cpu"),
}
"""What takes a network where another does not, from the best to the last."""
CARDS: frozenset[Place] = frozenset({"cuda", "tensorrt"})
"""Places with memory of their own, where networks of half precision run as fast again."""

REMEDIES: Mapping[Place, str] = {
    "cuda": "press Set up: it installs the onnxruntime that fits the card's driver, and says why"
    " where none does; Doctor shows what is there",
    "tensorrt": "Set up must have found an NVIDIA card, and TensorRT's libraries must be in the"
    " same environment (the package tensorrt); or choose cuda",
    "openvino": "onnxruntime-openvino must stand in the environment in place of onnxruntime; or"
    " choose cpu",
}
"""What to do where a device was asked for and is not had."""

CUDA: Options = {
    # The default tries every way that cuDNN has, for each size of a batch anew: seconds each.
    "cudnn_conv_algo_search": "HEURISTIC",
    # The default doubles what it takes each time, and keeps it.
    "arena_extend_strategy": "kSameAsRequested",
}
TENSORRT: Options = {"trt_fp16_enable": "1"}
TENSORRT_CACHE: Options = {"trt_engine_cache_enable": "1", "trt_timing_cache_enable": "1"}
OPENVINO_DEVICES = ("GPU", "CPU")
"""Intel's graphics where they are, else the processor. `AUTO`, which would choose by itself, is
accepted and then takes no operator of any network (seen with 1.24)."""
NONE_TAKEN = "it takes none of the network's operators"

ENGINES_KEPT_S = 60 * 24 * 3600.0
"""An engine that was not used for so long was built for a driver or a card that is gone."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where networks run here, and why not where they were asked to."""

    place: Place
    asked: Place
    why: str = ""
    """Why `asked` is not had; empty where it is."""

    @property
    def told(self) -> str:
        """What is said once, and loudly; empty where all is as it was asked."""
        if self.place == self.asked:
            return ""
        return f"asked for {NAMES[self.asked]}, running on {NAMES[self.place]} because {self.why}"

    @property
    def warning(self) -> str:
        """What is said, with what to do about it; empty where all is as it was asked."""
        remedy = REMEDIES.get(self.asked, "")
        return f"Networks: {self.told}. To change that: {remedy}" if self.told else ""


def asked_of(device: Device, offered: Sequence[str]) -> Place:
    """Return the place that a device means here; `offered` is what onnxruntime was built for.

    On `auto` it is CUDA where the build has it, OpenVINO where the build is OpenVINO's own, and
    else the CPU; TensorRT, which builds an engine for minutes, is only ever named.
    """
    if device != "auto":
        return device
    for place in ("cuda", "openvino"):
        if PROVIDERS[place] in offered:
            return place
    return "cpu"


def places(asked: Place) -> tuple[Place, ...]:
    """Return where a network is tried, in that order."""
    return _NEXT[asked]


def absent(place: Place, offered: Sequence[str], version: str) -> str:
    """Say why a place is not had where onnxruntime was not built for it; empty where it was."""
    if PROVIDERS[place] in offered:
        return ""
    has = ", ".join(name.removesuffix("ExecutionProvider") for name in offered)
    return f"this onnxruntime ({version}) was built without it and has {has or 'nothing'}"


def chain(
    place: Place,
    path: Path | None = None,
    *,
    threads: int = 1,
    cache: Path | None = None,
    full_precision: bool = False,
    intel: str = OPENVINO_DEVICES[-1],
) -> list[tuple[str, dict[str, str]]]:
    """Return onnxruntime's providers with what each is told, the wanted one first.

    `cache` is the folder for TensorRT's engines, `intel` one of OPENVINO_DEVICES. Nodes that a
    provider does not take go on to the next; the CPU takes all.
    """
    exact = {"precision": "ACCURACY"} if full_precision else {}
    half = {"trt_fp16_enable": "0"} if full_precision else {}
    told: Mapping[Place, Options] = {
        "cuda": CUDA,
        "openvino": {"device_type": intel, "num_of_threads": str(threads), **exact},
        "tensorrt": {**TENSORRT, **half, **(_engines(path, cache) if place == "tensorrt" else {})},
    }
    return [(PROVIDERS[each], dict(told.get(each, {}))) for each in _NEXT[place]]


def place_of(registered: Sequence[str], assigned: Collection[str] | None) -> Place:
    """Return where a session runs: its providers in order, and those that were given operators.

    None where this onnxruntime does not tell the second: a provider may be there and take nothing.
    """
    by_name = {name: place for place, name in PROVIDERS.items()}
    for name in registered:
        if name in by_name and (assigned is None or name in assigned):
            return by_name[name]
    return "cpu"


def precision_of(place: Place, own: str, full_precision: bool, intel: str) -> str:
    """Return what a network whose own is `own` reckons in: some places halve it by themselves."""
    halves = place == "tensorrt" or (place == "openvino" and intel == "GPU")
    return "fp16" if halves and own == "fp32" and not full_precision else own


# --- TensorRT's engines ----------------------------------------------------------------------


def _engines(path: Path | None, cache: Path | None) -> dict[str, str]:
    """Return where the engine of a network is kept; nowhere where its card cannot be told."""
    if cache is None or path is None or not (card := card_key()):
        return {}
    folder = engine_folder(cache, path, card)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.utime(folder)
    except OSError as error:
        log.warning("%s cannot be written: TensorRT builds its engines anew: %s", folder, error)
        return {}
    sweep_engines(cache)
    where = str(folder)
    return {
        **TENSORRT_CACHE,
        "trt_engine_cache_path": where,
        "trt_timing_cache_path": where,
    }


def engine_folder(cache: Path, path: Path, card: str) -> Path:
    """Return the folder for one network's engine on one card.

    TensorRT's own names tell neither the weights nor the driver, so that an engine of other
    weights of the same architecture would be taken for this one's: the folder tells both.
    """
    stat = path.stat()
    told = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {card}"
    return cache / hashlib.sha256(told.encode()).hexdigest()[:16]


def sweep_engines(cache: Path, now_s: float | None = None) -> None:
    """Delete engines that were not used for long; what cannot be deleted stays."""
    limit_s = (time.time() if now_s is None else now_s) - ENGINES_KEPT_S
    for folder in cache.iterdir():
        if re.fullmatch(r"[0-9a-f]{16}", folder.name) and folder.stat().st_mtime < limit_s:
            shutil.rmtree(folder, ignore_errors=True)


@cache
def card_key() -> str:
    """Return the card, its driver, and TensorRT's and onnxruntime's versions; "" if unknown."""
    card, tensorrt = _card(), tensorrt_version()
    return f"{card} {tensorrt} {_version('onnxruntime-gpu')}" if card and tensorrt else ""


def _card() -> str:
    """Return what nvidia-smi says of the cards: name, driver, compute capability."""
    query = ("--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader")
    known = shutil.which("nvidia-smi")
    for tool in (known, *gpu.SMI) if known else gpu.SMI:
        try:
            told = subprocess.run(
                (tool, *query),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=30,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return told.stdout.decode("utf-8", "replace").strip()
    return ""


@cache
def tensorrt_version() -> str:
    """Load TensorRT's libraries and return their version; empty where there are none.

    A Python package of them lies where the loader does not look by itself.
    """
    named = next((told for name in _TENSORRT if (told := _version(name))), "")
    own = _load_packaged()
    for name in ("libnvinfer.so.11", "libnvinfer.so.10", "nvinfer_11.dll", "nvinfer_10.dll"):
        try:
            return str(ctypes.CDLL(name).getInferLibVersion())
        except (OSError, AttributeError):
            continue
    return named if own else ""


_TENSORRT = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")


def _load_packaged() -> bool:
    """Load TensorRT's libraries from the package tensorrt_libs; False where it is not there."""
    spec = importlib.util.find_spec("tensorrt_libs")
    loaded = False
    for folder in spec.submodule_search_locations or () if spec else ():
        for pattern in ("*nvinfer.so.*", "*nvinfer_plugin.so.*", "*nvonnxparser.so.*"):
            for library in sorted(Path(folder).glob(pattern)):
                try:
                    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
                    loaded = True
                except OSError as error:
                    log.debug("%s does not load: %s", library, error)
    return loaded


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


# --- onnxruntime's own reason ----------------------------------------------------------------

_ALOUD = """
import sys
sys.path.insert(0, sys.argv[1])
from stash_sense_plugin.inference import session
session.try_aloud(sys.argv[2])
"""
_ROOT = Path(__file__).resolve().parents[2]
TRIAL_S = 120.0


def reason(place: Place) -> str:
    """Return onnxruntime's own words why it does not take a place; empty where it has none.

    It says them to the process's standard error alone and goes on without: so it is asked again,
    in a process of its own.
    """
    words = (sys.executable, "-I", "-B", "-W", "ignore", "-c", _ALOUD, str(_ROOT), place)
    try:
        told = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"it could not be tried: {error}"
    return telling(told.stderr.decode("utf-8", "replace"))


_TELLING = (
    r"CUDA failure \d+: [^;\n]*",
    r"with error: ([^\n]*)",
    r"\[(?:OpenVINO|TensorRT)[^\]]*\] ([^\n]*)",
    r"Failed to create \w+ExecutionProvider\. ([^\n]*)",
    r"(Please install [^\n]*)",
)
_PAINT = re.compile(r"\x1b\[[0-9;]*m")


def telling(text: str, longest: int = 300) -> str:
    """Return the words that say why, out of what onnxruntime wrote; its last line where none do."""
    plain = _PAINT.sub("", text).strip()
    for pattern in _TELLING:
        if found := re.search(pattern, plain):
            return found.group(found.lastindex or 0).strip()[:longest]
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    return lines[-1][:longest] if lines else ""
