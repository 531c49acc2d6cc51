"""The workflow tags: TagMe is work to do, Tagged is done, Errored failed by its content.

The fifth law of writing. TagMe wins over both; success clears Errored; when the fault is the
world's, nobody calls `fail` and TagMe stays. These three tags are ours to move, and the ledger
keeps which were there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stash_sense_plugin.errors import SettingsError
from stash_sense_plugin.records import Scene
from stash_sense_plugin.stash import operations
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.wishes import Ending
from stash_sense_plugin.stash.writer import Writer


@dataclass(frozen=True, slots=True)
class WorkflowNames:
    """What the user calls the three tags."""

    todo: str = "TagMe"
    done: str = "Tagged"
    failed: str = "Errored"

    def __post_init__(self) -> None:
        names = [self.todo, self.done, self.failed]
        if len({name.strip().casefold() for name in names} - {""}) != len(names):
            raise SettingsError(
                f"The workflow tags {', '.join(map(repr, names))} are not three names",
                "give each its own name in the plugin's settings",
            )


class Workflow:
    """Finds work and marks what became of it."""

    def __init__(self, client: StashClient, writer: Writer, names: WorkflowNames) -> None:
        self._client = client
        self._writer = writer
        self.names = names
        self._known: dict[str, str] = {}

    # --- Which tags

    def create_tags(self) -> dict[str, str]:
        """Make sure that the three tags are there (Set up); their ids by name."""
        found = {name: self._ensured(name) for name in self._all()}
        self._check_distinct(found)
        return found

    def lacking(self) -> list[str]:
        """The names that Stash has no tag for."""
        return [name for name in self._all() if self._found(name) is None]

    def todo_id(self) -> str | None:
        """The tag of work to do; None where there is none, and so no work."""
        return self._found(self.names.todo)

    # --- What became of them

    def finish(self, scenes: Sequence[Scene]) -> dict[str, str]:
        """Tagged in first, then Errored and TagMe out; why not, for scenes that were not moved."""
        # TagMe goes last: a scene at which this is cut short is done again.
        return self._moved(scenes, self.names.done, (self.names.failed, self.names.todo), "")

    def fail(self, scene: Scene, reason: str) -> dict[str, str]:
        """Errored in first, then TagMe out, and the reason into the ledger; why not, if not.

        Only for a fault of the scene's content: what the world did wrong leaves TagMe.
        """
        return self._moved([scene], self.names.failed, (self.names.todo,), reason)

    def _moved(
        self, scenes: Sequence[Scene], into: str, out_of: Sequence[str], reason: str
    ) -> dict[str, str]:
        if not scenes:
            return {}
        arriving = self._ensured(into)
        leaving = {name: tag_id for name in out_of if (tag_id := self._found(name)) is not None}
        self._check_distinct({into: arriving, **leaving})
        failures: dict[str, str] = {}
        for group in operations.in_groups(scenes):
            failures |= self._move_group(group, (arriving, into), leaving, reason)
        return failures

    def _move_group(
        self,
        scenes: Sequence[Scene],
        arriving: tuple[str, str],
        leaving: dict[str, str],
        reason: str,
    ) -> dict[str, str]:
        states, failures = self._writer.current(scenes)
        ids = frozenset({arriving[0], *leaving.values()})
        steady = [scene for scene in scenes if scene.id in states]
        came = self._writer.move(steady, states, arriving, "ADD", ids, reason)
        failures |= {each.scene_id: each.reason for each in came if each.ending is Ending.FAILED}
        for name, tag_id in leaving.items():
            arrived = [scene for scene in steady if scene.id not in failures]
            gone = self._writer.move(arrived, states, (tag_id, name), "REMOVE", ids, reason)
            failures |= {
                each.scene_id: each.reason for each in gone if each.ending is Ending.FAILED
            }
        return failures

    # --- Names to ids

    def _all(self) -> tuple[str, str, str]:
        return (self.names.todo, self.names.done, self.names.failed)

    def _found(self, name: str) -> str | None:
        if name not in self._known:
            tag = operations.find_tag(self._client, name)
            if tag is None:
                return None
            self._known[name] = tag.id
        return self._known[name]

    def _ensured(self, name: str) -> str:
        # A workflow tag is ours to make anew: it says nothing about a scene's content.
        self._known[name] = self._found(name) or self._writer.ensure_tag(name, again=True)
        return self._known[name]

    def _check_distinct(self, found: dict[str, str]) -> None:
        if len(set(found.values())) != len(found):
            raise SettingsError(
                f"Some of the workflow tags {', '.join(map(repr, found))} are one tag in Stash",
                "name other tags in the plugin's settings, or take the alias away",
            )
