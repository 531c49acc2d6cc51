"""Pictures of any size into what a network takes, as its row of the catalogue says."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.session import Network
from stash_sense_plugin.records import Pixels

Floats = NDArray[np.float32]

MOST_ASPECT = 16
"""Of pictures longer than this many times their short side, only the middle is scaled: scaling
all of a line of 2048 x 1 pixels, to cut out its middle, would take over a gigabyte."""
MOST_SIDE_PX = 4096
"""Longer pictures are made smaller before they are laid on a square: that of a line of
60,000 x 2 pixels would take ten gigabytes."""
CHANNELS = 3


def feed(pictures: Sequence[Pixels], card: ModelCard, side_px: int) -> Floats:
    """Turn RGB uint8 pictures of any size into a network's input, float32.

    [b, 3, side, side], or [b, side, side, 3] where the card's order is nhwc. Each value is
    (x / scale - mean) / std; channels, mean and std stand in the order that the card's colour
    names.
    """
    levels = _levels(card.scale, card.mean, card.std)
    channels = (2, 1, 0) if card.colour == "bgr" else (0, 1, 2)
    batch = np.empty((len(pictures), CHANNELS, side_px, side_px), np.float32)
    for place, picture in zip(batch, pictures, strict=True):
        square = squared(picture, card, side_px)
        for index, channel in enumerate(channels):
            np.take(levels[index], square[..., channel], out=place[index])
    return np.ascontiguousarray(batch.transpose(0, 2, 3, 1)) if card.order == "nhwc" else batch


def input_side(network: Network, card: ModelCard, otherwise_px: int | None = None) -> int:
    """Return the side of the square that the network takes, in pixels.

    The graph's own word comes first, then the card's, then `otherwise_px`. Raises ModelBroken for
    a network that does not take square pictures in the card's order, or whose side none tells.
    """
    port = network.inputs[0]
    if len(network.inputs) != 1 or len(port.shape) != 4:
        raise ModelBroken(
            f"{card.name} takes {len(network.inputs)} inputs, the first with "
            f"{len(port.shape)} dimensions, not a batch of pictures",
            "check the files of its row in the catalogue",
        )
    *sides, channels = port.shape[1:] if card.order == "nhwc" else (*port.shape[2:], port.shape[1])
    if channels not in {None, CHANNELS} or len({side for side in sides if side}) > 1:
        raise ModelBroken(
            f"{card.name} takes pictures of shape {_told(port.shape)}, not three channels of a "
            f"square in the order {card.order}",
            "check order in its row of the catalogue",
        )
    side = sides[0] or sides[1] or card.size or otherwise_px
    if not side:
        raise ModelBroken(
            f"{card.name} takes pictures of any size, and its row names none",
            "write size into its row in the catalogue: the side in pixels that it was taught with",
        )
    return side


def _told(shape: Sequence[int | None]) -> str:
    return " x ".join("any" if side is None else str(side) for side in shape)


def squared(picture: Pixels, card: ModelCard, side_px: int) -> Pixels:
    """Make a picture the card's square: uint8 [side, side, 3], RGB."""
    if card.fit == "crop":
        return middle(picture, side_px, card.filter)
    picture = _shorter(picture)
    if card.fit == "pad":
        picture = _laid(picture, card.ground)
    return _scaled(picture, side_px, side_px, card.filter)


def middle(picture: Pixels, side_px: int, how: str = "bicubic") -> Pixels:
    """Scale the short side to `side_px` and cut out the middle square: uint8 [side, side, 3]."""
    picture = _less_long(picture)
    height, width = picture.shape[:2]
    short = min(height, width)
    new_h, new_w = int(side_px * height / short), int(side_px * width / short)
    scaled = _scaled(picture, new_h, new_w, how)
    # Torchvision cuts at the rounded middle of the scaled picture. To scale only what the cut
    # shows (PIL's `box`) is quicker and changes some values by one.
    top, left = round((new_h - side_px) / 2), round((new_w - side_px) / 2)
    return np.asarray(scaled[top : top + side_px, left : left + side_px], np.uint8)


def _less_long(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    most = MOST_ASPECT * min(height, width)
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    return picture[top : top + most, left : left + most]


def _shorter(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    share = MOST_SIDE_PX / max(height, width)
    if share >= 1:
        return picture
    return _scaled(picture, max(1, round(height * share)), max(1, round(width * share)), "area")


def _laid(picture: Pixels, ground: int) -> Pixels:
    """Lay a picture on the middle of a square as long as its longer side."""
    height, width = picture.shape[:2]
    side = max(height, width)
    if height == width:
        return picture
    square = np.full((side, side, CHANNELS), ground, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square


def _scaled(picture: Pixels, height: int, width: int, how: str) -> Pixels:
    from PIL import Image

    filters = {
        "bicubic": Image.Resampling.BICUBIC,
        "bilinear": Image.Resampling.BILINEAR,
        "lanczos": Image.Resampling.LANCZOS,
        "area": Image.Resampling.BOX,
    }
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((width, height), filters[how]))


@cache
def _levels(scale: float, mean: tuple[float, ...], std: tuple[float, ...]) -> Floats:
    """Return what each of the 256 values of a channel becomes: float32 [3, 256]."""
    values = np.arange(256, dtype=np.float32) / np.float32(scale)
    means = np.array(mean, np.float32)[:, None]
    return np.asarray((values - means) / np.array(std, np.float32)[:, None], np.float32)


def trial_pictures(side_px: int = 64) -> tuple[Pixels, Pixels, Pixels]:
    """Return plain grey, plain red and a pattern: what weights that none has run look at first."""
    grey, red = (np.full((side_px, side_px, 3), tone, np.uint8) for tone in (114, (200, 0, 0)))
    ramp = np.linspace(0, 255, side_px).astype(np.uint8)
    across, down = np.meshgrid(ramp, ramp)
    return grey, red, np.stack([across, down, across ^ down], axis=2)


def finite(output: NDArray[Any], card: ModelCard) -> NDArray[Any]:
    """Return the output where all of its numbers are finite; raises ModelBroken otherwise."""
    if not np.isfinite(output).all():
        raise ModelBroken(
            f"{card.name} answers with numbers that are none",
            "fetch the model again, or check its row in the catalogue",
        )
    return output
