"""Batch norm: each channel is shifted and scaled to mean 0 and variance 1, then to a learned scale and shift.

While it learns, mean and variance are those of the batch, and running ones follow them; at rest the running ones are
used. The kernels compute in float64 and round what they keep once, so that every stored number is its sentence's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.kernels import kernel, sum_kernel
from engine.ops.base import Array, Op, Shape, ShapeError, Shapes, TensorSpec, Words, letters
from engine.settings import Bool, Float

HELD = ("running_mean", "running_var")


@cache
def _program(rank: int, training: bool) -> Program:
    at = letters(rank)
    others = [letter for letter in at[1:-1].split(",") if letter != "c"]
    over, m = ",".join(others), "*".join(letter.upper() for letter in others)
    given = f"x{at} gamma[c] beta[c] running_mean[c] running_var[c]"
    if not training:
        return Program(
            given,
            f"std[c] = sqrt(running_var[c] + eps)\n"
            f"xhat{at} = (x{at} - running_mean[c]) / std[c]\n"
            f"y{at} = gamma[c] * xhat{at} + beta[c]\n"
            f"running_mean_next[c] = running_mean[c]\n"
            f"running_var_next[c] = running_var[c]",
            held=HELD,
            stated=f"dx{at} = gamma[c] * dy{at} / std[c]",
        )
    # The gradient of x as textbooks have it, instead of the derived one by way of dvar and dmean.
    return Program(
        given,
        f"mean[c] = sum[{over}](x{at}) / ({m})\n"
        f"var[c] = sum[{over}]((x{at} - mean[c])**2) / ({m})\n"
        f"std[c] = sqrt(var[c] + eps)\n"
        f"xhat{at} = (x{at} - mean[c]) / std[c]\n"
        f"y{at} = gamma[c] * xhat{at} + beta[c]\n"
        f"running_mean_next[c] = (1 - momentum) * running_mean[c] + momentum * mean[c]\n"
        f"unbiased[c] = var[c] * ({m}) / ({m} - 1)\n"
        f"running_var_next[c] = (1 - momentum) * running_var[c] + momentum * unbiased[c]",
        held=HELD,
        stated=f"dgamma[c] = sum[{over}](dy{at} * xhat{at})\n"
        f"dbeta[c] = sum[{over}](dy{at})\n"
        f"scale[c] = gamma[c] / std[c]\n"
        f"shift[c] = dbeta[c] / ({m})\n"
        f"tilt[c] = dgamma[c] / ({m})\n"
        f"dx{at} = scale[c] * dy{at} - scale[c] * shift[c] - scale[c] * xhat{at} * tilt[c]",
    )


@sum_kernel
def batch_mean(x, mean):  # type: ignore[no-untyped-def]
    """mean (C) of x (N,C,inner)."""
    for c in range(x.shape[1]):
        total = 0.0
        for n in range(x.shape[0]):
            for i in range(x.shape[2]):
                total += x[n, c, i]
        mean[c] = total / (x.shape[0] * x.shape[2])


@sum_kernel
def batch_variance(x, mean, var):  # type: ignore[no-untyped-def]
    """var (C): the mean square of what is left of x (N,C,inner)."""
    for c in range(x.shape[1]):
        total = 0.0
        for n in range(x.shape[0]):
            for i in range(x.shape[2]):
                away = np.float64(x[n, c, i]) - mean[c]
                total += away * away
        var[c] = total / (x.shape[0] * x.shape[2])


@kernel
def normalise(x, gamma, beta, mean, var, eps, y):  # type: ignore[no-untyped-def]
    """y (N,C,inner) from whichever mean and variance (C)."""
    for c in range(x.shape[1]):
        std = math.sqrt(var[c] + eps)
        for n in range(x.shape[0]):
            for i in range(x.shape[2]):
                y[n, c, i] = gamma[c] * ((np.float64(x[n, c, i]) - mean[c]) / std) + beta[c]


@sum_kernel
def batch_norm_backward_w(x, dy, mean, var, eps, dgamma, dbeta):  # type: ignore[no-untyped-def]
    """dgamma and dbeta (C)."""
    for c in range(x.shape[1]):
        std = math.sqrt(var[c] + eps)
        along, total = 0.0, 0.0
        for n in range(x.shape[0]):
            for i in range(x.shape[2]):
                delta = np.float64(dy[n, c, i])
                along += delta * ((np.float64(x[n, c, i]) - mean[c]) / std)
                total += delta
        dgamma[c] = along
        dbeta[c] = total


@kernel
def batch_norm_backward_x(x, dy, gamma, mean, var, dgamma, dbeta, eps, dx):  # type: ignore[no-untyped-def]
    """dx (N,C,inner) where mean and variance are the batch's own."""
    count = x.shape[0] * x.shape[2]
    for c in range(x.shape[1]):
        std = math.sqrt(var[c] + eps)
        scale = gamma[c] / std
        for n in range(x.shape[0]):
            for i in range(x.shape[2]):
                xhat = (np.float64(x[n, c, i]) - mean[c]) / std
                dx[n, c, i] = scale * dy[n, c, i] - scale * dbeta[c] / count - scale * xhat * dgamma[c] / count


@kernel
def inference_backward_x(dy, gamma, var, eps, dx):  # type: ignore[no-untyped-def]
    """dx (N,C,inner) where mean and variance are given."""
    for c in range(dy.shape[1]):
        std = math.sqrt(var[c] + eps)
        for n in range(dy.shape[0]):
            for i in range(dy.shape[2]):
                dx[n, c, i] = np.float64(dy[n, c, i]) * gamma[c] / std


class BatchNorm(Op):
    """Ioffe and Szegedy, 2015, with PyTorch's conventions: the running variance is unbiased, the batch's is not."""

    name = "batch_norm"
    title = "Batch norm"
    tensors = {
        "x": TensorSpec("the input (N, C, ...), two to five axes"),
        "gamma": TensorSpec("the scale of each channel (C)"),
        "beta": TensorSpec("the shift of each channel (C)"),
        "running_mean": TensorSpec("the mean of each channel (C) over the batches so far"),
        "running_var": TensorSpec("the variance of each channel (C) over the batches so far"),
    }
    saved = ("mean", "var")
    buffers = HELD
    gradients = ("dgamma", "dbeta", "dx")  # in this order: dx reads the others
    settings = {
        "training": Bool(True, "use mean and variance of the batch; false: the running ones"),
        "momentum": Float(0.1, "share of the batch in the new running mean and variance", low=0, high=1),
        "eps": Float(1e-5, "added to the variance, so that nothing divides by zero", low=0, high=1e6),
    }
    torch_names = {"weight": "gamma", "bias": "beta"}
    torch_only = ("num_batches_tracked",)
    words = {
        "mean": Words("the mean of the channel over the batch", "Every image and every place of the map counts alike."),
        "var": Words("how far the channel's values are from their mean", "The mean of the squared distances."),
        "std": Words("the usual distance from the mean", "A little is added first, so that it is never zero."),
        "xhat": Words(
            "the value, counted in usual distances from the mean", "The channel now has mean 0 and spread 1."
        ),
        "y": Words(
            "each channel gets mean 0 and spread 1, then a scale and a shift of its own",
            "The scale γ and the shift β are learned.",
        ),
        "dx": Words(
            "what would only move the channel's mean or its spread is taken away",
            "The delta, less its mean, less the part that lies along x̂.",
        ),
        "dx at rest": Words(
            "each delta times the scale it went through", "Mean and spread are fixed, so they hear nothing."
        ),
        "scale": Words("how much one step of the value moves the output"),
        "shift": Words("the mean delta of the channel", "All that would only move the channel's mean."),
        "tilt": Words("the mean of delta times x̂", "All that would only widen or narrow the channel."),
        "unbiased": Words("the variance as it would be around the true mean"),
        "dgamma": Words("the delta times the value before the scale", "Every place of the channel adds one product."),
        "dbeta": Words(
            "the gradient of the shift is the sum of the deltas", "Every place of the channel adds its delta."
        ),
        "running_mean_next": Words("the running mean moves a little towards the batch's"),
        "running_var_next": Words(
            "the running variance moves a little towards the batch's",
            "The batch's is made a little larger, because its own mean lies too close to it.",
        ),
    }
    example_shapes = {"x": (2, 2, 2, 3), "gamma": (2,), "beta": (2,), "running_mean": (2,), "running_var": (2,)}

    def program(self, shapes: Shapes) -> Program:
        return _program(len(shapes["x"]), self.options["training"])

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        own = ("eps", "momentum") if self.options["training"] else ("eps",)
        return {name: self.options[name] for name in own}

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        x = shapes["x"]
        if not 2 <= len(x) <= 5:
            raise ShapeError(f"x has {len(x)} axes {list(x)}, expected two to five: (N, C, ...)")
        if 0 in x:
            raise ShapeError(f"x is empty: {list(x)}")
        for name in ("gamma", "beta", *HELD):
            if shapes[name] != (x[1],):
                raise ShapeError(f"{name} has shape {list(shapes[name])}, expected [{x[1]}], one for each channel")
        if self.options["training"] and math.prod(x) == x[1]:
            raise ShapeError(f"x {list(x)} has one value in each channel; a batch's variance needs at least two")
        return {
            "y": x,
            "xhat": x,
            "mean": (x[1],),
            "var": (x[1],),
            "std": (x[1],),
            "running_mean_next": (x[1],),
            "running_var_next": (x[1],),
        }

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x = np.ascontiguousarray(tensors["x"])
        gamma, beta, *running = (tensors[name] for name in ("gamma", "beta", *HELD))
        self.extents({name: tensor.shape for name, tensor in tensors.items()})
        flat = _folded(x)
        y = np.empty_like(x)
        found = {"y": y}
        mean, var = running
        if self.options["training"]:
            mean, var = np.empty((2, x.shape[1]), x.dtype)
            batch_mean(flat, mean)
            batch_variance(flat, mean, var)
            found |= {"mean": mean, "var": var}
        normalise(flat, gamma, beta, mean, var, self.options["eps"], _folded(y))
        share, count = self.options["momentum"] if self.options["training"] else 0.0, x.size // x.shape[1]
        unbiased = np.float64(var) * count / max(1, count - 1)
        for name, before, batch in zip(HELD, running, (np.float64(mean), unbiased), strict=True):
            found[f"{name}_next"] = ((1 - share) * np.float64(before) + share * batch).astype(x.dtype)
        return found

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        wanted = self.wanted(tensors, wrt)
        x, dy, gamma = np.ascontiguousarray(tensors["x"]), np.ascontiguousarray(tensors["dy"]), tensors["gamma"]
        training, eps = self.options["training"], self.options["eps"]
        mean, var = (tensors[name] for name in (self.saved if training else HELD))
        found = {"dgamma": np.empty_like(gamma), "dbeta": np.empty_like(gamma)}
        batch_norm_backward_w(_folded(x), _folded(dy), mean, var, eps, found["dgamma"], found["dbeta"])
        if "dx" in wanted:
            found["dx"] = np.empty_like(x)
            if training:
                batch_norm_backward_x(
                    _folded(x),
                    _folded(dy),
                    gamma,
                    mean,
                    var,
                    found["dgamma"],
                    found["dbeta"],
                    eps,
                    _folded(found["dx"]),
                )
            else:
                inference_backward_x(_folded(dy), gamma, var, eps, _folded(found["dx"]))
        return {name: found[name] for name in wanted}

    def parameters(self, shapes: Shapes) -> dict[str, Shape]:
        if len(shapes["x"]) < 2:
            raise ShapeError(f"x has {len(shapes['x'])} axes, expected two to five: (N, C, ...)")
        return dict.fromkeys(("gamma", "beta", *HELD), (shapes["x"][1],))

    def initial(self, name: str, shapes: Shapes, rng: np.random.Generator) -> Array:
        return np.full(shapes[name], 1.0 if name in ("gamma", "running_var") else 0.0)

    def origin(self, name: str, shapes: Shapes, seed: int) -> str:
        return "starts at one" if name in ("gamma", "running_var") else "starts at zero"

    def inference(self) -> Op:
        return BatchNorm(**{**self.options, "training": False})

    def wording(self, tensor: str, counts: Mapping[str, int]) -> str:
        return "dx at rest" if tensor == "dx" and not self.options["training"] else tensor

    def multiply_adds(self, shapes: Shapes) -> int:
        return math.prod(shapes["x"])

    @classmethod
    def example(cls, rng: np.random.Generator) -> dict[str, Array]:
        return {**super().example(rng), "running_var": np.round(rng.uniform(0.5, 1.5, 2), 2)}

    def torch_module(self, shapes: Shapes) -> str:
        x = shapes["x"]
        return f"nn.BatchNorm{max(1, len(x) - 2)}d({x[1]}, {self.options['eps']}, {self.options['momentum']})"

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        layer, x = names["self"], names["x"]
        if self.options["training"]:
            return f"{layer}({x})"
        own = ", ".join(f"{layer}.{name}" for name in ("running_mean", "running_var", "weight", "bias"))
        return f"F.batch_norm({x}, {own}, eps={self.options['eps']})"


def _folded(x: Array) -> Array:
    """(N,C,inner)"""
    return x.reshape(x.shape[0], x.shape[1], -1)
