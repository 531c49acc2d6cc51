"""The graphics card: what its driver can do, and which onnxruntime follows from that."""

import glob
import os
import re
import shutil
import subprocess
from typing import NamedTuple, Optional, Sequence, Tuple

OFF = "STASH_SENSE_GPU"
"""Set to `off`, it keeps Set up from looking for a graphics card."""

VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}

CUDA_OF_DRIVERS = ((580, (13, 0)), (525, (12, 0)), (450, (11, 0)))
"""The first driver of each CUDA (NVIDIA's table of minor version compatibility)."""

SMI = (
    "/usr/bin/nvidia-smi",
    "/usr/lib/wsl/lib/nvidia-smi",
    r"C:\Windows\System32\nvidia-smi.exe",
    r"C:\Program Files\NVIDIA Corporation\NVSMI\nvidia-smi.exe",
)

LIBRARIES = ("libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "nvcuda.dll")
"""The driver's library for computing, on Linux, in WSL and on Windows."""


class Gpu(NamedTuple):
    """What was found: the maker's name, and of NVIDIA's driver its version and its CUDA's."""

    maker: str = ""
    driver: str = ""
    cuda: Tuple[int, int] = (0, 0)
    computes: bool = True
    """False where the driver's library for computing cannot be reached from here."""

    @property
    def found(self) -> str:
        """It in words, empty where there is none."""
        if not self.driver:
            return self.maker and "{} graphics".format(self.maker)
        cuda = ", CUDA {}.{}".format(*self.cuda) if self.cuda > (0, 0) else ""
        return "{} driver {}{}".format(self.maker, self.driver, cuda)


class Runtime(NamedTuple):
    """An onnxruntime for graphics cards, by what pip is asked for."""

    requirement: str
    cuda: str
    download_bytes: int
    disk_bytes: int


RUNTIMES = {
    # 1.27 names packages of CUDA 13 that do not exist under those names any more.
    13: Runtime("onnxruntime-gpu[cuda,cudnn]>=1.28,<2", "13", 1_570_000_000, 2_500_000_000),
    12: Runtime("onnxruntime-gpu[cuda,cudnn]>=1.21,<1.27", "12", 1_990_000_000, 3_200_000_000),
}
"""Which releases are built for which CUDA, with their sizes as measured on Linux; the extras bring
CUDA's and cuDNN's own libraries."""


def look(
    root: str = "/",
    tools: "Optional[Sequence[str]]" = None,
    libraries: "Sequence[str]" = LIBRARIES,
) -> Gpu:
    """Look for a graphics card; `root` is where the system's files lie.

    `tools` are the paths where nvidia-smi may lie (None: the usual ones), and `libraries` the
    names of the driver's own library.
    """
    if os.environ.get(OFF, "").lower() in ("off", "0", "no", "false"):
        return Gpu()
    driver, cuda = read_smi(_smi(_usual_tools() if tools is None else tools))
    if not driver:
        driver = _of_kernel(_read(os.path.join(root, "proc/driver/nvidia/version")))
        cuda = _cuda_of(driver)
    if driver:
        return Gpu("NVIDIA", driver, cuda, computes=_loads(libraries))
    return Gpu(maker_of(root))


def maker_of(root: str) -> str:
    """Return who made the graphics card that the kernel shows; NVIDIA's counts first."""
    seen = set()
    pattern = os.path.join(glob.escape(root), "sys/class/drm/card[0-9]*/device/vendor")
    for path in glob.glob(pattern):
        seen.add(VENDORS.get(_read(path).strip().lower(), ""))
    return next((maker for maker in VENDORS.values() if maker in seen), "")


def choose(found: Gpu, system: str, architecture: str) -> "Tuple[Optional[Runtime], str]":
    """Return the runtime that this card's driver can run, or None with the reason.

    The reason is empty where there is no graphics card at all.
    """
    if not found.driver:
        return None, _without_driver(found.maker)
    if (system, architecture) not in (("Linux", "x86_64"), ("Windows", "AMD64")):
        return None, "there is no onnxruntime with CUDA for {} {}".format(system, architecture)
    if not found.computes:
        return None, (
            "the driver is here, and its library {} is not: in a container, start it with"
            " --gpus all and NVIDIA_DRIVER_CAPABILITIES=compute,utility,video".format(
                LIBRARIES[2] if system == "Windows" else LIBRARIES[0]
            )
        )
    runtime = RUNTIMES.get(min(found.cuda[0], max(RUNTIMES)))
    if runtime is None:
        known = "CUDA {}.{}".format(*found.cuda) if found.cuda > (0, 0) else "no CUDA known to us"
        return None, "its driver has {}, and CUDA 12 (driver 525) or newer is needed".format(known)
    return runtime, ""


# A convolution of ones, 1x1x3x3 by 1x1x2x2, as ONNX: what it gives is all fours. It runs through
# cuDNN, so a card that the libraries no longer know fails here and not at the first scene.
NETWORK = (
    "CAgSADpvCg8KAXgKAXcSAXkiBENvbnYSAWcqHwgBCAEIAggCEAFCAXdKEAAAgD8AAIA/AACAPwAAgD9aGwoBeBIWChQI"
    "ARIQCgIIAQoCCAEKAggDCgIIA2IbCgF5EhYKFAgBEhAKAggBCgIIAQoCCAIKAggCQgQKABAN"
)

PROOF = """
import base64, sys, numpy, onnxruntime
if hasattr(onnxruntime, "preload_dlls"):
    onnxruntime.preload_dlls()
session = onnxruntime.InferenceSession(
    base64.b64decode(sys.argv[1]), providers=["CUDAExecutionProvider", "CPUExecutionProvider"]
)
came = session.get_providers()[0]
given = session.run(None, {"x": numpy.ones((1, 1, 3, 3), "float32")})[0]
if came != "CUDAExecutionProvider" or not (given == 4).all():
    sys.exit("onnxruntime gave {} and {}".format(came, given.ravel().tolist()))
"""

REMOVAL = """
import importlib.metadata, subprocess, sys
names = {one.metadata["Name"] or "" for one in importlib.metadata.distributions()}
gone = sorted(one for one in names if one.lower().startswith(("onnxruntime", "nvidia-", "nvidia_")))
uninstall = [sys.executable, "-I", "-m", "pip", "uninstall", "--yes", "--quiet", *gone]
sys.exit(subprocess.call(uninstall) if gone else 0)
"""


def proof(python: str) -> "Tuple[str, ...]":
    """Return the command that runs a network through CUDA, and fails if it went another way."""
    return (python, "-I", "-B", "-c", PROOF, NETWORK)


def removal(python: str) -> "Tuple[str, ...]":
    """Return the command that takes every onnxruntime and all of CUDA out of an environment."""
    return (python, "-I", "-B", "-c", REMOVAL)


def reason(rows: "Sequence[str]") -> str:
    """Return, from what a failed trial printed, the words that say why; empty without any."""
    for pattern in (
        r"CUDA failure \d+: [^;]*",
        r"with error: (.*)",
        r"(no kernel image[^;]*)",
        r"^ERROR: (.*)",
        r"(onnxruntime gave .*)",
    ):
        for row in rows:
            found = re.search(pattern, row)
            if found:
                return found.group(found.lastindex or 0).strip()[:200]
    return ""


def _without_driver(maker: str) -> str:
    if maker == "NVIDIA":
        return "NVIDIA's own driver is not installed"
    return "only NVIDIA's graphics cards are used, through CUDA" if maker else ""


def read_smi(text: str) -> "Tuple[str, Tuple[int, int]]":
    """Read the heading of nvidia-smi: the driver's version, and the newest CUDA that it runs."""
    driver = re.search(r"Driver Version:\s*([\d.]+)", text)
    cuda = re.search(r"CUDA(?: \w+)? Version:\s*(\d+)\.(\d+)", text)
    if driver is None:
        return "", (0, 0)
    known = (int(cuda.group(1)), int(cuda.group(2))) if cuda else _cuda_of(driver.group(1))
    return driver.group(1), known


def _of_kernel(text: str) -> str:
    """Read the driver's version from /proc/driver/nvidia/version."""
    found = re.search(r"^NVRM version:.*?\s(\d{3,}\.\d[\d.]*)\s", text, re.MULTILINE)
    return found.group(1) if found else ""


def _cuda_of(driver: str) -> "Tuple[int, int]":
    major = int(driver.split(".")[0] or 0) if driver else 0
    return next((cuda for first, cuda in CUDA_OF_DRIVERS if major >= first), (0, 0))


def _usual_tools() -> "Tuple[str, ...]":
    known = shutil.which("nvidia-smi")
    return (known, *SMI) if known else SMI


def _smi(tools: "Sequence[str]") -> str:
    """Return what the first tool that works prints; one that hangs or fails tells nothing."""
    for path in tools:
        if os.path.exists(path):
            try:
                return subprocess.run(
                    [path],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    timeout=30,
                    check=True,
                ).stdout.decode("utf-8", "replace")
            except (OSError, subprocess.SubprocessError):
                continue
    return ""


def _loads(libraries: "Sequence[str]") -> bool:
    """Tell whether the driver's library loads; a container may have been given only its tools."""
    try:
        # A Python may come without it, and nothing else here needs it.
        import ctypes
    except ImportError:
        return True  # Nobody knows: a trial tells.
    for name in libraries:
        try:
            ctypes.CDLL(name)
            return True
        except OSError:
            continue
    return False


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
