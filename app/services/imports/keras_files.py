"""Files of Keras models: TensorFlow.js in a zip, .keras archives and .h5 files. The last two need `h5py`, the optional
extra `keras`; HDF5's own features that reach outside the file (external links, external storage, filters from plugins)
are refused."""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from app.formats import json as strict_json
from app.formats.archive import Archive
from app.problems import Problem
from app.services.imports.keras import ORDER, by_order, by_suffix, keras_graph
from app.services.imports.source import Bounds, FileError, Graph, Source, Weights

Array = np.ndarray

DTYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "u1", "bool": "?"}
#: Groups within groups, at most, and datasets of one file.
DEEPEST, MOST = 12, 4096
#: Filters that HDF5 itself brings: shuffle, deflate, checksum.
FILTERS = {"shuffle", "gzip", "fletcher32"}
NO_H5PY = (
    "this server reads Keras files only where h5py is installed: `pip install convscope[keras]`. Or convert the model "
    "to TensorFlow.js or ONNX"
)


def decoded(content: bytes, what: str) -> Any:
    try:
        return strict_json.decode(content)
    except Problem as problem:
        raise FileError(f"{what}: {problem.detail}") from None


# TensorFlow.js ------------------------------------------------------------------------------------------------------


def read_tfjs(archive: Archive, model: str) -> Graph:
    """model.json and the pieces of its weights beside it."""
    document = decoded(archive.read(model), model)
    if not isinstance(document, dict) or document.get("format") == "graph-model":
        raise FileError("a TensorFlow graph model is not read; save it as a layers model, or as ONNX")
    topology = document.get("modelTopology")
    config = topology.get("model_config", topology) if isinstance(topology, dict) else None
    folder = model.rpartition("model.json")[0]
    tensors: dict[str, Array] = {}
    groups = document.get("weightsManifest")
    if not isinstance(groups, list):
        raise FileError(f"{model}: expected a weightsManifest")
    for group in groups:
        paths = group.get("paths") if isinstance(group, dict) else None
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise FileError(f"{model}: a group of weights names no files")
        content = b"".join(archive.read(folder + path) for path in paths)
        at = 0
        for said in group.get("weights") or []:
            array, at = _weight(said, content, at, archive.bounds)
            tensors[said["name"]] = array
        if len(tensors) > MOST:
            raise FileError(f"the model has more than {MOST} weights")
    return keras_graph(config, by_suffix(tensors))


def _weight(said: Any, content: bytes, at: int, bounds: Bounds) -> tuple[Array, int]:
    """One array of the manifest, perhaps of whole numbers that stand for others, and where the next one begins."""
    name = said.get("name") if isinstance(said, dict) else None
    shape = said.get("shape") if isinstance(said, dict) else None
    if not isinstance(name, str) or not isinstance(shape, list) or len(shape) > 8:
        raise FileError("the weights' manifest: expected name and shape")
    if not all(isinstance(n, int) and 0 <= n <= bounds.elements for n in shape):
        raise FileError(f"{name[:80]} has the shape {shape}"[:200])
    quantised = said.get("quantization")
    stored = quantised.get("dtype") if isinstance(quantised, dict) else said.get("dtype")
    dtypes = {**DTYPES, "uint16": "<u2"}
    if stored not in dtypes:
        raise FileError(f"{name[:80]} is of the type {str(stored)[:40]}, which is not read")
    dtype, count = np.dtype(dtypes[stored]), math.prod(shape)
    if count > bounds.elements or at + count * dtype.itemsize > len(content):
        raise FileError(f"{name[:80]} of {shape} reaches past the end of its file"[:200])
    array = np.frombuffer(content, dtype, count, at).reshape(shape)
    if isinstance(quantised, dict) and stored in ("uint8", "uint16"):
        scale, least = quantised.get("scale"), quantised.get("min")
        if not isinstance(scale, (int, float)) or not isinstance(least, (int, float)):
            raise FileError(f"{name[:80]}: expected scale and min of its whole numbers")
        array = array * np.float32(scale) + np.float32(least)
    return array.astype(np.float32), at + count * dtype.itemsize


# HDF5 ---------------------------------------------------------------------------------------------------------------


def read_keras_archive(archive: Archive) -> Graph:
    """A .keras file of Keras 3: config.json and model.weights.h5."""
    config = decoded(archive.read("config.json"), "config.json")
    names = [name for name in archive.names if name.endswith(".weights.h5")]
    if len(names) != 1:
        raise FileError(f"expected one file of weights in the archive, got {len(names)}")
    held: dict[str, dict[int, Array]] = {}
    for path, array in _datasets(archive.read(names[0]), archive.bounds):
        found = re.search(r"([^/]+)/vars/(\d{1,4})$", path)
        if found:
            held.setdefault(found[1], {})[int(found[2])] = array
    groups = {name: [parts[k] for k in sorted(parts)] for name, parts in held.items()}
    return keras_graph(config, by_order(_by_layer(config, groups)))


def _by_layer(config: Any, groups: Mapping[str, list[Array]]) -> dict[str, list[Array]]:
    """The archive names a layer's weights after its class, counted (`conv2d`, `conv2d_1`), or after itself."""
    inner = config.get("config") if isinstance(config, dict) else None
    layers = inner.get("layers") if isinstance(inner, dict) else None
    found: dict[str, list[Array]] = {}
    counts: Counter[str] = Counter()
    for each in layers if isinstance(layers, list) else []:
        if not isinstance(each, dict) or not isinstance(each.get("config"), dict):
            continue
        kind = _snake(str(each.get("class_name", "")))
        counted = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
        own = str(each["config"].get("name", ""))
        found[own] = groups.get(counted, groups.get(own, []))
    return found


def _snake(name: str) -> str:
    """As Keras does: Conv2D is conv2d, MaxPooling2D max_pooling2d."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def read_h5(content: bytes, bounds: Bounds) -> Source:
    """A whole model of Keras 2, or weights alone."""
    tensors = dict(_datasets(content, bounds))
    config = _attribute(content, "model_config")
    if config is not None:
        return keras_graph(decoded(config, "model_config"), by_suffix(tensors))
    found = {re.sub(r"^/?(model_weights/)?", "", name): array for name, array in tensors.items()}
    if not found:
        raise FileError("there are no weights in the file")
    short = {}
    for name, array in _by_part(found).items():  # layer/.../layer/kernel:0
        words = name.split("/")
        short["/".join([*dict.fromkeys(words[:-1]), words[-1]])] = array
    return Weights(short)


def _by_part(found: Mapping[str, Array]) -> dict[str, Array]:
    """Weights of Keras 3, which are numbered (layers/conv2d/vars/0), by what they are; the optimizer's left out."""
    if not any(re.search(r"/vars/\d{1,4}$", name) for name in found):
        return dict(found)
    layers: dict[str, dict[int, Array]] = {}
    for name, array in found.items():
        match = re.fullmatch(r"(.+)/vars/(\d{1,4})", name)
        if match and not name.startswith("optimizer"):
            layers.setdefault(match[1].rpartition("/")[2], {})[int(match[2])] = array
    parts = {1: ("kernel", "bias"), 2: ("gamma", "beta"), 4: ORDER["BatchNormalization"]}
    named = {}
    for layer, held in layers.items():
        kind = 1 if held[min(held)].ndim > 1 else 4 if len(held) == 4 else 2
        for part, (_, array) in zip(parts[kind], sorted(held.items()), strict=False):
            named[f"{layer}/{part}"] = array
    return named


def _attribute(content: bytes, name: str) -> bytes | None:
    with _opened(content) as file:
        value = file.attrs.get(name)
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")  # bytes that are no text are refused as such
        return value if isinstance(value, bytes) else None


def _opened(content: bytes) -> Any:
    try:
        import h5py
    except ImportError:
        raise FileError(NO_H5PY) from None
    try:
        return h5py.File(io.BytesIO(content), "r")
    except Exception as error:  # HDF5's library raises what it likes
        raise FileError(f"the HDF5 file is damaged: {str(error)[:120]}") from None


def _datasets(content: bytes, bounds: Bounds) -> Iterator[tuple[str, Array]]:
    """Every array of numbers by its path; nothing outside the file is followed."""
    try:
        import h5py
    except ImportError:
        raise FileError(NO_H5PY) from None
    left, seen = bounds.unpacked, 0
    with _opened(content) as file:
        stack = [("", file, 0)]
        while stack:
            path, group, depth = stack.pop()
            if depth > DEEPEST:
                raise FileError(f"groups lie in one another more than {DEEPEST} deep")
            try:
                names = list(group)
            except Exception as error:
                raise FileError(f"the HDF5 file is damaged: {str(error)[:120]}") from None
            for name in reversed(names) if len(names) <= MOST else []:
                link = group.get(name, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise FileError(f"{name[:60]} leads elsewhere, which is not followed")
                try:
                    each = group[name]
                except Exception as error:
                    raise FileError(f"the HDF5 file is damaged: {str(error)[:120]}") from None
                if isinstance(each, h5py.Group):
                    stack.append((f"{path}/{name}", each, depth + 1))
                    continue
                seen += 1
                if not isinstance(each, h5py.Dataset) or each.dtype.kind not in "fiu":
                    continue
                left -= each.size * 8
                if each.size > bounds.elements or left < 0 or seen > MOST:
                    raise FileError(f"{path}/{name} of {list(each.shape)} is larger than is taken"[:200])
                if each.external or each.is_virtual or set(each._filters) - FILTERS:
                    raise FileError(f"{path}/{name} is stored in a way that is not read"[:200])
                try:
                    yield f"{path}/{name}".lstrip("/"), each[()].astype(np.float32)
                except Exception as error:
                    raise FileError(f"{path}/{name} is damaged: {str(error)[:120]}") from None
            if len(names) > MOST:
                raise FileError(f"a group has {len(names)} members; at most {MOST} are taken")
