"""A sentence taken apart into the summands that an explanation lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.formula.nodes import ONE, Choice, Expr, Neg, Num, Product, Quotient, Read, Reduce, Sum, reduces


@dataclass(frozen=True)
class Summand:
    """One summand: the factors before its reducer, the reducer, its body, the factors after."""

    before: tuple[Expr, ...]
    reducer: Reduce | None
    body: Expr
    after: tuple[Expr, ...]

    @property
    def letters(self) -> tuple[str, ...]:
        return self.reducer.letters if self.reducer else ()


def summands(expr: Expr, before: tuple[Expr, ...] = (), after: tuple[Expr, ...] = ()) -> Iterator[Summand]:
    """The summands of a sentence's right side, in order."""
    match expr:
        case Sum(parts):
            for part in parts:
                yield from summands(part, before, after)
        case Neg(Sum() as inner) if not reduces(inner):
            yield Summand((Num(-1), *before), None, inner, after)
        case Neg(of):
            yield from summands(of, (Num(-1), *before), after)
        case Reduce(_, _, body, _):
            yield Summand(before, expr, body, after)
        case Product(factors) if reduces(expr):
            k = next(k for k, f in enumerate(factors) if reduces(f))
            yield from summands(factors[k], (*before, *factors[:k]), (*factors[k + 1 :], *after))
        case Quotient(over, under) if reduces(over):
            yield from summands(over, before, (Quotient(ONE, under), *after))
        case _:
            yield Summand(before, None, expr, after)


def factors_of(expr: Expr) -> tuple[Expr, ...]:
    """A product's factors; a divisor as the factor 1/divisor, a sign as the factor -1."""
    match expr:
        case Neg(of):
            return (Num(-1), *factors_of(of))
        case Product(factors):
            return tuple(f for factor in factors for f in factors_of(factor))
        case Quotient(over, under):
            return (*(() if over == ONE else factors_of(over)), Quotient(ONE, under))
    return (expr,)


def cases_of(expr: Expr) -> list[tuple[Expr | None, Expr]]:
    """The branches of a choice with their tests; the last has none."""
    match expr:
        case Choice(then, test, other):
            return [(test, then), *cases_of(other)]
    return [(None, expr)]


def labels(found: list[Summand]) -> list[str]:
    """For every summand a word, where it is a single read beside a sum ("bias"), else ""."""
    summed = any(f.reducer for f in found)
    words = {"b": "bias", "beta": "bias"}
    return [
        words.get(f.body.tensor, f.body.tensor)
        if summed and isinstance(f.body, Read) and not (f.reducer or f.before or f.after)
        else ""
        for f in found
    ]
