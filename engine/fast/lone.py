"""What a layer does with one image by itself. In a batch of fewer images than lanes most of every vector would be
zeros, so they go one by one, and a vector holds LANES pixels of a row, or LANES inputs of a linear layer.

Convolutions are those of `loops`: to them a plane is turned, as `plan` says. What is here goes mostly number
by number. Beyond a row's end stand zeros, as many as make up whole vectors.
"""

from __future__ import annotations

import numpy as np

from engine.fast.loops import LOWEST, ONE, ZERO, add_weights, inside, product
from engine.fast.simd import (
    LANES,
    evens,
    if_above,
    if_equal,
    load,
    odds,
    splat,
    store,
    store_first,
    zip_high,
    zip_low,
)
from engine.kernels import part
from engine.ops.dropout import is_kept


@part
def wipe(arena, at, size, strides, beyond):  # type: ignore[no-untyped-def]
    """Zeros in the last numbers, `beyond` in all, of the vectors of a turned plane's rows."""
    channels, vectors, rows = size
    for c in range(channels):
        for i in range(rows):
            end = at + c * strides[0] + vectors * LANES + i * strides[1]
            for k in range(end - beyond, end):
                arena[k] = ZERO


@part
def lone_linear_forward(row, parameters, arena):  # type: ignore[no-untyped-def]
    """y[o] = b[o] + sum over c of w[o,c] * x[c], then ReLU where it is fused."""
    whole = row.C - row.C % LANES
    for o in range(row.O):
        total = parameters[row.b + o] if row.b >= 0 else ZERO
        for c in range(whole, row.C):
            total += parameters[row.w + o * row.C + c] * arena[row.x_at + c]
        arena[row.y_at + o] = total
    add_weights(arena, parameters, arena, (row.y_at, row.w, row.x_at), (1, 0, row.C, 0), (row.O, 1),
                (whole // LANES, 1), (LANES, LANES, 0, 0))
    if row.relu:
        _gate(arena, row.y_at, row.y_at, row.O)


@part
def _gate(arena, values, gated, count):  # type: ignore[no-untyped-def]
    """0 where a value is not above 0."""
    for o in range(count):
        if arena[values + o] <= ZERO:
            arena[gated + o] = ZERO


@part
def lone_linear_backward(row, parameters, still, arena, kept):  # type: ignore[no-untyped-def]
    """dx[c] = sum over o of w[o,c] * dy[o]; x and dy are kept as keep_linear keeps them of a chunk's first image."""
    if row.relu:
        _gate(arena, row.y_at, row.dy_at, row.O)
    whole = row.C - row.C % LANES
    for c in range(0, whole, LANES):
        store(kept, row.kept + c * LANES, load(arena, row.x_at + c))
    for c in range(whole, row.C):
        store(kept, row.kept + c * LANES, splat(ZERO))
        kept[row.kept + c * LANES] = arena[row.x_at + c]
    for o in range(row.O):
        store(kept, row.kept + (row.C + o) * LANES, splat(ZERO))
        kept[row.kept + (row.C + o) * LANES] = arena[row.dy_at + o]
    if row.needs_dx:
        product(arena, arena, parameters, still, (row.dx_at, row.dy_at, row.w, 0), (0, LANES, 0, LANES, 0),
                (1, whole // LANES), (row.O, 1, 1), (1, row.C, 0, 0, 0, 0), LOWEST)
        for c in range(whole, row.C):
            total = ZERO
            for o in range(row.O):
                total += parameters[row.w + o * row.C + c] * arena[row.dy_at + o]
            arena[row.dx_at + c] = total


@part
def lone_relu_forward(row, arena):  # type: ignore[no-untyped-def]
    for c in range(row.C):
        for h in range(row.H):
            for k in range(row.W):
                x = arena[row.x_at + c * row.x_c + h * row.x_h + k]
                arena[row.y_at + c * row.y_c + h * row.y_h + k] = ZERO if x <= ZERO else x


@part
def lone_relu_backward(row, arena):  # type: ignore[no-untyped-def]
    for c in range(row.C):
        for h in range(row.H):
            for k in range(row.W):
                y = arena[row.y_at + c * row.y_c + h * row.y_h + k]
                dy = arena[row.dy_at + c * row.dy_c + h * row.dy_h + k]
                arena[row.dx_at + c * row.dx_c + h * row.dx_h + k] = ZERO if y <= ZERO else dy


@part
def lone_dropout_forward(row, key, image, learning, arena):  # type: ignore[no-untyped-def]
    """The mask waits in the scratch."""
    size = row.C * row.H * row.W
    scale = np.float32(1 / (1 - row.rate)) if row.rate < 1 else ZERO
    cell = 0
    for c in range(row.C):
        for h in range(row.H):
            for k in range(row.W):
                mask = ONE
                if learning:
                    mask = scale if is_kept(key, np.uint64(image * size + cell), row.rate) else ZERO
                arena[row.scratch + cell] = mask
                x = arena[row.x_at + c * row.x_c + h * row.x_h + k]
                arena[row.y_at + c * row.y_c + h * row.y_h + k] = x * mask
                cell += 1


@part
def lone_dropout_backward(row, arena):  # type: ignore[no-untyped-def]
    cell = 0
    for c in range(row.C):
        for h in range(row.H):
            for k in range(row.W):
                dy = arena[row.dy_at + c * row.dy_c + h * row.dy_h + k]
                arena[row.dx_at + c * row.dx_c + h * row.dx_h + k] = dy * arena[row.scratch + cell]
                cell += 1


@part
def _halve(row, arena):  # type: ignore[no-untyped-def]
    """lone_max_pool_forward for windows of 2x2 side by side, LANES windows at a time."""
    for c in range(row.C):
        for i in range(row.I):
            for j in range(0, row.J, LANES):
                at = row.x_at + c * row.x_c + 2 * i * row.x_h + 2 * j
                left, right = load(arena, at), load(arena, at + LANES)
                best, other = evens(left, right), odds(left, right)
                best = if_above(other, best, other, best)
                left, right = load(arena, at + row.x_h), load(arena, at + row.x_h + LANES)
                other = evens(left, right)
                best = if_above(other, best, other, best)
                other = odds(left, right)
                store_first(arena, row.y_at + c * row.y_c + i * row.y_h + j, if_above(other, best, other, best),
                            row.J - j)


@part
def _double(row, arena):  # type: ignore[no-untyped-def]
    """lone_max_pool_backward for the same."""
    zero = splat(ZERO)
    floor = splat(ZERO if row.relu else LOWEST)
    for c in range(row.C):
        for i in range(row.I):
            for j in range(0, row.J, LANES):
                best = load(arena, row.y_at + c * row.y_c + i * row.y_h + j)
                rest = if_above(best, floor, load(arena, row.dy_at + c * row.dy_c + i * row.dy_h + j), zero)
                for u in range(2):
                    at = row.x_at + c * row.x_c + (2 * i + u) * row.x_h + 2 * j
                    back = row.dx_at + c * row.dx_c + (2 * i + u) * row.dx_h + 2 * j
                    left, right = load(arena, at), load(arena, at + LANES)
                    x = evens(left, right)
                    first = if_equal(x, best, rest, zero)
                    rest = if_equal(x, best, zero, rest)
                    x = odds(left, right)
                    second = if_equal(x, best, rest, zero)
                    rest = if_equal(x, best, zero, rest)
                    count = 2 * (row.J - j)
                    store_first(arena, back, zip_low(first, second), count)
                    store_first(arena, back + LANES, zip_high(first, second), count - LANES)


@part
def lone_max_pool_forward(row, arena):  # type: ignore[no-untyped-def]
    """y[c,i,j] = the largest of the window's cells inside the plane."""
    if row.halves:
        _halve(row, arena)
        return
    for c in range(row.C):
        for i in range(row.I):
            top = row.p - row.s * i
            above, below = inside(top, top + row.H, row.d, row.U)
            for j in range(row.J):
                side = row.q - row.t * j
                left, right = inside(side, side + row.W, row.e, row.V)
                corner = row.x_at + c * row.x_c - top * row.x_h - side
                best = LOWEST
                for u in range(above, below):
                    for v in range(left, right):
                        x = arena[corner + u * row.d * row.x_h + v * row.e]
                        best = best if x <= best else x
                arena[row.y_at + c * row.y_c + i * row.y_h + j] = best


@part
def lone_max_pool_backward(row, arena):  # type: ignore[no-untyped-def]
    """Each delta goes to its window's first cell that equals the largest; where a ReLU before the pool is fused, only
    if that is above 0. Cells of windows that overlap add up what they are given."""
    if row.halves:
        _double(row, arena)
        return
    if row.overlap:
        for c in range(row.C):
            for h in range(row.H):
                for k in range(row.W):
                    arena[row.dx_at + c * row.dx_c + h * row.dx_h + k] = ZERO
    for c in range(row.C):
        for i in range(row.I):
            top = row.p - row.s * i
            above, below = inside(top, top + row.H, row.d, row.U)
            for j in range(row.J):
                side = row.q - row.t * j
                left, right = inside(side, side + row.W, row.e, row.V)
                corner = row.x_at + c * row.x_c - top * row.x_h - side
                back = row.dx_at + c * row.dx_c - top * row.dx_h - side
                best = arena[row.y_at + c * row.y_c + i * row.y_h + j]
                rest = arena[row.dy_at + c * row.dy_c + i * row.dy_h + j]
                if row.relu and best <= ZERO:
                    rest = ZERO
                for u in range(above, below):
                    for v in range(left, right):
                        at = back + u * row.d * row.dx_h + v * row.e
                        taken = ZERO
                        if arena[corner + u * row.d * row.x_h + v * row.e] == best:
                            taken, rest = rest, ZERO
                        arena[at] = arena[at] + taken if row.overlap else taken
