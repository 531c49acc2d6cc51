"""Which pictures of a scene serve whom: sprites, the video or a picture, by what is wanted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from math import isfinite
from mimetypes import guess_type

from stash_sense_plugin.errors import MediaError, MediaMissing
from stash_sense_plugin.media.images import image_sampling, is_image, native_image_sampling
from stash_sense_plugin.media.patience import Beat, answered, streamed
from stash_sense_plugin.media.sprites import sprite_sampling
from stash_sense_plugin.media.times import Changes, even_times, moments
from stash_sense_plugin.media.video import (
    VideoFacts,
    native_sampling,
    probe_video,
    read_exact,
    video_sampling,
)
from stash_sense_plugin.records import Frame, FrameSource, Sampling, Scene, Wants

__all__ = ["SceneMedia", "even_times", "moments"]

LABELS_SIDE_PX = 384
"""The longer side of video frames that stand in for sprite tiles."""
DETAIL_SIDE_PX = 640
MOMENTS_SIDE_PX = 1280
NATIVE_FRAMES = 8
"""A scene has one quality nearly throughout, and a frame of 4K takes 25 MB."""

_ORDER = {
    Wants.LABELS: (FrameSource.SPRITE, FrameSource.VIDEO),
    Wants.DETAIL: (FrameSource.VIDEO, FrameSource.SPRITE),
    Wants.MOMENTS: (FrameSource.VIDEO, FrameSource.SPRITE),
    # A tile's pixels are Stash's: they tell nothing of the file's.
    Wants.NATIVE: (FrameSource.VIDEO,),
}
_NAMES = {
    FrameSource.SPRITE: "the sprite sheet",
    FrameSource.VIDEO: "the video",
    FrameSource.IMAGE: "the picture",
}


class SceneMedia:
    """The pictures of one scene.

    Nothing of the video is opened before its frames are read: what is in the store is found by its
    key without the file. The exception is a video whose length Stash does not know.

    `fetch` gives what lies at a path on Stash's server and `size_of` its size in bytes; both raise
    MediaMissing for what is not there. Without `fetch` there are no sprites. `check` is called
    often while frames are read, also those that nobody sees, and may raise to stop.
    """

    def __init__(
        self,
        scene: Scene,
        fetch: Callable[[str], bytes] | None = None,
        size_of: Callable[[str], int] | None = None,
        frames: int = 60,
        text_frames: int = 12,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.scene = scene
        self._check = check
        self._fetch, self._size_of = fetch, size_of
        self._frames, self._text_frames = frames, text_frames
        self._changes: Changes | None = None
        self._video_fault: MediaError | None = None

    @property
    def key(self) -> str:
        """What this scene's frames carry: Stash's id, or a file's path."""
        return f"scene:{self.scene.id}" if self.scene.id else self.scene.path

    @cached_property
    def duration_s(self) -> float | None:
        """Stash's word, else the file's own; None for a picture."""
        if self._said_s or self._is_image or not self.scene.path:
            return self._said_s
        with self._remembering_faults():
            return answered(self._probed, self._check, self.scene.path).duration_s

    @property
    def _said_s(self) -> float | None:
        """What Stash says, where that is a length: it writes 0 where it knows none."""
        said_s = self.scene.duration_s
        return said_s if said_s and isfinite(said_s) and said_s > 0 else None

    def _probed(self, beat: Beat) -> VideoFacts:
        return probe_video(self.scene.path, beat)

    def sampling(self, wants: Wants) -> Sampling:
        """Return the frames to read first; `note` says why it is not the source that was wanted.

        Raises MediaError when there is no source at all. A source that turns out broken or away
        while its frames are read raises there: `instead` gives the next one.
        """
        return self._first(wants, self._order(wants), None)

    def instead(self, wants: Wants, failed: Sampling, error: MediaError) -> Sampling:
        """Return the frames to read after those of `failed` raised `error`; raises it if none."""
        order = self._order(wants)
        later = order[order.index(failed.source) + 1 :] if failed.source in order else ()
        return self._first(wants, later, error)

    def _order(self, wants: Wants) -> tuple[FrameSource, ...]:
        return (FrameSource.IMAGE,) if self._is_image else _ORDER[wants]

    def _first(
        self, wants: Wants, sources: tuple[FrameSource, ...], error: MediaError | None
    ) -> Sampling:
        # The video's word counts: a sheet can be made again, and whether the scene or the drive is
        # at fault is the video's to say, where there is one.
        heard = FrameSource.VIDEO if self.scene.path else FrameSource.SPRITE
        for source in sources:
            try:
                sampling = self._sampling(wants, source)
            except MediaError as reason:
                if error is None or source is heard:
                    error = reason
                continue
            if error is None:
                return sampling
            return replace(sampling, note=f"{_NAMES[source]} was read instead: {error}")
        raise error or MediaMissing(f"{self.scene.source} has no file and no sprite sheet")

    def _sampling(self, wants: Wants, source: FrameSource) -> Sampling:
        if source is FrameSource.IMAGE:
            of = native_image_sampling if wants is Wants.NATIVE else image_sampling
            return self._patient(lambda _beat: of(self.scene.path, self.key))
        if source is FrameSource.SPRITE:
            return self._watched(self._sprites())
        if not self.scene.path:
            raise MediaMissing(f"{self.scene.source} has no file", "scan the library in Stash")
        if self._video_fault is not None:
            raise self._video_fault
        if wants is Wants.MOMENTS:
            return self._guarded(self._moments())
        if wants is Wants.NATIVE:
            return self._guarded(self._native())
        if wants is Wants.DETAIL:
            return self._guarded(self._video(DETAIL_SIDE_PX))
        return self._watched(self._guarded(self._video(LABELS_SIDE_PX)))

    def _patient(self, sampling: Callable[[Beat], Sampling]) -> Sampling:
        """Read a file that may never answer, and hear a stop meanwhile."""

        def frames() -> Iterator[Frame]:
            return streamed(lambda beat: sampling(beat).frames(), self._check, self.scene.path)

        return replace(sampling(self._check), frames=frames)

    def _guarded(self, sampling: Sampling) -> Sampling:
        """Read a video that cannot be read no second time: each could take minutes."""

        def frames() -> Iterator[Frame]:
            with self._remembering_faults():
                yield from sampling.frames()

        return replace(sampling, frames=frames)

    @contextmanager
    def _remembering_faults(self) -> Iterator[None]:
        try:
            yield
        except MediaError as error:
            self._video_fault = error
            raise

    def _video(self, side_px: int) -> Sampling:
        path, duration_s = self.scene.path, self.duration_s
        return self._patient(
            lambda beat: video_sampling(path, duration_s, self._frames, side_px, self.key, beat)
        )

    def _native(self) -> Sampling:
        path, duration_s = self.scene.path, self.duration_s
        return self._patient(
            lambda beat: native_sampling(path, duration_s, NATIVE_FRAMES, self.key, beat)
        )

    def _sprites(self) -> Sampling:
        fetch, scene = self._fetch, self.scene
        if fetch is None or not scene.vtt_path or not scene.sprite_path:
            raise MediaMissing(f"{scene.source} has no sprite sheet", "generate sprites in Stash")
        vtt = fetch(scene.vtt_path)
        size_of = self._size_of or (lambda path: len(fetch(path)))
        return sprite_sampling(
            vtt,
            lambda: fetch(scene.sprite_path),
            size_of(scene.sprite_path),
            self._said_s,
            self.key,
        )

    def _moments(self) -> Sampling:
        def frames() -> Iterator[Frame]:
            changes = self._changes or self._looked()
            times_s = changes.moments(self._text_frames, self._said_s)
            path = self.scene.path

            def read(beat: Beat) -> Iterator[Frame]:
                return read_exact(path, times_s, MOMENTS_SIDE_PX, self.key, check=beat)

            yield from streamed(read, self._check, path)

        key = f"video:moments:{self._text_frames}:{MOMENTS_SIDE_PX}"
        return Sampling(key, self.key, FrameSource.VIDEO, self.duration_s, (), frames)

    def _looked(self) -> Changes:
        """Read the cheap frames only to see where the picture changes."""
        cheap = self.sampling(Wants.LABELS)
        try:
            return Changes.of(self._checked(cheap))
        except MediaError as error:
            return Changes.of(self._checked(self.instead(Wants.LABELS, cheap, error)))

    def _checked(self, sampling: Sampling) -> Iterator[Frame]:
        for frame in sampling.frames():
            self._check()
            yield frame

    def _watched(self, sampling: Sampling) -> Sampling:
        """Note where the picture changes while cheap frames go by, so that none is read twice."""

        def frames() -> Iterator[Frame]:
            changes = Changes()
            for frame in sampling.frames():
                changes.see(frame)
                yield frame
            self._changes = changes

        return replace(sampling, frames=frames)

    @cached_property
    def _is_image(self) -> bool:
        scene = self.scene
        if scene.duration_s is not None or not scene.path:
            return False
        try:
            return answered(lambda _beat: is_image(scene.path), self._check, scene.path)
        except MediaMissing:
            # Its name tells enough to find what the store knows of a picture that is away.
            return (guess_type(scene.path)[0] or "").startswith("image/")
