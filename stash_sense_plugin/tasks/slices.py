"""Turns in Stash's queue, which does one job at a time: a long run lets the others go first."""

from collections.abc import Callable
from contextlib import suppress

from stash_sense_plugin.errors import StashError, StashRefused, StashUncertain
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import StashJob, job_queue, run_task

ASKED_EVERY_S = 5.0
"""Once its slice is over, a run looks so often for who waits."""
PLUGIN_TASK = "Running plugin task: "
"""What Stash writes before the name of a plugin's task."""
TAG, TAG_ALL = "Tag scenes", "Tag all scenes not yet Tagged"
RESTORED = "Answer: I restored a backup"
REMOVED = "Answer: I removed them myself"
"""What plugin.yml calls the tasks that are done in slices."""
GOING_ON = ", from scene "
"""What follows the name of one that goes on."""
SAME_SCENES = {TAG: (TAG, TAG_ALL), TAG_ALL: (TAG_ALL,)}
"""Behind which sweep it makes no difference which goes first: it takes the same scenes, or more."""


class Slices:
    """The turns of one run, where it came from Stash's queue; others have but one, without end."""

    def __init__(
        self, client: StashClient, plugin: str | None, minutes: int, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._plugin = plugin
        self._slice_s = minutes * 60.0
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """Begin a slice now."""
        self._ask_at_s = self._clock() + self._slice_s

    def waiting(self, task: str) -> str | None:
        """Return what waits in Stash for its turn; None while this slice lasts, or nothing does.

        `task` is which of the sweeps this one is.
        """
        now_s = self._clock()
        if self._plugin is None or now_s < self._ask_at_s:
            return None
        self._ask_at_s = now_s + ASKED_EVERY_S
        jobs = self._queue()
        if jobs is None:
            return None
        if not any(_is_under_way(job) for job in jobs):
            # An operation holds nobody up: it runs beside the queue.
            self._plugin = None
            return None
        waits = (job for job in jobs if job.status == "READY" and not _takes_same(job, task))
        return next((job.description.removeprefix(PLUGIN_TASK) for job in waits), None)

    def is_from_queue(self) -> bool:
        """Whether the run has a place in Stash's queue; not where Stash does not say."""
        jobs = None if self._plugin is None else self._queue()
        return jobs is not None and any(_is_under_way(job) for job in jobs)

    def go_on_later(self, run_id: str, mode: str, description: str) -> None:
        """Put the rest of a run at the end of the queue. Raises StashError when that fails."""
        if self._plugin is None:
            raise StashError("This run has no place in Stash's queue")
        args = {"mode": mode, "run_id": run_id}
        try:
            run_task(self._client, self._plugin, None, args, description)
        except StashUncertain:
            if not self.has(description):
                raise

    def has(self, description: str) -> bool | None:
        """Whether the queue holds a task that we called so; None where Stash does not say."""
        jobs = self._queue()
        if jobs is None:
            return None
        return any(job.description == PLUGIN_TASK + description for job in jobs)

    def _queue(self) -> list[StashJob] | None:
        """Return Stash's queue; None where it refuses, which says nothing of who waits."""
        with suppress(StashRefused):
            return job_queue(self._client)
        return None


def _is_under_way(job: StashJob) -> bool:
    # One that the user stops is no longer: it must not come back by itself.
    return job.status == "RUNNING" and job.description.startswith(PLUGIN_TASK)


def _takes_same(job: StashJob, task: str) -> bool:
    """Whether it is a sweep that would find the same scenes to do, or these and others."""
    name = job.description.removeprefix(PLUGIN_TASK)
    return name != job.description and name.partition(GOING_ON)[0] in SAME_SCENES[task]
