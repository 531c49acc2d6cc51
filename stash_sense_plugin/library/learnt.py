"""What evaluation learnt and the user agreed to: curves, thresholds, and the reports."""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stash_sense_plugin.calibration import Curve, curve_of
from stash_sense_plugin.library.database import Database, from_json, to_json

logger = logging.getLogger(__name__)

REPORTS_KEPT = 20
"""How many evaluations are kept, the newest."""


@dataclass(frozen=True, slots=True)
class LearntCurve:
    """A curve from a label's scores to probabilities; an empty label is the scale as a whole."""

    scale: str
    label: str
    curve: Curve
    positives: int
    negatives: int


@dataclass(frozen=True, slots=True)
class LearntThreshold:
    """The confidence from which a label is written, and how often it was right from there on."""

    label: str
    apply: float
    precision: float
    positives: int


class Learnt:
    """What was learnt, over the store."""

    def __init__(self, store: Database) -> None:
        self._store = store

    def fits(self) -> dict[tuple[str, str], Curve]:
        """Return the curves by scale and label: what `calibration.probability` takes."""
        with self._store.read() as db:
            rows = db.execute("SELECT scale, label, curve FROM fits").fetchall()
        found: dict[tuple[str, str], Curve] = {}
        for scale, label, text in rows:
            try:
                found[scale, label] = curve_of(from_json(text))
            except ValueError as error:
                # Of another version, perhaps: the shipped curve holds until the next evaluation.
                logger.warning("The curve of %s is passed over: %s", label or scale, error)
        return found

    def thresholds(self) -> dict[str, float]:
        """Return the confidence from which each label is written, where one was learnt."""
        with self._store.read() as db:
            return dict(db.execute("SELECT label, apply FROM thresholds").fetchall())

    def use(self, curves: Iterable[LearntCurve], thresholds: Iterable[LearntThreshold]) -> None:
        """Take these over, each in place of what was learnt of the same label; wholly or not.

        A threshold is of the confidences of its curve: where that is replaced, and no threshold
        comes with it, the old one means nothing and is dropped.
        """
        now = self._store.clock()
        fits = [
            (each.scale, each.label, to_json(each.curve.as_json()), each.positives, each.negatives)
            for each in curves
        ]
        limits = [(each.label, each.apply, each.precision, each.positives) for each in thresholds]
        with self._store.write(durable=True) as db:
            db.executemany(
                "INSERT OR REPLACE INTO fits VALUES (?, ?, ?, ?, ?, ?)",
                [(*row, now) for row in fits],
            )
            db.executemany("DELETE FROM thresholds WHERE label = ?", [(row[1],) for row in fits])
            db.executemany(
                "INSERT OR REPLACE INTO thresholds VALUES (?, ?, ?, ?, ?)",
                [(*row, now) for row in limits],
            )

    def forget(self) -> int:
        """Go back to the shipped curves and the vocabulary's thresholds; how many were dropped."""
        with self._store.write(durable=True) as db:
            dropped = db.execute("DELETE FROM fits").rowcount
            return dropped + db.execute("DELETE FROM thresholds").rowcount

    # --- What evaluation goes by

    def first_tags(self) -> dict[str, frozenset[str]]:
        """Return by scene the ids of the tags that Stash had at our first look at it."""
        with self._store.read() as db:
            rows = db.execute(
                "SELECT id, first_tags FROM scenes WHERE first_tags IS NOT NULL"
            ).fetchall()
        return {scene_id: frozenset(map(str, json.loads(tags))) for scene_id, tags in rows}

    def ever_written(self) -> dict[str, frozenset[str]]:
        """Return by scene the ids of the tags that we ever wrote to it, ours still or not."""
        with self._store.read() as db:
            rows = db.execute(
                "SELECT DISTINCT scene_id, target_id FROM ledger"
                " WHERE action = 'add-tag' AND outcome IN ('ours', 'intended')"
            ).fetchall()
        found: defaultdict[str, set[str]] = defaultdict(set)
        for scene_id, tag_id in rows:
            found[scene_id].add(tag_id)
        return {scene_id: frozenset(tags) for scene_id, tags in found.items()}

    # --- Reports

    def keep_report(self, report: Mapping[str, Any]) -> None:
        """Keep an evaluation's figures, so that a later one can be compared."""
        with self._store.write() as db:
            db.execute(
                "INSERT INTO evaluations (report, made_at_s) VALUES (?, ?)",
                (to_json(report), self._store.clock()),
            )
            db.execute(
                "DELETE FROM evaluations WHERE row <= (SELECT max(row) FROM evaluations) - ?",
                (REPORTS_KEPT,),
            )

    def last_report(self) -> dict[str, Any] | None:
        """Return the newest evaluation's figures, or None."""
        kept = self.last_evaluation()
        return None if kept is None else kept[1]

    def last_evaluation(self) -> tuple[float, dict[str, Any]] | None:
        """Return when the newest evaluation was made (seconds since 1970), and its figures."""
        with self._store.read() as db:
            row = db.execute(
                "SELECT made_at_s, report FROM evaluations ORDER BY row DESC LIMIT 1"
            ).fetchone()
        return None if row is None else (row[0], from_json(row[1]))
