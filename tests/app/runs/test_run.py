"""Training runs: their states, what they answer, and what never changes."""

from __future__ import annotations

import io
import json
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.formats.frames import unpack
from tests.app.conftest import WELCOME_STEPS, wait_for, wait_until_rests

Train = Callable[..., dict[str, Any]]
NPY = "application/x-npy"


def tensor(client: TestClient, path: str, **query: Any) -> np.ndarray:
    answer = client.get(path, params=query, headers={"Accept": NPY})
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


# states -------------------------------------------------------------------------------------------------------------


def test_the_welcome_run_is_trained_and_kept_as_it_is(client: TestClient) -> None:
    run = client.get("/api/runs/welcome").json()
    assert (run["state"], run["step"], run["model"], run["seed"]) == ("paused", WELCOME_STEPS, "classroom", 7)
    for answer in (
        client.patch("/api/runs/welcome", json={"state": "running"}),
        client.post("/api/runs/welcome/step", json={"count": 1}),
        client.delete("/api/runs/welcome"),
    ):
        assert answer.status_code == 409
        assert "POST /api/runs" in answer.json()["detail"]
    assert client.get("/api/runs/welcome").json() == run


def test_a_new_run_has_a_location_and_takes_the_models_defaults(client: TestClient) -> None:
    answer = client.post("/api/runs", json={"model": "lenet5", "start": False})
    assert answer.status_code == 201
    run = client.get(answer.headers["location"]).json()
    assert run["state"] == "created"
    assert (run["batch_size"], run["seed"], run["steps"], run["dataset"]) == (32, 7, 1875, "mnist")
    assert run["optimizer"]["name"] == "adam" and run["optimizer"]["learning_rate"] == 0.001
    assert client.delete(answer.headers["location"]).status_code == 204
    assert client.get(answer.headers["location"]).status_code == 404


def test_a_schedule_takes_the_length_of_its_run_and_all_that_a_run_adds_is_said(client: TestClient) -> None:
    body = {"model": "tiny", "steps": 8, "start": False}
    plain = client.post("/api/runs", json=body).json()
    rules = ("schedule", "max_norm", "shuffle", "drop_last", "shift")
    assert [plain[name] for name in rules] == [{"name": "constant"}, None, True, False, 0]
    asked = {"schedule": {"name": "cosine"}, "max_norm": 0.5, "shuffle": False, "drop_last": True, "shift": 1}
    made = client.post("/api/runs", json={**body, **asked}).json()
    expected = {**asked, "schedule": {"name": "cosine", "T_max": None, "eta_min": 0.0}}
    assert {name: made[name] for name in rules} == expected
    path = f"/api/runs/{made['id']}"
    client.post(f"{path}/step", json={"count": 5})
    wait_until_rests(client, made["id"])
    rate = client.get(f"{path}/steps/5/explain/conv/w.lr").json()
    assert rate["value"] == pytest.approx(0.01 * (1 + math.cos(math.pi / 2)) / 2)
    assert rate["sentence"].startswith("lr = eta_min + (base - eta_min)*(1 + cos(")
    factor = client.get(f"{path}/steps/5/explain/conv/w.factor").json()
    assert 0 < factor["value"] <= 1


def test_a_preset_brings_its_training_plan(client: TestClient) -> None:
    plan = next(model for model in client.get("/api/models").json() if model["name"] == "sprint")
    run = client.post("/api/runs", json={"model": "sprint", "start": False}).json()
    assert plan["button"] and run["path"]["name"] == "fast"
    assert (run["steps"], run["batch_size"], run["drop_last"]) == (1000, 48, True)
    assert run["schedule"] == {**plan["defaults"]["schedule"], "total_steps": None}
    again = client.post("/api/runs", json={"network": plan, "start": False}).json()
    assert {name: again[name] for name in ("schedule", "steps")} == {name: run[name] for name in ("schedule", "steps")}


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"schedule": {}}, "schedule.name"),
        ({"schedule": {"name": "triangle"}}, "schedule.name"),
        ({"schedule": {"name": "cosine", "T_max": 0}}, "schedule.T_max"),
        ({"schedule": {"name": "step", "gama": 1}}, "schedule.gama"),
        ({"max_norm": 0}, "max_norm"),
        ({"shift": -1}, "shift"),
    ],
)
def test_a_schedule_or_rule_that_is_none_is_422_with_its_place(
    client: TestClient, wrong: dict[str, Any], place: str
) -> None:
    answer = client.post("/api/runs", json={"model": "tiny", **wrong})
    assert answer.status_code == 422
    assert [".".join(map(str, error["loc"])) for error in answer.json()["errors"]] == [place]


def test_a_run_finishes_after_its_steps_and_refuses_more(client: TestClient, train: Train) -> None:
    run = train(model="tiny", steps=4)
    assert (run["state"], run["step"], run["history"]) == ("finished", 4, {"first": 0, "last": 4})
    assert client.patch(f"/api/runs/{run['id']}", json={"state": "running"}).status_code == 409
    assert client.post(f"/api/runs/{run['id']}/step", json={"count": 1}).status_code == 409


def test_exactly_as_many_steps_are_made_as_are_asked_for(client: TestClient, train: Train) -> None:
    run = train(model="tiny", steps=9, start=False)
    path = f"/api/runs/{run['id']}"
    for count, step in ((1, 1), (3, 4)):
        assert client.post(f"{path}/step", json={"count": count}).status_code == 202
        after = wait_until_rests(client, run["id"])
        assert (after["state"], after["step"]) == ("paused", step)
    assert client.post(f"{path}/step", json={"count": 6}).status_code == 409
    assert client.post(f"{path}/step").status_code == 202


def test_a_run_pauses_goes_on_and_keeps_its_pace(client: TestClient, train: Train) -> None:
    run = train(wait=False, model="classroom", steps=1000)
    path = f"/api/runs/{run['id']}"
    assert client.post(f"{path}/step", json={"count": 1}).status_code == 409
    assert client.patch(path, json={"state": "paused", "pace": 2.0}).json()["pace"] == 2.0
    wait_for(lambda: client.get(path).json()["state"] == "paused")
    assert client.patch(path, json={"state": "running"}).json()["state"] == "running"
    assert client.patch(path, json={"pace": None}).json()["pace"] is None
    client.patch(path, json={"state": "paused"})


def test_a_learning_rate_takes_effect_with_the_next_step(client: TestClient, train: Train) -> None:
    run = train(model="tiny", steps=3, start=False)
    path = f"/api/runs/{run['id']}"
    client.post(f"{path}/step")
    wait_until_rests(client, run["id"])
    assert client.patch(path, json={"learning_rate": 0.0}).json()["optimizer"]["learning_rate"] == 0.0
    client.post(f"{path}/step")
    wait_until_rests(client, run["id"])
    before, after = (tensor(client, f"{path}/steps/2/tensors/conv/{name}") for name in ("w", "w_next"))
    assert np.array_equal(before, after)
    assert client.patch(path, json={"learning_rate": -1}).status_code == 422


def test_a_change_is_made_whole_or_not_at_all(client: TestClient, train: Train) -> None:
    run = train(model="tiny", steps=2)
    path = f"/api/runs/{run['id']}"
    before = client.get(path).json()
    changes = [{"state": "running", "learning_rate": 0.9, "pace": 3.0}, {"learning_rate": -1.0, "pace": 3.0}]
    for change, status in zip(changes, (409, 422), strict=True):
        assert client.patch(path, json=change).status_code == status
        assert client.get(path).json() == before
    changed = client.patch(path, json={"learning_rate": 0.9, "pace": 3.0}).json()
    assert (changed["optimizer"]["learning_rate"], changed["pace"]) == (0.9, 3.0)


def test_a_run_whose_loss_is_no_number_any_more_says_so(train: Train) -> None:
    run = train(model="tiny", optimizer={"name": "sgd", "learning_rate": 1e6}, steps=500)
    assert run["state"] == "failed"
    trouble = run["trouble"]
    assert run["error"] == trouble["words"] and "smaller learning rate than 1e+06" in run["error"]
    assert trouble["kind"] == "diverged" and str(trouble["step"]) in run["error"]
    layers = [layer["name"] for layer in run["network"]["layers"]]
    assert trouble["layer"] in (*layers, "loss")


def test_a_run_with_all_gates_shut_says_so(train: Train) -> None:
    """A bias far below zero shuts every gate of the ReLU behind it, whatever the images are."""
    rng = np.random.default_rng(0)
    layers = [
        {"name": "flat", "op": "flatten"},
        {"name": "fc1", "op": "linear", "settings": {"out": 4}},
        {"name": "act", "op": "relu"},
        {"name": "fc2", "op": "linear", "settings": {"out": 3}},
    ]
    parameters = {"fc1/w": rng.normal(size=(4, 9)), "fc1/b": np.full(4, -100.0)}
    parameters |= {"fc2/w": rng.normal(size=(3, 4)), "fc2/b": np.zeros(3)}
    run = train(
        network={"input": [1, 3, 3], "layers": layers},
        parameters={name: array.tolist() for name, array in parameters.items()},
        dataset={"x": rng.random((6, 1, 3, 3)).tolist(), "target": [0, 1, 2, 0, 1, 2]},
        optimizer={"name": "sgd", "learning_rate": 0.5},
        batch_size=3,
        steps=4,
    )
    trouble = run["trouble"]
    assert run["state"] == "finished"
    assert (trouble["kind"], trouble["layer"], trouble["tensor"]) == ("dead", "act", "y")
    assert "act answers 0 to every image of minibatch" in trouble["words"]
    assert "try a smaller learning rate than 0.5" in trouble["words"]


def test_beyond_the_limit_the_oldest_resting_run_makes_way(client: TestClient) -> None:
    limit = client.get("/api/limits").json()["runs_per_client"]["value"]
    made = [client.post("/api/runs", json={"model": "tiny", "start": False}).json()["id"] for _ in range(limit + 1)]
    kept = [run["id"] for run in client.get("/api/runs").json()]
    assert len(kept) == limit + 1 and kept[0] == "welcome"
    assert made[0] not in kept and made[-1] in kept
    gone = client.get(f"/api/runs/{made[0]}")
    assert gone.status_code == 404 and "runs_per_client" in gone.json()["detail"]
    for id in made:
        client.delete(f"/api/runs/{id}")


def test_own_data_can_be_trained_on(client: TestClient, train: Train) -> None:
    layers = [{"name": "f", "op": "flatten"}, {"name": "l", "op": "linear", "settings": {"out": 2}}]
    data = {"x": [[[[1, 0]]], [[[0, 1]]]], "target": [0, 1]}
    run = train(network={"input": [1, 1, 2], "layers": layers}, dataset=data, optimizer={"name": "adam"}, epochs=20)
    assert (run["state"], run["step"], run["batch_size"], run["dataset"]) == ("finished", 20, 2, "given")
    made = client.post(f"/api/runs/{run['id']}/passes", json={"dataset": "given", "split": "train", "index": 1})
    assert made.json()["label"] == 1


@pytest.mark.parametrize("name", ["tiny", "seed"])
def test_a_model_document_is_a_body_as_it_was_got(client: TestClient, train: Train, name: str) -> None:
    document = next(model for model in client.get("/api/models").json() if model["name"] == name)
    runs = [
        train(steps=2, **{key: each for key, each in document.items() if key != "steps"}),
        train(model=name, steps=2),
    ]
    first, second = ({key: run[key] for key in ("batch_size", "optimizer", "seed", "loss")} for run in runs)
    assert first == second and runs[0]["step"] == 2


def test_a_layers_name_may_hold_dots_and_begin_with_a_digit(client: TestClient, train: Train) -> None:
    layers = [
        {
            "name": "features.0",
            "op": "conv2d",
            "settings": {"out": 2, "kernel_size": 5, "stride": 3, "rounding": "floor"},
        },
        {"name": "1", "op": "flatten"},
        {"name": "layer1.0.fc-2", "op": "linear", "settings": {"out": 10}},
    ]
    document = {"input": [1, 28, 28], "layers": layers}
    run = train(network=document, optimizer={"name": "adam"}, steps=3, batch_size=8)
    at = f"/api/runs/{run['id']}"
    assert run["state"] == "finished"
    for place in ("features.0/w/0,0,1,1", "features.0/w.m_next/0,0,1,1", "layer1.0.fc-2/dw/3,5", "1/y/0,7"):
        layer, name, index = place.split("/")
        value = tensor(client, f"{at}/steps/3/tensors/{layer}/{name}")[tuple(map(int, index.split(",")))]
        found = client.get(f"{at}/steps/3/explain/{place}").json()
        assert found["value"] == pytest.approx(float(value)) and found["terms"], place
    file = client.get(f"{at}/parameters", params={"names": "torch"}, headers={"Accept": "application/x-npz"}).content
    with np.load(io.BytesIO(file)) as arrays:
        assert {"features.0.weight", "layer1.0.fc-2.bias"} <= set(arrays)
        parameters = {key: arrays[key] for key in arrays if key.startswith(("features", "layer1"))}
    again = io.BytesIO()
    np.savez(again, **parameters, request=np.array(json.dumps({"network": document, "steps": 1, "batch_size": 8})))
    answer = client.post("/api/runs", content=again.getvalue(), headers={"Content-Type": "application/x-npz"})
    assert answer.status_code == 201, answer.text
    client.delete(f"/api/runs/{answer.json()['id']}")


def test_the_same_seed_gives_the_same_losses_watched_or_not(client: TestClient, train: Train) -> None:
    quiet = train(model="classroom", steps=5)
    noisy = train(model="classroom", steps=5, start=False)
    for step in range(5):
        client.post(f"/api/runs/{noisy['id']}/step")
        wait_until_rests(client, noisy["id"])
        client.get(f"/api/runs/{noisy['id']}/steps/{step}/frame")
        client.post(f"/api/runs/{noisy['id']}/passes", json={"dataset": "mnist", "index": step})
    losses = [client.get(f"/api/runs/{run['id']}/metrics").json()["loss"] for run in (quiet, noisy)]
    assert losses[0] == losses[1] and len(losses[0]) == 5
    weights = [tensor(client, f"/api/runs/{run['id']}/steps/5/tensors/conv1/w_next") for run in (quiet, noisy)]
    assert weights[0].tobytes() == weights[1].tobytes()


def test_the_metrics_come_in_columns_since_a_step_and_thinned(client: TestClient, train: Train) -> None:
    run = train(model="tiny", steps=9)
    path = f"/api/runs/{run['id']}/metrics"
    whole = client.get(path).json()
    assert whole["step"] == list(range(1, 10)) and len(whole["loss"]) == 9 and whole["accuracy"] == [None] * 9
    assert client.get(path, params={"since": 7}).json()["step"] == [8, 9]
    assert client.get(path, params={"points": 3}).json()["step"] == [1, 5, 9]
    assert whole["test"]["step"] == list(range(1, 10)) and whole["test"]["epoch"] == list(range(1, 10))


# looking ------------------------------------------------------------------------------------------------------------


def test_hundreds_of_places_of_a_training_step_equal_their_explanations(client: TestClient) -> None:
    rng = random.Random(8)
    path = f"/api/runs/welcome/steps/{WELCOME_STEPS}"
    timeline = client.get("/api/runs/welcome/score", params={"batch": 32}).json()
    names = [name for name in timeline["tensors"] if not name.startswith(("input", "target"))]
    for name in names:
        array = tensor(client, f"{path}/tensors/{name}")
        for _ in range(5):
            index = [rng.randrange(size) for size in array.shape]
            place = "/".join([name, ",".join(map(str, index))] if index else [name])
            explanation = client.get(f"{path}/explain/{place}").json()
            value = float(array[tuple(index)])
            assert explanation["value"] == pytest.approx(value, rel=1e-7, abs=1e-12), place
            total = page_sums(client, f"{path}/explain/{place}")
            assert total + explanation["remainder"] == pytest.approx(explanation["value"], rel=1e-6, abs=1e-9), place


def page_sums(client: TestClient, path: str) -> float:
    """The sum of the printed terms of all pages; of many pages, the last one and the samples' subtotals."""
    first = client.get(path, params={"per_page": 500}).json()
    if first["pages"] > 3 and sum(group["count"] for group in first["groups"]) == first["terms_total"]:
        last = client.get(path, params={"per_page": 500, "page": first["pages"] - 1}).json()
        assert len(last["terms"]) == (first["terms_total"] - 1) % 500 + 1
        return math.fsum(group["value"] for group in first["groups"])
    pages = [
        first,
        *(client.get(path, params={"per_page": 500, "page": k}).json() for k in range(1, first["pages"])),
    ]
    return math.fsum(term["value"] for page in pages for term in page["terms"])


def test_every_read_of_an_explanation_can_be_opened_in_turn(client: TestClient) -> None:
    made = client.post("/api/runs/welcome/passes", json={"dataset": "mnist", "split": "test", "index": 464})
    path = made.headers["location"]
    waiting, opened = ["conv1/w_next/0,0,1,1"], 0
    while waiting and opened < 120:
        place = waiting.pop()
        answer = client.get(f"{path}/explain/{place}")
        assert answer.status_code == 200, (place, answer.text)
        opened += 1
        for read in answer.json()["reads"][:2]:
            if read["inside"]:
                waiting.append(
                    "/".join([read["tensor"], ",".join(map(str, read["index"]))] if read["index"] else [read["tensor"]])
                )
    assert opened > 20


def test_the_same_image_and_step_give_the_same_pass(client: TestClient) -> None:
    body = {"dataset": "mnist", "split": "test", "index": 464}
    first, again = (client.post("/api/runs/welcome/passes", json=body) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json() == client.get(first.headers["location"]).json()
    assert first.json()["label"] == 3 and first.json()["step"] == WELCOME_STEPS
    assert sum(first.json()["probabilities"]) == pytest.approx(1, abs=1e-6)
    earlier = client.post("/api/runs/welcome/passes", json={**body, "step": 0}).json()
    assert earlier["id"] != first.json()["id"] and earlier["step"] == 0


def test_a_pass_equals_the_gradients_of_a_network_with_its_parameters(client: TestClient) -> None:
    path = client.post("/api/runs/welcome/passes", json={"dataset": "mnist", "index": 5}).headers["location"]
    archive = np.load(io.BytesIO(client.get("/api/runs/welcome/parameters").content))
    image = client.get("/api/datasets/mnist/test/5").json()
    body = {
        "model": "classroom",
        "parameters": {name: archive[name].tolist() for name in archive if name != "response"},
        "x": image["image"],
        "target": image["label"],
    }
    exact = client.post("/api/networks/gradients", json=body).json()
    for name in ("conv1/w", "linear/b"):
        single = tensor(client, f"{path}/tensors/{name.replace('/', '/d')}")
        assert np.allclose(single, exact["gradients"][name], rtol=1e-3, atol=1e-6)


def test_a_drawn_digit_is_answered_and_held_against_its_own_answer(client: TestClient) -> None:
    pixels = np.zeros((28, 28))
    pixels[4:24, 13:16] = 1
    made = client.post("/api/runs/welcome/passes", json={"x": pixels.tolist()}).json()
    assert made["source"] == {"drawn": True}
    assert made["label"] == int(np.argmax(made["probabilities"]))
    assert client.post("/api/runs/welcome/passes", json={"x": pixels.tolist(), "target": 1}).json()["label"] == 1
    answer = client.post("/api/runs/welcome/predict", json={"x": pixels.tolist()}).json()
    assert np.argmax(answer["probabilities"]) == made["label"]
    assert np.array(answer["layers"]["conv2"]["y"]).shape == (1, 16, 11, 11)


def test_predictions_of_a_data_set_come_with_their_labels(client: TestClient) -> None:
    body = {"dataset": "mnist", "split": "test", "indices": [0, 1, 2], "layers": False}
    answer = client.post("/api/runs/welcome/predict", json=body).json()
    assert answer["labels"] == [7, 2, 1] and np.array(answer["probabilities"]).shape == (3, 10)
    assert "layers" not in answer


def test_a_frame_of_a_pass_holds_every_tensor_of_the_score(client: TestClient) -> None:
    path = client.post("/api/runs/welcome/passes", json={"dataset": "mnist", "index": 2}).headers["location"]
    timeline = client.get("/api/runs/welcome/score").json()
    header, tensors = unpack(client.get(f"{path}/frame").content)
    assert tensors.keys() == timeline["tensors"].keys()
    for name, info in timeline["tensors"].items():
        assert list(tensors[name].shape) == info["shape"], name
    assert header["label"] == 1
    assert np.array_equal(tensors["conv1/y"], tensor(client, f"{path}/tensors/conv1/y"))
    few = unpack(client.get(f"{path}/frame", params={"tensors": "conv1/y,conv2/x"}).content)[1]
    assert few.keys() == {"conv1/y", "conv2/x"}


def test_what_belongs_to_the_whole_batch_is_whole_in_each_sample(client: TestClient) -> None:
    tensors = client.get("/api/runs/welcome/score").json()["tensors"]
    for name in (*tensors, "loss/dy"):
        address = f"/api/runs/welcome/steps/1/tensors/{name}"
        whole, one = client.get(address), client.get(address, params={"sample": 1})
        assert (whole.status_code, one.status_code) == (200, 200), (name, one.text)
        if not whole.json()["shape"]:
            assert one.json() == whole.json()


def test_a_frame_of_a_step_holds_one_image_and_the_whole_batchs_gradients(client: TestClient) -> None:
    _, tensors = unpack(client.get("/api/runs/welcome/steps/2/frame", params={"sample": 7}).content)
    whole = tensor(client, "/api/runs/welcome/steps/2/tensors/conv1/y")
    assert np.array_equal(tensors["conv1/y"], whole[7:8])
    assert np.array_equal(tensors["conv1/dw"], tensor(client, "/api/runs/welcome/steps/2/tensors/conv1/dw"))
    assert np.array_equal(whole[7:8], tensor(client, "/api/runs/welcome/steps/2/tensors/conv1/y", sample=7))


def test_a_frame_of_the_first_step_holds_all_that_it_has(client: TestClient, train: Train) -> None:
    run = train(model="tiny", optimizer={"name": "momentum"}, start=False)
    path = f"/api/runs/{run['id']}/steps/0/frame"
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    names = unpack(answer.content)[1]
    assert {"conv/y", "conv/dw", "conv/w"} <= set(names) and "conv/w_next" not in names
    assert client.get(path, params={"tensors": "conv/w_next"}).status_code == 404


def test_the_reads_of_another_steps_place_are_of_that_step(client: TestClient) -> None:
    for look in ("steps/5", "steps/2"):
        path = f"/api/runs/welcome/{look}/explain/conv1/w_next/0,0,0,0@4"
        found = client.get(path).json()
        reads = {read["tensor"]: read for read in found["reads"]}
        assert reads and all(name.endswith("@4") for name in reads)
        for name, read in reads.items():
            index = ",".join(map(str, read["index"]))
            again = client.get(f"/api/runs/welcome/{look}/explain/{name}/{index}").json()
            assert again["value"] == read["value"]
    here = client.get("/api/runs/welcome/steps/4/explain/conv1/w_next/0,0,0,0").json()
    assert "conv1/w" in {read["tensor"] for read in here["reads"]}


@pytest.mark.parametrize("name", ["input/zz", "target/dy"])
def test_what_the_input_lacks_is_not_called_a_missing_layer(client: TestClient, name: str) -> None:
    for path in (f"tensors/{name}", f"explain/{name}/0,0"):
        answer = client.get(f"/api/runs/welcome/steps/1/{path}")
        assert answer.status_code == 404
        assert "no such tensor; it has y" in answer.json()["detail"]


@pytest.mark.parametrize("wrong", [{"dataset": "nope"}, {"split": "nope"}, {"index": 10_000}])
def test_what_a_body_names_and_is_not_there_is_422_with_its_place(client: TestClient, wrong: dict[str, Any]) -> None:
    (field,) = wrong
    answer = client.post("/api/runs/welcome/passes", json={"dataset": "mnist", "index": 0, **wrong})
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, [field])
    if field != "index":
        answer = client.post("/api/runs/welcome/predict", json={"dataset": "mnist", "indices": [0], **wrong})
        assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, [field])


@pytest.mark.parametrize("other", [{"dataset": "mnist"}, {"split": "train"}, {"index": 4}, {"indices": [1]}])
def test_pixels_together_with_a_place_in_a_data_set_are_refused(client: TestClient, other: Any) -> None:
    x = np.zeros((28, 28)).tolist()
    for path in ("passes",) * ("indices" not in other) + ("predict",) * ("index" not in other):
        answer = client.post(f"/api/runs/welcome/{path}", json={"x": x, **other})
        assert answer.status_code == 422 and "either x or" in answer.json()["detail"]


def test_what_a_step_left_is_what_the_next_one_read(client: TestClient) -> None:
    left = tensor(client, "/api/runs/welcome/steps/2/tensors/conv2/w_next")
    assert left.tobytes() == tensor(client, "/api/runs/welcome/steps/3/tensors/conv2/w").tobytes()
    explanation = client.get("/api/runs/welcome/steps/3/explain/conv2/w/1,2,0,1").json()
    read = explanation["reads"][0]
    assert read["tensor"] == "conv2/w_next@2"
    opened = client.get(f"/api/runs/welcome/steps/3/explain/{read['tensor']}/1,2,0,1").json()
    assert opened["value"] == explanation["value"]


def test_what_never_changes_may_be_kept_for_ever_and_is_not_sent_twice(client: TestClient, train: Train) -> None:
    run = train(model="tiny", steps=2)
    pass_path = client.post(f"/api/runs/{run['id']}/passes", json={"dataset": "tiny", "index": 0}).headers["location"]
    for path in (
        f"/api/runs/{run['id']}/steps/1/tensors/conv/y",
        f"/api/runs/{run['id']}/steps/1/explain/conv/y/0,0,0,0",
        f"/api/runs/{run['id']}/steps/1/frame",
        f"{pass_path}/tensors/conv/y",
        f"{pass_path}/explain/loss/y",
    ):
        first = client.get(path)
        assert first.status_code == 200, first.text
        assert "immutable" in first.headers["cache-control"]
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.get("/api/runs/welcome/steps/1/tensors/conv1/w").headers["cache-control"] == "no-cache"
    assert client.get(f"/api/runs/{run['id']}").headers["cache-control"] == "no-store"


def test_json_and_npy_of_a_tensor_differ_in_their_tag(client: TestClient) -> None:
    path = "/api/runs/welcome/steps/1/tensors/conv1/w"
    tags = {client.get(path, headers={"Accept": kind}).headers["etag"] for kind in ("application/json", NPY)}
    assert len(tags) == 2


# data sets ----------------------------------------------------------------------------------------------------------


def test_mnist_is_there_whole(client: TestClient) -> None:
    (mnist,) = (each for each in client.get("/api/datasets").json() if each["name"] == "mnist")
    assert mnist["splits"] == {"train": 60000, "test": 10000} and mnist["classes"] == [str(k) for k in range(10)]


def test_digits_are_found_by_their_class(client: TestClient) -> None:
    page = client.get("/api/datasets/mnist/test", params={"label": 3, "offset": 2, "limit": 4}).json()
    assert page["total"] == 1010 and page["labels"] == [3] * 4 and page["indices"] == sorted(page["indices"])


def test_an_image_is_had_as_numbers_and_as_a_picture(client: TestClient) -> None:
    image = client.get("/api/datasets/mnist/test/0").json()
    assert image["label"] == 7
    pixels = np.array(image["image"])
    assert pixels.shape == (1, 28, 28) and pixels.min() == 0 and 0.9 < pixels.max() <= 1
    picture = client.get("/api/datasets/mnist/test/0", headers={"Accept": "image/png,image/*;q=0.8,*/*;q=0.5"})
    assert picture.headers["content-type"] == "image/png" and picture.content.startswith(b"\x89PNG")
