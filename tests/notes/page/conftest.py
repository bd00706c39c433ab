"""A workbench with two replicas and live reload, whose page has the notes."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from harness.sandbox import Sandbox
from tests.notes.page.elements import listed
from tests.page.fixtures import OpenPage, two_replicas
from workbench.console import Console
from workbench.stack import Stack


@pytest.fixture(scope="package")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The sources that the replicas run. A test that edits them restores them."""
    return Sandbox(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="package")
async def workbench(browser: Browser, sources: Sandbox, new_data: Callable[[], Path]) -> AsyncIterator[Stack]:
    """Needs `browser` first, so that nothing starts without Chromium."""
    data = new_data()
    with (data.parent / f"{data.name}.log").open("w") as log:
        async with Stack(two_replicas(data, sources), Console(log)) as stack:
            yield stack


@pytest.fixture
def open_page(open_page: OpenPage) -> OpenPage:
    """Opens pages, and waits until they show the notes."""

    async def open_(path: str = "/", **options: Any) -> Page:
        page = await open_page(path, **options)
        if path == "/":
            await expect(listed(page)).to_have_attribute("aria-busy", "false")
        return page

    return open_
