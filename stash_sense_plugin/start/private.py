"""What keeps libraries to themselves, in every process of ours.

They are read when a library is first imported, or even first loaded: later is too late.
"""

import os

VARIABLES = {
    "DO_NOT_TRACK": "1",
    "DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    # From 1.29 on, onnxruntime sends a word to mobile.events.data.microsoft.com, and lays down a
    # number for this machine, when it begins: before disable_telemetry_events() can be called.
    "ORT_DISABLE_TELEMETRY": "1",
    "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_MODE": "disabled",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_OFFLINE": "true",
}
"""No telling their makers about us, no looking for updates, no fetching or installing by
themselves, whatever the user's own environment says."""


FOLDERS = {
    "MPLCONFIGDIR": "matplotlib",
    "PADDLE_PDX_CACHE_HOME": "paddlex",
    "YOLO_CONFIG_DIR": "ultralytics",
}
"""Libraries that write settings when they are imported, mostly into the user's own folder."""


def folders(environment: str) -> "dict[str, str]":
    """Return the variables that keep what libraries write inside an environment's folder."""
    base = os.path.join(environment, "settings")
    return {name: os.path.join(base, folder) for name, folder in FOLDERS.items()}


def keep() -> None:
    """Set them for this process; call it before such a library is imported."""
    os.environ.update(VARIABLES)
