"""JSON in and out: strict on the way in (no NaN, no bombs), arrays and non-finite numbers on the way out."""

from __future__ import annotations

import gc
import json
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, NoReturn

import numpy as np

from app.limits import Limits
from app.problems import Loc, invalid, malformed, over_limit

LARGEST_INTEGER = 2**53
DEEPEST = 32
#: Numbers written between two chances for other threads to run.
BLOCK = 4096
#: The same for documents in a list.
FEW = 16


def decode(content: bytes, names: int = Limits.names, lists: int = Limits.lists) -> Any:
    """The value of a JSON text, or 400. NaN, Infinity, numbers beyond float64 and names given twice are refused; more
    than so many names in one object, or lists in all, are 413."""

    def refuse(word: str) -> NoReturn:
        raise malformed(f"JSON has no {word}; NaN and infinity may arrive in .npz only")

    def together(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(pairs) > names:
            raise over_limit("names", names, f"{len(pairs)} names in one object; at most {names} are taken")
        made = dict(pairs)
        if len(made) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            twice = next(name for name, count in counts.items() if count > 1)
            raise malformed(f"{json.dumps(twice)[:80]} is given {counts[twice]} times in one object")
        return made

    if (opened := content.count(b"[")) > lists:
        raise over_limit("lists", lists, f"{opened} lists in one body; at most {lists} are taken")
    if b"\0" in content:
        raise malformed("the JSON text holds zero bytes, as UTF-16 and UTF-32 do; expected UTF-8")
    try:
        with _uncollected():
            return json.loads(content.decode("utf-8-sig"), parse_constant=refuse, object_pairs_hook=together)
    except RecursionError:
        raise malformed("the JSON text is nested too deeply") from None
    except UnicodeDecodeError:
        raise malformed("the JSON text is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise malformed(f"this is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError:
        raise malformed("a number in the JSON text has too many digits") from None


@contextmanager
def _uncollected() -> Iterator[None]:
    """New lists are no garbage; looking for some among them again and again takes longer than making them."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def check_plain(value: Any, loc: Loc = (), depth: int = 0) -> None:
    """Refuse numbers that no setting can hold, and nesting beyond what any document needs."""
    if depth > DEEPEST:
        raise malformed(f"nested more than {DEEPEST} deep", loc)
    if isinstance(value, dict):
        for name, item in value.items():
            check_plain(item, (*loc, name), depth + 1)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            check_plain(item, (*loc, position), depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise malformed("a number is beyond the range of float64", loc)
    elif type(value) is int and abs(value) > LARGEST_INTEGER:
        raise invalid("a whole number is beyond 2**53", loc)


def encode(value: Any, numbers: int = Limits.json_numbers) -> bytes:
    """JSON in ASCII. Arrays become nested lists; NaN and infinities become strings. 413 for more numbers in arrays."""
    held = _numbers(value)
    if held > numbers:
        raise over_limit(
            "json_numbers",
            numbers,
            f"the answer holds {held} numbers; at most {numbers} are written as JSON, ask for more with Accept: "
            "application/x-npz",
        )
    return b"".join(part.encode("ascii") for part in _parts(value))


def _numbers(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(_numbers, value.values()))
    return value.size if isinstance(value, np.ndarray) else 0


def _parts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield "{"
        for position, (name, item) in enumerate(value.items()):
            yield f"{',' if position else ''}{json.dumps(str(name))}:"
            yield from _parts(item)
        yield "}"
    elif isinstance(value, (np.ndarray, np.generic)):
        yield from _array_parts(np.asarray(value))
    elif isinstance(value, list) and value:
        length = FEW if isinstance(value[0], (dict, list)) else BLOCK
        pieces = (_dumps(value[start : start + length])[1:-1] for start in range(0, len(value), length))
        yield f"[{','.join(pieces)}]"
    else:
        yield _dumps(value)


def _array_parts(array: np.ndarray) -> Iterator[str]:
    if array.ndim == 0 or array.size <= BLOCK:
        yield _dumps(array.tolist()) if _finite(array) else _dumps(_worded(array.tolist()))
        return
    yield "["
    rows = max(1, BLOCK * len(array) // array.size)
    for start in range(0, len(array), rows):
        yield "," if start else ""
        if rows > 1:
            yield "".join(_array_parts(array[start : start + rows]))[1:-1]
        else:
            yield from _array_parts(array[start])
    yield "]"


def shown(value: Any, width: int, python: bool = False, indent: int = 0, column: int = 0) -> str:
    """A document as a person reads it, in JSON or as a literal of Python: what fits on a line stands on one, rows of a
    tensor stand below one another."""
    flat = _flat(value, python)
    nested = isinstance(value, list) and any(isinstance(item, (list, dict)) for item in value)
    if column + len(flat) <= width or not (nested or isinstance(value, dict)):
        return flat
    if nested:
        rows = [shown(item, width, python, column + 1, column + 1) for item in value]
        return "[" + (",\n" + " " * (column + 1)).join(rows) + "]"
    lines = []
    for name, item in value.items():
        start = f"{' ' * (indent + 2)}{json.dumps(name)}: "
        lines.append(start + shown(item, width, python, indent + 2, len(start)))
    return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"


def _flat(value: Any, python: bool) -> str:
    return repr(value).replace("'", '"') if python else json.dumps(value)


def _finite(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _dumps(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_worded(value), allow_nan=False, separators=(",", ":"))


def _worded(value: Any) -> Any:
    """The value with NaN and infinities in words."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {name: _worded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_worded(item) for item in value]
    return value


def array(value: Any, loc: Loc, dtype: np.dtype, *, rank: int, elements: int) -> np.ndarray:
    """A tensor from nested lists (or an array as .npz brings it), in `dtype`, with at most `rank` axes.

    Raises 400 for what is ragged or holds anything but finite numbers, 413 for what exceeds a limit, 422 for what is
    empty.
    """
    name = ".".join(map(str, loc))
    if isinstance(value, np.ndarray):
        found = value
    else:
        found = _from_lists(value, loc, name, rank)
    if found.ndim > rank:
        raise over_limit("rank", rank, f"{name} has {found.ndim} axes; at most {rank} are taken", loc)
    if not found.size:
        raise invalid(f"{name} is empty: {list(found.shape)}", loc)
    if found.size > elements:
        raise over_limit("elements", elements, f"{name} has {found.size} elements; at most {elements} are taken", loc)
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(found, dtype=dtype).reshape(found.shape)
    if isinstance(value, np.ndarray):
        return cast
    if not np.isfinite(cast).all():
        raise malformed(f"{name} holds a number beyond the range of {dtype}", loc)
    return cast


def _from_lists(value: Any, loc: Loc, name: str, rank: int) -> np.ndarray:
    shape: list[int] = []
    level: list[Any] = [value]
    while level and isinstance(level[0], list):
        if len(shape) == rank:
            raise over_limit("rank", rank, f"{name} is nested deeper than {rank} axes", loc)
        if set(map(type, level)) != {list}:
            raise malformed(f"{name} is ragged: numbers and lists stand side by side at depth {len(shape)}", loc)
        lengths = set(map(len, level))
        if len(lengths) > 1:
            raise malformed(f"{name} is ragged: lists of {_some(lengths)} side by side at depth {len(shape)}", loc)
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    blocks = [level[start : start + BLOCK] for start in range(0, max(1, len(level)), BLOCK)]
    kinds = set().union(*(map(type, block) for block in blocks))
    if list in kinds:
        raise malformed(f"{name} is ragged: numbers and lists stand side by side at depth {len(shape)}", loc)
    if not kinds <= {int, float}:
        odd = sorted(_WORDS.get(kind, kind.__name__) for kind in kinds - {int, float})
        raise malformed(f"{name}: expected numbers, got {' and '.join(odd)}", loc)
    try:
        return np.concatenate([np.array(block, np.float64) for block in blocks]).reshape(shape)
    except OverflowError:
        raise malformed(f"{name} holds a number beyond the range of float64", loc) from None


_WORDS = {bool: "booleans", str: "strings", dict: "objects", type(None): "null"}


def _some(lengths: set[int]) -> str:
    return " and ".join(map(str, sorted(lengths)[:3])) + (" and others" if len(lengths) > 3 else "")
