"""A Stash that has the packed plugin installed: a door for each call, and one worker."""

import json
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from demo.stash import StandIn
from stash_sense_plugin.start import worker
from stash_sense_plugin.start.paths import Home, read_json
from tests.plugin_folder import ended, wait_until
from tests.stand_in_client import Client
from tests.sweep_kit import ROOT, Library, write_clips
from tools.build_zip import PLUGIN_ID, build

OPERATION = """mutation Run($id: ID!, $args: Map) {
  runPluginOperation(plugin_id: $id, args: $args)
}"""


class Installed(Library):
    """A library whose Stash has the packed plugin installed."""

    home: Home

    def operate(self, mode: str, **args: object) -> Any:
        """Ask the plugin something as its pages do."""
        wanted = {"mode": mode, **args}
        data = Client(self.stash).data(OPERATION, id=PLUGIN_ID, args=wanted)
        return data["runPluginOperation"]

    def press(self, task: str = "Tag scenes") -> threading.Thread:
        """Press a task's button, and do not wait."""
        pressed = threading.Thread(target=self.stash.run_task, args=(PLUGIN_ID, task))
        pressed.start()
        return pressed

    def pid(self) -> int | None:
        """The worker's process, as its card says; None where there is none."""
        pid = (read_json(self.home.worker_card) or {}).get("pid")
        return pid if isinstance(pid, int) else None

    def stage(self) -> tuple[str, str]:
        """Return the scene in hand and what is done with it, as the worker keeps it."""
        try:
            noted = Path(self.home.folder, "store.sqlite-stage").read_bytes()
            scene, stage = json.loads(noted)
        except (OSError, ValueError):
            return "", ""
        return scene, stage

    def said(self, level: str) -> list[str]:
        return [line.message for line in self.stash.log if line.level == level]

    def doors(self) -> list[psutil.Process]:
        """The doors of this plugin that are open."""
        package = str(self.stash.settings.plugins_path / PLUGIN_ID)
        found = []
        for process in psutil.Process().children():
            with suppress(psutil.Error):
                words = process.cmdline()
                if any(word.startswith(package) for word in words) and not ended(process):
                    found.append(process)
        return found

    def leave(self) -> None:
        """Let the worker end."""
        package = self.stash.settings.plugins_path / PLUGIN_ID / "stash_sense_plugin"
        worker.hand_over(self.home, str(package))
        wait_until(
            lambda: self.pid() is None and not workers(self.home), "the worker is still there"
        )


@contextmanager
def installed(folder: Path, bytecode: Path) -> Iterator[Installed]:
    """Yield a Stash without scenes; its home is the one that the environment names now."""
    with zipfile.ZipFile(build(ROOT, folder / "dist")) as bundle:
        bundle.extractall(folder / "plugins" / PLUGIN_ID)
    media = folder / "media"
    media.mkdir()
    with StandIn(
        folder / "stash",
        media=media,
        plugins=folder / "plugins",
        python_path=sys.executable,
    ) as stash:
        library = Installed(stash, write_clips(folder / "clips"), media, PLUGIN_ID)
        library.home = Home(os.environ["STASH_SENSE_HOME"])
        Path(library.home.folder).mkdir(mode=0o700)
        Path(library.home.bytecode).symlink_to(bytecode)
        library.configure()
        yield library


def workers(home: Home) -> list[int]:
    """The processes that serve this home."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if home.folder in words and not ended(process):
            found.append(process.pid)
    return found
