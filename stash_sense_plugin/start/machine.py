"""What this machine is, as far as it decides how we are set up and run."""

import os
import platform
import shutil
import subprocess
import sys
from typing import List, NamedTuple, Optional, Tuple

OLDEST = (3, 11)
NEWEST = (3, 14)

NAMES = ("python3.12", "python3.13", "python3.11", "python3.14", "python3", "python")
"""Where to look after the Python that runs us; the first have had wheels for longest."""

PROBE = (
    "import sys, importlib.util as u;"
    "print(*sys.version_info[:2], int(u.find_spec('ensurepip') is not None and"
    " u.find_spec('venv') is not None), getattr(sys, '_base_executable', '') or sys.executable)"
)


class Interpreter(NamedTuple):
    """A Python on this machine."""

    path: str
    version: Tuple[int, int]
    makes_environments: bool
    """False where the distribution keeps `venv` and `ensurepip` in a package of their own."""

    @property
    def fits(self) -> bool:
        """Whether our packages run on it."""
        return OLDEST <= self.version <= NEWEST

    @property
    def name(self) -> str:
        """Its name for people: `3.11`."""
        return "{}.{}".format(*self.version)


class Machine(NamedTuple):
    """What was found here; sizes in bytes, 0 where they cannot be known."""

    system: str
    architecture: str
    libc: str
    """`glibc 2.36`, `musl`, or empty where there is neither."""
    interpreters: Tuple[Interpreter, ...]
    memory_bytes: int
    disk_free_bytes: int
    processors: int

    @property
    def glibc(self) -> bool:
        """Whether this is Linux with the GNU C library."""
        return self.system == "Linux" and self.libc.startswith("glibc")


def look(folder: str) -> Machine:
    """Look at this machine; `folder` names the disk that would be written to."""
    return Machine(
        system=platform.system(),
        architecture=platform.machine(),
        libc=c_library(),
        interpreters=tuple(interpreters()),
        memory_bytes=memory_bytes(),
        disk_free_bytes=disk_free_bytes(folder),
        processors=os.cpu_count() or 1,
    )


def c_library() -> str:
    """Return the name and version of Linux' C library."""
    if platform.system() != "Linux":
        return ""
    try:
        found = os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):
        found = None
    return found if found and found.startswith("glibc") else "musl"


def interpreters() -> "List[Interpreter]":
    """Return the Pythons found here, in the order in which they are preferred."""
    paths = [sys.executable] + [shutil.which(name) for name in NAMES]
    found: List[Interpreter] = []
    for path in dict.fromkeys(path for path in paths if path):
        known = _probe(path)
        if known is not None and known.path not in [one.path for one in found]:
            found.append(known)
    return found


def _probe(path: str) -> "Optional[Interpreter]":
    """Ask a Python what it is; None for a name that runs nothing, such as an empty shim."""
    try:
        told = subprocess.run(
            [path, "-I", "-S", "-c", PROBE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=True,
        ).stdout.decode("utf-8", "surrogateescape")
        major, minor, makes, real = told.strip().split(" ", 3)
        return Interpreter(real, (int(major), int(minor)), makes == "1")
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def memory_bytes() -> int:
    """Return the memory of this machine, or of this container where that is less."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as file:
                total = min(total, int(file.read()))
        except (OSError, ValueError):
            continue
    return total


def disk_free_bytes(folder: str) -> int:
    """Return what is free where `folder` is or would be made."""
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
