"""Deciding many scenes again from the store: as each alone, in blocks, past what is damaged."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import redecide
from stash_sense_plugin.calibration import Platt
from stash_sense_plugin.errors import Cancelled
from stash_sense_plugin.identity.studio import StudioName
from stash_sense_plugin.inference.catalogue import load_catalogue
from stash_sense_plugin.library.analyses import as_kept
from stash_sense_plugin.library.looks import kept_looks
from stash_sense_plugin.library.scenes import Decidable
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.pipeline.deciding import conclude, decide_all, digest
from stash_sense_plugin.pipeline.parts import DecideScene, Look, Parts, recalled
from stash_sense_plugin.records import (
    Box,
    Decision,
    Evidence,
    Fingerprint,
    FrameSource,
    Level,
    Observation,
    Ran,
    Scene,
    SceneResult,
    Suggestion,
    TimeRange,
)
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.tasks.differing import Covering
from stash_sense_plugin.vocabulary import Label, Vocabulary
from tests.sweep_kit import ROOT
from tests.test_pipeline import Late, Reader

DOG = Label("dog", "Dog", "animal", classes=("toy/dog",), shortest_s=0.0)
DARK = Label("dark", "Dark", "fact", facts=("picture/dark",), shortest_s=0.0)
STUDIOS = (StudioName("7", "Northlight Studio", ()),)
TIMES = [0.5 + i for i in range(20)]


class Job:
    """Listens to warnings, and stops when told."""

    def __init__(self, checks: int = 1_000_000) -> None:
        self.lines: list[str] = []
        self._checks = checks

    def log(self, level: Level, message: str) -> None:
        self.lines.append(f"{level}: {message}")

    def progress(self, fraction: float) -> None: ...

    def check(self) -> None:
        self._checks -= 1
        if self._checks < 0:
            raise Cancelled("Stopped")


class Dogs(Late):
    """Sees dogs; what it saw is in the store."""


class Facts(Late):
    name = "picture"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "own.sqlite") as opened:
        yield opened


@pytest.fixture
def parts(store: Store, tmp_path: Path) -> Iterator[Parts]:
    """Planted words, and detectors of every kind of observation."""
    redecide.write_vocabulary(tmp_path, changed=True)
    with redecide.opened(tmp_path) as engine:
        planted = redecide.parts_of(engine)
        redecide.plant_words(engine.store, planted.detectors[0].model)
        labels = {**planted.vocabulary.labels, "dog": DOG, "dark": DARK}
        room = {f"label {place}": labels[f"label {place}"] for place in range(3)}
        exclusive = {name: replace(label, exclusive="room") for name, label in room.items()}
        yield replace(
            planted,
            store=store,
            vocabulary=Vocabulary({**labels, **exclusive}),
            detectors=(planted.detectors[0], Dogs("dogs@1"), Reader(), Facts("facts@1")),
            studios=STUDIOS,
            floor=0.0,
        )


def saw(
    store: Store,
    number: int,
    detector: str,
    model: str,
    seen: Sequence[Observation],
    duration_s: float | None = 20.0,
    times: Sequence[float] = TIMES,
    key: str = "sprites",
) -> None:
    ran = Ran(detector, model, "cpu", "fp32", len(times), 1.0)
    store.save_analysis(
        print_of(number), key, FrameSource.SPRITE, duration_s, times, detector, model, seen, ran
    )


def print_of(number: int) -> Fingerprint:
    return Fingerprint(f"{number:016x}", 1 + number)


def one(
    detector: str, model: str, at: int, label: str, score: float, **more: object
) -> Observation:
    seen = Observation("s", at, TIMES[at], detector, model, label, score, Box(0.1, 0.1, 0.5, 0.5))
    return replace(seen, **more)  # type: ignore[arg-type]


def frames(model: str, number: int, count: int = 20) -> list[Observation]:
    chance = np.random.default_rng(number)
    vectors = chance.standard_normal((count, redecide.DIMENSIONS)).astype(np.float32)
    vectors[:, :203] *= 0.1
    vectors[:, 200:203] += 3.0
    vectors[: max(1, count // 2), number % 20] += 6.0
    vectors[:, 20 + number % 3] += chance.random(count).astype(np.float32) * 6
    return [
        one("clip", model, at, "frame", 1.0, box=None, vector=vector)
        for at, vector in enumerate(vectors)
    ]


def library(store: Store, parts: Parts, count: int, duration_s: float | None = 20.0) -> None:
    """Scenes with vectors, objects, facts and texts, the last with fewer and fewer of them."""
    clip = parts.detectors[0].model
    times = TIMES if duration_s else TIMES[:1]
    for number in range(count):
        shown = len(times)
        saw(store, number, "clip", clip, frames(clip, number, shown), duration_s, times)
        dogs = [one("objects", "dogs@1", at, "toy/dog", 0.05 * at) for at in range(shown)]
        saw(store, number, "objects", "dogs@1", dogs, duration_s, times)
        if number % 2:
            facts = [one("picture", "facts@1", at, "picture/dark", 0.9, box=None)
                     for at in range(0, shown, 2)]  # fmt: skip
            saw(store, number, "picture", "facts@1", facts, duration_s, times)
        if number % 3:
            texts = [one("text", "reader@1", at, "text", 0.95, text="NORTHLIGHT STUDIO")
                     for at in range(0, shown, 5)]  # fmt: skip
            saw(store, number, "text", "reader@1", texts, duration_s, times)


def known(store: Store, number: int, duration_s: float | None = 20.0) -> DecideScene:
    file = print_of(number)
    with store.read() as db:
        (row,) = db.execute(
            "SELECT id FROM files WHERE oshash = ? AND size_bytes = ?",
            (file.oshash, file.size_bytes),
        ).fetchone()
    path = f"/library/{number}.mp4"
    return DecideScene(Decidable(str(number), row, file, path, duration_s, None))


def alone(store: Store, parts: Parts, scene: DecideScene) -> SceneResult:
    """The same decided as a look at the one scene is, from the store's single reads."""
    file, looks = scene.known.fingerprint, []
    for detector in parts.detectors:
        stored = store.latest_analysis(file, detector.name, detector.model)
        if stored is not None:
            looks.append(recalled(stored, parts.floor))
    told = Scene(scene.known.scene_id, "", scene.known.source, file, scene.known.duration_s)
    return conclude(told, looks, parts.skipped, parts, Job())


@pytest.mark.parametrize("duration_s", [20.0, 14.2, None])
def test_many_are_decided_as_each_alone(
    store: Store, parts: Parts, duration_s: float | None
) -> None:
    """To the last bit, whatever the block they are read in."""
    library(store, parts, 12, duration_s)
    scenes = [known(store, number, duration_s) for number in range(12)]
    found = {
        scene.known.scene_id: result for scene, result, _ in decide_all(store, scenes, parts, Job())
    }
    assert found == {each.known.scene_id: alone(store, parts, each) for each in scenes}
    names = {each.name for result in found.values() for each in result.suggestions}
    assert {"Dark", "Northlight Studio", "Tag 3", "Tag 0"} <= names
    assert ("Dog" in names) is (duration_s is not None)


def test_what_was_looked_at_is_decided_again_as_it_was(store: Store, parts: Parts) -> None:
    """Vectors are rounded by the store: a look decides by what will be read."""
    clip = parts.detectors[0].model
    library(store, parts, 1)
    seen = tuple(as_kept(frames(clip, 0)))
    looked = Look(
        Ran("clip", clip, "cpu", "fp32", 20, 0.0), "sprites", FrameSource.SPRITE, 20.0,
        tuple(TIMES), seen,
    )  # fmt: skip
    only = replace(parts, detectors=parts.detectors[:1])
    ((_, again, told),) = decide_all(store, [known(store, 0)], only, Job())
    first = conclude(Scene("0", "", "/library/0.mp4", print_of(0), 20.0), [looked], (), only, Job())
    assert again.suggestions == first.suggestions != ()
    assert told == digest(first)


@given(order=st.permutations(range(7)), block=st.integers(1, 7))
@settings(max_examples=20)
def test_neither_order_nor_neighbours_change_a_decision(
    store: Store, parts: Parts, order: list[int], block: int
) -> None:
    library(store, parts, 7)
    scenes = [known(store, number) for number in order]
    together = {
        scene.known.scene_id: mark for scene, _, mark in decide_all(store, scenes, parts, Job())
    }
    some = decide_all(store, scenes[:block], parts, Job())
    assert {scene.known.scene_id: mark for scene, _, mark in some}.items() <= together.items()


def test_a_scene_without_a_look_is_left_out_and_its_place_is_kept(
    store: Store, parts: Parts
) -> None:
    library(store, parts, 3)
    gone = replace(known(store, 1), known=replace(known(store, 1).known, file_id=999))
    scenes = [known(store, 2), gone, known(store, 0)]
    told = [scene.known.scene_id for scene, _, _ in decide_all(store, scenes, parts, Job())]
    assert told == ["2", "0"]


def test_another_models_vectors_do_not_count_but_its_objects_do(store: Store, parts: Parts) -> None:
    saw(store, 0, "clip", "other@1", frames("other@1", 0))
    saw(
        store,
        0,
        "objects",
        "dogs@0",
        [one("objects", "dogs@0", at, "toy/dog", 0.9) for at in range(20)],
    )
    ((_, result, _),) = decide_all(store, [known(store, 0)], parts, Job())
    assert [(each.detector, each.model) for each in result.ran] == [("objects", "dogs@0")]
    assert [each.name for each in result.suggestions] == ["Dog"]
    saw(store, 0, "objects", "dogs@1", [])
    ((_, result, _),) = decide_all(store, [known(store, 0)], parts, Job())
    assert [each.model for each in result.ran] == ["dogs@1"]
    assert result.suggestions == ()


def test_one_damaged_file_stops_no_other(store: Store, parts: Parts) -> None:
    library(store, parts, 3)
    with sqlite3.connect(store.path) as db:
        db.execute(
            "UPDATE embeddings SET float16 = zeroblob(7) WHERE analysis_id ="
            " (SELECT id FROM analyses WHERE file_id = ? AND detector = 'clip')",
            (known(store, 1).known.file_id,),
        )
    db.close()
    job = Job()
    scenes = [known(store, number) for number in range(3)]
    told = [scene.known.scene_id for scene, _, _ in decide_all(store, scenes, parts, job)]
    assert told == ["0", "2"]
    (line,) = job.lines
    assert line.startswith("warning: /library/1.mp4 is left as it is")
    assert "damaged" in line


def test_a_broken_page_stops_no_other(store: Store, parts: Parts) -> None:
    """The page that says where a vector goes on leads nowhere."""
    library(store, parts, 3)
    with sqlite3.connect(store.path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = db.execute("PRAGMA page_size").fetchone()
        (blob,) = db.execute(
            "SELECT float16 FROM embeddings JOIN analyses ON analyses.id = analysis_id"
            " WHERE file_id = ?",
            (known(store, 1).known.file_id,),
        ).fetchone()
    db.close()
    content = bytearray(store.path.read_bytes())
    page = content.index(blob[10_000:10_100]) // size * size
    content[page : page + 4] = b"\xff\xff\xff\xff"
    store.path.write_bytes(content)
    job = Job()
    scenes = [known(store, number) for number in range(3)]
    told = [scene.known.scene_id for scene, _, _ in decide_all(store, scenes, parts, job)]
    assert told == ["0", "2"]
    (line,) = job.lines
    assert line.startswith("warning: /library/1.mp4 is left as it is")


def test_a_stop_is_heard_between_scenes(store: Store, parts: Parts) -> None:
    library(store, parts, 4)
    scenes = [known(store, number) for number in range(4)]
    # The texts of the words are remembered: they ask for no check of their own.
    left = decide_all(store, scenes, parts, Job(checks=2))
    assert [next(left)[0], next(left)[0]] == scenes[:2]
    with pytest.raises(Cancelled):
        next(left)


def test_what_was_said_of_a_scene_is_heard_for_it_alone(store: Store, parts: Parts) -> None:
    library(store, parts, 2)
    weak = replace(parts, fitted={("toy", ""): Platt(1.0, -5.0)})
    dog = frozenset({("tag", "dog")})
    scenes = [replace(known(store, 0), accepted=dog), replace(known(store, 1), refused=dog)]
    found = [
        {each.name: each.decision for each in result.suggestions}["Dog"]
        for _, result, _ in decide_all(store, scenes, weak, Job())
    ]
    assert found == [Decision.APPLY, Decision.HIDE]


def test_below_the_floor_nothing_decides(store: Store, parts: Parts) -> None:
    library(store, parts, 1)
    ((_, result, _),) = decide_all(store, [known(store, 0)], replace(parts, floor=0.96), Job())
    assert not {"Dog"} & {each.name for each in result.suggestions}
    assert {"Tag 0"} <= {each.name for each in result.suggestions}


# --- The digest ---------------------------------------------------------------------------------

SHOWN = Evidence(1.0, 0.9, "objects", "dogs@1")
SAID = Suggestion(
    "tag", "Dog", "dog", 0.8, Decision.ASK, (TimeRange("dog", 0.0, 4.0, 0.9),), (SHOWN,)
)


def told(*said: Suggestion) -> bytes:
    return digest(SceneResult("s", 20.0, {}, tuple(said)))


@pytest.mark.parametrize(
    "other",
    [
        replace(SAID, name="Puppy"),
        replace(SAID, label="puppy"),
        replace(SAID, kind="studio"),
        replace(SAID, target_id="3"),
        replace(SAID, confidence=0.8001),
        replace(SAID, decision=Decision.APPLY),
        replace(SAID, decision=Decision.HIDE),
        replace(SAID, ranges=(TimeRange("dog", 0.0, 4.001, 0.9),)),
        replace(SAID, evidence=(replace(SHOWN, model="dogs@2"),)),
    ],
)
def test_the_digest_sees_what_a_user_sees(other: Suggestion) -> None:
    assert told(SAID) != told(other)
    assert len(told(SAID)) == 16


def test_the_digest_sees_nothing_else() -> None:
    cat = replace(SAID, name="Cat")
    hidden = replace(cat, decision=Decision.HIDE)
    assert told(SAID, cat) == told(cat, SAID)
    assert told(SAID, hidden) == told(SAID)
    assert told(replace(SAID, confidence=0.800001, evidence=(SHOWN, SHOWN))) == told(SAID)


# --- The benchmark ------------------------------------------------------------------------------


def test_the_benchmark_finds_what_it_planted_and_the_task_writes_what_differs(
    tmp_path: Path,
) -> None:
    scenes = 10
    redecide.plant(tmp_path, scenes)
    with redecide.opened(tmp_path) as engine:
        store, parts = engine.store, redecide.parts_of(engine)
        found = list(decide_all(store, redecide.known_scenes(store), parts, Job()))
    assert len(found) == scenes
    for scene, result, _ in found:
        planted = redecide.planted(int(scene.known.scene_id) - 1, scenes)
        assert {
            each.name: [(part.start_s, part.end_s) for part in each.ranges]
            for each in result.suggestions
        } == {f"Tag {label}": planted.spans_s(place) for place, label in enumerate(planted.labels)}
    measured = redecide.measure(tmp_path)
    assert (measured.scenes, measured.suggestions) == (scenes, 50)
    assert (measured.changed_scenes, measured.changed_decisions) == (2, 10)
    assert measured.vector_bytes == scenes * 60 * 512 * 2
    assert "10 changed in 2 scenes" in "".join(redecide.decided_lines(measured, 100, 500, 200))
    written = redecide.write(tmp_path, scenes)
    assert (written.scenes, written.changed, written.written["tags"]) == (scenes, 2, 10)
    assert "2 of 10 scenes changed (10 tags" in redecide.written_line(written)
    assert redecide.measure(tmp_path).changed_scenes == 0


# --- Who has not looked ---------------------------------------------------------------------------


class Tags(Late):
    name = "tagger"


LISTS = {"joy": "danbooru", "wd": "danbooru", "rooms": "places", "yolo": "coco"}


@pytest.mark.parametrize(
    ("wanted", "kept", "counts"),
    [
        pytest.param("joy@2", "joy@1", True, id="an older one"),
        pytest.param("joy@1", "wd@1", True, id="another of the same words"),
        pytest.param("joy@1", "rooms@1", False, id="one of other words"),
        pytest.param("joy@1", "gone@1", True, id="one that is listed no more"),
        pytest.param(None, "rooms@1", True, id="one that cannot say"),
    ],
)
def test_a_network_stands_in_for_one_of_its_own_words(
    store: Store, parts: Parts, wanted: str | None, kept: str, counts: bool
) -> None:
    saw(store, 0, "tagger", kept, [])
    file = known(store, 0).known.file_id
    found = kept_looks(store, [file], [("tagger", wanted)], LISTS)
    assert [row["model"] for each in found.values() for row in each.rows] == [kept] * counts
    if wanted is not None:
        some = replace(parts, detectors=(Tags(wanted),), words_of=LISTS)
        looked = [ran.model for _, result, _ in decide_all(store, [known(store, 0)], some, Job())
                  for ran in result.ran]  # fmt: skip
        assert looked == [kept] * counts


@pytest.mark.parametrize(
    ("missing", "goes"),
    [
        pytest.param((), False, id="it is here and has still to look"),
        pytest.param(("joytag@1",), True, id="it is not fetched"),
    ],
)
def test_a_network_that_is_not_here_is_not_waited_for(missing: tuple[str, ...], goes: bool) -> None:
    """What the other wrote and sees no more is taken back; what one alone knows stays."""
    catalogue = load_catalogue(ROOT / "models" / "catalogue.yaml")
    bed = Label("bed", "Bed", "thing", classes=("coco/bed",))
    by_tagger = Label("bed (danbooru)", "Bed", "thing", classes=("danbooru/bed",), of="bed")
    act = Label("act", "Act", "act", classes=("danbooru/act",))
    labels = {label.name: label for label in (bed, by_tagger, act)}
    detectors = (Dogs("yolox-s@1"), Tags("joytag@1"))
    covering = Covering.of(Settings(), Vocabulary(labels), catalogue, detectors, missing)
    looked = SceneResult("s", 20.0, {}, ran=(Ran("objects", "yolox-s@1", "cpu", "fp32", 3, 0.0),))
    assert covering.covered(looked).tag("7", "Bed") is goes
    assert not covering.covered(looked).tag("8", "Act")
    by_both = replace(looked, ran=(*looked.ran, Ran("tagger", "joytag@1", "cpu", "fp32", 3, 0.0)))
    assert covering.covered(by_both).tag("7", "Bed")
