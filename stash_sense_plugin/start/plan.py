"""How the environment is made here: steps as data, decided from what the machine is."""

from typing import NamedTuple, Tuple
from urllib.parse import urlsplit

from stash_sense_plugin.start.environment import interpreter_in
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.machine import NEWEST, OLDEST, Interpreter, Machine

IMPORTS = (
    "av",
    "cv2",
    "fastapi",
    "huggingface_hub",
    "numpy",
    "nudenet",
    "onnxruntime",
    "PIL",
    "platformdirs",
    "psutil",
    "pydantic",
    "yaml",
    "rapidfuzz",
    "rapidocr",
    "requests",
    "rich",
    "stashapi",
    "tokenizers",
    "uvicorn",
)
"""What requirements.txt brings, by the names that the code imports."""

NEEDED_BYTES = 1_500_000_000
"""The environment takes 0.6 GB; the one before it stays until it is whole."""

ABOUT_MB = 210
"""What the packages weigh on the wire."""

ABOUT_ROWS = 110
"""How many rows pip prints of packages that it finds, fetches and installs."""

BY_HAND = (
    "make an environment with Python 3.11 or newer yourself, install requirements.txt into it"
    " and name its Python in STASH_SENSE_PYTHON"
)


class Step(NamedTuple):
    """One command of a set-up."""

    title: str
    argv: Tuple[str, ...]
    weight: float
    """Its share of the whole time; the shares of a plan add up to 1."""
    reaches_out: bool = False
    """Whether it connects to other machines."""


class Plan(NamedTuple):
    """How an environment comes about in `folder`."""

    interpreter: Interpreter
    steps: Tuple[Step, ...]


def make(machine: Machine, folder: str, requirements: str) -> Plan:
    """Return the steps that make an environment in `folder`.

    Raises StartError where this machine has no way to one.
    """
    if not machine.glibc:
        what = "{} {}".format(machine.system, machine.libc).strip()
        raise StartError("Set up does not know this kind of machine ({})".format(what), BY_HAND)
    if 0 < machine.disk_free_bytes < NEEDED_BYTES:
        raise StartError(
            "The disk of {} has {:.1f} GB free, and Set up needs {:.1f} GB".format(
                folder, machine.disk_free_bytes / 1e9, NEEDED_BYTES / 1e9
            ),
            "make room, or name a folder on another disk in STASH_SENSE_HOME",
        )
    chosen = choose(machine.interpreters)
    return Plan(chosen, _steps(chosen, folder, requirements))


def choose(interpreters: "Tuple[Interpreter, ...]") -> Interpreter:
    """Return the first Python that fits and can make environments; StartError without one."""
    fitting = [one for one in interpreters if one.fits]
    for one in fitting:
        if one.makes_environments:
            return one
    if fitting:
        name = fitting[0].name
        raise StartError(
            "Python {} ({}) lacks its module venv or ensurepip".format(name, fitting[0].path),
            "install the package python{}-venv (or python3-venv), then press Set up".format(name),
        )
    names = ", ".join(one.name for one in interpreters) or "none"
    raise StartError(
        "Stash Sense needs Python {}.{} to {}.{}, and found here: {}".format(
            *OLDEST, *NEWEST, names
        ),
        "install one beside the others, or name it under Settings > System > Python path",
    )


def _steps(chosen: Interpreter, folder: str, requirements: str) -> "Tuple[Step, ...]":
    python = interpreter_in(folder)
    pip = (python, "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check")
    return (
        Step("Making the environment", (chosen.path, "-I", "-m", "venv", folder), 0.1),
        Step(
            "Installing the packages",
            (*pip, "--prefer-binary", "--progress-bar", "off", "-r", requirements),
            0.8,
            reaches_out=True,
        ),
        Step("Checking the packages", check(python), 0.1),
    )


def check(python: str) -> "Tuple[str, ...]":
    """Return the command that imports all that the code imports, and fails if one does not."""
    return (python, "-I", "-B", "-c", "import " + ", ".join(IMPORTS))


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
