"""A request's headers cannot fill the memory."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn

from app.http import protocol
from tests.server import Server

START = b"GET /api/limits HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


def exchange(server: Server, sent: bytes) -> bytes:
    """All that the server answers until it ends the connection."""
    where = urlsplit(server.url)
    with socket.create_connection((where.hostname, where.port), timeout=30) as client:
        client.sendall(sent)
        return b"".join(iter(lambda: client.recv(65536), b""))


def limit(server: Server) -> int:
    return int(server.get("/api/limits")["head_bytes"]["value"])


@pytest.mark.parametrize("start", [b"GET /", START + b"X: "])
def test_a_head_that_passes_the_limit_is_refused_before_it_ends(server: Server, start: bytes) -> None:
    head, _, body = exchange(server, start.ljust(limit(server) + 1, b"a")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["limit"] == {"name": "head_bytes", "value": limit(server)}


@pytest.mark.parametrize("start", [b"FOO / HTTP/1.1", b"GET / HTTP/9.9", b"\x16\x03\x01\x02", b"GET /\0 HTTP/1.1"])
def test_what_is_no_request_is_answered_with_a_problem(server: Server, start: bytes) -> None:
    head, _, body = exchange(server, start + b"\r\nHost: localhost\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and b"content-type: application/problem+json" in head
    assert json.loads(body)["status"] == 400


@pytest.mark.parametrize("rest", [b"chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", b"x\r\n\r\n{}"])
def test_a_body_that_breaks_the_rules_of_http_is_answered_with_a_problem(server: Server, rest: bytes) -> None:
    start = b"POST /api/ops/relu/forward HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = exchange(server, start + b"Transfer-Encoding: " + rest)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"content-type: application/problem+json" in answer


def test_a_head_that_comes_whole_and_in_one_piece_is_no_exception(server: Server) -> None:
    whole = START + b"X: ".ljust(limit(server), b"a") + b"\r\n\r\n"
    assert exchange(server, whole).startswith(b"HTTP/1.1 431 ")


def test_many_headers_count_together(server: Server) -> None:
    assert exchange(server, START + b"X: a\r\n" * (limit(server) // 6)).startswith(b"HTTP/1.1 431 ")


async def nobody(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("no request was whole")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_head_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            nobody, http=protocol.BoundedHttpProtocol, h11_max_incomplete_event_size=99, lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            with socket.create_connection(listener.getsockname(), timeout=30) as client:
                client.sendall(sent)
                answer = b"".join(iter(lambda: client.recv(65536), b""))
        finally:
            server.should_exit = True
            thread.join()
    assert answer.startswith(b"HTTP/1.1 408 ") and b"took longer than 0.2 seconds" in answer


def test_a_head_within_the_limit_is_answered(server: Server) -> None:
    assert exchange(server, START + b"X: ".ljust(limit(server) // 2, b"a") + b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
