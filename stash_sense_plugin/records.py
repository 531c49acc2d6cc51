"""The values that flow from a scene to Stash, and the Protocols between rooms."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import IntEnum, StrEnum
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""A picture: height x width x 3, RGB, 0..255."""

Vectors = NDArray[np.float32]
"""Embeddings: count x dimensions, each row of length 1."""


# --- A scene and its pictures -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a file is, wherever it lies: OpenSubtitles' hash (16 hex digits) and its size."""

    oshash: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Scene:
    """A video or picture to look at; `id` is Stash's, or empty for a file from the command line."""

    id: str
    title: str
    path: str
    fingerprint: Fingerprint | None
    duration_s: float | None
    """None for a picture."""
    width: int = 0
    height: int = 0
    sprite_path: str = ""
    """Path of the sprite sheet on Stash's server (no host), or empty."""
    vtt_path: str = ""
    tag_ids: frozenset[str] = frozenset()
    studio_id: str | None = None
    other_files: tuple[Fingerprint, ...] = ()
    """What else Stash keeps under the scene: copies, and files of scenes merged into it."""
    phashes: tuple[str, ...] = ()
    """What Stash takes its pictures to look like (16 hex digits each), where it was made."""

    @property
    def files(self) -> tuple[Fingerprint, ...]:
        """Every file of it that is known, the primary one first."""
        own = () if self.fingerprint is None else (self.fingerprint,)
        return tuple(dict.fromkeys((*own, *self.other_files)))

    @property
    def source(self) -> str:
        """What a person calls it: the file's path, else the scene's id."""
        return self.path or f"scene {self.id}"


class FrameSource(StrEnum):
    """Where a frame was taken from."""

    SPRITE = "sprite"
    VIDEO = "video"
    IMAGE = "image"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a scene, at its true time."""

    scene_key: str
    """Whose frame it is, so that a batch may mix scenes."""
    index: int
    """Its place in its sampling, from 0."""
    time_s: float
    pixels: Pixels
    source: FrameSource
    whole: tuple[int, int] | None = None
    """Width and height of the picture whose middle this is; None where it is the whole."""


class Wants(StrEnum):
    """Which frames serve a detector."""

    LABELS = "labels"
    """Small and many: sprite tiles do."""
    DETAIL = "detail"
    """Larger frames, evenly spread: the video, else what there is."""
    MOMENTS = "moments"
    """A few large frames: the first, the last, and where the picture changes."""
    NATIVE = "native"
    """A few frames with the very pixels of the file: never scaled, nor turned. Of those too large
    to hold, the middle. Sprites do not serve."""


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """Frames of one scene that can be read; `key` names them in the store.

    `times_s` are what is asked for, known before a file is opened; empty where only the frames
    tell (moments, a video of unknown length). A frame's own `time_s` is the true one, and may
    differ: a keyframe lies before the time asked for. `frames` streams, and may yield fewer than
    `times_s` where the video is damaged.
    """

    key: str
    scene_key: str
    source: FrameSource
    duration_s: float | None
    times_s: tuple[float, ...]
    frames: Callable[[], Iterator[Frame]]
    note: str = ""
    """Why it is not the source that was wanted, in a plain sentence; empty when it is."""


# --- What is seen -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture; x, y, w and h are fractions of its width and height, 0..1."""

    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True, slots=True)
class Observation:
    """What a detector saw in one frame."""

    scene_key: str
    frame_index: int
    time_s: float
    detector: str
    model: str
    """Name and version, joined by `@`."""
    label: str
    """The detector's own word, with its word list: `coco/dog`, `nudenet/FEET_EXPOSED`,
    `picture/dark`, `text`, `frame` (an embedding of the whole frame)."""
    score: float
    box: Box | None = None
    text: str | None = None
    track: int | None = None
    vector: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    """An embedding of length 1, where the observation is one."""


class Detector(Protocol):
    """Sees one kind of thing in frames."""

    name: ClassVar[str]
    """`clip`, `objects`, `tagger`, `text`, `picture`, `quality`, `similarity`: what settings and
    results call it."""
    wants: ClassVar[Wants]
    min_side_px: ClassVar[int]
    """Frames whose longer side is below this are of no use to it; 0 for any."""
    batch: int
    """How many frames to hand over at a time."""

    @property
    def model(self) -> str:
        """Name and version, joined by `@`; known before the weights are loaded."""
        ...

    @property
    def device(self) -> str:
        """Where it runs: `cpu`, `cuda`; known once it has run."""
        ...

    @property
    def precision(self) -> str:
        """`fp32`, `fp16` or `int8`; known once it has run."""
        ...

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        """Yield what is seen, in the order of the frames; nothing seen yields nothing.

        Raises ModelMissing or ModelBroken when the network cannot be used.
        """
        ...


# --- What it means ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """How strongly one label was seen at one sampled time; 0 where it was not."""

    time_s: float
    score: float


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A stretch of a scene where one label holds."""

    label: str
    start_s: float
    end_s: float
    score: float
    """The best score inside the range."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One frame that shows why."""

    time_s: float
    score: float
    detector: str
    model: str
    box: Box | None = None
    text: str | None = None


class Decision(IntEnum):
    """What becomes of a suggestion."""

    HIDE = 0
    ASK = 1
    APPLY = 2


Kind = Literal["tag", "studio", "performer"]


class Said(StrEnum):
    """What the user said of one suggestion for one scene; it outlives models and settings."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something that Stash could be told about a scene, and why."""

    kind: Kind
    name: str
    """The tag's, studio's or performer's name."""
    label: str
    """The vocabulary's word for it, or what was read or recognised."""
    confidence: float
    """A probability, 0..1."""
    decision: Decision
    ranges: tuple[TimeRange, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    target_id: str | None = None
    """Stash's id, where the thing suggested is known to be in Stash."""


@dataclass(frozen=True, slots=True)
class ReadText:
    """Text read on screen, over the time that it stood there."""

    text: str
    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True, slots=True)
class Ran:
    """A detector that looked at a scene; `seconds` is 0 where the store had the answer."""

    detector: str
    model: str
    device: str
    precision: str
    frames: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Skipped:
    """A detector that did not look, why, and what would make it."""

    detector: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a scene could not be looked at."""

    kind: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class SceneResult:
    """All that is known of one scene after a look: what `tag --json` prints."""

    source: str
    duration_s: float | None
    frames: Mapping[FrameSource, int]
    suggestions: tuple[Suggestion, ...] = ()
    texts: tuple[ReadText, ...] = ()
    ran: tuple[Ran, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    error: Failure | None = None

    def as_json(self) -> dict[str, object]:
        """Return the result as plain values; every number is finite, times are in seconds."""
        return {
            "source": self.source,
            "duration_s": None if self.duration_s is None else round(self.duration_s, 3),
            "frames": {source.value: self.frames.get(source, 0) for source in FrameSource},
            "suggestions": [_suggestion_json(suggestion) for suggestion in self.suggestions],
            "texts": [_rounded(asdict(text)) for text in self.texts],
            "ran": [_rounded(asdict(ran)) for ran in self.ran],
            "skipped": [asdict(skipped) for skipped in self.skipped],
            "error": None if self.error is None else asdict(self.error),
        }


def folded(name: str) -> str:
    """Return a name as names of tags, studios and labels are compared."""
    return name.strip().casefold()


def _suggestion_json(suggestion: Suggestion) -> dict[str, object]:
    return {
        "kind": suggestion.kind,
        "name": suggestion.name,
        "label": suggestion.label,
        "confidence": round(suggestion.confidence, 4),
        "decision": suggestion.decision.name,
        "ranges": [
            {
                "start_s": round(part.start_s, 3),
                "end_s": round(part.end_s, 3),
                "score": round(part.score, 4),
            }
            for part in suggestion.ranges
        ],
        "evidence": [_evidence_json(evidence) for evidence in suggestion.evidence],
    }


def _evidence_json(evidence: Evidence) -> dict[str, object]:
    box = evidence.box
    return {
        "time_s": round(evidence.time_s, 3),
        "score": round(evidence.score, 4),
        "detector": evidence.detector,
        "model": evidence.model,
        "box": None if box is None else [round(part, 4) for part in (box.x, box.y, box.w, box.h)],
        "text": evidence.text,
    }


def _rounded(values: dict[str, object]) -> dict[str, object]:
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in values.items()
    }


# --- What a job is told and tells --------------------------------------------------------------

Level = Literal["trace", "debug", "info", "warning", "error"]


class Reporter(Protocol):
    """Where a job says what it does, and learns that it should stop."""

    def log(self, level: Level, message: str) -> None:
        """Show one line to the user."""
        ...

    def progress(self, fraction: float) -> None:
        """Show how far the job is, 0..1."""
        ...

    def check(self) -> None:
        """Raise Cancelled when the job should stop: called between batches."""
        ...


# --- Writing -----------------------------------------------------------------------------------


class Action(StrEnum):
    """What a row of the ledger did to Stash."""

    ADD_TAG = "add-tag"
    MOVE_WORKFLOW = "move-workflow"
    """Add or remove a workflow tag; `detail["mode"]` is `ADD` or `REMOVE`."""
    CREATE_TAG = "create-tag"
    CREATE_MARKER = "create-marker"
    SET_STUDIO = "set-studio"
    REMOVE_TAG = "remove-tag"
    """These four take back what an earlier row wrote: `takes_back` is its number."""
    DESTROY_MARKER = "destroy-marker"
    CLEAR_STUDIO = "clear-studio"
    DESTROY_TAG = "destroy-tag"


TAKING_BACK = frozenset(
    {Action.REMOVE_TAG, Action.DESTROY_MARKER, Action.CLEAR_STUDIO, Action.DESTROY_TAG}
)
"""Actions that undo a write of ours; they leave nothing in Stash that could be ours."""


class Outcome(StrEnum):
    """How far a row of the ledger came."""

    INTENDED = "intended"
    """The before-row: written ahead of the mutation; still so after a kill."""
    OURS = "ours"
    """Absent in the read just before, there in the reply."""
    WAS_THERE = "was-there"
    """There already, so not ours."""
    FAILED = "failed"
    DONE = "done"
    """Taken back: there in the read just before, gone in the reply."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One write to Stash: what was wanted, of which scene, and what was there before."""

    run_id: str
    action: Action
    scene_id: str
    """Empty for a tag that was created."""
    fingerprint: Fingerprint | None
    target_id: str
    """Tag or studio id; a new tag's or marker's id is known only afterwards."""
    target_name: str
    detail: Mapping[str, object] = field(default_factory=dict)
    """What recovery needs: a marker's exact tuple and the ids that were there before it."""
    outcome: Outcome = Outcome.INTENDED
    row: int | None = None
    """The ledger's own number, once it has one."""
    takes_back: int | None = None
    """The row whose write is undone by this one; that row is withdrawn when this is DONE."""
    of_run: str = ""
    """The run that it belongs to, where an undo did again what that run had done."""

    @property
    def asked_as(self) -> tuple[str, ...]:
        """Our own names of a tag that the user has by another name."""
        found = self.detail.get("asked_as")
        return tuple(map(str, found)) if isinstance(found, list | tuple) else ()

    @property
    def about_id(self) -> str:
        """The id of the tag or studio that it is about: of a marker, its tag's."""
        if self.action not in (Action.CREATE_MARKER, Action.DESTROY_MARKER):
            return self.target_id
        exact = self.detail.get("exact")
        return str(exact[0]) if isinstance(exact, list | tuple) and exact else ""


class Ledger(Protocol):
    """Remembers every write before and after it is made; each call is durable when it returns."""

    def intend(self, entries: Sequence[LedgerEntry]) -> list[int]:
        """Write before-rows and return their numbers, in order."""
        ...

    def settle(
        self,
        outcomes: Mapping[int, tuple[Outcome, str]],
        learnt: Mapping[int, Mapping[str, object]] | None = None,
    ) -> None:
        """Write after-rows: row number -> how it ended and the target's id; `learnt` is added.

        That is what the answer told besides: row number -> more of its detail.
        """
        ...

    def unsettled(self) -> list[LedgerEntry]:
        """Before-rows without an after-row: what a kill interrupted."""
        ...

    def ours(self, scene_ids: Iterable[str]) -> list[LedgerEntry]:
        """What we wrote to these scenes and have not taken back or found taken away."""
        ...

    def moves(self, scene_ids: Iterable[str]) -> list[LedgerEntry]:
        """Our moves of these scenes' workflow tags, in their order."""
        ...

    def refuse(self, entries: Sequence[LedgerEntry]) -> None:
        """Remember that the user took these away: they are never put back."""
        ...

    def refused(self, scene: Scene) -> frozenset[tuple[str, str]]:
        """(kind, id or casefolded name) of what the user refused for this scene."""
        ...

    def withdraw(self, rows: Iterable[int]) -> None:
        """Remember that these are no longer ours, and no refusal either."""
        ...
