"""Pooling by a norm: the root of the sum of powers of each window, in float64."""

from __future__ import annotations

from engine.fast.simd import load, store_first
from engine.fast.wide import choose, everywhere, exp, log, magnitude, narrow, root, widen
from engine.kernels import part


@part
def _power(x, exponent):  # type: ignore[no-untyped-def]
    """x**exponent, for x of 0 or more."""
    return exp(log(x) * exponent)


@part
def _total(row, arena, c, i, j):  # type: ignore[no-untyped-def]
    """The sum of |x|**power over a window's cells inside the plane."""
    found = everywhere(0.0)
    for h in range(row.s * i, min(row.H, row.s * i + row.U)):
        for k in range(row.t * j, min(row.W, row.t * j + row.V)):
            x = widen(load(arena, row.x_at + c * row.x_c + h * row.x_h + k * row.x_w))
            found = found + (x * x if row.constant == 2 else _power(magnitude(x), row.constant))
    return found


@part
def lp_pool_forward(row, arena):  # type: ignore[no-untyped-def]
    """y = total**(1 / power)."""
    for c in range(row.C):
        for i in range(row.I):
            for j in range(row.J):
                total = _total(row, arena, c, i, j)
                y = root(total) if row.constant == 2 else _power(total, 1 / row.constant)
                store_first(arena, row.y_at + c * row.y_c + i * row.y_h + j * row.y_w, narrow(y), row.lanes)


@part
def lp_pool_backward(row, arena):  # type: ignore[no-untyped-def]
    """dx += dy * total**(1 / power - 1) * |x|**(power - 1), with the sign of x; nothing where x is 0."""
    power = row.constant
    for c in range(row.C):
        for h in range(row.H):
            for k in range(row.W):
                at = row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w
                store_first(arena, at, narrow(everywhere(0.0)), row.lanes)
        for i in range(row.I):
            for j in range(row.J):
                total = _total(row, arena, c, i, j)
                dy = widen(load(arena, row.dy_at + c * row.dy_c + i * row.dy_h + j * row.dy_w))
                share = dy / root(total) if power == 2 else dy * _power(total, 1 / power - 1)
                for h in range(row.s * i, min(row.H, row.s * i + row.U)):
                    for k in range(row.t * j, min(row.W, row.t * j + row.V)):
                        x = widen(load(arena, row.x_at + c * row.x_c + h * row.x_h + k * row.x_w))
                        at = row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w
                        size = magnitude(x)
                        slope = size if power == 2 else _power(size, power - 1)
                        slope = choose(size <= 0, 0, share * choose(x < 0, 0 - slope, slope))
                        store_first(arena, at, narrow(widen(load(arena, at)) + slope), row.lanes)
