"""Frames of a scene's sprite sheet: many small pictures for one request."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from stash_sense_plugin.errors import MediaUnreadable
from stash_sense_plugin.media.images import decode_picture
from stash_sense_plugin.records import Frame, FrameSource, Pixels, Sampling

MAX_CUES = 4096
"""Stash makes 81 by default; a sheet of this many 160 px tiles is past what a JPEG can hold."""
MAX_VTT_BYTES = 1_000_000
MAX_SHEET_PIXELS = 64_000_000
"""Sheets above this are refused from their header: 200 MB once decoded."""
MAX_TILE_PIXELS = 2_100_000
"""Tiles above this, 1920 x 1080, are no sprites: Stash's are 160 pixels long by default."""
MAX_STRETCH = 2.5
"""How much longer than its cues a scene may be. Stash rounds the cues' step down to whole frames,
which at most halves it; beyond that the VTT covers a part of the scene, and its times stand."""

_STAMP = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMES = re.compile(rf"^\s*{_STAMP}\s+-->\s+{_STAMP}(?:\s.*)?$", re.ASCII)
_PLACE = re.compile(r"#xywh=(?:pixel:)?(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})\s*$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cue:
    """Where on the sheet a tile lies (pixels), and the time that the VTT gives it."""

    start_s: float
    end_s: float
    x: int
    y: int
    w: int
    h: int


def parse_vtt(text: str) -> tuple[Cue, ...]:
    """Return the tiles of a sprite sheet's VTT, by time.

    The file name in a cue is never used: only its `#xywh=` is. Raises MediaUnreadable for anything
    that is no list of tiles, and for more than MAX_CUES.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or not lines[0].startswith("WEBVTT"):
        raise _nonsense("it does not begin with WEBVTT")
    starts = [i for i, line in enumerate(lines) if "-->" in line]
    if not starts:
        raise _nonsense("it has no cues")
    if len(starts) > MAX_CUES:
        raise _nonsense(f"it has {len(starts)} cues, more than {MAX_CUES}")
    cues = (_cue(lines, i) for i in starts)
    return tuple(sorted(cues, key=lambda cue: cue.start_s))


def sprite_key(vtt: bytes, sheet_bytes: int) -> str:
    """Return the sampling's key: it changes when the VTT or the sheet's size in bytes does."""
    digest = hashlib.blake2b(vtt, digest_size=8)
    digest.update(b"|%d" % sheet_bytes)
    return f"sprite:{digest.hexdigest()}"


def true_times(cues: Sequence[Cue], duration_s: float | None) -> tuple[float, ...]:
    """Return the time in seconds of the picture that each tile holds, within the scene.

    Stash takes tile i at i x duration / count, and writes cues that run ever earlier than that: a
    cue's start is scaled so that the last cue ends with the scene. Where all cues have length 0
    (clips of a few frames), the tiles are spread evenly.
    """
    last_s = max((cue.end_s for cue in cues), default=0.0)
    if duration_s is None or not isfinite(duration_s) or duration_s <= 0:
        return tuple(cue.start_s for cue in cues)
    if last_s <= 0:
        return tuple(i * duration_s / len(cues) for i in range(len(cues)))
    stretch = duration_s / last_s
    if stretch > MAX_STRETCH:
        stretch = 1.0
    return tuple(min(cue.start_s * stretch, duration_s) for cue in cues)


def sprite_sampling(
    vtt: bytes,
    read_sheet: Callable[[], bytes],
    sheet_bytes: int,
    duration_s: float | None,
    scene_key: str,
) -> Sampling:
    """Return the tiles of a sprite sheet; the sheet is read and decoded when they are.

    Raises MediaUnreadable for a VTT that is none, and `frames` does for a sheet that is no picture
    or not the VTT's. Tiles that the sheet does not wholly hold are left out.
    """
    if len(vtt) > MAX_VTT_BYTES:
        raise _nonsense(f"it has {len(vtt)} bytes, more than {MAX_VTT_BYTES}")
    cues = parse_vtt(vtt.decode("utf-8", errors="replace"))
    times_s = true_times(cues, duration_s)
    length_s = duration_s if duration_s else max(cue.end_s for cue in cues)

    def frames() -> Iterator[Frame]:
        sheet = decode_picture(
            read_sheet(), f"the sprite sheet of {scene_key}", max_pixels=MAX_SHEET_PIXELS
        )
        for index, (cue, time_s) in enumerate(_held(sheet, cues, times_s, scene_key)):
            yield Frame(scene_key, index, time_s, _cut(sheet, cue), FrameSource.SPRITE)

    key = sprite_key(vtt, sheet_bytes)
    return Sampling(key, scene_key, FrameSource.SPRITE, length_s, times_s, frames)


def _held(
    sheet: Pixels, cues: Sequence[Cue], times_s: Sequence[float], scene_key: str
) -> list[tuple[Cue, float]]:
    """Return the tiles that lie wholly on the sheet; fewer than half means another's sheet."""
    height, width = sheet.shape[:2]
    held = [
        (cue, time_s)
        for cue, time_s in zip(cues, times_s, strict=True)
        if cue.x + cue.w <= width and cue.y + cue.h <= height
    ]
    if 2 * len(held) < len(cues):
        raise MediaUnreadable(
            f"The sprite sheet of {scene_key} is {width} x {height} and holds only {len(held)} of "
            f"the {len(cues)} tiles that its VTT names",
            "generate the scene's sprites again in Stash",
        )
    return held


def _cut(sheet: Pixels, cue: Cue) -> Pixels:
    # A copy: a view would keep the whole sheet in memory for as long as one tile is.
    return np.array(sheet[cue.y : cue.y + cue.h, cue.x : cue.x + cue.w])


def _cue(lines: Sequence[str], at: int) -> Cue:
    times = _TIMES.match(lines[at])
    place = _PLACE.search(lines[at + 1]) if at + 1 < len(lines) else None
    if not times or not place:
        raise _nonsense(f"the cue at line {at + 1} has no times or no #xywh=x,y,w,h")
    start_s, end_s = _seconds(times.groups()[:4]), _seconds(times.groups()[4:])
    x, y, w, h = (int(number) for number in place.groups())
    if end_s < start_s or not w or not h:
        raise _nonsense(f"the cue at line {at + 1} ends before it starts or has no size")
    if w * h > MAX_TILE_PIXELS:
        limit = f"more than the {MAX_TILE_PIXELS / 1e6:g} million pixels allowed"
        raise _nonsense(f"the cue at line {at + 1} names a tile of {w} x {h}, {limit}")
    return Cue(start_s, end_s, x, y, w, h)


def _seconds(stamp: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = stamp
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole + int((fraction or "0").ljust(3, "0")) / 1000


def _nonsense(reason: str) -> MediaUnreadable:
    return MediaUnreadable(
        f"The sprite sheet's VTT cannot be read: {reason}",
        "generate the scene's sprites again in Stash",
    )
