"""Binary frames: uint32 little-endian header length, JSON header, then the blocks of numbers."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from app.formats import json

FRAME = "application/x-convscope-frame"


def frame(header: Mapping[str, Any], blocks: Iterable[tuple[str, str, np.ndarray]], dtype: str = "float32") -> bytes:
    """One frame of (layer, tensor, numbers) blocks.

    Whole numbers travel as int32. `dtype` "uint8" sends a value as q with (q - 128) * scale. `offset` counts bytes
    from the header's end; the header is padded with spaces so that every block begins at a multiple of 4.
    """
    entries: list[dict[str, Any]] = []
    contents: list[bytes] = []
    offset = 0
    for layer, tensor, numbers in blocks:
        entry: dict[str, Any] = {
            "layer": layer,
            "tensor": tensor,
            "shape": list(numbers.shape),
            "offset": offset,
        }
        if numbers.dtype.kind in "iu":
            entry["dtype"], packed = "int32", numbers.astype("<i4")
        elif dtype == "uint8":
            entry["dtype"] = "uint8"
            packed, entry["scale"] = quantised(numbers)
        else:
            entry["dtype"], packed = "float32", numbers.astype("<f4", copy=False)
        content = packed.tobytes()
        content += bytes(-len(content) % 4)
        entries.append(entry)
        contents.append(content)
        offset += len(content)
    words = json.encode({**header, "tensors": entries})
    words += b" " * (-(len(words) + 4) % 4)
    return b"".join([struct.pack("<I", len(words)), words, *contents])


def quantised(numbers: np.ndarray) -> tuple[np.ndarray, float]:
    """uint8 values q and the scale of (q - 128) * scale. NaN becomes 0, infinities the largest finite magnitude."""
    magnitudes = np.abs(numbers, dtype=np.float32)
    scale = float(magnitudes.max(initial=0.0, where=np.isfinite(magnitudes))) / 127
    if scale < np.finfo(np.float32).tiny:  # below, float32 has too few digits left to divide by
        scale = 1.0
    steps = np.nan_to_num(np.clip(np.rint(numbers / np.float32(scale)), -127, 127))
    return (steps + 128).astype(np.uint8), scale


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header of a frame and its tensors by "layer/tensor"."""
    (length,) = struct.unpack_from("<I", content)
    header = json.decode(content[4 : 4 + length])
    tensors = {}
    for entry in header["tensors"]:
        dtype = {"float32": "<f4", "int32": "<i4", "uint8": "u1"}[entry["dtype"]]
        count = int(np.prod(entry["shape"], dtype=np.int64))
        numbers = np.frombuffer(content, dtype, count, 4 + length + entry["offset"]).reshape(entry["shape"])
        if "scale" in entry:
            numbers = (numbers.astype(np.float32) - 128) * np.float32(entry["scale"])
        tensors[f"{entry['layer']}/{entry['tensor']}"] = numbers
    return header, tensors
