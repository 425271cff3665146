"""axe-core in the page under test."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.tools import page_tools


def violations(page: Page, **options: Any) -> list[str]:
    """One line for each rule that the page breaks, with the elements; `options` are those of `axe.run`."""
    if not page.evaluate("'axe' in window"):
        page.evaluate((page_tools() / "axe-core/axe.min.js").read_text("utf-8"))
    found = page.evaluate("options => axe.run(document, options).then(result => result.violations)", options)
    return [f"{rule['id']} ({rule['impact']}): {rule['help']}: {_elements(rule)}" for rule in found]


def _elements(rule: dict[str, Any]) -> str:
    return ", ".join(" ".join(map(str, node["target"])) for node in rule["nodes"])


def axe(page: Page, **options: Any) -> None:
    """Fail with every violation named."""
    found = violations(page, **options)
    assert not found, "\n".join(found)
