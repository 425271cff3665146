"""The lessons: those that come with the server and those of the folder that it was given."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from app.api import schemas
from app.context import Ctx
from app.http import responses
from app.site.openapi import answer

router = APIRouter(prefix="/api/lessons", tags=["lessons"], default_response_class=Response)

Name = Annotated[str, Path(description="a lesson of GET /api/lessons", examples=["convolution"])]


@router.get("", summary="The lessons, in their order", responses=answer(schemas.Lessons))
async def list_lessons(request: Request, ctx: Ctx) -> Response:
    """{"lessons": [{"name", "number", "title", "question", "minutes", "part", "steps": [names], "exercises":
    [families], "picture"}], "problems"}.

    A lesson is a JSON file. Those of a folder of your own (`--lessons FOLDER`) come on top, and take the place of one
    of the same name; they are read anew when they change. `problems` says of a file that does not fit the line, the
    field and what was expected there.
    """
    return responses.json_response(await ctx.ask(request, ctx.lessons.listing))


@router.get("/{name}", summary="One lesson as its file has it", responses=answer(schemas.Lesson))
async def get_lesson(request: Request, ctx: Ctx, name: Name) -> Response:
    """Every step: what it looks at (`stage`, or `bench`, a call of an operator), where the figure stands (`at`), its
    sentence, and perhaps a question before it (`ask`) or something to do (`do`).

    In sentences `[our pixel](pool1/y/0,0,5,3)` are words that light places, `{conv1/y/0,5,12,14}` is the number that
    stands there, `{sum conv1/y/0,5,12,14}` its products, `{size conv1/w}` and `{shape conv1/y}` how many numbers.
    """
    return responses.json_response(await ctx.ask(request, ctx.lessons.lesson, name))
