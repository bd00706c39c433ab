"""GET / for clients, who poll it: it says whether the database answers."""

import logging
from collections.abc import Sequence

import pytest

from service import pages
from service.domain import Domain
from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.serving import PROBE, serving, settings_for
from tests.waiting import eventually
from workbench.parts.postgres import Postgres

WITH_PAGES = (*PROBE, pages.DOMAIN)


@pytest.fixture(scope="session")
def domains() -> Sequence[Domain]:
    return WITH_PAGES


async def test_the_status_of_the_database_follows_the_readiness_check(mortal_postgres: Postgres) -> None:
    await mortal_postgres.stop()
    async with serving(settings_for(Database(mortal_postgres), WITH_PAGES), domains=WITH_PAGES) as service:

        async def checked() -> bool:
            return bool((await service.readiness())["checks"])

        await eventually(checked, "the first check is done")
        assert (await service.api.get("/")).json()["database"] == {"status": "unavailable", "version": None}

        await mortal_postgres.start()
        await service.ready()

        assert (await service.api.get("/")).json()["database"]["status"] == "available"


@pytest.mark.parametrize(("headers", "level"), [({"x-poll": "1"}, "DEBUG"), ({}, "INFO")])
async def test_the_polls_of_the_page_are_logged_at_debug_level_only(
    start_service: StartService, caplog: pytest.LogCaptureFixture, headers: dict[str, str], level: str
) -> None:
    service = await start_service()

    async def logged() -> bool:
        return bool(lines())

    def lines() -> list[str]:
        return [record.levelname for record in caplog.records if record.name == "service.access"]

    with caplog.at_level(logging.DEBUG, "service.access"):
        await service.api.get("/", headers=headers)
        await eventually(logged, "the request has its line, which follows the answer")

    assert lines() == [level]
