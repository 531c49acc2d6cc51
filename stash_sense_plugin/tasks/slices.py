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
RESTORED = "Tag scenes after a restored backup"
REMOVED = "Tag scenes, what I removed stays removed"
SWEEPS = (TAG, TAG_ALL, RESTORED, REMOVED)
"""What plugin.yml calls the tasks that are done in slices."""
GOING_ON = ", from scene "
"""What follows the name of one that goes on."""


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

    def waiting(self) -> str | None:
        """Return what waits in Stash for its turn; None while this slice lasts, or nothing does."""
        now_s = self._clock()
        if self._plugin is None or now_s < self._ask_at_s:
            return None
        self._ask_at_s = now_s + ASKED_EVERY_S
        jobs = self._queue()
        if not any(_is_under_way(job) for job in jobs):
            # An operation holds nobody up: it runs beside the queue.
            self._plugin = None
            return None
        waits = (job.description for job in jobs if job.status == "READY" and not self._ours(job))
        return next(waits, None)

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

    def has(self, description: str) -> bool:
        """Whether the queue holds a task that we called so."""
        return any(job.description == PLUGIN_TASK + description for job in self._queue())

    def _queue(self) -> list[StashJob]:
        with suppress(StashRefused):
            return job_queue(self._client)
        return []

    def _ours(self, job: StashJob) -> bool:
        """Whether it is a sweep too, which would find the same scenes to do."""
        name = job.description.removeprefix(PLUGIN_TASK)
        plain = name.partition(GOING_ON)[0]
        return name != job.description and plain in (*SWEEPS, self._plugin)


def _is_under_way(job: StashJob) -> bool:
    return job.status != "READY" and job.description.startswith(PLUGIN_TASK)
