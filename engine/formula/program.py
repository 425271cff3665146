"""Program: declared tensors, an ordered list of sentences, and everything that follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from engine.formula.adjoint import Adjoint
from engine.formula.mathml import Equation, equation
from engine.formula.nodes import FormulaError, Letter, Name, Reduce, Sentence, reads, walk
from engine.formula.sentence import Axes, parse_given, parse_sentence
from engine.formula.substitute import IDLE, needed, substituted, without_idle
from engine.formula.text import sentence_text
from engine.formula.windows import Scatter, Window, divisor, scatter, windows

_CACHE = 512


class Program:
    """Declared tensors and an ordered list of sentences.

    given: the tensors that come from outside, with the letters of their axes, ``"x[n,g|c,h,k] w[g|o,c,u,v]"``.
    sentences: one per line; each may read what is given or said before it.
    held: names through which no gradient flows.
    joins: plain letters may read axes of another length (concatenation).
    stated: sentences for gradients that take the place of derived ones, with lets of their own if need be.
    optional: given tensors that may be left out; what reads them is then *nothing*.
    alike: letters that count like another letter, ``{"a": "k"}``.

    Raises FormulaError for any sentence the language does not have. The text must come from this repository,
    never from a client. A Program never changes; what it derives is kept.
    """

    def __init__(
        self,
        given: str,
        sentences: str,
        *,
        held: Iterable[str] = (),
        joins: bool = False,
        stated: str = "",
        optional: Iterable[str] = (),
        alike: Mapping[str, str] | None = None,
    ) -> None:
        declared = parse_given(given)
        self.given = tuple(declared)
        self.held, self.joins, self.stated = frozenset(held), joins, stated
        self.optional = frozenset(optional)
        self.alike: dict[str, str] = dict(alike or {})
        self.sentences: dict[str, Sentence] = {}
        self.declared: dict[str, Axes] = declared
        self._add(sentences)
        self._check_names()
        for name in self.optional - set(self.given):
            raise FormulaError(f"optional {name!r} is not given; given: {', '.join(self.given)}")
        self._gradients: dict[tuple, Program] = {}
        self._kept: dict[tuple, Any] = {}

    def _add(self, sentences: str) -> None:
        for line in sentences.splitlines():
            if line.strip():
                sentence = parse_sentence(line, self.declared)
                self.sentences[sentence.name] = sentence
                self.declared[sentence.name] = sentence.axes

    def _continued(self, given: Mapping[str, Axes], sentences: Iterable[Sentence], alike: Mapping[str, str]) -> Program:
        program = object.__new__(Program)
        program.given = (*self.given, *given)
        program.held, program.joins, program.stated = self.held, self.joins, ""
        program.optional = self.optional
        program.alike = {**self.alike, **alike}
        program.sentences = {**self.sentences, **{s.name: s for s in sentences}}
        program.declared = {**self.declared, **given, **{n: s.axes for n, s in program.sentences.items()}}
        program._gradients, program._kept = {}, {}
        return program

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors said, in order."""
        return tuple(self.sentences)

    @cached_property
    def all_letters(self) -> frozenset[str]:
        """Every letter of the program."""
        bound = (letter for s in self.sentences.values() for letter in s.bound)
        return frozenset(x for axes in self.declared.values() for axis in axes for x in axis) | frozenset(bound)

    @cached_property
    def capitals(self) -> dict[str, str]:
        """The name of each count, and the letter it counts: ``{"U": "u", ...}``."""
        return {letter.upper(): letter for letter in self.all_letters}

    @cached_property
    def plain_reads(self) -> list[tuple[Sentence, str, str, str]]:
        """Where a plain letter reads an axis of another letter: (sentence, tensor, axis letter, letter)."""
        found = []
        for s in self.sentences.values():
            for read in reads(s.expr):
                for axis, subs in zip(self.declared[read.tensor], read.subs, strict=True):
                    found += [
                        (s, read.tensor, own, sub.id)
                        for own, sub in zip(axis, subs, strict=True)
                        if isinstance(sub, Letter) and sub.id != own
                    ]
        return found

    def _check_names(self) -> None:
        for s in self.sentences.values():
            for name in sorted({e.id for e in walk(s.expr) if isinstance(e, Name)} & self.all_letters):
                raise FormulaError(
                    f"{sentence_text(s)!r}: {name!r} is a letter of this program, but stands neither on the left nor "
                    f"in a reducer here; a number needs another name"
                )

    def expr(self, name: str) -> Sentence:
        """The sentence that says `name`, as a tree; FormulaError when it is given or unknown."""
        try:
            return self.sentences[name]
        except KeyError:
            if name in self.declared:
                raise FormulaError(f"{name} is given, no sentence says it; said: {', '.join(self.names)}") from None
            raise FormulaError(f"nothing named {name!r} is said; said: {', '.join(self.names)}") from None

    def sentence(self, name: str) -> str:
        """The sentence that says `name`, written out."""
        return sentence_text(self.expr(name))

    def letters(self, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(letters of the left side in axis order, letters of the reducers in their order)."""
        s = self.expr(name)
        return s.free, s.bound

    def reads(self, name: str) -> tuple[str, ...]:
        """The tensors that the sentence reads, each once, in reading order."""
        return tuple(dict.fromkeys(r.tensor for r in reads(self.expr(name).expr)))

    def form(self, name: str) -> str:
        """``"sum"``, ``"max"`` (an argmax too) or, without a reducer, ``"each"``."""
        kinds = [e.kind for e in walk(self.expr(name).expr) if isinstance(e, Reduce)]
        return "each" if not kinds else "sum" if "sum" in kinds else "max"

    def substituted(self, name: str, numbers: Mapping[str, float]) -> Sentence:
        """The sentence with these numbers (settings, counts, scalar tensors) put in, as a tree."""
        sentence = self.expr(name)
        known = self.kept(("names", name), lambda: tuple(sorted(needed(sentence.expr))))
        values = tuple((n, numbers[n]) for n in known if n in numbers)
        return self.kept(
            ("substituted", name, values),
            lambda: Sentence(sentence.name, sentence.axes, substituted(sentence.expr, dict(values))),
        )

    def equation(
        self, name: str, numbers: Mapping[str, float] | None = None, sizes: Mapping[str, int] | None = None
    ) -> Equation:
        """The sentence as text and MathML.

        numbers: puts the settings in and tidies (the substituted form). sizes: the letters' counts by capital; they
        are put in too, the group letter goes when there is one group, the batch letter when it counts 1.
        """
        if numbers is None:
            return self.kept(("equation", name), lambda: equation(self.expr(name), self.declared))
        counts = sizes or {}
        groups = {k: int(v) for k, v in (*numbers.items(), *counts.items()) if k in IDLE}
        sentence = self.substituted(name, {**counts, **numbers})
        key = ("equation", id(sentence), tuple(sorted(groups.items())))
        return self.kept(key, lambda: (sentence, equation(without_idle(sentence, groups), self.declared)))[1]

    def windows(self, name: str, numbers: Mapping[str, float]) -> list[Window]:
        """How every read of the sentence moves with its letters.

        numbers: the settings, and the counts by capital that subscripts name or that stand in a ``g|c``.
        FormulaError names the number that is missing.
        """
        return windows(self.expr(name), self.declared, numbers)

    def scatter(self, name: str, source: str, numbers: Mapping[str, float]) -> Scatter | None:
        """The sum that says `name` from the side of one cell of `source`, which it reads: what that cell adds to.

        It is not worked out again but read in the sentence on the other side: the forward sentence says where each
        delta goes, and the gradient's sentence where each value goes. None where there is no such sentence, or where
        it is no sum of products of two cells.
        """
        if self.form(name) != "sum":
            return None
        if name[:1] == "d" and name[1:] in self.declared and source[:1] == "d":
            other, target = source[1:], name[1:]
        else:
            other, target = f"d{source}", f"d{name}"
        sentence = self.sentences.get(other)
        if sentence is None or target not in self.reads(other) or self.form(other) != "sum":
            return None
        return scatter(sentence, target, self.declared, numbers)

    def divisor(self, name: str, numbers: Mapping[str, float]) -> float | None:
        """The number by which the sentence's sum, or each of its terms, is divided; None where there is none."""
        return divisor(self.substituted(name, numbers).expr)

    def kept(self, key: tuple, make: Callable[[], Any]) -> Any:
        """What was made for this key before, else made now; forgotten when there is too much of it."""
        found = self._kept.get(key)
        if found is None:
            found = make()
            if len(self._kept) >= _CACHE:
                self._kept.clear()
            self._kept[key] = found
        return found

    def edited(self, name: str, old: str, new: str) -> Program:
        """This program with `new` in place of every `old` in the sentence that says `name`: what a mistake computes.

        FormulaError where the sentence does not hold `old`, or is none any more.
        """
        return self.kept(("edited", name, old, new), lambda: self._edit(name, old, new))

    def _edit(self, name: str, old: str, new: str) -> Program:
        line = self.sentence(name)
        said, equals, right = line.partition(" = ")
        if old not in right:
            raise FormulaError(f"{line!r} does not hold {old!r}")
        before = {key: axes for key, axes in self.declared.items() if key != name}
        program = self._continued({}, [parse_sentence(said + equals + right.replace(old, new), before)], {})
        program._check_names()
        return program

    def gradients(self, wrt: Iterable[str], of: str = "y", *, stated: bool = True) -> Program:
        """This program continued: `d<of>` is given, then one sentence d... for every tensor between, and for `wrt`.

        stated=False ignores the stated sentences, so that both ways can be compared. Raises FormulaError for
        an unknown tensor, a max without its argmax, or an exponent that is differentiated.
        """
        wanted = tuple(wrt)
        key = (wanted, of, stated)
        if key not in self._gradients:
            self._gradients[key] = self._derive(wanted, of, self.stated if stated else "")
        return self._gradients[key]

    def _derive(self, wrt: tuple[str, ...], of: str, stated: str) -> Program:
        self.expr(of)
        for name in wrt:
            if name not in self.declared:
                raise FormulaError(f"no tensor {name!r} to differentiate for; there are {', '.join(self.declared)}")
        given = {f"d{of}": self.declared[of]}
        adjoint = Adjoint(self.sentences, self.declared, self.held, self.joins)
        derived = {s.name: s for s in adjoint.derive(wrt, of)}
        declared = {**self.declared, **given, **{s.name: s.axes for s in derived.values()}}
        before = {name: axes for name, axes in declared.items() if name not in derived}
        own: dict[str, Sentence] = {}
        for line in filter(str.strip, stated.splitlines()):
            name = line.split("[")[0].split("=")[0].strip()
            known = {**before, **{n: s.axes for n, s in own.items()}}
            known |= {n: a for n, a in declared.items() if n in derived and n != name}
            own[name] = parse_sentence(line, known)
        program = self._continued(given, _needed(derived, own, wrt), adjoint.alike)
        program._check_names()
        return program


def _needed(derived: Mapping[str, Sentence], stated: Mapping[str, Sentence], wrt: tuple[str, ...]) -> list[Sentence]:
    """The gradient sentences `wrt` needs, stated ones first choice, each after what it reads."""
    known = {**derived, **stated}
    order: dict[str, Sentence] = {}

    def visit(name: str) -> None:
        if name in known and name not in order:
            for read in reads(known[name].expr):
                visit(read.tensor)
            order[name] = known[name]

    for name in wrt:
        visit("d" + name)
    return list(order.values())
