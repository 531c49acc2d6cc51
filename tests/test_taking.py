"""Taking back: exactly what the ledger says is ours, is there, and is still itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stash import StandIn
from stash_sense_plugin.records import Action, LedgerEntry, Scene
from stash_sense_plugin.stash.wishes import Ending, MarkerWanted, Written
from stash_sense_plugin.stash.writer import Writer
from tests.stash_kit import Kit, open_kit


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def kit(server: StandIn, tmp_path: Path) -> Iterator[Kit]:
    with open_kit(server, tmp_path) as opened:
        yield opened


def written(kit: Kit, *tags: str) -> Scene:
    """A scene to which we wrote a tag that we made, a marker of it and a studio."""
    scene = kit.scene(*tags)
    writer = kit.writer()
    tag = (writer.ensure_tag("Beach"), "Beach")
    writer.add_tags([scene], {scene.id: [tag]})
    writer.create_markers(scene, [MarkerWanted(*tag, 1.5, 9.25)])
    studio = kit.stash.add_studio("Northlight")
    writer.set_studio(scene, str(studio), "Northlight")
    return scene


def ours(kit: Kit, *scenes: Scene) -> list[LedgerEntry]:
    return kit.ledger.ours(["", *(scene.id for scene in scenes)])


def endings(written: list[Written]) -> dict[Action, Ending]:
    return {each.action: each.ending for each in written}


def reasons(written: list[Written]) -> set[str]:
    return {each.reason for each in written if each.ending is Ending.PASSED}


def test_all_that_is_ours_goes_and_nothing_else(kit: Kit) -> None:
    scene = written(kit, "Holiday")
    kit.stash.tag_scene(int(scene.id), int(kit.tag("Added since")[0]))
    came = kit.writer().take_back(ours(kit, scene))
    assert endings(came) == {
        Action.DESTROY_MARKER: Ending.TAKEN_BACK,
        Action.REMOVE_TAG: Ending.TAKEN_BACK,
        Action.CLEAR_STUDIO: Ending.TAKEN_BACK,
        Action.DESTROY_TAG: Ending.TAKEN_BACK,
    }
    assert kit.tags_of(scene) == {"Holiday", "Added since"}
    assert kit.stash.scene_studio(int(scene.id)) is None
    assert kit.stash.scene_markers(int(scene.id)) == []
    assert kit.stash.tags().keys() == {"Holiday", "Added since"}
    assert ours(kit, scene) == []


def test_taking_back_twice_does_nothing_more(kit: Kit) -> None:
    scene = written(kit)
    rows = ours(kit, scene)
    kit.writer().take_back(rows)
    kit.stash.tag_scene(int(scene.id), int(kit.tag("Beach")[0]))
    assert kit.writer().take_back(rows) == []
    assert kit.tags_of(scene) == {"Beach"}


def test_what_we_took_back_is_no_refusal(kit: Kit) -> None:
    scene = written(kit)
    kit.writer().take_back(ours(kit, scene))
    assert kit.writer().notice_removed([scene]) is None
    assert kit.ledger.refused(scene) == frozenset()
    assert written_again(kit, scene) == Ending.WRITTEN


def written_again(kit: Kit, scene: Scene) -> Ending:
    writer = kit.writer()
    tag = (writer.ensure_tag("Beach"), "Beach")
    [came] = writer.add_tags([scene], {scene.id: [tag]})
    return came.ending


# --- A dry run ----------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_and_changes_nothing(kit: Kit) -> None:
    scene, other = written(kit), kit.scene()
    before, rows = kit.stash.tags(), len(kit.outcomes())
    writer = Writer(kit.client, kit.ledger, "dry", dry_run=True)
    made = [(writer.ensure_tag(name), name) for name in ("Dog", "Cat", "Beach")]
    assert [tag_id for tag_id, _ in made[:2]] == ["", ""]
    added = writer.add_tags([other], {other.id: made})
    assert [(each.name, each.ending) for each in added] == [
        ("Dog", Ending.WRITTEN),
        ("Cat", Ending.WRITTEN),
        ("Beach", Ending.WRITTEN),
    ]
    marked = writer.create_markers(other, [MarkerWanted(*made[2], 1.0, 4.0)])
    assert [each.ending for each in marked] == [Ending.WRITTEN]
    assert set(endings(writer.take_back(ours(kit, scene))).values()) == {Ending.TAKEN_BACK}
    assert (kit.stash.tags(), len(kit.outcomes())) == (before, rows)
    assert kit.tags_of(scene) == {"Beach"}
    assert kit.tags_of(other) == set()
    assert kit.stash.scene_studio(int(scene.id)) == "Northlight"


def test_a_dry_run_takes_nothing_for_refused(kit: Kit) -> None:
    scene = written(kit)
    kit.finish(scene)
    kit.stash.set_clock(60)
    kit.stash.untag_scene(int(scene.id), int(kit.tag("Beach")[0]))
    writer = Writer(kit.client, kit.ledger, "dry", dry_run=True)
    assert writer.notice_removed([scene]) is None
    [came] = writer.add_tags([scene], {scene.id: [kit.tag("Beach")]})
    assert came.ending is Ending.REFUSED
    assert kit.ledger.refused(scene) == frozenset()
