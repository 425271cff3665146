"""A real Chromium that may reach nothing but the server under test, and in which no error goes unseen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, WebSocket, sync_playwright

from tests.browser.chromium import provide
from tests.server import Server
from tests.tools import NODE

LAPTOP = {"width": 1280, "height": 720}


@dataclass
class Watch:
    """What went wrong in the pages of a test. A test that provokes an error takes it out again."""

    host: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        context.route("**/*", self._only_local)
        context.on("page", self._listen)

    def _is_local(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.scheme in ("data", "blob", "about") or parts.netloc == self.host

    def _only_local(self, route: Route) -> None:
        if self._is_local(route.request.url):
            route.continue_()
        else:
            self.foreign.append(route.request.url)
            route.abort()

    def _listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.errors.append(f"page error: {error.stack or error}"))
        page.on("console", self._hear)
        page.on("websocket", self._see)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"console: {message.text} ({message.location.get('url')})")

    def _see(self, socket: WebSocket) -> None:
        if not self._is_local(socket.url):
            self.foreign.append(socket.url)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for the session."""
    chromium = provide()
    os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(NODE)  # the Node inside Playwright needs a library that may be missing
    with sync_playwright() as playwright:
        environment: dict[str, Any] = {**os.environ, **chromium.env}
        running = playwright.chromium.launch(
            executable_path=chromium.path, headless=True, args=chromium.args, env=environment
        )
        yield running
        running.close()


@pytest.fixture
def watch(server: Server) -> Watch:
    return Watch(urlsplit(server.url).netloc)


@pytest.fixture
def open_page(server: Server, browser: Browser, watch: Watch) -> Iterator[Callable[..., Page]]:
    """`open_page(viewport=…, color_scheme=…, has_touch=…)`: an empty page in a context of its own."""
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> Page:
        settings = {"locale": "en-US", "viewport": LAPTOP, "base_url": server.url, **options}
        context = browser.new_context(**settings)
        contexts.append(context)
        watch.over(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
    assert not watch.foreign, f"requests left this host: {watch.foreign}"
    assert not watch.errors, "the page reported errors:\n" + "\n".join(watch.errors)


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """A laptop's page: 1280 x 720; `page.goto("/")` opens the server's."""
    return open_page()
