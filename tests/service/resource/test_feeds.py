"""Several resources in one service: each has events of its own, and one connection reads for all."""

from collections.abc import Sequence
from dataclasses import replace

import asyncpg
import pytest
from quart import Blueprint

from service.domain import Built, Domain, Machinery
from service.resource.feed import STREAM, EventsHeaders
from service.web.endpoint import Kind, endpoint
from tests.probe import things
from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.resource.things import HAS_LOOKED, follow, insert, thing_of
from tests.service.serving import PROBE

OTHERS = """
    CREATE TABLE others (id uuid PRIMARY KEY DEFAULT uuidv7(), version bigint NOT NULL DEFAULT 1);
    SELECT publish_events('others')
"""


def build_others(machinery: Machinery) -> Built:
    routes, feed = Blueprint("others", __name__, url_prefix="/others"), machinery.feeds.of("others")

    @routes.get("/events")
    @endpoint(kind=Kind.EVENTS, headers=EventsHeaders, stream=STREAM)
    async def events(headers: EventsHeaders) -> object:
        return feed.subscribe(headers.last_event_id)

    return Built(routes)


@pytest.fixture(scope="session")
def domains() -> Sequence[Domain]:
    return (*PROBE, replace(things.DOMAIN, build=build_others, links={}))


async def test_each_stream_has_the_events_of_its_resource(start_service: StartService, database: Database) -> None:
    await database.execute(OTHERS)
    service = await start_service()
    await database.until(1, HAS_LOOKED)

    async with follow(service) as of_things, service.subscribe("/others/events") as of_others:
        [first] = await insert(database, "first")
        other = await database.fetchval("INSERT INTO app.others DEFAULT VALUES RETURNING id")
        [last] = await insert(database, "last")

        events = await of_things.events(2)
        assert [thing_of(event) for event in events] == [first, last]
        assert thing_of(await of_others.event()) == str(other)
        await service.until_metric(1, "event_subscribers", resource="others")
        await database.until(1, HAS_LOOKED)  # still one session for both

    async with service.subscribe("/others/events", events[0].id) as resumed:
        assert thing_of(await resumed.event()) == str(other), "an id of another stream is a position as well"


async def test_reset_events_tells_the_subscribers_of_all_resources(
    start_service: StartService, database: Database
) -> None:
    await database.execute(OTHERS)
    service = await start_service()

    async with follow(service) as of_things, service.subscribe("/others/events") as of_others:
        await of_things.block()
        await of_others.block()
        await database.execute("SELECT reset_events()")

        assert (await of_things.event()).event == "reset"
        assert (await of_others.event()).event == "reset"


@pytest.mark.parametrize("columns", ["id uuid", "id bigint, version bigint", "id uuid, version integer", "name text"])
async def test_a_table_without_id_and_version_cannot_publish_events(database: Database, columns: str) -> None:
    await database.execute(f"CREATE TABLE others ({columns})")

    with pytest.raises(asyncpg.RaiseError, match='table others needs the columns "id uuid" and "version bigint"'):
        await database.execute("SELECT publish_events('others')")
