"""make bench-owners: what it costs that notes belong to users, compared with public notes in a table without owners.

The public form runs twice: the difference between these two is the error of the measurement.
"""

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import date
from statistics import median

from bench.notes.speed import wrk
from bench.notes.speed.arena import Arena, Runner, opened
from bench.notes.speed.contenders import SERVICE, Contender
from workbench.errors import WorkbenchError

_PUBLIC = "public_notes"
"""A database without row-level security."""
_USER = "ada"
_ENDPOINTS = ("note", "list", "create")
_CONNECTIONS = 16
_ROWS = 10_000
_WARM_UP = 3  # s


def contenders(arena: Arena) -> list[Contender]:
    command = ("-m", "bench.notes.speed.public", arena.postgres.url("app_rw", _PUBLIC))
    public = replace(SERVICE, name="public", command=command)
    return [
        public,
        replace(public, name="public, again"),
        replace(SERVICE, name="owned, no users"),
        replace(SERVICE, name="owned, of a user", settings={"SERVICE_IDENTITY": "gateway"}),
    ]


async def prepare(arena: Arena) -> None:
    """Gives the notes to the user, and copies them to a database where they are public."""
    await arena.fill(_ROWS)
    async with arena.superuser() as connection:
        await connection.execute("ALTER TABLE notes DISABLE TRIGGER USER")
        await connection.execute("UPDATE notes SET owner = $1", _USER)
        await connection.execute("ALTER TABLE notes ENABLE TRIGGER USER")
        await connection.execute("VACUUM (FULL, ANALYZE) notes")
    async with arena.superuser("postgres") as connection:
        await connection.execute(f"DROP DATABASE IF EXISTS {_PUBLIC} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {_PUBLIC} TEMPLATE app STRATEGY FILE_COPY")
        await connection.execute(f"ALTER ROLE app_rw IN DATABASE {_PUBLIC} SET search_path = app")
    async with arena.superuser(_PUBLIC) as connection:
        await connection.execute("ALTER TABLE notes DISABLE ROW LEVEL SECURITY; DROP INDEX notes_owner_id_idx")


@dataclass(frozen=True)
class Cost:
    """CPU of a request, in us."""

    service: float
    database: float

    @property
    def both(self) -> float:
        return self.service + self.database


async def measure(arena: Arena, runner: Runner, endpoint: str, seconds: int) -> Cost:
    service, database = runner.cpu_seconds, arena.database_cpu_seconds
    run = await wrk.run(runner.port, replace(arena.load(endpoint), user=_USER), _CONNECTIONS, seconds)
    if not run.requests:
        raise wrk.LoadFailed(f"{runner.contender.name}: no request was answered; the machine is too busy")
    service, database = runner.cpu_seconds - service, arena.database_cpu_seconds - database
    return Cost(service / run.requests * 1e6, database / run.requests * 1e6)


async def run(rounds: int, seconds: int) -> None:
    wrk.check()
    costs: dict[tuple[str, str], list[Cost]] = {}
    async with opened() as arena, AsyncExitStack() as stack:
        await prepare(arena)
        runners = [await stack.enter_async_context(arena.running(contender)) for contender in contenders(arena)]
        for runner in runners:
            await measure(arena, runner, "note", _WARM_UP)
        for number in range(1, rounds + 1):
            sys.stderr.write(f"round {number} of {rounds}\n")
            for endpoint in _ENDPOINTS:
                for runner in runners:
                    cost = await measure(arena, runner, endpoint, seconds)
                    costs.setdefault((endpoint, runner.contender.name), []).append(cost)
    python, cpus = platform.python_version(), os.cpu_count()
    lines = [f"{date.today()}, Python {python}, {cpus} CPUs, {rounds} rounds of {seconds} s"]
    for (endpoint, name), measured in costs.items():
        public = costs[endpoint, "public"]
        lines.append(
            f"{endpoint:8} {name:18}"
            f"{median(cost.service for cost in measured):7.0f} us of CPU of the service"
            f"{median(cost.database for cost in measured):7.0f} us of PostgreSQL's;"
            f" times public: {_ratio(measured, public, 'service')}, {_ratio(measured, public, 'database')},"
            f" both {_ratio(measured, public, 'both')}"
        )
    sys.stdout.write("\n".join(lines) + "\n")


def _ratio(costs: Sequence[Cost], others: Sequence[Cost], field: str) -> str:
    """The median of the ratios of the rounds."""
    ratios = (getattr(cost, field) / getattr(other, field) for cost, other in zip(costs, others, strict=True))
    return f"{median(ratios):.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-owners ARGS=...", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--seconds", type=int, default=2, help="of each load; default: %(default)s")
    arguments = parser.parse_args()
    try:
        asyncio.run(run(arguments.rounds, arguments.seconds))
    except (wrk.LoadFailed, WorkbenchError) as error:
        sys.stderr.write(f"make bench-owners: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
