"""One workbench for all tests of live reload, on a copy of the sources that each test may edit."""

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from harness.sandbox import Sandbox
from tests.servers import SERVER
from tests.workbench.reload.live import Live, Output
from workbench.console import Console
from workbench.options import StackOptions
from workbench.parts.postgres import Postgres
from workbench.stack import Stack

READY_WITHIN = 5.0
"""Seconds: short, because a test waits for their end; long enough for a slow machine."""

PATIENT = {"SERVICE_MAX_REQUESTS": "1000", "SERVICE_ACQUIRE_TIMEOUT": "10"}
"""A slow machine makes requests slow. These settings keep the service from refusing them."""


@pytest.fixture
def sources(tmp_path: Path) -> Sandbox:
    """A copy of the sources for this test only."""
    return Sandbox(tmp_path / "sources")


@pytest.fixture(scope="session")
async def live_stack(
    new_data: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Stack, Live]]:
    sources = Sandbox(tmp_path_factory.mktemp("live") / "sources")
    output = Output()
    options = StackOptions(
        data=new_data(),
        sources=sources.root,
        service=(sys.executable, "-m", "workbench.reload"),
        settings={
            "SERVICE_SERVER": SERVER,
            "SERVICE_LOG_LEVEL": "warning",
            "RELOAD_READY_WITHIN": str(READY_WITHIN),
            **PATIENT,
        },
    )
    async with Stack(options, Console(output)) as stack:
        [replica] = stack.replicas
        assert replica.part
        live = Live(sources, output, replica.part, stack.ingress_url, replica.api_port, replica.ops_port)
        yield stack, live
        await live.close()


@pytest.fixture
async def live(live_stack: tuple[Stack, Live]) -> AsyncIterator[Live]:
    """The service behind the ingress, following its sources, which are restored at the end."""
    _, live = live_stack
    live.forget()
    yield live
    live.forget()
    if live.sources.restore():
        # Wait for the line too, or it would be among the lines of the next test.
        await live.says(rf"version {live.sources.version} answers after|the files match the serving version")
    await live.serves()


@pytest.fixture
def ingress_port(live_stack: tuple[Stack, Live]) -> int:
    return live_stack[0].envoy.port


@pytest.fixture
def postgres(live_stack: tuple[Stack, Live]) -> Postgres:
    """The database for a supervisor that a test starts itself."""
    return live_stack[0].postgres
