"""What the flow is made of, and what goes through it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from stash_sense_plugin.detectors.clip import ZeroShot
from stash_sense_plugin.errors import ModelMissing, StashSenseError
from stash_sense_plugin.identity import studio
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.records import (
    Detector,
    Failure,
    FrameSource,
    Observation,
    Ran,
    Scene,
    SceneResult,
    Skipped,
)
from stash_sense_plugin.suggestions import DecideOptions
from stash_sense_plugin.vocabulary import Vocabulary


def _untold(stage: str) -> None:
    """Tell nobody what is being done."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the flow is made of, joined by tasks."""

    store: Store
    vocabulary: Vocabulary
    detectors: Sequence[Detector] = ()
    missing: Mapping[str, ModelMissing] = field(default_factory=dict)
    """Detectors whose networks are not here, by model: only the store can answer for them."""
    skipped: Sequence[Skipped] = ()
    """Detectors that are switched off or cannot be built, and why."""
    zero_shot: ZeroShot | None = None
    studios: Sequence[studio.StudioName] = ()
    options: DecideOptions = field(default_factory=DecideOptions)
    stage: Callable[[str], None] = _untold
    """Told what is being done, several times a batch, for the case that this process dies of it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one detector saw in one sampling of a scene."""

    ran: Ran
    sampling_key: str
    source: FrameSource
    duration_s: float | None
    times_s: tuple[float, ...]
    observations: tuple[Observation, ...]


def failed(scene: Scene, error: StashSenseError) -> SceneResult:
    """Return the result of a scene that could not be looked at."""
    return SceneResult(
        source=scene.source,
        duration_s=scene.duration_s,
        frames={},
        error=Failure(error.kind, error.message, error.remedy),
    )
