"""Three proofs of one gradient: gathered by the adjoint, scattered by the forward sentence, a column of its matrix.

The scatter is read from the forward sentence alone and the gathered terms from the derived gradient, so that they agree
is the proof that the kernel has to turn (or, for a transposed convolution, has not).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from engine.formula import Axis, Program, Scatter, Tensors, explain
from engine.ops import OPS
from engine.ops.base import shapes_of
from tests.engine.tools import from_kernels, from_sentences

Grids = Mapping[str, np.ndarray]

SETTINGS = [
    ("conv2d", {}, (3, 3)),
    ("conv2d", {"padding": 1}, (3, 3)),
    ("conv2d", {"stride": 2}, (3, 3)),
    ("conv2d", {"stride": [2, 3], "padding": [1, 0, 2, 1], "dilation": [2, 1]}, (2, 3)),
    ("conv2d", {"dilation": 2, "padding": "same"}, (3, 3)),
    ("conv2d", {"groups": 2, "padding": 1, "stride": 2}, (3, 2)),
    ("conv2d", {"flip_kernel": True, "stride": 2}, (3, 3)),
    ("conv2d", {"padding": 2}, (5, 5)),
    ("conv2d", {"padding": 3, "stride": 2}, (7, 7)),
    ("conv_transpose2d", {}, (3, 3)),
    ("conv_transpose2d", {"stride": 2, "padding": 1, "output_padding": 1}, (3, 3)),
    ("conv_transpose2d", {"stride": [1, 3], "dilation": [3, 2], "groups": 2}, (2, 3)),
    ("conv_transpose2d", {"stride": 3}, (7, 7)),
]


def positions(axes: tuple[Axis, ...], at: Grids, shape: tuple[int, ...]) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """(index along each axis, whether a cell is there) for letters that are given as arrays."""
    index: list[np.ndarray] = []
    there: np.ndarray = np.ones((), bool)
    for axis, size in zip(axes, shape, strict=True):
        raw = np.asarray(axis.offset + sum(k * at[letter] for letter, k in axis.letters.items()))
        whole = raw // axis.pitch
        there = there & (raw % axis.pitch == 0) & (whole >= 0) & (whole < size)
        index.append(np.clip(whole, 0, size - 1))
    return tuple(np.broadcast_arrays(*index)), there


def scattered(found: Scatter, source: str, target: str, tensors: Tensors, counts: Mapping[str, int]) -> np.ndarray:
    """What every cell of `source` adds, laid into zeros of the target's shape."""
    letters = (*found.free, *found.bound)
    grids = np.meshgrid(*(np.arange(counts[letter]) for letter in letters), indexing="ij", sparse=True)
    at = dict(zip(letters, grids, strict=True))
    cell, _ = positions(found.axes, at, tensors[source].shape)
    to, there = positions(found.target, at, tensors[target].shape)
    by, inside = positions(found.stamp, at, tensors[found.factor].shape)
    product = np.where(there & inside, tensors[source][cell] * tensors[found.factor][by], 0.0)
    total = np.zeros(tensors[target].shape)
    np.add.at(total, tuple(np.broadcast_to(each, product.shape) for each in to), product)
    return total


def case(name: str, settings: dict, kernel: tuple[int, int]) -> tuple[Tensors, dict[str, np.ndarray]]:
    """A layer's tensors by its sentences, and what its kernels store."""
    op = OPS[name](**settings)
    groups = settings.get("groups", 1)
    rng = np.random.default_rng(7)
    inner = (4 // groups, *kernel) if name == "conv2d" else (6 // groups, *kernel)
    x = rng.normal(size=(2, 4, 9, 8))
    tensors = {"x": x, "w": rng.normal(size=(6 if name == "conv2d" else 4, *inner)), "b": rng.normal(size=6)}
    dy = rng.normal(size=op.extents(shapes_of(tensors))["y"])
    dy[rng.random(dy.shape) < 0.5] = 0
    return from_sentences(op, tensors, dy), from_kernels(op, tensors, dy)


@pytest.mark.parametrize(("name", "settings", "kernel"), SETTINGS)
def test_gather_scatter_and_matrix_agree_in_every_cell(name: str, settings: dict, kernel: tuple[int, int]) -> None:
    tensors, stored = case(name, settings, kernel)
    program = tensors.program
    numbers = {**tensors.sizes, **tensors.numbers}
    counts = {letter: tensors.count(letter) for letter in program.all_letters}
    for target, source in (("dx", "dy"), ("dw", "dy"), ("y", "x"), ("y", "w")):
        found = program.scatter(target, source, numbers)
        assert found is not None and found.factor in ("x", "w", "dy")
        total = scattered(found, source, target, tensors, counts)
        bias = stored["y"] - scattered(found, source, "y", tensors, counts) if target == "y" else 0
        if target == "y":
            assert np.allclose(bias, np.asarray(tensors["b"])[:, None, None], rtol=0, atol=1e-12)
        else:
            assert np.allclose(total, stored[target], rtol=1e-12, atol=1e-12)

    # The matrix: a row for each output, from the windows of the forward sentence; the gradient is a column times delta.
    x, w, _ = program.windows("y", numbers)
    free, bound = program.letters("y")
    rng = np.random.default_rng(1)
    cells = [tuple(int(rng.integers(n)) for n in stored["dx"].shape) for _ in range(60)]
    letters = (*free, *bound)
    grids = np.meshgrid(*(np.arange(counts[letter]) for letter in letters), indexing="ij", sparse=True)
    at = dict(zip(letters, grids, strict=True))
    column, inside = positions(tuple(axis for axis in x.axes if axis), at, tensors["x"].shape)
    weights = np.asarray(tensors["w"])[positions(tuple(a for a in w.axes if a), at, tensors["w"].shape)[0]]
    rows = tuple(range(len(free), len(letters)))
    delta = np.asarray(tensors["dy"]).reshape([counts[letter] for letter in free])
    for cell in cells:
        here = inside & np.logical_and.reduce([c == k for c, k in zip(column, cell, strict=True)])
        of_rows = np.where(here, weights, 0.0).sum(axis=rows)
        by_matrix = float((of_rows * delta).sum())
        told = explain(tensors, "dx", cell, per_page=10_000)
        gathered = math.fsum(term.value for term in told.terms)
        assert gathered == pytest.approx(stored["dx"][cell], rel=1e-12, abs=1e-13)
        assert by_matrix == pytest.approx(gathered, rel=1e-12, abs=1e-13)


def test_the_forward_sentence_says_where_a_delta_goes() -> None:
    op = OPS["conv2d"](stride=2, padding=1)
    program = op.program({"x": (1, 1, 5, 5), "w": (1, 1, 3, 3)}).gradients(("x", "w"))
    numbers = {"s": 2, "t": 2, "p": 1, "q": 1, "d": 1, "e": 1, "G": 1, "C": 1, "O": 1}
    assert program.scatter("dx", "dy", numbers) == Scatter(
        ("n", "g", "o", "i", "j"),
        ("c", "u", "v"),
        (_plain("n"), _plain("o"), *map(_plain, "ij")),
        (Axis(1, 0, {"n": 1}), Axis(1, 0, {"c": 1}), Axis(1, -1, {"i": 2, "u": 1}), Axis(1, -1, {"j": 2, "v": 1})),
        "w",
        (Axis(1, 0, {"o": 1}), Axis(1, 0, {"c": 1}), *map(_plain, "uv")),
    )


def _plain(letter: str) -> Axis:
    return Axis(1, 0, {letter: 1})


def test_what_is_no_sum_of_products_of_two_cells_scatters_nothing() -> None:
    pool = Program("x[i]", "y[i] = sum[u](x[2*i+u]) / 2", alike={"u": "i"}).gradients(("x",))
    assert pool.scatter("dx", "dy", {}) is None
    twice = Program("x[i] w[i]", "y[i] = sum[u](x[i+u] * w[u]) + x[i]").gradients(("x",))
    assert twice.scatter("dx", "dy", {}) is None
    square = Program("x[n,i]", "y[n] = sum[i](x[n,i] * x[n,i])").gradients(("x",))
    assert square.scatter("dx", "dy", {}) is None
    assert square.scatter("y", "x", {}) is None
