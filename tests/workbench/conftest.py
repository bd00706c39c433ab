"""A workbench whose service has the probe domain, for the tests of what the workbench does with any service."""

import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.probe.stack import make_table
from tests.servers import SERVER
from tests.waiting import PATIENT
from workbench.console import Console
from workbench.machine.folders import INGRESS_RULES
from workbench.options import StackOptions
from workbench.stack import Stack


@pytest.fixture(scope="package")
async def stack(new_data: Callable[[], Path]) -> AsyncIterator[Stack]:
    """Two replicas behind Envoy, and a database that survives crashes. A test that stops a part restarts it."""
    data = new_data()
    options = StackOptions(
        data=data,
        replicas=2,
        settings={"SERVICE_SERVER": SERVER, **PATIENT},
        service=(sys.executable, "-m", "tests.probe"),
        rules=Path(shutil.copytree(INGRESS_RULES, data.parent / f"{data.name}-rules")),
    )
    with (data.parent / f"{data.name}.log").open("w") as log:
        async with Stack(options, Console(log)) as stack:
            await make_table(stack.postgres)
            yield stack
