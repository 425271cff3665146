"""An expression written out again, in the language it was read from."""

from __future__ import annotations

from engine.formula.nodes import (
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
)

CHOICE, COMPARE, SUM, PRODUCT, NEG, POWER, ATOM = range(7)


def level(expr: Expr) -> int:
    """How tightly the outermost operator of an expression binds."""
    match expr:
        case Choice():
            return CHOICE
        case Compare():
            return COMPARE
        case Sum():
            return SUM
        case Product() | Quotient():
            return PRODUCT
        case Neg():
            return NEG
        case Num(value) if value < 0:
            return NEG
        case Power():
            return POWER
    return ATOM


def number(value: float) -> str:
    """A number as a person writes it: 3, 0.1, 1e-08."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.12g}"


def text(expr: Expr, tight: bool = False) -> str:
    """The expression; `tight` leaves out the spaces around a product, as inside a sum."""

    def inner(e: Expr, least: int, close: bool = False) -> str:
        return text(e, close) if level(e) >= least else f"({text(e, True)})"

    times, over = ("*", "/") if tight else (" * ", " / ")
    match expr:
        case Num(value):
            return number(value)
        case Name(name) | Letter(name):
            return name
        case Read(tensor, subs):
            return tensor + axes(subs)
        case Sum(parts):
            bare = [p.of if isinstance(p, Neg) else p for p in parts]
            return signed([(isinstance(p, Neg), inner(b, PRODUCT, True)) for p, b in zip(parts, bare, strict=True)])
        case Neg(of):
            return "-" + inner(of, PRODUCT, tight)
        case Product(factors):
            first = inner(factors[0], PRODUCT, tight)
            return times.join([first, *(inner(f, POWER, tight) for f in factors[1:])])
        case Quotient(a, b):
            return inner(a, PRODUCT, tight) + over + inner(b, POWER)
        case Power(a, b):
            return f"{inner(a, ATOM)}**{inner(b, ATOM)}"
        case Compare(parts, signs):
            words = [inner(parts[0], SUM, True)]
            for sign, part in zip(signs, parts[1:], strict=True):
                words += [sign, inner(part, SUM, True)]
            return " ".join(words)
        case Choice(then, test, other):
            return f"{inner(then, COMPARE)} if {inner(test, COMPARE)} else {inner(other, COMPARE)}"
        case Call(function, of):
            return f"{function}({text(of, True)})"
        case Reduce(kind, letters, body, answer):
            second = "" if answer is None else f", {text(answer)}"
            return f"{kind}[{','.join(letters)}]({text(body)}{second})"
    raise TypeError(expr)


def signed(parts: list[tuple[bool, str]], plus: str = " + ", minus: str = " - ") -> str:
    """A sum of (negative?, words)."""
    head = ("-" if parts[0][0] else "") + parts[0][1]
    return head + "".join((minus if negative else plus) + words for negative, words in parts[1:])


def axes(subs: tuple[tuple[Expr, ...], ...]) -> str:
    """The subscripts in their brackets, written without spaces; nothing for a scalar."""
    if not subs:
        return ""
    return "[" + ",".join("|".join(text(part).replace(" ", "") for part in axis) for axis in subs) + "]"


def left(name: str, letters: tuple[tuple[str, ...], ...]) -> str:
    """A declared tensor: ``x[n,g|c,h,k]``."""
    return name + ("[" + ",".join("|".join(axis) for axis in letters) + "]" if letters else "")


def sentence_text(sentence: Sentence) -> str:
    return f"{left(sentence.name, sentence.axes)} = {text(sentence.expr)}"
