"""What Doctor finds with the standard library alone, and all that it says where no worker runs."""

import glob
import json
import os
import platform
import re
import sys
import tempfile
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from stash_sense_plugin.start import (
    address,
    disks,
    environment,
    lines,
    machine,
    report,
    request,
    worker,
)
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.lines import gigabytes
from stash_sense_plugin.start.lock import held
from stash_sense_plugin.start.paths import Home, read_json, read_text, user_name
from stash_sense_plugin.start.report import NOTE, PROBLEM, Fact
from stash_sense_plugin.start.version import VERSION

Probe = Tuple[str, str, Callable[[], Iterable[Fact]]]
"""A group, a name for what is looked at, and who looks."""

Mounts = Callable[[], Sequence[disks.Mount]]

SET_UP = "run the task Set up"

LITTLE_DISK_BYTES = 1_000_000_000
LITTLE_TEMP_BYTES = 200_000_000
LITTLE_MEMORY_BYTES = 700_000_000
"""The default networks and the frames in hand take about so much."""

STATES = {
    environment.READY: "ready",
    environment.MISSING: "not installed yet",
    environment.STALE: "installed for an older version, which needed others",
    environment.BROKEN: "installed, and cannot be used any more",
}


def answer(home: Home, package: str, fault: "Optional[StartError]" = None) -> bytes:
    """Return the reply of a Doctor that has no worker; `fault` says why there is none."""
    return json.dumps({"output": examine(home, package, fault, _show)}).encode()


def _show(level: str, text: str) -> None:
    request.show(lines.line(level, text))


def examine(
    home: Home, package: str, fault: "Optional[StartError]", say: lines.Say
) -> "Dict[str, Any]":
    """Look without a worker, tell it with `say`, and return the report."""
    try:
        home.make()
    except StartError as error:
        fault = fault or error
    facts = gather([*machine_probes(home, package), *_cold_probes(home, package, fault)])
    return report.conclude(home.folder, facts, say)


def gather(probes: Iterable[Probe], check: Callable[[], None] = lambda: None) -> Iterator[Fact]:
    """Yield what the probes find; one that fails becomes a fact. `check` may raise between them."""
    for group, what, probe in probes:
        check()
        try:
            yield from probe()
        except Exception as error:  # whatever it is, the other probes still have their say
            yield _failed(group, what, error)


def _failed(group: str, what: str, error: Exception) -> Fact:
    """Return the fact of a probe that failed: our own errors say what to do."""
    message = getattr(error, "message", "")
    if message:
        remedy = getattr(error, "remedy", "") or "look at the log of Stash Sense"
        return Fact(group, what, str(message), PROBLEM, str(remedy))
    said = "{}: {}".format(type(error).__name__, error)
    return Fact(group, what, "could not be found out ({})".format(said), NOTE)


def machine_probes(
    home: Home, package: str, warm: bool = False, mounts: "Mounts" = tuple
) -> List[Probe]:
    """Return who looks at this machine, the environment and the home.

    `warm` says that what runs us has the packages; `mounts` returns the file systems of a
    machine that tells them in no file.
    """
    return [
        ("Stash Sense", "Version", lambda: [Fact("Stash Sense", "Version", VERSION)]),
        ("Stash Sense", "Plugin folder", lambda: _plugin_folder(package)),
        ("Machine", "System", _system),
        ("Machine", "User", _user),
        ("Machine", "Processors", _processors),
        ("Machine", "Memory", _memory),
        ("Machine", "Proxy", _proxies),
        ("Environment", "Packages", lambda: _environment(home, package, warm)),
        ("Environment", "GPU", lambda: _gpu(home)),
        ("Environment", "Extras", lambda: _extras(home, package)),
        ("Environment", "Left over", lambda: _left_over(home, package)),
        ("Data folder", "Folder", lambda: _folder(home, mounts)),
        ("Data folder", "Temporary folder", _temporary),
        ("Data folder", "Files", lambda: _files(home)),
    ]


# --- This copy and this machine ---------------------------------------------------------------


def _plugin_folder(package: str) -> Iterator[Fact]:
    folder = os.path.dirname(package)
    # Nothing is ever written there, so it may be read-only.
    locked = "" if os.access(folder, os.W_OK) else ", read-only"
    yield Fact("Stash Sense", "Plugin folder", folder + locked)


def _system() -> Iterator[Fact]:
    named = (platform.system(), platform.release(), platform.machine())
    libc, inside = machine.c_library(), container()
    told = [" ".join(named), *([libc] if libc else []), *([inside] if inside else [])]
    yield Fact("Machine", "System", ", ".join(told))
    python = "{} ({})".format(platform.python_version(), sys.executable)
    yield Fact("Machine", "Python", python)


def container() -> str:
    """Say which kind of container this is; empty where none is known."""
    maker = machine.container_maker()
    if maker:
        return "in a {} container".format(maker)
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "in a Kubernetes pod"
    groups = read_text("/proc/1/cgroup")
    named = re.search(r"docker|kubepods|containerd|libpod|lxc", groups)
    return "in a container ({})".format(named.group()) if named else ""


def _user() -> Iterator[Fact]:
    if not hasattr(os, "getuid"):
        return
    told = "{}, group {}".format(user_name(os.getuid()), os.getgid())
    yield Fact("Machine", "User", told)


def _processors() -> Iterator[Fact]:
    count = os.cpu_count() or 1
    usable = machine.processors()
    told = str(count) if usable == count else "{} of {} may be used".format(usable, count)
    quota = machine.processor_quota()
    if quota and quota < usable:
        told += ", limited to {:.3g} by a quota".format(quota)
    yield Fact("Machine", "Processors", told)


def _memory() -> Iterator[Fact]:
    total, free = machine.memory_bytes(), memory_free_bytes()
    if not total:
        return
    known = "" if free is None else ", {} free now".format(gigabytes(free))
    told = gigabytes(total) + known
    if total < 2 * LITTLE_MEMORY_BYTES or (free is not None and free < LITTLE_MEMORY_BYTES):
        remedy = "give this machine or container more, or switch detectors off in the settings"
        yield Fact("Machine", "Memory", told + ": little for the networks", NOTE, remedy)
    else:
        yield Fact("Machine", "Memory", told)


def memory_free_bytes() -> "Optional[int]":
    """Return what may still be taken, here or in this container; None where nobody tells."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", read_text("/proc/meminfo"), re.MULTILINE)
    free = int(found.group(1)) * 1024 if found else None
    limit, used = (
        read_text(machine.CGROUP + "/memory.max").strip(),
        read_text(machine.CGROUP + "/memory.current").strip(),
    )
    if limit.isdigit() and used.isdigit():
        # What files left in the cache is given back when memory is asked for.
        cached = re.search(
            r"^inactive_file (\d+)$", read_text(machine.CGROUP + "/memory.stat"), re.MULTILINE
        )
        left = int(limit) - int(used) + (int(cached.group(1)) if cached else 0)
        free = max(0, left if free is None else min(free, left))
    return free


def _proxies() -> Iterator[Fact]:
    named = [name for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY") if _variable(name)]
    if named:
        # What stands in them may hold a password, so it is not told.
        text = "{} set: Set up and downloads go through it, never a Stash on this machine"
        yield Fact("Machine", "Proxy", text.format(", ".join(named)))


def _variable(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.lower()) or ""


# --- The environment --------------------------------------------------------------------------


def _environment(home: Home, package: str, warm: bool) -> Iterator[Fact]:
    group, what = "Environment", "Packages"
    state = environment.state(home, environment.requirements_of(package))
    given = os.environ.get(environment.GIVEN)
    if given and state == environment.READY:
        told = "from {}, which {} names".format(given, environment.GIVEN)
        yield Fact(group, what, told)
    elif given:
        remedy = "name a Python that is there, or take {} away".format(environment.GIVEN)
        told = "{} names {}, which cannot be run".format(environment.GIVEN, given)
        yield Fact(group, what, told, PROBLEM, remedy)
    elif warm and not sys.prefix.startswith(home.environment):
        # On the command line, a Python of the user's own serves as well.
        yield Fact(group, what, "from {}".format(sys.executable))
    elif state != environment.READY:
        happened = environment.trouble(home, environment.requirements_of(package))
        told = STATES[state] + (" ({})".format(happened) if happened else "")
        yield Fact(group, what, told, PROBLEM, SET_UP)
    else:
        yield Fact(group, what, _installed(environment.card(home) or {}))


def _installed(card: "Dict[str, object]") -> str:
    python = "for Python {}".format(card["version"]) if card.get("version") else ""
    named = [card.get(name) for name in ("runtime", "runtime_version")]
    runtime = " ".join(str(each) for each in named if each)
    kind = machine.KINDS.get(str(card.get("kind")), "")
    made_on = "on {}".format(kind) if kind else ""
    return ", ".join(each for each in ("installed", python, runtime, made_on) if each)


def _gpu(home: Home) -> Iterator[Fact]:
    gpu = (environment.card(home) or {}).get("gpu")
    if not isinstance(gpu, dict):
        return
    found, why = str(gpu.get("found") or ""), str(gpu.get("why") or "")
    if gpu.get("used"):
        yield Fact("Environment", "GPU", "{}: used".format(found))
    elif found:
        told = "{}: not used ({})".format(found, why or "nobody knows why")
        remedy = "when that is mended, " + SET_UP + " again"
        yield Fact("Environment", "GPU", told, NOTE, remedy)
    else:
        yield Fact("Environment", "GPU", why or "none found: the processor does the work")


def _extras(home: Home, package: str) -> Iterator[Fact]:
    if not os.path.isfile(environment.extras_requirements_of(package)):
        return
    state = environment.extras_state(home, package)
    if state == environment.MISSING:
        yield Fact("Environment", "Extras", "not installed, and tagging needs none")
    elif state == environment.READY:
        yield Fact("Environment", "Extras", "ready")
    else:
        happened = environment.trouble_of(environment.extras(home, package))
        told = STATES[state] + (" ({})".format(happened) if happened else "")
        yield Fact("Environment", "Extras", told, NOTE, "run the task Set up extras")


def _left_over(home: Home, package: str) -> Iterator[Fact]:
    for place in (environment.core(home, package), environment.extras(home, package)):
        if held(place.lock):
            yield Fact("Environment", place.task, "is at work now")
            continue
        for end in (".part-*", ".old-*"):
            for path in glob.glob(glob.escape(place.folder) + end):
                told = "{} of a set-up that was cut short".format(path)
                remedy = "{} removes it, or you may".format(place.task)
                yield Fact("Environment", "Left over", told, NOTE, remedy)


# --- The home ---------------------------------------------------------------------------------


def _folder(home: Home, mounts: Mounts) -> Iterator[Fact]:
    folder = home.folder
    named = ", named by STASH_SENSE_HOME" if os.environ.get("STASH_SENSE_HOME") else ""
    if not os.access(folder, os.W_OK):
        remedy = "let user {} write there, or name another folder in STASH_SENSE_HOME"
        told = "{}{} cannot be written".format(folder, named)
        yield Fact("Data folder", "Folder", told, PROBLEM, remedy.format(address.user()))
    else:
        yield Fact("Data folder", "Folder", folder + named)
    yield from _room("Disk", folder, LITTLE_DISK_BYTES, "make room on this disk")
    yield _file_system(folder, mounts)


def _room(what: str, folder: str, little_bytes: int, remedy: str) -> Iterator[Fact]:
    free = machine.disk_free_bytes(folder)
    if free < 0:
        yield Fact("Data folder", what, "how much is free is not told by this system")
    elif free < little_bytes:
        told = "{} free at {}".format(gigabytes(free), folder)
        yield Fact("Data folder", what, told, PROBLEM, remedy)
    else:
        yield Fact("Data folder", what, "{} free".format(gigabytes(free)))


def _file_system(folder: str, mounts: Mounts) -> Fact:
    mount = disks.mount_of(folder) or disks.holding(os.path.realpath(folder), mounts())
    if mount is None:
        return Fact("Data folder", "File system", "not told by this system")
    told = "{} at {}".format(mount.kind, mount.point)
    if mount.network:
        remedy = "name a folder on a disk of this machine in STASH_SENSE_HOME: it is faster there"
        return Fact("Data folder", "File system", told + ", over the network", NOTE, remedy)
    lent = ", lent by the machine around this one" if mount.of_the_host else ""
    return Fact("Data folder", "File system", told + lent)


def _temporary() -> Iterator[Fact]:
    remedy = "make room there, or name another folder in TMPDIR"
    yield from _room("Temporary folder", tempfile.gettempdir(), LITTLE_TEMP_BYTES, remedy)


def _files(home: Home) -> Iterator[Fact]:
    found = disks.survey(home.folder)
    yield Fact("Data folder", "Holds", _sizes(found))
    mount = disks.mount_of(home.folder)
    if mount is not None and not mount.keeps_rights:
        yield Fact("Data folder", "Owners", "this file system keeps neither owners nor rights")
        return
    yield _owners(home, found)
    # Behind a closed door, nobody comes to what is open.
    if found.open and not address.private(home.folder):
        names = ", ".join(os.path.basename(path) for path in found.open[: disks.NAMED])
        told = "{} of its files and folders can be opened by others, such as {}"
        remedy = "chmod -R go= {}".format(_quoted(home.folder))
        yield Fact("Data folder", "Rights", told.format(len(found.open), names), NOTE, remedy)


def _owners(home: Home, found: disks.Survey) -> Fact:
    if not found.foreign_count:
        return Fact("Data folder", "Owners", "all ours")
    names = ", ".join("{} (user {})".format(path, user) for path, user in found.foreign)
    more = found.foreign_count - len(found.foreign)
    besides = " and {} more".format(more) if more else ""
    verb = "belongs" if found.foreign_count == 1 else "belong"
    told = "{}{} {} to another user".format(names, besides, verb)
    remedy = "as root: chown -R {} {}".format(address.user(), _quoted(home.folder))
    return Fact("Data folder", "Owners", told, PROBLEM if found.shut_count else NOTE, remedy)


def _quoted(path: str) -> str:
    return "'{}'".format(path.replace("'", "'\\''"))


def _sizes(found: disks.Survey) -> str:
    kinds: Dict[str, int] = {}
    for name, size in found.bytes.items():
        kind = _kind(name)
        kinds[kind] = kinds.get(kind, 0) + size
    told = [
        "{} {}".format(kind, gigabytes(size)) for kind, size in sorted(kinds.items()) if size > 5e5
    ]
    part = "" if found.whole else " (of what was seen in {:.0f} s)".format(disks.SURVEY_S)
    return (", ".join(told) or "next to nothing") + part


def _kind(name: str) -> str:
    if name.startswith("store."):
        return "store"
    if ".log" in name:
        return "logs"
    known = {
        "env": "packages",
        "extras": "extras",
        "models": "models",
        "pycache": "compiled code",
    }
    return known.get(name.split(".")[0], "other")


# --- Without a worker -------------------------------------------------------------------------


def _cold_probes(home: Home, package: str, fault: "Optional[StartError]") -> List[Probe]:
    return [
        ("Environment", "Set up", lambda: _set_up(home, package)),
        ("Worker", "Worker", lambda: _worker(home, package, fault)),
    ]


def _set_up(home: Home, package: str) -> Iterator[Fact]:
    """Say which Pythons there are, and what keeps Set up from working here, if anything does."""
    here = machine.look(home.folder)
    found = ["{0.name} ({0.path})".format(one) for one in here.interpreters]
    yield Fact("Environment", "Pythons", ", ".join(found) or "none found")
    requirements = environment.requirements_of(package)
    given = os.environ.get(environment.GIVEN)
    if given or environment.state(home, requirements) == environment.READY:
        return
    from stash_sense_plugin.start import plan

    try:
        plan.make(here, home.environment, requirements)
    except StartError as error:
        yield Fact("Environment", "Set up", error.message, PROBLEM, error.remedy)


def _worker(home: Home, package: str, fault: "Optional[StartError]") -> Iterator[Fact]:
    if fault is not None:
        remedy = fault.remedy or "see {}".format(home.worker_log)
        yield Fact("Worker", "Worker", fault.message, PROBLEM, remedy)
        return
    pid = (read_json(home.worker_card) or {}).get("pid")
    if worker.alive(home, package):
        yield Fact("Worker", "Worker", "answers, process {}".format(pid))
    elif held(home.worker_lock):
        remedy = "end process {}: it is started again by itself".format(pid)
        yield Fact("Worker", "Worker", "runs and does not answer", PROBLEM, remedy)
    else:
        yield Fact("Worker", "Worker", "not running: it is started when it is needed")
