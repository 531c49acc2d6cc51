"""From results to Stash: what is APPLY is written, then the workflow tags move."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

from stash_sense_plugin.errors import StashError, StashRefused, StashUncertain, TagUnusable
from stash_sense_plugin.records import Action, Decision, Reporter, Scene, SceneResult, Suggestion
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import has_field
from stash_sense_plugin.stash.wishes import Ending, MarkerWanted, Missing, Written
from stash_sense_plugin.stash.workflow import Workflow, WorkflowNames
from stash_sense_plugin.stash.writer import Writer
from stash_sense_plugin.suggestions import marker_ranges
from stash_sense_plugin.tasks.engine import Engine
from stash_sense_plugin.tasks.merging import follow
from stash_sense_plugin.tasks.slices import REMOVED, RESTORED

Looked = tuple[Scene, SceneResult]


class Answer(StrEnum):
    """What the user said of that which Stash Sense wrote and Stash has no longer."""

    NONE = ""
    REMOVED = "removed"
    """It was taken away on purpose: it is never written again."""
    RESTORED = "restored"
    """A backup was put back: it is written again."""


HOW_TO_ANSWER = (
    f"Run once the task {RESTORED!r} where a backup of Stash's database was put back, or the task"
    f" {REMOVED!r} where you took it away"
)
TOLD_KEPT = 500
"""Warnings that are remembered, so that none is said twice."""
SURVEYED = 50
"""Scenes of the newest writes that are looked at when a run begins."""

WORDS = {
    Action.ADD_TAG: "tags",
    Action.CREATE_MARKER: "markers",
    Action.SET_STUDIO: "studios",
}


def open_writing(engine: Engine, client: StashClient, run_id: str) -> tuple[Writer, Workflow]:
    """Build the writer and the workflow of one run from the user's settings."""
    settings = engine.settings
    if not has_field(client, "SceneMarkerCreateInput", "end_seconds"):
        raise StashError("This Stash knows no markers with an end", "update Stash")
    writer = Writer(client, engine.ledger, run_id, settings.parent_tag)
    names = WorkflowNames(settings.tagme_tag, settings.tagged_tag, settings.errored_tag)
    return writer, Workflow(client, writer, names)


class Writing:
    """Writes the results of one run, a few scenes at a time."""

    def __init__(
        self,
        engine: Engine,
        client: StashClient,
        run_id: str,
        reporter: Reporter,
        counts: Counter[str],
    ) -> None:
        """Write for a run; `counts` is where the tags, markers and studios are counted."""
        self._writer, self.workflow = open_writing(engine, client, run_id)
        self._ledger = engine.ledger
        self._turn = engine.writing
        self._engine, self._client = engine, client
        self._markers = engine.settings.markers
        self._reporter = reporter
        self._counts = counts
        self._gone: set[str] = set()
        self._told: dict[str, None] = {}
        self.held: dict[str, str] = {}
        """Of what was written last, the scenes that are to be written again, and why."""

    def recover(self) -> None:
        """Settle what a kill left open in the ledger; nothing is written to Stash."""
        with self._turn:
            count = self._writer.recover()
        if count:
            self._reporter.log("info", f"Settled {count} writes that were cut short before")

    def survey(self, answer: Answer) -> None:
        """See whether what was written last is still there, so that an old backup is noticed.

        The user's answer to what is missing holds for all that was ever written; so does a backup
        that was noticed.
        """
        if answer is Answer.NONE:
            with self._turn:
                self._writer.survey(self._ledger.newest_ours(SURVEYED))
        if answer is not Answer.NONE or self._writer.restored:
            self._survey_all(answer)
        self._tell_restored()

    def _survey_all(self, answer: Answer) -> None:
        for page in self._ledger.pages_of_ours():
            self._reporter.check()
            with self._turn:
                self._writer.survey(
                    page, on_purpose=answer is Answer.REMOVED, restored=answer is Answer.RESTORED
                )

    def visit(self, scenes: Sequence[Scene], answer: Answer) -> Missing | None:
        """Notice what the user took away since; returns what must be asked about first.

        A tag that is gone from Stash itself is not written again in this run, and holds up nothing.
        """
        with self._turn:
            follow(self._engine, self._client, scenes)
            missing = self._writer.notice_removed(
                scenes, on_purpose=answer is Answer.REMOVED, restored=answer is Answer.RESTORED
            )
        self._tell_restored()
        for each in (missing, missing and missing.besides):
            if each is not None and each.tag_gone:
                self._gone |= {name.casefold() for name in each.names}
                self.tell(f"{each.message}; {each.remedy}. {HOW_TO_ANSWER}")
        return None if missing is not None and missing.tag_gone else missing

    def _tell_restored(self) -> None:
        if self._writer.restored:
            self.tell(
                "Stash's database is older than what Stash Sense wrote to it, as after a backup was"
                " put back: what scenes lack of it is written again when they are tagged again"
            )

    def write(self, looked: Sequence[Looked]) -> frozenset[str]:
        """Write what is to be applied, then Tagged or Errored in and TagMe out.

        Returns the ids of scenes whose workflow tags could not be moved, or must not be: `held`
        has those to which something could not be written, which are to be done again.
        """
        with self._turn:
            return self._write(looked)

    def _write(self, looked: Sequence[Looked]) -> frozenset[str]:
        self.held = {}
        self._add_tags(looked)
        for scene, result in looked:
            with self._holding(scene):
                self._set_studio(scene, result)
        if self._markers:
            self._create_markers(looked)
        kept = self._move(looked)
        for scene_id, reason in kept.items():
            self.tell(f"Scene {scene_id} keeps its workflow tags: {reason}")
        return frozenset(kept)

    def _move(self, looked: Sequence[Looked]) -> dict[str, str]:
        """Move the workflow tags of what was wholly written; why not, for the others."""
        written = [(scene, result) for scene, result in looked if scene.id not in self.held]
        kept = self.workflow.finish([scene for scene, result in written if result.error is None])
        for scene, result in written:
            if result.error is not None:
                kept |= self.workflow.fail(scene, result.error.message)
        return {**self.held, **kept}

    @contextmanager
    def _holding(self, scene: Scene) -> Iterator[None]:
        """Keep a scene's TagMe where Stash refuses something, or gives no answer to it.

        Where Stash is away altogether, the next question says so.
        """
        try:
            yield
        except (StashRefused, StashUncertain) as error:
            self.held[scene.id] = str(error)

    def _add_tags(self, looked: Sequence[Looked]) -> None:
        wanted: dict[str, list[tuple[str, str]]] = {}
        for scene, result in looked:
            with self._holding(scene):
                wanted[scene.id] = list(self._tags(_applied(result, "tag")))
        self._note(self._writer.add_tags([scene for scene, _ in looked], wanted))

    def _tags(self, suggestions: Iterable[Suggestion]) -> Iterable[tuple[str, str]]:
        """Yield id and name of each tag, found or created; a deleted one is not made again."""
        for suggestion in suggestions:
            if suggestion.name.casefold() in self._gone:
                continue
            try:
                yield self._writer.ensure_tag(suggestion.name), suggestion.name
            except TagUnusable as error:
                self._gone.add(suggestion.name.casefold())
                self.tell(str(error))

    def _set_studio(self, scene: Scene, result: SceneResult) -> None:
        for studio in _applied(result, "studio"):
            if studio.target_id is not None:
                self._note([self._writer.set_studio(scene, studio.target_id, studio.name)])

    def _create_markers(self, looked: Sequence[Looked]) -> None:
        wanted: dict[str, list[MarkerWanted]] = {}
        for scene, result in looked:
            with self._holding(scene):
                wanted[scene.id] = list(self._markers_of(result))
        marked = [scene for scene, _ in looked if wanted.get(scene.id)]
        current = self._writer.current(marked) if marked else None
        for scene in marked:
            with self._holding(scene):
                self._note(self._writer.create_markers(scene, wanted[scene.id], current))

    def _markers_of(self, result: SceneResult) -> Iterator[MarkerWanted]:
        for suggestion in _applied(result, "tag"):
            for tag_id, name in self._tags([suggestion]):
                for part in marker_ranges(suggestion):
                    yield MarkerWanted(tag_id, name, part.start_s, part.end_s)

    def _note(self, written: Iterable[Written]) -> None:
        for each in written:
            if each.ending is Ending.WRITTEN:
                self._counts[WORDS[each.action]] += 1
            elif each.later:
                self.held[each.scene_id] = f"{each.name} was not written: {each.reason}"
            elif each.ending is Ending.FAILED:
                self.tell(f"Scene {each.scene_id}: {each.name} was not written: {each.reason}")

    def tell(self, message: str) -> None:
        """Warn once, however many scenes it concerns; of very many, the oldest may come again."""
        if message not in self._told:
            self._told[message] = None
            if len(self._told) > TOLD_KEPT:
                del self._told[next(iter(self._told))]
            self._reporter.log("warning", message)


def _applied(result: SceneResult, kind: str) -> list[Suggestion]:
    return [
        each for each in result.suggestions if each.kind == kind and each.decision is Decision.APPLY
    ]
