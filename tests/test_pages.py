"""What the pages are told: of one scene, of the library, and of what is in Stash already."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stash import StandIn
from stash_sense_plugin.errors import MediaUnreadable, SettingsError
from stash_sense_plugin.library.counts import Look
from stash_sense_plugin.library.learnt import Learnt
from stash_sense_plugin.pipeline.parts import failed
from stash_sense_plugin.records import (
    Fingerprint,
    FrameSource,
    Ran,
    ReadText,
    SceneResult,
    Skipped,
)
from stash_sense_plugin.tasks import MODES, Call
from stash_sense_plugin.tasks.asked import PAGE_BYTES
from stash_sense_plugin.tasks.overview import PAUSE_S, SHOWN_AS, speed_of
from tests.sweep_kit import Told
from tests.test_accept_refuse import write
from tests.verdict_kit import APPLY, HIDE, VerdictRoom, open_room, suggestion


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, tmp_path: Path) -> Iterator[VerdictRoom]:
    with open_room(stash, tmp_path) as opened:
        yield opened


def in_stash(room: VerdictRoom, scene: int) -> dict[str, str | None]:
    rows = suggested(room.run("scene", scene_id=str(scene)))
    listed = room.run("suggestions", by="scene", scene_id=str(scene))["suggestions"]
    found = {row["name"]: row["in_stash"] for row in rows}
    assert {row["name"]: row["in_stash"] for row in listed} == found
    return found


def suggested(told: Any) -> list[Any]:
    """What is suggested for a scene, without the markers of it."""
    return [row for row in told["suggestions"] if row["kind"] != "marker"]


def without_stash(room: VerdictRoom, mode: str, **args: object) -> Any:
    return MODES[mode].run(room.engine, Call(args, None), Told())


# --- What Stash has already -----------------------------------------------------------------------


def test_what_the_scene_has_is_told_from_what_it_lacks_and_what_we_wrote(
    room: VerdictRoom,
) -> None:
    room.tag("Tree")
    scene = room.scene("Beach")
    names = ("Beach", "Dog", "Tree", "Nowhere")
    room.looked(scene, *(suggestion(name) for name in names))
    write(room, scene, "Dog")
    assert in_stash(room, scene) == {
        "Beach": "there", "Dog": "ours", "Tree": "absent", "Nowhere": "absent",
    }  # fmt: skip


def test_a_tag_is_found_in_any_case_and_by_an_alias(room: VerdictRoom) -> None:
    strand, dog = room.stash.add_tag("Strand", aliases=["Beach"]), room.tag("DOG")
    scene = room.scene()
    room.stash.tag_scene(scene, strand, dog)
    room.looked(scene, suggestion("Beach"), suggestion("Dog"), suggestion("Tree"))
    assert in_stash(room, scene) == {"Beach": "there", "Dog": "there", "Tree": "absent"}


def test_the_tag_that_would_be_written_counts_not_one_that_is_called_so_too(
    room: VerdictRoom,
) -> None:
    # The shipped vocabulary takes the second for the first, where there is no first.
    view, scene = room.tag("Point of View"), room.scene()
    room.stash.tag_scene(scene, view)
    room.looked(scene, suggestion("POV"))
    assert in_stash(room, scene) == {"POV": "there"}
    room.tag("POV")
    assert in_stash(room, scene) == {"POV": "absent"}


def test_a_tag_bears_the_name_that_the_user_gave_it(room: VerdictRoom) -> None:
    room.stash.add_tag("Strand", aliases=["Beach"])
    for name in ("Point of View", "DOG", "Tree"):
        room.tag(name)
    scene = room.scene("Tree")
    ranged = suggestion("Beach")
    room.looked(scene, ranged, *(suggestion(name) for name in ("POV", "Dog", "Tree", "Nowhere")))
    rows = room.run("scene", scene_id=str(scene))["suggestions"]
    called = {(row["kind"], row["name"]): row["called"] for row in rows if "called" in row}
    own = {"Beach": "Strand", "POV": "Point of View", "Dog": "DOG"}
    of_tags = {("tag", name): told for name, told in own.items()}
    assert called == of_tags | {("marker", name): told for name, told in own.items()}
    for listed, expected in (
        (room.run("suggestions"), own),
        (room.run("suggestions", by="tag", tag="Beach"), {"Beach": "Strand"}),
    ):
        told = {row["name"]: row["called"] for row in listed["suggestions"] if "called" in row}
        assert told == expected
    assert not any("called" in row for row in without_stash(room, "suggestions")["suggestions"])
    # It is spoken of by our name still.
    room.say("accept", scene, "Beach")
    assert room.tags(scene) == {"Tree", "Strand"}


def test_a_studio_counts_by_its_id(room: VerdictRoom) -> None:
    own, other = room.stash.add_studio("Northlight"), room.stash.add_studio("Southlight")
    scene = room.scene()
    for name, studio in (("Northlight", own), ("Southlight", other)):
        kept = room.scene()
        room.looked(kept, suggestion(name, kind="studio", target_id=str(studio)))
        room.stash.set_studio(kept, own)
        told = "there" if studio == own else "absent"
        assert in_stash(room, kept) == {name: told}
    room.looked(scene, suggestion("Northlight", kind="studio", target_id=str(own)))
    room.say("accept", scene, "Northlight", kind="studio")
    assert in_stash(room, scene) == {"Northlight": "ours"}


def test_a_whole_page_asks_stash_a_few_things(room: VerdictRoom) -> None:
    names = [f"Thing {number}" for number in range(20)]
    for _ in range(10):
        scene = room.scene(*names[:5])
        room.looked(scene, *(suggestion(name) for name in names))
    room.stash.calls.clear()
    page = room.run("suggestions", limit=200)["suggestions"]
    assert len(page) == 200
    assert {row["in_stash"] for row in page} == {"there", "absent"}
    assert room.stash.calls["findScenes"] == 1
    assert room.stash.calls["findTags"] == 1


def test_without_stash_nobody_says_what_it_has(room: VerdictRoom) -> None:
    scene = room.scene("Beach")
    room.looked(scene, suggestion("Beach"))
    [row] = without_stash(room, "suggestions")["suggestions"]
    assert (row["in_stash"], row["duration_s"]) == (None, None)
    told = without_stash(room, "scene", scene_id=str(scene))
    kinds = [(row["kind"], row["in_stash"]) for row in told["suggestions"]]
    assert kinds == [("tag", None), ("marker", None)]
    assert told["duration_s"] == 60.0


# --- Lists ----------------------------------------------------------------------------------------


def test_one_kind_alone_is_listed(room: VerdictRoom) -> None:
    studio = room.stash.add_studio("Beach")
    scene = room.scene()
    room.looked(scene, suggestion("Beach"),
                suggestion("Beach", kind="studio", target_id=str(studio)))  # fmt: skip
    ways: list[dict[str, Any]] = [
        {"by": "tag", "tag": "beach"},
        {"by": "scene", "scene_id": str(scene)},
        {},
    ]
    for kind in ("tag", "studio"):
        for by in ways:
            rows = room.run("suggestions", kind=kind, **by)["suggestions"]
            assert [(row["kind"], row["name"]) for row in rows] == [(kind, "Beach")]
    assert len(room.run("suggestions", by="tag", tag="Beach")["suggestions"]) == 2


def test_counts_go_page_by_page_and_know_what_is_refused(room: VerdictRoom) -> None:
    first, second = room.scene(), room.scene()
    for scene in (first, second):
        room.looked(scene, suggestion("Beach"), suggestion("Dog", 0.9, APPLY), suggestion("Tree"))
    room.say("refuse", second, "Beach")
    page = room.run("counts", limit=2)
    rows = [*page["tags"], *room.run("counts", limit=2, after=page["next"])["tags"]]
    counted = {row["name"]: (row["ask"], row["apply"], row["refused"]) for row in rows}
    assert counted == {"Beach": (1, 0, 1), "Dog": (0, 2, 0), "Tree": (2, 0, 0)}
    assert room.run("suggestions", by="tag") == room.run("counts")


# --- One scene ------------------------------------------------------------------------------------


def test_a_scene_tells_the_most_certain_first_with_what_was_refused(room: VerdictRoom) -> None:
    scene = room.scene()
    room.looked(scene, suggestion("Faint", 0.3), suggestion("Sure", 0.9, APPLY),
                suggestion("Beach", 0.6), suggestion("Hidden", 0.1, HIDE))  # fmt: skip
    room.say("refuse", scene, "Beach")
    told = room.run("scene", scene_id=str(scene))
    rows = [(row["name"], row["decision"], row["said"]) for row in suggested(told)]
    assert rows == [
        ("Sure", "APPLY", None), ("Beach", "HIDE", "refused"), ("Faint", "ASK", None),
    ]  # fmt: skip
    marked = [row["name"] for row in told["suggestions"] if row["kind"] == "marker"]
    assert marked == ["Sure", "Faint"]
    assert told["suggestions"][0]["ranges"] == [{"start_s": 1.0, "end_s": 4.0, "score": 0.9}]
    assert told["more"] == 0
    assert told["changed"] is False
    assert told["job"] is None


def test_a_scene_that_was_never_looked_at_has_nothing_to_tell(room: VerdictRoom) -> None:
    scene = room.scene("Beach")
    told = room.run("scene", scene_id=str(scene))
    assert told["looked_at_s"] is None
    assert told["suggestions"] == told["texts"] == told["ran"] == []
    assert told["duration_s"] == room.read(scene).duration_s
    with pytest.raises(SettingsError, match="Stash has no scene 987654"):
        room.run("scene", scene_id="987654")


def test_a_scene_says_what_was_read_who_looked_and_who_did_not(room: VerdictRoom) -> None:
    scene = room.scene()
    found = room.read(scene)
    result = SceneResult(
        found.source,
        60.0,
        {},
        texts=(ReadText("NORTHLIGHT", 1.0, 2.0, 0.9),),
        ran=(Ran("clip", "m@1", "cpu", "fp32", 10, 0.5),),
        skipped=(Skipped("objects", "switched off", "switch it on"),),
    )
    keep(room, scene, result)
    told = room.run("scene", scene_id=str(scene))
    assert told["texts"] == [{"text": "NORTHLIGHT", "start_s": 1.0, "end_s": 2.0, "score": 0.9}]
    assert [(each["detector"], each["seconds"]) for each in told["ran"]] == [("clip", 0.5)]
    assert told["skipped"][0]["remedy"] == "switch it on"
    assert told["looked_at_s"] > 0


def keep(room: VerdictRoom, scene: int, result: SceneResult, run_id: str = "") -> None:
    found, store = room.read(scene), room.engine.store
    run_id = run_id or store.begin_run("tag_scenes", {})
    store.save_result(run_id, found.id, found.fingerprint, result.as_json())


def test_a_failed_look_is_told_and_what_was_known_before_stays(room: VerdictRoom) -> None:
    scene = room.scene()
    room.looked(scene, suggestion("Beach"))
    broken = failed(room.read(scene), MediaUnreadable("It broke off", "copy it again"))
    keep(room, scene, broken)
    told = room.run("scene", scene_id=str(scene))
    assert told["error"] == {
        "kind": MediaUnreadable.kind, "message": "It broke off", "remedy": "copy it again",
    }  # fmt: skip
    for row in told["suggestions"]:
        assert row["ranges"]
    assert [row["kind"] for row in told["suggestions"]] == ["tag", "marker"]
    assert room.run("suggestions")["suggestions"][0]["evidence"]


def test_another_file_than_was_looked_at_is_noticed(room: VerdictRoom) -> None:
    scene = room.scene()
    room.looked(scene, suggestion("Beach"))
    [old] = room.stash.scene_files(scene)
    room.stash.database.run(
        "UPDATE fingerprints SET value = ? WHERE file_id = ? AND type = 'oshash'", "f" * 16, old
    )
    assert room.run("scene", scene_id=str(scene))["changed"] is True


@pytest.mark.parametrize(
    ("mode", "args"),
    [
        pytest.param("tag_scene", {"scene_id": "{0}"}, id="one scene"),
        pytest.param("tag_scene", {"scene_ids": ["99", "{0}"]}, id="several"),
        pytest.param("tag_scenes", {"ids": "99,{0}"}, id="a task's list"),
    ],
)
def test_the_job_under_way_is_told(room: VerdictRoom, mode: str, args: dict[str, Any]) -> None:
    scene = room.scene()
    jobs = room.engine.jobs
    jobs.begin(jobs.enqueue("tag_scenes", "attached", {}).id)
    named = json.loads(json.dumps(args).replace("{0}", str(scene)))
    job = jobs.enqueue(mode, "owned", named)
    told = room.run("scene", scene_id=str(scene))["job"]
    assert (told["id"], told["mode"], told["status"], told["ahead"]) == (job.id, mode, "queued", 1)
    assert str(scene) in told["scene_ids"]
    jobs.cancel(job.id)
    assert room.run("scene", scene_id=str(scene))["job"] is None


def test_a_scene_of_which_very_much_is_said_is_cut(room: VerdictRoom) -> None:
    scene = room.scene()
    spans = [(float(each), each + 0.5) for each in range(300)]
    names = [f"{number:03} {'long name ' * 50}" for number in range(300)]
    room.looked(scene, *(suggestion(name, 0.5 + number / 1000, ranges=spans)
                         for number, name in enumerate(names)))  # fmt: skip
    told = room.run("scene", scene_id=str(scene))
    assert len(json.dumps(told)) <= PAGE_BYTES + 1000
    assert told["more"] > 0
    assert len(told["suggestions"]) + told["more"] == 600
    assert told["suggestions"][0]["name"] == names[-1]
    assert len(told["suggestions"][0]["ranges"]) == 200


# --- The library ----------------------------------------------------------------------------------


def test_the_overview_counts_stash_and_the_store(room: VerdictRoom) -> None:
    looked, bad = room.scene("Tagged"), room.scene("Errored")
    room.scene("TagMe")
    room.scene("TagMe")
    room.looked(looked, suggestion("Beach"), suggestion("Dog", 0.9, APPLY), suggestion("Tree"))
    room.say("refuse", looked, "Tree")
    keep(room, bad, failed(room.read(bad), MediaUnreadable("It broke off", "copy it again")))
    told = room.run("overview")
    assert told["scenes"] == {
        "in_stash": 4, "looked_at": 1, "failed": 1, "to_do": 2, "tagged": 1, "errored": 1,
    }  # fmt: skip
    assert told["suggestions"] == {"ask": 1, "apply": 1, "refused": 1}
    assert told["workflow"] == {"to_do": "TagMe", "tagged": "Tagged", "errored": "Errored"}
    assert told["speed"] is None
    assert told["complaints"] == []


def test_tags_that_are_not_there_count_nothing_and_a_setting_of_no_use_is_named(
    room: VerdictRoom,
) -> None:
    room.scene("Tagged")
    room.configure(tagme_tag="Later", frames=1)
    told = room.run("overview")
    assert (told["scenes"]["in_stash"], told["scenes"]["to_do"]) == (1, 0)
    assert (told["scenes"]["tagged"], told["scenes"]["errored"]) == (1, 0)
    assert told["workflow"]["to_do"] == "Later"
    [complaint] = told["complaints"]
    assert "frames" in complaint


def test_without_stash_the_overview_knows_what_the_store_knows(room: VerdictRoom) -> None:
    room.looked(room.scene(), suggestion("Beach"))
    told = without_stash(room, "overview")
    assert told["scenes"] == {
        "in_stash": None, "looked_at": 1, "failed": 0, "to_do": None, "tagged": None,
        "errored": None,
    }  # fmt: skip
    assert told["suggestions"]["ask"] == 1


def test_the_overview_says_which_network_has_looked_at_how_much(room: VerdictRoom) -> None:
    store = room.engine.store
    for number, models in enumerate((("m@1", "m@2"), ("m@2",)), 1):
        scene = room.scene()
        room.looked(scene, suggestion("Beach"))
        for model in models:
            for sampling in ("sprite", "video"):
                store.save_analysis(
                    Fingerprint(f"{number:016x}", 1000 + number), sampling, FrameSource.SPRITE,
                    60.0, [1.0], "clip", model, (), Ran("clip", model, "cpu", "fp32", 1, 0.1),
                )  # fmt: skip
    told = room.run("overview")["coverage"]
    assert [(row["model"], row["scenes"]) for row in told] == [("m@2", 2), ("m@1", 1)]


# --- Speed ----------------------------------------------------------------------------------------


def looked_by(seconds: float, **detectors: float) -> Look:
    ran = [
        {"detector": name, "device": "cpu", "frames": 10, "seconds": spent_s}
        for name, spent_s in detectors.items()
    ]
    return Look(seconds, ran, 20)


def test_what_takes_the_most_time_limits() -> None:
    told = speed_of([looked_by(10, clip=6, text=1), looked_by(10, clip=6, text=1)])
    assert told is not None
    assert (told["scenes"], told["seconds"]) == (2, 20)
    parts = [(part["what"], part["seconds"], part["frames"]) for part in told["parts"]]
    assert parts == [("clip", 12, 20), ("reading", 6, 40), ("text", 2, 20)]
    begin = "“Scenes, by words” limits: on the processor it takes 60% of the time"
    assert told["limit"].startswith(begin)
    slow = speed_of([looked_by(10, clip=1)])
    assert slow is not None
    assert slow["limit"].startswith("Reading limits: ")


def test_what_limits_goes_by_the_name_that_the_pages_show() -> None:
    told = speed_of([looked_by(10, another=9)])
    assert told is not None
    assert told["limit"].startswith("“another” limits: ")
    page = (Path(__file__).parent.parent / "ui/src/parts/why.ts").read_text(encoding="utf-8")
    [names] = re.findall(r"const DETECTORS[^{]*{(.*?)}", page, re.DOTALL)
    assert dict(re.findall(r'(\w+): "(.+?)"', names)) == SHOWN_AS


def test_a_pause_is_no_work_and_what_the_store_knew_is_no_speed() -> None:
    told = speed_of([looked_by(10_000, clip=10), looked_by(5)])
    assert told is not None
    assert (told["scenes"], told["seconds"]) == (1, PAUSE_S + 20)
    assert speed_of([looked_by(5)]) is None


def test_speed_is_that_of_the_newest_run_in_which_a_detector_worked(room: VerdictRoom) -> None:
    now, store = [1000.0], room.engine.store
    store.clock = lambda: now[0]
    for seconds in (2.0, 0.0):
        run_id = store.begin_run("tag_scenes", {})
        for _ in range(3):
            now[0] += 5
            ran = (Ran("clip", "m@1", "cuda", "fp16", 10, seconds),)
            keep(
                room,
                room.scene(),
                SceneResult("a", 60.0, {FrameSource.SPRITE: 81}, ran=ran),
                run_id,
            )
        store.end_run(run_id, "done", {})
    told = room.run("overview")["speed"]
    assert (told["scenes"], told["seconds"]) == (3, 15)
    clip = {"what": "clip", "device": "cuda", "frames": 30, "seconds": 6}
    assert told["parts"] == [
        {"what": "reading", "device": "", "frames": 243, "seconds": 9}, clip,
    ]  # fmt: skip


# --- Evaluation -----------------------------------------------------------------------------------


def test_there_may_be_no_evaluation(room: VerdictRoom) -> None:
    told = room.run("evaluation")
    assert (told["made_at_s"], told["tags"], told["bins"], told["page"]) == (None, [], [], "")


def test_the_last_evaluation_is_told_with_the_tags_that_most_scenes_have(
    room: VerdictRoom,
) -> None:
    shares = {"precision": 0.9, "recall": 0.5, "f1": 0.64, "right": 9, "wrong": 1, "missed": 9}
    tags = [
        {"name": f"Tag {number:03}", "scenes": 400, "positives": number, "enough": True,
         "written": shares, "shown": shares, "average_precision": 0.7, "wrong": []}
        for number in range(305)
    ]  # fmt: skip
    bins = [
        {"low": 0.0, "high": 0.1, "claims": 0, "confidence": 0.0, "right": 0.0},
        {"low": 0.1, "high": 0.2, "claims": 4, "confidence": 0.15, "right": 0.25},
    ]
    summary = {"micro": shares, "macro": shares, "hierarchical": shares}
    report = {
        "scenes": 400, "wanted_precision": 0.9, "written": summary, "shown": summary,
        "calibration": {"claims": 4, "error": 0.1, "brier": 0.2, "bins": bins}, "tags": tags,
    }  # fmt: skip
    Learnt(room.engine.store).keep_report(report)
    (room.engine.home / "evaluation.html").write_text("a page")
    told = room.run("evaluation")
    assert told["bins"] == [{"confidence": 0.15, "right": 0.25, "claims": 4}]
    assert (len(told["tags"]), told["more"], told["tags"][0]["name"]) == (300, 5, "Tag 304")
    assert told["written"] == {"precision": 0.9, "recall": 0.5, "f1": 0.64}
    assert told["page"] == str(room.engine.home / "evaluation.html")
