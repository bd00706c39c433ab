"""A workbench with two replicas and live reload, whose only domain, the probe, has no part of the page."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser

from harness.sandbox import Sandbox
from tests.page.fixtures import two_replicas
from tests.probe.project import probe_sandbox
from tests.probe.stack import probe_stack
from workbench.console import Console
from workbench.stack import Stack


@pytest.fixture(scope="package")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The sources that the replicas run. A test that edits them restores them."""
    return probe_sandbox(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="package")
async def workbench(browser: Browser, sources: Sandbox, new_data: Callable[[], Path]) -> AsyncIterator[Stack]:
    """Needs `browser` first, so that nothing starts without Chromium."""
    data = new_data()
    with (data.parent / f"{data.name}.log").open("w") as log:
        async with probe_stack(two_replicas(data, sources), Console(log)) as stack:
            yield stack
