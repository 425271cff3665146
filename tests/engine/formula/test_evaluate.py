"""Evaluation: the rules of nothing, sizes by unification, and plain loops as an outside oracle."""

from __future__ import annotations

import re

import numpy as np
import pytest

from engine.formula import FormulaError, Program, Tensors
from tests.engine.formula.sentences import CASES, Case

by_name = {case.name: case for case in CASES}


def evaluate(
    given: str, sentence: str, arrays: dict, numbers: dict | None = None, y: tuple[int, ...] | None = None
) -> list:
    tensors = Tensors(Program(given, sentence), arrays, numbers or {}, {} if y is None else {"y": y})
    return tensors["y"].tolist()


ROW = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("y[i] = x[i-1]", [0.0, 1.0, 2.0, 3.0]),
        ("y[i] = x[i-1] * 5", [0.0, 5.0, 10.0, 15.0]),
        ("y[i] = 5 / x[i-1]", [0.0, 5.0, 2.5, 5 / 3]),
        ("y[i] = exp(0*x[i-1])", [0.0, 1.0, 1.0, 1.0]),
        ("y[i] = x[i-1]**0", [0.0, 1.0, 1.0, 1.0]),
        ("y[i] = (x[i-1] >= 0)", [0.0, 1.0, 1.0, 1.0]),
        ("y[i] = x[i-1] + 5", [5.0, 6.0, 7.0, 8.0]),
        ("y[i] = 5 - x[i-1]", [5.0, 4.0, 3.0, 2.0]),
        ("y[i] = -x[i-1]", [0.0, -1.0, -2.0, -3.0]),
        ("y[i] = 1 if x[i-1] >= 0 else 2", [0.0, 1.0, 1.0, 1.0]),
        ("y[i] = x[i-1] if i > 1 else 7", [7.0, 7.0, 2.0, 3.0]),
        ("y[i] = x[i/2]", [1.0, 0.0, 2.0, 0.0]),
        ("y[i] = x[2-i]", [3.0, 2.0, 1.0, 0.0]),
    ],
)
def test_a_read_outside_is_nothing(sentence: str, expected: list[float]) -> None:
    assert evaluate("x[h]", sentence, {"x": ROW}, y=(4,)) == expected


def test_a_sum_of_nothing_is_0_and_nothing_never_wins() -> None:
    assert evaluate("x[h]", "y[i] = sum[u](x[i+u-4])", {"x": ROW}, {"U": 2}, (4,)) == [0.0, 0.0, 0.0, 1.0]
    assert evaluate("x[h]", "y[i] = max[u](x[i+u-1])", {"x": -ROW}, {"U": 2}, (4,)) == [-1.0, -1.0, -2.0, -3.0]


def test_a_max_of_nothing_is_minus_infinity_and_its_winner_minus_one() -> None:
    assert evaluate("x[h]", "y[i] = max[u](x[i+u-4])", {"x": ROW}, {"U": 2}, (2,)) == [-np.inf, -np.inf]
    assert evaluate("x[h]", "y[i] = argmax[u](x[i+u-4], i+u-4)", {"x": ROW}, {"U": 2}, (4,)) == [-1, -1, -1, 0]


def test_the_first_of_equals_wins_and_nan_wins_over_all() -> None:
    rows = np.array([[1.0, 4, 4], [2, np.nan, 9], [-np.inf, -np.inf, -np.inf]])
    assert evaluate("x[n,k]", "y[n] = argmax[k](x[n,k], k)", {"x": rows}) == [1, 1, 0]
    best = evaluate("x[n,k]", "y[n] = max[k](x[n,k])", {"x": rows})
    assert best[0] == 4 and np.isnan(best[1]) and best[2] == -np.inf


def test_winners_are_whole_numbers() -> None:
    tensors = by_name["max_pool2d"].forward(by_name["max_pool2d"].arrays())
    assert tensors["indices"].dtype == np.int64 and tensors["y"].dtype == np.float64


def test_a_gather_reads_through_whole_numbers_of_any_type_and_nothing_elsewhere() -> None:
    for t in (np.array([2, 0, 5, -1]), np.array([2.0, 0.0, np.nan, 0.5])):
        assert evaluate("x[h] t[n]", "y[n] = x[t[n]]", {"x": ROW, "t": t}) == [3.0, 1.0, 0.0, 0.0]


def test_comparisons_chain_and_count_as_numbers() -> None:
    assert evaluate("x[h]", "y[h] = (1 <= x[h] < 3) + (x[h] != 2)", {"x": ROW}) == [2.0, 1.0, 1.0]


def test_scalars_have_no_axes() -> None:
    program = Program("x[n] m", "y = sum[n](x[n] * m) / N")
    y = Tensors(program, {"x": ROW, "m": np.array(2.0)}, {})["y"]
    assert y.shape == () and y == 4.0


def test_an_empty_tensor_sums_to_0() -> None:
    assert evaluate("x[n,k]", "y[n] = sum[k](x[n,k])", {"x": np.zeros((2, 0))}) == [0.0, 0.0]
    assert evaluate("x[n,k]", "y[n] = sum[k](x[n,k])", {"x": np.zeros((0, 3))}) == []


def test_float32_is_evaluated_in_float64() -> None:
    y = Tensors(Program("x[n]", "y[n] = x[n] / 3"), {"x": np.array([1], np.float32)}, {})["y"]
    assert y.dtype == np.float64 and y[0] == 1 / 3


def test_a_left_out_optional_tensor_is_nothing() -> None:
    program = Program("x[n] b[n]", "y[n] = x[n] + b[n]", optional=("b",))
    assert Tensors(program, {"x": ROW}, {})["y"].tolist() == [1.0, 2.0, 3.0]
    assert Tensors(program, {"x": ROW, "b": ROW}, {})["y"].tolist() == [2.0, 4.0, 6.0]


def padded_windows(case: Case, x: np.ndarray):
    """(output cell, window cell, input cell) by plain loops."""
    n = case.numbers
    _, _, rows, columns = case.extents["y"]
    for i in range(rows):
        for j in range(columns):
            for u in range(case.shapes["w"][2] if "w" in case.shapes else int(n["U"])):
                for v in range(case.shapes["w"][3] if "w" in case.shapes else int(n["V"])):
                    h = n["s"] * i + n.get("d", 1) * u - n["p"]
                    k = n["t"] * j + n.get("e", 1) * v - n["q"]
                    if 0 <= h < x.shape[2] and 0 <= k < x.shape[3]:
                        yield i, j, u, v, h, k


@pytest.mark.parametrize("flip", [False, True])
def test_convolution_equals_plain_loops(flip: bool) -> None:
    case = by_name["conv2d with its kernel flipped" if flip else "conv2d"]
    a = case.arrays()
    x, w, expected = a["x"], a["w"], np.zeros(case.extents["y"]) + a["b"][None, :, None, None]
    for i, j, u, v, h, k in padded_windows(case, x):
        for o in range(6):
            for c in range(2):
                kernel = w[o, c, 2 - u, 1 - v] if flip else w[o, c, u, v]
                expected[:, o, i, j] += x[:, o // 3 * 2 + c, h, k] * kernel
    np.testing.assert_allclose(case.forward(a)["y"], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pooling_equals_plain_loops(name: str) -> None:
    case = by_name[name]
    x = case.arrays()["x"]
    cells: dict[tuple[int, int], list[np.ndarray]] = {}
    for i, j, _, _, h, k in padded_windows(case, x):
        cells.setdefault((i, j), []).append(x[:, :, h, k])
    expected = np.zeros(case.extents["y"])
    for (i, j), seen in cells.items():
        expected[:, :, i, j] = np.max(seen, axis=0) if name == "max_pool2d" else np.mean(seen, axis=0)
    np.testing.assert_allclose(case.forward({"x": x})["y"], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "sentence", "shapes", "numbers", "says"),
    [
        (
            "x[n,c] w[o,c]",
            "y[n,o] = sum[c](x[n,c] * w[o,c])",
            {"x": (2, 3), "w": (4, 5)},
            {},
            "w has 5 along axis 1 (c), but c counts 3",
        ),
        ("x[n,c]", "y[n] = x[n,0]", {"x": (2, 3, 4)}, {}, "x has 3 axes, shape (2, 3, 4); declared is x[n,c]"),
        ("x[g|c]", "y[g] = x[g|0]", {"x": (7,)}, {"G": 2}, "x has 7 along axis 0 (g|c), does not divide by 2"),
        (
            "x[g|c] w[g] b[c]",
            "y[g] = x[g|0]",
            {"x": (6,), "w": (2,), "b": (4,)},
            {},
            "x has 6 along axis 0 (g|c), but g*c counts 8",
        ),
        ("x[n]", "y[n] = x[n]", {"x": (2,)}, {"N": 1.5}, "N counts the letter 'n' and must be a whole number, got 1.5"),
        (
            "x[h]",
            "y[u] = x[u]",
            {"x": (3,)},
            {"U": 2},
            "'y[u] = x[u]': u counts 2, but reads the axis h of x, which counts 3",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(given: str, sentence: str, shapes: dict, numbers: dict, says: str) -> None:
    with pytest.raises(FormulaError, match=re.escape(says)):
        Tensors(Program(given, sentence), {n: np.zeros(s) for n, s in shapes.items()}, numbers)


def test_a_plain_letter_may_read_a_shorter_axis_only_where_the_program_joins() -> None:
    arrays = {"a": np.ones(2), "b": np.ones(3)}
    given, sentence = "a[p] b[q]", "y[c] = a[c] + b[c-P]"
    with pytest.raises(FormulaError, match="c counts 5, but reads the axis p of a, which counts 2; only a program"):
        Tensors(Program(given, sentence), arrays, {}, {"y": (5,)})
    assert Tensors(Program(given, sentence, joins=True), arrays, {}, {"y": (5,)})["y"].tolist() == [1.0] * 5


@pytest.mark.parametrize(
    ("sentence", "numbers", "says"),
    [
        ("y[i] = sum[u](x[i+u])", {}, "nothing says how far 'u' counts: no shape has it; give U as a setting"),
        (
            "y[i] = x[s*i]",
            {},
            "'s' is neither a letter (none such on the left or in a reducer), nor a tensor, nor a number; "
            "numbers are H, I",
        ),
        ("y[i] = x[s*i]", {"s": 0.5}, "s stands in a subscript and must be a whole number, got 0.5"),
        ("y[i] = x[i/s]", {"s": 0}, "a subscript is divided by 0"),
    ],
)
def test_a_missing_or_unfit_number_is_named(sentence: str, numbers: dict, says: str) -> None:
    tensors = Tensors(Program("x[h]", sentence), {"x": ROW}, numbers, {"y": (2,)})
    with pytest.raises(FormulaError, match=re.escape(says)):
        tensors["y"]


def test_a_tensor_that_is_not_given_is_named() -> None:
    tensors = Tensors(Program("x[n] b[n]", "y[n] = x[n] + b[n]"), {"x": ROW}, {})
    with pytest.raises(FormulaError, match="b is not given; given: x"):
        tensors["y"]
    with pytest.raises(FormulaError, match="q is no tensor of this program"):
        tensors["q"]


def test_a_grid_of_more_than_ten_million_elements_is_refused_before_it_is_made() -> None:
    program = Program("x[n] w[k]", "y[n,k] = x[n] * w[k]")
    tensors = Tensors(program, {"x": np.zeros(10**4), "w": np.zeros(1001)}, {})
    with pytest.raises(FormulaError, match="the grid 10000x1001 has more than 10000000 elements"):
        tensors["y"]


def test_an_evaluated_tensor_is_kept_and_a_stored_one_is_not_evaluated() -> None:
    tensors = Tensors(Program("x[n]", "e[n] = 2*x[n]\ny[n] = e[n] + 1"), {"x": ROW, "e": ROW}, {})
    assert tensors["y"].tolist() == [2.0, 3.0, 4.0]
    assert tensors["y"] is tensors["y"]


def test_sizes_are_unified_over_shapes_groups_and_settings() -> None:
    case = by_name["conv2d"]
    sizes = case.backward().sizes
    assert sizes == {"N": 2, "G": 2, "C": 2, "O": 3, "H": 6, "K": 5, "I": 3, "J": 3, "U": 3, "V": 2}
