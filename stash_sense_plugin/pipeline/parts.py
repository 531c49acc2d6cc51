"""What the flow is made of, and what goes through it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stash_sense_plugin.calibration import Curve
from stash_sense_plugin.detectors.clip import ZeroShot
from stash_sense_plugin.errors import ModelMissing, StashSenseError
from stash_sense_plugin.identity import studio
from stash_sense_plugin.inference.catalogue import Catalogue
from stash_sense_plugin.library.analyses import Embedded, StoredAnalysis
from stash_sense_plugin.library.scenes import Decidable
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


def _unshown(share: float) -> None:
    """Show nobody how much is done."""


NAMELESS = frozenset({"similarity"})
"""Detectors whose vectors no words are compared with: nothing is decided by them."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What must be seen at the same time for a network's words to mean anything."""

    words: tuple[str, ...]
    """Any of them, with their word lists: `coco/person`; they are another network's."""
    at_least: float
    """The score that one of them must have."""

    @property
    def sources(self) -> frozenset[str]:
        """Who sees these words."""
        return frozenset(word.partition("/")[0] for word in self.words)


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
    fitted: Mapping[tuple[str, str], Curve] = field(default_factory=dict)
    """Curves that were learnt, by (scale, thing)."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """The confidence from which a thing is written, where one was learnt."""
    words_of: Mapping[str, str] = field(default_factory=dict)
    """The word list of each network that has one, by its name."""
    gates: Mapping[str, Gate] = field(default_factory=dict)
    """By the name of the network that means nothing outside of its gate."""
    floor: float = 0.0
    """Observations of a lower score are not kept, and decide nothing; vectors and text are."""
    stage: Callable[[str], None] = _untold
    """Told what is being done, several times a batch, for the case that this process dies of it."""
    share: Callable[[float], None] = _unshown
    """Told after a batch how much of the look at a scene is done, 0..1."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one detector saw in one sampling of a scene."""

    ran: Ran
    sampling_key: str
    source: FrameSource
    duration_s: float | None
    times_s: tuple[float, ...]
    observations: tuple[Observation, ...]
    embedded: Embedded | None = None
    """The vectors apart, where they were read so; else they are in the observations."""


@dataclass(frozen=True, slots=True)
class DecideScene:
    """A scene to be decided from what the store keeps of its file."""

    known: Decidable
    accepted: frozenset[tuple[str, str]] = frozenset()
    """As in DecideOptions: what the user said of this scene goes with it, not with the options."""
    refused: frozenset[tuple[str, str]] = frozenset()


def word_lists(catalogue: Catalogue) -> dict[str, str]:
    """Return the word list of each network that has one, by its name."""
    return {card.name: card.words for card in catalogue if card.words}


def network_of(ran: Ran) -> str:
    """Return the name of the network that looked, without its version."""
    return ran.model.partition("@")[0]


def source_of(ran: Ran, words_of: Mapping[str, str]) -> str:
    """Return whose words a look is in, as `Label.source` has it.

    That is its network's word list, else the detector itself: `clip`, `picture`, `text`.
    """
    return words_of.get(network_of(ran), ran.detector)


def above(seen: Iterable[Observation], floor: float) -> list[Observation]:
    """Drop what is below the floor; vectors have no score, and text is read or not."""
    return [
        each
        for each in seen
        if each.score >= floor or each.vector is not None or each.text is not None
    ]


def recalled(stored: StoredAnalysis, floor: float) -> Look:
    """Return a look from the store: it took no time now."""
    return Look(
        replace(stored.ran, seconds=0.0),
        stored.sampling_key,
        stored.source,
        stored.duration_s,
        stored.times_s,
        tuple(above(stored.observations, floor)),
        stored.embedded,
    )


def failed(scene: Scene, error: StashSenseError) -> SceneResult:
    """Return the result of a scene that could not be looked at."""
    return SceneResult(
        source=scene.source,
        duration_s=scene.duration_s,
        frames={},
        error=Failure(error.kind, error.message, error.remedy),
    )
