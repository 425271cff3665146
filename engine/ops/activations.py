"""Element-wise functions of any rank: what goes in at one cell comes out at the same cell."""

from __future__ import annotations

import math
import re
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
    return Program(f"x{at}", f"y{at} = " + re.sub(r"\bx\b", f"x{at}", sentence))


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


@kernel
def elu_forward(x, y, alpha):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = x[i] if x[i] > 0 else alpha * math.expm1(x[i])


@kernel
def elu_backward(x, dy, dx, alpha):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        dx[i] = dy[i] if x[i] > 0 else dy[i] * alpha * math.exp(x[i])


class Elu(Pointwise):
    name = "elu"
    title = "ELU"
    sentence = "x if x > 0 else alpha*expm1(x)"
    settings = {"alpha": Float(1.0, "how far down negative values may go")}
    constant = ("alpha", "alpha")
    kernels = (elu_forward, elu_backward)
    words = {
        "y": Words("positive values pass, negative ones bend towards a floor",
                   "A positive value passes unchanged; a negative one goes along an exponential curve."),
        "dx": Words("the gradient passes whole or by the slope of the curve"),
    }


@kernel
def softplus_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = max(x[i], 0) + math.log1p(math.exp(-abs(x[i])))


@kernel
def softplus_backward(x, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        small = math.exp(-abs(x[i]))
        dx[i] = dy[i] / (1 + small) if x[i] >= 0 else dy[i] * small / (1 + small)


class Softplus(Pointwise):
    name = "softplus"
    title = "Softplus"
    sentence = "softplus(x)"
    kernels = (softplus_forward, softplus_backward)
    words = {
        "y": Words("a ReLU with a rounded corner", "Far to the right the value passes, far to the left it vanishes."),
        "dx": Words("the gradient times the slope of the curve", "The slope is the sigmoid of the input."),
    }


@kernel
def silu_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = x[i] / (1 + math.exp(-x[i]))


@kernel
def silu_backward(x, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        share = 1 / (1 + math.exp(-x[i]))
        dx[i] = dy[i] * (share + x[i] * share * (1 - share))


class Silu(Pointwise):
    name = "silu"
    title = "SiLU"
    sentence = "x * sigmoid(x)"
    kernels = (silu_forward, silu_backward)
    words = {
        "y": Words("every value is its own gate", "The value times its sigmoid."),
        "dx": Words("the gradient through the value and through its gate"),
    }


@kernel
def gelu_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = x[i] * math.erfc(-x[i] * math.sqrt(0.5)) / 2


@kernel
def gelu_backward(x, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        share = math.erfc(-x[i] * math.sqrt(0.5)) / 2
        dx[i] = dy[i] * (share + x[i] * math.exp(-x[i] * x[i] / 2) / math.sqrt(2 * math.pi))


class Gelu(Pointwise):
    """Hendrycks and Gimpel, 2016; in the form with the error function."""

    name = "gelu"
    title = "GELU"
    sentence = "x * Phi(x)"
    kernels = (gelu_forward, gelu_backward)
    words = {
        "y": Words("every value is its own gate", "The value times the share of a bell curve that lies below it."),
        "dx": Words("the gradient through the value and through its gate"),
    }
