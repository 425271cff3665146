"""What an exercise is: a question drawn from a seed, its right answer, and the answers that mistakes lead to."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from engine.exercises.answers import KINDS, ROUNDING, Answer, Array, Kind
from engine.formula import Explanation, Program, Tensors, explain
from engine.mistakes import MISTAKES
from engine.ops.base import Op, Shape

#: Draws until every mistake gives an answer of its own; after them those that clash are left out.
DRAWS = 200
#: How many tolerances lie between the right answer and every wrong one, and between two wrong ones.
MARGIN = 4


def place_of(tensor: str, index: tuple[int, ...]) -> str:
    return f"{tensor}/{','.join(map(str, index))}" if index else tensor


class Draw:
    """Random numbers that are the same for the same key on every machine and with every version."""

    def __init__(self, key: str):
        self._random = random.Random(key).random  # the one method of which Python promises that

    def integer(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return low + int(self._random() * (high - low + 1))

    def one(self, options: Sequence[Any]) -> Any:
        return options[self.integer(0, len(options) - 1)]

    def array(self, *shape: int, low: int = -3, high: int = 3) -> Array:
        """Whole numbers as float64."""
        count = int(np.prod(shape))
        return np.array([float(self.integer(low, high)) for _ in range(count)]).reshape(shape)

    def shuffled(self, options: Sequence[Any]) -> list[Any]:
        left = list(options)
        return [left.pop(self.integer(0, len(left) - 1)) for _ in options]


@dataclass(frozen=True)
class Calculation:
    """A number of a sentence: the program, what it is given, and the place. A mistake is the same with one edit."""

    program: Program
    arrays: Mapping[str, Array]
    numbers: Mapping[str, float]
    extents: Mapping[str, Shape]
    name: str
    index: tuple[int, ...] = ()

    @classmethod
    def of(cls, op: Op, arrays: Mapping[str, Array], name: str, *index: int) -> Calculation:
        """Of an op's result, or of a gradient where ``dy`` is given."""
        shapes = {key: array.shape for key, array in arrays.items() if key != "dy"}
        program = op.program(shapes)
        if name in op.gradients:
            program = program.gradients(tuple(key[1:] for key in op.gradients if key[1:] in shapes))
        return cls(program, arrays, op.numbers(shapes), op.extents(shapes), name, index)

    @property
    def tensors(self) -> Tensors:
        return Tensors(self.program, self.arrays, self.numbers, self.extents)

    @property
    def tensor(self) -> Array:
        """Every number of it."""
        return np.asarray(self.tensors[self.name], np.float64)

    @property
    def value(self) -> float:
        return float(self.tensor[self.index])

    @property
    def place(self) -> str:
        return place_of(self.name, self.index)

    def edited(self, old: str, new: str, name: str = "") -> Calculation:
        """With `new` in place of `old` in the sentence, or in the sentence `name`."""
        return replace(self, program=self.program.edited(name or self.name, old, new))

    def at(self, *index: int) -> Calculation:
        return replace(self, index=index)

    def under(self, **numbers: float) -> Calculation:
        """With other settings."""
        return replace(self, numbers={**self.numbers, **numbers})

    def reading(self, **arrays: Array) -> Calculation:
        """With other tensors."""
        return replace(self, arrays={**self.arrays, **arrays})

    def explain(self, per_page: int = 50) -> Explanation:
        return explain(self.tensors, self.name, self.index, per_page=per_page)


@dataclass(frozen=True)
class Wrong:
    """The answer that a mistake leads to, with the calculation that makes it where there is one."""

    mistake: str
    answer: Answer
    words: str = ""
    calculation: Calculation | None = None

    @property
    def feedback(self) -> str:
        return self.words or MISTAKES[self.mistake].feedback


def told(mistake: str, calculation: Calculation, words: str = "") -> Wrong:
    """The mistake of a number."""
    return Wrong(mistake, calculation.value, words, calculation)


@dataclass(frozen=True)
class Hint:
    """`places` are those of the cells that are lit."""

    text: str
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """One of several answers; `tensor` is what is drawn, if anything is."""

    name: str
    text: str
    tensor: Array | None = None


@dataclass(frozen=True)
class Item:
    """One exercise with its numbers. `decimals` says to how many the answer is asked, None for an exact one."""

    question: str
    answer: Answer
    wrongs: tuple[Wrong, ...]
    hints: tuple[Hint, ...]
    decimals: int | None = None
    op: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Array] = field(default_factory=dict)
    calculation: Calculation | None = None
    shape: tuple[int, ...] = ()
    choices: tuple[Choice, ...] = ()
    also: tuple[float, ...] = ()  # answers that are as right: the sum of rounded products
    solution: str = ""  # why the right answer is right, where no sentence says it

    @property
    def tolerance(self) -> float:
        return ROUNDING if self.decimals is None else 0.5 * 10.0**-self.decimals + ROUNDING

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(choice.name for choice in self.choices)


@dataclass(frozen=True)
class Verdict:
    """`cells` says of a grid which numbers are right."""

    right: bool
    wrong: Wrong | None = None
    cells: Array | None = None


@dataclass(frozen=True)
class Family:
    """Exercises of one sort; `lesson` is where they are taught, and the item of seed 0 is the lesson's own where the
    lesson has one. `draw` may answer None: other numbers, please."""

    name: str
    title: str
    kind: Kind
    lesson: int
    draw: Callable[[Draw], Item | None]
    first: Callable[[], Item] | None = None

    @property
    def source(self) -> str:
        return f"lesson {self.lesson}"

    def item(self, seed: int) -> Item:
        """The same item for the same seed on every machine."""
        return _item(self, seed)

    def read(self, item: Item, given: Any) -> Answer:
        """AnswerError where it cannot be read."""
        return self.kind.read(given, item.shape, item.names)

    def judge(self, item: Item, answer: Answer) -> Verdict:
        """Whether it is right, and if not, the one mistake that leads to it."""
        cells = None
        if self.kind.name == "grid":
            cells = np.abs(np.asarray(answer) - np.asarray(item.answer)) <= item.tolerance
        if any(self.kind.apart(answer, right) <= item.tolerance for right in (item.answer, *item.also)):
            return Verdict(True, cells=cells)
        found = [wrong for wrong in item.wrongs if self.kind.apart(answer, wrong.answer) <= item.tolerance]
        return Verdict(False, found[0] if len({wrong.mistake for wrong in found}) == 1 else None, cells)

    def clashes(self, item: Item) -> set[int]:
        """The wrong answers, by number, that cannot be told from the right one or from another mistake's."""
        least = MARGIN * item.tolerance
        clashing = {k for k, wrong in enumerate(item.wrongs) if self.kind.apart(wrong.answer, item.answer) < least}
        for (a, one), (b, other) in combinations(enumerate(item.wrongs), 2):
            if one.mistake != other.mistake and self.kind.apart(one.answer, other.answer) < least:
                clashing |= {a, b}
        return clashing

    def fits(self, item: Item) -> bool:
        return not self.clashes(item) and (not self.kind.numeric or bool(np.any(item.answer)))


@lru_cache(maxsize=1024)
def _item(family: Family, seed: int) -> Item:
    if seed == 0 and family.first is not None:
        return _usual(family, family.first())
    last: Item | None = None
    attempt = 0
    while last is None or attempt < DRAWS:
        item = family.draw(Draw(f"{family.name}/{seed}/{attempt}"))
        if item is not None and family.fits(item):
            return item
        last, attempt = item or last, attempt + 1
    clashing = family.clashes(last)
    return replace(last, wrongs=tuple(wrong for k, wrong in enumerate(last.wrongs) if k not in clashing))


def _usual(family: Family, item: Item) -> Item:
    """A lesson's own item, whose numbers stay: of mistakes with the same answer the first, most usual one is kept."""
    for k in range(len(item.wrongs), 0, -1):
        shorter = replace(item, wrongs=item.wrongs[:k])
        if k - 1 in family.clashes(shorter):
            item = replace(item, wrongs=item.wrongs[: k - 1] + item.wrongs[k:])
    return item


FAMILIES: dict[str, Family] = {}


def family(
    name: str, title: str, kind: str, lesson: int, first: Callable[[], Item] | None = None
) -> Callable[[Callable[[Draw], Item | None]], Callable[[Draw], Item | None]]:
    """Register the function that draws the items of a family."""

    def register(draw: Callable[[Draw], Item | None]) -> Callable[[Draw], Item | None]:
        FAMILIES[name] = Family(name, title, KINDS[kind], lesson, draw, first)
        return draw

    return register


# words --------------------------------------------------------------------------------------------------------------


def written(value: float, decimals: int = 3) -> str:
    """A number as the screen writes it, with a real minus sign."""
    text = f"{round(float(value), decimals):.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text.replace("-", "−")


def table(array: Array) -> str:
    """A grid in words: rows with a slash between."""
    return " / ".join(" ".join(written(value) for value in row) for row in np.atleast_2d(array))


def hints_of(first: str, calculation: Calculation, decimals: int = 3) -> tuple[Hint, Hint, Hint]:
    """Three hints for a sum of products: a question with one cell lit, the pairs, one product."""
    found = calculation.explain()
    cells = [(term, [found.reads[k] for k in term.reads]) for term in found.terms]
    there = [(term, reads) for term, reads in cells if reads and all(read.inside for read in reads)]
    places = [tuple(place_of(read.tensor, read.index) for read in reads) for _, reads in there]
    pairs = [" with ".join(written(read.value, decimals) for read in reads) for _, reads in there]
    lone = "The number that counts here is" if len(pairs) == 1 else f"{len(pairs)} terms add up:"
    second = f"{lone} {', '.join(pairs)}." if pairs else "No term is left: everything that is read lies outside."
    lit = tuple(dict.fromkeys(place for pair in places for place in pair))
    products = [(term, pair) for (term, _), pair in zip(there, places, strict=True) if len(pair) > 1]
    if len(there) > 1 and products:
        term, pair = products[0]
        factors = " · ".join(written(factor, decimals) for factor in term.factors)
        third = Hint(f"The first of them: {factors} = {written(term.value, decimals)}.", pair)
    elif len(there) > 2:
        added = written(there[0][0].value + there[1][0].value, decimals)
        third = Hint(f"The first two of them add up to {added}.", (*places[0], *places[1]))
    else:
        third = Hint("Mind the sign of each number, and what it is multiplied by.", lit)
    return Hint(first, places[0][:1] if places else ()), Hint(second, lit), third
