"""Which scenes look most like one, by the vectors that were kept: no video is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stash_sense_plugin.detectors.clip import ClipDetector
from stash_sense_plugin.detectors.similarity import SimilarityDetector
from stash_sense_plugin.errors import SettingsError
from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.library.vectors import (
    Near,
    file_of,
    file_vectors,
    nearest,
    scene_vector,
    scenes_of,
)
from stash_sense_plugin.media.fingerprint import oshash
from stash_sense_plugin.records import Fingerprint, Reporter, Scene
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import scenes_by_ids
from stash_sense_plugin.tasks.asked import given, scene_id, whole_number, whole_path
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.stated import engine_of

FEW = 10
MOST = 200
SPARE = 20
"""So many more are found than asked for: scenes that Stash no longer has are left out."""


def similar(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Return the scenes that look most like `scene_id`, or like the file at `path`.

    Every file is compared by the mean of its frames' vectors: the similarity model's where one
    is set, else CLIP's. That model must have looked at it; `limit` says how many are told.
    Without a Stash, `settings` may hold values for this call.
    """
    asked, own = _Asked.read(call.args), engine_of(engine, call)
    if call.server is None:
        return _told(engine, own.settings if own else engine.defaults, asked, None)
    beside = engine.aside()
    with beside.stash(call, reporter) as client:
        return _told(engine, beside.settings, asked, client)


@dataclass(frozen=True, slots=True)
class _Asked:
    scene_id: str
    """Empty where a file is named."""
    path: Path | None
    limit: int

    @classmethod
    def read(cls, args: Mapping[str, object]) -> "_Asked":
        """Read what somebody asks for. Raises SettingsError."""
        limit = whole_number(args, "limit", FEW, 1, MOST)
        if given(args, "path") is None:
            return cls(scene_id(args), None, limit)
        if given(args, "scene_id") is not None:
            raise SettingsError("Both a scene and a file are named", "name one of them")
        return cls("", whole_path(args, "path"), limit)

    def file(self, store: Store) -> Fingerprint:
        """Return the file that is meant. Raises SettingsError or MediaError."""
        file = oshash(self.path) if self.path else file_of(store, self.scene_id)
        if file is None:
            raise SettingsError(f"Scene {self.scene_id} was never looked at", "tag it first")
        return file


def _told(
    engine: Engine, settings: Settings, asked: _Asked, client: StashClient | None
) -> dict[str, object]:
    store, file = engine.store, asked.file(engine.store)
    detector, card, models = _looker(engine, settings)
    model = models.label(card)
    wanted = scene_vector(store, file, detector, model)
    if wanted is None:
        what = asked.path or f"scene {asked.scene_id}"
        raise SettingsError(
            f"{model} never looked at {what}", _remedy(card, models, detector, settings)
        )
    vectors = file_vectors(store, detector, model)
    found = nearest(vectors, wanted, asked.limit + SPARE, frozenset({file}))
    rows = _rows(store, found, asked.scene_id, client)
    return {"model": model, "detector": detector, "similar": rows[: asked.limit]}


def _remedy(card: ModelCard, models: Models, detector: str, settings: Settings) -> str:
    """Say what makes a network look at it."""
    if not models.has(card):
        return f"its files are not here: models pull {card.name}, then tag it"
    off = detector == ClipDetector.name and settings.skip_labels
    return "change the setting skip_labels, then tag it" if off else "tag it first"


def _looker(engine: Engine, settings: Settings) -> tuple[str, ModelCard, Models]:
    """Return the detector whose vectors are compared, its model's row, and where its files lie."""
    catalogue = engine.catalogue()
    detector, name = (
        (SimilarityDetector.name, settings.similarity_model)
        if settings.similarity_model
        else (ClipDetector.name, settings.clip_model)
    )
    return detector, catalogue.card(name), Models(engine.home / "models", catalogue)


def _rows(
    store: Store, found: Sequence[Near], but: str, client: StashClient | None
) -> list[dict[str, object]]:
    """Return what is shown of each scene that has one of the files, and that Stash still has."""
    scenes = scenes_of(store, [near.file_id for near in found])
    ids = [each for known in scenes.values() for each, _ in known if each.isdigit() and client]
    there = {scene.id: scene for scene in scenes_by_ids(client, ids)} if client and ids else {}
    return [
        _row(near, each, source, there.get(each))
        for near in found
        for each, source in scenes[near.file_id] or [("", near.scene_key)]
        if each != (but or None) and (each in there or each not in ids)
    ]


def _row(near: Near, scene: str, source: str, known: Scene | None) -> dict[str, object]:
    return {
        "scene_id": scene or None,
        "title": known.title if known else "",
        "source": known.path if known and known.path else source,
        "cosine": round(near.cosine, 4),
    }
