"""Pooling: the largest or the mean of each window.

Sources: Jefkine and Rossi, the routes of the gradient; notes on backpropagation through a CNN, 1/K² for the mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import ClassVar

import numpy as np

from engine.formula import Program
from engine.kernels import kernel
from engine.ops.base import Array, Op, Shape, ShapeError, Shapes, TensorSpec, Words, need_rank, shapes_of
from engine.ops.window import Span, even, reckoned, spans, torch_pad
from engine.settings import REQUIRED, Bool, Int, Padding, Pair

Geometry = tuple[int, int, int, int, int, int, int, int]  # window U V, stride s t, pad before p q, dilation d e


class Pool(Op):
    """What pools share: a window that moves over each map on its own."""

    tensors = {"x": TensorSpec("the input (N, C, H, W)")}
    example_settings = {"kernel_size": 2}
    cell_work: ClassVar[float] = 4  # a cell of a window, in multiply-adds

    def spans(self, shapes: Shapes) -> tuple[Span, Span]:
        kernel_size = self.options["kernel_size"]
        return spans(
            shapes["x"][2:],
            kernel_size,
            self.options["stride"] or kernel_size,
            self.options.get("dilation", (1, 1)),
            self.options.get("padding", "valid"),
        )

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        rows, columns = self.spans(shapes)
        return {
            "U": rows.kernel,
            "V": columns.kernel,
            "s": rows.stride,
            "t": columns.stride,
            "p": rows.before,
            "q": columns.before,
            "d": rows.dilation,
            "e": columns.dilation,
        }

    def plane(self, shapes: Shapes) -> tuple[int, int]:
        need_rank(shapes, "x", 4, "(N, C, H, W)")
        sizes = []
        for axis, span in zip(("height", "width"), self.spans(shapes), strict=True):
            if max(span.before, span.after) >= span.extent:
                raise ShapeError(
                    f"padding {max(span.before, span.after)} reaches past a window of {span.extent} "
                    f"cells ({axis}): expected less than {span.extent}"
                )
            sizes.append(span.count(self.options.get("ceil_mode", False)))
        return (sizes[0], sizes[1])

    def arithmetic(self, shapes: Shapes) -> str:
        return reckoned(*self.spans(shapes))

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        return {"y": (*shapes["x"][:2], *self.plane(shapes))}

    def work(self, shapes: Shapes) -> float:
        rows, columns = self.spans(shapes)
        cells = math.prod(self.extents(shapes)["y"]) * rows.kernel * columns.kernel
        return super().work(shapes) + self.cell_work * cells

    def as_torch_pads(self, shapes: Shapes) -> bool:
        """Whether PyTorch's own pools take this padding: alike on opposite sides, at most half the window."""
        rows, columns = self.spans(shapes)
        return even(rows, columns) and 2 * rows.before <= rows.kernel and 2 * columns.before <= columns.kernel

    def geometry(self, shapes: Shapes) -> Geometry:
        rows, columns = self.spans(shapes)
        return (
            rows.kernel,
            columns.kernel,
            rows.stride,
            columns.stride,
            rows.before,
            columns.before,
            rows.dilation,
            columns.dilation,
        )


SETTINGS = {
    "kernel_size": Pair(REQUIRED, "cells of the window", example=2, title="window"),
    "stride": Pair(None, "cells the window moves at a time; null: as its size"),
    "padding": Padding(0, "cells around the input that never win (max) or count as zero (mean)"),
}
CEIL = Bool(False, "keep a last window that reaches past the edge")


@cache
def _max_program() -> Program:
    return Program(
        "x[n,c,h,k]",
        "y[n,c,i,j] = max[u,v](x[n,c,s*i+d*u-p,t*j+e*v-q])\n"
        "indices[n,c,i,j] = argmax[u,v](x[n,c,s*i+d*u-p,t*j+e*v-q], (s*i+d*u-p)*K + (t*j+e*v-q))",
    )


@kernel
def max_pool2d_forward(x, y, indices, geometry):  # type: ignore[no-untyped-def]
    """y and indices (N,C,I,J); a later cell must be larger to win, so the first in reading order takes a tie."""
    U, V, s, t, p, q, d, e = geometry
    height, width = x.shape[2], x.shape[3]
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(y.shape[2]):
                for j in range(y.shape[3]):
                    best = -np.inf
                    winner = -1
                    for u in range(U):
                        h = s * i + d * u - p
                        if h < 0 or h >= height:
                            continue
                        for v in range(V):
                            k = t * j + e * v - q
                            if k < 0 or k >= width:
                                continue
                            value = x[n, c, h, k]
                            if value > best or winner < 0 or (value != value and best == best):
                                best = value
                                winner = h * width + k
                    y[n, c, i, j] = best
                    indices[n, c, i, j] = winner


@kernel
def max_pool2d_backward(dy, indices, dx):  # type: ignore[no-untyped-def]
    """dx (N,C,H*W): each delta goes to its winner."""
    dx[:] = 0
    for n in range(dy.shape[0]):
        for c in range(dy.shape[1]):
            for i in range(dy.shape[2]):
                for j in range(dy.shape[3]):
                    dx[n, c, indices[n, c, i, j]] += dy[n, c, i, j]


class MaxPool2d(Pool):
    name = "max_pool2d"
    title = "Max pooling"
    results = ("y", "indices")
    saved = ("indices",)
    indexes = ("indices",)
    settings = {**SETTINGS, "dilation": Pair(1, "distance between neighbouring cells of the window"), "ceil_mode": CEIL}
    words = {
        "y": Words(
            "the largest of {window} wins",
            "Only the largest of {window:values} goes on. In a tie the first in reading order wins.",
        ),
        "indices": Words(
            "where the winner stood: row times width plus column", "The way back is remembered on the way forward."
        ),
        "dx": Words(
            "the winner takes the whole gradient, the others get zero",
            "Only the largest of {window:values} reached the output, so only it can change the error. "
            "In a tie the first in reading order wins.",
        ),
    }

    def program(self, shapes: Shapes) -> Program:
        return _max_program()

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        shape = super().extents(shapes)["y"]
        for axis, span, count in zip(("row", "column"), self.spans(shapes), shape[2:], strict=True):
            for place in range(count):
                start = place * span.stride - span.before
                if not any(0 <= start + step * span.dilation < span.size for step in range(span.kernel)):
                    raise ShapeError(f"the window at {axis} {place} sees only padding, so nothing can win")
        return {"y": shape, "indices": shape}

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x, shapes = tensors["x"], shapes_of(tensors)
        shape = self.extents(shapes)["y"]
        y, indices = np.empty(shape, x.dtype), np.empty(shape, np.int32)
        max_pool2d_forward(x, y, indices, self.geometry(shapes))
        return {"y": y, "indices": indices}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        x, dy = tensors["x"], tensors["dy"]
        dx = np.empty((*x.shape[:2], x.shape[2] * x.shape[3]), x.dtype)
        max_pool2d_backward(dy, tensors["indices"], dx)
        return {"dx": dx.reshape(x.shape)}

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        rows, columns = self.spans(shapes)
        x, padding = names["x"], (rows.before, columns.before)
        if not self.as_torch_pads(shapes):
            if self.options["ceil_mode"]:
                return ""
            x, padding = torch_pad(x, rows, columns, "float('-inf')"), (0, 0)
        return (
            f"F.max_pool2d({x}, {(rows.kernel, columns.kernel)}, {(rows.stride, columns.stride)}, {padding}, "
            f"{(rows.dilation, columns.dilation)}, {self.options['ceil_mode']})"
        )


@cache
def _mean_program(divisor: str) -> Program:
    mean = "y[n,c,i,j] = sum[u,v](x[n,c,s*i+u-p,t*j+v-q]) / "
    if divisor == "window":
        return Program("x[n,c,h,k]", mean + "(U*V)")
    if divisor == "override":
        return Program("x[n,c,h,k]", mean + "divisor")
    inside = {
        "inside": "(0 <= s*i+u-p < H) * (0 <= t*j+v-q < K)",
        "padded": "(s*i+u-p < H+bottom) * (t*j+v-q < K+right)",
    }[divisor]
    return Program("x[n,c,h,k]", f"cells[i,j] = sum[u,v]({inside})\n{mean}cells[i,j]")


@kernel
def avg_pool2d_forward(x, counts, y, geometry):  # type: ignore[no-untyped-def]
    """y (N,C,I,J): each window's sum over counts (I,J)."""
    U, V, s, t, p, q = geometry[:6]
    height, width = x.shape[2], x.shape[3]
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(y.shape[2]):
                for j in range(y.shape[3]):
                    total = x.dtype.type(0)
                    for h in range(max(0, s * i - p), min(height, s * i - p + U)):
                        for k in range(max(0, t * j - q), min(width, t * j - q + V)):
                            total += x[n, c, h, k]
                    y[n, c, i, j] = total / counts[i, j]


@kernel
def avg_pool2d_backward(dy, counts, dx, geometry):  # type: ignore[no-untyped-def]
    """dx (N,C,H,K): each delta is shared out evenly."""
    U, V, s, t, p, q = geometry[:6]
    height, width = dx.shape[2], dx.shape[3]
    dx[:] = 0
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            for i in range(dy.shape[2]):
                for j in range(dy.shape[3]):
                    share = dy[n, c, i, j] / counts[i, j]
                    for h in range(max(0, s * i - p), min(height, s * i - p + U)):
                        for k in range(max(0, t * j - q), min(width, t * j - q + V)):
                            dx[n, c, h, k] += share


class AvgPool2d(Pool):
    name = "avg_pool2d"
    title = "Average pooling"
    settings = {
        **SETTINGS,
        "ceil_mode": CEIL,
        "count_include_pad": Bool(True, "padding counts in the divisor"),
        "divisor_override": Int(
            None, "divide by this instead of the number of cells", low=-(2**31), high=2**31, optional=True, nonzero=True
        ),
    }
    words = {
        "y": Words("the mean of {window:cells}", "{Window:values}, each with the same share."),
        "cells": Words("how many cells the window counts", "The sum is divided by this."),
        "dx": Words(
            "the gradient is shared out evenly",
            "{Window:values} made the mean together, so each takes an even share of the gradient.",
        ),
    }

    def _divisor(self, shapes: Shapes) -> str:
        """How the divisor is said: a number, the window's size, or counted where windows are cut."""
        if self.options["divisor_override"] is not None:
            return "override"
        if self.options["count_include_pad"]:
            cut = any(
                (span.count(self.options["ceil_mode"]) - 1) * span.stride + span.kernel
                > span.size + span.before + span.after
                for span in self.spans(shapes)
            )
            return "padded" if cut else "window"
        whole = all(
            (span.count(self.options["ceil_mode"]) - 1) * span.stride + span.kernel <= span.size and span.before == 0
            for span in self.spans(shapes)
        )
        return "window" if whole else "inside"

    def program(self, shapes: Shapes) -> Program:
        return _mean_program(self._divisor(shapes))

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        rows, columns = self.spans(shapes)
        numbers = {**super().numbers(shapes), "bottom": rows.after, "right": columns.after}
        override = self.options["divisor_override"]
        return numbers if override is None else {**numbers, "divisor": override}

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        shape = super().extents(shapes)["y"]
        return {"y": shape, "cells": shape[2:]}

    def counts(self, shapes: Shapes, dtype: np.dtype) -> Array:
        """The divisor at each place (I,J)."""
        plane = self.plane(shapes)
        override = self.options["divisor_override"]
        if override is not None:
            return np.full(plane, override, dtype)
        along = []
        for span, count in zip(self.spans(shapes), plane, strict=True):
            start = np.arange(count) * span.stride - span.before
            stop = start + span.kernel
            if self.options["count_include_pad"]:
                along.append(np.minimum(stop, span.size + span.after) - start)
            else:
                along.append(np.minimum(stop, span.size) - np.maximum(start, 0))
        return np.multiply.outer(*along).astype(dtype)

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x, shapes = tensors["x"], shapes_of(tensors)
        y = np.empty(self.extents(shapes)["y"], x.dtype)
        avg_pool2d_forward(x, self.counts(shapes, x.dtype), y, self.geometry(shapes))
        return {"y": y}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        x, shapes = tensors["x"], shapes_of(tensors)
        dx = np.empty(x.shape, x.dtype)
        avg_pool2d_backward(tensors["dy"], self.counts(shapes, x.dtype), dx, self.geometry(shapes))
        return {"dx": dx}

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        rows, columns = self.spans(shapes)
        window = f"{(rows.kernel, columns.kernel)}, {(rows.stride, columns.stride)}"
        override = self.options["divisor_override"]
        if self.as_torch_pads(shapes):
            return (
                f"F.avg_pool2d({names['x']}, {window}, {(rows.before, columns.before)}, "
                f"{self.options['ceil_mode']}, {self.options['count_include_pad']}, {override})"
            )
        if self.options["ceil_mode"]:
            return ""
        x = torch_pad(names["x"], rows, columns)
        if self.options["count_include_pad"] or override is not None:
            return f"F.avg_pool2d({x}, {window}, divisor_override={override})"
        inside = torch_pad(f"torch.ones_like({names['x']})", rows, columns)
        return f"F.avg_pool2d({x}, {window}) / F.avg_pool2d({inside}, {window})"
