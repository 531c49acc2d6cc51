"""Writes what the pages' types are made from, ui/openapi.json: `python -m tools.openapi`."""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from typing_extensions import is_typeddict

from stash_sense_plugin.start.version import VERSION
from stash_sense_plugin.tasks import api

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path("ui") / "openapi.json"
REFERENCE: Final = "#/components/schemas/{model}"


def document() -> dict[str, Any]:
    """Return the one call that doors make, and the shapes of all that pages ask and are told."""
    shapes = {
        name: shape
        for name, shape in vars(api).items()
        if is_typeddict(shape) and shape.__module__ == api.__name__
    }
    named = [(name, "serialization", TypeAdapter(shape)) for name, shape in shapes.items()]
    _, schema = TypeAdapter.json_schemas(named, ref_template=REFERENCE)  # type: ignore[arg-type]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stash Sense", "version": VERSION},
        "paths": {"/v1/call": {"post": _call()}},
        "components": {"schemas": {**schema["$defs"], "Modes": _modes()}},
    }


def _modes() -> dict[str, Any]:
    """By mode what is asked and told, as one shape."""
    modes = {
        mode: _object({"asked": _reference(asked), "told": _reference(told)})
        for mode, (asked, told) in api.PAGES.items()
    }
    return _object(modes)


def _call() -> dict[str, Any]:
    args = [
        {"allOf": [_object({"mode": {"const": mode}}), _reference(asked)]}
        for mode, (asked, _) in api.PAGES.items()
    ]
    told = dict.fromkeys(told for _, told in api.PAGES.values())
    reply = {"output": {"anyOf": list(map(_reference, told))}, "error": {"type": "string"}}
    return {
        "operationId": "call",
        "summary": "Ask for one thing: what Stash hands to the plugin, and what it is told.",
        "requestBody": {"required": True, "content": _json(_object({"args": {"oneOf": args}}))},
        "responses": {
            "200": {
                "description": "What was asked for, or why it cannot be had.",
                "content": _json(_object(reply, required=[])),
            }
        },
    }


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    needed = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": needed}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _reference(shape: type) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=shape.__name__)}


def text() -> str:
    """Return the document as it lies in the tree."""
    return json.dumps(document(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    (ROOT / PAGE).parent.mkdir(exist_ok=True)
    (ROOT / PAGE).write_text(text(), encoding="utf-8")
