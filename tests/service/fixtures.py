"""Fixtures for all tests that start the service: one PostgreSQL, a database for each test, and the service on it.

tests/conftest.py loads them for all folders.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from quart import Quart

from service.domain import Domain
from service.web import exchange
from tests.service.databases import EMPTY, MIGRATED, Connection, Database, copy_database, postgres_server
from tests.service.serving import PROBE, Service, serving, settings_for
from workbench.parts.pgdata import NOT_DURABLE
from workbench.parts.postgres import SUPERUSER, Postgres

StartService = Callable[..., Awaitable[Service]]


@pytest.fixture(scope="session")
async def postgres(new_data: Callable[[], Path]) -> AsyncIterator[Postgres]:
    """A server that runs throughout. Tests that stop their server use `mortal_postgres`."""
    async with postgres_server(new_data(), NOT_DURABLE) as server:
        yield server


@pytest.fixture(scope="session")
async def administration(postgres: Postgres) -> AsyncIterator[Connection]:
    async with Database(postgres, "postgres").connection(SUPERUSER) as connection:
        yield connection


@pytest.fixture
async def database(postgres: Postgres, administration: Connection) -> AsyncIterator[Database]:
    """A migrated database without rows, for this test alone."""
    async for database in _copy(postgres, administration, MIGRATED):
        yield database


@pytest.fixture
async def empty_database(postgres: Postgres, administration: Connection) -> AsyncIterator[Database]:
    """A database that is not migrated."""
    async for database in _copy(postgres, administration, EMPTY):
        yield database


@pytest.fixture(scope="session")
def domains() -> Sequence[Domain]:
    """The domains of the services that are started. A folder or a module overrides it to test another domain."""
    return PROBE


@pytest.fixture
async def start_service(database: Database, domains: Sequence[Domain]) -> AsyncIterator[StartService]:
    """Starts the service on the test's database and returns when it is ready.

    Takes settings, and `prepare` to add routes.
    """
    async with AsyncExitStack() as running:

        async def start(prepare: Callable[[Quart], object] = lambda app: None, **changes: Any) -> Service:
            settings = settings_for(database, domains, **changes)
            service = await running.enter_async_context(serving(settings, prepare, domains))
            await service.ready()
            return service

        yield start


@pytest.fixture
async def service(start_service: StartService) -> Service:
    """The service with its default settings, on the test's database."""
    return await start_service()


@pytest.fixture(scope="module")
async def shared_service(
    postgres: Postgres, administration: Connection, domains: Sequence[Domain]
) -> AsyncIterator[Service]:
    """One service for a module whose tests do not affect each other."""
    async for database in _copy(postgres, administration, MIGRATED):
        async with serving(settings_for(database, domains), domains=domains) as service:
            await service.ready()
            yield service


@pytest.fixture
def no_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """An early answer does not wait for a client that never finishes sending."""
    monkeypatch.setattr(exchange, "_LINGER", 0.01)


@pytest.fixture(scope="session")
async def mortal_server(new_data: Callable[[], Path]) -> AsyncIterator[Postgres]:
    async with postgres_server(new_data(), {}) as server:
        yield server


@pytest.fixture
async def mortal_postgres(mortal_server: Postgres) -> AsyncIterator[Postgres]:
    """A running, durable server that the test may stop or kill. The next test finds its data."""
    yield mortal_server
    if mortal_server.part is None or not mortal_server.part.running:
        await mortal_server.start()


async def _copy(postgres: Postgres, administration: Connection, template: str) -> AsyncIterator[Database]:
    name = await copy_database(administration, template)
    try:
        yield Database(postgres, name)
    finally:
        # Forced: the server may not have noticed yet that the test closed a connection.
        await administration.execute(f"DROP DATABASE {name} WITH (FORCE)")
