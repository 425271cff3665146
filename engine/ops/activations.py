"""Element-wise functions of any rank: what goes in at one cell comes out at the same cell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import ClassVar

import numpy as np

from engine.formula import Program
from engine.kernels import Kernel, kernel
from engine.ops.base import Array, Op, Shapes, Words, letters
from engine.settings import Float


@cache
def _program(sentence: str, rank: int) -> Program:
    at = letters(rank)
    return Program(f"x{at}", f"y{at} = {sentence.replace('x', 'x' + at)}")


class Pointwise(Op):
    """`sentence` says y from x without indices; the kernels take flat arrays and the op's one constant."""

    sentence: ClassVar[str]
    kernels: ClassVar[tuple[Kernel, Kernel]]
    constant: ClassVar[tuple[str, str] | None] = None  # the setting and its name in the sentence

    def program(self, shapes: Shapes) -> Program:
        return _program(self.sentence, len(shapes["x"]))

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        return {self.constant[1]: self._constant()} if self.constant else {}

    def _constant(self) -> float:
        return float(self.options[self.constant[0]]) if self.constant else 0.0

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x = np.ascontiguousarray(tensors["x"])
        y = np.empty(tensors["x"].shape, x.dtype)
        self.kernels[0](x.reshape(-1), y.reshape(-1), x.dtype.type(self._constant()))
        return {"y": y}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        x = np.ascontiguousarray(tensors["x"])
        dx = np.empty(tensors["x"].shape, x.dtype)
        self.kernels[1](x.reshape(-1), np.ascontiguousarray(tensors["dy"]).reshape(-1), dx.reshape(-1),
                        x.dtype.type(self._constant()))
        return {"dx": dx}


@kernel
def relu_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = x[i] if x[i] > 0 else 0


@kernel
def relu_backward(x, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        dx[i] = dy[i] if x[i] > 0 else 0


class Relu(Pointwise):
    name = "relu"
    title = "ReLU"
    sentence = "x if x > 0 else 0"
    kernels = (relu_forward, relu_backward)
    words = {
        "y": Words("the gate lets positive values through",
                   "A positive value passes unchanged, a negative one becomes zero."),
        "dx": Words("the gradient passes where the gate was open",
                    "Where the input was positive the gradient passes unchanged; elsewhere nothing passed, so nothing "
                    "comes back."),
    }


@kernel
def leaky_relu_forward(x, y, slope):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = x[i] if x[i] > 0 else slope * x[i]


@kernel
def leaky_relu_backward(x, dy, dx, slope):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        dx[i] = dy[i] if x[i] > 0 else slope * dy[i]


class LeakyRelu(Pointwise):
    name = "leaky_relu"
    title = "Leaky ReLU"
    sentence = "x if x > 0 else slope*x"
    settings = {"negative_slope": Float(0.01, "slope left of zero")}
    constant = ("negative_slope", "slope")
    kernels = (leaky_relu_forward, leaky_relu_backward)
    words = {
        "y": Words("positive values pass, negative ones are made small",
                   "A positive value passes unchanged, a negative one is multiplied by the slope."),
        "dx": Words("the gradient passes whole or made small, as its value did"),
    }


@kernel
def sigmoid_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        small = math.exp(-abs(x[i]))
        y[i] = 1 / (1 + small) if x[i] >= 0 else small / (1 + small)


@kernel
def sigmoid_backward(x, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        small = math.exp(-abs(x[i]))
        dx[i] = dy[i] * small / ((1 + small) * (1 + small))


class Sigmoid(Pointwise):
    name = "sigmoid"
    title = "Sigmoid"
    sentence = "sigmoid(x)"
    kernels = (sigmoid_forward, sigmoid_backward)
    words = {
        "y": Words("every value is pressed between 0 and 1", "Far from zero the curve is flat."),
        "dx": Words("the gradient times the slope of the curve",
                    "The slope is at most one quarter, at zero, and almost nothing far out."),
    }


@kernel
def tanh_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = math.tanh(x[i])


@kernel
def tanh_backward(x, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        height = math.tanh(x[i])
        dx[i] = dy[i] * (1 - height * height)


class Tanh(Pointwise):
    name = "tanh"
    title = "Tanh"
    sentence = "tanh(x)"
    kernels = (tanh_forward, tanh_backward)
    words = {
        "y": Words("every value is pressed between −1 and 1", "Far from zero the curve is flat."),
        "dx": Words("the gradient times the slope of the curve",
                    "The slope is at most one, at zero, and almost nothing far out."),
    }
