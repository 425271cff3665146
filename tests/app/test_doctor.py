"""`python -m app doctor`: what is in the way is found, and the remedy named."""

from __future__ import annotations

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import doctor
from app.runs import storage
from engine.fast.thread_pool import cores
from tests.server import serve
from tests.tools import ROOT


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONVSCOPE_PORT", "NUMBA_CACHE_DIR", "no_proxy", "NO_PROXY", *doctor.PROXIES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def port() -> Iterator[int]:
    """A port that somebody else has and at which nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(0)
        yield taken.getsockname()[1]


def test_a_sound_machine_gets_no_complaint_and_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--data", str(tmp_path)], ROOT / "static") == 0
    lines = capsys.readouterr().out.splitlines()
    found = {line.split()[1]: line.split()[0] for line in lines if not line.startswith(" ")}
    assert set(found) >= {
        "python",
        "packages",
        "cpu",
        "memory",
        "data",
        "kernels",
        "parts",
        "proxy",
        "browser",
        "server",
    }
    assert "bad" not in found.values() and found["kernels"] == "note"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_bad(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    found = doctor.folder(file)
    assert found.state == "bad" and str(file) in found.detail and "--data" in found.remedy


def test_missing_parts_are_named(tmp_path: Path) -> None:
    found = doctor.parts(tmp_path)
    assert found.state == "bad" and str(tmp_path / "vendor") in found.detail


def test_a_proxy_between_this_machine_and_itself_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.school.example:3128")
    assert doctor.proxies().state == "note" and "no_proxy" in doctor.proxies().remedy
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    assert doctor.proxies().state == "ok"


def test_a_port_that_is_taken_is_told(port: int) -> None:
    found = doctor.free_port(port)
    assert found.state == "note" and str(port) in found.detail


def test_the_server_of_the_folder_is_found_at_whatever_port_it_has(tmp_path: Path) -> None:
    assert doctor.main(["--health", "--data", str(tmp_path), "--port", "1"], ROOT / "static") == 1
    with serve(tmp_path) as server:
        assert storage.announced(tmp_path).startswith(server.url)
        assert doctor.main(["--health", "--data", str(tmp_path), "--port", "1"], ROOT / "static") == 0


def test_another_program_at_the_port_is_not_taken_for_the_server(tmp_path: Path) -> None:
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        found = doctor.server(tmp_path, other.server_port)
        other.shutdown()
    assert found.state == "bad" and "404" in found.detail


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="only where files have owners")
def test_a_volume_of_another_user_is_told_with_both_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app import main

    monkeypatch.setattr(os, "getuid", lambda: 10001)
    assert main.owners(tmp_path).startswith(f"it belongs to user {tmp_path.stat().st_uid} and this server runs as user")
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid)
    assert main.owners(tmp_path) == ""


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_threads_are_no_more_than_the_cores_that_a_container_may_use(
    tmp_path: Path, files: dict[str, str], most: int | None
) -> None:
    bound = cores(tmp_path / "none")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n", encoding="utf-8")
    assert cores(tmp_path) == (bound if most is None else min(bound, most))
