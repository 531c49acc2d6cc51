"""What is true of the scenes: the tags that the user gave by hand, and what the user said; pure.

What Stash Sense itself wrote, and what came after its first look, is no truth: else it would be
measured by its own words.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import combinations

import numpy as np

from stash_sense_plugin.records import folded

NEAR_BITS = 4
"""Perceptual hashes that differ in no more bits than this are of one scene, cut or encoded anew."""

BANDS = ((0, 13), (13, 13), (26, 13), (39, 13), (52, 12))
"""First bit and width of five parts of 64 bits: four bits that differ leave one part as it is."""

CROWDED = 1000
"""Hashes with one part alike, beyond which only neighbours in their order are compared."""


class Truth(IntEnum):
    """Whether a tag belongs to a scene."""

    UNKNOWN = -1
    NO = 0
    YES = 1


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of Stash."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    parent_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SceneTags:
    """What is known of one scene's tags, by their ids."""

    now: frozenset[str]
    """In Stash."""
    first: frozenset[str]
    """In Stash at our first look."""
    ours: frozenset[str] = frozenset()
    """What we ever wrote there."""
    accepted: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    """What the user said; ids, or folded names of tags that Stash lacks."""

    @property
    def by_hand(self) -> frozenset[str]:
        """The tags that the user gave: there from the first, still there, never written by us."""
        return (self.now & self.first) - self.ours

    def truth(self, tag_id: str) -> Truth:
        """Whether a tag belongs to the scene, as far as the user's own hand tells.

        What the user said goes first. A scene without a tag by hand tells nothing more.
        """
        if tag_id in self.refused:
            return Truth.NO
        if tag_id in self.accepted:
            return Truth.YES
        by_hand = self.by_hand
        if tag_id in by_hand:
            return Truth.YES
        return Truth.NO if by_hand and not self._doubtful(tag_id) else Truth.UNKNOWN

    def _doubtful(self, tag_id: str) -> bool:
        """Whether it may be true all the same: had before we wrote it, or gained since by others.

        What we wrote where the user's tags lacked it is no: a wrong tag stays one once written.
        """
        ours, first = tag_id in self.ours, tag_id in self.first
        return (ours and first) or (tag_id in self.now and not ours and not first)


# --- Tags by their names ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TagBook:
    """The tags of a library, and which of them count."""

    tags: Mapping[str, Tag]
    by_name: Mapping[str, str]
    """Folded name or alias -> id; a name goes before an alias."""
    not_counted: frozenset[str] = field(default_factory=frozenset)
    """Ids of the workflow tags and the parent of ours: they say nothing about a scene."""

    @property
    def parents(self) -> dict[str, tuple[str, ...]]:
        """The tree, without what does not count."""
        return {
            tag.id: tuple(each for each in tag.parent_ids if each not in self.not_counted)
            for tag in self.tags.values()
        }

    def id_of(self, name: str) -> str | None:
        """The tag that has this name or alias, in any case."""
        return self.by_name.get(folded(name))

    def counted(self, tag_ids: Iterable[str]) -> frozenset[str]:
        """Those that say something about a scene."""
        return frozenset(tag_ids) - self.not_counted


def tag_book(tags: Iterable[Tag], not_counted: Iterable[str] = ()) -> TagBook:
    """Order tags by their names; `not_counted` are names of tags that say nothing."""
    listed = sorted(tags, key=lambda tag: (len(tag.id), tag.id))
    by_name: dict[str, str] = {}
    for tag in listed:
        by_name.setdefault(folded(tag.name), tag.id)
    for tag in listed:
        for alias in tag.aliases:
            by_name.setdefault(folded(alias), tag.id)
    left_out = (by_name.get(folded(name)) for name in not_counted)
    return TagBook(
        {tag.id: tag for tag in listed},
        by_name,
        frozenset(each for each in left_out if each is not None),
    )


# --- Scenes that are one ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Marks:
    """By what a scene's files are known."""

    files: tuple[str, ...] = ()
    """Hash and size of each."""
    phashes: tuple[str, ...] = ()
    """Perceptual hashes (up to 16 hex digits), as Stash has them."""


def groups_of(scenes: Sequence[Marks]) -> list[int]:
    """Give each scene the number of its group: scenes with one file or near hashes are one.

    A group's number is the place of its first scene. Near is transitive.
    """
    together = _Together(len(scenes))
    first: dict[str, int] = {}
    hashes: defaultdict[int, list[int]] = defaultdict(list)
    for place, scene in enumerate(scenes):
        for file in scene.files:
            together.join(place, first.setdefault(file, place))
        for text in scene.phashes:
            if (value := _hash(text)) is not None:
                hashes[value].append(place)
    for places in hashes.values():
        for place in places:
            together.join(place, places[0])
    for one, other in _near(sorted(hashes)):
        together.join(hashes[one][0], hashes[other][0])
    return [together.root(place) for place in range(len(scenes))]


class _Together:
    """Union-find (Galler & Fischer 1964): the smaller place is the root."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def root(self, place: int) -> int:
        while self._above[place] != place:
            self._above[place] = self._above[self._above[place]]
            place = self._above[place]
        return place

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._above[high] = low


def _hash(text: str) -> int | None:
    """Read a perceptual hash; 0 is what a black picture has, and means nothing."""
    try:
        value = int(text, 16)
    except ValueError:
        return None
    return value if 0 < value < 1 << 64 else None


def _near(hashes: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Yield pairs that differ in few bits (hashes without doubles)."""
    for start, width in BANDS:
        alike: defaultdict[int, list[int]] = defaultdict(list)
        for value in hashes:
            alike[(value >> start) & ((1 << width) - 1)].append(value)
        for values in alike.values():
            yield from _near_within(values)


def _near_within(values: Sequence[int]) -> Iterable[tuple[int, int]]:
    if len(values) < 20:
        for one, other in combinations(values, 2):
            if (one ^ other).bit_count() <= NEAR_BITS:
                yield one, other
        return
    all_of = np.array(values, np.uint64)
    for place in range(len(values) - 1):
        rest = all_of[place + 1 : place + 1 + CROWDED]
        differ = np.bitwise_count(rest ^ all_of[place])
        for at in np.flatnonzero(differ <= NEAR_BITS).tolist():
            yield values[place], values[place + 1 + at]
