"""Build: networks put together by keyboard, mouse and touch; what does not fit is explained and mended; kernels by
hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import axe
from tests.server import Server

NAMES = ".columns .name"


def visit(page: Page, server: Server, document: Any = None) -> None:
    server.wait_ready()
    page.goto(f"/#view=build{f'&network={json.dumps(document)}' if document else ''}")
    expect(page.locator(".column canvas[data-drawn]").first).to_be_visible()


def order(page: Page, *names: str) -> None:
    """The row comes to hold these layers between the input and the loss."""
    expect(page.locator(NAMES)).to_have_count(len(names) + 2)
    page.wait_for_function(
        "([all, names]) => [...document.querySelectorAll(all)].map(each => each.dataset.name).join() === names",
        arg=[NAMES, ",".join(("input", *names, "loss"))],
    )


def fact(page: Page, name: str, which: int = 0) -> str:
    column = page.locator(".column", has=page.locator(f'[data-name="{name}"]'))
    return column.locator(".facts span").nth(which).inner_text()


def choose(page: Page, name: str) -> None:
    page.locator(f'[data-name="{name}"]').click()
    expect(page.locator(f'[data-name="{name}"]')).to_have_attribute("aria-current", "true")


def add(page: Page, words: str) -> None:
    """By keyboard alone, behind the layer that has the focus."""
    page.keyboard.press("Insert")
    expect(page.locator(".find input")).to_be_focused()
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    expect(page.locator(f"{NAMES}:focus")).to_be_visible()


START = {"title": "mine", "input": [1, 28, 28], "layers": [{"name": "relu1", "op": "relu"}], "loss": "mse_loss"}
CONV = {"out": 4, "kernel_size": 3}
SMALL = {
    "title": "small",
    "input": [1, 28, 28],
    "layers": [
        {"name": "conv1", "op": "conv2d", "settings": CONV},
        {"name": "relu1", "op": "relu"},
        {"name": "flatten1", "op": "flatten"},
        {"name": "fc", "op": "linear", "settings": {"out": 10}},
    ],
    "loss": "cross_entropy",
}


def test_a_residual_network_is_built_and_trained_by_keyboard_alone(page: Page, server: Server) -> None:
    visit(page, server, {**START, "loss": "cross_entropy"})
    page.locator('[data-name="relu1"]').focus()
    for words in ("max pooling", "convolution", "relu"):
        add(page, words)
    order(page, "relu1", "max_pool1", "conv1", "relu2")
    page.keyboard.press("ArrowLeft")
    expect(page.locator('[data-name="conv1"]')).to_be_focused()
    page.keyboard.press("Enter")  # its settings
    page.keyboard.press("Tab")
    expect(page.get_by_label("maps", exact=True)).to_be_focused()
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    page.get_by_label("padding", exact=True).focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator(".arithmetic")).to_contain_text("(14 + 1 + 1 − 3) / 1 + 1 = 14")
    page.keyboard.press("Escape")
    expect(page.locator('[data-name="conv1"]')).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("b")  # from max_pool1
    page.keyboard.press("ArrowRight")
    expect(page.locator('[data-name="relu2"]')).to_be_focused()
    page.keyboard.press("Enter")
    order(page, "relu1", "max_pool1", "conv1", "relu2", "add1")
    expect(page.locator(".lane")).to_have_count(1)
    page.keyboard.press("End")
    expect(page.locator(".why-not .sentence")).to_contain_text("loss: x has 4 axes")
    page.keyboard.press("Enter")  # the first way out: flatten and fully connected
    expect(page.locator(".fix").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".sum")).to_have_text("1,980 parameters · 3,724 products per image")
    order(page, "relu1", "max_pool1", "conv1", "relu2", "add1", "flatten1", "linear1")
    expect(page.get_by_role("button", name="Train this")).not_to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Train this").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".train .progress h2")).to_be_visible()
    page.wait_for_url(re.compile("run="))
    found = re.search(r"run=(\w+)", page.url)
    assert found
    run = server.get(f"/api/runs/{found[1]}")
    layers = {layer["name"]: layer for layer in run["network"]["layers"]}
    assert layers["add1"]["inputs"] == ["relu2", "max_pool1"] and layers["linear1"]["settings"]["out"] == 10
    assert run["name"] == "mine" and run["dataset"] == "mnist"


def test_what_does_not_fit_is_explained_with_ways_out_and_undone(page: Page, server: Server) -> None:
    visit(page, server, SMALL)
    choose(page, "conv1")
    page.get_by_label("stride", exact=True).fill("3")
    page.keyboard.press("Enter")
    expect(page.locator(".why-not .sentence")).to_have_text(
        "conv1: ten windows of 3, three apart, need 30 cells. There are 28."
    )
    expect(page.locator(".column.misfit [data-name]")).to_have_attribute("data-name", "conv1")
    expect(page.locator(".column.waits")).to_have_count(3)
    expect(page.locator(".fraction")).to_contain_text("9.33")
    expect(page.get_by_role("button", name="Train this")).to_have_attribute("aria-disabled", "true")
    expect(page.locator(".sum")).to_have_text("conv1 does not fit yet")
    axe(page)
    page.locator(".fix", has_text="padding 1").click()
    expect(page.locator(".arithmetic")).to_contain_text("(28 + 1 + 1 − 3) / 3 + 1 = 10")
    expect(page.locator(".column.waits")).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(page.locator(".why-not")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.locator(".column.waits")).to_have_count(0)
    assert fact(page, "conv1") == "4×26×26"
    page.keyboard.press("Control+y")
    expect(page.locator(".why-not")).to_be_visible()


def test_layers_move_by_key_and_by_drag_and_are_removed(page: Page, server: Server) -> None:
    visit(page, server, SMALL)
    choose(page, "relu1")
    page.keyboard.press("Alt+ArrowLeft")
    order(page, "relu1", "conv1", "flatten1", "fc")
    box = page.locator('[data-name="relu1"]').bounding_box()
    target = page.locator('[data-name="conv1"]').bounding_box()
    assert box and target
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(target["x"] + target["width"] - 2, box["y"] + 12, steps=6)
    expect(page.locator(".columns .drop")).to_be_visible()
    page.mouse.up()
    order(page, "conv1", "relu1", "flatten1", "fc")
    page.keyboard.press("Delete")
    order(page, "conv1", "flatten1", "fc")
    expect(page.locator('[data-name="flatten1"]')).to_be_focused()


def test_the_network_outlives_a_reload_and_travels_in_the_address_and_in_a_file(
    page: Page, server: Server, open_page: Callable[..., Page], tmp_path: Any
) -> None:
    visit(page, server, SMALL)
    choose(page, "conv1")
    page.get_by_label("maps more").click()
    expect(page.locator(".column").nth(1).locator(".facts span").first).to_have_text("5×26×26")
    with page.expect_download() as saving:
        page.get_by_role("button", name="save it").click()
    saved = tmp_path / "network.json"
    saving.value.save_as(saved)
    assert json.loads(saved.read_text())["layers"][0]["settings"]["out"] == 5
    page.wait_for_url(re.compile("%22out%22%3A5"))
    address = page.url
    page.goto("/#view=build")
    page.reload()
    expect(page.locator(".column").nth(1).locator(".facts span").first).to_have_text("5×26×26")
    other = open_page()
    other.goto(address)
    expect(other.locator(".column").nth(1).locator(".facts span").first).to_have_text("5×26×26")
    other.locator("input[type=file]").set_input_files(
        {"name": "x.json", "mimeType": "application/json", "buffer": json.dumps(START).encode()}
    )
    expect(other.locator('[data-name="relu1"]')).to_be_visible()
    order(other, "relu1")
    other.locator("input[type=file]").set_input_files(
        {"name": "x.json", "mimeType": "application/json", "buffer": b"{}"}
    )
    expect(other.get_by_role("alert")).to_contain_text("x.json is no network document")


def test_a_network_of_sixty_layers_folds_its_blocks(page: Page, server: Server) -> None:
    visit(page, server)
    page.locator(".presets select").select_option("model resnet18")
    expect(page.locator(".column .fold").first).to_be_visible()
    expect(page.locator(".column")).to_have_count(25)
    page.get_by_role("button", name="Unfold").first.click(force=True)
    expect(page.locator(".column")).not_to_have_count(25)


def test_a_kernel_is_set_by_hand_seen_at_once_kept_and_trained_from(page: Page, server: Server) -> None:
    visit(page, server)
    choose(page, "conv1")
    page.get_by_role("radio", name="trained", exact=True).click()
    page.get_by_role("button", name="Edit this kernel by hand").click()
    expect(page.locator(".hand .numbers input")).to_have_count(9)
    page.get_by_role("button", name="Sobel x").click()
    expect(page.locator(".build-card h2")).to_have_text("Sobel x")
    expect(page.get_by_label("row 1, column 2")).to_have_value("2")
    expect(page.locator(".hand .term.total")).to_have_text("= −0.630")
    expect(page.locator(".both")).to_contain_text("this kernel")
    axe(page)
    first = page.get_by_label("row 0, column 0")
    first.focus()
    page.keyboard.press("ArrowUp")
    expect(first).to_have_value("−0.9")
    page.keyboard.press("Control+z")
    expect(first).to_have_value("−1")
    page.get_by_role("button", name="turn 180°").click()
    expect(first).to_have_value("1")
    page.get_by_role("button", name="× −1").click()
    expect(first).to_have_value("−1")
    expect(page.locator(".sum")).to_have_text("1 kernel changed by hand")
    page.get_by_role("button", name="Train this").click()
    expect(page.locator(".train .progress h2")).to_be_visible()
    page.wait_for_url(re.compile("run="))
    found = re.search(r"run=(\w+)", page.url)
    assert found
    w = server.get(f"/api/runs/{found[1]}/steps/0/tensors/conv1/w")["values"][0][0]
    assert w == [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]


@pytest.mark.parametrize("width", [390, 320])
def test_on_a_phone_layers_stand_in_a_list_and_can_be_changed(
    open_page: Callable[..., Page], server: Server, width: int
) -> None:
    page = open_page(viewport={"width": width, "height": 740}, has_touch=True)
    server.wait_ready()
    page.goto(f"/#view=build&network={json.dumps(SMALL)}")
    page.locator(".list .layer", has_text="conv1").tap()
    page.get_by_label("maps more").tap()
    expect(page.locator(".list .chosen .much")).to_contain_text("5×26×26")
    page.get_by_label("Add a layer behind conv1").tap()
    page.get_by_role("button", name="Batch norm").tap()
    expect(page.locator(".list .chosen .what")).to_contain_text("batch_norm1")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    axe(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_row_breaks_no_rule_of_accessibility(open_page: Callable[..., Page], server: Server, scheme: Any) -> None:
    page = open_page(color_scheme=scheme)
    visit(page, server)
    for name in ("input", "conv1", "loss"):
        choose(page, name)
        axe(page)
    choose(page, "conv1")
    page.keyboard.press("Insert")
    axe(page)
