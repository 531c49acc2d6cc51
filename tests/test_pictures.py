"""Frames for who looks at suggestions: the very ones, small, and a reason where there are none."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from demo.stash import StandIn, fake_file
from stash_sense_plugin.errors import Cancelled, SettingsError
from stash_sense_plugin.media.sprites import parse_vtt, true_times
from stash_sense_plugin.tasks import MODES, Call
from stash_sense_plugin.tasks.asked import PAGE_BYTES
from stash_sense_plugin.tasks.engine import Engine
from tests.clips import number_of, write_clip
from tests.sweep_kit import Told, open_engine

COUNT, FPS = 100, 10


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    media = tmp_path_factory.mktemp("media")
    write_clip(media / "numbered.mp4", COUNT, FPS, gop=25)
    write_clip(media / "upright.mp4", 20, FPS, gop=5, size=(96, 160))
    with StandIn(tmp_path_factory.mktemp("stash"), media=media) as running:
        running.scan()
        yield running


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with open_engine(tmp_path_factory.mktemp("home")) as opened:
        yield opened


def ask(stash: StandIn, engine: Engine, scene: int, *times_s: object, **more: object) -> Any:
    args = {"scene_id": str(scene), "times_s": list(times_s), **more}
    return MODES["pictures"].run(engine, Call(args, stash.connection), Told())


def pixels_of(address: str) -> Any:
    kind, _, data = address.partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def test_a_frame_is_the_one_that_was_shown_then(stash: StandIn, engine: Engine) -> None:
    scene = stash.scene_by_file("numbered.mp4")
    told = ask(stash, engine, scene, 7.3, 0, 7.3, 2.499, 9.9)
    assert [each["time_s"] for each in told["pictures"]] == [7.3, 0, 7.3, 2.499, 9.9]
    numbers = [number_of(pixels_of(each["data"])) for each in told["pictures"]]
    assert numbers == [73, 0, 73, 24, 99]
    assert [each["tile"] for each in told["pictures"]] == [None] * 5
    assert told["note"] == ""


@pytest.mark.parametrize(
    ("file", "width_px", "size"),
    [
        pytest.param("numbered.mp4", 80, (80, 48), id="narrow"),
        pytest.param("numbered.mp4", 640, (160, 96), id="never larger than it is"),
        pytest.param("upright.mp4", 80, (80, 133), id="upright"),
    ],
)
def test_it_is_as_wide_as_was_asked(
    stash: StandIn, engine: Engine, file: str, width_px: int, size: tuple[int, int]
) -> None:
    (one,) = ask(stash, engine, stash.scene_by_file(file), 1.0, width_px=width_px)["pictures"]
    height, width = pixels_of(one["data"]).shape[:2]
    assert (width, height) == size


def test_a_tile_of_the_sheet_serves_where_one_was_taken_then(
    stash: StandIn, engine: Engine
) -> None:
    scene = stash.scene_by_file("numbered.mp4")
    stash.generate([scene])
    cues = parse_vtt(requests.get(f"{stash.url}/scene/{scene}/vtt/thumbs", timeout=10).text)
    taken_s = round(true_times(cues, COUNT / FPS)[60], 3)
    tiled, drawn = ask(stash, engine, scene, taken_s, 3.05)["pictures"]
    assert tiled["data"] is None
    tile = tiled["tile"]
    sheet = Image.open(
        io.BytesIO(requests.get(f"{stash.url}{tile['path']}", timeout=10).content)
    ).convert("RGB")
    assert sheet.size == (tile["sheet_width"], tile["sheet_height"])
    left, top = tile["x"], tile["y"]
    part = np.asarray(sheet)[top : top + tile["height"], left : left + tile["width"]]
    # ffmpeg, which Stash calls, takes the first picture that begins at a time or after it.
    assert number_of(part) == int(taken_s * FPS) + 1
    assert drawn["tile"] is None
    assert number_of(pixels_of(drawn["data"])) == 30


def test_what_cannot_be_read_is_said(stash: StandIn, engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video at all" * 100)
    scene = stash.add_scene("broken", file=fake_file(str(path), duration_s=3.0))
    told = ask(stash, engine, scene, 1.0)
    assert told["pictures"] == [{"time_s": 1.0, "tile": None, "data": None}]
    assert "broken.mp4" in told["note"]


def test_a_frame_that_cannot_be_read_is_no_other_one(
    stash: StandIn, engine: Engine, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "short.mp4", 20, FPS)
    scene = stash.add_scene("short", file=fake_file(str(path), duration_s=60.0))
    told = ask(stash, engine, scene, 1.0, 50.0)
    assert number_of(pixels_of(told["pictures"][0]["data"])) == 10
    assert told["pictures"][1]["data"] is None
    assert told["note"] == "Not every frame of the file can be read"


def test_where_the_file_is_away_the_nearest_tile_serves(
    stash: StandIn, engine: Engine, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "away.mp4", COUNT, FPS)
    with StandIn(tmp_path / "stash", media=tmp_path) as other:
        other.scan(sprites=True)
        path.rename(tmp_path / "elsewhere")
        told = ask(other, engine, other.scene_by_file("away.mp4"), 5.031)
    assert "away.mp4" in told["note"]
    assert told["pictures"][0]["tile"] is not None


def test_of_a_file_that_is_damaged_in_the_middle_what_is_whole_is_shown(
    engine: Engine, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "damaged.mp4", COUNT, FPS, gop=25)
    data = bytearray(path.read_bytes())
    begin = data.find(b"mdat") + 8
    length = data.find(b"moov") - begin
    for place in range(begin + length * 35 // 100, begin + length * 75 // 100):
        data[place] = 0x55
    path.write_bytes(data)
    with StandIn(tmp_path / "stash") as other:
        scene = other.add_scene("damaged", file=fake_file(str(path), duration_s=COUNT / FPS))
        told = ask(other, engine, scene, 1.0, 3.0, 5.0, 7.0, 9.0)
    shown = {
        each["time_s"]: number_of(pixels_of(each["data"]))
        for each in told["pictures"]
        if each["data"] is not None
    }
    assert 1 <= len(shown) < 5
    assert shown[1.0] == 10
    assert all(number == round(time_s * FPS) for time_s, number in shown.items())
    assert told["note"] == "Not every frame of the file can be read"


def test_a_reply_stays_below_a_megabyte(stash: StandIn, engine: Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / "noise.mp4"
    _write_noise(path, rng)
    with StandIn(tmp_path / "stash", media=tmp_path) as other:
        other.scan()
        scene = other.scene_by_file("noise.mp4")
        told = ask(other, engine, scene, *(i / FPS for i in range(24)), width_px=640)
    length = sum(len(each["data"] or "") for each in told["pictures"])
    assert length < PAGE_BYTES
    assert any(each["data"] is None for each in told["pictures"])
    assert told["note"].startswith("The reply is full")


def _write_noise(path: Path, rng: np.random.Generator) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "10"}
        for _ in range(24):
            noise = rng.integers(0, 256, (480, 640, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, "rgb24")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    "times_s",
    [
        pytest.param([], id="none"),
        pytest.param([1.0] * 25, id="too many"),
        pytest.param([-1], id="negative"),
        pytest.param(["1"], id="text"),
        pytest.param([True], id="a switch"),
        pytest.param([float("nan")], id="no number"),
        pytest.param([1e12], id="endless"),
        pytest.param([10**400], id="huge"),
    ],
)
def test_times_that_are_none_are_refused(
    stash: StandIn, engine: Engine, times_s: list[Any]
) -> None:
    with pytest.raises(SettingsError):
        ask(stash, engine, stash.scene_by_file("numbered.mp4"), *times_s)


def test_a_scene_that_is_gone_is_said(stash: StandIn, engine: Engine) -> None:
    with pytest.raises(SettingsError, match="Stash has no scene 99999"):
        ask(stash, engine, 99999, 1.0)


def test_it_stops_when_nobody_waits(stash: StandIn, engine: Engine) -> None:
    def stop(_number: int) -> None:
        raise Cancelled("nobody waits")

    args = {"scene_id": str(stash.scene_by_file("numbered.mp4")), "times_s": [3.05]}
    with pytest.raises(Cancelled):
        MODES["pictures"].run(engine, Call(args, stash.connection), Told(stop))


@pytest.mark.real
def test_real_frames_are_those_of_their_times(stash: StandIn, engine: Engine, real: Path) -> None:
    """The labelled clip shows other things after a minute."""
    file = fake_file(str(real / "videos" / "labelled.mp4"), duration_s=87.0)
    scene = stash.add_scene("labelled", file=file)
    told = ask(stash, engine, scene, 2.0, 2.0, 60.0)
    first, same, far = (pixels_of(each["data"]).astype(int) for each in told["pictures"])
    assert np.abs(first - same).mean() == 0
    assert np.abs(first - far).mean() > 10
