"""What goes wrong outside: drives, mounts, Stash itself, its database, disks and memory.

Real processes throughout: the packed plugin, its doors and its worker, and mounts of the test's own
that only they see. TagMe stays, one message says what, and the next press of the button resumes.
"""

import contextlib
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests

from demo.stash import Fault, Hold, StandIn
from stash_sense_plugin.records import Scene
from stash_sense_plugin.start import worker
from stash_sense_plugin.start.paths import Home
from stash_sense_plugin.tasks.roots import SILENT_IN_A_ROW, Away, Roots
from stash_sense_plugin.tasks.sweep import WRITTEN_TOGETHER
from tests.installed_kit import Installed, workers
from tests.mounts_kit import Mounts, own_mounts
from tests.plugin_folder import PATIENCE_S, wait_until
from tests.sweep_kit import ROOT, write_clips
from tools.build_zip import PLUGIN_ID, build


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "clips")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    with own_mounts(tmp_path) as given:
        yield given


class Faulty(Installed):
    """A library of two folders: one on the disk, and one on a drive that can be taken away."""

    drive: Path
    mounts: Mounts

    def fill(self, here: int, drive: int) -> tuple[list[int], list[int]]:
        """Add scenes, those of the drive first."""
        away = [self.add("tall.mp4", folder=self.drive) for _ in range(drive)]
        return [self.add("tall.mp4") for _ in range(here)], away

    def tagged(self, scenes: list[int]) -> int:
        """How many are done, and rightly; the others have TagMe and nothing else."""
        tags = [self.tags(scene) for scene in scenes]
        done = tags.count({"Tagged", "Vertical"})
        assert done + tags.count({"TagMe"}) == len(scenes), tags
        return done

    @contextlib.contextmanager
    def pressed_to_write(self) -> Iterator[threading.Thread]:
        """Press the button; within, the first change of tags waits in Stash."""
        hold = Hold()
        self.stash.fault("bulkSceneUpdate", Fault(before=hold))
        pressed = self.press()
        try:
            assert hold.wait_reached(PATIENCE_S), "nothing is written"
            yield pressed
        finally:
            hold.let_go()

    def messages(self) -> list[str]:
        """The warnings and errors of Stash's log, which is emptied by asking."""
        found = [line.message for line in self.stash.log if line.level in ("Warning", "Error")]
        new, self.heard = found[self.heard :], len(found)
        return new

    heard = 0


@pytest.fixture
def library(
    tmp_path: Path,
    clips: Path,
    bundle: Path,
    bytecode: Path,
    mounts: Mounts,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Faulty]:
    monkeypatch.setenv("STASH_SENSE_PYTHON", sys.executable)
    plugin = tmp_path / "plugins" / PLUGIN_ID
    with zipfile.ZipFile(bundle) as packed:
        packed.extractall(plugin)
    media, drive = tmp_path / "media", tmp_path / "drive"
    media.mkdir()
    drive.mkdir()
    with StandIn(
        tmp_path / "stash",
        media=(media, drive),
        plugins=plugin.parent,
        python_path=str(mounts.python),
    ) as stash:
        installed = Faulty(stash, clips, media, PLUGIN_ID)
        installed.home = Home(os.environ["STASH_SENSE_HOME"])
        installed.drive, installed.mounts = drive, mounts
        Path(installed.home.folder).mkdir(mode=0o700)
        Path(installed.home.bytecode).symlink_to(bytecode)
        installed.configure()
        try:
            yield installed
        finally:
            stash.set_clock(0)
            worker.hand_over(installed.home, str(plugin / "stash_sense_plugin"))
            for pid in workers(installed.home):
                with contextlib.suppress(psutil.Error):
                    psutil.Process(pid).kill()
            wait_until(lambda: not workers(installed.home), "the worker is still there")


# --- Drives and mounts --------------------------------------------------------------------------


def test_a_drive_that_is_unplugged_in_the_middle_keeps_the_work_for_the_next_run(
    library: Faulty,
) -> None:
    here, away = library.fill(here=3, drive=40)
    with library.pressed_to_write() as pressed:
        library.mounts.tell("memory", library.drive, "64k")
    pressed.join()
    assert library.tagged(here) == 3
    written = library.tagged(away)
    assert 0 < written <= WRITTEN_TOGETHER
    (said,) = library.messages()
    assert f"Scenes in {library.drive} keep their workflow tags: it is missing or empty" in said
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert library.tagged(away) == written
    assert len(library.messages()) == 1
    library.mounts.tell("unplug", library.drive)
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert library.tagged(away) == 40
    assert library.messages() == []


LOST = ("EIO", "gone", "ESTALE", "EACCES", "ETIMEDOUT", "EHOSTDOWN")
"""What programs hear of a mount whose server is away; "gone" is the end of the server's process."""


@pytest.mark.torture
def test_a_network_mount_that_is_lost_in_the_middle_is_one_message(
    library: Faulty,
    rounds: Callable[[int, int], int],
    record_count: Callable[[str, int], None],
) -> None:
    turns = rounds(2, len(LOST))
    for turn in range(turns):
        fault = LOST[turn % len(LOST)]
        library.mounts.tell("network", library.drive, library.drive)
        here, away = library.fill(here=2, drive=25)
        with library.pressed_to_write() as pressed:
            library.mounts.tell(*(["die"] if fault == "gone" else ["fail", fault]))
        pressed.join()
        assert library.tagged(here) == 2
        # On a slow machine fewer come together before the first write.
        assert 0 < library.tagged(away) <= WRITTEN_TOGETHER
        (said,) = library.messages()
        assert f"Scenes in {library.drive} keep their workflow tags: it cannot be read" in said
        library.mounts.tell("unplug", library.drive)
        library.stash.run_task(PLUGIN_ID, "Tag scenes")
        assert library.tagged(away) == 25
        assert library.messages() == []
    record_count("mounts lost in the middle of a sweep", turns)


def test_a_mount_that_hangs_keeps_nobody_from_stopping_the_task(library: Faulty) -> None:
    library.mounts.tell("network", library.drive, library.drive)
    here, away = library.fill(here=2, drive=25)
    with library.pressed_to_write() as pressed:
        library.mounts.tell("hang")
    wait_until(lambda: "TagMe" not in library.tags(away[0]), "what is in hand is not written")
    library.stash.state.jobs.stop_all()
    pressed.join()

    def status() -> str:
        job: str = library.operate("jobs")["jobs"][0]["status"]
        return job

    # Had it waited for the mount to be given up, the others would be tagged by then.
    wait_until(lambda: status() != "running", "the job goes on")
    assert status() == "interrupted"
    assert library.tagged(here) == 0
    library.mounts.tell("well")
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert library.tagged([*here, *away]) == 27


def test_a_folder_that_does_not_answer_is_given_up_and_asked_no_second_time(
    tmp_path: Path, mounts: Mounts
) -> None:
    (drive := tmp_path / "drive").mkdir()
    (drive / "clip.mp4").touch()
    mounts.tell("network", drive, drive)
    inside = mounts.inside(drive)
    checks: list[int] = []
    folders, scene = (
        [str(inside), str(tmp_path)],
        Scene("1", "", str(inside / "clip.mp4"), None, None),
    )
    assert Roots(folders, lambda: None).away(scene) is None
    roots = Roots(folders, lambda: checks.append(1), silent_s=1.0)
    mounts.tell("hang")
    assert roots.away(scene) == Away(str(inside), "does not answer")
    assert checks
    checks.clear()
    assert roots.away(scene) == Away(str(inside), "does not answer")
    assert not checks
    assert roots.away(Scene("2", "", str(drive / "clip.mp4"), None, None)) is None


@pytest.mark.parametrize("are_here", [True, False], ids=["here", "a Stash elsewhere"])
def test_a_folder_whose_files_do_not_answer_one_after_another_is_left_alone(
    tmp_path: Path, are_here: bool
) -> None:
    nas, disk = tmp_path / "nas", tmp_path / "disk"
    scenes = []
    for folder in (nas, disk):
        folder.mkdir()
        (folder / "clip.mp4").touch()
        scenes.append(Scene(folder.name, "", str(folder / "clip.mp4"), None, None))
    roots = Roots([str(nas), str(disk)], lambda: None, are_here=are_here)
    for _ in range(SILENT_IN_A_ROW - 1):
        roots.note_silence(scenes[0])
    roots.note_answer(scenes[0])
    for _ in range(SILENT_IN_A_ROW):
        assert roots.away(scenes[0]) is None
        roots.note_silence(scenes[0])
    assert roots.away(scenes[0]) == Away(str(nas), "does not answer")
    assert roots.away(scenes[1]) is None


def test_what_is_away_is_the_folder_where_its_drive_is_mounted(tmp_path: Path) -> None:
    (tmp_path / "nas" / "films").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "clip.mp4").touch()
    roots = Roots([str(tmp_path)], lambda: None)

    def away(*parts: str) -> Away | None:
        return roots.away(Scene("1", "", str(tmp_path.joinpath(*parts)), None, None))

    assert away("here", "clip.mp4") is None
    assert away("here", "gone.mp4") is None
    nas = Away(str(tmp_path / "nas" / "films"), "is missing or empty here")
    assert away("nas", "films", "one.mp4") == nas
    assert away("usb", "a", "b", "one.mp4") == Away(
        str(tmp_path / "usb"), "is missing or empty here"
    )


# --- Stash itself -------------------------------------------------------------------------------

SERVING = """
import sys, threading
from pathlib import Path
from demo.stash import Fault, Hold, StandIn
folder, port, python, plugins, *media = sys.argv[1:]
with StandIn(
    Path(folder), media=[Path(one) for one in media], plugins=Path(plugins),
    python_path=python, port=int(port),
) as stash:
    print(stash.url, flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "hold":
            stash.fault("bulkSceneUpdate", Fault(before=Hold()))
        elif word == "press":
            task = threading.Thread(target=stash.run_task, args=(rest[0], "Tag scenes"))
            task.start()
        elif word == "join":
            task.join()
        elif word == "calls":
            print(stash.calls["bulkSceneUpdate"], flush=True)
            continue
        print("done", flush=True)
"""


class ServedStash:
    """A Stash in a process of its own, that can be killed."""

    def __init__(self, library: Faulty) -> None:
        settings = library.stash.settings
        words = [str(settings.folder), str(settings.port), settings.python_path]
        words += [str(settings.plugins_path), *map(str, settings.media)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVING, *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line().startswith("http")

    def tell(self, *words: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return self._line()

    def kill(self) -> None:
        self.process.kill()
        with self.process:
            self.process.wait()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


def test_stash_is_killed_and_comes_back_and_nothing_is_doubled(library: Faulty) -> None:
    library.configure(markers=True)
    scenes, _ = library.fill(here=30, drive=0)
    library.stash.close()
    stash = ServedStash(library)
    try:
        stash.tell("hold")
        stash.tell("press", PLUGIN_ID)
        wait_until(lambda: int(stash.tell("calls")), "nothing is written")
        stash.kill()
        wait_until(lambda: "tag_scenes failed" in log(library), "the task does not end")
        with pytest.raises(requests.ConnectionError):
            library.operate("jobs")
        stash = ServedStash(library)
        stash.tell("press", PLUGIN_ID)
        stash.tell("join")
    finally:
        stash.kill()
        library.stash.start()
    assert library.tagged(scenes) == 30
    assert [len(library.stash.scene_markers(scene)) for scene in scenes] == [1] * 30


def log(library: Faulty) -> str:
    return Path(library.home.worker_log).read_text()


def test_a_backup_of_stashs_database_is_put_back_and_what_it_lacks_is_written_again(
    library: Faulty,
) -> None:
    scenes, _ = library.fill(here=4, drive=0)
    database = library.stash.database.path
    library.stash.close()
    backup = database.read_bytes()
    library.stash.start()
    # Stash writes whole seconds: what a run begins in the second of a change cannot be told by it.
    library.stash.set_clock(2)
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert library.tagged(scenes) == 4
    library.stash.close()
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
    database.write_bytes(backup)
    library.stash.start()
    library.heard = 0
    assert library.tagged(scenes) == 0
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert library.tagged(scenes) == 4
    (said,) = library.messages()
    assert "database is older than what Stash Sense wrote to it" in said
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert library.messages() == []


# --- Disks that are full ------------------------------------------------------------------------


def test_a_disk_that_fills_up_ends_the_run_with_one_message_and_the_next_resumes(
    library: Faulty,
) -> None:
    home = Path(library.home.folder)
    library.mounts.tell("memory", home, "64m")
    scenes, _ = library.fill(here=45, drive=0)
    filler = library.mounts.inside(home / "filler")
    with library.pressed_to_write() as pressed:
        fill_up(filler)
    pressed.join()
    done = [scene for scene in scenes if "TagMe" not in library.tags(scene)]
    assert len(done) < 45
    (said,) = library.messages()
    assert f"The disk that holds {home / 'store.sqlite'} is full" in said
    assert "free some space" in said
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    (said,) = library.messages()
    assert "is full" in said
    filler.unlink()
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert library.messages() == []
    assert library.tagged(scenes) == 45


def fill_up(path: Path) -> None:
    """Leave no room on a file's disk."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


# --- Memory that is short -----------------------------------------------------------------------


ROOM_BYTES = 20 * 2**20
"""Enough for the worker's own threads, and too little for those that read a video."""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on another process's memory")
def test_short_memory_keeps_tagme_and_is_one_message(library: Faulty) -> None:
    scenes, _ = library.fill(here=30, drive=0)
    with library.pressed_to_write() as pressed:
        (pid,) = workers(library.home)
        serving = psutil.Process(pid)
        unlimited = serving.rlimit(psutil.RLIMIT_AS)
        serving.rlimit(psutil.RLIMIT_AS, (serving.memory_info().vms + ROOM_BYTES, unlimited[1]))
    pressed.join()
    done = library.tagged(scenes)
    assert done < 30
    (said,) = library.messages()
    assert "Memory is short" in said
    assert "Memory for models" in said
    serving.rlimit(psutil.RLIMIT_AS, unlimited)
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert library.messages() == []
    assert library.tagged(scenes) == 30
    assert workers(library.home) == [pid]
