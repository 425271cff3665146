"""Whatever a client sends is answered with a problem document that says what is wrong, and the server goes on."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

NPZ = "application/x-npz"
GOOD: dict[str, Any] = {"settings": {"padding": 1}, "tensors": {"x": [[[[1, 2], [3, 4]]]], "w": [[[[1, 0], [0, 1]]]]}}
LAYER = {"name": "conv", "op": "conv2d", "settings": {"out": 1, "kernel_size": 2}}
FLAT = {"name": "flat", "op": "flatten"}
FULL = {"name": "full", "op": "linear", "settings": {"out": 2}}
NETWORK: dict[str, Any] = {"input": [1, 4, 4], "layers": [LAYER, FLAT, FULL]}
HUGE = 10**400
VALUES: list[Any] = [
    None, True, False, "", "x", "NaN", [], [[]], {}, {"a": 1}, [1, [2]], [[1], [2, 3]], [True], [None], ["1"], [{}],
    -1, 0, 0.5, 1e308, HUGE, -HUGE, [HUGE], [[[[HUGE]]]], "\ud800", "\x00", "../../etc/passwd", "9**9**9", 
    [[[[[[[[[[1]]]]]]]]]], list(range(50)), "é" * 500, {"settings": {}}, [1, True], [0.5, "a"], 2**63, 1e400,
]
TEXTS = [
    b"", b"{", b"[]", b"null", b"3", b'"x"', b"{}x", b"\xff\xfe", b"{'a': 1}", b'{"tensors": {"x": NaN}}',
    b'{"tensors": {"x": [Infinity]}}', b'{"tensors": {"x": [-Infinity, 1e999]}}', b'{"settings": {"stride": 1e999}}',
    b"[" * 100_000, b'{"a":' * 50_000, b'{"tensors": {"x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
    b'{"tensors": {"x": ' + b"[" * 20 + b"1" + b"]" * 20 + b"}}", b'{"settings": ' + b'{"a":' * 60 + b"1" + b"}" * 60 + b"}",
    b'{"tensors": {"x": ' + b"1" * 5_000 + b"}}", b'{"settings": {"stride": ' + b"9" * 400 + b"}}",
]


def set_at(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of the document with another value at one place."""
    copy = json.loads(json.dumps(document))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copy


def malformed() -> Iterator[tuple[str, str, bytes, str]]:
    """Method, path, body, content type: none of these is a request that can be answered."""
    json_type = "application/json"

    def send(path: str, document: Any, method: str = "POST") -> tuple[str, str, bytes, str]:
        return method, path, json.dumps(document).replace(str(HUGE), "1" + "0" * 400).encode(), json_type

    conv = "/api/ops/conv2d/forward"
    for body in TEXTS:
        yield "POST", conv, body, json_type
        yield "POST", "/api/runs", body, json_type
    wrong_here = {("settings",): VALUES, ("tensors",): VALUES, ("tensors", "x"): VALUES, ("tensors", "w"): VALUES,
                  ("settings", "padding"): VALUES, ("dtype",): VALUES, ("extra",): VALUES}
    fine = [(("settings",), {}), (("settings", "padding"), 0)]
    for path, values in wrong_here.items():
        for value in values:
            if not any(path == at and value == ok and type(value) is type(ok) for at, ok in fine):
                yield send(conv, set_at(GOOD, path, value))
    yield send(conv, {"tensors": {}})
    yield send("/api/ops/conv2d/backward", GOOD)
    yield send("/api/ops/conv2d/backward", set_at(GOOD, ("tensors", "dy"), [[[[1]]]]))
    for place in ["", "y", "y/0,0,0", "y/0,0,0,9", "z/0,0,0,0", "dx/0,0,0,0", "y/a", "y/-1,0,0,0", "x/0,0,0,0", "y/0,0,0,0@1", 5]:
        yield send("/api/ops/conv2d/explain", {**GOOD, "place": place})
    for setting in [{"kernel_size": 0}, {"kernel_size": 2, "padding": 2}, {"kernel_size": [1, 2, 3]}, {"kernel_size": True},
                    {"kernel_size": 4096}, {"kernel_size": 2, "stride": 0}, {}, {"kernel_size": 2, "banana": 1}]:
        yield send("/api/ops/max_pool2d/forward", {"settings": setting, "tensors": {"x": GOOD["tensors"]["x"]}})
    for target in [[7], [-1], [0.5], [0, 1], "0", [[1, 2, 3]], [True]]:
        yield send("/api/ops/cross_entropy/forward", {"tensors": {"x": [[1, 2]], "target": target}})
    for value in VALUES:
        yield send("/api/networks/shapes", {"network": value})
        yield send("/api/networks/shapes", {"network": set_at(NETWORK, ("input",), value)})
        yield send("/api/networks/shapes", {"network": set_at(NETWORK, ("layers",), value)})
        yield send("/api/networks/shapes", {"network": set_at(NETWORK, ("layers", 0), value)})
        for field in ("name", "op", "inputs"):
            if value not in ("x", "NaN") or field != "name":
                if value is not None or field != "inputs":
                    yield send("/api/networks/shapes", {"network": set_at(NETWORK, ("layers", 1, field), value)})
        yield send("/api/networks/shapes", {"network": set_at(NETWORK, ("layers", 0, "settings", "out"), value or -1)})
        yield send("/api/networks/gradients", {"network": NETWORK, "x": value, "target": [0]})
        yield send("/api/networks/gradients", {"model": "tiny", "parameters": {"conv/w": value}})
        yield send("/api/runs", {"model": value})
        for field in ("dataset", "optimizer", "batch_size", "steps", "epochs", "seed", "start"):
            if value is not None and not (field == "optimizer" and value == {}) and not (
                field == "start" and isinstance(value, bool)) and not (field == "seed" and value in (0, False)):
                yield send("/api/runs", {"model": "tiny", "start": False, field: value})
        yield send("/api/runs/welcome/predict", {"x": value})
        if value is False or value != 0:
            yield send("/api/runs/welcome/passes", {"dataset": "mnist", "index": value})
        yield send("/api/runs/welcome/passes", {"x": value})
        yield send("/api/optimizers/adam/step", {"tensors": {"w": [1.0, 2.0, 3.0], "dw": value}})
    yield send("/api/networks/shapes", {})
    yield send("/api/networks/shapes", {"model": "tiny", "network": NETWORK})
    yield send("/api/networks/shapes", {"network": {**NETWORK, "layers": [LAYER] * 2}})
    yield send("/api/networks/shapes", {"network": {**NETWORK, "layers": [{**LAYER, "inputs": ["conv"]}]}})
    cycle = [{"name": "a", "op": "relu", "inputs": ["b"]}, {"name": "b", "op": "relu", "inputs": ["a"]}]
    yield send("/api/networks/shapes", {"network": {**NETWORK, "layers": cycle}})
    yield send("/api/networks/shapes", {"network": {**NETWORK, "layers": [{"name": f"r{k}", "op": "relu"} for k in range(500)]}})
    wide = {"name": "w", "op": "linear", "settings": {"out": 4096}}
    bomb = [FLAT, *({**wide, "name": f"w{k}"} for k in range(20))]
    yield send("/api/networks/gradients", {"network": {**NETWORK, "layers": bomb}, "x": [[[[0] * 4] * 4]], "target": [0]})
    yield send("/api/runs", {"network": {**NETWORK, "layers": bomb}})
    for index in (-1, 10_000, HUGE):
        yield send("/api/runs/welcome/passes", {"dataset": "mnist", "split": "test", "index": index})
    yield send("/api/runs/welcome/passes", {"dataset": "mnist", "split": "test", "index": 0, "step": 10**6})
    for body in ({"state": "running"}, {"state": "flying"}, {"pace": 0}, {"learning_rate": "fast"}, {"id": "x"}):
        yield send("/api/runs/welcome", body, "PATCH")
    yield send("/api/runs/welcome/step", {"count": 1})
    yield send("/api/runs/nope/step", {"count": 1})
    yield "DELETE", "/api/runs/welcome", b"", ""
    yield "DELETE", "/api/runs/nope", b"", ""
    for path in [
        "/api/nothing", "/api/runs/nope", "/api/runs/welcome/steps/x/tensors/conv1/y", "/api/runs/welcome/steps/-1/tensors/conv1/y",
        "/api/runs/welcome/steps/999/tensors/conv1/y", f"/api/runs/welcome/steps/{HUGE}/tensors/conv1/y",
        "/api/runs/welcome/steps/1/tensors/nope/y", "/api/runs/welcome/steps/1/tensors/conv1/nope",
        "/api/runs/welcome/steps/1/tensors/conv1/y?sample=32", "/api/runs/welcome/steps/1/tensors/conv1/y?sample=-1",
        "/api/runs/welcome/steps/1/explain/conv1/y", "/api/runs/welcome/steps/1/explain/conv1/y/0,0,0",
        "/api/runs/welcome/steps/1/explain/conv1/y/0,0,0,99", "/api/runs/welcome/steps/1/explain/x",
        "/api/runs/welcome/steps/1/explain/conv1/y/0,0,0,0@77", "/api/runs/welcome/steps/1/explain/loss/y?page=9999",
        "/api/runs/welcome/steps/1/explain/loss/y?page=-1", "/api/runs/welcome/steps/1/explain/loss/y?per_page=501",
        "/api/runs/welcome/steps/1/explain/loss/y?order=up", "/api/runs/welcome/steps/1/explain/conv1/dw/0,0,0,0?group=99",
        f"/api/runs/welcome/steps/1/explain/loss/y?page={HUGE}", "/api/runs/welcome/steps/1/explain/" + "9" * 5000,
        f"/api/runs/welcome/steps/1/explain/conv1/y/0,0,0,{HUGE}", "/api/runs/welcome/steps/1/explain/conv1/y/0,0,0," + "9" * 5000,
        "/api/runs/welcome/steps/1/frame?tensors=conv1/nope", "/api/runs/welcome/steps/1/frame?sample=99",
        "/api/runs/welcome/passes/nope", "/api/runs/welcome/passes/nope/frame", "/api/runs/welcome/metrics?since=x",
        "/api/runs/welcome/score?batch=0", "/api/datasets/nope/test", "/api/datasets/mnist/nope", "/api/datasets/mnist/test/10000",
        "/api/datasets/mnist/test/-1", "/api/datasets/mnist/test/x", "/api/datasets/mnist/test?limit=0",
        "/api/datasets/mnist/test?limit=100000", "/api/datasets/..%2f..%2fetc/test/0", "/static/../app/main.py",
        "/static/..%2f..%2fpyproject.toml", "/static/nope.js", "/api/ops/nope/forward", "/api/runs/%00", "/api/runs/%ff",
    ]:  # fmt: skip
        yield "GET", path, b"", ""
    for method, path in [("POST", "/api/limits"), ("PUT", "/api/runs"), ("DELETE", "/"), ("PATCH", "/api/ops"), ("GET", conv)]:
        yield method, path, b"", ""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"):
        yield "POST", conv, json.dumps(GOOD).encode(), kind
    for content in npz_bodies():
        yield "POST", conv, content, NPZ


def npz_bodies() -> Iterator[bytes]:
    """Archives that are none, that lie, that carry pickles, or that unpack to far more than they are."""
    yield b"PK\x03\x04 not really"
    yield archive(x=b"")
    yield archive(x=b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8'}")
    yield archive(x=npy(np.ones((1, 1, 2, 2)), shape=(10**6, 10**6)))
    yield archive(x=npy(np.ones((1, 1, 2, 2)), shape=(-4, -1)))
    yield archive(x=npy(np.array([{"a": 1}], dtype=object), pickled=True))
    yield archive(x=npy(np.ones(3, complex)))
    yield archive(x=npy(np.ones(3, bool)))
    yield archive(x=npy(np.array(["a"])))
    yield archive(x=npy(np.ones((1, 1, 2, 2))), request=npy(np.array([1.0])))
    yield archive(x=npy(np.ones((1, 1, 2, 2))), request=npy(np.array("{")))
    yield archive(x=npy(np.ones((1, 1, 2, 2))), request=npy(np.array('{"tensors": {"x": 1}}')))
    yield archive(**{"../x": npy(np.ones((1, 1, 2, 2)))})
    yield archive(**{f"t{k}": npy(np.ones(1)) for k in range(600)})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.npy", npy(np.zeros((1, 1, 6000, 6000))))
    yield stream.getvalue()
    yield stream.getvalue()[:-40]
    good = archive(x=npy(np.ones((1, 1, 2, 2))), w=npy(np.ones((1, 1, 2, 2))))
    rng = random.Random(4)
    for _ in range(10):
        broken = bytearray(good)
        for _ in range(6):
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        broken[:2] = b"XX"
        broken[-22:] = rng.randbytes(22)
        yield bytes(broken)


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return stream.getvalue()


def npy(array: np.ndarray, shape: tuple[int, ...] | None = None, pickled: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=pickled)
    content = stream.getvalue()
    if shape is None:
        return content
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + array.tobytes()


REQUESTS = list(malformed())


def test_there_are_more_than_two_hundred_of_them() -> None:
    assert len(REQUESTS) > 200


def test_each_gets_a_problem_document_of_4xx(client: TestClient) -> None:
    wrong = []
    for method, path, body, kind in REQUESTS:
        answer = client.request(method, path, content=body, headers={"Content-Type": kind} if kind else {})
        if not is_problem(answer):
            wrong.append((method, path[:100], body[:160], kind, answer.status_code, answer.text[:300]))
    assert not wrong, f"{len(wrong)}: " + "\n".join(map(str, wrong[:40]))
    assert client.get("/healthz").status_code == 200
    assert client.post("/api/ops/conv2d/forward", json=GOOD).json()["shapes"] == {"y": [1, 1, 3, 3]}


def is_problem(answer: Any) -> bool:
    if not 400 <= answer.status_code < 500 or answer.headers["content-type"] != "application/problem+json":
        return False
    document = answer.json()
    text = answer.text
    return (
        {"type", "title", "status", "detail", "errors"} <= document.keys()
        and document["status"] == answer.status_code
        and bool(document["detail"])
        and len(text) < 20_000
        and "Traceback" not in text
        and "/work" not in text
        and "site-packages" not in text
    )


def test_a_good_answer_would_not_pass_for_a_problem(client: TestClient) -> None:
    assert not is_problem(client.get("/healthz"))


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
    answer = client.post("/api/ops/conv2d/forward", json={**GOOD, "settings": {"padding": "x" * 100_000}})
    assert answer.status_code == 422
    assert len(answer.content) < 3_000
