"""Bad luck in rows: whatever is killed, stopped, replaced or cleaned away, and whenever."""

import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.plugin_folder import PluginFolder, plugin_folder, wait_until

pytestmark = pytest.mark.torture

Door = subprocess.Popen[bytes]
Rounds = Callable[[int, int], int]
Record = Callable[[str, int], None]

PRESSES: tuple[tuple[str, dict[str, object]], ...] = (
    ("echo", {}),
    ("steps", {"name": "one", "steps": 20}),
    ("steps", {"name": "two", "steps": 20}),
    ("operation_steps", {"steps": 10}),
    ("own_steps", {"steps": 20}),
    ("deaf", {}),
    ("jobs", {}),
    ("large", {}),
)


@pytest.fixture
def plugin(bytecode: Path) -> Iterator[PluginFolder]:
    with plugin_folder(bytecode) as made:
        # What takes seconds for users' sake need not here.
        made.edit("worker/server.py", "MENDED_EVERY_S = 2.0", "MENDED_EVERY_S = 0.2")
        made.edit("worker/server.py", "LEAVES_S = 60.0", "LEAVES_S = 2.0")
        made.variables["TMPDIR"] = str(made.folder)
        yield made
        assert "TWO WORKERS" not in made.trace()


class Bench:
    """Presses, mishaps and what has to hold after each round."""

    def __init__(self, plugin: PluginFolder, seed: int) -> None:
        self.plugin = plugin
        self.luck = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self._version = 0

    def press(self) -> Door:
        mode, args = self.luck.choice(PRESSES)
        self.counts["presses"] += 1
        return self.plugin.open(self.plugin.document(mode, **args))

    def mishap(self, name: str, doors: list[Door]) -> None:
        self.counts[name] += 1
        if name == "door killed":
            victim = doors.pop(self.luck.randrange(len(doors)))
            victim.kill()
            victim.communicate()
        elif name == "worker killed":
            self._signal(signal.SIGKILL)
        elif name == "worker told to end":
            self._signal(signal.SIGTERM)
        elif name == "worker asleep for a while":
            self._sleep()
        elif name == "socket removed":
            for path in self.plugin.folder.glob("*/stash-sense-*/*.sock"):
                path.unlink(missing_ok=True)
        elif name == "run-time folder removed":
            shutil.rmtree(self.plugin.runtime, ignore_errors=True)
            if self.luck.random() < 0.7:
                self.plugin.runtime.mkdir(mode=0o700, exist_ok=True)
        elif name == "card removed":
            (self.plugin.home / "worker.json").unlink(missing_ok=True)
        elif name == "updated":
            self._version += 1
            self.plugin.remove()
            time.sleep(self.luck.uniform(0, 0.3))
            self.plugin.unpack(f"9.9.{self._version}")
            self.plugin.edit("worker/server.py", "MENDED_EVERY_S = 2.0", "MENDED_EVERY_S = 0.2")
            self.plugin.edit("worker/server.py", "LEAVES_S = 60.0", "LEAVES_S = 2.0")

    def _signal(self, number: signal.Signals) -> None:
        card = None
        with suppress(ValueError):
            card = self.plugin.card()
        if card is not None:
            with suppress(ProcessLookupError):
                os.kill(card["pid"], number)

    def _sleep(self) -> None:
        serving = self.plugin.serving()
        for pid in serving:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

        def wake() -> None:
            for pid in serving:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

        threading.Timer(self.luck.uniform(0.05, 0.5), wake).start()

    def end(self, doors: list[Door]) -> None:
        """Every door that lives says exactly one JSON object, and the next press works."""
        (self.plugin.home / "enough").touch()
        for door in doors:
            stdout, stderr = door.communicate(timeout=90)
            if door.returncode == 2 and b"can't open file" in stderr:
                # Python itself, before there was a door: the update had taken its file away.
                self.counts["presses that found no file"] += 1
                continue
            assert door.returncode == 0, stderr
            reply = json.loads(stdout)
            assert list(reply) in (["output"], ["error"]), reply
            self._note(reply)
        (self.plugin.home / "enough").unlink()
        assert self.plugin.output("echo", n=7)["args"]["n"] == 7
        wait_until(lambda: len(self.plugin.serving()) == 1, "more than one worker is left")

    def _note(self, reply: Mapping[str, object]) -> None:
        self.counts["doors that answered"] += 1
        if "error" in reply:
            text = str(reply["error"])
            known = [words for words in ERRORS if words in text]
            assert known, text
            self.counts[f"doors told: {known[0]}"] += 1


ERRORS = (
    "background process of Stash Sense is ending",
    "ended before it had an answer",
    "is being updated, or its folder",
)
"""What a door may say when its worker was killed, told to end or replaced."""

MISHAPS = (
    "door killed",
    "worker killed",
    "worker told to end",
    "worker asleep for a while",
    "socket removed",
    "run-time folder removed",
    "card removed",
    "updated",
)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_there_is_one_worker_and_one_reply(
    plugin: PluginFolder, seed: int, rounds: Rounds, record_count: Record
) -> None:
    bench = Bench(plugin, seed)
    for _ in range(rounds(4, 60)):
        doors = [bench.press() for _ in range(bench.luck.randint(1, 4))]
        for _ in range(bench.luck.randint(1, 2)):
            time.sleep(bench.luck.uniform(0, 0.8))
            if doors:
                bench.mishap(bench.luck.choice(MISHAPS), doors)
        bench.end(doors)
    for name, count in bench.counts.items():
        record_count(name, count)
