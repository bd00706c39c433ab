"""What is said of a restore to a moment, for restores that do what they should, nothing, or too much."""

from datetime import datetime

import asyncpg
import pytest

from tests.faults.restored import restored
from tests.faults.site import Site
from tests.probe.collection import THINGS
from workbench.parts.postgres import SUPERUSER

RATE = 20


async def delete(site: Site, condition: str, moment: str) -> None:
    connection = await asyncpg.connect(site.stack.postgres.url(SUPERUSER))
    try:
        await connection.execute(
            f"DELETE FROM app.things WHERE uuid_extract_timestamp(id) {condition} $1",  # noqa: S608 - of this file
            datetime.fromisoformat(moment),
        )
    finally:
        await connection.close()


async def test_what_is_written_after_the_moment_is_undone_and_the_rest_kept(workbench: Site) -> None:
    ended = await restored(workbench.url, THINGS, RATE, lambda moment: delete(workbench, ">", moment), load=1)

    assert ended.verdict.acknowledged > 0
    assert (ended.verdict.lost, ended.verdict.duplicated, ended.verdict.unsettled) == ([], [], [])
    assert "later writes undone" in ended.remark


async def test_what_was_written_before_the_moment_must_not_be_lost(workbench: Site) -> None:
    ended = await restored(
        workbench.url, THINGS, RATE, lambda moment: delete(workbench, "IS DISTINCT FROM", moment), load=1
    )

    assert ended.verdict.lost


async def test_a_restore_that_does_nothing_is_an_error(workbench: Site) -> None:
    async def nothing(_: str) -> None:
        pass

    with pytest.raises(RuntimeError, match="each later write is still there"):
        await restored(workbench.url, THINGS, RATE, nothing, load=1)
