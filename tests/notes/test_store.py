"""Concurrent requests: a key creates one note, pages have no gaps, one change of a version succeeds."""

import asyncio
import random
from collections import Counter
from uuid import UUID, uuid4

import httpx
import pytest

from tests.notes.notes import create
from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.serving import Service

# Idempotency keys.


async def create_with_key(service: Service, key: str, title: str = "Launch") -> httpx.Response:
    return await service.api.post("/notes", json={"title": title}, headers={"idempotency-key": key})


async def test_concurrent_requests_with_one_key_create_one_note(service: Service, database: Database) -> None:
    answers = await asyncio.gather(*(create_with_key(service, "once") for _ in range(50)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1, "all get the first answer"
    assert len({answer.headers["location"] for answer in answers}) == 1
    replayed = Counter(answer.headers.get("idempotency-replayed") for answer in answers)
    assert replayed == {None: 1, "true": 49}
    assert await database.fetchval("SELECT count(*) FROM app.notes") == 1


async def test_a_key_gives_the_first_answer_even_when_the_note_has_changed(service: Service) -> None:
    first = await create_with_key(service, "again")
    await service.api.put(first.headers["location"], json={"title": "Changed"})
    again = await create_with_key(service, "again")
    await service.api.delete(first.headers["location"])

    assert again.json() == first.json()
    assert (await create_with_key(service, "again")).json() == first.json()


async def test_a_key_with_different_content_is_refused(service: Service, database: Database) -> None:
    await create_with_key(service, "mine", "one")

    [error] = problem_of(await create_with_key(service, "mine", "another"), 422)["errors"]

    assert error["field"] == "idempotency-key"
    assert await database.fetchval("SELECT count(*) FROM app.notes") == 1


async def test_a_first_attempt_that_is_rolled_back_leaves_the_key_free(service: Service, database: Database) -> None:
    async with database.connection() as connection:
        first = connection.transaction()
        await first.start()
        await connection.execute("INSERT INTO idempotency_keys (key, fingerprint, answer) VALUES ('free', '', '{}')")
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
    assert await database.fetchval("SELECT count(*) FROM app.notes") == 1


# Pages.


async def test_pages_miss_no_note_and_repeat_no_note_while_others_write(service: Service, database: Database) -> None:
    chance = random.Random(7)  # noqa: S311 - not a secret
    async with database.connection() as connection:
        ids = [
            await connection.fetchval("INSERT INTO notes (title, body) VALUES ('old', '') RETURNING id")
            for _ in range(60)
        ]
        deleted: set[UUID] = set()
        seen: list[UUID] = []
        path: str | None = "/notes?limit=7"
        while path is not None:
            page = (await service.api.get(path)).json()
            seen += [UUID(note["id"]) for note in page["items"]]
            path = page["next"]
            await connection.execute("INSERT INTO notes (title, body) VALUES ('new', '')")
            victim = chance.choice(ids)  # perhaps the last of the page, whose cursor still works
            await connection.execute("DELETE FROM notes WHERE id = $1", victim)
            deleted.add(victim)
        assert seen == sorted(seen, reverse=True)

    assert len(seen) == len(set(seen)), "no note is repeated"
    assert set(ids) - deleted <= set(seen), "no note that existed all the time is missing"


async def test_the_cursor_of_a_deleted_note_still_works(service: Service) -> None:
    paths = [await create(service, f"note {number}") for number in range(3)]
    page = (await service.api.get("/notes?limit=2")).json()
    await service.api.delete(paths[1])

    rest = (await service.api.get(page["next"])).json()

    assert [note["title"] for note in rest["items"]] == ["note 0"]
    assert rest["next"] is None


async def test_a_full_last_page_has_no_next_one(service: Service) -> None:
    for number in range(2):
        await create(service, f"note {number}")

    answer = await service.api.get("/notes?limit=2")

    assert len(answer.json()["items"]) == 2
    assert answer.json()["next"] is None
    assert "link" not in answer.headers


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("boat", ["the boats of the harbour", "a boat in the yard"]),
        ('"boats of the harbour"', ["the boats of the harbour"]),
        ('"harbour boats"', []),
        ("boat -yard", ["the boats of the harbour"]),
        ("yard or tide", ["the tide", "a boat in the yard"]),
        ("lighthouse", ["the tide"]),
        ("the", []),
        ("'; DROP TABLE notes; --", []),
        ('"unclosed & | ! ( :*', []),
    ],
)
async def test_search(searched: Service, query: str, found: list[str]) -> None:
    answer = await searched.api.get("/notes", params={"q": query})

    assert [note["title"] for note in answer.json()["items"]] == found, answer.text


@pytest.fixture(scope="module")
async def searched(shared_service: Service) -> Service:
    await create(shared_service, "a boat in the yard")
    await create(shared_service, "the boats of the harbour")
    await create(shared_service, "the tide", body="Seen from the lighthouse.")
    return shared_service


async def test_the_next_page_of_a_search_has_the_same_query(service: Service) -> None:
    for number in range(5):
        await create(service, f"boat {number}")
        await create(service, f"tide {number}")

    titles: list[str] = []
    path: str | None = "/notes?limit=2&q=boat+-%22boat+3%22"
    while path is not None:
        page = (await service.api.get(path)).json()
        titles += [note["title"] for note in page["items"]]
        path = page["next"]

    assert titles == ["boat 4", "boat 2", "boat 1", "boat 0"]


@pytest.mark.parametrize(("word", "numbers"), [("even", range(6000, 0, -2)), ("old", range(30, 0, -1))])
async def test_a_search_finds_common_words_and_rare_or_old_ones(
    service: Service, database: Database, word: str, numbers: range
) -> None:
    await database.execute(
        "INSERT INTO notes (title, body) "
        "SELECT n, CASE WHEN n % 2 = 0 THEN 'even ' ELSE '' END || CASE WHEN n <= 30 THEN 'old' ELSE '' END "
        "FROM generate_series(1, 6000) AS n"
    )

    first = (await service.api.get(f"/notes?limit=20&q={word}")).json()
    second = (await service.api.get(first["next"])).json()

    found = [int(note["title"]) for page in (first, second) for note in page["items"]]
    assert found == list(numbers)[:40]


# Versions.


async def test_one_of_several_changes_of_a_version_succeeds(shared_service: Service) -> None:
    path = await create(shared_service)

    answers = await asyncio.gather(
        *(
            shared_service.api.put(path, json={"title": f"{number}"}, headers={"if-match": '"1"'})
            for number in range(20)
        )
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 19}
    [winner] = [answer for answer in answers if answer.status_code == 200]
    assert (await shared_service.api.get(path)).json() == winner.json()
    assert winner.headers["etag"] == '"2"'


async def test_one_of_several_deletions_of_a_version_succeeds(shared_service: Service) -> None:
    path = await create(shared_service)

    answers = await asyncio.gather(*(shared_service.api.delete(path, headers={"if-match": '"1"'}) for _ in range(20)))

    assert Counter(answer.status_code for answer in answers) == {204: 1, 404: 19}


async def test_one_of_several_changes_and_deletions_of_a_version_succeeds(shared_service: Service) -> None:
    path = await create(shared_service)
    condition = {"if-match": '"1"'}

    answers = await asyncio.gather(
        *(shared_service.api.put(path, json={"title": "Changed"}, headers=condition) for _ in range(10)),
        *(shared_service.api.delete(path, headers=condition) for _ in range(10)),
    )

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] + statuses[204] == 1
    assert statuses[404] + statuses[412] == 19


async def test_all_changes_without_a_condition_succeed(shared_service: Service) -> None:
    path = await create(shared_service)

    await asyncio.gather(*(shared_service.api.put(path, json={"title": "Changed"}) for _ in range(20)))

    assert (await shared_service.api.get(path)).json()["version"] == 21


@pytest.mark.parametrize("condition", ['"2"', 'W/"1"', '"one"', '"1.0"', f'"{10**30}"'])
async def test_a_condition_that_is_not_met_prevents_the_change(shared_service: Service, condition: str) -> None:
    path = await create(shared_service)

    problem_of(await shared_service.api.put(path, json={"title": "Changed"}, headers={"if-match": condition}), 412)
    problem_of(await shared_service.api.delete(path, headers={"if-match": condition}), 412)

    assert (await shared_service.api.get(path)).json()["version"] == 1


async def test_a_change_of_a_missing_note_is_not_found(shared_service: Service) -> None:
    path = f"/notes/{uuid4()}"

    problem_of(await shared_service.api.put(path, json={"title": "Changed"}), 404)
    problem_of(await shared_service.api.put(path, json={"title": "Changed"}, headers={"if-match": '"1"'}), 404)
    problem_of(await shared_service.api.delete(path), 404)
