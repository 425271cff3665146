"""What layers that weigh their input have in common: weights and biases as PyTorch draws them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from engine.ops.base import Array, Op, ShapeError, Shapes


class Weighted(Op):
    """An op with weights w, whose first axis PyTorch leaves out of the fan-in, and perhaps a bias b for each output."""

    def check_bias(self, shapes: Shapes, out: int) -> None:
        if "b" in shapes and shapes["b"] != (out,):
            raise ShapeError(f"b has shape {list(shapes['b'])}, expected [{out}], one for each output")

    def _bound(self, shapes: Shapes) -> float:
        return 1 / math.sqrt(math.prod(shapes["w"][1:]))

    def initial(self, name: str, shapes: Shapes, rng: np.random.Generator) -> Array:
        """PyTorch's default: uniform within ±1 / sqrt(fan in), for weights and biases."""
        return rng.uniform(-self._bound(shapes), self._bound(shapes), shapes[name])

    def origin(self, name: str, shapes: Shapes, seed: int) -> str:
        return f"drawn evenly between −{self._bound(shapes):.3g} and {self._bound(shapes):.3g}, from seed {seed}"

    def wording(self, tensor: str, counts: Mapping[str, int]) -> str:
        return "y without bias" if tensor == "y" and not self.options.get("bias", True) else tensor
