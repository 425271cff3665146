"""The command line: where it listens, what it says, where its data goes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from app.main import FIRST_PORT, address, listen, parse
from app.settings import default_data_dir, keep_kernels_in
from tests.server import Server


def test_what_is_left_out_takes_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVSCOPE_DATA", "/somewhere/else")
    settings = parse([])
    assert (settings.host, settings.port, settings.open_browser) == ("127.0.0.1", None, True)
    assert settings.data_dir == Path("/somewhere/else") == default_data_dir()


def test_every_option_is_read(tmp_path: Path) -> None:
    line = (
        f"--host ::1 --port 9000 --no-open --data {tmp_path} --allow-host a.example --allow-host b.example --threads 3"
    )
    settings = parse(line.split())
    assert (settings.host, settings.port, settings.open_browser) == ("::1", 9000, False)
    assert settings.data_dir == tmp_path and settings.allow_hosts == ("a.example", "b.example")
    assert settings.threads == 3 and parse([]).threads is None


def test_limits_are_adjusted_by_option_and_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVSCOPE_LIMITS", "runs=3 layers=50")
    limits = parse(["--limit", "runs=4", "--limit", "batch_size=8"]).limits
    assert (limits.runs, limits.layers, limits.batch_size) == (4, 50, 8)
    assert limits.document()["runs"]["value"] == 4


@pytest.mark.parametrize(
    "line",
    ["--port x", "--port 70000", "--port -1", "--nonsense", "--limit cats=3", "--limit runs", "--limit runs=0",
     "--threads 0", "--threads x",
     "--limit runs=1e3"],
)  # fmt: skip
def test_a_wrong_option_is_refused(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(line.split())
    assert "usage" in capsys.readouterr().err


def test_a_busy_port_that_was_asked_for_is_said_clearly() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SystemExit) as caught:
            listen("127.0.0.1", port)
    assert f"port {port}" in str(caught.value) and "--port" in str(caught.value)


def test_without_a_port_the_next_free_one_is_taken() -> None:
    with listen("127.0.0.1", None) as first, listen("127.0.0.1", None) as second:
        assert FIRST_PORT <= first.getsockname()[1] < second.getsockname()[1]


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:8/"), ("0.0.0.0", "http://localhost:8/"), ("::", "http://localhost:8/"),
     ("::1", "http://[::1]:8/"), ("box.example", "http://box.example:8/")],
)  # fmt: skip
def test_the_address_is_one_that_a_browser_here_can_open(host: str, url: str) -> None:
    assert address(host, 8) == url


def test_one_friendly_line_names_the_address(server: Server) -> None:
    lines = server.tail().splitlines()
    assert lines[0].startswith("Convscope is at http://127.0.0.1:")


def test_kernels_go_into_the_data_folder_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    assert keep_kernels_in(tmp_path) == ""
    assert Path(os.environ["NUMBA_CACHE_DIR"]) == tmp_path / "numba"


@pytest.mark.parametrize("named", ["", "numba"])
def test_a_data_folder_that_cannot_be_written_is_said_in_one_line_and_a_temporary_one_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    file = tmp_path / "file"  # nobody, not even root, can make a folder in a file
    file.touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(file / named) if named else "")
    complaint = keep_kernels_in(file)
    taken = Path(os.environ["NUMBA_CACHE_DIR"])
    assert str(file / "numba") in complaint and str(taken) in complaint and len(complaint.splitlines()) == 1
    assert taken.is_dir() and not list(taken.iterdir())
    taken.rmdir()
