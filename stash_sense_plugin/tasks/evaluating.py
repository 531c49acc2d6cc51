"""Evaluate: how good what is said is on this very library, and what would make it better."""

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.errors import (
    Cancelled,
    InternalFault,
    MediaError,
    ModelBroken,
    SettingsError,
    StashError,
    StashSenseError,
    StoreError,
)
from stash_sense_plugin.learning import page, report
from stash_sense_plugin.learning.evaluation import (
    Evaluation,
    Findings,
    LabelColumn,
    SceneRow,
    TagColumn,
    evaluate,
)
from stash_sense_plugin.learning.truth import (
    Marks,
    SceneTags,
    Tag,
    TagBook,
    groups_of,
    tag_book,
)
from stash_sense_plugin.library.learnt import Learnt, LearntCurve, LearntThreshold
from stash_sense_plugin.library.verdicts import Verdicts, Words
from stash_sense_plugin.pipeline.gating import gates_of
from stash_sense_plugin.pipeline.parts import word_lists
from stash_sense_plugin.records import Reporter, Scene
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.kinds import names_of
from stash_sense_plugin.stash.operations import all_tags, scenes_with_any_tag
from stash_sense_plugin.suggestions import written_from
from stash_sense_plugin.tasks.asked import switched_on, whole_number
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.kinds import kinds_of
from stash_sense_plugin.tasks.looking import Looker
from stash_sense_plugin.tasks.recognising import Recognition
from stash_sense_plugin.tasks.scoring import Scorer
from stash_sense_plugin.tasks.tally import counted
from stash_sense_plugin.vocabulary import Label

PERCENT = 90
"""The precision that thresholds are sought for, unless the user says otherwise."""
BROKEN_IN_A_ROW = 3
"""After so many scenes at which a network broke, it is not theirs."""
Ended = Literal["done", "failed", "cancelled"]
PAGE, FIGURES = "evaluation.html", "evaluation.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks of Evaluate."""

    percent: int = PERCENT
    use: bool = False
    forget: bool = False
    look: int = 0
    dry_run: bool = False

    @classmethod
    def read(cls, args: Mapping[str, object]) -> "Asked":
        """Read a call's arguments; they may be text. Raises SettingsError."""
        asked = cls(
            whole_number(args, "precision", PERCENT, 1, 100, unit="%"),
            switched_on(args, "use"),
            switched_on(args, "forget"),
            whole_number(args, "look", 0, 0, 1_000_000),
            switched_on(args, "dry_run"),
        )
        if asked.use and asked.forget:
            raise SettingsError("use and forget contradict each other", "leave one of them out")
        return asked


def run_evaluate(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Judge what is said of the scenes that the user tagged by hand; nothing goes to Stash.

    Args: `precision` in percent, `look` at so many scenes first, `use` what is suggested, `forget`
    what was, `dry_run`. Figures, page and what is used lie in the store and in the home folder.
    Raises StashError where Stash has another library than the one that was looked at.
    """
    asked = Asked.read(call.args)
    learnt = Learnt(engine.store)
    with engine.stash(call, reporter) as client:
        if asked.forget:
            return _forget(learnt, asked, reporter)
        recognition = Recognition(engine, client)
        _check_library(recognition)
        library = _Library(engine, client, reporter)
        if asked.look and not asked.dry_run:
            library.look(asked.look, recognition)
        gathered = library.gather()
        address = client.connection.base_url
        found = evaluate(
            gathered.findings, gathered.names, asked.percent / 100, check=reporter.check
        )
    told = report.as_json(found) | {"coverage": asdict(gathered.coverage)}
    _tell(found, gathered.coverage, address, reporter)
    answer: dict[str, object] = {"report": report.without_points(told), "used": None}
    if not asked.dry_run:
        learnt.keep_report(report.without_points(told))
        answer["files"] = write_report(engine.home, told)
        reporter.log("info", f"The whole report: {engine.home / PAGE}")
    if asked.use:
        answer["used"] = _use(learnt, found, engine.settings, asked, reporter)
    return answer


def _check_library(recognition: Recognition) -> None:
    """Raise StashError where the store speaks of the scenes of another library."""
    if recognition.is_this_library():
        return
    raise StashError(
        "Stash holds another library than the one that Stash Sense looked at (or much of it"
        " differs), so nothing is judged",
        "start Stash with the database that was tagged, or run Tag scenes first where this is that"
        " library with other files",
    )


# --- What is known of the library -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which scenes could be judged."""

    judged: int
    """Scenes with tags of the user's that were looked at, and scenes with verdicts."""
    by_hand: int
    """Of them, those with tags by hand."""
    not_looked: int
    """Scenes with tags that were never looked at, or before this version."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What evaluation needs."""

    findings: Findings
    names: Mapping[str, str]
    """Of tags, by id."""
    coverage: Coverage


class _Library:
    """The scenes, tags and verdicts of one library, and what the store knows of them."""

    def __init__(self, engine: Engine, client: StashClient, reporter: Reporter) -> None:
        self._engine, self._client, self._reporter = engine, client, reporter
        self._settings = engine.settings
        self._book = _tags(client, engine.settings)
        self._vocabulary = engine.vocabulary()
        self._kinds = kinds_of(self._vocabulary)
        self._scenes = list(scenes_with_any_tag(client))
        self._learnt = Learnt(engine.store)
        self._ours = self._learnt.ever_written()

    # --- Looking first

    def look(self, most: int, recognition: Recognition) -> None:
        """Look at scenes with tags by hand that were never looked at, and write nothing to Stash.

        They are taken from anywhere in the library: the oldest alone would not be like the rest.
        The library is known again by those that could be looked at.
        """
        first = self._learnt.first_tags()
        chosen = sorted(
            (scene for scene in self._scenes if scene.id not in first and self._has_own(scene)),
            key=lambda scene: hashlib.blake2b(scene.id.encode(), digest_size=8).digest(),
        )[:most]
        if chosen:
            _Looking(self._engine, self._client, recognition, self._reporter).look(chosen)

    def _has_own(self, scene: Scene) -> bool:
        """Whether it carries a tag that says something and is not of our writing."""
        return bool(self._book.counted(scene.tag_ids) - self._ours.get(scene.id, frozenset()))

    # --- Gathering

    def gather(self) -> Gathered:
        """Bring together what was seen and what is true. Raises ModelError, StoreError."""
        first = self._learnt.first_tags()
        said = Verdicts(self._engine.store).said_of_many(self._scenes)
        looked = [scene for scene in self._scenes if scene.id in first]
        facts = {scene.id: self._facts(scene, first[scene.id], said) for scene in looked}
        judged = [
            scene
            for scene in looked
            if facts[scene.id].by_hand or facts[scene.id].accepted or facts[scene.id].refused
        ]
        not_looked = [
            scene for scene in self._scenes if scene.id not in first and self._has_own(scene)
        ]
        labels, tags = self._columns(facts.values())
        coverage = Coverage(
            judged=len(judged),
            by_hand=sum(bool(facts[scene.id].by_hand) for scene in judged),
            not_looked=len(not_looked),
        )
        findings = self._findings(judged, facts, labels, tags)
        names = {tag.id: tag.name for tag in self._book.tags.values()}
        return Gathered(findings, names, coverage)

    def _facts(
        self, scene: Scene, first: frozenset[str], said: Mapping[str, tuple[Words, Words]]
    ) -> SceneTags:
        accepted, refused = said.get(scene.id, (frozenset(), frozenset()))
        return SceneTags(
            now=self._book.counted(scene.tag_ids),
            first=self._book.counted(first),
            ours=self._ours.get(scene.id, frozenset()),
            accepted=self._ids(accepted),
            refused=self._ids(refused),
        )

    def _ids(self, words: Words) -> frozenset[str]:
        """The tags that verdicts speak of, by id or name."""
        tags = [word for kind, word in words if kind == "tag"]
        found = (word if word in self._book.tags else self._id_called(word) for word in tags)
        return self._book.counted(tag_id for tag_id in found if tag_id is not None)

    def _id_called(self, name: str) -> str | None:
        """The tag that is used for this name: by it, or by what else the vocabulary calls it."""
        found = map(self._book.id_of, names_of(name, self._kinds))
        return next((tag_id for tag_id in found if tag_id is not None), None)

    def _columns(self, facts: Collection[SceneTags]) -> tuple[list[Label], list[TagColumn]]:
        """The labels whose tags the user gives, each source of them, and these tags."""
        never = self._vocabulary.never(self._settings.never_names)
        used = frozenset().union(*(each.by_hand | each.accepted for each in facts))
        labels, tags = [], dict[str, TagColumn]()
        for label in self._vocabulary.labels.values():
            tag_id = self._id_called(label.tag)
            is_never = bool(never & {label.thing.casefold(), label.tag.casefold()})
            if tag_id is not None and tag_id in used and not is_never:
                labels.append(label)
                tags.setdefault(tag_id, TagColumn(tag_id, self._book.tags[tag_id].name))
        return labels, list(tags.values())

    def _findings(
        self,
        judged: Sequence[Scene],
        facts: Mapping[str, SceneTags],
        labels: Sequence[Label],
        tags: Sequence[TagColumn],
    ) -> Findings:
        scores, holds = self._scored(judged, labels)
        truth = np.array(
            [[facts[scene.id].truth(tag.id) for tag in tags] for scene in judged], np.int8
        ).reshape(len(judged), len(tags))
        groups = groups_of([_marks(scene) for scene in judged])
        rows = [
            SceneRow(scene.id, _title(scene), group, facts[scene.id].by_hand)
            for scene, group in zip(judged, groups, strict=True)
        ]
        sayable = {self._id_called(each.tag) for each in self._vocabulary.labels.values()}
        return Findings(
            scenes=rows,
            labels=self._label_columns(labels, tags),
            tags=tags,
            scores=scores,
            holds=holds,
            truth=truth,
            parents=self._book.parents,
            fitted=self._learnt.fits(),
            sayable=frozenset(tag_id for tag_id in sayable if tag_id is not None),
        )

    def _scored(
        self, judged: Sequence[Scene], labels: Sequence[Label]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """What each label scores in each scene, and whether it holds (scenes x labels)."""
        scores = np.full((len(judged), len(labels)), np.nan)
        holds = np.zeros((len(judged), len(labels)), np.bool_)
        scorer = self._scorer()
        for row, scene in enumerate(judged):
            self._reporter.progress(row / len(judged))
            told = scorer.scores(scene.files, scene.duration_s)
            for place, label in enumerate(labels):
                if (found := told.get(label.name)) is not None:
                    scores[row, place], holds[row, place] = found.score, found.holds
        for name, error in scorer.unusable.items():
            self._reporter.log("warning", f"What {name} sees is not judged: {error}")
        for damage in scorer.damaged:
            self._reporter.log("warning", f"A scene is not judged by one of its files: {damage}")
        return scores, holds

    def _label_columns(
        self, labels: Sequence[Label], tags: Sequence[TagColumn]
    ) -> list[LabelColumn]:
        place = {tag.id: number for number, tag in enumerate(tags)}
        thresholds = self._learnt.thresholds()
        return [
            self._column(label, place[self._id_called(label.tag) or ""], thresholds)
            for label in labels
        ]

    def _column(self, label: Label, tag: int, thresholds: Mapping[str, float]) -> LabelColumn:
        """A label with the threshold in force."""
        return LabelColumn(
            label.thing,
            tag,
            label.scale,
            label.ask,
            written_from(label, self._settings.apply, thresholds),
            fixed=label.stated,
            source=label.source,
            weight=label.weight,
            stay=label.stay,
        )

    def _scorer(self) -> Scorer:
        engine, settings = self._engine, self._settings
        sight = engine.sight(settings)
        catalogue = engine.catalogue()
        return Scorer(
            engine.store,
            self._vocabulary,
            sight.detectors,
            sight.zero_shot,
            word_lists(catalogue),
            gates_of(catalogue),
            settings.max_gap_s,
            settings.floor,
            self._reporter.check,
        )


def _tags(client: StashClient, settings: Settings) -> TagBook:
    ours = (settings.tagme_tag, settings.tagged_tag, settings.errored_tag, settings.parent_tag)
    tags = (Tag(tag.id, tag.name, tag.aliases, tag.parent_ids) for tag in all_tags(client))
    return tag_book(tags, ours)


def _marks(scene: Scene) -> Marks:
    files = tuple(f"{file.oshash} {file.size_bytes}" for file in scene.files)
    return Marks(files, scene.phashes)


def _title(scene: Scene) -> str:
    return scene.title or Path(scene.path).name or f"scene {scene.id}"


# --- Looking at scenes first ----------------------------------------------------------------------


class _Looking:
    """Looks at scenes and keeps what was seen; Stash is only read."""

    def __init__(
        self, engine: Engine, client: StashClient, recognition: Recognition, reporter: Reporter
    ) -> None:
        self._engine, self._reporter = engine, reporter
        self._recognition = recognition
        self._looker = Looker(engine, reporter, client)
        self._broken = 0

    def look(self, scenes: Sequence[Scene]) -> None:
        """Look at each; what fails is said and left out. Raises what stops every scene alike."""
        store = self._engine.store
        run_id = store.begin_run("evaluate", asdict(self._engine.settings))
        looked: list[Scene] = []
        ended: Ended = "failed"
        try:
            for number, scene in enumerate(scenes):
                self._reporter.progress(number / len(scenes))
                self._reporter.check()
                if self._one(run_id, scene):
                    looked.append(scene)
            ended = "done"
        except Cancelled:
            ended = "cancelled"
            raise
        finally:
            self._recognition.learn(looked)
            store.end_run(run_id, ended, {"looked": len(looked)})
        self._reporter.log("info", f"Looked at {counted(len(looked), 'scene')} with tags of yours")

    def _one(self, run_id: str, scene: Scene) -> bool:
        store, by_itself = self._engine.store, False
        store.begin_look(scene.id)
        try:
            result = self._looker.heard(scene, self._looker.look(scene))
            by_itself = True
        except (MediaError, ModelBroken, InternalFault) as error:
            self._pass_over(scene, error)
            return False
        finally:
            store.end_look(scene.id, by_itself=by_itself)
        store.save_result(
            run_id, scene.id, scene.fingerprint, result.as_json(), tags=sorted(scene.tag_ids)
        )
        self._broken = 0
        return True

    def _pass_over(self, scene: Scene, error: StashSenseError) -> None:
        self._broken += isinstance(error, ModelBroken)
        if self._broken >= BROKEN_IN_A_ROW:
            raise error
        self._reporter.log("warning", f"{scene.source} is left out: {error}")


# --- What comes of it -----------------------------------------------------------------------------


def _tell(found: Evaluation, coverage: Coverage, address: str, reporter: Reporter) -> None:
    if coverage.not_looked:
        looked = counted(coverage.by_hand, "scene")
        reporter.log(
            "info" if found.tags else "warning",
            f"{looked} with tags of yours {'was' if coverage.by_hand == 1 else 'were'} looked at;"
            f" {coverage.not_looked} {'was' if coverage.not_looked == 1 else 'were'} not: run Tag"
            f" scenes for them, or `python -m stash_sense_plugin --stash {address} evaluate --look"
            " 50`, which writes nothing to Stash",
        )
    if not found.tags and (coverage.judged or not coverage.not_looked):
        reporter.log("warning", _nothing_judged(found, coverage))
    for line in report.lines(found):
        reporter.log("info", line)


def _nothing_judged(found: Evaluation, coverage: Coverage) -> str:
    """Why there is no figure at all, although nothing waits to be looked at."""
    if not coverage.judged:
        return (
            "No scene has tags of yours, and nothing was accepted or refused: tag some scenes by"
            " hand, for there is nothing to judge by"
        )
    scenes = counted(coverage.judged, "scene")
    if found.not_looked_for:
        return (
            f"{scenes} could be judged, but nothing looked for {', '.join(found.not_looked_for)}:"
            " switch the detectors on that know these tags, and run Tag scenes"
        )
    return (
        f"{scenes} could be judged, but none of your tags there is one that a label of the"
        " vocabulary has: add labels for them to vocabulary.yaml, or an alias to the tags in Stash"
    )


def _use(
    learnt: Learnt, found: Evaluation, settings: Settings, asked: Asked, reporter: Reporter
) -> dict[str, object]:
    """Take over what is suggested; from then on deciding goes by it."""
    curves = [
        LearntCurve(each.scale, each.label, each.curve, each.positives, each.negatives)
        for each in found.curves
    ]
    thresholds = [
        LearntThreshold(each.label, each.found.apply, each.found.precision, each.found.positives)
        for each in found.thresholds
    ]
    used: dict[str, object] = {"curves": len(curves), "thresholds": len(thresholds)}
    if not curves and not thresholds:
        reporter.log("info", "There is nothing to use: no curve or threshold is better supported")
        return used
    what = f"{counted(len(thresholds), 'threshold')} and {counted(len(curves), 'curve')}"
    if asked.dry_run:
        reporter.log("info", f"Would use {what}")
        return used
    learnt.use(curves, thresholds)
    reporter.log("info", f"Uses {what} from now on: the task Decide again goes by them")
    if settings.apply is not None:
        reporter.log(
            "warning",
            "The setting 'Confidence to write' goes before these thresholds until it is 0, but for"
            " labels that are only asked about",
        )
    return used


def _forget(learnt: Learnt, asked: Asked, reporter: Reporter) -> dict[str, object]:
    """Go back to what ships, and to the vocabulary's own thresholds."""
    if asked.dry_run:
        dropped = len(learnt.fits()) + len(learnt.thresholds())
        reporter.log("info", f"Would forget all curves and thresholds that were learnt: {dropped}")
    else:
        dropped = learnt.forget()
        reporter.log("info", f"Forgot all curves and thresholds that were learnt: {dropped}")
    return {"report": None, "used": None, "forgotten": dropped}


def write_report(home: Path, told: Mapping[str, Any]) -> list[str]:
    """Write figures and page for this user's eyes alone; return where. Raises StoreError."""
    written = []
    for name, text in ((FIGURES, report.text(told)), (PAGE, page.page(told))):
        _write_private(home / name, text)
        written.append(str(home / name))
    return written


def _write_private(path: Path, text: str) -> None:
    """Put a file in place of another at once, so that whoever reads it reads one of the two."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        # A title may hold what is no character: Stash keeps names of files as they are.
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        raise StoreError(
            f"The report {path} cannot be written ({error.strerror})",
            "check that its folder is there, may be written by the user that runs Stash, and has"
            " room",
        ) from error
