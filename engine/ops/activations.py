"""Element-wise functions of any rank: what goes in at one cell comes out at the same cell.

The kernels compute in float64 and round once, so that a float32 value is what its sentence says, rounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from typing import ClassVar

import numpy as np

from engine.formula import Program
from engine.kernels import Kernel, kernel, part
from engine.ops.base import Array, Op, Shapes, Words, letters
from engine.settings import Float


@cache
def _program(sentence: str, slope: str, rank: int) -> Program:
    at = letters(rank)

    def placed(text: str) -> str:
        return re.sub(r"\b[xy]\b", lambda name: name[0] + at, text)

    return Program(
        f"x{at}", f"y{at} = {placed(sentence)}", stated=f"dx{at} = dy{at} * {placed(slope)}" if slope else ""
    )


class Pointwise(Op):
    """`sentence` says y from x without indices; the kernels take flat arrays and the op's one constant.

    Where the slope is best said by y itself, `slope` does: backward then gets y in place of x, and both the kernel and
    the sentence start from the number that is stored. Said by x it would differ where y is rounded to 1.
    """

    sentence: ClassVar[str]
    slope: ClassVar[str] = ""
    kernels: ClassVar[tuple[Kernel, Kernel]]
    constant: ClassVar[tuple[str, str] | None] = None  # the setting and its name in the sentence

    def program(self, shapes: Shapes) -> Program:
        return _program(self.sentence, self.slope, len(shapes["x"]))

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        return {self.constant[1]: self._constant()} if self.constant else {}

    def _constant(self) -> float:
        return float(self.options[self.constant[0]]) if self.constant else 0.0

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x = tensors["x"]
        y = np.empty(x.shape, x.dtype)
        self.kernels[0](x.reshape(-1), y.reshape(-1), self._constant())
        return {"y": y}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        seen = tensors["y" if self.slope else "x"]
        dx = np.empty(seen.shape, seen.dtype)
        self.kernels[1](seen.reshape(-1), tensors["dy"].reshape(-1), dx.reshape(-1), self._constant())
        return {"dx": dx}


@part
def _sigmoid(x):  # type: ignore[no-untyped-def]
    """Of a float64; exp never overflows."""
    small = math.exp(-abs(x))
    return (1.0 if x >= 0 else small) / (1 + small)


@part
def _normal_share(x):  # type: ignore[no-untyped-def]
    """The share of the normal distribution below a float64; 1 + erf would cancel far to the left."""
    return math.erfc(-x / math.sqrt(2)) / 2


@kernel
def relu_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = 0 if x[i] <= 0 else x[i]  # said so, NaN goes on


@kernel
def relu_backward(x, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        dx[i] = 0 if x[i] <= 0 else dy[i]


class Relu(Pointwise):
    name = "relu"
    title = "ReLU"
    torch = "F.relu({x})"
    sentence = "0 if x <= 0 else x"
    kernels = (relu_forward, relu_backward)
    words = {
        "y": Words(
            "the gate lets positive values through", "A positive value passes unchanged, a negative one becomes zero."
        ),
        "dx": Words(
            "the gradient passes where the gate was open",
            "Where the input was positive the gradient passes unchanged; elsewhere nothing passed, so nothing "
            "comes back.",
        ),
    }


@kernel
def leaky_relu_forward(x, y, slope):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = x[i] if x[i] > 0 else slope * np.float64(x[i])


@kernel
def leaky_relu_backward(x, dy, dx, slope):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        dx[i] = dy[i] if x[i] > 0 else slope * np.float64(dy[i])


class LeakyRelu(Pointwise):
    name = "leaky_relu"
    title = "Leaky ReLU"
    torch = "F.leaky_relu({x}, {negative_slope})"
    sentence = "x if x > 0 else slope*x"
    settings = {"negative_slope": Float(0.01, "slope left of zero")}
    constant = ("negative_slope", "slope")
    kernels = (leaky_relu_forward, leaky_relu_backward)
    words = {
        "y": Words(
            "positive values pass, negative ones are made small",
            "A positive value passes unchanged, a negative one is multiplied by the slope.",
        ),
        "dx": Words("the gradient passes whole or made small, as its value did"),
    }


@kernel
def sigmoid_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = _sigmoid(np.float64(x[i]))


@kernel
def sigmoid_backward(y, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(y.size):
        share = np.float64(y[i])
        dx[i] = np.float64(dy[i]) * share * (1 - share)


class Sigmoid(Pointwise):
    name = "sigmoid"
    title = "Sigmoid"
    torch = "torch.sigmoid({x})"
    sentence = "sigmoid(x)"
    slope = "y * (1 - y)"
    saved = ("y",)
    kernels = (sigmoid_forward, sigmoid_backward)
    words = {
        "y": Words("every value is pressed between 0 and 1", "Far from zero the curve is flat."),
        "dx": Words(
            "the gradient times the slope of the curve",
            "The slope is at most one quarter, at zero, and almost nothing far out.",
        ),
    }


@kernel
def tanh_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = math.tanh(np.float64(x[i]))


@kernel
def tanh_backward(y, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(y.size):
        height = np.float64(y[i])
        dx[i] = np.float64(dy[i]) * (1 - height * height)


class Tanh(Pointwise):
    name = "tanh"
    title = "Tanh"
    torch = "torch.tanh({x})"
    sentence = "tanh(x)"
    slope = "(1 - y**2)"
    saved = ("y",)
    kernels = (tanh_forward, tanh_backward)
    words = {
        "y": Words("every value is pressed between −1 and 1", "Far from zero the curve is flat."),
        "dx": Words(
            "the gradient times the slope of the curve",
            "The slope is at most one, at zero, and almost nothing far out.",
        ),
    }


@kernel
def elu_forward(x, y, alpha):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = x[i] if x[i] > 0 else alpha * math.expm1(np.float64(x[i]))


@kernel
def elu_backward(x, dy, dx, alpha):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        dx[i] = dy[i] if x[i] > 0 else np.float64(dy[i]) * alpha * math.exp(np.float64(x[i]))


class Elu(Pointwise):
    name = "elu"
    title = "ELU"
    torch = "F.elu({x}, {alpha})"
    sentence = "x if x > 0 else alpha*expm1(x)"
    settings = {"alpha": Float(1.0, "how far down negative values may go")}
    constant = ("alpha", "alpha")
    kernels = (elu_forward, elu_backward)
    words = {
        "y": Words(
            "positive values pass, negative ones bend towards a floor",
            "A positive value passes unchanged; a negative one goes along an exponential curve.",
        ),
        "dx": Words("the gradient passes whole or by the slope of the curve"),
    }


@kernel
def softplus_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = max(np.float64(x[i]), 0.0) + math.log1p(math.exp(-abs(np.float64(x[i]))))


@kernel
def softplus_backward(x, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        dx[i] = np.float64(dy[i]) * _sigmoid(np.float64(x[i]))


class Softplus(Pointwise):
    name = "softplus"
    title = "Softplus"
    torch = "F.softplus({x})"
    sentence = "softplus(x)"
    kernels = (softplus_forward, softplus_backward)
    words = {
        "y": Words("a ReLU with a rounded corner", "Far to the right the value passes, far to the left it vanishes."),
        "dx": Words("the gradient times the slope of the curve", "The slope is the sigmoid of the input."),
    }


@kernel
def silu_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = np.float64(x[i]) * _sigmoid(np.float64(x[i]))


@kernel
def silu_backward(x, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        share = _sigmoid(np.float64(x[i]))
        dx[i] = np.float64(dy[i]) * (share + np.float64(x[i]) * share * (1 - share))


class Silu(Pointwise):
    name = "silu"
    title = "SiLU"
    torch = "F.silu({x})"
    sentence = "x * sigmoid(x)"
    kernels = (silu_forward, silu_backward)
    words = {
        "y": Words("every value is its own gate", "The value times its sigmoid."),
        "dx": Words("the gradient through the value and through its gate"),
    }


@kernel
def hardswish_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        at = np.float64(x[i])
        y[i] = 0 if at <= -3 else at if at >= 3 else at * (at + 3) / 6


@kernel
def hardswish_backward(x, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        at = np.float64(x[i])
        dx[i] = 0 if at <= -3 else dy[i] if at >= 3 else np.float64(dy[i]) * ((at + 3) / 6 + at / 6)


class Hardswish(Pointwise):
    """Howard et al., 2019: SiLU, its gate drawn with straight lines."""

    name = "hardswish"
    title = "Hard swish"
    torch = "F.hardswish({x})"
    sentence = "0 if x <= -3 else x if x >= 3 else x * (x + 3) / 6"
    kernels = (hardswish_forward, hardswish_backward)
    words = {
        "y": Words("every value is its own gate", "Shut below −3, open above 3, and a straight line between."),
        "dx": Words("the gradient through the value and through its gate"),
    }


@kernel
def gelu_forward(x, y, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = np.float64(x[i]) * _normal_share(np.float64(x[i]))


@kernel
def gelu_backward(x, dy, dx, _):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        at = np.float64(x[i])
        dx[i] = np.float64(dy[i]) * (_normal_share(at) + at * math.exp(-at * at / 2) / math.sqrt(2 * math.pi))


class Gelu(Pointwise):
    """Hendrycks and Gimpel, 2016; in the form with the error function."""

    name = "gelu"
    title = "GELU"
    torch = "F.gelu({x})"
    sentence = "x * Phi(x)"
    kernels = (gelu_forward, gelu_backward)
    words = {
        "y": Words("every value is its own gate", "The value times the share of a bell curve that lies below it."),
        "dx": Words("the gradient through the value and through its gate"),
    }
