"""What pydantic finds wrong, in the words of problem documents: what was expected, what was got, and where."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

Found = tuple[tuple[str | int, ...], str]

_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
}
_LONGEST = 60


def misfits(
    errors: Iterable[Mapping[str, Any]], document: Any = None, fields: Iterable[str] = ()
) -> list[Found]:
    """Where and what, once for each place. With the document, `loc` leads through it alone: pydantic adds the names
    of its alternatives. `fields` are those that it may have."""
    known = "; there are: " + ", ".join(fields) if fields else ""
    whole: dict[tuple[str | int, ...], str] = {}
    expected: dict[tuple[str | int, ...], list[str]] = {}
    got: dict[tuple[str | int, ...], str] = {}
    for error in errors:
        kind = error["type"]
        loc = tuple(error["loc"]) if document is None else _within(document, error["loc"], kind == "missing")
        if kind in _EXPECTED:
            words = _EXPECTED[kind].format(**error.get("ctx", {}))
            expected.setdefault(loc, [])
            if words not in expected[loc]:
                expected[loc].append(words)
            got[loc] = word(error["input"])
        elif kind == "missing":
            whole[loc] = "expected a value, got none"
        elif kind == "extra_forbidden":
            whole[loc] = f"there is no such field here, got {word(error['input'])}" + known * (len(loc) == 1)
        else:
            whole[loc] = str(error["msg"])
    for loc, kinds in expected.items():
        deeper = any(len(other) > len(loc) and other[: len(loc)] == loc for other in (*whole, *expected))
        if not deeper:  # else that alternative was not meant
            whole.setdefault(loc, f"expected {' or '.join(kinds)}, got {got[loc]}")
    return list(whole.items())


def summary(found: list[Found]) -> str:
    return "; ".join(f"{'.'.join(map(str, loc)) or 'the body'}: {what}" for loc, what in found[:3])


def word(value: Any) -> str:
    """What was got, as JSON writes it; at length only what kind it is."""
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if value is not None and not isinstance(value, (str, int, float)):
        return "a tensor"
    written = json.dumps(value)
    return written if len(written) <= _LONGEST else f"{written[: _LONGEST - 1]}…"


def _within(document: Any, loc: Iterable[str | int], missing: bool) -> tuple[str | int, ...]:
    steps = list(loc)
    path: list[str | int] = []
    for position, step in enumerate(steps):
        inside = isinstance(document, dict) and step in document
        inside = inside or (isinstance(document, list) and isinstance(step, int) and step < len(document))
        if inside:
            document = document[step]
        elif not (missing and position == len(steps) - 1):
            continue
        path.append(step)
    return tuple(path)
