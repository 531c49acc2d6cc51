"""What may become a tag: labels, what they are seen by, and from which score they hold.

`models/vocabulary.yaml` is ours; a file of the same form overlays it, label by label. What no
label lists never becomes a suggestion, whatever a network can see; what `never` names, or `only`
does not, neither.
"""

import difflib
import math
import re
import string
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import yaml

from stash_sense_plugin.errors import VocabularyError
from stash_sense_plugin.records import folded


@dataclass(frozen=True, slots=True)
class Label:
    """One thing as one source sees it, and the tag that it becomes.

    It has exactly one of prompts, classes, facts and reads, and classes of one word list: scores of
    others do not share its scale. What the file lets several sources see is several of these, which
    are weighed together (`of`). Two labels may become one tag.
    """

    name: str
    """Its own: the label's in the file, and for its further sources with the source behind it."""
    tag: str
    group: str
    prompts: tuple[str, ...] = ()
    """Phrases for a zero-shot network, each to be put into every template."""
    negatives: tuple[str, ...] = ()
    """Phrases for what it is not, its own and the group's."""
    templates: tuple[str, ...] = ()
    """Sentences with `{}` where the phrase goes; empty without prompts."""
    classes: tuple[str, ...] = ()
    """Classes of object detectors, with their word list: `coco/dog`."""
    facts: tuple[str, ...] = ()
    """`picture/...`, `quality/...`, or `text` for any text on screen."""
    reads: tuple[str, ...] = ()
    """Phrases, any of which is read on screen."""
    of: str = ""
    """The label in the file, where this is one of its further sources."""
    weight: float = 1.0
    """How much this source counts beside the others of the same label."""
    exclusive: str | None = None
    """The group of which at most one label holds at a time."""
    enter: float = 0.5
    """The score from which it is seen (see timeline.Rule for these thresholds and gaps)."""
    stay: float = 0.35
    """The score from which it is still seen."""
    min_count: int = 1
    """How many boxes there must be in a frame, at least."""
    max_count: int | None = None
    """And at most."""
    min_share: float = 0.0
    """The least part of the picture's area that a box must fill to count, 0..1."""
    gap_s: float = 2.0
    grow: float = 0.05
    shortest_s: float = 1.0
    shortest_percent: float = 0.0
    ask: float = 0.5
    """The confidence from which it is shown to the user."""
    apply: float | None = 0.85
    """The confidence from which it is written at once; None for never, whatever the settings."""
    asked: bool = False
    """Whether nobody measured it: no setting for all labels lowers `apply`, only what was learnt
    for this one, or what the user's own file says of it."""
    aliases: tuple[str, ...] = ()
    """Other names of the tag: one that Stash has under any of these is used, not a new one."""
    parents: tuple[str, ...] = ()
    """Tags below which the tag is put where we create it; none for right below our own."""
    stated: bool = False
    """Whether the user's own file says `apply`, for it or its group: what is learnt gives way."""

    @property
    def thing(self) -> str:
        """The label in the file: what settings, answers, curves and thresholds call it."""
        return self.of or self.name

    @property
    def words(self) -> tuple[str, ...]:
        """The detectors' own words for it; empty where prompts see it."""
        return self.classes or self.facts or (("text",) if self.reads else ())

    @property
    def source(self) -> str:
        """Who sees it: `clip`, `picture`, `quality`, `text`, or a network's word list."""
        return "clip" if self.prompts else self.words[0].partition("/")[0]

    @property
    def scale(self) -> str:
        """Whose score it is: the key of its calibration."""
        if self.prompts:
            return "clip-exclusive" if self.exclusive else "clip-free"
        return self.source


@dataclass(frozen=True, slots=True)
class Group:
    """Labels of one kind, and what they share."""

    name: str
    exclusive: bool = False
    templates: tuple[str, ...] = ("a photo of {}.",)
    negatives: tuple[str, ...] = ()
    """What is none of the group, as phrases like the prompts: beside those of its labels."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All labels, by name; what is not here is never suggested."""

    labels: Mapping[str, Label]
    groups: Mapping[str, Group] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    """Folded names of the labels and tags that are left out by the file's `never` and `only`."""
    idle: tuple[str, ...] = ()
    """Where `never` and `only` name what there is not, a sentence each."""

    @property
    def zero_shot(self) -> tuple[Label, ...]:
        """The labels that a zero-shot network scores by their prompts."""
        return tuple(label for label in self.labels.values() if label.prompts)

    def never(self, names: Iterable[str] = ()) -> frozenset[str]:
        """Return what is never suggested, folded: these names and what the file leaves out.

        Of a tag that is meant by one of its names, all are.
        """
        found = set(map(folded, names))
        for label in self.labels.values():
            called = set(map(folded, (label.tag, *label.aliases)))
            if not found.isdisjoint(called):
                found |= called
        return self.hidden | found


def load_vocabulary(
    ours: Path, *overlays: Path | None, all_of: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> Vocabulary:
    """Read our vocabulary and, where they exist, the user's files that overlay it.

    In an overlay a label or group changes only what it states; `remove: true` drops a label.
    `all_of` gives word lists of which each word is to be a label: those that none has become
    labels of the group `own`. Raises VocabularyError, naming file and line.
    """
    own = tuple(path for path in dict.fromkeys(overlays) if path is not None and path.exists())
    files = tuple((path, _written(path)) for path in (ours, *own))
    return _loaded(files, tuple((source, tuple(words)) for source, words in all_of.items()))


# Reading ours takes longer than most calls. Whoever is given this changes nothing in it.
@lru_cache(maxsize=8)
def _loaded(
    files: tuple[tuple[Path, str], ...], all_of: tuple[tuple[str, tuple[str, ...]], ...]
) -> Vocabulary:
    """Make a vocabulary of our file's text and of those that overlay it."""
    (ours, text), *overlays = files
    told = _laid(_Told(), _said(ours, text))
    own = {path for path, _ in overlays}
    over = [_said(path, written) for path, written in overlays]
    # Below the user's files, so that they can change these words or drop them by name.
    told = _with_words(told, over, dict(all_of), ours)
    for each in over:
        told = _laid(told, each)
    built = {entry.name: _group(entry) for entry in told.groups.values()}
    made: dict[str, Label] = {}
    for entry in told.labels.values():
        for label in _labels(entry, told.groups, built, own):
            if label.name in made:
                entry.place.refuse(f"there is a label {label.name!r} already", "call it otherwise")
            made[label.name] = label
    _check_parents(made, told)
    kept, hidden = _chosen(made, told)
    return Vocabulary(kept, built, hidden, tuple(_idle(made, told)))


# --- Files to entries ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """A line of a file."""

    path: Path
    line: int

    def refuse(self, message: str, remedy: str = "") -> NoReturn:
        raise VocabularyError(f"{self.path}:{self.line}: {message}", remedy)


@dataclass(frozen=True, slots=True)
class _Value:
    """What a key says, and where."""

    value: Any
    place: _Place


@dataclass(frozen=True, slots=True)
class _Entry:
    """A label or group as the files state it."""

    name: str
    place: _Place
    stated: Mapping[str, _Value]


DEEPEST = 20
"""How deep a file may be nested; ours needs five."""

_Entries = dict[str, _Entry]
_SOURCES = ("classes", "facts", "reads", "prompts")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the files say together."""

    groups: _Entries = field(default_factory=dict)
    labels: _Entries = field(default_factory=dict)
    never: tuple[_Value, ...] = ()
    only: tuple[_Value, ...] = ()


_SECTIONS = ("groups", "labels", "never", "only")
OWN = "own"
"""The group of the words that no label names, of networks of which all are wanted."""


@lru_cache(maxsize=4)
def _said(path: Path, text: str) -> _Told:
    """Return what the text of one file says by itself."""
    top = _pairs(_composed(path, text), path, "the vocabulary")
    for name, (place, _) in top.items():
        if name not in _SECTIONS:
            _refuse_key(place, name, _SECTIONS, "the vocabulary")
    never, only = (_names(top, section, path) for section in ("never", "only"))
    groups = _entries(top, "groups", _GROUP_KEYS, path)
    return _Told(groups, _entries(top, "labels", _LABEL_KEYS, path), never, only)


def _laid(under: _Told, over: _Told) -> _Told:
    """Lay one file over what is there: groups and labels key by key, `only` as a whole."""
    return _Told(
        _overlaid(under.groups, over.groups),
        _overlaid(under.labels, over.labels),
        tuple({folded(each.value): each for each in (*under.never, *over.never)}.values()),
        over.only or under.only,
    )


def _names(
    top: Mapping[str, tuple[_Place, yaml.Node]], section: str, path: Path
) -> tuple[_Value, ...]:
    """Return the names of a list, each with its own line."""
    if section not in top:
        return ()
    place, node = top[section]
    if not isinstance(node, yaml.SequenceNode):
        place.refuse(f"{section} must be a list of names", f"write {section}: [one, two]")
    named = []
    for item in node.value:
        at = _place(item, path)
        named.append(_Value(_text(_plain(item, at), at, f"each of {section}"), at))
    if section == "only" and not named:
        place.refuse("only is empty, so that nothing would be suggested", "leave it out")
    return tuple(named)


def _with_words(
    told: _Told, over: Sequence[_Told], all_of: Mapping[str, Sequence[str]], path: Path
) -> _Told:
    """Add a label for each word that no label has; words that no tag could be called are left.

    `over` are the user's files, whose own labels have words and names too.
    """
    place = _Place(path, 1)
    stating = [*told.labels.values(), *(entry for each in over for entry in each.labels.values())]
    known = {
        word
        for entry in stating
        if "classes" in entry.stated
        for word in entry.stated["classes"].value
    }
    labels = dict(told.labels)
    defined = (entry for entry in stating if not entry.stated.keys().isdisjoint(_SOURCES))
    taken = {*labels, *(entry.name.casefold() for entry in defined)}
    for source, words in all_of.items():
        for word in words:
            name = " ".join(word.replace("_", " ").split())
            if f"{source}/{word}" in known or not name.isprintable():
                continue
            if not name or len(name) > LONGEST_TEXT:
                continue
            called = f"{name} ({source})" if name.casefold() in taken else name
            stated = {"group": OWN, "tag": string.capwords(name), "classes": (f"{source}/{word}",)}
            values = {key: _Value(value, place) for key, value in stated.items()}
            labels.setdefault(called.casefold(), _Entry(called, place, values))
            taken.add(name.casefold())
    return replace(told, labels=labels)


def _written(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise VocabularyError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise VocabularyError(f"{path} is not UTF-8 text", "save it as UTF-8") from error


def _composed(path: Path, text: str) -> yaml.Node:
    try:
        _check_depth(text, path)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise VocabularyError(f"{path}:{line}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise VocabularyError(f"{path}: not YAML: {error}") from error
    return node if node is not None else yaml.MappingNode("tag:yaml.org,2002:map", [])


def _check_depth(text: str, path: Path) -> None:
    """Refuse what is nested so deep that composing it would overrun the interpreter's stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise VocabularyError(f"{path}:{line}: nested deeper than anything here is")


def _pairs(node: yaml.Node, path: Path, what: str) -> dict[str, tuple[_Place, yaml.Node]]:
    """A mapping's keys and nodes; refuses other nodes, keys that are not text, and doubles."""
    if not isinstance(node, yaml.MappingNode):
        _place(node, path).refuse(f"{what} must be keys with values")
    found: dict[str, tuple[_Place, yaml.Node]] = {}
    for key, value in node.value:
        place = _place(key, path)
        name = _text(_plain(key, place), place, f"a key of {what}")
        if (folded := name.casefold()) in {other.casefold() for other in found}:
            first = next(p.line for other, (p, _) in found.items() if other.casefold() == folded)
            place.refuse(f"{name!r} is twice in {what}, first in line {first}")
        found[name] = (place, value)
    return found


def _entries(
    top: Mapping[str, tuple[_Place, yaml.Node]], section: str, keys: "_Keys", path: Path
) -> _Entries:
    if section not in top:
        return {}
    entries = {}
    for name, (place, node) in _pairs(top[section][1], path, section).items():
        what = f"{section[:-1]} {name!r}"
        stated = {}
        for key, (key_place, value) in _pairs(node, path, what).items():
            if key not in keys:
                _refuse_key(key_place, key, keys, what)
            stated[key] = _Value(keys[key](_plain(value, key_place), key_place, key), key_place)
        entries[name.casefold()] = _Entry(name, place, stated)
    return entries


def _overlaid(under: _Entries, over: _Entries) -> _Entries:
    """Lay entries over others, key by key, and drop the removed."""
    merged = dict(under)
    for key, entry in over.items():
        below = under.get(key)
        if "remove" in entry.stated and entry.stated["remove"].value:
            if below is None:
                entry.place.refuse(f"there is no label {entry.name!r} to remove", _near(key, under))
            del merged[key]
        elif below is not None:
            stated = {**below.stated, **entry.stated}
            if _is_renamed(below, entry):
                del stated["aliases"]
            merged[key] = _Entry(below.name, entry.place, stated)
        else:
            merged[key] = entry
    return merged


def _is_renamed(below: _Entry, entry: _Entry) -> bool:
    """Whether a label's tag gets another name, and its aliases are still those of the old one."""
    if "tag" not in entry.stated or "aliases" not in below.stated or "aliases" in entry.stated:
        return False
    told = [each.stated["tag"].value for each in (below, entry) if "tag" in each.stated]
    return len(set(map(folded, told))) > 1


def _place(node: yaml.Node, path: Path) -> _Place:
    return _Place(path, node.start_mark.line + 1 if node.start_mark else 1)


def _refuse_key(place: _Place, key: str, known: Iterable[str], what: str) -> NoReturn:
    place.refuse(f"{what} has no key {key!r}", _near(key, known))


FEW = 30
"""Names that are all listed where none is near."""


def _near(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3) or (names if len(names) <= FEW else [])
    return f"did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


# --- Values -------------------------------------------------------------------------------------


def _plain(node: yaml.Node, place: _Place) -> Any:
    """A scalar, list of scalars or mapping of scalars as Python's own; anything else is refused."""
    if isinstance(node, yaml.SequenceNode):
        return [_scalar(item, place) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {k: _scalar(v, p) for k, (p, v) in _pairs(node, place.path, "this value").items()}
    return _scalar(node, place)


def _scalar(node: yaml.Node, place: _Place) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        place.refuse("the value is nested deeper than anything here is")
    try:
        return yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        place.refuse(f"{node.value!r} cannot be read: {error}")


_Check = Callable[[Any, _Place, str], Any]
_Keys = Mapping[str, _Check]

LONGEST_TEXT = 200
"""Letters of a name or prompt; CLIP reads some 77 tokens."""


def _text(value: Any, place: _Place, key: str) -> str:
    if not isinstance(value, str):
        place.refuse(f"{key} must be text, not {value!r}", "put it in quotes")
    text = value.strip()
    if not text or len(text) > LONGEST_TEXT or not text.isprintable():
        place.refuse(f"{key} must be 1 to {LONGEST_TEXT} printable letters, not {value[:50]!r}")
    return text


def _texts(value: Any, place: _Place, key: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        place.refuse(f"{key} must be a list, not {value!r}", "write it as [one, two]")
    texts = tuple(_text(item, place, f"each of {key}") for item in value)
    if doubles := {text for text in texts if texts.count(text) > 1}:
        place.refuse(f"{key} has {min(doubles)!r} twice")
    return texts


def _switch(value: Any, place: _Place, key: str) -> bool:
    if not isinstance(value, bool):
        place.refuse(f"{key} must be true or false, not {value!r}")
    return value


def _number(least: float, most: float) -> _Check:
    def check(value: Any, place: _Place, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            place.refuse(f"{key} must be a number, not {value!r}")
        if not (math.isfinite(value) and least <= value <= most):
            place.refuse(f"{key} must be from {least:g} to {most:g}, not {value!r}")
        return float(value)

    return check


def _templates(value: Any, place: _Place, key: str) -> tuple[str, ...]:
    templates = _texts(value, place, key)
    for template in templates:
        if template.count("{}") != 1:
            place.refuse(f"template {template!r} needs one {{}} where the prompt goes")
    if not templates:
        place.refuse("templates is empty", 'write ["{}"] for prompts that are whole sentences')
    return templates


def _apply(value: Any, place: _Place, key: str) -> float | None:
    if value == "never":
        return None
    if isinstance(value, str):
        place.refuse(f"{key} must be a number or never, not {value!r}")
    number: float = _share(value, place, key)
    return number


def _count(value: Any, place: _Place, key: str) -> tuple[int, int | None]:
    """`{min: 2, max: 2}`, either of which may be left out."""
    if not isinstance(value, dict) or not value or not value.keys() <= {"min", "max"}:
        place.refuse(f"{key} must have min, max or both, not {value!r}", "write {min: 2, max: 2}")
    for bound in value.values():
        if isinstance(bound, bool) or not isinstance(bound, int) or not 1 <= bound <= 1000:
            place.refuse(f"{key} must be whole numbers from 1 to 1000, not {bound!r}")
    least, most = value.get("min", 1), value.get("max")
    if most is not None and most < least:
        place.refuse(f"{key} has max {most} below min {least}")
    return least, most


def _classes(value: Any, place: _Place, key: str) -> tuple[str, ...]:
    """Classes with their word list; the lists that we know are checked, others are the user's."""
    words = _texts(value, place, key)
    for word in words:
        word_list, slash, name = word.partition("/")
        if not (word_list and slash and name):
            place.refuse(f"class {word!r} needs its word list in front", "as in coco/dog")
        if word_list in ("picture", "quality", "text", "clip", "clip-free", "clip-exclusive"):
            place.refuse(f"{word!r} is no class of a network", "facts have it")
        if word_list in WORD_LISTS and name not in WORD_LISTS[word_list]:
            near = _near(name, WORD_LISTS[word_list])
            place.refuse(f"{word_list} has no class {name!r}", near)
    return words


def _facts(value: Any, place: _Place, key: str) -> tuple[str, ...]:
    words = _texts(value, place, key)
    for word in words:
        if word not in FACTS:
            place.refuse(f"there is no fact {word!r}", _near(word, FACTS))
    return words


def _by_source(check: _Check) -> _Check:
    """Let a value be one for all sources, or one for each that is named: `{coco: 1, clip: 0.5}`."""

    def checked(value: Any, place: _Place, key: str) -> Any:
        if not isinstance(value, dict):
            return check(value, place, key)
        return {source: check(each, place, f"{key} of {source}") for source, each in value.items()}

    return checked


def _weights(value: Any, place: _Place, key: str) -> dict[str, float]:
    if not isinstance(value, dict) or not value:
        place.refuse(f"{key} must name sources, not {value!r}", "write {coco: 1, clip: 0.5}")
    weigh = _number(0.01, 100)
    return {source: weigh(each, place, f"{key} of {source}") for source, each in value.items()}


FACTS = (
    "picture/vertical",
    "picture/black-and-white",
    "picture/dark",
    "picture/letterboxed",
    "picture/still",
    "quality/blurry",
    "quality/overexposed",
    "quality/underexposed",
    "quality/blocky",
    "quality/upscaled",
    "quality/supports-sd",
    "quality/supports-hd",
    "quality/supports-full-hd",
    "quality/supports-4k",
    "text",
)

COCO = """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light,
fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear,
zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball,
kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup,
fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut,
cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush"""

NUDENET = """FEMALE_GENITALIA_COVERED, FACE_FEMALE, BUTTOCKS_EXPOSED, FEMALE_BREAST_EXPOSED,
FEMALE_GENITALIA_EXPOSED, MALE_BREAST_EXPOSED, ANUS_EXPOSED, FEET_EXPOSED, BELLY_COVERED,
FEET_COVERED, ARMPITS_COVERED, ARMPITS_EXPOSED, FACE_MALE, BELLY_EXPOSED, MALE_GENITALIA_EXPOSED,
ANUS_COVERED, FEMALE_BREAST_COVERED, BUTTOCKS_COVERED"""

WORD_LISTS: Mapping[str, frozenset[str]] = {
    "coco": frozenset(re.split(r",\s+", COCO)),
    "nudenet": frozenset(re.split(r",\s+", NUDENET)),
}
"""The classes of the word lists that ship; a misspelt one would silently never be seen."""

_share = _number(0, 1)
_seconds = _number(0, 86_400)

_SHARED_KEYS: _Keys = {
    "enter": _by_source(_share),
    "stay": _by_source(_share),
    "weights": _weights,
    "gap_s": _seconds,
    "grow": _number(0, 10),
    "shortest_s": _seconds,
    "shortest_percent": _number(0, 100),
    "ask": _share,
    "apply": _by_source(_apply),
    "asked": _by_source(_switch),
    "min_share": _share,
    "negatives": _texts,
    "parents": _texts,
}
_GROUP_KEYS: _Keys = {**_SHARED_KEYS, "exclusive": _switch, "templates": _templates}
_LABEL_KEYS: _Keys = {
    **_SHARED_KEYS,
    "group": _text,
    "tag": _text,
    "aliases": _texts,
    "prompts": _texts,
    "classes": _classes,
    "facts": _facts,
    "reads": _texts,
    "count": _count,
    "remove": _switch,
}


# --- Entries to labels --------------------------------------------------------------------------


def _group(entry: _Entry) -> Group:
    given = {k: entry.stated[k].value for k in ("exclusive", "templates") if k in entry.stated}
    negatives = entry.stated["negatives"].value if "negatives" in entry.stated else ()
    return Group(entry.name, negatives=negatives, **given)


def _labels(
    entry: _Entry, groups: _Entries, built: Mapping[str, Group], overlays: Collection[Path]
) -> list[Label]:
    """Build what a label states, then its group, then the defaults: one for each source of it."""
    stated = entry.stated
    for key in ("group", "tag"):
        if key not in stated:
            entry.place.refuse(f"label {entry.name!r} has no {key}")
    home = groups.get(stated["group"].value.casefold())
    if home is None:
        near = _near(stated["group"].value, built)
        stated["group"].place.refuse(f"there is no group {stated['group'].value!r}", near)
    seen_by = _seen_by(entry)
    _check_boxed(entry, seen_by)
    _check_tags(entry)
    made: list[Label] = []
    for source, (kind, words) in seen_by.items():
        values = _of_source(source, home.stated) | _of_source(source, stated)
        given = {k: v.value for k, v in values.items() if k in _PLAIN_FIELDS}
        given |= _bounds(entry, values) | {kind: words}
        given |= _sentences(entry, values, built[home.name]) if kind == "prompts" else {}
        given |= _boxes(values) if kind == "classes" else {}
        if "weights" in values:
            given["weight"] = values["weights"].value
        own = "apply" in values and values["apply"].place.path in overlays
        given |= {"name": entry.name, "group": home.name, "stated": own}
        # A group's labels lie below its parent, but for the one that is the parent.
        given["parents"] = tuple(
            each for each in given.get("parents", ()) if folded(each) != folded(given["tag"])
        )
        if made:
            given |= {"name": f"{entry.name} ({source})", "of": entry.name}
        made.append(Label(**given))
    return made


_PLAIN_FIELDS = {f.name for f in fields(Label)} & {
    "tag",
    "aliases",
    "parents",
    "asked",
    "gap_s",
    "grow",
    "shortest_s",
    "shortest_percent",
}

_SeenBy = dict[str, tuple[str, tuple[str, ...]]]
"""By source, the key in the file and what stands under it."""


def _seen_by(entry: _Entry) -> _SeenBy:
    """Return the sources of a label, and what each of them looks for."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for kind in _SOURCES:
        for word in entry.stated[kind].value if kind in entry.stated else ():
            source = {"reads": "text", "prompts": "clip"}.get(kind, word.partition("/")[0])
            found[source, kind].append(word)
    if not found:
        entry.place.refuse(f"label {entry.name!r} needs one of {', '.join(_SOURCES)}")
    if {("text", "facts"), ("text", "reads")} <= found.keys():
        entry.place.refuse(f"label {entry.name!r} reads phrases and any text at all")
    return {source: (kind, tuple(words)) for (source, kind), words in found.items()}


_BY_SOURCE = ("enter", "stay", "weights", "apply", "asked")


def _of_source(source: str, stated: Mapping[str, _Value]) -> dict[str, _Value]:
    """Return what is stated for one source: of values by source its own, where it has one."""
    found = {}
    for key, told in stated.items():
        if key not in _BY_SOURCE or not isinstance(told.value, dict):
            found[key] = told
        elif source in told.value:
            found[key] = _Value(told.value[source], told.place)
    return found


def _check_boxed(entry: _Entry, seen_by: _SeenBy) -> None:
    """Refuse counts, sizes and sources that nothing of the label has, where its last file has them.

    What an overlay leaves without use in the file below is no fault of anybody.
    """
    stated = {k: v for k, v in entry.stated.items() if v.place.path == entry.place.path}
    if all(kind != "classes" for kind, _ in seen_by.values()):
        for key in stated.keys() & {"count", "min_share"}:
            stated[key].place.refuse(f"{key} is for labels seen by classes, as boxes are")
    for key in stated.keys() & set(_BY_SOURCE):
        told = stated[key]
        for source in told.value if isinstance(told.value, dict) else ():
            if source not in seen_by:
                message = f"label {entry.name!r} has no source {source!r}"
                told.place.refuse(message, _near(source, seen_by))


def _bounds(entry: _Entry, values: Mapping[str, _Value]) -> dict[str, Any]:
    """Thresholds in pairs: a lower one follows its upper one down, unless the file states both."""
    found: dict[str, Any] = {}
    defaults: dict[str, Any] = {f.name: f.default for f in fields(Label)}
    for low, high in (("stay", "enter"), ("ask", "apply")):
        lower = values[low].value if low in values else defaults[low]
        upper = values[high].value if high in values else defaults[high]
        if upper is not None and lower > upper:
            both = low in entry.stated and high in entry.stated
            if both and entry.stated[low].place.path == entry.stated[high].place.path:
                message = f"label {entry.name!r} has {low} {lower:g} above {high} {upper:g}"
                entry.stated[low].place.refuse(message)
            lower, upper = (upper, upper) if high in entry.stated else (lower, lower)
        found |= {low: lower, high: upper}
    return found


def _sentences(entry: _Entry, values: Mapping[str, _Value], group: Group) -> dict[str, Any]:
    own = entry.stated["negatives"].value if "negatives" in entry.stated else ()
    if group.exclusive and "negatives" in entry.stated:
        entry.stated["negatives"].place.refuse(
            f"label {entry.name!r} is in the exclusive group {group.name!r}, which has negatives "
            "for all its labels",
            "write them in the group",
        )
    return {
        "prompts": values["prompts"].value,
        "negatives": tuple(dict.fromkeys((*own, *group.negatives))),
        "templates": group.templates,
        "exclusive": group.name if group.exclusive else None,
    }


def _boxes(values: Mapping[str, _Value]) -> dict[str, Any]:
    """Counts and sizes, which only boxes have."""
    least, most = values["count"].value if "count" in values else (1, None)
    share = values["min_share"].value if "min_share" in values else 0.0
    return {"min_count": least, "max_count": most, "min_share": share}


# --- Tags ---------------------------------------------------------------------------------------


def _check_tags(entry: _Entry) -> None:
    """Refuse a tag among its own parents or aliases."""
    tag = entry.stated["tag"].value
    names = {folded(tag)}
    if "aliases" in entry.stated:
        told = entry.stated["aliases"]
        if folded(tag) in map(folded, told.value):
            told.place.refuse(f"label {entry.name!r} has its own tag {tag!r} among its aliases")
        names |= set(map(folded, told.value))
    if "parents" in entry.stated:
        told = entry.stated["parents"]
        if own := next((each for each in told.value if folded(each) in names), None):
            told.place.refuse(f"label {entry.name!r} would lie below its own tag {own!r}")


def _check_parents(made: Mapping[str, Label], told: _Told) -> None:
    """Refuse tags that would lie below each other in a circle."""
    above: defaultdict[str, set[str]] = defaultdict(set)
    for label in made.values():
        above[folded(label.tag)] |= set(map(folded, label.parents))
    try:
        TopologicalSorter(above).prepare()
    except CycleError as error:
        circle = error.args[1]
        entries = [
            told.labels[folded(label.thing)]
            for label in made.values()
            if folded(label.tag) in circle and label.parents
        ]
        named = [each.stated["parents"] for each in entries if "parents" in each.stated]
        place = named[-1].place if named else entries[-1].place
        place.refuse(f"tags lie below each other in a circle: {' below '.join(circle)}")


def _chosen(made: Mapping[str, Label], told: _Told) -> tuple[dict[str, Label], frozenset[str]]:
    """Return the labels that may be suggested, and the names of what may not be."""
    never = {folded(each.value) for each in told.never}
    only = {folded(each.value) for each in told.only}
    kept = {
        name: label
        for name, label in made.items()
        if _names_of(label).isdisjoint(never) and not (only and _names_of(label).isdisjoint(only))
    }
    tags = {folded(name) for label in kept.values() for name in (label.tag, *label.aliases)}
    gone = [label for name, label in made.items() if name not in kept]
    names = {folded(name) for label in gone for name in (label.thing, label.tag, *label.aliases)}
    groups = set(map(folded, told.groups))
    rivals: defaultdict[str | None, list[str]] = defaultdict(list)
    for label in gone:
        rivals[label.exclusive] += label.prompts if label.exclusive else ()
    kept = {name: _against(label, rivals[label.exclusive]) for name, label in kept.items()}
    return kept, frozenset((names | never) - tags - groups)


def _against(label: Label, rivals: Iterable[str]) -> Label:
    """Return a label with more negatives.

    A place that is not wanted is still what a picture may show: without its prompts in the group,
    the picture would be taken for another place.
    """
    more = tuple(dict.fromkeys((*label.negatives, *rivals)))
    return label if more == label.negatives else replace(label, negatives=more)


def _names_of(label: Label) -> frozenset[str]:
    """Return all that `never` and `only` may call a label, folded."""
    return frozenset(map(folded, (label.thing, label.tag, label.group, *label.aliases)))


def _idle(made: Mapping[str, Label], told: _Told) -> Iterator[str]:
    known = frozenset(name for label in made.values() for name in _names_of(label))
    for section, names in (("never", told.never), ("only", told.only)):
        for each in names:
            if folded(each.value) not in known:
                where = f"{each.place.path}:{each.place.line}"
                near = _near(folded(each.value), known)
                yield f"{where}: {section} names {each.value!r}, which no label is called; {near}"
