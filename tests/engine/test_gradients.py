"""Gradients of whole networks against central differences, in float64, along random directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.layers import NetworkError
from engine.network import Network, Values
from engine.ops.base import Array
from engine.train import draws
from tests.engine.tools import network

STEP = 1e-5


def decisions(values: Values) -> list[Array]:
    """Which way every gate and every maximum went: where they change, there is a kink."""
    return [
        value > 0 if tensor == "y" else value for (_, tensor), value in values.items() if tensor in ("y", "indices")
    ]


def slopes(
    net: Network,
    parameters: dict[str, Array],
    x: Array,
    target: Array,
    rng: np.random.Generator,
    training: bool = False,
) -> list[tuple[str, float, float]]:
    """(tensor, slope by its gradient, slope by central difference) along one random direction for each tensor."""
    drawing = draws(net, 0, 1) if training else None
    values = net.forward(parameters, x, target, drawing)
    net.backward(parameters, values, training)
    image = values[net.resolve("input", "dy")]
    found = []
    for name in [*net.learned, "x"]:
        at = x if name == "x" else parameters[name]
        layer, _, tensor = name.partition("/")
        gradient = image if name == "x" else values[layer, f"d{tensor}"]
        direction = rng.normal(size=at.shape)
        direction /= np.linalg.norm(direction)
        sides = []
        for sign in (1, -1):
            moved = at + sign * STEP * direction
            given = (parameters, moved) if name == "x" else ({**parameters, name: moved}, x)
            passed = net.forward(given[0], given[1], target, drawing)
            if not all(np.array_equal(a, b) for a, b in zip(decisions(passed), decisions(values), strict=True)):
                break
            sides.append(float(passed["loss", "y"]))
        if len(sides) == 2:
            found.append((name, float(np.sum(gradient * direction)), (sides[0] - sides[1]) / (2 * STEP)))
    return found


def random_network(rng: np.random.Generator) -> Network:
    """A small chain: convolutions of random geometry, activations, perhaps a pool, a linear layer, a random loss."""

    def one(*options: Any) -> Any:
        return options[int(rng.integers(len(options)))]

    while True:
        layers: list[dict[str, Any]] = []
        for _ in range(int(rng.integers(1, 3))):
            layers.append(
                {
                    "op": "conv2d",
                    "out": 2,
                    "kernel_size": [one(1, 2, 3), one(2, 3)],
                    "stride": [one(1, 2), 1],
                    "padding": one(0, 1, [1, 0, 2, 1], "same", "full"),
                    "dilation": one(1, 1, 2),
                    "flip_kernel": one(True, False),
                    "bias": one(True, False),
                }
            )
            layers.append(
                {"op": one("relu", "sigmoid", "tanh", "leaky_relu", "dropout", "elu", "gelu", "silu", "softplus")}
            )
            if rng.random() < 0.3:
                layers.append(
                    {
                        "op": "conv_transpose2d",
                        "out": 2,
                        "kernel_size": one(2, 3),
                        "stride": [one(1, 2), 2],
                        "padding": one(0, 1, [1, 0, 0, 1], "same"),
                        "groups": one(1, 2),
                    }
                )
            if rng.random() < 0.5:
                layers.append(
                    {"op": one("max_pool2d", "avg_pool2d"), "kernel_size": 2, "stride": one(1, 2), "padding": one(0, 1)}
                )
            elif rng.random() < 0.5:
                layers.append({"op": "lp_pool2d", "kernel_size": 2, "stride": one(1, 2), "norm_type": one(2, 3)})
        if rng.random() < 0.2:
            layers.append({"op": one("global_max_pool", "global_avg_pool")})
        layers += [{"op": "flatten"}, {"op": "linear", "out": 3}]
        if rng.random() < 0.3:
            layers.append({"op": one("softmax", "log_softmax")})
        loss = one(
            "cross_entropy",
            {"op": "cross_entropy", "settings": {"label_smoothing": 0.1, "reduction": "sum"}},
            {"op": "mse_loss", "settings": {"reduction": one("mean", "sum", "half_sum")}},
            "bce_with_logits",
        )
        try:
            return network(*layers, input=(2, 6, 7), loss=loss)
        except NetworkError:
            continue


@pytest.mark.parametrize("seed", range(40))
def test_gradients_of_random_networks_equal_central_differences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = random_network(rng)
    x = rng.normal(size=(2, *net.input_shape))
    target = rng.integers(0, 3, 2) if net.loss.op.name == "cross_entropy" else rng.normal(size=(2, 3))
    parameters = net.initial(seed, np.float64)
    compared = slopes(net, parameters, x, target, rng)
    assert len(compared) > len(parameters) / 2
    for name, analytic, numeric in compared:
        assert abs(analytic - numeric) <= 1e-6 * max(1, abs(numeric)), (name, analytic, numeric, net.document())


def test_a_gradient_that_is_a_millionth_off_would_be_caught() -> None:
    rng = np.random.default_rng(0)
    net = network({"op": "conv2d", "out": 2, "kernel_size": 3}, {"op": "flatten"}, {"op": "linear", "out": 3})
    x, target = rng.normal(size=(2, 1, 6, 6)), np.array([0, 2])
    for _, analytic, numeric in slopes(net, net.initial(0, np.float64), x, target, rng):
        assert abs((analytic + 3e-6) - numeric) > 1e-6 * max(1, abs(numeric))


def test_a_value_that_several_layers_read_gets_the_sum_of_what_they_send_back() -> None:
    """The image goes into two convolutions, and the first one's result into a gate and past it."""
    rng = np.random.default_rng(3)
    net = network(
        {"op": "conv2d", "name": "left", "out": 2, "kernel_size": 3, "inputs": ["input"]},
        {"op": "conv2d", "name": "right", "out": 2, "kernel_size": 3, "inputs": ["input"]},
        {"op": "tanh", "name": "gate", "inputs": ["left"]},
        {"op": "add", "name": "first", "inputs": ["gate", "left"]},
        {"op": "add", "name": "second", "inputs": ["first", "right"]},
        {"op": "flatten"},
        {"op": "linear", "out": 3},
    )
    compared = slopes(net, net.initial(1, np.float64), rng.normal(size=(2, 1, 6, 6)), np.array([1, 0]), rng)
    assert {name for name, _, _ in compared} >= {"left/w", "right/w", "x"}
    for name, analytic, numeric in compared:
        assert abs(analytic - numeric) <= 1e-6 * max(1, abs(numeric)), name
