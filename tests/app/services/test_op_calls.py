"""Operators and optimizers through the public interface, in JSON and in .npz."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.api.ops import DELTA, SOBEL
from engine.ops import OPS
from engine.optimizers import OPTIMIZERS

NPZ = "application/x-npz"


def send_npz(client: TestClient, path: str, tensors: dict[str, Any], request: str = "{}") -> Any:
    stream = io.BytesIO()
    np.savez(stream, request=np.array(request), **tensors)
    return client.post(path, content=stream.getvalue(), headers={"Content-Type": NPZ, "Accept": NPZ})


def test_rossis_sobel_example_has_its_nine_numbers(client: TestClient) -> None:
    answer = client.post("/api/ops/conv2d/forward", json=SOBEL).json()
    assert answer["tensors"]["y"] == [[[[-13, -20, -17], [-18, -24, -18], [13, 20, 17]]]]
    assert answer["shapes"] == {"y": [1, 1, 3, 3]}


def test_without_the_flip_the_sobel_example_turns_its_sign(client: TestClient) -> None:
    settings = {**SOBEL["settings"], "flip_kernel": False}
    answer = client.post("/api/ops/conv2d/forward", json={**SOBEL, "settings": settings}).json()
    assert answer["tensors"]["y"][0][0][0] == [13, 20, 17]


def test_the_operators_are_listed_with_sentences_settings_and_gradients(client: TestClient) -> None:
    ops = {op["name"]: op for op in client.get("/api/ops").json()["ops"]}
    assert ops.keys() == OPS.keys()
    for op in ops.values():
        assert op["sentences"] and op["title"] and op["settings"]["additionalProperties"] is False
        assert set(op["gradients"]) >= {"dx"} & set(op["gradients"]) and op["tensors"]
    assert ops["conv2d"]["settings"]["properties"]["flip_kernel"]["default"] is False
    assert any(sentence.startswith("dw[") for sentence in ops["conv2d"]["sentences"])


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_operator_computes_its_example_and_each_result_explains_itself(client: TestClient, name: str) -> None:
    kind = OPS[name]
    rng = np.random.default_rng(3)
    tensors = {key: array.tolist() for key, array in kind.example(rng).items()}
    body: dict[str, Any] = {"settings": kind.example_settings, "tensors": tensors}
    forward = client.post(f"/api/ops/{name}/forward", json=body).json()
    if not kind.is_loss:
        tensors["dy"] = rng.normal(size=forward["shapes"]["y"]).tolist()
    backward = client.post(f"/api/ops/{name}/backward", json=body)
    assert backward.status_code == 200, backward.text
    results = backward.json()
    assert set(kind.results) <= results["shapes"].keys()
    for tensor, shape in results["shapes"].items():
        index = tuple(int(rng.integers(size)) for size in shape)
        place = f"{tensor}/{','.join(map(str, index))}" if index else tensor
        answer = client.post(f"/api/ops/{name}/explain", json={**body, "place": place}, params={"per_page": 500})
        assert answer.status_code == 200, (place, answer.text)
        explanation = answer.json()
        assert explanation["value"] == np.array(results["tensors"][tensor])[index]
        terms = math.fsum(term["value"] for term in explanation["terms"])
        size = math.fsum(abs(term["value"]) for term in explanation["terms"])
        assert abs(explanation["value"] - terms) <= 1e-12 * max(size, 1e-300)
        for term in explanation["terms"]:
            assert math.prod(term["factors"]) == pytest.approx(term["value"], rel=1e-12, abs=0)


def test_npz_goes_in_and_comes_out_with_the_same_numbers(client: TestClient) -> None:
    tensors = {name: np.array(value, np.float64) for name, value in DELTA["tensors"].items()}
    answer = send_npz(client, "/api/ops/conv2d/backward", tensors, '{"settings": {"padding": 1, "flip_kernel": true}}')
    assert answer.headers["content-type"] == NPZ
    archive = np.load(io.BytesIO(answer.content))
    json = client.post("/api/ops/conv2d/backward", json=DELTA).json()["tensors"]
    assert sorted(json) == sorted(set(archive) - {"response"})
    for name, value in json.items():
        assert np.array_equal(archive[name], value)
    assert '"dx":[1,1,3,3]' in str(archive["response"])


def test_nan_may_arrive_in_npz_and_is_answered_in_words_in_json(client: TestClient) -> None:
    stream = io.BytesIO()
    np.savez(stream, x=np.array([[np.nan, 1.0, np.inf]]))
    answer = client.post("/api/ops/sigmoid/forward", content=stream.getvalue(), headers={"Content-Type": NPZ})
    assert answer.json()["tensors"]["y"] == [["NaN", 1 / (1 + math.exp(-1)), 1.0]]


def test_float64_is_the_default_and_float32_is_had_by_asking(client: TestClient) -> None:
    body = {"tensors": {"x": [0.1]}}
    assert client.post("/api/ops/sigmoid/forward", json=body).json()["tensors"]["y"] == [1 / (1 + math.exp(-0.1))]
    single = client.post("/api/ops/sigmoid/forward", json={**body, "dtype": "float32"}).json()["tensors"]["y"][0]
    assert single == float(np.float32(single))


def test_a_misfit_says_what_was_expected_what_was_got_and_where(client: TestClient) -> None:
    body = {"tensors": {"x": np.ones((1, 3, 4, 4)).tolist(), "w": np.ones((2, 8, 2, 2)).tolist()}}
    problem = client.post("/api/ops/conv2d/forward", json=body).json()
    assert problem["status"] == 422 and "3" in problem["detail"] and "8" in problem["detail"]
    assert problem["errors"][0]["loc"][0] == "tensors"
    setting = client.post("/api/ops/conv2d/forward", json={**SOBEL, "settings": {"stride": 0}}).json()
    assert setting["errors"][0]["loc"] == ["settings", "stride"]


def test_a_dear_call_is_refused_by_its_shapes_with_the_limits_name(client: TestClient) -> None:
    stream = io.BytesIO()
    np.savez(stream, x=np.zeros((1, 64, 80, 80), np.float32), w=np.zeros((128, 64, 7, 7), np.float32))
    headers = {"Content-Type": NPZ}
    problem = client.post("/api/ops/conv2d/forward", content=stream.getvalue(), headers=headers).json()
    assert problem["status"] == 413 and problem["limit"]["name"] == "multiply_adds"


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_steps_and_explains_its_new_weight(client: TestClient, name: str) -> None:
    body: dict[str, Any] = {"tensors": {"w": [[0.5, -1.0]], "dw": [[0.25, 0.125]]}}
    for made in (1, 2):
        explanation = client.post(f"/api/optimizers/{name}/explain", json={**body, "place": "w_next/0,1"}).json()
        answer = client.post(f"/api/optimizers/{name}/step", json=body).json()["tensors"]
        assert answer["step"] == made
        assert explanation["value"] == answer["w"][0][1]
        assert math.fsum(term["value"] for term in explanation["terms"]) == pytest.approx(answer["w"][0][1], rel=1e-12)
        body["tensors"] = {**answer, "dw": body["tensors"]["dw"]}


def test_gradient_descent_moves_a_weight_by_the_rate_times_its_gradient(client: TestClient) -> None:
    body = {"settings": {"learning_rate": 0.5}, "tensors": {"w": [1.0], "dw": [0.5]}}
    assert client.post("/api/optimizers/sgd/step", json=body).json()["tensors"]["w"] == [0.75]


def test_a_state_without_its_count_of_updates_is_refused_where_the_count_matters(client: TestClient) -> None:
    body: dict[str, Any] = {"tensors": {"w": [1.0], "dw": [0.5], "m": [0.1], "v": [0.2]}}
    problem = client.post("/api/optimizers/adam/step", json=body).json()
    assert problem["errors"][0]["loc"] == ["tensors", "step"] and "step is missing" in problem["detail"]
    body["tensors"].pop("m")
    assert client.post("/api/optimizers/nesterov/step", json=body).status_code == 200


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_result_without_axes_is_answered(client: TestClient, dtype: str) -> None:
    body = {"tensors": {"x": 1, "mask": 1}, "dtype": dtype}
    answer = client.post("/api/ops/dropout/forward", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["shapes"]["y"] == []
