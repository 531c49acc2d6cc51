"""The state of the library: what is known, what waits, how quick it is and what limits."""

from collections import defaultdict
from collections.abc import Sequence

from stash_sense_plugin.errors import StashError
from stash_sense_plugin.library.counts import LibraryCounts, Look
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.start.version import VERSION
from stash_sense_plugin.stash.operations import WorkflowCounts, count_workflow, find_tags
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
SHOWN_AS = {
    "clip": "Scenes, by words",
    "objects": "Objects",
    "tagger": "Tags, by a trained network",
    "text": "Text on screen",
    "picture": "Facts of the picture",
    "quality": "Picture quality",
    "similarity": "Likeness",
    READING: "Fetching, decoding and writing",
}
"""What the pages call the detectors (`ui/src/parts/why.ts`)."""


def overview(engine: Engine, call: Call, reporter: Reporter) -> OverviewTold:
    """Return the state of the library; what only Stash knows is null where it cannot be asked."""
    aside = engine.aside()
    library = _in_stash(aside, call, reporter)
    counts = engine.counts
    return {
        "version": VERSION,
        "scenes": _scenes(counts, library),
        "suggestions": _decisions(counts),
        "coverage": [_covered(*row) for row in counts.coverage()],
        "speed": speed_of(counts.last_looks(LOOKS)),
        "workflow": _workflow(aside.settings),
        "complaints": list(aside.complaints),
    }


# --- What Stash has -------------------------------------------------------------------------------


def _in_stash(aside: Engine, call: Call, reporter: Reporter) -> WorkflowCounts | None:
    """Count what Stash has; None where it cannot be asked."""
    if call.server is None:
        return None
    try:
        with aside.stash(call, reporter) as client:
            settings = aside.settings
            names = (settings.tagme_tag, settings.tagged_tag, settings.errored_tag)
            found = find_tags(client, names)
            tags = (found.get(name.strip()) for name in names)
            return count_workflow(client, *(None if tag is None else tag.id for tag in tags))
    except StashError as error:
        reporter.log("warning", f"{error.message}: what Stash has is not counted")
        return None


def _workflow(settings: Settings) -> WorkflowTags:
    return {
        "to_do": settings.tagme_tag,
        "tagged": settings.tagged_tag,
        "errored": settings.errored_tag,
    }


# --- What the store has ---------------------------------------------------------------------------


def _scenes(counts: LibraryCounts, library: WorkflowCounts | None) -> ScenesCounted:
    looked_at, failed = counts.scenes()
    return {
        "in_stash": None if library is None else library.scenes,
        "looked_at": looked_at,
        "failed": failed,
        "to_do": None if library is None else library.to_do,
        "tagged": None if library is None else library.tagged,
        "errored": None if library is None else library.errored,
    }


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
    shown_as = SHOWN_AS.get(most["what"], most["what"])
    limits = f"“{shown_as}” limits: on {where} it takes {taken}"
    if most["what"] == "text":
        return f"{limits}. Set fewer frames for text, or switch text off"
    if most["what"] == "picture":
        return f"{limits}. Set fewer frames"
    card = "A graphics card would help most, then the" if most["device"] == CPU else "The"
    return f"{limits}. {card} preset fast, or fewer frames"
