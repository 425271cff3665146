"""Which format a file has, and its reader: by its content, never by its name."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from app.formats import json, npz, safetensors
from app.formats.archive import Archive
from app.limits import Limits
from app.problems import Problem
from app.services.imports.keras_files import read_h5, read_keras_archive, read_tfjs
from app.services.imports.onnx import read_onnx
from app.services.imports.source import Bounds, Document, FileError, Source, Weights
from app.services.imports.torch_export import GRAPH, read_pt2
from app.services.imports.torch_file import LEGACY, read_legacy, read_torch

HDF5 = b"\x89HDF\r\n\x1a\n"
PICKLE = b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"
FORMATS = (
    "ONNX, safetensors, .npz, a PyTorch state_dict (.pt, .pth) or exported program (.pt2), "
    "Keras (.keras, .h5), TensorFlow.js in a .zip and this project's own networks"
)


def read_file(content: bytes, limits: Limits) -> tuple[str, Source]:
    """What the format is called, and what the file holds; FileError for any other."""
    bounds = Bounds(limits.npz_bytes, limits.elements, 4 * limits.layers)
    if not content:
        raise FileError("the file is empty")
    if content[:4] == b"PK\x03\x04":
        return _archive(content, bounds, limits)
    if content[:8] == HDF5:
        return "keras", read_h5(content, bounds)
    if content.startswith(LEGACY):
        return "pytorch", read_legacy(content, bounds)
    if content[:2] in PICKLE:
        raise FileError(
            "a pickle without a zip archive is not read: it can run code. Save model.state_dict() with a PyTorch of "
            "1.6 or later, or use safetensors"
        )
    if content.lstrip()[:1] == b"{":
        return "document", _document(json.decode(content, limits.names, limits.lists))
    if len(content) > 8 and struct.unpack("<Q", content[:8])[0] <= len(content) - 8 and content[8:9] == b"{":
        return "safetensors", _members(safetensors.read_safetensors, content, limits)
    try:
        return "onnx", read_onnx(content, bounds)
    except FileError as error:
        raise FileError(f"no format that is known here ({error}). Read are {FORMATS}") from None


def _archive(content: bytes, bounds: Bounds, limits: Limits) -> tuple[str, Source]:
    archive = Archive(content, bounds)
    names = archive.names
    if any(name.endswith(GRAPH) for name in names):
        return "pt2", read_pt2(archive)
    if any(name.endswith("data.pkl") for name in names):
        return "pytorch", read_torch(content, bounds)
    if "config.json" in names and any(name.endswith(".weights.h5") for name in names):
        return "keras", read_keras_archive(archive)
    models = [name for name in names if name.rpartition("/")[2] == "model.json" and "__MACOSX" not in name]
    if models:
        return "tfjs", read_tfjs(archive, min(models, key=len))
    if any(name.endswith(".npy") for name in names):
        return "npz", _members(npz.read_npz, content, limits)
    raise FileError(f"the archive holds {', '.join(names)[:200] or 'nothing'}. Read are {FORMATS}")


def _members(
    read: Callable[[bytes, Limits], tuple[Any, dict[str, np.ndarray]]], content: bytes, limits: Limits
) -> Source:
    """Tensors, and a network document beside them where a server like this one wrote the file."""
    try:
        document, tensors = read(content, limits)
    except Problem as problem:
        raise FileError(problem.detail) from None
    if isinstance(document, dict) and isinstance(document.get("network"), dict):
        return Document(document["network"], tensors)
    return Weights(tensors)


def _document(value: Any) -> Document:
    """A network document, alone or as the body of a run."""
    if not isinstance(value, dict):
        raise FileError("expected a network document: an object")
    network = value.get("network", value)
    if not isinstance(network, dict) or "layers" not in network:
        raise FileError('expected a network document: {"input", "layers", "loss"}')
    return Document(network, {})
