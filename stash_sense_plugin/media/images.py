"""Frames of pictures: one, upright, RGB."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from stash_sense_plugin.errors import MediaUnreadable
from stash_sense_plugin.media.files import fault_of, open_media
from stash_sense_plugin.media.native import Part, middle
from stash_sense_plugin.records import Frame, FrameSource, Pixels, Sampling

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "MPO")
"""What Pillow may take a file for; others of its formats start programs (EPS) or are no pictures
that Stash knows."""
MAX_IMAGE_PIXELS = 120_000_000
"""Pictures above this are refused from their header; the largest phones make 108 million."""
HEAVY_PIXELS = 40_000_000
"""See-through pictures above this are not mixed as a whole."""
MAX_SIDE_PX = 2048
"""The longer side to which a picture is shrunk: no detector looks at more."""


def is_image(path: str | Path) -> bool:
    """Say whether a file's content is a picture, whatever its name; MediaMissing where absent."""
    try:
        with open_media(path) as file:
            open_picture(file, str(path)).close()
    except MediaUnreadable:
        return False
    return True


def read_image(path: str | Path, max_side_px: int = MAX_SIDE_PX) -> Pixels:
    """Return a picture, turned as its EXIF data says, its longer side at most `max_side_px`.

    Raises MediaMissing or MediaUnreadable (not a picture, damaged, too many pixels).
    """
    with open_media(path) as file:
        return decode_picture(file, str(path), max_side_px)


def image_sampling(path: str | Path, scene_key: str) -> Sampling:
    """Return the one frame of a picture, at 0 seconds; the file is opened when it is read."""

    def frames() -> Iterator[Frame]:
        yield Frame(scene_key, 0, 0.0, read_image(path), FrameSource.IMAGE)

    return Sampling("image", scene_key, FrameSource.IMAGE, None, (0.0,), frames)


def native_image_sampling(path: str | Path, scene_key: str) -> Sampling:
    """Return the one frame of a picture with its very pixels; else as image_sampling."""

    def frames() -> Iterator[Frame]:
        pixels, whole = read_native(path)
        yield Frame(scene_key, 0, 0.0, pixels, FrameSource.IMAGE, whole)

    return Sampling("image:native", scene_key, FrameSource.IMAGE, None, (0.0,), frames)


def read_native(path: str | Path) -> tuple[Pixels, tuple[int, int] | None]:
    """Return a picture's own pixels, neither scaled nor turned, and its size where it is larger.

    Of one above NATIVE_PIXELS it is the middle, and of a JPEG above HEAVY_PIXELS without colour.
    Raises as read_image does.
    """
    with open_media(path) as file, open_picture(file, str(path)) as picture:
        whole = picture.width, picture.height
        part = middle(*whole)
        try:
            return _own_pixels(picture, part), whole if part else None
        except Exception as error:
            raise fault_of(str(path), error, "picture") from error


def decode_picture(
    data: bytes | BinaryIO,
    name: str,
    max_side_px: int | None = None,
    max_pixels: int = MAX_IMAGE_PIXELS,
) -> Pixels:
    """Return an encoded picture as RGB uint8, height x width x 3; `name` is for the message.

    Raises MediaUnreadable, before anything is decoded where its header tells of too many pixels,
    or MediaMissing where memory is short.
    """
    with open_picture(data, name, max_pixels) as picture:
        try:
            return _pixels(picture, max_side_px)
        # Damaged files make Pillow raise nearly anything (SyntaxError, struct.error): whatever it
        # is, the picture cannot be read.
        except Exception as error:
            raise fault_of(name, error, "picture") from error


def open_picture(
    data: bytes | BinaryIO, name: str, max_pixels: int = MAX_IMAGE_PIXELS
) -> "Image.Image":
    """Read a picture's header only; raises MediaUnreadable for no picture or too many pixels."""
    from PIL import Image

    # Pillow's own limit would warn on stderr, which is Stash's log, below ours and above it.
    Image.MAX_IMAGE_PIXELS = None
    try:
        source = io.BytesIO(data) if isinstance(data, bytes) else data
        picture = Image.open(source, formats=FORMATS)
    except Exception as error:
        raise fault_of(name, error, "picture") from error
    if picture.width * picture.height > max_pixels:
        size = f"{picture.width} x {picture.height}"
        picture.close()
        raise MediaUnreadable(
            f"{name} is {size} pixels, more than the {max_pixels // 1_000_000} million allowed",
            "make it smaller",
        )
    return picture


def _pixels(picture: "Image.Image", max_side_px: int | None) -> Pixels:
    from PIL import Image, ImageOps

    if max_side_px:
        # A JPEG is then decoded at a half, a quarter or an eighth of its size.
        picture.draft("RGB", (max_side_px, max_side_px))
    if max_side_px and max(picture.size) > max_side_px:
        picture = _averageable(picture, 2 * max_side_px)
        picture.thumbnail((max_side_px, max_side_px), Image.Resampling.BILINEAR, reducing_gap=2.0)
    # Behind the shrinking, and in place: a copy would hold a large picture twice.
    ImageOps.exif_transpose(picture, in_place=True)
    return np.asarray(_rgb(picture), dtype=np.uint8)


def _own_pixels(picture: "Image.Image", part: Part | None) -> Pixels:
    if picture.width * picture.height > HEAVY_PIXELS:
        # Only a JPEG follows: one byte for each pixel instead of four.
        picture.draft("L", None)
    if part:
        left, top, width, height = part
        picture = picture.crop((left, top, left + width, top + height))
    return np.asarray(_rgb(picture), dtype=np.uint8)


def _averageable(picture: "Image.Image", most_side_px: int) -> "Image.Image":
    """Return a picture whose neighbouring pixels can be mixed, which a palette's cannot be.

    Of a large one only every n-th pixel is taken up: four bytes for each would take half a
    gigabyte.
    """
    from PIL import Image

    mode = {"P": "RGBA", "PA": "RGBA", "1": "L"}.get(picture.mode, picture.mode)
    if mode.startswith("I;16"):
        mode = "I"
    # Pillow mixes what is see-through in a copy.
    heavy = "A" in mode and picture.width * picture.height > HEAVY_PIXELS
    if mode == picture.mode and not heavy:
        return picture
    scale = max(1.0, max(picture.size) / most_side_px)
    width, height = (max(1, round(side / scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.NEAREST).convert(mode)


def _rgb(picture: "Image.Image") -> "Image.Image":
    """Return a picture of any mode as RGB: 16 bits scaled to 8, what is transparent on white."""
    from PIL import Image

    if picture.mode.startswith(("I", "F")):
        deep = np.nan_to_num(np.asarray(picture, dtype=np.float64))
        top = 65535.0 if deep.max(initial=0) > 255 else 255.0
        return Image.fromarray((deep.clip(0, top) * (255 / top)).astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")
