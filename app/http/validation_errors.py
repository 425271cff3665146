"""What pydantic finds wrong, in the words of problem documents: what was expected, what was got, and where."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Loc = tuple[str | int, ...]
Found = tuple[Loc, str]

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


def readable_errors(
    errors: Iterable[Mapping[str, Any]],
    document: Any = None,
    fields: Callable[[Loc], Iterable[str]] = lambda _: (),
) -> list[Found]:
    """Where and what, once for each place. With the document, `loc` leads through it alone: pydantic adds the names
    of its alternatives. `fields` are those that an object at a place may have."""
    whole: dict[Loc, str] = {}
    expected: dict[Loc, list[str]] = {}
    got: dict[Loc, str] = {}
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
            whole[loc] = "this field is needed"
        elif kind == "extra_forbidden":
            known = ", ".join(fields(loc[:-1]))
            said = f"there is no such field here, got {word(error['input'])}"
            whole[loc] = f"{said}; there are: {known}" if known else said
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


def _within(document: Any, loc: Iterable[str | int], missing: bool) -> Loc:
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
