"""What each setting does, as a user of Stash sees it: one test each, and none without one."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo.stash import StandIn
from stash_sense_plugin.inference import lighter
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.worker.watch import Watch
from tests.queue_kit import Clock, open_queue
from tests.small_networks import answering, mean_colour, sum_of_words
from tests.stash_kit import empty
from tests.sweep_kit import Room, open_engine, write_clips

SHOWN: set[str] = set()
"""The settings that a test below shows."""

Test = Callable[..., None]

MINUTE_S = 60.0

OWN_ROW = """\
  {name}:
    task: objects
    about: A network of one's own
    licence: none
    commercial: true
    words: toy
    classes: [thing]
    files: {{network: {{path: {name}.onnx}}}}
"""


COLOURS = """\
  {name}:
    task: {task}
    about: The mean of each channel
    licence: none
    commercial: true
    presets: {presets}
    size: 224
    scale: 255
    mean: [0, 0, 0]
    std: [1, 1, 1]
    scores: plain
{words}
    files: {{network: {{path: {name}.onnx}}}}
"""
WORDS = """\
    words: hue
    classes: [red, green, blue]"""


def colours(room: Room, name: str, task: str, *presets: str) -> None:
    """Add a row of the user's own whose network tells the mean of each channel."""
    own = room.engine.own_catalogue
    words = "" if task == "similarity" else WORDS
    listed = f"[{', '.join(presets)}]"
    row = COLOURS.format(name=name, task=task, presets=listed, words=words)
    before = own.read_text("utf-8") if own.is_file() else "models:\n"
    own.write_text(before + row, "utf-8")
    mean_colour(room.engine.home / f"{name}.onnx")


def taggers(room: Room, scene: int) -> set[str]:
    """The models by which acts were looked for."""
    rows = room.result(scene)["ran"]
    return {row["model"].partition("@")[0] for row in rows if row["detector"] == "tagger"}


def shows(setting: str) -> Callable[[Test], Test]:
    """Mark the test that shows what a setting does."""

    def mark(test: Test) -> Test:
        SHOWN.add(setting)
        return test

    return mark


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("effects") / "clips")


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
        yield Room(stash, clips, folder, engine=engine)


def looked_at(room: Room, clip: str, *tags: str, **settings: object) -> int:
    """Set these settings, tag a new scene of a clip, and return the scene."""
    room.configure(**settings)
    scene = room.add(clip, *tags)
    room.run()
    return scene


def ran(room: Room, scene: int) -> dict[str, int]:
    """By detector, how many frames it saw."""
    return {each["detector"]: each["frames"] for each in room.result(scene)["ran"]}


def switched_off(room: Room, scene: int) -> set[str]:
    rows = room.result(scene)["skipped"]
    return {row["detector"] for row in rows if row["reason"] == "switched off"}


def decision(room: Room, scene: int, name: str) -> str:
    (row,) = [row for row in room.result(scene)["suggestions"] if row["name"] == name]
    return str(row["decision"])


# --- Tags ---------------------------------------------------------------------------------------


@shows("tagme_tag")
def test_scenes_with_the_named_tag_are_looked_at(room: Room) -> None:
    other = room.add("tall.mp4")
    scene = looked_at(room, "tall.mp4", "Look at me", tagme_tag="Look at me")
    assert room.tags(scene) == {"Tagged", "Vertical"}
    assert room.tags(other) == {"TagMe"}


@shows("tagged_tag")
def test_scenes_that_are_done_get_the_named_tag(room: Room) -> None:
    scene = looked_at(room, "tall.mp4", tagged_tag="Seen")
    assert room.tags(scene) == {"Seen", "Vertical"}


@shows("errored_tag")
def test_scenes_that_failed_get_the_named_tag(room: Room) -> None:
    assert room.tags(looked_at(room, "damaged.mp4", errored_tag="Broken")) == {"Broken"}


@shows("parent_tag")
def test_new_tags_lie_below_the_named_tag(room: Room) -> None:
    looked_at(room, "tall.mp4", parent_tag="By machine")
    tags = room.stash.tags()
    assert room.stash.tag_row(tags["Vertical"])["parents"] == [tags["By machine"]]


# --- What is written ----------------------------------------------------------------------------


@shows("markers")
def test_markers_are_written_where_the_switch_is_on(room: Room) -> None:
    assert room.stash.scene_markers(looked_at(room, "nights.mp4")) == []
    scene = looked_at(room, "nights.mp4", markers=True)
    assert "Dark" in {each["primary_tag"] for each in room.stash.scene_markers(scene)}


@shows("suggest_only")
def test_suggestions_are_kept_and_not_written(room: Room) -> None:
    scene = looked_at(room, "tall.mp4", suggest_only=True)
    assert room.tags(scene) == {"Tagged"}
    assert decision(room, scene, "Vertical") == "ASK"


@shows("apply_percent")
def test_a_suggestion_below_the_confidence_waits_for_the_user(room: Room) -> None:
    for percent, told in ((100, "ASK"), (1, "APPLY"), (0, "APPLY")):
        scene = looked_at(room, "tall.mp4", apply_percent=percent)
        assert decision(room, scene, "Vertical") == told
        assert ("Vertical" in room.tags(scene)) == (told == "APPLY")


@shows("max_gap_s")
def test_a_gap_that_is_longer_parts_a_range_in_two(room: Room) -> None:
    for gap_s, count in ((0, 1), (1, 2)):
        scene = looked_at(room, "nights.mp4", markers=True, max_gap_s=gap_s)
        markers = room.stash.scene_markers(scene)
        assert [each["primary_tag"] for each in markers].count("Dark") == count


@shows("never")
def test_what_is_never_wanted_is_not_even_asked_about(room: Room) -> None:
    scene = looked_at(room, "tall.mp4", never="Horizontal, vertical")
    assert room.tags(scene) == {"Tagged"}
    assert decision(room, scene, "Vertical") == "HIDE"


# --- What is looked for -------------------------------------------------------------------------


@shows("skip_labels")
def test_labels_are_not_looked_for(room: Room) -> None:
    scene = looked_at(room, "tall.mp4", skip_labels=True)
    assert "clip" in switched_off(room, scene)
    scene = looked_at(room, "tall.mp4", skip_labels=None)
    assert "clip" not in switched_off(room, scene)
    assert "clip-vit-b32" in str(room.result(scene)["skipped"])


@shows("skip_acts")
def test_acts_are_not_looked_for(room: Room) -> None:
    colours(room, "hues", "tagger")
    named = {"tagger_model": "hues", "also_models": "shades", "frames": 2}
    colours(room, "shades", "classifier")
    scene = looked_at(room, "tall.mp4", skip_acts=True, **named)
    assert "tagger" in switched_off(room, scene)
    assert "tagger" not in ran(room, scene)
    scene = looked_at(room, "tall.mp4", skip_acts=None, **named)
    assert ran(room, scene)["tagger"] == 2


@shows("skip_objects")
def test_objects_are_not_looked_for(room: Room) -> None:
    scene = looked_at(room, "tall.mp4", skip_objects=True, frames=2)
    assert "objects" in switched_off(room, scene)
    assert "objects" not in ran(room, scene)
    scene = looked_at(room, "tall.mp4", skip_objects=None, frames=2)
    assert ran(room, scene)["objects"] > 0


@shows("skip_text")
def test_no_text_is_read(room: Room) -> None:
    scene = looked_at(room, "studio.mp4", skip_text=True)
    assert "text" in switched_off(room, scene)
    assert room.result(scene)["texts"] == []
    scene = looked_at(room, "studio.mp4", skip_text=None, text_frames=1)
    assert "NORTHLIGHT" in str(room.result(scene)["texts"])


@shows("skip_facts")
def test_facts_of_the_picture_are_not_looked_for(room: Room) -> None:
    scene = looked_at(room, "tall.mp4", skip_facts=True, skip_objects=None, frames=2)
    assert "picture" in switched_off(room, scene)
    assert "Vertical" not in room.tags(scene)


@shows("skip_quality")
def test_the_quality_of_the_picture_is_not_judged(room: Room) -> None:
    scene = looked_at(room, "tall.mp4", skip_quality=True)
    assert "quality" in switched_off(room, scene)
    assert "quality" not in ran(room, scene)
    assert ran(room, looked_at(room, "tall.mp4", skip_quality=None))["quality"] > 0


@shows("skip_studio")
def test_no_studio_is_named_though_its_name_is_read(room: Room) -> None:
    room.stash.add_studio("Northlight Studio")
    scene = looked_at(room, "studio.mp4", skip_text=None, text_frames=2, skip_studio=True)
    assert room.stash.scene_studio(scene) is None
    assert "NORTHLIGHT" in str(room.result(scene)["texts"])
    scene = looked_at(room, "studio.mp4", skip_text=None, text_frames=2)
    assert room.stash.scene_studio(scene) == "Northlight Studio"


@shows("frames")
def test_so_many_frames_are_read_of_a_video(room: Room) -> None:
    for frames in (3, 6):
        scene = looked_at(room, "tall.mp4", frames=frames)
        assert room.result(scene)["frames"]["video"] == frames


@shows("text_frames")
def test_so_many_frames_are_read_for_text(room: Room) -> None:
    scene = looked_at(room, "studio.mp4", skip_text=None, text_frames=2)
    assert ran(room, scene)["text"] == 2


# --- Models -------------------------------------------------------------------------------------


def models_of(room: Room, scene: int) -> str:
    """What is said of the models that ran, and of those that could not."""
    told: dict[str, Any] = room.result(scene)
    return str([told["ran"], told["skipped"]])


@shows("clip_model")
def test_labels_come_from_the_named_model(room: Room) -> None:
    scene = looked_at(room, "tall.mp4", skip_labels=None, clip_model="clip-vit-b32-laion")
    assert "clip-vit-b32-laion" in models_of(room, scene)


@shows("object_model")
def test_objects_come_from_the_named_model(room: Room) -> None:
    named = "nudenet-320n"
    scene = looked_at(room, "tall.mp4", skip_objects=None, object_model=named, frames=2)
    assert named in models_of(room, scene)
    assert "yolox-s" not in models_of(room, scene)
    scene = looked_at(room, "tall.mp4", skip_objects=None, frames=2)
    assert "yolox-s" in models_of(room, scene)


@shows("preset")
def test_a_preset_chooses_what_runs_where_nothing_is_named(room: Room) -> None:
    """The machine of these tests is a small one, for which auto chooses `fast`."""
    colours(room, "hues", "tagger", "balanced", "accurate")
    for preset, runs in ((None, False), ("fast", False), ("balanced", True), ("Accurate", True)):
        scene = looked_at(room, "tall.mp4", skip_acts=None, frames=2, preset=preset)
        assert ("tagger" in ran(room, scene)) == runs, preset
        assert ("hues names acts and clothing" in str(room.told.said("info"))) == runs
    assert "auto chose fast: 2 processor cores, 8 GB of memory" in first_run(room)


def first_run(room: Room) -> str:
    """What is said of the models by a run in which auto chooses."""
    looked_at(room, "tall.mp4", skip_acts=None, tagger_model="hues", frames=2)
    return str(room.told.said("info"))


@shows("tagger_model")
def test_acts_come_from_the_named_model(room: Room) -> None:
    colours(room, "hues", "tagger", "fast")
    colours(room, "shades", "classifier")
    for named, runs in (("shades", {"shades"}), (None, {"hues"}), ("none", set())):
        scene = looked_at(room, "tall.mp4", skip_acts=None, tagger_model=named, frames=2)
        assert taggers(room, scene) == runs


@shows("also_models")
def test_more_models_run_besides(room: Room) -> None:
    colours(room, "hues", "tagger")
    colours(room, "shades", "classifier")
    also = "shades, hues,\nnobody, shades, clip-vit-b32"
    scene = looked_at(room, "tall.mp4", skip_acts=None, also_models=also, frames=2)
    assert taggers(room, scene) == {"hues", "shades"}
    nobody, twice, other = sorted(room.told.said("warning"), key=len, reverse=True)
    assert {"nobody", "twice", "clip-vit-b32 is for clip"} == {
        word
        for word in ("nobody", "twice", "clip-vit-b32 is for clip")
        if any(word in line for line in (nobody, twice, other))
    }
    scene = looked_at(room, "tall.mp4", skip_acts=None, frames=2)
    assert taggers(room, scene) == set()


@shows("similarity_model")
def test_likeness_is_told_by_the_named_model(room: Room) -> None:
    colours(room, "likeness", "similarity")
    scene = looked_at(room, "tall.mp4", similarity_model="likeness")
    assert ran(room, scene)["similarity"] > 0
    assert "similarity" not in ran(room, looked_at(room, "tall.mp4"))


@shows("accept_licences")
def test_a_preset_takes_a_model_whose_licence_was_accepted(room: Room) -> None:
    """Its file is not here, and so it is named among what is missing."""
    row = COLOURS.format(name="bound", task="tagger", presets="[fast]", words=WORDS)
    row = row.replace("commercial: true", "commercial: false").replace(
        "path: bound.onnx", "url: https://models.example/bound.onnx"
    )
    room.engine.own_catalogue.write_text(f"models:\n{row}", "utf-8")
    scene = looked_at(room, "tall.mp4", skip_acts=None)
    assert "bound" not in models_of(room, scene)
    assert "bound waits until you accept its licence, 'none'" in str(room.told.said("info"))
    scene = looked_at(room, "tall.mp4", skip_acts=None, accept_licences="None, GPL-9")
    assert "The files of bound are not here" in models_of(room, scene)
    assert "no model has the licence 'gpl-9'" in str(room.told.said("warning"))


@shows("text_engine")
def test_text_is_read_by_the_named_program_or_it_is_said_why_not(room: Room) -> None:
    scene = looked_at(room, "studio.mp4", skip_text=None, text_engine="paddleocr", text_frames=1)
    assert "text" not in ran(room, scene)
    assert "PaddleOCR needs the extras" in str(room.result(scene)["skipped"])
    scene = looked_at(room, "studio.mp4", skip_text=None, text_frames=1)
    assert "pp-ocr@" in models_of(room, scene)


LETTERS = """\
  {name}:
    task: text
    about: The pack that comes with rapidocr
    licence: Apache-2.0
    commercial: true
    files: {{rec: {file}}}
"""


@shows("text_language")
def test_text_is_read_by_the_named_pack(room: Room) -> None:
    there = "{package: rapidocr, path: models/PP-OCRv6_rec_small.onnx}"
    rows = LETTERS.format(name="text-own", file=there)
    rows += LETTERS.format(name="text-away", file="{url: https://models.example/rec.onnx}")
    room.engine.own_catalogue.write_text(f"models:\n{rows}", "utf-8")

    def read(pack: str | None) -> int:
        seen = {"skip_text": None, "text_language": pack, "text_frames": 1}
        return looked_at(room, "studio.mp4", **seen)

    scene = read("text-own")
    assert "pp-ocr-own@" in models_of(room, scene)
    assert "NORTHLIGHT" in str(room.result(scene)["texts"])
    scene = read("text-away")
    assert "The files of text-away are not here" in models_of(room, scene)
    assert room.result(scene)["texts"] == []
    assert "pp-ocr@" in models_of(room, read("text-none"))
    assert "There is no model called 'text-none'" in str(room.told.said("warning"))


@shows("device")
def test_networks_run_where_the_user_says_or_it_is_said_why_not(room: Room) -> None:
    colours(room, "hues", "tagger")

    def told(device: str | None) -> str:
        room.configure(device=device)
        facts = room.run("doctor")["facts"]
        return " ".join(fact["found"] for fact in facts if fact["what"] == "Runtime")

    assert "asked for" not in told("cpu")
    assert "networks run on the processor (cpu)" in told("cpu")
    here = told("openvino")
    assert "asked for OpenVINO, running on" in here or "(openvino)" in here
    small = room.engine.shelf()
    room.configure(device="cpu", skip_acts=None, tagger_model="hues", frames=2)
    room.add("tall.mp4")
    room.run()
    assert room.engine.shelf() is not small
    assert {each.device for each in room.engine.open_networks()} == {"cpu"}


@shows("full_precision")
def test_a_rounded_model_gives_way_to_the_published_one(room: Room) -> None:
    """Here the rounded one is sure of every colour, which the published one never is."""
    colours(room, "hues", "tagger")
    sure = answering(room.engine.home / "sure.onnx", (1, 3, 224, 224), np.ones((1, 3), np.float32))
    models = room.engine.shelf().models
    base = models.base(models.catalogue.card("hues"), "network")
    base.parent.mkdir(parents=True)
    whole = room.engine.home / "hues.onnx"
    lighter.adopt(whole, sure, "int8", lighter.Agreement(1.0), "kept", base)
    seen = {"skip_acts": None, "tagger_model": "hues", "device": "cpu", "frames": 2}
    for full_precision, surest in ((None, True), (True, False)):
        scene = looked_at(room, "tall.mp4", full_precision=full_precision, skip_facts=True, **seen)
        assert taggers(room, scene) == {"hues"}
        assert (highest_of_the_last_look(room) == 1.0) is surest


def highest_of_the_last_look(room: Room) -> float:
    last = "SELECT max(analysis_id) FROM observations"
    sql = f"SELECT max(score) FROM observations WHERE analysis_id = ({last})"
    with room.engine.store.read() as db:
        return float(db.execute(sql).fetchone()[0])


@shows("memory_budget_mb")
def test_models_beyond_the_budget_are_put_away(room: Room) -> None:
    """Of two networks of 110 MB each, 200 MB hold one; our own budget would hold both."""
    names = ("one", "two")
    one = sum_of_words(room.engine.home / "one.onnx", np.zeros((27_500_000, 1), np.float32))
    (room.engine.home / "two.onnx").hardlink_to(one)
    rows = "".join(OWN_ROW.format(name=name) for name in names)
    room.engine.own_catalogue.write_text(f"models:\n{rows}", "utf-8")
    room.configure(memory_budget_mb=200)
    room.run()
    shelf = room.engine.shelf()
    for name in names:
        shelf.network(shelf.models.catalogue.card(name), "network")
        assert [each.label.partition("@")[0] for each in shelf.held()] == [name]


@shows("floor_percent")
def test_what_is_seen_below_the_floor_is_not_stored(room: Room) -> None:
    def least_kept() -> float:
        sql = "SELECT min(score) FROM observations WHERE vector_row IS NULL AND text IS NULL"
        with room.engine.store.read() as db:
            return float(db.execute(sql).fetchone()[0])

    for percent, floor, below in ((50, 0.5, 1.0), (0, 0.2, 0.5)):
        looked_at(room, "tall.mp4", floor_percent=percent)
        assert floor <= least_kept() < below


# --- The background process ---------------------------------------------------------------------


@shows("idle_minutes")
def test_the_worker_stays_for_so_long_without_work(room: Room) -> None:
    watch = Watch(answers=lambda _stash: True, clock=Clock())
    watch.saw(room.stash.connection)

    def leaves_after(minutes: float) -> bool:
        idle_s, limit_s = minutes * MINUTE_S, room.engine.idle_minutes * MINUTE_S
        return watch.reason_to_leave(idle_s=idle_s, limit_s=limit_s, needed=False) is not None

    for minutes, chosen in ((3, 3), (20, 20), (10, 0)):
        room.configure(idle_minutes=chosen)
        room.run()
        assert (leaves_after(minutes - 0.1), leaves_after(minutes + 0.1)) == (False, True)


@shows("slice_minutes")
@pytest.mark.parametrize(("minutes", "done"), [(3, 2), (7, 4), (0, 8)])
def test_a_turn_is_so_long(
    stash: StandIn, clips: Path, tmp_path: Path, minutes: int, done: int
) -> None:
    """At two minutes a scene, another job that waits goes first after so many."""
    media = tmp_path / "media"
    media.mkdir()
    with open_queue(stash, clips, media, tmp_path / "home") as queue:
        queue.configure(slice_minutes=minutes)
        queue.scene_s = 2 * MINUTE_S
        for _ in range(9):
            queue.add("tall.mp4")
        queue.at_scene = lambda number: queue.scan() if number == 1 else None
        queue.press()
        queue.settle()
        assert queue.order == ["slice", "Scanning...", "slice"]
        assert f": {done} of 9 scenes done" in queue.lines[0]


def test_no_setting_is_without_its_test() -> None:
    assert {field.name for field in fields(Settings)} == SHOWN
