"""What goes wrong, one by one. Each fault ends by itself: then all parts run again, and nothing is in the way."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import asyncpg

from tests.faults import clients, disk
from tests.faults.place import Place
from tests.faults.recorder import NO_ANSWER

Inject = Callable[[Place, float], Awaitable[str | None]]
"""Returns when the cause is gone, perhaps with a remark for the table."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and what clients may notice of it."""

    name: str
    inject: Inject
    seconds: float = 0
    """How long it lasts; 0 for what takes the time that it takes."""
    briefly: float | None = None
    """The same among the tests of every change; None: it is not among them."""
    failures: frozenset[str] = frozenset()
    """Kinds of answers that clients may get beside 2xx."""
    where: Literal["anywhere", "network", "small disk"] = "anywhere"
    """Whether it needs a workbench with a network that can be broken, or with a disk that can be filled."""


async def replica_killed(place: Place, seconds: float) -> None:
    await place.stack.replicas[0].kill()
    await asyncio.sleep(seconds)
    await place.stack.start_replica(0)


async def replicas_rolled(place: Place, _: float) -> None:
    for index, replica in enumerate(place.stack.replicas):
        replica.terminate()
        await replica.wait(within=30)
        await place.stack.start_replica(index)
        await place.routed_to(replica)


async def replica_hangs(place: Place, seconds: float) -> None:
    part = place.stack.replicas[0].part
    assert part is not None
    await _stopped([part.pid], seconds)


async def database_killed(place: Place, seconds: float) -> None:
    await place.stack.postgres.kill()
    await asyncio.sleep(seconds)
    await place.stack.postgres.start()


async def database_restarted(place: Place, _: float) -> None:
    await place.stack.postgres.restart()


async def database_hangs(place: Place, seconds: float) -> None:
    await _stopped(place.database_processes(), seconds)


async def sessions_terminated(place: Place, seconds: float) -> None:
    """All of them, ten times a second."""
    connection = await place.connect()
    try:
        for _ in range(round(seconds * 10)):
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_rw'"
            )
            await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def connections_used_up(place: Place, seconds: float) -> None:
    """Somebody else takes every connection that is left; the service has those that it has."""
    async with _all_connections(place):
        await asyncio.sleep(seconds)


async def connections_taken_away(place: Place, seconds: float) -> None:
    """Somebody else takes every connection, the service's too."""
    async with _all_connections(place) as others:
        await others[0].execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_rw'")
        async with _all_connections(place):
            await asyncio.sleep(seconds)


@asynccontextmanager
async def _all_connections(place: Place) -> AsyncGenerator[list["asyncpg.Connection[asyncpg.Record]"]]:
    others: list[asyncpg.Connection[asyncpg.Record]] = []
    try:
        with suppress(asyncpg.TooManyConnectionsError):
            while True:
                others.append(await place.connect())
        yield others
    finally:
        await asyncio.gather(*(connection.close() for connection in others))


async def table_locked(place: Place, seconds: float) -> None:
    connection = await place.connect()
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE app.notes IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(seconds)
    finally:
        await connection.close()


async def statements_too_slow(place: Place, seconds: float) -> None:
    """Every insertion takes longer than the statement timeout."""
    connection = await place.connect()
    try:
        await connection.execute(
            "CREATE FUNCTION app.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); "
            "RETURN NEW; END $$; CREATE TRIGGER slow BEFORE INSERT ON app.notes EXECUTE FUNCTION app.slow()"
        )
        await asyncio.sleep(seconds)
        # Statements that run may hold the table for as long as they may run.
        await connection.execute("DROP TRIGGER slow ON app.notes; DROP FUNCTION app.slow()")
    finally:
        await connection.close()


async def ingress_restarted(place: Place, _: float) -> None:
    await place.stack.envoy.stop()
    await place.stack.envoy.start()


async def network_slow(place: Place, seconds: float) -> None:
    assert place.network is not None
    place.network.delay = 0.1  # 200 ms there and back
    await asyncio.sleep(seconds)
    place.network.delay = 0


async def network_cut(place: Place, seconds: float) -> None:
    assert place.network is not None
    place.network.cut()
    await asyncio.sleep(seconds)
    place.network.mend()


async def _stopped(pids: Iterable[int], seconds: float) -> None:
    pids = list(pids)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):  # one that ended just before
                os.kill(pid, signal.SIGCONT)


_UNAVAILABLE = frozenset({"503"})

FAULTS = (
    # A connection that broke before the answer: only what may be repeated is.
    Fault("replica, kill -9", replica_killed, 2, 0.5, _UNAVAILABLE),
    Fault("all replicas, SIGTERM one by one", replicas_rolled, briefly=0),
    # A write without a key may have been done, so nobody repeats it: 504 when the ingress's time is over.
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
    Fault("clients' clocks jump by ten years", clients.clock_jumps, briefly=0),
    Fault("network to PostgreSQL, 200 ms slower", network_slow, 10, 2, _UNAVAILABLE, where="network"),
    Fault("network to PostgreSQL, cut", network_cut, 10, 3, _UNAVAILABLE, where="network"),
)
