"""Network documents, shapes, refusals and parameters."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from engine.data import from_arrays
from engine.layers import NetworkError
from engine.models import MODELS
from engine.network import Network
from engine.ops.base import ShapeError
from engine.receptive_field import ReceptiveField
from engine.train import Trainer, optimizer_from
from tests.engine.tools import network

CLASSROOM = Network.from_document(MODELS["classroom"].document)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_document_with_every_setting_written_out_makes_the_same_network(name: str) -> None:
    document = Network.from_document(MODELS[name].document).document()
    again = Network.from_document(document)
    assert again.document() == document
    assert again.shapes() == Network.from_document(MODELS[name].document).shapes()


def test_classroom_has_the_shapes_parameters_and_work_that_follow_from_its_settings() -> None:
    found = {layer.name: (layer.shape, layer.parameters, layer.multiply_adds) for layer in CLASSROOM.shapes()}
    assert found["conv1"] == ((8, 26, 26), 80, 8 * 26 * 26 * 9)
    assert found["pool1"] == ((8, 13, 13), 0, 0)
    assert found["conv2"] == ((16, 11, 11), 16 * 72 + 16, 16 * 11 * 11 * 72)
    assert found["pool2"][0] == (16, 5, 5)
    assert found["linear"] == ((10,), 4010, 4000)


def test_receptive_fields_grow_with_depth() -> None:
    fields = {layer.name: layer.receptive_field for layer in CLASSROOM.shapes()}
    assert fields["conv1"] == ReceptiveField((3, 3), (1, 1), (0, 0))
    assert fields["pool1"] == ReceptiveField((4, 4), (2, 2), (0, 0))
    assert fields["conv2"] == ReceptiveField((8, 8), (2, 2), (0, 0))
    assert fields["pool2"] == ReceptiveField((10, 10), (4, 4), (0, 0))
    assert fields["linear"] == ReceptiveField((28, 28), (0, 0), (0, 0))
    padded = network(
        {
            "op": "conv2d",
            "out": 1,
            "kernel_size": [3, 2],
            "stride": [1, 2],
            "padding": [1, 0, 2, 0],
            "dilation": [2, 1],
        },
        {"op": "flatten"},
    ).shapes()[0]
    assert padded.receptive_field == ReceptiveField((5, 2), (1, 2), (-1, -2))


def test_a_receptive_field_is_what_a_value_depends_on() -> None:
    net = network(
        {"op": "conv2d", "out": 1, "kernel_size": 2, "stride": 2, "padding": 1},
        {"op": "avg_pool2d", "kernel_size": 2, "stride": 1},
        {"op": "flatten"},
        input=(1, 8, 8),
        loss={"op": "mse_loss"},
    )
    field = net.receptive_fields["avg_pool2d2"]
    parameters = {name: np.ones_like(w) for name, w in net.initial(0, np.float64).items()}
    still = net.forward(parameters, np.zeros((1, 1, 8, 8)))["avg_pool2d2", "y"]
    seen = []
    for cell in np.ndindex(8, 8):
        x = np.zeros((1, 1, 8, 8))
        x[0, 0][cell] = 1
        if net.forward(parameters, x)["avg_pool2d2", "y"][0, 0, 1, 2] != still[0, 0, 1, 2]:
            seen.append(cell)
    rows, columns = ([cell[axis] for cell in seen] for axis in (0, 1))
    first = [start + place * step for start, place, step in zip(field.start, (1, 2), field.stride, strict=True)]
    assert [min(rows), min(columns)] == first
    assert (max(rows) - min(rows) + 1, max(columns) - min(columns) + 1) == field.size


DOCUMENT: dict[str, Any] = {
    "input": [1, 7, 7],
    "layers": [
        {"name": "conv1", "op": "conv2d", "settings": {"out": 2, "kernel_size": 3}},
        {"name": "flat", "op": "flatten"},
        {"name": "out", "op": "linear", "settings": {"out": 3}},
    ],
}


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    document: Any = deepcopy(DOCUMENT)
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return document  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("path", "value", "loc", "words"),
    [
        (["input"], [0, 7, 7], ["input"], "whole numbers of at least 1"),
        (["input"], [1, 7], ["input"], r"\[channels, height, width\]"),
        (["input"], [True, 7, 7], ["input"], "whole numbers"),
        (["layers"], [], ["layers"], "at least one layer"),
        (["layers", 0, "op"], "conv3d", ["layers", 0, "op"], "there is no op 'conv3d'; known: add, avg_pool2d"),
        (["layers", 0, "op"], ["conv2d"], ["layers", 0, "op"], "there is no op"),
        (["layers", 0, "op"], "cross_entropy", ["layers", 0, "op"], "there is no op 'cross_entropy'"),
        (["layers", 0, "name"], "input", ["layers", 0, "name"], "other than input"),
        (["layers", 0, "name"], "a/b", ["layers", 0, "name"], "letters, digits"),
        (["layers", 0, "name"], ".conv", ["layers", 0, "name"], "dots within"),
        (["layers", 0, "name"], "conv.", ["layers", 0, "name"], "dots within"),
        (["layers", 0, "name"], "a..b", ["layers", 0, "name"], "dots within"),
        (["layers", 0, "name"], "a" * 65, ["layers", 0, "name"], "at most 64 long"),
        (["layers", 1, "name"], "conv1", ["layers", 1, "name"], "conv1 stands twice"),
        (["layers", 0, "colour"], 1, ["layers", 0, "colour"], "no such field"),
        (["layers", 0, "settings"], {"out": 2}, ["layers", 0, "settings", "kernel_size"], "this setting is needed"),
        (["layers", 0, "settings", "stride"], 0, ["layers", 0, "settings", "stride"], "from 1 to 4096"),
        (["layers", 0, "settings", "stride"], True, ["layers", 0, "settings", "stride"], "got true"),
        (["layers", 0, "settings", "strides"], 1, ["layers", 0, "settings", "strides"], "no such setting; known: out"),
        (["layers", 0, "settings", "kernel_size"], 9, ["layers", 0], r"conv1: .*\(7 - 9\) / 1 \+ 1 = -1"),
        (["layers", 0, "settings", "stride"], 3, ["layers", 0], r"conv1: .*\(7 - 3\) / 3 \+ 1 = 2\.33"),
        (["layers", 0, "settings", "groups"], 2, ["layers", 0], "1 channels, which cannot be split into 2 groups"),
        (["layers", 1, "inputs"], ["out"], ["layers", 1, "inputs", 0], "no layer 'out' before it"),
        (["layers", 1, "inputs"], ["conv1", "conv1"], ["layers", 1, "inputs"], "expected 1 names"),
        (["layers", 1, "inputs"], ["input"], ["layers", 0], "conv1: nothing reads this layer"),
        (["layers", 1], {"name": "flat", "op": "relu"}, ["layers", 2], "out: x has 4 axes"),
        (["loss"], "relu", ["loss", "op"], "there is no loss 'relu'; known: bce_with_logits, cross_entropy"),
        (
            ["loss"],
            {"op": "mse_loss", "settings": {"reduction": "max"}},
            ["loss", "settings", "reduction"],
            "one of mean",
        ),
        (["loss"], 3, ["loss"], "expected an object"),
        (["colour"], 1, ["colour"], "no such field"),
    ],
)
def test_a_document_that_is_no_network_is_refused_with_its_place(
    path: list[Any], value: Any, loc: list[Any], words: str
) -> None:
    with pytest.raises(NetworkError, match=words) as caught:
        Network.from_document(changed(path, value))
    assert caught.value.loc == loc


@pytest.mark.parametrize("op", ["conv2d", "max_pool2d", "avg_pool2d", "lp_pool2d"])
def test_a_window_larger_than_what_it_lies_in_is_refused_with_the_arithmetic(op: str) -> None:
    layer = {"op": op, "kernel_size": [2, 9], "stride": 2, **({"out": 1} if op == "conv2d" else {})}
    with pytest.raises(NetworkError, match=r"larger than the padded input: \(7 - 9\) / 2 \+ 1 = 0"):
        network(layer, {"op": "flatten"}, input=(1, 7, 7))


def test_a_pool_cuts_what_does_not_fit_as_in_pytorch() -> None:
    assert network({"op": "max_pool2d", "kernel_size": 2}, {"op": "flatten"}, input=(1, 11, 11)).shapes()[0].shape == (
        1,
        5,
        5,
    )


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({"kernel_size": 3, "stride": 2, "padding": 1}, 14),
        ({"kernel_size": 7, "stride": 2, "padding": 3}, 14),
        ({"kernel_size": 1, "stride": 2}, 14),
        ({"kernel_size": 11, "stride": 4, "padding": 2}, 6),
    ],
)
def test_padding_that_is_left_over_fits_and_so_does_a_gap_as_between_two_windows(
    settings: dict[str, int], rows: int
) -> None:
    layer = {"op": "conv2d", "out": 1, **settings}
    assert network(layer, {"op": "flatten"}, input=(1, 28, 28)).shapes()[0].shape == (1, rows, rows)


def test_same_padding_always_fits() -> None:
    layer = {"op": "conv2d", "out": 1, "kernel_size": 3, "stride": 2, "padding": "same"}
    assert network(layer, {"op": "flatten"}, input=(1, 6, 7)).shapes()[0].shape == (1, 3, 4)


def test_parameters_are_drawn_as_pytorch_does_within_one_over_the_root_of_fan_in() -> None:
    drawn = CLASSROOM.initial(7)
    assert drawn.keys() == CLASSROOM.parameter_shapes.keys()
    for name, fan_in in (("conv1", 9), ("conv2", 72), ("linear", 400)):
        for tensor in ("w", "b"):
            values = drawn[f"{name}/{tensor}"]
            assert values.dtype == np.float32
            assert 0.5 / np.sqrt(fan_in) < np.abs(values).max() <= 1 / np.sqrt(fan_in) + 1e-7
    assert all(np.array_equal(drawn[name], CLASSROOM.initial(7)[name]) for name in drawn)
    assert not np.array_equal(drawn["conv1/w"], CLASSROOM.initial(8)["conv1/w"])


def test_parameters_may_come_under_pytorchs_names() -> None:
    own = CLASSROOM.initial(1)
    theirs = {name.replace("/w", ".weight").replace("/b", ".bias"): w.tolist() for name, w in own.items()}
    found = CLASSROOM.parameters_from(theirs)
    assert all(np.array_equal(found[name], own[name]) for name in own)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conv9/w": [1.0]}, "there is no parameter"),
        ({"conv1.gamma": [1.0]}, "there is no parameter"),
        ({"conv1/b": [1.0]}, r"conv1/b has shape \[1\], expected \[8\]"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(NetworkError, match=words):
        CLASSROOM.parameters_from({**CLASSROOM.initial(1), **change})
    with pytest.raises(NetworkError, match="conv1/w is missing"):
        CLASSROOM.parameters_from({})


@pytest.mark.parametrize(
    ("x", "target", "words"),
    [
        (np.zeros((2, 1, 28, 27)), np.zeros(2, int), r"input has shape \[2, 1, 28, 27\], expected \[N, 1, 28, 28\]"),
        (np.zeros((0, 1, 28, 28)), np.zeros(0, int), "expected"),
        (np.zeros((2, 1, 28, 28)), np.zeros(3, int), r"loss: target has shape \[3\]"),
        (np.zeros((2, 1, 28, 28)), np.array([0, 10]), "target 10 at 1 is no class: expected 0 to 9"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(x: Any, target: Any, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        CLASSROOM.forward(CLASSROOM.initial(1, np.float64), x, target)


def test_float64_stays_float64_through_a_network() -> None:
    parameters = CLASSROOM.initial(1, np.float64)
    values = CLASSROOM.forward(parameters, np.random.default_rng(0).random((2, 1, 28, 28)), np.array([1, 2]))
    CLASSROOM.backward(parameters, values, training=False)
    kinds = {tensor: array.dtype for (layer, tensor), array in values.items() if layer != "target"}
    assert set(kinds.values()) == {np.dtype(np.float64), np.dtype(np.int32)}


def test_dropout_is_random_while_learning_and_does_nothing_at_rest() -> None:
    net = network({"op": "flatten"}, {"op": "dropout", "name": "drop", "p": 0.5}, {"op": "linear", "out": 2})
    x, parameters = np.ones((4, 1, 6, 6)), net.initial(0, np.float64)
    rest = net.forward(parameters, x)
    assert np.array_equal(rest["drop", "y"], rest["flatten1", "y"])
    training = net.forward(parameters, x, draws=lambda layer: np.random.default_rng(0))
    assert set(np.unique(training["drop", "y"])) == {0.0, 2.0}
    assert 0.3 < training["drop", "mask"].mean() < 0.7


def test_leaving_out_the_images_gradient_changes_no_other() -> None:
    parameters = CLASSROOM.initial(2)
    values = CLASSROOM.forward(
        parameters, np.random.default_rng(1).random((3, 1, 28, 28)).astype(np.float32), np.array([1, 2, 3])
    )
    short, full = dict(values), dict(values)
    CLASSROOM.backward(parameters, short, training=False, input_gradient=False)
    CLASSROOM.backward(parameters, full, training=False)
    assert full.keys() - short.keys() == {("conv1", "dx")}
    CLASSROOM.image_gradient(parameters, short, training=False)
    assert full.keys() == short.keys() and all(np.array_equal(short[key], full[key]) for key in full)


def test_a_convolution_that_rounds_down_leaves_the_last_cells_unread_on_every_path() -> None:
    """Conv 3 with stride 2 on 28 rows: 13 windows, the last row is read by none; refused unless it says so."""
    layer: dict[str, Any] = {"op": "conv2d", "name": "conv", "out": 3, "kernel_size": 3, "stride": 2}
    rest: list[dict[str, Any]] = [{"op": "relu"}, {"op": "flatten"}, {"op": "linear", "out": 10}]
    with pytest.raises(NetworkError, match=r'\(28 - 3\) / 2 \+ 1 = 13\.50; "rounding": "floor"'):
        network(layer, *rest, input=(1, 28, 28))
    net = network({**layer, "rounding": "floor"}, *rest, input=(1, 28, 28))
    assert net.layers["conv"].shape == (3, 13, 13)
    made = Network.from_document(net.document())
    assert made.layers["conv"].op.options["rounding"] == "floor"
    rng = np.random.default_rng(0)
    x, target = rng.random((20, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, 20)
    run = Trainer(net, from_arrays(x, target), optimizer_from({"name": "sgd", "learning_rate": 0.1}), batch_size=20)
    before = dict(run.parameters)
    run.step_once()
    values = net.forward(before, x, target)
    net.backward(before, values, training=False)
    assert not values["conv", "dx"][:, :, 27].any() and values["conv", "dx"][:, :, 26].any()
    for name in net.learned:
        layer_name, tensor = name.split("/")
        moved = before[name] - np.float32(0.1) * values[layer_name, f"d{tensor}"]
        assert np.abs(run.parameters[name] - moved).max() < 1e-5, name
