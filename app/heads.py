"""How much a client may send before its headers end and after its body: uvicorn's httptools protocol would hold
all of it, however long."""

from __future__ import annotations

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.problems import Problem


class ShortHeads(HttpToolsProtocol):
    """Ends a connection whose request line and headers, or trailers, pass `h11_max_incomplete_event_size` bytes (the
    name by which uvicorn's configuration has this limit). A piece read from the socket is looked at as a whole, so up
    to one piece more gets through."""

    _held = 0

    def send_400_response(self, msg: str) -> None:
        """In place of uvicorn's plain text, where the method, the address or a header is none of HTTP's."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_written(Problem(400, "this is no request of HTTP/1.1", kind="malformed")))
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        limit = self.config.h11_max_incomplete_event_size or 0
        self._held += len(data)
        super().data_received(data)
        if self._held > limit and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                detail = f"the request's first line and headers are longer than the limit of {limit} bytes"
                extra = {"limit": {"name": "head_bytes", "value": limit}}
                self.transport.write(_written(Problem(431, detail, kind="limit", extra=extra)))
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._held = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._held = 0
        super().on_body(body)


def _written(problem: Problem) -> bytes:
    response = problem.response()
    lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}".encode(), b"connection: close"]
    lines += [b"%s: %s" % header for header in response.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(response.body)])
