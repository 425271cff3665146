"""Safetensors in and out (the format of Hugging Face's package of that name, which checks what it reads)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from app.formats import json
from app.formats.npz import REQUEST
from app.limits import Limits
from app.problems import invalid, malformed, over_limit

SAFETENSORS = "application/x-safetensors"
_KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
_KINDS |= {"BF16": "<u2", "BOOL": "i1"}  # the first is widened below


def write_safetensors(tensors: Mapping[str, np.ndarray], rest: Mapping[str, Any]) -> bytes:
    """Tensors under their own names; each part of `rest` as JSON in the metadata."""
    metadata = {name: json.encode(value).decode("ascii") for name, value in rest.items()}
    return save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, metadata)


def read_safetensors(content: bytes, limits: Limits) -> tuple[Any, dict[str, np.ndarray]]:
    """The JSON in the metadata's `request` ({} when there is none) and the tensors by name."""
    try:
        entries = deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise malformed(f"this is not a readable .safetensors file: {str(error)[:200]}") from None
    if len(entries) > limits.npz_members:
        said = f"{len(entries)} tensors; at most {limits.npz_members} are taken"
        raise over_limit("npz_members", limits.npz_members, said)
    arrays = {}
    for name, entry in entries:
        if entry["dtype"] not in _KINDS:
            raise malformed(f"{name}: expected one of {', '.join(_KINDS)}, got {entry['dtype']}", [name])
        if 0 in entry["shape"]:
            raise invalid(f"{name} is empty: {entry['shape']}", [name])
        array = np.frombuffer(entry["data"], _KINDS[entry["dtype"]]).reshape(entry["shape"])
        arrays[name] = (array.astype(np.uint32) << 16).view(np.float32) if entry["dtype"] == "BF16" else array
    (length,) = struct.unpack_from("<Q", content)
    header = json.decode(content[8 : 8 + length], limits.names)
    metadata = header.pop("__metadata__", None) or {}
    order = sorted(arrays, key=lambda name: header[name]["data_offsets"])  # as they lie; the library shuffles them
    request = json.decode(metadata.get(REQUEST, "{}").encode(), limits.names)
    return request, {name: arrays[name] for name in order}
