"""On which line of a JSON text each value begins: for people who write the text by hand."""

from __future__ import annotations

import json
from json.decoder import scanstring  # type: ignore[attr-defined]

Loc = tuple[str | int, ...]
_DECODER = json.JSONDecoder()


def lines_of(text: str) -> dict[Loc, int]:
    """The line, from 1, of every value of a text that is valid JSON, by the names and positions that lead to it."""
    lines: dict[Loc, int] = {}
    _value(text, 0, (), lines)
    return lines


def _value(text: str, at: int, loc: Loc, lines: dict[Loc, int]) -> int:
    """Note the value that begins at or after a position, and answer where it ends."""
    at = _skip(text, at)
    lines[loc] = text.count("\n", 0, at) + 1
    if text[at] not in "{[":
        return _DECODER.raw_decode(text, at)[1]
    named, end = text[at] == "{", "}" if text[at] == "{" else "]"
    at = _skip(text, at + 1)
    for k in range(len(text)):
        if text[at] == end:
            break
        name: str | int = k
        if named:
            name, at = scanstring(text, at + 1)
            at = _skip(text, at) + 1  # the colon
        at = _skip(text, _value(text, at, (*loc, name), lines))
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\n", "\r", "\ufeff"):
        at += 1
    return at
