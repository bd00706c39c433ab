"""Notes belong to users: what the domain adds to owned rows is the search, and plans that suit few and many notes."""

import json
import re

import pytest

from service.database.pool import Statement
from service.domains.notes import queries
from tests.service.databases import Connection, Database
from tests.service.fixtures import StartService
from tests.service.serving import Service
from tests.service.test_plans import fill
from tests.service.users import ADA, BOB, GATEWAY, ROOT


@pytest.fixture
async def service(start_service: StartService) -> Service:
    return await start_service(identity=GATEWAY)


async def found(service: Service, user: dict[str, str], query: str) -> list[str]:
    response = await service.api.get("/notes", params={"q": query, "limit": "5"}, headers=user)
    assert response.status_code == 200, response.text
    return [note["title"] for note in response.json()["items"]]


async def test_a_search_finds_only_the_notes_of_the_user(service: Service) -> None:
    for user in (ADA, BOB):
        await service.api.post("/notes", json={"title": f"boat of {user['x-user']}"}, headers=user)

    assert await found(service, ADA, "boat") == ["boat of ada"]
    assert await found(service, BOB, "ada") == []
    assert await found(service, ROOT, "boat") == ["boat of bob", "boat of ada"]


@pytest.mark.parametrize("query", ["rare", "common"])
async def test_a_search_of_many_notes_finds_only_those_of_the_user(
    service: Service, database: Database, query: str
) -> None:
    """Rare words are found by the index, which has the words of all users."""
    await database.execute(
        "INSERT INTO notes (title, body, owner)"
        "SELECT concat_ws(' ', n, owner), CASE WHEN n <= 3 THEN 'rare common' ELSE 'common' END, owner"
        "  FROM generate_series(1, 2500) AS n, unnest(ARRAY['ada', 'bob', NULL]) AS owner"
    )

    titles = await found(service, ADA, query)

    assert len(titles) == {"rare": 3, "common": 5}[query]
    assert all(title.endswith("ada") for title in titles)
    assert len(await found(service, ROOT, query)) == 5


async def test_an_export_can_be_imported_by_its_user(service: Service) -> None:
    await service.api.post("/notes", json={"title": "Launch"}, headers=ADA)
    exported = (await service.api.get("/notes/export", headers=ADA)).text
    note = json.loads(exported)
    await service.api.delete(f"/notes/{note['id']}", headers=ADA)

    response = await service.api.post(
        "/notes/import", content=exported, headers={**ADA, "content-type": "application/x-ndjson"}
    )

    assert response.json() == {"imported": 1}
    assert (await service.api.get("/notes/export", headers=ADA)).text == exported
    assert (await service.api.get("/notes/export", headers=BOB)).text == ""


async def indexes(connection: Connection, statement: Statement, user: str, *values: str) -> set[str]:
    """The indexes that PostgreSQL reads for a user, with the plan for all parameters."""
    given = ", ".join([*values, f"'{user}'"])
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(
        f"PREPARE asked AS WITH acting AS (SELECT ${len(values) + 1}::acting_user) {statement.sql}"
    )
    lines = [row[0] for row in await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF) EXECUTE asked({given})")]
    await connection.execute("DEALLOCATE asked")
    return {index for line in lines if "never executed" not in line for index in re.findall(r"using (\w+)", line)}


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (queries.LIST_FIRST, ["20"]),
        (queries.LIST_AFTER, ["20", "uuidv7()"]),
        (queries.EXPORT, []),
    ],
)
async def test_who_has_few_notes_does_not_read_those_of_all(
    database: Database, statement: Statement, values: list[str]
) -> None:
    async with database.connection() as owner:
        await fill(owner)
    async with database.connection("app_rw") as connection:
        assert await indexes(connection, statement, "-x5", *values) == {"notes_owner_id_idx"}
        assert await indexes(connection, statement, "+", *values) <= {"notes_pkey"}  # an export may read it all


async def test_the_words_of_all_users_are_found_by_their_index(database: Database) -> None:
    async with database.connection() as owner:
        await fill(owner)
        body = await owner.fetchval("SELECT prosrc FROM pg_proc WHERE oid = 'notes_with'::regproc")
        sql = body.replace("words", "to_tsquery('x5')")
        plan = await owner.fetch(f"EXPLAIN (COSTS OFF) {sql}")

    assert "Bitmap Index Scan on notes_search" in "\n".join(line for [line] in plan)
