"""Lessons: files of JSON that are checked field by field, so that what they name is there when a learner comes to it.

A lesson's sentences name places, `{conv1/y/0,5,12,14}`, and light them, `[our pixel](pool1/y/0,0,5,3)`; the numbers
are the engine's when the lesson runs. Every place of a lesson must exist in what its step looks at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.formats import json, json_lines
from app.http.validation_errors import readable_errors
from app.limits import Limits
from app.problems import Problem, missing
from app.services import networks, op_calls
from app.services.op_calls import OpFields
from engine.exercises import FAMILIES
from engine.layers import NetworkError
from engine.models import MODELS
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.settings import SettingError
from engine.timeline import Timeline, timeline
from engine.trace import Place, PlaceError

OWN = Path(__file__).parents[1] / "site" / "lessons"
#: Files of a folder that are read, and the bytes of each.
MOST, LONGEST = 200, 262_144
#: The network that a lesson's stage shows: that of the welcome run.
STAGE = "classroom"
#: In a sentence: `[words](what they light)`, `{a number}`, `{sum of its products}`, `{size tensor}`, `{shape tensor}`.
LIGHT = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
NUMBER = re.compile(r"\{(?:(sum|size|shape) )?([^}]*)\}")
#: What a hot word may light besides places: what the cell reads, its terms' kernel or window, the cell itself.
WORDS = ("cell", "reads", "window", "kernel")

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Text = Annotated[str, Field(min_length=1, max_length=600)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Bench(Part):
    """What a step looks at in place of the stage: a call of an op, or a pass through a small network."""

    op: str | None = Field(default=None, description="an operator of GET /api/ops")
    settings: dict[str, Any] = Field(default={}, description="the operator's settings")
    tensors: dict[str, Any] = Field(default={}, description="the operator's tensors; with `dy` its gradients too")
    model: str | None = Field(default=None, description="a preset with an example, in place of an operator")
    parameters: dict[str, Any] | None = Field(default=None, description="the preset's, where they are others")
    optimizer: dict[str, Any] | None = Field(default=None, description="name and settings: ends the pass")


class LessonChoice(Part):
    text: Text = Field(description="what the learner may answer")
    right: bool = Field(default=False, description="whether it is so; of exactly one choice")
    letters: list[str] | None = Field(default=None, description="a picture: rows of the kernel's letters")


class Question(Part):
    """A question before anything moves: the figure is hidden until there is an answer, or until it is passed over."""

    text: Text = Field(description="the question")
    choices: list[LessonChoice] = Field(min_length=2, max_length=6, description="the answers, one of them right")
    at: str | None = Field(default=None, description="where the figure stands until then; default: as after it")
    hide: bool = Field(default=True, description="whether the figure would give the answer away")


class LessonTask(Part):
    """Something to do; the step notices when it was done."""

    text: Text = Field(description="what to do")
    opened: str | None = Field(default=None, description="a place or layer/tensor whose number is to be chosen")
    reached: str | None = Field(default=None, description="a layer/tensor that the pass is to come to")
    edited: str | None = Field(default=None, description="a place or layer/tensor in which a number is to be set")


class LessonStep(Part):
    name: Name = Field(description="what the address calls it")
    title: Annotated[str, Field(min_length=1, max_length=40)] = Field(description="on the lesson's own timeline")
    stage: bool = Field(default=False, description="looks at the welcome run's pass of the first test image shown")
    bench: Bench | None = Field(default=None, description="looks at this; without either: at what the step before did")
    at: str | None = Field(default=None, description="the number at which the figure stands")
    channel: int | None = Field(default=None, ge=0, le=4096, description="the summed map that is shown")
    text: Text = Field(description="the sentence; after a question: the answer's")
    aside: Text | None = Field(default=None, description="a remark beneath it")
    code: Annotated[str, Field(max_length=300)] | None = Field(default=None, description="the same in NumPy")
    ask: Question | None = Field(default=None, description="a question before it")
    do: LessonTask | None = Field(default=None, description="something to do")


class LessonPicture(Part):
    grid: list[list[float]] | None = Field(default=None, max_length=8, description="coloured cells")
    kind: Literal["value", "weight", "gradient"] = Field(default="value", description="their colours")
    sign: Annotated[str, Field(max_length=12)] | None = Field(default=None, description="what stands between grids")


class Lesson(Part):
    """A lesson as its file has it."""

    name: Name = Field(description="as in addresses")
    number: int = Field(ge=1, le=999, description="its place in the order")
    title: Annotated[str, Field(min_length=1, max_length=60)] = Field(description="what it is about")
    question: Annotated[str, Field(min_length=1, max_length=120)] = Field(description="what it answers")
    minutes: int = Field(ge=1, le=120, description="about how long it takes")
    part: Literal["forward", "loss", "backward"] = Field(description="where on the racetrack it stands")
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$", description="of its sentences")
    sources: list[str] = Field(default=[], max_length=9, description="texts that it follows")
    picture: list[LessonPicture] = Field(default=[], max_length=5, description="on its card")
    steps: list[LessonStep] = Field(min_length=1, max_length=30, description="one after the other")
    exercises: list[str] = Field(default=[], max_length=9, description="exercises of GET /api/exercises")


class LessonError(Exception):
    """A lesson that cannot be played: the file, the line and the field, and what was expected there."""

    def __init__(self, file: str, line: int, loc: json_lines.Loc, detail: str):
        where = ".".join(map(str, loc))
        super().__init__(f"{file}, line {line}{f', {where}' if where else ''}: {detail}")


@dataclass
class Lessons:
    """The lessons that come with Convscope and those of a folder, which win by name. Files are read when they have
    changed; one that does not fit is listed with the reason."""

    folder: Path | None
    limits: Limits = field(default_factory=Limits)
    _read: dict[Path, tuple[float, Lesson | LessonError]] = field(default_factory=dict)

    def all(self) -> tuple[list[Lesson], list[tuple[str, str]]]:
        """Those that can be played, in their order, and the others with the reason."""
        found: dict[str, Lesson] = {}
        wrong: list[tuple[str, str]] = []
        for folder in filter(None, (OWN, self.folder)):
            for file in sorted(folder.glob("*.json"))[:MOST]:
                lesson = self._of(file)
                if isinstance(lesson, LessonError):
                    wrong.append((file.name, str(lesson)))
                else:
                    found[lesson.name] = lesson
        return sorted(found.values(), key=lambda each: (each.number, each.name)), wrong

    def listing(self) -> dict[str, Any]:
        lessons, wrong = self.all()
        return {
            "lessons": [
                {
                    **lesson.model_dump(
                        include={"name", "number", "title", "question", "minutes", "part", "language", "exercises"}
                    ),
                    "picture": [each.model_dump(exclude_none=True) for each in lesson.picture],
                    "steps": [step.name for step in lesson.steps],
                }
                for lesson in lessons
            ],
            "problems": [{"file": file, "detail": detail} for file, detail in wrong],
        }

    def lesson(self, name: str) -> dict[str, Any]:
        """A lesson as its file has it, defaults written out; 404 for a name that there is not."""
        lessons, _ = self.all()
        for lesson in lessons:
            if lesson.name == name:
                return lesson.model_dump()
        raise missing(f"there is no lesson {name[:40]!r}; there are: {', '.join(each.name for each in lessons)}")

    def _of(self, file: Path) -> Lesson | LessonError:
        try:
            changed = file.stat().st_mtime
            if (known := self._read.get(file)) and known[0] == changed:
                return known[1]
            made: Lesson | LessonError = read_lesson(file, self.limits)
        except LessonError as error:
            made = error
        except OSError as error:
            return LessonError(file.name, 0, (), error.strerror or str(error))
        self._read[file] = (changed, made)
        return made


def read_lesson(file: Path, limits: Limits) -> Lesson:
    """The lesson in a file; LessonError with the line and the field where something does not fit."""
    if file.stat().st_size > LONGEST:
        raise LessonError(file.name, 1, (), f"{file.stat().st_size} bytes; at most {LONGEST} are read")
    content = file.read_bytes()
    try:
        document = json.decode(content)
    except Problem as problem:
        line = re.search(r" at line (\d+)", problem.detail)
        raise LessonError(file.name, int(line[1]) if line else 1, (), problem.detail) from None
    lines = json_lines.lines_of(content.decode("utf-8-sig"))

    def error(loc: json_lines.Loc, detail: str) -> LessonError:
        at = next((loc[:k] for k in range(len(loc), -1, -1) if loc[:k] in lines), ())
        return LessonError(file.name, lines.get(at, 1), loc, detail)

    try:
        lesson = Lesson.model_validate(document)
    except ValidationError as problem:
        loc, detail = readable_errors(problem.errors(), document)[0]
        raise error(loc, detail) from None
    for loc, detail in misfits(lesson, limits):
        raise error(loc, detail)
    return lesson


def misfits(lesson: Lesson, limits: Limits) -> Iterator[tuple[json_lines.Loc, str]]:
    """Everything that a lesson names and that is not there."""
    for k, name in enumerate(lesson.exercises):
        if name not in FAMILIES:
            yield ("exercises", k), f"there is no exercise {name[:40]!r}; there are: {', '.join(FAMILIES)}"
    names = [step.name for step in lesson.steps]
    here: Timeline | None = None
    for k, step in enumerate(lesson.steps):
        loc: json_lines.Loc = ("steps", k)
        if names.index(step.name) < k:
            yield (*loc, "name"), f"{step.name!r} is the name of an earlier step"
        if step.stage and step.bench:
            yield (*loc, "bench"), "a step looks at the stage or at a bench, not at both"
        try:
            here = _stage() if step.stage else _bench(step.bench, limits) if step.bench else here
        except Problem as problem:
            yield (*loc, "bench", *(problem.errors[0]["loc"] if problem.errors else ())), problem.detail
            return
        if here is None:
            yield loc, "the first step says what it looks at: expected stage or bench"
            return
        if step.ask and sum(choice.right for choice in step.ask.choices) != 1:
            yield (*loc, "ask", "choices"), "expected exactly one choice with right: true"
        for where, name in _named(step):
            if why := _not_there(here, name):
                yield (*loc, *where), why


def _named(step: LessonStep) -> Iterator[tuple[json_lines.Loc, str]]:
    """Every place that a step names, with the field in which it does."""
    if step.at:
        yield ("at",), step.at
    if step.ask and step.ask.at:
        yield ("ask", "at"), step.ask.at
    for name in ("opened", "reached", "edited"):
        if step.do and (place := getattr(step.do, name)):
            yield ("do", name), place
    texts: list[tuple[json_lines.Loc, str | None]] = [(("text",), step.text), (("aside",), step.aside)]
    if step.do:
        texts.append((("do", "text"), step.do.text))
    if step.ask:
        texts.append((("ask", "text"), step.ask.text))
        texts += [(("ask", "choices", k, "text"), choice.text) for k, choice in enumerate(step.ask.choices)]
    for loc, text in texts:
        for found in NUMBER.finditer(text or ""):
            yield loc, found[2]
        for found in LIGHT.finditer(text or ""):
            yield from ((loc, each) for each in found[2].split() if each not in WORDS)


def _not_there(whole: Timeline, name: str) -> str | None:
    """Why a name is no place of a pass; None where it is one."""
    try:
        place = Place.parse(name)
    except PlaceError as error:
        return str(error)
    prefix = f"{place.layer}/{place.tensor}"
    known = whole.tensors.get(whole.aliases.get(prefix, prefix))
    if known is None:
        return f"there is no {prefix} here; there are: {', '.join([*whole.tensors, *whole.aliases])}"
    if place.index and (
        len(place.index) != len(known.shape)
        or any(at >= size for at, size in zip(place.index, known.shape, strict=True))
    ):
        return f"{prefix} has shape {list(known.shape)}, there is no index {list(place.index)} in it"
    return None


@cache
def _stage() -> Timeline:
    return timeline(Network.from_document(MODELS[STAGE].document), 1, _optimizer(MODELS[STAGE].defaults["optimizer"]))


def _optimizer(given: dict[str, Any]) -> Any:
    settings = {name: value for name, value in given.items() if name != "name"}
    return OPTIMIZERS[given["name"]](**settings)


def _bench(bench: Bench, limits: Limits) -> Timeline:
    """The timeline of a bench; Problem where its parts do not fit together."""
    if (bench.op is None) == (bench.model is None):
        raise Problem(422, "expected either op or model")
    if bench.op is not None:
        call = op_calls.call_of(bench.op, OpFields(settings=bench.settings, tensors=bench.tensors), limits)
        if math.prod(call.extents["y"]) > 4096:
            raise Problem(422, f"{math.prod(call.extents['y'])} results; a bench shows at most 4096")
        return call.timeline()
    try:
        optimizer = _optimizer(bench.optimizer) if bench.optimizer else None
        model = MODELS[str(bench.model)]
        network = Network.from_document(model.document)
        if bench.parameters is not None:
            networks.parameters_of(network, bench.parameters, "float64", limits)
        return timeline(network, 1, optimizer)
    except KeyError as error:
        raise Problem(422, f"there is no {error.args[0]!r}", errors=[(("model",), "no preset or optimizer")]) from None
    except (NetworkError, SettingError, TypeError) as error:
        raise Problem(422, str(error)) from None
