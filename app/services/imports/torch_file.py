"""PyTorch's zip files: tensors by name, from a pickle that is read and never run.

`pickletools` splits the pickle into operations; the few that a state_dict needs are followed on a stack of plain
values. Every other one, and every other global, is refused by name, so a file cannot do anything but describe tensors.
Source: PyTorch's torch/serialization.py and torch/_weights_only_unpickler.py.
"""

from __future__ import annotations

import io
import math
import pickletools
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.formats.archive import Archive
from app.services.imports.source import Bounds, FileError, Weights

DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
#: Operations of one pickle, at most.
MOST = 200_000


@dataclass(frozen=True)
class Global:
    name: str


@dataclass(frozen=True)
class Storage:
    key: str
    kind: str
    size: int


@dataclass(frozen=True)
class TensorView:
    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


TENSOR = ("torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor")
PARAMETER = ("torch._utils _rebuild_parameter", "torch._utils _rebuild_parameter_with_state")
DICT = ("collections OrderedDict", "builtins dict", "__builtin__ dict")
STORAGES = tuple(f"torch {name}" for name in DTYPES)
KNOWN = (*TENSOR, *PARAMETER, *DICT, *STORAGES)
#: What checkpoints keep their parameters under, beside an optimizer's and a counter's.
INSIDE = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "parameters")

#: What files without a zip begin with: a pickle of protocol 2 that holds this number.
MAGIC = 0x1950A86A20F9469CFC6C
LEGACY = b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little") + b"."
_MARK = object()


def read_torch(content: bytes, bounds: Bounds) -> Weights:
    """The tensors of a .pt or .pth file. FileError for the old form without a zip, and for a pickle that holds more
    than tensors."""
    archive = Archive(content, bounds)
    pickles = [name for name in archive.names if name.endswith("data.pkl") and name.count("/") <= 1]
    if len(pickles) != 1:
        raise FileError(f"no PyTorch file: expected one data.pkl in the archive, got {len(pickles)}")
    folder = pickles[0].removesuffix("data.pkl")
    order = archive.read(f"{folder}byteorder").strip() if f"{folder}byteorder" in archive.names else b"little"
    if order != b"little":
        raise FileError("the file's numbers are big-endian, which is not read")
    named = _tensors(_load(io.BytesIO(archive.read(pickles[0]))))
    storages: dict[Storage, np.ndarray] = {}
    found = {}
    for name, view in named.items():
        if view.storage not in storages:
            storages[view.storage] = read_storage(view.storage, archive.read(f"{folder}data/{view.storage.key}"))
        found[name] = read_view(name, view, storages[view.storage], bounds)
    return Weights(found)


def read_legacy(content: bytes, bounds: Bounds) -> Weights:
    """The tensors of a file without a zip, as PyTorch wrote it before 1.6: a magic number, a version, facts about the
    machine, the tensors, the storages' names, each a pickle; then each storage's length and bytes."""
    stream = io.BytesIO(content)
    stream.seek(len(LEGACY))
    version, machine, value, keys = (_load(stream) for _ in range(4))
    if version != 1001 or not isinstance(machine, dict) or not isinstance(keys, list):
        raise FileError("the file begins as one of PyTorch before 1.6 does, and does not go on like one")
    if machine.get("little_endian") is not True:
        raise FileError("the file's numbers are big-endian, which is not read")
    named = _tensors(value)
    wanted = {view.storage.key: view.storage for view in named.values()}
    if len(keys) > bounds.items:
        raise FileError(f"more than {bounds.items} storages")
    storages: dict[str, np.ndarray] = {}
    for key in keys:
        if not isinstance(key, str) or key not in wanted or key in storages:
            raise FileError(f"the storage {str(key)[:40]!r} belongs to no tensor, so its length is not known")
        size, item = int.from_bytes(stream.read(8), "little"), np.dtype(DTYPES[wanted[key].kind]).itemsize
        if size != wanted[key].size:
            raise FileError(f"the storage {key[:40]} has {size} numbers; {wanted[key].size} were announced")
        storages[key] = read_storage(wanted[key], stream.read(min(size * item, len(content))))
    if missing := wanted.keys() - storages.keys():
        raise FileError(f"the storage {min(missing)[:40]} is missing")
    return Weights({name: read_view(name, view, storages[view.storage.key], bounds) for name, view in named.items()})


def _load(content: io.BytesIO) -> Any:
    """The next pickle's value."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def pop_mark() -> list[Any]:
        items: list[Any] = []
        while stack:
            item = stack.pop()
            if item is _MARK:
                return items[::-1]
            items.append(item)
        raise FileError("the pickle is damaged: a mark is missing")

    def pop() -> Any:
        if not stack or stack[-1] is _MARK:
            raise FileError("the pickle is damaged: a value is missing")
        return stack.pop()

    try:
        argument: Any
        for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if count > MOST:
                raise FileError(f"the pickle has more than {MOST} operations")
            match opcode.name:
                case "PROTO" | "FRAME":
                    pass
                case "MARK":
                    stack.append(_MARK)
                case "GLOBAL":
                    stack.append(_global(argument))
                case "STACK_GLOBAL":
                    name, module = pop(), pop()
                    if not isinstance(name, str) or not isinstance(module, str):
                        raise FileError("the pickle is damaged: a global's name is no text")
                    stack.append(_global(f"{module} {name}"))
                case "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8" | "UNICODE":
                    stack.append(argument)
                case "BININT" | "BININT1" | "BININT2" | "INT" | "LONG" | "LONG1" | "LONG4" | "BINFLOAT" | "FLOAT":
                    if isinstance(argument, int) and abs(argument) >= 1 << 63:
                        raise FileError("the pickle holds a whole number of more than 64 bits")
                    stack.append(argument)
                case "NEWTRUE" | "NEWFALSE" | "NONE":
                    stack.append({"NEWTRUE": True, "NEWFALSE": False, "NONE": None}[opcode.name])
                case "EMPTY_TUPLE":
                    stack.append(())
                case "EMPTY_DICT":
                    stack.append({})
                case "EMPTY_LIST":
                    stack.append([])
                case "TUPLE":
                    stack.append(tuple(pop_mark()))
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    items = [pop() for _ in range(int(opcode.name[-1]))]
                    stack.append(tuple(items[::-1]))
                case "BINPUT" | "LONG_BINPUT" | "PUT":
                    memo[int(argument)] = stack[-1] if stack else None
                case "MEMOIZE":
                    memo[len(memo)] = stack[-1] if stack else None
                case "BINGET" | "LONG_BINGET" | "GET":
                    if int(argument) not in memo:
                        raise FileError("the pickle is damaged: it reads what it never kept")
                    stack.append(memo[int(argument)])
                case "BINPERSID":
                    stack.append(_persistent(pop()))
                case "REDUCE":
                    arguments, function = pop(), pop()
                    stack.append(_call(function, arguments))
                case "BUILD":
                    pop()  # attributes of the dict, such as _metadata
                case "SETITEM":
                    value, key = pop(), pop()
                    _fill(stack, [key, value])
                case "SETITEMS":
                    _fill(stack, pop_mark())
                case "APPEND":
                    item = pop()
                    _extend(stack, [item])
                case "APPENDS":
                    _extend(stack, pop_mark())
                case "STOP":
                    return pop()
                case _:
                    raise FileError(f"a pickle that holds more than tensors is not read: operation {opcode.name}")
    except FileError:
        raise
    except Exception as error:  # pickletools raises what it likes
        raise FileError(f"the pickle is damaged: {error}") from None
    raise FileError("the pickle ends early")


def _global(name: Any) -> Global:
    if name not in KNOWN:
        if str(name).startswith("__torch__"):
            raise FileError("a TorchScript program is not read. Save model.state_dict(), or use torch.export.save")
        raise FileError(
            f"a pickle that holds more than tensors is not read: it asks for {str(name).replace(' ', '.')[:80]}. "
            "Save model.state_dict(), or use safetensors"
        )
    return Global(str(name))


def _persistent(value: Any) -> Storage:
    match value:
        case ("storage", Global(kind), str(key), str(), int(size), *views) if kind in STORAGES and key.isalnum():
            if any(view is not None for view in views):  # one storage within another, which PyTorch no longer writes
                raise FileError(f"the storage {key[:40]} is a part of another one, which is not read")
            return Storage(key, kind.partition(" ")[2], size)
    raise FileError("the pickle is damaged: it names a storage in a way that is not known")


def _call(function: Any, arguments: Any) -> Any:
    if isinstance(function, Global) and isinstance(arguments, tuple):
        if function.name in DICT and not arguments:
            return {}
        if function.name in PARAMETER and arguments and isinstance(arguments[0], TensorView):
            return arguments[0]
        if function.name in TENSOR and len(arguments) >= 4:
            storage, offset, shape, strides = arguments[:4]
            whole = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= 8
            if isinstance(storage, Storage) and whole and all(type(n) is int for n in (offset, *shape, *strides)):
                return TensorView(storage, offset, shape, strides)
    raise FileError("the pickle is damaged: it makes something that is no tensor")


def _fill(stack: list[Any], items: list[Any]) -> None:
    if not stack or not isinstance(stack[-1], dict) or len(items) % 2:
        raise FileError("the pickle is damaged: items without a dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, (str, int)):
            raise FileError("the pickle is damaged: a key is no text")
        stack[-1][key] = value


def _extend(stack: list[Any], items: list[Any]) -> None:
    if not stack or not isinstance(stack[-1], list):
        raise FileError("the pickle is damaged: items without a list")
    stack[-1].extend(items)


def _tensors(value: Any) -> dict[str, TensorView]:
    """The state_dict itself, or the one that a checkpoint keeps beside other things."""
    if isinstance(value, TensorView):
        return {"weight": value}
    if not isinstance(value, dict):
        raise FileError("expected a state_dict: tensors by name")
    found = {str(name): item for name, item in value.items() if isinstance(item, TensorView)}
    if found:
        return found
    for name in INSIDE:
        inner = value.get(name)
        if isinstance(inner, dict) and any(isinstance(item, TensorView) for item in inner.values()):
            return _tensors(inner)
    raise FileError(f"expected a state_dict: tensors by name; the file holds {', '.join(map(str, value))[:200]}")


def read_storage(storage: Storage, content: bytes) -> np.ndarray:
    """The storage's numbers; bfloat16 as the upper halves of float32."""
    dtype = np.dtype(DTYPES[storage.kind])
    if len(content) != storage.size * dtype.itemsize:
        raise FileError(f"the storage {storage.key}: {len(content)} bytes do not hold {storage.size} numbers")
    return np.frombuffer(content, dtype)


def read_view(name: str, view: TensorView, storage: np.ndarray, bounds: Bounds) -> np.ndarray:
    """A copy of what the view shows; it must lie inside its storage."""
    count = math.prod(view.shape)
    room = math.prod(size for size in view.shape if size)
    if min((view.offset, *view.shape, *view.strides), default=0) < 0 or room > bounds.elements:
        raise FileError(f"{name[:80]} has the shape {list(view.shape)}; at most {bounds.elements} elements are taken")
    if not count:
        return np.zeros(view.shape, np.float32)
    last = view.offset + sum((size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True))
    if last >= storage.size:
        raise FileError(f"{name[:80]} reaches past the end of its storage: {last + 1} of {storage.size} numbers")
    strides = tuple(stride * storage.itemsize for stride in view.strides)
    shown = np.lib.stride_tricks.as_strided(storage[view.offset :], view.shape, strides)
    array = shown.copy()
    if view.storage.kind == "BFloat16Storage":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array
