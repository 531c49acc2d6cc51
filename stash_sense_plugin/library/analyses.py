"""What detectors saw, kept by the file's fingerprint: analyse once, decide forever."""

import hashlib
import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.database import Database
from stash_sense_plugin.records import Box, Fingerprint, FrameSource, Observation, Ran, Vectors

_NEWEST = """
    SELECT analyses.*, samplings.source, samplings.duration_s
    FROM analyses
    JOIN files ON files.id = analyses.file_id
    JOIN samplings ON samplings.id = analyses.sampling_id
    WHERE files.oshash = ? AND files.size_bytes = ? AND analyses.detector = ?
      AND (? IS NULL OR analyses.model = ?) AND (? IS NULL OR analyses.sampling_key = ?)
      AND (? IS NULL OR analyses.floor <= ?)
    ORDER BY analyses.id DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Vectors of frames, without an observation for each."""

    times_s: tuple[float, ...]
    vectors: Vectors
    """float32 [frames, dimensions], rows of length 1, through float16."""


@dataclass(frozen=True, slots=True)
class StoredAnalysis:
    """One detector's look at one sampling of a file, as it was saved."""

    sampling_key: str
    source: FrameSource
    duration_s: float | None
    times_s: tuple[float, ...]
    """Of the frames that were looked at, in their order."""
    observations: tuple[Observation, ...]
    """In the order they were made; vectors are float32 of length 1, through float16."""
    ran: Ran
    """As it was then: `seconds` is what the look took."""
    saved_at_s: float
    floor: float = 0.0
    """Observations of a lower score were not kept."""
    embedded: Embedded | None = None
    """The vectors, where they were read apart: the observations have none then."""


class Analyses(Database):
    """The part of the store that holds samplings, observations and vectors."""

    def save_analysis(
        self,
        fingerprint: Fingerprint,
        sampling_key: str,
        source: FrameSource,
        duration_s: float | None,
        times_s: Sequence[float],
        detector: str,
        model: str,
        observations: Iterable[Observation],
        ran: Ran,
        *,
        floor: float = 0.0,
    ) -> None:
        """Keep a look at a file, in place of an earlier one with the same keys; wholly or not.

        Nothing seen is kept as well. Observations below `floor` were left out before.
        Raises StoreError for what could not be read back as it was: another detector's
        observations, several scenes', a number that is not finite.
        """
        seen = tuple(observations)
        _check(times_s, duration_s, detector, model, seen)
        vectors = _stack(seen)
        with self.write() as db:
            file_id = file_row(db, fingerprint)
            sampling = sampling_row(db, file_id, sampling_key, source, duration_s, times_s)
            key = (file_id, detector, model, sampling_key)
            db.execute(
                "DELETE FROM analyses WHERE file_id = ? AND detector = ? AND model = ?"
                " AND sampling_key = ?",
                key,
            )
            scene_key = seen[0].scene_key if seen else ""
            looked = (ran.device, ran.precision, ran.frames, float(ran.seconds), len(seen))
            analysis = db.execute(
                "INSERT INTO analyses (file_id, detector, model, sampling_key, sampling_id,"
                " scene_key, device, precision, frames, seconds, observations, saved_at_s, floor)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, sampling, scene_key, *looked, self.clock(), float(floor)),
            ).lastrowid
            db.executemany(
                "INSERT INTO observations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                _observation_rows(analysis, seen),
            )
            if len(vectors):
                db.execute(
                    "INSERT INTO embeddings VALUES (?, ?, ?, ?)",
                    (analysis, *vectors.shape, _little(vectors, "<f2")),
                )
            drop_unused_samplings(db, file_id)

    def analysis(
        self,
        fingerprint: Fingerprint,
        sampling_key: str,
        detector: str,
        model: str,
        *,
        scene_key: str | None = None,
        floor: float | None = None,
    ) -> StoredAnalysis | None:
        """Return what this detector saw in this sampling of the file, or None if it never looked.

        The observations take `scene_key` where one is given: the file may now be another scene's.
        With a `floor`, a look that kept less than what is above it is none.
        """
        return self._stored(fingerprint, detector, model, sampling_key, scene_key, floor)

    def latest_analysis(
        self,
        fingerprint: Fingerprint,
        detector: str,
        model: str | None = None,
        *,
        scene_key: str | None = None,
    ) -> StoredAnalysis | None:
        """Return the newest look at the file, whatever its sampling, for when it cannot be read.

        Without a model, any version of the detector serves: `ran` says which it was.
        """
        return self._stored(fingerprint, detector, model, None, scene_key)

    def _stored(
        self,
        fingerprint: Fingerprint,
        detector: str,
        model: str | None,
        sampling_key: str | None,
        scene_key: str | None,
        floor: float | None = None,
    ) -> StoredAnalysis | None:
        file = (fingerprint.oshash, fingerprint.size_bytes)
        with self.read() as db:
            row = db.execute(
                _NEWEST,
                (*file, detector, model, model, sampling_key, sampling_key, floor, floor),
            ).fetchone()
            return None if row is None else self._assemble(db, row, scene_key)

    def _assemble(
        self, db: sqlite3.Connection, row: sqlite3.Row, scene_key: str | None
    ) -> StoredAnalysis:
        times = db.execute(
            "SELECT time_s FROM frames WHERE sampling_id = ? ORDER BY place", (row["sampling_id"],)
        ).fetchall()
        seen = db.execute(
            "SELECT * FROM observations WHERE analysis_id = ? ORDER BY place", (row["id"],)
        ).fetchall()
        vectors = self._vectors(db, row["id"])
        key = row["scene_key"] if scene_key is None else scene_key
        looked = (row["device"], row["precision"], row["frames"], row["seconds"])
        return StoredAnalysis(
            sampling_key=row["sampling_key"],
            source=FrameSource(row["source"]),
            duration_s=row["duration_s"],
            times_s=tuple(each["time_s"] for each in times),
            observations=tuple(
                observation_of(each, key, row["detector"], row["model"], vectors) for each in seen
            ),
            ran=Ran(row["detector"], row["model"], *looked),
            saved_at_s=row["saved_at_s"],
            floor=row["floor"],
        )

    def _vectors(self, db: sqlite3.Connection, analysis: int) -> Vectors:
        row = db.execute(
            "SELECT count, dimensions, float16 FROM embeddings WHERE analysis_id = ?", (analysis,)
        ).fetchone()
        if row is None:
            return np.empty((0, 0), np.float32)
        try:
            return read_vectors(row["float16"], row["count"], row["dimensions"])
        except ValueError as error:
            raise damaged(self.path, f"vectors of analysis {analysis}") from error


class StorePrompts:
    """Remembers prompts' vectors between runs, so that CLIP's text half is seldom loaded."""

    def __init__(self, store: Database) -> None:
        self._store = store

    def get(self, model: str, text: str) -> NDArray[np.float32] | None:
        """Return the vector that was put (dimensions, float32), or None."""
        with self._store.read() as db:
            row = db.execute(
                "SELECT float32 FROM prompts WHERE model = ? AND text = ?", (model, text)
            ).fetchone()
        return None if row is None else np.frombuffer(row[0], "<f4").astype(np.float32)

    def put(self, model: str, text: str, vector: NDArray[np.float32]) -> None:
        """Keep the vector (dimensions, float32) bit for bit."""
        with self._store.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO prompts VALUES (?, ?, ?)",
                (model, text, _little(np.asarray(vector), "<f4")),
            )


def read_vectors(float16: bytes, count: int, dimensions: int) -> Vectors:
    """Return vectors as they were kept: float32 [count, dimensions], rows of length 1.

    Rows of zeros stay so. Raises ValueError where the size does not fit.
    """
    vectors = np.frombuffer(float16, "<f2").reshape(count, dimensions).astype(np.float32)
    # They were of length 1 before they were rounded: nothing here overflows, unlike in `unit`.
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    scaled: Vectors = np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return scaled


def damaged(path: Path, what: str) -> StoreError:
    """Say that a part of the store is not as it was written."""
    return StoreError(
        f"{path} is damaged ({what})",
        "put a backup in its place, or move it away to begin a new store",
    )


def as_kept(seen: Iterable[Observation]) -> list[Observation]:
    """Return observations as the store gives them back: its vectors are rounded.

    So a scene is decided at its first look as it is ever after.
    """
    held = tuple(seen)
    stacked = _stack(held)
    if not len(stacked):
        return list(held)
    rows = iter(read_vectors(_little(stacked, "<f2"), *stacked.shape))
    return [each if each.vector is None else replace(each, vector=next(rows)) for each in held]


def unit(vectors: NDArray[np.floating[Any]]) -> Vectors:
    """Return the rows (count x dimensions) scaled to length 1, float32; rows of zeros stay so."""
    wide = vectors.astype(np.float64)
    # Scaled by the largest first: the squares of very large or small numbers leave float64.
    largest = np.abs(wide).max(axis=1, keepdims=True, initial=0)
    wide = np.divide(wide, largest, out=np.zeros_like(wide), where=largest > 0)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    scaled: Vectors = np.divide(wide, lengths, out=wide, where=lengths > 0).astype(np.float32)
    return scaled


def file_row(db: sqlite3.Connection, fingerprint: Fingerprint) -> int:
    """Return the file's row, new where there was none."""
    file = (fingerprint.oshash, fingerprint.size_bytes)
    db.execute("INSERT OR IGNORE INTO files (oshash, size_bytes) VALUES (?, ?)", file)
    found = db.execute("SELECT id FROM files WHERE oshash = ? AND size_bytes = ?", file)
    return int(found.fetchone()[0])


def _check(
    times_s: Sequence[float],
    duration_s: float | None,
    detector: str,
    model: str,
    seen: Sequence[Observation],
) -> None:
    whose = f"The store refused {detector} ({model})"
    if len({each.scene_key for each in seen}) > 1:
        raise StoreError(f"{whose}: its observations are of several scenes")
    for each in seen:
        if (each.detector, each.model) != (detector, model):
            raise StoreError(f"{whose}: an observation is of {each.detector} ({each.model})")
        if not all(map(math.isfinite, _numbers(each))):
            raise StoreError(f"{whose}: {each.label} has a number that is not finite")
    if not all(map(math.isfinite, [*times_s, duration_s or 0])):
        raise StoreError(f"{whose}: a time is not finite")


def _numbers(seen: Observation) -> list[float]:
    box = [] if seen.box is None else [seen.box.x, seen.box.y, seen.box.w, seen.box.h]
    return [seen.time_s, seen.score, *box]


def _stack(seen: Sequence[Observation]) -> Vectors:
    """Return the observations' vectors as rows in their order; StoreError where they differ."""
    vectors = [each.vector for each in seen if each.vector is not None]
    if not vectors:
        return np.empty((0, 0), np.float32)
    if len({each.shape for each in vectors}) > 1 or vectors[0].ndim != 1:
        raise StoreError(f"The store refused {seen[0].model}: its vectors differ in shape")
    stacked = np.stack(vectors)
    if not np.isfinite(stacked).all():
        raise StoreError(f"The store refused {seen[0].model}: a vector is not finite")
    return unit(stacked)


def _little(array: NDArray[np.floating[Any]], dtype: str) -> bytes:
    """Return the array's bytes, little-endian on every machine, so that a store can move."""
    return array.astype(dtype).tobytes()


def sampling_row(
    db: sqlite3.Connection,
    file_id: int,
    key: str,
    source: FrameSource,
    duration_s: float | None,
    times_s: Sequence[float],
) -> int:
    """Return the row of a sampling of the file, new where there was none."""
    times = [float(each) for each in times_s]
    duration_s = None if duration_s is None else float(duration_s)
    facts = f"{source.value} {duration_s} {times}".encode()
    digest = hashlib.blake2b(facts, digest_size=16).digest()
    found = db.execute(
        "SELECT id FROM samplings WHERE file_id = ? AND key = ? AND digest = ?",
        (file_id, key, digest),
    ).fetchone()
    if found is not None:
        return int(found[0])
    row = db.execute(
        "INSERT INTO samplings (file_id, key, digest, source, duration_s) VALUES (?, ?, ?, ?, ?)",
        (file_id, key, digest, source.value, duration_s),
    ).lastrowid
    assert row is not None
    db.executemany(
        "INSERT INTO frames VALUES (?, ?, ?)", ((row, *each) for each in enumerate(times))
    )
    return row


def drop_unused_samplings(db: sqlite3.Connection, file_id: int) -> None:
    """Drop those of the file's samplings of which no look is left."""
    db.execute(
        "DELETE FROM samplings WHERE file_id = ? AND NOT EXISTS"
        " (SELECT 1 FROM analyses WHERE analyses.sampling_id = samplings.id)",
        (file_id,),
    )


def _observation_rows(
    analysis: int | None, seen: Sequence[Observation]
) -> Iterable[tuple[Any, ...]]:
    vector_row = 0
    for place, each in enumerate(seen):
        numbers = [float(number) for number in _numbers(each)]
        time_s, score, *box = numbers if each.box else [*numbers, *(None,) * 4]
        has_vector = each.vector is not None
        where = (analysis, place, int(each.frame_index), time_s)
        track = None if each.track is None else int(each.track)
        row = vector_row if has_vector else None
        yield (*where, each.label, score, *box, each.text, track, row)
        vector_row += has_vector


def observation_of(
    row: sqlite3.Row, scene_key: str, detector: str, model: str, vectors: Vectors | None
) -> Observation:
    """Return a row as it was seen; without `vectors` it has none."""
    box = None if row["x"] is None else Box(row["x"], row["y"], row["w"], row["h"])
    place = row["vector_row"]
    return Observation(
        scene_key=scene_key,
        frame_index=row["frame_index"],
        time_s=row["time_s"],
        detector=detector,
        model=model,
        label=row["label"],
        score=row["score"],
        box=box,
        text=row["text"],
        track=row["track"],
        vector=None if place is None or vectors is None else vectors[place],
    )
