"""Limits on requests in flight and on their time: too many are refused at once, too slow ones are given up."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.raw import raw_connection, stalled_import
from tests.service.serving import Service


async def test_a_request_beyond_the_maximum_is_refused(start_service: StartService, database: Database) -> None:
    service = await start_service(max_requests=2)
    path = await service.create()

    async with database.locked(path.rpartition("/")[2]):
        changes = [asyncio.create_task(service.api.put(path, json={"name": "Changed"})) for _ in range(2)]
        await database.until_waiting(2)
        assert await service.metric("http_requests_in_flight", kind="request") == 2

        problem_of(await service.api.get(path), 503)

        assert await service.metric("http_requests_shed_total", kind="request") == 1
        assert not any(change.done() for change in changes)
    assert [(await change).status_code for change in changes] == [200, 200]
    assert (await service.api.get(path)).status_code == 200
    await until_nothing_is_in_flight(service)


async def test_event_streams_have_slots_of_their_own(start_service: StartService) -> None:
    service = await start_service(max_requests=1, max_streams=2)

    async with AsyncExitStack() as streams:
        for _ in range(2):
            await streams.enter_async_context(service.subscribe())
        await service.until_metric(2, "http_requests_in_flight", kind="events")

        assert (await service.api.get("/things")).status_code == 200, "the streams hold no slot of a request"
        problem_of(await service.api.get("/things/events"), 503)
        assert await service.metric("http_requests_shed_total", kind="events") == 1

    await until_nothing_is_in_flight(service)
    async with service.subscribe():
        pass


async def test_streams_begin_without_a_slot_of_a_request(start_service: StartService, database: Database) -> None:
    """Otherwise a thousand subscribers that reconnect at once would be refused, or would keep requests out."""
    service = await start_service(max_requests=1)
    path = await service.create()

    async with database.locked(path.rpartition("/")[2]):
        change = asyncio.create_task(service.api.put(path, json={"name": "Changed"}))
        await database.until_waiting(1)
        problem_of(await service.api.get("/things"), 503)

        async with service.subscribe():
            assert (await service.api.get("/things/export")).status_code == 200
    assert (await change).status_code == 200


async def test_imports_and_exports_share_slots_of_their_own(start_service: StartService) -> None:
    service = await start_service(max_requests=1, bulk_size=1)

    async with stalled_import(service, b'{"name": "imported"}') as connection:
        await service.until_metric(1, "http_requests_in_flight", kind="bulk")

        problem_of(await service.api.get("/things/export"), 503)
        problem_of(await service.api.post("/things/import", headers={"content-type": "application/x-ndjson"}), 503)
        assert (await service.api.get("/things")).json()["items"] == [], "the import holds no slot of a request"
        assert await service.metric("http_requests_shed_total", kind="bulk") == 2

        await connection.send_chunk(b"")
        assert (await connection.response()).json() == {"imported": 1}

    await until_nothing_is_in_flight(service)
    assert len((await service.api.get("/things/export")).text.splitlines()) == 1


async def test_what_the_ingress_takes_for_a_stream_holds_no_slot_of_a_request(start_service: StartService) -> None:
    """Even if there is no such route: the ingress has not waited for its body, which may arrive slowly."""
    service = await start_service(max_requests=1)

    async with stalled_import(service, b"{}", path="/nowhere/import") as slow:
        await service.until_metric(1, "http_requests_in_flight", kind="bulk")

        assert (await service.api.get("/things")).status_code == 200

        await slow.send_chunk(b"")
        problem_of(await slow.response(), 404)
    await until_nothing_is_in_flight(service)


async def test_a_request_that_exceeds_its_deadline_is_given_up_and_its_slot_is_free(
    start_service: StartService, database: Database
) -> None:
    service = await start_service(max_requests=1, pool_size=1, request_timeout=1)
    path = await service.create()

    async with database.locked(path.rpartition("/")[2]):
        problem_of(await service.api.put(path, json={"name": "Changed"}), 503)

        await database.until_waiting(0)
        assert (await service.api.get(path)).json()["name"] == "Launch"
    await service.until_metric(1, "http_requests_total", method="PUT", status="503")
    await until_nothing_is_in_flight(service)


@pytest.mark.usefixtures("no_linger")
async def test_a_body_that_does_not_end_before_the_deadline_is_given_up(start_service: StartService) -> None:
    service = await start_service(max_requests=1, request_timeout=1)

    async with raw_connection(service) as connection:
        await connection.send(
            b"POST /things HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        problem_of(await connection.response(), 503)

    await until_nothing_is_in_flight(service)


async def test_an_import_may_take_longer_than_a_request_but_must_not_pause(start_service: StartService) -> None:
    service = await start_service(request_timeout=2, statement_timeout=2, stream_idle_timeout=3)

    async with stalled_import(service, b'{"name": "imported"}') as connection:
        response = await connection.response()

    assert "3 seconds" in problem_of(response, 408)["detail"], (
        "the shorter limits of requests and statements do not hold for an import"
    )
    assert (await service.api.get("/things")).json()["items"] == []
    await until_nothing_is_in_flight(service)


async def test_an_import_that_exceeds_its_maximum_duration_is_ended(start_service: StartService) -> None:
    service = await start_service(import_timeout=2)

    async with stalled_import(service, *[b'{"name": "slow"}'] * 2000) as slow:

        async def send() -> None:
            while True:
                await slow.send_chunk(b'{"name": "slow"}\n')
                await asyncio.sleep(0.05)

        sending = asyncio.create_task(send())
        response = await slow.response()
        sending.cancel()

    assert "2 seconds" in problem_of(response, 408)["detail"]
    assert (await service.api.get("/things")).json()["items"] == []
    await until_nothing_is_in_flight(service)


@pytest.mark.parametrize(("path", "waiting"), [("/things", 1), ("/things/events", 0), ("/things/export", 1)])
async def test_a_client_that_disconnects_frees_its_slot(
    start_service: StartService, database: Database, path: str, waiting: int
) -> None:
    service = await start_service(max_requests=1, max_streams=1, bulk_size=1)
    async with database.transaction("LOCK TABLE things"):
        request = asyncio.create_task(service.api.get(path, timeout=httpx.Timeout(None)))
        await service.until_metric(1, "http_requests_in_flight")
        await database.until_waiting(waiting)  # PostgreSQL ignores the cancellation of a statement that is on its way

        request.cancel()

        await until_nothing_is_in_flight(service)


async def until_nothing_is_in_flight(service: Service) -> None:
    await service.until_metric(0, "http_requests_in_flight")
