"""Input normalisation: each channel less its mean, over its standard deviation; both are given, none is learned.

PyTorch's users know it as `transforms.Normalize`; MNIST's usual numbers are 0.1307 and 0.3081.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.kernels import kernel
from engine.ops.base import Array, Op, Shape, ShapeError, Shapes, TensorSpec, Words, letters, shapes_of
from engine.settings import Floats

GIVEN = ("mean", "deviation")


@cache
def _program(rank: int) -> Program:
    at = letters(rank)
    return Program(
        f"x{at} mean[c] deviation[c]",
        f"y{at} = (x{at} - mean[c]) / deviation[c]\nmean_next[c] = mean[c]\ndeviation_next[c] = deviation[c]",
        held=GIVEN,
    )


@kernel
def normalize_forward(x, mean, deviation, y):  # type: ignore[no-untyped-def]
    """y (N,C,inner)."""
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(x.shape[2]):
                y[n, c, i] = (np.float64(x[n, c, i]) - mean[c]) / deviation[c]


@kernel
def normalize_backward(dy, deviation, dx):  # type: ignore[no-untyped-def]
    """dx (N,C,inner)."""
    for n in range(dy.shape[0]):
        for c in range(dy.shape[1]):
            for i in range(dy.shape[2]):
                dx[n, c, i] = np.float64(dy[n, c, i]) / deviation[c]


class Normalize(Op):
    name = "normalize"
    title = "Normalisation"
    tensors = {
        "x": TensorSpec("the input (N, C, ...)"),
        "mean": TensorSpec("what is taken away from each channel (C)"),
        "deviation": TensorSpec("what each channel is divided by (C)"),
    }
    buffers = GIVEN
    layer_settings = {
        "mean": Floats((0.0,), "what is taken away: one number, or one for each channel"),
        "deviation": Floats((1.0,), "what is divided by: one number, or one for each channel", nonzero=True),
    }
    torch_names = {}
    words = {
        "y": Words(
            "each channel is moved and scaled by fixed numbers",
            "Less the mean, over the deviation: values near 0 with a spread of about 1.",
        ),
        "dx": Words("the delta, over the deviation", "The mean only moves the value, so the delta does not see it."),
        "mean_next": Words("the mean stays as it is"),
        "deviation_next": Words("the deviation stays as it is"),
    }
    example_shapes = {"x": (2, 2, 2, 3), "mean": (2,), "deviation": (2,)}

    def program(self, shapes: Shapes) -> Program:
        return _program(len(shapes["x"]))

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        x = shapes["x"]
        if len(x) < 2:
            raise ShapeError(f"x has {len(x)} axes {list(x)}, expected at least 2: (N, C, ...)")
        if 0 in x:
            raise ShapeError(f"x is empty: {list(x)}")
        for name in GIVEN:
            if shapes[name] != (x[1],):
                raise ShapeError(f"{name} has shape {list(shapes[name])}, expected [{x[1]}], one for each channel")
        return {"y": x, "mean_next": (x[1],), "deviation_next": (x[1],)}

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x = np.ascontiguousarray(tensors["x"])
        y = np.empty(self.extents(shapes_of(tensors))["y"], x.dtype)
        normalize_forward(_folded(x), tensors["mean"], tensors["deviation"], _folded(y))
        return {"y": y, **{f"{name}_next": tensors[name] for name in GIVEN}}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        dy = np.ascontiguousarray(tensors["dy"])
        dx = np.empty_like(dy)
        normalize_backward(_folded(dy), tensors["deviation"], _folded(dx))
        return {"dx": dx}

    def parameters(self, shapes: Shapes) -> dict[str, Shape]:
        channels = shapes["x"][1] if len(shapes["x"]) > 1 else 0
        for name in GIVEN:
            if len(self.options[name]) not in (1, channels):
                raise ShapeError(f"{name} has {len(self.options[name])} numbers for {channels} channels")
        return dict.fromkeys(GIVEN, (channels,))

    def initial(self, name: str, shapes: Shapes, rng: np.random.Generator) -> Array:
        return np.broadcast_to(np.array(self.options[name]), shapes[name]).copy()

    def origin(self, name: str, shapes: Shapes, seed: int) -> str:
        return "given with the layer"

    def torch_module(self, shapes: Shapes) -> str:
        zeros = f"nn.Parameter(torch.zeros({shapes['x'][1]}), requires_grad=False)"
        return f"nn.ParameterDict({{'mean': {zeros}, 'deviation': {zeros}}})"

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        view = f".view({', '.join(['1', '-1', *['1'] * (len(shapes['x']) - 2)])})"
        return f"({names['x']} - {names['self']}.mean{view}) / {names['self']}.deviation{view}"

    @classmethod
    def example(cls, rng: np.random.Generator) -> dict[str, Array]:
        return {**super().example(rng), "deviation": np.round(rng.uniform(0.5, 2, cls.example_shapes["deviation"]), 2)}


def _folded(x: Array) -> Array:
    """(N,C,inner)"""
    return x.reshape(x.shape[0], x.shape[1], -1)
