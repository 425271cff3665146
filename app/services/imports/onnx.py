"""ONNX files: the graph and the initializers, without the `onnx` package. Source: onnx.proto of ONNX 1.23."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from app.services.imports.protobuf import Message
from app.services.imports.source import Bounds, FileError, Graph, Node, in_order

#: TensorProto.DataType, as NumPy has it; bfloat16 is widened below.
DTYPES: dict[int, np.dtype] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    4: np.dtype("<u2"),
    5: np.dtype("<i2"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    9: np.dtype("?"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
    12: np.dtype("<u4"),
    13: np.dtype("<u8"),
    16: np.dtype("<u2"),
}
BFLOAT16 = 16


def read_onnx(content: bytes, bounds: Bounds) -> Graph:
    """The main graph of a model; FileError for what is none, or too large, or keeps its tensors in other files."""
    model = Message(memoryview(content))
    graph = model.message(7)
    if graph is None:
        raise FileError("no ONNX model: there is no graph in it")
    if next(graph.messages(15), None):
        raise FileError("sparse initializers are not read")
    tensors: dict[str, np.ndarray] = {}
    for proto in graph.messages(5):
        tensors[proto.string(8)] = tensor_of(proto, bounds)
        _few("initializers", len(tensors), bounds)
    versions = [each.integer(2) for each in model.messages(8) if each.string(1) in ("", "ai.onnx")]
    nodes = []
    for proto in graph.messages(1):
        domain = proto.string(7)
        op = proto.string(4) if domain in ("", "ai.onnx") else f"{domain}.{proto.string(4)}"
        attributes = dict(_attribute(each, bounds) for each in proto.messages(5))
        attributes["version"] = versions[0] if versions else 13
        outputs = tuple(proto.strings(2))
        if not outputs:
            raise FileError(f"the node {op} {proto.string(3)!r} has no output")
        if op == "Constant" and isinstance(attributes.get("value"), np.ndarray):
            tensors[outputs[0]] = attributes["value"]
            continue
        nodes.append(Node(op, proto.string(3), tuple(proto.strings(1)), outputs, attributes))
        _few("nodes", len(nodes), bounds)
    inputs = {name: shape for name, shape in (_input(each) for each in graph.messages(11)) if name not in tensors}
    outputs = tuple(each.string(1) for each in graph.messages(12))
    return Graph(in_order(nodes, {*tensors, *inputs, ""}), tensors, inputs, outputs)


def tensor_of(proto: Message, bounds: Bounds) -> np.ndarray:
    """A TensorProto."""
    name, kind, shape = proto.string(8), proto.integer(2), tuple(proto.integers(1))
    where = f"the tensor {name[:80]!r}"
    if proto.integer(14) == 1 or proto.raw(13) is not None:
        raise FileError(f"{where} lies in another file; save the model with its weights inside")
    if kind not in DTYPES:
        raise FileError(f"{where} has the data type {kind} of ONNX, which is not read")
    if any(size < 0 for size in shape) or math.prod(shape) > bounds.elements or len(shape) > 8:
        raise FileError(f"{where} has the shape {list(shape)[:9]}; at most {bounds.elements} elements are taken")
    count, dtype = math.prod(shape), DTYPES[kind]
    raw = proto.raw(9)
    if raw is not None:
        data = bytes(raw)
    elif kind == 1:
        data = proto.packed(4)
    elif kind == 11:
        data = proto.packed(10)
    elif kind in (7, 12, 13):
        numbers = proto.integers(7 if kind == 7 else 11)
        data = np.array(numbers, np.int64).astype(dtype).tobytes()
    else:
        numbers = proto.integers(5)
        whole = np.array(numbers, np.int64).astype(np.uint16 if kind in (10, BFLOAT16) else dtype)
        data = whole.tobytes()
    if len(data) != count * dtype.itemsize:
        raise FileError(f"{where}: {len(data)} bytes do not hold the shape {list(shape)}")
    array = np.frombuffer(data, dtype).reshape(shape)
    if kind == BFLOAT16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array


def _attribute(proto: Message, bounds: Bounds) -> tuple[str, Any]:
    name, kind = proto.string(1), proto.integer(20)
    if kind == 1 or (not kind and proto.floats(2)):
        return name, (proto.floats(2) or [0.0])[-1]
    if kind == 2:
        return name, proto.integer(3)
    if kind == 3:
        return name, proto.string(4)
    if kind == 4:
        found = proto.message(5)
        if found is None:
            raise FileError(f"the attribute {name[:80]!r} holds no tensor")
        return name, tensor_of(found, bounds)
    if kind == 6:
        return name, proto.floats(7)
    if kind == 7:
        return name, proto.integers(8)
    if kind == 8:
        return name, proto.strings(9)
    return name, None  # graphs and the like: whoever needs it will refuse the node


def _input(proto: Message) -> tuple[str, tuple[int, ...]]:
    kind = proto.message(2)
    tensor = kind and kind.message(1)
    shape = tensor and tensor.message(2)
    sizes = [each.integer(1) for each in shape.messages(1)] if shape else []
    return proto.string(1), tuple(size if 0 < size < 1 << 31 else 0 for size in sizes)


def _few(what: str, count: int, bounds: Bounds) -> None:
    if count > bounds.items:
        raise FileError(f"more than {bounds.items} {what}")
