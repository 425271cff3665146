"""Exercises: questions drawn from a seed, and verdicts that know the mistake."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from app.api import schemas
from app.context import Ctx
from app.formats import json
from app.http import responses
from app.http.request_body import read
from app.services import courses, exercises, inventory, slips
from app.services.exercises import ExerciseAnswerFields, Terms
from app.site.openapi import answer, body
from engine.courses import COURSES
from engine.exercises import FAMILIES

router = APIRouter(prefix="/api", tags=["exercises"], default_response_class=Response)

Exercise = Annotated[
    str,
    Path(
        description="an exercise of GET /api/exercises",
        examples=["input_gradient"],
        json_schema_extra={"enum": list(FAMILIES)},
    ),
]
Seed = Annotated[
    int,
    Query(description="other numbers for another seed; 0 is the lesson's own item where it has one", ge=0, lt=2**53),
]
Shown = Annotated[
    Terms,
    Query(description="terms of the sum that a worked example gives: all, without the last, without a middle one"),
]
CourseName = Annotated[
    str, Path(description="of GET /api/courses", examples=["cs231n"], json_schema_extra={"enum": list(COURSES)})
]
InputsName = Annotated[str, Path(description="one of the course's `inputs`", examples=["convolution"])]
#: Drawing an item again and again until its mistakes can be told apart, and one explanation: multiply-adds.
DRAWING = 3e7
#: What somebody answers who forgot to turn the kernel.
UNTURNED: dict[str, Any] = {"seed": 0, "answer": "−17"}


@cache
def _listing() -> bytes:
    return json.encode(exercises.listing())


@router.get("/exercises", summary="Every exercise", responses=answer(list[schemas.ExerciseEntry]))
async def list_exercises(request: Request, ctx: Ctx) -> Response:
    """[{"name", "title", "kind", "lesson", "source"}]: in the order of the lessons that teach them."""
    return responses.cacheable(request, await ctx.ask(request, _listing))


@router.get("/exercises/{name}", summary="An exercise with its numbers", responses=answer(schemas.Exercise))
async def get_exercise(request: Request, ctx: Ctx, name: Exercise, seed: Seed = 0, terms: Shown = "none") -> Response:
    """The same for the same seed on every machine. Items are drawn until the answers of all their mistakes differ."""

    def make() -> bytes:
        return json.encode(exercises.item_document(name, seed, terms))

    return responses.cacheable(request, await ctx.ask(request, make, cost=DRAWING))


@cache
def _slips() -> bytes:
    return json.encode(slips.listing())


@router.get("/slips", summary="Every slip that a run can be trained with", responses=answer(list[schemas.SlipEntry]))
async def list_slips(request: Request, ctx: Ctx) -> Response:
    """The bug lab: POST /api/runs with `slip` trains with one of these. `measured` says what came of it once: a falling
    loss does not mean a right gradient."""
    return responses.cacheable(request, await ctx.ask(request, _slips, cost=DRAWING))


@cache
def _inventory() -> bytes:
    return json.encode(inventory.read())


@router.get("/inventory", summary="Fourteen questions for before and after", responses=answer(inventory.Inventory))
async def get_inventory(request: Request, ctx: Ctx) -> Response:
    """A concept inventory: each wrong choice is tied to a mistake, the right one to none. With it the ten items of the
    System Usability Scale. Nothing that is answered is sent to the server."""
    return responses.cacheable(request, await ctx.ask(request, _inventory))


@cache
def _courses() -> bytes:
    return json.encode(courses.listing())


@router.get(
    "/courses", summary="What six courses ask, and what their tests miss", responses=answer(list[schemas.Course])
)
async def list_courses(request: Request, ctx: Ctx) -> Response:
    """`accepted` of `tried` wrong convolution gradients passed the course's public test."""
    return responses.cacheable(request, await ctx.ask(request, _courses))


@router.get("/courses/{course}/{inputs}", summary="A course's own inputs", responses=answer(schemas.CourseCall))
async def get_course_inputs(request: Request, ctx: Ctx, course: CourseName, inputs: InputsName) -> Response:
    """The tensors of its public test as a call of POST /api/ops/{op}/check, where `gradients` are still to be added."""

    def make() -> bytes:
        return json.encode(courses.call_of(course, inputs))

    return responses.cacheable(request, await ctx.compute_for(request, make, cost=DRAWING))


@router.post(
    "/exercises/{name}/answers",
    summary="Whether an answer is right, and which mistake leads to it",
    responses=answer(schemas.Verdict),
    openapi_extra=body(ExerciseAnswerFields, UNTURNED),
)
async def answer_exercise(request: Request, ctx: Ctx, name: Exercise) -> Response:
    """`mistake` is null where no mistake that is known leads to the answer: it is never a guess. Nothing is kept: how
    often somebody tried, and which hints were read, only the client knows. 422 where the answer cannot be read."""
    asked = await read(request, ctx, ExerciseAnswerFields)

    def make() -> Response:
        return responses.json_response(exercises.answer_document(name, asked))

    return await ctx.ask(request, make, cost=DRAWING)
