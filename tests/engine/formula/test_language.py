"""The grammar: what is refused, and with which words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from engine.formula import FormulaError, Program, Tensors

GIVEN = "x[n,k] w[g|o,k] t[n] scale"

WRONG = [
    ("y[n] = z[n]", "'y[n] = z[n]': nothing named 'z' is given or said before; known: x, w, t, scale"),
    ("y[n] = exp(sum[k](x[n,k]))", "a reducer inside a function has no terms to show: give it a name of its own first"),
    ("y[n] = sum[k](x[n,k])**2", "a reducer inside a power has no terms to show"),
    ("y[n] = sum[k](x[n,k]) > 0", "a reducer inside a comparison has no terms to show"),
    ("y[n] = sum[k](x[n,k]) if t[n] > 0 else 0", "a reducer inside a choice has no terms to show"),
    ("y[n] = sum[k](x[n,k] * max[i](w[i|i,k]))", "a reducer inside a reducer has no terms to show"),
    ("y[n] = sum[k](x[n,k]) * sum[k](x[n,k])", "a reducer times a reducer has no terms to show"),
    ("y[n] = t[n] / sum[k](x[n,k])", "division by a reducer has no terms to show"),
    ("y[n] = x[n,k]", "'y[n] = x[n,k]': 'k' is a letter of this program, but stands neither on the left"),
    ("y[n] = k + x[n,0]", "'k' is a letter of this program, but stands neither on the left nor in a reducer here"),
    ("y[n,n] = x[n,n]", "the letter 'n' stands twice in y"),
    ("y[n+1] = x[n,0]", "an axis of y is named by a lower-case letter, got 'n + 1'"),
    ("y[0] = x[0,0]", "an axis of y is named by a lower-case letter, got '0'"),
    ("y[N] = x[0,0]", "an axis of y is named by a lower-case letter, got 'N'"),
    ("y[n] = sum[n](x[n,0])", "the letter 'n' of sum stands on the left or in this reducer already"),
    ("y[n] = sum[k,k](x[n,k])", "the letter 'k' of sum stands on the left or in this reducer already"),
    ("y[n] = sum[K](x[n,0])", "sum runs over letters, got 'K'"),
    ("y[n] = sum(x[n,0])", "sum needs its letters: sum[u,v](...)"),
    ("y[n] = sum[k]", "sum[...] is a reducer: give it something to run over"),
    ("y[n] = sum[k](x[n,k], 1)", "sum[k] takes 1 argument (what to add up), got 2"),
    ("y[n] = argmax[k](x[n,k])", "argmax[k] takes 2 arguments (what to search and what to return), got 1"),
    ("y[n] = x[n]", "x is declared as x[n,k] with 2 axes, read with 1"),
    ("y[n] = x", "x has 2 axes: say which cell, as in x[n,k]"),
    ("y[n] = scale[n]", "scale is declared as scale with 0 axes, read with 1"),
    ("y[n,k] = w[n,k]", "axis 0 of w is declared as g|o, read as n"),
    ("y[n,k] = x[n|k,k]", "axis 0 of x is declared as n, read as n|k"),
    ("x[n,k] = 2", "x is given or said before"),
    ("y[n] = t[n]\ny[n] = t[n]", "y is given or said before"),
    ("a[n] = y[n]\ny[n] = t[n]", "nothing named 'y' is given or said before"),
    ("sum[n] = t[n]", "'sum' is a function or a reducer and cannot name a tensor"),
    ("exp[n] = t[n]", "'exp' is a function or a reducer and cannot name a tensor"),
    ("y[n] = exp[n]", "'exp' is a function and has no cells"),
    ("y[n] = exp", "'exp' is a function or a reducer: write exp(...)"),
    ("y[n] = cosh(t[n])", "no function 'cosh'; there are exp, expm1, log"),
    ("y[n] = exp(t[n], t[n])", "exp takes 1 argument, got 2"),
    ("y[n] = exp(z=t[n])", "is not of the language"),
    ("y[n] = x[n*n,0]", "cannot turn the subscript 'n * n' of x round: a subscript is a sum of letters times"),
    ("y[n] = x[n,1/n]", "cannot turn the subscript '1 / n' of x round"),
    ("y[n] = x[n,2**n]", "cannot turn the subscript '2 ** n' of x round"),
    ("y[n] = x[1.5*n,0]", "cannot turn the subscript '1.5 * n' of x round"),
    ("y[n] = x[n,t[n]+1]", "cannot turn the subscript 't[n] + 1' of x round"),
    ("y[n] = t[n] // 2", "'t[n] // 2': no such operator here"),
    ("y[n] = t[n] in t[n]", "a comparison is one of < <= > >= == !="),
    ("y[n] = t[n] and 1", "'t[n] and 1' is not of the language"),
    ("y[n] = 'one'", "is not of the language"),
    ("y[n] = True", "is not of the language"),
    ("y[n] = [t[n]]", "is not of the language"),
    ("y[n] = t[n].real", "is not of the language"),
    ("y[n] = t[n] +", "not an expression"),
    ("t[n] + 1", "a sentence says one tensor: name[letters] = expression"),
    ("y[n] = a[n] = t[n]", "a sentence says one tensor: name[letters] = expression"),
    ("y[n] += t[n]", "a sentence says one tensor: name[letters] = expression"),
    ("f(n) = t[n]", "not an expression"),
    ("y.z = t[0]", "the left side is a name with letters"),
]


@pytest.mark.parametrize(("sentences", "says"), WRONG, ids=[w[0].replace("\n", "; ") for w in WRONG])
def test_a_wrong_sentence_is_refused_with_the_reason(sentences: str, says: str) -> None:
    with pytest.raises(FormulaError, match=re.escape(says)):
        Program(GIVEN, sentences)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("x[n,k", "expected tensors such as x[n,g|c,h,k], got 'x[n,k'"),
        ("x[n] x[k]", "x is declared twice"),
        ("x[n,n]", "the letter 'n' stands twice in x"),
        ("x[N]", "an axis of x is named by a lower-case letter, got 'N'"),
        ("x[]", "an axis of x is named by a lower-case letter, got ''"),
        ("max[n]", "'max' is a function or a reducer and cannot name a tensor"),
    ],
)
def test_a_wrong_declaration_is_refused(given: str, says: str) -> None:
    with pytest.raises(FormulaError, match=re.escape(says)):
        Program(given, "")


def test_a_refusal_is_a_value_error() -> None:
    assert issubclass(FormulaError, ValueError)


def test_a_letter_that_is_also_a_scalar_tensor_is_refused() -> None:
    with pytest.raises(FormulaError, match="'m' is a letter here and a scalar tensor too"):
        Program("m x[m]", "y[m] = m * x[m]")


def test_a_letter_that_is_also_a_number_is_refused() -> None:
    with pytest.raises(FormulaError, match="'n' is a letter of this program and cannot be a number too"):
        Tensors(Program("x[n]", "y[n] = x[n]"), {}, {"n": 3})


def test_a_tensor_may_be_named_like_a_letter() -> None:
    program = Program("c[n,c]", "y[n] = sum[c](c[n,c] * (c == 0))")
    assert Tensors(program, {"c": np.array([[5.0, 7.0]])}, {})["y"].tolist() == [5.0]


def test_only_given_tensors_are_optional() -> None:
    with pytest.raises(FormulaError, match="optional 'q' is not given; given: x"):
        Program("x[n]", "y[n] = x[n]", optional=("q",))


@pytest.mark.parametrize(
    "line",
    [
        "y[n,k] = x[n,k]**2 * -3",
        "y[n,k] = (x[n,k] + 1) / (2*x[n,k] - t[n])",
        "y[n,k] = -(x[n,k] - t[n]) - (x[n,k] - 1)",
        "y[n,k] = x[n,k] if 0 <= x[n,k] < t[n] else (1 if t[n] > 0 else -1)",
        "y[n] = -sum[k](x[n,k] * (k == t[n])) / (2*K) + scale",
        "y[n,k] = x[n,K-1-k] * 2**(k - 1) / t[n]**2",
        "y[n,k] = x[n,k] / (t[n] / scale)",
        "y[n,k] = (-x[n,k])**2",
    ],
)
def test_a_sentence_written_out_reads_back_as_itself(line: str) -> None:
    program = Program(GIVEN, line)
    assert program.sentence("y") == line or Program(GIVEN, program.sentence("y")).sentences == program.sentences
    again = Program(GIVEN, program.sentence("y"))
    arrays = {"x": np.array([[0.5, 2.0, 1.0]]), "t": np.array([2.0]), "scale": np.array(3.0)}
    np.testing.assert_array_equal(Tensors(program, arrays, {})["y"], Tensors(again, arrays, {})["y"])


def test_a_program_tells_its_letters_names_reads_and_form() -> None:
    program = Program(
        "x[n,g|c,h] w[g|o,c,u]",
        "y[n,g|o,i] = sum[c,u](x[n,g|c,i+u] * w[g|o,c,u])\ntop[n] = max[h](x[n,0|0,h])\nz[n] = 2*top[n]",
    )
    assert program.given == ("x", "w")
    assert program.names == ("y", "top", "z")
    assert program.letters("y") == (("n", "g", "o", "i"), ("c", "u"))
    assert [program.form(name) for name in program.names] == ["sum", "max", "each"]
    assert program.reads("y") == ("x", "w")
    with pytest.raises(FormulaError, match="nothing named 'q' is said; said: y, top, z"):
        program.letters("q")
