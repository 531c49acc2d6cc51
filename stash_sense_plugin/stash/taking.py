"""Taking back what we wrote: only what is ours by the ledger, there, and still itself.

Each taking back has a row before and after it, as each write has. The row says which one it takes
back, so that what is missing after a kill is known for our own doing and no refusal of the user's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from stash_sense_plugin.errors import StashRefused, StashUncertain
from stash_sense_plugin.records import Action, Ledger, LedgerEntry, Outcome
from stash_sense_plugin.stash import judging, operations
from stash_sense_plugin.stash.changing import TagChanges
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.named import Named
from stash_sense_plugin.stash.operations import SceneState
from stash_sense_plugin.stash.wishes import Ending, Written

TAKES_BACK: Final = {
    Action.CREATE_MARKER: Action.DESTROY_MARKER,
    Action.ADD_TAG: Action.REMOVE_TAG,
    Action.SET_STUDIO: Action.CLEAR_STUDIO,
    Action.CREATE_TAG: Action.DESTROY_TAG,
}
"""What takes a write back, in the order in which it is done."""

_Outcomes = dict[int, tuple[Outcome, str]]


class Taking:
    """Takes back for one run."""

    def __init__(
        self,
        client: StashClient,
        ledger: Ledger,
        run_id: str,
        changes: TagChanges,
        *,
        dry_run: bool = False,
        together: int = operations.HUNDRED,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._run_id = run_id
        self._changes = changes
        self._dry_run = dry_run
        self._together = together
        self._there: set[str] = set()
        """Tags that Stash has."""

    def take_back(
        self, entries: Sequence[LedgerEntry], *, undo: bool, of_run: bool
    ) -> list[Written]:
        """Take back what these rows wrote; see `Writer.take_back`."""
        detail: dict[str, object] = {"undo": "run" if of_run else True} if undo else {}
        rows = {each.row for each in self._ledger.ours({each.scene_id for each in entries})}
        asked = [each for each in entries if each.row in rows and each.action in TAKES_BACK]
        # The same thing may be ours by several rows; taking it back withdraws them all.
        ours = list({_thing(each): each for each in asked}.values())
        by_scene: dict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in ours:
            if entry.action is not Action.CREATE_TAG:
                by_scene[entry.scene_id].append(entry)
        written: list[Written] = []
        for scene_ids in operations.in_groups(tuple(by_scene), self._together):
            group = [each for scene_id in scene_ids for each in by_scene[scene_id]]
            written += self._from_scenes(group, detail)
        made = [each for each in ours if each.action is Action.CREATE_TAG]
        # The newest first: what lies below a tag of ours was made after it.
        for entry in sorted(made, key=lambda each: each.row or 0, reverse=True):
            written.append(self._destroy_tag(entry))
        return written

    def recovered_tag(self, entry: LedgerEntry) -> tuple[Outcome, str]:
        """How the destruction of a tag that nobody saw the end of has ended."""
        gone = operations.tag_by_id(self._client, entry.target_id) is None
        return (Outcome.DONE if gone else Outcome.FAILED), entry.target_id

    # --- From scenes

    def _from_scenes(
        self, entries: Sequence[LedgerEntry], detail: Mapping[str, object]
    ) -> list[Written]:
        states = operations.scene_states(self._client, [each.scene_id for each in entries])
        named = Named(self._client)
        named.learn_tags(judging.tags_of(entries))
        written: list[Written] = []
        due: dict[Action, list[LedgerEntry]] = {action: [] for action in TAKES_BACK.values()}
        for entry in entries:
            why = self._why_it_stays(entry, states.get(entry.scene_id), named)
            back = self._row(entry, detail)
            if why:
                written.append(judging.ended(back, Ending.PASSED, why))
            else:
                due[back.action].append(back)
        written += self._destroy_markers(due[Action.DESTROY_MARKER])
        written += self._changes.change(due[Action.REMOVE_TAG], "REMOVE")
        written += [self._clear_studio(each) for each in due[Action.CLEAR_STUDIO]]
        return written

    def _why_it_stays(self, entry: LedgerEntry, state: SceneState | None, named: Named) -> str:
        why = judging.why_it_stays(entry, state, is_itself=True)
        if why:
            return why
        tag_id = entry.about_id if entry.action is Action.CREATE_MARKER else ""
        why = judging.why_it_stays(entry, state, is_itself=named.is_itself(entry, tag_id))
        return why or (judging.MERGED if self._may_be_merged(entry, named) else "")

    def _may_be_merged(self, entry: LedgerEntry, named: Named) -> bool:
        """Whether a tag of the user's may be in what was ours: Stash leaves its name as an alias.

        Then the scene has the tag by the user's own hand too.
        """
        if entry.action is not Action.ADD_TAG:
            return False
        tag = named.tag(entry.target_id)
        if tag is None or not tag.aliases:
            return False
        unknown = set(judging.had_before(entry)) - self._there
        if unknown:
            named.learn_tags(unknown)
            self._there |= {each for each in unknown if named.tag(each) is not None}
        return not unknown <= self._there

    # --- Markers

    def _destroy_markers(self, entries: Sequence[LedgerEntry]) -> list[Written]:
        if self._dry_run:
            for entry in entries:
                self._changes.fewer[entry.about_id]["markers"] += 1
            return [judging.would_be(entry) for entry in entries]
        written: list[Written] = []
        for group in operations.in_groups(entries):
            written += self._destroy_some(dict(zip(self._ledger.intend(group), group, strict=True)))
        return written

    def _destroy_some(self, rows: Mapping[int, LedgerEntry]) -> list[Written]:
        """Destroy the markers of rows; those whose end is not known stay unsettled."""
        came: dict[str, StashRefused | None] = {}
        try:
            self._bisect([each.target_id for each in rows.values()], came)
        except StashUncertain:
            gone = self._gone(rows.values())
            came |= dict.fromkeys(gone)
            if any(each.target_id not in came for each in rows.values()):
                raise
        finally:
            known = {
                row: came[each.target_id] for row, each in rows.items() if each.target_id in came
            }
            self._settle(
                {
                    row: (Outcome.FAILED if error else Outcome.DONE, rows[row].target_id)
                    for row, error in known.items()
                }
            )
        return [_after(rows[row], error) for row, error in known.items()]

    def _bisect(self, marker_ids: Sequence[str], came: dict[str, StashRefused | None]) -> None:
        """Destroy them at once; where one fails all, in halves, so that it fails alone."""
        try:
            operations.destroy_markers(self._client, marker_ids)
            came |= dict.fromkeys(marker_ids)
        except StashRefused as error:
            if judging.is_locked(error):
                raise
            if len(marker_ids) == 1:
                came[marker_ids[0]] = error
                return
            half = len(marker_ids) // 2
            self._bisect(marker_ids[:half], came)
            self._bisect(marker_ids[half:], came)

    def _gone(self, entries: Iterable[LedgerEntry]) -> list[str]:
        """The ids of those whose things their scenes have no longer."""
        entries = list(entries)
        states = operations.scene_states(self._client, [each.scene_id for each in entries])
        return [
            each.target_id
            for each in entries
            if judging.recovered(each, states.get(each.scene_id))[0] is Outcome.DONE
        ]

    # --- The studio

    def _clear_studio(self, entry: LedgerEntry) -> Written:
        if self._dry_run:
            return judging.would_be(entry)
        # Others were cleared since it was read, one after another.
        state = operations.scene_states(self._client, [entry.scene_id]).get(entry.scene_id)
        if state is None or state.studio_id != entry.target_id:
            return judging.ended(entry, Ending.PASSED, "it is there no longer")
        [row] = self._ledger.intend([entry])
        try:
            came = operations.clear_studio(self._client, entry.scene_id)
        except StashRefused as error:
            self._settle({row: (Outcome.FAILED, entry.target_id)})
            if judging.is_locked(error):
                raise
            return _after(entry, error)
        except StashUncertain:
            if not self._gone([entry]):
                raise
            self._settle({row: (Outcome.DONE, entry.target_id)})
            return judging.would_be(entry)
        gone = came is not None and came.studio_id is None
        outcome = Outcome.DONE if gone else Outcome.FAILED
        self._ledger.settle({row: (outcome, entry.target_id)}, {row: judging.left(came)})
        if gone:
            return judging.would_be(entry)
        return judging.ended(entry, Ending.FAILED, "Stash's answer does not show the change")

    # --- Tags that we created

    def _destroy_tag(self, entry: LedgerEntry) -> Written:
        back = self._row(entry, {})
        use = operations.tag_use(self._client, entry.target_id)
        why = judging.why_the_tag_stays(entry, use, self._changes.fewer[entry.target_id])
        if why:
            return judging.ended(back, Ending.PASSED, why)
        if self._dry_run:
            for parent in use.tag.parent_ids if use else ():
                self._changes.fewer[parent]["children"] += 1
            return judging.would_be(back)
        [row] = self._ledger.intend([back])
        try:
            operations.destroy_tag(self._client, entry.target_id)
        except StashRefused as error:
            self._settle({row: (Outcome.FAILED, entry.target_id)})
            if judging.is_locked(error):
                raise
            # A marker got it this moment, or it is gone.
            return _after(back, error)
        except StashUncertain:
            outcome, _ = self.recovered_tag(back)
            if outcome is not Outcome.DONE:
                raise
        self._settle({row: (Outcome.DONE, entry.target_id)})
        return judging.would_be(back)

    # --- Rows

    def _row(self, entry: LedgerEntry, detail: Mapping[str, object]) -> LedgerEntry:
        """The row that takes another one back; it keeps what makes a marker, or its row, again."""
        exact = judging.exact_of(entry)
        kept = {"exact": exact, "asked_as": list(entry.asked_as)}
        return replace(
            entry,
            run_id=self._run_id,
            action=TAKES_BACK[entry.action],
            detail={**detail, **{key: value for key, value in kept.items() if value}},
            outcome=Outcome.INTENDED,
            row=None,
            takes_back=entry.row,
        )

    def _settle(self, outcomes: _Outcomes) -> None:
        if outcomes:
            self._ledger.settle(outcomes)


def _thing(entry: LedgerEntry) -> tuple[str, Action, str]:
    return (entry.scene_id, entry.action, entry.target_id)


def _after(entry: LedgerEntry, error: StashRefused | None) -> Written:
    if error is None:
        return judging.would_be(entry)
    if judging.is_for_now(error):
        return judging.ended(entry, Ending.FAILED, error.message, later=True)
    return judging.ended(entry, Ending.FAILED, judging.NO_LONGER)
