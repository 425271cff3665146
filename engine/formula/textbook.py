"""The textbook's picture of a convolution: flip, pad, slide. Two mechanical steps from any derived sentence.

1. A change of variable. Where a summed letter runs backwards, u becomes U-1-u: the window then moves forwards
   and the kernel is read turned by 180 degrees. Where a summed letter is strided in another read, i becomes
   a/s: the delta is spread apart and slides with step 1.
2. What is read gets a name. `padded_dy` is the delta with its margin and its inserted zeros, `rot180_w` the
   turned kernel, `spread_dy` the dilated delta. Each is a sentence, hence a tensor with places, explanations
   and pictures of its own.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

from engine.formula.affine import affine, split
from engine.formula.nodes import (
    ONE,
    ZERO,
    Expr,
    FormulaError,
    Letter,
    Name,
    Neg,
    Num,
    Quotient,
    Read,
    Reduce,
    Sentence,
    letters_of,
    reads,
    rebuild,
    replace,
    walk,
)
from engine.formula.program import Program
from engine.formula.simplify import product, simplify, total
from engine.formula.text import left, sentence_text


@dataclass(frozen=True)
class View:
    """A program that says one tensor by way of what is slid, padded and turned.

    moving: for every letter that was invented, the whole-number form that it stands for.
    """

    program: Program
    moving: dict[str, Expr]

    def counts(self, sizes: Mapping[str, int], numbers: Mapping[str, float]) -> dict[str, int]:
        """How many each invented letter counts, by capital, for these counts and settings."""
        known = dict(sizes)
        for letter, expr in self.moving.items():
            form = affine(expr, {**known, **numbers})
            if form is None or form.offset or form.pitch != 1:
                raise FormulaError(f"{letter!r} has no extent: a number is missing, or it does not start at 0")
            known[letter.upper()] = 1 + sum(k * (known[x.upper()] - 1) for x, k in form.letters.items())
        return {letter.upper(): known[letter.upper()] for letter in self.moving}


def view(program: Program, name: str) -> View:
    """The sentence of `name` with its reads turned, spread and padded; FormulaError if nothing is to be named."""
    return _Viewer(program, program.expr(name)).view()


class _Viewer:
    def __init__(self, program: Program, sentence: Sentence) -> None:
        self.program, self.sentence = program, sentence
        self.moving: dict[str, Expr] = {}
        self.named: dict[Read, Sentence] = {}
        used = {e.id for e in walk(sentence.expr) if isinstance(e, Name)} | program.all_letters | set(program.declared)
        self.unused = [x for x in string.ascii_lowercase if x not in used and x.upper() not in used]

    def view(self) -> View:
        expr = self._slid(self._forwards(self.sentence.expr))
        expr = replace(expr, {read: self._called(read) for read in dict.fromkeys(reads(expr))})
        if not self.named:
            raise FormulaError(f"{sentence_text(self.sentence)!r}: nothing is padded, turned or spread here")
        final = Sentence(self.sentence.name, self.sentence.axes, expr)
        tensors = dict.fromkeys(r.tensor for r in reads(self.sentence.expr))
        if self._is_delta(final.name):
            tensors[final.name[1:]] = None
        given = " ".join(left(t, self.program.declared[t]) for t in tensors)
        lines = "\n".join(sentence_text(s) for s in (*self.named.values(), final))
        return View(Program(given, lines, joins=True, alike=self.program.alike), dict(self.moving))

    def _forwards(self, expr: Expr) -> Expr:
        """Every summed letter that runs backwards beside other letters, turned round."""
        for letter in self.sentence.bound:
            if any(_backwards(sub, letter) for sub in _subscripts(expr)):
                turned = total([Name(letter.upper()), Neg(ONE), Neg(Letter(letter))])
                expr = simplify(replace(expr, {Letter(letter): turned}))
        return expr

    def _slid(self, expr: Expr) -> Expr:
        """Every letter of a delta that is strided in another read, as a letter of step 1."""
        for letter in self.sentence.bound:
            deltas = [r for r in reads(expr) if self._is_delta(r.tensor) and Letter(letter) in _subscripts(r)]
            steps = {split(s, letter)[0] for s in _subscripts(expr) if letter in letters_of(s)} - {ONE}
            if deltas and len(steps) == 1:
                (step,) = steps
                new = self._letter(product([step, Letter(letter)]))
                expr = simplify(_resummed(replace(expr, {Letter(letter): product([Letter(new)], [step])}), letter, new))
        return expr

    def _is_delta(self, tensor: str) -> bool:
        return tensor[:1] == "d" and tensor[1:] in self.program.declared

    def _called(self, read: Read) -> Read:
        """A read of a tensor that is named here, where the read does more than follow letters."""
        kinds = set()
        axes, seen, slid = [], [], []
        for subs in read.subs:
            parts = [self._part(sub) for sub in subs]
            kinds |= {kind for *_, kind in parts}
            axes.append(tuple(letter for letter, _, _, _ in parts))
            seen.append(tuple(inner for _, inner, _, _ in parts))
            slid.append(tuple(outer for _, _, outer, _ in parts))
        kinds.discard("plain")
        if not kinds:
            return read
        prefix = "padded" if "padded" in kinds else "rot180" if kinds == {"rot180"} else "spread"
        name = f"{prefix}_{read.tensor}"
        self.named[read] = Sentence(name, tuple(axes), Read(read.tensor, tuple(seen)))
        return Read(name, tuple(slid))

    def _part(self, sub: Expr) -> tuple[str, Expr, Expr, str]:
        """(letter of the named tensor's axis, what it reads there, how it is read itself, kind)."""
        if isinstance(sub, Letter):
            return sub.id, sub, sub, "plain"
        over, under = (sub.over, sub.under) if isinstance(sub, Quotient) else (sub, ONE)
        letters = list(dict.fromkeys(e.id for e in walk(over) if isinstance(e, Letter)))
        if isinstance(sub, Read) or not letters:
            raise FormulaError(f"{sentence_text(self.sentence)!r}: a subscript without letters has no window")
        if len(letters) == 1 and _negative(split(over, letters[0])[0]):
            return letters[0], sub, Letter(letters[0]), "rot180"
        if over == Letter(letters[0]):
            return letters[0], sub, over, "spread"
        if any(_negative(split(over, x)[0]) for x in letters):
            raise FormulaError(f"{sentence_text(self.sentence)!r}: a letter of the left side runs backwards")
        moved = simplify(total(product([split(over, x)[0], Letter(x)]) for x in letters))
        rest = simplify(replace(over, {Letter(x): ZERO for x in letters}))
        new = self._letter(moved)
        return new, product([total([Letter(new), rest])], [under]), moved, "padded"

    def _letter(self, expr: Expr) -> str:
        """The invented letter for a moving form."""
        for letter, known in self.moving.items():
            if known == expr:
                return letter
        if not self.unused:
            raise FormulaError(f"{sentence_text(self.sentence)!r}: no letter is left to name a moving axis")
        letter = self.unused.pop(0)
        self.moving[letter] = expr
        return letter


def _subscripts(expr: Expr) -> list[Expr]:
    return [sub for read in reads(expr) for axis in read.subs for sub in axis]


def _negative(coefficient: Expr) -> bool:
    return isinstance(coefficient, Neg) or (isinstance(coefficient, Num) and coefficient.value < 0)


def _backwards(sub: Expr, letter: str) -> bool:
    """Whether the letter is subtracted beside other letters."""
    over = sub.over if isinstance(sub, Quotient) else sub
    return len(letters_of(over)) > 1 and letter in letters_of(over) and _negative(split(over, letter)[0])


def _resummed(expr: Expr, letter: str, new: str) -> Expr:
    """The expression with one letter of its reducers renamed."""
    if isinstance(expr, Reduce):
        return Reduce(expr.kind, tuple(new if x == letter else x for x in expr.letters), expr.body, expr.answer)
    return rebuild(expr, lambda e: _resummed(e, letter, new))
