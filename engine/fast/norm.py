"""Batch norm, group norm and fixed normalisation: y = (x - mean) * scale + shift for each channel, in float64.

A batch's mean and variance need all of its chunks. So batch norm has two rows in the table, and the plan cuts the table
between them: all chunks go through the rows before the cut before any begins with those behind it, and on the way back
the other way round. Forward MEASURE, the last row before the cut, adds up x and x*x, and NORM, the first behind
it, reads the sums; backward NORM adds up dy and dy * xhat, and MEASURE reads these. Each shard has sums of its own,
which are read in the shards' order.
"""

from __future__ import annotations

import math

import numpy as np

from engine.fast.simd import load, store_first
from engine.fast.wide import choose, everywhere, first_lanes, narrow, root, total, widen
from engine.kernels import part

#: Numbers of a shard for each channel: the sums of x, x*x, dy and dy * xhat.
SUMS = 4


@part
def _summed(row, sums, c, which):  # type: ignore[no-untyped-def]
    """A sum over all shards."""
    found = 0.0
    for shard in range(len(sums)):
        found += sums[shard, row.sums + SUMS * c + which]
    return found


@part
def _channel(row, sums, parameters, images, training, c):  # type: ignore[no-untyped-def]
    """The mean of a channel, 1 over its deviation, and the scale and shift that are learned. sums: of all shards;
    images: in the batch. Fixed normalisation has a deviation in place of a variance, and nothing is learned."""
    mean, spread = np.float64(parameters[row.mean + c]), np.float64(parameters[row.var + c])
    if row.w < 0:
        return mean, 1 / spread, 1.0, 0.0
    if training and not row.fixed:
        count = images * row.H * row.W
        mean = _summed(row, sums, c, 0) / count
        spread = _summed(row, sums, c, 1) / count - mean * mean
    inverse = 1 / math.sqrt((0.0 if spread < 0 else spread) + row.constant)  # below 0 it is a rounding
    return mean, inverse, np.float64(parameters[row.w + c]), np.float64(parameters[row.b + c])


@part
def measure_forward(row, count, sums, arena):  # type: ignore[no-untyped-def]
    """Add up x and x*x of a chunk's images, `count` of them, into a shard's sums."""
    for c in range(row.C):
        values, squares = everywhere(0.0), everywhere(0.0)
        for h in range(row.H):
            at = row.x_at + c * row.x_c + h * row.x_h
            for k in range(row.W):
                x = widen(load(arena, at + k * row.x_w))
                values, squares = values + x, squares + x * x
        sums[row.sums + SUMS * c] += total(values, count)
        sums[row.sums + SUMS * c + 1] += total(squares, count)


@part
def norm_forward(row, sums, parameters, images, training, arena):  # type: ignore[no-untyped-def]
    """y = (x - mean) * scale + shift, then ReLU where it is fused."""
    for c in range(row.C):
        mean, inverse, scale, shift = _channel(row, sums, parameters, images, training, c)
        factor = inverse * scale
        for h in range(row.H):
            x_at, y_at = row.x_at + c * row.x_c + h * row.x_h, row.y_at + c * row.y_c + h * row.y_h
            for k in range(row.W):
                y = (widen(load(arena, x_at + k * row.x_w)) - mean) * factor + shift
                if row.relu:
                    y = choose(y <= 0, 0, y)
                store_first(arena, y_at + k * row.y_w, narrow(y), row.lanes)


@part
def norm_backward(row, count, own, sums, parameters, images, arena):  # type: ignore[no-untyped-def]
    """Add up dy and dy * xhat into a shard's own sums; where mean and deviation are fixed, also dx = dy * scale. dy
    becomes 0 where a fused ReLU let nothing through."""
    for c in range(row.C):
        mean, inverse, scale, _ = _channel(row, sums, parameters, images, True, c)
        deltas, along = everywhere(0.0), everywhere(0.0)
        for h in range(row.H):
            x_at, y_at = row.x_at + c * row.x_c + h * row.x_h, row.y_at + c * row.y_c + h * row.y_h
            dx_at, dy_at = row.dx_at + c * row.dx_c + h * row.dx_h, row.dy_at + c * row.dy_c + h * row.dy_h
            for k in range(row.W):
                dy = widen(load(arena, dy_at + k * row.dy_w))
                if row.relu:
                    dy = choose(widen(load(arena, y_at + k * row.y_w)) <= 0, 0, dy)
                    store_first(arena, dy_at + k * row.dy_w, narrow(dy), row.lanes)
                if row.w >= 0:
                    xhat = (widen(load(arena, x_at + k * row.x_w)) - mean) * inverse
                    deltas, along = deltas + dy, along + dy * xhat
                if row.fixed and row.needs_dx:
                    store_first(arena, dx_at + k * row.dx_w, narrow(dy * (inverse * scale)), row.lanes)
        if row.w >= 0:
            own[row.sums + SUMS * c + 2] += total(deltas, count)
            own[row.sums + SUMS * c + 3] += total(along, count)


@part
def measure_backward(row, count, sums, parameters, images, arena):  # type: ignore[no-untyped-def]
    """dx = scale / std * (dy - the mean of dy - xhat * the mean of dy * xhat). Lanes beyond `count` send nothing."""
    for c in range(row.C):
        mean, inverse, scale, _ = _channel(row, sums, parameters, images, True, c)
        cells = images * row.H * row.W
        factor = inverse * scale
        shift, tilt = _summed(row, sums, c, 2) / cells * factor, _summed(row, sums, c, 3) / cells * factor * inverse
        for h in range(row.H):
            x_at, dx_at = row.x_at + c * row.x_c + h * row.x_h, row.dx_at + c * row.dx_c + h * row.dx_h
            dy_at = row.dy_at + c * row.dy_c + h * row.dy_h
            for k in range(row.W):
                x, dy = widen(load(arena, x_at + k * row.x_w)), widen(load(arena, dy_at + k * row.dy_w))
                dx = dy * factor - shift - (x - mean) * tilt
                store_first(arena, dx_at + k * row.dx_w, narrow(first_lanes(dx, count)), row.lanes)


@part
def norm_gather(row, sums, gradient):  # type: ignore[no-untyped-def]
    """The gradients of scale and shift of all shards."""
    if row.w >= 0:
        for c in range(row.C):
            gradient[row.w + c] = _summed(row, sums, c, 3)
            gradient[row.b + c] = _summed(row, sums, c, 2)


# group norm -----------------------------------------------------------------------------------------------------------


@part
def _group(row, g, arena):  # type: ignore[no-untyped-def]
    """The mean of a group of channels and 1 over its deviation, of each image."""
    share = row.C // row.G
    count = share * row.H * row.W
    mean, squares = everywhere(0.0), everywhere(0.0)
    for c in range(g * share, (g + 1) * share):
        for h in range(row.H):
            for k in range(row.W):
                mean = mean + widen(load(arena, row.x_at + c * row.x_c + h * row.x_h + k * row.x_w))
    mean = mean / count
    for c in range(g * share, (g + 1) * share):
        for h in range(row.H):
            for k in range(row.W):
                away = widen(load(arena, row.x_at + c * row.x_c + h * row.x_h + k * row.x_w)) - mean
                squares = squares + away * away
    return mean, 1 / root(squares / count + row.constant)


@part
def group_norm_forward(row, parameters, arena):  # type: ignore[no-untyped-def]
    """y = (x - mean) / std * gamma + beta, with the mean and the deviation of the group in its image."""
    share = row.C // row.G
    for g in range(row.G):
        mean, inverse = _group(row, g, arena)
        for c in range(g * share, (g + 1) * share):
            scale, shift = np.float64(parameters[row.w + c]), np.float64(parameters[row.b + c])
            for h in range(row.H):
                x_at, y_at = row.x_at + c * row.x_c + h * row.x_h, row.y_at + c * row.y_c + h * row.y_h
                for k in range(row.W):
                    y = (widen(load(arena, x_at + k * row.x_w)) - mean) * inverse * scale + shift
                    store_first(arena, y_at + k * row.y_w, narrow(y), row.lanes)


@part
def group_norm_backward(row, count, parameters, arena, gradient):  # type: ignore[no-untyped-def]
    """dx = (gamma * dy - the mean of gamma * dy - xhat * the mean of gamma * dy * xhat) / std within the group."""
    share = row.C // row.G
    cells = share * row.H * row.W
    for g in range(row.G):
        mean, inverse = _group(row, g, arena)
        shift, tilt = everywhere(0.0), everywhere(0.0)
        for c in range(g * share, (g + 1) * share):
            deltas, along = everywhere(0.0), everywhere(0.0)
            for h in range(row.H):
                x_at, dy_at = row.x_at + c * row.x_c + h * row.x_h, row.dy_at + c * row.dy_c + h * row.dy_h
                for k in range(row.W):
                    xhat = (widen(load(arena, x_at + k * row.x_w)) - mean) * inverse
                    dy = widen(load(arena, dy_at + k * row.dy_w))
                    deltas, along = deltas + dy, along + dy * xhat
            gradient[row.dw + c] += total(along, count)
            gradient[row.db + c] += total(deltas, count)
            scale = np.float64(parameters[row.w + c])
            shift, tilt = shift + deltas * scale, tilt + along * scale
        if row.needs_dx:
            shift, tilt = shift / cells, tilt / cells
            for c in range(g * share, (g + 1) * share):
                scale = np.float64(parameters[row.w + c])
                for h in range(row.H):
                    x_at, dx_at = row.x_at + c * row.x_c + h * row.x_h, row.dx_at + c * row.dx_c + h * row.dx_h
                    dy_at = row.dy_at + c * row.dy_c + h * row.dy_h
                    for k in range(row.W):
                        xhat = (widen(load(arena, x_at + k * row.x_w)) - mean) * inverse
                        dy = widen(load(arena, dy_at + k * row.dy_w))
                        dx = (dy * scale - shift - xhat * tilt) * inverse
                        store_first(arena, dx_at + k * row.dx_w, narrow(dx), row.lanes)
