"""How much a client may send before its headers end and after its body, and for how long: uvicorn's httptools protocol
would hold all of it, and wait for ever."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.problems import Problem

#: How long a request's first line and headers may take to arrive.
HEAD_SECONDS = 20.0


class BoundedHttpProtocol(HttpToolsProtocol):
    """Ends a connection whose request line and headers, or trailers, pass `h11_max_incomplete_event_size` bytes (the
    name by which uvicorn's configuration has this limit) or take longer than HEAD_SECONDS."""

    _held = 0
    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._overdue = self._overdue or self.loop.call_later(HEAD_SECONDS, self._late)

    def _head_is_here(self) -> None:
        if self._overdue:
            self._overdue.cancel()
            self._overdue = None

    def _late(self) -> None:
        words = f"the request's first line and headers took longer than {HEAD_SECONDS:g} seconds"
        self._refuse(Problem(408, words))

    def _refuse(self, problem: Problem) -> None:
        """End the connection, with the problem where no answer is under way."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_written(problem))
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """In place of uvicorn's plain text, where the method, the address or a header is none of HTTP's."""
        if not self.transport.is_closing():
            self._refuse(Problem(400, "this is no request of HTTP/1.1", kind="malformed"))

    def data_received(self, data: bytes) -> None:
        self._held += len(data)
        if self.cycle is None or self.cycle.response_complete:
            self._await_head()
        super().data_received(data)
        self._check_length(self._held)

    def _check_length(self, held: int) -> bool:
        """Whether so many bytes of a head are within the limit; the connection ends where they are not."""
        limit = self.config.h11_max_incomplete_event_size or 0
        if held > limit and not self.transport.is_closing():
            detail = f"the request's first line and headers are longer than the limit of {limit} bytes"
            extra = {"limit": {"name": "head_bytes", "value": limit}}
            self._refuse(Problem(431, detail, kind="limit", extra=extra))
        return held <= limit

    def on_headers_complete(self) -> None:
        self._held = 0
        self._head_is_here()
        # a head may come with all else in one piece, of which `_held` knows nothing
        if not self._check_length(len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)):
            raise ValueError("the head is too long")  # so that the parser reads no further
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._held = 0
        super().on_body(body)


def _written(problem: Problem) -> bytes:
    response = problem.response()
    lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}".encode(), b"connection: close"]
    lines += [b"%s: %s" % header for header in response.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(response.body)])
