"""A lecturer and two phones: join, follow, ask, answer, reveal, freeze, a server that is gone, and the end."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import axe
from tests.browser.conftest import Watch
from tests.server import Server

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
OpenPage = Callable[..., Page]


def open_room(page: Page) -> str:
    """The code of a room that this page has opened and leads."""
    page.goto("/")
    expect(page.get_by_role("button", name="Play", exact=True)).not_to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Room", exact=True).click()
    page.get_by_role("button", name="Open a room").click()
    return panel(page).locator(".code").inner_text()


def panel(page: Page) -> Locator:
    return page.locator(".room-panel")


def join(page: Page, code: str, nickname: str = "") -> None:
    page.goto(f"/r/{code.lower()}")
    page.get_by_label("Nickname").fill(nickname)
    page.get_by_role("button", name="Join", exact=True).click()
    expect(page.get_by_text("Following the lecturer")).to_be_visible()


def ask(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Ask( next)?$")).click()
    page.get_by_role("textbox", name="Question").fill("How does the kernel lie?")
    page.get_by_role("textbox", name="Choices").fill("as it is\nmirrored\n* turned")
    page.get_by_role("button", name="Ask all").click()


def end(page: Page) -> None:
    page.get_by_role("button", name="End", exact=True).click()
    page.get_by_role("button", name="End it?").click()


def place(page: Page) -> str:
    found = re.search(r"at=([^&]+)", page.url)
    return found[1] if found else ""


def test_a_lesson_from_joining_to_the_end(server: Server, page: Page, open_page: OpenPage) -> None:
    server.wait_ready()
    code = open_room(page)
    mira, second = open_page(**PHONE), open_page(**PHONE)
    mira.goto(f"/r/{code}")
    axe(mira)
    join(mira, code, "Mira")
    join(second, code)
    expect(panel(page).get_by_label("Mira, thinking")).to_be_visible()
    expect(panel(page)).to_contain_text("2 with you")

    for _ in range(2):  # the class follows
        page.keyboard.press("]")
    expect(page).to_have_url(re.compile("at="))
    for phone in (mira, second):
        expect(phone).to_have_url(re.compile(re.escape(place(page))))

    page.get_by_role("button", name="Show large").click()
    expect(page.get_by_role("img", name=f"QR code of room {code}").last).to_be_visible()
    axe(page)
    page.keyboard.press("Escape")

    ask(page)
    mira.get_by_label("turned").check()
    axe(mira)
    mira.get_by_role("button", name="Send").click()
    second.get_by_label("as it is").check()
    second.get_by_role("button", name="Send").click()
    expect(panel(page)).to_contain_text("2 of 2")
    second.get_by_label("mirrored").check()  # changed freely until the reveal
    second.get_by_role("button", name="Change the answer").click()
    expect(panel(page).get_by_label("mirrored, 1 of 2")).to_be_visible()
    expect(panel(page).get_by_label("as it is, 0 of 2")).to_be_visible()
    expect(mira.locator(".room-bars")).to_have_count(0)
    axe(page)
    page.keyboard.press("r")
    expect(mira.get_by_text("You said turned.")).to_be_visible()
    expect(mira.get_by_label("turned, 1 of 2")).to_be_visible()
    axe(mira)

    mira.get_by_role("button", name="Put the question away").click()
    mira.get_by_role("button", name="On my own").click()
    expect(mira.get_by_text("On your own")).to_be_visible()
    expect(panel(page)).to_contain_text("1 on their own")
    page.keyboard.press("[")
    expect(second).to_have_url(re.compile(re.escape(place(page))))
    page.keyboard.press("f")
    expect(mira.get_by_text("The lecturer leads for a moment")).to_be_visible()
    expect(mira.get_by_role("button", name="On my own")).to_be_disabled()
    page.get_by_role("button", name="Thaw").click()
    mira.reload()  # the number stays the same
    expect(mira.get_by_role("region", name=re.compile("you are Mira"))).to_be_visible()

    end(page)
    for phone in (mira, second):
        expect(phone.get_by_text("This room has ended.")).to_be_visible()
    axe(mira)
    mira.get_by_role("button", name="Go on alone").click()
    expect(mira.get_by_text("This room has ended.")).to_have_count(0)


def test_what_is_answered_without_a_connection_is_kept_and_counted_once(
    server: Server, page: Page, open_page: OpenPage, watch: Watch
) -> None:
    server.wait_ready()
    code = open_room(page)
    phone = open_page(**PHONE)
    join(phone, code)
    ask(page)
    phone.get_by_label("turned").check()
    phone.context.set_offline(True)
    phone.get_by_role("button", name="Send").click()
    expect(phone.get_by_role("button", name="Kept on this phone")).to_be_visible()
    phone.evaluate("dispatchEvent(new Event('offline'))")
    # a phone that is out of reach hears nothing; here the socket is closed for it
    expect(phone.get_by_text("This phone has no network.")).to_be_visible(timeout=40_000)
    expect(phone.get_by_text("is kept on this phone")).to_be_visible()
    axe(phone)
    phone.context.set_offline(False)
    expect(phone.get_by_role("button", name="Sent")).to_be_visible(timeout=20_000)
    expect(panel(page)).to_contain_text("1 of 1")
    expect(panel(page).get_by_label("turned, 1 of 1")).to_be_visible()
    watch.errors.clear()
    end(page)


def test_a_wrong_code_is_said_in_words(server: Server, page: Page, watch: Watch) -> None:
    page.goto("/")
    page.get_by_role("button", name="Room", exact=True).click()
    page.get_by_label("Code").fill("zzzz")
    page.get_by_role("button", name="Join", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="there is no room")).to_be_visible()
    watch.errors.clear()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_label("Code")).to_have_count(0)
