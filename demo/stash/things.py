"""Rows that are read together, and what belongs to them is read once for all of them."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from demo.stash.database import Database, Record

TABLES = {
    "scene": "scenes",
    "tag": "tags",
    "studio": "studios",
    "performer": "performers",
    "scene marker": "scene_markers",
    "image": "images",
    "file": "files",
}
"""Kind, as messages name it, and its table."""


@dataclass(eq=False, slots=True)
class Batch:
    """The rows of one kind that were read with one query."""

    ids: list[int] = field(default_factory=list)
    known: dict[object, dict[int, Any]] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Thing:
    """A row of the library."""

    kind: str
    values: Record
    batch: Batch

    @property
    def id(self) -> int:
        """Its number."""
        return int(self.values["id"])

    def shared(self, key: object, load: Callable[[list[int]], dict[int, Any]]) -> Any:
        """What `load` finds for this row; it is asked once for the whole batch."""
        if key not in self.batch.known:
            self.batch.known[key] = load(self.batch.ids)
        return self.batch.known[key].get(self.id)


def batch_of(kind: str, records: Iterable[Record]) -> list[Thing]:
    """Rows that share what is read later."""
    batch = Batch()
    things = [Thing(kind, record, batch) for record in records]
    batch.ids.extend(thing.id for thing in things)
    return things


def things_by_ids(database: Database, kind: str, ids: Iterable[int]) -> list[Thing]:
    """The rows with these ids, in their order; an unknown id gives none."""
    wanted = list(ids)
    table = TABLES[kind]
    sql = f"SELECT * FROM {table} WHERE id IN (SELECT value FROM json_each(?))"
    found = {row["id"]: row for row in database.rows(sql, json.dumps(wanted))}
    return batch_of(kind, [found[number] for number in wanted if number in found])


def thing_by_id(database: Database, kind: str, number: int) -> Thing | None:
    """One row alone."""
    return next(iter(things_by_ids(database, kind, [number])), None)


def related(database: Database, kind: str, sql: str, ids: list[int]) -> dict[int, list[Thing]]:
    """Rows of another kind by their owner.

    `sql` selects `owner` and all columns of the row; its `?` takes the owners' ids as JSON.
    """
    batch = Batch()
    one_each: dict[int, Thing] = {}
    owned: dict[int, list[Thing]] = {number: [] for number in ids}
    for record in database.rows(sql, json.dumps(ids)):
        owner = record.pop("owner")
        if record["id"] not in one_each:
            one_each[record["id"]] = Thing(kind, record, batch)
        owned[owner].append(one_each[record["id"]])
    batch.ids.extend(one_each)
    return owned


def numbers(database: Database, sql: str, ids: list[int]) -> dict[int, Any]:
    """One value per owner; `sql` selects the owner and the value."""
    pairs = (tuple(row.values()) for row in database.rows(sql, json.dumps(ids)))
    return {owner: value for owner, value in pairs}  # noqa: C416


def texts(database: Database, table: str, owner: str, ids: list[int]) -> dict[int, list[str]]:
    """The texts of each owner: URLs as they were given, aliases sorted."""
    sql = f"""SELECT {owner} AS owner, text FROM {table}
      WHERE {owner} IN (SELECT value FROM json_each(?))
      ORDER BY {owner}, {"text" if table.endswith("_aliases") else "position"}"""
    owned: dict[int, list[str]] = {number: [] for number in ids}
    for record in database.rows(sql, json.dumps(ids)):
        owned[record["owner"]].append(record["text"])
    return owned
