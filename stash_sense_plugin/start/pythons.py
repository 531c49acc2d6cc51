"""The Pythons of a machine: where to look for them, and what each of them is."""

import glob
import locale
import ntpath
import os
import re
import subprocess
import sys
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

OLDEST = (3, 11)
NEWEST = (3, 14)

BEST = ("3.12", "3.13", "3.11", "3.14")
"""The first have had wheels for longest."""

PROBE = """
import sys, sysconfig, importlib.util as u
def has(name):
    return int(u.find_spec(name) is not None)
print(
    *sys.version_info[:2], has("ensurepip") and has("venv"), sys.implementation.name,
    int(sys.maxsize > 2 ** 32), int(bool(sysconfig.get_config_var("Py_GIL_DISABLED"))),
    has("_ssl"), has("_sqlite3"), getattr(sys, "_base_executable", "") or sys.executable,
)
"""


class Interpreter(NamedTuple):
    """A Python on this machine."""

    path: str
    version: Tuple[int, int]
    makes_environments: bool
    """False where the distribution keeps `venv` and `ensurepip` in a package of their own."""
    fault: str = ""
    """Why no packages are built for this kind of Python, or it cannot do our work; mostly empty."""

    @property
    def fits(self) -> bool:
        """Whether our packages run on it."""
        return OLDEST <= self.version <= NEWEST and not self.fault

    @property
    def name(self) -> str:
        """Its name for people: `3.11`; empty while its version is not known."""
        return "{}.{}".format(*self.version) if self.version > (0, 0) else ""

    @property
    def told(self) -> str:
        """Its name and what keeps it from being of use: `3.11 (PyPy)`."""
        return "{} ({})".format(self.name, self.fault) if self.fault else self.name


def interpreters() -> "List[Interpreter]":
    """Return the Pythons found here, in the order in which they are preferred."""
    here = [sys.executable, *candidates(sys.platform, os.environ, _launcher())]
    known = (probe(path) for path in here if path and os.access(path, os.X_OK))
    return each_once(one for one in known if one is not None)


def each_once(found: "Iterable[Interpreter]") -> "List[Interpreter]":
    """Leave out what is one installation under a second path."""
    once: Dict[str, Interpreter] = {}
    for one in found:
        once.setdefault(os.path.normcase(os.path.realpath(one.path)), one)
    return list(once.values())


def candidates(
    platform: str, variables: Mapping[str, str], launcher: str = "", root: str = ""
) -> "Tuple[str, ...]":
    """Return the paths where a Python may lie, the best first; `launcher` is what `py` lists.

    `root` stands before the folders of the system, so that a test has some of its own.
    """
    if platform == "win32":
        return _windows(variables, launcher)
    path = [folder for folder in variables.get("PATH", "").split(os.pathsep) if folder]
    usual = [root + folder for folder in _usual(platform)]
    of_user = _of_user(variables.get("HOME", ""))
    named = ["python" + version for version in BEST]
    found = [os.path.join(folder, name) for name in named for folder in [*path, *usual, *of_user]]
    found += [
        os.path.join(folder, name) for name in ("python3", "python") for folder in path + usual
    ]
    there: Dict[str, str] = {}
    for one in found:
        if os.path.exists(one) and _may_run(platform, one):
            there.setdefault(os.path.realpath(one), one)
    return tuple(there.values())


def _usual(platform: str) -> "List[str]":
    """Return the system's folders: what launchd and service managers give as PATH lacks some."""
    if platform != "darwin":
        return ["/usr/local/bin", "/usr/bin"]
    versions = "/Library/Frameworks/Python.framework/Versions"
    brewed = ["/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin"]
    kegs = ["{}/opt/python@{}/bin".format(base, v) for base in BREWS for v in BEST]
    return [*brewed, *kegs, *["{}/{}/bin".format(versions, version) for version in BEST]]


BREWS = ("/opt/homebrew", "/usr/local")


def _of_user(home: str) -> "List[str]":
    """Return where the user's own tools keep Pythons: pipx and uv, and pyenv."""
    if not home:
        return []
    start = glob.escape(home)
    found = [os.path.join(home, ".local", "bin")]
    for pattern in (".pyenv/versions/*/bin", ".local/share/uv/python/*/bin"):
        found += sorted(glob.glob(os.path.join(start, pattern)), reverse=True)
    return found


def _may_run(platform: str, path: str) -> bool:
    """Tell whether asking this Python is harmless: macOS' own opens a window that sells Xcode."""
    return not (platform == "darwin" and path.startswith("/usr/bin/"))


def _windows(variables: Mapping[str, str], launcher: str) -> "Tuple[str, ...]":
    found = re.findall(r"[A-Za-z]:\\[^\r\n*?\"<>|]*?python[0-9.]*\.exe", launcher, re.IGNORECASE)
    for name, tail in (
        ("LOCALAPPDATA", r"Programs\Python\Python{}\python.exe"),
        ("LOCALAPPDATA", r"Python\pythoncore-{}-64\python.exe"),
        ("ProgramFiles", r"Python{}\python.exe"),
    ):
        base = variables.get(name)
        for version in BEST if base else ():
            short = version if "pythoncore" in tail else version.replace(".", "")
            found.append(ntpath.join(str(base), tail.format(short)))
    for folder in variables.get("PATH", "").split(";"):
        found += [ntpath.join(folder, "python.exe")] if folder else []
    return tuple(dict.fromkeys(sorted(found, key=_windows_rank)))


def _windows_rank(path: str) -> "Tuple[bool, int]":
    """Put the best version first, and the Store's aliases, which may run nothing, last."""
    digits = re.search(r"python(?:core-)?(3)\.?(\d\d)", path, re.IGNORECASE)
    version = "{}.{}".format(*digits.groups()) if digits else ""
    return "windowsapps" in path.lower(), BEST.index(version) if version in BEST else len(BEST)


def _launcher() -> str:
    """Return what Windows' launcher lists; empty elsewhere."""
    return _told(("py", "-0p")) if sys.platform == "win32" else ""


def probe(path: str) -> "Optional[Interpreter]":
    """Ask a Python what it is; None for a name that runs nothing, such as an empty shim."""
    # Windows' pipes speak an old code page, which has not the letters of every user's name.
    return read_probe(_told((path, "-I", "-S", "-X", "utf8", "-c", PROBE)))


def read_probe(text: str) -> "Optional[Interpreter]":
    """Read what PROBE prints; None for anything else."""
    words = text.strip().split(" ", 8)
    try:
        version = int(words[0]), int(words[1])
        return Interpreter(words[8], version, words[2] == "1", _fault(*words[3:8]))
    except (ValueError, IndexError):
        return None


def _fault(kind: str, wide: str, without_lock: str, ssl: str, sqlite: str) -> str:
    """Say why a Python is of no use to us, the most telling reason first."""
    if kind != "cpython":
        return KINDS.get(kind, kind)
    if wide != "1":
        return "32 bits"
    if without_lock == "1":
        return "free-threaded"
    missing = [name for name, has in (("ssl", ssl), ("sqlite3", sqlite)) if has != "1"]
    return "without its module {}".format(" and ".join(missing)) if missing else ""


KINDS = {"pypy": "PyPy", "graalpy": "GraalPy"}


def has_modules(path: str, names: "Iterable[str]") -> "Tuple[str, ...]":
    """Return those modules that a Python finds, without importing them."""
    asked = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n)])"
    return tuple(_told((path, "-I", "-c", asked, *names)).split())


def _told(argv: "Tuple[str, ...]") -> str:
    """Return what a program prints; empty where it is not there, fails or hangs."""
    try:
        told = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    return text_of(told, locale.getpreferredencoding(False))


def text_of(raw: bytes, encoding: str) -> str:
    """Return what a program wrote, in UTF-8 or else in the system's own encoding."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode(encoding, "surrogateescape")
