"""Whole runs against a Stash: what is tagged, what is left, and what the user has a say in."""

import json
import shutil
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.stash import Fault, StandIn
from stash_sense_plugin.errors import (
    Cancelled,
    ModelBroken,
    SettingsError,
    StashUnreachable,
)
from stash_sense_plugin.stash.client import Connection, StashClient
from stash_sense_plugin.stash.operations import scenes_with_tag
from stash_sense_plugin.tasks import MODES
from stash_sense_plugin.tasks import open_engine as open_worker_engine
from stash_sense_plugin.tasks.slices import REMOVED, RESTORED
from tests.stash_kit import empty
from tests.sweep_kit import ROOT, Room, open_engine, stopping, write_clips


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "clips")


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two library folders: one that holds files, and one whose drive is away."""
    here = tmp_path_factory.mktemp("library")
    return here, here.parent / "away"


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory, roots: tuple[Path, Path]) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash"), media=roots) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, clips: Path, roots: tuple[Path, Path], tmp_path: Path) -> Iterator[Room]:
    empty(stash)
    with open_engine(tmp_path / "home") as engine:
        prepared = Room(stash, clips, roots[0], engine=engine)
        prepared.configure()
        yield prepared
    for path in prepared.paths.values():
        path.unlink(missing_ok=True)


# --- Which scenes -------------------------------------------------------------------------------


def test_tagme_becomes_tagged_with_the_tags_written(room: Room) -> None:
    tall, grey, plain = room.add("tall.mp4"), room.add("grey.mp4"), room.add("plain.mp4")
    other = room.add("tall.mp4", "Holiday")
    report = room.run()
    assert room.tags(tall) == {"Tagged", "Vertical"}
    assert room.tags(grey) == {"Tagged", "Black and White"}
    assert room.tags(plain) == {"Tagged"}
    assert room.tags(other) == {"Holiday"}
    assert (report["tagged"], report["failed"], report["left"]) == (3, 0, 0)
    assert report["written"] == {"tags": 2, "markers": 0, "studios": 0}
    assert room.told.fractions[0] == 0
    assert room.told.fractions[-1] == 1
    assert room.told.said("info") == [
        "3 of 3 scenes tagged, 0 failed, 0 left as they were; written: 2 tags, 0 markers, 0 studios"
    ]


def test_new_tags_lie_below_a_parent_and_auto_tag_leaves_them_alone(room: Room) -> None:
    room.add("tall.mp4")
    room.run()
    row = room.stash.tag_row(room.stash.tags()["Vertical"])
    assert row["ignore_auto_tag"]
    assert row["parents"] == [room.stash.tags()["Stash Sense"]]


def test_a_tag_of_the_users_is_used_by_name_or_alias(room: Room) -> None:
    mine = room.stash.add_tag("Portrait", aliases=["vertical"])
    scene = room.add("tall.mp4")
    room.run()
    assert room.tags(scene) == {"Tagged", "Portrait"}
    assert room.stash.tag_row(mine)["parents"] == []


@pytest.mark.parametrize("as_text", [False, True], ids=["a list", "text, as a task's argument"])
def test_ids_are_looked_at_whatever_they_carry(room: Room, as_text: bool) -> None:
    one, two = room.add("tall.mp4", "Tagged"), room.add("tall.mp4", "Holiday")
    waiting = room.add("tall.mp4")
    report = room.run(ids=f" {one}, 0{two},{one}" if as_text else [one, str(two), one])
    assert report["tagged"] == 2
    assert room.tags(one) == {"Tagged", "Vertical"}
    assert room.tags(two) == {"Tagged", "Vertical", "Holiday"}
    assert room.tags(waiting) == {"TagMe"}


def test_ids_that_stash_does_not_have_are_named_and_the_others_done(room: Room) -> None:
    scene = room.add("tall.mp4")
    report = room.run(ids=[scene, 7_000_001, 7_000_002])
    assert report["tagged"] == 1
    said = room.told.said("warning")
    assert said == ["Stash has no scene 7000001", "Stash has no scene 7000002"]
    assert room.run(ids=[7_000_001])["tagged"] == 0
    assert room.told.said("info") == ["Nothing to do: Stash has none of these scenes"]


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param([], id="an empty list"),
        pytest.param("", id="empty text"),
        pytest.param(" , ", id="commas only"),
        pytest.param(["1", "x"], id="a word"),
        pytest.param("-1", id="negative"),
        pytest.param([1.5], id="a fraction"),
        pytest.param(["²"], id="a digit that is none"),
        pytest.param("9" * 40, id="too long"),
        pytest.param(True, id="a switch"),
        pytest.param({"id": 1}, id="an object"),
        pytest.param([[1]], id="lists in a list"),
    ],
)
def test_nonsense_ids_are_refused_and_never_mean_all_scenes(room: Room, ids: object) -> None:
    scene = room.add("tall.mp4")
    with pytest.raises(SettingsError, match="scene id"):
        room.run(ids=ids)
    assert room.tags(scene) == {"TagMe"}
    with pytest.raises(SettingsError):
        room.run("tag_scene", scene_id=ids)
    assert room.tags(scene) == {"TagMe"}


def test_all_takes_every_scene_that_is_not_tagged(room: Room) -> None:
    done, new = room.add("tall.mp4", "Tagged"), room.add("grey.mp4", "Holiday")
    room.run(all="true")
    assert room.tags(done) == {"Tagged"}
    assert room.tags(new) == {"Tagged", "Holiday", "Black and White"}
    assert room.run(all=True)["tagged"] == 0
    assert room.told.said("info") == ["Nothing to do: every scene carries the tag Tagged"]


def test_without_the_tagme_tag_there_is_no_work_and_set_up_is_named(room: Room) -> None:
    scene = room.add("tall.mp4", "Holiday")
    assert room.run()["tagged"] == 0
    (line,) = room.told.said("info")
    assert "no tag TagMe" in line
    assert "Set up" in line
    assert room.tags(scene) == {"Holiday"}
    room.tag("TagMe")
    room.run()
    assert room.told.said("info") == ["Nothing to do: no scene carries the tag TagMe"]


def test_one_scene_is_tagged_and_its_result_comes_back(room: Room) -> None:
    scene, other = room.add("tall.mp4", "Holiday"), room.add("tall.mp4")
    report = room.run("tag_scene", scene_id=scene)
    assert [each["name"] for each in report["result"]["suggestions"]] == ["Vertical"]
    assert report["result"] == room.result(scene)
    assert room.tags(scene) == {"Tagged", "Vertical", "Holiday"}
    assert room.tags(other) == {"TagMe"}


def test_one_scene_that_stash_does_not_have_has_no_result(room: Room) -> None:
    report = room.run("tag_scene", scene_id="7000001")
    assert (report["tagged"], report["result"]) == (0, None)
    assert room.told.said("warning") == ["Stash has no scene 7000001"]
    with pytest.raises(SettingsError, match="No scene is named"):
        room.run("tag_scene")


# --- What fails ---------------------------------------------------------------------------------


def test_damaged_content_is_errored_and_its_reason_kept(room: Room) -> None:
    bad, good = room.add("damaged.mp4"), room.add("tall.mp4")
    report = room.run()
    assert room.tags(bad) == {"Errored"}
    assert room.tags(good) == {"Tagged", "Vertical"}
    assert (report["tagged"], report["failed"]) == (1, 1)
    (row,) = room.run("errors")["errors"]
    assert (row["scene_id"], row["kind"]) == (str(bad), "unreadable")
    assert "no picture" in row["message"]
    assert row["source"] == str(room.paths[bad])
    assert room.result(bad)["error"]["message"] == row["message"]


def test_the_closing_lines_name_the_failed_scene_once(room: Room) -> None:
    bad = room.add("damaged.mp4")
    room.run()
    named, sums = room.told.said("info")
    assert named.startswith(f"Scene {bad}: ")
    assert named.count(str(room.paths[bad])) == 1
    assert sums.startswith("0 of 1 scene tagged, 1 failed")


def test_success_clears_errored_and_the_list(room: Room) -> None:
    bad = room.add("damaged.mp4")
    room.run()
    room.paths[bad].write_bytes((room.clips / "tall.mp4").read_bytes())
    room.again(bad)
    room.run()
    assert room.tags(bad) == {"Tagged", "Vertical"}
    assert room.run("errors") == {"errors": [], "next": None}


def test_failed_scenes_are_listed_in_pages_and_ten_are_named(room: Room) -> None:
    bad = [room.add("damaged.mp4") for _ in range(12)]
    report = room.run()
    assert len(report["errors"]) == 10
    lines = room.told.said("info")
    assert len([line for line in lines if line.startswith("Scene ")]) == 10
    assert "2 more failed: the command `errors` lists all" in lines
    first = room.run("errors", limit="5")
    second = room.run("errors", limit=5, after=first["next"])
    third = room.run("errors", limit=5, after=second["next"])
    pages = [row["scene_id"] for page in (first, second, third) for row in page["errors"]]
    assert sorted(map(int, pages)) == bad
    assert third["next"] is None


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ({"limit": "many"}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 10**6}, "limit"),
        ({"after": "x"}, "after"),
    ],
)
def test_a_page_that_cannot_be_is_refused(room: Room, args: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        room.run("errors", **args)


def test_a_missing_file_keeps_tagme_and_one_line_is_said_per_root(
    room: Room, roots: tuple[Path, Path]
) -> None:
    roots[1].mkdir()
    away = [room.add("grey.mp4", folder=roots[1]) for _ in range(2)]
    for scene in away:
        room.paths[scene].unlink()
    here = room.add("tall.mp4")
    roots[1].rmdir()
    report = room.run()
    assert all(room.tags(scene) == {"TagMe"} for scene in away)
    assert room.tags(here) == {"Tagged", "Vertical"}
    assert (report["tagged"], report["failed"], report["left"]) == (1, 0, 2)
    (said,) = room.told.said("warning")
    assert f"Scenes in {roots[1]} keep their workflow tags: it is missing or empty" in said
    assert not any(line.startswith("Scene ") for line in room.told.said("info"))


def test_law_5_without_its_drive_a_scene_is_not_tagged_from_sprites_alone(
    room: Room, roots: tuple[Path, Path]
) -> None:
    roots[1].mkdir()
    scene = room.add("tall.mp4", folder=roots[1])
    room.stash.generate([scene])
    room.paths[scene].unlink()
    assert room.run()["left"] == 1
    roots[1].rmdir()
    assert room.run()["left"] == 1
    assert room.tags(scene) == {"TagMe"}
    assert room.run("errors")["errors"][0]["kind"] == "missing"
    roots[1].mkdir()
    try:
        (roots[1] / "something").touch()
        assert room.run()["tagged"] == 1
    finally:
        shutil.rmtree(roots[1])


def test_a_stash_elsewhere_has_other_paths_and_its_sprites_serve(
    room: Room, roots: tuple[Path, Path]
) -> None:
    roots[1].mkdir()
    scene = room.add("tall.mp4", folder=roots[1])
    room.stash.generate([scene])
    shutil.rmtree(roots[1])
    # The same address, in a form that nobody takes for this machine's.
    room.said_besides = {"Url": room.url.replace("127.0.0.1", "127.1")}
    assert room.run()["tagged"] == 1
    assert room.tags(scene) >= {"Tagged", "Vertical"}


def test_the_drives_of_a_stash_on_a_network_address_are_looked_at_where_it_started_us(
    room: Room, roots: tuple[Path, Path]
) -> None:
    roots[1].mkdir()
    scene = room.add("tall.mp4", folder=roots[1])
    room.stash.generate([scene])
    shutil.rmtree(roots[1])
    room.said_besides = {"Host": "127.1"}
    assert room.run()["left"] == 1
    assert room.tags(scene) == {"TagMe"}
    (said,) = room.told.said("warning")
    assert f"Scenes in {roots[1]} keep their workflow tags" in said


def test_a_single_missing_file_is_named_and_no_drive_is_suspected(room: Room) -> None:
    here, gone = room.add("tall.mp4"), [room.add("tall.mp4") for _ in range(12)]
    for scene in gone:
        room.paths[scene].unlink()
    report = room.run()
    assert (report["tagged"], report["failed"], report["left"]) == (1, 0, 12)
    assert room.tags(here) == {"Tagged", "Vertical"}
    assert all(room.tags(scene) == {"TagMe"} for scene in gone)
    assert room.told.said("warning") == []
    first, *more = [line for line in room.told.said("info") if line.startswith("Scene ")]
    assert len(more) == 9
    assert first == (
        f"Scene {gone[0]}: {room.paths[gone[0]]} is no longer there:"
        " scan or clean the library in Stash"
    )


def test_a_scene_without_a_file_is_left(room: Room) -> None:
    scene = room.stash.add_scene("no file", tags=[room.tag("TagMe")])
    assert room.run()["left"] == 1
    assert room.tags(scene) == {"TagMe"}


def test_a_file_away_with_its_sprites_there_is_tagged_from_them(room: Room) -> None:
    room.add("tall.mp4", "Holiday")
    scene = room.add("tall.mp4")
    room.stash.generate([scene])
    room.paths[scene].unlink()
    assert room.run()["tagged"] == 1
    assert room.result(scene)["frames"]["sprite"] > 0
    assert room.tags(scene) >= {"Tagged", "Vertical"}


def test_a_broken_sprite_sheet_is_passed_over_for_the_video(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.stash.generate([scene])
    for sheet in room.stash.settings.generated.rglob("*sprite*"):
        sheet.write_bytes(b"no picture")
    assert room.run()["tagged"] == 1
    assert room.result(scene)["frames"] == {"sprite": 0, "video": 12, "image": 0}


@pytest.mark.logs_errors
def test_a_fault_of_ours_in_one_scene_leaves_it_and_the_others_go_on(room: Room) -> None:
    first, second = room.add("tall.mp4"), room.add("grey.mp4")

    def fail(number: int) -> None:
        if number == 2:
            raise ZeroDivisionError("in the middle of a scene")

    report = room.run(at_check=fail)
    assert (report["tagged"], report["failed"], report["left"]) == (1, 0, 1)
    assert room.tags(first) == {"TagMe"}
    assert room.tags(second) == {"Tagged", "Black and White"}
    named = room.told.said("info")[0]
    assert named.startswith(f"Scene {first}: Stash Sense failed on {room.paths[first]}")
    (row,) = room.run("errors")["errors"]
    assert row["kind"] == "internal"
    assert str(room.engine.home / "worker.log") in row["remedy"]
    room.run()
    assert room.tags(first) == {"Tagged", "Vertical"}


def test_a_scene_that_stash_has_no_longer_is_dropped_when_it_is_named(room: Room) -> None:
    bad = room.add("damaged.mp4")
    room.run()
    room.stash.remove_scene(bad)
    room.run(ids=[bad])
    assert room.engine.store.errors() == []


def test_a_network_that_breaks_at_one_scene_leaves_it_and_the_others_go_on(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(4)]
    report = room.run(at_check=breaking(room, 2))
    assert (report["tagged"], report["failed"], report["left"]) == (3, 0, 1)
    assert [room.tags(scene) for scene in scenes].count({"TagMe"}) == 1
    (row,) = room.run("errors")["errors"]
    assert row["kind"] == "model-broken"


def test_a_network_that_breaks_at_three_scenes_in_a_row_stops_the_run(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(6)]
    with pytest.raises(ModelBroken, match="it broke"):
        room.run(at_check=breaking(room, 2, 3, 4))
    assert room.tags(scenes[0]) == {"Tagged", "Vertical"}
    assert all(room.tags(scene) == {"TagMe"} for scene in scenes[1:])
    assert room.run()["tagged"] == 5
    assert room.run("errors")["errors"] == []


def breaking(room: Room, *scenes: int) -> Callable[[int], None]:
    """Let a network break in the middle of the n-th scenes of a run."""
    begun: set[int] = set()

    def fail(_number: int) -> None:
        scene = len(room.told.fractions)
        if scene in scenes and scene in begun:
            raise ModelBroken("it broke")
        begun.add(scene)

    return fail


DYING = """
import json, os, signal, sys
from pathlib import Path
from stash_sense_plugin.tasks import MODES, Call, open_engine

class Dying:
    begun = checks = 0
    def log(self, level, message): ...
    def progress(self, fraction):
        self.begun += 1
    def check(self):
        self.checks += self.begun == int(sys.argv[3])
        if self.checks == 2:
            os.kill(os.getpid(), signal.SIGSEGV)

engine = open_engine(Path(sys.argv[1]), Path("stash_sense_plugin").absolute())
MODES["tag_scenes"].run(engine, Call({}, json.loads(sys.argv[2])), Dying())
"""


def die(room: Room, scene: int) -> None:
    """Let a worker crash while it reads the video of the n-th scene of a run."""
    server = json.dumps(room.stash.connection | {"PluginDir": str(ROOT)})
    command = [sys.executable, "-c", DYING, str(room.engine.home), server, str(scene)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGSEGV


def test_law_5_a_scene_that_crashes_the_worker_twice_is_errored_and_the_others_go_on(
    room: Room,
) -> None:
    first, kills, last = (room.add("tall.mp4") for _ in range(3))
    die(room, 2)
    assert room.tags(first) == {"TagMe"}
    die(room, 2)
    assert room.tags(first) == {"Tagged", "Vertical"}
    assert room.tags(kills) == {"TagMe"}
    open_worker_engine(room.engine.home, ROOT / "stash_sense_plugin").close()
    report = room.run()
    assert (report["tagged"], report["failed"], report["left"]) == (1, 1, 0)
    assert room.tags(kills) == {"Errored"}
    assert room.tags(last) == {"Tagged", "Vertical"}
    named = room.told.said("info")[0]
    assert named == (
        f"Scene {kills}: {room.paths[kills]}: Stash Sense ended twice while it looked at it,"
        " the last time at: reading the video; give it TagMe again to try once more"
    )
    (row,) = room.run("errors")["errors"]
    assert (row["scene_id"], row["kind"]) == (str(kills), "worker-died")
    assert row["remedy"] == "give it TagMe again to try once more"
    summaries = [run.summary.get("died_at") for run in room.engine.store.runs()]
    assert summaries.count(f"at scene {kills} (reading the video)") == 2


def parked(room: Room, deaths: int = 2) -> int:
    """Add a scene at which the worker died, and run once more."""
    scene = room.add("tall.mp4")
    for _ in range(deaths):
        room.engine.store.begin_look(str(scene))
        room.engine.store.note_death()
    assert room.run()["failed"] == 1
    assert room.tags(scene) == {"Errored"}
    return scene


def in_its_look(room: Room) -> Callable[[int], None]:
    """Stop a run while it looks at its first scene: the first check is before it."""
    checks: list[int] = []

    def stop(number: int) -> None:
        checks.extend([number] if room.told.fractions else [])
        if len(checks) == 2:
            stopping(number)(number)

    return stop


@pytest.mark.parametrize("how", ["it gets TagMe again", "it is named"])
def test_a_scene_that_crashed_the_worker_is_parked_until_the_user_wants_it(
    room: Room, how: str
) -> None:
    kills = parked(room)
    assert room.run(all=True)["failed"] == 1
    assert room.tags(kills) == {"Errored"}
    if how == "it is named":
        assert room.run(ids=[kills])["tagged"] == 1
    else:
        room.again(kills)
        assert room.run()["tagged"] == 1
    assert room.told.said("warning") == [
        f"Stash Sense ended at scene {kills}: it is tried once more"
    ]
    assert room.tags(kills) == {"Tagged", "Vertical"}
    assert room.run("errors")["errors"] == []
    room.again(kills)
    assert room.run()["tagged"] == 1


def test_a_parked_scene_gets_one_try_each_time_it_gets_tagme(room: Room) -> None:
    kills = parked(room)
    room.again(kills)
    # A stop is none: what the user asked for is still to be done.
    with pytest.raises(Cancelled):
        room.run(at_check=in_its_look(room))
    room.engine.store.begin_look(str(kills))
    room.engine.store.note_death()
    assert room.run()["failed"] == 1
    assert "ended 3 times while it looked at it" in room.told.said("info")[0]
    assert room.tags(kills) == {"Errored"}
    room.again(kills)
    assert room.run()["tagged"] == 1


def test_a_scene_whose_tagme_could_not_be_taken_was_not_given_it_again(room: Room) -> None:
    kills = room.add("tall.mp4")
    for _ in range(2):
        room.engine.store.begin_look(str(kills))
        room.engine.store.note_death()
    room.stash.fault("bulkSceneUpdate", Fault(error="no", times=9))
    assert room.run()["left"] == 1
    room.stash.clear_faults()
    assert room.tags(kills) == {"TagMe"}
    assert room.run()["failed"] == 1


def test_law_5_stops_between_two_crashes_do_not_keep_a_scene_from_being_parked(
    room: Room,
) -> None:
    kills = room.add("tall.mp4")
    for _ in range(2):
        room.engine.store.begin_look(str(kills))
        room.engine.store.note_death()
        with pytest.raises(Cancelled):
            room.run(ids=[kills], at_check=in_its_look(room))
    assert room.engine.store.deaths(str(kills)) == 2
    assert room.run()["failed"] == 1


def test_of_the_scenes_that_are_named_the_deadly_go_last(room: Room) -> None:
    kills, other = room.add("tall.mp4"), room.add("tall.mp4")
    room.engine.store.begin_look(str(kills))
    room.engine.store.note_death()
    with pytest.raises(Cancelled):
        room.run(
            ids=[kills, other],
            at_check=lambda number: (
                stopping(number)(number) if len(room.told.fractions) == 2 else None
            ),
        )
    assert room.tags(other) == {"Tagged", "Vertical"}
    assert room.tags(kills) == {"TagMe"}


# --- Stash away ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "skip"),
    [
        pytest.param("findStudios", 0, id="before the first scene"),
        pytest.param("findScenes", 1, id="while scenes are listed"),
        pytest.param("findScenes", 2, id="before the first write"),
        pytest.param("bulkSceneUpdate", 0, id="at the first tag"),
        pytest.param("bulkSceneUpdate", 1, id="between two tags"),
        pytest.param("bulkSceneUpdate", 2, id="at Tagged"),
        pytest.param("bulkSceneUpdate", 3, id="between Tagged and TagMe"),
    ],
)
def test_a_run_that_loses_stash_fails_and_the_next_one_finishes(
    room: Room, field: str, skip: int
) -> None:
    mine = room.tag("Mine")
    scenes = [room.add("tall.mp4", "TagMe", "Mine"), room.add("grey.mp4", "TagMe", "Mine")]
    room.stash.fault(field, Fault(drop="before", skip=skip, times=1000))
    with pytest.raises(StashUnreachable, match="check that Stash runs"):
        room.run()
    room.stash.clear_faults()
    for scene in scenes:
        assert room.tags(scene) >= {"Mine"}
        assert room.tags(scene) & {"TagMe", "Tagged"}
    room.run()
    assert room.tags(scenes[0]) == {"Tagged", "Vertical", "Mine"}
    assert room.tags(scenes[1]) == {"Tagged", "Black and White", "Mine"}
    assert sorted(room.stash.tags()) == sorted(
        {"TagMe", "Tagged", "Mine", "Vertical", "Black and White", "Stash Sense"}
    )
    assert room.stash.tag_row(mine)["parents"] == []
    assert [run.status for run in room.engine.store.runs()] == ["done", "failed"]


def test_answers_that_are_lost_double_nothing(room: Room) -> None:
    room.configure(markers=True)
    scene = room.add("nights.mp4")
    for field in ("tagCreate", "bulkSceneUpdate", "sceneMarkerCreate"):
        room.stash.fault(field, Fault(drop="after"))
    room.run()
    assert room.tags(scene) >= {"Tagged", "Dark"}
    assert "TagMe" not in room.tags(scene)
    (marker,) = [each for each in room.stash.scene_markers(scene) if each["primary_tag"] == "Dark"]
    assert marker["end_seconds"] == 7.5
    before = room.stash.scene_markers(scene)
    room.again(scene)
    room.run()
    assert room.stash.scene_markers(scene) == before


def test_a_scene_that_goes_while_we_look_stops_nobody(room: Room) -> None:
    gone, stays = room.add("tall.mp4"), room.add("grey.mp4")

    report = room.run(at_check=lambda _number: room.stash.remove_scene(gone))
    assert (report["tagged"], report["left"]) == (1, 1)
    assert room.tags(stays) == {"Tagged", "Black and White"}


# --- The user's say -----------------------------------------------------------------------------


def test_markers_have_ends_and_are_not_doubled(room: Room) -> None:
    room.configure(markers=True)
    scene = room.add("nights.mp4")
    room.run()
    markers = room.stash.scene_markers(scene)
    dark = [each for each in markers if each["primary_tag"] == "Dark"]
    assert [(each["seconds"], each["end_seconds"]) for each in dark] == [(0.0, 7.5)]
    room.again(scene)
    assert room.run()["written"]["markers"] == 0
    assert room.stash.scene_markers(scene) == markers


def test_markers_are_off_by_default(room: Room) -> None:
    scene = room.add("nights.mp4")
    room.run()
    assert room.stash.scene_markers(scene) == []


def test_the_longest_gap_bounds_what_is_joined(room: Room) -> None:
    room.configure(markers=True, max_gap_s=1)
    scene = room.add("nights.mp4")
    room.run()
    dark = [
        (each["seconds"], each["end_seconds"])
        for each in room.stash.scene_markers(scene)
        if each["primary_tag"] == "Dark"
    ]
    assert len(dark) == 2
    assert dark[0][1] == pytest.approx(3, abs=0.3)
    assert dark[1][0] == pytest.approx(4.5, abs=0.3)


def test_suggest_only_writes_nothing_but_the_workflow(room: Room) -> None:
    room.configure(suggest_only=True, markers=True)
    scene = room.add("tall.mp4")
    report = room.run()
    assert room.tags(scene) == {"Tagged"}
    assert room.stash.scene_markers(scene) == []
    assert report["asks"] == 1
    assert room.told.said("info")[-1].endswith("; 1 suggestion waits for you")
    (vertical,) = room.result(scene)["suggestions"]
    assert (vertical["name"], vertical["decision"]) == ("Vertical", "ASK")


@pytest.mark.parametrize("never", ["Vertical", "someone, VERTICAL ,"])
def test_what_is_never_to_be_suggested_is_hidden(room: Room, never: str) -> None:
    room.configure(never=never)
    scene = room.add("tall.mp4")
    assert room.run()["asks"] == 0
    assert room.tags(scene) == {"Tagged"}


def test_the_confidence_to_write_is_the_users(room: Room) -> None:
    room.configure(apply_percent=100)
    scene = room.add("tall.mp4")
    assert room.run()["asks"] == 1
    assert room.tags(scene) == {"Tagged"}


def test_frames_bound_what_is_read_of_a_video(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.configure(frames=5)
    room.run()
    assert room.result(scene)["frames"]["video"] == 5


def test_workflow_tags_and_parent_are_called_what_the_user_says(room: Room) -> None:
    room.configure(
        tagme_tag="Do it", tagged_tag="Did it", errored_tag="Could not", parent_tag="Machine"
    )
    good, bad = room.add("tall.mp4", "Do it"), room.add("damaged.mp4", "Do it")
    other = room.add("tall.mp4")
    room.run()
    assert room.tags(good) == {"Did it", "Vertical"}
    assert room.tags(bad) == {"Could not"}
    assert room.tags(other) == {"TagMe"}
    parents = room.stash.tag_row(room.stash.tags()["Vertical"])["parents"]
    assert parents == [room.stash.tags()["Machine"]]


def test_a_setting_that_cannot_be_used_is_said_once(room: Room) -> None:
    room.configure(apply_percent=400)
    scene = room.add("tall.mp4")
    room.run()
    (line,) = room.told.said("warning")
    assert "apply_percent" in line
    assert room.tags(scene) == {"Tagged", "Vertical"}


def test_the_studio_is_read_and_written_only_where_there_is_none(room: Room) -> None:
    room.configure(skip_text=None, text_frames=2)
    room.stash.add_studio("Northlight Studio")
    theirs = room.stash.add_studio("Southside Pictures")
    scene = room.add("studio.mp4")
    taken = room.add("studio.mp4", studio=theirs)
    report = room.run()
    assert room.stash.scene_studio(scene) == "Northlight Studio"
    assert room.stash.scene_studio(taken) == "Southside Pictures"
    assert report["written"]["studios"] == 1
    assert ", 1 studio" in room.told.said("info")[-1]
    (text,) = [ran for ran in room.result(scene)["ran"] if ran["detector"] == "text"]
    assert text["frames"] == 2
    room.stash.set_studio(scene, None)
    room.configure(skip_text=None, text_frames=2, skip_studio=True)
    fresh = room.add("studio.mp4")
    room.run()
    assert room.stash.scene_studio(fresh) is None
    assert room.result(fresh)["texts"]
    room.configure()
    room.again(fresh)
    room.run()
    assert room.result(fresh)["texts"] == []
    assert room.result(fresh)["skipped"][-1]["detector"] == "text"


# --- What the user took away --------------------------------------------------------------------


def test_a_tag_that_was_taken_away_is_not_put_back(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    room.stash.untag_scene(scene, room.tag("Vertical"))
    for _ in range(2):
        room.again(scene)
        room.run()
        assert room.tags(scene) == {"Tagged"}
    assert room.result(scene)["suggestions"][0]["decision"] == "HIDE"


def test_much_of_ours_gone_is_asked_about_and_left_until_answered(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(4)]
    room.run()
    for scene in scenes[:3]:
        room.stash.untag_scene(scene, room.tag("Vertical"))
    for scene in scenes:
        room.again(scene)
    report = room.run()
    assert report["left"] == 3
    (asked,) = room.told.said("warning")
    assert "missing from 3 of 4 scenes" in asked
    command = f"python -m stash_sense_plugin --stash {room.url} tag-scenes"
    assert f"(or {command} --restored-backup, or --removed-on-purpose)" in asked
    tasks = {task["name"] for task in yaml.safe_load((ROOT / "plugin.yml").read_text())["tasks"]}
    assert {name for name in tasks if repr(name) in asked} == {RESTORED, REMOVED}
    assert all(room.tags(scene) == {"TagMe", "Tagged"} for scene in scenes[:3])
    assert room.tags(scenes[3]) == {"Tagged", "Vertical"}
    report = room.run(missing="removed")
    assert (report["tagged"], report["left"]) == (3, 0)
    assert room.told.said("warning") == []
    assert all(room.tags(scene) == {"Tagged"} for scene in scenes[:3])


def test_what_a_restored_backup_lacks_is_written_again_when_the_user_says_so(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(4)]
    room.run()
    room.stash.remove_tag(room.tag("Vertical"))
    kept = room.add("tall.mp4", "Tagged")
    for scene in scenes:
        room.again(scene)
    report = room.run(missing="restored")
    assert (report["tagged"], report["left"]) == (4, 0)
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)
    assert room.tags(kept) == {"Tagged"}
    (said,) = room.told.said("warning")
    assert "is written again" in said
    for scene in scenes:
        room.again(scene)
    room.run()
    assert room.told.said("warning") == []


def test_a_database_that_is_older_than_our_writes_is_noticed_and_nothing_is_asked(
    room: Room,
) -> None:
    scenes = [room.add("tall.mp4") for _ in range(4)]
    backup = room.stash.back_up()
    room.stash.set_clock(5)
    room.run()
    room.stash.put_back(backup)
    room.stash.set_clock(20)
    report = room.run()
    assert (report["tagged"], report["left"]) == (4, 0)
    (said,) = room.told.said("warning")
    assert "database is older than what Stash Sense wrote" in said
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)


def test_what_may_be_lost_with_a_backup_or_taken_away_is_asked_and_left(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.stash.add_tag("Vertical")
    backup = room.stash.back_up()
    room.stash.set_clock(5)
    room.run()
    room.stash.put_back(backup)
    room.stash.set_clock(20)
    room.again(scene)
    fresh = room.add("tall.mp4")
    report = room.run()
    assert (report["tagged"], report["left"]) == (1, 1)
    (asked,) = room.told.said("warning")
    assert f"is missing from scene {scene}" in asked
    assert repr(RESTORED) in asked
    assert (room.tags(scene), room.tags(fresh)) == ({"TagMe"}, {"Tagged", "Vertical"})
    room.run(missing="restored")
    assert room.tags(scene) == {"Tagged", "Vertical"}


def test_an_answer_that_is_none_is_refused(room: Room) -> None:
    with pytest.raises(SettingsError, match="removed, restored"):
        room.run(missing="perhaps")


def test_a_question_is_asked_once_for_many_scenes(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(25)]
    room.run()
    for scene in scenes:
        room.stash.untag_scene(scene, room.tag("Vertical"))
        room.again(scene)
    assert room.run()["left"] == 25
    assert len(room.told.said("warning")) == 1
    assert all(room.tags(scene) == {"TagMe", "Tagged"} for scene in scenes)


def test_a_deleted_tag_is_not_made_again(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    room.stash.remove_tag(room.tag("Vertical"))
    room.again(scene)
    fresh = room.add("tall.mp4")
    report = room.run()
    assert "Vertical" not in room.stash.tags()
    assert report["tagged"] == 2
    assert room.tags(scene) == room.tags(fresh) == {"Tagged"}
    (said,) = [line for line in room.told.said("warning") if "are gone from Stash" in line]
    assert "Vertical" in said
    assert repr(RESTORED) in said
    assert repr(REMOVED) in said


def test_law_4_another_library_is_noticed_and_nothing_missing_in_it_is_a_refusal(
    room: Room, tmp_path: Path
) -> None:
    for _ in range(3):
        room.add("tall.mp4")
    room.run()
    with StandIn(tmp_path / "other") as stash:
        other = Room(stash, room.clips, tmp_path / "media", engine=room.engine)
        other.folder.mkdir()
        other.configure()
        scenes = [other.add("tall.mp4") for _ in range(3)]
        report = other.run()
        assert (report["tagged"], report["left"]) == (3, 0)
        (said,) = other.told.said("warning")
        assert "another library than before" in said
        assert all(other.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)
        other.again(scenes[0])
        other.run()
        assert other.told.said("warning") == []


def test_law_4_an_unclear_library_teaches_no_refusal(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(10)]
    room.run()
    known = room.engine.store.library_identity()
    assert known is not None
    replaced = dict.fromkeys([str(scene) for scene in scenes[:3]], "0" * 16)
    room.engine.store.remember_library(known.database_path, {**known.samples, **replaced})
    room.stash.untag_scene(scenes[9], room.tag("Vertical"))
    room.again(scenes[9])
    room.run()
    (said,) = room.told.said("warning")
    assert "not taken for your refusal" in said
    assert room.tags(scenes[9]) == {"Tagged", "Vertical"}
    room.stash.untag_scene(scenes[9], room.tag("Vertical"))
    room.again(scenes[9])
    room.run()
    assert room.told.said("warning") == []
    assert room.tags(scenes[9]) == {"Tagged"}


def test_law_4_another_database_in_the_place_of_ours_gets_its_tags(room: Room) -> None:
    first = room.add("tall.mp4")
    room.run()
    known = room.engine.store.library_identity()
    assert known is not None
    room.stash.remove_tag(room.tag("Vertical"))
    room.engine.store.remember_library(known.database_path, {str(first): "0" * 16})
    fresh = room.add("tall.mp4")
    room.run()
    assert room.tags(fresh) == {"Tagged", "Vertical"}


def test_law_4_scenes_that_a_user_deletes_make_no_other_library(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(10)]
    room.run()
    for scene in scenes[:8]:
        room.stash.remove_scene(scene)
    room.stash.untag_scene(scenes[9], room.tag("Vertical"))
    room.again(scenes[9])
    room.run()
    assert room.told.said("warning") == []
    assert room.tags(scenes[9]) == {"Tagged"}
    assert room.engine.ledger.ours([str(scenes[8])])


def test_law_4_a_library_is_known_by_its_newest_scenes(room: Room) -> None:
    first = [room.add("plain.mp4") for _ in range(45)]
    room.run()
    room.stash.remove_scene(first[-1])
    newest = [room.add("plain.mp4") for _ in range(20)]
    room.again(first[0])
    room.run()
    known = room.engine.store.library_identity()
    assert known is not None
    assert len(known.samples) == 50
    wanted = {*newest, first[0], *first[-30:-1]}
    assert set(map(int, known.samples)) == wanted


def test_law_4_in_an_old_backup_no_single_scene_teaches_a_refusal(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(4)]
    room.run()
    for scene in scenes[:3]:
        room.stash.untag_scene(scene, room.tag("Vertical"))
    for scene in scenes[:3]:
        assert room.run("tag_scene", scene_id=scene)["left"] == 1
        (asked,) = room.told.said("warning")
        assert "missing from 3 of 4 scenes" in asked
    assert room.engine.store.stats().refusals == 0
    fresh = room.add("tall.mp4")
    room.run(missing="removed")
    assert room.tags(fresh) == {"Tagged", "Vertical"}
    for scene in scenes[:3]:
        room.run("tag_scene", scene_id=scene)
        assert room.told.said("warning") == []
        assert room.tags(scene) == {"Tagged"}


# --- Stopping and going on ----------------------------------------------------------------------


@pytest.mark.parametrize("scene", [1, 2])
@pytest.mark.parametrize("later", [0, 1, 2], ids=["before it", "in it", "further in it"])
def test_a_stop_leaves_the_scene_begun_as_it_was(room: Room, scene: int, later: int) -> None:
    scenes = [room.add("tall.mp4"), room.add("tall.mp4")]
    first: list[int] = []

    def stop(number: int) -> None:
        if len(room.told.fractions) == scene:
            first.append(number)
            stopping(first[0] + later)(number)

    with pytest.raises(Cancelled):
        room.run(at_check=stop)
    finished, begun = scenes[: scene - 1], scenes[scene - 1 :]
    assert all(room.tags(one) == {"Tagged", "Vertical"} for one in finished)
    assert all(room.tags(one) == {"TagMe"} for one in begun)
    assert [run.status for run in room.engine.store.runs(limit=1)] == ["cancelled"]
    assert room.run()["tagged"] == len(begun)
    assert all(room.tags(one) == {"Tagged", "Vertical"} for one in scenes)


def test_what_a_dead_worker_left_open_is_closed_by_the_next(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with open_engine(home) as engine:
        engine.store.begin_run("tag_scenes", {})
    again = open_worker_engine(home, ROOT / "stash_sense_plugin")
    try:
        assert [run.status for run in again.store.runs()] == ["interrupted"]
    finally:
        again.close()


# --- A large library ----------------------------------------------------------------------------


def test_fifty_thousand_scenes_are_listed_without_holding_them(
    stash: StandIn, tmp_path: Path
) -> None:
    empty(stash)
    tag = stash.add_tag("TagMe")
    count = 50_000
    stash.add_scenes(count, tags=[tag])
    with StashClient(Connection.from_url(stash.url)) as client:
        stash.calls.clear()
        found = scenes_with_tag(client, str(tag))
        first = [next(found) for _ in range(1000)]
        assert len({scene.id for scene in first}) == 1000
        assert stash.calls["findScenes"] == 10
        tracemalloc.start()
        try:
            for _ in range(1000):
                next(found)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 2_000_000
    empty(stash)


# --- Set up and Doctor --------------------------------------------------------------------------


def test_set_up_creates_the_workflow_tags_and_fetches_nothing_that_is_off(room: Room) -> None:
    room.configure(tagged_tag="Did it")
    report = room.run("set_up")
    assert report == {"workflow_tags": ["TagMe", "Did it", "Errored"], "models": {}}
    assert set(room.stash.tags()) == {"TagMe", "Did it", "Errored", "Stash Sense"}
    room.configure(skip_objects=None, object_model="nudenet-320n")
    assert room.run("set_up")["models"] == {"nudenet-320n": None}
    assert room.told.said("warning") == []


def test_a_model_that_there_is_not_is_named_and_ours_holds(room: Room) -> None:
    room.configure(object_model="no-such-model", skip_objects=None)
    scene = room.add("tall.mp4")
    room.run()
    (line,) = [line for line in room.told.said("warning") if "no-such-model" in line]
    assert line.endswith("; yolox-s runs in its place.")
    assert "Tagged" in room.tags(scene)


# --- Asked for by hand ----------------------------------------------------------------------------


def test_a_scene_that_is_asked_for_says_what_it_does_and_returns_its_result(room: Room) -> None:
    scene = room.add("tall.mp4", "Holiday")
    report = room.run("tag_scene", scene_id=scene)
    assert report["result"] == room.result(scene)
    assert room.tags(scene) == {"Tagged", "Vertical", "Holiday"}
    assert room.told.said("info")[0] == "Looking at tall.mp4"
    assert any(0 < fraction < 1 for fraction in room.told.fractions)
    assert room.told.fractions == sorted(room.told.fractions)
    assert room.told.fractions[-1] == 1


def test_several_scenes_that_are_asked_for_are_named_one_by_one(room: Room) -> None:
    scenes = [room.add(name, "Holiday") for name in ("tall.mp4", "grey.mp4", "plain.mp4")]
    room.stash.database.run("UPDATE scenes SET title = ? WHERE id = ?", "a\nb" * 99, scenes[1])
    room.stash.database.run("UPDATE scenes SET title = '' WHERE id = ?", scenes[2])
    report = room.run("tag_scene", scene_ids=[*scenes, str(scenes[0])])
    assert report["tagged"] == 3
    assert "result" not in report
    lines = [line for line in room.told.said("info") if line.startswith("Looking")]
    file = room.paths[scenes[2]].name
    assert lines[0] == "Looking at tall.mp4 (1 of 3)"
    assert lines[1].startswith("Looking at a ba ba b")
    assert len(lines[1]) < 150
    assert lines[2] == f"Looking at {file} (3 of 3)"
    assert room.told.fractions == sorted(room.told.fractions)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param({}, "No scene is named", id="none"),
        pytest.param({"scene_ids": []}, "list of scene ids is empty", id="an empty list"),
        pytest.param({"scene_ids": ["1", "x"]}, "'x' is no scene id", id="a word"),
        pytest.param({"scene_ids": ["1"], "scene_id": "1"}, "Both scene_id and", id="both"),
        pytest.param({"scene_ids": list(range(5001))}, "names 5001 scenes, more", id="too many"),
    ],
)
def test_scenes_that_cannot_be_meant_are_refused_before_a_job_waits(
    room: Room, args: dict[str, Any], says: str
) -> None:
    read = MODES["tag_scene"].read
    assert read is not None
    with pytest.raises(SettingsError, match=says):
        read({"mode": "tag_scene", **args})
    with pytest.raises(SettingsError, match=says):
        room.run("tag_scene", **args)


@pytest.mark.parametrize(
    "args",
    [
        {"scene_ids": ["3", "01", "20"]},
        {"scene_ids": [20, 3, 1, 3], "scene_id": None},
        {"scene_ids": "20, 3,1"},
    ],
)
def test_the_same_scenes_are_asked_for_in_one_form(args: dict[str, Any]) -> None:
    read = MODES["tag_scene"].read
    assert read is not None
    told = read({"mode": "tag_scene", "other": 1, **args})
    assert told == {"mode": "tag_scene", "scene_ids": ["1", "3", "20"]}
    assert read({"scene_ids": [7]}) == read({"scene_id": "07"}) == {"scene_id": "7"}
