"""Workbenches for faults."""

from collections.abc import AsyncIterator

import pytest

from tests.faults.place import Place, place
from workbench.stack import Stack


@pytest.fixture(scope="session")
def workbench(stack: Stack) -> Place:
    """That of all tests; each fault leaves it as it was."""
    return Place(stack)


@pytest.fixture(scope="module")
async def networked() -> AsyncIterator[Place]:
    """One whose network between service and database can be broken."""
    async with place(network=True) as here:
        yield here
