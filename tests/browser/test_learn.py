"""Learn: the index, a lesson by keyboard alone, words that light cells, questions, benches, the phone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import axe
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
    expect(page.locator(".guess")).to_have_text("✗ You said −13, the sum is the same. It is 13.")
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
    expect(task).to_contain_text("○")
    page.locator(".step .heat").last.click(position={"x": 20, "y": 20})
    expect(page.locator(".card-title")).to_contain_text("output of conv1")
    page.get_by_role("button", name="Back to step 4").click()
    expect(page.locator(".lesson .sentence")).to_contain_text("feature map")


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
