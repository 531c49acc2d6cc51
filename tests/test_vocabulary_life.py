"""What the user's vocabulary does to a library in Stash: other names, parents, and never."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stash import StandIn
from stash_sense_plugin.errors import VocabularyError
from stash_sense_plugin.vocabulary import Vocabulary, load_vocabulary
from tests.stash_kit import empty
from tests.sweep_kit import ROOT, Room, open_engine, write_clips

QUIET = {
    "skip_labels": True,
    "skip_objects": True,
    "skip_text": True,
    "skip_quality": True,
    "skip_acts": True,
}
DONE = {"Tagged"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("words") / "clips")


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash"), media=[]) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, clips: Path, tmp_path: Path) -> Iterator[Room]:
    empty(stash)
    folder = tmp_path / "media"
    folder.mkdir()
    with open_engine(tmp_path / "home") as engine:
        opened = Room(stash, clips, folder, engine=engine)
        opened.configure(**QUIET)
        yield opened


def tagged(room: Room) -> int:
    scene = room.add("tall.mp4")
    room.run()
    return scene


def words(room: Room, text: str) -> None:
    room.engine.own_vocabulary.write_text(text, "utf-8")


def parents(room: Room, name: str) -> set[str]:
    rows = {number: name for name, number in room.stash.tags().items()}
    return {rows[parent] for parent in room.stash.tag_row(room.stash.tags()[name])["parents"]}


@pytest.mark.parametrize("text", ["never: [vertical]\n", "only: [Kitchen]\n", "never: [picture]\n"])
def test_what_is_left_out_is_taken_back_when_decided_again(room: Room, text: str) -> None:
    scene = tagged(room)
    assert room.tags(scene) == DONE | {"Vertical"}
    words(room, text)
    room.run("decide")
    assert room.tags(scene) == DONE
    words(room, "")
    room.run("decide")
    assert room.tags(scene) == DONE | {"Vertical"}


def test_what_was_accepted_goes_too_and_is_not_accepted_any_more(room: Room) -> None:
    scene = tagged(room)
    item = {"scene_id": str(scene), "name": "Vertical"}
    room.run("accept", items=[item])
    words(room, "never: [Vertical]\n")
    room.run("decide")
    assert room.tags(scene) == DONE
    told = room.run("accept", items=[item])
    assert told["accepted"] == 0
    assert room.tags(scene) == DONE


def test_another_name_of_the_tag_is_written_and_the_old_one_goes(room: Room) -> None:
    scene = tagged(room)
    words(room, "labels:\n  vertical: {tag: Upright}\n")
    room.run("decide")
    assert room.tags(scene) == DONE | {"Upright"}


def test_the_users_own_tag_of_another_name_is_used_kept_and_taken_back(room: Room) -> None:
    room.stash.add_tag("Portrait Format")
    words(room, "labels:\n  vertical: {aliases: [portrait format]}\n")
    scene = tagged(room)
    assert room.tags(scene) == DONE | {"Portrait Format"}
    room.run("decide")
    assert room.tags(scene) == DONE | {"Portrait Format"}
    room.configure(**QUIET, never="portrait format")
    room.run("decide")
    assert room.tags(scene) == DONE
    assert "Portrait Format" in room.stash.tags()
    assert "Vertical" not in room.stash.tags()


def test_refusing_it_by_our_name_takes_the_users_tag_away(room: Room) -> None:
    room.stash.add_tag("Portrait Format")
    words(room, "labels:\n  vertical: {aliases: [Portrait Format]}\n")
    scene = tagged(room)
    room.run("refuse", items=[{"scene_id": str(scene), "name": "Vertical"}])
    assert room.tags(scene) == DONE
    room.run("decide")
    assert room.tags(scene) == DONE


def test_accepting_it_writes_the_users_tag(room: Room) -> None:
    room.stash.add_tag("Portrait Format")
    words(room, "labels:\n  vertical: {aliases: [Portrait Format], apply: never}\n")
    scene = tagged(room)
    assert room.tags(scene) == DONE
    room.run("accept", items=[{"scene_id": str(scene), "name": "Vertical"}])
    assert room.tags(scene) == DONE | {"Portrait Format"}


def test_a_new_tag_lies_below_its_parents_and_undo_takes_all(room: Room) -> None:
    words(room, "groups:\n  picture: {parents: [Formats]}\n")
    tagged(room)
    assert parents(room, "Vertical") == {"Formats"}
    assert parents(room, "Formats") == {"Stash Sense"}
    room.run("undo", what="everything", confirm="everything")
    assert not {"Vertical", "Formats"} & set(room.stash.tags())


def test_undo_of_one_tag_takes_the_parents_that_it_leaves_empty(room: Room) -> None:
    words(room, "labels:\n  vertical: {parents: [Formats]}\n")
    tagged(room)
    room.run("undo", what="tag", tag="Vertical")
    assert not {"Vertical", "Formats"} & set(room.stash.tags())


# --- What is taken away under another name --------------------------------------------------------

ALIAS = "labels:\n  vertical: {aliases: [Portrait Format]}\n"


def taken_away(room: Room, *, noticed: bool = True) -> int:
    """A scene from which the user took his own tag that we had written."""
    room.stash.add_tag("Portrait Format")
    words(room, ALIAS)
    scene = tagged(room)
    room.stash.untag_scene(scene, room.stash.tags()["Portrait Format"])
    if noticed:
        room.again(scene)
        room.run()
    return scene


def said(room: Room) -> list[tuple[str, str, str | None]]:
    rows = room.run("suggestions")["suggestions"]
    return [(row["name"], row["decision"], row["said"]) for row in rows]


def test_what_was_taken_away_by_its_other_name_is_refused_by_ours(room: Room) -> None:
    scene = taken_away(room)
    assert room.tags(scene) == DONE
    assert said(room) == []
    [verdict] = room.run("verdicts")["verdicts"]
    assert (verdict["name"], verdict["source"]) == ("Portrait Format", "noticed")


@pytest.mark.parametrize("noticed", [True, False])
def test_it_does_not_come_back_when_the_alias_goes(room: Room, noticed: bool) -> None:
    scene = taken_away(room, noticed=noticed)
    words(room, "")
    room.run("decide")
    room.again(scene)
    room.run()
    assert room.tags(scene) == DONE
    assert said(room) == []


def test_it_does_not_come_back_when_the_users_tag_is_deleted(room: Room) -> None:
    scene = taken_away(room)
    room.stash.remove_tag(room.stash.tags()["Portrait Format"])
    room.again(scene)
    room.run()
    assert room.tags(scene) == DONE


@pytest.mark.parametrize("text", [ALIAS, ""])
def test_who_accepts_it_by_our_name_has_it_again(room: Room, text: str) -> None:
    scene = taken_away(room)
    words(room, text)
    room.run("decide")
    room.run("accept", items=[{"scene_id": str(scene), "name": "Vertical"}])
    expected = DONE | {"Portrait Format" if text else "Vertical"}
    assert room.tags(scene) == expected
    room.run("decide")
    assert room.tags(scene) == expected


def test_who_forgets_that_it_was_taken_away_has_it_again(room: Room) -> None:
    scene = taken_away(room)
    [verdict] = room.run("verdicts")["verdicts"]
    room.run("verdicts", forget=verdict["id"])
    room.run("decide")
    assert room.tags(scene) == DONE | {"Portrait Format"}


def test_its_marker_does_not_come_back_either(room: Room) -> None:
    room.stash.add_tag("Portrait Format")
    room.configure(**QUIET, markers=True)
    words(room, ALIAS)
    scene = tagged(room)
    [marker] = room.stash.scene_markers(scene)
    room.stash.remove_marker(marker["id"])
    words(room, "")
    room.again(scene)
    room.run()
    assert room.tags(scene) == DONE | {"Vertical"}
    assert room.stash.scene_markers(scene) == []


def test_refusing_it_by_our_name_takes_it_when_the_alias_is_gone(room: Room) -> None:
    room.stash.add_tag("Portrait Format")
    words(room, ALIAS)
    scene = tagged(room)
    words(room, "")
    room.run("refuse", items=[{"scene_id": str(scene), "name": "Vertical"}])
    assert room.tags(scene) == DONE


def test_what_an_undo_put_again_is_refused_by_our_name_too(room: Room) -> None:
    room.stash.add_tag("Portrait Format")
    words(room, ALIAS)
    scene = tagged(room)
    words(room, "never: [vertical]\n")
    run = room.run("decide")["run_id"]
    assert room.tags(scene) == DONE
    room.run("undo", what="run", run=run)
    assert room.tags(scene) == DONE | {"Portrait Format"}
    [entry] = room.engine.ledger.ours([str(scene)])
    assert (entry.target_name, entry.asked_as) == ("Portrait Format", ("Vertical",))


# --- Words of networks of which all are wanted ----------------------------------------------------

OURS = ROOT / "models" / "vocabulary.yaml"
ALL_OF = {"nsfwjs": ["Neutral", "Drawing"]}


def with_own(tmp_path: Path, text: str) -> Vocabulary:
    path = tmp_path / "vocabulary.yaml"
    path.write_text(text, "utf-8")
    return load_vocabulary(OURS, path, all_of=ALL_OF)


def test_a_word_of_a_network_is_changed_and_dropped_by_its_name(tmp_path: Path) -> None:
    told = with_own(tmp_path, "labels:\n  neutral: {tag: SFW}\n  Drawing: {remove: true}\n")
    assert told.labels["Neutral"].tag == "SFW"
    assert told.labels["Neutral"].classes == ("nsfwjs/Neutral",)
    assert "Drawing" not in told.labels


def test_a_label_of_the_users_own_keeps_its_name_and_its_word(tmp_path: Path) -> None:
    told = with_own(
        tmp_path,
        "labels:\n"
        "  neutral: {group: thing, tag: Neutral Ground, reads: [neutral]}\n"
        "  art: {group: thing, tag: Art, classes: [nsfwjs/Drawing]}\n",
    )
    assert told.labels["neutral"].reads == ("neutral",)
    assert told.labels["Neutral (nsfwjs)"].classes == ("nsfwjs/Neutral",)
    assert "Drawing" not in told.labels


def test_a_name_that_is_near_no_other_is_refused_without_others(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match=r"no label 'qqqqqqqq' to remove$"):
        with_own(tmp_path, "labels:\n  qqqqqqqq: {remove: true}\n")
