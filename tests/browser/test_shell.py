"""The page's frame on small screens, when the server is away, and where the focus goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_explore import visit
from tests.server import Server

PLACE = "conv1/y/0,5,12,14"


@pytest.mark.parametrize(("width", "height"), [(390, 844), (640, 800), (900, 700)])
def test_an_open_drawer_shows_the_card_above_the_transport(
    open_page: Callable[..., Page], server: Server, width: int, height: int
) -> None:
    page = open_page(viewport={"width": width, "height": height})
    visit(page, server, f"at={PLACE}&place={PLACE}")
    expect(page.locator(".drawer .card")).to_contain_text("conv1/y")
    page.wait_for_timeout(400)
    card, transport = page.locator(".drawer .card").bounding_box(), page.locator(".transport").bounding_box()
    assert card and transport
    assert card["width"] == width and card["height"] >= 0.4 * height
    assert card["y"] + card["height"] <= transport["y"] + 1
    page.locator(".drawer .card").get_by_role("button", name="Close").click()
    expect(page.locator(".drawer .card")).to_have_count(0)
