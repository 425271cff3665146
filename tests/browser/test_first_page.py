"""What a first visit costs."""

from __future__ import annotations

import gzip

from playwright.sync_api import Page, Response

from tests.server import Server
from tests.tools import ROOT


def test_the_first_page_loads_at_most_400_kb(page: Page, server: Server) -> None:
    server.wait_ready()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto("/", wait_until="networkidle")
    files = [answer for answer in answers if "/api/" not in answer.url]
    assert any(answer.url.endswith("/static/vendor/preact.js") for answer in files)
    loaded = {answer.url: answer.request.sizes()["responseBodySize"] for answer in files}
    assert sum(loaded.values()) <= 400_000, sorted(loaded.items(), key=lambda item: -item[1])


def test_our_own_javascript_stays_below_150_kb_gzipped() -> None:
    sizes = {file.name: len(gzip.compress(file.read_bytes())) for file in (ROOT / "static/js").rglob("*.js")}
    assert 0 < sum(sizes.values()) <= 150_000, sum(sizes.values())
