"""The live stream of a run: WS /api/runs/{id}/stream."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, WebSocket
from pydantic import Field

from app import looking
from app.bodies import Fields, Natural, at_most, validate
from app.context import Here
from app.guard import refuse_socket
from app.problems import Problem, invalid, missing, too_many
from app.stream import Subscription, serve_socket

router = APIRouter()


class SubscribeFields(Fields):
    subscribe: Annotated[list[str], at_most("subscriptions", "subscribe")] = Field(
        description="layer/tensor of each block"
    )
    sample: Natural = Field(
        default=0,
        description="which image of the step's minibatch; of a shorter last one, its last, as the header says",
    )
    image: looking.ImageFields | None = Field(
        default=None, description="in place of sample: this image as a batch of one"
    )
    dtype: Literal["float32", "uint8"] = Field(default="float32", description="uint8: (q - 128) * scale")


@router.websocket("/api/runs/{id}/stream")
async def stream(socket: WebSocket, here: Here, id: str) -> None:
    """A frame leaves on subscribe, even when the run is paused; after that the newest leaves after "seen"."""
    try:
        run = here.runs.get(id)
        if here.viewers >= here.limits.viewers:
            raise too_many("viewers", here.limits.viewers, f"{here.viewers} streams are open already", 5)
    except Problem as problem:
        await refuse_socket(problem, socket.scope, socket.receive, socket.send)
        return

    async def read(said: dict[str, Any]) -> Subscription:
        asked = validate(SubscribeFields, said, here.limits)
        if asked.sample >= run.plan.batch_size:
            raise invalid(f"expected an image of the minibatch, 0 to {run.plan.batch_size - 1}", ["sample"])

        def make() -> Subscription:
            image = looking.image_of(run, here.datasets, asked.image, here.limits, ["image"]) if asked.image else None
            names = looking.names_of(asked.subscribe, run, here.limits, ["subscribe"])
            return Subscription(names, asked.sample, asked.dtype, image)

        # each stream asks one thing at a time, and how many there are is limited: they do not crowd one another out
        return await here.pool.run(socket, make)

    here.viewers += 1
    try:
        await socket.accept()
        await serve_socket(socket, run.hub, here.compute.wake, read)
    finally:
        here.viewers -= 1


@router.websocket("/{path:path}")
async def nothing(socket: WebSocket, path: str) -> None:
    """No socket opens anywhere else."""
    problem = missing(f"there is no stream at /{path}")
    await refuse_socket(problem, socket.scope, socket.receive, socket.send)
