"""Evaluation of expressions at a place, or over a grid of places, in float64.

*Nothing* is what a read outside its tensor gives, or one between two cells (a position that is no whole
number). It is carried as a second array beside the values, True where there is something:
nothing times, over or under b, in a function, a power or a comparison, is nothing; nothing plus b is b;
a sum of nothing is 0; nothing never wins a max; an element that is nothing is 0. A max of nothing is -inf
and its argmax -1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engine.formula.functions import CONSTANTS, FUNCTIONS
from engine.formula.infer_sizes import infer_sizes
from engine.formula.nodes import (
    Call,
    Choice,
    Compare,
    Expr,
    FormulaError,
    Letter,
    Name,
    Neg,
    Num,
    Power,
    Product,
    Quotient,
    Read,
    Reduce,
    Sentence,
    Sum,
)
from engine.formula.program import Program
from engine.formula.text import sentence_text

Values = Any
"""A number or an array that broadcasts over the grid."""
Present = Any
"""None where everything is there, else a bool or an array of bools."""

_COMPARISONS: dict[str, Callable[..., Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


class Grid:
    """A place at which expressions have values: letters fixed at a position, others running along axes.

    running: the letters with an axis each, in order, and their counts; fixed: the others, each at a position
    (or at an array of positions).
    """

    def __init__(self, tensors: Tensors, running: Mapping[str, int], fixed: Mapping[str, Any] | None = None) -> None:
        self.tensors = tensors
        self.shape = tuple(running.values())
        self.axis = {letter: k for k, letter in enumerate(running)}
        self.at: dict[str, Any] = dict(fixed or {})
        for k, (letter, count) in enumerate(running.items()):
            self.at[letter] = np.arange(count).reshape([-1 if j == k else 1 for j in range(len(running))])

    def value(self, expr: Expr) -> tuple[Values, Present]:
        """(values, where there is something)."""
        with np.errstate(all="ignore"):
            return self._value(expr)

    def _value(self, expr: Expr) -> tuple[Values, Present]:
        return _RULES[type(expr)](self, expr)

    def _num(self, e: Num) -> tuple[Values, Present]:
        return e.value, None

    def _name(self, e: Name) -> tuple[Values, Present]:
        return self.tensors.number(e.id), None

    def _letter(self, e: Letter) -> tuple[Values, Present]:
        return self.at[e.id], None

    def _sum(self, e: Sum) -> tuple[Values, Present]:
        values, present = self._value(e.parts[0])
        for part in e.parts[1:]:
            more, there = self._value(part)
            if present is not None or there is not None:
                values = _something(values, present)
                more = _something(more, there)
                present = None if present is None or there is None else np.logical_or(present, there)
            values = values + more
        return values, present

    def _neg(self, e: Neg) -> tuple[Values, Present]:
        values, present = self._value(e.of)
        return -values, present

    def _product(self, e: Product) -> tuple[Values, Present]:
        values, present = self._value(e.factors[0])
        for factor in e.factors[1:]:
            more, there = self._value(factor)
            values, present = values * more, both(present, there)
        return values, present

    def _quotient(self, e: Quotient) -> tuple[Values, Present]:
        (a, there), (b, here) = self._value(e.over), self._value(e.under)
        return np.true_divide(a, b), both(there, here)

    def _power(self, e: Power) -> tuple[Values, Present]:
        (a, there), (b, here) = self._value(e.base), self._value(e.exponent)
        return np.power(np.asarray(a, np.float64)[()], b), both(there, here)

    def _compare(self, e: Compare) -> tuple[Values, Present]:
        first, present = self._value(e.parts[0])
        holds: Any = True
        for sign, part in zip(e.signs, e.parts[1:], strict=True):
            second, there = self._value(part)
            holds = np.logical_and(holds, _COMPARISONS[sign](first, second))
            first, present = second, both(present, there)
        return np.asarray(holds, np.float64)[()], present

    def _choice(self, e: Choice) -> tuple[Values, Present]:
        (test, told), (then, there), (other, here) = self._value(e.test), self._value(e.then), self._value(e.other)
        taken = np.not_equal(test, 0)
        if there is not None or here is not None:
            told = both(told, np.where(taken, True if there is None else there, True if here is None else here))
        return np.where(taken, then, other), told

    def _call(self, e: Call) -> tuple[Values, Present]:
        values, present = self._value(e.of)
        return FUNCTIONS[e.function][0](np.asarray(values, np.float64)[()]), present

    def _reduce(self, e: Reduce) -> tuple[Values, Present]:
        axes = tuple(self.axis[x] for x in e.letters)
        values, present = self._value(e.body)
        if e.kind == "sum":
            return np.sum(self._spread(_something(values, present), axes), axis=axes, keepdims=True), None
        candidates = self._spread(values if present is None else np.where(present, values, -np.inf), axes)
        if e.kind == "max":
            return np.max(candidates, axis=axes, keepdims=True, initial=-np.inf), None
        assert e.answer is not None
        answers = self._spread(self._value(e.answer)[0], axes)
        return self._winners(candidates, present, answers, axes), None

    def _winners(self, candidates: np.ndarray, present: Present, answers: np.ndarray, axes: tuple[int, ...]) -> Values:
        """The answer at the best candidate along the axes; -1 where no candidate is there."""
        there = np.asarray(True if present is None else present)
        shape = np.broadcast_shapes(candidates.shape, there.shape, answers.shape)
        keys, found, given = (_last(np.broadcast_to(a, shape), axes) for a in (candidates, there, answers))
        won = np.take_along_axis(given, first_best(keys, found)[..., None], -1)
        kept = [1 if k in axes else n for k, n in enumerate(shape)]
        return np.where(found.any(-1, keepdims=True), won, -1).reshape(kept)

    def _spread(self, values: Values, axes: tuple[int, ...]) -> np.ndarray:
        """The values with every axis that is about to be reduced at its full length."""
        values = np.asarray(values)
        shape = [n if k in axes else 1 for k, n in enumerate(self.shape)]
        return np.broadcast_to(values, np.broadcast_shapes(values.shape, tuple(shape)))

    def _read(self, e: Read) -> tuple[Values, Present]:
        if not e.subs and e.tensor not in self.tensors and e.tensor in self.tensors.numbers:
            return self.tensors.numbers[e.tensor], None
        return self.look(e)[:2]

    def look(self, e: Read) -> tuple[Values, Present, tuple[Any, ...]]:
        """(values, where the position lies inside, the position on each axis)."""
        if e.tensor in self.tensors.program.optional and e.tensor not in self.tensors:
            return 0.0, False, ()
        array = self.tensors[e.tensor]
        where, present = self.position(e)
        if array.size == 0:
            return 0.0, False, where
        at = where
        if present is not None:
            at = tuple(np.clip(a, 0, n - 1) for a, n in zip(where, array.shape, strict=True))
        values = np.asarray(array[at], np.float64)[()]
        return (values if present is None else np.where(present, values, 0.0)), present, where

    def position(self, e: Read) -> tuple[tuple[Any, ...], Present]:
        """(index per axis, where it lies inside the tensor, between no two cells)."""
        present: Present = None
        where = []
        for letters, subs in zip(self.tensors.program.declared[e.tensor], e.subs, strict=True):
            at: Any = 0
            for own, sub in zip(letters, subs, strict=True):
                count = self.tensors.count(own)
                if type(sub) is Letter and sub.id == own:
                    here = self.at[own]
                else:
                    here, there = self.subscript(sub)
                    inside = (here >= 0) & (here < count)
                    present = both(both(present, there), None if np.all(inside) else inside)
                at = here if len(subs) == 1 else at * count + here
            where.append(at)
        return tuple(where), present

    def subscript(self, e: Expr) -> tuple[Any, Present]:
        """(whole-number position, where the divisions are exact), rounded down elsewhere."""
        match e:
            case Letter(name):
                return self.at[name], None
            case Num(value):
                return int(value), None
            case Name(name):
                value = self.tensors.number(name)
                if not float(value).is_integer():
                    raise FormulaError(f"{name} stands in a subscript and must be a whole number, got {value}")
                return int(value), None
            case Neg(of):
                at, present = self.subscript(of)
                return -at, present
            case Sum(parts):
                at, present = self.subscript(parts[0])
                for part in parts[1:]:
                    more, there = self.subscript(part)
                    at, present = at + more, both(present, there)
                return at, present
            case Product(factors):
                at, present = self.subscript(factors[0])
                for factor in factors[1:]:
                    more, there = self.subscript(factor)
                    at, present = at * more, both(present, there)
                return at, present
            case Quotient(over, under):
                (a, there), (b, here) = self.subscript(over), self.subscript(under)
                if b == 0:
                    raise FormulaError("a subscript is divided by 0")
                return a // b, both(both(there, here), a % b == 0)
            case Read():
                values, present = self._read(e)
                whole = np.isfinite(values) & (np.floor(values) == values)
                at = np.where(whole, values, -1).astype(np.int64)[()]
                return at, present if np.all(whole) else both(present, whole)
        raise FormulaError("a subscript is a sum of letters times whole numbers, perhaps over a number, or a read")


_RULES: dict[type, Callable[[Grid, Any], tuple[Values, Present]]] = {
    Num: Grid._num,
    Name: Grid._name,
    Letter: Grid._letter,
    Read: Grid._read,
    Sum: Grid._sum,
    Neg: Grid._neg,
    Product: Grid._product,
    Quotient: Grid._quotient,
    Power: Grid._power,
    Compare: Grid._compare,
    Choice: Grid._choice,
    Call: Grid._call,
    Reduce: Grid._reduce,
}


def both(a: Present, b: Present) -> Present:
    return b if a is None else a if b is None else np.logical_and(a, b)


def first_best(candidates: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Along the last axis, the position of the first largest candidate that is there; NaN is the largest."""
    keys = np.where(there, candidates, -np.inf)
    missing = np.isnan(keys)
    best = np.where(missing.any(-1), missing.argmax(-1), keys.argmax(-1))
    only_lowest = np.take_along_axis(keys, best[..., None], -1)[..., 0] == -np.inf
    return np.where(only_lowest, there.argmax(-1), best)


def _something(values: Values, present: Present) -> Values:
    return values if present is None else np.where(present, values, 0.0)


def _last(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The given axes moved to the end, in order, and made one."""
    moved = np.moveaxis(values, axes, range(values.ndim - len(axes), values.ndim))
    return moved.reshape(*moved.shape[: values.ndim - len(axes)], -1)


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
        self.sizes = infer_sizes(program, {name: s for name, s in shapes.items() if name in program.declared}, numbers)
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
