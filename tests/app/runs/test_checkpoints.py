"""Runs survive: whatever ends the server, its runs are there at the next start and go on as if nothing had been."""

from __future__ import annotations

import errno
import json
import random
import signal
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.formats import bundle
from app.limits import Limits
from app.runs import checkpoints, storage
from app.runs.storage import RunStorage, write_whole
from app.server import create_app
from app.settings import Settings
from tests.app.conftest import wait_for, wait_until_rests
from tests.server import Server, serve
from tests.tools import ROOT

RUN = {"model": "tiny", "steps": 400, "optimizer": {"name": "adam", "learning_rate": 0.01}}
DROPPING = {
    "network": {
        "input": [1, 4, 4],
        "layers": [
            {"name": "norm", "op": "batch_norm"},
            {"name": "drop", "op": "dropout", "settings": {"p": 0.3}},
            {"name": "flat", "op": "flatten"},
            {"name": "full", "op": "linear", "settings": {"out": 3}},
        ],
    },
    "dataset": {"x": [[[[k / 7, 0.5, 0, 1]] * 4] for k in range(7)], "target": [0, 1, 2, 0, 1, 2, 0]},
    "batch_size": 3,
    "steps": 900,
    "seed": 5,
}

FAST = {
    "model": "classroom",
    "steps": 700,
    "schedule": {"name": "one_cycle"},
    "max_norm": 1.0,
    "drop_last": True,
    "shift": 1,
}


@contextmanager
def started(folder: Path, **settings: Any) -> Iterator[TestClient]:
    """A server in this process with its data in `folder`."""
    made = create_app(Settings(folder, warm=False, welcome_steps=1, **settings))
    with TestClient(made, "http://localhost", raise_server_exceptions=False) as client:
        wait_for(lambda: client.get("/api/runs").status_code == 200)
        yield client


def finished(client: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    id = client.post("/api/runs", json=body).json()["id"]
    assert wait_until_rests(client, id)["state"] == "finished"
    return client.get(f"/api/runs/{id}/metrics").json()


def test_a_run_is_there_after_a_restart_as_it_was(tmp_path: Path) -> None:
    with started(tmp_path) as client:
        id = client.post("/api/runs", json={**RUN, "start": False}).json()["id"]
        path = f"/api/runs/{id}"
        client.post(f"{path}/step", json={"count": 5})
        wait_until_rests(client, id)
        client.patch(path, json={"learning_rate": 0.5, "pace": 1000.0})
        before, metrics = client.get(path).json(), client.get(f"{path}/metrics").json()
        values = [client.get(f"{path}/steps/{step}/tensors/conv/w_next").json() for step in (2, 5)]
    with started(tmp_path) as client:
        after = client.get(path).json()
        assert after | {"images_per_second": before["images_per_second"]} == before
        assert client.get(f"{path}/metrics").json() == metrics
        assert [client.get(f"{path}/steps/{step}/tensors/conv/w_next").json() for step in (2, 5)] == values
        assert client.delete(path).status_code == 204
    with started(tmp_path) as client:
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("body", [RUN, DROPPING, FAST])
def test_a_run_goes_on_by_itself_and_ends_bit_for_bit_where_an_unbroken_one_does(
    tmp_path: Path, body: dict[str, Any]
) -> None:
    with started(tmp_path) as client:
        unbroken = finished(client, body)
        id = client.post("/api/runs", json=body | {"start": False}).json()["id"]
        client.patch(f"/api/runs/{id}", json={"pace": 200.0, "state": "running"})
        wait_for(lambda: client.get(f"/api/runs/{id}").json()["step"] > 20)
    with started(tmp_path) as client:
        found = client.get(f"/api/runs/{id}").json()
        assert found["state"] == "running" and 20 <= found["step"] < body["steps"]
        client.patch(f"/api/runs/{id}", json={"pace": None})
        assert wait_until_rests(client, id)["state"] == "finished"
        assert client.get(f"/api/runs/{id}/metrics").json() == unbroken


def test_what_a_run_could_look_back_to_is_there_after_a_restart(tmp_path: Path) -> None:
    with started(tmp_path) as client:
        id = client.post("/api/runs", json=RUN).json()["id"]
        assert wait_until_rests(client, id)["history"] == {"first": 0, "last": 400}
        paths = [f"/api/runs/{id}/steps/{step}/tensors/conv/w_next" for step in (1, 133, 400)]
        values = [client.get(path).json() for path in paths]
    with started(tmp_path) as client:
        assert client.get(f"/api/runs/{id}").json()["history"] == {"first": 0, "last": 400}
        assert [client.get(path).json() for path in paths] == values
    file = tmp_path / "runs" / id / "history.npz"
    file.write_bytes(file.read_bytes()[:-100])
    with started(tmp_path) as client:
        assert client.get(f"/api/runs/{id}").json()["history"] == {"first": 400, "last": 400}


def test_a_history_is_written_once_the_run_has_rested_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "REST", 0.0)
    with started(tmp_path) as client:
        id = client.post("/api/runs", json=RUN).json()["id"]
        wait_for((tmp_path / "runs" / id / "history.npz").exists)
        assert client.get(f"/api/runs/{id}").json()["state"] == "finished"


def call(server: Server, path: str, method: str, body: Any) -> Any:
    request = urllib.request.Request(
        server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_killed_at_any_moment_every_run_goes_on_with_at_most_two_seconds_lost(tmp_path: Path) -> None:
    body = {"model": "tiny", "steps": 2000, "start": False}
    chance = random.Random(3)
    with serve(tmp_path) as server:
        server.wait_ready()
        unbroken = call(server, "/api/runs", "POST", body | {"start": True})["id"]
        server.wait_until(lambda: server.get(f"/api/runs/{unbroken}")["state"] == "finished", 60, "the run")
        expected = server.get(f"/api/runs/{unbroken}/metrics")
        id = call(server, "/api/runs", "POST", body)["id"]
        call(server, f"/api/runs/{id}", "PATCH", {"state": "running", "pace": 150.0})
        seen = kill(server, id, chance.uniform(0.5, 2))
    with serve(tmp_path) as server:
        server.wait_ready()
        run = server.get(f"/api/runs/{id}")  # what it trained may have been what ended the server
        assert run["step"] >= seen - 300 and run["state"] == "paused" and "did not end in order" in run["notice"]
        call(server, f"/api/runs/{id}", "PATCH", {"state": "running"})
        seen = kill(server, id, chance.uniform(0, 2))
    with serve(tmp_path) as server:
        server.wait_ready()
        assert server.get(f"/api/runs/{id}")["step"] >= seen - 300
        assert server.get(f"/api/runs/{unbroken}/metrics") == expected
        call(server, f"/api/runs/{id}", "PATCH", {"pace": None, "state": "running"})
        server.wait_until(lambda: server.get(f"/api/runs/{id}")["state"] == "finished", 60, "the run")
        assert server.get(f"/api/runs/{id}/metrics") == expected


def kill(server: Server, id: str, seconds: float) -> int:
    """Which step the run had made just before."""
    time.sleep(seconds)
    step = server.get(f"/api/runs/{id}")["step"]
    server.process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    server.process.wait(15)
    return int(step)


def made(folder: Path) -> str:
    with started(folder) as client:
        return str(client.post("/api/runs", json={"model": "tiny", "start": False}).json()["id"])


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def turn_a_bit(content: bytes) -> bytes:
    return content[:400] + bytes([content[400] ^ 1]) + content[401:]


@pytest.mark.parametrize("file", ["plan.npz", "state.npz"])
@pytest.mark.parametrize("damage", [cut, turn_a_bit, lambda _: b"", lambda _: b"{}"])
def test_a_damaged_checkpoint_is_set_aside_with_its_reason_and_the_server_starts(
    tmp_path: Path, file: str, damage: Callable[[bytes], bytes]
) -> None:
    id, other = made(tmp_path), made(tmp_path)
    damaged = tmp_path / "runs" / id / file
    damaged.write_bytes(damage(damaged.read_bytes()))
    with started(tmp_path) as client:
        answer = client.get(f"/api/runs/{id}")
        assert answer.status_code == 404
        assert "cannot be read" in answer.json()["detail"] and str(tmp_path) not in answer.text
        assert client.get(f"/api/runs/{other}").status_code == 200
        assert [(each["id"], each["title"]) for each in client.get("/api/expired").json()] == [
            (id, "Tiny" if file == "state.npz" else "")
        ]
    aside = list((tmp_path / "runs" / "aside").iterdir())
    assert [(each / file).exists() and "cannot be read" in (each / "why.txt").read_text() for each in aside] == [True]


def test_a_run_that_cannot_be_read_now_is_said_and_is_there_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, other = made(tmp_path), made(tmp_path)
    read = RunStorage.read

    def refuse(self: RunStorage, asked: str, name: str) -> bytes | None:
        if (asked, name) == (id, "state.npz"):
            raise OSError(errno.EIO, "the disk says no", str(tmp_path))
        return read(self, asked, name)

    with monkeypatch.context() as patch:
        patch.setattr(RunStorage, "read", refuse)
        with started(tmp_path) as client:
            answer = client.get(f"/api/runs/{id}")
            assert answer.status_code == 404 and "cannot be read (the disk says no)" in answer.json()["detail"]
            assert str(tmp_path) not in answer.text
            assert client.get(f"/api/runs/{other}").status_code == 200
    with started(tmp_path) as client:
        assert client.get(f"/api/runs/{id}").status_code == 200 and client.get("/api/expired").json() == []


def test_a_run_whose_data_set_is_away_is_there_again_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "datasets" / "own"
    folder.mkdir(parents=True)
    for split in ("train", "t10k"):
        images, labels = bytes(range(32)), bytes([0, 1])
        (folder / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, 2, 4, 4) + images)
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, 2) + labels)
    body = {"network": DROPPING["network"], "dataset": "own", "batch_size": 2, "steps": 3}
    with started(tmp_path) as client:
        id = client.post("/api/runs", json=body).json()["id"]
        run = wait_until_rests(client, id)
    folder.rename(tmp_path / "away")
    with started(tmp_path) as client:
        answer = client.get(f"/api/runs/{id}")
        assert answer.status_code == 404 and "there is no data set 'own'" in answer.json()["detail"]
        assert [each["title"] for each in client.get("/api/expired").json()] == [run["title"]]
    (tmp_path / "away").rename(folder)
    with started(tmp_path) as client:
        assert client.get(f"/api/runs/{id}").json()["step"] == 3 and client.get("/api/expired").json() == []


def test_a_run_is_on_disk_as_running_when_its_making_is_answered(tmp_path: Path) -> None:
    with started(tmp_path) as client:
        client.app.state.context.writer.stop()  # type: ignore[attr-defined]
        client.app.state.context.writer.join()  # type: ignore[attr-defined]
        id = client.post("/api/runs", json=RUN).json()["id"]
        document, _ = bundle.unpack((tmp_path / "runs" / id / "state.npz").read_bytes())
    assert document["standing"]["state"] == "running"


def test_what_a_checkpoint_of_another_network_holds_is_not_taken(tmp_path: Path) -> None:
    id = made(tmp_path)
    file = tmp_path / "runs" / id / "state.npz"
    document, arrays = bundle.unpack(file.read_bytes())
    name = next(name for name in arrays if name.startswith("state/parameters/"))
    file.write_bytes(bundle.pack(document, arrays | {name: arrays[name][:1, ..., :1]}))
    with started(tmp_path) as client:
        assert client.get(f"/api/runs/{id}").status_code == 404


def test_pickles_are_not_read(tmp_path: Path) -> None:
    import numpy as np

    content = tmp_path / "x.npz"
    np.savez(content, x=np.array([{}], dtype=object))
    with pytest.raises(bundle.Damaged):
        bundle.unpack(content.read_bytes())


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EACCES])
def test_a_disk_that_takes_nothing_is_said_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(file: Path, content: bytes) -> None:
        raise OSError(reason, "the disk says no", str(file))

    with started(tmp_path) as client:
        with monkeypatch.context() as patch:
            patch.setattr(storage, "write_whole", refuse)
            id = client.post("/api/runs", json=RUN).json()["id"]
            run = wait_until_rests(client, id)
            assert run["state"] == "finished" and "not being saved (the disk says no)" in run["notice"]
            assert str(tmp_path) not in run["notice"]
            time.sleep(0.1)
        assert sum("cannot be saved" in record.message for record in caplog.records) == 1
        wait_for(lambda: "notice" not in client.get(f"/api/runs/{id}").json())
    with started(tmp_path) as client:
        assert client.get(f"/api/runs/{id}").json()["step"] == RUN["steps"]


def test_a_file_is_whole_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    write_whole(file, b"old")

    def fail(number: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(storage.os, "fsync", fail)
    with pytest.raises(OSError):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old" and list(tmp_path.iterdir()) == [file]


def test_a_run_killed_while_it_is_removed_is_none_any_more(tmp_path: Path) -> None:
    id = made(tmp_path)
    (tmp_path / "runs" / id / "plan.npz").unlink()
    with started(tmp_path) as client:
        assert client.get(f"/api/runs/{id}").status_code == 404
        assert not (tmp_path / "runs" / id).exists()


def test_the_oldest_resting_run_goes_when_all_take_too_much_room_and_it_is_said_why(tmp_path: Path) -> None:
    first = made(tmp_path)
    with started(tmp_path, limits=Limits(stored_bytes=1000)) as client:
        wait_for(lambda: client.get(f"/api/runs/{first}").status_code == 404)
        assert "stored_bytes" in client.get(f"/api/runs/{first}").json()["detail"]
        gone = client.get("/api/expired").json()
        assert [(each["id"], each["title"]) for each in gone] == [(first, "Tiny")] and "stored_bytes" in gone[0]["why"]
    with started(tmp_path) as client:
        assert client.get(f"/api/runs/{first}").status_code == 404


def test_a_run_that_has_rested_for_too_long_goes(tmp_path: Path) -> None:
    id = made(tmp_path)
    with started(tmp_path, limits=Limits(run_days=0)) as client:
        wait_for(lambda: client.get(f"/api/runs/{id}").status_code == 404)
        assert "run_days" in client.get(f"/api/runs/{id}").json()["detail"]
    assert not (tmp_path / "runs" / id).exists()


def test_of_what_went_only_the_newest_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "REMEMBERED", 3)
    kept = RunStorage(tmp_path)
    for id in "abcde":
        kept.note(id, "", "for a test")
    assert [each.id for each in RunStorage(tmp_path).gone()] == ["c", "d", "e"]


def test_a_second_server_with_the_same_folder_is_told_so(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        command = [sys.executable, "-m", "app", "--no-open", "--port", "0", "--data", str(tmp_path)]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert second.returncode == 1
        assert f"already running with {tmp_path} (process {server.pid}, at {server.url}/)" in second.stderr
        assert "--data" in second.stderr and len(second.stderr.splitlines()) == 1
        assert server.read("/healthz")


def test_only_whoever_made_a_shared_run_can_change_it_after_a_restart_too(tmp_path: Path) -> None:
    with started(tmp_path, shared=True) as client:
        run = client.post("/api/runs", json={"model": "tiny", "start": False}).json()
        path, right = f"/api/runs/{run['id']}", {"Authorization": f"Bearer {run['token']}"}
        assert "token" not in client.get(path).json()
        other = client.post("/api/runs", json={"model": "tiny", "start": False}).json()
    with started(tmp_path, shared=True) as client:
        for wrong in ({}, {"Authorization": f"Bearer {other['token']}"}, {"Authorization": f"Basic {run['token']}"}):
            answers = [
                client.patch(path, json={"state": "paused"}, headers=wrong),
                client.post(f"{path}/step", json={"count": 1}, headers=wrong),
                client.delete(path, headers=wrong),
            ]
            assert [answer.status_code for answer in answers] == [403] * 3
            assert all(answer.json()["type"].endswith(":token") for answer in answers)
        assert client.get(f"{path}/metrics").status_code == 200
        assert client.post(f"{path}/step", json={"count": 1}, headers=right).status_code == 202
        assert wait_until_rests(client, run["id"])["step"] == 1
        assert client.delete(path, headers=right).status_code == 204
    token = run["token"].encode()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and token in file.read_bytes()]
