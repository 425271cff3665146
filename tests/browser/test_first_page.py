"""What a first visit costs."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from pathlib import Path

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


def modules_of(entry: Path) -> set[Path]:
    """What a module imports, and what that does; not what is fetched when it is first shown."""
    found: set[Path] = set()
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            source = without_comments(module.read_text("utf-8"))
            names = re.findall(r'(?:from|^import)\s*"(\.[^"]+)"', source, re.M)
            waiting += [(module.parent / name).resolve() for name in names]
    return found


def weight(modules: Iterable[Path]) -> int:
    """Bytes, gzipped."""
    return sum(len(gzip.compress(without_comments(module.read_text("utf-8")).encode())) for module in modules)


def test_our_own_javascript_stays_small() -> None:
    """The first page's, and that of each view that comes later."""
    first = modules_of((ROOT / "static/js/main.js").resolve())
    assert 50_000 < weight(first) <= 150_000, weight(first)
    views = sorted((ROOT / "static/js/view").glob("*/"))
    later = {view.name: weight(set(view.resolve().rglob("*.js")) - first) for view in views}
    assert later["build"] and max(later.values()) <= 45_000, later


def test_our_own_javascript_travels_without_its_comments(page: Page, server: Server) -> None:
    for file in sorted((ROOT / "static/js").rglob("*.js")):
        answer = page.request.get("/" + file.relative_to(ROOT).as_posix())
        assert answer.text() == without_comments(file.read_text("utf-8"))
        assert answer.headers["content-type"].startswith("text/javascript") and answer.headers["etag"]
    source = "/** what\n * it is */\nconst a = 1; // kept\n  // gone\nconst s = `/* kept */`;\n"
    assert without_comments(source) == "\n\nconst a = 1; // kept\n\nconst s = `/* kept */`;\n"
