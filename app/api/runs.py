"""Training runs: made, started, paused, stepped, followed, asked, forgotten."""

from __future__ import annotations

import dataclasses
import math
import secrets
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api import schemas
from app.context import Context, Ctx, client_of, token_of
from app.formats import npz, safetensors
from app.http import responses
from app.http.engine_errors import as_problems
from app.http.request_body import JSON, TENSOR, WHOLE, Natural, RequestModel, at_most, either, read
from app.problems import invalid, over_limit
from app.runs import inspect
from app.runs.run import WELCOME, Run, RunConfig, hash_token
from app.runs.run_config import RunFields, RunName, config_of, start_from, with_data
from app.services import networks, pytorch_export
from app.site.openapi import answer, body

router = APIRouter(prefix="/api/runs", tags=["runs"], default_response_class=Response)

Id = Annotated[str, Path(description="a run, as POST /api/runs names it", examples=[WELCOME])]
#: Multiply-adds that take as long as drawing a parameter and writing it to disk.
DRAWING = 50.0
FORMATS = {"npz": npz.NPZ, "safetensors": safetensors.SAFETENSORS}
FileFormat = Annotated[Literal["npz", "safetensors"] | None, Query(description="in place of Accept")]
NetworkFormat = Annotated[Literal["json", "npz", "safetensors"] | None, Query(description="in place of Accept")]
ParameterNames = Annotated[
    Literal["own", "torch"], Query(description="`conv1/w`, or `conv1.weight` as in PyTorch's state_dict")
]


class Change(RequestModel):
    state: Literal["running", "paused"] | None = Field(default=None, description="start or pause")
    name: RunName | None = Field(default=None, description="what to call it in the list of runs")
    learning_rate: float | None = Field(default=None, ge=0, le=1e6, description="from the next step on")
    pace: float | None = Field(
        default=None, gt=0, le=1e6, description="at most so many steps a second; null for as fast as it goes"
    )


class Count(RequestModel):
    count: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = Field(default=1, description="how many steps, exactly")


class PredictFields(RequestModel):
    model_config = ConfigDict(json_schema_extra=either(("x",), ("dataset", "indices")) | inspect.SPLIT)

    x: Any = Field(
        default=None,
        description="one image (C, H, W) or a batch (N, C, H, W), 0..1",
        json_schema_extra=TENSOR,
    )
    dataset: str | None = Field(default=None, description="in place of x: a data set of GET /api/datasets")
    split: str = Field(default="test", description="`train` or `test`")
    indices: Annotated[list[Natural] | None, at_most("predicted_images", "indices")] = Field(
        default=None, description="in place of x: which images of the split"
    )
    layers: bool = Field(default=True, description="whether to answer with every layer's y, too")


# runs ---------------------------------------------------------------------------------------------------------------


@router.post(
    "",
    status_code=201,
    summary="Train a network",
    responses=answer(schemas.Run, status=201),
    openapi_extra=body(
        RunFields, {"model": "classroom", "optimizer": {"name": "momentum", "learning_rate": 0.05}}, npz=True
    ),
)
async def create_run(request: Request, ctx: Ctx) -> Response:
    """The new run, with its Location. It begins at once unless `start` is false.

    A server started with `--shared` answers with a `token` too: without `Authorization: Bearer <token>` nobody can
    change, step or delete the run. Anybody may watch it. Whoever sends a token of theirs with this call gets the run
    under the same token, so that one serves for all of theirs. It is kept on disk until its limits let go of it."""
    asked = with_data(await read(request, ctx, RunFields, npz_into="parameters"))

    token = (token_of(request) or secrets.token_urlsafe(18)) if ctx.settings.shared else ""

    def decide() -> RunConfig:
        return config_of(asked, ctx.datasets, ctx.limits, start_from(asked, ctx.runs, ctx.imports, ctx.limits))

    if asked.from_ is not None:  # an earlier step's parameters may have to be learned once more
        config = await ctx.compute_for(request, decide, cost=ctx.runs.get(asked.from_.run).config.cost)
    else:
        config = await ctx.ask(request, decide)

    def make() -> dict[str, Any]:
        owned = dataclasses.replace(config, owner=hash_token(token) if token else "")
        run = ctx.runs.create(owned, inspect.live_frame, client_of(request), start=asked.start)
        return run.document(token) | ({"token": token} if token else {})

    document = await ctx.ask(request, make, cost=DRAWING * config.network.size)
    where = responses.location(request, f"/api/runs/{document['id']}")
    return responses.json_response(document, 201, {"Location": where})


@router.get("", summary="Every run", responses=answer(list[schemas.Run]))
async def list_runs(request: Request, ctx: Ctx) -> Response:
    """A list of runs, oldest first. `mine` says which ones the token of the call may change."""
    token = token_of(request)
    return await ctx.ask(request, lambda: _no_store([run.document(token) for run in ctx.runs.all()]))


@router.get("/{id}", summary="One run", responses=answer(schemas.Run))
async def get_run(request: Request, ctx: Ctx, id: Id) -> Response:
    """State (created, running, paused, finished, failed), network, step, epoch, loss, accuracy, history, speed."""
    return _no_store(ctx.runs.get(id).document(token_of(request)))


@router.patch(
    "/{id}",
    summary="Start, pause, rename, or change the pace or the learning rate",
    responses=answer(schemas.Run),
    openapi_extra=body(Change, {"state": "paused"}),
)
async def change_run(request: Request, ctx: Ctx, id: Id) -> Response:
    """The run as it then is. 409 where its state does not allow the change."""
    run = ctx.runs.own(id, token_of(request))
    asked = await read(request, ctx, Change)
    with as_problems():
        run.change(asked.model_dump(exclude_unset=True))
    return _no_store(run.document(token_of(request)))


@router.post(
    "/{id}/step",
    status_code=202,
    summary="Exactly so many steps of a created or paused run",
    responses=answer(schemas.Run, status=202),
    openapi_extra=body(Count, {"count": 1}),
)
async def step_run(request: Request, ctx: Ctx, id: Id) -> Response:
    """202 at once; then poll the run, which is running until the steps are made and paused after them."""
    run = ctx.runs.own(id, token_of(request))
    asked = await read(request, ctx, Count)
    run.advance(asked.count)
    return responses.json_response(
        run.document(token_of(request)), 202, {"Location": responses.location(request, f"/api/runs/{id}")}
    )


@router.delete("/{id}", status_code=204, summary="Forget a run")
async def delete_run(request: Request, ctx: Ctx, id: Id) -> Response:
    """Its training ends after the step under way, its streams are closed, and nothing is kept of it."""
    await ctx.ask(request, ctx.runs.delete, id, token_of(request))
    return Response(status_code=204)


@router.get("/{id}/metrics", summary="Loss and accuracy by step", responses=answer(schemas.Metrics))
async def get_metrics(
    request: Request,
    ctx: Ctx,
    id: Id,
    since: Annotated[int, Query(ge=0, le=2**53, description="only later steps")] = 0,
    points: Annotated[int, Query(ge=0, le=1_000_000, description="at most so many, evenly chosen; 0 for all")] = 0,
) -> Response:
    """Columns: step, loss, accuracy of each minibatch; `probe`: the first 1,000 test images now and then; `test`: the
    whole test set at each epoch's end."""
    figures = ctx.runs.get(id).figures
    rows = max(0, len(figures.train) - since)
    cost = 3 * responses.WRITING * min(rows, points or rows)
    return await ctx.ask(request, lambda: _no_store(figures.document(since, points)), cost=cost)


@router.get(
    "/{id}/score",
    summary="What happens in a pass, in which order",
    responses=answer(schemas.Score),
)
async def get_score(
    request: Request,
    ctx: Ctx,
    id: Id,
    batch: Annotated[int, Query(ge=1, le=4096, description="images in the pass")] = 1,
    training: Annotated[
        bool, Query(description="of a training step's pass; else of one from which nothing is learned")
    ] = False,
) -> Response:
    """Layers, tensors with their shapes, aliases, and the phases with their equations and moving windows. No values."""
    run = ctx.runs.get(id)
    tag = responses.etag(run.key, batch, training, "score")
    if same := responses.unchanged(request, tag, responses.CHECKED):
        return same

    def make() -> Response:
        return responses.with_etag(
            responses.json_response(inspect.timeline_document(run, batch, training)), tag, responses.CHECKED
        )

    return await ctx.ask(request, make)


@router.get(
    "/{id}/parameters",
    summary="The newest parameters",
    responses=answer(
        None, npz.NPZ, safetensors.SAFETENSORS, words="each parameter under its name, and the step in `response`"
    ),
)
async def get_parameters(
    request: Request, ctx: Ctx, id: Id, format: FileFormat = None, names: ParameterNames = "own"
) -> Response:
    """A file of every parameter, as .npz or .safetensors: `conv1/w`, ..., or as PyTorch's `state_dict` names them.

    The step is in the 0-d member `response`, {"step"}, or in the metadata's entry `response`. The file, with `request`
    added, is a body of POST /api/runs; GET .../network gives one that is complete."""
    run = ctx.runs.get(id)
    kind = FORMATS[format] if format else responses.negotiate(request, *FORMATS.values())

    def make() -> Response:
        step, values = run.step_and_parameters()
        if names == "torch":
            values = {run.config.network.torch_name(name): array for name, array in values.items()}
        return _file(run, "parameters", kind, values, {"response": {"step": step}})

    return await ctx.ask(request, make, cost=run.config.network.size)


@router.get(
    "/{id}/network",
    summary="The network with its newest parameters",
    responses=answer(
        schemas.Network,
        npz.NPZ,
        safetensors.SAFETENSORS,
        words="a network document, or by Accept a file of the parameters with the document in `request`",
    ),
)
async def get_network(request: Request, ctx: Ctx, id: Id, format: NetworkFormat = None) -> Response:
    """{"input", "layers", "loss", "title", "parameters"}: what POST /api/runs and /api/networks/... take as `network`,
    here or at another server. As .npz or .safetensors it is a whole body of POST /api/runs: the parameters are members,
    `request` holds {"network"}. A network of many parameters travels so; as JSON it may be larger than is taken."""
    run = ctx.runs.get(id)
    kind = {"json": JSON, **FORMATS}[format] if format else responses.negotiate(request, JSON, *FORMATS.values())

    def make() -> Response:
        step, values = run.step_and_parameters()
        document = {"title": run.config.title, **run.config.network.document()}
        if kind == JSON:
            return _no_store({**document, "parameters": values})
        whole = {"network": document, "start": False}
        return _file(run, "network", kind, values, {"request": whole, "response": {"step": step}})

    return await ctx.ask(request, make, cost=run.config.network.size * (responses.WRITING if kind == JSON else 1.0))


@router.get(
    "/{id}/pytorch",
    summary="The network as PyTorch source",
    responses=answer(
        None, pytorch_export.PYTHON, words="a Python module with `Net`, `loss`, `training`, `update` and `load`"
    ),
)
async def get_pytorch(request: Request, ctx: Ctx, id: Id) -> Response:
    """Source that builds the same network, with the same names in its `state_dict`, loads the file of
    .../parameters?names=torch, and is trained by the same optimizer, schedule and
    clipping. 409 where PyTorch has no such layer."""
    run = ctx.runs.get(id)

    def make() -> Response:
        content = pytorch_export.source(run.config.network, run.config.title, run.config.optimizer)
        name = f"attachment; filename={run.id}.py"
        return responses.with_etag(
            Response(content, headers={"Content-Disposition": name}, media_type=pytorch_export.PYTHON),
            responses.etag(run.key, "pytorch"),
            responses.CHECKED,
        )

    return await ctx.ask(request, make)


def _file(run: Run, what: str, kind: str, tensors: dict[str, np.ndarray], rest: dict[str, Any]) -> Response:
    """Tensors to be kept in a file: never what a browser or a proxy should keep."""
    content = npz.write_npz(tensors, **rest) if kind == npz.NPZ else safetensors.write_safetensors(tensors, rest)
    name = f"{run.id}-{what}.{'npz' if kind == npz.NPZ else 'safetensors'}"
    headers = {"Content-Disposition": f"attachment; filename={name}", "Cache-Control": "no-store", "Vary": "Accept"}
    return Response(content, headers=headers, media_type=kind)


@router.post(
    "/{id}/predict",
    summary="What the network says to images",
    responses=answer(schemas.Prediction, npz.NPZ),
    openapi_extra=body(PredictFields, {"dataset": "mnist", "split": "test", "indices": [0, 1]}, npz=True),
)
async def predict(request: Request, ctx: Ctx, id: Id) -> Response:
    """{"step", "probabilities" (N, K), "layers": {name: {"y"}}, "labels"?}: by the newest parameters; nothing is
    learned. `layers` false leaves the y's out."""
    run = ctx.runs.get(id)
    asked = await read(request, ctx, PredictFields, npz_into="x")
    kind = responses.negotiate(request, "application/json", npz.NPZ)

    x, labels = await ctx.ask(request, _images, run, ctx, asked)
    if len(x) > ctx.limits.predicted_images:
        raise over_limit(
            "predicted_images",
            ctx.limits.predicted_images,
            f"{len(x)} images; at most {ctx.limits.predicted_images} are taken",
            ["x"],
        )
    network = run.config.network
    cost = networks.check_cost(network, len(x), ctx.limits, ctx.limits.multiply_adds, "multiply_adds")
    outputs = len(x) * sum(math.prod(layer.shape) for layer in network.layers.values())
    if kind != npz.NPZ and asked.layers:
        cost += responses.WRITING * outputs
    await ctx.hold(request, ctx.answers, responses.ANSWERED * outputs)

    def make() -> Response:
        now = run.trainer.step
        with as_problems():
            probabilities, values = run.trainer.predict(x)
        rest: dict[str, Any] = {"step": now} if labels is None else {"step": now, "labels": labels}
        layers = {name: {"y": values[name, "y"]} for name in network.layers} if asked.layers else {}
        if kind == npz.NPZ:
            tensors = {f"{name}/y": tensors["y"] for name, tensors in layers.items()}
            return Response(npz.write_npz({"probabilities": probabilities, **tensors}, rest), media_type=npz.NPZ)
        document = {**rest, "probabilities": probabilities, **({"layers": layers} if asked.layers else {})}
        return responses.json_response(document, limits=ctx.limits)

    return await ctx.compute_for(request, make, cost=cost)


def _images(run: Run, ctx: Context, asked: PredictFields) -> tuple[np.ndarray, list[int] | None]:
    """Images (N, C, H, W), and their labels where they come from a data set."""
    if (asked.x is None) == (asked.dataset is None or asked.indices is None):
        raise invalid("expected either x or dataset, split and indices", ["x"])
    if asked.x is not None:
        inspect.check_only_x(asked, ("dataset", "split", "indices"))
        return networks.pixels(run.config.network, asked.x, ["x"], ctx.limits), None
    assert asked.dataset is not None and asked.indices is not None
    split = inspect.split_of(run, ctx.datasets, asked.dataset, asked.split)
    if not asked.indices or not all(0 <= index < len(split) for index in asked.indices):
        raise invalid(f"expected positions from 0 to {len(split) - 1}, at least one", ["indices"])
    x, labels = split.batch(np.array(asked.indices))
    known = labels.tolist() if labels.dtype.kind in "iu" and labels.ndim == 1 else None
    return networks.images(run.config.network, x, ["indices"], "float32", ctx.limits), known


def _no_store(document: Any) -> Response:
    return responses.json_response(document, headers={"Cache-Control": "no-store"})
