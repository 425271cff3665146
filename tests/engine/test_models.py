"""The presets; "tiny" reproduces the derivatives of "Backpropagation mechanics for a CNN", part I."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engine.data import from_arrays
from engine.models import MODELS
from engine.network import Key, Network
from engine.ops.base import Array
from engine.trace import Place, Trace, explain
from engine.train import Trainer, optimizer_from

TINY = MODELS["tiny"]


def pass_of(w: Array, w_fc: float, i: Array, t: float, rate: float = 0.25) -> tuple[Trace, dict[Key, Array]]:
    """tiny's first step on one image, and what the article's formulas give, its slips corrected."""
    c = np.array([[i[2 * a, 2 * b] * w[1, 1] + i[2 * a + 1, 2 * b] * w[0, 1] + i[2 * a, 2 * b + 1] * w[1, 0]
                   + i[2 * a + 1, 2 * b + 1] * w[0, 0] for b in (0, 1)] for a in (0, 1)])
    a, b = (int(k) for k in np.unravel_index(c.argmax(), c.shape))
    r_p, r_fc = float(c[a, b]), w_fc * float(c[a, b])
    to_filter = (t - r_fc) * -w_fc
    i00, i01, i10, i11 = i[2 * a, 2 * b], i[2 * a, 2 * b + 1], i[2 * a + 1, 2 * b], i[2 * a + 1, 2 * b + 1]
    dw = np.array([[to_filter * i11, to_filter * i10], [to_filter * i01, to_filter * i00]])
    expected: dict[Key, Array] = {
        ("conv", "y"): c[None, None], ("pool", "y"): np.array([[[[r_p]]]]), ("fc", "y"): np.array([[r_fc]]),
        ("loss", "y"): np.array((t - r_fc) ** 2 / 2), ("fc", "dw"): np.array([[(t - r_fc) * -r_p]]),
        ("pool", "dx"): np.where(c == r_p, to_filter, 0.0)[None, None], ("conv", "dw"): dw[None, None],
        ("conv", "w_next"): (w - rate * dw)[None, None],
        ("fc", "w_next"): np.array([[w_fc + rate * (t - r_fc) * r_p]]),
    }
    run = Trainer(Network.from_document(TINY.document), from_arrays(i[None, None], np.array([[t]])),
                  optimizer_from({"name": "sgd", "learning_rate": rate}), 1,
                  parameters={"conv/w": w[None, None], "fc/w": np.array([[w_fc]])})
    run.step_once()
    return run.trace(1), expected


def test_tiny_reproduces_every_derivative_of_its_article_with_its_own_numbers() -> None:
    assert TINY.parameters is not None and TINY.example is not None
    w, w_fc = np.array(TINY.parameters["conv/w"])[0, 0], TINY.parameters["fc/w"][0][0]
    trace, expected = pass_of(w, w_fc, np.array(TINY.example["x"], float)[0, 0], TINY.example["target"][0][0])
    for key, value in expected.items():
        assert np.array_equal(trace[key], np.asarray(value, np.float32)), key
    assert trace["pool", "indices"].item() == 2, "c10 wins, as the article assumes"
    assert trace["conv", "y"].tolist() == [[[[0.75, 1.0], [3.5, 1.0]]]]
    assert trace["conv", "dw"].tolist() == [[[[0.75, 0.375], [1.125, 0.75]]]]


@pytest.mark.parametrize("seed", range(8))
def test_tiny_reproduces_the_article_with_any_numbers_whichever_cell_wins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trace, expected = pass_of(rng.normal(size=(2, 2)), rng.normal(), rng.normal(size=(4, 4)), rng.normal())
    for key, value in expected.items():
        np.testing.assert_allclose(trace[key], value, rtol=2e-5, atol=1e-6, err_msg=str(key))


def test_one_of_tinys_products_is_the_articles_c10() -> None:
    assert TINY.parameters is not None and TINY.example is not None
    w, i = np.array(TINY.parameters["conv/w"])[0, 0], np.array(TINY.example["x"], float)[0, 0]
    trace, _ = pass_of(w, TINY.parameters["fc/w"][0][0], i, 1)
    found = explain(trace, Place("conv", "y", (0, 0, 1, 0)))
    assert {tuple(term.factors) for term in found.terms} == {
        (i[2, 0], w[1, 1]), (i[3, 0], w[0, 1]), (i[2, 1], w[1, 0]), (i[3, 1], w[0, 0])}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_preset_is_a_network_that_trains_with_its_defaults(name: str) -> None:
    model = MODELS[name]
    network = Network.from_document(model.document)
    assert optimizer_from(model.defaults["optimizer"]).name == model.defaults["optimizer"]["name"]
    if model.example is not None:
        x, target = (np.array(model.example[name], float) for name in ("x", "target"))
        run = Trainer(network, from_arrays(x, target), optimizer_from(model.defaults["optimizer"]),
                      model.defaults["batch_size"], parameters=model.parameters)
        losses = [run.step_once().loss for _ in range(model.defaults["steps"])]
        assert losses[0] == 0.28125 and losses[-1] < losses[0] / 10
        assert all(after < before for before, after in pairwise(losses))


def test_the_layers_of_classroom_and_lenet5_are_those_of_the_texts() -> None:
    classroom = [layer["name"] for layer in MODELS["classroom"].document["layers"]]
    assert classroom == ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "flatten", "linear"]
    shapes = {layer.name: layer.shape for layer in Network.from_document(MODELS["lenet5"].document).shapes()}
    assert [shapes[name] for name in ("conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3")] == [
        (6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120,), (84,), (10,)]
