"""Measures promises of the README on a separate workbench: python -m bench.promises

A replica that is stopped, a database that is killed, and a table with a million notes.
"""

import asyncio
import json
import platform
import statistics
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx

from bench.notes import NOTES
from harness import usage
from harness.clients import clients, missing
from workbench.console import Console
from workbench.options import StackOptions
from workbench.stack import Stack

MILLION = 1_000_000
ROUNDS = 200


say = partial(print, flush=True)


async def main() -> None:
    say(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}")
    with tempfile.TemporaryDirectory(prefix="promises-") as folder, (Path(folder) / "log").open("w") as log:
        options = StackOptions(data=Path(folder) / "data", replicas=2)
        async with Stack(options, Console(log)) as stack:
            await replica_stops(stack)
            await database_is_killed(stack)
            await a_million_notes(stack)


# The sleeps decide how long the load runs before, during and after each event.


async def replica_stops(stack: Stack) -> None:
    """Sends SIGTERM to one of two replicas under load."""
    async with clients(stack.ingress_url, 16, NOTES) as record:
        await asyncio.sleep(1)
        stack.replicas[0].terminate()
        await stack.replicas[0].wait()
        await asyncio.sleep(1)
    say(f"SIGTERM to a replica, 16 clients: {record.failed} of {record.answers} failed; {record}")
    await stack.start_replica(0)


async def database_is_killed(stack: Stack) -> None:
    """Kills PostgreSQL with SIGKILL under the load of 32 clients, and starts it two seconds later."""
    async with clients(stack.ingress_url, 32, NOTES) as record:
        await asyncio.sleep(1)
        await stack.postgres.kill()
        await asyncio.sleep(2)
        await stack.postgres.start()
        back = time.monotonic()
        while record.last_success < back:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.001)
        recovered = record.last_success - back
        await asyncio.sleep(1)
    lost = await missing(stack.ingress_url, record.acknowledged)
    say(
        f"kill -9 of PostgreSQL, 32 clients: {len(lost)} of {len(record.acknowledged)} acknowledged notes lost; "
        f"first success {recovered * 1000:.0f} ms after its start; {record}; "
        f"{record.without_retry_after} answers with 503 had no Retry-After"
    )


async def a_million_notes(stack: Stack) -> None:
    """Measures the import, the export with the memory of the service, and the first and the last page."""
    replica = stack.replicas[0]
    service = httpx.AsyncClient(base_url=f"http://localhost:{replica.api_port}", timeout=600)
    async with service:
        begin = time.monotonic()
        headers = {"content-type": "application/x-ndjson"}
        answer = await service.post("/notes/import", content=_lines(MILLION), headers=headers)
        answer.raise_for_status()
        say(f"import of {MILLION:,} notes: {time.monotonic() - begin:.0f} s")

        pid = replica.part.pid if replica.part else 0
        before, begin, size, cursor, number = usage.resident(pid), time.monotonic(), 0, "", 0
        highest = before
        async with service.stream("GET", "/notes/export") as response:
            async for line in response.aiter_lines():
                size += len(line) + 1
                number += 1
                if number == 21:
                    cursor = urlsafe_b64encode(UUID(json.loads(line)["id"]).bytes).rstrip(b"=").decode()
                if number % 10_000 == 0:
                    highest = max(highest, usage.resident(pid))
        say(
            f"export of {number:,} notes, {size / 2**20:.0f} MiB: {time.monotonic() - begin:.0f} s, "
            f"the service's memory grew by {(highest - before) / 2**20:.1f} MiB"
        )

        first, last = [], []
        for _ in range(ROUNDS):
            first.append(await _time(service, "/notes?limit=20"))
            last.append(await _time(service, f"/notes?limit=20&after={cursor}"))
        ratio = statistics.median(last) / statistics.median(first)
        say(
            f"a page of 20, medians of {ROUNDS}: first {statistics.median(first) * 1000:.2f} ms, "
            f"last {statistics.median(last) * 1000:.2f} ms, ratio {ratio:.2f}"
        )


async def _time(client: httpx.AsyncClient, path: str) -> float:
    begin = time.perf_counter()
    (await client.get(path)).raise_for_status()
    return time.perf_counter() - begin


async def _lines(count: int) -> AsyncIterator[bytes]:
    for start in range(0, count, 1000):
        yield b"".join(
            b'{"title": "note %d", "body": "word%d of a body that is not long"}\n' % (number, number % 5000)
            for number in range(start, min(start + 1000, count))
        )


if __name__ == "__main__":
    asyncio.run(main())
