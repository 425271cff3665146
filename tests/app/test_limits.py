"""What would take too long or too much memory is refused before it is allocated, with the limit's name and value."""

from __future__ import annotations

import dataclasses
import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.limits import Limits
from app.server import create_app
from app.settings import Settings
from engine.ops import OPS
from tests.app.conftest import wait_for
from tests.server import Server
from tests.tools import ROOT

WIDE = {"input": [1, 300, 300], "layers": [{"name": "c", "op": "conv2d", "settings": {"out": 1, "kernel_size": 150}},
                                           {"name": "f", "op": "flatten"}]}  # fmt: skip


DEEP = {
    "input": [1, 28, 28],
    "layers": [
        {"name": "f", "op": "flatten"},
        *({"name": f"l{k}", "op": "linear", "settings": {"out": out}} for k, out in enumerate((3000, 2400, 10))),
    ],
}


def one_by_one(**settings: int) -> Any:
    return {"settings": settings, "tensors": {"x": ones(1, 1, 1, 1), "w": ones(1, 1, 1, 1)}}


def ones(*shape: int) -> Any:
    return np.ones(shape).tolist()


@pytest.mark.parametrize(
    ("path", "body", "limit"),
    [
        ("ops/conv2d/forward", one_by_one(padding=1900), "json_numbers"),
        ("ops/conv2d/forward", one_by_one(padding=3000), "elements"),
        ("ops/conv2d/forward",
         {"settings": {"padding": 120}, "tensors": {"x": ones(1, 1, 90, 90), "w": ones(1, 1, 160, 160)}}, "scratch"),
        ("ops/lp_pool2d/forward",
         {"settings": {"kernel_size": 100, "stride": 1, "norm_type": 2.5}, "tensors": {"x": ones(1, 1, 300, 300)}},
         "multiply_adds"),
        ("ops/max_pool2d/forward",
         {"settings": {"kernel_size": 150, "stride": 1}, "tensors": {"x": ones(1, 1, 400, 400)}}, "multiply_adds"),
        ("ops/relu/forward", {"tensors": {"x": ones(250_000, 1)}}, "lists"),
        ("networks/gradients", {"network": WIDE, "seed": 1, "x": ones(1, 300, 300), "target": [1]}, "scratch"),
        ("runs", {"network": DEEP, "optimizer": {"name": "adam"}}, "run_bytes"),
        ("runs", {"network": WIDE, "dataset": {"x": ones(1, 1, 300, 300), "target": [1]}}, "scratch"),
    ],
)  # fmt: skip
def test_what_is_too_dear_is_named_with_its_limit(client: TestClient, path: str, body: Any, limit: str) -> None:
    answer = client.post(f"/api/{path}", json=body)
    assert answer.status_code == 413, answer.text[:300]
    assert answer.json()["limit"] == {"name": limit, "value": getattr(Limits(), limit)}


def test_what_is_too_long_for_json_can_be_had_as_npz(client: TestClient) -> None:
    body = one_by_one(padding=800)
    assert client.post("/api/ops/conv2d/forward", json=body).status_code == 413
    answer = client.post("/api/ops/conv2d/forward", json=body, headers={"Accept": "application/x-npz"})
    assert answer.status_code == 200 and len(answer.content) > 1601**2 * 8


@pytest.mark.parametrize("op", sorted(OPS))
def test_the_work_of_an_op_is_at_least_its_multiply_adds(op: str) -> None:
    kind = OPS[op]
    made = kind(**kind.example_settings)
    shapes = {name: array.shape for name, array in kind.example(np.random.default_rng(0)).items()}
    assert made.work(shapes) > made.multiply_adds(shapes) and made.scratch(shapes) >= 0


def test_a_client_that_sends_too_much_still_hears_why(server: Server) -> None:
    limit = Limits().json_bytes
    content = b" " * (limit + 5_000_000)
    for path, kind, status in (("/api/ops/relu/forward", "application/json", 413), ("/api/ops", "text/plain", 405),
                               ("/api/runs", "text/plain", 415)):  # fmt: skip
        request = urllib.request.Request(server.url + path, content, {"Content-Type": kind})
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=30)
        assert caught.value.code == status and json.load(caught.value)["status"] == status


def test_what_an_explanation_and_a_history_list_has_limits(tmp_path: Path, warmed: Path) -> None:
    limits = Limits().adjusted(["terms_per_page=4", "series_points=3", "explained_elements=8"])
    settings = Settings(tmp_path, warm=False, welcome_steps=2, limits=limits)
    with TestClient(create_app(settings), "http://localhost") as client:
        wait_for(lambda: client.get("/api/runs").status_code == 200)
        body = {"settings": {}, "tensors": {"x": ones(1, 1, 3, 3), "w": ones(1, 1, 3, 3)}, "place": "y/0,0,0,0"}
        small = body | {"tensors": {"x": ones(1, 1, 3, 3), "w": ones(1, 1, 2, 2)}}
        explained = client.post("/api/ops/conv2d/explain", json=small, params={"per_page": 4})
        assert explained.status_code == 200 and explained.json()["terms_total"] == 4
        history = "/api/runs/welcome/history/conv1/w/0,0,1,1"
        assert client.get(history, params={"points": 3}).status_code == 200
        for answer, limit in (
            (client.post("/api/ops/conv2d/explain", json=small, params={"per_page": 5}), "terms_per_page"),
            (client.post("/api/ops/conv2d/explain", json=body, params={"per_page": 4}), "explained_elements"),
            (client.get(history, params={"points": 4}), "series_points"),
            (
                client.get("/api/runs/welcome/steps/1/explain/conv1/y/0,0,0,0", params={"per_page": 4}),
                "explained_elements",
            ),
        ):
            assert answer.status_code == 413, answer.text
            assert answer.json()["limit"] == {"name": limit, "value": getattr(limits, limit)}


def test_every_limit_is_read_where_something_is_bounded_by_it() -> None:
    """A limit that is published and that nothing enforces would be a lie."""
    texts = [file.read_text("utf-8") for file in (ROOT / "app").rglob("*.py") if file.name != "limits.py"]
    code, by_name = "\n".join(texts), "\n".join(text for text in texts if re.search(r"getattr\(\w*\.?_?limits,", text))
    unread = [
        each.name
        for each in dataclasses.fields(Limits)
        if not re.search(rf"""[lL]imits(\(\)\))?\.{each.name}\b|at_most\("{each.name}",""", code)
        and f'"{each.name}"' not in by_name
    ]
    assert unread == []
