"""How a run stands: with it the run goes on in another slice, worker or version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stash_sense_plugin.errors import SettingsError
from stash_sense_plugin.tasks.choosing import Course
from stash_sense_plugin.tasks.tally import Tally
from stash_sense_plugin.tasks.writing import Answer


@dataclass(slots=True)
class Standing:
    """What a run was asked for, what it knows by now, and what it has told the user."""

    run_id: str
    course: Course
    tally: Tally
    answer: Answer = Answer.NONE
    """What the user said, until all that was ever written has been gone through with it."""
    library: str = ""
    """Where the database of the run's library lay; empty before it is known."""
    asked: bool = False
    """Whether the user was asked already."""
    told_away: set[str] = field(default_factory=set)
    resumed: bool = False

    @classmethod
    def kept(cls, run_id: str, state: Mapping[str, Any]) -> "Standing":
        """Read what `as_json` wrote, in this version or another; what is not there has its default.

        Raises SettingsError where another version's words mean nothing here.
        """
        try:
            return cls(
                run_id,
                Course.kept(state["course"]),
                Tally(state.get("tally")),
                Answer(state.get("answer", "")),
                str(state.get("library", "")),
                bool(state.get("asked")),
                set(map(str, state.get("told_away", ()))),
                bool(state.get("resumed")),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SettingsError(
                f"The run {run_id} was begun by a version of Stash Sense that this one does not"
                f" understand ({type(error).__name__}: {error})",
                "run the task again: it begins a new one",
            ) from error

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "course": self.course.as_json(),
            "tally": self.tally.as_json(),
            "answer": self.answer.value,
            "library": self.library,
            "asked": self.asked,
            "told_away": sorted(self.told_away),
        }
