"""What this machine is, as far as it decides how we are set up and run."""

import os
import platform
import re
import shutil
import socket
import sys
from typing import Any, Dict, NamedTuple, Optional, Tuple

from stash_sense_plugin.start import distribution, gpu, pythons
from stash_sense_plugin.start.distribution import Apk, Distribution
from stash_sense_plugin.start.gpu import Gpu
from stash_sense_plugin.start.paths import read_text
from stash_sense_plugin.start.pythons import Interpreter

GLIBC = "glibc"
MUSL = "musl"
MACOS = "macos"
WINDOWS = "windows"
OTHER = "other"

KINDS = {
    GLIBC: "Linux (glibc)",
    MUSL: "Linux as Alpine is (musl)",
    MACOS: "macOS",
    WINDOWS: "Windows",
}
"""Their names for people."""

SYSTEM_PYTHON = "/usr/bin/python3"
"""The distribution's own: it alone sees what the package manager installs."""

FROM_THE_SYSTEM = ("onnxruntime", "cv2", "pyclipper")
"""Modules that have no wheels for musl."""


class Machine(NamedTuple):
    """What was found here; sizes in bytes, -1 where they cannot be known."""

    system: str
    architecture: str
    libc: str
    """`glibc 2.36`, `musl`, or empty where there is neither."""
    interpreters: Tuple[Interpreter, ...]
    disk_free_bytes: int
    release: Distribution = Distribution()
    root: bool = False
    apk: Optional[Apk] = None
    brought: Tuple[str, ...] = ()
    """Those of FROM_THE_SYSTEM that `system_python` has already; musl only."""
    system_python: Optional[Interpreter] = None
    """The Python that has them all, or else the distribution's own; musl only."""
    container: str = ""
    """What Docker calls this container; empty outside one, or where that cannot be known."""
    gpu: Gpu = Gpu()
    system_free_bytes: int = -1
    """What is free on the disk that the package manager writes to; musl only."""

    @property
    def kind(self) -> str:
        """Which kind of set-up fits: glibc, musl, macos, windows, or other."""
        return kind_of(self.system, self.libc)


def kind_of(system: str, libc: str) -> str:
    """Return the kind of a system with a C library."""
    if system == "Linux":
        return GLIBC if libc.startswith(GLIBC) else MUSL
    return {"Darwin": MACOS, "Windows": WINDOWS}.get(system, OTHER)


def kind() -> str:
    """Return this machine's kind."""
    return kind_of(platform.system(), c_library())


def look(folder: str) -> Machine:
    """Look at this machine; `folder` names the disk that would be written to."""
    found = Machine(
        system=platform.system(),
        architecture=platform.machine(),
        libc=c_library(),
        interpreters=tuple(pythons.interpreters()),
        disk_free_bytes=disk_free_bytes(folder),
        release=distribution.look(),
        root=hasattr(os, "geteuid") and os.geteuid() == 0,
    )
    return _with_system(found) if found.kind == MUSL else found._replace(gpu=gpu.look())


def _with_system(found: Machine) -> Machine:
    """Add what counts where packages come from the distribution."""
    own = pythons.probe(SYSTEM_PYTHON)
    here = [one for one in found.interpreters if one.fits and (own is None or one != own)]
    python, brought = own, pythons.has_modules(own.path, FROM_THE_SYSTEM) if own else ()
    for other in here if brought != FROM_THE_SYSTEM else ():
        # An image of the user's own may have built them for another Python.
        if pythons.has_modules(other.path, FROM_THE_SYSTEM) == FROM_THE_SYSTEM:
            python, brought = other, FROM_THE_SYSTEM
    return found._replace(
        apk=distribution.look_for_apk(shutil.which("apk") or _at("/sbin/apk")),
        system_python=python,
        brought=brought,
        container=container_id(),
        system_free_bytes=disk_free_bytes("/"),
    )


def _at(path: str) -> "Optional[str]":
    return path if os.access(path, os.X_OK) else None


def container_maker(root: str = "/") -> str:
    """Return who made the container that this is, `Docker` or `Podman`; empty where neither did."""
    marks = (("run/.containerenv", "Podman"), (".dockerenv", "Docker"))
    return next((who for mark, who in marks if os.path.exists(os.path.join(root, mark))), "")


def container_id(root: str = "/") -> str:
    """Return the id by which Docker or Podman knows this container, when nobody renamed it."""
    name = socket.gethostname()
    return name if container_maker(root) and re.fullmatch(r"[0-9a-f]{12}", name) else ""


def c_library() -> str:
    """Return the name and version of Linux' C library."""
    if platform.system() != "Linux":
        return ""
    try:
        found = os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):
        found = None
    return found if found and found.startswith("glibc") else "musl"


CGROUP = "/sys/fs/cgroup"
"""Where the limits of this process' control group are told."""


def processors() -> int:
    """Return how many processors this process may run on, whatever quota it has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_quota(group: str = CGROUP) -> "Optional[float]":
    """Return how many processors the control group grants; None where it sets no limit."""
    limit, _, period = read_text(os.path.join(group, "cpu.max")).strip().partition(" ")
    if not limit:
        limit = read_text(os.path.join(group, "cpu/cpu.cfs_quota_us")).strip()
        period = read_text(os.path.join(group, "cpu/cpu.cfs_period_us")).strip()
    known = limit.isdigit() and period.isdigit() and int(period)
    return int(limit) / int(period) if known else None


def memory_bytes() -> int:
    """Return the memory of this machine, or of this container where that is less."""
    if sys.platform == "win32":
        return _windows_memory_bytes()
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0
    limits = (read_text(CGROUP + name) for name in ("/memory.max", "/memory/memory.limit_in_bytes"))
    return min([total, *(int(limit) for limit in limits if limit.strip().isdigit())])


def _windows_memory_bytes() -> int:
    """Ask Windows, by its GlobalMemoryStatusEx."""
    try:
        # A Python may come without it, and nothing else here needs it.
        import ctypes
    except ImportError:
        return 0
    library: Any = getattr(ctypes, "windll", None)
    if library is None:
        return 0
    # MEMORYSTATUSEX: its length and another number in the first 64 bits, then seven of 64.
    status = (ctypes.c_uint64 * 8)()
    status[0] = ctypes.sizeof(status)
    return int(status[1]) if library.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else 0


def disk_free_bytes(folder: str) -> int:
    """Return what is free where `folder` is or would be made; -1 where nobody tells."""
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return -1


CREATE_NEW_PROCESS_GROUP = 0x00000200
CREATE_NO_WINDOW = 0x08000000
"""Unlike DETACHED_PROCESS it leaves a hidden console, which programs that ours starts share."""


def apart(system: str) -> "Dict[str, Any]":
    """Return what Popen is told so that a process outlives us and shows no window."""
    if system == "Windows":
        return {"creationflags": CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
