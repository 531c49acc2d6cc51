"""Studios: found, made, changed, destroyed."""

from typing import Any

from demo.stash.criteria import family
from demo.stash.database import Database, RefusedError
from demo.stash.filters import CHILD_STUDIOS
from demo.stash.finding import find, find_one, need, read_id, read_ids
from demo.stash.hook_inputs import sent, whole
from demo.stash.names import check_names
from demo.stash.registry import mutation, query
from demo.stash.state import Call
from demo.stash.things import Thing, thing_by_id, things_by_ids
from demo.stash.writing import Input, insert, remove, update, without_null_lists


@query
def findStudio(call: Call, id: str) -> Thing | None:  # noqa: A002, N802
    return find_one(call.database, "studio", id)


@query
def findStudios(  # noqa: N802
    call: Call,
    studio_filter: Input | None = None,
    filter: Input | None = None,  # noqa: A002
    ids: list[str] | None = None,
) -> dict[str, Any]:
    found = find(call.database, "studio", studio_filter, filter, ids)
    return {"count": found.count, "studios": found.page}


@mutation
def studioCreate(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    values = {**input, "name": input["name"].strip()}
    with call.database.transaction():
        check_names(call.database, "studio", 0, values["name"], values.get("aliases") or [])
        number = insert(call.database, "studio", values)
    call.fire("Studio.Create.Post", number, whole("StudioCreateInput", input))
    return thing_by_id(call.database, "studio", number)


@mutation
def studioUpdate(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    with call.database.transaction():
        number = need(call.database, "studio", input["id"]).id
        _change(call.database, number, input)
    shown = whole("StudioUpdateInput", input)
    call.fire("Studio.Update.Post", number, shown, list(input))
    return thing_by_id(call.database, "studio", number)


@mutation
def bulkStudioUpdate(call: Call, input: Input) -> list[Thing] | None:  # noqa: A002, N802
    numbers = read_ids(input["ids"])
    values = without_null_lists(input)
    with call.database.transaction():
        for number in numbers:
            _change(call.database, number, values)
    for number in numbers:
        call.fire("Studio.Update.Post", number, sent(input), list(input))
    return things_by_ids(call.database, "studio", numbers) or None


def _change(database: Database, number: int, given: Input) -> None:
    values = dict(given)
    before = need(database, "studio", number).values
    given_name: str = {**before, **values}["name"] or ""
    name = given_name.strip()
    aliases = values.get("aliases")
    if "aliases" not in values:
        sql = "SELECT text FROM studio_aliases WHERE studio_id = ?"
        aliases = database.column(sql, number)
    check_names(database, "studio", number, name, aliases or [])
    parent = values.get("parent_id")
    if parent is not None and read_id(parent) in family(database, CHILD_STUDIOS, [number], -1):
        raise RefusedError("studio cannot be an ancestor of itself")
    update(database, "studio", number, {**values, "name": name})


@mutation
def studioDestroy(call: Call, input: Input) -> bool:  # noqa: A002, N802
    return _destroy(call, [input["id"]], input)


@mutation
def studiosDestroy(call: Call, ids: list[str]) -> bool:  # noqa: N802
    return _destroy(call, ids, ids)


def _destroy(call: Call, ids: list[str], context: object) -> bool:
    numbers = read_ids(ids, "id" if len(ids) == 1 else "ids")
    with call.database.transaction():
        for number in numbers:
            if thing_by_id(call.database, "studio", number) is None:
                raise RefusedError(f"id {number} does not exist in studios")
        remove(call.database, "studio", numbers)
    for number in numbers:
        call.fire("Studio.Destroy.Post", number, context)
    return True
