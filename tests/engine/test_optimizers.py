"""An update is what its sentence says."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import pytest

from engine.formula import Tensors
from engine.ops.base import Array
from engine.optimizers import OPTIMIZERS, Optimizer, optimizer_from
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
    ("adam", {"amsgrad": True, "betas": [0.5, 0.3], "weight_decay": 0.2}),
    ("adamw", {"amsgrad": True, "betas": [0.5, 0.3]}),
    ("nadam", {"learning_rate": 0.1}),
    ("nadam", {"betas": [0.5, 0.7], "momentum_decay": 0.3, "weight_decay": 0.2}),
    ("adadelta", {}),
    ("adadelta", {"rho": 0.5, "weight_decay": 0.2}),
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
        ("adam", {"amsgrad": True, "betas": [0.5, 0.3]}, {"amsgrad": True, "betas": [0.5, 0.4]}),
        ("nadam", {"momentum_decay": 0.3}, {"momentum_decay": 0.0}),
        ("adadelta", {"rho": 0.5}, {"rho": 0.6}),
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
        before = {name: array.copy() for name, array in state.items()}
        optimizer.update(w, dw, state, 1)
        assert (w == 1).all() and (dw == 1).all()
        assert all((state[name] == array).all() for name, array in before.items())


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="only an x86 is slow with denormal numbers")
@pytest.mark.parametrize("name", ["momentum", "nesterov", "adam", "rmsprop"])
def test_a_mean_that_fades_away_ends_at_zero_and_not_among_the_denormal_numbers(name: str) -> None:
    least = np.finfo(np.float32).tiny
    optimizer = OPTIMIZERS[name]()
    w, state = np.ones(40, np.float32), {part: np.full(40, least) for part in optimizer.state}
    _, left = optimizer.update(w, np.zeros_like(w), state, 1)
    assert all(not array.any() for array in left.values())
    assert least * np.float32(0.5) > 0, "the thread's own arithmetic is as it was"


RULES: list[dict[str, Any]] = [
    {"schedule": {"name": "step", "step_size": 2, "gamma": 0.5}},
    {"schedule": {"name": "cosine", "T_max": 3, "eta_min": 0.0001}},
    {"schedule": {"name": "one_cycle", "total_steps": 4}},
    {"schedule": {"name": "one_cycle", "total_steps": 4, "anneal_strategy": "linear", "pct_start": 0.0}},
    {"max_norm": 0.5},
    {"max_norm": 0.5, "schedule": {"name": "cosine", "T_max": 3}},
]


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_under_a_schedule_and_a_largest_norm_is_what_its_sentences_say(
    name: str, rules: dict[str, Any]
) -> None:
    optimizer = optimizer_from({"name": name, "weight_decay": 0.2, **rules})
    plain = OPTIMIZERS[name](weight_decay=0.2)
    rng = np.random.default_rng(4)
    w: Array = rng.normal(size=(2, 3))
    state, different = optimizer.start(w), 0.0
    for step in range(1, 7):
        dw = rng.normal(size=(2, 3))
        norm = optimizer.norm([dw])
        moved, left = optimizer.update(w, dw, state, step, norm)
        given = {"w": w, "dw": dw, **state, **dict.fromkeys(optimizer.whole, np.asarray(norm))}
        tensors = Tensors(optimizer.program("w", 2), given, optimizer.numbers(step), {})
        assert difference(moved, tensors["w_next"]) < 1e-13
        assert max((difference(left[part], tensors[f"{part}_next"]) for part in left), default=0.0) < 1e-13
        if "schedule" in rules:
            assert float(tensors["lr"]) == pytest.approx(optimizer.numbers(step)["lr"], rel=1e-14, abs=1e-18)
        different = max(different, difference(plain.update(w, dw, state, step)[0], moved))
        w, state = moved, left
    assert different > 1e-6, "the rules change something"


def test_a_rate_keeps_to_its_end_when_a_run_goes_on_and_takes_the_length_of_the_run() -> None:
    cosine = optimizer_from({"name": "sgd", "schedule": {"name": "cosine", "eta_min": 0.01}}).over(10).schedule
    assert cosine.document() == {"name": "cosine", "T_max": None, "eta_min": 0.01}
    assert cosine.over(20).numbers(0.1, 11)["lr"] > 0.05
    assert [cosine.numbers(0.1, step)["lr"] for step in (11, 12, 500)] == [0.01] * 3
    cycle = optimizer_from({"name": "sgd", "schedule": {"name": "one_cycle"}}).over(10).schedule
    assert cycle.numbers(0.1, 10)["lr"] == cycle.numbers(0.1, 500)["lr"] == pytest.approx(0.1 / 25 / 1e4)


def test_what_a_run_adds_to_an_optimizer_is_kept_by_its_document_and_by_another_rate() -> None:
    document = {"name": "sgd", "schedule": {"name": "cosine", "T_max": 4, "eta_min": 0.0}, "max_norm": 2.0}
    optimizer = optimizer_from(document)
    assert optimizer_from(optimizer.document()) == optimizer != optimizer_from({"name": "sgd"})
    faster = optimizer.with_rate(0.5)
    assert faster.options["learning_rate"] == 0.5 and optimizer.options["learning_rate"] == 1e-3
    assert (faster.schedule, faster.max_norm) == (optimizer.schedule, 2.0)
    assert set(optimizer_from({"name": "sgd"}).document()) == {"name", *OPTIMIZERS["sgd"].settings}
