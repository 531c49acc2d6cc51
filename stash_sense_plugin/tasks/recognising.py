"""Whether this is the library that the store and its ledger know.

A database that was restored or replaced lacks what we wrote to the other one; that is no refusal
of the user's, and nothing there is ours to take back.
"""

from collections.abc import Iterable

from stash_sense_plugin.records import Reporter, Scene
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import scenes_by_ids, system
from stash_sense_plugin.tasks.engine import Engine

SAMPLES = 50
"""Scenes by which a library is known again."""


class Recognition:
    """Knows the library again at a run's start, and learns what to know it by."""

    def __init__(self, engine: Engine, client: StashClient) -> None:
        self._store = engine.store
        self._ledger = engine.ledger
        self._client = client
        self._path = system(client).database_path
        known = self._store.library_identity()
        self._samples: dict[str, str] = dict(known.samples) if known else {}

    def settle(self, reporter: Reporter) -> bool:
        """Say whether what is missing may be taken for the user's doing.

        In another library the ledger forgets what it wrote elsewhere, and the store learns anew.
        Where it is not clear, nothing is learnt in this run.
        """
        same = self._store.same_library(self._path, self._present())
        if same is False:
            reporter.log(
                "warning",
                "Stash holds another library than before: what was written there is left alone",
            )
            self._ledger.withdraw_everything()
            self._samples = {}
        elif same is None and self._samples:
            reporter.log(
                "warning",
                "Much of this library differs from what was tagged before (was an old database"
                " restored?): what is missing in it is not taken for your refusal in this run",
            )
            return False
        return True

    def learn(self, scenes: Iterable[Scene]) -> None:
        """Remember scenes of this library, until there are enough."""
        new = [
            (scene.id, scene.fingerprint.oshash)
            for scene in scenes
            if scene.fingerprint is not None and scene.id not in self._samples
        ][: SAMPLES - len(self._samples)]
        if new:
            self._samples |= dict(new)
            self._store.remember_library(self._path, self._samples)

    def _present(self) -> dict[str, str]:
        """Return what Stash says now of the scenes that we remember; gone ones are left out."""
        found = scenes_by_ids(self._client, list(self._samples)) if self._samples else []
        return {scene.id: scene.fingerprint.oshash for scene in found if scene.fingerprint}
