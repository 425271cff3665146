"""Exercises as documents: an item without its answer, the verdict, hints, the solution. For the pool."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from app.formats import documents
from app.http.request_body import RequestModel
from app.problems import invalid, missing
from engine.exercises import FAMILIES, AnswerError, Family, Item, Wrong
from engine.exercises.item import Calculation, Hint, place_of

#: How many hints every item has.
HINTS = 3
Terms = Literal["all", "last", "middle", "none"]


class ExerciseAnswerFields(RequestModel):
    seed: int = Field(default=0, ge=0, lt=2**53, description="the item's, as in GET /api/exercises/{name}")
    answer: Any = Field(
        default=None,
        description="a number as people write it (`.5`, `0,5`, `−0.5`, `1/2`, `5e-1`); a grid as rows, of numbers or "
        "of text; a cell as [row, column]; the name of a choice; the names of all choices in order",
        examples=["−0,5", [[1, 2], [3, "1/2"]]],
    )
    hint: int | None = Field(default=None, ge=1, le=HINTS, description="also answer this hint, 1 to 3")
    reveal: bool = Field(default=False, description="also answer the right value and why it is so")


def listing() -> list[dict[str, Any]]:
    return [
        {"name": each.name, "title": each.title, "kind": each.kind.name, "lesson": each.lesson, "source": each.source}
        for each in FAMILIES.values()
    ]


def family_of(name: str) -> Family:
    if name not in FAMILIES:
        raise missing(f"there is no exercise {name[:40]!r}; there are: {', '.join(FAMILIES)}")
    return FAMILIES[name]


def item_document(name: str, seed: int, terms: Terms) -> dict[str, Any]:
    """What the learner is given; never the answer."""
    family = family_of(name)
    item = family.item(seed)
    document: dict[str, Any] = {
        "name": name,
        "seed": seed,
        "title": family.title,
        "question": item.question,
        "kind": family.kind.name,
        "given": _given(item),
        "hints": HINTS,
    }
    if item.shape:
        document["shape"] = list(item.shape)
    if item.choices:
        document["choices"] = [
            {"name": each.name, "text": each.text, **({} if each.tensor is None else {"tensor": each.tensor})}
            for each in item.choices
        ]
    if terms != "none" and item.calculation is not None and item.op:
        document["terms"] = _terms(item.calculation, terms)
    return document


def _given(item: Item) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tensors": dict(item.tensors),
        "settings": dict(item.settings),
        "decimals": item.decimals,
    }
    if item.op:
        found["op"] = item.op
    if item.op and item.calculation is not None:
        found |= {
            "place": item.calculation.place,
            "sentence": item.calculation.program.sentence(item.calculation.name),
        }
    return found


def _terms(calculation: Calculation, shown: Terms) -> list[dict[str, Any]]:
    """The sum's terms as a worked example: all, or all but the last or the middle one, which is left to the learner."""
    found = calculation.explain()
    terms = []
    for term in found.terms:
        reads = [found.reads[k] for k in term.reads]
        if all(read.inside for read in reads):
            places = [place_of(read.tensor, read.index) for read in reads]
            terms.append({"reads": places, "factors": list(term.factors), "value": term.value})
    hidden = {"last": len(terms) - 1, "middle": len(terms) // 2}.get(shown)
    if hidden is not None and terms:
        terms[hidden] |= {"factors": None, "value": None}
    return terms


def answer_document(name: str, asked: ExerciseAnswerFields) -> dict[str, Any]:
    """The verdict on an answer, and the hint and the solution where they are asked for."""
    family = family_of(name)
    item = family.item(asked.seed)
    if asked.answer is None and asked.hint is None and not asked.reveal:
        raise invalid("answer is missing; a hint is had with hint, the solution with reveal", ["answer"])
    document: dict[str, Any] = {"right": None, "mistake": None, "hints": HINTS - (asked.hint or 0)}
    if asked.answer is not None:
        try:
            verdict = family.judge(item, family.read(item, asked.answer))
        except AnswerError as error:
            raise invalid(str(error), ["answer"]) from None
        document |= {"right": verdict.right, "mistake": verdict.wrong and _mistake(verdict.wrong)}
        if verdict.cells is not None:
            document["cells"] = verdict.cells.astype(int).tolist()
    if asked.hint is not None:
        document["hint"] = _hint(item.hints[asked.hint - 1])
    if asked.reveal:
        document |= {"value": _value(item.answer), "solution": item.solution or None}
        document["explanation"] = _explained(item.calculation)
    return document


def _mistake(wrong: Wrong) -> dict[str, Any]:
    return {"name": wrong.mistake, "feedback": wrong.feedback, "explanation": _explained(wrong.calculation)}


def _explained(calculation: Calculation | None) -> dict[str, Any] | None:
    if calculation is None:
        return None
    return documents.explanation(calculation.place, calculation.explain())


def _hint(hint: Hint) -> dict[str, Any]:
    return {"text": hint.text, "places": list(hint.places)}


def _value(answer: Any) -> Any:
    if isinstance(answer, np.ndarray):
        return [[_rounded(value) for value in row] for row in answer]
    return list(answer) if isinstance(answer, tuple) else _rounded(answer) if isinstance(answer, float) else answer


def _rounded(value: float) -> float:
    """Without what float64 leaves behind: 0.932 and not 0.9319999999999999."""
    return float(f"{value:.12g}")
