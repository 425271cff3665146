"""One call per step and thread: a chunk of images goes forward and backward through the table of layers while it sits
in the cache, then the next chunk."""

from __future__ import annotations

import numpy as np

from engine.fast.loops import (
    close_gate,
    conv_backward_w,
    conv_backward_x,
    conv_forward,
    cross_entropy,
    dropout_backward,
    dropout_forward,
    linear_backward_w,
    linear_backward_x,
    linear_forward,
    load_images,
    max_pool_backward,
    max_pool_forward,
    relu_backward,
    relu_forward,
)
from engine.fast.simd import LANES, take_number
from engine.fast.winograd import winograd_backward, winograd_forward
from engine.kernels import flush_denormals, part, restore, sum_kernel

INPUT, CONV, WINOGRAD, LINEAR, RELU, DROPOUT, MAX_POOL, CROSS_ENTROPY = range(8)

_PLANES = [f"{plane}_{axis}" for plane in ("x", "y", "dx", "dy") for axis in ("at", "c", "h", "w")]
_NUMBERS = ("op", "C", "H", "W", "O", "I", "J", "U", "V", "s", "t", "p", "q", "d", "e", "G", "w", "w_first", "w_u",
            "w_v", "b", "relu", "gated", "overlap", "halves", "needs_dx", "scratch", "key",
            "m", "n", "tiles_down", "tiles_across", "filters")

#: Parameters whose shares are added up while their sum stays in the nearest cache.
BLOCK = 4096

#: A layer of the table. x (C,H,W) is read and y (O,I,J) written, at the arena's planes x and y; their gradients are dx
#: and dy. U, V, s, t, p, q, d, e, G: window, stride, padding, dilation, groups. w and b: where the weights begin in the
#: flat parameters (b -1: none), with w_first, w_u, w_v for the first weight of a kernel and its strides (negative where
#: it is flipped). relu: a ReLU is fused; gated: the reader of y takes it into account in dy already. m, n, tiles: of a
#: Winograd convolution, with the place of its transformed kernels (filters).
ROW = np.dtype([(name, np.int64) for name in (*_NUMBERS, *_PLANES)] + [("rate", np.float64)])


@part
def _forward(table, parameters, still, filters, keys, first, learning, arena):  # type: ignore[no-untyped-def]
    for index in range(1, table.size - 1):
        row = table[index]
        if row.op == CONV:
            conv_forward(row, parameters, still, arena)
        elif row.op == WINOGRAD:
            winograd_forward(row, parameters, still, filters, arena)
        elif row.op == LINEAR:
            linear_forward(row, parameters, still, arena)
        elif row.op == RELU:
            relu_forward(row, arena)
        elif row.op == DROPOUT:
            dropout_forward(row, keys[row.key], first, learning, arena)
        elif row.op == MAX_POOL:
            max_pool_forward(row, arena)


@part
def _backward(table, parameters, still, ones, filters, arena, gradient):  # type: ignore[no-untyped-def]
    for index in range(table.size - 2, 0, -1):
        row = table[index]
        if row.relu and not row.gated and row.op != MAX_POOL:
            close_gate(row, arena)
        if row.op == CONV:
            conv_backward_w(row, ones, arena, gradient)
            if row.needs_dx:
                conv_backward_x(row, parameters, still, arena)
        elif row.op == WINOGRAD:
            winograd_backward(row, still, ones, filters, arena, gradient)
        elif row.op == LINEAR:
            linear_backward_w(row, ones, arena, gradient)
            if row.needs_dx:
                linear_backward_x(row, parameters, still, arena)
        elif row.op == RELU and row.needs_dx:
            relu_backward(row, arena)
        elif row.op == DROPOUT and row.needs_dx:
            dropout_backward(row, arena)
        elif row.op == MAX_POOL and row.needs_dx:
            max_pool_backward(row, arena)


@sum_kernel
def work(table, images, octets, shades, indices, targets, parameters, still, ones, filters,  # type: ignore
         keys, smoothing, share, learning, shares, counter, arena, gradients, losses, rights):
    """Take shares of the batch until none is left: of each chunk the loss and the right answers, and, when learning,
    of each share the gradient of all parameters. A share is always the same chunks in the same order, so that no
    number depends on how many threads take part.

    table: ROW; images: the split's, flat bytes, `octets` to a number; shades: the number of a byte; indices, targets:
    of this batch; still: zeros, ones: a vector of ones; filters: Winograd's; keys: of the
    masks; share: what an image's loss counts; arena:
    this thread's own; gradients (shares, parameters); losses, rights: a number for each chunk
    """
    mode = flush_denormals()
    chunks = losses.size
    number = take_number(counter)
    while number < shares:
        gradient = gradients[number]
        if learning:
            gradient[:] = 0
        for chunk in range(number * chunks // shares, (number + 1) * chunks // shares):
            first = chunk * LANES
            count = min(LANES, indices.size - first)
            load_images(table[0], images, octets, shades, indices[first:], count, arena)
            _forward(table, parameters, still, filters, keys, first, learning, arena)
            head = table[table.size - 1]
            losses[chunk], rights[chunk] = cross_entropy(head, targets[first:], count, smoothing, share, arena)
            if learning:
                _backward(table, parameters, still, ones, filters, arena, gradient)
        number = take_number(counter)
    restore(mode)


@sum_kernel
def add_shares(gradients, shares, first, last, gradient):  # type: ignore[no-untyped-def]
    """gradient = the shares' gradients, added in their order, from one parameter to another."""
    for start in range(first, last, BLOCK):
        here = slice(start, min(start + BLOCK, last))
        total = gradient[here]
        total[:] = gradients[0, here]
        for share in range(1, shares):
            part = gradients[share, here]
            for i in range(total.size):
                total[i] += part[i]
