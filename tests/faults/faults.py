"""The faults. Each one ends by itself and leaves all parts running, as they were before."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import asyncpg

from tests.faults import clients, disk
from tests.faults.recorder import NO_ANSWER
from tests.faults.site import Site

Inject = Callable[[Site, float], Awaitable[str | None]]
"""Returns when the cause is gone, perhaps with a remark for the table."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and what clients may notice."""

    name: str
    inject: Inject
    seconds: float = 0
    """How long it lasts; 0 if the fault itself decides."""
    briefly: float | None = None
    """How long it lasts in the tests of every change; None leaves it out there."""
    failures: frozenset[str] = frozenset()
    """The kinds of answers other than 2xx that clients may get."""
    where: Literal["anywhere", "network", "small disk"] = "anywhere"
    """Which workbench it needs: any, one whose network can be broken, or one whose disk can be filled."""


async def replica_killed(site: Site, seconds: float) -> None:
    await site.stack.replicas[0].kill()
    await asyncio.sleep(seconds)
    await site.stack.start_replica(0)


async def replicas_rolled(site: Site, _: float) -> None:
    for index, replica in enumerate(site.stack.replicas):
        replica.terminate()
        await replica.wait(within=30)
        await site.stack.start_replica(index)
        await site.routed_to(replica)


async def replica_hangs(site: Site, seconds: float) -> None:
    part = site.stack.replicas[0].part
    assert part is not None
    await _stopped([part.pid], seconds)


async def database_killed(site: Site, seconds: float) -> None:
    await site.stack.postgres.kill()
    await asyncio.sleep(seconds)
    await site.stack.postgres.start()


async def database_restarted(site: Site, _: float) -> None:
    await site.stack.postgres.restart()


async def database_hangs(site: Site, seconds: float) -> None:
    await _stopped(site.database_processes(), seconds)


async def sessions_terminated(site: Site, seconds: float) -> None:
    """Terminates all sessions ten times a second."""
    connection = await site.connect()
    try:
        for _ in range(round(seconds * 10)):
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_rw'"
            )
            await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def connections_used_up(site: Site, seconds: float) -> None:
    """Other clients take every connection that is left; the service keeps its own."""
    async with _all_connections(site):
        await asyncio.sleep(seconds)


async def connections_taken_away(site: Site, seconds: float) -> None:
    """Other clients take every connection, including those of the service."""
    async with _all_connections(site) as others:
        await others[0].execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_rw'")
        async with _all_connections(site):
            await asyncio.sleep(seconds)


@asynccontextmanager
async def _all_connections(site: Site) -> AsyncGenerator[list["asyncpg.Connection[asyncpg.Record]"]]:
    others: list[asyncpg.Connection[asyncpg.Record]] = []
    try:
        with suppress(asyncpg.TooManyConnectionsError):
            while True:
                others.append(await site.connect())
        yield others
    finally:
        await asyncio.gather(*(connection.close() for connection in others))


async def table_locked(site: Site, seconds: float) -> None:
    connection = await site.connect()
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {site.collection.table} IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(seconds)
    finally:
        await connection.close()


async def statements_too_slow(site: Site, seconds: float) -> None:
    """Every INSERT takes longer than the statement timeout."""
    connection, table = await site.connect(), site.collection.table
    try:
        await connection.execute(
            "CREATE FUNCTION app.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); "
            f"RETURN NEW; END $$; CREATE TRIGGER slow BEFORE INSERT ON {table} EXECUTE FUNCTION app.slow()"
        )
        await asyncio.sleep(seconds)
        # Waits for running statements, which hold the table until their timeout.
        await connection.execute(f"DROP TRIGGER slow ON {table}; DROP FUNCTION app.slow()")
    finally:
        await connection.close()


async def ingress_restarted(site: Site, _: float) -> None:
    await site.stack.envoy.stop()
    await site.stack.envoy.start()


async def network_slow(site: Site, seconds: float) -> None:
    assert site.network is not None
    site.network.delay = 0.1  # a round trip takes 200 ms
    await asyncio.sleep(seconds)
    site.network.delay = 0


async def network_cut(site: Site, seconds: float) -> None:
    assert site.network is not None
    site.network.cut()
    await asyncio.sleep(seconds)
    site.network.mend()


async def _stopped(pids: Iterable[int], seconds: float) -> None:
    pids = list(pids)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGCONT)


_UNAVAILABLE = frozenset({"503"})

FAULTS = (
    # The connection breaks before the answer, and the ingress repeats only requests that are safe to repeat.
    Fault("replica, kill -9", replica_killed, 2, 0.5, _UNAVAILABLE),
    Fault("all replicas, SIGTERM one by one", replicas_rolled, briefly=0),
    # A write without a key may have been done, so nothing repeats it: the ingress answers 504 after its timeout.
    Fault("replica, SIGSTOP", replica_hangs, 20, failures=frozenset({"503", "504"})),
    Fault("PostgreSQL, kill -9", database_killed, 2, 0.5, _UNAVAILABLE),
    Fault("PostgreSQL, restart", database_restarted, briefly=0, failures=_UNAVAILABLE),
    Fault("PostgreSQL, SIGSTOP", database_hangs, 10, failures=_UNAVAILABLE),
    Fault("all sessions terminated, 10 times a second", sessions_terminated, 5, 1, _UNAVAILABLE),
    Fault("max_connections used up by others", connections_used_up, 10, 1, _UNAVAILABLE),
    Fault("max_connections, and the service's own taken", connections_taken_away, 10, 1, _UNAVAILABLE),
    Fault("table locked", table_locked, 15, 2.5, _UNAVAILABLE),
    Fault("statements beyond their timeout", statements_too_slow, 10, failures=_UNAVAILABLE),
    Fault("disk of PostgreSQL full", disk.full, 10, failures=_UNAVAILABLE, where="small disk"),
    Fault("Envoy, restart", ingress_restarted, briefly=0, failures=frozenset({"503", NO_ANSWER})),
    Fault("clients leave in the middle of imports", clients.imports_left, 5, 1),
    Fault("clients read exports at 1 kB/s", clients.exports_read_slowly, 20, 3, _UNAVAILABLE),
    Fault("network to PostgreSQL, 200 ms slower", network_slow, 10, 2, _UNAVAILABLE, where="network"),
    Fault("network to PostgreSQL, cut", network_cut, 10, 3, _UNAVAILABLE, where="network"),
)
