"""The application in process: started once, with a short welcome run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.server import create_app
from app.settings import Settings

WELCOME_STEPS = 6


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory, warmed: Path) -> Iterator[TestClient]:
    """A server's own error is answered with 500 here, as it would be outside, and not raised."""
    settings = Settings(tmp_path_factory.mktemp("data"), warm=False, welcome_steps=WELCOME_STEPS)
    with TestClient(create_app(settings), "http://localhost", raise_server_exceptions=False) as client:
        wait_for(lambda: client.get("/api/status").json()["ready"])
        yield client


def wait_for(question: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def wait_until_rests(client: TestClient, id: str) -> dict[str, Any]:
    """The run, once it no longer trains."""
    wait_for(lambda: client.get(f"/api/runs/{id}").json()["state"] != "running")
    return client.get(f"/api/runs/{id}").json()


@pytest.fixture
def train(client: TestClient) -> Iterator[Callable[..., dict[str, Any]]]:
    """Makes a run, waits until it rests, and deletes it after the test."""
    made = []

    def make(wait: bool = True, **body: Any) -> dict[str, Any]:
        answer = client.post("/api/runs", json=body)
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["id"])
        return wait_until_rests(client, made[-1]) if wait else answer.json()

    yield make
    for id in made:
        client.delete(f"/api/runs/{id}")
