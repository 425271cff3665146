"""Why a number is what it is: its terms, their factors, the cells they read, page by page.

A sentence is read as families of terms: `sum[c,u,v](x * w) + b` has one with letters and one without. The
values of all terms are computed at once, as arrays; Python objects are made for the asked page only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.formula.mathml import Equation
from engine.formula.nodes import Read as Access
from engine.formula.nodes import (
    ONE, Choice, Expr, FormulaError, Neg, Num, Product, Quotient, Reduce, Sum, reads, walk,
)
from engine.formula.run import GRID_LIMIT, Grid, Tensors, both, first_best


@dataclass(frozen=True)
class Read:
    """A cell that a term reads. Where it lies outside (padding), or between two cells (a gap, index rounded
    down), `inside` is False and the value 0."""

    tensor: str
    index: tuple[int, ...]
    value: float
    inside: bool


@dataclass(frozen=True)
class Term:
    """One term. value == math.prod(factors), except that an infinite candidate that did not win counts 0.

    reads: positions in the explanation's reads, in the order of the factors; at: where the reducer's letters
    stand; family: which summand of the sentence; label: a word for a family of a single read, "bias".
    """

    reads: list[int]
    factors: list[float]
    value: float
    at: dict[str, int]
    family: int
    label: str


@dataclass(frozen=True)
class Group:
    """The subtotal of `count` terms at which `letter` stands at `at`; `first` is the number of the first in
    index order."""

    letter: str
    at: int
    value: float
    count: int
    first: int


@dataclass(frozen=True)
class Explanation:
    """value == math.fsum(all terms of all pages) + remainder. Counts are of the listed terms; `pages` and
    `page_sum` are of the asked group where one was asked."""

    value: float
    equation: Equation
    sentence: str
    reads: list[Read]
    terms: list[Term]
    terms_total: int
    page: int
    pages: int
    page_sum: float
    remainder: float
    groups: list[Group]


@dataclass(frozen=True)
class _Family:
    """One summand: factors before the reducer, what it runs over, factors after."""

    before: tuple[Expr, ...]
    reducer: Reduce | None
    body: Expr
    after: tuple[Expr, ...]

    @property
    def letters(self) -> tuple[str, ...]:
        return self.reducer.letters if self.reducer else ()


def explain(tensors: Tensors, name: str, index: tuple[int, ...], *, page: int = 0, per_page: int = 20,
            order: str = "index", group: int | None = None, outside: bool = True) -> Explanation:
    """The explanation of `name` at `index`, one page of `per_page` terms.

    order: "index" (first letter slowest) or "largest" (by size, descending). group: only the terms at which
    the first letter stands there. outside=False leaves out the terms that read outside.
    The value is the stored one; where nothing is stored, what the sentence gives.
    Raises FormulaError for an unknown tensor, an index outside, a page or group that is not there.
    """
    program = tensors.program
    known = {**tensors.sizes, **tensors.numbers}
    sentence = program.plugged(name, known)
    at = tensors.place(name, index)
    families = program.kept(("families", id(sentence)), lambda: (sentence, list(_families(sentence.expr))))[1]
    ledger = _Ledger([_Evaluated(tensors, family, at) for family in families])

    value = float(tensors[name][index]) if name in tensors else _element(tensors, sentence.expr, sentence.bound, at)
    listed = ledger.listed(outside)
    groups = ledger.groups(listed, outside)
    chosen = listed if group is None else ledger.within(listed, group, groups)
    pages = max(1, math.ceil(len(chosen) / per_page))
    if not 0 <= page < pages:
        raise FormulaError(f"{name} at {index} has {pages} pages of {per_page} terms, numbered from 0; got page {page}")
    if order == "largest":
        chosen = _largest_first(chosen, ledger.values, (page + 1) * per_page)
    elif order != "index":
        raise FormulaError(f"order is 'index' or 'largest', got {order!r}")
    shown = chosen[page * per_page:(page + 1) * per_page]
    terms, cells = ledger.terms(shown)
    return Explanation(
        value=value, equation=program.equation(name, tensors.numbers, tensors.sizes), sentence=program.sentence(name),
        reads=cells, terms=terms, terms_total=len(listed), page=page, pages=pages,
        page_sum=_total([term.value for term in terms]), remainder=_difference(value, _total(ledger.values)), groups=groups)


def _families(expr: Expr, before: tuple[Expr, ...] = (), after: tuple[Expr, ...] = ()) -> Iterator[_Family]:
    match expr:
        case Sum(parts):
            for part in parts:
                yield from _families(part, before, after)
        case Neg(of) if isinstance(of, Sum) and not _reduces(of):
            yield _Family((Num(-1), *before), None, of, after)
        case Neg(of):
            yield from _families(of, (Num(-1), *before), after)
        case Reduce(_, _, body, _):
            yield _Family(before, expr, body, after)
        case Product(factors) if _reduces(expr):
            k = next(k for k, f in enumerate(factors) if _reduces(f))
            yield from _families(factors[k], (*before, *factors[:k]), (*factors[k + 1:], *after))
        case Quotient(over, under) if _reduces(over):
            yield from _families(over, before, (Quotient(ONE, under), *after))
        case _:
            yield _Family(before, None, expr, after)


def _reduces(expr: Expr) -> bool:
    return any(isinstance(e, Reduce) for e in walk(expr))


def _factors(expr: Expr) -> tuple[Expr, ...]:
    """A product's factors, a divisor as the factor 1/divisor, a sign as the factor -1."""
    match expr:
        case Neg(of):
            return (Num(-1), *_factors(of))
        case Product(factors):
            return tuple(f for factor in factors for f in _factors(factor))
        case Quotient(over, under):
            return (*(() if over == ONE else _factors(over)), Quotient(ONE, under))
    return (expr,)


def _cases(expr: Expr) -> list[tuple[Expr | None, Expr]]:
    """The branches of a choice with their tests, the last without."""
    match expr:
        case Choice(then, test, other):
            return [(test, then), *_cases(other)]
    return [(None, expr)]


class _Evaluated:
    """A family at a place: the values of all its terms, flat, first letter slowest."""

    def __init__(self, tensors: Tensors, family: _Family, at: dict[str, int]) -> None:
        self.tensors, self.family, self.at = tensors, family, at
        self.shape = tuple(tensors.count(x) for x in family.letters)
        self.count = math.prod(self.shape)
        if self.count > GRID_LIMIT:
            raise FormulaError(f"a sum of {'x'.join(map(str, self.shape))} terms is more than {GRID_LIMIT}")
        grid = Grid(tensors, dict(zip(family.letters, self.shape, strict=True)), at)
        kind = family.reducer.kind if family.reducer else "each"
        self.taken: Any = 0
        self.columns: list[list[Any]] = []
        self.looked: list[tuple[Access, ...]] = []
        with np.errstate(all="ignore"):
            if kind in ("max", "argmax"):
                self._search(grid, kind)
            else:
                self._multiply(grid)

    def _multiply(self, grid: Grid) -> None:
        family = self.family
        cases = _cases(family.body)
        values: Any = None
        inside: Any = None
        asked: Any = None
        tests: tuple[Access, ...] = ()
        open_: Any = True
        for number, (test, branch) in enumerate(cases):
            if test is not None:
                tests = (*tests, *reads(test))
            factors = (*family.before, *_factors(branch), *family.after)
            found = [grid.value(f) for f in factors]
            column, here = self._column(found)
            product = column[0]
            for factor in column[1:]:
                product = product * factor
            self.columns.append(column)
            self.looked.append(tuple(dict.fromkeys((*(r for f in factors for r in reads(f)), *tests))))
            if number == 0:
                values, inside = product, here
            else:
                values = np.where(open_, product, values)
                inside = here if here is inside is None else np.where(
                    open_, True if here is None else here, True if inside is None else inside)
                self.taken = np.where(open_, number, self.taken)
            if test is not None:
                holds, told = grid.value(test)
                asked = both(asked, told)
                open_ = np.logical_and(open_, np.equal(holds, 0))
        self._settle(values, both(inside, asked))

    def _search(self, grid: Grid, kind: str) -> None:
        family = self.family
        assert family.reducer is not None
        candidates, present = grid.value(family.body)
        flat = self._flat(candidates)
        there = np.ones(self.count, bool) if present is None else self._flat(present).astype(bool)
        best = int(first_best(flat, there)) if self.count else 0
        won = np.zeros(self.count)
        won[best:best + 1] = 1.0
        if kind == "max":
            shown, answer_reads = np.where(there, flat, 0.0), ()
        else:
            answer = family.reducer.answer
            assert answer is not None
            shown, answer_reads = self._flat(grid.value(answer)[0]), tuple(reads(answer))
        outer_before, outer_after = ([self._column([grid.value(f)])[0][0] for f in side]
                                     for side in (family.before, family.after))
        column = [*outer_before, shown.reshape(self.shape), won.reshape(self.shape), *outer_after]
        product = column[0]
        for factor in column[1:]:
            product = product * factor
        self.columns.append(column)
        around = (r for f in (*family.before, *family.after) for r in reads(f))
        self.looked.append(tuple(dict.fromkeys((*reads(family.body), *answer_reads, *around))))
        self._settle(np.where(won.reshape(self.shape) == 0, 0.0, product), present)

    def _column(self, found: list[tuple[Any, Any]]) -> tuple[list[Any], Any]:
        """The factors, 0 where they are nothing, and where their product is something."""
        column, inside = [], None
        for value, present in found:
            value = value if present is None else np.where(present, value, 0.0)
            column.append(np.asarray(value, np.float64)[()])
            inside = both(inside, present)
        return column, inside

    def _settle(self, values: Any, inside: Any) -> None:
        self.inside = None if inside is None else self._flat(inside).astype(bool)
        self.values = self._flat(values) if self.inside is None else np.where(self.inside, self._flat(values), 0.0)

    def _flat(self, values: Any) -> np.ndarray:
        return np.broadcast_to(np.asarray(values), self.shape).reshape(-1)

    def rows(self, flat: np.ndarray) -> Iterator[tuple[list[float], list[tuple[str, tuple[int, ...], float, bool]], dict[str, int]]]:
        """(factors, cells read, letters) of the terms with these numbers."""
        where = np.unravel_index(flat, self.shape) if self.shape else ()
        letters = dict(zip(self.family.letters, where, strict=True))
        size = len(flat)
        taken = np.broadcast_to(self.taken, self.shape)[where].tolist() if np.ndim(self.taken) else [int(self.taken)] * size
        grid = Grid(self.tensors, {}, {**self.at, **letters})
        factors, cells = {}, {}
        for case in set(taken):
            factors[case] = list(zip(*(self._picked(f, where, size) for f in self.columns[case]), strict=True))
            cells[case] = list(zip(*(self._cells(grid, r, size) for r in self.looked[case]), strict=True)) or [()] * size
        at = list(zip(*(w.tolist() for w in where), strict=True)) or [()] * size
        for row, case in enumerate(taken):
            yield list(factors[case][row]), list(cells[case][row]), dict(zip(self.family.letters, at[row], strict=True))

    def _picked(self, factor: Any, where: tuple, size: int) -> list[float]:
        if not np.ndim(factor):
            return [float(factor)] * size
        return np.broadcast_to(factor, self.shape)[where].tolist()

    def _cells(self, grid: Grid, read: Access, size: int) -> list[tuple[str, tuple[int, ...], float, bool]]:
        values, present = grid.value(read)
        missing = read.tensor in self.tensors.program.optional and read.tensor not in self.tensors
        where = () if missing else grid.position(read)[0]

        def spread(a: Any) -> list:
            return a.tolist() if np.ndim(a) else [a.item() if isinstance(a, np.generic) else a] * size

        index = list(zip(*map(spread, where), strict=True)) or [()] * size
        inside = spread(True if present is None else present)
        return [(read.tensor, i, float(v), bool(p)) for i, v, p in zip(index, spread(values), inside, strict=True)]


class _Ledger:
    """The terms of all families, numbered one after the other."""

    def __init__(self, families: list[_Evaluated]) -> None:
        self.families = families
        self.starts = np.cumsum([0, *(f.count for f in families)]).tolist()
        self.values = families[0].values if len(families) == 1 else np.concatenate([f.values for f in families])
        reducing = [f for f in families if f.shape]
        many = [(x, n) for x, n in zip(reducing[0].family.letters, reducing[0].shape, strict=True) if n > 1] if reducing else []
        self.letter = many[0][0] if len(many) > 1 else None

    def listed(self, outside: bool) -> np.ndarray:
        """The numbers of the terms to list."""
        if outside or all(f.inside is None for f in self.families):
            return np.arange(self.starts[-1])
        return np.flatnonzero(np.concatenate([np.ones(f.count, bool) if f.inside is None else f.inside for f in self.families]))

    def _grouped(self) -> list[tuple[_Evaluated, int, int]]:
        """(family, its start, axis of the group's letter) of the families that run over it."""
        return [(f, start, f.family.letters.index(self.letter)) for f, start in zip(self.families, self.starts, strict=False)
                if self.letter in f.family.letters]

    def groups(self, listed: np.ndarray, outside: bool) -> list[Group]:
        if self.letter is None:
            return []
        grouped = self._grouped()
        size = grouped[0][0].shape[grouped[0][2]]
        totals, counts = np.zeros(size), np.zeros(size, np.int64)
        for f, _, axis in grouped:
            totals += np.moveaxis(f.values.reshape(f.shape), axis, 0).reshape(size, -1).sum(1)
            counts += f.count // size if outside or f.inside is None else np.moveaxis(
                f.inside.reshape(f.shape), axis, 0).reshape(size, -1).sum(1)
        f, start, axis = grouped[0]
        block = math.prod(f.shape[axis + 1:])
        firsts = np.searchsorted(listed, start + block * np.arange(size))
        return [Group(str(self.letter), k, *row) for k, row in enumerate(
            zip(totals.tolist(), counts.tolist(), firsts.tolist(), strict=True))]

    def within(self, listed: np.ndarray, group: int, groups: list[Group]) -> np.ndarray:
        """The listed terms of one group."""
        if not 0 <= group < len(groups):
            raise FormulaError(f"there are {len(groups)} groups, numbered from 0; got group {group}")
        member = np.zeros(self.starts[-1], bool)
        for f, start, axis in self._grouped():
            np.moveaxis(member[start:start + f.count].reshape(f.shape), axis, 0)[group] = True
        return listed[member[listed]]

    def terms(self, shown: np.ndarray) -> tuple[list[Term], list[Read]]:
        """The terms with these numbers, and the cells they read, each once."""
        family_of = np.searchsorted(self.starts, shown, side="right") - 1
        rows: dict[int, Any] = {}
        for number in dict.fromkeys(family_of.tolist()):
            mine = np.flatnonzero(family_of == number)
            for position, row in zip(mine.tolist(), self.families[number].rows(shown[mine] - self.starts[number]), strict=True):
                rows[position] = (number, *row)
        labels = _labels([f.family for f in self.families])
        seen: dict[tuple, int] = {}
        cells: list[Read] = []
        terms = []
        for position, number in enumerate(shown.tolist()):
            family, factors, looked, at = rows[position]
            where = []
            for cell in looked:
                key = (cell[0], cell[1], cell[3])
                if key not in seen:
                    seen[key] = len(cells)
                    cells.append(Read(*cell))
                where.append(seen[key])
            terms.append(Term(where, factors, float(self.values[number]), at, family, labels[family]))
        return terms, cells


def _labels(families: list[_Family]) -> list[str]:
    """A word for every family that is a lone read beside a sum."""
    summed = any(f.reducer for f in families)
    words = {"b": "bias", "beta": "bias"}
    return [words.get(f.body.tensor, f.body.tensor)
            if summed and isinstance(f.body, Access) and not (f.reducer or f.before or f.after) else "" for f in families]


def _element(tensors: Tensors, expr: Expr, bound: tuple[str, ...], at: dict[str, int]) -> float:
    """One element, where the tensor is not stored."""
    values, present = Grid(tensors, {x: tensors.count(x) for x in bound}, at).value(expr)
    return float(np.asarray(values).reshape(-1)[0]) if present is None or np.all(present) else 0.0


def _largest_first(numbers: np.ndarray, values: np.ndarray, wanted: int) -> np.ndarray:
    """The first `wanted` by size, descending; equal ones stay in index order."""
    size = np.abs(values[numbers])
    if wanted < len(size):
        least = np.partition(size, len(size) - wanted)[len(size) - wanted]
        near = np.flatnonzero(~(size < least))
        numbers, size = numbers[near], size[near]
    return numbers[np.argsort(-size, kind="stable")]


def _total(values: Any) -> float:
    values = np.asarray(values)
    try:
        return math.fsum(values[values != 0].tolist())
    except (ValueError, OverflowError):
        with np.errstate(all="ignore"):
            return float(np.sum(values))


def _difference(value: float, total: float) -> float:
    return 0.0 if value == total else value - total
