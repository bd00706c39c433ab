"""What a rehearsed request does in the database: statements work as ever, and nothing of them stays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest

from service.database.pool import Connection, Statement
from service.errors import Unavailable
from service.lifecycle import Lifecycle
from service.rehearsal.rollback import Attempt, RehearsalDatabase, current
from service.telemetry.metrics import Metrics
from tests.service.databases import Database
from tests.service.serving import settings_for
from tests.waiting import eventually

INSERT = Statement("insert", "INSERT INTO things (name) VALUES ('rehearsed')")
SLEEP = Statement("sleep", "SELECT pg_sleep(60)")
COUNT = Statement("count", "SELECT count(*) AS number FROM things")
WRONG = Statement("wrong", "SELECT 1 / (SELECT 0)")


@pytest.fixture
async def rehearsal(database: Database) -> AsyncIterator[RehearsalDatabase]:
    settings = settings_for(database, pool_size=1)
    rehearsal = RehearsalDatabase(settings, Metrics(settings, Lifecycle()))
    await rehearsal.open()
    yield rehearsal
    await rehearsal.close()


async def number_of_things(connection: Connection) -> int:
    [row] = await connection.fetch(COUNT)
    return int(row["number"])


async def test_a_statement_that_fails_changes_nothing_for_the_others(
    database: Database, rehearsal: RehearsalDatabase
) -> None:
    attempt = Attempt()
    token = current.set(attempt)
    for _ in range(2):
        async with rehearsal.connection() as connection:
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.fetch(WRONG)
            await connection.fetch(INSERT)
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.fetchrow(WRONG)
    async with rehearsal.connection() as connection:
        with suppress(ZeroDivisionError):
            async with connection.bulk(readonly=False):
                await connection.fetch(INSERT)
                raise ZeroDivisionError
        assert await number_of_things(connection) == 2
    await attempt.end()
    current.reset(token)
    async with rehearsal.connection() as connection:
        assert await number_of_things(connection) == 0


@pytest.mark.parametrize("statement", [INSERT, SLEEP])
async def test_a_handler_that_outlives_its_rehearsal_stores_nothing_and_keeps_no_connection(
    database: Database, rehearsal: RehearsalDatabase, statement: Statement
) -> None:
    attempt = Attempt()

    async def waits() -> bool:
        return rehearsal._unseen.waiting == 1

    async def handler() -> None:
        current.set(attempt)
        async with rehearsal.connection() as connection:
            await connection.fetch(statement)

    if statement is INSERT:  # it waits for a connection when the rehearsal ends
        async with rehearsal.connection():
            handling = asyncio.create_task(handler())
            await eventually(waits, "the handler waits for a connection")
            await attempt.end()
    else:  # its statement runs
        handling = asyncio.create_task(handler())
        await database.until(1, f"query = '{SLEEP.sql}' AND state = 'active'")
        await attempt.end()
    with pytest.raises(Unavailable):
        await handling
    assert rehearsal.idle == rehearsal.size
    assert await database.fetchval("SELECT count(*) FROM app.things WHERE name = 'rehearsed'") == 0
