"""Lists and exports from a standby: a client reads what it wrote, also while the standby is behind."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from service.freshness import NEWEST, POSITION
from tests.service.databases import Database
from tests.service.problems import problem_of
from tests.service.serving import Service, serving, settings_for
from tests.service.standby import standby_of
from tests.waiting import eventually
from workbench.parts.postgres import SUPERUSER, Postgres

RELOADS = ("no-cache", "max-age=0", "no-store", "private, no-cache")


@pytest.fixture(scope="module")
async def standby(mortal_server: Postgres, new_data: Callable[[], Path]) -> AsyncIterator[Postgres]:
    folder = new_data().parent / "standby"
    folder.mkdir()
    async with standby_of(mortal_server, folder) as standby:
        yield standby


@pytest.fixture
async def service(mortal_postgres: Postgres, standby: Postgres) -> AsyncIterator[Service]:
    settings = settings_for(Database(mortal_postgres), database_standby_url=Database(standby).url("app_rw"))
    async with serving(settings) as service:
        await service.ready()
        yield service


@pytest.fixture
async def behind(standby: Postgres) -> AsyncIterator[None]:
    """The standby replays nothing during the test."""
    async with Database(standby).connection(SUPERUSER) as connection:
        await connection.execute("SELECT pg_wal_replay_pause()")

        async def paused() -> bool:
            return bool(await connection.fetchval("SELECT pg_get_wal_replay_pause_state() = 'paused'"))

        await eventually(paused, "the standby pauses")
        yield
        await connection.execute("SELECT pg_wal_replay_resume()")


async def names(client: httpx.AsyncClient, headers: dict[str, str] | None = None) -> list[str]:
    answer = await client.get("/things", params={"limit": 1}, headers=headers)
    assert answer.status_code == 200, answer.text
    return [thing["name"] for thing in answer.json()["items"]]


async def write(service: Service, name: str) -> str:
    """Returns the position that the answer tells, and forgets the cookie, as clients do that keep none."""
    answer = await service.api.post("/things", json={"name": name})
    assert answer.status_code == 201
    assert f"{POSITION}={answer.headers[POSITION]};" in answer.headers["set-cookie"]
    service.api.cookies.clear()
    return answer.headers[POSITION]


async def read_by(service: Service, server: str) -> float:
    return await service.metric("db_standby_reads_total", server=server)


async def test_lists_are_read_from_the_standby(service: Service) -> None:
    await write(service, "replayed")

    async def seen() -> bool:
        return await names(service.api) == ["replayed"]

    await eventually(seen, "the standby has it")
    assert await read_by(service, "primary") == 0


async def test_who_does_not_say_what_it_wrote_may_read_an_older_state(service: Service, behind: None) -> None:
    """This shows that the standby is behind in the tests below."""
    await write(service, "not replayed")

    assert await names(service.api) != ["not replayed"]


async def test_a_client_that_keeps_cookies_reads_what_it_wrote(service: Service, behind: None) -> None:
    assert (await service.api.post("/things", json={"name": "by cookie"})).status_code == 201

    assert await names(service.api) == ["by cookie"]
    assert (await service.api.get("/things/export")).text.splitlines()[-1].count("by cookie") == 1
    assert await read_by(service, "standby") == 0


async def test_a_client_that_sends_the_header_reads_what_it_wrote(service: Service, behind: None) -> None:
    position = await write(service, "by header")

    assert await names(service.api, {POSITION: position}) == ["by header"]


async def test_the_standby_is_asked_again_when_it_has_caught_up(service: Service) -> None:
    position = await write(service, "caught up")

    async def answered() -> bool:
        assert await names(service.api, {POSITION: position}) == ["caught up"]
        return await read_by(service, "standby") > 0

    await eventually(answered, "the standby has replayed the write")


@pytest.mark.parametrize("directive", RELOADS)
async def test_a_client_can_ask_for_the_newest_state(service: Service, behind: None, directive: str) -> None:
    await write(service, directive)

    assert await names(service.api, {"cache-control": directive}) == [directive]


@pytest.mark.parametrize("position", [NEWEST, "0/G", "1/2; DROP", "FFFFFFFF/FFFFFFFF"])
async def test_a_position_that_is_none_leads_to_the_primary(service: Service, behind: None, position: str) -> None:
    await write(service, f"at {position}")

    assert await names(service.api, {POSITION: position}) == [f"at {position}"]


async def test_members_are_read_from_the_primary(service: Service, behind: None) -> None:
    created = await service.api.post("/things", json={"name": "one"})
    service.api.cookies.clear()

    assert (await service.api.get(created.headers["location"])).json()["name"] == "one"


async def test_a_refused_request_has_no_position(service: Service) -> None:
    answer = await service.api.post("/things", json={})

    problem_of(answer, 422)
    assert POSITION not in answer.headers


async def test_without_the_standby_the_primary_answers(mortal_postgres: Postgres, standby: Postgres) -> None:
    settings = settings_for(Database(mortal_postgres), database_standby_url=Database(standby).url("app_rw"))
    async with serving(settings) as service:
        await service.ready()
        await standby.kill()
        try:
            await write(service, "alone")
            assert await names(service.api) == ["alone"]
        finally:
            await standby.start()


async def test_if_nobody_knows_how_far_a_failed_write_came_its_client_reads_the_newest_state(
    mortal_postgres: Postgres, standby: Postgres
) -> None:
    settings = settings_for(
        Database(mortal_postgres),
        database_standby_url=Database(standby).url("app_rw"),
        acquire_timeout=1,
        statement_timeout=1,
    )
    async with serving(settings) as service:
        await service.ready()
        await mortal_postgres.kill()

        answer = await service.api.post("/things", json={"name": "lost"})

        problem_of(answer, 503)
        assert answer.headers[POSITION] == NEWEST
