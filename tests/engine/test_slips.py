"""Slips: each computes what somebody's wrong loop computes, is named by the check, and trains bit for bit the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.bug_lab import bed_of, outcome, trained
from engine.data import from_arrays
from engine.diagnose import diagnose
from engine.formula import Tensors
from engine.formula.contract import contract
from engine.formula.evaluate import evaluate
from engine.mistakes import MISTAKES
from engine.network import Network
from engine.ops import OPS
from engine.ops.base import Op, shapes_of
from engine.slips import SLIPS, SlipError, program_of, sentences
from engine.trace import Place, explain
from engine.train import Trainer, optimizer_from

Array = np.ndarray
CALLS: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]]]] = {
    "conv2d": ({"stride": 2, "padding": 1}, {"x": (3, 2, 7, 7), "w": (3, 2, 3, 3), "b": (3,)}),
    "conv_transpose2d": ({"stride": 2}, {"x": (2, 2, 3, 3), "w": (2, 3, 2, 2), "b": (3,)}),
    "linear": ({}, {"x": (3, 4), "w": (5, 4), "b": (5,)}),
    "max_pool2d": ({"kernel_size": 3, "stride": 2}, {"x": (2, 2, 7, 7)}),
    "avg_pool2d": ({"kernel_size": 3, "stride": 2}, {"x": (2, 2, 7, 7)}),
    "relu": ({}, {"x": (2, 3, 4, 4)}),
    "dropout": ({"p": 0.25}, {"x": (4, 6), "mask": (4, 6)}),
    "batch_norm": ({}, {"x": (4, 3, 2, 2), **dict.fromkeys(("gamma", "beta", "running_mean", "running_var"), (3,))}),
    "cross_entropy": ({}, {"x": (4, 5), "target": (4,)}),
}


def call(name: str) -> tuple[Op, dict[str, Array]]:
    """An op with random tensors, ties among them, and its results."""
    rng, (settings, shapes) = np.random.default_rng(3), CALLS[name]
    op = OPS[name](**settings)
    tensors: dict[str, Array] = {key: rng.normal(size=shape) for key, shape in shapes.items()}
    if name == "max_pool2d":
        tensors["x"] = np.round(1.5 * tensors["x"])
    if "mask" in tensors:
        tensors["mask"] = (tensors["mask"] > 0) * 1.0
    if "target" in tensors:
        tensors["target"] = np.array([0, 2, 1, 4])
    tensors |= op.forward(tensors)
    return op, tensors if op.is_loss else {**tensors, "dy": rng.normal(size=tensors["y"].shape)}


@pytest.mark.parametrize("name", list(CALLS))
def test_a_contraction_is_the_sentence_evaluated(name: str) -> None:
    op, tensors = call(name)
    shapes = {key: shape for key, shape in shapes_of(tensors).items() if key in op.tensors}
    program = program_of(op, shapes)
    known = {key: tensors[key] for key in program.declared if key in tensors}
    local = Tensors(program, known, op.numbers(shapes), op.extents(shapes))
    for gradient, right in op.backward(tensors).items():
        if gradient in program.sentences:
            found = contract(local, program.expr(gradient))
            assert found.shape == right.shape
            np.testing.assert_allclose(found, evaluate(local, program.expr(gradient)), rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("slip", SLIPS.values(), ids=list(SLIPS))
def test_the_check_names_the_slip(slip: Any) -> None:
    assert slip.mistake in MISTAKES and sentences(slip)
    shown = False
    for name in CALLS:
        op, tensors = call(name)
        true, made = op.backward(tensors), slip.gradients(op, tensors, op.gradients)
        for gradient, wrong in (made or {}).items():
            if not np.allclose(wrong, true[gradient]):
                found = diagnose(gradient, wrong, true[gradient], op, tensors)
                assert found and found.kind == slip.mistake, (name, gradient, found)
                shown = True
    assert shown or any(edit.of not in ("dx", "dw") for edit in slip.edits)  # an optimizer's


def windows(given: dict[str, Array]) -> Any:
    """Every output of a convolution with stride 2 and padding 1, with the rows and columns that it reads."""
    for n, o, i, j in np.ndindex(given["dy"].shape):
        yield n, o, i, j, slice(2 * i, 2 * i + 3), slice(2 * j, 2 * j + 3)


def test_slips_compute_what_wrong_loops_compute() -> None:
    op, given = call("conv2d")
    x, w, dy = given["x"], given["w"], given["dy"]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    unturned, last, alone = np.zeros_like(padded), np.zeros_like(w), np.zeros_like(padded)
    for n, o, i, j, rows, columns in windows(given):
        unturned[n, :, rows, columns] += dy[n, o, i, j] * w[o, :, ::-1, ::-1]
        last[o] += dy[n, o, i, j] * padded[n, :, rows, columns] * (n == len(x) - 1)
        alone[n, :, rows.start, columns.start] += dy[n, o, i, j] * w[o, :, 0, 0]

    def made(name: str, gradient: str) -> Array:
        found = SLIPS[name].gradients(op, given, (gradient,))
        assert found is not None
        return found[gradient]

    np.testing.assert_allclose(made("dx_not_turned", "dx"), unturned[..., 1:8, 1:8])
    np.testing.assert_allclose(made("dw_last_image", "dw"), last)
    np.testing.assert_allclose(made("dx_one_window", "dx"), alone[..., 1:8, 1:8])
    np.testing.assert_allclose(made("dw_turned", "dw"), op.backward(given)["dw"][..., ::-1, ::-1])
    assert SLIPS["dw_turned"].gradients(*call("relu"), ("dx",)) is None


DOCUMENT: dict[str, Any] = {
    "input": [1, 8, 8],
    "layers": [
        {"name": "conv", "op": "conv2d", "settings": {"out": 3, "kernel_size": 3, "padding": 1}},
        {"name": "relu", "op": "relu"},
        {"name": "pool", "op": "max_pool2d", "settings": {"kernel_size": 2}},
        {"name": "conv2", "op": "conv2d", "settings": {"out": 4, "kernel_size": 3}},
        {"name": "flatten", "op": "flatten"},
        {"name": "linear", "op": "linear", "settings": {"out": 3}},
    ],
}


def trainer(slip: str | None, optimizer: str = "momentum") -> Trainer:
    rng = np.random.default_rng(1)
    data = from_arrays(rng.random((40, 1, 8, 8), np.float32), rng.integers(0, 3, 40))
    network = Network.from_document(DOCUMENT).slipped(SLIPS[slip] if slip else None)
    made = optimizer_from({"name": optimizer, "learning_rate": 0.1})
    network.check_slip(8, made)
    return Trainer(network, data, made, 8, 3)


@pytest.mark.parametrize(
    ("slip", "optimizer"), [("dx_not_turned", "momentum"), ("pool_corner", "sgd"), ("update_sign", "adam")]
)
def test_training_with_a_slip_is_the_same_bit_for_bit_and_can_be_replayed(slip: str, optimizer: str) -> None:
    runs = [trainer(slip, optimizer) for _ in range(2)]
    for run in runs:
        for _ in range(5):
            run.step_once()
    right = trainer(None, optimizer)
    for _ in range(5):
        right.step_once()
    here, there = (run.parameters for run in runs)
    assert all(np.array_equal(here[name], there[name]) for name in here)
    assert not np.allclose(here["conv/w"], right.parameters["conv/w"], atol=1e-5)
    trace = runs[0].trace(3)
    replayed = runs[1]
    assert np.array_equal(trace["conv", "w_next"], replayed.trace(4)["conv", "w"])
    assert runs[0].backend.name == "readable" and slip in str(runs[0].backend.reason)


def test_a_slip_explains_its_own_numbers() -> None:
    run = trainer("dx_not_turned")
    run.step_once()
    trace = run.trace(1)
    for place in ("conv2/dx/0,1,1,2", "conv2/dw/0,1,1,2", "conv/w_next/0,0,1,1", "conv/dw/2,0,0,1"):
        found = explain(trace, Place.parse(place))
        assert abs(found.remainder) < 1e-6
    assert "U - 1 - u" in explain(trace, Place.parse("conv2/dx/0,1,1,2")).sentence.replace("U-1-u", "U - 1 - u")


def test_the_update_of_a_slip_goes_the_other_way() -> None:
    run, right = trainer("update_sign", "sgd"), trainer(None, "sgd")
    before = run.parameters["linear/w"]
    run.step_once()
    right.step_once()
    np.testing.assert_allclose(run.parameters["linear/w"] - before, before - right.parameters["linear/w"], atol=1e-7)


def test_only_the_first_layer_is_frozen() -> None:
    run = trainer("first_frozen", "sgd")
    before = dict(run.parameters)
    run.step_once()
    still = {name for name in before if np.array_equal(before[name], run.parameters[name])}
    assert still == {"conv/w", "conv/b"}


def test_a_slip_that_does_not_show_or_does_not_fit_is_refused() -> None:
    with pytest.raises(SlipError, match="norm_mean: nothing in this network"):
        trainer("norm_mean")
    document = {**DOCUMENT, "layers": [dict(layer) for layer in DOCUMENT["layers"]]}
    document["layers"][0]["settings"] = {"out": 3, "kernel_size": [3, 2]}
    network = Network.from_document(document).slipped(SLIPS["dx_transposed"])
    with pytest.raises(SlipError, match="dx_transposed"):
        network.check_slip(8, optimizer_from({"name": "sgd"}))


@pytest.mark.parametrize("name", list(SLIPS))
def test_every_slip_changes_what_its_network_learns(name: str) -> None:
    bed = bed_of(name)
    images = from_arrays(np.random.default_rng(2).random((4, 1, 28, 28), np.float32), np.arange(4))
    parameters = []
    for slip in (None, SLIPS[name]):
        network, optimizer = trained(bed, slip)
        run = Trainer(network, images, optimizer, 4, 3)
        for _ in range(2 if name == "momentum_forgotten" else 1):
            run.step_once()
        parameters.append(run.parameters)
    right, wrong = parameters
    assert any(not np.array_equal(right[key], wrong[key]) for key in right)
    assert 0 < outcome(name).accuracy < 1 and len(SLIPS) >= 24
