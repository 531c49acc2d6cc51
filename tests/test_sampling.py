"""Which pictures are read for whom, and what is read when these cannot be."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stash_sense_plugin.errors import (
    Cancelled,
    MediaError,
    MediaMissing,
    MediaUnreadable,
    StashUnreachable,
)
from stash_sense_plugin.media.native import GRID_PX, NATIVE_PIXELS, middle
from stash_sense_plugin.media.sampling import SceneMedia, even_times, moments
from stash_sense_plugin.records import Fingerprint, Frame, FrameSource, Scene, Wants
from tests.clips import number_of, turn, write_clip
from tests.test_sprites import sheet_of, vtt_of

SHEET, VTT = "/scene/1_sprite.jpg", "/scene/1_thumbs.vtt"


class Server:
    """Gives what lies at a path, 404 for the rest, and counts what it gave."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.given: list[str] = []

    def fetch(self, path: str) -> bytes:
        self.given.append(path)
        if path not in self.files:
            raise MediaMissing(f"{path} is not on the server (404)")
        return self.files[path]

    def size_of(self, path: str) -> int:
        if path not in self.files:
            raise MediaMissing(f"{path} is not on the server (404)")
        return len(self.files[path])


def scene_of(path: Path | str, duration_s: float | None = 10.0, id_: str = "1") -> Scene:
    return Scene(id_, "", str(path), Fingerprint("0" * 16, 1), duration_s, 0, 0, SHEET, VTT)


def media_of(path: Path | str, files: dict[str, bytes] | None = None, **more: Any) -> SceneMedia:
    server = Server({SHEET: sheet_of(9, 9), VTT: vtt_of(9, 9, 0.125).encode()} if files is None
                    else files)  # fmt: skip
    return SceneMedia(scene_of(path), server.fetch, server.size_of, **more)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "a.mp4", gop=5, size=(800, 480))


@pytest.mark.parametrize(
    ("wants", "source", "key", "side"),
    [
        (Wants.LABELS, FrameSource.SPRITE, "sprite:", 16),
        (Wants.DETAIL, FrameSource.VIDEO, "video:keyframes:20:640", 640),
        (Wants.MOMENTS, FrameSource.VIDEO, "video:moments:5:1280", 800),
        (Wants.NATIVE, FrameSource.VIDEO, "video:native:8", 800),
    ],
)
def test_each_want_has_its_source(
    clip: Path, wants: Wants, source: FrameSource, key: str, side: int
) -> None:
    sampling = media_of(clip, frames=20, text_frames=5).sampling(wants)
    assert sampling.key.startswith(key)
    assert (sampling.source, sampling.note, sampling.duration_s) == (source, "", 10.0)
    frames = list(sampling.frames())
    assert {frame.source for frame in frames} == {source}
    assert {frame.scene_key for frame in frames} == {"scene:1"}
    assert {frame.pixels.shape[1] for frame in frames} == {side}
    counts = {Wants.LABELS: 81, Wants.DETAIL: 20, Wants.MOMENTS: 5, Wants.NATIVE: 8}
    assert len(frames) == counts[wants]


def test_keys_need_no_video(tmp_path: Path) -> None:
    media = media_of(tmp_path / "absent.mp4")
    assert {media.sampling(wants).key.split(":")[0] for wants in Wants} == {"sprite", "video"}
    server = Server({})
    bare = SceneMedia(scene_of(tmp_path / "absent.mp4"), server.fetch, server.size_of)
    assert bare.sampling(Wants.LABELS).key == "video:keyframes:60:384"


def test_keys_need_no_sheet() -> None:
    server = Server({SHEET: sheet_of(9, 9), VTT: vtt_of(9, 9).encode()})
    SceneMedia(scene_of(""), server.fetch, server.size_of).sampling(Wants.LABELS)
    assert server.given == [VTT]


def test_without_sprites_the_video_serves_for_labels(clip: Path) -> None:
    sampling = media_of(clip, files={}).sampling(Wants.LABELS)
    assert sampling.source is FrameSource.VIDEO
    assert "404" in sampling.note
    assert {frame.pixels.shape for frame in sampling.frames()} == {(230, 384, 3)}
    assert SceneMedia(scene_of(clip)).sampling(Wants.LABELS).source is FrameSource.VIDEO


@pytest.mark.parametrize("vtt", [b"404", b"\xff\xfe", b"WEBVTT\n"], ids=["text", "bytes", "bare"])
def test_a_broken_vtt_gives_way_to_the_video(clip: Path, vtt: bytes) -> None:
    sampling = media_of(clip, {SHEET: sheet_of(9, 9), VTT: vtt}).sampling(Wants.LABELS)
    assert sampling.source is FrameSource.VIDEO
    assert "VTT cannot be read" in sampling.note


def first_error(frames: Iterator[Frame]) -> MediaError:
    with pytest.raises(MediaError) as raised:
        next(frames)
    return raised.value


def test_a_broken_sheet_gives_way_to_the_video(clip: Path) -> None:
    media = media_of(clip, {SHEET: b"<html>", VTT: vtt_of(9, 9).encode()})
    failed = media.sampling(Wants.LABELS)
    error = first_error(failed.frames())
    assert isinstance(error, MediaUnreadable)
    sampling = media.instead(Wants.LABELS, failed, error)
    assert sampling.source is FrameSource.VIDEO
    assert "sprite sheet" in sampling.note
    assert len(list(sampling.frames())) >= 20


@pytest.mark.parametrize("wants", [Wants.DETAIL, Wants.MOMENTS])
def test_a_video_out_of_reach_gives_way_to_the_sprites(tmp_path: Path, wants: Wants) -> None:
    media = media_of(tmp_path / "absent.mp4")
    failed = media.sampling(wants)
    error = first_error(failed.frames())
    assert isinstance(error, MediaMissing)
    sampling = media.instead(wants, failed, error)
    assert sampling.source is FrameSource.SPRITE
    assert "absent.mp4" in sampling.note
    assert len(list(sampling.frames())) == 81


def test_a_scene_without_a_file_has_its_sprites() -> None:
    assert media_of("").sampling(Wants.DETAIL).source is FrameSource.SPRITE


def test_sprites_tell_nothing_of_the_files_own_pixels(tmp_path: Path) -> None:
    with pytest.raises(MediaMissing, match="scene 1 has no file"):
        media_of("").sampling(Wants.NATIVE)
    media = media_of(tmp_path / "absent.mp4")
    failed = media.sampling(Wants.NATIVE)
    error = first_error(failed.frames())
    with pytest.raises(MediaMissing, match=r"absent\.mp4"):
        media.instead(Wants.NATIVE, failed, error)


def test_a_videos_own_pixels_are_neither_turned_nor_scaled(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", size=(160, 96), aspect=Fraction(4, 3))
    turn(path, 90)
    (shown, *_), (own, *_) = (
        list(SceneMedia(scene_of(path)).sampling(wants).frames())
        for wants in (Wants.DETAIL, Wants.NATIVE)
    )
    assert shown.pixels.shape == (213, 96, 3)
    assert own.pixels.shape == (96, 160, 3)
    assert own.whole is None


def test_of_a_huge_video_the_middle_is_kept(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", count=2, gop=1, size=(4800, 2400))
    frames = list(SceneMedia(scene_of(path, 0.2)).sampling(Wants.NATIVE).frames())
    assert frames
    for frame in frames:
        assert frame.whole == (4800, 2400)
        assert NATIVE_PIXELS * 0.95 < frame.pixels.size / 3 <= NATIVE_PIXELS
        # The white bars of the clip's lower left are red from the middle down.
        height, width = frame.pixels.shape[:2]
        assert (abs(frame.pixels[height - 50, 50].astype(int) - (255, 0, 0)) < 8).all()
        assert frame.pixels[height - 50, width - 50].max() < 8


@given(st.integers(1, 60_000), st.integers(1, 60_000))
def test_the_middle_is_a_part_of_the_picture(width: int, height: int) -> None:
    part = middle(width, height)
    if part is None:
        assert width * height <= NATIVE_PIXELS
        return
    left, top, kept_width, kept_height = part
    assert left % GRID_PX == top % GRID_PX == 0
    assert 0 <= left <= left + kept_width <= width
    assert 0 <= top <= top + kept_height <= height
    assert 0 < kept_width * kept_height <= NATIVE_PIXELS
    assert abs(left - (width - kept_width) / 2) <= GRID_PX
    assert abs(top - (height - kept_height) / 2) <= GRID_PX


def test_nothing_at_all_is_missing() -> None:
    with pytest.raises(MediaMissing):
        media_of("", files={}).sampling(Wants.LABELS)


def test_the_videos_word_counts_when_all_fail(tmp_path: Path) -> None:
    media = media_of(tmp_path / "absent.mp4", {SHEET: b"<html>", VTT: vtt_of(9, 9).encode()})
    sprites = media.sampling(Wants.LABELS)
    video = media.instead(Wants.LABELS, sprites, first_error(sprites.frames()))
    error = first_error(video.frames())
    with pytest.raises(MediaMissing, match="absent"):
        media.instead(Wants.LABELS, video, error)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    media = media_of(broken, files={})
    detail = media.sampling(Wants.DETAIL)
    with pytest.raises(MediaUnreadable, match="broken"):
        media.instead(Wants.DETAIL, detail, first_error(detail.frames()))


def test_a_server_that_is_away_is_no_reason_to_read_something_else(clip: Path) -> None:
    def away(path: str) -> bytes:
        raise StashUnreachable("Cannot reach Stash")

    with pytest.raises(StashUnreachable):
        SceneMedia(scene_of(clip), away).sampling(Wants.LABELS)


def test_without_a_way_to_ask_for_sizes_the_sheet_is_measured() -> None:
    server = Server({SHEET: sheet_of(9, 9), VTT: vtt_of(9, 9).encode()})
    known = SceneMedia(scene_of(""), server.fetch, server.size_of).sampling(Wants.LABELS)
    assert SceneMedia(scene_of(""), server.fetch).sampling(Wants.LABELS).key == known.key


def test_a_picture_serves_all(tmp_path: Path) -> None:
    path = tmp_path / "picture.bin"
    Image.new("RGB", (30, 20)).save(path, "PNG")
    media = SceneMedia(Scene("", "", str(path), None, None))
    for wants in Wants:
        sampling = media.sampling(wants)
        key = "image:native" if wants is Wants.NATIVE else "image"
        assert (sampling.key, sampling.source, sampling.note) == (key, FrameSource.IMAGE, "")
        assert len(list(sampling.frames())) == 1
    assert media.key == str(path)
    assert media.duration_s is None


def test_a_picture_that_is_away_keeps_its_key(tmp_path: Path) -> None:
    media = SceneMedia(Scene("", "", str(tmp_path / "absent.jpg"), None, None))
    sampling = media.sampling(Wants.LABELS)
    assert sampling.key == "image"
    error = first_error(sampling.frames())
    with pytest.raises(MediaMissing):
        media.instead(Wants.LABELS, sampling, error)


def test_a_video_whose_length_nobody_told_is_asked(clip: Path) -> None:
    media = SceneMedia(scene_of(clip, duration_s=None, id_=""))
    assert media.sampling(Wants.DETAIL).duration_s == pytest.approx(10, abs=0.2)


def test_cheap_frames_are_not_read_twice_for_the_moments(clip: Path) -> None:
    server = Server({SHEET: sheet_of(9, 9), VTT: vtt_of(9, 9, 0.125).encode()})
    media = SceneMedia(scene_of(clip), server.fetch, server.size_of)
    list(media.sampling(Wants.LABELS).frames())
    assert server.given.count(SHEET) == 1
    assert list(media.sampling(Wants.MOMENTS).frames())
    assert server.given.count(SHEET) == 1


def test_moments_are_found_without_usable_sprites(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", gop=5)
    media = media_of(path, {SHEET: b"<html>", VTT: vtt_of(9, 9).encode()}, text_frames=4)
    frames = list(media.sampling(Wants.MOMENTS).frames())
    assert len(frames) == 4
    assert number_of(frames[0].pixels) == 0
    assert number_of(frames[-1].pixels) == 99


def test_a_stop_is_heard_among_the_frames_that_only_tell_the_moments(tmp_path: Path) -> None:
    """The sheet's tiles are not handed out then, so that nobody else could ask."""
    server = Server({SHEET: sheet_of(9, 9), VTT: vtt_of(9, 9, 0.125).encode()})
    asked: list[None] = []

    def check() -> None:
        asked.append(None)
        if len(asked) == 40:
            raise Cancelled("Stopped")

    scene = scene_of(tmp_path / "absent.mp4")
    media = SceneMedia(scene, server.fetch, server.size_of, check=check)
    with pytest.raises(Cancelled):
        next(media.sampling(Wants.MOMENTS).frames())


# --- The pure part -----------------------------------------------------------------------------


def shades(*greys: int, step_s: float = 1.0) -> list[Frame]:
    return [
        Frame("k", i, i * step_s, np.full((20, 30, 3), grey, np.uint8), FrameSource.SPRITE)
        for i, grey in enumerate(greys)
    ]


@pytest.mark.parametrize(
    ("greys", "count", "expected"),
    [
        pytest.param([0, 0, 0, 200, 200, 0, 0, 0], 4, (0, 3, 5, 7), id="both changes"),
        pytest.param([0, 0, 0, 200, 200, 90, 90, 90], 3, (0, 3, 7), id="the greater change"),
        pytest.param([0] * 9, 3, (0, 4, 8), id="a still scene is halved"),
        pytest.param([0, 1, 0, 1, 0, 1, 0, 1, 0], 3, (0, 4, 8), id="noise is no change"),
        pytest.param([0, 200, 0], 8, (0, 1, 2), id="no more than there are"),
        pytest.param([0, 200, 0], 1, (1,), id="one is the middle"),
        pytest.param([7], 8, (0,), id="a single frame"),
        pytest.param([], 8, (), id="no frames"),
        pytest.param([0, 200], 0, (), id="none wanted"),
    ],
)
def test_moments(greys: list[int], count: int, expected: tuple[float, ...]) -> None:
    assert moments(iter(shades(*greys)), count, 100.0) == expected


@given(st.lists(st.integers(0, 255), max_size=30), st.integers(0, 12), st.floats(0.1, 40))
def test_moments_are_sorted_times_of_the_scene(
    greys: list[int], count: int, duration_s: float
) -> None:
    times_s = moments(shades(*greys), count, duration_s)
    assert len(times_s) == min(count, len(greys))
    assert list(times_s) == sorted(times_s)
    assert all(0 <= time_s <= duration_s for time_s in times_s)


@pytest.mark.parametrize(
    ("duration_s", "count", "expected"),
    [
        (10.0, 2, (2.5, 7.5)),
        (3.0, 3, (0.5, 1.5, 2.5)),
        (None, 5, ()),
        (0.0, 5, ()),
        (float("nan"), 5, ()),
        (9.0, 0, ()),
    ],
)
def test_even_times(duration_s: float | None, count: int, expected: tuple[float, ...]) -> None:
    assert even_times(duration_s, count) == expected


@pytest.mark.real
@pytest.mark.parametrize("wants", list(Wants))
def test_a_real_scene_is_read(real: Path, wants: Wants) -> None:
    sprites = real / "sprites"
    (sheet,) = sprites.glob("labelled_mp4.*.jpg")
    (vtt,) = sprites.glob("labelled_mp4.*.vtt")
    files = {SHEET: sheet.read_bytes(), VTT: vtt.read_bytes()}
    get: Callable[[str], bytes] = files.__getitem__
    scene = scene_of(real / "videos" / "labelled.mp4", 87.0)
    frames = list(SceneMedia(scene, get).sampling(wants).frames())
    counts = {Wants.LABELS: 81, Wants.DETAIL: 60, Wants.MOMENTS: 12, Wants.NATIVE: 8}
    assert len(frames) == counts[wants]
    times_s = [frame.time_s for frame in frames]
    assert times_s == sorted(times_s)
    assert times_s[-1] < 87


def test_a_video_that_cannot_be_read_is_opened_once(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video")
    media = media_of(path, {})
    with pytest.raises(MediaUnreadable) as first:
        list(media.sampling(Wants.DETAIL).frames())
    path.write_bytes(clip.read_bytes())
    for wants in Wants:
        with pytest.raises(MediaUnreadable) as again:
            media.sampling(wants)
        assert again.value is first.value


def test_without_a_file_the_broken_sheet_is_the_reason() -> None:
    for wants in set(Wants) - {Wants.NATIVE}:
        with pytest.raises(MediaUnreadable, match="VTT"):
            media_of("", {SHEET: b"", VTT: b"no VTT"}).sampling(wants)


@pytest.mark.parametrize("said_s", [0.0, -5.0, float("nan"), float("inf")])
def test_a_length_that_is_none_is_measured(clip: Path, said_s: float) -> None:
    media = SceneMedia(scene_of(clip, said_s), frames=8, text_frames=4)
    assert media.duration_s == pytest.approx(10, abs=0.2)
    frames = list(media.sampling(Wants.MOMENTS).frames())
    assert len(frames) == 4
    assert frames[-1].time_s > 8
