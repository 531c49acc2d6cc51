"""What is asked beside the jobs: failed scenes, models, Doctor."""

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stash import Fault, StandIn
from stash_sense_plugin.errors import CatalogueError, SettingsError
from stash_sense_plugin.tasks import MODES, Call
from tests.stash_kit import empty
from tests.sweep_kit import Room, open_engine

ROW = """models:
  mine:
    task: objects
    about: Mine
    licence: MIT
    commercial: true
    words: things
    files: {network: {path: mine.onnx, sha256: %s}}
"""


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash"), media=[]) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, tmp_path: Path) -> Iterator[Room]:
    empty(stash)
    with open_engine(tmp_path / "home") as engine:
        prepared = Room(stash, tmp_path, tmp_path, engine=engine)
        prepared.configure()
        yield prepared


def fail(room: Room, *scenes: int) -> None:
    """Let the last look at these scenes have failed."""
    run = room.engine.store.begin_run("tag_scenes", {})
    error = {"kind": "unreadable", "message": "Damaged", "remedy": ""}
    for scene in scenes:
        room.engine.store.save_result(run, str(scene), None, {"source": "x.mp4", "error": error})
    room.engine.store.end_run(run, "done", {})


def listed(report: dict[str, list[dict[str, str]]]) -> list[str]:
    return [row["scene_id"] for row in report["errors"]]


# --- Failed scenes ------------------------------------------------------------------------------


def test_failed_scenes_that_stash_has_no_more_are_left_out(room: Room) -> None:
    here, also = room.stash.add_scene("a"), room.stash.add_scene("b")
    fail(room, here, 7_000_001, also)
    assert listed(room.run("errors")) == [str(also), str(here)]
    page = room.run("errors", limit=2)
    assert listed(page) == [str(also)]
    assert listed(room.run("errors", limit=2, after=page["next"])) == [str(here)]


def test_scenes_that_are_gone_are_forgotten_in_their_own_library_alone(room: Room) -> None:
    store, here = room.engine.store, room.stash.add_scene("a")
    fail(room, here, 7_000_001)
    for path, left in (("/another.sqlite", 2), (str(room.stash.database.path), 1)):
        store.remember_library(path, {})
        assert listed(room.run("errors")) == [str(here)]
        assert len(store.errors()) == left


def test_failed_scenes_are_listed_where_stash_cannot_be_asked(room: Room) -> None:
    fail(room, 1, 2)
    alone = MODES["errors"].run(room.engine, Call({}), room.told)
    assert [row["scene_id"] for row in alone["errors"]] == ["2", "1"]  # type: ignore[attr-defined]
    room.stash.fault("*", Fault(status=500, times=100))
    assert listed(room.run("errors")) == ["2", "1"]
    assert "may be listed too" in room.told.said("warning")[0]


@pytest.mark.parametrize("limit", [0, -1, 501, "many"])
def test_a_page_has_at_least_one_row(room: Room, limit: object) -> None:
    with pytest.raises(SettingsError, match="limit is"):
        room.run("errors", limit=limit)


# --- Models -------------------------------------------------------------------------------------


def test_the_networks_that_run_by_default_are_marked(room: Room) -> None:
    room.configure(skip_labels=None, skip_objects=None)
    rows = {row["name"]: row["chosen"] for row in room.run("models")["models"]}
    assert {name: by for name, by in rows.items() if by} == {
        "nudenet-320n": "always",
        "clip-vit-b32": "the preset fast",
        "yolox-s": "the preset fast",
    }


def test_models_are_verified_by_reading_them_whole(room: Room) -> None:
    room.engine.own_catalogue.write_text(ROW % ("a" * 64))
    (first, *_) = room.run("verify_models", names=[])["models"]
    assert (first["name"], first["error"]) == ("nudenet-320n", None)
    (gone,) = room.run("verify_models", names=["mine"])["models"]
    assert "mine needs" in gone["error"]["message"]
    (room.engine.home / "mine.onnx").write_bytes(b"mine")
    (other,) = room.run("verify_models", names=["mine"])["models"]
    assert "is not the file that mine names" in other["error"]["message"]
    assert "mine" in [row["name"] for row in room.run("verify_models", names=[])["models"]]
    with pytest.raises(CatalogueError, match="no model called 'yolox-z'"):
        room.run("verify_models", names=["yolox-z"])


# --- Doctor -------------------------------------------------------------------------------------


def test_who_only_looks_changes_nothing_for_a_job_beside_it(room: Room) -> None:
    shelf, settings = room.engine.shelf(), room.engine.settings
    room.configure(memory_budget_mb=500, skip_objects=None, object_model="nudenet-320n")
    facts = {fact["what"]: fact["found"] for fact in room.run("doctor")["facts"]}
    assert facts["Detector objects"] == "nudenet-320n@3.4.2"
    room.run("models")
    room.run("verify_models", names=["nudenet-320n"])
    fail(room, 1)
    room.run("errors")
    assert room.engine.settings is settings
    assert room.engine.shelf() is shelf


@pytest.mark.parametrize("mode", ["doctor", "errors", "models", "verify_models", "result"])
def test_who_only_looks_waits_for_no_job(mode: str) -> None:
    assert MODES[mode].kind == "operation"


def test_doctor_names_a_package_that_is_missing(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = importlib.metadata.version

    def without_rapidocr(name: str) -> str:
        if name == "rapidocr":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_rapidocr)
    room.configure(skip_text=None)
    facts = {fact["what"]: fact for fact in room.run("doctor")["facts"]}
    assert "package rapidocr" in facts["Detector text"]["found"]
    assert facts["Detector text"]["remedy"] == "run the task Set up"
