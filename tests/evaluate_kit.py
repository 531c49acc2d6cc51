"""A library whose scenes were looked at on paper: scores and tags are what a test says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from demo.stash import StandIn, fake_file
from stash_sense_plugin.detectors.picture import PictureDetector
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.records import Fingerprint, FrameSource, Observation, Ran
from stash_sense_plugin.stash.client import Connection
from stash_sense_plugin.tasks import MODES, Call, Engine
from tests.sweep_kit import ROOT, Told

FRAMES = 10
"""One a second: what is seen in all of them holds for the whole scene."""


@dataclass
class Paper:
    """A Stash whose scenes have no files, and a store in which they were looked at."""

    stash: StandIn
    engine: Engine
    told: Told = field(default_factory=Told)

    @property
    def store(self) -> Store:
        return self.engine.store

    def tag(self, name: str) -> int:
        return self.stash.tag_id(name) or self.stash.add_tag(name)

    def scene(
        self,
        title: str,
        *tags: str,
        facts: Mapping[str, float] | None = None,
        objects: Mapping[str, float] | None = None,
        object_model: str = "",
        first: tuple[str, ...] | None = None,
        phash: str = "",
    ) -> int:
        """Add a scene with tags; `facts` are what was seen in it, None for never looked at.

        `objects` are words that `object_model` saw there. `first` are the tags that it had at the
        first look, the same unless others are named.
        """
        number = len(self.stash_scenes) + 1
        file = fake_file(
            f"/media/{number}.mp4", oshash=f"{number:016x}", phash=phash, size=number * 1000,
            duration_s=float(FRAMES),
        )  # fmt: skip
        scene = self.stash.add_scene(title, tags=[self.tag(name) for name in tags], file=file)
        self.stash_scenes.append(scene)
        mark = Fingerprint(f"{number:016x}", number * 1000)
        if objects is not None:
            self._look(scene, mark, "objects", object_model, objects)
        if facts is not None:
            seen = {f"picture/{fact}": score for fact, score in facts.items()}
            self._look(scene, mark, "picture", PictureDetector().model, seen)
            self._remember(scene, tags if first is None else first)
        return scene

    stash_scenes: list[int] = field(default_factory=list)

    def _look(
        self, scene: int, file: Fingerprint, detector: str, model: str, words: Mapping[str, float]
    ) -> None:
        seen = [
            Observation(str(scene), at, float(at), detector, model, word, score)
            for word, score in words.items()
            for at in range(FRAMES)
        ]
        self.store.save_analysis(
            file,
            "sprite:paper",
            FrameSource.SPRITE,
            float(FRAMES),
            [float(at) for at in range(FRAMES)],
            detector,
            model,
            seen,
            Ran(detector, model, "cpu", "fp32", FRAMES, 0.1),
        )

    def _remember(self, scene: int, tags: tuple[str, ...]) -> None:
        run = self.store.begin_run("tag_scenes", {})
        result: dict[str, object] = {"source": str(scene), "suggestions": [], "error": None}
        ids = [str(self.tag(name)) for name in tags]
        self.store.save_result(run, str(scene), None, result, tags=ids)
        self.store.end_run(run, "done", {})

    def run(self, **args: object) -> dict[str, object]:
        self.told = Told()
        server = self.stash.connection | {"PluginDir": str(ROOT)}
        return dict(MODES["evaluate"].run(self.engine, Call(args, server), self.told))

    @property
    def url(self) -> str:
        return Connection.from_plugin(self.stash.connection).base_url
