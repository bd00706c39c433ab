"""The database of the workbench: its roles, its server, and every state that a data folder can be in."""

import asyncio
import io
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.waiting import WITHIN, eventually
from workbench.console import Console
from workbench.errors import DataFolderError, StepFailed
from workbench.machine import unprivileged
from workbench.machine.folders import SOCKET_PATH_LIMIT, run_folder
from workbench.parts import process as processes
from workbench.parts.pgdata import NOT_DURABLE, open_postgres
from workbench.parts.postgres import SUPERUSER, Postgres, postgres_environment, program

NewData = Callable[[], Path]


class Screen(Console):
    """A console that keeps its output."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        super().__init__(self._text)

    @property
    def text(self) -> str:
        return self._text.getvalue()


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def data(new_data: NewData) -> Path:
    return new_data()


@pytest.fixture
def run(data: Path) -> Iterator[Path]:
    with run_folder(data) as run:
        yield run


@pytest.fixture
async def postgres(data: Path, run: Path, screen: Screen) -> AsyncIterator[Postgres]:
    async with await open_postgres(data, run, screen, NOT_DURABLE) as postgres:
        yield postgres


@pytest.fixture(scope="module")
async def shared(new_data: NewData) -> AsyncIterator[Postgres]:
    """A server for tests that only send queries."""
    data = new_data()
    with run_folder(data) as run:
        async with await open_postgres(data, run, Screen(), NOT_DURABLE) as postgres:
            yield postgres


async def passwords(postgres: Postgres) -> dict[str, str | None]:
    """The hashed passwords of the roles that can log in."""
    connection = await asyncpg.connect(postgres.url(SUPERUSER, "postgres"))
    try:
        rows = await connection.fetch("SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin")
    finally:
        await connection.close()
    return {row["rolname"]: row["rolpassword"] for row in rows}


async def exists(path: Path) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            if os.access(path, os.F_OK):
                return
            await asyncio.sleep(0.01)


async def fetch(postgres: Postgres, role: str, sql: str) -> object:
    connection = await asyncpg.connect(postgres.url(role))
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


class TestRoles:
    async def test_the_service_can_change_rows_but_not_tables(self, shared: Postgres) -> None:
        await fetch(shared, "app_owner", "CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY, name text)")
        assert await fetch(shared, "app_rw", "INSERT INTO thing (name) VALUES ('a') RETURNING id") == 1
        assert await fetch(shared, "app_rw", "UPDATE app.thing SET name = 'b' RETURNING name") == "b"
        assert await fetch(shared, "app_rw", "DELETE FROM thing RETURNING id") == 1
        for refused in (
            "CREATE TABLE other ()",
            "CREATE TABLE public.other ()",
            "CREATE TEMPORARY TABLE other ()",
            "ALTER TABLE thing ADD COLUMN more text",
            "DROP TABLE thing",
            "TRUNCATE thing",
        ):
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.InvalidSchemaNameError)):
                await fetch(shared, "app_rw", refused)

    async def test_the_exporter_reads_statistics_but_no_rows(self, shared: Postgres) -> None:
        await fetch(shared, "app_owner", "CREATE TABLE IF NOT EXISTS thing ()")
        assert await fetch(shared, "metrics", "SELECT pg_has_role('pg_monitor', 'usage')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await fetch(shared, "metrics", "SELECT count(*) FROM app.thing")

    @pytest.mark.parametrize(
        ("role", "setting", "value"),
        [
            ("app_owner", "search_path", "app"),
            ("app_rw", "search_path", "app"),
            ("app_rw", "statement_timeout", "5s"),
            ("app_rw", "lock_timeout", "2s"),
            ("app_rw", "idle_in_transaction_session_timeout", "10s"),
            ("app_rw", "max_parallel_workers_per_gather", "0"),
            ("app_rw", "jit", "off"),
            ("metrics", "default_transaction_read_only", "on"),
        ],
    )
    async def test_settings(self, shared: Postgres, role: str, setting: str, value: str) -> None:
        assert await fetch(shared, role, f"SHOW {setting}") == value

    async def test_no_role_reaches_another_database(self, shared: Postgres) -> None:
        for role in ("app_owner", "app_rw", "metrics"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(shared.url(role, "postgres"))

    async def test_no_role_has_a_password(self, shared: Postgres) -> None:
        assert set((await passwords(shared)).values()) == {None}

    async def test_text_has_the_same_order_on_every_platform(self, shared: Postgres) -> None:
        sql = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'app'"
        assert await fetch(shared, "app_rw", sql) == "bC.UTF-8"


class TestServer:
    async def test_only_its_user_reaches_it(self, postgres: Postgres) -> None:
        assert await fetch(postgres, "app_rw", "SHOW listen_addresses") == ""
        assert postgres.sockets.stat().st_mode & 0o777 == 0o700
        assert postgres.sockets.stat().st_uid == unprivileged.owner()

    async def test_runs_as_a_user_without_privileges(self, postgres: Postgres) -> None:
        assert (postgres.sockets / ".s.PGSQL.5432").stat().st_uid == unprivileged.owner() != 0

    async def test_data_survives_a_stop_and_a_crash(self, postgres: Postgres) -> None:
        await fetch(postgres, "app_owner", "CREATE TABLE kept AS SELECT 1 AS value")
        await postgres.restart()
        assert await fetch(postgres, "app_rw", "SELECT value FROM kept") == 1
        client = await asyncpg.connect(postgres.url("app_rw"))  # its process ends a moment after the killed server
        await postgres.kill()
        await postgres.start()
        assert await fetch(postgres, "app_rw", "SELECT value FROM kept") == 1
        client.terminate()

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the working directory of a process")
    async def test_a_query_that_computes_when_its_server_is_killed(self, postgres: Postgres, screen: Screen) -> None:
        client = await asyncpg.connect(postgres.url(SUPERUSER))
        bystander = await asyncio.create_subprocess_exec(
            "sleep", "60", cwd=postgres.pgdata
        )  # such as a person's shell
        computing = asyncio.create_task(client.execute("DO 'BEGIN LOOP END LOOP; END'"))

        async def is_computing() -> bool:
            sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO %'"
            return await fetch(postgres, SUPERUSER, sql) == 1

        await eventually(is_computing, "the query computes")
        assert postgres.part
        os.kill(postgres.part.pid, signal.SIGKILL)
        await postgres.start()
        assert await fetch(postgres, "app_rw", "SELECT 1") == 1
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await computing
        assert bystander.returncode is None
        bystander.kill()
        await bystander.wait()
        assert "FATAL" not in screen.text

    async def test_a_stop_does_not_wait_for_clients(self, postgres: Postgres, screen: Screen) -> None:
        client = await asyncpg.connect(postgres.url("app_rw"))
        await postgres.stop()
        client.terminate()
        # If it had waited for the client, it would have got SIGQUIT, and its next start would need a recovery.
        command = program("pg_controldata"), "-D", postgres.pgdata
        await processes.run("state", *command, console=screen, env=postgres_environment(), within=WITHIN)
        assert re.search(r"Database cluster state: +shut down$", screen.text, re.MULTILINE)

    async def test_shows_errors_but_no_other_messages(self, postgres: Postgres, screen: Screen) -> None:
        with pytest.raises(asyncpg.UndefinedTableError):
            await fetch(postgres, "app_rw", "SELECT 1 FROM missing")
        await postgres.stop()
        assert 'postgres │ ERROR:  relation "missing" does not exist' in screen.text
        assert "LOG:" not in screen.text

    async def test_a_client_may_end_before_its_statement(self, postgres: Postgres, screen: Screen) -> None:
        client = await asyncpg.connect(postgres.url("app_rw"))
        count = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {client.get_server_pid()}"  # noqa: S608 - a number
        reading = asyncio.create_task(client.execute("SELECT repeat('x', 1000) FROM generate_series(1, 10000000)"))

        async def is_sending() -> bool:
            return await fetch(postgres, SUPERUSER, f"{count} AND state = 'active'") == 1

        async def is_gone() -> bool:
            return await fetch(postgres, SUPERUSER, count) == 0

        await eventually(is_sending, "the server sends rows")
        client.terminate()
        with pytest.raises(asyncpg.PostgresConnectionError):
            await reading
        await eventually(is_gone, "the server has noticed that the client is gone")
        await postgres.stop()
        assert "lost" not in screen.text

    async def test_a_long_path_is_no_problem(self, data: Path, screen: Screen) -> None:
        long = data / ("long" * 20) / ("er" * 20)
        long.mkdir(parents=True)
        (data / "postgres").rename(long / "postgres")
        with run_folder(long) as run:
            assert len(str(run)) < SOCKET_PATH_LIMIT < len(str(long))
            async with await open_postgres(long, run, screen, NOT_DURABLE) as postgres:
                assert await fetch(postgres, "app_rw", "SELECT 1") == 1
        assert not run.exists()

    async def test_an_error_in_a_script_is_shown_with_its_line(self, postgres: Postgres, tmp_path: Path) -> None:
        script = tmp_path / "script.sql"
        script.write_text("SELECT 1;\nSELECT nonsense;\n")
        with pytest.raises(
            StepFailed, match=r'psql failed \(exit status 3\): .*script.sql:2: ERROR:  column "nonsense"'
        ):
            await postgres.psql(script)


class TestDataFolder:
    async def test_an_interrupted_first_start_leaves_no_files(self, tmp_path: Path, screen: Screen) -> None:
        with run_folder(tmp_path) as run:
            opening = asyncio.create_task(open_postgres(tmp_path, run, screen, NOT_DURABLE))
            await exists(tmp_path / "postgres.new" / "PG_VERSION")
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        assert os.listdir(tmp_path) == []

    async def test_an_unfinished_folder_is_replaced(self, database_template: Path) -> None:
        assert set(os.listdir(database_template)) == {"postgres", "log"}

    async def test_a_damaged_folder(self, data: Path, run: Path, screen: Screen) -> None:
        (data / "postgres" / "global" / "pg_control").write_bytes(b"")
        postgres = await open_postgres(data, run, screen, NOT_DURABLE)
        with pytest.raises(DataFolderError, match=r"PANIC: .*pg_control.*`make reset` removes it"):
            await postgres.start()
        assert postgres.part
        assert not postgres.part.running

    async def test_a_folder_of_another_version(self, data: Path, run: Path, screen: Screen) -> None:
        (data / "postgres" / "PG_VERSION").write_text("16\n")
        with pytest.raises(DataFolderError, match=r"made by PostgreSQL 16, this is PostgreSQL 18: .*`make reset`"):
            await open_postgres(data, run, screen, NOT_DURABLE)

    async def test_a_folder_with_other_content(self, data: Path, run: Path, screen: Screen) -> None:
        (data / "postgres" / "PG_VERSION").unlink()
        with pytest.raises(DataFolderError, match="is not a PostgreSQL data folder"):
            await open_postgres(data, run, screen, NOT_DURABLE)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of a folder")
    async def test_a_folder_of_another_user(self, data: Path, run: Path, screen: Screen) -> None:
        os.chown(data / "postgres", 1, 1)
        with pytest.raises(DataFolderError, match=r"was made by (\w+): run as \1"):
            await open_postgres(data, run, screen, NOT_DURABLE)

    async def test_a_process_id_of_another_program(self, data: Path, run: Path, screen: Screen) -> None:
        other = await asyncio.create_subprocess_exec("sleep", "60")
        try:
            (data / "postgres" / "postmaster.pid").write_text(f"{other.pid}\n{data / 'postgres'}\n")
            async with await open_postgres(data, run, screen, NOT_DURABLE) as postgres:
                assert await fetch(postgres, "app_rw", "SELECT 1") == 1
            assert other.returncode is None
        finally:
            other.kill()
            await other.wait()

    async def test_a_leftover_server_is_stopped(self, data: Path, screen: Screen) -> None:
        with run_folder(data) as run:
            leftover = await open_postgres(data, run, screen, NOT_DURABLE)
            await leftover.start()
            assert leftover.part
            shutil.rmtree(run)
        with run_folder(data) as run:
            async with await open_postgres(data, run, screen, NOT_DURABLE) as postgres:
                assert await leftover.part.wait(WITHIN) == 0
                assert await fetch(postgres, "app_rw", "SELECT 1") == 1
        assert f"process {leftover.part.pid} of a killed workbench still runs: stopping it" in screen.text
