"""/notes/events: every event exactly once, in one order, live and after a reconnection."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from service.notes.feed import Feed
from tests.service.conftest import StartService
from tests.service.databases import Database
from tests.service.problems import problem_of
from tests.service.raw import COPYING, stalled_import
from tests.service.serving import Service, serving, settings_for
from tests.service.sse import Block, Subscriber, note_of
from workbench.parts.postgres import Postgres

FEED = "query LIKE '%note_events%'"
HAS_LOOKED = "query LIKE '%AS waiting%' AND state = 'idle'"
"""The feed's session: after each look for events it asks whether some cannot be read yet."""


@pytest.fixture
async def subscriber(service: Service) -> AsyncIterator[Subscriber]:
    async with service.subscribe() as subscriber:
        yield subscriber


async def insert(database: Database, *titles: str) -> list[str]:
    """One statement a note, so each is an event; their ids."""
    async with database.connection() as connection:
        return [str(await connection.fetchval(INSERT, title)) for title in titles]


INSERT = "INSERT INTO notes (title, body) VALUES ($1, '') RETURNING id"


def position(block: Block) -> tuple[int, int]:
    assert block.id is not None
    tx, number = block.id.split("-")
    return int(tx), int(number)


async def test_changes_by_any_sql_become_events(subscriber: Subscriber, database: Database) -> None:
    [note] = await insert(database, "Launch")
    await database.execute("UPDATE notes SET body = 'At high tide.', version = version + 1")
    await database.execute("DELETE FROM notes")

    events = await subscriber.events(3)

    assert [(event.event, json.loads(event.data or "")) for event in events] == [
        ("created", {"kind": "created", "id": note, "version": 1}),
        ("updated", {"kind": "updated", "id": note, "version": 2}),
        ("deleted", {"kind": "deleted", "id": note, "version": 2}),
    ]


async def test_what_is_rolled_back_or_changes_nothing_is_no_event(subscriber: Subscriber, database: Database) -> None:
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("INSERT INTO notes (title, body) VALUES ('never', '')")
        await transaction.rollback()
    await database.execute("UPDATE notes SET title = 'nobody' WHERE false")
    [note] = await insert(database, "Launch")

    assert note_of(await subscriber.event()) == note


async def test_a_transaction_that_began_earlier_and_commits_later_is_not_missed(
    subscriber: Subscriber, database: Database
) -> None:
    async with database.connection() as earlier, earlier.transaction():
        first = str(await earlier.fetchval(INSERT, "first"))
        [second] = await insert(database, "second")
        committed = await database.fetchval("SELECT clock_timestamp()")
        # The feed has looked for the second one, and could have sent it and gone on.
        await database.until(1, f"{HAS_LOOKED} AND query_start > '{committed}'")
    [third] = await insert(database, "third")

    events = await subscriber.events(3)

    assert [note_of(event) for event in events] == [first, second, third]
    assert [position(event) for event in events] == sorted(position(event) for event in events)


async def test_a_reconnection_resumes_without_a_gap_on_a_restarted_service(
    start_service: StartService, database: Database
) -> None:
    before = await start_service()
    async with before.subscribe() as subscriber:
        seen = await insert(database, "seen")
        last = await subscriber.event()
        assert [note_of(last)] == seen
    missed = await insert(database, "missed", "missed too")

    after = await start_service()  # another process would have another feed, with an empty memory, too

    async with after.subscribe(last.id) as subscriber:
        assert [note_of(event) for event in await subscriber.events(2)] == missed
        live = await insert(database, "live")
        assert [note_of(await subscriber.event())] == live


async def test_who_has_seen_no_event_resumes_from_the_first_id(service: Service, database: Database) -> None:
    async with service.subscribe() as subscriber:
        greeting = await subscriber.block()
        assert greeting is not None
        assert greeting.event is None
        assert greeting.retry == "1000"
    missed = await insert(database, "missed")

    async with service.subscribe(greeting.id) as subscriber:
        assert [note_of(await subscriber.event())] == missed


async def test_what_is_older_than_the_memory_is_read_from_the_table(service: Service, database: Database) -> None:
    await database.until(1, HAS_LOOKED)
    live: list[Block] = []
    async with service.subscribe() as subscriber:
        greeting = await subscriber.block()
        assert greeting is not None
        for _ in range(11):
            await database.execute("INSERT INTO notes (title, body) SELECT 'note', '' FROM generate_series(1, 100)")
            live += await subscriber.events(100)
    # The memory holds the last 1000 of them.
    assert await service.metric("db_query_duration_seconds_count", statement="note_events_after") == 0

    async with service.subscribe(greeting.id) as subscriber:
        resumed = await subscriber.events(1100)

    assert resumed == live
    assert len({event.id for event in resumed}) == 1100
    assert await service.metric("db_query_duration_seconds_count", statement="note_events_after") > 0


async def test_a_slow_subscriber_gets_every_event_that_others_got(service: Service, database: Database) -> None:
    async with service.subscribe() as slow, service.subscribe() as fast:
        for _ in range(11):
            await database.execute("INSERT INTO notes (title, body) SELECT 'note', '' FROM generate_series(1, 100)")
        got = await fast.events(1100)

        assert await slow.events(1100) == got


async def test_a_bulk_change_is_one_reset(subscriber: Subscriber, database: Database) -> None:
    await database.execute("INSERT INTO notes (title, body) SELECT 'note', '' FROM generate_series(1, 101)")
    await database.execute("DELETE FROM notes WHERE id IN (SELECT id FROM notes LIMIT 100)")

    reset = await subscriber.event()
    assert (reset.event, json.loads(reset.data or "")) == ("reset", {"kind": "reset", "id": None, "version": None})
    assert {event.event for event in await subscriber.events(100)} == {"deleted"}


@pytest.mark.parametrize("last", ["9000000000-1", f"{2**63 - 1}-{2**63 - 1}"])
async def test_an_id_of_the_future_gives_reset(service: Service, database: Database, last: str) -> None:
    await resets(service, database, last)


async def test_an_id_before_the_cleaned_up_ones_gives_reset(service: Service, database: Database) -> None:
    async with service.subscribe() as subscriber:
        [_, kept] = await insert(database, "pruned", "kept")
        pruned, last = await subscriber.events(2)
    await database.execute("DELETE FROM note_events WHERE (tx, id) <= ($1, $2)", *position(pruned))
    await database.execute("UPDATE note_events_pruned SET tx = $1, id = $2", *position(pruned))

    async with service.subscribe(pruned.id) as subscriber:
        assert note_of(await subscriber.event()) == kept, "nothing is missing after the newest that was cleaned up"
    assert last.id is not None
    await resets(service, database, f"{position(pruned)[0] - 1}-1")


async def resets(service: Service, database: Database, last_event_id: str) -> None:
    """A subscription from there gets `reset`, and from then on what happens; its id can be resumed from."""
    async with service.subscribe(last_event_id) as subscriber:
        reset = await subscriber.event()
        assert reset.event == "reset"
        notes = await insert(database, "live")
        assert [note_of(await subscriber.event())] == notes
    async with service.subscribe(reset.id) as subscriber:
        assert [note_of(await subscriber.event())] == notes


@pytest.mark.parametrize(
    "last",
    [
        "",
        "1",
        "1-",
        "-1",
        "a-b",
        "1-2-3",
        "1.5-1",
        "+1-1",
        "1_0-1",
        "²-1",
        f"{2**63}-1",
        f"1-{2**63}",
        "1-" + "9" * 5000,
    ],
)
async def test_what_is_no_id_is_refused(shared_service: Service, last: str) -> None:
    response = await shared_service.api.get("/notes/events", headers={b"last-event-id": last.encode()})

    [error] = problem_of(response, 422)["errors"]
    assert error["field"] == "last-event-id"


async def test_a_quiet_stream_has_heartbeats(start_service: StartService) -> None:
    service = await start_service(heartbeat=0.02)

    async with service.subscribe() as subscriber:
        await subscriber.block()
        assert await subscriber.block() == Block(comment="heartbeat")
        assert await subscriber.block() == Block(comment="heartbeat")


async def test_a_lost_connection_loses_no_event(subscriber: Subscriber, database: Database) -> None:
    notes = await insert(database, "before")
    await database.until(1, FEED)  # it is connected, and looks for events
    await database.terminate(FEED)
    notes += await insert(database, "meanwhile")
    assert [note_of(event) for event in await subscriber.events(2)] == notes

    after = await insert(database, "after")
    assert [note_of(await subscriber.event())] == after


async def test_an_open_stream_goes_on_when_the_server_is_back(mortal_postgres: Postgres) -> None:
    database = Database(mortal_postgres)
    async with serving(settings_for(database)) as service:
        await service.ready()
        async with service.subscribe() as subscriber:
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
    follow = Feed._follow

    async def follow_later(feed: Feed) -> None:
        await may_connect.wait()
        await follow(feed)

    monkeypatch.setattr(Feed, "_follow", follow_later)
    service = await start_service()

    async with service.subscribe() as subscriber:
        notes = await insert(database, "before")
        may_connect.set()
        await database.until(1, HAS_LOOKED)
        notes += await insert(database, "after")

        assert [note_of(event) for event in await subscriber.events(2)] == notes


async def test_the_connection_of_the_feed_is_none_of_the_pool(
    start_service: StartService, database: Database
) -> None:
    service = await start_service(pool_size=1)
    await database.until(1, HAS_LOOKED)

    # Not yet a line of it: once it has written, events have to wait for its end.
    async with stalled_import(service) as connection, service.subscribe() as subscriber:
        await database.until(1, COPYING)
        notes = await insert(database, "meanwhile")

        assert [note_of(await subscriber.event())] == notes
        await connection.send_chunk(b"")
        assert (await connection.response()).json() == {"imported": 0}
