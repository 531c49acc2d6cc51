"""Writes what the store knows as JSON lines, so that another machine can take it over.

The first line says what it is, the last how many lines there were; docs/store.md describes all.
The ledger is left out: it is about what was written to one Stash, which knows that itself.
"""

import base64
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stash_sense_plugin.library.database import Database, from_json, printable
from stash_sense_plugin.library.scenes import LOOKED_AT_TO_TAG

FORMAT = "stash-sense-store"
VERSION = 1
PAGE = 20
"""Rows that are read at a time, so that nobody waits long for the store, nor memory fills up."""

Line = dict[str, Any]
Check = Callable[[float], None]
"""Told how far it is, 0..1; it raises Cancelled where the work is to stop."""

_ANALYSES = """
    SELECT analyses.*, files.oshash, files.size_bytes, samplings.source, samplings.duration_s,
        embeddings.count, embeddings.dimensions, embeddings.float16
    FROM analyses
    JOIN files ON files.id = analyses.file_id
    JOIN samplings ON samplings.id = analyses.sampling_id
    LEFT JOIN embeddings ON embeddings.analysis_id = analyses.id
    WHERE analyses.id > ? ORDER BY analyses.id LIMIT ?
"""
_RESULTS = f"""
    SELECT scenes.rowid AS place, scenes.id AS scene_id, oshash, size_bytes, result, saved_at_s,
        decided, first_tags, last_tags
    FROM scenes
    JOIN run_scenes ON run_scenes.row = scenes.result_row
    JOIN files ON files.id = scenes.file_id
    WHERE scenes.rowid > ? AND error_kind IS NULL AND {LOOKED_AT_TO_TAG}
    ORDER BY scenes.rowid LIMIT ?
"""
_VERDICTS = """
    SELECT id, kind, name, said, source, oshash, size_bytes, detail, said_at_s FROM verdicts
    WHERE id > ? AND oshash != '' ORDER BY id LIMIT ?
"""
_LEARNT = {
    "fit": "SELECT scale, label, curve, positives, negatives, fitted_at_s FROM fits",
    "threshold": "SELECT label, apply, precision, positives, set_at_s FROM thresholds",
}
_LOOKED = ("device", "precision", "frames", "seconds", "floor", "saved_at_s")
_SEEN = ("frame_index", "time_s", "label", "score", "x", "y", "w", "h", "text", "track")
SEEN = (*_SEEN, "vector_row")
"""What an observation's list holds, in this order."""
SUGGESTED = ("kind", "target_id", "name", "label", "confidence", "decision", "undone")


def lines(store: Database, by: str, check: Check = lambda fraction: None) -> Iterator[str]:
    """Yield the whole store line after line, each with its end; `by` is our version.

    What is saved meanwhile may be among it or not; each line is whole.
    """
    counts: Counter[str] = Counter()
    total = _total(store)
    for line in _all(store, by):
        counts["lines"] += 1
        if line["is"] == "analysis" and total:
            counts["analyses"] += 1
            check(min(1.0, counts["analyses"] / total))
        yield _text(line)
    yield _text({"is": "end", "lines": counts["lines"]})


def _all(store: Database, by: str) -> Iterator[Line]:
    yield _head(store, by)
    yield from _paged(store, _ANALYSES, "id", _analysis)
    yield from _prompts(store)
    yield from _paged(store, _VERDICTS, "id", _verdict)
    for name, sql in _LEARNT.items():
        with store.read() as db:
            rows = db.execute(sql).fetchall()
        yield from ({"is": name, **_learnt(row)} for row in rows)
    yield from _paged(store, _RESULTS, "place", _result)


def _text(line: Line) -> str:
    # Of ASCII alone: it passes through any program and terminal as it is.
    return json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n"


def _total(store: Database) -> int:
    with store.read() as db:
        return int(db.execute("SELECT count(*) FROM analyses").fetchone()[0])


def _paged(
    store: Database,
    sql: str,
    place: str,
    line_of: Callable[[sqlite3.Connection, sqlite3.Row], Line],
) -> Iterator[Line]:
    after = 0
    while True:
        with store.read() as db:
            rows = db.execute(sql, (after, PAGE)).fetchall()
            page = [line_of(db, row) for row in rows]
        yield from page
        if len(rows) < PAGE:
            return
        after = rows[-1][place]


def _head(store: Database, by: str) -> Line:
    """Say what this is, and of which library the scenes are."""
    with store.read() as db:
        known = db.execute("SELECT database_path FROM library_identity").fetchone()
        samples = dict(db.execute("SELECT scene_id, oshash FROM library_samples ORDER BY rowid"))
    library = None if known is None else {"database_path": known[0], "samples": samples}
    made = {"by": by, "made_at_s": store.clock()}
    return {"is": FORMAT, "version": VERSION, **made, "library": library}


def _analysis(db: sqlite3.Connection, row: sqlite3.Row) -> Line:
    times = db.execute(
        "SELECT time_s FROM frames WHERE sampling_id = ? ORDER BY place", (row["sampling_id"],)
    )
    seen = db.execute(
        f"SELECT {', '.join(SEEN)} FROM observations WHERE analysis_id = ? ORDER BY place",
        (row["id"],),
    )
    vectors = None
    if row["float16"] is not None:
        vectors = {"count": row["count"], "dimensions": row["dimensions"]}
        vectors["float16"] = _base64(row["float16"])
    return {
        "is": "analysis",
        **_file(row),
        "detector": row["detector"],
        "model": row["model"],
        "sampling": row["sampling_key"],
        "source": row["source"],
        "duration_s": row["duration_s"],
        "times_s": [each[0] for each in times],
        **{name: row[name] for name in _LOOKED},
        "seen": [list(each) for each in seen],
        "vectors": vectors,
    }


def _prompts(store: Database) -> Iterator[Line]:
    with store.read() as db:
        rows = db.execute("SELECT model, text, float32 FROM prompts").fetchall()
    for model, text, vector in rows:
        yield {"is": "prompt", "model": model, "text": text, "float32": _base64(vector)}


def _verdict(db: sqlite3.Connection, row: sqlite3.Row) -> Line:
    """By file and name alone: another Stash has other ids."""
    called = from_json(row["detail"]).get("called") or row["name"]
    said = {name: row[name] for name in ("kind", "said", "source", "said_at_s")}
    return {"is": "verdict", **_file(row), "name": str(called), **said}


def _learnt(row: sqlite3.Row) -> Line:
    values = {name: row[name] for name in row.keys()}  # noqa: SIM118 - a row yields its values
    return {**values, "curve": from_json(values["curve"])} if "curve" in values else values


def _result(db: sqlite3.Connection, row: sqlite3.Row) -> Line:
    listed = db.execute(
        f"SELECT {', '.join(SUGGESTED)} FROM suggestions WHERE scene_id = ?", (row["scene_id"],)
    )
    tags = {name: _tags(row[name]) for name in ("first_tags", "last_tags")}
    return {
        "is": "result",
        "scene_id": row["scene_id"],
        **_file(row),
        "saved_at_s": row["saved_at_s"],
        "result": from_json(row["result"]),
        "decided": None if row["decided"] is None else _base64(row["decided"]),
        **tags,
        "suggestions": [list(each) for each in listed],
    }


def _tags(text: str | None) -> list[str] | None:
    return None if text is None else list(map(str, json.loads(text)))


def _file(row: sqlite3.Row) -> Mapping[str, Any]:
    return {"oshash": printable(row["oshash"]), "size_bytes": row["size_bytes"]}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
