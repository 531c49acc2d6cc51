"""The door as Stash uses it: a process with a document on stdin and one JSON object on stdout."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from stash_sense_plugin.start.cold import TASKS
from stash_sense_plugin.start.version import VERSION
from tests.plugin_folder import PATIENCE_S, ROOT, PluginFolder, plugin_folder, wait_until


@pytest.fixture
def plugin(bytecode: Path) -> Iterator[PluginFolder]:
    with plugin_folder(bytecode) as made:
        yield made


@pytest.fixture(scope="module")
def warm(bytecode: Path) -> Iterator[PluginFolder]:
    """A plugin with a worker, for tests that leave it as it was."""
    with plugin_folder(bytecode) as made:
        made.output("echo")
        yield made


@pytest.fixture(params=["oldest", "current"])
def python(request: pytest.FixtureRequest) -> str:
    if request.param == "current":
        return sys.executable
    found = shutil.which("python3.8")
    for path in (found, *map(str, Path.home().glob(".pyenv/versions/3.8.*/bin/python"))):
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    pytest.skip("no python3.8 on PATH: install one to check the oldest that the door runs on")


# --- One JSON object, whatever comes --------------------------------------------------------


@pytest.mark.parametrize(
    ("stdin", "says"),
    [
        pytest.param(b"", "not one JSON object", id="nothing"),
        pytest.param(b"hello", "not one JSON object", id="no JSON"),
        pytest.param(b"[1, 2]", "not one JSON object", id="no object"),
        pytest.param(b'{"args": {}} {"args": {}}', "not one JSON object", id="two documents"),
        pytest.param(b"\xff\xfe", "not one JSON object", id="no UTF-8"),
        pytest.param(b"[" * 200_000, "not one JSON object", id="too deep"),
        pytest.param(b'{"args": {"mode": "x"', "not one JSON object", id="cut off"),
        pytest.param(b'{"args": {}}', "name no mode", id="no mode"),
        pytest.param(b'{"args": {"mode": 5}}', "name no mode", id="mode is a number"),
        pytest.param(b'{"args": {"mode": "x"}}', "Dir is missing", id="no folder"),
        pytest.param(
            b'{"args": {"mode": "x"}, "server_connection": 5}', "no object", id="odd server"
        ),
    ],
)
def test_bad_input_is_one_error(warm: PluginFolder, python: str, stdin: bytes, says: str) -> None:
    reply, log = warm.end(warm.open(stdin, python))
    assert list(reply) == ["error"]
    assert says in reply["error"]
    assert log == []


def test_it_writes_no_bytecode_into_the_plugins_folder(warm: PluginFolder) -> None:
    warm.output("echo")
    assert not list(warm.package.rglob("__pycache__"))


def test_its_own_modules_shadow_nothing(warm: PluginFolder, python: str) -> None:
    # The package has an errors.py, and Stash runs the door by its path.
    reply, _ = warm.call("echo", python)
    assert reply["output"]["stash"] is True


# --- Without an environment -----------------------------------------------------------------


@pytest.fixture
def bare(plugin: PluginFolder) -> PluginFolder:
    del plugin.variables["STASH_SENSE_PYTHON"]
    return plugin


def test_an_operation_without_an_environment_says_what_to_do(
    bare: PluginFolder, python: str
) -> None:
    reply, _ = bare.call("echo", python)
    assert reply == {"error": "Stash Sense is not set up yet: run the task Set up"}


def test_a_hook_never_sets_up(bare: PluginFolder) -> None:
    reply, _ = bare.call("tag_scenes", hookContext={"id": 1, "type": "Scene.Create.Post"})
    assert reply == {"error": "Stash Sense is not set up yet: run the task Set up"}
    assert not (bare.home / "setup.lock").exists()


def test_doctor_without_an_environment_says_what_is_here(bare: PluginFolder, python: str) -> None:
    reply, log = bare.call("doctor", python)
    facts = {fact["what"]: fact for fact in reply["output"]["facts"]}
    assert facts["Packages"]["found"] == "not installed yet"
    assert facts["Worker"]["found"].startswith("not running")
    assert facts["Folder"]["found"].startswith(str(bare.home))
    assert ("w", "Packages: not installed yet -> run the task Set up") in log


def test_a_named_python_that_is_not_there_is_said(plugin: PluginFolder) -> None:
    plugin.variables["STASH_SENSE_PYTHON"] = str(plugin.folder / "none")
    for mode in ("echo", "tag_scenes", "set_up"):
        reply, log = plugin.call(mode)
        assert "cannot be used" in reply["error"]
        assert "take that variable away" in reply["error"]
        assert log == []


# --- With a worker --------------------------------------------------------------------------


def test_the_first_door_starts_the_worker_and_the_next_finds_it(plugin: PluginFolder) -> None:
    assert plugin.output("echo", x=1)["args"] == {"mode": "echo", "x": 1}
    first = plugin.pid()
    assert plugin.output("echo", x=2)["args"]["x"] == 2
    assert plugin.pid() == first


def test_a_folder_that_a_link_leads_to_is_as_good(plugin: PluginFolder, python: str) -> None:
    linked = plugin.folder / "linked"
    linked.symlink_to(plugin.package.parent, target_is_directory=True)
    plugin.package = linked / plugin.package.name
    reply, _ = plugin.call("echo", python)
    assert "output" in reply, reply


def test_arguments_come_through_as_they_are(warm: PluginFolder) -> None:
    args = {
        "b": True,
        "z": None,
        "n": 9007199254740993,
        "s": 'é"\\\n\u2028\ud800',
        "l": [{"a": 1.5}],
    }
    assert warm.output("echo", **args)["args"] == {"mode": "echo", **args}


def test_log_lines_reach_stash_in_its_form(warm: PluginFolder) -> None:
    _, log = warm.call("echo")
    assert log[-1] == ("i", "echoing")


def test_long_lines_are_cut_and_stay_one_line(warm: PluginFolder) -> None:
    reply, log = warm.call("large")
    assert reply["output"]["text"] == "é" * 2_000_000
    assert len(log[-1][1].encode()) < 65_000
    warm.output("echo")


def test_an_error_of_ours_is_message_and_remedy(warm: PluginFolder) -> None:
    reply, _ = warm.call("ours")
    assert reply == {"error": "The dog is missing: whistle"}


def test_any_other_error_names_the_log_which_has_the_rest(warm: PluginFolder) -> None:
    reply, _ = warm.call("other")
    assert str(warm.home / "worker.log") in reply["error"]
    assert "KeyError: 'surprise'" in warm.log()


def test_a_number_that_json_does_not_know_is_an_error(warm: PluginFolder) -> None:
    reply, _ = warm.call("not_a_number")
    assert "error" in reply


def test_a_package_that_is_missing_names_set_up(warm: PluginFolder) -> None:
    reply, _ = warm.call("lacking")
    assert "no_such_package" in reply["error"]
    assert reply["error"].endswith("run the task Set up")


def test_an_unknown_mode_names_the_known_ones(warm: PluginFolder) -> None:
    reply, _ = warm.call("no_such_mode")
    assert "no_such_mode" in reply["error"]
    assert "echo" in reply["error"]


@pytest.mark.parametrize(
    ("end", "says"),
    [("exit 1", "fit this system"), ("kill -SEGV $$", "fit this system"), ("exit 103", "has gone")],
    ids=["a package of another ABI", "a crash at import", "Windows' launcher without its Python"],
)
def test_an_environment_that_fits_no_longer_names_set_up(
    plugin: PluginFolder, end: str, says: str
) -> None:
    python = plugin.folder / "python"
    python.write_text(f"#!/bin/sh\n{end}\n")
    python.chmod(0o700)
    plugin.variables["STASH_SENSE_PYTHON"] = str(python)
    reply, _ = plugin.call("echo")
    assert says in reply["error"]
    assert "run the task Set up" in reply["error"]


def test_a_worker_that_cannot_start_gives_its_reason(plugin: PluginFolder) -> None:
    (plugin.home / "broken_store").touch()
    reply, _ = plugin.call("echo")
    assert "The store is broken: mend it" in reply["error"]


def test_a_package_that_does_not_load_is_our_fault_and_no_set_up_is_tried(
    plugin: PluginFolder,
) -> None:
    del plugin.variables["STASH_SENSE_PYTHON"]
    # An environment that has everything: this one.
    make_ready(plugin)
    (plugin.package / "tasks.py").write_text("from stash_sense_plugin.records import NoSuchThing\n")
    reply, _ = plugin.call("tag_scenes")
    assert "did not start" in reply["error"]
    assert not (plugin.home / "setup.lock").exists()


def make_ready(plugin: PluginFolder) -> None:
    """Give the home an environment that is this one."""
    from stash_sense_plugin.start.environment import fingerprint

    binaries = plugin.home / "env" / "bin"
    binaries.mkdir(parents=True)
    script = binaries / "python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    script.chmod(0o700)
    card = {"requirements": fingerprint(str(plugin.package.parent / "requirements.txt"))}
    (plugin.home / "env" / "ready.json").write_text(json.dumps(card))


def test_a_door_that_reads_no_more_hurts_nothing(warm: PluginFolder) -> None:
    warm.output("echo")
    door = warm.open(warm.document("large"))
    assert door.stdout is not None
    assert door.stderr is not None
    door.stdout.close()
    door.stderr.close()
    assert door.wait(PATIENCE_S) == 0
    warm.output("echo")


# --- A worker that dies ---------------------------------------------------------------------


def test_an_operation_whose_worker_died_says_so(plugin: PluginFolder) -> None:
    reply, log = plugin.call("die_operation")
    assert "ended before it had an answer" in reply["error"]
    assert ("w", "dying now") in log
    assert plugin.trace() == ["dying"]


@pytest.mark.parametrize("warm", [False, True])
def test_a_task_whose_worker_died_is_tried_once_more(plugin: PluginFolder, warm: bool) -> None:
    if warm:
        plugin.output("echo")
    assert plugin.output("die", once=True) == {"survived": True}


def test_a_task_that_kills_each_worker_ends_with_an_error(plugin: PluginFolder) -> None:
    reply, _ = plugin.call("die")
    assert "ended before it had an answer" in reply["error"]
    assert plugin.trace() == ["dying"] * 3
    assert plugin.output("echo")


def test_a_killed_worker_leaves_a_socket_that_stops_nobody(plugin: PluginFolder) -> None:
    plugin.output("echo")
    card = plugin.card()
    assert card is not None
    os.kill(card["pid"], signal.SIGKILL)
    assert Path(card["socket"]).is_socket()
    assert plugin.output("echo")
    assert plugin.pid() != card["pid"]


# --- Whose worker it is ---------------------------------------------------------------------


def test_what_the_worker_makes_is_closed_to_others(warm: PluginFolder) -> None:
    warm.output("echo")
    card = warm.card()
    assert card is not None
    path = Path(card["socket"])
    assert path.parent == warm.runtime / f"stash-sense-{os.getuid()}"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert warm.home.stat().st_mode & 0o777 == 0o700
    for file in (
        path,
        Path(f"{path}.lock"),
        warm.home / "worker.log",
        warm.home / "worker.json",
    ):
        assert file.stat().st_mode & 0o777 == 0o600, file


def test_a_home_that_was_open_is_closed(plugin: PluginFolder) -> None:
    plugin.home.chmod(0o755)
    plugin.output("echo")
    assert plugin.home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("fault", ["link", "open"])
def test_a_runtime_folder_that_is_not_ours_alone_is_refused(
    plugin: PluginFolder, fault: str
) -> None:
    folder = plugin.runtime / f"stash-sense-{os.getuid()}"
    if fault == "link":
        (plugin.folder / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(plugin.folder / "elsewhere")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    reply, _ = plugin.call("echo")
    assert str(folder) in reply["error"]
    assert "XDG_RUNTIME_DIR" in reply["error"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_runtime_folder_of_another_user_is_refused(plugin: PluginFolder) -> None:
    folder = plugin.runtime / f"stash-sense-{os.getuid()}"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    reply, _ = plugin.call("echo")
    assert "belongs to another user" in reply["error"]


def test_two_doors_at_once_start_one_worker(plugin: PluginFolder) -> None:
    doors = [plugin.open(plugin.document("echo", n=n)) for n in range(4)]
    replies = [plugin.end(door)[0] for door in doors]
    assert [reply["output"]["args"]["n"] for reply in replies] == [0, 1, 2, 3]
    assert plugin.log().count("Serving") == 1


def test_a_login_with_another_runtime_folder_finds_the_same_worker(plugin: PluginFolder) -> None:
    plugin.output("echo")
    first = plugin.pid()
    other = plugin.folder / "other"
    other.mkdir(mode=0o700)
    plugin.variables["XDG_RUNTIME_DIR"] = str(other)
    assert plugin.output("echo")
    assert plugin.pid() == first


def test_a_long_runtime_folder_is_passed_over(plugin: PluginFolder) -> None:
    long = plugin.folder / ("l" * 90)
    long.mkdir(mode=0o700)
    plugin.variables.update(XDG_RUNTIME_DIR=str(long), TMPDIR=str(plugin.runtime))
    plugin.output("echo")
    card = plugin.card()
    assert card is not None
    assert len(card["socket"]) < 100
    for left in (card["socket"], f"{card['socket']}.lock"):
        Path(left).unlink()


def test_a_worker_of_another_version_hands_over(plugin: PluginFolder) -> None:
    plugin.output("echo")
    first = plugin.pid()
    (plugin.package / "start" / "version.py").write_text('VERSION = "9.9.9"\n')
    assert plugin.output("echo")
    assert plugin.pid() != first
    assert "another version takes over" in plugin.log()


def test_a_task_under_way_is_told_when_another_version_takes_over(plugin: PluginFolder) -> None:
    door = plugin.open(plugin.document("steps"))
    plugin.wait_for("steps begins")
    (plugin.package / "start" / "version.py").write_text('VERSION = "9.9.9"\n')
    assert plugin.output("echo")
    reply, _ = plugin.end(door)
    assert "background process of Stash Sense is ending" in reply["error"]
    assert plugin.trace() == ["steps begins", "steps stops"]


def test_a_command_of_another_copy_that_reads_stops_no_task(plugin: PluginFolder) -> None:
    def command(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "stash_sense_plugin", *words],
            cwd=ROOT,
            env={**plugin.variables, "STASH_SENSE_HOME": str(plugin.home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    door = plugin.open(plugin.document("steps"))
    plugin.wait_for("steps begins")
    first = plugin.pid()
    done = command("errors")
    assert (done.stdout, done.returncode) == ("No scene failed.\n", 0), done.stderr
    assert plugin.pid() == first
    (plugin.home / "enough").touch()
    reply, _ = plugin.end(door)
    assert reply == {"output": {"name": "steps"}}
    # The one that is idle makes way.
    assert command("errors").returncode == 0
    assert plugin.pid() != first


def test_loopback_asks_for_the_token(plugin: PluginFolder) -> None:
    import http.client

    worker = plugin.worker("--loopback")
    card = plugin.card()
    assert card is not None
    assert plugin.output("echo")
    assert plugin.pid() == worker.pid
    for token in ("", "Bearer wrong"):
        connection = http.client.HTTPConnection("127.0.0.1", card["port"])
        connection.request("GET", "/v1/ping", headers={"Authorization": token})
        assert connection.getresponse().status == 401
        connection.close()
    assert (plugin.home / "worker.json").stat().st_mode & 0o777 == 0o600
    worker.kill()
    worker.wait()


# --- What a warm door imports ---------------------------------------------------------------

ALLOWED = {
    "_blake2",
    "_json",
    "_socket",
    "_collections_abc",
    "_stat",
    "genericpath",
    "os",
    "os.path",
    "posixpath",
    "stat",
    "stash_sense_plugin",
    "stash_sense_plugin.start",
    "stash_sense_plugin.start.address",
    "stash_sense_plugin.start.door",
    "stash_sense_plugin.start.request",
    "stash_sense_plugin.start.version",
    "stash_sense_plugin.start.wire",
}


def test_a_warm_door_imports_next_to_nothing(warm: PluginFolder, python: str) -> None:
    warm.output("echo")
    bare = imports([python, "-S", "-X", "importtime", "-c", ""], b"", warm)
    door = [python, "-S", "-X", "importtime", str(warm.package / "__main__.py")]
    seen = imports(door, warm.document("echo"), warm)
    assert seen - bare <= ALLOWED
    assert "stash_sense_plugin.start.door" in seen


def imports(argv: list[str], stdin: bytes, plugin: PluginFolder) -> set[str]:
    told = subprocess.run(
        argv, input=stdin, capture_output=True, check=True, env=plugin.variables, timeout=PATIENCE_S
    )
    rows = told.stderr.decode(errors="replace").splitlines()
    return {row.rsplit("|", 1)[1].strip() for row in rows if row.startswith("import time:")}


# --- The command line -----------------------------------------------------------------------


def test_with_nothing_to_read_it_says_how_it_is_used(plugin: PluginFolder) -> None:
    import pty

    leader, follower = pty.openpty()
    try:
        told = subprocess.run(
            [sys.executable, "-S", str(plugin.package / "__main__.py")],
            stdin=follower,
            capture_output=True,
            env=plugin.variables,
            timeout=PATIENCE_S,
            check=False,
        )
    finally:
        os.close(leader)
        os.close(follower)
    assert told.returncode == 2
    assert told.stdout == b""
    assert b"--help" in told.stderr


def test_a_python_without_the_packages_names_one_that_has_them(plugin: PluginFolder) -> None:
    (plugin.package / "cli").mkdir()
    (plugin.package / "cli" / "main.py").write_text("import no_such_package\n")
    plugin.variables["STASH_SENSE_HOME"] = str(plugin.home)
    told = subprocess.run(
        [sys.executable, "-S", str(plugin.package / "__main__.py"), "doctor"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=plugin.variables,
        timeout=PATIENCE_S,
        check=False,
    )
    assert told.returncode == 1
    assert b"no_such_package" in told.stderr
    assert sys.executable.encode() in told.stderr


def test_an_update_of_the_same_version_is_another_package(plugin: PluginFolder) -> None:
    plugin.output("echo")
    first = plugin.pid()
    module = plugin.package / "worker" / "watch.py"
    text = module.read_text()
    module.unlink()
    module.write_text(text)
    assert plugin.output("echo")
    assert plugin.pid() != first


def test_an_update_of_the_same_size_and_dates_runs_its_own_code(plugin: PluginFolder) -> None:
    # A zip with fixed dates, unpacked over the old folder: what was compiled looks fresh.
    def unpack() -> None:
        for path in (path for path in plugin.package.rglob("*") if path.is_file()):
            path.write_bytes(path.read_bytes())
            os.utime(path, (315532800, 315532800))

    unpack()
    _, before = plugin.call("echo")
    plugin.edit("tasks.py", '"echoing"', '"ECHOING"')
    plugin.edit("start/worker.py", "ends what is in hand", "ENDS WHAT IS IN HAND")
    unpack()
    _, after = plugin.call("echo")
    assert ("i", "echoing") in before
    assert ("i", "ECHOING") in after
    assert any("ENDS WHAT" in text for _, text in after)


# --- What must agree ------------------------------------------------------------------------


def test_version_and_tasks_are_those_of_the_plugins_file() -> None:
    plugin_file = yaml.safe_load((ROOT / "plugin.yml").read_text())
    assert plugin_file["version"] == VERSION
    assert {task["defaultArgs"]["mode"] for task in plugin_file["tasks"]} == set(TASKS)


def test_waiting_gives_up_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.plugin_folder.PATIENCE_S", 0.0)
    with pytest.raises(AssertionError, match="never"):
        wait_until(lambda: False, "never")
