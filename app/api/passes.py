"""What can be looked at in a run: any tensor and number of any of its steps, and single images passed through it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from app.api import schemas
from app.api.paging import Paging
from app.api.runs import Id
from app.context import Context, Ctx, Result
from app.formats import npz
from app.formats.frames import FRAME
from app.http import responses
from app.http.request_body import Natural, read
from app.runs import inspect
from app.runs.run import WELCOME, Run
from app.services import networks
from app.site.openapi import answer, body
from engine.trace import Trace

router = APIRouter(prefix="/api/runs", tags=["steps and passes"], default_response_class=Response)

Step = Annotated[int, Path(description="finished updates; 0 is the first minibatch's pass", examples=[120])]
PassId = Annotated[str, Path(description="a pass, as POST .../passes names it")]
Layer = Annotated[str, Path(description="a layer, or `input`, `target`, `loss`", examples=["conv1"])]
TensorName = Annotated[str, Path(description="a tensor of the layer", examples=["y"])]
PlacePath = Annotated[str, Path(description="layer/tensor/index, the batch's axis first", examples=["conv1/y/0,3,5,5"])]
Sample = Annotated[int | None, Query(ge=0, description="one image of the minibatch; its axis is kept with length 1")]
Listed = Annotated[str | None, Query(description="layer/tensor, separated by commas; default: all that the pass has")]
Names = tuple[tuple[str, str], ...]


class ImagePassFields(inspect.ImageFields):
    step: Natural | None = Field(default=None, description="the parameters of this step; default: the newest")
    edits: inspect.EditList = Field(default=[], description="numbers set by hand, later ones last")


# steps --------------------------------------------------------------------------------------------------------------


@router.get(
    "/{id}/steps/{step}/tensors/{layer}/{tensor}",
    summary="Any tensor of a training step",
    responses=answer(schemas.TensorDocument, npz.NPY, words="the tensor as JSON, or by Accept as .npy"),
)
async def get_step_tensor(
    request: Request, ctx: Ctx, id: Id, step: Step, layer: Layer, tensor: TensorName, sample: Sample = None
) -> Response:
    """{"layer", "tensor", "step", "shape", "dtype", "values"}. Any step of the run's history can be had; others are
    404."""
    return await at_step(request, ctx, id, step).tensor(layer, tensor, sample)


@router.get(
    "/{id}/steps/{step}/explain/{place:path}",
    summary="Why a number of a training step is what it is",
    responses=answer(schemas.Explanation),
)
async def explain_step(request: Request, ctx: Ctx, id: Id, step: Step, place: PlacePath, paging: Paging) -> Response:
    """The explanation of any number: forward, backward or update. Places index the whole minibatch.

    A read with `inside: false` found nothing and counts as 0: it lies outside its tensor (padding) or, with
    `gap: true`, between two cells (a stride leaves it out); `index` then names the cell before it. The tensor of a
    read may end in `@step`: the read belongs to that training step.
    """
    return await at_step(request, ctx, id, step).explanation(place, paging)


@router.get(
    "/{id}/steps/{step}/frame",
    summary="Many tensors of one image of a training step at once",
    responses=answer(None, FRAME, npz.NPZ, words="a binary frame, as on the stream, or by Accept a .npz file"),
)
async def get_step_frame(
    request: Request,
    ctx: Ctx,
    id: Id,
    step: Step,
    tensors: Listed = None,
    sample: Annotated[int, Query(ge=0, description="which image of the minibatch")] = 0,
) -> Response:
    """A frame as the live stream sends it. Each block is image `sample` alone; weights, and their gradients for the
    whole batch, are whole. As .npz the tensors have the names of their places."""
    view = at_step(request, ctx, id, step)
    return await view.frame(tensors, lambda trace, names: inspect.step_frame(trace, sample, names), sample)


# passes -------------------------------------------------------------------------------------------------------------


@router.post(
    "/{id}/passes",
    status_code=201,
    summary="One image through the run's parameters",
    responses=answer(schemas.Pass, status=201),
    openapi_extra=body(ImagePassFields, {"dataset": "mnist", "split": "test", "index": 464}, npz=True),
)
async def create_pass(request: Request, ctx: Ctx, id: Id) -> Response:
    """Forward, backward and the update it would make, as a batch of one; nothing is learned from it. The same image
    and step give the same pass. `edits` sets numbers by hand first: they explain themselves as given, with the value
    before; `base` is the pass without them."""
    run = ctx.runs.get(id)
    asked = await read(request, ctx, ImagePassFields, npz_into="x")

    cost = networks.check_cost(run.config.network, 1, ctx.limits, ctx.limits.multiply_adds, "multiply_adds", passes=3)
    cost *= 2 if asked.edits else 1

    def make() -> dict[str, Any]:
        image = inspect.image_of(run, ctx.datasets, asked, ctx.limits)
        edits = inspect.edits_of(run, asked.edits, ctx.limits)
        return inspect.make_pass(run, image, asked.step, edits).document()

    # an earlier step's parameters may have to be learned once more
    document = await ctx.compute_for(request, make, cost=cost if asked.step is None else cost + run.config.cost)
    where = responses.location(request, f"/api/runs/{run.id}/passes/{document['id']}")
    return responses.json_response(document, 201, {"Location": where})


@router.get("/{id}/passes/{pass_id}", summary="A pass", responses=answer(schemas.Pass))
async def get_pass(request: Request, ctx: Ctx, id: Id, pass_id: PassId) -> Response:
    """{"id", "run", "step", "label", "source", "loss", "probabilities"}; with numbers set by hand `edits`, `base` and
    `base_loss`, too. 404 once it has expired."""
    return responses.json_response(ctx.runs.get(id).passes.get(pass_id).document())


@router.get(
    "/{id}/passes/{pass_id}/tensors/{layer}/{tensor}",
    summary="Any tensor of a pass",
    responses=answer(schemas.TensorDocument, npz.NPY, words="the tensor as JSON, or by Accept as .npy"),
)
async def get_pass_tensor(
    request: Request, ctx: Ctx, id: Id, pass_id: PassId, layer: Layer, tensor: TensorName
) -> Response:
    """{"layer", "tensor", "step", "shape", "dtype", "values"}."""
    return await at_pass(request, ctx, id, pass_id).tensor(layer, tensor)


@router.get(
    "/{id}/passes/{pass_id}/explain/{place:path}",
    summary="Why a number of a pass is what it is",
    responses=answer(schemas.Explanation),
)
async def explain_pass(
    request: Request, ctx: Ctx, id: Id, pass_id: PassId, place: PlacePath, paging: Paging
) -> Response:
    """The explanation of any number of the pass, as for a step."""
    return await at_pass(request, ctx, id, pass_id).explanation(place, paging)


@router.get(
    "/{id}/passes/{pass_id}/frame",
    summary="Many tensors of a pass at once",
    responses=answer(None, FRAME, npz.NPZ, words="a binary frame, as on the stream, or by Accept a .npz file"),
)
async def get_pass_frame(request: Request, ctx: Ctx, id: Id, pass_id: PassId, tensors: Listed = None) -> Response:
    """A frame as the live stream sends it, in float32 blocks; whole numbers are int32. As .npz the tensors have the
    names of their places."""
    view = at_pass(request, ctx, id, pass_id)
    return await view.frame(tensors, lambda _, names: inspect.pass_frame(view.run.passes.get(pass_id), names))


# what they share ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PassView:
    """A request to look at one pass of a run: how to find it, and what finding it costs. It never changes, so whoever
    has an answer already is answered with 304, and nothing is computed."""

    request: Request
    ctx: Context
    run: Run
    find: Callable[[], Trace]
    cost: float = 0.0

    async def tensor(self, layer: str, tensor: str, sample: int | None = None) -> Response:
        kind = responses.negotiate(self.request, "application/json", npz.NPY)

        def find() -> tuple[dict[str, Any], np.ndarray]:
            trace = self.find()
            values = inspect.tensor_of(trace, layer, tensor, sample)
            return {"layer": layer, "tensor": tensor, "step": trace.step, "shape": list(values.shape)}, values

        async def make() -> Response:
            facts, values = await self.compute(find, self.cost)
            if kind == npz.NPY:
                return await self.compute(lambda: Response(npz.write_npy(values), media_type=npz.NPY), values.size)
            document = {**facts, "dtype": str(values.dtype), "values": values}
            writing = responses.WRITING * values.size
            return await self.compute(lambda: responses.json_response(document, limits=self.ctx.limits), writing)

        return await self.cached(kind, make)

    async def explanation(self, place: str, paging: Paging) -> Response:
        def make() -> Response:
            return responses.json_response(inspect.explanation_of(self.run, self.find(), place, paging))

        return await self.cached("", lambda: self.compute(make, self.cost))

    async def frame(
        self, tensors: str | None, build: Callable[[Trace, Names], bytes], sample: int | None = None
    ) -> Response:
        kind = responses.negotiate(self.request, FRAME, npz.NPZ)

        def make() -> Response:
            names = None if tensors is None else inspect.names_of(tensors.split(","), self.run, self.ctx.limits)
            trace = self.find()
            if names is None:
                names = inspect.names_of(inspect.all_of(self.run, trace), self.run, self.ctx.limits)
            if kind == npz.NPZ:
                return Response(inspect.pass_npz(trace, names, sample), media_type=kind)
            return Response(build(trace, names), media_type=FRAME)

        return await self.cached(kind, lambda: self.compute(make, self.cost))

    async def compute(self, function: Callable[[], Result], cost: float) -> Result:
        return await self.ctx.compute_for(self.request, function, cost=cost)

    async def cached(self, kind: str, make: Callable[[], Awaitable[Response]]) -> Response:
        # The welcome run keeps its id when the server starts again, perhaps as another version.
        caching = responses.CHECKED if self.run.id == WELCOME else responses.FOREVER
        tag = responses.etag(self.run.key, self.request.url.path, self.request.url.query, kind)
        same = responses.unchanged(self.request, tag, caching)
        return same or responses.with_etag(await make(), tag, caching)


def at_step(request: Request, ctx: Context, id: str, step: int) -> PassView:
    run = ctx.runs.get(id)
    cost = 0.0 if run.trainer.at_hand(step) else run.config.cost
    return PassView(request, ctx, run, lambda: inspect.trace_at(run, step), cost)


def at_pass(request: Request, ctx: Context, id: str, pass_id: str) -> PassView:
    run = ctx.runs.get(id)
    return PassView(request, ctx, run, lambda: run.passes.get(pass_id).trace)
