"""Tag scenes as Stash runs it: a door for each call, one worker, and kills."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.stash import Fault, StandIn
from tests.installed_kit import Installed, installed, workers
from tests.plugin_folder import wait_until
from tools.build_zip import PLUGIN_ID


@pytest.fixture
def library(tmp_path: Path, bytecode: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    monkeypatch.setenv("STASH_SENSE_PYTHON", sys.executable)
    with installed(tmp_path, bytecode) as library:
        try:
            yield library
        finally:
            library.leave()


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
    again = [line for line in library.said("Warning") if "ended in the middle" in line]
    assert len(again) == 2
    assert library.said("Error") == []
    library.stash.clear_faults()
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
    # The third goes on without it, by itself.
    pressed.join()
    assert library.said("Error") == []
    done, *jobs = [job for job in library.operate("jobs")["jobs"] if job["mode"] == "tag_scenes"]
    assert (done["status"], done["output"]["failed"]) == ("done", 1)
    assert [job["status"] for job in jobs] == ["interrupted", "interrupted"]
    assert [job["error"]["message"] for job in jobs] == [
        f"The worker died under it at scene {kills} ({stage})" for stage in (second, first)
    ]
    assert library.tags(kills) == {"Errored"}
    assert "Tagged" in library.tags(other)
    (named,) = [line for line in library.said("Info") if f"Scene {kills}: " in line]
    assert f"ended twice while it looked at it, the last time at: {second}" in named
    assert named.endswith("; give it TagMe again to try once more")
    assert library.operate("errors")["errors"][0]["kind"] == "worker-died"
    library.configure()
    library.again(kills)
    assert library.operate("tag_scenes")["tagged"] == 1
    assert "Errored" not in library.tags(kills)


# --- An update under a sweep --------------------------------------------------------------------


def update(library: Installed) -> None:
    """Put another version in the plugin's place, as Stash does."""
    package = library.stash.settings.plugins_path / PLUGIN_ID / "stash_sense_plugin"
    (package / "start" / "version.py").write_text('VERSION = "9.9.9"\n')


def begin_long_sweep(library: Installed) -> list[int]:
    """Press the button, and return when the second of some scenes that take a while is begun."""
    library.configure(skip_objects=None, object_model="nudenet-320n")
    scenes = [library.add("nights.mp4") for _ in range(6)]
    pressed = library.press()
    wait_until(lambda: library.stage()[0] == str(scenes[1]), "no second scene begins")
    update(library)
    # Whoever calls the new version: here a page of the plugin's.
    assert library.operate("errors")["errors"] == []
    pressed.join()
    return scenes


def test_a_sweep_goes_on_by_itself_when_the_plugin_is_updated(library: Installed) -> None:
    scenes = begin_long_sweep(library)
    assert library.stash.state.jobs.wait_until_idle(90)
    assert library.said("Error") == library.said("Warning") == []
    (told,) = [line for line in library.said("Info") if "was updated" in line]
    words = re.search(r"Stash Sense was updated: (\d) of 6 scenes done, goes on by itself$", told)
    assert words is not None
    assert 1 <= int(words[1]) <= 5
    assert all("Tagged" in library.tags(scene) for scene in scenes)
    assert all("TagMe" not in library.tags(scene) for scene in scenes)
    assert any("6 of 6 scenes tagged, 0 failed" in line for line in library.said("Info"))
    last, first = [job for job in library.operate("jobs")["jobs"] if job["mode"] == "tag_scenes"]
    assert (first["status"], first["output"]["goes_on"]) == ("done", True)
    assert (last["status"], last["output"]["tagged"]) == ("done", 6)
    assert first["output"]["run_id"] == last["output"]["run_id"]
    # Each was looked at once, and only the one in hand begun anew.
    log = Path(library.home.worker_log).read_text()
    assert log.count("another version takes over") == 1
    assert "version 9.9.9" in log


def test_a_sweep_that_cannot_wait_in_the_queue_says_so_when_the_plugin_is_updated(
    library: Installed,
) -> None:
    library.stash.fault("runPluginTask", Fault(error="no", times=9))
    scenes = begin_long_sweep(library)
    (warned,) = library.said("Warning")
    assert "The rest cannot wait in Stash's queue" in warned
    (error,) = library.said("Error")
    assert "is ending, for another version: run it again" in error
    library.stash.clear_faults()
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert all("Tagged" in library.tags(scene) for scene in scenes)


def test_a_sweep_that_was_asked_for_beside_the_queue_is_told_of_an_update(
    library: Installed,
) -> None:
    library.configure(skip_objects=None, object_model="nudenet-320n")
    scenes = [library.add("nights.mp4") for _ in range(6)]
    with ThreadPoolExecutor(1) as asking:
        asked = asking.submit(library.operate, "tag_scenes")
        wait_until(lambda: library.stage()[0] == str(scenes[1]), "no second scene begins")
        update(library)
        assert library.operate("errors")["errors"] == []
        with pytest.raises(AssertionError, match="is ending, for another version: run it again"):
            asked.result()
    assert library.stash.state.jobs.wait_until_idle(10)
    assert {"TagMe"} in [library.tags(scene) for scene in scenes]
