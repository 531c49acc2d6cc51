"""Light and bars: what detectors that judge the picture itself measure alike."""

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.records import Pixels

Floats = NDArray[np.float32]

SIDE_PX = 96
"""The longer side of a picture that was reduced."""
BAR_LUMA = 26.0
"""A bar's lines are no brighter; black is 16 in some videos' range."""
BAR_STEP = 5.0
"""A bar's lines differ by no more from its outermost: a dark picture goes on beyond it."""
BAR_SPREAD = 6.0
"""A bar's lines are no rougher: mean difference from their own median."""

Bars = tuple[int, int, int, int]
"""Lines of even black at the top, bottom, left and right."""


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


def find_bars(luma: Floats) -> Bars:
    """Count the lines of even black at the four edges; none in a picture that is black."""
    top, bottom = _edges(luma)
    left, right = _edges(luma.T)
    if top + bottom >= luma.shape[0] or left + right >= luma.shape[1]:
        return 0, 0, 0, 0
    return top, bottom, left, right


def _edges(luma: Floats) -> tuple[int, int]:
    middles = np.median(luma, axis=1)
    smooth = np.abs(luma - middles[:, None]).mean(axis=1) <= BAR_SPREAD
    return _run(middles, smooth), _run(middles[::-1], smooth[::-1])


def _run(middles: Floats, smooth: NDArray[np.bool_]) -> int:
    """Count the lines from the first on that are as black and even as a bar."""
    bar = smooth & (middles <= BAR_LUMA) & (np.abs(middles - middles[0]) <= BAR_STEP)
    return len(bar) if bar.all() else int(np.argmin(bar))


def ramp(value: float, nothing: float, everything: float) -> float:
    """Map a measure to 0..1: 0 at `nothing`, 1 at `everything`, straight between."""
    return float(min(1.0, max(0.0, (value - nothing) / (everything - nothing))))
