"""An explanation says of every factor what it is."""

from __future__ import annotations

import numpy as np

from engine.formula import Program, Tensors, explain

X = np.array([2.0, 5.0])


def roles(sentence: str, **tensors: np.ndarray) -> list[list[tuple[str, float, list[int], str]]]:
    """(role, value, reads, text) of each factor of each term of y[0]."""
    given = " ".join(f"{name}[i]" for name in tensors)
    found = explain(Tensors(Program(given, sentence), tensors, {}), "y", (0,))
    for term in found.terms:
        assert len(term.parts) == len(term.factors)
        for part, factor in zip(term.parts, term.factors, strict=True):
            assert (1 / part.value if "divisor" in part.role else part.value) == factor
    return [[(part.role, part.value, part.reads, part.text) for part in term.parts] for term in found.terms]


def test_a_rate_of_one_half_beside_a_gradient_of_two_is_no_divisor() -> None:
    assert roles("y[i] = w[i] - 0.5*x[i]", w=np.ones(2), x=X) == [
        [("read", 1.0, [0], "w")],
        [("constant", -1.0, [], "-1"), ("constant", 0.5, [], "0.5"), ("read", 2.0, [1], "x")],
    ]


def test_a_cell_of_one_that_divides_is_a_divisor() -> None:
    assert roles("y[i] = x[i] / z[i]", x=X, z=np.ones(2)) == [
        [("read", 2.0, [0], "x"), ("divisor", 1.0, [1], "z")],
    ]


def test_what_is_made_of_cells_says_how_and_of_which() -> None:
    assert roles("y[i] = (x[i] - t[i]) / 8", x=X, t=np.ones(2)) == [
        [("made", 1.0, [0, 1], "x - t"), ("constant_divisor", 8.0, [], "8")],
    ]
    [[_, under]] = roles("y[i] = x[i] / (sqrt(v[i]) + 1)", x=X, v=np.full(2, 9.0))
    assert under == ("made_divisor", 4.0, [1], "sqrt(v) + 1")


def test_a_comparison_of_cells_is_a_test() -> None:
    assert roles("y[i] = (x[i] > 1) * t[i]", x=X, t=np.ones(2)) == [
        [("test", 1.0, [0], "x > 1"), ("read", 1.0, [1], "t")],
    ]
