"""Faults that clients cause: they disconnect during an import, or read slowly."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx

from tests.faults.site import Site
from tests.waiting import WITHIN

_HEAD = "{} HTTP/1.1\r\nhost: localhost\r\nuser-agent: faults\r\nconnection: close\r\n{}\r\n"
_UPLOAD = "content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n"
MANY_THINGS = """
    INSERT INTO app.things (name) SELECT 'long export ' || repeat('x', 10000) FROM generate_series(1, 2000)
"""


async def imports_left(site: Site, seconds: float) -> str:
    """One client after another sends half of an import and disconnects. None of it may be stored."""
    collection, text, left, end = site.collection, f"left {uuid4().hex}", 0, time.monotonic() + seconds
    line = json.dumps(collection.body(text)).encode() + b"\n"
    chunk = b"%x\r\n%s\r\n" % (len(line) * 500, line * 500)
    while time.monotonic() < end or not left:
        async with _connection(site, f"POST {collection.path}/import", _UPLOAD) as (_, writer):
            for _ in range(4):
                writer.write(chunk)
                await writer.drain()
        left += 1
        await asyncio.sleep(0.05)
    await _until_idle(site)
    connection = await site.connect()
    try:
        imported = await connection.fetchval(
            f"SELECT count(*) FROM {collection.table} WHERE {collection.field} = $1",  # noqa: S608 - the tests' own names
            text,
        )
    finally:
        await connection.close()
    assert imported == 0, f"{imported} lines of {left} unfinished imports are stored"
    return f"{left} imports abandoned, none of their lines stored"


async def exports_read_slowly(site: Site, seconds: float, many: str = MANY_THINGS) -> str:
    """As many clients as may export at the same time read 1 kB a second each. Short requests must not be affected.

    The statement `many` stores 20 MB whose texts begin with "long export".
    """
    await _fill(site, many)
    readers = 2 * len(site.stack.replicas)  # SERVICE_BULK_SIZE of each
    before = site.resident()
    reading = [asyncio.create_task(_read_slowly(site, seconds)) for _ in range(readers)]
    highest = before
    while not all(task.done() for task in reading):
        highest = max(highest, site.resident())
        await asyncio.sleep(0.1)
    statuses = [task.result() for task in reading]
    assert b"200" in statuses, f"the exports got {statuses}"
    await _until_idle(site)
    grown = (highest - before) / 2**20
    assert grown < 64, f"{readers} slow readers of an export made the service grow by {grown:.0f} MiB"
    return f"{readers} readers, the replicas' memory grew by {grown:.1f} MiB"


async def _read_slowly(site: Site, seconds: float) -> bytes:
    """Returns the status of the answer."""
    async with _connection(site, f"GET {site.collection.path}/export") as (reader, _):
        status = await reader.read(15)
        end = time.monotonic() + seconds
        while time.monotonic() < end and await reader.read(1000):  # noqa: ASYNC110 - the clock sets the pace
            await asyncio.sleep(1)
    return status[9:12]


async def _fill(site: Site, many: str) -> None:
    """Stores 20 MB once: far more than all buffers between the service and a client can hold."""
    table, field = site.collection.table, site.collection.field
    connection = await site.connect()
    try:
        query = f"SELECT count(*) FROM {table} WHERE {field} LIKE 'long export%'"  # noqa: S608 - the tests' own names
        if await connection.fetchval(query) == 0:
            await connection.execute(many)
    finally:
        await connection.close()


@asynccontextmanager
async def _connection(
    site: Site, request: str, headers: str = ""
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    # A small buffer, so that the server has to wait soon when the client does not read.
    reader, writer = await asyncio.open_connection("127.0.0.1", site.stack.envoy.port, limit=1024)
    try:
        user = "".join(f"{name}: {value}\r\n" for name, value in site.user.headers().items())
        writer.write(_HEAD.format(request, headers + user).encode())
        await writer.drain()
        yield reader, writer
    finally:
        writer.transport.abort()


async def _until_idle(site: Site) -> None:
    """Waits until no import or export holds a connection. Raises TimeoutError."""
    async with asyncio.timeout(WITHIN), httpx.AsyncClient() as client:
        for replica in site.stack.replicas:
            while await _bulk_transfers(client, replica.ops_port):  # noqa: ASYNC110 - a metric has no event
                await asyncio.sleep(0.05)


async def _bulk_transfers(client: httpx.AsyncClient, ops_port: int) -> float:
    metrics = (await client.get(f"http://127.0.0.1:{ops_port}/metrics")).text
    found = re.search(r'^http_requests_in_flight\{kind="bulk"\} (\S+)$', metrics, re.MULTILINE)
    assert found, metrics
    return float(found[1])
