"""Softmax along one axis: positive shares that add up to one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.kernels import kernel
from engine.ops.base import LETTERS, Array, Op, Shape, ShapeError, Shapes, Words, letters
from engine.settings import Int


@cache
def _program(rank: int, axis: int) -> Program:
    all_of = letters(rank)
    summed = LETTERS[axis]
    rest = ",".join(name for name in LETTERS[:rank] if name != summed)
    one = f"[{rest}]" if rest else ""
    # Two terms of dx, not y * (dy - mean): where all of dy are alike, their difference has no digits left.
    return Program(
        f"x{all_of}",
        f"top{one} = max[{summed}](x{all_of})\n"
        f"e{all_of} = exp(x{all_of} - top{one})\n"
        f"z{one} = sum[{summed}](e{all_of})\n"
        f"y{all_of} = e{all_of} / z{one}",
        held=("top",),
        stated=f"mean{one} = sum[{summed}](y{all_of} * dy{all_of})\n"
               f"dx{all_of} = y{all_of} * dy{all_of} - y{all_of} * mean{one}",
    )


@kernel
def softmax_forward(x, y):  # type: ignore[no-untyped-def]
    """y (outer, K, inner): shares along K. The largest is taken off first so that exp cannot overflow."""
    for a in range(x.shape[0]):
        for b in range(x.shape[2]):
            top = x[a, 0, b]
            for k in range(1, x.shape[1]):
                top = max(top, x[a, k, b])
            z = 0.0
            for k in range(x.shape[1]):
                z += math.exp(np.float64(x[a, k, b]) - np.float64(top))
            for k in range(x.shape[1]):
                y[a, k, b] = math.exp(np.float64(x[a, k, b]) - np.float64(top)) / z


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


class Softmax(Op):
    name = "softmax"
    title = "Softmax"
    saved = ("y",)
    settings = {"axis": Int(1, "the axis whose values become shares; negative counts from the end", low=-64, high=63)}
    words = {
        "top": Words("the largest value is taken off first", "It changes nothing, but keeps exp within range."),
        "e": Words("e to the power of each value", "Every share is positive."),
        "z": Words("the sum of all shares", "Dividing by it makes them add up to one."),
        "y": Words("each share of the whole", "All shares are positive and add up to one."),
        "mean": Words("the mean gradient, every share with its weight"),
        "dx": Words("what one share gains the others lose", "Only what a gradient is above or below the mean counts."),
    }
    example_shapes = {"x": (1, 3)}

    def _axis(self, shape: Shape) -> int:
        axis: int = self.options["axis"]
        if not -len(shape) <= axis < len(shape):
            raise ShapeError(f"x has {len(shape)} axes, there is no axis {axis}")
        return axis % len(shape)

    def program(self, shapes: Shapes) -> Program:
        return _program(len(shapes["x"]), self._axis(shapes["x"]))

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        x = shapes["x"]
        if 0 in x:
            raise ShapeError(f"x is empty: {list(x)}")
        axis = self._axis(x)
        rest = (*x[:axis], *x[axis + 1:])
        return {"y": x, "e": x, "top": rest, "z": rest}

    def _folded(self, x: Array) -> tuple[int, int, int]:
        axis = self._axis(x.shape)
        return (math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1:]))

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x = np.ascontiguousarray(tensors["x"])
        self.extents({"x": tensors["x"].shape})
        folded = self._folded(x)
        y = np.empty(x.shape, x.dtype)
        softmax_forward(x.reshape(folded), y.reshape(folded))
        return {"y": y}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        y, dy = np.ascontiguousarray(tensors["y"]), np.ascontiguousarray(tensors["dy"])
        folded = self._folded(y)
        dx = np.empty(y.shape, y.dtype)
        softmax_backward(y.reshape(folded), dy.reshape(folded), dx.reshape(folded))
        return {"dx": dx}
