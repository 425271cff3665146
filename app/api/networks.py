"""Whole networks without a run: presets, shapes, scores, gradients, explanations."""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api import schemas
from app.api.ops import checked
from app.api.paging import Paging
from app.context import Context, Ctx
from app.formats import documents, json, npz
from app.formats.frames import FRAME, frame
from app.http import responses
from app.http.engine_errors import as_problems
from app.http.request_body import WHOLE, Natural, either, read
from app.problems import invalid
from app.runs import inspect
from app.runs.scheduler import LIGHT
from app.services import gradcheck, networks
from app.services.networks import NetworkChoice
from app.site.openapi import answer, body
from engine.draft import Draft, draft
from engine.models import MODELS
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.timeline import timeline
from engine.trace import Place, PlaceError, explain

router = APIRouter(prefix="/api", tags=["networks"], default_response_class=Response)


class ScoreFields(NetworkChoice):
    batch: Annotated[int, Field(ge=1, le=4096), WHOLE] = Field(default=1, description="images in the pass")
    optimizer: Annotated[str, Field(json_schema_extra={"enum": list(OPTIMIZERS)})] | None = Field(
        default=None, description="ends the pass with this optimizer's update; default: none"
    )


#: A window that hangs over the edge.
DRAFT = {
    "network": {
        "input": [1, 7, 7],
        "layers": [{"name": "conv1", "op": "conv2d", "settings": {"out": 8, "kernel_size": 3, "stride": 3}}],
    }
}
EMPTY = np.empty(0)


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
            "button": model.button or None,
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
    "/networks/draft",
    summary="A network while it is put together: what fits, what does not, and ways out",
    responses=answer(schemas.Draft),
    openapi_extra=body(NetworkChoice, DRAFT),
)
async def describe_draft(request: Request, ctx: Ctx) -> Response:
    """Every layer with its figures and their arithmetic. A layer that does not fit says why, and which changes would
    make it fit, each as the whole document; those behind it wait."""
    asked = await read(request, ctx, NetworkChoice)

    def make() -> Response:
        with as_problems("network"):
            found = draft(networks.document_of(asked))
        figures = [layer.figures for layer in found.layers if layer.figures]
        return responses.json_response(
            {
                "whole": found.whole,
                "layers": documents.plain(found.layers),
                "loss": documents.plain(found.loss),
                "parameters": sum(each.parameters for each in figures),
                "multiply_adds": sum(each.multiply_adds for each in figures),
            }
        )

    return await ctx.ask(request, make, cost=2 * LIGHT)


class PreviewFields(NetworkChoice, inspect.PixelFields):
    """The image has the shape of the network's input."""

    model_config = ConfigDict(
        json_schema_extra={"allOf": [either(("network",), ("model",)), inspect.ONE_IMAGE], **inspect.SPLIT}
    )

    seed: Natural = Field(default=0, description="draws the parameters")
    run: str | None = Field(
        default=None, description="a run whose newest parameters are taken where name and shape are alike"
    )


@router.post(
    "/networks/preview",
    summary="One image through a network that may not be whole yet",
    responses=answer(None, FRAME, words="a binary frame, as on the stream"),
    openapi_extra=body(PreviewFields, {"model": "classroom", "dataset": "mnist", "split": "test", "index": 464}),
)
async def preview_network(request: Request, ctx: Ctx) -> Response:
    """Forward only, nothing is learned: `input/y`, the parameters and y of every layer that fits, and once the network
    is whole the loss's reading of it, `loss/p`. The header says how many parameters are `trained`, those of `run`, of
    how many (`of`)."""
    asked = await read(request, ctx, PreviewFields)
    run = ctx.runs.get(asked.run) if asked.run is not None else None

    def check() -> tuple[Draft, Network, float]:
        with as_problems("network"):
            found = draft(networks.document_of(asked))
        if found.network is None:
            raise invalid("no layer of this network fits", ["network", "layers"])
        networks.check_parameters(asked, found.network, ctx.limits)
        cost = networks.check_cost(found.network, 1, ctx.limits, ctx.limits.multiply_adds, "multiply_adds")
        return found, found.network, cost

    found, network, cost = await ctx.ask(request, check, cost=2 * LIGHT)

    def make() -> Response:
        x = inspect.pixels_of(network, run, ctx.datasets, asked, ctx.limits)
        parameters = network.initial(asked.seed)
        known = run.trainer.parameters_at() if run else {}
        kept = {name: array for name, array in known.items() if parameters.get(name, EMPTY).shape == array.shape}
        parameters |= kept
        with as_problems("network"):
            values = network.forward(parameters, x)
        blocks = [("input", "y", values["input", "y"])]
        for layer in network.layers.values():
            blocks += [(layer.name, name, parameters[f"{layer.name}/{name}"]) for name in layer.parameters]
            blocks.append((layer.name, "y", values[layer.name, "y"]))
        if found.whole:
            blocks.append(("loss", "p", network.loss.op.answer(values[network.output, "y"])))
        return Response(frame({"trained": len(kept), "of": len(parameters)}, blocks), media_type=FRAME)

    size = 4 * (network.size + sum(math.prod(layer.shape) for layer in network.layers.values()))
    await ctx.hold(request, ctx.answers, 2 * size)
    return await ctx.compute_for(request, make, cost=cost)


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
