"""How cells depend on one another by way of a sentence: which could at all, which do in this pass, and how much.

A `Link` joins one sentence to one of its reads. It carries a set of cells (a mask) forwards, from the tensor that is
read to the tensor that the sentence says, or backwards. Three questions are told apart:

    READS   the sentence reads the cell, whatever the values are
    MOVES   the derivative of what is said with respect to what is read is not zero at these values
    EITHER  as MOVES, but where two sides meet (a tie, a gate at exactly 0) either side counts

Nothing here knows an operator: a closed gate is a choice that took the other branch, a lost maximum a reducer whose
winner is another cell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from itertools import pairwise
from typing import Any

import numpy as np

from engine.formula.evaluate import GRID_LIMIT, Grid, Present, Tensors, Values, both
from engine.formula.functions import FUNCTIONS
from engine.formula.nodes import (
    Call,
    Choice,
    Compare,
    Expr,
    Letter,
    Name,
    Neg,
    Power,
    Product,
    Quotient,
    Read,
    Reduce,
    Sentence,
    Sum,
    children,
    reads,
    replace,
    walk,
)
from engine.formula.sentence import parse_sentence

READS, MOVES, EITHER = "reads", "moves", "either"

Mask = np.ndarray
Ranges = Mapping[str, tuple[int, int]]


class Link:
    """One sentence and one of its reads."""

    def __init__(self, tensors: Tensors, sentence: Sentence, read: Read) -> None:
        self.tensors, self.sentence, self.read = tensors, sentence, read
        self.plain = {  # letters of the sentence that say a position of the read tensor by themselves
            sub.id: (axis, own)
            for axis, (letters, subs) in enumerate(zip(tensors.program.declared[read.tensor], read.subs, strict=True))
            for own, sub in zip(letters, subs, strict=True)
            if isinstance(sub, Letter) and len(subs) == 1
        }
        self.free, self.bound = sentence.free, sentence.bound
        reducers = [node for node in walk(sentence.expr) if isinstance(node, Reduce)]
        # A sum may be looked at in parts; a maximum, or a sum beside the read, is one of all its cells.
        whole = len(reducers) > 1 or any(r.kind != "sum" or read not in reads(r.body) for r in reducers)
        self.divisible = self.free if whole else (*self.free, *self.bound)

    def forwards(self, mask: Mask, kind: str) -> Mask:
        """The cells of what is said that depend on a cell of the read tensor in the mask."""
        said: Mask = np.zeros(self.tensors.shape(self.sentence.name), bool)
        if not mask.any():
            return said
        ranges = self._ranges({letter: mask_range(mask, axis) for letter, (axis, _) in self.plain.items()})
        for part in self._pieces(ranges):
            grid = Slopes(self.tensors, self._running(part), part, either=kind == EITHER)
            where, present = grid.position(self.read)
            hit = _and(_at(mask, where, present), self._holds(grid, kind))
            self._put(said, part, np.asarray(hit))
        return said

    def backwards(self, mask: Mask, kind: str) -> Mask:
        """The cells of the read tensor on which a cell of what is said, in the mask, depends."""
        shape = self.tensors.shape(self.read.tensor)
        found = np.zeros(shape, bool)
        if not mask.any():
            return found
        own = {axis[0]: mask_range(mask, k) for k, axis in enumerate(self.sentence.axes) if len(axis) == 1}
        for part in self._pieces(self._ranges(own)):
            grid = Slopes(self.tensors, self._running(part), part, either=kind == EITHER)
            where, present = grid.position(self.read)
            holds = self._holds(grid, kind)
            asked = self._asked(mask, part)
            joint = [np.asarray(each) for each in (*where, holds, True if present is None else present)]
            needed = np.broadcast_shapes(*(each.shape for each in joint)) if joint else ()
            needed = (1,) * (asked.ndim - len(needed)) + needed
            loose = tuple(k for k, n in enumerate(needed) if n == 1 and asked.shape[k] > 1)
            asked = np.asarray(asked.any(axis=loose, keepdims=True)) if loose else asked
            hit = np.asarray(_and(asked, _and(holds, True if present is None else present)))
            hit, *at = np.broadcast_arrays(hit, *(np.asarray(each) for each in where))
            if at:
                found[tuple(each[hit] for each in at)] = True
            elif hit.any():
                found[()] = True
        return found

    # parts ----------------------------------------------------------------------------------------------------------

    def _ranges(self, known: Ranges) -> dict[str, tuple[int, int]]:
        whole = {x: (0, self.tensors.count(x)) for x in (*self.free, *self.bound)}
        return {x: known.get(x, all_) if x in self.divisible else all_ for x, all_ in whole.items()}

    def _pieces(self, ranges: dict[str, tuple[int, int]]) -> Iterator[dict[str, tuple[int, int]]]:
        """The ranges, cut along one letter so that a grid over all of them stays within bounds."""
        size = math.prod(stop - start for start, stop in ranges.values())
        longest = max(self.divisible, key=lambda x: ranges[x][1] - ranges[x][0], default=None)
        if longest is None:
            yield ranges
            return
        start, stop = ranges[longest]
        step = max(1, int((stop - start) * GRID_LIMIT / 4 / max(1, size)))
        for first in range(start, stop, step):
            yield {**ranges, longest: (first, min(stop, first + step))}

    @staticmethod
    def _running(part: Ranges) -> dict[str, int]:
        return {letter: stop - start for letter, (start, stop) in part.items()}

    def _holds(self, grid: Slopes, kind: str) -> Any:
        if kind == READS:
            return grid.linked(self.sentence.expr, self.read)
        moves = np.not_equal(grid.slope(self.sentence.expr, self.read), 0)
        return True if moves.all() else moves  # weights are hardly ever 0: then no grid of all letters is needed

    def _put(self, said: Mask, part: Ranges, hit: Mask) -> None:
        """Any over the bound letters, into the cells of these ranges."""
        rank = len(self.free) + len(self.bound)
        hit = hit.reshape((1,) * (rank - hit.ndim) + hit.shape)
        hit = np.asarray(hit.any(axis=tuple(range(len(self.free), rank))))
        whole = said.reshape([self.tensors.count(x) for x in self.free])
        whole[tuple(slice(*part[x]) for x in self.free)] |= hit

    def _asked(self, mask: Mask, part: Ranges) -> Mask:
        """The mask of what is said, over the free letters, with an axis of length 1 for each bound one."""
        whole = mask.reshape([self.tensors.count(x) for x in self.free])
        cut = whole[tuple(slice(*part[x]) for x in self.free)]
        return cut.reshape(cut.shape + (1,) * len(self.bound))


class Slopes(Grid):
    """An expression's derivative with respect to one of its reads, before any reducer adds up, and whether it reads
    it at all. With `either`, where two sides meet the sizes of both slopes are added, so that none can hide."""

    def __init__(self, tensors: Tensors, running: Mapping[str, int], ranges: Ranges, *, either: bool) -> None:
        super().__init__(tensors, running)
        self.either = either
        for letter, (start, _) in ranges.items():
            self.at[letter] = self.at[letter] + start

    def present(self, e: Expr) -> Present:
        """Where an expression is something, without its value."""
        match e:
            case Read():
                if e.tensor in self.tensors.program.optional and e.tensor not in self.tensors:
                    return False
                return self.position(e)[1] if e.subs else None
            case Sum(parts):
                there = [self.present(part) for part in parts]
                return None if None in [None if x is None else 0 for x in there] else reduce(np.logical_or, there)
            case Choice(then, test, other):
                there, here = self.present(then), self.present(other)
                branches = None if there is None or here is None else np.logical_or(there, here)
                return both(self.present(test), branches)
            case Product() | Quotient() | Power() | Compare() | Neg() | Call():
                return reduce(both, [self.present(child) for child in children(e)], None)
        return None

    def linked(self, e: Expr, read: Read) -> Any:
        """Where the expression reads this read, and what it makes of it is something."""
        if e == read:
            return True
        if not any(each == read for each in reads(e)):
            return False
        parts = [self.linked(child, read) for child in children(e)]
        any_of = reduce(np.logical_or, parts)
        if isinstance(e, (Product, Quotient, Power, Compare)):
            return _and(any_of, self.present(e))
        if isinstance(e, Choice):
            return _and(any_of, self.present(e.test))
        return any_of

    def slope(self, e: Expr, read: Read) -> Values:
        """The derivative; a float or an array over the grid."""
        if e == read:
            return 1.0
        if not any(each == read for each in reads(e)):
            return 0.0
        with np.errstate(all="ignore"):
            return self._slope(e, read)

    def _slope(self, e: Expr, read: Read) -> Values:
        match e:
            case Sum(parts):
                return sum((self.slope(part, read) for part in parts), 0.0)
            case Neg(of):
                return -self.slope(of, read)
            case Product(factors):
                total: Values = 0.0
                for k, factor in enumerate(factors):
                    inner = self.slope(factor, read)
                    if np.any(inner):
                        others = [self._something(each) for j, each in enumerate(factors) if j != k]
                        total = total + reduce(np.multiply, others, inner)
                return total
            case Quotient(over, under):
                b = self.value(under)[0]
                slope, inner = self.slope(over, read) / b, self.slope(under, read)
                return slope - self._something(over) * inner / np.square(b) if np.any(inner) else slope
            case Power(base, exponent):
                a, b = np.asarray(self.value(base)[0], np.float64), self.value(exponent)[0]
                return self.slope(base, read) * b * np.power(a, b - 1)
            case Choice(then, test, other):
                return self._choose(self.slope(then, read), test, self.slope(other, read))
            case Call(function, of):
                inner = self.slope(of, read)
                z = self.value(of)[0]
                if self.either and function == "abs":
                    return inner * np.where(np.equal(z, 0), 1.0, np.sign(z))
                return inner * self.value(replace(derivative(function), {Name("z"): of}))[0]
            case Reduce("sum", _, body):
                return self.slope(body, read)
            case Reduce("max", letters, body):
                return self.slope(body, read) * self._won(letters, body)
        return 0.0  # comparisons, positions

    def _something(self, e: Expr) -> Values:
        """The value, 0 where it is nothing. Whether the read itself is there is asked at its own position."""
        values, present = self.value(e)
        return values if present is None else np.where(present, values, 0.0)

    def _choose(self, then: Values, test: Expr, other: Values) -> Values:
        taken = np.not_equal(self.value(test)[0], 0)
        chosen = np.where(taken, then, other)
        if not (self.either and isinstance(test, Compare)):
            return chosen
        sides = [self.value(part)[0] for part in test.parts]
        level = reduce(np.logical_or, [np.equal(a, b) for a, b in pairwise(sides)])
        return np.where(level, np.abs(then) + np.abs(other), chosen)

    def _won(self, letters: tuple[str, ...], body: Expr) -> np.ndarray:
        """Which candidates are the maximum: the first in scan order or, with `either`, all that tie."""
        axes = tuple(self.axis[x] for x in letters)
        values, present = self.value(body)
        candidates = self._spread(values if present is None else np.where(present, values, -np.inf), axes)
        if self.either:
            return candidates == np.max(candidates, axis=axes, keepdims=True, initial=-np.inf)
        sizes = [self.shape[axis] for axis in axes]
        number: Any = 0
        for axis, size in zip(axes, sizes, strict=True):
            along = np.arange(size).reshape([-1 if k == axis else 1 for k in range(len(self.shape))])
            number = number * size + along
        number = np.broadcast_to(number, candidates.shape)
        return number == self._winners(candidates, present, number, axes)


@cache
def derivative(function: str) -> Expr:
    """The derivative of a scalar function, in terms of z."""
    return parse_sentence(f"d = {FUNCTIONS[function][1]}", {}).expr


def mask_range(mask: Mask, axis: int) -> tuple[int, int]:
    """The first position along an axis at which anything is in the mask, and the one behind the last."""
    along = np.flatnonzero(mask.any(axis=tuple(k for k in range(mask.ndim) if k != axis)))
    return int(along[0]), int(along[-1]) + 1


def _at(mask: Mask, where: tuple[Any, ...], present: Present) -> Any:
    if present is None:
        return mask[where]
    at = tuple(np.clip(a, 0, n - 1) for a, n in zip(where, mask.shape, strict=True))
    return np.logical_and(mask[at], present)


def _and(a: Any, b: Any) -> Any:
    if b is None or b is True or (not isinstance(b, np.ndarray) and b):
        return a
    return np.logical_and(a, b)
