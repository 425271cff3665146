"""3x3 convolutions of many channels with fewer multiplications: Cook and Toom's, made known by Winograd (1980) and for
networks by Lavin and Gray (2016).

m x m outputs come of n x n inputs, n = m + 2, whose transforms meet the transformed kernel number by number:

    y = A' [ (G w G') * (B' x B) ] A       one product of n * n numbers in place of 9 * m * m

Summed over channels, each of the n * n points is a product of matrices of its own. The way back is the same read from
right to left, with the same transforms: dx = B [ (G w G') * (A dy A') ] B', dw = G' [ (B' x B) * (A dy A') ] G.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np

from engine.fast.loops import LOWEST, ZERO, add_weights, product
from engine.fast.simd import LANES, add, load, splat, store, take_number, turn
from engine.kernels import part, sum_kernel

Array = np.ndarray

#: For tiles of m outputs, largest first: at which points, beside infinity, the polynomials are taken. Small numbers and
#: their inverses lose the fewest digits.
POINTS = {5: ("0", "1", "-1", "2", "-1/2", "1/2"), 4: ("0", "1", "-1", "1/2", "-2")}
#: Kernels whose gradients are made at once.
TOGETHER = 16


@cache
def matrices(m: int) -> Array:
    """A' (m,n), B' (n,n) and G (n,3) behind one another, float32."""
    points = [Fraction(point) for point in POINTS[m]]
    n = m + 2
    others = [[q for q in points if q is not p] for p in points]
    a = [[p**i for p in points] + [Fraction(int(i == m - 1))] for i in range(m)]
    b = [*([*_from_roots(roots), Fraction(0)] for roots in others), _from_roots(points)]
    g = [[p**k / _product(p - q for q in roots) for k in range(3)] for p, roots in zip(points, others, strict=True)]
    rows = [*a, *b, *g, [Fraction(0), Fraction(0), Fraction(1)]]
    assert len(b) == n
    return np.array([float(number) for row in rows for number in row], np.float32)


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


def scratch(n: int, channels: int, outputs: int, tiles: int, plane: int) -> int:
    """Numbers of a chunk's transforms, and of what they pass through."""
    return n * n * LANES * (tiles * (channels + outputs) + 3) + max(
        tiles * LANES * channels, TOGETHER * n * n * channels, plane * LANES)


@part
def _rooms(row):  # type: ignore[no-untyped-def]
    """Where in the scratch the transforms of x and of y stand, and two places to work at."""
    n2, tiles = row.n * row.n * LANES, row.tiles_down * row.tiles_across
    seen = row.scratch
    made = seen + n2 * tiles * row.C
    small = made + n2 * tiles * row.O
    return seen, made, small, small + 3 * n2


@part
def _transform(arena, still, matrix, m_at, m_o, m_k, x_at, x_a, x_b, size, work,  # type: ignore[no-untyped-def]
               y, y_at, y_a, y_b, biases, b_at, floor):
    """y[a,b] = sum over k, l of M[a,k] * x[k,l] * M[b,l], with size (a's and b's, k's and l's), then bias and floor.

    x stands in the arena, and at `work` there what comes of the first product; m_o and m_k are the strides of M by its
    row and by its column.
    """
    made, taken = size
    product(arena, matrix, arena, still, (work, m_at, x_at, 0), (taken * LANES, LANES, m_o, x_b, 0), (made, taken),
            (taken, 1, 1), (m_k, x_a, 0, 0, 0, 0), LOWEST)
    product(y, matrix, arena, biases, (y_at, m_at, work, b_at), (y_b, y_a, m_o, taken * LANES, 0), (made, made),
            (taken, 1, 1), (m_k, LANES, 0, 0, 0, 0), floor)


@sum_kernel
def prepare(table, winograd, parameters, still, numbers, counter, arena, filters):  # type: ignore[no-untyped-def]
    """G w G' of every kernel of the rows whose op is `winograd`, once in a step: filters[point, o, c]."""
    while True:
        place = take_number(counter)
        for index in range(table.size):
            row = table[index]
            if row.op != winograd:
                continue
            if place < row.O:
                _prepare(row, place, parameters, still, numbers, arena, filters)
                place = -1
                break
            place -= row.O
        if place >= 0:
            return


@part
def _prepare(row, o, parameters, still, numbers, arena, filters):  # type: ignore[no-untyped-def]
    n = row.n
    _, _, small, _ = _rooms(row)
    taps = small + n * n * LANES
    g_at = row.numbers + row.m * n + n * n
    size = row.O * row.C
    for c in range(0, row.C, LANES):
        for lane in range(LANES):
            w = row.w + row.w_first + (o * row.C + c + lane) * 9
            for u in range(3):
                for v in range(3):
                    arena[taps + (3 * u + v) * LANES + lane] = parameters[w + u * row.w_u + v * row.w_v]
        _transform(arena, still, numbers, g_at, 3, 1, taps, 3 * LANES, LANES, (n, 3), small,
                   filters, row.filters + o * row.C + c, n * size, size, still, 0, LOWEST)


@part
def winograd_forward(row, parameters, still, numbers, filters, arena):  # type: ignore[no-untyped-def]
    m, n, across = row.m, row.n, row.tiles_across
    tiles = row.tiles_down * across
    seen, made, small, _ = _rooms(row)
    a_at, b_at = row.numbers, row.numbers + m * n
    x_point, y_point = row.C * tiles * LANES, row.O * tiles * LANES
    for c in range(row.C):
        for tile in range(tiles):
            x_at = (row.x_at + c * row.x_c + (m * (tile // across) - row.p) * row.x_h
                    + (m * (tile % across) - row.q) * row.x_w)
            _transform(arena, still, numbers, b_at, n, 1, x_at, row.x_h, row.x_w, (n, n), small,
                       arena, seen + (c * tiles + tile) * LANES, n * x_point, x_point, still, 0, LOWEST)
    for point in range(n * n):
        product(arena, filters, arena, still,
                (made + point * y_point, row.filters + point * row.O * row.C, seen + point * x_point, 0),
                (tiles * LANES, LANES, row.C, LANES, 0), (row.O, tiles), (row.C, 1, 1), (1, tiles * LANES, 0, 0, 0, 0),
                LOWEST)
    biases, bias = (parameters, row.b) if row.b >= 0 else (still, 0)
    for o in range(row.O):
        for tile in range(tiles):
            y_at = row.y_at + o * row.y_c + m * (tile // across) * row.y_h + m * (tile % across) * row.y_w
            _transform(arena, still, numbers, a_at, n, 1, made + (o * tiles + tile) * LANES, n * y_point, y_point,
                       (m, n), small, arena, y_at, row.y_h, row.y_w,
                       biases, bias + (o if row.b >= 0 else 0), ZERO if row.relu else LOWEST)


@part
def winograd_backward(row, still, ones, numbers, filters, arena, gradient):  # type: ignore[no-untyped-def]
    """After the forward pass of the same chunk, whose transform of x still stands in the scratch."""
    m, n, across = row.m, row.n, row.tiles_across
    tiles = row.tiles_down * across
    _, made, small, _ = _rooms(row)
    y_point = row.O * tiles * LANES
    for o in range(row.O):
        for tile in range(tiles):
            dy_at = row.dy_at + o * row.dy_c + m * (tile // across) * row.dy_h + m * (tile % across) * row.dy_w
            _transform(arena, still, numbers, row.numbers, 1, n, dy_at, row.dy_h, row.dy_w, (n, m), small,
                       arena, made + (o * tiles + tile) * LANES, n * y_point, y_point, still, 0, LOWEST)
    _backward_w(row, still, numbers, arena, gradient)
    if row.b >= 0:
        add_weights(gradient, arena, ones, (row.b, row.dy_at, 0), (1, 0, row.dy_c, 0), (row.O, 1), (row.I, row.J),
                    (row.dy_h, 0, row.dy_w, 0))
    if row.needs_dx:
        _backward_x(row, still, numbers, filters, arena)


@part
def _backward_w(row, still, numbers, arena, gradient):  # type: ignore[no-untyped-def]
    """Here a vector holds LANES channels of one image: the transform of x is turned first, and stays turned."""
    n = row.n
    cells = row.tiles_down * row.tiles_across * LANES
    seen, made, small, large = _rooms(row)
    x_point, y_point = row.C * cells, row.O * cells
    g_at = row.numbers + row.m * n + n * n
    for point in range(n * n):
        for c in range(0, row.C, LANES):
            for cell in range(0, cells, LANES):
                turn(arena, large + cell * row.C + c, row.C, arena, seen + point * x_point + c * cells + cell, cells)
        for number in range(0, x_point, LANES):
            store(arena, seen + point * x_point + number, load(arena, large + number))
    taps = small + 2 * n * n * LANES
    for first in range(0, row.O, TOGETHER):
        together = min(TOGETHER, row.O - first)
        for point in range(n * n):
            product(arena, arena, arena, still,
                    (large + point * TOGETHER * row.C, made + point * y_point + first * cells,
                     seen + point * x_point, 0),
                    (row.C, LANES, cells, LANES, 0), (together, row.C // LANES), (cells, 1, 1),
                    (1, row.C, 0, 0, 0, 0), LOWEST)
        for o in range(together):
            for c in range(0, row.C, LANES):
                _transform(arena, still, numbers, g_at, 1, 3, large + o * row.C + c, n * TOGETHER * row.C,
                           TOGETHER * row.C, (3, n), small, arena, taps, 3 * LANES, LANES, still, 0, LOWEST)
                for lane in range(LANES):
                    w = row.w + row.w_first + ((first + o) * row.C + c + lane) * 9
                    for u in range(3):
                        for v in range(3):
                            gradient[w + u * row.w_u + v * row.w_v] += arena[taps + (3 * u + v) * LANES + lane]


@part
def _backward_x(row, still, numbers, filters, arena):  # type: ignore[no-untyped-def]
    """Tiles overlap by two cells, in which they add up; what falls on the padding is dropped."""
    m, n, across = row.m, row.n, row.tiles_across
    tiles = row.tiles_down * across
    seen, made, small, large = _rooms(row)
    x_point, y_point = row.C * tiles * LANES, row.O * tiles * LANES
    for point in range(n * n):
        product(arena, filters, arena, still,
                (seen + point * x_point, row.filters + point * row.O * row.C, made + point * y_point, 0),
                (tiles * LANES, LANES, 1, LANES, 0), (row.C, tiles), (row.O, 1, 1),
                (row.C, tiles * LANES, 0, 0, 0, 0), LOWEST)
    width = (row.J + 2) * LANES
    tile_at = small + 2 * n * n * LANES
    zero = splat(ZERO)
    for c in range(row.C):
        for number in range(0, (row.I + 2) * width, LANES):
            store(arena, large + number, zero)
        for tile in range(tiles):
            _transform(arena, still, numbers, row.numbers + m * n, 1, n, seen + (c * tiles + tile) * LANES,
                       n * x_point, x_point, (n, n), small, arena, tile_at, n * LANES, LANES, still, 0, LOWEST)
            corner = large + m * (tile // across) * width + m * (tile % across) * LANES
            for a in range(n):
                for b in range(n):
                    at = corner + a * width + b * LANES
                    store(arena, at, add(load(arena, at), load(arena, tile_at + (a * n + b) * LANES)))
        for h in range(row.H):
            for k in range(row.W):
                store(arena, row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w,
                      load(arena, large + (h + row.p) * width + (k + row.q) * LANES))
