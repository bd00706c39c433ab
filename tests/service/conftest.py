"""A PostgreSQL for all tests of the service, with a database for each, and the service running on it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from quart import Quart

from service.web import exchange
from tests.service.databases import EMPTY, MIGRATED, Connection, Database, copy_database, postgres_server
from tests.service.serving import Service, serving, settings_for
from workbench.parts.pgdata import NOT_DURABLE
from workbench.parts.postgres import SUPERUSER, Postgres

StartService = Callable[..., Awaitable[Service]]
NewDatabase = Callable[..., Awaitable[Database]]


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """Runs throughout. A test that stops its server has another one: `mortal_postgres`."""
    async with postgres_server(tmp_path_factory.mktemp("postgres"), NOT_DURABLE) as server:
        yield server


@pytest.fixture(scope="session")
async def administration(postgres: Postgres) -> AsyncIterator[Connection]:
    async with Database(postgres, "postgres").connection(SUPERUSER) as connection:
        yield connection


@pytest.fixture
async def database(postgres: Postgres, administration: Connection) -> AsyncIterator[Database]:
    """Migrated, without rows, this test's own."""
    async for database in _copy(postgres, administration, MIGRATED):
        yield database


@pytest.fixture
async def empty_database(postgres: Postgres, administration: Connection) -> AsyncIterator[Database]:
    """Not migrated."""
    async for database in _copy(postgres, administration, EMPTY):
        yield database


@pytest.fixture
async def start_service(database: Database) -> AsyncIterator[StartService]:
    """Starts the service on the test's database, with settings and perhaps more routes; returns when it is ready."""
    async with AsyncExitStack() as running:

        async def start(prepare: Callable[[Quart], object] = lambda app: None, **settings: Any) -> Service:
            service = await running.enter_async_context(serving(settings_for(database, **settings), prepare))
            await service.ready()
            return service

        yield start


@pytest.fixture
async def service(start_service: StartService) -> Service:
    """The service as it is by default, on this test's database."""
    return await start_service()


@pytest.fixture(scope="module")
async def shared_service(postgres: Postgres, administration: Connection) -> AsyncIterator[Service]:
    """One service for a module whose tests leave nothing behind that others could see."""
    async for database in _copy(postgres, administration, MIGRATED):
        async with serving(settings_for(database)) as service:
            await service.ready()
            yield service


@pytest.fixture
def no_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """An early answer does not wait for a client that never finishes sending."""
    monkeypatch.setattr(exchange, "_LINGER", 0.01)


@pytest.fixture(scope="session")
async def mortal_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    async with postgres_server(tmp_path_factory.mktemp("mortal"), {}) as server:
        yield server


@pytest.fixture
async def mortal_postgres(mortal_server: Postgres) -> AsyncIterator[Postgres]:
    """A running server, durable, that the test may stop or kill. Its data are kept for the next test."""
    yield mortal_server
    if mortal_server.part is None or not mortal_server.part.running:
        await mortal_server.start()


async def _copy(postgres: Postgres, administration: Connection, template: str) -> AsyncIterator[Database]:
    name = await copy_database(administration, template)
    try:
        yield Database(postgres, name)
    finally:
        # Forced: a session that a test has cut may not have noticed yet.
        await administration.execute(f"DROP DATABASE {name} WITH (FORCE)")
