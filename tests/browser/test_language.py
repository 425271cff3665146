"""The page in other languages: no text outside of the catalogue, numbers and choice of German, right to left."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.request import urlopen

from playwright.sync_api import Page, expect

from tests.server import Server

#: Texts and spoken names that are seen, without what is code, mathematics or marked as in no language.
TEXTS = """() => {
  const silent = element => element.closest("code, pre, kbd, math, script, style, noscript, [translate=no]");
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (!silent(parentElement)) found.add(data.replace(/\\s+/g, " ").trim());
  }
  for (const element of document.querySelectorAll("[title], [aria-label], [placeholder], [aria-valuetext], [alt]"))
    for (const name of ["title", "aria-label", "placeholder", "aria-valuetext", "alt"])
      if (element.hasAttribute(name) && !silent(element)) found.add(element.getAttribute(name));
  return [...found];
}"""
VIEWS = (
    "at=conv2/dx/0,1,3,4&place=conv2/dx/0,1,3,4",
    "at=loss/y&place=linear/w/3,7",
    "at=conv1/w_next/0,0,1,1",
    "view=train",
    "view=build",
    "view=learn",
    "view=learn&part=kernel-turns/why",
    "view=learn&part=convolution/exercise-forward_cell",
    "view=learn&part=inventory",
    "view=learn&part=bug-lab",
)
PANELS = ("help", "look", "speed", "model", "picker", "import")


def named(server: Server) -> set[str]:
    """What is called the same in every language: models, optimizers, formats, tensors."""
    names = {"MNIST", "CIFAR", "NumPy", "PyTorch", "ONNX", "Keras", "safetensors", "TensorFlow.js", "LeCun", "Deutsch"}
    names |= {"English", "npz", "csv", "zip", "idx", "softmax", "linear", "log", "logp"}
    with urlopen(f"{server.url}/api/models") as models, urlopen(f"{server.url}/api/optimizers") as optimizers:
        return names | {each["name"] for each in [*json.load(models), *json.load(optimizers)["optimizers"]]}


def outside(texts: list[str], names: set[str]) -> list[str]:
    """The texts with a plain word that is neither a name nor a place or another expression."""

    def plain(word: str) -> bool:
        letters = word.strip("“”()[].,:;·…!?’")
        return len(letters) > 2 and letters.isascii() and letters.isalpha() and letters not in names

    return [text for text in texts if any(plain(word) for word in text.split())]


def test_every_text_comes_from_the_catalogue(page: Page, server: Server) -> None:
    names = named(server)
    found: dict[str, list[str]] = {}
    seen = 0
    for view in VIEWS:
        page.goto("about:blank")
        page.goto(f"/?lang=en-XA#{view}")
        expect(page.locator("html")).to_have_attribute("lang", "en-XA")
        expect(page.locator("main").first).not_to_have_attribute("aria-busy", "true")
        page.wait_for_timeout(400)
        texts = page.evaluate(TEXTS)
        assert len(texts) > 20, view
        seen += len(texts)
        found[view] = outside(texts, names)
    for panel in PANELS:
        page.goto("about:blank")
        page.goto("/?lang=en-XA")
        expect(page.locator(".transport")).to_be_visible()
        page.evaluate(f"import('./static/js/state/store.js').then(store => store.openPanel('{panel}'))")
        page.wait_for_timeout(400)
        found[panel] = outside(page.evaluate(TEXTS), names)
    alone = {text for texts in found.values() for text in texts}
    assert len(alone) <= seen / 100, found  # a new text may wait for its translation; a view that is outside may not


def test_german_is_chosen_by_the_browser_and_english_by_hand(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(locale="de-AT")
    page.goto("/#place=conv1/w/0,0,1,1")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("link", name="Erkunden")).to_be_visible()
    expect(page.locator(".card .big-value")).to_contain_text(",")
    expect(page.locator(".card .card-title")).to_contain_text("Gewicht von conv1")
    page.get_by_role("button", name="Farben, Größe und Sprache").click()
    page.get_by_role("radio", name="English").click()
    expect(page.get_by_role("link", name="Explore")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    expect(page.get_by_role("link", name="Explore")).to_be_visible()
    expect(page.locator(".card .big-value")).to_contain_text(".")


def test_from_right_to_left_the_stage_and_the_numbers_stay(page: Page) -> None:
    page.goto("/?lang=ar-XB#at=conv2/dx/0,1,3,4&place=conv2/dx/0,1,3,4")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator(".card .big-value")).to_contain_text("0.0")
    for kept in (".stage", ".step", ".transport", ".big-value"):
        assert page.locator(kept).first.evaluate("element => getComputedStyle(element).direction") == "ltr", kept
    stage, card = page.locator(".stage").bounding_box(), page.locator(".card").bounding_box()
    assert stage and card and card["x"] < stage["x"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
