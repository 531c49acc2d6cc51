"""The schema with its resolvers, and documents that are parsed and checked once."""

from functools import cache, lru_cache

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    parse,
    validate,
)

from demo.stash import (
    belongings,
    images,
    markers,
    merging,
    performers,
    scanning,
    scenes,
    studios,
    system,
    tags,
)
from demo.stash.registry import (
    FIELDS,
    ROOTS,
    field_resolver,
    plain_resolver,
    root_resolver,
    type_of,
)
from demo.stash.sdl import TEXT

RESOLVING = (
    *(belongings, images, markers, merging, performers, scanning, scenes, studios, system, tags),
)
"""Importing these has entered their resolvers."""
OPEN_SCALARS = ("Any", "Map", "BoolMap", "PluginConfigMap", "Time", "Timestamp", "Int64")


@cache
def schema() -> GraphQLSchema:
    """The schema of schema.graphql, every field with what answers it."""
    built = build_schema(TEXT)
    for kind in built.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            _attach(kind)
        elif isinstance(kind, (GraphQLInterfaceType, GraphQLUnionType)):
            kind.resolve_type = type_of
        elif isinstance(kind, GraphQLScalarType) and kind.name in OPEN_SCALARS:
            setattr(kind, "serialize", _as_it_is)  # noqa: B010 - as graphql-core's builder does
            setattr(kind, "parse_value", _as_it_is)  # noqa: B010
    return built


def _attach(kind: GraphQLObjectType) -> None:
    for name, field in kind.fields.items():
        if kind.name in ROOTS:
            field.resolve = root_resolver(kind.name, name)
        elif name in FIELDS.get(kind.name, {}):
            field.resolve = field_resolver(FIELDS[kind.name][name])
        else:
            field.resolve = plain_resolver


def _as_it_is(value: object) -> object:
    return value


@lru_cache(maxsize=512)
def checked(text: str) -> tuple[DocumentNode | None, tuple[GraphQLError, ...], str]:
    """A document, what is wrong with it, and the code of that."""
    try:
        document = parse(text)
    except GraphQLError as error:
        return None, (error,), "GRAPHQL_PARSE_FAILED"
    errors = tuple(validate(schema(), document))
    return document, errors, "GRAPHQL_VALIDATION_FAILED"
