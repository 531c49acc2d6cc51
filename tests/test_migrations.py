import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.migrations import (
    APPLICATION_ID,
    MIGRATIONS,
    NEWEST,
    Migration,
    migrate,
    version_of,
)
from stash_sense_plugin.library.store import Store


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
