"""One call per step and thread: a chunk of images goes forward and backward through the table of layers while it sits
in the cache, then the next chunk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.fast.activation import (
    activation_backward,
    activation_forward,
    channels_gather,
    softmax_backward,
    softmax_forward,
)
from engine.fast.average import average_backward, average_forward, single_average_backward, single_average_forward
from engine.fast.conv import (
    conv_backward_w,
    conv_backward_x,
    conv_forward,
    conv_gather,
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
from engine.fast.loss import loss_and_delta
from engine.fast.lp_pool import lp_pool_backward, lp_pool_forward
from engine.fast.merge import copy_backward, copy_forward, single_copy_backward, single_copy_forward
from engine.fast.norm import (
    group_norm_backward,
    group_norm_forward,
    measure_backward,
    measure_forward,
    norm_backward,
    norm_forward,
    norm_gather,
)
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
from engine.fast.transposed import bias_backward, bias_forward, bias_gather
from engine.fast.upsample import upsample_backward, upsample_forward
from engine.fast.winograd import prepare_filters, winograd_backward, winograd_forward, winograd_gather
from engine.kernels import flush_denormals, inlined, restore, sum_kernel

Array = np.ndarray

INPUT, CONV, WINOGRAD, LINEAR, RELU, ACTIVATION, SOFTMAX, MEASURE, NORM, GROUP_NORM = range(10)
DROPOUT, MAX_POOL, AVERAGE, LP_POOL, UPSAMPLE, TRANSPOSED, COPY, MEET, LOSS = range(10, 19)
LONE_LINEAR, LONE_RELU, LONE_DROPOUT, LONE_MAX_POOL, LONE_AVERAGE, LONE_COPY = range(19, 25)

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
    "lanes",
    "curve",
    "axis",
    "logarithm",
    "loss",
    "ignores",
    "ignored",
    "mean",
    "var",
    "fixed",
    "sums",
    "bias",
)

#: A layer of the table. x (C,H,W) is read and y (O,I,J) written, at the arena's planes x and y; their gradients are dx
#: and dy. U, V, s, t, p, q, d, e, G: window, stride, padding, dilation, groups. w and b: where the weights begin in the
#: flat parameters (b -1: none), with w_first, w_u, w_v for the first weight of a kernel and its strides (negative where
#: it is flipped). relu: a ReLU is fused; gated: the reader of y, which gates, takes it into account in dy. m, n,
#: tiles: of a Winograd convolution, with the place of its transformed kernels (filters). turned: a convolution of one
#: image by itself, with so many numbers beyond the ends of rows (x_beyond, y_beyond). dw, db: where a shard has the
#: gradients of a convolution; kept: where, among what is kept of a chunk, a linear layer has its x and dy.
#: divisor, padded, bottom, right: of an average, what its sums are divided by. y_onto, dx_onto: a copy is
#: added to what stands there. lanes: of a value. curve: which activation; axis, logarithm: of a softmax; loss, with the
#: class that it ignores: of the last row. mean, var: where a norm has its running
#: statistics in the flat parameters, or, where it is fixed, what is taken away and divided by; sums: where a shard has
#: its sums. bias: of a transposed convolution. constant: a number of the op's own, such as a dropout's rate.
ROW = np.dtype([(name, np.int64) for name in (*_NUMBERS, *_PLANES)] + [("constant", np.float64)])


@inlined
def _forward(table, rows, weights, batch, sums, shard, chunk, training, arena):  # type: ignore[no-untyped-def]
    """Rows from the first to before the last; chunk: its first image and how many."""
    parameters, still, images = weights.parameters, weights.still, batch.indices.size
    first, count = chunk
    for index in range(*rows):
        row = table[index]
        if row.op == CONV:
            conv_forward(row, parameters, still, arena)
            if row.y_beyond:
                wipe(arena, row.y_at, (row.O, row.I, row.J), (row.y_c, row.y_w), row.y_beyond)
        elif row.op == WINOGRAD:
            winograd_forward(row, parameters, still, weights.filters, arena)
        elif row.op == LINEAR:
            linear_forward(row, parameters, still, arena)
        elif row.op == RELU:
            relu_forward(row, arena)
        elif row.op == ACTIVATION:
            activation_forward(row, parameters, arena)
        elif row.op == SOFTMAX:
            softmax_forward(row, arena)
        elif row.op == MEASURE:
            if training:
                measure_forward(row, count, sums[shard], arena)
        elif row.op == NORM:
            norm_forward(row, sums, parameters, images, training, arena)
        elif row.op == GROUP_NORM:
            group_norm_forward(row, parameters, arena)
        elif row.op == DROPOUT:
            dropout_forward(row, weights.keys[row.key], first, training, arena)
        elif row.op == MAX_POOL:
            max_pool_forward(row, arena)
        elif row.op == AVERAGE:
            average_forward(row, arena)
        elif row.op == LP_POOL:
            lp_pool_forward(row, arena)
        elif row.op == UPSAMPLE:
            upsample_forward(row, arena)
        elif row.op == TRANSPOSED:
            conv_backward_x(row, parameters, still, arena)
            bias_forward(row, parameters, arena)
        elif row.op == COPY:
            copy_forward(row, arena)
        elif row.op == LONE_LINEAR:
            single_linear_forward(row, parameters, arena)
        elif row.op == LONE_RELU:
            single_relu_forward(row, arena)
        elif row.op == LONE_DROPOUT:
            single_dropout_forward(row, weights.keys[row.key], first, training, arena)
        elif row.op == LONE_MAX_POOL:
            single_max_pool_forward(row, arena)
        elif row.op == LONE_AVERAGE:
            single_average_forward(row, arena)
        elif row.op == LONE_COPY:
            single_copy_forward(row, arena)


@inlined
def _backward(table, rows, weights, batch, sums, shard, count, arena, gradient, kept):  # type: ignore[no-untyped-def]
    """The same rows, from the last to the first."""
    parameters, still, ones, images = weights.parameters, weights.still, weights.ones, batch.indices.size
    for index in range(rows[1] - 1, rows[0] - 1, -1):
        row = table[index]
        if row.relu and not row.gated and row.op in (CONV, WINOGRAD, LINEAR):
            close_gate(row, arena)
        if row.op in (CONV, TRANSPOSED):
            conv_backward_w(row, ones, arena, gradient)
            if row.op == TRANSPOSED:
                bias_backward(row, arena, gradient)
                if row.needs_dx:
                    conv_forward(row, parameters, still, arena)
            elif row.needs_dx:
                conv_backward_x(row, parameters, still, arena)
                if row.x_beyond:
                    wipe(arena, row.dx_at, (row.C, row.H, row.W), (row.dx_c, row.dx_w), row.x_beyond)
        elif row.op == WINOGRAD:
            winograd_backward(row, still, ones, weights.filters, arena, gradient)
        elif row.op == LINEAR:
            keep_linear(row, arena, kept)
            if row.needs_dx:
                linear_backward_x(row, parameters, still, arena)
        elif row.op == LONE_LINEAR:
            single_linear_backward(row, parameters, still, arena, kept)
        elif row.op == ACTIVATION:
            activation_backward(row, parameters, arena, gradient)
        elif row.op == NORM:
            norm_backward(row, count, sums[shard], sums, parameters, images, arena)
        elif row.op == GROUP_NORM:
            group_norm_backward(row, count, parameters, arena, gradient)
        elif not row.needs_dx:
            pass
        elif row.op == RELU:
            relu_backward(row, arena)
        elif row.op == MEASURE:
            measure_backward(row, count, sums, parameters, images, arena)
        elif row.op == SOFTMAX:
            softmax_backward(row, arena)
        elif row.op == DROPOUT:
            dropout_backward(row, arena)
        elif row.op == MAX_POOL:
            max_pool_backward(row, arena)
        elif row.op == AVERAGE:
            average_backward(row, arena)
        elif row.op == LP_POOL:
            lp_pool_backward(row, arena)
        elif row.op == UPSAMPLE:
            upsample_backward(row, arena)
        elif row.op == COPY:
            copy_backward(row, arena)
        elif row.op == LONE_RELU:
            single_relu_backward(row, arena)
        elif row.op == LONE_DROPOUT:
            single_dropout_backward(row, arena)
        elif row.op == LONE_MAX_POOL:
            single_max_pool_backward(row, arena)
        elif row.op == LONE_AVERAGE:
            single_average_backward(row, arena)
        elif row.op == LONE_COPY:
            single_copy_backward(row, arena)


@sum_kernel
def prepare(table, counter, arena, weights, pieces):  # type: ignore[no-untyped-def]
    """Transform the kernels of Winograd's convolutions, whose outputs are the pieces (row, output)."""
    number = take_number(counter)
    while number < len(pieces):
        prepare_filters(table[pieces[number, 0]], pieces[number, 1], weights.parameters, arena, weights.filters)
        number = take_number(counter)


class Weights(NamedTuple):
    """What a step reads: all parameters, flat; Winograd's transformed kernels; the keys of the masks; a vector of zeros
    and one of ones."""

    parameters: Array
    filters: Array
    keys: Array
    still: Array
    ones: Array


class Batch(NamedTuple):
    """images: the split's, as flat bytes, `octets` to a number; shades: the number of a byte; indices: which images
    these are; classes, wanted: their targets, as `loss_and_delta` has them; share: what an element's loss counts."""

    images: Array
    octets: int
    shades: Array
    indices: Array
    classes: Array
    wanted: Array
    share: float


class Found(NamedTuple):
    """What a step leaves: of each shard the gradients of convolutions and the like and the sums of norms; of each chunk
    of a round what the gradients of linear layers are made of; of each chunk the loss and how many answers are
    right."""

    gradients: Array
    sums: Array
    kept: Array
    losses: Array
    rights: Array


@sum_kernel
def work(table, counter, arena, weights, batch, found, span, stride, forward, backward, training):  # type: ignore
    """Take shards of a round, which is a run of chunks of the batch (span: the first and how many), until none is left.
    A shard is always the same chunks in the same order, so that no number depends on how many threads take part.

    A chunk goes through the rows `forward` (the first and the one behind the last), past the loss if these are the last
    ones, and back through the rows `backward`. stride: from one chunk's tensors in the arena to the next one's; 0 where
    one chunk follows another in the same place.
    """
    mode = flush_denormals()
    start, chunks = span
    shards, lanes, head = len(found.gradients), table[0].lanes, table[table.size - 1]
    number = take_number(counter)
    while number < shards:
        gradient = found.gradients[number]
        if start == 0 and forward[0] == 1:
            gradient[:] = 0
            found.sums[number] = 0
        for chunk in range(start + number * chunks // shards, start + (number + 1) * chunks // shards):
            first = chunk * lanes
            count = min(lanes, batch.indices.size - first)
            room = arena[(chunk - start) * stride :]
            if forward[0] == 1:
                indices = batch.indices[first:]
                load_images(table[0], batch.images, batch.octets, batch.shades, indices, count, lanes, room)
            _forward(table, forward, weights, batch, found.sums, number, (first, count), training, room)
            if forward[1] == table.size - 1:
                found.losses[chunk], found.rights[chunk] = loss_and_delta(
                    head, batch.classes, batch.wanted, first, count, batch.share, room
                )
            kept = found.kept[chunk - start] if training else found.kept.reshape(-1)
            _backward(table, backward, weights, batch, found.sums, number, count, room, gradient, kept)
        number = take_number(counter)
    restore(mode)


@sum_kernel
def gather(table, counter, arena, weights, found, pieces, span, lanes, gradient):  # type: ignore[no-untyped-def]
    """The gradient of all parameters from what a round's chunks have left, piece by piece: (row, output) of a
    convolution, whose shards are added up in their order; (row, panel of inputs) of a linear layer; (row, 0) of what
    has a number for each channel. lanes: those of a chunk that have images."""
    mode = flush_denormals()
    number = take_number(counter)
    while number < len(pieces):
        row, piece = table[pieces[number, 0]], pieces[number, 1]
        if row.op == CONV or (row.op == TRANSPOSED and piece < row.O):
            conv_gather(row, piece, found.gradients, gradient)
        elif row.op == TRANSPOSED:
            bias_gather(row, found.gradients, gradient)
        elif row.op == WINOGRAD:
            winograd_gather(row, piece, found.gradients, arena, gradient)
        elif row.op in (LINEAR, LONE_LINEAR):
            linear_gather(row, piece, found.kept, span, lanes, weights.still, weights.ones, gradient)
        elif row.op == NORM:
            norm_gather(row, found.sums, gradient)
        else:
            channels_gather(row, found.gradients, gradient)
        number = take_number(counter)
    restore(mode)
