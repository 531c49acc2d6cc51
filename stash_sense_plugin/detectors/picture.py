"""Facts of the picture that need no model."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.records import Frame, Observation, Pixels, Wants

Floats = NDArray[np.float32]

VERSION = "1"
"""Raised when a fact is measured in another way."""
SIDE_PX = 96
"""The longer side of what is measured."""
UPRIGHT = (1.0, 1.1)
"""Height by width of a picture that is not, and that surely is, vertical."""
GREY_CHROMA = (9.0, 4.5)
"""Distance from grey, 0..255, of a picture's most colourful fiftieth: in colour, and surely not.
Grey pictures stay below 3 here, the drabbest of some 240 coloured ones begin at 9."""
DARK_MEAN = (70.0, 25.0)
"""Mean luma, 0..255, of a picture that is not, and that surely is, dark."""
DARK_BRIGHT_PART = (150.0, 90.0)
"""Luma of a picture's brightest twentieth, likewise: lights in the night are still a picture."""
BAR_LUMA = 26.0
"""A bar's lines are no brighter; black is 16 in some videos' range."""
BAR_STEP = 5.0
"""A bar's lines differ by no more from its outermost: a dark picture goes on beyond it."""
BAR_SPREAD = 6.0
"""A bar's lines are no rougher: mean difference from their own median."""
BAR_SHARE = (0.03, 0.08)
"""Part of the height or width that a bar takes: too thin to tell, and surely a bar."""
BAR_UNLIKE = 0.35
"""Two bars' widths differ at most by this part of the wider."""
STILL_CHANGE = (3.0, 0.8)
"""Mean difference from the frame before, 0..255: moved, and surely not."""


class PictureDetector:
    """Tells what is plain from a picture's shape, light and colour, and from the one before."""

    name: ClassVar[str] = "picture"
    wants: ClassVar[Wants] = Wants.LABELS
    min_side_px: ClassVar[int] = 0
    model: ClassVar[str] = f"picture@{VERSION}"
    device: ClassVar[str] = "cpu"
    precision: ClassVar[str] = "fp32"

    def __init__(self, batch: int = 64) -> None:
        self.batch = batch
        self._before: tuple[str, int, Pixels] | None = None

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        """Yield `picture/...` facts with scores above 0, 0..1, in the order of the frames.

        `picture/still` compares a frame with the one handed over before it, of the same scene,
        also in an earlier call; a scene's first frame has none.
        """
        for frame in frames:
            small = reduced(frame.pixels)
            for fact, score in self._facts(frame, small):
                if score > 0:
                    yield Observation(
                        scene_key=frame.scene_key,
                        frame_index=frame.index,
                        time_s=frame.time_s,
                        detector=self.name,
                        model=self.model,
                        label=f"picture/{fact}",
                        score=score,
                    )

    def _facts(self, frame: Frame, small: Pixels) -> Iterator[tuple[str, float]]:
        luma, chroma = luma_and_chroma(small)
        bars = find_bars(luma)
        top, bottom, left, right = bars
        inner = slice(top, luma.shape[0] - bottom), slice(left, luma.shape[1] - right)
        yield "vertical", vertical(*frame.pixels.shape[:2])
        yield "black-and-white", black_and_white(luma[inner], chroma[inner])
        yield "dark", dark(luma[inner])
        yield "letterboxed", letterboxed(bars, luma.shape)
        yield "still", self._still(frame, small)

    def _still(self, frame: Frame, small: Pixels) -> float:
        before, self._before = self._before, (frame.scene_key, frame.index, small)
        # A frame that goes back in its sampling begins another look at the scene.
        if before is None or before[0] != frame.scene_key or before[1] >= frame.index:
            return 0.0
        return unchanged(before[2], small)


def reduced(pixels: Pixels) -> Pixels:
    """Return the picture with a longer side of at most 96 px; noise is averaged away."""
    import cv2

    height, width = pixels.shape[:2]
    scale = SIDE_PX / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def luma_and_chroma(pixels: Pixels) -> tuple[Floats, Floats]:
    """Return luma and the distance from grey, float32 [height, width], 0..255 (BT.601)."""
    red, green, blue = (pixels[..., channel].astype(np.float32) for channel in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    cb, cr = 0.564 * (blue - luma), 0.713 * (red - luma)
    return luma, np.hypot(cb, cr)


def vertical(height: int, width: int) -> float:
    """Say how surely a picture stands upright."""
    return _ramp(height / width, *UPRIGHT)


def black_and_white(luma: Floats, chroma: Floats) -> float:
    """Say how surely a picture is without colour; an even or nearly black one tells nothing.

    A tinted one, sepia or blue, has colour: warm light on skin and wood looks just so.
    """
    if not luma.size or np.percentile(luma, 98) - np.percentile(luma, 2) < 24:
        return 0.0
    return _ramp(float(np.percentile(chroma, 98)), *GREY_CHROMA)


def dark(luma: Floats) -> float:
    """Say how surely a picture is dark: little light on the whole, and no bright part."""
    if not luma.size:
        return 0.0
    bright = float(np.percentile(luma, 95))
    return min(_ramp(float(luma.mean()), *DARK_MEAN), _ramp(bright, *DARK_BRIGHT_PART))


Bars = tuple[int, int, int, int]
"""Lines of even black at the top, bottom, left and right."""


def find_bars(luma: Floats) -> Bars:
    """Count the lines of even black at the four edges; none in a picture that is black."""
    top, bottom = _edges(luma)
    left, right = _edges(luma.T)
    if top + bottom >= luma.shape[0] or left + right >= luma.shape[1]:
        return 0, 0, 0, 0
    return top, bottom, left, right


def letterboxed(bars: Bars, shape: tuple[int, ...]) -> float:
    """Say how surely two alike bars lie above and below, or on both sides."""
    top, bottom, left, right = bars
    return max(_pair(top, bottom, shape[0]), _pair(left, right, shape[1]))


def unchanged(before: Pixels, now: Pixels) -> float:
    """Say how surely nothing moved between two pictures of one size."""
    if before.shape != now.shape:
        return 0.0
    difference = np.abs(before.astype(np.int16) - now.astype(np.int16))
    # A small thing that moves hides in the mean: the busiest rows tell of it too.
    rows = difference.mean(axis=(1, 2))
    return _ramp(float((rows.mean() + np.percentile(rows, 95)) / 2), *STILL_CHANGE)


def _edges(luma: Floats) -> tuple[int, int]:
    middles = np.median(luma, axis=1)
    smooth = np.abs(luma - middles[:, None]).mean(axis=1) <= BAR_SPREAD
    return _run(middles, smooth), _run(middles[::-1], smooth[::-1])


def _run(middles: Floats, smooth: NDArray[np.bool_]) -> int:
    """Count the lines from the first on that are as black and even as a bar."""
    bar = smooth & (middles <= BAR_LUMA) & (np.abs(middles - middles[0]) <= BAR_STEP)
    return len(bar) if bar.all() else int(np.argmin(bar))


def _pair(one: int, other: int, whole: int) -> float:
    wide = max(one, other)
    if not min(one, other) or (wide - min(one, other)) > max(1.0, BAR_UNLIKE * wide):
        return 0.0
    return _ramp(min(one, other) / whole, *BAR_SHARE)


def _ramp(value: float, nothing: float, everything: float) -> float:
    """Map a measure to 0..1: 0 at `nothing`, 1 at `everything`, straight between."""
    return float(min(1.0, max(0.0, (value - nothing) / (everything - nothing))))
