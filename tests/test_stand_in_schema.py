"""The stand-in's schema is Stash's own, as far as it goes, and every field of it is answered."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    introspection_from_schema,
    is_leaf_type,
)

from demo.stash import StandIn, fake_file
from demo.stash.schema import schema
from tests.stand_in_client import Client

Kind = dict[str, Any]


def types_of(introspection: dict[str, Any]) -> dict[str, Kind]:
    return {kind["name"]: kind for kind in introspection["__schema"]["types"]}


OURS = types_of(dict(introspection_from_schema(schema(), input_value_deprecation=True)))


@pytest.fixture(scope="module")
def theirs(reference: Path) -> dict[str, Kind]:
    path = reference / "stash_introspection.json"
    return types_of(json.loads(path.read_text(encoding="utf-8"))["data"])


def shown(kind: Kind) -> str:
    """A type as it is written: [ID!]!"""
    if kind["kind"] == "NON_NULL":
        return f"{shown(kind['ofType'])}!"
    return f"[{shown(kind['ofType'])}]" if kind["kind"] == "LIST" else str(kind["name"])


def described(value: Kind) -> tuple[Any, ...]:
    """All that makes a field, an argument or an input field what it is."""
    arguments = [described(argument) for argument in value.get("args", [])]
    deprecated = bool(value.get("isDeprecated"))
    return (value["name"], shown(value["type"]), value.get("defaultValue"), deprecated, arguments)


@pytest.mark.parametrize("name", [name for name in OURS if not name.startswith("__")])
def test_every_type_is_stashs(theirs: dict[str, Kind], name: str) -> None:
    ours, stashs = OURS[name], theirs[name]
    assert ours["kind"] == stashs["kind"]
    fields = {field["name"]: described(field) for field in stashs["fields"] or []}
    for field in ours["fields"] or []:
        assert described(field) == fields[field["name"]]
    inputs = [described(field) for field in stashs["inputFields"] or []]
    assert [described(field) for field in ours["inputFields"] or []] == inputs
    values = [(value["name"], value["isDeprecated"]) for value in stashs["enumValues"] or []]
    assert [(one["name"], one["isDeprecated"]) for one in ours["enumValues"] or []] == values


def leaves(kind: Any, whole: GraphQLSchema, depth: int) -> str:
    """A selection of every field that needs no argument, down to a depth."""
    if isinstance(kind, GraphQLUnionType):
        parts = [f"... on {one.name} {leaves(one, whole, depth)}" for one in kind.types]
        return "{ __typename " + " ".join(parts) + " }"
    names = ["__typename"]
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        needed = [one for one in field.args.values() if str(one.type).endswith("!")]
        if needed or (kind.name, name) in UNANSWERED:
            continue
        if is_leaf_type(inner):
            names.append(name)
        elif depth:
            names.append(f"{name} {leaves(inner, whole, depth - 1)}")
    return "{ " + " ".join(names) + " }"


UNANSWERED = {("PluginTask", "plugin"), ("PluginHook", "plugin")}
"""Stash itself answers these with an error inside `plugins`."""


@pytest.mark.parametrize("name", sorted(schema().query_type.fields))  # type: ignore[union-attr]
def test_every_field_is_answered(filled: Client, name: str) -> None:
    query = schema().query_type
    assert isinstance(query, GraphQLObjectType)
    field = query.fields[name]
    given = {"id": "1", "input": {"id": "1"} if name == "findJob" else {"oshash": "0" * 16}}
    arguments = {one: given[one] for one in field.args if one in given}
    kinds = {one: field.args[one].type for one in arguments}
    named = get_named_type(field.type)
    inside = "" if is_leaf_type(named) else leaves(named, schema(), 2)
    head = ", ".join(f"${one}: {kind}" for one, kind in kinds.items())
    passed = ", ".join(f"{one}: ${one}" for one in arguments)
    text = (
        f"query{f'({head})' if head else ''} {{ {name}{f'({passed})' if passed else ''} {inside} }}"
    )
    found = filled.data(text, **arguments)[name]
    assert found is not None or name in (
        "jobQueue",
        "findJob",
        "plugins",
        "pluginTasks",
        "findImage",
    )


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with StandIn(tmp_path_factory.mktemp("stash")) as stash:
        fill(stash)
        yield Client(stash)


def fill(stash: StandIn) -> None:
    """One of each kind."""
    tag = stash.add_tag("Tag", aliases=["Alias"])
    stash.add_tag("Child", parents=[tag])
    studio = stash.add_studio("Studio")
    performer = stash.add_performer("Performer")
    file = fake_file("/lib/a.mp4", oshash="0" * 16)
    scene = stash.add_scene("A", tags=[tag], performers=[performer], studio=studio, file=file)
    Client(stash).write(
        "sceneMarkerCreate", title="", seconds=1, scene_id=scene, primary_tag_id=tag
    )
