"""How the store's file is opened where others hold it or its disk is far, and read beside us."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library import health
from stash_sense_plugin.library.opening import opened
from stash_sense_plugin.library.store import Store

PATIENCE_S = 60.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def held(path: Path) -> Iterator[Path]:
    """A store that another program has locked."""
    Store(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield path


def test_a_folder_where_no_lock_can_be_tried_says_nothing_of_locks(held: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        opened(
            held.parent / "gone",
            lambda timeout_s: sqlite3.connect(held, timeout=0.01, isolation_level=None),
            lambda _connection: None,
            0.01,
        )


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        pytest.param("ext4", ("wal", "normal"), id="a disk of this machine"),
        pytest.param("nfs4", ("wal", "exclusive"), id="a network mount that could share memory"),
        pytest.param("fuse.sshfs", ("wal", "exclusive"), id="one of a program"),
    ],
)
def test_memory_is_shared_on_disks_of_this_machine_alone(
    path: Path, kind: str, way: tuple[str, str]
) -> None:
    table = path.with_name("mountinfo")
    table.write_text(f"34 22 0:44 / {path.parent.resolve()} rw - {kind} there rw\n")
    with Store(path, mounts=str(table)) as store:
        assert (store.journal_mode, store.locking) == way
        store.begin_run("test", {})
        assert health.check(store, None) == ("whole", "")
    with Store(path, mounts=str(table)) as store:
        assert len(store.runs()) == 1


def test_who_reads_for_long_keeps_nobody_waiting(path: Path) -> None:
    with Store(path) as store, store.read_beside() as db:
        db.execute("BEGIN")
        assert db.execute("SELECT count(*) FROM runs").fetchone()[0] == 0
        writing = threading.Thread(target=store.begin_run, args=("test", {}), daemon=True)
        writing.start()
        writing.join(PATIENCE_S)
        assert not writing.is_alive()
        # It still holds the state that it began with.
        assert db.execute("SELECT count(*) FROM runs").fetchone()[0] == 0
        db.execute("COMMIT")
        assert db.execute("SELECT count(*) FROM runs").fetchone()[0] == 1


def test_who_reads_beside_writes_nothing(path: Path) -> None:
    with (
        Store(path) as store,
        pytest.raises(StoreError, match="cannot be written"),
        store.read_beside() as db,
    ):
        db.execute("DELETE FROM runs")
