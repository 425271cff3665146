"""The gradient of a sentence is a sentence: as printed in the catalogue, and right against central differences."""

from __future__ import annotations

import re

import numpy as np
import pytest

from engine.formula import FormulaError, Program, Tensors
from tests.engine.formula.sentences import CASES, Case

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@each
def test_the_derived_sentences_are_those_of_the_catalogue(case: Case) -> None:
    program = case.program.gradients(case.wrt)
    derived = [program.sentence(name) for name in program.names[len(case.program.names) :]]
    assert derived == [line.strip() for line in case.gradients.splitlines()]


@each
def test_the_derived_gradient_agrees_with_central_differences(case: Case) -> None:
    tensors = case.backward()
    rng = np.random.default_rng(2)
    for name in case.wrt:
        direction, step = rng.standard_normal(case.shapes[name]), 1e-6
        ends = []
        for sign in (1, -1):
            arrays = case.arrays()
            arrays[name] = arrays[name] + sign * step * direction
            ends.append(float(np.sum(case.forward(arrays)["y"] * tensors["dy"])))
        numeric, analytic = (ends[0] - ends[1]) / (2 * step), float(np.sum(tensors["d" + name] * direction))
        assert analytic == pytest.approx(numeric, rel=1e-6, abs=1e-7), f"{case.name}: d{name}"
        assert tensors["d" + name].shape == case.shapes[name]


def test_transposed_convolution_is_the_adjoint_of_convolution_letter_for_letter() -> None:
    cases = {case.name: case.program for case in CASES}
    forward = cases["conv_transpose2d"].sentence("y").partition(" = ")[2].removesuffix(" + b[g|o]")
    backward = cases["conv2d"].gradients(("x",)).sentence("dx").partition(" = ")[2]
    swapped = backward.replace("dy", "x").translate(str.maketrans("ochk", "coij"))
    assert forward == swapped


def test_a_gradient_flows_from_any_said_tensor() -> None:
    program = Program("x[n]", "e[n] = exp(x[n])\ny[n] = 2*e[n]").gradients(("x",), of="e")
    assert program.sentence("dx") == "dx[n] = de[n] * exp(x[n])"


def test_a_tensor_that_does_not_matter_has_gradient_zero() -> None:
    program = Program("x[n] a[n]", "y[n] = x[n]").gradients(("a",))
    assert program.sentence("da") == "da[n] = 0"
    dy = np.ones(2)
    assert Tensors(program, {"x": dy, "a": dy, "dy": dy}, {})["da"].tolist() == [0.0, 0.0]


def test_no_gradient_flows_through_a_held_name() -> None:
    sentences = "a[n] = 2*x[n]\ny[n] = a[n] * x[n]"
    assert Program("x[n]", sentences, held=["a"]).gradients(("x",)).sentence("dx") == "dx[n] = dy[n] * a[n]"
    assert Program("x[n]", sentences).gradients(("x",)).names == ("a", "y", "da", "dx")


def test_a_stated_sentence_takes_the_place_of_the_derived_ones_and_both_agree() -> None:
    program = Program(
        "x[n,c]",
        "e[n,c] = exp(x[n,c])\nz[n] = sum[c](e[n,c])\ny[n,c] = e[n,c] / z[n]",
        stated="mix[n] = sum[c](y[n,c] * dy[n,c])\ndx[n,c] = y[n,c] * (dy[n,c] - mix[n])",
    )
    short, long = program.gradients(("x",)), program.gradients(("x",), stated=False)
    assert short.names == ("e", "z", "y", "mix", "dx")
    assert long.names == ("e", "z", "y", "dz", "de", "dx")
    rng = np.random.default_rng(0)
    arrays = {"x": rng.standard_normal((3, 4)), "dy": rng.standard_normal((3, 4))}
    stated, derived = (Tensors(program, arrays, {})["dx"] for program in (short, long))
    np.testing.assert_allclose(stated, derived, rtol=1e-12, atol=1e-15)


def test_the_branch_not_taken_cannot_spoil_the_gradient() -> None:
    program = Program("x[n]", "y[n] = sqrt(x[n]) if x[n] > 0 else 0").gradients(("x",))
    dx = Tensors(program, {"x": np.array([-1.0, 0.0, 4.0]), "dy": np.ones(3)}, {})["dx"]
    assert dx.tolist() == [0.0, 0.0, 0.25]


def test_choices_inside_choices_stay_one_choice() -> None:
    program = Program("x[n]", "y[n] = 0 if x[n] <= -3 else x[n] if x[n] >= 3 else x[n] * (x[n] + 3)")
    assert program.gradients(("x",)).sentence("dx") == (
        "dx[n] = 0 if x[n] <= -3 else (dy[n] if x[n] >= 3 else dy[n]*(x[n] + 3) + dy[n]*x[n])"
    )


def test_the_winner_of_a_tie_is_the_first_and_takes_the_whole_gradient() -> None:
    case = next(case for case in CASES if case.name == "global_max_pool")
    program = case.program.gradients(("x",))
    arrays = {"x": np.full((1, 1, 2, 2), 5.0), "dy": np.full((1, 1, 1, 1), 3.0)}
    assert Tensors(program, arrays, {}, {"y": (1, 1, 1, 1)})["dx"][0, 0].tolist() == [[3.0, 0.0], [0.0, 0.0]]


def test_gradients_are_derived_once_per_program() -> None:
    program = CASES[0].program
    assert program.gradients(["x", "w"]) is program.gradients(("x", "w"))
    assert program.gradients(("x",)) is not program.gradients(("w",))


@pytest.mark.parametrize(
    ("given", "sentences", "says"),
    [
        (
            "x[n,k]",
            "y[n] = max[k](x[n,k])",
            "the gradient of a max needs its saved winner: add a sentence 'at[n] = argmax[k]",
        ),
        ("x[n]", "y[n] = 2**x[n]", "the exponent reads x"),
    ],
)
def test_what_has_no_gradient_is_refused(given: str, sentences: str, says: str) -> None:
    with pytest.raises(FormulaError, match=re.escape(says)):
        Program(given, sentences).gradients(("x",))


def test_an_unknown_tensor_to_differentiate_for_is_refused() -> None:
    with pytest.raises(FormulaError, match="no tensor 'q' to differentiate for; there are x, y"):
        Program("x[n]", "y[n] = x[n]").gradients(("q",))
    with pytest.raises(FormulaError, match="x is given, no sentence says it"):
        Program("x[n]", "y[n] = x[n]").gradients(("x",), of="x")
