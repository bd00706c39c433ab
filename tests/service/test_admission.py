"""How much at a time: what is too much is refused at once, and what takes too long is given up."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.service.conftest import StartService
from tests.service.databases import Database
from tests.service.problems import problem_of
from tests.service.raw import COPYING, raw_connection, stalled_import
from tests.service.serving import Service


async def test_the_request_beyond_the_limit_is_refused_while_others_are_in_progress(
    start_service: StartService, database: Database
) -> None:
    service = await start_service(max_requests=2)
    path = await service.create()

    async with database.locked(path.rpartition("/")[2]):
        changes = [asyncio.create_task(service.api.put(path, json={"title": "Changed"})) for _ in range(2)]
        await database.until_waiting(2)
        assert await service.metric("http_requests_in_flight", kind="request") == 2

        problem_of(await service.api.get(path), 503)

        assert await service.metric("http_requests_shed_total", kind="request") == 1
        assert not any(change.done() for change in changes)
    assert [(await change).status_code for change in changes] == [200, 200]
    assert (await service.api.get(path)).status_code == 200
    await until_nothing_is_in_flight(service)


async def test_streams_have_places_of_their_own(start_service: StartService) -> None:
    service = await start_service(max_requests=1, max_streams=2)

    async with AsyncExitStack() as streams:
        for _ in range(2):
            await streams.enter_async_context(service.subscribe())
        await service.until_metric(2, "http_requests_in_flight", kind="events")
        assert await service.metric("notes_event_subscribers") == 2

        assert (await service.api.get("/notes")).status_code == 200, "they take no request's place"
        problem_of(await service.api.get("/notes/events"), 503)
        assert await service.metric("http_requests_shed_total", kind="events") == 1

    await until_nothing_is_in_flight(service)
    assert await service.metric("notes_event_subscribers") == 0
    async with service.subscribe():
        pass


async def test_streams_need_no_place_of_a_request_to_begin(start_service: StartService, database: Database) -> None:
    """Or a thousand subscribers that come back at the same moment would be refused, or refuse others."""
    service = await start_service(max_requests=1)
    path = await service.create()

    async with database.locked(path.rpartition("/")[2]):
        change = asyncio.create_task(service.api.put(path, json={"title": "Changed"}))
        await database.until_waiting(1)
        problem_of(await service.api.get("/notes"), 503)

        async with service.subscribe():
            assert (await service.api.get("/notes/export")).status_code == 200
    assert (await change).status_code == 200


async def test_imports_and_exports_share_places_of_their_own(start_service: StartService, database: Database) -> None:
    service = await start_service(max_requests=1, bulk_size=1)

    async with stalled_import(service, b'{"title": "imported"}') as connection:
        await service.until_metric(1, "http_requests_in_flight", kind="bulk")

        problem_of(await service.api.get("/notes/export"), 503)
        problem_of(await service.api.post("/notes/import", headers={"content-type": "application/x-ndjson"}), 503)
        assert (await service.api.get("/notes")).json()["items"] == [], "it takes no request's place"
        assert await service.metric("http_requests_shed_total", kind="bulk") == 2

        await connection.send_chunk(b"")
        assert (await connection.response()).json() == {"imported": 1}

    await until_nothing_is_in_flight(service)
    assert len((await service.api.get("/notes/export")).text.splitlines()) == 1


async def test_a_request_that_takes_too_long_is_given_up_and_its_place_is_free(
    start_service: StartService, database: Database
) -> None:
    service = await start_service(max_requests=1, pool_size=1, request_timeout=0.2)
    path = await service.create()

    async with database.locked(path.rpartition("/")[2]):
        problem_of(await service.api.put(path, json={"title": "Changed"}), 503)

        await database.until_waiting(0)
        assert (await service.api.get(path)).json()["title"] == "Launch"
    await service.until_metric(1, "http_requests_total", method="PUT", status="503")
    await until_nothing_is_in_flight(service)


@pytest.mark.usefixtures("no_linger")
async def test_a_body_that_never_ends_is_given_up(start_service: StartService) -> None:
    service = await start_service(max_requests=1, request_timeout=0.2)

    async with raw_connection(service) as connection:
        await connection.send(
            b"POST /notes HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        problem_of(await connection.response(), 503)

    await until_nothing_is_in_flight(service)


async def test_an_import_may_take_longer_than_a_request_but_not_fall_silent(start_service: StartService) -> None:
    service = await start_service(request_timeout=0.2, statement_timeout=0.2, stream_idle_timeout=0.3)

    async with stalled_import(service, b'{"title": "imported"}') as connection:
        response = await connection.response()

    assert "0.3 seconds" in problem_of(response, 408)["detail"], (
        "the limits of a request and of a statement came first, to no effect"
    )
    assert (await service.api.get("/notes")).json()["items"] == []
    await until_nothing_is_in_flight(service)


async def test_an_import_that_goes_on_and_on_is_ended(start_service: StartService, database: Database) -> None:
    """One client that sends a line now and then would keep the events from all others for ever."""
    service = await start_service(import_timeout=0.5)

    async with service.subscribe() as subscriber, stalled_import(service, *[b'{"title": "slow"}'] * 2000) as slow:

        async def send() -> None:
            while True:
                await slow.send_chunk(b'{"title": "slow"}\n')
                await asyncio.sleep(0.05)

        await database.until(1, COPYING)
        sending = asyncio.create_task(send())
        path = await service.create()
        response = await slow.response()
        sending.cancel()
        event = await subscriber.event()

    assert "0.5 seconds" in problem_of(response, 408)["detail"]
    assert path.rpartition("/")[2] in (event.data or "")
    assert [note["title"] for note in (await service.api.get("/notes")).json()["items"]] == ["Launch"]


@pytest.mark.parametrize("path", ["/notes", "/notes/events", "/notes/export"])
async def test_a_client_that_leaves_frees_its_place(
    start_service: StartService, database: Database, path: str
) -> None:
    service = await start_service(max_requests=1, max_streams=1, bulk_size=1)
    async with database.transaction("LOCK TABLE notes"):
        request = asyncio.create_task(service.api.get(path, timeout=httpx.Timeout(None)))
        await service.until_metric(1, "http_requests_in_flight")

        request.cancel()

        await until_nothing_is_in_flight(service)


async def until_nothing_is_in_flight(service: Service) -> None:
    await service.until_metric(0, "http_requests_in_flight")
