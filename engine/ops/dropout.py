"""Dropout: a random part of the values is put to zero while the network learns; the rest grows to keep the mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.kernels import kernel, part
from engine.ops.base import Array, Op, Shape, ShapeError, Shapes, TensorSpec, Words, letters
from engine.settings import Float, Int


@cache
def _program(rank: int) -> Program:
    at = letters(rank)
    return Program(f"x{at} mask{at}", f"y{at} = x{at} * mask{at} / kept", held=("mask",))


@part
def is_kept(key, cell, p):  # type: ignore[no-untyped-def]
    """Whether the `cell`-th number drawn under a key, within [0, 1), is at least p: SplitMix64 (Steele et al., 2014),
    in which no number waits for the one before it."""
    z = key + (cell + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * (1 / 2**53) >= p


@kernel
def dropout_mask(mask, key, p):  # type: ignore[no-untyped-def]
    for cell in range(mask.size):
        mask[cell] = 1 if is_kept(key, np.uint64(cell), p) else 0


class Dropout(Op):
    name = "dropout"
    title = "Dropout"
    torch = "F.dropout({x}, {p}, self.training)"
    tensors = {
        "x": TensorSpec("the input, any shape"),
        "mask": TensorSpec("1 where a value is kept and 0 where it is dropped, as x"),
    }
    drawn = ("mask",)
    settings = {"p": Float(0.5, "share of the values that is dropped", low=0, high=1)}
    layer_settings = {"seed": Int(0, "the layer's own seed for its masks", low=0, high=2**31)}
    words = {
        "y": Words(
            "some values are dropped, the others grow",
            "What is kept is divided by the share that is kept, so that the mean stays.",
        ),
        "dx": Words("what was dropped hears nothing", "The gradient passes through the same mask."),
        "y at rest": Words(
            "nothing is dropped", "Only while it learns are values dropped; here all of them pass as they are."
        ),
        "dx at rest": Words("every gradient passes", "Nothing was dropped, so nothing is held back."),
    }
    example_shapes = {"x": (2, 3), "mask": (2, 3)}

    def program(self, shapes: Shapes) -> Program:
        return _program(len(shapes["x"]))

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        """`kept`: the share that is kept; where nothing is, what is left is 0 and not 0 / 0."""
        return {"kept": 1 - self.options["p"] if self.options["p"] < 1 else math.inf}

    def _scale(self) -> float:
        """1 / (1 - p); where everything is dropped, 0 instead of 0 / 0."""
        p: float = self.options["p"]
        return 1 / (1 - p) if p < 1 else 0.0

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        if shapes["mask"] != shapes["x"]:
            raise ShapeError(f"mask has shape {list(shapes['mask'])}, expected that of x, {list(shapes['x'])}")
        return {"y": shapes["x"]}

    def _masked(self, values: Array, mask: Array) -> Array:
        return values * mask * values.dtype.type(self._scale())

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        self.extents({name: tensors[name].shape for name in ("x", "mask")})
        return {"y": self._masked(tensors["x"], tensors["mask"])}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        return {"dx": self._masked(tensors["dy"], tensors["mask"])}

    def draw(self, shapes: Shapes, rng: np.random.Generator | None) -> dict[str, Array]:
        if rng is None:
            return {"mask": np.ones(shapes["x"])}
        mask = np.empty(shapes["x"])
        dropout_mask(mask.reshape(-1), self.key(rng), self.options["p"])
        return {"mask": mask}

    @staticmethod
    def key(rng: np.random.Generator) -> np.uint64:
        """What a pass's masks are drawn under."""
        return rng.integers(0, 2**64, dtype=np.uint64)

    def wording(self, tensor: str, counts: Mapping[str, int]) -> str:
        return tensor if self.options["p"] else f"{tensor} at rest"

    def inference(self) -> Op:
        return Dropout(p=0.0)

    @classmethod
    def example(cls, rng: np.random.Generator) -> dict[str, Array]:
        return {**super().example(rng), "mask": np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])}
