"""The bug lab: the slips there are, and runs that are trained with one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

from app.api import schemas
from app.formats.bundle import unpack
from app.runs.checkpoints import pack_config, unpack_config
from engine.slips import SLIPS

SHORT: dict[str, Any] = {"model": "classroom", "steps": 2, "batch_size": 8, "seed": 3}


def test_every_slip_is_listed_with_what_it_edits(client: TestClient) -> None:
    listed = client.get("/api/slips").json()
    assert [each["name"] for each in listed] == list(SLIPS)
    known = {each["name"] for each in client.get("/api/mistakes").json()["mistakes"]}
    for each in listed:
        schemas.SlipEntry.model_validate(each)
        assert each["mistake"] in known and each["sentences"]
        assert all(edited["before"] != edited["after"] for edited in each["sentences"])


def test_a_run_with_a_slip_is_wrong_on_the_way_back_only(client: TestClient, train: Callable[..., Any]) -> None:
    right, wrong = train(**SHORT), train(**SHORT, slip="dx_not_turned")
    assert right["slip"] is None and wrong["slip"] == "dx_not_turned" and wrong["path"]["name"] == "readable"

    def number(run: dict[str, Any], place: str) -> dict[str, Any]:
        return client.get(f"/api/runs/{run['id']}/steps/1/explain/{place}").json()

    place = "conv2/dx/0,0,5,5"
    here, there = number(right, place), number(wrong, place)
    assert "U-1-u" in there["sentence"] and "U-1-u" not in here["sentence"]
    assert here["value"] != there["value"] and abs(there["remainder"]) < 1e-6
    assert abs(number(right, "conv2/y/0,0,5,5")["value"] - number(wrong, "conv2/y/0,0,5,5")["value"]) < 1e-5


def test_a_slip_survives_a_restart_and_is_left_behind_by_a_new_run(
    client: TestClient, train: Callable[..., Any]
) -> None:
    wrong = train(**SHORT, slip="update_sign")
    context: Any = client.app.state.context  # type: ignore[attr-defined]
    config = context.runs.get(wrong["id"]).config
    document, arrays = unpack(pack_config(config, 0.0, context.datasets))
    again = unpack_config(document, arrays, context.datasets)
    assert again.network.slip is SLIPS["update_sign"]
    assert train(**{"from": {"run": wrong["id"]}, "steps": 1})["slip"] is None


def test_a_slip_that_is_not_there_or_does_not_show_is_refused(client: TestClient) -> None:
    for slip, words in (("none", "dx_not_turned"), ("norm_mean", "nothing in this network")):
        answer = client.post("/api/runs", json={**SHORT, "slip": slip})
        assert answer.status_code == 422 and words in answer.text
        assert answer.json()["errors"][0]["loc"] == ["slip"]
