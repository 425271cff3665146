"""Reverse mode over a list of sentences: the gradient of a tensor is one more sentence.

For every sentence that reads the tensor, every occurrence is followed down the tree with the product of
derivatives collected so far; then the read is turned round, from "which cell of x does y[n,o,i,j] read" to
"which cells of y read x[n,c,h,k]", by solving its subscripts. What cannot be solved is left to an indicator
under the sum, which is right for diagonals, constants, gathers and dilated reads alike.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from functools import cache

from engine.formula.affine import solve
from engine.formula.functions import FUNCTIONS
from engine.formula.nodes import (
    ONE,
    ZERO,
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
    letters_of,
    reads,
    rename,
    replace,
    walk,
)
from engine.formula.sentence import Axes, parse_sentence
from engine.formula.simplify import power, product, reduced, simplify, total
from engine.formula.text import left, sentence_text


@dataclass(frozen=True)
class _Seed:
    """What the gradient has been multiplied by on the way down to a read."""

    factor: Expr
    letters: tuple[str, ...] = ()  # of the reducers passed
    guards: tuple[tuple[Expr, bool], ...] = ()  # (test, the branch taken), kept outermost

    def times(self, over: list[Expr], under: list[Expr] | None = None) -> _Seed:
        return changed(self, factor=product([self.factor, *over], under or []))


class Adjoint:
    """Derives gradient sentences.

    sentences: those of the program, in order; declared: the letters of every tensor; held: names through
    which no gradient flows; joins: a plain letter may read a longer or shorter axis. After `derive`, `alike`
    holds the letters that had to be invented, with the letter each counts like.
    """

    def __init__(
        self, sentences: dict[str, Sentence], declared: Mapping[str, Axes], held: frozenset[str], joins: bool
    ) -> None:
        self.sentences, self.declared, self.held, self.joins = sentences, declared, held, joins
        self.alike: dict[str, str] = {}

    def derive(self, wrt: tuple[str, ...], of: str) -> list[Sentence]:
        """The sentences d... of every tensor between `of` and `wrt`, in an order in which each may be evaluated."""
        live = self._live(wrt, of)
        between = [name for name in reversed(self.sentences) if name in live and name != of and name not in wrt]
        said = [name for name in reversed(self.sentences) if name in wrt]
        return [self._gradient(name, live, of) for name in (*between, *said, *(n for n in wrt if n not in said))]

    def _live(self, wrt: tuple[str, ...], of: str) -> set[str]:
        """The tensors through which the gradient flows: they lead from `wrt` to `of`."""
        depends = set(wrt)
        for name, s in self.sentences.items():
            if name not in self.held and any(r.tensor in depends for r in reads(s.expr)):
                depends.add(name)
        leads = {of}
        for name in reversed(self.sentences):
            if name in leads:
                leads |= {r.tensor for r in reads(self.sentences[name].expr)}
        return ((depends - self.held) | {of}) & leads

    def _gradient(self, tensor: str, live: set[str], of: str) -> Sentence:
        own = self.declared[tensor]
        found: list[tuple[tuple[str, ...], Expr]] = []
        for name, sentence in reversed(self.sentences.items()):
            if name in live and tensor in live and (name != of or tensor != of):
                start = _Seed(Read("d" + name, tuple(tuple(map(Letter, axis)) for axis in sentence.axes)))
                for read, seed in self._occurrences(sentence, sentence.expr, start, tensor):
                    found.append(self._turned(read, seed, sentence, own))
        merged = _merged(found)
        return Sentence(
            "d" + tensor, own, simplify(total(reduced(letters, simplify(body)) for letters, body in merged))
        )

    def _occurrences(self, sentence: Sentence, expr: Expr, seed: _Seed, tensor: str) -> Iterator[tuple[Read, _Seed]]:
        """Every read of the tensor through which a gradient flows, with what it is multiplied by."""

        def down(inner: Expr, seed: _Seed) -> Iterator[tuple[Read, _Seed]]:
            return self._occurrences(sentence, inner, seed, tensor)

        if not any(r.tensor == tensor for r in reads(expr)):
            return
        match expr:
            case Read(name) if name == tensor:
                yield expr, seed
            case Sum(parts):
                for part in parts:
                    yield from down(part, seed)
            case Neg(of):
                yield from down(of, seed.times([Num(-1)]))
            case Product(factors):
                for k, factor in enumerate(factors):
                    yield from down(factor, seed.times([*factors[:k], *factors[k + 1 :]]))
            case Quotient(over, under):
                yield from down(over, seed.times([], [under]))
                yield from down(under, seed.times([Num(-1), over], [Power(under, Num(2))]))
            case Power(base, exponent):
                if any(r.tensor == tensor for r in reads(exponent)):
                    raise FormulaError(
                        f"{sentence_text(sentence)!r}: the exponent reads {tensor}; "
                        f"the gradient of a power needs an exponent that does not"
                    )
                yield from down(base, seed.times([exponent, power(base, simplify(Sum((exponent, Num(-1)))))]))
            case Choice(then, test, other):
                yield from down(then, changed(seed, guards=(*seed.guards, (test, True))))
                yield from down(other, changed(seed, guards=(*seed.guards, (test, False))))
            case Call(function, of):
                yield from down(of, seed.times([replace(_derivative(function), {Name("z"): of})]))
            case Reduce("sum", letters, body):
                yield from down(body, changed(seed, letters=(*seed.letters, *letters)))
            case Reduce("max", letters, body):
                won = self._winner(sentence, letters, body)
                yield from down(body, changed(seed.times([won]), letters=(*seed.letters, *letters)))

    def _winner(self, sentence: Sentence, letters: tuple[str, ...], body: Expr) -> Expr:
        for other in self.sentences.values():
            match other.expr:
                case Reduce("argmax", found, searched, answer) if (found, searched) == (letters, body) and answer:
                    if other.axes == sentence.axes:
                        cell = Read(other.name, tuple(tuple(map(Letter, axis)) for axis in other.axes))
                        return Compare((cell, answer), ("==",))
        raise FormulaError(
            f"{sentence_text(sentence)!r}: the gradient of a max needs its saved winner: add a sentence "
            f"'{left('at', sentence.axes)} = argmax[{','.join(letters)}](the same, its position)'"
        )

    def _turned(self, read: Read, seed: _Seed, sentence: Sentence, own: Axes) -> tuple[tuple[str, ...], Expr]:
        """One contribution: (letters still summed, product), in the tensor's own letters."""
        apart = {x: x + "'" for axis in own for x in axis}
        loose = [apart.get(x, x) for x in (*sentence.free, *seed.letters)]
        outputs = {apart.get(x, x) for x in sentence.free}
        pairs = [
            (letter, rename(sub, apart))
            for axis, subs in zip(own, read.subs, strict=True)
            for letter, sub in zip(axis, subs, strict=True)
        ]
        body = _guarded(rename(seed.factor, apart), [(rename(t, apart), taken) for t, taken in seed.guards])
        body = replace(body, {sub: Letter(letter) for letter, sub in pairs if not isinstance(sub, Letter)})

        solved: dict[Expr, Expr] = {}
        tests: list[Expr] = []
        for letter, sub in pairs:
            target, sub = Letter(letter), simplify(replace(sub, solved))
            unknown = self._unknown(sub, letter, [x for x in loose if x in outputs], loose)
            if unknown is None:
                if sub != target:
                    tests.append(Compare((target, sub), ("==",)))
                continue
            answer = solve(sub, unknown, target)
            loose.remove(unknown)
            solved = {x: simplify(replace(e, {Letter(unknown): answer})) for x, e in solved.items()}
            solved[Letter(unknown)] = answer
        tests = [simplify(replace(test, solved)) for test in tests]
        body = _times(replace(body, solved), tests)
        named = {x: self._fresh(x) for x in loose if x.endswith("'")}
        return tuple(named.get(x, x) for x in loose), rename(body, named)

    def _unknown(self, sub: Expr, own: str, outputs: list[str], loose: list[str]) -> str | None:
        """The letter to solve a subscript for: an output letter, or a summed one that stands alone or reflected."""
        if isinstance(sub, Read):
            return None
        inside = letters_of(sub)
        for letter in outputs:
            if letter in inside:
                return letter
        for letter in loose:
            plain = letter.rstrip("'")
            alone = sub == Letter(letter) and (plain == own or not self.joins)
            reflected = plain == own and simplify(total([sub, Letter(letter), ONE])) == Name(plain.upper())
            if alone or reflected:
                return letter
        return None

    def _fresh(self, letter: str) -> str:
        """A letter that the program does not use yet, counting like `letter`."""
        like = letter.rstrip("'")
        for name, known in self.alike.items():
            if known == like:
                return name
        used = {x for axes in self.declared.values() for axis in axes for x in axis} | set(self.alike)
        for s in self.sentences.values():
            used |= {e.id for e in walk(s.expr) if isinstance(e, (Name, Letter))}
        new = next((x for x in string.ascii_lowercase if x not in used and x.upper() not in used), None)
        if new is None:
            raise FormulaError(f"no letter is left to sum over beside {like!r}")
        self.alike[new] = like
        return new


@cache
def _derivative(function: str) -> Expr:
    return parse_sentence(f"d = {FUNCTIONS[function][1]}", {}).expr


def _guarded(body: Expr, guards: list[tuple[Expr, bool]]) -> Expr:
    for test, taken in reversed(guards):
        body = Choice(body, test, ZERO) if taken else Choice(ZERO, test, body)
    return body


def _times(body: Expr, tests: list[Expr]) -> Expr:
    """The product with the indicators, which go under the choices."""
    if not tests:
        return body
    match body:
        case Choice(then, test, other):
            return Choice(
                _times(then, tests) if then != ZERO else ZERO, test, _times(other, tests) if other != ZERO else ZERO
            )
    return product([body, *tests])


def _merged(found: list[tuple[tuple[str, ...], Expr]]) -> list[tuple[tuple[str, ...], Expr]]:
    """Choices upon one test, over the same letters, as one choice."""
    merged: list[tuple[tuple[str, ...], Expr]] = []
    for letters, body in found:
        for k, (others, known) in enumerate(merged):
            if isinstance(body, Choice) and isinstance(known, Choice) and others == letters and known.test == body.test:
                merged[k] = letters, _together(known, body)
                break
        else:
            merged.append((letters, body))
    return merged


def _together(a: Expr, b: Expr) -> Expr:
    """Their sum; choices upon one test stay one choice, all the way down."""
    if isinstance(a, Choice) and isinstance(b, Choice) and a.test == b.test:
        return Choice(_together(a.then, b.then), a.test, _together(a.other, b.other))
    return total([a, b])
