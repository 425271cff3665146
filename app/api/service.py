"""The server itself: is it there, is it ready, what are its limits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from app.api import schemas
from app.classroom.invitation import qr_code
from app.context import Ctx, token_of
from app.http.responses import json_response, location, public_address
from app.problems import unavailable
from app.runs import inspect
from app.runs.checkpoints import Unreadable, read_run
from app.runs.run import WELCOME, Run
from app.site.openapi import answer
from app.site.pages import own_version

#: Characters of a view in a QR code: more would be too fine to be read from paper.
LONGEST_VIEW = 800

router = APIRouter(tags=["server"], default_response_class=Response)


@router.get("/healthz", summary="Is the server there?", responses=answer(schemas.Health))
async def get_health() -> Response:
    """200 as soon as pages are served."""
    return json_response({"status": "ok"})


@router.get("/readyz", summary="Can numbers be asked for?", responses=answer(schemas.Health))
async def get_readiness(ctx: Ctx) -> Response:
    """200 once every kernel is compiled and the runs of earlier starts are back, 503 before."""
    ctx.runs.all()
    if not ctx.warming.ready:
        raise unavailable("the kernels are being compiled", retry_after=2, kind="compiling")
    return json_response({"status": "ready"})


@router.get(
    "/api/status",
    summary="Version, and how far the first start has come",
    responses=answer(schemas.Status),
)
async def get_status(ctx: Ctx) -> Response:
    """`ready` once every kernel is compiled and the welcome run has had its steps; `compiling` is null or counts the
    kernels: {"done", "total", "name"}. `welcome` is the id of the run that a first visit looks at. `embed` are the
    origins whose pages may show `/?frame=1` in a frame."""
    progress = ctx.warming.progress
    welcome = ctx.runs.find(WELCOME)
    document: dict[str, Any] = {
        "version": own_version(),
        "ready": ctx.begun and ctx.warming.ready and (welcome is None or welcome.state not in ("created", "running")),
        "compiling": progress.document() if progress else None,
        "welcome": WELCOME if welcome else None,
        "embed": list(ctx.settings.allow_embed),
    }
    return json_response(document, headers={"Cache-Control": "no-store"})


@router.get("/api/qr", summary="A view's address as a QR code", responses=answer(None, "image/svg+xml"))
async def get_qr(
    request: Request,
    view: Annotated[
        str, Query(max_length=LONGEST_VIEW, description="what follows # in the address, escaped", pattern=r"^[!-~]*$")
    ] = "",
) -> Response:
    """The address of this server with the view behind it, as an SVG picture with the white border that scanners
    need."""
    address = public_address(request) + (f"/#{view}" if view else "/")
    return Response(qr_code(address), media_type="image/svg+xml")


@router.get(
    "/api/limits",
    summary="Every limit, with its unit and its reason",
    responses=answer(dict[str, schemas.Limit]),
)
async def get_limits(ctx: Ctx) -> Response:
    """Name -> {"value", "unit", "description"}. What exceeds a limit is answered with 413 or 429 and the limit's name
    and value."""
    return json_response(ctx.limits.document())


@router.get(
    "/api/expired",
    summary="Runs that are no longer here, and why",
    responses=answer(list[schemas.Expired]),
)
async def list_expired(ctx: Ctx) -> Response:
    """[{"id", "title", "why", "when" (seconds since 1970), "kept"}], oldest first: runs that made way, grew too old or
    could not be read any more. The rules are the limits runs, runs_per_client, memory_bytes, run_days and
    stored_bytes."""
    return json_response([asdict(gone) for gone in ctx.runs.gone()], headers={"Cache-Control": "no-store"})


@router.post(
    "/api/expired/{expired_id}/restore",
    status_code=201,
    summary="Bring back a run that made way",
    responses=answer(schemas.Run, status=201),
)
async def restore_run(
    request: Request, ctx: Ctx, expired_id: Annotated[str, Path(description="a run of GET /api/expired")]
) -> Response:
    """The run as it was, paused; another may make way for it. 404 where its files are no longer kept."""

    def read(id: str) -> Run | None:
        try:
            return read_run(
                ctx.writer.storage, id, ctx.datasets, lambda id, config: ctx.runs.make(id, config, inspect.live_frame)
            )
        except Unreadable:
            return None

    token = token_of(request)
    run = await ctx.ask(request, ctx.runs.restore, expired_id, token, read)
    where = location(request, f"/api/runs/{run.id}")
    return json_response(run.document(token), 201, {"Location": where})
