"""What a run has done: in numbers, and in the lines that Stash shows last."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from stash_sense_plugin.errors import WorkerDied
from stash_sense_plugin.records import Decision, Failure, Scene, SceneResult
from stash_sense_plugin.tasks.sighting import SWITCHED_OFF
from stash_sense_plugin.tasks.writing import Counts

ERRORS_SHOWN = 10
"""Failed scenes that the run's closing lines name."""


class Tally:
    """Counts over all slices of a run; holds no more for many scenes than for few."""

    def __init__(self, kept: Mapping[str, Any] | None = None) -> None:
        kept = kept or {}
        self.counts: Counter[str] = Counter(kept.get("counts", {}))
        self.changes = Counts()
        self.changes.written.update(kept.get("written", {}))
        self.changes.withdrawn.update(kept.get("withdrawn", {}))
        self.calls = int(kept.get("calls", 0))
        """Questions to Stash in the slices before this one."""
        self._errors = [(each["scene_id"], each["message"]) for each in kept.get("errors", ())]
        self._without: dict[str, str] = dict(kept.get("without", {}))

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "counts": dict(self.counts),
            "written": dict(self.changes.written),
            "withdrawn": dict(self.changes.withdrawn),
            "calls": self.calls,
            "errors": self.errors(),
            "without": dict(self._without),
        }

    def errors(self) -> list[dict[str, str]]:
        """Return the first scenes that failed, and why."""
        return [{"scene_id": scene_id, "message": message} for scene_id, message in self._errors]

    def report(self) -> dict[str, object]:
        """Return what the run did."""
        return {
            "tagged": self.counts["tagged"],
            "failed": self.counts["failed"],
            "left": self.counts["left"],
            "asks": self.counts["asks"],
            "written": dict(self.changes.written),
            "withdrawn": dict(self.changes.withdrawn),
            "calls": self.calls,
            "errors": self.errors(),
            "without": dict(self._without),
        }

    def leave(self) -> None:
        """Count a scene whose workflow tags stay as they are."""
        self.counts["left"] += 1

    def note(self, scene: Scene, result: SceneResult, *, moved: bool) -> None:
        """Count what became of a scene that was looked at."""
        if not moved:
            self.leave()
        elif result.error:
            self.counts["failed"] += 1
            self.name(scene, _told(result.error))
        else:
            self.counts["tagged"] += 1
        self.counts["asks"] += sum(each.decision is Decision.ASK for each in result.suggestions)
        for skipped in result.skipped:
            if skipped.reason != SWITCHED_OFF:
                self._without.setdefault(skipped.detector, f"{skipped.reason}; {skipped.remedy}")

    def name(self, scene: Scene, message: str) -> None:
        """Name a scene in the closing lines, as long as there are few."""
        self.counts["named"] += 1
        if len(self._errors) < ERRORS_SHOWN:
            told = message if scene.source in message else f"{scene.source}: {message}"
            self._errors.append((scene.id, told))

    def closing(self, total: int) -> Iterator[str]:
        """Yield what the run did, in lines that Stash shows last."""
        for detector, reason in self._without.items():
            yield f"Without {detector}: {reason}"
        for scene_id, message in self._errors:
            yield f"Scene {scene_id}: {message}"
        if (more := self.counts["named"] - len(self._errors)) > 0:
            yield f"{more} more failed: the command `errors` lists all"
        yield "; ".join(self._sums(total))

    def _sums(self, total: int) -> Iterator[str]:
        counts = self.counts
        yield (
            f"{counts['tagged']} of {counted(total, 'scene')} tagged, {counts['failed']} failed,"
            f" {counts['left']} left as they were"
        )
        yield f"written: {listed(self.changes.written)}"
        if any(self.changes.withdrawn.values()):
            yield f"withdrawn: {listed(self.changes.withdrawn)}"
        if asks := counts["asks"]:
            yield f"{counted(asks, 'suggestion')} {'waits' if asks == 1 else 'wait'} for you"


def _told(error: Failure) -> str:
    """Return what is said of a failed scene: where only the user can tell, what to do about it."""
    by_user = error.kind == WorkerDied.kind
    return f"{error.message}; {error.remedy}" if by_user else error.message


def listed(counts: Mapping[str, int]) -> str:
    """Return counts by what they are of, in the plural, in words that fit the numbers."""
    return ", ".join(counted(count, what[:-1]) for what, count in counts.items())


def counted(count: int, noun: str) -> str:
    """Return how many there are of something, in words that fit the number."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
