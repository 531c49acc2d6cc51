"""Frames of a video file: keyframes where coarse is enough, exact times where they are asked."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from math import floor, isfinite
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from stash_sense_plugin.errors import MediaError, MediaMissing, MediaUnreadable
from stash_sense_plugin.media.files import decoder_fault, missing, open_media
from stash_sense_plugin.media.native import Part, middle
from stash_sense_plugin.media.times import even_times
from stash_sense_plugin.records import Frame, FrameSource, Pixels, Sampling

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,live_flv,mpegts,mpeg,mpegvideo,m4v,"
    "h264,hevc,rm,ogg,mxf,wtv,ivf,nut,dv,gif"
)
"""Containers that hold their own pictures. Playlists (concat, hls, dash, sdp, image2) are not
here: a `.mp4` that holds one would read its neighbours or the network."""
MAX_FRAME_PIXELS = 100_000_000
"""Pictures above this are refused from the header; 12K video for headsets has 75 million."""
MAX_PLAYED_PIXELS = 36_000_000
"""Of larger pictures only keyframes are read: to play on from one, a decoder holds up to twenty
more of them, which took over a gigabyte at 8K."""
PLENTY_BYTES = 4 * MAX_FRAME_PIXELS
"""Who can have so much memory is not short of it: a file that asks in vain asks for too much."""
READ_BUDGET_S = 120.0
"""How long one reading of one video may work, not counting what is done with its frames."""
OPEN_TIMEOUT_S = 30.0
DECODER_THREADS = 4
"""Each thread holds frames of its own: this bounds the memory on machines of many cores."""
END_TOLERANCE = 0.05
"""The part of its duration by which a video may end early before its times are spread anew."""

_EPSILON_S = 1e-4
_MOST_TICKS = 2**62
"""Beyond it FFmpeg's own sums overflow; Stash and headers may name any time."""
_INDEXED = frozenset({"mov", "matroska", "avi", "flv"})
"""Containers that list their keyframes; seeks in others (MPEG-TS, ASF) land anywhere before."""
_STEPS_BACK_S = (0.0, 1.0, 4.0, 16.0, 64.0, 256.0)
"""How far before a time to look for its keyframe, where the container cannot say where it is."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a video's header and its first picture say of it."""

    duration_s: float
    width: int
    """In pixels, as shown: after rotation, with square pixels."""
    height: int
    rotation: int
    """Degrees by which the picture is turned counter-clockwise to be shown: 0, 90, 180, 270."""
    fps: float
    """On average; 0 where it is not known."""
    codec: str


def _go_on() -> None:
    """Hear of no wish to stop."""


def probe_video(path: str | Path, check: Callable[[], None] = _go_on) -> VideoFacts:
    """Return the facts of a video; raises MediaMissing or MediaUnreadable, and what `check` does.

    Here and below, `check` is called for every packet that is read and every picture decoded.
    """
    with _opened(path, check=check) as video:
        return video.facts()


def read_keyframes(
    path: str | Path,
    times_s: Sequence[float],
    max_side_px: int,
    scene_key: str,
    budget_s: float = READ_BUDGET_S,
    check: Callable[[], None] = _go_on,
) -> Iterator[Frame]:
    """Yield the keyframe at or before each time, each once, by time; `time_s` is its own.

    Where these are fewer than half of what was asked, the times themselves are read: a clip with a
    single keyframe would otherwise be known by its first picture alone. That plays a group of
    pictures at most once, and costs four to ten times as much.

    Pixels: RGB, the longer side at most `max_side_px`. Raises MediaMissing or MediaUnreadable;
    what is damaged is left out. Out of time, it ends with a warning where it has read at least
    half, and raises MediaMissing otherwise.
    """
    with _opened(path, budget_s, check) as video:
        yield from _read(video, _coarse(video, times_s), max_side_px, scene_key)


def read_exact(
    path: str | Path,
    times_s: Sequence[float],
    max_side_px: int,
    scene_key: str,
    budget_s: float = READ_BUDGET_S,
    check: Callable[[], None] = _go_on,
) -> Iterator[Frame]:
    """Yield the picture that is shown at each time, each once, by time; else as read_keyframes.

    Of pictures above MAX_PLAYED_PIXELS it is the keyframe at or before each time.
    """
    with _opened(path, budget_s, check) as video:
        yield from _read(video, _exact(video, video.located(times_s)), max_side_px, scene_key)


def video_sampling(
    path: str | Path,
    duration_s: float | None,
    count: int,
    max_side_px: int,
    scene_key: str,
    check: Callable[[], None] = _go_on,
) -> Sampling:
    """Return keyframes near evenly spread times; the file is opened when they are read.

    `duration_s` is what Stash says. A video that ends well before it (cut off, or another length
    in its header) has its times spread over what is there.
    """

    def frames() -> Iterator[Frame]:
        with _opened(path, check=check) as video:
            times_s = even_times(video.length_s(duration_s), count)
            yield from _read(video, _coarse(video, times_s), max_side_px, scene_key)

    return Sampling(
        f"video:keyframes:{count}:{max_side_px}",
        scene_key,
        FrameSource.VIDEO,
        duration_s,
        even_times(duration_s, count),
        frames,
    )


def native_sampling(
    path: str | Path,
    duration_s: float | None,
    count: int,
    scene_key: str,
    check: Callable[[], None] = _go_on,
) -> Sampling:
    """Return keyframes with their very pixels, neither scaled nor turned; else as video_sampling.

    Of pictures above NATIVE_PIXELS it is the middle.
    """

    def frames() -> Iterator[Frame]:
        with _opened(path, check=check) as video:
            times_s = even_times(video.length_s(duration_s), count)
            yield from _read(video, _coarse(video, times_s), None, scene_key)

    times_s = even_times(duration_s, count)
    key = f"video:native:{count}"
    return Sampling(key, scene_key, FrameSource.VIDEO, duration_s, times_s, frames)


# --- What to read ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Target:
    """A time to read and the keyframe to start from; equal where the keyframe itself is wanted."""

    time_s: float
    key_s: float

    @property
    def is_keyframe(self) -> bool:
        return self.time_s <= self.key_s


def _coarse(video: "_Video", times_s: Sequence[float]) -> list[_Target]:
    """Choose the keyframes; where they are fewer than half of the times, the very times.

    What lies between two far keyframes is decoded anyway then, and a keyframe lies at a cut: as a
    sample it would stand for time before its picture.
    """
    located = video.located(times_s)
    keys = _keys(located)
    return keys if 2 * len(keys) >= len(located) else _exact(video, located)


def _exact(video: "_Video", located: Sequence[tuple[float, float]]) -> list[_Target]:
    if not video.may_be_played:
        return _keys(located)
    return [_Target(time_s, key_s) for time_s, key_s in located]


def _keys(located: Sequence[tuple[float, float]]) -> list[_Target]:
    return [_Target(key_s, key_s) for key_s in sorted({key_s for _, key_s in located})]


class _Clock:
    """A budget of working seconds; what the reader of the frames does is not counted."""

    def __init__(self, budget_s: float, check: Callable[[], None]) -> None:
        self._check = check
        self._end_s = monotonic() + budget_s

    def check(self) -> None:
        """Ask whether to stop, which may let others work first; raise _OutOfTime when it is."""
        with self.paused():
            self._check()
        if monotonic() >= self._end_s:
            raise _OutOfTime

    @contextmanager
    def paused(self) -> Iterator[None]:
        since_s = monotonic()
        yield
        self._end_s += monotonic() - since_s


class _OutOfTime(Exception):
    """The budget is spent."""


def _read(
    video: "_Video", targets: Sequence[_Target], max_side_px: int | None, scene_key: str
) -> Iterator[Frame]:
    """Yield the pictures, shrunk to `max_side_px`; where it is None, their very pixels."""
    count, last_s = 0, -1.0
    try:
        for picture in _pictures(video, targets):
            time_s = video.time_of(picture)
            if time_s <= last_s + _EPSILON_S:
                continue
            if max_side_px is None:
                pixels, whole = video.native(picture)
            else:
                pixels, whole = video.shown(picture, max_side_px), None
            frame = Frame(scene_key, count, time_s, pixels, FrameSource.VIDEO, whole)
            count, last_s = count + 1, time_s
            with video.clock.paused():
                yield frame
    except _OutOfTime:
        if 2 * count < len(targets):
            raise
        log.warning("Read %d of %d frames of %s in time", count, len(targets), video.path)
    if not count:
        raise video.nothing_read()


def _pictures(video: "_Video", targets: Sequence[_Target]) -> Iterator["VideoFrame"]:
    import av

    playing: _Playing | None = None
    for target in targets:
        video.clock.check()
        try:
            if target.is_keyframe:
                playing = None
                picture = video.keyframe(target.key_s)
            else:
                # Playing on is cheaper than a seek to a keyframe that lies behind.
                if playing is None or target.key_s > playing.time_s + _EPSILON_S:
                    playing = _Playing(video, target.key_s)
                picture = playing.at(target.time_s)
        except av.error.FFmpegError as error:
            video.note_damage(error)
            playing = None
            continue
        if picture is not None:
            yield picture


class _Playing:
    """Decodes on from a keyframe, and holds the picture that is shown at the time asked for."""

    def __init__(self, video: "_Video", key_s: float) -> None:
        self._video = video
        self._pictures = video.decoded_from(key_s)
        self._held: VideoFrame | None = None
        self._next = next(self._pictures, None)

    @property
    def time_s(self) -> float:
        return -1.0 if self._held is None else self._video.time_of(self._held)

    def at(self, time_s: float) -> "VideoFrame | None":
        """Return the last picture at or before `time_s`; the first there is, where none is."""
        while self._next is not None:
            later = self._video.time_of(self._next) > time_s + _EPSILON_S
            if later and self._held is not None:
                break
            self._video.clock.check()
            self._held, self._next = self._next, next(self._pictures, None)
        return self._held


# --- The file ----------------------------------------------------------------------------------


@contextmanager
def _opened(
    path: str | Path, budget_s: float = READ_BUDGET_S, check: Callable[[], None] = _go_on
) -> Iterator["_Video"]:
    """Open a video; every foreign error, here or while it is read, leaves as ours."""
    import av

    name = str(path)
    with open_media(name) as file:
        if not file.read(1):
            raise MediaUnreadable(f"{name} is empty", "copy the file again")
    try:
        with _container(name) as container:
            yield _Video(name, container, _Clock(budget_s, check))
    except _OutOfTime as error:
        # A drive under load is no fault of the file's: another time it may be quicker.
        raise MediaMissing(
            f"{name} could not be read in {budget_s:g} seconds",
            "its drive is slow or it has too few keyframes: generate its sprites in Stash",
        ) from error
    # ArithmeticError: time stamps beyond 64 bits, and rates of nothing.
    except (av.error.FFmpegError, OSError, MemoryError, ValueError, ArithmeticError) as error:
        raise _fault(name, error) from error


def _container(name: str) -> "InputContainer":
    import av

    options = {
        "protocol_whitelist": "file",
        "format_whitelist": DEMUXERS,
        "fflags": "+discardcorrupt",
        "max_pixels": str(MAX_FRAME_PIXELS),
    }
    # Without `file:` a name like `http:x.mp4` would choose a protocol.
    timeouts_s = (OPEN_TIMEOUT_S, OPEN_TIMEOUT_S)
    container: InputContainer = av.open(
        f"file:{name}", options=options, metadata_errors="replace", timeout=timeouts_s
    )
    return container


def _fault(name: str, error: Exception) -> MediaError:
    import av

    # ExitError is a read that took longer than OPEN_TIMEOUT_S: a drive that does not answer.
    if isinstance(error, av.error.ExitError) or not Path(name).exists():
        return missing(name, error)
    return decoder_fault(name, error, PLENTY_BYTES)


class _Video:
    """An open file's picture stream; times count from the container's start, as players do."""

    def __init__(self, path: str, container: "InputContainer", clock: _Clock) -> None:
        self.path, self.clock = path, clock
        self._container = container
        self._stream = _picture_stream(path, container)
        self._base = self._stream.time_base or Fraction(1, 90000)
        self._start_s = (container.start_time or 0) / 1e6
        self._indexed = container.format.name.split(",")[0] in _INDEXED
        self._damage: Exception | None = None
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = DECODER_THREADS
        # The container's own options do not reach the decoder, and pictures may grow on the way.
        most = MAX_PLAYED_PIXELS if self.may_be_played else MAX_FRAME_PIXELS
        self._stream.codec_context.options = {"max_pixels": str(most)}

    @property
    def may_be_played(self) -> bool:
        """Whether memory allows for the pictures between two keyframes."""
        return self._stream.width * self._stream.height <= MAX_PLAYED_PIXELS

    def facts(self) -> VideoFacts:
        packet = self._find(0.0)
        picture = self._decoded(packet[0]) if packet else None
        if picture is None:
            raise self.nothing_read()
        width, height = self._shown_size(picture)
        rate = self._stream.average_rate or self._stream.guessed_rate
        return VideoFacts(
            duration_s=self.length_s(None),
            width=width,
            height=height,
            rotation=picture.rotation % 360,
            fps=float(rate or 0),
            codec=self._stream.codec_context.name,
        )

    def length_s(self, said_s: float | None) -> float:
        """Return how long the pictures go on: what is said where that is so, else what is there."""
        if said_s is None or not isfinite(said_s) or said_s <= 0:
            said_s = self._claimed_s()
        end_s = self._end_s(said_s)
        if said_s is not None and said_s - end_s <= max(1.0, said_s * END_TOLERANCE):
            return said_s
        return end_s

    def located(self, times_s: Sequence[float]) -> list[tuple[float, float]]:
        """Return each time with its keyframe's, by time; what cannot be reached is left out."""
        found = []
        for time_s in sorted(max(0.0, time_s) for time_s in times_s):
            self.clock.check()
            if at := self._find(time_s):
                found.append((time_s, self._packet_s(at[0])))
        return found

    def keyframe(self, key_s: float) -> "VideoFrame | None":
        at = self._find(key_s)
        return self._decoded(at[0]) if at else None

    def decoded_from(self, key_s: float) -> Iterator["VideoFrame"]:
        at = self._find(key_s)
        if not at:
            return
        begun = False
        self._seek(at[1])
        for packet in self._packets():
            begun = begun or (packet.is_keyframe and packet.pts == at[0].pts)
            if begun:
                yield from self._stream.codec_context.decode(packet)

    def time_of(self, picture: "VideoFrame") -> float:
        stamp = picture.pts if picture.pts is not None else picture.dts
        return max(0.0, float((stamp or 0) * self._base) - self._start_s)

    def shown(self, picture: "VideoFrame", max_side_px: int) -> Pixels:
        """Return a picture upright, with square pixels, RGB, shrunk to `max_side_px`."""
        self._check_size(picture)
        width, height = self._square(picture)
        scale = min(1.0, max_side_px / max(width, height))
        # BILINEAR widens its filter when it shrinks; FAST_BILINEAR would drop lines of small text.
        small = picture.reformat(
            max(1, round(width * scale)),
            max(1, round(height * scale)),
            format="rgb24",
            interpolation="BILINEAR",
        )
        turned = np.rot90(small.to_ndarray(), picture.rotation % 360 // 90)
        return np.ascontiguousarray(turned, dtype=np.uint8)

    def native(self, picture: "VideoFrame") -> tuple[Pixels, tuple[int, int] | None]:
        """Return a picture's own pixels, RGB, and its size where only the middle is kept."""
        self._check_size(picture)
        whole = picture.width, picture.height
        part = middle(*whole)
        kept = _cut(picture, part) if part else picture
        pixels = kept.reformat(format="rgb24").to_ndarray()
        return np.ascontiguousarray(pixels, dtype=np.uint8), whole if part else None

    def _check_size(self, picture: "VideoFrame") -> None:
        if picture.width * picture.height > MAX_FRAME_PIXELS:
            raise _too_large(self.path, picture.width, picture.height)

    def note_damage(self, error: Exception) -> None:
        """Remember why a picture could not be had; raises MediaMissing if it is the world."""
        self._damage = error
        fault = _fault(self.path, error)
        if not isinstance(fault, MediaUnreadable):
            raise fault from error

    def nothing_read(self) -> MediaError:
        if self._damage:
            return _fault(self.path, self._damage)
        return MediaUnreadable(
            f"{self.path} holds no picture that can be decoded",
            "check that it plays, and replace it if it does not",
        )

    def _square(self, picture: "VideoFrame") -> tuple[int, int]:
        aspect = float(self._stream.sample_aspect_ratio or 1)
        if not 0.1 <= aspect <= 10:
            aspect = 1.0
        return max(1, round(picture.width * aspect)), picture.height

    def _shown_size(self, picture: "VideoFrame") -> tuple[int, int]:
        width, height = self._square(picture)
        return (height, width) if picture.rotation % 180 else (width, height)

    def _claimed_s(self) -> float | None:
        """Return the duration that the header names, which may be wrong or absent."""
        if self._container.duration and self._container.duration > 0:
            return self._container.duration / 1e6
        duration = self._stream.duration
        return float(duration * self._base) if duration and duration > 0 else None

    def _end_s(self, claimed_s: float | None) -> float:
        """Return where the last picture that can be reached ends."""
        reach_s = claimed_s or 0.0
        at = self._find(reach_s)
        if at is None:
            reach_s = self._reach_s(reach_s)
            at = self._find(reach_s)
        return self._last_s(at[1]) if at else 0.0

    def _reach_s(self, beyond_s: float) -> float:
        """Return, by halving, the latest time from which the file still gives a keyframe."""
        reach_s = 0.0
        for _ in range(16):
            middle_s = (reach_s + beyond_s) / 2
            if self._find(middle_s):
                reach_s = middle_s
            else:
                beyond_s = middle_s
        return reach_s

    def _last_s(self, offset: int) -> float:
        import av

        end_s = 0.0
        self._seek(offset)
        try:
            for packet in self._packets():
                if packet.pts is not None:
                    last = packet.pts + (packet.duration or 0)
                    end_s = max(end_s, float(last * self._base) - self._start_s)
        except av.error.FFmpegError as error:
            self.note_damage(error)
        return end_s

    def _find(self, time_s: float) -> "tuple[Packet[VideoStream], int] | None":
        """Return the keyframe at or before a time, and an offset whose seek leads to it.

        A seek may land behind the time's keyframe: containers without an index (MPEG-TS) land
        anywhere, and others go by decoding times, which lie before the times shown. It is then
        repeated from ever farther back. None where nothing can be read.
        """
        wanted = self._offset(time_s + _EPSILON_S)
        found = None
        for back_s in _STEPS_BACK_S:
            self.clock.check()
            offset = self._offset(time_s + _EPSILON_S - back_s)
            packet = self._keyframe_between(offset, wanted, self._indexed and not back_s)
            if packet is not None:
                found = packet, offset
                if (self._stamp(packet) or 0) <= wanted:
                    break
            if back_s > time_s:
                break
        return found

    def _keyframe_between(
        self, offset: int, wanted: int, first: bool
    ) -> "Packet[VideoStream] | None":
        """Return the last keyframe up to `wanted`, else the first after it, sought from `offset`.

        With `first`, the first keyframe that comes is it: where the container lists them.
        """
        import av

        found = None
        try:
            self._seek(offset)
            for packet in self._packets():
                stamp = self._stamp(packet)
                if stamp is None or not packet.size:
                    continue
                if stamp > wanted and found is not None:
                    break
                if packet.is_keyframe:
                    found = packet
                    if first or stamp > wanted:
                        break
        except av.error.FFmpegError as error:
            self.note_damage(error)
        return found

    def _packets(self) -> "Iterator[Packet[VideoStream]]":
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except IndexError:
                # At its end PyAV looks for streams that began on the way, and has no place for.
                return
            if packet is None:
                return
            self.clock.check()
            yield packet

    def _decoded(self, packet: "Packet[VideoStream]") -> "VideoFrame | None":
        # Draining right after the one packet makes the decoder give the picture now; it would wait
        # for more packets otherwise, which costs seven times as much. The next seek resets it.
        context = self._stream.codec_context
        pictures = context.decode(packet) or context.decode(None)
        return pictures[0] if pictures else None

    def _offset(self, time_s: float) -> int:
        offset = (time_s + self._start_s) / self._base
        return floor(max(-_MOST_TICKS, min(offset, _MOST_TICKS)))

    def _seek(self, offset: int) -> None:
        self._container.seek(offset, stream=self._stream)

    def _packet_s(self, packet: "Packet[VideoStream]") -> float:
        return max(0.0, float((self._stamp(packet) or 0) * self._base) - self._start_s)

    @staticmethod
    def _stamp(packet: "Packet[VideoStream]") -> int | None:
        return packet.pts if packet.pts is not None else packet.dts


def _picture_stream(path: str, container: "InputContainer") -> "VideoStream":
    """Return the stream to look at; cover art of a sound file is none."""
    from av.stream import Disposition

    for stream in container.streams.video:
        art = stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
        if art or stream.codec_context is None:
            continue
        # FFmpeg leaves the size at 0 where `max_pixels` stopped it.
        if not 0 < stream.width * stream.height <= MAX_FRAME_PIXELS:
            raise _too_large(path, stream.width, stream.height)
        chosen: VideoStream = stream
        return chosen
    raise MediaUnreadable(f"{path} has no pictures in it, only sound", "leave it out")


def _cut(picture: "VideoFrame", part: Part) -> "VideoFrame":
    """Return a part of a picture before it becomes RGB, which takes twice the memory."""
    from av.filter import Graph

    left, top, width, height = part
    graph = Graph()
    source = graph.add_buffer(
        width=picture.width,
        height=picture.height,
        format=picture.format,
        time_base=picture.time_base or Fraction(1, 90000),
    )
    crop = graph.add("crop", f"{width}:{height}:{left}:{top}:exact=1")
    sink = graph.add("buffersink")
    source.link_to(crop)
    crop.link_to(sink)
    graph.configure()
    graph.vpush(picture)
    return graph.vpull()


def _too_large(path: str, width: int, height: int) -> MediaUnreadable:
    size = f"{width} x {height}" if width and height else "of no size that could be read, or of"
    limit = f"more than the {MAX_FRAME_PIXELS // 1_000_000} million pixels allowed"
    return MediaUnreadable(f"The pictures of {path} are {size} {limit}", "make it smaller")
