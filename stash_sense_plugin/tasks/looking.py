"""One scene through the flow, from Stash or from a file."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from stash_sense_plugin.errors import (
    InternalFault,
    MediaMissing,
    MemoryShort,
    StashRefused,
    StashSenseError,
    StashUnauthorised,
    StashUncertain,
)
from stash_sense_plugin.identity.studio import StudioName
from stash_sense_plugin.library.learnt import Learnt
from stash_sense_plugin.library.suggested import SuggestionList
from stash_sense_plugin.media.fingerprint import oshash
from stash_sense_plugin.media.images import is_image
from stash_sense_plugin.media.sampling import SceneMedia
from stash_sense_plugin.media.video import probe_video
from stash_sense_plugin.pipeline.gating import gates_of
from stash_sense_plugin.pipeline.looking import look_at
from stash_sense_plugin.pipeline.parts import Parts
from stash_sense_plugin.records import Fingerprint, Reporter, Scene, SceneResult
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.stash.operations import StashStudio
from stash_sense_plugin.suggestions import DecideOptions, restrain
from stash_sense_plugin.tasks.differing import NOBODY, Covered, Covering, Words
from stash_sense_plugin.tasks.engine import Engine

logger = logging.getLogger(__name__)


class Files(Protocol):
    """Where sprite sheets come from: Stash's server."""

    def get(self, path: str) -> bytes:
        """Return what lies there; raises MediaMissing or StashRefused."""
        ...

    def size(self, path: str) -> int:
        """Return how many bytes lie there; raises MediaMissing or StashRefused."""
        ...


class Looker:
    """Looks at scenes with one set of detectors, words and options."""

    def __init__(
        self,
        engine: Engine,
        reporter: Reporter,
        files: Files | None = None,
        studios: Sequence[StudioName] = (),
        settings: Settings | None = None,
        share: Callable[[float], None] = lambda _share: None,
    ) -> None:
        """`share` is told how much of a look is done, 0..1."""
        # Another job may go between two of our batches and read other settings.
        self._settings = settings or engine.settings
        self.sight = engine.sight(self._settings, reporter.check)
        self._engine = engine
        self._reporter, self._share = reporter, share
        self._files = None if files is None else _Sheets(files)
        self._studios = () if self._settings.skip_studio else studios
        self._vocabulary = engine.vocabulary()
        learnt = Learnt(engine.store)
        self._fitted, self._thresholds = learnt.fits(), learnt.thresholds()
        catalogue = engine.shelf().models.catalogue
        self._gates = gates_of(catalogue)
        self.covering = Covering.of(
            self._settings,
            self._vocabulary,
            catalogue,
            self.sight.detectors,
            self.sight.missing,
        )

    def tell_device(self) -> None:
        """Warn, in the run's own log, where networks do not run where the user asked."""
        self._engine.tell_device(self._reporter, self._settings)

    def look(self, scene: Scene) -> SceneResult:
        """Look at one scene; what the user said of it is not heard yet: see `weighed`.

        Raises MediaError, ModelError where no detector can run, InternalFault for what nobody
        foresaw, and what stops every scene alike.
        """
        try:
            return self._look(scene)
        except StashSenseError:
            raise
        except Exception as error:
            MemoryShort.check(error, f"at {scene.source}")
            logger.exception("%s", scene.source)
            raise InternalFault(
                f"Stash Sense failed on {scene.source} ({type(error).__name__}: {error})",
                f"please report it with {self._engine.home / 'worker.log'}",
            ) from error

    def heard(self, scene: Scene, result: SceneResult) -> SceneResult:
        """Return what is decided of a look by what the user has said of the scene by now."""
        accepted, refused = self._engine.verdicts.said_of(scene)
        bounds = self.options(refused, accepted)
        return replace(result, suggestions=restrain(result.suggestions, bounds))

    def weighed(self, scene: Scene, result: SceneResult) -> tuple[SceneResult, Covered]:
        """Return what is decided of a look, with what others saw before, and what it covers.

        It holds as long as the user says nothing more of the scene.
        """
        accepted, refused = self._engine.verdicts.said_of(scene)
        said = self.options(refused, accepted)
        result = replace(result, suggestions=restrain(result.suggestions, said))
        if scene.fingerprint is not None and not self.covering.is_whole(result):
            before = self._engine.store.last_said(scene.id, scene.fingerprint)
            by_now = SuggestionList(self._engine.store).decisions(scene.id)
            result = self.covering.kept_from(result, before or {}, said, by_now)
        return result, self.covering.covered(result, accepted, refused)

    def _look(self, scene: Scene) -> SceneResult:
        fingerprint = scene.fingerprint or _fingerprint(scene)
        return look_at(scene, fingerprint, self._media(scene), self._parts(scene), self._reporter)

    def _media(self, scene: Scene) -> SceneMedia:
        settings, files = self._settings, self._files
        return SceneMedia(
            scene,
            fetch=files.get if files else None,
            size_of=files.size if files else None,
            frames=settings.frames,
            text_frames=settings.text_frames,
            check=self._reporter.check,
        )

    def _parts(self, scene: Scene) -> Parts:
        return replace(
            self.parts(),
            stage=partial(self._engine.store.note_stage, scene.id),
            share=self._share,
        )

    def options(self, refused: Words = NOBODY, accepted: Words = NOBODY) -> DecideOptions:
        """Return the user's say in what becomes of suggestions, with what was said of one scene."""
        settings = self._settings
        return DecideOptions(
            apply=settings.apply,
            suggest_only=settings.suggest_only,
            never=self.covering.never,
            refused=refused,
            accepted=accepted,
            max_gap_s=settings.max_gap_s,
        )

    def parts(self) -> Parts:
        """Return what scenes are decided with; what was said of one scene is not in it."""
        return Parts(
            store=self._engine.store,
            vocabulary=self._vocabulary,
            detectors=self.sight.detectors,
            missing=self.sight.missing,
            skipped=self.sight.skipped,
            zero_shot=self.sight.zero_shot,
            studios=self._studios,
            options=self.options(),
            fitted=self._fitted,
            thresholds=self._thresholds,
            words_of=self.covering.words_of,
            gates=self._gates,
            floor=self._settings.floor,
        )


def studio_names(studios: Iterable[StashStudio]) -> list[StudioName]:
    """Return Stash's studios as matching reads them."""
    return [StudioName(each.id, each.name, each.aliases) for each in studios]


class _Sheets:
    """Sprite sheets from Stash: one that Stash cannot give is missing, and the video is read.

    Whatever comes in its place (a page, a redirection, a connection that breaks) is said of this
    one sheet alone: where it is Stash that is away, the next question tells.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    def get(self, path: str) -> bytes:
        """Return what lies there; raises MediaMissing."""
        with _missing_sheets():
            return self._files.get(path)

    def size(self, path: str) -> int:
        """Return how many bytes lie there; raises MediaMissing."""
        with _missing_sheets():
            return self._files.size(path)


@contextmanager
def _missing_sheets() -> Iterator[None]:
    try:
        yield
    except (StashRefused, StashUncertain, StashUnauthorised) as error:
        raise MediaMissing(error.message, "generate sprites in Stash anew") from error


def _fingerprint(scene: Scene) -> Fingerprint:
    """Hash the file ourselves where Stash has not."""
    if not scene.path:
        raise MediaMissing(f"{scene.source} has no file", "scan the library in Stash")
    return oshash(scene.path)


def scene_of_file(path: Path) -> Scene:
    """Describe a file that no Stash knows. Raises MediaError."""
    fingerprint = oshash(path)
    if is_image(path):
        return Scene("", path.name, str(path), fingerprint, None)
    facts = probe_video(path)
    return Scene("", path.name, str(path), fingerprint, facts.duration_s, facts.width, facts.height)
