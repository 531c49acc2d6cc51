"""The first half of the flow: scene -> frames -> observations, kept in the store.

Looking is apart from deciding: what detectors saw is kept in the store under the file's
fingerprint, so that a scene that did not change is decided anew without a frame or a network.
"""

import time
from collections.abc import Iterator, Sequence

from stash_sense_plugin.errors import (
    MediaError,
    MediaMissing,
    ModelError,
    ModelMissing,
    StashSenseError,
)
from stash_sense_plugin.library.analyses import as_kept
from stash_sense_plugin.media.sampling import SceneMedia
from stash_sense_plugin.pipeline.deciding import conclude
from stash_sense_plugin.pipeline.parts import Look, Parts, above, recalled
from stash_sense_plugin.records import (
    Detector,
    Fingerprint,
    Frame,
    FrameSource,
    Observation,
    Ran,
    Reporter,
    Sampling,
    Scene,
    SceneResult,
    Skipped,
    Wants,
)

FIRST_BATCH = 2
"""Frames handed over first: how fast this machine is shows only then."""
SHORT_BATCH_S = 0.5
"""Batches grow while they take less: twice as many frames then stay within LONG_BATCH_S."""
LONG_BATCH_S = 1.5
"""Batches shrink when they take more."""
MOST_BATCH_BYTES = 32_000_000
"""No further frame is taken where a batch would come to hold more: 16 of 800 x 800 pixels."""

READING = {
    FrameSource.SPRITE: "reading its sprite sheet",
    FrameSource.VIDEO: "reading the video",
    FrameSource.IMAGE: "reading the image",
}
OPENING = "opening the file"
DECIDING = "deciding"


def look_at(
    scene: Scene, fingerprint: Fingerprint, media: SceneMedia, parts: Parts, reporter: Reporter
) -> SceneResult:
    """Look at a scene and decide what to suggest.

    A detector that cannot run is named in `skipped`, and the others go on. Where none could look,
    it raises MediaError when there were no frames, ModelBroken when a network broke on these ones
    (the next scene's may suit it), and ModelMissing, which holds for every scene, only when no
    detector has its network.
    """
    looks, skipped = observe(fingerprint, media, parts, reporter)
    reporter.check()
    parts.stage(DECIDING)
    return conclude(scene, looks, (*parts.skipped, *skipped), parts, reporter)


def observe(
    fingerprint: Fingerprint, media: SceneMedia, parts: Parts, reporter: Reporter
) -> tuple[list[Look], list[Skipped]]:
    """Let every detector look once, or take from the store what it saw."""
    turns, errors, skipped = _turns(parts.detectors)
    viewing = _Viewing(fingerprint, media, parts, reporter)
    for wants in Wants:
        if together := [turn for turn in turns if turn.detector.wants is wants]:
            viewing.view_best(wants, together)
            viewing.done += len(together) / len(turns)
    for turn in turns:
        if turn.look is None and turn.error is not None:
            errors.append(turn.error)
            skipped.append(_skipped(f"{turn.detector.name} ({turn.model})", turn.error))
    looks = [turn.look for turn in turns if turn.look is not None]
    if not looks:
        raise _gravest(errors, parts.skipped)
    return looks, skipped


def _turns(
    detectors: Sequence[Detector],
) -> tuple[list["_Turn"], list[StashSenseError], list[Skipped]]:
    """Begin each detector's turn; one that cannot even say its version has none."""
    turns: list[_Turn] = []
    errors: list[StashSenseError] = []
    skipped: list[Skipped] = []
    for detector in detectors:
        try:
            turns.append(_Turn(detector))
        except ModelError as error:
            errors.append(error)
            skipped.append(_skipped(detector.name, error))
    return turns, errors, skipped


def _skipped(name: str, error: StashSenseError) -> Skipped:
    return Skipped(name, error.message, error.remedy)


def _gravest(errors: Sequence[StashSenseError], skipped: Sequence[Skipped]) -> StashSenseError:
    """Choose what is said when nothing was seen: what is this scene's alone before what is not."""
    if errors:
        return min(errors, key=_reach)
    reasons = "; ".join(f"{each.detector}: {each.reason}" for each in skipped)
    return ModelMissing(
        f"No detector can run ({reasons or 'there is none'})",
        "; ".join(dict.fromkeys(each.remedy for each in skipped if each.remedy)),
    )


def _reach(error: StashSenseError) -> int:
    """Order errors by how much is beside one scene that they keep from being looked at."""
    if error.fault == "scene":
        return 0
    if not isinstance(error, ModelError):
        return 1
    return 3 if isinstance(error, ModelMissing) else 2


class _Turn:
    """One detector's turn with one scene: what it saw, or why it did not look."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.model = detector.model
        self.look: Look | None = None
        self.error: StashSenseError | None = None
        self.begin()

    def begin(self) -> None:
        """Forget what came of a source that broke before its end."""
        self.seen: list[Observation] = []
        self.seconds = 0.0
        self.broken: ModelError | None = None
        self.too_small_px = 0

    @property
    def over(self) -> bool:
        """Whether it takes no more frames."""
        return self.broken is not None or self.too_small_px > 0

    def see(self, frames: Sequence[Frame]) -> None:
        """Look at a batch; a network that fails ends this detector's turn and no other's."""
        if self.over:
            return
        side_px = max(max(frame.pixels.shape[:2]) for frame in frames)
        if side_px < self.detector.min_side_px:
            self.too_small_px = side_px
            return
        started_s = time.perf_counter()
        try:
            self.seen += self.detector.detect(frames)
        except ModelError as error:
            self.broken = error
        self.seconds += time.perf_counter() - started_s


class _Viewing:
    """One scene, looked at by detectors that want the same frames together."""

    def __init__(
        self, fingerprint: Fingerprint, media: SceneMedia, parts: Parts, reporter: Reporter
    ) -> None:
        self._fingerprint = fingerprint
        self._media = media
        self._store = parts.store
        self._missing = parts.missing
        self._floor = parts.floor
        self._stage, self._share = parts.stage, parts.share
        self.done = 0.0
        """How much of the detectors' work is over, 0..1."""
        self._detectors = len(parts.detectors)
        self._reporter = reporter

    def view_best(self, wants: Wants, turns: Sequence[_Turn]) -> None:
        """Look at the best source that can be read; where none can, at what the store knows."""
        try:
            self._stage(OPENING)
            sampling = self._media.sampling(wants)
            while (error := self._viewed(sampling, turns)) is not None:
                sampling = self._media.instead(wants, sampling, error)
        except MediaError as error:
            for turn in turns:
                if turn.look is None:
                    self._recall(turn, error)

    def _viewed(self, sampling: Sampling, turns: Sequence[_Turn]) -> MediaError | None:
        """Look at one source; the error where its frames could not be read."""
        if sampling.note:
            self._reporter.log("debug", f"{self._media.key}: {sampling.note}")
        try:
            self._view(sampling, turns)
        except MediaError as error:
            return error
        return None

    def _view(self, sampling: Sampling, turns: Sequence[_Turn]) -> None:
        """Take from the store what is known of this sampling; run the rest. Raises MediaError."""
        new = [turn for turn in turns if turn.look is None and not self._answered(turn, sampling)]
        times = self._run(sampling, new) if new else []
        for turn in new:
            if turn.too_small_px:
                self._recall(turn, _too_small(turn, sampling))
            elif turn.broken is not None:
                turn.error = turn.broken
            else:
                self._keep(turn, sampling, times)

    def _answered(self, turn: _Turn, sampling: Sampling) -> bool:
        """Say whether a turn needs no frame: the store has it, or there is no network for it."""
        stored = self._store.analysis(
            self._fingerprint,
            sampling.key,
            turn.detector.name,
            turn.model,
            scene_key=self._media.key,
            floor=self._floor,
        )
        absent = self._missing.get(turn.model)
        if stored is not None:
            turn.look = recalled(stored, self._floor)
        elif absent is not None:
            self._recall(turn, absent)
        return stored is not None or absent is not None

    def _recall(self, turn: _Turn, error: StashSenseError) -> None:
        """Take what was seen in any frames of this file before; else keep the first reason."""
        stored = self._store.latest_analysis(
            self._fingerprint, turn.detector.name, turn.model, scene_key=self._media.key
        )
        if stored is not None:
            turn.look = recalled(stored, self._floor)
        else:
            turn.error = turn.error or error

    def _run(self, sampling: Sampling, turns: Sequence[_Turn]) -> list[float]:
        """Hand the frames over in batches; return the times of those that came."""
        times: list[float] = []
        for turn in turns:
            turn.begin()
        frames = self._checked(sampling.frames())
        most = min(turn.detector.batch for turn in turns)
        size = min(FIRST_BATCH, most)
        self._stage(READING[sampling.source])
        while batch := _batch(frames, size):
            started_s = time.perf_counter()
            for turn in turns:
                self._reporter.check()
                self._stage(f"{turn.detector.name} ({turn.model})")
                turn.see(batch)
            self._stage(READING[sampling.source])
            times += [frame.time_s for frame in batch]
            # Of some frames the number shows only at their end.
            seen = len(times) / max(len(sampling.times_s), len(times) + 1)
            self._share(min(1.0, self.done + seen * len(turns) / self._detectors))
            if all(turn.over for turn in turns):
                break
            size = _next_batch(size, most, time.perf_counter() - started_s)
        if not times:
            raise MediaMissing(f"No frame of {self._media.key} could be read")
        return times

    def _checked(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Hear a stop between frames: reading a batch of them from a slow drive takes long."""
        for frame in frames:
            self._reporter.check()
            yield frame

    def _keep(self, turn: _Turn, sampling: Sampling, times_s: Sequence[float]) -> None:
        detector = turn.detector
        seen = as_kept(above(turn.seen, self._floor))
        ran = Ran(
            detector.name,
            turn.model,
            detector.device,
            detector.precision,
            len(times_s),
            turn.seconds,
        )
        self._store.save_analysis(
            self._fingerprint,
            sampling.key,
            sampling.source,
            sampling.duration_s,
            times_s,
            detector.name,
            turn.model,
            seen,
            ran,
            floor=self._floor,
        )
        turn.look = Look(
            ran,
            sampling.key,
            sampling.source,
            sampling.duration_s,
            tuple(times_s),
            tuple(seen),
        )


def _batch(frames: Iterator[Frame], most: int) -> list[Frame]:
    """Take up to `most` frames; fewer, but one at least, where they are large."""
    taken: list[Frame] = []
    held = 0
    for frame in frames:
        taken.append(frame)
        held += frame.pixels.nbytes
        if len(taken) == most or held + frame.pixels.nbytes > MOST_BATCH_BYTES:
            break
    return taken


def _next_batch(size: int, most: int, took_s: float) -> int:
    """Return how many frames to hand over next, so that a stop is heard within two seconds."""
    if took_s > LONG_BATCH_S:
        return max(1, size // 2)
    return min(most, 2 * size) if took_s < SHORT_BATCH_S else size


def _too_small(turn: _Turn, sampling: Sampling) -> MediaMissing:
    reason = (
        f"{sampling.source.value} frames of {turn.too_small_px} px are too small for it"
        f" ({turn.detector.min_side_px} px)"
    )
    return MediaMissing(
        f"{sampling.note}; {reason}" if sampling.note else reason,
        "let this machine read the video file",
    )
