"""/notes/events when the feed's connection to the database is late, lost or unavailable."""

import asyncio

import pytest

from service.app import DOMAINS
from service.domains.notes.feed import Feed
from tests.notes.notes import HAS_LOOKED, follow, insert, note_of
from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.raw import COPYING, stalled_import
from tests.service.serving import serving, settings_for
from tests.service.sse import Subscriber
from workbench.parts.postgres import Postgres


async def test_a_lost_connection_loses_no_event(subscriber: Subscriber, database: Database) -> None:
    notes = await insert(database, "before")
    await database.until(1, HAS_LOOKED)
    await database.terminate(HAS_LOOKED)
    notes += await insert(database, "meanwhile")
    assert [note_of(event) for event in await subscriber.events(2)] == notes

    after = await insert(database, "after")
    assert [note_of(await subscriber.event())] == after


async def test_an_open_stream_continues_when_the_database_is_back(mortal_postgres: Postgres) -> None:
    database = Database(mortal_postgres)
    async with serving(settings_for(database, DOMAINS), domains=DOMAINS) as service:
        await service.ready()
        async with follow(service) as subscriber:
            notes = await insert(database, "before")
            assert [note_of(await subscriber.event())] == notes

            await mortal_postgres.stop()
            await service.unready()  # the feed has tried to connect again by then
            await mortal_postgres.start()
            notes = await insert(database, "after")

            assert [note_of(await subscriber.event())] == notes


async def test_a_subscription_before_the_feed_is_connected_misses_nothing(
    start_service: StartService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_connect = asyncio.Event()
    connect_and_read = Feed._follow

    async def follow_later(feed: Feed) -> None:
        await may_connect.wait()
        await connect_and_read(feed)

    monkeypatch.setattr(Feed, "_follow", follow_later)
    service = await start_service()

    async with follow(service) as subscriber:
        notes = await insert(database, "before")
        may_connect.set()
        await database.until(1, HAS_LOOKED)
        notes += await insert(database, "after")

        assert [note_of(event) for event in await subscriber.events(2)] == notes


async def test_the_feed_has_a_connection_outside_the_pool(start_service: StartService, database: Database) -> None:
    service = await start_service(pool_size=1)
    await database.until(1, HAS_LOOKED)

    # The import has no line yet: once it has written one, events wait for its end.
    async with stalled_import(service, path="/notes/import") as connection, follow(service) as subscriber:
        await database.until(1, COPYING)
        notes = await insert(database, "meanwhile")

        assert [note_of(await subscriber.event())] == notes
        await connection.send_chunk(b"")
        assert (await connection.response()).json() == {"imported": 0}
