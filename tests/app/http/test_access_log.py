"""What the server says about itself: a JSON object a line, each request under an id, nobody's data."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.http.access_log import Lines
from tests.server import serve


def test_every_answer_names_its_request(client: TestClient) -> None:
    first, second = (client.get("/healthz").headers["x-request-id"] for _ in range(2))
    assert first and second and first != second
    assert client.get("/api/nothing").headers["x-request-id"]
    named = client.get("/healthz", headers={"X-Request-ID": "from-my.proxy_7"})
    assert named.headers["x-request-id"] == "from-my.proxy_7"


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, '"}\\', "<script>"])
def test_an_id_that_is_none_is_replaced(client: TestClient, name: str) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": name}).headers["x-request-id"] not in ("", name)


def test_a_request_is_logged_by_its_route_and_nothing_of_its_data(tmp_path: Path) -> None:
    with serve(tmp_path, "--log", "info") as server:
        server.read("/?run=secret")
        request = urllib.request.Request(f"{server.url}/api/datasets/mnist/test/12345?secret=1")
        request.add_header("X-Request-ID", "mine")
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request)
        lines = [json.loads(line) for line in server.tail().splitlines()[1:]]
    asked = next(line for line in lines if line.get("request") == "mine")
    assert (asked["method"], asked["status"], asked["message"]) == ("GET", 422, "answered")
    assert asked["route"] == "/api/datasets/{name}/{split}/{index}" and asked["ms"] >= 0
    assert "secret" not in json.dumps(lines) and "127.0.0.1" not in json.dumps(lines)


def test_an_exception_is_one_line_too() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        what = (ValueError, error, None)
        record = logging.LogRecord("convscope", logging.ERROR, "", 0, "it failed: %s", ("so",), what)
    line = Lines().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "it failed: so" and "ValueError: two" in json.loads(line)["exception"]
