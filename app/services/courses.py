"""Courses as documents, and the inputs of their public tests as calls of POST /api/ops/{op}/check."""

from __future__ import annotations

from typing import Any

from app.problems import missing
from engine.courses import COURSES, TRIED, Course


def listing() -> list[dict[str, Any]]:
    return [_facts(course) for course in COURSES.values()]


def _facts(course: Course) -> dict[str, Any]:
    return {
        "name": course.name,
        "title": course.title,
        "asks": course.asks,
        "layout": course.layout,
        "checks": course.checks,
        "accepted": course.accepted,
        "tried": None if course.accepted is None else TRIED,
        "lets_through": course.lets_through,
        "inputs": list(course.inputs),
    }


def call_of(name: str, inputs: str) -> dict[str, Any]:
    """The call that checks somebody's homework, once their gradients are put in."""
    course = COURSES.get(name)
    if course is None:
        raise missing(f"there is no course {name[:40]!r}; there are: {', '.join(COURSES)}")
    if inputs not in course.inputs:
        there = ", ".join(course.inputs) or "none"
        raise missing(f"{course.title} has no inputs {inputs[:40]!r} here; there are: {there}")
    found = course.inputs[inputs]
    return {
        "op": found.op,
        "settings": dict(found.settings),
        "layout": course.layout,
        "tensors": found.tensors(course.layout),
    }
