"""A fully connected layer: every output is a weighted sum of every input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.kernels import sum_kernel
from engine.ops.base import Array, Shape, ShapeError, Shapes, TensorSpec, Words, need_rank, shapes_of
from engine.ops.weighted import Weighted
from engine.settings import REQUIRED, Bool, Int


@cache
def _program(bias: bool) -> Program:
    return Program(
        "x[n,c] w[o,c]" + (" b[o]" if bias else ""), "y[n,o] = sum[c](x[n,c] * w[o,c])" + (" + b[o]" if bias else "")
    )


@sum_kernel
def linear_forward(x, w, b, y):  # type: ignore[no-untyped-def]
    """y (N,out) from x (N,in), w (out,in), b (out)."""
    for n in range(x.shape[0]):
        for o in range(w.shape[0]):
            total = x[n, 0] * w[o, 0]
            for c in range(1, x.shape[1]):
                total += x[n, c] * w[o, c]
            y[n, o] = total + b[o]


@sum_kernel
def linear_backward_x(dy, w, dx):  # type: ignore[no-untyped-def]
    """dx (N,in)."""
    for n in range(dx.shape[0]):
        dx[n, :] = 0
        for o in range(w.shape[0]):
            delta = dy[n, o]
            for c in range(dx.shape[1]):
                dx[n, c] += delta * w[o, c]


@sum_kernel
def linear_backward_w(x, dy, dw, db):  # type: ignore[no-untyped-def]
    """dw (out,in) and db (out)."""
    for o in range(dw.shape[0]):
        dw[o, :] = 0
        db[o] = 0
        for n in range(x.shape[0]):
            delta = dy[n, o]
            db[o] += delta
            for c in range(dw.shape[1]):
                dw[o, c] += delta * x[n, c]


class Linear(Weighted):
    name = "linear"
    title = "Fully connected"
    tensors = {
        "x": TensorSpec("the input (N, in)"),
        "w": TensorSpec("the weights (out, in)"),
        "b": TensorSpec("a bias for each output (out)", optional=True),
    }
    gradients = ("dx", "dw", "db")
    torch = "{self}({x})"
    layer_settings = {
        "out": Int(REQUIRED, "outputs", high=2**20, example=10, title="outputs"),
        "bias": Bool(True, "add a bias to each output"),
    }
    words = {
        "y": Words("every input has a weight for every output", "{C:products}, plus the bias."),
        "y without bias": Words("every input has a weight for every output", "One product for each input, added up."),
        "dx": Words(
            "each input hears from every output it reached", "{O:deltas}, each times the weight it came through."
        ),
        "dw": Words(
            "the delta of its output times the value of its input",
            "Each image adds one product: the value that went in times the delta that came back.",
        ),
        "db": Words("the gradient of the bias is the delta of its output", "Each image of the batch adds its delta."),
    }
    example_shapes = {"x": (1, 3), "w": (2, 3), "b": (2,)}

    def program(self, shapes: Shapes) -> Program:
        return _program("b" in shapes)

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        x = need_rank(shapes, "x", 2, "(N, in)")
        w = need_rank(shapes, "w", 2, "(out, in)")
        if x[1] != w[1]:
            raise ShapeError(f"input has {x[1]} values, the weights expect {w[1]}")
        self.check_bias(shapes, w[0])
        return {"y": (x[0], w[0])}

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x, w, b = tensors["x"], tensors["w"], tensors.get("b")
        y = np.empty(self.extents(shapes_of(tensors))["y"], x.dtype)
        linear_forward(x, w, np.zeros(w.shape[0], x.dtype) if b is None else b, y)
        return {"y": y}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        x, w, dy = tensors["x"], tensors["w"], tensors["dy"]
        wanted = self.wanted(tensors, wrt)
        found: dict[str, Array] = {}
        if "dx" in wanted:
            found["dx"] = np.empty(x.shape, x.dtype)
            linear_backward_x(dy, w, found["dx"])
        if "dw" in wanted or "db" in wanted:
            both = {"dw": np.empty(w.shape, x.dtype), "db": np.empty(w.shape[0], x.dtype)}
            linear_backward_w(x, dy, both["dw"], both["db"])
            found.update({name: both[name] for name in both if name in wanted})
        return found

    def parameters(self, shapes: Shapes) -> dict[str, Shape]:
        x = need_rank(shapes, "x", 2, "(N, in); a flatten layer before it makes it so")
        out = self.options["out"]
        wanted: dict[str, Shape] = {"w": (out, x[1])}
        return {**wanted, "b": (out,)} if self.options["bias"] else wanted

    def multiply_adds(self, shapes: Shapes) -> int:
        return shapes["x"][0] * math.prod(shapes["w"])

    def torch_module(self, shapes: Shapes) -> str:
        out, size = shapes["w"]
        return f"nn.Linear({size}, {out}, {'b' in shapes})"
