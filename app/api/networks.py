"""Whole networks without a run: presets, shapes, scores, gradients, explanations."""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from app.api import schemas
from app.api.ops import checked
from app.api.paging import Paging
from app.context import Context, Ctx
from app.formats import documents, json, npz
from app.http import responses
from app.http.engine_errors import as_problems
from app.http.request_body import WHOLE, read
from app.problems import invalid
from app.runs.scheduler import LIGHT
from app.services import gradcheck, networks
from app.services.networks import NetworkChoice
from app.site.openapi import answer, body
from engine.models import MODELS
from engine.optimizers import OPTIMIZERS
from engine.timeline import timeline
from engine.trace import Place, PlaceError, explain

router = APIRouter(prefix="/api", tags=["networks"], default_response_class=Response)


class ScoreFields(NetworkChoice):
    batch: Annotated[int, Field(ge=1, le=4096), WHOLE] = Field(default=1, description="images in the pass")
    optimizer: Annotated[str, Field(json_schema_extra={"enum": list(OPTIMIZERS)})] | None = Field(
        default=None, description="ends the pass with this optimizer's update; default: none"
    )


class PassPlaceFields(networks.PassFields):
    place: str = Field(description="layer/tensor/index of the number to explain", examples=["conv/dw/0,0,1,1"])


@cache
def _models() -> bytes:
    entries = []
    for model in MODELS.values():
        entry = {
            "name": model.name,
            "title": model.title,
            "summary": model.summary,
            **model.document,
            "defaults": dict(model.defaults) or None,
            "parameters": model.parameters,
            "example": model.example,
        }
        entries.append({name: value for name, value in entry.items() if value is not None})
    return json.encode(entries)


@router.get(
    "/models",
    summary="The presets, each a complete network document",
    responses=answer(list[schemas.Model]),
)
async def list_models(request: Request, ctx: Ctx) -> Response:
    """A list. Each can be sent back as `network`; `defaults` are the settings that train it well. Those without are
    too large to train here: documents whose shapes and counts can be had."""
    return responses.cacheable(request, await ctx.ask(request, _models))


@router.post(
    "/networks/shapes",
    summary="Layer by layer: shape, parameters, cost, receptive field",
    responses=answer(schemas.Shapes),
    openapi_extra=body(NetworkChoice, {"model": "classroom"}),
)
async def get_shapes(request: Request, ctx: Ctx) -> Response:
    """A misfit is 422 with the layer in `loc` and the arithmetic in the detail."""
    asked = await read(request, ctx, NetworkChoice)

    def make() -> Response:
        network = networks.network_of(asked)
        with as_problems("network"):
            return responses.json_response({"layers": documents.plain(network.shapes())})

    return await ctx.ask(request, make)


@router.post(
    "/networks/score",
    summary="What happens in a pass, in which order",
    responses=answer(schemas.Score),
    openapi_extra=body(ScoreFields, {"model": "tiny"}),
)
async def get_network_score(request: Request, ctx: Ctx) -> Response:
    """Layers, tensors with their shapes, aliases, and the phases with their equations and moving windows. No values."""
    asked = await read(request, ctx, ScoreFields)

    def make() -> Response:
        network = networks.network_of(asked)
        if asked.optimizer is not None and asked.optimizer not in OPTIMIZERS:
            raise invalid(
                f"there is no optimizer {asked.optimizer!r}; there are: {', '.join(OPTIMIZERS)}",
                ["optimizer"],
            )
        optimizer = OPTIMIZERS[asked.optimizer]() if asked.optimizer else None
        with as_problems("network"):
            return responses.json_response(documents.timeline(timeline(network, asked.batch, optimizer)))

    return await ctx.ask(request, make, cost=2 * LIGHT)


@router.post(
    "/networks/gradients",
    summary="Forward and backward: every layer, every parameter",
    responses=answer(schemas.Gradients, npz.NPZ),
    openapi_extra=body(networks.PassFields, {"model": "tiny"}, npz=True),
)
async def compute_gradients(request: Request, ctx: Ctx) -> Response:
    """{"loss", "layers": {name: {"y", "dy", ...}}, "gradients": {"conv1/w": ...}, "parameters"}. As .npz, tensors are
    named by their places: `conv1/y`, `conv1/dw`, `conv1/w`."""
    asked = await read(request, ctx, networks.PassFields, npz_into="parameters")
    kind = responses.negotiate(request, "application/json", npz.NPZ)

    def make() -> Response:
        trace = networks.trace_of(asked, ctx.limits)
        network = trace.network
        layers: dict[str, dict[str, np.ndarray]] = {"input": {"y": trace["input", "y"]}}
        for layer in (*network.layers.values(), network.loss):
            names = dict.fromkeys((*layer.op.results, *layer.op.saved, *(f"d{name}" for name in layer.op.inputs)))
            layers[layer.name] = {name: trace[layer.name, name] for name in names if (layer.name, name) in trace}
            if layer is not network.loss:
                layers[layer.name]["dy"] = trace[layer.name, "dy"]
            layers[layer.name] |= {f"{name}_next": trace[layer.name, f"{name}_next"] for name in layer.op.buffers}
        slopes = {name: trace[networks.gradient_key(name)] for name in network.learned}
        own = {name: trace[networks.parameter_key(name)] for name in network.parameter_shapes}
        loss = float(trace["loss", "y"])
        if kind == npz.NPZ:
            named = {f"{layer}/{name}": array for layer, tensors in layers.items() for name, array in tensors.items()}
            named |= own | {"/".join(networks.gradient_key(name)): array for name, array in slopes.items()}
            return Response(npz.write_npz(named, {"loss": loss}), media_type=npz.NPZ)
        document = {"loss": loss, "layers": layers, "gradients": slopes, "parameters": own}
        return responses.json_response(document, limits=ctx.limits)

    return await ctx.compute_for(request, make, cost=await _cost(request, asked, ctx))


@router.post(
    "/networks/check",
    summary="A network's gradients beside central differences, and beside your own",
    responses=answer(schemas.Report, npz.NPZ),
    openapi_extra=body(gradcheck.NetworkCheckFields, {"model": "tiny", "gradients": {"fc.weight": [[0]]}}, npz=True),
)
async def check_network(request: Request, ctx: Ctx) -> Response:
    """As for an operator, for every parameter (`conv1/w`) and for the images (`x`); `gradients` takes PyTorch's names
    too."""
    asked = await read(request, ctx, gradcheck.NetworkCheckFields, npz_into="parameters")

    def make_report() -> gradcheck.Report:
        return gradcheck.network_report(*gradcheck.network_check_of(asked, ctx.limits), ctx.limits)

    return await checked(request, ctx, make_report)


@router.post(
    "/networks/explain",
    summary="Why a number of a network's pass is what it is",
    responses=answer(schemas.Explanation),
    openapi_extra=body(PassPlaceFields, {"model": "tiny", "place": "conv/dw/0,0,1,1"}, npz=True),
)
async def explain_network(request: Request, ctx: Ctx, paging: Paging) -> Response:
    """The explanation of any number: forward or backward."""
    asked = await read(request, ctx, PassPlaceFields, npz_into="parameters")

    def make() -> Response:
        try:
            place = Place.parse(asked.place)
            if place.step is not None:
                raise PlaceError(f"{asked.place!r}: a pass without a run has no steps; expected layer/tensor/index")
            trace = networks.trace_of(asked, ctx.limits)
            with as_problems("place"):
                return responses.json_response(documents.explanation(asked.place, explain(trace, place, **paging)))
        except PlaceError as error:
            raise invalid(str(error.args[0]), ["place"]) from None

    return await ctx.compute_for(request, make, cost=await _cost(request, asked, ctx))


async def _cost(request: Request, asked: networks.PassFields, ctx: Context) -> float:
    """How heavy the call is, about: forward and backward for as many images as there seem to be. Their memory is
    held."""

    def find() -> tuple[float, int]:
        images = len(asked.x) if isinstance(asked.x, list) or (isinstance(asked.x, np.ndarray) and asked.x.ndim) else 1
        network = networks.network_of(asked)
        outputs = images * sum(math.prod(layer.shape) for layer in network.layers.values())
        return 3.0 * images * network.work, min(outputs, ctx.limits.activations)  # more than that is refused

    cost, outputs = await ctx.ask(request, find)
    await ctx.hold(request, ctx.answers, 2 * responses.ANSWERED * outputs)  # with their gradients
    return cost
