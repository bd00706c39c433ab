"""What a rehearsed request holds in the database ends with it, even if its handler goes on."""

import asyncio

import pytest

from service.database.pool import Statement
from service.errors import Unavailable
from service.lifecycle import Lifecycle
from service.rehearsal.rollback import Attempt, RehearsalDatabase, current
from service.telemetry.metrics import Metrics
from tests.service.databases import Database
from tests.service.serving import settings_for
from tests.waiting import eventually

INSERT = Statement("insert", "INSERT INTO things (name) VALUES ('rehearsed')")
SLEEP = Statement("sleep", "SELECT pg_sleep(60)")


@pytest.mark.parametrize("statement", [INSERT, SLEEP])
async def test_a_handler_that_outlives_its_rehearsal_stores_nothing_and_keeps_no_connection(
    database: Database, statement: Statement
) -> None:
    settings = settings_for(database, pool_size=1)
    rehearsal = RehearsalDatabase(settings, Metrics(settings, Lifecycle()))
    await rehearsal.open()
    attempt = Attempt()

    async def waits() -> bool:
        return rehearsal._unseen.waiting == 1

    async def handler() -> None:
        current.set(attempt)
        async with rehearsal.connection() as connection:
            await connection.fetch(statement)

    try:
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
    finally:
        await rehearsal.close()
