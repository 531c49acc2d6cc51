"""Markers of a tag are accepted, refused and unsaid by themselves: the tag stays as it is."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from demo.stash import Fault, StandIn
from stash_sense_plugin.errors import SettingsError, StashUnreachable
from stash_sense_plugin.records import Said, SceneResult
from stash_sense_plugin.tasks import Call
from stash_sense_plugin.tasks.differing import NOBODY, Covered
from stash_sense_plugin.tasks.writing import Counts, Looked, Writing, open_writing
from tests.sweep_kit import ROOT
from tests.test_accept_refuse import MERGE_TAGS
from tests.test_unsay import WORDS, counts, prepared, seen, unsay, write
from tests.test_unsay import say as say_any
from tests.verdict_kit import APPLY, ASK, VerdictRoom, open_room, suggestion

BEACH = [("Beach", 1.0, 4.0), ("Beach", 20.0, 25.5)]
DOG = [("Dog", 2.0, 3.0)]


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, tmp_path: Path) -> Iterator[VerdictRoom]:
    with open_room(stash, tmp_path) as opened:
        opened.configure(markers=True)
        yield opened


def say(room: VerdictRoom, said: str, scene: int, name: str, **more: Any) -> Any:
    """Say something of the markers of a tag."""
    items = [{"scene_id": str(scene), "kind": "marker", "name": name}]
    return room.run(said, items=items, **more)


def both(scene: int, name: str) -> list[dict[str, object]]:
    """The tag, and its markers."""
    return [{"scene_id": str(scene), "kind": kind, "name": name} for kind in ("tag", "marker")]


def markers(room: VerdictRoom, scene: int) -> list[tuple[str, float, float]]:
    return sorted(
        (each["primary_tag"], each["seconds"], each["end_seconds"])
        for each in room.stash.scene_markers(scene)
    )


def by_hand(room: VerdictRoom, scene: int, tag: str, start_s: float, end_s: float) -> int:
    """A marker that the user sets; its number."""
    sql = """INSERT INTO scene_markers
      (title, seconds, end_seconds, scene_id, primary_tag_id, created_at, updated_at)
      VALUES ('', ?, ?, ?, ?, '2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z')"""
    room.stash.database.run(sql, start_s, end_s, scene, room.tag(tag))
    return int(room.stash.scene_markers(scene)[-1]["id"])


def standing(room: VerdictRoom, scene: int) -> dict[str, tuple[str | None, str | None]]:
    """By tag what a page shows of its markers: what was said, and whether they are there."""
    rows = room.run("scene", scene_id=str(scene))["suggestions"]
    return {row["name"]: (row["said"], row["in_stash"]) for row in rows if row["kind"] == "marker"}


def notice(room: VerdictRoom, scene: int) -> None:
    """Visit the scene as a sweep does: what the user took away is remembered."""
    with room.client() as client:
        writer, _ = open_writing(room.engine, client, "")
        writer.notice_removed([room.read(scene)], on_purpose=True)


def decide(room: VerdictRoom, scene: int, *suggested: Any) -> None:
    """Decide again that these are suggested, by all who look, and write it."""
    found = room.read(scene)
    accepted, refused = room.engine.verdicts.said_of(found)
    room.looked(scene, *suggested)
    undone = room.engine.store.undone([found.id]).get(found.id, NOBODY)
    looked = Looked(
        found,
        SceneResult(found.source, 60.0, {}, suggested),
        Covered(frozenset(), {}, accepted=accepted, refused=refused),
        frozenset(name for kind, name in undone if kind == "marker"),
    )
    # So the settings are read too.
    server = room.stash.connection | {"PluginDir": str(ROOT)}
    with room.engine.stash(Call({}, server), room.told) as client:
        run_id = room.engine.store.begin_run("decide", {})
        Writing(room.engine, client, run_id, room.told, Counts()).apply([looked])
        room.engine.store.end_run(run_id, "done", {})


DECIDED = (suggestion("Beach", ranges=[(1.0, 4.0), (20.0, 25.5)]),
           suggestion("Dog", 0.9, APPLY, [(2.0, 3.0)]))  # fmt: skip


# --- Refusing -----------------------------------------------------------------------------------


def test_refused_markers_go_and_their_tag_stays(room: VerdictRoom) -> None:
    scene = prepared(room, "Mine")
    mine = by_hand(room, scene, "Mine", 2.0, 3.0)
    told = say(room, "refuse", scene, "dog")
    counted = {name: told[name] for name in ("refused", "taken_back", "markers", "not_ours")}
    assert counted == {"refused": 1, "taken_back": 0, "markers": 1, "not_ours": 0}
    assert (told["failures"], told["left"]) == ([], [])
    assert room.tags(scene) == {"Mine", "Dog"}
    assert [each["id"] for each in room.stash.scene_markers(scene)] == [mine]
    assert standing(room, scene)["Dog"] == ("refused", "absent")


def test_refused_markers_are_written_by_nobody_until_they_are_accepted(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "refuse", scene, "Dog")
    say(room, "refuse", scene, "Beach")
    decide(room, scene, *DECIDED)
    write(room, scene, "Dog")
    assert room.say("accept", scene, "Beach", "Dog")["markers"] == 0
    assert (room.tags(scene), markers(room, scene)) == ({"Dog", "Beach"}, [])
    assert say(room, "accept", scene, "Dog")["markers"] == 1
    assert markers(room, scene) == DOG


def test_a_marker_of_the_users_stays_and_is_counted(room: VerdictRoom) -> None:
    scene = prepared(room)
    hers = by_hand(room, scene, "Dog", 30.0, 40.0)
    rehearsed = say(room, "refuse", scene, "Dog", dry_run=True)
    assert rehearsed["run_id"] is None
    assert len(markers(room, scene)) == 2
    told = say(room, "refuse", scene, "Dog")
    for name in ("refused", "taken_back", "markers", "not_ours", "failed"):
        assert told[name] == rehearsed[name]
    assert (told["markers"], told["not_ours"]) == (1, 1)
    assert [each["id"] for each in room.stash.scene_markers(scene)] == [hers]
    assert standing(room, scene)["Dog"] == ("refused", "absent")


def test_a_marker_of_ours_that_the_user_changed_stays_and_it_is_said(room: VerdictRoom) -> None:
    scene = prepared(room)
    room.stash.database.run("UPDATE scene_markers SET title = 'Rex'")
    told = say(room, "refuse", scene, "Dog")
    assert (told["markers"], told["not_ours"]) == (0, 1)
    [left] = told["left"]
    assert (left["kind"], left["message"]) == (
        "marker", "a marker of it stays: it was changed since",
    )  # fmt: skip


def test_what_could_not_be_taken_back_goes_when_it_is_decided_again(room: VerdictRoom) -> None:
    scene = prepared(room)
    room.stash.fault("sceneMarkersDestroy", Fault(drop="before", times=9))
    with pytest.raises(StashUnreachable):
        say(room, "refuse", scene, "Dog")
    room.stash.clear_faults()
    assert markers(room, scene) == DOG
    decide(room, scene, *DECIDED)
    assert (markers(room, scene), room.tags(scene)) == ([], {"Dog"})


def test_what_could_not_be_taken_back_goes_though_markers_are_off(room: VerdictRoom) -> None:
    scene = prepared(room)
    room.stash.fault("sceneMarkersDestroy", Fault(drop="before", times=9))
    with suppress(StashUnreachable):
        say(room, "refuse", scene, "Dog")
    room.stash.clear_faults()
    room.configure(markers=False)
    decide(room, scene, *DECIDED)
    assert markers(room, scene) == []


# --- Accepting ----------------------------------------------------------------------------------


@pytest.mark.parametrize("on", [True, False])
def test_accepted_markers_are_written_whatever_the_setting_says(
    room: VerdictRoom, on: bool
) -> None:
    room.configure(markers=on)
    scene = room.scene("Beach")
    room.looked(scene, suggestion("Beach", ranges=[(1.0, 4.0), (20.0, 25.5)]))
    assert standing(room, scene) == {"Beach": (None, "absent")}
    rehearsed = say(room, "accept", scene, "Beach", dry_run=True)
    assert (rehearsed["accepted"], rehearsed["markers"], markers(room, scene)) == (1, 2, [])
    told = say(room, "accept", scene, "Beach")
    assert (told["accepted"], told["written"], told["there"], told["markers"]) == (1, 0, 0, 2)
    assert markers(room, scene) == BEACH
    assert standing(room, scene) == {"Beach": ("accepted", "ours")}
    # Deciding again writes none twice, and takes none away: the tag itself still waits.
    decide(room, scene, suggestion("Beach", ranges=[(1.0, 4.0), (20.0, 25.5)]))
    assert markers(room, scene) == BEACH
    again = say(room, "accept", scene, "Beach")
    assert (again["accepted"], again["markers"]) == (1, 0)
    assert len(room.engine.verdicts.listing()) == 1


def test_markers_of_a_tag_that_the_scene_has_not_are_not_accepted(room: VerdictRoom) -> None:
    scene = prepared(room)
    for dry_run in (True, False):
        told = say(room, "accept", scene, "Beach", dry_run=dry_run)
        [failure] = told["failures"]
        assert (told["accepted"], told["failed"]) == (0, 1)
        assert failure["message"] == "its tag is not on the scene"
        assert failure["remedy"] == "accept the tag: its markers come with it"
    assert room.stash.tag_id("Beach") is None
    assert room.engine.verdicts.listing() == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("Cat", "suggested no such thing", id="not suggested"),
        pytest.param("Still", "nothing says when it is in the scene", id="no ranges"),
        pytest.param("Northlight", "suggested no such thing", id="a studio"),
        pytest.param("Rain", "its tag is refused", id="a tag that is refused"),
    ],
)
def test_what_has_no_markers_is_not_accepted(room: VerdictRoom, name: str, says: str) -> None:
    scene = room.scene("Still", "Rain")
    room.looked(scene, suggestion("Still", ranges=[]), suggestion("Rain"))
    room.say("refuse", scene, "Rain")
    [failure] = say(room, "accept", scene, name)["failures"]
    assert says in failure["message"]
    assert markers(room, scene) == []
    assert standing(room, scene) == {}


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("turned", [True, False])
def test_a_tag_and_its_markers_are_accepted_and_unsaid_at_once(
    room: VerdictRoom, on: bool, turned: bool
) -> None:
    room.configure(markers=on)
    scene = prepared(room, "Mine")
    before = seen(room, scene)
    items = both(scene, "Beach")[:: -1 if turned else 1]
    rehearsed = room.run("accept", items=items, dry_run=True)
    told = room.run("accept", items=items)
    for each in (rehearsed, told):
        assert (each["accepted"], each["written"], each["markers"]) == (2, 1, 2)
    assert [each for each in markers(room, scene) if each[0] == "Beach"] == BEACH
    assert standing(room, scene)["Beach"] == ("accepted", "ours")
    told = room.run("unsay", items=items)
    expected = {"unsaid": 2, "taken_back": 1, "written": 0, "markers": 2, "failed": 0}
    assert counts(told) == expected
    assert seen(room, scene) == before
    assert room.engine.verdicts.listing() == []


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("had", [True, False])
@pytest.mark.parametrize("refused", [True, False])
def test_a_rehearsed_acceptance_of_a_tag_counts_its_markers(
    room: VerdictRoom, on: bool, had: bool, refused: bool
) -> None:
    room.configure(markers=on)
    scene = prepared(room, *["Beach"] * had)
    if refused:
        say(room, "refuse", scene, "Beach")
    rehearsed = room.run("accept", items=both(scene, "Beach")[:1], dry_run=True)
    assert rehearsed["run_id"] is None
    told = room.say("accept", scene, "Beach")
    for name in ("accepted", "written", "there", "markers", "failed"):
        assert told[name] == rehearsed[name]
    assert told["markers"] == (2 if on and not refused else 0)


def test_what_could_not_be_set_is_named_as_it_was_asked_for(room: VerdictRoom) -> None:
    room.stash.add_tag("Point of View")
    scene = room.scene("Point of View")
    room.looked(scene, POV)
    room.stash.fault("sceneMarkerCreate", Fault(error="FOREIGN KEY constraint failed", times=9))
    failures = say(room, "accept", scene, "pov")["failures"]
    room.stash.clear_faults()
    assert {(row["kind"], row["name"], row["target_id"]) for row in failures} == {
        ("marker", "pov", "")
    }


def test_markers_may_be_accepted_once_their_tag_is(room: VerdictRoom) -> None:
    room.configure(markers=False)
    scene = prepared(room)
    room.say("accept", scene, "Beach")
    assert say(room, "accept", scene, "Beach")["markers"] == 2


def test_where_only_suggestions_are_wanted_markers_come_when_they_are_asked_for(
    room: VerdictRoom,
) -> None:
    room.configure(markers=False, suggest_only=True)
    scene = prepared(room)
    assert say(room, "refuse", scene, "Dog")["markers"] == 1
    assert say(room, "accept", scene, "Dog")["markers"] == 1
    decide(room, scene, *DECIDED)
    assert markers(room, scene) == DOG


def test_what_could_not_be_written_is_when_it_is_decided_again(room: VerdictRoom) -> None:
    room.configure(markers=False)
    scene = room.scene("Beach")
    room.looked(scene, *DECIDED[:1])
    room.stash.fault("sceneMarkerCreate", Fault(error="FOREIGN KEY constraint failed", times=9))
    told = say(room, "accept", scene, "Beach")
    room.stash.clear_faults()
    assert (told["accepted"], told["failed"]) == (1, 2)
    assert {row["kind"] for row in told["failures"]} == {"marker"}
    assert told["failures"][0]["remedy"] == "decide again to have it written"
    decide(room, scene, *DECIDED[:1])
    assert markers(room, scene) == BEACH
    # They follow what is decided of their tag.
    decide(room, scene, suggestion("Beach", ranges=[(1.0, 4.0)]))
    assert markers(room, scene) == BEACH[:1]


def test_accepted_markers_hold_their_tag(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "accept", scene, "Dog")
    decide(room, scene)
    assert (room.tags(scene), markers(room, scene)) == ({"Dog"}, DOG)
    unsay_markers(room, scene, "Dog")
    decide(room, scene)
    assert (room.tags(scene), markers(room, scene)) == (set(), [])


def test_markers_go_with_the_tag_that_is_refused(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "accept", scene, "Dog")
    room.say("refuse", scene, "Dog")
    assert (room.tags(scene), markers(room, scene)) == (set(), [])
    decide(room, scene, *DECIDED)
    assert markers(room, scene) == []
    assert unsay(room, scene, "Dog")["unsaid"] == 1
    assert (room.tags(scene), markers(room, scene)) == ({"Dog"}, DOG)


@pytest.mark.parametrize("mode", ["accept", "refuse", "unsay"])
def test_a_thing_that_is_none_is_refused_by_name(room: VerdictRoom, mode: str) -> None:
    with pytest.raises(SettingsError, match="kind is 'markers'"):
        room.run(mode, items=[{"scene_id": "1", "name": "Beach", "kind": "markers"}])


def test_the_list_of_suggestions_has_no_markers(room: VerdictRoom) -> None:
    scene = prepared(room)
    for said in ("refuse", "accept", "refuse"):
        say(room, said, scene, "Dog")
        for decision in ("ask", "apply", "refused"):
            page = room.run("suggestions", by="scene", scene_id=str(scene), decision=decision)
            assert "marker" not in {row["kind"] for row in page["suggestions"]}
    [row] = room.run("verdicts")["verdicts"]
    told = {name: row[name] for name in ("said", "kind", "name", "target_id", "scene_id")}
    assert told == {
        "said": "refused", "kind": "marker", "name": "Dog",
        "target_id": str(room.tag("Dog")), "scene_id": str(scene),
    }  # fmt: skip


# --- Unsaying -----------------------------------------------------------------------------------


def unsay_markers(room: VerdictRoom, scene: int, name: str, **more: Any) -> Any:
    return say(room, "unsay", scene, name, **more)


def test_what_a_refusal_of_markers_took_is_written_again(room: VerdictRoom) -> None:
    scene = prepared(room, "Mine")
    before = seen(room, scene)
    say(room, "refuse", scene, "Dog")
    rehearsed = unsay_markers(room, scene, "Dog", dry_run=True)
    told = unsay_markers(room, scene, "Dog")
    expected = {"unsaid": 1, "taken_back": 0, "written": 0, "markers": 1, "failed": 0}
    assert counts(told) == counts(rehearsed) == expected
    assert seen(room, scene) == before
    assert unsay_markers(room, scene, "Dog")["failed"] == 1


def test_what_an_acceptance_of_markers_wrote_is_taken_back(room: VerdictRoom) -> None:
    scene = prepared(room, "Beach")
    hers = by_hand(room, scene, "Beach", 20.5, 25.0)
    before = seen(room, scene)
    assert say(room, "accept", scene, "Beach")["markers"] == 1
    told = unsay_markers(room, scene, "Beach")
    expected = {"unsaid": 1, "taken_back": 0, "written": 0, "markers": 1, "failed": 0}
    assert counts(told) == expected
    assert seen(room, scene) == before
    assert hers in [each["id"] for each in room.stash.scene_markers(scene)]


def test_the_word_before_holds_again(room: VerdictRoom) -> None:
    scene = prepared(room)
    states = [(seen(room, scene), standing(room, scene))]
    for said in ("refuse", "accept", "refuse"):
        say(room, said, scene, "Dog")
        states.append((seen(room, scene), standing(room, scene)))
    for state in reversed(states[:-1]):
        assert unsay_markers(room, scene, "Dog")["unsaid"] == 1
        assert (seen(room, scene), standing(room, scene)) == state


def test_a_marker_that_was_taken_away_in_stash_is_no_refusal_any_more(room: VerdictRoom) -> None:
    scene = room.scene()
    room.looked(scene, suggestion("Dog", 0.9, APPLY, [(2.0, 3.0), (9.0, 12.0)]))
    decide(room, scene, suggestion("Dog", 0.9, APPLY, [(2.0, 3.0), (9.0, 12.0)]))
    room.stash.remove_marker(room.stash.scene_markers(scene)[0]["id"])
    notice(room, scene)
    assert standing(room, scene) == {"Dog": ("refused", "ours")}
    # The other one stays: it was not said of it.
    decide(room, scene, suggestion("Dog", 0.9, APPLY, [(2.0, 3.0), (9.0, 12.0)]))
    assert markers(room, scene) == [("Dog", 9.0, 12.0)]
    told = unsay_markers(room, scene, "Dog")
    assert counts(told) == {"unsaid": 1, "taken_back": 0, "written": 0, "markers": 0, "failed": 0}
    assert standing(room, scene) == {"Dog": (None, "ours")}
    assert markers(room, scene) == [("Dog", 9.0, 12.0)]
    decide(room, scene, suggestion("Dog", 0.9, APPLY, [(2.0, 3.0), (9.0, 12.0)]))
    assert len(markers(room, scene)) == 2


def test_beside_a_marker_that_was_taken_away_the_others_stay_where_ranges_move(
    room: VerdictRoom,
) -> None:
    scene = room.scene()
    decide(room, scene, suggestion("Dog", 0.9, APPLY, [(2.0, 3.0), (20.0, 30.0)]))
    room.stash.remove_marker(room.stash.scene_markers(scene)[0]["id"])
    notice(room, scene)
    decide(room, scene, suggestion("Dog", 0.9, APPLY, [(2.0, 3.0), (22.0, 37.0)]))
    assert markers(room, scene) == [("Dog", 20.0, 30.0)]
    unsay_markers(room, scene, "Dog")
    decide(room, scene, suggestion("Dog", 0.9, APPLY, [(2.0, 3.0), (22.0, 37.0)]))
    assert markers(room, scene) == [*DOG, ("Dog", 22.0, 37.0)]


def test_what_was_noticed_and_then_refused_takes_the_rest(room: VerdictRoom) -> None:
    scene = prepared(room, "Beach")
    say(room, "accept", scene, "Beach")
    room.stash.remove_marker(room.stash.scene_markers(scene)[-1]["id"])
    notice(room, scene)
    assert standing(room, scene)["Beach"] == ("refused", "ours")
    assert say(room, "refuse", scene, "Beach")["markers"] == 1
    assert markers(room, scene) == DOG
    assert unsay_markers(room, scene, "Beach")["markers"] == 1
    assert standing(room, scene)["Beach"] == ("refused", "ours")
    assert unsay_markers(room, scene, "Beach")["unsaid"] == 1
    assert standing(room, scene)["Beach"] == (None, "ours")


def test_what_a_refused_tag_had_besides_a_deleted_marker_is_written_again(
    room: VerdictRoom,
) -> None:
    scene = prepared(room, "Mine")
    room.run("accept", items=both(scene, "Beach")[:1])
    room.stash.remove_marker(room.stash.scene_markers(scene)[-1]["id"])
    notice(room, scene)
    before = seen(room, scene)
    room.say("refuse", scene, "Beach")
    assert markers(room, scene) == DOG
    told = unsay(room, scene, "Beach")
    assert (told["written"], told["markers"], told["left"]) == (1, 1, [])
    assert seen(room, scene) == before
    assert standing(room, scene)["Beach"] == ("refused", "ours")


def test_a_deleted_marker_says_nothing_of_the_tag_with_its_number(room: VerdictRoom) -> None:
    scene, other = prepared(room), room.scene("Cat")
    room.looked(other, suggestion("Cat"))
    while by_hand(room, other, "Cat", 1.0, 2.0) < room.tag("Cat"):
        pass
    decide(room, scene, suggestion("Dog", 0.9, APPLY, [(2.0, 3.0), (9.0, 12.0)]))
    for marker in room.stash.scene_markers(scene):
        room.stash.remove_marker(marker["id"])
    notice(room, scene)
    refused = room.engine.ledger.refused(room.read(scene))
    assert refused == {("marker", str(room.tag("Dog"))), ("marker", "dog")}
    assert len(room.engine.verdicts.listing()) == 1


def test_what_was_decided_because_of_a_word_goes_with_it(room: VerdictRoom) -> None:
    room.configure(markers=False)
    scene = room.scene("Beach")
    room.looked(scene, *DECIDED[:1])
    room.stash.fault("sceneMarkerCreate", Fault(drop="before", times=9))
    with pytest.raises(StashUnreachable):
        say(room, "accept", scene, "Beach")
    room.stash.clear_faults()
    decide(room, scene, *DECIDED[:1])
    assert unsay_markers(room, scene, "Beach")["markers"] == 2
    assert markers(room, scene) == []


def test_what_comes_with_the_tag_anyway_stays(room: VerdictRoom) -> None:
    """A run found more of it later: it would have written that without a word too."""
    scene = prepared(room)
    say(room, "accept", scene, "Dog")
    decide(room, scene, suggestion("Dog", 0.9, APPLY, [(2.0, 3.0), (40.0, 44.0)]))
    told = unsay_markers(room, scene, "Dog")
    assert (told["unsaid"], told["markers"]) == (1, 0)
    assert markers(room, scene) == [*DOG, ("Dog", 40.0, 44.0)]


@pytest.mark.parametrize("how", ["off", "refused", "undone"])
def test_what_came_by_the_word_alone_goes_with_it(room: VerdictRoom, how: str) -> None:
    scene = prepared(room)
    if how == "refused":
        say(room, "refuse", scene, "Dog")
    if how == "undone":
        room.run("undo", what="tag", tag="Dog")
        room.stash.tag_scene(scene, room.tag("Dog"))
    room.configure(markers=how != "off")
    say(room, "accept", scene, "Dog")
    decide(room, scene, suggestion("Dog", 0.9, APPLY, [(2.0, 3.0), (40.0, 44.0)]))
    assert len(markers(room, scene)) == 2
    unsay_markers(room, scene, "Dog")
    # What the sweep had written before was there without it.
    assert markers(room, scene) == (DOG if how == "off" else [])


@pytest.mark.parametrize("first", ["tag", "marker"])
@pytest.mark.parametrize("back", ["tag", "marker"])
def test_of_a_tag_and_its_markers_each_refusal_is_unsaid_in_any_order(
    room: VerdictRoom, first: str, back: str
) -> None:
    scene = prepared(room, "Mine")
    before = seen(room, scene)
    for kind in (first, "tag" if first == "marker" else "marker"):
        room.say("refuse", scene, "Dog", kind=kind)
    assert room.tags(scene) == {"Mine"}
    told = room.say("unsay", scene, "Dog", kind=back)
    if (first, back) == ("tag", "tag"):
        refused = "its markers are not written again: they are refused, or their tag is"
        assert [left["message"] for left in told["left"]] == [refused]
    assert markers(room, scene) == []
    assert ("Dog" in room.tags(scene)) is (back == "tag")
    room.say("unsay", scene, "Dog", kind="tag" if back == "marker" else "marker")
    assert seen(room, scene) == before
    assert room.engine.verdicts.listing() == []


def test_markers_are_not_written_again_where_the_tag_is_gone(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "refuse", scene, "Dog")
    room.stash.untag_scene(scene, room.tag("Dog"))
    told = unsay_markers(room, scene, "Dog")
    assert (told["unsaid"], told["markers"]) == (1, 0)
    assert told["left"][0]["message"] == "it is not written again: its tag is not on the scene"
    assert markers(room, scene) == []


def test_an_own_acceptance_of_markers_outlasts_that_of_the_tag(room: VerdictRoom) -> None:
    scene = room.scene("Beach")
    room.looked(scene, *DECIDED[:1])
    room.configure(markers=False)
    room.say("accept", scene, "Beach")
    say(room, "accept", scene, "Beach")
    assert unsay(room, scene, "Beach")["unsaid"] == 1
    assert markers(room, scene) == BEACH
    assert standing(room, scene) == {"Beach": ("accepted", "ours")}
    unsay_markers(room, scene, "Beach")
    assert markers(room, scene) == []


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("second", ["accept", "refuse"])
@pytest.mark.parametrize("back", ["tag", "marker"])
def test_no_marker_of_ours_stays_where_nothing_is_said_any_more(
    room: VerdictRoom, on: bool, second: str, back: str
) -> None:
    room.configure(markers=on)
    scene = room.scene("Beach")
    room.looked(scene, *DECIDED[:1])
    before = seen(room, scene)
    room.say("accept", scene, "Beach")
    say(room, second, scene, "Beach")
    room.say("unsay", scene, "Beach", kind=back)
    told = room.say("unsay", scene, "Beach", kind="tag" if back == "marker" else "marker")
    assert seen(room, scene) == before
    assert room.engine.verdicts.listing() == []
    if (second, back, on) == ("refuse", "tag", True):
        [left] = told["left"]
        assert left["message"] == "it is not written again: you took back what had set it"


def test_what_came_later_goes_with_the_word_that_is_left(room: VerdictRoom) -> None:
    scene = room.scene("Beach")
    room.looked(scene, *DECIDED[:1])
    room.say("accept", scene, "Beach")
    say(room, "accept", scene, "Beach")
    unsay(room, scene, "Beach")
    decide(room, scene, suggestion("Beach", ranges=[(1.0, 4.0), (20.0, 25.5), (40.0, 50.0)]))
    assert len(markers(room, scene)) == 3
    unsay_markers(room, scene, "Beach")
    assert markers(room, scene) == []


# --- Undo beside it -----------------------------------------------------------------------------


def test_an_acceptance_of_markers_is_undone_by_its_run(room: VerdictRoom) -> None:
    scene = prepared(room, "Beach")
    before = seen(room, scene)
    say(room, "accept", scene, "Beach")
    done = room.run("undo")
    assert (done["taken_back"]["markers"], done["verdicts"]) == (2, 1)
    assert seen(room, scene) == before


def test_a_refusal_of_markers_is_undone_by_its_run(room: VerdictRoom) -> None:
    scene = prepared(room)
    before = seen(room, scene)
    say(room, "refuse", scene, "Dog")
    done = room.run("undo")
    assert (done["put_again"]["markers"], done["verdicts"]) == (1, 1)
    assert seen(room, scene) == before


def test_accepted_markers_that_are_undone_are_accepted_no_longer(room: VerdictRoom) -> None:
    scene = prepared(room, "Beach")
    say(room, "accept", scene, "Beach")
    room.run("undo", what="tag", tag="Beach")
    assert room.engine.verdicts.listing() == []
    decide(room, scene, *DECIDED)
    assert markers(room, scene) == DOG


@pytest.mark.parametrize("how", ["run", "tag"])
def test_undo_of_a_run_leaves_what_was_accepted_of_markers_before_it(
    room: VerdictRoom, how: str
) -> None:
    scene = room.scene("Dog")
    moved = suggestion("Dog", 0.9, APPLY, [(2.0, 3.0), (40.0, 50.0)])
    room.looked(scene, suggestion("Dog", 0.9, APPLY, [(2.0, 3.0)]))
    say(room, "accept", scene, "Dog")
    decide(room, scene, moved)
    assert len(markers(room, scene)) == 2
    args: dict[str, Any] = {"what": "tag", "tag": "Dog"} if how == "tag" else {"what": "last"}
    told = [room.run("undo", **args, dry_run=dry_run) for dry_run in (True, False)]
    if how == "tag":
        assert [each["verdicts"] for each in told] == [1, 1]
        assert (markers(room, scene), standing(room, scene)) == ([], {"Dog": (None, "absent")})
        return
    assert [each["verdicts"] for each in told] == [0, 0]
    assert markers(room, scene) == DOG
    assert standing(room, scene) == {"Dog": ("accepted", "ours")}
    # It is said still, so that it can be taken back.
    assert unsay_markers(room, scene, "Dog")["markers"] == 1
    assert (markers(room, scene), room.engine.verdicts.listing()) == ([], [])


def test_undo_counts_what_it_forgets(room: VerdictRoom) -> None:
    scene = prepared(room)
    room.run("accept", items=both(scene, "Beach"))
    room.say("accept", scene, "Dog")
    rehearsed = room.run("undo", what="scene", scene=scene, dry_run=True)
    done = room.run("undo", what="scene", scene=scene)
    assert (rehearsed["verdicts"], done["verdicts"]) == (3, 3)
    assert room.engine.verdicts.listing() == []


def undone(room: VerdictRoom, scene: int) -> set[tuple[str, str]]:
    return set(room.engine.store.undone([str(scene)]).get(str(scene), ()))


@pytest.mark.parametrize("kind", ["tag", "marker"])
def test_markers_that_were_undone_stay_so_when_what_was_said_since_is_unsaid(
    room: VerdictRoom, kind: str
) -> None:
    scene = prepared(room)
    room.run("undo", what="tag", tag="Dog")
    room.stash.tag_scene(scene, room.tag("Dog"))
    before = undone(room, scene)
    assert ("marker", "dog") in before
    room.say("accept", scene, "Dog", kind=kind)
    assert (markers(room, scene), undone(room, scene) & {("marker", "dog")}) == (DOG, set())
    room.say("unsay", scene, "Dog", kind=kind)
    assert (markers(room, scene), undone(room, scene)) == ([], before)
    room.say("accept", scene, "Dog", kind=kind)
    room.run("undo")
    assert undone(room, scene) >= {("marker", "dog")}


# --- Merged, moved, very long -------------------------------------------------------------------


def test_what_was_said_of_markers_goes_into_another_store(
    room: VerdictRoom, tmp_path: Path
) -> None:
    scene = prepared(room)
    say(room, "refuse", scene, "Dog")
    file = tmp_path / "store.jsonl"
    room.run("store_export", path=str(file))
    with room.engine.store.write() as db:
        db.execute("DELETE FROM verdicts")
    room.run("store_import", path=str(file))
    assert room.engine.ledger.refused(room.read(scene)) == {("marker", "dog")}
    [verdict] = room.engine.verdicts.listing()
    assert (verdict.kind, verdict.said) == ("marker", Said.REFUSED)


def test_of_many_scenes_markers_take_few_questions(room: VerdictRoom) -> None:
    scenes = [room.scene("Beach") for _ in range(120)]
    for scene in scenes:
        room.looked(scene, suggestion("Beach"))
    items = [{"scene_id": str(each), "kind": "marker", "name": "Beach"} for each in scenes]
    room.run("accept", items=items)
    room.stash.calls.clear()
    told = room.run("refuse", items=items)
    assert (told["refused"], told["markers"]) == (120, 120)
    assert room.stash.calls["findScenes"] <= 6
    assert room.stash.calls["sceneMarkersDestroy"] == 2


def test_a_scene_tells_its_markers_after_all_else_in_one_question_more(room: VerdictRoom) -> None:
    scene = prepared(room, "Mine")
    by_hand(room, scene, "Beach", 1.0, 4.0)
    room.stash.calls.clear()
    rows = room.run("scene", scene_id=str(scene))["suggestions"]
    assert room.stash.calls["findScenes"] == 2
    assert room.stash.calls["findTags"] <= 1
    kinds = [row["kind"] for row in rows]
    assert kinds == [*sorted(kinds[:3], key=kinds.index), "marker", "marker"]
    tags = {row["name"]: row for row in rows if row["kind"] == "tag"}
    for row in rows[3:]:
        tag = tags[row["name"]]
        same = ("scene_id", "title", "source", "label", "confidence", "decision", "ranges")
        assert [row[name] for name in same] == [tag[name] for name in same]
        assert (row["evidence"], row["target_id"]) == ([], str(room.tag(row["name"])))
    assert standing(room, scene) == {"Dog": (None, "ours"), "Beach": (None, "there")}


def test_a_scene_with_very_many_markers_is_cut(room: VerdictRoom) -> None:
    scene = room.scene()
    ranges = [(float(n), n + 0.5) for n in range(200)]
    tags = [suggestion(f"Tag {n}", 0.5, ASK, ranges) for n in range(60)]
    room.looked(scene, *tags)
    told = room.run("scene", scene_id=str(scene))
    assert len(json.dumps(told)) < 1_000_000
    rows = told["suggestions"]
    assert [row["kind"] for row in rows[:60]] == ["tag"] * 60
    assert 0 < len(rows) - 60 < 60
    assert told["more"] == 120 - len(rows)


def test_markers_are_known_by_an_alias_of_their_tag(room: VerdictRoom) -> None:
    strand = room.stash.add_tag("Strand", aliases=["Beach"])
    scene = room.scene()
    room.stash.tag_scene(scene, strand)
    room.looked(scene, *DECIDED[:1])
    assert say(room, "accept", scene, "Beach")["markers"] == 2
    assert standing(room, scene) == {"Beach": ("accepted", "ours")}
    assert say(room, "refuse", scene, "Strand")["markers"] == 2
    assert standing(room, scene) == {"Beach": ("refused", "absent")}
    assert unsay_markers(room, scene, "Beach")["unsaid"] == 1
    assert standing(room, scene) == {"Beach": ("accepted", "ours")}


def test_markers_of_a_tag_that_got_another_name_are_not_those_of_its_namesake(
    room: VerdictRoom,
) -> None:
    scene = prepared(room)
    assert standing(room, scene)["Dog"] == (None, "ours")
    sql = "UPDATE tags SET name = 'Hound' WHERE id = ?"
    room.stash.database.run(sql, room.tag("Dog"))
    room.stash.tag_scene(scene, room.stash.add_tag("Dog"))
    assert standing(room, scene)["Dog"] == (None, "absent")


# --- Tags that the user has by another name -----------------------------------------------------

POV = suggestion("POV", 0.9, APPLY, [(2.0, 3.0), (20.0, 30.0)])


def carried_over(room: VerdictRoom, folder: Path) -> None:
    """What was said goes through a file, and is known by names alone then."""
    file = folder / "store.jsonl"
    room.run("store_export", path=str(file))
    with room.engine.store.write() as db:
        db.execute("DELETE FROM verdicts")
    room.run("store_import", path=str(file))


@pytest.mark.parametrize("how", ["made anew", "merged", "imported"])
def test_refused_markers_stay_refused_whatever_the_user_calls_the_tag(
    room: VerdictRoom, tmp_path: Path, how: str
) -> None:
    mine = room.stash.add_tag("Point of View")
    scene = room.scene()
    decide(room, scene, POV)
    assert [each[0] for each in markers(room, scene)] == ["Point of View"] * 2
    assert say(room, "refuse", scene, "POV")["markers"] == 2
    if how == "made anew":
        room.stash.remove_tag(mine)
        room.stash.tag_scene(scene, room.stash.add_tag("Point of View"))
    elif how == "merged":
        other = room.stash.add_tag("First Person")
        with room.client() as client:
            merging = {"input": {"source": [str(mine)], "destination": str(other)}}
            client.call(MERGE_TAGS, merging)
    else:
        carried_over(room, tmp_path)
    decide(room, scene, POV)
    assert room.tags(scene) == {"First Person" if how == "merged" else "Point of View"}
    assert markers(room, scene) == []


def test_what_could_not_be_taken_back_goes_by_our_name_of_the_tag(
    room: VerdictRoom, tmp_path: Path
) -> None:
    room.stash.add_tag("Point of View")
    scene = room.scene()
    decide(room, scene, POV)
    room.stash.fault("sceneMarkersDestroy", Fault(drop="before", times=9))
    with pytest.raises(StashUnreachable):
        say(room, "refuse", scene, "POV")
    room.stash.clear_faults()
    carried_over(room, tmp_path)
    decide(room, scene, POV)
    assert (room.tags(scene), markers(room, scene)) == ({"Point of View"}, [])


@pytest.mark.parametrize("kind", ["tag", "marker"])
def test_what_is_accepted_stays_whatever_the_user_calls_the_tag(
    room: VerdictRoom, tmp_path: Path, kind: str
) -> None:
    room.stash.add_tag("Point of View")
    scene = room.scene()
    decide(room, scene, POV)
    room.say("accept", scene, "POV", kind=kind)
    carried_over(room, tmp_path)
    decide(room, scene)
    assert (room.tags(scene), len(markers(room, scene))) == ({"Point of View"}, 2)


# --- The law ------------------------------------------------------------------------------------


@settings(max_examples=8)
@given(
    said=st.lists(WORDS, min_size=2, max_size=6),
    on=st.booleans(),
    had=st.lists(st.sampled_from(["Beach", "Mine"])),
)
@example(said=[("accept", "Beach"), ("accept", "markers of Beach")], on=False, had=["Beach"])
@example(
    said=[("refuse", "markers of Beach"), ("accept", "Beach"), ("accept", "markers of Beach")],
    on=True,
    had=[],
)
@example(said=[("refuse", "Dog"), ("refuse", "markers of Dog"), ("accept", "Dog")], on=True, had=[])
def test_one_after_another_taken_back_all_is_as_it_was_before_each(
    stash: StandIn,
    tmp_path_factory: pytest.TempPathFactory,
    said: list[tuple[str, str]],
    on: bool,
    had: list[str],
) -> None:
    with open_room(stash, tmp_path_factory.mktemp("law")) as room:
        room.configure(markers=on)
        scene = prepared(room, *had)
        states: list[tuple[Any, str]] = []
        last: dict[str, str] = {}
        for word, name in said:
            before = (seen(room, scene), standing(room, scene))
            told = say_any(room, word, scene, name)
            # The same word once more is one with it.
            if told["failed"] == 0 and last.get(name) != word:
                states.append((before, name))
                last[name] = word
        for before, name in reversed(states):
            assert unsay(room, scene, name)["unsaid"] == 1
            assert (seen(room, scene), standing(room, scene)) == before
        assert room.engine.verdicts.listing() == []
