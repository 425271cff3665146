"""The client for people who know NumPy: one file that the server hands out, against a real server."""

from __future__ import annotations

import ast
import importlib.util
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.server import Server

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def convscope(server: Server, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """As somebody gets it: fetched from the server, and imported."""
    server.wait_ready()
    with urllib.request.urlopen(f"{server.url}/convscope.py") as answer:
        assert answer.headers["content-type"].startswith("text/x-python")
        source = answer.read()
    file = tmp_path_factory.mktemp("client") / "convscope.py"
    file.write_bytes(source)
    spec = importlib.util.spec_from_file_location("convscope_client", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.SERVER == server.url
    return module


def test_it_needs_numpy_and_the_standard_library_alone() -> None:
    tree = ast.parse((Path(__file__).parents[3] / "app/site/client/convscope.py").read_text("utf-8"))
    names = {
        alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    names |= {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names - set(sys.stdlib_module_names) == {"numpy"}


def correlated(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    rows, columns = x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
    return np.einsum("ncijuv,ocuv->noij", windows[:, :, :rows, :columns], w)


def test_a_convolution_forwards_backwards_and_explained(convscope: Any) -> None:
    x, w, b = RNG.normal(size=(2, 3, 5, 6)), RNG.normal(size=(4, 3, 2, 3)), RNG.normal(size=4)
    y = convscope.conv2d(x, w, b)
    assert np.allclose(y.y, correlated(x, w) + b[:, None, None]) and np.allclose(np.asarray(y), y.y)
    dy = RNG.normal(size=y.y.shape)
    grads = y.backward(dy)
    assert set(grads) == {"dx", "dw", "db"} and np.allclose(grads.db, dy.sum((0, 2, 3)))
    why = y.explain("dx/0,0,1,2", dy=dy)
    assert why.value == pytest.approx(float(grads.dx[0, 0, 1, 2])) and "dx" in repr(why)
    assert sum(term["value"] for term in why.terms) == pytest.approx(why.value)
    for shown in (y, grads, why):
        assert "<table>" in shown._repr_html_() and "http" not in shown._repr_html_().replace("http://www.w3.org", "")
    with pytest.raises(AttributeError, match="there are: dx, dw, db"):
        _ = grads.dz


def test_ones_own_gradient_is_told_what_it_looks_like(convscope: Any) -> None:
    x, w = RNG.normal(size=(2, 2, 5, 5)), RNG.normal(size=(3, 2, 3, 3))
    y = convscope.conv2d(x, w)

    def right(dy: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        padded = np.pad(dy, ((0, 0), (0, 0), (2, 2), (2, 2)))
        dw = correlated(x.transpose(1, 0, 2, 3), dy.transpose(1, 0, 2, 3)).transpose(1, 0, 2, 3)
        return correlated(padded, w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)), dw

    def not_turned(dy: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        padded = np.pad(dy, ((0, 0), (0, 0), (2, 2), (2, 2)))
        return correlated(padded, w.transpose(1, 0, 2, 3))

    report = y.check(right)
    assert report and repr(report) == "dx: right\ndw: right"
    wrong = y.check(not_turned)
    assert not wrong and wrong.given["dx"]["looks_like"] == "flip" and "wrong (at dx/" in repr(wrong)
    assert "<li>" in wrong._repr_html_()


def test_a_run_is_trained_and_asked(convscope: Any) -> None:
    run = convscope.train("tiny", steps=3).wait(60)
    assert run.state["step"] == 3 and "finished at step 3 of 3" in repr(run)
    assert run.parameters()["conv/w"].shape == (1, 1, 2, 2)
    why = run.explain("conv/dw/0,0,0,0", step=2)
    assert why.value == pytest.approx(float(run.tensor("conv/dw", step=2)[0, 0, 0, 0]))
    assert convscope.run("welcome").predict(np.zeros((1, 28, 28))).shape == (1, 10)
    assert "conv2d" in convscope.ops()
    paused = convscope.train("tiny", steps=5, start=False)
    assert paused.step(2).state["step"] == 2


def test_a_refusal_is_an_error_with_the_servers_words(convscope: Any) -> None:
    with pytest.raises(convscope.ConvscopeError, match="the kernel expects 2") as refused:
        convscope.conv2d(np.ones((1, 3, 4, 4)), np.ones((1, 2, 3, 3)))
    assert refused.value.status == 422


class Answers(BaseHTTPRequestHandler):
    """Answers one status after the other, and 200 in the end."""

    statuses: ClassVar[list[tuple[int, str]]] = []
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        status, wait = self.statuses.pop(0) if self.statuses else (200, "")
        self.send_response(status)
        if wait:
            self.send_header("Retry-After", wait)
        content = b'{"ops": []}' if status == 200 else b'{"detail": "7 of 75 are ready"}'
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def starting(convscope: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A server that is starting, and the seconds that the client slept."""
    slept: list[float] = []
    monkeypatch.setattr(convscope.time, "sleep", slept.append)
    Answers.asked = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        convscope.connect(f"http://127.0.0.1:{other.server_port}")
        yield slept
        convscope.connect(server.url)
        other.shutdown()


def test_the_client_waits_as_long_as_it_is_told_and_says_so_once(
    convscope: Any, starting: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    Answers.statuses = [(503, "2"), (503, "5"), (502, ""), (504, ""), (429, "1")]
    assert convscope.ops() == []
    assert starting == [2, 5, 2, 2, 1] and Answers.asked == 6
    assert capsys.readouterr().err == "convscope: 7 of 75 are ready; waiting\n"


def test_what_cannot_be_made_twice_is_not_sent_again(convscope: Any, starting: list[float]) -> None:
    for status in (429, 502, 504):
        Answers.statuses = [(status, "1")]
        with pytest.raises(convscope.ConvscopeError, match="7 of 75"):
            convscope.train("tiny")
    Answers.statuses = [(503, "")]  # nobody says when
    with pytest.raises(convscope.ConvscopeError):
        convscope.ops()
    assert starting == [] and Answers.asked == 4


def test_the_client_waits_no_longer_than_its_patience(
    convscope: Any, starting: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convscope, "PATIENCE", 30.0)
    Answers.statuses = [(503, "40")]
    with pytest.raises(convscope.ConvscopeError) as refused:
        convscope.ops()
    assert refused.value.status == 503 and starting == []


def test_where_no_server_is_it_says_which_one(convscope: Any, server: Server) -> None:
    convscope.connect("http://127.0.0.1:9")
    try:
        with pytest.raises(convscope.ConvscopeError, match=r"no server answers at http://127\.0\.0\.1:9"):
            convscope.ops()
    finally:
        convscope.connect(server.url)


def test_the_images_of_the_server_come_whole_or_the_first_of_them(convscope: Any) -> None:
    x, target = convscope.data("mnist", "test", 1200)
    assert x.shape == (1200, 1, 28, 28) and target[:3].tolist() == [7, 2, 1] and 0 <= x.min() < x.max() <= 1
