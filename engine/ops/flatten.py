"""Flatten: the maps of each image, written in one row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

from engine.formula import Program
from engine.ops.base import Array, Op, Shape, ShapeError, Shapes, TensorSpec, Words, letters


@cache
def _program(rank: int) -> Program:
    names = letters(rank)[1:-1].split(",")
    return Program(f"x[{','.join(names)}]", f"y[{names[0]},{'|'.join(names[1:])}] = x[{','.join(names)}]")


class Flatten(Op):
    name = "flatten"
    title = "Flatten"
    torch = "{x}.flatten(1)"
    is_view = True
    tensors = {"x": TensorSpec("the input (N, ...), at least two axes")}
    words = {
        "y": Words("the maps are written in one row", "The same numbers, numbered anew."),
        "dx": Words("the row is folded back into maps", "The same numbers, numbered anew."),
    }

    def program(self, shapes: Shapes) -> Program:
        return _program(len(shapes["x"]))

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        x = shapes["x"]
        if len(x) < 2:
            raise ShapeError(f"x has {len(x)} axes {list(x)}, expected at least 2: (N, ...)")
        return {"y": (x[0], math.prod(x[1:]))}

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x = tensors["x"]
        return {"y": x.reshape(self.extents({"x": x.shape})["y"])}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        return {"dx": tensors["dy"].reshape(tensors["x"].shape)}
