"""Exercises: right answers accepted however they are written, mistakes named rightly, other answers never."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np
import pytest

from engine.exercises import FAMILIES, AnswerError, Family
from engine.exercises.answers import cell, grid, number, order
from engine.exercises.item import Draw, Wrong
from engine.exercises.item import written as exercise_text
from engine.mistakes import MISTAKES

ITEMS, SMALL = 100, 15

every_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


def forms(value: float) -> list[Any]:
    """A number as people write it."""
    text = f"{value:.12g}" if abs(value) < 1e15 else repr(value)
    written = [value, text, f" {text} ", text.replace("-", "\u2212"), text.replace(".", ","), f"{value:.12e}"]
    if "e" not in text:
        written += [text.replace("0.", ".", 1)] if abs(value) < 1 and value else [f"{text}/1"]
        written += [f"+{text}"] if value > 0 else []
    return written


def written(family: Family, answer: Any) -> list[Any]:
    match family.kind.name:
        case "number":
            return forms(answer)
        case "grid":
            rows = [[f"{value:.12g}".replace("-", "\u2212").replace(".", ",") for value in row] for row in answer]
            lines = [" ".join(row) for row in rows]
            return [answer.tolist(), rows, "\n".join(lines), " ; ".join(lines), str(answer.tolist())]
        case "cell":
            return [list(answer), ",".join(map(str, answer)), f"({answer[0]}, {answer[1]})"]
        case "order":
            return [list(answer), ", ".join(answer)]
    return [answer]


@every_family
def test_right_answers_are_accepted_however_they_are_written(family: Family) -> None:
    for seed in range(SMALL):
        item = family.item(seed)
        for given in written(family, item.answer):
            verdict = family.judge(item, family.read(item, given))
            assert verdict.right and verdict.wrong is None, (seed, given)


def near(family: Family, wrong: Wrong, tolerance: float, rng: random.Random) -> Any:
    """The mistake's answer, rounded as the item asks."""
    if family.kind.numeric:
        return np.asarray(wrong.answer) + rng.uniform(-1, 1) * 0.9 * tolerance
    return wrong.answer


@every_family
def test_each_mistakes_answer_is_named_and_random_ones_are_not(family: Family) -> None:
    rng = random.Random(5)
    for seed in range(ITEMS):
        item = family.item(seed)
        assert item.wrongs and (family.fits(item) or not family.clashes(item)), seed
        for wrong in item.wrongs:
            found = family.judge(item, near(family, wrong, item.tolerance, rng))
            assert not found.right and found.wrong and found.wrong.mistake == wrong.mistake, (seed, wrong)
        if family.kind.numeric:
            for _ in range(20):
                away = np.asarray(item.answer) + np.round(rng.uniform(-40, 40), rng.choice([0, 1, 4]))
                verdict = family.judge(item, away)
                if verdict.wrong:
                    assert family.kind.apart(away, verdict.wrong.answer) <= item.tolerance
                if verdict.right:
                    assert family.kind.apart(away, item.answer) <= item.tolerance


@every_family
def test_items_are_the_same_for_a_seed_and_differ_between_seeds(family: Family) -> None:
    drawn = [family.item(seed) for seed in range(SMALL)]
    first, again = (next(filter(None, (family.draw(Draw(f"x/{k}")) for k in range(99)))) for _ in "ab")
    assert first.question == again.question and np.array_equal(first.answer, again.answer)
    told = {(item.question, str(item.answer), str(item.tensors), item.names) for item in drawn}
    assert len(told) > SMALL // 3


@every_family
def test_hints_do_not_give_the_answer_and_mistakes_are_listed(family: Family) -> None:
    told = 0
    for seed in range(SMALL):
        item = family.item(seed)
        assert len(item.hints) == 3 and all(hint.text.endswith((".", "?")) for hint in item.hints)
        assert item.question.endswith(("?", "."))
        told += gives_away(family, item)
        for wrong in item.wrongs:
            assert wrong.mistake in MISTAKES and wrong.feedback.endswith(("?", "."))
            if wrong.calculation is not None:
                assert family.kind.name != "number" or wrong.calculation.value == wrong.answer

    assert told <= SMALL // 3  # small numbers meet by chance


def gives_away(family: Family, item: Any) -> bool:
    """Whether a hint says the answer, as a result or as a choice."""
    said = " ".join(hint.text for hint in item.hints)
    if family.kind.name == "number":
        return bool(re.search(rf"(=|is) {re.escape(exercise_text(float(item.answer)))}([.;,] |[.]$)", said))
    if family.kind.name == "choice":
        right = next(choice for choice in item.choices if choice.name == item.answer)
        return right.text in said or f" {right.name} " in said
    return family.kind.name == "cell" and "row {}, column {}".format(*item.answer) in said


#: The lessons' own items: the right answer, and some wrong ones with their names.
LESSONS: list[tuple[str, Any, dict[Any, str]]] = [
    ("forward_cell", 1, {4: "no_bias", -2: "flip", -3: "transposed", 3: "mirrored", -10: "mirrored"}),
    ("true_convolution", -20, {20: "flip", -18: "place_swapped"}),
    ("output_size", 5, {13: "stride", 4: "off_by_one", "4,33": "padding", "3.67": "padding"}),
    ("channels", 3, {0: "channels_not_summed", 2: "no_bias", 5: "bias_per_channel", 1: "flip"}),
    ("receptive_field", 12, {10: "stride", 14: "off_by_one"}),
    ("max_route", "0 3 -1 0/0 0 0 0/2 0 0 -4/0 0 0 0", {"0 3 -1 -1/0 0 -1 0/2 0 0 -4/0 2 0 0": "tie_to_all"}),
    ("loss", "1.408", {"0.245": "exchanged", "-1.408": "sign"}),
    (
        "first_delta",
        "0.665 -0.755 0.090",
        {"0.665 0.245 0.090": "target_left_out", "-.665 .755 -.09": "sign"},
    ),
    ("hand_step", 1.125, {0.375: "flip", 2.25: "constant_lost"}),
    ("momentum", "0.932", {"1.068": "sign", "0,95": "no_memory", "0.9932": "rate_twice"}),
    ("kernel_gradient", "-29 -32/-16 -27", {"-26 -33/-14 -23": "flip", "-29 -16/-32 -27": "transposed"}),
    (
        "input_gradient",
        2,
        {-17: "flip", 8: "mirrored", -8: "mirrored", -13: "transposed", -10: "place_swapped", -7: "padding"}
        | {-3: "one_product"},
    ),
    (
        "strided_gradient",
        -23,
        {3: "flip", 13: "mirrored", -3: "mirrored", -21: "transposed", -15: "place_swapped", -9: "stride"},
    ),
]


@pytest.mark.parametrize(("name", "right", "wrongs"), LESSONS, ids=[lesson[0] for lesson in LESSONS])
def test_the_lessons_own_items_have_the_lessons_numbers(name: str, right: Any, wrongs: dict[Any, str]) -> None:
    family = FAMILIES[name]
    item = family.item(0)
    assert family.judge(item, family.read(item, right)).right
    for given, mistake in wrongs.items():
        found = family.judge(item, family.read(item, given)).wrong
        assert found and found.mistake == mistake, (given, found)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (".5", 0.5),
        ("0,5", 0.5),
        ("\u22120.5", -0.5),
        ("\u2013 3", -3.0),
        ("1/2", 0.5),
        ("-1/4", -0.25),
        ("\u00bd", 0.5),
        ("5e-1", 0.5),
        ("5E-1", 0.5),
        ("+3", 3.0),
        (" 7. ", 7.0),
        (-2, -2.0),
    ],
)
def test_numbers_are_read_as_people_write_them(text: Any, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "five", "1,2,3", "1.2.3", "1/0", "--1", "1e999", "1e99999", "0x10", "inf", "nan", "1_0", "9" * 41, True],
)
def test_what_is_no_number_is_refused_with_what_was_expected(text: Any) -> None:
    with pytest.raises(AnswerError, match="not a number yet"):
        number(text)


@pytest.mark.parametrize("given", [None, [1], {"a": 1}, float("nan"), float("inf"), 10**400])
def test_other_json_is_no_number(given: Any) -> None:
    with pytest.raises(AnswerError, match="not a number yet"):
        number(given)


@pytest.mark.parametrize(
    "text",
    ["1 -2\n0,5 4", "1 \u22122; .5 4", "1 -2/0,5 4", "[[1, -2], [0.5, 4]]", "[[1 -2]\n [0.5 4]]", "1, -2\n0.5, 4"],
)
def test_grids_are_read_by_rows(text: str) -> None:
    assert grid(text, (2, 2)).tolist() == [[1, -2], [0.5, 4]]


@pytest.mark.parametrize("text", ["1 2 3", "1 2\n3", [[1, 2]], [[1, 2], 3], 4, [[1, 2], ["a", 3]], "1" * 5000])
def test_a_grid_that_does_not_fit_is_refused(text: Any) -> None:
    with pytest.raises(AnswerError, match=r"2 rows of 2 numbers|row 1, column 0"):
        grid(text, (2, 2))


@pytest.mark.parametrize("given", ["4,0", "1", [1.5, 0], [0, -1], {}, "a,b"])
def test_what_is_no_cell_is_refused(given: Any) -> None:
    with pytest.raises(AnswerError, match="expected a cell"):
        cell(given, (4, 1))


@pytest.mark.parametrize("given", ["a", ["a", "a"], [1, 2], None])
def test_what_is_no_order_is_refused(given: Any) -> None:
    with pytest.raises(AnswerError, match="expected each of a, b once"):
        order(given, ["a", "b"])


def test_cells_and_orders_are_read() -> None:
    assert cell("3, 0", (4, 1)) == cell([3, 0], (4, 1)) == cell("(3,0)", (4, 1)) == (3, 0)
    assert order("b, a", ["a", "b"]) == ("b", "a")
