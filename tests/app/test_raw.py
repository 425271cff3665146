"""Bytes that no well-meant client sends, over a real connection: each gets its status or its close code."""

from __future__ import annotations

import json
import re
import socket
import struct
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from tests.server import Server

HOST = b"Host: localhost\r\n"
END = HOST + b"Connection: close\r\n\r\n"
POST = b"POST /api/ops/relu/forward HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
FILE = b"GET /static/css/base.css HTTP/1.1\r\n"

#: What is sent, and the status it must get.
REQUESTS: dict[str, tuple[bytes, int]] = {
    "trace": (b"TRACE / HTTP/1.1\r\n" + END, 405),
    "trace of a call": (b"TRACE /api/ops HTTP/1.1\r\n" + END, 405),
    "connect": (b"CONNECT evil.example:443 HTTP/1.1\r\n" + END, 400),
    "another server's address": (b"GET http://evil.example/nothing HTTP/1.1\r\n" + END, 404),
    "no host": (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: evil.example\r\n" + END, 400),
    "http 2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 4\r\n\r\n{}{}", 400),
    "length and chunks": (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400),
    "chunks and length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400),
    "negative length": (POST + b"Content-Length: -2\r\n\r\n{}", 400),
    "endless length": (POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}", 400),
    "chunk without a size": (CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", 400),
    "too many chunks": (CHUNKED + (b"10000\r\n" + b"1" * 65536 + b"\r\n") * 70 + b"0\r\n\r\n", 413),
    "space before a colon": (b"GET / HTTP/1.1\r\nX : y\r\n" + END, 400),
    "zero byte in a header": (b"GET / HTTP/1.1\r\nX: a\0b\r\n" + END, 400),
    "zero byte in the path": (b"GET /api/runs/a%00b HTTP/1.1\r\n" + END, 404),
    "path that climbs": (b"GET /static/../../pyproject.toml HTTP/1.1\r\n" + END, 404),
    "path that climbs in disguise": (b"GET /static/%2e%2e/%2e%2e/pyproject.toml HTTP/1.1\r\n" + END, 404),
    "range of letters": (FILE + b"Range: bytes=a-b\r\n" + END, 200),
    "range from behind": (FILE + b"Range: bytes=9-2\r\n" + END, 200),
    "range beyond the end": (FILE + b"Range: bytes=99999999-\r\n" + END, 200),
    "host that carries a path": (b"GET / HTTP/1.1\r\nHost: localhost/evil?\r\n" + END, 400),
    "host that carries a user": (b"GET / HTTP/1.1\r\nHost: localhost@evil.example\r\n" + END, 400),
    "another computer's share": (b"GET /static/%5C%5Cevil.example%5Cshare%5Cx.js HTTP/1.1\r\n" + END, 404),
    "a share in plain letters": (b"GET /static/\\\\evil.example\\share HTTP/1.1\r\n" + END, 404),
    "a drive": (b"GET /static/C:%5CWindows%5Cwin.ini HTTP/1.1\r\n" + END, 404),
    "ten thousand ranges": (FILE + b"Range: bytes=" + b",".join([b"0-0"] * 10_000) + b"\r\n" + END, 200),
    "five hundred ranges": (FILE + b"Range: bytes=" + b",".join([b"0-0"] * 500) + b"\r\n" + END, 200),
}


def handshake(path: bytes = b"/api/runs/welcome/stream", version: bytes = b"13", more: bytes = b"") -> bytes:
    return (
        b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: %s\r\n%s\r\n" % (path, version, more)
    )


HANDSHAKES: dict[str, tuple[bytes, int]] = {
    "a foreign page": (handshake(more=b"Origin: http://evil.example\r\n"), 403),
    "a page of nowhere": (handshake(more=b"Origin: null\r\n"), 403),
    "no such run": (handshake(b"/api/runs/none/stream"), 404),
    "no such stream": (handshake(b"/api/nothing"), 404),
    "a call that is no stream": (handshake(b"/api/ops"), 404),
}


def frame(
    kind: int, content: bytes, *, masked: bool = True, last: bool = True, reserved: int = 0, said: int | None = None
) -> bytes:
    """A client's frame; `said` is a length that lies."""
    length = len(content) if said is None else said
    small = length if length < 126 else 126 if length < 65536 else 127
    head = bytes([last << 7 | reserved << 4 | kind, masked << 7 | small])
    head += struct.pack(">H", length) if small == 126 else struct.pack(">Q", length) if small == 127 else b""
    return head + (b"\0\0\0\0" if masked else b"") + content


CONTINUED, TEXT, BINARY, CLOSE, PING = 0, 1, 2, 8, 9

#: What is sent on a stream, and the code with which it must be closed.
FRAMES: dict[str, tuple[bytes, int]] = {
    "not masked": (frame(TEXT, b"{}", masked=False), 1002),
    "reserved bits": (frame(TEXT, b"{}", reserved=4), 1002),
    "unknown kind": (frame(11, b"x"), 1002),
    "nothing to continue": (frame(CONTINUED, b"x"), 1002),
    "ping in pieces": (frame(PING, b"x", last=False), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "close without a reason": (frame(CLOSE, b"\x00\x01"), 1002),
    "text that is none": (frame(TEXT, b"\xff\xff"), 1007),
    "2 megabytes": (frame(TEXT, b" " * (2 << 20)), 1009),
    "length of 4 exabytes": (frame(TEXT, b"x", said=2**62), 1009),
    "pieces without end": (frame(TEXT, b"x", last=False) + frame(CONTINUED, b"x" * 60_000, last=False) * 20, 1009),
    "eight times nonsense": (frame(TEXT, b"{") * 8, 1008),
    "eight binary ones": (frame(BINARY, b"{}") * 8, 1008),
}


def exchange(server: Server, *sent: bytes) -> bytes:
    """All that the server answers until it closes; what is sent after the first waits for an answer to that."""
    where = urlsplit(server.url)
    got = b""
    with socket.create_connection((where.hostname, where.port), timeout=10) as client, suppress(ConnectionError):
        for number, part in enumerate(sent):
            if number:
                got += client.recv(65536)
            with suppress(ConnectionError):  # it may have answered already and hear no more
                client.sendall(part)
        while not close_code(got) and (more := client.recv(65536)):
            got += more
    return got


def status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(found[1]) if found else 0


def close_code(answer: bytes) -> int:
    """Of the close frame at the end of what a stream has sent; 0 without one."""
    if status(answer) != 101:
        return 0
    _, _, rest = answer.partition(b"\r\n\r\n")
    while len(rest) >= 2:
        length, start = rest[1] & 127, 2
        if length > 125:
            wide = 2 if length == 126 else 8
            length, start = int.from_bytes(rest[2 : 2 + wide], "big"), 2 + wide
        if rest[0] & 15 == CLOSE:
            return int.from_bytes(rest[start : start + 2], "big")
        rest = rest[start + length :]
    return 0


@pytest.mark.parametrize("name", [*REQUESTS, *HANDSHAKES])
def test_a_request_that_breaks_the_rules_gets_its_status_and_a_problem(server: Server, name: str) -> None:
    sent, expected = {**REQUESTS, **HANDSHAKES}[name]
    answer = exchange(server, sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == expected, answer[:300]
    if expected >= 400:
        assert b"content-type: application/problem+json" in head.lower()
        assert json.loads(body)["status"] == expected


@pytest.mark.parametrize("name", FRAMES)
def test_a_stream_that_breaks_the_rules_is_closed_with_its_code(server: Server, name: str) -> None:
    sent, expected = FRAMES[name]
    server.wait_ready()
    answer = exchange(server, handshake(), sent)
    assert status(answer) == 101, answer[:300]
    assert close_code(answer) == expected
    assert "Traceback" not in server.tail()


def test_an_unknown_subprotocol_is_not_agreed_to(server: Server) -> None:
    server.wait_ready()
    sent = handshake(more=b"Sec-WebSocket-Protocol: chat, superchat\r\n")
    answer = exchange(server, sent, frame(CLOSE, struct.pack(">H", 1000)))
    assert status(answer) == 101 and b"sec-websocket-protocol" not in answer.lower()
    assert close_code(answer) == 1000


def test_a_body_is_no_second_request(server: Server) -> None:
    smuggled = b"GET /api/limits HTTP/1.1\r\n" + END
    answer = exchange(server, POST + b"Content-Length: %d\r\n\r\n" % len(smuggled) + smuggled)
    assert answer.count(b"HTTP/1.1 ") == 1 and status(answer) == 400
