"""A long sweep in Stash's queue: other jobs go first, and every scene is done once."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.stash import Fault, StandIn
from stash_sense_plugin.errors import StashSenseError
from stash_sense_plugin.tasks.slices import REMOVED, RESTORED, TAG, TAG_ALL
from stash_sense_plugin.tasks.standing import Standing
from tests.queue_kit import YML, Queue, open_at, open_queue
from tests.sweep_kit import ROOT, write_clips

MINUTE_S = 60.0


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "clips")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("library")


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory, media: Path) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash"), media=media) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, clips: Path, media: Path, tmp_path: Path) -> Iterator[Queue]:
    with open_queue(stash, clips, media, tmp_path / "home") as opened:
        yield opened


def met(room: Queue) -> Counter[str]:
    """How often each scene was said something of, in all runs."""
    return Counter(
        result.scene_id
        for run in room.engine.store.runs(limit=500)
        for result in room.engine.store.results(run.id, limit=500)
    )


def at_first(act: Callable[[], object]) -> Callable[[int], None]:
    """Do something while the first scene is looked at."""

    def at_scene(number: int) -> None:
        if number == 1:
            act()

    return at_scene


# --- Taking turns -------------------------------------------------------------------------------


def test_a_job_that_waits_goes_first_once_the_slice_is_over(room: Queue) -> None:
    room.configure(slice_minutes=15)
    room.scene_s = 5 * MINUTE_S
    scenes = [room.add("tall.mp4") for _ in range(8)]
    room.at_scene = at_first(room.scan)
    room.press()
    room.settle()
    assert room.order == ["slice", "Scanning...", "slice"]
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)
    first, last = room.slices
    assert first.said("info") == [
        "Lets Scanning go first: 3 of 8 scenes done, goes on by itself",
    ]
    assert last.said("info") == [
        "8 of 8 scenes tagged, 0 failed, 0 left as they were; written: 8 tags, 0 markers, 0 studios"
    ]
    assert [report["goes_on"] for report in room.reports] == [True, False]
    assert room.reports[0]["run_id"] == room.reports[1]["run_id"]
    assert room.reports[1]["tagged"] == 8
    assert room.reports[1]["calls"] > room.reports[0]["calls"] > 0
    (run,) = room.engine.store.runs()
    assert (run.status, run.summary["tagged"]) == ("done", 8)


def test_progress_is_that_of_the_whole_run(room: Queue) -> None:
    room.scene_s = 20 * MINUTE_S
    for _ in range(4):
        room.add("tall.mp4")
    room.at_scene = lambda number: room.scan() if number < 4 else None
    room.press()
    room.settle()
    assert [told.fractions for told in room.slices] == [[0], [0.25], [0.5], [0.75, 1.0]]


def test_the_queue_says_what_waits_and_how_far_it_is(room: Queue) -> None:
    room.scene_s = 20 * MINUTE_S
    for _ in range(3):
        room.add("tall.mp4")
    seen: list[str] = []
    room.stash.state.jobs.add("Scanning...", lambda _control: None)
    room.stash.state.jobs.wait_until_idle(10)

    def at_scene(number: int) -> None:
        if number == 1:
            room.stash.state.jobs.add("Cleaning...", lambda _c: seen.extend(room.waiting()))

    room.at_scene = at_scene
    room.press()
    room.settle()
    assert seen == ["Running plugin task: Tag scenes, from scene 2 of 3 on"]


def test_without_anybody_waiting_a_run_has_one_slice_and_asks_seldom(room: Queue) -> None:
    room.configure(slice_minutes=1)
    room.scene_s = 1.0
    for _ in range(12):
        room.add("tall.mp4")
    room.at_scene = lambda number: setattr(room, "scene_s", 70.0 if number == 1 else 1.0)
    room.stash.calls.clear()
    room.press()
    room.settle()
    assert room.order == ["slice"]
    # After 71 s, five seconds later, and not after the last scene.
    assert room.stash.calls["jobQueue"] == 2


def test_in_its_slice_a_run_asks_for_nobody(room: Queue) -> None:
    for _ in range(5):
        room.add("tall.mp4")
    room.at_scene = at_first(room.scan)
    room.stash.calls.clear()
    room.press()
    room.settle()
    assert room.order == ["slice", "Scanning..."]
    assert room.stash.calls["jobQueue"] == 0


@pytest.mark.parametrize("task", [TAG, TAG_ALL])
def test_a_sweep_for_the_same_scenes_is_nobody_to_let_go_first(room: Queue, task: str) -> None:
    room.scene_s = 20 * MINUTE_S
    for _ in range(3):
        room.add("tall.mp4")
    room.at_scene = at_first(lambda: room.press(task))
    room.press()
    room.settle()
    assert room.order == ["slice", "slice"]
    assert [report["tagged"] for report in room.reports] == [3, 0]


def test_those_with_tagme_go_before_the_rest_of_a_whole_library(room: Queue) -> None:
    room.scene_s = 20 * MINUTE_S
    others = [room.add("tall.mp4", "Mine") for _ in range(3)]
    wanted: list[int] = []

    def at_scene(number: int) -> None:
        if number == 1:
            wanted.append(room.add("grey.mp4"))
            room.press(TAG)
        if number == 2:
            assert wanted[0] not in others
            assert all(room.tags(scene) == {"Mine"} for scene in others[1:])

    room.at_scene = at_scene
    room.press(TAG_ALL)
    room.settle()
    assert [report["tagged"] for report in room.reports] == [1, 1, 3]
    assert room.slices[0].said("info") == [
        "Lets Tag scenes go first: 1 of 3 scenes done, goes on by itself"
    ]
    assert room.tags(wanted[0]) == {"Tagged", "Black and White"}


@pytest.mark.parametrize("answer", [RESTORED, REMOVED])
def test_an_answer_goes_before_the_sweep_that_asked(room: Queue, answer: str) -> None:
    room.scene_s = 20 * MINUTE_S
    for _ in range(2):
        room.add("tall.mp4")
    room.at_scene = at_first(lambda: room.press(answer))
    room.press()
    room.settle()
    assert [report["tagged"] for report in room.reports] == [1, 1, 1]
    assert room.slices[0].said("info")[-1].startswith(f"Lets {answer} go first: ")


def test_a_scene_that_was_not_counted_is_a_reason_to_come_back_too(room: Queue) -> None:
    room.scene_s = 20 * MINUTE_S
    room.add("tall.mp4")

    def more() -> None:
        room.add("tall.mp4")
        room.scan()

    room.at_scene = at_first(more)
    room.press()
    room.settle()
    assert room.order == ["slice", "Scanning...", "slice"]
    assert room.lines[0] == "Lets Scanning go first: 1 of 2 scenes done, goes on by itself"
    assert room.reports[-1]["tagged"] == 2


def test_others_go_first_in_the_second_pass_too(room: Queue) -> None:
    room.scene_s = 20 * MINUTE_S
    early = [room.add("grey.mp4", "Mine") for _ in range(2)]
    room.add("tall.mp4")

    def at_scene(number: int) -> None:
        if number == 1:
            for scene in early:
                room.again(scene)
        if number < 3:
            room.scan()

    room.at_scene = at_scene
    room.press()
    room.settle()
    assert room.order == ["slice", *["Scanning...", "slice"] * 2]
    assert room.reports[-1]["tagged"] == room.begun == 3


def test_a_queue_that_cannot_be_read_once_is_asked_again(room: Queue) -> None:
    begin(room, 4)
    room.stash.fault("jobQueue", Fault(error="no"))
    room.press()
    room.settle()
    assert room.order == ["slice", "Scanning...", "slice"]
    assert room.lines[0].startswith("Lets Scanning go first: 2 of 4 scenes done")


def test_another_task_of_ours_goes_first(room: Queue) -> None:
    room.scene_s = 20 * MINUTE_S
    for _ in range(2):
        room.add("tall.mp4")
    room.at_scene = at_first(lambda: room.press("Doctor"))
    room.press()
    room.settle()
    assert room.slices[0].said("info")[-1] == (
        "Lets Doctor go first: 1 of 2 scenes done, goes on by itself"
    )
    assert [report.get("tagged") for report in room.reports] == [1, None, 2]


def test_the_last_scene_is_no_reason_to_come_back(room: Queue) -> None:
    room.scene_s = 20 * MINUTE_S
    room.add("tall.mp4")
    room.at_scene = lambda _number: room.scan()
    room.press()
    room.settle()
    assert room.order == ["slice", "Scanning..."]


def test_an_operation_holds_nobody_up_and_goes_through(room: Queue) -> None:
    room.scene_s = 20 * MINUTE_S
    for _ in range(3):
        room.add("tall.mp4")

    def wait(control: object) -> None:
        assert room.operate(mode="tag_scenes")["tagged"] == 3

    room.stash.state.jobs.add("Scanning...", wait)
    room.scan(name="Cleaning...")
    room.settle()
    assert room.order == ["slice", "Cleaning..."]


def test_the_tasks_that_are_done_in_slices_are_called_as_in_the_plugin_file() -> None:
    tasks = yaml.safe_load((ROOT / "plugin.yml").read_text("utf-8"))["tasks"]
    sweeps = [task["name"] for task in tasks if task["defaultArgs"]["mode"] == "tag_scenes"]
    assert sweeps == [TAG, TAG_ALL, RESTORED, REMOVED]
    pressed = {task["name"] for task in yaml.safe_load(YML)["tasks"]}
    assert pressed > set(sweeps)


# --- What goes over from slice to slice ---------------------------------------------------------


def test_named_scenes_go_on_where_they_stopped(room: Queue) -> None:
    room.scene_s = 20 * MINUTE_S
    scenes = [room.add("tall.mp4", "Mine") for _ in range(4)]
    other = room.add("tall.mp4")
    room.at_scene = lambda number: room.scan() if number < 4 else None
    room.press(ids=",".join(map(str, [*scenes, 7_000_001])))
    room.settle()
    assert room.order == ["slice", "Scanning..."] * 3 + ["slice"]
    assert all(room.tags(scene) == {"Tagged", "Vertical", "Mine"} for scene in scenes)
    assert room.tags(other) == {"TagMe"}
    assert room.lines[-1].startswith("4 of 4 scenes tagged")
    warned = [text for told in room.slices for text in told.said("warning")]
    assert warned == ["Stash has no scene 7000001"]


def test_all_that_are_not_tagged_go_on_where_they_stopped(room: Queue) -> None:
    room.scene_s = 20 * MINUTE_S
    done = room.add("tall.mp4", "Tagged")
    good = [room.add("tall.mp4", "Mine") for _ in range(2)]
    bad = [room.add("damaged.mp4", "Mine") for _ in range(2)]
    room.at_scene = lambda number: room.scan() if number < 4 else None
    room.press(TAG_ALL)
    room.settle()
    assert room.tags(done) == {"Tagged"}
    assert all(room.tags(scene) == {"Tagged", "Vertical", "Mine"} for scene in good)
    assert all(room.tags(scene) == {"Errored", "Mine"} for scene in bad)
    assert room.begun == 4
    *named, sums = room.slices[-1].said("info")
    assert [line.split(":")[0] for line in named] == [f"Scene {scene}" for scene in bad]
    assert sums.startswith("2 of 4 scenes tagged, 2 failed")


def test_scenes_that_stay_as_they_are_are_looked_at_in_one_slice_only(room: Queue) -> None:
    room.scene_s = 20 * MINUTE_S
    gone = [room.add("tall.mp4") for _ in range(3)]
    here = room.add("tall.mp4")
    for scene in gone:
        room.paths[scene].unlink()
    room.at_scene = lambda number: room.scan() if number < 9 else None
    room.press()
    room.settle()
    assert room.begun == 4
    assert room.tags(here) == {"Tagged", "Vertical"}
    assert room.reports[-1]["left"] == 3
    assert [error["scene_id"] for error in room.reports[-1]["errors"]] == list(map(str, gone))


def test_scenes_that_come_meanwhile_are_done_too_whatever_their_ids(room: Queue) -> None:
    room.scene_s = 20 * MINUTE_S
    early = room.add("grey.mp4", "Mine")
    scenes = [room.add("tall.mp4") for _ in range(3)]

    def at_scene(number: int) -> None:
        if number == 1:
            room.scan("tall.mp4", "tall.mp4")
        if number == 3:
            room.again(early)

    room.at_scene = at_scene
    room.press()
    room.settle()
    assert room.tags(early) == {"Tagged", "Mine", "Black and White"}
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)
    assert room.reports[-1]["tagged"] == room.begun == 6
    assert room.lines[-1].startswith("6 of 6 scenes tagged")


def test_a_question_is_asked_once_in_all_slices(room: Queue) -> None:
    scenes = [room.add("tall.mp4") for _ in range(25)]
    room.press()
    room.settle()
    for scene in scenes:
        room.stash.untag_scene(scene, room.tag("Vertical"))
        room.again(scene)
    fresh = [room.add("grey.mp4") for _ in range(2)]
    room.scene_s = 20 * MINUTE_S
    room.slices.clear()
    room.at_scene = lambda _number: room.scan()
    room.press()
    room.settle()
    warned = [text for told in room.slices for text in told.said("warning")]
    assert len(room.slices) == 2
    assert len(warned) == 1
    assert "missing from" in warned[0]
    assert room.reports[-1]["left"] == 25
    assert all(room.tags(scene) == {"Tagged", "Black and White"} for scene in fresh)


@pytest.mark.parametrize(
    ("answer", "asked_for"),
    [
        pytest.param(RESTORED, {"Tagged", "Vertical"}, id="written again"),
        pytest.param(REMOVED, {"Tagged"}, id="never again"),
    ],
)
def test_law_4_an_answer_speaks_of_what_was_missing_when_it_was_given(
    room: Queue, answer: str, asked_for: set[str]
) -> None:
    scenes = [room.add("tall.mp4") for _ in range(24)]
    room.press()
    room.settle()
    missing, taken = scenes[:18], scenes[-1]
    for scene in missing:
        room.stash.untag_scene(scene, room.tag("Vertical"))
    for scene in scenes:
        room.again(scene)

    def take_away(_control: object) -> None:
        room.stash.untag_scene(taken, room.tag("Vertical"))

    room.slices.clear()
    room.scene_s = MINUTE_S

    def at_scene(number: int) -> None:
        if number == 34:
            room.stash.state.jobs.add("Cleaning...", take_away)

    room.at_scene = at_scene
    room.press(answer)
    room.settle()
    assert len(room.slices) == 2
    assert all(room.tags(scene) == asked_for for scene in missing)
    assert room.tags(taken) == {"Tagged"}
    room.again(taken)
    room.press()
    room.settle()
    assert room.tags(taken) == {"Tagged"}


# --- What may happen between two slices ---------------------------------------------------------


def begin(room: Queue, scenes: int = 3) -> list[int]:
    """Let a run stop after its first scene, with its rest behind a job that does `between`."""
    room.scene_s = 20 * MINUTE_S
    added = [room.add("tall.mp4") for _ in range(scenes)]
    room.at_scene = at_first(room.scan)
    return added


def between(room: Queue, act: Callable[[], object]) -> None:
    """Do something while another job has its turn."""

    def work(_control: object) -> None:
        room.order.append("between")
        act()

    room.at_scene = at_first(lambda: room.stash.state.jobs.add("Cleaning...", work))


def test_the_user_takes_the_rest_out_of_the_queue_and_nothing_is_lost(room: Queue) -> None:
    scenes = begin(room)
    between(room, room.stash.state.jobs.stop_all)
    room.press()
    room.settle()
    assert [room.tags(scene) for scene in scenes[1:]] == [{"TagMe"}] * 2
    assert [run.status for run in room.engine.store.runs()] == ["waiting"]
    room.press()
    room.settle()
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)
    assert room.reports[-1]["tagged"] == 2
    assert [run.status for run in room.engine.store.runs()] == ["done", "cancelled"]
    assert set(met(room).values()) == {1}


@pytest.mark.parametrize("answers", [True, False], ids=["told", "refused"])
def test_a_new_run_leaves_one_alone_that_still_waits(room: Queue, answers: bool) -> None:
    scenes = begin(room)

    def begin_another() -> None:
        if not answers:
            room.stash.fault("jobQueue", Fault(error="no"))
        room.operate(mode="tag_scenes", ids=[scenes[0]])

    between(room, begin_another)
    room.press()
    room.settle()
    assert room.reports[-1]["tagged"] == 3
    assert [run.status for run in room.engine.store.runs()] == ["done", "done"]


def test_the_worker_may_leave_between_slices(room: Queue, tmp_path: Path) -> None:
    scenes = begin(room)

    def restart() -> None:
        room.engine.close()
        room.engine = open_at(tmp_path / "home", room.clock)
        room.engine.store.interrupt_open_runs(room.engine.store.note_death())

    between(room, restart)
    room.press()
    room.settle()
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)
    assert room.reports[-1]["tagged"] == 3


def test_a_slice_whose_worker_died_goes_on_when_its_door_asks_again(room: Queue) -> None:
    scenes = begin(room)

    def die() -> None:
        (run,) = room.engine.store.waiting_runs()
        assert room.engine.store.take_up(run.id) is not None
        room.engine.store.interrupt_open_runs()

    between(room, die)
    room.press()
    room.settle()
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)
    assert room.reports[-1]["tagged"] == room.begun == 3


def test_a_slice_that_cannot_begin_is_not_taken_for_under_way(room: Queue) -> None:
    scenes = begin(room)
    between(room, lambda: room.stash.fault("systemStatus", Fault(error="no", times=9)))
    room.press()
    room.settle()
    room.stash.clear_faults()
    (run,) = room.engine.store.runs()
    assert run.status == "failed"
    room.press(None, mode="tag_scenes", run_id=run.id)
    room.settle()
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)
    assert room.reports[-1]["tagged"] == room.begun == 3


def change_state(room: Queue, change: Callable[[Any], object]) -> None:
    """Let the run that waits be one that another version put aside."""
    (run,) = room.engine.store.waiting_runs()
    state = room.engine.store.take_up(run.id)
    assert state is not None
    change(state)
    room.engine.store.keep_state(run.id, state)
    room.engine.store.let_wait(run.id, run.summary)


def test_a_run_that_another_version_began_goes_on(room: Queue) -> None:
    scenes = begin(room)

    def change(state: Any) -> None:
        state["course"]["colour"] = state["mood"] = "blue"
        del state["course"]["second"], state["asked"], state["told_away"]

    between(room, lambda: change_state(room, change))
    room.press()
    room.settle()
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)
    assert room.reports[-1]["tagged"] == room.begun == 3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda state: state["course"].update(which="by-moonlight"), id="a word"),
        pytest.param(lambda state: state.update(answer="perhaps"), id="an answer"),
        pytest.param(lambda state: state.update(course=7), id="a number"),
        pytest.param(lambda state: state.pop("course"), id="nothing"),
    ],
)
def test_a_run_that_this_version_does_not_understand_fails_with_what_to_do(
    room: Queue, change: Callable[[Any], object]
) -> None:
    scenes = begin(room)
    between(room, lambda: change_state(room, change))
    room.press()
    room.settle()
    (run,) = room.engine.store.runs()
    assert run.status == "failed"
    assert [room.tags(scene) for scene in scenes[1:]] == [{"TagMe"}] * 2
    with pytest.raises(StashSenseError, match="it begins a new one"):
        Standing.kept("1", {"course": 7})


@pytest.mark.parametrize(
    ("run_id", "why"),
    [
        pytest.param("nonsense", "knows no run nonsense", id="unknown"),
        pytest.param(7, "knows no run 7", id="no text"),
        pytest.param("", "knows no run", id="empty"),
    ],
)
def test_a_run_that_is_unknown_has_nothing_to_do(room: Queue, run_id: object, why: str) -> None:
    scene = room.add("tall.mp4")
    room.press(None, mode="tag_scenes", run_id=run_id)
    room.settle()
    (line,) = room.lines
    assert line.startswith("Nothing to do: Stash Sense ")
    assert why in line
    assert line.endswith("; the task Tag scenes begins a new one")
    assert room.tags(scene) == {"TagMe"}


def test_a_run_that_has_ended_does_not_begin_anew(room: Queue) -> None:
    room.add("tall.mp4")
    room.press()
    room.settle()
    run_id = room.reports[0]["run_id"]
    left = room.add("tall.mp4")
    room.press(None, mode="tag_scenes", run_id=run_id)
    room.settle()
    assert room.lines[-1] == (
        f"Nothing to do: the run {run_id} has ended; the task Tag scenes begins a new one"
    )
    assert room.tags(left) == {"TagMe"}


def test_of_two_tasks_for_the_same_rest_one_does_it(room: Queue) -> None:
    scenes = begin(room)

    def twice() -> None:
        (run,) = room.engine.store.waiting_runs()
        room.press(None, mode="tag_scenes", run_id=run.id)

    between(room, twice)
    room.press()
    room.settle()
    # The second is not known for a sweep, and so goes first; what is left is done by then.
    assert room.order == ["slice", "between", "slice", "slice", "slice"]
    assert "has ended" in room.lines[-1]
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)
    assert room.begun == 3


def test_a_run_that_goes_on_is_not_taken_up_beside_itself(room: Queue) -> None:
    scenes = begin(room)
    run_id = room.engine.store.begin_run("tag_scenes", {})
    room.press(None, mode="tag_scenes", run_id=run_id)
    room.settle()
    assert room.lines == [
        f"Nothing to do: the run {run_id} goes on already; the task Tag scenes begins a new one"
    ]
    assert room.tags(scenes[0]) == {"TagMe"}


def test_law_4_in_another_library_a_run_does_not_go_on(room: Queue) -> None:
    scenes = begin(room)

    def replace() -> None:
        known = room.engine.store.library_identity()
        assert known is not None
        room.engine.store.remember_library("/elsewhere", dict.fromkeys(known.samples, "0" * 16))

    between(room, replace)
    room.press()
    room.settle()
    assert room.tags(scenes[1]) == {"TagMe"}
    assert "was for another library; the task Tag scenes begins a new one" in room.lines[-1]


# --- When Stash does not take the rest ----------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(error="no", times=99), id="refused"),
        pytest.param(Fault(status=500, times=99), id="failed"),
        pytest.param(Fault(drop="before", times=99), id="lost before"),
    ],
)
def test_a_run_that_cannot_come_back_goes_on_and_says_so_once(room: Queue, fault: Fault) -> None:
    room.scene_s = 20 * MINUTE_S
    scenes = [room.add("tall.mp4") for _ in range(4)]
    room.at_scene = at_first(room.scan)
    room.press()
    room.stash.fault("runPluginTask", fault)
    room.settle()
    room.stash.clear_faults()
    assert room.order == ["slice", "Scanning..."]
    (warned,) = room.slices[0].said("warning")
    assert warned.startswith("Goes on although another task waits, for it cannot wait too: ")
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)
    assert [run.status for run in room.engine.store.runs()] == ["done"]


def test_a_rest_that_was_taken_without_an_answer_is_not_put_in_twice(room: Queue) -> None:
    scenes = begin(room)
    room.press()
    room.stash.fault("runPluginTask", Fault(drop="after"))
    room.settle()
    assert room.order == ["slice", "Scanning...", "slice"]
    assert room.slices[0].said("warning") == []
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)
    assert room.begun == 3


def test_a_queue_that_cannot_be_read_holds_nobody_up(room: Queue) -> None:
    scenes = begin(room)
    room.stash.fault("jobQueue", Fault(error="no", times=99))
    room.press()
    room.settle()
    room.stash.clear_faults()
    assert room.order == ["slice", "Scanning..."]
    assert all(room.tags(scene) == {"Tagged", "Vertical"} for scene in scenes)


# --- Any order of things ------------------------------------------------------------------------


@pytest.mark.torture
def test_sweeps_and_scans_take_turns_and_every_scene_is_done_once(
    stash: StandIn,
    clips: Path,
    media: Path,
    tmp_path: Path,
    rounds: Callable[[int, int], int],
    record_count: Callable[[str, int], None],
) -> None:
    for number in range(rounds(6, 100)):
        chance = random.Random(number)
        with open_queue(stash, clips, media, tmp_path / f"home{number}") as room:
            _one_night(room, chance)
            record_count("slices taken between scans", len(room.slices))
            record_count("scenes done in slices", room.begun)


def _one_night(room: Queue, chance: random.Random) -> None:
    """Sweep some scenes while jobs come whenever they like, some with new scenes."""
    kinds = ("tall.mp4", "grey.mp4", "plain.mp4", "damaged.mp4")
    room.configure(slice_minutes=chance.randint(1, 30))
    room.scene_s = chance.uniform(0.2, 20) * MINUTE_S
    for _ in range(chance.randint(1, 9)):
        room.add(chance.choice(kinds))
    mine = room.add("tall.mp4", "Mine")
    for scene in chance.sample(sorted(room.paths), chance.randint(0, 1)):
        room.paths[scene].unlink()
    scans = 0

    def at_scene(number: int) -> None:
        nonlocal scans
        if number <= 12 and chance.random() < 0.4:
            scans += 1
            room.scan(*chance.choices(kinds, k=chance.randint(0, 2)))
        if number == 2:
            room.again(mine)

    room.at_scene = at_scene
    room.press()
    room.settle()
    # Scenes of a scan behind the sweep's end are the next press's.
    room.at_scene = lambda _number: None
    room.press()
    room.settle()
    assert room.order.count("Scanning...") == scans
    once = {scene for scene, count in met(room).items() if count == 1}
    for scene, path in room.paths.items():
        tags = room.tags(scene)
        if path.exists():
            assert str(scene) in once or tags == {"Mine"}
            assert tags & {"Tagged", "Errored"} or tags == {"Mine"}
        else:
            assert "TagMe" in tags or tags == {"Mine"}
    assert {run.status for run in room.engine.store.runs()} == {"done"}
