"""A Stash whose queue starts the plugin: a relay that hands each task to an engine of the test's.

So slices are seen as Stash sees them, with a clock that the test moves.
"""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.stash import StandIn
from demo.stash.jobs import JobControl
from stash_sense_plugin.errors import Cancelled, StashSenseError
from stash_sense_plugin.records import Level
from stash_sense_plugin.start.lines import line, progress
from stash_sense_plugin.stash.client import Limits
from stash_sense_plugin.tasks import MODES, Call, Engine
from tests.stand_in_client import Client
from tests.stash_kit import empty
from tests.sweep_kit import ROOT, Room, Told, small

PLUGIN_ID = "sense"
PATIENCE_S = 60.0
TASK = """mutation Run($id: ID!, $task: String, $args: Map) {
  runPluginTask(plugin_id: $id, task_name: $task, args_map: $args) }"""
OPERATION = "mutation Run($id: ID!, $args: Map) { runPluginOperation(plugin_id: $id, args: $args) }"
YML = """\
name: Stash Sense
exec: [python, "-S", "{pluginDir}/relay.py"]
errLog: error
tasks:
  - name: Tag scenes
    defaultArgs: {mode: tag_scenes}
  - name: Tag all scenes not yet Tagged
    defaultArgs: {mode: tag_scenes, all: "true"}
  - name: Doctor
    defaultArgs: {mode: doctor}
  - name: "Answer: I restored a backup"
    defaultArgs: {mode: tag_scenes, missing: restored}
  - name: "Answer: I removed them myself"
    defaultArgs: {mode: tag_scenes, missing: removed}
"""
RELAY = """\
import socket, sys
talk = socket.create_connection(("127.0.0.1", PORT))
talk.sendall(sys.stdin.buffer.read())
talk.shutdown(socket.SHUT_WR)
said = talk.makefile("rb")
for row in said:
    if row == b"reply\\n":
        sys.stdout.buffer.write(said.read())
        break
    sys.stderr.buffer.write(row)
    sys.stderr.buffer.flush()
"""


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Relayed(Told):
    """A reporter whose lines go to Stash; the job is stopped when its process is killed."""

    def __init__(self, talk: socket.socket, at_scene: Callable[[], None]) -> None:
        super().__init__()
        self._talk = talk
        self._at_scene = at_scene

    def log(self, level: Level, message: str) -> None:
        super().log(level, message)
        self._send(line(level, message))

    def progress(self, fraction: float) -> None:
        super().progress(fraction)
        self._send(progress(fraction))
        if fraction < 1:
            self._at_scene()

    def check(self) -> None:
        super().check()
        self._send(b"")

    def _send(self, data: bytes) -> None:
        try:
            # A relay that was killed has closed its side for reading too.
            self._talk.sendall(data or b"\x01t\x02\n")
        except OSError as error:
            raise Cancelled("Stopped") from error


@dataclass
class Queue(Room):
    """A room whose tasks come out of Stash's queue."""

    clock: Clock = field(kw_only=True)
    scene_s: float = 0.0
    """How long each scene takes."""
    at_scene: Callable[[int], None] = lambda number: None
    """Told of each scene that any slice begins, counted from 1."""
    slices: list[Relayed] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    """What Stash did, in turn."""
    begun: int = 0
    _working: threading.Lock = field(default_factory=threading.Lock)
    faults: list[BaseException] = field(default_factory=list)

    # --- What a user does

    def press(self, task: str | None = "Tag scenes", **args: object) -> int:
        """Put a task into the queue; its job's id."""
        data = Client(self.stash).data(TASK, id=PLUGIN_ID, task=task, args=args)
        return int(data["runPluginTask"])

    def operate(self, **args: object) -> Any:
        """Ask for something beside the queue."""
        return Client(self.stash).data(OPERATION, id=PLUGIN_ID, args=args)["runPluginOperation"]

    def scan(self, *scenes: str, name: str = "Scanning...") -> None:
        """Let another job wait, which finds these clips."""

        def work(_control: JobControl) -> None:
            self.order.append(name)
            for clip in scenes:
                self.add(clip)

        self.stash.state.jobs.add(name, work)

    def settle(self) -> None:
        """Wait until the queue is empty, and raise what went wrong in a slice."""
        assert self.stash.state.jobs.wait_until_idle(PATIENCE_S)
        if self.faults:
            raise self.faults[0]

    def waiting(self) -> list[str]:
        """The descriptions of what waits."""
        return [job.description for job in self.stash.state.jobs.queue() if job.status == "READY"]

    # --- What happened

    @property
    def lines(self) -> list[str]:
        """All that was said as info, in every slice."""
        return [text for told in self.slices for text in told.said("info")]

    # --- The other side of the relay

    def serve(self, talk: socket.socket) -> None:
        """Run what one process of the plugin was asked for."""
        with talk:
            document = json.loads(talk.makefile("rb").read())
            told = Relayed(talk, self._begin_scene)
            try:
                reply = json.dumps(self._run(document, told)).encode()
                talk.sendall(b"reply\n" + reply)
            except OSError:
                return

    def _run(self, document: dict[str, Any], told: Relayed) -> dict[str, Any]:
        args = document["args"]
        call = Call(args, document["server_connection"])
        alone = self._working.acquire(blocking=False)
        assert alone, "two slices at once"
        self.slices.append(told)
        self.order.append("slice")
        try:
            report = dict(MODES[args["mode"]].run(self.engine, call, told))
            self.reports.append(report)
            return {"output": report}
        except StashSenseError as error:
            return {"error": str(error)}
        except BaseException as error:
            self.faults.append(error)
            raise
        finally:
            self._working.release()

    def _begin_scene(self) -> None:
        self.begun += 1
        self.clock.now_s += self.scene_s
        self.at_scene(self.begun)


@contextmanager
def open_queue(stash: StandIn, clips: Path, media: Path, home: Path) -> Iterator[Queue]:
    """A room whose plugin is installed in the stand-in as the relay."""
    empty(stash)
    clock = Clock()
    engine = open_at(home, clock)
    room = Queue(stash, clips, media, PLUGIN_ID, engine=engine, clock=clock)
    room.configure()
    with socket.create_server(("127.0.0.1", 0)) as door:
        _install(stash, door.getsockname()[1])
        threading.Thread(target=_answer, args=(door, room), daemon=True).start()
        try:
            yield room
        finally:
            stash.state.jobs.stop_all()
            stash.state.jobs.wait_until_idle(PATIENCE_S)
            room.engine.close()
            for path in room.paths.values():
                path.unlink(missing_ok=True)


def open_at(home: Path, clock: Callable[[], float]) -> Engine:
    """An engine with this clock that does not wait between attempts."""
    limits = Limits(first_wait_s=0, attempts=3)
    return Engine(home, ROOT / "stash_sense_plugin", limits, clock, small)


def _answer(door: socket.socket, room: Queue) -> None:
    while True:
        try:
            talk, _ = door.accept()
        except OSError:
            return
        threading.Thread(target=room.serve, args=(talk,), daemon=True).start()


def _install(stash: StandIn, port: int) -> None:
    folder = stash.settings.plugins_path / PLUGIN_ID
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{PLUGIN_ID}.yml").write_text(YML, "utf-8")
    (folder / "relay.py").write_text(RELAY.replace("PORT", str(port)), "utf-8")
    stash.settings.python_path = sys.executable
    stash.state.plugins.reload()
