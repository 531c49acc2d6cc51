"""One scene through the flow, from Stash or from a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from stash_sense_plugin.errors import MediaMissing
from stash_sense_plugin.identity.studio import StudioName
from stash_sense_plugin.media.fingerprint import oshash
from stash_sense_plugin.media.images import is_image
from stash_sense_plugin.media.sampling import SceneMedia
from stash_sense_plugin.media.video import probe_video
from stash_sense_plugin.pipeline import Parts, look_at
from stash_sense_plugin.records import Fingerprint, Reporter, Scene, SceneResult
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.suggestions import DecideOptions
from stash_sense_plugin.tasks.engine import Engine


class Files(Protocol):
    """Where sprite sheets come from: Stash's server."""

    def get(self, path: str) -> bytes:
        """Return what lies there; raises MediaMissing."""
        ...

    def size(self, path: str) -> int:
        """Return how many bytes lie there; raises MediaMissing."""
        ...


class Looker:
    """Looks at scenes with one set of detectors, words and options."""

    def __init__(
        self,
        engine: Engine,
        reporter: Reporter,
        files: Files | None = None,
        studios: Sequence[StudioName] = (),
    ) -> None:
        self.sight = engine.sight()
        self._engine = engine
        self._reporter = reporter
        self._files = files
        self._studios = () if engine.settings.skip_studio else studios
        self._vocabulary = engine.vocabulary()

    def look(self, scene: Scene) -> SceneResult:
        """Look at one scene. Raises MediaError, and ModelMissing where no detector can run."""
        fingerprint = scene.fingerprint or _fingerprint(scene)
        return look_at(scene, fingerprint, self._media(scene), self._parts(scene), self._reporter)

    def _media(self, scene: Scene) -> SceneMedia:
        settings, files = self._engine.settings, self._files
        return SceneMedia(
            scene,
            fetch=files.get if files else None,
            size_of=files.size if files else None,
            frames=settings.frames,
            text_frames=settings.text_frames,
        )

    def _parts(self, scene: Scene) -> Parts:
        return Parts(
            store=self._engine.store,
            vocabulary=self._vocabulary,
            detectors=self.sight.detectors,
            missing=self.sight.missing,
            skipped=self.sight.skipped,
            zero_shot=self.sight.zero_shot,
            studios=self._studios,
            options=options(self._engine.settings, self._engine.ledger.refused(scene)),
        )


def options(settings: Settings, refused: frozenset[tuple[str, str]]) -> DecideOptions:
    """Return the user's say in what becomes of suggestions."""
    return DecideOptions(
        apply=settings.apply,
        suggest_only=settings.suggest_only,
        never=settings.never_names,
        refused=refused,
        max_gap_s=settings.max_gap_s,
    )


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
