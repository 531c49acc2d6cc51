"""Video files: keyframes, exact times, and what arrives damaged, hostile or strange."""

import errno
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from stash_sense_plugin.errors import (
    Cancelled,
    MediaError,
    MediaMissing,
    MediaUnreadable,
    MemoryShort,
)
from stash_sense_plugin.media.files import fault_of
from stash_sense_plugin.media.times import even_times
from stash_sense_plugin.media.video import (
    MAX_FRAME_PIXELS,
    MAX_PLAYED_PIXELS,
    probe_video,
    read_exact,
    read_keyframes,
    video_sampling,
)
from stash_sense_plugin.records import Frame, FrameSource
from tests.clips import number_of, turn, write_clip, write_sound


def numbers(frames: list[Frame]) -> list[int]:
    return [number_of(frame.pixels) for frame in frames]


def test_facts_of_a_video(tmp_path: Path) -> None:
    facts = probe_video(write_clip(tmp_path / "a.mp4"))
    assert (facts.width, facts.height, facts.rotation) == (160, 96, 0)
    assert facts.duration_s == pytest.approx(10, abs=0.2)
    assert facts.fps == pytest.approx(10, abs=0.2)
    assert facts.codec == "h264"


def test_keyframes_are_those_at_or_before_the_times_and_carry_their_own(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", gop=10)
    frames = list(read_keyframes(path, [0.5, 3.7, 4.2, 9.99], 384, "k"))
    assert numbers(frames) == [0, 30, 40, 90]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 3, 4, 9])
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert {(frame.source, frame.scene_key) for frame in frames} == {(FrameSource.VIDEO, "k")}
    assert all(frame.pixels.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("mpeg2video", "mpg"),
        ("mpeg4", "avi"),
        ("wmv2", "wmv"),
        ("flv", "flv"),
        ("libvpx", "webm"),
        ("libvpx-vp9", "webm"),
        ("libx265", "mkv"),
        ("libsvtav1", "mp4"),
    ],
)
def test_codecs_of_other_kinds(tmp_path: Path, codec: str, suffix: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg cannot write {codec}")
    path = write_clip(tmp_path / f"a.{suffix}", fps=25, gop=10, codec=codec, size=(320, 192))
    times_s = [0.5, 1.1, 1.5, 2.5]
    keys = list(read_keyframes(path, times_s, 384, "k"))
    assert len(keys) == 4
    for frame, time_s in zip(keys, times_s, strict=True):
        assert time_s - 1 < frame.time_s <= time_s + 0.05
        assert number_of(frame.pixels) == pytest.approx(frame.time_s * 25, abs=1)
    for frame in read_exact(path, times_s, 384, "k"):
        assert number_of(frame.pixels) == pytest.approx(frame.time_s * 25, abs=1)
    assert numbers(list(read_exact(path, times_s, 384, "k")))[-1] in (61, 62, 63)


@pytest.mark.parametrize("ticks", [12800, 15360, 90000, 1000, 30000])
def test_no_keyframe_is_lost_to_rounding(tmp_path: Path, ticks: int) -> None:
    path = write_clip(tmp_path / "a.mp4", fps=30, gop=7, ticks=ticks, count=300)
    times_s = [(number + 0.5) / 30 for number in range(0, 300, 7)]
    assert numbers(list(read_keyframes(path, times_s, 384, "k"))) == list(range(0, 300, 7))


def test_a_keyframe_is_yielded_once(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", gop=10)
    assert numbers(list(read_keyframes(path, [3.1, 3.2, 5.0], 384, "k"))) == [30, 50]


@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_exact_times_show_the_picture_of_that_time(
    tmp_path: Path, b_frames: int, suffix: str
) -> None:
    path = write_clip(tmp_path / f"a.{suffix}", gop=25, b_frames=b_frames)
    times_s = [0.0, 0.14, 2.41, 2.5, 2.55, 4.95, 7.02, 9.93]
    frames = list(read_exact(path, times_s, 384, "k"))
    assert numbers(frames) == [0, 1, 24, 25, 49, 70, 99]
    assert [frame.time_s for frame in frames] == pytest.approx(
        [0, 0.1, 2.4, 2.5, 4.9, 7.0, 9.9], abs=0.01
    )


def test_exact_times_may_come_in_any_order(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    assert numbers(list(read_exact(path, [7.5, 1.2], 384, "k"))) == [12, 75]


def test_a_clip_with_one_keyframe_is_seen_throughout(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", gop=1000)
    frames = list(read_keyframes(path, even_times(10, 20), 384, "k"))
    assert len(frames) == 20
    assert numbers(frames) == list(range(2, 100, 5))


def test_of_pictures_too_large_to_be_played_the_keyframes_are_read(tmp_path: Path) -> None:
    size = (8192, 4400)
    assert size[0] * size[1] > MAX_PLAYED_PIXELS
    path = write_clip(tmp_path / "a.mp4", size=size, count=3, gop=2)
    assert numbers(list(read_exact(path, [0.05, 0.15, 0.25], 160, "k"))) == [0, 2]


def test_pictures_that_grow_beyond_the_limit_on_the_way_are_left_out(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "small.ts", count=20)
    large = write_clip(tmp_path / "large.ts", size=(8192, 4800), count=2)
    path = tmp_path / "a.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    frames = list(read_keyframes(path, even_times(2, 10), 384, "k"))
    assert {frame.pixels.shape for frame in frames} == {(96, 160, 3)}


def test_damage_that_a_demuxer_calls_a_failing_drive_is_the_files(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(write_clip(tmp_path / "a.mkv").read_bytes()[:200] * 200)
    with pytest.raises(MediaUnreadable, match="its content is damaged"):
        probe_video(path)


def test_a_header_that_asks_for_terabytes_is_the_files_fault(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"stts") + 8
    data[at : at + 4] = b"\x7f\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(MediaUnreadable, match="more memory than any video needs"):
        probe_video(path)


def test_a_link_to_itself_is_the_scenes_fault_and_a_name_too_long_too(tmp_path: Path) -> None:
    link = tmp_path / "a.mp4"
    link.symlink_to("a.mp4")
    for path in (link, tmp_path / ("x" * 300)):
        with pytest.raises(MediaUnreadable, match="cannot be read as a video or picture"):
            probe_video(path)


def test_times_beyond_any_clock_are_times_at_the_end(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    assert numbers(list(read_keyframes(path, [1e300, 5.0, 1e18], 384, "k"))) == [50, 90]
    assert len(list(video_sampling(path, 1e300, 5, 384, "k").frames())) == 5


def test_with_two_keyframes_for_eight_times_all_are_read_exactly(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", gop=50)
    frames = list(read_keyframes(path, [1, 2, 3, 4, 6, 7, 8, 9], 384, "k"))
    assert numbers(frames) == [10, 20, 30, 40, 60, 70, 80, 90]


def test_a_sampling_opens_nothing_until_its_frames_are_read(tmp_path: Path) -> None:
    sampling = video_sampling(tmp_path / "absent.mp4", 60.0, 30, 384, "k")
    assert sampling.key == "video:keyframes:30:384"
    assert len(sampling.times_s) == 30
    with pytest.raises(MediaMissing, match=r"absent\.mp4"):
        next(sampling.frames())


def test_frames_stream(tmp_path: Path) -> None:
    frames = video_sampling(write_clip(tmp_path / "a.mp4"), 10.0, 10, 384, "k").frames()
    assert next(frames).index == 0
    frames.close()  # type: ignore[attr-defined]


def test_times_keep_to_the_video_when_stash_says_more(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", count=50, gop=2)
    frames = list(video_sampling(path, 100.0, 10, 384, "k").frames())
    assert numbers(frames) == [2, 6, 12, 16, 22, 26, 32, 36, 42, 46]


def test_a_video_of_unknown_length_is_measured(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", count=50, gop=2)
    data = path.read_bytes()
    # The Duration element (4489, eight bytes long) becomes a Void one of the same length.
    at = data.index(bytes.fromhex("448988"))
    path.write_bytes(data[:at] + b"\xec\x89" + bytes(9) + data[at + 11 :])
    assert probe_video(path).duration_s == pytest.approx(5, abs=0.1)
    assert len(list(video_sampling(path, None, 10, 384, "k").frames())) == 10


def test_frames_are_shrunk_to_the_side_asked_for_and_never_enlarged(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    assert next(read_keyframes(path, [0], 80, "k")).pixels.shape == (48, 80, 3)
    assert next(read_keyframes(path, [0], 1280, "k")).pixels.shape == (96, 160, 3)


@pytest.mark.parametrize(
    ("degrees", "red"), [(90, (0, 0)), (180, (0, -1)), (270, (-1, -1))], ids=str
)
def test_rotation_is_applied(tmp_path: Path, degrees: int, red: tuple[int, int]) -> None:
    path = write_clip(tmp_path / "a.mp4", count=5)
    turn(path, degrees)
    facts = probe_video(path)
    pixels = next(read_keyframes(path, [0], 384, "k")).pixels
    assert pixels.shape[:2] == (facts.height, facts.width)
    assert (facts.width < facts.height) == (degrees != 180)
    corner = pixels[red].astype(int)
    assert corner[0] > 180
    assert corner[1:].max() < 90


@pytest.mark.parametrize(
    ("pix_fmt", "size"),
    [
        ("yuv444p", (161, 97)),
        ("yuv420p10le", (162, 98)),
        ("yuv422p", (166, 95)),
        ("gray", (160, 96)),
        ("yuvj420p", (160, 96)),
    ],
    ids=str,
)
def test_odd_sizes_and_pixel_formats(tmp_path: Path, pix_fmt: str, size: tuple[int, int]) -> None:
    path = write_clip(tmp_path / "a.mkv", size=size, pix_fmt=pix_fmt)
    frames = list(read_exact(path, [1.3, 7.7], 384, "k"))
    assert numbers(frames) == [13, 77]
    assert frames[0].pixels.shape == (size[1], size[0], 3)
    assert next(read_exact(path, [0], 33, "k")).pixels.shape[1] == 33


def test_pixels_that_are_not_square_are_shown_as_players_do(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", aspect=Fraction(2, 1))
    assert probe_video(path).width == 320
    assert next(read_keyframes(path, [0], 384, "k")).pixels.shape == (96, 320, 3)


def test_variable_frame_rate(tmp_path: Path) -> None:
    times_s = [0, 0.05, 0.1, 3.0, 3.04, 9.0, 9.5]
    path = write_clip(tmp_path / "a.mp4", count=7, times_s=times_s, gop=2)
    frames = list(read_exact(path, [0.07, 2.9, 3.02, 8.0, 9.4], 384, "k"))
    assert numbers(frames) == [1, 2, 3, 4, 5]
    assert [frame.time_s for frame in frames] == pytest.approx([0.05, 0.1, 3.0, 3.04, 9.0])


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi"])
def test_a_broken_tail_leaves_what_is_before_it(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"a.{suffix}", gop=2, codec="mpeg4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = list(video_sampling(path, 10.0, 10, 384, "k").frames())
    assert len(frames) >= 8
    assert max(numbers(frames)) < 60
    assert numbers(frames) == sorted(set(numbers(frames)))


def test_an_mp4_cut_off_behind_its_index_is_read_to_the_cut(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", gop=5)
    data = path.read_bytes()
    index, pictures = data.index(b"moov") - 4, data.index(b"mdat") - 4
    # What was written stays at its place; from the middle of the pictures on, noise.
    middle = (pictures + index) // 2
    path.write_bytes(data[:middle] + b"\xff" * (index - middle) + data[index:])
    read = numbers(list(read_keyframes(path, even_times(10, 10), 384, "k")))
    assert read[:4] == [5, 15, 25, 35]
    assert len(read) < 7


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a video at all\n" * 50,
        b"\x00" * 5000,
        b"\x00\x00\x00\x20ftypisom" + b"\xff" * 3000,
        b"#EXTM3U\n#EXTINF:1,\nneighbour.ts\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    ],
    ids=["empty", "text", "zeros", "broken header", "m3u8", "sdp"],
)
def test_what_is_no_video_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaUnreadable, match=r"clip\.mp4"):
        probe_video(path)


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile secret.mp4\n",
        "ffconcat version 1.0\nfile {absolute}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nsecret.ts\n#EXT-X-ENDLIST\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>secret.mp4'
        "</BaseURL></MPD>",
    ],
    ids=["ffconcat", "ffconcat absolute", "m3u8", "dash"],
)
def test_a_playlist_named_mp4_reads_no_neighbour(tmp_path: Path, playlist: str) -> None:
    write_clip(tmp_path / "secret.mp4", count=10)
    write_clip(tmp_path / "secret.ts", count=10)
    path = tmp_path / "clip.mp4"
    path.write_text(playlist.format(absolute=tmp_path / "secret.mp4"))
    with pytest.raises(MediaUnreadable):
        probe_video(path)
    with pytest.raises(MediaUnreadable):
        list(read_keyframes(path, [0], 384, "k"))


def test_a_numbered_pattern_in_the_name_reads_no_neighbour(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip1.mp4", count=5)
    with pytest.raises(MediaMissing):
        probe_video(tmp_path / "clip%d.mp4")


@pytest.mark.parametrize("name", ["a b'c.mp4", "50%d.mp4", "ü✓.mp4", "http:x.mp4", "-i.mp4"])
def test_strange_names_are_names(tmp_path: Path, name: str) -> None:
    assert probe_video(write_clip(tmp_path / "a.mp4", count=5).rename(tmp_path / name)).width == 160


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mp4")
    write_clip(tmp_path / "a.mp4", count=5).rename(name)
    assert probe_video(name).width == 160


def test_sound_alone_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(MediaUnreadable, match="no pictures"):
        probe_video(write_sound(tmp_path / "a.mp4"))


def test_a_size_beyond_the_limit_is_refused_from_the_header(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.avi", codec="rawvideo", count=2)
    data = bytearray(path.read_bytes())
    at = data.index(b"strf") + 8 + 4
    data[at : at + 8] = np.array([12000, 12000], "<u4").tobytes()
    path.write_bytes(data)
    assert MAX_FRAME_PIXELS < 12000 * 12000
    with pytest.raises(MediaUnreadable, match="more than the 100 million pixels"):
        probe_video(path)


def test_no_time_left_is_a_clear_outcome(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    with pytest.raises(MediaMissing, match="could not be read in 0 seconds") as caught:
        list(read_keyframes(path, even_times(10, 10), 384, "k", budget_s=0))
    assert caught.value.fault == "world"


class Listening:
    """Counts how often it is asked, and stops at the given time."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.asked = 0
        self._stop_at = stop_at

    def check(self) -> None:
        self.asked += 1
        if self.asked == self._stop_at:
            raise Cancelled("Stopped")


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_a_stop_is_heard_at_every_picture_that_is_decoded(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"a.{suffix}", gop=1000)
    few, many = Listening(), Listening()
    assert numbers(list(read_exact(path, [1.0], 384, "k", check=few.check))) == [10]
    assert numbers(list(read_exact(path, [9.0], 384, "k", check=many.check))) == [90]
    assert many.asked >= few.asked + 80
    stopping = Listening(stop_at=many.asked - 40)
    with pytest.raises(Cancelled):
        next(read_exact(path, [9.0], 384, "k", check=stopping.check))


def test_a_stop_is_heard_while_a_video_is_measured(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.ts", gop=1000)
    with pytest.raises(Cancelled):
        probe_video(path, Listening(stop_at=50).check)
    with pytest.raises(Cancelled):
        next(video_sampling(path, None, 4, 384, "k", Listening(stop_at=50).check).frames())


def test_missing_is_told_from_unreadable(tmp_path: Path) -> None:
    with pytest.raises(MediaMissing):
        probe_video(tmp_path / "absent.mp4")
    with pytest.raises(MediaMissing):
        probe_video("a\0b.mp4")
    with pytest.raises(MediaUnreadable, match="not a file"):
        probe_video(tmp_path)
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(MediaUnreadable, match="not a file"):
        probe_video(tmp_path / "pipe.mp4")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_missing(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", count=2)
    path.chmod(0)
    with pytest.raises(MediaMissing, match="Permission denied"):
        probe_video(path)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EIO, MediaMissing),
        (errno.ESTALE, MediaMissing),
        (errno.EACCES, MediaMissing),
        (errno.EINVAL, MediaUnreadable),
    ],
)
def test_a_drive_that_fails_is_not_the_scenes_fault(number: int, kind: type[MediaError]) -> None:
    assert isinstance(fault_of("a.mp4", OSError(number, os.strerror(number)), "video"), kind)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(MemoryError(), id="none left"),
        pytest.param(av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory"), id="FFmpeg"),
        pytest.param(av.error.BlockingIOError(errno.EAGAIN, "No thread"), id="no thread"),
    ],
)
def test_short_memory_is_not_the_scenes_fault(error: Exception) -> None:
    with pytest.raises(MemoryShort, match=r"while a\.mp4 was read") as caught:
        fault_of("a.mp4", error, "video")
    assert caught.value.fault == "world"
    assert "Memory for models" in caught.value.remedy


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE], ids=["process", "machine"])
def test_too_many_open_files_are_not_the_scenes_fault(number: int) -> None:
    fault = fault_of("a.mp4", OSError(number, os.strerror(number)), "video")
    assert fault.fault == "world"
    assert "drive" not in str(fault)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to RLIMIT_AS")
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("a.mp4", "list(read_keyframes(path, [0.0], 4000, 'k'))"),
        ("a.png", "read_image(path, 6000)"),
    ],
)
def test_a_machine_without_memory_leaves_the_scene_alone(
    tmp_path: Path, name: str, read: str
) -> None:
    path = tmp_path / name
    if path.suffix == ".png":
        Image.new("RGB", (6000, 4000), "red").save(path, compress_level=1)
    else:
        write_clip(path, count=2, size=(3840, 2160))
    told = subprocess.run(
        [sys.executable, "-c", STARVED.format(path=str(path), read=read)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (told.stdout, told.returncode) == ("world", 0), told.stderr


STARVED = """
import resource, sys
import av, numpy
from PIL import Image
from stash_sense_plugin.errors import StashSenseError
from stash_sense_plugin.media.images import read_image
from stash_sense_plugin.media.video import read_keyframes
path = {path!r}
Image.init()
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 6_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    {read}
except StashSenseError as error:
    sys.stdout.write(error.fault)
"""
"""A process that may take six more megabytes than it has."""


@pytest.mark.real
def test_real_videos_are_read(real: Path) -> None:
    for name, duration_s in [("bottle-detection", 39.85), ("one-by-one-person-detection", 139.4)]:
        path = real / "videos" / f"{name}.mp4"
        frames = list(video_sampling(path, duration_s, 30, 384, "k").frames())
        assert len(frames) == 30
        assert {frame.pixels.shape for frame in frames} == {(216, 384, 3)}
        times_s = [frame.time_s for frame in frames]
        assert times_s == sorted(times_s)
        assert max(np.diff([*times_s, duration_s])) < 3 * duration_s / 30
