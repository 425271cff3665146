"""Gradients beside central differences, kinks and ties named, and what a wrong gradient looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.diagnose import Diagnosis, diagnose
from engine.gradcheck import Comparison, compare
from engine.ops import OPS
from engine.ops.base import Op
from tests.engine.tools import from_kernels

Array = np.ndarray
RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(4, 2, 6, 6)), RNG.normal(size=(3, 2, 3, 3)), RNG.normal(size=3)
DY = RNG.normal(size=(4, 3, 6, 6))
CONV = OPS["conv2d"](padding=1)
GIVEN = {"x": X, "w": W, "b": B, "dy": DY}
TRUE = CONV.backward(GIVEN)


def compared(op: str, x: Any, dy: Any, **settings: Any) -> Comparison:
    made = OPS[op](**settings)
    at, slope = np.array(x, float), np.array(dy, float)
    gradient = from_kernels(made, {"x": at}, slope)["dx"]
    return compare("x", at, gradient, slope, lambda _, moved: made.forward({"x": moved}), 100)


def looks(name: str, wrong: Array) -> str | None:
    found = diagnose(name, wrong, TRUE[name], CONV, GIVEN)
    return found.kind if found else None


def scattered(adding: bool = True, turned: bool = False) -> Array:
    """dx of the convolution with its rim, by hand: each delta goes back through the kernel."""
    dx = np.zeros((4, 2, 8, 8))
    kernel = W[..., ::-1, ::-1] if turned else W
    for i, j in np.ndindex(6, 6):
        part = np.einsum("no,ocuv->ncuv", DY[:, :, i, j], kernel)
        window = dx[:, :, i : i + 3, j : j + 3]
        window[:] = window + part if adding else part
    return dx


def test_a_smooth_gradient_agrees_everywhere() -> None:
    found = compared("sigmoid", [[0.3, -2.0], [5.0, 0.0]], [[1, 2], [-1, 3]])
    assert found.difference.agrees() and found.checked == 4 and not found.kinks
    assert np.allclose(found.analytic, found.numeric, atol=1e-9)


def test_a_gradient_that_is_a_hundred_thousandth_off_does_not_agree() -> None:
    x = np.array([0.5])
    found = compare("x", x, np.array([1 + 1e-5]), np.ones(1), lambda _, moved: {"y": moved}, 10)
    assert not found.difference.agrees() and found.difference.index == (0,)


def test_a_nan_spoils_its_own_place_alone() -> None:
    found = compared("tanh", [np.nan, 1.0, np.inf], [1.0, 1.0, 1.0])
    assert found.difference.agrees() and found.checked == 1 and found.numeric[1] == pytest.approx(0.4199743)


def test_a_kink_is_named_with_the_slopes_to_its_sides() -> None:
    found = compared("relu", [0.0, 1.0], [1.0, 1.0])
    (kink,) = found.kinks
    assert (kink.index, kink.below, kink.above, kink.analytic, kink.tie) == ((0,), 0.0, 1.0, 0.0, None)
    assert found.difference.agrees()


def test_a_value_close_to_a_kink_is_looked_at_closer() -> None:
    found = compared("relu", [3e-6], [1.0])
    assert not found.kinks and found.numeric[0] == pytest.approx(1, abs=1e-6)


def test_a_tie_is_named_with_the_winners_to_its_sides() -> None:
    found = compared("max_pool2d", [[[[2, 1], [0, 2]]]], [[[[1]]]], kernel_size=2)
    assert {kink.index: kink.tie for kink in found.kinks} == {
        (0, 0, 0, 0): ("indices", (0, 0, 0, 0), 3, 0),
        (0, 0, 1, 1): ("indices", (0, 0, 0, 0), 0, 3),
    }
    assert all(kink.low == pytest.approx(0) and kink.high == pytest.approx(1) for kink in found.kinks)


@pytest.mark.parametrize("x", [np.ones((1, 1, 3, 3)), [[[[0, 1, 0], [0, 1, 0], [0, 1, 0]]]], np.zeros((1, 1, 2, 2))])
def test_windows_that_share_tied_values_hide_no_kink(x: Any) -> None:
    rows = len(x[0][0]) - 1
    dy = np.array([1.0, -1.0] * 2)[: rows * rows].reshape(1, 1, rows, rows)
    found = compared("max_pool2d", x, dy, kernel_size=2, stride=1)
    assert found.difference.agrees() and len(found.kinks) > 2
    assert all(kink.low - 1e-6 <= kink.analytic <= kink.high + 1e-6 and kink.high < 4.5 for kink in found.kinks)


def test_of_a_large_tensor_the_same_places_are_checked_each_time() -> None:
    def once() -> Comparison:
        x = np.linspace(-1, 1, 300)
        return compare("x", x, np.ones(300), np.ones(300), lambda _, moved: {"y": moved}, 20)

    assert once().checked == 20
    assert np.array_equal(np.isnan(once().numeric), np.isnan(once().numeric))


@pytest.mark.parametrize(
    ("kind", "name", "wrong"),
    [
        ("flip", "dw", TRUE["dw"][..., ::-1, ::-1]),
        ("flip", "dx", scattered(turned=True)[:, :, 1:7, 1:7]),
        ("mirrored", "dw", TRUE["dw"][..., ::-1]),
        ("transposed", "dw", TRUE["dw"].transpose(0, 1, 3, 2)),
        ("transposed", "dw", TRUE["dw"].transpose(1, 0, 2, 3)),
        ("padding", "dx", scattered()),
        ("padding", "dx", scattered()[:, :, :6, :6]),
        ("overwritten", "dx", scattered(adding=False)[:, :, 1:7, 1:7]),
        ("overwritten", "db", DY[-1].sum((1, 2))),
        ("overwritten", "dw", CONV.backward({**GIVEN, "dy": np.where(np.arange(36).reshape(6, 6) == 35, DY, 0)})["dw"]),
        ("overwritten", "dx", CONV.backward({**GIVEN, "dy": DY * (np.arange(3) == 2)[:, None, None]})["dx"]),
        ("mean_not_sum", "db", DY.mean((0, 2, 3))),
        ("mean_not_sum", "dw", TRUE["dw"] / 4),
        ("sum_not_mean", "dw", TRUE["dw"] * 4),
        ("sign", "dx", -TRUE["dx"]),
        ("scale", "dx", TRUE["dx"] * 1.7),
        ("zero", "dx", 0 * TRUE["dx"]),
        ("not_summed", "db", DY),
        ("not_summed", "db", DY.sum(0)),
        ("dy_ignored", "dw", CONV.backward({**GIVEN, "dy": np.ones_like(DY)})["dw"]),
        ("shape", "db", TRUE["db"][:, None]),
        ("rounding", "dw", TRUE["dw"].astype(np.float32) * np.float32(1 + 5e-6)),
        ("padding", "dw", TRUE["dw"][:, :, 1:2, 1:2]),
        (None, "dw", TRUE["dw"] + 1),
    ],
)  # fmt: skip
def test_a_wrong_gradient_is_recognised(kind: str | None, name: str, wrong: Array) -> None:
    assert looks(name, wrong) == kind


def shares(x: Array, axis: int) -> Array:
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


def backwards(op: str, x: Array, dy: Array, **settings: Any) -> Array:
    return from_kernels(OPS[op](**settings), {"x": x}, dy)["dx"]


def softmax_like(op: Op, wrong: Callable[[Array, Array], Array]) -> Diagnosis | None:
    """What is guessed of dx from (shares, dy) along axis 1."""
    x, dy = RNG.normal(size=(4, 5)), RNG.normal(size=(4, 5))
    tensors = {"x": x, "dy": dy, **op.forward({"x": x})}
    return diagnose("dx", wrong(shares(x, 1), dy), op.backward(tensors)["dx"], op, tensors)


@pytest.mark.parametrize(
    ("op", "kind", "words", "wrong"),
    [
        ("softmax", "left_out", "`-y[n,c] * mean[n]` is left out of dx[n,c]", lambda p, dy: p * dy),
        ("softmax", "left_out", "`y[n,c]` is left out of mean[n]", lambda p, dy: p * (dy - dy.sum(1, keepdims=True))),
        ("softmax", "own_slope", "alone", lambda p, dy: p * (1 - p) * dy),
        ("log_softmax", "own_slope", "alone", lambda p, dy: (1 - p) * dy),
        ("log_softmax", "passed_on", "dy itself", lambda p, dy: dy),
    ],
)
def test_what_is_forgotten_of_a_softmax_is_named(
    op: str, kind: str, words: str, wrong: Callable[[Array, Array], Array]
) -> None:
    found = softmax_like(OPS[op](axis=1), wrong)
    assert found and found.kind == kind and words in found.words


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("sum_not_mean", lambda p, t: p - t),
        ("target_left_out", lambda p, t: p / 4),
        ("target_left_out", lambda p, t: p),
        ("slope_again", lambda p, t: (p - t) * p * (1 - p) / 4),
        (None, lambda p, t: p * p - t),
    ],
)
def test_what_is_forgotten_of_a_cross_entropy_is_named(
    kind: str | None, wrong: Callable[[Array, Array], Array]
) -> None:
    op = OPS["cross_entropy"]()
    tensors = {"x": RNG.normal(size=(4, 5)), "target": np.array([0, 2, 1, 4])}
    tensors |= op.forward(tensors)
    found = diagnose("dx", wrong(tensors["p"], np.eye(5)[[0, 2, 1, 4]]), op.backward(tensors)["dx"], op, tensors)
    assert (found.kind if found else None) == kind


def test_a_gate_that_looks_at_the_delta_is_named() -> None:
    made, dy = OPS["relu"](), RNG.normal(size=X.shape)
    tensors = {"x": X, **made.forward({"x": X}), "dy": dy}
    found = diagnose("dx", dy * (dy > 0), made.backward(tensors)["dx"], made, tensors)
    assert found and found.kind == "gate_on_dy"


@pytest.mark.parametrize(
    ("op", "words", "wrong"),
    [
        ("softmax", "axis 0 in place of 1", lambda x, dy, t: backwards("softmax", x, dy, axis=0)),
        ("softmax", "its sum runs along axis 0", lambda x, dy, t: shares(x, 1) * (dy - (shares(x, 1) * dy).sum(0))),
        ("log_softmax", "axis 0 in place of 1", lambda x, dy, t: dy - shares(x, 0) * dy.sum(0)),
        ("cross_entropy", "p are taken along axis 0", lambda x, dy, t: (shares(x, 0) - np.eye(5)[t]) / 4),
    ],
)
def test_shares_along_another_axis_are_named(op: str, words: str, wrong: Callable[..., Array]) -> None:
    x, dy, target = RNG.normal(size=(4, 5)), RNG.normal(size=(4, 5)), np.array([0, 2, 1, 4])
    made = OPS[op]()
    tensors = {"x": x, "target": target} if made.is_loss else {"x": x, "dy": dy}
    tensors |= made.forward(tensors)
    found = diagnose("dx", wrong(x, dy, target), made.backward(tensors)["dx"], made, tensors)
    assert found and found.kind == "axis" and words in found.words


def test_windows_that_overwrite_one_another_are_seen_in_every_group() -> None:
    op, w, dx = OPS["conv2d"](stride=2, groups=2), RNG.normal(size=(4, 1, 3, 3)), np.zeros((4, 2, 6, 6))
    dy = RNG.normal(size=(4, 4, 2, 2))
    for o, i, j in np.ndindex(4, 2, 2):
        dx[:, o // 2, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] = w[o, 0] * dy[:, o, i, j, None, None]
    given = {"x": X, "w": w, "dy": dy}
    found = diagnose("dx", dx, op.backward(given)["dx"], op, given)
    assert found and found.kind == "overwritten" and "each output channel" in found.words


def test_a_term_that_batch_norm_needs_is_named() -> None:
    op = OPS["batch_norm"]()
    tensors = {"x": X, "gamma": B[:2], "beta": B[1:], "running_mean": np.zeros(2), "running_var": np.ones(2)}
    tensors |= op.forward(tensors) | {"dy": DY[:, :2]}
    std = np.sqrt(X.var((0, 2, 3), keepdims=True) + 1e-5)
    wrong = B[:2].reshape(1, 2, 1, 1) / std * DY[:, :2]
    found = diagnose("dx", wrong, op.backward(tensors)["dx"], op, tensors)
    assert found and found.kind == "left_out" and "shift[c]" in found.words and "tilt[c]" in found.words


def test_a_mean_without_its_divisor_counts_the_cells_of_the_window() -> None:
    op = OPS["avg_pool2d"](kernel_size=3)
    tensors = {"x": X, "dy": RNG.normal(size=(4, 2, 2, 2))}
    true = from_kernels(op, {"x": X}, tensors["dy"])["dx"]
    found = diagnose("dx", 9 * true, true, op, tensors)
    assert found and found.kind == "sum_not_mean" and "9 cells of the window" in found.words


def test_two_mistakes_at_once_are_both_named() -> None:
    found = diagnose("dw", -TRUE["dw"][..., ::-1, ::-1], TRUE["dw"], CONV, GIVEN)
    assert found and found.kind == "flip" and "sign" in found.words


def test_strides_exchanged_are_named_where_windows_pass_the_far_edge_and_where_they_do_not() -> None:
    op, dy = OPS["conv2d"](stride=[2, 1], padding=1), RNG.normal(size=(4, 3, 3, 6))
    dx, dw, padded = np.zeros((4, 2, 20, 20)), np.zeros((3, 2, 3, 3)), np.pad(X, ((0, 0), (0, 0), (1, 13), (1, 13)))
    for i, j in np.ndindex(3, 6):
        window = (..., slice(i, i + 3), slice(2 * j, 2 * j + 3))  # 2 * i and j would be right
        dx[window] += np.einsum("no,ocuv->ncuv", dy[..., i, j], W)
        dw += np.einsum("no,ncuv->ocuv", dy[..., i, j], padded[window])
    given = {"x": X, "w": W, "dy": dy}
    true = op.backward(given)
    for name, wrong in (("dx", dx[..., 1:7, 1:7]), ("dw", dw)):
        found = diagnose(name, wrong, true[name], op, given)
        assert found == Diagnosis("stride", f"{name} comes out so with stride [1, 2] in place of [2, 1]")


@pytest.mark.parametrize(
    ("op", "wrong", "words"),
    [
        ("sigmoid", lambda x, dy: dy * x * (1 - x), "x is read where y belongs"),
        ("tanh", lambda x, dy: dy * (1 - x**2), "x is read where y belongs"),
        ("relu", lambda x, dy: dy * (x < 0), "-x is read where x belongs"),
    ],
)
def test_a_tensor_read_in_anothers_place_is_named(op: str, wrong: Any, words: str) -> None:
    made, dy = OPS[op](), RNG.normal(size=X.shape)
    tensors = {"x": X, **made.forward({"x": X}), "dy": dy}
    found = diagnose("dx", wrong(X, dy), made.backward(tensors)["dx"], made, tensors)
    assert found and found.kind == "exchanged" and found.words.endswith(words)


def test_a_softmax_left_out_before_the_loss_is_named() -> None:
    loss, logits = OPS["cross_entropy"](), RNG.normal(size=(4, 3))
    tensors = {"x": logits, "target": np.array([0, 2, 1, 1])}
    tensors |= loss.forward(tensors)
    wrong = (logits - np.eye(3)[[0, 2, 1, 1]]) / 4
    found = diagnose("dx", wrong, loss.backward(tensors)["dx"], loss, tensors)
    assert found and found.words == "dx comes out so when x is read where p belongs"


def test_a_mean_over_the_images_alone_counts_the_values_of_each() -> None:
    loss, x, target = OPS["mse_loss"](), RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
    tensors = {"x": x, "target": target}
    true = from_kernels(loss, tensors)["dx"]
    found = diagnose("dx", 2 * (x - target) / 4, true, loss, {**tensors, **loss.forward(tensors)})
    assert found and found.kind == "sum_not_mean" and "3 values of each image" in found.words


def test_numbers_that_were_never_written_are_counted() -> None:
    op, w = OPS["conv2d"](groups=2, padding=1), RNG.normal(size=(4, 1, 3, 3))
    given = {"x": X, "w": w, "dy": RNG.normal(size=(4, 4, 6, 6))}
    true = op.backward(given)["dw"]
    wrong = np.where(np.arange(4)[:, None, None, None] < 2, true, 0)
    found = diagnose("dw", wrong, true, op, given)
    assert found and found.kind == "zero" and "18 of its 36 numbers" in found.words and "dw/2,0,0,0" in found.words


def test_a_forgotten_eps_is_not_taken_for_rounding() -> None:
    op = OPS["batch_norm"]()
    tensors = {"x": X, "gamma": B[:2], "beta": B[1:], "running_mean": np.zeros(2), "running_var": np.ones(2)}
    tensors |= op.forward(tensors) | {"dy": DY[:, :2]}
    wrong = (DY[:, :2] * (X - X.mean((0, 2, 3), keepdims=True)) / X.std((0, 2, 3), keepdims=True)).sum((0, 2, 3))
    found = diagnose("dgamma", wrong, op.backward(tensors)["dgamma"], op, tensors)
    assert found and found.kind == "eps" and "without eps" in found.words
    rounded = op.backward(tensors)["dgamma"].astype(np.float32).astype(np.float64)
    found = diagnose("dgamma", rounded * (1 + 1e-6), op.backward(tensors)["dgamma"], op, tensors)
    assert found and found.kind == "rounding"


def test_a_setting_that_was_ignored_is_named() -> None:
    op = OPS["conv2d"](padding=2, dilation=2)
    wrong = OPS["conv2d"](padding=[2, 0, 2, 0]).backward(GIVEN)["dw"]
    found = diagnose("dw", wrong, op.backward(GIVEN)["dw"], op, GIVEN)
    assert found and found.kind == "dilation"
    loss = OPS["cross_entropy"]()
    tensors = {"x": RNG.normal(size=(4, 3)), "target": np.array([0, 2, 1, 1])}
    true = from_kernels(loss, tensors)["dx"]
    found = diagnose("dx", true * 4, true, loss, {**tensors, **loss.forward(tensors)})
    assert found and found.kind == "sum_not_mean"
