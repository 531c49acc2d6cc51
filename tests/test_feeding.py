import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stash_sense_plugin.detectors.feeding import feed, input_side, squared
from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference.catalogue import LocalFile, ModelCard
from stash_sense_plugin.inference.session import open_network
from stash_sense_plugin.records import Pixels
from tests.small_networks import Side, doubling, masked_words

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
JOYTAG = {"fit": "pad", "mean": MEAN, "std": STD}
WD = {"fit": "pad", "order": "nhwc", "colour": "bgr", "scale": 1, "mean": (0,) * 3, "std": (1,) * 3}
NSFWJS = {"fit": "squash", "order": "nhwc", "filter": "bilinear", "mean": (0,) * 3, "std": (1,) * 3}


def card(**facts: Any) -> ModelCard:
    told = {
        "name": "net",
        "task": "similarity",
        "about": "-",
        "licence": "MIT",
        "commercial": True,
        "files": {"network": LocalFile(path="net.onnx")},
    }
    return ModelCard.model_validate(told | facts)


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


def on_white(picture: Pixels) -> Image.Image:
    image = Image.fromarray(picture)
    side = max(image.size)
    square = Image.new("RGB", (side, side), (255, 255, 255))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


@pytest.mark.parametrize("size", [(90, 160), (161, 90), (448, 448), (720, 1280)])
def test_joytags_pictures_lie_on_white(size: tuple[int, int]) -> None:
    picture = noise(*size)
    scaled = np.asarray(on_white(picture).resize((448, 448), Image.Resampling.BICUBIC), np.float32)
    expected = (scaled / 255 - np.array(MEAN)) / np.array(STD)
    (made,) = feed([picture], card(**JOYTAG), 448)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, expected.transpose(2, 0, 1), atol=1e-6)


def test_wds_pictures_are_blue_first_and_as_bright_as_they_came() -> None:
    picture = noise(90, 160)
    scaled = np.asarray(on_white(picture).resize((448, 448), Image.Resampling.BICUBIC))
    (made,) = feed([picture], card(**WD), 448)
    np.testing.assert_array_equal(made, scaled[..., ::-1].astype(np.float32))
    assert made.flags.c_contiguous


def test_nsfwjs_pictures_are_squashed() -> None:
    picture = noise(90, 160)
    image = Image.fromarray(picture).resize((224, 224), Image.Resampling.BILINEAR)
    (made,) = feed([picture], card(**NSFWJS), 224)
    np.testing.assert_allclose(made, np.asarray(image, np.float32) / 255, atol=1e-7)


def test_mean_and_std_stand_in_the_order_of_the_channels_as_fed() -> None:
    caffe = card(colour="bgr", scale=1, mean=(104, 117, 123), std=(1, 1, 2))
    (made,) = feed([np.full((9, 9, 3), (223, 217, 204), np.uint8)], caffe, 4)
    np.testing.assert_array_equal(made[:, 0, 0], [100, 100, 50])


@pytest.mark.parametrize("how", ["bicubic", "bilinear", "lanczos", "area"])
@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_each_way_to_scale_is_pils(fit: str, how: str) -> None:
    box = Image.Resampling.BOX if how == "area" else Image.Resampling[how.upper()]
    picture = noise(60, 60)
    expected = np.asarray(Image.fromarray(picture).resize((32, 32), box))
    np.testing.assert_array_equal(squared(picture, card(fit=fit, filter=how), 32), expected)


@given(st.integers(1, 1200), st.integers(1, 9), st.booleans(), st.sampled_from([*"csp"]))
def test_a_picture_of_any_shape_becomes_a_square(
    long: int, short: int, upright: bool, fit: str
) -> None:
    names = {"c": "crop", "s": "squash", "p": "pad"}
    size = (long, short) if upright else (short, long)
    made = squared(np.full((*size, 3), 77, np.uint8), card(fit=names[fit], ground=77), 16)
    assert made.shape == (16, 16, 3)
    assert (made == 77).all()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to RLIMIT_AS")
@pytest.mark.parametrize("fit", ["squash", "pad"])
@pytest.mark.parametrize("size", [(60000, 2), (2, 60000), (2048, 1)])
def test_a_line_of_a_picture_takes_little_memory(size: tuple[int, int], fit: str) -> None:
    """Whole, the square of the first would take ten gigabytes."""
    told = subprocess.run(
        [sys.executable, "-c", LINE, fit, *map(str, size)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (told.stdout, told.returncode) == ("white", 0), told.stderr


LINE = """
import resource, sys
import numpy as np
from stash_sense_plugin.detectors.feeding import squared
from stash_sense_plugin.inference.catalogue import LocalFile, ModelCard
card = ModelCard(name="net", task="similarity", about="-", licence="MIT", commercial=True,
                 files={"network": LocalFile(path="net.onnx")}, fit=sys.argv[1])
squared(np.zeros((300, 300, 3), np.uint8), card, 224)
width, height = map(int, sys.argv[2:])
picture = np.full((height, width, 3), 255, np.uint8)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 220_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.stdout.write("white" if squared(picture, card, 448).min() == 255 else "not white")
"""
"""Makes a square of a long picture in a process that may take little more memory."""


@pytest.mark.parametrize(
    ("shape", "facts", "side"),
    [
        (("b", 3, 448, 448), {}, 448),
        (("b", 3, 448, 448), {"size": 224}, 448),
        (("b", 3, "h", "w"), {"size": 224}, 224),
        (("b", 3, "h", "w"), {}, 99),
        (("b", 3, 256, "w"), {}, 256),
        (("b", 64, 64, 3), {"order": "nhwc"}, 64),
    ],
)
def test_the_graphs_own_size_comes_first(
    tmp_path: Path, shape: tuple[Side, ...], facts: dict[str, Any], side: int
) -> None:
    network = open_network(doubling(tmp_path / "net.onnx", shape))
    assert input_side(network, card(**facts), 99) == side


@pytest.mark.parametrize(
    ("shape", "facts", "said"),
    [
        (("b", 3, "h", "w"), {}, "any size, and its row names none: write size"),
        (("b", 3, 64, 64), {"order": "nhwc"}, "of shape any x 3 x 64 x 64, not three channels"),
        (("b", 64, 64, 3), {}, "not three channels of a square in the order nchw"),
        (("b", 3, 64, 128), {}, "not three channels of a square"),
        (("b", 1, 64, 64), {}, "not three channels of a square"),
        (("b", 512), {}, "the first with 2 dimensions, not a batch of pictures"),
    ],
)
def test_what_takes_no_square_pictures_is_refused(
    tmp_path: Path, shape: tuple[Side, ...], facts: dict[str, Any], said: str
) -> None:
    network = open_network(doubling(tmp_path / "net.onnx", shape))
    with pytest.raises(ModelBroken, match=said):
        input_side(network, card(**facts))


def test_a_network_of_two_inputs_is_refused(tmp_path: Path) -> None:
    path = masked_words(tmp_path / "net.onnx", np.eye(3, dtype=np.float32))
    with pytest.raises(ModelBroken, match="takes 2 inputs"):
        input_side(open_network(path), card())
