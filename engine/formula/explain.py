"""Why a number is what it is: its terms, their factors, the cells they read, page by page."""

from __future__ import annotations

import math
from itertools import chain

import numpy as np

from engine.formula.evaluate import Grid, Tensors
from engine.formula.explanation import Explanation
from engine.formula.nodes import Expr, FormulaError, Reduce, TooManyTerms
from engine.formula.summands import summands
from engine.formula.terms import Ledger

#: Numbers that are added up between two chances for other threads to run.
PIECE = 65_536


def explain(
    tensors: Tensors,
    name: str,
    index: tuple[int, ...],
    *,
    page: int = 0,
    per_page: int = 20,
    order: str = "index",
    group: int | None = None,
    outside: bool = True,
    most: int | None = None,
) -> Explanation:
    """The explanation of `name` at `index`, one page of `per_page` terms.

    order: "index" (first letter slowest) or "largest" (by size, descending). group: only the terms of this
    group. outside=False leaves out the terms that read outside. The value is the stored one; where nothing is
    stored, what the sentence gives.
    Raises FormulaError for an unknown tensor, an index outside, a page or group that is not there, TooManyTerms where
    the sentence's bound letters count more than `most` cells together.
    """
    program = tensors.program
    sentence = program.substituted(name, {**tensors.sizes, **tensors.numbers})
    at = tensors.place(name, index)
    count = math.prod(tensors.count(letter) for letter in sentence.bound)
    if most is not None and count > most:
        raise TooManyTerms(f"{name} at {index} is made of {count} terms; at most {most} are evaluated", most)
    found = program.kept(("summands", id(sentence)), lambda: (sentence, list(summands(sentence.expr))))[1]
    ledger = Ledger(tensors, found, at)

    listed = ledger.listed(outside)
    groups = ledger.groups(listed, outside)
    chosen = listed if group is None else ledger.within(listed, group, len(groups))
    pages = max(1, math.ceil(len(chosen) / per_page))
    if not 0 <= page < pages:
        raise FormulaError(f"{name} at {index} has {pages} pages of {per_page} terms, numbered from 0; got page {page}")
    if order == "largest":
        chosen = _largest_first(chosen, ledger.values, (page + 1) * per_page)
    elif order != "index":
        raise FormulaError(f"order is 'index' or 'largest', got {order!r}")
    terms, cells = ledger.terms(chosen[page * per_page : (page + 1) * per_page])

    value = float(tensors[name][index]) if name in tensors else _element(tensors, sentence.expr, sentence.bound, at)
    rounding = _difference(value, _total(ledger.values[ledger.values != 0]))
    return Explanation(
        value=value,
        equation=program.equation(name, tensors.numbers, tensors.sizes),
        sentence=program.sentence(name),
        reads=cells,
        terms=terms,
        terms_total=len(listed),
        page=page,
        pages=pages,
        page_sum=_total(np.array([term.value for term in terms])),
        remainder=rounding,
        groups=groups,
        largest=isinstance(sentence.expr, Reduce) and sentence.expr.kind == "max",
    )


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


def _total(values: np.ndarray) -> float:
    """The sum, rounded once; what IEEE arithmetic says where there are infinities."""
    pieces = (values[start : start + PIECE].tolist() for start in range(0, len(values), PIECE))
    try:
        return math.fsum(chain.from_iterable(pieces))
    except (ValueError, OverflowError):
        return sum(values.tolist())


def _difference(value: float, total: float) -> float:
    return 0.0 if value == total else value - total
