"""Batch norm: its sentences, its running statistics as parameters that are not learned, and its place in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.formula import Tensors
from engine.network import Network
from engine.ops.base import Array, ShapeError, shapes_of
from engine.ops.batch_norm import BatchNorm
from engine.optimizers import OPTIMIZERS
from engine.timeline import timeline
from engine.trace import Place, Trace, explain
from engine.train import Trainer
from tests.engine.test_rounding import excess
from tests.engine.tools import difference, digits, disagreement, network

RNG = np.random.default_rng(5)
NORMED: dict[str, Any] = {
    "input": [1, 28, 28],
    "layers": [
        {"name": "conv", "op": "conv2d", "settings": {"out": 3, "kernel_size": 7, "stride": 3, "bias": False}},
        {"name": "bn1", "op": "batch_norm", "settings": {"momentum": 0.2}},
        {"name": "relu", "op": "relu"},
        {"name": "flatten", "op": "flatten"},
        {"name": "linear", "op": "linear", "settings": {"out": 10}},
        {"name": "bn2", "op": "batch_norm"},
    ],
}


def tensors_of(*shape: int, dtype: type = np.float64) -> dict[str, Array]:
    channels = shape[1]
    return {
        "x": RNG.normal(2, 3, size=shape).astype(dtype),
        "gamma": RNG.normal(size=channels).astype(dtype),
        "beta": RNG.normal(size=channels).astype(dtype),
        "running_mean": RNG.normal(size=channels).astype(dtype),
        "running_var": RNG.uniform(0.5, 2, size=channels).astype(dtype),
    }


def normed(**options: Any) -> Trainer:
    return Trainer(
        Network.from_document(NORMED), digits(), OPTIMIZERS["adam"](learning_rate=0.01), **{"batch_size": 8, **options}
    )


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    training=st.booleans(),
    momentum=st.floats(0, 1),
    eps=st.sampled_from([1e-5, 1e-3, 0.1]),
)
def test_kernels_agree_with_the_sentences_at_ranks_two_to_five(
    shape: list[int], training: bool, momentum: float, eps: float
) -> None:
    op = BatchNorm(training=training, momentum=momentum, eps=eps)
    assert disagreement(op, tensors_of(2, *shape), RNG) < 1e-12


def test_the_short_gradient_equals_the_derived_one() -> None:
    tensors = {**tensors_of(3, 2, 2, 2), "dy": RNG.normal(size=(3, 2, 2, 2))}
    op, shapes = BatchNorm(), shapes_of(tensors)
    for name in ("dx", "dgamma", "dbeta"):
        short, derived = (
            Tensors(
                op.program(shapes).gradients(["x", "gamma", "beta"], stated=each),
                tensors,
                op.numbers(shapes),
                op.extents(shapes),
            )[name]
            for each in (True, False)
        )
        assert difference(short, derived) < 1e-13, name


def test_the_running_variance_is_unbiased_and_a_biased_one_would_be_caught() -> None:
    op, tensors = BatchNorm(momentum=1.0), tensors_of(3, 2, 2, 2)
    found = op.forward(tensors)["running_var_next"]
    sentence = Tensors(op.program(shapes_of(tensors)), tensors, op.numbers({}), op.extents(shapes_of(tensors)))
    axes = (0, 2, 3)
    assert difference(found, tensors["x"].var(axes, ddof=1)) < 1e-14
    assert difference(found, sentence["running_var_next"]) < 1e-14
    assert difference(tensors["x"].var(axes), sentence["running_var_next"]) > 1e-3


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [1.0, 1e-6, 1e6])
def test_every_number_is_its_sentences_wherever_the_values_lie(training: bool, dtype: type, spread: float) -> None:
    tensors = tensors_of(3, 2, 2, dtype=dtype)
    tensors["x"] = (300 + spread * tensors["x"]).astype(dtype)
    assert excess(BatchNorm(training=training), tensors, RNG.normal(size=(3, 2, 2)).astype(dtype)) <= 1


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"x": (2,)}, "x has 1 axes"),
        ({"x": (1, 2, 1, 1, 1, 1)}, "expected two to five"),
        ({"x": (0, 2)}, "x is empty"),
        ({"gamma": (3,)}, r"gamma has shape \[3\], expected \[2\], one for each channel"),
        ({"x": (1, 2)}, "one value in each channel; a batch's variance needs at least two"),
    ],
)
def test_what_does_not_fit_is_refused(shapes: dict[str, tuple[int, ...]], words: str) -> None:
    tensors = tensors_of(2, 2, 1, 1) | {name: np.ones(shape) for name, shape in shapes.items()}
    with pytest.raises(ShapeError, match=words):
        BatchNorm().forward(tensors)


def test_running_statistics_are_parameters_but_not_counted_as_learned() -> None:
    net = Network.from_document(NORMED)
    assert [layer.parameters for layer in net.shapes()] == [147, 6, 0, 0, 1930, 20]
    assert set(net.parameter_shapes) - set(net.learned) == {
        f"{layer}/{name}" for layer in ("bn1", "bn2") for name in ("running_mean", "running_var")
    }
    first = net.initial(0)
    assert first["bn1/gamma"].tolist() == first["bn1/running_var"].tolist() == [1, 1, 1]


def test_a_step_moves_the_running_statistics_and_nothing_else_does() -> None:
    run = normed()
    images, target = run.dataset.splits["train"].batch(run.indices(1))
    y = run.trace(0)["conv", "y"].astype(np.float64)
    run.step_once()
    expected = 0.2 * y.mean((0, 2, 3))
    assert np.allclose(run.parameters["bn1/running_mean"], expected, rtol=1e-6, atol=1e-9)
    assert not any(name.startswith("bn1/running") for name in run.checkpoint().state.optimizer)
    inference = run.trace_of(images, target)
    assert np.array_equal(inference["bn1", "running_mean_next"], inference["bn1", "running_mean"])
    bare = (inference["conv", "y"] - run.parameters["bn1/running_mean"][:, None, None]) / np.sqrt(
        run.parameters["bn1/running_var"][:, None, None] + 1e-5
    )
    scaled = bare * run.parameters["bn1/gamma"][:, None, None] + run.parameters["bn1/beta"][:, None, None]
    assert np.allclose(inference["bn1", "y"], scaled, rtol=1e-5, atol=1e-6)


def test_every_step_is_had_again_with_its_running_statistics() -> None:
    run, tight = normed(), normed(history_bytes=1, trace_bytes=1)
    for _ in range(12):
        run.step_once()
        tight.step_once()
    for step in (1, 5, 12):
        ours, theirs = run.trace(step), tight.trace(step)
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours)
    assert np.array_equal(run.trace(6)["bn1", "running_var"], run.trace(5)["bn1", "running_var_next"])


def whole(trace: Trace, text: str) -> Any:
    return explain(trace, Place.parse(text), per_page=10**6)


def test_a_normalised_value_explains_itself_through_its_channels_mean_and_spread() -> None:
    run = normed()
    for _ in range(3):
        run.step_once()
    trace = run.trace(3)
    assert [read.tensor for read in whole(trace, "bn1/y/0,1,2,2").reads] == ["bn1/gamma", "bn1/xhat", "bn1/beta"]
    assert [read.tensor for read in whole(trace, "bn1/xhat/0,1,2,2").reads] == ["conv/y", "bn1/mean", "bn1/std"]
    assert [read.tensor for read in whole(trace, "bn1/std/1").reads] == ["bn1/var"]
    assert len(whole(trace, "bn1/mean/1").terms) == 8 * 8 * 8
    assert len(whole(trace, "bn1/dx/0,1,2,2").terms) == 3
    assert [read.tensor for read in whole(trace, "bn1/running_var_next/1").reads] == ["bn1/running_var", "bn1/unbiased"]
    assert [read.tensor for read in whole(trace, "bn1/running_mean/1").reads] == ["bn1/running_mean_next@2"]
    assert whole(run.trace(1), "bn1/running_var/1").sentence == "running_var: starts at one"
    for layer in ("bn1", "bn2"):
        for tensor in trace.tensors(layer):
            index = tuple(size // 2 for size in trace[layer, tensor].shape)
            found = explain(trace, Place(layer, tensor, index), per_page=10**6)
            size = sum(abs(term.value) for term in found.terms)
            assert abs(found.remainder) <= 1e-5 * size + 1e-30, (layer, tensor)


def test_the_score_ends_with_the_running_statistics_among_the_updates() -> None:
    found = timeline(Network.from_document(NORMED), 4, OPTIMIZERS["sgd"](learning_rate=0.1), training=True)
    phases = {phase.place: phase for phase in found.phases}
    assert [name for name, _ in phases["bn1/y"].steps] == ["mean", "var", "std", "xhat"]
    assert [place for place in phases if place.startswith("bn1/") and phases[place].part == "update"] == [
        "bn1/gamma_next",
        "bn1/beta_next",
        "bn1/running_mean_next",
        "bn1/running_var_next",
    ]
    assert phases["bn1/running_mean_next"].kind == "weight" and phases["bn1/running_mean_next"].label == "update"
    assert found.tensors["bn1/running_var_next"].title == "running variance of bn1 after the update"


def test_parameters_may_come_under_pytorchs_names() -> None:
    net = Network.from_document(NORMED)
    own = net.initial(1)
    names = {"w": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}
    theirs: dict[str, Any] = {}
    for name, array in own.items():
        layer, tensor = name.split("/")
        theirs[f"{layer}.{names.get(tensor, tensor)}"] = array + 1
    theirs |= {"bn1.num_batches_tracked": 7, "bn2.num_batches_tracked": 7}
    found = net.parameters_from(theirs)
    assert all(np.array_equal(found[name], own[name] + 1) for name in own)


def test_minibatches_that_hold_one_value_are_refused_before_training() -> None:
    with pytest.raises(ShapeError, match=r"bn2: minibatch of 1: x \[1, 10\] has one value in each channel"):
        normed(batch_size=95)
    assert normed(batch_size=94).step_once().loss > 0


def test_a_network_at_rest_takes_one_image_through_any_batch_norm() -> None:
    net = network({"op": "flatten"}, {"op": "batch_norm"}, {"op": "linear", "out": 2})
    values = net.forward(net.initial(0, np.float64), np.ones((1, 1, 6, 6)))
    assert values["batch_norm2", "y"].shape == (1, 36)
