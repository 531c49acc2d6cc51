"""Small real modes for the door's and the worker's tests: they take the place of the plugin's own.

Copied into a plugin folder as `tasks.py`. The store and its table of jobs are the real ones.
"""

import fcntl
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stash_sense_plugin.errors import Cancelled, StashSenseError, StashUnreachable
from stash_sense_plugin.library.jobs import JobTable
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.records import Reporter

STEP_S = 0.02


@dataclass(frozen=True)
class Call:
    args: Mapping[str, object]
    server: Mapping[str, object] | None = None


class Engine:
    def __init__(self, home: Path) -> None:
        self.home = home
        self._only = self._alone()
        self._store = Store(home / "store.sqlite")
        self.jobs = JobTable(self._store)

    def _alone(self) -> int:
        """Note down if there are ever two of us: by a lock of the test's own."""
        descriptor = os.open(self.home / "only.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.note("TWO WORKERS")
        except OSError:
            pass  # This machine has no locks.
        return descriptor

    @property
    def idle_minutes(self) -> float:
        given = self.home / "idle_minutes"
        return float(given.read_text()) if given.exists() else 10.0

    def unload_idle(self, older_than_s: float) -> None:
        """There is nothing to unload."""

    def let_go(self) -> None:
        """Note that the worker ends under a batch that hangs."""
        self.note("let go")

    def note(self, text: str) -> None:
        """Add a line to the file by which tests see what ran."""
        with (self.home / "trace").open("a") as file:
            file.write(text + "\n")

    def close(self) -> None:
        self._store.close()
        os.close(self._only)


@dataclass(frozen=True)
class Mode:
    run: Callable[[Engine, Call, Reporter], dict[str, object]]
    kind: Literal["task", "operation", "job"]
    read: None = None


def open_engine(home: Path, package: Path) -> Engine:
    if (home / "broken_store").exists():
        raise StashSenseError("The store is broken", "mend it")
    return Engine(home)


def echo(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    reporter.log("info", "echoing")
    return {"args": dict(call.args), "stash": call.server is not None}


def steps(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Work in steps until the file `enough` is there, or as many as `steps` says."""
    name = str(call.args.get("name", call.args["mode"]))
    most = call.args.get("steps")
    pause_s = 0 if call.args.get("hurry") else STEP_S
    engine.note(f"{name} begins")
    step = 0
    try:
        while step != most and not (engine.home / "enough").exists():
            step += 1
            reporter.log("info", f"{name} step {step}")
            reporter.progress(0.5)
            time.sleep(pause_s)
            reporter.check()
    except Cancelled:
        engine.note(f"{name} stops")
        raise
    engine.note(f"{name} ends")
    return {"name": name}


def die(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    engine.note("dying")
    reporter.log("warning", "dying now")
    if call.args.get("once") and (engine.home / "trace").read_text().count("dying") > 1:
        return {"survived": True}
    time.sleep(STEP_S)
    os._exit(9)


def deaf(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Be one long batch that never looks up, until the file `enough` is there."""
    engine.note("deaf begins")
    while not (engine.home / "enough").exists():
        time.sleep(STEP_S)
    engine.note("deaf ends")
    return {"heard": False}


def needs_stash(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Find Stash gone, until the file `stash_is_back` is there."""
    if not (engine.home / "stash_is_back").exists():
        engine.note("needs_stash finds none")
        raise StashUnreachable("Stash does not answer", "start it")
    return {"went": "on"}


def hold_store(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Keep all others waiting for the store, until the file `enough` is there."""
    with engine._store.read():
        return deaf(engine, call, reporter)


def crash(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Die as native code dies."""
    os.abort()


def ours(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    raise StashSenseError("The dog is missing", "whistle")


def other(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    raise KeyError("surprise")


def not_a_number(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    return {"score": float("nan")}


def lacking(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    import no_such_package  # type: ignore[import-not-found]

    return {"never": no_such_package}


def large(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    reporter.log("info", "x" * 200_000 + "\nsecond line\x01e\x02")
    return {"text": "é" * 2_000_000}


def no_errors(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    return {"errors": [], "next": None}


MODES: Mapping[str, Mode] = {
    "echo": Mode(echo, "operation"),
    "errors": Mode(no_errors, "operation"),
    "steps": Mode(steps, "task"),
    "own_steps": Mode(steps, "job"),
    "operation_steps": Mode(steps, "operation"),
    "tag_scenes": Mode(steps, "task"),
    "set_up": Mode(echo, "task"),
    "doctor": Mode(echo, "task"),
    "die": Mode(die, "task"),
    "die_operation": Mode(die, "operation"),
    "deaf": Mode(deaf, "task"),
    "needs_stash": Mode(needs_stash, "job"),
    "hold_store": Mode(hold_store, "operation"),
    "crash": Mode(crash, "operation"),
    "ours": Mode(ours, "task"),
    "other": Mode(other, "task"),
    "not_a_number": Mode(not_a_number, "task"),
    "lacking": Mode(lacking, "operation"),
    "large": Mode(large, "operation"),
}
