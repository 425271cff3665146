"""The explanation closes the loop: stored value == sentence evaluated == printed terms + remainder."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
import pytest

from engine.formula import Explanation, FormulaError, Program, Read, Tensors, explain
from tests.engine.formula.sentences import CASES, OPTIMIZERS, Case, update

by_name = {case.name: case for case in CASES}


def places(tensors: Tensors, count: int = 4) -> Iterator[tuple[str, tuple[int, ...]]]:
    rng = np.random.default_rng(3)
    for name in tensors.program.names:
        for _ in range(count):
            yield name, tuple(int(rng.integers(n)) for n in tensors.shape(name))


def every_page(tensors: Tensors, name: str, index: tuple[int, ...], **paging: object) -> list[Explanation]:
    first = explain(tensors, name, index, **paging)  # type: ignore[arg-type]
    return [first, *(explain(tensors, name, index, page=k, **paging) for k in range(1, first.pages))]  # type: ignore[arg-type]


def check_closed(tensors: Tensors, name: str, index: tuple[int, ...], rounding: float) -> None:
    pages = every_page(tensors, name, index, per_page=7)
    terms = [term for page in pages for term in page.terms]
    value, where = float(tensors[name][index]), f"{name} at {index}"
    size = math.fsum(abs(term.value) for term in terms)
    assert pages[0].value == value, where
    assert len(terms) == pages[0].terms_total, where
    printed = math.fsum(term.value for term in terms)
    assert printed + pages[0].remainder == pytest.approx(value, rel=1e-15, abs=1e-300), where
    assert abs(pages[0].remainder) <= rounding * max(size, abs(value)), where
    for page in pages:
        assert page.page_sum == math.fsum(term.value for term in page.terms)
        assert sorted({k for term in page.terms for k in term.reads}) == list(range(len(page.reads)))
        assert len({(r.tensor, r.index, r.inside) for r in page.reads}) == len(page.reads)
        for term in page.terms:
            assert math.prod(term.factors) == term.value, where
            if not all(page.reads[k].inside for k in term.reads) and page.sentence.count("+") == 0:
                assert term.value == 0.0, where
        for read in page.reads:
            if read.inside:
                assert read.value == float(np.asarray(tensors[read.tensor])[read.index]), where
            else:
                assert read.value == 0.0, where
    if pages[0].groups:
        grouped = math.fsum(group.value for group in pages[0].groups)
        outside_groups = math.fsum(term.value for term in terms if pages[0].groups[0].letter not in term.at)
        assert grouped + outside_groups + pages[0].remainder == pytest.approx(value, rel=1e-12, abs=1e-14 * size), where


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_terms_of_every_sentence_and_gradient_add_up_in_float64(case: Case) -> None:
    tensors = case.backward()
    for name, index in places(tensors):
        check_closed(tensors, name, index, 1e-12)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_terms_of_stored_float32_numbers_add_up_to_them_with_a_remainder(case: Case) -> None:
    tensors = case.backward(dtype=np.float32)
    for name in tensors.program.names:
        tensors[name] = np.asarray(tensors[name]).astype(np.float32)
    for name, index in places(tensors):
        check_closed(tensors, name, index, 2e-5)


@pytest.mark.parametrize(("name", "sentences"), OPTIMIZERS, ids=[name for name, _ in OPTIMIZERS])
def test_the_terms_of_every_update_add_up(name: str, sentences: str) -> None:
    tensors = update(sentences)
    for tensor, index in places(tensors):
        check_closed(tensors, tensor, index, 1e-12)


def test_the_value_is_the_stored_number_even_where_it_is_wrong() -> None:
    tensors = Tensors(Program("x[n]", "y[n] = 2*x[n]"), {"x": np.array([3.0]), "y": np.array([7.0])}, {})
    explanation = explain(tensors, "y", (0,))
    assert (explanation.value, explanation.terms[0].value, explanation.remainder) == (7.0, 6.0, 1.0)


def test_a_number_that_is_not_stored_is_evaluated_alone() -> None:
    program = Program("x[n] w[k]", "y[n,k] = x[n] * w[k]")
    tensors = Tensors(program, {"x": np.full(10**4, 2.0), "w": np.full(10**4, 3.0)}, {})
    assert explain(tensors, "y", (5, 7)).value == 6.0
    assert "y" not in tensors


def small_conv() -> Tensors:
    case = by_name["conv2d"]
    return case.backward()


def test_a_convolution_lists_its_products_and_then_its_bias() -> None:
    explanation = explain(small_conv(), "y", (1, 4, 2, 0))
    assert explanation.terms_total == 2 * 3 * 2 + 1
    first, last = explanation.terms[0], explanation.terms[-1]
    assert first.at == {"c": 0, "u": 0, "v": 0} and first.family == 0 and first.label == ""
    assert [explanation.reads[k].tensor for k in first.reads] == ["x", "w"]
    assert first.factors == [explanation.reads[k].value for k in first.reads]
    assert last.at == {} and last.family == 1 and last.label == "bias" and len(last.factors) == 1
    assert explanation.equation.text.startswith("y[n,g|o,i,j] = sum[c,u,v](x[n,g|c,2*i+u-1,j+2*v] * w")
    assert explanation.sentence.startswith("y[n,g|o,i,j] = sum[c,u,v](x[n,g|c,s*i+d*u-p,t*j+e*v-q]")


def test_padding_is_listed_as_nothing_or_left_out() -> None:
    tensors = small_conv()
    listed, left_out = (explain(tensors, "y", (0, 0, 0, 0), outside=outside) for outside in (True, False))
    padding = [term for term in listed.terms if term.at.get("u") == 0]
    assert [term.value for term in padding] == [0.0] * 4 and all(term.factors[0] == 0.0 for term in padding)
    assert {r.index[2] for r in listed.reads if not r.inside} == {-1}
    assert left_out.terms_total == listed.terms_total - 4 and all(r.inside for r in left_out.reads)
    assert left_out.value == listed.value and left_out.remainder == listed.remainder
    assert [g.count for g in listed.groups] == [6, 6] and [g.count for g in left_out.groups] == [4, 4]
    assert [g.first for g in left_out.groups] == [0, 4]


def test_the_gap_between_spread_deltas_is_nothing() -> None:
    explanation = explain(small_conv(), "dx", (0, 0, 2, 2))
    gaps = [term for term in explanation.terms if (2 + 1 - term.at["u"]) % 2]
    assert gaps and all(term.value == 0.0 and not explanation.reads[term.reads[0]].inside for term in gaps)


def test_the_gradient_of_a_weight_is_grouped_by_sample() -> None:
    tensors = small_conv()
    explanation = explain(tensors, "dw", (3, 1, 1, 0))
    assert [(g.letter, g.at, g.count, g.first) for g in explanation.groups] == [("n", 0, 9, 0), ("n", 1, 9, 9)]
    second = explain(tensors, "dw", (3, 1, 1, 0), group=1, per_page=5)
    assert second.pages == 2 and second.terms_total == 18 and {t.at["n"] for t in second.terms} == {1}
    rest = explain(tensors, "dw", (3, 1, 1, 0), group=1, per_page=5, page=1)
    assert second.page_sum + rest.page_sum == pytest.approx(explanation.groups[1].value, rel=1e-14)
    with pytest.raises(FormulaError, match="there are 2 groups, numbered from 0; got group 2"):
        explain(tensors, "dw", (3, 1, 1, 0), group=2)


def test_a_single_letter_needs_no_groups() -> None:
    assert explain(by_name["linear"].backward(), "y", (0, 0)).groups == []


def test_the_largest_terms_come_first_over_all_pages() -> None:
    tensors = small_conv()
    pages = every_page(tensors, "dw", (3, 1, 1, 0), per_page=4, order="largest")
    sizes = [abs(term.value) for page in pages for term in page.terms]
    assert sizes == sorted(sizes, reverse=True)
    in_order = every_page(tensors, "dw", (3, 1, 1, 0), per_page=4)
    assert sorted(sizes) == sorted(abs(term.value) for page in in_order for term in page.terms)
    with pytest.raises(FormulaError, match="order is 'index' or 'largest', got 'random'"):
        explain(tensors, "dw", (3, 1, 1, 0), order="random")


def test_equal_terms_keep_their_order_across_pages() -> None:
    tensors = Tensors(Program("x[n]", "y = sum[n](x[n])"), {"x": np.array([0.0, 1, 0, -1, 1, 0, 2])}, {})
    pages = every_page(tensors, "y", (), per_page=2, order="largest")
    assert [term.at["n"] for page in pages for term in page.terms] == [6, 1, 3, 4, 0, 2, 5]


def test_a_page_that_is_not_there_is_refused() -> None:
    says = "db at (0,) has 1 pages of 20 terms, numbered from 0; got page 1"
    with pytest.raises(FormulaError, match=re.escape(says)):
        explain(small_conv(), "db", (0,), page=1)


def test_a_max_shows_its_candidates_and_the_one_that_won() -> None:
    x = np.array([[[[1.0, 7.0], [7.0, -2.0]]]])
    case = by_name["global_max_pool"]
    tensors = Tensors(case.program, {"x": x}, {}, {"y": (1, 1, 1, 1)})
    explanation = explain(tensors, "y", (0, 0, 0, 0))
    assert [term.factors for term in explanation.terms] == [[1.0, 0.0], [7.0, 1.0], [7.0, 0.0], [-2.0, 0.0]]
    assert explanation.value == 7.0 and explanation.remainder == 0.0 and explanation.largest
    winner = explain(tensors, "indices", (0, 0, 0, 0))
    assert [term.factors for term in winner.terms] == [[0.0, 0.0], [1.0, 1.0], [2.0, 0.0], [3.0, 0.0]]
    assert not winner.largest and not explain(small_conv(), "y", (0, 0, 0, 0)).largest
    assert winner.value == 1.0 and [r.tensor for r in winner.reads] == ["x"] * 4


def test_an_infinite_candidate_that_lost_counts_nothing() -> None:
    tensors = Tensors(Program("x[n]", "y = max[n](x[n])"), {"x": np.array([-np.inf, 2.0])}, {})
    explanation = explain(tensors, "y", ())
    assert [term.value for term in explanation.terms] == [0.0, 2.0] and explanation.remainder == 0.0


def test_a_choice_shows_the_factors_of_the_branch_taken() -> None:
    program = Program("x[n]", "y[n] = x[n] if x[n] > 0 else slope*x[n]")
    tensors = Tensors(program, {"x": np.array([2.0, -2.0])}, {"slope": 0.1})
    assert [explain(tensors, "y", (n,)).terms[0].factors for n in (0, 1)] == [[2.0], [0.1, -2.0]]
    assert explain(tensors, "y", (1,)).reads == [Read("x", (1,), -2.0, True)]


def test_a_choice_under_a_sum_takes_each_term_its_own_branch() -> None:
    program = Program("x[n] w[n]", "y = sum[n](x[n]*w[n] if x[n] > 0 else -w[n])")
    tensors = Tensors(program, {"x": np.array([2.0, -2.0]), "w": np.array([3.0, 5.0])}, {})
    assert [term.factors for term in explain(tensors, "y", ()).terms] == [[2.0, 3.0], [-1.0, 5.0]]


def test_a_function_is_one_factor_with_what_it_reads() -> None:
    tensors = Tensors(Program("x[n]", "y[n] = exp(x[n] - x[0])"), {"x": np.array([1.0, 3.0])}, {})
    (term,) = explain(tensors, "y", (1,)).terms
    assert term.factors == [math.exp(2.0)] and len(term.reads) == 2


def test_a_divided_sum_carries_its_divisor_as_a_factor() -> None:
    tensors = Tensors(Program("x[n]", "y = -sum[n](x[n]) / N"), {"x": np.array([1.0, 3.0, 5.0, 7.0])}, {})
    assert [term.factors for term in explain(tensors, "y", ()).terms][1] == [-1.0, 3.0, 0.25]


def test_a_term_of_nothing_in_an_update_is_left_out_when_its_setting_is_0() -> None:
    program = Program("w[n] dw[n]", "g[n] = dw[n] + decay*w[n]")
    tensors = Tensors(program, {"w": np.ones(1), "dw": np.ones(1)}, {"decay": 0})
    assert explain(tensors, "g", (0,)).terms_total == 1


def test_a_left_out_optional_tensor_shows_as_a_read_outside() -> None:
    program = Program("x[n] b[n]", "y = sum[n](x[n]) + b[0]", optional=("b",))
    explanation = explain(Tensors(program, {"x": np.ones(2)}, {}), "y", ())
    assert explanation.value == 2.0 and explanation.terms[-1].value == 0.0


def test_a_value_that_is_no_number_keeps_the_remainder_quiet() -> None:
    tensors = Tensors(Program("x[n]", "y = sum[n](x[n])"), {"x": np.array([np.inf, 1.0])}, {})
    assert explain(tensors, "y", ()).remainder == 0.0
    tensors = Tensors(Program("x[n]", "y = sum[n](x[n])"), {"x": np.array([np.inf, -np.inf])}, {})
    assert math.isnan(explain(tensors, "y", ()).remainder)


def test_a_sum_of_more_than_ten_million_terms_is_refused_before_it_is_made() -> None:
    program = Program("x[n] w[k]", "y = sum[n,k](x[n] * w[k])")
    tensors = Tensors(program, {"x": np.zeros(10**4), "w": np.zeros(1001)}, {})
    with pytest.raises(FormulaError, match="a sum of 10000x1001 terms is more than 10000000"):
        explain(tensors, "y", ())


@pytest.mark.parametrize(
    ("name", "index", "says"),
    [
        ("y", (0, 0, 3, 0), "y has 3 along axis 2 (i), got the index 3"),
        ("y", (0, 0, -1, 0), "y has 3 along axis 2 (i), got the index -1"),
        ("y", (0, 0), "y has 4 axes, shape (2, 6, 3, 3); got the index (0, 0)"),
        ("x", (0, 0, 0, 0), "x is given, no sentence says it"),
        ("q", (0,), "nothing named 'q' is said"),
    ],
)
def test_a_place_that_is_not_there_is_refused(name: str, index: tuple[int, ...], says: str) -> None:
    with pytest.raises(FormulaError, match=re.escape(says)):
        explain(small_conv(), name, index)


def test_a_read_in_a_gap_is_told_from_the_cell_before_it_and_from_one_outside() -> None:
    """Stride 2 in one dimension: x[3] hears of y[1] at u = 1; u = 0 would read between y[1] and y[2]."""
    program = Program("dy[i] w[u]", "dx[h] = sum[u](dy[(h-u)/2] * w[u])")
    tensors = Tensors(program, {"dy": np.array([5.0, 7.0]), "w": np.array([2.0, 3.0, 4.0])}, {}, {"dx": (6,)})
    cells = {
        h: [(r.index, r.value, r.inside, r.gap) for r in explain(tensors, "dx", (h,)).reads if r.tensor == "dy"]
        for h in (3, 5)
    }
    assert cells[3] == [((1,), 0.0, False, True), ((1,), 7.0, True, False), ((0,), 0.0, False, True)]
    assert cells[5] == [((2,), 0.0, False, False), ((1,), 0.0, False, True)]
