"""Which scenes look most like one: the vectors of files, and what a user is told of them."""

import argparse
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rich.console import Console

from demo.stash import StandIn
from stash_sense_plugin.cli import similar
from stash_sense_plugin.cli.desk import Desk
from stash_sense_plugin.errors import SettingsError, StoreError
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.library import vectors
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.library.vectors import (
    FileVector,
    file_of,
    file_vectors,
    nearest,
    scene_vector,
    scenes_of,
)
from stash_sense_plugin.media.fingerprint import oshash
from stash_sense_plugin.records import Fingerprint, FrameSource, Observation, Ran
from stash_sense_plugin.tasks import MODES, Call
from tests.sweep_kit import Told
from tests.verdict_kit import VerdictRoom, open_room

MODEL = "dino@1"
Rows = Sequence[Sequence[float]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite") as opened:
        yield opened


def file(number: int) -> Fingerprint:
    return Fingerprint(f"{number:016x}", 1000 + number)


def keep(
    store: Store,
    fingerprint: Fingerprint,
    rows: Rows,
    model: str = MODEL,
    detector: str = "similarity",
    key: str = "sprite:1",
) -> None:
    """Keep a look whose frames have these vectors."""
    times = tuple(2.0 * index for index in range(len(rows)))
    seen = [
        Observation("7", at, times[at], detector, model, "frame", 1.0,
                    vector=np.asarray(row, np.float32))
        for at, row in enumerate(rows)
    ]  # fmt: skip
    ran = Ran(detector, model, "cpu", "fp32", len(rows), 1.0)
    store.save_analysis(
        fingerprint, key, FrameSource.SPRITE, 60.0, times, detector, model, seen, ran
    )


def one(store: Store, number: int) -> NDArray[np.float32]:
    vector = scene_vector(store, file(number), "similarity", MODEL)
    assert vector is not None
    return vector


# --- The vectors of files ------------------------------------------------------------------------


def test_a_files_vector_is_the_mean_of_its_frames(store: Store) -> None:
    keep(store, file(1), [(1, 0, 0), (0, 1, 0), (1, 0, 0), (0, 1, 0)])
    np.testing.assert_allclose(one(store, 1), [2**-0.5, 2**-0.5, 0], atol=1e-3)
    assert one(store, 1).dtype == np.float32


def test_the_newest_look_by_the_very_model_counts(store: Store) -> None:
    keep(store, file(1), [(1, 0)], key="sprite:1")
    keep(store, file(1), [(0, 1)], key="sprite:2")
    keep(store, file(1), [(-1, 0)], model="dino@2")
    keep(store, file(1), [(0, -1)], detector="clip")
    np.testing.assert_allclose(one(store, 1), [0, 1], atol=1e-3)
    [only] = file_vectors(store, "similarity", MODEL)
    np.testing.assert_array_equal(only.vector, one(store, 1))
    assert (only.fingerprint, only.scene_key) == (file(1), "7")


def test_files_without_a_look_or_a_direction_have_none(store: Store) -> None:
    keep(store, file(1), [])
    keep(store, file(2), [(1, 0), (-1, 0)])
    keep(store, file(3), [(0, 0)])
    for number in (1, 2, 3, 4):
        assert scene_vector(store, file(number), "similarity", MODEL) is None
    assert list(file_vectors(store, "similarity", MODEL)) == []


def test_all_files_come_once_however_many_there_are(store: Store) -> None:
    numbers = range(1, 2 * vectors.BLOCK + 4)
    for number in numbers:
        keep(store, file(number), [(1, number)])
    found = list(file_vectors(store, "similarity", MODEL))
    assert [each.fingerprint for each in found] == [file(number) for number in numbers]
    for number in (1, vectors.BLOCK, vectors.BLOCK + 1):
        np.testing.assert_array_equal(found[number - 1].vector, one(store, number))


def test_what_is_damaged_is_left_out_and_named(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2, 3):
        keep(store, file(number), [(1, number)])
    with store.write() as db:
        db.execute("UPDATE embeddings SET float16 = zeroblob(7) WHERE analysis_id = 2")
    found = [each.fingerprint for each in file_vectors(store, "similarity", MODEL)]
    assert found == [file(1), file(3)]
    assert "Vectors of file 2 are damaged" in caplog.text
    with pytest.raises(StoreError, match="vectors of file 2"):
        scene_vector(store, file(2), "similarity", MODEL)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_the_nearest_are_those_of_a_comparison_with_all(seed: int, count: int) -> None:
    noise = np.random.default_rng(seed)
    rows = noise.standard_normal((20, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    each = [FileVector(i, file(i), str(i), row) for i, row in enumerate(rows)]
    found = nearest(each, rows[3], count, frozenset({file(3)}))
    order = [i for i in np.argsort(-(rows @ rows[3]), kind="stable") if i != 3]
    assert [near.file_id for near in found] == order[:count]
    assert all(-1.001 <= near.cosine <= 1.001 for near in found)


def test_vectors_of_another_length_are_not_compared() -> None:
    odd = FileVector(1, file(1), "1", np.array([1.0], np.float32))
    assert nearest([odd], np.array([1.0, 0.0], np.float32), 5, frozenset()) == []


# --- What a user is told -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, tmp_path: Path) -> Iterator[VerdictRoom]:
    with open_room(stash, tmp_path) as opened:
        yield opened


def model_of(room: VerdictRoom, name: str) -> str:
    catalogue = room.engine.catalogue()
    return Models(room.engine.home / "models", catalogue).label(catalogue.card(name))


def seen(room: VerdictRoom, rows: Rows, name: str = "", detector: str = "clip") -> int:
    """Add a scene that was looked at, with these vectors."""
    scene = room.scene()
    room.looked(scene)
    fingerprint = room.read(scene).fingerprint
    assert fingerprint is not None
    keep(
        room.engine.store,
        fingerprint,
        rows,
        model_of(room, name or room.engine.settings.clip_model),
        detector,
    )
    return scene


def told(room: VerdictRoom, **args: Any) -> list[tuple[int, float]]:
    return [(int(row["scene_id"]), row["cosine"]) for row in room.run("similar", **args)["similar"]]


def test_the_most_alike_scenes_come_first_with_their_titles(room: VerdictRoom) -> None:
    asked = seen(room, [(1, 0, 0)])
    far = seen(room, [(0, 1, 0)])
    near = seen(room, [(0.8, 0.6, 0), (0.8, 0.6, 0)])
    found = room.run("similar", scene_id=asked)["similar"]
    assert [(row["scene_id"], row["title"]) for row in found] == [
        (str(near), room.read(near).title),
        (str(far), room.read(far).title),
    ]
    assert found[0]["cosine"] == pytest.approx(0.8, abs=1e-3)
    assert told(room, scene_id=asked, limit=1) == [(near, found[0]["cosine"])]


def test_scenes_that_are_gone_from_stash_are_not_told(room: VerdictRoom) -> None:
    asked, gone, there = (seen(room, [(1, 0)]) for _ in range(3))
    room.stash.remove_scene(gone)
    assert [scene for scene, _ in told(room, scene_id=asked)] == [there]


def test_a_file_is_compared_by_its_own_vectors(room: VerdictRoom, tmp_path: Path) -> None:
    own = tmp_path / "own.bin"
    own.write_bytes(bytes(range(256)) * 600)
    keep(
        room.engine.store, oshash(own), [(0, 1)],
        model_of(room, room.engine.settings.clip_model), "clip",
    )  # fmt: skip
    like, _ = seen(room, [(0, 1)]), seen(room, [(1, 0)])
    (first, cosine), _ = told(room, path=str(own))
    assert first == like
    assert cosine == pytest.approx(1.0, abs=1e-3)


def test_the_similarity_model_is_compared_where_one_is_set(room: VerdictRoom) -> None:
    asked = seen(room, [(1, 0)], "dinov2-small", "similarity")
    other = seen(room, [(1, 0)], "dinov2-small", "similarity")
    seen(room, [(1, 0)])
    room.configure(similarity_model="dinov2-small")
    done = room.run("similar", scene_id=asked)
    assert (done["detector"], done["model"]) == ("similarity", model_of(room, "dinov2-small"))
    assert [row["scene_id"] for row in done["similar"]] == [str(other)]


def test_without_a_stash_the_store_alone_is_read(room: VerdictRoom) -> None:
    asked, other = seen(room, [(1, 0)]), seen(room, [(1, 0)])
    done: Any = MODES["similar"].run(room.engine, Call({"scene_id": asked}), Told())
    [row] = done["similar"]
    assert (row["scene_id"], row["title"]) == (str(other), "")
    assert row["source"].endswith(".mp4")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "No scene is named"),
        ({"scene_id": "1", "path": "/a"}, "Both a scene and a file are named"),
        ({"scene_id": "99"}, "Scene 99 was never looked at: tag it first"),
        ({"scene_id": "1", "limit": 0}, "not between 1 and 200"),
    ],
)
def test_what_cannot_be_compared_is_said(
    room: VerdictRoom, args: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        room.run("similar", **args)


def test_a_scene_that_the_model_never_saw_is_said(room: VerdictRoom) -> None:
    scene = room.scene()
    room.looked(scene)
    with pytest.raises(SettingsError, match=f"never looked at scene {scene}.*models pull clip-"):
        room.run("similar", scene_id=scene)


def test_scenes_and_files_find_each_other(room: VerdictRoom) -> None:
    scene = seen(room, [(1, 0)])
    store, fingerprint = room.engine.store, room.read(scene).fingerprint
    assert file_of(store, str(scene)) == fingerprint
    assert file_of(store, "99") is None
    [only] = file_vectors(store, "clip", model_of(room, room.engine.settings.clip_model))
    assert scenes_of(store, [only.file_id, 99]) == {
        only.file_id: [(str(scene), room.read(scene).source)],
        99: [],
    }


class NearDesk(Desk):
    """A desk whose worker is in this process."""

    def __init__(self, room: VerdictRoom) -> None:
        self.console = Console(file=io.StringIO(), width=200)
        self.lines: list[Any] = []
        self._room = room

    def ask(self, mode: str, args: Any, *, told: bool = True) -> Any:
        return self._room.run(mode, **args)

    def print_json(self, value: object) -> None:
        self.lines.append(value)


def command(room: VerdictRoom, *words: object) -> tuple[list[Any], str]:
    parser = argparse.ArgumentParser()
    similar.add(parser.add_subparsers())
    asked = parser.parse_args(["similar", *map(str, words)])
    desk = NearDesk(room)
    assert asked.command(asked, desk) == 0
    assert isinstance(desk.console.file, io.StringIO)
    return desk.lines, desk.console.file.getvalue()


def test_the_command_shows_scenes_or_says_that_there_are_none(room: VerdictRoom) -> None:
    asked = seen(room, [(1, 0)])
    assert command(room, asked) == ([], "No other scene was looked at.\n")
    others = [seen(room, [(1, 0)]) for _ in range(3)]
    _, shown = command(room, asked)
    assert all(room.read(scene).title in shown for scene in others)
    [line], _ = command(room, asked, "--limit", 2, "--json")
    assert len(line["similar"]) == 2
