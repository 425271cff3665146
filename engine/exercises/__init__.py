"""Exercises: families of questions that are drawn from a seed and know what each mistake leads to.

A wrong answer is the right calculation with one edit: another piece in the sentence, another setting, another place.
Their names and what helps against them are those of `engine.mistakes`.
"""

from __future__ import annotations

from engine.exercises import forward, gradients, learning, routes, sizes
from engine.exercises.answers import AnswerError
from engine.exercises.item import FAMILIES, Family, Item, Verdict, Wrong

__all__ = [
    "FAMILIES",
    "AnswerError",
    "Family",
    "Item",
    "Verdict",
    "Wrong",
    "forward",
    "gradients",
    "learning",
    "routes",
    "sizes",
]
