"""The state of the library: what is known, what waits, how quick it is and what limits."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from stash_sense_plugin.errors import StashError
from stash_sense_plugin.library.counts import LibraryCounts, Look
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.start.version import VERSION
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import count_scenes, count_with_tag, find_tag
from stash_sense_plugin.tasks.api import (
    Covered,
    DecisionsCounted,
    OverviewTold,
    PartOfTime,
    ScenesCounted,
    Speed,
    WorkflowTags,
)
from stash_sense_plugin.tasks.engine import Call, Engine

LOOKS = 200
"""The scenes last looked at that tell how quick it is."""
PAUSE_S = 60.0
"""Where so much more time passed between two scenes than detectors took, work was paused."""
READING = "reading"
CPU = "cpu"


def overview(engine: Engine, call: Call, reporter: Reporter) -> OverviewTold:
    """Return the state of the library; what only Stash knows is null where it cannot be asked."""
    aside = engine.aside()
    library = _in_stash(aside, call, reporter)
    counts = LibraryCounts(engine.store)
    looked_at, failed = counts.scenes()
    scenes: ScenesCounted = {
        "in_stash": library.scenes,
        "looked_at": looked_at,
        "failed": failed,
        "to_do": library.to_do,
        "tagged": library.tagged,
        "errored": library.errored,
    }
    return {
        "version": VERSION,
        "scenes": scenes,
        "suggestions": _decisions(counts),
        "coverage": [_covered(*row) for row in counts.coverage()],
        "speed": speed_of(counts.last_looks(LOOKS)),
        "workflow": _workflow(aside.settings),
        "complaints": list(aside.complaints),
    }


# --- What Stash has -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _InStash:
    """How many scenes Stash has, and how many carry each workflow tag; None where unknown."""

    scenes: int | None = None
    to_do: int | None = None
    tagged: int | None = None
    errored: int | None = None


def _in_stash(aside: Engine, call: Call, reporter: Reporter) -> _InStash:
    if call.server is None:
        return _InStash()
    try:
        with aside.stash(call, reporter) as client:
            settings = aside.settings
            return _InStash(
                count_scenes(client),
                _carrying(client, settings.tagme_tag),
                _carrying(client, settings.tagged_tag),
                _carrying(client, settings.errored_tag),
            )
    except StashError as error:
        reporter.log("warning", f"{error.message}: what Stash has is not counted")
        return _InStash()


def _carrying(client: StashClient, name: str) -> int:
    """How many scenes carry a tag; none where there is no such tag."""
    tag = find_tag(client, name)
    return 0 if tag is None else count_with_tag(client, tag.id)


def _workflow(settings: Settings) -> WorkflowTags:
    return {
        "to_do": settings.tagme_tag,
        "tagged": settings.tagged_tag,
        "errored": settings.errored_tag,
    }


# --- What the store has ---------------------------------------------------------------------------


def _decisions(counts: LibraryCounts) -> DecisionsCounted:
    ask, apply, refused = counts.decisions()
    return {"ask": ask, "apply": apply, "refused": refused}


def _covered(detector: str, model: str, scenes: int) -> Covered:
    return {"detector": detector, "model": model, "scenes": scenes}


# --- How quick it is ------------------------------------------------------------------------------


def speed_of(looks: Sequence[Look]) -> Speed | None:
    """Return how quick these looks were, and what limits; None where no detector worked."""
    worked = [look for look in looks if look.detectors_s]
    if not worked:
        return None
    whole_s = sum(min(look.seconds, PAUSE_S + 2 * look.detectors_s) for look in worked)
    parts = _detectors(worked)
    reading_s = max(0.0, whole_s - sum(part["seconds"] for part in parts))
    frames = sum(look.frames for look in worked)
    parts.append(_part(READING, "", frames, reading_s))
    parts.sort(key=lambda part: -part["seconds"])
    whole_s = sum(part["seconds"] for part in parts)
    return {
        "scenes": len(worked),
        "seconds": round(whole_s, 3),
        "parts": parts,
        "limit": _limit(parts[0], whole_s),
    }


def _detectors(looks: Sequence[Look]) -> list[PartOfTime]:
    frames: defaultdict[tuple[str, str], int] = defaultdict(int)
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    for look in looks:
        for ran in look.ran:
            if ran["seconds"]:
                which = (ran["detector"], ran["device"])
                frames[which] += ran["frames"]
                seconds[which] += ran["seconds"]
    return [_part(*which, frames[which], seconds[which]) for which in seconds]


def _part(what: str, device: str, frames: int, seconds: float) -> PartOfTime:
    return {"what": what, "device": device, "frames": frames, "seconds": round(seconds, 3)}


def _limit(most: PartOfTime, whole_s: float) -> str:
    """Say what takes most of the time, and what would help."""
    taken = f"{most['seconds'] / whole_s:.0%} of the time"
    if most["what"] == READING:
        return (
            f"Reading limits: fetching and decoding pictures takes {taken}. Let Stash generate"
            " sprites of all scenes, or set fewer frames"
        )
    where = "the processor" if most["device"] == CPU else "the graphics card"
    limits = f"The detector {most['what']} limits: on {where} it takes {taken}"
    if most["what"] == "text":
        return f"{limits}. Set fewer frames for text, or switch text off"
    if most["what"] == "picture":
        return f"{limits}. Set fewer frames"
    card = "A graphics card would help most, then the" if most["device"] == CPU else "The"
    return f"{limits}. {card} preset fast, or fewer frames"
