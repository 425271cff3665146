"""Softmax along one axis: positive shares that add up to one; and their logarithms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import ClassVar

import numpy as np

from engine.formula import Program
from engine.kernels import Kernel, kernel, part
from engine.ops.base import LETTERS, Array, Op, Shape, ShapeError, Shapes, Words, letters
from engine.settings import Axis

SHARES = (
    "y{all} = e{all} / z{one}",
    """
    mean{one} = {sum}(y{all} * dy{all})
    dx{all} = y{all} * dy{all} - y{all} * mean{one}""",
)

LOGARITHMS = (
    "y{all} = x{all} - top{one} - log(z{one})",
    """
    total{one} = {sum}(dy{all})
    dx{all} = dy{all} - exp(y{all}) * total{one}""",
)


@cache
def _program(rank: int, axis: int, sentences: tuple[str, str]) -> Program:
    """`sentences` says y, then dx; in two terms, not y * (dy - mean): where all of dy are alike, their difference has
    no digits left. A single number has no axis to run along."""
    rest = ",".join(name for name in LETTERS[:rank] if name != LETTERS[axis])
    along = f"[{LETTERS[axis]}]"
    at = {
        "all": letters(rank),
        "one": f"[{rest}]" if rest else "",
        "max": f"max{along}" if rank else "",
        "sum": f"sum{along}" if rank else "",
    }
    first = "top{one} = {max}(x{all})\ne{all} = exp(x{all} - top{one})\nz{one} = {sum}(e{all})\n"
    y, dx = (text.format_map(at) for text in (first + sentences[0], sentences[1]))
    return Program(f"x{at['all']}", y, held=("top",), stated=dx)


@part
def _whole(x, a, b):  # type: ignore[no-untyped-def]
    """The largest along K, taken off first so that exp cannot overflow, and the sum of exp of what is left."""
    top = x[a, 0, b]
    for k in range(1, x.shape[1]):
        top = max(top, x[a, k, b])
    z = 0.0
    for k in range(x.shape[1]):
        z += math.exp(np.float64(x[a, k, b]) - np.float64(top))
    return np.float64(top), z


@kernel
def softmax_forward(x, y):  # type: ignore[no-untyped-def]
    """y (outer, K, inner): shares along K."""
    for a in range(x.shape[0]):
        for b in range(x.shape[2]):
            top, z = _whole(x, a, b)
            for k in range(x.shape[1]):
                y[a, k, b] = math.exp(np.float64(x[a, k, b]) - top) / z


@kernel
def softmax_backward(y, dy, dx):  # type: ignore[no-untyped-def]
    """dx = y * dy - y * mean, with the mean of dy by the shares y."""
    for a in range(y.shape[0]):
        for b in range(y.shape[2]):
            mean = 0.0
            for k in range(y.shape[1]):
                mean += np.float64(y[a, k, b]) * np.float64(dy[a, k, b])
            for k in range(y.shape[1]):
                dx[a, k, b] = np.float64(y[a, k, b]) * np.float64(dy[a, k, b]) - np.float64(y[a, k, b]) * mean


@kernel
def log_softmax_forward(x, y):  # type: ignore[no-untyped-def]
    """y (outer, K, inner): x less the logarithm of the sum of exp along K."""
    for a in range(x.shape[0]):
        for b in range(x.shape[2]):
            top, z = _whole(x, a, b)
            for k in range(x.shape[1]):
                y[a, k, b] = np.float64(x[a, k, b]) - top - math.log(z)


@kernel
def log_softmax_backward(y, dy, dx):  # type: ignore[no-untyped-def]
    """dx = dy - exp(y) * total, with the sum of dy."""
    for a in range(y.shape[0]):
        for b in range(y.shape[2]):
            total = 0.0
            for k in range(y.shape[1]):
                total += np.float64(dy[a, k, b])
            for k in range(y.shape[1]):
                dx[a, k, b] = np.float64(dy[a, k, b]) - math.exp(np.float64(y[a, k, b])) * total


class Along(Op):
    """What both have in common: one axis of an array of any rank, and a gradient that starts from y."""

    saved = ("y",)
    sentences: ClassVar[tuple[str, str]]
    kernels: ClassVar[tuple[Kernel, Kernel]]
    settings = {"axis": Axis(1, "the axis whose values become shares; negative counts from the end")}
    example_shapes = {"x": (1, 3)}

    def _axis(self, shape: Shape) -> int:
        axis: int = self.options["axis"]
        rank = max(1, len(shape))
        if not -rank <= axis < rank:
            raise ShapeError(f"x has {len(shape)} axes, there is no axis {axis}")
        return axis % rank

    def program(self, shapes: Shapes) -> Program:
        return _program(len(shapes["x"]), self._axis(shapes["x"]), self.sentences)

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        x = shapes["x"]
        if 0 in x:
            raise ShapeError(f"x is empty: {list(x)}")
        axis = self._axis(x)
        rest = (*x[:axis], *x[axis + 1 :])
        return {"y": x, "e": x, "top": rest, "z": rest}

    def _folded(self, x: Array) -> tuple[int, int, int]:
        axis = self._axis(x.shape)
        if not x.ndim:
            return (1, 1, 1)
        return (math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :]))

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x = tensors["x"]
        self.extents({"x": x.shape})
        folded = self._folded(x)
        y = np.empty(x.shape, x.dtype)
        self.kernels[0](x.reshape(folded), y.reshape(folded))
        return {"y": y}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        y, dy = tensors["y"], tensors["dy"]
        folded = self._folded(y)
        dx = np.empty(y.shape, y.dtype)
        self.kernels[1](y.reshape(folded), dy.reshape(folded), dx.reshape(folded))
        return {"dx": dx}


class Softmax(Along):
    name = "softmax"
    title = "Softmax"
    torch = "F.softmax({x}, {axis})"
    sentences = SHARES
    kernels = (softmax_forward, softmax_backward)
    words = {
        "top": Words("the largest value is taken off first", "It changes nothing, but keeps exp within range."),
        "e": Words("e to the power of each value", "Every share is positive."),
        "z": Words("the sum of all shares", "Dividing by it makes them add up to one."),
        "y": Words("each share of the whole", "All shares are positive and add up to one."),
        "mean": Words("the mean gradient, every share with its weight"),
        "dx": Words("what one share gains the others lose", "Only what a gradient is above or below the mean counts."),
    }


class LogSoftmax(Along):
    name = "log_softmax"
    title = "Log-softmax"
    torch = "F.log_softmax({x}, {axis})"
    sentences = LOGARITHMS
    kernels = (log_softmax_forward, log_softmax_backward)
    words = {
        "top": Words("the largest value is taken off first", "It changes nothing, but keeps exp within range."),
        "e": Words("e to the power of each value"),
        "z": Words("the sum of these powers"),
        "y": Words("the logarithm of each share of the whole", "All are at most zero; the largest is nearest to it."),
        "total": Words("the sum of the gradients along the axis"),
        "dx": Words("the gradient, less its share of all the others", "Raising one value lowers every other share."),
    }
