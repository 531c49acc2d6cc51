"""What is wanted of Stash, what became of it, and what is missing of it later."""

from dataclasses import dataclass
from enum import StrEnum

from stash_sense_plugin.records import Action


class Ending(StrEnum):
    """How a wish ended."""

    WRITTEN = "written"
    THERE = "there"
    """Somebody's already; left as it is."""
    REFUSED = "refused"
    """The user took it away once, so it is not written."""
    FAILED = "failed"
    TAKEN_BACK = "taken-back"
    """It was ours and is gone."""
    PASSED = "passed"
    """It was to be taken back, and is the user's by now: left as it is."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one wish for one scene."""

    scene_id: str
    action: Action
    name: str
    ending: Ending
    target_id: str = ""
    """The tag's or studio's id; of a marker its own, when it was written or was there."""
    reason: str = ""
    later: bool = False
    """Stash did not take it now, for a reason of its own: it is to be tried again."""


@dataclass(frozen=True, slots=True)
class MarkerWanted:
    """A marker to create, with the tag that it is for."""

    tag_id: str
    tag_name: str
    start_s: float
    end_s: float
    title: str = ""

    @property
    def exact(self) -> tuple[str, float, float | None, str]:
        """What makes two markers the same: tag, start and end to the millisecond, title."""
        return (self.tag_id, round(self.start_s, 3), round(self.end_s, 3), self.title)


@dataclass(frozen=True, slots=True)
class Missing:
    """What we wrote is gone in a way that is no refusal: nothing was touched; ask the user."""

    message: str
    remedy: str
    names: tuple[str, ...]
    scene_ids: tuple[str, ...]
    tag_gone: bool
    """A tag that we wrote is gone from Stash, and not only from scenes."""
    besides: "Missing | None" = None
    """Tags that are gone from Stash, where it is something else that is asked about."""
