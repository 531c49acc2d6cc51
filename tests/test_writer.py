import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from demo.stash import LOCKED, Fault, StandIn
from stash_sense_plugin.errors import (
    StashError,
    StashRefused,
    StashUncertain,
    StashUnreachable,
    TagGone,
    TagUnusable,
)
from stash_sense_plugin.records import Action, Fingerprint, Outcome, Scene
from stash_sense_plugin.stash import operations
from stash_sense_plugin.stash.kinds import Kinds, TagKind
from stash_sense_plugin.stash.wishes import Ending, MarkerWanted
from stash_sense_plugin.stash.writer import Writer
from tests.stash_kit import Killed, Kit, MortalLedger, open_kit

KILLS = ["before the write", "after the write"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def kit(server: StandIn, tmp_path: Path) -> Iterator[Kit]:
    with open_kit(server, tmp_path) as opened:
        yield opened


def add(writer: Writer, scene: Scene, *tags: tuple[str, str]) -> list[Ending]:
    return [each.ending for each in writer.add_tags([scene], {scene.id: tags})]


def beach_marker(kit: Kit, start_s: float = 1.5, end_s: float = 9.25) -> MarkerWanted:
    return MarkerWanted(*kit.tag("Beach"), start_s, end_s)


# --- Law 1: what we did not write is never removed or replaced ------------------------------------


def test_law_1_tags_are_added_beside_the_users(kit: Kit) -> None:
    scene = kit.scene("Holiday", "Favourite")
    assert add(kit.writer(), scene, kit.tag("Beach")) == [Ending.WRITTEN]
    assert kit.tags_of(scene) == {"Holiday", "Favourite", "Beach"}


def test_law_1_a_tag_that_the_user_adds_meanwhile_stays(kit: Kit) -> None:
    scene = kit.scene("Holiday")
    stale = scene
    kit.stash.tag_scene(int(scene.id), int(kit.tag("Added meanwhile")[0]))
    add(kit.writer(), stale, kit.tag("Beach"))
    assert kit.tags_of(scene) == {"Holiday", "Added meanwhile", "Beach"}


def test_law_1_a_studio_is_written_only_where_there_is_none(kit: Kit) -> None:
    users, ours = kit.stash.add_studio("Theirs"), kit.stash.add_studio("Ours")
    with_one, without = kit.scene(studio=users), kit.scene()
    ends = [kit.writer().set_studio(each, str(ours), "Ours") for each in (with_one, without)]
    assert [end.ending for end in ends] == [Ending.THERE, Ending.WRITTEN]
    assert kit.stash.scene_studio(int(with_one.id)) == "Theirs"
    assert kit.stash.scene_studio(int(without.id)) == "Ours"
    assert kit.ours(with_one, without) == [("set-studio", "Ours")]


def test_law_1_the_studio_is_read_again_just_before(kit: Kit) -> None:
    users, ours = kit.stash.add_studio("Theirs"), kit.stash.add_studio("Ours")
    scene = kit.scene()
    kit.stash.set_studio(int(scene.id), users)
    assert scene.studio_id is None
    assert kit.writer().set_studio(scene, str(ours), "Ours").ending is Ending.THERE
    assert kit.stash.scene_studio(int(scene.id)) == "Theirs"


def test_law_1_markers_of_the_user_stay(kit: Kit) -> None:
    scene, wish = kit.scene(), beach_marker(kit)
    theirs = operations.create_marker(kit.client, scene.id, wish.tag_id, 3.0, None, "mine")
    kit.writer().create_markers(scene, [wish])
    markers = kit.stash.scene_markers(int(scene.id))
    assert [(each["seconds"], each["end_seconds"]) for each in markers] == [(1.5, 9.25), (3, None)]
    assert str(markers[1]["id"]) == theirs.id


@pytest.mark.parametrize(
    ("start_s", "end_s", "markers"),
    [
        pytest.param(2.0, 10.0, 1, id="moved a little"),
        pytest.param(1.5, 15.0, 1, id="longer, by less than as much again"),
        pytest.param(20.0, 28.0, 2, id="elsewhere"),
        pytest.param(9.0, 17.0, 2, id="next to it"),
    ],
)
def test_law_1_a_marker_over_nearly_the_same_time_is_not_set_beside_another(
    kit: Kit, start_s: float, end_s: float, markers: int
) -> None:
    scene, theirs = kit.scene(), beach_marker(kit)
    operations.create_marker(kit.client, scene.id, theirs.tag_id, 1.5, 9.25, "by hand")
    kit.writer().create_markers(scene, [beach_marker(kit, start_s, end_s)])
    assert len(kit.stash.scene_markers(int(scene.id))) == markers


# --- Law 2: a row before and after; ours is only what was absent ----------------------------------


def test_law_2_ours_is_only_what_was_absent_just_before(kit: Kit) -> None:
    scene = kit.scene("Beach")
    came = kit.writer().add_tags([scene], {scene.id: [kit.tag("Beach"), kit.tag("Dog")]})
    assert [(each.name, each.ending) for each in came] == [
        ("Beach", Ending.THERE),
        ("Dog", Ending.WRITTEN),
    ]
    assert kit.ours(scene) == [("add-tag", "Dog")]


def test_law_2_a_row_keeps_ids_names_and_fingerprint(kit: Kit) -> None:
    scene, tag = kit.scene(), kit.tag("Beach")
    add(kit.writer(), scene, tag)
    [entry] = kit.ledger.ours([scene.id])
    assert (entry.scene_id, entry.fingerprint) == (scene.id, scene.fingerprint)
    assert (entry.target_id, entry.target_name) == tag
    assert entry.outcome is Outcome.OURS


@pytest.mark.parametrize("dies", KILLS)
def test_law_2_the_before_row_is_there_before_the_write(kit: Kit, dies: str) -> None:
    scene = kit.scene()
    with pytest.raises(Killed):
        add(kit.writer(dies), scene, kit.tag("Beach"))
    [entry] = kit.ledger.unsettled()
    assert (entry.scene_id, entry.target_name) == (scene.id, "Beach")
    assert kit.tags_of(scene) == ({"Beach"} if dies == "after the write" else set())


def test_law_2_another_file_under_the_scene_is_not_touched(kit: Kit) -> None:
    scene, studio = kit.scene(), str(kit.stash.add_studio("Ours"))
    stale = replace(scene, fingerprint=Fingerprint("f" * 16, 5))
    writer = kit.writer()
    [tagged] = writer.add_tags([stale], {stale.id: [kit.tag("Beach")]})
    [marked] = writer.create_markers(stale, [beach_marker(kit)])
    ends = (tagged, marked, writer.set_studio(stale, studio, "Ours"))
    assert {end.ending for end in ends} == {Ending.FAILED}
    assert {end.reason for end in ends} == {"the scene's file has changed since it was looked at"}
    assert kit.tags_of(scene) == set()
    assert kit.outcomes() == []


def test_law_2_a_scene_that_is_gone_fails_alone(kit: Kit) -> None:
    gone, here = kit.scene(), kit.scene()
    kit.stash.remove_scene(int(gone.id))
    beach = kit.tag("Beach")
    came = kit.writer().add_tags([gone, here], {gone.id: [beach], here.id: [beach]})
    assert {each.scene_id: each.ending for each in came} == {
        gone.id: Ending.FAILED,
        here.id: Ending.WRITTEN,
    }


# --- Law 3: every step can be repeated, and a kill loses nothing ----------------------------------


def test_law_3_a_second_run_changes_nothing(kit: Kit) -> None:
    scene, wish = kit.scene(), beach_marker(kit)
    studio = str(kit.stash.add_studio("Ours"))
    for _ in range(2):
        writer = kit.writer()
        add(writer, scene, kit.tag("Dog"))
        writer.create_markers(scene, [wish, wish])
        writer.set_studio(scene, studio, "Ours")
    assert len(kit.stash.scene_markers(int(scene.id))) == 1
    assert kit.outcomes() == [Outcome.OURS] * 3
    assert kit.stash.calls["sceneMarkerCreate"] == 1
    assert kit.stash.calls["sceneUpdate"] == 1


@pytest.mark.parametrize(
    ("dies", "outcome"),
    [("before the write", Outcome.FAILED), ("after the write", Outcome.OURS)],
)
def test_law_3_a_killed_tag_is_recovered(kit: Kit, dies: str, outcome: Outcome) -> None:
    scene = kit.scene()
    with pytest.raises(Killed):
        add(kit.writer(dies), scene, kit.tag("Beach"))
    assert kit.writer().recover() == 1
    assert kit.outcomes() == [outcome]
    assert kit.writer().recover() == 0
    add(kit.writer(), scene, kit.tag("Beach"))
    assert kit.tags_of(scene) == {"Beach"}
    assert kit.ours(scene) == [("add-tag", "Beach")]


def test_law_3_what_the_user_added_after_a_kill_is_not_ours(kit: Kit) -> None:
    scene, (tag_id, name) = kit.scene(), kit.tag("Beach")
    with pytest.raises(Killed):
        add(kit.writer("before the write"), scene, (tag_id, name))
    kit.stash.tag_scene(int(scene.id), int(tag_id))
    later = "UPDATE scenes SET updated_at = '2126-11-20T20:00:00Z' WHERE id = ?"
    kit.stash.database.run(later, int(scene.id))
    kit.writer().recover()
    assert kit.outcomes() == [Outcome.WAS_THERE]
    assert kit.ours(scene) == []
    assert kit.tags_of(scene) == {name}


@pytest.mark.parametrize("dies", KILLS)
def test_law_3_a_killed_marker_is_never_doubled(kit: Kit, dies: str) -> None:
    scene, wish = kit.scene(), beach_marker(kit)
    with pytest.raises(Killed):
        kit.writer(dies).create_markers(scene, [wish])
    kit.writer().recover()
    kit.writer().create_markers(scene, [wish])
    [marker] = kit.stash.scene_markers(int(scene.id))
    [entry] = kit.ledger.ours([scene.id])
    assert entry.target_id == str(marker["id"])


def test_law_3_a_killed_marker_with_the_number_of_a_tag_is_adopted(kit: Kit) -> None:
    scene, wish = kit.scene(), beach_marker(kit)
    add(kit.writer(), scene, (wish.tag_id, wish.tag_name))
    number = "INSERT OR REPLACE INTO sqlite_sequence (name, seq) VALUES ('scene_markers', ?)"
    kit.stash.database.run("DELETE FROM sqlite_sequence WHERE name = 'scene_markers'")
    kit.stash.database.run(number, int(wish.tag_id) - 1)
    with pytest.raises(Killed):
        kit.writer("after the write").create_markers(scene, [wish])
    [marker] = kit.stash.scene_markers(int(scene.id))
    assert str(marker["id"]) == wish.tag_id
    kit.writer().recover()
    assert kit.outcomes() == [Outcome.OURS] * 2


def test_law_3_two_kills_over_one_marker_adopt_it_once(kit: Kit) -> None:
    scene, wish = kit.scene(), beach_marker(kit)
    for dies in KILLS:
        with pytest.raises(Killed):
            kit.writer(dies).create_markers(scene, [wish])
    kit.writer().recover()
    assert sorted(kit.outcomes()) == [Outcome.FAILED, Outcome.OURS]
    assert len(kit.stash.scene_markers(int(scene.id))) == 1


def test_law_3_an_older_marker_of_the_same_times_is_not_adopted(kit: Kit) -> None:
    scene, wish = kit.scene(), beach_marker(kit)
    with pytest.raises(Killed):
        kit.writer("before the write").create_markers(scene, [wish])
    [entry] = kit.ledger.unsettled()
    theirs = operations.create_marker(kit.client, scene.id, wish.tag_id, 1.5, 9.25, "theirs")
    assert entry.detail["there"] == []
    kit.writer().recover()
    assert kit.ours(scene) == []
    assert [str(each["id"]) for each in kit.stash.scene_markers(int(scene.id))] == [theirs.id]


@pytest.mark.parametrize("dies", KILLS)
def test_law_3_a_killed_tag_creation_is_never_doubled(kit: Kit, dies: str) -> None:
    kit.writer().ensure_tag("Stash Sense")
    with pytest.raises(Killed):
        kit.writer(dies).ensure_tag("Beach")
    kit.writer().recover()
    tag_id = kit.writer().ensure_tag("Beach")
    assert list(kit.stash.tags()) == ["Stash Sense", "Beach"]
    assert kit.ours()[-1] == ("create-tag", "Beach")
    assert [e.target_id for e in kit.ledger.ours([""])][-1] == tag_id


def test_law_3_a_tag_that_the_user_made_after_a_kill_is_not_ours(kit: Kit) -> None:
    kit.writer().ensure_tag("Stash Sense")
    with pytest.raises(Killed):
        kit.writer("before the write").ensure_tag("Beach")
    kit.stash.add_tag("Beach")
    kit.writer().recover()
    assert kit.ours() == [("create-tag", "Stash Sense")]


@pytest.mark.parametrize("dies", KILLS)
def test_law_3_a_killed_studio_is_recovered(kit: Kit, dies: str) -> None:
    scene, studio = kit.scene(), str(kit.stash.add_studio("Ours"))
    with pytest.raises(Killed):
        kit.writer(dies).set_studio(scene, studio, "Ours")
    kit.writer().recover()
    kit.writer().set_studio(scene, studio, "Ours")
    assert kit.stash.scene_studio(int(scene.id)) == "Ours"
    assert kit.ours(scene) == [("set-studio", "Ours")]


@pytest.mark.parametrize("drop", ["before", "after"])
def test_law_3_a_lost_answer_of_a_tag_is_asked_for_again(kit: Kit, drop: str) -> None:
    scene = kit.scene("Holiday")
    kit.stash.fault("bulkSceneUpdate", Fault(drop=drop))
    assert add(kit.writer(), scene, kit.tag("Beach")) == [Ending.WRITTEN]
    assert kit.tags_of(scene) == {"Holiday", "Beach"}
    assert kit.ours(scene) == [("add-tag", "Beach")]


def test_law_3_a_lost_answer_of_a_creation_is_looked_for(kit: Kit) -> None:
    scene, wish, writer = kit.scene(), beach_marker(kit), kit.writer()
    for root in ("sceneMarkerCreate", "tagCreate", "sceneUpdate"):
        kit.stash.fault(root, Fault(drop="after"))
    [marked] = writer.create_markers(scene, [wish])
    assert marked.ending is Ending.WRITTEN
    writer.ensure_tag("Dog")
    studio = str(kit.stash.add_studio("Ours"))
    assert writer.set_studio(scene, studio, "Ours").ending is Ending.WRITTEN
    assert len(kit.stash.scene_markers(int(scene.id))) == 1
    assert set(kit.outcomes()) == {Outcome.OURS}


@pytest.mark.parametrize("root", ["sceneMarkerCreate", "tagCreate", "sceneUpdate"])
def test_law_3_what_may_yet_come_through_is_left_to_recovery(kit: Kit, root: str) -> None:
    scene, wish, writer = kit.scene(), beach_marker(kit), kit.writer()
    writer.ensure_tag("Stash Sense")
    studio = str(kit.stash.add_studio("Ours"))
    does: dict[str, Callable[[], object]] = {
        "sceneMarkerCreate": lambda: writer.create_markers(scene, [wish]),
        "tagCreate": lambda: writer.ensure_tag("Dog"),
        "sceneUpdate": lambda: writer.set_studio(scene, studio, "Ours"),
    }
    kit.stash.fault(root, Fault(drop="before"))
    with pytest.raises(StashUncertain):
        does[root]()
    assert len(kit.ledger.unsettled()) == 1
    assert kit.stash.calls[root] == 1 + (root == "tagCreate")


def test_law_3_an_outage_on_the_way_settles_what_is_known(kit: Kit) -> None:
    scene = kit.scene()
    writer = kit.writer(attempts=1)
    kit.stash.fault("bulkSceneUpdate", Fault(drop="before", skip=1))
    with pytest.raises(StashUnreachable):
        add(writer, scene, kit.tag("Beach"), kit.tag("Dog"), kit.tag("Sea"))
    assert kit.outcomes() == [Outcome.OURS, Outcome.INTENDED, Outcome.INTENDED]
    writer.client.close()
    kit.writer().recover()
    assert kit.outcomes() == [Outcome.OURS, Outcome.FAILED, Outcome.FAILED]


# --- Law 4: a rejection is remembered -------------------------------------------------------------


def test_law_4_what_the_user_took_away_is_not_put_back(kit: Kit) -> None:
    scene, beach, dog = kit.scene(), kit.tag("Beach"), kit.tag("Dog")
    add(kit.writer(), scene, beach, dog)
    kit.finish(scene)
    kit.stash.untag_scene(int(scene.id), int(beach[0]))
    writer = kit.writer()
    assert writer.notice_removed([scene]) is None
    assert add(writer, scene, beach, dog) == [Ending.REFUSED, Ending.THERE]
    assert kit.tags_of(scene) == {"Dog", "Tagged"}
    assert kit.ours(scene) == [("add-tag", "Dog")]


def test_law_4_a_refused_tag_made_anew_stays_refused(kit: Kit) -> None:
    scene, beach = kit.scene(), kit.tag("Beach")
    add(kit.writer(), scene, beach)
    kit.finish(scene)
    kit.stash.untag_scene(int(scene.id), int(beach[0]))
    kit.writer().notice_removed([scene])
    kit.stash.remove_tag(int(beach[0]))
    assert add(kit.writer(), scene, kit.tag("Beach")) == [Ending.REFUSED]


def test_law_4_a_refused_studio_and_marker_are_not_put_back(kit: Kit) -> None:
    scene, wish, writer = kit.scene(), beach_marker(kit), kit.writer()
    studio = str(kit.stash.add_studio("Ours"))
    writer.set_studio(scene, studio, "Ours")
    writer.create_markers(scene, [wish])
    kit.finish(scene)
    kit.stash.set_studio(int(scene.id), None)
    for marker in kit.stash.scene_markers(int(scene.id)):
        kit.stash.remove_marker(marker["id"])
    later = kit.writer()
    assert later.notice_removed([scene]) is None
    assert later.set_studio(scene, studio, "Ours").ending is Ending.REFUSED
    shifted = replace(wish, start_s=2.0)
    assert [each.ending for each in later.create_markers(scene, [wish, shifted])] == [
        Ending.REFUSED,
        Ending.REFUSED,
    ]


def test_law_4_a_tag_gone_from_stash_is_asked_about(kit: Kit) -> None:
    scene, beach = kit.scene(), kit.tag("Beach")
    add(kit.writer(), scene, beach)
    kit.stash.remove_tag(int(beach[0]))
    missing = kit.writer().notice_removed([scene])
    assert missing is not None
    assert missing.tag_gone
    assert (missing.names, missing.scene_ids) == (("Beach",), (scene.id,))
    assert kit.ledger.refused(scene) == frozenset()


def test_law_4_a_gone_tag_does_not_hide_a_refusal(kit: Kit) -> None:
    scene, beach, dog = kit.scene(), kit.tag("Beach"), kit.tag("Dog")
    add(kit.writer(), scene, beach, dog)
    kit.finish(scene)
    kit.stash.remove_tag(int(beach[0]))
    kit.stash.untag_scene(int(scene.id), int(dog[0]))
    missing = kit.writer().notice_removed([scene])
    assert missing is not None
    assert missing.names == ("Beach",)
    assert add(kit.writer(), scene, dog) == [Ending.REFUSED]


def test_law_4_a_tag_used_by_its_alias_can_be_refused(kit: Kit) -> None:
    scene = kit.scene()
    kit.stash.add_tag("Shore", aliases=["Beach"])
    tag = (kit.writer().ensure_tag("beach"), "beach")
    add(kit.writer(), scene, tag)
    kit.finish(scene)
    kit.stash.untag_scene(int(scene.id), int(tag[0]))
    assert kit.writer().notice_removed([scene]) is None
    assert add(kit.writer(), scene, tag) == [Ending.REFUSED]


def test_law_4_the_user_may_say_that_it_was_on_purpose(kit: Kit) -> None:
    scenes, beach, dog = [kit.scene() for _ in range(3)], kit.tag("Beach"), kit.tag("Dog")
    kit.writer().add_tags(scenes, {scene.id: [beach, dog] for scene in scenes})
    kit.stash.remove_tag(int(beach[0]))
    for scene in scenes:
        kit.stash.untag_scene(int(scene.id), int(dog[0]))
    assert kit.writer().notice_removed(scenes) is not None
    writer = kit.writer()
    assert writer.notice_removed(scenes, on_purpose=True) is None
    again = kit.tag("Beach")
    for scene in scenes:
        assert add(writer, scene, again, dog) == [Ending.REFUSED, Ending.REFUSED]


def test_law_4_a_renamed_tag_is_neither_refused_nor_asked_about(kit: Kit) -> None:
    scene, beach = kit.scene(), kit.tag("Beach")
    add(kit.writer(), scene, beach)
    kit.stash.untag_scene(int(scene.id), int(beach[0]))
    kit.stash.database.run("UPDATE tags SET name = 'Shore' WHERE id = ?", int(beach[0]))
    assert kit.writer().notice_removed([scene]) is None
    assert kit.ledger.refused(scene) == frozenset()


@pytest.mark.parametrize(
    ("seen", "missing", "asks"),
    [
        pytest.param(1, 1, False, id="one scene is a person's deed"),
        pytest.param(3, 2, True, id="more than a fifth"),
        pytest.param(10, 2, False, id="a fifth"),
        pytest.param(10, 3, True, id="above a fifth"),
        pytest.param(60, 10, False, id="ten"),
        pytest.param(60, 11, True, id="more than ten"),
    ],
)
def test_law_4_too_many_at_once_are_no_refusal(
    kit: Kit, seen: int, missing: int, asks: bool
) -> None:
    numbers, beach = kit.stash.add_scenes(seen), kit.tag("Beach")
    scenes = operations.scenes_by_ids(kit.client, [str(number) for number in numbers])
    kit.writer().add_tags(scenes, {scene.id: [beach] for scene in scenes})
    kit.finish(*scenes)
    for scene in scenes[:missing]:
        kit.stash.untag_scene(int(scene.id), int(beach[0]))
    found = kit.writer().notice_removed(scenes)
    assert (found is not None) is asks
    refused = [scene for scene in scenes if kit.ledger.refused(scene)]
    assert len(refused) == (0 if asks else missing)


def test_law_4_scenes_that_come_one_by_one_are_counted_together(kit: Kit) -> None:
    scenes, beach = [kit.scene() for _ in range(5)], kit.tag("Beach")
    kit.writer().add_tags(scenes, {scene.id: [beach] for scene in scenes})
    kit.finish(*scenes)
    for scene in scenes:
        kit.stash.untag_scene(int(scene.id), int(beach[0]))
    writer = kit.writer()
    asks = [writer.notice_removed([scene]) is not None for scene in scenes]
    assert asks == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("missing", "asks"),
    [pytest.param(2, False, id="a fifth"), pytest.param(3, True, id="more than a fifth")],
)
def test_law_4_an_old_backup_is_noticed_at_a_single_scene(
    kit: Kit, missing: int, asks: bool
) -> None:
    numbers, beach = kit.stash.add_scenes(10), kit.tag("Beach")
    scenes = operations.scenes_by_ids(kit.client, [str(number) for number in numbers])
    kit.writer().add_tags(scenes, {scene.id: [beach] for scene in scenes})
    kit.finish(*scenes)
    for scene in scenes[:missing]:
        kit.stash.untag_scene(int(scene.id), int(beach[0]))
    for scene in scenes[:missing]:
        writer = kit.writer()
        kit.stash.calls.clear()
        writer.survey(kit.ledger.newest_ours(50))
        assert kit.stash.calls["findScenes"] == 1
        assert (writer.notice_removed([scene]) is not None) is asks
        assert bool(kit.ledger.refused(scene)) is not asks
    if asks:
        kit.writer().survey(kit.ledger.newest_ours(50), on_purpose=True)
        assert all(kit.ledger.refused(scene) for scene in scenes[:missing])


def test_law_4_what_a_survey_finds_in_order_is_not_counted_again(kit: Kit) -> None:
    scenes, beach = [kit.scene() for _ in range(10)], kit.tag("Beach")
    kit.writer().add_tags(scenes, {scene.id: [beach] for scene in scenes})
    kit.finish(*scenes)
    for scene in scenes[:2]:
        kit.stash.untag_scene(int(scene.id), int(beach[0]))
    writer = kit.writer()
    writer.survey(kit.ledger.newest_ours(50))
    assert writer.notice_removed(scenes[:1]) is None
    assert kit.ledger.refused(scenes[0])


def test_law_4_another_file_is_no_refusal(kit: Kit) -> None:
    scene, beach = kit.scene(), kit.tag("Beach")
    add(kit.writer(), scene, beach)
    kit.stash.untag_scene(int(scene.id), int(beach[0]))
    sql = "UPDATE fingerprints SET value = 'aaaaaaaaaaaaaaaa' WHERE value = ?"
    assert scene.fingerprint is not None
    kit.stash.database.run(sql, scene.fingerprint.oshash)
    now = kit.read(scene.id)
    assert kit.writer().notice_removed([now]) is None
    assert kit.ledger.refused(now) == frozenset()


# --- Law 6: tags that we create -------------------------------------------------------------------


def test_law_6_a_new_tag_lies_below_ours_and_auto_tag_leaves_it_alone(kit: Kit) -> None:
    tag_id = kit.writer().ensure_tag(" Beach ")
    row, parent = kit.stash.tag_row(int(tag_id)), kit.stash.tag_id("Stash Sense")
    assert (row["name"], row["parents"]) == ("Beach", [parent])
    assert row["ignore_auto_tag"]
    assert parent is not None
    assert kit.stash.tag_row(parent)["ignore_auto_tag"]
    assert kit.ours() == [("create-tag", "Stash Sense"), ("create-tag", "Beach")]


@pytest.mark.parametrize("name", ["Beach", "beach", "Seaside", "SEASIDE"])
def test_law_6_a_tag_of_the_users_is_used_instead(kit: Kit, name: str) -> None:
    theirs = kit.stash.add_tag("Beach", aliases=["Seaside"])
    assert kit.writer().ensure_tag(name) == str(theirs)
    assert list(kit.stash.tags()) == ["Beach"]
    assert kit.outcomes() == []


def test_law_6_one_name_is_asked_for_once_a_run(kit: Kit) -> None:
    writer = kit.writer()
    first = writer.ensure_tag("Beach")
    kit.stash.calls.clear()
    assert writer.ensure_tag(" Beach ") == first
    assert not kit.stash.calls
    assert writer.ensure_tag("beach") == first


def test_law_6_two_tags_of_the_users_that_fold_to_one_name_are_two(kit: Kit) -> None:
    made = [str(kit.stash.add_tag(name)) for name in ("Straße", "STRASSE")]
    writer, scene = kit.writer(), kit.scene()
    ids = [writer.ensure_tag(name) for name in ("Straße", "STRASSE")]
    assert ids == made
    add(writer, scene, *zip(ids, ("Straße", "STRASSE"), strict=True))
    assert kit.tags_of(scene) == {"Straße", "STRASSE"}


def test_law_6_of_several_that_create_at_once_one_wins(kit: Kit) -> None:
    kit.writer().ensure_tag("Stash Sense")
    found: list[str] = []
    writers = [kit.writer() for _ in range(6)]
    threads = [
        Thread(target=lambda each=each: found.append(each.ensure_tag("Beach"))) for each in writers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert kit.ours() == [("create-tag", "Stash Sense"), ("create-tag", "Beach")]


def test_law_6_a_name_that_stash_takes_for_anothers_is_said(kit: Kit) -> None:
    kit.writer().ensure_tag("Beach")
    kit.stash.fault("tagCreate", Fault(error="tag with name 'Be_ch' already exists"))
    with pytest.raises(TagUnusable, match="use another name"):
        kit.writer().ensure_tag("Be_ch")
    assert kit.outcomes()[-1] is Outcome.FAILED


def test_law_6_another_refusal_of_a_tag_is_raised_as_it_is(kit: Kit) -> None:
    kit.writer().ensure_tag("Stash Sense")
    kit.stash.fault("tagCreate", Fault(error="disk full"))
    with pytest.raises(StashRefused, match="disk full"):
        kit.writer().ensure_tag("Beach")
    assert kit.outcomes()[-1] is Outcome.FAILED


def test_law_6_a_blank_name_is_no_tag(kit: Kit) -> None:
    with pytest.raises(StashError, match="without a name"):
        kit.writer().ensure_tag("  ")


def test_law_6_a_tag_of_ours_that_was_deleted_is_not_made_again(kit: Kit) -> None:
    tag_id = kit.writer().ensure_tag("Beach")
    kit.stash.remove_tag(int(tag_id))
    with pytest.raises(TagGone, match="deleted or merged"):
        kit.writer().ensure_tag("Beach")
    assert kit.stash.tag_id("Beach") is None
    assert kit.writer().ensure_tag("Beach", again=True) != tag_id


def test_law_6_a_tag_of_ours_that_was_renamed_is_not_made_again(kit: Kit) -> None:
    tag_id = kit.writer().ensure_tag("Beach")
    kit.stash.database.run("UPDATE tags SET name = 'Shore' WHERE id = ?", int(tag_id))
    with pytest.raises(TagGone, match="'Shore'"):
        kit.writer().ensure_tag("Beach")


# --- Hundreds -------------------------------------------------------------------------------------


def test_scenes_are_read_and_written_in_hundreds(kit: Kit) -> None:
    beach, dog = kit.tag("Beach"), kit.tag("Dog")
    numbers = kit.stash.add_scenes(250)
    scenes = operations.scenes_by_ids(kit.client, [str(number) for number in numbers])
    kit.stash.calls.clear()
    came = kit.writer().add_tags(scenes, {scene.id: [beach, dog] for scene in scenes})
    assert {each.ending for each in came} == {Ending.WRITTEN}
    assert kit.stash.calls == {"findScenes": 3, "bulkSceneUpdate": 6}


def test_scenes_without_a_wish_are_not_read(kit: Kit) -> None:
    scenes = [kit.scene(), kit.scene()]
    kit.stash.calls.clear()
    assert kit.writer().add_tags(scenes, {scenes[0].id: []}) == []
    assert not kit.stash.calls


def test_a_bad_id_fails_alone(kit: Kit) -> None:
    beach = kit.tag("Beach")
    numbers = kit.stash.add_scenes(100)
    scenes = operations.scenes_by_ids(kit.client, [str(number) for number in numbers])
    states, _ = kit.writer().current(scenes)
    kit.stash.remove_scene(numbers[37])
    kit.stash.calls.clear()
    came = kit.writer().move(scenes, states, beach, "ADD", frozenset({beach[0]}))
    bad = [each for each in came if each.ending is Ending.FAILED]
    assert [each.scene_id for each in bad] == [str(numbers[37])]
    assert bad[0].reason == "it or the scene is no longer in Stash"
    assert len(kit.stash.scene_tags(numbers[36]) | kit.stash.scene_tags(numbers[38])) == 1
    assert kit.stash.calls["bulkSceneUpdate"] < 16


def test_a_tag_that_is_gone_fails_for_all_at_once(kit: Kit) -> None:
    scenes, dog = [kit.scene() for _ in range(9)], kit.tag("Dog")
    came = kit.writer().add_tags(
        scenes, {scene.id: [("999999999", "Gone"), dog] for scene in scenes}
    )
    ends = {(each.name, each.ending) for each in came}
    assert ends == {("Gone", Ending.FAILED), ("Dog", Ending.WRITTEN)}
    assert kit.stash.calls["bulkSceneUpdate"] == 2


def test_a_locked_database_is_waited_for(kit: Kit) -> None:
    scene = kit.scene()
    kit.stash.fault("bulkSceneUpdate", Fault(error=LOCKED, times=3))
    kit.stash.fault("sceneMarkerCreate", Fault(error=LOCKED, times=3))
    assert add(kit.writer(), scene, kit.tag("Dog")) == [Ending.WRITTEN]
    [marked] = kit.writer().create_markers(scene, [beach_marker(kit)])
    assert marked.ending is Ending.WRITTEN
    assert len(kit.stash.scene_markers(int(scene.id))) == 1


@pytest.mark.parametrize(
    "times", [(5.0, 4.0), (-1.0, 4.0), (0.0, float("inf")), (float("nan"),) * 2]
)
def test_a_marker_that_cannot_be_is_not_sent(kit: Kit, times: tuple[float, float]) -> None:
    [came] = kit.writer().create_markers(kit.scene(), [beach_marker(kit, *times)])
    assert came.ending is Ending.FAILED
    assert kit.stash.calls["sceneMarkerCreate"] == 0


def test_a_marker_of_a_tag_that_is_gone_fails_alone(kit: Kit) -> None:
    scene = kit.scene()
    gone = MarkerWanted("999999999", "Gone", 1, 2)
    came = kit.writer().create_markers(scene, [gone, beach_marker(kit)])
    assert [each.ending for each in came] == [Ending.FAILED, Ending.WRITTEN]
    assert kit.outcomes() == [Outcome.FAILED, Outcome.OURS]
    assert kit.ledger.entries()[1].action is Action.CREATE_MARKER


# --- Law 6: other names of a tag, and the tags that it lies below --------------------------------

BEACH = {"beach": TagKind(("Seaside", "Shore"), ("Places",)), "places": TagKind((), ("Scenery",))}


def knowing(kit: Kit, dies: str = "", kinds: Kinds = BEACH, parent: str = "Stash Sense") -> Writer:
    return Writer(kit.client, MortalLedger(kit.ledger, dies), "run", parent, kinds=kinds)


def parents_of(kit: Kit, name: str) -> set[str]:
    row = kit.stash.tag_row(int(kit.tag(name)[0]))
    return {kit.stash.tag_row(int(parent))["name"] for parent in row["parents"]}


def test_law_6_a_new_tag_lies_below_its_parents_and_they_below_ours(kit: Kit) -> None:
    writer = knowing(kit)
    writer.ensure_tag("Beach")
    assert parents_of(kit, "Beach") == {"Places"}
    assert parents_of(kit, "Places") == {"Scenery"}
    assert parents_of(kit, "Scenery") == {"Stash Sense"}
    made = ["Stash Sense", "Scenery", "Places", "Beach"]
    assert kit.ours() == [("create-tag", name) for name in made]
    assert all(kit.stash.tag_row(int(kit.tag(name)[0]))["ignore_auto_tag"] for name in made)


def test_law_6_a_parent_of_the_users_is_used_and_not_changed(kit: Kit) -> None:
    theirs = kit.stash.add_tag("Sites", aliases=["Places"])
    before = kit.stash.tag_row(theirs)
    knowing(kit).ensure_tag("Beach")
    assert parents_of(kit, "Beach") == {"Sites", "Stash Sense"}
    assert kit.stash.tag_row(theirs) == before
    assert kit.ours() == [("create-tag", "Stash Sense"), ("create-tag", "Beach")]


def test_law_6_without_a_parent_of_ours_the_other_ones_hold(kit: Kit) -> None:
    knowing(kit, parent="").ensure_tag("Beach")
    assert parents_of(kit, "Beach") == {"Places"}
    assert parents_of(kit, "Scenery") == set()


def test_law_6_what_the_user_has_by_another_name_is_used(kit: Kit) -> None:
    theirs = kit.stash.add_tag("SHORE")
    writer, scene = knowing(kit), kit.scene()
    tag_id = writer.ensure_tag("Beach")
    assert tag_id == str(theirs)
    assert writer.called("Beach") == "Shore"
    assert add(writer, scene, (tag_id, writer.called("Beach"))) == [Ending.WRITTEN]
    [entry] = kit.ledger.ours([scene.id])
    assert [each.ending for each in writer.take_back([entry])] == [Ending.TAKEN_BACK]
    assert kit.tags_of(scene) == set()
    assert list(kit.stash.tags()) == ["SHORE"]


def test_law_6_the_very_name_goes_before_another_one(kit: Kit) -> None:
    kit.stash.add_tag("Seaside")
    theirs = kit.stash.add_tag("beach")
    writer = knowing(kit)
    assert writer.ensure_tag("Beach") == str(theirs)
    assert writer.called("Beach") == "Beach"


def test_law_4_what_was_taken_away_by_another_name_is_not_put_back(kit: Kit) -> None:
    kit.stash.add_tag("Shore")
    scene = kit.scene()
    tag = (knowing(kit).ensure_tag("Beach"), "Shore")
    add(knowing(kit), scene, tag)
    kit.finish(kit.read(scene.id))
    kit.stash.untag_scene(int(scene.id), int(tag[0]))
    assert knowing(kit).notice_removed([scene]) is None
    again = knowing(kit)
    assert add(again, scene, (again.ensure_tag("Beach"), again.called("Beach"))) == [Ending.REFUSED]


@pytest.mark.parametrize("dies", KILLS)
def test_law_3_a_kill_among_the_parents_makes_none_twice(kit: Kit, dies: str) -> None:
    """Each attempt dies at its next write, until all four tags are there."""
    for _ in range(8):
        writer = knowing(kit)
        writer.recover()
        with contextlib.suppress(Killed):
            knowing(kit, dies).ensure_tag("Beach")
        if dies == "before the write":
            break
    knowing(kit).recover()
    knowing(kit).ensure_tag("Beach")
    made = ["Stash Sense", "Scenery", "Places", "Beach"]
    assert list(kit.stash.tags()) == made
    assert kit.ours() == [("create-tag", name) for name in made]


def test_undo_takes_the_parents_that_are_empty_and_leaves_the_used(kit: Kit) -> None:
    writer = knowing(kit)
    writer.ensure_tag("Beach")
    scene = kit.scene("Scenery")
    ended = {each.name: each.ending for each in writer.take_back(kit.ledger.ours([""]), undo=True)}
    gone = {"Beach": Ending.TAKEN_BACK, "Places": Ending.TAKEN_BACK}
    assert ended == gone | {"Scenery": Ending.PASSED, "Stash Sense": Ending.PASSED}
    assert kit.tags_of(scene) == {"Scenery"}


def test_a_parent_that_the_user_deleted_is_not_made_again(kit: Kit) -> None:
    kinds = {name: TagKind(parents=("Places",)) for name in ("beach", "forest")}
    knowing(kit, kinds=kinds).ensure_tag("Beach")
    kit.stash.database.run("DELETE FROM tags WHERE name = 'Places'")
    knowing(kit, kinds=kinds).ensure_tag("Forest")
    assert parents_of(kit, "Forest") == {"Stash Sense"}
    assert "Places" not in kit.stash.tags()


def test_a_dry_run_creates_no_parents(kit: Kit) -> None:
    dry = Writer(kit.client, kit.ledger, "run", kinds=BEACH, dry_run=True)
    assert dry.ensure_tag("Beach") == ""
    assert list(kit.stash.tags()) == []
