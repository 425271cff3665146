"""What a sentence would say if a piece of it were forgotten: a summand, a factor or a divisor."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from engine.formula.evaluate import Tensors, evaluate
from engine.formula.nodes import ONE, Expr, Num, Power, Product, Quotient, Read, Sentence, Sum, children, replace
from engine.formula.program import Program
from engine.formula.text import sentence_text, text


def ablations(tensors: Tensors, name: str, among: Program, most: int) -> Iterator[tuple[str, str, np.ndarray]]:
    """What `name` comes out as with each piece left out, of its own sentence or of one it is made from that `among`
    does not say: (the piece, the sentence, the tensor). Sentences of a grid of more than `most` elements are passed
    over."""
    program = tensors.program
    wanted = [name]
    for each in wanted:
        wanted += [
            read for read in program.reads(each) if read in program.sentences and read not in (*among.names, *wanted)
        ]
    for each in wanted:
        sentence = program.expr(each)
        if math.prod(map(tensors.count, (*sentence.free, *sentence.bound))) > most:
            continue
        for piece, rest in _shorter(sentence.expr):
            value = evaluate(tensors, Sentence(each, sentence.axes, rest))
            if each != name:
                known = {key: array for key, array in tensors.items() if key in (*program.given, *among.names)}
                value = Tensors(program, {**known, each: value}, tensors.numbers, _extents(tensors))[name]
            yield piece, sentence_text(sentence), value


def _extents(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    return {name: tensors.shape(name) for name in tensors.program.names}


def _shorter(expr: Expr) -> Iterator[tuple[str, Expr]]:
    """Every way to leave out one piece: (the piece, what remains of the whole)."""
    match expr:
        case Sum(parts) | Product(parts):
            for k, part in enumerate(parts):
                others = (*parts[:k], *parts[k + 1 :])
                remaining = others[0] if len(others) == 1 else type(expr)(others)
                yield text(part), remaining
                if len(others) > 1:
                    yield text(remaining), part
        case Quotient(over, under) if not isinstance(over, Num):
            yield text(under), over
            yield text(over), Quotient(ONE, under)
        case Power(base, exponent):
            yield f"**{text(exponent)}", base
        case Read():
            return
    for child in children(expr):
        for piece, rest in _shorter(child):
            yield piece, replace(expr, {child: rest})
