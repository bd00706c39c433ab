"""Chromium for the tests, and what a page must never do."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

from tests.waiting import WITHIN
from workbench.programs.chromium import find

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = "the tests of the page need Chromium: make test brings it, make test WITHOUT=chromium leaves them out"

# What the page reads after an event may already be deleted. The page handles that, but browsers log an error.
_GONE = re.compile(r"/\w+/[0-9a-f-]{36}$")
_SIZES = """Object.fromEntries(
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter(({ name }) => /\\/$|\\.(css|js)$/.test(new URL(name).pathname))
        .filter(({ initiatorType }) => initiatorType != "fetch")
        .map(({ name, decodedBodySize }) => [name, decodedBodySize]),
)"""


class NoBrowser(Exception):
    """Chromium is missing. The message says what to do."""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser with a new, empty profile. Raises NoBrowser."""
    path = find()
    if path is None:
        raise NoBrowser(MISSING)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Conduct:
    """What a page did wrong: errors (violations of its policy are errors too), and requests to other hosts."""

    host: str
    faults: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    """Patterns of messages that a test causes on purpose. Browsers report every 4xx and 5xx as an error."""

    def watch(self, page: Page) -> None:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._requested)

    def check(self) -> None:
        faults = [fault for fault in self.faults if not any(re.search(pattern, fault) for pattern in self.allowed)]
        assert faults == []

    def _said(self, message: ConsoleMessage) -> None:
        is_gone = "status of 404" in message.text and _GONE.search(message.location["url"])
        if message.type in {"error", "warning"} and not is_gone:
            self.faults.append(f"{message.type}: {message.text}")

    def _requested(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme != "data" and url.netloc != self.host:
            self.faults.append(f"request to another host: {request.url}")


async def new_page(browser: Browser, url: str, conduct: Conduct, **options: Any) -> Page:
    """Opens a page in a separate browser context and watches its conduct."""
    context = await browser.new_context(base_url=url, **({"viewport": {"width": 1280, "height": 900}} | options))
    context.set_default_timeout(WITHIN * 1000)
    page = await context.new_page()
    conduct.watch(page)
    return page


async def sizes(page: Page) -> dict[str, int]:
    """The bytes of the HTML, the style sheets and the modules that a page has loaded, uncompressed, by address."""
    found: dict[str, int] = await page.evaluate(_SIZES)
    return found
