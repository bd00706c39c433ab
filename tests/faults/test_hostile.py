"""Requests of malicious clients.

They get a documented answer or a closed connection, and never a 5xx. What they hid is not executed, and other clients
are served as before.
"""

import asyncio
import gzip
import json
import re
from urllib.parse import quote
from uuid import uuid4

import httpx

from tests.faults.hostile import (
    NDJSON,
    Target,
    body_is_not_kept,
    columns,
    everything_sent,
    finds_nothing_private,
    injections,
    printable,
    still_serves,
)
from tests.faults.shapes import HIDDEN, MARK, SHAPES
from tests.faults.site import Site
from tests.probe.collection import THINGS

# 408: some requests announce more bytes than they send, and the ingress waits 20 s for the rest.
# 501: RFC 9112 requires it for an unknown Transfer-Encoding.
REFUSALS = {400, 404, 405, 408, 411, 413, 414, 426, 431, 501}


async def test_no_request_hides_another_one(target: Target) -> None:
    marks = {name: f"m{uuid4().hex[1:]}" for name in SHAPES}
    received = await asyncio.gather(
        *(
            everything_sent(target.port, shape.replace(MARK, marks[name]).encode("latin-1"))
            for name, shape in SHAPES.items()
        )
    )

    wrong = {}
    for name, answer in zip(SHAPES, received, strict=True):
        statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", answer)]
        if len(statuses) > 1 or not set(statuses) <= REFUSALS or b"Traceback" in answer:
            wrong[name] = answer[:200]
    assert not wrong
    assert await names_among(target.site, list(marks.values())) == []
    await still_serves(target)


async def test_a_request_that_is_not_hidden_is_found(target: Target) -> None:
    """So that the test above would notice a hidden one."""
    mark = f"m{uuid4().hex[1:]}"

    await everything_sent(target.port, HIDDEN.replace(MARK, mark).encode())

    assert await names_among(target.site, [mark]) == [mark]


async def names_among(site: Site, names: list[str]) -> list[str]:
    connection = await site.connect()
    try:
        rows = await connection.fetch("SELECT name FROM things WHERE name = ANY ($1)", names)
    finally:
        await connection.close()
    return [row["name"] for row in rows]


PATHS = [
    *("/..", "/../..", "/%2e%2e/", "/things/..", "/things/../..", "/things/%2e%2e/%2e%2e/etc/passwd", "/\\..\\"),
    *("//", "//things", "/things//", "/things/;/", "/./things", "/things%2f", "/%74hings", "/things%20"),
    *(
        "/things%0d%0aX-Injected:%201",
        "/%ff%fe",
        "/%c0%ae%c0%ae/",
        "/things?%00=1",
        "/things?limit[]=1",
        "/things?q=%ff",
    ),
    *("/things/%u002e", "/%00", "/things/%00", "/things?limit=1&limit=2", "/" + "a/" * 3000, "/things?" + "x" * 8000),
    *(
        "*",
        "http:",
        "/livez",
        "/readyz",
        "/metrics",
        "/debug",
        "/debug/pprof",
        "/stats",
        "/config_dump",
        "/quitquitquit",
    ),
    *("/.env", "/.git/config", "/service/settings.py", "/server-status", "/admin", "/healthcheck/fail"),
]


async def test_no_spelling_of_a_path_reaches_private_files(target: Target) -> None:
    await finds_nothing_private(target.url, PATHS)


async def test_text_that_looks_like_code_is_only_data(target: Target) -> None:
    async with httpx.AsyncClient(base_url=target.url, timeout=30) as client:
        before = await columns(target.site)
        for text in injections("things"):
            headers = {"idempotency-key": f"{uuid4().hex}{re.sub(r'[^!-~]', '', text)}"[:200]}
            made, again = [await client.post("/things", json={"name": text}, headers=headers) for _ in range(2)]
            assert (made.status_code, made.json()["name"]) == (201, text), made.text
            assert again.json() == made.json()
            path = made.headers["location"]
            changed = await client.put(path, json={"name": f"{text}{text}"}, headers={"if-match": '"1"'})
            assert (changed.status_code, changed.json()["name"]) == (200, f"{text}{text}")
            line = json.dumps({"name": text}).encode()
            imported = await client.post("/things/import", content=line, headers=NDJSON)
            assert imported.status_code == 200, imported.text
            # As a limit, the name of a parameter, an id or a version it is invalid.
            for answer in (
                await client.get("/things", params={"limit": text}),
                await client.get("/things", params={text: "1"}),
                await client.get(f"/things/{quote(text, safe='')}"),
                await client.put(path, json={"name": "x"}, headers={"if-match": printable(text)}),
                await client.get("/things/events", params={text: "1"}, headers={"last-event-id": printable(text)}),
            ):
                assert answer.status_code in {400, 404, 412, 422}, (text, answer.request.url, answer.text)
                assert "x-injected" not in answer.headers
            await client.delete(path)
        assert await columns(target.site) == before


async def test_a_body_of_100_mib_is_not_kept_in_memory(target: Target) -> None:
    await body_is_not_kept(target, "/things", "application/json", b"413")
    await body_is_not_kept(target, "/nothing", "text/plain", b"404")


async def test_a_compression_bomb_is_not_decompressed(target: Target) -> None:
    bomb = gzip.compress(bytes(200 * 2**20), compresslevel=1)
    before = target.site.resident()
    async with httpx.AsyncClient(base_url=target.url, timeout=30) as client:
        for path, media_type in (
            (THINGS.path, "application/json"),
            (f"{THINGS.path}/import", "application/x-ndjson"),
        ):
            headers = {"content-type": media_type, "content-encoding": "gzip"}
            answer = await client.post(path, content=bomb[:200_000], headers=headers)
            assert answer.status_code == 415, answer.text
            for encoding in ("gzip", "gzip, chunked"):
                raw = b"POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: %s\r\nTransfer-Encoding: %s\r\n\r\n"
                head = raw % (path.encode(), media_type.encode(), encoding.encode())
                answered = await everything_sent(target.port, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(bomb), bomb))
                statuses = re.findall(rb"HTTP/1\.[01] (\d{3})", answered)
                assert set(statuses) <= {b"400", b"413", b"415", b"501"}, answered[:200]
    assert target.site.resident() - before < 48 * 2**20
