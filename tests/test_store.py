import contextlib
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.database import BUSY_TIMEOUT_S, printable
from stash_sense_plugin.library.health import check
from stash_sense_plugin.library.opening import ALONE as ALONE_WAYS
from stash_sense_plugin.library.opening import opened
from stash_sense_plugin.library.results import RESULTS_PER_SCENE
from stash_sense_plugin.library.store import Store, StoredAnalysis, StorePrompts
from stash_sense_plugin.records import Box, Failure, Fingerprint, FrameSource, Observation, Ran
from tests.mounts_kit import own_mounts

ROOT = Path(__file__).resolve().parent.parent
FILE = Fingerprint("0123456789abcdef", 5_000_000_000)
SPRITE = "sprite:00112233"
CLIP = "vit-b-32@9"
EXTRA = 3
"""SQLite's number for `synchronous = EXTRA`."""
RAN = Ran("clip", CLIP, "cpu", "fp32", 3, 1.25)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "stash-sense" / "store.sqlite") as store:
        yield store


def frame(index: int, vector: Any = None, **changes: Any) -> Observation:
    if vector is not None:
        vector = np.asarray(vector, np.float32)
    seen = Observation("scene 1", index, index * 2.0, "clip", CLIP, "frame", 1.0, vector=vector)
    return replace(seen, **changes)


def save(
    store: Store,
    *seen: Observation,
    key: str = SPRITE,
    times: tuple[float, ...] = (0.0, 2.0, 4.0),
    model: str = CLIP,
    file: Fingerprint = FILE,
) -> None:
    ran = replace(RAN, model=model)
    store.save_analysis(file, key, FrameSource.SPRITE, 6.0, times, "clip", model, seen, ran)


def found(store: Store, key: str = SPRITE, model: str = CLIP) -> StoredAnalysis:
    analysis = store.analysis(FILE, key, "clip", model)
    assert analysis is not None
    return analysis


def outcome(source: str, error: Failure | None = None) -> dict[str, Any]:
    said = error and {"kind": error.kind, "message": error.message, "remedy": error.remedy}
    return {"source": source, "suggestions": [], "error": said}


# --- The file ---------------------------------------------------------------------------------


def test_only_its_user_may_read_it(store: Store) -> None:
    save(store, frame(0))
    for path in (store.path, store.path.with_name("store.sqlite-wal")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_a_file_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.touch(0o644)
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_writes_ahead_and_checks_its_references(store: Store) -> None:
    assert store.journal_mode == "wal"
    with pytest.raises(StoreError, match="FOREIGN KEY"), store.write() as db:
        db.execute("INSERT INTO frames VALUES (99, 0, 0)")
    assert check(store, None) == ("whole", "")


def test_what_belongs_to_a_row_goes_with_it(store: Store) -> None:
    save(store, frame(0, [1.0, 0.0]))
    with store.write() as db:
        db.execute("DELETE FROM files")
        tables = ("samplings", "frames", "analyses", "observations", "embeddings")
        left = [db.execute(f"SELECT count(*) FROM {each}").fetchone()[0] for each in tables]
    assert left == [0] * len(tables)


def test_every_connection_checks_its_references_and_waits_for_others(store: Store) -> None:
    for connection in (store.read, store.write, store.read_beside):
        with connection() as db:
            assert db.execute("PRAGMA foreign_keys").fetchone()[0] == 1
            assert db.execute("PRAGMA busy_timeout").fetchone()[0] == BUSY_TIMEOUT_S * 1000


def test_what_was_kept_is_there_after_closing(tmp_path: Path) -> None:
    with Store(tmp_path / "s.sqlite") as store:
        save(store, frame(0))
    with Store(tmp_path / "s.sqlite") as store:
        assert found(store).observations == (frame(0),)


def test_closing_twice_is_no_harm_and_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.sqlite")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.stats()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_bytes(b"not a database at all\n" * 400)
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert f"{path} is not a database" in caught.value.message
    assert "backup" in caught.value.remedy


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        for size in range(200):
            save(store, frame(0, [1.0, 0.0]), file=Fingerprint("f", size))
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="is damaged") as caught, Store(path) as store:
        store.latest_analysis(Fingerprint("f", 7), "clip")
    assert str(path) in caught.value.message


def damaged_inside(path: Path, tmp_path: Path, *, left_open: bool) -> Path:
    """Copy a store of many pages with one of them overwritten, as it was closed or left open."""
    copy = tmp_path / "damaged.sqlite"
    with Store(path) as store:
        for size in range(300):
            save(store, frame(0, [1.0, 0.0], text="x" * 200), file=Fingerprint("f", size))
        with store.write() as db:
            db.execute(
                "INSERT INTO verdicts VALUES (1, 'tag', '', 'dog', 'refused', 'asked', '7',"
                " '', 0, '{}', 0)"
            )
            [page] = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'observations'")
        with store.read_beside() as db:
            db.execute("PRAGMA query_only = OFF")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        save(store, frame(0), file=Fingerprint("last", 1))
        ends = ("", "-wal") if left_open else ("",)
        for end in ends:
            copy.with_name(copy.name + end).write_bytes(
                path.with_name(path.name + end).read_bytes()
            )
    with copy.open("r+b") as file:
        file.seek((page[0] - 1) * 4096 + 100)
        file.write(b"\xa5" * 3000)
    return copy


def test_a_broken_page_is_found_when_a_store_that_was_not_closed_is_opened(tmp_path: Path) -> None:
    path = damaged_inside(tmp_path / "s.sqlite", tmp_path, left_open=True)
    backup = path.with_name(path.name + ".before-4")
    backup.touch()
    files = [path, path.with_name(path.name + "-wal")]
    before = [each.read_bytes() for each in files]
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            Store(path)
    assert f"{path} is damaged" in caught.value.message
    assert backup.name in caught.value.remedy
    assert [each.read_bytes() for each in files] == before
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM verdicts").fetchall() == [("dog",)]


def test_a_broken_page_that_is_met_later_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = damaged_inside(tmp_path / "s.sqlite", tmp_path, left_open=False)
    with Store(path) as store:
        with pytest.raises(StoreError, match="is damaged") as caught:
            [store.latest_analysis(Fingerprint("f", size), "clip") for size in range(300)]
        assert "put a backup" in caught.value.remedy
        assert store.stats().refusals == 1


@pytest.mark.parametrize(
    ("pragma", "message", "remedy"),
    [
        pytest.param("max_page_count = 1", "is full", "free some space", id="disk full"),
        pytest.param("query_only = ON", "cannot be written", "the right to write", id="read-only"),
    ],
)
def test_a_write_that_cannot_be_says_what_to_do(
    store: Store, pragma: str, message: str, remedy: str
) -> None:
    save(store, frame(0))
    with store.read() as db:
        db.execute(f"PRAGMA {pragma}")
    vectors = np.eye(400, dtype=np.float32)
    with pytest.raises(StoreError) as caught:
        save(store, *(frame(place, row) for place, row in enumerate(vectors)))
    assert message in caught.value.message
    assert str(store.path) in caught.value.message
    assert remedy in caught.value.remedy
    assert found(store).observations == (frame(0),)


def test_a_file_that_another_program_holds_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with (
        Store(path, busy_timeout_s=0.01) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked by another program"):
            save(store, frame(0))
        other.execute("ROLLBACK")
        save(store, frame(0))


def test_where_writing_ahead_cannot_be_the_store_works_without_it(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    Store(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN")
        other.execute("SELECT * FROM files").fetchall()
        with Store(path, busy_timeout_s=0.01) as store:
            other.execute("COMMIT")
            assert store.journal_mode == "delete"
            with store.write(durable=True) as db:
                assert db.execute("PRAGMA synchronous").fetchone()[0] == EXTRA
            save(store, frame(0))
            assert found(store).observations == (frame(0),)


# --- Disks that are not of this machine ---------------------------------------------------------

ALONE = ("wal", "exclusive")


def kept_anew(path: Path, vfs: str = "") -> tuple[str, str]:
    """Keep something, open the store anew and find it; returns the way in which that went."""
    with Store(path, vfs=vfs, busy_timeout_s=0.01) as store:
        save(store, frame(0))
    with Store(path, vfs=vfs, busy_timeout_s=0.01) as store:
        assert found(store).observations == (frame(0),)
        assert check(store, None) == ("whole", "")
        return store.journal_mode, store.locking


def test_a_usual_disk_is_shared_with_other_programs(tmp_path: Path) -> None:
    assert kept_anew(tmp_path / "s.sqlite") == ("wal", "normal")


def test_without_shared_memory_the_store_is_alone_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.with_name("s.sqlite-shm").mkdir()
    assert kept_anew(path) == ALONE


@pytest.mark.skipif(sys.platform == "win32", reason="these are SQLite's ways to Unix files")
@pytest.mark.parametrize("vfs", ["unix-dotfile", "unix-none"])
def test_a_disk_that_answers_with_another_journal_is_taken_alone(tmp_path: Path, vfs: str) -> None:
    assert kept_anew(tmp_path / "s.sqlite", vfs) == ALONE


def test_a_rollback_journal_is_the_last_way(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    Store(path).close()
    last = ALONE_WAYS[-1]

    def connect(timeout_s: float) -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=timeout_s, isolation_level=None)

    connection, way = opened(tmp_path, connect, lambda _connection: None, 0.01, (last,))
    with closing(connection):
        assert (way.journal_mode, way.locking) == ("delete", "exclusive")
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == EXTRA
        with pytest.raises(StoreError, match="is locked"):
            Store(path, busy_timeout_s=0.01)
    assert kept_anew(path) == ("wal", "normal")


def test_a_store_from_another_disk_opens_where_memory_is_not_shared(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        save(store, frame(0))
    assert kept_anew(path, "unix-dotfile") == ALONE
    assert kept_anew(path) == ("wal", "normal")


def test_a_store_that_is_alone_with_its_file_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.with_name("s.sqlite-shm").mkdir()
    with Store(path) as store:
        for other in (path, path):
            with pytest.raises(StoreError, match="is locked by another program") as caught:
                Store(other, busy_timeout_s=0.01)
            assert "close what has it open" in caught.value.remedy
        save(store, frame(0))


HOLDING = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("PRAGMA locking_mode = EXCLUSIVE")
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_that_another_process_holds_is_named_and_nothing_hangs(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    Store(path).close()
    command = [sys.executable, "-c", HOLDING, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match="is locked by another program"):
            Store(path, busy_timeout_s=0.05)
        other.kill()
    assert kept_anew(path) == ("wal", "normal")


OPENING = """
import sys
from pathlib import Path
from stash_sense_plugin.errors import StashSenseError
from stash_sense_plugin.library.store import Store
for turn in range(2):
    try:
        with Store(Path(sys.argv[1]), busy_timeout_s=0.05) as store:
            store.begin_run("test", {})
            print(store.journal_mode, store.locking, len(store.runs()))
    except StashSenseError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        pytest.param([], ["wal normal 1", "wal normal 2"], id="all that is needed"),
        pytest.param(["mapping"], ["wal exclusive 1", "wal exclusive 2"], id="no shared memory"),
        pytest.param(["locks"], ["StoreError"] * 2, id="no locks"),
        pytest.param(["mapping", "truth"], ["StoreError"] * 2, id="writes that go nowhere"),
    ],
)
def test_a_network_mount_is_used_as_far_as_it_goes(
    tmp_path: Path, lacks: list[str], said: list[str]
) -> None:
    served, mount = tmp_path / "served", tmp_path / "mount"
    served.mkdir()
    mount.mkdir()
    with own_mounts(tmp_path) as mounts:
        mounts.tell("network", served, mount, *lacks)
        lines = mounts.run("-c", OPENING, str(mount / "s.sqlite")).stdout.splitlines()
    for line, wanted in zip(lines, said, strict=True):
        assert line.startswith(wanted)
        if wanted == "StoreError":
            assert "STASH_SENSE_HOME" in line


def test_a_disk_that_is_full_says_so_and_the_store_opens_when_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with own_mounts(tmp_path) as mounts:
        mounts.tell("memory", disk, "2m")
        filler = mounts.inside(disk / "filler")
        with filler.open("wb") as file, contextlib.suppress(OSError):
            while file.write(bytes(65536)):
                file.flush()
        opening = ("-c", OPENING, str(disk / "s.sqlite"))
        first, _ = mounts.run(*opening).stdout.splitlines()
        assert "is full" in first
        assert "free some space" in first
        filler.unlink()
        assert mounts.run(*opening).stdout.splitlines() == ["wal normal 1", "wal normal 2"]


def test_a_folder_that_may_only_be_read_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with own_mounts(tmp_path) as mounts:
        mounts.tell("memory", disk, "2m")
        opening = ("-c", OPENING, str(disk / "s.sqlite"))
        mounts.run(*opening)
        remount = [*mounts.enter, "mount", "-o"]
        subprocess.run([*remount, "remount,ro", str(disk)], check=True)
        for line in mounts.run(*opening).stdout.splitlines():
            assert line.startswith("StoreError")
            assert str(disk / "s.sqlite") in line
            assert "the user that runs Stash" in line
        subprocess.run([*remount, "remount,rw", str(disk)], check=True)
        assert mounts.run(*opening).stdout.splitlines() == ["wal normal 3", "wal normal 4"]


# --- What is no store ---------------------------------------------------------------------------


def test_a_folder_in_its_place_is_an_error_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path)


def test_a_file_where_its_folder_should_be_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "taken" / "s.sqlite")


def test_a_number_too_large_is_an_error_of_the_store(store: Store) -> None:
    with pytest.raises(StoreError, match="too large"):
        save(store, frame(0), file=Fingerprint("f", 2**70))


def test_threads_share_it(store: Store) -> None:
    failed: list[Exception] = []

    def work(mine: int) -> None:
        try:
            for size in range(20):
                file = Fingerprint(f"f{mine}", size)
                save(store, frame(0, [1.0, 0.0]), file=file)
                assert store.latest_analysis(file, "clip") is not None
                store.stats()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert store.stats().analyses == 80


# --- Analyses ---------------------------------------------------------------------------------

numbers = st.floats(allow_nan=False, allow_infinity=False)
fractions = st.floats(0, 1)
words = st.text(st.characters(codec=None), max_size=20)
dimensions = 4
vectors = st.none() | st.lists(st.floats(-3, 3, width=32), min_size=4, max_size=4)


@st.composite
def observations(draw: st.DrawFn) -> list[Observation]:
    one = st.builds(
        Observation,
        scene_key=st.just(draw(st.sampled_from(["scene 1", "ähm", ""]))),
        frame_index=st.integers(0, 2**40),
        time_s=numbers,
        detector=st.just("clip"),
        model=st.just(CLIP),
        label=words,
        score=numbers,
        box=st.none() | st.builds(Box, fractions, fractions, fractions, fractions),
        text=st.none() | words | st.just("🏳️‍🌈 \ud83d\0 é"),
        track=st.none() | st.integers(-(2**63), 2**63 - 1),
        vector=vectors.map(lambda each: each and np.array(each, np.float32)),
    )
    return draw(st.lists(one, max_size=8))


def storable(seen: Observation) -> Observation:
    text = None if seen.text is None else printable(seen.text)
    return replace(seen, label=printable(seen.label), text=text)


@settings(max_examples=60)
@given(seen=observations(), times=st.lists(numbers, max_size=9), duration=st.none() | numbers)
def test_an_analysis_comes_back_as_it_was(
    seen: list[Observation], times: list[float], duration: float | None
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Store(Path(folder) / "s.sqlite") as store,
    ):
        store.save_analysis(
            FILE, SPRITE, FrameSource.VIDEO, duration, times, "clip", CLIP, seen, RAN
        )
        back = found(store)
    assert (back.sampling_key, back.source, back.ran) == (SPRITE, FrameSource.VIDEO, RAN)
    assert (back.times_s, back.duration_s) == (tuple(times), duration)
    assert back.observations == tuple(map(storable, seen))
    for before, after in zip(seen, back.observations, strict=True):
        assert (before.vector is None) == (after.vector is None)
        if before.vector is not None and after.vector is not None:
            assert_same_direction(before.vector, after.vector)


def assert_same_direction(before: Any, after: Any) -> None:
    assert after.dtype == np.float32
    before = before.astype(np.float64)
    if not before.any():
        assert not after.any()
        return
    before /= np.abs(before).max()
    assert np.linalg.norm(after) == pytest.approx(1, abs=1e-6)
    assert before / np.linalg.norm(before) @ after == pytest.approx(1, abs=1e-6)


def test_nothing_seen_is_remembered_too(store: Store) -> None:
    save(store)
    assert found(store).observations == ()
    assert found(store).times_s == (0.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("file", "key", "detector", "model"),
    [
        pytest.param(replace(FILE, oshash="ff"), SPRITE, "clip", CLIP, id="another file"),
        pytest.param(replace(FILE, size_bytes=1), SPRITE, "clip", CLIP, id="another size"),
        pytest.param(FILE, "sprite:new", "clip", CLIP, id="a new sprite sheet"),
        pytest.param(FILE, SPRITE, "text", CLIP, id="another detector"),
        pytest.param(FILE, SPRITE, "clip", "vit-b-32@10", id="a new version"),
    ],
)
def test_only_the_same_file_sampling_detector_and_version_answer(
    store: Store, file: Fingerprint, key: str, detector: str, model: str
) -> None:
    save(store, frame(0))
    assert store.analysis(file, key, detector, model) is None


def test_saving_again_replaces_wholly(store: Store) -> None:
    save(store, frame(0, [1.0, 0.0]), frame(1, [0.0, 1.0]))
    save(store, frame(2), times=(9.0,))
    assert found(store).observations == (frame(2),)
    assert found(store).times_s == (9.0,)
    stats = store.stats()
    assert (stats.files, stats.analyses, stats.observations, stats.vectors) == (1, 1, 1, 0)
    assert check(store, None) == ("whole", "")


def test_detectors_that_saw_different_frames_of_one_sampling_keep_their_own(store: Store) -> None:
    save(store, frame(0), times=(0.0, 2.0, 4.0))
    save(store, frame(0, model="other@1"), times=(0.0,), model="other@1")
    assert found(store).times_s == (0.0, 2.0, 4.0)
    assert found(store, model="other@1").times_s == (0.0,)


def test_the_newest_look_serves_when_the_source_is_gone(store: Store) -> None:
    save(store, frame(0), key="video:keyframes:60:640")
    save(store, frame(1), key=SPRITE)
    save(store, frame(2), key="video:keyframes:60:640")
    newest = store.latest_analysis(FILE, "clip", CLIP)
    assert newest is not None
    assert (newest.sampling_key, newest.observations) == ("video:keyframes:60:640", (frame(2),))
    assert store.latest_analysis(FILE, "clip", "vit-b-32@10") is None
    assert store.latest_analysis(FILE, "objects") is None


def test_without_a_model_any_version_serves_and_says_which(store: Store) -> None:
    save(store, frame(0, model="old@1"), model="old@1")
    newest = store.latest_analysis(FILE, "clip")
    assert newest is not None
    assert newest.ran.model == newest.observations[0].model == "old@1"


def test_a_file_that_became_another_scenes_brings_its_observations_along(store: Store) -> None:
    save(store, frame(0))
    moved = store.analysis(FILE, SPRITE, "clip", CLIP, scene_key="scene 2")
    assert moved is not None
    assert moved.observations == (frame(0, scene_key="scene 2"),)


def test_numpy_numbers_are_kept_as_numbers(store: Store) -> None:
    box = Box(*np.array([0, 0.5, 0.5, 1], np.float32))
    place: Any = np.int64(3)
    save(store, frame(place, score=np.float32(0.25), box=box, track=np.int32(4)))
    assert found(store).observations == (frame(3, score=0.25, box=box, track=4),)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        pytest.param([frame(0), frame(1, scene_key="scene 2")], "several scenes", id="mixed"),
        pytest.param([frame(0, detector="text")], "is of text", id="another detector's"),
        pytest.param([frame(0, model="x@1")], "x@1", id="another model's"),
        pytest.param([frame(0, score=float("nan"))], "not finite", id="a score of NaN"),
        pytest.param([frame(0, time_s=float("inf"))], "not finite", id="an endless time"),
        pytest.param([frame(0, [1.0, float("nan")])], "not finite", id="a vector with NaN"),
        pytest.param([frame(0, [1.0]), frame(1, [1.0, 0.0])], "shape", id="unlike vectors"),
    ],
)
def test_what_could_not_come_back_as_it_was_is_refused(
    store: Store, seen: list[Observation], why: str
) -> None:
    with pytest.raises(StoreError, match=why):
        save(store, *seen)
    assert store.stats().analyses == 0


def test_vectors_take_two_bytes_a_number_in_one_blob(store: Store) -> None:
    rows = np.random.default_rng(3).normal(size=(81, 512)).astype(np.float32)
    save(store, *(frame(place, row) for place, row in enumerate(rows)))
    with store.read() as db:
        blobs = db.execute("SELECT length(float16) FROM embeddings").fetchall()
    assert [tuple(row) for row in blobs] == [(81 * 512 * 2,)]


# --- Prompts ----------------------------------------------------------------------------------


def test_prompts_come_back_bit_for_bit(store: Store) -> None:
    vector = np.random.default_rng(5).normal(size=512).astype(np.float32)
    prompts = StorePrompts(store)
    assert prompts.get(CLIP, "a kitchen") is None
    prompts.put(CLIP, "a kitchen", vector)
    np.testing.assert_array_equal(prompts.get(CLIP, "a kitchen"), vector)
    assert prompts.get("other@1", "a kitchen") is None
    prompts.put(CLIP, "a kitchen", -vector)
    np.testing.assert_array_equal(prompts.get(CLIP, "a kitchen"), -vector)


# --- Runs and results -------------------------------------------------------------------------

BROKEN = Failure("unreadable", "clip.mp4 is damaged", "fetch it again")


def test_a_run_is_opened_and_closed(store: Store) -> None:
    first, second = store.begin_run("tag", {"threshold": 0.5}), store.begin_run("tag", {})
    store.end_run(first, "done", {"scenes": 3})
    run = store.run(first)
    assert run is not None
    assert (run.kind, run.status) == ("tag", "done")
    assert (run.settings, run.summary) == ({"threshold": 0.5}, {"scenes": 3})
    assert [each.id for each in store.runs()] == [second, first]
    assert [each.id for each in store.runs(after=store.runs(limit=1)[0].row)] == [first]


def test_run_ids_sort_by_time(tmp_path: Path) -> None:
    times = iter(range(1_700_000_000, 1_800_000_000))
    with Store(tmp_path / "s.sqlite", clock=lambda: next(times)) as store:
        ids = [store.begin_run("tag", {}) for _ in range(5)]
    assert ids == sorted(set(ids))


def test_runs_that_a_dead_worker_left_are_closed(store: Store) -> None:
    left, ended = store.begin_run("tag", {}), store.begin_run("tag", {})
    store.end_run(ended, "done", {})
    assert store.interrupt_open_runs() == 1
    assert [run.status for run in store.runs()] == ["done", "interrupted"]
    assert store.interrupt_open_runs() == 0
    assert store.run(left) is not None


def test_results_are_found_by_run_and_the_newest_by_scene(store: Store) -> None:
    first, second = store.begin_run("tag", {}), store.begin_run("tag", {})
    store.save_result(second, "7", FILE, outcome("late"))
    store.save_result(first, "7", None, outcome("later"))
    assert store.result(second, "7") == outcome("late")
    assert store.latest_result("7") == outcome("later")
    assert store.result(first, "8") is None
    assert store.latest_result("8") is None


def test_a_scene_saved_twice_in_a_run_has_its_last_result(store: Store) -> None:
    run = store.begin_run("tag", {})
    store.save_result(run, "7", FILE, outcome("a"))
    store.save_result(run, "7", FILE, outcome("b"))
    assert [each.result for each in store.results(run)] == [outcome("b")]


def test_results_of_a_run_are_paged(store: Store) -> None:
    run = store.begin_run("tag", {})
    for scene in range(7):
        store.save_result(run, str(scene), FILE, outcome(str(scene)))
    page = store.results(run, limit=4)
    rest = store.results(run, limit=4, after=page[-1].row)
    assert [each.scene_id for each in page + rest] == list("0123456")


def test_only_the_newest_results_of_a_scene_stay(store: Store) -> None:
    runs = [store.begin_run("tag", {}) for _ in range(RESULTS_PER_SCENE + 3)]
    for run in runs:
        store.save_result(run, "7", FILE, outcome(run))
    kept = [run for run in runs if store.result(run, "7") is not None]
    assert kept == runs[3:]


def test_text_that_has_no_utf8_form_is_kept_with_marks(store: Store) -> None:
    run = store.begin_run("tag", {})
    store.save_result(run, "7", FILE, outcome("clip \udcff 🎬.mp4"))
    assert store.latest_result("7") == outcome("clip ? 🎬.mp4")


@pytest.mark.parametrize("bad", [float("nan"), object(), {1, 2}], ids=["NaN", "object", "set"])
def test_a_result_that_is_no_json_is_refused(store: Store, bad: object) -> None:
    run = store.begin_run("tag", {})
    with pytest.raises(StoreError, match="plain JSON"):
        store.save_result(run, "7", FILE, {"source": "a", "score": bad})


def test_a_result_of_no_run_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="no run nothing"):
        store.save_result("nothing", "7", FILE, outcome("a"))
    with pytest.raises(StoreError, match="no run nothing"):
        store.end_run("nothing", "done", {})


def test_failed_scenes_are_listed_with_their_reasons_until_they_succeed(store: Store) -> None:
    run = store.begin_run("tag", {})
    store.save_result(run, "7", FILE, outcome("/media/clip.mp4", BROKEN))
    (error,) = store.errors()
    assert (error.scene_id, error.source, error.run_id) == ("7", "/media/clip.mp4", run)
    assert error.error == BROKEN
    assert error.failed_at_s > 1_600_000_000
    store.save_result(store.begin_run("tag", {}), "7", FILE, outcome("/media/clip.mp4"))
    assert store.errors() == []


def test_failed_scenes_are_paged_newest_first(store: Store) -> None:
    run = store.begin_run("tag", {})
    for scene in range(9):
        store.save_result(run, str(scene), None, outcome("x", BROKEN if scene % 2 else None))
    page = store.errors(limit=3)
    rest = store.errors(limit=3, after=page[-1].row)
    assert [each.scene_id for each in page + rest] == ["7", "5", "3", "1"]
    assert store.stats().failed_scenes == 4


# --- Scenes at which the worker dies ----------------------------------------------------------


def test_the_scene_begun_last_is_blamed_for_a_death(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        for scene in ("done", "waits", "kills"):
            store.begin_look(scene)
        store.end_look("done")
    for deaths in (1, 2):
        with Store(path) as store:
            store.note_death()
            assert [store.deaths(scene) for scene in ("done", "waits", "kills")] == [0, 0, deaths]
            store.begin_look("waits")
            store.begin_look("kills")
    with Store(path) as store:
        store.end_look("kills")
        assert store.deaths("kills") == 0
        store.end_look("waits")
        store.note_death()
        assert store.deaths("waits") == 0


def test_earlier_deaths_count_on_where_a_look_was_cut_short(store: Store) -> None:
    for scene in ("kills", "good"):
        store.begin_look(scene)
        store.end_look(scene, by_itself=False)
    assert store.note_death() is None
    store.begin_look("kills")
    store.note_death()
    store.begin_look("kills")
    store.end_look("kills", by_itself=False)
    store.note_death()
    assert store.deaths("kills") == 1
    store.begin_look("kills")
    store.end_look("kills")
    assert store.deaths("kills") == 0


def test_no_scene_is_blamed_for_a_worker_that_ended_itself(store: Store) -> None:
    for scene in ("kills", "good"):
        store.begin_look(scene)
    store.note_death()
    store.begin_look("kills")
    store.drop_looks()
    assert store.note_death() is None
    assert [store.deaths(scene) for scene in ("kills", "good")] == [0, 1]


def test_a_scene_is_parked_until_the_worker_dies_at_it_again(store: Store) -> None:
    store.begin_look("7")
    store.note_death()
    store.park("7")
    store.park("no such scene")
    death = store.death("7")
    assert death is not None
    assert death.parked
    store.begin_look("7")
    store.note_death()
    death = store.death("7")
    assert death is not None
    assert (death.count, death.parked) == (2, False)


def test_a_death_between_scenes_is_nobodys(store: Store) -> None:
    store.begin_look("kills")
    store.note_death()
    store.note_death()
    assert store.deaths("kills") == 1


def test_nothing_is_known_of_a_scene_that_was_forgotten(store: Store) -> None:
    run = store.begin_run("tag", {})
    for scene in ("7", "8"):
        store.save_result(run, scene, FILE, outcome(scene, BROKEN))
        store.begin_look(scene)
    store.note_death()
    store.forget_scene("8")
    store.forget_scene("no such scene")
    assert [error.scene_id for error in store.errors()] == ["7"]
    assert store.latest_result("8") is None
    assert store.deaths("8") == 0
    assert check(store, None) == ("whole", "")


# --- The library it belongs to (law 4) --------------------------------------------------------

SAMPLES = {str(scene): f"hash{scene}" for scene in range(10)}


def some(count: int) -> dict[str, str]:
    return dict(list(SAMPLES.items())[:count])


def changed(count: int) -> dict[str, str]:
    return SAMPLES | dict.fromkeys(list(SAMPLES)[:count], "other")


@pytest.mark.parametrize(
    ("path", "samples", "same"),
    [
        pytest.param("/a/stash.sqlite", SAMPLES, True, id="as it was"),
        pytest.param("/b/stash.sqlite", SAMPLES, True, id="moved"),
        pytest.param("/a/stash.sqlite", some(3), True, id="most scenes deleted"),
        pytest.param("/a/stash.sqlite", {}, True, id="every scene deleted"),
        pytest.param("/b/stash.sqlite", some(3), True, id="moved and most deleted"),
        pytest.param("/b/stash.sqlite", {}, False, id="elsewhere, and nothing known there"),
        pytest.param("/a/stash.sqlite", changed(2), True, id="some files replaced"),
        pytest.param("/a/stash.sqlite", changed(4), None, id="many files replaced: unclear"),
        pytest.param("/b/stash.sqlite", changed(4), None, id="moved, many replaced: unclear"),
        pytest.param("/a/stash.sqlite", changed(10), None, id="other scenes at our path: unclear"),
        pytest.param("/b/stash.sqlite", changed(10), False, id="ids mean other scenes"),
    ],
)
def test_law_4_another_or_a_restored_library_is_noticed(
    store: Store, path: str, samples: dict[str, str], same: bool | None
) -> None:
    assert store.library_identity() is None
    assert store.same_library(path, samples) is None
    store.remember_library("/a/stash.sqlite", SAMPLES)
    assert store.same_library(path, samples) is same


def test_a_library_without_scenes_is_known_by_its_path_alone(store: Store) -> None:
    store.remember_library("/old", SAMPLES)
    store.remember_library("/a", {})
    identity = store.library_identity()
    assert identity is not None
    assert (identity.database_path, identity.samples) == ("/a", {})
    assert store.same_library("/a", SAMPLES) is True
    assert store.same_library("/b", SAMPLES) is None


# --- Killed -----------------------------------------------------------------------------------

DYING = """
import os, signal, sys
from pathlib import Path
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.records import Fingerprint, FrameSource, Ran

def clock():
    os.kill(os.getpid(), signal.SIGKILL)

file = Fingerprint(sys.argv[2], int(sys.argv[3]))
ran = Ran("clip", sys.argv[4], "cpu", "fp32", 0, 0)
with Store(Path(sys.argv[1]), clock=clock) as store:
    store.save_analysis(file, sys.argv[5], FrameSource.SPRITE, 6.0, [1], "clip", ran.model, [], ran)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_in_the_middle_of_replacing_an_analysis_keeps_the_old_one(store: Store) -> None:
    """The store asks for the time when the old analysis is deleted and the new one is not there."""
    save(store, frame(0, [1.0, 0.0]))
    words = [str(store.path), FILE.oshash, str(FILE.size_bytes), CLIP, SPRITE]
    died = subprocess.run([sys.executable, "-c", DYING, *words], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    assert found(store).observations == (frame(0),)
    assert found(store).times_s == (0.0, 2.0, 4.0)


WRITER = """
import sys
from pathlib import Path
import numpy as np
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.records import Fingerprint, FrameSource, Observation, Ran

path, first = Path(sys.argv[1]), int(sys.argv[2])
vectors = np.eye(60, 128, dtype=np.float32)
with Store(path) as store:
    for turn in range(first, first + 100_000):
        seen = [
            Observation("s", place, place, "clip", "m@1", "frame", float(turn), vector=vector)
            for place, vector in enumerate(vectors)
        ]
        file = Fingerprint("f", turn % 20)
        times = [turn + place for place in range(60)]
        ran = Ran("clip", "m@1", "cpu", "fp32", turn, 0.1)
        store.save_analysis(
            file, "key", FrameSource.VIDEO, None, times, "clip", "m@1", seen, ran
        )
        print(turn, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_at_any_moment_leaves_whole_analyses(tmp_path: Path) -> None:
    path, last, chance = tmp_path / "s.sqlite", -1, random.Random(8)
    for _ in range(10):
        saves, moment_s = chance.randrange(1, 40), chance.uniform(0, 0.01)
        last = write_until_killed(path, last + 1, saves, moment_s)
        with Store(path) as store:
            assert check(store, None) == ("whole", "")
            for turn in range(max(0, last - 19), last + 1):
                assert_whole(store, turn)


def write_until_killed(path: Path, first: int, saves: int, moment_s: float) -> int:
    """Write analyses, kill the writer after it told of so many, return the last it told of."""
    command = [sys.executable, "-c", WRITER, str(path), str(first)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(saves):
            told = writer.stdout.readline()
        # A save takes some 2 ms: this lands the kill anywhere in it, not always at its start.
        time.sleep(moment_s)
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().splitlines(keepends=True)
    whole = [line for line in [told, *rest] if line.endswith("\n")]
    return int(whole[-1])


def assert_whole(store: Store, turn: int) -> None:
    """The analysis is the one told of, or the next one of its file, and no mixture."""
    back = store.latest_analysis(Fingerprint("f", turn % 20), "clip", "m@1")
    assert back is not None
    assert back.ran.frames in (turn, turn + 20)
    assert {each.score for each in back.observations} == {float(back.ran.frames)}
    assert back.times_s == tuple(float(back.ran.frames + place) for place in range(60))
    vectors = [each.vector for each in back.observations if each.vector is not None]
    np.testing.assert_array_equal(vectors, np.eye(60, 128))
