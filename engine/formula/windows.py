"""How every read of a sentence moves with the sentence's letters, in whole numbers: all a drawing needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.formula.affine import Affine, affine
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
    children,
    reads,
    walk,
)
from engine.formula.sentence import Axes
from engine.formula.substitute import GROUP
from engine.formula.text import sentence_text

ROLES = ("factor", "divisor", "inside", "test")
"""How a read takes part, most telling first: multiplied; divided by; inside a function or a power;
in a comparison, in a choice's test or as a subscript."""


@dataclass(frozen=True)
class Axis:
    """position = (offset + sum of coefficient * letter) / pitch; a cell is read only where that is whole."""

    pitch: int
    offset: int
    letters: dict[str, int]


@dataclass(frozen=True)
class Window:
    """One read: the tensor, its axes (None where the subscript is itself a read), its role, and what joins it to the
    reads before it: + or − where a new term of the sentence begins, × or ÷ within one."""

    tensor: str
    axes: tuple[Axis | None, ...]
    role: str
    joint: str


@dataclass(frozen=True)
class Scatter:
    """A sum seen from one cell that it reads: the cells that this one adds to, each time times a cell of the factor.

    axes: which cell it is, by the letters in `free`, its own alone. bound: the letters that run over what it adds to.
    target: the axes of the tensor that the sum writes. factor: the tensor that it is multiplied by; stamp: its axes.
    """

    free: tuple[str, ...]
    bound: tuple[str, ...]
    axes: tuple[Axis, ...]
    target: tuple[Axis, ...]
    factor: str
    stamp: tuple[Axis, ...]


def scatter(
    sentence: Sentence, target: str, declared: Mapping[str, Axes], numbers: Mapping[str, float]
) -> Scatter | None:
    """How the cells of the tensor that `sentence` indexes add to `target`, which it reads: the sentence y = sum(x * w)
    read by its own cells says where each delta of y goes in dx. None where the target is not one of two factors."""
    parts = sentence.expr.parts if isinstance(sentence.expr, Sum) else (sentence.expr,)
    found = [part for part in parts if any(read.tensor == target for read in reads(part))]
    match found:
        case [Reduce("sum", bound, Product((Read() as first, Read() as second)))] if first.tensor != second.tensor:
            own, factor = (first, second) if first.tensor == target else (second, first)
        case _:
            return None
    axes = [
        [axis for axis in _axes(sentence, declared, read, numbers) if axis is not None]
        for read in (Read(sentence.name, _letters(sentence.axes)), own, factor)
    ]
    if [len(each) for each in axes] != [len(each) for each in (sentence.axes, own.subs, factor.subs)]:
        return None
    cell, to, by = (tuple(each) for each in axes)
    return Scatter(sentence.free, bound, cell, to, factor.tensor, by)


def _letters(axes: Axes) -> tuple[tuple[Expr, ...], ...]:
    return tuple(tuple(Letter(letter) for letter in axis) for axis in axes)


def windows(sentence: Sentence, declared: Mapping[str, Axes], numbers: Mapping[str, float]) -> list[Window]:
    """The windows of a sentence in reading order, each read once under its most telling role. declared: the axes of
    every tensor of its program."""
    found: dict[Read, tuple[str, str]] = {}
    expr = sentence.expr
    for term in expr.parts if isinstance(expr, Sum) else (expr,):
        joint = "−" if isinstance(term, Neg) else "+"
        for read, role in _roles(term, "factor"):
            if read not in found:
                found[read] = role, joint or ("÷" if role == "divisor" else "×")
                joint = ""
            elif ROLES.index(role) < ROLES.index(found[read][0]):
                found[read] = role, found[read][1]
    return [Window(read.tensor, _axes(sentence, declared, read, numbers), *how) for read, how in found.items()]


def divisor(expr: Expr) -> float | None:
    """The number by which a sum, or each of its terms, is divided; None where it is not, or by no plain number."""
    match expr:
        case Neg(of):
            found = divisor(of)
            return None if found is None else -found
        case Quotient(_, Num(value)):
            return value
        case Reduce("sum", _, body):
            return divisor(body)
    return None


def _axes(
    sentence: Sentence, declared: Mapping[str, Axes], read: Read, numbers: Mapping[str, float]
) -> tuple[Axis | None, ...]:
    return tuple(
        _axis(sentence, read, letters, subs, numbers)
        for letters, subs in zip(declared[read.tensor], read.subs, strict=True)
    )


def _roles(expr: Expr, role: str) -> Iterator[tuple[Read, str]]:
    match expr:
        case Read(_, subs):
            yield expr, role
            for axis in subs:
                for sub in axis:
                    yield from _roles(sub, "test")
        case Quotient(over, under):
            yield from _roles(over, role)
            yield from _roles(under, "divisor" if role == "factor" else role)
        case Compare(parts):
            for part in parts:
                yield from _roles(part, "test")
        case Choice(then, test, other):
            yield from _roles(then, role)
            yield from _roles(test, "test")
            yield from _roles(other, role)
        case Call(_, of):
            yield from _roles(of, "inside" if role == "factor" else role)
        case Power(base, exponent):
            yield from _roles(base, "inside" if role == "factor" else role)
            yield from _roles(exponent, "inside" if role == "factor" else role)
        case Reduce("argmax", _, body, answer):
            yield from _roles(body, role)
            if answer is not None:
                yield from _roles(answer, "test")
        case _:
            for part in children(expr):
                yield from _roles(part, role)


def _axis(
    sentence: Sentence,
    read: Read,
    letters: tuple[str, ...],
    subs: tuple[Expr, ...],
    numbers: Mapping[str, float],
) -> Axis | None:
    if any(isinstance(sub, Read) for sub in subs):
        return None
    whole = Affine()
    for k, (letter, sub) in enumerate(zip(letters, subs, strict=True)):
        if k == 0 and len(subs) > 1 and sub == Letter(GROUP) and numbers.get(GROUP.upper()) == 1:
            continue
        if whole != Affine():
            whole = whole.scaled(_count(sentence, letter, numbers))
        form = affine(sub, numbers)
        if form is None:
            missing = next(e.id for e in walk(sub) if isinstance(e, Name) and e.id not in numbers)
            raise FormulaError(
                f"the window of {read.tensor} in {sentence_text(sentence)!r} needs the number {missing!r}"
            )
        whole = whole.plus(form)
    return Axis(whole.pitch, whole.offset, whole.letters)


def _count(sentence: Sentence, letter: str, numbers: Mapping[str, float]) -> int:
    try:
        return int(numbers[letter.upper()])
    except KeyError:
        raise FormulaError(
            f"the windows of {sentence_text(sentence)!r} need {letter.upper()}, how far {letter!r} counts"
        ) from None
