"""Tag scenes as Stash runs it: a door for each call, one worker, and kills."""

import json
import os
import signal
import sys
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.stash import Fault, StandIn
from stash_sense_plugin.start import worker
from stash_sense_plugin.start.paths import Home, read_json
from tests.plugin_folder import wait_until
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

    def press(self) -> threading.Thread:
        """Press the task's button, and do not wait."""
        pressed = threading.Thread(target=self.stash.run_task, args=(PLUGIN_ID, "Tag scenes"))
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


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    monkeypatch.setenv("STASH_SENSE_PYTHON", sys.executable)
    plugin = tmp_path / "plugins" / PLUGIN_ID
    with zipfile.ZipFile(build(ROOT, tmp_path / "dist")) as bundle:
        bundle.extractall(plugin)
    media = tmp_path / "media"
    media.mkdir()
    with StandIn(
        tmp_path / "stash",
        media=media,
        plugins=plugin.parent,
        python_path=sys.executable,
    ) as stash:
        installed = Installed(stash, write_clips(tmp_path / "clips"), media, PLUGIN_ID)
        installed.home = Home(os.environ["STASH_SENSE_HOME"])
        installed.configure()
        try:
            yield installed
        finally:
            package = str(plugin / "stash_sense_plugin")
            worker.hand_over(installed.home, package)
            wait_until(
                lambda: installed.pid() is None and not workers(installed.home),
                "the worker is still there",
            )


def workers(home: Home) -> list[int]:
    """The processes that serve this home."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if home.folder in words and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def hold_up(stash: StandIn) -> None:
    """Let Stash take its time with the second change of tags from now on."""
    stash.calls.clear()
    stash.fault("bulkSceneUpdate", Fault(delay_s=1, skip=1))


def test_a_sweep_survives_the_deaths_of_its_workers(library: Installed) -> None:
    library.configure(markers=True)
    grey = [library.add("grey.mp4", "TagMe", "Mine") for _ in range(2)]
    tall = [library.add("tall.mp4", "TagMe", "Mine") for _ in range(2)]
    hold_up(library.stash)
    pressed = library.press()
    for _ in range(2):
        wait_until(lambda: library.stash.calls["bulkSceneUpdate"] >= 2, "nothing is written")
        pid = library.pid()
        assert pid is not None
        hold_up(library.stash)
        psutil.Process(pid).kill()
    pressed.join()
    assert any("background process ended in the middle" in line for line in library.said("Warning"))
    (error,) = library.said("Error")
    assert "ended before it had an answer" in error
    for scene in (*grey, *tall):
        assert library.tags(scene) >= {"Mine"}
        assert library.tags(scene) & {"TagMe", "Tagged"}
    library.stash.clear_faults()
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert len(library.said("Error")) == 1
    assert all(library.tags(scene) == {"Tagged", "Mine", "Black and White"} for scene in grey)
    assert all(library.tags(scene) == {"Tagged", "Mine", "Vertical"} for scene in tall)
    expected = dict.fromkeys(grey, "Black and White") | dict.fromkeys(tall, "Vertical")
    for scene, name in expected.items():
        markers = library.stash.scene_markers(scene)
        assert [marker["primary_tag"] for marker in markers] == [name]
    assert len(library.stash.tags()) == 6


def test_the_same_task_is_joined_and_one_scene_is_asked_for_beside_it(library: Installed) -> None:
    swept, asked = library.add("tall.mp4"), library.add("grey.mp4", "Mine")
    library.stash.fault("findStudios", Fault(delay_s=1))
    with ThreadPoolExecutor(2) as presses:
        first = presses.submit(library.operate, "tag_scenes")
        wait_until(lambda: library.stash.calls["findStudios"], "it does not begin")
        second = presses.submit(library.operate, "tag_scenes")
        assert first.result()["run_id"] == second.result()["run_id"]
    assert library.tags(swept) == {"Tagged", "Vertical"}

    job_id = library.operate("tag_scene", scene_id=str(asked))["job_id"]
    ended = ("done", "failed", "cancelled", "interrupted")

    def job() -> Any:
        return library.operate("job", job_id=job_id)

    wait_until(lambda: job()["status"] in ended, "the job does not end")
    told = job()
    assert told["status"] == "done", told
    assert told["output"]["result"] == library.operate("result", scene_id=asked)["result"]
    assert library.tags(asked) == {"Tagged", "Mine", "Black and White"}


def crash_at(library: Installed, scene: int, stage: str) -> str:
    """Let the worker crash natively while it does this with the scene; returns what it did."""

    def held() -> bool:
        if stage not in library.stage()[1] or library.pid() not in workers(library.home):
            return False
        # It goes on while we look: what it does is sure only while it stands still.
        worker = psutil.Process(library.pid())
        worker.suspend()
        if library.stage()[0] == str(scene) and stage in library.stage()[1]:
            return True
        worker.resume()
        return False

    wait_until(held, f"it never does {stage}")
    pid, said = library.pid(), library.stage()[1]
    assert pid is not None
    os.kill(pid, signal.SIGSEGV)
    psutil.Process(pid).resume()
    wait_until(lambda: pid not in workers(library.home), "it does not crash")
    return said


@pytest.mark.skipif(not hasattr(signal, "SIGSEGV"), reason="needs signals")
def test_law_5_a_scene_at_which_the_worker_crashes_twice_is_errored_and_says_at_what(
    library: Installed,
) -> None:
    # Small pictures are looked at in no time: a network that is in a package takes some.
    library.configure(skip_objects=None, object_model="nudenet-320n")
    kills = library.add("nights.mp4")
    other = library.add("tall.mp4")
    pressed = library.press()
    first = crash_at(library, kills, "objects (nudenet")
    # The next worker has read what the last one did before it begins anything.
    wait_until(lambda: library.stage() == ("", ""), "no other worker begins")
    second = crash_at(library, kills, "objects (nudenet")
    pressed.join()
    assert library.said("Error") != []
    jobs = [job for job in library.operate("jobs")["jobs"] if job["mode"] == "tag_scenes"]
    assert [job["status"] for job in jobs] == ["interrupted", "interrupted"]
    assert [job["error"]["message"] for job in jobs] == [
        f"The worker died under it at scene {kills} ({stage})" for stage in (second, first)
    ]
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert library.tags(kills) == {"Errored"}
    assert "Tagged" in library.tags(other)
    (named,) = [line for line in library.said("Info") if f"Scene {kills}: " in line]
    assert f"ended twice while it looked at it, the last time at: {second}" in named
    assert library.operate("errors")["errors"][0]["kind"] == "worker-died"
    library.configure()
    assert library.operate("tag_scenes", ids=[kills])["tagged"] == 1
    assert "Errored" not in library.tags(kills)
