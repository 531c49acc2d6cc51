"""Names and aliases that must be one row's only, and trees that may have no loop."""

import json

from demo.stash.database import Database, RefusedError
from demo.stash.things import TABLES

ALIASES = {"tag": ("tag_aliases", "tag_id"), "studio": ("studio_aliases", "studio_id")}


def check_names(database: Database, kind: str, number: int, name: str, aliases: list[str]) -> None:
    """Refuse a name or an alias that another row of the kind has, in any ASCII case."""
    if not name:
        raise RefusedError(f"{kind} name must not be blank")
    _check_free(database, kind, number, name)
    for alias in aliases:
        _check_free(database, kind, number, alias)


def _check_free(database: Database, kind: str, number: int, name: str) -> None:
    table = TABLES[kind]
    sql = f"SELECT id FROM {table} WHERE name = ? COLLATE NOCASE AND id != ?"
    if database.value(sql, name, number) is not None:
        raise RefusedError(f"{kind} with name '{name}' already exists")
    aliases, owner = ALIASES[kind]
    sql = f"""SELECT name FROM {aliases} JOIN {table} ON {table}.id = {owner}
      WHERE text = ? COLLATE NOCASE AND {owner} != ?"""
    other = database.value(sql, name, number)
    if other is not None:
        raise RefusedError(f"name '{name}' is used as alias for '{other}'")


def check_tree(database: Database, number: int, parents: list[int], children: list[int]) -> None:
    """Refuse parents of a tag that are below it, and children that are above it."""
    for parent in parents:
        way = _way(database, number, parent)
        if way:
            names = [_name(database, one) for one in way]
            raise RefusedError(
                f'cannot apply tag "{names[-1]}" as a parent of "{names[0]}" '
                f"as it is already a descendant ({'->'.join(names)})"
            )
    for child in children:
        way = _way(database, child, number)
        if way:
            names = [_name(database, one) for one in way]
            raise RefusedError(
                f'cannot apply tag "{names[0]}" as a child of "{names[-1]}" '
                f"as it is already an ancestor ({'->'.join(names)})"
            )


def _name(database: Database, number: int) -> str:
    return str(database.value("SELECT name FROM tags WHERE id = ?", number))


def _way(database: Database, above: int, below: int) -> list[int]:
    """The tags from one down to another; nothing if there is no way."""
    ways = {above: [above]}
    newest = [above]
    while newest and below not in ways:
        sql = """SELECT parent_id, child_id FROM tags_relations
          WHERE parent_id IN (SELECT value FROM json_each(?))"""
        newest = []
        for row in database.rows(sql, json.dumps(list(ways))):
            if row["child_id"] not in ways:
                ways[row["child_id"]] = [*ways[row["parent_id"]], row["child_id"]]
                newest.append(row["child_id"])
    return ways.get(below, [])
