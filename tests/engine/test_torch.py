"""The kernels and updates give what PyTorch 2.13 gave (tests/fixtures/torch_reference.py)."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.ops import OPS
from engine.optimizers import OPTIMIZERS, optimizer_from
from engine.schedules import SCHEDULES

STORED = dict(np.load(Path(__file__).parents[1] / "fixtures" / "torch_reference.npz"))
SHAPES = [tuple(map(int, text.split(","))) if text else () for text in STORED["shapes"].tolist()]
PIECES = np.split(STORED["values"], np.cumsum([math.prod(shape) for shape in SHAPES])[:-1])
REFERENCE = {
    name: piece.reshape(shape) for name, shape, piece in zip(STORED["names"].tolist(), SHAPES, PIECES, strict=True)
}
CASES = list(enumerate(map(str, STORED["cases"])))
STEPS = list(enumerate(map(str, STORED["steps"])))
PLANS = list(enumerate(map(str, STORED["schedules"])))


def read(text: str) -> tuple[str, dict[str, Any]]:
    name, _, settings = text.partition(" ")
    return name, ast.literal_eval(settings)


@pytest.mark.parametrize(("number", "text"), CASES, ids=[text for _, text in CASES])
def test_results_and_gradients_are_those_of_pytorch(number: int, text: str) -> None:
    name, settings = read(text)
    prefix = f"{number}/"
    known = {key.removeprefix(prefix): value for key, value in REFERENCE.items() if key.startswith(prefix)}
    op = OPS[name](**settings)
    tensors = {key: known[key] for key in op.tensors if key in known}
    results = op.forward(tensors)
    for key in results.keys() & known.keys():
        np.testing.assert_allclose(results[key], known[key], rtol=1e-12, atol=1e-13, err_msg=key)
    tensors |= results
    gradients = op.backward({**tensors, "dy": known["dy"]})
    expected = {key: known[key] for key in op.gradients if key in known}
    assert expected and expected.keys() <= gradients.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(gradients[key], value, rtol=1e-11, atol=1e-12, err_msg=key)


@pytest.mark.parametrize(("number", "text"), STEPS, ids=[text for _, text in STEPS])
def test_five_updates_are_those_of_pytorch(number: int, text: str) -> None:
    name, settings = read(text)
    optimizer = OPTIMIZERS[name](**settings)
    weights = REFERENCE[f"step{number}/w"]
    w, state = weights[0], optimizer.start(weights[0])
    for step, gradient in enumerate(REFERENCE[f"step{number}/dw"], start=1):
        w, state = optimizer.update(w, gradient, state, step)
        np.testing.assert_allclose(w, weights[step], rtol=1e-12)


@pytest.mark.parametrize(("number", "text"), PLANS, ids=[text for _, text in PLANS])
def test_the_rates_of_a_schedule_are_those_of_pytorch(number: int, text: str) -> None:
    name, settings = read(text)
    schedule = SCHEDULES[name](**settings)
    found = [schedule.numbers(0.3, step)["lr"] for step in range(1, 13)]
    np.testing.assert_allclose(found, REFERENCE[f"rates{number}"], rtol=1e-12, atol=1e-16)


def test_gradients_are_clipped_as_pytorch_clips_them() -> None:
    optimizer = optimizer_from({"name": "sgd", "max_norm": 1.5})
    given = REFERENCE["clip/dw"]
    norm = optimizer.norm(given)
    assert norm == pytest.approx(float(REFERENCE["clip/norm"]), rel=1e-14)
    np.testing.assert_allclose([optimizer.clipped(g, norm) for g in given], REFERENCE["clip/clipped"], rtol=1e-13)
