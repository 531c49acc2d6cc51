"""The worker and its jobs, as doors see them: processes, sockets and a Stash that may go."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugin_folder import (
    PATIENCE_S,
    PluginFolder,
    free_port,
    lines,
    plugin_folder,
    small_stash,
    wait_until,
)


@pytest.fixture
def plugin(bytecode: Path) -> Iterator[PluginFolder]:
    with plugin_folder(bytecode) as made:
        yield made


def kill(door: subprocess.Popen[bytes]) -> None:
    """Do to a door what Stash does when the user stops its task."""
    door.kill()
    door.communicate()


def read_until(door: subprocess.Popen[bytes], what: bytes) -> bytes:
    """Read what a door shows until that is there; its end is a failure."""
    assert door.stderr is not None
    shown = b""
    while what not in shown:
        more = os.read(door.stderr.fileno(), 65536)
        assert more, shown
        shown += more
    return shown


def job_is(plugin: PluginFolder, job_id: str, status: str) -> bool:
    return bool(plugin.output("job", job_id=job_id)["status"] == status)


# --- Attached jobs --------------------------------------------------------------------------


def test_a_task_shows_its_log_and_progress_while_it_runs(plugin: PluginFolder) -> None:
    door = plugin.open(plugin.document("steps"))
    shown = read_until(door, b"step 3") + read_until(door, b"\x01p\x02")
    assert ("i", "steps step 1") in lines(shown[: shown.rindex(b"\n")])
    (plugin.home / "enough").touch()
    reply, _ = plugin.end(door)
    assert reply == {"output": {"name": "steps"}}


def test_a_task_ends_with_its_door(plugin: PluginFolder) -> None:
    door = plugin.open(plugin.document("steps"))
    plugin.wait_for("steps begins")
    kill(door)
    plugin.wait_for("steps stops")
    assert plugin.output("jobs")["jobs"][0]["status"] == "interrupted"


def test_a_task_that_waits_is_dropped_with_its_door(plugin: PluginFolder) -> None:
    first = plugin.open(plugin.document("steps", name="first"))
    plugin.wait_for("first begins")
    second = plugin.open(plugin.document("steps", name="second"))
    wait_until(lambda: len(plugin.output("jobs")["jobs"]) == 2, "the second does not wait")
    kill(second)
    wait_until(lambda: plugin.output("jobs")["jobs"][1]["status"] == "interrupted", "still waiting")
    (plugin.home / "enough").touch()
    plugin.end(first)
    assert plugin.trace() == ["first begins", "first ends"]


def test_a_second_door_joins_the_same_task(plugin: PluginFolder) -> None:
    first = plugin.open(plugin.document("steps", name="one"))
    plugin.wait_for("one begins")
    second = plugin.open(plugin.document("steps", name="one"))
    read_until(second, b"one step")
    # The job goes on for the one that is left.
    kill(first)
    (plugin.home / "enough").touch()
    reply, _ = plugin.end(second)
    assert reply == {"output": {"name": "one"}}
    assert plugin.trace() == ["one begins", "one ends"]


def test_the_same_task_with_other_arguments_is_another(plugin: PluginFolder) -> None:
    (plugin.home / "enough").touch()
    plugin.output("steps", name="a")
    plugin.output("steps", name="b")
    assert plugin.trace() == ["a begins", "a ends", "b begins", "b ends"]


def test_a_task_pressed_again_after_it_was_stopped_runs_anew(plugin: PluginFolder) -> None:
    kill_me = plugin.open(plugin.document("steps", name="one"))
    plugin.wait_for("one begins")
    kill(kill_me)
    again = plugin.open(plugin.document("steps", name="one"))
    wait_until(lambda: plugin.trace().count("one begins") == 2, "it did not run anew")
    (plugin.home / "enough").touch()
    reply, _ = plugin.end(again)
    assert reply == {"output": {"name": "one"}}
    assert plugin.trace() == ["one begins", "one stops", "one begins", "one ends"]


def test_operations_run_beside_a_task(plugin: PluginFolder) -> None:
    door = plugin.open(plugin.document("steps"))
    plugin.wait_for("steps begins")
    assert plugin.output("echo", n=1)["args"]["n"] == 1
    (plugin.home / "enough").touch()
    plugin.end(door)


def test_an_operation_ends_with_its_door(plugin: PluginFolder) -> None:
    door = plugin.open(plugin.document("operation_steps"))
    plugin.wait_for("operation_steps begins")
    kill(door)
    plugin.wait_for("operation_steps stops")


# --- Owned jobs -----------------------------------------------------------------------------


def test_an_owned_job_survives_its_door(plugin: PluginFolder) -> None:
    job_id = plugin.output("own_steps")["job_id"]
    plugin.wait_for("own_steps begins")
    running = plugin.output("job", job_id=job_id)
    assert (running["status"], running["mode"], running["output"]) == ("running", "own_steps", None)
    wait_until(lambda: plugin.output("job", job_id=job_id)["progress"] == 0.5, "no progress")
    # Only its last lines are kept.
    first = plugin.output("job", job_id=job_id)["lines"][0]
    assert first["level"] == "info"
    assert first["message"].startswith("own_steps step ")
    (plugin.home / "enough").touch()
    wait_until(lambda: job_is(plugin, job_id, "done"), "the job does not end")
    done = plugin.output("job", job_id=job_id)
    assert done["output"] == {"name": "own_steps"}
    assert done["progress"] == 1
    assert (running["ahead"], done["lines"]) == (0, [])


def test_an_owned_job_asked_for_twice_is_one(plugin: PluginFolder) -> None:
    first = plugin.output("own_steps")["job_id"]
    assert plugin.output("own_steps")["job_id"] == first
    assert plugin.output("own_steps", name="other")["job_id"] != first


def test_an_owned_job_is_cancelled_by_its_id(plugin: PluginFolder) -> None:
    job_id = plugin.output("own_steps")["job_id"]
    plugin.wait_for("own_steps begins")
    assert plugin.output("cancel_job", job_id=job_id) == {"cancelled": True}
    plugin.wait_for("own_steps stops")
    assert job_is(plugin, job_id, "cancelled")
    assert plugin.output("cancel_job", job_id=job_id) == {"cancelled": False}


def test_an_owned_job_goes_before_a_running_task(plugin: PluginFolder) -> None:
    sweep = plugin.open(plugin.document("steps", name="sweep"))
    plugin.wait_for("sweep begins")
    plugin.output("own_steps", name="urgent", steps=2)
    plugin.wait_for("urgent ends")
    (plugin.home / "enough").touch()
    plugin.end(sweep)
    assert plugin.trace() == ["sweep begins", "urgent begins", "urgent ends", "sweep ends"]


def test_a_task_that_let_another_pass_still_ends_with_its_door(plugin: PluginFolder) -> None:
    sweep = plugin.open(plugin.document("steps", name="sweep"))
    plugin.wait_for("sweep begins")
    job_id = plugin.output("own_steps", name="urgent")["job_id"]
    plugin.wait_for("urgent begins")
    kill(sweep)
    plugin.output("cancel_job", job_id=job_id)
    plugin.wait_for("sweep stops")
    assert "urgent stops" in plugin.trace()


def test_an_owned_job_goes_on_after_its_worker_was_killed(plugin: PluginFolder) -> None:
    job_id = plugin.output("own_steps")["job_id"]
    plugin.wait_for("own_steps begins")
    os.kill(plugin.pid(), signal.SIGKILL)
    (plugin.home / "enough").touch()
    plugin.output("echo")
    plugin.wait_for("own_steps ends")
    wait_until(lambda: job_is(plugin, job_id, "done"), "the job does not end")


def test_an_owned_job_goes_on_in_the_next_version(plugin: PluginFolder) -> None:
    job_id = plugin.output("own_steps")["job_id"]
    plugin.wait_for("own_steps begins")
    (plugin.package / "start" / "version.py").write_text('VERSION = "9.9.9"\n')
    plugin.output("echo")
    wait_until(lambda: plugin.trace().count("own_steps begins") == 2, "it did not go on")
    assert plugin.trace()[:2] == ["own_steps begins", "own_steps stops"]
    assert job_is(plugin, job_id, "running")


def test_an_owned_job_that_fails_keeps_why(plugin: PluginFolder) -> None:
    modes = plugin.package / "tasks.py"
    text = modes.read_text().replace(
        '"own_steps": Mode(steps, "job")', '"fails": Mode(ours, "job")'
    )
    modes.write_text(text)
    job_id = plugin.output("fails")["job_id"]
    wait_until(lambda: job_is(plugin, job_id, "failed"), "the job does not fail")
    error = plugin.output("job", job_id=job_id)["error"]
    assert error == {"message": "The dog is missing", "remedy": "whistle"}


@pytest.mark.parametrize("mode", ["job", "cancel_job"])
def test_a_job_has_to_be_named(plugin: PluginFolder, mode: str) -> None:
    reply, _ = plugin.call(mode)
    assert "job_id is missing" in reply["error"]


def test_how_many_jobs_are_told_has_to_be_a_number(plugin: PluginFolder) -> None:
    assert plugin.output("jobs", limit=None) == {"jobs": []}
    for limit in (0, 501, "many", True):
        reply, _ = plugin.call("jobs", limit=limit)
        assert reply["error"] == f"limit is {limit!r}: say a number from 1 to 500"


def test_a_job_that_is_none_is_said(plugin: PluginFolder) -> None:
    reply, _ = plugin.call("job", job_id="nonsense")
    assert "There is no job nonsense" in reply["error"]


# --- When it leaves -------------------------------------------------------------------------


def test_it_leaves_when_idle(plugin: PluginFolder) -> None:
    (plugin.home / "idle_minutes").write_text("0.001")
    worker = plugin.worker("--watch-every-s", "0.05")
    assert worker.wait(PATIENCE_S) == 0
    assert plugin.card() is None
    assert not list(plugin.runtime.rglob("*.sock"))
    assert "nothing was asked" in plugin.log()


def test_it_does_not_leave_while_a_job_runs(plugin: PluginFolder) -> None:
    worker = plugin.worker("--watch-every-s", "0.05")
    door = plugin.open(plugin.document("steps"))
    plugin.wait_for("steps begins")
    (plugin.folder / "idle_minutes").write_text("0.001")
    (plugin.folder / "idle_minutes").rename(plugin.home / "idle_minutes")
    # In these steps it looks ten times whether it has been idle for too long.
    for _ in range(30):
        read_until(door, b"steps step ")
    (plugin.home / "enough").touch()
    reply, _ = plugin.end(door)
    assert reply == {"output": {"name": "steps"}}
    assert plugin.trace() == ["steps begins", "steps ends"]
    assert worker.wait(PATIENCE_S) == 0
    assert "nothing was asked" in plugin.log()


def test_it_leaves_when_stash_has_gone(plugin: PluginFolder) -> None:
    with small_stash() as port:
        plugin.stash_port = port
        worker = plugin.worker("--watch-every-s", "0.05", "--gone-after-s", "0.5")
        job_id = plugin.output("own_steps")["job_id"]
        plugin.wait_for("own_steps begins")
    assert worker.wait(PATIENCE_S) == 0
    assert "Stash has gone" in plugin.log()
    assert plugin.trace() == ["own_steps begins", "own_steps stops"]
    # The job waits for the next worker.
    (plugin.home / "enough").touch()
    wait_until(lambda: job_is(plugin, job_id, "done"), "the job does not go on")


def test_it_outlives_a_stash_that_it_does_not_know(plugin: PluginFolder) -> None:
    # From the command line there is no Stash to look after.
    plugin.stash_port = free_port()
    worker = plugin.worker("--watch-every-s", "0.02", "--gone-after-s", "0.1")
    plugin.variables["STASH_SENSE_HOME"] = str(plugin.home)
    reply, _ = plugin.end(
        plugin.open(json.dumps({"args": {"mode": "steps", "steps": 30}}).encode())
    )
    assert reply == {"output": {"name": "steps"}}
    assert worker.poll() is None
    worker.kill()
    worker.wait()


def test_told_to_end_it_lets_the_batch_end(plugin: PluginFolder) -> None:
    door = plugin.open(plugin.document("steps"))
    plugin.wait_for("steps begins")
    os.kill(plugin.pid(), signal.SIGTERM)
    reply, _ = plugin.end(door)
    assert "background process of Stash Sense is ending" in reply["error"]
    assert plugin.trace() == ["steps begins", "steps stops"]
    wait_until(lambda: "Left" in plugin.log(), "the worker does not leave")


def test_a_second_worker_gives_way(plugin: PluginFolder) -> None:
    from stash_sense_plugin.start.worker import LIVES

    first = plugin.worker()
    plugin.output("echo")
    second = plugin.worker()
    assert second.wait(PATIENCE_S) == LIVES, plugin.log()
    assert plugin.pid() == first.pid
    first.kill()
    first.wait()


def test_it_holds_no_stream_of_its_door(plugin: PluginFolder) -> None:
    plugin.output("echo")
    streams = [Path(f"/proc/{plugin.pid()}/fd/{number}") for number in (0, 1, 2)]
    if not streams[0].exists():
        pytest.skip("no /proc here to look at a process's streams")
    assert {str(stream.readlink()) for stream in streams} == {os.devnull}


def test_it_runs_without_the_users_python_settings(plugin: PluginFolder) -> None:
    plugin.variables["PYTHONPATH"] = str(plugin.folder / "evil")
    (plugin.folder / "evil").mkdir()
    (plugin.folder / "evil" / "fastapi.py").write_text("raise SystemExit('shadowed')")
    assert plugin.output("echo")
