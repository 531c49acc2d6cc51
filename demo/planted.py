"""A library of any size that was looked at, as the store and Stash have it: nothing is drawn."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from demo.stash import StandIn, fake_file
from stash_sense_plugin.library.store import Store

TAGS, PER_SCENE = 200, 8
RANGES, PROOFS, TEXTS = 3, 3, 4
DETECTORS = ("clip", "objects", "tagger", "text", "picture")
DURATION_S = 600.0
MADE_AT_S = 1_700_000_000.0
WRITTEN = 2
"""The decision of what was written to Stash."""

_NUMBERS = """
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1),
    places (place) AS (SELECT 0 UNION ALL SELECT place + 1 FROM places WHERE place < 7),
    seen (detector) AS (VALUES ('clip'), ('objects'), ('tagger'), ('text'), ('picture'))
"""
# In SQL alone: a tenth of the time of a row after another. ?2 is the run, ?3 the least that a
# result says, ?4 when the run began.
PLANTING: Final = (
    f"INSERT INTO files {_NUMBERS} SELECT n, printf('%016x', n), 1000 + n FROM numbers",
    f"INSERT INTO run_scenes {_NUMBERS} SELECT n, ?2, n, n, ?3, ?4 + 4 * n FROM numbers",
    f"""INSERT INTO scenes (id, file_id, source, run_id, result_row, seen_at_s) {_NUMBERS}
    SELECT n, n, '/library/' || n || '.mp4', ?2, n, ?4 + 4 * n FROM numbers""",
    f"""INSERT INTO suggestions {_NUMBERS}, things AS
        (SELECT n, place, printf('Thing %03d', (n * 7 + place * 25) % 200) AS name
            FROM numbers, places)
    SELECT n, 'tag', lower(name), '', name, lower(name),
        round(0.3 + (n * 13 + place * 61) % 700 / 1000.0, 4), 1 + (place % 4 = 0), 0 FROM things""",
    f"""INSERT INTO samplings {_NUMBERS}
    SELECT n, n, 'sprite', x'00', 'sprite', 600.0 FROM numbers""",
    f"""INSERT INTO analyses (file_id, detector, model, sampling_key, sampling_id, scene_key,
        device, precision, frames, seconds, observations, saved_at_s) {_NUMBERS}
    SELECT n, detector, detector || '-small@1', 'sprite', n, n, 'cpu', 'fp32', 60, 0.5, 0,
        1700000000.0 FROM numbers, seen""",
)


def tag_name(number: int) -> str:
    """Return what the tag of this number is called."""
    return f"Thing {number:03}"


def things_of(scene: int) -> list[tuple[int, float, int]]:
    """Return what is suggested for a scene: the tag's number, the confidence and the decision."""
    return [
        ((scene * 7 + place * 25) % TAGS, round(0.3 + (scene * 13 + place * 61) % 700 / 1000, 4),
         WRITTEN if place % 4 == 0 else 1)
        for place in range(PER_SCENE)
    ]  # fmt: skip


def result_of(scene: int) -> dict[str, Any]:
    """Return what a look at the scene said, as results are kept."""
    frame = {"detector": "clip", "model": "clip-vit-b32@1", "box": None, "text": None}
    return {
        "source": f"/library/{scene}.mp4",
        "duration_s": DURATION_S,
        "frames": {"sprite": 60, "video": 12, "image": 0},
        "suggestions": [
            {
                "kind": "tag",
                "name": tag_name(tag),
                "label": tag_name(tag).lower(),
                "confidence": confidence,
                "decision": ("HIDE", "ASK", "APPLY")[decision],
                "ranges": [
                    {"start_s": 90.0 * each, "end_s": 90.0 * each + 20, "score": confidence}
                    for each in range(RANGES)
                ],
                "evidence": [
                    {"time_s": 90.0 * each + 5, "score": confidence, **frame}
                    for each in range(PROOFS)
                ],
            }
            for tag, confidence, decision in things_of(scene)
        ],
        "texts": [
            {"text": "NORTHLIGHT", "start_s": 60.0 * each, "end_s": 60.0 * each + 5, "score": 0.9}
            for each in range(TEXTS)
        ],
        "ran": [
            {"detector": each, "model": f"{each}-small@1", "device": "cpu", "precision": "fp32",
             "frames": 60, "seconds": 0.5}
            for each in DETECTORS
        ],
        "skipped": [],
        "error": None,
    }  # fmt: skip


def plant(store: Store, scenes: int, *, whole: int | None = None) -> None:
    """Put so many scenes into an empty store, as a sweep over them leaves it.

    Of those behind the first `whole`, results say no more than which detectors looked.
    """
    run_id = store.begin_run("tag_scenes", {})
    rest = json.dumps({name: result_of(1)[name] for name in ("ran", "frames", "error")})
    told = ((json.dumps(result_of(each)), each) for each in range(1, (whole or scenes) + 1))
    with store.write() as db:
        db.execute("UPDATE runs SET begun_at_s = ? WHERE id = ?", (MADE_AT_S, run_id))
        values = {"scenes": scenes, "run": run_id, "rest": rest, "made": MADE_AT_S}
        for statement in PLANTING:
            db.execute(statement, _named(statement, values))
        db.executemany("UPDATE run_scenes SET result = ? WHERE row = ?", told)
    store.end_run(run_id, "done", {})


def _named(statement: str, values: Mapping[str, object]) -> Sequence[Any]:
    """The values of a statement's `?1` to `?4`, as many as it has."""
    marks = max(number for number in range(5) if not number or f"?{number}" in statement)
    return tuple(values.values())[:marks]


def plant_stash(stash: StandIn, scenes: int) -> None:
    """Put the same scenes into an empty stand-in; each has some of what is suggested for it."""
    tags = [stash.add_tag(tag_name(number)) for number in range(TAGS)]
    flow = [stash.add_tag(name) for name in ("TagMe", "Tagged", "Errored")]
    database, numbers = stash.database, stash.add_scenes(scenes)
    file = fake_file("/library/1.mp4", oshash="0" * 16, size=1, duration_s=DURATION_S)
    with database.transaction():
        for number in numbers:
            own = {**file, "path": f"/library/{number}.mp4", "size": 1000 + number}
            stash.add_file(number, {**own, "oshash": f"{number:016x}"})
        here = (
            (number, tags[tag])
            for number in numbers
            for tag, _, decision in things_of(number)
            if decision == WRITTEN
        )
        database.run_many("INSERT INTO scenes_tags VALUES (?, ?)", here)
        marked = ((number, flow[number % 10 == 0]) for number in numbers)
        database.run_many("INSERT INTO scenes_tags VALUES (?, ?)", marked)
