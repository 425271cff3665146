"""What can be done with a pass: numbers set by hand, reach, what is inert, nudges, and a number's history."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from app.limits import Limits

RUN = "/api/runs/welcome"
IMAGE = {"dataset": "mnist", "split": "test", "index": 464}


@pytest.fixture(scope="module")
def base(client: TestClient) -> Any:
    return client.post(f"{RUN}/passes", json=IMAGE).json()


def edited(client: TestClient, *edits: Any, **more: Any) -> Any:
    return client.post(f"{RUN}/passes", json={**IMAGE, "edits": list(edits), **more})


def test_a_pass_with_an_edit_is_another_pass_with_its_base(client: TestClient, base: Any) -> None:
    made = edited(client, {"place": "conv1/w/0,0,1,1", "by": 0.1})
    assert made.status_code == 201
    document = made.json()
    assert document["id"] != base["id"] and document["base"] == base["id"]
    assert document["base_loss"] == base["loss"] != document["loss"]
    assert document["edits"] == [{"place": "conv1/w/0,0,1,1", "by": 0.1}]
    assert client.get(f"{RUN}/passes/{document['id']}").json() == document
    assert "edits" not in base


def test_an_edited_number_says_what_stood_there(client: TestClient, base: Any) -> None:
    made = edited(client, {"place": "conv1/w/0,0,1,1", "value": 0.402}).json()
    before = client.get(f"{RUN}/passes/{base['id']}/explain/conv1/w/0,0,1,1").json()
    after = client.get(f"{RUN}/passes/{made['id']}/explain/conv1/w/0,0,1,1").json()
    assert after["value"] == pytest.approx(0.402) and after["before"] == before["value"]
    assert "before" not in before


def test_a_kernel_by_hand_makes_its_map(client: TestClient) -> None:
    sobel = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    made = edited(client, {"place": "conv1/w/0,0", "value": sobel}, {"place": "conv1/b/0", "value": 0}).json()
    image = client.get("/api/datasets/mnist/test/464").json()["image"][0]
    y = client.get(f"{RUN}/passes/{made['id']}/tensors/conv1/y").json()["values"][0][0]
    expected = sum(sobel[u][v] * image[10 + u][14 + v] for u in range(3) for v in range(3))
    assert y[10][14] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("edit", "loc", "words"),
    [
        ({"place": "conv1/w/0,0,9,1", "by": 1}, ["edits", 0, "place"], "no block"),
        ({"place": "conv1/dw/0,0,1,1", "by": 1}, ["edits", 0, "place"], "cannot be set by hand"),
        ({"place": "nonsense", "by": 1}, ["edits", 0, "place"], "is no place"),
        ({"place": "conv1/w/0,0,1,1"}, ["edits", 0, "value"], "either value or by"),
        ({"place": "conv1/w/0,0", "value": [[1, 2], [3, 4]]}, ["edits", 0, "place"], "expected a number or the shape"),
    ],
)
def test_an_edit_that_does_not_fit_is_422(client: TestClient, edit: Any, loc: Any, words: str) -> None:
    answer = edited(client, edit)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == loc and words in answer.json()["detail"]


def test_who_wins_a_window_is_set_by_hand_and_a_cell_that_it_does_not_see_is_422(client: TestClient) -> None:
    place = "pool1/indices/0,3,5,5"
    made = edited(client, {"place": place, "value": 297}).json()
    at = f"{RUN}/passes/{made['id']}/explain/"
    delta = client.get(f"{at}pool1/dy/0,3,5,5").json()["value"]
    assert [client.get(f"{at}pool1/dx/0,3,{cell}").json()["value"] for cell in ("10,11", "11,11")] == [0, delta]
    refused = edited(client, {"place": place, "value": 3})
    assert refused.status_code == 422 and refused.json()["errors"][0]["loc"] == ["edits"]
    assert "the window sees the cells 270, 271, 296, 297" in refused.json()["detail"]


def test_too_many_edits_are_413(client: TestClient) -> None:
    answer = edited(client, *[{"place": "conv1/w/0,0,1,1", "by": 0}] * (Limits().edits + 1))
    assert (answer.status_code, answer.json()["limit"]["name"]) == (413, "edits")


def test_reach_counts_cells_and_gives_a_mask(client: TestClient, base: Any) -> None:
    path = f"{RUN}/passes/{base['id']}/reach/input/y/0,0,12,15"
    found = client.get(path, params={"mask": "conv1/y"}).json()
    reached = found["tensors"]["conv1/y"]
    assert (reached["reachable"], reached["of"]) == (72, 5408)
    assert reached["box"] == [[0, 0, 10, 13], [0, 7, 12, 15]]
    flat = [number for plane in found["mask"][0] for row in plane for number in row]
    assert (flat.count(2), 5408 - flat.count(0)) == (reached["active"], 72)
    assert client.get(path).json().get("mask") is None
    back = client.get(f"{RUN}/passes/{base['id']}/reach/conv1/y/0,3,5,5", params={"direction": "backward"}).json()
    assert set(back["tensors"]) == {"input/y", "conv1/w", "conv1/b"}


def test_reach_in_a_training_step(client: TestClient) -> None:
    found = client.get(f"{RUN}/steps/2/reach/input/y/1,0,12,15").json()
    assert found["tensors"]["conv1/y"]["box"][0][0] == found["tensors"]["conv1/y"]["box"][1][0] == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("reach/conv1/y/0,0,99,1", 404),
        ("reach/conv9/y/0", 404),
        ("reach/input/y/0,0,1,1?mask=conv9/y", 404),
        ("reach/input/y/0,0,1,1?direction=sideways", 422),
        ("inert?tensor=conv9/y", 404),
        ("inert?tensor=conv1/dw", 404),
    ],
)
def test_what_is_not_there_is_refused(client: TestClient, base: Any, path: str, status: int) -> None:
    assert client.get(f"{RUN}/passes/{base['id']}/{path}").status_code == status


def test_inert_pixels_have_reasons(client: TestClient, base: Any) -> None:
    found = client.get(f"{RUN}/passes/{base['id']}/inert").json()
    inert = sum(number for row in found["mask"][0][0] for number in row)
    assert inert == sum(found["reasons"].values()) > 100
    assert set(found["reasons"]) == {"unread", "relu", "not_maximum", "zero_weight"}


def test_a_nudge_shows_slope_beside_gradient(client: TestClient, base: Any) -> None:
    found = client.post(f"{RUN}/passes/{base['id']}/nudge", json={"place": "conv1/w/0,0,1,1"}).json()
    assert found["verdict"] == "agrees" and max(each["digits"] for each in found["differences"]) >= 5
    assert [each["eps"] for each in found["differences"]] == [pytest.approx(10.0**-k) for k in range(1, 11)]
    middle = len(found["curve"]["values"]) // 2
    assert found["curve"]["values"][middle] == found["value"] and found["curve"]["losses"][middle] == found["loss"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"place": "conv1/y/0,0,1,1"}, 422),
        ({"place": "conv1/w/0,0,1,1", "eps": []}, 422),
        ({"place": "conv1/w/0,0,1,1", "eps": [0]}, 422),
        ({"place": "conv1/w/0,0,1,1", "eps": [0.1] * 33}, 413),
    ],
)
def test_a_nudge_that_cannot_be_is_refused(client: TestClient, base: Any, asked: Any, status: int) -> None:
    assert client.post(f"{RUN}/passes/{base['id']}/nudge", json=asked).status_code == status


def test_a_numbers_history_is_what_the_steps_say(client: TestClient) -> None:
    found = client.get(f"{RUN}/history/conv1/w/0,0,1,1", params={"points": 4}).json()
    assert len(found["steps"]) == 4 and found["steps"][-1] == found["last"] == 6
    for step, value in zip(found["steps"], found["values"], strict=True):
        assert client.get(f"{RUN}/steps/{step}/explain/conv1/w/0,0,1,1").json()["value"] == pytest.approx(value)


def test_an_images_history_is_what_its_passes_say(client: TestClient, base: Any) -> None:
    params = {"points": 3, "pass_of": base["id"]}
    found = client.get(f"{RUN}/history/relu1/y/0,2,12,14", params=params).json()
    assert found["steps"][-1] == 6
    for step, value in zip(found["steps"], found["values"], strict=True):
        made = client.post(f"{RUN}/passes", json={**IMAGE, "step": step}).json()
        assert client.get(f"{RUN}/passes/{made['id']}/explain/relu1/y/0,2,12,14").json()["value"] == value


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("history/conv1/y/0,0,1,1", 404),
        ("history/conv1/w/0,0,9,1", 404),
        ("history/conv1/w/0,0,1,1?first=99", 404),
        ("history/conv1/w/0,0,1,1?points=0", 422),
        ("history/conv1/y/0,0,1,1?pass_of=none", 404),
    ],
)
def test_a_history_that_is_not_there_is_refused(client: TestClient, path: str, status: int) -> None:
    assert client.get(f"{RUN}/{path}").status_code == status
