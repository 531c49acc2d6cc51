"""Whether what is suggested for a scene is there in Stash already, and whether we wrote it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stash_sense_plugin.library.suggested import Suggested
from stash_sense_plugin.records import Action, Scene, folded
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.judging import shows_already
from stash_sense_plugin.stash.kinds import find_all_called
from stash_sense_plugin.stash.operations import SceneState, scene_states
from stash_sense_plugin.stash.wishes import MarkerWanted
from stash_sense_plugin.tasks.api import InStash
from stash_sense_plugin.tasks.engine import Engine
from stash_sense_plugin.tasks.kinds import kept_kinds

_WRITES = {Action.ADD_TAG: "tag", Action.SET_STUDIO: "studio"}


@dataclass(frozen=True, slots=True)
class Presence:
    """What scenes have of what is suggested for them."""

    in_stash: Sequence[InStash | None]
    """Of each row whether its scene has it; None for what scenes are not read for."""
    markers: Mapping[tuple[str, ...], "Marked"] = field(default_factory=dict)
    """Of tags by their rows' places; empty where they were not asked for."""
    called: Mapping[str, str] = field(default_factory=dict)
    """By our name of a tag what the user calls it, where that is another name."""


@dataclass(frozen=True, slots=True)
class Marked:
    """What a scene has of the markers of one tag."""

    tag_id: str
    """Empty where Stash has no such tag."""
    in_stash: InStash


Ranges = Mapping[tuple[str, ...], Iterable[Mapping[str, float]]]
"""By the places of rows, when their tags are in the scene."""


def presence(
    engine: Engine,
    client: StashClient,
    scenes: Mapping[str, Scene],
    rows: Sequence[Suggested],
    ranges: Ranges | None = None,
) -> Presence:
    """Return what scenes have of rows, and of the markers of the tags that `ranges` names.

    A tag is the one that the writer would find, by name or alias. Raises StashError.
    """
    states = scene_states(client, list(scenes)) if ranges else {}
    looking = _Looking(engine, client, scenes, rows, states)
    marked = {
        row.place_by_scene: looking.marked(row, found)
        for row in rows
        if (found := (ranges or {}).get(row.place_by_scene)) is not None and row.scene_id in scenes
    }
    return Presence([looking.at(row) for row in rows], marked, looking.called(rows))


class _Looking:
    """What some scenes have, asked for once for all their rows."""

    def __init__(
        self,
        engine: Engine,
        client: StashClient,
        scenes: Mapping[str, Scene],
        rows: Sequence[Suggested],
        states: Mapping[str, SceneState],
    ) -> None:
        self._scenes, self._states = scenes, states
        names = dict.fromkeys(row.name for row in rows if row.kind == "tag")
        self._tags = find_all_called(client, names, kept_kinds(engine))
        ours = engine.ledger.ours(scenes)
        self._ours = {
            (entry.scene_id, _WRITES[entry.action], entry.target_id)
            for entry in ours
            if entry.action in _WRITES
        }
        self._marked = [entry for entry in ours if entry.action is Action.CREATE_MARKER]

    def at(self, row: Suggested) -> InStash | None:
        scene = self._scenes.get(row.scene_id)
        if scene is None or row.kind not in _WRITES.values():
            return None
        is_tag = row.kind == "tag"
        wanted = self._tag_of(row) if is_tag else row.target_id
        if not wanted or wanted not in (scene.tag_ids if is_tag else {scene.studio_id}):
            return "absent"
        return "ours" if (scene.id, row.kind, wanted) in self._ours else "there"

    def _tag_of(self, row: Suggested) -> str:
        """The id of the tag that is meant; empty where Stash has none."""
        tag = self._tags.get(row.name)
        return row.target_id or (tag.id if tag else "")

    def called(self, rows: Sequence[Suggested]) -> dict[str, str]:
        """What the user calls the tags of rows, where that is another name."""
        return {
            row.name: tag.name
            for row in rows
            if row.kind == "tag" and (tag := self._tags.get(row.name)) is not None
            if tag.name != row.name and tag.id == self._tag_of(row)
        }

    def marked(self, row: Suggested, ranges: Iterable[Mapping[str, float]]) -> Marked:
        """Whether markers of a tag are there: ours, or any that shows one of its ranges."""
        tag_id = self._tag_of(row)
        state = self._states.get(row.scene_id)
        there = state.markers if state else ()
        ids = {each.id for each in there}
        if any(
            entry.scene_id == row.scene_id
            and entry.target_id in ids
            and (entry.about_id == tag_id if tag_id else folded(entry.target_name) == row.key)
            for entry in self._marked
        ):
            return Marked(tag_id, "ours")
        wishes = [MarkerWanted(tag_id, row.name, e["start_s"], e["end_s"]) for e in ranges]
        shown = any(shows_already(each, wish) for wish in wishes for each in there)
        return Marked(tag_id, "there" if shown else "absent")
