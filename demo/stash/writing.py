"""What all writes share: absent is unchanged, null clears, lists are set, added to or cut."""

import base64
import contextlib
import json
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from demo.stash.database import Database, RefusedError
from demo.stash.finding import read_id, read_ids
from demo.stash.things import TABLES
from demo.stash.values import now

Input = dict[str, Any]

_ABOUT = {"title": "", "code": "", "details": "", "date": None, "rating100": None}
CLEARED: dict[str, dict[str, Any]] = {
    "scene": {**_ABOUT, "director": "", "organized": False, "studio_id": None},
    "image": {**_ABOUT, "photographer": "", "organized": False, "studio_id": None},
    "tag": {
        "name": None,
        "sort_name": "",
        "description": "",
        "favorite": False,
        "ignore_auto_tag": False,
    },
    "studio": {
        "name": None,
        "details": "",
        "parent_id": None,
        "rating100": None,
        "favorite": False,
        "ignore_auto_tag": False,
    },
    "performer": {
        "name": None,
        **dict.fromkeys(("gender", "birthdate", "death_date", "height_cm", "weight")),
        **dict.fromkeys(("penis_length", "circumcised", "rating100")),
        **dict.fromkeys(("disambiguation", "ethnicity", "country", "eye_color"), ""),
        **dict.fromkeys(("hair_color", "measurements", "fake_tits", "career_length"), ""),
        **dict.fromkeys(("tattoos", "piercings", "details"), ""),
        "favorite": False,
        "ignore_auto_tag": False,
    },
    "scene marker": {"title": "", "seconds": 0, "end_seconds": None, "primary_tag_id": None},
}
"""Kind -> column -> what null makes of it."""
NEVER_NULL = {
    **dict.fromkeys(("organized", "favorite", "ignore_auto_tag"), "bool"),
    "seconds": "float64",
    **dict.fromkeys(("primary_tag_id", "scene_id"), "int"),
}
"""What an update may not clear, and what Go calls it."""
DATES = {"date": "date", "birthdate": "birthdate", "death_date": "death date"}
ID_COLUMNS = {
    "studio_id": "studio id: converting {} to int",
    "parent_id": "parent id: converting {} to int",
    "primary_tag_id": "primary tag id",
    "scene_id": "scene id",
}
ID_LISTS = {
    "tag_ids": "tag ids",
    "performer_ids": "performer ids",
    "parent_ids": "parent tag ids",
    "child_ids": "child tag ids",
}
"""What an id is called when it is no number."""

RELATED: dict[str, dict[str, tuple[str, str, str]]] = {
    "scene": {
        "tag_ids": ("scenes_tags", "scene_id", "tag_id"),
        "performer_ids": ("performers_scenes", "scene_id", "performer_id"),
    },
    "image": {
        "tag_ids": ("images_tags", "image_id", "tag_id"),
        "performer_ids": ("performers_images", "image_id", "performer_id"),
    },
    "performer": {"tag_ids": ("performers_tags", "performer_id", "tag_id")},
    "studio": {"tag_ids": ("studios_tags", "studio_id", "tag_id")},
    "scene marker": {"tag_ids": ("scene_markers_tags", "scene_marker_id", "tag_id")},
    "tag": {
        "parent_ids": ("tags_relations", "child_id", "parent_id"),
        "child_ids": ("tags_relations", "parent_id", "child_id"),
    },
}
"""Kind -> key of its input -> table of pairs, the row's column, the other's column."""

TEXTS: dict[str, dict[str, tuple[str, str]]] = {
    "scene": {"urls": ("scene_urls", "scene_id")},
    "image": {"urls": ("image_urls", "image_id")},
    "tag": {"aliases": ("tag_aliases", "tag_id")},
    "studio": {
        "aliases": ("studio_aliases", "studio_id"),
        "urls": ("studio_urls", "studio_id"),
    },
    "performer": {
        "alias_list": ("performer_aliases", "performer_id"),
        "urls": ("performer_urls", "performer_id"),
    },
    "scene marker": {},
}
STASH_IDS = {
    "scene": ("scene_stash_ids", "scene_id"),
    "tag": ("tag_stash_ids", "tag_id"),
    "studio": ("studio_stash_ids", "studio_id"),
    "performer": ("performer_stash_ids", "performer_id"),
}
PICTURES = {"scene": "cover_image", "tag": "image", "studio": "image", "performer": "image"}
ELSEWHERE = ("gallery_ids", "group_ids", "movie_ids", "groups", "movies")
"""What the stand-in has none of: naming one breaks a foreign key."""
LISTS = {"ids", "stash_ids"}.union(*RELATED.values(), *TEXTS.values())


def insert(database: Database, kind: str, values: Input) -> int:
    """A new row, with all that belongs to it; its id."""
    columns = _columns(kind, values)
    columns |= {"created_at": now(), "updated_at": now()}
    if kind == "scene marker":
        columns["scene_id"] = read_id(values["scene_id"], ID_COLUMNS["scene_id"])
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    sql = f"INSERT INTO {TABLES[kind]} ({names}) VALUES ({marks})"
    number = database.run(sql, *columns.values())
    write_belongings(database, kind, number, values)
    return number


def update(database: Database, kind: str, number: int, values: Input) -> None:
    """Change a row and what belongs to it; an unknown id is not noticed here."""
    for name, go_name in NEVER_NULL.items():
        if name in values and values[name] is None:
            why = f"null value not allowed in optional {go_name}"
            raise RefusedError(f"Internal system error. Error <{why}>")
    columns = {**_columns(kind, values), "updated_at": now()}
    sets = ", ".join(f"{name} = ?" for name in columns)
    database.run(f"UPDATE {TABLES[kind]} SET {sets} WHERE id = ?", *columns.values(), number)
    write_belongings(database, kind, number, values)


def _columns(kind: str, values: Input) -> Input:
    cleared = CLEARED[kind]
    columns = {}
    for name, value in values.items():
        if name in cleared:
            columns[name] = cleared[name] if value is None else _column(name, value)
    return columns


def _column(name: str, value: Any) -> Any:
    if name in ID_COLUMNS:
        return read_id(value, ID_COLUMNS[name].format(value))
    if name in DATES:
        _check_date(DATES[name], value)
    return value.strip() if isinstance(value, str) else value


def _check_date(what: str, text: str) -> None:
    """Refuse what is no YYYY, YYYY-MM or YYYY-MM-DD."""
    for form in ("%Y-%m-%d", "%Y-%m", "%Y"):
        with contextlib.suppress(ValueError):
            datetime.strptime(text, form)
            return
    tries = "".join(
        f' parsing time "{text}" as "{form}": cannot parse "{text}" as "2006"'
        for form in ("2006-01", "2006")
    )
    why = f"ParseDateStringAsTime failed: dateString <{text}>{tries}"
    raise RefusedError(f'converting {what}: failed to parse date "{text}": [{why}]')


def write_belongings(database: Database, kind: str, number: int, values: Input) -> None:
    """The lists, texts, stash ids and picture of a row, as far as they are sent."""
    for key, pairs in RELATED[kind].items():
        if key in values:
            _relate(database, pairs, number, values[key], ID_LISTS[key])
    if "url" in values and "urls" not in values:
        values = {**values, "urls": [values["url"]] if values["url"] else []}
    for key, (table, owner) in TEXTS[kind].items():
        if key in values:
            _write_texts(database, table, owner, number, values[key])
    if "stash_ids" in values:
        _write_stash_ids(database, kind, number, values["stash_ids"] or [])
    if kind in PICTURES and PICTURES[kind] in values:
        _write_picture(database, kind, number, values[PICTURES[kind]])
    for key in ELSEWHERE:
        if _named(values.get(key)):
            raise RefusedError(f"error executing `INSERT` of {key}: FOREIGN KEY constraint failed")


def _named(change: Any) -> bool:
    if isinstance(change, dict):
        return bool(change.get("ids")) and change["mode"] != "REMOVE"
    return bool(change)


def _relate(
    database: Database, pairs: tuple[str, str, str], number: int, change: Any, what: str
) -> None:
    """A list replaces; ids with a mode add, remove or replace; null with a mode does nothing."""
    table, owner, other = pairs
    mode = change["mode"] if isinstance(change, dict) else "SET"
    ids = change.get("ids") if isinstance(change, dict) else change
    if isinstance(change, dict):
        what = f"{what}: converting ids [[{' '.join(map(str, ids or []))}]]"
    numbers = read_ids(ids, what)
    if mode == "SET":
        database.run(f"DELETE FROM {table} WHERE {owner} = ?", number)
    if mode == "REMOVE":
        gone = f"DELETE FROM {table} WHERE {owner} = ? AND {other} = ?"
        for one in numbers:
            database.run(gone, number, one)
        return
    add = f"INSERT INTO {table} ({owner}, {other}) VALUES (?, ?)"
    for one in numbers:
        database.run(f"{add} ON CONFLICT ({owner}, {other}) DO NOTHING", number, one)


def without_null_lists(values: Input) -> Input:
    """A bulk input, where null for a list of ids or texts changes nothing."""
    return {key: value for key, value in values.items() if key not in LISTS or value is not None}


def _write_texts(database: Database, table: str, owner: str, number: int, change: Any) -> None:
    before = database.column(
        f"SELECT text FROM {table} WHERE {owner} = ? ORDER BY position", number
    )
    after = [one.strip() for one in changed_texts(before, change)]
    database.run(f"DELETE FROM {table} WHERE {owner} = ?", number)
    for position, one in enumerate(after):
        sql = f"INSERT INTO {table} ({owner}, position, text) VALUES (?, ?, ?)"
        database.run(sql, number, position, one)


def changed_texts(before: list[str], change: Any) -> list[str]:
    """What a list of texts becomes: replaced, or changed in a mode."""
    if not isinstance(change, dict):
        return list(change or [])
    values = change.get("values") or []
    if change["mode"] == "SET":
        return list(values)
    if change["mode"] == "ADD":
        return before + [one for one in values if one not in before]
    return [one for one in before if one not in values]


def _write_stash_ids(database: Database, kind: str, number: int, given: list[Input]) -> None:
    table, owner = STASH_IDS[kind]
    database.run(f"DELETE FROM {table} WHERE {owner} = ?", number)
    for one in given:
        sql = f"INSERT INTO {table} ({owner}, endpoint, stash_id, updated_at) VALUES (?, ?, ?, ?)"
        when = one.get("updated_at") or now()
        database.run(sql, number, one["endpoint"], one["stash_id"], when)


def _write_picture(database: Database, kind: str, number: int, given: str | None) -> None:
    if not given:
        drop_picture(database, kind, number)
        return
    head, comma, body = given.partition(",")
    if not head.startswith("data:") or not comma:
        raise RefusedError("the stand-in takes pictures as data URLs only")
    put_picture(database, kind, number, head[5:].partition(";")[0], base64.b64decode(body))


def put_picture(database: Database, kind: str, number: int, media_type: str, data: bytes) -> None:
    """Give a row its picture."""
    sql = "INSERT OR REPLACE INTO pictures (kind, id, type, data, updated_at) VALUES (?,?,?,?,?)"
    database.run(sql, kind, number, media_type, data, int(time.time()))


def drop_picture(database: Database, kind: str, number: int) -> None:
    """Take a row's picture away."""
    database.run("DELETE FROM pictures WHERE kind = ? AND id = ?", kind, number)


def remove(database: Database, kind: str, numbers: Iterable[int]) -> None:
    """Delete rows; what belongs to them goes with them."""
    for number in numbers:
        database.run(f"DELETE FROM {TABLES[kind]} WHERE id = ?", number)
        drop_picture(database, kind, number)


def touch(database: Database, kind: str, numbers: list[int]) -> None:
    """Note that rows have changed."""
    sql = f"UPDATE {TABLES[kind]} SET updated_at = ? WHERE id IN (SELECT value FROM json_each(?))"
    database.run(sql, now(), json.dumps(numbers))
