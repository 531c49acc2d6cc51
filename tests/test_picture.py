from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw

from stash_sense_plugin.detectors.picture import PictureDetector
from stash_sense_plugin.records import Frame, FrameSource, Pixels


def scenery(width: int = 320, height: int = 180, seed: int = 1) -> Image.Image:
    """Draw bright, coloured shapes on an uneven ground."""
    random = np.random.default_rng(seed)
    picture = Image.fromarray(
        np.linspace((60, 110, 180), (210, 190, 120), height)
        .astype(np.uint8)[:, None]
        .repeat(width, 1)
    )
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = int(random.integers(0, width)), int(random.integers(0, height))
        colour = tuple(int(part) for part in random.integers(20, 255, 3))
        draw.ellipse((x - 20, y - 20, x + 30, y + 30), fill=colour)
    return picture


def pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB"))


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    import io

    file = io.BytesIO()
    picture.save(file, "jpeg", quality=quality)
    return Image.open(file).convert("RGB")


def framed(inner: Image.Image, size: tuple[int, int], level: int = 0) -> Image.Image:
    whole = Image.new("RGB", size, (level, level, level))
    whole.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
    return whole


def frames(pictures: list[Pixels], scene: str = "s", start: int = 0) -> list[Frame]:
    return [
        Frame(scene, start + i, float(start + i), one, FrameSource.SPRITE)
        for i, one in enumerate(pictures)
    ]


def facts(picture: Image.Image) -> dict[str, float]:
    """Return what is surely so of one picture: fact -> score."""
    seen = PictureDetector().detect(frames([pixels(picture)]))
    return {o.label.removeprefix("picture/"): o.score for o in seen}


def sure(picture: Image.Image) -> set[str]:
    return {fact for fact, score in facts(picture).items() if score >= 0.5}


GREY = scenery().convert("L").convert("RGB")
SEPIA = Image.merge(
    "RGB", [GREY.getchannel(0).point(lambda v, k=k: int(v * k)) for k in (1, 0.86, 0.7)]
)
DUSK = scenery().point(lambda value: int(value * 0.2))
NIGHT = scenery().point(lambda value: int(value * 0.08))


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        pytest.param(scenery(), set(), id="a bright landscape is nothing special"),
        pytest.param(scenery(180, 320), {"vertical"}, id="upright"),
        pytest.param(scenery(90, 160), {"vertical"}, id="an upright sprite tile"),
        pytest.param(scenery(200, 200), set(), id="a square is not upright"),
        pytest.param(GREY, {"black-and-white"}, id="grey"),
        pytest.param(jpeg(GREY, 30), {"black-and-white"}, id="grey after a poor JPEG"),
        pytest.param(SEPIA, set(), id="sepia is a colour"),
        pytest.param(jpeg(scenery(), 30), set(), id="colour after a poor JPEG"),
        pytest.param(NIGHT, {"dark"}, id="dark"),
        pytest.param(Image.new("RGB", (160, 90)), {"dark"}, id="black is dark and nothing else"),
        pytest.param(Image.new("RGB", (160, 90), "white"), set(), id="white"),
        pytest.param(
            framed(scenery(320, 138), (320, 180)), {"letterboxed"}, id="bars above and below"
        ),
        pytest.param(
            framed(scenery(240, 180), (320, 180), 16), {"letterboxed"}, id="bars at the sides"
        ),
        pytest.param(
            jpeg(framed(scenery(240, 180), (320, 180)), 40), {"letterboxed"}, id="bars in a JPEG"
        ),
        pytest.param(
            framed(scenery(102, 180), (320, 180)), {"letterboxed"}, id="upright between bars"
        ),
        pytest.param(
            framed(scenery(320, 138), (320, 180), 90), set(), id="grey bars are part of the picture"
        ),
        pytest.param(
            framed(DUSK.resize((320, 138)), (320, 180)), {"dark", "letterboxed"}, id="dark in bars"
        ),
    ],
)
def test_facts_of_one_picture(picture: Image.Image, told: set[str]) -> None:
    assert sure(picture) == told


def test_lights_in_the_night_are_not_darkness_itself() -> None:
    night = NIGHT.copy()
    ImageDraw.Draw(night).rectangle((40, 40, 160, 110), fill=(250, 240, 200))
    assert "dark" not in sure(night)


def test_one_bar_is_no_letterbox() -> None:
    picture = scenery()
    ImageDraw.Draw(picture).rectangle((0, 0, 320, 30), fill="black")
    assert "letterboxed" not in facts(picture)


def test_a_picture_that_rests_is_still_and_one_that_moves_is_not() -> None:
    rest, moved = pixels(scenery()), pixels(scenery(seed=2))
    noisy = np.clip(rest.astype(int) + np.random.default_rng(0).integers(-3, 4, rest.shape), 0, 255)
    told = PictureDetector().detect(frames([rest, noisy.astype(np.uint8), moved, moved]))
    assert [o.frame_index for o in told if o.label == "picture/still" and o.score > 0.5] == [1, 3]


def test_stillness_is_remembered_between_calls_and_never_between_scenes() -> None:
    detector, picture = PictureDetector(), pixels(scenery())

    def still(one: list[Frame]) -> list[tuple[str, int]]:
        seen = detector.detect(one)
        return [(o.scene_key, o.frame_index) for o in seen if o.label == "picture/still"]

    assert still(frames([picture])) == []
    assert still(frames([picture], start=1)) == [("s", 1)]
    assert still(frames([picture], "t")) == []
    assert still(frames([picture, picture], "u") + frames([picture], "v")) == [("u", 1)]
    assert still(frames([picture], "v")) == [], "a second look begins anew"


def test_an_observation_says_whose_it_is() -> None:
    (seen,) = PictureDetector().detect(frames([pixels(scenery(180, 320))], "w", start=7))
    assert (seen.scene_key, seen.frame_index, seen.time_s) == ("w", 7, 7.0)
    assert (seen.detector, seen.model) == ("picture", PictureDetector.model)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60), st.just(3))))
def test_any_picture_has_scores_between_nothing_and_all(picture: Pixels) -> None:
    for seen in PictureDetector().detect(frames([picture, picture])):
        assert 0 < seen.score <= 1


@pytest.mark.real
def test_real_rooms_are_in_colour_and_no_one_boxed_them(real: Path) -> None:
    rooms = sorted((real / "images/scenes/kitchen").iterdir())[:20]
    told = [sure(Image.open(room).convert("RGB")) for room in rooms]
    assert sum(bool(one & {"dark", "letterboxed"}) for one in told) <= 1
    assert not any("black-and-white" in one for one in told)
    greys = [sure(Image.open(room).convert("L").convert("RGB")) for room in rooms]
    assert all("black-and-white" in one for one in greys)
