"""The worker's life on machines as they are: updates, sleep, cleaners, users, full disks."""

import ast
import importlib
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from stash_sense_plugin.start.lock import held
from stash_sense_plugin.start.paths import Home
from stash_sense_plugin.start.worker import LOG_BYTES, alive
from tests.life_kit import (
    FIRST_PROCESS,
    FLOCK,
    NOBODY,
    WITHOUT_LOCKS,
    as_user,
    asleep,
    needs_namespaces,
    needs_root,
    open_to_all,
)
from tests.plugin_folder import (
    PATIENCE_S,
    ROOT,
    PluginFolder,
    plugin_folder,
    small_stash,
    wait_until,
)
from tests.test_worker import kill, read_until


@pytest.fixture
def plugin(bytecode: Path) -> Iterator[PluginFolder]:
    with plugin_folder(bytecode) as made:
        yield made
        assert "TWO WORKERS" not in made.trace()


def socket_of(plugin: PluginFolder) -> Path:
    card = plugin.card()
    assert card is not None
    return Path(card["socket"])


def take_away(folder: Path) -> None:
    """Remove a folder at one blow: a worker that puts something back makes another."""
    away = folder.with_name("away")
    folder.rename(away)
    shutil.rmtree(away)


# --- Two Stashes, two users -----------------------------------------------------------------


def test_two_stashes_share_a_plugin_and_nothing_else(plugin: PluginFolder) -> None:
    other = plugin.another()
    here = plugin.open(plugin.document("steps", name="here"))
    plugin.wait_for("here begins")
    there = other.open(other.document("steps", name="there"))
    other.wait_for("there begins")
    first = (plugin.pid(), other.pid())
    assert first[0] != first[1]
    assert [job["mode"] for job in plugin.output("jobs")["jobs"]] == ["steps"]
    # One update under both: each worker goes when its own Stash asks.
    plugin.edit("start/version.py", 'VERSION = "', 'VERSION = "9')
    assert plugin.output("echo")
    assert "is ending" in plugin.end(here)[0]["error"]
    assert other.pid() == first[1]
    (other.home / "enough").touch()
    assert other.end(there)[0] == {"output": {"name": "there"}}
    assert other.output("echo")
    assert (plugin.pid() in first, other.pid() in first) == (False, False)
    assert plugin.trace() == ["here begins", "here stops"]
    assert other.trace() == ["there begins", "there ends"]


@needs_root
def test_two_users_do_not_meet(plugin: PluginFolder) -> None:
    del plugin.variables["XDG_RUNTIME_DIR"]
    plugin.variables["TMPDIR"] = str(plugin.runtime)
    plugin.runtime.chmod(0o1777)
    for folder in (plugin.folder, plugin.folder / "plugins"):
        open_to_all(folder)
    other = plugin.another()
    shutil.rmtree(other.config)
    other.config.mkdir()
    os.chown(other.config, NOBODY, NOBODY)
    other.variables = dict(plugin.variables)
    python = as_user(other, NOBODY)
    plugin.output("echo")
    reply, _ = other.call("echo", python)
    assert "output" in reply, reply
    assert psutil.Process(other.pid()).uids().real == NOBODY
    assert psutil.Process(plugin.pid()).uids().real == 0
    assert other.pid() != plugin.pid()
    for stranger, owner in ((other, plugin), (plugin, other)):
        theirs = socket_of(owner)
        assert theirs.parent != socket_of(stranger).parent
        assert theirs.parent.stat().st_mode & 0o777 == 0o700
    # What belongs to the one keeps the other neither waiting nor guessing.
    other.home, other.config = plugin.home, plugin.config
    open_to_all(plugin.config)
    reply, _ = other.call("echo", python)
    assert f"{plugin.home} belongs to root (user 0)" in reply["error"]
    assert f"chown -R {NOBODY} '{plugin.home}'" in reply["error"]


@needs_root
def test_a_home_of_another_user_is_named_with_what_to_do(plugin: PluginFolder) -> None:
    os.chown(plugin.home, NOBODY, NOBODY)
    for mode in ("echo", "tag_scenes"):
        reply, _ = plugin.call(mode)
        assert f"{plugin.home} belongs to" in reply["error"]
        assert f"(user {NOBODY})" in reply["error"]
        assert f"chown -R 0 '{plugin.home}'" in reply["error"]
        assert "STASH_SENSE_HOME" in reply["error"]
    assert sorted(path.name for path in plugin.home.iterdir()) == ["pycache"]


@needs_root
def test_a_socket_folder_of_another_user_is_named(plugin: PluginFolder) -> None:
    folder = plugin.runtime / "stash-sense-0"
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    reply, _ = plugin.call("echo")
    assert f"{folder} belongs to another user" in reply["error"]
    assert f"user {NOBODY}" in reply["error"]


# --- An update under a running worker -------------------------------------------------------


def test_an_update_waits_for_the_batch_in_hand(plugin: PluginFolder) -> None:
    door = plugin.open(plugin.document("deaf"))
    plugin.wait_for("deaf begins")
    first = plugin.pid()
    plugin.remove()
    plugin.unpack("9.9.9")
    second = plugin.open(plugin.document("echo"))
    read_until(second, b"ends what is in hand first")
    assert plugin.trace() == ["deaf begins"]
    (plugin.home / "enough").touch()
    assert plugin.end(door)[0] == {"output": {"heard": False}}
    assert "output" in plugin.end(second)[0]
    assert plugin.pid() != first
    assert "version 9.9.9" in plugin.log()


def test_a_door_waits_while_the_folder_is_replaced(plugin: PluginFolder) -> None:
    plugin.open(plugin.document("deaf"))
    plugin.wait_for("deaf begins")
    plugin.edit("start/version.py", 'VERSION = "', 'VERSION = "1')
    door = plugin.open(plugin.document("echo", n=5))
    read_until(door, b"ends what is in hand first")
    plugin.remove()
    read_until(door, b"is being updated: waiting")
    (plugin.home / "enough").touch()
    plugin.unpack("9.9.9")
    # The door is of the version before, the worker of the one that is there now.
    assert plugin.end(door)[0]["output"]["args"]["n"] == 5
    assert "version 9.9.9" in plugin.log()


def test_a_worker_that_loads_while_its_folder_changes_is_started_again(
    plugin: PluginFolder,
) -> None:
    # It loads slowly enough that the update comes in between, once.
    plugin.edit(
        "worker/watch.py",
        "import contextlib",
        "import contextlib, os, pathlib, time\n"
        "if not os.path.exists(os.environ['LOADS']):\n"
        "    pathlib.Path(os.environ['LOADS']).touch()\n"
        "    while os.path.exists(os.environ['LOADS']): time.sleep(0.01)\n"
        "    pathlib.Path(os.environ['LOADS']).touch()\n",
    )
    loads = plugin.folder / "loads"
    plugin.variables["LOADS"] = str(loads)
    door = plugin.open(plugin.document("echo"))
    wait_until(loads.exists, "it does not load")
    (plugin.package / "worker" / "new.py").touch()
    loads.unlink()
    assert "output" in plugin.end(door)[0]
    assert "was replaced while it was loading" in plugin.log()
    assert plugin.log().count("Serving") == 1


def test_a_folder_that_stays_away_is_said(plugin: PluginFolder) -> None:
    plugin.edit("start/worker.py", "UPDATES_S = 60.0", "UPDATES_S = 0.2")
    plugin.open(plugin.document("deaf"))
    plugin.wait_for("deaf begins")
    plugin.edit("start/version.py", 'VERSION = "', 'VERSION = "1')
    door = plugin.open(plugin.document("echo"))
    read_until(door, b"ends what is in hand first")
    plugin.remove()
    reply, _ = plugin.end(door)
    assert "install Stash Sense anew" in reply["error"]
    (plugin.home / "enough").touch()


def test_a_folder_that_is_half_there_is_said(plugin: PluginFolder) -> None:
    (plugin.package / "start" / "cold.py").unlink()
    reply, _ = plugin.call("echo")
    assert "is being updated, or its folder" in reply["error"]


def test_a_list_of_packages_that_is_away_for_a_moment_is_said(plugin: PluginFolder) -> None:
    del plugin.variables["STASH_SENSE_PYTHON"]
    (plugin.home / "env" / "bin").mkdir(parents=True)
    (plugin.home / "env" / "bin" / "python").symlink_to(sys.executable)
    (plugin.home / "env" / "ready.json").write_text("{}")
    (plugin.package.parent / "requirements.txt").unlink()
    reply, _ = plugin.call("echo")
    assert "is being updated, or its folder" in reply["error"]


def test_the_worker_loads_all_its_own_code_at_once() -> None:
    """What it imported late, from a folder that is replaced by then, would be another version's."""
    late: set[str] = set()
    for file in sorted((ROOT / "stash_sense_plugin").rglob("*.py")):
        if file.name != "__main__.py" and file.parent.name not in ("cli", "start"):
            late |= set(imported_late(ast.parse(file.read_text())))
    program = (
        "import sys; from stash_sense_plugin.worker import server; server._own_parts();"
        "print(*(name for name in sys.modules if name.startswith('stash_sense_plugin')))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert late - set(told.stdout.split()) == set()


def imported_late(tree: ast.Module) -> Iterator[str]:
    """Yield the modules of ours that functions import."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    for node in (inner for function in functions for inner in ast.walk(function)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("stash_sense_plugin"):
                yield name if is_module(name) else name.rpartition(".")[0]


def is_module(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


# --- What is stale --------------------------------------------------------------------------


@pytest.mark.parametrize("left", ["nothing", "a socket", "a file", "a port"])
def test_what_a_dead_worker_left_stops_nobody(plugin: PluginFolder, left: str) -> None:
    folder = plugin.runtime / f"stash-sense-{os.getuid()}"
    folder.mkdir(mode=0o700)
    stale = folder / "stale.sock"
    with socket.create_server(("127.0.0.1", 0)) as taker, socket.socket(socket.AF_UNIX) as dead:
        if left == "a socket":
            dead.bind(str(stale))
        elif left == "a file":
            stale.touch()
        # The process's number lives, and is another program's.
        card: dict[str, Any] = {"pid": os.getpid(), "stamp": "x", "socket": str(stale)}
        if left == "a port":
            card |= {"socket": "", "port": taker.getsockname()[1], "token": "secret"}
        (plugin.home / "worker.json").write_text(json.dumps(card))
        for name in ("worker.lock", "start.lock"):
            (plugin.home / name).touch()
        assert plugin.output("echo")
        # Whoever took the port was asked for nothing.
        taker.setblocking(False)
        with pytest.raises(BlockingIOError):
            taker.accept()
    assert plugin.pid() != os.getpid()


def test_a_worker_that_hangs_is_named_and_goes_on_when_it_wakes(plugin: PluginFolder) -> None:
    given = 'HEAD_S = float(__import__("os").environ.get("HEAD_S", "15"))'
    plugin.edit("start/wire.py", "HEAD_S = 15.0", given)
    assert plugin.output("echo")
    pid = plugin.pid()
    with asleep(pid):
        plugin.variables["HEAD_S"] = "0.3"
        reply, _ = plugin.call("echo")
        assert f"(process {pid}) does not answer" in reply["error"]
        assert "end that process" in reply["error"]
        assert plugin.serving() == [pid]
        del plugin.variables["HEAD_S"]
    assert plugin.output("echo")
    assert plugin.pid() == pid


# --- Where the socket lies ------------------------------------------------------------------


def test_paths_that_are_too_long_are_passed_over(plugin: PluginFolder) -> None:
    long = plugin.folder / ("l" * 90)
    long.mkdir(mode=0o700)
    plugin.variables.update(XDG_RUNTIME_DIR=str(long), TMPDIR=str(long))
    assert plugin.output("echo")
    path = socket_of(plugin)
    assert path.parent in (
        Path(base) / f"stash-sense-{os.getuid()}" for base in (f"/run/user/{os.getuid()}", "/tmp")
    )
    assert plugin.output("echo")
    path.unlink()
    Path(f"{path}.lock").unlink()


@pytest.mark.parametrize("fault", ["gone", "a file", "no path", "read-only"])
def test_a_runtime_folder_that_is_of_no_use_is_passed_over(
    plugin: PluginFolder, fault: str
) -> None:
    useless = plugin.folder / "useless"
    if fault == "a file":
        useless.touch()
    elif fault == "read-only":
        if os.getuid() == 0:
            pytest.skip("root may write everywhere")
        useless.mkdir(mode=0o500)
    named = "run" if fault == "no path" else str(useless)
    plugin.variables.update(XDG_RUNTIME_DIR=named, TMPDIR=str(plugin.runtime))
    assert plugin.output("echo")
    login = Path(f"/run/user/{os.getuid()}").is_dir()
    assert login or socket_of(plugin).is_relative_to(plugin.runtime)


@pytest.mark.parametrize("taken", ["socket", "folder", "run-time folder", "card"])
def test_a_cleaner_does_not_part_doors_and_worker(plugin: PluginFolder, taken: str) -> None:
    plugin.variables["TMPDIR"] = str(plugin.folder)
    worker = plugin.worker("--mended-every-s", "0.05")
    job = plugin.open(plugin.document("steps"))
    plugin.wait_for("steps begins")
    path = socket_of(plugin)
    if taken == "socket":
        path.unlink()
    elif taken == "folder":
        take_away(path.parent)
    elif taken == "run-time folder":
        take_away(plugin.runtime)
    else:
        (plugin.home / "worker.json").unlink()
    assert plugin.output("echo")
    wait_until(lambda: plugin.card() is not None, "there is no card")
    assert plugin.pid() == worker.pid
    assert plugin.log().count("Serving") == 1
    # The job under way did not notice.
    (plugin.home / "enough").touch()
    assert plugin.end(job)[0] == {"output": {"name": "steps"}}
    wait_until(lambda: plugin.serving() == [worker.pid], "more than one is left")
    worker.terminate()
    assert worker.wait(PATIENCE_S) == 0
    assert plugin.card() is None
    assert not list(plugin.folder.glob("**/*.sock"))


def test_a_cleaner_before_the_first_look_keeps_a_door_waiting_only(plugin: PluginFolder) -> None:
    # The door starts a worker, which finds the lock held; the old one comes back meanwhile.
    plugin.worker("--mended-every-s", "0.5")
    pid = plugin.pid()
    take_away(plugin.runtime)
    plugin.runtime.mkdir(mode=0o700)
    assert plugin.output("echo")
    assert plugin.pid() == pid
    wait_until(lambda: plugin.serving() == [pid], "more than one is left")


def test_a_worker_whose_home_was_removed_leaves(plugin: PluginFolder) -> None:
    worker = plugin.worker("--mended-every-s", "0.05")
    take_away(plugin.home)
    assert worker.wait(PATIENCE_S) == 0
    assert not list(plugin.runtime.rglob("*.sock"))


def test_where_no_socket_can_be_made_a_port_is_used(plugin: PluginFolder) -> None:
    plugin.worker().kill()
    served = plugin.log().count("Serving")
    path = socket_of(plugin)
    path.unlink()
    (path / "in the way").mkdir(parents=True)
    for _ in range(2):
        assert plugin.output("echo")
    card = plugin.card()
    assert card is not None
    assert (card["socket"], len(card["token"])) == ("", 64)
    assert plugin.log().count("Serving") == served + 1


# --- The folders that are not ours to write -------------------------------------------------


def test_a_home_named_elsewhere_leaves_the_configuration_alone(
    plugin: PluginFolder, bytecode: Path
) -> None:
    shutil.rmtree(plugin.home)
    elsewhere = plugin.folder / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "pycache").symlink_to(bytecode)
    plugin.home = elsewhere
    plugin.variables["STASH_SENSE_HOME"] = str(elsewhere)
    before = plugin.config.stat().st_mtime_ns
    assert plugin.output("echo")
    plugin.output("own_steps", steps=1)
    plugin.wait_for("own_steps ends")
    os.kill(plugin.pid(), signal.SIGKILL)
    assert plugin.output("echo")
    assert list(plugin.config.iterdir()) == []
    assert plugin.config.stat().st_mtime_ns == before
    assert {"worker.log", "worker.json", "worker.lock"} <= {
        path.name for path in elsewhere.iterdir()
    }


@pytest.mark.skipif(os.uname().machine not in FLOCK, reason="seccomp's numbers are not known here")
def test_a_machine_without_locks_still_has_one_worker(plugin: PluginFolder) -> None:
    plugin.prefix = [sys.executable, "-c", WITHOUT_LOCKS, str(ROOT)]
    assert plugin.output("echo")
    pid = plugin.pid()
    assert plugin.output("echo")
    assert plugin.pid() == pid
    os.kill(pid, signal.SIGKILL)
    assert plugin.output("echo")
    assert plugin.pid() != pid


def test_a_plugins_folder_that_is_read_only_is_enough(plugin: PluginFolder) -> None:
    folder = plugin.package.parent
    if os.getuid() == 0:
        needs_namespaces("-m")
        mount = (
            f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}"
            f' && ! touch {folder}/x 2>/dev/null && exec "$@"'
        )
        plugin.prefix = ["unshare", "-m", "sh", "-c", mount, "sh"]
    else:
        for path in (*folder.rglob("*"), folder):
            path.chmod(path.stat().st_mode & 0o555)
    try:
        assert plugin.output("echo")
        assert plugin.output("steps", steps=1)
        assert not list(folder.rglob("__pycache__"))
    finally:
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)


# --- Stash as the first process -------------------------------------------------------------


@pytest.mark.torture
@pytest.mark.parametrize("first", ["subreaper", "process 1"])
@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM"])
def test_a_stash_that_reaps_nobody_is_left_one_zombie_per_worker(
    plugin: PluginFolder, first: str, end: str, rounds: Any, record_count: Any
) -> None:
    before = []
    if first == "process 1":
        before = ["unshare", "-p", "-f", "-m", "--mount-proc", "--kill-child"]
        needs_namespaces(*before[1:])
    door = [sys.executable, "-S", str(plugin.package / "__main__.py")]
    card = str(plugin.home / "worker.json")
    turns = rounds(2, 40)
    asked = json.dumps([turns, end, card, door, plugin.document("echo").decode()])
    told = subprocess.run(
        [*before, sys.executable, "-c", FIRST_PROCESS],
        input=asked.encode(),
        capture_output=True,
        env=plugin.variables,
        timeout=PATIENCE_S + 10 * turns,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    replies, pids, zombies = json.loads(told.stdout)
    assert all("output" in reply for reply in replies), replies
    assert len(replies) == 3 * turns
    assert len(pids) == turns
    # The last worker may still be about to end.
    assert set(zombies) <= set(pids)
    record_count("workers that came and went under a Stash that reaps nobody", turns)


# --- Sleep ----------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["worker", "door", "both"])
def test_a_job_goes_on_after_a_sleep(plugin: PluginFolder, who: str) -> None:
    door = plugin.open(plugin.document("steps"))
    read_until(door, b"step 2")
    sleepers = {"worker": [plugin.pid()], "door": [door.pid]}
    with asleep(*sleepers.get(who, [plugin.pid(), door.pid])):
        (plugin.home / "enough").touch()
        if who == "door":
            plugin.wait_for("steps ends")
    reply, _ = plugin.end(door)
    assert reply == {"output": {"name": "steps"}}


def test_a_door_that_was_killed_in_its_workers_sleep_ends_the_job(plugin: PluginFolder) -> None:
    door = plugin.open(plugin.document("steps"))
    plugin.wait_for("steps begins")
    with asleep(plugin.pid()):
        kill(door)
    plugin.wait_for("steps stops")


def test_it_looks_for_stash_again_after_a_sleep(plugin: PluginFolder) -> None:
    with small_stash() as port:
        plugin.stash_port = port
        worker = plugin.worker("--watch-every-s", "0.05", "--gone-after-s", "2")
        plugin.output("echo")
        with asleep(worker.pid):
            time.sleep(2.5)  # What is silent here is the machine, for longer than Stash may be.
        for _ in range(3):
            assert plugin.output("echo")
        assert plugin.pid() == worker.pid
    assert worker.wait(PATIENCE_S) == 0
    assert "Stash has gone" in plugin.log()


def test_no_step_of_the_wall_clock_is_ever_counted() -> None:
    """Clocks are set, by hand or after a sleep: what waits or measures uses the other one."""
    for room in ("worker", "start"):
        for file in sorted((ROOT / "stash_sense_plugin" / room).glob("*.py")):
            reads = [row for row in file.read_text().splitlines() if "time.time()" in row]
            # The one exception: how old a file is, and files have no other clock.
            assert all("st_mtime" in row for row in reads), (file, reads)


# --- Doors that are killed, and many of them ------------------------------------------------


def test_thirty_doors_at_once_start_one_worker(plugin: PluginFolder) -> None:
    doors = [plugin.open(plugin.document("echo", n=n)) for n in range(30)]
    replies = [plugin.end(door)[0] for door in doors]
    assert [reply["output"]["args"]["n"] for reply in replies] == list(range(30))
    assert plugin.log().count("Serving") == 1
    assert plugin.serving() == [plugin.pid()]


def test_a_door_killed_while_it_starts_a_worker_hurts_nothing(plugin: PluginFolder) -> None:
    for _ in range(2):
        door = plugin.open(plugin.document("echo"))
        wait_until(plugin.serving, "no worker is started")
        kill(door)
    assert plugin.output("echo")
    wait_until(lambda: plugin.serving() == [plugin.pid()], "more than one is left")
    assert plugin.log().count("Serving") == 1


# --- A machine that has no more to give -----------------------------------------------------


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit")
def test_a_worker_out_of_files_answers_when_there_are_some_again(plugin: PluginFolder) -> None:
    plugin.worker()
    plugin.output("echo")
    limit = psutil.Process(plugin.pid()).num_fds() + 4
    resource.prlimit(plugin.pid(), resource.RLIMIT_NOFILE, (limit, limit))
    path = str(socket_of(plugin))
    callers = [socket.socket(socket.AF_UNIX) for _ in range(12)]
    for caller in callers:
        caller.connect(path)
    door = plugin.open(plugin.document("echo"))
    for caller in callers:
        caller.close()
    assert "output" in plugin.end(door)[0]


@pytest.mark.parametrize("fault", ["a full disk", "no file"])
def test_a_log_that_cannot_be_written_keeps_nobody_waiting(
    plugin: PluginFolder, fault: str
) -> None:
    log = plugin.home / "worker.log"
    if fault == "a full disk":
        log.symlink_to("/dev/full")
    else:
        log.mkdir()
    assert plugin.output("echo")
    assert plugin.call("other")[0]["error"]
    assert plugin.output("echo")


def test_a_card_that_cannot_be_written_is_done_without(plugin: PluginFolder) -> None:
    (plugin.home / "worker.json").mkdir()
    (plugin.home / "worker.json" / "x").touch()
    for _ in range(2):
        assert plugin.output("echo")
    assert plugin.log().count("Serving") == 1
    for pid in plugin.serving():
        os.kill(pid, signal.SIGKILL)


# --- Logs and temporary files ---------------------------------------------------------------


def test_the_log_is_bounded_and_a_crash_is_in_the_last_file(plugin: PluginFolder) -> None:
    for _ in range(7):
        plugin.output("large")
    files = sorted(path.name for path in plugin.home.glob("worker.log*"))
    assert files == ["worker.log", "worker.log.1"]
    assert all((plugin.home / name).stat().st_size <= LOG_BYTES for name in files)
    plugin.call("crash")
    assert "Fatal Python error: Aborted" in plugin.log()
    assert "Fatal" not in (plugin.home / "worker.log.1").read_text()


def test_what_is_written_before_there_is_a_log_is_bounded_too(plugin: PluginFolder) -> None:
    (plugin.package / "worker" / "watch.py").write_text("import no_such_package\n")
    log = plugin.home / "worker.log"
    for _ in range(2):
        reply, _ = plugin.call("echo")
        assert "no_such_package" in reply["error"]
    assert plugin.log().count("Traceback") == 2
    log.write_text("x" * (LOG_BYTES + 1))
    plugin.call("echo")
    assert log.stat().st_size < 10_000


def test_what_a_set_up_writes_begins_anew_each_time(tmp_path: Path) -> None:
    program = (
        "import sys; from stash_sense_plugin.start import environment, paths, runner;"
        "journal = runner.Journal(environment.core(paths.Home(sys.argv[1]), sys.argv[2]));"
        "[journal.say('info', 'x') for _ in range(10)]"
    )
    for _ in range(3):
        words = [sys.executable, "-c", program, str(tmp_path), str(ROOT / "stash_sense_plugin")]
        subprocess.run(words, cwd=ROOT, check=True)
    assert len((tmp_path / "setup.jsonl").read_text().splitlines()) == 11
    assert [path.name for path in tmp_path.iterdir()] == ["setup.jsonl"]


def test_nothing_is_left_in_temporary_folders(plugin: PluginFolder) -> None:
    temporary = plugin.folder / "tmp"
    temporary.mkdir()
    plugin.variables["TMPDIR"] = str(temporary)
    old, new = plugin.home / ".part-old", plugin.home / ".part-new"
    for part in (old, new):
        part.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    for end in (signal.SIGTERM, signal.SIGKILL):
        door = plugin.open(plugin.document("steps"))
        wait_until(lambda: plugin.trace()[-1:] == ["steps begins"], "it does not begin")
        kill(door)
        wait_until(lambda: plugin.trace()[-1:] == ["steps stops"], "it does not end")
        os.kill(plugin.pid(), end)
        wait_until(lambda: not plugin.serving(), "it does not go")
    assert list(temporary.iterdir()) == []
    assert [path.name for path in plugin.home.glob(".part-*")] == [".part-new"]
    assert {path.suffix for path in plugin.runtime.rglob("*") if path.is_file()} == {".lock"}


# --- A Stash that went away, and a store that others hold ------------------------------------


def test_owned_work_goes_on_when_the_stash_that_went_away_calls_again(
    plugin: PluginFolder,
) -> None:
    """Whoever asks only how far it is does not hurry it."""
    # Delays that pass in no test: whatever goes on is what the calls bring about.
    first_s, second_s = 6_000.0, 60_000.0
    plugin.edit("worker/jobs.py", "(10.0, 60.0, 300.0)", f"({first_s}, {second_s})")
    job_id = plugin.output("needs_stash")["job_id"]
    file = plugin.home / "store.sqlite"
    with closing(sqlite3.connect(file, timeout=PATIENCE_S, isolation_level=None)) as store:
        due = "SELECT 1 FROM jobs WHERE next_at_s IS NOT NULL"
        wait_until(lambda: store.execute(due).fetchone(), "it does not wait")
        half_gone_s = time.time() + second_s / 2
        store.execute("UPDATE jobs SET tries = 2, next_at_s = ?", (half_gone_s,))
    assert f"needs_stash is tried again in {first_s:.0f} s: " in plugin.log()
    for _ in range(3):
        assert plugin.output("job", job_id=job_id)["status"] == "queued"
    (plugin.home / "stash_is_back").touch()
    plugin.output("echo")
    wait_until(lambda: plugin.output("job", job_id=job_id)["status"] == "done", "it does not go on")
    assert plugin.trace() == ["needs_stash finds none"]


def test_who_waits_for_the_store_keeps_no_other_door_waiting(plugin: PluginFolder) -> None:
    # However long this machine takes over the calls, the door that waits does not give up.
    plugin.edit("start/wire.py", "HEAD_S = 15.0", "HEAD_S = 600.0")
    plugin.open(plugin.document("hold_store"))
    plugin.wait_for("deaf begins")
    waiting = plugin.open(plugin.document("own_steps", steps=1))
    here = Home(str(plugin.home))
    for _ in range(50):
        assert alive(here, str(plugin.package))
    assert waiting.poll() is None
    (plugin.home / "enough").touch()
    assert "job_id" in plugin.end(waiting)[0]["output"]


# --- A batch that does not end --------------------------------------------------------------


def test_a_batch_that_never_looks_up_is_cut_when_the_worker_has_to_go(
    plugin: PluginFolder,
) -> None:
    plugin.edit("worker/server.py", "LEAVES_S = 60.0", "LEAVES_S = 0.3")
    door = plugin.open(plugin.document("deaf"))
    plugin.wait_for("deaf begins")
    first = plugin.pid()
    plugin.edit("start/version.py", 'VERSION = "', 'VERSION = "9')
    assert plugin.output("echo")
    wait_until(lambda: plugin.card() and plugin.pid() != first, "no other worker comes")
    assert "did not end in 0 s: ending it" in plugin.log()
    assert plugin.trace().count("let go") == 1
    # The task is done over by its own door, once.
    wait_until(lambda: plugin.trace().count("deaf begins") == 2, "it is not done over")
    (plugin.home / "enough").touch()
    assert plugin.end(door)[0] == {"output": {"heard": False}}


# --- Windows: no Unix sockets, no users, no signal handlers of the loop ---------------------

LIKE_WINDOWS = """
import asyncio.unix_events, os, socket, sys

def pair(*_):
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]

del os.getuid, socket.AF_UNIX, sys.modules["_socket"].AF_UNIX
socket.socketpair = pair
del asyncio.unix_events._UnixSelectorEventLoop.add_signal_handler
"""


@pytest.fixture
def windows(plugin: PluginFolder) -> PluginFolder:
    """A plugin on a machine that has what Windows has."""
    (plugin.package / "__init__.py").write_text(LIKE_WINDOWS)
    plugin.variables["HOME"] = str(plugin.folder)
    return plugin


def test_without_unix_sockets_it_is_reached_by_a_port(windows: PluginFolder) -> None:
    assert windows.output("echo", n=1)["args"]["n"] == 1
    card = windows.card()
    assert card is not None
    assert (card["socket"], len(card["token"])) == ("", 64)
    door = windows.open(windows.document("steps"))
    windows.wait_for("steps begins")
    kill(door)
    windows.wait_for("steps stops")
    assert windows.pid() == card["pid"]
    os.kill(card["pid"], signal.SIGTERM)
    wait_until(lambda: "Left" in windows.log(), "it does not leave")
    doors = [windows.open(windows.document("echo", n=n)) for n in range(4)]
    assert [windows.end(door)[0]["output"]["args"]["n"] for door in doors] == [0, 1, 2, 3]
    assert windows.log().count("Serving") == 2
    windows.edit("start/version.py", 'VERSION = "', 'VERSION = "9')
    assert windows.output("echo")
    assert "another version takes over" in windows.log()


def test_a_wrong_token_and_a_port_taken_over_get_nothing(windows: PluginFolder) -> None:
    windows.output("echo")
    card = windows.card()
    assert card is not None
    (windows.home / "worker.json").write_text(json.dumps(dict(card) | {"token": "wrong"}))
    reply, _ = windows.call("echo")
    assert "refused the call (401: wrong token)" in reply["error"]
    os.kill(card["pid"], signal.SIGKILL)
    # Threads of a killed process go one by one, and the lock with the last of them.
    wait_until(lambda: not held(str(windows.home / "worker.lock")), "it does not die")
    # Its own port may by now be anybody's on this machine: the one taken over is another.
    with socket.create_server(("127.0.0.1", 0)) as taker:
        left = dict(card) | {"port": taker.getsockname()[1]}
        (windows.home / "worker.json").write_text(json.dumps(left))
        assert windows.output("echo")
        taker.setblocking(False)
        with pytest.raises(BlockingIOError):
            taker.accept()
    assert windows.card() != left
