"""What the tests of whole runs share: small clips, a Stash with them, an engine, a listener."""

import hashlib
import itertools
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from demo.clips import (
    Painter,
    dimmed,
    grey,
    one_after_another,
    pan,
    picture,
    title,
    with_text,
)
from demo.stash import StandIn, fake_file
from stash_sense_plugin.errors import Cancelled
from stash_sense_plugin.media.fingerprint import oshash
from stash_sense_plugin.records import Level
from stash_sense_plugin.stash.client import Connection, Limits
from stash_sense_plugin.tasks import MODES, Call, Engine
from stash_sense_plugin.tasks.presets import Hardware

ROOT = Path(__file__).resolve().parent.parent
FPS = 4
WIDE, TALL, LARGE = (160, 96), (96, 160), (480, 270)
LENGTHS_S = {"nights.mp4": 7.5, "studio.mp4": 2.0}
"""Of clips that are not three seconds long."""

PLUGIN = "plugin"
"""The plugin's id where it runs from this repository."""
FACTS_ONLY: Mapping[str, object] = {
    "skip_labels": True,
    "skip_acts": True,
    "skip_objects": True,
    "skip_quality": True,
    "skip_text": True,
}
"""Settings with which a scene takes milliseconds."""


def small() -> Hardware:
    """A machine for which the preset `fast` is chosen, wherever the tests run."""
    return Hardware(cpus=2, memory_bytes=8 << 30)


# --- Clips --------------------------------------------------------------------------------------


def write_clips(folder: Path) -> Path:
    """Write a folder of clips; every frame is a keyframe."""
    face = pan(picture("astronaut.png").crop((80, 25, 380, 194)), LARGE, zoom=1.3, seconds=3)
    cup = pan(picture("coffee.png"), WIDE, zoom=1.5, seconds=3)
    folder.mkdir()
    encode(folder / "tall.mp4", pan(picture("rocket.jpg"), TALL, zoom=1.5, seconds=3), 3, TALL)
    encode(folder / "grey.mp4", grey(pan(picture("camera.png"), WIDE, seconds=3)), 3, WIDE)
    encode(folder / "plain.mp4", cup, 3, WIDE)
    # Two nights with a day between them that is short enough to be joined to them.
    nights = one_after_another((3, dimmed(cup)), (1.5, cup), (3, dimmed(cup)))
    encode(folder / "nights.mp4", nights, 7.5, WIDE)
    encode(folder / "studio.mp4", with_text(face, "NORTHLIGHT STUDIO", (0.5, 0.1), 24), 2, LARGE)
    spoil(encode(folder / "damaged.mp4", title("Nobody sees this"), 3, (640, 360)))
    return folder


def encode(path: Path, paint: Painter, seconds: float, size: tuple[int, int]) -> Path:
    """Write one clip, four frames a second."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        stream.options = {"preset": "ultrafast", "g": "1"}
        for number in range(round(seconds * FPS)):
            pixels = np.asarray(paint(number / FPS), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def spoil(path: Path) -> None:
    """Overwrite the pictures behind the header with zeros."""
    content = path.read_bytes()
    pictures = content.index(b"mdat") + 4
    path.write_bytes(content[:pictures] + bytes(len(content) - pictures))


def copy(source: Path, target: Path) -> None:
    """Copy a clip, with a word behind its end that gives it another fingerprint."""
    shutil.copy(source, target)
    word = hashlib.blake2b(str(target).encode(), digest_size=8).digest()
    with target.open("ab") as file:
        file.write(struct.pack(">I4s", 16, b"free") + word)


# --- Listening ----------------------------------------------------------------------------------


class Told:
    """A reporter that remembers what it was told, and acts at every check."""

    def __init__(self, at_check: Callable[[int], None] | None = None) -> None:
        self.lines: list[tuple[Level, str]] = []
        self.fractions: list[float] = []
        self.checks = 0
        self._at_check = at_check or (lambda number: None)

    def log(self, level: Level, message: str) -> None:
        self.lines.append((level, message))

    def progress(self, fraction: float) -> None:
        self.fractions.append(fraction)

    def check(self) -> None:
        self.checks += 1
        self._at_check(self.checks)

    def said(self, level: Level) -> list[str]:
        return [message for told, message in self.lines if told == level]


def stopping(at: int) -> Callable[[int], None]:
    """Stop the job at its n-th check."""

    def check(number: int) -> None:
        if number == at:
            raise Cancelled("Stopped")

    return check


# --- A library with the plugin beside it --------------------------------------------------------


@dataclass
class Library:
    """A Stash and the files of its scenes, which are copies of the clips."""

    stash: StandIn
    clips: Path
    folder: Path
    plugin: str = PLUGIN
    paths: dict[int, Path] = field(default_factory=dict)
    """Where each scene's file lies."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def configure(self, **values: object) -> None:
        """What the user set, besides what keeps tests fast; None takes one of those away."""
        wanted = {**FACTS_ONLY, **values}.items()
        kept = {name: value for name, value in wanted if value is not None}
        self.stash.configure_plugin(self.plugin, **kept)

    def add(
        self,
        clip: str,
        *tags: str,
        folder: Path | None = None,
        duration_s: float | None = None,
        **more: Any,
    ) -> int:
        """Add a scene with a file of its own; it carries TagMe unless tags are given."""
        path = (folder or self.folder) / f"{next(self._numbers)}-{clip}"
        copy(self.clips / clip, path)
        file = fake_file(
            str(path),
            oshash=oshash(path).oshash,
            size=path.stat().st_size,
            duration_s=duration_s or LENGTHS_S.get(clip, 3.0),
        )
        tag_ids = [self.tag(name) for name in tags or ("TagMe",)]
        scene = self.stash.add_scene(clip, tags=tag_ids, file=file, **more)
        self.paths[scene] = path
        return scene

    def tag(self, name: str) -> int:
        return self.stash.tag_id(name) or self.stash.add_tag(name)

    def again(self, scene: int) -> None:
        """Give a scene TagMe once more."""
        self.stash.tag_scene(scene, self.tag("TagMe"))

    def tags(self, scene: int) -> set[str]:
        return self.stash.scene_tags(scene)


@dataclass
class Room(Library):
    """A library with an engine of ours in this process."""

    engine: Engine = field(kw_only=True)
    told: Told = field(default_factory=Told)
    said_besides: dict[str, str] = field(default_factory=dict)
    """What a call says of its Stash otherwise than Stash itself."""

    @property
    def url(self) -> str:
        """Where Stash is, as it tells a plugin."""
        return Connection.from_plugin(self.stash.connection).base_url

    def run(
        self,
        mode: str = "tag_scenes",
        *,
        at_check: Callable[[int], None] | None = None,
        **args: object,
    ) -> Any:
        """Run a task or operation in this process; `told` has what it said."""
        self.told = Told(at_check)
        server = self.stash.connection | {"PluginDir": str(ROOT)} | self.said_besides
        return MODES[mode].run(self.engine, Call(args, server), self.told)

    def result(self, scene: int) -> Any:
        """What the last look at a scene said."""
        return self.engine.store.latest_result(str(scene))


@contextmanager
def open_engine(home: Path) -> Iterator[Engine]:
    """An engine that does not wait between attempts."""
    limits = Limits(first_wait_s=0, attempts=3)
    engine = Engine(home, ROOT / "stash_sense_plugin", limits, hardware=small)
    try:
        yield engine
    finally:
        engine.close()
