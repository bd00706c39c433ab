"""Fixtures for all tests that look at a page with Chromium. tests/conftest.py loads them for all folders.

A folder with such tests says in its own conftest.py which `workbench` has the pages.
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from harness.sandbox import Sandbox
from tests.page.browser import Conduct, NoBrowser, chromium, new_page
from tests.waiting import PATIENT, WITHIN
from workbench.options import StackOptions
from workbench.stack import Stack

OpenPage = Callable[..., Awaitable[Page]]

expect.set_options(timeout=WITHIN * 1000)


def two_replicas(data: Path, sources: Sandbox) -> StackOptions:
    """A workbench whose two replicas follow the sources, as those of `make dev` do."""
    command = (sys.executable, "-m", "workbench.reload")
    settings = {
        "SERVICE_LINK_GRAFANA": "http://localhost:3000/d/slipway",
        **PATIENT,
    }
    return StackOptions(data=data, replicas=2, service=command, sources=sources.root, settings=settings)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with AsyncExitStack() as stack:
        try:
            browser = await stack.enter_async_context(chromium())
        except NoBrowser as error:
            reason = str(error)
        else:
            yield browser
            return
    pytest.fail(reason, pytrace=False)


@pytest.fixture
async def api(workbench: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client that does not use the page."""
    async with httpx.AsyncClient(base_url=workbench.ingress_url, timeout=30) as client:
        yield client


@pytest.fixture
def page_url(workbench: Stack) -> str:
    return workbench.ingress_url


@pytest.fixture
def conduct(page_url: str) -> Conduct:
    return Conduct(urlsplit(page_url).netloc)


@pytest.fixture
async def open_page(browser: Browser, page_url: str, conduct: Conduct) -> AsyncIterator[OpenPage]:
    """Opens pages, each in the browser of another person. After the test it checks the conduct of all of them."""
    pages: list[Page] = []

    async def open_(path: str = "/", **options: Any) -> Page:
        page = await new_page(browser, page_url, conduct, **options)
        pages.append(page)
        await page.goto(path)
        if path == "/":
            await expect(page.locator(".mark").first).to_be_attached()
        return page

    yield open_
    for page in pages:
        await page.unroute_all(behavior="ignoreErrors")  # or a request on its way would fail a later test
        await page.context.close()
    conduct.check()


@pytest.fixture
def word() -> str:
    """A word that the database does not contain yet."""
    return f"w{uuid4().hex[:12]}"
