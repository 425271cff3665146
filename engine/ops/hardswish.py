"""Hard swish (Howard et al., 2019): SiLU, its gate drawn with straight lines."""

from __future__ import annotations

import numpy as np

from engine.kernels import kernel
from engine.ops.activations import Pointwise
from engine.ops.base import Words


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
    name = "hardswish"
    title = "Hard swish"
    torch = "F.hardswish({x})"
    sentence = "0 if x <= -3 else x if x >= 3 else x * (x + 3) / 6"
    kernels = (hardswish_forward, hardswish_backward)
    words = {
        "y": Words("every value is its own gate", "Shut below −3, open above 3, and a straight line between."),
        "dx": Words("the gradient through the value and through its gate"),
    }
