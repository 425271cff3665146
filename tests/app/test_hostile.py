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
from starlette.testclient import TestClient

from tests.tools import ROOT

Sent = tuple[str, str, bytes, str]
NPZ = "application/x-npz"
CONV = "/api/ops/conv2d/forward"
GOOD: dict[str, Any] = {
    "settings": {"padding": 1},
    "tensors": {"x": [[[[1, 2], [3, 4]]]], "w": [[[[1, 0], [0, 1]]]]},
}
LAYER = {"name": "conv", "op": "conv2d", "settings": {"out": 1, "kernel_size": 2}}
FLAT = {"name": "flat", "op": "flatten"}
FULL = {"name": "full", "op": "linear", "settings": {"out": 2}}
NETWORK: dict[str, Any] = {"input": [1, 4, 4], "layers": [LAYER, FLAT, FULL]}
HUGE = 10**400
VALUES: list[Any] = [
    None,
    True,
    False,
    "",
    "x",
    "NaN",
    [],
    [[]],
    {},
    {"a": 1},
    [1, [2]],
    [[1], [2, 3]],
    [True],
    [None],
    ["1"],
    [{}],
    -1,
    0,
    0.5,
    1e308,
    HUGE,
    -HUGE,
    [HUGE],
    [[[[HUGE]]]],
    "\ud800",
    "\x00",
    "../../etc/passwd",
    "9**9**9",
    [[[[[[[[[[1]]]]]]]]]],
    list(range(50)),
    "é" * 500,
    {"settings": {}},
    [1, True],
    [0.5, "a"],
    2**63,
    1e400,
]
TEXTS = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"3",
    b'"x"',
    b"{}x",
    b"\xff\xfe",
    b"{'a': 1}",
    b'{"tensors": {"x": NaN}}',
    b'{"tensors": {"x": [Infinity]}}',
    b'{"tensors": {"x": [-Infinity, 1e999]}}',
    b'{"settings": {"stride": 1e999}}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"tensors": {"x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
    b'{"tensors": {"x": ' + b"[" * 20 + b"1" + b"]" * 20 + b"}}",
    b'{"settings": ' + b'{"a":' * 60 + b"1" + b"}" * 60 + b"}",
    b'{"tensors": {"x": ' + b"1" * 5_000 + b"}}",
    b'{"settings": {"stride": ' + b"9" * 400 + b"}}",
    *('{"model": "tiny", "start": false}'.encode(code) for code in ("utf-16", "utf-16-be", "utf-32")),
]


#: "%" stands for the welcome run's address, "@" for its first step's explanations.
ADDRESSES = [
    "/api/nothing", "/api/runs/nope", "%steps/x/tensors/conv1/y", "%steps/-1/tensors/conv1/y",
    "%steps/999/tensors/conv1/y", f"%steps/{HUGE}/tensors/conv1/y", "%steps/1/tensors/nope/y",
    "%steps/1/tensors/conv1/nope", "%steps/1/tensors/conv1/y?sample=32",
    "%steps/1/tensors/conv1/y?sample=-1", "@conv1/y", "@conv1/y/0,0,0", "@conv1/y/0,0,0,99", "@x",
    "@conv1/y/0,0,0,0@999999", "@loss/y?page=9999", "@loss/y?page=-1", "@loss/y?per_page=501",
    "@loss/y?order=up", "@conv1/dw/0,0,0,0?group=99", f"@loss/y?page={HUGE}", "@" + "9" * 5000,
    f"@conv1/y/0,0,0,{HUGE}", "@conv1/y/0,0,0," + "9" * 5000, "%steps/1/frame?tensors=conv1/nope",
    "%steps/1/frame?sample=99", "%passes/nope", "%passes/nope/frame", "%metrics?since=x",
    "%score?batch=0", "/api/datasets/nope/test", "/api/datasets/mnist/nope",
    "/api/datasets/mnist/test/10000", "/api/datasets/mnist/test/-1", "/api/datasets/mnist/test/x",
    "/api/datasets/mnist/test?limit=0", "/api/datasets/mnist/test?limit=100000",
    "/api/datasets/..%2f..%2fetc/test/0", "/static/../app/main.py", "/static/..%2f..%2fpyproject.toml",
    "/static/nope.js", "/api/ops/nope/forward", "/api/runs/%00", "/api/runs/%ff",
]  # fmt: skip


def set_at(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of the document with another value at one place."""
    copy = json.loads(json.dumps(document))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copy


def send(path: str, document: Any, method: str = "POST") -> Sent:
    return method, path, json.dumps(document).encode(), "application/json"


def malformed() -> Iterator[Sent]:
    """Method, path, body, content type: none of these is a request that can be answered."""
    for content in TEXTS:
        yield "POST", CONV, content, "application/json"
        yield "POST", "/api/runs", content, "application/json"
    yield from to_operators()
    yield from to_networks()
    yield from to_runs()
    for path in ADDRESSES:
        start = {"@": "/api/runs/welcome/steps/1/explain/", "%": "/api/runs/welcome/"}.get(path[0])
        yield "GET", start + path[1:] if start else path, b"", ""
    for method, path in (
        ("POST", "/api/limits"),
        ("PUT", "/api/runs"),
        ("DELETE", "/"),
        ("PATCH", "/api/ops"),
        ("GET", CONV),
    ):
        yield method, path, b"", ""
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
    ):
        yield "POST", CONV, json.dumps(GOOD).encode(), kind
    for content in npz_bodies():
        yield "POST", CONV, content, NPZ


def to_operators() -> Iterator[Sent]:
    for clash in ("self", "cls"):
        yield send(CONV, set_at(GOOD, ("settings", clash), 1))
        yield send("/api/optimizers/adam/step", {"settings": {clash: 1}, "tensors": {"w": [1.0], "dw": [1.0]}})
    places = [
        ("settings",),
        ("tensors",),
        ("tensors", "x"),
        ("tensors", "w"),
        ("settings", "padding"),
        ("dtype",),
        ("extra",),
    ]
    fine = [(("settings",), "{}"), (("settings", "padding"), "0")]
    for place in places:
        for value in VALUES:
            if (place, json.dumps(value)) not in fine:
                yield send(CONV, set_at(GOOD, place, value))
    yield send(CONV, {"tensors": {}})
    yield send("/api/ops/conv2d/backward", GOOD)
    yield send("/api/ops/conv2d/backward", set_at(GOOD, ("tensors", "dy"), [[[[1]]]]))
    for asked in [
        "",
        "y",
        "y/0,0,0",
        "y/0,0,0,9",
        "z/0,0,0,0",
        "dx/0,0,0,0",
        "y/a",
        "y/-1,0,0,0",
        "x/0,0,0,0",
        "y/0,0,0,0@1",
        5,
    ]:
        yield send("/api/ops/conv2d/explain", {**GOOD, "place": asked})
    pool: dict[str, Any] = {"kernel_size": 2}
    for setting in [{"kernel_size": 0}, {**pool, "padding": 2}, {"kernel_size": [1, 2, 3]}, {"kernel_size": True},
                    {"kernel_size": 4096}, {**pool, "stride": 0}, {}, {**pool, "banana": 1}]:  # fmt: skip
        yield send("/api/ops/max_pool2d/forward", {"settings": setting, "tensors": {"x": GOOD["tensors"]["x"]}})
    for target in [[7], [-1], [0.5], [0, 1], "0", [[1, 2, 3]], [True]]:
        yield send("/api/ops/cross_entropy/forward", {"tensors": {"x": [[1, 2]], "target": target}})
    for value in VALUES:
        yield send("/api/optimizers/adam/step", {"tensors": {"w": [1.0, 2.0, 3.0], "dw": value}})


def to_networks() -> Iterator[Sent]:
    shapes = "/api/networks/shapes"
    for clash in ("self", "cls"):
        yield send(shapes, {"network": set_at(NETWORK, ("layers", 0, "settings", clash), 1)})
        yield send(shapes, {"network": {**NETWORK, "loss": {"op": "cross_entropy", "settings": {clash: 1}}}})
        yield send("/api/runs", {"model": "tiny", "start": False, "optimizer": {"name": "adam", clash: 1}})
    for value in VALUES:
        yield send(shapes, {"network": value})
        for place in [("input",), ("layers",), ("layers", 0)]:
            yield send(shapes, {"network": set_at(NETWORK, place, value)})
        for field in ("name", "op", "inputs"):
            allowed = {"name": ("x", "NaN"), "inputs": (None,)}.get(field, ())
            if value not in allowed:
                yield send(shapes, {"network": set_at(NETWORK, ("layers", 1, field), value)})
        yield send(shapes, {"network": set_at(NETWORK, ("layers", 0, "settings", "out"), value or -1)})
        yield send("/api/networks/gradients", {"network": NETWORK, "x": value, "target": [0]})
        yield send("/api/networks/gradients", {"model": "tiny", "parameters": {"conv/w": value}})
    yield send(shapes, {})
    yield send(shapes, {"model": "tiny", "network": NETWORK})
    cycle = [{"name": "a", "op": "relu", "inputs": ["b"]}, {"name": "b", "op": "relu", "inputs": ["a"]}]
    endless = [{"name": f"r{k}", "op": "relu"} for k in range(500)]
    for layers in ([LAYER, LAYER], [{**LAYER, "inputs": ["conv"]}], cycle, endless):
        yield send(shapes, {"network": {**NETWORK, "layers": layers}})
    wide = {"op": "linear", "settings": {"out": 4096}}
    bomb = {**NETWORK, "layers": [FLAT, *({**wide, "name": f"w{k}"} for k in range(20))]}
    yield send("/api/networks/gradients", {"network": bomb, "x": [[[[0] * 4] * 4]], "target": [0]})
    yield send("/api/runs", {"network": bomb})


def to_runs() -> Iterator[Sent]:
    passes = "/api/runs/welcome/passes"
    allowed = {"optimizer": ["{}"], "start": ["true", "false"], "seed": ["0"]}
    for value in VALUES:
        yield send("/api/runs", {"model": value})
        for field in ("dataset", "optimizer", "batch_size", "steps", "epochs", "seed", "start"):
            if value is not None and json.dumps(value) not in allowed.get(field, []):
                yield send("/api/runs", {"model": "tiny", "start": False, field: value})
        yield send("/api/runs/welcome/predict", {"x": value})
        yield send(passes, {"x": value})
        if value is False or value != 0:
            yield send(passes, {"dataset": "mnist", "index": value})
    for index in (-1, 10_000, HUGE):
        yield send(passes, {"dataset": "mnist", "split": "test", "index": index})
    yield send(passes, {"dataset": "mnist", "split": "test", "index": 0, "step": 10**6})
    changes: list[Any] = [
        {"state": "running"},
        {"state": "flying"},
        {"pace": 0},
        {"learning_rate": "fast"},
        {"id": "x"},
    ]
    for change in changes:
        yield send("/api/runs/welcome", change, "PATCH")
    for run in ("welcome", "nope"):
        yield send(f"/api/runs/{run}/step", {"count": 1})
        yield "DELETE", f"/api/runs/{run}", b"", ""


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
    for shape in ((0, 2**62), (0, 10**20), (True,), (1,) * 70, (1,) * 9, (0,)):
        yield archive(x=npy(np.ones(1) if shape[0] else np.ones(0), shape=shape))
    for header in ("(" * 5000, "{" * 3000, "[" * 60_000, "{'descr': ('<f8',), 'fortran_order': False, 'shape': (1,)}"):
        yield archive(x=with_header(header, bytes(8)))
    beyond = with_header("{'descr': '<U1', 'fortran_order': False, 'shape': ()}", b"\xff\xff\xff\x7f")
    yield archive(x=npy(np.ones((1, 1, 2, 2))), request=beyond)
    noise = npy(np.random.default_rng(1).random((1, 1, 30, 30)))
    for packing in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED):
        packed = bytearray(archive(packing, x=noise))
        packed[60:120] = bytes(60)
        yield bytes(packed)
        central = packed.rindex(b"PK\x01\x02")
        packed[central + 42 : central + 46] = b"\xff\xff\x00\x00"
        yield bytes(packed)
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


def archive(packing: int = zipfile.ZIP_STORED, /, **members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return stream.getvalue()


def npy(array: np.ndarray, shape: tuple[int, ...] | None = None, pickled: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=pickled)
    content = stream.getvalue()
    if shape is None:
        return content
    return with_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117), array.tobytes())


def with_header(words: str, numbers: bytes) -> bytes:
    header = words.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + numbers


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
        and str(ROOT) not in text
        and "site-packages" not in text
        and " at 0x" not in text
    )


def test_a_good_answer_would_not_pass_for_a_problem(client: TestClient) -> None:
    assert not is_problem(client.get("/healthz"))
