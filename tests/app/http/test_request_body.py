"""How a body is read: its limits, its encoding, its fields, and how long it may take to arrive."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.http import middleware, request_body
from app.runs.run_config import RunFields


@pytest.mark.parametrize("said", [True, False])
def test_a_body_over_the_limit_is_refused_before_all_of_it_is_read(client: TestClient, said: bool) -> None:
    limit = client.get("/api/limits").json()["json_bytes"]["value"]
    read = 0

    def chunks() -> Iterator[bytes]:
        nonlocal read
        for _ in range(limit // 2**20 + 20):
            read += 1
            yield b" " * 2**20

    headers = {"Content-Type": "application/json"} | ({"Content-Length": str(limit + 1)} if said else {})
    answer = client.post("/api/ops/relu/forward", content=chunks(), headers=headers)
    assert answer.status_code == 413
    assert answer.json()["limit"] == {"name": "json_bytes", "value": limit}


def test_a_detail_quotes_only_a_part_of_what_was_sent(client: TestClient) -> None:
    answer = client.post("/api/ops/conv2d/forward", json={"settings": {"padding": "x" * 100_000}})
    assert answer.status_code == 422
    assert len(answer.content) < 3_000


@pytest.mark.parametrize(
    ("path", "content", "limit"),
    [
        ("/api/networks/shapes", b'{"network": {"input": [1], "layers": [' + b"{}," * 200_000 + b"{}]}}", "layers"),
        ("/api/runs", b"{" + b",".join(b'"k%d":1' % k for k in range(200_000)) + b"}", "names"),
        ("/api/runs/welcome/predict", b'{"indices": [' + b'"",' * 500_000 + b'""]}', "predicted_images"),
    ],
)  # fmt: skip
def test_numbers_of_things_are_checked_before_the_things(
    client: TestClient, path: str, content: bytes, limit: str
) -> None:
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413 and answer.json()["limit"]["name"] == limit


def test_axes_are_counted_before_they_are_looked_at(client: TestClient) -> None:
    content = b'{"network": {"input": [' + b'"",' * 200_000 + b'""], "layers": []}}'
    answer = client.post("/api/runs", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422 and "expected 1 to 8 axes, got 200001" in answer.json()["detail"]
    assert len(answer.content) < 1000


def test_many_unknown_fields_are_one_error(client: TestClient) -> None:
    layer = {f"k{number}": 1 for number in range(900)}
    answer = client.post("/api/networks/shapes", json={"network": {"input": [1], "layers": [layer] * 200}})
    assert answer.status_code == 422 and "900 fields" in answer.json()["detail"]


def test_a_whole_number_may_be_written_with_a_point(client: TestClient) -> None:
    with_point = client.post("/api/networks/score", json={"model": "tiny", "batch": 2.0})
    assert with_point.json() == client.post("/api/networks/score", json={"model": "tiny", "batch": 2}).json()
    half = client.post("/api/networks/score", json={"model": "tiny", "batch": 2.5})
    assert half.status_code == 422 and "expected a whole number, got 2.5" in half.json()["detail"]


def test_a_text_that_is_not_utf_8_is_refused(client: TestClient) -> None:
    content = '{"model": "tiny"}'.encode("utf-16")
    answer = client.post("/api/networks/shapes", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and "expected UTF-8" in answer.json()["detail"]


def test_a_name_given_twice_is_refused(client: TestClient) -> None:
    content = b'{"model": "tiny", "steps": 3, "steps": 4}'
    answer = client.post("/api/runs", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and '"steps" is given 2 times' in answer.json()["detail"]


UNKNOWN = "there is no such field here"
RUN = ", ".join(field.alias or name for name, field in RunFields.model_fields.items())


@pytest.mark.parametrize(
    ("body", "loc", "detail"),
    [
        ({"model": "tiny", "foo": [1]}, ["foo"], f"{UNKNOWN}, got a list; there are: {RUN}"),
        ({"model": "tiny", "dataset": 5}, ["dataset"], "expected a string or an object, got 5"),
        (
            {"model": "tiny", "dataset": {"y": 1}},
            ["dataset", "y"],
            f"{UNKNOWN}, got 1; there are: x, target, x_test, target_test",
        ),
        (
            {"network": {"input": [4], "layers": [{"name": "fc", "op": "linear", "out": 3}]}},
            ["network", "layers", 0, "out"],
            f"{UNKNOWN}, got 3; there are: name, op, settings, inputs",
        ),
        ({"model": "tiny", "steps": 0}, ["steps"], "expected at least 1, got 0"),
        ({"model": "tiny", "steps": True}, ["steps"], "expected a whole number, got true"),
        ({"network": {"layers": []}}, ["network", "input"], "this field is needed"),
        ({"network": {"input": [None], "layers": []}}, ["network", "input", 0], "expected a whole number, got null"),
    ],
)
def test_a_misfit_says_what_was_got_and_where_it_stands_in_the_body(
    client: TestClient, body: Any, loc: list[str], detail: str
) -> None:
    answer = client.post("/api/runs", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"loc": loc, "detail": detail}]


def test_a_query_that_does_not_fit_says_what_was_got(client: TestClient) -> None:
    errors = client.get("/api/runs/welcome/steps/1/explain/loss/y?page=-1").json()["errors"]
    assert errors == [{"loc": ["query", "page"], "detail": 'expected at least 0, got "-1"'}]


def test_a_body_that_takes_too_long_is_not_waited_for(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(middleware, "DRAIN_SECONDS", 0.1)
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(0.03)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(client.app(scope("/api/runs"), receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 408 and b"took longer than 0.1 seconds" in sent[1]["body"]


@pytest.mark.parametrize("expect", [b"100-continue", b""])
def test_a_body_that_nobody_wants_is_not_asked_for_where_the_client_waits(client: TestClient, expect: bytes) -> None:
    read, sent = 0, []

    async def receive() -> Any:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b" ", "more_body": read < 5}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(client.app(scope("/api/nowhere", (b"expect", expect)), receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 404
    assert read == (0 if expect else 5)
    assert ((b"connection", b"close") in sent[0]["headers"]) == bool(expect)


def test_a_body_that_nobody_wants_and_that_does_not_come_is_not_waited_for(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "DRAIN_IDLE", 0.01)
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(client.app(scope("/api/nowhere"), receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 404 and (b"connection", b"close") in sent[0]["headers"]


def scope(path: str, *more: tuple[bytes, bytes]) -> dict[str, Any]:
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"9"), *more]
    return {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1), "scheme": "http",
    }  # fmt: skip


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    asyncio.run(client.app(scope("/api/runs"), receive, send))  # type: ignore[arg-type]
    assert not caplog.records


def test_a_parameter_that_a_route_does_not_have_is_refused(client: TestClient) -> None:
    answer = client.get("/api/runs/welcome/metrics", params={"point": 3})
    assert answer.status_code == 422 and "there are: since, points" in answer.json()["detail"]
    assert answer.json()["errors"][0]["loc"] == ["query", "point"]
    body = {"tensors": {"x": [[1.0]]}, "place": "y/0,0"}
    assert client.post("/api/ops/relu/explain", params={"page": 0}, json=body).status_code == 200
    assert client.post("/api/ops/relu/explain", params={"pages": 0}, json=body).status_code == 422
    assert client.get("/", params={"run": "welcome"}).status_code == 200


@pytest.mark.parametrize(("dtype", "expected"), [("float32", "float32"), ("float64", "float64")])
def test_the_type_of_an_npz_is_kept(client: TestClient, dtype: str, expected: str) -> None:
    file = io.BytesIO()
    np.savez(file, x=np.ones((2, 3), dtype))
    kind = "application/x-npz"
    answer = client.post(
        "/api/ops/relu/forward", content=file.getvalue(), headers={"Content-Type": kind, "Accept": kind}
    )
    with np.load(io.BytesIO(answer.content)) as tensors:
        assert tensors["y"].dtype == expected
