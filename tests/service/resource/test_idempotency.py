"""Idempotency-Key: a key creates one thing, however often and however many at a time send it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from service.database.pool import Database as Pool
from service.database.pool import Statement
from service.lifecycle import Lifecycle
from service.resource import idempotency
from service.telemetry.metrics import Metrics
from tests.probe import things
from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.serving import Service, settings_for


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    settings = settings_for(database)
    pool = Pool(settings, Metrics(settings, Lifecycle()))
    await pool.open()
    yield pool
    await pool.close()


async def create_with_key(service: Service, key: str, title: str = "Launch") -> httpx.Response:
    return await service.api.post("/things", json={"name": title}, headers={"idempotency-key": key})


async def test_concurrent_requests_with_one_key_create_one_thing(service: Service, database: Database) -> None:
    answers = await asyncio.gather(*(create_with_key(service, "once") for _ in range(50)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1, "all get the first answer"
    assert len({answer.headers["location"] for answer in answers}) == 1
    replayed = Counter(answer.headers.get("idempotency-replayed") for answer in answers)
    assert replayed == {None: 1, "true": 49}
    assert await database.fetchval("SELECT count(*) FROM app.things") == 1


async def test_a_key_gives_the_first_answer_even_when_the_thing_has_changed(service: Service) -> None:
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


async def test_a_later_version_of_the_service_gives_the_first_answer(service: Service, pool: Pool) -> None:
    """Which has another optional field in its content, and one more in its answer."""

    class Content(things.ThingContent):
        colour: str = "red"

    class Answer(things.Thing):
        colour: str

    first = (await create_with_key(service, "again")).json()

    async with pool.connection() as connection:
        again = await idempotency.once(
            connection,
            "POST /things",
            "again",
            Content(name="Launch"),
            things.CREATE_WITH_KEY,
            "Launch",
            answer=Answer,
        )

    assert again.replayed
    assert again.row == first


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
    service = await start_service(statement_timeout=1)
    async with database.transaction("LOCK TABLE idempotency_keys"):
        problem_of(await create_with_key(service, "free"), 503)

    answer = await create_with_key(service, "free")

    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers
    assert await database.fetchval("SELECT count(*) FROM app.things") == 1


async def test_a_key_belongs_to_the_method_and_the_path(service: Service, pool: Pool) -> None:
    thing = (await create_with_key(service, "mine")).json()
    content = things.ThingContent(name="Launch")

    async with pool.connection() as connection:
        other = await idempotency.once(
            connection, "POST /others", "mine", content, things.CREATE_WITH_KEY, "Launch", answer=things.Thing
        )

    assert not other.replayed
    assert str(other.row["id"]) != thing["id"], "the same key and content on another path is another request"


async def test_a_key_gives_the_first_answer_also_if_the_table_refuses_a_second_row(
    service: Service, database: Database
) -> None:
    await database.execute("ALTER TABLE things ADD UNIQUE (name)")

    answers = await asyncio.gather(*(create_with_key(service, "once") for _ in range(20)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    [error] = problem_of(await create_with_key(service, "once", "another"), 422)["errors"]
    assert error["field"] == "idempotency-key"


async def test_a_violation_of_the_tables_own_constraint_is_not_taken_for_a_used_key(
    pool: Pool, database: Database
) -> None:
    await database.execute("ALTER TABLE things ADD UNIQUE (name); INSERT INTO things (name) VALUES ('Launch')")
    content = things.ThingContent(name="Launch")

    with pytest.raises(asyncpg.UniqueViolationError) as error:
        async with pool.connection() as connection:
            await idempotency.once(
                connection, "POST /things", "mine", content, things.CREATE_WITH_KEY, "Launch", answer=things.Thing
            )

    assert error.value.table_name == "things"
    assert await database.fetchval("SELECT count(*) FROM app.idempotency_keys") == 0, "the key is free"


@pytest.mark.parametrize("parameters", [0, 1, 12])
def test_the_statement_with_a_key_keeps_the_parameters_of_the_insert(parameters: int) -> None:
    numbers = [f"${number}" for number in range(1, parameters + 1)]
    insert = Statement("made", f"INSERT INTO things VALUES ({', '.join(numbers)}) RETURNING *")  # noqa: S608

    statement = idempotency.with_key(insert)

    assert statement.name == "made_with_key"
    assert insert.sql in statement.sql
    own = ", ".join(f"${parameters + number}" for number in (1, 2, 3))
    assert f"SELECT {own}, to_jsonb(made)" in statement.sql
