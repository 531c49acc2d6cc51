"""What of ours a scene is to lose: what is no longer decided, and only where somebody looked."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from stash_sense_plugin.errors import ModelError
from stash_sense_plugin.inference.catalogue import Catalogue
from stash_sense_plugin.pipeline.deciding import digest
from stash_sense_plugin.pipeline.parts import source_of, word_lists
from stash_sense_plugin.records import (
    Action,
    Box,
    Decision,
    Detector,
    Evidence,
    LedgerEntry,
    Ran,
    SceneResult,
    Suggestion,
    TimeRange,
    folded,
)
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.stash.judging import is_replaced_by
from stash_sense_plugin.stash.wishes import MarkerWanted
from stash_sense_plugin.suggestions import DecideOptions, restrain
from stash_sense_plugin.vocabulary import Label, Vocabulary

Words = frozenset[tuple[str, str]]
"""Things as (kind, id or casefolded name)."""

NOBODY: Final[Words] = frozenset()
"""What was said of a scene of which nobody said anything."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one scene is to have of us."""

    tags: tuple[tuple[str, str], ...] = ()
    """Id and name; the id is empty for a tag that a dry run would create."""
    named: frozenset[str] = frozenset()
    """Casefolded names of the tags, those among them that could not be made."""
    markers: tuple[MarkerWanted, ...] = ()
    without_markers: bool = False
    """Whether the user wants none written but those that he accepted by themselves: what else is
    there stays with its tag."""
    studio_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Covered:
    """Of one scene, what is surely not there where nobody saw it."""

    looked: frozenset[str]
    """Sources (see `Label.source`): those of the scene's looks, and those that are switched off."""
    labels: Mapping[str, Sequence[Label]]
    """By the casefolded name of their tag."""
    never: frozenset[str] = frozenset()
    accepted: Words = frozenset()
    refused: Words = frozenset()
    running: frozenset[str] = frozenset()
    """The sources that the user's settings let look, and whose files are here."""
    studios_off: bool = False
    unmarked: Words = frozenset()
    """Tags whose markers the user refused in so many words: none stays."""

    def tag(self, tag_id: str, name: str, *also: str) -> bool:
        """Whether the tag is to go where it is not decided; `also` are our other names of it."""
        if (said := self._said("tag", tag_id, name, *also)) is not None:
            return said
        if self.are_markers_accepted(tag_id, name, *also):
            return False
        return self._is_never(name, *also) or self.is_looked_for(name.casefold())

    def are_markers_accepted(self, tag_id: str, *names: str) -> bool:
        """Whether the user wants the tag's markers, whatever is decided or set of it."""
        words = _words("marker", tag_id, *names)
        return bool(words & self.accepted) and not self._is_never(*names)

    def are_markers_refused(self, tag_id: str, *names: str) -> bool:
        """Whether the user refused the tag's markers in so many words."""
        return bool(_words("marker", tag_id, *names) & self.unmarked)

    def are_new_markers_refused(self, tag_id: str, *names: str) -> bool:
        """Whether none is set of the tag, also where one was only taken away in Stash."""
        return bool(_words("marker", tag_id, *names) & self.refused)

    def studio(self, studio_id: str, name: str) -> bool:
        """Whether the studio is to go where it is not decided."""
        if (said := self._said("studio", studio_id, name)) is not None:
            return said
        return self._is_never(name) or self.are_studios_looked_for

    def _said(self, kind: str, target_id: str, *names: str) -> bool | None:
        words = _words(kind, target_id, *names)
        if words & self.refused:
            return True
        return False if words & self.accepted and not self._is_never(*names) else None

    def _is_never(self, *names: str) -> bool:
        return not self.never.isdisjoint(map(str.casefold, names))

    @property
    def are_studios_looked_for(self) -> bool:
        """Whether a studio would have been recognised."""
        return self.studios_off or "text" in self.looked

    def is_looked_for(self, tag: str) -> bool:
        """Whether a tag (casefolded) that is not decided is surely not there.

        It is where somebody looked for it, and all who can: another that the settings let run and
        that has not looked yet may see it. Whose network the user does not run, or has not fetched,
        is not waited for, but where it alone knows the tag, what it said before stays.
        """
        labels = self.labels.get(tag, ())
        sources = {each.source for each in labels if each.thing.casefold() not in self.never}
        if not sources:
            return True
        return bool(sources & self.looked) and sources & self.running <= self.looked


def _words(kind: str, target_id: str, *names: str) -> Words:
    """A thing under its id and each of its names."""
    return frozenset((kind, each) for each in (target_id, *map(str.casefold, names)))


Decisions = Mapping[tuple[str, str], Decision]
"""What is decided of things, by their kind and folded name."""

Detectors = Mapping[str, frozenset[str]]
"""By word list, the detectors whose networks speak it: `objects`, `tagger`."""


@dataclass(frozen=True, slots=True)
class Covering:
    """What each detector is able to see, by the user's words and settings."""

    vocabulary: Vocabulary
    words_of: Mapping[str, str]
    """The word list of each network that has one, by its name."""
    never: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    """Detectors that the user switched off: what they saw is not wanted."""
    detectors_of: Detectors = field(default_factory=dict)
    running: frozenset[str] = frozenset()
    """The sources that the user's settings let look, and whose files are here."""
    _by_tag: dict[str, list[Label]] = field(default_factory=lambda: defaultdict(list))
    _off_sources: set[str] = field(default_factory=set)
    _whole: dict[frozenset[str], bool] = field(default_factory=dict)
    """Whether some sources together look for all tags: many scenes were looked at alike."""

    def __post_init__(self) -> None:
        self._off_sources.update(self.off - {"studio"})
        for label in self.vocabulary.labels.values():
            # A tag that the user has by another name is in Stash under that.
            for name in dict.fromkeys(map(str.casefold, (label.tag, *label.aliases))):
                self._by_tag[name].append(label)
            if self._detectors_of(label) <= self.off:
                self._off_sources.add(label.source)

    def _detectors_of(self, label: Label) -> frozenset[str]:
        if not label.classes:
            return frozenset({label.source})
        # Words that no network of the catalogue speaks are of one that was.
        return self.detectors_of.get(label.source, frozenset({"objects"}))

    @classmethod
    def of(
        cls,
        settings: Settings,
        vocabulary: Vocabulary,
        catalogue: Catalogue,
        detectors: Iterable[Detector],
        missing: Collection[str] = (),
    ) -> "Covering":
        """Build it from what the user chose: `detectors` are those that the settings let look.

        `missing` are the models whose files are not here. Nobody waits for them: what they saw
        once is in the store and counts, and what they see later is written then.
        """
        switches = {
            "clip": settings.skip_labels,
            "objects": settings.skip_objects,
            "tagger": settings.skip_acts,
            "picture": settings.skip_facts,
            "quality": settings.skip_quality,
            "text": settings.skip_text,
            "studio": settings.skip_studio,
        }
        words_of = word_lists(catalogue)
        return cls(
            vocabulary,
            words_of,
            vocabulary.never(settings.never_names),
            frozenset(name for name, is_off in switches.items() if is_off),
            _speakers(catalogue),
            frozenset(_running(detectors, words_of, missing)),
        )

    def covered(
        self, result: SceneResult, accepted: Words = frozenset(), refused: Words = frozenset()
    ) -> Covered:
        """Say of one scene what was looked for."""
        looked = {source_of(ran, self.words_of) for ran in result.ran if _saw(ran, result)}
        return Covered(
            frozenset(looked | self._off_sources),
            self._by_tag,
            self.never,
            accepted,
            refused,
            self.running,
            "studio" in self.off,
        )

    def kept_from(
        self,
        result: SceneResult,
        before: Mapping[str, Any],
        options: DecideOptions,
        by_now: Decisions = MappingProxyType({}),
    ) -> SceneResult:
        """Add what was suggested before by detectors that did not look now, as it was then.

        `by_now` says what became of it since: what was hidden or written by a word that was taken
        back is so no longer. What is said today counts on top, and what is refused is kept hidden.
        """
        covered = self.covered(result, options.accepted, options.refused)
        there = {(each.kind, each.name.casefold()) for each in result.suggestions}
        kept = [
            each
            for each in _as_by_now(map(_suggestion, before.get("suggestions", ())), by_now)
            if (each.kind, each.name.casefold()) not in there
            and (each.decision is not Decision.HIDE or _is_refused(each, options.refused))
            and not _goes(each, covered)
        ]
        if not kept:
            return result
        return replace(result, suggestions=restrain((*result.suggestions, *kept), options))

    def is_whole(self, result: SceneResult) -> bool:
        """Whether everything was looked for that the vocabulary speaks of."""
        covered = self.covered(result)
        whole = self._whole.get(covered.looked)
        if whole is None:
            whole = covered.are_studios_looked_for and all(map(covered.is_looked_for, self._by_tag))
            self._whole[covered.looked] = whole
        return whole


def _as_by_now(suggestions: Iterable[Suggestion], by_now: Decisions) -> Iterator[Suggestion]:
    for each in suggestions:
        now = by_now.get((each.kind, folded(each.name)), each.decision)
        is_otherwise = now is Decision.ASK or each.decision is Decision.HIDE
        yield replace(each, decision=now) if is_otherwise else each


def _is_refused(each: Suggestion, refused: Words) -> bool:
    return bool(_words(each.kind, each.target_id or "", each.name) & refused)


def _goes(each: Suggestion, covered: Covered) -> bool:
    if each.kind == "studio":
        return covered.are_studios_looked_for
    return each.kind != "tag" or covered.is_looked_for(each.name.casefold())


def _speakers(catalogue: Catalogue) -> Detectors:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for card in catalogue:
        if card.words:
            found[card.words].add("objects" if card.task == "objects" else "tagger")
    return {words: frozenset(detectors) for words, detectors in found.items()}


def _running(
    detectors: Iterable[Detector], words_of: Mapping[str, str], missing: Collection[str]
) -> Iterator[str]:
    """Yield whose words the detectors will speak that can look."""
    for each in detectors:
        try:
            model = each.model
        except ModelError:
            # What it needs is not here, so that it cannot even say its version.
            continue
        if model not in missing:
            yield words_of.get(model.partition("@")[0], each.name)


def _saw(ran: Ran, result: SceneResult) -> bool:
    """Whether what a detector saw was judged: its words may have no network to be read by."""
    return all(
        each.detector not in (ran.detector, f"{ran.detector} ({ran.model})")
        for each in result.skipped
    )


def without(result: SceneResult, undone: Words) -> SceneResult:
    """Let what the user undid wait for his word."""
    if not undone:
        return result
    suggestions = tuple(
        replace(each, decision=Decision.ASK)
        if each.decision is Decision.APPLY and (each.kind, folded(each.name)) in undone
        else each
        for each in result.suggestions
    )
    return replace(result, suggestions=suggestions)


def unmarked(undone: Words) -> frozenset[str]:
    """The folded names of tags whose markers the user undid."""
    return frozenset(name for kind, name in undone if kind == "marker")


def decided_by(result: SceneResult, settings: Settings) -> bytes:
    """Return what tells one decision from another: 16 bytes."""
    # With markers or without, the same suggestions are written otherwise; with Suggest only
    # nothing is taken back, which is still to be done once it is off.
    facts = digest(result) + (b"markers" if settings.markers else b"")
    facts += b"suggest only" if settings.suggest_only else b""
    return hashlib.blake2b(facts, digest_size=16).digest()


def no_longer(ours: Iterable[LedgerEntry], wanted: Wanted, covered: Covered) -> list[LedgerEntry]:
    """Return of one scene's rows those whose things are to be taken back."""
    return [entry for entry in ours if _GOES.get(entry.action, _stays)(entry, wanted, covered)]


def _stays(entry: LedgerEntry, wanted: Wanted, covered: Covered) -> bool:
    return False


def _tag_goes(entry: LedgerEntry, wanted: Wanted, covered: Covered) -> bool:
    if _is_wanted(entry.target_id, entry.target_name, wanted):
        return False
    return covered.tag(entry.target_id, entry.target_name, *entry.asked_as)


def _marker_goes(entry: LedgerEntry, wanted: Wanted, covered: Covered) -> bool:
    tag_id = entry.about_id
    names = (entry.target_name, *entry.asked_as)
    if covered.are_markers_refused(tag_id, *names):
        return True
    own = [wish for wish in wanted.markers if wish.tag_id == tag_id]
    if not own and not _is_wanted(tag_id, entry.target_name, wanted):
        return covered.tag(tag_id, *names)
    if covered.are_new_markers_refused(tag_id, *names):
        # Nothing can be set in its place.
        return False
    return bool(own or not wanted.without_markers) and is_replaced_by(entry, own)


def _studio_goes(entry: LedgerEntry, wanted: Wanted, covered: Covered) -> bool:
    if entry.target_id in wanted.studio_ids:
        return False
    return covered.studio(entry.target_id, entry.target_name)


def _is_wanted(tag_id: str, name: str, wanted: Wanted) -> bool:
    return name.casefold() in wanted.named or any(tag_id == each for each, _ in wanted.tags)


_GOES: Mapping[Action, Callable[[LedgerEntry, Wanted, Covered], bool]] = {
    Action.ADD_TAG: _tag_goes,
    Action.CREATE_MARKER: _marker_goes,
    Action.SET_STUDIO: _studio_goes,
}


# --- What was said before -----------------------------------------------------------------------


def _suggestion(told: Mapping[str, Any]) -> Suggestion:
    """Read what `SceneResult.as_json` wrote."""
    label = str(told["label"])
    return Suggestion(
        kind=told["kind"],
        name=str(told["name"]),
        label=label,
        confidence=float(told["confidence"]),
        decision=Decision[told["decision"]],
        ranges=tuple(
            TimeRange(label, part["start_s"], part["end_s"], part["score"])
            for part in told.get("ranges", ())
        ),
        evidence=tuple(map(_evidence, told.get("evidence", ()))),
        target_id=told.get("target_id"),
    )


def _evidence(told: Mapping[str, Any]) -> Evidence:
    box = told.get("box")
    return Evidence(
        told["time_s"],
        told["score"],
        told["detector"],
        told["model"],
        Box(*box) if box else None,
        told.get("text"),
    )
