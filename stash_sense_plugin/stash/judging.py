"""What the laws of writing say of what is there: pure judgement, which asks and writes nothing."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final, TypeGuard

from stash_sense_plugin.errors import StashRefused, TagUnusable
from stash_sense_plugin.records import TAKING_BACK, Action, LedgerEntry, Outcome, Scene
from stash_sense_plugin.stash.operations import (
    Changed,
    Mode,
    SceneState,
    StashMarker,
    StashTag,
    TagUse,
)
from stash_sense_plugin.stash.wishes import Ending, MarkerWanted, Missing, Written

SAME_TIME: Final = 0.5
"""Two markers of one tag that share this part of their time show the same thing."""
SAME_PLACE_S: Final = 2.0
"""A marker of ours stays as it is where what is decided now begins and ends so near to it."""
SAME_PLACE: Final = 0.1
"""Or this part of its length near."""
SAME_WRITE: Final = timedelta(seconds=60)
"""A scene that changed so soon after we meant to write, and not since, was changed by us."""
CLOCK_GRAIN: Final = timedelta(seconds=2)
"""Stash tells its clock and its scenes' times in whole seconds."""
_GONE: Final = ("FOREIGN KEY", "no rows in result set", "not found", "does not exist in tags")
"""Stash's words for an id that it does not have."""
NO_LONGER: Final = "it or the scene is no longer in Stash"
_TAKEN: Final = ("already exists", "is used as alias")
"""Stash's words for a name that another tag has."""


# --- Judging, before a write --------------------------------------------------------------------


def before_adding(
    scene: Scene,
    tag_id: str,
    name: str,
    states: Mapping[str, SceneState],
    lost: Mapping[str, str],
    refused: frozenset[tuple[str, str]],
) -> tuple[Ending | None, str]:
    """Why a tag is not to be added; (None, "") when it is."""
    if scene.id in lost:
        return Ending.FAILED, lost[scene.id]
    if tag_id in states[scene.id].tag_ids:
        return Ending.THERE, ""
    if _is_refused("tag", tag_id, name, refused):
        return Ending.REFUSED, ""
    return None, ""


def before_marking(
    scene: Scene,
    wish: MarkerWanted,
    there: Iterable[StashMarker],
    refused: frozenset[tuple[str, str]],
    lost: str | None,
) -> tuple[Ending | None, str, str]:
    """Why a marker is not to be created, and the id of the one there; (None, "", "") when it is."""
    if lost:
        return Ending.FAILED, lost, ""
    if not (math.isfinite(wish.end_s) and 0 <= wish.start_s <= wish.end_s):
        return Ending.FAILED, f"it cannot run from {wish.start_s} s to {wish.end_s} s", ""
    same = next((marker for marker in there if shows_already(marker, wish)), None)
    if same is not None:
        return Ending.THERE, "", same.id
    words = (wish.tag_id, wish.tag_name)
    if _is_refused("marker", *words, refused) or _is_refused("tag", *words, refused):
        return Ending.REFUSED, "", ""
    return None, "", ""


def before_studio(
    entry: LedgerEntry,
    states: Mapping[str, SceneState],
    lost: Mapping[str, str],
    refused: frozenset[tuple[str, str]],
) -> Written | None:
    """How it ends that a studio is not to be written; None when it is."""
    if entry.scene_id in lost:
        return ended(entry, Ending.FAILED, lost[entry.scene_id])
    there = states[entry.scene_id].studio_id
    if there is not None:
        other = "" if there == entry.target_id else "it has another studio"
        return ended(entry, Ending.THERE, other)
    if _is_refused("studio", entry.target_id, entry.target_name, refused):
        return ended(entry, Ending.REFUSED)
    return None


def _is_refused(kind: str, target_id: str, name: str, refused: frozenset[tuple[str, str]]) -> bool:
    return (kind, target_id) in refused or (kind, name.strip().casefold()) in refused


# --- Judging, before taking back ----------------------------------------------------------------

OTHER_NAME: Final = "what it was written under has another name now"
ABSENT: Final = "it is there no longer"
_EDITED: Final = "it was changed since"
MERGED: Final = "a tag that the scene had before may have been merged into it"


def why_not_here(entry: LedgerEntry, state: SceneState | None) -> str:
    """Why nothing of a scene is to be touched for a row; empty when it is the one written to."""
    if state is None:
        return "the scene is no longer in Stash"
    if not same_file(entry, {entry.scene_id: state}):
        return "the scene has another file now"
    return ""


def bare_scene(state: SceneState) -> Scene:
    """The scene with what a row needs of it."""
    return Scene(state.id, "", "", state.fingerprint, None, other_files=state.other_files)


def why_it_stays(entry: LedgerEntry, state: SceneState | None, is_itself: bool) -> str:
    """Why a row's thing is not to be taken from its scene; empty when it is to be."""
    why = why_not_here(entry, state)
    if why or state is None:
        return why
    if not still_there(entry, state):
        return ABSENT
    if not stands(entry, state) or _has_more_tags(entry, state):
        return _EDITED
    return "" if is_itself else OTHER_NAME


def _has_more_tags(entry: LedgerEntry, state: SceneState) -> bool:
    """Whether somebody gave a marker of ours more tags than its primary one."""
    return entry.action is Action.CREATE_MARKER and any(
        marker.id == entry.target_id and marker.tag_ids for marker in state.markers
    )


def why_the_tag_stays(entry: LedgerEntry, use: TagUse | None, fewer: Mapping[str, int]) -> str:
    """Why a tag that we created is not to be destroyed; empty when it is to be.

    `fewer` is how much of its use is to be taken away before it.
    """
    if use is None:
        return ABSENT
    if tuple_of(use.tag) != tuple_in(entry) or use.tag.aliases or use.has_more:
        return _EDITED
    left = {what: count - fewer.get(what, 0) for what, count in use.counts.items()}
    used = [f"{what}: {count}" for what, count in left.items() if count > 0]
    return f"it is used ({', '.join(used)})" if used else ""


def would_be(entry: LedgerEntry) -> Written:
    """How a write ends when all is well."""
    return ended(entry, Ending.TAKEN_BACK if entry.action in TAKING_BACK else Ending.WRITTEN)


def ended(entry: LedgerEntry, ending: Ending, reason: str = "", *, later: bool = False) -> Written:
    """How the write of a row has ended."""
    args = (entry.scene_id, entry.action, entry.target_name, ending, entry.target_id, reason)
    return Written(*args, later=later)


# --- Judging, after a write ---------------------------------------------------------------------


def judged(entry: LedgerEntry, mode: Mode, came: Changed | StashRefused | None) -> Written:
    """What Stash's answer for one scene means."""
    if isinstance(came, StashRefused):
        reason = came.message if is_for_now(came) else NO_LONGER
        return ended(entry, Ending.FAILED, reason, later=is_for_now(came))
    if came is not None and (entry.target_id in came.tag_ids) is (mode == "ADD"):
        return would_be(entry)
    return ended(entry, Ending.FAILED, "Stash's answer does not show the change")


def is_for_now(came: Changed | StashRefused | None) -> TypeGuard[StashRefused]:
    """Whether Stash refused what it may take another time: nothing that was named is missing."""
    return isinstance(came, StashRefused) and not about_a_missing_id(came)


def marked(
    scene_id: str, wish: MarkerWanted, ending: Ending, marker_id: str, reason: str = ""
) -> Written:
    return Written(scene_id, Action.CREATE_MARKER, wish.tag_name, ending, marker_id, reason)


def check_taken(name: str, error: StashRefused) -> None:
    """Raise TagUnusable where Stash calls a name taken that no tag has.

    It compares names by LIKE, so that `Be_ch` cannot be made beside `Beach`.
    """
    if any(word in message for message in error.messages for word in _TAKEN):
        raise TagUnusable(
            f"Stash does not take the tag name {name!r}: {error.message}",
            "use another name: _ and % stand for other characters there",
        ) from error


def is_locked(error: StashRefused) -> bool:
    """Whether Stash's database is in other hands, which no other question changes."""
    return any("locked" in message for message in error.messages)


def about_a_missing_id(error: StashRefused) -> bool:
    return any(word in message for message in error.messages for word in _GONE)


def shows_already(marker: StashMarker, wish: MarkerWanted) -> bool:
    """Whether a marker is the wanted one, or shows its tag over nearly the same time.

    Another sampling or model moves a range by a second or two: that is no second marker beside
    ours, nor beside one that was set by hand.
    """
    if _exact(marker) == wish.exact:
        return True
    if marker.primary_tag_id != wish.tag_id or marker.end_s is None:
        return False
    shared_s = min(marker.end_s, wish.end_s) - max(marker.start_s, wish.start_s)
    whole_s = max(marker.end_s, wish.end_s) - min(marker.start_s, wish.start_s)
    return shared_s >= SAME_TIME * whole_s > 0


def is_replaced_by(entry: LedgerEntry, wishes: Iterable[MarkerWanted]) -> bool:
    """Whether a marker of ours is none of those that are wanted of its tag by now."""
    tag_id, start_s, end_s, title = exact_of(entry)
    ours = StashMarker(entry.target_id, str(tag_id), start_s, end_s, title)
    return not any(shows_already(ours, wish) and _is_near(ours, wish) for wish in wishes)


def _is_near(marker: StashMarker, wish: MarkerWanted) -> bool:
    end_s = wish.end_s if marker.end_s is None else marker.end_s
    near_s = max(SAME_PLACE_S, SAME_PLACE * (wish.end_s - wish.start_s))
    return abs(marker.start_s - wish.start_s) <= near_s and abs(end_s - wish.end_s) <= near_s


def _exact(marker: StashMarker) -> tuple[str, float, float | None, str]:
    end_s = None if marker.end_s is None else round(marker.end_s, 3)
    return (marker.primary_tag_id, round(marker.start_s, 3), end_s, marker.title)


def exact_of(entry: LedgerEntry) -> list[Any]:
    """What makes the marker of a row what it is: tag, start, end, title."""
    return list(_sequence(entry, "exact"))


def tuple_of(tag: StashTag) -> tuple[str, list[str], bool]:
    return (tag.name, sorted(tag.parent_ids), tag.ignore_auto_tag)


def tuple_in(entry: LedgerEntry) -> tuple[str, list[str], bool]:
    return (entry.target_name, sorted(_texts(entry, "parent_ids")), True)


# --- Judging, after a kill ----------------------------------------------------------------------


def recovered(
    entry: LedgerEntry, state: SceneState | None, taken: Iterable[str] = ()
) -> tuple[Outcome, str]:
    """How a write to a scene that nobody saw the end of has ended, by what is there now."""
    if state is None or state.fingerprint != entry.fingerprint:
        return Outcome.FAILED, entry.target_id
    if entry.action in TAKING_BACK:
        # Whoever took it away meanwhile: we meant to, so it says nothing of the user.
        return (Outcome.FAILED if still_there(entry, state) else Outcome.DONE), entry.target_id
    if entry.action is Action.CREATE_MARKER:
        return _recovered_marker(entry, state, frozenset(taken))
    if entry.action is Action.MOVE_WORKFLOW:
        moved = (entry.target_id in state.tag_ids) is (entry.detail.get("mode") == "ADD")
        return (Outcome.OURS if moved else Outcome.FAILED), entry.target_id
    if not still_there(entry, state):
        return Outcome.FAILED, entry.target_id
    # It was absent before; but while we were away the user may have set it as well as we.
    ours = _changed_with(entry, state)
    return (Outcome.OURS if ours else Outcome.WAS_THERE), entry.target_id


def _recovered_marker(
    entry: LedgerEntry, state: SceneState, taken: frozenset[str]
) -> tuple[Outcome, str]:
    """Adopt the marker that equals the row's and is newer than those that were there."""
    known = {*_texts(entry, "there"), *taken}
    newest = max((int(marker_id) for marker_id in _texts(entry, "there")), default=0)
    for marker in state.markers:
        is_new = marker.id not in known and int(marker.id) > newest
        if is_new and list(_exact(marker)) == exact_of(entry):
            return Outcome.OURS, marker.id
    return Outcome.FAILED, ""


def _changed_with(entry: LedgerEntry, state: SceneState) -> bool:
    """Whether the scene's last change was at the time of our write, by Stash's clock."""
    asked_at = _moment(entry, "asked_at")
    if asked_at is None or state.changed_at is None:
        return False
    after = state.changed_at - asked_at
    return -CLOCK_GRAIN <= after <= SAME_WRITE


def still_there(entry: LedgerEntry, state: SceneState) -> bool:
    """Whether the scene has what the row is about."""
    if entry.action in (Action.CREATE_MARKER, Action.DESTROY_MARKER):
        return any(marker.id == entry.target_id for marker in state.markers)
    if entry.action in (Action.SET_STUDIO, Action.CLEAR_STUDIO):
        return state.studio_id == entry.target_id
    return entry.target_id in state.tag_ids


def same_file(entry: LedgerEntry, states: Mapping[str, SceneState]) -> bool:
    state = states.get(entry.scene_id)
    return state is not None and state.fingerprint == entry.fingerprint


def _sequence(entry: LedgerEntry, key: str) -> Sequence[Any]:
    found = entry.detail.get(key)
    return found if isinstance(found, list | tuple) else ()


def _texts(entry: LedgerEntry, key: str) -> list[str]:
    return [str(each) for each in _sequence(entry, key)]


def number(entry: LedgerEntry, key: str) -> int:
    found = entry.detail.get(key)
    return found if isinstance(found, int) else 0


# --- Judging what is gone -----------------------------------------------------------------------


class Fate(Enum):
    """Why a scene does not have what we wrote to it."""

    TAKEN = auto()
    """Something that we wrote no earlier is there: the user took this away."""
    RESTORED = auto()
    """The scene is as it was before our write: a backup was put back."""
    UNCLEAR = auto()


def fate(
    entry: LedgerEntry,
    state: SceneState,
    others: Iterable[LedgerEntry],
    standing: Collection[int | None],
    restored: bool,
) -> Fate:
    """Judge why what a row is about is gone from its scene.

    `others` are our rows of that scene, moves of workflow tags among them, and `standing` the
    numbers of those whose things are there; `restored` says that the database is known to be a
    backup. Only Stash's own times of the scene are compared, and
    with each other: before our write, after it, and now. An earlier time alone is no proof of a
    backup, for Stash's clock may have stepped back.
    """
    before = _moment(entry, "changed_at")
    if before is None or state.changed_at is None:
        return Fate.UNCLEAR
    later = [other for other in others if _is_later(other, entry)]
    left = {_moment(each, "left_at") for each in (entry, *later)} - {None}
    as_before = state.changed_at == before and bool(left - {before})
    earlier = state.changed_at < before and state.changed_at not in left
    if any(other.row in standing for other in later):
        return Fate.UNCLEAR if as_before or earlier else Fate.TAKEN
    return Fate.RESTORED if as_before or (earlier and restored) else Fate.UNCLEAR


def _is_later(other: LedgerEntry, entry: LedgerEntry) -> bool:
    """Whether a row was written in another's run, or after it; a move only after it."""
    if other.row is None or entry.row is None or other.row == entry.row:
        return False
    # What came from a merged scene is there only since the merge, whatever run wrote it.
    is_moved = other.action is Action.MOVE_WORKFLOW or "merged_from" in entry.detail
    same_run = other.run_id == entry.run_id and not is_moved
    return same_run or other.row > entry.row


def stands(entry: LedgerEntry, state: SceneState) -> bool:
    """Whether what we put there is there; ids are used again after a backup was put back."""
    if entry.action is Action.CREATE_MARKER:
        wanted = exact_of(entry)
        return any(
            marker.id == entry.target_id and list(_exact(marker)) == wanted
            for marker in state.markers
        )
    added = entry.action is not Action.MOVE_WORKFLOW or entry.detail.get("mode") == "ADD"
    return added and still_there(entry, state)


@dataclass(frozen=True, slots=True)
class Gone:
    """What scenes have no longer of ours, by what is to be done about it."""

    taken: list[LedgerEntry]
    unclear: list[LedgerEntry]
    """Taken away by the user, or lost with a backup that was put back."""
    lost: list[LedgerEntry]
    """Of tags that Stash itself has no longer."""

    @property
    def doubtful(self) -> list[LedgerEntry]:
        """All that may be a refusal."""
        return [*self.taken, *self.unclear]

    @property
    def all(self) -> list[LedgerEntry]:
        """All that is gone."""
        return [*self.doubtful, *self.lost]


def sorted_gone(refusable: Iterable[tuple[LedgerEntry, Fate]], lost: list[LedgerEntry]) -> Gone:
    """Sort what is gone; what the user took away from a scene once is no longer unclear there."""
    taken: list[LedgerEntry] = []
    unclear: list[LedgerEntry] = []
    for entry, why in refusable:
        (taken if why is Fate.TAKEN else unclear).append(entry)
    known = {(entry.scene_id, entry.action, entry.target_id) for entry in taken}
    unclear = [e for e in unclear if (e.scene_id, e.action, e.target_id) not in known]
    return Gone(taken, unclear, lost)


def tags_of(entries: Iterable[LedgerEntry]) -> set[str]:
    """The ids of the tags that rows of scenes are about."""
    ids: set[str] = set()
    for entry in entries:
        if entry.action is Action.ADD_TAG:
            ids.add(entry.target_id)
        elif entry.action is Action.CREATE_MARKER:
            ids.update(_texts(entry, "exact")[:1])
    return ids


def with_parents(made: Sequence[LedgerEntry], tag_ids: Collection[str]) -> list[LedgerEntry]:
    """Of the rows of created tags those of these ids, and all those that they lie below."""
    wanted = [entry for entry in made if entry.target_id in tag_ids]
    found = list(wanted)
    known = set(tag_ids)
    while wanted:
        above = {parent for entry in wanted for parent in _texts(entry, "parent_ids")} - known
        wanted = [entry for entry in made if entry.target_id in above]
        found += wanted
        known |= above
    return found


def seen_at(state: SceneState) -> dict[str, object]:
    """When the scene had changed before a write, for its row."""
    return {"changed_at": state.changed_at.isoformat()} if state.changed_at else {}


def had(state: SceneState) -> dict[str, object]:
    """Which tags the scene had before a write, for its row: one of them may be merged later."""
    return {"had": sorted(state.tag_ids, key=int)} if state.tag_ids else {}


def had_before(entry: LedgerEntry) -> list[str]:
    """The ids of the tags that the scene of a row had before the write."""
    return _texts(entry, "had")


def left(came: Changed | StashRefused | None) -> dict[str, object]:
    """When the scene had changed after a write, for its row."""
    known = came.changed_at if isinstance(came, Changed) else None
    return {"left_at": known.isoformat()} if known else {}


def _moment(entry: LedgerEntry, key: str) -> datetime | None:
    found = entry.detail.get(key)
    return datetime.fromisoformat(found) if isinstance(found, str) and found else None


# --- Questions to the user ----------------------------------------------------------------------

_UNTIL_THEN = "until you say why, nothing is written there"


def tags_are_gone(lost: Sequence[LedgerEntry]) -> Missing:
    names = tuple(sorted({entry.target_name for entry in lost}))
    return Missing(
        message=f"Tags that Stash Sense wrote are gone from Stash: {', '.join(names)}",
        remedy="they are not made again until you say why",
        names=names,
        scene_ids=_scene_ids(lost),
        tag_gone=True,
    )


def too_many_are_gone(gone: Sequence[LedgerEntry], count: int, seen: int) -> Missing:
    return Missing(
        message=f"What Stash Sense wrote is missing from {count} of {seen} scenes",
        remedy=_UNTIL_THEN,
        names=tuple(sorted({entry.target_name for entry in gone})),
        scene_ids=_scene_ids(gone),
        tag_gone=False,
    )


def it_is_unclear(gone: Sequence[LedgerEntry]) -> Missing:
    scene_ids = _scene_ids(gone)
    names = tuple(sorted({entry.target_name for entry in gone}))
    where = f"scene {scene_ids[0]}" if len(scene_ids) == 1 else f"{len(scene_ids)} scenes"
    return Missing(
        message=f"What Stash Sense wrote ({', '.join(names)}) is missing from {where}, and may"
        " have been taken away or be lost with a backup that was put back",
        remedy=_UNTIL_THEN,
        names=names,
        scene_ids=scene_ids,
        tag_gone=False,
    )


def _scene_ids(entries: Iterable[LedgerEntry]) -> tuple[str, ...]:
    return tuple(sorted({entry.scene_id for entry in entries}, key=int))
