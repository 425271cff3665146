"""Is my own backward pass of a convolution right? The server's answer, value by value."""

import convscope
import numpy as np


def my_backward(dy, x, w, b, padding=1):
    """dx, dw and db of a convolution with stride 1, by the definition: each delta meets what its window saw."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dx, dw, db = np.zeros_like(padded), np.zeros_like(w), dy.sum((0, 2, 3))
    height, width = w.shape[2:]
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            window = (..., slice(i, i + height), slice(j, j + width))
            dw += np.einsum("no,ncuv->ocuv", dy[:, :, i, j], padded[window])
            dx[window] += np.einsum("no,ocuv->ncuv", dy[:, :, i, j], w)
    inside = slice(padding, -padding or None)
    return dx[:, :, inside, inside], dw, db


rng = np.random.default_rng(0)
x, w, b = rng.normal(size=(2, 3, 6, 6)), rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)
dy = rng.normal(size=(2, 4, 6, 6))

report = convscope.conv2d(x, w, b, padding=1).check(my_backward, dy)

for name, found in report.given.items():
    word = "agrees" if found["agrees"] else "differs"
    print(f"{name} {word}, by {found['largest_relative']:.0e} of its largest value at most")
