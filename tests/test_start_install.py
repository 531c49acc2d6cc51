"""Set up as a user meets it: a real environment, made by real processes, from local wheels."""

import os
import shutil
import signal
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.plugin_folder import PluginFolder, plugin_folder, wait_until

if TYPE_CHECKING:
    import subprocess

NAME = "stash_sense_all"


def write_wheel(folder: Path, version: str = "1.0") -> None:
    """Write a wheel that brings everything that this environment has, by a path to it."""
    info = f"{NAME}-{version}.dist-info"
    members = {
        f"{NAME}.pth": sysconfig.get_paths()["purelib"] + "\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*members, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{NAME}-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in (*members.items(), (f"{info}/RECORD", record)):
            wheel.writestr(name, text)


def prepare(plugin: PluginFolder, needs: str = f"{NAME}==1.0\n") -> PluginFolder:
    """Let a plugin need one package of a local folder, and pip look nowhere else."""
    wheels = plugin.folder / "wheels"
    wheels.mkdir()
    write_wheel(wheels)
    del plugin.variables["STASH_SENSE_PYTHON"]
    plugin.variables.update(
        PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels), PIP_CONFIG_FILE="/dev/null"
    )
    (plugin.package.parent / "requirements.txt").write_text(needs)
    return plugin


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pycache")


@pytest.fixture
def plugin(bytecode: Path) -> Iterator[PluginFolder]:
    with plugin_folder(bytecode) as made:
        yield prepare(made)


@pytest.fixture(scope="session")
def made(bytecode: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment as Set up makes it, for tests that begin with one."""
    kept = tmp_path_factory.mktemp("made") / "env"
    with plugin_folder(bytecode) as once:
        prepare(once).output("doctor")
        once.output("set_up")
        shutil.copytree(once.home / "env", kept, symlinks=True)
    return kept


@pytest.fixture
def ready(plugin: PluginFolder, made: Path) -> PluginFolder:
    shutil.copytree(made, plugin.home / "env", symlinks=True)
    return plugin


def begin(plugin: PluginFolder) -> "subprocess.Popen[bytes]":
    """Press Set up, and return once its runner is at work."""
    door = plugin.open(plugin.document("set_up"))
    log = plugin.home / "setup.log"
    wait_until(lambda: log.exists() and "venv" in log.read_text(), "the set-up does not begin")
    return door


def runner(plugin: PluginFolder) -> int:
    """Return the process that makes the environment."""
    boots = {
        one.pid: one.ppid()
        for one in plugin.processes()
        if "start.runner" in " ".join(one.cmdline())
    }
    # A child that has yet to become another program still looks like its parent.
    own = [pid for pid, parent in boots.items() if parent not in boots]
    assert len(own) == 1
    return own[0]


def leftovers(plugin: PluginFolder) -> list[str]:
    return [found.name for found in plugin.home.glob("env.*")]


# --- A task without an environment ----------------------------------------------------------


def test_a_task_sets_up_and_goes_on(plugin: PluginFolder) -> None:
    (plugin.home / "enough").touch()
    reply, log = plugin.call("tag_scenes")
    assert reply == {"output": {"name": "tag_scenes"}}
    texts = [text for _, text in log]
    assert "Stash Sense is not set up yet: setting it up now" in texts
    assert any(text.startswith("This reaches: no other machine") for text in texts)
    reached = texts.index(next(text for text in texts if text.startswith("This reaches")))
    assert reached < texts.index("Installing the packages")
    assert f"Installing collected packages: {NAME}" in " ".join(texts).replace("-", "_")
    moves = [float(text) for level, text in log if level == "p"]
    assert max(moves) == 1.0
    assert leftovers(plugin) == []
    assert (plugin.home / "env" / "ready.json").stat().st_mode & 0o777 == 0o600
    # The next one finds it.
    _, again = plugin.call("echo")
    assert [text for _, text in again] == ["echoing"]


def test_a_stopped_task_hurts_nothing_and_a_second_press_joins(plugin: PluginFolder) -> None:
    door = begin(plugin)
    first = runner(plugin)
    door.kill()
    door.communicate()
    again = plugin.open(plugin.document("set_up"))
    assert runner(plugin) == first
    reply, log = plugin.end(again)
    assert reply["output"]["args"] == {"mode": "set_up"}
    assert ("i", "Joining the set-up that is at work") in log
    assert (plugin.home / "setup.log").read_text().count("-m venv") == 1


def test_a_set_up_that_died_is_said_and_the_next_begins_anew(plugin: PluginFolder) -> None:
    door = begin(plugin)
    os.killpg(runner(plugin), signal.SIGKILL)
    reply, _ = plugin.end(door)
    assert "stopped before its end" in reply["error"]
    (plugin.home / "env.part-dead").mkdir(exist_ok=True)
    assert plugin.output("set_up")
    assert leftovers(plugin) == []


def test_a_package_that_cannot_be_had_is_said_in_pips_words(plugin: PluginFolder) -> None:
    (plugin.package.parent / "requirements.txt").write_text("stash_sense_nothing==1.0\n")
    reply, _ = plugin.call("set_up")
    assert "stash_sense_nothing" in reply["error"]
    assert str(plugin.home / "setup.log") in reply["error"]
    assert leftovers(plugin) == []
    assert not (plugin.home / "env").exists()
    assert plugin.call("echo")[0]["error"].startswith("Stash Sense is not set up yet")


# --- An environment that is not what it should be -------------------------------------------


def test_set_up_looks_at_an_environment_that_is_there_and_keeps_it(ready: PluginFolder) -> None:
    before = (ready.home / "env").stat().st_ino
    _, log = ready.call("set_up")
    assert ("i", "Checking the environment") in log
    assert (ready.home / "env").stat().st_ino == before


@pytest.mark.parametrize("mode", ["set_up", "tag_scenes"])
def test_packages_that_are_gone_are_brought_back(ready: PluginFolder, mode: str) -> None:
    (ready.home / "enough").touch()
    for path in (ready.home / "env").rglob(f"{NAME}.pth"):
        path.unlink()
    reply, _ = ready.call("echo")
    assert "lacks something" in reply["error"]
    assert reply["error"].endswith("run the task Set up")
    assert ready.output(mode)
    assert ready.output("echo")


def test_needs_that_changed_are_installed_by_the_next_task(ready: PluginFolder) -> None:
    (ready.home / "enough").touch()
    write_wheel(ready.folder / "wheels", "2.0")
    assert ready.output("echo")
    (ready.package.parent / "requirements.txt").write_text(f"{NAME}==2.0\n")
    (ready.package / "start" / "version.py").write_text('VERSION = "9.9.9"\n')
    reply, _ = ready.call("echo")
    assert reply == {
        "error": "Stash Sense needs other packages since its update: run the task Set up"
    }
    assert ready.output("tag_scenes")
    assert list((ready.home / "env").rglob(f"{NAME}-2.0.dist-info"))


def test_an_environment_whose_python_has_gone_is_said(ready: PluginFolder) -> None:
    python = ready.home / "env" / "bin" / "python"
    python.unlink()
    python.symlink_to(ready.folder / "gone")
    reply, _ = ready.call("echo")
    assert "cannot be used any more" in reply["error"]
    assert reply["error"].endswith("run the task Set up")
