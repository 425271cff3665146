"""Keras's files by their plain parts: TensorFlow.js, .keras and .h5 compute what Keras's own layers compute."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import h5py
import numpy as np
import pytest

from app.limits import Limits
from app.services.imports import models
from app.services.imports.files import read_file
from app.services.imports.source import FileError
from engine.network import Network

RNG = np.random.default_rng(3)
WEIGHTS = {
    "first": {"kernel": RNG.normal(size=(3, 3, 2, 4)), "bias": RNG.normal(size=4)},
    "norm": {
        "gamma": RNG.normal(size=4),
        "beta": RNG.normal(size=4),
        "moving_mean": RNG.normal(size=4),
        "moving_variance": RNG.random(4) + 0.5,
    },
    "each": {"kernel": RNG.normal(size=(3, 3, 4, 1)), "bias": RNG.normal(size=4)},
    "hidden": {"kernel": RNG.normal(size=(4 * 3 * 4, 5)), "bias": RNG.normal(size=5)},
    "out": {"kernel": RNG.normal(size=(5, 3)), "bias": RNG.normal(size=3)},
}
WEIGHTS = {layer: {name: array.astype(np.float32) for name, array in parts.items()} for layer, parts in WEIGHTS.items()}


def layer(kind: str, name: str, **settings: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **settings}}


LAYERS = [
    layer("InputLayer", "image", batch_shape=[None, 8, 6, 2]),
    layer("Conv2D", "first", kernel_size=[3, 3], strides=[1, 1], padding="same", activation="relu"),
    layer("BatchNormalization", "norm", epsilon=0.001),
    layer("DepthwiseConv2D", "each", kernel_size=[3, 3], strides=[1, 1], padding="same", activation="linear"),
    layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=[2, 2], padding="valid"),
    layer("Dropout", "drop", rate=0.25),
    layer("Activation", "bent", activation="tanh"),
    layer("Flatten", "flat"),
    layer("Dense", "hidden", units=5, activation="elu"),
    layer("Dense", "out", units=3, activation="softmax"),
]
SEQUENTIAL = {"class_name": "Sequential", "config": {"name": "seq", "layers": LAYERS}}


def convolved(x: np.ndarray, w: np.ndarray, depthwise: bool = False) -> np.ndarray:
    """Channels last, "same", stride 1."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return np.einsum("nijcuv,uvcm->nijc" if depthwise else "nijcuv,uvco->nijo", windows, w)


def expected(x: np.ndarray) -> np.ndarray:
    """The scores that Keras's layers give, in float64 and channels last."""
    parts = {name: {k: v.astype(np.float64) for k, v in each.items()} for name, each in WEIGHTS.items()}
    y = np.maximum(convolved(x, parts["first"]["kernel"]) + parts["first"]["bias"], 0)
    norm = parts["norm"]
    y = (y - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + 0.001) * norm["gamma"] + norm["beta"]
    y = convolved(y, parts["each"]["kernel"], depthwise=True) + parts["each"]["bias"]
    n, h, w, c = y.shape
    y = np.tanh(y.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))).reshape(n, -1)
    y = y @ parts["hidden"]["kernel"] + parts["hidden"]["bias"]
    return np.where(y > 0, y, np.expm1(y)) @ parts["out"]["kernel"] + parts["out"]["bias"]


def tfjs(topology: Any = SEQUENTIAL, quantised: bool = False) -> bytes:
    manifest, content = [], b""
    for name, parts in WEIGHTS.items():
        for part, array in parts.items():
            said: dict[str, Any] = {"name": f"seq/{name}/{part}", "shape": list(array.shape), "dtype": "float32"}
            if quantised:
                low, scale = float(array.min()), float(array.max() - array.min()) / 65535
                said["quantization"] = {"dtype": "uint16", "min": low, "scale": scale, "original_dtype": "float32"}
                content += np.rint((array - low) / scale).astype("<u2").tobytes()
            else:
                content += array.tobytes()
            manifest.append(said)
    half = len(content) // 2
    document = {
        "format": "layers-model",
        "modelTopology": {"keras_version": "2.15.0", "model_config": topology},
        "weightsManifest": [{"paths": ["group1-shard1of2.bin", "group1-shard2of2.bin"], "weights": manifest}],
    }
    return zipped(
        {
            "model/model.json": json.dumps(document).encode(),
            "model/group1-shard1of2.bin": content[:half],
            "model/group1-shard2of2.bin": content[half:],
        }
    )


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


def hdf5(arrays: dict[str, np.ndarray], **attributes: Any) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as made:
        for name, array in arrays.items():
            made.create_dataset(name, data=array)
        made.attrs.update(attributes)
    return file.getvalue()


def keras_3() -> bytes:
    order = {"norm": ("gamma", "beta", "moving_mean", "moving_variance")}
    counted = {"first": "conv2d", "norm": "batch_normalization", "each": "depthwise_conv2d"}
    counted |= {"hidden": "dense", "out": "dense_1"}
    arrays = {
        f"layers/{counted[name]}/vars/{k}": parts[part]
        for name, parts in WEIGHTS.items()
        for k, part in enumerate(order.get(name, ("kernel", "bias")))
    }
    config = json.dumps(SEQUENTIAL).encode()
    return zipped({"metadata.json": b"{}", "config.json": config, "model.weights.h5": hdf5(arrays)})


def keras_2() -> bytes:
    arrays = {f"model_weights/{n}/{n}/{part}:0": a for n, parts in WEIGHTS.items() for part, a in parts.items()}
    return hdf5(arrays, model_config=json.dumps(SEQUENTIAL))


def functional() -> dict[str, Any]:
    """The same layers, each naming what it reads as Keras 3 does."""
    names = [each["config"]["name"] for each in LAYERS]
    layers = []
    for before, each in zip([None, *names], LAYERS, strict=False):
        history = {"class_name": "__keras_tensor__", "config": {"keras_history": [before, 0, 0]}}
        nodes = [] if before is None else [{"args": [history], "kwargs": {}}]
        layers.append({**each, "name": each["config"]["name"], "inbound_nodes": nodes})
    config = {"layers": layers, "input_layers": [["image", 0, 0]], "output_layers": [["out", 0, 0]]}
    return {"class_name": "Functional", "config": config}


@pytest.mark.parametrize(
    ("content", "format", "tolerance"),
    [
        (tfjs(), "tfjs", 1e-4),
        (tfjs(functional()), "tfjs", 1e-4),
        (tfjs(quantised=True), "tfjs", 3e-2),
        (keras_3(), "keras", 1e-4),
        (keras_2(), "keras", 1e-4),
    ],
    ids=["tfjs", "functional", "quantised", "keras 3", "keras 2"],
)
def test_a_model_of_keras_answers_as_it_did_there(content: bytes, format: str, tolerance: float) -> None:
    found, source = read_file(content, Limits())
    assert found == format
    made = models.imported("id", "model", found, source, {}, None, Limits())
    assert made.result.network and made.result.placed == made.result.tensors, made.document()
    network = Network.from_document(made.result.network)
    x = np.random.default_rng(5).random((3, 8, 6, 2))
    parameters = {**network.initial(0), **made.result.parameters}
    given = np.ascontiguousarray(x.transpose(0, 3, 1, 2).astype(np.float32))
    answers = network.forward(parameters, given)[network.output, "y"]
    assert np.allclose(answers, expected(x), rtol=tolerance, atol=tolerance)


def test_weights_alone_of_an_h5_file_have_their_network_rebuilt() -> None:
    arrays = {"conv/conv/kernel:0": RNG.normal(size=(3, 3, 1, 8)), "conv/conv/bias:0": np.zeros(8)}
    arrays |= {"dense/dense/kernel:0": RNG.normal(size=(13 * 13 * 8, 10)), "dense/dense/bias:0": np.zeros(10)}
    found, source = read_file(hdf5(arrays), Limits())
    made = models.imported("id", "weights", found, source, {}, None, Limits())
    assert made.result.network and [row.state for row in made.result.rows] == ["moved", "moved"]


def replaced(old: str, new: str) -> bytes:
    text = json.dumps(SEQUENTIAL).replace(old, new)
    return tfjs(json.loads(text))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (tfjs()[:-300], "no zip archive"),
        (tfjs({"class_name": "Sequential", "config": {"layers": 3}}), "a list of layers"),
        (tfjs({"class_name": "Sequential", "config": {"layers": [LAYERS[1]]}}), "no input layer"),
        (replaced('"name": "flat"', '"name": "first"'), "the same name"),
        (replaced("[null, 8, 6, 2]", '[null, "8", 6, 2]'), "the shape of the input"),
        (replaced('"name": "hidden"', '"name": "gone"'), "the file has no kernel for it"),
        (zipped({"model.json": b'{"weightsManifest": [{"paths": ["../x"], "weights": []}]}'}), "no member '../x'"),
        (zipped({"model.json": b'{"format": "graph-model"}'}), "graph model"),
        (zipped({"model.json": b"[" * 100_000}), "model.json"),
        (zipped({"config.json": b"{}", "model.weights.h5": b"\x89HDF\r\n\x1a\n"}), "HDF5 file is damaged"),
        (keras_2()[:3000], "HDF5 file is damaged"),
    ],
)
def test_a_file_that_lies_is_refused_with_a_sentence(content: bytes, words: str) -> None:
    with pytest.raises(FileError, match=words):
        read_file(content, Limits())


def test_hdf5_does_not_lead_out_of_its_file() -> None:
    file = io.BytesIO()
    with h5py.File(file, "w") as made:
        made["away"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(FileError, match="leads elsewhere"):
        read_file(file.getvalue(), Limits())
    with pytest.raises(FileError, match="leads elsewhere"), h5py.File(soft := io.BytesIO(), "w") as made:
        made["round"] = h5py.SoftLink("/")
        made.flush()
        read_file(soft.getvalue(), Limits())


def test_a_layer_that_is_not_here_is_named_in_the_list() -> None:
    found, source = read_file(replaced('"MaxPooling2D"', '"MaxPooling3000"'), Limits())
    made = models.imported("id", "model", found, source, {}, None, Limits())
    missing = [row for row in made.result.rows if row.state == "missing"]
    assert made.result.network is None and missing[0].source == "MaxPooling3000 pool"
