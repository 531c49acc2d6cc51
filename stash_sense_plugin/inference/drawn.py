"""Pictures that are drawn here, alike on every machine, to try a network on.

Photographs would have to be fetched or carried. These have what networks look for in photographs:
a ground and a sky that fade, solid things with light on one side, edges and stripes, skin and
earth and water tones, and detail at every size (noise of 1/f, as in pictures of nature).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

TONES = (
    (224, 172, 140),
    (141, 85, 56),
    (70, 110, 60),
    (60, 110, 170),
    (200, 60, 50),
    (235, 225, 200),
    (40, 40, 50),
    (230, 190, 60),
)
"""Light and dark skin, leaves, water, red, plaster, shade, yellow."""
SEED = 20_240_229
THINGS = 6


def pictures(count: int, side_px: int) -> list[Pixels]:
    """Draw so many different pictures, uint8 RGB [side, side, 3]; the same ones every time."""
    return [_drawn(np.random.default_rng(SEED + number), side_px) for number in range(count)]


def _drawn(dice: np.random.Generator, side_px: int) -> Pixels:
    across, down = np.meshgrid(*2 * [np.linspace(0, 1, side_px, dtype=np.float32)])
    canvas = _ground(dice, across, down)
    for _ in range(THINGS):
        canvas = _with_thing(dice, canvas, across, down)
    light = 1 - 0.5 * ((across - 0.5) ** 2 + (down - 0.5) ** 2)
    detail = dice.uniform(6, 30) * _grain(dice, side_px)
    lit = canvas * light[..., None] * dice.uniform(0.7, 1.1) + detail[..., None]
    return np.asarray(lit.clip(0, 255), np.uint8)


def _ground(dice: np.random.Generator, across: Floats, down: Floats) -> Floats:
    """Fade one tone into another from above, with a horizon somewhere."""
    above, below = (_tone(dice) for _ in range(2))
    edge = _step(down + dice.uniform(-0.2, 0.2) * across, dice.uniform(0.3, 0.7), 0.02)
    fade = (0.6 + 0.4 * down)[..., None]
    return np.asarray(fade * (above * (1 - edge[..., None]) + below * edge[..., None]), np.float32)


def _with_thing(dice: np.random.Generator, canvas: Floats, across: Floats, down: Floats) -> Floats:
    """Lay a ball or a box over the picture, turned, lit from one side, some of it striped."""
    x, y, turn = dice.uniform(0, 1), dice.uniform(0.2, 1), dice.uniform(0, np.pi)
    wide, high = dice.uniform(0.05, 0.3, 2)
    along = ((across - x) * np.cos(turn) + (down - y) * np.sin(turn)) / wide
    beside = ((down - y) * np.cos(turn) - (across - x) * np.sin(turn)) / high
    box = dice.uniform() < 0.4
    far = np.maximum(abs(along), abs(beside)) if box else np.sqrt(along**2 + beside**2)
    inside = 1 - _step(far, 1.0, 0.03)
    tone = _tone(dice)[None, None] * (0.75 - 0.3 * np.clip(along + beside, -1, 1))[..., None]
    if dice.uniform() < 0.5:
        tone = tone * (0.7 + 0.3 * np.sign(np.sin(along * dice.uniform(4, 30))))[..., None]
    return np.asarray(canvas * (1 - inside[..., None]) + tone * inside[..., None], np.float32)


def _step(values: Floats, edge: float, soft: float) -> Floats:
    """Go from 0 to 1 at `edge`, over about four times `soft`."""
    return np.asarray(1 / (1 + np.exp(np.clip((edge - values) / soft, -50, 50))), np.float32)


def _tone(dice: np.random.Generator) -> Floats:
    tone = np.array(TONES[dice.integers(len(TONES))], np.float32)
    return np.asarray(tone + dice.normal(0, 12, 3), np.float32)


def _grain(dice: np.random.Generator, side_px: int) -> Floats:
    """Return noise of mean 0 and deviation 1 whose amplitude falls with its frequency."""
    spectrum = np.fft.rfft2(dice.normal(size=(side_px, side_px)))
    rows, columns = np.fft.fftfreq(side_px), np.fft.rfftfreq(side_px)
    frequency = np.hypot(rows[:, None], columns[None])
    frequency[0, 0] = np.inf
    grain = np.fft.irfft2(spectrum / frequency, (side_px, side_px))
    return np.asarray(grain / max(float(grain.std()), 1e-6), np.float32)
