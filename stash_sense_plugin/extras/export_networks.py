"""Makes the ONNX files of a row of the catalogue: a process of the extras, see `child`."""

import importlib
import logging
import warnings
from collections.abc import Mapping
from typing import Any

from stash_sense_plugin.extras.child import Teller, live

BY = ("open_clip", "ultralytics", "timm")
"""The libraries that weights are read by; each has a file of its own beside this one."""


def main() -> int:
    """Do what standard input orders; returns the exit status."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    return live(_make)


def _make(order: Mapping[str, Any], teller: Teller) -> None:
    by = order["by"]
    if by not in BY:
        raise ValueError(f"networks are made by {', '.join(BY)}, and not by {by}")
    # By its name, so that a process imports one library and not three.
    importlib.import_module(f"stash_sense_plugin.extras.export_{by}").run(order, teller)
