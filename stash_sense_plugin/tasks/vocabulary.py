"""What the vocabulary comes to here: which labels hold, and what no network of ours can see."""

import string
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import yaml

from stash_sense_plugin.calibration import probability
from stash_sense_plugin.errors import SettingsError
from stash_sense_plugin.inference.catalogue import LocalFile, ModelCard
from stash_sense_plugin.records import Reporter, folded
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.tasks.asked import text
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.models import take_settings
from stash_sense_plugin.tasks.presets import ALSO_TASKS
from stash_sense_plugin.tasks.stated import engine_of
from stash_sense_plugin.tasks.words import listed, told
from stash_sense_plugin.vocabulary import OWN, Label, Vocabulary

NAMED: Final = 5
"""Of many labels or words so many are named."""

SWITCHES: Mapping[str, str] = {
    "clip": "skip_labels",
    "picture": "skip_facts",
    "quality": "skip_quality",
    "text": "skip_text",
}
"""The setting that switches a source off which needs no network with words of its own."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as its writer may believe."""

    kind: str
    """`unseen`, `unknown-word`, `unmapped`, `no-effect`, `faint`, `same-tag` or `no-such-label`."""
    subject: str
    """The label, tag, group or word list that it is about."""
    says: str
    remedy: str = ""


# --- The list -----------------------------------------------------------------------------------


def list_vocabulary(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Return the labels that hold, one for each source, of one `group` or of all.

    Raises VocabularyError for a file that cannot be read, and SettingsError for an unknown group.
    """
    vocabulary = engine.vocabulary()
    wanted = folded(text(call.args, "group") or "")
    groups = {folded(name): name for name in vocabulary.groups}
    if wanted and wanted not in groups:
        raise SettingsError(f"There is no group {wanted!r}", f"name one of {_listed(groups)}")
    labels = [each for each in vocabulary.labels.values() if wanted in ("", folded(each.group))]
    return {"labels": [_row(label) for label in labels], "hidden": sorted(vocabulary.hidden)}


def _row(label: Label) -> dict[str, object]:
    return {
        "label": label.thing,
        "tag": label.tag,
        "aliases": list(label.aliases),
        "parents": list(label.parents),
        "group": label.group,
        "source": label.source,
        "looks_for": list(label.prompts or label.reads or label.words),
        "weight": label.weight,
        "enter": label.enter,
        "stay": label.stay,
        "ask": label.ask,
        "apply": label.apply,
        "yours": label.stated,
    }


# --- The check ----------------------------------------------------------------------------------


def check_vocabulary(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Say what in the vocabulary has no effect here, and what the networks see that it lacks.

    Without a Stash, `settings` may hold values for this call. Raises VocabularyError or
    CatalogueError, naming file and line, for a file that cannot be read.
    """
    beside = engine_of(engine, call) or engine.aside()
    take_settings(beside, call, reporter)
    vocabulary = beside.vocabulary()
    findings = list(_findings(beside, vocabulary))
    things = {label.thing for label in vocabulary.labels.values()}
    unseen = {each.subject for each in findings if each.kind == "unseen"}
    return {
        "labels": len(things),
        "unseen": len(unseen),
        "overlay": str(beside.own_vocabulary) if beside.own_vocabulary.is_file() else None,
        "findings": [asdict(each) for each in findings],
    }


def _findings(engine: Engine, vocabulary: Vocabulary) -> Iterator[Finding]:
    looking = _Looking(engine)
    for sentence in vocabulary.idle:
        yield Finding("no-such-label", sentence.partition(" names ")[2].split("'")[1], sentence)
    yield from _unseen(vocabulary, looking)
    yield from _unknown_words(vocabulary, looking)
    yield from _unmapped(vocabulary, looking)
    yield from _without_effect(vocabulary, engine.settings)
    yield from _faint(vocabulary)
    yield from _same_tags(vocabulary, looking.wanted_whole)


class _Looking:
    """Which networks the settings let look, and which of them are here."""

    def __init__(self, engine: Engine) -> None:
        self.settings = engine.settings
        self.models = engine.shelf().models
        self.catalogue = self.models.catalogue
        sight = engine.sight()
        self.chosen: list[ModelCard] = []
        self.sources: set[str] = set()
        for detector in sight.detectors:
            name = detector.model.partition("@")[0]
            card = self.catalogue.card(name) if name in self.catalogue else None
            if card is not None:
                self.chosen.append(card)
            if card is None or self.models.has(card):
                self.sources.add(card.words if card and card.words else detector.name)

    def speakers(self, source: str) -> list[ModelCard]:
        """Return the rows whose networks would see a source's labels."""
        if source == "clip":
            return [card for card in self.catalogue if card.task == "clip"]
        return [card for card in self.catalogue if card.words == source]

    @property
    def wanted_whole(self) -> frozenset[str]:
        """The word lists of which every word is suggested."""
        return frozenset(
            card.words for card in self.catalogue if card.suggest_all and card.words is not None
        )

    def ways_to_see(self, sources: Sequence[str]) -> dict[str, str]:
        """Say of each source what would make somebody look for its labels.

        All of it can be done together: a setting that holds one network is given away once, to
        the first source that needs it.
        """
        taken = {_SETTING_OF[card.task] for card in self.chosen if card.task in _SETTING_OF}
        return {source: self._way(source, taken) for source in sources}

    def _way(self, source: str, taken: set[str]) -> str:
        if source in SWITCHES and getattr(self.settings, SWITCHES[source]):
            return f"change the setting {SWITCHES[source]}"
        for card in self.chosen:
            if (card.words or card.task) == source:
                return self._bring(card)
        rows = sorted(self.speakers(source), key=lambda card: not self.models.has(card))
        if not rows:
            return f"no row of the catalogue has the word list {source}: add one (docs/models.md)"
        first = rows[0]
        switch = _SWITCH_OF[first.task]
        if getattr(self.settings, switch):
            return f"change the setting {switch}; {first.name} would see them"
        others = f" (also {_listed(card.name for card in rows[1:])})" if rows[1:] else ""
        where, name = self._place(first, taken), first.name
        put = f"add {name} to also_models" if where == ALSO else f"set {where} to {name}"
        bring = "" if self.models.has(first) else f" and {self._bring(first)}"
        return f"{put}{others}{bring}"

    def _place(self, card: ModelCard, taken: set[str]) -> str:
        """Return the setting that a network is written into, and count it as taken."""
        where = _SETTING_OF[card.task]
        if card.task in ALSO_TASKS and where in taken:
            return ALSO
        taken.add(where)
        return where

    def _bring(self, card: ModelCard) -> str:
        """Say how the files of a network come here."""
        own = [file.path for file in card.files.values() if isinstance(file, LocalFile)]
        if own:
            return f"put its file here: {_listed(own)}"
        return f"fetch it: models pull {card.name}"

    def words_of(self, source: str) -> frozenset[str] | None:
        """Return all words of a list; None where no list is here to know them by."""
        found = [listed(self.models, card) for card in self.speakers(source)]
        known = [words for words in found if words is not None]
        return frozenset(word for words in known for word in words.names) if known else None


ALSO: Final = "also_models"

_SWITCH_OF = {
    "clip": "skip_labels",
    "objects": "skip_objects",
    "tagger": "skip_acts",
    "classifier": "skip_acts",
}
_SETTING_OF = {
    "clip": "clip_model",
    "objects": "object_model",
    "tagger": "tagger_model",
    "classifier": "tagger_model",
}


def _unseen(vocabulary: Vocabulary, looking: _Looking) -> Iterator[Finding]:
    """Labels of which no source looks here, by the sources that would."""
    sources: defaultdict[str, set[str]] = defaultdict(set)
    for label in vocabulary.labels.values():
        sources[label.thing].add(label.source)
    unseen = {thing: able for thing, able in sources.items() if not able & looking.sources}
    lacking = Counter(source for able in unseen.values() for source in able)
    # A place goes to the source of most labels.
    ways = looking.ways_to_see(sorted(lacking, key=lambda source: (-lacking[source], source)))
    for thing, able in unseen.items():
        who = " or ".join(sorted(able))
        hows = dict.fromkeys(ways[source] for source in sorted(able))
        yield Finding("unseen", thing, f"nothing here sees it: {who} would", "; or ".join(hows))


def _unknown_words(vocabulary: Vocabulary, looking: _Looking) -> Iterator[Finding]:
    """Words of labels that the networks of their list do not say."""
    lists: dict[str, frozenset[str] | None] = {}
    for label in vocabulary.labels.values():
        for word in label.classes:
            source, _, name = word.partition("/")
            if source not in lists:
                lists[source] = looking.words_of(source)
            known = lists[source]
            if known is not None and name not in known:
                says = f"{word} is no word of {source}: it is never seen"
                yield Finding("unknown-word", label.thing, says, "see the list of the network")


def _unmapped(vocabulary: Vocabulary, looking: _Looking) -> Iterator[Finding]:
    """Networks that look, and of whose words no label has any."""
    mapped = {label.source for label in vocabulary.labels.values()}
    for card in looking.chosen:
        if card.words is None or card.words in mapped:
            continue
        words = listed(looking.models, card)
        said = told(words, card) if words is not None else ()
        yield Finding(
            "unmapped",
            card.words,
            f"{card.name} looks, and no label has a word of its list",
            "write suggest_all: true in its row of the catalogue, or into vocabulary.yaml:\n"
            + example(card.words, said),
        )


def example(source: str, words: Iterable[str]) -> str:
    """Return labels to be pasted, for the first words of a list."""
    labels = {}
    for word in list(words)[:NAMED] or ["WORD"]:
        name = word.replace("_", " ")
        tag = string.capwords(name)
        labels[name] = {"group": OWN, "tag": tag, "classes": [f"{source}/{word}"]}
    written: str = yaml.safe_dump(
        {"labels": labels}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000
    )
    return written.strip()


def _without_effect(vocabulary: Vocabulary, settings: Settings) -> Iterator[Finding]:
    """Labels that can never be shown, and weights that weigh nothing."""
    sources: defaultdict[str, list[Label]] = defaultdict(list)
    for label in vocabulary.labels.values():
        sources[label.thing].append(label)
    for thing, labels in sources.items():
        surest = max(probability(each.scale, thing, 1.0) for each in labels)
        ask = labels[0].ask
        if ask > surest:
            says = f"ask {ask:g} is above the {surest:.2f} that its surest score means at first"
            yield Finding(
                "no-effect", thing, says, "lower ask, or let Evaluate learn from verdicts"
            )
        for label in labels:
            if 0.0 < label.enter < settings.floor and label.classes:
                says = (
                    f"enter {label.enter:g} is below the floor {settings.floor:g} of {label.source}"
                )
                yield Finding("no-effect", thing, says, "lower the setting floor_percent")


def _faint(vocabulary: Vocabulary) -> Iterator[Finding]:
    """Groups with labels that begin to be seen before they are sure enough to be asked about."""
    faint: defaultdict[tuple[str, str, str], dict[str, None]] = defaultdict(dict)
    for label in vocabulary.labels.values():
        means = probability(label.scale, label.thing, label.enter)
        if means < label.ask:
            says = f"enter {label.enter:g} means {means:.2f} at first, and ask is {label.ask:g}"
            faint[label.group, label.source, says][label.thing] = None
    by_group: defaultdict[str, list[str]] = defaultdict(list)
    for (group, source, says), things in faint.items():
        by_group[group].append(f"{_listed(things)} by {source}: {says}")
    for group, some in by_group.items():
        remedy = "nothing, where faint moments are only to lengthen surer ones; else lower ask"
        yield Finding("faint", group, "; ".join(some), remedy)


def _same_tags(vocabulary: Vocabulary, whole: frozenset[str]) -> Iterator[Finding]:
    """Tags that several labels become, and names that lead to two tags.

    Where words of the lists of which all are wanted (`whole`) become tags that there are already,
    that is said once.
    """
    tags: defaultdict[str, dict[str, None]] = defaultdict(dict)
    names: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for label in vocabulary.labels.values():
        tags[folded(label.tag)][label.thing] = None
        for alias in label.aliases:
            names[folded(alias)][label.tag] = None
    called = {folded(label.tag): label.tag for label in vocabulary.labels.values()}
    unasked = {
        label.thing
        for label in vocabulary.labels.values()
        if label.group == OWN and label.source in whole and not label.stated
    }
    shared: list[str] = []
    for tag, things in tags.items():
        if len(things) > 1 and len(things.keys() - unasked) <= 1:
            shared.append(called[tag])
        elif len(things) > 1:
            says = f"{_listed(things)} all become it: the surest of them counts"
            yield Finding(
                "same-tag", called[tag], says, "as it should be, where they mean the same"
            )
    if shared:
        says = f"each is a word of {_listed(sorted(whole))} too: the surest of its labels counts"
        remedy = "as it should be, where they mean the same"
        yield Finding("same-tag", _listed(shared), says, remedy)
    for alias, owners in names.items():
        others = dict.fromkeys([*owners, *([called[alias]] if alias in called else [])])
        if len(others) > 1:
            says = f"it is another name of {_listed(owners)}, and leads to {_listed(others)}"
            yield Finding("same-tag", alias, says, "leave it with one of them")


def _listed(names: Iterable[str]) -> str:
    some = list(names)
    more = f" and {len(some) - NAMED} more" if len(some) > NAMED else ""
    return ", ".join(some[:NAMED]) + more
