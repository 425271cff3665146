"""How reads move with the letters, and the substituted sentence."""

from __future__ import annotations

import itertools
import re

import pytest

from engine.formula import Axis, FormulaError, Program, Window, explain
from tests.engine.formula.sentences import CASES

by_name = {case.name: case for case in CASES}
UNIT = {"s": 1, "t": 1, "p": 0, "q": 0, "d": 1, "e": 1, "G": 1}


def test_a_forward_window_moves_by_the_stride_and_starts_in_the_padding() -> None:
    numbers = {**UNIT, "s": 2, "p": 1}
    x, w, b = by_name["conv2d"].program.windows("y", numbers)
    assert (x.tensor, x.role) == ("x", "factor")
    assert x.axes == (
        Axis(1, 0, {"n": 1}),
        Axis(1, 0, {"c": 1}),
        Axis(1, -1, {"i": 2, "u": 1}),
        Axis(1, 0, {"j": 1, "v": 1}),
    )
    assert w.tensor == "w" and b == Window("b", (Axis(1, 0, {"o": 1}),), "factor", "+")


def test_a_backward_window_has_the_stride_as_pitch_and_runs_backwards() -> None:
    dy, w = by_name["conv2d"].program.gradients(("x",)).windows("dx", {**UNIT, "s": 2, "p": 1})
    assert dy.axes[2:] == (Axis(2, 1, {"h": 1, "u": -1}), Axis(1, 0, {"k": 1, "v": -1}))
    assert w.axes[2:] == (Axis(1, 0, {"u": 1}), Axis(1, 0, {"v": 1}))


def test_groups_are_multiplied_out() -> None:
    axes = by_name["conv2d"].program.windows("y", {**UNIT, "G": 2, "C": 4, "O": 3})
    assert [axes[0].axes[1], axes[1].axes[0]] == [Axis(1, 0, {"g": 4, "c": 1}), Axis(1, 0, {"g": 3, "o": 1})]
    flat = by_name["flatten"].program.gradients(("x",)).windows("dx", {"C": 8, "I": 5, "J": 6})
    assert flat[0].axes[1] == Axis(1, 0, {"c": 30, "i": 6, "j": 1})


def test_a_gather_has_no_axis_and_roles_say_how_a_read_takes_part() -> None:
    program = Program(
        "x[n,k] t[n] z[n] m",
        "y[n] = x[n,t[n]] * exp(z[n]) / m\nr[n] = z[n] if z[n] > 0 else 0\nq[n] = (t[n] == 1) * z[n]",
    )
    assert [(w.tensor, w.axes, w.role) for w in program.windows("y", {})] == [
        ("x", (Axis(1, 0, {"n": 1}), None), "factor"),
        ("t", (Axis(1, 0, {"n": 1}),), "test"),
        ("z", (Axis(1, 0, {"n": 1}),), "inside"),
        ("m", (), "divisor"),
    ]
    assert [(w.tensor, w.role) for w in program.windows("r", {})] == [("z", "factor")]
    assert [(w.tensor, w.role) for w in program.windows("q", {})] == [("t", "test"), ("z", "factor")]


def test_a_pools_winner_is_a_test() -> None:
    case = by_name["max_pool2d"]
    windows = case.program.gradients(("x",)).windows("dx", {**case.numbers, "K": 5})
    assert [(w.tensor, w.role) for w in windows] == [("dy", "factor"), ("indices", "test")]


def test_what_a_sum_or_each_of_its_terms_is_divided_by_is_a_number_or_not_said() -> None:
    program = Program(
        "x[n,k] m",
        "mean[n] = -sum[k](x[n,k]) / (s*K)\ntotal[n] = sum[k](x[n,k])\n"
        "share[n] = sum[k](x[n,k]) / m\nhalves[n] = sum[k](x[n,k] / 2)",
    )
    found = {name: program.divisor(name, {"K": 3, "s": 2}) for name in program.names}
    assert found == {"mean": -6, "total": None, "share": None, "halves": 2}


def test_a_missing_number_is_named() -> None:
    program = by_name["conv2d with its kernel flipped"].program
    with pytest.raises(FormulaError, match=r"the window of w in 'y.*' needs the number 'U'"):
        program.windows("y", UNIT)
    with pytest.raises(FormulaError, match=re.escape("need C, how far 'c' counts")):
        program.windows("y", {**UNIT, "G": 2, "U": 3, "V": 3})


@pytest.mark.parametrize(
    "name", ["conv2d", "conv2d with its kernel flipped", "conv_transpose2d", "max_pool2d", "avg_pool2d"]
)
def test_windows_say_where_explanations_read(name: str) -> None:
    tensors = by_name[name].backward()
    for tensor in ("y", "dx"):
        index = tuple(n // 2 for n in tensors.shape(tensor))
        explanation = explain(tensors, tensor, index, per_page=1000)
        numbers = {**tensors.sizes, **tensors.numbers}
        windows = {w.tensor: [axis for axis in w.axes if axis] for w in tensors.program.windows(tensor, numbers)}
        fixed = tensors.place(tensor, index)
        for term in explanation.terms:
            at = {**fixed, **term.at}
            for read in (explanation.reads[k] for k in term.reads):
                axes = windows[read.tensor]
                positions = [axis.offset + sum(k * at[x] for x, k in axis.letters.items()) for axis in axes]
                exact = all(p % axis.pitch == 0 for p, axis in zip(positions, axes, strict=True))
                cells = tuple(p // axis.pitch for p, axis in zip(positions, axes, strict=True))
                shape = tensors.shape(read.tensor)
                inside = exact and all(0 <= c < n for c, n in zip(cells, shape, strict=True))
                assert (read.index, read.inside) == (cells, inside)


PLUGGED = [
    ("conv2d", "y", {}, "y[o,i,j] = sum[c,u,v](x[c,i+u,j+v] * w[o,c,u,v]) + b[o]"),
    ("conv2d", "dx", {}, "dx[c,h,k] = sum[o,u,v](dy[o,h-u,k-v] * w[o,c,u,v])"),
    ("conv2d", "dw", {}, "dw[o,c,u,v] = sum[i,j](dy[o,i,j] * x[c,i+u,j+v])"),
    ("conv2d", "db", {}, "db[o] = sum[i,j](dy[o,i,j])"),
    (
        "conv2d",
        "dx",
        {"s": 2, "t": 2, "p": 1, "q": 1},
        "dx[c,h,k] = sum[o,u,v](dy[o,(h-u+1)/2,(k-v+1)/2] * w[o,c,u,v])",
    ),
    ("conv2d with its kernel flipped", "y", {}, "y[o,i,j] = sum[c,u,v](x[c,i+u,j+v] * w[o,c,2-u,2-v]) + b[o]"),
    ("conv2d with its kernel flipped", "dw", {"p": 1}, "dw[o,c,u,v] = sum[i,j](dy[o,i,j] * x[c,i-u+1,j-v+2])"),
    ("linear", "dw", {}, "dw[o,c] = dy[o] * x[c]"),
    ("linear", "db", {}, "db[o] = dy[o]"),
    (
        "max_pool2d",
        "dx",
        {"s": 2, "t": 2, "K": 26},
        "dx[c,h,k] = sum[u,v](dy[c,(h-u)/2,(k-v)/2] * (indices[c,(h-u)/2,(k-v)/2] == 26*h + k))",
    ),
    ("global_avg_pool", "dx", {"H": 4, "K": 5}, "dx[c,h,k] = sum[i,j](dy[c,i,j] / 20)"),
    ("relu", "dx", {}, "dx[c,i,j] = 0 if x[c,i,j] <= 0 else dy[c,i,j]"),
]


@pytest.mark.parametrize(("name", "tensor", "more", "text"), PLUGGED)
def test_the_substituted_sentence_is_tidied_and_drops_one_image_and_one_group(
    name: str, tensor: str, more: dict, text: str
) -> None:
    case = by_name[name]
    program = case.program.gradients(case.wrt)
    assert program.equation(tensor, {**UNIT, "U": 3, "V": 3, **more}, {"N": 1}).text == text


def test_batches_and_groups_stay_where_there_are_several() -> None:
    program = by_name["conv2d"].program
    assert program.equation("y", {**UNIT, "G": 2}, {"N": 3}).text == (
        "y[n,g|o,i,j] = sum[c,u,v](x[n,g|c,i+u,j+v] * w[g|o,c,u,v]) + b[g|o]"
    )
    assert program.equation("y", UNIT).text.startswith("y[n,o,i,j] =")


def test_a_batch_letter_that_is_reckoned_with_stays() -> None:
    program = Program("x[n]", "y[n] = x[N-1-n] + n")
    assert program.equation("y", {}, {"N": 1}).text == "y[n] = x[-n] + n"


def test_settings_are_put_in_and_what_they_undo_goes() -> None:
    program = Program("w[n] dw[n]", "g[n] = dw[n] + decay*w[n]\nw_next[n] = w[n] - lr*(1 - damp)*g[n]/(1 - beta)")
    assert program.equation("g", {"decay": 0}).text == "g[n] = dw[n]"
    assert program.equation("w_next", {"lr": 0.03, "damp": 0, "beta": 0.9}).text == "w_next[n] = w[n] - 0.03*g[n]/0.1"
    assert program.equation("g").text == "g[n] = dw[n] + decay*w[n]"


def test_equations_are_made_once() -> None:
    program = by_name["conv2d"].program
    assert program.equation("y", UNIT, {"N": 1}) is program.equation("y", dict(UNIT), {"N": 1})


def test_many_settings_do_not_pile_up() -> None:
    program = Program("w[n]", "y[n] = w[n] * beta**step")
    texts = [program.equation("y", {"beta": 0.9, "step": k}).text for k in range(1500)]
    assert texts[7] == "y[n] = w[n] * 0.9**7" and len(program._kept) < 1500


def test_every_substituted_sentence_evaluates_as_the_general_one() -> None:
    for case, seed in itertools.product(CASES, (0, 1)):
        tensors = case.backward(seed)
        for name in tensors.program.names:
            index = tuple(0 for _ in tensors.shape(name))
            alone = explain(tensors, name, index, per_page=10**6)
            stored = float(tensors[name][index])
            assert alone.page_sum == pytest.approx(stored, rel=1e-9, abs=1e-12), f"{case.name}: {name}"


def test_a_read_says_what_joins_it_to_the_reads_before_it() -> None:
    program = Program("x[n,c] gamma[c] beta[c] std[c]", "y[n,c] = gamma[c] * x[n,c] / std[c] - beta[c] * gamma[c]")
    assert [(window.tensor, window.joint) for window in program.windows("y", {})] == [
        ("gamma", "+"),
        ("x", "×"),
        ("std", "÷"),
        ("beta", "−"),
    ]
