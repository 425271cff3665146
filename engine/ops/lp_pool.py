"""Pooling by a norm: the root of the sum of powers of each window, from the plain sum towards the largest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.kernels import kernel, part
from engine.ops.base import Array, Shapes, Words, shapes_of
from engine.ops.pool import CEIL, SETTINGS, Pool
from engine.settings import Float


@cache
def _program(power: float) -> Program:
    """An even power needs no sign; below 1 the slope at 0 is infinite, and is told apart."""
    each = "x[n,c,s*i+u,t*j+v]" if power % 2 == 0 else "abs(x[n,c,s*i+u,t*j+v])"
    each += "**P" if power >= 1 else "**P if x[n,c,s*i+u,t*j+v] != 0 else 0"
    return Program(
        "x[n,c,h,k]",
        f"total[n,c,i,j] = sum[u,v]({each})\ny[n,c,i,j] = total[n,c,i,j]**(1/P) if total[n,c,i,j] != 0 else 0",
    )


@part
def _power_sum(plane, top, left, window, power):  # type: ignore[no-untyped-def]
    """The sum of |x|**power over the cells of plane (H,K) inside the window (U,V) at top, left, in float64."""
    total = 0.0
    for h in range(top, min(plane.shape[0], top + window[0])):
        for k in range(left, min(plane.shape[1], left + window[1])):
            total += abs(np.float64(plane[h, k])) ** power
    return total


@kernel
def lp_pool2d_forward(x, y, power, geometry):  # type: ignore[no-untyped-def]
    """y (N,C,I,J): each window's norm, in float64, rounded once."""
    U, V, s, t = geometry[:4]
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(y.shape[2]):
                for j in range(y.shape[3]):
                    y[n, c, i, j] = _power_sum(x[n, c], s * i, t * j, (U, V), power) ** (1 / power)


@kernel
def lp_pool2d_backward(x, dy, dx, power, geometry):  # type: ignore[no-untyped-def]
    """dx (N,C,H,K), float64: each cell's share of its windows' norms; where a window is all zero, none."""
    U, V, s, t = geometry[:4]
    height, width = x.shape[2], x.shape[3]
    dx[:] = 0
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(dy.shape[2]):
                for j in range(dy.shape[3]):
                    total = _power_sum(x[n, c], s * i, t * j, (U, V), power)
                    if total == 0:
                        continue
                    share = np.float64(dy[n, c, i, j]) * total ** (1 / power - 1)
                    for h in range(s * i, min(height, s * i + U)):
                        for k in range(t * j, min(width, t * j + V)):
                            value = np.float64(x[n, c, h, k])
                            if value != 0:
                                dx[n, c, h, k] += share * math.copysign(abs(value) ** (power - 1), value)


class LpPool2d(Pool):
    """The sum goes over the cells inside: a window that is cut is not scaled up, as PyTorch does in ceil_mode."""

    name = "lp_pool2d"
    cell_work = 25  # a power each
    title = "Norm pooling"
    settings = {
        "norm_type": Float(
            2.0,
            "the power: 1 sums, 2 is the Euclidean length, large ones come near the largest",
            low=0,
            high=1e3,
            above=True,
        ),
        "kernel_size": SETTINGS["kernel_size"],
        "stride": SETTINGS["stride"],
        "ceil_mode": CEIL,
    }
    words = {
        "total": Words("the powers of {window:cells} are added up", "The sign of a value does not count."),
        "y": Words(
            "the length of each window", "The root of the sum of powers: large values count for more than small ones."
        ),
        "dtotal": Words("the gradient through the root"),
        "dx": Words("large values take most of the gradient", "Each of {window:cells} takes its share of the length."),
    }

    def program(self, shapes: Shapes) -> Program:
        return _program(self.options["norm_type"])

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        rows, columns = self.spans(shapes)
        return {
            "U": rows.kernel,
            "V": columns.kernel,
            "s": rows.stride,
            "t": columns.stride,
            "P": self.options["norm_type"],
        }

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x, shapes = tensors["x"], shapes_of(tensors)
        y = np.empty(self.extents(shapes)["y"], x.dtype)
        lp_pool2d_forward(x, y, self.options["norm_type"], self.geometry(shapes))
        return {"y": y}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        x = tensors["x"]
        dx = np.empty(x.shape)
        lp_pool2d_backward(x, tensors["dy"], dx, self.options["norm_type"], self.geometry(shapes_of(tensors)))
        return {"dx": dx.astype(x.dtype, copy=False)}

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        rows, columns = self.spans(shapes)
        if self.options["ceil_mode"]:
            return ""
        return (
            f"F.lp_pool2d({names['x']}.abs(), {self.options['norm_type']}, {(rows.kernel, columns.kernel)}, "
            f"{(rows.stride, columns.stride)})"
        )
