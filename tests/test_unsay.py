"""What the user says is taken back: then all is as if it had never been said."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from demo.stash import Fault, StandIn
from stash_sense_plugin.errors import SettingsError, StashUnreachable
from stash_sense_plugin.library.verdicts import Saying
from stash_sense_plugin.records import Decision, Ran, Said, SceneResult
from stash_sense_plugin.stash.wishes import MarkerWanted
from stash_sense_plugin.tasks import MODES, Call
from stash_sense_plugin.tasks.looking import Looker
from stash_sense_plugin.tasks.writing import open_writing
from tests.sweep_kit import ROOT
from tests.test_merges import merge
from tests.verdict_kit import APPLY, ASK, HIDE, VerdictRoom, open_room, suggestion

MARKERS_OF = "markers of "
"""What is said of a tag's markers alone begins so."""


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, tmp_path: Path) -> Iterator[VerdictRoom]:
    with open_room(stash, tmp_path) as opened:
        opened.configure(markers=True)
        yield opened


def prepared(room: VerdictRoom, *tags: str) -> int:
    """A scene for which Beach is asked about, and Dog and a studio were written by a sweep."""
    if not studio_id(room, "Northlight"):
        room.stash.add_studio("Northlight")
        room.stash.add_studio("Harbour")
    scene = room.scene(*tags)
    studio = str(studio_id(room, "Northlight"))
    room.looked(
        scene,
        suggestion("Beach", ranges=[(1.0, 4.0), (20.0, 25.5)]),
        suggestion("Dog", 0.9, APPLY, [(2.0, 3.0)]),
        suggestion("Northlight", 0.9, APPLY, kind="studio", target_id=studio),
    )
    write(room, scene, "Dog", studio="Northlight")
    return scene


def studio_id(room: VerdictRoom, name: str) -> int:
    """The studio's number; 0 where there is none."""
    found = room.stash.database.column("SELECT id FROM studios WHERE name = ?", name)
    return int(found[0]) if found else 0


def write(room: VerdictRoom, scene: int, *names: str, studio: str = "") -> str:
    """Tag a scene as a sweep does, with markers and a studio; the run's id."""
    found = room.read(scene)
    with room.client() as client:
        run_id = room.engine.store.begin_run("tag_scenes", {})
        writer, _ = open_writing(room.engine, client, run_id)
        tags = [(writer.ensure_tag(name), name) for name in names]
        writer.add_tags([found], {found.id: tags})
        writer.create_markers(found, [MarkerWanted(*tag, 2.0, 3.0) for tag in tags])
        if studio:
            writer.set_studio(found, str(studio_id(room, studio)), studio)
        room.engine.store.end_run(run_id, "done", {})
    return run_id


def unsay(room: VerdictRoom, scene: int, *names: str, **more: Any) -> Any:
    items = [{"scene_id": str(scene), **named(name)} for name in names]
    return room.run("unsay", items=items, **more)


def named(name: str) -> dict[str, str]:
    kind = "studio" if name == "Northlight" else "tag"
    if name.startswith(MARKERS_OF):
        kind, name = "marker", name.removeprefix(MARKERS_OF)
    return {"name": name, "kind": kind}


def say(room: VerdictRoom, said: str, scene: int, name: str) -> Any:
    return room.run(said, items=[{"scene_id": str(scene), **named(name)}])


def seen(room: VerdictRoom, scene: int) -> dict[str, Any]:
    """What a user sees of a scene, in Stash and among the suggestions."""
    rows = []
    for decision in ("ask", "apply", "refused"):
        page = room.run("suggestions", by="scene", scene_id=scene, decision=decision)
        rows += page["suggestions"]
    markers = [
        (each["primary_tag"], each["seconds"], each["end_seconds"], each["title"])
        for each in room.stash.scene_markers(scene)
    ]
    return {
        "tags": room.tags(scene),
        "markers": sorted(markers),
        "studio": room.stash.scene_studio(scene),
        "shown": {(row["kind"], row["name"]): (row["decision"], row["said"]) for row in rows},
        "ours": sorted(set(room.ours(scene))),
    }


def counts(told: Any) -> dict[str, int]:
    return {name: told[name] for name in ("unsaid", "taken_back", "written", "markers", "failed")}


# --- One word -----------------------------------------------------------------------------------


def test_what_an_acceptance_wrote_is_taken_back_and_asked_about_again(room: VerdictRoom) -> None:
    scene = prepared(room, "Mine")
    before = seen(room, scene)
    say(room, "accept", scene, "Beach")
    assert seen(room, scene)["shown"]["tag", "Beach"] == ("APPLY", "accepted")
    told = unsay(room, scene, "beach")
    expected = {"unsaid": 1, "taken_back": 1, "written": 0, "markers": 2, "failed": 0}
    assert counts(told) == expected
    assert seen(room, scene) == before
    assert room.engine.verdicts.listing() == []
    # The tag was made for it, and nothing has it.
    assert room.stash.tag_id("Beach") is None
    assert (told["failures"], told["left"]) == ([], [])


@pytest.mark.parametrize("name", ["Dog", "Northlight"])
def test_what_a_refusal_took_back_is_written_again(room: VerdictRoom, name: str) -> None:
    scene = prepared(room, "Mine")
    before = seen(room, scene)
    say(room, "refuse", scene, name)
    assert seen(room, scene) != before
    told = unsay(room, scene, name)
    markers = 1 if name == "Dog" else 0
    expected = {"unsaid": 1, "taken_back": 0, "written": 1, "markers": markers, "failed": 0}
    assert counts(told) == expected
    assert seen(room, scene) == before


def test_a_refusal_of_what_was_never_written_is_only_forgotten(room: VerdictRoom) -> None:
    scene = prepared(room)
    before = seen(room, scene)
    say(room, "refuse", scene, "Beach")
    told = unsay(room, scene, "Beach")
    assert counts(told) == {"unsaid": 1, "taken_back": 0, "written": 0, "markers": 0, "failed": 0}
    assert seen(room, scene) == before


def test_of_nothing_that_was_said_it_says_so_and_changes_nothing(room: VerdictRoom) -> None:
    scene = prepared(room)
    before = seen(room, scene)
    told = unsay(room, scene, "Beach", "Dog", "Cat")
    assert (told["unsaid"], told["failed"], told["run_id"]) == (0, 3, None)
    assert {row["message"] for row in told["failures"]} == {"you said nothing of it"}
    assert seen(room, scene) == before


def test_taken_back_twice_it_is_taken_back_once(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "accept", scene, "Beach")
    unsay(room, scene, "Beach")
    before = seen(room, scene)
    assert counts(unsay(room, scene, "Beach", "BEACH"))["failed"] == 2
    say(room, "accept", scene, "Beach")
    assert counts(unsay(room, scene, "Beach", "BEACH"))["unsaid"] == 1
    assert seen(room, scene) == before


def test_many_are_taken_back_in_few_questions(room: VerdictRoom) -> None:
    scenes = [room.scene() for _ in range(120)]
    for scene in scenes:
        room.looked(scene, suggestion("Beach"))
        room.say("accept", scene, "Beach")
    room.stash.calls.clear()
    told = room.run("unsay", items=[{"scene_id": str(each), "name": "Beach"} for each in scenes])
    assert counts(told) == {
        "unsaid": 120,
        "taken_back": 120,
        "written": 0,
        "markers": 120,
        "failed": 0,
    }
    assert room.stash.calls["bulkSceneUpdate"] == 2
    assert room.stash.calls.total() < 40
    assert [room.tags(scene) for scene in scenes] == [set()] * 120


def test_a_rehearsal_says_what_would_be_and_does_nothing(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "accept", scene, "Beach")
    say(room, "refuse", scene, "Dog")
    before = seen(room, scene)
    rehearsed = unsay(room, scene, "Beach", "Dog", dry_run=True)
    assert (seen(room, scene), rehearsed["run_id"]) == (before, None)
    told = unsay(room, scene, "Beach", "Dog")
    assert counts(told) == counts(rehearsed)
    assert counts(told) == {"unsaid": 2, "taken_back": 1, "written": 1, "markers": 3, "failed": 0}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param({}, "No suggestion is named", id="nothing"),
        pytest.param({"tag": "Beach", "above": 0}, "No suggestion is named", id="all of a tag"),
        pytest.param({"items": []}, "an empty list", id="an empty list"),
    ],
)
def test_what_is_not_named_is_not_taken_back(
    room: VerdictRoom, args: dict[str, Any], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        room.run("unsay", **args)


@pytest.mark.parametrize("mode", ["accept", "refuse", "unsay"])
def test_a_reply_stays_below_a_megabyte_however_long_the_names(
    room: VerdictRoom, mode: str
) -> None:
    scene = prepared(room)
    name = "\N{CYRILLIC SMALL LETTER ZHE}" * 990
    # What is refused need not be suggested, but the scene must be there.
    where = "99999" if mode == "refuse" else str(scene)
    items = [
        {"scene_id": where, "name": f"{number}{name}", "target_id": f"{number}{name}"}
        for number in range(120)
    ]
    told = room.run(mode, items=items)
    assert told["failed"] == 120
    assert 10 < len(told["failures"]) < 120
    assert len(json.dumps(told)) < 900_000


def test_it_is_an_operation() -> None:
    assert MODES["unsay"].kind == "operation"


# --- What the user did besides ------------------------------------------------------------------


def test_what_was_there_before_the_acceptance_stays(room: VerdictRoom) -> None:
    scene = prepared(room, "Beach")
    before = seen(room, scene)
    say(room, "accept", scene, "Beach")
    unsay(room, scene, "Beach")
    assert seen(room, scene) == before
    say(room, "accept", scene, "Dog")
    assert counts(unsay(room, scene, "Dog"))["taken_back"] == 0
    assert seen(room, scene) == before


def test_what_the_user_took_away_since_is_not_put_back(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "accept", scene, "Dog")
    room.stash.untag_scene(scene, room.tag("Dog"))
    told = unsay(room, scene, "Dog")
    assert (told["unsaid"], told["left"]) == (1, [])
    assert "Dog" not in room.tags(scene)
    assert seen(room, scene)["shown"]["tag", "Dog"] == ("ASK", None)


def test_a_tag_that_got_another_name_stays_and_it_is_said(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "accept", scene, "Beach")
    sql = "UPDATE tags SET name = 'Strand' WHERE id = ?"
    room.stash.database.run(sql, room.tag("Beach"))
    told = unsay(room, scene, "Beach")
    assert counts(told)["unsaid"] == 1
    [left] = told["left"]
    assert "the tag is called 'Strand' now" in left["message"]
    assert "Strand" in room.tags(scene)


def test_a_refused_tag_that_the_user_deleted_is_not_made_anew(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "refuse", scene, "Dog")
    room.stash.remove_tag(room.tag("Dog"))
    told = unsay(room, scene, "Dog")
    assert counts(told) == {"unsaid": 1, "taken_back": 0, "written": 0, "markers": 0, "failed": 0}
    assert told["left"][0]["message"].startswith("it is not written again: ")
    assert room.stash.tag_id("Dog") is None


def test_nothing_is_written_again_to_another_file(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "refuse", scene, "Dog")
    sql = """UPDATE fingerprints SET value = ? WHERE file_id IN
      (SELECT file_id FROM scenes_files WHERE scene_id = ?)"""
    room.stash.database.run(sql, "f" * 16, scene)
    told = unsay(room, scene, "Dog")
    assert told["left"][0]["message"] == "it is not written again: the scene has another file"
    assert "Dog" not in room.tags(scene)
    assert "dog" not in room.refused(scene)


def test_a_studio_that_the_user_chose_since_stays(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "refuse", scene, "Northlight")
    room.stash.set_studio(scene, studio_id(room, "Harbour"))
    told = unsay(room, scene, "Northlight")
    assert room.stash.scene_studio(scene) == "Harbour"
    assert told["left"][0]["message"] == "it is not written again: it has another studio"


def test_a_marker_that_was_changed_stays_and_it_is_said(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "accept", scene, "Beach")
    room.stash.database.run("UPDATE scene_markers SET seconds = 1.5 WHERE seconds = 1")
    told = unsay(room, scene, "Beach")
    assert told["left"][0]["message"] == "a marker of it stays: it was changed since"
    assert ("Beach", 1.5, 4.0, "") in seen(room, scene)["markers"]


def test_what_was_taken_away_in_stash_is_asked_about_once_it_is_no_refusal(
    room: VerdictRoom,
) -> None:
    scene = prepared(room)
    room.stash.untag_scene(scene, room.tag("Dog"))
    with room.client() as client:
        writer, _ = open_writing(room.engine, client, "")
        writer.notice_removed([room.read(scene)], on_purpose=True)
    assert "dog" in room.refused(scene)
    told = unsay(room, scene, "Dog")
    assert counts(told) == {"unsaid": 1, "taken_back": 0, "written": 0, "markers": 0, "failed": 0}
    assert "dog" not in room.refused(scene)
    assert "Dog" not in room.tags(scene)
    assert seen(room, scene)["shown"]["tag", "Dog"] == ("ASK", None)


def test_what_was_accepted_and_then_taken_away_in_stash_is_asked_about(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "accept", scene, "Beach")
    room.stash.untag_scene(scene, room.tag("Beach"))
    with room.client() as client:
        writer, _ = open_writing(room.engine, client, "")
        writer.notice_removed([room.read(scene)], on_purpose=True)
    assert unsay(room, scene, "Beach")["unsaid"] == 1
    assert seen(room, scene)["shown"]["tag", "Beach"] == ("ASK", None)
    assert (room.accepted(scene), room.refused(scene)) == (set(), set())
    assert unsay(room, scene, "Beach")["failed"] == 1


def test_what_was_said_of_another_scene_with_the_same_file_stays_said(room: VerdictRoom) -> None:
    scene = prepared(room)
    copy = room.scene(file=room.read(scene).fingerprint)
    room.looked(copy, suggestion("Dog"))
    say(room, "refuse", scene, "Dog")
    [failure] = unsay(room, copy, "Dog")["failures"]
    assert failure["message"] == "you said it of another scene with the same file"
    assert "dog" in room.refused(scene)


def test_of_two_scenes_with_one_file_each_is_taken_back_by_itself(room: VerdictRoom) -> None:
    scene = prepared(room)
    copy = room.scene(file=room.read(scene).fingerprint)
    room.looked(copy, suggestion("Beach"))
    before = seen(room, scene), seen(room, copy)
    items = [{"scene_id": str(each), "name": "Beach"} for each in (scene, copy)]
    assert room.run("accept", items=items)["written"] == 2
    told = room.run("unsay", items=items)
    assert (told["unsaid"], told["taken_back"], told["failures"]) == (2, 2, [])
    assert (seen(room, scene), seen(room, copy)) == before
    assert room.engine.verdicts.listing() == []


@pytest.mark.parametrize(("first", "second"), [("accept", "refuse"), ("refuse", "accept")])
def test_what_is_said_of_a_copy_neither_moves_nor_loses_a_word(
    room: VerdictRoom, first: str, second: str
) -> None:
    scene = prepared(room)
    copy = room.scene(file=room.read(scene).fingerprint)
    room.looked(copy, suggestion("Beach"))
    before = seen(room, scene)
    say(room, first, scene, "Beach")
    said, said_of_copy = seen(room, scene), seen(room, copy)
    say(room, second, copy, "Beach")
    assert seen(room, scene) == said
    assert ("Beach" in room.tags(copy)) is (second == "accept")
    assert seen(room, copy)["shown"]["tag", "Beach"][1] == f"{second}ed".replace("eed", "ed")
    assert unsay(room, copy, "Beach")["unsaid"] == 1
    assert seen(room, copy) == said_of_copy
    assert seen(room, scene) == said
    assert unsay(room, scene, "Beach")["unsaid"] == 1
    assert seen(room, scene) == before
    assert room.engine.verdicts.listing() == []


def test_what_was_taken_from_a_scene_that_was_merged_since_is_said_to_be_left(
    room: VerdictRoom,
) -> None:
    source, home = prepared(room), room.scene("Mine")
    room.looked(home, suggestion("Dog"))
    say(room, "refuse", source, "Dog")
    merge(room, source, home)
    told = unsay(room, home, "Dog")
    assert (told["unsaid"], told["written"]) == (1, 0)
    [left] = told["left"]
    assert left["message"] == (
        f"it is not written again: it was taken from scene {source}, which is no longer in Stash"
    )
    assert room.tags(home) == {"Mine"}


def test_of_a_copy_nothing_is_said_to_be_left(room: VerdictRoom) -> None:
    scene = prepared(room)
    copy = room.scene(file=room.read(scene).fingerprint)
    room.looked(copy, suggestion("Dog"))
    items = [{"scene_id": str(each), "name": "Dog"} for each in (scene, copy)]
    room.run("refuse", items=items)
    assert room.run("unsay", items=items[1:])["left"] == []
    assert room.run("unsay", items=items[:1])["written"] == 1


def test_nothing_is_written_again_of_what_was_refused_in_another_library(
    room: VerdictRoom,
) -> None:
    """Its scenes have numbers too, and may even have the file."""
    scene = prepared(room)
    say(room, "refuse", scene, "Dog")
    room.engine.ledger.withdraw_everything()
    told = unsay(room, scene, "Dog")
    expected = {"unsaid": 1, "taken_back": 0, "written": 0, "markers": 0, "failed": 0}
    assert counts(told) == expected
    assert (room.tags(scene), room.refused(scene)) == (set(), set())


@pytest.mark.parametrize("known_before", [True, False])
def test_what_is_unsaid_is_asked_about_though_who_saw_it_cannot_look(
    room: VerdictRoom, known_before: bool
) -> None:
    """It was written by the acceptance alone, and the network that saw it is not here now."""
    room.configure(skip_labels=None)
    scene = room.scene()
    if known_before:
        room.looked(scene, suggestion("Beach"))
    else:
        room.engine.verdicts.say([Saying(room.read(scene), "tag", "Beach", "", Said.ACCEPTED)])
        room.looked(scene, suggestion("Beach", decision=APPLY))
    say(room, "accept", scene, "Beach")
    room.looked(scene, suggestion("Beach", decision=APPLY))
    assert weighed(room, scene) == {"Beach": Decision.APPLY}
    unsay(room, scene, "Beach")
    assert seen(room, scene)["shown"]["tag", "Beach"] == ("ASK", None)
    assert weighed(room, scene) == {"Beach": Decision.ASK}


@pytest.mark.parametrize("looks", [1, 2])
def test_what_is_refused_outlasts_looks_of_others(room: VerdictRoom, looks: int) -> None:
    room.configure(skip_labels=None)
    scene = room.scene()
    room.looked(scene, suggestion("Beach"))
    before = seen(room, scene)
    say(room, "refuse", scene, "Beach")
    refused = seen(room, scene)
    for _ in range(looks):
        assert look_again(room, scene) == {"Beach": HIDE}
        assert seen(room, scene) == refused
    unsay(room, scene, "Beach")
    assert seen(room, scene) == before
    assert look_again(room, scene) == {"Beach": ASK}
    assert say(room, "accept", scene, "Beach")["written"] == 1


@pytest.mark.parametrize("looks", [0, 1])
@pytest.mark.parametrize("decision", [ASK, APPLY])
@pytest.mark.parametrize("said", [["accept"], ["refuse"], ["refuse", "accept"]])
def test_what_is_forgotten_holds_no_longer_though_who_saw_it_cannot_look(
    room: VerdictRoom, said: list[str], decision: Decision, looks: int
) -> None:
    room.configure(skip_labels=None)
    scene = room.scene()
    room.looked(scene, suggestion("Beach", decision=decision))
    before = seen(room, scene)["shown"]
    for word in said:
        say(room, word, scene, "Beach")
    for _ in range(looks):
        look_again(room, scene)
    for verdict in room.engine.verdicts.listing():
        room.run("verdicts", forget=verdict.id)
    assert seen(room, scene)["shown"] == before
    assert look_again(room, scene) == {"Beach": decision}
    assert seen(room, scene)["shown"] == before


def look_again(room: VerdictRoom, scene: int) -> dict[str, Decision]:
    """Look at the picture's facts alone, and keep what is decided."""
    result = weigh(room, scene)
    room.looked(scene, *result.suggestions)
    return {each.name: each.decision for each in result.suggestions}


def weighed(room: VerdictRoom, scene: int) -> dict[str, Decision]:
    """What is decided of a look at the picture's facts, with what others saw before."""
    return {each.name: each.decision for each in weigh(room, scene).suggestions}


def weigh(room: VerdictRoom, scene: int) -> SceneResult:
    server = room.stash.connection | {"PluginDir": str(ROOT)}
    with room.engine.stash(Call({}, server), room.told):
        looker = Looker(room.engine, room.told)
    found = room.read(scene)
    facts = Ran("picture", "picture", "cpu", "fp32", 3, 0.0)
    result, _ = looker.weighed(found, SceneResult(found.source, 60.0, {}, ran=(facts,)))
    return result


def test_a_scene_that_is_gone_is_said(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "accept", scene, "Beach")
    room.stash.remove_scene(scene)
    [failure] = unsay(room, scene, "Beach")["failures"]
    assert failure["message"] == "the scene is not in Stash"


# --- Several words, one after another -----------------------------------------------------------


def test_the_word_before_holds_again(room: VerdictRoom) -> None:
    scene = prepared(room)
    states = [seen(room, scene)]
    for said in ("refuse", "accept", "refuse"):
        say(room, said, scene, "Dog")
        states.append(seen(room, scene))
    for state in reversed(states[:-1]):
        unsay(room, scene, "Dog")
        assert seen(room, scene) == state
    assert unsay(room, scene, "Dog")["failed"] == 1


def test_who_says_what_is_meant_may_ask_twice(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "refuse", scene, "Dog")
    refused = seen(room, scene)
    say(room, "accept", scene, "Dog")
    items = [{"scene_id": scene, "name": "Dog", "said": "accepted"}]
    assert room.run("unsay", items=items)["unsaid"] == 1
    [failure] = room.run("unsay", items=items)["failures"]
    assert failure["message"] == "it is not accepted"
    assert failure.keys() == {"scene_id", "kind", "name", "target_id", "message", "remedy"}
    assert seen(room, scene) == refused
    with pytest.raises(SettingsError, match="said is 'maybe'"):
        room.run("unsay", items=[items[0] | {"said": "maybe"}])


@pytest.mark.parametrize("said", ["accept", "refuse"])
def test_what_was_said_twice_is_taken_back_at_once(room: VerdictRoom, said: str) -> None:
    scene = prepared(room)
    before = seen(room, scene)
    for name in ("Beach", "Dog"):
        say(room, said, scene, name)
        say(room, said, scene, name)
    unsay(room, scene, "Beach", "Dog")
    assert seen(room, scene) == before


@pytest.mark.parametrize(
    ("said", "name"),
    [("accept", "Beach"), ("accept", "markers of Dog"), ("refuse", "Dog"), ("refuse", "Beach")],
)
def test_however_often_it_was_said_it_is_taken_back_at_once(
    room: VerdictRoom, said: str, name: str
) -> None:
    scene = prepared(room, "Mine")
    before = seen(room, scene)
    for _ in range(12):
        say(room, said, scene, name)
    told = unsay(room, scene, name)
    assert (told["unsaid"], told["left"], told["failed"]) == (1, [], 0)
    assert seen(room, scene) == before
    assert room.engine.verdicts.listing() == []


def test_undo_of_one_of_many_alike_leaves_the_word_said(room: VerdictRoom) -> None:
    scene = prepared(room)
    runs = [say(room, "refuse", scene, "Beach")["run_id"] for _ in range(4)]
    for run_id in reversed(runs[1:]):
        assert "beach" in room.refused(scene)
        assert room.run("undo")["undone_run"] == run_id
    [verdict] = room.engine.verdicts.listing()
    assert (verdict.said, verdict.detail["run_id"]) == (Said.REFUSED, runs[0])
    assert room.run("undo", what="run", run=runs[0])["verdicts"] == 1
    assert room.engine.verdicts.listing() == []


def test_what_was_decided_because_of_a_word_goes_with_it(room: VerdictRoom) -> None:
    """Stash was away when it was said; the next run did it."""
    scene = prepared(room)
    before = seen(room, scene)
    room.stash.fault("bulkSceneUpdate", Fault(drop="before", times=9))
    with pytest.raises(StashUnreachable):
        say(room, "accept", scene, "Beach")
    room.stash.clear_faults()
    write(room, scene, "Beach")
    assert counts(unsay(room, scene, "Beach"))["taken_back"] == 1
    assert seen(room, scene) == before


def test_what_an_earlier_run_wrote_because_of_a_word_goes_with_it(room: VerdictRoom) -> None:
    """The sweep began before it was said, and came to the scene after it."""
    scene = prepared(room)
    before = seen(room, scene)
    sweep = room.engine.store.begin_run("tag_scenes", {})
    say(room, "accept", scene, "Beach")
    found = room.read(scene)
    with room.client() as client:
        writer, _ = open_writing(room.engine, client, sweep)
        tag_id = writer.ensure_tag("Beach")
        writer.create_markers(found, [MarkerWanted(tag_id, "Beach", 40.0, 50.0)])
    told = unsay(room, scene, "Beach")
    assert (counts(told)["markers"], told["left"]) == (3, [])
    assert seen(room, scene) == before
    assert room.stash.tag_id("Beach") is None


# --- Undo beside it -----------------------------------------------------------------------------


def test_undo_of_an_acceptance_that_was_taken_back_finds_nothing(room: VerdictRoom) -> None:
    scene = prepared(room)
    run_id = say(room, "accept", scene, "Beach")["run_id"]
    unsay(room, scene, "Beach")
    before = seen(room, scene)
    assert room.run("undo", what="run", run=run_id)["run_id"] is None
    assert seen(room, scene) == before
    listed = {each["kind"] for each in room.run("runs")["runs"]}
    assert listed == {"tag_scenes"}


def test_undo_of_an_acceptance_of_two_undoes_the_one_that_is_left(room: VerdictRoom) -> None:
    scene = prepared(room)
    before = seen(room, scene)
    room.looked(scene, suggestion("Beach"), suggestion("Rain"))
    run_id = room.say("accept", scene, "Beach", "Rain")["run_id"]
    unsay(room, scene, "Beach")
    done = room.run("undo", what="run", run=run_id)
    assert (done["taken_back"]["tags"], done["verdicts"]) == (1, 1)
    assert room.tags(scene) == before["tags"]


def test_an_undone_acceptance_is_said_no_longer(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "accept", scene, "Beach")
    room.run("undo")
    before = seen(room, scene)
    assert unsay(room, scene, "Beach")["failed"] == 1
    assert seen(room, scene) == before


def test_undo_of_the_sweep_takes_what_was_written_again(room: VerdictRoom) -> None:
    scene = prepared(room, "Mine")
    say(room, "refuse", scene, "Dog")
    unsay(room, scene, "Dog")
    room.run("undo")
    assert seen(room, scene)["ours"] == []
    assert room.tags(scene) == {"Mine"}


# --- Cut short ----------------------------------------------------------------------------------


@pytest.mark.parametrize("drop", ["before", "after"])
@pytest.mark.parametrize(
    ("said", "name", "call"),
    [
        pytest.param("accept", "Beach", "bulkSceneUpdate", id="the tag of an acceptance"),
        pytest.param("accept", "Beach", "sceneMarkersDestroy", id="its markers"),
        pytest.param("accept", "Beach", "tagsDestroy", id="the tag that was made for it"),
        pytest.param("refuse", "Dog", "bulkSceneUpdate", id="the tag of a refusal"),
        pytest.param("refuse", "Dog", "sceneMarkerCreate", id="its marker"),
        pytest.param("refuse", "Northlight", "sceneUpdate", id="its studio"),
    ],
)
def test_cut_short_it_can_be_done_once_more(
    room: VerdictRoom, drop: Any, said: str, name: str, call: str
) -> None:
    scene = prepared(room, "Mine")
    before = seen(room, scene)
    say(room, said, scene, name)
    room.stash.calls.clear()
    room.stash.fault(call, Fault(drop=drop, times=9))
    with suppress(StashUnreachable):
        # A lost answer to one of these is made good by what is there.
        told = unsay(room, scene, name)
        assert (drop, told["unsaid"]) == ("after", 1)
    assert room.stash.calls[call]
    room.stash.clear_faults()
    if room.engine.verdicts.listing():
        assert unsay(room, scene, name)["unsaid"] == 1
    assert seen(room, scene) == before
    assert room.engine.ledger.unsettled() == []
    assert room.engine.verdicts.listing() == []


def test_what_stash_refuses_stays_said(room: VerdictRoom) -> None:
    scene = prepared(room)
    say(room, "refuse", scene, "Dog")
    room.stash.fault("sceneMarkerCreate", Fault(error="FOREIGN KEY constraint failed", times=9))
    told = unsay(room, scene, "Dog")
    room.stash.clear_faults()
    assert (told["unsaid"], told["failed"]) == (0, 1)
    assert "dog" in room.refused(scene)
    told = unsay(room, scene, "Dog")
    assert (told["unsaid"], told["failed"]) == (1, 0)
    assert room.refused(scene) == set()


# --- The law ------------------------------------------------------------------------------------

NAMES = ("Beach", "Dog", "Northlight", "markers of Beach", "markers of Dog")
WORDS = st.tuples(st.sampled_from(["accept", "refuse"]), st.sampled_from(NAMES))


@dataclass(frozen=True)
class Doing:
    """Something that a user does to a scene, which has nothing to do with what is unsaid."""

    name: str
    do: Callable[[VerdictRoom, int], object]


def _marker(room: VerdictRoom, scene: int) -> None:
    sql = """INSERT INTO scene_markers
      (title, seconds, end_seconds, scene_id, primary_tag_id, created_at, updated_at)
      VALUES ('by hand', 40, 50, ?, ?, '2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z')"""
    room.stash.database.run(sql, scene, room.tag("Mine"))


DOINGS = (
    Doing("add a tag", lambda room, scene: room.stash.tag_scene(scene, room.tag("New"))),
    Doing("take a tag", lambda room, scene: room.stash.untag_scene(scene, room.tag("Mine"))),
    Doing("add a marker", _marker),
    Doing("refuse a cat", lambda room, scene: room.say("refuse", scene, "Cat")),
    Doing("write rain", lambda room, scene: write(room, scene, "Rain")),
)


@settings(max_examples=15)
@given(
    said=st.lists(WORDS, min_size=1, max_size=7),
    order=st.permutations(NAMES),
    doings=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(DOINGS)), max_size=3),
    had=st.sampled_from([["Mine"], ["Mine", "Beach"]]),
)
@example(
    said=[("accept", "Beach"), ("accept", "markers of Beach")],
    order=NAMES,
    doings=[],
    had=["Mine", "Beach"],
)
@example(
    said=[("accept", "Beach"), ("refuse", "markers of Beach")],
    order=NAMES,
    doings=[],
    had=["Mine", "Beach"],
)
@example(
    said=[("accept", "markers of Beach"), ("refuse", "Beach")],
    order=NAMES[::-1],
    doings=[],
    had=["Mine", "Beach"],
)
@example(said=[("accept", "Beach"), ("refuse", "Beach")], order=NAMES, doings=[], had=["Mine"])
@example(
    said=[("refuse", "Dog"), ("accept", "Dog"), ("accept", "Dog")],
    order=NAMES,
    doings=[(1, DOINGS[1])],
    had=["Mine"],
)
@example(
    said=[("refuse", "Northlight"), ("accept", "Northlight")],
    order=NAMES,
    doings=[(0, DOINGS[0])],
    had=["Mine"],
)
@example(
    said=[("refuse", "Dog"), ("refuse", "markers of Dog")],
    order=NAMES,
    doings=[(1, DOINGS[0])],
    had=["Mine"],
)
@example(
    said=[("refuse", "markers of Dog"), ("refuse", "Dog")],
    order=NAMES[::-1],
    doings=[],
    had=["Mine"],
)
@example(
    said=[("accept", "Beach"), ("refuse", "markers of Beach"), ("accept", "markers of Beach")],
    order=NAMES,
    doings=[],
    had=["Mine"],
)
def test_what_is_unsaid_was_never_said_and_what_the_user_did_besides_stays(
    stash: StandIn,
    tmp_path_factory: pytest.TempPathFactory,
    said: list[tuple[str, str]],
    order: Sequence[str],
    doings: list[tuple[int, Doing]],
    had: list[str],
) -> None:
    """Two scenes alike: of one, things are said and taken back; to both, all else is done."""
    with open_room(stash, tmp_path_factory.mktemp("law")) as room:
        room.configure(markers=True)
        scene, other = prepared(room, *had), prepared(room, *had)
        for number, (word, name) in enumerate(said):
            say(room, word, scene, name)
            for _, each in (pair for pair in doings if pair[0] == number):
                each.do(room, scene)
        for name in order:
            while unsay(room, scene, name)["unsaid"]:
                pass
        for _, done in sorted((pair for pair in doings if pair[0] < len(said)), key=_turn):
            done.do(room, other)
        assert seen(room, scene) == seen(room, other)
        for number in (scene, other):
            listed = room.engine.verdicts.listing(scene_id=str(number))
            assert {(row.said, row.name) for row in listed} <= {(Said.REFUSED, "Cat")}
        assert room.engine.ledger.unsettled() == []


def _turn(pair: tuple[int, Doing]) -> int:
    return pair[0]
