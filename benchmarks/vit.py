"""A picture network of ViT-B/32's shape with random weights, for what depends on its cost alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE_PX = 224
PATCH_PX = 32
WIDTH = 768
HEADS = 12
LAYERS = 12
VECTOR = 512
TOKENS = (SIDE_PX // PATCH_PX) ** 2 + 1
PARAMETERS = 87_849_216
"""CLIP ViT-B/32's visual half, as openai/CLIP counts it."""


def write_vit(path: Path, layers: int = LAYERS) -> int:
    """Write the network to `path` and return how many parameters it has.

    `pixel_values` float32 [b, 3, 224, 224] -> `image_embeds` float32 [b, 512], as CLIP's exports
    have them. Needs the package onnx.
    """
    import onnx

    builder = _Builder()
    output = builder.network(layers)
    graph = onnx.helper.make_graph(
        builder.nodes,
        "vit",
        [_port("pixel_values", (3, SIDE_PX, SIDE_PX))],
        [_port(output, (VECTOR,))],
        builder.weights,
    )
    # onnxruntime reads this version since 1.14; the package would write its own newest.
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    return builder.parameters


def _port(name: str, shape: Sequence[int]) -> Any:
    import onnx

    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", *shape])


class _Builder:
    """Collects nodes and weights; each method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.parameters = 0
        self._rng = np.random.default_rng(0)

    def network(self, layers: int) -> str:
        """Dosovitskiy et al. 2021 with CLIP's extra norm before and its projection after."""
        patches = self._op(
            "Conv",
            "pixel_values",
            self._random(WIDTH, 3, PATCH_PX, PATCH_PX),
            kernel_shape=[PATCH_PX, PATCH_PX],
            strides=[PATCH_PX, PATCH_PX],
        )
        flat = self._op("Reshape", patches, self._constant(np.array([0, WIDTH, -1])))
        rows = self._op("Transpose", flat, perm=[0, 2, 1])
        # One more token, made of the patches' mean, stands for the class token.
        mean = self._op("ReduceMean", rows, axes=[1], keepdims=1)
        tokens = self._op("Concat", mean, rows, axis=1)
        hidden = self._norm(self._op("Add", tokens, self._random(TOKENS, WIDTH)))
        for _ in range(layers):
            hidden = self._op("Add", hidden, self._attention(self._norm(hidden)))
            hidden = self._op("Add", hidden, self._perceptron(self._norm(hidden)))
        first = self._op("Gather", hidden, self._constant(np.array(0)), axis=1)
        return self._op("MatMul", self._norm(first), self._random(WIDTH, VECTOR))

    def _attention(self, hidden: str) -> str:
        query, key, value = (self._heads(self._linear(hidden, WIDTH, WIDTH)) for _ in range(3))
        turned = self._op("Transpose", key, perm=[0, 1, 3, 2])
        scale = self._constant(np.array((WIDTH / HEADS) ** -0.5, np.float32))
        logits = self._op("Mul", self._op("MatMul", query, turned), scale)
        mixed = self._op("MatMul", self._op("Softmax", logits, axis=-1), value)
        joined = self._op("Transpose", mixed, perm=[0, 2, 1, 3])
        whole = self._op("Reshape", joined, self._constant(np.array([0, 0, WIDTH])))
        return self._linear(whole, WIDTH, WIDTH)

    def _heads(self, hidden: str) -> str:
        split = self._op("Reshape", hidden, self._constant(np.array([0, 0, HEADS, WIDTH // HEADS])))
        return self._op("Transpose", split, perm=[0, 2, 1, 3])

    def _perceptron(self, hidden: str) -> str:
        wide = self._linear(hidden, WIDTH, 4 * WIDTH)
        # CLIP's own activation: x * sigmoid(1.702 x).
        steep = self._op("Mul", wide, self._constant(np.array(1.702, np.float32)))
        active = self._op("Mul", wide, self._op("Sigmoid", steep))
        return self._linear(active, 4 * WIDTH, WIDTH)

    def _linear(self, hidden: str, inputs: int, outputs: int) -> str:
        product = self._op("MatMul", hidden, self._random(inputs, outputs))
        return self._op("Add", product, self._random(outputs))

    def _norm(self, hidden: str) -> str:
        ones = self._constant(np.ones(WIDTH, np.float32))
        zeros = self._constant(np.zeros(WIDTH, np.float32))
        self.parameters += 2 * WIDTH
        return self._op("LayerNormalization", hidden, ones, zeros, axis=-1)

    def _random(self, *shape: int) -> str:
        values = self._rng.standard_normal(shape, np.float32) * np.float32(0.02)
        self.parameters += values.size
        return self._constant(values)

    def _constant(self, values: NDArray[Any]) -> str:
        import onnx

        name = f"w{len(self.weights)}"
        self.weights.append(onnx.numpy_helper.from_array(values, name))
        return name

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        import onnx

        name = f"n{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name
