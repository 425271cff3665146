"""What a technician takes from here: the container's recipe, the lock of its packages, the proxies' examples."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.server import Server, free_port, serve
from tests.tools import ROOT

LOCKED = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)(?: ; ([^\\]+?))? \\$", re.M)
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log warn; worker_processes 1;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {once}
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""


def locked(name: str) -> dict[str, list[str]]:
    """The versions of each package that a lock allows."""
    found: dict[str, list[str]] = {}
    for package, version, _ in LOCKED.findall((ROOT / ".build" / name).read_text("utf-8")):
        found.setdefault(package, []).append(version)
    return found


def test_every_dependency_is_locked_in_a_version_that_the_project_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    packages = locked("requirements.txt")
    for line in project["dependencies"]:
        wanted = Requirement(line)
        assert packages.get(wanted.name), wanted.name
        assert all(Version(each) in wanted.specifier for each in packages[wanted.name]), wanted


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt"])
def test_every_locked_package_has_hashes_and_no_host(name: str) -> None:
    text = (ROOT / ".build" / name).read_text("utf-8")
    entries = re.split(r"\n(?=\S)", text)[1:]
    assert len(entries) == len(LOCKED.findall(text)) > 5
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert "://" not in text


def test_options_after_the_images_name_are_added_to_its_own() -> None:
    assert "\nCMD" not in DOCKERFILE and "CONVSCOPE_HOST=0.0.0.0" in DOCKERFILE
    assert json.loads(re.findall(r"ENTRYPOINT (\[.*\])", DOCKERFILE)[0]) == ["convscope-start"]


def test_the_health_check_asks_the_port_that_the_server_has() -> None:
    assert '"doctor", "--health"' in DOCKERFILE and "8000/healthz" not in DOCKERFILE


def test_the_files_of_the_page_for_technicians_are_there() -> None:
    text = (ROOT / ".deploy/README.md").read_text("utf-8")
    named = set(re.findall(r"\]\(([\w.-]+)\)", text)) | set(re.findall(r"\.deploy/([\w.-]+)", text))
    assert named >= {"compose.yaml", "convscope.service", "nginx.conf", "nginx-http.conf", "Caddyfile"}
    assert not [name for name in named if not (ROOT / ".deploy" / name).is_file()]


@pytest.fixture(scope="module")
def behind_nginx(tmp_path_factory: pytest.TempPathFactory, warmed: Path) -> Iterator[tuple[Server, int]]:
    """A server behind nginx as .deploy/nginx.conf has it."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if not nginx:
        pytest.skip("no nginx on this machine")
    folder = tmp_path_factory.mktemp("nginx")
    options = ["--root-path", "/cnn", "--trusted-proxy", "127.0.0.1", "--allow-host", "school.example"]
    port = free_port()
    with serve(folder, *options) as server:
        location = (ROOT / ".deploy/nginx.conf").read_text("utf-8").replace("http://127.0.0.1:8000", server.url)
        once = (ROOT / ".deploy/nginx-http.conf").read_text("utf-8")
        (folder / "nginx.conf").write_text(
            NGINX.format(folder=folder, once=once, port=port, location=location), encoding="utf-8"
        )
        process = subprocess.Popen([nginx, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")])
        try:
            server.wait_until(lambda: ask(port, "/cnn/healthz").startswith(b"HTTP/1.1 200"), 20, "nginx")
            yield server, port
        finally:
            process.terminate()
            process.wait(10)


def ask(port: int, path: str, *headers: str) -> bytes:
    """The first bytes of what nginx answers, its whole answer where it ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        lines = [f"GET {path} HTTP/1.1", "Host: school.example", *(headers or ["Connection: close"]), "", ""]
        connection.sendall("\r\n".join(lines).encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
            head, end, _ = answer.partition(b"\r\n\r\n")
            if end and (b"text/event-stream" in head or b" 101 " in head):
                break
        return answer


def test_pages_and_the_api_pass_below_their_path(behind_nginx: tuple[Server, int]) -> None:
    _, port = behind_nginx
    for path in ("/cnn/", "/cnn/static/js/main.js", "/cnn/api/limits", "/cnn/docs"):
        assert ask(port, path).startswith(b"HTTP/1.1 200"), path
    assert b'"url":"/cnn"' in ask(port, "/cnn/openapi.json").replace(b" ", b"")


def test_sockets_and_event_streams_pass(behind_nginx: tuple[Server, int]) -> None:
    server, port = behind_nginx
    server.wait_ready()
    server.wait_until(lambda: server.get("/cnn/api/runs"), 60, "the first run")
    run = server.get("/cnn/api/runs")[0]["id"]
    upgrade = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Origin: http://school.example",
    ]
    assert b" 101 " in ask(port, f"/cnn/api/runs/{run}/stream", *upgrade)
    foreign = [*upgrade[:-1], "Origin: http://evil.example", "Connection: close"]
    assert b" 403 " in ask(port, f"/cnn/api/runs/{run}/stream", *foreign)
    assert b"text/event-stream" in ask(port, f"/cnn/api/runs/{run}/events")
