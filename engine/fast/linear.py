"""Linear layers. A weight is needed once for LANES images, so that reading it takes as long as multiplying by it.

The gradients of the weights are no chunk's business: what they are made of is kept, the inputs and the deltas of every
chunk, and when all chunks have passed each weight's gradient is a sum over all images, which is written once.

For an image by itself (`single`) a vector holds LANES inputs; those beyond whole vectors go number by number.
"""

from __future__ import annotations

from engine.fast.conv import LOWEST, ZERO, add_weights, product, product_by_six
from engine.fast.simd import LANES, LEAST, load, plain, product_block, splat, store, turn
from engine.kernels import part

#: Inputs whose weights' gradients are made together, and outputs whose weights are read together.
PANEL, NEAR = 16 * LANES, 32

block_16_1, onto_16_1 = (product_block(16, 1, onto=onto) for onto in (False, True))
onto_4_p, onto_1_p, onto_4_1, onto_1_1 = (
    product_block(outputs, pixels, onto=True) for outputs, pixels in ((4, LEAST), (1, LEAST), (4, 1), (1, 1))
)


@part
def add_product(y, w, x, at, strides, size, counts, steps):  # type: ignore[no-untyped-def]
    """product, added to what stands in y."""
    outputs, pixels = size
    o = 0
    while o < outputs:
        taken = 4 if outputs - o >= 4 else 1
        p = 0
        while p < pixels:
            there = (at[0] + o * strides[0] + p * strides[1], at[1] + o * strides[2], at[2] + p * strides[3], 0)
            if pixels - p >= LEAST:
                if taken == 4:
                    onto_4_p(y, w, x, x, there, strides, counts, steps, ZERO)
                else:
                    onto_1_p(y, w, x, x, there, strides, counts, steps, ZERO)
                p += LEAST
            else:
                if taken == 4:
                    onto_4_1(y, w, x, x, there, strides, counts, steps, ZERO)
                else:
                    onto_1_1(y, w, x, x, there, strides, counts, steps, ZERO)
                p += 1
        o += taken


@part
def linear_forward(row, parameters, still, arena):  # type: ignore[no-untyped-def]
    """y[o] = b[o] + sum over c of w[o,c] * x[c], then ReLU where it is fused."""
    biases, b_at, b_o = (parameters, row.b, 1) if row.b >= 0 else (still, 0, 0)
    floor = ZERO if row.relu else LOWEST
    strides, counts, steps = (LANES, 0, row.C, 0, b_o), (row.C, 1, 1), (1, LANES, 0, 0, 0, 0)
    whole = row.O - row.O % 16
    for o in range(0, whole, 16):
        block_16_1(
            arena,
            parameters,
            arena,
            biases,
            (row.y_at + o * LANES, row.w + o * row.C, row.x_at, b_at + o * b_o),
            strides,
            counts,
            steps,
            floor,
        )
    product(
        arena,
        parameters,
        arena,
        biases,
        (row.y_at + whole * LANES, row.w + whole * row.C, row.x_at, b_at + whole * b_o),
        strides,
        (row.O - whole, 1),
        counts,
        steps,
        floor,
    )


@part
def linear_backward_x(row, parameters, still, arena):  # type: ignore[no-untyped-def]
    """dx[c] = sum over o of w[o,c] * dy[o], by NEAR outputs at a time: the rows of so many weights are read alongside
    each other from their beginnings to their ends."""
    strides, steps = (LANES, 0, 1, 0, 0), (row.C, LANES, 0, 0, 0, 0)
    whole = row.C - row.C % 16
    for o in range(0, row.O, NEAR):
        counts = (min(NEAR, row.O - o), 1, 1)
        for c in range(0, whole, 16):
            at = (row.dx_at + c * LANES, row.w + o * row.C + c, row.dy_at + o * LANES, 0)
            if o == 0:
                block_16_1(arena, parameters, arena, still, at, strides, counts, steps, LOWEST)
            else:
                onto_16_1(arena, parameters, arena, still, at, strides, counts, steps, LOWEST)
    product(
        arena,
        parameters,
        arena,
        still,
        plain((row.dx_at + whole * LANES, row.w + whole, row.dy_at, 0)),
        plain(strides),
        plain((row.C - whole, 1)),
        plain((row.O, 1, 1)),
        plain(steps),
        LOWEST,
    )


@part
def keep_linear(row, arena, kept):  # type: ignore[no-untyped-def]
    """Of a chunk what the gradients of the weights are made of. A vector is given LANES inputs of one image where there
    are so many, so that no lanes need to be added up."""
    whole = row.C - row.C % LANES
    for c in range(0, whole, LANES):
        turn(kept, row.kept + c * LANES, LANES, arena, row.x_at + c * LANES, LANES)
    for c in range(whole, row.C):
        store(kept, row.kept + c * LANES, load(arena, row.x_at + c * LANES))
    for o in range(row.O):
        store(kept, row.kept + (row.C + o) * LANES, load(arena, row.dy_at + o * LANES))


@part
def linear_gather(row, panel, kept, span, lanes, still, ones, gradient):  # type: ignore[no-untyped-def]
    """dw[o,c] += sum over the images of dy[o] * x[c] for the inputs of a panel, db[o] += sum over the images of dy[o]
    with the first, which begin at 0 with the first round."""
    (start, chunks), size = span, kept.shape[1]
    x_at, dy_at = row.kept, row.kept + row.C * LANES
    c, end = panel * PANEL, min(row.C, (panel + 1) * PANEL)
    groups, rest = (end - c) // LANES, (end - c) % LANES
    numbers = kept.reshape(-1)
    at, strides = (row.w + c, dy_at, x_at + c * LANES, 0), (row.C, LANES, LANES, LANES * LANES, 0)
    counts, steps = (chunks, lanes, 1), (size, size, 1, LANES, 0, 0)
    if start == 0:
        product_by_six(gradient, numbers, numbers, still, at, strides, (row.O, groups), counts, steps)
        for o in range(row.O):
            gradient[row.w + o * row.C + end - rest : row.w + o * row.C + end] = 0
    else:
        add_product(gradient, numbers, numbers, at, strides, (row.O, groups), counts, steps)
    if rest:
        c = end - rest
        add_weights(
            gradient,
            numbers,
            numbers,
            (row.w + c, dy_at, x_at + c * LANES),
            (row.C, 1, LANES, LANES),
            (row.O, rest),
            (chunks, 1),
            (size, size, 0, 0),
        )
    if panel == 0 and row.b >= 0:
        if start == 0:
            gradient[row.b : row.b + row.O] = 0
        add_weights(
            gradient, numbers, ones, (row.b, dy_at, 0), (1, 0, LANES, 0), (row.O, 1), (chunks, 1), (size, 0, 0, 0)
        )


@part
def single_linear_forward(row, parameters, arena):  # type: ignore[no-untyped-def]
    """y[o] = b[o] + sum over c of w[o,c] * x[c], then ReLU where it is fused."""
    whole = row.C - row.C % LANES
    for o in range(row.O):
        total = parameters[row.b + o] if row.b >= 0 else ZERO
        for c in range(whole, row.C):
            total += parameters[row.w + o * row.C + c] * arena[row.x_at + c]
        arena[row.y_at + o] = total
    add_weights(
        arena,
        parameters,
        arena,
        (row.y_at, row.w, row.x_at),
        (1, 0, row.C, 0),
        (row.O, 1),
        (whole // LANES, 1),
        (LANES, LANES, 0, 0),
    )
    if row.relu:
        _gate(arena, row.y_at, row.y_at, row.O)


@part
def _gate(arena, values, gated, count):  # type: ignore[no-untyped-def]
    """0 where a value is not above 0."""
    for o in range(count):
        if arena[values + o] <= ZERO:
            arena[gated + o] = ZERO


@part
def single_linear_backward(row, parameters, still, arena, kept):  # type: ignore[no-untyped-def]
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
        product(
            arena,
            arena,
            parameters,
            still,
            (row.dx_at, row.dy_at, row.w, 0),
            (0, LANES, 0, LANES, 0),
            (1, whole // LANES),
            (row.O, 1, 1),
            (1, row.C, 0, 0, 0, 0),
            LOWEST,
        )
        for c in range(whole, row.C):
            total = ZERO
            for o in range(row.O):
                total += parameters[row.w + o * row.C + c] * arena[row.dy_at + o]
            arena[row.dx_at + c] = total
