import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.backup import backups_of
from stash_sense_plugin.library.health import check
from stash_sense_plugin.library.migrations import (
    APPLICATION_ID,
    MIGRATIONS,
    NEWEST,
    Migration,
    migrate,
    version_of,
)
from stash_sense_plugin.library.store import Store

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def tables(db: sqlite3.Connection) -> set[str]:
    rows = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {row[0] for row in rows if not row[0].startswith("sqlite_")}


def test_numbers_go_up_by_one_from_one() -> None:
    assert [step.number for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_an_empty_file_becomes_a_store(db: sqlite3.Connection) -> None:
    migrate(db, "here")
    assert version_of(db) == NEWEST
    assert {"scenes", "frames", "observations", "embeddings", "runs", "jobs", "ledger"} <= tables(
        db
    )


def test_migrating_again_changes_nothing(db: sqlite3.Connection) -> None:
    migrate(db, "here")
    changes = db.total_changes
    migrate(db, "here")
    assert db.total_changes == changes


def test_an_older_sqlite_gets_the_same_tables_without_strict(db: sqlite3.Connection) -> None:
    migrate(db, "here", strict=False)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as newer:
        migrate(newer, "here")
        assert tables(db) == tables(newer)
    statements = [row[0] or "" for row in db.execute("SELECT sql FROM sqlite_master")]
    assert not [each for each in statements if "STRICT" in each]
    assert [each for each in statements if "WITHOUT ROWID" in each]


def test_strict_tables_refuse_a_wrong_type(db: sqlite3.Connection) -> None:
    migrate(db, "here", strict=True)
    with pytest.raises(sqlite3.IntegrityError):
        db.execute("INSERT INTO files (oshash, size_bytes) VALUES ('a', 'many')")


def test_a_step_that_fails_leaves_the_store_as_it_was(db: sqlite3.Connection) -> None:
    migrate(db, "here")
    half = Migration(NEWEST + 1, "half", ("CREATE TABLE extra (a)", "CREATE TABLE files (a)"))
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, "here", (*MIGRATIONS, half))
    assert version_of(db) == NEWEST
    assert "extra" not in tables(db)


def test_only_the_missing_steps_are_taken(db: sqlite3.Connection) -> None:
    migrate(db, "here")
    later = Migration(NEWEST + 1, "later", ("CREATE TABLE extra (a)",))
    migrate(db, "here", (*MIGRATIONS, later))
    assert version_of(db) == NEWEST + 1
    assert "extra" in tables(db)


def test_a_newer_store_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {NEWEST + 7}")
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert f"version {NEWEST + 7}" in caught.value.message
    assert f"up to {NEWEST}" in caught.value.message
    assert str(path) in caught.value.message
    assert "update the plugin" in caught.value.remedy


@pytest.mark.parametrize("owner", [APPLICATION_ID, 0], ids=["newer", "another program's"])
def test_what_is_not_ours_to_open_is_not_touched(tmp_path: Path, owner: int) -> None:
    path = tmp_path / "store.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE scenes (id)")
        db.execute(f"PRAGMA application_id = {owner}")
        db.execute(f"PRAGMA user_version = {NEWEST + 1}")
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(StoreError):
        Store(path)
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "stash-go.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE scenes (id)")
    with pytest.raises(StoreError, match="another program"):
        Store(path)
    with closing(sqlite3.connect(path)) as db:
        assert tables(db) == {"scenes"}
        assert db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID


def test_a_later_version_may_withdraw_for_reasons_of_its_own(tmp_path: Path) -> None:
    with Store(tmp_path / "s.sqlite") as store, store.write() as db:
        db.execute(
            "INSERT INTO ledger (run_id, action, scene_id, target_id, target_name, detail, outcome,"
            " withdrawn, intended_at_s) VALUES ('1', 'add_tag', '1', '1', '', '{}', 'ours',"
            " 'a new reason', 0)"
        )


# --- A copy before a change ---------------------------------------------------------------------

REFUSAL = (
    "INSERT INTO refusals (kind, target_id, name, scene_id, oshash, size_bytes, detail,"
    " refused_at_s) VALUES ('tag', '3', 'dog', '7', 'f', 1, '{}', 5.0)"
)


def of_version(path: Path, version: int) -> Path:
    """Make a store as an older version left it, with something that the user said."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        migrate(db, str(path), MIGRATIONS[:version])
        db.execute(REFUSAL)
    return path


def test_an_older_store_is_copied_before_it_is_changed(tmp_path: Path) -> None:
    path = of_version(tmp_path / "store.sqlite", 3)
    with Store(path) as store, store.read() as db:
        assert version_of(db) == NEWEST
        assert [tuple(row) for row in db.execute("SELECT said, name FROM verdicts")] == [
            ("refused", "dog")
        ]
    [copy] = backups_of(path)
    assert copy.name == f"store.sqlite.before-{NEWEST}"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as old:
        assert (version_of(old), "refusals" in tables(old)) == (3, True)
        assert old.execute("SELECT name FROM refusals").fetchall() == [("dog",)]
    assert {each.name for each in tmp_path.iterdir()} == {path.name, copy.name}


def test_the_copy_can_take_the_stores_place(tmp_path: Path) -> None:
    path = of_version(tmp_path / "store.sqlite", 2)
    Store(path).close()
    backups_of(path)[0].replace(path)
    with Store(path) as store:
        assert check(store, None) == ("whole", "")
        assert store.stats().refusals == 1
    assert len(backups_of(path)) == 1


def test_a_new_store_and_one_that_is_up_to_date_are_not_copied(tmp_path: Path) -> None:
    for _ in range(2):
        Store(tmp_path / "store.sqlite").close()
    assert backups_of(tmp_path / "store.sqlite") == []


def test_a_change_that_was_cut_short_keeps_the_copy_of_what_was_before_it(tmp_path: Path) -> None:
    path = of_version(tmp_path / "store.sqlite", 2)
    Store(path).close()
    [copy] = backups_of(path)
    kept = copy.read_bytes()
    path.unlink()
    Store(of_version(path, 3)).close()
    assert copy.read_bytes() == kept


def test_without_room_for_a_copy_nothing_is_changed_and_the_room_is_said(tmp_path: Path) -> None:
    path = of_version(tmp_path / "store.sqlite", 3)
    with pytest.raises(StoreError) as caught:
        Store(path, free=lambda folder: 5_000_000)
    assert str(path) in caught.value.message
    assert "has 5 MB" in caught.value.message
    assert caught.value.remedy.startswith("free 12 MB more on it")
    with closing(sqlite3.connect(path)) as db:
        assert version_of(db) == 3
    assert backups_of(path) == []
    Store(path, free=lambda folder: 50_000_000).close()
    assert len(backups_of(path)) == 1


def test_a_copy_that_cannot_be_made_changes_nothing(tmp_path: Path) -> None:
    path = of_version(tmp_path / "store.sqlite", 3)
    (tmp_path / f"store.sqlite.before-{NEWEST}").mkdir()
    with pytest.raises(StoreError, match="could not be copied") as caught:
        Store(path)
    assert "nothing was changed" in caught.value.remedy
    with closing(sqlite3.connect(path)) as db:
        assert version_of(db) == 3


KILLED = """
import os, pathlib, signal, sys
from stash_sense_plugin.library.store import Store

class Traced(Store):
    def _connect(self, timeout_s, **more):
        connection = super()._connect(timeout_s, **more)
        connection.set_trace_callback(self.count)
        return connection

    def count(self, sql):
        self.left = getattr(self, "left", int(sys.argv[1])) - sql.startswith(
            ("CREATE", "ALTER", "INSERT", "DROP", "PRAGMA user_version =", "COMMIT")
        )
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

Traced(pathlib.Path(sys.argv[2])).close()
"""


@pytest.mark.parametrize("after", [0, 1, 4, 9, 13, 17])
def test_a_kill_in_the_middle_of_a_change_loses_nothing(tmp_path: Path, after: int) -> None:
    path = of_version(tmp_path / "store.sqlite", 2)
    command = [sys.executable, "-c", KILLED, str(after), str(path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    with Store(path) as store:
        assert check(store, None) == ("whole", "")
        assert store.stats().refusals == 1
    [copy] = backups_of(path)
    with closing(sqlite3.connect(copy)) as old:
        assert version_of(old) == 2
