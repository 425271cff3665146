"""The client for people who know NumPy: one file that the server hands out, against a real server."""

from __future__ import annotations

import ast
import importlib.util
import sys
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

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
