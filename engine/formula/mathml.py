"""A sentence as an equation for the screen: presentation MathML, every symbol tied to its tensor or letter.

`<mi data-tensor="x">` stands for a tensor, `<mi data-letter="u">` for a letter of an index. The gradient of x
is written ∂L/∂x, that of y is δ, a 0-d y is the loss L.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from engine.formula.nodes import (
    ONE,
    Call,
    Choice,
    Compare,
    Expr,
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
    reduces,
    replace,
)
from engine.formula.sentence import Axes
from engine.formula.text import ATOM, COMPARE, NEG, POWER, PRODUCT, SUM, level, number, sentence_text

SYMBOLS = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "eps": "ε",
    "decay": "λ",
    "mu": "μ",
    "nu": "ν",
    "lr": "η",
    "pi": "π",
    "Phi": "Φ",
    "phi": "φ",
    "sigmoid": "σ",
    "logp": "log p",
    "indices": "winner",
}
"""Names that the screen shows otherwise."""

_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SIGNS = {"<": "&lt;", "<=": "≤", ">": "&gt;", ">=": "≥", "==": "=", "!=": "≠"}
_PRIME = '<mo lspace="0" rspace="0">′</mo>'
_TIMES = "<mo>\u2062</mo>"
_APPLY = "<mo>\u2061</mo>"
_SPACE = '<mspace width="0.17em"/>'
_DOT = '<mo lspace="0.15em" rspace="0.15em">·</mo>'


@dataclass(frozen=True)
class Equation:
    """A sentence as plain text and as MathML."""

    text: str
    mathml: str


def equation(sentence: Sentence, declared: Mapping[str, Axes]) -> Equation:
    """The sentence in the notation of the screen. declared: the axes of every tensor of its program."""
    writer = _Writer(declared)
    short = _abbreviations(sentence, declared)
    left = writer.tensor(sentence.name, tuple(tuple(map(Letter, axis)) for axis in sentence.axes))
    words = f"<mrow>{left}<mo>=</mo>{writer.expr(replace(sentence.expr, short))}</mrow>"
    if short:
        where = f"<mo>,</mo>{_SPACE}".join(
            f"{writer.expr(letter)}<mo>=</mo>{writer.inline(part)}" for part, letter in short.items()
        )
        rows = f"<mtr><mtd>{words}</mtd></mtr><mtr><mtd><mrow><mtext>where\u00a0</mtext>{where}</mrow></mtd></mtr>"
        words = f'<mtable displaystyle="true" class="where">{rows}</mtable>'
    return Equation(sentence_text(sentence), f'<math display="block">{words}</math>')


def _abbreviations(sentence: Sentence, declared: Mapping[str, Axes]) -> dict[Expr, Expr]:
    """Fractions that several reads have as their index, and the tensors' own letters to write for them."""
    counted: dict[Expr, int] = {}
    letters: dict[Expr, Expr] = {}
    taken = letters_of(sentence.expr) | {*sentence.free, *sentence.bound}
    for read in reads(sentence.expr):
        axes = declared[read.tensor]
        # Idle letters in front (the batch of one, the only group) may have been left out of the read.
        for axis, parts in zip(axes[len(axes) - len(read.subs) :], read.subs, strict=True):
            for letter, part in zip(axis[-len(parts) :], parts, strict=True):
                if isinstance(part, Quotient) and letter not in taken:
                    counted[part] = counted.get(part, 0) + 1
                    letters.setdefault(part, Letter(letter))
    short = {part: letter for part, letter in letters.items() if counted[part] > 1}
    return short if len(set(short.values())) == len(short) else {}


class _Writer:
    def __init__(self, declared: Mapping[str, Axes]) -> None:
        self.declared = declared

    def expr(self, expr: Expr) -> str:
        match expr:
            case Num(value):
                return _number(value)
            case Name(name):
                return _name(name)
            case Letter(name):
                return f'<mi data-letter="{name}">{escape(name).translate(_LOWERED)}</mi>'
            case Read(tensor, subs):
                return self.tensor(tensor, subs)
            case Sum(parts):
                return self.sum(parts, lambda e: self.at_least(e, PRODUCT), "")
            case Neg(of):
                return f"<mo>−</mo>{self.at_least(of, PRODUCT)}"
            case Product(factors):
                return self.product(factors)
            case Quotient(over, under):
                return self.quotient(over, under)
            case Power(Read(tensor, subs), exponent) if subs and not self.is_gradient(tensor):
                return self.tensor(tensor, subs, _row(self.inline(exponent)))
            case Power(Read() as base, exponent) if self.is_gradient(base.tensor):
                return f"<msup><mrow><mo>(</mo>{self.expr(base)}<mo>)</mo></mrow>{_row(self.inline(exponent))}</msup>"
            case Power(base, exponent):
                return f"<msup>{_row(self.at_least(base, ATOM))}{_row(self.inline(exponent))}</msup>"
            case Compare():
                return f"<mrow><mo>[</mo>{self.comparison(expr)}<mo>]</mo></mrow>"
            case Choice():
                return self.cases(expr)
            case Call("sqrt", of):
                return f"<msqrt>{self.expr(of)}</msqrt>"
            case Call("abs", of):
                return f"<mrow><mo>|</mo>{self.expr(of)}<mo>|</mo></mrow>"
            case Call("expm1", of):
                return f"<mrow><mo>(</mo>{self.expr(Call('exp', of))}<mo>−</mo><mn>1</mn><mo>)</mo></mrow>"
            case Call(function, of):
                return f"<mrow>{_name(function)}{_APPLY}<mo>(</mo>{self.expr(of)}<mo>)</mo></mrow>"
            case Reduce(kind, letters, body, answer):
                return self.reduce(kind, letters, body, answer)
        raise TypeError(expr)

    def at_least(self, expr: Expr, least: int) -> str:
        """The expression, in parentheses where it binds less tightly; a fraction needs none in a product."""
        binds = ATOM if isinstance(expr, Compare) else level(expr)
        if isinstance(expr, Quotient) and least == POWER:
            binds = POWER
        inner = self.expr(expr)
        return inner if binds >= least else f"<mrow><mo>(</mo>{inner}<mo>)</mo></mrow>"

    def sum(self, parts: tuple[Expr, ...], write: Callable[[Expr], str], space: str) -> str:
        words = []
        for k, part in enumerate(parts):
            minus = isinstance(part, Neg)
            if minus or k:
                words.append(f"<mo{space}>{'−' if minus else '+'}</mo>")
            words.append(write(part.of if isinstance(part, Neg) else part))
        return "".join(words)

    def product(self, factors: tuple[Expr, ...]) -> str:
        words = [self.at_least(factors[0], PRODUCT)]
        for before, factor in pairwise(factors):
            words += [_between(before, factor), self.at_least(factor, PRODUCT if reduces(factor) else POWER)]
        return "".join(words)

    def quotient(self, over: Expr, under: Expr) -> str:
        """A fraction, its sign in front; what is tall (a sum, another gradient) stands beside 1/something."""
        if isinstance(over, Neg):
            return f"<mo>−</mo>{self.quotient(over.of, under)}"
        factors = over.factors if isinstance(over, Product) else (over,)
        tall = [f for f in factors if reduces(f) or (isinstance(f, Read) and self.is_gradient(f.tensor))]
        if not tall:
            return self.fraction(over, under)
        rest = tuple(f for f in factors if f not in tall)
        top = ONE if not rest else rest[0] if len(rest) == 1 else Product(rest)
        return self.product((Quotient(top, under), *tall))

    def fraction(self, over: Expr, under: Expr) -> str:
        return f"<mfrac>{_row(self.expr(over))}{_row(self.expr(under))}</mfrac>"

    def comparison(self, expr: Expr) -> str:
        if not isinstance(expr, Compare):
            return self.expr(expr)
        words = [self.at_least(expr.parts[0], SUM)]
        for sign, part in zip(expr.signs, expr.parts[1:], strict=True):
            words += [f"<mo>{_SIGNS[sign]}</mo>", self.at_least(part, SUM)]
        return "".join(words)

    def cases(self, expr: Choice) -> str:
        rows = []
        rest: Expr = expr
        while isinstance(rest, Choice):
            rows.append((self.expr(rest.then), f"<mtext>if\u00a0</mtext>{self.comparison(rest.test)}"))
            rest = rest.other
        rows.append((self.expr(rest), "<mtext>otherwise</mtext>"))
        table = "".join(f"<mtr><mtd>{_row(a)}</mtd><mtd>{_row(b)}</mtd></mtr>" for a, b in rows)
        brace = '<mo fence="true" form="prefix" stretchy="true">{</mo>'
        return f'<mrow>{brace}<mtable class="cases" columnalign="left left">{table}</mtable></mrow>'

    def reduce(self, kind: str, letters: tuple[str, ...], body: Expr, answer: Expr | None) -> str:
        under = '<mo lspace="0" rspace="0">,</mo>'.join(self.expr(Letter(x)) for x in letters)
        sign = '<mo movablelimits="false">∑</mo>' if kind == "sum" else f"<mi>{kind}</mi>"
        over = f"<munder>{sign}<mrow>{under}</mrow></munder>" if letters else sign
        inner = self.at_least(body, COMPARE if isinstance(body, Choice) else PRODUCT)
        result = f"<mrow>{over}{'' if kind == 'sum' else _SPACE}{inner}</mrow>"
        return result if answer is None else f"{result}<mo>↦</mo>{self.expr(answer)}"

    def is_gradient(self, name: str) -> bool:
        """Whether a tensor is shown as a fraction ∂L/∂..."""
        return name != "dy" and name[:1] == "d" and name[1:] in self.declared

    def tensor(self, name: str, subs: tuple[tuple[Expr, ...], ...], exponent: str = "") -> str:
        """A tensor's symbol with its index, and above it its mark or an exponent."""
        index = '<mo lspace="0" rspace="0.1em">,</mo>'.join(
            '<mo lspace="0" rspace="0">|</mo>'.join(self.inline(part) for part in axis) for axis in subs
        )
        below = index and f"<mrow>{index}</mrow>"
        if self.is_gradient(name):
            inner = _scripts(*self.symbol(name[1:], name), below)
            return f"<mfrac><mrow><mo>∂</mo><mi>L</mi></mrow><mrow><mo>∂</mo>{inner}</mrow></mfrac>"
        base, mark = self.symbol(name, name)
        if mark and exponent:
            return f"<msup>{_scripts(base, mark, below)}{exponent}</msup>"
        return _scripts(base, mark or exponent, below)

    def symbol(self, shown: str, tensor: str) -> tuple[str, str]:
        """(the symbol, a mark to set above its index)."""
        tie = f'data-tensor="{escape(tensor)}"'
        if re.fullmatch(r"d\d+", shown):
            return f"<mi {tie}>δ</mi>", f"<mrow><mo>(</mo><mn>{shown[1:]}</mn><mo>)</mo></mrow>"
        if shown == "dy":
            return f"<mi {tie}>δ</mi>", ""
        if shown == "y" and self.declared.get("y") == ():
            return f"<mi {tie}>L</mi>", ""
        if shown.startswith("next_") or shown.endswith("_next"):
            return self.symbol(shown.removeprefix("next_").removesuffix("_next"), tensor)[0], _PRIME
        if shown.endswith("hat") and len(shown) > 3:
            return f'<mover accent="true"><mi {tie}>{_word(shown[:-3])}</mi><mo stretchy="false">^</mo></mover>', ""
        return f"<mi {tie}>{_word(shown)}</mi>", ""

    def inline(self, expr: Expr) -> str:
        """An expression on one line, as an index has it: fractions with a slash, operators close."""
        match expr:
            case Sum(parts):
                return self.sum(parts, lambda e: self.inline_in(e, PRODUCT), ' lspace="0.1em" rspace="0.1em"')
            case Neg(of):
                return f'<mo lspace="0" rspace="0">−</mo>{self.inline_in(of, PRODUCT)}'
            case Product(factors):
                words = [self.inline_in(factors[0], PRODUCT)]
                for before, factor in pairwise(factors):
                    words += [_between(before, factor), self.inline_in(factor, POWER)]
                return "".join(words)
            case Quotient(over, under):
                slash = '<mo lspace="0" rspace="0">/</mo>'
                return f"{self.inline_in(over, PRODUCT)}{slash}{self.inline_in(under, POWER)}"
        return self.expr(expr)

    def inline_in(self, expr: Expr, least: int) -> str:
        inner = self.inline(expr)
        return inner if level(expr) >= least else f"<mo>(</mo>{inner}<mo>)</mo>"


def _between(before: Expr, after: Expr) -> str:
    """What stands between two factors: a dot before a number or beside a word, which would be misread."""

    def word(e: Expr) -> bool:
        return isinstance(e, Name) and len(_word(e.id)) > 1

    starts = after.base if isinstance(after, Power) else after
    if isinstance(starts, Num) or level(after) == NEG or word(before) or word(starts):
        return _DOT
    if isinstance(before, Num) and isinstance(after, Quotient):
        return _DOT
    return _TIMES + _SPACE if isinstance(starts, Call) else _TIMES


def _scripts(base: str, above: str, below: str) -> str:
    if above and below:
        return f"<msubsup>{base}{below}{above}</msubsup>"
    return f"<msub>{base}{below}</msub>" if below else f"<msup>{base}{above}</msup>" if above else base


def _row(words: str) -> str:
    return f"<mrow>{words}</mrow>"


def _number(value: float) -> str:
    digits = number(value).replace("-", "−")
    mantissa, e, exponent = digits.partition("e")
    if not e:
        return f"<mn>{digits}</mn>"
    power = f"<msup><mn>10</mn><mn>{exponent[:1].replace('+', '')}{exponent[1:].lstrip('0')}</mn></msup>"
    return power if mantissa == "1" else f"<mrow><mn>{mantissa}</mn>{_DOT}{power}</mrow>"


def _name(name: str) -> str:
    numbered = re.fullmatch(r"([A-Za-z]+)(\d+)", name)
    if numbered:
        return f"<msub><mi>{_word(numbered[1])}</mi><mn>{numbered[2]}</mn></msub>"
    return f"<mi>{_word(name)}</mi>"


def _word(name: str) -> str:
    return escape(SYMBOLS.get(name, name.replace("_", " ")))
