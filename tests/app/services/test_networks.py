"""Whole networks through the public interface: presets, shapes, scores, gradients, explanations."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from engine.models import MODELS

NPZ = "application/x-npz"


@pytest.fixture(scope="module")
def models(client: TestClient) -> dict[str, Any]:
    return {model["name"]: model for model in client.get("/api/models").json()}


def shapes(client: TestClient, **body: Any) -> Any:
    return client.post("/api/networks/shapes", json=body).json()


def test_each_preset_is_a_complete_network_document(client: TestClient, models: dict[str, Any]) -> None:
    assert models.keys() == MODELS.keys()
    for name, model in models.items():
        assert shapes(client, network=model) == shapes(client, **model) == shapes(client, model=name)
    assert {"x", "target"} <= models["tiny"]["example"].keys()


def test_running_statistics_are_no_parameters_where_these_are_counted(client: TestClient) -> None:
    detail = client.post("/api/runs", json={"model": "resnet18"}).json()["detail"]
    assert detail.startswith("11689512 parameters; at most")


@pytest.mark.parametrize(
    ("name", "limit"), [("alexnet", "parameters"), ("vgg16", "parameters"), ("densenet121", "step_multiply_adds")]
)
def test_a_network_of_full_size_has_shapes_and_counts_but_is_too_large_to_train_here(
    client: TestClient, name: str, limit: str
) -> None:
    found = shapes(client, model=name)["layers"]
    assert found[-1]["shape"] == [1000] and sum(layer["parameters"] for layer in found) > 5e6
    assert client.post("/api/networks/score", json={"model": name}).status_code == 200
    refused = client.post("/api/runs", json={"model": name})
    assert refused.status_code == 413 and refused.json()["limit"]["name"] == limit
    body = {"model": name, "x": np.zeros((1, 3, 8, 8)).tolist(), "target": 0}
    assert client.post("/api/networks/gradients", json=body).status_code in (413, 422)


def test_tiny_reproduces_every_derivative_of_the_article(client: TestClient, models: dict[str, Any]) -> None:
    """Seed 004, its slips corrected: the filter is turned, c10 wins the pooling, E = (t - r)^2 / 2."""
    tiny = models["tiny"]
    i = np.array(tiny["example"]["x"])[0, 0]
    t = float(np.array(tiny["example"]["target"]).item())
    w = np.array(tiny["parameters"]["conv/w"])[0, 0]
    w_fc = float(np.array(tiny["parameters"]["fc/w"]).item())
    c = np.array(
        [[np.sum(i[2 * r : 2 * r + 2, 2 * k : 2 * k + 2] * w[::-1, ::-1]) for k in range(2)] for r in range(2)]
    )
    c10, r_p = c[1, 0], c.max()
    assert c10 == r_p
    r_fc = w_fc * r_p

    answer = client.post("/api/networks/gradients", json={"model": "tiny"}).json()
    layers, slopes = answer["layers"], answer["gradients"]
    assert layers["conv"]["y"] == [[c.tolist()]]
    assert layers["pool"]["y"] == [[[[r_p]]]] and layers["pool"]["indices"] == [[[[2]]]]
    assert layers["fc"]["y"] == [[r_fc]]
    assert answer["loss"] == (t - r_fc) ** 2 / 2

    d_rp = -(t - r_fc) * w_fc
    assert slopes["fc/w"] == [[-(t - r_fc) * r_p]]
    assert layers["loss"]["dx"] == [[r_fc - t]]
    assert layers["conv"]["dy"] == [[[[0, 0], [d_rp, 0]]]]
    assert slopes["conv/w"][0][0] == [[d_rp * i[3, 1], d_rp * i[3, 0]], [d_rp * i[2, 1], d_rp * i[2, 0]]]
    dx = np.zeros((4, 4))
    dx[2:4, 0:2] = d_rp * w[::-1, ::-1]
    assert layers["conv"]["dx"] == [[dx.tolist()]]


def test_tinys_update_is_the_articles(client: TestClient, train: Any, models: dict[str, Any]) -> None:
    run = train(model="tiny", steps=1)
    before = client.get(f"/api/runs/{run['id']}/steps/1/tensors/fc/w").json()["values"][0][0]
    after = client.get(f"/api/runs/{run['id']}/steps/1/tensors/fc/w_next").json()["values"][0][0]
    slope = client.post("/api/networks/gradients", json={"model": "tiny"}).json()["gradients"]["fc/w"][0][0]
    eta = models["tiny"]["defaults"]["optimizer"]["learning_rate"]
    assert after == pytest.approx(before - eta * slope, rel=1e-6)


def test_the_shapes_of_classroom_are_the_known_ones(client: TestClient) -> None:
    layers = shapes(client, model="classroom")["layers"]
    assert [layer["shape"] for layer in layers] == [
        [8, 26, 26], [8, 26, 26], [8, 13, 13], [16, 11, 11], [16, 11, 11], [16, 5, 5], [400], [10]
    ]  # fmt: skip
    assert sum(layer["parameters"] for layer in layers) == 80 + 1168 + 4010
    assert layers[3]["receptive_field"] == {"size": [8, 8], "stride": [2, 2], "start": [0, 0]}


def test_a_window_that_does_not_fit_is_refused_with_the_arithmetic(client: TestClient) -> None:
    layer = {"name": "conv9", "op": "conv2d", "settings": {"out": 1, "kernel_size": 3, "stride": 3}}
    problem = shapes(client, network={"input": [1, 7, 7], "layers": [layer], "loss": "mse_loss"})
    assert problem["status"] == 422
    assert "(7 - 3) / 3 + 1 = 2.33" in problem["detail"] and "conv9" in problem["detail"]
    assert problem["errors"][0]["loc"][:3] == ["network", "layers", 0]


def test_the_score_of_classroom_runs_forward_then_backward_then_updates(client: TestClient) -> None:
    timeline = client.post("/api/networks/score", json={"model": "classroom", "optimizer": "momentum"}).json()
    parts = [phase["part"] for phase in timeline["phases"]]
    assert parts == sorted(parts, key=["forward", "loss", "backward", "update"].index)
    assert {"conv1/y", "loss/p", "loss/dx", "conv1/dx", "conv1/dw", "conv1/w_next"} <= {
        p["place"] for p in timeline["phases"]
    }
    for phase in timeline["phases"]:
        assert phase["head"] and phase["equation"]["mathml"].startswith("<math")
        assert all(read["tensor"] in timeline["tensors"] for read in phase["reads"])


def test_gradients_equal_central_differences(client: TestClient) -> None:
    layers = [
        {"name": "a", "op": "conv2d", "settings": {"out": 2, "kernel_size": 2, "padding": [1, 0, 0, 1]}},
        {"name": "b", "op": "tanh"},
        {"name": "f", "op": "flatten"},
        {"name": "g", "op": "linear", "settings": {"out": 3}},
    ]
    network = {"input": [1, 3, 3], "layers": layers}
    rng = np.random.default_rng(5)
    body = {"network": network, "seed": 2, "x": rng.normal(size=(2, 1, 3, 3)).tolist(), "target": [2, 0]}
    first = client.post("/api/networks/gradients", json=body).json()

    def loss(name: str, move: float) -> float:
        moved = {key: np.array(value) for key, value in first["parameters"].items()}
        moved[name].flat[1] += move
        parameters = {key: value.tolist() for key, value in moved.items()}
        return client.post("/api/networks/gradients", json={**body, "parameters": parameters}).json()["loss"]

    for name, slope in first["gradients"].items():
        by_difference = (loss(name, 1e-5) - loss(name, -1e-5)) / 2e-5
        assert np.array(slope).flat[1] == pytest.approx(by_difference, abs=1e-8)


def test_parameters_go_by_pytorchs_names_too(client: TestClient, models: dict[str, Any]) -> None:
    own = models["tiny"]["parameters"]
    torch = {"conv.weight": (np.array(own["conv/w"]) * 2).tolist(), "fc.weight": own["fc/w"]}
    answer = client.post("/api/networks/gradients", json={"model": "tiny", "parameters": torch}).json()
    assert answer["parameters"]["conv/w"] == torch["conv.weight"]
    problem = client.post("/api/networks/gradients", json={"model": "tiny", "parameters": {"conv.bias": [1]}}).json()
    assert problem["status"] == 422 and problem["errors"][0]["loc"] == ["parameters", "conv.bias"]


def test_npz_answers_name_tensors_by_their_places(client: TestClient) -> None:
    stream = io.BytesIO()
    tensors: dict[str, Any] = {"conv.weight": np.ones((1, 1, 2, 2)), "fc/w": np.ones((1, 1))}
    tensors |= {"x": np.ones((2, 1, 4, 4)), "target": np.ones((2, 1))}
    np.savez(stream, request=np.array('{"model": "tiny"}'), **tensors)
    headers = {"Content-Type": NPZ, "Accept": NPZ}
    answer = client.post("/api/networks/gradients", content=stream.getvalue(), headers=headers)
    archive = np.load(io.BytesIO(answer.content))
    assert archive["fc/y"].shape == (2, 1) and (archive["fc/y"] == 4).all()
    assert archive["conv/dw"].shape == (1, 1, 2, 2)
    assert '"loss":9.0' in str(archive["response"])


@pytest.mark.parametrize(
    "place",
    ["conv/dw/0,0,1,1", "conv/dx/0,0,3,1", "conv/y/0,0,1,0", "fc/dw/0,0", "loss/y", "pool/dx/0,0,1,0"],
)
def test_any_number_of_a_network_explains_itself(client: TestClient, place: str) -> None:
    explanation = client.post("/api/networks/explain", json={"model": "tiny", "place": place}).json()
    answer = client.post("/api/networks/gradients", json={"model": "tiny"}).json()
    layer, tensor, *index = place.split("/")
    stored: Any = (
        answer["gradients"]["conv/w" if layer == "conv" else "fc/w"]
        if tensor == "dw"
        else answer["layers"][layer][tensor]
    )
    at = tuple(map(int, index[0].split(","))) if index else ()
    assert explanation["value"] == np.array(stored)[at]
    assert math.fsum(term["value"] for term in explanation["terms"]) == pytest.approx(explanation["value"], abs=1e-12)
