"""From results to Stash: what is APPLY is written, then the workflow tags move."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum

from stash_sense_plugin.errors import StashError, StashRefused, StashUncertain, TagUnusable
from stash_sense_plugin.records import (
    Action,
    Decision,
    LedgerEntry,
    Reporter,
    Scene,
    SceneResult,
    Suggestion,
    folded,
)
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.kinds import find_called
from stash_sense_plugin.stash.operations import HUNDRED, has_field
from stash_sense_plugin.stash.wishes import Ending, MarkerWanted, Missing, Written
from stash_sense_plugin.stash.workflow import Workflow, WorkflowNames
from stash_sense_plugin.stash.writer import Writer
from stash_sense_plugin.suggestions import marker_ranges
from stash_sense_plugin.tasks.differing import NOBODY, Covered, Wanted, Words, no_longer
from stash_sense_plugin.tasks.engine import Engine
from stash_sense_plugin.tasks.kinds import tag_kinds
from stash_sense_plugin.tasks.merging import follow
from stash_sense_plugin.tasks.slices import REMOVED, RESTORED


@dataclass(frozen=True, slots=True)
class Looked:
    """A scene, and what is decided of it."""

    scene: Scene
    result: SceneResult
    covered: Covered | None = None
    """What was looked for; without it, nothing is taken back."""
    unmarked: frozenset[str] = frozenset()
    """Folded names of tags whose markers the user undid: they get no new ones."""
    undone: Words = NOBODY
    """What the user undid since it was looked at: it stays so."""


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
WITHDRAWN = {
    Action.REMOVE_TAG: "tags",
    Action.DESTROY_MARKER: "markers",
    Action.CLEAR_STUDIO: "studios",
}
_NOT = {
    **dict.fromkeys(WORDS, "was not written"),
    **dict.fromkeys(WITHDRAWN, "was not taken back"),
}


class Counts:
    """How much was written and withdrawn, and of what."""

    def __init__(self) -> None:
        self.written: Counter[str] = Counter(dict.fromkeys(WORDS.values(), 0))
        self.withdrawn: Counter[str] = Counter(dict.fromkeys(WITHDRAWN.values(), 0))
        self.added_of: Counter[tuple[str, str]] = Counter()
        """By kind and name."""
        self.withdrawn_of: Counter[tuple[str, str]] = Counter()

    def note(self, action: Action, name: str) -> None:
        """Count one write."""
        if action in WORDS:
            self.written[WORDS[action]] += 1
            self.added_of[WORDS[action], name] += 1
        else:
            self.withdrawn[WITHDRAWN[action]] += 1
            self.withdrawn_of[WITHDRAWN[action], name] += 1


def open_writing(
    engine: Engine,
    client: StashClient,
    run_id: str,
    *,
    dry_run: bool = False,
    together: int = HUNDRED,
) -> tuple[Writer, Workflow]:
    """Build the writer and the workflow of one run from the user's settings."""
    settings = engine.settings
    if not has_field(client, "SceneMarkerCreateInput", "end_seconds"):
        raise StashError("This Stash knows no markers with an end", "update Stash")
    writer = Writer(
        client,
        engine.ledger,
        run_id,
        settings.parent_tag,
        kinds=tag_kinds(engine),
        dry_run=dry_run,
        together=together,
    )
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
        counts: Counts,
        *,
        dry_run: bool = False,
        together: int = HUNDRED,
    ) -> None:
        """Write for a run; `counts` is where the tags, markers and studios are counted.

        A dry run counts what would be written. `together` is as in `Writer`.
        """
        self._writer, self.workflow = open_writing(
            engine, client, run_id, dry_run=dry_run, together=together
        )
        self._dry_run = dry_run
        self._ledger = engine.ledger
        self._turn = engine.writing
        self._engine, self._client = engine, client
        self._markers = engine.settings.markers
        self._suggest_only = engine.settings.suggest_only
        self._reporter = reporter
        self._counts = counts
        self._gone: set[str] = set()
        self._told: dict[str, None] = {}
        self.held: dict[str, str] = {}
        """Of what was written last, the scenes that are to be written again, and why."""

    def recover(self) -> None:
        """Settle what a kill left open in the ledger; nothing is written to Stash."""
        if self._dry_run:
            return
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
            if not self._dry_run:
                follow(self._engine, self._client, scenes)
                self._engine.store.see_files(scenes)
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
        """Write what is decided, then Tagged or Errored in and TagMe out.

        Returns the ids of scenes whose workflow tags could not be moved, or must not be: `held`
        has those to which something could not be written, which are to be done again.
        """
        with self._turn:
            self._apply(looked)
            kept = {} if self._dry_run else self._move(looked)
        for scene_id, reason in kept.items():
            self.tell(f"Scene {scene_id} keeps its workflow tags: {reason}")
        return frozenset(kept)

    def apply(self, looked: Sequence[Looked]) -> None:
        """Write what is decided and take back what no longer is; no workflow tag moves.

        Afterwards `held` has the scenes to which something could not be written now, and why.
        """
        with self._turn:
            self._apply(looked)

    def _apply(self, looked: Sequence[Looked]) -> None:
        self.held = {}
        decided = [each for each in looked if each.result.error is None]
        wanted = self._wanted(decided)
        tags = {scene_id: each.tags for scene_id, each in wanted.items()}
        self._note(self._writer.add_tags([each.scene for each in decided], tags))
        if not self._suggest_only:
            self._take_back(decided, wanted)
        for each in decided:
            with self._holding(each.scene):
                self._set_studio(each.scene, each.result)
        self._create_markers(decided, wanted)

    def _as_said_now(self, scene: Scene, covered: Covered) -> Covered:
        """Hear what the user has said since the scene was looked at."""
        accepted, refused = self._engine.verdicts.said_of(scene)
        if self._dry_run:
            # What this visit noticed is known to the rehearsed ledger alone.
            refused |= self._writer.ledger.refused(scene)
        unmarked = self._engine.verdicts.unmarked(scene) if refused else NOBODY
        return replace(covered, accepted=accepted, refused=refused, unmarked=unmarked)

    def _take_back(self, looked: Sequence[Looked], wanted: Mapping[str, Wanted]) -> None:
        """Take from Stash what is ours and no longer decided, where somebody looked for it."""
        covered = {
            each.scene.id: self._as_said_now(each.scene, each.covered)
            for each in looked
            if each.covered is not None
        }
        ours = self._writer.ledger.ours(each for each in covered if each in wanted)
        by_scene: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in ours:
            by_scene[entry.scene_id].append(entry)
        gone = [
            entry
            for scene_id, entries in by_scene.items()
            for entry in no_longer(entries, wanted[scene_id], covered[scene_id])
        ]
        if gone:
            self._note(self._writer.take_back(gone))

    def _move(self, looked: Sequence[Looked]) -> dict[str, str]:
        """Move the workflow tags of what was wholly written; why not, for the others."""
        written = [each for each in looked if each.scene.id not in self.held]
        kept = self.workflow.finish([each.scene for each in written if each.result.error is None])
        for each in written:
            if each.result.error is not None:
                kept |= self.workflow.fail(each.scene, each.result.error.message)
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

    def _wanted(self, looked: Sequence[Looked]) -> dict[str, Wanted]:
        """Return what each scene is to have; one whose tags Stash refuses to make has none."""
        wanted: dict[str, Wanted] = {}
        for each in looked:
            with self._holding(each.scene):
                wanted[each.scene.id] = self._wanted_of(each)
        return wanted

    def _wanted_of(self, looked: Looked) -> Wanted:
        applied = _suggested(looked.result, "tag", Decision.APPLY)
        tags: list[tuple[str, str]] = []
        markers: list[MarkerWanted] = []
        for suggestion in applied:
            for tag_id, name in self._tags([suggestion]):
                tags.append((tag_id, name))
                if self._markers or _is_marked(looked, tag_id, suggestion.name):
                    markers += _markers(tag_id, name, suggestion)
        studios = _suggested(looked.result, "studio", Decision.APPLY)
        return Wanted(
            tuple(tags),
            frozenset(each.name.casefold() for each in applied),
            (*markers, *self._markers_there(looked)),
            not self._markers,
            frozenset(each.target_id for each in studios if each.target_id),
        )

    def _markers_there(self, looked: Looked) -> Iterator[MarkerWanted]:
        """Markers that were accepted, of tags that are the user's or wait for his word."""
        accepted = looked.covered.accepted if looked.covered else NOBODY
        kinds = tag_kinds(self._engine)
        for suggestion in _suggested(looked.result, "tag", Decision.ASK):
            if ("marker", folded(suggestion.name)) not in accepted:
                continue
            found = find_called(self._client, suggestion.name, kinds)
            if found is None or found[0].id not in looked.scene.tag_ids:
                continue
            tag_id = self._writer.ensure_tag(suggestion.name)
            if _is_marked(looked, tag_id, suggestion.name):
                yield from _markers(tag_id, self._writer.called(suggestion.name), suggestion)

    def _tags(self, suggestions: Iterable[Suggestion]) -> Iterable[tuple[str, str]]:
        """Yield id and name of each tag, found or created; a deleted one is not made again."""
        for suggestion in suggestions:
            if self._gone and not self._gone.isdisjoint(self._writer.names_of(suggestion.name)):
                continue
            try:
                tag_id = self._writer.ensure_tag(suggestion.name)
                yield tag_id, self._writer.called(suggestion.name)
            except TagUnusable as error:
                self._gone.add(suggestion.name.casefold())
                self.tell(str(error))

    def _set_studio(self, scene: Scene, result: SceneResult) -> None:
        for studio in _suggested(result, "studio", Decision.APPLY):
            if studio.target_id is not None:
                self._note([self._writer.set_studio(scene, studio.target_id, studio.name)])

    def _create_markers(self, looked: Sequence[Looked], wanted: Mapping[str, Wanted]) -> None:
        wishes: dict[str, list[MarkerWanted]] = {}
        for each in looked:
            found = wanted[each.scene.id].markers if each.scene.id in wanted else ()
            if left := [wish for wish in found if not _is_unmarked(each, wish)]:
                wishes[each.scene.id] = left
        marked = [each.scene for each in looked if each.scene.id in wishes]
        current = self._writer.current(marked) if marked else None
        for scene in marked:
            with self._holding(scene):
                self._note(self._writer.create_markers(scene, wishes[scene.id], current))

    def _note(self, written: Iterable[Written]) -> None:
        for each in written:
            if each.ending in (Ending.WRITTEN, Ending.TAKEN_BACK):
                self._counts.note(each.action, each.name)
            elif each.later:
                self.held[each.scene_id] = f"{each.name} {_NOT[each.action]}: {each.reason}"
            elif each.ending is Ending.FAILED:
                what = f"{each.name} {_NOT[each.action]}: {each.reason}"
                self.tell(f"Scene {each.scene_id}: {what}")

    def tell(self, message: str) -> None:
        """Warn once, however many scenes it concerns; of very many, the oldest may come again."""
        if message not in self._told:
            self._told[message] = None
            if len(self._told) > TOLD_KEPT:
                del self._told[next(iter(self._told))]
            self._reporter.log("warning", message)


def _suggested(result: SceneResult, kind: str, decision: Decision) -> list[Suggestion]:
    return [each for each in result.suggestions if (each.kind, each.decision) == (kind, decision)]


def _markers(tag_id: str, name: str, suggestion: Suggestion) -> Iterator[MarkerWanted]:
    for part in marker_ranges(suggestion):
        yield MarkerWanted(tag_id, name, part.start_s, part.end_s)


def _is_marked(looked: Looked, tag_id: str, name: str) -> bool:
    """Whether the user accepted the markers of a tag by themselves."""
    return looked.covered is not None and looked.covered.are_markers_accepted(tag_id, name)


def _is_unmarked(looked: Looked, wish: MarkerWanted) -> bool:
    """Whether the user undid the markers of a tag, and has not accepted them."""
    undone = folded(wish.tag_name) in looked.unmarked
    return undone and not _is_marked(looked, wish.tag_id, wish.tag_name)
