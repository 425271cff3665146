"""How a pass depends on a number: what it reaches, what did not matter, a nudge of it, and its history."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from app.api import schemas
from app.api.passes import PassId, PassView, PlacePath, Step, at_pass, at_step
from app.api.runs import Id
from app.context import Ctx
from app.formats import documents
from app.http import responses
from app.http.engine_errors import as_problems
from app.http.request_body import RequestModel, at_most, read
from app.problems import invalid, missing, over_limit
from app.runs import inspect
from app.site.openapi import answer, body
from engine.nudge import EPSILONS, SEARCHES, nudge
from engine.reach import Direction, inert, reach
from engine.trace import Place, PlaceError, Trace

router = APIRouter(prefix="/api/runs", tags=["steps and passes"], default_response_class=Response)

Way = Annotated[Direction, Query(description="what the number can change, or what it depends on")]
Mask = Annotated[str | None, Query(description="layer/tensor whose mask is wanted, too", examples=["conv1/y"])]
Tensor = Annotated[str, Query(description="pixels, a layer's output or a parameter", examples=["input/y"])]
Epsilon = Annotated[float, Field(ge=1e-15, le=1e6)]
#: Forward passes that a pass's cost, three of them, stands for.
PASSES = 3


class NudgeFields(RequestModel):
    place: str = Field(description="a parameter or a pixel", examples=["conv1/w/0,0,1,1"])
    eps: Annotated[list[Epsilon], at_most("epsilons", "eps"), Field(min_length=1)] = Field(
        default=list(EPSILONS), description="how far to move it; the curve spans the largest, to both sides"
    )


@router.get(
    "/{id}/passes/{pass_id}/reach/{place:path}",
    summary="What a number reaches, or sees",
    responses=answer(schemas.Reach),
)
async def get_pass_reach(
    request: Request,
    ctx: Ctx,
    id: Id,
    pass_id: PassId,
    place: PlacePath,
    direction: Way = "forward",
    mask: Mask = None,
) -> Response:
    """Forward: every later tensor that the number can change, to the loss. Backward: every earlier number that it
    depends on. `reachable` follows from the sentences alone, `active` from this pass: the derivative is not zero."""
    return await _reach(at_pass(request, ctx, id, pass_id), place, direction, mask)


@router.get(
    "/{id}/steps/{step}/reach/{place:path}",
    summary="The same in a training step",
    responses=answer(schemas.Reach),
)
async def get_step_reach(
    request: Request, ctx: Ctx, id: Id, step: Step, place: PlacePath, direction: Way = "forward", mask: Mask = None
) -> Response:
    """Of the whole minibatch: where a layer takes its statistics from the batch, one image reaches all."""
    return await _reach(at_step(request, ctx, id, step), place, direction, mask)


async def _reach(view: PassView, place: str, direction: Direction, mask: str | None) -> Response:
    def make() -> Response:
        trace = view.find()
        try:
            found = reach(trace, Place.parse(place), direction)
        except PlaceError as error:
            raise missing(str(error.args[0])) from None
        document: dict[str, Any] = {
            "place": place,
            "direction": direction,
            "tensors": {
                "/".join(key): {
                    "reachable": each.reachable,
                    "active": each.active,
                    "of": each.mask.size,
                    "box": [list(end) for end in each.box],
                }
                for key, each in found.items()
            },
        }
        if mask is not None:
            shape = _tensor(trace, mask).shape
            key = trace.network.resolve(*_named(mask))
            document["mask"] = found[key].mask if key in found else np.zeros(shape, np.uint8)
        return responses.json_response(document, limits=view.ctx.limits)

    cost = view.cost + 4 * view.run.config.network.work + responses.WRITING * _mask_size(view, mask)
    return await view.cached("", lambda: view.compute(make, cost))


@router.get(
    "/{id}/passes/{pass_id}/inert",
    summary="What did not matter to the loss",
    responses=answer(schemas.Inert),
)
async def get_inert(request: Request, ctx: Ctx, id: Id, pass_id: PassId, tensor: Tensor = "input/y") -> Response:
    """A mask of the numbers on which the loss does not depend in this pass, to first order, and for how many of them
    which reason holds: nothing reads them, a gate is closed, a maximum is another's, or they are multiplied by 0."""
    view = at_pass(request, ctx, id, pass_id)

    def make() -> Response:
        trace = view.find()
        _tensor(trace, tensor)
        try:
            found = inert(trace, _named(tensor))
        except PlaceError as error:
            raise missing(str(error.args[0])) from None
        document = {"tensor": tensor, "mask": found.mask, "reasons": found.reasons}
        return responses.json_response(document, limits=ctx.limits)

    cost = 4 * view.run.config.network.work + responses.WRITING * _mask_size(view, tensor)
    return await view.cached("", lambda: view.compute(make, cost))


@router.post(
    "/{id}/passes/{pass_id}/nudge",
    summary="Move one number a little",
    responses=answer(schemas.Nudge),
    openapi_extra=body(NudgeFields, {"place": "conv1/w/0,0,1,1"}),
)
async def nudge_pass(request: Request, ctx: Ctx, id: Id, pass_id: PassId) -> Response:
    """The slope by differences beside the gradient by the backward pass, both in float64, at each eps; the loss over a
    range; and where in it a gate or winner changes, which is where the slope may jump."""
    view = at_pass(request, ctx, id, pass_id)
    asked = await read(request, ctx, NudgeFields)

    def make() -> Response:
        try:
            found = nudge(view.find(), Place.parse(asked.place), asked.eps)
        except PlaceError as error:
            raise invalid(str(error.args[0]), ["place"]) from None
        document = documents.plain(found)
        document["place"] = asked.place
        document["kinks"] = [{**documents.plain(kink), "place": str(kink.place)} for kink in found.kinks]
        document["curve"] = {"values": document.pop("values"), "losses": document.pop("losses")}
        return responses.json_response(document, headers={"Cache-Control": "no-store"})

    cost = (SEARCHES + 2 * len(asked.eps)) * view.run.config.network.work
    return await view.compute(make, min(cost, float(ctx.limits.multiply_adds)))


@router.get(
    "/{id}/history/{place:path}",
    summary="A number over the training",
    responses=answer(schemas.NumberHistory),
)
async def get_history(
    request: Request,
    ctx: Ctx,
    id: Id,
    place: Annotated[str, Path(description="layer/tensor/index", examples=["conv1/w/0,0,1,1"])],
    points: Annotated[
        int, Query(ge=1, description="at most so many steps, evenly chosen; no more than the limit series_points")
    ] = 200,
    pass_of: Annotated[
        str | None, Query(description="a pass: the number in that image's pass through the parameters of each step")
    ] = None,
    first: Annotated[int, Query(ge=0, le=2**53, description="no earlier step")] = 0,
    last: Annotated[int | None, Query(ge=0, le=2**53, description="no later step")] = None,
) -> Response:
    """Parameters, their gradients and the optimizer's state by step; with `pass_of` any tensor of an image's pass. The
    newest step is always among them; they are thinned, never interpolated."""
    if points > (most := ctx.limits.series_points):
        raise over_limit("series_points", most, f"points is {points}; at most {most} are given", ["query", "points"])
    run = ctx.runs.get(id)
    image = run.passes.get(pass_of) if pass_of is not None else None
    passes = PASSES * points * run.config.network.work if image else points * run.config.cost / 8

    def make() -> Response:
        try:
            where = Place.parse(place)
            key = run.config.network.resolve(where.layer, where.tensor)
            with as_problems():
                if image is None:
                    found = run.trainer.series(key, where.index, points, first, last)
                else:
                    target = image.trace["target", "y"]
                    found = run.trainer.series_of(image.image.x, target, key, where.index, points, first, last)
        except PlaceError as error:
            raise missing(str(error.args[0])) from None
        begin, end = run.trainer.history
        document = {"place": place, "steps": found.steps, "values": found.values, "first": begin, "last": end}
        return responses.json_response(document, headers={"Cache-Control": "no-store"})

    return await ctx.compute_for(request, make, cost=min(passes, float(ctx.limits.multiply_adds)))


def _named(tensor: str) -> tuple[str, str]:
    layer, _, name = tensor.rpartition("/")
    return layer, name


def _tensor(trace: Trace, name: str) -> np.ndarray:
    """404 where the pass has no such tensor."""
    return inspect.tensor_of(trace, *_named(name))


def _mask_size(view: PassView, tensor: str | None) -> int:
    """About how many numbers a mask has: as many as the largest layer puts out."""
    network = view.run.config.network
    sizes = [math.prod(shape) for shape in (network.input_shape, *(layer.shape for layer in network.layers.values()))]
    return max(sizes) if tensor else 0
