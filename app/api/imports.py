"""Models from elsewhere: a file becomes a network whose every guess can be changed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from app.api import schemas
from app.context import Context, Ctx
from app.datasets import MNIST
from app.http import responses
from app.http.request_body import JSON, RequestModel, read, read_raw
from app.problems import Problem
from app.services.imports import models
from app.site.openapi import answer, body
from engine.data import Split

router = APIRouter(prefix="/api/networks/import", tags=["networks"], default_response_class=Response)

#: Multiply-adds that take as long as reading a byte of a file, and trying a normalisation.
READING = 50.0
OCTETS = "application/octet-stream"
EXAMPLE = {"input": [4], "layers": [{"name": "fc", "op": "linear", "settings": {"out": 2}}]}


class AnswerFields(RequestModel):
    answers: dict[str, Any] = Field(
        default={},
        description="what to take in place of a guess, by its `what`, or for a missing layer by its `source`: the name "
        'of an operator, or "leave_out"',
        examples=[{"activation": "tanh"}],
    )


@router.post(
    "",
    status_code=201,
    summary="A model's file as a network",
    responses=answer(schemas.ImportedModel, status=201),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                OCTETS: {"schema": {"type": "string", "format": "binary", "description": "the file's bytes"}},
                JSON: {"schema": {"type": "object", "description": "a network document"}, "example": EXAMPLE},
            },
        }
    },
)
async def import_model(
    request: Request,
    ctx: Ctx,
    name: Annotated[str, Query(max_length=200, description="what to call it, as the file's name")] = "model",
) -> Response:
    """ONNX, safetensors, .npz, a PyTorch state_dict (.pt, .pth) or exported program (.pt2), Keras (.keras, .h5),
    TensorFlow.js (model.json and its weights in a .zip) or a network document, as raw bytes. Nothing in the file is
    ever run. A graph becomes a network layer by layer; weights alone have theirs rebuilt from names and shapes, and
    every guess is listed. `network` is null while a layer is missing."""
    content = await read_raw(request, ctx)
    cost = READING * len(content)

    def make() -> models.Imported:
        format, source = models.read(content, name, ctx.limits)
        return models.imported(models.Imports.new_id(), name, format, source, {}, _images(ctx), ctx.limits)

    made = await ctx.compute_for(request, make, cost=cost)
    ctx.imports.keep(made)
    where = responses.location(request, f"/api/networks/import/{made.id}")
    return responses.json_response(made.document(), 201, {"Location": where, "Cache-Control": "no-store"})


Id = Annotated[str, Path(description="an imported model, as POST /api/networks/import names it")]


@router.get("/{import_id}", summary="An imported model", responses=answer(schemas.ImportedModel))
async def get_import(ctx: Ctx, import_id: Id) -> Response:
    """404 once newer ones have taken its place."""
    return responses.json_response(ctx.imports.get(import_id).document(), headers={"Cache-Control": "no-store"})


@router.post(
    "/{import_id}",
    summary="Settle what was guessed or is missing",
    responses=answer(schemas.ImportedModel),
    openapi_extra=body(AnswerFields, {"answers": {"activation": "tanh"}}),
)
async def settle_import(request: Request, ctx: Ctx, import_id: Id) -> Response:
    """The same answer, with the network as it then is. Earlier answers stay unless they are given anew; null takes one
    back."""
    before = ctx.imports.get(import_id)
    asked = await read(request, ctx, AnswerFields)
    settled = {what: value for what, value in {**before.answers, **asked.answers}.items() if value is not None}

    def make() -> models.Imported:
        return models.imported(import_id, before.name, before.format, before.source, settled, _images(ctx), ctx.limits)

    made = await ctx.compute_for(request, make, cost=READING * before.nbytes)
    ctx.imports.keep(made)
    return responses.json_response(made.document(), headers={"Cache-Control": "no-store"})


def _images(ctx: Context) -> Split | None:
    """What a normalisation can be tried on."""
    try:
        return ctx.datasets.split(MNIST, "test")
    except Problem:
        return None
