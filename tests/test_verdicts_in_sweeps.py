"""Whole runs after a verdict: refused stays refused however often the scene is looked at again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.clips import pan, picture
from demo.stash import Fault, StandIn
from stash_sense_plugin.errors import StashUnreachable
from stash_sense_plugin.records import Action
from stash_sense_plugin.stash.client import Connection, StashClient
from stash_sense_plugin.tasks import MODES, Call
from tests.stash_kit import empty
from tests.sweep_kit import TALL, Room, Told, encode, open_engine

MERGE = "mutation Merge($input: SceneMergeInput!) { sceneMerge(input: $input) { id } }"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    encode(folder / "tall.mp4", pan(picture("rocket.jpg"), TALL, zoom=1.5, seconds=3), 3, TALL)
    return folder


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, clips: Path, tmp_path: Path) -> Iterator[Room]:
    empty(stash)
    media = tmp_path / "media"
    media.mkdir()
    with open_engine(tmp_path / "home") as engine:
        opened = Room(stash, clips, media, engine=engine)
        opened.configure(markers=True)
        yield opened


def say(room: Room, mode: str, scene: int, name: str = "Vertical") -> dict[str, object]:
    done: dict[str, object] = room.run(mode, items=[{"scene_id": scene, "name": name}])
    return done


def again(room: Room, scene: int) -> set[str]:
    """Look at the scene once more; its tags."""
    room.again(scene)
    room.run()
    return room.tags(scene)


def test_refused_stays_refused_when_the_scene_is_looked_at_again(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    assert room.tags(scene) == {"Tagged", "Vertical"}
    assert len(room.stash.scene_markers(scene)) == 1
    assert say(room, "refuse", scene)["taken_back"] == 1
    assert room.tags(scene) == {"Tagged"}
    for _ in "12":
        assert again(room, scene) == {"Tagged"}
        assert room.stash.scene_markers(scene) == []
    [row] = room.run("suggestions", decision="refused")["suggestions"]
    assert (row["name"], row["said"]) == ("Vertical", "refused")


def test_refused_stays_refused_in_another_store_of_looks(room: Room) -> None:
    """As with a new model: nothing of the earlier looks is known any more."""
    scene = room.add("tall.mp4")
    room.run()
    say(room, "refuse", scene)
    with room.engine.store.write() as db:
        for table in ("analyses", "run_scenes", "suggestions", "scenes"):
            db.execute(f"DELETE FROM {table}")
    assert again(room, scene) == {"Tagged"}


def test_accepted_is_there_whatever_the_confidence_that_is_asked_for(room: Room) -> None:
    room.configure(markers=True, suggest_only=True)
    scene = room.add("tall.mp4")
    room.run()
    assert room.tags(scene) == {"Tagged"}
    assert say(room, "accept", scene)["written"] == 1
    assert room.tags(scene) == {"Tagged", "Vertical"}
    assert len(room.stash.scene_markers(scene)) == 1
    room.configure(markers=True)
    assert again(room, scene) == {"Tagged", "Vertical"}


def test_what_is_accepted_between_the_look_and_the_write_stays(room: Room) -> None:
    room.configure(markers=True, apply_percent=100)
    scene, other = room.add("tall.mp4"), room.add("tall.mp4")
    room.run()
    assert room.tags(scene) == {"Tagged"}
    for each in (scene, other):
        room.again(each)

    room.engine.clock = lambda: 0.0
    done: list[object] = []

    def accept(number: int) -> None:
        # Half of the way the first scene is looked at, and neither is written.
        if not done and room.told.fractions[-1:] == [0.5]:
            args = {"items": [{"scene_id": scene, "name": "Vertical"}]}
            call = Call(args, room.stash.connection)
            done.append(MODES["accept"].run(room.engine, call, Told())["written"])

    room.run(at_check=accept)
    assert done == [1]
    assert room.tags(scene) == {"Tagged", "Vertical"}
    assert room.tags(other) == {"Tagged"}


@pytest.mark.parametrize(
    ("mode", "apply_percent"),
    [
        pytest.param("unsay", 100, id="unsaid, and not sure"),
        pytest.param("undo", 100, id="undone, and not sure"),
        pytest.param("undo", 50, id="undone, and sure"),
    ],
)
def test_what_is_taken_back_between_the_look_and_the_write_is_not_written_again(
    room: Room, mode: str, apply_percent: int
) -> None:
    """A sweep holds what it looked at while the acceptance still held."""
    room.configure(markers=True, suggest_only=True)
    scene, other = room.add("tall.mp4"), room.add("tall.mp4")
    room.run()
    room.configure(markers=True, apply_percent=apply_percent)
    say(room, "accept", scene)
    assert room.tags(scene) == {"Tagged", "Vertical"}
    for each in (scene, other):
        room.again(each)

    room.engine.clock = lambda: 0.0
    done: list[object] = []

    def take_back(number: int) -> None:
        # Half of the way the first scene is looked at, and neither is written.
        if not done and room.told.fractions[-1:] == [0.5]:
            items = {"items": [{"scene_id": scene, "name": "Vertical"}]}
            args = items if mode == "unsay" else {"what": "tag", "tag": "Vertical"}
            done.append(MODES[mode].run(room.engine, Call(args, room.stash.connection), Told()))

    room.run(at_check=take_back)
    assert done
    assert room.tags(scene) == {"Tagged"}
    assert room.stash.scene_markers(scene) == []
    page = room.run("suggestions", by="scene", scene_id=scene)
    assert [(row["name"], row["decision"], row["said"]) for row in page["suggestions"]] == [
        ("Vertical", "ASK", None)
    ]
    room.run("decide")
    assert room.tags(scene) == {"Tagged"}


def test_a_tag_of_ours_that_is_taken_away_in_stash_becomes_a_verdict(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(3)]
    room.run()
    room.stash.untag_scene(scenes[0], room.tag("Vertical"))
    assert again(room, scenes[0]) == {"Tagged"}
    [verdict] = room.run("verdicts")["verdicts"]
    assert (verdict["scene_id"], verdict["said"]) == (str(scenes[0]), "refused")
    assert (verdict["name"], verdict["source"]) == ("Vertical", "noticed")
    room.run("verdicts", forget=verdict["id"])
    assert again(room, scenes[0]) == {"Tagged", "Vertical"}


def test_a_merged_scene_keeps_what_was_refused_and_what_is_ours(room: Room) -> None:
    refused, home = room.add("tall.mp4"), room.add("tall.mp4")
    room.run()
    say(room, "refuse", refused)
    with_tag = room.add("tall.mp4")
    room.run()
    wanted = {"source": [str(with_tag)], "destination": str(refused)}
    values = {"id": str(refused), "tag_ids": [str(room.tag("Vertical")), str(room.tag("Tagged"))]}
    with StashClient(Connection.from_url(room.stash.url)) as client:
        client.call(MERGE, {"input": wanted | {"values": values}})
    # What came along was ours, and is refused here: it goes when the scene is visited or refused.
    assert say(room, "refuse", refused)["taken_back"] == 1
    assert again(room, refused) == {"Tagged"}
    assert room.tags(home) == {"Tagged", "Vertical"}


# --- Decide again -------------------------------------------------------------------------------


def test_deciding_again_takes_nothing_back_that_was_accepted(room: Room) -> None:
    scene, other = room.add("tall.mp4"), room.add("tall.mp4")
    room.run()
    say(room, "accept", scene)
    room.configure(markers=True, apply_percent=100)
    room.run("decide")
    assert room.tags(scene) == {"Tagged", "Vertical"}
    assert room.tags(other) == {"Tagged"}


def test_deciding_again_never_writes_what_was_refused(room: Room) -> None:
    room.configure(markers=True, apply_percent=100)
    scene, other = room.add("tall.mp4"), room.add("tall.mp4")
    room.run()
    say(room, "refuse", scene)
    room.configure(markers=True)
    room.run("decide")
    assert room.tags(scene) == {"Tagged"}
    assert room.tags(other) == {"Tagged", "Vertical"}


def test_deciding_again_follows_merged_scenes(room: Room) -> None:
    room.configure(markers=True, apply_percent=100)
    source, home = room.add("tall.mp4"), room.add("tall.mp4")
    room.run()
    say(room, "refuse", source)
    wanted = {"source": [str(source)], "destination": str(home)}
    with StashClient(Connection.from_url(room.stash.url)) as client:
        client.call(MERGE, {"input": wanted})
    room.configure(markers=True)
    room.run("decide")
    assert room.tags(home) == {"Tagged"}
    [verdict] = room.run("verdicts")["verdicts"]
    assert verdict["scene_id"] == str(home)


# --- Markers alone ------------------------------------------------------------------------------


def of_markers(room: Room, mode: str, scene: int) -> Any:
    items = [{"scene_id": scene, "kind": "marker", "name": "Vertical"}]
    return room.run(mode, items=items)


def test_refused_markers_stay_away_from_sweeps_and_decisions_until_unsaid(room: Room) -> None:
    scene, other = room.add("tall.mp4"), room.add("tall.mp4")
    room.run()
    before = room.stash.scene_markers(scene)
    assert of_markers(room, "refuse", scene)["markers"] == 1
    for _ in "12":
        assert again(room, scene) == {"Tagged", "Vertical"}
        room.run("decide")
        assert room.stash.scene_markers(scene) == []
    assert len(room.stash.scene_markers(other)) == 1
    assert of_markers(room, "unsay", scene)["markers"] == 1
    [marker] = room.stash.scene_markers(scene)
    same = ("primary_tag", "seconds", "end_seconds", "title")
    assert [marker[name] for name in same] == [before[0][name] for name in same]
    assert again(room, scene) == {"Tagged", "Vertical"}
    assert len(room.stash.scene_markers(scene)) == 1


def test_a_refusal_of_markers_that_stash_did_not_hear_is_done_when_it_is_decided_again(
    room: Room,
) -> None:
    scene = room.add("tall.mp4")
    room.run()
    room.stash.fault("sceneMarkersDestroy", Fault(drop="before", times=9))
    with pytest.raises(StashUnreachable):
        of_markers(room, "refuse", scene)
    room.stash.clear_faults()
    assert len(room.stash.scene_markers(scene)) == 1
    rehearsed = room.run("decide", dry_run=True)
    report = room.run("decide")
    assert rehearsed["withdrawn"] == report["withdrawn"] == {"tags": 0, "markers": 1, "studios": 0}
    assert (room.stash.scene_markers(scene), room.tags(scene)) == ([], {"Tagged", "Vertical"})


@pytest.mark.parametrize("how", ["tag_scenes", "decide"])
def test_accepted_markers_stay_whatever_is_decided(room: Room, how: str) -> None:
    """The tag is the user's, markers are off, and nothing is sure enough."""
    room.configure(apply_percent=100)
    scene = room.add("tall.mp4", "TagMe", "Vertical")
    room.run()
    assert of_markers(room, "accept", scene)["markers"] == 1
    kept = room.stash.scene_markers(scene)
    if how == "decide":
        room.configure(apply_percent=99)
        room.run("decide")
    else:
        again(room, scene)
    assert room.stash.scene_markers(scene) == kept
    assert "Vertical" in room.tags(scene)


def test_a_marker_that_is_taken_away_in_stash_is_set_again_once_that_is_unsaid(
    room: Room,
) -> None:
    scene = room.add("tall.mp4")
    room.run()
    [marker] = room.stash.scene_markers(scene)
    found = [e for e in room.engine.ledger.ours([str(scene)]) if e.action is Action.CREATE_MARKER]
    room.stash.remove_marker(marker["id"])
    assert again(room, scene) == {"Tagged", "Vertical"}
    assert room.stash.scene_markers(scene) == []
    [verdict] = room.run("verdicts")["verdicts"]
    assert (verdict["kind"], verdict["source"], verdict["said"]) == ("marker", "noticed", "refused")
    assert verdict["target_id"] == str(room.tag("Vertical")) == found[0].about_id
    assert of_markers(room, "unsay", scene)["unsaid"] == 1
    assert room.stash.scene_markers(scene) == []
    room.run("decide")
    assert len(room.stash.scene_markers(scene)) == 1
