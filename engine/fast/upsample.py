"""Upsampling: every cell becomes a block of cells alike."""

from __future__ import annotations

from engine.fast.simd import load, store_first
from engine.fast.wide import everywhere, narrow, widen
from engine.kernels import part


@part
def upsample_forward(row, arena):  # type: ignore[no-untyped-def]
    """y[c, U*h + u, V*k + v] = x[c,h,k]."""
    for c in range(row.C):
        for i in range(row.I):
            x_at, y_at = row.x_at + c * row.x_c + i // row.U * row.x_h, row.y_at + c * row.y_c + i * row.y_h
            for j in range(row.J):
                store_first(arena, y_at + j * row.y_w, load(arena, x_at + j // row.V * row.x_w), row.lanes)


@part
def upsample_backward(row, arena):  # type: ignore[no-untyped-def]
    """dx = the sum of a block's deltas."""
    for c in range(row.C):
        for h in range(row.H):
            for k in range(row.W):
                found = everywhere(0.0)
                for i in range(row.U * h, row.U * (h + 1)):
                    for j in range(row.V * k, row.V * (k + 1)):
                        found = found + widen(load(arena, row.dy_at + c * row.dy_c + i * row.dy_h + j * row.dy_w))
                store_first(arena, row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w, narrow(found), row.lanes)
