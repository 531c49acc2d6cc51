"""The plan for Alpine, for which pip has no onnxruntime: the system's own packages bring it."""

from typing import Tuple

from stash_sense_plugin.start import distribution, packages
from stash_sense_plugin.start.environment import interpreter_in
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.lines import gigabytes
from stash_sense_plugin.start.machine import FROM_THE_SYSTEM, SYSTEM_PYTHON, Machine
from stash_sense_plugin.start.pythons import NEWEST, OLDEST, Interpreter
from stash_sense_plugin.start.steps import (
    BY_HAND,
    NETWORK,
    NO_ROOM,
    Plan,
    Step,
    check,
    checking,
    install_loose,
    pip_install,
    venv,
)


def plan(machine: Machine, folder: str, rows: "Tuple[str, ...]") -> Plan:
    """Take from the distribution what pip has not for Alpine, and see it from the environment."""
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
        checking("Checking the packages", check(python), 0.1),
        weight,
        runtime="py3-onnxruntime",
        # The image may bring more of them, and pip is content with those.
        leans_on=tuple(dict.fromkeys((*FROM_THE_SYSTEM, *packages.IMPORTS))),
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
        (NO_ROOM, "make room on this system's own disk, at /"),
        NETWORK,
    )
    title = "Installing Alpine's packages"
    fetch = Step(title, argv, 0.2, reaches_out=True, hosts=machine.apk.hosts, hints=hints)
    return (fetch._replace(weight_alone=packages.OF_APK),)


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
    """Raise StartError, with the remedy, where Alpine's way is closed."""
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
            "{} is a kind of Linux for which there is no ready-made onnxruntime but that of Alpine"
            " Linux, and it has no apk to fetch that with".format(
                machine.release.name or "This system"
            ),
            "install onnxruntime, cv2 and pyclipper for {} and press Set up again, or {}".format(
                SYSTEM_PYTHON, BY_HAND
            ),
        )
    _refuse_apk(machine, machine.apk)


def _refuse_apk(machine: Machine, apk: distribution.Apk) -> None:
    """Raise StartError, with the remedy, where apk cannot install what is missing."""
    if not machine.root:
        missing = [packages.APK[name] for name in FROM_THE_SYSTEM if name not in machine.brought]
        raise StartError(
            "Alpine's {} {} missing, and only root may install {}".format(
                ", ".join(missing), *(("is", "it") if len(missing) == 1 else ("are", "them"))
            ),
            _as_root(machine),
        )
    if 0 <= machine.system_free_bytes < packages.OF_APK.disk_bytes:
        raise StartError(
            "The disk of / has {} free, and Alpine's packages need {}".format(
                gigabytes(machine.system_free_bytes), gigabytes(packages.OF_APK.disk_bytes)
            ),
            "make room there, or make an image with them: {}".format(IMAGE),
        )
    if not apk.community:
        raise StartError(
            "Alpine's repository `community`, which has onnxruntime, is not enabled",
            "add the line `{}` to /etc/apk/repositories".format(_community(apk)),
        )


def _community(apk: distribution.Apk) -> str:
    main = next((one for one in apk.repositories if one.rstrip("/").endswith("/main")), "")
    default = "https://dl-cdn.alpinelinux.org/alpine/latest-stable/main"
    return (main or default).rstrip("/")[: -len("main")] + "community"
