"""A mutation's input as its hooks get it: Stash shows some whole, of others only what was sent."""

from typing import Any

from demo.stash.sdl import input_fields

Input = dict[str, Any]

OLD_FIELDS = {
    "PerformerCreateInput": ("aliases", "height"),
    "PerformerUpdateInput": ("aliases", "height"),
    "ImageUpdateInput": ("scene_ids",),
}
"""Fields that are in no schema any more, and still in what hooks get."""


def sent(values: Input) -> Input:
    """What was sent, without nulls and empty lists: tags, markers and all bulk updates."""
    return {name: value for name, value in values.items() if value is not None and value != []}


def whole(kind: str, values: Input) -> Input:
    """Every field of an input type, null where nothing was sent: scenes, images and people."""
    names = (*input_fields(kind), *OLD_FIELDS.get(kind, ()))
    shown = {name: values.get(name) for name in names}
    if kind == "PerformerUpdateInput":
        change = values.get("custom_fields") or {}
        shown["custom_fields"] = {name: change.get(name) for name in ("full", "partial", "remove")}
    return shown
