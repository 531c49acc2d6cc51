"""How much of a library is known: counts, and how quick the last looks were."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from stash_sense_plugin.library.database import Database

T = TypeVar("T")

LONG_S = 0.02
"""What takes longer is kept for a while."""
KEPT_TIMES = 20
"""So many times as long as it took."""

RUNS_TRIED = 10
"""Of so many runs the first is taken in which anything was looked at."""

_OF_STASH = "scenes.id != '' AND scenes.id NOT GLOB '*[^0-9]*'"
"""A file from the command line is no scene."""

_SCENES = f"""
    SELECT coalesce(sum(error_kind IS NULL AND (file_id IS NOT NULL OR EXISTS
            (SELECT 1 FROM run_scenes WHERE run_scenes.row = result_row))), 0),
        coalesce(sum(error_kind IS NOT NULL), 0)
    FROM scenes WHERE {_OF_STASH}
"""

# What was undone waits for the user's word where it is suggested still.
_DECISIONS = """
    SELECT coalesce(sum(decision = 1 OR (undone AND decision = 2)), 0),
        coalesce(sum(decision = 2 AND NOT undone), 0),
        coalesce(sum(decision = 0 AND NOT undone), 0)
    FROM suggestions
"""

_COVERAGE = f"""
    SELECT detector, model, count(DISTINCT scenes.id) AS number
    FROM scenes CROSS JOIN analyses ON analyses.file_id = scenes.file_id
    WHERE {_OF_STASH} GROUP BY detector, model ORDER BY number DESC, detector, model
"""

_RUNS = """
    SELECT id, begun_at_s FROM runs WHERE kind IN ('tag_scenes', 'evaluate')
        AND EXISTS (SELECT 1 FROM run_scenes WHERE run_id = runs.id)
    ORDER BY row DESC LIMIT ?
"""

_LOOKS = """
    SELECT saved_at_s, json_extract(result, '$.ran', '$.frames') FROM run_scenes WHERE row IN
        (SELECT row FROM run_scenes WHERE run_id = ? ORDER BY row DESC LIMIT ?)
    ORDER BY row DESC
"""


@dataclass(frozen=True, slots=True)
class Look:
    """One scene's look: how long it took, and what of it which detector took."""

    seconds: float
    """Since the scene before it was kept, or since the run began."""
    ran: Sequence[Mapping[str, Any]]
    """As results have it: detector, device, frames, seconds and more."""
    frames: int
    """How many were read, from wherever."""

    @property
    def detectors_s(self) -> float:
        """What all detectors took; 0 where the store had all answers."""
        return sum(float(each["seconds"]) for each in self.ran)


class LibraryCounts:
    """Counts over the store, each by one question however large the library is.

    What takes long is kept for a while, so that whoever asks again and again keeps nobody waiting.
    """

    def __init__(self, store: Database, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds that pass."""
        self._store, self._clock = store, clock
        self._kept: dict[str, tuple[float, object]] = {}

    def _lately(self, name: str, read: Callable[[], T]) -> T:
        """Return what was read lately, or read it anew."""
        until_s, told = self._kept.get(name, (0.0, None))
        begun_s = self._clock()
        if begun_s < until_s:
            return cast("T", told)
        found = read()
        ended_s = self._clock()
        if ended_s - begun_s >= LONG_S:
            self._kept[name] = (ended_s + KEPT_TIMES * (ended_s - begun_s), found)
        return found

    def scenes(self) -> tuple[int, int]:
        """Return how many scenes were looked at, and at how many the last look failed."""
        return self._lately("scenes", self._scenes)

    def _scenes(self) -> tuple[int, int]:
        with self._store.read() as db:
            looked_at, failed = db.execute(_SCENES).fetchone()
        return int(looked_at), int(failed)

    def decisions(self) -> tuple[int, int, int]:
        """Return how many suggestions wait, how many are written, and how many are refused."""
        return self._lately("decisions", self._decisions)

    def _decisions(self) -> tuple[int, int, int]:
        with self._store.read() as db:
            ask, apply, refused = db.execute(_DECISIONS).fetchone()
        return int(ask), int(apply), int(refused)

    def coverage(self) -> list[tuple[str, str, int]]:
        """Return each detector and model, and how many scenes it has looked at."""
        return self._lately("coverage", self._coverage)

    def _coverage(self) -> list[tuple[str, str, int]]:
        with self._store.read_beside() as db:
            return [(row[0], row[1], int(row[2])) for row in db.execute(_COVERAGE)]

    def last_looks(self, most: int) -> list[Look]:
        """Return the looks of the newest run in which a detector worked, the newest first."""
        return self._lately(f"looks {most}", lambda: self._last_looks(most))

    def _last_looks(self, most: int) -> list[Look]:
        with self._store.read() as db:
            runs = db.execute(_RUNS, (RUNS_TRIED,)).fetchall()
            for run_id, begun_at_s in runs:
                rows = db.execute(_LOOKS, (run_id, most + 1)).fetchall()
                looks = _looks(rows, begun_at_s if len(rows) <= most else None)
                if any(look.detectors_s for look in looks):
                    return looks
        return []


def _looks(rows: Sequence[Sequence[Any]], begun_at_s: float | None) -> list[Look]:
    """Return looks, the newest first, of rows in that order.

    Without the time of the run's beginning, nobody knows how long the oldest one took.
    """
    before = [row[0] for row in rows[1:]] + ([] if begun_at_s is None else [begun_at_s])
    looks = []
    for (saved_at_s, told), before_s in zip(rows, before, strict=False):
        ran, frames = json.loads(told)
        read = sum((frames or {}).values())
        looks.append(Look(max(0.0, saved_at_s - before_s), ran or (), read))
    return looks
