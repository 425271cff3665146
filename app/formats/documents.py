"""The engine's facts as JSON documents: explanations, timelines, shapes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.formula import Explanation
from engine.timeline import Timeline


def plain(value: Any) -> Any:
    """Dataclasses, mappings and tuples as dicts and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def explanation(place: str, found: Explanation) -> dict[str, Any]:
    """An explanation as api.md has it: equation, reads, terms of this page, and what they leave over."""
    document = {"place": place, **plain(found)}
    if found.before is None:
        del document["before"]
    return document


def timeline(found: Timeline) -> dict[str, Any]:
    """What happens in a pass in which order, and how every read moves. No values."""
    document = plain(found)
    for phase in document["phases"]:
        phase["steps"] = [{"name": name, "equation": equation} for name, equation in phase["steps"]]
    return document
