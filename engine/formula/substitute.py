"""A sentence with its numbers put in and tidied, as the screen shows it and as explanations read it."""

from __future__ import annotations

from collections.abc import Mapping

from engine.formula.affine import affine
from engine.formula.nodes import Expr, Letter, Name, Num, Read, Reduce, Sentence, children, rebuild, walk
from engine.formula.simplify import simplify

BATCH, GROUP = "n", "g"
IDLE = (BATCH.upper(), GROUP.upper())
"""The counts whose letters are left out where they count 1."""


def substituted(expr: Expr, numbers: Mapping[str, float]) -> Expr:
    """Every name that is known as its number, subscripts in lowest terms: 1*i+1*u-0 becomes i+u."""
    return simplify(_put(expr, numbers))


def _put(expr: Expr, numbers: Mapping[str, float]) -> Expr:
    match expr:
        case Name(name) if name in numbers:
            return written(numbers[name])
        case Read(tensor, ()) if tensor in numbers:
            return written(numbers[tensor])
        case Read(tensor, subs):
            return Read(tensor, tuple(tuple(_subscript(sub, numbers) for sub in axis) for axis in subs))
    return rebuild(expr, lambda e: _put(e, numbers))


def _subscript(sub: Expr, numbers: Mapping[str, float]) -> Expr:
    if isinstance(sub, (Letter, Read)):
        return _put(sub, numbers)
    form = affine(sub, numbers)
    return _put(sub, numbers) if form is None else form.expr()


def written(value: float) -> Num:
    return Num(int(value)) if float(value).is_integer() else Num(float(value))


def needed(expr: Expr) -> set[str]:
    """The names a sentence could be substituted with: numbers, counts and scalar tensors."""
    return {e.id for e in walk(expr) if isinstance(e, Name)} | {
        e.tensor for e in walk(expr) if isinstance(e, Read) and not e.subs
    }


def without_idle(sentence: Sentence, sizes: Mapping[str, int]) -> Sentence:
    """The sentence without the group letter when there is one group, and without the batch letter when it
    counts one image, wherever these stand alone as a subscript."""
    if sizes.get(GROUP.upper()) == 1 and _stands_alone(sentence, GROUP, grouped=True):
        sentence = _drop(sentence, GROUP)
    if sizes.get(BATCH.upper()) == 1 and _stands_alone(sentence, BATCH, grouped=False):
        sentence = _drop(sentence, BATCH)
    return sentence


def _stands_alone(sentence: Sentence, letter: str, grouped: bool) -> bool:
    """Whether the letter is only ever a whole part of a subscript (beside others in a group, or by itself)."""

    def fine(expr: Expr) -> bool:
        match expr:
            case Letter(name):
                return name != letter
            case Read(_, subs):
                return all(
                    (sub == Letter(letter) and (len(axis) > 1) == grouped) or fine(sub) for axis in subs for sub in axis
                )
        return all(map(fine, children(expr)))

    return fine(sentence.expr) and all((len(axis) > 1) == grouped for axis in sentence.axes if letter in axis)


def _drop(sentence: Sentence, letter: str) -> Sentence:
    def drop(expr: Expr) -> Expr:
        match expr:
            case Read(tensor, subs):
                axes = (tuple(drop(sub) for sub in axis if sub != Letter(letter)) for axis in subs)
                return Read(tensor, tuple(axis for axis in axes if axis))
            case Reduce(kind, letters, body, answer) if letter in letters:
                rest = tuple(x for x in letters if x != letter)
                if not rest and kind == "sum":
                    return drop(body)
                return Reduce(kind, rest, drop(body), None if answer is None else drop(answer))
        return rebuild(expr, drop)

    axes = (tuple(x for x in axis if x != letter) for axis in sentence.axes)
    return Sentence(sentence.name, tuple(axis for axis in axes if axis), simplify(drop(sentence.expr)))
