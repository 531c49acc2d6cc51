"""Deciding again: what changes in Stash, what stays, and what it costs."""

import argparse
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from demo.clips import pan, picture
from demo.stash import Fault, StandIn, fake_file
from stash_sense_plugin.cli import decide
from stash_sense_plugin.cli.desk import Desk
from stash_sense_plugin.errors import Cancelled, StashError
from stash_sense_plugin.library.moving import lines
from stash_sense_plugin.library.verdicts import Saying
from stash_sense_plugin.records import Decision, Fingerprint, Ran, Said, Scene, SceneResult
from stash_sense_plugin.stash.client import Connection, StashClient
from stash_sense_plugin.stash.operations import scenes_by_ids
from stash_sense_plugin.suggestions import DecideOptions
from stash_sense_plugin.tasks import MODES, Call
from stash_sense_plugin.tasks.differing import Covering
from stash_sense_plugin.vocabulary import Vocabulary
from tests.small_networks import answering, mean_colour, sum_of_words
from tests.stash_kit import empty
from tests.sweep_kit import ROOT, Room, Told, encode, open_engine, stopping, write_clips

MERGE = "mutation ($input: SceneMergeInput!) { sceneMerge(input: $input) { id } }"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_clips(tmp_path_factory.mktemp("clips") / "clips")
    large = pan(picture("rocket.jpg"), (270, 480), zoom=1.5, seconds=2)
    encode(folder / "large.mp4", large, 2, (270, 480))
    return folder


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, clips: Path, tmp_path: Path) -> Iterator[Room]:
    empty(stash)
    media = tmp_path / "media"
    media.mkdir()
    with open_engine(tmp_path / "home") as engine:
        prepared = Room(stash, clips, media, engine=engine)
        prepared.configure()
        yield prepared


def words(room: Room, text: str) -> None:
    """Let the user's own vocabulary say this."""
    room.engine.home.mkdir(exist_ok=True)
    room.engine.own_vocabulary.write_text(text)


UPRIGHT = "labels:\n  vertical:\n    tag: Upright\n"
TWO_NAMES = UPRIGHT + "  high:\n    group: picture\n    facts: [picture/vertical]\n    tag: High\n"
GONE = "labels:\n  vertical:\n    remove: true\n"


def changes(report: dict[str, object]) -> dict[tuple[str, str], tuple[int, int]]:
    listed = report["changes"]
    assert isinstance(listed, list)
    return {(row["kind"], row["name"]): (row["added"], row["withdrawn"]) for row in listed}


# --- What changes -------------------------------------------------------------------------------


def test_another_name_for_a_tag_replaces_it_without_a_frame_being_read(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    assert room.tags(scene) == {"Tagged", "Vertical"}
    words(room, UPRIGHT)
    room.paths[scene].unlink()
    report = room.run("decide")
    assert room.tags(scene) == {"Tagged", "Upright"}
    assert changes(report) == {("tag", "Upright"): (1, 0), ("tag", "Vertical"): (0, 1)}
    assert (report["scenes"], report["changed"], report["left"]) == (1, 1, 0)
    assert room.engine.open_networks() == ()
    assert room.told.fractions[-1] == 1


def test_nothing_changed_is_decided_without_a_word_to_stash_about_scenes(room: Room) -> None:
    for _ in range(3):
        room.add("tall.mp4")
    room.run()
    before = room.stash.calls["bulkSceneUpdate"]
    report = room.run("decide")
    assert (report["scenes"], report["changed"]) == (3, 0)
    assert room.stash.calls["bulkSceneUpdate"] == before


def test_a_preview_counts_what_deciding_then_does_and_writes_nothing(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(3)] + [room.add("grey.mp4")]
    room.run()
    words(room, UPRIGHT)
    tags = [room.tags(scene) for scene in scenes]
    runs = len(room.engine.store.runs())
    rows = room.engine.store.stats().ledger_rows
    preview = room.run("decide", dry_run="true")
    assert [room.tags(scene) for scene in scenes] == tags
    assert "Upright" not in room.stash.tags()
    assert len(room.engine.store.runs()) == runs
    assert room.engine.store.stats().ledger_rows == rows
    assert room.told.said("info")[:2] == [
        "Upright: 3 added, 0 withdrawn",
        "Vertical: 0 added, 3 withdrawn",
    ]
    assert preview["run_id"] is None
    report = room.run("decide")
    assert changes(report) == changes(preview)
    assert changes(report) == {("tag", "Upright"): (3, 0), ("tag", "Vertical"): (0, 3)}


def test_a_preview_counts_the_markers_of_new_tags_and_of_one_that_the_user_took_away(
    room: Room,
) -> None:
    room.configure(markers=True)
    scene, other = room.add("tall.mp4"), room.add("tall.mp4")
    room.run()
    room.stash.untag_scene(other, room.tag("Vertical"))
    words(room, TWO_NAMES)
    preview = changes(room.run("decide", dry_run="true"))
    assert changes(room.run("decide")) == preview
    assert preview[("marker", "Upright")] == preview[("marker", "High")]
    assert preview[("marker", "Vertical")] == (0, 2)
    assert {"Upright", "High"} <= room.tags(scene)


def test_never_suggest_withdraws_and_taking_it_out_brings_back(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    room.configure(never="vertical")
    room.run("decide")
    assert room.tags(scene) == {"Tagged"}
    room.configure()
    room.run("decide")
    assert room.tags(scene) == {"Tagged", "Vertical"}


def test_what_the_user_gave_stays_although_it_is_no_longer_decided(room: Room) -> None:
    vertical = room.tag("Vertical")
    mine, other = room.add("tall.mp4"), room.add("tall.mp4")
    room.stash.tag_scene(mine, vertical)
    room.run()
    words(room, GONE)
    room.run("decide")
    assert room.tags(mine) == {"Tagged", "Vertical"}
    assert room.tags(other) == {"Tagged"}


def test_markers_follow_their_ranges_and_go_with_their_tag(room: Room) -> None:
    room.configure(markers=True)
    scene = room.add("nights.mp4")
    room.run()
    assert dark(room, scene) == [(0.0, 7.5)]
    others = [each for each in room.stash.scene_markers(scene) if each["primary_tag"] != "Dark"]
    words(room, "labels:\n  dark:\n    gap_s: 0\n    grow: 0\n")
    room.run("decide")
    assert dark(room, scene) == [(0.0, 2.875), (4.375, 7.5)]
    words(room, "labels:\n  dark:\n    remove: true\n")
    room.run("decide")
    assert "Dark" not in room.tags(scene)
    # What is decided as before keeps its markers, under their own numbers.
    assert room.stash.scene_markers(scene) == others


def dark(room: Room, scene: int) -> list[tuple[float, float]]:
    markers = [each for each in room.stash.scene_markers(scene) if each["primary_tag"] == "Dark"]
    return [(each["seconds"], each["end_seconds"]) for each in markers]


def test_markers_are_written_once_the_user_wants_them(room: Room) -> None:
    scene = room.add("nights.mp4")
    room.run()
    assert room.stash.scene_markers(scene) == []
    room.configure(markers=True)
    assert room.run("decide")["written"]["markers"] == 3
    assert room.run("decide")["changed"] == 0


def test_workflow_tags_stay_as_they_are(room: Room) -> None:
    scene, failed = room.add("tall.mp4"), room.add("damaged.mp4")
    room.run()
    room.again(scene)
    words(room, UPRIGHT)
    room.run("decide")
    assert room.tags(scene) == {"TagMe", "Tagged", "Upright"}
    assert room.tags(failed) == {"Errored"}


# --- What stays ---------------------------------------------------------------------------------


def test_what_a_detector_saw_stays_where_it_did_not_look_again(room: Room) -> None:
    """A new label of the tag is for a detector that never looked at the scene."""
    scene = room.add("tall.mp4")
    room.run()
    room.configure(skip_labels=None, clip_model="clip-vit-b32")
    words(
        room,
        "labels:\n  vertical:\n    remove: true\n"
        "  tower:\n    tag: Vertical\n    group: place\n    prompts: [a tower]\n",
    )
    room.run("decide")
    assert room.tags(scene) == {"Tagged", "Vertical"}
    room.configure()
    room.run("decide")
    assert room.tags(scene) == {"Tagged"}


def test_what_is_switched_off_is_withdrawn(room: Room) -> None:
    room.configure(skip_text=None)
    scene = room.add("large.mp4")
    room.run()
    assert room.tags(scene) == {"Tagged", "Vertical"}
    room.configure(skip_text=None, skip_facts=True)
    room.run("decide")
    assert room.tags(scene) == {"Tagged"}


def test_a_tag_that_the_user_took_away_is_never_put_back(room: Room) -> None:
    room.add("tall.mp4")
    scene = room.add("tall.mp4")
    room.run()
    room.stash.untag_scene(scene, room.stash.tags()["Vertical"])
    room.configure(max_gap_s=20, markers=True)
    room.run("decide")
    assert "Vertical" not in room.tags(scene)
    [row] = room.run("verdicts", scene_id=str(scene))["verdicts"]
    assert (row["name"], row["said"], row["source"]) == ("Vertical", "refused", "noticed")


def test_undone_stays_undone_until_the_scene_is_tagged_anew(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    room.run("undo")
    assert "Vertical" not in room.tags(scene)
    room.configure(markers=True)
    room.run("decide")
    assert "Vertical" not in room.tags(scene)
    room.again(scene)
    room.run()
    assert room.tags(scene) == {"Tagged", "Vertical"}


def test_deciding_again_can_be_undone(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    words(room, UPRIGHT)
    room.run("decide")
    assert room.tags(scene) == {"Tagged", "Upright"}
    room.run("undo")
    assert room.tags(scene) == {"Tagged", "Vertical"}


def test_suggest_only_changes_the_list_alone(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    words(room, UPRIGHT)
    room.configure(suggest_only=True)
    room.run("decide")
    assert room.tags(scene) == {"Tagged", "Vertical"}
    assert "Suggest only" in room.told.said("info")[-1]
    [row] = room.run("suggestions", by="scene", scene_id=str(scene), decision="ask")["suggestions"]
    assert row["name"] == "Upright"


@pytest.mark.parametrize("mode", ["decide", "tag_scenes"])
def test_what_suggest_only_left_goes_once_it_is_off(room: Room, mode: str) -> None:
    scene = room.add("tall.mp4")
    room.run()
    room.again(scene)
    words(room, GONE)
    room.configure(suggest_only=True)
    room.run(mode)
    assert "Vertical" in room.tags(scene)
    room.configure()
    room.run("decide")
    assert "Vertical" not in room.tags(scene)
    assert room.run("decide")["changed"] == 0


def test_what_was_refused_and_forgotten_at_once_comes_back(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    room.run("refuse", items=[{"scene_id": str(scene), "name": "Vertical"}])
    forget(room, scene)
    assert room.tags(scene) == {"Tagged"}
    room.run("decide")
    assert room.tags(scene) == {"Tagged", "Vertical"}
    assert room.run("decide")["changed"] == 0


def test_what_was_accepted_and_forgotten_at_once_goes(room: Room) -> None:
    room.configure(apply_percent=100)
    scene = room.add("tall.mp4")
    room.run()
    room.run("accept", items=[{"scene_id": str(scene), "name": "Vertical"}])
    assert room.tags(scene) == {"Tagged", "Vertical"}
    forget(room, scene)
    room.run("decide")
    assert room.tags(scene) == {"Tagged"}


def forget(room: Room, scene: int) -> None:
    """Let the one thing that was said of a scene be unsaid."""
    [row] = room.run("verdicts", scene_id=str(scene))["verdicts"]
    room.run("verdicts", forget=row["id"])


def test_what_was_refused_of_another_file_of_the_scene_is_known_before(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    copied = Fingerprint("00000000000000ab", 12)
    copy = fake_file("/lib/copy.mp4", oshash=copied.oshash, size=copied.size_bytes)
    absorbed = room.stash.add_scene("Copy", tags=[], file=copy)
    with StashClient(Connection.from_url(room.stash.url)) as client:
        client.call(MERGE, {"input": {"source": [str(absorbed)], "destination": str(scene)}})
    # As from the store of another library: of the file alone.
    elsewhere = Scene("", "", "", copied, None)
    room.engine.verdicts.say([Saying(elsewhere, "tag", "Vertical", "", Said.REFUSED)])
    room.configure(markers=True)
    room.run("decide")
    assert "Vertical" not in room.tags(scene)
    assert room.run("decide", dry_run=True)["changed"] == 0
    assert room.run("decide")["changed"] == 0
    room.configure(suggest_only=True)
    assert [room.run("decide")["changed"] for _ in range(2)] == [1, 0]


def test_what_was_decided_meanwhile_is_not_written_over(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(3)]
    room.run()
    words(room, UPRIGHT)
    done: list[int] = []

    def tag_this(number: int) -> None:
        """Let a job asked for by hand go first, by words that changed again."""
        if number == 3 and not done:
            done.append(number)
            words(room, "labels:\n  vertical:\n    tag: Tall\n")
            server = room.stash.connection | {"PluginDir": str(ROOT)}
            MODES["tag_scene"].run(room.engine, Call({"scene_id": str(scenes[0])}, server), Told())

    report = room.run("decide", at_check=tag_this)
    assert done
    assert room.tags(scenes[0]) == {"Tagged", "Tall"}
    assert room.result(scenes[0])["suggestions"][0]["name"] == "Tall"
    assert [room.tags(each) for each in scenes[1:]] == [{"Tagged", "Upright"}] * 2
    assert report["changed"] == 2


def test_what_is_refused_meanwhile_stays_refused_with_suggest_only(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    room.configure(suggest_only=True)
    room.run("decide")
    last = room.told.checks
    words(room, UPRIGHT)
    known = Scene(str(scene), "", "", None, None)

    def refuse(number: int) -> None:
        if number == last:
            room.engine.verdicts.say([Saying(known, "tag", "Upright", "", Said.REFUSED)])

    room.run("decide", at_check=refuse)
    assert room.told.checks == last
    listed = room.run("suggestions", by="scene", scene_id=str(scene))["suggestions"]
    assert "Upright" not in {each["name"] for each in listed if each["decision"] == "ask"}


def test_a_studio_that_waits_stays_where_no_text_was_looked_at() -> None:
    covering = Covering(Vocabulary({}), {})
    told = {"label": "Northlight", "confidence": 0.7, "decision": "ASK", "target_id": "4"}
    before = {"suggestions": [{"kind": "studio", "name": "Northlight", **told}]}
    facts = Ran("picture", "picture", "cpu", "fp32", 3, 0.0)
    result = SceneResult("clip", 3.0, {}, ran=(facts,))
    [kept] = covering.kept_from(result, before, DecideOptions()).suggestions
    assert (kept.name, kept.decision) == ("Northlight", Decision.ASK)
    read = replace(result, ran=(facts, replace(facts, detector="text")))
    assert covering.kept_from(read, before, DecideOptions()).suggestions == ()
    unwanted = Covering(Vocabulary({}), {}, off=frozenset({"studio"}))
    assert unwanted.kept_from(result, before, DecideOptions()).suggestions == ()


def test_the_command_names_suggest_only(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    assert "Nothing in Stash differs." in command(room)
    words(room, UPRIGHT)
    room.configure(suggest_only=True)
    for option in ("--dry-run", ""):
        told = command(room, *option.split())
        assert "Suggest only is on: nothing in Stash changes" in told
        assert "1 scene decided again, 1 changed, 0 left as they were" in told
    assert room.tags(scene) == {"Tagged", "Vertical"}


class NearDesk(Desk):
    """A desk whose worker is in this process."""

    def __init__(self, room: Room) -> None:
        self.console = Console(file=io.StringIO(), width=200)
        self._room, self._server = room, {}

    def ask(self, mode: str, args: Mapping[str, object], *, told: bool = True) -> Any:
        return self._room.run(mode, **dict[str, Any](args))


def command(room: Room, *words: str) -> str:
    """Run `decide`, and return what it shows."""
    parser = argparse.ArgumentParser()
    decide.add(parser.add_subparsers())
    asked = parser.parse_args(["decide", *words])
    desk = NearDesk(room)
    assert asked.command(asked, desk) == 0
    assert isinstance(desk.console.file, io.StringIO)
    return desk.console.file.getvalue()


def test_accepted_stays_and_refused_goes(room: Room) -> None:
    one, two = room.add("tall.mp4"), room.add("tall.mp4")
    room.configure(suggest_only=True)
    room.run()
    room.configure(apply_percent=100)
    room.run("accept", items=[{"scene_id": str(one), "name": "Vertical"}])
    room.run("refuse", items=[{"scene_id": str(two), "name": "Vertical"}])
    room.run("decide")
    assert room.tags(one) == {"Tagged", "Vertical"}
    assert room.tags(two) == {"Tagged"}


# --- Faults -------------------------------------------------------------------------------------


def test_a_scene_that_is_gone_or_has_another_file_is_left_and_the_others_are_done(
    room: Room,
) -> None:
    gone, here = room.add("tall.mp4"), room.add("tall.mp4")
    room.run()
    room.stash.remove_scene(gone)
    words(room, UPRIGHT)
    report = room.run("decide")
    assert room.tags(here) == {"Tagged", "Upright"}
    assert report["left"] == 1


def test_a_replaced_file_is_left_until_it_is_looked_at(room: Room) -> None:
    scene, *others = [room.add("tall.mp4") for _ in range(7)]
    room.run()
    words(room, UPRIGHT)
    [file] = room.stash.scene_files(scene)
    other = "UPDATE fingerprints SET value = 'ffffffffffffffff' WHERE file_id = ?"
    room.stash.database.run(other, file)
    assert room.run("decide")["left"] == 1
    assert room.tags(scene) == {"Tagged", "Vertical"}
    assert all(room.tags(each) == {"Tagged", "Upright"} for each in others)
    assert room.run("decide")["scenes"] == len(others)


REDDISH = """labels:
  reddish:
    {{group: camera, tag: Reddish, prompts: [{}], negatives: [grey],
      enter: 0.1, ask: 0.01, apply: 0.02}}
"""


def test_words_that_no_network_can_read_take_nothing_away(room: Room) -> None:
    write_networks(room)
    words(room, REDDISH.format("red"))
    seeing = {"skip_labels": None, "clip_model": "colours", "frames": 2}
    room.configure(**seeing)
    scene = room.add("plain.mp4")
    room.run()
    kept = room.result(scene)["suggestions"]
    assert "Reddish" in room.tags(scene)
    words(room, REDDISH.format("a red one"))
    (room.engine.home / "weights" / "textual.onnx").write_bytes(b"broken")
    room.engine.unload_idle(0)
    before = room.tags(scene)
    room.run("decide")
    assert room.tags(scene) == before
    shown, before_that = (
        {each["name"] for each in listed if each["decision"] != "HIDE"}
        for listed in (room.result(scene)["suggestions"], kept)
    )
    assert shown == before_that


def test_stash_away_is_said_and_a_second_press_does_what_is_left(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(3)]
    room.run()
    words(room, UPRIGHT)
    room.stash.fault("bulkSceneUpdate", Fault(times=9, skip=1, status=503))
    with pytest.raises(StashError):
        room.run("decide")
    room.stash.clear_faults()
    room.run("decide")
    assert [room.tags(scene) for scene in scenes] == [{"Tagged", "Upright"}] * 3


def test_stopped_and_pressed_again_it_goes_on(room: Room) -> None:
    scenes = [room.add("tall.mp4") for _ in range(3)]
    room.run()
    words(room, UPRIGHT)
    with pytest.raises(Cancelled):
        room.run("decide", at_check=stopping(2))
    room.run("decide")
    assert [room.tags(scene) for scene in scenes] == [{"Tagged", "Upright"}] * 3


def test_another_library_is_left_alone(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    words(room, UPRIGHT)
    room.engine.store.remember_library("/elsewhere/stash.sqlite", {str(scene): "0" * 16})
    with pytest.raises(StashError, match="another library"):
        room.run("decide")
    assert room.tags(scene) == {"Tagged", "Vertical"}


def test_nothing_looked_at_is_nothing_to_decide(room: Room) -> None:
    report = room.run("decide")
    assert report["scenes"] == 0
    assert room.told.said("info") == ["Nothing to decide: no scene was tagged yet"]


def test_what_only_evaluate_looked_at_is_not_released_for_writing(room: Room) -> None:
    scene = room.add("tall.mp4", "Mine")
    room.run("evaluate", look="10")
    assert room.result(scene)["suggestions"]
    assert (room.run("decide", dry_run=True)["scenes"], room.run("decide")["scenes"]) == (0, 0)
    assert room.tags(scene) == {"Mine"}
    assert not [line for line in lines(room.engine.store, "0") if line.startswith('{"is":"result"')]
    room.again(scene)
    room.run()
    words(room, UPRIGHT)
    room.run("decide")
    assert room.tags(scene) == {"Mine", "Tagged", "Upright"}


# --- What a sweep takes back, and a rehearsal ---------------------------------------------------


def test_a_sweep_takes_back_what_no_longer_holds_and_says_so(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    words(room, UPRIGHT)
    room.again(scene)
    report = room.run()
    assert room.tags(scene) == {"Tagged", "Upright"}
    assert report["withdrawn"] == {"tags": 1, "markers": 0, "studios": 0}
    assert room.told.said("info")[-1].endswith("withdrawn: 1 tag, 0 markers, 0 studios")
    assert room.run("decide")["changed"] == 0


def test_a_sweep_with_suggest_only_takes_nothing_back(room: Room) -> None:
    scene = room.add("tall.mp4")
    room.run()
    words(room, GONE)
    room.configure(suggest_only=True)
    room.again(scene)
    room.run()
    assert room.tags(scene) == {"Tagged", "Vertical"}


def test_a_rehearsed_sweep_looks_and_writes_nothing(room: Room) -> None:
    scenes = [room.add("tall.mp4"), room.add("grey.mp4"), room.add("damaged.mp4")]
    report = room.run(dry_run=True)
    assert [room.tags(scene) for scene in scenes] == [{"TagMe"}] * 3
    assert set(room.stash.tags()) == {"TagMe"}
    assert (report["tagged"], report["failed"], report["written"]["tags"]) == (2, 1, 2)
    assert room.told.said("info")[-1].startswith("Nothing was written")
    store = room.engine.store.stats()
    assert (store.analyses, store.results, store.runs, store.ledger_rows) == (2, 0, 0, 0)
    room.run()
    assert room.tags(scenes[0]) == {"Tagged", "Vertical"}


def test_the_tags_that_a_scene_had_before_us_are_kept(room: Room) -> None:
    holiday = room.tag("Holiday")
    scene = room.add("tall.mp4")
    room.stash.tag_scene(scene, holiday)
    room.run()
    room.again(scene)
    room.run()
    [todo, vertical] = [str(room.stash.tags()[name]) for name in ("TagMe", "Vertical")]
    known = str(scene)
    store = room.engine.store
    assert store.first_tags([known])[known] == {todo, str(holiday)}
    assert vertical in store.last_tags([known])[known]
    words(room, UPRIGHT)
    room.run("decide")
    assert store.first_tags([known])[known] == {todo, str(holiday)}


# --- Counted ------------------------------------------------------------------------------------


def test_hundreds_of_changed_scenes_cost_a_few_questions_each(
    room: Room, record_count: Callable[[str, int], None]
) -> None:
    first = room.add("tall.mp4")
    room.run()
    scenes = [first, *(looked_like(room, first, number) for number in range(299))]
    words(room, UPRIGHT)
    report = room.run("decide")
    assert report["changed"] == 300
    assert all(room.tags(scene) >= {"Upright"} for scene in scenes)
    assert report["withdrawn"]["tags"] == 1
    per_hundred = round(report["calls"] / 3)
    record_count("questions of Decide again for a hundred changed scenes", per_hundred)
    assert per_hundred <= 15


def looked_like(room: Room, scene: int, number: int) -> int:
    """Add a scene that was looked at with the same end as another."""
    store = room.engine.store
    with StashClient(Connection.from_url(room.stash.url)) as client:
        [known] = scenes_by_ids(client, [str(scene)])
    assert known.fingerprint is not None
    own = Fingerprint(f"{number:016x}", 10_000 + number)
    file = fake_file(f"/lib/{number}.mp4", oshash=own.oshash, size=own.size_bytes)
    made = room.stash.add_scene(f"Scene {number}", tags=[], file=file)
    seen = store.latest_analysis(known.fingerprint, "picture")
    assert seen is not None
    store.save_analysis(
        own,
        seen.sampling_key,
        seen.source,
        seen.duration_s,
        seen.times_s,
        "picture",
        seen.ran.model,
        [replace(each, scene_key=str(made)) for each in seen.observations],
        seen.ran,
    )
    run_id = store.runs()[0].id
    said = room.result(scene)
    store.save_result(run_id, str(made), own, said)
    return made


# --- Networks -----------------------------------------------------------------------------------

ROWS = """
models:
  colours:
    task: clip
    about: Three colours
    licence: MIT
    commercial: true
    logit_scale: 10
    files:
      visual: {{path: {folder}/visual.onnx}}
      textual: {{path: {folder}/textual.onnx}}
      tokenizer: {{path: {folder}/tokenizer.json}}
  dogs: {{task: objects, about: Dogs, licence: MIT, commercial: true, words: coco, size: 64,
    files: {{network: {{path: {folder}/dogs.onnx}}}}}}
  cats: {{task: objects, about: Cats, licence: MIT, commercial: true, words: coco, size: 64,
    files: {{network: {{path: {folder}/cats.onnx}}}}}}
"""
COLOURS = ("red", "green", "blue")


def write_networks(room: Room) -> None:
    """Give the user networks that see a dog, a cat, and which of three colours a frame has."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = room.engine.home / "weights"
    for name, place in (("dogs", 16), ("cats", 15)):
        answer = np.zeros((1, 84, 100), np.float32)
        answer[0, :4, 0] = 32
        answer[0, 4 + place, 0] = 0.95
        answering(folder / f"{name}.onnx", (1, 3, 64, 64), answer)
    mean_colour(folder / "visual.onnx")
    vectors = np.full((4, 3), 0.1, np.float32)
    vectors[1:] += np.eye(3, dtype=np.float32)
    sum_of_words(folder / "textual.onnx", vectors)
    known = {word: number for number, word in enumerate(("other", *COLOURS))}
    words = Tokenizer(models.WordLevel(known, unk_token="other"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    room.engine.own_catalogue.write_text(ROWS.format(folder=folder), "utf-8")


def opened(room: Room) -> set[tuple[str, str]]:
    """The networks that were opened since this was asked last, and for what."""
    held = {(each.label.partition("@")[0], each.role) for each in room.engine.open_networks()}
    room.engine.unload_idle(0)
    return held


def test_a_changed_model_runs_its_own_detector_and_a_changed_prompt_reads_words_alone(
    room: Room,
) -> None:
    write_networks(room)
    seeing = {"skip_labels": None, "skip_objects": None, "clip_model": "colours", "frames": 2}
    room.configure(object_model="dogs", **seeing)
    scene = room.add("plain.mp4")
    room.run()
    assert {name for name, _ in opened(room)} == {"colours", "dogs", "nudenet-320n"}
    assert "Dog" in room.tags(scene)

    room.again(scene)
    room.run()
    assert opened(room) == set()

    room.configure(object_model="cats", **seeing)
    room.again(scene)
    room.run()
    assert {name for name, _ in opened(room)} == {"cats"}
    assert {"Cat"} <= room.tags(scene)
    assert "Dog" not in room.tags(scene)

    words(room, "labels:\n  reddish: {group: light, tag: Reddish, prompts: [red]}\n")
    room.paths[scene].unlink()
    room.run("decide")
    assert opened(room) == {("colours", "textual")}
    assert any("words that are new" in line for line in room.told.said("info"))
    room.run("decide")
    assert opened(room) == set()
