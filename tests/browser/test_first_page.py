"""What a first visit costs."""

from __future__ import annotations

import gzip

from playwright.sync_api import Page, Response

from app.site.pages import without_comments
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


def test_our_own_javascript_stays_below_190_kb_gzipped() -> None:
    modules = sorted((ROOT / "static/js").rglob("*.js"))
    sizes = [len(gzip.compress(without_comments(file.read_text("utf-8")).encode())) for file in modules]
    assert 0 < sum(sizes) <= 190_000, sum(sizes)


def test_our_own_javascript_travels_without_its_comments(page: Page, server: Server) -> None:
    for file in sorted((ROOT / "static/js").rglob("*.js")):
        answer = page.request.get("/" + file.relative_to(ROOT).as_posix())
        assert answer.text() == without_comments(file.read_text("utf-8"))
        assert answer.headers["content-type"].startswith("text/javascript") and answer.headers["etag"]
    source = "/** what\n * it is */\nconst a = 1; // kept\n  // gone\nconst s = `/* kept */`;\n"
    assert without_comments(source) == "\n\nconst a = 1; // kept\n\nconst s = `/* kept */`;\n"
