"""A class on one server: whose runs are whose, who makes way for whom, and what comes back."""

from __future__ import annotations

import errno
import io
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app import limits, server
from app.limits import Limits, free_bytes
from app.main import notes, parse
from app.runs import checkpoints
from app.runs.checkpoints import CheckpointWriter
from app.runs.registry import DAY, Clock
from app.server import create_app
from app.settings import Settings
from tests.app.conftest import wait_for, wait_until_rests

TINY = {"model": "tiny", "start": False}


@contextmanager
def serving(folder: Path, shared: bool = True, **limits: int) -> Iterator[TestClient]:
    changes = [f"{name}={value}" for name, value in limits.items()]
    settings = Settings(folder, warm=False, welcome_steps=0, shared=shared, limits=Limits().adjusted(changes))
    with TestClient(create_app(settings), "http://localhost", raise_server_exceptions=False) as client:
        wait_for(lambda: client.get("/api/runs").status_code == 200)
        yield client


def key(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def make(client: TestClient, token: str, status: int = 201, **body: Any) -> Any:
    answer = client.post("/api/runs", json=TINY | body, headers=key(token))
    assert answer.status_code == status, answer.text
    return answer.json()


def test_one_token_serves_for_all_runs_of_its_owner(tmp_path: Path, warmed: Path) -> None:
    with serving(tmp_path) as client:
        first = make(client, "ana's token", owner="Ana", name="mine")
        assert first["token"] == "ana's token" and first["mine"] and first["owner"] == "Ana" and first["name"] == "mine"
        second = make(client, "ana's token")
        other = make(client, "ben's token")
        mine = {run["id"]: run["mine"] for run in client.get("/api/runs", headers=key("ana's token")).json()}
        assert mine == {"welcome": False, first["id"]: True, second["id"]: True, other["id"]: False}
        assert not any(run["mine"] for run in client.get("/api/runs").json())
        patch = {"name": "renamed"}
        assert client.patch(f"/api/runs/{second['id']}", json=patch, headers=key("ben's token")).status_code == 403
        renamed = client.patch(f"/api/runs/{second['id']}", json=patch, headers=key("ana's token")).json()
        assert renamed["name"] == "renamed" and renamed["mine"]
    with serving(tmp_path) as client:
        again = client.get(f"/api/runs/{second['id']}", headers=key("ana's token")).json()
        assert again["name"] == "renamed" and again["mine"]
        assert client.get(f"/api/runs/{first['id']}").json()["owner"] == "Ana"


def test_runs_are_counted_by_owner_and_not_by_the_classs_address(tmp_path: Path, warmed: Path) -> None:
    with serving(tmp_path, runs_per_client=2) as client:
        made = {pupil: [make(client, pupil)["id"] for _ in range(2)] for pupil in ("a", "b", "c", "d")}
        newest = make(client, "a")["id"]
        there = {run["id"] for run in client.get("/api/runs").json()}
        assert made["a"][0] not in there and {made["a"][1], newest} <= there
        assert all(id in there for pupil in ("b", "c", "d") for id in made[pupil])


def test_nobody_elses_fresh_run_makes_way(tmp_path: Path, warmed: Path) -> None:
    """A pauses, B posts run after run: of the runs at rest B's own go, and A's stays however long the list."""
    with serving(tmp_path, runs=4) as client:
        a = make(client, "a")["id"]
        for _ in range(6):
            make(client, "b")
        assert client.get(f"/api/runs/{a}").status_code == 200
        refused = client.post("/api/runs", json=TINY, headers=key("c"))
        assert refused.status_code == 429 and refused.json()["limit"]["name"] == "runs"
    with serving(tmp_path, runs=4, grace_seconds=1) as client:
        time.sleep(1.1)
        client.get(f"/api/runs/{a}/score")  # asked about: in use
        make(client, "c")
        assert client.get(f"/api/runs/{a}").status_code == 200


def test_what_made_way_can_be_brought_back_by_its_owner(tmp_path: Path, warmed: Path) -> None:
    with serving(tmp_path, runs_per_client=1) as client:
        first = make(client, "a", start=True, steps=5)
        before = wait_until_rests(client, first["id"])
        make(client, "a")
        (gone,) = client.get("/api/expired").json()
        assert gone["id"] == first["id"] and gone["kept"] and "made way" in gone["why"]
        path = f"/api/expired/{first['id']}/restore"
        assert client.post(path, headers=key("b")).status_code == 403
        back = client.post(path, headers=key("a"))
        assert back.status_code == 201 and back.headers["location"] == f"/api/runs/{first['id']}"
        assert back.json()["step"] == before["step"] == 5 and back.json()["loss"] == before["loss"]
        assert [each["id"] for each in client.get("/api/expired").json()] != [first["id"]]
        assert client.post(path, headers=key("a")).status_code == 409
        assert client.post("/api/expired/nobody/restore").status_code == 404
    with serving(tmp_path) as client:
        assert client.get(f"/api/runs/{first['id']}").json()["step"] == 5


def test_why_a_run_went_is_known_while_its_files_are_still_being_moved(
    tmp_path: Path, warmed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path, runs_per_client=1) as client:
        first = make(client, "a")["id"]
        seen = []
        expire = CheckpointWriter.expire

        def slow(writer: CheckpointWriter, *arguments: Any) -> None:
            seen.extend([client.get(f"/api/runs/{first}").json(), client.get("/api/expired").json()])
            expire(writer, *arguments)

        monkeypatch.setattr(CheckpointWriter, "expire", slow)
        make(client, "a")
        refused, (gone,) = seen
        assert "made way" in refused["detail"] and refused["type"].endswith(":gone")
        assert gone["id"] == first and "made way" in gone["why"]
        assert [each["id"] for each in client.get("/api/expired").json()] == [first]


def test_what_made_way_is_kept_within_bounds(tmp_path: Path, warmed: Path) -> None:
    with serving(tmp_path, runs_per_client=1, expired_bytes=1) as client:
        first = make(client, "a")["id"]
        make(client, "a")
        (gone,) = client.get("/api/expired").json()
        assert gone["id"] == first and not gone["kept"]
        refused = client.post(f"/api/expired/{first}/restore", headers=key("a"))
        assert refused.status_code == 404 and "no longer kept" in refused.json()["detail"]


def test_all_runs_together_have_a_bound_of_memory(tmp_path: Path, warmed: Path) -> None:
    with serving(tmp_path, memory_bytes=3_000_000) as client:
        body = {"model": "classroom", "start": False}
        answers = [client.post("/api/runs", json=body, headers=key(str(k))).status_code for k in range(60)]
        assert answers[0] == 201 and answers[-1] == 429
        refused = client.post("/api/runs", json=body, headers=key("new"))
        assert refused.json()["limit"]["name"] == "memory_bytes"
        own = client.post("/api/runs", json=body, headers=key("0"))
        assert own.status_code == 201  # one's own makes way
    assert Limits().memory_bytes == free_bytes() // 2


def test_what_runs_keep_for_looking_back_stays_within_the_bound_as_they_train(tmp_path: Path, warmed: Path) -> None:
    with serving(tmp_path, memory_bytes=8_000_000) as client:
        body = {"model": "classroom", "steps": 60, "batch_size": 4, "start": True}
        made = [client.post("/api/runs", json=body, headers=key(str(k))).json()["id"] for k in range(4)]
        wait_for(lambda: all(client.get(f"/api/runs/{id}").json()["state"] == "finished" for id in made))
        for id in made:
            for image in range(6):
                answer = client.post(f"/api/runs/{id}/passes", json={"dataset": "mnist", "index": image})
                assert answer.status_code == 201
                assert client.get(f"/api/runs/{id}/steps/{40 + image}/explain/loss/y").status_code == 200
        registry = client.app.state.context.runs  # type: ignore[attr-defined]
        held = [run.nbytes for run in registry.all()]
        assert sum(held) <= 8_000_000 and min(held) > 0
        first = registry.get(made[0])
        before = first.nbytes
        for id in made[1:]:
            client.delete(f"/api/runs/{id}", headers=key(str(made.index(id))))
        for image in range(6):
            client.post(f"/api/runs/{made[0]}/passes", json={"dataset": "mnist", "index": 10 + image})
        assert before < first.nbytes <= 8_000_000  # there is room again


def test_the_data_that_runs_bring_count_as_their_memory(tmp_path: Path, warmed: Path) -> None:
    fc = {"name": "fc", "op": "linear", "settings": {"out": 2}}
    network = {"input": [1, 4, 4], "layers": [{"name": "flat", "op": "flatten"}, fc]}
    with serving(tmp_path, memory_bytes=1_000_000) as client:
        data = {"x": [[[[0.5] * 4] * 4]] * 4000, "target": [0, 1] * 2000}
        body = {"network": network, "model": None, "dataset": data, "batch_size": 2}
        answers = [client.post("/api/runs", json=TINY | body, headers=key(str(k))) for k in range(5)]
        assert [each.status_code for each in answers] == [201] * 3 + [429] * 2, answers[0].text
        assert answers[-1].json()["limit"]["name"] == "memory_bytes"


def test_a_packed_body_counts_as_what_it_unpacks_to(tmp_path: Path, warmed: Path) -> None:
    """A thousandth of its size arrives: two dozen of them would fill any machine."""
    stream = io.BytesIO()
    np.savez_compressed(stream, x=np.zeros(1_000_000), request=np.array("{}"))
    packed = stream.getvalue()
    assert len(packed) < 20_000
    with serving(tmp_path, request_bytes=10_000_000) as client:
        headers = {"Content-Type": "application/x-npz"}
        refused = client.post("/api/ops/relu/forward", content=packed, headers=headers)
        assert refused.status_code == 413 and refused.json()["limit"]["name"] == "request_bytes"
    with serving(tmp_path, answer_bytes=10_000_000) as client:
        asked = {"settings": {"scale": 1000}, "tensors": {"x": [[[[1, 2], [3, 4]]]]}}
        refused = client.post("/api/ops/upsample2d/forward", json=asked)
        assert refused.status_code == 413 and refused.json()["limit"]["name"] == "answer_bytes", refused.text


def test_memory_is_that_of_the_innermost_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CGROUPS", tmp_path)
    for path, limit in {
        "a/b/memory.max": "max",
        "a/memory.max": "5000",
        "memory/c/memory.limit_in_bytes": "700",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{limit}\n", encoding="utf-8")
    groups = tmp_path / "groups"
    groups.write_text("0::/a/b\n", encoding="utf-8")
    assert limits._granted(groups) == [5000]
    groups.write_text("4:memory:/c\n3:cpu:/\n", encoding="utf-8")
    assert limits._granted(groups) == [700]


def test_descriptors_that_run_out_are_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left = iter([False, False, True, False])
    real = os.dup

    def dup(descriptor: int) -> int:
        found = next(left, None)
        if found is None:
            raise StopAsyncIteration
        if not found:
            raise OSError(errno.EMFILE, "Too many open files")
        return real(descriptor)

    monkeypatch.setattr(os, "dup", dup)
    monkeypatch.setattr(server, "BETWEEN_LOOKS", 0)
    with caplog.at_level(logging.ERROR, "convscope"), pytest.raises(StopAsyncIteration):
        watching = server._watch_descriptors()
        while True:
            watching.send(None)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and all("Too many open files" in line and "ulimit" in line for line in told)


def test_a_folder_that_is_none_of_ours_is_left_alone(tmp_path: Path, warmed: Path) -> None:
    foreign = tmp_path / "runs" / "thesis"
    foreign.mkdir(parents=True)
    (foreign / "chapter.txt").write_text("do not delete", encoding="utf-8")
    torn = tmp_path / "runs" / "torn"
    torn.mkdir()
    (torn / "state.npz").write_bytes(b"of a run that was killed while it was removed")
    with serving(tmp_path) as client:
        assert not {"thesis", "torn"} & {run["id"] for run in client.get("/api/runs").json()}
    assert (foreign / "chapter.txt").read_text("utf-8") == "do not delete" and not torn.exists()


def test_a_run_that_was_never_saved_says_so(tmp_path: Path, warmed: Path) -> None:
    with serving(tmp_path) as client:
        id = make(client, "a", start=True, steps=3)["id"]
        wait_until_rests(client, id)
    (tmp_path / "runs" / id / "state.npz").unlink()
    with serving(tmp_path) as client:
        run = client.get(f"/api/runs/{id}").json()
        assert run["step"] == 0 and "begins again" in run["notice"]


def test_days_are_those_of_the_servers_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day may jump; a server that rests makes nothing older."""
    clock = Clock(tmp_path / "clock")
    assert clock.now() < 1
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert clock.now() < 1
    begun = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: begun + 3 * DAY)
    assert clock.now() == pytest.approx(3 * DAY, abs=5)
    clock.save()
    assert Clock(tmp_path / "clock").now() == pytest.approx(3 * DAY, abs=5)


def test_a_clock_that_jumps_deletes_nothing(
    tmp_path: Path, warmed: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path, run_days=1) as client:
        id = make(client, "a")["id"]
        registry = client.app.state.context.runs  # type: ignore[attr-defined]
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 40 * DAY)
        registry.expire_old()
        assert client.get(f"/api/runs/{id}").status_code == 200
        assert "has jumped by 3456000 s" in caplog.text
        begun = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: begun + 1.5 * DAY)
        registry.expire_old()
        assert client.get(f"/api/runs/{id}").status_code == 404


def test_checkpoints_are_bounded_in_bytes_a_second_and_it_is_said(
    tmp_path: Path, warmed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "BYTES_A_SECOND", 20_000)
    with serving(tmp_path) as client:
        id = make(client, "a", model="classroom")["id"]
        client.patch(f"/api/runs/{id}", json={"state": "running", "pace": 50}, headers=key("a"))
        wait_for(lambda: "every" in client.get(f"/api/runs/{id}").json().get("notice", ""), 20)
        notice = client.get(f"/api/runs/{id}").json()["notice"]
        assert notice.startswith("This run is saved every ") and "seconds" in notice


def test_the_lecturers_token_may_change_every_run(tmp_path: Path, warmed: Path) -> None:
    settings = Settings(tmp_path, warm=False, welcome_steps=0, shared=True, admin_token="the lecturer's")
    with TestClient(create_app(settings), "http://localhost", raise_server_exceptions=False) as client:
        wait_for(lambda: client.get("/api/runs").status_code == 200)
        id = make(client, "a")["id"]
        path = f"/api/runs/{id}"
        assert client.patch(path, json={"pace": 5}, headers=key("b")).status_code == 403
        assert client.patch(path, json={"pace": 5}, headers=key("the lecturer's")).json()["pace"] == 5
        assert client.delete("/api/runs/welcome", headers=key("the lecturer's")).status_code == 409
        assert client.delete(path, headers=key("the lecturer's")).status_code == 204


def test_a_class_gets_a_lecturers_token_at_the_start() -> None:
    settings = parse(["--shared"])
    assert len(settings.admin_token) >= 16 and settings.admin_token != parse(["--shared"]).admin_token
    assert any(settings.admin_token in line for line in notes(settings, 8000))
    assert parse([]).admin_token == "" and parse(["--shared", "--admin-token", "mine"]).admin_token == "mine"
