"""Which function answers which field, and how a field is answered that has none."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

from demo.stash.database import RefusedError
from demo.stash.faults import Told
from demo.stash.state import Call
from demo.stash.things import Thing

Resolver = Callable[..., Any]
R = TypeVar("R", bound=Resolver)

ROOTS: dict[str, dict[str, Resolver]] = {"Query": {}, "Mutation": {}}
FIELDS: dict[str, dict[str, Resolver]] = {}
KINDS = {
    "scene": "Scene",
    "tag": "Tag",
    "studio": "Studio",
    "performer": "Performer",
    "scene marker": "SceneMarker",
    "image": "Image",
}
"""Kind of a thing and its type in the schema; a file's type is its row's `kind`."""


class Asked(Protocol):
    """What graphql-core tells a resolver, as far as ours look."""

    @property
    def field_name(self) -> str:
        """The field."""

    @property
    def context(self) -> Call:
        """The call that it is part of."""


class PathError(RefusedError):
    """Refused because of an argument, which the error's path names."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message)
        self.path = path


def query(function: R) -> R:
    """Enter the resolver of the query of its name: `(call, **arguments)`."""
    ROOTS["Query"][function.__name__] = function
    return function


def mutation(function: R) -> R:
    """Enter the resolver of the mutation of its name: `(call, **arguments)`."""
    ROOTS["Mutation"][function.__name__] = function
    return function


def field(type_name: str, name: str = "") -> Callable[[R], R]:
    """Enter the resolver of a type's field: `(value, call, **arguments)`."""

    def enter(function: R) -> R:
        FIELDS.setdefault(type_name, {})[name or function.__name__] = function
        return function

    return enter


def root_resolver(kind: str, name: str) -> Resolver:
    """What the schema calls for a field of Query or Mutation: faults first, then ours."""
    return partial(_answer_root, ROOTS[kind][name])


def _answer_root(function: Resolver, _: object, info: Asked, **arguments: Any) -> Any:
    call = info.context
    fault = call.state.faults.meet(info.field_name)
    if fault is None:
        return function(call, **arguments)
    time.sleep(fault.delay_s)
    if fault.before is not None:
        fault.before.stand()
    if fault.status:
        call.status = fault.status
    if fault.drop == "before" or fault.status:
        call.drop = call.drop or fault.drop == "before"
        raise RefusedError("the call was not made")
    if fault.error:
        raise RefusedError(fault.error)
    if fault.told is not None:
        return _told(fault.told, function, info.field_name, call, arguments)
    answer = function(call, **arguments)
    if fault.after is not None:
        fault.after.stand()
    call.drop = call.drop or fault.drop == "after"
    call.halve = call.halve or fault.drop == "within"
    return answer


def _told(
    told: Told, function: Resolver, name: str, call: Any, arguments: Mapping[str, Any]
) -> Any:
    told(name, "asked", arguments)
    answer = function(call, **arguments)
    told(name, "applied", arguments)
    call.at_reply.append(partial(told, name, "replied", arguments))
    return answer


def field_resolver(function: Resolver) -> Resolver:
    """What the schema calls for any other field that has a function."""

    def answer(source: Any, info: Asked, **arguments: Any) -> Any:
        return function(source, info.context, **arguments)

    return answer


def plain_resolver(source: Any, info: Asked, **arguments: Any) -> Any:
    """A column, a key or an attribute; what can be called is asked only now."""
    name = info.field_name
    if isinstance(source, Thing):
        return source.values[name]
    value = source.get(name) if isinstance(source, dict) else getattr(source, name)
    return value(**arguments) if callable(value) else value


def type_of(value: Any, *_: object) -> str:
    """The type in the schema of a thing behind an interface or a union."""
    return str(value.values["kind"]) if value.kind == "file" else KINDS[value.kind]
