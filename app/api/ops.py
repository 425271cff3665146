"""Operators and optimizers, one call at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from app.api import schemas
from app.api.paging import Paging
from app.context import Context, Ctx
from app.formats import documents, json, npz
from app.http import responses
from app.http.request_body import read
from app.runs.scheduler import LIGHT
from app.services import gradcheck, op_calls
from app.services.gradcheck import CheckFields, Report
from app.services.op_calls import OpFields, OpPlaceFields, OptimizerFields, OptimizerPlaceFields
from app.site.openapi import answer, body
from engine.mistakes import MISTAKES
from engine.ops import OPS
from engine.optimizers import OPTIMIZERS
from engine.schedules import SCHEDULES

router = APIRouter(prefix="/api", tags=["operators"], default_response_class=Response)

OpName = Annotated[
    str, Path(description="an operator of GET /api/ops", examples=["conv2d"], json_schema_extra={"enum": list(OPS)})
]
OptimizerName = Annotated[
    str,
    Path(
        description="an optimizer of GET /api/optimizers",
        examples=["momentum"],
        json_schema_extra={"enum": list(OPTIMIZERS)},
    ),
]

#: Rossi's Sobel example: a true convolution of a 3 x 3 image, padded with zeros.
SOBEL: dict[str, Any] = {
    "settings": {"padding": 1, "flip_kernel": True},
    "tensors": {
        "x": [[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]],
        "w": [[[[-1, -2, -1], [0, 0, 0], [1, 2, 1]]]],
    },
}
DELTA = {**SOBEL, "tensors": {**SOBEL["tensors"], "dy": [[[[1, 0, 0], [0, 0, 0], [0, 0, 2]]]]}}
#: Its gradient of w as it comes out when one forgets that the kernel was turned on the way forward.
WRONG = [[[[10, 12, 0], [16, 19, 2], [0, 4, 5]]]]
UPDATE: dict[str, Any] = {
    "settings": {"learning_rate": 0.1, "momentum": 0.9},
    "tensors": {"w": [0.5, -1.0], "dw": [0.2, 0.1], "v": [0.0, 0.3], "step": 1},
}


@cache
def listing() -> bytes:
    """Takes a fifth of a second when it is first made."""
    return json.encode({"ops": [op_calls.describe_op(kind) for kind in OPS.values()]})


@cache
def _optimizers() -> bytes:
    found = {
        "optimizers": [op_calls.describe_optimizer(kind) for kind in OPTIMIZERS.values()],
        "schedules": [op_calls.describe_schedule(kind) for kind in SCHEDULES.values()],
    }
    return json.encode(found)


@router.get(
    "/ops",
    summary="Every operator: sentences, tensors, settings, gradients",
    responses=answer(schemas.Ops),
)
async def list_ops(request: Request, ctx: Ctx) -> Response:
    """{"ops": [{"name", "title", "sentences", "tensors", "settings" (JSON Schema), "gradients"}]}."""
    return responses.cacheable(request, await ctx.ask(request, listing))


@router.post(
    "/ops/{op}/forward",
    summary="Compute an operator",
    responses=answer(schemas.Results, npz.NPZ),
    openapi_extra=body(OpFields, SOBEL, npz=True),
)
async def forward_op(request: Request, ctx: Ctx, op: OpName) -> Response:
    """{"tensors": every result, "shapes"}."""
    asked = await read(request, ctx, OpFields, npz_into="tensors")
    call = await ctx.ask(request, op_calls.call_of, op, asked, ctx.limits)
    return await _answer(request, ctx, call.forward, call.cost, call.elements)


@router.post(
    "/ops/{op}/backward",
    summary="Compute an operator and its gradients",
    responses=answer(schemas.Results, npz.NPZ),
    openapi_extra=body(OpFields, DELTA, npz=True),
)
async def backward_op(request: Request, ctx: Ctx, op: OpName) -> Response:
    """{"tensors": every result of forward and every gradient, "shapes"}. `dy` is the gradient of the loss with respect
    to y; losses may leave it out (1)."""
    asked = await read(request, ctx, OpFields, npz_into="tensors")
    call = await ctx.ask(request, op_calls.call_of, op, asked, ctx.limits)
    return await _answer(request, ctx, call.backward, 3 * call.cost, 2 * call.elements)


@router.post(
    "/ops/{op}/score",
    summary="What happens in a call of an operator, in which order",
    responses=answer(schemas.Score),
    openapi_extra=body(OpFields, DELTA, npz=True),
)
async def get_op_score(request: Request, ctx: Ctx, op: OpName) -> Response:
    """The timeline of one call as GET /api/runs/{id}/score has it of a pass: a phase for each result and, with `dy`,
    for each gradient. What is given and is no parameter is of the layer `input`: `input/x`, `input/dy`. No values."""
    asked = await read(request, ctx, OpFields, npz_into="tensors")
    call = await ctx.ask(request, op_calls.call_of, op, asked, ctx.limits)
    return await ctx.ask(request, lambda: responses.json_response(documents.timeline(call.timeline())), cost=2 * LIGHT)


@router.post(
    "/ops/{op}/explain",
    summary="Why a number of an operator is what it is",
    responses=answer(schemas.Explanation),
    openapi_extra=body(OpPlaceFields, {**DELTA, "place": "dx/0,0,1,1"}, npz=True),
)
async def explain_op(request: Request, ctx: Ctx, op: OpName, paging: Paging) -> Response:
    """The explanation of a number of any result or, with `dy`, of any gradient."""
    asked = await read(request, ctx, OpPlaceFields, npz_into="tensors")
    call = await ctx.ask(request, op_calls.call_of, op, asked, ctx.limits)

    def make() -> Response:
        return responses.json_response(call.explain(asked.place, paging, ctx.limits))

    return await ctx.compute_for(request, make, cost=3 * call.cost)


@router.post(
    "/ops/{op}/check",
    summary="Gradients beside central differences, and beside your own",
    responses=answer(schemas.Report, npz.NPZ),
    openapi_extra=body(CheckFields, {**DELTA, "gradients": {"dw": WRONG}}, npz=True),
)
async def check_op(request: Request, ctx: Ctx, op: OpName) -> Response:
    """Differences are central, in float64, and largest differences leave kinks and ties out, which are listed. Of a
    large tensor a random choice of places is checked, always the same.

    `gradients` compares your own. `looks_like` is null, or the name of a mistake of GET /api/mistakes, or of a setting
    that is another: `stride`, `dilation`. Where ties and kinks leave a choice, each window's shares must still add up
    to what flowed in.
    """
    asked = await read(request, ctx, CheckFields, npz_into="tensors")
    call, own = await ctx.ask(request, gradcheck.check_of, op, asked, ctx.limits)
    return await checked(request, ctx, lambda: gradcheck.report_of(call, own, ctx.limits, asked.echo))


async def checked(request: Request, ctx: Context, make_report: Callable[[], Report]) -> Response:
    """A report of a check, heavy to make; as .npz the gradients are members, `dx` and `dx_numeric`."""
    kind = responses.negotiate(request, "application/json", npz.NPZ)

    def make() -> Response:
        report = make_report()
        if kind == npz.NPZ:
            return Response(npz.write_npz(report.arrays(), report.document(arrays=False)), media_type=npz.NPZ)
        return responses.json_response(report.document(arrays=True), limits=ctx.limits)

    return await ctx.compute_for(request, make, cost=ctx.limits.multiply_adds)


@cache
def _mistakes() -> bytes:
    return json.encode({"mistakes": [asdict(each) for each in MISTAKES.values()]})


@router.get(
    "/mistakes",
    summary="Every mistake that a check names",
    responses=answer(schemas.Mistakes),
)
async def list_mistakes(request: Request, ctx: Ctx) -> Response:
    """{"mistakes": [{"name", "sentence", "applies"}]}: what `looks_like` may be."""
    return responses.cacheable(request, await ctx.ask(request, _mistakes))


@router.get(
    "/optimizers",
    tags=["optimizers"],
    summary="Every optimizer and every schedule of the learning rate: sentences, settings, state",
    responses=answer(schemas.Optimizers),
)
async def list_optimizers(request: Request, ctx: Ctx) -> Response:
    """{"optimizers": [{"name", "title", "sentences", "settings" (JSON Schema), "state"}],
    "schedules": [the same without a state]}."""
    return responses.cacheable(request, await ctx.ask(request, _optimizers))


@router.post(
    "/optimizers/{optimizer}/step",
    tags=["optimizers"],
    summary="One update of a parameter",
    responses=answer(schemas.Results, npz.NPZ),
    openapi_extra=body(OptimizerFields, UPDATE, npz=True),
)
async def step_optimizer(request: Request, ctx: Ctx, optimizer: OptimizerName) -> Response:
    """{"tensors": the new `w`, its state and `step`, "shapes"}: what the next call takes. State that is left out
    starts at zero."""
    asked = await read(request, ctx, OptimizerFields, npz_into="tensors")
    update = await ctx.ask(request, op_calls.update_of, optimizer, asked, ctx.limits)
    return await _answer(request, ctx, update.step, update.w.size, 3 * update.w.size)


@router.post(
    "/optimizers/{optimizer}/explain",
    tags=["optimizers"],
    summary="Why an updated number is what it is",
    responses=answer(schemas.Explanation),
    openapi_extra=body(OptimizerPlaceFields, {**UPDATE, "place": "w_next/0"}, npz=True),
)
async def explain_optimizer(request: Request, ctx: Ctx, optimizer: OptimizerName, paging: Paging) -> Response:
    """The explanation of a number of the new parameter (`w_next`), of the new state (`v_next`), or on the way."""
    asked = await read(request, ctx, OptimizerPlaceFields, npz_into="tensors")
    update = await ctx.ask(request, op_calls.update_of, optimizer, asked, ctx.limits)

    def make() -> Response:
        return responses.json_response(update.explain(asked.place, paging, ctx.limits))

    return await ctx.compute_for(request, make, cost=update.w.size)


async def _answer(request: Request, ctx: Ctx, compute: Any, cost: float, elements: int) -> Response:
    """`elements` is about how many numbers the answer holds."""
    kind = responses.negotiate(request, "application/json", npz.NPZ)
    writing = 0.0 if kind == npz.NPZ else responses.WRITING * elements

    await ctx.hold(request, ctx.answers, responses.ANSWERED * elements)

    def make() -> Response:
        arrays = compute()
        return responses.tensors_response(kind, arrays, {"shapes": op_calls.shapes_of(arrays)}, ctx.limits)

    return await ctx.compute_for(request, make, cost=cost + writing)
