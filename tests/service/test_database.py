"""The pool survives outages of the database, limits how long a request waits, and never loses a connection."""

import asyncio
import json
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.raw import COPYING, stalled_export, stalled_import
from tests.service.serving import Service, serving, settings_for
from tests.waiting import WITHIN, eventually
from workbench.parts.postgres import Postgres

# More than fits into all buffers between PostgreSQL and a client that does not read.
MANY = "INSERT INTO things (name) SELECT n || repeat('x', 10000) FROM generate_series(1, 1000) AS n"

EXPORTING = "query LIKE '%row_to_json%' AND xact_start IS NOT NULL"


async def test_a_request_that_gets_no_connection_in_time_gets_503_and_is_counted(
    start_service: StartService, database: Database
) -> None:
    service = await start_service(pool_size=1, acquire_timeout=1)
    path = await service.create()

    async with database.locked(path.rpartition("/")[2]):
        change = asyncio.create_task(service.api.put(path, json={"name": "Changed"}))
        await database.until_waiting(1)

        problem_of(await service.api.get(path), 503)

        assert await service.metric("db_pool_acquire_timeouts_total") == 1
        assert await service.metric("db_pool_waiting") == 0
        assert not change.done()
    assert (await change).status_code == 200
    assert (await service.api.get(path)).json()["name"] == "Changed"


async def test_a_waiting_request_gets_the_next_free_connection(
    start_service: StartService, database: Database
) -> None:
    service = await start_service(pool_size=1)
    path = await service.create()

    async with database.locked(path.rpartition("/")[2]):
        change = asyncio.create_task(service.api.put(path, json={"name": "Changed"}))
        await database.until_waiting(1)
        reading = asyncio.create_task(service.api.get(path))
        await service.until_metric(1, "db_pool_waiting")
    assert (await change).status_code == 200
    assert (await reading).status_code == 200


async def test_requests_wait_for_the_open_connections_if_the_server_accepts_no_more(
    service: Service, database: Database
) -> None:
    """The connections of other clients are no reason for a 503 while the pool has a connection to wait for."""
    path = await service.create()
    assert await service.metric("db_pool_size") == 1
    sessions = await database.fetchval("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app_rw'")
    await database.as_superuser(f"ALTER ROLE app_rw CONNECTION LIMIT {sessions}")
    try:
        async with database.locked(path.rpartition("/")[2]):
            change = asyncio.create_task(service.api.put(path, json={"name": "Changed"}))
            await database.until_waiting(1)
            reading = [asyncio.create_task(service.api.get(path)) for _ in range(5)]
            await service.until_metric(5, "db_pool_waiting")
        answers = await asyncio.gather(change, *reading)
    finally:
        await database.as_superuser("ALTER ROLE app_rw CONNECTION LIMIT 75")

    assert [answer.status_code for answer in answers] == [200] * 6
    assert await service.metric("db_pool_size") == 1


async def test_the_server_cancels_a_statement_that_exceeds_its_timeout(
    start_service: StartService, database: Database
) -> None:
    service = await start_service(pool_size=1, statement_timeout=1)
    path = await service.create()

    async def cancelled() -> bool:
        """On a slow machine the service's own limit, half a second later, can come first."""
        problem_of(await service.api.put(path, json={"name": "Changed"}), 503)
        assert (await service.api.get(path)).json()["name"] == "Launch", "a connection is still usable"
        return await service.metric("db_errors_total", kind="QueryCanceledError") > 0

    async with database.locked(path.rpartition("/")[2]):
        await eventually(cancelled, "PostgreSQL cancelled a statement")


async def test_requests_get_503_while_the_server_is_down_and_the_service_recovers_by_itself(
    mortal_postgres: Postgres,
) -> None:
    # Less than the timeout of the test's client: a request that is not answered fails the test.
    settings = settings_for(Database(mortal_postgres), acquire_timeout=2, statement_timeout=2)
    async with serving(settings) as service:
        await service.ready()
        answers: Counter[int] = Counter()
        answered = asyncio.Event()
        stopped = asyncio.Event()

        async def send_requests() -> None:
            while not stopped.is_set():
                writing = await service.api.post("/things", json={"name": "Launch"})
                reading = await service.api.get("/things")
                answers.update([writing.status_code, reading.status_code])
                answered.set()

        async def until_answered(status: int) -> None:
            before = answers[status]
            while answers[status] == before:
                answered.clear()
                await answered.wait()

        clients = [asyncio.create_task(send_requests()) for _ in range(4)]
        try:
            async with asyncio.timeout(WITHIN):
                await until_answered(201)
                await mortal_postgres.kill()
                await until_answered(503)
                await service.unready()
                await mortal_postgres.start()
                await service.ready()
                await until_answered(201)
        finally:
            stopped.set()
            await asyncio.gather(*clients)

    assert answers.keys() == {200, 201, 503}


async def test_connections_to_a_server_that_has_become_a_standby_are_not_used_again(
    mortal_postgres: Postgres,
) -> None:
    """It may keep them open, and it refuses every write."""
    database = Database(mortal_postgres)
    sessions = "SELECT array_agg(pid) FROM pg_stat_activity WHERE usename = 'app_rw' AND query LIKE '%things%'"
    async with serving(settings_for(database)) as service:
        await service.ready()
        await service.create()
        old: Any = await database.fetchval(sessions)

        async def answered(status: int) -> bool:
            """Sessions learn of a changed setting a moment later."""
            answer = await service.api.post("/things", json={"name": "Launch"})
            if answer.status_code != 201:
                problem_of(answer, 503)
            return answer.status_code == status

        await database.as_superuser("ALTER SYSTEM SET default_transaction_read_only = on")
        await database.as_superuser("SELECT pg_reload_conf()")
        await eventually(lambda: answered(503), "the server refuses writes")
        await database.as_superuser("ALTER SYSTEM RESET default_transaction_read_only")
        await database.as_superuser("SELECT pg_reload_conf()")

        await eventually(lambda: answered(201), "the server accepts writes")
        now: Any = await database.fetchval(sessions)
        assert old
        assert not {*old} & {*now}


async def test_event_streams_use_the_direct_connection_if_there_is_one(
    start_service: StartService, database: Database
) -> None:
    await start_service(database_direct_url=database.url("app_owner"))

    async def listens() -> bool:
        role = await database.fetchval(
            "SELECT usename FROM pg_stat_activity WHERE datname = $1 AND query LIKE '%FROM events%' "
            "AND pid <> pg_backend_pid()",
            database.name,
        )
        return role == "app_owner"

    await eventually(listens, "the feeds use the direct connection")


# Clients that disconnect. The pool has one connection: if it were not returned, all later requests would fail.


@pytest.fixture
async def single(start_service: StartService) -> Service:
    return await start_service(pool_size=1)


async def test_a_client_that_disconnects_while_its_statement_waits_returns_the_connection(
    single: Service, database: Database
) -> None:
    path = await single.create()

    async with database.locked(path.rpartition("/")[2]):
        change = asyncio.create_task(single.api.put(path, json={"name": "Changed"}))
        await database.until_waiting(1)
        change.cancel()
        with suppress(asyncio.CancelledError):
            await change

        await database.until_waiting(0)
        assert (await single.api.get(path)).json()["name"] == "Launch"

    await until_idle(single)
    assert (await single.api.get(path)).json()["name"] == "Launch", "the change was rolled back"
    await single.until_metric(1, "http_requests_total", method="PUT", status="499")


async def test_an_import_whose_client_disconnects_is_rolled_back(single: Service, database: Database) -> None:
    lines = (json.dumps({"name": f"thing {number}"}).encode() for number in range(1000))
    async with stalled_import(single, *lines):
        await database.until(1, COPYING)

    assert (await single.api.get("/things")).json()["items"] == []
    await until_idle(single)


async def test_a_client_that_disconnects_from_an_export_returns_the_connection(
    single: Service, database: Database
) -> None:
    await database.execute(MANY)
    async with stalled_export(single):
        await database.until(1, EXPORTING)

    assert (await single.api.get("/things")).status_code == 200
    await until_idle(single)


async def test_an_export_whose_client_stops_reading_is_cut_off(
    start_service: StartService, database: Database
) -> None:
    await database.execute(MANY)
    service = await start_service(pool_size=1, stream_idle_timeout=1)

    async with stalled_export(service) as connection:
        assert (await service.api.get("/things?limit=1")).status_code == 200, "the connection is free again"
        received = await connection.rest()

    assert received.startswith(b"HTTP/1.1 200 ")
    assert not received.endswith(b"0\r\n\r\n"), "the client can tell that the export is incomplete"
    assert await service.metric("db_errors_total") == 0, "it was not an error of the database"
    await until_idle(service)


async def test_an_export_whose_database_session_ends_is_cut_off(
    single: Service, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await database.execute(MANY)
    async with stalled_export(single) as connection:
        await database.until(1, EXPORTING)
        await database.terminate(EXPORTING)
        received = await connection.rest()

    assert not received.endswith(b"0\r\n\r\n")
    assert received.count(b"HTTP/1.1 ") == 1, "there is one response"
    assert [record.message for record in caplog.records if record.name == "service.web.dispatch"]
    assert not [record for record in caplog.records if record.name == "hypercorn.error"]


async def test_an_export_is_a_snapshot_that_concurrent_changes_do_not_affect(
    single: Service, database: Database
) -> None:
    await database.execute(MANY)
    async with single.api.stream("GET", "/things/export") as response:
        lines = response.aiter_lines()
        exported = [json.loads(await anext(lines))]
        await database.until(1, EXPORTING)
        await database.execute("UPDATE things SET name = 'changed', version = 2")
        await database.execute("DELETE FROM things WHERE id IN (SELECT id FROM things ORDER BY id DESC LIMIT 500)")
        await database.execute("INSERT INTO things (name) VALUES ('new')")
        await database.until(1, EXPORTING)  # the export was still running during the changes
        exported += [json.loads(line) async for line in lines]

    assert [thing["name"].rstrip("x") for thing in exported] == [str(number) for number in range(1, 1001)]
    assert {thing["version"] for thing in exported} == {1}


async def test_an_import_that_violates_a_constraint_in_its_last_line_is_rolled_back(single: Service) -> None:
    path = await single.create()
    taken = path.rpartition("/")[2]
    body = "".join(json.dumps(thing) + "\n" for thing in ({"name": "new"}, {"name": "old", "id": taken}))

    response = await single.api.post(
        "/things/import", content=body.encode(), headers={"content-type": "application/x-ndjson"}
    )

    problem_of(response, 409)
    assert [thing["name"] for thing in (await single.api.get("/things")).json()["items"]] == ["Launch"]


async def until_idle(service: Service) -> None:
    """Waits until every open connection is idle and no request is in flight."""

    async def idle() -> bool:
        return await service.metric("db_pool_idle") == await service.metric("db_pool_size")

    await eventually(idle, "every connection is back in the pool")
    for kind in ("request", "bulk"):
        await service.until_metric(0, "http_requests_in_flight", kind=kind)
