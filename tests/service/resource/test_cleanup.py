"""Idempotency-Keys and events are kept for a time, then removed in small batches that block no request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.resource import cleanup
from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.resource.things import follow
from tests.service.serving import Service
from tests.waiting import eventually

OLD_KEYS = """
    INSERT INTO app.idempotency_keys (scope, key, fingerprint, answer, created_at)
    SELECT 'POST /things', 'old-' || n, '', '{}', now() - interval '25 hours' FROM generate_series(1, 1200) AS n
"""
OLD_EVENTS = """
    INSERT INTO app.events (resource, kind, at)
    SELECT 'things', 'reset', now() - interval '25 hours' FROM generate_series(1, 1200)
    RETURNING tx
"""


@pytest.fixture
async def tidy(start_service: StartService) -> Service:
    return await start_service(cleanup_interval=0.05)


async def until_rows(database: Database, count: int, table: str, condition: str = "true") -> None:
    async def found() -> bool:
        sql = f"SELECT count(*) FROM app.{table} WHERE {condition}"  # noqa: S608 - the tests write both
        return await database.fetchval(sql) == count

    await eventually(found, f"{count} rows of {table} with {condition}")


@asynccontextmanager
async def locked(database: Database, key: str) -> AsyncIterator[None]:
    async with database.transaction("SELECT FROM app.idempotency_keys WHERE key = $1 FOR UPDATE", key):
        yield


async def create(service: Service, key: str) -> str:
    answer = await service.api.post("/things", json={"name": "Launch"}, headers={"idempotency-key": key})
    assert answer.status_code == 201, answer.text
    thing_id: str = answer.json()["id"]
    return thing_id


async def test_a_key_is_removed_after_its_lifetime_and_not_before(tidy: Service, database: Database) -> None:
    old, new = await create(tidy, "old"), await create(tidy, "new")
    await database.execute("UPDATE app.idempotency_keys SET created_at = now() - interval '23 h' WHERE key = 'new'")
    await database.execute("UPDATE app.idempotency_keys SET created_at = now() - interval '25 h' WHERE key = 'old'")

    await until_rows(database, 1, "idempotency_keys")

    assert await create(tidy, "new") == new
    assert await create(tidy, "old") != old, "the key is free again"
    assert (await tidy.api.get(f"/things/{old}")).status_code == 200, "only the key is gone"


async def test_all_expired_rows_are_removed_and_counted(tidy: Service, database: Database) -> None:
    await database.execute(OLD_KEYS)
    await database.execute(OLD_EVENTS)

    await until_rows(database, 0, "idempotency_keys")
    await until_rows(database, 0, "events")
    await tidy.until_metric(1200, "db_rows_expired_total", statement="idempotency_keys_expire")
    await tidy.until_metric(1200, "db_rows_expired_total", statement="events_expire")


async def test_the_removal_and_requests_do_not_wait_for_each_other(
    start_service: StartService, database: Database
) -> None:
    await database.execute(OLD_KEYS)
    async with locked(database, "old-700"):  # before anything can remove it
        service = await start_service(cleanup_interval=0.05)
        await until_rows(database, 1, "idempotency_keys")  # all but the locked one
        await create(service, "while-one-is-locked")
    await until_rows(database, 0, "idempotency_keys", "key LIKE 'old-%'")


async def test_several_replicas_can_remove_at_the_same_time(start_service: StartService, database: Database) -> None:
    await database.execute(OLD_KEYS)
    await database.execute(OLD_EVENTS)

    services = await asyncio.gather(*(start_service(cleanup_interval=0.05) for _ in range(3)))

    await until_rows(database, 0, "idempotency_keys")
    await until_rows(database, 0, "events")
    for service in services:
        assert await service.metric("db_errors_total") == 0


async def test_a_subscriber_that_resumes_from_before_a_removed_event_gets_reset(
    tidy: Service, database: Database
) -> None:
    newest = await database.fetchval(OLD_EVENTS)  # all of them are of one transaction
    await until_rows(database, 0, "events")

    async with follow(tidy, f"{newest}-1") as subscriber:
        assert (await subscriber.event()).event == "reset"


async def test_the_table_stays_small_however_many_keys_are_used(
    start_service: StartService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of ten lifetimes: the table needs the space of one lifetime, because freed space is used again."""
    monkeypatch.setattr(cleanup, "_PAUSE", 0)
    await start_service(cleanup_interval=0.02, key_lifetime=0.1)
    sizes = []
    for wave in range(10):
        await database.execute(
            "INSERT INTO app.idempotency_keys (scope, key, fingerprint, answer) "
            "SELECT 'POST /things', $1 || n, sha256('x'), '{\"name\": \"Launch\"}' FROM generate_series(1, 400) AS n",
            f"{wave}-",
        )
        await until_rows(database, 0, "idempotency_keys")
        await database.execute("VACUUM app.idempotency_keys")  # as autovacuum does
        sizes.append(int(str(await database.fetchval("SELECT pg_relation_size('app.idempotency_keys')"))))

    assert max(sizes) <= 2 * sizes[0], sizes


async def test_a_lost_connection_only_delays_the_removal(tidy: Service, database: Database) -> None:
    await database.execute(OLD_KEYS)
    await database.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app_rw' AND datname = $1",
        database.name,
    )

    await until_rows(database, 0, "idempotency_keys")
