"""Workbenches of the probe domain into which faults are injected."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.faults.dumps import empty as empty
from tests.faults.hostile import target as target
from tests.faults.site import Site, site
from tests.servers import SERVER
from tests.waiting import UNHURRIED


@pytest.fixture(scope="package")
async def workbench(new_data: Callable[[], Path]) -> AsyncIterator[Site]:
    """The workbench of all tests. Each fault leaves it as it was."""
    async with site(folder=new_data(), settings={"SERVICE_SERVER": SERVER, **UNHURRIED}) as here:
        yield here


@pytest.fixture(scope="module")
async def networked() -> AsyncIterator[Site]:
    """A workbench whose network between the service and the database can be broken."""
    async with site(network=True) as here:
        yield here
