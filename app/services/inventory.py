"""The concept inventory and the usability questionnaire: a file of questions, checked when it is read."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app.formats import json
from engine.mistakes import MISTAKES

FILE = Path(__file__).parents[1] / "site" / "inventory.json"
#: How many questions there are: enough to count, few enough to answer twice.
QUESTIONS = 14

Text = Annotated[str, StringConstraints(min_length=1, max_length=600)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class InventoryChoice(Part):
    name: Text = Field(description="the answer")
    text: Text = Field(description="what it says")
    mistake: str | None = Field(description="a mistake of GET /api/mistakes; null for the right answer")

    @model_validator(mode="after")
    def _known(self) -> InventoryChoice:
        if self.mistake is not None and self.mistake not in MISTAKES:
            raise ValueError(f"there is no mistake {self.mistake!r}; GET /api/mistakes lists them")
        return self


class InventoryQuestion(Part):
    name: Text = Field(description="what it is about")
    question: Text = Field(description="what is asked")
    choices: list[InventoryChoice] = Field(description="of which one is right", min_length=3, max_length=6)

    @model_validator(mode="after")
    def _one_right(self) -> InventoryQuestion:
        right = [choice.name for choice in self.choices if choice.mistake is None]
        if len(right) != 1 or len({choice.name for choice in self.choices}) != len(self.choices):
            raise ValueError(f"{self.name}: expected one choice without a mistake and names that differ, got {right}")
        return self


class Usability(Part):
    title: Text = Field(description="as in headings")
    about: Text = Field(description="how it is answered and counted")
    scale: list[Text] = Field(description="the five marks, from 1", min_length=5, max_length=5)
    items: list[Text] = Field(description="of the even ones a low mark is good", min_length=10, max_length=10)


class Inventory(Part):
    title: Text = Field(description="as in headings")
    about: Text = Field(description="how it is meant")
    questions: list[InventoryQuestion] = Field(description="in order", min_length=QUESTIONS, max_length=QUESTIONS)
    usability: Usability = Field(description="the System Usability Scale")


@cache
def read() -> dict[str, Any]:
    return Inventory.model_validate(json.decode(FILE.read_bytes())).model_dump()
