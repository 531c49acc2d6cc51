"""Fields that many types have: tags, performers, studio, files, texts, counts, picture."""

import json
from typing import Any

from demo.stash.criteria import family
from demo.stash.database import PRIMARY_FIRST, Database
from demo.stash.filters import CHILD_STUDIOS, CHILD_TAGS, IN_LIST
from demo.stash.registry import KINDS, Resolver, field
from demo.stash.state import Call
from demo.stash.things import TABLES, Thing, batch_of, numbers, related, texts, things_by_ids
from demo.stash.writing import STASH_IDS, TEXTS

TAG_ORDER = "coalesce(nullif(sort_name, ''), name) COLLATE NOCASE"


def many(type_name: str, name: str, kind: str, sql: str) -> None:
    """A list of rows of another kind; `sql` as `related` takes it."""

    def answer(thing: Thing, call: Call) -> list[Thing]:
        def load(ids: list[int]) -> dict[int, list[Thing]]:
            return related(call.database, kind, sql, ids)

        found: list[Thing] = thing.shared(name, load)
        return found

    field(type_name, name)(answer)


def one(type_name: str, name: str, kind: str, column: str) -> None:
    """A row of another kind that a column names."""

    def answer(thing: Thing, call: Call) -> Thing | None:
        if thing.values[column] is None:
            return None

        def load(ids: list[int]) -> dict[int, Thing]:
            return _named_by(call.database, thing.kind, column, kind, ids)

        found: Thing | None = thing.shared(name, load)
        return found

    field(type_name, name)(answer)


def _named_by(
    database: Database, owner_kind: str, column: str, kind: str, ids: list[int]
) -> dict[int, Thing]:
    table = TABLES[owner_kind]
    sql = f"SELECT id, {column} FROM {table} WHERE id {IN_LIST} AND {column} IS NOT NULL"
    wanted = numbers(database, sql, ids)
    things = {thing.id: thing for thing in things_by_ids(database, kind, set(wanted.values()))}
    return {owner: things[number] for owner, number in wanted.items()}


def list_of_texts(kind: str, name: str) -> None:
    """The texts of a row: aliases, URLs."""
    table, owner = TEXTS[kind][name]

    def answer(thing: Thing, call: Call) -> list[str]:
        def load(ids: list[int]) -> dict[int, list[str]]:
            return texts(call.database, table, owner, ids)

        found: list[str] = thing.shared(name, load)
        return found

    field(KINDS[kind], name)(answer)


def _joined(table: str, owner: str, other: str, of: str, order: str) -> str:
    return f"""SELECT {owner} AS owner, {of}.* FROM {table} JOIN {of} ON {of}.id = {other}
      WHERE {owner} {IN_LIST} ORDER BY {order}"""


NAME_ORDER = "name COLLATE NOCASE"
for _kind, _table, _owner in (
    ("scene", "scenes_tags", "scene_id"),
    ("image", "images_tags", "image_id"),
    ("performer", "performers_tags", "performer_id"),
    ("studio", "studios_tags", "studio_id"),
    ("scene marker", "scene_markers_tags", "scene_marker_id"),
):
    many(KINDS[_kind], "tags", "tag", _joined(_table, _owner, "tag_id", "tags", TAG_ORDER))
for _kind, _table, _owner in (
    ("scene", "performers_scenes", "scene_id"),
    ("image", "performers_images", "image_id"),
):
    _sql = _joined(_table, _owner, "performer_id", "performers", NAME_ORDER)
    many(KINDS[_kind], "performers", "performer", _sql)
    one(KINDS[_kind], "studio", "studio", "studio_id")
for _kind, _names in TEXTS.items():
    for _name in _names:
        list_of_texts(_kind, _name)

many(
    "Scene", "files", "file", _joined("scenes_files", "scene_id", "file_id", "files", PRIMARY_FIRST)
)
many(
    "Image",
    "visual_files",
    "file",
    _joined("images_files", "image_id", "file_id", "files", "files.id"),
)
many(
    "Scene",
    "scene_markers",
    "scene marker",
    f"""SELECT scene_id AS owner, scene_markers.* FROM scene_markers
      WHERE scene_id {IN_LIST} ORDER BY seconds, id""",
)
one("SceneMarker", "scene", "scene", "scene_id")
one("SceneMarker", "primary_tag", "tag", "primary_tag_id")
one("Studio", "parent_studio", "studio", "parent_id")
many(
    "Studio",
    "child_studios",
    "studio",
    f"""SELECT parent_id AS owner, studios.* FROM studios WHERE parent_id {IN_LIST}
      ORDER BY {NAME_ORDER}""",
)
many("Tag", "parents", "tag", _joined("tags_relations", "child_id", "parent_id", "tags", TAG_ORDER))
many(
    "Tag", "children", "tag", _joined("tags_relations", "parent_id", "child_id", "tags", TAG_ORDER)
)
many(
    "Performer",
    "scenes",
    "scene",
    _joined("performers_scenes", "performer_id", "scene_id", "scenes", "scenes.id"),
)


def stash_ids_of(kind: str) -> None:
    """The stash ids of a row."""
    table, owner = STASH_IDS[kind]

    @field(KINDS[kind])
    def stash_ids(thing: Thing, call: Call) -> list[dict[str, Any]]:
        def load(ids: list[int]) -> dict[int, list[dict[str, Any]]]:
            owned: dict[int, list[dict[str, Any]]] = {number: [] for number in ids}
            sql = f"SELECT * FROM {table} WHERE {owner} {IN_LIST}"
            for row in call.database.rows(sql, json.dumps(ids)):
                owned[row[owner]].append(row)
            return owned

        found: list[dict[str, Any]] = thing.shared("stash_ids", load)
        return found


for _kind in STASH_IDS:
    stash_ids_of(_kind)


def counted(tree: str, sql: str) -> Resolver:
    """How many rows have this one, or one below it down to a depth."""

    def answer(thing: Thing, call: Call, depth: int | None = None) -> int:
        def load(ids: list[int]) -> dict[int, int]:
            return {number: _count(call.database, tree, sql, number, depth or 0) for number in ids}

        found: int = thing.shared((sql, depth), load)
        return found

    return answer


def _count(database: Database, tree: str, sql: str, number: int, depth: int) -> int:
    ids = json.dumps(family(database, tree, [number], depth))
    return int(database.value(sql, *[ids] * sql.count("?")))


def _distinct(table: str, column: str, other: str) -> str:
    return f"SELECT count(DISTINCT {column}) FROM {table} WHERE {other} {IN_LIST}"


MARKED = f"""SELECT count(*) FROM (SELECT id FROM scene_markers WHERE primary_tag_id {IN_LIST}
  UNION SELECT scene_marker_id FROM scene_markers_tags WHERE tag_id {IN_LIST})"""
NOTHING = "SELECT 0"
COUNTS: dict[str, tuple[str, dict[str, str]]] = {
    "Tag": (
        CHILD_TAGS,
        {
            "scene_count": _distinct("scenes_tags", "scene_id", "tag_id"),
            "image_count": _distinct("images_tags", "image_id", "tag_id"),
            "performer_count": _distinct("performers_tags", "performer_id", "tag_id"),
            "studio_count": _distinct("studios_tags", "studio_id", "tag_id"),
            "scene_marker_count": MARKED,
            "gallery_count": NOTHING,
            "group_count": NOTHING,
        },
    ),
    "Studio": (
        CHILD_STUDIOS,
        {
            "scene_count": _distinct("scenes", "id", "studio_id"),
            "image_count": _distinct("images", "id", "studio_id"),
            "performer_count": "SELECT count(DISTINCT performer_id) FROM performers_scenes JOIN "
            f"scenes ON scenes.id = scene_id WHERE studio_id {IN_LIST}",
            "gallery_count": NOTHING,
            "group_count": NOTHING,
        },
    ),
    "Performer": (
        "",
        {
            "scene_count": _distinct("performers_scenes", "scene_id", "performer_id"),
            "image_count": _distinct("performers_images", "image_id", "performer_id"),
            "gallery_count": NOTHING,
            "group_count": NOTHING,
        },
    ),
}
for _type, (_tree, _counts) in COUNTS.items():
    for _name, _sql in _counts.items():
        field(_type, _name)(counted(_tree, _sql))
field("Tag", "parent_count")(counted("", _distinct("tags_relations", "parent_id", "child_id")))
field("Tag", "child_count")(counted("", _distinct("tags_relations", "child_id", "parent_id")))


def picture_path(thing: Thing, call: Call) -> str:
    """Where the picture is served; the address says when it is only a placeholder."""

    def load(ids: list[int]) -> dict[int, bool]:
        sql = f"SELECT id, 1 FROM pictures WHERE kind = ? AND id {IN_LIST}"
        found = call.database.rows(sql, thing.kind, json.dumps(ids))
        return {row["id"]: True for row in found}

    default = "" if thing.shared("picture", load) else "&default=true"
    return f"{call.base_url}/{thing.kind}/{thing.id}/image?t={age(thing)}{default}"


def age(thing: Thing) -> str:
    """The row's last change as a number, for addresses."""
    digits: str = thing.values["updated_at"]
    return "".join(filter(str.isdigit, digits))


for _kind in ("tag", "studio", "performer"):
    field(KINDS[_kind], "image_path")(picture_path)


def _fingerprints(thing: Thing, call: Call) -> list[dict[str, str]]:
    def load(ids: list[int]) -> dict[int, list[dict[str, str]]]:
        owned: dict[int, list[dict[str, str]]] = {number: [] for number in ids}
        sql = f"SELECT * FROM fingerprints WHERE file_id {IN_LIST} ORDER BY type"
        for row in call.database.rows(sql, json.dumps(ids)):
            owned[row["file_id"]].append({"type": row["type"], "value": row["value"]})
        return owned

    found: list[dict[str, str]] = thing.shared("fingerprints", load)
    return found


def _fingerprint(thing: Thing, call: Call, type: str) -> str | None:  # noqa: A002
    found = _fingerprints(thing, call)
    return next((row["value"] for row in found if row["type"] == type), None)


for _type in ("VideoFile", "ImageFile"):
    field(_type, "fingerprints")(_fingerprints)
    field(_type, "fingerprint")(_fingerprint)
    field(_type, "zip_file")(lambda thing, call: None)


def files_of(database: Database, table: str, owner: str, number: int) -> list[Thing]:
    """The files of a row, its primary one first."""
    order = PRIMARY_FIRST if table == "scenes_files" else "files.id"
    sql = f"""SELECT files.* FROM {table} JOIN files ON files.id = file_id
      WHERE {owner} = ? ORDER BY {order}"""
    return batch_of("file", database.rows(sql, number))
