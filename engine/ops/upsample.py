"""Upsampling: every cell becomes a block of cells alike."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.ops.base import Array, Op, Shape, Shapes, TensorSpec, Words, need_rank
from engine.settings import Pair


@cache
def _program() -> Program:
    return Program("x[n,c,h,k]", "y[n,c,h|u,k|v] = x[n,c,h,k]")


class Upsample2d(Op):
    name = "upsample2d"
    title = "Upsampling"
    torch = "F.interpolate({x}, scale_factor={scale})"
    tensors = {"x": TensorSpec("the input (N, C, H, W)")}
    settings = {"scale": Pair(2, "cells that one becomes, down and across")}
    words = {
        "y": Words("every cell becomes a block", "The same number in each cell of the block."),
        "dx": Words("a cell hears from its whole block", "{Terms:deltas}, added up."),
    }

    def program(self, shapes: Shapes) -> Program:
        return _program()

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        down, across = self.options["scale"]
        return {"U": down, "V": across}

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        n, c, h, k = need_rank(shapes, "x", 4, "(N, C, H, W)")
        down, across = self.options["scale"]
        return {"y": (n, c, h * down, k * across)}

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        self.extents({"x": tensors["x"].shape})
        down, across = self.options["scale"]
        return {"y": tensors["x"].repeat(down, 2).repeat(across, 3)}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        n, c, h, k = tensors["x"].shape
        down, across = self.options["scale"]
        blocks = tensors["dy"].reshape(n, c, h, down, k, across)
        return {"dx": blocks.sum((3, 5), dtype=np.float64).astype(blocks.dtype)}
