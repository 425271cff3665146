"""The page's frame on small screens, when the server is away, and where the focus goes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.browser.axe import axe
from tests.browser.conftest import Watch
from tests.browser.test_explore import visit
from tests.browser.test_train import make_run
from tests.server import Server, serve

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


def test_what_began_the_pass_hands_the_focus_to_the_play_button(page: Page, server: Server) -> None:
    visit(page, server)
    expect(page.get_by_role("button", name="Play the pass")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".transport .disc")).to_be_focused()


def test_a_long_steps_button_is_called_by_the_words_it_shows(page: Page, server: Server) -> None:
    visit(page, server, "at=loss/y")
    page.evaluate("import('./static/js/state/store.js').then(store => { store.step.value = 1490; })")
    trigger = page.locator(".steps .trigger")
    expect(trigger).to_contain_text("1,490")
    name = trigger.get_attribute("aria-label")
    assert name and trigger.inner_text().replace("\n", " ") in name


def test_while_the_server_is_away_the_page_says_so_and_holds_and_then_goes_on(
    open_page: Callable[..., Page], watch: Watch, tmp_path: Path
) -> None:
    page = open_page()
    with serve(tmp_path) as other:
        watch.host = urlsplit(other.url).netloc
        other.wait_ready()
        page.goto(f"{other.url}/#at=conv1/y/0,5,12,14")
        page.locator(".transport .disc:not([aria-disabled])").click()
    notice = page.locator(".problem")
    expect(notice).to_contain_text("The server is away")
    at = page.get_by_role("slider", name="Timeline of the pass")
    held = at.get_attribute("aria-valuetext")
    page.wait_for_timeout(500)
    assert at.get_attribute("aria-valuetext") == held
    with serve(tmp_path, port=urlsplit(other.url).port):
        expect(notice).to_have_count(0, timeout=20_000)
        expect(at).not_to_have_attribute("aria-valuetext", held or "")
        page.locator(".transport .disc").click()
        expect(page.locator(".card .equation")).to_be_visible()
        page.close()
    watch.errors = [error for error in watch.errors if "Failed to load resource" not in error]


def test_a_frame_that_the_server_cannot_make_is_said_in_plain_words_and_the_page_lives_on(
    page: Page, server: Server
) -> None:
    run = make_run(server, epochs=400, start=True)
    problem = {"status": 422, "title": "Unprocessable Entity", "detail": "no tensor conv9/y in this network"}

    def answer(socket: WebSocketRoute) -> None:
        socket.on_message(lambda _: socket.send(json.dumps({"problem": problem})))

    page.route_web_socket("**/stream", answer)
    server.wait_ready()
    page.goto(f"/#run={run['id']}")
    notice = page.locator(".problem")
    expect(notice).to_contain_text("That does not fit")
    expect(notice).to_contain_text("no tensor conv9/y in this network")
    expect(notice).not_to_contain_text("Unprocessable")
    axe(page)
    notice.get_by_role("button").click()
    expect(notice).to_have_count(0)
    page.get_by_role("link", name="Train").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".progress")).to_contain_text("Paused")


def test_where_no_socket_opens_the_page_says_so_and_frames_go_on(page: Page, server: Server, watch: Watch) -> None:
    run = make_run(server, epochs=400, start=True)
    page.add_init_script(
        "const Own = WebSocket, every = setInterval; window.blocked = true;"
        "window.setInterval = (act, wait) => every(act, Math.min(wait, 400));"
        "window.WebSocket = class { static OPEN = 1; close() {} "
        "constructor(url) { if (!window.blocked) return new Own(url); setTimeout(() => this.onclose?.(), 20); } }"
    )
    server.wait_ready()
    with page.expect_response(lambda answer: f"/api/runs/{run['id']}/frame?" in answer.url) as first:
        page.goto(f"/#run={run['id']}")
    assert first.value.status == 200
    notice = page.locator(".problem")
    expect(notice).to_be_visible()
    expect(notice).to_contain_text("Live frames come by another way")
    with page.expect_response(lambda answer: f"/api/runs/{run['id']}/frame?" in answer.url) as later:
        pass
    assert later.value.status == 200
    with page.expect_websocket():  # without a reload, once they open
        page.evaluate("window.blocked = false")
    expect(notice).to_have_count(0)
    expect(page.locator(".step-now")).to_be_visible()
    watch.errors = [error for error in watch.errors if "426" not in error]  # what the page asks to know why


def test_that_the_server_is_busy_is_said_until_it_answers(page: Page, server: Server, watch: Watch) -> None:
    server.wait_ready()
    refusals = [2]

    def answer(route: Route) -> None:
        if not refusals:
            return route.continue_()
        refusals.pop()
        detail = json.dumps({"title": "Too Many Requests", "detail": "256 calls wait already"})
        route.fulfill(status=429, headers={"Retry-After": "1", "Content-Type": "application/problem+json"}, body=detail)

    page.route("**/api/runs/welcome/passes", answer)
    page.goto("/")
    notice = page.locator(".problem")
    expect(notice).to_contain_text("The server is busy. 256 calls wait already; it is asked again")
    expect(notice).to_have_count(0)
    expect(page.get_by_role("button", name="Play the pass")).to_be_visible()
    watch.errors = [error for error in watch.errors if "429" not in error]


def test_a_run_that_was_deleted_while_it_trained_gives_way_to_the_first_one(
    page: Page, server: Server, watch: Watch
) -> None:
    run = make_run(server, epochs=400, start=True)
    server.wait_ready()
    page.goto(f"/#run={run['id']}")
    expect(page.locator(".step-now")).to_be_visible()
    page.request.delete(f"/api/runs/{run['id']}", headers={"Origin": server.url})
    expect(page.locator(".problem")).to_contain_text("That run is gone")
    expect(page.locator(".source")).to_contain_text("3")
    watch.errors = [error for error in watch.errors if "404" not in error and "WebSocket" not in error]


def test_on_a_shared_server_a_page_changes_its_own_runs_and_watches_others(
    open_page: Callable[..., Page], watch: Watch, tmp_path: Path
) -> None:
    with serve(tmp_path, "--shared") as other:
        watch.host = urlsplit(other.url).netloc
        other.wait_ready()
        mine, theirs = open_page(), open_page()
        mine.goto(other.url)
        id = mine.evaluate(MAKE)["id"]
        mine.reload()
        assert mine.evaluate(CHANGE, id)["pace"] == 5
        theirs.goto(other.url)
        assert theirs.evaluate(f"id => ({CHANGE})(id).catch(({{ status }}) => status)", id) == 403
        mine.close()
        theirs.close()
    watch.errors = [error for error in watch.errors if "403" not in error]


MAKE = "() => import('./static/js/net/session.js').then(net => net.createRun({ model: 'tiny', start: false }))"
CHANGE = "id => import('./static/js/net/session.js').then(net => net.patchRun(id, { pace: 5 }))"


@pytest.mark.parametrize(
    "name", ["static/js/main.js", "static/js/core/colour.js", "static/vendor/signals-core.js", "static/css/base.css"]
)
@pytest.mark.parametrize("how", ["aborted", "not found", "another page"])
def test_a_part_that_does_not_load_is_named_and_can_be_fetched_again(
    page: Page, watch: Watch, name: str, how: str
) -> None:
    """Whichever part it is, and whether nothing comes, an error or what a captive portal says."""
    answers: dict[str, Callable[[Route], None]] = {
        "aborted": lambda route: route.abort(),
        "not found": lambda route: route.fulfill(status=404, body="gone"),
        "another page": lambda route: route.fulfill(body="<html>Log in</html>", content_type="text/html"),
    }
    if name.endswith(".css") and how == "another page":
        pytest.skip("a stylesheet of another type is no error to a browser")
    page.route(f"**/{name}", answers[how])
    page.goto("/")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("A part of this page did not load")
    expect(alert.locator("code")).to_have_text(name)
    page.unroute(f"**/{name}")
    alert.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Play the pass")).to_be_visible()
    watch.errors.clear()


def test_a_view_that_does_not_load_is_named_and_can_be_fetched_again(page: Page, watch: Watch) -> None:
    page.route("**/static/js/view/train/chart.js", lambda route: route.abort())
    page.goto("/#view=train")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("static/js/view/train/chart.js")
    page.unroute("**/static/js/view/train/chart.js")
    alert.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()
    watch.errors.clear()


def test_back_returns_through_cards_runs_and_views(server: Server, page: Page) -> None:
    run = make_run(server, model="tiny")["id"]
    visit(page, server, "at=conv2/dx/0,5,10,5")
    cards = page.locator(".card-title")
    for place in ("conv2/y/0,1,2,3", "conv1/y/0,1,2,3"):
        page.evaluate("place => import('./static/js/state/store.js').then(store => store.open(place))", place)
        page.wait_for_url(re.compile(f"place={place}"))
    page.get_by_role("link", name="Train").click()
    page.wait_for_url(re.compile("view=train"))
    page.get_by_role("button", name="Network: classroom").click()
    page.locator(f".popover [data-run='{run}'] button").first.click()
    page.wait_for_url(re.compile(f"run={run}"))
    page.go_back()
    expect(page.get_by_role("button", name="Network: classroom")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="Explore")).to_have_attribute("aria-current", "page")
    expect(cards).to_contain_text("map 1, row 2, column 3")
    expect(page.locator(".place-line .place")).to_have_text("conv1/y/0,1,2,3")
    page.go_back()
    expect(page.locator(".place-line .place")).to_have_text("conv2/y/0,1,2,3")
    page.go_back()
    expect(page.locator(".place-line .place")).to_have_text("conv2/dx/0,5,10,5")
    page.go_forward()
    expect(page.locator(".place-line .place")).to_have_text("conv2/y/0,1,2,3")


def test_without_a_first_run_the_page_offers_what_is_there_and_says_how_to_get_it(page: Page, server: Server) -> None:
    server.wait_ready()

    def bare(route: Route) -> None:
        route.fulfill(json={**server.get("/api/status"), "welcome": None})

    page.route("**/api/status", bare)
    page.route("**/api/datasets", lambda route: route.fulfill(json=[]))
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("no MNIST digits")
    expect(page.get_by_role("main")).to_contain_text("python3 -m app")
    page.get_by_role("button", name="tiny on its own small data").click()
    expect(page.get_by_role("button", name="Play the pass")).to_be_visible()
    expect(page.locator(".model .trigger")).to_contain_text("tiny")


def test_a_run_is_named_told_apart_renamed_and_deleted(page: Page, server: Server) -> None:
    run = make_run(server, name="one of many", seed=23)["id"]
    visit(page, server, f"run={run}")
    page.locator(".model .trigger").click()
    line = page.locator(f"[data-run='{run}']")
    expect(line).to_contain_text("one of many")
    expect(line).to_contain_text("mnist, momentum 0.03, batch 32, seed 23")
    line.get_by_role("button", name="Rename").click()
    page.get_by_label("Name of the run").fill("mine & <b>only</b>")
    page.keyboard.press("Enter")
    expect(line).to_contain_text("mine & <b>only</b>")
    assert server.get(f"/api/runs/{run}")["name"] == "mine & <b>only</b>"
    line.get_by_role("button", name="Delete").click()
    page.locator(".sure").get_by_role("button", name="Delete").click()
    expect(page.locator(".model .trigger")).to_contain_text("classroom")
    assert run not in [each["id"] for each in server.get("/api/runs")]
