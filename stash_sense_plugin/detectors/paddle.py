"""PaddleOCR's process in the extras environment: pictures go in, lines of text come back."""

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.errors import ModelBroken, ModelMissing
from stash_sense_plugin.records import Pixels
from stash_sense_plugin.start import environment, private

SETUP_EXTRAS = "run the task Set up extras, or set the text program to rapidocr"
OPEN_LIMIT_S = 180.0
"""Its libraries are large: from a cold disk they took half a minute."""
READ_LIMIT_S = 120.0
ENDS_S = 5.0
STEP_S = 0.5
"""How long it is waited for an answer before a stop is heard."""
READER = Path(__file__).resolve().parents[1] / "extras" / "paddle_reader.py"
SAID_BYTES = 2000

_Lines = queue.SimpleQueue[bytes | None]
Line = tuple[str, float, NDArray[np.float64]]
"""What is read, how surely, and its corners [4, 2] in pixels."""


@dataclass(frozen=True, slots=True)
class PaddleSetup:
    """What a reader is opened with."""

    python: Path | None
    """The extras environment's."""
    det: Path
    rec: Path
    letters: Path | None
    side_px: int
    threads: int | None
    program: Path = READER


class PaddleReader:
    """One process, opened with the first picture; opened once more where it dies at one.

    `check` is called while it is waited for, and may end that by raising.
    """

    def __init__(
        self,
        setup: PaddleSetup,
        open_limit_s: float = OPEN_LIMIT_S,
        read_limit_s: float = READ_LIMIT_S,
        check: Callable[[], None] | None = None,
    ) -> None:
        self._setup = setup
        self._limits_s = open_limit_s, read_limit_s
        self._check = check
        self._process: _Process | None = None

    def read(self, pixels: Pixels) -> list[Line]:
        """Return the lines of an RGB picture; raises ModelMissing or ModelBroken."""
        try:
            return self._tried(pixels)
        except _Died:
            pass
        try:
            return self._tried(pixels)
        except _Died as died:
            raise ModelBroken(
                f"PaddleOCR ended twice at a picture of {pixels.shape} ({died})",
                "set the text program to rapidocr",
            ) from died

    def _tried(self, pixels: Pixels) -> list[Line]:
        try:
            return self._opened().read(pixels, self._limits_s[1])
        except BaseException:
            # What comes of it now would be taken for the answer to the next picture.
            self.close()
            raise

    def close(self) -> None:
        """End the process; the next picture opens another."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _opened(self) -> "_Process":
        if self._process is None:
            process = _Process(self._setup, self._check)
            try:
                process.open(self._limits_s[0])
            except BaseException:
                process.close()
                raise
            self._process = process
        return self._process


def paddle_version(python: Path | None) -> str:
    """Return the version of PaddleOCR beside a Python, without running it.

    Raises ModelMissing where there is none.
    """
    if python is not None:
        folder = python.parent.parent
        for libraries in (*folder.glob("lib/python3*/site-packages"), folder / "Lib/site-packages"):
            for found in libraries.glob("paddleocr-*.dist-info"):
                return found.name.split("-")[1].removesuffix(".dist")
    raise ModelMissing("Text recognition with PaddleOCR needs the extras", SETUP_EXTRAS)


class _Died(Exception):
    """The process ended without an answer."""


class _Process:
    """A running reader and the folder that it works in."""

    def __init__(self, setup: PaddleSetup, check: Callable[[], None] | None) -> None:
        if setup.python is None or not setup.python.exists():
            raise ModelMissing("Text recognition with PaddleOCR needs the extras", SETUP_EXTRAS)
        self._setup = setup
        self._check = check
        self._folder = tempfile.mkdtemp(prefix="stash-sense-reader-")
        self._said = Path(self._folder) / "said.txt"
        self._lines: _Lines = queue.SimpleQueue()
        try:
            self._process = _started(setup, self._folder, self._said)
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise ModelMissing(
                f"{setup.python} cannot be run ({error.strerror or error})", SETUP_EXTRAS
            ) from error
        # Also where nobody closes it: settings change, and the detector is let go.
        self.close = weakref.finalize(self, _end, self._process, self._folder)
        stdout = _there(self._process.stdout)
        threading.Thread(target=_listen, args=(stdout, self._lines), daemon=True).start()

    def open(self, limit_s: float) -> None:
        setup = self._setup
        order = {
            "det": str(setup.det),
            "rec": str(setup.rec),
            "letters": str(setup.letters) if setup.letters else None,
            "folder": self._folder,
            "side_px": setup.side_px,
            "threads": setup.threads,
            "parent": os.getpid(),
        }
        try:
            self._tell(json.dumps(order).encode() + b"\n")
            self._answer(limit_s)
        except _Died as died:
            raise ModelBroken(f"PaddleOCR does not open ({died})", SETUP_EXTRAS) from died

    def read(self, pixels: Pixels, limit_s: float) -> list[Line]:
        height, width = pixels.shape[:2]
        header = json.dumps({"height": height, "width": width}).encode() + b"\n"
        self._tell(header, np.ascontiguousarray(pixels).data.cast("B"))
        lines = self._answer(limit_s).get("lines")
        try:
            return [_line(each) for each in lines or ()]
        except (KeyError, TypeError, ValueError) as error:
            raise ModelBroken(f"PaddleOCR answered what is no line of text ({error})") from error

    def _tell(self, *pieces: "bytes | memoryview") -> None:
        stream = _there(self._process.stdin)
        try:
            for piece in pieces:
                stream.write(piece)
            stream.flush()
        except (BrokenPipeError, OSError, ValueError) as error:
            if self._lines.empty():
                raise _Died(self._last_words()) from error

    def _answer(self, limit_s: float) -> Mapping[str, Any]:
        line = self._next(limit_s)
        if line is None:
            raise _Died(self._last_words())
        try:
            told = json.loads(line)
        except ValueError as error:
            raise ModelBroken(f"PaddleOCR answered no JSON ({line[:80]!r})") from error
        if told.get("missing"):
            raise ModelMissing(
                f"PaddleOCR needs the package {told['missing']} in the extras", SETUP_EXTRAS
            )
        if "error" in told:
            raise ModelBroken(f"PaddleOCR failed ({told['error']})", SETUP_EXTRAS)
        answer: Mapping[str, Any] = told
        return answer

    def _next(self, limit_s: float) -> bytes | None:
        """Wait for a line in short steps, between which a stop is heard."""
        ends_s = time.monotonic() + limit_s
        while True:
            left_s = ends_s - time.monotonic()
            with suppress(queue.Empty):
                return self._lines.get(timeout=max(0.0, min(STEP_S, left_s)))
            if self._check is not None:
                self._check()
            if left_s <= STEP_S:
                raise ModelBroken(
                    f"PaddleOCR did not answer within {limit_s:g} s",
                    "set the text program to rapidocr",
                )

    def _last_words(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDS_S)
        said = ""
        with suppress(OSError):
            said = self._said.read_bytes()[-SAID_BYTES:].decode("utf-8", "replace")
        rows = [row.strip() for row in said.splitlines() if row.strip()]
        return f"status {self._process.poll()}" + (f": {rows[-1][:200]}" if rows else "")


def _started(setup: PaddleSetup, folder: str, said: Path) -> "subprocess.Popen[bytes]":
    with said.open("wb") as log:
        return subprocess.Popen(
            [str(setup.python), "-I", "-B", str(setup.program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=_variables(folder),
        )


def _end(process: "subprocess.Popen[bytes]", folder: str) -> None:
    """End it at once: it holds nothing that could be lost."""
    with suppress(OSError):
        process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(ENDS_S)
    if process.stdin is not None:
        # What it never took is not to be written any more.
        with suppress(OSError, ValueError):
            process.stdin.close()
    shutil.rmtree(folder, ignore_errors=True)


def _listen(stream: IO[bytes], lines: _Lines) -> None:
    with suppress(OSError, ValueError), stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _there(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _variables(folder: str) -> dict[str, str]:
    """Return the process's variables: what libraries write goes with its folder."""
    home = {} if sys.platform == "win32" else {"HOME": folder, "XDG_CACHE_HOME": folder}
    return {**environment.clean_variables(), **private.folders(folder), **home}


def _line(told: Mapping[str, Any]) -> Line:
    corners: Sequence[Sequence[float]] = told["corners"]
    return str(told["text"]), float(told["score"]), np.asarray(corners, float).reshape(-1, 2)
