"""make bench-tracing: what tracing costs if no request, one request in a hundred, or every request is traced.

The service runs twice without tracing: the difference between these two is the error of the measurement.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from bench.notes.speed import report, wrk
from bench.notes.speed.arena import opened
from bench.notes.speed.compare import Plan, compare
from bench.notes.speed.contenders import SERVICE, Contender
from bench.notes.speed.results import find, ratio
from workbench.errors import WorkbenchError


def contenders(endpoint: str) -> list[Contender]:
    on = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
    return [
        replace(SERVICE, name="off"),
        replace(SERVICE, name="off, again"),
        replace(SERVICE, name="one in a hundred", settings=on | {"OTEL_TRACES_SAMPLER_ARG": "0.01"}),
        replace(SERVICE, name="all", settings=on | {"OTEL_TRACES_SAMPLER_ARG": "1"}),
    ]


@asynccontextmanager
async def sink() -> AsyncIterator[str]:
    """Runs a collector that discards all spans; yields its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def run(plan: Plan) -> None:
    wrk.check()
    async with opened() as arena, sink() as endpoint:
        compared = contenders(endpoint)
        series, _ = await compare(arena, compared, plan)
    about = report.machine(await wrk.version())
    lines = [f"{about['date']}, Python {about['python']}, {about['cpus']} CPUs, {plan.rounds} rounds"]
    for name in plan.endpoints:
        off = find(series, "off", name, "direct")
        for contender in compared:
            of = find(series, contender.name, name, "direct")
            if of is None or off is None:
                continue
            cost, times = of.median("cpu_us"), ratio(of, off, "cpu_us")
            lines.append(f"{name:8} {contender.name:18} {cost:7.0f} us of CPU a request, {times} times off")
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> int:
    plan = Plan(endpoints=("note", "list"), vias=("direct",), rounds=7, seconds=2)
    parser = argparse.ArgumentParser(prog="make bench-tracing ARGS=...", description=__doc__)
    parser.add_argument("--rounds", type=int, default=plan.rounds, help="default: %(default)s")
    try:
        asyncio.run(run(replace(plan, rounds=parser.parse_args().rounds)))
    except (wrk.LoadFailed, WorkbenchError) as error:
        sys.stderr.write(f"make bench-tracing: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
