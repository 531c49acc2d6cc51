"""What takes how much room in the store, and what of it nothing uses any more."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stash_sense_plugin.library.backup import need_space
from stash_sense_plugin.library.database import Database

BATCH = 200
"""Looks that are dropped at a time, so that nobody waits long for the store."""
WORTH_BYTES = 1_000_000
"""From so much empty room on, the file is written anew."""


@dataclass(frozen=True, slots=True)
class Part:
    """One table with its indexes."""

    name: str
    rows: int
    bytes: int | None
    """None where this SQLite cannot tell, or not without keeping others from the store."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one version of a detector saw."""

    detector: str
    model: str
    files: int
    analyses: int
    observations: int
    vector_bytes: int


@dataclass(frozen=True, slots=True)
class Room:
    """What takes how much room."""

    tables: tuple[Part, ...]
    detectors: tuple[Seen, ...]
    scenes: int
    files: int
    bytes_on_disk: int
    bytes_empty: int
    """What `vacuum` gives back to the disk at once."""

    @property
    def bytes_per_file(self) -> int | None:
        """How much one file that was looked at takes, all in all."""
        return (self.bytes_on_disk - self.bytes_empty) // self.files if self.files else None


@dataclass(frozen=True, slots=True)
class Unused:
    """What nothing uses any more."""

    analyses: int = 0
    prompts: int = 0
    files: int = 0
    by_model: Mapping[str, int] = field(default_factory=dict)
    """Looks by the detector's model."""


class Space:
    """Measures the store, and makes room in it."""

    def __init__(self, store: Database) -> None:
        self._store = store

    def room(self) -> Room:
        """Count and measure what is held."""
        with self._store.read_beside() as db:
            empty = int(db.execute("PRAGMA freelist_count").fetchone()[0])
            page = int(db.execute("PRAGMA page_size").fetchone()[0])
            return Room(
                # Measuring reads the whole file: not while all others wait for it.
                tables=tuple(_parts(db, measured=self._store.locking == "normal")),
                detectors=tuple(_detectors(db)),
                scenes=_count(db, "scenes"),
                files=_count(db, "files WHERE id IN (SELECT file_id FROM analyses)"),
                bytes_on_disk=self._store.size_bytes(),
                bytes_empty=empty * page,
            )

    def unused(self, current: Mapping[str, frozenset[str]]) -> Unused:
        """Count what `drop_unused` would drop."""
        looks = list(self._looks(current))
        by_model: dict[str, int] = {}
        for _, model in looks:
            by_model[model] = by_model.get(model, 0) + 1
        with self._store.read_beside() as db:
            prompts = _count(db, f"prompts WHERE {_old_prompts(current)}", _clip(current))
            files = _count(db, f"files WHERE {_LONELY}")
        return Unused(len(looks), prompts, files, by_model)

    def drop_unused(
        self, current: Mapping[str, frozenset[str]], check: Callable[[], None]
    ) -> Unused:
        """Drop looks that newer ones have replaced, and what belonged to them alone.

        `current` are the models of each detector that are in use; a detector that is not named
        keeps all its looks. A look goes where every model in use has looked at the file, or
        where the same model has looked again later. A stop in between keeps what was dropped.
        """
        looks = list(self._looks(current))
        by_model: dict[str, int] = {}
        for start in range(0, len(looks), BATCH):
            check()
            some = looks[start : start + BATCH]
            with self._store.write() as db:
                db.executemany("DELETE FROM analyses WHERE id = ?", ((each,) for each, _ in some))
            for _, model in some:
                by_model[model] = by_model.get(model, 0) + 1
        with self._store.write() as db:
            db.execute("DELETE FROM samplings WHERE id NOT IN (SELECT sampling_id FROM analyses)")
            old = f"DELETE FROM prompts WHERE {_old_prompts(current)}"
            prompts = db.execute(old, _clip(current)).rowcount
            files = db.execute(f"DELETE FROM files WHERE {_LONELY}").rowcount
        return Unused(len(looks), prompts, files, by_model)

    def give_back(self) -> int:
        """Write the file anew without its empty room; returns the bytes that the disk has back.

        Raises StoreError where the disk has no room for the copy that this takes.
        """
        before = self._store.size_bytes()
        with self._store.read() as db:
            empty = db.execute("PRAGMA freelist_count").fetchone()[0]
            page = db.execute("PRAGMA page_size").fetchone()[0]
            used = (db.execute("PRAGMA page_count").fetchone()[0] - empty) * page
        if empty * page >= WORTH_BYTES:
            # Once as a file of its own, and once in the log before it takes the old one's place.
            need_space(self._store.path, 2 * used, "writing it anew", self._store.free)
            self._store.compact()
        return max(0, before - self._store.size_bytes())

    def _looks(self, current: Mapping[str, frozenset[str]]) -> Iterator[tuple[int, str]]:
        """Yield number and model of looks that are no longer used."""
        for detector, models in sorted(current.items()):
            if models:
                marks = ", ".join("?" * len(models))
                with self._store.read_beside() as db:
                    yield from db.execute(
                        _SUPERSEDED.format(marks=marks),
                        (detector, detector, *models, len(models), *models),
                    ).fetchall()


_SUPERSEDED = """
    SELECT id, model FROM analyses AS old WHERE detector = ? AND (
        EXISTS (SELECT 1 FROM analyses AS newer WHERE newer.file_id = old.file_id
            AND newer.detector = old.detector AND newer.model = old.model AND newer.id > old.id)
        OR (SELECT count(DISTINCT model) FROM analyses AS now WHERE now.file_id = old.file_id
            AND now.detector = ? AND now.model IN ({marks})) = ? AND old.model NOT IN ({marks})
    ) ORDER BY id
"""
_LONELY = (
    "id NOT IN (SELECT file_id FROM analyses) AND id NOT IN (SELECT file_id FROM samplings)"
    " AND NOT EXISTS (SELECT 1 FROM scenes WHERE scenes.file_id = files.id)"
    " AND NOT EXISTS (SELECT 1 FROM run_scenes WHERE run_scenes.file_id = files.id)"
)
"""Files of which nothing is known any more."""


def _old_prompts(current: Mapping[str, frozenset[str]]) -> str:
    """Which prompts are of no model in use; none where labels are switched off."""
    marks = ", ".join("?" * len(_clip(current)))
    return f"model NOT IN ({marks})" if marks else "0"


def _clip(current: Mapping[str, frozenset[str]]) -> Sequence[str]:
    return tuple(current.get("clip", ()))


def _parts(db: sqlite3.Connection, measured: bool) -> Iterator[Part]:
    tables = db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%'"
        " ESCAPE '!' ORDER BY name"
    ).fetchall()
    sizes = _sizes(db) if measured else None
    for (name,) in tables:
        yield Part(name, _count(db, name), None if sizes is None else sizes.get(name, 0))


def _sizes(db: sqlite3.Connection) -> dict[str, int] | None:
    """Return the bytes of each table with its indexes; None where SQLite was built without it."""
    try:
        rows = db.execute(
            "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_master"
            " ON sqlite_master.name = dbstat.name WHERE aggregate = 1 GROUP BY tbl_name"
        ).fetchall()
    except sqlite3.OperationalError:
        return None
    return {row[0]: int(row[1]) for row in rows}


def _detectors(db: sqlite3.Connection) -> Iterator[Seen]:
    rows = db.execute(
        "SELECT detector, model, count(DISTINCT file_id), count(*), sum(observations),"
        " coalesce(sum(length(float16)), 0) FROM analyses"
        " LEFT JOIN embeddings ON analysis_id = analyses.id"
        " GROUP BY detector, model ORDER BY detector, max(analyses.id) DESC"
    )
    yield from (Seen(*row) for row in rows)


def _count(db: sqlite3.Connection, which: str, values: Sequence[str] = ()) -> int:
    return int(db.execute(f"SELECT count(*) FROM {which}", values).fetchone()[0])
