"""The Train view: what it says equals what the server says, and all of it can be done by mouse and by keyboard."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import axe
from tests.server import Server

ANSWERS = ".answers .answer"


def post(server: Server, path: str, body: Any) -> Any:
    request = urllib.request.Request(
        server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def visit(page: Page, server: Server, query: str = "") -> None:
    server.wait_ready()
    page.goto(f"/#view=train{query}")
    expect(page.locator(".train .progress h2")).to_be_visible()


def make_run(server: Server, steps: int = 0, **fields: Any) -> dict[str, Any]:
    run: dict[str, Any] = post(server, "/api/runs", {"model": "classroom", "start": False, **fields})
    if steps:
        post(server, f"/api/runs/{run['id']}/step", {"count": steps})
        server.wait_until(lambda: server.get(f"/api/runs/{run['id']}")["state"] == "paused", 60, "the steps")
    return run


def run_of(page: Page, server: Server) -> dict[str, Any]:
    """The facts of the run that the page's address names."""
    page.wait_for_url(re.compile("run="))
    found = re.search(r"run=(\w+)", page.url)
    assert found
    facts: dict[str, Any] = server.get(f"/api/runs/{found[1]}")
    return facts


def choose(page: Page, row: str, option: str) -> None:
    page.locator(".train .row", has_text=row).locator("select").select_option(label=option)


def enter(page: Page, row: str, text: str) -> None:
    entry = page.locator(".train .row", has_text=row).locator("input")
    entry.fill(text)
    entry.press("Enter")


def test_the_first_visits_network_is_named_as_kept_and_start_makes_one_of_the_visitors_own(
    page: Page, server: Server
) -> None:
    visit(page, server)
    welcome = server.get("/api/runs/welcome")
    expect(page.locator(".progress h2")).to_have_text(f"Epoch 1, step {welcome['step']}")
    expect(page.locator(".progress")).to_contain_text("kept as it is")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator(".progress")).to_contain_text("images per second")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".progress")).to_contain_text("Paused.")
    own = run_of(page, server)
    assert (own["state"], own["model"], own["seed"]) == ("paused", "classroom", welcome["seed"])
    expect(page.locator(".progress h2")).to_have_text(f"Epoch 1, step {own['step']:,}")
    expect(page.locator(".progress")).to_contain_text(f"{own['images_seen']:,} of 60,000 images")
    assert server.get("/api/runs/welcome")["step"] == welcome["step"]


def test_one_step_is_exactly_one(page: Page, server: Server) -> None:
    run = make_run(server, steps=3)
    visit(page, server, f"&run={run['id']}")
    page.get_by_role("button", name="One step").click()
    expect(page.locator(".progress h2")).to_have_text("Epoch 1, step 4")
    page.locator("body").press(".")
    expect(page.locator(".progress h2")).to_have_text("Epoch 1, step 5")
    assert run_of(page, server)["step"] == 5


def test_the_space_bar_starts_and_pauses_training(page: Page, server: Server) -> None:
    visit(page, server, f"&run={make_run(server, steps=1, epochs=400)['id']}")
    page.locator("body").press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.locator("body").press("Space")
    expect(page.locator(".progress")).to_contain_text("Paused.")


def test_the_answers_are_the_servers(page: Page, server: Server) -> None:
    visit(page, server)
    expect(page.locator(".answers header")).to_contain_text("right")
    words = page.locator(f"{ANSWERS} .spoken").all_inner_texts()
    indices = [int(re.findall(r"digit (\d+)", text)[0]) for text in words]
    labels = [int(re.findall(r"an? (\d)", text)[0]) for text in words]
    assert sorted(labels) == [k // 2 for k in range(20)]
    asked = {"dataset": "mnist", "split": "test", "indices": indices, "layers": False}
    told = post(server, "/api/runs/welcome/predict", asked)
    assert told["labels"] == labels
    for text, shares, label in zip(words, told["probabilities"], labels, strict=True):
        answer = shares.index(max(shares))
        assert f"the network says {answer}{', wrong' if answer != label else ''}, {round(100 * max(shares))}%" in text
    shown = page.locator(f"{ANSWERS} > span:not(.spoken)").all_inner_texts()
    for text, shares, label in zip(shown, told["probabilities"], labels, strict=True):
        answer = shares.index(max(shares))
        assert text.startswith(str(answer))
        assert (f"✗ is {label}" in text) == (answer != label)
        assert ("%" in text) == (answer == label and max(shares) < 0.995)


def test_an_answered_digit_opens_in_explore(page: Page, server: Server) -> None:
    visit(page, server)
    page.locator(ANSWERS).nth(4).click()
    expect(page.locator(".app[data-view=explore]")).to_be_visible()
    expect(page.locator(".source")).to_contain_text("a 2")


def test_the_curves_read_what_the_metrics_say_and_open_a_step(page: Page, server: Server) -> None:
    run = make_run(server, steps=40)
    visit(page, server, f"&run={run['id']}")
    told = server.get(f"/api/runs/{run['id']}/metrics")
    reader = page.get_by_role("slider", name="Step on the curves")
    expect(reader).to_have_attribute("aria-valuemax", "40")
    reader.focus()
    reader.press("Home")
    expect(page.locator(".curves header").first).to_contain_text(f"step 1 loss {told['loss'][0]:.3f}")
    reader.press("ArrowRight")
    expect(page.locator(".curves header").first).to_contain_text(f"step 2 loss {told['loss'][1]:.3f}")
    assert f"step 2, loss {told['loss'][1]:.3f}" in (reader.get_attribute("aria-valuetext") or "")
    reader.press("Enter")
    expect(page.locator(".app[data-view=explore]")).to_be_visible()
    expect(page.locator(".source")).to_contain_text("step 2")


def test_a_step_that_is_no_longer_kept_says_so(page: Page, server: Server) -> None:
    visit(page, server, f"&run={make_run(server, steps=5)['id']}")
    reader = page.get_by_role("slider", name="Step on the curves")
    expect(reader).to_have_attribute("aria-valuemax", "5")
    page.evaluate("""async () => {
      const { run } = await import(new URL("static/js/state/store.js", document.baseURI));
      run.value = { ...run.value, history: { first: 4, last: 5 } };
    }""")
    reader.focus()
    reader.press("Home")
    expect(page.locator(".curves header").first).to_contain_text("no longer kept")
    reader.press("Enter")
    expect(page.locator(".app[data-view=train]")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="no longer kept")).to_have_count(1)


def test_the_strip_shows_the_loss_and_the_shares_of_its_digit(page: Page, server: Server) -> None:
    visit(page, server)
    told = post(server, "/api/runs/welcome/passes", {"dataset": "mnist", "split": "test", "index": 464})
    expect(page.locator(".live-answers")).to_contain_text(f"loss {told['loss']:.3f}")
    spoken = page.locator(".live-answers li i").evaluate_all("all => all.map(each => each.getAttribute('aria-label'))")
    assert spoken == [f"{share:.3f}" for share in told["probabilities"]]
    expect(page.locator(".live-kernels")).to_contain_text("at step 0")


def test_while_training_the_strip_is_live_and_the_page_keeps_60_frames_a_second(page: Page, server: Server) -> None:
    visit(page, server, f"&run={make_run(server, steps=1, epochs=400)['id']}")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".live-strip h2")).to_contain_text("Live")
    frames = page.evaluate("""() => new Promise((done) => {
      const times = [];
      const next = (now) => (times.push(now) < 180 ? requestAnimationFrame(next)
        : done(times.slice(1).map((time, k) => time - times[k]).sort((a, b) => a - b)));
      requestAnimationFrame(next);
    })""")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".live-strip h2")).to_contain_text("Still")
    assert frames[len(frames) // 2] <= 17


def test_a_changed_optimizer_waits_for_a_new_run_and_says_so(page: Page, server: Server) -> None:
    run = make_run(server, steps=2, epochs=400)
    visit(page, server, f"&run={run['id']}")
    choose(page, "optimizer", "adam")
    choose(page, "batch", "64")
    enter(page, "seed", "11")
    expect(page.locator(".again")).to_contain_text("A new optimizer, batch and seed takes a new run")
    expect(page.locator(".again")).to_contain_text("starts again from step 0")
    before = server.get(f"/api/runs/{run['id']}")
    assert (before["optimizer"]["name"], before["batch_size"]) == ("momentum", 32)
    page.get_by_role("button", name="Start again from step 0").click()
    page.wait_for_url(lambda url: "run=" in url and run["id"] not in url)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".progress")).to_contain_text("Paused.")
    after = run_of(page, server)
    assert (after["optimizer"]["name"], after["optimizer"]["learning_rate"]) == ("adam", 0.001)
    assert (after["batch_size"], after["seed"]) == (64, 11)
    expect(page.locator(".again p")).to_have_count(0)


def test_every_optimizer_is_on_offer_with_its_settings(page: Page, server: Server) -> None:
    visit(page, server)
    for kind in server.get("/api/optimizers")["optimizers"]:
        choose(page, "optimizer", kind["name"])
        more = page.get_by_role("button", name=f"more of {kind['name']}")
        expect(more).to_be_visible()
        if more.get_attribute("aria-expanded") == "false":
            more.click()
        for name in kind["settings"]["properties"]:
            shown = page.locator(".settings .row", has_text=name.replace("_", " ").removesuffix("s"))
            expect(shown.first).to_be_visible()


def test_learning_rate_and_speed_change_the_run_itself(page: Page, server: Server) -> None:
    run = make_run(server, steps=1)
    visit(page, server, f"&run={run['id']}")
    expect(page.locator(".progress h2")).to_have_text("Epoch 1, step 1")
    path = f"/api/runs/{run['id']}"
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        enter(page, "learning rate", "0.005")
    assert server.get(path)["optimizer"]["learning_rate"] == 0.005
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        choose(page, "speed", "5 steps a second")
    assert server.get(path)["pace"] == 5
    expect(page.locator(".again p")).to_have_count(0)
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        choose(page, "speed", "as fast as it goes")
    assert server.get(path)["pace"] is None


def test_what_is_no_number_is_put_back(page: Page, server: Server) -> None:
    visit(page, server, f"&run={make_run(server)['id']}")
    enter(page, "learning rate", "fast")
    expect(page.locator(".train .row", has_text="learning rate").locator("input")).to_have_value("0.03")
    enter(page, "seed", "1.5")
    expect(page.locator(".train .row", has_text="seed").locator("input")).to_have_value("7")


def test_a_run_that_fails_says_why(page: Page, server: Server) -> None:
    run = make_run(server, optimizer={"name": "sgd", "learning_rate": 1e6, "weight_decay": 1e6})
    visit(page, server, f"&run={run['id']}")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator(".progress")).to_contain_text("try a smaller learning rate")
    expect(page.get_by_role("button", name="Start again", exact=True)).to_be_visible()


@pytest.mark.parametrize("model", ["tiny", "lenet5"])
def test_every_preset_trains_here(page: Page, server: Server, model: str) -> None:
    visit(page, server)
    choose(page, "network", model)
    page.get_by_role("button", name="Start again from step 0").click()
    page.wait_for_url(re.compile("run="))
    expect(page.locator(".live-strip h2")).to_be_visible()
    server.wait_until(lambda: run_of(page, server)["step"] >= 3, 60, "three steps")
    assert run_of(page, server)["model"] == model


@pytest.mark.parametrize("width, height", [(1280, 720), (1920, 1080), (900, 800), (360, 740)])
@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_at_every_width_nothing_scrolls_sideways_and_axe_finds_nothing(
    open_page: Callable[..., Page], server: Server, width: int, height: int, theme: str
) -> None:
    page = open_page(viewport={"width": width, "height": height})
    visit(page, server, f"&theme={theme}")
    expect(page.locator(".answers header")).to_contain_text("right")
    whole, across, down = page.evaluate("""() => {
      const over = (each) => [each.scrollWidth - each.clientWidth, each.scrollHeight - each.clientHeight];
      return [over(document.documentElement)[0], ...over(document.querySelector(".train"))];
    }""")
    assert (whole, across) == (0, 0)
    if width >= 1280:
        assert down == 0
    axe(page)


@pytest.mark.parametrize(
    ("row", "text", "words"),
    [
        ("learning rate", "fast", "Expected a number, 0 or more, got “fast”"),
        ("learning rate", "-1", "Expected a number, 0 or more, got “-1”"),
        ("momentum", "2", "Expected a number from 0 to 1, got “2”"),
        ("seed", "", "Expected a whole number, 0 or more, got nothing"),
    ],
)
def test_an_entry_that_cannot_be_taken_says_what_was_expected(
    page: Page, server: Server, row: str, text: str, words: str
) -> None:
    visit(page, server)
    entry = page.locator(".train .row", has_text=row).locator("input")
    before = entry.input_value()
    enter(page, row, text)
    expect(page.locator(".train .refused")).to_have_text(f"{words}. It stays at {before}.")
    expect(entry).to_have_value(before)
    axe(page)
    enter(page, row, "0.5" if row != "seed" else "7")
    expect(page.locator(".train .refused")).to_have_count(0)
