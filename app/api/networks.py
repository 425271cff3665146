"""Whole networks without a run: presets, shapes, scores, gradients, explanations."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from app import answers, networks
from app.api.paging import Paging
from app.bodies import TENSOR, read
from app.context import Context, Here
from app.faults import place_in, refusals
from app.networks import DType, NetworkChoice
from app.openapi import body
from app.problems import invalid
from app.wire import documents, npz, text
from engine.models import MODELS
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.score import score
from engine.trace import PlaceError, Trace, explain

router = APIRouter(prefix="/api", tags=["networks"])


class ScoreFields(NetworkChoice):
    batch: int = Field(default=1, ge=1, le=4096, description="images in the pass")
    optimizer: str | None = Field(
        default=None, description="ends the pass with this optimizer's update; default: none"
    )


class PassFields(NetworkChoice):
    parameters: networks.Parameters = None
    seed: int | None = Field(
        default=None, ge=0, lt=2**53, description="draws parameters where none are given; default 0"
    )
    x: Any = Field(
        default=None,
        description="images (N, C, H, W), or one (C, H, W); default: the model's example",
        json_schema_extra=TENSOR,
    )
    target: Any = Field(
        default=None,
        description="N class numbers, or values for each output; default: the model's example",
        json_schema_extra=TENSOR,
    )
    dtype: DType = Field(default="float64", description="of the arithmetic and of the answer")


class PassPlaceFields(PassFields):
    place: str = Field(
        description="layer/tensor/index of the number to explain", examples=["conv/dw/0,0,1,1"]
    )


@cache
def _models() -> bytes:
    entries = []
    for model in MODELS.values():
        entry = {
            "name": model.name,
            "title": model.title,
            "summary": model.summary,
            **model.document,
            "defaults": dict(model.defaults),
            "parameters": model.parameters,
            "example": model.example,
        }
        entries.append({name: value for name, value in entry.items() if value is not None})
    return text.encode(entries)


@router.get("/models", summary="The presets, each a complete network document")
async def models(request: Request, here: Here) -> Response:
    """A list. Each can be sent back as `network`; `defaults` are the settings that train it well."""
    return Response(await here.ask(request, _models), media_type="application/json")


@router.post(
    "/networks/shapes",
    summary="Layer by layer: shape, parameters, cost, receptive field",
    openapi_extra=body(NetworkChoice, {"model": "classroom"}),
)
async def shapes(request: Request, here: Here) -> Response:
    """A misfit is 422 with the layer in `loc` and the arithmetic in the detail."""
    asked = await read(request, here, NetworkChoice)

    def make() -> Response:
        network = networks.network_of(asked, here.limits)
        with refusals("network"):
            return answers.json_response({"layers": documents.plain(network.shapes())})

    return await here.ask(request, make)


@router.post(
    "/networks/score",
    summary="What happens in a pass, in which order",
    openapi_extra=body(ScoreFields, {"model": "tiny"}),
)
async def network_score(request: Request, here: Here) -> Response:
    """Layers, tensors with their shapes, aliases, and the phases with their equations and moving windows. No values."""
    asked = await read(request, here, ScoreFields)

    def make() -> Response:
        network = networks.network_of(asked, here.limits)
        if asked.optimizer is not None and asked.optimizer not in OPTIMIZERS:
            raise invalid(
                f"there is no optimizer {asked.optimizer!r}; there are: {', '.join(OPTIMIZERS)}",
                ["optimizer"],
            )
        optimizer = OPTIMIZERS[asked.optimizer]() if asked.optimizer else None
        with refusals("network"):
            return answers.json_response(documents.score(score(network, asked.batch, optimizer)))

    return await here.ask(request, make)


@router.post(
    "/networks/gradients",
    summary="Forward and backward: every layer, every parameter",
    openapi_extra=body(PassFields, {"model": "tiny"}, npz=True),
)
async def gradients(request: Request, here: Here) -> Response:
    """{"loss", "layers": {name: {"y", "dy", ...}}, "gradients": {"conv1/w": ...}, "parameters"}. As .npz, tensors are
    named by their places: `conv1/y`, `conv1/dw`, `conv1/w`."""
    asked = await read(request, here, PassFields, npz_into="parameters")
    kind = answers.prefers(request, "application/json", npz.NPZ)

    def make() -> Response:
        trace = _trace(asked, here)
        network = trace.network
        layers: dict[str, dict[str, np.ndarray]] = {"input": {"y": trace["input", "y"]}}
        for layer in (*network.layers.values(), network.loss):
            names = [*layer.op.results, *(f"d{name}" for name in layer.op.inputs)]
            layers[layer.name] = {name: trace[layer.name, name] for name in names}
            if layer is not network.loss:
                layers[layer.name]["dy"] = trace[layer.name, "dy"]
        slopes = {name: trace[_gradient(name)] for name in network.parameter_shapes}
        own = {name: trace[_key(name)] for name in network.parameter_shapes}
        loss = float(trace["loss", "y"])
        if kind == npz.NPZ:
            named = {
                f"{layer}/{name}": array
                for layer, tensors in layers.items()
                for name, array in tensors.items()
            }
            named |= own | {"/".join(_gradient(name)): array for name, array in slopes.items()}
            return Response(npz.write_npz(named, {"loss": loss}), media_type=npz.NPZ)
        return answers.json_response({"loss": loss, "layers": layers, "gradients": slopes, "parameters": own})

    return await here.compute_for(request, make, cost=await _cost(request, asked, here))


@router.post(
    "/networks/explain",
    summary="Why a number of a network's pass is what it is",
    openapi_extra=body(PassPlaceFields, {"model": "tiny", "place": "conv/dw/0,0,1,1"}, npz=True),
)
async def network_explanation(request: Request, here: Here, paging: Paging) -> Response:
    """The explanation of any number: forward or backward."""
    asked = await read(request, here, PassPlaceFields, npz_into="parameters")

    def make() -> Response:
        try:
            place = place_in(asked.place)
            trace = _trace(asked, here)
            with refusals("place"):
                return answers.json_response(
                    documents.explanation(asked.place, explain(trace, place, **paging))
                )
        except PlaceError as error:
            raise invalid(str(error.args[0]), ["place"]) from None

    return await here.compute_for(request, make, cost=await _cost(request, asked, here))


def _key(parameter: str) -> tuple[str, str]:
    layer, _, tensor = parameter.partition("/")
    return layer, tensor


def _gradient(parameter: str) -> tuple[str, str]:
    layer, tensor = _key(parameter)
    return layer, f"d{tensor}"


async def _cost(request: Request, asked: PassFields, here: Context) -> float:
    """Three times a forward pass's multiply-adds, for one image: how dear the call is, about."""

    def find() -> float:
        network = networks.network_of(asked, here.limits)
        return 3.0 * sum(layer.multiply_adds for layer in network.shapes())

    return await here.ask(request, find)


def _trace(asked: PassFields, here: Context) -> Trace:
    """The pass that is asked for, within the limits."""
    limits = here.limits
    network: Network = networks.network_of(asked, limits)
    model = networks.model_of(asked)
    example = model.example if model else (asked.network.example if asked.network else None)
    given = {"x": asked.x, "target": asked.target}
    for name, value in given.items():
        if value is None and isinstance(example, dict):
            given[name] = example.get(name)
        if given[name] is None:
            raise invalid(f"{name} is missing", [name])
    x = networks.images(network, given["x"], ["x"], asked.dtype, limits)
    target = networks.targets(network, given["target"], x, ["target"], asked.dtype, limits)
    networks.check_cost(network, len(x), limits, limits.multiply_adds, "multiply_adds", passes=3)
    kind = np.dtype(asked.dtype).type
    own = (
        networks.own_parameters(asked)
        if asked.parameters is None and asked.seed is None
        else asked.parameters
    )
    if own is None:
        parameters = network.initial(asked.seed or 0, kind)
    else:
        parameters = networks.parameters_of(network, own, asked.dtype, limits)
    with refusals():
        values = network.forward(parameters, x, target)
        network.backward(parameters, values, learning=False)
    return Trace(network, values, parameters, origin=(asked.seed or 0) if own is None else None)
