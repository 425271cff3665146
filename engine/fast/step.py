"""One call per step and thread: a chunk of images goes forward and backward through the table of layers while it sits
in the cache, then the next chunk."""

from __future__ import annotations

import numpy as np

from engine.fast.average import average_backward, average_forward, single_average_backward, single_average_forward
from engine.fast.conv import (
    conv_backward_w,
    conv_backward_x,
    conv_forward,
    conv_gather,
    cross_entropy,
    load_images,
    wipe,
)
from engine.fast.linear import (
    keep_linear,
    linear_backward_x,
    linear_forward,
    linear_gather,
    single_linear_backward,
    single_linear_forward,
)
from engine.fast.merge import copy_backward, copy_forward, single_copy_backward, single_copy_forward
from engine.fast.pointwise import (
    close_gate,
    dropout_backward,
    dropout_forward,
    max_pool_backward,
    max_pool_forward,
    relu_backward,
    relu_forward,
    single_dropout_backward,
    single_dropout_forward,
    single_max_pool_backward,
    single_max_pool_forward,
    single_relu_backward,
    single_relu_forward,
)
from engine.fast.simd import take_number
from engine.fast.winograd import prepare_filters, winograd_backward, winograd_forward, winograd_gather
from engine.kernels import flush_denormals, part, restore, sum_kernel

INPUT, CONV, WINOGRAD, LINEAR, RELU, DROPOUT, MAX_POOL, AVERAGE, COPY, MEET, CROSS_ENTROPY = range(11)
LONE_LINEAR, LONE_RELU, LONE_DROPOUT, LONE_MAX_POOL, LONE_AVERAGE, LONE_COPY = range(11, 17)

_PLANES = [f"{plane}_{axis}" for plane in ("x", "y", "dx", "dy") for axis in ("at", "c", "h", "w")]
_NUMBERS = (
    "op",
    "C",
    "H",
    "W",
    "O",
    "I",
    "J",
    "U",
    "V",
    "s",
    "t",
    "p",
    "q",
    "d",
    "e",
    "G",
    "w",
    "w_first",
    "w_u",
    "w_v",
    "b",
    "relu",
    "gated",
    "gates",
    "overlap",
    "halves",
    "needs_dx",
    "scratch",
    "key",
    "turned",
    "x_beyond",
    "y_beyond",
    "m",
    "n",
    "tiles_down",
    "tiles_across",
    "filters",
    "dw",
    "db",
    "kept",
    "divisor",
    "padded",
    "bottom",
    "right",
    "y_onto",
    "dx_onto",
)

#: A layer of the table. x (C,H,W) is read and y (O,I,J) written, at the arena's planes x and y; their gradients are dx
#: and dy. U, V, s, t, p, q, d, e, G: window, stride, padding, dilation, groups. w and b: where the weights begin in the
#: flat parameters (b -1: none), with w_first, w_u, w_v for the first weight of a kernel and its strides (negative where
#: it is flipped). relu: a ReLU is fused; gated: the reader of y, which gates, takes it into account in dy. m, n,
#: tiles: of a Winograd convolution, with the place of its transformed kernels (filters). turned: a convolution of one
#: image by itself, with so many numbers beyond the ends of rows (x_beyond, y_beyond). dw, db: where a shard has the
#: gradients of a convolution; kept: where, among what is kept of a chunk, a linear layer has its x and dy.
#: divisor, padded, bottom, right: of an average, what its sums are divided by. y_onto, dx_onto: a copy is
#: added to what stands there.
ROW = np.dtype([(name, np.int64) for name in (*_NUMBERS, *_PLANES)] + [("rate", np.float64)])


@part
def _forward(table, parameters, still, filters, keys, first, training, arena):  # type: ignore[no-untyped-def]
    for index in range(1, table.size - 1):
        row = table[index]
        if row.op == CONV:
            conv_forward(row, parameters, still, arena)
            if row.y_beyond:
                wipe(arena, row.y_at, (row.O, row.I, row.J), (row.y_c, row.y_w), row.y_beyond)
        elif row.op == WINOGRAD:
            winograd_forward(row, parameters, still, filters, arena)
        elif row.op == LINEAR:
            linear_forward(row, parameters, still, arena)
        elif row.op == RELU:
            relu_forward(row, arena)
        elif row.op == DROPOUT:
            dropout_forward(row, keys[row.key], first, training, arena)
        elif row.op == MAX_POOL:
            max_pool_forward(row, arena)
        elif row.op == AVERAGE:
            average_forward(row, arena)
        elif row.op == COPY:
            copy_forward(row, arena)
        elif row.op == LONE_LINEAR:
            single_linear_forward(row, parameters, arena)
        elif row.op == LONE_RELU:
            single_relu_forward(row, arena)
        elif row.op == LONE_DROPOUT:
            single_dropout_forward(row, keys[row.key], first, training, arena)
        elif row.op == LONE_MAX_POOL:
            single_max_pool_forward(row, arena)
        elif row.op == LONE_AVERAGE:
            single_average_forward(row, arena)
        elif row.op == LONE_COPY:
            single_copy_forward(row, arena)


@part
def _backward(table, parameters, still, ones, filters, arena, gradient, kept, chunk):  # type: ignore[no-untyped-def]
    for index in range(table.size - 2, 0, -1):
        row = table[index]
        if row.relu and not row.gated and row.op in (CONV, WINOGRAD, LINEAR):
            close_gate(row, arena)
        if row.op == CONV:
            conv_backward_w(row, ones, arena, gradient)
            if row.needs_dx:
                conv_backward_x(row, parameters, still, arena)
                if row.x_beyond:
                    wipe(arena, row.dx_at, (row.C, row.H, row.W), (row.dx_c, row.dx_w), row.x_beyond)
        elif row.op == WINOGRAD:
            winograd_backward(row, still, ones, filters, arena, gradient)
        elif row.op == LINEAR:
            keep_linear(row, arena, kept[chunk])
            if row.needs_dx:
                linear_backward_x(row, parameters, still, arena)
        elif row.op == RELU and row.needs_dx:
            relu_backward(row, arena)
        elif row.op == DROPOUT and row.needs_dx:
            dropout_backward(row, arena)
        elif row.op == MAX_POOL and row.needs_dx:
            max_pool_backward(row, arena)
        elif row.op == AVERAGE and row.needs_dx:
            average_backward(row, arena)
        elif row.op == COPY and row.needs_dx:
            copy_backward(row, arena)
        elif row.op == LONE_LINEAR:
            single_linear_backward(row, parameters, still, arena, kept[chunk])
        elif row.op == LONE_RELU and row.needs_dx:
            single_relu_backward(row, arena)
        elif row.op == LONE_DROPOUT and row.needs_dx:
            single_dropout_backward(row, arena)
        elif row.op == LONE_MAX_POOL and row.needs_dx:
            single_max_pool_backward(row, arena)
        elif row.op == LONE_AVERAGE and row.needs_dx:
            single_average_backward(row, arena)
        elif row.op == LONE_COPY and row.needs_dx:
            single_copy_backward(row, arena)


@sum_kernel
def prepare(table, counter, arena, pieces, parameters, filters):  # type: ignore[no-untyped-def]
    """Transform the kernels of Winograd's convolutions, whose outputs are the pieces (row, output)."""
    number = take_number(counter)
    while number < len(pieces):
        prepare_filters(table[pieces[number, 0]], pieces[number, 1], parameters, arena, filters)
        number = take_number(counter)


@sum_kernel
def work(  # type: ignore[no-untyped-def]
    table,
    counter,
    arena,
    lanes,
    images,
    octets,
    shades,
    indices,
    targets,
    parameters,
    still,
    ones,
    filters,
    keys,
    smoothing,
    share,
    training,
    span,
    gradients,
    kept,
    losses,
    rights,
):
    """Take shards of a round, which is a run of chunks of the batch, until none is left: of each chunk the loss and the
    right answers, and, when learning, of each shard the gradients of the convolutions and of each chunk what those of
    the linear layers are made of. A shard is always the same chunks in the same order, so that no number depends on how
    many threads take part.

    table: ROW, for chunks of so many images (lanes); arena: this thread's own; images: the split's, flat bytes,
    `octets` to a number; shades: the number of a byte; indices, targets: of this batch; still: zeros, ones: a vector of
    ones; filters: Winograd's; keys: of the masks; share: what an image's loss counts; span: the round's first chunk
    and how many; gradients: a vector for each shard; kept: one for each chunk of a round; losses, rights: a number for
    each chunk
    """
    mode = flush_denormals()
    start, chunks = span
    shards = len(gradients)
    number = take_number(counter)
    while number < shards:
        gradient = gradients[number]
        if training and start == 0:
            gradient[:] = 0
        for chunk in range(start + number * chunks // shards, start + (number + 1) * chunks // shards):
            first = chunk * lanes
            count = min(lanes, indices.size - first)
            load_images(table[0], images, octets, shades, indices[first:], count, lanes, arena)
            _forward(table, parameters, still, filters, keys, first, training, arena)
            head = table[table.size - 1]
            losses[chunk], rights[chunk] = cross_entropy(head, targets[first:], count, lanes, smoothing, share, arena)
            if training:
                _backward(table, parameters, still, ones, filters, arena, gradient, kept, chunk - start)
        number = take_number(counter)
    restore(mode)


@sum_kernel
def gather(table, counter, arena, pieces, span, lanes, still, ones, gradients, kept, gradient):  # type: ignore
    """The gradient of all parameters from what a round's chunks have left, piece by piece: (row, output) of a
    convolution, whose shards are added up in their order; (row, panel of inputs) of a linear layer. lanes: those of a
    chunk that have images
    """
    mode = flush_denormals()
    number = take_number(counter)
    while number < len(pieces):
        row, piece = table[pieces[number, 0]], pieces[number, 1]
        if row.op == CONV:
            conv_gather(row, piece, gradients, gradient)
        elif row.op == WINOGRAD:
            winograd_gather(row, piece, gradients, arena, gradient)
        else:
            linear_gather(row, piece, kept, span, lanes, still, ones, gradient)
        number = take_number(counter)
    restore(mode)
