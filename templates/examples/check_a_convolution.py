"""Is my own backward pass of a convolution right? The server's answer, value by value."""

import json
import urllib.request

import numpy as np

SERVER = "http://127.0.0.1:8000"


def ask(path, body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(SERVER + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def my_backward(x, w, dy, padding):
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
    return {"dx": dx[:, :, inside, inside], "dw": dw, "db": db}


rng = np.random.default_rng(0)
x, w, b = rng.normal(size=(2, 3, 6, 6)), rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)
dy = rng.normal(size=(2, 4, 6, 6))

mine = my_backward(x, w, dy, padding=1)
report = ask(
    "/api/ops/conv2d/check",
    {
        "settings": {"padding": 1},
        "tensors": {"x": x.tolist(), "w": w.tolist(), "b": b.tolist(), "dy": dy.tolist()},
        "gradients": {name: gradient.tolist() for name, gradient in mine.items()},
    },
)

for name, found in report["gradients"].items():
    word = "agrees" if found["agrees"] else "differs"
    print(f"{name} {word}, by {found['largest_relative']:.0e} of its largest value at most")
