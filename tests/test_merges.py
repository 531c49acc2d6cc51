"""Scenes that the user merges in Stash: what he said and what we wrote follows their files."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from demo.stash import StandIn
from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.wishes import MarkerWanted, Missing
from stash_sense_plugin.stash.writer import Writer
from stash_sense_plugin.tasks.merging import follow, follow_all
from stash_sense_plugin.tasks.writing import open_writing
from tests.sweep_kit import Told
from tests.verdict_kit import APPLY, VerdictRoom, open_room, suggestion

MERGE = """
mutation Merge($input: SceneMergeInput!) { sceneMerge(input: $input) { id } }"""
ASSIGN = """
mutation Assign($input: AssignSceneFileInput!) { sceneAssignFile(input: $input) }"""


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, tmp_path: Path) -> Iterator[VerdictRoom]:
    with open_room(stash, tmp_path) as opened:
        yield opened


def merge(room: VerdictRoom, source: int, home: int, *, tags: bool = True) -> None:
    """Merge as Stash's page does: with all tags of both, unless the user unticks them."""
    both = room.tags(source) | room.tags(home)
    values = {"id": str(home), "tag_ids": [str(room.tag(name)) for name in sorted(both)]}
    wanted = {"source": [str(source)], "destination": str(home)}
    with room.client() as client:
        client.call(MERGE, {"input": wanted | ({"values": values} if tags and both else {})})


def write(
    room: VerdictRoom, scene: int, *names: str, marker: bool = False, run_id: str = ""
) -> None:
    """Look at a scene and tag it as a sweep does."""
    room.looked(scene, *(suggestion(name, decision=APPLY) for name in names))
    found = room.read(scene)
    with room.client() as client:
        writer = writer_of(room, client, run_id)
        tags = [(writer.ensure_tag(name), name) for name in names]
        writer.add_tags([found], {found.id: tags})
        if marker:
            writer.create_markers(found, [MarkerWanted(*each, 1.0, 4.0) for each in tags])


def writer_of(room: VerdictRoom, client: StashClient, run_id: str = "") -> Writer:
    run_id = run_id or room.engine.store.begin_run("tag_scenes", {})
    writer, _ = open_writing(room.engine, client, run_id)
    return writer


def learn(room: VerdictRoom, *scenes: int) -> int:
    """Learn what was merged, as before these scenes are visited."""
    found = [room.read(scene) for scene in scenes]
    with room.client() as client:
        return follow(room.engine, client, found)


def visit(room: VerdictRoom, scene: int) -> Missing | None:
    with room.client() as client:
        return writer_of(room, client).notice_removed([room.read(scene)])


# --- What the user said -------------------------------------------------------------------------


@pytest.mark.parametrize("learnt", [True, False], ids=["learnt", "not learnt yet"])
def test_verdicts_follow_the_file(room: VerdictRoom, learnt: bool) -> None:
    source, home = room.scene(), room.scene()
    room.looked(source, suggestion("Dog"))
    room.say("refuse", source, "Beach")
    room.say("accept", source, "Dog")
    merge(room, source, home)
    if learnt:
        learn(room, home)
        assert {each.scene_id for each in room.engine.verdicts.listing()} == {str(home)}
    assert "beach" in room.refused(home)
    assert "dog" in room.accepted(home)
    write(room, home, "Beach")
    assert "Beach" not in room.tags(home)


def test_what_was_refused_of_one_file_wins_over_the_other(room: VerdictRoom) -> None:
    source, home = room.scene(), room.scene()
    room.looked(home, suggestion("Beach"))
    room.say("refuse", source, "Beach")
    room.say("accept", home, "Beach")
    merge(room, source, home)
    assert "beach" in room.refused(home)
    assert room.accepted(home) == set()


# --- What we wrote ------------------------------------------------------------------------------


def test_our_tag_is_ours_still_where_the_other_scene_lacked_it(room: VerdictRoom) -> None:
    source, home = room.scene("Holiday"), room.scene("Mine")
    write(room, source, "Beach")
    write(room, home, "Dog")
    merge(room, source, home)
    assert learn(room, home) == 1
    assert sorted(room.ours(home)) == ["Beach", "Dog"]
    assert room.ours(source) == []
    assert visit(room, home) is None
    room.say("refuse", home, "Beach", "Dog", "Holiday")
    assert room.tags(home) == {"Mine", "Holiday"}


def test_a_tag_that_the_user_had_on_the_other_scene_is_his(room: VerdictRoom) -> None:
    source, home = room.scene(), room.scene("Beach")
    write(room, source, "Beach")
    write(room, home, "Dog")
    merge(room, source, home)
    learn(room, home)
    assert room.ours(home) == ["Dog"]
    assert room.say("refuse", home, "Beach")["not_ours"] == 1
    assert room.tags(home) == {"Beach", "Dog"}


def test_where_we_never_looked_at_the_other_scene_nothing_is_claimed(room: VerdictRoom) -> None:
    source, home = room.scene(), room.scene()
    write(room, source, "Beach")
    merge(room, source, home)
    learn(room, home)
    assert room.ours(home) == room.ours(source) == []
    room.say("refuse", home, "Beach")
    assert room.tags(home) == {"Beach"}


def test_tags_that_the_user_did_not_take_over_are_no_refusal(room: VerdictRoom) -> None:
    source, home = room.scene(), room.scene()
    write(room, source, "Beach")
    write(room, home, "Dog")
    merge(room, source, home, tags=False)
    learn(room, home)
    assert visit(room, home) is None
    assert room.ours(home) == ["Dog"]
    assert room.refused(home) == set()
    write(room, home, "Beach")
    assert room.tags(home) == {"Beach", "Dog"}


def test_markers_come_along_under_their_numbers(room: VerdictRoom) -> None:
    source, home = room.scene(), room.scene("Beach")
    write(room, source, "Beach", marker=True)
    merge(room, source, home)
    learn(room, home)
    assert visit(room, home) is None
    report = room.say("refuse", home, "Beach")
    assert (report["markers"], report["not_ours"]) == (1, 1)
    assert room.stash.scene_markers(home) == []
    assert room.tags(home) == {"Beach"}


def test_a_scene_that_had_no_file_takes_the_others(room: VerdictRoom) -> None:
    source, home = room.scene(), room.stash.add_scene("No file")
    write(room, source, "Beach")
    room.say("refuse", source, "Dog")
    merge(room, source, home)
    learn(room, home)
    assert room.ours(home) == []
    assert "dog" in room.refused(home)


def test_merges_one_after_another_are_followed_at_once(room: VerdictRoom) -> None:
    first, second, third = room.scene(), room.scene(), room.scene("Mine")
    for scene, name in ((first, "Beach"), (second, "Dog"), (third, "Cat")):
        write(room, scene, name)
    room.say("refuse", first, "Bird")
    merge(room, first, second)
    merge(room, second, third)
    assert learn(room, third) == 2
    assert sorted(room.ours(third)) == ["Beach", "Cat", "Dog"]
    assert "bird" in room.refused(third)
    room.say("refuse", third, "Beach", "Dog", "Cat")
    assert room.tags(third) == {"Mine"}


def test_a_tag_that_came_along_and_is_taken_away_is_refused(room: VerdictRoom) -> None:
    source, home = room.scene(), room.scene()
    write(room, source, "Beach")
    write(room, home, "Dog")
    merge(room, source, home)
    learn(room, home)
    # Something that is written after the merge tells it from a backup that was put back.
    write(room, home, "Cat")
    room.stash.untag_scene(home, room.tag("Beach"))
    assert visit(room, home) is None
    assert "beach" in room.refused(home)


@pytest.mark.parametrize("run_id", ["", "run"], ids=["another run", "the same run"])
def test_what_came_along_is_asked_about_where_a_backup_may_have_been_put_back(
    room: VerdictRoom, run_id: str
) -> None:
    source, home = room.scene(), room.scene()
    write(room, source, "Beach", run_id=run_id)
    write(room, home, "Dog", run_id=run_id)
    merge(room, source, home)
    learn(room, home)
    room.stash.untag_scene(home, room.tag("Beach"))
    asked = visit(room, home)
    assert asked is not None
    assert asked.names == ("Beach",)
    assert room.refused(home) == set()


def test_a_tag_that_the_user_brings_along_makes_ours_his(room: VerdictRoom) -> None:
    ours, users, home = room.scene(), room.scene("Beach"), room.scene()
    write(room, ours, "Beach")
    room.looked(users)
    write(room, home, "Dog")
    for source in (users, ours):
        merge(room, source, home)
    learn(room, home)
    assert room.ours(home) == ["Dog"]
    assert room.tags(home) == {"Beach", "Dog"}


def test_where_the_other_scene_had_another_file_when_we_looked_nothing_is_claimed(
    room: VerdictRoom,
) -> None:
    """A database that was put back gives the number of one file to another."""
    source, home = room.scene(), room.scene()
    write(room, source, "Beach")
    room.looked(home)
    file = room.read(source).fingerprint
    room.stash.remove_scene(source)
    room.stash.database.run("DELETE FROM scenes_files WHERE scene_id = ?", home)
    moved = room.scene(file=file)
    room.stash.database.run("UPDATE scenes_files SET scene_id = ? WHERE scene_id = ?", home, moved)
    room.stash.tag_scene(home, room.tag("Beach"))
    assert room.read(home).fingerprint == file
    assert learn(room, home) == 1
    assert room.ours(home) == []
    room.say("refuse", home, "Beach")
    assert room.tags(home) == {"Beach"}


def test_a_merge_is_followed_wholly_or_not_at_all(room: VerdictRoom) -> None:
    source, home = room.scene(), room.scene()
    write(room, source, "Beach")
    # Looked at again: what we wrote is among the tags that it had then.
    room.looked(source, suggestion("Beach", decision=APPLY))
    room.looked(home)
    merge(room, source, home)
    with room.engine.store.write() as db:
        db.execute(
            "CREATE TRIGGER dies BEFORE DELETE ON scenes BEGIN SELECT RAISE(ABORT, 'dead'); END"
        )
    with pytest.raises(StoreError):
        learn(room, home)
    with room.engine.store.write() as db:
        db.execute("DROP TRIGGER dies")
    assert learn(room, home) == 1
    assert learn(room, home) == 0
    assert room.ours(home) == ["Beach"]
    room.run("undo", what="everything", confirm="everything")
    assert room.tags(home) == set()


# --- What is no merge ---------------------------------------------------------------------------


def test_of_a_scene_that_is_gone_altogether_all_is_left_as_it_is(room: VerdictRoom) -> None:
    gone, other = room.scene(), room.scene()
    write(room, gone, "Beach")
    room.say("refuse", gone, "Dog")
    room.stash.remove_scene(gone)
    assert learn(room, other) == 0
    assert room.ours(gone) == ["Beach"]
    assert [each.scene_id for each in room.engine.verdicts.listing()] == [str(gone)]


def test_a_file_that_changed_its_scene_takes_only_the_verdicts_along(room: VerdictRoom) -> None:
    first, second, third = room.scene(), room.scene(), room.scene()
    write(room, first, "Beach")
    merge(room, second, first)
    room.say("refuse", first, "Dog")
    with room.client() as client:
        [_, moved] = room.stash.database.column(
            "SELECT file_id FROM scenes_files WHERE scene_id = ? ORDER BY file_id", first
        )
        client.call(ASSIGN, {"input": {"scene_id": str(third), "file_id": str(moved)}})
    assert learn(room, first, third) == 0
    assert room.ours(first) == ["Beach"]
    assert "dog" in room.refused(first)


def test_nothing_is_asked_of_stash_where_nothing_was_merged(room: VerdictRoom) -> None:
    scenes = [room.scene() for _ in range(5)]
    for scene in scenes:
        write(room, scene, "Beach")
    found = [room.read(scene) for scene in scenes]
    room.stash.calls.clear()
    with room.client() as client:
        assert follow(room.engine, client, found) == 0
    assert room.stash.calls.total() == 0


def test_the_whole_library_is_learnt_with_few_questions(room: VerdictRoom) -> None:
    homes = [room.scene() for _ in range(6)]
    for home in homes:
        write(room, home, "Dog")
        source = room.scene()
        write(room, source, "Beach")
        merge(room, source, home)
    for _ in range(200):
        room.scene()
    room.stash.calls.clear()
    with room.client() as client:
        assert follow_all(room.engine, client, Told()) == 6
        assert follow_all(room.engine, client, Told()) == 0
    assert all(sorted(room.ours(home)) == ["Beach", "Dog"] for home in homes)
    assert room.stash.calls.total() <= 16


def test_a_refusal_learns_of_the_merge_by_itself(room: VerdictRoom) -> None:
    source, home = room.scene(), room.scene()
    write(room, source, "Beach")
    write(room, home, "Dog")
    merge(room, source, home)
    room.say("refuse", home, "Beach")
    assert room.tags(home) == {"Dog"}


def test_an_undo_takes_back_what_came_along(room: VerdictRoom) -> None:
    source, home = room.scene("Holiday"), room.scene("Mine")
    write(room, source, "Beach", marker=True)
    write(room, home, "Dog")
    merge(room, source, home)
    room.run("undo", what="everything", confirm="everything")
    assert room.tags(home) == {"Holiday", "Mine"}
    assert room.stash.scene_markers(home) == []


# --- All of it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("looked", [True, False], ids=["looked at", "never looked at"])
def test_no_tag_that_the_user_gave_is_taken_whatever_was_merged(
    room: VerdictRoom, looked: bool
) -> None:
    """Ours and the user's on both scenes, taken over or not: only what is ours may go."""
    for on_source, on_home, over in product(
        (None, "user", "us"), (None, "user", "us"), (True, False)
    ):
        if on_home == "us" and not looked:
            continue
        source, home = (
            room.scene(*(["Beach"] if who == "user" else [])) for who in (on_source, on_home)
        )
        if on_source == "us":
            write(room, source, "Beach")
        elif looked:
            room.looked(source)
        if looked:
            write(room, home, *(["Beach"] if on_home == "us" else []))
        merge(room, source, home, tags=over)
        room.say("refuse", home, "Beach")
        came_by_user = on_source == "user" and over
        unknown = on_source == "us" and over and on_home is None and not looked
        stays = on_home == "user" or came_by_user or unknown
        if on_source == "user" and on_home == "us":
            # The user's own tag of the scene that is gone cannot be told from ours any more.
            stays = True
        assert ("Beach" in room.tags(home)) is stays, (on_source, on_home, over)
        assert room.engine.ledger.unsettled() == []
