"""How good the picture itself is: sharp, well lit, without blocks, and of what resolution.

Sharpness is read from the spectrum. The power of natural pictures falls with the square of the
frequency (Field 1987), so that power times frequency squared stays level up to where detail ends:
at the edge of the spectrum for a sharp picture, at half of it for one enlarged twofold. Only the
sharpest places are looked at, so that sky, walls and drawn areas do not count, and what the
smoothest places hold as well is noise, and is taken off.

Not measured: how a picture was made softer (enlarging, a soft lens and a codec that smoothed all
away leave the same spectrum), enlarging by less than half as much again, blocks of codecs that
smooth their edges (H.264, HEVC: they smear instead), combed lines of interlaced video, and whether
dark or bright is meant so. How often each fact is told: benchmarks/quality.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.detectors.lumas import Floats, find_bars, ramp, reduced
from stash_sense_plugin.records import Frame, Observation, Pixels, Wants

VERSION = "1"
"""Raised when a fact is measured in another way."""

TILE_PX = 64
"""Side of the places that are looked at: a spectrum of 32 steps."""
SHARPEST = 0.1
"""The part of a picture by which its sharpness is judged: a subject before a soft ground is sharp,
a title over a soft picture is not enough."""
FEWEST_TILES = 4
SMOOTHEST = 0.1
"""The part of a picture that tells its noise."""
LEAST_POWER = 20.0
"""Variance of luma that a place must have to tell anything: a plain frame does not."""
EVEN_STEPS = slice(1, 4)
"""Steps of the spectrum that even a blurred picture holds: the others are measured by them."""
WEAKER_DB, WEAKEST_DB = -8.0, -16.0
"""Detail begins to end at the one, and has ended at the other."""

BLURRY_LINES = (0.38, 0.25)
"""Lines of detail by the picture's own, or by 720 where it has more: no blur seen, surely some."""
SEEN_LINES = 720
UPSCALED_REACH = (0.8, 0.64)
"""How far the spectrum reaches, 0..1: as a soft lens leaves it, and as enlarging twofold does."""
ENDS_WEIGHT = 0.1
"""By how much the end of all detail counts beside where it begins to end: codecs fill the spectrum
up again, so that it is often not seen."""
CLASSES = {"sd": 480, "hd": 720, "full-hd": 1080, "4k": 2160}
SUPPORTS_LINES = (0.55, 0.8)
"""Lines of detail by those of a class: not of it, and surely of it. Lenses and codecs take a
fifth of what the pixels could hold."""

LEAST_OF_CLASS = 0.9
"""A file with fewer lines than this part of a class's is not of it, however sharp."""

CLIPPED_LUMA, BRIGHT_LUMA = 250, 225
CLIPPED_PART = (0.15, 0.4)
"""Part of the picture without any drawing left in its lights: windows, and surely too much."""
BRIGHT_BY_CLIPPED = (0.02, 0.1)
"""Nearly clipped beside clipped: a page or a title's ground is white alone."""
DIM_LUMA = (110.0, 60.0)
"""Luma of the brightest fiftieth: lit, and surely too little."""
BLACK_LUMA = 24.0
"""A frame whose brightest fiftieth is no brighter is black: it tells nothing."""
PLAIN_SPREAD = 24.0
"""Darkest and brightest fiftieth of a plain one lie no further apart: it tells nothing either."""

BLOCK_PX = 8
BLOCK_STEP = (1.0, 2.2)
"""How much greater the steps on the blocks' grid are, in luma: unseen, and surely seen."""
MOST_STEP = 12.0
"""Greater steps are the picture's own."""


class QualityDetector:
    """Judges frames by their own pixels; knows nothing of what they show."""

    name: ClassVar[str] = "quality"
    wants: ClassVar[Wants] = Wants.NATIVE
    min_side_px: ClassVar[int] = 0
    model: ClassVar[str] = f"quality@{VERSION}"
    device: ClassVar[str] = "cpu"
    precision: ClassVar[str] = "fp32"

    def __init__(self, batch: int = 4) -> None:
        self.batch = batch

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        """Yield `quality/...` facts with scores above 0, 0..1, in the order of the frames.

        A plain or black frame yields nothing.
        """
        for frame in frames:
            for fact, score in facts(frame.pixels, frame.whole):
                if score > 0:
                    yield Observation(
                        scene_key=frame.scene_key,
                        frame_index=frame.index,
                        time_s=frame.time_s,
                        detector=self.name,
                        model=self.model,
                        label=f"quality/{fact}",
                        score=score,
                    )


def facts(pixels: Pixels, whole: tuple[int, int] | None = None) -> Iterator[tuple[str, float]]:
    """Yield each fact of an RGB picture with its score; `whole` is the size that it is part of."""
    luma = inner_luma(pixels)
    light = lighting(luma)
    if light is None:
        return
    yield "overexposed", light.over
    yield "underexposed", light.under
    yield "blocky", blocky(luma)
    detail = find_detail(luma)
    if detail is None:
        return
    height, width = pixels.shape[:2]
    lines = lines_of(*(whole or (width, height)))
    yield "blurry", blurry(detail, lines)
    yield "upscaled", upscaled(detail)
    for name, class_lines in CLASSES.items():
        yield f"supports-{name}", supports(detail, lines, class_lines)


def inner_luma(pixels: Pixels) -> NDArray[np.uint8]:
    """Return the luma, uint8 [height, width], of an RGB picture without its bars."""
    import cv2

    luma = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    small = np.asarray(cv2.cvtColor(reduced(pixels), cv2.COLOR_RGB2GRAY), np.float32)
    bars = find_bars(small)
    height, width = luma.shape
    # A line of the reduced picture that is part bar is not one: a bar may go on by one line.
    top, bottom = (_grown(bar, height / small.shape[0]) for bar in bars[:2])
    left, right = (_grown(bar, width / small.shape[1]) for bar in bars[2:])
    inner = luma[top : height - bottom, left : width - right]
    return inner if inner.size else luma


def _grown(bar: int, scale: float) -> int:
    return int(np.ceil((bar + 1) * scale)) if bar else 0


def lines_of(width: int, height: int) -> float:
    """Return how many lines a picture has, as resolutions are called: 1920 x 800 is 1080."""
    long, short = max(width, height), min(width, height)
    return max(float(short), long * 9 / 16)


# --- Light -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Light:
    """How surely a picture has too much, or too little of it, 0..1."""

    over: float
    under: float


def lighting(luma: NDArray[np.uint8]) -> Light | None:
    """Judge the exposure of a luma, uint8; None for a black or plain one."""
    counts = np.bincount(luma.ravel(), minlength=256)
    below = np.cumsum(counts) / luma.size
    low, high = (int(np.searchsorted(below, part)) for part in (0.02, 0.98))
    if high < BLACK_LUMA or high - low < PLAIN_SPREAD:
        return None
    clipped = float(counts[CLIPPED_LUMA:].sum()) / luma.size
    bright = float(counts[BRIGHT_LUMA:CLIPPED_LUMA].sum()) / luma.size
    near = ramp(bright / clipped, *BRIGHT_BY_CLIPPED) if clipped else 0.0
    return Light(near * ramp(clipped, *CLIPPED_PART), ramp(float(high), *DIM_LUMA))


# --- Blocks ------------------------------------------------------------------------------------


def blocky(luma: NDArray[np.uint8]) -> float:
    """Say how surely the blocks of a codec are seen: steps on a grid of 8, both ways."""
    across, down = grid_step(luma), grid_step(luma.T)
    return ramp(float(np.sqrt(max(0.0, across) * max(0.0, down))), *BLOCK_STEP)


def grid_step(luma: NDArray[np.uint8]) -> float:
    """Return by how much, in luma, steps to the right are greater on a grid of 8 than beside it.

    A step counts by what it exceeds both its neighbours: the picture's own slopes and texture do
    so on the grid as often as beside it, and stripes lie on a grid one way only.
    """
    if luma.shape[1] < 4 * BLOCK_PX:
        return 0.0
    steps = np.abs(np.diff(luma.astype(np.int16), axis=1))
    excess = steps[:, 1:-1] - np.maximum(steps[:, :-2], steps[:, 2:])
    columns = np.clip(excess, 0, MOST_STEP).mean(axis=0)
    phases = np.array([np.mean(columns[phase::BLOCK_PX]) for phase in range(BLOCK_PX)])
    return float(phases.max() - np.median(phases))


# --- Detail ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Detail:
    """How far the spectrum of the sharpest places reaches, 0..1 of what the pixels could hold."""

    fades: tuple[float, float]
    """Where it begins to end: across and down."""
    ends: tuple[float, float]
    """Where nothing is left."""


def find_detail(luma: NDArray[np.uint8]) -> Detail | None:
    """Measure a luma, uint8; None where too little of it tells anything."""
    across, down = _reach(luma), _reach(luma.T)
    if across is None or down is None:
        return None
    return Detail((across[0], down[0]), (across[1], down[1]))


def blurry(detail: Detail, lines: float) -> float:
    """Say how surely blur is seen, also where it goes one way only (a moving camera)."""
    across, down = detail.fades
    return ramp(float(np.sqrt(across * down)) * lines / min(lines, SEEN_LINES), *BLURRY_LINES)


def upscaled(detail: Detail) -> float:
    """Say how surely a picture of half the size would hold all of its detail, both ways.

    Enlarging, a very soft lens and a codec that smoothed all away leave the same spectrum.
    """
    reaches = [
        (1 - ENDS_WEIGHT) * fades + ENDS_WEIGHT * ends
        for fades, ends in zip(detail.fades, detail.ends, strict=True)
    ]
    return ramp(max(reaches), *UPSCALED_REACH)


def supports(detail: Detail, lines: float, class_lines: int) -> float:
    """Say how surely the detail needs a resolution of so many lines."""
    if lines < LEAST_OF_CLASS * class_lines:
        return 0.0
    across, down = detail.fades
    return ramp(float(np.sqrt(across * down)) * lines / class_lines, *SUPPORTS_LINES)


def _reach(luma: NDArray[np.uint8]) -> tuple[float, float] | None:
    """Return where the spectrum along the rows begins to end, and where it has ended, 0..1."""
    tiles = _tiles(luma)
    if len(tiles) < FEWEST_TILES:
        return None
    steps = np.abs(np.diff(tiles, axis=2)).astype(np.float32)
    activity = np.square(steps, out=steps).mean(axis=(1, 2))
    order = np.argsort(-activity, kind="stable")
    sharp = tiles[order[: max(FEWEST_TILES, round(SHARPEST * len(tiles)))]]
    smooth = tiles[order[-max(1, round(SMOOTHEST * len(tiles))) :]]
    telling = sharp[sharp.var(axis=(1, 2)) >= LEAST_POWER]
    if len(telling) < FEWEST_TILES:
        return None
    levels = _levels_db(_power(telling), _noise(_power(smooth)))
    return _until(levels, WEAKER_DB), _until(levels, WEAKEST_DB)


def _tiles(luma: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Cut a luma into tiles, int16 [count, 64, 64]; what is left at its edges is left out."""
    rows, columns = (side // TILE_PX for side in luma.shape)
    cut = luma[: rows * TILE_PX, : columns * TILE_PX].astype(np.int16)
    tiles = cut.reshape(rows, TILE_PX, columns, TILE_PX).swapaxes(1, 2)
    return tiles.reshape(-1, TILE_PX, TILE_PX)


def _power(tiles: NDArray[np.int16]) -> Floats:
    """Return each tile's power along its rows, [count, 33], times the frequency squared."""
    window = np.hanning(TILE_PX + 1)[:TILE_PX].astype(np.float32)
    centred = tiles - tiles.mean(axis=2, keepdims=True, dtype=np.float32)
    power = np.square(np.abs(np.fft.rfft(centred * window, axis=2))).mean(axis=1)
    return np.asarray(power * np.square(np.arange(power.shape[1])), np.float32)


def _noise(power: Floats) -> Floats:
    """Return what noise adds to a spectrum, [33]: as much at every step, times its square.

    The upper half of smooth places' spectra tells it: below lie their own slopes.
    """
    squares = np.square(np.arange(power.shape[1], dtype=np.float32))
    upper = slice(power.shape[1] // 2, None)
    return np.asarray(np.median(power[:, upper] / squares[upper]) * squares, np.float32)


def _levels_db(power: Floats, noise: Floats) -> Floats:
    """Return the tiles' common spectrum, free of noise, in decibels by what any picture holds."""
    free = np.maximum(power - noise, 1e-3 * power + 1e-9)
    own = free / free[:, EVEN_STEPS].mean(axis=1, keepdims=True)
    levels = 10 * np.log10(own).mean(axis=0)
    # Blocks of 8 make every eighth step stand out, over three steps: a median of five takes them.
    padded = np.pad(levels, 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1))


def _until(levels: Floats, least_db: float) -> float:
    """Return the part of the spectrum before it first falls below a level, between two steps."""
    low = EVEN_STEPS.stop - 1
    below = np.flatnonzero(levels[low:] < least_db)
    if not len(below):
        return 1.0
    step = low + int(below[0])
    before, after = float(levels[step - 1]), float(levels[step])
    within = ramp(least_db, before, after) if after < before else 0.0
    return (step - 1 + within) / (len(levels) - 1)
