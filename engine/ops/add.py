"""Addition of two tensors, as where a shortcut meets the layers that it passed by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.ops.base import LETTERS, Array, Op, Shape, ShapeError, Shapes, TensorSpec, Words

#: Whether each axis of an operand is as long as the sum's; else its one cell is used all along.
Full = tuple[bool, ...]


def _full(shape: Shape, whole: Shape) -> Full:
    return tuple(size == wanted for size, wanted in zip(shape, whole[len(whole) - len(shape) :], strict=True))


@cache
def _program(rank: int, operands: tuple[Full, Full]) -> Program:
    names = [letter for letter in LETTERS if letter not in "ab"][:rank]
    given, reads, stated = [], [], []
    for operand, full in zip("ab", operands, strict=True):
        own = names[rank - len(full) :]
        kept = [letter for letter, whole in zip(own, full, strict=True) if whole]
        used = [letter for letter in names if letter not in kept]
        left = _at(letter if whole else f"{letter}1" for letter, whole in zip(own, full, strict=True))
        given.append(f"{operand}{left}")
        reads.append(operand + _at(letter if whole else "0" for letter, whole in zip(own, full, strict=True)))
        delta = f"dy{_at(names)}"
        stated.append(f"d{operand}{left} = " + (f"sum[{','.join(used)}]({delta})" if used else delta))
    return Program(" ".join(given), f"y{_at(names)} = {' + '.join(reads)}", stated="\n".join(stated))


def _at(names: Iterable[str]) -> str:
    inside = ",".join(names)
    return f"[{inside}]" if inside else ""


class Add(Op):
    name = "add"
    title = "Addition"
    torch = "{a} + {b}"
    tensors = {"a": TensorSpec("any shape"), "b": TensorSpec("a shape that goes with that of a, as NumPy broadcasts")}
    inputs = ("a", "b")
    gradients = ("da", "db")
    words = {
        "y": Words("two values are added, place by place", "The gradient will take both ways back."),
        "da": Words(
            "a sum hands the delta on as it is",
            "Where one value was added in several places, it hears from all of them.",
        ),
        "db": Words(
            "a sum hands the delta on as it is",
            "Where one value was added in several places, it hears from all of them.",
        ),
    }
    example_shapes = {"a": (2, 2, 3), "b": (2, 1)}

    def program(self, shapes: Shapes) -> Program:
        whole = self.extents(shapes)["y"]
        return _program(len(whole), (_full(shapes["a"], whole), _full(shapes["b"], whole)))

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        a, b = shapes["a"], shapes["b"]
        try:
            return {"y": tuple(np.broadcast_shapes(a, b))}
        except ValueError:
            pairs = zip(reversed(a), reversed(b), strict=False)
            m, n = next((m, n) for m, n in pairs if m != n and 1 not in (m, n))
            raise ShapeError(f"{list(a)} and {list(b)} cannot be added: {m} and {n} are neither equal nor 1") from None

    def check_fit(self, shapes: Shapes) -> None:
        if len(shapes["a"]) != len(shapes["b"]):
            raise ShapeError(
                f"an image has {list(shapes['a'][1:])} in one input and {list(shapes['b'][1:])} in the "
                f"other; expected as many axes"
            )

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        self.extents({name: tensors[name].shape for name in self.inputs})
        return {"y": np.asarray(tensors["a"] + tensors["b"])}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        return {name: _gathered(tensors["dy"], tensors[name[1:]].shape) for name in self.wanted(tensors, wrt)}


def _gathered(dy: Array, shape: Shape) -> Array:
    """dy summed over the axes along which a tensor of this shape was used several times."""
    missing = dy.ndim - len(shape)
    axes = tuple(range(missing)) + tuple(
        missing + axis for axis, whole in enumerate(_full(shape, dy.shape)) if not whole
    )
    return np.asarray(dy.sum(axes, dtype=np.float64) if axes else dy).astype(dy.dtype).reshape(shape)
