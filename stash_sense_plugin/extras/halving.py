"""Turns an ONNX file into one of half precision, and asks it about the samples of the whole one.

It runs under the Python of the core, which has onnxruntime, in a process of its own: onnxruntime
1.31 has died while it laid out such a file for a processor. What goes in and out stays float32.
"""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stash_sense_plugin.extras.child import Teller, live

FATAL = 4
"""onnxruntime's severity that says nothing."""


def main() -> int:
    """Do what standard input orders; returns the exit status."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    return live(_halve)


def _halve(order: Mapping[str, Any], teller: Teller) -> None:
    import onnx
    import onnxruntime
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnxruntime.set_default_logger_severity(FATAL)
    made = Path(order["made"])
    model = onnx.load(order["whole"])
    # Shapes that an exporter noted, where they contradict those that onnx infers, end the attempt.
    del model.graph.value_info[:]
    onnx.save(convert_float_to_float16(model, keep_io_types=True), str(made))
    teller.progress(0.6)
    with np.load(order["samples"], allow_pickle=False) as samples:
        feeds = {name[3:]: samples[name] for name in samples.files if name.startswith("in_")}
    answers = _session(onnxruntime, made).run(None, feeds)
    np.savez(order["answers"], **{f"out_{at}": each for at, each in enumerate(answers)})


def _session(library: Any, path: Path) -> Any:
    options = library.SessionOptions()
    options.log_severity_level = FATAL
    # All but the layout for processors, which graphics cards have no use for either.
    options.graph_optimization_level = library.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    return library.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
