"""Text on screen: PP-OCR through rapidocr."""

import importlib.metadata
import logging
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.errors import MemoryShort, ModelBroken, ModelMissing
from stash_sense_plugin.records import Box, Frame, Observation, Pixels, Wants
from stash_sense_plugin.start import private

FLOOR = 0.5
"""Lines read less surely are not reported."""
SIDE_PX = 640
"""The longer side on which lines are looked for: all that can be read is found, in a third of
the time of rapidocr's own choice, which enlarges small pictures."""
LEGIBLE_PX = 6
"""A picture that is lower or narrower than this on the side lines are looked for holds none; the
engine fails on what is nothing but a line of pixels."""
MOST_LETTERS = 200
"""A line is cut here: no name on screen is longer."""
SETUP = "run the task Set up"


class TextDetector:
    """Reads lines of text and says where they stand."""

    name: ClassVar[str] = "text"
    wants: ClassVar[Wants] = Wants.MOMENTS
    min_side_px: ClassVar[int] = 320
    device: ClassVar[str] = "cpu"
    precision: ClassVar[str] = "fp32"

    def __init__(self, floor: float = FLOOR, threads: int | None = None, batch: int = 1) -> None:
        self._floor = floor
        self._threads = threads
        self.batch = batch
        self._engine: Any = None
        # The engine keeps the settings of its last call, so that calls must not overlap.
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """Name and version, joined by `@`; raises ModelMissing where rapidocr is missing."""
        try:
            return f"pp-ocr@{importlib.metadata.version('rapidocr')}"
        except importlib.metadata.PackageNotFoundError as error:
            raise ModelMissing("Text recognition needs the package rapidocr", SETUP) from error

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        """Yield each line read: label `text`, the line in `text`, its upright box.

        Raises ModelMissing or ModelBroken.
        """
        for frame in frames:
            model = self.model
            for line, score, box in self._read(frame.pixels):
                yield Observation(
                    scene_key=frame.scene_key,
                    frame_index=frame.index,
                    time_s=frame.time_s,
                    detector=self.name,
                    model=model,
                    label="text",
                    score=score,
                    box=box,
                    text=line,
                )

    def close(self) -> None:
        """Let the networks go; the next frame opens them again."""
        with self._lock:
            self._engine = None

    def _read(self, pixels: Pixels) -> Iterator[tuple[str, float, Box]]:
        if min(pixels.shape[:2]) * min(1.0, SIDE_PX / max(pixels.shape[:2])) < LEGIBLE_PX:
            return
        with self._lock:
            found = self._run(np.ascontiguousarray(pixels[..., ::-1]))
        if getattr(found, "txts", None) is None or found.boxes is None:
            return
        height, width = pixels.shape[:2]
        for line, score, corners in zip(found.txts, found.scores, found.boxes, strict=True):
            text, box = clean(line), upright(corners, height, width)
            if text and score >= self._floor and box.w > 0 and box.h > 0:
                yield text, min(1.0, float(score)), box

    def _run(self, picture: Pixels) -> Any:
        """Read a BGR picture; all that a call may choose is said each time."""
        self._engine = self._engine or _open(self._threads)
        try:
            return self._engine(
                picture,
                use_det=True,
                use_cls=True,
                use_rec=True,
                return_word_box=False,
                return_single_char_box=False,
                text_score=self._floor,
            )
        except Exception as error:
            MemoryShort.check(error, "while text was read")
            raise ModelBroken(
                f"Text recognition failed on a picture of {picture.shape}: {error}"
            ) from error


def _open(threads: int | None) -> Any:
    private.keep()
    try:
        import rapidocr
    except ImportError as error:
        raise ModelMissing(f"Text recognition does not load: {error}", SETUP) from error
    _silence()
    models = Path(rapidocr.__file__).parent / "models"
    params: dict[str, Any] = {
        "Global.log_level": "critical",
        "Det.limit_type": "max",
        "Det.limit_side_len": SIDE_PX,
        # Named files, so that nothing is ever fetched on the way.
        "Det.model_path": _one(models, "*det*.onnx"),
        "Cls.model_path": _one(models, "*cls*.onnx"),
        "Rec.model_path": _one(models, "*rec*.onnx"),
    }
    if threads:
        params["EngineConfig.onnxruntime.intra_op_num_threads"] = threads
    try:
        return rapidocr.RapidOCR(params=params)
    except Exception as error:
        MemoryShort.check(error, "while text recognition was opened")
        raise ModelBroken(f"Text recognition does not load: {error}", SETUP) from error


def _one(folder: Path, pattern: str) -> str:
    found = sorted(folder.glob(pattern))
    if not found:
        raise ModelMissing(f"The package rapidocr has no {pattern} in {folder}", SETUP)
    return str(found[-1])


def _silence() -> None:
    """Take away the handler that rapidocr puts on stderr when it is imported."""
    logger = logging.getLogger("RapidOCR")
    logger.handlers[:] = [logging.NullHandler()]
    logger.propagate = False


def clean(line: str) -> str:
    """Return a line without control characters and doubled spaces, cut to a bound."""
    printable = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Co", "Cn"} else letter
        for letter in unicodedata.normalize("NFC", line)
    )
    return " ".join(printable.split())[:MOST_LETTERS].rstrip()


def upright(corners: NDArray[np.floating], height: int, width: int) -> Box:
    """Return the upright box around four corners [4, 2] in pixels, as fractions."""
    points = np.asarray(corners, np.float64).reshape(-1, 2) / (width, height)
    points = np.clip(np.nan_to_num(points), 0.0, 1.0)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return Box(float(left), float(top), float(right - left), float(bottom - top))
