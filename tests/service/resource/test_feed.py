"""/things/events: a subscriber gets every event exactly once, in one order, live and after a reconnection."""

import asyncio
import json
from dataclasses import replace

import pytest

from service.domain import Built, Machinery
from service.resource.feed import Feed
from tests.probe import things
from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.raw import COPYING, stalled_import
from tests.service.resource.things import HAS_LOOKED, INSERT, follow, insert, thing_of
from tests.service.serving import Service, serving, settings_for
from tests.service.sse import Block, Subscriber
from tests.waiting import WITHIN


def position(block: Block) -> tuple[int, int]:
    assert block.id is not None
    tx, number = block.id.split("-")
    return int(tx), int(number)


async def test_changes_by_any_sql_become_events(subscriber: Subscriber, database: Database) -> None:
    [thing] = await insert(database, "Launch")
    await database.execute("UPDATE things SET name = 'Landing', version = version + 1")
    await database.execute("DELETE FROM things")

    events = await subscriber.events(3)

    assert [(event.event, json.loads(event.data or "")) for event in events] == [
        ("created", {"kind": "created", "id": thing, "version": 1}),
        ("updated", {"kind": "updated", "id": thing, "version": 2}),
        ("deleted", {"kind": "deleted", "id": thing, "version": 2}),
    ]


async def test_a_rollback_or_a_statement_that_changes_no_row_is_not_an_event(
    subscriber: Subscriber, database: Database
) -> None:
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("INSERT INTO things (name) VALUES ('never')")
        await transaction.rollback()
    await database.execute("UPDATE things SET name = 'never' WHERE false")
    [thing] = await insert(database, "Launch")

    assert thing_of(await subscriber.event()) == thing


async def test_a_transaction_that_began_earlier_and_commits_later_is_not_missed(
    subscriber: Subscriber, database: Database
) -> None:
    async with database.connection() as earlier, earlier.transaction():
        first = str(await earlier.fetchval(INSERT, "first"))
        [second] = await insert(database, "second")
        committed = await database.fetchval("SELECT clock_timestamp()")
        # The feed has looked for the second thing, and could have sent its event.
        await database.until(1, f"{HAS_LOOKED} AND query_start > '{committed}'")
    [third] = await insert(database, "third")

    events = await subscriber.events(3)

    assert [thing_of(event) for event in events] == [first, second, third]
    assert [position(event) for event in events] == sorted(position(event) for event in events)


async def test_a_reconnection_resumes_without_a_gap_on_a_restarted_service(
    start_service: StartService, database: Database
) -> None:
    before = await start_service()
    async with follow(before) as subscriber:
        seen = await insert(database, "seen")
        last = await subscriber.event()
        assert [thing_of(last)] == seen
    missed = await insert(database, "missed", "missed too")

    after = await start_service()  # like another process, it has a feed of its own with an empty memory

    async with follow(after, last.id) as subscriber:
        assert [thing_of(event) for event in await subscriber.events(2)] == missed
        live = await insert(database, "live")
        assert [thing_of(await subscriber.event())] == live


async def test_a_subscriber_without_an_event_resumes_from_the_first_id(service: Service, database: Database) -> None:
    async with follow(service) as subscriber:
        greeting = await subscriber.block()
        assert greeting is not None
        assert greeting.event is None
        assert greeting.retry == "1000"
    missed = await insert(database, "missed")

    async with follow(service, greeting.id) as subscriber:
        assert [thing_of(await subscriber.event())] == missed


async def test_events_older_than_the_memory_are_read_from_the_table(service: Service, database: Database) -> None:
    await database.until(1, HAS_LOOKED)
    live: list[Block] = []
    async with follow(service) as subscriber:
        greeting = await subscriber.block()
        assert greeting is not None
        for _ in range(11):
            await database.execute("INSERT INTO things (name) SELECT 'thing' FROM generate_series(1, 100)")
            live += await subscriber.events(100)
    # The memory holds the last 1000 events.
    assert await service.metric("db_query_duration_seconds_count", statement="events_after") == 0

    async with follow(service, greeting.id) as subscriber:
        resumed = await subscriber.events(1100)

    assert resumed == live
    assert len({event.id for event in resumed}) == 1100
    assert await service.metric("db_query_duration_seconds_count", statement="events_after") > 0


async def test_a_slow_subscriber_gets_the_same_events_as_a_fast_one(service: Service, database: Database) -> None:
    async with follow(service) as slow, follow(service) as fast:
        for _ in range(11):
            await database.execute("INSERT INTO things (name) SELECT 'thing' FROM generate_series(1, 100)")
        got = await fast.events(1100)

        assert await slow.events(1100) == got


async def test_a_statement_that_changes_many_things_is_one_reset(subscriber: Subscriber, database: Database) -> None:
    await database.execute("INSERT INTO things (name) SELECT 'thing' FROM generate_series(1, 101)")
    await database.execute("DELETE FROM things WHERE id IN (SELECT id FROM things LIMIT 100)")

    reset = await subscriber.event()
    assert (reset.event, json.loads(reset.data or "")) == ("reset", {"kind": "reset", "id": None, "version": None})
    assert {event.event for event in await subscriber.events(100)} == {"deleted"}


@pytest.mark.parametrize("last", ["9000000000-1", f"{2**63 - 1}-{2**63 - 1}"])
async def test_a_future_id_gives_reset(service: Service, database: Database, last: str) -> None:
    await resets(service, database, last)


async def test_an_id_before_the_removed_events_gives_reset(service: Service, database: Database) -> None:
    async with follow(service) as subscriber:
        [_, kept] = await insert(database, "pruned", "kept")
        pruned, last = await subscriber.events(2)
    await database.execute("DELETE FROM events WHERE (tx, id) <= ($1, $2)", *position(pruned))
    await database.execute("UPDATE events_pruned SET tx = $1, id = $2", *position(pruned))

    async with follow(service, pruned.id) as subscriber:
        assert thing_of(await subscriber.event()) == kept, "nothing is missing after the newest removed event"
    assert last.id is not None
    await resets(service, database, f"{position(pruned)[0] - 1}-1")


async def resets(service: Service, database: Database, last_event_id: str) -> None:
    """A subscription from this id gets `reset`, then new events; it can be resumed from the id of `reset`."""
    async with follow(service, last_event_id) as subscriber:
        reset = await subscriber.event()
        assert reset.event == "reset"
        things = await insert(database, "live")
        assert [thing_of(await subscriber.event())] == things
    async with follow(service, reset.id) as subscriber:
        assert [thing_of(await subscriber.event())] == things


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
async def test_a_malformed_id_is_refused(shared_service: Service, last: str) -> None:
    response = await shared_service.api.get("/things/events", headers={b"last-event-id": last.encode()})

    [error] = problem_of(response, 422)["errors"]
    assert error["field"] == "last-event-id"


async def test_an_idle_stream_gets_heartbeats(start_service: StartService) -> None:
    service = await start_service(heartbeat=0.02)

    async with follow(service) as subscriber:
        await subscriber.block()
        assert await subscriber.block() == Block(comment="heartbeat")
        assert await subscriber.block() == Block(comment="heartbeat")


async def test_events_wait_for_an_import_only_until_its_maximum_duration(
    start_service: StartService, database: Database
) -> None:
    """One client that sends a line now and then would otherwise withhold all events from all subscribers."""
    service = await start_service(import_timeout=2)
    lines = [b'{"name": "slow"}'] * 2000

    async with follow(service) as subscriber, stalled_import(service, *lines) as slow:

        async def send() -> None:
            while True:
                await slow.send_chunk(b'{"name": "slow"}\n')
                await asyncio.sleep(0.05)

        await database.until(1, COPYING)
        sending = asyncio.create_task(send())
        path = await service.create()
        response = await slow.response()
        sending.cancel()
        event = await subscriber.event()

    assert "2 seconds" in problem_of(response, 408)["detail"]
    assert path.rpartition("/")[2] == thing_of(event)
    assert [thing["name"] for thing in (await service.api.get("/things")).json()["items"]] == ["Launch"]


async def test_the_open_streams_are_counted(service: Service) -> None:
    async with follow(service) as subscriber, follow(service):
        await subscriber.block()
        await service.until_metric(2, "event_subscribers")

    await service.until_metric(0, "event_subscribers")
    await service.until_metric(2, "http_requests_total", route="/things/events", status="200")
    assert await service.metric("http_request_duration_seconds_count", route="/things/events") == 0


async def test_a_client_that_leaves_at_the_moment_of_an_event(database: Database) -> None:
    """Its stream ends, in whatever order its server learns of both."""
    feeds: list[Feed] = []

    def build(machinery: Machinery) -> Built:
        feeds.append(machinery.feeds.of("things"))
        return things.DOMAIN.build(machinery)

    async with serving(settings_for(database), domains=[replace(things.DOMAIN, build=build)]) as service:
        await service.ready()
        [feed] = feeds
        for turns in range(4):  # of the event loop, between the two
            stream = feed.subscribe(None)
            await anext(stream)
            leaving = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            feed.wake()
            for _ in range(turns):
                await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.wait([leaving], timeout=WITHIN)
            assert leaving.cancelled(), turns
        assert await service.metric("event_subscribers") == 0
