"""Data sets of folders and of bodies: found without a restart, and a bad one disturbs nothing."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.server import create_app
from app.settings import Settings
from tests.app.conftest import wait_until_rests

NETWORK = {
    "input": [1, 4, 4],
    "layers": [{"name": "row", "op": "flatten"}, {"name": "fc", "op": "linear", "settings": {"out": 3}}],
}
NPZ = "application/x-npz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def own(folder: Path, warmed: Path) -> Any:
    """A server of its own, with its own folder."""
    settings = Settings(folder, warm=False, welcome_steps=0)
    with TestClient(create_app(settings), "http://localhost", raise_server_exceptions=False) as client:
        yield client


def write(path: Path, count: int = 6, labels: bytes | None = None) -> Path:
    path.mkdir(parents=True)
    pixels = bytes(np.random.default_rng(0).integers(0, 255, count * 16, np.uint8))
    for split in ("train", "t10k"):
        (path / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, count, 4, 4) + pixels)
        targets = bytes(k % 3 for k in range(count)) if labels is None else labels
        (path / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, len(targets)) + targets)
    return path


def listed(client: TestClient) -> dict[str, Any]:
    answer = client.get("/api/datasets")
    assert answer.status_code == 200, answer.text
    return {each["name"]: each for each in answer.json()}


def test_a_folder_is_found_without_a_restart_and_a_bad_one_disturbs_nothing(own: TestClient, folder: Path) -> None:
    assert set(listed(own)) == {"mnist"}
    good = write(folder / "datasets" / "shapes 100%?#")
    (good / "classes.txt").write_text("round\nsquare\nstar\n", encoding="utf-8")
    bad = {"empty": 0, "torn": 6, "nothing": None}
    write(folder / "datasets" / "empty", 0)
    torn = write(folder / "datasets" / "torn")
    (torn / "train-images-idx3-ubyte").write_bytes(b"no idx")
    (folder / "datasets" / "nothing").mkdir()
    found = listed(own)
    assert set(found) == {"mnist", "shapes 100%?#", *bad}
    assert all(found[name]["problem"] and not found[name]["splits"] for name in bad)
    assert not found["mnist"]["problem"] and found["mnist"]["licence"] == "CC BY-SA 3.0"
    shapes = found["shapes 100%?#"]
    assert shapes["classes"] == ["round", "square", "star"] and shapes["splits"] == {"train": 6, "test": 6}
    run = own.post("/api/runs", json={"network": NETWORK, "dataset": "shapes 100%?#", "steps": 2, "batch_size": 3})
    assert run.status_code == 201 and run.json()["classes"] == ["round", "square", "star"], run.text
    wait_until_rests(own, run.json()["id"])
    refused = own.post("/api/runs", json={"network": NETWORK, "dataset": "torn"})
    assert refused.status_code == 422 and "cannot be read" in refused.json()["detail"]
    assert own.get("/api/datasets/torn/test/0").status_code == 404
    assert own.get("/api/datasets/shapes%20100%25%3F%23/test/1").json()["label"] == 1
    assert own.get("/api/datasets/mnist/test/0").json()["label"] == 7
    write(folder / "datasets" / "again", 3).rename(folder / "datasets" / "empty2")
    assert listed(own)["empty2"]["splits"]["train"] == 3


def body(count: int, **more: Any) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    data = {"x": rng.random((count, 1, 4, 4)).tolist(), "target": [k % 3 for k in range(count)], **more}
    return {"network": NETWORK, "dataset": data, "steps": 2, "batch_size": 4}


def test_a_bodys_data_has_a_share_held_out_or_a_test_split_of_its_own(own: TestClient) -> None:
    run = own.post("/api/runs", json=body(60)).json()
    assert run["splits"] == {"train": 54, "test": 6} and "held out" in run["notes"][0]
    few = own.post("/api/runs", json=body(8)).json()
    assert few["splits"] == {"train": 8, "test": 8} and "training images" in few["notes"][0]
    given = own.post("/api/runs", json=body(60, x_test=[[[[0.5] * 4] * 4]], target_test=[1])).json()
    assert given["splits"] == {"train": 60, "test": 1} and given["notes"] == []
    half = own.post("/api/runs", json=body(60, x_test=[[[[0.5] * 4] * 4]]))
    assert half.status_code == 422 and half.json()["errors"][0]["loc"] == ["dataset", "target_test"]


def test_members_of_an_npz_that_are_data_are_no_parameters(own: TestClient) -> None:
    rng = np.random.default_rng(2)
    file = io.BytesIO()
    request = np.array(
        '{"network": {"input": [1, 4, 4], "layers": [{"name": "row", "op": "flatten"}, '
        '{"name": "fc", "op": "linear", "settings": {"out": 3}}]}, "steps": 1, "batch_size": 4}'
    )
    tensors: Any = {"x": rng.random((9, 1, 4, 4)), "target": np.arange(9) % 3}
    tensors |= {"x_test": rng.random((3, 1, 4, 4)), "target_test": np.arange(3)}
    tensors |= {"fc/w": np.zeros((3, 16)), "fc/b": np.ones(3), "request": request}
    np.savez(file, **tensors)
    answer = own.post("/api/runs", content=file.getvalue(), headers={"Content-Type": NPZ})
    assert answer.status_code == 201, answer.text
    assert answer.json()["splits"] == {"train": 9, "test": 3}


def test_one_hot_targets_have_an_accuracy(own: TestClient) -> None:
    asked = body(12)
    asked["dataset"]["target"] = np.eye(3)[np.arange(12) % 3].tolist()
    run = wait_until_rests(own, own.post("/api/runs", json=asked).json()["id"])
    assert run["accuracy"] is not None and run["classes"] == []


def test_bytes_in_place_of_0_to_1_are_refused_and_never_trained_on_in_silence(own: TestClient) -> None:
    asked = body(8)
    asked["dataset"]["x"] = (np.arange(8 * 16).reshape(8, 1, 4, 4) % 256).tolist()
    refused = own.post("/api/runs", json=asked)
    assert refused.status_code == 422 and "divide by 255" in refused.json()["detail"]
    id = own.post("/api/runs", json=body(8)).json()["id"]
    image = (np.arange(16).reshape(1, 4, 4) * 10).tolist()
    for path in ("predict", "passes"):
        answer = own.post(f"/api/runs/{id}/{path}", json={"x": image})
        assert answer.status_code == 422 and "divide by 255" in answer.json()["detail"]


def posted(client: TestClient, path: str, request: dict[str, Any], **tensors: Any) -> Any:
    file = io.BytesIO()
    np.savez(file, **tensors, request=np.array(json.dumps(request)))
    return client.post(path, content=file.getvalue(), headers={"Content-Type": NPZ})


def test_bytes_of_an_npz_are_scaled_as_those_of_a_folder_and_it_is_said(own: TestClient) -> None:
    x = np.arange(12 * 16, dtype=np.uint8).reshape(12, 1, 4, 4)
    target = np.arange(12) % 3
    run = posted(own, "/api/runs", {"network": NETWORK, "steps": 1}, x=x, target=target)
    assert run.status_code == 201 and "x: bytes were divided by 255" in run.json()["notes"]
    at = f"/api/runs/{run.json()['id']}"
    seen = posted(own, f"{at}/predict", {}, x=x[:1]).json()
    assert seen == own.post(f"{at}/predict", json={"x": (x[:1] / np.float32(255)).tolist()}).json()
    ones = posted(own, "/api/runs", {"network": NETWORK, "steps": 1}, x=x // 128, target=target)
    assert ones.status_code == 201 and ones.json()["notes"] == run.json()["notes"][:-1]


@pytest.mark.parametrize(
    ("high", "remedy"),
    [(254.5, "divide by 255"), (1000, "divide by 65535"), (1e6, "divide by the largest that there may be")],
)
def test_pixels_far_beyond_one_are_refused_with_the_divisor(own: TestClient, high: float, remedy: str) -> None:
    asked = body(8)
    asked["dataset"]["x"][3][0][1][2] = high
    refused = own.post("/api/runs", json=asked)
    assert refused.status_code == 422
    assert refused.json()["detail"] == f"dataset.x holds numbers of 0 to {high:g}; pixels are 0 to 1: {remedy}"


def test_a_mask_of_booleans_is_an_image(own: TestClient) -> None:
    mask = np.random.default_rng(0).random((12, 1, 4, 4)) > 0.5
    run = posted(own, "/api/runs", {"network": NETWORK, "steps": 1}, x=mask, target=np.arange(12) % 3)
    assert run.status_code == 201 and not any("bytes" in note for note in run.json()["notes"])
