"""What the tests of writing share: a stand-in Stash, a ledger on disk, a writer, and kills."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo.stash import StandIn, fake_file
from stash_sense_plugin.library.ledger import StoreLedger
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.records import Ledger, LedgerEntry, Outcome, Scene
from stash_sense_plugin.stash.client import Connection, Limits, StashClient
from stash_sense_plugin.stash.operations import scenes_by_ids
from stash_sense_plugin.stash.workflow import Workflow, WorkflowNames
from stash_sense_plugin.stash.writer import Writer


class Killed(BaseException):
    """The process is gone."""


@dataclass
class MortalLedger:
    """A ledger whose process dies right after a before-row or right before an after-row."""

    ledger: Ledger
    dies: str = ""

    def intend(self, entries: Sequence[LedgerEntry]) -> list[int]:
        rows = self.ledger.intend(entries)
        if self.dies == "before the write":
            raise Killed
        return rows

    def settle(
        self,
        outcomes: Mapping[int, tuple[Outcome, str]],
        learnt: Mapping[int, Mapping[str, object]] | None = None,
    ) -> None:
        if self.dies == "after the write":
            raise Killed
        self.ledger.settle(outcomes, learnt)

    def unsettled(self) -> list[LedgerEntry]:
        return self.ledger.unsettled()

    def ours(self, scene_ids: Iterable[str]) -> list[LedgerEntry]:
        return self.ledger.ours(scene_ids)

    def moves(self, scene_ids: Iterable[str]) -> list[LedgerEntry]:
        return self.ledger.moves(scene_ids)

    def refuse(self, entries: Sequence[LedgerEntry]) -> None:
        self.ledger.refuse(entries)

    def refused(self, scene: Scene) -> frozenset[tuple[str, str]]:
        return self.ledger.refused(scene)

    def withdraw(self, rows: Iterable[int]) -> None:
        self.ledger.withdraw(rows)


@dataclass
class Kit:
    """A library with a writer beside it."""

    stash: StandIn
    client: StashClient
    ledger: StoreLedger
    files: Iterator[int] = field(default_factory=lambda: iter(range(1, 1_000_000)))

    def writer(self, dies: str = "", attempts: int | None = None) -> Writer:
        """A new run's writer; it may die, and may give up on Stash sooner."""
        client = self.client
        if attempts is not None:
            client = StashClient(client.connection, limits=Limits(attempts=attempts))
        return Writer(client, MortalLedger(self.ledger, dies), "run")

    def finish(self, *scenes: Scene) -> None:
        """Move the workflow tags, as each run does last of all at a scene."""
        assert self.workflow().finish(scenes) == {}

    def workflow(self, dies: str = "", attempts: int | None = None) -> Workflow:
        writer = self.writer(dies, attempts)
        return Workflow(writer.client, writer, WorkflowNames())

    def tag(self, name: str) -> tuple[str, str]:
        """A tag of the user's, as (id, name)."""
        return str(self.stash.tag_id(name) or self.stash.add_tag(name)), name

    def scene(self, *tags: str, studio: int | None = None) -> Scene:
        """A new scene with a file of its own and these tags of the user's."""
        number = next(self.files)
        file = fake_file(f"/lib/{number}.mp4", oshash=f"{number:016x}", size=1000 + number)
        tag_ids = [int(self.tag(name)[0]) for name in tags]
        scene = self.stash.add_scene(f"Scene {number}", tags=tag_ids, studio=studio, file=file)
        return self.read(str(scene))

    def read(self, scene_id: str) -> Scene:
        [scene] = scenes_by_ids(self.client, [scene_id])
        return scene

    def tags_of(self, scene: Scene) -> set[str]:
        return self.stash.scene_tags(int(scene.id))

    def ours(self, *scenes: Scene) -> list[tuple[str, str]]:
        """What the ledger calls ours: (action, name)."""
        entries = self.ledger.ours([scene.id for scene in scenes] or [""])
        return [(entry.action.value, entry.target_name) for entry in entries]

    def outcomes(self) -> list[Outcome]:
        """How each row of the ledger has ended, in order."""
        return [entry.outcome for entry in self.ledger.entries()]


@contextmanager
def open_kit(stash: StandIn, folder: Path) -> Iterator[Kit]:
    """A new ledger beside a stand-in that runs, emptied of what was in it."""
    empty(stash)
    with (
        StashClient(Connection.from_url(stash.url), limits=Limits(first_wait_s=0)) as client,
        Store(folder / "store.sqlite") as store,
    ):
        yield Kit(stash, client, StoreLedger(store))


def empty(stash: StandIn) -> None:
    """Take all scenes, tags, studios and settings away; ids go on growing, as Stash's do."""
    stash.clear_faults()
    stash.set_clock(0)
    stash.settings.plugin_settings.clear()
    for table in ("scene_markers", "scenes", "files", "tags", "studios", "performers"):
        stash.database.run(f"DELETE FROM {table}")
    stash.calls.clear()
