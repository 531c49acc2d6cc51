"""A CLIP of random weights that costs next to nothing, for what does not depend on its cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split

from stash_sense_plugin.detectors.clip import CONTEXT, SIDE_PX

PATCH_PX = 32
VECTOR = 512


def write_model(home: Path, name: str) -> None:
    """Write both networks, and a catalogue of the user's that has them under a name."""
    _write_visual(home / "visual.onnx")
    _write_textual(home / "textual.onnx", home / "tokenizer.json")
    files = {
        "visual": {"path": "visual.onnx"},
        "textual": {"path": "textual.onnx"},
        "tokenizer": {"path": "tokenizer.json"},
    }
    row = {"task": "clip", "about": "", "licence": "none", "commercial": True, "files": files}
    (home / "catalogue.yaml").write_text(yaml.safe_dump({"models": {name: row}}))


def _write_visual(path: Path) -> None:
    """Write a network whose vector is made of its patches' mean colours: a large one takes long."""
    rng = np.random.default_rng(0)
    colours = 3 * (SIDE_PX // PATCH_PX) ** 2
    patch = [PATCH_PX, PATCH_PX]
    nodes = [
        helper.make_node("AveragePool", ["pixels"], ["mean"], kernel_shape=patch, strides=patch),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "directions"], ["embeds"]),
    ]
    directions = rng.standard_normal((colours, VECTOR), np.float32)
    _save(path, nodes, ("pixels", TensorProto.FLOAT, 3, SIDE_PX, SIDE_PX), directions=directions)


def _write_textual(path: Path, words: Path) -> None:
    """Write a network whose vector is the sum of its letters' vectors, and its tokenizer."""
    letters = {chr(code): code - 31 for code in range(32, 127)}
    tokenizer = Tokenizer(WordLevel({"": 0, **letters}, unk_token=""))
    tokenizer.pre_tokenizer = Split(Regex("."), "isolated")
    tokenizer.save(str(words))
    nodes = [
        helper.make_node("Gather", ["vectors", "text"], ["each"], axis=0),
        helper.make_node("ReduceSum", ["each", "axes"], ["embeds"], keepdims=0),
    ]
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((len(letters) + 1, VECTOR), np.float32)
    axes = np.array([1], np.int64)
    _save(path, nodes, ("text", TensorProto.INT32, CONTEXT), vectors=vectors, axes=axes)


def _save(
    path: Path, nodes: Sequence[Any], takes: tuple[str, int, *tuple[int, ...]], **constants: Any
) -> None:
    name, kind, *shape = takes
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(name, kind, ["batch", *shape])],
        [helper.make_tensor_value_info("embeds", TensorProto.FLOAT, ["batch", VECTOR])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
