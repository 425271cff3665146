"""The Explore view's frame: stage, loupe, transport, address and themes; all of it by mouse and by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import axe
from tests.browser.test_train import make_run, post
from tests.server import Server

PIXEL = """([x, y]) => { const canvas = document.querySelector('canvas.atlas');
    const unit = canvas.width / canvas.clientWidth;
    return [...canvas.getContext('2d').getImageData(x * unit, y * unit, 1, 1).data] }"""
FRAMES = """() => new Promise(done => { const times = []; let last = performance.now();
    const beat = now => { times.push(now - last); last = now;
        if (times.length < 150) requestAnimationFrame(beat); else done(times.sort((a, b) => a - b)[75]) };
    requestAnimationFrame(beat) })"""


def visit(page: Page, server: Server, query: str = "") -> None:
    server.wait_ready()
    page.goto(f"/#{query}")
    expect(page.locator(".transport .disc")).not_to_have_attribute("aria-disabled", "true")


def slot(page: Page, tensor: str) -> Locator:
    return page.locator(f'.slot[data-tensor="{tensor}"]')


def centre(page: Page, tensor: str) -> tuple[float, float]:
    box = slot(page, tensor).bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def the_pass(page: Page, server: Server) -> dict[str, Any]:
    body = {"dataset": "mnist", "split": "test", "index": 464}
    made: dict[str, Any] = post(server, "/api/runs/welcome/passes", body)
    return made


def cell(server: Server, made: dict[str, Any], tensor: str, *index: int) -> float:
    values = server.get(f"/api/runs/welcome/passes/{made['id']}/tensors/{tensor}")["values"]
    for at in index:
        values = values[at]
    return float(values)


def printed(value: float) -> str:
    return "0" if value == 0 else f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def test_a_first_visit_has_one_sentence_and_the_play_button_is_focused(page: Page, server: Server) -> None:
    visit(page, server)
    expect(page.locator(".first .sentence")).to_have_text(re.compile("Press play, and this 3 goes through"))
    expect(page.get_by_role("button", name="Play the pass")).to_be_focused()
    expect(slot(page, "conv1/y")).to_have_attribute("aria-label", re.compile("not computed yet"))
    axe(page)


def test_space_plays_the_pass_and_pauses_it(page: Page, server: Server) -> None:
    visit(page, server)
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator(".step")).to_be_visible()
    page.locator("body").press("Space")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_a_hovered_cell_is_named_with_its_value_and_a_click_explains_it(page: Page, server: Server) -> None:
    visit(page, server, "at=loss/y")
    page.mouse.move(*centre(page, "conv2/y"))
    place = page.locator(".loupe p span")
    expect(place).to_have_text(re.compile(r"^conv2/y/0,\d+,\d+,\d+$"))
    index = [int(part) for part in place.inner_text().split("/")[2].split(",")]
    value = printed(cell(server, the_pass(page, server), "conv2/y", *index))
    expect(page.locator(".loupe b")).to_have_text(value)
    page.mouse.click(*centre(page, "conv2/y"))
    expect(page.locator(".card")).to_contain_text(value)
    page.wait_for_url(re.compile("place=" + place.inner_text()))


def test_a_cell_that_is_not_computed_yet_is_where_the_pass_goes(page: Page, server: Server) -> None:
    visit(page, server, "at=conv1/y/0,0,0,0")
    page.mouse.click(*centre(page, "conv2/y"))
    expect(page.locator(".timeline-mark.now .label")).to_have_text("conv2")
    expect(slot(page, "pool1/y")).not_to_have_attribute("aria-label", re.compile("computed"))


def test_the_keyboard_reaches_any_cell_and_explains_it(page: Page, server: Server) -> None:
    visit(page, server, "at=loss/y")
    page.locator(".slot[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".loupe p span")).to_contain_text("conv1/y")
    page.keyboard.press("PageDown")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    place = page.locator(".loupe p span").inner_text()
    assert re.fullmatch(r"conv1/y/0,\d,1,25", place), place
    page.keyboard.press("Escape")
    expect(page.locator(".loupe b")).to_have_count(0)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator(".card")).to_contain_text("conv1/y/0,")


def test_hatched_tiles_become_maps_as_the_pass_goes_on_and_hatched_again_as_it_goes_back(
    page: Page, server: Server
) -> None:
    visit(page, server, "at=conv1/y/0,0,25,25")
    box = page.locator(".stage-box").bounding_box()
    assert box
    x, y = centre(page, "relu1/y")
    at = [x - box["x"] - 6, y - box["y"] - 9]
    hatched = page.evaluate(PIXEL, at)
    page.locator("body").press("]")
    page.locator("body").press("]")
    page.wait_for_timeout(100)
    painted = page.evaluate(PIXEL, at)
    assert painted != hatched and painted[3] == 255
    page.locator("body").press("[")
    page.locator("body").press("[")
    page.wait_for_timeout(100)
    assert page.evaluate(PIXEL, at) == hatched


def test_the_score_bar_is_a_slider_for_mouse_and_keys(page: Page, server: Server) -> None:
    visit(page, server, "at=conv1/y/0,5,12,14")
    bar = page.get_by_role("slider", name="Timeline of the pass")
    value = f"{cell(server, the_pass(page, server), 'conv1/y', 0, 5, 12, 14):.4f}"
    where = "output of conv1, map 5, row 12, column 14"
    expect(bar).to_have_attribute("aria-valuetext", f"{value}, {where}, 3,707 of 5,408")
    bar.focus()
    page.keyboard.press("ArrowRight")
    expect(bar).to_have_attribute("aria-valuetext", re.compile("column 15"))
    page.keyboard.press("PageUp")
    expect(bar).to_have_attribute("aria-valuetext", re.compile(r", output of relu1, map 0, row 7, column 7, 190 of"))
    page.keyboard.press("End")
    expect(bar).to_have_attribute("aria-valuetext", re.compile("bias of linear after the update"))
    page.keyboard.press("Home")
    expect(bar).to_have_attribute("aria-valuetext", re.compile("not begun"))
    marks = page.locator(".timeline-mark").all()
    here, there = marks[0].bounding_box(), marks[10].bounding_box()
    assert here and there
    page.mouse.move(here["x"] + 4, here["y"] + 28)
    page.mouse.down()
    page.mouse.move(there["x"] + there["width"] / 2, there["y"] + 28, steps=4)
    page.mouse.up()
    expect(bar).to_have_attribute("aria-valuetext", re.compile("gradient of the loss for pool2"))


def test_an_address_opens_what_it_was_copied_from(page: Page, open_page: Callable[..., Page], server: Server) -> None:
    visit(page, server, "step=100&at=conv2/dx/0,5,11,2&place=conv2/dx/0,5,11,2&speed=2&theme=dark")
    page.locator("body").press(".")
    page.wait_for_url(re.compile(r"at=conv2/dx/0,5,11,3"))
    other = open_page()
    other.goto(page.url)
    bar = other.get_by_role("slider", name="Timeline of the pass")
    expect(bar).to_have_attribute(
        "aria-valuetext", re.compile("gradient of the loss for pool1, map 5, row 11, column 3")
    )
    expect(other.locator(".steps .trigger")).to_contain_text("100")
    expect(other.locator(".speed .trigger")).to_contain_text("2×")
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_step_scrubber_shows_the_same_image_at_another_step(page: Page, server: Server) -> None:
    visit(page, server, "at=loss/y")
    before = page.locator(".stage .loss").inner_text()
    page.locator(".steps .trigger").click()
    page.get_by_role("slider", name=re.compile("Parameters after step")).fill("3")
    expect(page.locator(".steps .trigger")).to_contain_text("3")
    expect(page.locator(".stage .loss")).not_to_have_text(before)
    page.keyboard.press("Escape")
    expect(page.locator(".popover")).to_have_count(0)


def test_the_help_lists_the_keys(page: Page, server: Server) -> None:
    visit(page, server)
    page.locator("body").press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    for key in ("Space", ".", ",", "PageUp", "Enter", "Esc"):
        expect(dialog.get_by_text(key, exact=True).first).to_be_visible()
    expect(dialog.get_by_role("heading", name="In Train")).to_be_visible()
    axe(page)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_first_visit_can_begin_on_the_drawing_pad_and_comes_back_to_its_button(page: Page, server: Server) -> None:
    visit(page, server)
    button = page.get_by_role("button", name="Draw your own digit")
    button.click()
    expect(page.locator(".picker .pad")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
@pytest.mark.parametrize(
    "place",
    [
        "conv1/y/0,5,12,14",
        "conv2/dx/0,5,11,2",
        "pool1/dx/0,5,16,13",
        "conv2/dw/1,5,2,1",
        "loss/p/0,3",
        "loss/dx/0,3",
        "conv1/w_next/5,0,1,1",
    ],
)
def test_no_theme_and_no_phase_breaks_an_accessibility_rule(page: Page, server: Server, theme: str, place: str) -> None:
    visit(page, server, f"at={place}&place={place}&theme={theme}")
    expect(page.locator(".card")).to_contain_text(place)
    axe(page)


SIZES = [(360, 740), (390, 844), (640, 800), (900, 700), (1151, 720), (1280, 720), (1920, 1080)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_scrolls_sideways_at_any_width(
    open_page: Callable[..., Page], server: Server, width: int, height: int
) -> None:
    page = open_page(viewport={"width": width, "height": height})
    for place in ("conv1/y/0,5,12,14", "conv2/dx/0,5,11,2"):
        visit(page, server, f"at={place}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        expect(page.locator(".figure .numbers").first).to_be_visible()
        parts = page.locator(".figure > *")
        edges = parts.evaluate_all("parts => parts.map(part => part.getBoundingClientRect().right)")
        assert max(edges) <= width, "a part of the figure is cut off"
    if width >= 1152:
        assert page.evaluate("document.documentElement.scrollHeight") <= height
    axe(page)


@pytest.mark.parametrize(("width", "height"), [(900, 700), (700, 700), (640, 800), (1280, 600), (1024, 640)])
def test_the_played_figure_and_its_terms_stay_in_view(
    open_page: Callable[..., Page], server: Server, width: int, height: int
) -> None:
    page = open_page(viewport={"width": width, "height": height})
    visit(page, server)
    assert page.locator(".explore").evaluate("main => main.scrollTop") == 0
    for place in ("conv2/y/0,5,5,5", "conv2/dx/0,5,11,2"):
        visit(page, server, f"at={place}")
        value = page.locator(".products .value")
        expect(value).to_be_in_viewport(ratio=1)
        # the figure stands above its terms, and the stage shows the row that is written, as soon as both are laid out
        page.wait_for_function(
            """() => {
                const places = [".step .figure", ".products", ".rings .mark", ".step"];
                const boxes = places.map(each => document.querySelector(each)?.getBoundingClientRect());
                if (!boxes.every(Boolean)) return false;
                const [figure, terms, ring, step] = boxes;
                return figure.bottom <= terms.top + 1 && 0 < ring.top && ring.top < step.top;
            }"""
        )


def test_every_phase_is_drawn_on_a_small_screen(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(viewport={"width": 360, "height": 740})
    visit(page, server, "at=conv1/y/0,0,0,0")
    for _ in range(page.locator(".timeline-mark").count() + 12):
        page.locator("body").press("]")
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        for name in page.locator(".stage .name").all():
            box = name.bounding_box()
            assert box and box["x"] >= 0 and box["x"] + box["width"] <= 360, name.inner_text()
    expect(page.locator(".step-head .part-name")).to_have_text(
        "What if"
    )  # the update of a test digit is made by nobody


def test_a_projector_has_larger_letters(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(viewport={"width": 1920, "height": 1080})
    visit(page, server)
    assert float(page.evaluate("parseFloat(getComputedStyle(document.querySelector('.digit')).fontSize)")) >= 20


def test_reduced_motion_moves_the_racetrack_at_once(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(reduced_motion="reduce")
    visit(page, server, "at=conv1/y/0,0,0,0")
    head = page.locator(".track .head")
    before = head.get_attribute("transform")
    page.locator("body").press("]")
    expect(head).not_to_have_attribute("transform", before)
    first = head.get_attribute("transform")
    page.wait_for_timeout(400)
    assert head.get_attribute("transform") == first


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_names_on_the_score_stand_clear_of_each_other(
    open_page: Callable[..., Page], server: Server, motion: str
) -> None:
    page = open_page(reduced_motion=motion)
    visit(page, server, f"run={make_run(server, model='small-densenet')['id']}&at=loss/y")
    page.wait_for_timeout(100)
    names = page.locator(".timeline-mark .label").evaluate_all(
        """labels => labels.filter(label => getComputedStyle(label).visibility === "visible").map(label => {
            const text = document.createRange(); text.selectNodeContents(label);
            const { left, right } = text.getBoundingClientRect(); return [left, right] })"""
    )
    assert len(names) > 10
    for (_, right), (left, _) in pairwise(names):
        assert right < left


def test_on_a_phone_the_sum_is_in_view_however_many_its_terms(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    for place in ("conv2/y/0,3,5,5", "conv2/dx/0,5,11,2"):
        visit(page, server, f"at={place}")
        expect(page.locator("table.terms .total td").last).to_be_in_viewport(ratio=1)


def test_on_a_phone_the_open_card_leaves_the_maps_and_what_their_colours_mean(
    open_page: Callable[..., Page], server: Server
) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    visit(page, server, "at=conv2/y/0,3,5,5&place=conv2/y/0,3,5,5")
    drawer = page.locator(".drawer.open")
    expect(drawer.locator(".big-value")).to_be_visible()
    drawer.evaluate("drawer => Promise.all(drawer.getAnimations().map(each => each.finished))")
    legend, card = page.locator(".legend span").last.bounding_box(), drawer.bounding_box()
    assert legend and card and legend["y"] + legend["height"] <= card["y"]


#: What can be pressed and is less than 24 pixels high or wide, but for links in running text and the cell that a map's
#: cursor stands on: any other of the map's cells can be reached by keys.
SMALL = """() => [...document.querySelectorAll("button, a[href], input, summary, [tabindex='0']")].filter(each => {
  const { width, height } = each.getBoundingClientRect();
  const inline = each.tagName === "A" && getComputedStyle(each).display === "inline" && each.closest("p, li, dd, td");
  return width && height && Math.min(width, height) < 23.9 && !inline && !each.matches(".cursor");
}).map(each => `${each.outerHTML.slice(0, 120)} ${each.getBoundingClientRect().width}`)"""


@pytest.mark.parametrize("size", [(390, 844), (768, 1024)])
def test_nothing_to_touch_is_smaller_than_a_fingertip_can_hit(
    open_page: Callable[..., Page], server: Server, size: tuple[int, int]
) -> None:
    page = open_page(viewport={"width": size[0], "height": size[1]}, has_touch=True)
    for at in ("conv1/y/0,3,12,14", "pool1/dx/0,3,4,4", "linear/dx/0,13"):
        visit(page, server, f"at={at}")
        expect(page.locator(".step-head .sentence")).to_be_visible()
        assert page.evaluate(SMALL) == []
    page.goto("about:blank")
    page.goto("/#view=train")
    expect(page.locator(".train")).to_be_visible()
    assert page.evaluate(SMALL) == []


def test_on_a_tall_tablet_the_terms_are_a_list(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(viewport={"width": 768, "height": 1024})
    visit(page, server, "at=conv1/y/0,3,12,14")
    terms = page.locator("table.terms tbody tr")
    expect(terms.first).to_be_visible()
    assert terms.count() >= 11, "nine products, the bias and their sum"
    expect(terms.last).to_be_in_viewport(ratio=1)
    expect(page.locator(".products")).to_have_count(0)
    visit(page, server, "at=pool1/dx/0,3,4,4")
    blocks, words = page.locator(".products .block"), page.locator(".step-head .sentence, .step-head .spot")
    expect(blocks).to_have_count(4)
    for each in (*blocks.all(), *words.all()):
        expect(each).to_be_in_viewport(ratio=1)
        assert each.evaluate("each => each.scrollWidth <= each.clientWidth"), each.inner_text()


def test_what_is_read_out_stays_the_number_under_the_pointer_as_the_pass_goes_on(page: Page, server: Server) -> None:
    visit(page, server, "at=conv2/y/0,3,5,5")
    window = page.locator(".numbers .number[data-place^='pool1/y']").first
    window.hover()
    read = page.locator(".step-head .pointed")
    for _ in range(3):
        place = str(window.get_attribute("data-place"))
        expect(read).to_contain_text(re.sub(r"/0,", "/", place))
        page.keyboard.press(".")
        expect(window).not_to_have_attribute("data-place", place)
    expect(read).to_contain_text(re.sub(r"/0,", "/", str(window.get_attribute("data-place"))))
    page.locator(".products .column:not(.gutter)").first.hover()
    before = read.inner_text()
    page.keyboard.press(".")
    expect(read).not_to_have_text(before)


def test_a_long_equation_goes_on_in_the_next_line_in_letters_that_can_be_read(page: Page, server: Server) -> None:
    run = make_run(server, model="small-inception")
    visit(page, server, f"run={run['id']}&at=pool/dx/0,4,6,6&place=pool/dx/0,4,6,6")
    equation = page.locator(".card .equation")
    expect(equation.locator("mtable.where mtr")).to_have_count(2)
    page.wait_for_function(  # fonts come when they come
        "box => box.scrollWidth <= box.clientWidth", arg=equation.element_handle(), timeout=10_000
    )
    assert equation.locator("math").evaluate("math => parseFloat(getComputedStyle(math).fontSize)") >= 14
    expect(equation.locator('[data-tensor="indices"]')).to_have_class(re.compile("act"))


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("lenet5", "conv2/dx/0,3,4,4"),
        ("small-inception", "conv5x5b/y/0,2,6,6"),
    ],
)
def test_a_large_kernel_shows_its_numbers_inside_its_column(page: Page, server: Server, model: str, place: str) -> None:
    visit(page, server, f"run={make_run(server, model=model)['id']}&at={place}")
    grids = page.locator(".figure .numbers:not([aria-label$='as it is'])")
    expect(grids.locator(".digits")).to_have_count(2 * 25)
    column = page.locator(".step .figures").bounding_box()
    assert column
    for part in page.locator(".figure :is(.heat, .numbers)").all():
        box = part.bounding_box()
        assert box and column["x"] - 2 <= box["x"] and box["x"] + box["width"] <= column["x"] + column["width"] + 2


def test_the_step_view_of_a_network_wider_than_the_stage_stays_in_its_column(page: Page, server: Server) -> None:
    run = make_run(server, model="small-vgg")
    visit(page, server, f"run={run['id']}&at=loss/y")
    main, step = page.locator(".explore").bounding_box(), page.locator(".step").bounding_box()
    assert main and step and step["x"] + step["width"] <= main["x"] + main["width"] + 1
    assert page.locator(".explore").evaluate("main => main.scrollWidth <= main.clientWidth")


def test_an_update_with_named_steps_has_its_terms_and_its_trail_in_view(page: Page, server: Server) -> None:
    run = make_run(server, steps=2, optimizer={"name": "adam", "learning_rate": 0.001})
    place = "conv1/w_next/0,0,1,0"
    visit(page, server, f"run={run['id']}&at={place}&place={place}")
    for part in (".card .waterfall .total", ".card .way nav"):
        expect(page.locator(part)).to_be_in_viewport(ratio=1)
    for step in page.locator(".named-steps li").all():
        assert step.evaluate("line => line.scrollWidth <= line.clientWidth + 1"), step.inner_text()


def test_the_way_leads_from_the_loss_to_the_label_and_back(page: Page, server: Server) -> None:
    visit(page, server, "at=loss/y")
    card = page.locator(".card")
    card.get_by_role("button", name="number 3").click()
    card.locator(".factors").get_by_role("button", name="loss/t/0,3").click()
    expect(card.locator(".place")).to_have_text("loss/t/0,3")
    card.locator(".row-name").click()
    decides = card.locator(".factors li", has_text="decides")
    expect(decides).to_have_text("target/y/0 decides 3")
    decides.get_by_role("button").click()
    expect(card.locator(".big-value")).to_have_text("3")
    expect(card.locator(".way nav")).to_have_text(re.compile("^loss › loss/t/0,3 › target/y/0$"))
    for place in ("loss/t/0,3", "loss/y"):
        card.get_by_role("button", name="Back").click()
        expect(card.locator(".place")).to_have_text(place)


def test_a_squared_difference_is_a_factor_that_opens(page: Page, server: Server) -> None:
    run = make_run(server, steps=3, model="tiny")
    visit(page, server, f"run={run['id']}&at=loss/y&place=loss/y")
    expect(page.locator(".products .gutter")).to_contain_text("(x − target)²")
    page.locator(".card .row-name").first.click()
    page.locator(".card .factors").get_by_role("button", name="fc/y/0,0").click()
    expect(page.locator(".card .place")).to_have_text("fc/y/0,0")


@pytest.mark.parametrize("model", ["tiny", "lenet5", "small-inception", "small-densenet"])
def test_any_network_has_a_stage(page: Page, server: Server, model: str) -> None:
    run = make_run(server, model=model)
    visit(page, server, f"run={run['id']}&at=loss/y")
    for layer in run["network"]["layers"]:
        if layer["op"] != "flatten":
            expect(slot(page, f"{layer['name']}/y").or_(page.locator(".name.of-bars"))).not_to_have_count(0)
    axe(page)


def test_wires_show_what_a_residual_sum_reads_and_its_figure_adds(page: Page, server: Server) -> None:
    run = make_run(server, model="small-resnet")
    visit(page, server, f"run={run['id']}&at=add2/y/0,3,5,5")
    expect(page.locator(".skip-lines path.forward")).to_have_count(1)
    expect(page.locator(".step .figure")).to_contain_text("bn2b")
    expect(page.locator(".step .figure")).to_contain_text("relu1")
    expect(page.locator(".step .figure").get_by_label("plus")).to_have_count(1)
    expect(slot(page, "add2/y")).to_be_in_viewport()


def test_training_is_alive_on_the_stage_at_sixty_frames_a_second(page: Page, server: Server) -> None:
    run = make_run(server, epochs=400)
    visit(page, server, f"run={run['id']}")
    page.evaluate(
        f"fetch('api/runs/{run['id']}', {{method: 'PATCH', headers: {{'Content-Type': 'application/json'}},"
        " body: JSON.stringify({state: 'running'})})"
    )
    page.reload()
    expect(page.locator(".step-now")).to_be_visible()
    before = page.locator(".step-now").inner_text()
    assert page.evaluate(FRAMES) <= 17
    assert page.locator(".step-now").inner_text() != before
    page.get_by_role("button", name="Stop and look").click()
    expect(page.locator(".steps .trigger")).to_be_visible()
    assert server.get(f"/api/runs/{run['id']}")["state"] == "paused"


def test_a_delta_that_is_not_computed_yet_leaves_no_coloured_tick(page: Page, server: Server) -> None:
    visit(page, server, "at=loss/dx/0,3")
    bars = page.locator(".bar-cell i")
    expect(bars).to_have_count(10)
    heights = bars.evaluate_all("all => all.map(bar => bar.getBoundingClientRect().height)")
    assert all(height > 0 for height in heights[:4]) and not any(heights[4:])
