"""Markers: found, made, changed, destroyed."""

from typing import Any

from demo.stash.database import Database, RefusedError
from demo.stash.finding import find, need, read_id, read_ids
from demo.stash.hook_inputs import sent
from demo.stash.registry import field, mutation, query
from demo.stash.state import Call
from demo.stash.things import Thing, thing_by_id, things_by_ids
from demo.stash.writing import Input, insert, remove, update, without_null_lists

MARKER = "scene marker"
NIL = "runtime error: invalid memory address or nil pointer dereference"


@query
def findSceneMarkers(  # noqa: N802
    call: Call,
    scene_marker_filter: Input | None = None,
    filter: Input | None = None,  # noqa: A002
    ids: list[str] | None = None,
) -> dict[str, Any]:
    found = find(call.database, MARKER, scene_marker_filter, filter, ids)
    return {"count": found.count, "scene_markers": found.page}


def _place(marker: Thing, call: Call) -> str:
    return f"{call.base_url}/scene/{marker.values['scene_id']}/scene_marker/{marker.id}"


for _name in ("stream", "preview", "screenshot"):
    field("SceneMarker", _name)(lambda marker, call, name=_name: f"{_place(marker, call)}/{name}")


def _check_ends(seconds: float, end: float | None) -> None:
    if end is not None and end < seconds:
        why = f"must be greater than or equal to seconds ({seconds:.6f})"
        raise RefusedError(f"end_seconds ({end:.6f}) {why}")


def _without_primary(primary: object, values: Input) -> Input:
    tags = values.get("tag_ids")
    if not isinstance(tags, list):
        return values
    return {**values, "tag_ids": [tag for tag in tags if str(tag) != str(primary)]}


@mutation
def sceneMarkerCreate(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    _check_ends(input["seconds"], input.get("end_seconds"))
    with call.database.transaction():
        values = _without_primary(input["primary_tag_id"], input)
        number = insert(call.database, MARKER, values)
    call.fire("SceneMarker.Create.Post", number, sent(input))
    return thing_by_id(call.database, MARKER, number)


@mutation
def sceneMarkerUpdate(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    with call.database.transaction():
        marker = need(call.database, MARKER, input["id"])
        _change(call.database, marker, input)
    call.fire("SceneMarker.Update.Post", marker.id, sent(input), list(input))
    return thing_by_id(call.database, MARKER, marker.id)


def _change(database: Database, marker: Thing, values: Input) -> None:
    after = {**marker.values, **values}
    _check_ends(after["seconds"], after["end_seconds"])
    values = _without_primary(after["primary_tag_id"], values)
    update(database, MARKER, marker.id, values)
    if "scene_id" in values:
        sql = "UPDATE scene_markers SET scene_id = ? WHERE id = ?"
        database.run(sql, read_id(values["scene_id"]), marker.id)


@mutation
def bulkSceneMarkerUpdate(call: Call, input: Input) -> list[Thing] | None:  # noqa: A002, N802
    database = call.database
    numbers = read_ids(input.get("ids"))
    with database.transaction():
        for number in numbers:
            marker = thing_by_id(database, MARKER, number)
            if marker is None:
                raise RefusedError(_unknown(input))
            _change(database, marker, without_null_lists(input))
    for number in numbers:
        call.fire("SceneMarker.Update.Post", number, sent(input), list(input))
    return things_by_ids(database, MARKER, numbers) or None


@mutation
def sceneMarkerDestroy(call: Call, id: str) -> bool:  # noqa: A002, N802
    return _destroy(call, [id], [id])


@mutation
def sceneMarkersDestroy(call: Call, ids: list[str]) -> bool:  # noqa: N802
    return _destroy(call, ids, ids)


def _unknown(values: Input) -> str:
    """What Stash says of a marker that is not there: it breaks over its tags."""
    if "tag_ids" in values or "primary_tag_id" in values:
        return f"Internal system error. Error <{NIL}>"
    return "sql: no rows in result set"


def _destroy(call: Call, ids: list[str], context: object) -> bool:
    with call.database.transaction():
        numbers = [need(call.database, MARKER, one, "ids").id for one in ids]
        remove(call.database, MARKER, numbers)
    for number in numbers:
        call.fire("SceneMarker.Destroy.Post", number, context)
    return True
