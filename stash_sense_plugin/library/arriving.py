"""Takes over what another store wrote as lines; nothing in them is trusted.

The whole of the lines is checked before the first is kept, so that a file that is broken or cut
off changes nothing. Then they are kept some at a time; what is newer here stays, and taking over
the same lines again changes nothing.
"""

import base64
import binascii
import json
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stash_sense_plugin.calibration import curve_of
from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.analyses import (
    drop_unused_samplings,
    file_row,
    sampling_row,
)
from stash_sense_plugin.library.database import Database, to_json
from stash_sense_plugin.library.moving import FORMAT, SEEN, SUGGESTED, VERSION
from stash_sense_plugin.library.scenes import tags_json
from stash_sense_plugin.library.verdicts import Saying, keep
from stash_sense_plugin.records import Fingerprint, FrameSource, Said, Scene, folded

LONGEST_LINE = 32 * 2**20
"""Bytes: a look at a long scene with some thousand frames takes a few million."""
BATCH, BATCH_BYTES = 100, 8 * 2**20
"""Lines that are kept at a time, wholly or not: so many, or so long together."""
SAME_SHARE = 0.8
"""Where this share of the scenes that both know is of the same files, it is the same library."""

_MOST_NUMBER = 2**62
_LONGEST_TEXT = 100_000
_OSHASH = re.compile(r"[0-9a-f]{16}")
_KINDS = ("tag", "studio", "performer", "marker")

Line = dict[str, Any]
Lines = Iterable[bytes]


class Wrong(ValueError):
    """A line that no export wrote."""


def checked(lines: Lines, called: str) -> Line:
    """Read all lines and return the first; raises StoreError naming the first that is wrong.

    `called` is what a person calls the file.
    """
    head: Line | None = None
    number, ended = 0, False
    for number, (line, _) in enumerate(_parsed(lines, called), 1):
        try:
            if ended:
                raise Wrong("it comes after the last line")
            if head is None:
                head = _checked_head(line, called)
            elif line.get("is") == "end":
                ended = _checked_end(line, number)
            else:
                _check(line)
        except (ValueError, KeyError, TypeError, OverflowError, StoreError) as error:
            raise _broken(called, number, error) from error
    if head is None or not ended:
        raise StoreError(
            f"{called} is cut off after line {number}", "export it again; nothing was taken over"
        )
    return head


def take_over(
    store: Database,
    lines: Lines,
    called: str,
    check: Callable[[], None] = lambda: None,
) -> Counter[str]:
    """Keep what `checked` found right; returns how many of each kind came, `older` did not.

    A stop or a kill in between keeps whole batches; the same file again brings the rest.
    """
    counts: Counter[str] = Counter()
    batch: list[Line] = []
    length = 0
    arriving = _parsed(lines, called)
    head, _ = next(arriving)
    scenes_too = _same_library(store, head["library"])
    if scenes_too:
        _adopt(store, head["library"])
    for line, size in arriving:
        batch.append(line)
        length += size
        if len(batch) >= BATCH or length >= BATCH_BYTES:
            check()
            _keep_batch(store, batch, scenes_too, counts)
            batch, length = [], 0
    _keep_batch(store, batch, scenes_too, counts)
    return counts


# --- Reading ------------------------------------------------------------------------------------


def _parsed(lines: Lines, called: str) -> Iterator[tuple[Line, int]]:
    """Yield each line's object and how many bytes it takes."""
    for number, line in enumerate(lines, 1):
        try:
            if len(line) > LONGEST_LINE:
                raise Wrong(f"it is longer than {LONGEST_LINE} bytes")
            value = json.loads(line, parse_constant=_no_constant)
            if not isinstance(value, dict):
                raise Wrong("it is no object")
        except (ValueError, RecursionError) as error:
            raise _broken(called, number, error) from error
        yield value, len(line)


def _no_constant(word: str) -> float:
    raise Wrong(f"{word} is no number")


def _broken(called: str, number: int, error: Exception) -> StoreError:
    why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else error
    return StoreError(
        f"Line {number} of {called} cannot be read: {why}",
        "name a file that `store export` wrote, or export it again; nothing was taken over",
    )


def _checked_head(line: Line, called: str) -> Line:
    if line.get("is") != FORMAT:
        raise Wrong("it does not begin as an export of Stash Sense does")
    if line.get("version") != VERSION:
        raise Wrong(
            f"it is of version {line.get('version')!r}, and this Stash Sense knows {VERSION}:"
            " update the older of the two"
        )
    library = line["library"]
    if library is not None:
        _text(library["database_path"])
        for scene_id, oshash in _mapping(library["samples"]).items():
            _text(scene_id)
            _text(oshash)
    return line


def _checked_end(line: Line, number: int) -> bool:
    if line.get("lines") != number - 1:
        raise Wrong(f"{line.get('lines')!r} lines were written, and {number - 1} are here")
    return True


def _check(line: Line) -> None:
    check = _CHECKS.get(str(line.get("is")))
    if check is None:
        raise Wrong(f"nothing is called {line.get('is')!r}")
    check(line)


def _check_analysis(line: Line) -> None:
    _check_file(line)
    for name in ("detector", "model", "sampling", "device", "precision"):
        _text(line[name])
    _one_of(line["source"], tuple(FrameSource))
    if line["duration_s"] is not None:
        _number(line["duration_s"])
    for time_s in _list(line["times_s"]):
        _number(time_s)
    _whole(line["frames"])
    for name in ("seconds", "floor", "saved_at_s"):
        _number(line[name])
    vectors = 0 if line["vectors"] is None else _check_vectors(line["vectors"])
    for seen in _list(line["seen"]):
        _check_seen(_list(seen), vectors)


def _check_vectors(vectors: Mapping[str, Any]) -> int:
    count, dimensions = _whole(vectors["count"]), _whole(vectors["dimensions"])
    data = np.frombuffer(_bytes(vectors["float16"], 2), "<f2")
    if data.size != count * dimensions or not count:
        raise Wrong(f"its {data.size} numbers are not {count} vectors of {dimensions}")
    if not np.isfinite(data).all():
        raise Wrong("a vector has a number that is not finite")
    return count


def _check_seen(seen: Sequence[Any], vectors: int) -> None:
    if len(seen) != len(SEEN):
        raise Wrong(f"an observation has {len(seen)} parts, not {len(SEEN)}")
    frame_index, time_s, label, score, *box, text, track, vector_row = seen
    _whole(frame_index)
    _text(label)
    for number in (time_s, score, *(box if box != [None] * 4 else ())):
        _number(number)
    if text is not None:
        _text(text)
    if track is not None:
        _whole(track, least=-_MOST_NUMBER)
    if vector_row is not None and _whole(vector_row) >= vectors:
        raise Wrong(f"there is no vector {vector_row}")


def _check_prompt(line: Line) -> None:
    _text(line["model"])
    _text(line["text"])
    if not np.isfinite(np.frombuffer(_bytes(line["float32"], 4), "<f4")).all():
        raise Wrong("a prompt has a number that is not finite")


def _check_verdict(line: Line) -> None:
    _check_file(line)
    _one_of(line["kind"], _KINDS)
    _one_of(line["said"], tuple(Said))
    _one_of(line["source"], ("asked", "noticed"))
    _number(line["said_at_s"])
    if not folded(_text(line["name"])):
        raise Wrong("a verdict names nothing")


def _check_fit(line: Line) -> None:
    _text(line["scale"])
    _text(line["label"])
    try:
        curve_of(_mapping(line["curve"]))
    except ValueError as error:
        raise Wrong(str(error)) from error
    _whole(line["positives"])
    _whole(line["negatives"])
    _number(line["fitted_at_s"])


def _check_threshold(line: Line) -> None:
    _text(line["label"])
    for name in ("apply", "precision"):
        if not 0 <= _number(line[name]) <= 1:
            raise Wrong(f"{name} is not between 0 and 1")
    _whole(line["positives"])
    _number(line["set_at_s"])


def _check_result(line: Line) -> None:
    _check_file(line)
    _text(line["scene_id"])
    _number(line["saved_at_s"])
    _check_said(_mapping(line["result"]))
    if line["decided"] is not None:
        _bytes(line["decided"], 1)
    for name in ("first_tags", "last_tags"):
        for tag in [] if line[name] is None else _list(line[name]):
            _text(tag)
    for suggestion in _list(line["suggestions"]):
        _check_suggested(_list(suggestion))


def _check_said(result: Line) -> None:
    """What lists read of it has its form; all of it can be kept."""
    to_json(result)
    _text(result["source"])
    for suggestion in _list(result["suggestions"]):
        for name in ("kind", "name"):
            _text(_mapping(suggestion)[name])
        for name in ("ranges", "evidence"):
            for part in _list(suggestion.get(name, [])):
                _mapping(part)


def _check_suggested(parts: Sequence[Any]) -> None:
    if len(parts) != len(SUGGESTED):
        raise Wrong(f"a suggestion has {len(parts)} parts, not {len(SUGGESTED)}")
    kind, target_id, name, label, confidence, decision, undone = parts
    _one_of(kind, _KINDS)
    for text in (target_id, name, label):
        _text(text)
    _number(confidence)
    _one_of(decision, (0, 1, 2))
    _one_of(undone, (0, 1))


_CHECKS: Mapping[str, Callable[[Line], None]] = {
    "analysis": _check_analysis,
    "prompt": _check_prompt,
    "verdict": _check_verdict,
    "fit": _check_fit,
    "threshold": _check_threshold,
    "result": _check_result,
}


def _check_file(line: Line) -> None:
    if not _OSHASH.fullmatch(_text(line["oshash"])):
        raise Wrong(f"{line['oshash']!r} is no file's hash")
    _whole(line["size_bytes"])


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise Wrong(f"{str(value)[:60]!r} is no text of at most {_LONGEST_TEXT} characters")
    return value


def _number(value: object) -> float:
    # JSON reads 1e999 as infinite.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Wrong(f"{str(value)[:60]!r} is no number")
    return float(value)


def _whole(value: object, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST_NUMBER:
        raise Wrong(f"{str(value)[:60]!r} is no whole number")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise Wrong(f"{str(value)[:60]!r} is no list")
    return value


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Wrong(f"{str(value)[:60]!r} is no object")
    return value


def _one_of(value: object, allowed: Sequence[object]) -> None:
    if isinstance(value, bool) or value not in allowed:
        raise Wrong(f"{str(value)[:60]!r} is none of {', '.join(map(str, allowed))}")


def _bytes(value: object, unit: int) -> bytes:
    """Read base64; `unit` is how many bytes a number has."""
    try:
        data = base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Wrong("its bytes are not in base64") from error
    if len(data) % unit:
        raise Wrong(f"its {len(data)} bytes are no numbers of {unit} bytes each")
    return data


# --- Whose scenes they are ----------------------------------------------------------------------


def _same_library(store: Database, library: Line | None) -> bool:
    """Whether the scenes are of the Stash that this store knows; a new store takes any.

    Scenes have numbers, and each Stash its own: of another one only files and names are taken.
    """
    if library is None:
        return False
    with store.read() as db:
        known = db.execute("SELECT database_path FROM library_identity").fetchone()
        scenes = db.execute("SELECT count(*) FROM scenes").fetchone()[0]
        if known is None:
            return not scenes
        here = dict(db.execute("SELECT scene_id, oshash FROM library_samples").fetchall())
        for scene_id in library["samples"]:
            row = db.execute(
                "SELECT oshash FROM scenes JOIN files ON files.id = file_id WHERE scenes.id = ?",
                (scene_id,),
            ).fetchone()
            here.setdefault(scene_id, row and row[0])
    both = [
        here[scene_id] == oshash
        for scene_id, oshash in library["samples"].items()
        if here.get(scene_id)
    ]
    return bool(both) and sum(both) >= SAME_SHARE * len(both)


def _adopt(store: Database, library: Line) -> None:
    """Tie a new store to the library of the scenes that it takes over."""
    with store.write() as db:
        if db.execute("SELECT 1 FROM library_identity").fetchone() is None:
            db.execute(
                "INSERT INTO library_identity VALUES (1, ?, ?)",
                (library["database_path"], store.clock()),
            )
            db.executemany(
                "INSERT OR REPLACE INTO library_samples VALUES (?, ?)", library["samples"].items()
            )


# --- Keeping ------------------------------------------------------------------------------------


def _keep_batch(
    store: Database, batch: Sequence[Line], scenes_too: bool, counts: Counter[str]
) -> None:
    came: Counter[str] = Counter()
    with store.write() as db:
        for line in batch:
            name = line["is"]
            if name == "result" and not scenes_too:
                came["of another library"] += 1
            elif name in _KEEP:
                came[name if _KEEP[name](db, line, store) else "older"] += 1
    counts.update(came)


def _keep_analysis(db: sqlite3.Connection, line: Line, store: Database) -> bool:
    file_id = file_row(db, _fingerprint(line))
    whose = (file_id, line["detector"], line["model"])
    newest = db.execute(
        "SELECT max(saved_at_s) FROM analyses WHERE file_id = ? AND detector = ? AND model = ?",
        whose,
    ).fetchone()[0]
    # The last look that is kept is taken for the newest: an older one must not come after it.
    if newest is not None and newest >= line["saved_at_s"]:
        return False
    key = (*whose, line["sampling"])
    db.execute(
        "DELETE FROM analyses WHERE file_id = ? AND detector = ? AND model = ?"
        " AND sampling_key = ?",
        key,
    )
    source = FrameSource(line["source"])
    sampling = sampling_row(
        db, file_id, line["sampling"], source, line["duration_s"], line["times_s"]
    )
    looked = (line["device"], line["precision"], line["frames"], float(line["seconds"]))
    analysis = db.execute(
        "INSERT INTO analyses (file_id, detector, model, sampling_key, sampling_id, scene_key,"
        " device, precision, frames, seconds, observations, saved_at_s, floor)"
        " VALUES (?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?)",
        (
            *(*key, sampling),
            *looked,
            len(line["seen"]),
            float(line["saved_at_s"]),
            float(line["floor"]),
        ),
    ).lastrowid
    db.executemany(
        f"INSERT INTO observations (analysis_id, place, {', '.join(SEEN)})"
        f" VALUES (?, ?{', ?' * len(SEEN)})",
        ((analysis, place, *_floats(seen)) for place, seen in enumerate(line["seen"])),
    )
    if line["vectors"] is not None:
        vectors = line["vectors"]
        db.execute(
            "INSERT INTO embeddings VALUES (?, ?, ?, ?)",
            (analysis, vectors["count"], vectors["dimensions"], _bytes(vectors["float16"], 2)),
        )
    drop_unused_samplings(db, file_id)
    return True


def _floats(seen: Sequence[Any]) -> Sequence[Any]:
    """Numbers that are whole come from JSON without a point, and a strict table wants one."""
    frame_index, time_s, label, score, *box, text, track, vector_row = seen
    numbers = [None if each is None else float(each) for each in box]
    return (frame_index, float(time_s), label, float(score), *numbers, text, track, vector_row)


def _keep_prompt(db: sqlite3.Connection, line: Line, store: Database) -> bool:
    vector = _bytes(line["float32"], 4)
    return _new(
        db, "INSERT OR IGNORE INTO prompts VALUES (?, ?, ?)", (line["model"], line["text"], vector)
    )


def _keep_verdict(db: sqlite3.Connection, line: Line, store: Database) -> bool:
    file, name = _fingerprint(line), line["name"]
    there = db.execute(
        "SELECT said, said_at_s FROM verdicts WHERE oshash = ? AND size_bytes = ? AND kind = ?"
        " AND name = ? ORDER BY said_at_s DESC LIMIT 1",
        (file.oshash, file.size_bytes, line["kind"], folded(name)),
    ).fetchone()
    if there is not None and (
        there["said"] == line["said"] or there["said_at_s"] >= line["said_at_s"]
    ):
        return False
    scene = Scene("", "", "", file, None)
    said = Said(line["said"])
    keep(db, Saying(scene, line["kind"], name, "", said, line["source"]), line["said_at_s"])
    return True


def _keep_fit(db: sqlite3.Connection, line: Line, store: Database) -> bool:
    values = (line["scale"], line["label"], to_json(line["curve"]))
    counts = (line["positives"], line["negatives"], float(line["fitted_at_s"]))
    return _new(
        db,
        "INSERT INTO fits VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (scale, label) DO UPDATE SET"
        " curve = excluded.curve, positives = excluded.positives, negatives = excluded.negatives,"
        " fitted_at_s = excluded.fitted_at_s WHERE excluded.fitted_at_s > fitted_at_s",
        (*values, *counts),
    )


def _keep_threshold(db: sqlite3.Connection, line: Line, store: Database) -> bool:
    shares = (float(line["apply"]), float(line["precision"]))
    return _new(
        db,
        "INSERT INTO thresholds VALUES (?, ?, ?, ?, ?) ON CONFLICT (label) DO UPDATE SET"
        " apply = excluded.apply, precision = excluded.precision, positives = excluded.positives,"
        " set_at_s = excluded.set_at_s WHERE excluded.set_at_s > set_at_s",
        (line["label"], *shares, line["positives"], float(line["set_at_s"])),
    )


def _new(db: sqlite3.Connection, sql: str, values: Sequence[Any]) -> bool:
    return db.execute(sql, values).rowcount > 0


def _keep_result(db: sqlite3.Connection, line: Line, store: Database) -> bool:
    """Keep what was said of a scene that is not known here."""
    scene_id = line["scene_id"]
    if db.execute("SELECT 1 FROM scenes WHERE id = ?", (scene_id,)).fetchone():
        return False
    file_id, saved = file_row(db, _fingerprint(line)), float(line["saved_at_s"])
    run_id = _run(db, store)
    row = db.execute(
        "INSERT INTO run_scenes (run_id, scene_id, file_id, result, saved_at_s)"
        " VALUES (?, ?, ?, ?, ?)",
        (run_id, scene_id, file_id, to_json(line["result"]), saved),
    ).lastrowid
    decided = None if line["decided"] is None else _bytes(line["decided"], 1)
    first, last = (
        None if line[name] is None else tags_json(line[name])
        for name in ("first_tags", "last_tags")
    )
    source = str(line["result"].get("source") or scene_id)
    db.execute(
        "INSERT INTO scenes (id, file_id, source, run_id, result_row, seen_at_s, decided,"
        " first_tags, last_tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (scene_id, file_id, source, run_id, row, saved, decided, first, last),
    )
    db.executemany(
        "INSERT OR REPLACE INTO suggestions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(scene_id, *_suggested(each)) for each in line["suggestions"]],
    )
    return True


def _suggested(parts: Sequence[Any]) -> Sequence[Any]:
    kind, target_id, name, label, confidence, decision, undone = parts
    return (kind, folded(name), target_id, name, label, float(confidence), decision, undone)


def _run(db: sqlite3.Connection, store: Database) -> str:
    """Return the run under which results arrive: one for all that ever did."""
    row = db.execute("SELECT id FROM runs WHERE kind = 'store_import'").fetchone()
    if row is not None:
        return str(row[0])
    run_id, now = store.new_id(), store.clock()
    db.execute(
        "INSERT INTO runs (id, kind, settings, status, summary, begun_at_s, ended_at_s)"
        " VALUES (?, 'store_import', '{}', 'done', '{}', ?, ?)",
        (run_id, now, now),
    )
    return run_id


_KEEP: Mapping[str, Callable[[sqlite3.Connection, Line, Database], bool]] = {
    "analysis": _keep_analysis,
    "prompt": _keep_prompt,
    "verdict": _keep_verdict,
    "fit": _keep_fit,
    "threshold": _keep_threshold,
    "result": _keep_result,
}


def _fingerprint(line: Line) -> Fingerprint:
    return Fingerprint(line["oshash"], line["size_bytes"])
