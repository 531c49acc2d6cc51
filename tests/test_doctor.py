"""Doctor: what it finds, how it is told, and that nothing keeps it from its end."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.stash import Fault, StandIn, fake_file
from stash_sense_plugin.errors import SettingsError, StoreError
from stash_sense_plugin.inference import runtime
from stash_sense_plugin.library import health
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.start import checkup, disks, environment, report
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.lock import hold
from stash_sense_plugin.start.paths import Home
from stash_sense_plugin.start.report import NOTE, OK, PROBLEM, Fact
from stash_sense_plugin.tasks.doctor import mount
from tests.mounts_kit import own_mounts
from tests.stash_kit import empty
from tests.sweep_kit import ROOT, Room, open_engine

PACKAGE = str(ROOT / "stash_sense_plugin")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells its mounts so")
ROOT_USER = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives files away"
)
NO_ROOT = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() == 0, reason="nothing is closed to root"
)

FACTS = st.lists(
    st.builds(
        Fact,
        group=st.sampled_from(report.GROUPS),
        what=st.text(max_size=90),
        found=st.text(max_size=900),
        level=st.sampled_from([OK, NOTE, PROBLEM]),
        remedy=st.text(max_size=200),
    ),
    max_size=80,
)


# --- How it is told -----------------------------------------------------------------------------


@given(FACTS)
def test_the_log_has_twenty_lines_and_the_table_a_hundred_columns(facts: list[Fact]) -> None:
    told = report.in_order(facts)
    lines = report.log_rows(told, "/home/doctor.txt")
    assert len(lines) <= 20
    problems = sum(fact.level == PROBLEM for fact in facts)
    level, last = lines[-1]
    assert last.endswith("; whole report: /home/doctor.txt")
    assert (level == "warning") == (problems > 0)
    assert (str(problems) in last) == (problems > 0) or "note" in last
    for _, row in report.rows(told, "today"):
        assert row.isprintable()
        assert report.columns(row) <= report.WIDTH
    assert all(text.isprintable() for _, text in lines)


@given(FACTS)
def test_every_problem_is_in_the_table(facts: list[Fact]) -> None:
    told = report.in_order(facts)
    rows = [row for _, row in report.rows(told, "today")]
    marked = [row for row in rows if row.startswith(" !!")]
    assert len(marked) == sum(fact.level == PROBLEM for fact in facts)
    assert len(json.loads(json.dumps(report.document(told, "")))["facts"]) == len(facts)


def test_the_log_tells_problems_first_and_those_of_one_kind_once() -> None:
    facts = [
        Fact("Machine", "Memory", "8 GB"),
        *(Fact("Library", "Library folder", f"/m/{n} is away", PROBLEM, "mount") for n in range(7)),
        Fact("Models", "Untried", "x", NOTE),
        *(Fact("Library", "Library folder", f"/n/{n} can be read") for n in range(40)),
    ]
    rows = report.log_rows(report.in_order(facts), "R")
    assert rows == [
        ("warning", "Library folder: /m/0 is away (and 6 more) -> mount"),
        ("info", "Untried: x"),
        ("info", "Machine: memory 8 GB"),
        ("info", "Library: library folder /n/0 can be read (and 39 more)"),
        ("warning", "Doctor: 7 problems, 1 note; whole report: R"),
    ]


def test_more_problems_than_lines_are_counted() -> None:
    facts = [Fact("Library", f"Thing {n}", "broken", PROBLEM) for n in range(50)]
    rows = report.log_rows(facts, "R")
    assert len(rows) == 20
    assert rows[-2] == ("warning", "... and 32 more problems in the report")


def test_all_well_is_said() -> None:
    assert report.log_rows([], "R") == [("info", "Doctor: all well; whole report: R")]


def test_the_table_is_one_that_people_read() -> None:
    facts = [
        Fact("Stash Sense", "Version", "1.0"),
        Fact("Library", "Library folder", "/a " + "long " * 20, PROBLEM, "plug it\nin"),
    ]
    rows = [row for _, row in report.rows(report.in_order(facts), "2026-01-02T03:04:05")]
    assert rows[0].endswith("report of 2026-01-02 03:04:05")
    assert rows[1:] == [
        "1 problem (marked !!)",
        "",
        "STASH SENSE",
        "    Version              1.0",
        "",
        "LIBRARY",
        " !! Library folder       /a " + "long " * 13 + "long",
        "                         " + "long " * 5 + "long",
        "                         -> plug it in",
    ]


@pytest.mark.parametrize(
    ("text", "width", "rows"),
    [
        pytest.param("", 5, [""], id="nothing"),
        pytest.param("a b c", 3, ["a b", "c"], id="words"),
        pytest.param("abcdefg h", 3, ["abc", "def", "g h"], id="a word that is too long"),
        pytest.param("映画映画", 4, ["映画", "映画"], id="wide letters"),
        pytest.param("映", 1, ["映"], id="a letter that is wider than the line"),
    ],
)
def test_lines_break(text: str, width: int, rows: list[str]) -> None:
    assert report.wrapped(text, width) == rows


def test_what_is_too_long_keeps_its_end() -> None:
    cut = report.short("/media/" + "x" * 5000 + "/name.mp4", 100)
    assert (len(cut), cut[:7], cut[-9:]) == (100, "/media/", "/name.mp4")


def test_the_report_is_written_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    fact = Fact("Store", "Store", "\x1b[31m\udcff 映")
    found = report.conclude(str(tmp_path), [fact], lambda *row: said.append(row))
    table, document = tmp_path / "doctor.txt", tmp_path / "doctor.json"
    assert {path.name for path in tmp_path.iterdir()} == {"doctor.txt", "doctor.json"}
    assert json.loads(document.read_text("utf-8")) == found
    assert found["report"] == str(table)
    assert "[31m 映" in table.read_text("utf-8")
    assert said[-1] == ("info", f"Doctor: all well; whole report: {table}")
    if os.name == "posix":
        assert {path.stat().st_mode & 0o777 for path in (table, document)} == {0o600}


def test_a_report_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    found = report.conclude(str(tmp_path / "none"), [], lambda *row: said.append(row))
    assert (found["well"], found["problems"], found["report"]) == (False, 1, "")
    assert said[-1] == ("warning", "Doctor: 1 problem; the report could not be written")
    assert "cannot be written" in said[0][1]


# --- Disks --------------------------------------------------------------------------------------

MOUNTINFO = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/nas rw,relatime - nfs4 nas:/export rw,vers=4.2
31 22 0:41 / /mnt/my\040films\011\134x rw - fuse.sshfs me@host:/films rw
32 22 0:42 / /data rw - cifs //nas/a rw
33 22 0:43 / /data rw - tmpfs tmpfs rw
34 22 0:44 / /host rw master:1 propagate_from:2 - 9p drvfs rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/", "ext4", False),
        ("/mnt/nasty", "ext4", False),
        ("/mnt/nas", "nfs4", True),
        ("/mnt/nas/a/b", "nfs4", True),
        ("/mnt/my films\t\\x/y", "fuse.sshfs", True),
        ("/data/x", "tmpfs", False),
        ("/host/c", "9p", False),
    ],
)
def test_the_deepest_and_latest_mount_holds_a_path(
    tmp_path: Path, path: str, kind: str, network: bool
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTINFO)
    mount = disks.mount_of(path, str(table))
    assert mount is not None
    assert (mount.kind, mount.network) == (kind, network)
    assert mount.of_the_host == (kind == "9p")


@pytest.mark.parametrize(
    ("path", "point"),
    [
        ("C:\\Users\\me", "C:\\"),
        ("c:\\users\\me", "C:\\"),
        ("C:\\mounted\\x", "C:\\Mounted"),
        ("D:\\x", None),
        ("/Volumes/films/x", "/Volumes/films"),
    ],
)
def test_mounts_of_other_systems_hold_paths_too(path: str, point: str | None) -> None:
    known = [disks.Mount(each, "ntfs", "") for each in ("C:\\", "C:\\Mounted", "/Volumes/films")]
    found = disks.holding(path, known)
    assert (found and found.point) == point


def test_systems_that_tell_no_mounts_have_none(tmp_path: Path) -> None:
    assert disks.mount_of("/", str(tmp_path / "none")) is None


@LINUX
def test_this_systems_own_mounts_are_read(tmp_path: Path) -> None:
    mount = disks.mount_of(str(tmp_path))
    assert mount is not None
    assert str(tmp_path).startswith(mount.point)


def test_paths_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    found = {
        str(tmp_path): disks.FOLDER,
        str(tmp_path / "empty"): disks.EMPTY,
        str(tmp_path / "file"): disks.FILE,
        str(tmp_path / "none"): disks.MISSING,
        str(tmp_path / "file" / "x"): disks.MISSING,
        str(tmp_path / "\udcff\n"): disks.MISSING,
    }
    assert disks.look_at(list(found)) == list(found.values())
    assert disks.look_at([]) == []
    (odd,) = disks.look_at(["a\0b"])
    assert "null" in odd


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "film.mp4")
    assert disks.look_at([str(tmp_path / "film.mp4")]) == ["no file and no folder"]


@NO_ROOT
def test_a_folder_that_is_closed_to_us_is_denied(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    assert disks.look_at([str(tmp_path / "closed")]) == [disks.DENIED]


HANGS = disks.LOOK.replace("def look(path):", "def look(path):\n    hang(path)").replace(
    "paths =", "def hang(path):\n    'dead' in path and threading.Event().wait()\npaths ="
)


def test_a_mount_that_never_answers_costs_its_time_alone(tmp_path: Path) -> None:
    dead = [f"/dead/{number}" for number in range(20)]
    found = disks.look_at([*dead, str(tmp_path)], limit_s=10.0, program=HANGS)
    assert found == [disks.SILENT] * 20 + [disks.EMPTY]


LOOKS_AND_ENDS = """
import json, sys
from stash_sense_plugin.start import disks
found = disks.look_at(json.loads(sys.argv[1]), limit_s=float(sys.argv[3]))
print(json.dumps([found, disks.mount_of(sys.argv[2]).kind]), flush=True)
"""


def test_a_network_mount_that_hangs_in_the_kernel_is_silent(tmp_path: Path) -> None:
    shared, mounted = tmp_path / "shared", tmp_path / "a mount"
    for folder in (shared, mounted):
        folder.mkdir()
    (shared / "film.mp4").write_text("x")
    asked = json.dumps([str(mounted), str(mounted / "film.mp4"), str(tmp_path)])
    with own_mounts(tmp_path) as mounts:
        mounts.tell("network", shared, mounted)
        told = []
        # What hangs is waited for to the end of the time; a Python starts in it.
        for state, limit_s in (("well", 60.0), ("hang", 10.0)):
            mounts.tell(state)
            # From outside of the mount: nobody asks it where it is.
            where = str(mounted if state == "well" else tmp_path)
            told.append(mounts.run("-c", LOOKS_AND_ENDS, asked, where, str(limit_s)))
        mounts.tell("well")
    first, second = (json.loads(done.stdout) for done in told)
    assert first == [[disks.FOLDER, disks.FILE, disks.FOLDER], "fuse"]
    assert second[0] == [disks.SILENT, disks.SILENT, disks.FOLDER]


def test_a_survey_weighs_by_the_first_name_and_sees_what_others_may_open(tmp_path: Path) -> None:
    (tmp_path / "models" / "deep").mkdir(parents=True)
    (tmp_path / "models" / "deep" / "a").write_bytes(bytes(1000))
    (tmp_path / "worker.log").write_bytes(bytes(50))
    (tmp_path / "worker.log").chmod(0o640)
    (tmp_path / "models").chmod(0o700)
    (tmp_path / "round").symlink_to(tmp_path)
    found = disks.survey(str(tmp_path))
    assert found.whole
    assert found.bytes["models"] >= 1000
    assert found.bytes["worker.log"] == 50
    assert (found.foreign_count, found.shut_count) == (0, 0)
    if os.name == "posix":
        assert found.open == [str(tmp_path / "worker.log")]
    assert not disks.survey(str(tmp_path), limit_s=-1).whole


@ROOT_USER
def test_files_of_another_user_are_named_with_the_command_that_mends_it(tmp_path: Path) -> None:
    home = tmp_path / "it's home"
    home.mkdir()
    for number in range(5):
        (home / f"file{number}").write_text("x")
        os.chown(home / f"file{number}", 12345, 12345)
    owners = machine_facts(home)["Owners"]
    assert "(user 12345)" in owners.found
    assert "and 2 more belong to another user" in owners.found
    assert owners.level == NOTE  # root writes them all the same
    assert owners.remedy.endswith(f"chown -R 0 '{tmp_path}/it'\\''s home'")


# --- Without a worker ---------------------------------------------------------------------------


def machine_facts(home: Path) -> dict[str, Fact]:
    """What is found of this machine and a home, by name."""
    return {
        fact.what: fact for fact in checkup.gather(checkup.machine_probes(Home(str(home)), PACKAGE))
    }


def examine(home: Path, fault: StartError | None = None) -> dict[str, dict[str, Any]]:
    """Facts of a Doctor without a worker, by name."""
    found = checkup.examine(Home(str(home)), PACKAGE, fault, lambda level, text: None)
    return {fact["what"]: fact for fact in found["facts"]}


def test_why_there_is_no_worker_is_a_problem(tmp_path: Path) -> None:
    facts = examine(tmp_path / "home", StartError("The store is damaged", "put a backup there"))
    worker = facts["Worker"]
    assert (worker["found"], worker["level"]) == ("The store is damaged", PROBLEM)
    assert worker["remedy"] == "put a backup there"
    assert facts["Packages"]["remedy"] == "run the task Set up"
    assert (tmp_path / "home" / "doctor.txt").is_file()


def test_what_happened_to_the_packages_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STASH_SENSE_PYTHON", raising=False)
    (tmp_path / "env").mkdir()
    packages = machine_facts(tmp_path)["Packages"]
    assert packages.found.startswith("installed, and cannot be used any more (")
    assert (packages.level, packages.remedy) == (PROBLEM, "run the task Set up")


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    facts = examine(tmp_path / "file" / "home")
    assert facts["Folder"]["level"] == PROBLEM
    assert "Cannot make the folder" in facts["Worker"]["found"]


def test_what_a_set_up_left_is_named(tmp_path: Path) -> None:
    (tmp_path / "env.part-12").mkdir()
    assert "env.part-12" in machine_facts(tmp_path)["Left over"].found


@pytest.mark.parametrize(("name", "task"), [("extras", "Set up extras"), ("env", "Set up")])
def test_a_set_up_at_work_is_not_called_left_over(tmp_path: Path, name: str, task: str) -> None:
    (tmp_path / f"{name}.part-12").mkdir()
    home = Home(str(tmp_path))
    places = (environment.core(home, PACKAGE), environment.extras(home, PACKAGE))
    (place,) = (one for one in places if one.task == task)
    lock = hold(place.lock)
    assert lock is not None
    facts = machine_facts(tmp_path)
    assert facts[task].found == "is at work now"
    assert "Left over" not in facts
    lock.release()


def test_what_happened_to_the_extras_is_told(tmp_path: Path) -> None:
    (tmp_path / "extras").mkdir()
    extras = machine_facts(tmp_path)["Extras"]
    assert "its set-up was not finished" in extras.found
    assert extras.remedy == "run the task Set up extras"


@pytest.mark.parametrize(
    ("gpu", "found", "level"),
    [
        ({"found": "", "used": False, "why": ""}, "none found: the processor does the work", OK),
        ({"found": "driver 550, CUDA 12.4", "used": True, "why": ""}, "driver 550, CUDA 12.4", OK),
        (
            {"found": "driver 390", "used": False, "why": "the driver is too old"},
            "driver 390: not used (the driver is too old)",
            NOTE,
        ),
    ],
)
def test_the_gpu_is_told_from_the_environments_card(
    tmp_path: Path, gpu: dict[str, object], found: str, level: str
) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "ready.json").write_text(json.dumps({"gpu": gpu}))
    told = machine_facts(tmp_path)["GPU"]
    assert told.found.startswith(found)
    assert told.level == level


def test_a_probe_that_fails_becomes_a_fact() -> None:
    def breaks() -> Iterator[Fact]:
        yield Fact("Machine", "System", "known")
        raise ZeroDivisionError("oh")

    def knows() -> list[Fact]:
        raise SettingsError("The word is wrong", "write another")

    facts = checkup.gather([("Machine", "Memory", breaks), ("Models", "Words", knows)])
    assert list(facts) == [
        Fact("Machine", "System", "known"),
        Fact("Machine", "Memory", "could not be found out (ZeroDivisionError: oh)", NOTE),
        Fact("Models", "Words", "The word is wrong", PROBLEM, "write another"),
    ]


def test_a_proxys_password_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy:3128")
    facts = machine_facts(tmp_path)
    assert facts["Proxy"].found.startswith("HTTPS_PROXY set")
    assert "secret" not in str(facts)


# --- The store and the runtime ------------------------------------------------------------------


def test_a_store_is_checked_within_its_time(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        with store.write() as db:
            db.execute("CREATE TABLE big (a TEXT)")
            db.executemany("INSERT INTO big VALUES (?)", [("x" * 100,)] * 20_000)
        assert health.check(store, None) == ("whole", "")
        assert health.check(store, -1.0) == ("unfinished", "")
        assert store.stats().scenes == 0


def test_a_damaged_store_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path) as store, store.write() as db:
        db.execute("CREATE TABLE big (a TEXT)")
        db.executemany("INSERT INTO big VALUES (?)", [(None,), *[("x" * 100,)] * 2_000])
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_schema SET sql = replace(sql, 'a TEXT', 'a TEXT NOT NULL')")
        other.commit()
    with Store(path) as store:
        assert health.check(store, None) == ("damaged", "NULL value in big.a")
    path.write_bytes(content[:-8192] + b"\xff" * 4096 + content[-4096:])
    with Store(path) as store, pytest.raises(StoreError, match="is damaged"):
        health.check(store, None)


def test_the_runtime_tells_where_a_network_really_runs() -> None:
    found = runtime.look()
    assert re.match(r"\d+\.\d+", found.version)
    assert "CPU" in found.providers
    assert found.device in ("cpu", "cuda")
    assert found.falls_back == ("CUDA" in found.providers and found.device == "cpu")


# --- With a worker and a Stash ------------------------------------------------------------------


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A library folder that is here, and one that is away."""
    here = tmp_path_factory.mktemp("library")
    (here / "film.mp4").write_text("x")
    return here, here.parent / "away"


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory, roots: tuple[Path, Path]) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash"), media=list(roots)) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, tmp_path: Path) -> Iterator[Room]:
    empty(stash)
    with open_engine(tmp_path / "home") as engine:
        prepared = Room(stash, tmp_path, tmp_path, engine=engine)
        prepared.configure()
        yield prepared


def named(found: Any, what: str) -> list[tuple[str, str]]:
    """What was found of a name, with its level."""
    return [(fact["found"], fact["level"]) for fact in found["facts"] if fact["what"] == what]


def test_the_models_that_the_user_chose_and_the_library_are_told(
    room: Room, roots: tuple[Path, Path]
) -> None:
    room.configure(skip_objects=None, object_model="nudenet-320n", frames="lots")
    found = room.run("doctor")
    assert named(found, "Detector clip") == [("switched off", OK)]
    assert named(found, "Detector objects") == [("nudenet-320n@3.4.2", OK)]
    assert named(found, "Library folder") == [
        (f"{roots[0]} can be read here", OK),
        (f"{roots[1]} is not visible here", PROBLEM),
    ]
    assert named(found, "Workflow tags") == [("missing: TagMe, Tagged, Errored", PROBLEM)]
    ((complaint, level),) = named(found, "Settings")
    assert ("'lots'" in complaint, level) == (True, NOTE)
    assert named(found, "Login") == [("none", OK)]
    assert named(found, "Clock") == [("the same as ours", OK)]
    assert not found["well"]
    assert any("mount it at the same path" in line for line in room.told.said("warning"))
    assert room.told.lines[-1][1].startswith("Doctor: 2 problems")
    assert room.stash.tags() == {}


def test_the_preset_is_told_with_what_runs_and_what_is_missing(room: Room) -> None:
    room.configure(skip_objects=None, skip_acts=None, preset="balanced", device="cpu")
    found = room.run("doctor")
    ((preset, level),) = named(found, "Preset")
    assert preset == "balanced, as the settings say; joytag names acts and clothing"
    assert level == OK
    ((tagger, level),) = named(found, "Detector tagger")
    said = re.fullmatch(r"joytag@\w+ is missing: its (\d+) labels wait for it, .*", tagger)
    assert said is not None
    assert int(said[1]) > 50
    assert level == PROBLEM
    assert [told for told, _ in named(found, "Detector objects")][1:] == ["nudenet-320n@3.4.2"]
    assert named(found, "Precision") == [("as published: nudenet-320n", OK)]
    assert named(found, "Providers")[0][0].endswith("CPU in this onnxruntime")
    assert "networks run on the processor (cpu)" in named(found, "Runtime")[0][0]
    assert named(found, "Extras") == [("not installed, and tagging needs none", OK)]
    assert any(told.startswith("joytag was not tried") for told, _ in named(found, "Untried"))


def test_a_catalogue_that_cannot_be_read_is_told_and_the_rest_all_the_same(room: Room) -> None:
    room.engine.own_catalogue.write_text("models: [", "utf-8")
    found = room.run("doctor")
    assert [level for _, level in named(found, "Models")] == [PROBLEM]
    assert named(found, "Workflow tags")


def test_warm_and_cold_have_one_shape(room: Room, tmp_path: Path) -> None:
    warm = room.run("doctor")
    cold = checkup.examine(Home(str(tmp_path / "cold")), PACKAGE, None, lambda *_: None)
    assert warm.keys() == cold.keys()
    shapes = {tuple(fact) for found in (warm, cold) for fact in found["facts"]}
    assert shapes == {("group", "what", "found", "level", "remedy")}
    assert json.loads((room.engine.home / "doctor.json").read_text("utf-8")) == warm
    assert warm["report"] == str(room.engine.home / "doctor.txt")


def test_files_of_scenes_are_looked_for_and_sprites_counted(
    room: Room, roots: tuple[Path, Path]
) -> None:
    room.stash.add_scene("a", file=fake_file(str(roots[0] / "film.mp4"), oshash="a" * 16, size=1))
    for number in range(3):
        away = str(roots[1] / f"\x1b{number}.mp4")
        room.stash.add_scene("b", file=fake_file(away, oshash=f"{number:016x}", size=1))
    found = room.run("doctor")
    ((scenes, level),) = named(found, "Scenes")
    assert scenes.startswith("3 of 4 files tried: ")
    assert level == PROBLEM
    assert named(found, "Sprites") == [("0 of 4 scenes tried have a sprite sheet", NOTE)]
    assert all(text.isprintable() for _, text in room.told.lines)


def test_a_library_of_many_folders_has_twenty_lines(tmp_path: Path) -> None:
    folders = [tmp_path / f"{number} {'x' * 200}\n\x1b" for number in range(60)]
    folders[0].mkdir()
    with (
        StandIn(tmp_path / "stash", media=folders) as stash,
        open_engine(tmp_path / "home") as engine,
    ):
        room = Room(stash, tmp_path, tmp_path, engine=engine)
        room.configure(**{f"unknown{number}": 1 for number in range(30)})
        found = room.run("doctor")
    assert len(named(found, "Library folder")) == 60
    assert len(room.told.lines) <= 20
    assert all("\n" not in text and text.isprintable() for _, text in room.told.lines)
    table = (tmp_path / "home" / "doctor.txt").read_text("utf-8")
    assert max(map(len, table.splitlines())) <= 100
    assert any("(and 58 more)" in line for line in room.told.said("warning"))


def test_doctor_goes_on_without_stash(room: Room) -> None:
    room.stash.fault("*", Fault(status=500, times=100))
    found = room.run("doctor")
    assert not found["well"]
    assert named(found, "Check") == [("whole", OK)]
    ((said, level),) = named(found, "Stash")
    assert ("500" in said, level) == (True, PROBLEM)


def test_one_question_that_stash_refuses_costs_its_fact_alone(room: Room) -> None:
    room.stash.fault("findScenes", Fault(error="no such table", times=9))
    found = room.run("doctor")
    ((said, level),) = named(found, "Scenes")
    assert ("no such table" in said, level) == (True, PROBLEM)
    assert len(named(found, "Library folder")) == 2
    assert named(found, "Workflow tags")
    assert named(found, "Login") == [("none", OK)]


def test_a_vocabulary_that_cannot_be_used_is_found(room: Room) -> None:
    room.engine.own_vocabulary.write_text("labels: [nonsense]\n")
    room.run("doctor")
    (line,) = [line for line in room.told.said("warning") if line.startswith("Vocabulary")]
    assert "vocabulary.yaml" in line
    room.stash.add_scene("a", tags=[room.tag("TagMe")])
    with pytest.raises(SettingsError, match=r"vocabulary\.yaml"):
        room.run()


def test_open_networks_tell_their_device(room: Room) -> None:
    card = room.engine.catalogue().card("nudenet-320n")
    room.engine.shelf().network(card, "network")
    ((told, level),) = named(room.run("doctor"), "Open now")
    assert told.startswith("nudenet-320n@3.4.2 (network) on c")
    assert level == OK


def test_versions_of_what_reads_scenes_are_told_in_one_line(room: Room) -> None:
    ((told, level),) = named(room.run("doctor"), "Versions")
    assert re.fullmatch(r"numpy [\d.]+, OpenCV [\d.]+, PyAV [\d.]+, RapidOCR [\d.]+", told)
    assert level == OK


@pytest.mark.parametrize(
    ("kind", "options", "network"),
    [("apfs", "rw,local", False), ("SMBFS", "rw", True), ("NTFS", "rw,remote", True)],
)
def test_other_systems_mounts_are_those_that_psutil_tells(
    kind: str, options: str, network: bool
) -> None:
    told = mount(SimpleNamespace(device="x", mountpoint="/a", fstype=kind, opts=options))
    assert (told.point, told.network) == ("/a", network)


def test_jobs_in_hand_are_told(room: Room) -> None:
    jobs = room.engine.jobs
    jobs.enqueue("doctor", "attached", {})
    jobs.enqueue("tag_scene", "owned", {})
    sweep = jobs.enqueue("tag_scenes", "attached", {})
    jobs.begin(sweep.id)
    jobs.progress(sweep.id, 0.25)
    waits, sweeps = sorted((told for told, _ in named(room.run("doctor"), "At work")), key=len)
    assert waits == "tag_scene waits"
    assert sweeps.startswith("tag_scenes, 25% done, since ")


# --- On the command line ------------------------------------------------------------------------


def test_a_store_that_cannot_be_opened_is_told_by_the_command_line(bytecode: Path) -> None:
    """The worker does not start: what can be said without it is said, and why."""
    with tempfile.TemporaryDirectory(prefix="ss-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        (home / "pycache").symlink_to(bytecode)
        (home / "store.sqlite").write_bytes(b"no database" * 1000)
        done = subprocess.run(
            [sys.executable, "-m", "stash_sense_plugin", "doctor", "--json"],
            cwd=ROOT,
            env={**os.environ, "STASH_SENSE_HOME": str(home), "STASH_URL": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        found = json.loads(done.stdout)
        assert (done.returncode, found["well"]) == (1, False)
        ((said, level),) = named(found, "Worker")
        assert ("is not a database" in said, level) == (True, PROBLEM)
        assert found["report"] == str(home / "doctor.txt")
        assert json.loads((home / "doctor.json").read_text("utf-8")) == found
