"""3x3 convolutions of many channels with fewer multiplications: Cook and Toom's, made known by Winograd (1980) and for
networks by Lavin and Gray (2016).

m x m outputs come of n x n inputs, n = m + 2, whose transforms meet the transformed kernel number by number:

    y = A' [ (G w G') * (B' x B) ] A       one product of n * n numbers in place of 9 * m * m

Summed over channels, each of the n * n points is a product of matrices of its own. The way back is the same read from
right to left, with the same transforms: dx = B [ (G w G') * (A dy A') ] B', dw = G' [ (B' x B) * (A dy A') ] G.

A transform of a channel's tile is straight-line code, made of its matrix (`simd.tile_map`). What it leaves stands point
by point, [point][channel][tile][LANES], and between two points is a vector of nothing: without it every point of a
tile would fall on the same few places of the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from engine.fast.conv import LOWEST, ZERO, add_up, add_weights, product_by_six
from engine.fast.simd import LANES, add, if_above, load, plain, splat, store, tile_map, turn
from engine.kernels import part

Array = np.ndarray

#: For tiles of m outputs, largest first: at which points, beside infinity, the polynomials are taken. Small numbers and
#: their inverses lose the fewest digits. The second is 1, whose powers are 1: what is added there is added to every
#: output of a tile, and what stands there of dy is the sum of a tile.
POINTS = {5: ("0", "1", "-1", "2", "-1/2", "1/2"), 4: ("0", "1", "-1", "1/2", "-2")}
#: Outputs whose products are made, and read again, while they are in the cache.
TOGETHER = 64


def matrices(m: int) -> tuple[Array, Array, Array]:
    """A' (m,n), B' (n,n) and G (n,3)."""
    points = [Fraction(point) for point in POINTS[m]]
    others = [[q for q in points if q is not p] for p in points]
    a = [[p**i for p in points] + [Fraction(int(i == m - 1))] for i in range(m)]
    b = [*([*_from_roots(roots), Fraction(0)] for roots in others), _from_roots(points)]
    g = [[p**k / _product(p - q for q in roots) for k in range(3)] for p, roots in zip(points, others, strict=True)]
    return np.array(a, float), np.array(b, float), np.array([*g, [0, 0, 1]], float)


def _from_roots(roots: list[Fraction]) -> list[Fraction]:
    """The polynomial with these roots, lowest power first."""
    found = [Fraction(1)]
    for root in roots:
        found = [low - root * high for low, high in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)]
    return found


def _product(numbers: object) -> Fraction:
    total = Fraction(1)
    for number in numbers:  # type: ignore[attr-defined]
        total *= number
    return total


def _map(matrix: Callable[[Array, Array, Array], Array], onto: bool = False) -> Any:
    """tile_map of a row's own matrix; its tiles have one of two sizes."""
    five, four = (tile_map(matrix(*matrices(m)).tolist(), onto) for m in (5, 4))

    @part
    def mapped(row, y, y_at, y_a, y_b, x, x_at, x_k, x_l, floor):  # type: ignore[no-untyped-def]
        if row.m == 5:
            five(y, y_at, y_a, y_b, x, x_at, x_k, x_l, floor)
        else:
            four(y, y_at, y_a, y_b, x, x_at, x_k, x_l, floor)

    return mapped


see_x, make_y, see_w = _map(lambda a, b, g: b), _map(lambda a, b, g: a), _map(lambda a, b, g: g)
see_dy, make_dx, make_dw = (
    _map(lambda a, b, g: a.T),
    _map(lambda a, b, g: b.T, onto=True),
    _map(lambda a, b, g: g.T, onto=True),
)


def scratch(n: int, channels: int, outputs: int, tiles: int, plane: int) -> int:
    """Numbers of a chunk's transforms, and of what else its passes keep for a while."""
    return LANES * (
        n * n * (tiles * (channels + outputs) + 2) + max(plane, 9 + n * n * (TOGETHER * channels // LANES + 1))
    )


@part
def _rooms(row):  # type: ignore[no-untyped-def]
    """Where in the scratch the transforms of x and of y stand, how far apart their points, and a place to work at."""
    tiles = row.tiles_down * row.tiles_across
    x_point, y_point = (row.C * tiles + 1) * LANES, (row.O * tiles + 1) * LANES
    made = row.scratch + row.n * row.n * x_point
    return row.scratch, made, x_point, y_point, made + row.n * row.n * y_point


@part
def filters_of(row):  # type: ignore[no-untyped-def]
    """How far apart the points of the transformed kernels are, and where the turned ones begin."""
    point = row.O * row.C + LANES
    return point, row.filters + row.n * row.n * point


@part
def prepare_filters(row, block, parameters, arena, filters):  # type: ignore[no-untyped-def]
    """G w G' of the kernels of LANES outputs, once in a step: filters[point, o, c], and turned [point, c, o]. The last
    block's outputs are also the one's before it where they are too few."""
    _, _, _, _, taps = _rooms(row)
    point, turned = filters_of(row)
    first = min(block * LANES, row.O - LANES)
    for o in range(first, first + LANES):
        for c in range(0, row.C, LANES):
            for lane in range(LANES):
                w = row.w + row.w_first + (o * row.C + c + lane) * 9
                for u in range(3):
                    for v in range(3):
                        arena[taps + (3 * u + v) * LANES + lane] = parameters[w + u * row.w_u + v * row.w_v]
            see_w(
                row, filters, row.filters + o * row.C + c, row.n * point, point, arena, taps, 3 * LANES, LANES, LOWEST
            )
    for at in range(row.n * row.n):
        for c in range(0, row.C, LANES):
            turn(
                filters,
                turned + at * point + c * row.O + first,
                row.O,
                filters,
                row.filters + at * point + first * row.C + c,
                row.C,
            )


@part
def winograd_forward(row, parameters, still, filters, arena):  # type: ignore[no-untyped-def]
    m, n, across = row.m, row.n, row.tiles_across
    tiles = row.tiles_down * across
    seen, made, x_point, _, _ = _rooms(row)
    point, _ = filters_of(row)
    for c in range(row.C):
        for tile in range(tiles):
            x_at = (
                row.x_at
                + c * row.x_c
                + (m * (tile // across) - row.p) * row.x_h
                + (m * (tile % across) - row.q) * row.x_w
            )
            see_x(
                row,
                arena,
                seen + (c * tiles + tile) * LANES,
                n * x_point,
                x_point,
                arena,
                x_at,
                row.x_h,
                row.x_w,
                LOWEST,
            )
    y_point = (min(TOGETHER, row.O) * tiles + 1) * LANES
    for first in range(0, row.O, TOGETHER):
        together = min(TOGETHER, row.O - first)
        for at in range(n * n):
            biased = row.b >= 0 and at == n + 1
            product_by_six(
                arena,
                filters,
                arena,
                parameters if biased else still,
                (
                    made + at * y_point,
                    row.filters + at * point + first * row.C,
                    seen + at * x_point,
                    row.b + first if biased else 0,
                ),
                (tiles * LANES, LANES, row.C, LANES, 1 if biased else 0),
                (together, tiles),
                (row.C, 1, 1),
                (1, tiles * LANES, 0, 0, 0, 0),
            )
        for o in range(together):
            for tile in range(tiles):
                y_at = row.y_at + (first + o) * row.y_c + m * (tile // across) * row.y_h + m * (tile % across) * row.y_w
                make_y(
                    row,
                    arena,
                    y_at,
                    row.y_h,
                    row.y_w,
                    arena,
                    made + (o * tiles + tile) * LANES,
                    n * y_point,
                    y_point,
                    ZERO if row.relu else LOWEST,
                )


@part
def winograd_backward(row, still, ones, filters, arena, gradient):  # type: ignore[no-untyped-def]
    """After the forward pass of the same chunk, whose transform of x still stands in the scratch."""
    _turn_x(row, arena)
    for first in range(0, row.O, TOGETHER):
        _backward_w(row, first, min(TOGETHER, row.O - first), still, arena, gradient)
    if row.b >= 0:
        _, made, _, y_point, _ = _rooms(row)
        tiles = row.tiles_down * row.tiles_across
        add_weights(
            gradient,
            arena,
            ones,
            plain((row.db, made + (row.n + 1) * y_point, 0)),
            plain((1, 0, tiles * LANES, 0)),
            plain((row.O, 1)),
            plain((tiles, 1)),
            plain((LANES, 0, 0, 0)),
        )
    if row.needs_dx:
        _backward_x(row, still, filters, arena)


@part
def _turn_x(row, arena):  # type: ignore[no-untyped-def]
    """From here on a vector of x's transform holds LANES channels of one image, in the place of LANES images of one
    channel."""
    tiles = row.tiles_down * row.tiles_across
    seen, _, x_point, _, _ = _rooms(row)
    for at in range(row.n * row.n):
        for c in range(0, row.C, LANES):
            for tile in range(tiles):
                here = seen + at * x_point + (c * tiles + tile) * LANES
                turn(arena, here, tiles * LANES, arena, here, tiles * LANES)


@part
def _backward_w(row, first, together, still, arena, gradient):  # type: ignore[no-untyped-def]
    """The transform of dy and the gradients of the kernels of so many outputs."""
    m, n, across = row.m, row.n, row.tiles_across
    tiles = row.tiles_down * across
    cells = tiles * LANES
    seen, made, x_point, y_point, taps = _rooms(row)
    made += first * cells
    for o in range(together):
        for tile in range(tiles):
            dy_at = (
                row.dy_at + (first + o) * row.dy_c + m * (tile // across) * row.dy_h + m * (tile % across) * row.dy_w
            )
            see_dy(
                row,
                arena,
                made + (o * tiles + tile) * LANES,
                n * y_point,
                y_point,
                arena,
                dy_at,
                row.dy_h,
                row.dy_w,
                LOWEST,
            )
    found, point = taps + 9 * LANES, TOGETHER * row.C + LANES
    for at in range(n * n):
        product_by_six(
            arena,
            arena,
            arena,
            still,
            (found + at * point, made + at * y_point, seen + at * x_point, 0),
            (row.C, LANES, cells, LANES * cells, 0),
            (together, row.C // LANES),
            (tiles, LANES, 1),
            (LANES, LANES, 1, cells, 0, 0),
        )
    for o in range(together):
        for c in range(0, row.C, LANES):
            make_dw(
                row,
                gradient,
                row.dw + ((first + o) * row.C + c) * 9,
                3 * LANES,
                LANES,
                arena,
                found + o * row.C + c,
                n * point,
                point,
                ZERO,
            )


@part
def winograd_gather(row, o, gradients, arena, gradient):  # type: ignore[no-untyped-def]
    """The gradients of an output's kernels, of all shards; in a shard the taps of LANES channels stand side by side."""
    _, _, _, _, taps = _rooms(row)
    for c in range(0, row.C, LANES):
        for tap in range(9):
            total = splat(ZERO)
            for share in range(len(gradients)):
                total = add(total, load(gradients[share], row.dw + (o * row.C + c) * 9 + tap * LANES))
            store(arena, taps + tap * LANES, total)
        for lane in range(LANES):
            w = row.w + row.w_first + (o * row.C + c + lane) * 9
            for u in range(3):
                for v in range(3):
                    gradient[w + u * row.w_u + v * row.w_v] = arena[taps + (3 * u + v) * LANES + lane]
    if row.b >= 0:
        add_up(gradients, row.db + o, 1, gradient, row.b + o)


@part
def _backward_x(row, still, filters, arena):  # type: ignore[no-untyped-def]
    """Tiles overlap by two cells, in which they add up. What falls on the padding is dropped, and what a ReLU before x
    did not let through."""
    m, n, across = row.m, row.n, row.tiles_across
    tiles = row.tiles_down * across
    seen, made, x_point, y_point, plane = _rooms(row)
    point, turned = filters_of(row)
    for at in range(n * n):
        product_by_six(
            arena,
            filters,
            arena,
            still,
            (seen + at * x_point, turned + at * point, made + at * y_point, 0),
            (tiles * LANES, LANES, row.O, LANES, 0),
            (row.C, tiles),
            (row.O, 1, 1),
            (1, tiles * LANES, 0, 0, 0, 0),
        )
    width = (row.J + 2) * LANES
    zero = splat(ZERO)
    for c in range(row.C):
        for number in range(0, (row.I + 2) * width, LANES):
            store(arena, plane + number, zero)
        for tile in range(tiles):
            make_dx(
                row,
                arena,
                plane + m * (tile // across) * width + m * (tile % across) * LANES,
                width,
                LANES,
                arena,
                seen + (c * tiles + tile) * LANES,
                n * x_point,
                x_point,
                ZERO,
            )
        for h in range(row.H):
            for k in range(row.W):
                dx = load(arena, plane + (h + row.p) * width + (k + row.q) * LANES)
                if row.gates:
                    dx = if_above(load(arena, row.x_at + c * row.x_c + h * row.x_h + k * row.x_w), zero, dx, zero)
                store(arena, row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w, dx)
