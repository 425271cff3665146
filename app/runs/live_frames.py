"""Live frames: what each viewer wants, who builds it, and the one newest-wins slot through which it leaves.

A frame is built on the compute thread, between two steps, only for viewers that have seen their last one, and within
a bounded share of the thread's time. A viewer that never says "seen" therefore costs nothing after its first frame.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from app.formats import json
from app.problems import Problem, malformed
from app.runs.scheduler import NEVER

logger = logging.getLogger("convscope")

#: The share of the compute thread's time that building frames may take while the run trains.
SHARE = 0.25
#: Seconds between two frames of one viewer at the least: a screen shows 60 in a second.
SHORTEST = 1 / 90
#: Seconds after which no further frame is begun before the next step; who has waited longest comes first.
LONGEST = 0.02
#: Messages that make no sense before the socket is closed.
PATIENCE = 8


@dataclass(frozen=True)
class Subscription:
    """Equal subscriptions share one frame. `image` is None for image `sample` of the step's own minibatch."""

    tensors: tuple[tuple[str, str], ...]
    sample: int = 0
    dtype: str = "float32"
    image: Hashable = None


@dataclass(eq=False)
class Viewer:
    """One socket's end of a run. The event loop calls `ask` and `seen`, the compute thread `deliver`."""

    loop: asyncio.AbstractEventLoop
    wake: Callable[[], None]
    subscription: Subscription | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)
    closed: str = ""
    _waiting: bool = False
    _shown: Any = None
    due: float = 0.0
    _slot: bytes | Problem | None = None
    _refused: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, subscription: Subscription) -> None:
        with self._lock:
            self.subscription, self._waiting, self._shown, self.due = subscription, True, None, 0.0
            self._refused = ""
        self.wake()

    def seen(self) -> None:
        with self._lock:
            self._waiting = True
        self.wake()

    def wants(self, moment: Any, now: float) -> float:
        """When this viewer wants a frame of `moment`: a time that has come, one to come, or NEVER."""
        with self._lock:
            if self.subscription is None or not self._waiting or self._shown == moment:
                return NEVER
            return max(now, self.due)

    def deliver(self, content: bytes, subscription: Subscription, moment: Any, now: float) -> None:
        with self._lock:
            if self.subscription is not subscription:  # another one was asked for meanwhile
                return
            self._slot, self._waiting, self._shown, self.due = content, False, moment, now + SHORTEST
            self._refused = ""
        self._tell()

    def refuse(self, problem: Problem, subscription: Subscription, moment: Any, now: float) -> bool:
        """Say why there is no frame of this moment, once; the next moment is tried again. Whether it was news."""
        with self._lock:
            if self.subscription is not subscription:
                return False
            self._shown, self.due = moment, now + SHORTEST
            if self._refused == problem.detail:
                return False
            self._slot, self._refused = problem, problem.detail
        self._tell()
        return True

    def close(self, reason: str) -> None:
        self.closed = reason
        self._tell()

    def take(self) -> bytes | Problem | None:
        with self._lock:
            self.news.clear()
            content, self._slot = self._slot, None
            return content

    def _tell(self) -> None:
        try:
            self.loop.call_soon_threadsafe(self.news.set)
        except RuntimeError:  # the loop has ended, and with it the socket
            pass


class Hub:
    """The viewers of one run."""

    def __init__(self) -> None:
        self._viewers: list[Viewer] = []
        self._lock = threading.Lock()
        self._next = 0.0

    def __len__(self) -> int:
        return len(self._viewers)

    def add(self, viewer: Viewer) -> None:
        with self._lock:
            self._viewers.append(viewer)

    def remove(self, viewer: Viewer) -> None:
        with self._lock:
            self._viewers.remove(viewer)

    def close(self, reason: str) -> None:
        with self._lock:
            for viewer in self._viewers:
                viewer.close(reason)

    def serve(self, moment: Any, build: Callable[[Subscription], bytes], share: float = SHARE) -> float:
        """Build and deliver what is wanted of this moment; when to be called again if nothing else happens.

        After building for t seconds, at least t / share - t seconds pass before the next build.
        """
        now = time.monotonic()
        with self._lock:
            viewers = list(self._viewers)
        wanted = [(viewer.wants(moment, now), viewer) for viewer in viewers]
        due = min((when for when, _ in wanted), default=NEVER)
        if due == NEVER or due > now or now < self._next:
            return due if due == NEVER else max(due, self._next)
        ready = sorted((each for each in wanted if each[0] <= now), key=lambda each: each[1].due)
        groups: dict[Subscription, list[tuple[Viewer, Subscription]]] = {}
        for _, viewer in ready:
            subscription = viewer.subscription
            if subscription is not None:
                groups.setdefault(subscription, []).append((viewer, subscription))
        for subscription, members in groups.items():
            self._give(members, subscription, build, moment, now)
            if time.monotonic() - now > LONGEST:
                break
        took = time.monotonic() - now
        self._next = now + took / share
        return min((max(when, self._next) for when in (each.wants(moment, now) for each in viewers)), default=NEVER)

    def _give(
        self,
        members: list[tuple[Viewer, Subscription]],
        subscription: Subscription,
        build: Callable[[Subscription], bytes],
        moment: Any,
        now: float,
    ) -> None:
        """One frame for everybody who asked for it. What is wrong with it concerns nobody else."""
        unexpected: Exception | None = None
        try:
            content = build(subscription)
        except Problem as found:
            problem = found
        except Exception as error:
            problem = Problem(500, "this frame could not be built; the server's log says what went wrong")
            unexpected = error
        else:
            for viewer, own in members:
                viewer.deliver(content, own, moment, now)
            return
        news = [viewer.refuse(problem, own, moment, now) for viewer, own in members]
        if unexpected is not None and any(news):
            logger.error("a frame of %s could not be built", moment, exc_info=unexpected)


async def serve_socket(socket: WebSocket, hub: Hub, wake: Callable[[], None], read: Callable[[Any], Any]) -> None:
    """Talk to one viewer until it leaves. `read` turns a subscribe message into a Subscription, or raises Problem."""
    viewer = Viewer(asyncio.get_running_loop(), wake)
    hub.add(viewer)
    teller = asyncio.create_task(_tell(socket, viewer))
    try:
        with suppress(WebSocketDisconnect):
            await _listen(socket, viewer, read)
    finally:
        hub.remove(viewer)
        teller.cancel()


async def _tell(socket: WebSocket, viewer: Viewer) -> None:
    """Send what lies in the viewer's slot. A viewer that has gone is noticed by `_listen`."""
    with suppress(WebSocketDisconnect, RuntimeError, OSError):
        while True:
            await viewer.news.wait()
            content = viewer.take()
            if isinstance(content, Problem):
                await socket.send_text(_written(content))
            elif content is not None:
                await socket.send_bytes(content)
            if viewer.closed:
                await socket.close(1000, viewer.closed)
                return


async def _listen(socket: WebSocket, viewer: Viewer, read: Callable[[Any], Any]) -> None:
    patience = PATIENCE
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        try:
            await _heed(message, viewer, read)
        except Problem as problem:
            if viewer.closed or socket.application_state is not WebSocketState.CONNECTED:
                return
            patience -= 1
            await socket.send_text(_written(problem))
            if not patience:
                await socket.close(1008, "too many messages that make no sense")
                return


def _written(problem: Problem) -> str:
    return json.encode({"problem": problem.document()}).decode("ascii")


async def _heed(message: Any, viewer: Viewer, read: Callable[[Any], Any]) -> None:
    written = message.get("text")
    if written is None:
        raise malformed("expected a text message with JSON in it, got a binary one")
    said = json.decode(written.encode("utf-8", "surrogatepass"))
    if not isinstance(said, dict):
        raise malformed('expected {"subscribe": [...]} or {"seen": step}')
    if "seen" in said:
        if set(said) != {"seen"} or type(said["seen"]) is not int:
            raise malformed('expected {"seen": step}, step a whole number')
        viewer.seen()
    elif "subscribe" in said:
        viewer.ask(await read(said))
    else:
        raise malformed('expected {"subscribe": [...]} or {"seen": step}')
