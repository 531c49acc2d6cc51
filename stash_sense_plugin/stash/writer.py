"""The one that writes to Stash, by the laws of writing.

1. What we did not write is never removed or replaced.
2. Each write has a row in the ledger before and after it; ours is only what was absent just before.
3. Add first, remove second; every step can be repeated, and a kill at any point loses nothing.
4. What the user took away is remembered and never put back; when it looks like no refusal, we ask.
6. A tag of the user's is used instead of a new one; a new one is left alone by Auto Tag and lies
   below a parent of ours, or below one that it is a kind of and that lies there itself.

(The fifth, about workflow tags, is in workflow.py.)
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from stash_sense_plugin.errors import (
    StashError,
    StashRefused,
    StashUncertain,
    TagGone,
    TagUnusable,
)
from stash_sense_plugin.records import Action, Ledger, LedgerEntry, Outcome, Scene, folded
from stash_sense_plugin.stash import judging, operations
from stash_sense_plugin.stash.changing import TagChanges
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.judging import Fate, Gone
from stash_sense_plugin.stash.kinds import PLAIN, Kinds, find_called, names_of
from stash_sense_plugin.stash.named import Named
from stash_sense_plugin.stash.operations import Mode, SceneState
from stash_sense_plugin.stash.rehearsal import RehearsedLedger
from stash_sense_plugin.stash.taking import Taking
from stash_sense_plugin.stash.wishes import Ending, MarkerWanted, Missing, Written

NO_REFUSAL_SCENES: Final = 10
"""Ours missing from more scenes than this in one run is no refusal but a question."""
NO_REFUSAL_SHARE: Final = 0.2
"""So is ours missing from more than this share of the scenes seen, one scene aside."""


@dataclass(slots=True)
class _Visit:
    """What one run has seen of our own writing."""

    seen: int = 0
    """Scenes. Each is visited once, so that a number is enough however many there are."""
    missing: int = 0
    surveyed: frozenset[str] = frozenset()
    """A few that are counted already and may be visited once more."""
    doubted: bool = False
    """Too much was missing at the run's start: what one scene lacks is no refusal either."""

    def too_many(self) -> bool:
        count = self.missing
        if self.doubted:
            return count > 0
        share = count > 1 and count > NO_REFUSAL_SHARE * self.seen
        return share or count > NO_REFUSAL_SCENES


class Writer:
    """Writes for one run; only one writer may be at work at a time."""

    def __init__(
        self,
        client: StashClient,
        ledger: Ledger,
        run_id: str,
        parent_tag_name: str = "Stash Sense",
        *,
        kinds: Kinds = MappingProxyType({}),
        dry_run: bool = False,
        together: int = operations.HUNDRED,
    ) -> None:
        """Write for a run; a dry one reads and judges alike, and writes to nothing.

        What it would write comes back as written, and a tag that it would create has no id.
        `kinds` says what else tags may be called, and below which others new ones lie.
        `together` is how many scenes are read before the tags of all are changed: of more scenes,
        each tag needs fewer questions.
        """
        self.client = client
        self.dry_run = dry_run
        self._ledger = RehearsedLedger(ledger) if dry_run else ledger
        self._run_id = run_id
        self._changes = TagChanges(client, self._ledger, self._forget_tag, dry_run=dry_run)
        self._together = together
        self._taking = Taking(
            client, self._ledger, run_id, self._changes, dry_run=dry_run, together=together
        )
        self._parent = parent_tag_name.strip()
        self._kinds = kinds
        self._tags: dict[str, str] = {}
        self._called: dict[str, str] = {}
        """By the name that was asked for, the alias under which Stash has the tag."""
        self._asked: dict[str, dict[str, None]] = {}
        """By tag that was found by an alias, the names that were asked for."""
        self._names: dict[str, frozenset[str]] = {}
        """Of tags that were found, all their names and aliases, casefolded."""
        self._visit = _Visit()
        self.restored: set[str] = set()
        """Scenes that lack what we wrote because their database is an older one."""
        self._looked_for: set[str] = set()
        """Tags of what those scenes lack, which are forgotten by now where they are lost too."""

    @property
    def ledger(self) -> Ledger:
        """The ledger of this run; a dry run's keeps nothing."""
        return self._ledger

    # --- What is there now

    def current(self, scenes: Sequence[Scene]) -> tuple[dict[str, SceneState], dict[str, str]]:
        """Read the scenes again; also why some may not be touched: gone, or another file now."""
        states = operations.scene_states(self.client, [scene.id for scene in scenes])
        reasons: dict[str, str] = {}
        for scene in scenes:
            if scene.id not in states:
                reasons[scene.id] = "the scene is no longer in Stash"
            elif states[scene.id].fingerprint != scene.fingerprint:
                del states[scene.id]
                reasons[scene.id] = "the scene's file has changed since it was looked at"
        return states, reasons

    # --- Tags of scenes

    def add_tags(
        self,
        scenes: Sequence[Scene],
        wanted: Mapping[str, Sequence[tuple[str, str]]],
        again: Mapping[tuple[str, str], int] | None = None,
    ) -> list[Written]:
        """Add tags, given as (id, name) by scene id; nothing that is there is touched.

        `again` names by (scene id, tag id) the rows of taking back that this undoes.

        Raises StashUnreachable or StashRefused when Stash as a whole fails; what a lost answer
        leaves open is for `recover`.
        """
        asked = [scene for scene in scenes if wanted.get(scene.id)]
        written: list[Written] = []
        for group in operations.in_groups(asked, self._together):
            written.extend(self._add_tags(group, wanted, again or {}))
        return written

    def _add_tags(
        self,
        scenes: Sequence[Scene],
        wanted: Mapping[str, Sequence[tuple[str, str]]],
        again: Mapping[tuple[str, str], int],
    ) -> list[Written]:
        states, lost = self.current(scenes)
        written: list[Written] = []
        entries: list[LedgerEntry] = []
        for scene in scenes:
            refused = self._refused(scene)
            # By id; what a dry run would create has none.
            tags = {tag_id or name: (tag_id, name) for tag_id, name in wanted[scene.id]}
            for tag_id, name in tags.values():
                ending, reason = judging.before_adding(scene, tag_id, name, states, lost, refused)
                if ending is None:
                    detail = self._times(states[scene.id]) | judging.had(states[scene.id])
                    detail |= self._asked_as(tag_id)
                    row = self._row(Action.ADD_TAG, scene, tag_id, name, detail)
                    entries.append(replace(row, takes_back=again.get((scene.id, tag_id))))
                else:
                    args = (scene.id, Action.ADD_TAG, name, ending, tag_id, reason)
                    written.append(Written(*args))
        return written + self._changes.change(entries, "ADD")

    def move(
        self,
        scenes: Sequence[Scene],
        states: Mapping[str, SceneState],
        tag: tuple[str, str],
        mode: Mode,
        workflow_ids: frozenset[str],
        reason: str = "",
        again: Mapping[str, int] | None = None,
    ) -> list[Written]:
        """Add a workflow tag (id, name) to scenes or take it away; only what changes is sent.

        The ledger keeps which workflow tags each scene had, for undo; `again` names by scene the
        rows of moves that this undoes.
        """
        tag_id, name = tag
        entries = []
        for scene in scenes:
            had = states[scene.id].tag_ids
            if (tag_id in had) is (mode == "ADD"):
                continue
            detail: dict[str, object] = {"mode": mode, "there": sorted(had & workflow_ids)}
            detail |= {"reason": reason} if reason else {}
            row = self._row(Action.MOVE_WORKFLOW, scene, tag_id, name, detail)
            entries.append(replace(row, takes_back=(again or {}).get(scene.id)))
        return self._changes.change(entries, mode)

    def _forget_tag(self, tag_id: str) -> None:
        """Look the names of a tag up anew next time: Stash has it no longer."""
        self._tags = {name: known for name, known in self._tags.items() if known != tag_id}

    # --- Tags themselves

    def ensure_tag(self, name: str, *, again: bool = False) -> str:
        """The id of the tag of this name or alias; created below its parents if there is none.

        Where Stash has no tag of the name, one that has an alias of its kind is used: `called`
        says by which.

        A tag that we created once and that is gone is created again only when `again` says so:
        TagGone is raised, because a person deleted, merged or renamed it. TagUnusable is raised
        for a name that Stash takes for another tag's.
        """
        wanted = name.strip()
        if not wanted:
            raise StashError("A tag without a name was asked for")
        # Exactly so: Stash tells apart names that casefolding does not, such as Straße and STRASSE.
        if wanted not in self._tags:
            self._tags[wanted] = self._found(wanted) or self._create_tag(wanted, again)
        return self._tags[wanted]

    def called(self, name: str) -> str:
        """What the tag of `ensure_tag` is called in Stash: the name, or the alias it was found by.

        Rows of the ledger say this, by which the tag is known for itself later.
        """
        return self._called.get(name.strip(), name)

    def names_of(self, name: str) -> frozenset[str]:
        """Return all that a tag may be called, casefolded: its name and the aliases of its kind."""
        return frozenset(map(folded, names_of(name, self._kinds)))

    def _found(self, name: str) -> str | None:
        found = find_called(self.client, name, self._kinds)
        if found is None:
            return None
        tag, by = found
        known = (tag.name, *tag.aliases, *names_of(name, self._kinds))
        self._names[tag.id] = self._names.get(tag.id, frozenset()) | set(map(str.casefold, known))
        if by != name:
            self._called[name] = by
            self.ask_as(tag.id, [name])
        return tag.id

    def ask_as(self, tag_id: str, names: Iterable[str]) -> None:
        """Remember in the rows of a tag what it is called by us, where the user calls it otherwise.

        What is taken away under the one name is refused under the other too.
        """
        for name in names:
            self._asked.setdefault(tag_id, {})[name] = None

    def _asked_as(self, tag_id: str) -> dict[str, object]:
        return {"asked_as": [*self._asked[tag_id]]} if tag_id in self._asked else {}

    def _refused(self, scene: Scene) -> frozenset[tuple[str, str]]:
        """What is refused for a scene, and what has a refused name among its aliases.

        A tag that is merged into another one leaves its name there as an alias.
        """
        refused = self._ledger.refused(scene)
        return refused | {
            (kind, tag_id)
            for kind, name in refused
            if kind in ("tag", "marker")
            for tag_id, known in self._names.items()
            if name in known
        }

    def _create_tag(self, name: str, again: bool) -> str:
        if not again and (known := self._made_by_us(name)) is not None:
            return known
        if self.dry_run:
            return ""
        parent_ids = self._parents(name, again)
        detail = {
            "ignore_auto_tag": True,
            "parent_ids": parent_ids,
            "newest": operations.newest_tag_id(self.client),
        }
        entry = self._row(Action.CREATE_TAG, None, "", name, detail)
        [row] = self._ledger.intend([entry])
        try:
            made = operations.create_tag(self.client, name, parent_ids)
        except (StashRefused, StashUncertain) as error:
            return self._tag_after(error, row, entry)
        self._settle({row: (Outcome.OURS, made.id)})
        return made.id

    def _parents(self, name: str, again: bool) -> list[str]:
        """The ids of the tags below which a new one is put; those that are missing are created.

        One of them is our own, or lies below it. A parent that the user deleted or renamed is not
        made again: the tag lies below our own instead.
        """
        if folded(name) == folded(self._parent):
            return []
        found: dict[str, None] = {}
        for parent in self._kinds.get(folded(name), PLAIN).parents:
            try:
                found[self.ensure_tag(parent)] = None
            except TagUnusable:
                continue
        if self._parent and not self._is_ours(found):
            found[self.ensure_tag(self._parent, again=again)] = None
        return list(found)

    def _is_ours(self, tag_ids: Collection[str]) -> bool:
        """Whether one of the tags was created by us."""
        if not tag_ids:
            return False
        made = (each for each in self._ledger.ours([""]) if each.action is Action.CREATE_TAG)
        return any(entry.target_id in tag_ids for entry in made)

    def _tag_after(self, error: StashError, row: int, entry: LedgerEntry) -> str:
        """The tag that is there although its creation failed: another's, or ours unanswered."""
        name = entry.target_name
        outcome, tag_id = self._found_tag(entry)
        if outcome is Outcome.OURS and isinstance(error, StashRefused):
            # Somebody was faster by a moment: what Stash refused cannot be what we made.
            outcome = Outcome.WAS_THERE
        if outcome is Outcome.FAILED:
            if isinstance(error, StashRefused):
                self._settle({row: (outcome, "")})
                for parent in (self._parent, *self._kinds.get(folded(name), PLAIN).parents):
                    self._tags.pop(parent, None)
                judging.check_taken(name, error)
            raise error
        self._settle({row: (outcome, tag_id)})
        return tag_id

    def _found_tag(self, entry: LedgerEntry) -> tuple[Outcome, str]:
        """Ours is what has exactly the name, parents and mark, and is newer than all before."""
        tag = operations.find_tag(self.client, entry.target_name)
        if tag is None:
            return Outcome.FAILED, ""
        ours = judging.tuple_of(tag) == judging.tuple_in(entry) and int(tag.id) > judging.number(
            entry, "newest"
        )
        return (Outcome.OURS if ours else Outcome.WAS_THERE), tag.id

    def _made_by_us(self, name: str) -> str | None:
        """The tag that we made under this name since it was looked for; None where we made none.

        Raises TagGone where we made one and it is gone.
        """
        made = [
            entry
            for entry in self._ledger.ours([""])
            if entry.action is Action.CREATE_TAG and entry.target_name.casefold() == name.casefold()
        ]
        if not made:
            return None
        now = operations.tag_by_id(self.client, made[-1].target_id)
        if now is None:
            raise TagGone(
                f"The tag {name!r}, which Stash Sense created, was deleted or merged in Stash",
                "create it or give its name as an alias to a tag to have it used, or name it in "
                "the setting 'Never suggest'",
            )
        if operations.is_called(now, name):
            return now.id
        raise TagGone(
            f"The tag {name!r}, which Stash Sense created, is now called {now.name!r}",
            f"give it the alias {name!r} to have it used",
        )

    # --- The studio

    def set_studio(
        self, scene: Scene, studio_id: str, studio_name: str, again: int | None = None
    ) -> Written:
        """Write the studio where there is none; `again` is the row of its clearing, if any."""
        states, lost = self.current([scene])
        detail = self._times(states[scene.id]) if scene.id in states else {}
        entry = self._row(Action.SET_STUDIO, scene, studio_id, studio_name, detail)
        refused = self._ledger.refused(scene)
        before = judging.before_studio(entry, states, lost, refused)
        return self._set_studio(replace(entry, takes_back=again)) if before is None else before

    def _set_studio(self, entry: LedgerEntry) -> Written:
        scene_id, studio_id = entry.scene_id, entry.target_id
        if self.dry_run:
            return judging.would_be(entry)
        [row] = self._ledger.intend([entry])
        try:
            came = operations.set_studio(self.client, scene_id, studio_id)
        except StashRefused as error:
            self._settle({row: (Outcome.FAILED, studio_id)})
            if not judging.about_a_missing_id(error):
                raise
            return judging.ended(entry, Ending.FAILED, judging.NO_LONGER)
        except StashUncertain:
            states = operations.scene_states(self.client, [scene_id])
            if judging.recovered(entry, states.get(scene_id))[0] is not Outcome.OURS:
                raise
            self._settle({row: (Outcome.OURS, studio_id)})
            return judging.ended(entry, Ending.WRITTEN)
        ours = came is not None and came.studio_id == studio_id
        outcome = Outcome.OURS if ours else Outcome.FAILED
        self._settle({row: (outcome, studio_id)}, {row: judging.left(came)})
        if ours:
            return judging.ended(entry, Ending.WRITTEN)
        return judging.ended(entry, Ending.FAILED, "Stash did not take it")

    # --- Markers

    def create_markers(
        self,
        scene: Scene,
        wanted: Sequence[MarkerWanted],
        current: tuple[Mapping[str, SceneState], Mapping[str, str]] | None = None,
        again: Mapping[MarkerWanted, int] | None = None,
    ) -> list[Written]:
        """Create markers with their ends; one that is there already is never made twice.

        `current` is what was just read of this scene and others; left out, it is read here.
        `again` names the rows of their destruction, where this undoes it.
        """
        states, lost = current or self.current([scene])
        refused = self._refused(scene)
        there = states[scene.id].markers if scene.id in states else ()
        written: list[Written] = []
        wishes: list[MarkerWanted] = []
        # A tag that a dry run would create has no id yet, and is known by its name.
        for wish in {(each.exact, each.tag_id or each.tag_name): each for each in wanted}.values():
            ending, reason, marker_id = judging.before_marking(
                scene, wish, there, refused, lost.get(scene.id)
            )
            if ending is None:
                wishes.append(wish)
            else:
                written.append(judging.marked(scene.id, wish, ending, marker_id, reason))
        if not wishes:
            return written
        return written + self._create_markers(scene, wishes, states[scene.id], again or {})

    def _create_markers(
        self,
        scene: Scene,
        wishes: Sequence[MarkerWanted],
        state: SceneState,
        again: Mapping[MarkerWanted, int],
    ) -> list[Written]:
        known = {"there": [marker.id for marker in state.markers], **judging.seen_at(state)}
        entries = []
        for wish in wishes:
            detail = {"exact": list(wish.exact), **known, **self._asked_as(wish.tag_id)}
            entry = self._row(Action.CREATE_MARKER, scene, "", wish.tag_name, detail)
            entries.append(replace(entry, takes_back=again.get(wish)))
        if self.dry_run:
            return [judging.would_be(entry) for entry in entries]
        rows = self._ledger.intend(entries)
        outcomes: dict[int, tuple[Outcome, str]] = {}
        written: list[Written] = []
        try:
            for row, wish, entry in zip(rows, wishes, entries, strict=True):
                done = self._create_marker(scene, wish, entry)
                ours = done.ending is Ending.WRITTEN
                outcomes[row] = (Outcome.OURS if ours else Outcome.FAILED, done.target_id)
                written.append(done)
        finally:
            self._settle(outcomes)
        return written

    def _create_marker(self, scene: Scene, wish: MarkerWanted, entry: LedgerEntry) -> Written:
        try:
            made = operations.create_marker(self.client, scene.id, *wish.exact)
        except StashRefused as error:
            if not judging.about_a_missing_id(error):
                raise
            return judging.marked(scene.id, wish, Ending.FAILED, "", judging.NO_LONGER)
        except StashUncertain:
            states = operations.scene_states(self.client, [scene.id])
            outcome, marker_id = judging.recovered(entry, states.get(scene.id))
            if outcome is not Outcome.OURS:
                raise
            return judging.marked(scene.id, wish, Ending.WRITTEN, marker_id)
        return judging.marked(scene.id, wish, Ending.WRITTEN, made.id)

    # --- Taking back

    def take_back(
        self, entries: Sequence[LedgerEntry], *, undo: bool = False, of_run: bool = False
    ) -> list[Written]:
        """Take back what these rows wrote, where it is ours, there, and still itself.

        Markers go first, then tags, then studios, and last the tags that we created and that
        nothing has or that nobody changed. What the user removed or changed ends as PASSED, with
        why. `undo` says that a person wants it so: it is not decided anew without asking; `of_run`
        that a run is undone: what was accepted of markers besides holds. Raises StashUnreachable
        or StashRefused as `add_tags`; called again it goes on.
        """
        written = self._taking.take_back(entries, undo=undo, of_run=of_run)
        for each in written:
            if each.action is Action.DESTROY_TAG and each.ending is Ending.TAKEN_BACK:
                self._forget_tag(each.target_id)
        return written

    # --- What the user took away

    def notice_removed(
        self, scenes: Sequence[Scene], *, on_purpose: bool = False, restored: bool = False
    ) -> Missing | None:
        """Remember as refused what is ours by the ledger and gone from these scenes.

        Returns what to ask about, and remembers nothing of it, when a tag is gone from Stash
        itself, when ours is missing from too many scenes of this run, or when it may be lost with
        a backup that was put back as well as be taken away. `on_purpose` is the
        user's answer: all that is gone was taken away, whatever it looks like; `restored` is the
        other one: none of it was, it is to be written again.
        """
        entries = self._not_being_taken(self._ledger.ours([scene.id for scene in scenes]))
        if not entries:
            return None
        states, _ = self.current(scenes)
        gone = self._gone(entries, states, self._visit, restored)
        if on_purpose:
            self._ledger.refuse(gone.all)
            return None
        besides = judging.tags_are_gone(gone.lost) if gone.lost else None
        visit = self._visit
        if gone.doubtful and visit.too_many():
            asked = judging.too_many_are_gone(gone.doubtful, visit.missing, visit.seen)
            return replace(asked, besides=besides)
        self._ledger.refuse(gone.taken)
        if gone.unclear:
            return replace(judging.it_is_unclear(gone.unclear), besides=besides)
        return besides

    def survey(
        self,
        entries: Sequence[LedgerEntry],
        *,
        on_purpose: bool = False,
        restored: bool = False,
    ) -> None:
        """See at a run's start whether the newest of ours is there; in an old backup it is not.

        Where it is missing from too many scenes, this run remembers no refusal and asks, however
        few scenes it visits; `on_purpose` and `restored` are the user's answers, as in
        `notice_removed`.
        """
        entries = self._not_being_taken(entries)
        scene_ids = list(dict.fromkeys(entry.scene_id for entry in entries))
        seen = _Visit()
        states = operations.scene_states(self.client, scene_ids)
        gone = self._gone(entries, states, seen, restored)
        if on_purpose:
            self._ledger.refuse(gone.all)
        elif seen.too_many():
            seen.doubted, seen.surveyed = True, frozenset(scene_ids)
            self._visit = seen

    def _not_being_taken(self, entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
        """All but what we were taking back ourselves when an answer was lost, or at a kill."""
        taken = {each.takes_back for each in self._ledger.unsettled()} - {None}
        return [entry for entry in entries if entry.row not in taken]

    def _gone(
        self,
        entries: Sequence[LedgerEntry],
        states: Mapping[str, SceneState],
        visit: _Visit,
        restored: bool,
    ) -> Gone:
        """What the scenes have no longer; what a restored database does not know is not written.

        With `restored`, that is all that is gone.
        """
        here = [entry for entry in entries if judging.same_file(entry, states)]
        gone = [entry for entry in here if not judging.still_there(entry, states[entry.scene_id])]
        known = Named(self.client)
        fates = [Fate.RESTORED] * len(gone) if restored else self._fates(gone, here, states, known)
        undone = [entry for entry, fate in zip(gone, fates, strict=True) if fate is Fate.RESTORED]
        self._undo(undone)
        judged = [pair for pair in zip(gone, fates, strict=True) if pair[1] is not Fate.RESTORED]
        found = judging.sorted_gone(
            [pair for pair in judged if known.is_itself(pair[0])],
            [e for e, _ in judged if e.action is Action.ADD_TAG and known.tag(e.target_id) is None],
        )
        rows = {entry.row for entry in undone}
        visit.seen += len({e.scene_id for e in here if e.row not in rows} - visit.surveyed)
        visit.missing += len({entry.scene_id for entry in found.doubtful} - visit.surveyed)
        return found

    def _fates(
        self,
        gone: Sequence[LedgerEntry],
        here: Sequence[LedgerEntry],
        states: Mapping[str, SceneState],
        known: Named,
    ) -> list[Fate]:
        """Why each is gone; one scene that surely is from a backup says so of all."""
        scene_ids = {entry.scene_id for entry in gone}
        ours: dict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in (*here, *self._ledger.moves(scene_ids)):
            if entry.scene_id in scene_ids:
                ours[entry.scene_id].append(entry)
        standing = {
            entry.row
            for scene_id, entries in ours.items()
            for entry in entries
            if judging.stands(entry, states[scene_id]) and known.is_itself(entry)
        }

        def fates() -> list[Fate]:
            older = bool(self.restored)
            return [
                judging.fate(one, states[one.scene_id], ours[one.scene_id], standing, older)
                for one in gone
            ]

        found = fates()
        if Fate.RESTORED in found and not self.restored:
            pairs = zip(gone, found, strict=True)
            self.restored |= {entry.scene_id for entry, fate in pairs if fate is Fate.RESTORED}
            found = fates()
        return found

    def _undo(self, undone: Sequence[LedgerEntry]) -> None:
        """Take for not written what is lost with a restored database, and the tags made for it."""
        if not undone:
            return
        self.restored |= {entry.scene_id for entry in undone}
        tag_ids = judging.tags_of(undone) - self._looked_for
        self._looked_for |= tag_ids
        if tag_ids:
            forget_lost_tags(self.client, self._ledger, tag_ids)
        self._ledger.withdraw(entry.row for entry in undone if entry.row is not None)

    # --- After a kill

    def recover(self) -> int:
        """Settle the before-rows that a kill left without an after-row; how many there were.

        Nothing is written to Stash. To be called while no other writer is at work. A dry run
        leaves them.
        """
        if self.dry_run:
            return 0
        entries = self._ledger.unsettled()
        for group in operations.in_groups(entries):
            self._recover(group)
        return len(entries)

    def _recover(self, entries: Sequence[LedgerEntry]) -> None:
        scene_ids = list(dict.fromkeys(entry.scene_id for entry in entries if entry.scene_id))
        states = operations.scene_states(self.client, scene_ids)
        ours = self._ledger.ours(scene_ids)
        # Of markers alone: a tag may have the same number.
        taken = {each.target_id for each in ours if each.action is Action.CREATE_MARKER}
        outcomes: dict[int, tuple[Outcome, str]] = {}
        for entry in entries:
            if entry.action is Action.CREATE_TAG:
                outcome, target = self._found_tag(entry)
            elif entry.action is Action.DESTROY_TAG:
                outcome, target = self._taking.recovered_tag(entry)
            else:
                outcome, target = judging.recovered(entry, states.get(entry.scene_id), taken)
            if entry.action is Action.CREATE_MARKER:
                taken.add(target)
            if entry.row is not None:
                outcomes[entry.row] = (outcome, target)
        self._settle(outcomes)

    # --- Rows

    def _row(
        self,
        action: Action,
        scene: Scene | None,
        target_id: str,
        name: str,
        detail: Mapping[str, object],
    ) -> LedgerEntry:
        return LedgerEntry(
            run_id=self._run_id,
            action=action,
            scene_id=scene.id if scene else "",
            fingerprint=scene.fingerprint if scene else None,
            target_id=target_id,
            target_name=name,
            detail=detail,
        )

    def _settle(
        self,
        outcomes: Mapping[int, tuple[Outcome, str]],
        learnt: Mapping[int, Mapping[str, object]] | None = None,
    ) -> None:
        if outcomes:
            self._ledger.settle(outcomes, learnt)

    def _times(self, state: SceneState) -> dict[str, object]:
        """When we ask, and when the scene had changed by then, by Stash's clock."""
        time = self.client.server_time
        return {"asked_at": time.isoformat() if time else "", **judging.seen_at(state)}


def forget_lost_tags(
    client: StashClient, ledger: Ledger, tag_ids: Collection[str] | None = None
) -> None:
    """Take tags of ours that this Stash does not have for not made, so that they can be.

    All of them, or those of these ids and the ones that they were created below.
    """
    made = [entry for entry in ledger.ours([""]) if entry.action is Action.CREATE_TAG]
    if tag_ids is not None:
        made = judging.with_parents(made, tag_ids)
    found = {
        entry.target_id: operations.tag_by_id(client, entry.target_id)
        for entry in made
        if entry.row is not None
    }
    ledger.withdraw(
        entry.row
        for entry in made
        if entry.row is not None
        and not ((tag := found[entry.target_id]) and operations.is_called(tag, entry.target_name))
    )
