"""Finding: ids, words, filter, order and page."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from demo.stash.criteria import Clause, joined
from demo.stash.database import PRIMARY_FIRST, Database, RefusedError
from demo.stash.filters import clause_of
from demo.stash.things import TABLES, Thing, batch_of, thing_by_id, things_by_ids
from demo.stash.values import whole_number

PER_PAGE = 25


@dataclass(frozen=True, slots=True)
class Kind:
    """How rows of a kind are searched and sorted."""

    words: tuple[str, ...]
    """Texts that `q` looks at."""
    sorts: dict[str, str]
    usual_sort: str


def _file(column: str, pairs: str = "scenes_files", owner: str = "scene_id") -> str:
    table, order = ("scenes", PRIMARY_FIRST) if owner == "scene_id" else ("images", "file_id")
    return (
        f"(SELECT {column} FROM {pairs} JOIN files ON files.id = file_id "
        f"WHERE {owner} = {table}.id ORDER BY {order} LIMIT 1)"
    )


def _count(table: str, owner: str, of: str) -> str:
    return f"(SELECT count(*) FROM {table} WHERE {owner} = {of}.id)"


def _aliases(table: str, owner: str, of: str) -> str:
    return f"(SELECT group_concat(text, '\n') FROM {table} WHERE {owner} = {of}.id)"


TIMES = {name: name for name in ("id", "created_at", "updated_at")}
NAME = "name COLLATE NOCASE"
NEVER_SET = (
    *("resume_time", "play_duration", "play_count", "last_played_at", "o_counter", "last_o_at"),
    *("interactive", "interactive_speed", "perceptual_similarity", "performer_age"),
    *("group_scene_number", "movie_scene_number"),
)
"""What the stand-in's scenes have none of: sorting by it changes nothing."""

KINDS = {
    "scene": Kind(
        (
            "title",
            "details",
            _file("path"),
            _file(
                "(SELECT value FROM fingerprints WHERE "
                "fingerprints.file_id = files.id AND type = 'oshash')"
            ),
        ),
        {
            **TIMES,
            **{name: name for name in ("date", "code", "organized")},
            **dict.fromkeys(NEVER_SET, "NULL"),
            "title": f"coalesce(nullif(title, ''), {_file('basename')}) COLLATE NOCASE",
            "rating": "rating100",
            "path": _file("path"),
            "duration": _file("duration"),
            "filesize": _file("size"),
            "file_mod_time": _file("mod_time"),
            "framerate": _file("frame_rate"),
            "bitrate": _file("bit_rate"),
            "resolution": _file("min(width, height)"),
            "file_count": _count("scenes_files", "scene_id", "scenes"),
            "tag_count": _count("scenes_tags", "scene_id", "scenes"),
            "performer_count": _count("performers_scenes", "scene_id", "scenes"),
            "studio": "(SELECT name FROM studios WHERE studios.id = studio_id)",
        },
        "title",
    ),
    "tag": Kind(
        ("name", _aliases("tag_aliases", "tag_id", "tags")),
        {
            **TIMES,
            "name": "coalesce(nullif(sort_name, ''), name) COLLATE NOCASE",
            "scenes_count": _count("scenes_tags", "tag_id", "tags"),
            "images_count": _count("images_tags", "tag_id", "tags"),
            "performers_count": _count("performers_tags", "tag_id", "tags"),
            "studios_count": _count("studios_tags", "tag_id", "tags"),
            **dict.fromkeys(("galleries_count", "groups_count", "movies_count"), "NULL"),
            "scene_markers_count": _count("scene_markers", "primary_tag_id", "tags"),
        },
        "name",
    ),
    "studio": Kind(
        ("name", _aliases("studio_aliases", "studio_id", "studios")),
        {
            **TIMES,
            "name": NAME,
            "rating": "rating100",
            "scenes_count": _count("scenes", "studio_id", "studios"),
            "images_count": _count("images", "studio_id", "studios"),
            "tag_count": _count("studios_tags", "studio_id", "studios"),
        },
        "name",
    ),
    "performer": Kind(
        ("name", _aliases("performer_aliases", "performer_id", "performers")),
        {
            **TIMES,
            **{name: name for name in ("birthdate", "weight", "measurements", "career_length")},
            "height": "height_cm",
            "images_count": _count("performers_images", "performer_id", "performers"),
            "tag_count": _count("performers_tags", "performer_id", "performers"),
            "name": NAME,
            "rating": "rating100",
            "scenes_count": _count("performers_scenes", "performer_id", "performers"),
        },
        "name",
    ),
    "scene marker": Kind(
        ("title", "(SELECT name FROM tags WHERE tags.id = primary_tag_id)"),
        {
            **TIMES,
            "title": "title COLLATE NOCASE",
            "seconds": "seconds",
            "scene_id": "scene_id",
            "duration": "(end_seconds - seconds)",
            "scenes_updated_at": "(SELECT updated_at FROM scenes WHERE scenes.id = scene_id)",
        },
        "title",
    ),
    "image": Kind(
        ("title", _file("path", "images_files", "image_id")),
        {
            **TIMES,
            "title": "title COLLATE NOCASE",
            "date": "date",
            "rating": "rating100",
            "path": _file("path", "images_files", "image_id"),
            "filesize": _file("size", "images_files", "image_id"),
            "file_mod_time": _file("mod_time", "images_files", "image_id"),
            "performer_count": _count("performers_images", "image_id", "images"),
            "tag_count": _count("images_tags", "image_id", "images"),
        },
        "title",
    ),
}


def find_one(database: Database, kind: str, number: object) -> Thing | None:
    """The row with an id as the client wrote it; an unknown one is nothing."""
    return thing_by_id(database, kind, read_id(number))


def read_id(number: object, what: str = "") -> int:
    """An id as the client wrote it. Raises RefusedError in Go's words, and says of what."""
    try:
        return whole_number(number)
    except ValueError as error:
        raise RefusedError(f"converting {what}: {error}" if what else str(error)) from error


def read_ids(numbers: Sequence[object] | None, what: str = "ids") -> list[int]:
    """Ids as the client wrote them."""
    return [read_id(number, what) for number in numbers or []]


def need(database: Database, kind: str, number: object, what: str = "id") -> Thing:
    """The row with an id; an unknown one is refused."""
    found = thing_by_id(database, kind, read_id(number, what))
    if found is None:
        raise RefusedError(f"{kind} with id {number} not found")
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: how many in all, the page, and sums over all of it."""

    count: int
    page: list[Thing]
    total: Callable[[str], float]
    """The sum of an SQL expression over everything that was found."""


def find(
    database: Database,
    kind: str,
    criteria: dict[str, Any] | None,
    page: dict[str, Any] | None,
    ids: list[Any] | None,
) -> Found:
    """A page of what the filter finds; with ids, these rows and nothing else counts."""
    if ids:
        return _by_ids(database, kind, ids)
    page = page or {}
    table = TABLES[kind]
    where = joined("AND", [clause_of(database, kind, criteria), _words(kind, page.get("q"))])
    order = _order(kind, page)
    count = database.value(f"SELECT count(*) FROM {table} WHERE {where.sql}", *where.values)
    sql = f"SELECT * FROM {table} WHERE {where.sql} ORDER BY {order} {_limit(page)}"
    return Found(
        count,
        batch_of(kind, database.rows(sql, *where.values)),
        lambda what: _sum(database, f"FROM {table} WHERE {where.sql}", what, where.values),
    )


def _by_ids(database: Database, kind: str, ids: list[Any]) -> Found:
    numbers = read_ids(ids)
    for place, number in enumerate(numbers):
        if number in numbers[:place]:
            raise RefusedError(f"validating ids: duplicate id found: {number}")
    things = things_by_ids(database, kind, numbers)
    known = {thing.id for thing in things}
    for number in numbers:
        if number not in known:
            raise RefusedError(f"{kind} with id {number} not found")
    where = f"FROM {TABLES[kind]} WHERE id IN (SELECT value FROM json_each(?))"
    values = (json.dumps(numbers),)
    return Found(len(things), things, lambda what: _sum(database, where, what, values))


def _sum(database: Database, where: str, what: str, values: tuple[object, ...]) -> float:
    return float(database.value(f"SELECT sum({what}) {where}", *values) or 0)


def _words(kind: str, q: str | None) -> Clause:
    """`q`: every word, or words in double quotes, is somewhere; one after a minus is nowhere.

    Of two with "or" or | between them one is enough.
    """
    clauses: list[Clause] = []
    either = False
    for minus, quoted, word in re.findall(r'(-?)(?:"([^"]*)"|(\S+))', q or ""):
        if word.lower() in ("or", "|") and clauses:
            either = True
            continue
        like = f"%{quoted or word}%"
        places = [Clause(f"coalesce({text}, '') LIKE ?", (like,)) for text in KINDS[kind].words]
        clause = ~joined("OR", places) if minus else joined("OR", places)
        clauses.append(joined("OR", [clauses.pop(), clause]) if either else clause)
        either = False
    return joined("AND", clauses)


def _order(kind: str, page: dict[str, Any]) -> str:
    sort = page.get("sort") or KINDS[kind].usual_sort
    direction = page.get("direction") or "ASC"
    if sort == "random" or re.fullmatch(r"random_\d+", sort):
        seed = int(sort.partition("_")[2] or 1)
        return f"(id * 2654435761 + {seed} * 40503) % 4294967291"
    if sort not in KINDS[kind].sorts:
        raise RefusedError(f"invalid sort: {sort}")
    expression = KINDS[kind].sorts[sort]
    return f"{expression} {direction}, id {direction if sort == 'id' else 'ASC'}"


def _limit(page: dict[str, Any]) -> str:
    per_page = page.get("per_page")
    per_page = PER_PAGE if per_page is None else per_page
    if per_page < 0:
        return ""
    number = max(1, page.get("page") or 1)
    return f"LIMIT {per_page} OFFSET {(number - 1) * per_page}"
