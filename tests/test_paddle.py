"""PaddleOCR's process: what it is told and tells, how it ends, and the real one where it is."""

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stash_sense_plugin.detectors.paddle import (
    READ_LIMIT_S,
    PaddleReader,
    PaddleSetup,
    paddle_version,
)
from stash_sense_plugin.detectors.text import TextDetector
from stash_sense_plugin.errors import Cancelled, ModelBroken, ModelMissing
from stash_sense_plugin.records import Frame, FrameSource, Pixels
from tests import paddle_stand_in as stand_in

PROGRAM = Path(stand_in.__file__)


def reader(
    tmp_path: Path,
    rec: str = "rec.onnx",
    read_limit_s: float = READ_LIMIT_S,
    check: Callable[[], None] | None = None,
) -> PaddleReader:
    python = Path(sys.executable)
    setup = PaddleSetup(python, tmp_path / "det.onnx", tmp_path / rec, None, 640, 2, PROGRAM)
    return PaddleReader(setup, read_limit_s=read_limit_s, check=check)


def picture(asked: int) -> Pixels:
    pixels = np.zeros((30, 70, 3), np.uint8)
    pixels[0, 0, 0] = asked
    return pixels


def lives(tmp_path: Path) -> list[int]:
    """The processes that were opened."""
    return [int(each) for each in (tmp_path / "opened").read_text().split()]


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_pictures_go_in_and_lines_come_back_from_one_process(tmp_path: Path) -> None:
    reading = reader(tmp_path)
    for width in (70, 8):
        lines = reading.read(np.ascontiguousarray(picture(stand_in.READ)[:, :width]))
        assert [(text, score) for text, score, _ in lines] == [
            (f"{width} x 30, 640, None", 0.9),
            ("unsure", 0.2),
        ]
        assert lines[0][2].shape == (4, 2)
    reading.close()
    (process,) = lives(tmp_path)
    assert not is_running(process)


def test_it_is_opened_once_more_where_it_dies(tmp_path: Path) -> None:
    reading = reader(tmp_path)
    assert reading.read(picture(stand_in.CRASH_ONCE))[0][0].startswith("70 x 30")
    assert len(lives(tmp_path)) == 2
    reading.close()


def test_a_picture_at_which_it_dies_twice_is_given_up_and_the_next_is_read(tmp_path: Path) -> None:
    reading = reader(tmp_path)
    with pytest.raises(ModelBroken, match=r"twice.*\(30, 70, 3\).*status 9: it is too much"):
        reading.read(picture(stand_in.CRASH))
    assert len(lives(tmp_path)) == 2
    assert reading.read(picture(stand_in.READ))
    reading.close()
    assert not any(map(is_running, lives(tmp_path)))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (stand_in.NONSENSE, "no JSON"),
        (stand_in.FAIL, "no such operator"),
        (stand_in.NO_LINE, "no line of text"),
    ],
)
def test_an_answer_that_is_none_is_broken_and_no_later_pictures(
    tmp_path: Path, asked: int, says: str
) -> None:
    reading = reader(tmp_path)
    with pytest.raises(ModelBroken, match=says):
        reading.read(picture(asked))
    assert reading.read(picture(stand_in.READ))[0][0].startswith("70 x 30")
    reading.close()


def test_one_that_never_answers_is_ended(tmp_path: Path) -> None:
    reading = reader(tmp_path, read_limit_s=0.3)
    with pytest.raises(ModelBroken, match=r"within 0\.3 s"):
        reading.read(picture(stand_in.HANG))
    assert not any(map(is_running, lives(tmp_path)))


def test_a_stop_is_heard_while_it_reads_and_the_next_picture_is_read(tmp_path: Path) -> None:
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 1:
            raise Cancelled("Stopped")

    reading = reader(tmp_path, check=check)
    with pytest.raises(Cancelled):
        reading.read(picture(stand_in.HANG))
    assert not any(map(is_running, lives(tmp_path)))
    assert reading.read(picture(stand_in.READ))
    reading.close()


def test_what_lacks_in_the_extras_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"onnxruntime.*Set up extras"):
        reader(tmp_path, "refuse.onnx").read(picture(stand_in.READ))


def test_one_that_does_not_open_says_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ModelBroken, match=r"does not open.*status 7: Segmentation fault"):
        reader(tmp_path, "silent.onnx").read(picture(stand_in.READ))


def test_a_reader_that_is_let_go_ends_its_process(tmp_path: Path) -> None:
    reading = reader(tmp_path)
    reading.read(picture(stand_in.READ))
    del reading
    gc.collect()
    assert not any(map(is_running, lives(tmp_path)))


@pytest.mark.parametrize("python", [None, Path("absent/bin/python")], ids=str)
def test_without_the_extras_it_is_missing(python: Path | None) -> None:
    detector = TextDetector(engine="paddleocr", engine_python=python)
    with pytest.raises(ModelMissing, match="Set up extras"):
        _ = detector.model
    with pytest.raises(ModelMissing, match="Set up extras"):
        list(detector.detect([Frame("s", 0, 0.0, picture(0), FrameSource.VIDEO)]))


def test_its_version_is_known_without_running_it(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    libraries = tmp_path / "lib" / "python3.12" / "site-packages"
    (libraries / "paddleocr-3.7.0.dist-info").mkdir(parents=True)
    assert paddle_version(python) == "3.7.0"
    named = TextDetector(engine="paddleocr", pack_name="text-greek", engine_python=python).model
    assert named.startswith("paddleocr-greek@3.7.0-")


@pytest.mark.extras
@pytest.mark.real
def test_the_real_one_reads_a_street_or_says_what_it_lacks(real: Path) -> None:
    python = os.environ.get("STASH_SENSE_EXTRAS_PYTHON")
    if not python:
        pytest.skip("set STASH_SENSE_EXTRAS_PYTHON")
    detector = TextDetector(engine="paddleocr", threads=2, engine_python=Path(python))
    pixels = np.asarray(Image.open(real / "images/text/demo_text_ocr.jpg").convert("RGB"))
    try:
        seen = list(detector.detect([Frame("s", 0, 0.0, pixels, FrameSource.IMAGE)]))
    except ModelMissing as error:
        pytest.skip(str(error))
    detector.close()
    texts = [str(each.text).upper() for each in seen]
    assert texts.count("SALE") == 2
    assert "70%" in texts
    assert seen[0].model.startswith("paddleocr@")
