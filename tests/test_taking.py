"""Taking back: exactly what the ledger says is ours, is there, and is still itself."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.stash import LOCKED, Fault, StandIn
from stash_sense_plugin.errors import StashRefused, StashUncertain
from stash_sense_plugin.records import Action, LedgerEntry, Outcome, Scene
from stash_sense_plugin.stash import operations
from stash_sense_plugin.stash.wishes import Ending, MarkerWanted, Written
from stash_sense_plugin.stash.writer import Writer
from tests.stash_kit import Killed, Kit, open_kit

KILLS = ["before the write", "after the write"]


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
    another = Writer(kit.client, kit.ledger, "dry", dry_run=True)
    assert set(endings(another.take_back(ours(kit, scene))).values()) == {Ending.TAKEN_BACK}
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


# --- What the user changed since stays ----------------------------------------------------------

ALL = {
    Action.DESTROY_MARKER: Ending.TAKEN_BACK,
    Action.REMOVE_TAG: Ending.TAKEN_BACK,
    Action.CLEAR_STUDIO: Ending.TAKEN_BACK,
    Action.DESTROY_TAG: Ending.TAKEN_BACK,
}


def send(kit: Kit, mutation: str, **values: object) -> None:
    """Do something as the user does it in Stash's own pages."""
    name, _, kind = mutation.partition(":")
    text = f"mutation M($input: {kind}) {{ {name}(input: $input) {{ id }} }}"
    kit.client.call(text, {"input": values})


def beach(kit: Kit) -> str:
    return kit.tag("Beach")[0]


def marker(kit: Kit, scene: Scene) -> str:
    return str(kit.stash.scene_markers(int(scene.id))[0]["id"])


def user_removes_the_tag(kit: Kit, scene: Scene) -> None:
    kit.stash.untag_scene(int(scene.id), int(beach(kit)))


def user_destroys_the_marker(kit: Kit, scene: Scene) -> None:
    kit.stash.remove_marker(int(marker(kit, scene)))


def user_moves_the_marker(kit: Kit, scene: Scene) -> None:
    send(kit, "sceneMarkerUpdate:SceneMarkerUpdateInput!", id=marker(kit, scene), seconds=2.5)


def user_names_the_marker(kit: Kit, scene: Scene) -> None:
    send(kit, "sceneMarkerUpdate:SceneMarkerUpdateInput!", id=marker(kit, scene), title="Mine")


def user_adds_a_tag_to_the_marker(kit: Kit, scene: Scene) -> None:
    extra = [kit.tag("Extra")[0]]
    values = {"id": marker(kit, scene), "primary_tag_id": beach(kit), "tag_ids": extra}
    send(kit, "sceneMarkerUpdate:SceneMarkerUpdateInput!", **values)


def user_sets_another_studio(kit: Kit, scene: Scene) -> None:
    kit.stash.set_studio(int(scene.id), kit.stash.add_studio("Theirs"))


def user_clears_the_studio(kit: Kit, scene: Scene) -> None:
    kit.stash.set_studio(int(scene.id), None)


def user_renames_the_tag(kit: Kit, scene: Scene) -> None:
    send(kit, "tagUpdate:TagUpdateInput!", id=beach(kit), name="Seaside")


def user_gives_the_tag_an_alias(kit: Kit, scene: Scene) -> None:
    send(kit, "tagUpdate:TagUpdateInput!", id=beach(kit), aliases=["Shore"])


def user_gives_the_tag_another_parent(kit: Kit, scene: Scene) -> None:
    send(kit, "tagUpdate:TagUpdateInput!", id=beach(kit), parent_ids=[kit.tag("Places")[0]])


def user_describes_the_tag(kit: Kit, scene: Scene) -> None:
    send(kit, "tagUpdate:TagUpdateInput!", id=beach(kit), description="Sand and sea")


def user_lets_auto_tag_use_the_tag(kit: Kit, scene: Scene) -> None:
    send(kit, "tagUpdate:TagUpdateInput!", id=beach(kit), ignore_auto_tag=False)


def user_tags_another_scene(kit: Kit, scene: Scene) -> None:
    kit.scene("Beach")


def user_tags_a_performer(kit: Kit, scene: Scene) -> None:
    number = str(kit.stash.add_performer("Somebody"))
    send(kit, "performerUpdate:PerformerUpdateInput!", id=number, tag_ids=[beach(kit)])


def user_sets_a_marker_of_the_tag(kit: Kit, scene: Scene) -> None:
    operations.create_marker(kit.client, scene.id, beach(kit), 20.0, None, "mine")


def user_puts_a_tag_below_the_tag(kit: Kit, scene: Scene) -> None:
    kit.stash.add_tag("Dune", parents=[int(beach(kit))])


def user_merges_the_tag_into_theirs(kit: Kit, scene: Scene) -> None:
    theirs = kit.tag("Coast")[0]
    send(kit, "tagsMerge:TagsMergeInput!", source=[beach(kit)], destination=theirs)


Change = Callable[[Kit, Scene], None]
CHANGES: list[tuple[Change, set[Action]]] = [
    (user_removes_the_tag, {Action.REMOVE_TAG}),
    (user_destroys_the_marker, {Action.DESTROY_MARKER}),
    (user_moves_the_marker, {Action.DESTROY_MARKER, Action.DESTROY_TAG}),
    (user_names_the_marker, {Action.DESTROY_MARKER, Action.DESTROY_TAG}),
    (user_adds_a_tag_to_the_marker, {Action.DESTROY_MARKER, Action.DESTROY_TAG}),
    (user_sets_another_studio, {Action.CLEAR_STUDIO}),
    (user_clears_the_studio, {Action.CLEAR_STUDIO}),
    (user_renames_the_tag, {Action.DESTROY_MARKER, Action.REMOVE_TAG, Action.DESTROY_TAG}),
    (user_gives_the_tag_an_alias, {Action.DESTROY_TAG}),
    (user_gives_the_tag_another_parent, {Action.DESTROY_TAG}),
    (user_describes_the_tag, {Action.DESTROY_TAG}),
    (user_lets_auto_tag_use_the_tag, {Action.DESTROY_TAG}),
    (user_tags_another_scene, {Action.DESTROY_TAG}),
    (user_tags_a_performer, {Action.DESTROY_TAG}),
    (user_sets_a_marker_of_the_tag, {Action.DESTROY_TAG}),
    (user_puts_a_tag_below_the_tag, {Action.DESTROY_TAG}),
    (
        user_merges_the_tag_into_theirs,
        {Action.DESTROY_MARKER, Action.REMOVE_TAG, Action.DESTROY_TAG},
    ),
]


@pytest.mark.parametrize(("change", "stays"), CHANGES, ids=[each.__name__ for each, _ in CHANGES])
def test_what_the_user_changed_stays(kit: Kit, change: Change, stays: set[Action]) -> None:
    scene = written(kit)
    mine = [each for each in ours(kit, scene) if each.target_name != "Stash Sense"]
    change(kit, scene)
    came = kit.writer().take_back(mine)
    assert endings(came) == {
        action: Ending.PASSED if action in stays else ending for action, ending in ALL.items()
    }
    assert all(reasons(came))
    # What was left is not forgotten: the next visit may learn from it.
    assert len(ours(kit, scene)) == len(stays) + 1


@pytest.mark.parametrize("made", [True, False], ids=["our tag", "the user's tag"])
def test_a_tag_of_the_users_that_was_merged_into_ours_stays_on_its_scenes(
    kit: Kit, made: bool
) -> None:
    theirs, other = kit.scene("Shore"), kit.scene("Holiday")
    tag_id = kit.writer().ensure_tag("Beach") if made else beach(kit)
    wanted = {scene.id: [(tag_id, "Beach")] for scene in (theirs, other)}
    kit.writer().add_tags([theirs, other], wanted)
    shore = kit.tag("Shore")[0]
    send(kit, "tagsMerge:TagsMergeInput!", source=[shore], destination=tag_id)
    came = kit.writer().take_back(kit.ledger.ours([theirs.id, other.id]))
    assert {each.scene_id: each.ending for each in came} == {
        theirs.id: Ending.PASSED,
        other.id: Ending.TAKEN_BACK,
    }
    assert kit.tags_of(theirs) == {"Beach"}
    assert kit.tags_of(other) == {"Holiday"}


def test_nothing_is_touched_where_the_file_was_replaced(kit: Kit) -> None:
    scene = written(kit)
    kit.stash.database.run("UPDATE fingerprints SET value = 'ffffffffffffffff'")
    rows = [each for each in ours(kit, scene) if each.scene_id]
    came = kit.writer().take_back(rows)
    assert {each.ending for each in came} == {Ending.PASSED}
    assert reasons(came) == {"the scene has another file now"}
    assert kit.tags_of(scene) == {"Beach"}


def test_a_scene_that_is_gone_holds_up_no_other(kit: Kit) -> None:
    gone, scene = written(kit), written_beside(kit)
    kit.stash.remove_scene(int(gone.id))
    came = kit.writer().take_back([each for each in ours(kit, gone, scene) if each.scene_id])
    assert {each.scene_id for each in came if each.ending is Ending.PASSED} == {gone.id}
    assert kit.tags_of(scene) == set()


def written_beside(kit: Kit) -> Scene:
    scene = kit.scene()
    assert written_again(kit, scene) is Ending.WRITTEN
    return scene


def test_the_parent_of_ours_goes_last_and_only_without_children(kit: Kit) -> None:
    writer = kit.writer()
    writer.ensure_tag("Beach")
    kit.stash.add_tag("Theirs", parents=[int(writer.ensure_tag("Stash Sense"))])
    came = kit.writer().take_back(kit.ledger.ours([""]))
    assert [(each.name, each.ending) for each in came] == [
        ("Beach", Ending.TAKEN_BACK),
        ("Stash Sense", Ending.PASSED),
    ]
    assert kit.stash.tags().keys() == {"Stash Sense", "Theirs"}


def test_a_tag_that_we_destroyed_can_be_made_again(kit: Kit) -> None:
    scene = written(kit)
    writer = kit.writer()
    old = writer.ensure_tag("Beach")
    writer.take_back(ours(kit, scene))
    assert int(writer.ensure_tag("Beach")) > int(old)


def test_a_thing_that_is_ours_twice_over_is_no_refusal_afterwards(kit: Kit) -> None:
    scene = written(kit)
    kit.stash.untag_scene(int(scene.id), int(beach(kit)))
    assert written_again(kit, scene) is Ending.WRITTEN
    kit.writer().take_back(ours(kit, scene))
    assert ours(kit, scene) == []
    assert kit.writer().notice_removed([scene]) is None
    assert kit.ledger.refused(scene) == frozenset()


# --- Stash refuses, is silent, or we die --------------------------------------------------------


def markers_written(kit: Kit, count: int) -> tuple[Scene, list[str]]:
    scene, tag = kit.scene(), kit.tag("Beach")
    wishes = [MarkerWanted(*tag, index * 10.0, index * 10.0 + 5) for index in range(count)]
    made = kit.writer().create_markers(scene, wishes)
    return scene, [each.target_id for each in made]


def test_a_marker_that_goes_this_moment_does_not_hold_up_the_others(kit: Kit) -> None:
    scene, made = markers_written(kit, 7)

    def destroy(*told: object) -> None:
        if told[1] == "asked":
            kit.stash.remove_marker(int(made[3]))

    kit.stash.fault("sceneMarkersDestroy", Fault(told=destroy))
    came = kit.writer().take_back(ours(kit, scene))
    assert [each.ending for each in came].count(Ending.TAKEN_BACK) == 6
    assert [each.target_id for each in came if each.ending is Ending.FAILED] == [made[3]]
    assert kit.stash.scene_markers(int(scene.id)) == []


def test_a_scene_that_goes_this_moment_does_not_hold_up_the_others(kit: Kit) -> None:
    scenes, tag = [kit.scene() for _ in range(9)], kit.tag("Beach")
    kit.writer().add_tags(scenes, {scene.id: [tag] for scene in scenes})

    def delete(*told: object) -> None:
        if told[1] == "asked":
            kit.stash.remove_scene(int(scenes[4].id))

    kit.stash.fault("bulkSceneUpdate", Fault(told=delete))
    came = kit.writer().take_back(ours(kit, *scenes))
    failed = [each.scene_id for each in came if each.ending is Ending.FAILED]
    assert failed == [scenes[4].id]
    assert all(kit.tags_of(each) == set() for each in scenes if each is not scenes[4])


def test_a_primary_tag_that_stash_refuses_to_destroy_stays_ours(kit: Kit) -> None:
    tag_id = kit.writer().ensure_tag("Beach")
    scene = kit.scene()

    def mark(*told: object) -> None:
        if told[1] == "asked":
            operations.create_marker(kit.client, scene.id, tag_id, 1.0, 2.0, "mine")

    kit.stash.fault("tagsDestroy", Fault(told=mark))
    rows = [each for each in kit.ledger.ours([""]) if each.target_name == "Beach"]
    [came] = kit.writer().take_back(rows)
    assert came.ending is Ending.FAILED
    assert "primary tag" in came.reason
    assert [each.target_name for each in kit.ledger.ours([""])] == ["Stash Sense", "Beach"]
    assert kit.stash.tag_id("Beach") is not None


TAKES = {
    "sceneMarkersDestroy": Action.CREATE_MARKER,
    "sceneUpdate": Action.SET_STUDIO,
    "tagsDestroy": Action.CREATE_TAG,
    "bulkSceneUpdate": Action.ADD_TAG,
}


def one_of(kit: Kit, scene: Scene, action: Action) -> list[LedgerEntry]:
    """Our row of that kind; a tag of ours that is to be destroyed has no use any more."""
    if action is Action.CREATE_TAG:
        kit.writer().take_back([each for each in ours(kit, scene) if each.scene_id])
    named = [each for each in ours(kit, scene) if each.action is action]
    return [each for each in named if each.target_name != "Stash Sense"]


@pytest.mark.parametrize("root", TAKES)
def test_a_lost_answer_of_a_taking_back_is_looked_for(kit: Kit, root: str) -> None:
    scene = written(kit)
    rows = one_of(kit, scene, TAKES[root])
    kit.stash.fault(root, Fault(drop="after"))
    [came] = kit.writer().take_back(rows)
    assert came.ending is Ending.TAKEN_BACK
    assert kit.ledger.unsettled() == []


@pytest.mark.parametrize("root", [root for root in TAKES if root != "bulkSceneUpdate"])
def test_a_taking_back_that_may_yet_come_through_is_left_to_recovery(kit: Kit, root: str) -> None:
    scene = written(kit)
    rows = one_of(kit, scene, TAKES[root])
    kit.stash.fault(root, Fault(drop="before"))
    with pytest.raises(StashUncertain):
        kit.writer().take_back(rows)
    assert [each.takes_back for each in kit.ledger.unsettled()] == [rows[0].row]
    assert kit.writer().recover() == 1
    assert kit.outcomes()[-1] is Outcome.FAILED
    assert {each.ending for each in kit.writer().take_back(rows)} == {Ending.TAKEN_BACK}


@pytest.mark.parametrize("root", ["sceneMarkersDestroy", "sceneUpdate", "tagsDestroy"])
def test_a_locked_database_stops_it_all_and_leaves_it_ours(kit: Kit, root: str) -> None:
    scene = written(kit)
    rows = one_of(kit, scene, TAKES[root])
    kit.stash.fault(root, Fault(error=LOCKED, times=9))
    with pytest.raises(StashRefused):
        kit.writer().take_back(rows)
    kit.writer().recover()
    assert {row.row for row in rows} <= {each.row for each in ours(kit, scene)}


@pytest.mark.parametrize("dies", KILLS)
@pytest.mark.parametrize("root", TAKES)
def test_a_kill_loses_nothing_and_is_no_refusal(kit: Kit, root: str, dies: str) -> None:
    scene = written(kit)
    kit.finish(scene)
    rows = one_of(kit, scene, TAKES[root])
    kit.stash.set_clock(100)
    with pytest.raises(Killed):
        kit.writer(dies).take_back(rows)
    assert kit.writer().notice_removed([scene]) is None
    writer = kit.writer()
    writer.survey(kit.ledger.newest_ours(50))
    assert kit.ledger.refused(scene) == frozenset()
    assert writer.recover() == 1
    assert writer.notice_removed([scene]) is None
    assert kit.ledger.refused(scene) == frozenset()
    kit.writer().take_back(ours(kit, scene))
    assert kit.tags_of(scene) == {"Tagged"}
    assert kit.stash.scene_markers(int(scene.id)) == []
    assert kit.stash.scene_studio(int(scene.id)) is None
    assert kit.stash.tags().keys() == {"Tagged", "Stash Sense"}
