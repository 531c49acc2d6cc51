"""Small clips whose frames carry their number, for the tests of what reads video."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from stash_sense_plugin.records import Pixels

BITS = 10
TICKS = 1000
"""Time stamps of clips of variable rate are whole milliseconds."""


def numbered(number: int, width: int, height: int) -> Pixels:
    """A picture whose upper half holds `number` in black and white bars; the lower left is red."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        pixels[: height // 2, left:right] = 255 * (number >> bit & 1)
    pixels[height // 2 :, : width // 2] = (255, 0, 0)
    return pixels


def number_of(pixels: Pixels) -> int:
    """The number that a frame carries, read from the middle of its bars."""
    height, width = pixels.shape[:2]
    middles = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return sum(int(pixels[height // 4, x].mean() > 127) << bit for bit, x in enumerate(middles))


def write_clip(
    path: Path,
    count: int = 100,
    fps: int = 10,
    gop: int = 10,
    size: tuple[int, int] = (160, 96),
    pix_fmt: str = "yuv420p",
    codec: str = "libx264",
    times_s: Sequence[float] | None = None,
    b_frames: int = 0,
    aspect: Fraction | None = None,
    ticks: int | None = None,
) -> Path:
    """Write a clip of `count` numbered frames, evenly timed unless `times_s` says when.

    `ticks` is how many an mp4 counts to the second.
    """
    options = {"video_track_timescale": str(ticks)} if ticks else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        # AVI fills every tick without a picture with an empty one.
        stream.codec_context.time_base = Fraction(1, TICKS if times_s else fps)
        stream.codec_context.gop_size = gop
        stream.codec_context.max_b_frames = b_frames
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "sc_threshold": "0", "bf": str(b_frames)}
        if codec.startswith("libvpx"):
            stream.options = {"deadline": "realtime", "cpu-used": "8"}
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered(number, *size), "rgb24")
            time_s = times_s[number] if times_s else number / fps
            base = stream.codec_context.time_base
            frame.pts, frame.time_base = round(time_s / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """Write a second of silence, and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn(path: Path, degrees: int) -> None:
    """Write a rotation into an mp4's track header, clockwise as a phone held so would."""
    unit = 0x10000
    a, b = {90: (0, unit), 180: (-unit, 0), 270: (0, -unit)}[degrees]
    matrix = np.array([a, b, 0, -b, a, 0, 0, 0, 0x40000000], ">i4").tobytes()
    data = bytearray(path.read_bytes())
    # Version 0 of the box: 40 bytes after its name come the nine numbers.
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = matrix
    path.write_bytes(data)
