"""Which scenes a run takes, in which order, and how far it is."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from stash_sense_plugin.library.store import Store
from stash_sense_plugin.records import Reporter, Scene
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import (
    count_with_tag,
    count_without_tag,
    in_groups,
    scenes_by_ids,
    scenes_with_tag,
    scenes_without_tag,
)
from stash_sense_plugin.stash.workflow import Workflow
from stash_sense_plugin.tasks.asked import scene_ids, switched_on


class Which(StrEnum):
    """Which scenes a run takes."""

    TO_DO = "to-do"
    """Those that carry TagMe."""
    NOT_DONE = "not-done"
    """Those that do not carry Tagged."""
    NAMED = "named"


@dataclass(slots=True)
class Course:
    """What a run was asked for and how far it is: with it the run goes on in another worker."""

    which: Which
    ids: list[str] = field(default_factory=list)
    """Of a run over named scenes, those that it has not met."""
    after: str = "0"
    """The scene that was met last; the others are taken by id."""
    second: bool = False
    """Once all were met, it looks from the start for those that came meanwhile."""
    met: int = 0
    total: int = 0

    @classmethod
    def asked(cls, args: Mapping[str, object]) -> "Course":
        """Read what somebody asks for. Raises SettingsError."""
        ids = scene_ids(args, "ids")
        if ids is not None:
            return cls(Which.NAMED, ids)
        return cls(Which.NOT_DONE if switched_on(args, "all") else Which.TO_DO)

    @classmethod
    def kept(cls, state: Mapping[str, Any]) -> "Course":
        """Read what `as_json` wrote, in this version or another."""
        known = {each.name for each in fields(cls)}
        said = {name: value for name, value in state.items() if name in known}
        return cls(**{**said, "which": Which(said.get("which", Which.TO_DO))})

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @property
    def fraction(self) -> float:
        """How much of the run is done, 0..1."""
        return self.met / max(self.total, self.met + 1)

    @property
    def whole(self) -> int:
        """How many scenes the run has, as far as that is known."""
        return max(self.total, self.met)


class Choice:
    """The scenes of one run, as they come from Stash."""

    def __init__(
        self,
        course: Course,
        client: StashClient,
        store: Store,
        run_id: str,
        workflow: Workflow,
        settings: Settings,
    ) -> None:
        self.course = course
        self.nothing = ""
        """What is said where there are none."""
        self.rehearses = False
        """Nothing is created or forgotten, and no scene loses the tag by which it was chosen."""
        self._client = client
        self._store = store
        self._run_id = run_id
        self._workflow = workflow
        self._settings = settings
        self._tag_id: str | None = None
        self._named: list[Scene] = []

    @property
    def is_named(self) -> bool:
        """Whether somebody asked for just these scenes."""
        return self.course.which is Which.NAMED

    def count(self, reporter: Reporter) -> int:
        """Find out how many there are; 0 where there is nothing to do."""
        left = {
            Which.NAMED: self._count_named,
            Which.NOT_DONE: self._count_not_done,
            Which.TO_DO: self._count_to_do,
        }[self.course.which](reporter)
        course = self.course
        # In the second pass those that were met and left cannot be told from new ones by counting.
        course.total = max(course.total, course.met) if course.second else course.met + left
        return course.total

    def groups(self, size: int, before_second: Callable[[], None]) -> Iterator[list[Scene]]:
        """Yield the scenes that this run has not met, a few at a time."""
        if self.is_named:
            yield from self._unmet(self._named, size)
            return
        if not self.course.second:
            yield from self._unmet(self._listed(), size)
            if self.rehearses:
                return
            before_second()
            self.course.second, self.course.after = True, "0"
        yield from self._unmet(self._listed(), size)

    def meet(self, scene: Scene) -> None:
        """Count a scene as done with, whatever came of it."""
        self.course.met += 1
        self.course.after = scene.id

    def forget_met(self) -> None:
        """Leave the scenes that were met out of the course: which they are is in the store."""
        unmet = (
            scene_id
            for group in in_groups(self.course.ids)
            for met in [self._store.met(self._run_id, group)]
            for scene_id in group
            if scene_id not in met
        )
        self.course.ids = list(unmet)

    # --- Within

    def _unmet(self, scenes: Iterable[Scene], size: int) -> Iterator[list[Scene]]:
        remaining = iter(scenes)
        while group := list(itertools.islice(remaining, size)):
            met = self._store.met(self._run_id, [scene.id for scene in group])
            if new := [scene for scene in group if scene.id not in met]:
                yield new

    def _listed(self) -> Iterator[Scene]:
        if self._tag_id is None:
            return iter(())
        if self.course.which is Which.TO_DO:
            return scenes_with_tag(self._client, self._tag_id, self.course.after)
        return scenes_without_tag(self._client, self._tag_id, self.course.after)

    def _count_named(self, reporter: Reporter) -> int:
        self.nothing = "Stash has none of these scenes"
        self._named = scenes_by_ids(self._client, self.course.ids) if self.course.ids else []
        known = {scene.id for scene in self._named}
        for gone in (each for each in self.course.ids if each not in known):
            reporter.log("warning", f"Stash has no scene {gone}")
            if not self.rehearses:
                self._store.forget_scene(gone)
        self.course.ids = [scene.id for scene in self._named]
        # Those at which the worker died go last, so that the others are done whatever happens.
        self._named.sort(key=lambda scene: self._store.deaths(scene.id))
        return len(self._named)

    def _count_not_done(self, reporter: Reporter) -> int:
        name = self._settings.tagged_tag
        self.nothing = f"every scene carries the tag {name}"
        if self.rehearses and self._workflow.lacking():
            self.nothing = "Stash lacks workflow tags: run the task Set up, which creates them"
            return 0
        self._tag_id = self._workflow.create_tags()[name]
        return count_without_tag(self._client, self._tag_id, self.course.after)

    def _count_to_do(self, reporter: Reporter) -> int:
        name = self._settings.tagme_tag
        self.nothing = f"no scene carries the tag {name}"
        self._tag_id = self._workflow.todo_id()
        if self._tag_id is None:
            self.nothing = f"there is no tag {name} in Stash: run the task Set up, which creates it"
            return 0
        return count_with_tag(self._client, self._tag_id, self.course.after)
