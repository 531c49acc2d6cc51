"""The store's schema, as numbered steps that each happen wholly or not at all."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stash_sense_plugin.errors import StoreError

APPLICATION_ID = 0x53545353
"""`STSS` in the file's header: tells our store from another program's database."""

_FIRST_STRICT = (3, 37)

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 108
"""The file's header and that of its first page: https://sqlite.org/fileformat.html"""
_LEAF = 13


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from a version of the schema to the next."""

    number: int
    name: str
    statements: tuple[str, ...]
    """Written for a SQLite that knows STRICT tables; see `plain`."""


_FIRST = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    """
    CREATE TABLE files (
        id INTEGER PRIMARY KEY,
        oshash TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        UNIQUE (oshash, size_bytes)
    ) STRICT
    """,
    # A damaged video may give one detector fewer frames than another under the same key, so a
    # sampling is known by its times as well: the digest is of times, source and duration.
    """
    CREATE TABLE samplings (
        id INTEGER PRIMARY KEY,
        file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
        key TEXT NOT NULL,
        digest BLOB NOT NULL,
        source TEXT NOT NULL,
        duration_s REAL,
        UNIQUE (file_id, key, digest)
    ) STRICT
    """,
    """
    CREATE TABLE frames (
        sampling_id INTEGER NOT NULL REFERENCES samplings (id) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        time_s REAL NOT NULL,
        PRIMARY KEY (sampling_id, place)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE analyses (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
        detector TEXT NOT NULL,
        model TEXT NOT NULL,
        sampling_key TEXT NOT NULL,
        sampling_id INTEGER NOT NULL REFERENCES samplings (id) ON DELETE CASCADE,
        scene_key TEXT NOT NULL,
        device TEXT NOT NULL,
        precision TEXT NOT NULL,
        frames INTEGER NOT NULL,
        seconds REAL NOT NULL,
        observations INTEGER NOT NULL,
        saved_at_s REAL NOT NULL,
        UNIQUE (file_id, detector, model, sampling_key)
    ) STRICT
    """,
    "CREATE INDEX analyses_by_sampling ON analyses (sampling_id)",
    """
    CREATE TABLE observations (
        analysis_id INTEGER NOT NULL REFERENCES analyses (id) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        frame_index INTEGER NOT NULL,
        time_s REAL NOT NULL,
        label TEXT NOT NULL,
        score REAL NOT NULL,
        x REAL,
        y REAL,
        w REAL,
        h REAL,
        text TEXT,
        track INTEGER,
        vector_row INTEGER,
        PRIMARY KEY (analysis_id, place)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE embeddings (
        analysis_id INTEGER PRIMARY KEY REFERENCES analyses (id) ON DELETE CASCADE,
        count INTEGER NOT NULL,
        dimensions INTEGER NOT NULL,
        float16 BLOB NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE prompts (
        model TEXT NOT NULL,
        text TEXT NOT NULL,
        float32 BLOB NOT NULL,
        PRIMARY KEY (model, text)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE runs (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        settings TEXT NOT NULL,
        status TEXT NOT NULL,
        summary TEXT NOT NULL,
        begun_at_s REAL NOT NULL,
        ended_at_s REAL
    ) STRICT
    """,
    "CREATE INDEX runs_open ON runs (row) WHERE status = 'running'",
    """
    CREATE TABLE run_scenes (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        scene_id TEXT NOT NULL,
        file_id INTEGER REFERENCES files (id) ON DELETE SET NULL,
        result TEXT NOT NULL,
        saved_at_s REAL NOT NULL,
        UNIQUE (run_id, scene_id)
    ) STRICT
    """,
    "CREATE INDEX run_scenes_by_scene ON run_scenes (scene_id, row)",
    "CREATE INDEX run_scenes_by_file ON run_scenes (file_id)",
    """
    CREATE TABLE scenes (
        id TEXT PRIMARY KEY,
        file_id INTEGER REFERENCES files (id) ON DELETE SET NULL,
        source TEXT NOT NULL,
        run_id TEXT NOT NULL,
        result_row INTEGER NOT NULL,
        error_kind TEXT,
        error_message TEXT,
        error_remedy TEXT,
        seen_at_s REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX scenes_by_file ON scenes (file_id)",
    "CREATE INDEX scenes_failed ON scenes (result_row) WHERE error_kind IS NOT NULL",
    # A scene that is begun has the newest row: where jobs go before one another, the one at which
    # the worker died is the last begun.
    """
    CREATE TABLE looks (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        scene_id TEXT NOT NULL UNIQUE,
        deaths INTEGER NOT NULL,
        under_way INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE jobs (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        mode TEXT NOT NULL CHECK (mode IN ('attached', 'owned')),
        args TEXT NOT NULL,
        same BLOB NOT NULL,
        priority INTEGER NOT NULL,
        status TEXT NOT NULL CHECK (
            status IN ('queued', 'running', 'done', 'failed', 'cancelled', 'interrupted')
        ),
        progress REAL NOT NULL DEFAULT 0,
        deaths INTEGER NOT NULL DEFAULT 0,
        result TEXT NOT NULL DEFAULT '{}',
        error_kind TEXT,
        error_message TEXT,
        error_remedy TEXT,
        queued_at_s REAL NOT NULL,
        begun_at_s REAL,
        ended_at_s REAL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX jobs_open ON jobs (same) WHERE status IN ('queued', 'running')",
    "CREATE INDEX jobs_by_status ON jobs (status, priority, row)",
    # No reference to runs: what we did to Stash is kept when the history of runs is cut.
    """
    CREATE TABLE ledger (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL,
        action TEXT NOT NULL,
        scene_id TEXT NOT NULL,
        oshash TEXT,
        size_bytes INTEGER,
        target_id TEXT NOT NULL,
        target_name TEXT NOT NULL,
        detail TEXT NOT NULL,
        outcome TEXT NOT NULL,
        withdrawn TEXT,
        intended_at_s REAL NOT NULL,
        settled_at_s REAL
    ) STRICT
    """,
    "CREATE INDEX ledger_by_run ON ledger (run_id, row)",
    "CREATE INDEX ledger_unsettled ON ledger (row) WHERE outcome = 'intended'",
    """
    CREATE INDEX ledger_ours ON ledger (scene_id, row)
        WHERE outcome = 'ours' AND withdrawn IS NULL
    """,
    """
    CREATE TABLE refusals (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        target_id TEXT NOT NULL,
        name TEXT NOT NULL,
        scene_id TEXT NOT NULL,
        oshash TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        detail TEXT NOT NULL,
        refused_at_s REAL NOT NULL,
        UNIQUE (kind, target_id, name, scene_id, oshash, size_bytes, detail)
    ) STRICT
    """,
    "CREATE INDEX refusals_by_scene ON refusals (scene_id)",
    "CREATE INDEX refusals_by_file ON refusals (oshash, size_bytes)",
    """
    CREATE TABLE library_identity (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        database_path TEXT NOT NULL,
        remembered_at_s REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE library_samples (
        scene_id TEXT PRIMARY KEY,
        oshash TEXT NOT NULL
    ) STRICT
    """,
)

_SECOND = (
    "ALTER TABLE looks ADD COLUMN stage TEXT NOT NULL DEFAULT ''",
    # 1 for the scene at which the worker died that served before this one.
    "ALTER TABLE looks ADD COLUMN last INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE runs ADD COLUMN state TEXT NOT NULL DEFAULT '{}'",
)

_THIRD = (
    # 1 once its TagMe was taken for the deaths at it: who gives TagMe again wants one more try.
    "ALTER TABLE looks ADD COLUMN parked INTEGER NOT NULL DEFAULT 0",
    "UPDATE looks SET parked = 1 WHERE scene_id IN"
    " (SELECT id FROM scenes WHERE error_kind = 'worker-died')",
)

_FOURTH = (
    # What is suggested for each scene now: an index of its newest result, for lists and for what
    # deciding again changes. `key` is the folded name.
    """
    CREATE TABLE suggestions (
        scene_id TEXT NOT NULL REFERENCES scenes (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        target_id TEXT NOT NULL DEFAULT '',
        name TEXT NOT NULL,
        label TEXT NOT NULL,
        confidence REAL NOT NULL,
        decision INTEGER NOT NULL,
        undone INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (scene_id, kind, key, target_id)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX suggestions_by_thing ON suggestions (key, kind, confidence, scene_id)",
    # The digest of the newest decision, by which deciding again sees what changed; and the tags
    # that the scene had at our first look and at the last one, as JSON lists of ids.
    "ALTER TABLE scenes ADD COLUMN decided BLOB",
    "ALTER TABLE scenes ADD COLUMN first_tags TEXT",
    "ALTER TABLE scenes ADD COLUMN last_tags TEXT",
    """
    CREATE TABLE verdicts (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        target_id TEXT NOT NULL,
        name TEXT NOT NULL,
        said TEXT NOT NULL CHECK (said IN ('accepted', 'refused')),
        source TEXT NOT NULL CHECK (source IN ('asked', 'noticed')),
        scene_id TEXT NOT NULL,
        oshash TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        detail TEXT NOT NULL,
        said_at_s REAL NOT NULL,
        UNIQUE (kind, target_id, name, scene_id, oshash, size_bytes, detail)
    ) STRICT
    """,
    "CREATE INDEX verdicts_by_scene ON verdicts (scene_id)",
    "CREATE INDEX verdicts_by_file ON verdicts (oshash, size_bytes)",
    "CREATE INDEX verdicts_by_run ON verdicts (json_extract(detail, '$.run_id'))",
    "INSERT INTO verdicts SELECT id, kind, target_id, name, 'refused', 'noticed', scene_id, oshash,"
    " size_bytes, detail, refused_at_s FROM refusals",
    "DROP TABLE refusals",
    "ALTER TABLE ledger ADD COLUMN takes_back INTEGER",
    # The run that a row belongs to, where an undo did again what that run had done.
    "ALTER TABLE ledger ADD COLUMN of_run TEXT",
    "CREATE INDEX ledger_by_whole ON ledger (of_run, row) WHERE of_run IS NOT NULL",
    # By it what was written to a scene is found when its file lies under another one.
    """
    CREATE INDEX ledger_ours_by_file ON ledger (oshash, size_bytes)
        WHERE outcome = 'ours' AND withdrawn IS NULL
    """,
    # Below this score nothing of a look was kept; 0 in looks of before it was known.
    "ALTER TABLE analyses ADD COLUMN floor REAL NOT NULL DEFAULT 0",
    # How often work was tried again, and when it is the next time.
    "ALTER TABLE jobs ADD COLUMN tries INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE jobs ADD COLUMN next_at_s REAL",
    # What evaluation learnt and the user agreed to: curves from a score to a probability, and the
    # confidence from which a label is written.
    """
    CREATE TABLE fits (
        scale TEXT NOT NULL,
        label TEXT NOT NULL,
        curve TEXT NOT NULL,
        positives INTEGER NOT NULL,
        negatives INTEGER NOT NULL,
        fitted_at_s REAL NOT NULL,
        PRIMARY KEY (scale, label)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE thresholds (
        label TEXT PRIMARY KEY,
        apply REAL NOT NULL,
        precision REAL NOT NULL,
        positives INTEGER NOT NULL,
        set_at_s REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE evaluations (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        report TEXT NOT NULL,
        made_at_s REAL NOT NULL
    ) STRICT
    """,
)

_FIFTH = (
    # With what is counted in it, so that counts by name read no row of the table itself.
    "DROP INDEX suggestions_by_thing",
    """
    CREATE INDEX suggestions_by_thing
        ON suggestions (key, kind, confidence, scene_id, decision, undone)
    """,
)

MIGRATIONS = (
    Migration(1, "observations, results, jobs and the ledger", _FIRST),
    Migration(2, "where the worker died, and runs that go on later", _SECOND),
    Migration(3, "scenes that are parked for that", _THIRD),
    Migration(4, "suggestions, verdicts and what was learnt", _FOURTH),
    Migration(5, "counts of suggestions by name", _FIFTH),
)

NEWEST = MIGRATIONS[-1].number


def plain(statement: str) -> str:
    """Return the statement for a SQLite that does not know STRICT tables."""
    return statement.replace(") STRICT, WITHOUT ROWID", ") WITHOUT ROWID").replace(") STRICT", ")")


def version_of(connection: sqlite3.Connection) -> int:
    """Return the number of the last step that this file has taken; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(
    connection: sqlite3.Connection,
    path: str,
    migrations: tuple[Migration, ...] = MIGRATIONS,
    strict: bool = sqlite3.sqlite_version_info >= _FIRST_STRICT,
    before: Callable[[int, int], None] | None = None,
) -> None:
    """Bring the file to the newest version, each step in a transaction of its own.

    `before` is called with its version and the newest one where a store that holds something is
    about to change. Raises StoreError when the file is another program's or of a newer version of
    ours.
    """
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    newest = migrations[-1].number
    version = version_of(connection)
    _refuse(path, bool(tables), owner, version, newest)
    if before is not None and 0 < version < newest:
        before(version, newest)
    for migration in migrations:
        if migration.number > version:
            _step(connection, migration, strict)


def refuse_unread(path: Path, newest: int = NEWEST) -> None:
    """Raise StoreError for a file that is not ours to open, by its header: it is not touched."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return  # There is none, or whoever opens it says what is wrong with it.
    if len(header) == _HEADER_BYTES and header.startswith(_MAGIC):
        owner = int.from_bytes(header[68:72], "big", signed=True)
        version = int.from_bytes(header[60:64], "big", signed=True)
        # The first page is the table of tables: without a cell on its one leaf there are none.
        empty = header[100] == _LEAF and header[103:105] == bytes(2)
        _refuse(str(path), not empty, owner, version, newest)


def _refuse(path: str, holds_tables: bool, owner: int, version: int, newest: int) -> None:
    if holds_tables and owner != APPLICATION_ID:
        raise StoreError(
            f"{path} is a database of another program", "name another file for Stash Sense's store"
        )
    if version > newest:
        raise StoreError(
            f"{path} was written by a newer Stash Sense (store version {version}; this one "
            f"knows up to {newest})",
            "update the plugin, or move the file away to begin a new store; it was not changed",
        )


def _step(connection: sqlite3.Connection, migration: Migration, strict: bool) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again under the lock: another process may have taken the step meanwhile.
        if version_of(connection) < migration.number:
            for statement in migration.statements:
                connection.execute(statement if strict else plain(statement))
            connection.execute(f"PRAGMA user_version = {migration.number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
