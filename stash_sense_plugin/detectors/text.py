"""Text on screen: PP-OCR through rapidocr, or through PaddleOCR in the extras environment."""

import importlib.metadata
import itertools
import logging
import os
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.detectors.paddle import Line, PaddleReader, PaddleSetup, paddle_version
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
TRIAL = "1234567890"
"""What an untried pack reads first: the networks of all languages know these digits."""
SETUP = "run the task Set up"
MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")

Engine = Literal["rapidocr", "paddleocr"]
Pack = Mapping[str, Path]
"""A language's networks, by role: rec, and where it has them det, cls and letters."""


class TextDetector:
    """Reads lines of text and says where they stand.

    Without a language pack it reads Chinese, English, Japanese and some fifty languages in Latin
    letters: the networks that come with rapidocr, which PaddleOCR uses as well. `pack` gives the
    files of another, and `pack_name` what it is called.
    """

    name: ClassVar[str] = "text"
    wants: ClassVar[Wants] = Wants.MOMENTS
    min_side_px: ClassVar[int] = 320
    device: ClassVar[str] = "cpu"
    precision: ClassVar[str] = "fp32"

    def __init__(
        self,
        floor: float = FLOOR,
        threads: int | None = None,
        batch: int = 1,
        engine: Engine = "rapidocr",
        pack: Pack | None = None,
        pack_name: str = "",
        *,
        untried: bool = False,
        engine_python: Path | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        """An `untried` pack reads a drawn line before its first frame.

        `check` hears a stop while another program reads, by raising.
        """
        self._floor = floor
        self._threads = threads
        self.batch = batch
        self._by_paddle = engine == "paddleocr"
        self._python = engine_python
        self._check = check
        self._pack: Pack = dict(pack or {})
        self._pack_name = pack_name
        self._tried = not untried
        self._engine: _Rapid | PaddleReader | None = None
        # The engine keeps the settings of its last call, so that calls must not overlap.
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """Name and version, joined by `@`; raises ModelMissing where the program is missing.

        `pp-ocr@3.10.0`, `pp-ocr-korean@3.10.0`, `paddleocr@3.7.0-3.10.0`: the networks that
        PaddleOCR uses come with rapidocr too.
        """
        pack = f"-{self._pack_name.removeprefix('text-')}" if self._pack_name else ""
        try:
            version = importlib.metadata.version("rapidocr")
        except importlib.metadata.PackageNotFoundError as error:
            raise ModelMissing("Text recognition needs the package rapidocr", SETUP) from error
        if self._by_paddle:
            return f"paddleocr{pack}@{paddle_version(self._python)}-{version}"
        return f"pp-ocr{pack}@{version}"

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
            engine, self._engine = self._engine, None
            if engine is not None:
                engine.close()

    def _read(self, pixels: Pixels) -> Iterator[tuple[str, float, Box]]:
        if min(pixels.shape[:2]) * min(1.0, SIDE_PX / max(pixels.shape[:2])) < LEGIBLE_PX:
            return
        with self._lock:
            if self._engine is None:
                self._engine = self._tested(self._opened())
            found = self._engine.read(pixels)
        height, width = pixels.shape[:2]
        for line, score, corners in found:
            text, box = clean(logical(line)), upright(corners, height, width)
            if text and score >= self._floor and box.w > 0 and box.h > 0:
                yield text, min(1.0, float(score)), box

    def _tested(self, engine: "_Rapid | PaddleReader") -> "_Rapid | PaddleReader":
        """Let an untried pack read a drawn line, once; raises ModelBroken where it cannot."""
        if self._tried:
            return engine
        try:
            _try(engine, self._pack_name)
        except BaseException:
            engine.close()
            raise
        self._tried = True
        return engine

    def _opened(self) -> "_Rapid | PaddleReader":
        own = _own_files()
        for role, path in self._pack.items():
            if not path.is_file():
                raise ModelMissing(
                    f"The language pack {self._pack_name} lacks its file {role} ({path})",
                    "run the task Download models, or"
                    f" `python -m stash_sense_plugin models pull {self._pack_name}`",
                )
        files = {**own, **self._pack}
        if not self._by_paddle:
            return _Rapid(files, self._threads, self._floor, self._pack_name)
        letters = files.get("letters")
        setup = PaddleSetup(
            self._python, files["det"], files["rec"], letters, SIDE_PX, self._threads
        )
        return PaddleReader(setup, check=self._check)


class _Rapid:
    """rapidocr with networks that are here."""

    def __init__(self, files: Pack, threads: int | None, floor: float, pack_name: str) -> None:
        self._floor = floor
        self._pack_name = pack_name
        self._engine = _open(files, threads)

    def close(self) -> None:
        """Let the networks go."""
        self._engine = None

    def read(self, pixels: Pixels) -> list[Line]:
        """Return the lines of an RGB picture."""
        found = self._run(np.ascontiguousarray(pixels[..., ::-1]))
        self._check_letters()
        if getattr(found, "txts", None) is None or found.boxes is None:
            return []
        lines = zip(found.txts, found.scores, found.boxes, strict=True)
        return [(text, float(score), np.asarray(corners)) for text, score, corners in lines]

    def _run(self, picture: Pixels) -> Any:
        """Read a BGR picture; all that a call may choose is said each time."""
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
            self._check_letters()
            raise ModelBroken(
                f"Text recognition failed on a picture of {picture.shape}: {error}"
            ) from error

    def _check_letters(self) -> None:
        if why := _unlike(self._engine):
            raise ModelBroken(
                f"The language pack {self._pack_name or 'of rapidocr'} cannot be used: {why}",
                "name the list of its letters as the file `letters`, one in each line",
            )


def _try(engine: _Rapid | PaddleReader, name: str) -> None:
    told = " ".join(line for line, _, _ in engine.read(_drawn(TRIAL)))
    alike = SequenceMatcher(None, TRIAL, told, autojunk=False).get_matching_blocks()
    if 2 * sum(block.size for block in alike) < len(TRIAL):
        raise ModelBroken(
            f"The language pack {name} does not read a drawn {TRIAL}: it reads {clean(told)!r}",
            "check its files with `python -m stash_sense_plugin models verify`, or name another"
            " in the setting text_language",
        )


def _drawn(line: str) -> Pixels:
    """Draw a line of digits, black on white."""
    import cv2

    pixels = np.full((160, 480, 3), 255, np.uint8)
    cv2.putText(pixels, line, (40, 100), cv2.FONT_HERSHEY_DUPLEX, 1.8, (0, 0, 0), 3, cv2.LINE_AA)
    return pixels


def _own_files() -> dict[str, Path]:
    """Return the networks that come with rapidocr."""
    private.keep()
    try:
        import rapidocr
    except ImportError as error:
        raise ModelMissing(f"Text recognition does not load: {error}", SETUP) from error
    models = Path(rapidocr.__file__).parent / "models"
    return {role: _one(models, f"*{role}*.onnx") for role in ("det", "cls", "rec")}


def _open(files: Pack, threads: int | None) -> Any:
    import rapidocr

    _silence()
    params: dict[str, Any] = {
        "Global.log_level": "critical",
        "Det.limit_type": "max",
        "Det.limit_side_len": SIDE_PX,
        # Named files, so that nothing is ever fetched on the way.
        "Det.model_path": str(files["det"]),
        "Cls.model_path": str(files["cls"]),
        "Rec.model_path": str(files["rec"]),
        # Read only where the network does not hold its letters; it would fetch a list otherwise.
        "Rec.rec_keys_path": str(files.get("letters", os.devnull)),
    }
    if threads:
        params["EngineConfig.onnxruntime.intra_op_num_threads"] = threads
    try:
        return rapidocr.RapidOCR(params=params)
    except Exception as error:
        MemoryShort.check(error, "while text recognition was opened")
        raise ModelBroken(f"Text recognition does not load: {error}", SETUP) from error


def _unlike(engine: Any) -> str:
    """Say why the letters cannot be those of the network; empty where they fit.

    The network is opened with the first line that is found.
    """
    if engine.text_rec is None:
        return ""
    letters = len(engine.text_rec.postprocess_op.character)
    outputs = engine.text_rec.session.session.get_outputs()[0].shape[-1]
    # A blank and a space are added to every list.
    if letters <= 2:
        return "its network does not say which letters it reads"
    if isinstance(outputs, int) and outputs != letters:
        return f"it has {letters - 2} letters for {outputs - 2} that its network reads"
    return ""


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise ModelMissing(f"The package rapidocr has no {pattern} in {folder}", SETUP)
    return found[-1]


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


def logical(line: str) -> str:
    """Return a line in the order in which it is read aloud.

    The networks read pictures from the left: of Arabic and Hebrew they tell the last letter first,
    and words and numbers within in their own order.
    """
    if not any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in line):
        return line
    pieces = [
        letters if onward else letters[::-1].translate(MIRRORED)
        for onward, letters in _runs(line, _onward(line))
    ]
    return "".join(reversed(pieces))


def _onward(line: str) -> list[bool]:
    """Say of each letter whether it is read to the right, as words in Latin and numbers are.

    What has no direction of its own (spaces, signs) has that of both its neighbours, where they
    agree.
    """
    own = [_DIRECTIONS.get(unicodedata.bidirectional(letter)) for letter in line]
    before = list(itertools.accumulate(own, _last))
    after = list(itertools.accumulate(reversed(own), _last))[::-1]
    return [bool(left and right) for left, right in zip(before, after, strict=True)]


_DIRECTIONS = {"L": True, "EN": True, "AN": True, "R": False, "AL": False}


def _last(known: bool | None, new: bool | None) -> bool | None:
    return known if new is None else new


def _runs(line: str, onward: Sequence[bool]) -> Iterator[tuple[bool, str]]:
    marked = zip(onward, line, strict=True)
    for key, run in itertools.groupby(marked, lambda each: each[0]):
        yield key, "".join(letter for _, letter in run)


def upright(corners: NDArray[np.floating], height: int, width: int) -> Box:
    """Return the upright box around four corners [4, 2] in pixels, as fractions."""
    points = np.asarray(corners, np.float64).reshape(-1, 2) / (width, height)
    points = np.clip(np.nan_to_num(points), 0.0, 1.0)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return Box(float(left), float(top), float(right - left), float(bottom - top))
