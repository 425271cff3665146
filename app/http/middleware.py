"""Who may ask, and how: the hosts it answers to, the pages that may change its state, and the security headers."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http import access_log
from app.problems import Problem, closing

logger = logging.getLogger("convscope")
#: Where a request's scope has what is given back once its answer has been sent.
HELD = "convscope.held"

#: Names of hosts and origins that the log tells of, at most.
MOST_TOLD = 16
#: Bytes of an unwanted body that are read, for how long, and how long each part may take, before its answer.
DRAIN_BYTES, DRAIN_SECONDS, DRAIN_IDLE = 256 << 20, 5.0, 1.0
READING = {"GET", "HEAD", "OPTIONS"}
#: Seconds that the rest of an answer may take whose head alone was asked for.
HEAD_REST = 1.0
#: What a page's policy says unless the server was told who may frame it.
NOT_FRAMED = "frame-ancestors 'none'"
EMBEDDER = re.compile(r"https?://(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?|https?://\[[0-9a-f:.]+\](:\d{1,5})?")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": f"default-src 'none'; {NOT_FRAMED}",
}


class Guard:
    """Refuses foreign Host headers everywhere, and foreign Origins wherever state changes and on every socket; names
    and logs every request."""

    def __init__(self, app: ASGIApp, allow_hosts: Iterable[str] = (), allow_origins: Iterable[str] = ()) -> None:
        self.app = app
        self.names = ["localhost", *(name.lower().rstrip(".") for name in allow_hosts)]
        self.origins = {origin.lower().rstrip("/") for origin in allow_origins}
        self._told: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        name = access_log.name_request(asked.get("x-request-id", ""))
        problem = self.refusal(scope)
        if scope["type"] == "websocket":
            await (refuse_socket(problem, scope, receive, send) if problem else self.app(scope, receive, send))
            return

        answered, began = False, time.monotonic()
        body = Body(receive, waits=asked.get("expect", "").lower() == "100-continue")

        async def send_guarded(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                await body.drain()
                answered = True
                headers = MutableHeaders(scope=message)
                for header, value in HEADERS.items():
                    headers.setdefault(header, value)
                if NOT_FRAMED not in headers["Content-Security-Policy"]:
                    del headers["X-Frame-Options"]  # it cannot name origins, the policy does
                headers["X-Request-ID"] = name
                if body.more:  # what is left of it is no next request
                    headers["Connection"] = "close"
                access_log.answered(scope, message["status"], time.monotonic() - began)
            await send(message)

        try:
            async with AsyncExitStack() as held:
                scope[HELD] = held
                await (problem.response() if problem else _answer(self.app))(scope, body.receive, send_guarded)
        except asyncio.CancelledError:  # the server ends, and waits no longer for this answer
            if answered:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()  # a timeout inside would, before Python 3.11.3, take this cancellation for its own
            await closing().response()(scope, receive, send_guarded)

    def refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ", ".join(hosts)
        if not self.knows(host):
            return Problem(
                400,
                f"this server does not answer to the host {host[:100]!r}; it answers to localhost, IP addresses and "
                f"the names given with --allow-host. {self._remedy('host', hostname(host) or '')}",
                kind="host",
            )
        if scope["type"] == "http" and scope["method"] in READING:
            return None
        origin = headers.get("origin")
        if origin is not None and not same_origin(origin, host) and origin.lower() not in self.origins:
            remedy = self._remedy("origin", origin)
            words = f"a page of {origin[:100]!r} may not do this; only pages of {host!r} may. {remedy}"
            return Problem(403, words, kind="origin")
        if origin is None and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return Problem(403, "a page of another site may not do this", kind="origin")
        return None

    def knows(self, host: str) -> bool:
        name = hostname(host)
        if name is None:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return any(fnmatchcase(name, known) for known in self.names)
        return True

    def _remedy(self, what: str, name: str) -> str:
        """What whoever runs the server may do; the log says so, too, once for each name."""
        if what == "host":
            words = f"Whoever runs it may start it with --allow-host {name[:100] or 'NAME'}"
        else:
            words = (
                f"Where a proxy changes Host, whoever runs the server may start it with --trusted-proxy, or else with "
                f"--allow-origin {name[:100]}"
            )
        if name not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(name)
            logger.warning("a request was refused for its %s, %s. %s.", what, name[:100], words)
        return f"{words}."


class Body:
    """A request's body. What nobody wanted is read before the answer goes: a client that is cut off while it still
    sends sees a broken connection in place of the answer. One that waits to be asked for it is not asked."""

    def __init__(self, receive: Receive, waits: bool) -> None:
        self._receive = receive
        self._waits = waits
        self.more = True

    async def receive(self) -> Message:
        self._waits = False
        message = await self._receive()
        self.more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Within bounds: what is sent for longer than that is cut off."""
        read = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self.more and not self._waits and read < DRAIN_BYTES:
                    async with asyncio.timeout(DRAIN_IDLE):
                        read += len((await self.receive()).get("body", b""))


def hostname(host: str) -> str | None:
    """The name in a Host header, lower case and without port; None when it is no host at all."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018  (raises when it is no number)
    except ValueError:
        return None
    if parts.username is not None or parts.path or parts.query or parts.fragment or not parts.hostname:
        return None
    if host.rpartition("]")[2].partition(":")[0] and "]" in host:  # urlsplit drops what follows an IPv6 address
        return None
    return parts.hostname.rstrip(".")


def embedder(written: str) -> str:
    """An origin whose pages may frame the server's, as a policy names it: https://notes.example.org, or
    https://*.example.org for all hosts below it; ValueError for what is none."""
    plain = written.strip().lower().rstrip("/")
    if not EMBEDDER.fullmatch(plain):
        raise ValueError(f"{written!r} is no origin; expected one such as https://notes.example.org, without a path")
    return plain


def same_origin(origin: str, host: str) -> bool:
    """Whether a page of `origin` was served under this Host. The scheme is the proxy's business."""
    try:
        page = urlsplit(origin)
        asked = urlsplit(f"{page.scheme}://{host}")
        usual = {"http": 80, "https": 443}.get(page.scheme)
        return usual is not None and (page.hostname, page.port or usual) == (
            asked.hostname,
            asked.port or usual,
        )
    except ValueError:
        return False


def _answer(app: ASGIApp) -> ASGIApp:
    """The application, which answers HEAD wherever it answers GET."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "HEAD":
            await app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                began.set()

        began = asyncio.Event()
        getting = asyncio.ensure_future(app({**scope, "method": "GET"}, receive, send_head))
        waiting = asyncio.ensure_future(began.wait())
        try:
            await asyncio.wait({getting, waiting}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({getting}, timeout=HEAD_REST)  # an event stream would never end
            if getting.done():
                await getting
        finally:
            waiting.cancel()
            getting.cancel()

    return answer


async def refuse_socket(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a socket's handshake with the problem, as far as the server can."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": problem.detail[:100]})
        return
    response = problem.response()
    start = {"type": "websocket.http.response.start", "status": problem.status, "headers": response.raw_headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})
