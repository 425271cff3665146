"""The pages for programmers, in a browser: every look of them, by keyboard too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.axe import axe
from tests.browser.conftest import Watch
from tests.server import Server

LOOKS: dict[str, dict[str, Any]] = {
    "laptop": {},
    "dark": {"color_scheme": "dark"},
    "medium": {"viewport": {"width": 800, "height": 900}},
    "narrow": {"viewport": {"width": 360, "height": 780}},
}


@pytest.mark.parametrize("path", ["/docs", "/programmers"])
@pytest.mark.parametrize("look", LOOKS)
def test_the_pages_are_sound_in_every_look(open_page: Callable[..., Page], path: str, look: str) -> None:
    page = open_page(**LOOKS[look])
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    for folded in page.locator("details").all()[:40]:
        folded.evaluate("each => { each.open = true; }")
    width, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= room
    assert (page.evaluate("document.documentElement.dataset.theme") == "dark") == (look == "dark")
    axe(page)


def test_a_call_is_changed_and_run_by_keyboard_alone(server: Server, page: Page, watch: Watch) -> None:
    server.wait_ready()
    page.goto("/docs")
    body = page.locator("#start textarea")
    body.focus()
    body.fill(body.input_value().replace("[1, 2, 3]", "[1, 2, 103]"))
    page.keyboard.press("Tab")
    expect(page.locator("#start .go button")).to_be_focused()
    page.keyboard.press("Enter")
    answer = page.locator("#start .answer")
    expect(answer).to_contain_text('"y": [[[[-13, -20, -17]')
    expect(page.locator("#start .status")).to_contain_text("200")
    body.fill(body.input_value().replace("103]", "103, 4]"))
    page.locator("#start .go button").click()
    expect(answer).to_contain_text("ragged")
    expect(answer).to_have_class("answer bad")
    assert "400" in watch.errors.pop()


def test_a_call_that_waits_for_the_compiler_says_so(server: Server, page: Page) -> None:
    server.wait_ready()
    page.goto("/docs")
    held: list[Route] = []
    page.route("**/api/ops/conv2d/backward", lambda route: held.append(route))
    compiling = {"done": 30, "total": 75, "name": "x", "seconds_left": 130}
    page.route("**/api/status", lambda route: route.fulfill(json={"compiling": compiling}))
    page.locator("#start .go button").click()
    status = page.locator("#start .status")
    expect(status).to_contain_text("compiles the kernels, 30 of 75 are ready; about 2 minutes are left")
    held[0].continue_()
    expect(status).to_contain_text("200")


def test_code_is_copied_by_its_button_or_selected_where_a_page_may_not_copy(server: Server, page: Page) -> None:
    server.wait_ready()
    page.goto("/docs")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.get_by_role("button", name="Copy Arrays as .npz, in Python").click()
    expect(page.get_by_role("button", name="Selected Arrays as .npz, in Python")).to_be_visible()
    assert page.evaluate("String(getSelection())").startswith("import io, json")


def test_a_run_that_was_made_on_the_page_is_put_into_the_later_calls(server: Server, page: Page) -> None:
    server.wait_ready()
    page.goto("/docs#post-api-runs")
    make = page.locator("#post-api-runs")
    make.locator("textarea").fill('{"model": "tiny", "start": false}')
    make.get_by_role("button", name="Run").click()
    expect(make.locator(".status")).to_contain_text("201")
    forget = page.locator("#delete-api-runs-id")
    forget.locator("summary").first.click()
    expect(forget.locator("input")).not_to_have_value("/api/runs/YOUR-RUN")
    forget.get_by_role("button", name="Run").click()
    expect(forget.locator(".status")).to_contain_text("204")


def test_the_page_leads_to_the_api_and_back(server: Server, page: Page) -> None:
    server.wait_ready()
    page.goto("/")
    page.get_by_role("link", name="API").click()
    expect(page).to_have_url(f"{server.url}/docs")
    page.get_by_role("link", name="For programmers").click()
    expect(page).to_have_url(f"{server.url}/programmers")
    page.get_by_role("link", name="Explore").click()
    expect(page).to_have_url(f"{server.url}/")
