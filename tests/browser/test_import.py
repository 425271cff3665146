"""A model, data and pictures of one's own come in through the page and are looked at, without a line of code."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

from tests.app import data_files as files
from tests.app.services.model_files import onnx_model, onnx_node
from tests.server import Server


def model() -> bytes:
    """One layer is of a kind that is not here."""
    rng = np.random.default_rng(0)
    nodes = [
        onnx_node("Conv", ["x", "w1", "b1"], ["c"]),
        onnx_node("LRN", ["c"], ["l"], size=5),
        onnx_node("MaxPool", ["l"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        onnx_node("Flatten", ["p"], ["f"]),
        onnx_node("Gemm", ["f", "w2", "b2"], ["y"], transB=1),
    ]
    tensors = {"w1": rng.normal(size=(4, 1, 3, 3)), "b1": np.zeros(4), "w2": rng.normal(size=(10, 676)) / 26}
    tensors = {name: array.astype(np.float32) for name, array in (tensors | {"b2": np.zeros(10)}).items()}
    return onnx_model(nodes, tensors, (1, 1, 28, 28), "y")


def given(name: str, content: bytes, kind: str = "application/octet-stream") -> list[dict[str, object]]:
    return [{"name": name, "mimeType": kind, "buffer": content}]


def bring(page: Page) -> None:
    page.goto("/")
    page.locator(".model > .trigger").click()
    page.get_by_role("button", name="Bring your own model or data").click()


def test_a_model_is_settled_and_opened(page: Page) -> None:
    bring(page)
    page.set_input_files(".drop-zone input", given("net.onnx", model()))  # type: ignore[arg-type]
    expect(page.get_by_text("4 of 5 layers were recognised. One is not here.")).to_be_visible()
    opened = page.get_by_role("button", name="Open in Explore")
    expect(opened).to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Leave it out").click()
    expect(page.get_by_text("of 500 test images rightly")).to_be_visible()
    opened.click()
    expect(page.locator(".model > .trigger")).to_contain_text("net.onnx")
    page.wait_for_url("**/#run=*")


def test_a_folder_of_pictures_becomes_a_run_with_its_own_classes(page: Page, server: Server) -> None:
    bring(page)
    content = files.archive(files.folders({"cat": 3, "dog": 3}, 12, 12, colour=True) | {"cat/red.png": files.picture(
        np.full((12, 12, 3), (250, 10, 10)))})  # fmt: skip
    page.set_input_files(".drop-zone input", given("pets.zip", content))  # type: ignore[arg-type]
    expect(page.get_by_text("7 images to learn from and 7 to test on, each 3×12×12; 2 classes.")).to_be_visible()
    expect(page.get_by_text("too few to hold some out")).to_be_visible()
    page.get_by_role("button", name="Look at it in Explore").click()
    expect(page.locator(".source")).to_contain_text("cat")
    assert any(each["name"] == "pets" for each in server.get("/api/datasets"))


def test_a_file_that_cannot_be_read_says_why(page: Page, watch: object) -> None:
    bring(page)
    page.set_input_files(".drop-zone input", given("table.csv", b"label,a,b\n1,2,3\n"))  # type: ignore[arg-type]
    expect(page.get_by_role("alert")).to_contain_text("no square picture")
    watch.errors.clear()  # type: ignore[attr-defined] # the browser reports the refusal


def test_a_photograph_of_a_digit_is_brought_to_mnists_form(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto("/")
    paper = Image.new("RGB", (300, 200), (235, 230, 220))
    ImageDraw.Draw(paper).line([(150, 30), (150, 170)], (30, 30, 50), 16)
    file = io.BytesIO()
    paper.save(file, "PNG")
    page.locator(".source").click()
    page.locator(".photo-ways input").first.set_input_files(given("one.png", file.getvalue(), "image/png"))  # type: ignore[arg-type]
    for words in ("in grey", "inverted", "cut at the threshold", "cropped, scaled, centred"):
        expect(page.locator(".stages").get_by_text(words, exact=True)).to_be_visible()
    page.get_by_role("checkbox", name="invert").uncheck()
    expect(page.locator(".stages").get_by_text("inverted", exact=True)).to_have_count(0)
    page.get_by_role("checkbox", name="invert").check()
    page.get_by_role("button", name="Use this picture").click()
    page.wait_for_url("**source=drawn/**")
    expect(page.locator(".source")).to_contain_text("your digit")
