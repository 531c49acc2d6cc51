"""Networks written with the package onnx: transformers with weights of chance, and broken ones."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]


class Graph:
    """Collects nodes and weights, and hands out names."""

    def __init__(self, seed: int = 0) -> None:
        self.dice = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, value: Array) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def chance(self, *shape: int, scale: float | None = None) -> str:
        spread = scale or 1 / np.sqrt(shape[0])
        return self.weight(self.dice.normal(0, spread, shape).astype(np.float32))

    def put(self, kind: str, *takes: str, **options: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(takes), [name], **options))
        return name

    def save(self, path: Path, takes: list[Any], gives: str) -> Path:
        self.nodes.append(helper.make_node("Identity", [gives], ["embeds"]))
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, takes)],
            [helper.make_tensor_value_info("embeds", TensorProto.FLOAT, None)],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, str(path))
        return path


def small_vit(
    path: Path,
    *,
    side: int = 32,
    width: int = 64,
    blocks: int = 2,
    answers: int = 32,
    outliers: float = 1.0,
    last: str = "",
    constants: bool = False,
) -> Path:
    """Write a transformer over patches of 8 pixels: attention of one head, GELU by tanh.

    `outliers` scales one number of every token, as real transformers have them: what is rounded
    by the largest then loses the others.
    """
    net = Graph()
    patches = net.put("Conv", "pixels", net.chance(width, 3, 8, 8, scale=0.1), strides=[8, 8])
    rows = net.weight(np.array([0, width, (side // 8) ** 2], np.int64))
    x = net.put("Transpose", net.put("Reshape", patches, rows), perm=[0, 2, 1])
    for _ in range(blocks):
        x = _attended(net, x, width)
        x = _widened(net, x, width, outliers)
    middle = net.put("ReduceMean", x, net.weight(np.array([1], np.int64)), keepdims=0)
    gives = net.put("Gemm", middle, net.chance(width, answers), net.chance(answers))
    if last:
        gives = net.put(last, gives)
    if constants:
        _as_constants(net)
    return net.save(path, ["batch", 3, side, side], gives)


def _attended(net: Graph, x: str, width: int) -> str:
    q, k, v = (net.put("MatMul", x, net.chance(width, width)) for _ in range(3))
    scores = net.put("MatMul", q, net.put("Transpose", k, perm=[0, 2, 1]))
    small = net.put("Mul", scores, net.weight(np.array(width**-0.5, np.float32)))
    mixed = net.put("MatMul", net.put("Softmax", small, axis=-1), v)
    return net.put("Add", x, net.put("MatMul", mixed, net.chance(width, width)))


def _widened(net: Graph, x: str, width: int, outliers: float) -> str:
    wide = net.put("Tanh", net.put("MatMul", x, net.chance(width, 4 * width)))
    scale = np.ones(4 * width, np.float32)
    scale[0] = outliers
    spiked = net.put("Mul", wide, net.weight(scale))
    narrow = net.dice.normal(0, 0.1, (4 * width, width)).astype(np.float32)
    narrow[0] /= outliers
    return net.put("Add", x, net.put("MatMul", spiked, net.weight(narrow)))


def _as_constants(net: Graph) -> None:
    """Write weights as nodes that give them, as some exporters do."""
    nodes = [helper.make_node("Constant", [], [w.name], value=w) for w in net.weights]
    net.nodes[:0] = nodes
    net.weights.clear()


def convolutions(path: Path, side: int = 32) -> Path:
    """Write a network of convolutions and one small product at its end."""
    net = Graph()
    x = net.put("Conv", "pixels", net.chance(32, 3, 3, 3))
    x = net.put("Relu", net.put("Conv", x, net.chance(64, 32, 3, 3, scale=0.1)))
    middle = net.put("ReduceMean", x, net.weight(np.array([2, 3], np.int64)), keepdims=0)
    return net.save(path, ["batch", 3, side, side], net.put("MatMul", middle, net.chance(64, 8)))


def large_product(path: Path, width: int, layers: int) -> Path:
    """Write a network of large products, of 4 x width x width bytes each."""
    net = Graph()
    x = net.put("ReduceMean", "pixels", net.weight(np.array([1, 2], np.int64)), keepdims=0)
    for _ in range(layers):
        x = net.put("MatMul", x, net.chance(width, width))
    return net.save(path, ["batch", 3, 2, width], x)


def with_weights_beside(path: Path, source: Path, name: str) -> Path:
    """Write a network anew with its weights in a file of that name beside it."""
    model = onnx.load(str(source))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(
        model,
        str(path),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=name,
        size_threshold=1024,
    )
    return path


def pointing_at(path: Path, source: Path, name: str) -> Path:
    """Write a network whose first weight lies, so it says, in the file called `name`."""
    model = onnx.load(str(source))
    weight = model.graph.initializer[0]
    size = len(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", name), ("offset", "0"), ("length", str(size))):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
    return path
