"""Set up as a user meets it: a real environment, made by real processes, from local wheels."""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from stash_sense_plugin.start import environment, install, machine, packages, plan, runner
from stash_sense_plugin.start.distribution import Apk
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.gpu import Gpu
from stash_sense_plugin.start.machine import Machine
from stash_sense_plugin.start.paths import Home
from stash_sense_plugin.start.pythons import Interpreter
from stash_sense_plugin.start.steps import Plan, Step
from tests.plugin_folder import PluginFolder, lines, plugin_folder, wait_until
from tests.test_worker import read_until

NAME = "stash_sense_all"


def write_wheel(
    folder: Path,
    version: str = "1.0",
    name: str = NAME,
    files: "dict[str, str] | None" = None,
    metadata: str = "",
) -> None:
    """Write a wheel; without files, one that brings all that this environment has, by a path."""
    info = f"{name}-{version}.dist-info"
    members = {
        **({f"{NAME}.pth": sysconfig.get_paths()["purelib"] + "\n"} if files is None else files),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in (*members, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in (*members.items(), (f"{info}/RECORD", record)):
            wheel.writestr(path, text)


def prepare(plugin: PluginFolder) -> PluginFolder:
    """Let a plugin need one package of a local folder, and pip look nowhere else."""
    wheels = plugin.folder / "wheels"
    wheels.mkdir()
    write_wheel(wheels)
    del plugin.variables["STASH_SENSE_PYTHON"]
    plugin.variables.update(
        PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels), PIP_CONFIG_FILE="/dev/null"
    )
    (plugin.package.parent / "requirements.txt").write_text(f"{NAME}==1.0\n")
    return plugin


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pycache")


Reply = tuple[Any, list[tuple[str, str]]]


@pytest.fixture(scope="session")
def first(bytecode: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Reply, Reply]:
    """The first task of all, with nothing spared: its environment, its reply, and the next one's.

    All other tests begin with copies of what it made.
    """
    kept = tmp_path_factory.mktemp("made") / "env"
    with plugin_folder(bytecode) as once:
        prepare(once)
        (once.home / "enough").touch()
        came, again = once.call("tag_scenes"), once.call("echo")
        assert leftovers(once) == []
        shutil.copytree(once.home / "env", kept, symlinks=True)
    return kept, came, again


@pytest.fixture(scope="session")
def made(first: tuple[Path, Reply, Reply]) -> Path:
    return first[0]


@pytest.fixture(scope="session")
def empty(made: Path) -> Path:
    """The same environment before anything is installed into it."""
    copy = made.parent / "venv"
    shutil.copytree(made, copy, symlinks=True)
    for path in [*copy.rglob(f"{NAME}*"), copy / "ready.json"]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return copy


COPY = 'while [ -e "$0" ]; do sleep 0.1; done; exec cp -a "$1" "$2"'
"""Makes the environment of these plugins, once the way is free."""


def gate_of(plugin: PluginFolder) -> Path:
    """Return what keeps a set-up waiting at its first step as long as it is there."""
    return plugin.folder / "gate"


@pytest.fixture
def plugin(bytecode: Path, empty: Path) -> Iterator[PluginFolder]:
    """A plugin whose set-ups copy an empty environment and check one package: that is quicker."""
    with plugin_folder(bytecode) as one:
        one.edit(
            "start/steps.py",
            '(path, "-I", "-m", "venv", *options, folder)',
            f'("sh", "-c", {COPY!r}, {str(gate_of(one))!r}, {str(empty)!r}, folder)',
        )
        one.edit("start/packages.py", "\nIMPORTS = (\n", '\nIMPORTS = ("requests",)\nREST = (\n')
        yield prepare(one)


@pytest.fixture
def ready(plugin: PluginFolder, made: Path) -> PluginFolder:
    subprocess.run(["cp", "-a", str(made), str(plugin.home / "env")], check=True)
    return plugin


def begin(plugin: PluginFolder) -> subprocess.Popen[bytes]:
    """Press Set up, and return once its runner is at work; it waits until the gate is gone."""
    gate_of(plugin).touch()
    door = plugin.open(plugin.document("set_up"))
    log = plugin.home / "setup.log"
    wait_until(lambda: log.exists() and "venv" in log.read_text(), "the set-up does not begin")
    return door


def runner_of(plugin: PluginFolder) -> int:
    """Return the process that makes the environment."""
    boots = {}
    for one in plugin.processes():
        with suppress(psutil.Error):
            if "start.runner" in " ".join(one.cmdline()):
                boots[one.pid] = one.ppid()
    # A child that has yet to become another program still looks like its parent.
    own = [pid for pid, parent in boots.items() if parent not in boots]
    assert len(own) == 1
    return own[0]


def leftovers(plugin: PluginFolder) -> list[str]:
    return [found.name for found in plugin.home.glob("env.*")]


# --- A task without an environment ----------------------------------------------------------


def test_a_task_sets_up_and_goes_on(first: tuple[Path, Reply, Reply]) -> None:
    made, (reply, log), (_, again) = first
    assert reply == {"output": {"name": "tag_scenes"}}
    texts = [text for _, text in log]
    assert "Stash Sense is not set up yet: setting it up now" in texts
    assert any(text.startswith("This reaches: no other machine") for text in texts)
    reached = texts.index(next(text for text in texts if text.startswith("This reaches")))
    assert reached < texts.index("Installing the packages")
    assert f"Installing collected packages: {NAME}" in " ".join(texts).replace("-", "_")
    moves = [float(text) for level, text in log if level == "p"]
    assert max(moves) == 1.0
    assert (made / "ready.json").stat().st_mode & 0o777 == 0o600
    # The next one finds it.
    assert [text for _, text in again] == ["echoing"]


def test_a_stopped_task_hurts_nothing_and_a_second_press_joins(plugin: PluginFolder) -> None:
    door = begin(plugin)
    first = runner_of(plugin)
    door.kill()
    door.communicate()
    again = plugin.open(plugin.document("set_up"))
    shown = read_until(again, b"Joining the set-up that is at work\n")
    assert ("i", "Joining the set-up that is at work") in lines(shown[: shown.rindex(b"\n")])
    assert runner_of(plugin) == first
    gate_of(plugin).unlink()
    reply, _ = plugin.end(again)
    assert reply["output"]["args"] == {"mode": "set_up"}
    assert (plugin.home / "setup.log").read_text().count("exec cp -a") == 1


def test_a_set_up_that_died_is_said_and_the_next_begins_anew(plugin: PluginFolder) -> None:
    door = begin(plugin)
    os.killpg(runner_of(plugin), signal.SIGKILL)
    gate_of(plugin).unlink()
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


def test_packages_that_are_gone_are_brought_back(ready: PluginFolder) -> None:
    (ready.home / "enough").touch()
    for path in (ready.home / "env").rglob(f"{NAME}.pth"):
        path.unlink()
    reply, _ = ready.call("echo")
    assert "lacks something" in reply["error"]
    assert reply["error"].endswith("run the task Set up")
    # What is there is kept until another is whole: here none can be made.
    wheels = ready.folder / "wheels"
    wheels.rename(ready.folder / "away")
    assert "No matching distribution" in ready.call("set_up")[0]["error"]
    assert (ready.home / "env" / "ready.json").exists()
    (ready.folder / "away").rename(wheels)
    assert ready.output("tag_scenes")
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


# --- What an update took away ---------------------------------------------------------------


def other_card(plugin: PluginFolder, **values: object) -> None:
    """Let the environment's card say something else."""
    path = plugin.home / "env" / "ready.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def without_python(plugin: PluginFolder) -> None:
    (plugin.home / "env" / "bin" / "python").unlink()


def with_another_python(plugin: PluginFolder) -> None:
    """As when the image's python3 is a newer one since its update."""
    python = plugin.home / "env" / "bin" / "python"
    newer = plugin.folder / "python3.99"
    newer.write_text("#!/bin/sh\nexit 1\n")
    newer.chmod(0o755)
    python.unlink()
    python.symlink_to(newer)


def without_apks_packages(plugin: PluginFolder) -> None:
    other_card(plugin, leans_on=["/usr/lib/python3/site-packages/onnxruntime", "/usr"])


@pytest.mark.parametrize(
    ("happens", "says"),
    [
        pytest.param(without_python, "has gone, as after an update of the image", id="no Python"),
        pytest.param(with_another_python, "is 3.99 now, after an update", id="a newer Python"),
        pytest.param(
            without_apks_packages,
            "the system's own packages for onnxruntime have gone, as after an update",
            id="no apk packages",
        ),
        pytest.param(
            lambda plugin: other_card(plugin, kind="musl"),
            "it was made on Linux as Alpine is (musl), and this is Linux (glibc)",
            id="another C library",
        ),
        pytest.param(
            lambda plugin: other_card(plugin, architecture="riscv64"),
            "it was made for riscv64, and this is",
            id="another processor",
        ),
        pytest.param(
            lambda plugin: (plugin.home / "env" / "ready.json").unlink(),
            "its set-up was not finished",
            id="half an environment",
        ),
    ],
)
def test_what_an_update_took_is_noticed_and_said(
    ready: PluginFolder, happens: Callable[[PluginFolder], None], says: str
) -> None:
    happens(ready)
    error = ready.call("echo")[0]["error"]
    assert error.startswith("The environment of Stash Sense cannot be used any more (")
    assert says in error
    assert error.endswith("run the task Set up")


def test_the_next_task_says_what_happened_and_sets_up_again(ready: PluginFolder) -> None:
    (ready.home / "enough").touch()
    with_another_python(ready)
    _, log = ready.call("tag_scenes")
    told = " ".join(text for _, text in log)
    assert "is 3.99 now, after an update of the image or the system): setting it up now" in told
    assert "The environment is ready: Python" in told
    assert ready.output("echo")


def test_the_card_says_what_was_made(ready: PluginFolder) -> None:
    card = environment.card(Home(str(ready.home)))
    assert card is not None
    assert card["version"] == "{}.{}".format(*sys.version_info)
    assert (card["kind"], card["runtime"]) == ("glibc", "onnxruntime")
    assert card["runtime_version"] == version("onnxruntime")
    assert card["leans_on"] == []


# --- Machines that are only told of, and plans that are really carried out -------------------


class Site:
    """A home and a folder of wheels, where plans for other machines are carried out."""

    def __init__(self, folder: Path, empty: Path) -> None:
        self.wheels = folder / "wheels"
        self.home = Home(str(folder / "home"))
        self.home.make()
        self.wheels.mkdir()
        package = folder / "plugin" / "stash_sense_plugin"
        package.mkdir(parents=True)
        self.requirements = package.parent / "requirements.txt"
        self.place = environment.core(self.home, str(package))
        self.part = self.place.folder + ".part-1"
        self.empty = empty

    def plan(self, here: Machine) -> Plan:
        """Return the plan, but with a copy of an empty environment in place of a new one."""
        todo = plan.make(here, self.part, str(self.requirements))
        copied = [
            step._replace(argv=("cp", "-a", str(self.empty), self.part))
            if step.title == "Making the environment"
            else step
            for step in todo.steps
        ]
        return todo._replace(steps=tuple(copied))

    def build(self, here: Machine, todo: Plan) -> list[str]:
        """Carry a plan out; return what is said of it."""
        with runner.Journal(self.place) as journal:
            runner.build(todo, here, self.place, self.part, journal)
        rows = [json.loads(row) for row in Path(self.place.events).read_text().splitlines()]
        moves = [row["progress"] for row in rows if "progress" in row]
        assert moves == sorted(moves)
        assert moves[-1] == pytest.approx(1)
        return [row["text"] for row in rows if "text" in row]

    @property
    def card(self) -> dict[str, Any]:
        """What the environment's card says."""
        return dict(environment.card(self.home) or {})

    def wheel(self, name: str, number: str, **members: str) -> None:
        """Write a wheel of these modules, `package__init` for a package."""
        files = {key.replace("__init", "/__init__") + ".py": text for key, text in members.items()}
        write_wheel(self.wheels, number, name, files)


@pytest.fixture
def site(tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    there = Site(tmp_path, empty)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(there.wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return there


def fake_apk(folder: Path, script: str) -> Apk:
    """A package manager that writes down what it is asked for."""
    path = folder / "apk"
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n{script}\n')
    path.chmod(0o755)
    rows = ("https://a.example/v3.23/main", "https://a.example/v3.23/community")
    return Apk(str(path), rows)


def alpine(apk: Apk) -> Machine:
    here = machine.look("/")
    python = Interpreter(sys.executable, (3, 12), makes_environments=True)
    return here._replace(libc="musl", root=True, apk=apk, system_python=python, brought=())


def lend_all(site: Site) -> None:
    """Let the environments see all that this one has, as with the system's own packages."""
    lending = site.wheels.parent / "lending"
    shutil.copytree(site.empty, lending, symlinks=True)
    site.empty = lending
    folder = next(lending.rglob("site-packages"))
    (folder / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")


def test_on_alpine_apk_is_asked_first_and_the_hosts_are_said_before(
    site: Site, tmp_path: Path
) -> None:
    site.requirements.write_text("onnxruntime>=1.20\nrapidocr>=3.10\nnudenet>=9\nnumpy>=2\n")
    lend_all(site)
    site.wheel("nudenet", "9.0", nudenet="")
    for name in ("colorlog", "omegaconf", "shapely", "six", "tqdm", "numpy"):
        site.wheel(name, "4.0", **{f"brought_{name}": ""})
    row = "echo '(1/2) Installing py3-onnxruntime (1.24.4-r1)'; echo 'OK: 812 MiB'"
    here = alpine(fake_apk(tmp_path, row))
    said = site.build(here, site.plan(here))
    asked = (tmp_path / "asked").read_text()
    assert asked == "add --no-cache py3-onnxruntime py3-opencv py3-pyclipper\n"
    # All of it is said before the first byte comes: of apk, of pip, and that networks follow.
    assert said[2].startswith("Left out: onnx")
    assert said[3:7] == [
        "This reaches: a.example (about 147 MB)",
        "This reaches: no other machine: a local folder has the packages (about 141 MB)",
        runner.MODELS_LATER,
        "Installing Alpine's packages",
    ]
    assert said[1].startswith("It downloads about 288 MB and takes about 945 MB of disk")
    assert "(1/2) Installing py3-onnxruntime (1.24.4-r1)" in said
    assert (site.card["kind"], site.card["runtime"]) == ("musl", "py3-onnxruntime")
    leans_on = [Path(path).name for path in site.card["leans_on"]]
    assert leans_on[:2] == ["onnxruntime", "cv2"]
    # What pip was content with because the system brings it is known too; what it brought is not.
    assert "pydantic" in leans_on
    assert "nudenet" not in leans_on
    assert site.card["python"] == sys.executable


@pytest.mark.parametrize(
    ("script", "remedy"),
    [
        pytest.param(
            "echo 'ERROR: unable to select packages:'; echo '  py3-onnxruntime (no such package)'",
            "Alpine 3.23 and newer have all three",
            id="an old Alpine",
        ),
        pytest.param(
            "echo 'ERROR: Unable to lock database: Permission denied'",
            "docker exec -u root",
            id="not root after all",
        ),
    ],
)
def test_when_apk_fails_the_remedy_is_said_and_nothing_is_made(
    site: Site, tmp_path: Path, script: str, remedy: str
) -> None:
    site.requirements.write_text("numpy>=2\n")
    here = alpine(fake_apk(tmp_path, script + "; exit 1"))
    with pytest.raises(StartError, match="Installing Alpine's packages failed") as caught:
        site.build(here, site.plan(here))
    assert remedy in caught.value.remedy
    assert site.place.log in caught.value.remedy
    assert list(Path(site.home.folder).glob("env*")) == []


ONNXRUNTIME = """
import os, sys
__version__ = "{version}"
def preload_dlls():
    print("CUDA is loaded")
class InferenceSession:
    def __init__(self, model, providers):
        self.loaded = providers[-1:] if {broken} else providers
        if {broken}:
            os.write(2, b"[E:onnxruntime] Failed with error: libcudnn.so.9: no such file\\n")
    def get_providers(self):
        return self.loaded
    def run(self, names, feeds):
        return [feeds["x"][:, :, :2, :2] * 4]
"""


def with_gpu(site: Site, broken: bool) -> Machine:
    site.requirements.write_text("onnxruntime>=1.20\nnudenet>=3.4\nall_others==1.0\n")
    others = {f"{name}.py": "" for name in packages.IMPORTS}
    for name in ("onnxruntime", "nudenet", "numpy"):
        del others[f"{name}.py"]
    # The proof computes: numpy is lent, in a way that pip does not take for an installed package.
    lent = site.wheels.parent / "lent"
    lent.mkdir()
    for name in ("numpy", "numpy.libs"):
        (lent / name).symlink_to(Path(sysconfig.get_paths()["purelib"]) / name)
    write_wheel(site.wheels, "1.0", "all_others", {"lent.pth": f"{lent}\n", **others})
    site.wheel("nudenet", "3.4.2", nudenet="")
    site.wheel("nvidia_cudnn_cu12", "9.1", nvidia_thing="")
    gpu_code = ONNXRUNTIME.format(version="1.26.0", broken=broken)
    cudnn = "Provides-Extra: cuda\nProvides-Extra: cudnn\n"
    cudnn += 'Requires-Dist: nvidia-cudnn-cu12; extra == "cudnn"\n'
    files = {"onnxruntime/__init__.py": gpu_code}
    write_wheel(site.wheels, "1.26.0", "onnxruntime_gpu", files, cudnn)
    plain = ONNXRUNTIME.format(version="1.31.1", broken=True)
    site.wheel("onnxruntime", "1.31.1", onnxruntime__init=plain)
    here = machine.look("/")
    return here._replace(architecture="x86_64", gpu=NVIDIA)


def installed(site: Site) -> set[str]:
    return {path.name.split("-")[0] for path in Path(site.place.folder).rglob("*.dist-info")}


def test_a_gpu_that_works_is_used_and_said(site: Site) -> None:
    here = with_gpu(site, broken=False)
    said = site.build(here, site.plan(here))
    assert "CUDA 12 for NVIDIA driver 550.54, CUDA 12.4: about 2.0 GB and 3.2 GB more" in said[1]
    assert said[-1].endswith("onnxruntime-gpu 1.26.0, on the GPU")
    assert site.card["runtime"] == "onnxruntime-gpu"
    found = {"found": "NVIDIA driver 550.54, CUDA 12.4", "used": True, "why": ""}
    assert site.card["gpu"] == found
    assert "onnxruntime" not in installed(site)


def test_a_gpu_that_does_not_work_leaves_plain_onnxruntime_and_the_reason(site: Site) -> None:
    here = with_gpu(site, broken=True)
    said = site.build(here, site.plan(here))
    why = "libcudnn.so.9: no such file"
    assert f"The GPU cannot be used, so the CPU is: {why}" in said
    assert (site.card["runtime"], site.card["runtime_version"]) == ("onnxruntime", "1.31.1")
    assert site.card["gpu"]["used"] is False
    assert site.card["gpu"]["why"] == why
    assert not {"onnxruntime_gpu", "nvidia_cudnn_cu12"} & installed(site)
    assert "onnxruntime" in installed(site)


def test_cuda_that_cannot_be_fetched_leaves_plain_onnxruntime(site: Site) -> None:
    here = with_gpu(site, broken=False)
    next(site.wheels.glob("onnxruntime_gpu*")).unlink()
    site.build(here, site.plan(here))
    assert "onnxruntime-gpu" in site.card["gpu"]["why"]
    assert site.card["runtime"] == "onnxruntime"


class Tried(NamedTuple):
    """What a card of an environment says of a GPU, and whether Set up makes it anew for it."""

    known: dict[str, object]
    status: int
    free_bytes: int
    why: str


NVIDIA = Gpu("NVIDIA", "550.54", (12, 4))
UNUSED = {"found": NVIDIA.found, "used": False}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Tried(UNUSED | {"why": "no disk"}, 1, 10**11, "not used yet"), id="disk now"),
        pytest.param(
            Tried(UNUSED | {"why": "pip: timed out"}, 1, 10**11, "not used yet"), id="download now"
        ),
        pytest.param(Tried(UNUSED | {"found": ""}, 1, 10**11, "not used yet"), id="a new card"),
        pytest.param(Tried(UNUSED, 1, 5 * 10**9, ""), id="still no disk"),
        pytest.param(Tried(UNUSED | {"used": True}, 0, 10**11, ""), id="used, and works"),
        pytest.param(
            Tried(UNUSED | {"used": True}, 1, 10**11, "cannot be used any more"), id="new driver"
        ),
    ],
)
def test_set_up_tries_the_gpu_again(
    tmp_path: Path, case: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STASH_SENSE_PYTHON", raising=False)
    home, package = Home(str(tmp_path)), tmp_path / "plugin" / "stash_sense_plugin"
    package.mkdir(parents=True)
    (package.parent / "requirements.txt").write_text("onnxruntime>=1.20\n")
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\nexit {case.status}\n")
    python.chmod(0o755)
    Path(home.ready).write_text(json.dumps({"gpu": case.known}))
    own = Interpreter(sys.executable, (3, 12), makes_environments=True)
    here = Machine("Linux", "x86_64", "glibc 2.36", (own,), case.free_bytes, gpu=NVIDIA)
    said = install.gpu_to_try(home, str(package), here)
    assert (case.why in said) if case.why else said == ""
    # In a container without --gpus there is nothing to try.
    alone = here._replace(gpu=NVIDIA._replace(computes=False))
    assert case.known["used"] or install.gpu_to_try(home, str(package), alone) == ""


# --- What goes wrong with the set-up itself -------------------------------------------------


def test_a_set_up_that_cannot_begin_says_why(plugin: PluginFolder) -> None:
    lock, log = plugin.home / "setup.lock", plugin.home / "setup.log"
    lock.mkdir()
    error = plugin.call("set_up")[0]["error"]
    assert error.startswith("Set up did not start (Set up failed (IsADirectoryError")
    log.unlink()
    log.symlink_to("/dev/full")
    error = plugin.call("set_up")[0]["error"]
    assert f"Cannot write {log} (No space left on device): make room" in error


def works(site: Site, *steps_: Step) -> str:
    """Do steps as a set-up does; return its log."""
    with runner.Journal(site.place) as journal, Path(site.place.log).open("a") as log:
        at_work = runner.Works(site.place, site.part, journal, log)
        for step in steps_:
            at_work.do(step)
    return Path(site.place.log).read_text()


def test_a_step_that_hangs_is_ended_and_one_that_crashes_is_named(site: Site) -> None:
    hangs = Step("Trying the GPU", ("sleep", "600"), 0.1, limit_s=0.1)
    with pytest.raises(runner.StepFailed, match="Trying the GPU did not end within"):
        works(site, hangs)
    argv = ("sh", "-c", "echo so far; kill -SEGV $$")
    for limit_s in (None, 60.0):
        with pytest.raises(runner.StepFailed, match=r"was ended by SIGSEGV \(so far\)"):
            works(site, Step("Checking", argv, 0.1, limit_s=limit_s))


def test_what_steps_write_beside_stays_in_the_home(site: Site) -> None:
    show = Step("Showing", ("sh", "-c", "echo $TMPDIR $YOLO_CONFIG_DIR"), 0.1, limit_s=60.0)
    assert f"{site.part}.tmp {site.part}/settings/ultralytics" in works(site, show)


def test_where_the_new_environment_cannot_be_named_the_old_one_stays(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    with pytest.raises(FileNotFoundError):
        runner.swap(str(tmp_path / "env.part-1"), str(tmp_path / "env"))
    assert [path.name for path in tmp_path.iterdir()] == ["env"]


# --- What may be missing --------------------------------------------------------------------


def test_without_what_may_be_missing_the_set_up_goes_on(plugin: PluginFolder) -> None:
    (plugin.package.parent / "requirements-optional.txt").write_text("not-there-at-all==1.0\n")
    reply, log = plugin.call("set_up")
    assert "error" not in reply
    warnings = [text for level, text in log if level == "w"]
    assert [text for text in warnings if "makes networks lighter failed" in text]
    assert any(text.endswith("the set-up goes on without it") for text in warnings)
    home = Home(str(plugin.home))
    requirements = environment.requirements_of(str(plugin.package))
    assert environment.state(home, requirements) == environment.READY


def test_what_may_be_missing_joins_the_environment(plugin: PluginFolder) -> None:
    write_wheel(plugin.folder / "wheels", "1.0", "lighter", {"lighter.py": ""})
    (plugin.package.parent / "requirements-optional.txt").write_text("lighter==1.0\n")
    assert "error" not in plugin.call("set_up")[0]
    assert next((plugin.home / "env").rglob("lighter.py"))


def test_what_may_be_missing_joins_an_environment_from_before_an_update(
    ready: PluginFolder,
) -> None:
    before = (ready.home / "env").stat().st_ino
    write_wheel(ready.folder / "wheels", "1.0", "lighter", {"lighter.py": ""})
    (ready.package.parent / "requirements-optional.txt").write_text("lighter==1.0\n")
    assert "Installing" not in str(ready.call("echo")[1])
    _, log = ready.call("set_up")
    assert ("i", "Installing what makes networks lighter") in log
    assert any(text.startswith("This reaches: no other machine") for _, text in log)
    assert next((ready.home / "env").rglob("lighter.py"))
    assert (ready.home / "env").stat().st_ino == before
    assert leftovers(ready) == []
    assert "Installing" not in str(ready.call("set_up")[1])


def test_what_could_not_join_is_tried_again_by_set_up_alone(ready: PluginFolder) -> None:
    (ready.home / "enough").touch()
    (ready.package.parent / "requirements-optional.txt").write_text("lighter==1.0\n")
    reply, log = ready.call("tag_scenes")
    assert "error" not in reply
    assert any(level == "w" and "makes networks lighter failed" in text for level, text in log)
    write_wheel(ready.folder / "wheels", "1.0", "lighter", {"lighter.py": ""})
    place = environment.core(Home(str(ready.home)), str(ready.package))
    assert environment.optional_state(place) == environment.FAILED
    assert "Installing" not in str(ready.call("tag_scenes")[1])
    assert ("i", "Installing what makes networks lighter") in ready.call("set_up")[1]
    assert next((ready.home / "env").rglob("lighter.py"))
    assert environment.optional_state(place) == environment.NOTHING_TO_JOIN


def test_nothing_joins_a_python_that_the_user_names(
    ready: PluginFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STASH_SENSE_PYTHON", raising=False)
    (ready.package.parent / "requirements-optional.txt").write_text("lighter==1.0\n")
    place = environment.core(Home(str(ready.home)), str(ready.package))
    assert environment.optional_state(place) == environment.NEVER_TRIED
    assert environment.why_no_onnx().endswith("press Set up")
    monkeypatch.setenv("STASH_SENSE_PYTHON", sys.executable)
    assert environment.optional_state(place) == environment.NOTHING_TO_JOIN
    assert sys.executable in environment.why_no_onnx()


# --- The extras -----------------------------------------------------------------------------


def test_the_extras_come_into_an_environment_of_their_own(plugin: PluginFolder) -> None:
    wheels = plugin.folder / "wheels"
    modules = [name for name in packages.EXTRA_IMPORTS if name != "cv2"]
    write_wheel(wheels, "1.0", "all_extras", {f"{name}.py": "" for name in modules})
    name, _, number = packages.ONE_CV2.partition("==")
    write_wheel(wheels, number, name.replace("-", "_"), {"cv2.py": ""})
    (plugin.package.parent / "requirements-extras.txt").write_text("all-extras==1.0\n")
    reply, log = plugin.call("set_up_extras")
    texts = [text for _, text in log]
    if "error" in reply:
        assert "Set up extras needs 10.4 GB" in reply["error"]
        pytest.skip("this disk has no room for the real extras, so they are refused here")
    folder = plugin.home / "extras"
    assert reply == {"output": f"The extras are ready in {folder}"}
    assert texts[-1] == reply["output"]
    assert any(text.startswith("It downloads about 3.5 GB") for text in texts)
    assert any(text.startswith("This reaches: no other machine") for text in texts)
    home = Home(str(plugin.home))
    assert environment.extras_state(home, str(plugin.package)) == environment.READY
    assert not (plugin.home / "env").exists()
    assert not (plugin.home / "worker.json").exists()
    # Pressed again, there is nothing to do; without a module, it comes back.
    assert plugin.output("set_up_extras").endswith("there was nothing to do")
    next(folder.rglob("torch.py")).unlink()
    again = plugin.call("set_up_extras")[1]
    assert ("i", "The extras are set up again: they no longer import") in again
    assert next(folder.rglob("torch.py"))


def test_a_hook_sets_up_no_extras(plugin: PluginFolder) -> None:
    reply, _ = plugin.call("set_up_extras", hookContext={"id": 1})
    assert "is not set up yet" in reply["error"]
    assert not (plugin.home / "extras").exists()
