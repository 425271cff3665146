"""A kernel's turn, three ways: the totals on the screen are one number, and it is the API's."""

from __future__ import annotations

import random
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import axe
from tests.browser.test_explore import the_pass, visit
from tests.server import Server


def printed(page: Page, value: float) -> str:
    """As a number stands alone."""
    text: str = page.evaluate("value => import('/static/js/core/format.js').then(({ alone }) => alone(value))", value)
    return text


def totals(page: Page) -> dict[str, str]:
    shown = page.locator(".totals")
    expect(shown).to_have_attribute("aria-label", "the same each way")
    names, values = shown.locator("dt").all_inner_texts(), shown.locator("dd").all_inner_texts()
    return dict(zip(names, values, strict=True))


def switch(page: Page) -> Locator:
    return page.get_by_role("radiogroup", name="how the sum is looked at")


def test_three_totals_and_the_stored_value_agree_in_random_cells(page: Page, server: Server) -> None:
    visit(page, server, "at=conv2/dx/0,3,7,9&way=all")
    made = the_pass(page, server)
    draw = random.Random(7)
    for index in [(0, 3, 7, 9)] + [(0, *(draw.randrange(n) for n in (8, 13, 13))) for _ in range(4)]:
        place = f"conv2/dx/{','.join(map(str, index))}"
        page.evaluate("hash => { location.hash = hash }", f"at={place}&way=all")
        told = server.get(f"/api/runs/welcome/passes/{made['id']}/explain/{place}?per_page=200")
        expect(page.get_by_role("complementary", name="Explanation").locator(".place")).to_have_text(place)
        expect(page.locator(".products .value")).to_have_text(printed(page, told["value"]))
        most = max(told["groups"], key=lambda each: abs(each["value"]))
        if most["value"]:
            expect(page.locator(".channel b")).to_have_text(str(most["at"]))
        expect(page.locator(".totals dd")).to_have_text([printed(page, most["value"])] * 3)
        assert list(totals(page)) == ["gather", "scatter", "matrix"]
        assert sum(each["value"] for each in told["groups"]) == pytest.approx(told["value"], abs=1e-6)


def test_the_way_is_chosen_by_keyboard_stands_in_the_address_and_is_told(page: Page, server: Server) -> None:
    visit(page, server, "at=conv2/dx/0,3,7,9")
    switch(page).get_by_role("radio", name="gather").focus()
    page.keyboard.press("ArrowRight")
    expect(switch(page).get_by_role("radio", name="scatter")).to_be_focused()
    expect(page.locator(".field")).not_to_have_count(0)
    expect(page).to_have_url(re.compile("way=scatter"))
    page.keyboard.press("ArrowRight")
    expect(page.locator(".turn svg.matrix")).to_be_visible()
    page.keyboard.press("m")
    expect(page.locator(".stage.folded")).to_be_visible()
    expect(page.locator(".three .way")).to_have_count(3)
    expect(page).to_have_url(re.compile("way=all"))
    expect(page.locator("[role=status]", has_text="All three ways: ")).to_be_attached()
    page.get_by_role("button", name="unfold the network").click()
    expect(page.locator(".stage.folded")).to_have_count(0)


def test_one_letter_is_lit_in_all_three(page: Page, server: Server) -> None:
    visit(page, server, "at=conv2/dx/0,3,7,9&way=all")
    fields = page.locator(".three .field.there")
    expect(fields.first).to_be_visible()
    fields.nth(1).hover()
    expect(page.locator(".three .field.current")).to_have_count(1)
    expect(page.locator(".three .matrix > g.current")).not_to_have_count(0)
    expect(page.locator(".three .pair .number.ring")).to_have_count(2)
    expect(page.locator(".products .column.marked")).to_have_count(1)


def test_a_kernels_gradient_is_stamped_pair_by_pair(page: Page, server: Server) -> None:
    visit(page, server, "at=conv2/dw/1,3,1,1&way=scatter")
    shown = totals(page)
    assert shown["δ over x"] == shown["stamped"]
    made = the_pass(page, server)
    told = server.get(f"/api/runs/welcome/passes/{made['id']}/explain/conv2/dw/1,3,1,1")
    assert shown["stamped"] == printed(page, told["value"])


@pytest.mark.parametrize(("way", "width"), [("all", 1280), ("scatter", 390), ("matrix", 320)])
def test_axe_finds_nothing(open_page, server: Server, way: str, width: int) -> None:  # type: ignore[no-untyped-def]
    page = open_page(viewport={"width": width, "height": 844 if width < 640 else 720}, reduced_motion="reduce")
    visit(page, server, f"at=conv2/dx/0,3,7,9&way={way}")
    expect(page.locator(".totals")).to_be_visible()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
