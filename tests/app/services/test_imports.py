"""Models from elsewhere: what becomes of a file, that nothing in it runs, and that files that lie are told so."""

from __future__ import annotations

import gc
import io
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.numpy import save
from starlette.testclient import TestClient

from app.limits import Limits
from app.problems import Problem
from app.services.imports import models
from app.services.imports.nearest import FUNCTIONS, WORDS, nearest
from app.services.imports.onnx import read_onnx, tensor_of
from app.services.imports.protobuf import Message
from app.services.imports.source import Bounds, FileError, Node
from engine.network import Network
from engine.ops import OPS
from tests.app.services import hostile_files
from tests.app.services import model_files as files

RNG = np.random.default_rng(0)
OCTETS = {"Content-Type": "application/octet-stream"}
SHIPPED = Path(onnx.__file__).parent / "backend/test/data"


def array(*shape: int) -> np.ndarray:
    return RNG.normal(scale=0.3, size=shape).astype(np.float32)


def made(content: bytes, **answers: Any) -> models.Imported:
    limits = Limits()
    format, source = models.read(content, "model", limits)
    return models.imported("id", "model", format, source, answers, None, limits)


def passed(found: models.Imported, x: np.ndarray) -> tuple[Network, dict[str, np.ndarray], Any]:
    """The network, its parameters and a forward pass, in float64; rows of the file are planes of height 1."""
    assert found.result.network is not None, [row for row in found.result.rows if row.state == "missing"]
    network = Network.from_document(found.result.network)
    whole = {**network.initial(0), **found.result.parameters}
    exact = {name: each.astype(np.float64) for name, each in whole.items()}
    return network, exact, network.forward(exact, x.astype(np.float64).reshape(len(x), *network.input_shape))


def outputs(found: models.Imported, x: np.ndarray) -> np.ndarray:
    """What the file's network answers: the probabilities, where its softmax has become a part of the loss."""
    network, _, values = passed(found, x)
    y = values[network.output, "y"]
    if any("part of the loss" in row.detail for row in found.result.rows):
        y = np.exp(y - y.max(1, keepdims=True))
        y /= y.sum(1, keepdims=True)
    return y


def input_gradient(found: models.Imported, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """dx for a given dy of the last layer, layer by layer, as a network that rests computes it."""
    network, parameters, values = passed(found, x)
    arriving: dict[str, Any] = {network.output: dy.reshape(values[network.output, "y"].shape)}
    for layer in reversed(network.layers.values()):
        op = layer.inference_op
        tensors = {**network.local(layer, values, parameters), "dy": arriving[layer.name]}
        gradients = op.backward(tensors, op.gradients)
        for tensor, source in zip(op.inputs, layer.inputs, strict=True):
            arriving[source] = arriving.get(source, 0) + gradients[f"d{tensor}"]
    return np.asarray(arriving["input"]).reshape(x.shape)


def guess(found: models.Imported, what: str) -> Any:
    return next(each for each in found.result.guesses if each.what == what)


# ONNX ---------------------------------------------------------------------------------------------------------------

CONVERTED = sorted(SHIPPED.glob("pytorch-converted/*")) + sorted(SHIPPED.glob("pytorch-operator/*"))
#: Those of which everything is here, 52 and 7; the others are of three axes, of several inputs, or of other operations.
HERE = """
AvgPool2d AvgPool2d_stride BatchNorm1d_3d_input_eval BatchNorm2d_eval BatchNorm2d_momentum_eval Conv1d Conv1d_dilated
Conv1d_groups Conv1d_pad1 Conv1d_pad1size1 Conv1d_pad2 Conv1d_pad2size1 Conv1d_stride Conv2d Conv2d_depthwise
Conv2d_depthwise_padded Conv2d_depthwise_strided Conv2d_depthwise_with_multiplier Conv2d_dilated Conv2d_groups
Conv2d_groups_thnn Conv2d_no_bias Conv2d_padding Conv2d_strided ConvTranspose2d ConvTranspose2d_no_bias ELU LeakyReLU
LeakyReLU_with_negval Linear Linear_no_bias LogSoftmax MaxPool1d MaxPool1d_stride MaxPool2d
MaxPool2d_stride_padding_dilation PReLU_1d PReLU_1d_multiparam PReLU_2d PReLU_2d_multiparam ReLU SELU Sigmoid Softmax
Softmin Softplus Tanh ZeroPad2d log_softmax_dim3 log_softmax_lastdim softmax_functional_dim3 softmax_lastdim
operator_addconstant operator_conv operator_convtranspose operator_flatten operator_maxpool operator_selu
operator_symbolic_override""".split()


@pytest.mark.parametrize("folder", CONVERTED, ids=lambda folder: folder.name)
def test_a_model_of_the_onnx_package_gives_its_stored_output_or_is_refused_by_name(folder: Path) -> None:
    content = (folder / "model.onnx").read_bytes()
    if folder.name.removeprefix("test_") in HERE:
        x, y = (
            tensor_of(Message(memoryview((folder / f"test_data_set_0/{name}_0.pb").read_bytes())), Bounds())
            for name in ("input", "output")
        )
        got = outputs(made(content), x).reshape(y.shape)
        assert np.abs(got - y).max() <= 1e-5 * max(1, np.abs(y).max())
        return
    try:
        found = made(content)
    except Problem as problem:
        kinds = {node.op for node in read_onnx(content, Bounds()).nodes}
        assert problem.status == 422 and re.search(r"axes|one input|at least 1", problem.detail)
        assert "input: expected" in problem.detail or all(kind in problem.detail for kind in kinds)
        return
    missing = [row for row in found.result.rows if row.state == "missing"]
    assert found.result.network is None and missing and all(row.detail for row in missing)
    assert missing[0].source.split()[0] in {node.op for node in read_onnx(content, Bounds()).nodes}


@pytest.mark.parametrize("name", ["squeezenet", "densenet121"])
def test_a_large_graph_of_the_onnx_package_gives_its_stored_output(name: str) -> None:
    found = made((SHIPPED / f"light/light_{name}.onnx").read_bytes())
    y = tensor_of(Message(memoryview((SHIPPED / f"light/light_{name}_output_0.pb").read_bytes())), Bounds())
    assert found.result.network is not None
    network = Network.from_document(found.result.network)
    size = int(np.prod(network.input_shape))
    x = (np.arange(size) / size).astype(np.float32).reshape(1, *network.input_shape)
    got = network.forward({**network.initial(0), **found.result.parameters}, x)[network.output, "y"].reshape(y.shape)
    if name == "squeezenet":  # the softmax behind it is a part of the loss
        got = np.exp(got - got.max()) / np.exp(got - got.max()).sum()
    assert np.abs(got - y).max() <= 1e-5


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet50", "at most 10000000"), ("inception_v2", "at most 10000000"), ("vgg19", "ConstantOfShape fc6_w_0"),
        ("bvlc_alexnet", "LRN n2"), ("zfnet512", "LRN n2"), ("inception_v1", "LRN n3"), ("shufflenet", "Transpose n8"),
    ],
)  # fmt: skip
def test_a_large_graph_that_is_not_taken_is_refused_by_name(name: str, words: str) -> None:
    content = (SHIPPED / f"light/light_{name}.onnx").read_bytes()
    try:
        rows = made(content).result.rows
    except Problem as problem:
        assert problem.status == 413 and words in problem.detail
        return
    assert words in [row.source for row in rows if row.state == "missing"]


def small_cnn() -> tuple[bytes, dict[str, np.ndarray]]:
    tensors = {
        "conv1.weight": array(4, 1, 3, 3),
        "conv1.bias": array(4),
        "fc.weight": array(5, 4 * 13 * 13),
        "fc.bias": array(5),
    }
    nodes = [
        files.onnx_node("Conv", ["x", "conv1.weight", "conv1.bias"], ["a"], kernel_shape=[3, 3]),
        files.onnx_node("Relu", ["a"], ["b"]),
        files.onnx_node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        files.onnx_node("Flatten", ["c"], ["d"]),
        files.onnx_node("Gemm", ["d", "fc.weight", "fc.bias"], ["e"], transB=1),
        files.onnx_node("Softmax", ["e"], ["f"], axis=1),
    ]
    return files.onnx_model(nodes, tensors, (0, 1, 28, 28), "f"), tensors


def test_a_graph_becomes_a_network_with_the_files_names() -> None:
    content, tensors = small_cnn()
    found = made(content)
    assert found.format == "onnx" and found.result.network is not None
    assert [layer["name"] for layer in found.result.network["layers"]] == [
        "conv1", "relu_b", "maxpool_c", "flatten_d", "fc",
    ]  # fmt: skip
    assert found.result.network["loss"] == "cross_entropy"
    softmax = found.result.rows[-1]
    assert (softmax.state, softmax.layer) == ("moved", None) and "part of the loss" in softmax.detail
    assert np.array_equal(found.result.parameters["conv1/w"], tensors["conv1.weight"])
    assert (found.result.placed, found.result.tensors) == (4, 4)


def test_a_layer_that_is_not_here_is_named_with_what_comes_nearest_and_can_be_replaced() -> None:
    w = array(4, 1, 3, 3)
    nodes = [
        files.onnx_node("Conv", ["x", "w"], ["a"], kernel_shape=[3, 3]),
        files.onnx_node("Mish", ["a"], ["b"]),
        files.onnx_node("LRN", ["b"], ["c"], size=5),
        files.onnx_node("GlobalAveragePool", ["c"], ["d"]),
    ]
    content = files.onnx_model(nodes, {"w": w}, (1, 1, 8, 8), "d")
    found = made(content)
    missing = {row.source: row for row in found.result.rows if row.state == "missing"}
    assert found.result.network is None and set(missing) == {"Mish mish_b", "LRN lrn_c"}
    mish = missing["Mish mish_b"]
    assert mish.nearest[0] == "silu" and mish.nearest[-1] == "leave_out"
    assert mish.detail.startswith("there is no operator like Mish here; the nearest here is silu, up to 0.18 away")
    assert "numbers of size 1 change by 0.007%" in missing["LRN lrn_c"].detail
    settled = made(content, **{"Mish mish_b": "elu", "LRN lrn_c": "leave_out"})
    assert settled.result.network is not None
    assert [layer["op"] for layer in settled.result.network["layers"]] == ["conv2d", "elu", "global_avg_pool"]


def test_a_branch_joins_and_a_scale_goes_into_the_batch_norm_before_it() -> None:
    tensors = {
        "w": array(3, 3, 1, 1), "g": array(3), "b": array(3), "m": array(3), "v": np.abs(array(3)) + 1,
        "scale": array(1, 3, 1, 1),
    }  # fmt: skip
    nodes = [
        files.onnx_node("Conv", ["x", "w"], ["a"], kernel_shape=[1, 1]),
        files.onnx_node("BatchNormalization", ["a", "g", "b", "m", "v"], ["n"], epsilon=1e-3),
        files.onnx_node("Mul", ["n", "scale"], ["s"]),
        files.onnx_node("Add", ["s", "x"], ["y"]),
    ]
    found = made(files.onnx_model(nodes, tensors, (1, 3, 4, 4), "y"))
    assert found.result.network is not None
    assert [layer["op"] for layer in found.result.network["layers"]] == ["conv2d", "batch_norm", "add"]
    x = RNG.normal(size=(2, 3, 4, 4))
    plane = (1, 3, 1, 1)
    a = np.einsum("nchw,oc->nohw", x, tensors["w"][:, :, 0, 0].astype(float))
    n = (a - tensors["m"].reshape(plane)) / np.sqrt(tensors["v"].reshape(plane) + 1e-3)
    n = n * tensors["g"].reshape(plane) + tensors["b"].reshape(plane)
    assert np.abs(outputs(found, x) - (n * tensors["scale"] + x)).max() < 1e-5


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([("Relu", ["b"], ["a"]), ("Relu", ["a"], ["b"])], "runs in a circle"),
        ([("Relu", ["nowhere"], ["a"])], "which nothing makes"),
    ],
)
def test_a_graph_that_cannot_be_followed_is_refused(nodes: Any, words: str) -> None:
    with pytest.raises(FileError, match=words):
        read_onnx(files.onnx_model([files.onnx_node(*node) for node in nodes], {}, (1, 1, 4, 4), "b"), Bounds())


def test_every_operator_that_a_file_may_ask_for_is_one_that_there_is() -> None:
    """Each plain node alone, and each offer of what comes nearest."""
    for op in ("Relu", "LeakyRelu", "Sigmoid", "Tanh", "Elu", "Softplus", "HardSwish", "Silu", "Gelu", "Neg", "Selu"):
        found = made(files.onnx_model([files.onnx_node(op, ["x"], ["y"])], {}, (1, 2, 3, 3), "y"))
        assert found.result.network is not None, op
    for op in (*FUNCTIONS, *WORDS, "LRN", "Unheard"):
        names, _ = nearest(Node(op, "", ("x",), ("y",)))
        assert set(names) <= {*OPS, "leave_out"} and names, op


# PyTorch's own files ------------------------------------------------------------------------------------------------

TORCH = np.load(Path(__file__).parents[2] / "fixtures/torch_files.npz")
NETWORKS = sorted({name.split("/")[0] for name in TORCH.files})


@pytest.mark.parametrize("name", NETWORKS)
def test_an_exported_program_computes_what_pytorch_does(name: str) -> None:
    found = made(TORCH[f"{name}/pt2"].tobytes())
    x, y, dy, dx = (TORCH[f"{name}/{key}"] for key in ("x", "y", "dy", "dx"))
    assert found.format == "pt2" and found.result.placed == found.result.tensors
    assert np.abs(outputs(found, x).reshape(y.shape) - y).max() < 1e-5
    assert np.abs(input_gradient(found, x, dy) - dx).max() < 1e-5


@pytest.mark.parametrize("format", ["pth", "legacy"])
@pytest.mark.parametrize("name", NETWORKS)
def test_both_kinds_of_state_dict_are_read_bit_for_bit(name: str, format: str) -> None:
    kind, source = models.read(TORCH[f"{name}/{format}"].tobytes(), name, Limits())
    expected = {key: TORCH[key] for key in TORCH.files if key.startswith(f"{name}/state/")}
    assert kind == "pytorch" and list(source.tensors) == [key.rpartition("/")[2] for key in expected]
    for key, tensor in expected.items():
        assert np.array_equal(source.tensors[key.rpartition("/")[2]], tensor), key


# Keras's own files --------------------------------------------------------------------------------------------------

KERAS = np.load(Path(__file__).parents[2] / "fixtures/keras_files.npz")


@pytest.mark.parametrize("format", ["keras", "h5"])
@pytest.mark.parametrize("name", sorted({name.split("/")[0] for name in KERAS.files}))
def test_a_model_that_keras_saved_computes_what_it_does_there(name: str, format: str) -> None:
    found = made(KERAS[f"{name}/{format}"].tobytes())
    x, y, dy, dx = (KERAS[f"{name}/{key}"] for key in ("x", "y", "dy", "dx"))
    x, y, dy, dx = (np.moveaxis(each, -1, 1) if each.ndim == 4 else each for each in (x, y, dy, dx))
    assert np.abs(outputs(found, x) - y).max() < 1e-5
    assert np.abs(input_gradient(found, x, dy) - dx).max() < 1e-5


# weights alone ------------------------------------------------------------------------------------------------------


def digits_net() -> dict[str, np.ndarray]:
    """As torch.nn.Sequential(conv, relu, pool, conv, relu, pool), then (linear, relu, linear)."""
    return {
        "features.0.weight": array(6, 1, 3, 3),
        "features.0.bias": array(6),
        "features.3.weight": array(8, 6, 3, 3),
        "features.3.bias": array(8),
        "classifier.0.weight": array(20, 8 * 7 * 7),
        "classifier.0.bias": array(20),
        "classifier.2.weight": array(10, 20),
        "classifier.2.bias": array(10),
    }


def test_a_state_dict_has_its_network_rebuilt_and_every_guess_listed() -> None:
    found = made(files.torch_file(digits_net()))
    assert found.format == "pytorch" and found.result.network is not None
    assert [layer["op"] for layer in found.result.network["layers"]] == [
        "conv2d", "relu", "max_pool2d", "conv2d", "relu", "max_pool2d", "flatten", "linear", "relu", "linear",
    ]  # fmt: skip
    assert guess(found, "input").value == [1, 28, 28] and guess(found, "padding").value == "same"
    assert guess(found, "pools").value == "features.0, features.3"
    assert "8 maps of 7 x 7" in guess(found, "pools").why
    assert guess(found, "activation").value == "relu" and "tanh" in guess(found, "activation").alternatives
    changed = made(files.torch_file(digits_net()), activation="tanh")
    assert changed.result.network is not None
    assert [layer["op"] for layer in changed.result.network["layers"]].count("tanh") == 3


def test_every_order_of_prefixes_and_checkpoints_is_understood() -> None:
    named = {f"module.model.{name}": each for name, each in digits_net().items()}
    found = made(files.torch_file(named, inside="state_dict"))
    assert found.result.network is not None and found.result.placed == 8
    assert found.result.network["layers"][0]["name"].startswith("features")


def test_safetensors_sorted_by_name_become_the_same_network() -> None:
    """Its library writes names in the order of the alphabet: 10 before 2, and norms before what they follow."""
    tensors = {
        "net.0.weight": array(4, 1, 3, 3), "net.1.weight": array(4), "net.1.bias": array(4),
        "net.1.running_mean": array(4), "net.1.running_var": np.abs(array(4)), "net.4.weight": array(8, 4, 3, 3),
        "net.9.weight": array(6, 8 * 7 * 7), "net.11.weight": array(3, 6),
    }  # fmt: skip
    for renamed in (
        tensors,
        {name.replace("net.1.", "bn.").replace("net.9", "a"): each for name, each in tensors.items()},
    ):
        found = made(save(renamed))
        assert found.format == "safetensors" and found.result.network is not None
        ops = [layer["op"] for layer in found.result.network["layers"]]
        assert ops[:4] == ["conv2d", "batch_norm", "relu", "max_pool2d"] and ops[-3:] == ["linear", "relu", "linear"]
        assert found.result.parameters["11/w" if renamed is tensors else "net.11/w"].shape == (3, 6)


def test_a_classic_lenet_pads_its_first_convolution_alone() -> None:
    tensors = {
        "conv1.weight": array(6, 1, 5, 5), "conv2.weight": array(16, 6, 5, 5), "fc1.weight": array(120, 400),
        "fc2.weight": array(10, 120),
    }  # fmt: skip
    found = made(files.torch_file(tensors))
    assert guess(found, "input").value == [1, 28, 28] and guess(found, "padding").value == "conv1"
    assert [1, 32, 32] in guess(found, "input").alternatives
    other = made(files.torch_file(tensors), input=[1, 32, 32])
    assert guess(other, "padding").value == "valid"


def test_a_group_norm_is_told_by_its_two_tensors_and_its_groups_are_a_guess() -> None:
    tensors = {"conv.weight": array(8, 1, 3, 3), "gn.weight": array(8), "gn.bias": array(8), "fc.weight": array(3, 8)}
    found = made(files.torch_file(tensors), groups=2)
    assert found.result.network is not None
    settings = {layer["op"]: layer["settings"] for layer in found.result.network["layers"]}
    assert settings["group_norm"]["groups"] == 2 and guess(found, "groups").alternatives == (4, 1)
    with pytest.raises(Problem, match="groups: expected a whole number that divides 8"):
        made(files.torch_file(tensors), groups=3)


def test_a_batch_norm_stands_before_the_activation() -> None:
    tensors = {
        "conv.weight": array(4, 1, 5, 5), "bn.weight": array(4), "bn.bias": array(4), "bn.running_mean": array(4),
        "bn.running_var": np.abs(array(4)), "bn.num_batches_tracked": np.array(7), "fc.weight": array(3, 4 * 12 * 12),
    }  # fmt: skip
    found = made(files.torch_file(tensors))
    assert found.result.network is not None
    ops = [layer["op"] for layer in found.result.network["layers"]]
    assert ops == ["conv2d", "batch_norm", "relu", "max_pool2d", "flatten", "linear"]
    assert found.result.network["layers"][-1]["settings"]["bias"] is False


def test_kernels_and_dense_rows_of_channels_last_frameworks_are_turned_round() -> None:
    """The same numbers through the same network, written in either layout."""
    hwio, dense = array(3, 3, 1, 4), array(13 * 13 * 4, 16)
    content = io.BytesIO()
    tensors: Any = {"conv2d/kernel": hwio, "conv2d/bias": array(4), "dense/kernel": dense, "dense/bias": array(16)}
    np.savez(content, **tensors)
    found = made(content.getvalue())
    assert found.format == "npz" and [row.state for row in found.result.rows] == ["moved", "moved"]
    assert "HWIO" in found.result.rows[0].detail and "channels last" in found.result.rows[1].detail
    x = RNG.normal(size=(2, 1, 28, 28))
    got = outputs(found, x)
    conv = np.zeros((2, 26, 26, 4))
    for u in range(3):
        for v in range(3):
            conv += x[:, 0, u : u + 26, v : v + 26, None] * hwio[u, v, 0].astype(float)
    with np.load(io.BytesIO(content.getvalue())) as stored:
        conv = np.maximum(conv + stored["conv2d/bias"], 0)
        pooled = conv.reshape(2, 13, 2, 13, 2, 4).max((2, 4))
        expected = pooled.reshape(2, -1) @ dense.astype(float) + stored["dense/bias"]
    assert np.abs(got - expected).max() < 1e-4


def test_sizes_that_no_pools_explain_are_refused_with_the_arithmetic() -> None:
    tensors = {"conv.weight": array(4, 1, 3, 3), "fc.weight": array(3, 4 * 999)}
    with pytest.raises(Problem, match="fc reads 3996 numbers, 4 maps come out of conv"):
        made(files.torch_file(tensors))


# hostile files ------------------------------------------------------------------------------------------------------


class Attack:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def attacks(mark: Path) -> dict[str, bytes]:
    """Files that would leave a mark, or claim what is not so."""
    touch = Attack(os.system, f"touch {mark}")
    one = {"a.weight": array(2, 2)}
    small, _ = small_cnn()
    bomb = zipped(**{"a.npy": b"\0" * 300_000_000})
    return {
        "a system call": files.torch_file(one, more=touch),
        "an import": files.torch_file(one, more=Attack(__import__, "os")),
        "eval": files.torch_file(one, more=Attack(eval, "1")),
        "a bare pickle": pickle.dumps(touch),
        "strides outside the storage": files.torch_file(one, views={"a.weight": (0, (2, 2), (1000, 1))}),
        "a shape larger than the storage": files.torch_file(one, views={"a.weight": (0, (9, 9), (9, 1))}),
        "a negative offset": files.torch_file(one, views={"a.weight": (-4, (2, 2), (2, 1))}),
        "a shape of 2**60": files.torch_file(one, views={"a.weight": (0, (2**30, 2**30), (0, 0))}),
        "an archive in an archive": zipped(**{"inner.zip": zipped(**{"data.pkl": b"x"})}),
        "a bomb": bomb,
        "an archive cut short": files.torch_file(one)[:-40],
        "half a graph": small[: len(small) // 2],
        "a length beyond the end": files.field(7, b"abc")[:-2] + b"\xff\xff\xff\xff\x0f",
        "no more than zeros": bytes(1000),
        "text": b"hello, this is no model",
        "nothing": b"",
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "a header of safetensors that lies": struct.pack("<Q", 50)
        + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,4]}}',
        "a tensor elsewhere": files.onnx_model([], {}, (1,), "y")
        + files.field(7, files.field(5, files.field(1, 4) + files.field(13, b"x"))),
        "JSON that is no network": b'{"layers": 3}',
        "numbers that are not finite": files.torch_file({"a.weight": np.full((2, 2), np.nan, np.float32)}),
        "a weight of five axes": files.torch_file({"a.weight": array(1, 1, 1, 1, 1)}),
    }  # fmt: skip


def test_files_that_lie_are_4xx_and_leave_no_mark(client: TestClient, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for what, content in attacks(mark).items():
        answer = client.post("/api/networks/import", content=content, headers=OCTETS)
        assert answer.status_code in (400, 413, 422), (what, answer.status_code, answer.text)
        assert len(answer.json()["detail"]) > 15, (what, answer.text)
        assert "Traceback" not in answer.text, what
        assert not mark.exists(), what


def test_a_file_damaged_anywhere_is_never_a_5xx() -> None:
    """Every byte of a small file, changed at random: read, or refused with a reason."""
    small, _ = small_cnn()
    whole = files.torch_file(digits_net())
    rng = np.random.default_rng(1)
    limits = Limits()
    for content in (small, whole):
        for _ in range(150):
            damaged = bytearray(content)
            for at in rng.integers(0, min(len(content), 4000), 3):
                damaged[at] = int(rng.integers(256))
            try:
                format, source = models.read(bytes(damaged), "model", limits)
                models.imported("id", "model", format, source, {}, None, limits)
            except Exception as error:
                assert type(error).__name__ == "Problem", repr(error)


def test_a_thousand_files_that_lie_run_nothing_and_are_refused_with_a_sentence(tmp_path: Path) -> None:
    """Each is read, or a problem that says what is wrong; and their memory is given back."""
    mark, limits, count = tmp_path / "mark", Limits(), 0
    before = resident_bytes()
    for what, content in hostile_files.thousand(str(mark)):
        count += 1
        try:
            format, source = models.read(content, "model", limits)
            models.imported("id", "model", format, source, {}, None, limits)
        except Problem as problem:
            assert problem.status in (400, 413, 422) and len(problem.detail) > 10, (what, problem.detail)
        except Exception as error:
            raise AssertionError(what) from error
    gc.collect()
    assert count == 1000 and not mark.exists()
    assert resident_bytes() - before < 50 << 20


def resident_bytes() -> int:
    """Of this process; 0 where the system does not say."""
    status = Path("/proc/self/status")
    found = re.search(r"VmRSS:\s+(\d+)", status.read_text()) if status.exists() else None
    return int(found[1]) << 10 if found else 0


# over HTTP ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def send(client: TestClient) -> Callable[..., Any]:
    def post(content: bytes, status: int = 201, name: str = "model.onnx") -> Any:
        answer = client.post("/api/networks/import", params={"name": name}, content=content, headers=OCTETS)
        assert answer.status_code == status, answer.text
        return answer.json()

    return post


def test_an_imported_model_becomes_a_run_that_can_be_stepped_through(client: TestClient, send: Any, train: Any) -> None:
    tensors = digits_net()
    found = send(files.torch_file(tensors), name="digits.pth")
    assert found["format"] == "pytorch" and found["parameters"] == {"placed": 8, "of": 8}
    assert client.get(f"/api/networks/import/{found['id']}").json() == found
    normalisation = next(each for each in found["guesses"] if each["what"] == "normalisation")
    assert normalisation["value"] in ("none", "mnist", "half") and found["check"]["images"] == 500
    run = train(imported=found["id"], start=False)
    assert run["step"] == 0 and run["title"] == "digits.pth"
    made = client.post(f"/api/runs/{run['id']}/passes", json={"dataset": "mnist", "index": 0}).json()
    first = found["network"]["layers"][0 if normalisation["value"] == "none" else 1]["name"]
    why = client.get(f"/api/runs/{run['id']}/passes/{made['id']}/explain/{first}/dw/0,0,1,1").json()
    assert why["terms_total"] == 28 * 28
    values = client.get(f"/api/runs/{run['id']}/passes/{made['id']}/tensors/{first}/w").json()["values"]
    assert np.array_equal(np.float32(values), tensors["features.0.weight"])


def test_an_answer_changes_the_network_and_null_takes_it_back(client: TestClient, send: Any) -> None:
    found = send(files.torch_file(digits_net()))
    path = f"/api/networks/import/{found['id']}"
    changed = client.post(path, json={"answers": {"activation": "tanh", "normalisation": "half"}}).json()
    ops = [layer["op"] for layer in changed["network"]["layers"]]
    assert ops[0] == "normalize" and "tanh" in ops and "relu" not in ops
    back = client.post(path, json={"answers": {"activation": None, "normalisation": "none"}}).json()
    assert "relu" in [layer["op"] for layer in back["network"]["layers"]]
    refused = client.post(path, json={"answers": {"activation": "nonsense"}})
    assert refused.status_code == 422 and "expected one of relu" in refused.json()["detail"]
    assert client.get("/api/networks/import/none").status_code == 404


def test_a_model_with_a_layer_missing_is_no_run(client: TestClient, send: Any) -> None:
    nodes = [files.onnx_node("Mish", ["x"], ["y"])]
    found = send(files.onnx_model(nodes, {}, (1, 1, 4, 4), "y"))
    assert found["network"] is None and found["layers"][0]["state"] == "missing"
    answer = client.post("/api/runs", json={"imported": found["id"], "start": False})
    assert answer.status_code == 422 and "Mish" in answer.json()["detail"]


def test_a_run_begins_where_another_stands(client: TestClient, train: Any) -> None:
    first = train(model="classroom", steps=4)
    edit = {"place": "conv1/w/0,0,1,1", "value": 0.5}
    second = train(**{"from": {"run": first["id"], "step": 3, "edits": [edit]}}, start=False)
    assert second["network"] == first["network"] and second["dataset"] == first["dataset"] and second["step"] == 0
    made = client.post(f"/api/runs/{second['id']}/passes", json={"dataset": "mnist", "index": 0}).json()
    values = client.get(f"/api/runs/{second['id']}/passes/{made['id']}/tensors/conv1/w").json()["values"]
    stood = client.get(f"/api/runs/{first['id']}/steps/3/tensors/conv1/w_next").json()["values"]
    stood[0][0][1][1] = 0.5
    assert values == stood
    for body, status in (
        ({"from": {"run": "nobody"}}, 404),
        ({"from": {"run": first["id"]}, "model": "tiny"}, 422),
        ({"from": {"run": first["id"], "edits": [{"place": "conv1/y/0,0,1,1", "by": 1}]}}, 422),
        ({"from": {"run": first["id"], "step": 99}}, 404),
    ):
        assert client.post("/api/runs", json=body).status_code == status, body
