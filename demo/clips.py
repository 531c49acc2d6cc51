"""The sample library: short clips of pictures that scikit-image carries, and what is in them.

Nothing is downloaded and nothing here is a secret of ours: the pictures are NASA's portrait of
Eileen Collins, a cat, a cup of coffee, a motorcycle, a rocket and a man with a camera.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

FPS = 12
WIDE = (640, 360)
TALL = (360, 640)

Canvas = Image.Image
Painter = Callable[[float], Canvas]
"""Time in seconds -> the picture at that time."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One thing that a viewer would say of a clip, and when it holds."""

    kind: str
    """`tag`, `studio` or `text`."""
    name: str
    start_s: float | None = None
    """None where the time does not matter."""
    end_s: float | None = None
    needs: str = "embedded"
    """What can see it: `embedded` (in the packages), `clip` or `objects` (to be fetched)."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One file of the sample library."""

    name: str
    duration_s: float
    size: tuple[int, int]
    paint: Painter
    expected: tuple[Expected, ...] = ()
    ends_as: str = "Tagged"
    """The workflow tag that the scene carries afterwards."""
    spoiled: bool = False
    """Whether its pictures are overwritten with zeros behind a whole header."""


def picture(name: str) -> Canvas:
    """Open one of scikit-image's own pictures, as RGB."""
    with Image.open(str(files("skimage") / "data" / name)) as opened:
        return opened.convert("RGB")


def pan(source: Canvas, size: tuple[int, int], zoom: float = 1.15, seconds: float = 20) -> Painter:
    """Move slowly over a picture, from its left upper to its right lower part."""
    scale = zoom * max(size[0] / source.width, size[1] / source.height)
    large = source.resize((round(source.width * scale), round(source.height * scale)))
    room = (large.width - size[0], large.height - size[1])

    def paint(time_s: float) -> Canvas:
        part = 0.5 - 0.5 * np.cos(2 * np.pi * time_s / seconds)
        left, top = round(room[0] * part), round(room[1] * part)
        return large.crop((left, top, left + size[0], top + size[1]))

    return paint


def letters(text: str, height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font at that height in pixels."""
    return ImageFont.load_default(size=height)


def write_on(canvas: Canvas, text: str, place: tuple[float, float], height: int) -> Canvas:
    """Draw white letters with a dark edge, their middle at a fraction of width and height."""
    drawn = canvas.copy()
    ImageDraw.Draw(drawn).text(
        (canvas.width * place[0], canvas.height * place[1]),
        text,
        font=letters(text, height),
        fill="white",
        anchor="mm",
        stroke_width=2,
        stroke_fill="black",
    )
    return drawn


def with_text(painter: Painter, text: str, place: tuple[float, float], height: int) -> Painter:
    """Keep letters in one place over a clip, as a watermark does."""
    return lambda time_s: write_on(painter(time_s), text, place, height)


def boxed(painter: Painter) -> Painter:
    """Put black bars above and below."""

    def paint(time_s: float) -> Canvas:
        canvas = painter(time_s).copy()
        bar = canvas.height // 7
        draw = ImageDraw.Draw(canvas)
        draw.rectangle((0, 0, canvas.width, bar), fill="black")
        draw.rectangle((0, canvas.height - bar, canvas.width, canvas.height), fill="black")
        return canvas

    return paint


def dimmed(painter: Painter, light: float = 0.12) -> Painter:
    """Turn the light down."""
    return lambda time_s: painter(time_s).point(lambda value: int(value * light))


def grey(painter: Painter) -> Painter:
    """Take the colour out."""
    return lambda time_s: painter(time_s).convert("L").convert("RGB")


def title(text: str) -> Painter:
    """Show one line on a plain ground, and nothing that moves."""
    ground = Image.new("RGB", WIDE, (32, 60, 92))
    drawn = write_on(ground, text, (0.5, 0.5), 48)
    return lambda _time_s: drawn


def one_after_another(*parts: tuple[float, Painter]) -> Painter:
    """Play painters in a row; each comes with its length in seconds."""

    def paint(time_s: float) -> Canvas:
        for length_s, painter in parts[:-1]:
            if time_s < length_s:
                return painter(time_s)
            time_s -= length_s
        return parts[-1][1](time_s)

    return paint


def sample_library() -> tuple[Clip, ...]:
    """Return the clips, from the plain to the damaged."""
    face = pan(picture("astronaut.png").crop((80, 25, 380, 194)), WIDE, zoom=1.05)
    cat = pan(picture("chelsea.png"), WIDE)
    cup = pan(picture("coffee.png"), WIDE)
    machine = pan(picture("motorcycle_left.png"), WIDE)
    return (
        Clip(
            "interview.mp4",
            20,
            WIDE,
            with_text(face, "NORTHLIGHT STUDIO", (0.22, 0.08), 24),
            (
                Expected("tag", "Face Close-up", 0, 20),
                Expected("studio", "Northlight Studio"),
                Expected("text", "NORTHLIGHT STUDIO", 0, 20),
                Expected("tag", "One Person", 0, 20, needs="objects"),
            ),
        ),
        Clip(
            "cat_with_titles.mp4",
            24,
            WIDE,
            one_after_another(
                (8, with_text(cat, "CHAPTER ONE", (0.5, 0.2), 44)),
                (10, cat),
                (6, with_text(cat, "THE END", (0.5, 0.5), 60)),
            ),
            (
                Expected("text", "CHAPTER ONE", 0, 8),
                Expected("text", "THE END", 18, 24),
                Expected("tag", "Cat", 0, 24, needs="objects"),
            ),
        ),
        Clip(
            "phone_clip.mp4",
            12,
            TALL,
            pan(picture("rocket.jpg"), TALL, seconds=12),
            (Expected("tag", "Vertical", 0, 12),),
        ),
        Clip(
            "old_film.mp4",
            16,
            WIDE,
            grey(pan(picture("camera.png"), WIDE)),
            (Expected("tag", "Black and White", 0, 16),),
        ),
        Clip(
            "garage_at_night.mp4",
            18,
            WIDE,
            one_after_another((9, dimmed(machine)), (9, machine)),
            (
                Expected("tag", "Dark", 0, 9),
                Expected("tag", "Motorcycle", 9, 18, needs="objects"),
            ),
        ),
        Clip(
            "cinema.mp4",
            15,
            WIDE,
            boxed(pan(picture("rocket.jpg"), WIDE, zoom=1.4)),
            (Expected("tag", "Letterboxed", 0, 15),),
        ),
        Clip(
            "slide.mp4",
            10,
            WIDE,
            title("Holiday 2024"),
            (Expected("tag", "Still Picture", 0, 10), Expected("text", "Holiday 2024", 0, 10)),
        ),
        Clip(
            "medley.mp4",
            30,
            WIDE,
            one_after_another((10, cup), (10, face), (10, grey(cat))),
            (
                Expected("tag", "Face Close-up", 10, 20),
                Expected("tag", "Black and White", 20, 30),
                Expected("tag", "Cat", 20, 30, needs="objects"),
                # The face is 300 pixels wide and the cat 451: both were enlarged.
                Expected("tag", "Upscaled"),
            ),
        ),
        Clip("damaged.mp4", 10, WIDE, cup, ends_as="Errored", spoiled=True),
    )


def paint_frames(clip: Clip) -> Iterator[NDArray[np.uint8]]:
    """Yield the clip's pictures: height x width x 3, RGB."""
    for number in range(round(clip.duration_s * FPS)):
        yield np.asarray(clip.paint(number / FPS), dtype=np.uint8)


def write_clip(clip: Clip, folder: Path) -> Path:
    """Encode a clip as H.264 in MP4 and return its path."""
    path = folder / clip.name
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = clip.size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FPS)
        stream.options = {"preset": "veryfast", "crf": "23", "g": str(4 * FPS)}
        for pixels in paint_frames(clip):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    if clip.spoiled:
        _spoil(path)
    return path


def _spoil(path: Path) -> None:
    """Overwrite the pictures, which lie behind the header, with zeros."""
    content = path.read_bytes()
    pictures = content.index(b"mdat") + len(b"mdat")
    path.write_bytes(content[:pictures] + bytes(len(content) - pictures))


def build_library(folder: Path) -> tuple[Clip, ...]:
    """Write the whole sample library into a folder, leaving out what is there already."""
    return build(folder, sample_library())


def build(folder: Path, clips: tuple[Clip, ...]) -> tuple[Clip, ...]:
    """Write clips into a folder, leaving out what is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix="drawing-") as drawing:
        for clip in clips:
            if not (folder / clip.name).exists():
                # Moved when it is whole: what is cut short would count as there.
                write_clip(clip, Path(drawing)).replace(folder / clip.name)
    return clips
