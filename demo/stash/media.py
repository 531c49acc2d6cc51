"""What a file is: hashes, sizes, lengths, codecs, and frames of it."""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from PIL import Image, ImageOps

VIDEOS = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".wmv", ".flv", ".mpg", ".mpeg")
IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
HASHED_BYTES = 65_536
WORD_BYTES = 8
SEEK_BEYOND_S = 5.0
"""Frames further away than this are sought, nearer ones are decoded up to."""
CLOSE_S = 1e-6
"""Times closer than this are the same."""
FORMATS = {
    ".mkv": "matroska",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mpg": "mpeg",
    ".jpg": "mjpeg",
    ".jpeg": "mjpeg",
}


class MediaError(Exception):
    """A file that cannot be read as what its name says."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a video's file says of itself."""

    duration_s: float
    width: int
    height: int
    frame_rate: float
    frames: int
    bit_rate: int
    video_codec: str
    audio_codec: str


def format_of(path: Path) -> str:
    """The container's name, as Stash shows it."""
    suffix = path.suffix.lower()
    return FORMATS.get(suffix, suffix[1:])


def oshash(path: Path) -> str:
    """The sum of the size and of the 64-bit words of the first and the last 64 KiB.

    Of a shorter file it is the first and the last bytes, as many as are whole words.
    Raises MediaError for a file of eight bytes or less.
    """
    size = path.stat().st_size
    if size <= WORD_BYTES:
        raise MediaError(f"cannot calculate oshash where size < {WORD_BYTES} ({size})")
    chunk = min(HASHED_BYTES, size // WORD_BYTES * WORD_BYTES)
    with path.open("rb") as file:
        head = file.read(chunk)
        file.seek(size - chunk)
        tail = file.read(chunk)
    words = struct.unpack(f"<{chunk // WORD_BYTES * 2}Q", head + tail)
    return f"{size + sum(words) & 0xFFFF_FFFF_FFFF_FFFF:016x}"


def md5(path: Path) -> str:
    """The file's MD5."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def video_facts(path: Path) -> VideoFacts:
    """Read a video's header. Raises MediaError when it is no video and no sound."""
    try:
        with av.open(str(path)) as container:
            return _facts(container)
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{path} cannot be read: {error}") from error


def _facts(container: Any) -> VideoFacts:
    video = next(iter(container.streams.video), None)
    audio = next(iter(container.streams.audio), None)
    if video is None and audio is None:
        raise MediaError(f"{container.name} has no stream")
    rate = float(video.average_rate or 0) if video else 0.0
    return VideoFacts(
        duration_s=round((container.duration or 0) / av.time_base, 2),
        width=video.codec_context.width if video else 0,
        height=video.codec_context.height if video else 0,
        frame_rate=round(rate, 2),
        frames=video.frames if video else 0,
        bit_rate=container.bit_rate or 0,
        video_codec=video.codec_context.name if video else "",
        audio_codec=audio.codec_context.name if audio else "",
    )


def frames_at(path: Path, times_s: Iterable[float], width: int) -> Iterator[Image.Image]:
    """The first frame at or after each time, which grow, at a width; RGB.

    Raises MediaError when there is no picture, when a time has no frame, or on damage.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path} has no picture")
            yield from _frames_at(container, times_s, width)
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{path} cannot be decoded: {error}") from error


def _frames_at(container: Any, times_s: Iterable[float], width: int) -> Iterator[Image.Image]:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    start_s = float((stream.start_time or 0) * stream.time_base)
    frames = container.decode(stream)
    frame = next(frames, None)
    for time_s in times_s:
        wanted_s = time_s + start_s - CLOSE_S
        if frame is None or wanted_s - frame.time > SEEK_BEYOND_S:
            container.seek(int((time_s + start_s) / stream.time_base), stream=stream)
            frames = container.decode(stream)
            frame = next(frames, None)
        while frame is not None and frame.time < wanted_s:
            frame = next(frames, None)
        if frame is None:
            raise MediaError(f"{container.name} has no frame at {time_s:.3f} s")
        yield _picture(frame, width)


def all_frames(path: Path, width: int) -> Iterator[Image.Image]:
    """Every frame, at a width. Raises MediaError on damage."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path} has no picture")
            for frame in container.decode(container.streams.video[0]):
                yield _picture(frame, width)
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{path} cannot be decoded: {error}") from error


def _picture(frame: Any, width: int) -> Image.Image:
    """A frame as it is shown, `width` pixels wide and an even number high."""
    turned = getattr(frame, "rotation", 0) % 360
    across, down = (frame.width, frame.height)[:: -1 if turned % 180 else 1]
    height = max(2, round(width * down / (across * 2)) * 2)
    size = (height, width) if turned % 180 else (width, height)
    scaled: Image.Image = frame.reformat(size[0], size[1], format="rgb24").to_image()
    return scaled.rotate(turned, expand=True) if turned else scaled


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels. Raises MediaError when it is no picture."""
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise MediaError(f"{path} cannot be read: {error}") from error
