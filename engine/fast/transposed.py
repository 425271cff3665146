"""What a transposed convolution has of its own: its bias.

All else are the functions of a convolution, forward and backward exchanged. Its row is that of the convolution whose
way back it is: what the convolution calls x is here dy, its y is dx, its dy is x and its dx is y. So stand the planes
in the row, and so do C, H, W and O, I, J.
"""

from __future__ import annotations

import numpy as np

from engine.fast.conv import add_up
from engine.fast.simd import LANES, add, load, splat, store
from engine.fast.wide import everywhere, total, widen
from engine.kernels import part


@part
def bias_forward(row, parameters, arena):  # type: ignore[no-untyped-def]
    """Add each channel's bias to what the kernels have laid."""
    if row.bias < 0:
        return
    for c in range(row.C):
        bias = splat(parameters[row.bias + c])
        for h in range(row.H):
            for k in range(row.W):
                at = row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w
                store(arena, at, add(load(arena, at), bias))


@part
def bias_backward(row, arena, gradient):  # type: ignore[no-untyped-def]
    """Add up each channel's deltas."""
    if row.bias < 0:
        return
    for c in range(row.C):
        found = everywhere(0.0)
        for h in range(row.H):
            for k in range(row.W):
                found = found + widen(load(arena, row.x_at + c * row.x_c + h * row.x_h + k * row.x_w))
        gradient[row.db + c] += np.float32(total(found, LANES))


@part
def bias_gather(row, gradients, gradient):  # type: ignore[no-untyped-def]
    if row.bias >= 0:
        add_up(gradients, row.db, row.C, gradient, row.bias)
