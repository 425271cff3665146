"""A number set by hand and what follows, what it reaches, and its history: the screen says what the API says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import axe
from tests.browser.test_explore import printed, the_pass, visit
from tests.browser.test_train import make_run, post
from tests.server import Server

WEIGHT = "conv2/w/0,0,1,1"
PIXEL = "input/y/0,0,12,15"


def card(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Explanation")


def rows(table: Locator) -> dict[str, list[str]]:
    """A table's cells by the heading of their row."""
    found = {}
    for row in table.locator("tr:has(th[scope=row])").all():
        found[row.locator("th").inner_text()] = row.locator("td").all_inner_texts()
    return found


def edited(server: Server, place: str, value: float) -> dict[str, Any]:
    body = {"dataset": "mnist", "split": "test", "index": 464, "edits": [{"place": place, "value": value}]}
    made: dict[str, Any] = post(server, "/api/runs/welcome/passes", body)
    return made


def test_a_weight_is_set_by_hand_and_everything_after_it_answers(page: Page, server: Server) -> None:
    visit(page, server, f"at=conv2/y/0,0,5,3&place={WEIGHT}")
    card(page).get_by_role("button", name="Nudge").click()
    field = card(page).get_by_label(f"new value of {WEIGHT}")
    field.fill("0.9")
    field.press("Enter")
    made = edited(server, WEIGHT, 0.9)
    expect(card(page).get_by_role("status")).to_contain_text(f"to {printed(made['loss'])}")
    expect(card(page).locator(".follows")).to_be_visible()
    told = rows(card(page).locator(".compared").first)
    assert told["loss"][:2] == [printed(made["base_loss"]), printed(made["loss"])]
    assert told["value"][1] == "0.900"
    after = server.get(f"/api/runs/welcome/passes/{made['id']}/tensors/conv2/y")["values"]
    before = server.get(f"/api/runs/welcome/passes/{made['base']}/tensors/conv2/y")["values"]
    moved = sum(
        a != b
        for map_a, map_b in zip(after[0], before[0], strict=True)
        for row_a, row_b in zip(map_a, map_b, strict=True)
        for a, b in zip(row_a, row_b, strict=True)
    )
    assert 0 < moved < 16 * 121
    expect(
        card(page).locator(".follows tr", has=page.get_by_role("rowheader", name="conv2", exact=True))
    ).to_contain_text(f"{moved} of 1,936")
    expect(
        card(page).locator(".follows tr", has=page.get_by_role("rowheader", name="conv1", exact=True))
    ).to_contain_text("none")
    expect(page.locator(".step")).to_contain_text(printed(after[0][0][5][3]))

    expect(page).to_have_url(re.compile(r"edits=conv2/w/0,0,1,1%3D0\.9"))
    page.reload()
    expect(card(page).get_by_role("status")).to_contain_text(f"to {printed(made['loss'])}")
    card(page).get_by_role("status").get_by_role("button", name="Put back").click()
    expect(card(page).get_by_role("status")).to_have_count(0)
    expect(page.locator(".step")).to_contain_text(printed(before[0][0][5][3]))
    expect(page).not_to_have_url(re.compile("edits="))


def test_the_slider_moves_a_number_by_keyboard(page: Page, server: Server) -> None:
    visit(page, server, f"at=conv2/y/0,0,5,3&place={PIXEL}&card=nudge")
    slider = card(page).get_by_label(f"move {PIXEL}")
    value = float(slider.input_value())
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(card(page).get_by_role("status")).to_contain_text(printed(value + 0.03))


def test_the_slopes_are_those_of_the_api(page: Page, server: Server) -> None:
    visit(page, server, f"at=conv2/y/0,0,5,3&place={WEIGHT}&card=nudge")
    made = post(server, f"/api/runs/welcome/passes/{the_pass(page, server)['id']}/nudge", {"place": WEIGHT})
    expect(card(page).locator(".slopes")).to_be_visible()
    slopes = rows(card(page).locator(".slopes"))
    assert slopes["slope by the backward pass"] == [printed(made["gradient"])]
    best = max(each["digits"] for each in made["differences"])
    expect(card(page).locator(".nudge .note", has_text=f"{best} digits agree")).to_be_visible()


@pytest.mark.parametrize(
    ("place", "way", "button"), [(PIXEL, "forward", "reaches"), ("conv2/y/0,0,5,3", "backward", "sees")]
)
def test_reach_counts_what_the_api_counts(page: Page, server: Server, place: str, way: str, button: str) -> None:
    visit(page, server, f"at=conv2/y/0,0,5,3&place={place}")
    card(page).get_by_role("button", name="Reach").click()
    card(page).get_by_role("button", name=button).click()
    expect(card(page).locator(".reach > table thead")).to_contain_text(
        "moves now" if way == "forward" else "matters now"
    )
    found = server.get(f"/api/runs/welcome/passes/{the_pass(page, server)['id']}/reach/{place}?direction={way}")[
        "tensors"
    ]
    told = rows(card(page).locator(".reach > table"))
    assert told
    for name, (reach, active) in told.items():
        each = found.get(name) or found[f"{name}/y"]
        assert reach == f"{each['reachable']:,} of {each['of']:,}"
        assert active == f"{each['active']:,}"


@pytest.mark.parametrize("place", [WEIGHT, "conv2/dx/0,0,5,3"])
def test_the_history_is_the_apis_and_its_handle_shows_an_earlier_step(page: Page, server: Server, place: str) -> None:
    visit(page, server, f"at=conv2/dx/0,0,5,3&place={place}")
    card(page).get_by_role("button", name="History").click()
    made = the_pass(page, server)
    told = server.get(f"/api/runs/welcome/history/{place}?points=1000&pass_of={made['id']}")
    expect(card(page).locator(".history")).to_contain_text(f"after step {told['last']}")
    handle = card(page).get_by_label("look at the step")
    handle.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    at = told["steps"].index(told["last"] - 2)
    expect(card(page).locator(".big-value")).to_contain_text(printed(told["values"][at]))
    expect(page.locator("header.header")).to_contain_text(f"after step {told['last'] - 2}")
    expect(page).to_have_url(re.compile(f"step={told['last'] - 2}"))


def test_in_a_minibatch_numbers_cannot_be_set_and_the_card_says_why(page: Page, server: Server) -> None:
    run = make_run(server, steps=2)["id"]
    visit(page, server, f"run={run}&source=step/0&step=2&at=conv2/y/0,0,5,3&place={WEIGHT}&card=nudge")
    expect(card(page)).to_contain_text("Choose one image")


def test_an_address_that_sets_what_is_not_there_says_so_and_shows_the_pass(page: Page, server: Server) -> None:
    visit(page, server, "at=conv2/y/0,0,5,3&edits=conv2/w/99,0,1,1=1")
    expect(page.get_by_role("alert")).to_contain_text("conv2/w has the places")
    expect(card(page).get_by_role("status")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
@pytest.mark.parametrize("aspect", ["nudge", "reach", "history"])
def test_axe_finds_nothing(page: Page, server: Server, theme: str, aspect: str) -> None:
    visit(page, server, f"at=conv2/y/0,0,5,3&place={WEIGHT}&card={aspect}&theme={theme}&edits={WEIGHT}=0.5")
    expect(card(page).locator("table").first).to_be_visible()
    expect(card(page).get_by_role("status")).to_be_visible()
    axe(page)


def test_a_factor_of_the_product_row_is_dragged_and_the_pass_answers(page: Page, server: Server) -> None:
    visit(page, server, "at=conv2/y/0,0,5,3")
    weight = page.locator(".products .movable").first
    expect(weight).to_be_visible()
    place = (weight.get_attribute("title") or "").split(":")[0]
    assert place.startswith("conv2/w/0,")
    box = weight.bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 25, box["y"] + 5, steps=4)
    page.mouse.move(box["x"] + 85, box["y"] + 5, steps=4)
    page.mouse.up()
    expect(card(page).get_by_role("status")).to_contain_text("by hand")
    page.wait_for_timeout(400)  # the address follows a moment after the hand rests
    value = float(re.split(r"%3D|=", page.url.split(place)[1])[1].split("&")[0])
    made = edited(server, place, value)
    expect(card(page).get_by_role("status")).to_contain_text(f"to {printed(made['loss'])}")
    expect(card(page).locator(".place")).to_have_text("conv2/y/0,0,5,3")


def test_another_cell_wins_and_the_stage_shows_what_changed(page: Page, server: Server) -> None:
    visit(page, server, "at=pool1/y/0,3,5,5&place=pool1/y/0,3,5,5")
    page.get_by_role("button", name="let 0.119 win, row 10, column 10").click()
    body = {"dataset": "mnist", "split": "test", "index": 464}
    made = post(
        server, "/api/runs/welcome/passes", body | {"edits": [{"place": "pool1/indices/0,3,5,5", "value": 270}]}
    )
    expect(card(page).get_by_role("status")).to_contain_text(f"to {printed(made['loss'])}")
    expect(page.locator(".other-winner")).to_contain_text("By hand, row 10, column 10 wins")
    expect(page.locator(".other-winner")).to_contain_text("went to row 10, column 11")
    expect(page).to_have_url(re.compile("edits=pool1/indices/0,3,5,5%3D270"))
    legend = page.locator(".legend[title^='pool1 y']")
    before = legend.inner_text()
    page.get_by_role("radio", name="difference").click()
    expect(legend).not_to_have_text(before)
    page.get_by_role("radio", name="by hand").click()
    expect(legend).to_have_text(before)
    page.locator(".other-winner").get_by_role("button", name="Put back").click()
    expect(card(page).get_by_role("status")).to_have_count(0)


def test_what_did_not_matter_is_counted_and_shown_on_the_stage(page: Page, server: Server) -> None:
    visit(page, server, "at=conv1/dx/0,0,27,27&place=conv1/y/0,3,10,10&card=reach")
    made = the_pass(page, server)
    told = server.get(f"/api/runs/welcome/passes/{made['id']}/inert?tensor=conv1/y")["reasons"]
    section = card(page).locator(".inert")
    expect(section).to_contain_text(
        f"Of 5,408 numbers of conv1 the loss does not depend on {sum(told.values()):,} in this pass."
    )
    expect(section.get_by_role("row", name="a gate is closed")).to_contain_text(f"{told['relu']:,}")
    legend = page.locator(".legend[title^='conv1 y']")
    before = legend.inner_text()
    section.get_by_role("button", name="Show it on the stage").click()
    expect(section.get_by_role("button", name="Show the numbers again")).to_be_visible()
    expect(legend).to_have_text("±1.0")
    section.get_by_role("button", name="Show the numbers again").click()
    expect(legend).to_have_text(before)
