"""What a plan is made of: commands as data, and what their failures mean."""

from typing import NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from stash_sense_plugin.start import packages
from stash_sense_plugin.start.packages import Weight
from stash_sense_plugin.start.pythons import Interpreter

BY_HAND = (
    "make an environment with Python 3.11 or newer yourself, install requirements.txt into it"
    " and name its Python in STASH_SENSE_PYTHON"
)

Hint = Tuple[str, str]
"""What a command printed (a pattern), and what to do then."""

NETWORK: Hint = (
    r"(?i)name resolution|failed to establish|connection (refused|reset|timed)|timed? ?out"
    r"|network (is )?unreachable|temporary error|DNS|could not connect|ProxyError|SSLError",
    "the hosts named above cannot be reached from here: see to the network, the proxy or the"
    " firewall of this machine or container, then press Set up again",
)
FULL: Hint = (
    r"(?i)no space left|disk quota",
    "make room on the disk, or name a folder on another disk in STASH_SENSE_HOME",
)
NO_WHEEL: Hint = (
    r"No matching distribution found",
    "this kind of machine or this Python has no ready package of it: use Python 3.12 on x86_64"
    " or aarch64, or {}".format(BY_HAND),
)
PIP_HINTS = (FULL, NETWORK, NO_WHEEL)


class Step(NamedTuple):
    """One command of a set-up."""

    title: str
    argv: Tuple[str, ...]
    weight: float
    """Its share of the whole time; the shares of a plan add up to 1."""
    reaches_out: bool = False
    """Whether it connects to other machines."""
    hosts: Tuple[str, ...] = ()
    """Which ones, where that is known; pip knows its own."""
    hints: Tuple[Hint, ...] = ()


class Trial(NamedTuple):
    """Steps that may fail: then others are done, and the set-up goes on."""

    what: str
    steps: Tuple[Step, ...]
    otherwise: Tuple[Step, ...]
    runtime: str
    """What the environment has when they succeed."""
    weight: Weight


class Plan(NamedTuple):
    """How an environment comes about in `folder`."""

    interpreter: Interpreter
    steps: Tuple[Step, ...]
    check: Step
    weight: Weight
    runtime: str = ""
    """Which distribution of onnxruntime it has."""
    trial: Optional[Trial] = None
    """What is tried between the steps and the check."""
    why_no_gpu: str = ""
    """Why no graphics card is used; empty where there is none."""
    leans_on: Tuple[str, ...] = ()
    """Modules that lie outside of it, with the distribution's own packages."""


def install_loose(
    python: str, rows: "Tuple[str, ...]", weight: float, *options: str
) -> "Tuple[Step, ...]":
    """Return the step that installs rows without what they say that they need; none for none."""
    if not rows:
        return ()
    title = "Installing {}".format(" and ".join(packages.name_of(row) for row in rows))
    return (pip_install(title, python, ("--no-deps", *options, *rows), weight),)


def venv(path: str, folder: str, weight: float = 0.1, *options: str) -> Step:
    """Return the step that makes an empty environment."""
    return Step("Making the environment", (path, "-I", "-m", "venv", *options, folder), weight)


def pip_install(title: str, python: str, asked: "Tuple[str, ...]", weight: float) -> Step:
    """Return the step that lets an environment's own pip install what is asked for."""
    pip = (python, "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check")
    argv = (*pip, "--progress-bar", "off", *asked)
    return Step(title, argv, weight, reaches_out=True, hints=PIP_HINTS)


def check(python: str, modules: "Tuple[str, ...]" = packages.IMPORTS) -> "Tuple[str, ...]":
    """Return the command that imports all that the code imports, and fails if one does not."""
    return (python, "-I", "-B", "-c", "import " + ", ".join(modules))


def hosts(settings: str) -> "Tuple[str, ...]":
    """Return the hosts that pip would reach, from the output of `pip config list`.

    A folder on this machine is no host; without a setting pip has its own default.
    """
    found = []
    index = False
    for row in settings.splitlines():
        key, _, value = row.partition("=")
        name = key.strip().rsplit(".", 1)[-1]
        if name == "no-index" and value.strip(" '\"").lower() in ("1", "true", "yes", "on"):
            return ()
        if name not in ("index-url", "extra-index-url", "find-links"):
            continue
        index = index or name == "index-url"
        words = value.strip().strip("'\"").replace("\\n", " ").split()
        found += [urlsplit(word).hostname or "" for word in words]
    names = [] if index else ["the Python package index (pip's default)"]
    return tuple(dict.fromkeys(names + [host for host in found if host]))
