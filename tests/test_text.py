import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from stash_sense_plugin.detectors.text import (
    MOST_LETTERS,
    TextDetector,
    clean,
    logical,
    upright,
)
from stash_sense_plugin.errors import ModelBroken, ModelMissing
from stash_sense_plugin.records import Frame, FrameSource, Observation


@pytest.fixture(scope="module")
def detector() -> TextDetector:
    return TextDetector(threads=2)


def frame(picture: Image.Image, index: int = 0) -> Frame:
    pixels = np.asarray(picture.convert("RGB"))
    return Frame("s", index, index * 3.0, pixels, FrameSource.VIDEO)


def titled(*lines: tuple[str, int, int, int]) -> Image.Image:
    """Draw lines of (text, x, y, size) on a 1280 x 720 picture."""
    picture = Image.new("RGB", (1280, 720), (30, 60, 40))
    draw = ImageDraw.Draw(picture)
    for text, x, y, size in lines:
        draw.text((x, y), text, font=ImageFont.load_default(size), fill=(240, 240, 230))
    return picture


def read(detector: TextDetector, *pictures: Image.Image) -> list[Observation]:
    return list(detector.detect([frame(one, i) for i, one in enumerate(pictures)]))


def test_a_title_and_a_watermark_are_read_where_they_stand(
    detector: TextDetector, capfd: pytest.CaptureFixture[str]
) -> None:
    picture = titled(("Maple Street", 80, 100, 60), ("www.example.com", 900, 650, 36))
    title, mark = read(detector, Image.new("RGB", (1280, 720)), picture)
    assert (title.text, mark.text) == ("Maple Street", "www.example.com")
    assert title.score > 0.9
    assert (title.label, title.detector, title.frame_index, title.time_s) == (
        "text",
        "text",
        1,
        3.0,
    )
    assert title.model.startswith("pp-ocr@")
    assert title.box is not None
    assert mark.box is not None
    np.testing.assert_allclose([title.box.x, title.box.y], [80 / 1280, 110 / 720], atol=0.03)
    np.testing.assert_allclose([mark.box.x, mark.box.y], [900 / 1280, 655 / 720], atol=0.03)
    assert capfd.readouterr() == ("", "")


def test_a_picture_without_text_yields_nothing_and_the_next_is_read_all_the_same(
    detector: TextDetector, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert read(detector, Image.new("RGB", (640, 360)), Image.new("RGB", (8, 8), "white")) == []
        assert [o.text for o in read(detector, titled(("Again", 400, 300, 90)))] == ["Again"]
    assert not [record for record in caplog.records if record.name == "RapidOCR"]


def test_what_is_read_less_surely_than_the_floor_is_left_out() -> None:
    assert read(TextDetector(floor=1.01), titled(("Maple Street", 80, 100, 60))) == []


def test_a_closed_detector_opens_again(detector: TextDetector) -> None:
    detector.close()
    assert [o.text for o in read(detector, titled(("Open", 400, 300, 90)))] == ["Open"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        pytest.param("  A\t title\n here ", "A title here", id="white space"),
        pytest.param("a\x1b[31m\x00b", "a [31m b", id="control characters"),
        pytest.param("gnp.\u202eexe", "gnp. exe", id="letters that turn the line round"),
        pytest.param("Cafe\u0301", "Café", id="composed"),
        pytest.param("x" * 500, "x" * MOST_LETTERS, id="bounded"),
        pytest.param("\x01\x02", "", id="nothing left"),
    ],
)
def test_a_line_is_cleaned(line: str, told: str) -> None:
    assert clean(line) == told


@given(st.text())
def test_a_cleaned_line_stays_as_it_is(line: str) -> None:
    once = clean(line)
    assert clean(once) == once
    assert len(once) <= MOST_LETTERS
    assert once.isprintable()


@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=8))
def test_a_box_lies_in_the_frame(corners: list[float]) -> None:
    box = upright(np.array(corners).reshape(4, 2), 360, 640)
    assert 0 <= box.x <= box.x + box.w <= 1.000001
    assert 0 <= box.y <= box.y + box.h <= 1.000001


def test_a_slanted_line_has_an_upright_box() -> None:
    corners = np.array([[64, 36], [320, 72], [320, 108], [64, 72]])
    box = upright(corners, 360, 640)
    assert [box.x, box.y, box.w, box.h] == pytest.approx([0.1, 0.1, 0.4, 0.2])


# --- Language packs ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_rec() -> Path:
    """The network for letters that comes with rapidocr, as a pack's would lie on the disk."""
    import rapidocr

    (found,) = (Path(rapidocr.__file__).parent / "models").glob("*rec*.onnx")
    return found


def letters_of(network: Path) -> list[str]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])
    return str(session.get_modelmeta().custom_metadata_map["character"]).splitlines()


def silenced(network: Path, target: Path) -> Path:
    """Copy a network without the letters that it holds."""
    import onnx

    model = onnx.load(str(network))
    del model.metadata_props[:]
    onnx.save(model, str(target))
    return target


TITLE = ("Maple Street", 80, 100, 60)


def test_a_pack_reads_and_is_named(own_rec: Path, tmp_path: Path) -> None:
    pack = tmp_path / "korean.onnx"
    pack.symlink_to(own_rec)
    (seen,) = read(TextDetector(pack={"rec": pack}, pack_name="text-korean"), titled(TITLE))
    assert seen.text == "Maple Street"
    assert seen.model.startswith("pp-ocr-korean@")


def test_letters_come_from_their_file_where_the_network_holds_none(
    own_rec: Path, tmp_path: Path
) -> None:
    """Other letters are read then, and nothing is fetched."""
    rec = silenced(own_rec, tmp_path / "rec.onnx")
    letters = tmp_path / "letters.txt"
    swapped = {"M": "W", "S": "Z"}
    letters.write_text("\n".join(swapped.get(each, each) for each in letters_of(own_rec)))
    detector = TextDetector(pack={"rec": rec, "letters": letters}, pack_name="mine")
    assert [each.text for each in read(detector, titled(TITLE))] == ["Waple Ztreet"]
    assert detector.model.startswith("pp-ocr-mine@")


@pytest.mark.parametrize(
    ("letters", "says"),
    [(None, "does not say which letters"), ("a\nb\nc", "has 3 letters for 18708")],
)
def test_letters_that_are_not_the_networks_are_refused(
    own_rec: Path, tmp_path: Path, letters: str | None, says: str
) -> None:
    pack = {"rec": silenced(own_rec, tmp_path / "rec.onnx")}
    if letters:
        pack["letters"] = tmp_path / "letters.txt"
        pack["letters"].write_text(letters)
    with pytest.raises(ModelBroken, match=f"mine cannot be used: .*{says}.*letters"):
        read(TextDetector(pack=pack, pack_name="mine"), titled(TITLE))


def test_an_untried_pack_reads_a_drawn_line_first(own_rec: Path) -> None:
    pack = TextDetector(pack={"rec": own_rec}, pack_name="text-mine", untried=True)
    assert [each.text for each in read(pack, titled(TITLE))] == ["Maple Street"]


def test_an_untried_pack_that_reads_no_digits_is_refused(own_rec: Path, tmp_path: Path) -> None:
    """The letters of a list in another order: as many, and none that is drawn."""
    letters = tmp_path / "letters.txt"
    letters.write_text("\n".join(reversed(letters_of(own_rec))))
    files = {"rec": silenced(own_rec, tmp_path / "rec.onnx"), "letters": letters}
    untried = TextDetector(pack=files, pack_name="text-mine", untried=True)
    for _ in range(2):
        with pytest.raises(ModelBroken, match="text-mine does not read a drawn 1234567890"):
            read(untried, titled(TITLE))


def test_a_pack_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    detector = TextDetector(pack={"rec": tmp_path / "rec.onnx"}, pack_name="text-thai")
    assert detector.model.startswith("pp-ocr-thai@")
    with pytest.raises(ModelMissing, match=r"text-thai lacks its file rec.*models pull text-thai"):
        read(detector, titled(TITLE))


@pytest.mark.parametrize(
    ("seen", "read_aloud"),
    [
        pytest.param("Maple (2) Street", "Maple (2) Street", id="left to right stays"),
        pytest.param("םולש", "שלום", id="Hebrew"),
        pytest.param("ةيبرعلا ةغللا", "اللغة العربية", id="Arabic, two words"),
        pytest.param("2024 ماع", "عام 2024", id="a number keeps its order"),
        pytest.param("Studio Maple ماع", "عام Studio Maple", id="so do Latin words"),
        pytest.param("(م) ع", "ع (م)", id="brackets turn round"),
    ],
)
def test_lines_are_kept_in_the_order_of_reading(seen: str, read_aloud: str) -> None:
    assert logical(seen) == read_aloud


@pytest.mark.real
def test_signs_in_a_real_street_are_read(real: Path, detector: TextDetector) -> None:
    seen = read(detector, Image.open(real / "images/text/demo_text_ocr.jpg"))
    texts = [str(o.text).upper().replace(" ", "") for o in seen]
    assert texts.count("SALE") == 2
    assert "70%" in texts
    assert any("BANK" in text for text in texts)


@pytest.mark.parametrize("length", [1, 320, 2048, 5000, 100_000, 1_000_000])
@pytest.mark.parametrize("width", [1, 2, 8])
def test_a_line_of_pixels_holds_no_text(detector: TextDetector, length: int, width: int) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (width, length, 3), np.uint8)
    for pixels in (noise, np.ascontiguousarray(noise.transpose(1, 0, 2))):
        assert not list(detector.detect([Frame("s", 0, 0.0, pixels, FrameSource.VIDEO)]))


@pytest.mark.parametrize(
    "size", [(1280, 12), (12, 1280), (2048, 20), (640, 6), (40, 1700)], ids=str
)
def test_the_narrowest_pictures_that_are_looked_at(
    detector: TextDetector, size: tuple[int, int]
) -> None:
    read(detector, Image.effect_noise(size, 90))
