"""Putting back what a run changed besides: workflow tags it moved, and what it took away."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stash_sense_plugin.errors import TagUnusable
from stash_sense_plugin.records import Action, LedgerEntry, Scene
from stash_sense_plugin.stash import judging, operations
from stash_sense_plugin.stash.named import Named
from stash_sense_plugin.stash.operations import Mode, SceneState
from stash_sense_plugin.stash.wishes import Ending, MarkerWanted, Written
from stash_sense_plugin.stash.writer import Writer

_CHANGED: Final = "its workflow tags were changed since"
_WITHOUT_TAG: Final = "its tag could not be put on the scene again"


@dataclass(frozen=True, slots=True)
class _Step:
    """A workflow tag of one scene that is to be put back."""

    scene: Scene
    mode: Mode
    row: LedgerEntry
    """The last move of the tag."""


# --- Workflow tags ------------------------------------------------------------------------------


def move_back(writer: Writer, moves: Sequence[LedgerEntry]) -> list[Written]:
    """Put the workflow tags of scenes back as they were before these moves of ours.

    Only where a scene's are as our last move left them, and no other run moved them after that;
    one ending for each scene. Tags are added before others are taken away.
    """
    by_scene: dict[str, list[LedgerEntry]] = defaultdict(list)
    for move in moves:
        by_scene[move.scene_id].append(move)
    written: list[Written] = []
    for scene_ids in operations.in_groups(tuple(by_scene)):
        written += _move_group(writer, {each: by_scene[each] for each in scene_ids})
    return written


def _move_group(writer: Writer, by_scene: Mapping[str, Sequence[LedgerEntry]]) -> list[Written]:
    states = operations.scene_states(writer.client, tuple(by_scene))
    later = _moved_later(writer, by_scene)
    named = Named(writer.client)
    named.learn_tags(move.target_id for moves in by_scene.values() for move in moves)
    written: list[Written] = []
    steps: list[_Step] = []
    for scene_id, moves in by_scene.items():
        why = _CHANGED if scene_id in later else _why_not(moves, states.get(scene_id), named)
        if why:
            written.append(judging.ended(moves[-1], Ending.PASSED, why))
        else:
            steps += _steps(moves, states[scene_id])
    failed = _take(writer, steps, states)
    for scene_id, moves in by_scene.items():
        if scene_id in failed:
            written.append(failed[scene_id])
        elif not any(each.scene_id == scene_id for each in written):
            writer.ledger.withdraw(move.row for move in moves if move.row is not None)
            written.append(judging.ended(moves[-1], Ending.TAKEN_BACK))
    return written


def _moved_later(writer: Writer, by_scene: Mapping[str, Sequence[LedgerEntry]]) -> set[str]:
    """The scenes that we moved again after these moves, other than to put them back."""
    last = {scene_id: moves[-1].row or 0 for scene_id, moves in by_scene.items()}
    return {
        each.scene_id
        for each in writer.ledger.moves(by_scene)
        if (each.takes_back is None or each.of_run) and (each.row or 0) > last[each.scene_id]
    }


def _why_not(moves: Sequence[LedgerEntry], state: SceneState | None, named: Named) -> str:
    """Why a scene's workflow tags are left alone; empty when they are put back."""
    newest = [each for each in moves if each.run_id == moves[-1].run_id]
    why = judging.why_not_here(moves[-1], state)
    if why or state is None:
        return why
    # What the user gave or took since stays, TagMe above all.
    as_left = all(
        (move.target_id in state.tag_ids) is (move.detail.get("mode") == "ADD")
        for move in {each.target_id: each for each in newest}.values()
    )
    return "" if as_left and all(map(named.is_itself, moves)) else _CHANGED


def _steps(moves: Sequence[LedgerEntry], state: SceneState) -> Iterable[_Step]:
    last = {move.target_id: move for move in moves}
    first = {move.target_id: move for move in reversed(moves)}
    scene = judging.bare_scene(state)
    for tag_id, move in first.items():
        mode: Mode = "ADD" if move.detail.get("mode") == "REMOVE" else "REMOVE"
        if (tag_id in state.tag_ids) is not (mode == "ADD"):
            yield _Step(scene, mode, last[tag_id])


def _take(
    writer: Writer, steps: Iterable[_Step], states: Mapping[str, SceneState]
) -> dict[str, Written]:
    """Make the steps; how it ended for those scenes where one failed."""
    alike: dict[tuple[Mode, str, str], list[_Step]] = defaultdict(list)
    for step in steps:
        alike[step.mode, step.row.target_id, step.row.target_name].append(step)
    ids = frozenset(tag_id for _, tag_id, _ in alike)
    failed: dict[str, Written] = {}
    # ADD comes before REMOVE: at a kill in between, a scene has too many tags, never too few.
    for mode, tag_id, name in sorted(alike):
        some = [each for each in alike[mode, tag_id, name] if each.scene.id not in failed]
        again = {each.scene.id: each.row.row for each in some if each.row.row is not None}
        scenes = [each.scene for each in some]
        came = writer.move(scenes, states, (tag_id, name), mode, ids, again=again)
        failed |= {each.scene_id: each for each in came if each.ending is Ending.FAILED}
    return failed


# --- What a run took back -----------------------------------------------------------------------


def put_again(
    writer: Writer, taken: Sequence[LedgerEntry], destroyed: Collection[str] = ()
) -> list[Written]:
    """Write again what these rows took back, as ours; what is there by now, or refused, is not.

    A tag that is gone is made anew only where we destroyed it ourselves: `destroyed` has the ids.
    """
    by_scene: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in taken:
        if entry.scene_id:
            by_scene[entry.scene_id].append(entry)
    written: list[Written] = []
    for scene_ids in operations.in_groups(tuple(by_scene)):
        group = {each: by_scene[each] for each in scene_ids}
        written += _put_group(writer, group, destroyed)
    return written


def _put_group(
    writer: Writer, by_scene: Mapping[str, Sequence[LedgerEntry]], destroyed: Collection[str]
) -> list[Written]:
    found = operations.scenes_by_ids(writer.client, tuple(by_scene))
    scenes = [scene for scene in found if scene.fingerprint == by_scene[scene.id][0].fingerprint]
    putting = _Putting(writer, destroyed)
    written = putting.tags(scenes, by_scene)
    for scene in scenes:
        written += putting.rest(scene, by_scene[scene.id])
    known = {scene.id for scene in scenes}
    gone = [each for scene_id, some in by_scene.items() if scene_id not in known for each in some]
    why = "the scene is gone or has another file now"
    return written + [judging.ended(each, Ending.PASSED, why) for each in gone]


class _Putting:
    def __init__(self, writer: Writer, destroyed: Collection[str]) -> None:
        self._writer = writer
        self._destroyed = destroyed
        self._named = Named(writer.client)
        self._without: set[tuple[str, str]] = set()
        """Scenes with the tags that they were to have again, and have not."""

    def tags(
        self, scenes: Sequence[Scene], by_scene: Mapping[str, Sequence[LedgerEntry]]
    ) -> list[Written]:
        wanted: dict[str, list[tuple[str, str]]] = {}
        again: dict[tuple[str, str], int] = {}
        written: list[Written] = []
        for scene in scenes:
            for entry in by_scene[scene.id]:
                if entry.action is not Action.REMOVE_TAG or entry.row is None:
                    continue
                tag_id = self._tag_id(entry, entry.target_id)
                if tag_id is None:
                    written.append(judging.ended(entry, Ending.PASSED, judging.NO_LONGER))
                    continue
                self._writer.ask_as(tag_id, entry.asked_as)
                wanted.setdefault(scene.id, []).append((tag_id, entry.target_name))
                again[scene.id, tag_id] = entry.row
        added = self._writer.add_tags(scenes, wanted, again)
        self._without = {
            (each.scene_id, each.target_id)
            for each in added
            if each.ending not in (Ending.WRITTEN, Ending.THERE)
        }
        return written + added

    def rest(self, scene: Scene, entries: Sequence[LedgerEntry]) -> list[Written]:
        """The scene's markers and its studio."""
        again: dict[MarkerWanted, int] = {}
        written: list[Written] = []
        for entry in entries:
            if entry.row is None:
                continue
            if entry.action is Action.CLEAR_STUDIO:
                if not self._named.is_itself(entry):
                    written.append(judging.ended(entry, Ending.PASSED, judging.NO_LONGER))
                    continue
                args = (scene, entry.target_id, entry.target_name, entry.row)
                written.append(self._writer.set_studio(*args))
            elif entry.action is Action.DESTROY_MARKER:
                tag, start_s, end_s, title = judging.exact_of(entry)
                tag_id = self._tag_id(entry, str(tag))
                if tag_id is None or (scene.id, tag_id) in self._without:
                    why = judging.NO_LONGER if tag_id is None else _WITHOUT_TAG
                    written.append(judging.ended(entry, Ending.PASSED, why))
                    continue
                self._writer.ask_as(tag_id, entry.asked_as)
                again[MarkerWanted(tag_id, entry.target_name, start_s, end_s, title)] = entry.row
        if again:
            written += self._writer.create_markers(scene, tuple(again), again=again)
        return written

    def _tag_id(self, entry: LedgerEntry, tag_id: str) -> str | None:
        """The tag as it was, or the one of its name by now; None where the user deleted it."""
        if self._named.is_itself(entry, tag_id):
            return tag_id
        if tag_id not in self._destroyed:
            found = operations.find_tag(self._writer.client, entry.target_name)
            return None if found is None else found.id
        try:
            return self._writer.ensure_tag(entry.target_name)
        except TagUnusable:
            return None
