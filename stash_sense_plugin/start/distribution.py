"""Which system this is for its users, and what its own packages are called."""

import glob
import os
import re
import shlex
from typing import Iterable, List, NamedTuple, Tuple
from urllib.parse import urlsplit

from stash_sense_plugin.start.paths import read_text


class Distribution(NamedTuple):
    """What /etc/os-release says; all empty where there is none."""

    name: str = ""
    """As people write it: `Debian 12`."""
    family: Tuple[str, ...] = ()
    """Its own id and those that it is like, the nearest first."""
    version: Tuple[int, ...] = ()


class Apk(NamedTuple):
    """Alpine's package manager, as far as Set up needs it."""

    path: str
    repositories: Tuple[str, ...]
    """The addresses that it fetches from."""

    @property
    def community(self) -> bool:
        """Whether the repository is enabled that has onnxruntime."""
        edge = ("community", "testing")
        return any(one.rstrip("/").rsplit("/", 1)[-1] in edge for one in self.repositories)

    @property
    def hosts(self) -> "Tuple[str, ...]":
        """The machines that it reaches; folders of this one do not count."""
        found = [urlsplit(one).hostname for one in self.repositories]
        return tuple(dict.fromkeys(host for host in found if host))


def read_release(text: str) -> Distribution:
    """Read the text of an os-release file."""
    values = {}
    for row in text.splitlines():
        name, assigned, value = row.strip().partition("=")
        if assigned and not name.startswith("#"):
            values[name] = _unquoted(value)
    family = [values.get("ID", ""), *values.get("ID_LIKE", "").split()]
    number = values.get("VERSION_ID", "")
    title = "{} {}".format(values.get("NAME", ""), number).strip()
    version = tuple(int(part) for part in re.findall(r"\d+", number))
    return Distribution(title, tuple(one.lower() for one in family if one), version)


def _unquoted(value: str) -> str:
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return value


def read_repositories(rows: "Iterable[str]") -> "Tuple[str, ...]":
    """Return the repositories of apk's rows: one to a row, or a base and its components (apk 3)."""
    found: List[str] = []
    for row in rows:
        words = [word for word in row.split("#")[0].split() if not word.startswith("@")]
        if len(words) > 1:
            found += ["{}/{}".format(words[0].rstrip("/"), part) for part in words[1:]]
        else:
            found += words
    return tuple(dict.fromkeys(found))


def look(root: str = "/") -> Distribution:
    """Return the distribution whose files lie under `root`."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        text = read_text(os.path.join(root, name))
        if text:
            return read_release(text)
    return Distribution()


def look_for_apk(path: "str | None", root: str = "/") -> "Apk | None":
    """Return what the package manager at `path` fetches from; None where there is none."""
    if not path:
        return None
    folder = os.path.join(root, "etc/apk")
    files = [os.path.join(folder, "repositories")]
    files += sorted(glob.glob(os.path.join(glob.escape(folder), "repositories.d", "*.list")))
    return Apk(
        path, read_repositories(row for file in files for row in read_text(file).splitlines())
    )


# --- What to install --------------------------------------------------------------------------

UV = "with uv (`uv python install 3.12`)"

INSTALLS = {
    "alpine": "apk add python3",
    "debian": "apt install python3 python3-venv",
    "ubuntu": "apt install python3 python3-venv",
    "fedora": "dnf install python3.12",
    "rhel": "dnf install python3.12",
    "arch": "pacman -S python",
    "suse": "zypper install python312",
    "opensuse": "zypper install python312",
    "void": "xbps-install python3",
    "gentoo": "emerge dev-lang/python:3.12",
}
"""The command that installs a Python that fits, by the family of the distribution."""

TOO_OLD = {"debian": (12,), "ubuntu": (22,), "alpine": (3, 18), "rhel": (8,)}
"""The first version that has a Python that fits."""


def python_wanted(system: str, release: Distribution) -> str:
    """Say how a Python that fits comes onto this system."""
    if system == "Darwin":
        return "brew install python@3.12, or take the installer from python.org"
    if system == "Windows":
        return "winget install Python.Python.3.12, or take the installer from python.org"
    known = next((one for one in release.family if one in INSTALLS), "")
    if not known:
        return "install one from the distribution, or {}".format(UV)
    # What stands only in ID_LIKE numbers its own versions in its own way.
    if known == release.family[0]:
        if release.version and release.version < TOO_OLD.get(known, ()):
            return "{} has none: install one {}".format(release.name, UV)
        if known == "ubuntu" and release.version[:1] == (22,):
            return "apt install python3.11 python3.11-venv"
    return INSTALLS[known]


def venv_wanted(system: str, release: Distribution, version: str) -> str:
    """Say how the module venv comes to a Python that lacks it."""
    if system != "Linux":
        return "install Python {} again from python.org, whole".format(version)
    for family in release.family:
        if family in ("debian", "ubuntu"):
            return "apt install python{0}-venv (or python3-venv)".format(version)
        if family in ("suse", "opensuse"):
            return "zypper install python{}-base".format(version.replace(".", ""))
        if family == "fedora":
            return "dnf install python{}-libs".format(version)
        if family == "alpine":
            return "apk add python3"
    return "install the package python{}-venv (or python3-venv)".format(version)
