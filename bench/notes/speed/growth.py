"""Measures how the cost of the service grows with its work: make bench-growth ARGS=--help

The curves are rows, connections, replicas behind Envoy, the size of a note, and subscribers to /notes/events. Beside
the rows is the select-only rate of pgbench on the same server, which is the limit of the database.
"""

import argparse
import asyncio
import json
import re
import sys
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.notes.speed import report, wrk
from bench.notes.speed.arena import Arena, Runner, opened
from bench.notes.speed.compare import Plan, measure
from bench.notes.speed.contenders import POOL_SIZE, SERVICE
from bench.notes.speed.subscribers import deliver
from workbench.errors import WorkbenchError
from workbench.parts.postgres import SUPERUSER, program

_PATIENT = {"SERVICE_MAX_REQUESTS": "5000", "SERVICE_ACQUIRE_TIMEOUT": "30", "SERVICE_REQUEST_TIMEOUT": "60"}
_SMALL = 10_000
_ROWS_PER_SCALE = 100_000  # of pgbench


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve. A figure that was not measured is None."""

    curve: str
    line: str
    x: int
    cpu_us: float | None = None
    """CPU time of the service for each request, or for each event that a subscriber received."""
    database_us: float | None = None
    """CPU time of PostgreSQL for each request."""
    rate: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """The points of each curve."""

    seconds: int
    rows: Sequence[int] = (10_000, 100_000, 1_000_000, 10_000_000)
    connections: Sequence[int] = (16, 64, 256, 1000, 2000)
    replicas: Sequence[int] = (1, 2, 4)
    sizes: Sequence[int] = (100, 1000, 10_000)
    subscribers: Sequence[int] = (1, 10, 100, 1000)


async def rows(arena: Arena, scale: Scale) -> AsyncIterator[Point]:
    for count in scale.rows:
        await arena.fill(count)
        cursor = await _last_cursor(arena)
        arena.write("last page", [f"/notes?limit=20&after={cursor}"])
        arena.write("rare word", [f"/notes?limit=20&q={number}" for number in range(count // 2, count // 2 + 100)])
        arena.write("common word", ["/notes?limit=20&q=noon"])
        async with arena.running(SERVICE, _PATIENT) as runner:
            for line, endpoint in (("get", "note"), ("first page", "list"), *((name, name) for name in _SEARCHES)):
                yield await _point("rows", line, count, arena, runner, endpoint, Plan(seconds=scale.seconds))
        yield Point("rows", "pgbench", count, rate=await _pgbench(arena, count, scale.seconds))


_SEARCHES = ("last page", "rare word", "common word")


async def connections(arena: Arena, scale: Scale) -> AsyncIterator[Point]:
    await arena.fill(_SMALL)
    async with arena.running(SERVICE, _PATIENT) as runner:
        for count in scale.connections:
            plan = Plan(seconds=scale.seconds, connections=count)
            yield await _point("connections", "get", count, arena, runner, "note", plan)


async def replicas(arena: Arena, scale: Scale) -> AsyncIterator[Point]:
    await arena.fill(_SMALL)
    for count in scale.replicas:
        async with arena.running(SERVICE, replicas=count, pinned=False) as runner:
            plan = Plan(seconds=scale.seconds, connections=64, vias=("envoy",))
            yield await _point("replicas", "get", count, arena, runner, "note", plan)


async def sizes(arena: Arena, scale: Scale) -> AsyncIterator[Point]:
    for size in scale.sizes:
        await arena.fill(1000, size)
        async with arena.running(SERVICE) as runner:
            for line, endpoint in (("get", "note"), ("first page", "list")):
                yield await _point("note size", line, size, arena, runner, endpoint, Plan(seconds=scale.seconds))


async def subscribers(arena: Arena, scale: Scale) -> AsyncIterator[Point]:
    await arena.fill(1000)
    for count in scale.subscribers:
        async with arena.running(SERVICE) as runner:
            before = runner.cpu_seconds
            delays = await deliver(runner.port, count, events=50)
            cpu = (runner.cpu_seconds - before) / len(delays) * 1e6
            delays.sort()
            p50, p99 = (delays[int(len(delays) * share)] * 1000 for share in (0.5, 0.99))
            yield Point("subscribers", "event", count, cpu, p50_ms=p50, p99_ms=p99)


async def _point(curve: str, line: str, x: int, arena: Arena, runner: Runner, endpoint: str, plan: Plan) -> Point:
    before = arena.database_cpu_seconds
    sample = await measure(arena, runner, endpoint, plan.vias[0], plan)
    database = (arena.database_cpu_seconds - before) / (sample.rate * plan.seconds) * 1e6
    return Point(curve, line, x, sample.cpu_us, database, sample.rate, sample.p50_ms, sample.p99_ms)


async def _last_cursor(arena: Arena) -> str:
    async with arena.superuser() as connection:
        last = await connection.fetchval("SELECT id FROM app.notes ORDER BY id OFFSET 20 LIMIT 1")
    return urlsafe_b64encode(last.bytes).rstrip(b"=").decode()


async def _pgbench(arena: Arena, count: int, seconds: int) -> float:
    """The rate of pgbench -S with as many connections as the pool, on a table with about as many rows."""
    async with arena.superuser() as connection:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = 'pgbench'"):
            await connection.execute("CREATE DATABASE pgbench")
    scale = max(1, count // _ROWS_PER_SCALE)
    await _run(program("pgbench"), "-i", "-s", str(scale), "-q", *_where(arena))
    how = ("-S", "-M", "prepared", "-c", str(POOL_SIZE), "-j", "1", "-T", str(seconds))
    output = await _run(program("pgbench"), *how, *_where(arena))
    return float(re.findall(r"tps = ([\d.]+)", output)[-1])


def _where(arena: Arena) -> Sequence[str]:
    return "-h", str(arena.postgres.sockets), "-U", SUPERUSER, "pgbench"


async def _run(*command: str | Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise wrk.LoadFailed(f"{command[0]} failed: {output.decode().strip()}")
    return output.decode()


Curve = Callable[[Arena, Scale], AsyncIterator[Point]]
CURVES: dict[str, Curve] = {
    "rows": rows,
    "connections": connections,
    "replicas": replicas,
    "sizes": sizes,
    "subscribers": subscribers,
}


async def grow(names: Sequence[str], scale: Scale) -> list[Point]:
    wrk.check()
    points = []
    async with opened() as arena:
        for name in names:
            async for point in CURVES[name](arena, scale):
                sys.stderr.write(f"{point}\n")
                points.append(point)
    return points


def markdown(points: Sequence[Point]) -> str:
    lines = ["| curve | | CPU µs | PostgreSQL's | requests/s | p50 ms | p99 ms |", "|---|---|---|---|---|---|---|"]
    for point in points:
        measures = (point.cpu_us, point.database_us, point.rate, point.p50_ms, point.p99_ms)
        cells = " | ".join("" if value is None else f"{value:,.{0 if value >= 100 else 1}f}" for value in measures)
        lines.append(f"| {point.curve}: {point.line} | {point.x:,} | {cells} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-growth ARGS=...", description=__doc__)
    parser.add_argument("--curves", default=",".join(CURVES), help="separated by commas; default: %(default)s")
    parser.add_argument("--rows", help="numbers of notes, separated by commas; default: 10000 to 10000000")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of load each time; default: %(default)s")
    parser.add_argument("--json", metavar="FILE", help="also write all results to this file")
    arguments = parser.parse_args()
    scale = Scale(arguments.seconds)
    if arguments.rows:
        scale = Scale(arguments.seconds, rows=tuple(map(int, arguments.rows.split(","))))
    try:
        points = asyncio.run(grow(arguments.curves.split(","), scale))
    except (wrk.LoadFailed, WorkbenchError) as error:
        sys.stderr.write(f"make bench-growth: {error}\n")
        return 1
    sys.stdout.write(markdown(points) + "\n")
    if arguments.json:
        about: dict[str, Any] = report.machine("wrk")
        found = {**about, "points": [asdict(point) for point in points]}
        Path(arguments.json).write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
