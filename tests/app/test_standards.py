"""HTTP as its standards have it: negotiation, conditional requests, compression, methods."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.http.compression import Compress, takes_gzip

RELU = {"tensors": {"x": [1, -1]}}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("application/x-npz", "application/x-npz"),
        ("application/json;q=0.5, application/*", "application/x-npz"),
        ("application/x-npz;q=0.1, application/json", "application/json"),
        ("application/x-npz;q=much, application/json;q=0.2", "application/json"),
    ],
)
def test_the_kind_that_accept_likes_best_is_answered(client: TestClient, accept: str | None, kind: str) -> None:
    client.headers.pop("accept", None)
    headers = {} if accept is None else {"Accept": accept}
    assert client.post("/api/ops/relu/forward", json=RELU, headers=headers).headers["content-type"] == kind


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0, application/x-npz;q=0", "application/json;q=nan"]
)
def test_a_kind_that_there_is_not_is_406(client: TestClient, accept: str) -> None:
    answer = client.post("/api/ops/relu/forward", json=RELU, headers={"Accept": accept})
    assert answer.status_code == 406 and answer.headers["content-type"] == "application/problem+json"
    assert "application/x-npz" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/api/ops", "/api/optimizers", "/api/models", "/openapi.json"])
def test_what_stays_the_same_is_not_sent_twice(client: TestClient, path: str) -> None:
    first = client.get(path)
    assert first.status_code == 200 and first.headers["cache-control"] == "no-cache"
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"].removeprefix("W/")
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_large_json_is_compressed_where_the_client_takes_it(client: TestClient) -> None:
    with client.stream("GET", "/api/ops", headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip" and "Accept-Encoding" in packed.headers["vary"]
        assert packed.headers["etag"].startswith('W/"')
        raw = b"".join(packed.iter_raw())
    assert len(raw) == int(packed.headers["content-length"])
    plain = client.get("/api/ops", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and gzip.decompress(raw) == plain.content
    small = client.get("/healthz", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers and "Accept-Encoding" in small.headers["vary"]


def test_the_frame_of_a_pass_is_compressed_too(client: TestClient) -> None:
    made = client.post("/api/runs/welcome/passes", json={"dataset": "mnist", "index": 464}).json()
    path = f"/api/runs/welcome/passes/{made['id']}/frame"
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    plain = client.get(path, headers={"Accept-Encoding": "identity"}).content
    assert gzip.decompress(raw) == plain and len(raw) < 0.6 * len(plain)


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [("gzip, br", True), ("br;q=1, gzip;q=0.5", True), ("*", True), ("", False), ("gzip;q=0, *", False), ("br", False)],
)
def test_gzip_is_used_only_where_it_is_accepted(accepted: str, taken: bool) -> None:
    assert takes_gzip(accepted) is taken


def test_an_answer_in_several_parts_passes_as_it_is() -> None:
    sent: list[Any] = []

    async def parts(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b" " * 9000, "more_body": True})
        await send({"type": "http.response.body", "body": b"1"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [(b"accept-encoding", b"gzip")]}
    asyncio.run(Compress(parts)(scope, None, send))  # type: ignore[arg-type]
    assert [message.get("body") for message in sent] == [None, b" " * 9000, b"1"]


@pytest.mark.parametrize(
    ("path", "methods"), [("/api/runs", "GET, HEAD, POST, OPTIONS"), ("/api/limits", "GET, HEAD, OPTIONS")]
)
def test_options_tells_the_methods(client: TestClient, path: str, methods: str) -> None:
    answer = client.options(path)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, methods, b"")
    assert client.options("/api/nothing").status_code == 404


def test_a_slash_too_many_leads_nowhere(client: TestClient) -> None:
    answer = client.get("/api/runs/", follow_redirects=False)
    assert answer.status_code == 404 and "location" not in answer.headers


def test_a_client_that_waits_for_each_answer_is_never_told_to_wait(client: TestClient) -> None:
    assert {client.post("/api/ops/relu/forward", json=RELU).status_code for _ in range(300)} == {200}
