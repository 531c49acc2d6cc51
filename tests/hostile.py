"""Media that mean harm or are broken: each named, the same every time, made in seconds.

Nothing in here is large on disk; what claims to be large lies, or is sparse.
"""

import gzip
import io
import os
import random
import shutil
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from tests.clips import turn, write_clip, write_sound

TILE = (18, 32)
GRID = 3
ARABIC = {ord("0") + digit: 0x660 + digit for digit in range(10)}
LENGTH_S = 3.0
"""How long the clips are."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """One input: a scene's file, its sprite sheet and VTT as Stash serves them, or both."""

    name: str
    """Its kind, a colon, and what is wrong with it."""
    path: str = ""
    vtt: bytes | None = None
    sheet: bytes | None = None
    duration_s: float | None = LENGTH_S
    """What Stash says; None for a picture."""
    ends: frozenset[str] = frozenset({"Tagged", "Errored"})
    """What may become of it. `TagMe` is for what another time may be there."""

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]


TAGGED, ERRORED, LEFT = (frozenset({name}) for name in ("Tagged", "Errored", "TagMe"))


@dataclass
class Workshop:
    """Where inputs are made: `secrets` holds what none of them may make us read."""

    folder: Path
    secrets: Path
    port: int = 9
    """Where a server listens that nobody may ask."""
    seed: int = 0
    _made: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.secrets.exists():
            self.secrets.mkdir(parents=True)
            for suffix in ("mp4", "ts", "mkv"):
                write_clip(self.secrets / f"secret.{suffix}", count=6, size=(96, 64))
            Image.new("RGB", (90, 160)).save(self.secrets / "secret.jpg")
            (self.secrets / "secret.txt").write_text("root:x:0:0:root:/root:/bin/sh\n")

    def clip(self, suffix: str, codec: str, **more: int) -> bytes:
        """The bytes of a good clip, made once."""
        key = f"{suffix} {codec} {more}"
        if key not in self._made:
            path = self.folder / f"base.{suffix}"
            options = {"count": 24, "fps": 8, "gop": 6} | more
            size = options.pop("width", 96), options.pop("height", 64)
            write_clip(path, codec=codec, size=size, **options)  # type: ignore[arg-type]
            self._made[key] = path.read_bytes()
            path.unlink()
        return self._made[key]

    def put(self, name: str, data: bytes | str) -> str:
        """Write a file and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return str(path)

    @cached_property
    def mp4(self) -> bytes:
        return self.clip("mp4", "libx264")

    @cached_property
    def pictures(self) -> "list[tuple[str, bytes]]":
        return list(pictures(self))

    @cached_property
    def bases(self) -> dict[str, bytes]:
        """A clip of each of the containers that are flipped and cut."""
        kinds = {"mp4": "libx264", "mkv": "libx264", "webm": "libvpx", "avi": "mpeg4"}
        return {suffix: self.clip(suffix, codec) for suffix, codec in kinds.items()} | {
            "ts": self.clip("ts", "libx264")
        }


def build(shop: Workshop) -> list[Hostile]:
    """Make every input there is."""
    return [each for make in MAKERS.values() for each in make(shop)]


# --- Sprite sheets and their VTT ----------------------------------------------------------------


def stamp(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return (
        f"{milliseconds // 3_600_000:02d}:{milliseconds // 60_000 % 60:02d}:"
        f"{milliseconds // 1000 % 60:02d}.{milliseconds % 1000:03d}"
    )


def vtt(tile: tuple[int, int] = TILE, sheet: str = "x_sprite.jpg", count: int = GRID**2) -> str:
    """A VTT as Stash writes it."""
    width, height = tile
    lines = ["WEBVTT", ""]
    for number in range(count):
        x, y = number % GRID * width, number // GRID % GRID * height
        lines.append(f"{stamp(number / 3)} --> {stamp((number + 1) / 3)}")
        lines += [f"{sheet}#xywh={x},{y},{width},{height}", ""]
    return "\n".join(lines)


def one_cue(times: str = "00:00:00.000 --> 00:00:03.000", place: str = "#xywh=0,0,18,32") -> str:
    return f"WEBVTT\n\n{times}\nx_sprite.jpg{place}\n"


def picture(size: tuple[int, int] = (TILE[0] * GRID, TILE[1] * GRID)) -> Image.Image:
    """Coloured noise that compresses badly enough to be cut."""
    noise = np.random.default_rng(7).integers(0, 255, (*size[::-1], 3), np.uint8)
    return Image.fromarray(noise)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def vtts(shop: Workshop) -> Iterator[Hostile]:
    """Good sheets whose VTT is broken or lies."""
    sheet = encoded(picture())
    for name, text in _vtt_texts(shop):
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        yield Hostile(f"vtt: {name}", vtt=data, sheet=sheet)
    good = vtt().encode()
    for at in range(5, len(good), len(good) // 20):
        yield Hostile(f"vtt: cut at {at}", vtt=good[:at], sheet=sheet)


def _vtt_texts(shop: Workshop) -> Iterator[tuple[str, str | bytes]]:
    good = vtt()
    yield "empty", ""
    yield "header alone", "WEBVTT\n"
    yield "no header", good.removeprefix("WEBVTT")
    yield "header in small letters", good.replace("WEBVTT", "webvtt")
    yield "noise", random.Random(1).randbytes(4000)
    yield "null bytes", bytes(4000)
    yield "null bytes inside", good.replace("-->", "--\0>").encode()
    for coding in ("utf-16", "utf-16-be", "utf-32", "cp037"):
        yield coding, good.encode(coding)
    yield "no UTF-8", good.encode().replace(b"x_sprite", b"\xff\xfe\xc0\x80")
    yield "lone surrogates", good.replace("x_sprite", "\ud800\udfff\ud800")
    yield "BOM", "\ufeff" + good
    yield "two BOMs", "\ufeff\ufeff" + good
    yield "CRLF", good.replace("\n", "\r\n")
    yield "CR", good.replace("\n", "\r")
    yield "line separators", good.replace("\n", "\u2028")
    yield "tabs for blanks", good.replace(" ", "\t")
    for times in (
        "NaN --> NaN", "00:00:NaN --> 00:00:01.000", "00:00:00.000 --> Infinity",
        "-00:00:01.000 --> 00:00:03.000", "00:00:00.000 --> 99:59:59.999",
        "00:00:00.000 --> 9999:59:59.999", "0:00:00.000 --> 99999999999999:00:00.000",
        "00:00:03.000 --> 00:00:00.000", "00:00:00.000 --> 00:00:00.000",
        "99:99:99.999 --> 99:99:99.999", "1e9 --> 1e10", "00:00:00.000 -->", "--> 00:00:01.000",
        "--> --> -->", "00:00:00.000-->00:00:03.000",
        "00:00:00.000 --> 00:00:03.000".translate(ARABIC),
    ):  # fmt: skip
        yield f"times {times}", one_cue(times=times)
    lines = good.split("\n\n")
    yield "times that run backwards", "\n\n".join([lines[0], *lines[:0:-1]])
    yield (
        "every time alike",
        "\n".join(
            "00:00:01.000 --> 00:00:01.000" if "-->" in line else line for line in good.split("\n")
        ),
    )
    for place in (
        "", "#", "#xywh=", "#xywh=0,0", "#xywh=-1,0,18,32", "#xywh=0,0,-18,32", "#xywh=0,0,0,0",
        "#xywh=0,0,18,0", "#xywh=999999,999999,18,32", "#xywh=0,0,999999,999999",
        "#xywh=0,0,99999999999999999999,1", "#xywh=50,90,18,32", "#xywh=0,0,1,1",
        "#xywh=0.5,0.5,18.5,32.5", "#xywh=1e1,0,18,32", "#xywh=0x10,0,18,32",
        "#xywh=0,0,18,32,7", "#xywh=percent:0,0,50,50", "#xywh=nan,nan,nan,nan",
        "#xywh=1,2,3,4".translate(ARABIC), "#xywh=0,0,54,1", "#xywh=0,0,1,96", "?#xywh=0;0;18;32",
    ):  # fmt: skip
        yield f"place {place}", one_cue(place=place)
    for sheet in (
        f"http://127.0.0.1:{shop.port}/x.jpg", f"file://{shop.secrets}/secret.jpg",
        f"{shop.secrets}/secret.jpg", "../../../../etc/passwd", "\\\\host\\share\\x.jpg",
        "data:image/png;base64,AAAA", "x\0y.jpg", "x" * 5000, "$(reboot).jpg", "%s%n%x.jpg",
        f"//127.0.0.1:{shop.port}/x.jpg", "javascript:alert(1)",
    ):  # fmt: skip
        yield f"sheet {sheet[:40]!r}", vtt(sheet=sheet)
    yield "4096 cues", vtt(count=4096)
    yield "4097 cues", vtt(count=4097)
    yield "a hundred thousand cues", vtt(count=100_000)
    yield "a line of two million", good + "x" * 2_000_000
    yield "a million empty lines", "WEBVTT" + "\n" * 900_000
    yield "arrows without end", "WEBVTT\n" + "-->\n" * 200_000
    yield "blanks before an arrow", "WEBVTT\n\n" + "0" + " " * 400_000 + "-->"
    yield (
        "a style that asks for a file",
        f"{good}\nSTYLE\n::cue {{ background: url(file://{shop.secrets}/secret.jpg) }}",
    )


def sheets(shop: Workshop) -> Iterator[Hostile]:
    """Good VTTs whose sheet is something else."""
    text = vtt().encode()
    for name, data in shop.pictures:
        yield Hostile(f"sheet: {name}", vtt=text, sheet=data)
    for tile in ((17, 31), (19, 33), (180, 320), (1, 1), (54, 96), (1448, 1448), (1449, 1449)):
        yield Hostile(f"sheet: tiles of {tile}", vtt=vtt(tile).encode(), sheet=encoded(picture()))


def images(shop: Workshop) -> Iterator[Hostile]:
    """The same pictures as files of their own, some called a video."""
    for number, (name, data) in enumerate(shop.pictures):
        suffix = "mp4" if number % 2 else "jpg"
        path = shop.put(f"images/{number}.{suffix}", data)
        yield Hostile(f"image: {name}", path, duration_s=None)


def pictures(shop: Workshop) -> Iterator[tuple[str, bytes]]:
    """Pictures that are damaged, odd, huge, or none."""
    good = encoded(picture(), quality=90)
    yield "empty", b""
    yield "HTML", b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"
    yield "noise", random.Random(2).randbytes(5000)
    for at in range(2, len(good), len(good) // 10):
        yield f"JPEG cut at {at}", good[:at]
    for seed in range(shop.seed, shop.seed + 10):
        yield f"JPEG flipped {seed}", flipped(good, seed)
    yield from _picture_kinds()
    yield from _picture_bombs()
    yield from _no_pictures(shop)


def _picture_kinds() -> Iterator[tuple[str, bytes]]:
    sheet = picture()
    Image.init()
    yield "of half the size", encoded(sheet.resize((27, 48)))
    yield "of four times the size", encoded(sheet.resize((108, 192)))
    yield "of one pixel", encoded(sheet.resize((1, 1)))
    yield "a line", encoded(sheet.resize((5000, 1)))
    yield "a column", encoded(sheet.resize((1, 5000)))
    yield "CMYK", encoded(sheet.convert("CMYK"))
    yield "grey", encoded(sheet.convert("L"))
    yield "progressive", encoded(sheet, progressive=True)
    yield "16 bits", encoded(Image.fromarray(np.full((96, 54), 40_000, np.uint16)), "PNG")
    yield "32 bits", encoded(Image.fromarray(np.full((96, 54), -9, np.int32)), "TIFF")
    yield "no numbers", encoded(Image.fromarray(np.full((96, 54), np.nan, np.float32)), "TIFF")
    yield "infinite", encoded(Image.fromarray(np.full((96, 54), np.inf, np.float32)), "TIFF")
    for kind in ("PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "PPM", "ICO", "JPEG2000", "TGA"):
        # AVIF and WebP are left out of some builds of Pillow.
        if kind in Image.SAVE:
            yield kind, encoded(sheet, kind)
    frames = [sheet.rotate(turned) for turned in range(1, 21)]
    for kind in ("GIF", "PNG", "WEBP"):
        yield f"animated {kind}", encoded(sheet, kind, save_all=True, append_images=frames)
    gif = encoded(sheet.convert("P"), "GIF", save_all=True, append_images=frames)
    yield "GIF of thousands of frames", gif[:-1] + gif[-4000:-1] * 500
    yield "see-through", encoded(Image.new("RGBA", (54, 96), (9, 9, 9, 0)), "PNG")
    yield "a palette cut short", encoded(sheet.convert("P"), "PNG").replace(b"PLTE", b"PLTX")
    turned = Image.Exif()
    turned[0x0112] = 6
    yield "turned", encoded(sheet, exif=turned)
    turned[0x0112] = 65_000
    yield "turned in no way", encoded(sheet, exif=turned)


def _picture_bombs() -> Iterator[tuple[str, bytes]]:
    sheet, good = picture(), encoded(picture())
    tiff = b"II*\0" + struct.pack("<IH", 8, 65_535) + b"\x12\x01\x03\0\xff\xff\xff\xff" * 50
    yield "EXIF without end", encoded(sheet, exif=b"Exif\0\0" + tiff)
    circle = b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    yield "EXIF in a circle", encoded(sheet, exif=b"Exif\0\0" + circle)
    yield "EXIF noise", encoded(sheet, exif=b"Exif\0\0" + random.Random(3).randbytes(60_000))
    yield "ICC noise", encoded(sheet, icc_profile=random.Random(4).randbytes(500_000))
    yield "ICC in a PNG", encoded(sheet, "PNG", icc_profile=bytes(4_000_000))
    yield "a thousand comments", good[:2] + (b"\xff\xfe\xff\xff" + bytes(65_533)) * 100 + good[2:]
    at = good.index(b"\xff\xc0") + 5
    for height, width in ((65_500, 65_500), (0, 54), (96, 0), (20_000, 20_000), (9000, 9000)):
        size = struct.pack(">HH", height, width)
        yield f"JPEG of {width} x {height}", good[:at] + size + good[at + 4 :]
    for width, height in ((20_000, 20_000), (31_623, 31_623), (2**31 - 1, 2**31 - 1), (0, 0)):
        yield f"PNG of {width} x {height}", png(width, height, bytes(1_000_000))
    yield "PNG of a line of a million", png(1_000_000, 1, bytes(3_000_001))
    yield "PNG whose pixels go on", png(54, 96, bytes(12_000_000))
    text = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(12_000_000)))
    yield "PNG with a text bomb", png(54, 96, bytes(163 * 96), text)
    profile = png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(12_000_000)))
    yield "PNG with a profile bomb", png(54, 96, bytes(163 * 96), profile)
    webp = bytearray(encoded(sheet, "WEBP", lossless=True, exif=turned_exif()))
    at = webp.index(b"VP8X") + 12
    webp[at : at + 6] = b"\xff" * 6
    yield "WebP of 16777216 x 16777216", bytes(webp)
    gif = bytearray(encoded(sheet.convert("P"), "GIF"))
    gif[6:10] = b"\xff" * 4
    yield "GIF of 65535 x 65535", bytes(gif)
    gif = bytearray(encoded(sheet.convert("P"), "GIF"))
    at = gif.index(b"\x2c", 13 + 768)
    gif[at + 1 : at + 9] = b"\xff" * 8
    yield "GIF whose frame lies outside", bytes(gif)
    bmp = bytearray(encoded(sheet, "BMP"))
    for width, height in ((-54, 96), (54, -96), (2**31 - 1, 2**31 - 1), (100_000, 1000)):
        bmp[18:26] = struct.pack("<ii", width, height)
        yield f"BMP of {width} x {height}", bytes(bmp)
    yield from _tiffs()


def turned_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 3
    return exif


def _tiffs() -> Iterator[tuple[str, bytes]]:
    def tiff(*tags: tuple[int, int, int], after: int = 0) -> bytes:
        rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, _, value in sorted(tags))
        return b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + struct.pack("<I", after)

    grey = [(258, 1, 8), (262, 1, 1), (277, 1, 1), (273, 1, 8)]
    size = [(256, 1, 54), (257, 1, 96)]
    plain = [*size, *grey, (279, 1, 5184)]
    yield "TIFF without pixels", tiff(*plain, (259, 1, 1), (278, 1, 96))
    yield "TIFF in a circle", tiff(*plain, (259, 1, 1), (278, 1, 96), after=8)
    yield "TIFF of a billion rows", tiff((256, 1, 1), (257, 1, 10**9), *grey, (278, 1, 10**9))
    tiles = [*size, *grey[:3], (322, 1, 65_520), (323, 1, 65_520), (324, 1, 8), (325, 1, 9)]
    for method in (1, 5, 7, 8, 34925, 50001):
        yield f"TIFF with a huge tile, packed by {method}", tiff(*tiles, (259, 1, method))
        strip = [*plain, (259, 1, method), (278, 1, 2**32 - 1)]
        yield f"TIFF with a huge strip, packed by {method}", tiff(*strip)
    yield "TIFF of 65535 samples", tiff(*size, *grey[:2], (277, 1, 65_535), (273, 1, 8))


def _no_pictures(shop: Workshop) -> Iterator[tuple[str, bytes]]:
    secret = f"{shop.secrets}/secret"
    yield (
        "SVG",
        (
            '<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file://'
            f'{secret}.txt">]><svg xmlns="http://www.w3.org/2000/svg" width="90" height="160">'
            f'<image href="file://{secret}.jpg"/><image href="http://127.0.0.1:{shop.port}/x"/>'
            "<text>&x;</text></svg>"
        ).encode(),
    )
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    yield "SVG that laughs", f"<!DOCTYPE svg [<!ENTITY l0 'ha'>{laughs}]><svg>&l11;</svg>".encode()
    yield (
        "PostScript",
        f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({secret}.txt) run\n".encode(),
    )
    yield "PDF", b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/Launch/F(calc)>>>>endobj\n"
    yield (
        "ImageMagick's words",
        f"push graphic-context\nimage over 0,0 0,0 '{secret}.jpg'\n".encode(),
    )
    yield "zip bomb", zipped(bytes(8_000_000))
    yield "gz bomb", gzip.compress(bytes(8_000_000))
    yield "a video", shop.mp4


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, pixels: bytes, more: bytes = b"") -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(pixels, 1))
    return b"\x89PNG\r\n\x1a\n" + header + more + body + png_chunk(b"IEND", b"")


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(zipfile.ZipInfo("a.mp4"), data)
    return file.getvalue()


# --- Videos -------------------------------------------------------------------------------------


def cut_videos(shop: Workshop) -> Iterator[Hostile]:
    """Videos that end too early."""
    for suffix, steps in (("mp4", 20), ("mkv", 20), ("ts", 6), ("avi", 6), ("webm", 6)):
        data = shop.bases[suffix]
        for step in range(steps):
            at = step * len(data) // steps
            path = shop.put(f"cut/{suffix}-{step}.{suffix}", data[:at])
            yield Hostile(f"cut: {suffix} at {at}", path)
    # With its index before its pictures, an mp4 that is cut is read up to the cut.
    fast = shop.put("cut/fast.mp4", shop.mp4)
    for step in range(1, 8):
        data = with_index_first(shop.mp4)
        at = len(data) - step * 300
        yield Hostile(f"cut: index first, at {at}", shop.put(f"cut/first-{step}.mp4", data[:at]))
    yield Hostile("cut: not at all", fast, ends=TAGGED)


def flipped_videos(shop: Workshop, count: int = 60) -> Iterator[Hostile]:
    """Videos with bits and bytes turned, the same for each seed."""
    for seed in range(shop.seed, shop.seed + count):
        suffix = list(shop.bases)[seed % len(shop.bases)]
        path = shop.put(f"flipped/{seed}.{suffix}", flipped(shop.bases[suffix], seed))
        yield Hostile(f"flipped: {suffix} {seed}", path)


def flipped(data: bytes, seed: int) -> bytes:
    """Turn bits, replace bytes, or write wild numbers, in the header or anywhere."""
    dice, turned = random.Random(seed), bytearray(data)
    begin, end = 0, len(data)
    if dice.random() < 0.6:
        begin = max(data.find(b"moov"), 0)
        end = min(end, begin + 1200)
    for _ in range(dice.choice([1, 1, 2, 4, 8, 16, 64])):
        at = dice.randrange(begin, end)
        way = dice.random()
        if way < 0.5:
            turned[at] ^= 1 << dice.randrange(8)
        elif way < 0.8:
            turned[at] = dice.choice([0, 255, 127, 128, dice.randrange(256)])
        else:
            wild = dice.choice([0, 2**32 - 1, 2**31 - 1, 2**31, 2**16, 2**16 - 1])
            turned[at : at + 4] = wild.to_bytes(4, dice.choice(["big", "little"]))
    return bytes(turned[: len(data)])


def poked(data: bytes, box: bytes, at: int, *numbers: int, form: str = ">I") -> bytes:
    """Write numbers into a box, so many bytes behind its name."""
    changed = bytearray(data)
    place = data.index(box) + len(box) + at
    for number in numbers:
        size = struct.calcsize(form)
        changed[place : place + size] = struct.pack(form, number)
        place += size
    return bytes(changed)


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield an mp4's boxes: name and content."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += max(size, 8)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def remade(data: bytes, way: Sequence[bytes], change: Callable[[bytes], bytes]) -> bytes:
    """Change what is in the box at the end of a way of names; sizes grow with it."""
    if not way:
        return change(data)
    return b"".join(
        box(name, remade(content, way[1:], change) if name == way[0] else content)
        for name, content in boxes(data)
    )


def with_index_first(data: bytes) -> bytes:
    """Lay an mp4's index before its pictures, where they then begin."""
    parts = dict(boxes(data))
    head = box(b"ftyp", parts[b"ftyp"])
    index = box(b"moov", parts[b"moov"])
    old = data.index(b"mdat") + 4
    moved = len(head) + len(index) + 8 - old
    place = index.index(b"stco") + 4
    count = int.from_bytes(index[place + 4 : place + 8], "big")
    offsets = struct.unpack_from(f">{count}I", index, place + 8)
    index = poked(index, b"stco", 8, *(offset + moved for offset in offsets))
    return head + index + box(b"mdat", parts[b"mdat"])


def lying_videos(shop: Workshop) -> Iterator[Hostile]:
    """Headers that say what is not so."""
    for number, (name, data) in enumerate((*_lying_mp4(shop), *_lying_others(shop))):
        suffix = "mp4" if b"ftyp" in data[:16] else "bin"
        said_s = None if "Stash does not know" in name else LENGTH_S
        path = shop.put(f"lying/{number}.{suffix}", data)
        yield Hostile(f"lying: {name}", path, duration_s=said_s or 0.0)
    for said_s in (1e9, 1e300, 1e-9, -5.0):
        path = shop.put(f"lying/stash-{said_s}.mp4", shop.mp4)
        yield Hostile(f"lying: Stash says {said_s} s", path, duration_s=said_s)
    turned = Path(shop.put("lying/turned.mp4", shop.mp4))
    turn(turned, 90)
    yield Hostile("lying: turned by 90", str(turned), ends=TAGGED)
    sound = write_sound(shop.folder / "lying" / "sound.mp4")
    yield Hostile("lying: sound alone", str(sound), ends=ERRORED)
    cover = remade(sound.read_bytes(), [b"moov"], lambda moov: moov + _cover())
    covered = shop.put("lying/cover.m4a", cover)
    yield Hostile("lying: a cover and sound", covered, ends=ERRORED)


def _cover() -> bytes:
    data = box(b"data", struct.pack(">II", 13, 0) + encoded(picture()))
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(13))
    return box(b"udta", box(b"meta", bytes(4) + handler + box(b"ilst", box(b"covr", data))))


def _lying_mp4(shop: Workshop) -> Iterator[tuple[str, bytes]]:
    mp4 = shop.mp4
    long = poked(poked(mp4, b"mvhd", 12, 1, 10**9), b"mdhd", 12, 1, 10**9)
    yield "10^9 seconds", long
    yield "10^9 seconds, and Stash does not know", long
    for number in (0, 1, 2**31 - 1, 2**31, 2**32 - 1):
        yield f"mvhd time base {number}", poked(mp4, b"mvhd", 12, number)
        yield f"mdhd time base {number}", poked(mp4, b"mdhd", 12, number)
        yield f"mdhd duration {number}", poked(mp4, b"mdhd", 16, number)
        yield f"stts step {number}", poked(mp4, b"stts", 12, number)
        yield f"stts count {number}", poked(mp4, b"stts", 4, number)
        yield f"stsz size {number}", poked(mp4, b"stsz", 4, number)
        yield f"stsz count {number}", poked(mp4, b"stsz", 8, number)
        yield f"stsc per chunk {number}", poked(mp4, b"stsc", 12, number)
        yield f"stco place {number}", poked(mp4, b"stco", 8, number)
        yield f"stss count {number}", poked(mp4, b"stss", 4, number)
        yield f"elst start {number}", poked(mp4, b"elst", 12, number)
        yield f"elst count {number}", poked(mp4, b"elst", 4, number)
    table = poked(poked(mp4, b"stsz", 4, 1, 2**28), b"stsc", 12, 2**28)
    yield "a table of 2^28 pictures of a byte", table
    yield "a table of 2^28 pictures at no time", poked(table, b"stts", 8, 2**28, 0)
    for width, height in ((65_535, 65_535), (0, 0), (1, 65_535), (16_384, 16_384)):
        size = struct.unpack(">I", struct.pack(">HH", width, height))[0]
        yield f"avc1 of {width} x {height}", poked(mp4, b"avc1", 24, size)
        yield f"tkhd of {width} x {height}", poked(mp4, b"tkhd", 76, width << 16, height << 16)
    tilted = [round(part * 65_536) & 0xFFFFFFFF for part in (0.8, 0.6, 0, -0.6, 0.8, 0, 0, 0)]
    yield "turned by 37 degrees", poked(mp4, b"tkhd", 40, *tilted)
    yield "turned by nothing", poked(mp4, b"tkhd", 40, *[0] * 9)
    yield "turned by everything", poked(mp4, b"tkhd", 40, *[2**31 - 1] * 9)
    traks = b"".join(
        box(name, content) for name, content in boxes(dict(boxes(mp4))[b"moov"]) if name == b"trak"
    )
    yield "1500 streams", remade(mp4, [b"moov"], lambda moov: moov + traks * 1500)
    way = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"]
    again = remade(mp4, way, lambda stsd: stsd[:4] + struct.pack(">I", 500) + stsd[8:] * 500)
    yield "500 descriptions", again
    deep = b""
    for _ in range(2000):
        deep = box(b"moov", deep)
    yield "boxes in boxes", mp4 + deep
    yield "a box of no size", mp4 + bytes(4) + b"free"
    yield "a box of 2^63 bytes", mp4 + struct.pack(">I4sQ", 1, b"free", 2**63)
    edits = b"".join(struct.pack(">IiI", 1, n % 3000, 65_536) for n in range(20_000))
    elst = box(b"elst", struct.pack(">II", 0, 20_000) + edits)
    way = [b"moov", b"trak", b"edts"]
    yield "20,000 edits", remade(mp4, way, lambda _: elst)
    for name in ("secret.mp4", "secret.mp4/../secret.ts"):
        entry = alias(str(shop.secrets / name))
        dref = struct.pack(">II", 0, 1) + entry
        way = [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"]
        yield f"pictures in {name}", remade(mp4, way, lambda _, dref=dref: dref)  # type: ignore[misc]
    url = box(b"url ", struct.pack(">I", 0) + f"file://{shop.secrets}/secret.mp4\0".encode())
    way = [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"]
    yield "pictures at an address", remade(mp4, way, lambda _: struct.pack(">II", 0, 1) + url)
    link = box(
        b"rdrf", struct.pack(">I4sI", 0, b"url ", 60) + f"{shop.secrets}/secret.mp4".encode()
    )
    yield "another film instead", box(b"moov", box(b"rmra", box(b"rmda", link))) + mp4


def alias(path: str) -> bytes:
    """A QuickTime reference to pictures in another file, by its whole path."""
    name = Path(path).name.encode()[:63]
    content = bytes(4) + bytes(10) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12)
    content += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16)
    content += struct.pack(">hh", 1, 1) + bytes(16)
    told = path.encode()
    content += struct.pack(">hH", 2, len(told)) + told + b"\0" * (len(told) % 2)
    content += struct.pack(">hH", -1, 0)
    return box(b"alis", content)


def _lying_others(shop: Workshop) -> Iterator[tuple[str, bytes]]:
    mkv, avi, ts = shop.bases["mkv"], shop.bases["avi"], shop.bases["ts"]
    at = mkv.index(bytes.fromhex("448988")) + 3
    for said in (float("nan"), float("inf"), -1.0, 1e300, 0.0):
        changed = mkv[:at] + struct.pack(">d", said) + mkv[at + 8 :]
        yield f"mkv of {said} ms", changed
        yield f"mkv of {said} ms, and Stash does not know", changed
    cluster = mkv.index(bytes.fromhex("1F43B675"))
    stamped = mkv.index(b"\xe7", cluster) + 1
    length = mkv[stamped] & 0x7F
    for wild in (b"\xff", b"\x7f", b"\x80"):
        changed = mkv[: stamped + 1] + wild * length + mkv[stamped + 1 + length :]
        yield f"mkv cluster at {wild.hex()}", changed
    for element in ("2AD7B1", "23E383", "B0", "BA", "54B0", "54BA", "73A2", "4254"):
        found = mkv.find(bytes.fromhex(element))
        if found >= 0:
            size = found + len(element) // 2
            yield (
                f"mkv element {element} without size",
                mkv[:size] + b"\x01" + b"\xff" * 7 + mkv[size + 8 :],
            )
    for name, place in (("scale", 28), ("rate", 32), ("start", 36), ("length", 40)):
        for number in (0, 2**32 - 1):
            yield f"avi {name} {number}", poked(avi, b"strh", place - 4, number, form="<I")
    for place in (8, 12):
        for number in (0, 65_535, 2**31 - 1, 2**32 - 1):
            yield f"avi side {number} at {place}", poked(avi, b"strf", place, number, form="<I")
    yield "no frames a second", poked(avi, b"avih", 4, 0, form="<I")
    larger = shop.clip("ts", "libx264", width=320, height=192)
    huge = shop.clip("ts", "libx264", width=4096, height=2304, count=2)
    yield "sizes that change", ts + larger + ts
    yield "sizes that change, and Stash does not know", ts + larger + ts
    yield "a size that grows", ts + huge
    yield "times that go back", ts * 20
    yield "other streams on the way", ts + shop.clip("ts", "mpeg2video")
    yield "no beginning", ts[len(ts) // 2 + 77 :]
    yield "one picture", shop.clip("mp4", "libx264", count=1)
    yield "one keyframe", shop.clip("mp4", "libx264", gop=1000)
    yield "16 pixels", shop.clip("mkv", "mpeg4", width=16, height=16)
    yield "a line of pixels", shop.clip("mkv", "rawvideo", width=4000, height=2)
    yield "a column of pixels", shop.clip("mkv", "rawvideo", width=2, height=4000)
    yield "GIF", shop.clip("mkv", "rawvideo")[:4000]
    yield "headers alone, many", mkv[:200] * 200


def huge_frames(shop: Workshop) -> Iterator[Hostile]:
    """Single pictures of hundreds of megabytes, of nothing but holes."""
    raw = shop.clip("avi", "rawvideo", count=1)
    at = raw.index(b"movi")
    for side in (5000, 11_000):
        head = poked(raw[:at], b"strf", 8, side, side, form="<I")
        data = head + poked(raw[at:], b"00dc", 0, side * side * 3 // 2, form="<I")
        path = Path(shop.put(f"huge/{side}.avi", data))
        with path.open("r+b") as file:
            file.truncate(side * side * 3 // 2 + len(data))
        yield Hostile(f"huge: a frame of {side} x {side}", str(path))
    path = Path(shop.put("huge/tail.mp4", shop.mp4))
    with path.open("r+b") as file:
        file.truncate(2**40)
    yield Hostile("huge: a terabyte of nothing behind", str(path))
    path = Path(shop.put("huge/zeros.ts", b""))
    with path.open("r+b") as file:
        file.truncate(2**28)
    yield Hostile("huge: nothing but zeros", str(path), ends=ERRORED)


# --- What is no video ---------------------------------------------------------------------------


def playlists(shop: Workshop) -> Iterator[Hostile]:
    """Text that names other files, addresses and programs, called a video."""
    near = Path(shop.put("playlists/secret.mp4", (shop.secrets / "secret.mp4").read_bytes()))
    shop.put("playlists/secret.ts", (shop.secrets / "secret.ts").read_bytes())
    for number, (name, text) in enumerate(_playlists(shop, near)):
        for suffix in ("mp4", "ts") if number < 6 else ("mp4",):
            path = shop.put(f"playlists/{number}.{suffix}", text)
            yield Hostile(f"playlist: {name}, .{suffix}", path, ends=ERRORED)


def _playlists(shop: Workshop, near: Path) -> Iterator[tuple[str, str | bytes]]:
    secret, address = f"{shop.secrets}/secret", f"http://127.0.0.1:{shop.port}/x"
    media = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{}\n#EXT-X-ENDLIST\n"
    yield "ffconcat of a neighbour", f"ffconcat version 1.0\nfile {near.name}\n"
    yield "ffconcat of a path", f"ffconcat version 1.0\nfile '{secret}.mp4'\nduration 3\n"
    yield "ffconcat of an address", f"ffconcat version 1.0\nfile {address}\n"
    yield "m3u8 of a neighbour", media.format("secret.ts")
    yield "m3u8 of a path", media.format(f"file://{secret}.ts")
    yield "m3u8 of an address", media.format(address)
    yield "ffconcat without header", f"file '{secret}.mp4'\n"
    yield "ffconcat with options", f"ffconcat version 1.0\nfile {near.name}\noption safe 0\n"
    yield "m3u8 of m3u8", media.format("0.mp4")
    yield "m3u8 of itself", media.format("8.mp4")
    yield (
        "m3u8 with a key",
        media.format("secret.ts").replace(
            "#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{address}"\n#EXTINF'
        ),
    )
    yield (
        "m3u8 with a map",
        media.format("secret.ts").replace("#EXTINF", f'#EXT-X-MAP:URI="{secret}.mp4"\n#EXTINF'),
    )
    for protocol in ("concat:{}.ts|{}.ts", "subfile,,start,0,end,9,,:{}.ts", "crypto:{}.ts",
                     "pipe:0", "tcp://127.0.0.1:{port}", "gopher://127.0.0.1:{port}/x",
                     "data:video/mp4;base64,AAAA", "cache:{}.ts", "async:{}.ts"):  # fmt: skip
        named = protocol.replace("{port}", str(shop.port)).replace("{}", secret)
        yield f"m3u8 of {protocol}", media.format(named)
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>'
        f"file://{secret}.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    yield "dash", dash
    yield "imf", f'<?xml version="1.0"?><CompositionPlaylist>{secret}</CompositionPlaylist>'
    media_line = "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    yield "sdp", f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\n{media_line}"
    yield "pls", f"[playlist]\nFile1={address}\nNumberOfEntries=1\n"
    yield "asx", f'<asx version="3.0"><entry><ref href="{address}"/></entry></asx>'
    yield "ram", f"{address}\nrtsp://127.0.0.1:{shop.port}/x\n"
    yield "QuickTime text", f'RTSPtext\n{address}\n<?quicktime type="x"?><embed src="{address}"/>'
    yield "Windows shortcut", f"[InternetShortcut]\r\nURL={address}\r\n"
    yield "AviSynth", f'FFVideoSource("{secret}.mp4")\n'
    yield "VapourSynth", f'import vapoursynth as vs\nopen("{secret}.txt").read()\n'
    yield "lavfi", f"movie={secret}.mp4"
    yield "ted captions", '{"captions":[{"duration":1,"content":"x","startTime":0}]}'
    yield "WebVTT", vtt()
    yield "subtitles", "1\n00:00:00,000 --> 00:00:01,000\nHello\n"
    yield "text", "not a video at all\n" * 500
    yield "a shell script", "#!/bin/sh\ntouch /tmp/hostile\n"
    yield "HTML", "<!DOCTYPE html><html><body>404</body></html>"
    yield "a zip bomb", zipped(bytes(8_000_000))
    yield "a gz bomb", gzip.compress(bytes(8_000_000))
    yield "an ISO", bytes(32_768) + b"\x01CD001\x01" + bytes(60_000)
    yield "SQLite", b"SQLite format 3\0" + bytes(8000)
    yield "ELF", b"\x7fELF\x02\x01\x01" + bytes(8000)
    yield "EBML alone", bytes.fromhex("1A45DFA3") + b"\x01" + b"\xff" * 7 + bytes(3000)
    yield "RIFF alone", b"RIFF\xff\xff\xff\xffAVI LIST\xff\xff\xff\xffhdrl" + bytes(3000)
    yield "ftyp alone", b"\0\0\0\x20ftypisom" + b"\xff" * 3000
    yield "one byte", b"\0"
    yield "eight bytes", b"ftypisom"
    for name, data in _no_pictures(shop):
        if name != "a video":
            yield name, data


# --- Names, and what is no file -----------------------------------------------------------------


NAMES = (
    "a b'c\"d`e.mp4", "new\nline.mp4", "tab\tbell\a.mp4", "ü✓🎬🏳️‍🌈.mp4", "-i.mp4", "--help.mp4",
    "$(reboot).mp4", "`reboot`.mp4", ";reboot;.mp4", "%s%n%x.mp4", "50%d.mp4", "%2e%2e%2f.mp4",
    "\u202egpj.4pm.mp4", "\u200f\u200e.mp4", "é.mp4", "e\u0301.mp4", "CON.mp4", "a:b.mp4",
    "http:x.mp4", "https:__127.0.0.1_x.mp4", "concat:a|b.mp4", "subfile,,start,0,end,9,,:a.mp4",
    "file:a.mp4", "pipe:0", "fd:0", "data:video.mp4", "crypto+file:a.mp4", "md5:a.mp4", "x.m3u8",
    "x.sdp", "x.ffconcat", "x.svg", "x.txt", "x", ".mp4", "...mp4", "\\\\host\\share.mp4",
    "C:\\a.mp4", "*.mp4", "[a-z]?.mp4", "{a,b}.mp4", "~root.mp4", "<b>bold.mp4", "&amp;.mp4",
    "\x01i\x02fake log line.mp4", "\x1b[31mred.mp4", "' OR 1=1 --.mp4", "x" * 251 + ".mp4",
    "ü" * 125 + ".mp4", " lead and trail ", "\ufeffbom.mp4", "\ufffe\uffff.mp4",
)  # fmt: skip


def names(shop: Workshop) -> Iterator[Hostile]:
    """Good videos by bad names."""
    folder = shop.folder / "names"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        path = folder / name
        # A word behind the end gives each a fingerprint of its own.
        path.write_bytes(shop.mp4 + struct.pack(">I4sI", 12, b"free", number))
        yield Hostile(f"name: {name[:60]!r}", str(path), ends=TAGGED)
    deep = folder / "/".join(["deep" * 20] * 12) / "a.mp4"
    deep.parent.mkdir(parents=True)
    deep.write_bytes(shop.mp4)
    yield Hostile("name: deep", str(deep), ends=TAGGED)
    for number, raw in enumerate((b"\xff\xfe\xfd", b"lone\xed\xa0\x80", b"caf\xe9")):
        odd = os.fsdecode(os.fsencode(folder) + b"/" + raw + b".mp4")
        Path(odd).write_bytes(shop.mp4 + struct.pack(">I4sI", 12, b"free", 1000 + number))
        yield Hostile(f"name: no UTF-8, {raw.hex()}", odd, ends=TAGGED)
        told = os.fsencode(odd).decode("utf-8", "replace")
        yield Hostile(f"name: no UTF-8, as Stash tells it, {raw.hex()}", told, ends=LEFT)
    yield Hostile("name: longer than any", str(folder / ("x" * 300)), ends=ERRORED)
    longest = str(folder / "/".join(["y" * 200] * 30))
    yield Hostile("name: longer than any path", longest, ends=ERRORED | LEFT)


def nodes(shop: Workshop) -> Iterator[Hostile]:
    """What is no plain file, in a video's place."""
    folder = shop.folder / "nodes"
    folder.mkdir()
    (folder / "folder.mp4").mkdir()
    yield Hostile("node: a folder", str(folder / "folder.mp4"), ends=ERRORED)
    os.mkfifo(folder / "pipe.mp4")
    yield Hostile("node: a pipe", str(folder / "pipe.mp4"), ends=ERRORED)
    _socket_at(folder / "socket.mp4")
    yield Hostile("node: a socket", str(folder / "socket.mp4"), ends=ERRORED)
    for device in ("/dev/zero", "/dev/null", "/dev/full", "/dev/random", "/dev/tty", "/dev/stdin"):
        link = folder / f"{Path(device).name}.mp4"
        link.symlink_to(device)
        ends = ERRORED if device not in ("/dev/tty", "/dev/stdin") else ERRORED | LEFT
        yield Hostile(f"node: a link to {device}", str(link), ends=ends)
    for name in ("mem", "environ", "maps", "fd"):
        link = folder / f"proc-{name}.mp4"
        link.symlink_to(f"/proc/self/{name}")
        yield Hostile(f"node: a link to /proc/self/{name}", str(link), ends=ERRORED | LEFT)
    (folder / "one.mp4").symlink_to(folder / "two.mp4")
    (folder / "two.mp4").symlink_to(folder / "one.mp4")
    yield Hostile("node: links in a circle", str(folder / "one.mp4"), ends=ERRORED)
    (folder / "self.mp4").symlink_to("self.mp4")
    yield Hostile("node: a link to itself", str(folder / "self.mp4"), ends=ERRORED)
    (folder / "dangling.mp4").symlink_to("nowhere.mp4")
    yield Hostile("node: a link to nowhere", str(folder / "dangling.mp4"), ends=LEFT)
    yield Hostile("node: nothing", str(folder / "absent.mp4"), ends=LEFT)
    plain = Path(shop.put("nodes/plain.mp4", shop.mp4))
    yield Hostile("node: a file as a folder", str(plain / "a.mp4"), ends=LEFT)
    (folder / "good.mp4").symlink_to(plain)
    yield Hostile("node: a link to a video", str(folder / "good.mp4"), ends=TAGGED)


def _socket_at(path: Path) -> None:
    """Leave a socket in the file system; its whole path may be too long to bind."""
    here = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)


MAKERS: dict[str, Callable[[Workshop], Iterator[Hostile]]] = {
    "vtt": vtts,
    "sheet": sheets,
    "image": images,
    "cut": cut_videos,
    "flipped": flipped_videos,
    "lying": lying_videos,
    "huge": huge_frames,
    "playlist": playlists,
    "name": names,
    "node": nodes,
}


def free(path: Path) -> None:
    """Take a workshop's files away: some of them are sparse, and count as large."""
    shutil.rmtree(path, ignore_errors=True)
