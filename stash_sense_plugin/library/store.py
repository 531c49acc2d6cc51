"""The store: everything that Stash Sense knows between runs, in one SQLite file."""

from collections.abc import Mapping
from dataclasses import dataclass

from stash_sense_plugin.library.analyses import Analyses, StoredAnalysis, StorePrompts
from stash_sense_plugin.library.results import Results, Run, SceneError, StoredResult
from stash_sense_plugin.library.scenes import Decidable, Moves, Scenes

__all__ = [
    "Decidable",
    "LibraryIdentity",
    "Moves",
    "Run",
    "SceneError",
    "Store",
    "StorePrompts",
    "StoreStats",
    "StoredAnalysis",
    "StoredResult",
]

SAME_SHARE = 0.8
"""Where this share of the remembered scenes still there is as it was, it is the same library."""
OTHER_SHARE = 0.5
"""Where less than this share is as it was, at another path, it is another library."""

_COUNTS = {
    "files": "SELECT count(*) FROM files",
    "scenes": "SELECT count(*) FROM scenes",
    "analyses": "SELECT count(*) FROM analyses",
    # From the analyses' own sums: counting millions of rows would take seconds.
    "observations": "SELECT coalesce(sum(observations), 0) FROM analyses",
    "vectors": "SELECT coalesce(sum(count), 0) FROM embeddings",
    "prompts": "SELECT count(*) FROM prompts",
    "runs": "SELECT count(*) FROM runs",
    "results": "SELECT count(*) FROM run_scenes",
    "failed_scenes": "SELECT count(*) FROM scenes WHERE error_kind IS NOT NULL",
    "jobs": "SELECT count(*) FROM jobs",
    "ledger_rows": "SELECT count(*) FROM ledger",
    "refusals": "SELECT count(*) FROM verdicts WHERE said = 'refused'",
}


@dataclass(frozen=True, slots=True)
class LibraryIdentity:
    """Which library the store belongs to: Stash's database and some scenes' file hashes."""

    database_path: str
    samples: Mapping[str, str]
    """Scene id -> oshash, the longest known first."""
    remembered_at_s: float


@dataclass(frozen=True, slots=True)
class StoreStats:
    """How much the store holds."""

    files: int
    scenes: int
    analyses: int
    observations: int
    vectors: int
    prompts: int
    runs: int
    results: int
    failed_scenes: int
    jobs: int
    ledger_rows: int
    refusals: int
    bytes_on_disk: int


class Store(Analyses, Results, Scenes):
    """Everything kept between runs; opens on construction, closes with `with` or `close`.

    Raises StoreError where the file cannot be used, was written by a newer version of ours or
    belongs to another program.
    """

    def library_identity(self) -> LibraryIdentity | None:
        """Return which library the store belongs to, or None before it was told."""
        with self.read() as db:
            row = db.execute(
                "SELECT database_path, remembered_at_s FROM library_identity"
            ).fetchone()
            samples = dict(
                db.execute("SELECT scene_id, oshash FROM library_samples ORDER BY rowid").fetchall()
            )
        return None if row is None else LibraryIdentity(row[0], samples, row[1])

    def remember_library(self, database_path: str, samples: Mapping[str, str]) -> None:
        """Tie the store to a library, in place of what it knew: scene id -> oshash."""
        with self.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO library_identity VALUES (1, ?, ?)",
                (database_path, self.clock()),
            )
            db.execute("DELETE FROM library_samples")
            db.executemany("INSERT INTO library_samples VALUES (?, ?)", samples.items())

    def same_library(self, database_path: str, samples: Mapping[str, str]) -> bool | None:
        """Tell whether Stash still has the library that the store knows; None when unsure.

        `samples` is what Stash says now of the scenes in `library_identity().samples`; one that is
        gone is left out and says nothing, for users delete scenes. Hashes speak before the path,
        which a container may move; but what has the path that we know is never another library.
        """
        known = self.library_identity()
        if known is None:
            return None
        same_path = known.database_path == database_path
        here = [
            samples[scene] == oshash for scene, oshash in known.samples.items() if scene in samples
        ]
        if not here:
            return True if same_path else (False if known.samples else None)
        share = sum(here) / len(here)
        if share >= SAME_SHARE:
            return True
        return False if share < OTHER_SHARE and not same_path else None

    def stats(self) -> StoreStats:
        """Count what is held."""
        with self.read() as db:
            counts = {name: int(db.execute(sql).fetchone()[0]) for name, sql in _COUNTS.items()}
        return StoreStats(**counts, bytes_on_disk=self.size_bytes())
