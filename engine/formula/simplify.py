"""Expressions written as a person would: signs, numbers, equal factors and equal terms gathered.

Only what holds for every value is done. A setting cancels against itself; a read may be 0 and never cancels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from engine.formula.nodes import ONE, ZERO, Choice, Expr, Name, Neg, Num, Power, Product, Quotient, Reduce, Sum, rebuild


def simplify(expr: Expr) -> Expr:
    """The expression with every sum, product, quotient and power built anew by the functions below."""
    expr = rebuild(expr, simplify)
    match expr:
        case Sum(parts):
            return total(parts)
        case Product(factors):
            return product(factors)
        case Quotient(a, b):
            return product([a], [b])
        case Neg(of):
            return negative(of)
        case Power(a, b):
            return power(a, b)
        case Reduce("sum", letters, body):
            return reduced(letters, body)
        case Choice(then, _, other) if then == other:
            return then
    return expr


def negative(expr: Expr) -> Expr:
    match expr:
        case Neg(of):
            return of
        case Num(value):
            return Num(-value)
    return Neg(expr)


def total(parts: Iterable[Expr]) -> Expr:
    """The sum of the parts, nested sums opened, numbers added up, equal parts counted."""
    constant, place = 0.0, None
    count: dict[Expr, int] = {}
    for part in _opened(parts, 1):
        sign, bare = (-1, part.of) if isinstance(part, Neg) else (1, part)
        if isinstance(bare, Num):
            constant, place = constant + sign * bare.value, len(count) if place is None else place
        else:
            times, unit = _counted(bare)
            count[unit] = count.get(unit, 0) + sign * times
    gathered = [product([Num(k), p]) for p, k in count.items()]
    written = [p for p, k in zip(gathered, count.values(), strict=True) if k]
    if constant:
        number = Neg(Num(-constant)) if constant < 0 else Num(constant)
        written.insert(min(place or 0, len(written)), number)
    if not written:
        return ZERO
    if isinstance(written[0], Neg):
        written.sort(key=lambda p: isinstance(p, Neg))
    if len(written) > 1:
        return Sum(tuple(written))
    return negative(written[0].of) if isinstance(written[0], Neg) else written[0]


def _opened(parts: Iterable[Expr], sign: int) -> Iterable[Expr]:
    for part in parts:
        match part:
            case Sum(inner):
                yield from _opened(inner, sign)
            case Neg(Sum(inner)):
                yield from _opened(inner, -sign)
            case _:
                yield part if sign > 0 else negative(part)


def _counted(part: Expr) -> tuple[int, Expr]:
    """2*a*b as 2 and a*b."""
    match part:
        case Product((Num(value), *rest)) if float(value).is_integer():
            return int(value), rest[0] if len(rest) == 1 else Product(tuple(rest))
    return 1, part


def product(over: Iterable[Expr], under: Iterable[Expr] = ()) -> Expr:
    """The product of `over` divided by the product of `under`: one sign, whole numbers in lowest terms in
    front, powers of one base gathered, settings cancelled."""
    sign, numbers = 1, [1, 1]
    sides: tuple[list[Expr], list[Expr]] = ([], [])

    def take(expr: Expr, side: int) -> None:
        nonlocal sign
        match expr:
            case Neg(of):
                sign = -sign
                take(of, side)
            case Product(factors):
                for factor in factors:
                    take(factor, side)
            case Quotient(a, b):
                take(a, side)
                take(b, 1 - side)
            case Num(value) if float(value).is_integer() and (value or side == 0):
                numbers[side] *= int(value)
            case _:
                sides[side].append(expr)

    for side, exprs in enumerate((over, under)):
        for expr in exprs:
            take(expr, side)
    if numbers[0] == 0:
        return ZERO
    if numbers[0] * numbers[1] < 0:
        sign = -sign
    common = math.gcd(*numbers)
    front = [abs(n) // common for n in numbers]
    a, b = _cancelled(_gathered(sides[0]), _gathered(sides[1]))
    top, bottom = _row(front[0], a), _row(front[1], b)
    expr = top if bottom == ONE else Quotient(top, bottom)
    return negative(expr) if sign < 0 else expr


def _row(front: int, factors: list[Expr]) -> Expr:
    row = [Num(front)] * (front != 1) + factors
    return ONE if not row else row[0] if len(row) == 1 else Product(tuple(row))


def _gathered(factors: list[Expr]) -> list[Expr]:
    """x * x**2 as x**3, for exponents that are written numbers."""
    numbers: list[Expr] = [f for f in factors if isinstance(f, Num)]
    exponents: dict[Expr, float] = {}
    for f in factors:
        match f:
            case Num():
                continue
            case Power(base, Num(exponent)) if exponent > 0:
                exponents[base] = exponents.get(base, 0) + exponent
            case _:
                exponents[f] = exponents.get(f, 0) + 1
    return numbers + [power(base, Num(exponent)) for base, exponent in exponents.items()]


def _cancelled(over: list[Expr], under: list[Expr]) -> tuple[list[Expr], list[Expr]]:
    common = {e for e in over if isinstance(e, Name) and e in under}
    return [e for e in over if e not in common], [e for e in under if e not in common]


def power(base: Expr, exponent: Expr) -> Expr:
    if exponent == ONE:
        return base
    if exponent == ZERO:
        return ONE
    return Power(base, exponent)


def reduced(letters: tuple[str, ...], body: Expr) -> Expr:
    """The sum of the body over the letters, its sign in front."""
    if not letters or body == ZERO:
        return body
    if isinstance(body, Neg):
        return Neg(reduced(letters, body.of))
    return Reduce("sum", letters, body)
