"""Sprite sheets: every tile at its true time, and nothing believed of a hostile VTT or sheet."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stash_sense_plugin.errors import MediaMissing, MediaUnreadable
from stash_sense_plugin.media.sprites import (
    MAX_CUES,
    Cue,
    parse_vtt,
    sprite_key,
    sprite_sampling,
    true_times,
)
from stash_sense_plugin.media.video import read_exact
from stash_sense_plugin.records import Frame, FrameSource, Pixels, Sampling

TILE = (16, 10)


def stamp(time_s: float) -> str:
    whole, thousandth = divmod(round(time_s * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{thousandth:03}"


def vtt_of(
    columns: int, rows: int, step_s: float = 1.0, tile: tuple[int, int] = TILE, name: str = "s.jpg"
) -> str:
    lines = ["WEBVTT", ""]
    for i in range(columns * rows):
        x, y = i % columns * tile[0], i // columns * tile[1]
        lines += [
            f"{stamp(i * step_s)} --> {stamp((i + 1) * step_s)}",
            f"{name}#xywh={x},{y},{tile[0]},{tile[1]}",
            "",
        ]
    return "\n".join(lines)


def sheet_of(columns: int, rows: int, tile: tuple[int, int] = TILE) -> bytes:
    """A sheet whose tile i has the red of i."""
    pixels = np.zeros((rows * tile[1], columns * tile[0], 3), np.uint8)
    for i in range(columns * rows):
        x, y = i % columns * tile[0], i // columns * tile[1]
        pixels[y : y + tile[1], x : x + tile[0], 0] = i
    return png(pixels)


def png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def sampling_of(vtt: str, sheet: bytes, duration_s: float | None = None) -> Sampling:
    return sprite_sampling(vtt.encode(), lambda: sheet, len(sheet), duration_s, "scene:1")


def reds(frames: list[Frame]) -> list[int]:
    return [int(frame.pixels[0, 0, 0]) for frame in frames]


@pytest.mark.parametrize(("tile", "told"), [((1920, 1080), True), ((5000, 5000), False)])
def test_a_tile_is_no_larger_than_a_picture_on_a_screen(tile: tuple[int, int], told: bool) -> None:
    vtt = vtt_of(1, 1, tile=tile)
    if told:
        assert len(parse_vtt(vtt)) == 1
        return
    with pytest.raises(MediaUnreadable, match="a tile of 5000 x 5000"):
        parse_vtt(vtt)


@pytest.mark.parametrize("grid", [(9, 9), (1, 1), (3, 2), (12, 7)], ids=str)
def test_every_tile_of_any_grid_is_a_frame(grid: tuple[int, int]) -> None:
    frames = list(sampling_of(vtt_of(*grid), sheet_of(*grid)).frames())
    count = grid[0] * grid[1]
    assert reds(frames) == list(range(count))
    assert [frame.index for frame in frames] == list(range(count))
    assert {frame.pixels.shape for frame in frames} == {(10, 16, 3)}
    assert {frame.source for frame in frames} == {FrameSource.SPRITE}


def test_the_left_column_and_the_top_row_count() -> None:
    cues = parse_vtt(vtt_of(9, 9))
    assert sum(cue.x == 0 for cue in cues) == 9
    assert sum(cue.y == 0 for cue in cues) == 9


def test_cues_are_scaled_to_the_scene() -> None:
    cues = parse_vtt(vtt_of(9, 9))
    assert cues[-1].end_s == 81
    times_s = true_times(cues, 87.0)
    assert times_s[0] == 0
    assert times_s[-1] == pytest.approx(80 * 87 / 81)


def test_cues_of_no_length_are_spread_over_the_scene() -> None:
    cues = parse_vtt(vtt_of(2, 2, step_s=0))
    assert true_times(cues, 0.4) == pytest.approx((0, 0.1, 0.2, 0.3))


def test_a_vtt_of_a_part_of_the_scene_is_not_stretched() -> None:
    assert true_times(parse_vtt(vtt_of(2, 2)), 40.0) == (0, 1, 2, 3)


@pytest.mark.parametrize("duration_s", [None, 0.0, -1.0, float("nan"), float("inf")], ids=str)
def test_without_a_duration_the_cues_stand(duration_s: float | None) -> None:
    assert true_times(parse_vtt(vtt_of(3, 1)), duration_s) == (0, 1, 2)


@given(
    starts=st.lists(st.floats(0, 1e6), min_size=1, max_size=50),
    length_s=st.floats(0, 1e5),
    duration_s=st.floats(1e-3, 1e6),
)
def test_times_lie_in_the_scene_and_keep_their_order(
    starts: list[float], length_s: float, duration_s: float
) -> None:
    cues = [Cue(start, start + length_s, 0, 0, 1, 1) for start in sorted(starts)]
    times_s = true_times(cues, duration_s)
    assert list(times_s) == sorted(times_s)
    assert all(0 <= time_s <= duration_s for time_s in times_s)


def test_the_key_follows_the_vtt_and_the_sheets_size() -> None:
    key = sprite_key(b"vtt", 5)
    assert key.startswith("sprite:")
    assert len(key) == len("sprite:") + 16
    assert len({key, sprite_key(b"vtt2", 5), sprite_key(b"vtt", 6), sprite_key(b"vtt", 5)}) == 3


def test_the_sheet_is_read_only_when_frames_are() -> None:
    def away() -> bytes:
        raise MediaMissing("No sheet here")

    sampling = sprite_sampling(vtt_of(3, 3).encode(), away, 100, 9.0, "scene:1")
    assert len(sampling.times_s) == 9
    with pytest.raises(MediaMissing):
        next(sampling.frames())


def test_tiles_beyond_the_sheet_are_left_out() -> None:
    # Nine tiles, and a sheet whose last row is two pixels short.
    cut = np.asarray(Image.open(io.BytesIO(sheet_of(3, 3))))[:28]
    frames = list(sampling_of(vtt_of(3, 3), png(cut), 9.0).frames())
    assert reds(frames) == [0, 1, 2, 3, 4, 5]
    assert [frame.time_s for frame in frames] == [0, 1, 2, 3, 4, 5]


def test_a_sheet_of_another_video_is_unreadable() -> None:
    with pytest.raises(MediaUnreadable, match="holds only 1 of the 81 tiles"):
        next(sampling_of(vtt_of(9, 9), sheet_of(1, 1)).frames())


@pytest.mark.parametrize(
    "sheet",
    [b"", b"404 page not found", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\xff\xd8\xff\xe0"],
    ids=["empty", "text", "svg", "stub of a JPEG"],
)
def test_what_is_no_picture_is_unreadable(sheet: bytes) -> None:
    with pytest.raises(MediaUnreadable, match="sprite sheet of scene:1"):
        next(sampling_of(vtt_of(2, 2), sheet).frames())


def test_a_sheet_cut_off_is_unreadable() -> None:
    file = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (90, 144, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    with pytest.raises(MediaUnreadable, match="truncated"):
        next(sampling_of(vtt_of(9, 9), file.getvalue()[:3000]).frames())


def test_an_enormous_sheet_is_refused_from_its_header() -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(MediaUnreadable, match="20000 x 20000"):
        next(sampling_of(vtt_of(9, 9), bomb).frames())


def test_a_name_in_the_vtt_is_never_used() -> None:
    frames = sampling_of(vtt_of(2, 2, name="../../etc/passwd"), sheet_of(2, 2)).frames()
    assert reds(list(frames)) == [0, 1, 2, 3]


def one(times: str = "00:00:00.000 --> 00:00:01.000", place: str = "s.jpg#xywh=0,0,16,10") -> str:
    return f"WEBVTT\n\n{times}\n{place}\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "404 page not found",
        "WEBVTT\n\n",
        "\x00\x01\x02",
        one(place="s.jpg"),
        one(place="s.jpg#xywh=-16,0,16,10"),
        one(place="s.jpg#xywh=0,0,0,10"),
        one(place="s.jpg#xywh=0,0,16"),
        one(place="s.jpg#xywh=nan,0,16,10"),
        one(place="s.jpg#xywh=0,0,99999999999999999999,10"),
        one(place="s.jpg#xywh=٣,0,16,10"),
        one(times="00:00:NaN --> 00:00:01.000"),
        one(times="00:00:05.000 --> 00:00:01.000"),
        one(times="-00:00:05.000 --> 00:00:01.000"),
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000",
        vtt_of(MAX_CUES + 1, 1),
    ],
)
def test_nonsense_is_unreadable(text: str) -> None:
    with pytest.raises(MediaUnreadable, match="VTT cannot be read"):
        parse_vtt(text)


@given(st.text(max_size=300) | st.text("WEBVTT\n0:.-> #xywh=,1", max_size=300).map(one))
def test_no_text_does_worse_than_unreadable(text: str) -> None:
    try:
        cues = parse_vtt(text)
    except MediaUnreadable:
        return
    assert all(cue.w > 0 and cue.h > 0 and cue.start_s <= cue.end_s for cue in cues)


@pytest.mark.parametrize("dress", [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: "\ufeff" + text,
    lambda text: text.replace("00:00:", "00:"),
    lambda text: text.replace(".000", ",000"),
    lambda text: text.replace("#xywh=", "#xywh=pixel:"),
    lambda text: text.replace("\n\n00", "\n\ncue\n00"),
    lambda text: text.replace(".000\n", ".000 align:start\n"),
], ids=["CRLF", "BOM", "no hours", "comma", "pixel", "cue ids", "settings"])  # fmt: skip
def test_a_vtt_by_other_hands_is_read(dress: Callable[[str], str]) -> None:
    assert parse_vtt(dress(vtt_of(3, 3))) == parse_vtt(vtt_of(3, 3))


def test_a_vtt_too_large_is_refused() -> None:
    with pytest.raises(MediaUnreadable, match="bytes"):
        sampling_of("WEBVTT" + " " * 2_000_000, b"")


def real_sampling(real: Path, name: str, duration_s: float) -> Sampling:
    (sheet,) = (real / "sprites").glob(f"{name}.*_sprite.jpg")
    (vtt,) = (real / "sprites").glob(f"{name}.*_thumbs.vtt")
    data = sheet.read_bytes()
    return sprite_sampling(vtt.read_bytes(), lambda: data, len(data), duration_s, name)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "video", "duration_s"),
    [
        ("labelled_mp4", "labelled.mp4", 87.0),
        ("one_by_one_person_detection_mp4", "one-by-one-person-detection.mp4", 139.4),
        ("bottle_detection_mp4", "bottle-detection.mp4", 39.854749),
    ],
)
def test_a_real_tile_shows_the_picture_of_its_time(
    real: Path, name: str, video: str, duration_s: float
) -> None:
    """Of the video's pictures around a tile's time, the most alike lies within half a step."""
    tiles = list(real_sampling(real, name, duration_s).frames())
    assert len(tiles) == 81
    step_s = duration_s / 81
    path = real / "videos" / video
    for tile in tiles[::8]:
        around = [tile.time_s + step_s * part / 8 for part in range(-16, 17)]
        within = [time_s for time_s in around if 0 <= time_s < duration_s]
        pictures = list(read_exact(path, within, 160, "k"))
        unlike = [distance(tile.pixels, picture.pixels) for picture in pictures]
        near = [abs(picture.time_s - tile.time_s) <= step_s / 2 for picture in pictures]
        best = min(value for value, is_near in zip(unlike, near, strict=True) if is_near)
        # Where the video stands still, pictures outside are as alike as those inside.
        assert best <= min(unlike) + 0.5


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "duration_s", "shape"),
    [("portrait_mp4", 30.0, (284, 160, 3)), ("short3s_mp4", 3.0, (90, 160, 3))],
)
def test_real_sheets_of_other_forms_are_cut(
    real: Path, name: str, duration_s: float, shape: tuple[int, int, int]
) -> None:
    frames = list(real_sampling(real, name, duration_s).frames())
    assert len(frames) == 81
    assert {frame.pixels.shape for frame in frames} == {shape}
    assert frames[-1].time_s < duration_s


def distance(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())
