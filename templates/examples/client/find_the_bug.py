"""Three backward passes with a bug each: the server says which gradient is wrong, and what the bug looks like."""

import convscope
import numpy as np


def slide(x, kernel, padding):
    """Every window of x (N, C, H, W) times a kernel (O, C, U, V); with other tensors in their places, a gradient."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], axis=(2, 3))
    return np.einsum("ncijuv,ocuv->noij", windows, kernel)


def flip_forgotten(x, w, dy):
    dx = slide(dy, w.transpose(1, 0, 2, 3), padding=1)  # the kernel should be turned: w[..., ::-1, ::-1]
    dw = slide(x.transpose(1, 0, 2, 3), dy.transpose(1, 0, 2, 3), padding=1).transpose(1, 0, 2, 3)
    return {"dx": dx, "dw": dw, "db": dy.sum((0, 2, 3))}


def padding_forgotten(x, w, dy):
    right = flip_forgotten(x, w[..., ::-1, ::-1], dy)
    beside = np.pad(x, ((0, 0), (0, 0), (0, 2), (0, 2)))  # windows start at the corner of x, not one row outside it
    dw = slide(beside.transpose(1, 0, 2, 3), dy.transpose(1, 0, 2, 3), padding=0).transpose(1, 0, 2, 3)
    return {**right, "dw": dw}


def averaged(x, w, dy):
    right = flip_forgotten(x, w[..., ::-1, ::-1], dy)
    return {**right, "db": dy.mean((0, 2, 3))}  # the gradient of a bias is a sum


rng = np.random.default_rng(0)
x, w, dy = rng.normal(size=(2, 3, 6, 6)), rng.normal(size=(4, 3, 3, 3)), rng.normal(size=(2, 4, 6, 6))
y = convscope.conv2d(x, w, np.zeros(4), padding=1)

for backward in (flip_forgotten, padding_forgotten, averaged):
    report = y.check(backward(x, w, dy), dy)
    for name, found in report.given.items():
        if not found["agrees"]:
            print(f"{backward.__name__}: {name} is wrong, {found['looks_like']}: {found['guess']}")
