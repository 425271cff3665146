"""Subscripts as linear forms: turned round for a letter, or with their numbers put in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.formula.nodes import (
    ONE,
    ZERO,
    Expr,
    FormulaError,
    Letter,
    Name,
    Neg,
    Num,
    Product,
    Quotient,
    Read,
    Sum,
    letters_of,
)
from engine.formula.simplify import negative, product, total


def split(expr: Expr, letter: str) -> tuple[Expr, Expr]:
    """(a, b) with expr = a*letter + b, both free of the letter. `expr` is a valid subscript."""
    match expr:
        case Letter(name) if name == letter:
            return ONE, ZERO
        case _ if letter not in letters_of(expr):
            return ZERO, expr
        case Sum(parts):
            pairs = [split(part, letter) for part in parts]
            return total(a for a, _ in pairs), total(b for _, b in pairs)
        case Neg(of):
            a, b = split(of, letter)
            return negative(a), negative(b)
        case Product(factors):
            rest = [f for f in factors if letter not in letters_of(f)]
            (inner,) = (f for f in factors if letter in letters_of(f))
            a, b = split(inner, letter)
            return product([*rest, a]), product([*rest, b])
        case Quotient(over, under):
            a, b = split(over, letter)
            return product([a], [under]), product([b], [under])
    raise FormulaError(f"{letter!r} does not stand linearly in a subscript")


def solve(sub: Expr, letter: str, target: Expr) -> Expr:
    """The value of `letter` at which the subscript equals `target`: of s*i+u-p == h, i = (h+p-u)/s."""
    if isinstance(sub, Quotient):
        target, sub = product([sub.under, target]), sub.over
    a, b = split(sub, letter)
    if isinstance(a, Neg) or (isinstance(a, Num) and a.value < 0):
        return product([_ordered([b, negative(target)])], [negative(a)])
    return product([_ordered([target, negative(b)])], [a])


def _ordered(parts: list[Expr]) -> Expr:
    """Their sum, what is added before what is taken away."""
    expr = total(parts)
    if not isinstance(expr, Sum):
        return expr
    return Sum(tuple(sorted(expr.parts, key=lambda p: isinstance(p, Neg))))


@dataclass(frozen=True)
class Affine:
    """(offset + sum of coefficient * letter) / pitch, whole numbers in lowest terms, pitch > 0."""

    offset: int = 0
    letters: dict[str, int] = field(default_factory=dict)
    pitch: int = 1

    def scaled(self, over: int, under: int = 1) -> Affine:
        if under == 0:
            raise FormulaError("a subscript is divided by 0")
        sign = -1 if under < 0 else 1
        letters = {x: k * over * sign for x, k in self.letters.items() if k * over}
        return _lowest(self.offset * over * sign, letters, self.pitch * abs(under))

    def plus(self, other: Affine) -> Affine:
        pitch = math.lcm(self.pitch, other.pitch)
        mine, theirs = pitch // self.pitch, pitch // other.pitch
        letters = {x: k * mine for x, k in self.letters.items()}
        for x, k in other.letters.items():
            letters[x] = letters.get(x, 0) + k * theirs
        return _lowest(self.offset * mine + other.offset * theirs, {x: k for x, k in letters.items() if k}, pitch)

    def expr(self) -> Expr:
        """Written as a person would: letters before the number, what is added before what is taken away."""
        parts = sorted((_signed(k, Letter(x)) for x, k in self.letters.items()), key=lambda p: isinstance(p, Neg))
        if self.offset > 0 and parts and isinstance(parts[0], Neg):
            parts.insert(0, Num(self.offset))
        elif self.offset:
            parts.append(_signed(self.offset, ONE))
        over = ZERO if not parts else parts[0] if len(parts) == 1 else Sum(tuple(parts))
        return over if self.pitch == 1 else Quotient(over, Num(self.pitch))


def _signed(count: int, unit: Expr) -> Expr:
    expr = product([Num(abs(count)), unit])
    return Neg(expr) if count < 0 else expr


def _lowest(offset: int, letters: dict[str, int], pitch: int) -> Affine:
    common = math.gcd(offset, pitch, *letters.values())
    return Affine(offset // common, {x: k // common for x, k in letters.items()}, pitch // common)


def affine(expr: Expr, numbers: Mapping[str, float]) -> Affine | None:
    """A subscript with its numbers put in; None when a number is not known or it reads a tensor."""
    match expr:
        case Letter(name):
            return Affine(0, {name: 1})
        case Num(value):
            return Affine(int(value))
        case Name(name):
            return whole(name, numbers[name]) if name in numbers else None
        case Read():
            return None
        case Neg(of):
            inner = affine(of, numbers)
            return inner and inner.scaled(-1)
        case Sum(parts):
            result = Affine()
            for part in parts:
                inner = affine(part, numbers)
                if inner is None:
                    return None
                result = result.plus(inner)
            return result
        case Product(factors):
            forms = [affine(f, numbers) for f in factors]
            result = Affine(1)
            for form in sorted((f for f in forms if f), key=lambda f: bool(f.letters)):
                result = form.scaled(result.offset, result.pitch)
            return None if None in forms else result
        case Quotient(over, under):
            top, bottom = affine(over, numbers), affine(under, numbers)
            return None if top is None or bottom is None else top.scaled(bottom.pitch, bottom.offset)
    raise FormulaError("a subscript is a sum of letters times whole numbers, perhaps over a number")


def whole(name: str, value: float) -> Affine:
    if not float(value).is_integer():
        raise FormulaError(f"{name} stands in a subscript and must be a whole number, got {value}")
    return Affine(int(value))
