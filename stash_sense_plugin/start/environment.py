"""The environment that the worker runs in: where it is, and whether it can be used."""

import hashlib
import os
import sys

from stash_sense_plugin.start import address, private
from stash_sense_plugin.start.paths import Home, read_json

READY = "ready"
MISSING = "missing"
STALE = "stale"
"""What the package needs has changed since it was made."""
BROKEN = "broken"
"""It is there, and does not run: unfinished, or its Python has gone."""

GIVEN = "STASH_SENSE_PYTHON"
"""Names a Python that has the packages already; then we make no environment of our own."""


def requirements_of(package: str) -> str:
    """Return the file that says what the package needs."""
    return os.path.join(os.path.dirname(package), "requirements.txt")


def fingerprint(requirements: str) -> str:
    """Return what changes when the needs change: comments and blank lines do not count."""
    with open(requirements, encoding="utf-8") as file:
        rows = [row.split("#")[0].strip() for row in file]
    return hashlib.sha256("\n".join(row for row in rows if row).encode()).hexdigest()


def interpreter_in(folder: str) -> str:
    """Return the Python of an environment."""
    if os.name == "nt":
        return os.path.join(folder, "Scripts", "python.exe")
    return os.path.join(folder, "bin", "python")


def python_of(home: Home) -> str:
    """Return the Python that the worker is to run with, whether it is there or not."""
    return os.environ.get(GIVEN) or interpreter_in(home.environment)


def state(home: Home, requirements: str) -> str:
    """Tell whether the environment can be used, from what lies there: it is not run."""
    given = os.environ.get(GIVEN)
    if given:
        return READY if os.access(given, os.X_OK) else BROKEN
    return _state_of(home.environment, requirements)


def card(home: Home) -> "dict[str, object] | None":
    """Return what the last set-up wrote about its environment; None where there is none.

    Keys: requirements (a fingerprint), python (its real path), version (`3.12`), made, kind
    (glibc, musl, macos or windows), runtime and runtime_version (which onnxruntime), and gpu with
    found (driver and CUDA, or empty), used, and why (empty when used or where there is none).
    """
    return read_json(home.ready)


def extras_requirements_of(package: str) -> str:
    """Return the file that says what the extras are."""
    return os.path.join(os.path.dirname(package), "requirements-extras.txt")


def extras_python(home: Home) -> str:
    """Return the Python that has the extras, whether it is there or not."""
    return interpreter_in(home.extras)


def extras_state(home: Home, package: str) -> str:
    """Tell whether the second environment, with the extras, can be used: it is not run."""
    return _state_of(home.extras, extras_requirements_of(package))


def _state_of(folder: str, requirements: str) -> str:
    if not os.path.isdir(folder):
        return MISSING
    made = read_json(os.path.join(folder, "ready.json"))
    if made is None or not os.access(interpreter_in(folder), os.X_OK):
        return BROKEN
    return READY if made.get("requirements") == fingerprint(requirements) else STALE


NOT_HANDED_ON = ("VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "STASH_API_KEY", "STASH_URL")
"""Variables of one command or one Python: the worker outlives both, and needs no key of theirs."""


def clean_variables() -> "dict[str, str]":
    """Return our variables without what would change how another Python runs, and no telemetry."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") and name not in NOT_HANDED_ON
    }
    kept.update(private.VARIABLES)
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
