"""Whole networks without a run: presets, shapes, scores, gradients, explanations."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from app import answered, answers, checks, networks
from app.api.ops import checked
from app.api.paging import Paging
from app.bodies import WHOLE, read
from app.compute import CHEAP
from app.context import Context, Here
from app.faults import refusals
from app.networks import NetworkChoice
from app.openapi import answer, body
from app.problems import invalid
from app.wire import documents, npz, text
from engine.models import MODELS
from engine.optimizers import OPTIMIZERS
from engine.score import score
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
    return text.encode(entries)


@router.get(
    "/models",
    summary="The presets, each a complete network document",
    responses=answer(list[answered.Model]),
)
async def list_models(request: Request, here: Here) -> Response:
    """A list. Each can be sent back as `network`; `defaults` are the settings that train it well. Those without are
    too large to train here: documents whose shapes and counts can be had."""
    return answers.constant(request, await here.ask(request, _models))


@router.post(
    "/networks/shapes",
    summary="Layer by layer: shape, parameters, cost, receptive field",
    responses=answer(answered.Shapes),
    openapi_extra=body(NetworkChoice, {"model": "classroom"}),
)
async def get_shapes(request: Request, here: Here) -> Response:
    """A misfit is 422 with the layer in `loc` and the arithmetic in the detail."""
    asked = await read(request, here, NetworkChoice)

    def make() -> Response:
        network = networks.network_of(asked)
        with refusals("network"):
            return answers.json_response({"layers": documents.plain(network.shapes())})

    return await here.ask(request, make)


@router.post(
    "/networks/score",
    summary="What happens in a pass, in which order",
    responses=answer(answered.Score),
    openapi_extra=body(ScoreFields, {"model": "tiny"}),
)
async def get_network_score(request: Request, here: Here) -> Response:
    """Layers, tensors with their shapes, aliases, and the phases with their equations and moving windows. No values."""
    asked = await read(request, here, ScoreFields)

    def make() -> Response:
        network = networks.network_of(asked)
        if asked.optimizer is not None and asked.optimizer not in OPTIMIZERS:
            raise invalid(
                f"there is no optimizer {asked.optimizer!r}; there are: {', '.join(OPTIMIZERS)}",
                ["optimizer"],
            )
        optimizer = OPTIMIZERS[asked.optimizer]() if asked.optimizer else None
        with refusals("network"):
            return answers.json_response(documents.score(score(network, asked.batch, optimizer)))

    return await here.ask(request, make, cost=2 * CHEAP)


@router.post(
    "/networks/gradients",
    summary="Forward and backward: every layer, every parameter",
    responses=answer(answered.Gradients, npz.NPZ),
    openapi_extra=body(networks.PassFields, {"model": "tiny"}, npz=True),
)
async def compute_gradients(request: Request, here: Here) -> Response:
    """{"loss", "layers": {name: {"y", "dy", ...}}, "gradients": {"conv1/w": ...}, "parameters"}. As .npz, tensors are
    named by their places: `conv1/y`, `conv1/dw`, `conv1/w`."""
    asked = await read(request, here, networks.PassFields, npz_into="parameters")
    kind = answers.prefers(request, "application/json", npz.NPZ)

    def make() -> Response:
        trace = networks.trace_of(asked, here.limits)
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
        return answers.json_response(document, limits=here.limits)

    return await here.compute_for(request, make, cost=await _cost(request, asked, here))


@router.post(
    "/networks/check",
    summary="A network's gradients beside central differences, and beside your own",
    responses=answer(answered.Report, npz.NPZ),
    openapi_extra=body(checks.NetworkCheckFields, {"model": "tiny", "gradients": {"fc.weight": [[0]]}}, npz=True),
)
async def check_network(request: Request, here: Here) -> Response:
    """As for an operator, for every parameter (`conv1/w`) and for the images (`x`); `gradients` takes PyTorch's names
    too."""
    asked = await read(request, here, checks.NetworkCheckFields, npz_into="parameters")

    def make_report() -> checks.Report:
        return checks.network_report(*checks.network_check_of(asked, here.limits), here.limits)

    return await checked(request, here, make_report)


@router.post(
    "/networks/explain",
    summary="Why a number of a network's pass is what it is",
    responses=answer(answered.Explanation),
    openapi_extra=body(PassPlaceFields, {"model": "tiny", "place": "conv/dw/0,0,1,1"}, npz=True),
)
async def explain_network(request: Request, here: Here, paging: Paging) -> Response:
    """The explanation of any number: forward or backward."""
    asked = await read(request, here, PassPlaceFields, npz_into="parameters")

    def make() -> Response:
        try:
            place = Place.parse(asked.place)
            if place.step is not None:
                raise PlaceError(f"{asked.place!r}: a pass without a run has no steps; expected layer/tensor/index")
            trace = networks.trace_of(asked, here.limits)
            with refusals("place"):
                return answers.json_response(documents.explanation(asked.place, explain(trace, place, **paging)))
        except PlaceError as error:
            raise invalid(str(error.args[0]), ["place"]) from None

    return await here.compute_for(request, make, cost=await _cost(request, asked, here))


async def _cost(request: Request, asked: networks.PassFields, here: Context) -> float:
    """How dear the call is, about: forward and backward for as many images as there seem to be."""

    def find() -> float:
        images = len(asked.x) if isinstance(asked.x, list) or (isinstance(asked.x, np.ndarray) and asked.x.ndim) else 1
        return 3.0 * images * networks.network_of(asked).work

    return await here.ask(request, find)
