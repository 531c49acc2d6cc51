"""The door's way where no worker answers: set up, start one, ask again, or say why not."""

import json
import os
from typing import Optional

from stash_sense_plugin.start import (
    environment,
    install,
    lines,
    request,
    wire,
    worker,
)
from stash_sense_plugin.start.fault import EnvironmentBroken, StartError
from stash_sense_plugin.start.paths import Home

TASKS = (
    "tag_scenes",
    "decide",
    "undo",
    "evaluate",
    "set_up",
    "set_up_extras",
    "download_models",
    "models",
    "doctor",
)
"""Modes of plugin.yml's tasks: these may set up, but for those that only look."""
LOOKING = ("models", "doctor")

STARTED_AGAIN = 2
"""How often a task is done over: the third worker passes over a scene that ended two."""
ONCE = ("undo",)
"""Tasks that mean something else once they are done: the last run is another one then."""

NEEDS_SET_UP = {
    environment.MISSING: "Stash Sense is not set up yet",
    environment.STALE: "Stash Sense needs other packages since its update",
    environment.BROKEN: "The environment of Stash Sense cannot be used any more",
}


def answer(wanted: request.Request, came: "Optional[wire.Answer]") -> bytes:
    """Return the reply to a request; `came` is what a warm worker said before it ended."""
    try:
        return _serve(Visit(wanted), came)
    except StartError as error:
        if wanted.mode == "doctor":
            return _examined(wanted, error)
        return request.error_reply(str(error))


def _examined(wanted: request.Request, fault: "Optional[StartError]" = None) -> bytes:
    """Return what Doctor can say without a worker."""
    from stash_sense_plugin.start import checkup

    return checkup.answer(Home(wanted.home), wanted.package, fault)


def say(level: str, text: str) -> None:
    """Show a line in Stash's log."""
    request.show(lines.line(level, text))


def move(fraction: float) -> None:
    """Move the task's progress bar."""
    request.show(lines.progress(fraction))


class Visit:
    """One request with what is decided about it."""

    def __init__(self, wanted: request.Request) -> None:
        self.request = wanted
        self.home = Home(wanted.home)
        self.requirements = environment.requirements_of(wanted.package)
        # A hook may carry a task's mode in its arguments; it never sets up.
        may = wanted.mode in TASKS and wanted.mode not in LOOKING
        self.task = may and "hookContext" not in wanted.args

    @property
    def place(self) -> environment.Place:
        """The environment that the worker runs in."""
        return environment.core(self.home, self.request.package)

    @property
    def state(self) -> str:
        """How the environment is now."""
        return environment.state(self.home, self.requirements)

    def need(self, state: str) -> str:
        """Say why it must be set up, and what happened to the environment before."""
        happened = environment.trouble(self.home, self.requirements)
        return NEEDS_SET_UP[state] + (" ({})".format(happened) if happened else "")


def _serve(visit: Visit, came: "Optional[wire.Answer]") -> bytes:
    if visit.request.mode == "doctor" and visit.state != environment.READY:
        return _examined(visit.request)
    if visit.request.mode == "set_up_extras" and visit.task:
        return _set_up_extras(visit)
    _prepare(visit)
    if came is None or came.status != wire.OK:
        came = _ask(visit)
    for _ in range(STARTED_AGAIN):
        # A task can be done over; an operation may have done half of what it should do once.
        if came.reply is not None or came.kind != "task" or visit.request.mode in ONCE:
            break
        say("warning", "The background process ended in the middle: starting it again")
        came = _ask(visit)
    if came.reply is None:
        raise StartError(
            "The background process of Stash Sense ended before it had an answer",
            "try again; see {}".format(visit.home.worker_log),
        )
    return came.reply


def _prepare(visit: Visit) -> None:
    """See to it that there is an environment, as far as this request may."""
    visit.home.refuse_strangers()
    state = visit.state
    if state != environment.READY and os.environ.get(environment.GIVEN):
        remedy = "name one that is there, or take that variable away"
        raise StartError(visit.need(state), remedy)
    if state != environment.READY and not visit.task:
        raise StartError(visit.need(state), "run the task Set up")
    if visit.request.mode == "set_up" and state == environment.READY:
        why = _outgrown(visit)
        if why:
            _set_up(visit, why)
        elif environment.optional_state(visit.place):
            _join_optional(visit)
    elif state != environment.READY:
        _set_up(visit, visit.need(state))
    elif visit.task and environment.optional_state(visit.place) == environment.NEVER_TRIED:
        _join_optional(visit)


def _join_optional(visit: Visit) -> None:
    """Let what may be missing join; nothing that tags needs it, so that no fault of it ends this.

    What runs already would not see it.
    """
    worker.hand_over(visit.home, visit.request.package)
    try:
        install.join_optional(visit.home, visit.request.package, install.Watcher(say, move))
    except StartError as error:
        say("warning", "Networks stay as heavy as they come: {}".format(error))
    move(0.0)


def _outgrown(visit: Visit) -> str:
    """Say why an environment that looks ready is to be made anew; empty when it is not."""
    say("info", "Checking the environment")
    if not install.sound(visit.home):
        return NEEDS_SET_UP[environment.BROKEN]
    return install.gpu_to_try(visit.home, visit.request.package)


def _set_up(visit: Visit, why: str) -> None:
    if not os.environ.get(environment.GIVEN):
        say("info", "{}: setting it up now".format(why))
        worker.hand_over(visit.home, visit.request.package)
    anew = visit.state == environment.READY
    install.ensure(visit.home, visit.request.package, install.Watcher(say, move), anew)
    move(0.0)


def _set_up_extras(visit: Visit) -> bytes:
    """Make the second environment, or see that it is whole; no worker has a part in that."""
    home, package = visit.home, visit.request.package
    home.refuse_strangers()
    place = environment.extras(home, package)
    state, happened = environment.state_of(place), environment.trouble_of(place)
    if state == environment.READY:
        say("info", "Checking the extras")
        if install.sound_extras(home):
            return _done("The extras are ready; there was nothing to do")
        happened = "they no longer import"
    if state != environment.MISSING:
        say("info", "The extras are set up again: {}".format(happened or "others are needed now"))
    anew = state == environment.READY
    install.ensure_extras(home, package, install.Watcher(say, move), anew)
    move(1.0)
    return _done("The extras are ready in {}".format(place.folder))


def _done(text: str) -> bytes:
    say("info", text)
    return json.dumps({"output": text}).encode()


def _ask(visit: Visit) -> wire.Answer:
    """Ask the worker; an environment that turns out to be broken is made anew, once."""
    try:
        return _ask_once(visit)
    except EnvironmentBroken:
        if not visit.task or os.environ.get(environment.GIVEN):
            raise
    _set_up(visit, NEEDS_SET_UP[environment.BROKEN])
    return _ask_once(visit)


def _ask_once(visit: Visit) -> wire.Answer:
    wanted = visit.request
    python = environment.python_of(visit.home)
    return worker.ask(visit.home, wanted.package, python, wanted.raw, request.show, say)
