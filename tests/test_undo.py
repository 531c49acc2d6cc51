"""Undo: a run, a tag, a scene, or everything; what the user changed since stays."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from demo.stash import Fault, StandIn, fake_file
from stash_sense_plugin.cli.main import main
from stash_sense_plugin.errors import Cancelled, SettingsError, StashError
from stash_sense_plugin.records import Decision, Scene, SceneResult, Suggestion, TimeRange
from stash_sense_plugin.stash.client import Connection, Limits, StashClient
from stash_sense_plugin.stash.operations import scenes_by_ids
from stash_sense_plugin.stash.wishes import MarkerWanted
from stash_sense_plugin.stash.workflow import Workflow, WorkflowNames
from stash_sense_plugin.stash.writer import Writer
from stash_sense_plugin.tasks.recognising import Recognition
from stash_sense_plugin.tasks.writing import Counts, Looked, Writing
from tests.stash_kit import empty
from tests.sweep_kit import Room, open_engine, stopping

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


def small(room: Room, count: int = 3, *tags: str) -> list[int]:
    return [add_scene(room, "TagMe", *tags) for _ in range(count)]


def tagged(room: Room, numbers: Sequence[int], *names: str, kind: str = "tag_scenes") -> str:
    """A run that gives these scenes some tags; its id."""
    with running(room, kind) as run:
        scenes = scenes_of(run, numbers)
        run.tag(scenes, *names)
        return run.end(scenes)


def test_undo_asks_stash_little_however_many_scenes(room: Room) -> None:
    numbers = room.stash.add_scenes(300, tags=[room.tag("TagMe")])
    with running(room) as run:
        scenes = scenes_of(run, numbers)
        run.tag(scenes, *TAGS)
        run.end(scenes)
    calls: list[int] = []
    room.run("undo", at_check=lambda number: calls.append(sum(room.stash.calls.values())))
    # From one hundred to the next: what is there, five tags out, and two workflow tags moved.
    assert max(after - before for before, after in pairwise(calls[:3])) <= 12


# --- What the user changed since ----------------------------------------------------------------


def test_what_the_user_changed_since_stays(room: Room) -> None:
    stash = room.stash
    untouched, untagged, again, renamed, own = small(room, 5, "Holiday")
    tagged(room, [untouched, untagged, again, own], "Beach", "Dog")
    tagged(room, [renamed], "Cat")
    stash.untag_scene(untagged, room.tag("Beach"))
    room.again(again)
    stash.tag_scene(own, room.tag("Mine"))
    stash.database.run("UPDATE tags SET name = 'Kitten' WHERE name = 'Cat'")
    done = room.run("undo", what="everything", confirm="everything")
    assert stash.scene_tags(untouched) == {"Holiday", "TagMe"}
    assert stash.scene_tags(untagged) == {"Holiday", "TagMe"}
    assert stash.scene_tags(again) == {"Holiday", "TagMe", "Tagged"}
    assert stash.scene_tags(own) == {"Holiday", "TagMe", "Mine"}
    assert stash.scene_tags(renamed) == {"Holiday", "TagMe", "Kitten"}
    assert set(stash.tags()) == {"Holiday", "TagMe", "Tagged", "Mine", "Kitten", "Stash Sense"}
    assert done["left"] == {
        "it is there no longer": 1,
        "its workflow tags were changed since": 1,
        "what it was written under has another name now": 1,
        "it was changed since": 1,
        "it is used (scenes: 1)": 1,
        "it is used (children: 2)": 1,
    }
    assert room.told.said("info")[-1].startswith(
        "Took back 7 tags, 2 created tags, put back the workflow tags of 4 scenes; left 6 as they"
    )


def test_what_the_user_took_away_is_noticed_after_an_undo_too(room: Room) -> None:
    [scene] = small(room, 1)
    tagged(room, [scene], "Beach")
    room.stash.untag_scene(scene, room.tag("Beach"))
    room.run("undo", what="last")
    with running(room) as run:
        run.writer.notice_removed(scenes_of(run, [scene]), on_purpose=True)
        assert ("tag", "beach") in room.engine.ledger.refused(scenes_of(run, [scene])[0])


def test_what_a_later_run_wrote_anew_is_not_the_earlier_ones(room: Room) -> None:
    [scene] = small(room, 1)
    first = tagged(room, [scene], "Beach")
    room.stash.untag_scene(scene, room.tag("Beach"))
    room.again(scene)
    second = tagged(room, [scene], "Beach")
    room.run("undo", what="run", run=first)
    assert room.tags(scene) == {"Beach", "Tagged"}
    room.run("undo", what="run", run=second)
    assert room.tags(scene) == {"TagMe", "Tagged"}


# --- Which run, tag or scene --------------------------------------------------------------------


def test_the_last_run_is_undone_then_the_one_before(room: Room) -> None:
    first, second = small(room, 2)
    room.run("undo", what="last")
    assert "Nothing to undo" in room.told.said("info")[-1]
    older, newer = tagged(room, [first], "Beach"), tagged(room, [second], "Dog")
    assert room.run("undo")["undone_run"] == newer
    assert room.tags(first) == {"Beach", "Tagged"}
    assert room.tags(second) == {"TagMe"}
    assert room.run("undo")["undone_run"] == older
    assert set(room.stash.tags()) == {"TagMe"}
    assert room.run("undo")["undone_run"] is None


def test_a_run_that_left_something_is_not_the_last_one_for_ever(room: Room) -> None:
    first, second = small(room, 2)
    older, newer = tagged(room, [first], "Beach"), tagged(room, [second], "Dog")
    room.stash.untag_scene(second, room.tag("Dog"))
    assert room.run("undo")["undone_run"] == newer
    assert room.run("undo")["undone_run"] == older


def test_set_up_is_not_the_last_run(room: Room) -> None:
    with running(room, "set_up") as run:
        run.workflow.create_tags()
        run.end([])
    assert room.run("undo")["undone_run"] is None
    room.run("undo", what="everything", confirm="everything")
    assert room.stash.tags() == {}


def test_one_tag_is_undone_in_all_scenes(room: Room) -> None:
    scenes = small(room)
    tagged(room, scenes[:2], "Beach", "Dog")
    with running(room) as run:
        run.tag(scenes_of(run, scenes[2:]), "Beach")
        run.mark(scenes_of(run, scenes[2:])[0], "Beach")
    done = room.run("undo", what="tag", tag="beach")
    assert done["taken_back"] == {"tags": 3, "markers": 1, "studios": 0, "created_tags": 1}
    assert [room.tags(scene) for scene in scenes] == [
        {"Dog", "Tagged"},
        {"Dog", "Tagged"},
        {"TagMe"},
    ]
    assert set(room.stash.tags()) == {"Dog", "TagMe", "Tagged", "Stash Sense"}


def test_one_scene_is_undone_with_its_workflow_tags(room: Room) -> None:
    one, other = small(room, 2)
    tagged(room, [one, other], "Beach")
    tagged(room, [one], "Dog")
    room.run("undo", what="scene", scene=one)
    assert (room.tags(one), room.tags(other)) == ({"TagMe"}, {"Beach", "Tagged"})
    assert "Dog" not in room.stash.tags()


def test_everything_goes_only_with_the_typed_word(room: Room) -> None:
    scenes = small(room)
    before = state(room.stash)
    tagged(room, scenes[:2], "Beach")
    room.again(scenes[0])
    tagged(room, scenes, "Dog")
    for confirm in ("", "yes", "Everything"):
        with pytest.raises(SettingsError, match="say so with"):
            room.run("undo", what="everything", confirm=confirm)
    assert room.tags(scenes[0]) == {"Beach", "Dog", "Tagged"}
    room.run("undo", what="everything", confirm="everything")
    assert state(room.stash) == before
    room.run("undo", what="everything", confirm="everything")
    assert "Nothing to undo" in room.told.said("info")[-1]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param({"what": "all"}, "what is .all.: say last", id="unknown word"),
        pytest.param({"what": "run"}, "No run is named", id="no run"),
        pytest.param({"what": "run", "run": "R0"}, "knows no run R0", id="unknown run"),
        pytest.param({"what": "tag", "tag": " "}, "No tag is named", id="no tag"),
        pytest.param({"what": "scene", "scene": "x"}, "no scene id", id="no number"),
    ],
)
def test_what_names_nothing_is_refused(room: Room, args: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        room.run("undo", **args)


# --- A run that had taken something back --------------------------------------------------------


def test_undo_of_a_run_that_took_something_back_puts_it_again(room: Room) -> None:
    [number] = small(room, 1, "Holiday")
    studio = room.stash.add_studio("Northlight")
    with running(room) as run:
        [scene] = scenes_of(run, [number])
        run.tag([scene], "Beach")
        run.mark(scene, "Beach")
        run.writer.set_studio(scene, str(studio), "Northlight")
        run.end([scene])
    with running(room, "decide") as run:
        run.take(scene)
        run.tag([scene], "Dog")
        run.end([])
    assert room.tags(number) == {"Dog", "Holiday", "Tagged"}
    done = room.run("undo")
    assert done["put_again"] == {"tags": 1, "markers": 1, "studios": 1}
    assert room.tags(number) == {"Beach", "Holiday", "Tagged"}
    assert room.stash.scene_studio(number) == "Northlight"
    [marker] = room.stash.scene_markers(number)
    assert (marker["seconds"], marker["end_seconds"]) == (1.0, 4.0)
    # It is ours again, so that it can go with the rest.
    room.run("undo", what="everything", confirm="everything")
    assert room.tags(number) == {"Holiday", "TagMe"}
    assert room.stash.scene_markers(number) == []


def test_a_marker_is_not_put_again_without_its_tag(room: Room) -> None:
    [number] = small(room, 1)
    with running(room) as run:
        [scene] = scenes_of(run, [number])
        run.tag([scene], "Beach")
        run.mark(scene, "Beach")
        run.end([scene])
    with running(room, "decide") as run:
        run.take(scene)
        run.end([])
    room.stash.fault("bulkSceneUpdate", Fault(error="FOREIGN KEY constraint failed", times=9))
    done = room.run("undo")
    assert (done["put_again"], done["failed"]) == ({"tags": 0, "markers": 0, "studios": 0}, 1)
    assert done["left"] == {"its tag could not be put on the scene again": 1}
    assert room.stash.scene_markers(number) == []
    room.stash.clear_faults()
    done = room.run("undo")
    assert done["put_again"] == {"tags": 1, "markers": 1, "studios": 0}
    assert len(room.stash.scene_markers(number)) == 1


def test_an_undo_can_itself_be_undone(room: Room) -> None:
    scenes = small(room)
    room.tag("Tagged")
    tagged(room, scenes, "Beach")
    before = [room.tags(scene) for scene in scenes]
    done = room.run("undo")
    room.run("undo", what="run", run=done["run_id"])
    assert [room.tags(scene) for scene in scenes] == before


def test_a_run_that_waits_in_the_queue_is_named(room: Room) -> None:
    [scene] = small(room, 1)
    with running(room) as run:
        run.tag(scenes_of(run, [scene]), "Beach")
        room.engine.store.let_wait(run.id, {})
    room.run("undo")
    assert room.tags(scene) == {"TagMe"}
    assert "is not at its end" in room.told.said("warning")[0]


def test_what_an_undo_put_back_is_of_the_run_that_wrote_it(room: Room) -> None:
    [number] = small(room, 1)
    swept = tagged(room, [number], "Beach")
    with running(room, "decide") as run:
        [scene] = scenes_of(run, [number])
        run.take(scene)
        decided = run.end([])
    assert room.tags(number) == {"Tagged"}
    undo = room.run("undo")
    assert (undo["undone_run"], room.tags(number)) == (decided, {"Beach", "Tagged"})
    [left] = room.run("runs")["runs"]
    assert (left["run_id"], left["tags"], left["undone"]) == (swept, 1, False)
    assert room.run("undo")["undone_run"] == swept
    assert room.tags(number) == {"TagMe"}
    assert room.run("undo")["undone_run"] is None


def test_an_undo_that_is_undone_can_be_undone_once_more(room: Room) -> None:
    scenes = small(room, 2)
    room.tag("Tagged")
    before = state(room.stash)
    swept = tagged(room, scenes, "Beach")
    for _ in range(2):
        done = room.run("undo")
        assert done["undone_run"] == swept
        assert state(room.stash) == before
        again = room.run("undo", what="run", run=done["run_id"])
        assert (room.tags(scenes[0]), again["left"]) == ({"Beach", "Tagged"}, {})
    room.run("undo", what="everything", confirm="everything")
    assert state(room.stash) == before


def looked_at(room: Room, number: int, *suggested: Suggestion, keep: bool = False) -> None:
    """Keep what is suggested for a scene, as a run that looked or decided does."""
    with running(room) as run:
        fingerprint = scenes_of(run, [number])[0].fingerprint
    run_id = room.engine.store.begin_run("decide", {})
    room.engine.store.save_result(
        run_id, str(number), fingerprint, {}, suggestions=suggested, keep_undone=keep
    )
    room.engine.store.end_run(run_id, "done", {})


def test_what_is_put_again_is_not_undone_any_more(room: Room) -> None:
    [number] = small(room, 1)
    tagged(room, [number], "Beach")
    looked_at(room, number, Suggestion("tag", "Beach", "beach", 0.9, Decision.APPLY))
    done = room.run("undo")
    assert room.engine.store.undone([str(number)]) == {str(number): {("tag", "beach")}}
    room.run("undo", what="run", run=done["run_id"])
    assert room.engine.store.undone([str(number)]) == {}


@pytest.mark.parametrize("hidden", [True, False])
def test_what_was_undone_stays_so_while_it_is_not_suggested(room: Room, hidden: bool) -> None:
    [number] = small(room, 1)
    tagged(room, [number], "Beach")
    beach = Suggestion("tag", "Beach", "beach", 0.9, Decision.APPLY)
    looked_at(room, number, beach)
    room.run("undo")
    looked_at(room, number, *([replace(beach, decision=Decision.HIDE)] * hidden), keep=True)
    assert room.run("suggestions")["suggestions"] == []
    assert room.run("suggestions", decision="refused")["suggestions"] == []
    assert room.run("suggestions", by="tag")["tags"] == []
    looked_at(room, number, beach, keep=True)
    assert room.engine.store.undone([str(number)]) == {str(number): {("tag", "beach")}}
    looked_at(room, number, beach)
    assert room.engine.store.undone([str(number)]) == {}


def test_markers_that_were_undone_at_a_tag_of_the_users_are_remembered(room: Room) -> None:
    [number] = small(room, 1, "Beach")
    looked_at(room, number)
    with running(room) as run:
        [scene] = scenes_of(run, [number])
        run.mark(scene, "Beach")
        run.end([scene])
    done = room.run("undo")
    assert room.stash.scene_markers(number) == []
    assert room.engine.store.undone([str(number)]) == {str(number): {("marker", "beach")}}
    ranges = (TimeRange("beach", 1.0, 4.0, 0.9),)
    beach = Suggestion("tag", "Beach", "beach", 0.9, Decision.APPLY, ranges=ranges)
    with running(room, "decide") as run:
        result = SceneResult(scene.source, 60.0, {}, (beach,))
        writing = Writing(room.engine, run.client, run.id, room.told, Counts())
        writing.apply([Looked(scene, result, unmarked=frozenset({"beach"}))])
        assert room.stash.scene_markers(number) == []
    room.run("undo", what="run", run=done["run_id"])
    assert len(room.stash.scene_markers(number)) == 1
    assert room.engine.store.undone([str(number)]) == {}


def test_a_tag_that_the_user_deleted_is_not_made_anew_to_put_it_back(room: Room) -> None:
    [number] = small(room, 1)
    room.tag("Beach")
    tagged(room, [number], "Beach")
    with running(room, "decide") as run:
        run.take(scenes_of(run, [number])[0])
        run.end([])
    room.stash.remove_tag(room.tag("Beach"))
    done = room.run("undo")
    assert (done["put_again"]["tags"], sum(done["left"].values())) == (0, 1)
    assert room.stash.tag_id("Beach") is None


@pytest.mark.parametrize("name", ["Seaside", " beach ", "COAST"])
def test_a_tag_is_undone_by_any_name_that_stash_has_for_it(room: Room, name: str) -> None:
    room.stash.add_tag("Seaside", aliases=["Beach", "Coast"])
    [scene] = small(room, 1)
    tagged(room, [scene], "Beach")
    assert room.run("undo", what="tag", tag=name)["taken_back"]["tags"] == 1
    assert room.tags(scene) == {"Tagged"}


def test_undo_of_nothing_leaves_no_run_and_says_the_same_things(room: Room) -> None:
    [scene] = small(room, 1)
    nothing = room.run("undo")
    tagged(room, [scene], "Beach")
    count = len(room.engine.store.runs())
    for what in ({"what": "tag", "tag": "None"}, {"what": "scene", "scene": 999}):
        assert room.run("undo", **what)["run_id"] is None
    assert len(room.engine.store.runs()) == count
    assert nothing.keys() == room.run("undo").keys()


def test_runs_that_can_be_undone_or_were_are_not_forgotten(room: Room) -> None:
    first, second = small(room, 2)
    older, newer = tagged(room, [first], "Beach"), tagged(room, [second], "Dog")
    room.stash.untag_scene(second, room.tag("Dog"))
    assert room.run("undo")["undone_run"] == newer
    with room.engine.store.write() as db:
        db.execute("UPDATE sqlite_sequence SET seq = 20000 WHERE name = 'runs'")
    room.engine.store.end_run(room.engine.store.begin_run("set_up", {}), "done", {})
    assert room.run("undo")["undone_run"] == older


def killed(room: Room, run_id: str) -> None:
    """Leave a run as a worker does that dies before it can say that the run is done."""
    with room.engine.store.write() as db:
        db.execute("UPDATE runs SET status = 'running', summary = '{}' WHERE id = ?", (run_id,))
    room.engine.store.interrupt_open_runs()


def test_an_undo_that_was_killed_at_its_very_end_undoes_no_run_before(room: Room) -> None:
    first, second, third = small(room, 3)
    older, newer = tagged(room, [first], "Beach"), tagged(room, [second], "Dog")
    killed(room, room.run("undo")["run_id"])
    assert room.run("undo")["undone_run"] == newer
    assert room.tags(first) == {"Beach", "Tagged"}
    killed(room, room.run("undo")["run_id"])
    newest = tagged(room, [third], "Cat")
    # What was done since is what is meant by now.
    assert room.run("undo")["undone_run"] == newest
    assert room.run("undo")["undone_run"] is None
    assert older


# --- Stopped, rehearsed, elsewhere --------------------------------------------------------------


def test_an_undo_that_is_stopped_goes_on_when_it_is_asked_for_again(room: Room) -> None:
    numbers = room.stash.add_scenes(250, tags=[room.tag("TagMe")])
    before = state(room.stash)
    run_id = tagged(room, numbers, "Beach")
    with pytest.raises(Cancelled):
        room.run("undo", at_check=stopping(2))
    assert room.told.said("info")[-1].startswith("Stopped: Took back 100 tags")
    assert room.stash.tag_id("Beach") is not None
    assert room.run("undo")["undone_run"] == run_id
    assert room.told.fractions[-1] == 1.0
    assert state(room.stash) == before


def test_a_dry_run_says_the_same_and_changes_nothing(room: Room) -> None:
    scenes = small(room)
    tagged(room, scenes, "Beach", "Dog")
    before, rows = state(room.stash), room.engine.ledger.entries()
    rehearsed = room.run("undo", dry_run="true")
    assert room.told.said("info")[-1].startswith("Would take back 6 tags")
    assert (state(room.stash), room.engine.ledger.entries()) == (before, rows)
    real = room.run("undo")
    same = ("taken_back", "put_again", "workflow_put_back", "tags", "undone_run")
    assert {key: rehearsed[key] for key in same} == {key: real[key] for key in same}


def test_in_another_library_nothing_is_touched(room: Room) -> None:
    scenes = small(room)
    tagged(room, scenes, "Beach")
    room.stash.database.run("UPDATE fingerprints SET value = 'f' || substr(value, 2)")
    identity = room.engine.store.library_identity()
    assert identity is not None
    room.engine.store.remember_library("/elsewhere/stash-go.sqlite", identity.samples)
    before, rows = state(room.stash), room.engine.ledger.ours(map(str, scenes))
    with pytest.raises(StashError, match="another library"):
        room.run("undo")
    assert state(room.stash) == before
    assert room.engine.ledger.ours(map(str, scenes)) == rows


def test_after_a_backup_was_put_back_only_what_is_there_of_ours_goes(room: Room) -> None:
    first, second = small(room, 2)
    tagged(room, [first], "Beach")
    backup = room.stash.back_up()
    tagged(room, [second], "Dog")
    room.stash.put_back(backup)
    backup.close()
    before = room.tags(second)
    room.run("undo", what="everything", confirm="everything")
    assert (room.tags(first), room.tags(second)) == ({"TagMe"}, before)


def test_what_was_undone_is_asked_about_and_not_written_by_itself(room: Room) -> None:
    [number, plain] = small(room, 2)
    run_id = tagged(room, [number, plain], "Beach")
    beach = Suggestion("tag", "Beach", "beach", 0.9, Decision.APPLY)
    with running(room) as run:
        fingerprint = scenes_of(run, [number])[0].fingerprint
    room.engine.store.save_result(run_id, str(number), fingerprint, {}, suggestions=[beach])
    room.engine.store.save_result(run_id, str(plain), None, {})
    room.run("undo")
    with room.engine.store.read() as db:
        rows = db.execute("SELECT scene_id, name, undone FROM suggestions ORDER BY scene_id")
        found = [tuple(row) for row in rows]
    assert found == [(str(number), "Beach", 1), (str(plain), "Beach", 1)]


def test_what_stash_refused_is_undone_when_it_is_asked_for_again(room: Room) -> None:
    [scene] = small(room, 1)
    run_id = tagged(room, [scene], "Beach")
    room.stash.fault("tagsDestroy", Fault(error="disk full", times=1))
    assert room.run("undo")["failed"] == 1
    assert room.told.said("info")[0].startswith("Not undone: ")
    assert room.run("undo")["undone_run"] == run_id
    assert set(room.stash.tags()) == {"TagMe"}


# --- The list -----------------------------------------------------------------------------------


def test_runs_are_listed_with_what_is_still_ours(room: Room) -> None:
    scenes = small(room)
    older = tagged(room, scenes, "Beach", "Dog")
    newer = tagged(room, scenes[:1], "Cat", kind="decide")
    room.run("undo", what="tag", tag="Dog")
    page = room.run("runs", limit=2)
    assert [each["kind"] for each in page["runs"]] == ["undo", "decide"]
    [last] = room.run("runs", after=page["next"])["runs"]
    assert (last["run_id"], last["tags"], last["created_tags"]) == (older, 3, 3)
    assert page["runs"][1]["run_id"] == newer
    assert (page["runs"][1]["tags"], page["runs"][1]["undone"]) == (1, False)


# --- The command line ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["everything"], "say --confirm everything", id="nobody to ask"),
        pytest.param(["everything", "--confirm", "yes"], "Nothing was undone", id="other word"),
    ],
)
def test_the_command_wants_the_word_for_everything(
    room: Room, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    [scene] = small(room, 1)
    tagged(room, [scene], "Beach")
    assert main(["--stash", room.url, "undo", *words]) == 2
    assert says in capsys.readouterr().err
    assert room.tags(scene) == {"Beach", "Tagged"}


def test_the_command_wants_a_stash(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["undo", "last"]) == 2
    assert "--stash" in capsys.readouterr().err
