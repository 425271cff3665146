"""The terms of an explanation: the values of all of them at once, as arrays; objects for the asked page only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.formula.evaluate import GRID_LIMIT, Grid, Present, Tensors, Values, both, first_best
from engine.formula.explanation import Group, Part, Read, Term
from engine.formula.nodes import ONE, Compare, Expr, FormulaError, Quotient, reads, rebuild
from engine.formula.nodes import Read as Access
from engine.formula.summands import Summand, cases_of, factors_of, labels
from engine.formula.text import text

Cell = tuple[str, tuple[int, ...], float, bool, bool]
"""A read's tensor, index, value, whether it lies inside, and whether between two cells."""
_Row = tuple[list[float], list[Cell], dict[str, int], list[Part]]
"""A term's factors, the cells it reads, where its letters stand, what its factors are."""


@dataclass(frozen=True)
class _Role:
    """What a factor is, before its cells are known: what it reads, and below what it divides by, if it does."""

    name: str
    text: str
    reads: tuple[Access, ...]
    under: Expr | None = None


class _Terms:
    """The terms of one family at a place, numbered with its first letter slowest.

    values: of all terms; inside: whether they read nothing outside, None where all do.
    """

    def __init__(self, tensors: Tensors, family: Summand, at: dict[str, int]) -> None:
        self.tensors, self.family, self.at = tensors, family, at
        self.shape = tuple(tensors.count(x) for x in family.letters)
        self.count = math.prod(self.shape)
        if self.count > GRID_LIMIT:
            raise FormulaError(f"a sum of {'x'.join(map(str, self.shape))} terms is more than {GRID_LIMIT}")
        self.taken: Any = 0  # the branch of a choice each term takes
        self.columns: list[list[Any]] = []  # per branch, its factors
        self.looked: list[tuple[Access, ...]] = []  # per branch, what it reads
        self.roles: list[list[_Role]] = []  # per branch, what its factors are
        grid = Grid(tensors, dict(zip(family.letters, self.shape, strict=True)), at)
        with np.errstate(all="ignore"):
            if family.reducer is not None and family.reducer.kind != "sum":
                values, inside = self._search(grid)
            else:
                values, inside = self._multiply(grid)
        self.inside = None if inside is None else self._flat(inside).astype(bool)
        self.values = self._flat(values) if self.inside is None else np.where(self.inside, self._flat(values), 0.0)

    def _multiply(self, grid: Grid) -> tuple[Values, Present]:
        """A sum's terms, or a single term: the product of the factors of the branch taken."""
        values: Values = 0.0
        inside: Present = None
        asked: Present = None
        open_: Any = True
        tests: tuple[Access, ...] = ()
        for number, (test, branch) in enumerate(cases_of(self.family.body)):
            tests = (*tests, *(reads(test) if test else ()))
            factors = (*self.family.before, *factors_of(branch), *self.family.after)
            product, here = self._branch([grid.value(f) for f in factors], factors, tests)
            self.roles.append([_role(f) for f in factors])
            if number == 0:
                values, inside = product, here
            else:
                values = np.where(open_, product, values)
                inside = np.where(open_, _there(here), _there(inside))
                self.taken = np.where(open_, number, self.taken)
            if test is not None:
                holds, told = grid.value(test)
                asked, open_ = both(asked, told), np.logical_and(open_, np.equal(holds, 0))
        return values, both(inside, asked)

    def _search(self, grid: Grid) -> tuple[Values, Present]:
        """A max: each candidate (or its answer) times 1 if it won, else 0."""
        reducer, before, after = self.family.reducer, self.family.before, self.family.after
        assert reducer is not None
        candidates, present = grid.value(reducer.body)
        there = self._flat(_there(present)).astype(bool)
        won = np.zeros(self.count)
        if there.any():
            won[first_best(self._flat(candidates), there)] = 1.0
        won = won.reshape(self.shape)
        shown = reducer.body if reducer.answer is None else reducer.answer
        found = [*map(grid.value, before), (grid.value(shown)[0], present), (won, None), *map(grid.value, after)]
        product, inside = self._branch(found, (*before, reducer, *after), ())
        roles = [*map(_role, before), _role(shown), _Role("winner", reducer.kind, ()), *map(_role, after)]
        self.roles.append(roles)
        return np.where(won == 0, 0.0, product), inside

    def _branch(
        self, found: list[tuple[Values, Present]], exprs: tuple[Expr, ...], tests: tuple[Access, ...]
    ) -> tuple[Values, Present]:
        """Keeps the factors, 0 where they are nothing, and what they read; gives their product from the left."""
        column: list[Any] = []
        inside: Present = None
        product: Any = 1.0
        for value, present in found:
            factor = np.asarray(value if present is None else np.where(present, value, 0.0), np.float64)[()]
            column.append(factor)
            product, inside = product * factor, both(inside, present)
        self.columns.append(column)
        self.looked.append(tuple(dict.fromkeys((*(r for e in exprs for r in reads(e)), *tests))))
        return product, inside

    def _flat(self, values: Any) -> np.ndarray:
        return np.broadcast_to(np.asarray(values), self.shape).reshape(-1)

    def rows(self, numbers: np.ndarray) -> Iterator[_Row]:
        """(factors, cells read, where the letters stand, parts) of the terms with these numbers. A part's reads are
        positions among the cells read."""
        letters = self.family.letters
        where = np.unravel_index(numbers, self.shape) if self.shape else ()
        size = len(numbers)
        taken = [int(k) for k in self._picked(self.taken, where, size)]
        grid = Grid(self.tensors, {}, {**self.at, **dict(zip(letters, where, strict=True))})
        factors = {k: _transposed([self._picked(f, where, size) for f in self.columns[k]], size) for k in set(taken)}
        cells = {k: _transposed([_cells(grid, r, size) for r in self.looked[k]], size) for k in set(taken)}
        divided = {k: _transposed([_divisors(grid, r, size) for r in self.roles[k]], size) for k in set(taken)}
        seats = {k: [[self.looked[k].index(read) for read in r.reads] for r in self.roles[k]] for k in set(taken)}
        at = _transposed([w.tolist() for w in where], size)
        for row, k in enumerate(taken):
            parts = [
                Part(role.name, value if under is None else under, seat, role.text)
                for role, value, under, seat in zip(
                    self.roles[k], factors[k][row], divided[k][row], seats[k], strict=True
                )
            ]
            yield list(factors[k][row]), list(cells[k][row]), dict(zip(letters, at[row], strict=True)), parts

    def _picked(self, values: Any, where: tuple[np.ndarray, ...], size: int) -> list[float]:
        return np.broadcast_to(values, self.shape)[where].tolist() if np.ndim(values) else [float(values)] * size


class Ledger:
    """The terms of all summands at a place, numbered one summand after the other.

    values: of all terms, float64.
    """

    def __init__(self, tensors: Tensors, summands: list[Summand], at: dict[str, int]) -> None:
        self.summands = [_Terms(tensors, family, at) for family in summands]
        self.labels = labels(summands)
        self.starts: list[int] = np.cumsum([0, *(f.count for f in self.summands)]).tolist()
        self.values = np.concatenate([f.values for f in self.summands])
        first = next((f for f in self.summands if f.shape), None)
        several = [x for x, n in zip(first.family.letters, first.shape, strict=True) if n > 1] if first else []
        self.letter = several[0] if len(several) > 1 else None

    def listed(self, outside: bool) -> np.ndarray:
        """The numbers of the terms to list."""
        if outside or all(f.inside is None for f in self.summands):
            return np.arange(self.starts[-1])
        return np.flatnonzero(np.concatenate([np.broadcast_to(_there(f.inside), f.count) for f in self.summands]))

    def _grouped(self) -> list[tuple[_Terms, int, int]]:
        """(family, its first number, the axis of the group's letter) of those that run over it."""
        return [
            (f, start, f.family.letters.index(self.letter))
            for f, start in zip(self.summands, self.starts, strict=False)
            if self.letter in f.family.letters
        ]

    def groups(self, listed: np.ndarray, outside: bool) -> list[Group]:
        """The subtotals by the first letter that counts more than 1, where another one does too."""
        if self.letter is None:
            return []
        grouped = self._grouped()
        f, start, axis = grouped[0]
        size = f.shape[axis]
        firsts = np.searchsorted(listed, start + math.prod(f.shape[axis + 1 :]) * np.arange(size))
        totals, counts = np.zeros(size), np.zeros(size, np.int64)
        for f, _, axis in grouped:
            totals += _along(f.values, f.shape, axis).sum(1)
            counts += f.count // size if outside or f.inside is None else _along(f.inside, f.shape, axis).sum(1)
        rows = zip(totals.tolist(), counts.tolist(), firsts.tolist(), strict=True)
        return [Group(self.letter, k, *row) for k, row in enumerate(rows)]

    def within(self, listed: np.ndarray, group: int, count: int) -> np.ndarray:
        """The listed terms of one of the `count` groups."""
        if not 0 <= group < count:
            raise FormulaError(f"there are {count} groups, numbered from 0; got group {group}")
        member = np.zeros(self.starts[-1], bool)
        for f, start, axis in self._grouped():
            np.moveaxis(member[start : start + f.count].reshape(f.shape), axis, 0)[group] = True
        return listed[member[listed]]

    def terms(self, numbers: np.ndarray) -> tuple[list[Term], list[Read]]:
        """The terms with these numbers, and the cells that they read, each once."""
        family_of = np.searchsorted(self.starts, numbers, side="right") - 1
        rows: dict[int, _Row] = {}
        for k in dict.fromkeys(family_of.tolist()):
            mine = np.flatnonzero(family_of == k)
            rows.update(zip(mine.tolist(), self.summands[k].rows(numbers[mine] - self.starts[k]), strict=True))
        seen: dict[tuple[str, tuple[int, ...], bool], int] = {}
        cells: list[Read] = []
        terms = []
        for row, (k, value) in enumerate(zip(family_of.tolist(), self.values[numbers].tolist(), strict=True)):
            factors, looked, at, parts = rows[row]
            where = []
            for tensor, index, number, inside, gap in looked:
                position = seen.setdefault((tensor, index, inside), len(cells))
                if position == len(cells):
                    cells.append(Read(tensor, index, number, inside, gap))
                where.append(position)
            placed = [replace(part, reads=[where[seat] for seat in part.reads]) for part in parts]
            terms.append(Term(where, factors, value, at, k, self.labels[k], placed))
        return terms, cells


def _role(factor: Expr) -> _Role:
    """What a factor of a sentence is."""
    under = factor.under if isinstance(factor, Quotient) and factor.over == ONE else None
    body = factor if under is None else under
    found = tuple(dict.fromkeys(reads(body)))
    name = "constant" if not found else "read" if isinstance(body, Access) else "made"
    if found and isinstance(factor, Compare):
        name = "test"
    if under is not None:
        name = "divisor" if name == "read" else f"{name}_divisor"
    return _Role(name, text(_unplaced(body)), found, under)


def _unplaced(expr: Expr) -> Expr:
    """The expression with no index on what it reads."""
    return Access(expr.tensor) if isinstance(expr, Access) else rebuild(expr, _unplaced)


def _divisors(grid: Grid, role: _Role, size: int) -> list[Any]:
    """What a factor divides by in each of `size` terms, None where it does not divide."""
    if role.under is None:
        return [None] * size
    return [float(v) for v in _spread(grid.value(role.under)[0], size)]


def _cells(grid: Grid, read: Access, size: int) -> list[Cell]:
    """What one read of a sentence finds in each of `size` terms."""
    values, present, where = grid.look(read)
    index = _transposed([_spread(w, size) for w in where], size)
    inside = _spread(_there(present), size)
    shape = grid.tensors[read.tensor].shape if where else ()

    def between(index: tuple[int, ...]) -> bool:
        return bool(where) and all(0 <= i < n for i, n in zip(index, shape, strict=True))

    return [
        (read.tensor, i, float(v), bool(p), not p and between(i))
        for i, v, p in zip(index, _spread(values, size), inside, strict=True)
    ]


def _spread(values: Any, size: int) -> list[Any]:
    return values.tolist() if np.ndim(values) else [values.item() if isinstance(values, np.generic) else values] * size


def _transposed(columns: list[list[Any]], size: int) -> list[tuple[Any, ...]]:
    return list(zip(*columns, strict=True)) if columns else [()] * size


def _there(present: Present) -> Any:
    return True if present is None else present


def _along(flat: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """(length of the axis, all the rest)."""
    return np.moveaxis(flat.reshape(shape), axis, 0).reshape(shape[axis], -1)
