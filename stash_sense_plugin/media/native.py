"""How much of a picture is kept where its very pixels are wanted."""

from math import sqrt

NATIVE_PIXELS = 9_500_000
"""Of larger pictures the middle is kept: 4K fits wholly (4096 x 2304 has 9.4 million), 8K does
not. A frame of so many pixels takes 28 MB."""
GRID_PX = 16
"""The middle begins at a multiple of it, so that a codec's blocks lie where they lay."""

Part = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


def middle(width: int, height: int) -> Part | None:
    """Return the part to keep of a picture that is too large as a whole; None where it is not."""
    if width * height <= NATIVE_PIXELS:
        return None
    scale = sqrt(NATIVE_PIXELS / (width * height))
    kept = min(width, _grid(width * scale)), min(height, _grid(height * scale))
    # A strip may be thinner than the grid, and then still be too long.
    kept = min(kept[0], NATIVE_PIXELS // kept[1]), min(kept[1], NATIVE_PIXELS // kept[0])
    left, top = ((whole - part) // 2 for whole, part in zip((width, height), kept, strict=True))
    return left // GRID_PX * GRID_PX, top // GRID_PX * GRID_PX, *kept


def _grid(side: float) -> int:
    return max(GRID_PX, int(side) // GRID_PX * GRID_PX)
