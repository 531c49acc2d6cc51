"""Which detectors look: built from the user's settings, with what is missing said."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stash_sense_plugin.detectors.clip import ClipDetector, ZeroShot
from stash_sense_plugin.detectors.objects import ObjectDetector
from stash_sense_plugin.detectors.picture import PictureDetector
from stash_sense_plugin.detectors.quality import QualityDetector
from stash_sense_plugin.detectors.similarity import SimilarityDetector
from stash_sense_plugin.detectors.taggers import TaggerDetector
from stash_sense_plugin.detectors.text import TextDetector
from stash_sense_plugin.errors import ModelBroken, ModelError, ModelMissing
from stash_sense_plugin.inference.catalogue import LocalFile, ModelCard, PackageFile, Task
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.library.store import StorePrompts
from stash_sense_plugin.records import Detector, Skipped
from stash_sense_plugin.settings import NO_MODEL, Settings
from stash_sense_plugin.tasks.presets import ALSO_TASKS, ALWAYS_HERE, MODEL_SETTINGS, named_row

SWITCHED_OFF = "switched off"
"""Why a detector is skipped that the user does not want."""

DETECTOR_OF: Mapping[Task, str] = {"classifier": "tagger"}
"""What runs the networks of a task, where it is not called as the task."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The detectors that the settings ask for, and which of them have no network here."""

    detectors: tuple[Detector, ...]
    missing: Mapping[str, ModelMissing]
    """By the detector's model."""
    skipped: tuple[Skipped, ...]
    zero_shot: ZeroShot | None


class Sighting:
    """Builds detectors from settings in which every network is named."""

    def __init__(
        self,
        shelf: Shelf,
        settings: Settings,
        prompts: StorePrompts,
        extras_python: Path | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        """`extras_python` runs what needs the extras; None where they are not set up.

        `check` hears a stop, by raising, where one frame may take long.
        """
        self._shelf = shelf
        self._models = shelf.models
        self._settings = settings
        self._prompts = prompts
        self._extras_python = extras_python
        self._check = check
        self._detectors: list[Detector] = []
        self._missing: dict[str, ModelMissing] = {}
        self._skipped: list[Skipped] = []
        self._zero_shot: ZeroShot | None = None
        self._cards: set[str] = set()

    def sight(self) -> Sight:
        """Build them; raises CatalogueError or SettingsError for a model that cannot be meant."""
        settings = self._settings
        for detector, is_off, switch, add in (
            ("clip", settings.skip_labels, "skip_labels", self._add_labels),
            ("picture", settings.skip_facts, "skip_facts", self._add_facts),
            ("objects", settings.skip_objects, "skip_objects", self._add_objects),
            ("tagger", settings.skip_acts, "skip_acts", self._add_taggers),
            ("quality", settings.skip_quality, "skip_quality", self._add_quality),
            ("text", settings.skip_text, "skip_text", self._add_text),
        ):
            if is_off:
                self._off(detector, switch)
            else:
                add()
        if settings.similarity_model:
            self._add_similarity()
        return Sight(tuple(self._detectors), self._missing, tuple(self._skipped), self._zero_shot)

    def _off(self, detector: str, setting: str) -> None:
        self._skipped.append(Skipped(detector, SWITCHED_OFF, f"change the setting {setting}"))

    def _add_labels(self) -> None:
        card = self._named("clip_model")
        if card is not None:
            self._add(card, ClipDetector(self._shelf, card))
            self._zero_shot = ZeroShot(self._shelf, card, self._prompts)

    def _add_facts(self) -> None:
        self._detectors.append(PictureDetector())

    def _add_quality(self) -> None:
        self._detectors.append(QualityDetector())

    def _add_objects(self) -> None:
        own = self._named("object_model")
        always = self._card(ALWAYS_HERE, ("objects",))
        for card in (own, always, *self._also("objects")):
            if card is not None:
                self._add(card, ObjectDetector(self._shelf, card, self._settings.floor))

    def _add_taggers(self) -> None:
        named = self._settings.tagger_model
        own = None if named == NO_MODEL else self._named("tagger_model")
        for card in (own, *self._also("tagger", "classifier")):
            if card is not None:
                self._add(card, TaggerDetector(self._shelf, card, self._settings.floor))

    def _add_similarity(self) -> None:
        card = self._named("similarity_model")
        if card is not None:
            self._add(card, SimilarityDetector(self._shelf, card))

    def _add_text(self) -> None:
        if not self._settings.text_language:
            self._detectors.append(self._text(None, "", untried=False))
            return
        card = self._named("text_language")
        if card is None:
            return
        try:
            with _readable(card):
                files = {role: self._models.path(card, role) for role in card.files}
        except ModelMissing:
            files = {}
        except ModelBroken as error:
            self._skipped.append(Skipped(f"text ({card.name})", error.message, error.remedy))
            return
        self._add(card, self._text(files, card.name, untried=card.untried))

    def _text(self, pack: Mapping[str, Path] | None, name: str, *, untried: bool) -> TextDetector:
        engine = self._settings.text_engine
        return TextDetector(
            engine=engine,
            pack=pack,
            pack_name=name,
            untried=untried,
            engine_python=self._extras_python,
            check=self._check,
        )

    # --- Rows

    def _named(self, setting: str) -> ModelCard | None:
        """Find the row that a setting names."""
        name = getattr(self._settings, setting)
        if name:
            return self._card(name, MODEL_SETTINGS[setting])
        detector = MODEL_SETTINGS[setting][0]
        reason = "the list of models has none for it that can be used here"
        self._skipped.append(Skipped(detector, reason, f"name one in the setting {setting}"))
        return None

    def _also(self, *tasks: Task) -> list[ModelCard]:
        """Find the rows of `also_models` for these tasks."""
        rows = [
            named_row(self._models.catalogue, ALSO_TASKS, name)
            for name in self._settings.also_names
        ]
        found = [self._card(row.name, tasks) for row in rows if row.task in tasks]
        return [card for card in found if card is not None]

    def _card(self, name: str, tasks: tuple[Task, ...]) -> ModelCard | None:
        """Find a row; none where it runs already, or is the user's own and cannot be used.

        Raises CatalogueError where there is no such row.
        """
        if name in self._cards:
            return None
        self._cards.add(name)
        card = named_row(self._models.catalogue, tasks, name)
        try:
            with _readable(card):
                self._models.version(card)
                self._check_own(card)
        except ModelError as error:
            detector = DETECTOR_OF.get(card.task, card.task)
            self._skipped.append(Skipped(f"{detector} ({name})", error.message, error.remedy))
            return None
        return card

    def _check_own(self, card: ModelCard) -> None:
        """Raise ModelBroken where a file of the user's own is not what the row says.

        One that is gone, and was seen before, is missing as a network is that is not fetched.
        """
        if card.task == "text" or self._models.has(card):
            return
        with suppress(ModelMissing):
            self._find_own(card)

    def _find_own(self, card: ModelCard) -> None:
        """Raise ModelMissing or ModelBroken for files outside our folder: nothing fetches them."""
        for role, file in card.files.items():
            if isinstance(file, LocalFile | PackageFile):
                self._models.path(card, role)

    def _add(self, card: ModelCard, detector: Detector) -> None:
        self._detectors.append(detector)
        # One whose program is missing cannot say its version, and is passed over by itself.
        with suppress(ModelMissing):
            self._note_missing(card, detector)

    def _note_missing(self, card: ModelCard, detector: Detector) -> None:
        if not self._models.has(card):
            self._missing[detector.model] = self._why_missing(card)

    def _why_missing(self, card: ModelCard) -> ModelMissing:
        try:
            self._find_own(card)
        except ModelMissing as error:
            return error
        return ModelMissing(
            f"The files of {card.name} are not here",
            "run the task Download models, or"
            f" `python -m stash_sense_plugin models pull {card.name}`",
        )


@contextmanager
def _readable(card: ModelCard) -> Iterator[None]:
    """Turn what the disk says of a row's files into ModelBroken."""
    try:
        yield
    except OSError as error:
        raise ModelBroken(
            f"{error.filename or f'A file of {card.name}'} cannot be read:"
            f" {error.strerror or error}",
            "mend who may read it, and every folder above it, for the user that runs Stash",
        ) from error
