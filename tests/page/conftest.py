"""A workbench with three replicas and live reload, and Chromium."""

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
from workbench.console import Console
from workbench.options import StackOptions
from workbench.stack import Stack

OpenPage = Callable[..., Awaitable[Page]]

expect.set_options(timeout=15_000)


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


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The sources that the replicas run. A test that edits them restores them."""
    return Sandbox(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
async def workbench(browser: Browser, sources: Sandbox, new_data: Callable[[], Path]) -> AsyncIterator[Stack]:
    """Three replicas with live reload. Needs `browser` first, so that nothing starts without Chromium."""
    data = new_data()
    command = (sys.executable, "-m", "workbench.reload")
    links = {"SERVICE_LINK_GRAFANA": "http://localhost:3000/d/service"}
    options = StackOptions(data=data, replicas=3, service=command, sources=sources.root, settings=links)
    with (data.parent / f"{data.name}.log").open("w") as log:
        async with Stack(options, Console(log)) as stack:
            yield stack


@pytest.fixture
async def api(workbench: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client that does not use the page."""
    async with httpx.AsyncClient(base_url=workbench.ingress_url, timeout=30) as client:
        yield client


@pytest.fixture
def conduct(workbench: Stack) -> Conduct:
    return Conduct(urlsplit(workbench.ingress_url).netloc)


@pytest.fixture
async def open_page(browser: Browser, workbench: Stack, conduct: Conduct) -> AsyncIterator[OpenPage]:
    """Opens pages, each in the browser of another person. After the test it checks the conduct of all of them."""
    pages: list[Page] = []

    async def open_(path: str = "/", **options: Any) -> Page:
        page = await new_page(browser, workbench.ingress_url, conduct, **options)
        pages.append(page)
        await page.goto(path)
        if path == "/":
            await expect(page.get_by_role("list", name="Notes")).to_have_attribute("aria-busy", "false")
        return page

    yield open_
    for page in pages:
        await page.context.close()
    conduct.check()


@pytest.fixture
def word() -> str:
    """A word that no other note contains."""
    return f"w{uuid4().hex[:12]}"
