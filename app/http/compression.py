"""Large JSON, frames and pages travel compressed where the client takes that; the event loop never waits long."""

from __future__ import annotations

import asyncio
import gzip

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.formats.frames import FRAME

#: Bytes below which nothing is gained, and above which a thread compresses.
SMALL, LARGE = 4096, 65_536
#: Digits hardly shrink further at higher levels, which take several times as long.
LEVEL = 1


class Compress:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        wanted = takes_gzip(Headers(scope=scope).get("accept-encoding", ""))
        start: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                if _is_worth_it(message):
                    start = message
                    return
            elif start is not None:
                held, start = start, None
                headers = MutableHeaders(scope=held)
                headers.add_vary_header("Accept-Encoding")
                body = message.get("body", b"")
                if wanted and len(body) >= SMALL and not message.get("more_body"):
                    body = await asyncio.to_thread(_shrunk, body) if len(body) > LARGE else _shrunk(body)
                    headers["Content-Encoding"] = "gzip"
                    headers["Content-Length"] = str(len(body))
                    if etag := headers.get("etag"):
                        headers["ETag"] = f"W/{etag.removeprefix('W/')}"  # other bytes, the same meaning
                    message = {**message, "body": body}
                await send(held)
            await send(message)

        await self.app(scope, receive, send_compressed)


def _is_worth_it(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    kind = headers.get("content-type", "").partition(";")[0]
    return (
        kind in ("application/json", "text/html", FRAME) or kind.endswith("+json")
    ) and "content-encoding" not in headers


def _shrunk(body: bytes) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0)


def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    for part in accepted.lower().split(","):
        name, _, weight = (piece.strip() for piece in part.partition(";"))
        if name in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
