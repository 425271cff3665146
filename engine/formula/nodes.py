"""The tree of a sentence: small immutable nodes, and the few ways to walk them.

Nodes are frozen, so trees may share branches and a rewriting never edits what somebody else holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass


class FormulaError(ValueError):
    """A sentence, or what it was given, is wrong; the message says where and what was expected."""


class TooManyTerms(FormulaError):
    """A number is made of more terms than the `most` that are evaluated."""

    def __init__(self, message: str, most: int) -> None:
        super().__init__(message)
        self.most = most


@dataclass(frozen=True, slots=True)
class Expr:
    """An expression."""


@dataclass(frozen=True, slots=True)
class Num(Expr):
    """A number written out."""

    value: float


@dataclass(frozen=True, slots=True)
class Name(Expr):
    """A number known by name: a setting (``s``), or how many a letter counts (``U``)."""

    id: str


@dataclass(frozen=True, slots=True)
class Letter(Expr):
    """An index letter."""

    id: str


@dataclass(frozen=True, slots=True)
class Read(Expr):
    """One cell of a tensor; each subscript is the tuple of its parts, of which ``g|c`` has two."""

    tensor: str
    subs: tuple[tuple[Expr, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Sum(Expr):
    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Neg(Expr):
    of: Expr


@dataclass(frozen=True, slots=True)
class Product(Expr):
    factors: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Quotient(Expr):
    over: Expr
    under: Expr


@dataclass(frozen=True, slots=True)
class Power(Expr):
    base: Expr
    exponent: Expr


@dataclass(frozen=True, slots=True)
class Compare(Expr):
    """A chain ``a < b <= c``: 1 where it holds, else 0 (an Iverson bracket)."""

    parts: tuple[Expr, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice(Expr):
    """``then if test else other``."""

    then: Expr
    test: Expr
    other: Expr


@dataclass(frozen=True, slots=True)
class Call(Expr):
    function: str
    of: Expr


@dataclass(frozen=True, slots=True)
class Reduce(Expr):
    """``sum[letters](body)``, ``max[letters](body)`` or ``argmax[letters](body, answer)``."""

    kind: str
    letters: tuple[str, ...]
    body: Expr
    answer: Expr | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """``name[axes] = expr``; each axis is the tuple of its letters, of which ``g|o`` has two."""

    name: str
    axes: tuple[tuple[str, ...], ...]
    expr: Expr

    @property
    def free(self) -> tuple[str, ...]:
        """The letters of the left side, in order."""
        return tuple(letter for axis in self.axes for letter in axis)

    @property
    def bound(self) -> tuple[str, ...]:
        """The letters of the reducers, in order, each once."""
        reducers = (e for e in walk(self.expr) if isinstance(e, Reduce))
        return tuple(dict.fromkeys(letter for e in reducers for letter in e.letters))


ZERO, ONE = Num(0), Num(1)


def children(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside, in reading order."""
    match expr:
        case Sum(parts) | Compare(parts):
            return parts
        case Product(factors):
            return factors
        case Neg(of) | Call(_, of):
            return (of,)
        case Quotient(a, b) | Power(a, b):
            return (a, b)
        case Choice(then, test, other):
            return (then, test, other)
        case Reduce(_, _, body, answer):
            return (body,) if answer is None else (body, answer)
        case Read(_, subs):
            return tuple(part for axis in subs for part in axis)
    return ()


def rebuild(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The same node over changed children."""
    match expr:
        case Sum(parts):
            return Sum(tuple(map(change, parts)))
        case Product(factors):
            return Product(tuple(map(change, factors)))
        case Compare(parts, signs):
            return Compare(tuple(map(change, parts)), signs)
        case Neg(of):
            return Neg(change(of))
        case Call(function, of):
            return Call(function, change(of))
        case Quotient(a, b):
            return Quotient(change(a), change(b))
        case Power(a, b):
            return Power(change(a), change(b))
        case Choice(then, test, other):
            return Choice(change(then), change(test), change(other))
        case Reduce(kind, letters, body, answer):
            return Reduce(kind, letters, change(body), None if answer is None else change(answer))
        case Read(tensor, subs):
            return Read(tensor, tuple(tuple(map(change, axis)) for axis in subs))
    return expr


def walk(expr: Expr) -> Iterator[Expr]:
    """Every node, in reading order, the whole before its parts."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def reads(expr: Expr) -> Iterator[Read]:
    return (e for e in walk(expr) if isinstance(e, Read))


def reduces(expr: Expr) -> bool:
    """Whether a reducer stands in an expression."""
    return any(isinstance(e, Reduce) for e in walk(expr))


def letters_of(expr: Expr) -> set[str]:
    """The letters standing in an expression (those of its reducers too)."""
    return {e.id for e in walk(expr) if isinstance(e, Letter)}


def replace(expr: Expr, by: Mapping[Expr, Expr]) -> Expr:
    """Every subtree that equals a key, replaced; what is put in is not searched again."""
    if not by:
        return expr
    found = by.get(expr)
    return found if found is not None else rebuild(expr, lambda e: replace(e, by))


def rename(expr: Expr, letters: Mapping[str, str]) -> Expr:
    """The expression with other letters, those of its reducers included."""
    if isinstance(expr, Letter):
        return Letter(letters.get(expr.id, expr.id))
    if isinstance(expr, Reduce):
        expr = Reduce(expr.kind, tuple(letters.get(x, x) for x in expr.letters), expr.body, expr.answer)
    return rebuild(expr, lambda e: rename(e, letters))
