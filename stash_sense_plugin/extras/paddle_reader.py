"""Reads text with PaddleOCR, in the extras environment, for a parent that hands it pictures.

    python paddle_reader.py

Standard input: one line of JSON, the order (det, rec, letters, folder, side_px, threads, parent);
then for each picture one line of JSON (height, width) and its pixels, RGB, 3 bytes each. Standard
output: one line of JSON for each, `{"ready": VERSION}` first and `{"lines": [...]}` then, each
line with its text, score and four corners in pixels; or `{"error": ..., "missing": ...}`, after
which it ends. Its end is the end of its input, or its parent's.

PaddleOCR takes folders: the two ONNX files are laid into some, beside what says how to feed them,
so that nothing is ever fetched, and onnxruntime runs them: paddlepaddle is not needed.
"""

import importlib
import importlib.metadata
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

NETWORK = frozenset(
    ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
)
DETECTION, RECOGNITION = "PP-OCRv6_small_det", "PP-OCRv6_small_rec"
"""Names that PaddleX knows; all PP-OCR networks of a kind are fed alike."""
LOOK_S = 1.0
LONGEST_WORDS = 400


def main() -> int:
    """Hear the order, then read picture after picture; returns the exit status."""
    ours = os.fdopen(os.dup(1), "wb")
    # What libraries print must not stand between our lines.
    os.dup2(2, 1)
    order = _heard(sys.stdin.buffer)
    if order is None:
        return 0
    ends = threading.Thread(
        target=_end_with, args=(int(order["parent"]), order["folder"]), daemon=True
    )
    ends.start()
    sys.addaudithook(_refuse_network)
    try:
        reader = _Reader(order)
    except ImportError as error:
        return _failed(ours, error, missing=error.name or str(error))
    except Exception as error:  # a library's own errors: the parent makes a sentence of them
        return _failed(ours, error)
    _tell(ours, ready=reader.version)
    status = _serve(sys.stdin.buffer, ours, reader)
    shutil.rmtree(order["folder"], ignore_errors=True)
    return status


def _serve(theirs: BinaryIO, ours: BinaryIO, reader: "_Reader") -> int:
    while True:
        told = _heard(theirs)
        if told is None:
            return 0
        height, width = int(told["height"]), int(told["width"])
        pixels = theirs.read(3 * height * width)
        if len(pixels) < 3 * height * width:
            return 0
        try:
            lines = reader.read(pixels, height, width)
        except Exception as error:
            return _failed(ours, error)
        _tell(ours, lines=lines)


def _name_the_one_opencv() -> None:
    """Let paddlex find the one OpenCV that serves all extras under the name that it asks for."""
    plain = importlib.metadata.version

    def version(distribution_name: str) -> str:
        try:
            return plain(distribution_name)
        except importlib.metadata.PackageNotFoundError:
            if distribution_name != "opencv-contrib-python":
                raise
            return plain("opencv-contrib-python-headless")

    importlib.metadata.version = version


class _Reader:
    """PaddleOCR with two networks that are here."""

    def __init__(self, order: dict[str, Any]) -> None:
        import onnxruntime  # noqa: F401 - paddleocr would say only that an engine is unavailable

        _name_the_one_opencv()
        paddleocr: Any = importlib.import_module("paddleocr")
        self.version = str(paddleocr.__version__)
        folder = Path(order["folder"])
        detection = _laid(folder, DETECTION, order["det"], _detection(int(order["side_px"])))
        letters = _letters(order["rec"], order.get("letters"))
        recognition = _laid(folder, RECOGNITION, order["rec"], _recognition(letters))
        threads = order.get("threads")
        self._ocr = paddleocr.PaddleOCR(
            text_detection_model_name=DETECTION,
            text_detection_model_dir=detection,
            text_recognition_model_name=RECOGNITION,
            text_recognition_model_dir=recognition,
            use_doc_orientation_classify=False,
            use_doc_unwarping=False,
            use_textline_orientation=False,
            text_det_limit_side_len=int(order["side_px"]),
            text_det_limit_type="max",
            device="cpu",
            engine="onnxruntime",
            engine_config={"intra_op_num_threads": int(threads)} if threads else {},
        )

    def read(self, pixels: bytes, height: int, width: int) -> list[dict[str, Any]]:
        """Return each line of an RGB picture: its text, score and corners."""
        import numpy as np

        picture = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        (page,) = self._ocr.predict(np.ascontiguousarray(picture[..., ::-1]))
        return [
            {
                "text": str(text),
                "score": float(score),
                "corners": np.asarray(corners, float).reshape(-1, 2).tolist(),
            }
            for text, score, corners in zip(
                page["rec_texts"], page["rec_scores"], page["rec_polys"], strict=True
            )
        ]


def _letters(network: str, path: str | None) -> list[str]:
    """Return what a network's outputs stand for: from a file, else from the network itself."""
    import onnxruntime

    if path:
        return Path(path).read_text("utf-8").splitlines()
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    written = session.get_modelmeta().custom_metadata_map.get("character", "")
    if not written:
        raise ValueError(f"{network} does not say its letters: name their file as `letters`")
    return str(written).splitlines()


def _laid(folder: Path, name: str, network: str, facts: dict[str, Any]) -> str:
    """Lay a network where PaddleX looks, beside what it is told of it; JSON is YAML too."""
    place = folder / name
    place.mkdir()
    try:
        (place / "inference.onnx").symlink_to(network)
    except OSError:
        shutil.copyfile(network, place / "inference.onnx")
    told = {"Global": {"model_name": name}, **facts}
    (place / "inference.yml").write_text(json.dumps(told), "utf-8")
    return str(place)


_DECODE = {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}


def _detection(side_px: int) -> dict[str, Any]:
    normalised = {"mean": [0.5] * 3, "std": [0.5] * 3, "order": "hwc", "scale": "1./255."}
    return {
        "PreProcess": {
            "transform_ops": [
                _DECODE,
                {"DetResizeForTest": {"limit_side_len": side_px, "limit_type": "max"}},
                {"NormalizeImage": normalised},
                {"ToCHWImage": None},
                {"KeepKeys": {"keep_keys": ["image", "shape"]}},
            ]
        },
        "PostProcess": {
            "name": "DBPostProcess",
            "thresh": 0.3,
            "box_thresh": 0.5,
            "max_candidates": 1000,
            "unclip_ratio": 1.6,
            "use_dilation": True,
        },
    }


def _recognition(letters: Sequence[str]) -> dict[str, Any]:
    return {
        "PreProcess": {
            "transform_ops": [
                _DECODE,
                {"RecResizeImg": {"image_shape": [3, 48, 320]}},
                {"KeepKeys": {"keep_keys": ["image"]}},
            ]
        },
        "PostProcess": {"name": "CTCLabelDecode", "character_dict": list(letters)},
    }


def _heard(stream: BinaryIO) -> dict[str, Any] | None:
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    told: dict[str, Any] = json.loads(line)
    return told


def _tell(stream: BinaryIO, **told: Any) -> None:
    stream.write(json.dumps(told).encode() + b"\n")
    stream.flush()


def _failed(stream: BinaryIO, error: BaseException, missing: str = "") -> int:
    words = " ".join(str(error).split())[:LONGEST_WORDS]
    _tell(stream, error=f"{type(error).__name__}: {words}", missing=missing)
    return 1


def _end_with(parent: int, folder: str) -> None:
    """End when the parent does, also in the midst of a picture: input is not read then."""
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _refuse_network(event: str, _arguments: object) -> None:
    if event in NETWORK:
        raise PermissionError(f"text is read without reaching anybody ({event})")


if __name__ == "__main__":
    sys.exit(main())
