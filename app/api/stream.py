"""The live stream of a run: WS /api/runs/{id}/stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, WebSocket
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from app.context import Ctx
from app.formats import json
from app.formats.frames import FRAME
from app.http import responses
from app.http.middleware import HELD, refuse_socket
from app.http.request_body import Natural, RequestModel, at_most, validate
from app.problems import Problem, invalid, missing
from app.runs import inspect
from app.runs.live_frames import Subscription, Viewer, serve_socket
from app.runs.run import WELCOME
from app.site.openapi import answer

router = APIRouter(default_response_class=Response)

#: Seconds between two looks whether there is news, and of silence before a sign of life.
BETWEEN, HEARTBEAT = 0.1, 15.0


class SubscribeFields(RequestModel):
    subscribe: Annotated[list[str], at_most("subscriptions", "subscribe")] = Field(
        description="layer/tensor of each block"
    )
    sample: Natural = Field(
        default=0,
        description="which image of the step's minibatch; of a shorter last one, its last, as the header says",
    )
    image: inspect.ImageFields | None = Field(
        default=None, description="in place of sample: this image as a batch of one"
    )
    dtype: Literal["float32", "uint8"] = Field(default="float32", description="uint8: (q - 128) * scale")


@router.websocket("/api/runs/{id}/stream")
async def stream(socket: WebSocket, ctx: Ctx, id: str) -> None:
    """A frame leaves on subscribe, even when the run is paused; after that the newest leaves after "seen"."""
    with ExitStack() as held:
        try:
            run = ctx.runs.get(id)
            held.enter_context(ctx.viewing(socket))
        except Problem as problem:
            await refuse_socket(problem, socket.scope, socket.receive, socket.send)
            return

        async def read(said: dict[str, Any]) -> Subscription:
            asked = validate(SubscribeFields, said, ctx.limits)
            if asked.sample >= run.config.batch_size:
                raise invalid(f"expected an image of the minibatch, 0 to {run.config.batch_size - 1}", ["sample"])

            def make() -> Subscription:
                image = asked.image and inspect.image_of(run, ctx.datasets, asked.image, ctx.limits, ["image"])
                names = inspect.names_of(asked.subscribe, run, ctx.limits, ["subscribe"])
                return Subscription(names, asked.sample, asked.dtype, image)

            # each stream asks one thing at a time, and how many there are is limited: they do not crowd one another out
            return await ctx.pool.run(socket, make)

        await socket.accept()
        await serve_socket(socket, run.hub, ctx.scheduler.wake, read)


@router.get("/api/runs/{id}/stream", include_in_schema=False)
async def no_socket(request: Request, ctx: Ctx, id: str) -> Response:
    """What asks for the stream as for a file: a proxy that lets no sockets through, or a curious person."""
    ctx.runs.get(id)
    with ctx.viewing(request):  # a page cannot read why its socket was refused: it asks here
        pass
    raise Problem(
        426,
        "this address is a WebSocket's; where none opens, GET .../frame has the newest frame and GET .../events says "
        "when there is a newer one",
        headers={"Upgrade": "websocket", "Connection": "Upgrade"},
    )


# without sockets ----------------------------------------------------------------------------------------------------


@router.get(
    "/api/runs/{id}/frame",
    tags=["steps and passes"],
    summary="The newest frame, without a socket",
    responses=answer(None, FRAME, words="a binary frame, as on the stream"),
)
async def get_newest_frame(
    request: Request,
    ctx: Ctx,
    id: Annotated[str, Path(description="a run", examples=[WELCOME])],
    tensors: Annotated[str, Query(description="layer/tensor of each block, separated by commas")] = "",
    sample: Annotated[int, Query(ge=0, description="which image of the minibatch")] = 0,
    dtype: Annotated[Literal["float32", "uint8"], Query(description="uint8: (q - 128) * scale")] = "float32",
) -> Response:
    """A frame as the live stream sends it; 304 while there is no newer one. `GET /api/runs/{id}/events`, an event
    stream, says when there is: {"step", "state"} with each event."""
    run = ctx.runs.get(id)
    tag = responses.etag(run.key, run.trainer.step, run.state, request.url.query)
    if same := responses.unchanged(request, tag, responses.CHECKED):
        return same

    def make() -> Response:
        names = inspect.names_of([name for name in tensors.split(",") if name], run, ctx.limits, ["query", "tensors"])
        return Response(inspect.live_frame(run, Subscription(names, sample, dtype)), media_type=FRAME)

    return responses.with_etag(await ctx.compute_for(request, make, cost=run.config.cost), tag, responses.CHECKED)


@router.get("/api/runs/{id}/events", include_in_schema=False)
async def events(request: Request, ctx: Ctx, id: str) -> Response:
    """Server-sent events: the run's step and state whenever they have changed; the newest alone, never a queue."""
    run = ctx.runs.get(id)
    held: AsyncExitStack = request.scope[HELD]  # until the answer has been sent, or nobody reads it any more
    held.enter_context(ctx.viewing(request))
    viewer = Viewer(asyncio.get_running_loop(), ctx.scheduler.wake)  # so that the run counts as watched
    run.hub.add(viewer)
    held.callback(run.hub.remove, viewer)

    async def tell() -> AsyncIterator[bytes]:
        told, quiet = None, 0.0
        while not viewer.closed:
            now = (run.trainer.step, run.state)
            if now != told:
                told, quiet = now, 0.0
                yield f"data: {json.encode({'step': now[0], 'state': now[1]}).decode('ascii')}\n\n".encode()
            elif quiet >= HEARTBEAT:
                quiet = 0.0
                yield b": still here\n\n"
            await asyncio.sleep(BETWEEN)
            quiet += BETWEEN

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(tell(), headers=headers, media_type="text/event-stream")


@router.websocket("/{path:path}")
async def nothing(socket: WebSocket, path: str) -> None:
    """No socket opens anywhere else."""
    problem = missing(f"there is no stream at /{path}")
    await refuse_socket(problem, socket.scope, socket.receive, socket.send)
