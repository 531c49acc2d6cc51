"""The environment that the worker runs in: where it is, and whether it can be used."""

import hashlib
import os
import platform
import re
import sys
from typing import NamedTuple, Tuple

from stash_sense_plugin.start import address, machine, private
from stash_sense_plugin.start.paths import PART, Home, read_json, write_json

READY = "ready"
MISSING = "missing"
STALE = "stale"
"""What the package needs has changed since it was made."""
BROKEN = "broken"
"""It is there, and does not run: unfinished, or its Python has gone."""

OPTIONAL_CARD = "optional.json"
"""Inside an environment: whether what may be missing joined it."""

GIVEN = "STASH_SENSE_PYTHON"
"""Names a Python that has the packages already; then we make no environment of our own."""


def requirements_of(package: str) -> str:
    """Return the file that says what the package needs."""
    return os.path.join(os.path.dirname(package), "requirements.txt")


def optional_beside(requirements: str) -> str:
    """Return the file of what joins the core's environment where it can; empty without one."""
    path = os.path.join(os.path.dirname(requirements), "requirements-optional.txt")
    return path if os.path.isfile(path) else ""


def fingerprint(requirements: str) -> str:
    """Return what changes when the needs change: comments and blank lines do not count."""
    with open(requirements, encoding="utf-8") as file:
        rows = [row.split("#")[0].strip() for row in file]
    return hashlib.sha256("\n".join(row for row in rows if row).encode()).hexdigest()


def interpreter_in(folder: str, system: str = "") -> str:
    """Return the Python of an environment on a system (as `Windows`; empty: on this one)."""
    if (system or platform.system()) == "Windows":
        return os.path.join(folder, "Scripts", "python.exe")
    return os.path.join(folder, "bin", "python")


class Place(NamedTuple):
    """One of a home's environments, and what its set-up writes beside it."""

    task: str
    """What its set-up is called."""
    folder: str
    requirements: str
    lock: str
    log: str
    events: str

    @property
    def home(self) -> str:
        """The folder that it lies in."""
        return os.path.dirname(self.folder)


def core(home: Home, package: str) -> Place:
    """Return the environment that the worker runs in."""
    paths = home.setup_lock, home.setup_log, home.setup_events
    return Place("Set up", home.environment, requirements_of(package), *paths)


def extras(home: Home, package: str) -> Place:
    """Return the second environment, with what needs torch."""
    paths = (home.extras + end for end in (".lock", ".log", ".jsonl"))
    return Place("Set up extras", home.extras, extras_requirements_of(package), *paths)


def python_of(home: Home) -> str:
    """Return the Python that the worker is to run with, whether it is there or not."""
    return os.environ.get(GIVEN) or interpreter_in(home.environment)


def state(home: Home, requirements: str) -> str:
    """Tell whether the environment can be used, from what lies there: it is not run."""
    given = os.environ.get(GIVEN)
    if given:
        return READY if os.access(given, os.X_OK) else BROKEN
    return _look(home.environment, requirements)[0]


def trouble(home: Home, requirements: str) -> str:
    """Say what happened to an environment that cannot be used; empty where nobody knows."""
    if os.environ.get(GIVEN):
        return "{} names {}, which is not there".format(GIVEN, os.environ[GIVEN])
    return _look(home.environment, requirements)[1]


def card(home: Home) -> "dict[str, object] | None":
    """Return what the last set-up wrote about its environment; None where there is none.

    Keys: requirements (a fingerprint), python (its base), version (`3.12`), made, kind
    (glibc, musl, macos or windows), architecture, runtime and runtime_version (which onnxruntime),
    leans_on (paths outside of it that it needs), and gpu with found (driver and CUDA, or empty),
    used, and why (empty when used or where there is none).
    """
    return read_json(home.ready)


NEVER_TRIED = "never tried"
FAILED = "failed"
NOTHING_TO_JOIN = ""


def optional_state(place: Place) -> str:
    """Tell whether what may be missing is yet to join an environment that is there.

    NEVER_TRIED also where other rows were: an update named these. On Alpine, and in a Python that
    the user names, nothing joins.
    """
    optional = optional_beside(place.requirements)
    if not optional or os.environ.get(GIVEN) or machine.kind() == machine.MUSL:
        return NOTHING_TO_JOIN
    told = read_json(os.path.join(place.folder, OPTIONAL_CARD)) or {}
    if told.get("requirements") != fingerprint(optional):
        return NEVER_TRIED
    return NOTHING_TO_JOIN if told.get("joined") is True else FAILED


def note_optional(folder: str, requirements: str, joined: bool) -> None:
    """Write down whether what may be missing joined the environment in `folder`."""
    told = {"requirements": fingerprint(optional_beside(requirements)), "joined": joined}
    write_json(os.path.join(folder, OPTIONAL_CARD), told)


def why_no_onnx() -> str:
    """Say why the package onnx may be missing in the environment, and what to do, if anything."""
    given = os.environ.get(GIVEN)
    if given:
        return "the package onnx, which makes it lighter, is not in {}: install it there".format(
            given
        )
    if machine.kind() == machine.MUSL:
        return "there is no ready-made package onnx, which makes it lighter, for Alpine Linux"
    return "the package onnx, which makes it lighter, is not installed: press Set up"


def extras_requirements_of(package: str) -> str:
    """Return the file that says what the extras are."""
    return os.path.join(os.path.dirname(package), "requirements-extras.txt")


def extras_python(home: Home) -> str:
    """Return the Python that has the extras, whether it is there or not."""
    return interpreter_in(home.extras)


def extras_state(home: Home, package: str) -> str:
    """Tell whether the second environment, with the extras, can be used: it is not run."""
    return _look(home.extras, extras_requirements_of(package))[0]


def state_of(place: Place) -> str:
    """Tell whether one of the two can be used."""
    return _look(place.folder, place.requirements)[0]


def trouble_of(place: Place) -> str:
    """Say what happened to one of the two; empty where nobody knows."""
    return _look(place.folder, place.requirements)[1]


def _look(folder: str, requirements: str) -> "Tuple[str, str]":
    """Return the state of an environment, and what happened to it."""
    if not os.path.isdir(folder):
        return MISSING, ""
    made = read_json(os.path.join(folder, "ready.json"))
    if made is None:
        return BROKEN, "its set-up was not finished"
    gone = _gone(folder, made)
    if gone:
        return BROKEN, gone
    if made.get("requirements") != fingerprint(requirements):
        return STALE, ""
    return READY, ""


def _gone(folder: str, made: "dict[str, object]") -> str:
    """Say what an update of the image or the system took from an environment; mostly nothing."""
    kind = made.get("kind")
    if isinstance(kind, str) and kind != machine.kind():
        made_on, here = (machine.KINDS.get(each, each) for each in (kind, machine.kind()))
        return "it was made on {}, and this is {}".format(made_on, here)
    architecture = made.get("architecture")
    if isinstance(architecture, str) and architecture != platform.machine():
        return "it was made for {}, and this is {}".format(architecture, platform.machine())
    python = interpreter_in(folder)
    if not os.access(python, os.X_OK):
        return "its Python {} has gone, as after an update of the image or the system".format(
            made.get("python") or os.path.realpath(python)
        )
    base = _base(folder, made)
    if base and not os.path.exists(base):
        return "its Python {} has gone, as after an update of the system".format(base)
    version, now = made.get("version"), _version_now(python)
    if isinstance(version, str) and now and now != version:
        return "its Python was {} and is {} now, after an update of the image or the system".format(
            version, now
        )
    return _no_longer_brought(made.get("leans_on"))


def _base(folder: str, made: "dict[str, object]") -> str:
    """Return the Python that an environment's own needs without being a link to it.

    On Windows it is a launcher, which stays when that has gone. Empty where a link shows it, and
    where an older card names the environment's own.
    """
    base = made.get("python")
    if not isinstance(base, str) or os.path.islink(interpreter_in(folder)):
        return ""
    own = folder + os.sep, folder + PART
    return "" if base.startswith(own) or not os.path.isabs(base) else base


def _version_now(python: str) -> str:
    """Return the version that the name of a Python's own file tells; empty where it tells none."""
    found = re.search(r"python(\d+\.\d+)", os.path.basename(os.path.realpath(python)))
    return found.group(1) if found else ""


def _no_longer_brought(paths: object) -> str:
    lost = [path for path in paths if not os.path.exists(path)] if isinstance(paths, list) else []
    if not lost:
        return ""
    names = ", ".join(os.path.basename(path).split(".")[0] for path in lost)
    return "the system's own packages for {} have gone, as after an update of the image".format(
        names
    )


NOT_HANDED_ON = (
    *("VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "STASH_API_KEY", "STASH_URL"),
    # Where pip would install, with which Python, or that it would not install at all. What
    # names an index or a proxy stays.
    *("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PIP_DRY_RUN"),
    *("PIP_NO_DEPS", "PIP_REQUIRE_HASHES", "PIP_IGNORE_INSTALLED"),
)
"""Variables of one command or one Python: the worker outlives both, and needs no key of theirs."""


PRODUCTS = {"OPENBLAS_NUM_THREADS": "1"}
"""numpy's products of ours are a scene's: too small to be shared among threads, which burn the
processor while they wait for each other, and are up to 20 times slower on a busy one."""


def clean_variables() -> "dict[str, str]":
    """Return our variables without what would change how another Python runs, and no telemetry."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") and name not in NOT_HANDED_ON
    }
    kept.update(private.VARIABLES)
    kept.update(PRODUCTS)
    return kept


def other_python(package: str, error: ImportError) -> str:
    """Say on the command line that this Python lacks the packages, and which one has them."""
    folder = address.home_of(None)
    ready = folder is not None and state(Home(folder), requirements_of(package)) == READY
    python = python_of(Home(folder)) if folder is not None and ready else None
    remedy = (
        "run it with {}".format(python)
        if python
        else "install {} into it, or press Set up in Stash".format(requirements_of(package))
    )
    return "{} lacks what the command line needs ({}): {}\n".format(sys.executable, error, remedy)
