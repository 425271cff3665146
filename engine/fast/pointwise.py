"""Layers without weights, which go cell by cell: ReLU, dropout, pooling.

A cell is a vector, of a chunk's images, or a number, of an image by itself; the loops are the same, and each is made
once for either. Only pooling by halves is said twice, as its cells lie side by side in a vector of a single image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.fast.conv import LOWEST, NAN, ONE, ZERO, inside
from engine.fast.simd import (
    LANES,
    add,
    evens,
    if_above,
    if_winner,
    larger,
    load,
    odds,
    splat,
    store,
    store_first,
    times,
    zip_high,
    zip_low,
)
from engine.kernels import part
from engine.ops.dropout import is_kept


@part
def cell_load(array, at):  # type: ignore[no-untyped-def]
    return array[at]


@part
def cell_store(array, at, number):  # type: ignore[no-untyped-def]
    array[at] = number


@part
def cell_splat(number):  # type: ignore[no-untyped-def]
    return number


@part
def cell_add(a, b):  # type: ignore[no-untyped-def]
    return a + b


@part
def cell_times(a, b):  # type: ignore[no-untyped-def]
    return a * b


@part
def _if_above(a, b, then, otherwise):  # type: ignore[no-untyped-def]
    return otherwise if a <= b else then


@part
def _larger(a, b):  # type: ignore[no-untyped-def]
    return a if a > b or a != a else b


@part
def _if_winner(a, largest, then, otherwise):  # type: ignore[no-untyped-def]
    return then if a == largest or a != a else otherwise


def _relu(load: Any, store: Any, splat: Any, if_above: Any) -> Any:
    @part
    def forward(row, arena):  # type: ignore[no-untyped-def]
        zero = splat(ZERO)
        for c in range(row.C):
            for h in range(row.H):
                for k in range(row.W):
                    x = load(arena, row.x_at + c * row.x_c + h * row.x_h + k * row.x_w)
                    store(arena, row.y_at + c * row.y_c + h * row.y_h + k * row.y_w, if_above(x, zero, x, zero))

    @part
    def backward(row, arena):  # type: ignore[no-untyped-def]
        zero = splat(ZERO)
        for c in range(row.C):
            for h in range(row.H):
                for k in range(row.W):
                    dy = load(arena, row.dy_at + c * row.dy_c + h * row.dy_h + k * row.dy_w)
                    y = load(arena, row.y_at + c * row.y_c + h * row.y_h + k * row.y_w)
                    store(arena, row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w, if_above(y, zero, dy, zero))

    return forward, backward


relu_forward, relu_backward = _relu(load, store, splat, if_above)
single_relu_forward, single_relu_backward = _relu(cell_load, cell_store, cell_splat, _if_above)


@part
def close_gate(row, arena):  # type: ignore[no-untyped-def]
    """dy becomes 0 where the ReLU that is fused into a layer with weights let nothing through."""
    zero = splat(ZERO)
    for o in range(row.O):
        for i in range(row.I):
            for j in range(row.J):
                at = row.dy_at + o * row.dy_c + i * row.dy_h + j * row.dy_w
                y = load(arena, row.y_at + o * row.y_c + i * row.y_h + j * row.y_w)
                store(arena, at, if_above(y, zero, load(arena, at), zero))


def _dropout(lanes: int, load: Any, store: Any, times: Any) -> Any:
    @part
    def forward(row, key, first, training, arena):  # type: ignore[no-untyped-def]
        """The same mask as the readable layer draws: of a cell's number in the whole batch. It waits in the scratch."""
        size = row.C * row.H * row.W
        scale = np.float32(1 / (1 - row.constant)) if row.constant < 1 else ZERO
        cell = 0
        for c in range(row.C):
            for h in range(row.H):
                for k in range(row.W):
                    mask = row.scratch + cell * lanes
                    for lane in range(lanes):
                        kept = not training or is_kept(key, np.uint64((first + lane) * size + cell), row.constant)
                        arena[mask + lane] = (scale if training else ONE) if kept else ZERO
                    x = load(arena, row.x_at + c * row.x_c + h * row.x_h + k * row.x_w)
                    store(arena, row.y_at + c * row.y_c + h * row.y_h + k * row.y_w, times(x, load(arena, mask)))
                    cell += 1

    @part
    def backward(row, arena):  # type: ignore[no-untyped-def]
        cell = 0
        for c in range(row.C):
            for h in range(row.H):
                for k in range(row.W):
                    dy = load(arena, row.dy_at + c * row.dy_c + h * row.dy_h + k * row.dy_w)
                    store(
                        arena,
                        row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w,
                        times(dy, load(arena, row.scratch + cell * lanes)),
                    )
                    cell += 1

    return forward, backward


dropout_forward, dropout_backward = _dropout(LANES, load, store, times)
single_dropout_forward, single_dropout_backward = _dropout(1, cell_load, cell_store, cell_times)


# pooling --------------------------------------------------------------------------------------------------------------


def _max_pool(
    halve: Any,
    double: Any,
    load: Any,
    store: Any,
    splat: Any,
    add: Any,
    larger: Any,
    if_above: Any,
    if_winner: Any,
) -> Any:
    """`halve` and `double` do in its place what windows of 2x2 side by side want."""

    @part
    def forward(row, arena):  # type: ignore[no-untyped-def]
        """y[c,i,j] = the largest of the window's cells inside the plane, NaN where one is NaN."""
        if row.halves:
            halve(row, arena)
            return
        for c in range(row.C):
            for i in range(row.I):
                top = row.p - row.s * i
                above, below = inside(top, top + row.H, row.d, row.U)
                for j in range(row.J):
                    side = row.q - row.t * j
                    left, right = inside(side, side + row.W, row.e, row.V)
                    corner = row.x_at + c * row.x_c - top * row.x_h - side * row.x_w
                    best = splat(LOWEST)
                    for u in range(above, below):
                        for v in range(left, right):
                            x = load(arena, corner + u * row.d * row.x_h + v * row.e * row.x_w)
                            best = larger(x, best)
                    store(arena, row.y_at + c * row.y_c + i * row.y_h + j * row.y_w, best)

    @part
    def backward(row, arena):  # type: ignore[no-untyped-def]
        """Each delta goes to its window's first cell that equals the largest, or is NaN; where a ReLU before the pool
        is fused, only if that is not below 0 or 0. Cells of windows that overlap add up what they are given."""
        if row.halves:
            double(row, arena)
            return
        zero = splat(ZERO)
        if row.overlap:
            for c in range(row.C):
                for h in range(row.H):
                    for k in range(row.W):
                        store(arena, row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w, zero)
        for c in range(row.C):
            for i in range(row.I):
                top = row.p - row.s * i
                above, below = inside(top, top + row.H, row.d, row.U)
                for j in range(row.J):
                    side = row.q - row.t * j
                    left, right = inside(side, side + row.W, row.e, row.V)
                    corner = row.x_at + c * row.x_c - top * row.x_h - side * row.x_w
                    back = row.dx_at + c * row.dx_c - top * row.dx_h - side * row.dx_w
                    best = load(arena, row.y_at + c * row.y_c + i * row.y_h + j * row.y_w)
                    rest = load(arena, row.dy_at + c * row.dy_c + i * row.dy_h + j * row.dy_w)
                    if row.relu:
                        rest = if_above(best, zero, rest, zero)
                    for u in range(above, below):
                        for v in range(left, right):
                            x = load(arena, corner + u * row.d * row.x_h + v * row.e * row.x_w)
                            at = back + u * row.d * row.dx_h + v * row.e * row.dx_w
                            taken = if_winner(x, best, rest, zero)
                            rest = if_winner(x, best, zero, rest)
                            store(arena, at, add(load(arena, at), taken) if row.overlap else taken)

    return forward, backward


@part
def _halve(row, arena):  # type: ignore[no-untyped-def]
    """max_pool_forward for windows of 2x2 side by side: what nearly every network has."""
    for c in range(row.C):
        for i in range(row.I):
            x_at = row.x_at + c * row.x_c + 2 * i * row.x_h
            y_at = row.y_at + c * row.y_c + i * row.y_h
            for j in range(row.J):
                at = x_at + 2 * j * row.x_w
                best, other = load(arena, at), load(arena, at + row.x_w)
                best = larger(other, best)
                other = load(arena, at + row.x_h)
                best = larger(other, best)
                other = load(arena, at + row.x_h + row.x_w)
                store(arena, y_at + j * row.y_w, larger(other, best))


@part
def _double(row, arena):  # type: ignore[no-untyped-def]
    """max_pool_backward for the same."""
    zero = splat(ZERO)
    floor = splat(ZERO if row.relu else NAN)  # nothing is not above NaN
    for c in range(row.C):
        for i in range(row.I):
            x_at, dx_at = row.x_at + c * row.x_c + 2 * i * row.x_h, row.dx_at + c * row.dx_c + 2 * i * row.dx_h
            y_at, dy_at = row.y_at + c * row.y_c + i * row.y_h, row.dy_at + c * row.dy_c + i * row.dy_h
            for j in range(row.J):
                best = load(arena, y_at + j * row.y_w)
                rest = if_above(best, floor, load(arena, dy_at + j * row.dy_w), zero)
                at, back = x_at + 2 * j * row.x_w, dx_at + 2 * j * row.dx_w
                x = load(arena, at)
                store(arena, back, if_winner(x, best, rest, zero))
                rest = if_winner(x, best, zero, rest)
                x = load(arena, at + row.x_w)
                store(arena, back + row.dx_w, if_winner(x, best, rest, zero))
                rest = if_winner(x, best, zero, rest)
                x = load(arena, at + row.x_h)
                store(arena, back + row.dx_h, if_winner(x, best, rest, zero))
                rest = if_winner(x, best, zero, rest)
                x = load(arena, at + row.x_h + row.x_w)
                store(arena, back + row.dx_h + row.dx_w, if_winner(x, best, rest, zero))


@part
def _lone_halve(row, arena):  # type: ignore[no-untyped-def]
    """The same for an image by itself, LANES windows at a time."""
    for c in range(row.C):
        for i in range(row.I):
            for j in range(0, row.J, LANES):
                at = row.x_at + c * row.x_c + 2 * i * row.x_h + 2 * j
                left, right = load(arena, at), load(arena, at + LANES)
                best, other = evens(left, right), odds(left, right)
                best = larger(other, best)
                left, right = load(arena, at + row.x_h), load(arena, at + row.x_h + LANES)
                other = evens(left, right)
                best = larger(other, best)
                other = odds(left, right)
                store_first(arena, row.y_at + c * row.y_c + i * row.y_h + j, larger(other, best), row.J - j)


@part
def _lone_double(row, arena):  # type: ignore[no-untyped-def]
    """Its way back."""
    zero = splat(ZERO)
    floor = splat(ZERO if row.relu else NAN)  # nothing is not above NaN
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
                    first = if_winner(x, best, rest, zero)
                    rest = if_winner(x, best, zero, rest)
                    x = odds(left, right)
                    second = if_winner(x, best, rest, zero)
                    rest = if_winner(x, best, zero, rest)
                    count = 2 * (row.J - j)
                    store_first(arena, back, zip_low(first, second), count)
                    store_first(arena, back + LANES, zip_high(first, second), count - LANES)


max_pool_forward, max_pool_backward = _max_pool(_halve, _double, load, store, splat, add, larger, if_above, if_winner)
single_max_pool_forward, single_max_pool_backward = _max_pool(
    _lone_halve, _lone_double, cell_load, cell_store, cell_splat, cell_add, _larger, _if_above, _if_winner
)
