"""Transposed convolution: every input cell lays a whole kernel, times its value, into the output.

Letter for letter the gradient of a convolution with respect to its input (Dumoulin and Visin, 2016, chapter 4), so the
loops are those of conv2d with forward and backward exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.ops.base import Array, Shape, ShapeError, Shapes, TensorSpec, Words, need_rank, shapes_of
from engine.ops.conv2d import Convolution, conv2d_backward_b, conv2d_backward_w, conv2d_backward_x, conv2d_forward
from engine.ops.window import Span, sides
from engine.settings import Int, Padding, Pair


@cache
def _program(bias: bool) -> Program:
    return Program(
        "x[n,g|c,h,k] w[g|c,o,u,v]" + (" b[g|o]" if bias else ""),
        "y[n,g|o,i,j] = sum[c,u,v](x[n,g|c,(i+p-d*u)/s,(j+q-e*v)/t] * w[g|c,o,u,v])" + (" + b[g|o]" if bias else ""),
    )


def _span(size: int, kernel: int, stride: int, dilation: int, padding: str | tuple[int, int], extra: int) -> Span:
    """The output's axis, over which the kernel slides, for an input of `size` cells."""
    extent = dilation * (kernel - 1) + 1
    if extra >= max(stride, dilation):
        raise ShapeError(f"output_padding {extra}: expected less than the stride {stride} or the dilation {dilation}")
    if padding == "same":
        cut = max(0, extent - stride)
        return Span(size * stride + extra, kernel, stride, dilation, cut // 2, cut - cut // 2)
    before, after = (0, 0) if isinstance(padding, str) else padding
    places = (size - 1) * stride - before - after + extent + extra
    if places < 1:
        pads = "".join(f" - {pad}" for pad in (before, after) if pad) + (f" + {extra}" if extra else "")
        raise ShapeError(f"nothing is left of the output: ({size} - 1) * {stride} + {extent}{pads} = {places}")
    return Span(places, kernel, stride, dilation, before, after)


class ConvTranspose2d(Convolution):
    name = "conv_transpose2d"
    title = "Transposed convolution"
    tensors = {
        "x": TensorSpec("the input (N, C, H, W)"),
        "w": TensorSpec("the kernels (C, out / groups, kernel height, kernel width)"),
        "b": TensorSpec("a bias for each output channel (out)", optional=True),
    }
    settings = {
        "stride": Pair(1, "cells between the kernels of neighbouring inputs"),
        "padding": Padding(0, 'cells cut off around the output; "same": size times stride outputs'),
        "output_padding": Pair(0, "cells added to the output at the bottom and the right", low=0),
        "dilation": Pair(1, "distance between neighbouring weights"),
        "groups": Int(1, "channels are split into so many groups that do not see one another"),
    }
    words = {
        "y": Words(
            "every input lays its kernel into the output",
            "Each output adds up what the kernels that reach it lay there, plus the bias.",
        ),
        "y without bias": Words(
            "every input lays its kernel into the output",
            "Each output adds up what the kernels that reach it lay there.",
        ),
        "dx": Words(
            "the gradient of its input. The kernel lies as it is.",
            "One input reached {window:outputs} of each map and hears from all of them: a convolution of the delta.",
        ),
        "dw": Words(
            "the gradient of one weight. The input lies over the delta.",
            "One weight is used by every input, and hears from every delta that it led to.",
        ),
        "db": Words(
            "the gradient of the bias. It adds up every delta of its map.",
            "The bias is added {each:times} in every image, and hears from {each:deltas} of each.",
        ),
    }
    example_settings = {"stride": 2}
    example_shapes = {"x": (1, 1, 3, 3), "w": (1, 1, 2, 2), "b": (1,)}

    def program(self, shapes: Shapes) -> Program:
        return _program("b" in shapes)

    def spans(self, shapes: Shapes) -> tuple[Span, Span]:
        rows, columns = (
            _span(*axis)
            for axis in zip(
                shapes["x"][2:],
                shapes["w"][2:],
                self.options["stride"],
                self.options["dilation"],
                sides(self.options["padding"]),
                self.options["output_padding"],
                strict=True,
            )
        )
        return rows, columns

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        x = need_rank(shapes, "x", 4, "(N, C, H, W)")
        w = need_rank(shapes, "w", 4, "(C, out / groups, kernel height, kernel width)")
        if x[1] != w[0]:
            raise ShapeError(f"input has {x[1]} channels, the kernels expect {w[0]}")
        self.split(x[1])
        out = w[1] * self.options["groups"]
        self.check_bias(shapes, out)
        rows, columns = self.spans(shapes)
        return {"y": (x[0], out, rows.size, columns.size)}

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x, w = tensors["x"], tensors["w"]
        shapes = shapes_of(tensors)
        y = np.empty(self.extents(shapes)["y"], x.dtype)
        conv2d_backward_x(x, self.turned(w), y, w.shape[2:], self.geometry(shapes))
        if "b" in tensors:
            y += tensors["b"][:, None, None]
        return {"y": y}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        x, w, dy = tensors["x"], tensors["w"], tensors["dy"]
        geometry = self.geometry(shapes_of(tensors))
        found = {name: np.empty(tensors[name[1:]].shape, x.dtype) for name in self.wanted(tensors, wrt)}
        if "dx" in found:
            conv2d_forward(dy, w, np.zeros(w.shape[0], x.dtype), found["dx"], geometry)
        if "dw" in found:
            conv2d_backward_w(dy, x, found["dw"], geometry)
        if "db" in found:
            conv2d_backward_b(dy, found["db"])
        return found

    def parameters(self, shapes: Shapes) -> dict[str, Shape]:
        channels, out, groups = shapes["x"][1], self.options["out"], self.options["groups"]
        self.split(channels)
        if out % groups:
            raise ShapeError(f"{out} output channels cannot be split into {groups} groups")
        wanted: dict[str, Shape] = {"w": (channels, out // groups, *self.options["kernel_size"])}
        return {**wanted, "b": (out,)} if self.options["bias"] else wanted

    def multiply_adds(self, shapes: Shapes) -> int:
        return math.prod(shapes["x"]) * math.prod(shapes["w"][1:])

    def places(self, shapes: Shapes) -> int:
        return math.prod(shapes["x"][2:])

    def torch_module(self, shapes: Shapes) -> str:
        rows, columns = self.spans(shapes)
        channels, share, *kernel_size = shapes["w"]
        out = share * self.options["groups"]
        return (
            f"nn.ConvTranspose2d({channels}, {out}, {tuple(kernel_size)}, {self.options['stride']}, "
            f"{(rows.before, columns.before)}, {self.options['output_padding']}, {self.options['groups']}, "
            f"{'b' in shapes}, {self.options['dilation']})"
        )

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        padding = self.options["padding"]
        same_sides = not isinstance(padding, str) and padding[0] == padding[1] and padding[2] == padding[3]
        return f"{names['self']}({names['x']})" if same_sides or padding == "valid" else ""
