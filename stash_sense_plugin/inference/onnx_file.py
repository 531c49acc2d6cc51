"""What an ONNX file says of itself, read without onnxruntime or the package onnx.

Its form is a protocol buffer (onnx.proto3): numbered fields, and those that hold more fields are
told apart by their numbers alone. Weights are stepped over and never read.
"""

import mmap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from stash_sense_plugin.errors import ModelBroken

LARGEST_BYTES = (1 << 31) - 1
"""What a protocol buffer may weigh; a larger network keeps its weights in files beside it."""

_ELEMENT_BYTES: Mapping[int, int] = {1: 4, 5: 2, 6: 4, 7: 8, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""By onnx's number of a type; all others take one byte or less."""
_FLOAT16 = 10
_WHOLE = frozenset({"QLinearConv", "QLinearMatMul", "MatMulInteger", "ConvInteger"})
"""Operators that reckon in whole numbers."""
_PRODUCTS = frozenset({"MatMul", "Gemm"})
_DEEPEST = 30
"""How deep graphs may lie in graphs; those of `If` and `Loop` need two or three."""
_MOST_FIELDS = 1_000_000
"""Of one message: the largest graphs have some ten thousand nodes."""
_MOST_SIDES = 64
"""Of one weight."""
_EXTERNAL = 1


class _Torn(Exception):
    """What is read ends too early, or is no protocol buffer."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A constant of the graph."""

    name: str
    kind: int
    """onnx's number of its type: 1 is float32, 10 is float16."""
    elements: int

    @property
    def bytes(self) -> int:
        """What it takes when it is loaded."""
        return self.elements * _ELEMENT_BYTES.get(self.kind, 1)


@dataclass(slots=True)
class OnnxFile:
    """What is in a file: its operators, its weights, and the files that it leans on."""

    path: Path
    operators: Counter[str] = field(default_factory=Counter)
    weights: list[Weight] = field(default_factory=list)
    beside: dict[str, None] = field(default_factory=dict)
    """The files that hold weights, as they are named in it."""
    multiplied: set[str] = field(default_factory=set)
    """Names of what goes into a matrix product."""
    graphs: int = 0

    @property
    def weight_bytes(self) -> int:
        """What its weights take when they are loaded, wherever they lie."""
        return sum(weight.bytes for weight in self.weights)

    @property
    def bytes(self) -> int:
        """What it weighs on the disk, with the files that it leans on."""
        files = [self.path, *(self.path.parent / name for name in self.beside)]
        return sum(file.stat().st_size for file in files)

    @property
    def share_in_products(self) -> float:
        """Share of its weights, 0..1 by their number, that go straight into a MatMul or Gemm."""
        total = sum(weight.elements for weight in self.weights)
        products = sum(w.elements for w in self.weights if w.name in self.multiplied)
        return products / total if total else 0.0

    @property
    def precision(self) -> str:
        """What it reckons in: `int8`, `fp16` or `fp32`."""
        if self.operators.keys() & _WHOLE:
            return "int8"
        total = self.weight_bytes
        half = sum(weight.bytes for weight in self.weights if weight.kind == _FLOAT16)
        return "fp16" if total and half > total / 2 else "fp32"


def read(path: Path) -> OnnxFile:
    """Read what a file says; raises ModelBroken where it is none, is cut short or leans outside.

    A file that names weights outside its own folder would make any file of this machine its own.
    """
    stat = path.stat()
    if stat.st_size > LARGEST_BYTES:
        raise _broken(path, f"it has {stat.st_size / 1e9:.1f} GB, and no ONNX file may exceed 2 GB")
    found = _said(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    for name in found.beside:
        _check_beside(path, name)
    return found


@lru_cache(maxsize=32)
def _said(path: Path, _seen: tuple[int, ...]) -> OnnxFile:
    """Read a file, once for as long as nobody touches it: it is asked about more than once."""
    found = OnnxFile(path)
    if not _read_into(found):
        raise _broken(path, "it is no ONNX file, or it was cut short")
    if not found.graphs:
        raise _broken(path, "there is no network in it")
    return found


def _read_into(found: OnnxFile) -> bool:
    """Read the whole file; False where it is no protocol buffer."""
    try:
        with found.path.open("rb") as file:
            # An empty file cannot be mapped: that is a ValueError. It is not closed by hand, for
            # an error's traceback would hold parts of it; with them it goes.
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            _model(memoryview(content), found)
    except (_Torn, ValueError):
        return False
    return True


def _check_beside(path: Path, name: str) -> None:
    inside = path.parent.resolve()
    place = (inside / name).resolve()
    written = PurePosixPath(name.replace("\\", "/"))
    outside = written.is_absolute() or PureWindowsPath(name).drive or ".." in written.parts
    if outside or not place.is_relative_to(inside):
        raise _broken(path, f"its weights would lie outside its folder, in {name!r}")
    if not place.is_file():
        raise _broken(path, f"its weights should lie beside it in {name!r}, which is not there")


def _broken(path: Path, why: str) -> ModelBroken:
    return ModelBroken(
        f"{path} does not load: {why}",
        "check its files with `python -m stash_sense_plugin models verify`;"
        " a file of your own must be ONNX",
    )


# --- By onnx.proto3: the numbers of the fields -----------------------------------------------


def _model(content: memoryview, found: OnnxFile) -> None:
    for number, value in _fields(content):
        if number == 7:
            _graph(_part(value), found, 0)
        elif number == 25:
            _function(_part(value), found, 0)


def _graph(content: memoryview, found: OnnxFile, depth: int) -> None:
    found.graphs += 1
    for number, value in _fields(content):
        if number == 1:
            _node(_part(value), found, depth)
        elif number == 5:
            _tensor(_part(value), found)
        elif number == 15:
            _sparse(_part(value), found)


def _function(content: memoryview, found: OnnxFile, depth: int) -> None:
    for number, value in _fields(content):
        if number == 7:
            _node(_part(value), found, depth)


def _node(content: memoryview, found: OnnxFile, depth: int) -> None:
    takes: list[str] = []
    kind = gives = ""
    attributes = []
    for number, value in _fields(content):
        if number == 1:
            takes.append(_text(value))
        elif number == 2:
            gives = _text(value)
        elif number == 4:
            kind = _text(value)
        elif number == 5:
            attributes.append(_part(value))
    for attribute in attributes:
        _attribute(attribute, found, depth, gives)
    found.operators[kind] += 1
    if kind in _PRODUCTS:
        # A third one of Gemm is added, not multiplied.
        found.multiplied.update(takes[:2])


def _attribute(content: memoryview, found: OnnxFile, depth: int, gives: str) -> None:
    if depth >= _DEEPEST:
        raise _Torn
    for number, value in _fields(content):
        if number in {5, 10}:
            _tensor(_part(value), found, gives)
        elif number in {6, 11}:
            _graph(_part(value), found, depth + 1)
        elif number in {22, 23}:
            _sparse(_part(value), found)


def _sparse(content: memoryview, found: OnnxFile) -> None:
    for number, value in _fields(content):
        if number in {1, 2}:
            _tensor(_part(value), found)


def _tensor(content: memoryview, found: OnnxFile, node_gives: str = "") -> None:
    name, kind, elements, where, sides = "", 0, 1, 0, 0
    beside = ""
    for number, value in _fields(content):
        if number == 1:
            for side in _numbers(value):
                elements *= side
                sides += 1
                if sides > _MOST_SIDES:
                    raise _Torn
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = _text(value)
        elif number == 13:
            key, told = _pair(_part(value))
            beside = told if key == "location" else beside
        elif number == 14 and isinstance(value, int):
            where = value
    found.weights.append(Weight(node_gives or name, kind, elements))
    if where == _EXTERNAL or beside:
        found.beside[beside] = None


def _pair(content: memoryview) -> tuple[str, str]:
    told = {number: _text(value) for number, value in _fields(content) if number in {1, 2}}
    return told.get(1, ""), told.get(2, "")


# --- Protocol buffers ------------------------------------------------------------------------

_Value = int | memoryview


def _fields(content: memoryview) -> Iterator[tuple[int, _Value]]:
    """Yield each field's number with its value: a number, or the bytes that it holds."""
    at, end, count = 0, len(content), 0
    while at < end:
        count += 1
        if count > _MOST_FIELDS:
            raise _Torn
        key, at = _varint(content, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(content, at)
            yield number, value
            continue
        if wire == 2:
            length, at = _varint(content, at)
        elif wire in {1, 5}:
            length = 8 if wire == 1 else 4
        else:
            raise _Torn
        if not number or at + length > end:
            raise _Torn
        if wire == 2:
            yield number, content[at : at + length]
        at += length


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(content) or shift > 63:
            raise _Torn
        digit = content[at]
        number |= (digit & 127) << shift
        at += 1
        if digit < 128:
            return number, at
        shift += 7


def _numbers(value: _Value) -> Iterator[int]:
    """Yield the numbers of a field that may stand alone or be packed with others."""
    if isinstance(value, int):
        yield value
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield number


def _part(value: _Value) -> memoryview:
    if isinstance(value, int):
        raise _Torn
    return value


def _text(value: _Value) -> str:
    return bytes(_part(value)).decode("utf-8")
