"""Which hosts are answered, whose pages may change state, and what headers every answer carries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.testclient import TestClient, WebSocketDenialResponse

from app.http import middleware
from app.http.middleware import Guard, embedder, refuse_socket, same_origin
from app.problems import MEDIA_TYPE, too_many
from app.server import create_app
from app.settings import Settings
from app.site.pages import content_security_policy

STREAM = "ws://localhost/api/runs/welcome/stream"


@pytest.fixture(scope="module")
def small() -> Iterator[TestClient]:
    """An application of one route behind a guard that knows one name."""
    app = FastAPI()
    app.add_api_route("/", lambda: "fine", methods=["GET", "POST"])
    app.add_middleware(Guard, allow_hosts=["Class.Example"])
    with TestClient(app, "http://localhost") as client:
        yield client


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1", "192.168.1.7:81", "[::1]", "[::1]:8000", "class.example:9"],
)
def test_this_machine_ip_addresses_and_allowed_names_are_answered(small: TestClient, host: str) -> None:
    assert small.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "class.example.evil",
        "",
        "a@localhost",
        "localhost/x",
        "localhost:x",
        "[::1",
        "[::1].evil.example",
    ],
)
def test_a_foreign_host_is_refused(small: TestClient, host: str) -> None:
    answer = small.get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_request_with_two_hosts_is_refused(small: TestClient) -> None:
    answer = small.get("/", headers=[("Host", "localhost"), ("Host", "evil.example")])
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:81", "https://localhost", "file://", "x"]
)
def test_a_page_of_another_origin_may_read_but_not_change(small: TestClient, origin: str) -> None:
    assert small.get("/", headers={"Origin": origin}).status_code == 200
    assert small.post("/", headers={"Origin": origin, "Host": "localhost"}).status_code in (403, 200)
    assert small.post("/", headers={"Origin": origin, "Host": "localhost:8000"}).status_code == 403


def test_its_own_page_and_no_page_at_all_may_change(small: TestClient) -> None:
    assert small.post("/", headers={"Origin": "http://localhost:8000", "Host": "localhost:8000"}).status_code == 200
    assert small.post("/").status_code == 200
    assert small.post("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_behind_a_proxy_the_scheme_may_differ_and_usual_ports_may_be_left_out() -> None:
    assert same_origin("https://class.example", "class.example")
    assert same_origin("https://class.example", "class.example:443")
    assert not same_origin("https://class.example", "class.example:80")
    assert not same_origin("http://class.example:http", "class.example")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Host": "evil.example"}, 400)],
)
def test_a_socket_of_a_foreign_page_or_host_is_refused(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect(STREAM, headers=headers):
        pass
    assert caught.value.status_code == caught.value.json()["status"] == status


def test_a_socket_of_its_own_page_is_accepted(client: TestClient) -> None:
    with client.websocket_connect(STREAM, headers={"Origin": "http://localhost"}):
        pass


def test_every_answer_carries_the_security_headers(client: TestClient) -> None:
    for path in ("/", "/api/limits", "/api/nothing", "/static/js/main.js"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src" in headers["content-security-policy"]


def test_the_page_may_load_and_reach_this_host_alone(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "connect-src 'self' ws://localhost wss://localhost" in policy
    assert "script-src 'self' 'sha256-" in policy
    assert "unsafe-inline'; img-src" in policy and "unsafe-eval" not in policy


def test_an_inline_script_is_allowed_by_its_hash_and_another_is_not() -> None:
    one = content_security_policy("<script type=importmap>{}</script>", "localhost")
    assert "'sha256-RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o='" in one
    assert one != content_security_policy("<script>alert()</script>", "localhost")
    assert "sha256" not in content_security_policy('<script type="module" src="x.js"></script>', "localhost")


def test_the_page_and_its_files_are_asked_again_and_not_sent_twice(client: TestClient) -> None:
    for path in ("/", "/static/js/main.js"):
        first = client.get(path)
        assert first.headers["cache-control"] == "no-cache"
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert "immutable" in client.get("/static/vendor/preact.js?v=1").headers["cache-control"]


def test_a_call_that_the_ending_server_gives_up_is_answered_with_503() -> None:
    sent: list[Any] = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    async def end() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
        task = asyncio.create_task(Guard(slow)(scope, receive, send))
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    asyncio.run(end())
    headers = dict(sent[0]["headers"])
    assert sent[0]["status"] == 503
    assert headers[b"content-type"] == MEDIA_TYPE.encode() and b"retry-after" in headers


def test_a_refused_handshake_says_when_to_come_again() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "extensions": {"websocket.http.response": {}}}
    asyncio.run(refuse_socket(too_many("viewers", 1, "1 stream is open already", 5), scope, receive, send))
    assert sent[0]["status"] == 429
    assert dict(sent[0]["headers"])[b"retry-after"] == b"5"


@pytest.mark.parametrize("path", ["/", "/api/status", "/api/runs", "/static/js/main.js", "/api/no"])
def test_head_is_answered_as_get_without_the_body(client: TestClient, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.headers["content-type"]) == (get.status_code, get.headers["content-type"])
    assert head.headers["content-length"] == get.headers["content-length"] and not head.content


def test_the_head_of_an_answer_that_never_ends_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "HEAD_REST", 0.05)
    stopped = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b": still here\n\n"
                await asyncio.sleep(0.01)
        finally:
            stopped.append(True)

    app = FastAPI()
    app.add_api_route("/events", lambda: StreamingResponse(endless(), media_type="text/event-stream"))
    app.add_middleware(Guard)
    with TestClient(app, "http://localhost") as small:
        answer = small.head("/events")
    assert answer.headers["content-type"].startswith("text/event-stream") and not answer.content
    assert stopped == [True]


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/api/runs", "GET, HEAD, POST"), ("/api/runs/welcome", "DELETE, GET, HEAD, PATCH"), ("/api/limits", "GET, HEAD")],
)
def test_a_method_that_is_not_allowed_is_told_all_that_are(client: TestClient, path: str, methods: str) -> None:
    answer = client.put(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)
    assert methods in answer.json()["detail"]


def test_only_the_view_of_a_step_may_be_framed_and_only_by_those_who_are_named(tmp_path: Path, warmed: Path) -> None:
    friend = "https://notes.example.org"
    for embedders in ((), (friend,)):
        settings = Settings(tmp_path / str(len(embedders)), warm=False, welcome_steps=0, allow_embed=embedders)
        with TestClient(create_app(settings), "http://localhost") as client:
            whole, framed = client.get("/").headers, client.get("/?frame=1").headers
            assert "frame-ancestors 'none'" in whole["content-security-policy"]
            assert whole["x-frame-options"] == "DENY"
            assert client.get("/api/status").json()["embed"] == list(embedders)
            if embedders:
                assert f"frame-ancestors {friend};" in framed["content-security-policy"] + ";"
                assert "x-frame-options" not in framed
            else:
                assert framed["x-frame-options"] == "DENY"


@pytest.mark.parametrize("origin", ["notes.example.org", "https://a.org/page", "https://a.org; script-src *", "'self'"])
def test_what_is_no_origin_cannot_be_let_in(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        embedder(origin)
