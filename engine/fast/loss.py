"""Losses of a chunk: the sum over its images, what is right, and the gradient that starts the way back."""

from __future__ import annotations

import math

import numpy as np

from engine.kernels import part

#: The losses by their ops' names; `row.loss` is a place in this list.
LOSSES = ("cross_entropy", "mse_loss", "bce_with_logits")
CROSS_ENTROPY, SQUARES, LOGISTIC = range(len(LOSSES))


@part
def _best(row, lane, arena):  # type: ignore[no-untyped-def]
    """The place of an image's largest output; the first NaN where there is one."""
    best = 0
    for k in range(1, row.C):
        x, largest = arena[row.x_at + k * row.x_c + lane], arena[row.x_at + best * row.x_c + lane]
        if x > largest or (x != x and largest == largest):
            best = k
    return best


@part
def _cross_entropy(row, target, wanted, share, lane, arena):  # type: ignore[no-untyped-def]
    """An image's loss; dx = (p * mass - t) * share. `wanted` has its distribution, or nothing where the target is a
    class number."""
    best = _best(row, lane, arena)
    top = np.float64(arena[row.x_at + best * row.x_c + lane])
    others = top - top  # 0, or NaN where the largest is infinite
    for k in range(row.C):
        if k != best:
            others += math.exp(np.float64(arena[row.x_at + k * row.x_c + lane]) - top)
    z, log_z = 1 + others, math.log1p(others)
    smoothing, mass = row.constant, 1.0
    if wanted.size:
        mass = 0.0
        for k in range(row.C):
            mass += smoothing / row.C + (1 - smoothing) * wanted[k]
    loss = 0.0
    for k in range(row.C):
        below = np.float64(arena[row.x_at + k * row.x_c + lane]) - top
        t = smoothing / row.C
        if wanted.size:
            t += (1 - smoothing) * wanted[k]
        elif k == target:
            t += 1 - smoothing
        if t != 0:
            loss -= t * (below - log_z)
        arena[row.dx_at + k * row.dx_c + lane] = np.float32((math.exp(below) / z * mass - t) * share)
    return loss


@part
def _elements(row, wanted, share, lane, arena):  # type: ignore[no-untyped-def]
    """The loss of every output beside its target."""
    loss, cell = 0.0, 0
    for c in range(row.C):
        for h in range(row.H):
            for k in range(row.W):
                x = np.float64(arena[row.x_at + c * row.x_c + h * row.x_h + k * row.x_w + lane])
                target = wanted[cell]
                if row.loss == SQUARES:
                    loss += (x - target) * (x - target)
                    slope = 2 * (x - target)
                else:
                    small = math.exp(-abs(x))
                    corner = math.log1p(small)
                    loss += target * (max(-x, 0.0) + corner) + (1 - target) * (max(x, 0.0) + corner)
                    slope = (1.0 if x >= 0 else small) / (1 + small) - target
                arena[row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w + lane] = np.float32(slope * share)
                cell += 1
    return loss


@part
def loss_and_delta(row, classes, wanted, first, count, share, arena):  # type: ignore[no-untyped-def]
    """The sum of the losses of the batch's images from `first` on, `count` of them, and how many have their largest
    output at their class; dx by the lanes of these images.

    classes (N): class numbers, -1 where an image has none; wanted (N,cells): float64 targets, without rows where class
    numbers are the targets. Lanes beyond `count` send nothing back, so that they reach no weight, and nor do images of
    the class that is ignored.
    """
    loss, right = 0.0, 0
    for lane in range(row.lanes):
        image = first + lane
        if lane >= count or (row.ignores and classes[image] == row.ignored):
            for c in range(row.C):
                for h in range(row.H):
                    for k in range(row.W):
                        arena[row.dx_at + c * row.dx_c + h * row.dx_h + k * row.dx_w + lane] = np.float32(0)
        elif row.loss == CROSS_ENTROPY:
            target = wanted[image] if len(wanted) else wanted.reshape(-1)
            loss += _cross_entropy(row, classes[image], target, share, lane, arena)
        else:
            loss += _elements(row, wanted[image], share, lane, arena)
        if lane < count and row.H * row.W == 1 and _best(row, lane, arena) == classes[image]:
            right += 1
    return loss, right
