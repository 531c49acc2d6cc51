"""What Stash refuses or loses of one write: the others are made, and nothing is made twice."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from demo.stash import LOCKED, Fault, StandIn
from stash_sense_plugin.errors import StashRefused, StashUnreachable
from tests.stash_kit import empty
from tests.sweep_kit import Room, open_engine, write_clips

STUDIO = "Northlight Studio"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "clips")


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, clips: Path, tmp_path: Path) -> Iterator[Room]:
    with open_room(stash, clips, tmp_path) as opened:
        yield opened


@contextmanager
def open_room(stash: StandIn, clips: Path, folder: Path) -> Iterator[Room]:
    """An empty Stash with a store of its own."""
    empty(stash)
    media = folder / "media"
    media.mkdir(parents=True)
    with open_engine(folder / "home") as engine:
        opened = Room(stash, clips, media, engine=engine)
        opened.configure(markers=True)
        yield opened
    stash.clear_faults()


CLIPS: dict[str, set[str]] = {
    "tall.mp4": {"Vertical"},
    "grey.mp4": {"Black and White"},
    "plain.mp4": set(),
}


def add(room: Room) -> dict[int, set[str]]:
    """Two scenes of each kind; the tags that each is to have besides its own."""
    return {
        room.add(clip, "TagMe", "Mine"): expected for clip, expected in CLIPS.items() for _ in "12"
    }


def check_done(room: Room, scenes: dict[int, set[str]]) -> None:
    """Everything is written once, and nothing waits to be settled."""
    for scene, expected in scenes.items():
        assert room.tags(scene) == {"Tagged", "Mine", *expected}
        markers = [each["primary_tag"] for each in room.stash.scene_markers(scene)]
        assert Counter(markers) == Counter(expected)
    assert Counter(name for name in room.stash.tags()) == Counter(set(room.stash.tags()))
    assert room.engine.ledger.unsettled() == []


def check_half_done(room: Room, scenes: dict[int, set[str]]) -> set[int]:
    """Each is wholly written or keeps TagMe; returns those that keep it."""
    kept = {scene for scene in scenes if "TagMe" in room.tags(scene)}
    for scene, expected in scenes.items():
        if scene not in kept:
            assert room.tags(scene) == {"Tagged", "Mine", *expected}
        assert room.tags(scene) >= {"Mine"}
    return kept


REFUSED = Fault(error="constraint failed")
FAULTS = {
    "refused": REFUSED,
    "locked": Fault(error=LOCKED),
    "failed": Fault(status=500),
    "lost before": Fault(drop="before"),
    "lost after": Fault(drop="after"),
    "broken off": Fault(drop="within"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("field", ["tagCreate", "bulkSceneUpdate", "sceneMarkerCreate"])
def test_one_write_that_fails_keeps_at_most_its_own_scenes_from_being_done(
    room: Room, field: str, name: str
) -> None:
    scenes = add(room)
    room.run(ids=[room.add("plain.mp4", "Mine")])
    room.stash.fault(field, FAULTS[name])
    report = room.run()
    kept = check_half_done(room, scenes)
    assert len(kept) <= 2
    assert report["left"] == len(kept)
    assert report["tagged"] == len(scenes) - len(kept)
    if kept:
        assert any("keeps its workflow tags: " in line for line in room.told.said("warning"))
    again = room.run()
    assert (again["tagged"], again["left"]) == (len(kept), 0)
    check_done(room, scenes)


def test_a_scene_that_stash_refuses_is_found_among_the_others(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(8)]
    room.configure()
    # The change of all eight, of its first half, of that one's first half, and of the first alone.
    room.stash.fault("bulkSceneUpdate", Fault(error="constraint failed", times=4))
    report = room.run()
    assert (report["tagged"], report["left"]) == (7, 1)
    assert room.tags(scenes[0]) == {"TagMe"}
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes[1:])
    assert room.told.said("warning") == [
        f"Scene {scenes[0]} keeps its workflow tags: Vertical was not written:"
        " Stash refused ChangeTags: constraint failed"
    ]
    assert room.run()["tagged"] == 1


def test_a_studio_that_is_refused_keeps_its_scene_alone(room: Room) -> None:
    room.configure(skip_text=None, text_frames=2)
    room.stash.add_studio(STUDIO)
    with_studio, other = room.add("studio.mp4"), room.add("tall.mp4")
    for fault in (REFUSED, Fault(drop="before"), Fault(status=500)):
        room.stash.fault("sceneUpdate", fault)
        report = room.run()
        assert report["left"] == 1
        assert room.tags(with_studio) >= {"TagMe"}
        assert room.tags(other) == {"Tagged", "Vertical"}
        assert room.stash.scene_studio(with_studio) is None
    assert room.run()["tagged"] == 1
    assert room.stash.scene_studio(with_studio) == STUDIO
    assert room.engine.ledger.unsettled() == []


def test_tagged_and_tagme_are_both_there_where_taking_tagme_is_refused(room: Room) -> None:
    room.configure()
    scene = room.add("tall.mp4")
    room.stash.fault("bulkSceneUpdate", Fault(error="constraint failed", skip=2))
    assert room.run()["left"] == 1
    assert room.tags(scene) == {"Tagged", "TagMe", "Vertical"}
    assert room.run()["tagged"] == 1
    assert room.tags(scene) == {"Tagged", "Vertical"}


def test_a_batch_that_stash_refuses_wholly_is_left_and_the_next_is_done(room: Room) -> None:
    room.configure()
    scenes = [room.add("plain.mp4") for _ in range(25)]
    room.stash.fault("bulkSceneUpdate", Fault(error=LOCKED, times=3))
    report = room.run()
    # A batch is written when it is full, or some seconds old.
    left = report["left"]
    assert report["tagged"] == 25 - left > 0
    assert any(f"{left} scenes keep their workflow" in line for line in room.told.said("warning"))
    assert all(room.tags(scene) == {"TagMe"} for scene in scenes[:left])
    assert room.run()["tagged"] == left


def test_where_stash_refuses_everything_the_run_ends_and_tagme_stays(room: Room) -> None:
    room.configure()
    scenes = [room.add("plain.mp4") for _ in range(45)]
    room.stash.fault("bulkSceneUpdate", Fault(error="a readonly database", times=999))
    with pytest.raises(StashRefused, match=r"took nothing of the last scenes.*readonly database"):
        room.run()
    assert all(room.tags(scene) == {"TagMe"} for scene in scenes)
    room.stash.clear_faults()
    assert room.run()["tagged"] == 45


@pytest.mark.torture
def test_any_faults_in_any_order_lose_and_double_nothing(
    stash: StandIn,
    clips: Path,
    tmp_path: Path,
    rounds: Callable[[int, int], int],
    record_count: Callable[[str, int], None],
) -> None:
    fields = ("findScenes", "findTags", "tagCreate", "bulkSceneUpdate", "sceneMarkerCreate")
    for number in range(rounds(3, 200)):
        chance = random.Random(number)
        with open_room(stash, clips, tmp_path / str(number)) as room:
            scenes = add(room)
            for _ in range(chance.randint(1, 4)):
                fault = chance.choice(list(FAULTS.values()))
                later = replace(fault, skip=chance.randint(0, 8), times=chance.randint(1, 3))
                room.stash.fault(chance.choice(fields), later)
            while check_half_done(room, scenes):
                with suppress(StashUnreachable, StashRefused):
                    room.run()
                record_count("runs with faults of Stash", 1)
            room.stash.clear_faults()
            room.run()
            check_done(room, scenes)


# --- How often Stash is asked -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markers", "most"),
    [pytest.param(False, 45, id="tags"), pytest.param(True, 87, id="tags and markers")],
)
def test_forty_scenes_take_few_questions(room: Room, markers: bool, most: int) -> None:
    """Each marker is a call of its own, and each scene's sheet is asked for; all else is bulk."""
    room.configure(markers=markers)
    # However slow this machine is: scenes are written after some seconds, too.
    room.engine.clock = lambda: 0.0
    for clip in ("tall.mp4", "grey.mp4"):
        for _ in range(20):
            room.add(clip)
    room.stash.calls.clear()
    report = room.run()
    assert report["tagged"] == 40
    sheets = 40
    assert report["calls"] - sheets <= most
    assert report["written"]["markers"] == (40 if markers else 0)
    assert room.stash.calls["findScenes"] <= 10
    assert room.stash.calls["bulkSceneUpdate"] <= 8
