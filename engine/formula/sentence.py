"""The grammar: one line of Python expression syntax becomes a Sentence, or is refused with a reason.

`ast.parse` is the parser. Sentences come from this repository only, never from a client: the syntax alone
allows numbers of any size.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from engine.formula.functions import CONSTANTS, FUNCTIONS
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
    letters_of,
    reduces,
)
from engine.formula.text import left

Axes = tuple[tuple[str, ...], ...]

REDUCERS = ("sum", "max", "argmax")
RESERVED = {*REDUCERS, *FUNCTIONS, *CONSTANTS}
_LETTER = re.compile(r"[a-z]\d*")
_GIVEN = re.compile(r"\s*([A-Za-z_]\w*)(\[[^\]]*\])?(?=\s|$)")
_SIGNS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_ARGUMENTS = {"sum": "what to add up", "max": "what to search", "argmax": "what to search and what to return"}
_PLACES = {Call: "a function", Power: "a power", Compare: "a comparison", Choice: "a choice", Read: "a subscript"}
_GRAMMAR = "a sentence has numbers, names, reads, + - * / **, comparisons, a if t else b, functions and reducers"


def parse_given(words: str) -> dict[str, Axes]:
    """``"x[n,g|c,h,k] w[g|o,c,u,v] rate"`` -> the letters of every axis, by tensor; a bare name is 0-d."""
    declared: dict[str, Axes] = {}
    at = 0
    while words[at:].strip():
        match = _GIVEN.match(words, at)
        if match is None:
            rest = words[at:].strip()
            raise FormulaError(f"given {words.strip()!r}: expected tensors such as x[n,g|c,h,k], got {rest!r}")
        name, brackets = match.group(1), match.group(2)
        inside = brackets[1:-1].split(",") if brackets else []
        axes = tuple(tuple(letter.strip() for letter in axis.split("|")) for axis in inside)
        check_left(name, axes, f"given {left(name, axes)}")
        if name in declared:
            raise FormulaError(f"given {words.strip()!r}: {name} is declared twice")
        declared[name] = axes
        at = match.end()
    return declared


def check_left(name: str, axes: Axes, where: str) -> None:
    """Refuse a declaration or a left side that is not a name with letters, each once."""
    if name in RESERVED:
        raise FormulaError(f"{where!r}: {name!r} is a function or a reducer and cannot name a tensor")
    flat = [letter for axis in axes for letter in axis]
    for letter in flat:
        if not _LETTER.fullmatch(letter):
            raise FormulaError(f"{where!r}: an axis of {name} is named by a lower-case letter, got {letter!r}")
        if flat.count(letter) > 1:
            raise FormulaError(f"{where!r}: the letter {letter!r} stands twice in {name}")


def parse_sentence(line: str, declared: Mapping[str, Axes]) -> Sentence:
    """One sentence; `declared` are the tensors it may read, with the letters of their axes."""
    return _Reader(line.strip(), declared).sentence()


class _Reader:
    def __init__(self, line: str, declared: Mapping[str, Axes]) -> None:
        self.line = line
        self.declared = declared
        self.scope: set[str] = set()

    def wrong(self, why: str) -> FormulaError:
        return FormulaError(f"{self.line!r}: {why}")

    def sentence(self) -> Sentence:
        try:
            body = ast.parse(self.line).body
        except SyntaxError as error:
            raise self.wrong(f"not an expression: {error.msg}") from None
        if len(body) != 1 or not isinstance(body[0], ast.Assign) or len(body[0].targets) != 1:
            raise self.wrong("a sentence says one tensor: name[letters] = expression")
        name, axes = self.left_side(body[0].targets[0])
        self.scope = {letter for axis in axes for letter in axis}
        expr = self.expr(body[0].value)
        self.check_reducers(expr)
        return Sentence(name, axes, expr)

    def left_side(self, node: ast.expr) -> tuple[str, Axes]:
        axes: Axes = ()
        if isinstance(node, ast.Name):
            name = node.id
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            name = node.value.id
            axes = tuple(tuple(ast.unparse(part) for part in _bars(axis)) for axis in _items(node.slice))
        else:
            raise self.wrong("the left side is a name with letters, such as y[n,o,i,j]")
        check_left(name, axes, self.line)
        if name in self.declared:
            raise self.wrong(f"{name} is given or said before")
        return name, axes

    def expr(self, node: ast.expr) -> Expr:
        match node:
            case ast.Constant(value) if isinstance(value, (int, float)) and not isinstance(value, bool):
                return Num(value)
            case ast.Name(name):
                return self.name(name)
            case ast.UnaryOp(ast.USub(), operand):
                return Neg(self.expr(operand))
            case ast.BinOp(a, ast.Add() | ast.Sub() as op, b):
                first, second = self.expr(a), self.expr(b)
                spine = first.parts if isinstance(a, ast.BinOp) and isinstance(first, Sum) else (first,)
                return Sum((*spine, Neg(second) if isinstance(op, ast.Sub) else second))
            case ast.BinOp(a, ast.Mult(), b):
                first, second = self.expr(a), self.expr(b)
                return Product((*(first.factors if isinstance(first, Product) else (first,)), second))
            case ast.BinOp(a, ast.Div(), b):
                return Quotient(self.expr(a), self.expr(b))
            case ast.BinOp(a, ast.Pow(), b):
                return Power(self.expr(a), self.expr(b))
            case ast.BinOp(_, op, _):
                raise self.wrong(f"{ast.unparse(node)!r}: no such operator here; {_GRAMMAR}")
            case ast.Compare(a, ops, others):
                if any(type(op) not in _SIGNS for op in ops):
                    raise self.wrong(f"{ast.unparse(node)!r}: a comparison is one of {' '.join(_SIGNS.values())}")
                return Compare(tuple(map(self.expr, (a, *others))), tuple(_SIGNS[type(op)] for op in ops))
            case ast.IfExp(test, then, other):
                return Choice(self.expr(then), self.expr(test), self.expr(other))
            case ast.Call(ast.Subscript(ast.Name(kind), letters), arguments, []) if kind in REDUCERS:
                return self.reducer(kind, letters, arguments)
            case ast.Call(ast.Name(function), arguments, []):
                return self.call(function, arguments)
            case ast.Subscript(ast.Name(tensor), subs):
                return self.read(tensor, [_bars(axis) for axis in _items(subs)])
        raise self.wrong(f"{ast.unparse(node)!r} is not of the language: {_GRAMMAR}")

    def name(self, name: str) -> Expr:
        if name in RESERVED - set(CONSTANTS):
            raise self.wrong(
                f"{name!r} is a function or a reducer: write {name}(...)"
                if name in FUNCTIONS
                else f"{name!r} is a reducer: write {name}[letters](...)"
            )
        if name in self.scope:
            if self.declared.get(name) == ():
                raise self.wrong(f"{name!r} is a letter here and a scalar tensor too")
            return Letter(name)
        axes = self.declared.get(name)
        if axes:
            raise self.wrong(f"{name} has {len(axes)} axes: say which cell, as in {left(name, axes)}")
        return Name(name) if axes is None else Read(name)

    def call(self, function: str, arguments: list[ast.expr]) -> Expr:
        if function in REDUCERS:
            raise self.wrong(f"{function} needs its letters: {function}[u,v](...)")
        if function not in FUNCTIONS:
            raise self.wrong(f"no function {function!r}; there are {', '.join(FUNCTIONS)}")
        if len(arguments) != 1:
            raise self.wrong(f"{function} takes 1 argument, got {len(arguments)}")
        return Call(function, self.expr(arguments[0]))

    def reducer(self, kind: str, letters: ast.expr, arguments: list[ast.expr]) -> Expr:
        names = tuple(ast.unparse(item) for item in _items(letters))
        for name in names:
            if not _LETTER.fullmatch(name):
                raise self.wrong(f"{kind} runs over letters, got {name!r}")
            if name in self.scope or names.count(name) > 1:
                raise self.wrong(f"the letter {name!r} of {kind} stands on the left or in this reducer already")
        wanted = 2 if kind == "argmax" else 1
        if len(arguments) != wanted:
            takes = f"{wanted} argument{'s' * (wanted > 1)} ({_ARGUMENTS[kind]})"
            raise self.wrong(f"{kind}[{','.join(names)}] takes {takes}, got {len(arguments)}")
        self.scope |= set(names)
        inside = [self.expr(a) for a in arguments]
        self.scope -= set(names)
        return Reduce(kind, names, inside[0], inside[1] if wanted == 2 else None)

    def read(self, tensor: str, subs: list[list[ast.expr]]) -> Read:
        if tensor in RESERVED:
            raise self.wrong(
                f"{tensor}[...] is a reducer: give it something to run over, {tensor}[letters](...)"
                if tensor in REDUCERS
                else f"{tensor!r} is a function and has no cells"
            )
        if tensor not in self.declared:
            known = ", ".join(self.declared) or "none"
            raise self.wrong(f"nothing named {tensor!r} is given or said before; known: {known}")
        axes = self.declared[tensor]
        if len(subs) != len(axes):
            raise self.wrong(
                f"{tensor} is declared as {left(tensor, axes)} with {len(axes)} axes, read with {len(subs)}"
            )
        for number, (letters, parts) in enumerate(zip(axes, subs, strict=True)):
            if len(parts) != len(letters):
                raise self.wrong(
                    f"axis {number} of {tensor} is declared as {'|'.join(letters)}, "
                    f"read as {'|'.join(map(ast.unparse, parts))}"
                )
        return Read(tensor, tuple(tuple(self.subscript(tensor, part) for part in parts) for parts in subs))

    def subscript(self, tensor: str, node: ast.expr) -> Expr:
        expr = self.expr(node)
        if not isinstance(expr, Read) and not _linear(expr):
            raise self.wrong(
                f"cannot turn the subscript '{ast.unparse(node)}' of {tensor} round: a subscript is a sum "
                f"of letters times whole numbers, perhaps over a number, or a read"
            )
        return expr

    def check_reducers(self, expr: Expr) -> None:
        """A reducer stands under +, -, times or divided by something without a reducer, nowhere else."""
        match expr:
            case Reduce(_, _, body, answer):
                if reduces(body) or (answer is not None and reduces(answer)):
                    raise self.misplaced("a reducer inside a reducer")
            case Sum() | Neg():
                for part in children(expr):
                    self.check_reducers(part)
            case Product(factors):
                inside = [f for f in factors if reduces(f)]
                if len(inside) > 1:
                    raise self.misplaced("a reducer times a reducer")
                for factor in inside:
                    self.check_reducers(factor)
            case Quotient(over, under):
                if reduces(under):
                    raise self.misplaced("division by a reducer")
                self.check_reducers(over)
            case _ if reduces(expr):
                raise self.misplaced(f"a reducer inside {_PLACES[type(expr)]}")

    def misplaced(self, what: str) -> FormulaError:
        return self.wrong(f"{what} has no terms to show: give it a name of its own first")


def _linear(expr: Expr) -> bool:
    """Whether a subscript is a sum of letters times whole numbers, perhaps over a number."""
    match expr:
        case Letter() | Name():
            return True
        case Num(value):
            return float(value).is_integer()
        case Sum() | Neg():
            return all(map(_linear, children(expr)))
        case Product(factors):
            return all(map(_linear, factors)) and sum(bool(letters_of(f)) for f in factors) <= 1
        case Quotient(over, under):
            return _linear(over) and _linear(under) and not letters_of(under)
    return False


def _items(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def _bars(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BinOp(a, ast.BitOr(), b):
            return [*_bars(a), b]
    return [node]
