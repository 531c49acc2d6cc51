"""The library's tables, and one door to them."""

import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Record = dict[str, Any]
"""One row of a table, by column."""


class RefusedError(Exception):
    """What the server answers instead of data; the text is the error's message."""


TABLES = """
CREATE TABLE IF NOT EXISTS studios (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, details TEXT NOT NULL DEFAULT '',
  parent_id INTEGER REFERENCES studios(id) ON DELETE SET NULL, rating100 INTEGER,
  favorite INTEGER NOT NULL DEFAULT 0, ignore_auto_tag INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS studio_names ON studios(name COLLATE NOCASE);
CREATE TABLE IF NOT EXISTS tags (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, sort_name TEXT NOT NULL DEFAULT '',
  description TEXT NOT NULL DEFAULT '', favorite INTEGER NOT NULL DEFAULT 0,
  ignore_auto_tag INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS tag_names ON tags(name COLLATE NOCASE);
CREATE TABLE IF NOT EXISTS performers (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, disambiguation TEXT NOT NULL DEFAULT '',
  gender TEXT, birthdate TEXT, death_date TEXT, ethnicity TEXT NOT NULL DEFAULT '',
  country TEXT NOT NULL DEFAULT '', eye_color TEXT NOT NULL DEFAULT '',
  hair_color TEXT NOT NULL DEFAULT '', height_cm INTEGER, weight INTEGER,
  measurements TEXT NOT NULL DEFAULT '', fake_tits TEXT NOT NULL DEFAULT '', penis_length REAL,
  circumcised TEXT, career_length TEXT NOT NULL DEFAULT '', tattoos TEXT NOT NULL DEFAULT '',
  piercings TEXT NOT NULL DEFAULT '', details TEXT NOT NULL DEFAULT '', rating100 INTEGER,
  favorite INTEGER NOT NULL DEFAULT 0, ignore_auto_tag INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS scenes (
  id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL DEFAULT '',
  code TEXT NOT NULL DEFAULT '', details TEXT NOT NULL DEFAULT '',
  director TEXT NOT NULL DEFAULT '', date TEXT, rating100 INTEGER,
  organized INTEGER NOT NULL DEFAULT 0, studio_id INTEGER REFERENCES studios(id) ON DELETE SET NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS scenes_by_studio ON scenes(studio_id);
CREATE TABLE IF NOT EXISTS images (
  id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL DEFAULT '',
  code TEXT NOT NULL DEFAULT '', details TEXT NOT NULL DEFAULT '',
  photographer TEXT NOT NULL DEFAULT '', date TEXT, rating100 INTEGER,
  organized INTEGER NOT NULL DEFAULT 0, studio_id INTEGER REFERENCES studios(id) ON DELETE SET NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS scene_markers (
  id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL DEFAULT '', seconds REAL NOT NULL,
  end_seconds REAL, scene_id INTEGER NOT NULL REFERENCES scenes(id) ON DELETE CASCADE,
  primary_tag_id INTEGER NOT NULL REFERENCES tags(id),
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS markers_by_scene ON scene_markers(scene_id);
CREATE INDEX IF NOT EXISTS markers_by_tag ON scene_markers(primary_tag_id);
CREATE TABLE IF NOT EXISTS files (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, path TEXT NOT NULL UNIQUE,
  basename TEXT NOT NULL, size INTEGER NOT NULL, mod_time TEXT NOT NULL,
  format TEXT NOT NULL DEFAULT '', width INTEGER NOT NULL DEFAULT 0,
  height INTEGER NOT NULL DEFAULT 0, duration REAL NOT NULL DEFAULT 0,
  frame_rate REAL NOT NULL DEFAULT 0, bit_rate INTEGER NOT NULL DEFAULT 0,
  video_codec TEXT NOT NULL DEFAULT '', audio_codec TEXT NOT NULL DEFAULT '',
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS primary_files (
  scene_id INTEGER PRIMARY KEY REFERENCES scenes(id) ON DELETE CASCADE,
  file_id INTEGER NOT NULL REFERENCES files(id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS fingerprints (
  file_id INTEGER NOT NULL REFERENCES files(id) ON DELETE CASCADE, type TEXT NOT NULL,
  value TEXT NOT NULL, PRIMARY KEY (file_id, type)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fingerprints_by_value ON fingerprints(value);
CREATE TABLE IF NOT EXISTS performer_custom_fields (
  performer_id INTEGER NOT NULL REFERENCES performers(id) ON DELETE CASCADE,
  field TEXT NOT NULL, value BLOB, PRIMARY KEY (performer_id, field)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pictures (
  kind TEXT NOT NULL, id INTEGER NOT NULL, type TEXT NOT NULL, data BLOB NOT NULL,
  updated_at INTEGER NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags_relations (
  parent_id INTEGER NOT NULL REFERENCES tags(id) ON DELETE CASCADE,
  child_id INTEGER NOT NULL REFERENCES tags(id) ON DELETE CASCADE,
  PRIMARY KEY (parent_id, child_id)) WITHOUT ROWID;
"""

PRIMARY_FIRST = """(files.id IS NOT (SELECT primary_files.file_id FROM primary_files
  WHERE primary_files.scene_id = scenes_files.scene_id)), files.id"""
"""The order of a scene's files; where none is named as primary, the oldest is."""

JOINS = (
    ("scenes_tags", "scene_id", "scenes", "tag_id", "tags"),
    ("scene_markers_tags", "scene_marker_id", "scene_markers", "tag_id", "tags"),
    ("images_tags", "image_id", "images", "tag_id", "tags"),
    ("performers_tags", "performer_id", "performers", "tag_id", "tags"),
    ("studios_tags", "studio_id", "studios", "tag_id", "tags"),
    ("performers_scenes", "scene_id", "scenes", "performer_id", "performers"),
    ("performers_images", "image_id", "images", "performer_id", "performers"),
    ("scenes_files", "scene_id", "scenes", "file_id", "files"),
    ("images_files", "image_id", "images", "file_id", "files"),
)
"""Join table, its left column and table, its right column and table."""

TEXTS = (
    ("tag_aliases", "tag_id", "tags"),
    ("studio_aliases", "studio_id", "studios"),
    ("performer_aliases", "performer_id", "performers"),
    ("scene_urls", "scene_id", "scenes"),
    ("image_urls", "image_id", "images"),
    ("performer_urls", "performer_id", "performers"),
    ("studio_urls", "studio_id", "studios"),
)
"""Tables of texts that belong to a row: table, owner's column, owner's table."""

STASH_IDS = (
    ("scene_stash_ids", "scene_id", "scenes"),
    ("tag_stash_ids", "tag_id", "tags"),
    ("performer_stash_ids", "performer_id", "performers"),
    ("studio_stash_ids", "studio_id", "studios"),
)


def _tables() -> Iterator[str]:
    yield TABLES
    for table, left, left_table, right, right_table in JOINS:
        yield f"""CREATE TABLE IF NOT EXISTS {table} (
          {left} INTEGER NOT NULL REFERENCES {left_table}(id) ON DELETE CASCADE,
          {right} INTEGER NOT NULL REFERENCES {right_table}(id) ON DELETE CASCADE,
          PRIMARY KEY ({left}, {right})) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS {table}_back ON {table}({right});"""
    for table, owner, owner_table in TEXTS:
        yield f"""CREATE TABLE IF NOT EXISTS {table} (
          {owner} INTEGER NOT NULL REFERENCES {owner_table}(id) ON DELETE CASCADE,
          position INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY ({owner}, text))
          WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS {table}_text ON {table}(text COLLATE NOCASE);"""
    for table, owner, owner_table in STASH_IDS:
        yield f"""CREATE TABLE IF NOT EXISTS {table} (
          {owner} INTEGER NOT NULL REFERENCES {owner_table}(id) ON DELETE CASCADE,
          endpoint TEXT NOT NULL, stash_id TEXT NOT NULL, updated_at TEXT NOT NULL,
          PRIMARY KEY ({owner}, endpoint)) WITHOUT ROWID;"""


class Database:
    """SQLite behind one lock, so that writers queue as they do in Stash.

    A foreign writer on the file is not waited for longer than Stash waits: 50 ms.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._copies: list[sqlite3.Connection] = []
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=0.05
        )
        self._connection.create_function("regexp", 2, _matches, deterministic=True)
        self._connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON;"
            + "".join(_tables())
        )

    def close(self) -> None:
        """Let go of the file, and of the copies."""
        with self._lock:
            for connection in (self._connection, *self._copies):
                connection.close()

    def rows(self, sql: str, *values: object) -> list[Record]:
        """All rows of a query."""
        with self._lock:
            cursor = self._connection.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def row(self, sql: str, *values: object) -> Record | None:
        """The first row of a query, if there is one."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def column(self, sql: str, *values: object) -> list[Any]:
        """The first column of a query."""
        with self._lock:
            return [row[0] for row in self._connection.execute(sql, values)]

    def value(self, sql: str, *values: object) -> Any:
        """The first column of the first row, if there is one."""
        found = self.column(sql, *values)
        return found[0] if found else None

    def run(self, sql: str, *values: object) -> int:
        """Write; the id of what was inserted. A broken constraint is refused in Stash's words."""
        with self._lock:
            try:
                return self._connection.execute(sql, values).lastrowid or 0
            except sqlite3.IntegrityError as error:
                shown = " ".join(map(str, values))
                raise RefusedError(f"error executing `{sql}` [[{shown}]]: {error}") from error

    def run_many(self, sql: str, values: Iterable[Sequence[object]]) -> None:
        """Write many rows with one statement."""
        with self._lock:
            self._connection.executemany(sql, values)

    def copied(self) -> sqlite3.Connection:
        """A copy of everything, in memory, for as long as this is open."""
        copy = sqlite3.connect(":memory:", check_same_thread=False)
        with self._lock:
            self._copies.append(copy)
            self._connection.backup(copy)
        return copy

    def replace(self, copy: sqlite3.Connection) -> None:
        """Hold what a copy holds, and nothing else."""
        with self._lock:
            copy.backup(self._connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; one inside another is part of the outer one."""
        with self._lock:
            if self._depth:
                yield
                return
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise RefusedError(f"beginning transaction: {error}") from error
            self._depth = 1
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0


def _matches(pattern: str, text: str | None) -> bool:
    return text is not None and re.search(pattern, text) is not None
