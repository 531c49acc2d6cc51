"""How often each fact of the picture's quality is told: of pictures as they are, and made worse.

    python -m benchmarks.quality [--real ../shared/real] [--pictures 80] [--json]

Each row is a change of known kind and size, each column a fact, each figure the part of the
pictures of which it is told sooner than not (score 0.5). Pictures: rooms, and COCO, whose shorter
side is at least 400 pixels; they are themselves made smaller from larger ones, so that `as they
are` stands for a sharp picture. Then the facts of the videos' own frames.
"""

import argparse
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from stash_sense_plugin.detectors.quality import facts
from stash_sense_plugin.media.sampling import SceneMedia
from stash_sense_plugin.records import Pixels, Scene, Wants

ROOT = Path(__file__).resolve().parent.parent
LEAST_SIDE_PX = 400
SURE = 0.5

Change = Callable[[Pixels], Pixels]


def main() -> int:
    """Measure and print; 2 where the media are not found."""
    options = _options()
    pictures = read_pictures(options.real, options.pictures)
    if not pictures:
        print(f"There are no pictures in {options.real.absolute()}: name the folder with --real",
              file=sys.stderr)  # fmt: skip
        return 2
    report = {
        "pictures": len(pictures),
        "changes": {name: share(change, pictures) for name, change in CHANGES.items()},
        "videos": {path.name: of_video(path) for path in sorted(options.real.glob("videos/*.mp4"))},
    }
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        show(report)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--real", type=Path, default=ROOT.parent / "shared" / "real")
    parser.add_argument("--pictures", type=int, default=80, help="how many at most")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def read_pictures(real: Path, most: int) -> list[Pixels]:
    """Return up to `most` pictures, evenly from all folders."""
    paths = sorted(real.glob("images/scenes/*/*.jpg")) + sorted(
        real.glob("images/objects/**/*.jpg")
    )
    read = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    large = [pixels for pixels in read if min(pixels.shape[:2]) >= LEAST_SIDE_PX]
    step = max(1, len(large) // max(1, most))
    return large[::step][:most]


def share(change: Change, pictures: Sequence[Pixels]) -> dict[str, float]:
    """Return of which part of the changed pictures each fact is told."""
    told = Counter(
        fact for each in pictures for fact, score in facts(change(each)) if score >= SURE
    )
    return {fact: count / len(pictures) for fact, count in sorted(told.items())}


def of_video(path: Path) -> dict[str, float]:
    """Return of which part of a video's frames each fact is told."""
    frames = list(SceneMedia(Scene("", "", str(path), None, None)).sampling(Wants.NATIVE).frames())
    return share(lambda pixels: pixels, [frame.pixels for frame in frames])


# --- What makes pictures worse -----------------------------------------------------------------


def blurred(sigma_px: float) -> Change:
    """Blur as a lens out of focus does."""
    return lambda pixels: np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma_px), np.uint8)


def panned(length_px: int) -> Change:
    """Blur along the rows."""
    return lambda pixels: np.asarray(cv2.blur(pixels, (length_px, 1)), np.uint8)


def enlarged(times: float, how: int = cv2.INTER_CUBIC) -> Change:
    """Make smaller and as large again."""

    def change(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        size = round(width / times), round(height / times)
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (width, height), interpolation=how), np.uint8)

    return change


def noisy(sigma: float) -> Change:
    """Add grain."""

    def change(pixels: Pixels) -> Pixels:
        noise = np.random.default_rng(1).normal(0, sigma, pixels.shape)
        return (pixels + noise).clip(0, 255).astype(np.uint8)

    return change


def lit(gain: float) -> Change:
    """Let in more or less light."""
    return lambda pixels: (pixels * gain).clip(0, 255).astype(np.uint8)


def jpeg(quality: int) -> Change:
    """Compress as a JPEG."""

    def change(pixels: Pixels) -> Pixels:
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, "JPEG", quality=quality)
        return np.asarray(Image.open(data).convert("RGB"))

    return change


def encoded(codec: str, **options: str) -> Change:
    """Compress as the first picture of a video."""

    def change(pixels: Pixels) -> Pixels:
        even = np.ascontiguousarray(pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2])
        data = io.BytesIO()
        with av.open(data, "w", format="matroska") as container:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width = even.shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.options = options
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, "rgb24")))
            container.mux(stream.encode(None))
        data.seek(0)
        with av.open(data) as container:
            frame = next(container.decode(video=0))
        return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)

    return change


def both(first: Change, second: Change) -> Change:
    """Change twice."""
    return lambda pixels: second(first(pixels))


CHANGES: dict[str, Change] = {
    "as they are": lambda pixels: pixels,
    "grain, sigma 5": noisy(5),
    "blur, sigma 0.6 (a soft lens)": blurred(0.6),
    "blur, sigma 1": blurred(1),
    "blur, sigma 2": blurred(2),
    "blur, sigma 3": blurred(3),
    "moved by 15 px": panned(15),
    "moved by 25 px": panned(25),
    "enlarged 1.5x": enlarged(1.5),
    "enlarged 2x, linear": enlarged(2, cv2.INTER_LINEAR),
    "enlarged 2x, cubic": enlarged(2),
    "enlarged 2x, Lanczos": enlarged(2, cv2.INTER_LANCZOS4),
    "enlarged 3x": enlarged(3),
    "enlarged 2x, then grain 5": both(enlarged(2), noisy(5)),
    "enlarged 2x, then H.264 CRF 23": both(enlarged(2), encoded("libx264", crf="23")),
    "enlarged 2x, then JPEG 75": both(enlarged(2), jpeg(75)),
    "JPEG 75": jpeg(75),
    "JPEG 50": jpeg(50),
    "JPEG 30": jpeg(30),
    "JPEG 15": jpeg(15),
    "MPEG-4 Part 2, worst": encoded("mpeg4", qmin="31", qmax="31"),
    "H.264 CRF 23": encoded("libx264", crf="23"),
    "H.264 CRF 35": encoded("libx264", crf="35"),
    "H.264 CRF 45": encoded("libx264", crf="45"),
    "H.264 CRF 45, no deblocking": encoded("libx264", crf="45", deblock="-6,-6", tune="psnr"),
    "light x 1.5": lit(1.5),
    "light x 2": lit(2.0),
    "light x 0.35": lit(0.35),
    "light x 0.25": lit(0.25),
}
FAULTS = ("blurry", "upscaled", "blocky", "overexposed", "underexposed", "supports-sd",
          "supports-hd")  # fmt: skip


def show(report: dict[str, object]) -> None:
    """Print the tables, in percent."""
    console = Console()
    for name, title in (("changes", f"of {report['pictures']} pictures"), ("videos", "of frames")):
        rows = report[name]
        assert isinstance(rows, dict)
        table = Table("", *FAULTS, title=f"Told, in percent {title}")
        for row, told in rows.items():
            table.add_row(row, *(f"{100 * told.get(fact, 0):.0f}" for fact in FAULTS))
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())
