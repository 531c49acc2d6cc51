"""The door's side of making an environment: start the process that does it, or join it, and watch.

The runner holds a lock and writes what it does to a file, so a door that is killed hurts nothing
and a second press joins.
"""

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from typing import IO, Any, Callable, Dict, Iterator, Optional

from stash_sense_plugin.start import environment, gpu, machine, plan, private, steps
from stash_sense_plugin.start.environment import Place
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.lines import Say
from stash_sense_plugin.start.lock import held
from stash_sense_plugin.start.paths import Home, last_lines

BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True;"
    "from stash_sense_plugin.start.runner import run; sys.exit(run(*sys.argv[2:]))"
)

ANEW, JOIN = "anew", "join"
"""What the runner does beside what is missing: all again, or what may be missing alone."""

JOINED = 75
"""The runner's exit status when another one is at work."""

APPEARS_S = 30.0
LOOK_S = 0.1
ENDS_S = 5.0
"""A process that has told its end, or was killed, is gone by then."""

Event = Dict[str, Any]


class Watcher:
    """Shows what a set-up does: `say` takes a level and a text, `move` a fraction."""

    def __init__(self, say: Say, move: Callable[[float], None]) -> None:
        self.say = say
        self.move = move


def sound(home: Home) -> bool:
    """Tell whether all that the code imports does import, by running the environment's Python."""
    return _quiet(steps.check(environment.python_of(home)), home.environment)


def sound_extras(home: Home) -> bool:
    """Tell the same of the extras."""
    return _quiet(plan.check_extras(environment.extras_python(home)), home.extras)


def gpu_to_try(home: Home, package: str, here: "Optional[machine.Machine]" = None) -> str:
    """Say why an environment is to be made anew because of a graphics card; mostly empty.

    One that is not used is tried whenever this machine has what it needs: whoever presses Set up
    may have mended what kept it from it. `here` is looked at when it is not given.
    """
    known = (environment.card(home) or {}).get("gpu")
    if os.environ.get(environment.GIVEN) or not isinstance(known, dict):
        return ""
    if known.get("used"):
        works = _quiet(gpu.proof(environment.python_of(home)), home.environment)
        return "" if works else "The GPU ({}) cannot be used any more".format(known.get("found"))
    here = here or machine.look(home.folder)
    try:
        made = plan.make(here, home.environment, environment.requirements_of(package))
    except StartError:
        return ""
    return "There is a GPU that is not used yet ({})".format(here.gpu.found) if made.trial else ""


def ensure(home: Home, package: str, watcher: Watcher, anew: bool = False) -> None:
    """Return when the environment is ready; starts a set-up, or joins the one at work.

    `anew` makes it even where one seems ready; that one stays until the other is whole.
    Raises StartError with the reason when it cannot be made.
    """
    if os.environ.get(environment.GIVEN):
        raise StartError(
            "{} names {}, which lacks what we need".format(
                environment.GIVEN, os.environ[environment.GIVEN]
            ),
            "install {} into it".format(environment.requirements_of(package)),
        )
    _ensure(home, package, environment.core(home, package), watcher, anew)


def ensure_extras(home: Home, package: str, watcher: Watcher, anew: bool = False) -> None:
    """Return when the environment of the extras is ready, as `ensure` does."""
    _ensure(home, package, environment.extras(home, package), watcher, anew)


def join_optional(home: Home, package: str, watcher: Watcher) -> None:
    """Let what may be missing join the environment that is there; why it cannot is told.

    Raises StartError where it could not even be tried.
    """
    place = environment.core(home, package)
    _run_through(home, package, place, watcher, JOIN)


def _ensure(home: Home, package: str, place: Place, watcher: Watcher, anew: bool) -> None:
    _run_through(home, package, place, watcher, ANEW if anew else "")


def _run_through(home: Home, package: str, place: Place, watcher: Watcher, how: str) -> None:
    home.make()
    if held(place.lock):
        watcher.say("info", "Joining the set-up that is at work")
        _follow(place, watcher, None)
        if environment.state_of(place) == environment.READY:
            return  # What it made may have been for other requirements than ours.
    before = _run_of(place)
    runner = _start_runner(home, package, place, how)
    try:
        _await_start(place, runner, before)
        _follow(place, watcher, runner)
    finally:
        # A Stash that is the first process of its container would keep it as a zombie for ever.
        with contextlib.suppress(subprocess.TimeoutExpired):
            runner.wait(ENDS_S)


def _start_runner(home: Home, package: str, place: Place, how: str) -> "subprocess.Popen[bytes]":
    name = os.path.basename(place.folder)
    arguments = (os.path.dirname(package), home.folder, package, name, how)
    with _open_log(place) as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", BOOT, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # What it says before it can write its events.
            stderr=log,
            cwd=home.folder,
            env=environment.clean_variables(),
            **machine.apart(platform.system()),
        )


def _open_log(place: Place) -> "IO[bytes]":
    """Begin the log anew; StartError where it cannot be written."""
    try:
        log = open(place.log, "wb", buffering=0)  # noqa: SIM115 - the caller closes it
        # A full disk lets a file be made, and says no here.
        log.write(b"\n")
    except OSError as error:
        raise steps.unwritten(place.log, error) from error
    return log


def _await_start(place: Place, runner: "subprocess.Popen[bytes]", before: "Optional[str]") -> None:
    deadline = time.monotonic() + APPEARS_S
    while _run_of(place) in (None, before):
        ended = runner.poll()
        if (ended is not None and ended != JOINED) or time.monotonic() > deadline:
            if _run_of(place) not in (None, before):
                return
            said = last_lines(place.log, 1) or "it said nothing"
            raise StartError(
                "{} did not start ({})".format(place.task, said),
                "see {} and try again".format(place.log),
            )
        time.sleep(LOOK_S)


def _follow(place: Place, watcher: Watcher, runner: "Optional[subprocess.Popen[bytes]]") -> None:
    """Show what a set-up does until its end; `runner` is its process, if it is one of ours."""
    for event in _events(place, runner):
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


def _events(place: Place, runner: "Optional[subprocess.Popen[bytes]]") -> "Iterator[Event]":
    """Yield what the runner writes, as it comes; ends when it is gone."""
    file = _open_events(place, runner)
    if file is None:
        return
    with file:
        rest = ""
        while True:
            alive = _at_work(place, runner)
            rest += file.read()
            *rows, rest = rest.split("\n")
            for row in rows:
                yield json.loads(row)
            if not alive:
                return
            time.sleep(LOOK_S)


def _open_events(place: Place, runner: "Optional[subprocess.Popen[bytes]]") -> "Optional[IO[str]]":
    """Open the events; a runner that just began has taken the old ones away, and writes soon."""
    while True:
        alive = _at_work(place, runner)
        try:
            return open(place.events, encoding="utf-8")
        except FileNotFoundError:
            if not alive:
                return None
        time.sleep(LOOK_S)


def _at_work(place: Place, runner: "Optional[subprocess.Popen[bytes]]") -> bool:
    """Tell whether a set-up is at work; where files have no locks, our own process is known."""
    return held(place.lock) or (runner is not None and runner.poll() is None)


def _run_of(place: Place) -> "Optional[str]":
    """Return the name of the last set-up that began."""
    try:
        with open(place.events, encoding="utf-8") as file:
            return str(json.loads(file.readline())["run"])
    except (OSError, ValueError, KeyError):
        return None


def _quiet(argv: "tuple[str, ...]", folder: str) -> bool:
    """Run a command of an environment, whose words nobody needs; tell whether it went well."""
    try:
        ended = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**environment.clean_variables(), **private.folders(folder)},
            timeout=steps.LOCAL_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return ended.returncode == 0
