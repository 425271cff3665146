"""Sums of products fast: each factor over its own letters alone, then one contraction.

`evaluate` lays every factor out over the whole grid of letters, which is right for any sentence and slow for large
ones. No factor of a sum of products needs more than the letters that stand in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from engine.formula.evaluate import GRID_LIMIT, Grid, Tensors, evaluate
from engine.formula.nodes import Expr, FormulaError, Product, Quotient, Reduce, Sentence, letters_of
from engine.formula.text import sentence_text


def contract(tensors: Tensors, sentence: Sentence) -> np.ndarray:
    """The whole tensor that a sentence says, float64, as `evaluate` has it but for rounding: added up in an order of
    its own that is always the same. FormulaError where a factor has more than GRID_LIMIT elements."""
    found = _sum_of_products(sentence.expr)
    if found is None:
        return evaluate(tensors, sentence)
    factors, divisors = found
    letters = (*sentence.free, *sentence.bound)
    number = {letter: k for k, letter in enumerate(letters)}
    operands: list[object] = []
    for factor in factors:
        own = [letter for letter in letters if letter in letters_of(factor)]
        counts = {letter: tensors.count(letter) for letter in own}
        if math.prod(counts.values()) > GRID_LIMIT:
            raise FormulaError(f"{sentence_text(sentence)!r}: a factor has more than {GRID_LIMIT} elements")
        values, present = Grid(tensors, counts).value(factor)
        whole = values if present is None else np.where(present, values, 0.0)
        operands += [np.broadcast_to(np.asarray(whole, np.float64), tuple(counts.values())), [number[x] for x in own]]
    unread = [letter for letter in letters if not any(letter in letters_of(factor) for factor in factors)]
    operands += [np.ones([tensors.count(letter) for letter in unread]), [number[letter] for letter in unread]]
    total = np.einsum(*operands, [number[letter] for letter in sentence.free])  # type: ignore[call-overload]
    for divisor in divisors:
        total = total / Grid(tensors, {}).value(divisor)[0]
    return np.asarray(total).reshape(tensors.shape(sentence.name))


def work(tensors: Tensors, sentence: Sentence) -> tuple[int, int]:
    """(multiply-adds, elements of the largest array) that `contract` takes."""
    found = _sum_of_products(sentence.expr)
    letters = (*sentence.free, *sentence.bound)
    every = _elements(tensors, letters)
    if found is None:
        return every, every
    return len(found[0]) * every, max(_elements(tensors, letters_of(factor)) for factor in found[0])


def _elements(tensors: Tensors, letters: Iterable[str]) -> int:
    return math.prod(tensors.count(letter) for letter in letters)


def _sum_of_products(expr: Expr) -> tuple[list[Expr], list[Expr]] | None:
    """The factors and the divisors of a sum of products; None for any other sentence."""
    divisors: list[Expr] = []
    while isinstance(expr, Quotient) and not letters_of(expr.under):
        divisors.append(expr.under)
        expr = expr.over
    if not isinstance(expr, Reduce) or expr.kind != "sum":
        return None
    factors, left = [], [expr.body]
    while left:
        part = left.pop(0)
        if isinstance(part, Product):
            left = [*part.factors, *left]
        elif isinstance(part, Quotient) and not letters_of(part.under):
            divisors.append(part.under)
            left = [part.over, *left]
        else:
            factors.append(part)
    return factors, divisors
