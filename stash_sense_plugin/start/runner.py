"""The process that makes an environment: aside, and it gets its name when it is whole."""

import contextlib
import glob
import json
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import time
from typing import IO, Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from stash_sense_plugin.start import environment, gpu, machine, plan, private, steps
from stash_sense_plugin.start.environment import Place
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.install import ANEW, ENDS_S, JOIN, JOINED
from stash_sense_plugin.start.lines import gigabytes
from stash_sense_plugin.start.lock import hold_if_it_can_be
from stash_sense_plugin.start.machine import Machine
from stash_sense_plugin.start.paths import Home, write_json
from stash_sense_plugin.start.steps import Plan, Step, Trial

LARGE_MB = 10.0
"""Downloads from this size on are shown to the user; there are some fifty small ones."""
LONGEST_ROW = 300
"""Characters of a program's rows that are shown."""
KEPT_ROWS = 60
"""Rows of a program that are searched for the reason when it fails."""
SHOWN_ROWS = 4
ABOUT_ROWS = 110
"""How many rows pip prints of packages that it finds, fetches and installs."""
IN_USE_S = 15.0
"""On Windows a folder cannot be renamed while a program still has a file of it open."""

TOLD = ("Collecting ", "Installing ", "  Downloading ", "(")
"""How rows of pip and apk begin that say how far they are."""


MODELS_LATER = (
    "These are the packages alone: of networks, the task says sizes and hosts before it fetches"
)


class Journal:
    """Writes what a set-up does to the file that doors follow; close it with `with`."""

    def __init__(self, place: Place) -> None:
        part = place.events + ".part"
        self._file = open(part, "w", encoding="utf-8")  # noqa: SIM115 - lives as long as the run
        self.write(run=secrets.token_hex(8))
        _move(part, place.events)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def write(self, **event: Any) -> None:
        """Add one event."""
        self._file.write(json.dumps(event) + "\n")
        self._file.flush()

    def say(self, level: str, text: str) -> None:
        """Show a line."""
        self.write(level=level, text=text)

    def move(self, fraction: float) -> None:
        """Show how far it is, 0..1."""
        self.write(progress=round(min(1.0, fraction), 4))


class StepFailed(StartError):
    """A command of the plan failed; `rows` is what it printed last."""

    def __init__(self, message: str, remedy: str, rows: "Sequence[str]") -> None:
        super().__init__(message, remedy)
        self.rows = rows


class Made(NamedTuple):
    """How a plan went, for the card."""

    runtime: str
    used: bool
    """Whether a graphics card runs the networks."""
    why: str
    """Why none does; empty without one."""


def run(folder: str, package: str, name: str, how: str = "") -> int:
    """Make the environment of one home that has this name: the body of the runner's process.

    With ANEW it is made even where one seems ready; with JOIN what may be missing joins it.
    """
    home = Home(folder)
    places = environment.core(home, package), environment.extras(home, package)
    place = next(one for one in places if os.path.basename(one.folder) == name)
    try:
        journal = _begin(home, place)
    except (StartError, OSError) as error:
        # There are no events yet: the door looks into the log, which this goes to.
        sys.stderr.write("{}\n".format(_fault(place, error)))
        return 1
    if journal is None:
        return JOINED
    with journal:
        return _tell(place, journal, extras=place is places[1], how=how)


def _begin(home: Home, place: Place) -> "Optional[Journal]":
    """Take the lock, which lasts as long as this process; None where another holds it."""
    home.make()
    if hold_if_it_can_be(place.lock, patience_s=1.0) is None:
        return None
    # Whoever joins from now on is not to read how the last one ended.
    with contextlib.suppress(OSError):
        os.unlink(place.events)
    return Journal(place)


def _tell(place: Place, journal: Journal, extras: bool, how: str) -> int:
    """Make the environment, and write its end to the journal whatever happens."""
    try:
        if how == JOIN and environment.state_of(place) == environment.READY:
            _join(place, journal)
        else:
            _make(place, extras, how == ANEW, journal)
    except Exception as error:  # the door must hear of it: nobody else looks at this process
        fault = _fault(place, error)
        journal.write(error=fault.message, remedy=fault.remedy)
        return 1
    journal.write(done=True)
    return 0


def _fault(place: Place, error: Exception) -> StartError:
    """Return what the user is told of an error."""
    if isinstance(error, StartError):
        return error
    message = "{} failed ({}: {})".format(place.task, type(error).__name__, error)
    if steps.full(error):
        return StartError(message, steps.FULL[1])
    return StartError(message, "see {} and press {} again".format(place.log, place.task))


def _make(place: Place, extras: bool, anew: bool, journal: Journal) -> None:
    if environment.state_of(place) == environment.READY and not anew:
        return  # Another set-up ended between the door's look and our lock.
    _sweep(place)
    here = machine.look(place.home)
    part = "{}.part-{}".format(place.folder, secrets.token_hex(4))
    todo = (plan.make_extras if extras else plan.make)(here, part, place.requirements)
    build(todo, here, place, part, journal)


def _join(place: Place, journal: Journal) -> None:
    """Let what may be missing join the environment that is there."""
    if not environment.optional_state(place):
        return  # Another set-up did it between the door's look and our lock.
    # Whatever becomes of this, only Set up tries it again.
    environment.note_optional(place.folder, place.requirements, joined=False)
    here = machine.look(place.home)
    todo = plan.join(here, place.folder, place.requirements)
    journal.say("info", weight_told(todo, here))
    temporary = _temporary(place.folder)
    os.makedirs(temporary, exist_ok=True)
    try:
        with open(place.log, "a", encoding="utf-8") as log:
            works = Works(place, place.folder, journal, log)
            works.announce(todo)
            joined = _do_optional(todo, works)
            works.do(todo.check)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    environment.note_optional(place.folder, place.requirements, joined)


def build(todo: Plan, here: Machine, place: Place, part: str, journal: Journal) -> None:
    """Carry a plan out in the folder `part`, and give what came of it its name.

    Raises StartError when a step fails; what was there before stays then.
    """
    try:
        os.makedirs(_temporary(part), exist_ok=True)
        made = _carry_out(todo, here, place, part, journal)
        card = _card(todo, here, made, place, part)
        write_json(os.path.join(part, "ready.json"), card)
        swap(part, place.folder)
    finally:
        for left in (part, _temporary(part)):
            shutil.rmtree(left, ignore_errors=True)
    if todo.runtime:
        journal.say("info", "The environment is ready: {}".format(ready_told(card)))


def _temporary(part: str) -> str:
    """Return where pip keeps what it works on: a full disk is then the one that we speak of."""
    return part + ".tmp"


def _sweep(place: Place) -> None:
    """Remove what set-ups that were killed left behind."""
    for name in (".part-*", ".old-*"):
        for left in glob.glob(glob.escape(place.folder) + name):
            shutil.rmtree(left, ignore_errors=True)


def _carry_out(todo: Plan, here: Machine, place: Place, part: str, journal: Journal) -> Made:
    python = " ".join(filter(None, [todo.interpreter.name, "({})".format(todo.interpreter.path)]))
    journal.say("info", "{} with Python {}".format(place.task, python))
    journal.say("info", weight_told(todo, here))
    if todo.left_out:
        journal.say("info", todo.left_out)
    why = todo.why_no_gpu
    if why and here.gpu.found:
        journal.say("info", "{} is not used: {}".format(here.gpu.found, why))
    with open(place.log, "a", encoding="utf-8") as log:
        works = Works(place, part, journal, log)
        works.announce(todo)
        for step in todo.steps:
            works.do(step)
        tried = _try(todo.trial, works) if todo.trial else None
        joined = _do_optional(todo, works)
        works.do(todo.check)
    if todo.optional:
        environment.note_optional(part, place.requirements, joined)
    used = tried == ""
    runtime = todo.trial.runtime if todo.trial and used else todo.runtime
    return Made(runtime, used, tried if tried is not None else why)


def weight_told(todo: Plan, here: Machine) -> str:
    """Say how much is downloaded and how much disk that takes, before anything is."""
    told = "It downloads about {} and takes about {} of disk".format(
        gigabytes(todo.weight.download_bytes), gigabytes(todo.weight.disk_bytes)
    )
    if todo.trial:
        told += "; {} for {}: about {} and {} more".format(
            todo.trial.what,
            here.gpu.found,
            gigabytes(todo.trial.weight.download_bytes),
            gigabytes(todo.trial.weight.disk_bytes),
        )
    if here.disk_free_bytes >= 0:
        told += ", of {} that are free".format(gigabytes(here.disk_free_bytes))
    return told


def _do_optional(todo: Plan, works: "Works") -> bool:
    """Do what nothing that tags needs; say why it failed, and go on. Tell whether it went well."""
    try:
        for step in todo.optional:
            works.do(step)
    except StepFailed as error:
        works.journal.say("warning", "{}; the set-up goes on without it".format(error.message))
        return False
    return True


def _try(trial: Trial, works: "Works") -> str:
    """Do what may fail; return why it did, or nothing."""
    before = works.done
    try:
        for step in trial.steps:
            works.do(step)
    except StepFailed as error:
        why = gpu.reason(error.rows) or error.message
        works.journal.say("warning", "The GPU cannot be used, so the CPU is: {}".format(why))
        works.done = before + sum(step.weight for step in trial.steps)
        for step in trial.otherwise:
            works.do(step)
        return why
    works.done += sum(step.weight for step in trial.otherwise)
    return ""


class Works:
    """Does one step after the other and tells of it."""

    def __init__(self, place: Place, part: str, journal: Journal, log: "IO[str]") -> None:
        self.journal = journal
        self.done = 0.0
        self._place, self._part, self._log = place, part, log
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), _temporary(part))
        self._variables = {
            **environment.clean_variables(),
            **private.folders(part),
            **temporary,
        }
        self._hosts_told: "Tuple[str, ...]" = ()
        self._pip_asked = False

    def announce(self, todo: Plan) -> None:
        """Say whom the steps will reach, all of them, before the first does."""
        by_pip = todo.weight.download_bytes
        for step in todo.steps:
            if step.reaches_out and not step.by_pip:
                by_pip -= step.weight_alone.download_bytes
                self._reaches(step.hosts, step.weight_alone.download_bytes)
        self._hosts_told = steps.hosts(self._settings_of_pip(todo.interpreter.path))
        self._reaches(self._hosts_told, by_pip)
        if todo.runtime:
            self.journal.say("info", MODELS_LATER)

    def _reaches(self, hosts: "Sequence[str]", count: int) -> None:
        where = ", ".join(hosts) or "no other machine: a local folder has the packages"
        self.journal.say("info", "This reaches: {} (about {})".format(where, gigabytes(count)))

    def _settings_of_pip(self, python: str) -> str:
        """Return what pip is told; where a Python has no pip yet, what variables tell it."""
        try:
            told = subprocess.run(
                [python, "-I", "-m", "pip", "config", "list"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._variables,
                timeout=steps.LOCAL_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return steps.settings_of(self._variables)
        return told.stdout.decode("utf-8", "replace")

    def _ask_pip(self) -> None:
        """See that the environment's own pip does what was announced."""
        if self._pip_asked:
            return
        self._pip_asked = True
        settings = self._settings_of_pip(environment.interpreter_in(self._part))
        steps.refuse_settings(settings)
        hosts = steps.hosts(settings)
        if hosts != self._hosts_told:
            self.journal.say("info", "pip's settings name others: {}".format(", ".join(hosts)))

    def do(self, step: Step) -> None:
        """Carry one step out; StepFailed when it fails."""
        if step.by_pip:
            self._ask_pip()
        self.journal.say("info", step.title)
        self._log.write("$ {}\n".format(" ".join(step.argv)))
        self._log.flush()
        status, rows = self._run(step)
        if status != 0:
            raise StepFailed(
                "{} {}".format(step.title, steps.ended(status, rows[-SHOWN_ROWS:])),
                self._remedy(step, rows),
                rows,
            )
        self.done += step.weight
        self.journal.move(self.done)

    def _run(self, step: Step) -> "Tuple[int, List[str]]":
        """Run a step's command; return its status and the last rows that it printed."""
        if step.limit_s is not None:
            return self._run_within(step, step.limit_s)
        kept: List[str] = []
        count = 0
        with self._start(step, subprocess.PIPE) as process:
            for raw in process.stdout or ():
                row = raw.decode("utf-8", "replace").rstrip()
                self._log.write(row + "\n")
                self._log.flush()
                kept = ([*kept, row] if row.strip() else kept)[-KEPT_ROWS:]
                if row.startswith(TOLD):
                    count += 1
                    self.journal.say(_level(row), row.strip()[:LONGEST_ROW])
                    self.journal.move(self.done + step.weight * min(0.95, count / ABOUT_ROWS))
        return process.returncode, kept

    def _run_within(self, step: Step, limit_s: float) -> "Tuple[int, List[str]]":
        """Run what may hang: it has no pipe that it could hold open, should it survive its end."""
        begins = os.path.getsize(self._place.log)
        process = self._start(step, self._log)
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ENDS_S)
            raise StepFailed(
                "{} did not end within {:.0f} s".format(step.title, limit_s),
                self._remedy(step, ()),
                (),
            ) from error
        with open(self._place.log, "rb") as log:
            log.seek(begins)
            rows = log.read().decode("utf-8", "replace").splitlines()
        return status, [row.rstrip() for row in rows if row.strip()][-KEPT_ROWS:]

    def _start(self, step: Step, stdout: "int | IO[str]") -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen(
                step.argv,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                env=self._variables,
            )
        except OSError as error:
            raise StepFailed(
                "{} failed: cannot run {} ({})".format(step.title, step.argv[0], error.strerror),
                self._remedy(step, ()),
                (),
            ) from error

    def _remedy(self, step: Step, rows: "Sequence[str]") -> str:
        for pattern, remedy in step.hints:
            if any(re.search(pattern, row) for row in rows):
                return "{}; see {}".format(remedy, self._place.log)
        return "see {} and press {} again".format(self._place.log, self._place.task)


def _level(row: str) -> str:
    """Show users the few large downloads and the installation; the log has every row."""
    size = re.search(r"\(([\d.]+) (MB|GB)\)$", row)
    large = size is not None and (size.group(2) == "GB" or float(size.group(1)) >= LARGE_MB)
    return "info" if large or row.startswith("Installing ") else "debug"


# --- The card and the name ------------------------------------------------------------------

FACTS = """
import importlib.util, json, os, sys
paths = []
for name in sys.argv[2:]:
    found = importlib.util.find_spec(name)
    path = found.origin if found and found.origin else ""
    if not path or os.path.realpath(path).startswith(os.path.realpath(sys.prefix) + os.sep):
        continue
    paths.append(os.path.dirname(path) if os.path.basename(path).startswith("__init__.") else path)
version = ""
if sys.argv[1]:
    import onnxruntime
    version = onnxruntime.__version__
print(json.dumps(["{}.{}".format(*sys.version_info), version, paths]))
"""


def _card(todo: Plan, here: Machine, made: Made, place: Place, part: str) -> "Dict[str, object]":
    """Return what `environment.card` tells."""
    python = environment.interpreter_in(part)
    version, runtime_version, paths = _facts(python, made.runtime, todo.leans_on)
    return {
        "requirements": environment.fingerprint(place.requirements),
        # Not the environment's own: on Windows that is no link, and lies under another name yet.
        "python": todo.interpreter.path,
        "version": version,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kind": here.kind,
        "architecture": platform.machine(),
        "runtime": made.runtime,
        "runtime_version": runtime_version,
        "leans_on": paths,
        "gpu": {"found": here.gpu.found, "used": made.used, "why": made.why},
    }


def ready_told(card: "Dict[str, object]") -> str:
    """Say what an environment has, from its card."""
    where = card.get("gpu")
    on_gpu = isinstance(where, dict) and where.get("used")
    told = ["Python {}".format(card.get("version"))]
    if card.get("runtime"):
        told.append("{} {}".format(card["runtime"], card.get("runtime_version") or "").strip())
    told.append("on the GPU" if on_gpu else "on the CPU")
    return ", ".join(told)


def _facts(python: str, runtime: str, leans_on: "Tuple[str, ...]") -> "Tuple[str, str, List[str]]":
    """Return the version of Python and of the runtime, and where borrowed modules lie."""
    told = subprocess.run(
        [python, "-I", "-B", "-c", FACTS, runtime, *leans_on],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment.clean_variables(),
        timeout=steps.LOCAL_S,
        check=True,
    )
    version, runtime_version, paths = json.loads(told.stdout.splitlines()[-1])
    return version, runtime_version, paths


def swap(part: str, folder: str) -> None:
    """Give a whole environment its name, and take the one before it away, in this order."""
    old = "{}.old-{}".format(folder, secrets.token_hex(4))
    before = os.path.isdir(folder)
    if before:
        _move(folder, old)
    try:
        _move(part, folder)
    except BaseException:
        if before:
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _move(path: str, to: str) -> None:
    """Rename a folder; StartError when a program still has it open after a while."""
    deadline: Optional[float] = None
    while True:
        try:
            os.replace(path, to)
            return
        except PermissionError as error:
            deadline = deadline or time.monotonic() + IN_USE_S
            if time.monotonic() > deadline:
                raise StartError(
                    "Cannot rename {} ({})".format(path, error.strerror),
                    "a program still uses it: end it, or start Stash again, and press Set up",
                ) from error
            time.sleep(0.5)
