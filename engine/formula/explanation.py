"""What an explanation holds: plain frozen records."""

from __future__ import annotations

from dataclasses import dataclass

from engine.formula.mathml import Equation


@dataclass(frozen=True)
class Read:
    """A cell that a term reads. Where nothing is read `inside` is False and the value 0: the place lies outside
    (padding), or, with `gap`, between two cells (a stride leaves it out), after the cell that the index names."""

    tensor: str
    index: tuple[int, ...]
    value: float
    inside: bool
    gap: bool = False


@dataclass(frozen=True)
class Part:
    """What a factor of a term is.

    role: "read" (a cell), "made" (computed from cells: a difference, a function), "divisor" (1 over a cell),
    "made_divisor" (1 over what is computed from cells), "constant", "constant_divisor", "test" (1 where a comparison
    of cells holds, else 0), or "winner" (1 for the candidate that a maximum takes, 0 for the others). value: the
    factor, or what it divides by. reads: positions in the explanation's reads. text: what stands in the sentence,
    without indices.
    """

    role: str
    value: float
    reads: list[int]
    text: str


@dataclass(frozen=True)
class Term:
    """One term. value == math.prod(factors), except that an infinite candidate that did not win counts 0.

    reads: positions in the explanation's reads, in the order of the factors; at: where the reducer's letters
    stand; family: which summand of the sentence; label: a word for a family of a single read, "bias";
    parts: what each factor is.
    """

    reads: list[int]
    factors: list[float]
    value: float
    at: dict[str, int]
    family: int
    label: str
    parts: list[Part]


@dataclass(frozen=True)
class Group:
    """The subtotal of `count` terms at which `letter` stands at `at`; `first` is the number of the first in
    index order."""

    letter: str
    at: int
    value: float
    count: int
    first: int


@dataclass(frozen=True)
class Explanation:
    """value == math.fsum(all terms of all pages) + remainder. Counts are of the listed terms; `pages` and
    `page_sum` are of the asked group where one was asked. `largest` says that the value is not the sum of the
    candidates but the largest of them. `before` is what stood there before it was set by hand."""

    value: float
    equation: Equation
    sentence: str
    reads: list[Read]
    terms: list[Term]
    terms_total: int
    page: int
    pages: int
    page_sum: float
    remainder: float
    groups: list[Group]
    largest: bool = False
    before: float | None = None
