"""Group norm: a group of channels of one image is shifted and scaled to mean 0 and variance 1, then each channel to a
learned scale and shift. It needs no batch, so it works alike while learning and at rest.

The kernels compute in float64 and round what they keep once, so that every stored number is its sentence's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.kernels import kernel, sum_kernel
from engine.ops.base import Array, Op, Shape, ShapeError, Shapes, TensorSpec, Words, letters, shapes_of
from engine.ops.batch_norm import batch_mean, batch_variance
from engine.settings import REQUIRED, Float, Int


@cache
def _program(rank: int) -> Program:
    at = letters(rank).replace("c", "g|c")
    plane = letters(rank)[1:-1].split(",")[2:]
    inside, places = ",".join(["c", *plane]), ",".join(["n", *plane])
    m = inside.replace(",", "*").upper()
    return Program(
        f"x{at} gamma[g|c] beta[g|c]",
        f"mean[n,g] = sum[{inside}](x{at}) / ({m})\n"
        f"var[n,g] = sum[{inside}]((x{at} - mean[n,g])**2) / ({m})\n"
        f"std[n,g] = sqrt(var[n,g] + eps)\n"
        f"xhat{at} = (x{at} - mean[n,g]) / std[n,g]\n"
        f"y{at} = gamma[g|c] * xhat{at} + beta[g|c]",
        stated=f"dgamma[g|c] = sum[{places}](dy{at} * xhat{at})\n"
        f"dbeta[g|c] = sum[{places}](dy{at})\n"
        f"shift[n,g] = sum[{inside}](gamma[g|c] * dy{at}) / ({m})\n"
        f"tilt[n,g] = sum[{inside}](gamma[g|c] * dy{at} * xhat{at}) / ({m})\n"
        f"dx{at} = gamma[g|c] * dy{at} / std[n,g] - shift[n,g] / std[n,g] - xhat{at} * tilt[n,g] / std[n,g]",
    )


@kernel
def group_normalise(x, gamma, beta, mean, var, eps, y):  # type: ignore[no-untyped-def]
    """y (N,G,C/G,inner), gamma and beta (G,C/G), mean and var (N,G)."""
    for n in range(x.shape[0]):
        for g in range(x.shape[1]):
            std = math.sqrt(var[n, g] + eps)
            for c in range(x.shape[2]):
                for i in range(x.shape[3]):
                    y[n, g, c, i] = gamma[g, c] * ((np.float64(x[n, g, c, i]) - mean[n, g]) / std) + beta[g, c]


@sum_kernel
def group_norm_backward_w(x, dy, mean, var, eps, dgamma, dbeta):  # type: ignore[no-untyped-def]
    """dgamma and dbeta (G,C/G)."""
    for g in range(x.shape[1]):
        for c in range(x.shape[2]):
            along, total = 0.0, 0.0
            for n in range(x.shape[0]):
                std = math.sqrt(var[n, g] + eps)
                for i in range(x.shape[3]):
                    delta = np.float64(dy[n, g, c, i])
                    along += delta * ((np.float64(x[n, g, c, i]) - mean[n, g]) / std)
                    total += delta
            dgamma[g, c] = along
            dbeta[g, c] = total


@sum_kernel
def group_norm_backward_x(x, dy, gamma, mean, var, eps, dx):  # type: ignore[no-untyped-def]
    """dx (N,G,C/G,inner)."""
    count = x.shape[2] * x.shape[3]
    for n in range(x.shape[0]):
        for g in range(x.shape[1]):
            std = math.sqrt(var[n, g] + eps)
            shift, tilt = 0.0, 0.0
            for c in range(x.shape[2]):
                for i in range(x.shape[3]):
                    delta = np.float64(gamma[g, c]) * dy[n, g, c, i]
                    shift += delta
                    tilt += delta * ((np.float64(x[n, g, c, i]) - mean[n, g]) / std)
            for c in range(x.shape[2]):
                for i in range(x.shape[3]):
                    xhat = (np.float64(x[n, g, c, i]) - mean[n, g]) / std
                    delta = np.float64(gamma[g, c]) * dy[n, g, c, i]
                    dx[n, g, c, i] = delta / std - shift / count / std - xhat * (tilt / count) / std


class GroupNorm(Op):
    """Wu and He, 2018. One group for each channel is instance norm, a single group is layer norm."""

    name = "group_norm"
    title = "Group norm"
    tensors = {
        "x": TensorSpec("the input (N, C, ...), two to five axes"),
        "gamma": TensorSpec("the scale of each channel (C)"),
        "beta": TensorSpec("the shift of each channel (C)"),
    }
    saved = ("mean", "var")
    gradients = ("dx", "dgamma", "dbeta")
    settings = {
        "groups": Int(REQUIRED, "channels are split into so many groups", example=2),
        "eps": Float(1e-5, "added to the variance, so that nothing divides by zero", low=0, high=1e6),
    }
    torch = "{self}({x})"
    torch_names = {"weight": "gamma", "bias": "beta"}
    words = {
        "mean": Words("the mean of the group in its image", "Every channel of the group and every place counts alike."),
        "var": Words("how far the group's values are from their mean", "The mean of the squared distances."),
        "std": Words("the usual distance from the mean", "A little is added first, so that it is never zero."),
        "xhat": Words("the value, counted in usual distances from the mean"),
        "y": Words(
            "each group gets mean 0 and spread 1, then each channel a scale and a shift of its own",
            "The scale γ and the shift β are learned.",
        ),
        "shift": Words("the mean delta of the group", "All that would only move the group's mean."),
        "tilt": Words("the mean of delta times x̂", "All that would only widen or narrow the group."),
        "dx": Words(
            "what would only move the group's mean or its spread is taken away",
            "The delta, less its mean, less the part that lies along x̂.",
        ),
        "dgamma": Words("the delta times the value before the scale", "Every place of the channel adds one product."),
        "dbeta": Words(
            "the gradient of the shift is the sum of the deltas", "Every place of the channel adds its delta."
        ),
    }
    example_settings = {"groups": 2}
    example_shapes = {"x": (2, 4, 2, 2), "gamma": (4,), "beta": (4,)}

    def program(self, shapes: Shapes) -> Program:
        return _program(len(shapes["x"]))

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        return {"eps": self.options["eps"], "G": self.options["groups"]}

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        x, groups = shapes["x"], self.options["groups"]
        if not 2 <= len(x) <= 5:
            raise ShapeError(f"x has {len(x)} axes {list(x)}, expected two to five: (N, C, ...)")
        if 0 in x:
            raise ShapeError(f"x is empty: {list(x)}")
        if x[1] % groups:
            raise ShapeError(f"input has {x[1]} channels, which cannot be split into {groups} groups")
        for name in ("gamma", "beta"):
            if shapes[name] != (x[1],):
                raise ShapeError(f"{name} has shape {list(shapes[name])}, expected [{x[1]}], one for each channel")
        if math.prod(x[2:]) * x[1] == groups:
            raise ShapeError(f"x {list(x)} has one value in each of {groups} groups; a variance needs at least two")
        return {"y": x, "xhat": x, **dict.fromkeys(("mean", "var", "std", "shift", "tilt"), (x[0], groups))}

    def _folded(self, x: Array) -> Array:
        """(N,G,C/G,inner), or (G,C/G) of what is told by channel."""
        groups = self.options["groups"]
        return x.reshape(groups, -1) if x.ndim == 1 else x.reshape(len(x), groups, x.shape[1] // groups, -1)

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        sizes = self.extents(shapes_of(tensors))
        x = np.ascontiguousarray(tensors["x"])
        y, mean, var = (np.empty(sizes[name], x.dtype) for name in ("y", "mean", "var"))
        groups = x.reshape(1, mean.size, -1)
        batch_mean(groups, mean.reshape(-1))
        batch_variance(groups, mean.reshape(-1), var.reshape(-1))
        gamma, beta = (self._folded(tensors[name]) for name in ("gamma", "beta"))
        group_normalise(self._folded(x), gamma, beta, mean, var, self.options["eps"], self._folded(y))
        return {"y": y, "mean": mean, "var": var}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        wanted = self.wanted(tensors, wrt)
        x, dy = (self._folded(np.ascontiguousarray(tensors[name])) for name in ("x", "dy"))
        gamma, mean, var, eps = self._folded(tensors["gamma"]), tensors["mean"], tensors["var"], self.options["eps"]
        found = {name: np.empty(tensors[name[1:]].shape, x.dtype) for name in self.gradients}
        if "dx" in wanted:
            group_norm_backward_x(x, dy, gamma, mean, var, eps, self._folded(found["dx"]))
        if "dgamma" in wanted or "dbeta" in wanted:
            group_norm_backward_w(x, dy, mean, var, eps, self._folded(found["dgamma"]), self._folded(found["dbeta"]))
        return {name: found[name] for name in wanted}

    def parameters(self, shapes: Shapes) -> dict[str, Shape]:
        if len(shapes["x"]) < 2:
            raise ShapeError(f"x has {len(shapes['x'])} axes, expected two to five: (N, C, ...)")
        return dict.fromkeys(("gamma", "beta"), (shapes["x"][1],))

    def initial(self, name: str, shapes: Shapes, rng: np.random.Generator) -> Array:
        return np.full(shapes[name], 1.0 if name == "gamma" else 0.0)

    def origin(self, name: str, shapes: Shapes, seed: int) -> str:
        return "starts at one" if name == "gamma" else "starts at zero"

    def multiply_adds(self, shapes: Shapes) -> int:
        return math.prod(shapes["x"])

    def torch_module(self, shapes: Shapes) -> str:
        return f"nn.GroupNorm({self.options['groups']}, {shapes['x'][1]}, {self.options['eps']})"
