"""What the network looks at can be chosen by class, by number, from a minibatch, and drawn by any hand."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import axe
from tests.server import Server


def visit(page: Page, server: Server, query: str = "") -> Locator:
    """The open picker."""
    server.wait_ready()
    page.goto(f"/#{query}")
    page.locator(".source").click()
    dialog = page.get_by_role("dialog", name="What shall the network look at?")
    expect(dialog.locator(".digit-button canvas").first).to_be_visible()
    return dialog


def draw_a_one(page: Page, pad: Locator) -> None:
    box = pad.bounding_box()
    assert box
    middle, top, bottom = box["x"] + box["width"] / 2, box["y"] + 0.2 * box["height"], box["y"] + 0.8 * box["height"]
    page.mouse.move(middle + 8, top)
    page.mouse.down()
    page.mouse.move(middle - 8, bottom, steps=20)
    page.mouse.up()


def looked_at(page: Page) -> Any:
    return page.evaluate("""async () => {
      const { source, label, tensors } = await import(new URL("static/js/state/store.js", document.baseURI));
      return { source: source.value, label: label.value, image: Array.from(tensors.value.get("input/y").data) };
    }""")


def wait_for_source(page: Page, condition: str) -> None:
    """Until what is looked at, `s`, is here and meets a condition in JavaScript."""
    page.evaluate(f"""async () => {{
      const {{ source, loading }} = await import(new URL("static/js/state/store.js", document.baseURI));
      const holds = (s) => {condition};
      for (let tries = 0; tries < 300; tries++) {{
        if (!loading.value && holds(source.value)) return;
        await new Promise((done) => setTimeout(done, 30));
      }}
      throw new Error("waited in vain; it is " + JSON.stringify(source.value).slice(0, 200));
    }}""")


def test_a_digit_is_chosen_by_its_class(page: Page, server: Server) -> None:
    dialog = visit(page, server)
    fives = server.get("/api/datasets/mnist/test?label=5&limit=12")["indices"]
    buttons = dialog.get_by_role("group", name="digits 5").get_by_role("button")
    expect(buttons).to_have_count(12)
    buttons.nth(2).click()
    expect(dialog).to_have_count(0)
    wait_for_source(page, f"s.index === {fives[2]} && s.pass")
    expect(page.locator(".source")).to_contain_text(f"a 5 test {fives[2]}")
    pixels = server.get(f"/api/datasets/mnist/test/{fives[2]}")["image"]
    flat = [value for row in (pixels[0] if isinstance(pixels[0][0], list) else pixels) for value in row]
    assert looked_at(page)["image"] == pytest.approx(flat, abs=1e-6)


def test_further_digits_of_a_class_are_a_page_on(page: Page, server: Server) -> None:
    dialog = visit(page, server)
    row = dialog.get_by_role("group", name="digits 3").get_by_role("button")
    expect(row).to_have_count(12)
    first = row.first.get_attribute("aria-label")
    dialog.get_by_role("button", name="further digits 3").click()
    later = server.get("/api/datasets/mnist/test?label=3&offset=12&limit=12")["indices"]
    expect(row.first).to_have_attribute("aria-label", f"3, test image {later[0]}")
    dialog.get_by_role("button", name="earlier digits 3").click()
    expect(row.first).to_have_attribute("aria-label", str(first))


def test_a_digit_is_chosen_by_its_number_in_either_part(page: Page, server: Server) -> None:
    dialog = visit(page, server)
    dialog.get_by_role("radio", name="train").check()
    dialog.get_by_role("textbox", name="number", exact=True).fill("59999")
    dialog.get_by_role("button", name="Show").click()
    label = server.get("/api/datasets/mnist/train/59999")["label"]
    expect(page.locator(".source")).to_contain_text(f"{'an' if label == 8 else 'a'} {label} train 59999")


def test_a_number_that_no_digit_has_is_not_taken(page: Page, server: Server) -> None:
    dialog = visit(page, server)
    dialog.get_by_role("radio", name="test").check()
    dialog.get_by_role("textbox", name="number", exact=True).fill("10000")
    show = dialog.get_by_role("button", name="Show")
    expect(show).to_have_attribute("aria-disabled", "true")
    expect(show).to_have_attribute("title", "a number from 0 to 9,999")
    dialog.get_by_role("textbox", name="number", exact=True).press("Enter")
    expect(dialog).to_be_visible()


def test_an_image_of_a_steps_minibatch_is_chosen(page: Page, server: Server) -> None:
    dialog = visit(page, server)
    dialog.get_by_label("An image of the minibatch of step").fill("7")
    images = dialog.get_by_role("group", name="images of the minibatch").get_by_role("button")
    labels = server.get("/api/runs/welcome/steps/7/tensors/target/y")["values"]
    expect(images.nth(9)).to_have_attribute("aria-label", f"image 9, a {labels[9]}")
    assert images.count() == len(labels)
    images.nth(9).click()
    wait_for_source(page, "s.kind === 'step' && s.step === 7 && s.sample === 9")
    expect(page.locator(".source")).to_contain_text("image 9 of step 7")
    told = server.get("/api/runs/welcome/steps/7/tensors/input/y?sample=9")["values"][0][0]
    assert looked_at(page)["image"] == pytest.approx([value for row in told for value in row], abs=1e-6)


def test_a_drawn_digit_is_answered_while_it_is_drawn_and_used_with_its_answer_as_label(
    page: Page, server: Server
) -> None:
    dialog = visit(page, server)
    use = dialog.get_by_role("button", name="Use this digit")
    expect(use).to_have_attribute("aria-disabled", "true")
    draw_a_one(page, dialog.locator(".pad"))
    expect(dialog.locator(".said")).to_have_text(re.compile(r"^\d$"))
    said = int(dialog.locator(".said").inner_text())
    expect(use).to_have_attribute("aria-disabled", "false")
    use.click()
    wait_for_source(page, "s.drawn && s.pass")
    expect(page.locator(".app[data-view=explore]")).to_be_visible()
    seen = looked_at(page)
    assert seen["label"] == said
    rows = [seen["image"][28 * row : 28 * row + 28] for row in range(28)]
    tall = [k for k, row in enumerate(rows) if max(row) > 0]
    assert len(tall) == 20
    mass = sum(map(sum, rows))
    centre = sum(k * sum(row) for k, row in enumerate(rows)) / mass
    assert 13.49 < centre < 14.51


def test_the_label_for_the_loss_can_be_another(page: Page, server: Server) -> None:
    dialog = visit(page, server)
    draw_a_one(page, dialog.locator(".pad"))
    expect(dialog.locator(".said")).to_be_visible()
    dialog.get_by_label("label for the loss").select_option("7")
    dialog.get_by_role("button", name="Use this digit").click()
    wait_for_source(page, "s.drawn && s.pass")
    assert looked_at(page)["label"] == 7


def test_the_keyboard_draws(page: Page, server: Server) -> None:
    dialog = visit(page, server)
    pad = dialog.locator(".pad")
    pad.focus()
    pad.press("Space")
    for _ in range(14):
        pad.press("ArrowDown")
    pad.press("Escape")
    expect(dialog).to_be_visible()
    expect(dialog.locator(".said")).to_be_visible()
    pad.press("Backspace")
    expect(dialog.locator(".said")).to_have_count(0)


def test_undo_takes_one_stroke_and_clear_takes_all(page: Page, server: Server) -> None:
    dialog = visit(page, server)
    strokes = """async () => (await import(new URL("static/js/view/picker/mnist_centering.js", document.baseURI)))
      && document.querySelector(".draw-tools button").getAttribute("aria-disabled")"""
    assert page.evaluate(strokes) == "true"
    draw_a_one(page, dialog.locator(".pad"))
    draw_a_one(page, dialog.locator(".pad"))
    dialog.get_by_role("button", name="Undo").click()
    assert page.evaluate(strokes) == "false"
    dialog.get_by_role("button", name="Clear").click()
    assert page.evaluate(strokes) == "true"


def test_a_finger_draws(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    dialog = visit(page, server)
    box = dialog.locator(".pad").bounding_box()
    assert box
    touch = page.context.new_cdp_session(page)
    x = box["x"] + box["width"] / 2
    path = [(x, box["y"] + box["height"] * (0.2 + 0.6 * k / 15)) for k in range(16)]
    for kind, points in [("touchStart", path[:1]), *(("touchMove", [at]) for at in path[1:]), ("touchEnd", [])]:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]})
    expect(dialog.locator(".said")).to_be_visible()
    assert page.evaluate("document.querySelector('.picker').scrollTop") == 0


def test_escape_closes_and_the_focus_returns(page: Page, server: Server) -> None:
    dialog = visit(page, server)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.locator(".source")).to_be_focused()


@pytest.mark.parametrize("width, height", [(1280, 720), (1920, 1080), (360, 740)])
@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_at_every_width_nothing_scrolls_sideways_and_axe_finds_nothing(
    open_page: Callable[..., Page], server: Server, width: int, height: int, theme: str
) -> None:
    page = open_page(viewport={"width": width, "height": height})
    dialog = visit(page, server, f"theme={theme}")
    draw_a_one(page, dialog.locator(".pad"))
    expect(dialog.locator(".said")).to_be_visible()
    across, down = page.evaluate("""() => {
      const picker = document.querySelector(".picker");
      return [picker.scrollWidth - picker.clientWidth, picker.scrollHeight - picker.clientHeight];
    }""")
    assert across == 0
    if width >= 1280:
        assert down <= 0
    small = page.evaluate("""() => [...document.querySelectorAll(".picker button, .picker input, .picker select")]
      .map((each) => each.getBoundingClientRect()).filter(({ width, height }) => width < 24 || height < 24).length""")
    assert small == 0
    axe(page)


def test_a_hand_that_leaves_the_pad_goes_on_drawing_inside(page: Page, server: Server) -> None:
    dialog = visit(page, server)
    box = dialog.locator(".pad").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(40):
        page.mouse.move(x + 6 * k * math.cos(k), y + 6 * k * math.sin(k))
    page.mouse.up()
    expect(dialog.locator(".said")).to_be_visible()


def test_by_keyboard_the_digits_are_one_stop_with_the_turns_of_its_row_and_the_arrows_go_on(
    page: Page, server: Server
) -> None:
    dialog = visit(page, server)
    expect(dialog.get_by_role("group", name="digits 9").get_by_role("button")).to_have_count(12)
    focused = page.locator(":focus")
    dialog.get_by_role("button", name="Random").focus()
    page.keyboard.press("Tab")
    first = server.get("/api/datasets/mnist/test?label=0&limit=24")["indices"]
    expect(focused).to_have_attribute("aria-label", f"0, test image {first[0]}")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    ones = server.get("/api/datasets/mnist/test?label=1&limit=24")["indices"]
    expect(focused).to_have_attribute("aria-label", f"1, test image {ones[1]}")
    for _ in range(11):
        page.keyboard.press("ArrowRight")
    expect(focused).to_have_attribute("aria-label", f"1, test image {ones[12]}")
    page.keyboard.press("ArrowLeft")
    expect(focused).to_have_attribute("aria-label", f"1, test image {ones[11]}")
    page.keyboard.press("Shift+Tab")
    expect(focused).to_have_text("Random")
    page.keyboard.press("Tab")
    expect(focused).to_have_attribute("aria-label", f"1, test image {ones[11]}")
    page.keyboard.press("Tab")
    expect(focused).to_have_attribute("aria-label", "further digits 1")
    page.keyboard.press("Enter")
    row = dialog.get_by_role("group", name="digits 1").get_by_role("button")
    expect(row.first).to_have_attribute("aria-label", f"1, test image {ones[12]}")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    expect(focused).to_have_attribute("aria-label", "earlier digits 1")
    page.keyboard.press("Enter")
    expect(row.first).to_have_attribute("aria-label", f"1, test image {ones[0]}")
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(dialog.locator(".pad")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    wait_for_source(page, f"s.index === {ones[11]} && s.pass")
    expect(page.locator(".source")).to_be_focused()


def test_the_back_button_of_the_browser_returns_from_a_drawing_to_the_digit_before(page: Page, server: Server) -> None:
    dialog = visit(page, server)
    draw_a_one(page, dialog.locator(".pad"))
    expect(dialog.locator(".said")).to_have_text(re.compile(r"^\d$"))
    dialog.get_by_role("button", name="Use this digit").click()
    wait_for_source(page, "s.drawn && s.pass")
    page.wait_for_url(re.compile("source=drawn"))
    drawn = looked_at(page)["image"]
    page.go_back()
    wait_for_source(page, "s.index === 464 && s.pass")
    expect(page.locator(".source")).to_contain_text("a 3 test 464")
    page.go_forward()
    wait_for_source(page, "s.drawn && s.pass")
    assert looked_at(page)["image"] == pytest.approx(drawn, abs=1 / 255)
