"""Files of other frameworks, written byte by byte, as these frameworks write them and as an attacker would."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

# protobuf and ONNX --------------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | float | bytes | str) -> bytes:
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def onnx_tensor(name: str, array: np.ndarray) -> bytes:
    kinds = {"f4": 1, "i8": 7, "f8": 11, "f2": 10}
    dims = b"".join(field(1, size) for size in array.shape)
    return dims + field(2, kinds[array.dtype.str[1:]]) + field(8, name) + field(9, array.tobytes())


def onnx_node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> bytes:
    written = b"".join(field(1, name) for name in inputs) + b"".join(field(2, name) for name in outputs)
    written += field(3, f"{op.lower()}_{outputs[0]}") + field(4, op)
    for name, value in attributes.items():
        if isinstance(value, float):
            body = field(2, value) + field(20, 1)
        elif isinstance(value, int):
            body = field(3, value) + field(20, 2)
        elif isinstance(value, str):
            body = field(4, value) + field(20, 3)
        else:
            body = b"".join(field(8, each) for each in value) + field(20, 7)
        written += field(5, field(1, name) + body)
    return written


def onnx_model(
    nodes: list[bytes], tensors: Mapping[str, np.ndarray], shape: tuple[int, ...], output: str, version: int = 17
) -> bytes:
    dims = b"".join(field(1, field(1, size) if size else field(2, "n")) for size in shape)
    value = field(1, "x") + field(2, field(1, field(1, 1) + field(2, dims)))
    graph = b"".join(field(1, node) for node in nodes)
    graph += b"".join(field(5, onnx_tensor(name, array)) for name, array in tensors.items())
    graph += field(11, value) + field(12, field(1, output))
    return field(1, 8) + field(8, field(2, version)) + field(7, graph)


# PyTorch ------------------------------------------------------------------------------------------------------------


class _Storage:
    def __init__(self, key: str, kind: type, size: int) -> None:
        self.key, self.kind, self.size = key, kind, size


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return ("storage", obj.kind, obj.key, "cpu", obj.size) if isinstance(obj, _Storage) else None


class _Tensor:
    """Reduces to a call of torch._utils._rebuild_tensor_v2, as PyTorch's tensors do."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.arguments: tuple[Any, ...] = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


@contextmanager
def _pretended() -> Iterator[types.ModuleType]:
    """Modules of PyTorch's names, so that pickle writes their globals."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def rebuild(*given: Any) -> None:
        raise AssertionError("never called")

    rebuild.__module__, rebuild.__qualname__, rebuild.__name__ = (
        "torch._utils",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v2",
    )
    utils._rebuild_tensor_v2 = rebuild  # type: ignore[attr-defined]
    for name in ("FloatStorage", "DoubleStorage", "LongStorage", "HalfStorage"):
        kind = type(name, (), {"__module__": "torch"})
        setattr(torch, name, kind)
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        yield torch
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


STORAGES = {"f4": "FloatStorage", "f8": "DoubleStorage", "i8": "LongStorage", "f2": "HalfStorage"}


def torch_file(
    tensors: Mapping[str, np.ndarray],
    inside: str = "",
    views: Mapping[str, tuple[int, tuple[int, ...], tuple[int, ...]]] | None = None,
    more: Any = None,
) -> bytes:
    """A .pth of these tensors; `inside` a checkpoint's entry; `views` says offset, shape and strides that lie; `more`
    is pickled beside them."""
    stream = io.BytesIO()
    with _pretended() as torch, zipfile.ZipFile(stream, "w") as archive:
        state: Any = OrderedDict()
        for number, (name, array) in enumerate(tensors.items()):
            storage = _Storage(str(number), getattr(torch, STORAGES[array.dtype.str[1:]]), array.size)
            strides = tuple(stride // array.itemsize for stride in array.copy().strides)
            offset, shape, strides = (views or {}).get(name, (0, array.shape, strides))
            state[name] = _Tensor(storage, offset, shape, strides)
            archive.writestr(f"model/data/{number}", array.tobytes())
        whole = {"epoch": 3, inside: state} if inside else state
        if more is not None:
            whole["more"] = more
        content = io.BytesIO()
        _Pickler(content, 2).dump(whole)
        archive.writestr("model/data.pkl", content.getvalue())
        archive.writestr("model/version", "3\n")
    return stream.getvalue()
