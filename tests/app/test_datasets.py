"""Data sets of folders and of bodies: found without a restart, and a bad one disturbs nothing."""

from __future__ import annotations

import io
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
