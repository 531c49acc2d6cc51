"""What the pixels themselves tell: degradations of known kind and size, and what tells nothing."""

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw

from stash_sense_plugin.detectors.quality import QualityDetector, facts, lines_of
from stash_sense_plugin.records import Frame, FrameSource, Pixels
from stash_sense_plugin.vocabulary import FACTS

Change = Callable[[Pixels], Pixels]


def scenery(width: int = 1280, height: int = 720, seed: int = 3) -> Pixels:
    """A sharp picture whose power falls with the square of the frequency: dead leaves.

    Discs of every size that cover each other (Matheron 1968; Lee, Mumford & Huang 2001).
    """
    random = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 110, np.uint8)
    for _ in range(6000):
        radius = int(min(300.0, 3.0 / np.sqrt(1.0 - random.uniform())))
        centre = int(random.integers(0, width)), int(random.integers(0, height))
        colour = [int(each) for each in random.integers(25, 225, 3)]
        cv2.circle(picture, centre, radius, colour, -1, cv2.LINE_AA)
    return picture


SCENERY = scenery()


def scores(pixels: Pixels, whole: tuple[int, int] | None = None) -> dict[str, float]:
    """The facts of a picture that were told at all."""
    frame = Frame("s", 0, 0.0, pixels, FrameSource.VIDEO, whole)
    seen = list(QualityDetector().detect([frame]))
    assert all(0 < each.score <= 1 for each in seen)
    return {each.label.removeprefix("quality/"): each.score for each in seen}


def told(pixels: Pixels) -> set[str]:
    """The faults that a picture is said to have, sooner than not."""
    return {fact for fact, score in scores(pixels).items() if score >= 0.5 and "-" not in fact}


def resized(pixels: Pixels, width: int, height: int) -> Pixels:
    shrinks = width < pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=how), np.uint8)


def enlarged(times: float) -> Change:
    def change(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        small = resized(pixels, round(width / times), round(height / times))
        return resized(small, width, height)

    return change


def blurred(sigma_px: float) -> Change:
    return lambda pixels: np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma_px), np.uint8)


def noisy(sigma: float) -> Change:
    def change(pixels: Pixels) -> Pixels:
        noise = np.random.default_rng(5).normal(0, sigma, pixels.shape)
        return (pixels + noise).clip(0, 255).astype(np.uint8)

    return change


def lit(gain: float) -> Change:
    return lambda pixels: (pixels * gain).clip(0, 255).astype(np.uint8)


def jpeg(quality: int) -> Change:
    def change(pixels: Pixels) -> Pixels:
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, "JPEG", quality=quality)
        return np.asarray(Image.open(data).convert("RGB"))

    return change


def both(first: Change, second: Change) -> Change:
    return lambda pixels: second(first(pixels))


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        pytest.param(lambda pixels: pixels, set(), id="as it is"),
        pytest.param(noisy(6), set(), id="grain is no fault told here"),
        pytest.param(jpeg(85), set(), id="a good JPEG"),
        pytest.param(enlarged(1.15), set(), id="hardly enlarged"),
        pytest.param(enlarged(2), {"upscaled"}, id="enlarged twofold"),
        pytest.param(enlarged(3), {"upscaled"}, id="enlarged threefold"),
        pytest.param(both(enlarged(2), noisy(4)), {"upscaled"}, id="grain added after enlarging"),
        pytest.param(blurred(4), {"blurry", "upscaled"}, id="out of focus"),
        pytest.param(jpeg(8), {"blocky"}, id="a bad JPEG"),
        pytest.param(lit(2.6), {"overexposed"}, id="too much light"),
        pytest.param(lit(0.25), {"underexposed"}, id="too little light"),
    ],
)
def test_what_was_done_to_a_picture_is_told(change: Change, faults: set[str]) -> None:
    assert told(change(SCENERY)) == faults


def test_a_moving_camera_blurs_one_way_only() -> None:
    for size in ((41, 1), (1, 41)):
        assert "blurry" in told(np.asarray(cv2.blur(SCENERY, size), np.uint8))


def test_each_fact_is_one_that_the_vocabulary_knows() -> None:
    every = set()
    for change in (lit(2.6), lit(0.25), jpeg(8), blurred(4), lambda pixels: pixels):
        every |= {f"quality/{fact}" for fact, _ in facts(change(SCENERY))}
    assert every == {fact for fact in FACTS if fact.startswith("quality/")}


@pytest.mark.parametrize(
    ("from_lines", "supported"),
    [
        (2160, {"sd", "hd", "full-hd", "4k"}),
        (1080, {"sd", "hd", "full-hd"}),
        (480, {"sd"}),
        (240, set()),
    ],
)
def test_what_the_pixels_support(from_lines: int, supported: set[str]) -> None:
    large = scenery(3840, 2160)
    if from_lines < 2160:
        large = resized(resized(large, from_lines * 16 // 9, from_lines), 3840, 2160)
    found = {fact for fact, score in scores(large).items() if score >= 0.5 and "-" in fact}
    assert found == {f"supports-{name}" for name in supported}


def test_a_small_file_supports_no_more_than_its_lines() -> None:
    assert {fact for fact in scores(resized(SCENERY, 854, 480)) if "-" in fact} == {"supports-sd"}
    assert not scores(resized(SCENERY, 426, 240))


def test_the_middle_of_a_larger_picture_counts_for_the_whole() -> None:
    assert "supports-4k" in scores(SCENERY, whole=(7680, 4320))
    assert "supports-4k" not in scores(SCENERY)


@pytest.mark.parametrize(
    ("size", "lines"),
    [((1920, 1080), 1080), ((1080, 1920), 1080), ((1920, 800), 1080), ((1440, 1080), 1080)],
)
def test_lines_are_counted_as_resolutions_are_called(size: tuple[int, int], lines: float) -> None:
    assert lines_of(*size) == lines


def test_bars_are_left_out() -> None:
    boxed = np.zeros((1000, 1280, 3), np.uint8)
    boxed[140:860] = enlarged(2)(SCENERY)
    assert told(boxed) == {"upscaled"}
    boxed[140:860] = SCENERY
    assert told(boxed) == set()


def test_a_sharp_subject_before_a_soft_ground_is_sharp() -> None:
    picture = blurred(12)(SCENERY)
    picture[200:520, 500:820] = SCENERY[200:520, 500:820]
    assert told(picture) == set()


def test_a_title_over_a_soft_picture_does_not_make_it_sharp() -> None:
    picture = Image.fromarray(blurred(4)(SCENERY))
    ImageDraw.Draw(picture).text((40, 660), "a title", fill="white", font_size=40)
    assert "blurry" in told(np.asarray(picture))


def test_drawn_areas_do_not_count_as_soft() -> None:
    picture = Image.new("RGB", (1280, 720), (120, 180, 230))
    draw = ImageDraw.Draw(picture)
    for at in range(12):
        corner = 90 * at + 20, 40 + 45 * (at % 7)
        draw.ellipse((*corner, corner[0] + 170, corner[1] + 260), (200, 90 + 10 * at, 80), "black")
    assert told(np.asarray(picture)) == set()


def slope() -> Pixels:
    across = np.linspace(90, 130, 640)[None, :, None]
    return np.broadcast_to(across, (360, 640, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(np.zeros((360, 640, 3), np.uint8), id="black"),
        pytest.param(np.full((360, 640, 3), 255, np.uint8), id="white"),
        pytest.param(noisy(3)(np.full((360, 640, 3), 90, np.uint8)), id="plain, with grain"),
        pytest.param(noisy(3)(np.zeros((360, 640, 3), np.uint8)), id="black, with grain"),
        pytest.param(slope(), id="a sky"),
        pytest.param(SCENERY[:40, :50], id="too small"),
        pytest.param(SCENERY[:1, :1], id="a pixel"),
        pytest.param(SCENERY[:1], id="a line"),
    ],
)
def test_what_tells_nothing(pixels: Pixels) -> None:
    assert scores(np.ascontiguousarray(pixels)) == {}


def test_a_page_is_not_overexposed() -> None:
    page = Image.new("RGB", (1280, 720), "white")
    for line in range(12):
        ImageDraw.Draw(page).text((80, 40 + 50 * line), "words " * 12, fill="black", font_size=30)
    assert told(np.asarray(page)) == set()


def test_stripes_on_the_grid_are_no_blocks() -> None:
    striped = SCENERY.copy()
    striped[:, ::8] //= 2
    assert "blocky" not in told(striped)


def test_frames_are_told_in_their_order() -> None:
    frames = [Frame("s", i, i * 2.0, SCENERY, FrameSource.IMAGE) for i in range(3)]
    seen = list(QualityDetector().detect(frames))
    assert [each.frame_index for each in seen] == sorted(each.frame_index for each in seen)
    assert {(each.detector, each.model) for each in seen} == {("quality", "quality@1")}
    assert {each.time_s for each in seen} == {0.0, 2.0, 4.0}


@settings(max_examples=25)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 200), st.integers(1, 200), st.just(3))))
def test_any_picture_is_judged(pixels: Pixels) -> None:
    assert all(0 <= score <= 1 for _, score in facts(pixels))


@pytest.mark.real
def test_real_pictures_are_told_from_their_degradations(real: Path) -> None:
    paths = sorted((real / "images" / "scenes").rglob("*.jpg"))[::12]
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    assert len(pictures) >= 12
    for change, fault, at_least in (
        (blurred(3), "blurry", 0.9),
        (enlarged(3), "upscaled", 0.9),
        (jpeg(15), "blocky", 0.9),
        (lit(0.25), "underexposed", 0.9),
    ):
        after = sum(fault in told(change(each)) for each in pictures)
        before = sum(fault in told(each) for each in pictures)
        assert after >= at_least * len(pictures), fault
        assert before <= 0.1 * len(pictures), fault
