"""Killed at any moment, nothing is lost, nothing doubled, and nothing of the user's touched."""

import json
import os
import re
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo.stash import Fault
from demo.stash.faults import Reached
from stash_sense_plugin.detectors.picture import PictureDetector
from stash_sense_plugin.library.backup import backups_of
from stash_sense_plugin.library.migrations import MIGRATIONS, NEWEST, migrate, version_of
from stash_sense_plugin.library.moving import lines
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.library.verdicts import Saying, Verdicts
from stash_sense_plugin.records import Fingerprint, FrameSource, Observation, Ran, Said, Scene
from tests.calls_kit import FileCall, Watch, can_watch, watching
from tests.conftest import TORTURE
from tests.installed_kit import Installed, installed, workers
from tests.kill_kit import (
    BOTH,
    DOOR,
    WORKER,
    Ground,
    Ids,
    Kept,
    Moment,
    Point,
    Step,
    check_store,
    claimed,
    kill_at,
    log_since,
    rows_of,
    seen,
    step_of,
    store_of,
)
from tests.plugin_folder import wait_until

pytestmark = [
    pytest.mark.torture,
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's own tables"),
]

Record = Callable[[str, int], None]


# --- What is done, and what comes of it ---------------------------------------------------------


@dataclass
class Scenario:
    """A library of a user's, and what is pressed there."""

    ready: Kept
    before: dict[str, Any]
    """What the user sees before any of our writing."""
    ids: Ids
    after: dict[str, Any]
    """What the user sees when nothing was killed."""
    press: Callable[[], threading.Thread]


@dataclass
class Stage:
    """The scenarios, each made once."""

    ground: Ground
    made: dict[str, Scenario] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    """How many calls change the store's files in what is pressed."""

    def scenario(self, name: str) -> Scenario:
        if name not in self.made:
            self.made[name] = SCENARIOS[name](self.ground)
        return self.made[name]


def a_library(library: Installed) -> None:
    """Scenes with what the user made by hand: tags, markers, a performer, a studio."""
    stash = library.stash
    library.configure(markers=True)
    grey = library.add("grey.mp4", "TagMe", "Mine")
    library.add("tall.mp4", "TagMe", "Errored")
    nights = library.add("nights.mp4", "TagMe")
    library.add("damaged.mp4", "TagMe")
    by_hand = library.add("grey.mp4", "TagMe", "Black and White")
    library.add("tall.mp4", "Mine")
    theirs = stash.add_studio("Theirs")
    stash.set_studio(by_hand, theirs)
    penny = stash.add_performer("Penny")
    for scene in (grey, nights):
        pair = "INSERT INTO performers_scenes (performer_id, scene_id) VALUES (?, ?)"
        stash.database.run(pair, penny, scene)
        marker = """INSERT INTO scene_markers
          (title, seconds, scene_id, primary_tag_id, created_at, updated_at)
          VALUES ('by hand', 1.5, ?, ?, '2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z')"""
        stash.database.run(marker, scene, library.tag("Mine"))


def sweep(ground: Ground) -> Scenario:
    """Tag scenes, for the first time."""
    ground.fresh()
    library = ground.library
    a_library(library)
    ready, before, ids = ground.keep("sweep"), seen(library), Ids.of(library)
    library.press().join()
    after = seen(library)
    assert after != before
    return Scenario(ready, before, ids, after, library.press)


def undo(ground: Ground) -> Scenario:
    """Undo the run that tagged them."""
    ground.fresh()
    library = ground.library
    a_library(library)
    before, ids = seen(library), Ids.of(library)
    library.press().join()
    ready = ground.keep("undo")
    return Scenario(ready, before, ids, before, lambda: library.press("Undo last run"))


def decide(ground: Ground) -> Scenario:
    """Decide again by other settings: some is written, some is taken back."""
    ground.fresh()
    library = ground.library
    a_library(library)
    library.configure(markers=True, never="Black and White")
    before, ids = seen(library), Ids.of(library)
    library.press().join()
    library.configure(markers=True, never="Dark")
    ready = ground.keep("decide")
    library.press("Decide again").join()
    return Scenario(ready, before, ids, seen(library), lambda: library.press("Decide again"))


def refuse(ground: Ground) -> Scenario:
    """Refuse some of what was written."""
    ground.fresh()
    library = ground.library
    a_library(library)
    before, ids = seen(library), Ids.of(library)
    library.press().join()
    ready = ground.keep("refuse")
    press = says(library, "refuse")
    press().join()
    return Scenario(ready, before, ids, seen(library), press)


def accept(ground: Ground) -> Scenario:
    """Accept what was refused."""
    ground.fresh()
    library = ground.library
    a_library(library)
    before, ids = seen(library), Ids.of(library)
    library.press().join()
    says(library, "refuse")().join()
    ready = ground.keep("accept")
    press = says(library, "accept")
    press().join()
    return Scenario(ready, before, ids, seen(library), press)


def unsay(ground: Ground) -> Scenario:
    """Take back what was refused: it is written again."""
    ground.fresh()
    library = ground.library
    a_library(library)
    before, ids = seen(library), Ids.of(library)
    library.press().join()
    after = seen(library)
    says(library, "refuse")().join()
    assert seen(library) != after
    return Scenario(ground.keep("unsay"), before, ids, after, says(library, "unsay", "refused"))


def unsaid(ground: Ground) -> Scenario:
    """Take back what was accepted: it is taken from the scenes."""
    ground.fresh()
    library = ground.library
    a_library(library)
    before, ids = seen(library), Ids.of(library)
    library.press().join()
    says(library, "refuse")().join()
    after = seen(library)
    says(library, "accept")().join()
    assert seen(library) != after
    return Scenario(ground.keep("unsaid"), before, ids, after, says(library, "unsay", "accepted"))


def unmark(ground: Ground) -> Scenario:
    """Refuse the markers of what was written; the tags stay."""
    ground.fresh()
    library = ground.library
    a_library(library)
    before, ids = seen(library), Ids.of(library)
    library.press().join()
    ready = ground.keep("unmark")
    press = says(library, "refuse", kind="marker")
    press().join()
    return Scenario(ready, before, ids, seen(library), press)


def mark(ground: Ground) -> Scenario:
    """Accept the markers that were refused."""
    ground.fresh()
    library = ground.library
    a_library(library)
    before, ids = seen(library), Ids.of(library)
    library.press().join()
    after = seen(library)
    says(library, "refuse", kind="marker")().join()
    assert seen(library) != after
    ready = ground.keep("mark")
    press = says(library, "accept", kind="marker")
    press().join()
    return Scenario(ready, before, ids, seen(library), press)


def says(
    library: Installed, said: str, meant: str | None = None, kind: str = "tag"
) -> Callable[[], threading.Thread]:
    """What the plugin's pages ask when the user says something of two suggestions."""
    grey, _, nights, *_ = library.stash.scene_ids()
    named = ((grey, "Black and White"), (nights, "Dark"))
    more = {"kind": kind} | ({} if meant is None else {"said": meant})
    items = [{"scene_id": str(scene), "name": name, **more} for scene, name in named]

    def ask() -> None:
        # Where the door is killed, Stash answers with an error.
        with suppress(AssertionError):
            library.operate(said, items=items)

    def press() -> threading.Thread:
        asking = threading.Thread(target=ask)
        asking.start()
        return asking

    return press


SCENARIOS: dict[str, Callable[[Ground], Scenario]] = {
    "sweep": sweep,
    "undo": undo,
    "decide": decide,
    "refuse": refuse,
    "accept": accept,
    "unsay": unsay,
    "unsaid": unsaid,
    "unmark": unmark,
    "mark": mark,
}


# --- Which moments ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Steps:
    """How often a scenario does something, and after which of these a row is written at once."""

    step: Step
    count: int
    settled: tuple[int, ...]


STEPS: dict[str, tuple[Steps, ...]] = {
    "sweep": (
        Steps(Step.MAKE_TAG, 5, (1, 2, 3, 4, 5)),
        Steps(Step.ADD_TAG, 4, (4,)),
        Steps(Step.MAKE_MARKER, 6, (1, 2, 5, 6)),
        Steps(Step.ARRIVE, 2, (1, 2)),
        Steps(Step.LEAVE, 3, (1, 2, 3)),
        Steps(Step.READ, 4, (1, 2, 3, 4)),
    ),
    "undo": (
        Steps(Step.DESTROY_MARKER, 1, (1,)),
        Steps(Step.REMOVE_TAG, 4, (4,)),
        Steps(Step.ARRIVE, 2, (1, 2)),
        Steps(Step.LEAVE, 2, (1, 2)),
        Steps(Step.DESTROY_TAG, 5, (1, 2, 3, 4, 5)),
        Steps(Step.READ, 3, (1, 2, 3)),
    ),
    "decide": (
        Steps(Step.ADD_TAG, 1, (1,)),
        Steps(Step.MAKE_MARKER, 2, (1, 2)),
        Steps(Step.DESTROY_MARKER, 1, (1,)),
        Steps(Step.REMOVE_TAG, 1, (1,)),
        Steps(Step.READ, 7, (1, 2, 3, 4, 5, 6, 7)),
    ),
    "refuse": (
        Steps(Step.DESTROY_MARKER, 1, (1,)),
        Steps(Step.REMOVE_TAG, 2, (2,)),
        Steps(Step.READ, 2, (1, 2)),
    ),
    "accept": (
        Steps(Step.ADD_TAG, 2, (2,)),
        Steps(Step.MAKE_MARKER, 2, (1, 2)),
        Steps(Step.READ, 3, (1, 2, 3)),
    ),
    "unsay": (
        Steps(Step.ADD_TAG, 2, (2,)),
        Steps(Step.MAKE_MARKER, 2, (1, 2)),
        Steps(Step.READ, 5, (1, 2, 3, 4, 5)),
    ),
    "unsaid": (
        Steps(Step.DESTROY_MARKER, 1, (1,)),
        Steps(Step.REMOVE_TAG, 2, (2,)),
        Steps(Step.READ, 2, (1, 2)),
    ),
    "unmark": (
        Steps(Step.DESTROY_MARKER, 1, (1,)),
        Steps(Step.READ, 3, (1, 2, 3)),
    ),
    "mark": (
        Steps(Step.MAKE_MARKER, 2, (1, 2)),
        Steps(Step.READ, 2, (1, 2)),
    ),
}
RETRIED = frozenset({"sweep", "decide"})
"""What a door asks of another worker when the first one dies."""
SAMPLE = (
    "sweep-make_tag-2-applied-worker",
    "sweep-make_marker-5-late-both",
    "sweep-leave-1-asked-worker",
    "undo-remove_tag-4-answered-worker",
    "unsay-make_marker-1-applied-both",
    "unmark-destroy_marker-1-applied-worker",
)


def moments() -> Iterator[Moment]:
    """Yield all moments."""
    for scenario, steps in STEPS.items():
        for each in steps:
            for nth in range(1, each.count + 1):
                for point in Point:
                    for victim in victims(each, nth, point):
                        yield Moment(scenario, each.step, nth, point, victim)


def victims(each: Steps, nth: int, point: Point) -> tuple[Any, ...]:
    """Who may be killed there, so that it is another state than those of the others."""
    if point is Point.ANSWERED:
        return (WORKER, BOTH) if nth in each.settled else ()
    if each.step is Step.READ:
        # What is asked of a reading is nothing that a kill can spoil.
        return ()
    if point is Point.ASKED:
        return (WORKER, BOTH, DOOR)
    return (WORKER, BOTH)


def chosen() -> list[Any]:
    wanted = [each for each in moments() if TORTURE in os.environ or str(each) in SAMPLE]
    return [pytest.param(each, id=str(each)) for each in wanted]


# --- The kills ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, bytecode: Path) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("kills")
    with pytest.MonkeyPatch.context() as patch:
        surroundings(patch, folder)
        with installed(folder, bytecode) as library:
            ground = Ground(library, folder, bytecode)
            try:
                yield Stage(ground)
            finally:
                surroundings(patch, folder)
                ground.leave()


@pytest.fixture(autouse=True)
def _surroundings(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    surroundings(monkeypatch, stage.ground.folder)


def surroundings(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let all doors and workers of this file have one home."""
    (folder / "run").mkdir(mode=0o700, exist_ok=True)
    patch.setenv("STASH_SENSE_PYTHON", sys.executable)
    patch.setenv("STASH_SENSE_HOME", str(folder / "home"))
    patch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))


@pytest.mark.parametrize("moment", chosen())
def test_a_kill_loses_and_doubles_nothing(
    stage: Stage, moment: Moment, record_count: Record
) -> None:
    scenario, library = stage.scenario(moment.scenario), stage.ground.library
    stage.ground.begin(scenario.ready)
    heard = len(library.stash.log)
    kill_at(library, moment, scenario.press)
    # A door takes its sweep to another worker; else the user presses again.
    if moment.victim.door or moment.scenario not in RETRIED:
        scenario.press().join()
    else:
        assert [told for told in log_since(library, heard) if told[0] == "Error"] == []
    check_store(library)
    assert seen(library) == scenario.after
    assert claimed(library) == Ids.of(library).since(scenario.ids)
    library.operate("undo", what="everything", confirm="everything")
    assert seen(library) == scenario.before
    check_store(library)
    record_count(f"killed: {moment.state}", 1)


# --- In the middle of a write of the store ------------------------------------------------------

OLD_ROWS = 300


def old_store(path: Path) -> None:
    """A store as an older version left it, with some of everything that must live on."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        migrate(db, str(path), MIGRATIONS[:3])
        db.execute("BEGIN")
        for number in range(OLD_ROWS):
            db.execute(
                "INSERT INTO ledger (run_id, action, scene_id, target_id, target_name, detail,"
                " outcome, intended_at_s)"
                " VALUES ('r', 'add-tag', ?, '7', 'Beach', '{}', 'ours', 1)",
                (str(900_000 + number),),
            )
            db.execute(
                "INSERT INTO refusals (kind, target_id, name, scene_id, oshash, size_bytes, detail,"
                " refused_at_s) VALUES ('tag', '7', 'beach', ?, '', 0, '{}', 1)",
                (str(900_000 + number),),
            )
        db.execute("COMMIT")


def counted_rows(path: Path) -> tuple[int, int, int]:
    """The version of a store that is whole, its rows of the ledger and its verdicts."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        version = version_of(db)
        said = "verdicts" if version >= 4 else "refusals"
        ledger = db.execute("SELECT count(*) FROM ledger").fetchone()[0]
        return version, ledger, db.execute(f"SELECT count(*) FROM {said}").fetchone()[0]


@dataclass
class Files:
    """What a press changes of the store's files, call after call."""

    watch: Watch
    kill_at: int | None = None
    names: str = r"store\.sqlite.*"
    """Which files, as a pattern of their names."""
    calls: list[str] = field(default_factory=list)
    doors: Callable[[], None] = lambda: None

    def heard(self, call: FileCall) -> bool:
        if not re.fullmatch(self.names, call.file):
            return False
        self.calls.append(f"{call.what} of {call.file}")
        if len(self.calls) - 1 != self.kill_at:
            return False
        self.doors()
        return True


def press_watched(stage: Stage, files: Files, press: Callable[[], object]) -> None:
    """Press with a worker under watch; the doors die with it, so that nobody begins again."""
    library = stage.ground.library

    def kill_doors() -> None:
        for door in library.doors():
            door.kill()

    files.doors = kill_doors
    files.watch.heard = files.heard
    os.environ["STASH_SENSE_PYTHON"] = str(files.watch.python)
    try:
        with suppress(AssertionError):
            press()
    finally:
        os.environ["STASH_SENSE_PYTHON"] = sys.executable
    if files.kill_at is not None:
        # The doors die just before the worker: who waits for them is back before it is dead.
        reached = len(files.calls) > files.kill_at
        assert reached, f"it ended before: {len(files.calls)} calls"
        assert files.watch.killed.wait(30), "the worker was not killed"
        wait_until(lambda: not workers(library.home), "the worker does not die")


def shares(short: int, long: int) -> list[Any]:
    """Places in the row of calls, from its begin to nearly its end."""
    count = long if TORTURE in os.environ else short
    return [
        pytest.param((each + 0.5) / count, id=f"{each + 1}-of-{count}") for each in range(count)
    ]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    if not can_watch():
        pytest.skip("this machine lets no test watch what a process asks of the system")
    with watching(tmp_path / "watched") as watched:
        yield watched


@pytest.mark.parametrize("share", shares(1, 40))
def test_a_kill_in_the_middle_of_a_migration_leaves_a_whole_store(
    stage: Stage, share: float, watch: Watch, record_count: Record, tmp_path: Path
) -> None:
    ground, library = stage.ground, stage.ground.library
    store = Path(library.home.folder, "store.sqlite")

    def begin() -> None:
        ground.fresh()
        old_store(store)

    if "migration" not in stage.calls:
        begin()
        with watching(tmp_path / "unkilled") as unkilled:
            files = Files(unkilled)
            press_watched(stage, files, lambda: library.operate("errors"))
            # What closing the store changes is no longer part of it.
            stage.calls["migration"] = len(files.calls)
    begin()
    files = Files(watch, int(0.95 * share * stage.calls["migration"]))
    press_watched(stage, files, lambda: library.operate("errors"))
    aside = tmp_path / "aside"
    aside.mkdir()
    for each in store.parent.glob("store.sqlite*"):
        shutil.copy(each, aside)
    steps = range(3, NEWEST + 1)
    assert counted_rows(aside / store.name) in [(step, OLD_ROWS, OLD_ROWS) for step in steps]
    assert library.operate("errors")["errors"] == []
    assert counted_rows(store) == (steps[-1], OLD_ROWS, OLD_ROWS)
    for copy in backups_of(store):
        assert counted_rows(copy) == (3, OLD_ROWS, OLD_ROWS)
    assert backups_of(store)
    assert list(store.parent.glob("*.part")) == []
    record_count(f"killed: migration: before {files.calls[-1]}", 1)


@pytest.mark.parametrize("share", shares(1, 60))
def test_a_kill_in_the_middle_of_a_write_to_the_store_loses_nothing(
    stage: Stage, share: float, watch: Watch, record_count: Record, tmp_path: Path
) -> None:
    scenario, ground, library = stage.scenario("sweep"), stage.ground, stage.ground.library
    if "sweep" not in stage.calls:
        ground.begin(scenario.ready)
        with watching(tmp_path / "unkilled") as unkilled:
            files = Files(unkilled)
            press_watched(stage, files, lambda: scenario.press().join())
        stage.calls["sweep"] = len(files.calls)
    ground.begin(scenario.ready)
    files = Files(watch, int(0.9 * share * stage.calls["sweep"]))
    steps: list[str] = []

    def told(name: str, reached: Reached, arguments: Any) -> None:
        if reached == "replied":
            steps.append(step_of(library, name, arguments) or "look")

    library.stash.fault("*", Fault(told=told, times=1_000_000))
    press_watched(stage, files, lambda: scenario.press().join())
    library.stash.clear_faults()
    scenario.press().join()
    check_store(library)
    assert seen(library) == scenario.after
    assert claimed(library) == Ids.of(library).since(scenario.ids)
    library.operate("undo", what="everything", confirm="everything")
    assert seen(library) == scenario.before
    after = f"after {steps[-1]}" if steps else "at its start"
    record_count(f"killed: sweep: {after}: before {files.calls[-1]}", 1)


# --- In the middle of what is done with the store as a whole ------------------------------------

FILES, FRAMES = 12, 200


@dataclass
class Work:
    """Something that is done with the store as a whole, and what is there when it is done."""

    begin: Callable[[Ground], None]
    press: Callable[[Installed, Path], object]
    is_done: Callable[[Installed, Path], None]
    names: str = r"store\.sqlite.*"
    """The files before whose changes it is killed."""
    states: int = 24
    """In how many states that is done."""


def filled(path: Path) -> list[str]:
    """Fill a store with looks, each of them made twice, and verdicts; return it as lines."""
    model, clip = PictureDetector().model, Scene("1", "", "/clip.mp4", None, 6.0)
    vectors = np.random.default_rng(1).normal(size=(FRAMES, 256)).astype(np.float32)
    times = tuple(map(float, range(FRAMES)))
    seen = [
        Observation("", place, float(place), "picture", model, "frame", 1.0, vector=vector)
        for place, vector in enumerate(vectors)
    ]
    with Store(path) as store:
        for number in (*range(FILES), *range(FILES)):
            store.save_analysis(
                Fingerprint(f"{number:016x}", number),
                "",
                FrameSource.VIDEO,
                float(FRAMES),
                times,
                "picture",
                model,
                seen,
                Ran("picture", model, "cpu", "fp32", FRAMES, 1.0),
            )
        names = [f"Tag {number}" for number in range(3 * FILES)]
        Verdicts(store).say([Saying(clip, "tag", name, "", Said.REFUSED) for name in names])
        return list(lines(store, "0.0.0"))


def a_full_store(ground: Ground) -> None:
    ground.fresh()
    filled(store_of(ground.library))


def a_file_to_import(ground: Ground) -> None:
    ground.fresh()
    moved_to(ground.library).write_text("".join(filled(ground.folder / "elsewhere.sqlite")))


def moved_to(library: Installed) -> Path:
    """The file that is imported."""
    return Path(library.home.folder).with_name("moved.jsonl")


def a_tagged_library(ground: Ground) -> None:
    ground.fresh()
    a_library(ground.library)
    ground.library.press().join()


def knows_all(written: Path, store: Path) -> None:
    """What was written is all that the store has to tell."""
    with Store(store) as kept:
        assert sorted(written.read_text().splitlines(keepends=True)[1:]) == sorted(
            list(lines(kept, "0.0.0"))[1:]
        )


def is_exported(library: Installed, folder: Path) -> None:
    library.operate("store_export", path=str(folder / "another.jsonl"))
    assert {each.name for each in folder.iterdir()} == {"export.jsonl", "another.jsonl"}
    library.leave()
    for name in ("export.jsonl", "another.jsonl"):
        knows_all(folder / name, store_of(library))


def is_imported(library: Installed, folder: Path) -> None:
    library.leave()
    knows_all(moved_to(library), store_of(library))


def is_tidied(library: Installed, folder: Path) -> None:
    dropped = library.operate("store_vacuum", dry_run=True)["dropped"]
    assert not any(dropped.values()), dropped
    assert rows_of(library, "SELECT count(*), count(DISTINCT file_id) FROM analyses") == [
        (FILES, FILES)
    ]
    assert rows_of(library, "SELECT count(*) FROM verdicts") == [(3 * FILES,)]
    assert store_of(library).stat().st_size < 1.5 * FILES * FRAMES * 512


def is_judged(library: Installed, folder: Path) -> None:
    home = Path(library.home.folder)
    assert json.loads((home / "evaluation.json").read_text())["coverage"]["judged"]
    assert (home / "evaluation.html").read_text().rstrip().endswith("</html>")
    assert rows_of(library, "SELECT count(*) FROM evaluations") >= [(1,)]
    assert list(home.glob("*.part")) == []


def export(library: Installed, folder: Path) -> object:
    if (folder / "export.jsonl").exists():
        return None
    return library.operate("store_export", path=str(folder / "export.jsonl"))


WORKS = {
    "store_export": Work(a_full_store, export, is_exported, r"export\..*|\.stash-sense-.*", 8),
    "store_import": Work(
        a_file_to_import,
        lambda library, _: library.operate("store_import", path=str(moved_to(library))),
        is_imported,
    ),
    "store_vacuum": Work(
        a_full_store, lambda library, _: library.operate("store_vacuum"), is_tidied
    ),
    "evaluate": Work(
        a_tagged_library,
        lambda library, _: library.operate("evaluate"),
        is_judged,
        r"store\.sqlite.*|evaluation\..*",
    ),
}


def whole_or_not_there(library: Installed, folder: Path) -> None:
    """Whoever reads what was written reads all of it, and the store is no worse."""
    home = Path(library.home.folder)
    aside = folder.with_name("aside")
    shutil.copytree(home, aside, symlinks=True)
    if (home / "store.sqlite").exists():
        with closing(sqlite3.connect(aside / "store.sqlite")) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    for exported in folder.glob("export.jsonl"):
        knows_all(exported, aside / "store.sqlite")
    for figures in home.glob("evaluation.json"):
        json.loads(figures.read_text())
    for page in home.glob("evaluation.html"):
        assert page.read_text().rstrip().endswith("</html>")


def places() -> list[Any]:
    """What is killed in its middle, and where; only some of it outside torture."""
    if TORTURE not in os.environ:
        return [pytest.param(name, 0.5, id=name) for name in ("store_export", "store_import")]
    return [
        pytest.param(name, (each + 0.5) / work.states, id=f"{name}-{each + 1}-of-{work.states}")
        for name, work in WORKS.items()
        for each in range(work.states)
    ]


@pytest.mark.parametrize(("name", "share"), places())
def test_a_kill_in_the_middle_of_work_on_the_store_leaves_it_to_be_done_again(
    stage: Stage, name: str, share: float, watch: Watch, record_count: Record, tmp_path: Path
) -> None:
    work, ground, library = WORKS[name], stage.ground, stage.ground.library
    if name not in stage.kept:
        work.begin(ground)
        stage.kept[name] = ground.keep(name)
        (unkilled_folder := tmp_path / "unkilled").mkdir()
        with watching(tmp_path / "whole") as unkilled:
            files = Files(unkilled, names=work.names)
            press_watched(stage, files, lambda: work.press(library, unkilled_folder))
        stage.calls[name] = len(files.calls)
        work.is_done(library, unkilled_folder)
    (folder := tmp_path / "files").mkdir()
    ground.begin(stage.kept[name])
    files = Files(watch, int(0.95 * share * stage.calls[name]), names=work.names)
    press_watched(stage, files, lambda: work.press(library, folder))
    whole_or_not_there(library, folder)
    work.press(library, folder)
    work.is_done(library, folder)
    check_store(library)
    last = re.sub("[0-9a-f]{16}", "...", files.calls[-1])
    record_count(f"killed: {name}: before {last}", 1)
