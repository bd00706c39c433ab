"""Idempotency-Key: a key creates one thing, however often and however many at a time send it."""

import asyncio
from collections import Counter

import httpx

from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.serving import Service


async def create_with_key(service: Service, key: str, title: str = "Launch") -> httpx.Response:
    return await service.api.post("/things", json={"name": title}, headers={"idempotency-key": key})


async def test_concurrent_requests_with_one_key_create_one_note(service: Service, database: Database) -> None:
    answers = await asyncio.gather(*(create_with_key(service, "once") for _ in range(50)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1, "all get the first answer"
    assert len({answer.headers["location"] for answer in answers}) == 1
    replayed = Counter(answer.headers.get("idempotency-replayed") for answer in answers)
    assert replayed == {None: 1, "true": 49}
    assert await database.fetchval("SELECT count(*) FROM app.things") == 1


async def test_a_key_gives_the_first_answer_even_when_the_note_has_changed(service: Service) -> None:
    first = await create_with_key(service, "again")
    await service.api.put(first.headers["location"], json={"name": "Changed"})
    again = await create_with_key(service, "again")
    await service.api.delete(first.headers["location"])

    assert again.json() == first.json()
    assert (await create_with_key(service, "again")).json() == first.json()


async def test_a_key_with_different_content_is_refused(service: Service, database: Database) -> None:
    await create_with_key(service, "mine", "one")

    [error] = problem_of(await create_with_key(service, "mine", "another"), 422)["errors"]

    assert error["field"] == "idempotency-key"
    assert await database.fetchval("SELECT count(*) FROM app.things") == 1


async def test_a_first_attempt_that_is_rolled_back_leaves_the_key_free(service: Service, database: Database) -> None:
    async with database.connection() as connection:
        first = connection.transaction()
        await first.start()
        await connection.execute(
            "INSERT INTO idempotency_keys (scope, key, fingerprint, answer) VALUES ('POST /things', 'free', '', '{}')"
        )
        second = asyncio.create_task(create_with_key(service, "free"))
        await database.until_waiting(1)  # it waits for the end of the first one
        await first.rollback()
        answer = await second

    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers


async def test_a_first_attempt_that_timed_out_leaves_the_key_free(
    start_service: StartService, database: Database
) -> None:
    service = await start_service(statement_timeout=0.1)
    async with database.transaction("LOCK TABLE idempotency_keys"):
        problem_of(await create_with_key(service, "free"), 503)

    answer = await create_with_key(service, "free")

    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers
    assert await database.fetchval("SELECT count(*) FROM app.things") == 1
