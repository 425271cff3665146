"""Average pooling: each window's sum over its count of cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.fast.conv import ONE, ZERO, inside
from engine.fast.pointwise import cell_add, cell_load, cell_splat, cell_store, cell_times
from engine.fast.simd import add, load, splat, store, times
from engine.kernels import part


@part
def _share(row, i, j):  # type: ignore[no-untyped-def]
    """1 over what the sum of a window is divided by: a number that is given (divisor), or how many of the window's
    cells are in the plane, or, where it counts (padded), in the padding."""
    if row.divisor != 0:
        return ONE / np.float32(row.divisor)
    top, left = row.s * i - row.p, row.t * j - row.q
    bottom, right = min(top + row.U, row.H + row.bottom * row.padded), min(left + row.V, row.W + row.right * row.padded)
    if not row.padded:
        top, left = max(top, 0), max(left, 0)
    return ONE / np.float32((bottom - top) * (right - left))


def _average(load: Any, store: Any, splat: Any, add: Any, times: Any) -> Any:
    @part
    def forward(row, arena):  # type: ignore[no-untyped-def]
        for c in range(row.C):
            for i in range(row.I):
                top = row.p - row.s * i
                above, below = inside(top, top + row.H, 1, row.U)
                for j in range(row.J):
                    side = row.q - row.t * j
                    left, right = inside(side, side + row.W, 1, row.V)
                    corner = row.x_at + c * row.x_c - top * row.x_h - side * row.x_w
                    total = splat(ZERO)
                    for u in range(above, below):
                        for v in range(left, right):
                            total = add(total, load(arena, corner + u * row.x_h + v * row.x_w))
                    at = row.y_at + c * row.y_c + i * row.y_h + j * row.y_w
                    store(arena, at, times(total, splat(_share(row, i, j))))

    @part
    def backward(row, arena):  # type: ignore[no-untyped-def]
        """Each cell adds up its even shares of the deltas of its windows."""
        for c in range(row.C):
            for h in range(row.H):
                for k in range(row.W):
                    store(arena, row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w, splat(ZERO))
            for i in range(row.I):
                top = row.p - row.s * i
                above, below = inside(top, top + row.H, 1, row.U)
                for j in range(row.J):
                    side = row.q - row.t * j
                    left, right = inside(side, side + row.W, 1, row.V)
                    corner = row.dx_at + c * row.dx_c - top * row.dx_h - side * row.dx_w
                    dy = load(arena, row.dy_at + c * row.dy_c + i * row.dy_h + j * row.dy_w)
                    share = times(dy, splat(_share(row, i, j)))
                    for u in range(above, below):
                        for v in range(left, right):
                            at = corner + u * row.dx_h + v * row.dx_w
                            store(arena, at, add(load(arena, at), share))

    return forward, backward


average_forward, average_backward = _average(load, store, splat, add, times)
single_average_forward, single_average_backward = _average(cell_load, cell_store, cell_splat, cell_add, cell_times)
