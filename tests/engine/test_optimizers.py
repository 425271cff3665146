"""An update is what its sentence says."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import pytest

from engine.formula import Tensors
from engine.ops.base import Array
from engine.optimizers import OPTIMIZERS, Optimizer
from tests.engine.tools import difference

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {"learning_rate": 0.1}),
    ("sgd", {"learning_rate": 0.1, "weight_decay": 0.2}),
    ("momentum", {"learning_rate": 0.1}),
    ("momentum", {"learning_rate": 0.1, "momentum": 0.5, "dampening": 0.3}),
    ("momentum", {"learning_rate": 0.1, "weight_decay": 0.2}),
    ("nesterov", {"learning_rate": 0.1}),
    ("nesterov", {"learning_rate": 0.1, "momentum": 0.5, "weight_decay": 0.2}),
    ("adam", {"learning_rate": 0.1}),
    ("adam", {"learning_rate": 0.1, "betas": [0.5, 0.7], "weight_decay": 0.2}),
    ("adamw", {"learning_rate": 0.1}),
    ("adamw", {"learning_rate": 0.1, "weight_decay": 0.0}),
    ("rmsprop", {"learning_rate": 0.1}),
    ("rmsprop", {"centered": True, "momentum": 0.9, "weight_decay": 0.2}),
    ("rmsprop", {"centered": True, "alpha": 0.5}),
    ("rmsprop", {"momentum": 0.5}),
    ("adagrad", {}),
    ("adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.3, "weight_decay": 0.2}),
]


def steps(optimizer: Optimizer, shape: tuple[int, ...], told: Optimizer | None = None) -> float:
    """The largest difference over four updates between the kernels and the sentences of `told`."""
    rng = np.random.default_rng(4)
    w: Array = rng.normal(size=shape)
    state, worst = optimizer.start(w), 0.0
    for step in range(1, 5):
        dw = rng.normal(size=shape)
        moved, left = optimizer.update(w, dw, state, step)
        said = told or optimizer
        tensors = Tensors(said.program("b", len(shape)), {"b": w, "db": dw, **state}, said.numbers(step), {})
        worst = max(
            [
                worst,
                difference(moved, tensors["b_next"]),
                *(difference(left[name], tensors[f"{name}_next"]) for name in left),
            ]
        )
        w, state = moved, left
    return worst


@pytest.mark.parametrize(("name", "options"), OPTIONS)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3, 2)])
def test_an_update_of_any_shape_is_what_its_sentence_says(
    name: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    assert steps(OPTIMIZERS[name](**options), shape) < 1e-13


@pytest.mark.parametrize(
    ("name", "options", "wrong"),
    [
        ("sgd", {"weight_decay": 0.2}, {"weight_decay": 0.1}),
        ("momentum", {"dampening": 0.3}, {"dampening": 0.0}),
        ("adam", {"betas": [0.5, 0.7]}, {"betas": [0.7, 0.5]}),
        ("nesterov", {"momentum": 0.9}, {"momentum": 0.8}),
        ("adamw", {"weight_decay": 0.2}, {"weight_decay": 0.0}),
        ("rmsprop", {"alpha": 0.5}, {"alpha": 0.6}),
        ("adagrad", {"lr_decay": 0.5}, {"lr_decay": 0.0}),
    ],
)
def test_an_update_that_uses_a_wrong_number_would_be_caught(name: str, options: Any, wrong: Any) -> None:
    kind = OPTIMIZERS[name]
    assert steps(kind(learning_rate=0.1, **options), (3,), kind(learning_rate=0.1, **wrong)) > 1e-3


def test_an_update_leaves_what_it_was_given_alone() -> None:
    w, dw = np.ones(3), np.ones(3)
    for kind in OPTIMIZERS.values():
        optimizer = kind(learning_rate=0.1)
        state = optimizer.start(w)
        optimizer.update(w, dw, state, 1)
        assert (w == 1).all() and (dw == 1).all() and all((each == 0).all() for each in state.values())


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="only an x86 is slow with denormal numbers")
@pytest.mark.parametrize("name", ["momentum", "nesterov", "adam", "rmsprop"])
def test_a_mean_that_fades_away_ends_at_zero_and_not_among_the_denormal_numbers(name: str) -> None:
    least = np.finfo(np.float32).tiny
    optimizer = OPTIMIZERS[name]()
    w, state = np.ones(40, np.float32), {part: np.full(40, least) for part in optimizer.state}
    _, left = optimizer.update(w, np.zeros_like(w), state, 1)
    assert all(not array.any() for array in left.values())
    assert least * np.float32(0.5) > 0, "the thread's own arithmetic is as it was"
