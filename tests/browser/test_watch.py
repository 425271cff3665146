"""What the other browser tests rely on: nothing leaves the host and no error goes unseen."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.axe import violations
from tests.browser.conftest import Watch


def test_a_request_to_another_host_is_stopped_and_seen(open_page: Callable[..., Page], watch: Watch) -> None:
    page = open_page(bypass_csp=True)
    page.goto("/healthz")
    page.evaluate("fetch('http://example.com/x.js').catch(() => 'stopped')")
    assert watch.foreign == ["http://example.com/x.js"]
    watch.foreign.clear()
    watch.errors.clear()


def test_a_console_error_and_a_thrown_one_are_seen(page: Page, watch: Watch) -> None:
    page.evaluate("console.error('wrong')")
    with page.expect_event("pageerror"):
        page.evaluate("setTimeout(() => { throw new Error('thrown') })")
    assert [error.partition(" (")[0].partition("\n")[0] for error in watch.errors] == [
        "console: wrong",
        "page error: Error: thrown",
    ]
    watch.errors.clear()


def test_axe_names_the_rule_and_the_element(page: Page) -> None:
    page.set_content("<html lang='en'><title>t</title><main><h1>h</h1><img id='bare' src='data:,'></main></html>")
    (found,) = violations(page)
    assert found.startswith("image-alt (critical)") and found.endswith("#bare")
    page.set_content("<html lang='en'><title>t</title><main><h1>h</h1></main></html>")
    assert violations(page) == []
