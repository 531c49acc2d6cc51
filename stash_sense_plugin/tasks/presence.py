"""Whether what is suggested for a scene is there in Stash already, and whether we wrote it."""

from collections.abc import Mapping, Sequence

from stash_sense_plugin.library.suggested import Suggested
from stash_sense_plugin.records import Action, Scene
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.kinds import find_called, names_of
from stash_sense_plugin.stash.operations import HUNDRED, StashTag, is_called, tags_by_ids
from stash_sense_plugin.tasks.api import InStash
from stash_sense_plugin.tasks.engine import Engine
from stash_sense_plugin.tasks.kinds import kept_kinds

_WRITES = {Action.ADD_TAG: "tag", Action.SET_STUDIO: "studio"}


def presence(
    engine: Engine, client: StashClient, scenes: Mapping[str, Scene], rows: Sequence[Suggested]
) -> list[InStash | None]:
    """Return of each row whether its scene has it; None for what scenes are not read for.

    A tag is the one that the writer would find, by name or alias. Raises StashError.
    """
    looking = _Looking(engine, client, scenes, rows)
    return [looking.at(row) for row in rows]


class _Looking:
    """What some scenes have, asked for once for all their rows."""

    def __init__(
        self,
        engine: Engine,
        client: StashClient,
        scenes: Mapping[str, Scene],
        rows: Sequence[Suggested],
    ) -> None:
        self._client, self._scenes = client, scenes
        self._kinds = kept_kinds(engine)
        self._called: dict[str, str] = {}
        self._tags = self._read_tags(rows)
        self._ours = {
            (entry.scene_id, _WRITES[entry.action], entry.target_id)
            for entry in engine.ledger.ours(scenes)
            if entry.action in _WRITES
        }

    def _read_tags(self, rows: Sequence[Suggested]) -> dict[str, StashTag] | None:
        """What the scenes' tags are called; None where it is less to ask for each name."""
        ids = frozenset[str]().union(*(scene.tag_ids for scene in self._scenes.values()))
        names = {row.name for row in rows if row.kind == "tag"}
        if len(names) * HUNDRED <= len(ids):
            return None
        return tags_by_ids(self._client, sorted(ids)) if ids and names else {}

    def at(self, row: Suggested) -> InStash | None:
        scene = self._scenes.get(row.scene_id)
        if scene is None or row.kind not in _WRITES.values():
            return None
        is_tag = row.kind == "tag"
        wanted = self._tag_of(scene, row) if is_tag else row.target_id
        if not wanted or wanted not in (scene.tag_ids if is_tag else {scene.studio_id}):
            return "absent"
        return "ours" if (scene.id, row.kind, wanted) in self._ours else "there"

    def _tag_of(self, scene: Scene, row: Suggested) -> str:
        """The id of the tag that is meant; it may be empty where the scene has it not."""
        if row.target_id:
            return row.target_id
        names = names_of(row.name, self._kinds)
        if self._tags is not None:
            here = [self._tags[each] for each in scene.tag_ids if each in self._tags]
            alike = [tag for tag in here if any(is_called(tag, name) for name in names)]
            exact = next((tag.id for tag in alike if tag.name == row.name), "")
            if exact or not alike:
                return exact
        # Another tag may have a name that goes before.
        return self._id_called(row.name)

    def _id_called(self, name: str) -> str:
        if name not in self._called:
            found = find_called(self._client, name, self._kinds)
            self._called[name] = found[0].id if found else ""
        return self._called[name]
