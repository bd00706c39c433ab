"""Pages have no gaps and repeat nothing while others write."""

import json
import random
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

from pydantic import Field

from service.resource import paging
from tests.service.databases import Database
from tests.service.serving import Service


async def test_pages_miss_nothing_and_repeat_nothing_while_others_write(service: Service, database: Database) -> None:
    chance = random.Random(7)  # noqa: S311 - not a secret
    async with database.connection() as connection:
        ids = [await connection.fetchval("INSERT INTO things (name) VALUES ('old') RETURNING id") for _ in range(60)]
        deleted: set[UUID] = set()
        seen: list[UUID] = []
        path: str | None = "/things?limit=7"
        while path is not None:
            page = (await service.api.get(path)).json()
            seen += [UUID(thing["id"]) for thing in page["items"]]
            path = page["next"]
            await connection.execute("INSERT INTO things (name) VALUES ('new')")
            victim = chance.choice(ids)  # perhaps the last of the page, whose cursor still works
            await connection.execute("DELETE FROM things WHERE id = $1", victim)
            deleted.add(victim)
        assert seen == sorted(seen, reverse=True)

    assert len(seen) == len(set(seen)), "no thing is repeated"
    assert set(ids) - deleted <= set(seen), "no thing that existed all the time is missing"


async def test_the_cursor_of_a_deleted_thing_still_works(service: Service) -> None:
    paths = [await service.create(name=f"thing {number}") for number in range(3)]
    page = (await service.api.get("/things?limit=2")).json()
    await service.api.delete(paths[1])

    rest = (await service.api.get(page["next"])).json()

    assert [thing["name"] for thing in rest["items"]] == ["thing 0"]
    assert rest["next"] is None


async def test_a_full_last_page_has_no_next_one(service: Service) -> None:
    for number in range(2):
        await service.create(name=f"thing {number}")

    answer = await service.api.get("/things?limit=2")

    assert len(answer.json()["items"]) == 2
    assert answer.json()["next"] is None
    assert "link" not in answer.headers


def test_the_path_of_the_next_page_has_the_parameters_as_clients_send_them() -> None:
    class Query(paging.PageQuery):
        since: date = Field(alias="from")
        colours: list[str]

    query = Query.model_validate({"from": "2026-11-26", "colours": ["red", "green"], "limit": 1})
    rows: Any = [{"id": uuid4()}, {"id": uuid4()}]

    answer = paging.answer("/things", query, rows)

    path = json.loads(answer.body)["next"]
    parameters = parse_qs(urlsplit(path).query)
    assert parameters.pop("after")
    assert parameters == {"from": ["2026-11-26"], "colours": ["red", "green"], "limit": ["1"]}
