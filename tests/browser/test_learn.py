"""Learn: the index, a lesson by keyboard alone, words that light cells, questions, benches, the phone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import axe
from tests.browser.conftest import Watch
from tests.browser.test_train import post
from tests.server import Server

PHONE = {"width": 390, "height": 844}


def visit(page: Page, server: Server, query: str = "") -> None:
    server.wait_ready()
    page.goto(f"/#view=learn{query}")


def test_the_index_lists_every_lesson_and_begins_with_the_first(page: Page, server: Server) -> None:
    visit(page, server)
    expect(page.locator(".lesson-of")).to_have_count(13)
    expect(page.locator(".learn-head")).to_contain_text("0 of 13 done")
    axe(page)
    page.get_by_role("button", name="Begin with 1").click()
    expect(page.locator(".lesson .sentence")).to_contain_text("0.5 = 2.1.")
    expect(page).to_have_url(re.compile("part=convolution/average"))


def test_a_lesson_is_played_by_keyboard_and_kept(page: Page, server: Server) -> None:
    visit(page, server, "&part=turned-or-not")
    sentence = page.locator(".lesson .sentence")
    expect(sentence).to_contain_text("= −13.")
    page.get_by_role("button", name="Next ›").focus()
    page.keyboard.press("Enter")
    expect(sentence).to_contain_text("Nine products, one sum: −24.")
    page.keyboard.press("ArrowRight")
    expect(sentence).to_contain_text("What is it if nobody turns it?")
    expect(page.locator(".figures")).to_have_count(0)
    expect(page.locator(".lesson-body")).not_to_contain_text("cross-correlation")
    page.locator(".picks input").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator(".guess")).to_have_text(re.compile("You said −13, the sum is the same. It is 13."))
    expect(sentence).to_contain_text("That is cross-correlation, 13 at the corner.")
    axe(page)
    page.reload()
    expect(page.locator(".guess")).to_contain_text("It is 13.")
    page.get_by_role("button", name="All lessons").first.click()
    expect(page.locator(".lesson-of", has_text="Turned or not?")).to_contain_text("step 3 of 4")


def test_words_light_cells_and_cells_light_words(page: Page, server: Server) -> None:
    visit(page, server, "&part=kernel-turns/g")
    expect(page.locator(".figures .number")).not_to_have_count(0)
    word = page.locator(".hot", has_text="g").last
    page.mouse.move(5, 5)
    word.focus()
    lit = page.locator('.figures .number.ring[data-place="conv2/w/1,0,2,0"]')
    expect(lit.first).to_be_visible()
    expect(word).to_have_attribute("title", "lights 1 cell")
    page.locator('.figures .number[data-place="conv2/dx/0,0,5,3"]').count()
    page.locator('.figures .number[data-place="conv2/w/1,0,2,0"]').first.hover()
    expect(word).to_have_class(re.compile(r"\bon\b"))


def test_a_step_notices_what_the_learner_did(page: Page, server: Server) -> None:
    visit(page, server, "&part=convolution/map")
    task = page.locator(".task")
    expect(task).to_have_class("task ")
    page.locator(".step .heat").last.click(position={"x": 20, "y": 20})
    expect(page.locator(".card-title")).to_contain_text("Output of conv1")
    page.get_by_role("button", name="Back to step 4").click()
    expect(page.locator(".lesson .sentence")).to_contain_text("feature map")
    expect(task).to_have_class("task done")


@pytest.mark.parametrize("lesson", ["by-hand", "pooling", "stride-back", "relatives"])
def test_every_step_of_a_lesson_finds_its_numbers(page: Page, server: Server, lesson: str) -> None:
    visit(page, server, f"&part={lesson}")
    for _ in range(len(server.get(f"/api/lessons/{lesson}")["steps"]) - 1):
        if page.locator(".ask").count():
            page.get_by_role("button", name="Skip").click()
        expect(page.locator(".lesson .sentence")).not_to_contain_text("…")
        expect(page.locator(".step .figures")).to_be_visible()
        page.get_by_role("button", name="Next ›").click()
    expect(page.locator(".lesson .sentence")).not_to_contain_text("…")


def test_explore_is_as_it_was_after_a_bench(page: Page, server: Server) -> None:
    visit(page, server, "&part=turned-or-not")
    expect(page.locator(".lesson .sentence")).to_contain_text("−13.")
    page.get_by_role("link", name="Explore").click()
    expect(page.locator('.slot[data-tensor="conv1/y"]')).to_be_visible()
    expect(page.locator(".header")).to_contain_text("test 464")


def test_on_a_phone_the_sheet_leaves_the_figure(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(viewport=PHONE, has_touch=True)
    visit(page, server, "&part=kernel-turns/g")
    expect(page.locator(".figures .number").first).to_be_visible()
    main, sheet = page.locator("main").bounding_box(), page.locator(".card.lesson").bounding_box()
    assert main and sheet
    assert main["y"] + main["height"] <= sheet["y"] + 1
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    axe(page)


def wrong_turn(server: Server, seed: int) -> str:
    """What somebody answers who did not turn the kernel: of the seed's item, by the server's own verdicts."""
    for value in range(-40, 41):
        verdict = post(server, "/api/exercises/input_gradient/answers", {"seed": seed, "answer": str(value)})
        if verdict["mistake"] and verdict["mistake"]["name"] == "flip":
            return str(value)
    raise AssertionError("no whole number is this mistake")


def test_a_wrong_answer_is_named_retraced_and_then_put_right(page: Page, server: Server, watch: Watch) -> None:
    visit(page, server)
    page.evaluate("localStorage.setItem('convscope.learn', JSON.stringify({device: 5}))")
    page.goto("/#view=learn&part=kernel-turns/exercise-input_gradient")
    page.reload()
    field = page.get_by_label("Your answer")
    field.fill("two")
    field.press("Enter")
    expect(page.locator(".objection")).to_be_visible()
    assert "422" in watch.errors.pop()
    field.fill(wrong_turn(server, 5001))
    field.press("Enter")
    expect(page.locator(".verdict-of")).to_contain_text("Ask each output which weight touched this pixel.")
    expect(page.locator(".retrace .value")).to_be_visible()
    axe(page)
    page.get_by_role("button", name="A hint, 1 of 3").click()
    expect(page.locator(".hints li")).to_have_count(2)
    answer = post(server, "/api/exercises/input_gradient/answers", {"seed": 5001, "reveal": True})["value"]
    field.fill(f"{answer:g}".replace(".", ","))
    field.press("Enter")
    expect(page.locator(".verdict-of")).to_contain_text("Right.")


def test_a_grid_is_filled_by_keyboard(page: Page, server: Server) -> None:
    visit(page, server, "&part=pooling/exercise-max_route")
    cells = page.locator(".given-cell input")
    cells.first.focus()
    page.keyboard.type("1")
    page.keyboard.press("ArrowRight")
    page.keyboard.type("-2")
    expect(cells.nth(1)).to_be_focused()
    expect(cells.nth(1)).to_have_value("-2")
    page.keyboard.press("Enter")
    expect(page.locator(".objection")).to_have_text("Some cells are empty still.")
    page.get_by_role("button", name="Fill the rest with 0").click()
    page.get_by_role("button", name="Check").click()
    expect(page.locator(".verdict-of")).to_contain_text("cells are right")
    axe(page)


def test_stages_are_ordered_and_a_cell_is_chosen_by_keyboard(page: Page, server: Server) -> None:
    visit(page, server, "&part=by-hand/exercise-stages")
    rows = page.locator(".order .handle")
    first = rows.first.inner_text()[2:]
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_contain_text(first)
    expect(rows.nth(1)).to_be_focused()
    page.goto("/#view=learn&part=pooling/exercise-winner")
    page.locator("button.given-cell").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".answer")).to_contain_text("Row 1, column 0.")


def test_gradients_of_ones_own_are_judged_with_a_courses_inputs_and_the_cell_is_made(
    page: Page, server: Server, watch: Watch
) -> None:
    call = server.get("/api/courses/cs231n/convolution")
    body = {"settings": call["settings"], "tensors": call["tensors"]}
    right = post(server, "/api/ops/conv2d/backward", body)["tensors"]
    wrong = [value / 4 for value in right["db"]]
    judged = post(server, "/api/ops/conv2d/check", body | {"gradients": {"db": wrong}})["gradients"]["db"]
    visit(page, server, "&part=homework")
    page.get_by_label("Inputs").select_option("cs231n/convolution")
    expect(page.locator(".homework")).to_contain_text("4 × 3 × 5 × 5, as the course draws it")
    page.get_by_label("dw").fill(json.dumps(right["dw"]))
    page.get_by_label("db").fill(json.dumps(wrong))
    page.get_by_role("button", name="Check").click()
    verdicts = page.locator(".verdict-of")
    expect(verdicts.filter(has_text="dw")).to_contain_text("is right")
    expect(verdicts.filter(has_text="db")).to_contain_text(judged["guess"])
    expect(verdicts.filter(has_text="db")).to_contain_text(f"First at {judged['first']['place']}")
    page.get_by_role("button", name="See it made").click()
    expect(page.locator(".made .step")).to_be_visible()
    page.get_by_label("dw").fill("[[nonsense")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert "422" in watch.errors.pop()
    axe(page)
