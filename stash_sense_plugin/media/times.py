"""Which moments of a scene to look at (pure)."""

from collections.abc import Iterable, Iterator
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.records import Frame, Pixels

THUMB_PX = (32, 18)
"""Width and height to which cheap frames are shrunk before they are compared."""
CHANGE_FLOOR = 4.0
"""Mean difference of grey values (0..255) below which a picture counts as unchanged; noise of
compression and of hands holding a camera stays under it."""

_Thumb = NDArray[np.int16]


def even_times(duration_s: float | None, count: int) -> tuple[float, ...]:
    """Return the midpoints of `count` equal parts, in seconds; none where there is no duration."""
    if duration_s is None or not isfinite(duration_s) or duration_s <= 0 or count <= 0:
        return ()
    return tuple((i + 0.5) * duration_s / count for i in range(count))


class Changes:
    """Where the picture changes in frames that go by; of each, only a thumbnail is looked at."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._changes: list[float] = []
        self._before: _Thumb | None = None

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> "Changes":
        """Return the changes in these frames."""
        changes = cls()
        for frame in frames:
            changes.see(frame)
        return changes

    def see(self, frame: Frame) -> None:
        """Compare a frame with the one before it."""
        thumb = _thumb(frame.pixels)
        before = self._before
        self._times.append(frame.time_s)
        self._changes.append(0.0 if before is None else float(np.abs(thumb - before).mean()))
        self._before = thumb

    def moments(self, count: int, duration_s: float | None) -> tuple[float, ...]:
        """Return up to `count` times in seconds, sorted, within the scene; see `moments`."""
        times = [_clipped(time_s, duration_s) for time_s in self._times]
        return tuple(sorted(times[i] for i in _chosen(times, self._changes, count)))


def moments(frames: Iterable[Frame], count: int, duration_s: float | None) -> tuple[float, ...]:
    """Return up to `count` times in seconds: the first, the last, and where the picture changes.

    Half of them go to the greatest changes and half to the frames farthest from all chosen ones,
    so that neither one lively minute nor a still scene leaves the rest unread.
    """
    return Changes.of(frames).moments(count, duration_s)


def _chosen(times: list[float], changes: list[float], count: int) -> set[int]:
    if count <= 0 or not times:
        return set()
    chosen = {0, len(times) - 1} if count > 1 else {len(times) // 2}
    inner = sorted(range(1, len(times) - 1), key=lambda i: (-changes[i], i))
    changing = [i for i in inner if changes[i] >= CHANGE_FLOOR]
    chosen.update(changing[: max(0, count - len(chosen) + 1) // 2])
    for index in _spread(times, chosen):
        if len(chosen) >= count:
            break
        chosen.add(index)
    return chosen


def _spread(times: list[float], chosen: set[int]) -> Iterator[int]:
    """Yield the frame that is farthest from all chosen ones, until none is left."""
    while len(chosen) < len(times):
        free = [i for i in range(len(times)) if i not in chosen]
        yield max(free, key=lambda i: (min(abs(times[i] - times[j]) for j in chosen), -i))


def _clipped(time_s: float, duration_s: float | None) -> float:
    return max(0.0, time_s if duration_s is None else min(time_s, duration_s))


def _thumb(pixels: Pixels) -> _Thumb:
    import cv2

    small = cv2.resize(pixels, THUMB_PX, interpolation=cv2.INTER_AREA)
    grey: _Thumb = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.int16)
    return grey
