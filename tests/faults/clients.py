"""Faults that clients cause: they disconnect during an import, read slowly, or have a wrong clock."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx

from tests.faults.site import Site
from tests.waiting import WITHIN

_HEAD = "{} HTTP/1.1\r\nhost: slipway\r\nuser-agent: slipway-faults\r\nconnection: close\r\n{}\r\n"
_UPLOAD = "content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n"
_MANY_NOTES = """
    INSERT INTO app.notes (title, body) SELECT 'long export', repeat('x', 10000) FROM generate_series(1, 2000)
"""
_YEARS = 10 * 365 * 86_400.0


async def imports_left(site: Site, seconds: float) -> str:
    """One client after another sends half of an import and disconnects. None of it may be stored."""
    title, left, end = f"left {uuid4().hex}", 0, time.monotonic() + seconds
    line = json.dumps({"title": title}).encode() + b"\n"
    chunk = b"%x\r\n%s\r\n" % (len(line) * 500, line * 500)
    while time.monotonic() < end or not left:
        async with _connection(site, "POST /notes/import", _UPLOAD) as (_, writer):
            for _ in range(4):
                writer.write(chunk)
                await writer.drain()
        left += 1
        await asyncio.sleep(0.05)
    await _until_idle(site)
    connection = await site.connect()
    try:
        imported = await connection.fetchval("SELECT count(*) FROM app.notes WHERE title = $1", title)
    finally:
        await connection.close()
    assert imported == 0, f"{imported} notes of {left} unfinished imports are stored"
    return f"{left} imports abandoned, none of their notes stored"


async def exports_read_slowly(site: Site, seconds: float) -> str:
    """As many clients as may export at the same time read 1 kB a second each. Short requests must not be affected."""
    await _fill(site)
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


async def clock_jumps(site: Site, _: float) -> str:
    """Clients that are ten years ahead or behind choose times and ids. Each note must be on exactly one page."""
    word, made = f"w{uuid4().hex}", []
    async with httpx.AsyncClient(base_url=site.url, timeout=30) as client:
        for jump in (0.0, _YEARS, -_YEARS, 0.0):
            now = time.time() + jump
            note = {"id": _uuid7(now), "title": word, "created_at": datetime.fromtimestamp(now, UTC).isoformat()}
            date = {"date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))}
            answer = await client.post(
                "/notes/import",
                content=json.dumps(note).encode(),
                headers={"content-type": "application/x-ndjson", **date},
            )
            assert answer.status_code == 200, answer.text
            made.append(note["id"])
            made.append((await client.post("/notes", json={"title": word}, headers=date)).json()["id"])
        found, path = [], f"/notes?limit=3&q={word}"
        while path:
            page = (await client.get(path)).json()
            found += [note["id"] for note in page["items"]]
            path = page["next"]
        assert found == sorted(made, reverse=True), "the pages lost or repeated notes of clients with a wrong clock"
        for note_id in made:
            await client.delete(f"/notes/{note_id}")
    return ""


async def _read_slowly(site: Site, seconds: float) -> bytes:
    """Returns the status of the answer."""
    async with _connection(site, "GET /notes/export") as (reader, _):
        status = await reader.read(15)
        end = time.monotonic() + seconds
        while time.monotonic() < end and await reader.read(1000):  # noqa: ASYNC110 - the clock sets the pace
            await asyncio.sleep(1)
    return status[9:12]


async def _fill(site: Site) -> None:
    """Stores 20 MB of notes: far more than all buffers between the service and a client can hold."""
    connection = await site.connect()
    try:
        if await connection.fetchval("SELECT count(*) FROM app.notes WHERE title = 'long export'") == 0:
            await connection.execute(_MANY_NOTES)
    finally:
        await connection.close()


@asynccontextmanager
async def _connection(
    site: Site, request: str, headers: str = ""
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    # A small buffer, so that the server has to wait soon when the client does not read.
    reader, writer = await asyncio.open_connection("127.0.0.1", site.stack.envoy.port, limit=1024)
    try:
        writer.write(_HEAD.format(request, headers).encode())
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


def _uuid7(when: float) -> str:
    return str(UUID(int=int(when * 1000) << 80 | 7 << 76 | 2 << 62 | uuid4().int >> 66))
