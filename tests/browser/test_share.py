"""What is taken along: the link, numbers as the API has them, a frame that shows the step alone."""

from __future__ import annotations

import io
import re

import numpy as np
from playwright.sync_api import Page, expect

from tests.browser.axe import axe
from tests.browser.test_explore import the_pass, visit
from tests.server import Server


def test_the_link_the_numbers_and_the_frame_are_what_is_looked_at(page: Page, server: Server) -> None:
    visit(page, server, "at=conv2/dx/0,3,6,6&place=conv2/dx/0,3,6,6")
    page.get_by_role("button", name="Share").click()
    panel = page.get_by_role("dialog", name="Share and take along")
    expect(panel.get_by_role("textbox", name="The link")).to_have_value(re.compile(r"#at=conv2/dx/0,3,6,6&place="))
    expect(panel.get_by_role("img", name="The link as a QR code")).to_be_visible()
    axe(page)
    made = the_pass(page, server)["id"]
    right = np.array(server.get(f"/api/runs/welcome/passes/{made}/tensors/conv2/dx")["values"], np.float32)
    with page.expect_download() as download:
        panel.get_by_role("button", name="conv2/dx, .npy").click()
    got = np.load(io.BytesIO(download.value.path().read_bytes()))
    assert got.dtype == np.float32 and (got == right).all()
    with page.expect_download() as download:
        panel.get_by_role("button", name="conv2/dx, .csv").click()
    rows = [line for line in download.value.path().read_text().split("\n") if line]
    assert (np.array([[float(n) for n in row.split(",")] for row in rows], np.float32) == right.reshape(-1, 13)).all()
    with page.expect_download() as download:
        panel.get_by_role("button", name="The whole pass, .npz").click()
    with np.load(io.BytesIO(download.value.path().read_bytes())) as archive:
        assert (archive["conv2/dx"] == right).all() and "loss/y" in archive
    frame = panel.get_by_role("textbox", name="The frame").input_value()
    address = re.search(r'src="([^"]*)"', frame)
    assert address
    page.goto(address[1].replace("&amp;", "&"))
    expect(page.locator(".step")).to_contain_text("turned")
    expect(page.locator(".step")).to_be_visible()
    expect(page.locator(".header")).to_have_count(0)
    expect(page.locator("main > .stage")).to_be_hidden()
    expect(page.get_by_role("link", name="Open in Convscope")).to_be_visible()


def test_a_frame_shows_the_step_whatever_its_address_asks_for(page: Page, server: Server) -> None:
    server.wait_ready()
    page.goto("/?frame=1#view=train&at=conv2/dx/0,3,6,6")
    expect(page.locator(".app")).to_have_attribute("data-view", "explore")
    expect(page.get_by_role("button", name="Start")).to_have_count(0)
    expect(page.locator(".transport")).to_be_visible()
