"""Suggestions are listed, accepted and refused: the verdict is kept, and Stash follows at once."""

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from demo.stash import Fault, StandIn
from stash_sense_plugin.errors import (
    SettingsError,
    StashError,
    StashRefused,
    StashUnreachable,
    TagGone,
)
from stash_sense_plugin.records import Fingerprint, Said
from stash_sense_plugin.stash.operations import find_tag
from stash_sense_plugin.tasks import MODES
from stash_sense_plugin.tasks.writing import open_writing
from tests.verdict_kit import APPLY, ASK, VerdictRoom, open_room, suggestion


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, tmp_path: Path) -> Iterator[VerdictRoom]:
    with open_room(stash, tmp_path) as opened:
        yield opened


def beach(room: VerdictRoom, *tags: str, count: int = 1) -> list[int]:
    """Scenes for which Beach is suggested, ever more certainly."""
    scenes = [room.scene(*tags) for _ in range(count)]
    for number, scene in enumerate(scenes, 1):
        room.looked(scene, suggestion("Beach", round(number / 10, 1)), suggestion("Dog", 0.3))
    return scenes


def write(room: VerdictRoom, scene: int, *names: str) -> None:
    """Tag a scene as a sweep does."""
    found = room.read(scene)
    with room.client() as client:
        run_id = room.engine.store.begin_run("tag_scenes", {})
        writer, _ = open_writing(room.engine, client, run_id)
        tags = [(writer.ensure_tag(name), name) for name in names]
        writer.add_tags([found], {found.id: tags})
        room.engine.store.end_run(run_id, "done", {})


def every(room: VerdictRoom, **args: Any) -> list[Any]:
    """All rows, page after page."""
    page = room.run("suggestions", **args)
    rows = list(page["suggestions"])
    while page["next"] is not None:
        assert len(json.dumps(page)) < 1_000_000
        page = room.run("suggestions", after=page["next"], **args)
        rows += page["suggestions"]
    return rows


# --- Accepting ----------------------------------------------------------------------------------


def test_what_is_accepted_is_written_at_once_as_ours(room: VerdictRoom) -> None:
    [scene] = beach(room, "Mine")
    report = room.say("accept", scene, "beach")
    assert (report["accepted"], report["written"], report["failed"]) == (1, 1, 0)
    assert room.tags(scene) == {"Mine", "Beach"}
    assert room.ours(scene) == ["Beach"]
    assert room.accepted(scene) == {"beach", str(room.stash.tag_id("Beach"))}
    run = room.engine.store.run(report["run_id"])
    assert run is not None
    assert (run.kind, run.status) == ("accept", "done")


def test_what_is_there_already_stays_the_users(room: VerdictRoom) -> None:
    [scene] = beach(room, "Beach")
    report = room.say("accept", scene, "Beach")
    assert (report["written"], report["there"]) == (0, 1)
    assert room.ours(scene) == []


def test_accepting_what_was_refused_writes_it(room: VerdictRoom) -> None:
    [scene] = beach(room)
    room.say("refuse", scene, "Beach")
    room.say("accept", scene, "Beach")
    assert room.tags(scene) == {"Beach"}
    assert room.refused(scene) == set()


def test_markers_come_with_the_tag_where_the_user_wants_them(room: VerdictRoom) -> None:
    room.configure(markers=True)
    scene = room.scene()
    room.looked(scene, suggestion("Beach", ranges=[(1.0, 4.0), (20.0, 25.5)]))
    report = room.say("accept", scene, "Beach")
    assert report["markers"] == 2
    found = room.stash.scene_markers(scene)
    assert [(each["seconds"], each["end_seconds"]) for each in found] == [(1.0, 4.0), (20.0, 25.5)]
    again = room.say("accept", scene, "Beach")
    assert (again["markers"], again["there"]) == (0, 1)
    assert len(room.stash.scene_markers(scene)) == 2


def test_a_studio_is_accepted_where_there_is_none(room: VerdictRoom) -> None:
    studio = room.stash.add_studio("Northlight")
    scene = room.scene()
    room.looked(scene, suggestion("Northlight", kind="studio", target_id=str(studio)))
    report = room.say("accept", scene, "Northlight", kind="studio")
    assert report["written"] == 1
    assert room.stash.scene_studio(scene) == "Northlight"
    room.say("refuse", scene, "Northlight", kind="studio")
    assert room.stash.scene_studio(scene) is None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param("gone", "the scene is not in Stash", id="scene gone"),
        pytest.param("file", "its file has changed since it was looked at", id="another file"),
        pytest.param("name", "Stash Sense suggested no such thing for this scene", id="a typo"),
        pytest.param("never", "you never want it suggested", id="never"),
    ],
)
def test_what_cannot_be_accepted_is_said_and_keeps_nothing_else_from_it(
    room: VerdictRoom, spoil: str, reason: str
) -> None:
    good, bad = beach(room, count=2)
    if spoil == "gone":
        room.stash.remove_scene(bad)
    if spoil == "file":
        room.stash.database.run("UPDATE fingerprints SET value = 'f' || value WHERE file_id = 2")
        room.stash.database.run(
            "UPDATE fingerprints SET value = ? WHERE file_id IN"
            " (SELECT file_id FROM scenes_files WHERE scene_id = ?)",
            "f" * 16,
            bad,
        )
    if spoil == "never":
        room.looked(bad, suggestion("Cat"))
        room.configure(never="cat")
    name = {"name": "Baech", "never": "Cat"}.get(spoil, "Beach")
    items = [{"scene_id": str(good), "name": "Beach"}, {"scene_id": str(bad), "name": name}]
    report = room.run("accept", items=items)
    assert (report["accepted"], report["failed"]) == (1, 1)
    [failure] = report["failures"]
    assert (failure["scene_id"], failure["message"]) == (str(bad), reason)
    assert room.tags(good) == {"Beach"}
    assert room.stash.tag_id("Baech") is None
    assert len(room.engine.verdicts.listing()) == 1


def test_a_tag_of_ours_that_was_deleted_is_made_again_and_a_renamed_one_is_not(
    room: VerdictRoom,
) -> None:
    first, second, third = beach(room, count=3)
    room.say("accept", first, "Beach")
    made = room.tag("Beach")
    room.stash.database.run("UPDATE tags SET name = 'Strand' WHERE id = ?", made)
    report = room.say("accept", second, "Beach")
    assert "is now called 'Strand'" in report["failures"][0]["message"]
    assert room.tags(second) == set()
    room.stash.remove_tag(made)
    assert room.say("accept", third, "Beach")["written"] == 1
    assert room.tags(third) == {"Beach"}


def test_a_tag_whose_parent_the_user_deleted_is_accepted_all_the_same(room: VerdictRoom) -> None:
    [scene] = beach(room)
    room.say("accept", scene, "Beach")
    parent = room.stash.tag_id("Stash Sense")
    assert parent is not None
    room.stash.remove_tag(parent)
    report = room.say("accept", scene, "Dog")
    assert (report["written"], report["failed"]) == (1, 0)
    assert room.tags(scene) == {"Beach", "Dog"}
    assert room.stash.tag_id("Stash Sense") is not None


def test_a_tag_whose_parent_has_another_name_now_is_said(room: VerdictRoom) -> None:
    [scene] = beach(room)
    room.say("accept", scene, "Beach")
    parent = room.stash.tag_id("Stash Sense")
    room.stash.database.run("UPDATE tags SET name = 'Seen' WHERE id = ?", parent)
    [failure] = room.say("accept", scene, "Dog")["failures"]
    assert (
        failure["message"]
        == "The tag 'Stash Sense', which Stash Sense created, is now called 'Seen'"
    )
    assert "alias 'Stash Sense'" in failure["remedy"]
    assert room.tags(scene) == {"Beach"}


# --- Refusing -----------------------------------------------------------------------------------


def test_what_is_refused_is_taken_back_with_its_markers(room: VerdictRoom) -> None:
    room.configure(markers=True)
    [scene] = beach(room, "Mine")
    room.say("accept", scene, "Beach", "Dog")
    report = room.say("refuse", scene, "Beach")
    assert (report["refused"], report["taken_back"], report["markers"]) == (1, 1, 1)
    assert room.tags(scene) == {"Mine", "Dog"}
    assert [each["primary_tag"] for each in room.stash.scene_markers(scene)] == ["Dog"]
    assert room.accepted(scene) >= {"dog"}
    assert room.refused(scene) == {"beach", str(room.stash.tag_id("Beach"))}


def test_what_the_user_put_there_stays_although_it_is_refused(room: VerdictRoom) -> None:
    [scene] = beach(room, "Beach")
    report = room.say("refuse", scene, "Beach")
    assert (report["refused"], report["taken_back"], report["not_ours"]) == (1, 0, 1)
    assert room.tags(scene) == {"Beach"}
    room.stash.untag_scene(scene, room.tag("Beach"))
    write(room, scene, "Beach")
    assert room.tags(scene) == set()


@pytest.mark.parametrize("name", ["Beach", "Strand"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_tag_of_ours_that_has_another_name_now_stays_and_it_is_said(
    room: VerdictRoom, name: str, dry_run: bool
) -> None:
    [scene] = beach(room)
    write(room, scene, "Beach")
    made = room.tag("Beach")
    room.stash.database.run("UPDATE tags SET name = 'Strand' WHERE id = ?", made)
    items = [{"scene_id": str(scene), "name": name}]
    report = room.run("refuse", items=items, dry_run=dry_run)
    counts = {key: report[key] for key in ("refused", "taken_back", "not_ours", "failed")}
    assert counts == {"refused": 1, "taken_back": 0, "not_ours": 1, "failed": 0}
    [stays] = report["left"]
    assert (stays["scene_id"], stays["name"]) == (str(scene), name)
    assert stays["message"] == (
        "it stays: Stash Sense wrote it as 'Beach', and the tag is called 'Strand' now"
    )
    assert stays["remedy"] == "remove it in Stash, where you do not want it"
    assert room.tags(scene) == {"Strand"}


def test_a_marker_of_ours_that_was_changed_stays_and_it_is_said(room: VerdictRoom) -> None:
    room.configure(markers=True)
    [scene] = beach(room)
    room.say("accept", scene, "Beach")
    room.stash.database.run("UPDATE scene_markers SET seconds = 2.5")
    report = room.say("refuse", scene, "Beach")
    assert (report["taken_back"], report["markers"], report["not_ours"]) == (1, 0, 1)
    assert report["left"][0]["message"] == "a marker of it stays: it was changed since"
    assert len(room.stash.scene_markers(scene)) == 1


def test_what_the_user_took_away_before_he_refused_it_is_no_failure(room: VerdictRoom) -> None:
    [scene] = beach(room)
    write(room, scene, "Beach")
    room.stash.untag_scene(scene, room.tag("Beach"))
    report = room.say("refuse", scene, "Beach")
    assert (report["refused"], report["taken_back"], report["not_ours"]) == (1, 0, 0)
    assert (report["failures"], report["left"]) == ([], [])


def test_what_is_not_suggested_may_be_refused_too(room: VerdictRoom) -> None:
    scene = room.scene()
    assert room.say("refuse", scene, "Cat")["refused"] == 1
    write(room, scene, "Cat")
    assert room.tags(scene) == set()


@pytest.mark.parametrize("change", ["renamed", "made anew", "merged", "the user's alias"])
def test_refused_stays_refused_whatever_becomes_of_the_tag(room: VerdictRoom, change: str) -> None:
    [scene] = beach(room)
    old = room.tag("Beach")
    room.say("accept", scene, "Beach")
    room.say("refuse", scene, "Beach")
    name = "Beach"
    if change == "renamed":
        room.stash.database.run("UPDATE tags SET name = 'Strand' WHERE id = ?", old)
        name = "Strand"
    else:
        room.stash.remove_tag(old)
    if change == "made anew":
        room.stash.add_tag("BEACH")
    if change == "merged":
        room.stash.add_tag("Seaside", aliases=["Beach"])
    if change == "the user's alias":
        room.stash.add_tag("Strand", aliases=["Beach"])
    write(room, scene, name)
    assert room.tags(scene) == set()
    if change == "merged":
        # Suggested by its other name, it is the same tag still.
        write(room, scene, "Seaside")
        assert room.tags(scene) == set()


def test_what_was_taken_away_in_stash_is_listed_as_a_verdict(room: VerdictRoom) -> None:
    [scene] = beach(room)
    write(room, scene, "Beach", "Dog")
    room.stash.untag_scene(scene, room.tag("Beach"))
    with room.client() as client:
        writer, _ = open_writing(room.engine, client, "run")
        writer.notice_removed([room.read(scene)], on_purpose=True)
    [verdict] = room.run("verdicts")["verdicts"]
    assert (verdict["said"], verdict["source"], verdict["name"]) == ("refused", "noticed", "Beach")
    assert room.ours(scene) == ["Dog"]


def test_a_kill_between_the_verdict_and_its_taking_back_leaves_it_refused_and_ours(
    room: VerdictRoom,
) -> None:
    [scene] = beach(room)
    room.say("accept", scene, "Beach")
    room.stash.fault("bulkSceneUpdate", Fault(drop="before", times=9))
    with pytest.raises(StashUnreachable):
        room.say("refuse", scene, "Beach")
    room.stash.clear_faults()
    assert "beach" in room.refused(scene)
    assert room.tags(scene) == {"Beach"}
    assert room.say("refuse", scene, "Beach")["taken_back"] == 1
    assert room.tags(scene) == set()
    assert room.engine.ledger.unsettled() == []


def test_a_write_whose_answer_was_lost_is_taken_back_too(room: VerdictRoom) -> None:
    [scene] = beach(room)
    room.stash.fault("bulkSceneUpdate", Fault(drop="after", times=9))
    with pytest.raises(StashUnreachable):
        room.say("accept", scene, "Beach")
    room.stash.clear_faults()
    assert room.tags(scene) == {"Beach"}
    assert len(room.engine.ledger.unsettled()) == 1
    assert room.say("refuse", scene, "Beach")["taken_back"] == 1
    assert room.tags(scene) == set()


def test_where_stash_refuses_the_write_the_verdict_is_kept_and_the_run_says_so(
    room: VerdictRoom,
) -> None:
    [scene] = beach(room)
    room.stash.fault("bulkSceneUpdate", Fault(error="constraint failed", times=9))
    try:
        report = room.say("accept", scene, "Beach")
    except StashRefused:
        report = {"failed": 1}
    room.stash.clear_faults()
    assert report["failed"] == 1
    assert "beach" in room.accepted(scene)


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("mode", ["accept", "refuse"])
def test_in_another_library_nothing_is_said_followed_or_touched(
    room: VerdictRoom, mode: str, dry_run: bool
) -> None:
    """It has the same files under other numbers: at home nothing was merged."""
    known, moved = beach(room, count=2)
    write(room, moved, "Beach")
    room.engine.store.remember_library("/elsewhere/stash.sqlite", {str(known): "f" * 16})
    file = room.read(moved).fingerprint
    room.stash.remove_scene(moved)
    there = room.scene(file=file)
    with pytest.raises(StashError, match="another library"):
        room.run(mode, items=[{"scene_id": str(there), "name": "Beach"}], dry_run=dry_run)
    assert room.ours(moved) == ["Beach"]
    assert room.engine.store.latest_result(str(moved)) is not None
    assert room.engine.verdicts.listing() == []
    assert room.engine.store.runs(9)[0].kind == "tag_scenes"


# --- Undoing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["last", "tag", "scene"])
def test_an_accepted_suggestion_that_is_undone_is_accepted_no_longer(
    room: VerdictRoom, what: str
) -> None:
    [scene] = beach(room, "Mine")
    room.say("accept", scene, "Beach")
    more = {"tag": "Beach"} if what == "tag" else {"scene": scene} if what == "scene" else {}
    room.run("undo", what=what, **more)
    assert room.tags(scene) == {"Mine"}
    assert room.accepted(scene) == set()
    [row] = room.run("suggestions", by="tag", tag="Beach")["suggestions"]
    assert (row["decision"], row["said"]) == ("ASK", None)


def test_a_refusal_that_is_undone_puts_again_what_it_took(room: VerdictRoom) -> None:
    [scene] = beach(room)
    write(room, scene, "Beach")
    room.say("refuse", scene, "Beach")
    assert room.tags(scene) == set()
    room.run("undo")
    assert room.tags(scene) == {"Beach"}
    assert room.refused(scene) == set()
    assert room.ours(scene) == ["Beach"]


# --- In any order -------------------------------------------------------------------------------

NAMES = ("Beach", "Strand")
MERGE_TAGS = "mutation Merge($input: TagsMergeInput!) { tagsMerge(input: $input) { id } }"
STEPS = st.tuples(
    st.sampled_from(
        ["accept", "refuse", "refuse", "decide", "decide", "rename", "make anew", "merge", "remove"]
    ),
    st.sampled_from(NAMES),
)


@settings(max_examples=20)
@given(steps=st.lists(STEPS, min_size=2, max_size=9))
@example(steps=[("refuse", "Beach"), ("rename", "Beach"), ("decide", "Strand")])
@example(steps=[("decide", "Beach"), ("remove", "Beach"), ("make anew", "Beach")])
@example(steps=[("decide", "Strand"), ("refuse", "Strand"), ("merge", "Strand")])
def test_what_is_refused_is_never_there_whatever_is_decided_named_or_merged(
    stash: StandIn, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    """Until it is accepted; and what the user has on the scene himself stays through it all."""
    with open_room(stash, tmp_path_factory.mktemp("any")) as room:
        scene = room.scene("Mine")
        room.looked(scene, *map(suggestion, NAMES))
        any_order = AnyOrder(room, scene)
        for step, name in (*steps, ("decide", "Beach"), ("decide", "Strand")):
            any_order.take(step, name)


@dataclass
class AnyOrder:
    """A scene to which all may happen, and the words that are refused by then."""

    room: VerdictRoom
    scene: int
    refused: set[str] = field(default_factory=set)

    def take(self, step: str, name: str) -> None:
        getattr(self, f"_{step.replace(' ', '_')}")(name)
        tags = self.room.tags(self.scene)
        assert "Mine" in tags
        there = {word for each in tags for word in self._words(each)}
        assert not there & self.refused, (step, name, tags, self.refused)
        assert self.room.refused(self.scene) == self.refused

    def _accept(self, name: str) -> None:
        if self.room.say("accept", self.scene, name)["accepted"]:
            self.refused -= {name.casefold(), *self._words(name)}

    def _refuse(self, name: str) -> None:
        ours = {
            (each.target_id, each.target_name.casefold())
            for each in self.room.engine.ledger.ours([str(self.scene)])
        }
        said = {name.casefold(), *self._words(name)[:1]}
        more = {tag_id for tag_id, called in ours if {tag_id, called} & said}
        self.room.say("refuse", self.scene, name)
        self.refused |= said | more

    def _decide(self, name: str) -> None:
        before = self.room.tags(self.scene)
        with suppress(TagGone):
            write(self.room, self.scene, name)
        words = {name.casefold(), *self._words(name)}
        if words & self.refused:
            assert self.room.tags(self.scene) == before

    def _rename(self, name: str) -> None:
        """The user gives the tag another name; it is the same one."""
        self._remove(name)
        tag, other = self.room.stash.tag_id(name), self._other(name)
        if tag is not None and self.room.stash.tag_id(other) is None:
            sql = "UPDATE tags SET name = ? WHERE id = ?"
            self.room.stash.database.run(sql, other, tag)

    def _make_anew(self, name: str) -> None:
        self._remove(name)
        tag = self.room.stash.tag_id(name)
        if tag is not None:
            self.room.stash.remove_tag(tag)
        if not self._words(name):
            self.room.stash.add_tag(name)

    def _merge(self, name: str) -> None:
        """The user merges the tag into the other one, which keeps its name as an alias."""
        self._remove(name)
        tag, other = self.room.stash.tag_id(name), self.room.stash.tag_id(self._other(name))
        if tag is not None and other is not None:
            self._remove(self._other(name))
            with self.room.client() as client:
                wanted = {"source": [str(tag)], "destination": str(other)}
                client.call(MERGE_TAGS, {"input": wanted})

    def _remove(self, name: str) -> None:
        tag = self.room.stash.tag_id(name)
        if tag is not None and name in self.room.tags(self.scene):
            self.room.stash.untag_scene(self.scene, tag)
            self._notice()

    def _notice(self) -> None:
        found = self.room.read(self.scene)
        gone = [
            each
            for each in self.room.engine.ledger.ours([found.id])
            if each.target_id not in found.tag_ids
        ]
        with self.room.client() as client:
            writer, _ = open_writing(self.room.engine, client, "run")
            writer.notice_removed([found], on_purpose=True)
        for each in gone:
            self.refused |= {each.target_id, each.target_name.casefold()}

    def _other(self, name: str) -> str:
        return NAMES[name == NAMES[0]]

    def _words(self, name: str) -> list[str]:
        """The id of the tag of this name or alias, then all its names."""
        with self.room.client() as client:
            tag = find_tag(client, name)
        if tag is None:
            return []
        return [tag.id, *map(str.casefold, (tag.name, *tag.aliases))]


# --- Many at once -------------------------------------------------------------------------------


def test_all_of_a_tag_above_a_confidence(room: VerdictRoom) -> None:
    scenes = beach(room, count=5)
    dry = room.run("accept", tag="beach", above=0.3, dry_run=True)
    assert (dry["accepted"], dry["written"], dry["run_id"]) == (3, 3, None)
    assert room.stash.tag_id("Beach") is None
    assert room.engine.verdicts.listing() == []
    report = room.run("accept", tag="beach", above="0.3")
    assert report["accepted"] == 3
    assert [room.tags(scene) for scene in scenes] == [set(), set(), *[{"Beach"}] * 3]
    # What was accepted is no question any more, and is refused with the rest all the same.
    assert room.run("accept", tag="Beach", above=0, dry_run=True)["accepted"] == 2
    gone = room.run("refuse", tag="Beach", above=0, dry_run=True)
    assert (gone["refused"], gone["taken_back"]) == (5, 3)
    assert room.run("refuse", tag="Beach", above=0)["taken_back"] == 3
    assert [room.tags(scene) for scene in scenes] == [set()] * 5


def test_a_studio_is_no_tag_of_the_same_name(room: VerdictRoom) -> None:
    studio = suggestion("Beach", kind="studio", target_id=room.stash.add_studio("Beach"))
    room.looked(room.scene(), suggestion("Beach"), studio)
    both = [
        room.run("accept", tag="Beach", above=0, dry_run=True, kind=kind) for kind in ("", "tag")
    ]
    assert [report["accepted"] for report in both] == [2, 1]


def test_hundreds_of_scenes_take_few_questions(room: VerdictRoom) -> None:
    scenes = [room.scene() for _ in range(150)]
    for scene in scenes:
        room.looked(scene, suggestion("Beach"))
    room.stash.calls.clear()
    assert room.run("accept", tag="Beach", above=0)["written"] == 150
    assert room.stash.calls["bulkSceneUpdate"] == 2
    assert room.stash.calls.total() <= 24


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param({}, "No suggestion is named", id="nothing"),
        pytest.param({"items": "all"}, "no list", id="no list"),
        pytest.param({"items": []}, "an empty list", id="empty list"),
        pytest.param({"items": [1]}, "1 is no suggestion", id="no item"),
        pytest.param({"items": [{"scene_id": "1"}]}, "has no name", id="no name"),
        pytest.param({"items": [{"name": "Beach"}]}, "No scene is named", id="no scene"),
        pytest.param(
            {"items": [{"scene_id": "1", "name": "B", "kind": "thing"}]},
            "kind is .thing",
            id="no kind",
        ),
        pytest.param({"tag": "Beach", "above": "most"}, "above is 'most'", id="no number"),
        pytest.param({"tag": "Beach", "above": 80}, "above is 80", id="percent"),
    ],
)
@pytest.mark.parametrize("mode", ["accept", "refuse"])
def test_what_cannot_be_meant_is_refused_by_name(
    room: VerdictRoom, mode: str, args: dict[str, Any], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        room.run(mode, **args)


# --- Beside a sweep -----------------------------------------------------------------------------


def test_an_operation_waits_until_the_job_has_written(room: VerdictRoom) -> None:
    [scene] = beach(room)
    done = threading.Event()

    def accept() -> None:
        room.say("accept", scene, "Beach")
        done.set()

    thread = threading.Thread(target=accept)
    with room.engine.writing:
        thread.start()
        while not room.stash.calls["configuration"]:
            assert thread.is_alive()
        assert room.tags(scene) == set()
        assert not done.is_set()
    thread.join(timeout=30)
    assert done.is_set()
    assert room.tags(scene) == {"Beach"}


@pytest.mark.parametrize("mode", ["suggestions", "accept", "refuse", "verdicts"])
def test_they_are_operations(mode: str) -> None:
    assert MODES[mode].kind == "operation"


# --- Lists --------------------------------------------------------------------------------------


def test_the_list_by_tag_begins_with_the_most_certain(room: VerdictRoom) -> None:
    beach(room, count=5)
    first = room.run("suggestions", by="tag", tag="Beach", limit=2)
    rest = room.run("suggestions", by="tag", tag="Beach", limit=9, after=first["next"])
    sure = [row["confidence"] for page in (first, rest) for row in page["suggestions"]]
    assert sure == [0.5, 0.4, 0.3, 0.2, 0.1]
    assert rest["next"] is None


def test_all_are_listed_once_in_pages(room: VerdictRoom) -> None:
    scenes = beach(room, count=4)
    found = [(row["scene_id"], row["name"]) for row in every(room, limit="3")]
    assert sorted(found) == sorted((str(s), name) for s in scenes for name in ("Beach", "Dog"))


def test_a_row_says_why_when_and_what_was_said(room: VerdictRoom) -> None:
    scene = room.scene("Mine")
    room.looked(scene, suggestion("Beach", 0.75, APPLY, [(1, 4)]), suggestion("Dog"))
    room.say("refuse", scene, "Dog")
    [row] = room.run("suggestions", by="scene", scene_id=scene)["suggestions"]
    assert (row["title"], row["source"]) == ("Scene 1", "/lib/1.mp4")
    assert (row["kind"], row["name"], row["decision"], row["said"]) == (
        "tag",
        "Beach",
        "APPLY",
        None,
    )
    assert row["ranges"] == [{"start_s": 1, "end_s": 4, "score": 0.75}]
    assert row["evidence"][0]["time_s"] == 1
    [refused] = room.run("suggestions", by="scene", scene_id=scene, decision="refused")[
        "suggestions"
    ]
    assert (refused["name"], refused["said"]) == ("Dog", "refused")


def test_the_list_follows_the_verdict_at_once(room: VerdictRoom) -> None:
    one, two, three = beach(room, count=3)
    room.say("accept", one, "Beach")
    room.say("refuse", two, "Beach")

    def listed(decision: str) -> list[str]:
        page = room.run("suggestions", by="tag", tag="Beach", decision=decision)
        return [row["scene_id"] for row in page["suggestions"]]

    assert [listed(each) for each in ("ask", "apply", "refused")] == [
        [str(three)],
        [str(one)],
        [str(two)],
    ]
    counts = room.run("suggestions", by="tag")["tags"]
    assert counts[0] == {"kind": "tag", "name": "Beach", "ask": 1, "apply": 1, "refused": 1}
    assert counts[1] == {"kind": "tag", "name": "Dog", "ask": 3, "apply": 0, "refused": 0}
    paged = room.run("suggestions", by="tag", limit=1)
    assert room.run("suggestions", by="tag", after=paged["next"])["tags"] == counts[1:]


def test_a_verdict_stands_in_the_list_although_a_sweep_decided_before_it(room: VerdictRoom) -> None:
    [scene] = beach(room)
    room.say("accept", scene, "Beach")
    room.say("refuse", scene, "Dog")
    # A sweep that looked at the scene before keeps its result after it.
    room.looked(scene, suggestion("Beach"), suggestion("Dog", decision=APPLY), suggestion("Cat"))

    def listed(decision: str) -> list[str]:
        rows = room.run("suggestions", by="scene", scene_id=scene, decision=decision)
        return [row["name"] for row in rows["suggestions"]]

    assert [listed(each) for each in ("ask", "apply", "refused")] == [["Cat"], ["Beach"], ["Dog"]]


def test_what_was_undone_is_asked_about(room: VerdictRoom) -> None:
    scene = room.scene()
    room.looked(scene, suggestion("Beach", decision=APPLY))
    with room.engine.store.write() as db:
        db.execute("UPDATE suggestions SET undone = 1")
    [row] = room.run("suggestions", decision="ask")["suggestions"]
    assert row["decision"] == "ASK"
    assert room.run("accept", tag="Beach", above=0, dry_run=True)["accepted"] == 1


def test_scenes_that_are_gone_are_not_listed_where_stash_is_there(room: VerdictRoom) -> None:
    gone, there = beach(room, count=2)
    room.stash.remove_scene(gone)
    page = room.run("suggestions", by="tag", tag="Beach", limit=1)
    rest = room.run("suggestions", by="tag", tag="Beach", limit=1, after=page["next"])
    rows = [*page["suggestions"], *rest["suggestions"]]
    assert [row["scene_id"] for row in rows] == [str(there)]


def test_a_reply_stays_below_a_megabyte_and_loses_nothing(room: VerdictRoom) -> None:
    ranges = [(float(n), n + 0.5) for n in range(200)]
    scenes = [room.scene() for _ in range(12)]
    for scene in scenes:
        tags = [suggestion(f"Tag {n} {'long ' * 200}", 0.5, ASK, ranges) for n in range(10)]
        room.looked(scene, *tags)
    assert room.run("suggestions", limit=500)["next"] is not None
    found = [(row["scene_id"], row["name"]) for row in every(room, limit=500)]
    assert len(found) == len(set(found)) == 120


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param({"by": "studio"}, "by is 'studio'", id="by"),
        pytest.param({"by": "scene"}, "No scene is named", id="no scene"),
        pytest.param({"decision": "maybe"}, "decision is 'maybe'", id="decision"),
        pytest.param({"limit": 501}, "limit is 501", id="limit"),
        pytest.param({"after": "7"}, "after is '7'", id="after"),
        pytest.param({"after": '["1", 2]'}, "after is", id="after of another list"),
    ],
)
def test_a_list_that_cannot_be_is_refused_by_name(
    room: VerdictRoom, args: dict[str, Any], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        room.run("suggestions", **args)


# --- What was said ------------------------------------------------------------------------------


def test_verdicts_are_listed_and_forgotten(room: VerdictRoom) -> None:
    one, two = beach(room, count=2)
    room.say("accept", one, "Beach")
    room.say("refuse", two, "Dog")
    first = room.run("verdicts", limit=1)
    assert [(row["said"], row["name"]) for row in first["verdicts"]] == [("refused", "Dog")]
    [second] = room.run("verdicts", limit=1, after=first["next"])["verdicts"]
    assert (second["said"], second["scene_id"]) == ("accepted", str(one))
    [only] = room.run("verdicts", said="refused", scene_id=two)["verdicts"]
    assert room.run("verdicts", forget=only["id"])["forgotten"]["name"] == "Dog"
    assert room.refused(two) == set()
    with pytest.raises(SettingsError, match=f"no verdict {only['id']}"):
        room.run("verdicts", forget=only["id"])
    with pytest.raises(SettingsError, match="said is 'maybe'"):
        room.run("verdicts", said="maybe")


def test_a_verdict_carries_what_learning_needs(room: VerdictRoom) -> None:
    [scene] = beach(room)
    report = room.say("accept", scene, "Beach")
    [verdict] = room.engine.verdicts.listing(said=Said.ACCEPTED)
    assert verdict.detail["run_id"] == report["run_id"]
    assert (verdict.detail["label"], verdict.detail["confidence"]) == ("beach", 0.1)
    assert verdict.fingerprint == Fingerprint(f"{1:016x}", 1001)


# --- Undone -------------------------------------------------------------------------------------


def test_undo_of_an_accept_lets_the_refusal_before_it_hold_again(room: VerdictRoom) -> None:
    [scene] = beach(room)
    room.say("refuse", scene, "Beach")
    room.say("accept", scene, "Beach")
    room.run("undo")
    assert (room.tags(scene), room.accepted(scene)) == (set(), set())
    assert "beach" in room.refused(scene)
    room.run("undo")
    assert room.refused(scene) == set()


def test_undo_of_a_refusal_leaves_what_was_noticed_before(room: VerdictRoom) -> None:
    [scene] = beach(room)
    write(room, scene, "Beach", "Dog")
    room.stash.untag_scene(scene, room.tag("Beach"))
    with room.client() as client:
        writer, _ = open_writing(room.engine, client, "")
        writer.notice_removed([room.read(scene)], on_purpose=True)
    noticed = room.refused(scene)
    done = room.say("refuse", scene, "Beach", "Dog")
    room.run("undo", what="run", run=done["run_id"])
    assert (room.refused(scene), room.tags(scene)) == (noticed, {"Dog"})


def test_a_run_that_only_said_something_is_the_last_one(room: VerdictRoom) -> None:
    [scene] = beach(room)
    write(room, scene, "Beach")
    accepted = room.say("accept", scene, "Beach")
    refused = room.say("refuse", scene, "Cat")
    newest = room.run("runs")["runs"][0]
    assert (newest["run_id"], newest["verdicts"]) == (refused["run_id"], 1)
    done = room.run("undo")
    assert (done["undone_run"], done["verdicts"]) == (refused["run_id"], 1)
    assert room.refused(scene) == set()
    assert room.told.said("info")[-1].startswith("Took back nothing, forgot what you said of 1 ")
    assert room.run("undo")["undone_run"] == accepted["run_id"]
    assert (room.tags(scene), room.accepted(scene)) == ({"Beach"}, set())
    shown = {row["name"]: row["decision"] for row in every(room)}
    assert shown == {"Beach": "ASK", "Dog": "ASK"}
    room.run("undo")
    assert room.tags(scene) == set()


def test_undo_of_an_accept_forgets_it_where_nothing_was_written_too(room: VerdictRoom) -> None:
    one, other = beach(room, count=2)
    room.stash.tag_scene(other, room.tag("Beach"))
    items = [{"scene_id": str(each), "name": "Beach"} for each in (one, other)]
    room.run("accept", items=items)
    room.run("undo")
    assert (room.accepted(one), room.accepted(other)) == (set(), set())
    assert (room.tags(one), room.tags(other)) == (set(), {"Beach"})


def test_the_preview_of_undoing_a_refusal_says_what_comes_of_it(room: VerdictRoom) -> None:
    [scene] = beach(room)
    write(room, scene, "Beach")
    room.say("refuse", scene, "Beach")
    rehearsed = room.run("undo", dry_run=True)
    assert room.refused(scene)
    real = room.run("undo")
    same = ("put_again", "verdicts", "left", "undone_run")
    assert {key: rehearsed[key] for key in same} == {key: real[key] for key in same}
    assert (real["put_again"]["tags"], room.tags(scene)) == (1, {"Beach"})
