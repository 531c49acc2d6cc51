"""Performers: found, made, changed, destroyed, with fields of the user's own."""

import json
from typing import Any

from demo.stash.database import Database, RefusedError
from demo.stash.filters import IN_LIST
from demo.stash.finding import find, find_one, need, read_ids
from demo.stash.hook_inputs import sent, whole
from demo.stash.registry import field, mutation, query
from demo.stash.state import Call
from demo.stash.things import Thing, thing_by_id, things_by_ids
from demo.stash.values import go_type
from demo.stash.writing import (
    Input,
    changed_texts,
    insert,
    remove,
    update,
    without_null_lists,
)

LONGEST_FIELD_BYTES = 64


@query
def findPerformer(call: Call, id: str) -> Thing | None:  # noqa: A002, N802
    return find_one(call.database, "performer", id)


@query
def findPerformers(  # noqa: N802
    call: Call,
    performer_filter: Input | None = None,
    filter: Input | None = None,  # noqa: A002
    performer_ids: list[int] | None = None,
    ids: list[str] | None = None,
) -> dict[str, Any]:
    found = find(call.database, "performer", performer_filter, filter, ids or performer_ids)
    return {"count": found.count, "performers": found.page}


@field("Performer", "custom_fields")
def _custom_fields(performer: Thing, call: Call) -> dict[str, Any]:
    def load(ids: list[int]) -> dict[int, dict[str, Any]]:
        owned: dict[int, dict[str, Any]] = {number: {} for number in ids}
        sql = f"SELECT * FROM performer_custom_fields WHERE performer_id {IN_LIST} ORDER BY field"
        for row in call.database.rows(sql, json.dumps(ids)):
            owned[row["performer_id"]][row["field"]] = row["value"]
        return owned

    found: dict[str, Any] = performer.shared("custom_fields", load)
    return found


@mutation
def performerCreate(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    values = {**input, "name": input["name"].strip()}
    database = call.database
    with database.transaction():
        _check_name(database, 0, values["name"], values.get("disambiguation") or "")
        _check_aliases(values["name"], values.get("alias_list") or [])
        number = insert(database, "performer", values)
        _write_fields(database, number, values.get("custom_fields") or {})
    call.fire("Performer.Create.Post", number, whole("PerformerCreateInput", input))
    return thing_by_id(database, "performer", number)


@mutation
def performerUpdate(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    with call.database.transaction():
        number = need(call.database, "performer", input["id"]).id
        _change(call.database, number, input)
    shown = whole("PerformerUpdateInput", input)
    call.fire("Performer.Update.Post", number, shown, list(input))
    return thing_by_id(call.database, "performer", number)


@mutation
def bulkPerformerUpdate(call: Call, input: Input) -> list[Thing] | None:  # noqa: A002, N802
    numbers = read_ids(input.get("ids"))
    values = without_null_lists(input)
    with call.database.transaction():
        for number in numbers:
            _change(call.database, number, values)
    for number in numbers:
        call.fire("Performer.Update.Post", number, sent(input), list(input))
    return things_by_ids(call.database, "performer", numbers) or None


def _change(database: Database, number: int, given: Input) -> None:
    values = dict(given)
    before = need(database, "performer", number).values
    given_name: str = {**before, **values}["name"] or ""
    name = given_name.strip()
    other = values.get("disambiguation", before["disambiguation"]) or ""
    _check_name(database, number, name, other)
    if "alias_list" in values:
        sql = "SELECT text FROM performer_aliases WHERE performer_id = ? ORDER BY position"
        _check_aliases(name, changed_texts(database.column(sql, number), values["alias_list"]))
    update(database, "performer", number, {**values, "name": name})
    _change_fields(database, number, values.get("custom_fields") or {})


def _change_fields(database: Database, number: int, change: Input) -> None:
    """Replace all fields, or else change and remove some."""
    fields = change.get("full")
    if fields is not None:
        database.run("DELETE FROM performer_custom_fields WHERE performer_id = ?", number)
    else:
        fields = change.get("partial") or {}
    removed = change.get("remove") or []
    for name, value in fields.items():
        _check_field(name)
        if name in removed:
            why = "cannot be in both values and delete keys"
            raise RefusedError(f'custom field name "{name}" {why}')
        _check_value(name, value)
    _write_fields(database, number, fields)
    for name in removed:
        sql = "DELETE FROM performer_custom_fields WHERE performer_id = ? AND field = ?"
        database.run(sql, number, name)


def _check_name(database: Database, number: int, name: str, disambiguation: str) -> None:
    if not name:
        raise RefusedError("performer name must not be blank")
    sql = """SELECT 1 FROM performers WHERE name = ? COLLATE NOCASE
      AND disambiguation = ? COLLATE NOCASE AND id != ?"""
    if database.value(sql, name, disambiguation, number):
        more = f" and disambiguation '{disambiguation}'" if disambiguation else ""
        raise RefusedError(f"performer with name '{name}'{more} already exists")


def _check_aliases(name: str, aliases: list[str]) -> None:
    known = {name.lower()}
    for alias in aliases:
        if alias.lower() in known:
            raise RefusedError(f"performer contains duplicate alias '{alias}'")
        known.add(alias.lower())


def _write_fields(database: Database, number: int, fields: Input) -> None:
    for name, value in fields.items():
        _check_value(name, value)
        sql = "DELETE FROM performer_custom_fields WHERE performer_id = ? AND field = ?"
        database.run(sql, number, name)
        if value is not None:
            stored = int(value) if isinstance(value, bool) else value
            sql = "INSERT INTO performer_custom_fields VALUES (?, ?, ?)"
            database.run(sql, number, name, stored)


def _check_field(name: str) -> None:
    if name != name.strip():
        raise RefusedError("custom field name cannot have leading or trailing whitespace")
    if not name:
        raise RefusedError("custom field name must be set")
    if len(name.encode()) > LONGEST_FIELD_BYTES:
        raise RefusedError("custom field name must be less than 65 characters")


def _check_value(name: str, value: object) -> None:
    if isinstance(value, (list, dict)):
        why = f"unsupported custom field value type: {go_type(value)}"
        raise RefusedError(f'getting SQL value for field "{name}": {why}')


@mutation
def performerDestroy(call: Call, input: Input) -> bool:  # noqa: A002, N802
    return _destroy(call, [input["id"]], input)


@mutation
def performersDestroy(call: Call, ids: list[str]) -> bool:  # noqa: N802
    return _destroy(call, ids, ids)


def _destroy(call: Call, ids: list[str], context: object) -> bool:
    numbers = read_ids(ids, "id" if len(ids) == 1 else "ids")
    with call.database.transaction():
        for number in numbers:
            if thing_by_id(call.database, "performer", number) is None:
                raise RefusedError(f"id {number} does not exist in performers")
        remove(call.database, "performer", numbers)
    for number in numbers:
        call.fire("Performer.Destroy.Post", number, context)
    return True
