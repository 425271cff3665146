"""What a convolution does with one chunk of LANES images, forwards and backwards;
how images come in.

A plane of the arena is said by four numbers: where its first value stands, and the strides from channel to channel, row
to row and column to column; each value is a vector. Around a plane lie as many zeros as its reader's windows reach out.
"""

from __future__ import annotations

import numpy as np

from engine.fast.simd import LANES, LEAST, PIXELS, TAPS, number_at, plain, product_block, weight_block
from engine.kernels import part

ZERO, ONE, LOWEST, NAN = np.float32(0), np.float32(1), np.float32(-np.inf), np.float32(np.nan)

block_4_p, block_4_r = (product_block(4, pixels, onto=False) for pixels in (PIXELS, LEAST))
block_6_r, block_2_r, block_1_r = (product_block(outputs, LEAST, onto=False) for outputs in (6, 2, 1))
block_8_1, block_4_1, block_1_1 = (product_block(outputs, 1, onto=False) for outputs in (8, 4, 1))
weights_4_p, weights_4_q, weights_4_2, weights_4_1 = (weight_block(4, taps) for taps in TAPS)
weights_2_p, weights_2_q, weights_2_2, weights_2_1 = (weight_block(2, taps) for taps in TAPS)
weights_1_2, weights_1_1 = (weight_block(1, taps) for taps in (2, 1))
MOST, MANY = TAPS[:2]
#: Pixels of four outputs' deltas that stay in a core's nearest cache.
NEAR = 100


@part
def product(y, w, x, b, at, strides, size, counts, steps, floor):  # type: ignore[no-untyped-def]
    """product_block for any size (outputs, pixels): a row is cut into blocks as equal as can be; the last pixels of a
    short row, and of outputs that are fewer than four, are computed twice where they must."""
    outputs, pixels = size
    y_at, w_at, x_at, b_at = at
    y_o, y_p, w_o, x_p, b_o = strides
    blocks = -(-pixels // PIXELS)
    short, longer = pixels // blocks, pixels % blocks
    o = 0
    while o < outputs:
        left = outputs - o
        here = (y_at + o * y_o, w_at + o * w_o, x_at, b_at + o * b_o)
        if pixels < LEAST:
            taken = 8 if left >= 8 else 4 if left >= 4 else 1
            for p in range(pixels):
                there = (here[0] + p * y_p, here[1], here[2] + p * x_p, here[3])
                if taken == 8:
                    block_8_1(y, w, x, b, there, strides, counts, steps, floor)
                elif taken == 4:
                    block_4_1(y, w, x, b, there, strides, counts, steps, floor)
                else:
                    block_1_1(y, w, x, b, there, strides, counts, steps, floor)
        elif left >= 4:
            taken = 4
            first = 0
            for block in range(blocks):
                many = max(LEAST, short + (block < longer))
                p = min(first, pixels - many)
                first += many
                there = (here[0] + p * y_p, here[1], here[2] + p * x_p, here[3])
                if many == LEAST:
                    block_4_r(y, w, x, b, there, strides, counts, steps, floor)
                else:
                    block_4_p(y, w, x, b, there, strides, counts, steps, floor)
        else:
            taken = 2 if left >= 2 else 1
            for first in range(0, pixels, LEAST):
                p = min(first, pixels - LEAST)
                there = (here[0] + p * y_p, here[1], here[2] + p * x_p, here[3])
                if taken == 2:
                    block_2_r(y, w, x, b, there, strides, counts, steps, floor)
                else:
                    block_1_r(y, w, x, b, there, strides, counts, steps, floor)
        o += taken


@part
def product_by_six(y, w, x, b, at, strides, size, counts, steps):  # type: ignore[no-untyped-def]
    """product by blocks of six outputs and few pixels, which load less where outputs are many. The last outputs and
    pixels are computed twice where they must."""
    outputs, pixels = size
    if pixels < LEAST or outputs < 6:
        product(y, w, x, b, plain(at), plain(strides), plain(size), plain(counts), plain(steps), LOWEST)
        return
    for block in range(0, outputs, 6):
        o = min(block, outputs - 6)
        for first in range(0, pixels, LEAST):
            p = min(first, pixels - LEAST)
            block_6_r(
                y,
                w,
                x,
                b,
                (
                    at[0] + o * strides[0] + p * strides[1],
                    at[1] + o * strides[2],
                    at[2] + p * strides[3],
                    at[3] + o * strides[4],
                ),
                strides,
                counts,
                steps,
                LOWEST,
            )


@part
def add_weights(dw, dy, x, at, strides, size, counts, steps):  # type: ignore[no-untyped-def]
    """weight_block for any size (outputs, taps)."""
    outputs, taps = size
    o = 0
    while o < outputs:
        taken = 4 if outputs - o >= 4 else 2 if outputs - o >= 2 else 1
        v = 0
        while v < taps:
            there = (at[0] + o * strides[0] + v * strides[1], at[1] + o * strides[2], at[2] + v * strides[3])
            left = taps - v
            many = MOST if left >= MOST else MANY if left == MANY or left > 4 else 2 if left >= 2 else 1
            if taken == 4:
                if many == MOST:
                    weights_4_p(dw, dy, x, there, strides, counts, steps)
                elif many == MANY:
                    weights_4_q(dw, dy, x, there, strides, counts, steps)
                elif many == 2:
                    weights_4_2(dw, dy, x, there, strides, counts, steps)
                else:
                    weights_4_1(dw, dy, x, there, strides, counts, steps)
            elif taken == 2:
                if many == MOST:
                    weights_2_p(dw, dy, x, there, strides, counts, steps)
                elif many == MANY:
                    weights_2_q(dw, dy, x, there, strides, counts, steps)
                elif many == 2:
                    weights_2_2(dw, dy, x, there, strides, counts, steps)
                else:
                    weights_2_1(dw, dy, x, there, strides, counts, steps)
            else:
                many = min(2, left)
                if many == 2:
                    weights_1_2(dw, dy, x, there, strides, counts, steps)
                else:
                    weights_1_1(dw, dy, x, there, strides, counts, steps)
            v += many
        o += taken


# images ---------------------------------------------------------------------------------------------------------------


@part
def load_images(row, images, octets, shades, indices, count, lanes, arena):  # type: ignore[no-untyped-def]
    """Images, as bytes of shades or as float32 (4 bytes each), side by side into the arena; zeros for lanes beyond."""
    size = row.C * row.H * row.W
    cell = 0
    for c in range(row.C):
        for h in range(row.H):
            for k in range(row.W):
                at = row.y_at + c * row.y_c + h * row.y_h + k * row.y_w
                for lane in range(count):
                    place = indices[lane] * size + cell
                    arena[at + lane] = shades[images[place]] if octets == 1 else number_at(images, 4 * place)
                for lane in range(count, lanes):
                    arena[at + lane] = ZERO
                cell += 1


# convolution ----------------------------------------------------------------------------------------------------------


@part
def conv_forward(row, parameters, still, arena):  # type: ignore[no-untyped-def]
    """y[o,i,j] = b[o] + sum over c, u, v of w[o,c,u,v] * x[c, s*i+d*u-p, t*j+e*v-q], then ReLU where it is fused."""
    depth, share = row.C // row.G, row.O // row.G
    cells = depth * row.U * row.V
    biases, b_at, b_o = (parameters, row.b, 1) if row.b >= 0 else (still, 0, 0)
    floor = ZERO if row.relu else LOWEST
    for g in range(row.G):
        for i in range(row.I):
            product(
                arena,
                parameters,
                arena,
                biases,
                (
                    row.y_at + g * share * row.y_c + i * row.y_h,
                    row.w + g * share * cells + row.w_first,
                    row.x_at + g * depth * row.x_c + (row.s * i - row.p) * row.x_h - row.q * row.x_w,
                    b_at + g * share * b_o,
                ),
                (row.y_c, row.y_w, cells, row.t * row.x_w, b_o),
                (share, row.J),
                (depth, row.U, row.V),
                (row.U * row.V, row.x_c, row.w_u, row.d * row.x_h, row.w_v, row.e * row.x_w),
                floor,
            )


@part
def inside(first, end, step, count):  # type: ignore[no-untyped-def]
    """The multiples 0, step, 2*step, ... (count of them) that lie within first to end: from which one, to which one."""
    if step == 1:  # by far the usual case, and a division takes as long as a window
        return max(0, first), max(0, first, min(count, end))
    low = max(0, -(-first // step))
    return low, max(low, min(count, -(-end // step)))


@part
def conv_backward_x(row, parameters, still, arena):  # type: ignore[no-untyped-def]
    """dx[c,h,k] = sum over o, u, v of w[o,c,u,v] * dy[o, (h+p-d*u)/s, (k+q-e*v)/t]: the same product on the turned
    kernel. Between the rows and columns of dy lie s-1 and t-1 zeros, so that every position is one of a cell."""
    depth, share = row.C // row.G, row.O // row.G
    cells = depth * row.U * row.V
    down, right = row.dy_h // row.s, row.dy_w // row.t
    hop = LANES if row.turned else 1
    for g in range(row.G):
        for h in range(row.H):
            above, below = 0, row.U
            if not row.turned:  # rows of zeros are left out
                above, below = inside(h + row.p - (row.I - 1) * row.s, h + row.p + 1, row.d, row.U)
            product(
                arena,
                parameters,
                arena,
                still,
                (
                    row.dx_at + g * depth * row.dx_c + h * row.dx_h,
                    row.w + g * share * cells + row.w_first + above * row.w_u,
                    row.dy_at + g * share * row.dy_c + (h * hop + row.p - row.d * above) * down + row.q * right,
                    0,
                ),
                (row.dx_c, row.dx_w, row.U * row.V, right, 0),
                (depth, row.W),
                (share, below - above, row.V),
                (cells, row.dy_c, row.w_u, -row.d * down, row.w_v, -row.e * right),
                LOWEST,
            )


@part
def conv_backward_w(row, ones, arena, gradient):  # type: ignore[no-untyped-def]
    """dw[o,c,u,v] += sum over i, j of dy[o,i,j] * x[c, s*i+d*u-p, t*j+e*v-q], db[o] += sum over i, j of dy[o,i,j]."""
    depth, share = row.C // row.G, row.O // row.G
    cells = depth * row.U * row.V
    steps = (row.dy_h, row.s * row.x_h, row.dy_w, row.t * row.x_w)
    band = max(1, NEAR // row.J)
    for g in range(row.G):
        for o in range(0, share, 4):
            outputs = min(4, share - o)
            dw_at = row.dw + (g * share + o) * cells + row.w_first
            for top in range(0, row.I, band):
                counts = (min(band, row.I - top), row.J)
                dy_at = row.dy_at + (g * share + o) * row.dy_c + top * row.dy_h
                x_at = row.x_at + g * depth * row.x_c + (row.s * top - row.p) * row.x_h - row.q * row.x_w
                if row.V == 1:
                    for u in range(row.U):
                        add_weights(
                            gradient,
                            arena,
                            arena,
                            (dw_at + u * row.w_u, dy_at, x_at + u * row.d * row.x_h),
                            (cells, row.U, row.dy_c, row.x_c),
                            (outputs, depth),
                            counts,
                            steps,
                        )
                else:
                    for c in range(depth):
                        for u in range(row.U):
                            add_weights(
                                gradient,
                                arena,
                                arena,
                                (
                                    dw_at + c * row.U * row.V + u * row.w_u,
                                    dy_at,
                                    x_at + c * row.x_c + u * row.d * row.x_h,
                                ),
                                (cells, row.w_v, row.dy_c, row.e * row.x_w),
                                (outputs, row.V),
                                counts,
                                steps,
                            )
                if row.b >= 0:
                    add_weights(
                        gradient,
                        arena,
                        ones,
                        (row.db + g * share + o, dy_at, 0),
                        (1, 0, row.dy_c, 0),
                        (outputs, 1),
                        counts,
                        (row.dy_h, 0, row.dy_w, 0),
                    )


@part
def add_up(gradients, at, count, gradient, to):  # type: ignore[no-untyped-def]
    """So many numbers of every share's gradient, added in the shares' order."""
    total = gradient[to : to + count]
    total[:] = gradients[0, at : at + count]
    for share in range(1, len(gradients)):
        part = gradients[share, at : at + count]
        for i in range(count):
            total[i] += part[i]


@part
def conv_gather(row, o, gradients, gradient):  # type: ignore[no-untyped-def]
    """The gradients of an output's kernels and of its bias, of all shares."""
    cells = row.C // row.G * row.U * row.V
    add_up(gradients, row.dw + o * cells, cells, gradient, row.w + o * cells)
    if row.b >= 0:
        add_up(gradients, row.db + o, 1, gradient, row.b + o)


@part
def wipe(arena, at, size, strides, beyond):  # type: ignore[no-untyped-def]
    """Zeros in the last numbers, `beyond` in all, of the vectors of a turned plane's rows, which its readers' windows
    reach."""
    channels, vectors, rows = size
    for c in range(channels):
        for i in range(rows):
            end = at + c * strides[0] + vectors * LANES + i * strides[1]
            for k in range(end - beyond, end):
                arena[k] = ZERO
