"""Answers as people write them, read and compared: numbers, cells, grids, choices, orders."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
#: A number, a grid of numbers, a cell's row and column, the name of a choice, or names in order.
Answer = float | Array | tuple[int, ...] | str | tuple[str, ...]

#: The longest number that is read, in characters; longer ones are no answers.
LONGEST = 40
#: Beside a tolerance, what float64 may be off.
ROUNDING = 1e-9
EXPECTED = "expected a number, as 0.5, .5, 0,5, −0.5, 1/2 or 5e-1"
_MINUS = str.maketrans(dict.fromkeys("\u2212\u2013\u2014\u2010\u2011\ufe63", "-") | {"\u2044": "/", "\u2215": "/"})
_NUMBER = re.compile(r"([+-]?)\s*(\d+(?:[.,]\d*)?|[.,]\d+)(?:e([+-]?\d{1,3}))?")
_FRACTION = re.compile(r"(.+?)\s*/\s*(.+)")


class AnswerError(ValueError):
    """It cannot be read as an answer; the message says what was expected and what was got."""


def number(given: Any) -> float:
    """A number as people write it: ``.5``, ``0,5``, ``−0.5``, ``1/2``, ``5e-1``, ``+3``."""
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return _finite(given, given)
    if not isinstance(given, str):
        raise AnswerError(f"not a number yet: {EXPECTED}; got {_short(given)}")
    text = _plain(given)
    parts = match.groups() if (match := _FRACTION.fullmatch(text)) else (text,)
    values = [_decimal(part, given) for part in parts]
    if len(values) == 1:
        return values[0]
    if values[1] == 0:
        raise AnswerError(f"not a number yet: {_short(given)} divides by 0")
    return _finite(values[0] / values[1], given)


def _plain(given: str) -> str:
    if len(given) > LONGEST:
        raise AnswerError(f"not a number yet: {EXPECTED}; got {len(given)} characters, at most {LONGEST} are read")
    return unicodedata.normalize("NFKC", given.strip()).translate(_MINUS).strip().lower()


def _decimal(text: str, given: Any) -> float:
    match = _NUMBER.fullmatch(text)
    if match is None or not text.isascii():
        raise AnswerError(f"not a number yet: {EXPECTED}; got {_short(given)}")
    sign, digits, exponent = match.groups()
    return _finite(float(f"{sign}{digits.replace(',', '.')}e{exponent or 0}"), given)


def _finite(value: float, given: Any) -> float:
    try:
        if math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise AnswerError(f"not a number yet: {EXPECTED}; got {_short(given)}")


def _short(given: Any) -> str:
    said = repr(given) if isinstance(given, (str, int, float, bool, type(None))) else f"a {type(given).__name__}"
    return said if len(said) <= LONGEST else said[:LONGEST] + "…"


def grid(given: Any, shape: tuple[int, int]) -> Array:
    """A grid by rows: nested lists of numbers as people write them, or text with a line, or ; or /, for each row."""
    rows = _rows_of_text(given, shape) if isinstance(given, str) else given
    wanted = f"expected {shape[0]} rows of {shape[1]} numbers"
    if not isinstance(rows, list) or len(rows) != shape[0]:
        raise AnswerError(f"{wanted}, got {f'{len(rows)} rows' if isinstance(rows, list) else _short(rows)}")
    for k, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != shape[1]:
            got = f"{len(row)} numbers" if isinstance(row, list) else _short(row)
            raise AnswerError(f"{wanted}, got {got} in row {k}")
    return np.array([[_cell(value, r, c) for c, value in enumerate(row)] for r, row in enumerate(rows)])


def _cell(value: Any, row: int, column: int) -> float:
    try:
        return number(value)
    except AnswerError as error:
        raise AnswerError(f"row {row}, column {column}: {error}") from None


def _rows_of_text(text: str, shape: tuple[int, int]) -> list[list[str]]:
    most = (LONGEST + 4) * (shape[0] * shape[1] + 1)
    if len(text) > most:
        raise AnswerError(f"expected {shape[0]} rows of {shape[1]} numbers, got {len(text)} characters")
    bare = re.sub(r"\]\s*,?\s*\[", "\n", text.strip()).strip("[] \t\n")
    lines = [line for line in re.split(r"[\n;]+", bare) if line.strip()]
    if len(lines) == 1 and shape[0] > 1:
        lines = bare.split("/") if bare.count("/") == shape[0] - 1 else lines
    return [_words(line, shape[1]) for line in lines]


def _words(line: str, count: int) -> list[str]:
    """The numbers of a row: a comma inside one is its point, unless only then there are too few."""
    words = [word.strip(",") for word in line.split() if word.strip(",")]
    return words if len(words) == count else [word for word in re.split(r"[,\s]+", line.strip()) if word]


def cell(given: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A cell of a tensor of this shape: ``[row, column]`` or ``"row,column"``."""
    wanted = f"expected a cell, as {','.join('0' for _ in shape)}, within {'×'.join(map(str, shape))}"
    parts = re.split(r"[,\s]+", given.strip("()[] \t")) if isinstance(given, str) and len(given) <= LONGEST else given
    if not isinstance(parts, list) or len(parts) != len(shape):
        raise AnswerError(f"{wanted}; got {_short(given)}")
    try:
        values = [number(part) for part in parts]
    except AnswerError:
        raise AnswerError(f"{wanted}; got {_short(given)}") from None
    if any(not value.is_integer() or not 0 <= value < size for value, size in zip(values, shape, strict=True)):
        raise AnswerError(f"{wanted}; got {','.join(f'{value:g}' for value in values)}")
    return tuple(map(int, values))


def choice(given: Any, names: Sequence[str]) -> str:
    if isinstance(given, str) and given.strip() in names:
        return given.strip()
    raise AnswerError(f"expected one of {', '.join(names)}; got {_short(given)}")


def order(given: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Every name once, as a list or as text with commas."""
    listed = re.split(r"[,\s]+", given.strip()) if isinstance(given, str) and len(given) < 2000 else given
    whole = isinstance(listed, list) and all(isinstance(name, str) for name in listed)
    if not whole or sorted(listed) != sorted(names):
        raise AnswerError(f"expected each of {', '.join(names)} once, in order; got {_short(given)}")
    return tuple(listed)


@dataclass(frozen=True)
class Kind:
    """How answers of a kind are read and told apart. `apart` is how far two are from one another, in the answer's
    units; for what is no number, 0 or infinity."""

    name: str
    read: Callable[[Any, tuple[int, ...], Sequence[str]], Answer]
    numeric: bool = False

    def apart(self, a: Answer, b: Answer) -> float:
        if self.numeric:
            return float(np.max(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)), initial=0))
        return 0.0 if a == b else math.inf


KINDS = {
    kind.name: kind
    for kind in (
        Kind("number", lambda given, shape, names: number(given), numeric=True),
        Kind("grid", lambda given, shape, names: grid(given, (shape[0], shape[1])), numeric=True),
        Kind("cell", lambda given, shape, names: cell(given, shape)),
        Kind("choice", lambda given, shape, names: choice(given, names)),
        Kind("order", lambda given, shape, names: order(given, names)),
    )
}
