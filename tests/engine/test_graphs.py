"""Residual, inception and dense graphs: against PyTorch 2.13 (tests/fixtures/torch_graphs.py), against central
differences, explained, and what their values see of the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.layers import NetworkError
from engine.network import Network
from engine.ops.base import Array
from engine.receptive_field import ReceptiveField
from engine.timeline import timeline
from engine.trace import Place, Trace, explain
from engine.train import draws
from tests.engine.graphs import GRAPHS
from tests.engine.test_gradients import slopes
from tests.engine.test_timeline import agrees
from tests.engine.test_trace import holds, places_of, whole
from tests.engine.tools import network

REFERENCE = dict(np.load(Path(__file__).parents[1] / "fixtures" / "torch_graphs.npz"))


def part(prefix: str) -> dict[str, Array]:
    return {key.removeprefix(prefix): value for key, value in REFERENCE.items() if key.startswith(prefix)}


def pass_of(net: Network, parameters: dict[str, Array], x: Array, target: Array, training: bool) -> Trace:
    values = net.forward(parameters, x, target, draws(net, 0, 1) if training else None)
    net.backward(parameters, values, training)
    return Trace(net, values, parameters, training=training)


@pytest.mark.parametrize("name", sorted(GRAPHS))
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_loss_and_every_gradient_are_those_of_pytorch(name: str, mode: str) -> None:
    net = Network.from_document(GRAPHS[name])
    parameters = net.parameters_from(part(f"{name}/state/"), np.float64)
    trace = pass_of(net, parameters, REFERENCE[f"{name}/x"], REFERENCE[f"{name}/target"], mode == "train")
    known = part(f"{name}/{mode}/")
    np.testing.assert_allclose(trace["loss", "y"], known["loss"], rtol=1e-12)
    np.testing.assert_allclose(trace["input", "dy"], known["dx"], rtol=1e-9, atol=1e-12)
    assert {net.own_name(key.removeprefix("d/")) for key in known if key.startswith("d/")} == set(net.learned)
    for key, value in known.items():
        if key.startswith("d/"):
            layer, tensor = str(net.own_name(key.removeprefix("d/"))).split("/")
            np.testing.assert_allclose(trace[layer, f"d{tensor}"], value, rtol=1e-9, atol=1e-12, err_msg=key)
    for key, value in part(f"{name}/next/").items() if mode == "train" else ():
        layer, tensor = str(net.own_name(key)).split("/")
        np.testing.assert_allclose(trace[layer, f"{tensor}_next"], value, rtol=1e-12, err_msg=key)


def test_a_wrong_fan_in_would_be_caught() -> None:
    """The image's gradient from one branch alone is far from the sum of all."""
    name = "residual"
    net = Network.from_document(GRAPHS[name])
    trace = pass_of(
        net,
        net.parameters_from(part(f"{name}/state/"), np.float64),
        REFERENCE[f"{name}/x"],
        REFERENCE[f"{name}/target"],
        True,
    )
    both = trace["first", "dy"]
    assert np.array_equal(both, trace["conv2", "dx"] + trace["shortcut", "dx"])
    assert np.abs(both - trace["conv2", "dx"]).max() > 1e-2


@pytest.mark.parametrize("name", sorted(GRAPHS))
@pytest.mark.parametrize("training", [True, False])
def test_every_tensor_of_a_graph_explains_itself_and_is_in_its_score(name: str, training: bool) -> None:
    net = Network.from_document(GRAPHS[name])
    trace = pass_of(
        net,
        net.parameters_from(part(f"{name}/state/"), np.float64),
        REFERENCE[f"{name}/x"],
        REFERENCE[f"{name}/target"],
        training,
    )
    for layer in ("input", "target", *net.layers, "loss"):
        for place in places_of(trace, layer):
            assert holds(trace, place, whole(trace, place)), place
    found = timeline(net, 3, training=training)
    for phase in found.phases:
        agrees(trace, phase)
    for tensor, info in found.tensors.items():
        layer, own = tensor.split("/")
        assert trace[layer, own].shape == info.shape
        assert (trace.sample(layer, own, 1).shape != info.shape) == (not info.whole and info.shape != ()), tensor


def test_the_delta_of_a_shared_value_is_the_sum_of_what_its_readers_send_back() -> None:
    net = Network.from_document(GRAPHS["inception"])
    trace = pass_of(net, net.initial(0, np.float64), REFERENCE["inception/x"], REFERENCE["inception/target"], False)
    found = explain(trace, Place("gate", "dy", (1, 2, 3, 4)))
    assert [read.tensor for read in found.reads] == ["one/dx", "three_a/dx", "pool/dx"]
    sent = [trace[layer, "dx"][1, 2, 3, 4] for layer in ("one", "three_a", "pool")]
    assert [term.value for term in found.terms] == sent


def test_an_element_of_a_concatenation_reads_the_one_branch_it_came_from() -> None:
    net = Network.from_document(GRAPHS["inception"])
    trace = pass_of(net, net.initial(0, np.float64), REFERENCE["inception/x"], REFERENCE["inception/target"], False)
    for channel, place in ((1, ("one/y", 1)), (2, ("three_b/y", 0)), (6, ("pooled/y", 1))):
        inside = [read for read in explain(trace, Place("join", "y", (0, channel, 2, 3))).reads if read.inside]
        assert [(read.tensor, read.index[1]) for read in inside] == [place]


# graphs that nobody thought of


def random_graph(rng: np.random.Generator) -> Network:
    """Layers that each read one or several earlier ones of the same plane, joined in the end."""
    planes = {"input": 2}
    layers: list[dict[str, Any]] = []
    used: set[str] = set()

    def add(op: str, channels: int, *inputs: str, **options: Any) -> None:
        name = f"{op}{len(layers)}"
        layers.append({"op": op, "name": name, "inputs": list(inputs), **options})
        used.update(inputs)
        planes[name] = channels

    def one() -> str:
        return str(rng.choice(list(planes)))

    for _ in range(int(rng.integers(3, 8))):
        source, kind = one(), rng.choice(["conv2d", "tanh", "batch_norm", "add", "concat"])
        if kind == "conv2d":
            out = int(rng.integers(1, 4))
            add("conv2d", out, source, out=out, kernel_size=3, padding=1)
        elif kind == "add":
            fitting = [name for name, channels in planes.items() if channels in (1, planes[source])]
            add("add", planes[source], source, str(rng.choice(fitting)))
        elif kind == "concat":
            inputs = [one() for _ in range(int(rng.integers(1, 4)))]
            add("concat", sum(planes[name] for name in inputs), *inputs)
        else:
            add(str(kind), planes[source], source)
    add("concat", 0, *[name for name in planes if name != "input" and name not in used])
    return network(*layers, {"op": "flatten"}, {"op": "linear", "out": 3}, input=(2, 4, 5))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), training=st.booleans())
def test_gradients_of_any_graph_equal_central_differences(seed: int, training: bool) -> None:
    rng = np.random.default_rng(seed)
    net = random_graph(rng)
    x, target = rng.normal(size=(2, *net.input_shape)), np.array([1, 2])
    compared = slopes(net, net.initial(seed, np.float64), x, target, rng, training)
    assert len(compared) > len(net.learned) / 2
    for name, analytic, numeric in compared:
        assert abs(analytic - numeric) <= 1e-6 * max(1, abs(numeric)), (name, net.document())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_receptive_field_holds_all_that_a_value_depends_on(seed: int) -> None:
    net = random_graph(np.random.default_rng(seed))
    parameters = {name: np.abs(w) + 0.1 for name, w in net.initial(seed, np.float64).items()}
    still = net.forward(parameters, np.zeros((1, *net.input_shape)))
    for cell in ((0, 0), (2, 3)):
        x = np.zeros((1, *net.input_shape))
        x[0, :, *cell] = 1
        moved = net.forward(parameters, x)
        for name, field in net.receptive_fields.items():
            if name == "input" or len(net.layers[name].shape) != 3:
                continue
            for place in np.argwhere(np.any(moved[name, "y"] != still[name, "y"], axis=(0, 1))):
                for at, k, size, stride, start in zip(cell, place, field.size, field.stride, field.start, strict=True):
                    assert start + k * stride <= at < start + k * stride + size, (name, net.document())


def test_receptive_fields_of_branches_are_their_union() -> None:
    fields = Network.from_document(GRAPHS["inception"]).receptive_fields
    assert fields["one"] == ReceptiveField((3, 3), (1, 1), (-1, -1))
    assert fields["join"] == fields["three_b"] == ReceptiveField((5, 5), (1, 1), (-2, -2))
    residual = Network.from_document(GRAPHS["residual"]).receptive_fields
    assert residual["sum"] == residual["conv2"] == ReceptiveField((5, 5), (2, 2), (-2, -2))
    assert residual["pool"] == ReceptiveField((9, 9), (0, 0), (-2, -2))


def test_a_transposed_convolution_brings_neighbours_fields_closer_together() -> None:
    fields = network(
        {"op": "conv2d", "name": "down", "out": 2, "kernel_size": 2, "stride": 2},
        {"op": "conv_transpose2d", "name": "up", "out": 2, "kernel_size": 3, "stride": 2, "padding": 1},
        {"op": "flatten"},
        input=(1, 8, 8),
    ).receptive_fields
    assert fields["down"] == ReceptiveField((2, 2), (2, 2), (0, 0))
    assert fields["up"] == ReceptiveField((4, 4), (1, 1), (0, 0))


def test_upsampling_does_too_and_a_window_after_it_sees_fewer_cells_of_the_input() -> None:
    net = network(
        {"op": "conv2d", "name": "conv", "out": 2, "kernel_size": 3},
        {"op": "upsample2d", "name": "up", "scale": [2, 10]},
        {"op": "conv2d", "name": "wide", "out": 1, "kernel_size": [3, 4], "dilation": [2, 10]},
        {"op": "flatten"},
        input=(1, 8, 6),
        loss="mse_loss",
    )
    fields = net.receptive_fields
    assert fields["up"] == ReceptiveField((3, 3), (0.5, 0.1), (0, 0))
    assert fields["wide"] == ReceptiveField((5, 6), (0.5, 0.1), (0, 0))
    parameters = {name: np.ones_like(w) for name, w in net.initial(0, np.float64).items()}
    images = np.eye(48).reshape(48, 1, 8, 6)
    seen = net.forward(parameters, images)["wide", "y"] != net.forward(parameters, 0 * images)["wide", "y"]
    first = seen[:, 0, 0, 0].reshape(8, 6)
    assert np.argwhere(first.any(1)).ravel().tolist() == [0, 1, 2, 3, 4]
    assert np.argwhere(first.any(0)).ravel().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (
            [{"op": "flatten"}, {"op": "linear", "name": "f", "out": 6}, {"op": "add", "inputs": ["f", "input"]}],
            "expected as many axes",
        ),
        (
            [{"op": "conv2d", "name": "c", "out": 3, "kernel_size": 3}, {"op": "add", "inputs": ["c", "input"]}],
            r"\[1, 3, 4, 4\] and \[1, 2, 6, 6\] cannot be added: 4 and 6 are neither equal nor 1",
        ),
        (
            [{"op": "max_pool2d", "name": "p", "kernel_size": 2}, {"op": "concat", "inputs": ["p", "input"]}],
            r"b is \[1, 2, 6, 6\], a is \[1, 2, 3, 3\]: they may differ along axis 1 only",
        ),
        ([{"op": "concat", "axis": 0, "inputs": ["input", "input"]}], "axis 0 numbers the images"),
        ([{"op": "concat", "inputs": []}], "expected one to 23 names of layers, got 0"),
        ([{"op": "add", "inputs": ["input"]}], "expected 2 names of layers, got 1"),
    ],
)
def test_layers_that_cannot_be_joined_are_refused_with_the_reason(layers: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(NetworkError, match=words):
        network(*layers, input=(2, 6, 6), loss="mse_loss")
