"""One vector for each file: the mean of its frames', and which files lie nearest to one."""

import heapq
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.library.analyses import damaged, read_vectors, unit
from stash_sense_plugin.library.database import Database
from stash_sense_plugin.records import Fingerprint

log = logging.getLogger(__name__)

Vector = NDArray[np.float32]

BLOCK = 64
"""Files whose frames' vectors are held at a time: some 100 kB each."""

_NEWEST = """
    SELECT analyses.file_id, oshash, size_bytes, scene_key, max(analyses.id),
        count, dimensions, float16
    FROM analyses
    JOIN files ON files.id = analyses.file_id
    JOIN embeddings ON embeddings.analysis_id = analyses.id
    WHERE detector = ? AND model = ?
"""
"""SQLite takes the other columns from the row that has the maximum."""
_ONE = f"{_NEWEST} AND oshash = ? AND size_bytes = ? GROUP BY analyses.file_id"
_SOME = f"{_NEWEST} AND analyses.file_id > ? GROUP BY analyses.file_id ORDER BY 1 LIMIT {BLOCK}"


@dataclass(frozen=True, slots=True, eq=False)
class FileVector:
    """What one file looks like as a whole."""

    file_id: int
    fingerprint: Fingerprint
    scene_key: str
    """Whose frames they were when they were looked at: a scene's id, or a file's path."""
    vector: Vector
    """float32 [dimensions], of length 1."""


@dataclass(frozen=True, slots=True)
class Near:
    """A file and how alike it looks."""

    cosine: float
    file_id: int
    fingerprint: Fingerprint
    scene_key: str


def scene_vector(
    store: Database, fingerprint: Fingerprint, detector: str, model: str
) -> Vector | None:
    """Return the mean of a file's frames' vectors, float32 [dimensions], of length 1.

    It is that of the newest look by this very model; None where it has not looked, or saw
    nothing. Raises StoreError where what was kept is damaged.
    """
    key = (detector, model, fingerprint.oshash, fingerprint.size_bytes)
    with store.read() as db:
        row = db.execute(_ONE, key).fetchone()
    try:
        return None if row is None else _mean(row)
    except ValueError as error:
        raise damaged(store.path, f"vectors of file {row['file_id']}") from error


def file_vectors(store: Database, detector: str, model: str) -> Iterator[FileVector]:
    """Yield the vector of every file that this very model looked at, some at a time.

    What is damaged is said in the log and left out.
    """
    after = 0
    while rows := _block(store, detector, model, after):
        for row in rows:
            try:
                vector = _mean(row)
            except ValueError:
                log.warning("Vectors of file %d are damaged: it is left out", row["file_id"])
                continue
            if vector is not None:
                yield FileVector(row["file_id"], _file(row), row["scene_key"], vector)
        after = rows[-1]["file_id"]


def nearest(
    vectors: Iterable[FileVector], wanted: Vector, count: int, but: frozenset[Fingerprint]
) -> list[Near]:
    """Return the files that look most like `wanted` (float32 [dimensions], of length 1).

    The most alike come first; `but` are left out. Exact: every vector is compared.
    """
    each = (
        Near(float(one.vector @ wanted), one.file_id, one.fingerprint, one.scene_key)
        for one in vectors
        if one.fingerprint not in but and one.vector.shape == wanted.shape
    )
    return heapq.nlargest(count, each, key=lambda near: (near.cosine, -near.file_id))


def scenes_of(store: Database, file_ids: Iterable[int]) -> dict[int, list[tuple[str, str]]]:
    """Return the ids and paths of the scenes that have these files."""
    found: dict[int, list[tuple[str, str]]] = {}
    with store.read() as db:
        for file_id in file_ids:
            rows = db.execute(
                "SELECT id, source FROM scenes WHERE file_id = ? ORDER BY id", (file_id,)
            ).fetchall()
            found[file_id] = [(row["id"], row["source"]) for row in rows]
    return found


def file_of(store: Database, scene_id: str) -> Fingerprint | None:
    """Return the file that a scene had when it was looked at last."""
    with store.read() as db:
        row = db.execute(
            "SELECT oshash, size_bytes FROM scenes JOIN files ON files.id = scenes.file_id"
            " WHERE scenes.id = ?",
            (scene_id,),
        ).fetchone()
    return None if row is None else _file(row)


def _block(store: Database, detector: str, model: str, after: int) -> list[sqlite3.Row]:
    with store.read() as db:
        return db.execute(_SOME, (detector, model, after)).fetchall()


def _file(row: sqlite3.Row) -> Fingerprint:
    return Fingerprint(row["oshash"], row["size_bytes"])


def _mean(row: sqlite3.Row) -> Vector | None:
    """Return None where there is no frame, or where the frames cancel each other out."""
    vectors = read_vectors(row["float16"], row["count"], row["dimensions"])
    if not len(vectors):
        return None
    if not np.isfinite(vectors).all():
        raise ValueError("numbers that are none")
    mean: Vector = unit(vectors.mean(axis=0)[None])[0]
    return mean if mean.any() else None
