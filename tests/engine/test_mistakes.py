"""Random wrong gradients, made by hand-written loops: each is named, none wrongly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.diagnose import diagnose, hypotheses
from engine.gradcheck import LOOSE, apart
from engine.mistakes import MISTAKES
from engine.ops import OPS
from engine.ops.base import Op

Array = np.ndarray
Wrong = list[tuple[str, str, Array]]
GEOMETRIES = 40


def loops(given: dict[str, Array], op: Op, corner: bool = False) -> dict[str, Array]:
    """dx, dw and db of a convolution by hand; with `corner` its windows begin at the corner of an unpadded x."""
    x, w, dy = given["x"], given["w"], given["dy"]
    (s, t), (p, _, q, _), (d, e) = (op.options[name] for name in ("stride", "padding", "dilation"))
    before = ((0, 2 * p), (0, 2 * q)) if corner else ((p, p), (q, q))
    padded = np.pad(x, ((0, 0), (0, 0), *before))
    dx, dw, each = np.zeros(padded.shape), np.zeros(w.shape), len(w) // op.options["groups"]
    for o, i, j in np.ndindex(dy.shape[1:]):
        first = o // each * w.shape[1]
        rows = slice(s * i, s * i + d * (w.shape[2] - 1) + 1, d)
        columns = slice(t * j, t * j + e * (w.shape[3] - 1) + 1, e)
        window = (slice(None), slice(first, first + w.shape[1]), rows, columns)
        dx[window] += dy[:, o, i, j, None, None, None] * w[o]
        dw[o] += np.einsum("n,ncuv->cuv", dy[:, o, i, j], padded[window])
    return {"dx": dx[:, :, p : p + x.shape[2], q : q + x.shape[3]], "dw": dw, "db": dy.sum((0, 2, 3))}


def drawn(rng: np.random.Generator) -> tuple[Op, dict[str, Array]]:
    groups = int(rng.choice([1, 1, 2]))
    stride, dilation, padding = (rng.integers(low, low + 2, 2).tolist() for low in (1, 1, 0))
    images, inputs, outputs = rng.integers(1, 4, 3) * (1, groups, groups)
    kernel = rng.integers(1, 4, 2)
    size = dilation * (kernel - 1) + rng.integers(1, 5, 2)
    op = OPS["conv2d"](stride=stride, padding=padding, dilation=dilation, groups=groups)
    given = {"x": rng.normal(size=(images, inputs, *size)), "w": rng.normal(size=(outputs, inputs // groups, *kernel))}
    given["b"] = rng.normal(size=outputs)
    return op, {**given, "dy": rng.normal(size=op.forward(given)["y"].shape)}


def wrongs(op: Op, given: dict[str, Array], true: dict[str, Array], rng: np.random.Generator) -> Wrong:
    def again(**changed: Array) -> dict[str, Array]:
        return loops({**given, **changed}, op)

    dx, dw, db, w, dy = true["dx"], true["dw"], true["db"], given["w"], given["dy"]
    outputs, images = len(w), len(dy)
    single = np.arange(outputs) == rng.integers(outputs)
    made: Wrong = [
        ("flip", "dx", again(w=w[..., ::-1, ::-1])["dx"]),
        ("mirrored", "dx", again(w=w[..., ::-1, :])["dx"]),
        ("mirrored", "dx", again(w=w[..., ::-1])["dx"]),
        ("reversed", "dx", dx[::-1]),
        ("reversed", "dx", dx[:, ::-1]),
        ("overwritten", "dx", again(dy=dy * single[:, None, None])["dx"]),
        ("sign", "dx", -dx),
        ("mean_not_sum", "dx", dx / images),
        ("dy_ignored", "dx", again(dy=np.ones_like(dy))["dx"]),
        ("reversed", "dw", dw[::-1]),
        ("flip", "dw", again(dy=dy[..., ::-1, ::-1])["dw"]),
        ("mirrored", "dw", again(dy=dy[..., ::-1, :])["dw"]),
        ("mirrored", "dw", again(dy=dy[..., ::-1])["dw"]),
        ("reversed", "dw", again(dy=dy[::-1])["dw"]),
        ("reversed", "dw", again(dy=dy[:, ::-1])["dw"]),
        ("padding", "dw", loops(given, op, corner=True)["dw"]),
        ("overwritten", "dw", loops({**given, "x": given["x"][:1], "dy": dy[:1]}, op)["dw"]),
        ("flip", "dw", dw[..., ::-1, ::-1]),
        ("mean_not_sum", "db", db / images),
        ("sign", "db", -db),
    ]
    if w.shape[2] == w.shape[3]:
        made += [("transposed", "dx", again(w=w.swapaxes(2, 3))["dx"]), ("transposed", "dw", dw.swapaxes(2, 3))]
    if dy.shape[2] == dy.shape[3]:
        made.append(("transposed", "dw", again(dy=dy.swapaxes(2, 3))["dw"]))
    return made


def test_random_wrong_convolution_gradients_are_named_and_none_wrongly() -> None:
    rng = np.random.default_rng(11)
    count, unnamed = 0, []
    for _ in range(GEOMETRIES):
        op, given = drawn(rng)
        true = loops(given, op)
        made = [each for each in wrongs(op, given, true, rng) if not apart(each[2], true[each[1]]).agrees(LOOSE)]
        for kind, name, wrong in made:
            alike = {each[0] for each in made if each[1] == name and apart(each[2], wrong).agrees(LOOSE)}
            found = diagnose(name, wrong, true[name], op, given)
            count += 1
            if found is None:
                unnamed.append((kind, name))
            elif wrong.any():
                assert found.kind in alike, (kind, name, found, given["w"].shape, given["dy"].shape, op.options)
    assert count > 400 and len(unnamed) <= 0.05 * count, unnamed


X, DY = np.random.default_rng(1).normal(size=(2, 2, 2, 6, 6))[:, :, :, :6, :6]
UP = np.kron(DY[..., :3, :3], np.ones((2, 2)))


def winners(x: Array) -> Array:
    windows = x.reshape(2, 2, 3, 2, 3, 2)
    return (windows == windows.max((3, 5), keepdims=True)).reshape(x.shape)


ROUNDED = np.maximum(np.round(X), 0)


@pytest.mark.parametrize(
    ("op", "x", "wrong", "kind"),
    [
        ("max_pool2d", X, winners(X) * 1.0, "dy_ignored"),
        ("max_pool2d", X, UP, "winner_ignored"),
        ("max_pool2d", X, np.kron(DY[..., :3, :3], [[1, 0], [0, 0]]), "fixed_corner"),
        ("max_pool2d", X, winners(-X) * UP, "other_winner"),
        ("max_pool2d", ROUNDED, winners(ROUNDED) * UP, "tie_to_all"),
        ("avg_pool2d", X, UP, "sum_not_mean"),
        ("avg_pool2d", X, np.full(X.shape, 0.25), "dy_ignored"),
    ],
)
def test_a_pools_mistake_is_told_without_index_formulas(op: str, x: Array, wrong: Array, kind: str) -> None:
    made = OPS[op](kernel_size=2)
    tensors = {"x": x, **made.forward({"x": x}), "dy": DY[..., :3, :3].copy()}
    found = diagnose("dx", wrong, made.backward(tensors)["dx"], made, tensors)
    assert found and found.kind == kind and "[" not in found.words


def test_a_padding_that_takes_part_as_zeros_is_named() -> None:
    made, x = OPS["max_pool2d"](kernel_size=3, stride=1, padding=1), -np.abs(X) + 0.2
    tensors = {"x": x, **made.forward({"x": x}), "dy": DY}
    wrong, padded = np.zeros((2, 2, 8, 8)), np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for n, c, i, j in np.ndindex(DY.shape):
        u, v = np.unravel_index(padded[n, c, i : i + 3, j : j + 3].argmax(), (3, 3))
        wrong[n, c, i + u, j + v] += DY[n, c, i, j]
    found = diagnose("dx", wrong[..., 1:7, 1:7], made.backward(tensors)["dx"], made, tensors)
    assert found and found.kind == "zero_padding"


def test_groups_that_are_interleaved_are_named() -> None:
    rng = np.random.default_rng(5)
    x, w, dy = rng.normal(size=(2, 4, 5, 5)), rng.normal(size=(4, 2, 3, 3)), rng.normal(size=(2, 4, 3, 3))
    op, given, wrong = OPS["conv2d"](groups=2), {"x": x, "w": w, "dy": dy}, np.zeros_like(x)
    for o, i, j in np.ndindex(4, 3, 3):
        wrong[:, o // 2 :: 2, i : i + 3, j : j + 3] += dy[:, o, i, j, None, None, None] * w[o]
    found = diagnose("dx", wrong, op.backward(given)["dx"], op, given)
    assert found and found.kind == "interleaved"


def softmax(x: Array) -> Array:
    shares: Array = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    return shares


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("double_softmax", lambda x, t: (softmax(softmax(x)) - t) / 4),
        ("other_loss", lambda x, t: 2 * (softmax(x) - t) / 20),
        ("other_loss", lambda x, t: 2 * (x - t) / 20),
        ("sum_not_mean", lambda x, t: softmax(x) - t),
    ],
)
def test_another_losss_slope_is_named(kind: str, wrong: Any) -> None:
    loss, target = OPS["cross_entropy"](), np.array([0, 2, 1, 4])
    tensors = {"x": np.random.default_rng(2).normal(size=(4, 5)), "target": target}
    tensors |= loss.forward(tensors)
    made = wrong(tensors["x"], np.eye(5)[target])
    found = diagnose("dx", made, loss.backward(tensors)["dx"], loss, tensors)
    assert found and found.kind == kind


def test_an_unbiased_variance_and_a_square_left_out_are_named() -> None:
    rng = np.random.default_rng(3)
    x, dy = rng.normal(size=(2, 4, 3))
    op = OPS["batch_norm"]()
    given = {"x": x, "gamma": np.ones(3), "beta": np.zeros(3), "running_mean": np.zeros(3), "running_var": np.ones(3)}
    tensors = {**given, **op.forward(given), "dy": dy}
    xhat, std = (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + 1e-5), np.sqrt(x.var(0, ddof=1) + 1e-5)
    wrong = (dy - dy.mean(0) - xhat * (dy * xhat).mean(0)) / std
    found = diagnose("dx", wrong, op.backward(tensors)["dx"], op, tensors)
    assert found and found.kind == "unbiased"
    tanh = OPS["tanh"]()
    tensors = {"x": x, "y": np.tanh(x), "dy": dy}
    found = diagnose("dx", dy * (1 - np.tanh(x)), tanh.backward(tensors)["dx"], tanh, tensors)
    assert found and found.kind == "left_out" and "`**2`" in found.words


def test_float16s_rounding_is_named() -> None:
    true = np.random.default_rng(4).normal(size=(3, 4))
    found = diagnose("dw", true.astype(np.float16).astype(float), true)
    assert found and found.kind == "rounding" and "float16" in found.words


def test_every_kind_that_is_not_a_setting_is_listed() -> None:
    rng = np.random.default_rng(7)
    for name, kind in OPS.items():
        op, tensors = kind(**kind.example_settings), kind.example(rng)
        tensors |= op.forward(tensors)
        if not op.is_loss:
            tensors["dy"] = rng.normal(size=tensors["y"].shape)
        for gradient, true in op.backward(tensors).items():
            for each in hypotheses(gradient, true, op, tensors):
                assert each.kind in MISTAKES or each.kind in op.settings, (name, each.kind)
