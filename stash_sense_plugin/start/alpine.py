"""The plan for Alpine, whose C library has no wheels of onnxruntime: its own packages bring it."""

from typing import Tuple

from stash_sense_plugin.start import distribution, packages
from stash_sense_plugin.start.environment import interpreter_in
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.machine import FROM_THE_SYSTEM, SYSTEM_PYTHON, Machine
from stash_sense_plugin.start.pythons import NEWEST, OLDEST, Interpreter
from stash_sense_plugin.start.steps import (
    BY_HAND,
    FULL,
    NETWORK,
    Plan,
    Step,
    check,
    install_loose,
    pip_install,
    venv,
)


def plan(machine: Machine, folder: str, rows: "Tuple[str, ...]") -> Plan:
    """Take from the distribution what has no wheels for musl, and see it from the environment."""
    python = interpreter_in(folder)
    # Where it is not here yet, apk brings it: its version is not known before.
    own = machine.system_python or Interpreter(SYSTEM_PYTHON, (0, 0), True)
    loose = packages.only(rows, packages.LOOSE)
    rest = packages.without(rows, (*packages.BY_APK, *packages.LOOSE))
    wheels = ("--only-binary", ":all:")
    asked = (*wheels, *rest, *packages.needs_of_loose(loose))
    fetched = _apk_steps(machine)
    weight = packages.MUSL_WITH_APK if fetched else packages.MUSL
    return Plan(
        own,
        (
            *fetched,
            venv(own.path, folder, 0.1, "--system-site-packages"),
            pip_install("Installing the packages", python, asked, 0.5),
            *install_loose(python, loose, 0.1, *wheels),
        ),
        Step("Checking the packages", check(python), 0.1),
        weight,
        runtime="py3-onnxruntime",
        leans_on=FROM_THE_SYSTEM,
    )


def _apk_steps(machine: Machine) -> "Tuple[Step, ...]":
    if machine.apk is None or _has_all(machine):
        return ()
    argv = (machine.apk.path, "add", "--no-cache", *packages.APK.values())
    hints = (
        (
            r"no such package|unable to select packages",
            "the repositories in /etc/apk/repositories lack a package: Alpine 3.23 and newer have"
            " all three, so use a newer image (`docker pull stashapp/stash`)",
        ),
        (r"(?i)permission denied|unable to lock", _as_root(machine)),
        (r"(?i)read-only file system", "make an image with them: {}".format(IMAGE)),
        FULL,
        NETWORK,
    )
    title = "Installing Alpine's packages"
    return (Step(title, argv, 0.2, reaches_out=True, hosts=machine.apk.hosts, hints=hints),)


def _has_all(machine: Machine) -> bool:
    return set(FROM_THE_SYSTEM) <= set(machine.brought)


ADD = "apk add --no-cache {}".format(" ".join(packages.APK.values()))
IMAGE = "`FROM stashapp/stash` and, in the next line, `RUN {}`".format(ADD)


def _as_root(machine: Machine) -> str:
    return (
        "run `docker exec -u root {} {}` and press Set up again, or make an image with them: {};"
        " outside of a container, run `{}` as root".format(
            machine.container or "<container>", ADD, IMAGE, ADD
        )
    )


def refuse(machine: Machine) -> None:
    """Raise StartError, with the remedy, where musl's way is closed."""
    own = machine.system_python
    if own is not None and not own.fits:
        raise StartError(
            "{} has Python {}, and Stash Sense needs {}.{} to {}.{}".format(
                machine.release.name or "This system", own.name, *OLDEST, *NEWEST
            ),
            "use a newer image (`docker pull stashapp/stash`)",
        )
    if _has_all(machine):
        return
    if machine.apk is None:
        raise StartError(
            "{} is built on musl and has no apk: onnxruntime has no wheels for it".format(
                machine.release.name or "This Linux"
            ),
            "install onnxruntime, cv2 and pyclipper for {} and press Set up again, or {}".format(
                SYSTEM_PYTHON, BY_HAND
            ),
        )
    if not machine.root:
        missing = [packages.APK[name] for name in FROM_THE_SYSTEM if name not in machine.brought]
        raise StartError(
            "Alpine's {} are missing, and only root may install them".format(", ".join(missing)),
            _as_root(machine),
        )
    if not machine.apk.community:
        raise StartError(
            "Alpine's repository `community`, which has onnxruntime, is not enabled",
            "add the line `{}` to /etc/apk/repositories".format(_community(machine.apk)),
        )


def _community(apk: distribution.Apk) -> str:
    main = next((one for one in apk.repositories if one.rstrip("/").endswith("/main")), "")
    default = "https://dl-cdn.alpinelinux.org/alpine/latest-stable/main"
    return (main or default).rstrip("/")[: -len("main")] + "community"
