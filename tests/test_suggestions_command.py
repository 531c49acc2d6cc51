"""The command `suggestions`: what it asks for, what it prints, and how it ends."""

import argparse
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from demo.stash import StandIn
from stash_sense_plugin.cli import suggestions
from stash_sense_plugin.cli.desk import Desk, WrongUsage
from tests.verdict_kit import APPLY, VerdictRoom, open_room, suggestion


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, tmp_path: Path) -> Iterator[VerdictRoom]:
    with open_room(stash, tmp_path) as opened:
        yield opened


class NearDesk(Desk):
    """A desk whose worker is in this process."""

    def __init__(self, room: VerdictRoom) -> None:
        self.console = Console(file=io.StringIO(), width=300)
        self.lines: list[Any] = []
        self._room = room
        self._server = {}

    def ask(self, mode: str, args: Mapping[str, object], *, told: bool = True) -> Any:
        return self._room.run(mode, **json.loads(json.dumps(args)))

    def print_json(self, value: object) -> None:
        self.lines.append(json.loads(json.dumps(value)))


def command(room: VerdictRoom, *words: object) -> tuple[int, list[Any], str]:
    """Run `suggestions`: its status, its lines of JSON, and what it shows."""
    parser = argparse.ArgumentParser()
    suggestions.add(parser.add_subparsers())
    asked = parser.parse_args(["suggestions", *map(str, words)])
    desk = NearDesk(room)
    status = asked.command(asked, desk)
    file = desk.console.file
    assert isinstance(file, io.StringIO)
    return status, desk.lines, file.getvalue()


def three(room: VerdictRoom) -> list[int]:
    scenes = [room.scene() for _ in range(3)]
    for number, scene in enumerate(scenes, 1):
        room.looked(scene, suggestion("Beach", number / 10), suggestion("Dog", 0.9, APPLY))
    return scenes


def test_what_is_suggested_is_shown(room: VerdictRoom) -> None:
    scenes = three(room)
    status, _, shown = command(room, "list", "--tag", "beach")
    assert status == 0
    rows = [line for line in shown.splitlines() if "Beach" in line]
    assert [str(scene) in row for scene, row in zip(scenes[::-1], rows, strict=True)] == [True] * 3
    assert all(word in rows[0] for word in ("Scene 3", "ask", "30%", "0:01-0:04"))
    assert "Nothing is suggested." in command(room, "list", "--tag", "Cat")[2]


def test_json_is_a_line_for_each_and_ends_at_the_limit(room: VerdictRoom) -> None:
    scenes = three(room)
    _, lines, shown = command(room, "list", "--json")
    assert len(lines) == 6
    assert shown == ""
    _, some, _ = command(room, "list", "--json", "--limit", 4)
    assert some == lines[:4]
    _, written, _ = command(room, "list", "--json", "--scene", scenes[0], "--decision", "apply")
    assert [row["name"] for row in written] == ["Dog"]


def test_counts_of_each(room: VerdictRoom) -> None:
    three(room)
    _, lines, _ = command(room, "list", "--counts", "--json")
    assert [(row["name"], row["ask"], row["apply"]) for row in lines] == [
        ("Beach", 3, 0),
        ("Dog", 0, 3),
    ]
    assert "Beach" in command(room, "list", "--counts")[2]


def test_accept_and_refuse_by_scene(room: VerdictRoom) -> None:
    scene, *_ = three(room)
    status, _, shown = command(room, "accept", scene, "Beach", "Dog")
    assert (status, room.tags(scene)) == (0, {"Beach", "Dog"})
    assert "Accepted: 2 (written 2, there already 0, markers 0)" in shown
    status, _, shown = command(room, "refuse", scene, "Dog")
    assert (status, room.tags(scene)) == (0, {"Beach"})
    assert "Refused: 1 (taken back 1, markers 0, not ours and left 0)" in shown
    status, _, shown = command(room, "accept", scene, "Baech")
    assert status == 1
    assert "Baech: Stash Sense suggested no such thing" in shown


def test_markers_have_a_word_of_their_own(room: VerdictRoom) -> None:
    scene, *_ = three(room)
    room.stash.tag_scene(scene, room.tag("Beach"))
    status, _, shown = command(room, "accept", scene, "Beach", "--kind", "marker")
    assert status == 0
    assert "Accepted: 1 (written 0, there already 0, markers 1)" in shown
    [row] = command(room, "verdicts", "--json")[1]
    assert (row["kind"], row["name"], row["said"]) == ("marker", "Beach", "accepted")
    _, _, shown = command(room, "refuse", scene, "Beach", "--kind", "marker")
    assert "Refused: 1 (taken back 0, markers 1, not ours and left 0)" in shown
    for _ in "12":
        _, _, shown = command(room, "unsay", scene, "Beach", "--kind", "marker")
        assert "Said no longer: 1 (taken back 0, written again 0, markers 1)" in shown
    assert (room.tags(scene), room.stash.scene_markers(scene)) == ({"Beach"}, [])


def test_what_was_said_is_taken_back(room: VerdictRoom) -> None:
    scene, *_ = three(room)
    before = room.tags(scene)
    command(room, "accept", scene, "Beach")
    _, _, shown = command(room, "unsay", scene, "Beach", "--dry-run")
    assert "Would be said no longer: 1 (taken back 1, written again 0, markers 0)" in shown
    status, _, shown = command(room, "unsay", scene, "Beach")
    assert (status, room.tags(scene)) == (0, before)
    assert "Said no longer: 1 (taken back 1, written again 0, markers 0)" in shown
    status, _, shown = command(room, "unsay", scene, "Beach")
    assert status == 1
    assert "Beach: you said nothing of it; see what you said: suggestions verdicts" in shown


def test_a_refused_tag_that_has_another_name_now_is_said_to_stay(room: VerdictRoom) -> None:
    scene, *_ = three(room)
    command(room, "accept", scene, "Dog")
    room.stash.database.run("UPDATE tags SET name = 'Hound' WHERE name = 'Dog'")
    status, _, shown = command(room, "refuse", scene, "Dog")
    assert (status, room.tags(scene)) == (0, {"Hound"})
    assert "not ours and left 1)" in shown
    told = f"scene {scene}, Dog: it stays: Stash Sense wrote it as 'Dog', and the tag is called"
    assert f"{told} 'Hound' now; remove it in Stash, where you do not want it" in shown
    assert "more" not in shown


def test_accept_by_tag_says_first_how_many(room: VerdictRoom) -> None:
    scenes = three(room)
    words = ("accept", "--tag", "Beach", "--above", "20%")
    _, _, shown = command(room, *words, "--dry-run")
    assert "Would be accepted: 2 (written 2" in shown
    assert room.stash.tag_id("Beach") is None
    _, [done], _ = command(room, *words, "--json")
    assert done["accepted"] == 2
    assert [room.tags(scene) for scene in scenes] == [set(), {"Beach"}, {"Beach"}]


@pytest.mark.parametrize("mode", ["accept", "refuse"])
def test_markers_are_not_spoken_of_in_the_whole_library(room: VerdictRoom, mode: str) -> None:
    three(room)
    with pytest.raises(WrongUsage, match=f"`suggestions {mode} --kind marker SCENE TAG...`"):
        command(room, mode, "--kind", "marker", "--tag", "Dog", "--above", "10")
    assert room.engine.verdicts.listing() == []


def test_a_kind_chooses_among_what_has_one_name(room: VerdictRoom) -> None:
    scene = room.scene()
    room.looked(scene, suggestion("Dog"), suggestion("Dog", kind="studio", target_id="7"))
    words = ("refuse", "--tag", "Dog", "--above", "10", "--dry-run", "--json")
    for kind, count in (("studio", 1), ("performer", 0)):
        assert command(room, *words, "--kind", kind)[1][0]["refused"] == count
    assert command(room, *words)[1][0]["refused"] == 2


def test_verdicts_are_shown_and_forgotten(room: VerdictRoom) -> None:
    scene, *_ = three(room)
    assert "Nothing was said yet." in command(room, "verdicts")[2]
    command(room, "refuse", scene, "Dog")
    _, [verdict], _ = command(room, "verdicts", "--json", "--said", "refused")
    assert "refused" in command(room, "verdicts")[2]
    _, _, shown = command(room, "forget", verdict["id"])
    assert "Forgotten: Dog was refused" in shown
    assert room.refused(scene) == set()


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("accept",), id="nothing"),
        pytest.param(("accept", "1"), id="no tag"),
        pytest.param(("refuse", "--tag", "Beach"), id="no percentage"),
        pytest.param(("refuse", "1", "Dog", "--tag", "Beach", "--above", "5"), id="both"),
        pytest.param(("accept", "1", "Dog", "--above", "5"), id="a percentage of one"),
    ],
)
def test_words_that_do_not_go_together(room: VerdictRoom, words: tuple[str, ...]) -> None:
    with pytest.raises(WrongUsage, match="SCENE TAG"):
        command(room, *words)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param((), id="no action"),
        pytest.param(("accept", "Beach", "Dog"), id="no scene"),
        pytest.param(("unsay", "1"), id="no tag to take back"),
        pytest.param(("list", "--limit", "0"), id="none"),
        pytest.param(("accept", "--tag", "Beach", "--above", "101"), id="too sure"),
    ],
)
def test_words_that_are_none(
    room: VerdictRoom, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command(room, *words)
    assert "usage:" in capsys.readouterr().err
