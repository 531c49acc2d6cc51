"""Variables are checked before anything runs, in the words of Stash's GraphQL server."""

import json
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

from demo.stash.values import go_type

Path = list[str | int]
KINDS = {"String": (str,), "Int": (int, str), "Float": (int, float, str), "ID": (int, str)}


class VariableError(Exception):
    """A variable that does not fit; the path says which part."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


def check_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode, given: dict[str, Any]
) -> None:
    """Raise VariableError for the first variable that does not fit its type."""
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        kind = type_from_ast(schema, definition.type)
        path: Path = ["variable", name]
        if name not in given:
            if isinstance(kind, GraphQLNonNull) and definition.default_value is None:
                raise VariableError("must be defined", path)
            continue
        _check(kind, given[name], path)  # type: ignore[arg-type]


def _check(kind: GraphQLInputType, value: Any, path: Path) -> None:
    if isinstance(kind, GraphQLNonNull):
        if value is None:
            raise VariableError("cannot be null", path)
        kind = kind.of_type
    if value is None:
        return
    if isinstance(kind, GraphQLList):
        for number, item in enumerate(value if isinstance(value, list) else [value]):
            _check(kind.of_type, item, [*path, number])
    elif isinstance(kind, GraphQLInputObjectType):
        _check_object(kind, value, path)
    elif isinstance(kind, GraphQLEnumType):
        if not isinstance(value, str) or value not in kind.values:
            raise VariableError(f"{value} is not a valid {kind.name}", path)
    elif isinstance(kind, GraphQLScalarType):
        _check_scalar(kind.name, value, path)


def _check_object(kind: GraphQLInputObjectType, value: Any, path: Path) -> None:
    if not isinstance(value, dict):
        raise VariableError(f"must be a {kind.name}", path)
    for name in value:
        if name not in kind.fields:
            raise VariableError("unknown field", [*path, name])
    for name, field in kind.fields.items():
        if name in value:
            _check(field.type, value[name], [*path, name])
        elif isinstance(field.type, GraphQLNonNull) and field.default_value is Undefined:
            raise VariableError("must be defined", [*path, name])


def _check_scalar(name: str, value: Any, path: Path) -> None:
    if name == "Boolean":
        fits = isinstance(value, bool)
    else:
        fits = name not in KINDS or (isinstance(value, KINDS[name]) and not isinstance(value, bool))
    if not fits:
        shown = {"json.Number": "json.Number"}.get(go_type(value), go_type(value))
        raise VariableError(f"cannot use {shown} as {name}", path)


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
