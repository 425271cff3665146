"""Tensors: arrays by name, which evaluate what is not there."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from engine.formula.functions import CONSTANTS
from engine.formula.grid import Grid
from engine.formula.nodes import FormulaError, Reduce, Sentence
from engine.formula.program import Program
from engine.formula.sizes import unify
from engine.formula.text import sentence_text

GRID_LIMIT = 10**7
"""The most elements of a grid of letters that is evaluated whole, and the most terms of one explanation."""


class Tensors(dict[str, np.ndarray]):
    """Arrays by name; asking for one that was not given evaluates its sentence in float64 and keeps it.

    arrays: tensors of the program, given or said, any real or integer dtype.
    numbers: the settings that sentences name, and the counts that no shape gives (``U``, ``G``).
    extents: shapes of the left sides that no array tells (``{"y": (1, 8, 26, 26)}``).
    sizes: how many each letter counts, by its capital, as unified over all shapes.

    Raises FormulaError when shapes, counts or numbers do not fit together, and when an evaluation would need
    more than GRID_LIMIT elements.
    """

    def __init__(
        self,
        program: Program,
        arrays: Mapping[str, np.ndarray],
        numbers: Mapping[str, float],
        extents: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        super().__init__({name: np.asarray(array) for name, array in arrays.items()})
        self.program = program
        self.numbers = dict(numbers)
        for name in numbers:
            if name in program.all_letters:
                raise FormulaError(f"{name!r} is a letter of this program and cannot be a number too")
        shapes = {**(extents or {}), **{name: array.shape for name, array in self.items()}}
        self.sizes = unify(program, {name: s for name, s in shapes.items() if name in program.declared}, numbers)
        if not program.joins:
            self._check_plain_reads()

    def _check_plain_reads(self) -> None:
        """A plain letter reads an axis of its own length: nothing would hide a mistake."""
        for sentence, tensor, own, letter in self.program.plain_reads:
            axis, counts = self.sizes.get(own.upper()), self.sizes.get(letter.upper())
            if axis is not None and counts is not None and axis != counts:
                raise FormulaError(
                    f"{sentence_text(sentence)!r}: {letter} counts {counts}, but reads the axis {own} "
                    f"of {tensor}, which counts {axis}; only a program that joins may do so"
                )

    def __missing__(self, name: str) -> np.ndarray:
        if name not in self.program.sentences:
            where = "is not given" if name in self.program.declared else "is no tensor of this program"
            raise FormulaError(f"{name} {where}; given: {', '.join(self) or 'none'}")
        self[name] = evaluate(self, self.program.sentences[name])
        return self[name]

    def count(self, letter: str) -> int:
        """How many a letter counts."""
        try:
            return self.sizes[letter.upper()]
        except KeyError:
            raise FormulaError(
                f"nothing says how far {letter!r} counts: no shape has it; give {letter.upper()} as a setting"
            ) from None

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, whether its array is there or not."""
        if name in self:
            return self[name].shape
        if name not in self.program.declared:
            raise FormulaError(f"{name} is no tensor of this program")
        return tuple(math.prod(map(self.count, axis)) for axis in self.program.declared[name])

    def number(self, name: str) -> float:
        """A setting, a count or a constant."""
        for known in (self.numbers, self.sizes, CONSTANTS):
            if name in known:
                return known[name]
        if name in self.program.capitals:
            return self.count(self.program.capitals[name])
        known_names = ", ".join(sorted({*self.numbers, *self.sizes}))
        raise FormulaError(
            f"{name!r} is neither a letter (none such on the left or in a reducer), nor a tensor, "
            f"nor a number; numbers are {known_names or 'none'}"
        )

    def place(self, name: str, index: tuple[int, ...]) -> dict[str, int]:
        """What each letter of a tensor's axes stands at for an index."""
        shape = self.shape(name)
        if len(index) != len(shape):
            raise FormulaError(f"{name} has {len(shape)} axes, shape {shape}; got the index {index}")
        at: dict[str, int] = {}
        axes = self.program.declared[name]
        for axis, (letters, position, extent) in enumerate(zip(axes, index, shape, strict=True)):
            if not 0 <= position < extent:
                where = f"along axis {axis} ({'|'.join(letters)})"
                raise FormulaError(f"{name} has {extent} {where}, got the index {position}")
            for letter in reversed(letters):
                position, at[letter] = divmod(position, self.count(letter))
        return at


def evaluate(tensors: Tensors, sentence: Sentence) -> np.ndarray:
    """The whole tensor that a sentence says: float64, or int64 for an argmax."""
    letters = (*sentence.free, *sentence.bound)
    counts = [tensors.count(x) for x in letters]
    if math.prod(counts) > GRID_LIMIT:
        grid_shape = "x".join(map(str, counts))
        raise FormulaError(f"{sentence_text(sentence)!r}: the grid {grid_shape} has more than {GRID_LIMIT} elements")
    grid = Grid(tensors, dict(zip(letters, counts, strict=True)))
    values, present = grid.value(sentence.expr)
    whole = np.zeros([*counts[: len(sentence.free)], *[1] * len(sentence.bound)])
    whole += values if present is None else np.where(present, values, 0.0)
    result = whole.reshape(tensors.shape(sentence.name))
    winners = isinstance(sentence.expr, Reduce) and sentence.expr.kind == "argmax"
    return result.astype(np.int64) if winners else result
