"""Whether this is the library that the store and its ledger know.

A database that was restored or replaced lacks what we wrote to the other one; that is no refusal
of the user's, and nothing there is ours to take back.
"""

from collections.abc import Iterable

from stash_sense_plugin.records import Reporter, Scene
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import scene_states, system
from stash_sense_plugin.stash.writer import forget_lost_tags
from stash_sense_plugin.tasks.engine import Engine

SAMPLES = 50
"""Scenes by which a library is known again."""


class Recognition:
    """Knows the library again at a run's start, and learns what to know it by."""

    def __init__(self, engine: Engine, client: StashClient) -> None:
        self._store = engine.store
        self._ledger = engine.ledger
        self._client = client
        self.path = system(client).database_path
        """Where Stash says that its database lies."""
        self._same: bool | None = None
        known = self._store.library_identity()
        self._samples: dict[str, str] = dict(known.samples) if known else {}
        """The longest known first."""

    def settle(self, reporter: Reporter) -> bool:
        """Say whether what is missing may be taken for the user's doing.

        In another library the ledger forgets what it wrote elsewhere, and the store learns anew.
        Where it is not clear, nothing is learnt in this run.
        """
        present = self._present()
        self._same = same = self._store.same_library(self.path, present)
        had, self._samples = (
            self._samples,
            {
                scene: oshash
                for scene, oshash in self._samples.items()
                if present.get(scene) == oshash
            },
        )
        if same is False:
            reporter.log(
                "warning",
                "Stash holds another library than before: what was written there is left alone",
            )
            self._ledger.withdraw_everything()
        elif same is None and had:
            reporter.log(
                "warning",
                "Much of this library differs from what was tagged before (was another database"
                " put in its place?): what is missing in it is not taken for your refusal in this"
                " run",
            )
            forget_lost_tags(self._client, self._ledger)
            return False
        return True

    def is_this_library(self) -> bool:
        """Say whether Stash surely has the library that was written to; nothing is changed."""
        same = self._store.same_library(self.path, self._present())
        return same or (same is None and not self._samples)

    def is_elsewhere(self, path: str) -> bool:
        """Say whether this is another library than the one whose database lay there."""
        return self._same is False or (self._same is None and path != self.path)

    def learn(self, scenes: Iterable[Scene]) -> None:
        """Remember scenes of this library in place of those known longest, and of those gone."""
        new = {scene.id: scene.fingerprint.oshash for scene in scenes if scene.fingerprint}
        if not new:
            return
        kept = {scene: oshash for scene, oshash in self._samples.items() if scene not in new}
        self._samples = dict([*kept.items(), *new.items()][-SAMPLES:])
        self._store.remember_library(self.path, self._samples)

    def _present(self) -> dict[str, str]:
        """Return what Stash says now of the scenes that we remember; gone ones are left out."""
        found = scene_states(self._client, list(self._samples)) if self._samples else {}
        return {
            scene: state.fingerprint.oshash for scene, state in found.items() if state.fingerprint
        }
