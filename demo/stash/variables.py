"""Variables are checked before anything runs, in the words of Stash's GraphQL server."""

import json
from collections.abc import Callable
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    type_from_ast,
)

Path = list[str | int]


class VariableError(Exception):
    """A variable that does not fit; the path says which part."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


def checked_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode, given: dict[str, Any]
) -> dict[str, Any]:
    """The variables as their types want them; VariableError for the first that does not fit."""
    known: dict[str, Any] = {}
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        kind = type_from_ast(schema, definition.type)
        path: Path = ["variable", name]
        if name in given:
            known[name] = _checked(kind, given[name], path)  # type: ignore[arg-type]
        elif isinstance(kind, GraphQLNonNull) and definition.default_value is None:
            raise VariableError("must be defined", path)
    return known


def _checked(kind: GraphQLInputType, value: Any, path: Path) -> Any:
    if isinstance(kind, GraphQLNonNull):
        if value is None:
            raise VariableError("cannot be null", path)
        kind = kind.of_type
    if value is None:
        return None
    if isinstance(kind, GraphQLList):
        items = value if isinstance(value, list) else [value]
        return [_checked(kind.of_type, item, [*path, at]) for at, item in enumerate(items)]
    if isinstance(kind, GraphQLInputObjectType):
        return _checked_object(kind, value, path)
    if isinstance(kind, GraphQLEnumType) and value not in kind.values:
        raise VariableError(f"{value} is not a valid {kind.name}", path)
    if isinstance(kind, GraphQLScalarType):
        return _checked_scalar(kind.name, value, path)
    return value


def _checked_object(kind: GraphQLInputObjectType, value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise VariableError(f"must be a {kind.name}, not a {_go_kind(value)}", path)
    for name in value:
        if name not in kind.fields:
            raise VariableError("unknown field", [*path, name])
    for name, field in kind.fields.items():
        needed = isinstance(field.type, GraphQLNonNull) and field.default_value is Undefined
        if needed and name not in value:
            raise VariableError("must be defined", [*path, name])
    fields = kind.fields
    return {name: _checked(fields[name].type, one, [*path, name]) for name, one in value.items()}


READ: dict[str, Callable[[str], Any]] = {"Int": int, "Float": float, "String": str, "ID": str}
"""Go keeps a number's text, so that a number and its text are the same to it."""


def _checked_scalar(name: str, value: Any, path: Path) -> Any:
    try:
        if name in READ and _go_kind(value) == "string":
            return READ[name](value if isinstance(value, str) else json.dumps(value))
    except ValueError:
        raise VariableError(f"cannot use {_go_kind(value)} as {name}", path) from None
    if name in READ or (name == "Boolean" and not isinstance(value, bool)):
        raise VariableError(f"cannot use {_go_kind(value)} as {name}", path)
    return value


def _go_kind(value: Any) -> str:
    """What Go calls the kind of a JSON value; numbers are texts to it."""
    kinds = {bool: "bool", list: "slice", dict: "map"}
    return kinds.get(type(value), "string")


def why_not_json(text: str) -> str:
    """What Go's decoder says of a text that is not JSON."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        rest = text[error.pos :]
        if not rest:
            return "unexpected EOF" if text.strip() else "EOF"
        for literal in ("null", "true", "false"):
            if rest[0] == literal[0]:
                return _broken_literal(rest, literal)
        return f"invalid character '{rest[0]}' looking for beginning of value"
    return "the body is not an object"


def _broken_literal(rest: str, literal: str) -> str:
    for came, wanted in zip(rest, literal, strict=False):
        if came != wanted:
            return f"invalid character '{came}' in literal {literal} (expecting '{wanted}')"
    return "unexpected EOF"
