"""Convolution in two dimensions: a window of x times a kernel, summed over channels.

Sources: Rossi, "output size" and "gradients"; Jefkine, equations for dE/dw and dE/dx. As in every library the kernel is
not turned (cross-correlation) unless `flip_kernel` asks for the convolution of mathematics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.kernels import part, sum_kernel
from engine.ops.base import Array, Shape, ShapeError, Shapes, TensorSpec, Words, need_rank, shapes_of
from engine.ops.weighted import Weighted
from engine.ops.window import Span, even, reckoned, spans, torch_pad
from engine.settings import REQUIRED, Bool, Choice, Int, Padding, Pair

Geometry = tuple[int, int, int, int, int, int]  # stride s t, pad before p q, dilation d e


@cache
def _program(flip: bool, bias: bool) -> Program:
    kernel = "w[g|o,c,U-1-u,V-1-v]" if flip else "w[g|o,c,u,v]"
    return Program(
        "x[n,g|c,h,k] w[g|o,c,u,v]" + (" b[g|o]" if bias else ""),
        f"y[n,g|o,i,j] = sum[c,u,v](x[n,g|c,s*i+d*u-p,t*j+e*v-q] * {kernel})" + (" + b[g|o]" if bias else ""),
    )


@part
def _windows(x, geometry, kernel, plane, seen):  # type: ignore[no-untyped-def]
    """seen[(c,u,v), (i,j)] = x[c, s*i+d*u-p, t*j+e*v-q], and 0 outside: what each weight sees at each place."""
    s, t, p, q, d, e = geometry
    channels, height, width = x.shape
    rows, columns = plane
    row = 0
    for c in range(channels):
        for u in range(kernel[0]):
            for v in range(kernel[1]):
                shift = e * v - q
                first = min(max(0, -(shift // t)), columns)
                last = max(first, min(columns, (width - 1 - shift) // t + 1))
                for i in range(rows):
                    h = s * i + d * u - p
                    start = i * columns
                    if h < 0 or h >= height:
                        seen[row, start : start + columns] = 0
                        continue
                    seen[row, start : start + first] = 0
                    seen[row, start + last : start + columns] = 0
                    if t == 1:
                        for j in range(first, last):
                            seen[row, start + j] = x[c, h, j + shift]
                    else:
                        for j in range(first, last):
                            seen[row, start + j] = x[c, h, t * j + shift]
                row += 1


@part
def _add_rows(total, weights, rows):  # type: ignore[no-untyped-def]
    """total += sum over k of weights[k] * rows[k], four rows at a time."""
    count = rows.shape[0]
    whole = count - count % 4
    for k in range(0, whole, 4):
        a, b, c, d = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        for m in range(total.size):
            total[m] += a * rows[k, m] + b * rows[k + 1, m] + c * rows[k + 2, m] + d * rows[k + 3, m]
    for k in range(whole, count):
        for m in range(total.size):
            total[m] += weights[k] * rows[k, m]


@part
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = a[0] * b[0]
    for m in range(1, a.size):
        total += a[m] * b[m]
    return total


@sum_kernel
def conv2d_forward(x, w, b, y, geometry):  # type: ignore[no-untyped-def]
    """y (N,O,I,J) from x (N,C,H,K), w (O,C/groups,U,V), b (O)."""
    outputs, depth, U, V = w.shape
    groups = x.shape[1] // depth
    share = outputs // groups
    rows, columns = y.shape[2], y.shape[3]
    seen = np.empty((depth * U * V, rows * columns), x.dtype)
    weights = w.reshape(outputs, depth * U * V)
    for n in range(x.shape[0]):
        for g in range(groups):
            _windows(x[n, g * depth : (g + 1) * depth], geometry, (U, V), (rows, columns), seen)
            for o in range(g * share, (g + 1) * share):
                total = y[n, o].reshape(rows * columns)
                total[:] = b[o]
                _add_rows(total, weights[o], seen)


@sum_kernel
def conv2d_backward_w(x, dy, dw, geometry):  # type: ignore[no-untyped-def]
    """dw (O,C/groups,U,V): every weight times what it saw, summed over places and images."""
    outputs, depth, U, V = dw.shape
    groups = x.shape[1] // depth
    share = outputs // groups
    rows, columns = dy.shape[2], dy.shape[3]
    seen = np.empty((depth * U * V, rows * columns), x.dtype)
    weights = dw.reshape(outputs, depth * U * V)
    weights[:] = 0
    for n in range(x.shape[0]):
        for g in range(groups):
            _windows(x[n, g * depth : (g + 1) * depth], geometry, (U, V), (rows, columns), seen)
            for o in range(g * share, (g + 1) * share):
                delta = dy[n, o].reshape(rows * columns)
                for k in range(depth * U * V):
                    weights[o, k] += _dot(delta, seen[k])


@sum_kernel
def conv2d_backward_b(dy, db):  # type: ignore[no-untyped-def]
    """db (O): the delta summed over places and images."""
    for o in range(dy.shape[1]):
        db[o] = 0
        for n in range(dy.shape[0]):
            plane = dy[n, o].reshape(dy.shape[2] * dy.shape[3])
            total = plane[0]
            for m in range(1, plane.size):
                total += plane[m]
            db[o] += total


@sum_kernel
def conv2d_backward_x(dy, turned, dx, kernel, geometry):  # type: ignore[no-untyped-def]
    """dx (N,C,H,K): each delta goes back through the weights to the cells that its window saw.

    `turned` holds w as (groups, C/groups * U * V, O/groups), so that the deltas of one place are added up before they
    are laid into dx.
    """
    s, t, p, q, d, e = geometry
    groups, taps, share = turned.shape
    U, V = kernel
    rows, columns = dy.shape[2], dy.shape[3]
    height, width = dx.shape[2], dx.shape[3]
    depth = taps // (U * V)
    heard = np.empty(rows * columns, dy.dtype)
    dx[:] = 0
    for n in range(dx.shape[0]):
        for g in range(groups):
            deltas = dy[n, g * share : (g + 1) * share].reshape(share, rows * columns)
            for tap in range(taps):
                heard[:] = 0
                _add_rows(heard, turned[g, tap], deltas)
                plane = dx[n, g * depth + tap // (U * V)]
                u = tap // V % U
                shift = e * (tap % V) - q
                first = min(max(0, -(shift // t)), columns)
                last = max(first, min(columns, (width - 1 - shift) // t + 1))
                for i in range(rows):
                    h = s * i + d * u - p
                    if h < 0 or h >= height:
                        continue
                    if t == 1:
                        for j in range(first, last):
                            plane[h, j + shift] += heard[i * columns + j]
                    else:
                        for j in range(first, last):
                            plane[h, t * j + shift] += heard[i * columns + j]


class Convolution(Weighted):
    """What a convolution and its transpose share: kernels and biases, and how a network starts them."""

    gradients = ("dx", "dw", "db")
    layer_settings = {
        "out": Int(REQUIRED, "output channels", example=8, title="maps"),
        "kernel_size": Pair(REQUIRED, "cells of the kernel", example=3, title="kernel"),
        "bias": Bool(True, "add a bias to each output channel"),
    }

    def spans(self, shapes: Shapes) -> tuple[Span, Span]:
        """Rows and columns of the window that slides."""
        raise NotImplementedError

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        rows, columns = self.spans(shapes)
        return {
            "s": rows.stride,
            "t": columns.stride,
            "p": rows.before,
            "q": columns.before,
            "d": rows.dilation,
            "e": columns.dilation,
            "G": self.options["groups"],
        }

    def geometry(self, shapes: Shapes) -> Geometry:
        rows, columns = self.spans(shapes)
        return (rows.stride, columns.stride, rows.before, columns.before, rows.dilation, columns.dilation)

    def turned(self, w: Array) -> Array:
        """w as conv2d_backward_x reads it."""
        groups = self.options["groups"]
        return np.ascontiguousarray(w.reshape(groups, w.shape[0] // groups, -1).transpose(0, 2, 1))

    def places(self, shapes: Shapes) -> int:
        """How many places the kernels take on one map."""
        raise NotImplementedError

    def scratch(self, shapes: Shapes) -> int:
        return math.prod(shapes["w"][1:]) * self.places(shapes)

    def work(self, shapes: Shapes) -> float:
        """The inner loops run over the places, so few of them cost more each; the windows are copied out first."""
        short = 12 * self.multiply_adds(shapes) / self.places(shapes)
        windows = 4 * shapes["x"][0] * self.options["groups"] * self.scratch(shapes)
        return super().work(shapes) + short + windows

    def split(self, channels: int) -> int:
        """The channels of one group."""
        groups: int = self.options["groups"]
        if channels % groups:
            raise ShapeError(f"input has {channels} channels, which cannot be split into {groups} groups")
        return channels // groups


class Conv2d(Convolution):
    name = "conv2d"
    title = "Convolution"
    tensors = {
        "x": TensorSpec("the input (N, C, H, W)"),
        "w": TensorSpec("the kernels (out, C / groups, kernel height, kernel width)"),
        "b": TensorSpec("a bias for each output channel (out)", optional=True),
    }
    settings = {
        "stride": Pair(1, "cells the window moves at a time"),
        "padding": Padding(0, "zeros around the input", words=("valid", "same", "full")),
        "dilation": Pair(1, "distance between neighbouring weights"),
        "groups": Int(1, "channels are split into so many groups that do not see one another"),
        "flip_kernel": Bool(False, "turn the kernel by 180 degrees first: the convolution of mathematics"),
    }
    layer_settings = {
        **Convolution.layer_settings,
        "rounding": Choice(
            "exact",
            "where the stride does not divide what is left: exact refuses, floor leaves it unread, as PyTorch does",
            options=("exact", "floor"),
        ),
    }
    words = {
        "y": Words(
            "the kernel looks at {window:pixels} and writes one number",
            "{Window:pixels}, each times its weight, plus the bias.",
        ),
        "y without bias": Words(
            "the kernel looks at {window:pixels} and writes one number", "{Window:pixels}, each times its weight."
        ),
        "y of maps": Words(
            "{c:maps}, {c:kernels}, one sum",
            "{Terms:products}, grouped by the map they come from. Open a map to see its {window}.",
        ),
        "y flipped": Words(
            "the kernel, turned by 180°, looks at {window:pixels} and writes one number",
            "A true convolution: the first weight meets the last pixel.",
        ),
        "dx": Words(
            "the gradient of its input. The kernel is turned by 180°.",
            "At most {heard:outputs} read this cell. The minus signs in δ’s index turn the kernel.",
        ),
        "dx of maps": Words(
            "the gradient of its input. The kernel is turned by 180°.",
            "At most {heard:outputs} in each of {o:maps} read this cell. The minus signs in δ’s index turn the kernel.",
        ),
        "dx apart": Words(
            "the gradient of its input. The kernel is turned by 180°.",
            "At most {heard:outputs} in each of {o:maps} read this cell: zeros stand between the deltas where the "
            "stride left cells out. The minus signs in δ’s index turn the kernel.",
        ),
        "dx of one": Words(
            "the gradient of its input. Each delta times its one weight.",
            "A kernel of one cell does not turn. At most one output in each of {o:maps} reads this cell.",
        ),
        "dx flipped": Words(
            "the gradient of its input. The kernel lies as it is.",
            "At most {heard:outputs} of each map read this cell. The kernel was turned on the way "
            "forward, so it is not on the way back.",
        ),
        "dw": Words(
            "the gradient of one weight. The delta lies over the input.",
            "One weight is used {each:times} in every image, and hears from {each:deltas} of each.",
        ),
        "db": Words(
            "the gradient of the bias. It adds up every delta of its map.",
            "The bias is added {each:times} in every image, and hears from {each:deltas} of each.",
        ),
    }
    example_shapes = {"x": (1, 1, 4, 4), "w": (1, 1, 3, 3), "b": (1,)}

    def program(self, shapes: Shapes) -> Program:
        return _program(self.options["flip_kernel"], "b" in shapes)

    def spans(self, shapes: Shapes) -> tuple[Span, Span]:
        return spans(
            shapes["x"][2:], shapes["w"][2:], self.options["stride"], self.options["dilation"], self.options["padding"]
        )

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        x = need_rank(shapes, "x", 4, "(N, C, H, W)")
        w = need_rank(shapes, "w", 4, "(out, C / groups, kernel height, kernel width)")
        groups = self.options["groups"]
        if x[1] != w[1] * groups:
            kernel = f"{w[1]}" if groups == 1 else f"{w[1]} in each of {groups} groups"
            raise ShapeError(f"input has {x[1]} channels, the kernel expects {kernel}")
        if w[0] % groups:
            raise ShapeError(f"{w[0]} output channels cannot be split into {groups} groups")
        self.check_bias(shapes, w[0])
        rows, columns = self.spans(shapes)
        return {"y": (x[0], w[0], rows.count(), columns.count())}

    def check_fit(self, shapes: Shapes) -> None:
        if self.options["padding"] != "same" and self.options.get("rounding") != "floor":
            for span in self.spans(shapes):
                span.check_fit()

    def arithmetic(self, shapes: Shapes) -> str:
        return reckoned(*self.spans(shapes))

    def _kernel(self, w: Array) -> Array:
        """w as the loops read it: turned by 180 degrees when asked for."""
        return np.ascontiguousarray(w[:, :, ::-1, ::-1]) if self.options["flip_kernel"] else w

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x, w = tensors["x"], tensors["w"]
        shapes = shapes_of(tensors)
        y = np.empty(self.extents(shapes)["y"], x.dtype)
        b = tensors.get("b")
        conv2d_forward(x, self._kernel(w), np.zeros(w.shape[0], x.dtype) if b is None else b, y, self.geometry(shapes))
        return {"y": y}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        x, w, dy = tensors["x"], tensors["w"], tensors["dy"]
        geometry = self.geometry(shapes_of(tensors))
        wanted = self.wanted(tensors, wrt)
        found: dict[str, Array] = {}
        if "dx" in wanted:
            found["dx"] = np.empty(x.shape, x.dtype)
            conv2d_backward_x(dy, self.turned(self._kernel(w)), found["dx"], w.shape[2:], geometry)
        if "dw" in wanted:
            dw = np.empty(w.shape, x.dtype)
            conv2d_backward_w(x, dy, dw, geometry)
            found["dw"] = self._kernel(dw)
        if "db" in wanted:
            found["db"] = np.empty(w.shape[0], x.dtype)
            conv2d_backward_b(dy, found["db"])
        return found

    def parameters(self, shapes: Shapes) -> dict[str, Shape]:
        out = self.options["out"]
        wanted: dict[str, Shape] = {"w": (out, self.split(shapes["x"][1]), *self.options["kernel_size"])}
        return {**wanted, "b": (out,)} if self.options["bias"] else wanted

    def multiply_adds(self, shapes: Shapes) -> int:
        return math.prod(self.extents(shapes)["y"]) * math.prod(shapes["w"][1:])

    def places(self, shapes: Shapes) -> int:
        return math.prod(self.extents(shapes)["y"][2:])

    def wording(self, tensor: str, counts: Mapping[str, int]) -> str:
        if tensor == "dx" and counts.get("u", 1) * counts.get("v", 1) == 1:
            return "dx of one"
        if self.options["flip_kernel"] and tensor in ("y", "dx"):
            return f"{tensor} flipped"
        if tensor == "dx" and max(self.options["stride"]) > 1:
            return "dx apart"
        if counts.get({"y": "c", "dx": "o"}.get(tensor, ""), 1) > 1:
            return f"{tensor} of maps"
        return super().wording(tensor, counts)

    def told(self, counts: Mapping[str, int]) -> Mapping[str, int]:
        """`heard`: the most outputs of one map that read one cell; a stride passes over the others."""
        heard = 1
        for letter, stride, dilation in zip("uv", self.options["stride"], self.options["dilation"], strict=True):
            heard *= -(-counts.get(letter, 1) // (stride // math.gcd(stride, dilation)))
        return {"heard": heard}

    def torch_module(self, shapes: Shapes) -> str:
        rows, columns = self.spans(shapes)
        padding = (rows.before, columns.before) if even(rows, columns) else 0
        out, _, *kernel_size = shapes["w"]
        return (
            f"nn.Conv2d({shapes['x'][1]}, {out}, {tuple(kernel_size)}, {self.options['stride']}, {padding}, "
            f"{self.options['dilation']}, {self.options['groups']}, {'b' in shapes})"
        )

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        layer, x = names["self"], names["x"]
        if not even(*self.spans(shapes)):
            x = torch_pad(x, *self.spans(shapes))
        if self.options["flip_kernel"]:
            own = ", ".join(f"{layer}.{name}" for name in ("bias", "stride", "padding", "dilation", "groups"))
            return f"F.conv2d({x}, {layer}.weight.flip(2, 3), {own})"
        return f"{layer}({x})"
