"""What is stored is what its sentence says, rounded to the dtype: the remainder of an explanation stays small at
extreme but legal values, where naive arithmetic cancels, overflows or vanishes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.formula import Tensors, explain
from engine.ops import OPS
from engine.ops.activations import Pointwise
from engine.ops.base import Array, Op, shapes_of
from tests.engine.draws import calls
from tests.engine.tools import from_kernels

BOUNDS = {np.float32: 1e-5, np.float64: 1e-12}
ELEMENT_WISE = sorted(name for name, kind in OPS.items() if issubclass(kind, Pointwise))
DTYPES = st.sampled_from([np.float32, np.float64])
many = settings(max_examples=150, deadline=None)


def numbers(most: float) -> st.SearchStrategy[float]:
    return st.floats(-most, most, width=32) | st.integers(-int(most), int(most)).map(float)


def rows(most: float, count: int = 5) -> st.SearchStrategy[list[float]]:
    """Values far apart, and values that are almost the same."""
    alike = st.tuples(numbers(most), st.lists(st.integers(-9, 9), min_size=count, max_size=count)).map(
        lambda drawn: [drawn[0] * (1 + step * 1e-6) for step in drawn[1]]
    )
    return st.lists(numbers(most), min_size=count, max_size=count) | alike


def excess(op: Op, tensors: dict[str, Array], dy: Array, most: int = 10**6) -> float:
    """The largest remainder over its bound, over at most so many elements of everything that the sentences say.

    A number below the smallest normal one of its dtype has fewer digits, and float64 itself is as fine as 1e-15.
    """
    kept = from_kernels(op, tensors, dy)
    shapes = shapes_of({**tensors, "dy": dy})
    program = op.program(shapes).gradients([n[1:] for n in op.gradients if n[1:] in tensors])
    known = Tensors(program, {**tensors, "dy": dy, **kept}, op.numbers(shapes), op.extents(shapes))
    worst = 0.0
    for name in program.names:
        stored = known[name]
        dtype = np.float32 if stored.dtype == np.float32 else np.float64
        floor = max(float(np.finfo(dtype).tiny), 4e-15 if name == "logp" else 0.0)
        for place in range(0, stored.size, 1 + stored.size // most):
            found = explain(known, name, tuple(map(int, np.unravel_index(place, stored.shape))), per_page=10**6)
            assert found.value == stored.flat[place] or np.isnan(found.value)
            bound = BOUNDS[dtype] * math.fsum(abs(term.value) for term in found.terms) + floor
            worst = max(worst, abs(found.remainder) / bound)
    return worst


@pytest.mark.parametrize("name", sorted(OPS))
@settings(max_examples=8, deadline=None)
@given(data=st.data(), dtype=DTYPES)
def test_everything_that_is_said_explains_itself_at_any_geometry_rank_and_option(
    name: str, data: Any, dtype: type
) -> None:
    op, tensors = data.draw(calls(name))
    tensors = {key: array.astype(dtype) if array.dtype.kind == "f" else array for key, array in tensors.items()}
    dy = np.random.default_rng(0).normal(size=op.extents(shapes_of(tensors))["y"]).astype(dtype)
    assert excess(op, tensors, dy, most=6) <= 1


@pytest.mark.parametrize("name", ELEMENT_WISE)
@many
@given(dtype=DTYPES, x=rows(30) | rows(300), dy=rows(1000))
def test_element_wise_functions_at_any_height(name: str, dtype: type, x: list[float], dy: list[float]) -> None:
    assert excess(OPS[name](), {"x": np.array(x, dtype)}, np.array(dy, dtype)) <= 1


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@many
@given(dtype=DTYPES, x=rows(30) | rows(300), dy=rows(1000))
def test_softmax_of_shares_and_gradients_that_are_far_apart_or_alike(
    name: str, dtype: type, x: list[float], dy: list[float]
) -> None:
    assert excess(OPS[name](), {"x": np.array([x], dtype)}, np.array([dy], dtype)) <= 1


@many
@given(
    dtype=DTYPES,
    x=st.lists(rows(30) | rows(300), min_size=2, max_size=2),
    targets=st.data(),
    reduction=st.sampled_from(["mean", "sum"]),
    smoothing=st.sampled_from([0.0, 0.1]),
    weighed=st.booleans(),
    shares=st.booleans(),
    dy=numbers(100),
)
def test_cross_entropy_of_confident_and_of_mistaken_outputs(
    dtype: type,
    x: list[list[float]],
    targets: Any,
    reduction: str,
    smoothing: float,
    weighed: bool,
    shares: bool,
    dy: float,
) -> None:
    tensors = {
        "x": np.array(x, dtype),
        "target": np.array(targets.draw(st.lists(st.integers(0, 4), min_size=2, max_size=2))),
    }
    if shares:
        tensors["target"] = np.array(targets.draw(st.lists(rows(1), min_size=2, max_size=2)), dtype)
    if weighed:
        tensors["weight"] = np.array([0.1, 3, 1, 1e-3, 50], dtype)
    op = OPS["cross_entropy"](reduction=reduction, label_smoothing=smoothing)
    assert excess(op, tensors, np.array(dy, dtype)) <= 1


@many
@given(dtype=DTYPES, x=rows(30, 12), dy=rows(1000, 4), power=st.sampled_from([2.0, 3.0, 1.5]))
def test_norms_of_large_and_of_small_values(dtype: type, x: list[float], dy: list[float], power: float) -> None:
    op = OPS["lp_pool2d"](norm_type=power, kernel_size=[1, 3])
    tensors: dict[str, Array] = {"x": np.array(x, dtype).reshape(1, 1, 4, 3)}
    assert excess(op, tensors, np.array(dy, dtype).reshape(1, 1, 4, 1)) <= 1


@many
@given(
    dtype=DTYPES, x=rows(300), target=rows(300), dy=numbers(100), reduction=st.sampled_from(["mean", "sum", "half_sum"])
)
def test_squared_error_of_close_and_of_distant_values(
    dtype: type, x: list[float], target: list[float], dy: float, reduction: str
) -> None:
    tensors: dict[str, Array] = {"x": np.array(x, dtype), "target": np.array(target, dtype)}
    assert excess(OPS["mse_loss"](reduction=reduction), tensors, np.array(dy, dtype)) <= 1


@many
@given(
    dtype=DTYPES,
    x=rows(30) | rows(300),
    target=st.lists(st.floats(0, 1, width=32), min_size=5, max_size=5),
    dy=numbers(100),
    reduction=st.sampled_from(["mean", "sum"]),
)
def test_binary_cross_entropy_of_confident_and_of_mistaken_outputs(
    dtype: type, x: list[float], target: list[float], dy: float, reduction: str
) -> None:
    tensors: dict[str, Array] = {"x": np.array(x, dtype), "target": np.array(target, dtype)}
    assert excess(OPS["bce_with_logits"](reduction=reduction), tensors, np.array(dy, dtype)) <= 1


@pytest.mark.parametrize(
    ("name", "x", "dy"),
    [
        ("tanh", [4, 8, 10], [1, 1, 1]),
        ("sigmoid", [20, -20, 40], [1, 1, 1]),
        ("gelu", [-8, -5, 8], [1, 1, 1]),
        ("softmax", [0.1, 0.2, 0.3], [1, 1.0001, 1.0002]),
        ("softmax", [0.1, 0.2, 0.3], [1000, 1000.001, 1000.002]),
        ("silu", [-100, -30, 100], [1, 1, 1]),
        ("softplus", [-30, 30, 0], [1, 1, 1]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_once_differed_from_their_sentences(
    name: str, x: list[float], dy: list[float], dtype: type
) -> None:
    assert excess(OPS[name](), {"x": np.array([x], dtype)}, np.array([dy], dtype)) <= 1


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softmax", "log_softmax"])
def test_the_stated_gradient_of_an_activation_equals_the_derived_one(name: str) -> None:
    rng = np.random.default_rng(4)
    op = OPS[name]()
    tensors = {"x": rng.normal(size=(4, 5)), "dy": rng.normal(size=(4, 5))}
    program, shapes = op.program(shapes_of(tensors)), shapes_of(tensors)
    stated, derived = (
        Tensors(program.gradients(["x"], stated=each), tensors, {}, op.extents(shapes))["dx"] for each in (True, False)
    )
    assert np.allclose(stated, derived, rtol=1e-13, atol=1e-15)


def test_a_loss_computed_in_single_precision_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cross-entropy of a digit at 0.9999998: in float32 its logarithm has one digit."""
    kind = OPS["cross_entropy"]
    tensors = {"x": np.array([[15.25, 0, 0]], np.float32), "target": np.array([0])}
    right = kind.forward
    assert excess(kind(), tensors, np.array(1, np.float32)) <= 1

    def single(self: Op, given: dict[str, Array]) -> dict[str, Array]:
        found = right(self, given)
        return {**found, "y": np.asarray(-np.log(found["p"][0, 0]), np.float32)}

    monkeypatch.setattr(kind, "forward", single)
    assert excess(kind(), tensors, np.array(1, np.float32)) > 1
