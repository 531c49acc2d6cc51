"""Facts of the picture that need no model."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from stash_sense_plugin.detectors.lumas import (
    Bars,
    Floats,
    find_bars,
    luma_and_chroma,
    ramp,
    reduced,
)
from stash_sense_plugin.records import Frame, Observation, Pixels, Wants

VERSION = "1"
"""Raised when a fact is measured in another way."""
UPRIGHT = (1.0, 1.1)
"""Height by width of a picture that is not, and that surely is, vertical."""
GREY_CHROMA = (9.0, 4.5)
"""Distance from grey, 0..255, of a picture's most colourful fiftieth: in colour, and surely not.
Grey pictures stay below 3 here, the drabbest of some 240 coloured ones begin at 9."""
DARK_MEAN = (70.0, 25.0)
"""Mean luma, 0..255, of a picture that is not, and that surely is, dark."""
DARK_BRIGHT_PART = (150.0, 90.0)
"""Luma of a picture's brightest twentieth, likewise: lights in the night are still a picture."""
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


def vertical(height: int, width: int) -> float:
    """Say how surely a picture stands upright."""
    return ramp(height / width, *UPRIGHT)


def black_and_white(luma: Floats, chroma: Floats) -> float:
    """Say how surely a picture is without colour; an even or nearly black one tells nothing.

    A tinted one, sepia or blue, has colour: warm light on skin and wood looks just so.
    """
    if not luma.size or np.percentile(luma, 98) - np.percentile(luma, 2) < 24:
        return 0.0
    return ramp(float(np.percentile(chroma, 98)), *GREY_CHROMA)


def dark(luma: Floats) -> float:
    """Say how surely a picture is dark: little light on the whole, and no bright part."""
    if not luma.size:
        return 0.0
    bright = float(np.percentile(luma, 95))
    return min(ramp(float(luma.mean()), *DARK_MEAN), ramp(bright, *DARK_BRIGHT_PART))


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
    return ramp(float((rows.mean() + np.percentile(rows, 95)) / 2), *STILL_CHANGE)


def _pair(one: int, other: int, whole: int) -> float:
    wide = max(one, other)
    if not min(one, other) or (wide - min(one, other)) > max(1.0, BAR_UNLIKE * wide):
        return 0.0
    return ramp(min(one, other) / whole, *BAR_SHARE)
