"""Behind proxies of every kind: with the prefix taken away or not, with Host changed, trusted or not."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Message

from app.http.forwarded import networks, prefix_of
from app.limits import Limits
from app.main import notes, parse
from app.server import create_app
from app.settings import Settings
from tests.app.conftest import wait_for
from tests.server import Server

PROXY, PUPIL = ("10.0.0.1", 4000), ("10.9.9.9", 4000)


@contextmanager
def served(folder: Path, peer: tuple[str, int] = PROXY, **settings: Any) -> Iterator[TestClient]:
    app = create_app(Settings(folder, warm=False, welcome_steps=0, **settings))
    with TestClient(app, "http://localhost", raise_server_exceptions=False, client=peer) as client:
        wait_for(lambda: client.get("/api/runs").status_code == 200)
        yield client


@pytest.mark.parametrize("taken_away", [True, False])
def test_below_a_prefix_everything_is_found_whether_the_proxy_takes_it_away_or_not(
    tmp_path: Path, warmed: Path, taken_away: bool
) -> None:
    before = "" if taken_away else "/convscope"
    with served(tmp_path, root_path="/convscope") as client:
        page = client.get(f"{before}/")
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        for path in ("/static/js/main.js", "/static/vendor/preact.js", "/static/css/base.css", "/healthz", "/docs"):
            assert client.get(before + path).status_code == 200, path
        assert "http://localhost/convscope/api/ops/conv2d/backward" in client.get(f"{before}/docs").text
        assert client.get(f"{before}/openapi.json").json()["servers"] == [{"url": "/convscope"}]
        made = client.post(f"{before}/api/runs", json={"model": "tiny", "start": False})
        assert made.headers["location"] == f"/convscope/api/runs/{made.json()['id']}"
        assert client.get(made.headers["location"]).status_code == 200
        assert client.get(f"{before}/nowhere").status_code == 404
        icon = client.get(f"{before}/favicon.ico", follow_redirects=False)
        assert icon.headers["location"] == "/convscope/static/icon.svg"
        with client.websocket_connect(f"ws://localhost{before}/api/runs/{made.json()['id']}/stream") as socket:
            socket.send_json({"subscribe": ["conv/y"]})
            assert socket.receive_bytes()


def test_a_prefix_without_its_slash_leads_to_the_page(tmp_path: Path, warmed: Path) -> None:
    with served(tmp_path, root_path="/convscope") as client:
        answer = client.get("/convscope", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (308, "/convscope/")
        shared = client.get("/convscope?run=a%20b&step=3", follow_redirects=False)
        assert shared.headers["location"] == "/convscope/?run=a%20b&step=3"


def test_only_a_trusted_proxy_is_believed(tmp_path: Path, warmed: Path) -> None:
    told = {"X-Forwarded-Prefix": "/lab", "X-Forwarded-Host": "school.example", "X-Forwarded-Proto": "https"}
    with served(tmp_path, trusted_proxies=("10.0.0.0/24",), allow_hosts=("school.example",)) as client:
        assert "https://school.example/lab/api/ops" in client.get("/docs", headers=told).text
        origin = {"Origin": "https://school.example"}
        assert client.post("/api/ops/relu/forward", json={}, headers=told | origin).status_code == 422
        assert client.post("/api/ops/relu/forward", json={}, headers=origin).status_code == 403
        evil = client.post("/api/runs", json={"model": "tiny"}, headers={"X-Forwarded-Prefix": "//evil.example"})
        assert evil.headers["location"].startswith("/api/runs/")
    with served(tmp_path, PUPIL, trusted_proxies=("10.0.0.0/24",)) as client:
        page = client.get("/docs", headers=told).text
        assert "http://localhost/api/ops" in page and "school.example" not in page


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("10.1.1.1", "10.1.1.1"),
        ("1.2.3.4, 10.1.1.1", "10.1.1.1"),  # what the sender wrote itself stands on the left
        ("10.1.1.1, 10.0.0.7", "10.1.1.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:10.1.1.2", "10.1.1.2"),
        ("nonsense", "10.0.0.1"),
        ("10.1.1.1, nonsense", "10.0.0.1"),
    ],
)
def test_the_sender_is_the_last_that_is_no_trusted_proxy(
    tmp_path: Path, warmed: Path, line: str, expected: str
) -> None:
    with served(tmp_path, trusted_proxies=("10.0.0.0/24",)) as client:
        made = client.post("/api/runs", json={"model": "tiny"}, headers={"X-Forwarded-For": line}).json()
        assert client.app.state.context.runs.get(made["id"]).client == expected  # type: ignore[attr-defined]


def test_hosts_are_allowed_by_pattern_and_a_refusal_names_its_remedy_once(
    tmp_path: Path, warmed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path, allow_hosts=("*.example.org",)) as client, caplog.at_level(logging.WARNING, "convscope"):
        assert client.get("/healthz", headers={"Host": "cnn.example.org"}).status_code == 200
        for host in ("example.org", "cnn.example.org.evil.net", "cnn.example.org.evil.net"):
            refused = client.get("/healthz", headers={"Host": host})
            assert refused.status_code == 400 and f"--allow-host {host}" in refused.json()["detail"]
        foreign = client.post("/api/ops/relu/forward", json={}, headers={"Origin": "https://a.example"})
        assert foreign.status_code == 403 and "--allow-origin https://a.example" in foreign.json()["detail"]
    told = [record.getMessage() for record in caplog.records if "was refused" in record.getMessage()]
    assert len(told) == 3 and all("10.0.0.1" not in line for line in told)


def test_pages_of_an_allowed_origin_may_use_the_api(tmp_path: Path, warmed: Path) -> None:
    origin = {"Origin": "https://notes.example.org"}
    with served(tmp_path, allow_origins=("https://notes.example.org",)) as client:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        before = client.options("/api/ops/relu/forward", headers=origin | asked)
        assert before.headers["access-control-allow-origin"] == origin["Origin"]
        answer = client.post("/api/ops/relu/forward", json={"tensors": {"x": [1, -1]}}, headers=origin)
        assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == origin["Origin"]
        made = client.post("/api/runs", json={"model": "tiny"}, headers=origin)
        shown = made.headers["access-control-expose-headers"].lower().split(", ")
        assert {"location", "etag", "retry-after", "x-request-id", "content-disposition"} <= set(shown)
        other = client.post("/api/ops/relu/forward", json={"tensors": {"x": [1]}}, headers={"Origin": "https://b.org"})
        assert other.status_code == 403 and "access-control-allow-origin" not in other.headers


def test_a_public_url_is_where_the_pages_say_they_are(tmp_path: Path, warmed: Path) -> None:
    with served(tmp_path, public_url="https://school.example/cnn/") as client:
        assert "https://school.example/cnn/api/ops" in client.get("/docs").text
        assert client.get("/healthz", headers={"Host": "school.example"}).status_code == 200
        made = client.post("/api/runs", json={"model": "tiny", "start": False})
        assert made.headers["location"].startswith("/cnn/api/runs/")
        for origin, status in (("https://school.example", 422), ("https://school.example.evil.net", 403)):
            posted = client.post("/api/ops/relu/forward", json={}, headers={"Origin": origin})
            assert posted.status_code == status, origin  # the proxy has changed Host to localhost
            assert "access-control-allow-origin" not in posted.headers


def test_every_option_is_an_environment_variable_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ALLOW_HOST": "a.example *.b.example", "TRUSTED_PROXY": "10.0.0.0/8 ::1", "ROOT_PATH": "lab/",
        "PUBLIC_URL": "https://x.example", "SHARED": "1", "NO_OPEN": "0", "THREADS": "3", "ALLOW_ORIGIN": "https://c.example",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"CONVSCOPE_{name}", value)
    settings = parse(["--threads", "2", "--allow-host", "d.example"])
    assert settings.allow_hosts == ("a.example", "*.b.example", "d.example")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1") and settings.allow_origins == ("https://c.example",)
    assert (settings.root_path, settings.public_url) == ("/lab", "https://x.example")
    assert settings.shared and settings.open_browser and settings.threads == 2


@pytest.mark.parametrize("option", [["--trusted-proxy", "school"], ["--root-path", "/a b"], ["--root-path", "//x"]])
def test_an_option_that_is_none_is_said(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(option)
    assert option[0] in capsys.readouterr().err


def test_prefixes_and_networks_are_checked() -> None:
    assert [prefix_of(each) for each in ("", "/", "a/b/", "/a")] == ["", "", "/a/b", "/a"]
    assert len(networks(["10.1.2.3/8", "::1"])) == 2


def test_the_start_says_what_is_open_and_what_is_not_kept(tmp_path: Path) -> None:
    assert notes(Settings(tmp_path), 8000) == []
    open_ = notes(Settings(tmp_path, host="0.0.0.0"), 8000)
    assert any("--shared" in line for line in open_)
    assert not any("--shared" in line for line in notes(Settings(tmp_path, host="0.0.0.0", shared=True), 8000))
    (tmp_path / "file").write_text("", encoding="utf-8")
    (line,) = notes(Settings(tmp_path / "file" / "data"), 8000)
    assert "cannot be written" in line and "--data" in line


def test_where_no_socket_opens_there_are_frames_and_events(client: TestClient) -> None:
    plain = client.get("/api/runs/welcome/stream")
    assert (
        plain.status_code == 426 and plain.headers["upgrade"] == "websocket" and ".../events" in plain.json()["detail"]
    )
    frame = client.get("/api/runs/welcome/frame", params={"tensors": "conv1/y,conv1/dw"})
    assert frame.status_code == 200 and frame.headers["content-type"] == "application/x-convscope-frame"
    length = int.from_bytes(frame.content[:4], "little")
    header = json.loads(frame.content[4 : 4 + length])
    assert header["step"] == 6 and [block["layer"] for block in header["tensors"]] == ["conv1", "conv1"]
    same = client.get(
        "/api/runs/welcome/frame",
        params={"tensors": "conv1/y,conv1/dw"},
        headers={"If-None-Match": frame.headers["etag"]},
    )
    assert same.status_code == 304
    assert client.get("/api/runs/welcome/frame", params={"tensors": "conv9/y"}).status_code == 404
    assert client.get("/api/runs/nobody/stream").status_code == 404


def test_events_say_step_and_state_and_count_as_watching(server: Server) -> None:
    server.wait_ready()
    with urllib.request.urlopen(f"{server.url}/api/runs/welcome/events", timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        first = answer.readline()
    assert json.loads(first.removeprefix(b"data: ")) == {"step": 120, "state": "paused"}


@pytest.mark.parametrize(
    ("encoding", "pack", "status"),
    [
        ("gzip", gzip.compress, 200),
        ("deflate", zlib.compress, 200),
        ("identity", bytes, 200),
        ("br", bytes, 415),
        ("gzip", bytes, 400),
        ("gzip", lambda body: gzip.compress(body + b" " * 5_000_000), 413),
        ("gzip", lambda body: gzip.compress(b" " * 300_000_000), 413),
    ],
)
def test_a_body_may_be_packed_within_the_limit(client: TestClient, encoding: str, pack: Any, status: int) -> None:
    body = json.dumps({"tensors": {"x": [1, -2]}}).encode()
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    answer = client.post("/api/ops/relu/forward", content=pack(body), headers=headers)
    assert answer.status_code == status, answer.text


def test_one_client_cannot_take_all_viewers(tmp_path: Path, warmed: Path) -> None:
    limits = Limits().adjusted(["viewers_per_client=2"])
    with served(tmp_path, limits=limits) as client:
        id = client.post("/api/runs", json={"model": "tiny", "start": False}).json()["id"]
        path = f"ws://localhost/api/runs/{id}/stream"
        with client.websocket_connect(path), client.websocket_connect(path):
            with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(path):
                pass
            assert refused.value.status_code == 429
            why = client.get(f"/api/runs/{id}/stream")
            assert why.status_code == 429 and "2 streams are open" in why.json()["detail"]
        assert client.get(f"/api/runs/{id}/stream").status_code == 426
        with client.websocket_connect(path):
            pass


@pytest.mark.parametrize("sent", [0, 1, 2])
def test_events_that_nobody_reads_any_more_give_their_place_back(tmp_path: Path, warmed: Path, sent: int) -> None:
    """Whether the reader goes before the answer has begun, after its head or after the first event."""

    async def read(app: Any, path: str) -> None:
        left = sent

        async def send(message: Message) -> None:
            nonlocal left
            if not left:
                raise OSError("the reader has gone")
            left -= 1

        async def receive() -> Message:
            await asyncio.sleep(60)
            return {"type": "http.disconnect"}

        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
        }
        scope |= {"headers": [(b"host", b"localhost")], "client": ("10.0.0.1", 5), "server": ("localhost", 80)}
        scope |= {"http_version": "1.1", "scheme": "http", "root_path": "", "asgi": {"spec_version": "2.4"}}
        with suppress(Exception):
            await app(scope, receive, send)

    with served(tmp_path) as client:
        context = client.app.state.context  # type: ignore[attr-defined]
        run = context.runs.get(client.post("/api/runs", json={"model": "tiny", "start": False}).json()["id"])
        assert client.portal is not None
        client.portal.call(read, client.app, f"/api/runs/{run.id}/events")
        assert context.viewers.total() == 0 and len(run.hub) == 0
