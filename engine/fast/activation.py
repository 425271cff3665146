"""Activations other than ReLU, and softmax: computed in float64, rounded once.

A row of a single image's plane is taken LANES pixels at a time; of a chunk, a pixel of LANES images.
"""

from __future__ import annotations

import numpy as np

from engine.fast.conv import add_up
from engine.fast.simd import LANES, load, store_first
from engine.fast.wide import (
    DENSITY,
    choose,
    everywhere,
    exp,
    log,
    log1p,
    magnitude,
    narrow,
    normal_share,
    sigmoid,
    tanh,
    total,
    widen,
)
from engine.kernels import part

#: The functions by their ops' names; `row.curve` is a place in this list.
CURVES = ("leaky_relu", "prelu", "sigmoid", "tanh", "elu", "softplus", "silu", "hardswish", "gelu")
LEAKY, LEARNED, SIGMOID, TANH, ELU, SOFTPLUS, SILU, HARDSWISH, GELU = range(len(CURVES))


@part
def _value(curve, x, constant):  # type: ignore[no-untyped-def]
    """y from x."""
    if curve == SIGMOID:
        return sigmoid(x)
    if curve == TANH:
        return tanh(x)
    if curve == ELU:
        return choose(x > 0, x, constant * (exp(x) - 1))
    if curve == SOFTPLUS:
        return choose(x > 0, x, 0) + log1p(exp(0 - magnitude(x)))
    if curve == SILU:
        return x * sigmoid(x)
    if curve == HARDSWISH:
        return choose(x <= -3, 0, choose(x >= 3, x, x * (x + 3) / 6))
    if curve == GELU:
        return x * normal_share(x)
    return choose(x > 0, x, constant * x)


@part
def _slope(curve, x, y, constant):  # type: ignore[no-untyped-def]
    """dy/dx; of sigmoid and tanh from y, as their sentences say."""
    if curve == SIGMOID:
        return y * (1 - y)
    if curve == TANH:
        return 1 - y * y
    if curve == ELU:
        return choose(x > 0, 1, constant * exp(x))
    if curve == SOFTPLUS:
        return sigmoid(x)
    if curve == SILU:
        share = sigmoid(x)
        return share + x * share * (1 - share)
    if curve == HARDSWISH:
        return choose(x <= -3, 0, choose(x >= 3, 1, (x + 1.5) / 3))
    if curve == GELU:
        return normal_share(x) + x * exp(-0.5 * x * x) * DENSITY
    return choose(x > 0, 1, constant)


@part
def activation_forward(row, parameters, arena):  # type: ignore[no-untyped-def]
    """y = curve(x), with a constant of the layer or, where it is learned, of the channel."""
    hop = LANES // row.lanes
    for c in range(row.C):
        constant = np.float64(parameters[row.w + c]) if row.curve == LEARNED else row.constant
        for h in range(row.H):
            x_at, y_at = row.x_at + c * row.x_c + h * row.x_h, row.y_at + c * row.y_c + h * row.y_h
            for k in range(0, row.W, hop):
                y = _value(row.curve, widen(load(arena, x_at + k * row.x_w)), constant)
                store_first(arena, y_at + k * row.y_w, narrow(y), row.lanes * (row.W - k))


@part
def activation_backward(row, parameters, arena, gradient):  # type: ignore[no-untyped-def]
    """dx = dy * the curve's slope; a learned constant adds up dy * x of all places left of zero."""
    hop = LANES // row.lanes
    for c in range(row.C):
        constant = np.float64(parameters[row.w + c]) if row.curve == LEARNED else row.constant
        found = 0.0
        for h in range(row.H):
            x_at, y_at = row.x_at + c * row.x_c + h * row.x_h, row.y_at + c * row.y_c + h * row.y_h
            dx_at, dy_at = row.dx_at + c * row.dx_c + h * row.dx_h, row.dy_at + c * row.dy_c + h * row.dy_h
            for k in range(0, row.W, hop):
                x, y = widen(load(arena, x_at + k * row.x_w)), widen(load(arena, y_at + k * row.y_w))
                dy = widen(load(arena, dy_at + k * row.dy_w))
                if row.curve == LEARNED:
                    found += total(choose(x > 0, 0, dy * x), row.lanes * (row.W - k))
                if row.needs_dx:
                    dx = narrow(dy * _slope(row.curve, x, y, constant))
                    store_first(arena, dx_at + k * row.dx_w, dx, row.lanes * (row.W - k))
        if row.curve == LEARNED:
            gradient[row.dw + c] += found


@part
def channels_gather(row, gradients, gradient):  # type: ignore[no-untyped-def]
    """The gradients of a weight for each channel, and of a bias where there is one, of all shards."""
    add_up(gradients, row.dw, row.C, gradient, row.w)
    if row.b >= 0:
        add_up(gradients, row.db, row.C, gradient, row.b)


# softmax --------------------------------------------------------------------------------------------------------------


@part
def _axes(row):  # type: ignore[no-untyped-def]
    """The sizes of the axis along which the shares add up and of the other two; the strides of x, y, dx, dy in the same
    order."""
    x, y = (row.x_c, row.x_h, row.x_w), (row.y_c, row.y_h, row.y_w)
    dx, dy = (row.dx_c, row.dx_h, row.dx_w), (row.dy_c, row.dy_h, row.dy_w)
    size = (row.C, row.H, row.W)
    a, b, c = row.axis, (row.axis + 1) % 3, (row.axis + 2) % 3
    return (
        (size[a], size[b], size[c]),
        (x[a], x[b], x[c]),
        (y[a], y[b], y[c]),
        (dx[a], dx[b], dx[c]),
        (dy[a], dy[b], dy[c]),
    )


@part
def softmax_forward(row, arena):  # type: ignore[no-untyped-def]
    """y = e**(x - top) / z along the axis, or with `logarithm` x - top - log(z)."""
    size, x_step, y_step, _, _ = _axes(row)
    for i in range(size[1]):
        for j in range(size[2]):
            x_at = row.x_at + i * x_step[1] + j * x_step[2]
            y_at = row.y_at + i * y_step[1] + j * y_step[2]
            top = widen(load(arena, x_at))
            for k in range(1, size[0]):
                x = widen(load(arena, x_at + k * x_step[0]))
                top = choose(x <= top, top, x)  # NaN goes on
            z = everywhere(0.0)
            for k in range(size[0]):
                z = z + exp(widen(load(arena, x_at + k * x_step[0])) - top)
            for k in range(size[0]):
                below = widen(load(arena, x_at + k * x_step[0])) - top
                y = below - log(z) if row.logarithm else exp(below) / z
                store_first(arena, y_at + k * y_step[0], narrow(y), row.lanes)


@part
def softmax_backward(row, arena):  # type: ignore[no-untyped-def]
    """dx = y * (dy - the mean of dy by the shares y), or with `logarithm` dy - e**y * the sum of dy."""
    size, _, y_step, dx_step, dy_step = _axes(row)
    for i in range(size[1]):
        for j in range(size[2]):
            y_at = row.y_at + i * y_step[1] + j * y_step[2]
            dx_at = row.dx_at + i * dx_step[1] + j * dx_step[2]
            dy_at = row.dy_at + i * dy_step[1] + j * dy_step[2]
            mean = everywhere(0.0)
            for k in range(size[0]):
                y, dy = widen(load(arena, y_at + k * y_step[0])), widen(load(arena, dy_at + k * dy_step[0]))
                mean = mean + (dy if row.logarithm else y * dy)
            for k in range(size[0]):
                y, dy = widen(load(arena, y_at + k * y_step[0])), widen(load(arena, dy_at + k * dy_step[0]))
                dx = dy - exp(y) * mean if row.logarithm else y * dy - y * mean
                store_first(arena, dx_at + k * dx_step[0], narrow(dx), row.lanes)
