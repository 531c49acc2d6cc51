"""Kills at named states: a plugin at work in a Stash, killed just there, and what must hold then.

The state is seen from outside: the stand-in holds a call where it is to be killed, the ledger is
read in the store's file, and where the next thing is to be a row of the ledger, the store is locked
by this process, as a backup program locks it.
"""

import os
import shutil
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Final

import psutil

from demo.stash import Fault
from demo.stash.database import RefusedError
from demo.stash.faults import Reached
from stash_sense_plugin.records import Action
from tests.installed_kit import Installed, workers
from tests.plugin_folder import PATIENCE_S, wait_until

WORKFLOW: Final = frozenset({"TagMe", "Tagged", "Errored"})


# --- Where it is killed -------------------------------------------------------------------------


class Step(StrEnum):
    """What a call to Stash does; its value is the action of its row in the ledger."""

    MAKE_TAG = "create-tag"
    ADD_TAG = "add-tag"
    MAKE_MARKER = "create-marker"
    SET_STUDIO = "set-studio"
    ARRIVE = "move-workflow +"
    """A workflow tag comes to scenes."""
    LEAVE = "move-workflow -"
    """A workflow tag goes from scenes."""
    REMOVE_TAG = "remove-tag"
    DESTROY_MARKER = "destroy-marker"
    CLEAR_STUDIO = "clear-studio"
    DESTROY_TAG = "destroy-tag"
    READ = "read"
    """Scenes are read once more, just before they are written to."""

    @property
    def action(self) -> Action | None:
        """What the row of the ledger says; None for what has no row."""
        return None if self is Step.READ else Action(self.value.split()[0])


class Point(Enum):
    """How far a call to Stash is when the kill comes."""

    ASKED = "its row is in the ledger, and Stash never gets the call"
    LATE = "its row is in the ledger, and Stash makes the call after the death"
    APPLIED = "Stash has done it, and has not answered"
    ANSWERED = "the answer was read, and the row after it is not written"


@dataclass(frozen=True)
class Victim:
    """Who is killed."""

    name: str
    door: bool
    worker: bool

    def __str__(self) -> str:
        return self.name


DOOR, WORKER = Victim("door", True, False), Victim("worker", False, True)
BOTH = Victim("both", True, True)


@dataclass(frozen=True)
class Moment:
    """A state to be killed in: the n-th call of a kind, from 1, and how far it is."""

    scenario: str
    step: Step
    nth: int
    point: Point
    victim: Victim

    def __str__(self) -> str:
        words = (self.scenario, self.step.name, str(self.nth), self.point.name, self.victim.name)
        return "-".join(words).lower()

    @property
    def state(self) -> str:
        """What is counted as one state."""
        return f"{self.scenario}: {self.step.name.lower()}: {self.point.value}"


# --- Watching -----------------------------------------------------------------------------------


@dataclass
class Held:
    """Hears every call to Stash, and holds the one that is waited for."""

    library: Installed
    moment: Moment
    counts: Counter[Step] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _stands: threading.Event = field(default_factory=threading.Event)
    _goes: threading.Event = field(default_factory=threading.Event)
    _answered: threading.Event = field(default_factory=threading.Event)
    _lock: sqlite3.Connection | None = None
    _refuses: bool = False
    _is_it: bool = False

    def __call__(self, name: str, reached: Reached, arguments: Mapping[str, Any]) -> None:
        if reached == "asked":
            step = step_of(self.library, name, arguments)
            self._is_it = step is self.moment.step and not self._stands.is_set()
            if self._is_it:
                assert step is not None
                self.counts[step] += 1
                self._is_it = self.counts[step] == self.moment.nth
            if self._is_it and self.moment.point in (Point.ASKED, Point.LATE):
                self._stand()
                if self._refuses:
                    raise RefusedError("the call was not made")
        elif reached == "applied" and self._is_it:
            if self.moment.point is Point.ANSWERED:
                self._lock_store()
                self._stands.set()
            elif self.moment.point is Point.APPLIED:
                self._stand()
        elif reached == "replied" and self._is_it and self._stands.is_set():
            self._answered.set()

    def _stand(self) -> None:
        self._stands.set()
        self._goes.wait(PATIENCE_S)

    def _lock_store(self) -> None:
        lock = sqlite3.connect(
            store_of(self.library),
            timeout=PATIENCE_S,
            isolation_level=None,
            check_same_thread=False,
        )
        lock.execute("BEGIN IMMEDIATE")
        self._lock = lock

    def wait(self, pressed: threading.Thread) -> None:
        """Wait until the state is there."""
        wait_until(
            lambda: self._stands.is_set() or not pressed.is_alive(),
            f"it never comes to {self.moment}: {dict(self.counts)}",
        )
        assert self._stands.is_set(), f"it ended without {self.moment}: {dict(self.counts)}"
        if self.moment.point is Point.ANSWERED:
            assert self._answered.wait(PATIENCE_S), "the answer does not leave"
            wait_until(lambda: not unread(self.library), "the answer is not read")

    def let_go(self, *, refuse: bool) -> None:
        """Let the call go on, or never be made; give the store back."""
        self._refuses = refuse
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        self._goes.set()


def step_of(library: Installed, name: str, arguments: Mapping[str, Any]) -> Step | None:
    """What a call does, by its field and its arguments."""
    given = arguments.get("input") or {}
    if name == "bulkSceneUpdate" and given.get("tag_ids"):
        tags = given["tag_ids"]
        called = {row["name"] for row in map(library.stash.tag_row, map(int, tags["ids"]))}
        if called <= WORKFLOW:
            return Step.ARRIVE if tags["mode"] == "ADD" else Step.LEAVE
        return Step.ADD_TAG if tags["mode"] == "ADD" else Step.REMOVE_TAG
    if name in ("sceneUpdate", "bulkSceneUpdate") and "studio_id" in given:
        return Step.CLEAR_STUDIO if given["studio_id"] is None else Step.SET_STUDIO
    if name == "findScenes" and arguments.get("ids"):
        return Step.READ
    return {
        "tagCreate": Step.MAKE_TAG,
        "sceneMarkerCreate": Step.MAKE_MARKER,
        "sceneMarkersDestroy": Step.DESTROY_MARKER,
        "tagsDestroy": Step.DESTROY_TAG,
    }.get(name)


def unread(library: Installed) -> int:
    """Bytes that Stash has sent and the worker has not read."""
    worker = library.pid()
    assert worker is not None
    port = library.stash.settings.port
    ends = {
        f"{each.laddr.port:04X}"
        for each in psutil.Process(worker).net_connections("tcp")
        if each.raddr and each.raddr.port == port
    }
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    waiting = [row[4].split(":") for row in rows if row[1].split(":")[1] in ends]
    sending = [row[4].split(":") for row in rows if row[2].split(":")[1] in ends]
    return sum(int(queue[1], 16) for queue in waiting) + sum(int(q[0], 16) for q in sending)


# --- The store, from outside --------------------------------------------------------------------


def store_of(library: Installed) -> Path:
    return Path(library.home.folder, "store.sqlite")


def rows_of(library: Installed, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Read the store as another program does."""
    with closing(sqlite3.connect(store_of(library), timeout=PATIENCE_S)) as db:
        return db.execute(sql, values).fetchall()


def open_actions(library: Installed) -> set[str]:
    """The actions of rows that are not settled."""
    sql = "SELECT DISTINCT action FROM ledger WHERE outcome = 'intended'"
    return {action for (action,) in rows_of(library, sql)}


# --- The kill -----------------------------------------------------------------------------------


def kill_at(library: Installed, moment: Moment, press: Callable[[], threading.Thread]) -> None:
    """Press, and kill at the moment; returns when what was pressed has ended."""
    held = Held(library, moment)
    library.stash.fault("*", Fault(told=held, times=1_000_000))
    pressed = press()
    try:
        held.wait(pressed)
        worker = library.pid()
        doors = library.doors()
        assert worker in workers(library.home)
        assert doors
        if moment.step.action is None:
            assert open_actions(library) == set()
        else:
            assert moment.step.action.value in open_actions(library)
        for victim in doors if moment.victim.door else []:
            victim.kill()
        if moment.victim.worker:
            assert worker is not None
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: worker not in workers(library.home), "the worker does not die")
    finally:
        held.let_go(refuse=moment.victim.worker and moment.point is Point.ASKED)
        library.stash.clear_faults()
        pressed.join(PATIENCE_S)
    assert not pressed.is_alive()


# --- What there is ------------------------------------------------------------------------------


def seen(library: Installed) -> dict[str, Any]:
    """All of a library that a user sees, without ids and times."""
    stash = library.stash
    names = {number: name for name, number in stash.tags().items()}
    return {
        "tags": {
            name: (sorted(names[parent] for parent in row["parents"]), row["ignore_auto_tag"])
            for name, row in (
                (name, stash.tag_row(number)) for name, number in stash.tags().items()
            )
        },
        "scenes": {scene: scene_seen(library, scene) for scene in stash.scene_ids()},
    }


def scene_seen(library: Installed, scene: int) -> dict[str, Any]:
    stash = library.stash
    return {
        "tags": sorted(stash.scene_tags(scene)),
        "markers": sorted(
            (each["primary_tag"], each["seconds"], each["end_seconds"] or 0, each["title"])
            for each in stash.scene_markers(scene)
        ),
        "studio": stash.scene_studio(scene),
        "performers": sorted(stash.scene_performers(scene)),
    }


def claimed(library: Installed) -> dict[str, list[Any]]:
    """What the ledger calls ours, by action, with its scene."""
    found: dict[str, list[Any]] = {}
    for action, scene, target in rows_of(
        library,
        "SELECT action, scene_id, target_id FROM ledger WHERE outcome = 'ours'"
        " AND withdrawn IS NULL AND action != 'move-workflow'",
    ):
        found.setdefault(action, []).append((scene, target))
    return {action: sorted(pairs) for action, pairs in found.items()}


@dataclass(frozen=True)
class Ids:
    """What scenes have, by id."""

    tags: frozenset[tuple[str, str]]
    markers: frozenset[tuple[str, str]]
    studios: frozenset[tuple[str, str]]
    made: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, library: Installed) -> "Ids":
        rows = library.stash.database.rows
        names = {number: name for name, number in library.stash.tags().items()}
        return cls(
            frozenset(
                (str(row["scene_id"]), str(row["tag_id"]))
                for row in rows("SELECT scene_id, tag_id FROM scenes_tags")
                if names[row["tag_id"]] not in WORKFLOW
            ),
            frozenset(
                (str(row["scene_id"]), str(row["id"]))
                for row in rows("SELECT scene_id, id FROM scene_markers")
            ),
            frozenset(
                (str(row["id"]), str(row["studio_id"]))
                for row in rows("SELECT id, studio_id FROM scenes WHERE studio_id IS NOT NULL")
            ),
            frozenset(("", str(number)) for number in names),
        )

    def since(self, before: "Ids") -> dict[str, list[Any]]:
        """What came, as the ledger should call it ours."""
        came = {
            "add-tag": self.tags - before.tags,
            "create-marker": self.markers - before.markers,
            "set-studio": self.studios - before.studios,
            "create-tag": self.made - before.made,
        }
        return {action: sorted(pairs) for action, pairs in came.items() if pairs}


def check_store(library: Installed) -> None:
    """The file is whole, and nothing is left open in it."""
    assert rows_of(library, "PRAGMA integrity_check") == [("ok",)]
    assert rows_of(library, "PRAGMA foreign_key_check") == []
    assert open_actions(library) == set()
    open_runs = "SELECT id FROM runs WHERE status = 'running'"
    assert rows_of(library, open_runs) == []


# --- A library that is the same before every kill -----------------------------------------------


@dataclass(frozen=True)
class Kept:
    """A library and a home, to begin from again and again."""

    stash: sqlite3.Connection
    home: Path
    settings: dict[str, Any]


class Ground:
    """One Stash for many kills: each begins with the same library and the same home."""

    def __init__(self, library: Installed, folder: Path, bytecode: Path) -> None:
        self.library = library
        self.folder = folder
        self._bytecode = bytecode
        self._home = Path(library.home.folder)

    def fresh(self) -> None:
        """An empty library and an empty home."""
        self.leave()
        stash = self.library.stash
        for table in ("scene_markers", "scenes", "files", "tags", "studios", "performers"):
            stash.database.run(f"DELETE FROM {table}")
        shutil.rmtree(self._home, ignore_errors=True)
        self._home.mkdir(mode=0o700)
        (self._home / "pycache").symlink_to(self._bytecode)
        self.library.paths.clear()

    def keep(self, name: str) -> Kept:
        """Keep all as it is; the worker ends for that."""
        self.leave()
        home = self.folder / f"kept-{name}"
        shutil.copytree(self._home, home, symlinks=True)
        stash = self.library.stash
        return Kept(stash.back_up(), home, stash.plugin_settings(self.library.plugin))

    def begin(self, kept: Kept) -> None:
        """Make all as it was."""
        self.leave()
        self.library.stash.clear_faults()
        self.library.stash.put_back(kept.stash)
        self.library.stash.configure_plugin(self.library.plugin, **kept.settings)
        shutil.rmtree(self._home)
        shutil.copytree(kept.home, self._home, symlinks=True)

    def leave(self) -> None:
        """Let the worker end; one that cannot be told is killed."""
        if workers(self.library.home):
            with suppress(AssertionError):
                self.library.leave()


def log_since(library: Installed, count: int) -> list[tuple[str, str]]:
    """What Stash's log says since it had that many lines."""
    return [(line.level, line.message) for line in library.stash.log[count:]]
