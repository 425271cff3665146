"""PReLU (He et al., 2015): a leaky ReLU whose slope is learned, one for each channel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.kernels import kernel
from engine.ops.base import Array, Op, Shape, ShapeError, Shapes, TensorSpec, Words, letters, shapes_of
from engine.settings import Float


@cache
def _program(rank: int) -> Program:
    at = letters(rank)
    return Program(f"x{at} slope[c]", f"y{at} = x{at} if x{at} > 0 else slope[c]*x{at}")


@kernel
def prelu_forward(x, slope, y):  # type: ignore[no-untyped-def]
    """y (N,C,inner)."""
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(x.shape[2]):
                y[n, c, i] = x[n, c, i] if x[n, c, i] > 0 else slope[c] * np.float64(x[n, c, i])


@kernel
def prelu_backward(x, slope, dy, dx, dslope):  # type: ignore[no-untyped-def]
    """dx (N,C,inner) and dslope (C)."""
    for c in range(x.shape[1]):
        total = 0.0
        for n in range(x.shape[0]):
            for i in range(x.shape[2]):
                shut = not x[n, c, i] > 0
                dx[n, c, i] = slope[c] * np.float64(dy[n, c, i]) if shut else dy[n, c, i]
                total += np.float64(dy[n, c, i]) * x[n, c, i] if shut else 0.0
        dslope[c] = total


class Prelu(Op):
    name = "prelu"
    title = "PReLU"
    torch = "{self}({x})"
    torch_names = {"weight": "slope"}
    tensors = {"x": TensorSpec("the input (N, C, ...)"), "slope": TensorSpec("the slope left of zero, by channel (C)")}
    gradients = ("dx", "dslope")
    layer_settings = {"init": Float(0.25, "the first slope of every channel")}
    words = {
        "y": Words(
            "positive values pass, negative ones are multiplied by a slope that is learned",
            "Each channel has a slope of its own.",
        ),
        "dx": Words("the gradient passes whole or times the slope, as its value did"),
        "dslope": Words(
            "the slope hears from every negative value of its channel",
            "The delta times the value; positive values did not meet the slope.",
        ),
    }
    example_shapes = {"x": (2, 2, 2, 3), "slope": (2,)}

    def program(self, shapes: Shapes) -> Program:
        return _program(len(shapes["x"]))

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        x = shapes["x"]
        if len(x) < 2:
            raise ShapeError(f"x has {len(x)} axes {list(x)}, expected at least 2: (N, C, ...)")
        if 0 in x:
            raise ShapeError(f"x is empty: {list(x)}")
        if shapes["slope"] != (x[1],):
            raise ShapeError(f"slope has shape {list(shapes['slope'])}, expected [{x[1]}], one for each channel")
        return {"y": x}

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x = tensors["x"]
        y = np.empty(self.extents(shapes_of(tensors))["y"], x.dtype)
        prelu_forward(_folded(x), tensors["slope"], _folded(y))
        return {"y": y}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        x, slope, dy = tensors["x"], tensors["slope"], tensors["dy"]
        found = {"dx": np.empty(x.shape, x.dtype), "dslope": np.empty(slope.shape, x.dtype)}
        prelu_backward(_folded(x), slope, _folded(dy), _folded(found["dx"]), found["dslope"])
        return {name: found[name] for name in self.wanted(tensors, wrt)}

    def parameters(self, shapes: Shapes) -> dict[str, Shape]:
        if len(shapes["x"]) < 2:
            raise ShapeError(f"x has {len(shapes['x'])} axes, expected at least 2: (N, C, ...)")
        return {"slope": (shapes["x"][1],)}

    def initial(self, name: str, shapes: Shapes, rng: np.random.Generator) -> Array:
        return np.full(shapes[name], self.options["init"])

    def origin(self, name: str, shapes: Shapes, seed: int) -> str:
        return f"starts at {self.options['init']:g}"

    def multiply_adds(self, shapes: Shapes) -> int:
        return math.prod(shapes["x"])

    def torch_module(self, shapes: Shapes) -> str:
        return f"nn.PReLU({shapes['x'][1]}, {self.options['init']})"


def _folded(x: Array) -> Array:
    """(N,C,inner)"""
    return x.reshape(x.shape[0], x.shape[1], -1)
