"""An export is a snapshot, and an import stores all things or none."""

import json

from tests.service.databases import Database
from tests.service.problems import problem_of
from tests.service.raw import COPYING, stalled_import
from tests.service.serving import Service

# More than fits into all buffers between PostgreSQL and a client that does not read.
MANY = "INSERT INTO things (name) SELECT n || repeat('x', 10000) FROM generate_series(1, 1000) AS n"
EXPORTING = "query LIKE '%row_to_json%' AND xact_start IS NOT NULL"


async def titles(service: Service) -> list[str]:
    return [thing["name"] for thing in (await service.api.get("/things")).json()["items"]]


async def test_an_export_is_a_snapshot_that_concurrent_changes_do_not_affect(
    service: Service, database: Database
) -> None:
    await database.execute(MANY)
    async with service.api.stream("GET", "/things/export") as response:
        lines = response.aiter_lines()
        exported = [json.loads(await anext(lines))]
        await database.until(1, EXPORTING)
        await database.execute("UPDATE things SET name = 'changed', version = 2")
        await database.execute("DELETE FROM things WHERE id IN (SELECT id FROM things ORDER BY id DESC LIMIT 500)")
        await database.execute("INSERT INTO things (name) VALUES ('new')")
        await database.until(1, EXPORTING)  # the export was still running during the changes
        exported += [json.loads(line) async for line in lines]

    assert [thing["name"].rstrip("x") for thing in exported] == [f"{number}" for number in range(1, 1001)]
    assert {thing["version"] for thing in exported} == {1}


async def test_an_import_whose_client_disconnects_is_rolled_back(service: Service, database: Database) -> None:
    lines = (json.dumps({"name": f"thing {number}"}).encode() for number in range(1000))
    async with stalled_import(service, *lines):
        await database.until(1, COPYING)

    await database.until(0, COPYING)
    assert await titles(service) == []


async def test_an_import_that_violates_a_constraint_in_its_last_line_is_rolled_back(service: Service) -> None:
    path = await service.create()
    taken = path.rpartition("/")[2]
    body = "".join(json.dumps(thing) + "\n" for thing in ({"name": "new"}, {"name": "old", "id": taken}))

    response = await service.api.post(
        "/things/import", content=body.encode(), headers={"content-type": "application/x-ndjson"}
    )

    assert problem_of(response, 409)["detail"].startswith("line 2: ")
    assert await titles(service) == ["Launch"]


async def test_a_line_that_contradicts_a_rule_of_the_table_is_named(service: Service, database: Database) -> None:
    await database.execute("ALTER TABLE things ADD CONSTRAINT things_are_short CHECK (char_length(name) < 5)")

    response = await service.api.post(
        "/things/import",
        content=b'{"name": "new"}\n{"name": "Launch"}\n',
        headers={"content-type": "application/x-ndjson"},
    )

    assert problem_of(response, 409)["detail"].startswith("line 2: contradicts the rule things_are_short; nothing")
    assert await titles(service) == []
