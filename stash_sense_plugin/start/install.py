"""The door's side of making an environment: start the process that does it, or join it, and watch.

The runner holds a lock and writes what it does to a file, so a door that is killed hurts nothing
and a second press joins.
"""

import json
import os
import platform
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Iterator, Optional

from stash_sense_plugin.start import environment, machine, plan, steps
from stash_sense_plugin.start.environment import Place
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.lines import Say
from stash_sense_plugin.start.lock import held
from stash_sense_plugin.start.paths import Home, last_lines, remove

BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True;"
    "from stash_sense_plugin.start.runner import run; sys.exit(run(*sys.argv[2:]))"
)

JOINED = 75
"""The runner's exit status when another one is at work."""

APPEARS_S = 30.0
LOOK_S = 0.1
NAMES_S = 0.5
"""A runner that has just taken the lock has its own file of events by then."""
CHECKS_S = 300.0

Event = Dict[str, Any]


class Watcher:
    """Shows what a set-up does: `say` takes a level and a text, `move` a fraction."""

    def __init__(self, say: Say, move: Callable[[float], None]) -> None:
        self.say = say
        self.move = move


def sound(home: Home) -> bool:
    """Tell whether all that the code imports does import, by running the environment's Python."""
    return _quiet(steps.check(environment.python_of(home)))


def sound_extras(home: Home) -> bool:
    """Tell the same of the extras."""
    return _quiet(plan.check_extras(environment.extras_python(home)))


def new_gpu(home: Home, package: str) -> str:
    """Say which graphics card could be used since the environment was made; mostly empty."""
    known = (environment.card(home) or {}).get("gpu")
    if os.environ.get(environment.GIVEN) or not isinstance(known, dict):
        return ""
    here = machine.look(home.folder)
    try:
        made = plan.make(here, home.environment, environment.requirements_of(package))
    except StartError:
        return ""
    if made.trial is None or known.get("used") or known.get("found") == here.gpu.found:
        return ""
    return here.gpu.found


def distrust(place: Place) -> None:
    """Take the mark of a whole environment away, so that the next set-up makes it anew."""
    remove(place.ready)


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
    _ensure(home, package, environment.core(home, package), watcher)


def ensure_extras(home: Home, package: str, watcher: Watcher) -> None:
    """Return when the environment of the extras is ready, as `ensure` does."""
    _ensure(home, package, environment.extras(home, package), watcher)


def _ensure(home: Home, package: str, place: Place, watcher: Watcher) -> None:
    home.make()
    before = _run_of(place)
    if held(place.lock):
        watcher.say("info", "Joining the set-up that is at work")
        time.sleep(NAMES_S)
    else:
        _await_start(place, _start_runner(home, package, place), before)
    _follow(place, watcher)


def _start_runner(home: Home, package: str, place: Place) -> "subprocess.Popen[bytes]":
    arguments = (os.path.dirname(package), home.folder, package, os.path.basename(place.folder))
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", BOOT, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=home.folder,
        env=environment.clean_variables(),
        **machine.apart(platform.system()),
    )


def _await_start(place: Place, runner: "subprocess.Popen[bytes]", before: "Optional[str]") -> None:
    deadline = time.monotonic() + APPEARS_S
    while _run_of(place) == before:
        ended = runner.poll()
        if (ended is not None and ended != JOINED) or time.monotonic() > deadline:
            if _run_of(place) != before:
                return
            raise StartError(
                "{} did not start".format(place.task), "see {} and try again".format(place.log)
            )
        time.sleep(LOOK_S)


def _follow(place: Place, watcher: Watcher) -> None:
    for event in _events(place):
        if "text" in event:
            watcher.say(event.get("level", "info"), event["text"])
        if "progress" in event:
            watcher.move(event["progress"])
        if "error" in event:
            raise StartError(event["error"], event.get("remedy", ""))
        if event.get("done"):
            return
    raise StartError(
        "{} was stopped before its end ({})".format(place.task, last_lines(place.log, 1)),
        "press {} again; see {}".format(place.task, place.log),
    )


def _events(place: Place) -> "Iterator[Event]":
    """Yield what the runner writes, as it comes; ends when it is gone."""
    with open(place.events, encoding="utf-8") as file:
        rest = ""
        while True:
            alive = held(place.lock)
            rest += file.read()
            *rows, rest = rest.split("\n")
            for row in rows:
                yield json.loads(row)
            if not alive:
                return
            time.sleep(LOOK_S)


def _run_of(place: Place) -> "Optional[str]":
    """Return the name of the last set-up that began."""
    try:
        with open(place.events, encoding="utf-8") as file:
            return str(json.loads(file.readline())["run"])
    except (OSError, ValueError, KeyError):
        return None


def _quiet(argv: "tuple[str, ...]") -> bool:
    """Run a command whose words nobody needs; tell whether it went well."""
    try:
        ended = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment.clean_variables(),
            timeout=CHECKS_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return ended.returncode == 0
