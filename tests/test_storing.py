"""The store as a whole: measured, tidied, and moved to another machine."""

import base64
import contextlib
import gzip
import io
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.stash import StandIn
from stash_sense_plugin.calibration import Platt
from stash_sense_plugin.errors import Cancelled, SettingsError, StoreError
from stash_sense_plugin.library.arriving import checked, take_over
from stash_sense_plugin.library.health import check
from stash_sense_plugin.library.learnt import Learnt, LearntCurve, LearntThreshold
from stash_sense_plugin.library.ledger import StoreLedger
from stash_sense_plugin.library.moving import lines
from stash_sense_plugin.library.space import Space
from stash_sense_plugin.library.store import Store, StorePrompts
from stash_sense_plugin.library.suggested import SuggestionList
from stash_sense_plugin.library.verdicts import Saying, Verdicts
from stash_sense_plugin.records import (
    Box,
    Decision,
    Fingerprint,
    FrameSource,
    Observation,
    Ran,
    Said,
    Scene,
    Suggestion,
)
from stash_sense_plugin.start import worker
from stash_sense_plugin.start.paths import Home
from stash_sense_plugin.tasks import MODES, Call
from tests.installed_kit import workers
from tests.plugin_folder import wait_until
from tests.stash_kit import empty
from tests.sweep_kit import ROOT, Room, Told, open_engine, write_clips

FILE = Fingerprint("0123456789abcdef", 5_000_000_000)
OTHER = Fingerprint("fedcba9876543210", 77)
DOG = Suggestion("tag", "Dog", "dog", 0.9, Decision.APPLY)
SCENE = Scene("7", "", "/media/clip.mp4", FILE, 6.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "here.sqlite", clock=lambda: 1000.0) as store:
        yield store


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "there.sqlite", clock=lambda: 2000.0) as store:
        yield store


def look(
    store: Store, model: str = "b@1", detector: str = "clip", key: str = "k", file: Any = FILE
) -> None:
    vectors = np.random.default_rng(7).normal(size=(3, 8)).astype(np.float32)
    seen = [
        Observation("7", index, index * 2.0, detector, model, "frame", 1.0, vector=vector)
        for index, vector in enumerate(vectors)
    ]
    boxed = replace(seen[0], label="coco/dog", score=0.25, box=Box(0, 0.5, 0.25, 1), vector=None)
    seen += [boxed, replace(boxed, box=None, text='a "line"\n \udcff 🎬', track=-3)]
    ran = Ran(detector, model, "cpu", "fp32", 3, 1.25)
    source = FrameSource.SPRITE
    store.save_analysis(file, key, source, 6.0, (0.0, 2.0, 4.0), detector, model, seen, ran)


def fill(store: Store) -> Store:
    """Keep something of everything that moves."""
    look(store)
    look(store, "yolox@1", "objects", "frames")
    StorePrompts(store).put("b@1", "a dog", np.array([0.1, 0.2], np.float32))
    Verdicts(store).say([Saying(SCENE, "tag", "Cat", "4", Said.REFUSED)])
    curve = LearntCurve("coco", "dog", Platt(6.0, -2.0), 40, 60)
    Learnt(store).use([curve], [LearntThreshold("dog", 0.8, 0.95, 40)])
    store.remember_library("/stash/stash-go.sqlite", {"7": FILE.oshash})
    store.save_result(
        store.begin_run("tag", {}),
        "7",
        FILE,
        {"source": "/media/clip.mp4", "suggestions": [{"kind": "tag", "name": "Dog"}]},
        suggestions=[DOG],
        decided=b"0123456789abcdef",
        tags=("2", "11"),
    )
    return store


def exported(store: Store) -> list[bytes]:
    return [line.encode() for line in lines(store, "0.0.0")]


def move(store: Store, there: Store, *, times: int = 1) -> dict[str, int]:
    written = exported(store)
    checked(written, "export.jsonl")
    for _ in range(times):
        counts = take_over(there, written, "export.jsonl")
    return dict(counts)


def held(store: Store) -> dict[str, Any]:
    """What is known, whatever the numbers of rows."""
    looks = [
        store.latest_analysis(FILE, detector, scene_key="") for detector in ("clip", "objects")
    ]
    vectors = [
        each.vector.tobytes()
        for look in looks
        if look
        for each in look.observations
        if each.vector is not None
    ]
    prompt = StorePrompts(store).get("b@1", "a dog")
    return {
        "looks": looks,
        "vectors": vectors,
        "prompt": None if prompt is None else prompt.tobytes(),
        "said": Verdicts(store).said_of(SCENE)[1] - {("tag", "4")},
        "fits": Learnt(store).fits(),
        "thresholds": Learnt(store).thresholds(),
        "result": store.latest_result("7"),
        "decided": [(e.scene_id, e.fingerprint, e.decided) for e in store.decidable()],
        "tags": (store.first_tags(["7"]), store.last_tags(["7"])),
        "suggested": [(e.name, e.decision) for e in SuggestionList(store).by_scene()],
    }


def rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    with store.read() as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return {name: [tuple(row) for row in db.execute(f"SELECT * FROM {name}")] for name in names}


# --- Moving -------------------------------------------------------------------------------------


def test_what_one_store_knows_another_knows_after_moving_it(store: Store, there: Store) -> None:
    counts = move(fill(store), there)
    assert held(there) == held(store)
    assert counts == {
        "analysis": 2,
        "prompt": 1,
        "verdict": 1,
        "fit": 1,
        "threshold": 1,
        "result": 1,
    }
    assert there.library_identity() is not None
    assert check(there, None) == ("whole", "")


def test_moving_it_again_changes_nothing(store: Store, there: Store) -> None:
    move(fill(store), there)
    before = rows(there)
    assert move(store, there) == {"older": 7}
    assert rows(there) == before


def test_the_ledger_and_jobs_stay_where_they_are(store: Store) -> None:
    kinds = {json.loads(line)["is"] for line in exported(fill(store))}
    assert kinds == {
        "stash-sense-store",
        "analysis",
        "prompt",
        "verdict",
        "fit",
        "threshold",
        "result",
        "end",
    }


def test_the_lines_are_as_documented(store: Store) -> None:
    page = (ROOT / "docs" / "store.md").read_text("utf-8")
    for line in map(json.loads, exported(fill(store))):
        for name in line:
            assert f"`{name}`" in page, f"docs/store.md does not say what {name} is"


def test_what_is_newer_here_stays(store: Store, tmp_path: Path) -> None:
    with Store(tmp_path / "older.sqlite", clock=lambda: 10.0) as older:
        written = exported(fill(older))
    look(store, key="newer")
    Verdicts(store).say([Saying(SCENE, "tag", "Cat", "", Said.ACCEPTED)])
    Learnt(store).use([], [LearntThreshold("dog", 0.5, 0.9, 50)])
    counts = take_over(store, written, "older.jsonl")
    assert store.latest_analysis(FILE, "clip", "b@1").sampling_key == "newer"  # type: ignore[union-attr]
    assert Verdicts(store).said_of(SCENE)[1] == frozenset()
    assert Learnt(store).thresholds() == {"dog": 0.5}
    assert counts["older"] == 3


def test_a_verdict_that_is_newer_elsewhere_replaces_the_one_here(
    store: Store, there: Store
) -> None:
    Verdicts(store).say([Saying(SCENE, "tag", "Cat", "", Said.ACCEPTED)])
    Verdicts(there).say([Saying(SCENE, "tag", "Cat", "", Said.REFUSED)])
    take_over(store, exported(there), "export.jsonl")
    accepted, refused = Verdicts(store).said_of(SCENE)
    assert (accepted, refused) == (frozenset(), frozenset({("tag", "cat")}))


@pytest.mark.parametrize(
    ("path", "samples", "taken"),
    [
        pytest.param("/other.sqlite", {"7": FILE.oshash}, True, id="moved"),
        pytest.param("/other.sqlite", {"7": OTHER.oshash}, False, id="another library"),
        pytest.param("/other.sqlite", {"8": OTHER.oshash}, False, id="nothing in common"),
    ],
)
def test_results_of_another_librarys_scenes_are_passed_over(
    store: Store, there: Store, path: str, samples: dict[str, str], taken: bool
) -> None:
    there.remember_library(path, samples)
    counts = move(fill(store), there)
    assert counts.get("of another library", 0) == (not taken)
    assert [each.scene_id for each in there.decidable()] == (["7"] if taken else [])
    assert there.latest_analysis(FILE, "clip") is not None
    assert there.library_identity().database_path == path  # type: ignore[union-attr]


def test_what_scenes_had_in_another_library_is_known_no_longer_in_this_one(
    store: Store, there: Store
) -> None:
    """Its tags have numbers of their own, also where an export brought them here."""
    move(fill(store), there)
    assert there.first_tags(["7"]) == there.last_tags(["7"]) == {"7": frozenset({"2", "11"})}
    StoreLedger(there).withdraw_everything()
    assert there.first_tags(["7"]) == there.last_tags(["7"]) == {}
    assert [each.decided for each in there.decidable()] == [None]
    again = there.begin_run("tag", {})
    there.save_result(again, "7", FILE, {"source": "clip.mp4"}, suggestions=(), tags=("5",))
    assert there.first_tags(["7"]) == {"7": frozenset({"5"})}


def test_a_scene_that_is_known_here_keeps_its_result(store: Store, there: Store) -> None:
    there.remember_library("/stash/stash-go.sqlite", {"7": FILE.oshash})
    there.save_result(there.begin_run("tag", {}), "7", FILE, {"source": "mine"}, suggestions=())
    move(fill(store), there)
    assert there.latest_result("7") == {"source": "mine"}
    assert SuggestionList(there).by_scene() == []


# --- Lines that no export wrote -----------------------------------------------------------------


def changed(name: str, change: Callable[[Any], None]) -> Callable[[list[bytes]], list[bytes]]:
    """Change the first line of a kind."""

    def spoil(written: list[bytes]) -> list[bytes]:
        place = next(n for n, line in enumerate(written) if f'"is":"{name}"'.encode() in line)
        value = json.loads(written[place])
        change(value)
        return [*written[:place], json.dumps(value).encode(), *written[place + 1 :]]

    return spoil


def setting(**values: Any) -> Callable[[Any], None]:
    return lambda line: line.update(values)


HALVES = base64.b64encode(np.full((3, 8), np.inf, "<f2").tobytes()).decode()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda w: w[:-1], "is cut off after line 8", id="no end"),
        pytest.param(lambda w: [], "is cut off after line 0", id="empty"),
        pytest.param(lambda w: [*w[:3], *w[4:]], "7 are here", id="a line is missing"),
        pytest.param(lambda w: [*w, w[1]], "Line 10 .* after the last line", id="more"),
        pytest.param(lambda w: [w[1], *w], "Line 1 .* does not begin", id="no head"),
        pytest.param(lambda w: [w[0], w[0], *w[1:]], "Line 2 .* nothing is called", id="two heads"),
        pytest.param(lambda w: [w[0], w[1][:-9], *w[2:]], "Line 2 of x cannot", id="half a line"),
        pytest.param(lambda w: [w[0], b"[]", *w[2:]], "Line 2 .* no object", id="a list"),
        pytest.param(lambda w: [b"\xff\xfe", *w], "Line 1 ", id="no text"),
        pytest.param(lambda w: [w[0], b"[" * 99_999, *w], "Line 2 ", id="deep"),
        pytest.param(lambda w: [w[0], b" " * (2**25 + 1)], "longer than 33554432", id="long"),
        pytest.param(changed("stash-sense-store", setting(version=2)), "of version 2", id="newer"),
        pytest.param(changed("analysis", setting(seconds="1")), "'1' is no number", id="text"),
        pytest.param(changed("analysis", setting(floor=float("nan"))), "NaN is no", id="nan"),
        pytest.param(changed("analysis", setting(size_bytes=2**70)), "no whole number", id="huge"),
        pytest.param(changed("analysis", setting(size_bytes=True)), "no whole number", id="true"),
        pytest.param(changed("analysis", setting(oshash="../x")), "no file's hash", id="hash"),
        pytest.param(changed("analysis", setting(source="film")), "'film'", id="source"),
        pytest.param(changed("analysis", setting(seen=[[1, 2]])), "2 parts, not 11", id="parts"),
        pytest.param(changed("analysis", setting(vectors=None)), "no vector 0", id="no vectors"),
        pytest.param(
            changed("analysis", lambda line: line.pop("model")), "'model'|model", id="key"
        ),
        pytest.param(
            changed("analysis", lambda line: line["vectors"].update(count=2)),
            "24 numbers are not 2 vectors of 8",
            id="fewer vectors",
        ),
        pytest.param(
            changed("analysis", lambda line: line["vectors"].update(float16=HALVES)),
            "not finite",
            id="infinite",
        ),
        pytest.param(
            changed("analysis", lambda line: line["vectors"].update(float16="*")), "base64", id="64"
        ),
        pytest.param(changed("prompt", setting(float32="AAA=")), "2 bytes are no", id="prompt"),
        pytest.param(changed("verdict", setting(said="maybe")), "none of", id="verdict"),
        pytest.param(changed("fit", setting(curve={"kind": "magic"})), "magic", id="curve"),
        pytest.param(changed("threshold", setting(apply=7)), "between 0 and 1", id="threshold"),
        pytest.param(changed("result", setting(suggestions=[[1]])), "1 parts", id="suggestion"),
        pytest.param(changed("result", setting(result=[])), "no object", id="result"),
        pytest.param(
            changed("result", lambda line: line["result"].update(suggestions=[{"kind": "tag"}])),
            "name",
            id="a nameless suggestion",
        ),
    ],
)
def test_a_line_that_no_export_wrote_is_named_and_nothing_is_taken_over(
    store: Store, spoil: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    with pytest.raises(StoreError) as caught:
        checked(spoil(exported(fill(store))), "x")
    assert re.search(said, caught.value.message), caught.value.message
    assert "nothing was taken over" in caught.value.remedy


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    path = tmp_path_factory.mktemp("written") / "store.sqlite"
    with Store(path, clock=lambda: 1000.0) as store:
        return exported(fill(store))


@given(data=st.data())
def test_no_change_of_a_byte_ends_otherwise_than_with_a_word_about_it(
    written: list[bytes], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(written) - 1))
    line = bytearray(written[place])
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] = data.draw(st.integers(0, 255))
    spoilt = b"".join([*written[:place], bytes(line), *written[place + 1 :]])
    with contextlib.suppress(StoreError):
        checked(io.BytesIO(spoilt), "x")


# --- As tasks -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash"), media=[]) as running:
        yield running


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "clips")


@pytest.fixture
def room(stash: StandIn, clips: Path, tmp_path: Path) -> Iterator[Room]:
    empty(stash)
    folder = tmp_path / "media"
    folder.mkdir()
    with open_engine(tmp_path / "home") as engine:
        prepared = Room(stash, clips, folder, engine=engine)
        prepared.configure()
        yield prepared


def alone(room: Room, mode: str, **args: object) -> Any:
    """Ask without a Stash."""
    room.told = Told()
    return MODES[mode].run(room.engine, Call(args), room.told)


@pytest.mark.parametrize("name", ["export.jsonl", "export.jsonl.gz"])
def test_a_librarys_results_move_to_another_machine_and_are_decided_alike(
    room: Room, tmp_path: Path, name: str
) -> None:
    scenes = [room.add("grey.mp4"), room.add("nights.mp4")]
    room.run()
    first = [room.result(scene) for scene in scenes]
    path = tmp_path / name
    done = alone(room, "store_export", path=str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert done["bytes"] == path.stat().st_size
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []
    with open_engine(tmp_path / "elsewhere") as engine:
        moved = replace(room, engine=engine)
        alone(moved, "store_import", path=str(path))
        assert [moved.result(scene) for scene in scenes] == first
        for scene in scenes:
            moved.again(scene)
        moved.run()
        again = [moved.result(scene) for scene in scenes]
    assert [each["suggestions"] for each in again] == [each["suggestions"] for each in first]
    assert {ran["seconds"] for each in again for ran in each["ran"]} == {0}


def test_nothing_is_overwritten(room: Room, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("mine")
    with pytest.raises(SettingsError, match="is there already"):
        alone(room, "store_export", path=str(path))
    assert path.read_text() == "mine"


@pytest.mark.parametrize("mode", ["store_export", "store_import"])
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "No file is named"),
        ("export.jsonl", "no whole path"),
        (str(ROOT / "docs" / "x.jsonl"), "plugin's folder"),
        (str(ROOT / "tests" / ".." / "x.jsonl"), "plugin's folder"),
    ],
)
def test_a_path_that_will_not_do_is_refused(room: Room, mode: str, path: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        alone(room, mode, path=path)


def test_a_folder_that_is_not_there_is_named(room: Room, tmp_path: Path) -> None:
    for mode in ("store_export", "store_import"):
        with pytest.raises(StoreError, match="No such file") as caught:
            alone(room, mode, path=str(tmp_path / "gone" / "x.jsonl"))
        assert "gone" in caught.value.message


def test_a_compressed_file_that_is_cut_off_changes_nothing(
    room: Room, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "x.gz"
    packed = gzip.compress(b"".join(exported(fill(store))))
    for broken in (packed[:-20], packed[:40] + b"\0" * 9 + packed[49:]):
        path.write_bytes(broken)
        with pytest.raises(StoreError):
            alone(room, "store_import", path=str(path))
    assert room.engine.store.stats().analyses == 0


def test_an_export_that_is_stopped_leaves_nothing_behind(room: Room, tmp_path: Path) -> None:
    fill(room.engine.store)
    folder = tmp_path / "exports"
    folder.mkdir()

    def stop(number: int) -> None:
        raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        room.run("store_export", at_check=stop, path=str(folder / "x.jsonl"))
    assert list(folder.iterdir()) == []


# --- As a command -------------------------------------------------------------------------------


@pytest.fixture
def shell(bytecode: Path) -> Iterator[Callable[..., "subprocess.CompletedProcess[bytes]"]]:
    """Runs `store` with a home whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="ss-") as home:

        def run(*words: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
            command = [sys.executable, "-m", "stash_sense_plugin", "store", *words]
            variables = {**os.environ, "STASH_SENSE_HOME": home, "COLUMNS": "200"}
            return subprocess.run(
                command, cwd=ROOT, env=variables, input=given, capture_output=True, timeout=120
            )

        Path(home, "pycache").symlink_to(bytecode)
        with Store(Path(home) / "store.sqlite") as store:
            fill(store)
        yield run
        worker.hand_over(Home(home), str(ROOT / "stash_sense_plugin"))
        wait_until(lambda: not workers(Home(home)), "the worker does not leave")


def test_the_command_measures_exports_and_imports(
    shell: Callable[..., "subprocess.CompletedProcess[bytes]"], tmp_path: Path
) -> None:
    shown = shell("stats").stdout.decode()
    assert "yolox@1" in shown
    assert "observations" in shown
    written = shell("export", "-")
    assert written.stdout.splitlines()[-1] == b'{"is":"end","lines":8}'
    assert b"Wrote" not in written.stderr
    half = shell("import", "-", given=written.stdout[:-30])
    assert half.returncode == 1
    assert b"nothing was taken over" in half.stderr
    packed = tmp_path / "x.gz"
    packed.write_bytes(gzip.compress(written.stdout))
    again = shell("import", str(packed), "--json")
    assert json.loads(again.stdout)["counts"] == {"older": 7}


# --- Room ---------------------------------------------------------------------------------------


def test_stats_say_what_takes_the_room(room: Room) -> None:
    fill(room.engine.store)
    stats = alone(room, "store_stats")
    assert [(row["detector"], row["files"], row["observations"]) for row in stats["detectors"]] == [
        ("clip", 1, 5),
        ("objects", 1, 5),
    ]
    assert {row["vector_bytes"] for row in stats["detectors"]} == {3 * 8 * 2}
    tables = {row["name"]: row["rows"] for row in stats["tables"]}
    assert (tables["observations"], tables["files"], tables["suggestions"]) == (10, 1, 1)
    assert stats["bytes_per_file"] > 0
    assert json.dumps(stats)


def test_looks_that_newer_ones_have_replaced_are_dropped(store: Store) -> None:
    look(store, "old@1")
    look(store, "old@1", file=OTHER)
    look(store, "b@1", key="first")
    look(store, "b@1", key="second")
    look(store, "elsewhere@1", "objects")
    StorePrompts(store).put("old@1", "a dog", np.zeros(2, np.float32))
    current = {"clip": frozenset({"b@1"})}
    space = Space(store)
    would = space.unused(current)
    dropped = space.drop_unused(current, lambda: None)
    assert would.by_model == dropped.by_model == {"old@1": 1, "b@1": 1}
    assert (dropped.analyses, dropped.prompts, dropped.files) == (2, 1, 0)
    assert store.latest_analysis(FILE, "clip").sampling_key == "second"  # type: ignore[union-attr]
    # Nothing newer has seen the other file.
    assert store.latest_analysis(OTHER, "clip") is not None
    assert store.latest_analysis(FILE, "objects") is not None
    assert space.drop_unused(current, lambda: None).analyses == 0
    assert check(store, None) == ("whole", "")


def test_a_detector_with_two_networks_keeps_what_only_an_older_one_saw(store: Store) -> None:
    current = {"objects": frozenset({"yolox@2", "nudenet@1"})}
    look(store, "yolox@1", "objects", "a")
    look(store, "nudenet@1", "objects", "b")
    assert Space(store).unused(current).analyses == 0
    look(store, "yolox@2", "objects", "c")
    assert Space(store).unused(current).by_model == {"yolox@1": 1}


def test_files_of_which_nothing_is_known_are_dropped(store: Store) -> None:
    fill(store)
    with store.write() as db:
        db.execute("INSERT INTO files (oshash, size_bytes) VALUES ('a', 1)")
    assert Space(store).drop_unused({}, lambda: None).files == 1
    assert held(store)["result"] is not None


def test_empty_room_goes_back_to_the_disk(store: Store) -> None:
    for size in range(200):
        look(store, "old@1", file=Fingerprint("a", size), key="x" * 9000)
        look(store, "new@1", file=Fingerprint("a", size))
    space = Space(store)
    space.drop_unused({"clip": frozenset({"new@1"})}, lambda: None)
    before = store.path.stat().st_size
    assert space.give_back() > 1_000_000
    assert store.path.stat().st_size < before
    assert space.give_back() == 0
    assert check(store, None) == ("whole", "")


def test_without_room_to_write_it_anew_the_store_stays_and_the_room_is_said(tmp_path: Path) -> None:
    with Store(tmp_path / "s.sqlite", free=lambda folder: 1_000_000) as store:
        for size in range(200):
            look(store, file=Fingerprint("a", size), key="x" * 9000)
        with store.write() as db:
            db.execute("DELETE FROM files")
        with pytest.raises(StoreError, match="has no room for writing it anew: it needs"):
            Space(store).give_back()
        assert check(store, None) == ("whole", "")


def test_vacuum_keeps_what_the_settings_name(room: Room) -> None:
    room.configure(skip_facts=None)
    store = room.engine.store
    room.add("grey.mp4")
    room.run()
    [seen] = alone(room, "store_stats")["detectors"]
    look(store, "gone@1", "picture", file=room.engine.store.decidable()[0].fingerprint)
    assert room.run("store_vacuum", dry_run="true")["dropped"]["by_model"] == {"gone@1": 1}
    assert store.stats().analyses == 2
    assert room.run("store_vacuum")["dropped"]["analyses"] == 1
    assert alone(room, "store_stats")["detectors"] == (seen,)


def test_vacuum_asks_the_stash_whose_library_it_is(room: Room) -> None:
    fill(room.engine.store)
    with pytest.raises(SettingsError, match="settings in Stash"):
        alone(room, "store_vacuum")


def test_a_copy_from_before_an_update_is_shown(room: Room) -> None:
    path = room.engine.store.path
    path.with_name("store.sqlite.before-4").write_bytes(b"old")
    [kept] = alone(room, "store_stats")["backups"]
    assert (Path(kept["path"]).name, kept["bytes"]) == ("store.sqlite.before-4", 3)
