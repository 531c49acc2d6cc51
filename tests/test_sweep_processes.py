"""Tag scenes as Stash runs it: a door for each call, one worker, and kills."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.clips import pan, picture
from demo.stash import Fault, Hold
from stash_sense_plugin.tasks.sweep import WRITTEN_TOGETHER
from tests.installed_kit import Installed, installed, workers
from tests.kill_kit import rows_of
from tests.plugin_folder import PATIENCE_S, wait_until
from tests.sweep_kit import WIDE, encode
from tools.build_zip import PLUGIN_ID


@pytest.fixture
def library(tmp_path: Path, bytecode: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    monkeypatch.setenv("STASH_SENSE_PYTHON", sys.executable)
    with installed(tmp_path, bytecode) as library:
        try:
            yield library
        finally:
            library.leave()


def hold_up(library: Installed, skip: int = 1) -> Hold:
    """Let the second change of tags from now on wait in Stash, or another one."""
    hold = Hold()
    library.stash.fault("bulkSceneUpdate", Fault(before=hold, skip=skip))
    return hold


def kill_worker(library: Installed) -> None:
    pid = library.pid()
    assert pid is not None
    psutil.Process(pid).kill()
    wait_until(lambda: pid not in workers(library.home), "it does not die")


def test_a_sweep_survives_the_deaths_of_its_workers(library: Installed) -> None:
    library.configure(markers=True)
    grey = [library.add("grey.mp4", "TagMe", "Mine") for _ in range(2)]
    tall = [library.add("tall.mp4", "TagMe", "Mine") for _ in range(2)]
    held = hold_up(library)
    pressed = library.press()
    for _ in range(2):
        assert held.wait_reached(PATIENCE_S), "nothing is written"
        # It is for the next worker, which may begin as soon as this one is dead.
        last, held = held, hold_up(library)
        kill_worker(library)
        last.let_go()
    held.let_go()
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
    hold = Hold()
    library.stash.fault("findStudios", Fault(before=hold))
    with ThreadPoolExecutor(3) as presses:
        before = presses.submit(library.operate, "tag_scenes", dry_run=True)
        assert hold.wait_reached(PATIENCE_S), "it does not begin"
        both = [presses.submit(library.operate, "tag_scenes") for _ in range(2)]
        # The first to come hears what it waits for; once another has joined it, both hear it.
        wait_until(lambda: len(waits(library)) >= 3, "nobody joins")
        hold.let_go()
        assert before.result()["tagged"] == 1
        first, second = (one.result() for one in both)
        assert first["run_id"] == second["run_id"]
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


def waits(library: Installed) -> list[str]:
    return [line for line in library.said("Info") if "Waits for tag_scenes" in line]


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
    # Small pictures are looked at in no time: a network that is in a package takes some, and much
    # for so many that no crash comes too late.
    library.configure(skip_objects=None, object_model="nudenet-320n", frames=2000)
    encode(library.clips / "long.mp4", pan(picture("coffee.png"), WIDE, seconds=300), 300, WIDE)
    kills = library.add("long.mp4", duration_s=300.0)
    other = library.add("tall.mp4")
    pressed = library.press()
    first = crash_at(library, kills, "objects (nudenet")
    # The next worker reads what the last one did, then closes its job, and then begins anything.
    interrupted = "SELECT 1 FROM jobs WHERE status = 'interrupted'"
    wait_until(lambda: rows_of(library, interrupted), "no other worker begins")
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


SWEPT = WRITTEN_TOGETHER + 4


def add_many(library: Installed) -> list[int]:
    """Add scenes that take a while, and that are not all written together."""
    library.configure(skip_objects=None, object_model="nudenet-320n", frames=6)
    return [library.add("tall.mp4") for _ in range(SWEPT)]


@contextmanager
def updating(library: Installed, scenes: list[int]) -> Iterator[None]:
    """Update the plugin under the sweep that is begun within, when one scene is done at least.

    However slow the others are, it does not end before: its first write waits in Stash.
    """
    written = hold_up(library, skip=0)
    later = [str(scene) for scene in scenes[1:]]
    yield
    wait_until(
        lambda: library.stage()[0] in later or written.wait_reached(0), "no second scene begins"
    )
    update(library)
    with ThreadPoolExecutor(1) as calls:
        # Whoever calls the new version: here a page of the plugin's.
        page = calls.submit(library.operate, "errors")
        log = Path(library.home.worker_log)
        wait_until(lambda: "another version takes over" in log.read_text(), "nobody takes over")
        written.let_go()
        assert page.result()["errors"] == []


def sweep_under_update(library: Installed) -> list[int]:
    """Press the button, update the plugin meanwhile, and return when the door has ended."""
    scenes = add_many(library)
    with updating(library, scenes):
        pressed = library.press()
    pressed.join()
    return scenes


def test_a_sweep_goes_on_by_itself_when_the_plugin_is_updated(library: Installed) -> None:
    scenes = sweep_under_update(library)
    assert library.stash.state.jobs.wait_until_idle(PATIENCE_S)
    assert library.said("Error") == library.said("Warning") == []
    (told,) = [line for line in library.said("Info") if "was updated" in line]
    words = re.search(r"updated: (\d+) of (\d+) scenes done, goes on by itself$", told)
    assert words is not None
    assert 1 <= int(words[1]) < int(words[2]) == SWEPT
    assert all("Tagged" in library.tags(scene) for scene in scenes)
    assert all("TagMe" not in library.tags(scene) for scene in scenes)
    assert any(
        f"{SWEPT} of {SWEPT} scenes tagged, 0 failed" in line for line in library.said("Info")
    )
    last, first = [job for job in library.operate("jobs")["jobs"] if job["mode"] == "tag_scenes"]
    assert (first["status"], first["output"]["goes_on"]) == ("done", True)
    assert (last["status"], last["output"]["tagged"]) == ("done", SWEPT)
    assert first["output"]["run_id"] == last["output"]["run_id"]
    # Each was looked at once, and only the one in hand begun anew.
    log = Path(library.home.worker_log).read_text()
    assert log.count("another version takes over") == 1
    assert "version 9.9.9" in log


def test_a_sweep_that_cannot_wait_in_the_queue_says_so_when_the_plugin_is_updated(
    library: Installed,
) -> None:
    library.stash.fault("runPluginTask", Fault(error="no", times=9))
    scenes = sweep_under_update(library)
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
    scenes = add_many(library)
    with ThreadPoolExecutor(1) as asking:
        with updating(library, scenes):
            asked = asking.submit(library.operate, "tag_scenes")
        with pytest.raises(AssertionError, match="is ending, for another version: run it again"):
            asked.result()
    assert library.stash.state.jobs.wait_until_idle(PATIENCE_S)
    assert {"TagMe"} in [library.tags(scene) for scene in scenes]
