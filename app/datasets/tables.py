"""A table of pictures: a row for each, one column for the class, the others for its pixels."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np

from app.datasets.gathered import Gathered, numbered
from app.limits import Limits
from app.problems import over_limit
from engine.data import DataError

#: Names of the column that holds the class.
LABELS = ("label", "class", "target", "y", "digit", "category", "species")
LONGEST_LINE = 1 << 20
MOST_COLUMNS = 50_000
SIXTEEN = 16


def read_table(path: Path, limits: Limits) -> Gathered:
    """DataError for a table whose rows are no pictures."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(file, limits)
    except UnicodeDecodeError:
        raise DataError("the table is no text in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"the table cannot be read: {error}") from None


def _read(file: IO[str], limits: Limits) -> Gathered:
    lines = _lines(file)
    first = next(lines, "")
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter)
    head = next(rows, [])
    columns = len(head)
    if columns < 2:
        raise DataError("expected a table with commas: a column for the class and one for each pixel")
    if columns > MOST_COLUMNS:
        raise DataError(f"the table has {columns} columns; at most {MOST_COLUMNS} are taken")
    names = None if all(map(_is_number, head[1:-1])) and columns > 2 else [name.strip().lower() for name in head]
    label = next((names.index(name) for name in LABELS if name in names), None) if names else None
    pixels: list[np.ndarray] = []
    labels: list[str] = []
    ends: list[tuple[str, str]] = []
    held = 0
    for number, row in enumerate(rows if names else itertools.chain([head], rows), 2 if names else 1):
        if not row:
            continue
        if len(row) != columns:
            raise DataError(f"line {number} has {len(row)} columns, expected {columns} as in the first line")
        if held > limits.dataset_elements:
            words = f"the table has more than {len(labels)} rows of {columns} columns, which would take more memory"
            raise over_limit("dataset_elements", limits.dataset_elements, words)
        if len(labels) >= limits.dataset_images:
            raise over_limit("dataset_images", limits.dataset_images, f"the table has more than {len(labels)} rows")
        if label is None:
            labels.append("")
            ends.append((row[0], row[-1]))
            inside = row[1:-1]
        else:
            labels.append(row[label])
            inside = row[:label] + row[label + 1 :]
        try:
            pixels.append(_compact(np.array(inside, np.float32)))
            held += pixels[-1].nbytes
        except ValueError:
            wrong = next(each for each in inside if not _is_number(each))
            raise DataError(f"line {number}: {wrong[:40]!r} is no number") from None
    if not labels:
        raise DataError("the table has no rows")
    notes = []
    stack = np.stack(pixels)
    pixels.clear()
    if label is None:
        at = _label_end(ends)
        label = -1 if at else 0
        notes.append(f"the {'last' if at else 'first'} column was taken for the class")
        labels = [row[at] for row in ends]
        try:
            rest = _compact(np.array([row[1 - at] for row in ends], np.float32))[:, None]
        except ValueError:
            raise DataError(f"the {'first' if at else 'last'} column holds no numbers") from None
        stack = np.concatenate([rest, stack] if at else [stack, rest], 1)
    if not np.isfinite(stack).all():
        raise DataError("the table holds NaN or infinity")
    stack = _scaled(stack, notes)
    classes, class_names = _classes(labels, notes)
    return Gathered(_pictures(stack, notes), classes, class_names, notes)


def _lines(file: IO[str]) -> Iterator[str]:
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise DataError(f"line {number} has more than {LONGEST_LINE} characters")
        yield line


def _compact(row: np.ndarray) -> np.ndarray:
    """Bytes where they hold the same numbers."""
    if len(row) and row.min() >= 0 and row.max() <= 255:
        small = row.astype(np.uint8)
        return small if (small == row).all() else row
    return row


def _scaled(stack: np.ndarray, notes: list[str]) -> np.ndarray:
    """Text has no type, so that the largest number says what white is: 1, 16 (scikit-learn's digits) or 255."""
    most = float(stack.max())
    if stack.dtype == np.uint8 and most <= SIXTEEN:
        notes.append(f"pixels of 0 to {most:g}" + (" were divided by 16" if most > 1 else " were taken as they are"))
        return (stack / (SIXTEEN if most > 1 else 1)).astype(np.float32)
    return stack


def _is_number(text: str) -> bool:
    with suppress(ValueError):
        float(text)
        return True
    return False


def _label_end(ends: list[tuple[str, str]]) -> int:
    """Whether the class stands in the first column (0) or in the last one (1): the one that holds words, or else whole
    numbers of which there are several but fewer than in the other, or else the first."""
    for at in (0, 1):
        if not all(_is_number(row[at]) for row in ends):
            return at
    counts = []
    for at in (0, 1):
        values = {float(row[at]) for row in ends}
        several = 1 < len(values) <= max(2, min(1000, len(ends) // 2)) and all(value.is_integer() for value in values)
        counts.append(len(values) if several else len(ends) + 1)
    return int(counts[1] < counts[0])


def _classes(labels: list[str], notes: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class numbers and names. Numbers that are not whole are targets to be predicted, and no classes."""
    words = [label.strip() for label in labels]
    if all(map(_is_number, words)):
        values = np.array(words, np.float64)
        if not np.isfinite(values).all():
            raise DataError("the column of the class holds NaN or infinity")
        if (values != np.floor(values)).any():
            notes.append("the column of the class holds numbers that are not whole: they are to be predicted")
            return values.astype(np.float32)[:, None], ()
        words = [str(int(value)) for value in values]
    return numbered(words)


def _pictures(stack: np.ndarray, notes: list[str]) -> np.ndarray:
    """(N, 1, side, side), or (N, 3, side, side) where only that comes out even."""
    count = stack.shape[1]
    side = round(count**0.5)
    if side * side == count:
        notes.append(f"{count} columns of pixels are pictures of {side} x {side}")
        return stack.reshape(-1, 1, side, side)
    side = round((count / 3) ** 0.5)
    if 3 * side * side == count:
        notes.append(f"{count} columns of pixels are {side} x {side} of red, then of green, then of blue")
        return stack.reshape(-1, 3, side, side)
    raise DataError(f"{count} columns of pixels make no square picture, in grey or in three colours")
