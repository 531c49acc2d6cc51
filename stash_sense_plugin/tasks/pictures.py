"""Frames of a scene for who looks at its suggestions: tiles of Stash's own sheet, or drawn anew.

What is asked for are the times of evidence, which are those of the very frames that were looked
at: a tile where one was taken then, else the frame from the file.
"""

import io
import json
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import Any, Final

from stash_sense_plugin.errors import MediaError, MediaMissing, SettingsError, StashError
from stash_sense_plugin.media.patience import Beat, streamed
from stash_sense_plugin.media.sprites import MAX_VTT_BYTES, Cue, parse_vtt, true_times
from stash_sense_plugin.media.video import read_exact
from stash_sense_plugin.records import Frame, Pixels, Reporter, Scene
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import scenes_by_ids
from stash_sense_plugin.tasks.api import Picture, PicturesTold, Tile
from stash_sense_plugin.tasks.asked import PAGE_BYTES, listed, scene_id, shown, whole_number
from stash_sense_plugin.tasks.engine import Call, Engine

MOST: Final = 24
"""Frames of one call."""
WIDTHS_PX: Final = (80, 640)
WIDTH_PX: Final = 320
QUALITY: Final = 75
"""Of JPEG."""
SAME_S: Final = 0.001
"""Times are told in milliseconds."""
FAR_S: Final = 1.0
"""Evidence bears the time at which its frame begins; what begins further away is another one."""
READ_S: Final = 20.0
"""For how long the file is read; whoever looks at a page does not wait longer."""


def pictures(engine: Engine, call: Call, reporter: Reporter) -> PicturesTold:
    """Return the frames of `scene_id` at `times_s`, `width_px` wide where they are drawn anew.

    Raises SettingsError where Stash has no such scene, and for times that are none.
    """
    wanted, times_s = scene_id(call.args), _times(call.args)
    width_px = whole_number(call.args, "width_px", WIDTH_PX, *WIDTHS_PX)
    with engine.aside().stash(call, reporter) as client:
        found = scenes_by_ids(client, [wanted])
        if not found:
            raise SettingsError(f"Stash has no scene {wanted}", "open one that is there")
        album = _Album(found[0], client, reporter, width_px)
        return album.at(times_s)


def _times(args: Mapping[str, object]) -> list[float]:
    times_s = [_time(each) for each in listed(args, "times_s")]
    if not 1 <= len(times_s) <= MOST:
        raise SettingsError(f"times_s names {len(times_s)} times", f"give 1 to {MOST} at a time")
    return times_s


def _time(value: object) -> float:
    number = float(value) if type(value) in (int, float) and abs(value) < 1e9 else -1.0  # type: ignore[arg-type]
    if not isfinite(number) or number < 0:
        raise SettingsError(f"{shown(value)} is no time of a scene", "give seconds from 0 on")
    return number


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The tiles of a sprite sheet, by time."""

    path: str
    cues: Sequence[Cue]
    times_s: Sequence[float]

    def at(self, time_s: float) -> Tile | None:
        """Return the tile that was taken at a time."""
        tile = self._nearest(time_s)
        return self._told(tile) if abs(self.times_s[tile] - time_s) <= SAME_S else None

    def near(self, time_s: float) -> Tile:
        """Return the tile nearest to a time."""
        return self._told(self._nearest(time_s))

    def _nearest(self, time_s: float) -> int:
        return min(range(len(self.times_s)), key=lambda i: abs(self.times_s[i] - time_s))

    def _told(self, tile: int) -> Tile:
        cue = self.cues[tile]
        return {
            "path": self.path,
            "x": cue.x,
            "y": cue.y,
            "width": cue.w,
            "height": cue.h,
            # Stash puts tile beside tile: the outermost end where the sheet does.
            "sheet_width": max(each.x + each.w for each in self.cues),
            "sheet_height": max(each.y + each.h for each in self.cues),
        }


@dataclass
class _Album:
    """The frames of one scene."""

    scene: Scene
    client: StashClient
    reporter: Reporter
    width_px: int
    _notes: list[str] = field(default_factory=list)

    def at(self, times_s: Sequence[float]) -> PicturesTold:
        """Return the frames at some times, in their order."""
        tiles = {time_s: self._tile(time_s) for time_s in times_s}
        drawn = self._drawn([time_s for time_s in dict.fromkeys(times_s) if tiles[time_s] is None])
        told: list[Picture] = []
        room = PAGE_BYTES
        for time_s in times_s:
            one: Picture = {"time_s": time_s, "tile": tiles[time_s], "data": drawn.get(time_s)}
            if one["tile"] is None and one["data"] is None and self._sheet is not None:
                one["tile"] = self._sheet.near(time_s)
            length = len(json.dumps(one))
            if length > room:
                self._note("The reply is full: ask for fewer frames at a time, or narrower ones")
                one["data"], length = None, 0
            room -= length
            told.append(one)
        return {"pictures": told, "note": "; ".join(self._notes)}

    def _note(self, sentence: str) -> None:
        if sentence not in self._notes:
            self._notes.append(sentence)

    @cached_property
    def _sheet(self) -> _Sheet | None:
        scene = self.scene
        if not scene.vtt_path or not scene.sprite_path:
            return None
        try:
            vtt = self.client.get(scene.vtt_path)[: MAX_VTT_BYTES + 1]
            if len(vtt) > MAX_VTT_BYTES:
                return None
            cues = parse_vtt(vtt.decode("utf-8", errors="replace"))
        except (MediaError, StashError):
            return None
        return _Sheet(scene.sprite_path, cues, true_times(cues, scene.duration_s))

    def _tile(self, time_s: float) -> Tile | None:
        return None if self._sheet is None else self._sheet.at(time_s)

    def _drawn(self, times_s: Sequence[float]) -> dict[float, str]:
        """Return by time the frames of the file, as `data:` addresses; those that can be read."""
        if not times_s:
            return {}
        try:
            if not self.scene.path:
                raise MediaMissing(f"{self.scene.source} has no file", "scan the library in Stash")
            return self._frames(times_s)
        except MediaError as error:
            self._note(str(error))
            return {}

    @property
    def _side_px(self) -> int:
        """The longer side of what is drawn."""
        scene = self.scene
        upright = scene.height / scene.width if scene.width else 1.0
        return round(self.width_px * min(max(1.0, upright), 4.0))

    def _frames(self, times_s: Sequence[float]) -> dict[float, str]:
        path = self.scene.path
        # Told in milliseconds, a time may lie just before its own frame.
        wanted_s = sorted(time_s + SAME_S / 2 for time_s in times_s)

        def read(beat: Beat) -> Any:
            return read_exact(path, wanted_s, self._side_px, "", READ_S, beat)

        frames: list[Frame] = []
        for frame in streamed(read, self.reporter.check, path):
            self.reporter.check()
            frames.append(frame)
        starts_s = [frame.time_s for frame in frames]
        addresses: dict[int, str] = {}
        found: dict[float, str] = {}
        for time_s in times_s:
            place = max(0, bisect_right(starts_s, time_s + SAME_S) - 1)
            if abs(starts_s[place] - time_s) > FAR_S:
                self._note("Not every frame of the file can be read")
                continue
            if place not in addresses:
                addresses[place] = _address(frames[place].pixels)
            found[time_s] = addresses[place]
        return found


def _address(pixels: Pixels) -> str:
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{b64encode(held.getvalue()).decode()}"
