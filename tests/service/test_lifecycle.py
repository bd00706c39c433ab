"""The states starting -> ready <-> unready -> draining: when a replica reports that it is ready, and how it stops."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest

from service.database.schema import text
from service.lifecycle import Check, Lifecycle, State
from service.migrate.files import expected_version
from tests.probe import things
from tests.service.clients import Clients
from tests.service.commands import run_command
from tests.service.databases import Database, migrate
from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.processes import service_process
from tests.service.serving import serving, settings_for
from tests.waiting import WITHIN, eventually
from workbench.parts.postgres import Postgres

LONG = "3600"  # seconds: longer than any test waits


class Reports:
    """Records whether each report's checks succeeded, and the state after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[bool, State]] = []
        self._waited_for = 0
        self._news = asyncio.Event()
        report = Lifecycle.report

        def record(lifecycle: Lifecycle, checks: Mapping[str, Check], *, ready: bool) -> None:
            report(lifecycle, checks, ready=ready)
            self.seen.append((all(check.ok for check in checks.values()), lifecycle.state))
            self._news.set()

        monkeypatch.setattr(Lifecycle, "report", record)

    async def until(self, wanted: tuple[bool, State]) -> list[tuple[bool, State]]:
        """Waits for a report. Returns all reports since the last one that was waited for, up to this one."""
        async with asyncio.timeout(WITHIN):
            while wanted not in self.seen[self._waited_for :]:
                self._news.clear()
                await self._news.wait()
        begin = self._waited_for
        self._waited_for = self.seen.index(wanted, begin) + 1
        return self.seen[begin : self._waited_for]


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Reports:
    return Reports(monkeypatch)


# The database.


async def test_it_starts_without_a_database_and_is_ready_once_the_database_answers(mortal_postgres: Postgres) -> None:
    await mortal_postgres.stop()
    # Limits longer than the client waits, so that an answer within the client's patience is an immediate answer.
    settings = settings_for(Database(mortal_postgres), acquire_timeout=LONG, request_timeout=LONG)
    async with serving(settings) as service:
        await until_checked(service)

        assert (await service.ops.get("/livez")).status_code == 200
        readiness = await service.readiness()
        assert readiness["state"] == "starting"
        assert not readiness["checks"]["database"]["ok"]
        assert readiness["checks"]["database"]["detail"].startswith("no answer: ")
        problem_of(await service.api.get("/things"), 503)
        problem_of(await service.api.post("/things", json={"name": "Launch"}), 503)
        problem_of(await service.api.get("/things/export"), 503)
        problem_of(await service.api.get("/things/events"), 503)

        await mortal_postgres.start()
        await service.ready()

        await service.create()


async def test_a_schema_that_is_too_old_is_not_ready_until_it_is_migrated(empty_database: Database) -> None:
    async with serving(settings_for(empty_database)) as service:
        await until_checked(service)

        checks = (await service.readiness())["checks"]
        assert not await service.is_ready()
        assert checks["database"]["ok"]
        assert not checks["schema"]["ok"]
        assert checks["schema"]["detail"].startswith("version none found")
        assert "python -m service.migrate" in checks["schema"]["detail"]
        problem_of(await service.api.get("/things"), 503)

        await migrate(empty_database)
        await empty_database.execute(things.SCHEMA)
        await service.ready()

        await service.create()


async def test_a_schema_newer_than_the_code_is_ready(start_service: StartService, database: Database) -> None:
    await database.execute("INSERT INTO schema_migrations VALUES (9999, 'from_the_next_release', '')")

    service = await start_service()

    version = f"version {text({**expected_version(), '': 9999})}"
    assert (await service.readiness())["checks"]["schema"] == {"ok": True, "detail": version}


async def test_consecutive_failures_make_it_unready_and_one_success_makes_it_ready(
    start_service: StartService, database: Database, reports: Reports
) -> None:
    service = await start_service(check_failures=3, check_interval=0.02)
    observed: list[tuple[State, str]] = []
    service.application.lifecycle.observe = lambda state, failed: observed.append((state, failed))

    await database.execute("REVOKE SELECT ON schema_migrations FROM app_rw")
    seen = await reports.until((False, State.UNREADY))
    assert seen[-3:] == [(False, State.READY), (False, State.READY), (False, State.UNREADY)]
    assert not await service.is_ready()
    why = "database: no answer: permission denied for table schema_migrations; schema: unknown"
    assert observed[-2:] == [(State.READY, why), (State.UNREADY, why)]

    await database.execute("GRANT SELECT ON schema_migrations TO app_rw")
    *failed, last = await reports.until((True, State.READY))
    assert set(failed) <= {(False, State.UNREADY)}, "it stays unready until a check succeeds"
    assert last == (True, State.READY)
    assert await service.is_ready()


async def test_a_single_check_without_an_answer_does_not_make_it_unready(
    start_service: StartService, database: Database, reports: Reports
) -> None:
    service = await start_service(check_failures=3, check_interval=0.02)
    await reports.until((True, State.READY))

    async with database.transaction("LOCK TABLE schema_migrations"):
        await reports.until((False, State.READY))
        readiness = await service.readiness()
    seen = await reports.until((True, State.READY))

    assert readiness["state"] == "ready"
    assert readiness["checks"]["database"] == {"ok": False, "detail": "no answer: it did not answer in time"}
    assert {state for _, state in seen} == {State.READY}


# Shutdown.


async def test_sigterm_drains_and_loses_no_request(database: Database) -> None:
    async with service_process(database, SERVICE_DRAIN_DELAY=LONG) as process:
        await process.ready()
        path = await process.create()
        async with changing(process, database, path) as change, process.subscribe() as subscriber:
            process.send(signal.SIGTERM)
            await process.unready()
            assert (await process.readiness())["state"] == "draining"
            answer = await process.api.get(path)
            assert answer.status_code == 200, "requests are still accepted"
            assert answer.headers["connection"] == "close"

            process.send(signal.SIGTERM)  # ends the delay
            blocks = [block async for block in subscriber]
            assert blocks[-1].retry == "100", "the stream ends with a hint to reconnect soon"
            await until_refused(process.api)
            assert (await process.ops.get("/livez")).status_code == 200, "probes are answered to the end"
            assert not change.done()
        assert (await change).status_code == 200

        assert await process.status() == 0


@pytest.mark.parametrize(("number", "delay"), [(signal.SIGTERM, "0.05"), (signal.SIGINT, LONG)])
async def test_it_refuses_connections_after_the_delay_and_at_once_after_sigint(
    database: Database, number: signal.Signals, delay: str
) -> None:
    async with service_process(database, SERVICE_DRAIN_DELAY=delay) as process:
        await process.ready()
        path = await process.create()
        async with changing(process, database, path) as change:
            process.send(number)
            await until_refused(process.api)
        assert (await change).status_code == 200

        assert await process.status() == 0


async def test_a_request_that_outlasts_the_grace_is_cancelled(database: Database) -> None:
    async with service_process(database, SERVICE_SHUTDOWN_GRACE="0.05") as process:
        await process.ready()
        path = await process.create()
        async with changing(process, database, path) as change:
            process.send(signal.SIGINT)

            assert await process.status() == 0
            problem_of(await change, 503)
        assert not [line for line in await process.lines() if "never retrieved" in line], "no handler goes on"


@pytest.mark.parametrize("variable", ["SERVICE_API_BIND", "SERVICE_OPS_BIND"])
async def test_the_error_about_a_port_in_use_says_what_to_do(database: Database, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host, number = taken.getsockname()
        binds = {"SERVICE_API_BIND": "127.0.0.1:0", "SERVICE_OPS_BIND": "127.0.0.1:0", variable: f"{host}:{number}"}

        done = await run_command(
            *(sys.executable, "-m", "service"), SERVICE_DATABASE_URL=database.url("app_rw"), **binds
        )

    assert done.status == 1
    assert "Traceback" not in done.stdout + done.stderr
    [line] = [line for line in done.stdout.splitlines() if json.loads(line)["level"] == "error"]
    assert f"cannot listen on {host}:{number}: Address already in use; " in line
    assert f"choose another {variable}" in line


async def until_checked(service: Clients) -> None:
    async def checked() -> bool:
        return bool((await service.readiness())["checks"])

    await eventually(checked, "the first check ends")


async def until_refused(api: httpx.AsyncClient) -> None:
    """Waits until new connections are refused."""
    url = api.base_url

    async def refused() -> bool:
        try:
            _, writer = await asyncio.open_connection(url.host, url.port)
        except (ConnectionRefusedError, ConnectionResetError):  # the latter, if it closes in the same moment
            return True
        writer.close()
        return False

    await eventually(refused, "new connections are refused")


@asynccontextmanager
async def changing(service: Clients, database: Database, path: str) -> AsyncIterator[asyncio.Task[httpx.Response]]:
    """A request that waits for a lock as long as the block lasts."""
    async with database.locked(path.rpartition("/")[2]):
        change = asyncio.create_task(service.api.put(path, json={"name": "Changed"}))
        await database.until_waiting(1)
        yield change
