"""`python -m service.migrate`."""

import signal
import sys
from itertools import islice
from pathlib import Path

import pytest

from service.database.schema import text
from service.migrate.apply import LINE_INTERVALS, doubling
from service.migrate.files import expected_version, read
from tests.service.commands import ended, run_command, running
from tests.service.databases import Database
from tests.service.migrate.folders import tables
from tests.waiting import WITHIN, eventually

MIGRATE = (sys.executable, "-m", "service.migrate")


async def test_the_command_prints_what_it_applied(empty_database: Database) -> None:
    url = empty_database.url("app_owner")

    done = await run_command(*MIGRATE, SERVICE_DATABASE_OWNER_URL=url)

    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        *(f"migrate: applied {migration.file}" for migration in read()),
        f"migrate: the schema is at version {text(expected_version())}",
    ]


async def test_the_command_prints_an_error_as_one_line(empty_database: Database) -> None:
    url = Database(empty_database.server, "nowhere").url("app_owner")

    done = await run_command(*MIGRATE, SERVICE_DATABASE_OWNER_URL=url)

    assert (done.status, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("migrate: cannot connect")


@pytest.mark.parametrize(
    ("wait", "says"),
    [(["--wait"], ""), (["--wait", f"{WITHIN:g}"], f", {WITHIN:g} s at most")],
    ids=["endless", "limited"],
)
async def test_the_command_waits_for_a_database_that_is_not_up_yet(
    empty_database: Database, tmp_path: Path, wait: list[str], says: str
) -> None:
    sockets = str(empty_database.server.sockets)
    later = tmp_path / "later"
    url = empty_database.url("app_owner").replace(sockets, str(later))

    async with running(*MIGRATE, *wait, SERVICE_DATABASE_OWNER_URL=url) as process:
        assert process.stderr
        lines = [(await process.stderr.readline()).decode() for _ in range(3)]
        later.symlink_to(sockets)
        done = await ended(process)

    for line in lines:
        assert line.startswith("migrate: cannot connect as the owner of the schema: ")
        assert line.endswith(f" s so far{says}\n")
    so_far = [int(line.rpartition("; waiting for it, ")[2].partition(" ")[0]) for line in lines]
    assert so_far == sorted({*so_far}), "each line comes later than the one before"
    assert done.status == 0
    assert await tables(empty_database)


def test_what_the_command_waits_for_is_said_at_growing_distances() -> None:
    assert [*islice(doubling(*LINE_INTERVALS), 11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


async def test_the_command_gives_up_after_the_given_time(tmp_path: Path) -> None:
    url = f"postgresql://app_owner@/app?host={tmp_path}"

    done = await run_command(*MIGRATE, "--wait", "0.1", SERVICE_DATABASE_OWNER_URL=url)

    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].endswith("check SERVICE_DATABASE_OWNER_URL")


async def test_the_command_does_not_retry_after_a_permanent_error(empty_database: Database) -> None:
    url = Database(empty_database.server, "nowhere").url("app_owner")

    done = await run_command(*MIGRATE, "--wait", SERVICE_DATABASE_OWNER_URL=url)

    assert done.status == 1
    [line] = done.stderr.splitlines()
    assert '"nowhere" does not exist' in line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_cancels_the_running_statement(empty_database: Database, number: signal.Signals) -> None:
    url = empty_database.url("app_owner")
    first = "CREATE TABLE schema_migrations ()"
    async with empty_database.connection() as other, empty_database.transaction(first):

        async def waits() -> bool:
            return bool(await other.fetchval("SELECT bool_or(NOT granted) FROM pg_locks"))

        async def disconnected() -> bool:
            sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            return bool(await other.fetchval(sessions) == 2)

        async with running(*MIGRATE, SERVICE_DATABASE_OWNER_URL=url) as process:
            await eventually(waits, "the migration waits for a table of the same name")
            process.send_signal(number)
            done = await ended(process)
        await eventually(disconnected, "the session of the migration has ended")

    assert (done.status, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("migrate: stopped by a signal")
    assert await tables(empty_database) == {"schema_migrations"}
