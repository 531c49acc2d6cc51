"""What this machine has, as far as it decides which networks run."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from stash_sense_plugin.errors import ModelError
from stash_sense_plugin.inference import runtime
from stash_sense_plugin.inference.session import usable_cpus
from stash_sense_plugin.start import environment, gpu, machine
from stash_sense_plugin.start.paths import Home
from stash_sense_plugin.tasks.presets import Hardware

NVML = ("nvml.dll",) if sys.platform == "win32" else ("libnvidia-ml.so.1", "libnvidia-ml.so")
"""NVIDIA's library for looking at its cards, which comes with the driver."""

ON_NVIDIA = frozenset({"cuda", "tensorrt"})
"""The devices of networks that run on such a card."""


class Here:
    """Looks at this machine; what does not change while a process lives is looked at once."""

    def __init__(
        self,
        home: Path,
        package: Path,
        device: Callable[[], str] = lambda: runtime.look().device,
        libraries: Sequence[str] = NVML,
    ) -> None:
        """`device` tells where a network comes to run; `libraries` are names of NVML."""
        self._home, self._package = home, package
        self._device = device
        self._libraries = libraries
        self._fixed: Hardware | None = None

    def __call__(self) -> Hardware:
        """Return what is here now."""
        if self._fixed is None:
            self._fixed = Hardware(usable_cpus(), machine.memory_bytes(), self._gpu_memory_bytes())
        fixed, can_export = self._fixed, extras_python(self._home, self._package) is not None
        return Hardware(fixed.cpus, fixed.memory_bytes, fixed.gpu_memory_bytes, can_export)

    def _gpu_memory_bytes(self) -> int | None:
        """Return the memory of the card that networks run on; None where they run on none."""
        memory = nvidia_memory_bytes(self._libraries)
        if memory is None:
            return None
        # A card whose driver or libraries no network can use is none.
        with suppress(ModelError):
            return memory if self._device() in ON_NVIDIA else None
        return None


def extras_python(home: Path, package: Path) -> Path | None:
    """Return the Python of the extras; None where they are not set up."""
    place = Home(str(home))
    with suppress(OSError):
        if environment.extras_state(place, str(package)) == environment.READY:
            return Path(environment.extras_python(place))
    return None


def nvidia_memory_bytes(
    libraries: Sequence[str] = NVML, load: Callable[[str], Any] | None = None
) -> int | None:
    """Return the memory of the first NVIDIA card, the one that networks use; None without one.

    The driver's own library is asked, for a program of its own would take half a second. `load`
    opens a library by its name.
    """
    if os.environ.get(gpu.OFF, "").lower() in ("off", "0", "no", "false"):
        return None
    try:
        # A Python may come without it, and nothing else here needs it.
        import ctypes
    except ImportError:
        return None
    for name in libraries:
        with suppress(OSError, AttributeError):
            return _first_card_bytes(ctypes, (load or ctypes.CDLL)(name))
    return None


def _first_card_bytes(ctypes: Any, nvml: Any) -> int | None:
    if nvml.nvmlInit_v2():
        return None
    try:
        # nvmlMemory_t: total, free and used.
        card, memory = ctypes.c_void_p(), (ctypes.c_ulonglong * 3)()
        if nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(card)):
            return None
        if nvml.nvmlDeviceGetMemoryInfo(card, ctypes.byref(memory)):
            return None
        return int(memory[0]) or None
    finally:
        nvml.nvmlShutdown()
