"""Concatenation: tensors laid one behind the other along one axis, as where branches come together."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np

from engine.formula import Program
from engine.ops.base import LETTERS, Array, Op, Shape, ShapeError, Shapes, TensorSpec, Words, letters
from engine.settings import Axis

#: x and y have another meaning.
NAMES = tuple("abcdefghijklmnopqrstuvw")


@cache
def _program(count: int, rank: int, axis: int) -> Program:
    """Each tensor counts its own p1, p2, ... along the axis and stands where those before it end."""
    at, along = letters(rank), LETTERS[axis]

    def placed(name: str, position: str) -> str:
        inside = [position if letter == along else letter for letter in at[1:-1].split(",")]
        return f"{name}[{','.join(inside)}]"

    given = [placed(name, f"p{k}") for k, name in enumerate(NAMES[:count], start=1)]
    before = accumulate((f"-P{k}" for k in range(1, count)), initial=along)
    reads = [placed(name, position) for name, position in zip(NAMES, before, strict=False)]
    return Program(" ".join(given), f"y{at} = {' + '.join(reads)}", joins=True)


class Concat(Op):
    name = "concat"
    title = "Concatenation"
    tensors = {
        name: TensorSpec(
            "any shape with an axis" if name == "a" else "as a, but for its length along the axis", optional=name != "a"
        )
        for name in NAMES
    }
    inputs: tuple[str, ...] = ("a", "b")
    gradients = tuple(f"d{name}" for name in NAMES)
    settings = {"axis": Axis(1, "the axis along which they are joined; negative counts from the end")}
    words = {
        "y": Words("the branches' maps are laid one behind the other", "The same numbers, numbered anew."),
        **{
            f"d{name}": Words("each branch takes back the delta of its own maps", "The same numbers, numbered anew.")
            for name in NAMES
        },
    }
    example_shapes = {"a": (1, 2, 2, 2), "b": (1, 1, 2, 2)}

    def reading(self, count: int) -> Op:
        if not 1 <= count <= len(NAMES):
            raise ShapeError(f"expected one to {len(NAMES)} names of layers")
        op = copy(self)
        op.inputs = NAMES[:count]
        return op

    def _axis(self, shape: Shape) -> int:
        axis: int = self.options["axis"]
        if not -len(shape) <= axis < len(shape):
            raise ShapeError(f"a has {len(shape)} axes, there is no axis {axis}")
        return axis % len(shape)

    def _names(self, tensors: Mapping[str, Any]) -> tuple[str, ...]:
        names = tuple(name for name in NAMES if name in tensors)
        for name in NAMES[: len(names)]:
            if name not in names:
                raise ShapeError(f"{name} is missing; there are {', '.join(names)}")
        return names

    def program(self, shapes: Shapes) -> Program:
        return _program(len(self._names(shapes)), len(shapes["a"]), self._axis(shapes["a"]))

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        names, a = self._names(shapes), shapes["a"]
        axis = self._axis(a)
        for name in names:
            shape = shapes[name]
            if len(shape) != len(a) or shape[:axis] + shape[axis + 1 :] != a[:axis] + a[axis + 1 :]:
                raise ShapeError(f"{name} is {list(shape)}, a is {list(a)}: they may differ along axis {axis} only")
        return {"y": (*a[:axis], sum(shapes[name][axis] for name in names), *a[axis + 1 :])}

    def check_fit(self, shapes: Shapes) -> None:
        if self._axis(shapes["a"]) == 0:
            raise ShapeError("axis 0 numbers the images of a batch; expected another")

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        names = self._names(tensors)
        self.extents({name: tensors[name].shape for name in names})
        return {"y": np.concatenate([tensors[name] for name in names], self._axis(tensors["a"].shape))}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        names, dy = self._names(tensors), tensors["dy"]
        axis = self._axis(dy.shape)
        ends = list(accumulate(tensors[name].shape[axis] for name in names))[:-1]
        parts = dict(zip(names, np.split(dy, ends, axis), strict=True))
        return {name: np.ascontiguousarray(parts[name[1:]]) for name in self.wanted(tensors, wrt)}

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        joined = ", ".join(names[name] for name in self.inputs)
        return f"torch.cat(({joined}), {self.options['axis']})"
