"""Typed settings of ops and optimizers: each checks a value from outside and describes itself as JSON Schema."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]

#: The largest stride, kernel or padding that is accepted; larger ones only cost memory.
LARGEST = 4096


class SettingError(ValueError):
    """A setting that cannot be used: ``loc`` names it, ``detail`` says what was expected and what was got."""

    def __init__(self, loc: list[str | int], detail: str):
        super().__init__(f"{'.'.join(map(str, loc))}: {detail}" if loc else detail)
        self.loc = loc
        self.detail = detail


def said(value: Any) -> str:
    """A value from outside, written as whoever sent it did: true, null, lists in brackets; cut where it is long."""
    match value:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case list() | tuple():
            return f"[{', '.join(said(item) for item in value[:8])}{', ...' if len(value) > 8 else ''}]"
        case Mapping():
            return f"{{{', '.join(f'{said(name)}: {said(item)}' for name, item in list(value.items())[:8])}}}"
    written = repr(value)
    return written if len(written) <= 80 else f"{written[:80]}..."


def _integer(value: Any, low: int, high: int, expected: str) -> int:
    """`value` as an int; booleans and fractions are refused."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise SettingError([], f"expected {expected}, got {said(value)}")
    if int(value) != value or not low <= value <= high:
        raise SettingError([], f"expected {expected}, got {said(value)}")
    return int(value)


@dataclass(frozen=True)
class Setting:
    """A default, a description, and in the subclasses a check."""

    default: Any
    description: str = ""
    example: Any = field(default=None, kw_only=True)  # what to begin with, where the default is only a convention
    title: str = field(default="", kw_only=True)  # what people call it, where its name is not that

    def check(self, value: Any) -> Any:
        """The value in its one inner form, or SettingError with an empty ``loc``."""
        raise NotImplementedError

    def kind(self) -> Schema:
        """The JSON Schema without default and description."""
        raise NotImplementedError

    def schema(self) -> Schema:
        shown: Schema = {} if self.example is None else {"examples": [self.example]}
        shown |= {"title": self.title} if self.title else {}
        return {**self.kind(), "default": self.default, "description": self.description, **shown}


@dataclass(frozen=True)
class Int(Setting):
    low: int = 1
    high: int = LARGEST
    optional: bool = False
    nonzero: bool = False

    def check(self, value: Any) -> int | None:
        if value is None and self.optional:
            return None
        expected = f"a whole number from {self.low} to {self.high}" + (" other than 0" if self.nonzero else "")
        number = _integer(value, self.low, self.high, expected)
        if self.nonzero and number == 0:
            raise SettingError([], f"expected {expected}, got 0")
        return number

    def kind(self) -> Schema:
        schema: Schema = {
            "type": ["integer", "null"] if self.optional else "integer",
            "minimum": self.low,
            "maximum": self.high,
        }
        return {**schema, "not": {"const": 0}} if self.nonzero else schema


@dataclass(frozen=True)
class Axis(Int):
    """An axis of a tensor; negative ones count from the end."""

    low: int = -64
    high: int = 63


@dataclass(frozen=True)
class Float(Setting):
    low: float = -1e12
    high: float = 1e12
    above: bool = False  # the low end itself is refused
    below: bool = False  # the high end itself is refused

    def check(self, value: Any) -> float:
        fits = (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and self.low <= value <= self.high
            and not (self.above and value == self.low)
            and not (self.below and value == self.high)
        )
        if not fits:
            low = f"above {self.low:g}" if self.above else f"from {self.low:g}"
            high = f"below {self.high:g}" if self.below else f"to {self.high:g}"
            raise SettingError([], f"expected a number {low} {high}, got {said(value)}")
        return float(value)

    def kind(self) -> Schema:
        return {
            "type": "number",
            "exclusiveMinimum" if self.above else "minimum": self.low,
            "exclusiveMaximum" if self.below else "maximum": self.high,
        }


@dataclass(frozen=True)
class Floats(Setting):
    """A number, or a list of them."""

    nonzero: bool = False
    most: int = LARGEST

    def check(self, value: Any) -> tuple[float, ...]:
        expected = "a number or a list of numbers" + (", none of them 0" if self.nonzero else "")
        values = value if isinstance(value, (list, tuple)) else [value]
        numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values)
        if not numbers or not 1 <= len(values) <= self.most:
            raise SettingError([], f"expected {expected}, got {said(value)}")
        if any(not abs(each) <= 1e12 or (self.nonzero and each == 0) for each in values):
            raise SettingError([], f"expected {expected}, at most 1e12, got {said(value)}")
        return tuple(map(float, values))

    def kind(self) -> Schema:
        one: Schema = {"type": "number", "minimum": -1e12, "maximum": 1e12}
        one |= {"not": {"const": 0}} if self.nonzero else {}
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": self.most}]}


@dataclass(frozen=True)
class Bool(Setting):
    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise SettingError([], f"expected true or false, got {said(value)}")
        return value

    def kind(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Choice(Setting):
    options: tuple[str, ...] = ()

    def check(self, value: Any) -> str:
        if value not in self.options:
            raise SettingError([], f"expected one of {', '.join(self.options)}, got {said(value)}")
        return str(value)

    def kind(self) -> Schema:
        return {"enum": list(self.options)}


@dataclass(frozen=True)
class Pair(Setting):
    """An int or [height, width]; ``default=None`` means that another setting stands in, ``...`` that it is required."""

    low: int = 1
    high: int = LARGEST

    def check(self, value: Any) -> tuple[int, int] | None:
        if value is None and self.default is None:
            return None
        expected = f"a whole number from {self.low} to {self.high}, or two of them [height, width]"
        if isinstance(value, (list, tuple)):
            if len(value) != 2:
                raise SettingError([], f"expected {expected}, got {len(value)} values")
            height, width = (_integer(each, self.low, self.high, expected) for each in value)
            return (height, width)
        number = _integer(value, self.low, self.high, expected)
        return (number, number)

    def kind(self) -> Schema:
        one = {"type": "integer", "minimum": self.low, "maximum": self.high}
        two = {"type": "array", "items": one, "minItems": 2, "maxItems": 2}
        return {"anyOf": [one, two, {"type": "null"}] if self.default is None else [one, two]}


@dataclass(frozen=True)
class Numbers(Setting):
    """A fixed count of numbers, as Adam's betas."""

    count: int = 2
    low: float = 0.0
    high: float = 1.0

    def check(self, value: Any) -> tuple[float, ...]:
        one = Float(0, low=self.low, high=self.high, below=True)
        if not isinstance(value, (list, tuple)) or len(value) != self.count:
            raise SettingError([], f"expected {self.count} numbers, got {said(value)}")
        return tuple(one.check(item) for item in value)

    def kind(self) -> Schema:
        one = Float(0, low=self.low, high=self.high, below=True).kind()
        return {"type": "array", "items": one, "minItems": self.count, "maxItems": self.count}


@dataclass(frozen=True)
class Padding(Setting):
    """An int, [height, width], [top, bottom, left, right] or a word; kept as four ints or as the word."""

    words: tuple[str, ...] = ("valid", "same")

    def check(self, value: Any) -> tuple[int, int, int, int] | str:
        expected = (
            f"a whole number from 0 to {LARGEST}, [height, width], [top, bottom, left, right] "
            f"or one of {', '.join(self.words)}"
        )
        if isinstance(value, str):
            if value not in self.words:
                raise SettingError([], f"expected {expected}, got {said(value)}")
            return value
        if isinstance(value, (list, tuple)):
            sides = [_integer(side, 0, LARGEST, expected) for side in value]
            if len(sides) == 2:
                return (sides[0], sides[0], sides[1], sides[1])
            if len(sides) == 4:
                return (sides[0], sides[1], sides[2], sides[3])
            raise SettingError([], f"expected {expected}, got {len(sides)} values")
        side = _integer(value, 0, LARGEST, expected)
        return (side, side, side, side)

    def kind(self) -> Schema:
        one = {"type": "integer", "minimum": 0, "maximum": LARGEST}
        two = {"type": "array", "items": one, "minItems": 2, "maxItems": 2}
        four = {"type": "array", "items": one, "minItems": 4, "maxItems": 4}
        return {"anyOf": [one, two, four, {"enum": list(self.words)}]}


#: The default of a setting that must be given.
REQUIRED: Any = ...


def read_settings(known: Mapping[str, Setting], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every known setting, checked; what is left out takes its default. Unknown names are refused."""
    for name in given:
        if name not in known:
            names = ", ".join(known) or "none"
            raise SettingError([name], f"there is no such setting; known: {names}")
    values = {}
    for name, setting in known.items():
        if name not in given and setting.default is REQUIRED:
            raise SettingError([name], "this setting is needed")
        try:
            values[name] = setting.check(given.get(name, setting.default))
        except SettingError as error:
            raise SettingError([name, *error.loc], error.detail) from None
    return values


def settings_schema(known: Mapping[str, Setting]) -> Schema:
    """The JSON Schema of an object with these settings."""
    properties = {}
    for name, setting in known.items():
        schema = setting.schema()
        if setting.default is REQUIRED:
            del schema["default"]
        properties[name] = schema
    required = [name for name, setting in known.items() if setting.default is REQUIRED]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
