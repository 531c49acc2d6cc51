"""The schema's text, and the names that an input type has."""

from functools import cache
from pathlib import Path

from graphql import InputObjectTypeDefinitionNode, parse

TEXT = Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8")


@cache
def input_fields(name: str) -> tuple[str, ...]:
    """The fields of an input type, in their order."""
    for node in parse(TEXT).definitions:
        if isinstance(node, InputObjectTypeDefinitionNode) and node.name.value == name:
            return tuple(field.name.value for field in node.fields or ())
    raise KeyError(name)
