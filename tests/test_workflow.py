from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from demo.stash import Fault, StandIn
from stash_sense_plugin.errors import SettingsError, StashUnreachable
from stash_sense_plugin.records import Action, Fingerprint
from stash_sense_plugin.stash.operations import scenes_with_tag
from stash_sense_plugin.stash.workflow import WorkflowNames
from tests.stash_kit import Killed, Kit, open_kit


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def bare(server: StandIn, tmp_path: Path) -> Iterator[Kit]:
    with open_kit(server, tmp_path) as opened:
        yield opened


@pytest.fixture
def kit(server: StandIn, tmp_path: Path) -> Iterator[Kit]:
    with open_kit(server, tmp_path) as opened:
        opened.workflow().create_tags()
        yield opened


def test_set_up_creates_the_three_tags_below_ours(bare: Kit) -> None:
    workflow = bare.workflow()
    assert workflow.lacking() == ["TagMe", "Tagged", "Errored"]
    created = workflow.create_tags()
    parent = bare.stash.tag_id("Stash Sense")
    for name, tag_id in created.items():
        row = bare.stash.tag_row(int(tag_id))
        assert (row["name"], row["parents"]) == (name, [parent])
        assert row["ignore_auto_tag"]
    assert workflow.lacking() == []
    assert bare.workflow().create_tags() == created


def test_set_up_uses_tags_of_the_user_and_brings_back_deleted_ones(bare: Kit) -> None:
    theirs = bare.stash.add_tag("To do", aliases=["tagme"])
    created = bare.workflow().create_tags()
    assert created["TagMe"] == str(theirs)
    bare.stash.remove_tag(int(created["Tagged"]))
    assert bare.workflow().create_tags()["Tagged"] != created["Tagged"]


@pytest.mark.parametrize("names", [("A", "a", "B"), ("A", " A ", "B"), ("A", "", "B")])
def test_three_names_must_be_three(names: tuple[str, str, str]) -> None:
    with pytest.raises(SettingsError, match="not three names"):
        WorkflowNames(*names)


def test_three_names_must_be_three_tags(bare: Kit) -> None:
    bare.stash.add_tag("Tagged", aliases=["TagMe"])
    scene = bare.scene("Tagged")
    with pytest.raises(SettingsError, match="one tag in Stash"):
        bare.workflow().finish([scene])
    assert bare.tags_of(scene) == {"Tagged"}


def test_without_the_tags_there_is_no_work(bare: Kit) -> None:
    bare.scene()
    assert bare.workflow().todo_id() is None


def test_law_5_success_is_tagged_and_clears_errored(kit: Kit) -> None:
    scenes = [kit.scene("TagMe", "Errored", "Holiday"), kit.scene("TagMe"), kit.scene()]
    assert kit.workflow().finish(scenes) == {}
    assert kit.tags_of(scenes[0]) == {"Tagged", "Holiday"}
    assert kit.tags_of(scenes[1]) == kit.tags_of(scenes[2]) == {"Tagged"}


def test_law_5_failure_is_errored_with_its_reason(kit: Kit) -> None:
    scene = kit.scene("TagMe", "Holiday")
    assert kit.workflow().fail(scene, "no video stream") == {}
    assert kit.tags_of(scene) == {"Errored", "Holiday"}
    moves = [e for e in kit.ledger.entries() if e.action is Action.MOVE_WORKFLOW]
    assert {entry.detail["reason"] for entry in moves} == {"no video stream"}


def test_law_5_the_ledger_keeps_which_were_there(kit: Kit) -> None:
    scene = kit.scene("TagMe", "Errored")
    before = sorted(scene.tag_ids)
    kit.workflow().finish([scene])
    moves = [e for e in kit.ledger.entries() if e.action is Action.MOVE_WORKFLOW]
    assert [(entry.target_name, entry.detail["mode"]) for entry in moves] == [
        ("Tagged", "ADD"),
        ("Errored", "REMOVE"),
        ("TagMe", "REMOVE"),
    ]
    assert all(entry.detail["there"] == before for entry in moves)
    assert kit.ours(scene) == []


def test_law_5_what_is_as_it_should_be_is_not_sent(kit: Kit) -> None:
    scene = kit.scene("Tagged")
    kit.stash.calls.clear()
    kit.workflow().finish([scene])
    assert kit.stash.calls["bulkSceneUpdate"] == 0


def test_law_5_hundreds_move_together(kit: Kit) -> None:
    todo = kit.stash.tag_id("TagMe")
    assert todo is not None
    kit.stash.add_scenes(120, tags=[todo])
    scenes = list(scenes_with_tag(kit.client, str(todo)))
    assert len(scenes) == 120
    kit.stash.calls.clear()
    assert kit.workflow().finish(scenes) == {}
    assert kit.stash.calls["bulkSceneUpdate"] == 4
    assert list(scenes_with_tag(kit.client, str(todo))) == []


def test_law_3_tagged_comes_before_tagme_goes(kit: Kit) -> None:
    scene = kit.scene("TagMe")
    kit.stash.fault("bulkSceneUpdate", Fault(drop="before", skip=1, times=9))
    with pytest.raises(StashUnreachable):
        kit.workflow().finish([scene])
    assert kit.tags_of(scene) == {"TagMe", "Tagged"}
    kit.stash.clear_faults()
    kit.writer().recover()
    kit.workflow().finish([scene])
    assert kit.tags_of(scene) == {"Tagged"}
    assert kit.ledger.unsettled() == []


@pytest.mark.parametrize("dies", ["before the write", "after the write"])
def test_law_3_a_kill_never_leaves_a_scene_without_a_mark(kit: Kit, dies: str) -> None:
    scene = kit.scene("TagMe", "Holiday")
    with pytest.raises(Killed):
        kit.workflow(dies).finish([scene])
    assert "TagMe" in kit.tags_of(scene)
    kit.writer().recover()
    kit.workflow().finish([scene])
    assert kit.tags_of(scene) == {"Tagged", "Holiday"}


def test_law_2_a_scene_with_another_file_keeps_tagme(kit: Kit) -> None:
    scene = kit.scene("TagMe")
    stale = replace(scene, fingerprint=Fingerprint("f" * 16, 5))
    failures = kit.workflow().finish([stale])
    assert "file has changed" in failures[scene.id]
    assert kit.tags_of(scene) == {"TagMe"}


def test_a_tagged_that_was_deleted_is_made_again(kit: Kit) -> None:
    tagged = kit.stash.tag_id("Tagged")
    assert tagged is not None
    kit.stash.remove_tag(tagged)
    scene = kit.scene("TagMe")
    assert kit.workflow().finish([scene]) == {}
    assert kit.tags_of(scene) == {"Tagged"}


def test_nothing_to_finish_asks_nothing(kit: Kit) -> None:
    kit.stash.calls.clear()
    assert kit.workflow().finish([]) == {}
    assert not kit.stash.calls
