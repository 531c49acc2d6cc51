"""Undo: a run, a tag, a scene, or everything; what the user changed since stays."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.stash import StandIn, fake_file
from stash_sense_plugin.records import Scene
from stash_sense_plugin.stash.client import Connection, Limits, StashClient
from stash_sense_plugin.stash.operations import scenes_by_ids
from stash_sense_plugin.stash.wishes import MarkerWanted
from stash_sense_plugin.stash.workflow import Workflow, WorkflowNames
from stash_sense_plugin.stash.writer import Writer
from stash_sense_plugin.tasks.recognising import Recognition
from tests.stash_kit import empty
from tests.sweep_kit import Room, open_engine

TAGS = ("Beach", "Dog", "Night", "Rain", "Street")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def room(server: StandIn, tmp_path: Path) -> Iterator[Room]:
    empty(server)
    with open_engine(tmp_path / "home") as engine:
        yield Room(server, tmp_path, tmp_path, engine=engine)


def state(stash: StandIn) -> dict[str, list[str]]:
    """All that the library holds, but for when things were changed last."""
    tables = stash.database.column(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return {
        table: sorted(map(_row, stash.database.rows(f"SELECT * FROM {table}"))) for table in tables
    }


def _row(row: Mapping[str, Any]) -> str:
    return json.dumps({key: str(row[key]) for key in sorted(row) if key != "updated_at"})


class Run:
    """A run that writes to scenes without looking at them."""

    def __init__(self, room: Room, client: StashClient, kind: str = "tag_scenes") -> None:
        self.room, self.client = room, client
        self.id = room.engine.store.begin_run(kind, {})
        self.writer = Writer(client, room.engine.ledger, self.id)
        self.workflow = Workflow(client, self.writer, WorkflowNames())

    def tag(self, scenes: Sequence[Scene], *names: str) -> None:
        tags = [(self.writer.ensure_tag(name), name) for name in names]
        self.writer.add_tags(scenes, {scene.id: tags for scene in scenes})

    def mark(self, scene: Scene, name: str) -> None:
        wish = MarkerWanted(self.writer.ensure_tag(name), name, 1.0, 4.0)
        self.writer.create_markers(scene, [wish])

    def take(self, scene: Scene) -> None:
        """Take back all that is ours of a scene, as deciding again does."""
        self.writer.take_back(self.room.engine.ledger.ours([scene.id]))

    def end(self, scenes: Sequence[Scene]) -> str:
        assert self.workflow.finish(scenes) == {}
        self.room.engine.store.end_run(self.id, "done", {})
        Recognition(self.room.engine, self.client).learn(scenes)
        return self.id


@contextmanager
def running(room: Room, kind: str = "tag_scenes") -> Iterator[Run]:
    with StashClient(Connection.from_url(room.url), limits=Limits(first_wait_s=0)) as client:
        yield Run(room, client, kind)


def scenes_of(run: Run, numbers: Sequence[int]) -> list[Scene]:
    return scenes_by_ids(run.client, [str(number) for number in numbers])


def add_scene(room: Room, *tags: str) -> int:
    number = room.stash.database.value("SELECT count(*) FROM scenes")
    file = fake_file(f"/lib/{number}.mp4", oshash=f"{number:016x}", size=1000 + number)
    return room.stash.add_scene(f"{number}", tags=[room.tag(name) for name in tags], file=file)


def test_undo_of_a_run_over_a_library_restores_its_exact_state(room: Room) -> None:
    stash = room.stash
    numbers = stash.add_scenes(2000, tags=[room.tag("TagMe"), room.tag("Holiday")])
    studio = stash.add_studio("Northlight")
    room.tag("Street")
    before = state(stash)
    with running(room) as run:
        scenes = scenes_of(run, numbers)
        for index, name in enumerate(TAGS):
            run.tag(scenes[index::4], name)
        for scene in scenes[:60]:
            run.mark(scene, "Beach")
        for scene in scenes[:20]:
            run.writer.set_studio(scene, str(studio), "Northlight")
        run.end(scenes)
    assert stash.scene_tags(numbers[4]) == {"Holiday", "Tagged", "Beach", "Street"}
    done = room.run("undo", what="last")
    assert done["taken_back"] == {
        "tags": 2499,
        "markers": 60,
        "studios": 20,
        "created_tags": 6,
    }
    assert (done["workflow_put_back"], done["left"], done["failed"]) == (2000, {}, 0)
    after = state(stash)
    assert {table: rows for table, rows in after.items() if rows != before[table]} == {}
