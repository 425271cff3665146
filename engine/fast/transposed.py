"""Transposed convolution: the functions of a convolution, forward and backward exchanged.

Its row is that of the convolution whose gradient it is. What the convolution calls x is here dy, its y is dx, its dy is
x and its dx is y: so stand the planes in the row, and so do C, H, W and O, I, J.
"""

from __future__ import annotations

import numpy as np

from engine.fast.conv import add_up, conv_backward_w, conv_backward_x, conv_forward, conv_gather
from engine.fast.simd import LANES, add, load, splat, store
from engine.fast.wide import everywhere, total, widen
from engine.kernels import part


@part
def transposed_forward(row, parameters, still, arena):  # type: ignore[no-untyped-def]
    """Every input lays its kernel into the output; then the bias."""
    conv_backward_x(row, parameters, still, arena)
    if row.bias >= 0:
        for c in range(row.C):
            bias = splat(parameters[row.bias + c])
            for h in range(row.H):
                for k in range(row.W):
                    at = row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w
                    store(arena, at, add(load(arena, at), bias))


@part
def transposed_backward(row, parameters, still, ones, arena, gradient):  # type: ignore[no-untyped-def]
    conv_backward_w(row, ones, arena, gradient)
    if row.bias >= 0:
        for c in range(row.C):
            found = everywhere(0.0)
            for h in range(row.H):
                for k in range(row.W):
                    found = found + widen(load(arena, row.x_at + c * row.x_c + h * row.x_h + k * row.x_w))
            gradient[row.db + c] += np.float32(total(found, LANES))
    if row.needs_dx:
        conv_forward(row, parameters, still, arena)


@part
def transposed_gather(row, piece, gradients, gradient):  # type: ignore[no-untyped-def]
    """The gradients of an input's kernels; the last piece is that of the bias."""
    if piece < row.O:
        conv_gather(row, piece, gradients, gradient)
    elif row.bias >= 0:
        add_up(gradients, row.db, row.C, gradient, row.bias)
