"""/things/events when the feed's connection to the database is late, lost or unavailable."""

import asyncio

import pytest

from service.resource.feeds import Feeds
from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.raw import COPYING, stalled_import
from tests.service.resource.things import HAS_LOOKED, follow, insert, thing_of
from tests.service.serving import serving, settings_for
from tests.service.sse import Subscriber
from workbench.parts.postgres import Postgres


async def test_a_lost_connection_loses_no_event(subscriber: Subscriber, database: Database) -> None:
    things = await insert(database, "before")
    await database.until(1, HAS_LOOKED)
    await database.terminate(HAS_LOOKED)
    things += await insert(database, "meanwhile")
    assert [thing_of(event) for event in await subscriber.events(2)] == things

    after = await insert(database, "after")
    assert [thing_of(await subscriber.event())] == after


async def test_an_open_stream_continues_when_the_database_is_back(mortal_postgres: Postgres) -> None:
    database = Database(mortal_postgres)
    async with serving(settings_for(database)) as service:
        await service.ready()
        async with follow(service) as subscriber:
            things = await insert(database, "before")
            assert [thing_of(await subscriber.event())] == things

            await mortal_postgres.stop()
            await service.unready()  # the feed has tried to connect again by then
            await mortal_postgres.start()
            things = await insert(database, "after")

            assert [thing_of(await subscriber.event())] == things


async def test_a_subscription_before_the_feed_is_connected_misses_nothing(
    start_service: StartService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_connect = asyncio.Event()
    connect_and_read = Feeds._follow

    async def follow_later(feeds: Feeds) -> None:
        await may_connect.wait()
        await connect_and_read(feeds)

    monkeypatch.setattr(Feeds, "_follow", follow_later)
    service = await start_service()

    async with follow(service) as subscriber:
        things = await insert(database, "before")
        may_connect.set()
        await database.until(1, HAS_LOOKED)
        things += await insert(database, "after")

        assert [thing_of(event) for event in await subscriber.events(2)] == things


async def test_the_feed_has_a_connection_outside_the_pool(start_service: StartService, database: Database) -> None:
    service = await start_service(pool_size=1)
    await database.until(1, HAS_LOOKED)

    # The import has no line yet: once it has written one, events wait for its end.
    async with stalled_import(service) as connection, follow(service) as subscriber:
        await database.until(1, COPYING)
        things = await insert(database, "meanwhile")

        assert [thing_of(await subscriber.event())] == things
        await connection.send_chunk(b"")
        assert (await connection.response()).json() == {"imported": 0}
