"""Sprite sheets and their VTT, with Stash's wrong cue times."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from demo.stash.media import MediaError, VideoFacts, all_frames, frames_at

COLUMNS = 9
TILES = COLUMNS * COLUMNS
WIDTH = 160
SHORT_S = 5.0
"""Shorter videos, and those of no more frames than tiles, are cut by frame number."""
COVER_AT = 0.2
"""Where in the video its cover is taken, as a share of its length."""


@dataclass(frozen=True, slots=True)
class SpriteFiles:
    """Where the sheet and the VTT of a hash lie."""

    sheet: Path
    vtt: Path

    @property
    def ready(self) -> bool:
        """Whether both are there; the VTT is written last."""
        return self.sheet.exists() and self.vtt.exists()


def sprite_files(generated: Path, hash_: str) -> SpriteFiles:
    """The files of a hash, there or not."""
    folder = generated / "vtt"
    return SpriteFiles(folder / f"{hash_}_sprite.jpg", folder / f"{hash_}_thumbs.vtt")


def make_sprite(video: Path, facts: VideoFacts, files: SpriteFiles) -> None:
    """Write sheet and VTT. Raises MediaError when any one tile cannot be had."""
    if facts.duration_s <= 0 or not facts.video_codec:
        raise MediaError(f"{video} has no picture or no length")
    if facts.duration_s < SHORT_S or 0 < facts.frames <= TILES:
        tiles, step_s = _tiles_by_number(video, facts)
    else:
        tiles, step_s = _tiles_by_time(video, facts)
    files.sheet.parent.mkdir(parents=True, exist_ok=True)
    _sheet(tiles).save(files.sheet, quality=95)
    width, height = tiles[0].size
    files.vtt.write_text(_vtt(files.sheet.name, step_s, width, height), encoding="utf-8")
    files.vtt.chmod(0o600)


def _tiles_by_time(video: Path, facts: VideoFacts) -> tuple[list[Image.Image], float]:
    """Tile i shows i * duration / 81, but the cues go on by whole frames."""
    times = [number * facts.duration_s / TILES for number in range(TILES)]
    frames = facts.frames or int(facts.frame_rate * facts.duration_s)
    return list(frames_at(video, times, WIDTH)), frames // TILES / facts.frame_rate


def _tiles_by_number(video: Path, facts: VideoFacts) -> tuple[list[Image.Image], float]:
    """Tile i shows frame i * (frames - 1) / 81, some of them more than once."""
    frames = list(all_frames(video, WIDTH))
    if not frames:
        raise MediaError(f"{video} has no frame")
    step = (len(frames) - 1) / TILES
    tiles = [frames[int(number * step + 0.5)] for number in range(TILES)]
    return tiles, step / facts.frame_rate


def _sheet(tiles: list[Image.Image]) -> Image.Image:
    width, height = tiles[0].size
    sheet = Image.new("RGB", (width * COLUMNS, height * COLUMNS))
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % COLUMNS * width, number // COLUMNS * height))
    return sheet


def _vtt(sheet: str, step_s: float, width: int, height: int) -> str:
    lines = ["WEBVTT", ""]
    for number in range(TILES):
        x, y = number % COLUMNS * width, number // COLUMNS * height
        lines.append(f"{_stamp(number * step_s)} --> {_stamp((number + 1) * step_s)}")
        lines += [f"{sheet}#xywh={x},{y},{width},{height}", ""]
    return "\n".join(lines)


def _stamp(seconds: float) -> str:
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}.{milliseconds:03d}"


def cover(video: Path, facts: VideoFacts) -> Image.Image:
    """The picture that stands for a video. Raises MediaError when there is none."""
    for picture in frames_at(video, [facts.duration_s * COVER_AT], max(facts.width, 2)):
        return picture
    raise MediaError(f"{video} has no frame")
