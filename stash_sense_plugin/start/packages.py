"""What is installed, and what that weighs: rows of requirements as data."""

import re
from typing import Iterable, NamedTuple, Tuple

IMPORTS = (
    "av",
    "cv2",
    "fastapi",
    "huggingface_hub",
    "numpy",
    "nudenet",
    "onnxruntime",
    "PIL",
    "platformdirs",
    "psutil",
    "pydantic",
    "yaml",
    "rapidfuzz",
    "rapidocr",
    "requests",
    "rich",
    "scipy",
    "stashapi",
    "tokenizers",
    "typing_extensions",
    "uvicorn",
)
"""What requirements.txt brings, by the names that the code imports."""

EXTRA_IMPORTS = (
    *("torch", "open_clip", "ultralytics", "timm", "safetensors", "onnx", "onnxscript"),
    *("onnxruntime", "paddleocr", "mediapipe", "cv2"),
)
"""What requirements-extras.txt brings."""

APK = {"onnxruntime": "py3-onnxruntime", "cv2": "py3-opencv", "pyclipper": "py3-pyclipper"}
"""Alpine's own packages for what has no wheels there, by what the code imports."""

BY_APK = ("onnxruntime", "opencv-python-headless", "pyclipper")
"""The same by the names that wheels have for them."""

LOOSE = ("rapidocr", "nudenet")
"""They name packages in their metadata that are there under other names."""

NEEDS_OF_LOOSE = {
    "rapidocr": ("colorlog", "omegaconf!=2.2.1", "shapely!=2.0.4,>=1.7.1", "six>=1.15", "tqdm"),
    "nudenet": (),
}
"""What they need beside our own rows and what stands in for BY_APK (rapidocr 3.10, nudenet 3.4)."""

CV2 = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
"""All of these own the folder `cv2`: with two of them, half of one lies over the other."""

ONE_CV2 = "opencv-contrib-python-headless==4.11.0.86"
"""The one that serves all extras: with contrib, without the windows that need libGL."""


class Weight(NamedTuple):
    """What a set-up weighs, in bytes."""

    download_bytes: int
    disk_bytes: int


# As measured with wheels for glibc; what apk brings is an estimate.
CORE = Weight(247_000_000, 745_000_000)
MUSL = Weight(141_000_000, 445_000_000)
OF_APK = Weight(147_000_000, 500_000_000)
"""What apk brings, onto the system's own disk."""
MUSL_WITH_APK = Weight(
    MUSL.download_bytes + OF_APK.download_bytes, MUSL.disk_bytes + OF_APK.disk_bytes
)
OPTIONAL = Weight(23_000_000, 40_000_000)
"""What requirements-optional.txt brings."""
EXTRAS = Weight(3_510_000_000, 6_900_000_000)
"""Measured on Linux, where torch brings CUDA's libraries along, whether there is a GPU or not."""
EXTRAS_WITHOUT_CUDA = Weight(900_000_000, 2_300_000_000)


def rows_of(requirements: str) -> "Tuple[str, ...]":
    """Return the rows of a requirements file, without comments."""
    with open(requirements, encoding="utf-8") as file:
        rows = [re.sub(r"(^|\s)#.*", "", row).strip() for row in file]
    return tuple(row for row in rows if row)


def name_of(row: str) -> str:
    """Return the name of the package that a row asks for, as the index writes it."""
    found = re.match(r"[A-Za-z0-9._-]+", row)
    return re.sub(r"[-_.]+", "-", found.group()).lower() if found else row


def without(rows: "Iterable[str]", names: "Iterable[str]") -> "Tuple[str, ...]":
    """Return the rows of other packages than those named."""
    left_out = set(names)
    return tuple(row for row in rows if name_of(row) not in left_out)


def only(rows: "Iterable[str]", names: "Iterable[str]") -> "Tuple[str, ...]":
    """Return the rows of the packages named."""
    wanted = set(names)
    return tuple(row for row in rows if name_of(row) in wanted)


def needs_of_loose(rows: "Iterable[str]") -> "Tuple[str, ...]":
    """Return what those of LOOSE need that stand in the rows."""
    found = [need for row in rows for need in NEEDS_OF_LOOSE.get(name_of(row), ())]
    return tuple(dict.fromkeys(found))
