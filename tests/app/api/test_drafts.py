"""Networks while they are put together: described and previewed over HTTP."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.formats.frames import unpack
from engine.models import MODELS
from engine.network import Network

IMAGE = {"dataset": "mnist", "split": "test", "index": 464}
MISFIT: dict[str, Any] = {
    "input": [1, 28, 28],
    "layers": [
        {"name": "conv1", "op": "conv2d", "settings": {"out": 2, "kernel_size": 3}},
        {"name": "conv2", "op": "conv2d", "settings": {"out": 2, "kernel_size": 3, "stride": 4}},
        {"name": "relu", "op": "relu"},
    ],
}


def preview(client: TestClient, **body: Any) -> tuple[Any, Any]:
    answer = client.post("/api/networks/preview", json={**IMAGE, **body})
    assert answer.status_code == 200, answer.text
    return unpack(answer.content)


def test_a_misfit_is_told_at_its_layer_with_whole_documents_to_go_on_with(client: TestClient) -> None:
    answer = client.post("/api/networks/draft", json={"network": MISFIT})
    assert answer.status_code == 200
    found = answer.json()
    assert [layer["state"] for layer in found["layers"]] == ["fits", "misfit", "waits"]
    why = found["layers"][1]["misfit"]
    assert why["span"] == {"size": 26, "before": 0, "after": 0, "kernel": 3, "dilation": 1, "stride": 4}
    assert found["whole"] is False and found["parameters"] == 20
    for fix in why["fixes"]:
        after = client.post("/api/networks/draft", json={"network": fix["network"]}).json()
        assert after["layers"][1]["state"] == "fits"


def test_a_draft_without_an_input_is_refused_with_the_place(client: TestClient) -> None:
    answer = client.post("/api/networks/draft", json={"network": {**MISFIT, "input": [1, 28]}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["network", "input"]


def test_a_preview_is_the_forward_pass_that_a_run_would_start_with(client: TestClient) -> None:
    header, tensors = preview(client, model="classroom", seed=3)
    network = Network.from_document(MODELS["classroom"].document)
    parameters = network.initial(3)
    image = np.array(client.get("/api/datasets/mnist/test/464").json()["image"], np.float32)[None]
    values = network.forward(parameters, image)
    assert header["trained"] == 0 and header["of"] == len(parameters)
    for name, layer in network.layers.items():
        np.testing.assert_array_equal(tensors[f"{name}/y"], values[name, "y"])
        assert all((tensors[f"{name}/{each}"] == parameters[f"{name}/{each}"]).all() for each in layer.parameters)
    np.testing.assert_array_equal(tensors["loss/p"], network.loss.op.answer(values[network.output, "y"]))


def test_a_preview_shows_what_fits_and_nothing_behind_it(client: TestClient) -> None:
    _, tensors = preview(client, network=MISFIT)
    assert set(tensors) == {"input/y", "conv1/w", "conv1/b", "conv1/y"}


def test_a_preview_takes_a_runs_parameters_where_they_fit(client: TestClient) -> None:
    document = client.get("/api/runs/welcome").json()["network"]
    header, tensors = preview(client, network=document, run="welcome")
    assert header["trained"] == header["of"]
    made = client.post("/api/runs/welcome/passes", json=IMAGE).json()
    np.testing.assert_allclose(tensors["loss/p"][0], made["probabilities"], rtol=1e-5)
    wider = {**document, "layers": [*document["layers"][:-1], {**document["layers"][-1]}]}
    wider["layers"][0] = {**wider["layers"][0], "settings": {**wider["layers"][0]["settings"], "kernel_size": 5}}
    header, _ = preview(client, network=wider, run="welcome")
    assert 0 < header["trained"] < header["of"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"network": {**MISFIT, "input": [3, 32, 32]}}, ["index"]),
        ({"network": {**MISFIT, "layers": []}}, ["network", "layers"]),
        ({"network": {**MISFIT, "layers": MISFIT["layers"][1:]}, "index": 10**9}, ["index"]),
        ({"model": "classroom", "x": [[0.0]]}, ["x"]),
    ],
)
def test_what_cannot_be_previewed_is_refused_with_the_place(client: TestClient, body: Any, loc: list[Any]) -> None:
    image = {} if "x" in body else IMAGE
    answer = client.post("/api/networks/preview", json={**image, **body})
    assert answer.status_code == 422 and answer.json()["errors"][0]["loc"] == loc, answer.text


def test_a_preview_of_a_run_that_is_not_there_is_404(client: TestClient) -> None:
    assert client.post("/api/networks/preview", json={**IMAGE, "model": "tiny", "run": "none"}).status_code == 404


def test_a_preview_is_bounded_before_anything_is_allocated(client: TestClient) -> None:
    layers = [{"name": "flat", "op": "flatten"}, {"name": "fc", "op": "linear", "settings": {"out": 2**20}}]
    answer = client.post("/api/networks/preview", json={**IMAGE, "network": {"input": [1, 28, 28], "layers": layers}})
    assert answer.status_code == 413 and answer.json()["limit"]["name"] == "parameters"


def test_ops_say_how_many_layers_they_read(client: TestClient) -> None:
    ops = {op["name"]: op for op in client.get("/api/ops").json()["ops"]}
    assert ops["conv2d"]["inputs"] == {"least": 1, "most": 1} and ops["add"]["inputs"] == {"least": 2, "most": 2}
    assert ops["concat"]["inputs"] == {"least": 1, "most": 23} and ops["cross_entropy"]["inputs"] is None
    assert ops["conv2d"]["layer_settings"]["properties"]["out"]["title"] == "maps"
