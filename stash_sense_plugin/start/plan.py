"""How the environments are made here: steps as data, decided from what the machine is."""

from typing import Optional, Tuple

from stash_sense_plugin.start import alpine, distribution, gpu, packages
from stash_sense_plugin.start.environment import interpreter_in, optional_beside
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.lines import gigabytes
from stash_sense_plugin.start.machine import GLIBC, MACOS, MUSL, OTHER, Machine
from stash_sense_plugin.start.packages import Weight
from stash_sense_plugin.start.pythons import NEWEST, OLDEST, Interpreter
from stash_sense_plugin.start.steps import (
    BY_HAND,
    NOTHING,
    Plan,
    Trial,
    check,
    checking,
    install_loose,
    pip_install,
    venv,
)

ARCHITECTURES = {GLIBC: ("x86_64", "aarch64"), MUSL: ("x86_64", "aarch64")}
"""What onnxruntime is built for."""

NEWEST_ON_INTEL_MACS = (3, 13)
"""onnxruntime's last release for them is 1.23."""


def make(machine: Machine, folder: str, requirements: str) -> Plan:
    """Return the steps that make an environment in `folder`.

    Raises StartError where this machine has no way to one.
    """
    refuse(machine)
    rows = packages.rows_of(requirements)
    if machine.kind == MUSL:
        return alpine.plan(machine, folder, rows)._replace(left_out=WITHOUT_OPTIONAL)
    chosen = choose(machine)
    runtime, why = runtime_for(machine, rows)
    if runtime is None:
        made = _plain(chosen, folder, requirements, why)
    else:
        made = _with_gpu(chosen, folder, rows, runtime)
    return _with_optional(made, folder, requirements)


WITHOUT_OPTIONAL = (
    "Left out: onnx, which makes networks lighter (int8), has no ready-made package for Alpine"
    " Linux: networks run there as they come"
)


def join(machine: Machine, folder: str, requirements: str) -> Plan:
    """Return the steps by which what may be missing joins the environment that is in `folder`.

    Raises StartError where the disk has no room for it.
    """
    python = interpreter_in(folder)
    checked = checking("Checking the packages", check(python), 0.2)
    own = Interpreter(python, OLDEST, makes_environments=False)
    made = _with_optional(Plan(own, (), checked, NOTHING), folder, requirements)
    needed = made.weight.disk_bytes + made.weight.download_bytes
    refuse_full_disk(machine, needed, "what makes networks lighter")
    return made._replace(optional=tuple(step._replace(weight=0.8) for step in made.optional))


def _with_optional(made: Plan, folder: str, requirements: str) -> Plan:
    """Add what may fail: the rows of the file beside `requirements`; nothing where it is not."""
    path = optional_beside(requirements)
    if not path:
        return made
    # Whoever has no wheel of it is not to build it for an hour.
    asked = ("--only-binary", ":all:", "-r", path)
    title = "Installing what makes networks lighter"
    step = pip_install(title, interpreter_in(folder), asked, 0.0)
    weight = Weight(
        made.weight.download_bytes + packages.OPTIONAL.download_bytes,
        made.weight.disk_bytes + packages.OPTIONAL.disk_bytes,
    )
    return made._replace(optional=(step,), weight=weight)


def refuse(machine: Machine) -> None:
    """Raise StartError, with the remedy, where no environment can be made on this machine."""
    if machine.kind == OTHER:
        raise StartError("Set up does not know {}".format(machine.system), BY_HAND)
    fitting = ARCHITECTURES.get(machine.kind, (machine.architecture,))
    if machine.architecture not in fitting:
        where = "py3-onnxruntime of Alpine" if machine.kind == MUSL else "onnxruntime"
        raise StartError(
            "{} is built for {} alone, and this is {}".format(
                where, " and ".join(fitting), machine.architecture or "unknown"
            ),
            "run Stash on such a machine, or leave Stash Sense out here",
        )
    refuse_full_disk(machine, needed_bytes(machine), "Set up")
    if machine.kind == MUSL:
        alpine.refuse(machine)
    else:
        choose(machine)


def needed_bytes(machine: Machine) -> int:
    """Return what must be free: the environment, its downloads, and the one before it."""
    core = packages.MUSL if machine.kind == MUSL else packages.CORE
    return 2 * core.disk_bytes + core.download_bytes


def refuse_full_disk(machine: Machine, needed: int, task: str) -> None:
    """Raise StartError where less than `needed` bytes are free."""
    if 0 <= machine.disk_free_bytes < needed:
        raise StartError(
            "The disk has {} free, and {} needs {}".format(
                gigabytes(machine.disk_free_bytes), task, gigabytes(needed)
            ),
            "make room, or name a folder on another disk in STASH_SENSE_HOME",
        )


def choose(machine: Machine) -> Interpreter:
    """Return the first Python that fits and can make environments; StartError without one."""
    intel_mac = machine.kind == MACOS and machine.architecture == "x86_64"
    newest = NEWEST_ON_INTEL_MACS if intel_mac else NEWEST
    fitting = [one for one in machine.interpreters if one.fits and one.version <= newest]
    for one in fitting:
        if one.makes_environments:
            return one
    if fitting:
        name = fitting[0].name
        how = distribution.venv_wanted(machine.system, machine.release, name)
        raise StartError(
            "Python {} ({}) lacks its module venv or ensurepip".format(name, fitting[0].path),
            "{}, then press Set up".format(how),
        )
    names = ", ".join(one.told for one in machine.interpreters) or "none"
    raise StartError(
        "Stash Sense needs Python {}.{} to {}.{}, and found here: {}".format(
            *OLDEST, *newest, names
        ),
        "{}; then press Set up (one in a folder of its own is named under Settings > System >"
        " Python path)".format(distribution.python_wanted(machine.system, machine.release)),
    )


# --- glibc, macOS and Windows ---------------------------------------------------------------


def _plain(chosen: Interpreter, folder: str, requirements: str, why: str) -> Plan:
    python = interpreter_in(folder)
    asked = ("--prefer-binary", "-r", requirements)
    return Plan(
        chosen,
        (
            venv(chosen.path, folder),
            pip_install("Installing the packages", python, asked, 0.8),
        ),
        checking("Checking the packages", check(python), 0.1),
        packages.CORE,
        runtime="onnxruntime",
        why_no_gpu=why,
    )


def runtime_for(machine: Machine, rows: "Tuple[str, ...]") -> "Tuple[Optional[gpu.Runtime], str]":
    """Return the runtime for the graphics card, or why there is none for it."""
    if not packages.only(rows, ("onnxruntime",)):
        return None, ""
    runtime, why = gpu.choose(machine.gpu, machine.system, machine.architecture)
    if runtime is None:
        return None, why
    needed = needed_bytes(machine) + runtime.disk_bytes + runtime.download_bytes
    if 0 <= machine.disk_free_bytes < needed:
        return None, "CUDA's libraries need {} of disk, and {} are free".format(
            gigabytes(needed), gigabytes(machine.disk_free_bytes)
        )
    return runtime, ""


def _with_gpu(
    chosen: Interpreter, folder: str, rows: "Tuple[str, ...]", runtime: gpu.Runtime
) -> Plan:
    """Install one onnxruntime, never both: they own the same folder."""
    python = interpreter_in(folder)
    loose = packages.only(rows, ("nudenet",))
    rest = packages.without(rows, ("onnxruntime", "nudenet"))
    return Plan(
        chosen,
        (
            venv(chosen.path, folder, 0.05),
            pip_install("Installing the packages", python, ("--prefer-binary", *rest), 0.38),
            *install_loose(python, loose, 0.03),
        ),
        checking("Checking the packages", check(python), 0.05),
        packages.CORE,
        runtime="onnxruntime",
        trial=_trial(python, packages.only(rows, ("onnxruntime",)), runtime),
    )


def _trial(python: str, plain: "Tuple[str, ...]", runtime: gpu.Runtime) -> Trial:
    """Install CUDA and see that it runs; `plain` are the rows that come when it does not."""
    return Trial(
        "CUDA {}".format(runtime.cuda),
        (
            pip_install("Installing CUDA for the GPU", python, (runtime.requirement,), 0.4),
            checking("Trying the GPU", gpu.proof(python), 0.05),
        ),
        (
            checking("Removing CUDA", gpu.removal(python), 0.02),
            pip_install("Installing onnxruntime for the CPU", python, plain, 0.02),
        ),
        "onnxruntime-gpu",
        Weight(runtime.download_bytes, runtime.disk_bytes),
    )


# --- The extras -------------------------------------------------------------------------------

WITHOUT_TORCH = "{}: there are no ready-made packages of torch for it, and so no extras"


def make_extras(machine: Machine, folder: str, requirements: str) -> Plan:
    """Return the steps that make the environment of the extras in `folder`.

    Raises StartError where this machine has no way to one.
    """
    weight = refuse_extras(machine)
    chosen, python = choose(machine), interpreter_in(folder)
    asked = ("--prefer-binary", "-r", requirements)
    # paddlex, ultralytics and mediapipe each bring a cv2 of their own, into the same folder.
    cv2 = ("--no-deps", packages.ONE_CV2)
    removal = (python, "-I", "-m", "pip", "uninstall", "--yes", "--quiet", *packages.CV2)
    return Plan(
        chosen,
        (
            venv(chosen.path, folder, 0.02),
            pip_install("Installing the extras", python, asked, 0.83),
            checking("Removing what lies over each other", removal, 0.02),
            pip_install("Installing one OpenCV for all", python, cv2, 0.03),
        ),
        checking("Checking the extras", check_extras(python), 0.1),
        weight,
    )


def check_extras(python: str) -> "Tuple[str, ...]":
    """Return the command that imports all extras, and fails if one does not."""
    return check(python, packages.EXTRA_IMPORTS)


def refuse_extras(machine: Machine) -> Weight:
    """Return what the extras weigh here; StartError, with the remedy, where there are none."""
    what = ""
    if machine.kind == MUSL:
        what = WITHOUT_TORCH.format("This kind of Linux is Alpine Linux', as in Stash's image")
    elif machine.kind == MACOS and machine.architecture == "x86_64":
        what = WITHOUT_TORCH.format("This is a Mac with an Intel processor")
    elif machine.kind == OTHER:
        what = WITHOUT_TORCH.format(machine.system)
    if what:
        raise StartError(
            what, "tagging needs none of them; a Stash on Debian or Ubuntu can have them"
        )
    weight = packages.EXTRAS if machine.kind == GLIBC else packages.EXTRAS_WITHOUT_CUDA
    refuse_full_disk(machine, weight.disk_bytes + weight.download_bytes, "Set up extras")
    choose(machine)
    return weight
