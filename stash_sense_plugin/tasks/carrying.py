"""Carry out what the user says of suggestions: the verdict is kept first, then Stash follows."""

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Final, Literal

from stash_sense_plugin.errors import Cancelled, StashError, TagGone, TagUnusable
from stash_sense_plugin.library.suggested import Suggested, SuggestionList
from stash_sense_plugin.library.verdicts import Saying, Words
from stash_sense_plugin.records import (
    Action,
    Decision,
    LedgerEntry,
    Reporter,
    Said,
    Scene,
    folded,
)
from stash_sense_plugin.stash import judging
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.kinds import find_called
from stash_sense_plugin.stash.named import STUDIOS, Named
from stash_sense_plugin.stash.operations import (
    SceneState,
    StashTag,
    in_groups,
    scene_states,
    scenes_by_ids,
    tag_by_id,
)
from stash_sense_plugin.stash.wishes import Ending, MarkerWanted, Written
from stash_sense_plugin.stash.writer import Writer
from stash_sense_plugin.tasks.asked import PAGE_BYTES, within
from stash_sense_plugin.tasks.differing import NOBODY
from stash_sense_plugin.tasks.engine import Engine
from stash_sense_plugin.tasks.kinds import never_of, tag_kinds
from stash_sense_plugin.tasks.merging import follow
from stash_sense_plugin.tasks.recognising import Recognition
from stash_sense_plugin.tasks.writing import open_writing

Current = tuple[Mapping[str, SceneState], Mapping[str, str]]
"""What was just read of scenes, and why some may not be touched."""

MARKER: Final = "marker"
"""The kind of what is said of the markers of a tag; the tag itself is of another."""
FAILED_SHOWN: Final = 100
"""Of what could not be done so many are named; all are counted."""
NAMED_BYTES: Final = PAGE_BYTES // 2 - 2_000
"""So long is what is named of them, and what is named of what stays: both, and all counts, fit."""


@dataclass(frozen=True, slots=True)
class Item:
    """One suggestion of which the user says something."""

    scene_id: str
    kind: str
    name: str
    target_id: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What it is called wherever things are compared."""
        return self.kind, folded(self.name)

    @property
    def is_of_tag(self) -> bool:
        """Whether its name is a tag's: of the tag itself, or of its markers."""
        return self.kind in ("tag", MARKER)


class Carrying(ABC):
    """Carries out what is said of many suggestions, some scenes at a time, as one run."""

    kind: ClassVar[str]
    """What the run is called, and the operation."""
    said: ClassVar[Said]

    def __init__(
        self, engine: Engine, client: StashClient, reporter: Reporter, *, dry_run: bool
    ) -> None:
        self._engine, self._client, self._reporter = engine, client, reporter
        self._dry_run = dry_run
        self._run_id: str | None = None
        self._opened: Writer | None = None
        self._kinds, self._never = tag_kinds(engine), never_of(engine)
        self._tags: dict[str, StashTag | None] = {}
        self._counts: Counter[str] = Counter()
        self._failed: list[dict[str, str]] = []

    def carry_out(self, items: Sequence[Item]) -> dict[str, object]:
        """Do all that is said and return what came of it.

        Raises StashError where Stash holds another library, of which nothing is kept then; and
        where it fails as a whole: what was said by then is kept, and done when the library is next
        decided on.
        """
        _check_library(Recognition(self._engine, self._client))
        ended: Literal["done", "failed", "cancelled"] = "failed"
        try:
            self._carry_out(items)
            ended = "done"
        except Cancelled:
            ended = "cancelled"
            raise
        finally:
            if self._run_id is not None:
                self._engine.store.end_run(self._run_id, ended, self._report())
        return self._report()

    def _carry_out(self, items: Sequence[Item]) -> None:
        by_scene: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            by_scene[item.scene_id].append(item)
        if not self._dry_run:
            self._recover()
        done = 0
        for group in in_groups(list(by_scene)):
            self._reporter.check()
            # A sweep may write beside us, and only one writer may be at work.
            with self._engine.writing:
                self._some({scene_id: by_scene[scene_id] for scene_id in group})
            done += len(group)
            self._reporter.progress(done / len(by_scene))

    def _recover(self) -> None:
        """Settle what a kill or a lost answer left open: it may be what is spoken of."""
        with self._engine.writing:
            Writer(self._client, self._engine.ledger, "").recover()

    def _some(self, by_scene: Mapping[str, Sequence[Item]]) -> None:
        found = scenes_by_ids(self._client, list(by_scene))
        if not self._dry_run:
            follow(self._engine, self._client, found)
        scenes = {scene.id: scene for scene in found}
        present: list[tuple[Item, Scene]] = []
        for scene_id, items in by_scene.items():
            for item in items:
                if scene_id in scenes:
                    present.append((item, scenes[scene_id]))
                else:
                    self._fail(item, "the scene is not in Stash")
        self._say(present)

    @abstractmethod
    def _say(self, items: Sequence[tuple[Item, Scene]]) -> None:
        """Keep what is said of some scenes that are there, and let Stash follow."""

    @property
    def _run(self) -> str:
        if self._run_id is None:
            settings = asdict(self._engine.settings)
            self._run_id = self._engine.store.begin_run(self.kind, settings)
        return self._run_id

    @property
    def _writer(self) -> Writer:
        """The run's writer."""
        if self._opened is None:
            self._opened, _ = open_writing(self._engine, self._client, self._run)
        return self._opened

    def _keep(self, sayings: Sequence[Saying]) -> None:
        self._engine.verdicts.say(sayings)

    def _saying(self, item: Item, scene: Scene, target_id: str, row: Suggested | None) -> Saying:
        detail: dict[str, object] = {"run_id": self._run}
        if row is not None:
            detail |= {"label": row.label, "confidence": round(row.confidence, 4)}
        tag = self._tag_called(item.name) if item.is_of_tag else None
        also = (tag.name, *tag.aliases) if tag and tag.id == target_id else ()
        return Saying(scene, item.kind, item.name, target_id, self.said, "asked", detail, also)

    def _tag_called(self, name: str) -> StashTag | None:
        """The tag that had this name or alias when it was asked for first."""
        if name not in self._tags:
            found = find_called(self._client, name, self._kinds)
            self._tags[name] = found[0] if found else None
        return self._tags[name]

    def _known_tag(self, name: str) -> str:
        """The id of the tag of this name or alias; empty where there is none."""
        tag = self._tag_called(name)
        return tag.id if tag else ""

    def _rows(self, items: Iterable[tuple[Item, Scene]]) -> dict[tuple[str, str, str], Suggested]:
        """What is suggested for the scenes, by scene, kind and folded name."""
        found = SuggestionList(self._engine.store).of_scenes(scene.id for _, scene in items)
        return {
            (scene_id, row.kind, row.key): row for scene_id, rows in found.items() for row in rows
        }

    def _fail(self, item: Item, message: str, remedy: str = "") -> None:
        self._counts["failed"] += 1
        if len(self._failed) < FAILED_SHOWN:
            self._failed.append({**asdict(item), "message": message, "remedy": remedy})

    def _report(self) -> dict[str, object]:
        return {
            "run_id": self._run_id,
            "dry_run": self._dry_run,
            **{name: self._counts[name] for name in self._names()},
            "failed": self._counts["failed"],
            "failures": within(self._failed, NAMED_BYTES),
        }

    @abstractmethod
    def _names(self) -> Sequence[str]:
        """What is counted besides what failed."""


def _check_library(recognition: Recognition) -> None:
    """Raise StashError where the numbers of scenes mean other ones than the store's."""
    if recognition.is_this_library():
        return
    raise StashError(
        "Stash holds another library than the one that Stash Sense looked at (or much of it"
        " differs), so nothing is accepted or refused",
        "start Stash with the database that was tagged, or run Tag scenes first where this is that"
        " library with other files",
    )


class Accepting(Carrying):
    """Writes what the user accepts: tags with their markers, and the studio."""

    kind = "accept"
    said = Said.ACCEPTED

    def _names(self) -> Sequence[str]:
        return ("accepted", "written", "there", "markers")

    def _say(self, items: Sequence[tuple[Item, Scene]]) -> None:
        rows = self._rows(items)
        wanted = list(self._acceptable(items, rows))
        wanted += self._markable(items, rows, wanted)
        self._counts["accepted"] += len(wanted)
        if self._dry_run:
            self._rehearse(wanted)
            return
        self._keep([self._accepting(each) for each in wanted])
        self._write(wanted)

    def _accepting(self, wanted: "_Wanted") -> Saying:
        row, scene = wanted.row, wanted.scene
        item = Item(scene.id, wanted.kind, row.name)
        saying = self._saying(item, scene, wanted.target_id, row)
        if wanted.kind != MARKER:
            return saying
        with_tags = {"with_tags": self._engine.settings.markers}
        return replace(saying, detail={**saying.detail, **with_tags})

    def _rehearse(self, wanted: Sequence["_Wanted"]) -> None:
        for each in wanted:
            if each.kind != MARKER:
                had = each.scene.tag_ids | {each.scene.studio_id}
                self._counts["there" if each.target_id in had - {None} else "written"] += 1
        said = self._engine.verdicts.said_of_many({e.scene.id: e.scene for e in wanted}.values())
        refused = {scene_id: words for scene_id, (_, words) in said.items()}
        marked = [
            each
            for each in self._with_markers(wanted)
            if each.kind == MARKER or not each.marker_words & refused.get(each.scene.id, NOBODY)
        ]
        writer = Writer(self._client, self._engine.ledger, "", kinds=self._kinds, dry_run=True)
        for scene, wishes, current in self._wishes(writer, marked):
            for done in writer.create_markers(scene, wishes, current):
                # What is refused by now is so no longer once it is accepted.
                self._counts["markers"] += done.ending in (Ending.WRITTEN, Ending.REFUSED)

    def _acceptable(
        self,
        items: Iterable[tuple[Item, Scene]],
        rows: Mapping[tuple[str, str, str], Suggested],
    ) -> Iterator["_Wanted"]:
        """Yield what may be written, with the id of the tag or studio."""
        for item, scene in items:
            if item.kind == MARKER:
                continue
            row = self._suggested(item, scene, rows)
            if row is not None and (target_id := self._target(item, row)) is not None:
                yield _Wanted(item, row, scene, target_id)

    def _suggested(
        self, item: Item, scene: Scene, rows: Mapping[tuple[str, str, str], Suggested]
    ) -> Suggested | None:
        """What is suggested and may be accepted; None, and said, where that is not so."""
        kind, name = item.key
        row = rows.get((scene.id, "tag" if kind == MARKER else kind, name))
        if row is None:
            listed = f"see what it suggested: suggestions list --scene {scene.id}"
            self._fail(item, "Stash Sense suggested no such thing for this scene", listed)
        elif row.fingerprint not in (None, scene.fingerprint):
            again = "let the scene be tagged once more"
            self._fail(item, "its file has changed since it was looked at", again)
        elif {row.key, folded(row.label)} & self._never:
            setting = "take it out of the setting 'Never suggest' or of your vocabulary.yaml"
            self._fail(item, "you never want it suggested", setting)
        else:
            return row
        return None

    def _markable(
        self,
        items: Sequence[tuple[Item, Scene]],
        rows: Mapping[tuple[str, str, str], Suggested],
        tags: Sequence["_Wanted"],
    ) -> list["_Wanted"]:
        """Return the markers that may be written: of tags on the scene, or accepted by now."""
        named = [(item, scene) for item, scene in items if item.kind == MARKER]
        if not named:
            return []
        together = {(each.scene.id, each.row.key): each for each in tags if each.kind == "tag"}
        said = self._engine.verdicts.said_of_many({s.id: s for _, s in named}.values())
        found: list[_Wanted] = []
        for item, scene in named:
            row = self._suggested(item, scene, rows)
            if row is None:
                continue
            accepted, _ = said.get(scene.id, (NOBODY, NOBODY))
            tag = together.get((scene.id, row.key))
            tag_id = tag.target_id if tag else self._tag_there(row, scene, accepted)
            if tag is None and row.decision is Decision.HIDE:
                self._fail(item, "its tag is refused", "accept the tag: its markers come with it")
            elif tag_id is None:
                come = "accept the tag: its markers come with it"
                self._fail(item, "its tag is not on the scene", come)
            elif not self._has_ranges(row):
                self._fail(item, "nothing says when it is in the scene", "see the tag itself")
            else:
                found.append(_Wanted(item, row, scene, tag_id))
        return found

    def _has_ranges(self, row: Suggested) -> bool:
        [part] = SuggestionList(self._engine.store).shown([row])
        return bool(part.get("ranges"))

    def _tag_there(self, row: Suggested, scene: Scene, accepted: Words) -> str | None:
        """The id of the tag, where the scene has it or it is accepted and not refused."""
        tag_id = self._known_tag(row.name)
        if not tag_id or row.decision is Decision.HIDE:
            return None
        is_accepted = {("tag", tag_id), ("tag", row.key)} & accepted
        if tag_id not in scene.tag_ids and not is_accepted:
            return None
        return tag_id if self._dry_run else self._writer.ensure_tag(row.name)

    def _target(self, item: Item, row: Suggested) -> str | None:
        """The id of what is accepted; None, and said, where Stash cannot have it."""
        if row.kind != "tag":
            return row.target_id
        try:
            return self._known_tag(row.name) if self._dry_run else self._tag(row.name)
        except TagUnusable as error:
            self._fail(item, error.message, error.remedy)
            return None

    def _tag(self, name: str) -> str:
        """Find or create the tag; one that we made and the user deleted is wanted again now."""
        try:
            return self._writer.ensure_tag(name)
        except TagGone:
            # What is gone may be the tag that new ones lie below.
            if any(map(self._has_another_name, (name, self._engine.settings.parent_tag))):
                raise
            return self._writer.ensure_tag(name, again=True)

    def _has_another_name(self, name: str) -> bool:
        """Whether a tag that we made under this name is in Stash under another one only."""
        made = [
            entry.target_id
            for entry in self._engine.ledger.ours([""])
            if folded(entry.target_name) == folded(name)
        ]
        if not made or tag_by_id(self._client, made[-1]) is None:
            return False
        return find_called(self._client, name, self._kinds) is None

    def _write(self, wanted: Sequence["_Wanted"]) -> None:
        scenes = list({each.scene.id: each.scene for each in wanted}.values())
        tags: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for each in wanted:
            if each.kind == "tag":
                called = self._writer.called(each.row.name)
                tags[each.scene.id].append((each.target_id, called))
        failed: set[tuple[str, str]] = set()
        meant = self._meant(wanted)
        if tags:
            written = self._writer.add_tags(scenes, tags)
            self._note(written, meant)
            failed = {(w.scene_id, w.target_id) for w in written if w.ending is Ending.FAILED}
        for each in wanted:
            if each.kind == "studio" and each.target_id:
                args = (each.scene, each.target_id, each.row.name)
                self._note([self._writer.set_studio(*args)], meant)
        # No marker of a tag that could not be written.
        marked = [each for each in wanted if (each.scene.id, each.target_id) not in failed]
        for scene, wishes, current in self._wishes(self._writer, self._with_markers(marked)):
            self._note(self._writer.create_markers(scene, wishes, current), meant)

    def _with_markers(self, wanted: Iterable["_Wanted"]) -> list["_Wanted"]:
        """Those of which markers are set: asked for by themselves, or with their tags."""
        kinds = ("tag", MARKER) if self._engine.settings.markers else (MARKER,)
        return [each for each in wanted if each.kind in kinds]

    def _meant(self, wanted: Iterable["_Wanted"]) -> dict[tuple[str, str, str], Item]:
        """By scene, kind and name in Stash what the user spoke of; markers may come with a tag."""
        meant: dict[tuple[str, str, str], Item] = {}
        for each in wanted:
            is_of_tag = each.item.is_of_tag
            called = folded(self._writer.called(each.row.name) if is_of_tag else each.row.name)
            meant[each.scene.id, each.kind, called] = each.item
            if each.kind == "tag":
                meant.setdefault((each.scene.id, MARKER, called), each.item)
        return meant

    def _wishes(
        self, writer: Writer, wanted: Sequence["_Wanted"]
    ) -> Iterator[tuple[Scene, list[MarkerWanted], Current | None]]:
        """Yield the markers that are wanted, scene after scene, and what all have by now."""
        shown = SuggestionList(self._engine.store).shown([each.row for each in wanted])
        markers: dict[str, list[MarkerWanted]] = defaultdict(list)
        for each, part in zip(wanted, shown, strict=True):
            called = writer.called(each.row.name)
            markers[each.scene.id] += _markers(each.target_id, called, part)
        scenes = {each.scene.id: each.scene for each in wanted if markers[each.scene.id]}
        current = writer.current(list(scenes.values())) if scenes else None
        for scene in scenes.values():
            yield scene, markers[scene.id], current

    def _note(self, written: Iterable[Written], meant: Mapping[tuple[str, str, str], Item]) -> None:
        """Count what was written; `meant` is as `_meant` has it."""
        for each in written:
            kind = kind_of(each.action)
            if each.ending is Ending.WRITTEN:
                self._counts["markers" if kind == MARKER else "written"] += 1
            elif each.ending is Ending.THERE and kind != MARKER:
                self._counts["there"] += 1
            elif each.ending is Ending.FAILED:
                item = meant[each.scene_id, kind, folded(each.name)]
                self._fail(item, each.reason, "decide again to have it written")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is accepted and may be written."""

    item: Item
    row: Suggested
    """Of markers, their tag's."""
    scene: Scene
    target_id: str
    """Of the tag or studio; empty for a tag that a dry run would create."""

    @property
    def kind(self) -> str:
        """Of what is spoken."""
        return self.item.kind

    @property
    def marker_words(self) -> Words:
        """What is said of its markers is said of one of these."""
        return frozenset({(MARKER, self.target_id), (MARKER, self.row.key)})


def _markers(tag_id: str, name: str, part: Mapping[str, Any]) -> Iterator[MarkerWanted]:
    for found in part.get("ranges", []):
        yield MarkerWanted(tag_id, name, found["start_s"], found["end_s"])


class Refusing(Carrying):
    """Takes back of what the user refuses all that we wrote, and nothing else."""

    kind = "refuse"
    said = Said.REFUSED

    def __init__(
        self, engine: Engine, client: StashClient, reporter: Reporter, *, dry_run: bool
    ) -> None:
        super().__init__(engine, client, reporter, dry_run=dry_run)
        self._left: list[dict[str, str]] = []
        self._not_ours: set[Item] = set()
        """What stays in Stash although it is refused: the user put it there, or changed it."""

    def _report(self) -> dict[str, object]:
        return {**super()._report(), "left": within(self._left, NAMED_BYTES)}

    def _names(self) -> Sequence[str]:
        return ("refused", "taken_back", "markers", "not_ours")

    def _say(self, items: Sequence[tuple[Item, Scene]]) -> None:
        rows = self._rows(items)
        ours: dict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in self._engine.ledger.ours(dict.fromkeys(scene.id for _, scene in items)):
            ours[entry.scene_id].append(entry)
        entries: dict[int | None, LedgerEntry] = {}
        meant: _Meant = {}
        sayings: list[Saying] = []
        named = [(item, scene, self._ids(item)) for item, scene in items]
        marked = self._marked(named)
        for item, scene, known in named:
            about = [entry for entry in ours[scene.id] if is_about(entry, item, known)]
            meant |= {_thing(entry): item for entry in about}
            # Two names may be one tag's.
            entries |= {entry.row: entry for entry in about}
            there = marked.get((scene.id, item), set()) or self._there(item, scene) & known
            written = {entry.target_id for entry in about}
            if (there - written) if item.kind == MARKER else (there and not there & written):
                self._not_ours.add(item)
            if not self._dry_run:
                kind, name = item.key
                row = rows.get((scene.id, "tag" if kind == MARKER else kind, name))
                ids = known | {entry.about_id for entry in about}
                # The same, however often it is refused.
                ids = (ids | {row.target_id if row else ""}) - {""}
                sayings += [self._saying(item, scene, each, row) for each in sorted(ids) or [""]]
        self._counts["refused"] += len(items)
        self._keep(sayings)
        if entries:
            self._note(self._taker.take_back(list(entries.values())), meant)
        self._counts["not_ours"] += len(self._not_ours)
        self._not_ours.clear()

    def _ids(self, item: Item) -> set[str]:
        """Stash's ids of what the user speaks of, where they are known."""
        return {item.target_id, self._known_tag(item.name) if item.is_of_tag else ""} - {""}

    def _marked(
        self, named: Sequence[tuple[Item, Scene, set[str]]]
    ) -> dict[tuple[str, Item], set[str]]:
        """The markers that scenes have, by whomever, of the tags whose markers are spoken of."""
        of_markers = [each for each in named if each[0].kind == MARKER]
        if not of_markers:
            return {}
        states = scene_states(self._client, list({scene.id: 0 for _, scene, _ in of_markers}))
        return {
            (scene.id, item): {
                marker.id
                for marker in (states[scene.id].markers if scene.id in states else ())
                if marker.primary_tag_id in known
            }
            for item, scene, known in of_markers
        }

    def _there(self, item: Item, scene: Scene) -> set[str]:
        """The ids of the tags, or of the studio, of a scene."""
        if item.kind == MARKER:
            return set()
        return set(scene.tag_ids) if item.kind == "tag" else {scene.studio_id or ""}

    @property
    def _taker(self) -> Writer:
        if self._dry_run:
            return Writer(self._client, self._engine.ledger, "", dry_run=True)
        return self._writer

    def _note(self, taken: Sequence[Written], meant: "_Meant") -> None:
        stays: dict[Item, Written] = {}
        # Of a tag that stays its markers need not be told of.
        for each in sorted(taken, key=is_marker):
            item = meant[_thing(each)]
            if each.ending is Ending.TAKEN_BACK:
                self._counts["markers" if is_marker(each) else "taken_back"] += 1
            elif each.ending is Ending.FAILED:
                self._fail(item, each.reason, "decide again to have it taken back")
            elif each.ending is Ending.PASSED and each.reason != judging.ABSENT:
                stays.setdefault(item, each)
        self._not_ours.update(stays)
        known = Named(self._client)
        for item, each in stays.items():
            if len(self._left) < FAILED_SHOWN:
                remedy = "remove it in Stash, where you do not want it"
                told = {"message": why_it_stays(each, known), "remedy": remedy}
                self._left.append(asdict(item) | told)


_Meant = dict[tuple[str, bool, str], Item]
"""By what of a scene is taken back, what the user spoke of."""


def is_marker(one: LedgerEntry | Written) -> bool:
    return one.action in (Action.CREATE_MARKER, Action.DESTROY_MARKER)


def _thing(one: LedgerEntry | Written) -> tuple[str, bool, str]:
    """What of a scene a row is about; a marker and a tag may have the same number."""
    return one.scene_id, is_marker(one), one.target_id


def why_it_stays(one: Written, known: Named) -> str:
    """Say why what we wrote is not ours to take any more."""
    if is_marker(one):
        return f"a marker of it stays: {one.reason}"
    studio = one.action in STUDIOS
    now = known.studio(one.target_id) if studio else known.tag(one.target_id)
    if one.reason != judging.OTHER_NAME or now is None:
        return f"it stays: {one.reason}"
    kind = "studio" if studio else "tag"
    return (
        f"it stays: Stash Sense wrote it as {one.name!r}, and the {kind} is called {now.name!r} now"
    )


def is_about(entry: LedgerEntry, item: Item, ids: set[str]) -> bool:
    """Whether a row wrote or took back what the user speaks of; of a tag, a marker of it too."""
    kinds = (kind_of(entry.action), "tag") if is_marker(entry) else (kind_of(entry.action),)
    named = folded(item.name) in map(folded, (entry.target_name, *entry.asked_as))
    return item.kind in kinds and (named or entry.about_id in ids)


_KINDS: Final = {
    **dict.fromkeys((Action.ADD_TAG, Action.REMOVE_TAG), "tag"),
    **dict.fromkeys((Action.CREATE_MARKER, Action.DESTROY_MARKER), MARKER),
    **dict.fromkeys((Action.SET_STUDIO, Action.CLEAR_STUDIO), "studio"),
}


def kind_of(action: Action) -> str:
    """The kind of thing that a row is about, as the user speaks of it; empty for none."""
    return _KINDS.get(action, "")
