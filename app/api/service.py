"""The server itself: is it there, is it ready, what are its limits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from app import answered, looking
from app.answers import json_response, location
from app.context import Here, token_of
from app.keeping import Unreadable, read_run
from app.openapi import answer
from app.pages import own_version
from app.problems import unavailable
from app.runs import WELCOME, Run

router = APIRouter(tags=["server"], default_response_class=Response)


@router.get("/healthz", summary="Is the server there?", responses=answer(answered.Health))
async def get_health() -> Response:
    """200 as soon as pages are served."""
    return json_response({"status": "ok"})


@router.get("/readyz", summary="Can numbers be asked for?", responses=answer(answered.Health))
async def get_readiness(here: Here) -> Response:
    """200 once every kernel is compiled and the runs of earlier starts are back, 503 before."""
    here.runs.all()
    if not here.warming.ready:
        raise unavailable("the kernels are being compiled", retry_after=2, kind="compiling")
    return json_response({"status": "ready"})


@router.get(
    "/api/status",
    summary="Version, and how far the first start has come",
    responses=answer(answered.Status),
)
async def get_status(here: Here) -> Response:
    """`ready` once every kernel is compiled and the welcome run has had its steps; `compiling` is null or counts the
    kernels: {"done", "total", "name"}. `welcome` is the id of the run that a first visit looks at."""
    progress = here.warming.progress
    welcome = here.runs.find(WELCOME)
    document: dict[str, Any] = {
        "version": own_version(),
        "ready": here.begun and here.warming.ready and (welcome is None or welcome.state not in ("created", "running")),
        "compiling": progress.document() if progress else None,
        "welcome": WELCOME if welcome else None,
    }
    return json_response(document, headers={"Cache-Control": "no-store"})


@router.get(
    "/api/limits",
    summary="Every limit, with its unit and its reason",
    responses=answer(dict[str, answered.Limit]),
)
async def get_limits(here: Here) -> Response:
    """Name -> {"value", "unit", "description"}. What exceeds a limit is answered with 413 or 429 and the limit's name
    and value."""
    return json_response(here.limits.document())


@router.get(
    "/api/expired",
    summary="Runs that are no longer here, and why",
    responses=answer(list[answered.Expired]),
)
async def list_expired(here: Here) -> Response:
    """[{"id", "title", "why", "when" (seconds since 1970), "kept"}], oldest first: runs that made way, grew too old or
    could not be read any more. The rules are the limits runs, runs_per_client, memory_bytes, run_days and
    stored_bytes."""
    return json_response([asdict(gone) for gone in here.runs.gone()], headers={"Cache-Control": "no-store"})


@router.post(
    "/api/expired/{expired_id}/restore",
    status_code=201,
    summary="Bring back a run that made way",
    responses=answer(answered.Run, status=201),
)
async def restore_run(
    request: Request, here: Here, expired_id: Annotated[str, Path(description="a run of GET /api/expired")]
) -> Response:
    """The run as it was, paused; another may make way for it. 404 where its files are no longer kept."""

    def read(id: str) -> Run | None:
        try:
            return read_run(
                here.keeper.shelf, id, here.datasets, lambda id, plan: here.runs.make(id, plan, looking.live_frame)
            )
        except Unreadable:
            return None

    token = token_of(request)
    run = await here.ask(request, here.runs.restore, expired_id, token, read)
    where = location(request, f"/api/runs/{run.id}")
    return json_response(run.document(token), 201, {"Location": where})
