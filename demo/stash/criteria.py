"""A criterion of a filter as SQL."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from demo.stash.database import Database, RefusedError
from demo.stash.values import as_stamp, whole_number

Criterion = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition and the values of its question marks."""

    sql: str
    values: tuple[object, ...] = ()

    def __invert__(self) -> "Clause":
        return Clause(f"NOT ({self.sql})", self.values)


ALWAYS = Clause("1")
NEVER = Clause("0")

Condition = Callable[[Database, Any], Clause]
"""Makes a clause of a criterion's value."""


def joined(word: str, clauses: Sequence[Clause]) -> Clause:
    """The clauses with AND or OR between them; none at all hold."""
    if not clauses:
        return ALWAYS
    sql = f" {word} ".join(f"({clause.sql})" for clause in clauses)
    return Clause(sql, tuple(value for clause in clauses for value in clause.values))


def refuse_modifier(criterion: Criterion) -> RefusedError:
    """The error for a modifier that this kind of criterion does not take."""
    return RefusedError(f"unsupported modifier: {criterion['modifier']}")


COMPARED = {
    "EQUALS": "{0} = ?",
    "NOT_EQUALS": "({0} != ? OR {0} IS NULL)",
    "GREATER_THAN": "{0} > ?",
    "LESS_THAN": "{0} < ?",
}
RANGES = {"BETWEEN": "{0} BETWEEN ? AND ?", "NOT_BETWEEN": "{0} NOT BETWEEN ? AND ?"}
NULLS = {"IS_NULL": "{0} IS NULL", "NOT_NULL": "{0} IS NOT NULL"}


def number(column: str, read: Callable[[Any], Any] = lambda value: value) -> Condition:
    """An IntCriterionInput or FloatCriterionInput; `read` makes the value comparable."""

    def condition(_: Database, criterion: Criterion) -> Clause:
        modifier = criterion["modifier"]
        if modifier in NULLS:
            return Clause(NULLS[modifier].format(column))
        if modifier in COMPARED:
            return Clause(COMPARED[modifier].format(column), (read(criterion["value"]),))
        if modifier in RANGES:
            ends = read(criterion["value"]), read(criterion.get("value2") or 0)
            return Clause(RANGES[modifier].format(column), ends)
        why = f"unsupported numeric modifier type {modifier}"
        raise RefusedError(f"Internal system error. Error <{why}>")

    return condition


def moment(column: str) -> Condition:
    """A TimestampCriterionInput."""

    def read(text: str) -> str:
        try:
            return as_stamp(text)
        except ValueError:
            return text  # which Stash compares as it is, too

    return number(column, read)


def day(column: str) -> Condition:
    """A DateCriterionInput: dates compare as texts."""
    return number(column)


def flag(column: str) -> Condition:
    """A Boolean."""
    return lambda _, value: Clause(f"{column} = ?", (bool(value),))


POSITIVE = {
    "NOT_EQUALS": "EQUALS",
    "EXCLUDES": "INCLUDES",
    "NOT_MATCHES_REGEX": "MATCHES_REGEX",
    "IS_NULL": "NOT_NULL",
}


def text(column: str, source: str = "") -> Condition:
    """A StringCriterionInput on a column, or on texts of another table.

    `source` is the query behind those texts, as "SELECT owner FROM table WHERE {}"; the condition
    holds for the owners (of the column `id`) with such a text, and with a negation for the rest;
    only NOT_EQUALS wants another text to be there. A text that is not there is no text at all:
    a column without one is not found by a negation.
    """

    def condition(_: Database, criterion: Criterion) -> Clause:
        modifier: str = criterion["modifier"]
        positive = POSITIVE.get(modifier, modifier)
        found = _text_clause(column, positive, criterion["value"])
        if source and modifier == "NOT_EQUALS":
            return Clause(source.format((~found).sql), found.values)
        if source:
            found = Clause(source.format(found.sql), found.values)
        return found if positive == modifier else ~found

    return condition


def _text_clause(column: str, modifier: str, value: str) -> Clause:
    value = value.strip()
    text = f"nullif({column}, '')"
    if modifier == "EQUALS":
        return Clause(f"{text} LIKE ?", (value,))
    if modifier == "INCLUDES":
        words = [value[1:-1]] if _is_quoted(value) else value.split()
        return joined("OR", [Clause(f"{text} LIKE ?", (f"%{word}%",)) for word in words])
    if modifier == "MATCHES_REGEX":
        return Clause(f"coalesce({text} REGEXP ?, 0)", (_regex(value),))
    if modifier == "NOT_NULL":
        return Clause(f"{text} IS NOT NULL")
    raise RefusedError("Internal system error. Error <unsupported string filter modifier>")


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise RefusedError(f"error parsing regexp: {error}") from error
    return pattern


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] == '"'


@dataclass(frozen=True, slots=True)
class Link:
    """How rows of one table have rows of another: `owners` selects the owners of the ids in ?.

    `tree` selects the children of the ids in ?; without it there is no depth. `any_owner` selects
    all that own something, and `count` is how much a row owns.
    """

    owners: str
    any_owner: str
    tree: str = ""
    count: str = ""


def linked(link: Link) -> Condition:
    """A HierarchicalMultiCriterionInput or MultiCriterionInput; an empty list does not filter."""

    def condition(database: Database, criterion: Criterion) -> Clause:
        modifier = criterion["modifier"]
        if modifier in NULLS:
            there = Clause(f"id IN ({link.any_owner})")
            return there if modifier == "NOT_NULL" else ~there
        depth = criterion.get("depth") or 0
        wanted, unwanted = _ids(criterion, "value"), _ids(criterion, "excludes")
        families = [family(database, link.tree, [one], depth) for one in wanted]
        clauses = [_having(link, modifier, families)] if families else []
        if unwanted:
            clauses.append(~_any_of(link, family(database, link.tree, unwanted, depth)))
        return joined("AND", clauses)

    return condition


def _ids(criterion: Criterion, key: str) -> list[int]:
    try:
        return [whole_number(one) for one in criterion.get(key) or []]
    except ValueError as error:
        raise RefusedError(str(error)) from error


def _having(link: Link, modifier: str, families: list[list[int]]) -> Clause:
    if modifier in ("INCLUDES", "EXCLUDES"):
        found = _any_of(link, [one for ids in families for one in ids])
        return found if modifier == "INCLUDES" else ~found
    each = [_any_of(link, ids) for ids in families]
    if modifier == "INCLUDES_ALL":
        return joined("AND", each)
    if modifier == "EQUALS" and link.count:
        return joined("AND", [*each, Clause(f"{link.count} = ?", (len(families),))])
    if modifier == "NOT_EQUALS":
        kind = "hierarchical multi" if link.tree else "multi"
        why = f"not equals modifier is not supported for {kind} criterion input"
        raise RefusedError(why)
    return ALWAYS  # as Stash does with a modifier that this criterion does not know


def _any_of(link: Link, ids: list[int]) -> Clause:
    times = link.owners.count("?")
    return Clause(f"id IN ({link.owners})", (json.dumps(ids),) * times)


def family(database: Database, tree: str, ids: list[int], depth: int) -> list[int]:
    """The ids and their descendants down to a depth; -1 is all the way, and loops end."""
    known, newest = list(ids), list(ids)
    while tree and depth and newest:
        below = database.column(tree, json.dumps(newest))
        newest = [one for one in dict.fromkeys(below) if one not in known]
        known += newest
        depth -= 1
    return known
