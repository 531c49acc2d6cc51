"""What detectors saw in the files of many scenes, read in blocks: what deciding again goes by."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.analyses import (
    Embedded,
    StoredAnalysis,
    damaged,
    observation_of,
    read_vectors,
)
from stash_sense_plugin.library.database import Database
from stash_sense_plugin.records import Fingerprint, FrameSource, Observation, Ran

Wanted = tuple[str, str | None]
"""A detector's name and its model; None where it cannot say which."""

EMBEDS = "clip"
"""Its vectors are of one model's space: what another model saw does not stand in for them."""

_ANALYSES = """
    SELECT analyses.*, samplings.source, samplings.duration_s,
        coalesce(count * dimensions * 2, 0) AS vector_bytes
    FROM analyses
    JOIN samplings ON samplings.id = analyses.sampling_id
    LEFT JOIN embeddings ON embeddings.analysis_id = analyses.id
    WHERE analyses.file_id IN ({marks})
    ORDER BY analyses.id DESC
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """Looks at one file that are to be read."""

    file_id: int
    rows: tuple[sqlite3.Row, ...]
    """In the order of the detectors that they are wanted for."""

    @property
    def vector_bytes(self) -> int:
        """How much their vectors take in the store."""
        return sum(row["vector_bytes"] for row in self.rows)


def file_ids(store: Database, files: Iterable[Fingerprint]) -> list[int]:
    """Return the store's numbers of these files, in their order; unknown ones have none."""
    with store.read() as db:
        found = [
            db.execute(
                "SELECT id FROM files WHERE oshash = ? AND size_bytes = ?",
                (file.oshash, file.size_bytes),
            ).fetchone()
            for file in files
        ]
    return [int(row[0]) for row in found if row is not None]


def kept_looks(
    store: Database,
    file_ids: Sequence[int],
    wanted: Sequence[Wanted],
    words_of: Mapping[str, str] = MappingProxyType({}),
) -> dict[int, Kept]:
    """Choose what counts of each file: the newest look of each detector's own model.

    Where that model has not looked, the newest of another stands in, unless `words_of` (word list
    by network) says that it speaks other words; and but for vectors: words are compared with those
    of their own model alone. A file without any look has none here.
    """
    found: defaultdict[int, list[sqlite3.Row]] = defaultdict(list)
    with store.read() as db:
        for row in db.execute(_ANALYSES.format(marks=_marks(file_ids)), tuple(file_ids)):
            found[row["file_id"]].append(row)
    chosen = {file_id: _chosen(rows, wanted, words_of) for file_id, rows in found.items()}
    return {file_id: Kept(file_id, rows) for file_id, rows in chosen.items() if rows}


def _chosen(
    rows: Sequence[sqlite3.Row], wanted: Sequence[Wanted], words_of: Mapping[str, str]
) -> tuple[sqlite3.Row, ...]:
    """Return for each detector the newest row that serves it, and no row twice."""
    own = set(wanted)
    taken: dict[int, sqlite3.Row] = {}
    for detector, model in wanted:
        for row in rows:
            if (row["detector"], row["model"]) == (detector, model):
                taken[row["id"]] = row
                break
        else:
            others = (
                row
                for row in rows
                if row["detector"] == detector != EMBEDS
                and (detector, row["model"]) not in own
                and row["id"] not in taken
                and _speak_alike(model, row["model"], words_of)
            )
            if (other := next(others, None)) is not None:
                taken[other["id"]] = other
    return tuple(taken.values())


def _speak_alike(model: str | None, other: str, words_of: Mapping[str, str]) -> bool:
    """Whether two networks may speak the same words: of one that is not listed nobody knows."""
    known = [words_of.get(each.partition("@")[0]) for each in (model or "", other)]
    return None in known or known[0] == known[1]


def read_looks(
    store: Database, kept: Sequence[Kept], words: Collection[str] | None = None
) -> dict[int, list[StoredAnalysis] | StoreError]:
    """Read the looks at some files, with few queries for all.

    Only observations of these `words` are read, where they are given: a tagger sees hundreds in
    each frame that nobody asks for. Vectors come apart from observations, as `embedded`. A file
    whose looks are damaged has its error, which names it, and the others are read. Raises
    StoreError for what concerns them all.
    """
    try:
        return _Reading(store, kept, words).looks()
    except StoreError as error:
        if not _is_damage(error):
            raise
        if len(kept) == 1:
            return {kept[0].file_id: error}
    # One bad page fails the whole query: each file is asked for by itself.
    single: dict[int, list[StoredAnalysis] | StoreError] = {}
    for each in kept:
        single |= read_looks(store, [each], words)
    return single


def _is_damage(error: StoreError) -> bool:
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_CORRUPT


class _Reading:
    """The looks at some files in the making."""

    def __init__(
        self, store: Database, kept: Sequence[Kept], words: Collection[str] | None
    ) -> None:
        self._store = store
        self._kept = kept
        rows = [row for each in kept for row in each.rows]
        embedding = {row["id"] for row in rows if row["vector_bytes"]}
        with store.read_beside() as db:
            self._blobs = dict(_blobs(db, embedding))
            self._vector_times = _vector_times(db, embedding)
            self._seen = _seen(db, {row["id"]: row for row in rows if row["observations"]}, words)
            plain = {row["sampling_id"] for row in rows if row["id"] not in embedding}
            self._times = _grouped(db, "frames", "sampling_id", plain)

    def looks(self) -> dict[int, list[StoredAnalysis] | StoreError]:
        found: dict[int, list[StoredAnalysis] | StoreError] = {}
        for each in self._kept:
            try:
                found[each.file_id] = [self._look(row) for row in each.rows]
            except ValueError as error:
                found[each.file_id] = damaged(
                    self._store.path, f"what was seen in file {each.file_id}: {error}"
                )
        return found

    def _look(self, row: sqlite3.Row) -> StoredAnalysis:
        looked = (row["device"], row["precision"], row["frames"], row["seconds"])
        embedded = self._embedded(row) if row["vector_bytes"] else None
        times = embedded.times_s if embedded else self._times.get(row["sampling_id"], ())
        return StoredAnalysis(
            sampling_key=row["sampling_key"],
            source=FrameSource(row["source"]),
            duration_s=row["duration_s"],
            times_s=times,
            observations=tuple(self._seen.get(row["id"], ())),
            ran=Ran(row["detector"], row["model"], *looked),
            saved_at_s=row["saved_at_s"],
            floor=row["floor"],
            embedded=embedded,
        )

    def _embedded(self, row: sqlite3.Row) -> Embedded:
        count, dimensions, float16 = self._blobs[row["id"]]
        times = self._vector_times.get(row["id"], ())
        if len(times) != count:
            raise ValueError(f"{count} vectors for {len(times)} frames")
        return Embedded(times, read_vectors(float16, count, dimensions))


def _blobs(
    db: sqlite3.Connection, analyses: Iterable[int]
) -> Iterator[tuple[int, tuple[int, int, bytes]]]:
    ids = tuple(analyses)
    for row in db.execute(
        "SELECT analysis_id, count, dimensions, float16 FROM embeddings"
        f" WHERE analysis_id IN ({_marks(ids)})",
        ids,
    ):
        yield row[0], (row[1], row[2], row[3])


def _vector_times(db: sqlite3.Connection, analyses: Iterable[int]) -> dict[int, tuple[float, ...]]:
    return _grouped(db, "observations", "analysis_id", analyses, "AND vector_row IS NOT NULL")


def _grouped(
    db: sqlite3.Connection, table: str, key: str, ids: Iterable[int], more: str = ""
) -> dict[int, tuple[float, ...]]:
    """Return times by what they belong to, in their order there."""
    wanted = tuple(ids)
    cursor = db.cursor()
    # There is a row for each frame of each scene: names for its two columns cost more than it.
    cursor.row_factory = None
    rows = cursor.execute(
        f"SELECT {key}, time_s FROM {table} WHERE {key} IN ({_marks(wanted)}) {more}"
        f" ORDER BY {key}, place",
        wanted,
    ).fetchall()
    times: defaultdict[int, list[float]] = defaultdict(list)
    for owner, time_s in rows:
        times[owner].append(time_s)
    return {owner: tuple(each) for owner, each in times.items()}


def _seen(
    db: sqlite3.Connection,
    analyses: Mapping[int, sqlite3.Row],
    words: Collection[str] | None = None,
) -> dict[int, list[Observation]]:
    """Return observations without vectors, by analysis; of some words, or of all."""
    ids = tuple(analyses)
    asked = () if words is None else tuple(words)
    only = "" if words is None else f" AND label IN ({_marks(asked)})"
    found: defaultdict[int, list[Observation]] = defaultdict(list)
    for row in db.execute(
        f"SELECT * FROM observations WHERE analysis_id IN ({_marks(ids)})"
        f" AND vector_row IS NULL{only} ORDER BY analysis_id, place",
        (*ids, *asked),
    ):
        of = analyses[row["analysis_id"]]
        found[row["analysis_id"]].append(
            observation_of(row, of["scene_key"], of["detector"], of["model"], None)
        )
    return found


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
