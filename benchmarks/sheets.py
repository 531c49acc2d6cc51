"""Sprite sheets as Stash makes them: soft shapes and grain, as much work to decode as films."""

import io

import numpy as np
from PIL import Image

GRID = 9
TILE = (160, 90)
STEP_S = 10.0


def sheet(number: int, tile: tuple[int, int] = TILE, *, grey: bool = False) -> bytes:
    """Return a JPEG of 81 tiles of that width and height in pixels."""
    rng = np.random.default_rng(abs(number) + 1000)
    size = (GRID * tile[0], GRID * tile[1])
    soft = Image.fromarray(rng.integers(0, 256, (54, 96, 3), np.uint8)).resize(size)
    grain = rng.integers(-8, 9, (size[1], size[0], 1), np.int16)
    pixels = np.clip(np.asarray(soft, np.int16) + grain, 0, 255).astype(np.uint8)
    picture = Image.fromarray(pixels)
    file = io.BytesIO()
    (picture.convert("L").convert("RGB") if grey else picture).save(file, "JPEG", quality=85)
    return file.getvalue()


def vtt(tile: tuple[int, int] = TILE) -> bytes:
    """Return the cues of such a sheet: one tile each ten seconds."""
    lines = ["WEBVTT", ""]
    for i in range(GRID * GRID):
        x, y = i % GRID * tile[0], i // GRID * tile[1]
        times = f"{_stamp(i * STEP_S)} --> {_stamp((i + 1) * STEP_S)}"
        lines += [times, f"sprite.jpg#xywh={x},{y},{tile[0]},{tile[1]}", ""]
    return "\n".join(lines).encode()


def _stamp(time_s: float) -> str:
    minutes, seconds = divmod(time_s, 60)
    return f"{int(minutes // 60):02d}:{int(minutes % 60):02d}:{seconds:06.3f}"
