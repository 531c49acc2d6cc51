"""ONNX files small enough to compute in one's head, written byte by byte (onnx.proto3)."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES: Mapping[Any, int] = {np.float32: 1, np.int32: 6, np.int64: 7, np.float16: 10}

Side = int | str
"""A dimension: a number, or the name of a free one."""


def doubling(path: Path, shape: Sequence[Side], dtype: Any = np.float32, **metadata: str) -> Path:
    """Write a network whose `y` is twice its `x`."""
    nodes = [_node("Add", ["x", "x"], ["y"])]
    return _write(path, nodes, [("x", shape, dtype)], [("y", shape, dtype)], {}, metadata)


def answering(
    path: Path, shape: Sequence[Side], answer: NDArray[np.float32], **metadata: str
) -> Path:
    """Write a network that gives one answer to every picture; its batch is 1."""
    nodes = [_node("Identity", ["told"], ["output0"])]
    return _write(
        path,
        nodes,
        [("images", shape, np.float32)],
        [("output0", answer.shape, np.float32)],
        {"told": answer},
        metadata,
    )


def mean_colour(path: Path, side: Side = 224, batch: Side = "batch") -> Path:
    """Write a picture network whose vector is the mean of each of the three channels."""
    nodes = [_node("ReduceMean", ["pixels", "axes"], ["embeds"], keepdims=0)]
    return _write(
        path,
        nodes,
        [("pixels", (batch, 3, side, side), np.float32)],
        [("embeds", (batch, 3), np.float32)],
        {"axes": np.array([2, 3], np.int64)},
        {},
    )


def sum_of_words(
    path: Path,
    vectors: NDArray[np.float32],
    length: Side = 77,
    batch: Side = "batch",
    dtype: Any = np.int32,
) -> Path:
    """Write a text network whose vector is the sum of its tokens' vectors."""
    nodes = [
        _node("Gather", ["vectors", "text"], ["each"], axis=0),
        _node("ReduceSum", ["each", "axes"], ["embeds"], keepdims=0),
    ]
    return _write(
        path,
        nodes,
        [("text", (batch, length), dtype)],
        [("embeds", (batch, vectors.shape[1]), np.float32)],
        {"vectors": vectors, "axes": np.array([1], np.int64)},
        {},
    )


def masked_words(path: Path, vectors: NDArray[np.float32], length: Side = "length") -> Path:
    """Write a text network as Transformers exports it: only tokens under the mask are summed.

    Its first output is one vector for each token, its second, `text_embeds`, is the text's.
    """
    nodes = [
        _node("Gather", ["vectors", "input_ids"], ["last_hidden_state"], axis=0),
        _node("Cast", ["attention_mask"], ["floats"], to=1),
        _node("Unsqueeze", ["floats", "last"], ["column"]),
        _node("Mul", ["last_hidden_state", "column"], ["read"]),
        _node("ReduceSum", ["read", "axes"], ["text_embeds"], keepdims=0),
    ]
    side = vectors.shape[1]
    return _write(
        path,
        nodes,
        [(name, ("batch", length), np.int64) for name in ("input_ids", "attention_mask")],
        [
            ("last_hidden_state", ("batch", length, side), np.float32),
            ("text_embeds", ("batch", side), np.float32),
        ],
        {
            "vectors": vectors,
            "axes": np.array([1], np.int64),
            "last": np.array([2], np.int64),
        },
        {},
    )


def colour_words(
    path: Path,
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
    shape: Sequence[Side] = ("batch", 3, 8, 8),
    last: str = "Identity",
    **metadata: str,
) -> Path:
    """Write a network whose numbers are the mean of the three channels times `weights`, + `bias`.

    `weights` is [3, numbers]; channels come last where `shape` ends with 3. `last` is what is
    done with the numbers: Identity, Sigmoid or Softmax. A second output, `features`, holds means.
    """
    axes = np.array([1, 2] if shape[-1] == 3 else [2, 3], np.int64)
    nodes = [
        _node("ReduceMean", ["pixels", "axes"], ["features"], keepdims=0),
        _node("MatMul", ["features", "weights"], ["products"]),
        _node("Add", ["products", "bias"], ["numbers"]),
        _node(last, ["numbers"], ["output"]),
    ]
    return _write(
        path,
        nodes,
        [("pixels", shape, np.float32)],
        [
            ("output", (shape[0], weights.shape[1]), np.float32),
            ("features", (shape[0], 3), np.float32),
        ],
        {"axes": axes, "weights": weights, "bias": bias},
        metadata,
    )


def patch_tokens(path: Path, shape: Sequence[Side], side: int, name: str = "tokens") -> Path:
    """Write a network as DINOv2's: a vector for each square of `side`, before them their mean.

    Its output is [batch, 1 + squares, 3], and there is no other.
    """
    nodes = [
        _node("ReduceMean", ["pixel_values", "axes"], ["whole"], keepdims=0),
        _node("Unsqueeze", ["whole", "second"], ["cls"]),
        _node("AveragePool", ["pixel_values"], ["squares"], kernel_shape=(side, side),
              strides=(side, side)),
        _node("Reshape", ["squares", "rows"], ["row"]),
        _node("Transpose", ["row"], ["patches"], perm=(0, 2, 1)),
        _node("Concat", ["cls", "patches"], [name], axis=1),
    ]  # fmt: skip
    return _write(
        path,
        nodes,
        [("pixel_values", shape, np.float32)],
        [(name, (shape[0], "tokens", 3), np.float32)],
        {
            "axes": np.array([2, 3], np.int64),
            "second": np.array([1], np.int64),
            "rows": np.array([0, 3, -1], np.int64),
        },
        {},
    )


def _write(
    path: Path,
    nodes: Sequence[bytes],
    inputs: Sequence[tuple[str, Sequence[Side], Any]],
    outputs: Sequence[tuple[str, Sequence[Side], Any]],
    constants: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, str],
) -> Path:
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"small")
    graph += b"".join(_bytes(5, _tensor(name, value)) for name, value in constants.items())
    graph += b"".join(_bytes(11, _port(*port)) for port in inputs)
    graph += b"".join(_bytes(12, _port(*port)) for port in outputs)
    model = _number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 18))
    for key, value in metadata.items():
        model += _bytes(14, _bytes(1, key.encode()) + _bytes(2, value.encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model)
    return path


def _node(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], **numbers: int | tuple[int, ...]
) -> bytes:
    told = b"".join(_bytes(1, name.encode()) for name in inputs)
    told += b"".join(_bytes(2, name.encode()) for name in outputs) + _bytes(4, kind.encode())
    for name, value in numbers.items():
        if isinstance(value, int):
            held = _number(3, value) + _number(20, 2)
        else:
            held = b"".join(_number(8, each) for each in value) + _number(20, 7)
        told += _bytes(5, _bytes(1, name.encode()) + held)
    return told


def _tensor(name: str, value: NDArray[Any]) -> bytes:
    told = b"".join(_number(1, side) for side in value.shape)
    told += _number(2, _TYPES[value.dtype.type]) + _bytes(8, name.encode())
    return told + _bytes(9, np.ascontiguousarray(value).tobytes())


def _port(name: str, shape: Sequence[Side], dtype: Any) -> bytes:
    sides = b"".join(
        _bytes(1, _number(1, side) if isinstance(side, int) else _bytes(2, side.encode()))
        for side in shape
    )
    kind = _bytes(1, _number(1, _TYPES[dtype]) + _bytes(2, sides))
    return _bytes(1, name.encode()) + _bytes(2, kind)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    told = b""
    while value > 127:
        told += struct.pack("B", value & 127 | 128)
        value >>= 7
    return told + struct.pack("B", value)
