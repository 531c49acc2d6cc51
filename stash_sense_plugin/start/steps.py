"""What a plan is made of: commands as data, and what their failures mean."""

import errno
import signal
from typing import Mapping, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from stash_sense_plugin.start import packages
from stash_sense_plugin.start.fault import StartError
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
NO_ROOM = r"(?i)no space left|disk quota|not enough space on the disk"
FULL: Hint = (
    NO_ROOM,
    "make room on the disk, or name a folder on another disk in STASH_SENSE_HOME",
)
NO_WHEEL: Hint = (
    r"No matching distribution found",
    "what pip reaches, as named above, has no ready-made package of it for this machine and this"
    " Python: if that is a place of your own, see that it has it; else {}".format(BY_HAND),
)
PIP_HINTS = (FULL, NETWORK, NO_WHEEL)


NOTHING = Weight(0, 0)
LOCAL_S = 300.0
"""What works on this machine alone ends long before, unless it hangs, as a driver may."""


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
    by_pip: bool = False
    hints: Tuple[Hint, ...] = ()
    weight_alone: Weight = NOTHING
    """What it brings beside the packages that pip brings."""
    limit_s: Optional[float] = None
    """After this time it is taken to hang, and has failed; it prints nothing of use meanwhile."""


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
    optional: Tuple[Step, ...] = ()
    """What comes before the check and may fail: that is told, and nothing is missed that tags."""
    left_out: str = ""
    """What there is none of for this machine, in a sentence; empty where nothing is."""
    leans_on: Tuple[str, ...] = ()
    """Modules that may lie outside of it, with the distribution's own packages."""


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
    # A user's pip.conf may say `user = true`, which an environment refuses.
    argv = (*pip, "--no-user", "--progress-bar", "off", *asked)
    return Step(title, argv, weight, reaches_out=True, by_pip=True, hints=PIP_HINTS)


def check(python: str, modules: "Tuple[str, ...]" = packages.IMPORTS) -> "Tuple[str, ...]":
    """Return the command that imports all that the code imports, and fails if one does not."""
    return (python, "-I", "-B", "-c", "import " + ", ".join(modules))


def checking(title: str, argv: "Tuple[str, ...]", weight: float) -> Step:
    """Return a step that works on this machine alone, and is not waited for if it hangs."""
    return Step(title, argv, weight, limit_s=LOCAL_S)


def settings_of(variables: "Mapping[str, str]") -> str:
    """Return what pip is told by variables, written as `pip config list` writes it."""
    rows = []
    for name, value in variables.items():
        if name.startswith("PIP_") and value:
            setting = name[len("PIP_") :].lower().replace("_", "-")
            rows.append(":env:.{}={!r}".format(setting, value))
    return "\n".join(rows)


def refuse_settings(settings: str) -> None:
    """Raise StartError where pip's files name a place to install to, which would beat ours."""
    for row in settings.splitlines():
        key, _, value = row.partition("=")
        if key.strip().rsplit(".", 1)[-1] in ("target", "prefix", "root"):
            raise StartError(
                "pip's settings say that packages go to {} ({})".format(
                    value.strip().strip("'\""), key.strip()
                ),
                "take that row out of pip's settings (`pip config debug` names their files), then"
                " press Set up again",
            )


def ended(status: int, rows: "Sequence[str]") -> str:
    """Say how a command failed, with what it printed last."""
    how = "failed with status {}".format(status)
    if status < 0:
        how = "was ended by {}".format(_signal(-status))
    return "{} ({})".format(how, " | ".join(rows)) if rows else how


def full(error: BaseException) -> bool:
    """Tell whether an error says that a disk is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def unwritten(path: str, error: OSError) -> StartError:
    """Return the error of a file that cannot be written."""
    remedy = (
        FULL[1]
        if full(error)
        else "let the user that runs Stash write there, or name another folder in STASH_SENSE_HOME"
    )
    return StartError("Cannot write {} ({})".format(path, error.strerror), remedy)


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return "signal {}".format(number)
    causes = {"SIGKILL": "memory may be short", "SIGILL": "this processor lacks what it needs"}
    return "{}, {}".format(name, causes[name]) if name in causes else name


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
