"""One workbench for all tests of live reload, on a copy of the sources that each test may edit."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from harness.sandbox import Sandbox
from tests.probe.project import probe_sandbox
from tests.probe.stack import make_table
from tests.waiting import WITHIN
from tests.workbench.reload.live import Live, live_workbench, unseen
from workbench.parts.postgres import Postgres
from workbench.stack import Stack


@pytest.fixture
def sources(tmp_path: Path) -> Sandbox:
    """A copy of the sources for this test only."""
    return probe_sandbox(tmp_path / "sources")


@pytest.fixture(scope="package")
async def live_stack(
    new_data: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Stack, Live]]:
    sources = probe_sandbox(tmp_path_factory.mktemp("live") / "sources")
    sources.write(".env", f"SERVICE_REHEARSAL_BUDGET={WITHIN:g}\n")  # on a slow machine a rehearsal takes a while
    sources.keep()
    async with live_workbench(sources, new_data()) as (stack, live):
        await make_table(stack.postgres)
        yield stack, live


@pytest.fixture
async def live(live_stack: tuple[Stack, Live]) -> AsyncIterator[Live]:
    """The service behind the ingress, following its sources, which are restored at the end."""
    _, live = live_stack
    live.forget()
    yield live
    live.forget()
    with unseen(live):  # or a part of the changes might be among those of the next test
        has_changed = live.sources.restore()
    if has_changed:
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


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """As the role that owns the tables."""
    connection = await asyncpg.connect(postgres.url("app_owner"))
    yield connection
    await connection.close()
