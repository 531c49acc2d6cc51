"""Pictures: upright, RGB, of any mode, and none that is too large or none at all."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stash_sense_plugin.errors import MediaMissing, MediaUnreadable
from stash_sense_plugin.media.images import image_sampling, is_image, read_image, read_native
from stash_sense_plugin.media.native import NATIVE_PIXELS
from stash_sense_plugin.records import FrameSource
from tests.clips import write_clip


def test_a_picture_is_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (30, 20), (10, 200, 30)).save(path)
    sampling = image_sampling(path, "k")
    (frame,) = sampling.frames()
    assert (sampling.key, sampling.duration_s, sampling.times_s) == ("image", None, (0.0,))
    assert (frame.scene_key, frame.source, frame.time_s) == ("k", FrameSource.IMAGE, 0.0)
    assert frame.pixels.shape == (20, 30, 3)
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels[5, 5].tolist() == [10, 200, 30]


def test_a_turned_picture_is_set_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    picture = Image.new("RGB", (40, 20), "blue")
    picture.paste("red", (0, 0, 10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(path, exif=exif, quality=95)
    pixels = read_image(path)
    assert pixels.shape == (40, 20, 3)
    assert pixels[2, 10, 0] > 200
    assert pixels[35, 10, 2] > 200


def test_a_pictures_own_pixels_are_neither_shrunk_nor_turned(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise = np.random.default_rng(1).integers(0, 255, (40, 2500, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise).save(path, exif=exif)
    pixels, whole = read_native(path)
    assert whole is None
    np.testing.assert_array_equal(pixels, noise)


@pytest.mark.parametrize(
    ("size", "suffix"), [((4000, 3000), "png"), ((8000, 5200), "jpg"), ((20, 600_000), "png")]
)
def test_of_a_huge_picture_the_middle_is_kept(
    tmp_path: Path, size: tuple[int, int], suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    picture = Image.new("RGB", size, (90, 90, 90))
    picture.paste((200, 200, 200), (0, size[1] // 2, *size))
    picture.save(path)
    pixels, whole = read_native(path)
    assert whole == size
    assert pixels.size <= 3 * NATIVE_PIXELS
    middle = pixels.shape[0] // 2
    assert (abs(pixels[middle - 20].astype(int) - 90) <= 1).all()
    assert (abs(pixels[middle + 20].astype(int) - 200) <= 1).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "gif", "tiff"])
def test_a_large_picture_is_shrunk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (3000, 1500), (250, 0, 0)).save(path)
    pixels = read_image(path, 600)
    assert pixels.shape == (300, 600, 3)
    assert abs(pixels[100, 100].astype(int) - (250, 0, 0)).max() < 6


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16", "I", "F", "CMYK"])
def test_a_large_picture_of_any_mode_is_shrunk_and_turned(tmp_path: Path, mode: str) -> None:
    """The left half is white, the right one black; turned, the white one is on top."""
    path = tmp_path / ("a.tiff" if mode in ("I", "F", "CMYK") else "a.png")
    white = Image.new("L", (500, 300), 255)
    picture = Image.new("L", (1000, 300))
    picture.paste(white)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(path, exif=exif)
    pixels = read_image(path, 100)
    assert pixels.shape == (100, 30, 3)
    assert pixels[10, 15].min() > 240
    assert pixels[90, 15].max() < 15


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 90, 90),
        ("1", 1, 255),
        ("I;16", 90 * 257, 90),
        ("P", 0, 0),
        ("LA", (90, 255), 90),
        ("RGBA", (90, 90, 90, 0), 255),
        ("CMYK", (0, 0, 0, 255), 0),
    ],
)
def test_every_mode_becomes_rgb(
    tmp_path: Path, mode: str, colour: int | tuple[int, ...], expected: int
) -> None:
    path = tmp_path / ("a.tiff" if mode in ("CMYK", "I;16") else "a.png")
    Image.new(mode, (8, 8), colour).save(path)
    pixels = read_image(path)
    assert pixels.shape == (8, 8, 3)
    assert (abs(pixels.astype(int) - expected) <= 1).all()


def bomb(width: int, height: int) -> bytes:
    """The header of a PNG of this size, and next to nothing behind it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(10_000)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


def test_pixels_that_are_no_numbers_are_black_or_white(tmp_path: Path) -> None:
    path, pixels = tmp_path / "a.tiff", np.full((8, 8), 90, np.float32)
    pixels[0], pixels[1], pixels[2] = np.nan, np.inf, -np.inf
    Image.fromarray(pixels).save(path)
    (frame,) = image_sampling(path, "k").frames()
    assert frame.pixels[:3, 0, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize("side", [20_000, 2_000_000])
def test_a_bomb_is_refused_from_its_header(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(side, side))
    with pytest.raises(MediaUnreadable, match=f"{side} x {side}"):
        read_image(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"words",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\xff\xd8\xff\xe0" + bytes(90),
        bomb(10, 10)[:40],
        b"GIF89a" + b"\xff" * 40,
    ],
    ids=["empty", "text", "a program", "stub", "cut header", "broken"],
)
def test_what_is_no_picture_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(MediaUnreadable, match=r"a\.jpg"):
        read_image(path)


def test_a_picture_cut_off_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    noise = np.random.default_rng(1).integers(0, 255, (90, 144, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(MediaUnreadable):
        read_image(path)


def test_a_picture_is_known_by_its_content(tmp_path: Path) -> None:
    picture, video = tmp_path / "picture.mp4", tmp_path / "video.jpg"
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    write_clip(tmp_path / "a.mp4", count=2).rename(video)
    assert is_image(picture)
    assert not is_image(video)
    assert not is_image(tmp_path)
    with pytest.raises(MediaMissing):
        is_image(tmp_path / "absent.jpg")


@pytest.mark.real
def test_real_pictures_are_read(real: Path) -> None:
    paths = [path for path in (real / "images").rglob("*") if is_image_name(path)]
    assert len(paths) > 100
    for path in paths[::10]:
        pixels = read_image(path, 640)
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3
        assert max(pixels.shape) <= 640
        assert pixels.std() > 1


def is_image_name(path: Path) -> bool:
    return path.suffix.lower() in (".jpg", ".jpeg", ".png")
