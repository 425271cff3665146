"""Receptive fields: what of the input a value sees, composed from the windows of the sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from engine.formula import Axis
from engine.ops.base import Op, Shape, outline


@dataclass(frozen=True)
class ReceptiveField:
    """Rows and columns of the input that one value sees: how many, how far apart neighbours' are, where the first
    starts, in the padding if need be. After a transposed convolution or upsampling neighbours may be less than a cell
    apart."""

    size: tuple[int, int]
    stride: tuple[float, float]
    start: tuple[int, int]


def through(
    op: Op, shapes: Mapping[str, Shape], tensor: str, rank: int, field: ReceptiveField, whole: ReceptiveField
) -> ReceptiveField:
    """What one value of y sees, when a value of the op's input sees `field`."""
    if rank != 3 or len(shapes[tensor]) != 4 or field is whole:
        return whole
    program = op.program(shapes)
    sizes = outline(program, shapes, op.numbers(shapes), op.extents(shapes)).sizes

    def seen_by(name: str) -> list[ReceptiveField]:
        """By way of the planes that lead from the input to a tensor of the program."""
        if name == tensor:
            return [field]
        if name not in program.names or len(program.declared[name]) != 4:
            return []
        bound = program.letters(name)[1]
        return [
            _moved(seen, window.axes[2:], program.declared[name][2:], bound, sizes)
            for window in program.windows(name, {**sizes, **op.numbers(shapes)})
            for seen in seen_by(window.tensor)
        ]

    found = seen_by("y")
    return union(found) if found else whole


def _moved(
    field: ReceptiveField,
    axes: tuple[Axis | None, ...],
    own: tuple[tuple[str, ...], ...],
    bound: tuple[str, ...],
    sizes: Mapping[str, int],
) -> ReceptiveField:
    """The field of a value that reads a window of values with this field, along rows and columns. `own` are the letters
    of the value's own rows and columns: of h|u, block by block, the first moves once in a block."""
    size, stride, start = [], [], []
    for axis, letters, seen, step, first in zip(axes, own, field.size, field.stride, field.start, strict=True):
        assert axis is not None
        reach = {
            letter: factor * (sizes[letter.upper()] - 1) for letter, factor in axis.letters.items() if letter in bound
        }
        lowest = axis.offset + sum(min(0, far) for far in reach.values())
        cells = sum(map(abs, reach.values())) // axis.pitch
        size.append(seen + math.ceil(round(cells * step, 9)))
        block = math.prod(sizes[letter.upper()] for letter in letters[1:])
        moves = step * axis.letters.get(letters[0], 0) / (axis.pitch * block)
        stride.append(int(moves) if moves == int(moves) else moves)
        start.append(math.floor(first + math.ceil(lowest / axis.pitch) * step))
    return ReceptiveField((size[0], size[1]), (stride[0], stride[1]), (start[0], start[1]))


def union(fields: list[ReceptiveField]) -> ReceptiveField:
    """The smallest field that holds them all, where branches come together; a global pool's values do not move."""
    start = [min(field.start[axis] for field in fields) for axis in (0, 1)]
    stop = [max(field.start[axis] + field.size[axis] for field in fields) for axis in (0, 1)]
    stride = [max(field.stride[axis] for field in fields) for axis in (0, 1)]
    return ReceptiveField((stop[0] - start[0], stop[1] - start[1]), (stride[0], stride[1]), (start[0], start[1]))
