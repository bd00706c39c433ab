"""Workbenches into which faults are injected."""

from collections.abc import AsyncIterator

import pytest

from tests.faults.site import Site, site
from workbench.stack import Stack


@pytest.fixture(scope="session")
def workbench(stack: Stack) -> Site:
    """The workbench of all tests. Each fault leaves it as it was."""
    return Site(stack)


@pytest.fixture(scope="module")
async def networked() -> AsyncIterator[Site]:
    """A workbench whose network between the service and the database can be broken."""
    async with site(network=True) as here:
        yield here
