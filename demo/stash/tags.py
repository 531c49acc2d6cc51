"""Tags: found, made, changed, merged, destroyed."""

from typing import Any

from demo.stash.database import Database, RefusedError
from demo.stash.finding import find, find_one, need, read_ids
from demo.stash.hook_inputs import sent
from demo.stash.names import check_names, check_tree
from demo.stash.registry import mutation, query
from demo.stash.state import Call
from demo.stash.things import Thing, thing_by_id, things_by_ids
from demo.stash.writing import (
    ID_LISTS,
    Input,
    changed_texts,
    insert,
    remove,
    update,
    without_null_lists,
)


@query
def findTag(call: Call, id: str) -> Thing | None:  # noqa: A002, N802
    return find_one(call.database, "tag", id)


@query
def findTags(  # noqa: N802
    call: Call,
    tag_filter: Input | None = None,
    filter: Input | None = None,  # noqa: A002
    ids: list[str] | None = None,
) -> dict[str, Any]:
    found = find(call.database, "tag", tag_filter, filter, ids)
    return {"count": found.count, "tags": found.page}


@mutation
def tagCreate(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    values = _trimmed(input)
    with call.database.transaction():
        check_names(call.database, "tag", 0, values["name"], values.get("aliases") or [])
        number = insert(call.database, "tag", values)
        _check_tree(call.database, number)
    call.fire("Tag.Create.Post", number, sent(input))
    return thing_by_id(call.database, "tag", number)


@mutation
def tagUpdate(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    with call.database.transaction():
        number = need(call.database, "tag", input["id"]).id
        _change(call.database, number, input)
    call.fire("Tag.Update.Post", number, sent(input), list(input))
    return thing_by_id(call.database, "tag", number)


@mutation
def bulkTagUpdate(call: Call, input: Input) -> list[Thing] | None:  # noqa: A002, N802
    numbers = read_ids(input.get("ids"))
    values = without_null_lists(input)
    with call.database.transaction():
        for number in numbers:
            _change(call.database, number, values)
    for number in numbers:
        call.fire("Tag.Update.Post", number, sent(input), list(input))
    return things_by_ids(call.database, "tag", numbers) or None


def _change(database: Database, number: int, given: Input) -> None:
    values = _trimmed(given)
    before = need(database, "tag", number).values
    aliases = database.column("SELECT text FROM tag_aliases WHERE tag_id = ?", number)
    after = changed_texts(aliases, values["aliases"]) if "aliases" in values else aliases
    name: str = {**before, **values}["name"] or ""
    check_names(database, "tag", number, name, after)
    _check_sent_tree(database, number, values)
    update(database, "tag", number, values)


def _trimmed(values: Input) -> Input:
    """The names as they are compared, without blanks around them."""
    trimmed = dict(values)
    if isinstance(values.get("name"), str):
        trimmed["name"] = values["name"].strip()
    if isinstance(values.get("aliases"), list):
        trimmed["aliases"] = [alias.strip() for alias in values["aliases"]]
    return trimmed


def _check_sent_tree(database: Database, number: int, values: Input) -> None:
    """Refuse a loop; what the lists replace does not count as being there."""
    sent = {key: values[key] for key in ("parent_ids", "child_ids") if key in values}
    added = {key: _added(key, change) for key, change in sent.items()}
    parents, children = added.get("parent_ids", []), added.get("child_ids", [])
    check_tree(database, number, parents, children)


def _added(key: str, change: Any) -> list[int]:
    if isinstance(change, dict):
        change = [] if change["mode"] == "REMOVE" else change.get("ids")
    return read_ids(change, ID_LISTS[key])


def _check_tree(database: Database, number: int) -> None:
    """A new tag: its parents may not be below its children."""
    sql = "SELECT parent_id FROM tags_relations WHERE child_id = ?"
    check_tree(database, number, database.column(sql, number), [])


@mutation
def tagDestroy(call: Call, input: Input) -> bool:  # noqa: A002, N802
    return _destroy(call, [input["id"]], input)


@mutation
def tagsDestroy(call: Call, ids: list[str]) -> bool:  # noqa: N802
    return _destroy(call, ids, ids)


def _destroy(call: Call, ids: list[str], context: object) -> bool:
    numbers = read_ids(ids, "id" if len(ids) == 1 else "ids")
    with call.database.transaction():
        for number in numbers:
            sql = "SELECT 1 FROM scene_markers WHERE primary_tag_id = ?"
            if call.database.value(sql, number):
                why = "cannot delete tag used as a primary tag in scene markers"
                raise RefusedError(why)
            if thing_by_id(call.database, "tag", number) is None:
                raise RefusedError(f"id {number} does not exist in tags")
        remove(call.database, "tag", numbers)
    for number in numbers:
        call.fire("Tag.Destroy.Post", number, context)
    return True


USES = (
    ("scenes_tags", "scene_id"),
    ("scene_markers_tags", "scene_marker_id"),
    ("images_tags", "image_id"),
    ("performers_tags", "performer_id"),
    ("studios_tags", "studio_id"),
)


@mutation
def tagsMerge(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    database = call.database
    with database.transaction():
        destination = need(database, "tag", input["destination"])
        for one in input["source"]:
            source = find_one(database, "tag", one)
            if source is None:
                raise RefusedError(f"id {one} does not exist in tags")
            if source.id == destination.id:
                raise RefusedError("cannot merge where source == destination")
            _merge(database, source, destination)
    call.fire("Tag.Merge.Post", destination.id, input)
    return thing_by_id(database, "tag", destination.id)


def _merge_tree(database: Database, source: int, destination: int) -> None:
    """Parents and children of the source become the destination's, but for the two themselves."""
    for own, other in (("child_id", "parent_id"), ("parent_id", "child_id")):
        sql = f"SELECT {other} FROM tags_relations WHERE {own} = ? AND {other} != ?"
        for relative in database.column(sql, source, destination):
            pair = f"INSERT OR IGNORE INTO tags_relations ({own}, {other}) VALUES (?, ?)"
            database.run(pair, destination, relative)


def _merge(database: Database, source: Thing, destination: Thing) -> None:
    for table, owner in USES:
        database.run(
            f"INSERT OR IGNORE INTO {table} ({owner}, tag_id) "
            f"SELECT {owner}, ? FROM {table} WHERE tag_id = ?",
            destination.id,
            source.id,
        )
    sql = "UPDATE scene_markers SET primary_tag_id = ? WHERE primary_tag_id = ?"
    database.run(sql, destination.id, source.id)
    _merge_tree(database, source.id, destination.id)
    aliases = database.column("SELECT text FROM tag_aliases WHERE tag_id = ?", source.id)
    remove(database, "tag", [source.id])
    added = {"values": [*aliases, source.values["name"]], "mode": "ADD"}
    update(database, "tag", destination.id, {"aliases": added})
