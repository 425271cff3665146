"""Flip, pad, slide: the textbook's picture follows from the derived sentence and gives the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from engine.formula import FormulaError, Program, Tensors, explain
from engine.formula.textbook import View, view
from tests.engine.formula.sentences import CASES

by_name = {case.name: case for case in CASES}


def said(found: View) -> list[str]:
    return [found.program.sentence(name) for name in found.program.names]


def test_the_delta_of_the_input_pads_the_delta_and_slides_the_turned_kernel() -> None:
    assert said(view(by_name["conv2d"].program.gradients(("x",)), "dx")) == [
        "padded_dy[n,g|o,a,f] = dy[n,g|o,(a+p-d*(U-1))/s,(f+q-e*(V-1))/t]",
        "rot180_w[g|o,c,u,v] = w[g|o,c,U-1-u,V-1-v]",
        "dx[n,g|c,h,k] = sum[o,u,v](padded_dy[n,g|o,h+d*u,k+e*v] * rot180_w[g|o,c,u,v])",
    ]


def test_the_gradient_of_the_weights_slides_the_spread_delta_over_the_padded_input() -> None:
    assert said(view(by_name["conv2d"].program.gradients(("w",)), "dw")) == [
        "spread_dy[n,g|o,a,f] = dy[n,g|o,a/s,f/t]",
        "padded_x[n,g|c,l,m] = x[n,g|c,l-p,m-q]",
        "dw[g|o,c,u,v] = sum[n,a,f](spread_dy[n,g|o,a,f] * padded_x[n,g|c,a+d*u,f+e*v])",
    ]


def test_a_flipped_kernel_is_turned_forwards_and_as_it_is_backwards() -> None:
    program = by_name["conv2d with its kernel flipped"].program.gradients(("x",))
    assert view(program, "y").program.names == ("padded_x", "rot180_w", "y")
    assert said(view(program, "dx"))[-1].endswith("padded_dy[n,g|o,h+d*u,k+e*v] * w[g|o,c,u,v])")


SETTINGS = [(1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 2), (3, 1, 2, 1), (2, 0, 2, 2)]


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), SETTINGS)
@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("conv2d", "y"),
        ("conv2d", "dx"),
        ("conv2d", "dw"),
        ("conv2d with its kernel flipped", "y"),
        ("conv2d with its kernel flipped", "dx"),
    ],
)
def test_the_view_equals_the_derived_gradient(
    name: str, tensor: str, stride: int, padding: int, dilation: int, groups: int
) -> None:
    rng = np.random.default_rng(stride + 10 * padding)
    numbers = {"s": stride, "t": 1, "p": padding, "q": 1, "d": dilation, "e": 1, "G": groups}
    rows = (7 + 2 * padding - dilation * 2 - 1) // stride + 1
    arrays = {
        "x": rng.standard_normal((2, 2 * groups, 7, 5)),
        "w": rng.standard_normal((3 * groups, 2, 3, 2)),
        "b": rng.standard_normal(3 * groups),
        "dy": rng.standard_normal((2, 3 * groups, rows, 6)),
    }
    program = by_name[name].program.gradients(("x", "w"))
    derived = Tensors(program, arrays, numbers)
    found = view(program, tensor)
    counts = found.counts(derived.sizes, numbers)
    given = {n: a for n, a in arrays.items() if n in found.program.given}
    shown = Tensors(found.program, given, {**derived.sizes, **numbers, **counts})
    np.testing.assert_allclose(shown[tensor], derived[tensor], rtol=1e-12, atol=1e-13)
    index = tuple(n // 2 for n in derived[tensor].shape)
    assert explain(shown, tensor, index).value == pytest.approx(explain(derived, tensor, index).value, rel=1e-12)


def test_the_invented_letters_count_the_padded_plane() -> None:
    found = view(by_name["conv2d"].program.gradients(("x",)), "dx")
    assert found.counts({"H": 6, "K": 5, "U": 3, "V": 3}, {"d": 1, "e": 2}) == {"A": 8, "F": 9}
    with pytest.raises(FormulaError, match="'a' has no extent: a number is missing"):
        found.counts({"H": 6, "K": 5, "U": 3, "V": 3}, {"e": 2})


@pytest.mark.parametrize(
    ("program", "name", "says"),
    [
        (Program("x[n,c] w[o,c]", "y[n,o] = sum[c](x[n,c] * w[o,c])"), "y", "nothing is padded, turned or spread here"),
        (
            by_name["conv2d with its kernel flipped"].program.gradients(("w",)),
            "dw",
            "a letter of the left side runs backwards",
        ),
        (Program("x[n,k] t[n]", "y[n] = x[n,t[n]]"), "y", "a subscript without letters has no window"),
    ],
)
def test_what_has_no_such_view_is_refused(program: Program, name: str, says: str) -> None:
    with pytest.raises(FormulaError, match=says):
        view(program, name)
