"""What is kept of the scene in hand, for the case that the worker dies of it."""

from pathlib import Path

import pytest

from stash_sense_plugin.library.store import Store


def die(path: Path, *stages: tuple[str, str]) -> None:
    """Begin scenes, tell stages, and go without a word."""
    with Store(path) as store:
        for scene_id in dict.fromkeys(scene_id for scene_id, _ in stages):
            store.begin_look(scene_id)
        for scene_id, stage in stages:
            store.note_stage(scene_id, stage)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.sqlite"


def test_the_last_stage_of_the_scene_in_hand_is_what_it_died_of(path: Path) -> None:
    die(path, ("7", "objects (a rather long name of a network@1.2.3)"), ("7", "reading the video"))
    with Store(path) as store:
        death = store.note_death()
        assert death is not None
        assert (death.scene_id, death.count, death.stage) == ("7", 1, "reading the video")
        assert str(death) == "at scene 7 (reading the video)"
        assert store.death("7") == death
        assert store.death("8") is None


def test_the_stage_of_another_scene_is_not_taken_for_its_own(path: Path) -> None:
    """A scene asked for by name goes between two batches of one that a sweep has in hand."""
    die(path, ("sweep", "reading the video"), ("named", "text (ocr)"))
    with Store(path) as store:
        store.end_look("named")
        death = store.note_death()
    assert death is not None
    assert str(death) == "at scene sweep"


def test_a_new_attempt_forgets_the_stage_of_the_last_only_when_it_dies_anew(path: Path) -> None:
    die(path, ("7", "reading the video"))
    with Store(path) as store:
        store.note_death()
        store.begin_look("7")
        death = store.note_death()
    assert death is not None
    assert (death.count, death.stage) == (2, "")
    with Store(path) as store:
        assert store.note_death() is None
        assert store.deaths("7") == 2


def test_a_stage_in_any_words_and_of_any_length_is_kept(path: Path) -> None:
    die(path, ("7", "é" * 10_000))
    with Store(path) as store:
        death = store.note_death()
    assert death is not None
    assert set(death.stage) == {"é"}


def test_what_is_no_stage_is_passed_over(path: Path) -> None:
    die(path, ("7", "reading the video"))
    path.with_name("s.sqlite-stage").write_bytes(b"\xff\x00" * 50)
    with Store(path) as store:
        assert str(store.note_death()) == "at scene 7"
    assert not path.with_name("s.sqlite-stage").exists()
    with Store(path) as store:
        store.begin_look("7")
        assert str(store.note_death()) == "at scene 7"


def test_where_a_stage_cannot_be_kept_the_scene_is_still_blamed(path: Path) -> None:
    path.with_name("s.sqlite-stage").mkdir()
    die(path, ("7", "reading the video"))
    with Store(path) as store:
        assert str(store.note_death()) == "at scene 7"


def test_a_run_that_the_worker_died_under_says_at_which_scene(path: Path) -> None:
    with Store(path) as store:
        run_id = store.begin_run("tag_scenes", {})
    die(path, ("7", "reading the video"))
    with Store(path) as store:
        store.interrupt_open_runs(store.note_death())
        (run,) = store.runs()
    assert (run.id, run.status) == (run_id, "interrupted")
    assert run.summary == {"died_at": "at scene 7 (reading the video)"}


# --- Runs that go on later ----------------------------------------------------------------------


def test_a_run_that_waits_outlives_the_worker_and_is_taken_up_once(path: Path) -> None:
    with Store(path) as store:
        run_id = store.begin_run("tag_scenes", {})
        assert store.take_up(run_id) is None
        store.keep_state(run_id, {"place": "512"})
        assert store.take_up(run_id) is None
        store.let_wait(run_id, {"tagged": 7})
    with Store(path) as store:
        store.interrupt_open_runs()
        (run,) = store.waiting_runs()
        assert (run.id, run.status, run.summary) == (run_id, "waiting", {"tagged": 7})
        assert store.take_up(run_id) == {"place": "512"}
        assert store.take_up(run_id) is None
        assert store.take_up("no such run") is None
        store.end_run(run_id, "done", {})
        assert store.take_up(run_id) is None


def test_a_run_goes_on_after_the_worker_died_under_it(path: Path) -> None:
    with Store(path) as store:
        run_id = store.begin_run("tag_scenes", {})
        store.keep_state(run_id, {"place": "512"})
    with Store(path) as store:
        store.interrupt_open_runs()
        assert store.waiting_runs() == []
        assert store.take_up(run_id) == {"place": "512"}


def test_what_a_run_has_met_is_known_by_it_alone(path: Path) -> None:
    with Store(path) as store:
        run_id, other = store.begin_run("tag_scenes", {}), store.begin_run("tag_scenes", {})
        store.save_result(run_id, "1", None, {"source": "1"})
        store.save_result(other, "2", None, {"source": "2"})
        assert store.met(run_id, ["1", "2", "3"]) == {"1"}
        assert store.met(run_id, []) == set()
