"""Rounds a network's weights to whole numbers of eight bits: a program of its own.

It needs the package onnx and several times the network's size in memory, and has no place in the
process that tags: `lighter` runs it and looks at what came.
"""

import logging
import os
import sys
from pathlib import Path
from typing import Any

from stash_sense_plugin.inference.session import quantizer

LARGEST_BYTES = 2_000_000_000
"""What onnx can hold as one protocol buffer, less some room for the graph itself."""
PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from stash_sense_plugin.inference.rounding import main
sys.exit(main(sys.argv[1:]))
"""
FULL_RANGE, SEVEN_BITS = "full", "seven-bits"
"""Seven bits cannot overflow the 16 bits in which processors without VNNI add two products."""


def command(source: Path, target: Path, bits: str) -> list[str]:
    """Return the command that writes the rounded network to `target`."""
    root = str(Path(__file__).resolve().parents[2])
    python = (sys.executable, "-I", "-B", "-W", "ignore", "-c", PROGRAM)
    return [*python, root, str(source), str(target), bits]


def main(words: list[str]) -> int:
    """Round SOURCE into TARGET with BITS; what fails is written to standard error."""
    logging.disable(logging.WARNING)
    os.umask(0o077)
    source, target, bits = words
    try:
        round_weights(Path(source), Path(target), reduced=bits == SEVEN_BITS)
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


def round_weights(source: Path, target: Path, *, reduced: bool) -> None:
    """Write `source` with the weights of its matrix products in int8, each column by its own scale.

    What goes into the products is rounded as it comes, with the scale that it happens to have.
    """
    import onnx

    model = onnx.load(str(source))
    # Shapes that an exporter noted, where they contradict those that onnx infers, end the attempt.
    del model.graph.value_info[:]
    _constants_to_weights(model)
    quantization = quantizer()
    quantization.quantize_dynamic(
        model,
        str(target),
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=reduced,
        weight_type=quantization.QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )


def _constants_to_weights(model: Any) -> None:
    """Make weights of constants that stand as nodes: only weights are rounded."""
    graph = model.graph
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        for attribute in node.attribute:
            if attribute.name == "value" and len(attribute.t.dims) > 1:
                weight = graph.initializer.add()
                weight.CopyFrom(attribute.t)
                weight.name = node.output[0]
                graph.node.remove(node)
