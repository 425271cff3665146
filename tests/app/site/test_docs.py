"""The pages for programmers: everything that is there is on them, and everything on them runs."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from app.api import schemas
from app.site import paths
from engine.ops import OPS
from engine.optimizers import OPTIMIZERS
from tests.server import Server

EXAMPLES = sorted((paths.templates_dir() / "examples").glob("*.py"))
SHORTER = sorted((paths.templates_dir() / "examples" / "client").glob("*.py"))


@pytest.fixture(scope="module")
def page(client: TestClient) -> str:
    return client.get("/docs").text


def blocks(page: str, kind: str) -> list[str]:
    return [html.unescape(found) for found in re.findall(rf'<pre class="{kind}"[^>]*>(.*?)</pre>', page, re.S)]


def forms(page: str) -> Iterator[tuple[str, str, str]]:
    """Method, address and body of every call that the page can make."""
    for method, form in re.findall(r'<form class="try" data-method="(\w+)"(.*?)</form>', page, re.S):
        (address,) = re.findall(r'name="address" value="([^"]*)"', form)
        body = re.findall(r"<textarea[^>]*>(.*?)</textarea>", form, re.S)
        yield method, html.unescape(address), html.unescape(body[0]) if body else ""


def test_every_operator_optimizer_and_call_is_on_the_page(client: TestClient, page: str) -> None:
    for name in (*OPS, *OPTIMIZERS):
        assert page.count(f'<section id="{name}" class="operator"') == 1
    document = client.get("/openapi.json").json()
    for path, item in document["paths"].items():
        for method in item:
            heading = f'<span class="method">{method.upper()}</span> <code>{html.escape(path)}</code>'
            assert page.count(heading) == 1, path
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="docs#([^"]+)"', page)) <= set(ids)


def answered_as(document: Any, method: str, path: str) -> Any:
    """The type that an operation says it answers in JSON, None where it answers none."""
    for template, item in document["paths"].items():
        pattern = re.sub(r"{place}", ".+", re.sub(r"{(?!place)\w+}", "[^/]+", template))
        if re.fullmatch(pattern, path) and method.lower() in item:
            (said,) = [each for status, each in item[method.lower()]["responses"].items() if status.startswith("2")]
            schema = said.get("content", {}).get("application/json", {}).get("schema")
            break
    else:
        raise AssertionError(f"{method} {path} is not described")

    def kind(schema: Any) -> Any:
        return getattr(schemas, schema["$ref"].rpartition("/")[2])

    if schema is None:
        return None
    if schema.get("type") == "array":
        return list[kind(schema["items"])]  # type: ignore[misc]
    return kind(schema) if "$ref" in schema else dict[str, kind(schema["additionalProperties"])]  # type: ignore[misc]


def test_every_call_on_the_page_runs_and_answers_what_it_says(client: TestClient, page: str) -> None:
    document = client.get("/openapi.json").json()
    own = client.post("/api/runs", json={"model": "classroom", "steps": 9, "start": False}).json()["id"]
    made = client.post(f"/api/runs/{own}/passes", json={"dataset": "mnist", "index": 0}).json()["id"]
    network = {"input": [4], "layers": [{"name": "fc", "op": "linear", "settings": {"out": 2}}]}
    model = client.post("/api/networks/import", json=network).json()["id"]
    data = client.post("/api/datasets", json={"x": [[[0, 1], [1, 0]]], "target": [0]}).json()["name"]
    room = client.post("/api/rooms", json={}).json()["code"]
    # Nothing has gone that could be restored; who leads a room does not answer, and keeps no list.
    refused = {"/api/expired/YOUR-RUN/restore": 409, f"/api/rooms/{room}/questions/1/answer": 403}
    refused[f"/api/rooms/{room}/answers"] = 409
    tried, last = 0, []
    for method, address, body in forms(page):
        path = address.replace("YOUR-RUN", own).replace("welcome/passes/YOUR-PASS", f"{own}/passes/{made}")
        path = path.replace("/steps/120/", "/steps/1/").replace("YOUR-IMPORT", model).replace("YOUR-DATA", data)
        path = path.replace("YOUR-ROOM", room)
        if method == "DELETE":
            last.append(path)
            continue
        content = {"content": body, "headers": {"Content-Type": "application/json"}} if body else {}
        answer = client.request(method, path, **content)  # type: ignore[arg-type]
        if status := refused.get(path.replace(own, "YOUR-RUN")):
            assert answer.status_code == status, (method, path, answer.text)
            continue
        assert answer.status_code < 300, (method, path, answer.text)
        if (kind := answered_as(document, method, path.partition("?")[0])) is not None:
            TypeAdapter(kind).validate_python(answer.json())
        tried += 1
        if path == "/api/runs" and method == "POST":
            client.delete(answer.headers["location"])
        if path == "/api/rooms":
            last_room = answer.json()["code"]
    assert tried > len(OPS) + len(OPTIMIZERS) + 30
    assert [client.delete(path).status_code for path in last] == [204, 204]
    for code in (room, last_room):
        assert client.post(f"/api/rooms/{code}/messages", json={"end": True}).json() == {"ok": "end"}


def test_curl_and_python_make_the_same_call_as_the_page(page: str) -> None:
    calls = list(forms(page))
    curls, pythons = blocks(page, "curl"), blocks(page, "python")
    assert len(calls) == len(curls) == len(pythons)
    for (method, address, body), curl, python in zip(calls, curls, pythons, strict=True):
        words = [word for word in shlex.split(curl) if word.strip()]
        assert f"http://localhost{address}" in words and f'"http://localhost{address}"' in python
        assert method == (words[words.index("-X") + 1] if "-X" in words else "GET")
        assert bool(body) == ("-d" in words)
        if body:
            assert json.loads(words[words.index("-d") + 1]) == json.loads(body) == said(python)


def said(python: str) -> Any:
    """The body of a Python example."""
    found: dict[str, Any] = {}
    exec(python.partition("request = ")[0], found)
    return found["body"]


def test_the_python_of_the_page_runs(server: Server) -> None:
    server.wait_ready()
    page = server.read("/docs").decode()
    examples = [each for each in blocks(page, "python") if "YOUR-" not in each and '/api/runs"' not in each]
    done = subprocess.run([sys.executable, "-c", "\n\n".join(examples)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(examples)


def test_arrays_go_and_come_as_the_page_says(server: Server) -> None:
    server.wait_ready()
    (code,) = blocks(server.read("/docs").decode(), "npz")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "(4, 3, 3, 3)", done.stderr


@pytest.mark.parametrize("file", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_each_worked_example_prints_what_the_page_says(server: Server, file: Any) -> None:
    server.wait_ready()
    (code,) = [
        each
        for each in blocks(server.read("/programmers").decode(), "python")
        if file.stem in each or (each.splitlines()[0] == file.read_text("utf-8").splitlines()[0])
    ]
    assert server.url in code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    printed, expected = done.stdout.splitlines(), file.with_suffix(".txt").read_text("utf-8").splitlines()
    assert [words(line) for line in printed] == [words(line) for line in expected]
    for line in printed:
        shares = [float(share) for share in re.findall(r"([\d.]+)%", line)]
        assert not shares or (max(shares) - min(shares) <= 0.02 and min(shares) > 96)


@pytest.mark.parametrize("file", SHORTER, ids=[file.stem for file in SHORTER])
def test_with_the_client_an_example_is_shorter_and_prints_the_same(server: Server, file: Any, tmp_path: Path) -> None:
    server.wait_ready()
    (tmp_path / "convscope.py").write_bytes(server.read("/convscope.py"))
    shown = blocks(server.read("/programmers").decode(), "client")
    code = next(each for each in shown if each == file.read_text("utf-8").strip())
    assert len(code) < len((file.parents[1] / file.name).read_text("utf-8"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = (file.parents[1] / file.name).with_suffix(".txt").read_text("utf-8")
    assert [words(line) for line in done.stdout.splitlines()] == [words(line) for line in expected.splitlines()]


def test_the_calls_that_take_a_network_along_do_so(client: TestClient) -> None:
    page = client.get("/programmers").text
    (block,) = re.findall(r'aria-label="Calls of curl">(.*?)</pre>', page, re.S)
    kept: dict[str, bytes] = {}
    for command in html.unescape(block).splitlines():
        if not command.startswith("curl "):
            continue
        _, url, *options = shlex.split(command)
        if "--output" in options:
            answer = client.get(url)
            assert answer.status_code == 200, url
            kept[options[-1]] = answer.content
        else:
            name, _, value = options[options.index("-H") + 1].partition(": ")
            answer = client.post(url, content=kept[options[-1].removeprefix("@")], headers={name: value})
            assert answer.status_code == 201, answer.text
            client.delete(answer.headers["location"])
    assert {"parameters.npz", "welcome.py", "model.safetensors", "network.npz"} <= kept.keys()


def words(line: str) -> str:
    """A line without the digits that depend on rounding."""
    return re.sub(r"\d+e-\d+|\d+\.\d+%", "#", line)


def test_the_network_of_the_conventions_is_one(client: TestClient, page: str) -> None:
    (network,) = blocks(page, "network")
    answer = client.post("/api/networks/shapes", json={"network": json.loads(network)})
    assert answer.status_code == 200 and answer.json()["layers"][-1]["shape"] == [10]


def test_the_pages_say_where_they_come_from(client: TestClient) -> None:
    page = client.get("/docs", headers={"Host": "127.0.0.1:99"}).text
    assert "http://127.0.0.1:99/api/ops/conv2d/backward" in page and "server.invalid" not in page
    assert "<script>alert" not in client.get("/docs", headers={"Host": "[fe80::1%<script>alert]"}).text


@pytest.mark.parametrize("path", ["/docs", "/programmers"])
def test_the_pages_are_kept_and_load_nothing_foreign(client: TestClient, path: str) -> None:
    first = client.get(path)
    policy = first.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "script-src 'self' 'sha256-" in policy
    assert client.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert not [link for link in re.findall(r'(?:href|src)="([^"]*)"', first.text) if "//" in link]
