"""What the tests of verdicts share: a Stash with scenes for which something is suggested."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.stash import StandIn, fake_file
from stash_sense_plugin.records import (
    Decision,
    Evidence,
    Fingerprint,
    Scene,
    SceneResult,
    Suggestion,
    TimeRange,
)
from stash_sense_plugin.stash.client import Connection, StashClient
from stash_sense_plugin.stash.operations import scenes_by_ids
from tests.stash_kit import empty
from tests.sweep_kit import Room, open_engine

ASK, APPLY, HIDE = Decision.ASK, Decision.APPLY, Decision.HIDE


def suggestion(
    name: str,
    confidence: float = 0.6,
    decision: Decision = ASK,
    ranges: Sequence[tuple[float, float]] = ((1.0, 4.0),),
    **more: Any,
) -> Suggestion:
    """One suggestion of a tag, unless `kind` says otherwise."""
    label = name.lower()
    return Suggestion(
        kind=more.pop("kind", "tag"),
        name=name,
        label=label,
        confidence=confidence,
        decision=decision,
        ranges=tuple(TimeRange(label, start_s, end_s, confidence) for start_s, end_s in ranges),
        evidence=(Evidence(ranges[0][0] if ranges else 0.0, confidence, "clip", "m@1"),),
        **more,
    )


@dataclass
class VerdictRoom(Room):
    """A Stash and an engine; scenes have files that are not there."""

    files: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def scene(self, *tags: str, file: Fingerprint | None = None) -> int:
        """Add a scene with these tags of the user's and a file of its own."""
        number = next(self.files)
        own = file or Fingerprint(f"{number:016x}", 1000 + number)
        made = fake_file(f"/lib/{number}.mp4", oshash=own.oshash, size=own.size_bytes)
        tag_ids = [self.tag(name) for name in tags]
        return self.stash.add_scene(f"Scene {number}", tags=tag_ids, file=made)

    def read(self, scene: int) -> Scene:
        """The scene as Stash has it."""
        with self.client() as client:
            [found] = scenes_by_ids(client, [str(scene)])
        return found

    def client(self) -> StashClient:
        """A way to Stash, to be closed with `with`."""
        return StashClient(Connection.from_url(self.stash.url))

    def looked(self, scene: int, *suggested: Suggestion) -> None:
        """Keep what a look at the scene said."""
        store, found = self.engine.store, self.read(scene)
        result = SceneResult(found.source, 60.0, {}, suggested)
        run_id = store.begin_run("tag_scenes", {})
        store.save_result(
            run_id,
            found.id,
            found.fingerprint,
            result.as_json(),
            suggestions=suggested,
            tags=found.tag_ids,
        )
        store.end_run(run_id, "done", {})

    def say(self, mode: str, scene: int, *names: str, **more: Any) -> Any:
        """Accept or refuse suggestions of one scene."""
        items = [{"scene_id": str(scene), "name": name, **more} for name in names]
        return self.run(mode, items=items)

    def refused(self, scene: int) -> set[str]:
        """The words under which tags are refused for the scene."""
        found = self.engine.ledger.refused(self.read(scene))
        return {word for kind, word in found if kind == "tag"}

    def accepted(self, scene: int) -> set[str]:
        """The words under which tags are accepted for the scene."""
        found, _ = self.engine.verdicts.said_of(self.read(scene))
        return {word for kind, word in found if kind == "tag"}

    def ours(self, scene: int) -> list[str]:
        """What the ledger calls ours of the scene, in its order."""
        return [each.target_name for each in self.engine.ledger.ours([str(scene)])]


@contextmanager
def open_room(stash: StandIn, folder: Path) -> Iterator[VerdictRoom]:
    """An empty Stash with a store of its own."""
    empty(stash)
    with open_engine(folder / "home") as engine:
        opened = VerdictRoom(stash, folder, folder, engine=engine)
        opened.configure()
        yield opened
