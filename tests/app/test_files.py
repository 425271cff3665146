"""Parameters and networks as files: out, and in again, here or at another server."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save
from starlette.testclient import TestClient

NPZ, SAFETENSORS = "application/x-npz", "application/x-safetensors"


@pytest.fixture(scope="module")
def run(client: TestClient) -> Any:
    return client.get("/api/runs/welcome").json()


def parameters_of(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content)) as archive:
        return {name: archive[name] for name in archive if archive[name].dtype.kind == "f"}


def metadata(content: bytes) -> dict[str, str]:
    (length,) = struct.unpack_from("<Q", content)
    found: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return found


def test_the_parameters_are_had_as_npz_and_as_safetensors(client: TestClient, run: Any) -> None:
    archive = client.get("/api/runs/welcome/parameters")
    assert archive.headers["content-type"] == NPZ and "welcome-parameters.npz" in archive.headers["content-disposition"]
    values = parameters_of(archive.content)
    assert values["conv1/w"].shape == (8, 1, 3, 3) and values["conv1/w"].dtype == np.float32
    by_accept = client.get("/api/runs/welcome/parameters", headers={"Accept": SAFETENSORS})
    by_format = client.get("/api/runs/welcome/parameters", params={"format": "safetensors"})
    assert by_accept.content == by_format.content
    same = load(by_format.content)
    assert same.keys() == values.keys() and all(np.array_equal(same[name], values[name]) for name in values)
    assert json.loads(metadata(by_format.content)["response"]) == {"step": run["step"]}


@pytest.mark.parametrize("format", ["npz", "safetensors"])
def test_the_names_of_a_state_dict_are_had_by_asking(client: TestClient, format: str) -> None:
    query = {"format": format, "names": "torch"}
    content = client.get("/api/runs/welcome/parameters", params=query).content
    names = (parameters_of(content) if format == "npz" else load(content)).keys()
    assert {"conv1.weight", "conv1.bias", "linear.weight"} <= names


@pytest.mark.parametrize("kind", ["application/json", NPZ, SAFETENSORS])
def test_a_trained_network_moves_between_servers(client: TestClient, kind: str) -> None:
    file = client.get("/api/runs/welcome/network", headers={"Accept": kind})
    assert file.headers["content-type"] == kind
    body = file.json() if kind == "application/json" else None
    answer = (
        client.post("/api/runs", json={"network": body, "start": False})
        if body
        else client.post("/api/runs", content=file.content, headers={"Content-Type": kind})
    )
    assert answer.status_code == 201, answer.text
    id = answer.json()["id"]
    assert answer.json()["title"] == client.get("/api/runs/welcome").json()["title"]
    first = client.get(f"/api/runs/{id}/steps/0/tensors/conv1/w").json()["values"]
    assert first == client.get("/api/runs/welcome/network").json()["parameters"]["conv1/w"]
    client.delete(f"/api/runs/{id}")


def test_parameters_go_in_under_either_names(client: TestClient) -> None:
    tensors = {"conv.weight": np.ones((1, 1, 2, 2), np.float32), "fc/w": np.full((1, 1), 2.0, np.float32)}
    content = save(tensors, {"request": '{"model": "tiny", "start": false}'})
    id = client.post("/api/runs", content=content, headers={"Content-Type": SAFETENSORS}).json()["id"]
    assert client.get(f"/api/runs/{id}/network").json()["parameters"] == {
        "conv/w": [[[[1, 1], [1, 1]]]], "fc/w": [[2]]
    }  # fmt: skip
    client.delete(f"/api/runs/{id}")


def header(entry: Any, data: bytes = b"") -> bytes:
    words = json.dumps(entry).encode()
    return struct.pack("<Q", len(words)) + words + data


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"\xff" * 16, 400),
        (struct.pack("<Q", 2**62) + b"{}", 400),
        (header({"x": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4]}}, b"\0" * 4), 400),
        (header({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"\0" * 4), 400),
        (header({"x": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, b"\0" * 4), 400),
        (header({"x": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}), 422),
        (header({"x": {"dtype": "F32", "shape": [1] * 9, "data_offsets": [0, 4]}}, b"\0" * 4), 413),
        (header({"__metadata__": {"request": "{"}}), 400),
        (header({"__metadata__": {"request": "[]"}}), 400),
        (header({"__metadata__": {"request": '{"mode": 1}'}}), 422),
    ],
)
def test_a_file_that_lies_is_refused(client: TestClient, content: bytes, status: int) -> None:
    answer = client.post("/api/ops/relu/forward", content=content, headers={"Content-Type": SAFETENSORS})
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json", answer.text
