"""Making the environment: a process of its own works, and any number of doors look on.

The runner holds a lock and writes what it does to a file, so a door that is killed hurts nothing
and a second press joins. The environment is made aside and gets its name when it is whole.
"""

import glob
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from stash_sense_plugin.start import environment, machine, plan
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.lines import Say
from stash_sense_plugin.start.lock import held, hold
from stash_sense_plugin.start.paths import Home, last_lines, remove, write_json

BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True;"
    "from stash_sense_plugin.start.install import run; sys.exit(run(*sys.argv[2:]))"
)

JOINED = 75
"""The runner's exit status when another one is at work."""

LARGE_MB = 10.0
"""Downloads from this size on are shown to the user; there are some fifty small ones."""
LONGEST_ROW = 300
"""Characters of pip's rows that are shown."""
APPEARS_S = 30.0
LOOK_S = 0.1
NAMES_S = 0.5
"""A runner that has just taken the lock has its own file of events by then."""

Event = Dict[str, Any]


# --- The door's side --------------------------------------------------------------------------


class Watcher:
    """Shows what a set-up does: `say` takes a level and a text, `move` a fraction."""

    def __init__(self, say: Say, move: Callable[[float], None]) -> None:
        self.say = say
        self.move = move


def sound(home: Home) -> bool:
    """Tell whether all that the code imports does import, by running the environment's Python."""
    argv = plan.check(environment.python_of(home))
    return _quiet(argv) == 0


def distrust(home: Home) -> None:
    """Take the mark of a whole environment away, so that the next set-up makes it anew."""
    remove(home.ready)


def ensure(home: Home, package: str, watcher: Watcher) -> None:
    """Return when the environment is ready; starts a set-up, or joins the one at work.

    Raises StartError with the reason when it cannot be made.
    """
    if os.environ.get(environment.GIVEN):
        raise StartError(
            "{} names {}, which lacks what we need".format(
                environment.GIVEN, os.environ[environment.GIVEN]
            ),
            "install {} into it".format(environment.requirements_of(package)),
        )
    home.make()
    before = _run_of(home)
    if held(home.setup_lock):
        watcher.say("info", "Joining the set-up that is at work")
        time.sleep(NAMES_S)
    else:
        _await_start(home, _start_runner(home, package), before)
    _follow(home, watcher)


def _start_runner(home: Home, package: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", BOOT, os.path.dirname(package), home.folder, package],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=home.folder,
        start_new_session=True,
        env=environment.clean_variables(),
    )


def _await_start(home: Home, runner: "subprocess.Popen[bytes]", before: "Optional[str]") -> None:
    deadline = time.monotonic() + APPEARS_S
    while _run_of(home) == before:
        ended = runner.poll()
        if (ended is not None and ended != JOINED) or time.monotonic() > deadline:
            if _run_of(home) != before:
                return
            raise StartError(
                "The set-up did not start", "see {} and try again".format(home.setup_log)
            )
        time.sleep(LOOK_S)


def _follow(home: Home, watcher: Watcher) -> None:
    for event in _events(home):
        if "text" in event:
            watcher.say(event.get("level", "info"), event["text"])
        if "progress" in event:
            watcher.move(event["progress"])
        if "error" in event:
            raise StartError(event["error"], event.get("remedy", ""))
        if event.get("done"):
            return
    raise StartError(
        "The set-up was stopped before its end ({})".format(last_lines(home.setup_log, 1)),
        "press Set up again; see {}".format(home.setup_log),
    )


def _events(home: Home) -> "Iterator[Event]":
    """Yield what the runner writes, as it comes; ends when it is gone."""
    with open(home.setup_events, encoding="utf-8") as file:
        rest = ""
        while True:
            alive = held(home.setup_lock)
            rest += file.read()
            *rows, rest = rest.split("\n")
            for row in rows:
                yield json.loads(row)
            if not alive:
                return
            time.sleep(LOOK_S)


def _run_of(home: Home) -> "Optional[str]":
    """Return the name of the last set-up that began."""
    try:
        with open(home.setup_events, encoding="utf-8") as file:
            return str(json.loads(file.readline())["run"])
    except (OSError, ValueError, KeyError):
        return None


# --- The runner's side ------------------------------------------------------------------------


class Journal:
    """Writes what a set-up does to the file that doors follow."""

    def __init__(self, home: Home) -> None:
        part = home.setup_events + ".part"
        self._file = open(part, "w", encoding="utf-8")  # noqa: SIM115 - lives as long as the run
        self.write(run=secrets.token_hex(8))
        os.replace(part, home.setup_events)

    def write(self, **event: Any) -> None:
        """Add one event."""
        self._file.write(json.dumps(event) + "\n")
        self._file.flush()

    def say(self, level: str, text: str) -> None:
        """Show a line."""
        self.write(level=level, text=text)

    def move(self, fraction: float) -> None:
        """Show how far it is, 0..1."""
        self.write(progress=round(fraction, 4))


def run(folder: str, package: str) -> int:
    """Make the environment of one home: the body of the runner's process."""
    home = Home(folder)
    home.make()
    lock = hold(home.setup_lock, patience_s=1.0)
    if lock is None:
        return JOINED
    journal = Journal(home)
    try:
        _make(home, package, journal)
    except StartError as error:
        journal.write(error=error.message, remedy=error.remedy)
        return 1
    except Exception as error:  # the door must hear of it: nobody else looks at this process
        journal.write(
            error="The set-up failed ({}: {})".format(type(error).__name__, error),
            remedy="see {} and press Set up again".format(home.setup_log),
        )
        return 1
    journal.write(done=True)
    return 0


def _make(home: Home, package: str, journal: Journal) -> None:
    requirements = environment.requirements_of(package)
    if environment.state(home, requirements) == environment.READY:
        return  # Another set-up ended between the door's look and our lock.
    _sweep(home)
    part = os.path.join(home.folder, "env.part-" + secrets.token_hex(4))
    try:
        _carry_out(plan.make(machine.look(home.folder), part, requirements), home, part, journal)
        _name(home, part, requirements)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    journal.say("info", "The environment is ready")


def _sweep(home: Home) -> None:
    """Remove what set-ups that were killed left behind."""
    for left in glob.glob(glob.escape(home.folder) + "/env.part-*"):
        shutil.rmtree(left, ignore_errors=True)
    for left in glob.glob(glob.escape(home.folder) + "/env.old-*"):
        shutil.rmtree(left, ignore_errors=True)


def _carry_out(todo: plan.Plan, home: Home, part: str, journal: Journal) -> None:
    journal.say("info", "Set up with Python {0.name} ({0.path})".format(todo.interpreter))
    begun = 0.0
    with open(home.setup_log, "w", encoding="utf-8") as log:
        for step in todo.steps:
            if step.reaches_out:
                _announce(part, journal)
            journal.say("info", step.title)
            _step(step, begun, journal, log, home)
            begun += step.weight
            journal.move(begun)


def _announce(part: str, journal: Journal) -> None:
    """Say which hosts are about to be reached, and how much comes from them."""
    python = environment.interpreter_in(part)
    told = subprocess.run(
        [python, "-I", "-m", "pip", "config", "list"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    names = plan.hosts(told.stdout.decode("utf-8", "replace"))
    where = ", ".join(names) if names else "no other machine: a local folder has the packages"
    journal.say("info", "This reaches: {} (about {} MB)".format(where, plan.ABOUT_MB))


def _step(step: plan.Step, begun: float, journal: Journal, log: Any, home: Home) -> None:
    log.write("$ {}\n".format(" ".join(step.argv)))
    log.flush()
    process = subprocess.Popen(
        step.argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment.clean_variables(),
    )
    assert process.stdout is not None
    tail: List[str] = []
    count = 0
    for raw in process.stdout:
        row = raw.decode("utf-8", "replace").rstrip()
        log.write(row + "\n")
        log.flush()
        tail = ([*tail, row] if row.strip() else tail)[-4:]
        if row.startswith(("Collecting ", "Installing ", "  Downloading ")):
            count += 1
            journal.say(_level(row), row.strip()[:LONGEST_ROW])
            journal.move(begun + step.weight * min(0.95, count / plan.ABOUT_ROWS))
    if process.wait() != 0:
        raise StartError(
            "{} failed with status {} ({})".format(
                step.title, process.returncode, " | ".join(tail)
            ),
            "see {} and press Set up again".format(home.setup_log),
        )


def _level(row: str) -> str:
    """Show users the few large downloads and the installation; the log has every row."""
    size = re.search(r"\(([\d.]+) MB\)$", row)
    large = size is not None and float(size.group(1)) >= LARGE_MB
    return "info" if large or row.startswith("Installing ") else "debug"


def _name(home: Home, part: str, requirements: str) -> None:
    """Give a whole environment its name, and take the one before it away."""
    python = environment.interpreter_in(part)
    card: Dict[str, object] = {
        "requirements": environment.fingerprint(requirements),
        "python": os.path.realpath(python),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_json(os.path.join(part, "ready.json"), card)
    old = os.path.join(home.folder, "env.old-" + secrets.token_hex(4))
    if os.path.isdir(home.environment):
        os.replace(home.environment, old)
    os.replace(part, home.environment)
    shutil.rmtree(old, ignore_errors=True)


def _quiet(argv: "Tuple[str, ...]") -> int:
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment.clean_variables(),
            timeout=300,
            check=False,
        ).returncode
    except (OSError, subprocess.SubprocessError):
        return 1
