"""What else a tag may be called in Stash, and below which tags a new one lies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from stash_sense_plugin.records import folded
from stash_sense_plugin.stash import operations
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import StashTag


@dataclass(frozen=True, slots=True)
class TagKind:
    """What the vocabulary knows of a tag besides its name."""

    aliases: tuple[str, ...] = ()
    """Names under which the user may have it: such a tag is used instead of a new one."""
    parents: tuple[str, ...] = ()
    """Names of the tags below which a new one is put."""


Kinds = Mapping[str, TagKind]
"""By the folded name of the tag."""

PLAIN = TagKind()


def names_of(name: str, kinds: Kinds) -> tuple[str, ...]:
    """Return all that a tag may be called, its own name first."""
    return (name, *kinds.get(folded(name), PLAIN).aliases)


def find_called(client: StashClient, name: str, kinds: Kinds) -> tuple[StashTag, str] | None:
    """Return the tag that Stash has for this name, and by which of its names it was found."""
    for each in names_of(name, kinds):
        found = operations.find_tag(client, each)
        if found is not None:
            return found, each
    return None


def find_all_called(client: StashClient, names: Iterable[str], kinds: Kinds) -> dict[str, StashTag]:
    """Return by name the tags that Stash has, as `find_called` finds each; asked for together."""
    words = {name: names_of(name, kinds) for name in names}
    found = operations.find_tags(client, chain.from_iterable(words.values()))
    tags = {name: [found.get(each.strip()) for each in known] for name, known in words.items()}
    return {name: tag for name, each in tags.items() if (tag := next(filter(None, each), None))}
