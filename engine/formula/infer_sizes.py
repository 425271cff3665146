"""How many each letter counts, from the shapes of the tensors that it stands in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.formula.nodes import FormulaError
from engine.formula.text import left

if TYPE_CHECKING:
    from engine.formula.program import Program


def infer_sizes(
    program: Program, shapes: Mapping[str, tuple[int, ...]], numbers: Mapping[str, float]
) -> dict[str, int]:
    """How many each letter counts, by capital, from the shapes of tensors and the given counts.

    An axis g|c is as long as the product; one unknown letter per axis is found at a time. A letter that no
    shape determines is left out. Raises FormulaError where two shapes, or a shape and a count, disagree.
    """
    sizes: dict[str, int] = {}
    for name, value in numbers.items():
        if name in program.capitals:
            if not float(value).is_integer() or value < 0:
                letter = program.capitals[name]
                raise FormulaError(f"{name} counts the letter {letter!r} and must be a whole number, got {value}")
            sizes[name] = int(value)
    waiting = []
    for name, shape in shapes.items():
        axes = program.declared[name]
        if len(shape) != len(axes):
            raise FormulaError(f"{name} has {len(shape)} axes, shape {tuple(shape)}; declared is {left(name, axes)}")
        waiting += [
            (name, axis, letters, extent) for axis, (letters, extent) in enumerate(zip(axes, shape, strict=True))
        ]
    while waiting:
        later = [axis for axis in waiting if not _settled(*axis, sizes)]
        if len(later) == len(waiting):
            break
        waiting = later
    for letter, like in program.alike.items():
        if like.upper() in sizes:
            sizes[letter.upper()] = sizes[like.upper()]
    return sizes


def _settled(name: str, axis: int, letters: tuple[str, ...], extent: int, sizes: dict[str, int]) -> bool:
    """Checks an axis, or finds its one unknown letter; False while it has more."""
    unknown = [x for x in letters if x.upper() not in sizes]
    known = math.prod(sizes[x.upper()] for x in letters if x.upper() in sizes)
    where = f"{name} has {extent} along axis {axis} ({'|'.join(letters)})"
    if len(unknown) > 1 or (unknown and known == 0):
        return False
    if not unknown and extent != known:
        raise FormulaError(f"{where}, but {'*'.join(letters)} counts {known}")
    if unknown and extent % known:
        raise FormulaError(f"{where}, does not divide by {known}")
    if unknown:
        sizes[unknown[0].upper()] = extent // known
    return True
