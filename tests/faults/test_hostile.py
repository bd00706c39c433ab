"""Requests of malicious clients, through the ingress and straight to the service's port.

They get a documented answer or a closed connection, and never a 5xx. What they hid is not executed, and other clients
are served as before.
"""

import asyncio
import gzip
import json
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tests.faults.shapes import MARK, SHAPES
from tests.faults.site import Site

# 408: some requests announce more bytes than they send, and the ingress waits 20 s for the rest.
# 501: RFC 9112 requires it for an unknown Transfer-Encoding.
REFUSALS = {400, 404, 405, 408, 411, 413, 414, 426, 431, 501}
ANSWERED_WITHIN = 20.0
NOTHING_MORE_WITHIN = 1.0

Door = Literal["ingress", "service"]


@dataclass(frozen=True)
class Target:
    door: Door
    port: int
    site: Site

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(params=["ingress", "service"])
def target(request: pytest.FixtureRequest, workbench: Site) -> Target:
    door: Door = request.param
    stack = workbench.stack
    return Target(door, stack.envoy.port if door == "ingress" else stack.replicas[0].api_port, workbench)


async def everything_sent(port: int, request: bytes) -> bytes:
    """Returns everything that is received until the connection ends or nothing more arrives."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        writer.write(request)
        # The server may answer and close the connection before everything is sent; the rest is then lost.
        async with asyncio.timeout(ANSWERED_WITHIN):
            received = await reader.read(65536)
        async with asyncio.timeout(NOTHING_MORE_WITHIN):
            while chunk := await reader.read(65536):
                received += chunk
    except (TimeoutError, OSError):
        pass
    finally:
        writer.transport.abort()
    return received


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
    assert await titles_among(target.site, list(marks.values())) == []
    await still_serves(target)


async def still_serves(target: Target) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(target.url)).status_code == 200


async def titles_among(site: Site, titles: list[str]) -> list[str]:
    connection = await site.connect()
    try:
        rows = await connection.fetch("SELECT title FROM notes WHERE title = ANY ($1)", titles)
    finally:
        await connection.close()
    return [row["title"] for row in rows]


PATHS = [
    *("/..", "/../..", "/%2e%2e/", "/notes/..", "/notes/../..", "/notes/%2e%2e/%2e%2e/etc/passwd", "/\\..\\"),
    *("/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e%2fapp.py", "/static/..%5capp.py"),
    *("/static/....//app.py", "/static//etc/passwd", "/static/%00", "/static/style.css%00", "/%00", "/notes/%00"),
    *("//", "//notes", "/notes//", "/notes/;/", "/./notes", "/notes%2f", "/%6eotes", "/notes%20", "/notes/%u002e"),
    *("/notes%0d%0aX-Injected:%201", "/%ff%fe", "/%c0%ae%c0%ae/", "/notes?%00=1", "/notes?limit[]=1", "/notes?q=%ff"),
    *("/notes?limit=1&limit=2", "/" + "a/" * 3000, "/notes?" + "x" * 8000, "*", "http:"),
    *("/livez", "/readyz", "/metrics", "/debug", "/debug/pprof", "/stats", "/config_dump", "/quitquitquit"),
    *("/.env", "/.git/config", "/service/settings.py", "/server-status", "/admin", "/healthcheck/fail"),
]


async def test_no_spelling_of_a_path_reaches_private_files(target: Target) -> None:
    async with httpx.AsyncClient(base_url=target.url) as client:
        for path in PATHS:
            answer = await client.get("/", extensions={"target": path.encode()})
            assert answer.status_code in {200, 400, 404, 414, 422, 426, 431}, path
            # Only public resources are found.
            assert answer.status_code != 200 or answer.url.path == "/", path
            for word in ("root:", "import ", "postgresql://", "# HELP", '"checks"', "[core]", "Traceback"):
                assert word not in answer.text, path
            assert "x-injected" not in answer.headers


INJECTIONS = [
    *("'; DROP TABLE notes; --", "\\'; SELECT pg_sleep(60); --", '" OR 1=1 --', "E'\\x27'", "$$", "$1"),
    *("a' || pg_read_file('/etc/passwd') || '", "COPY notes TO PROGRAM 'true'", "\\.", "\\N", "a\tb\\tc"),
    *("%s %d %(x)s", "{0} {title}", "{{7*7}}", "${jndi:ldap://127.0.0.1}", "`id`", "../../etc/passwd"),
    *("<script>alert(1)</script>", "a\r\nX-Injected: 1", "\u202e", "\U0001f6a2" * 50),
]
NDJSON = {"content-type": "application/x-ndjson"}


async def test_text_that_looks_like_code_is_only_data(target: Target) -> None:
    async with httpx.AsyncClient(base_url=target.url, timeout=30) as client:
        before = await columns(target.site)
        for text in INJECTIONS:
            key = f"{uuid4().hex}{re.sub(r'[^!-~]', '', text)}"[:200]
            made = await client.post("/notes", json={"title": text, "body": text}, headers={"idempotency-key": key})
            assert made.status_code == 201, made.text
            again = await client.post("/notes", json={"title": text, "body": text}, headers={"idempotency-key": key})
            assert (again.json()["id"], again.headers["idempotency-replayed"]) == (made.json()["id"], "true")
            path = made.headers["location"]
            changed = await client.put(path, json={"title": text, "body": text * 2}, headers={"if-match": '"1"'})
            assert (changed.status_code, changed.json()["title"]) == (200, text)
            line = json.dumps({"title": text, "body": text}).encode()
            imported = await client.post("/notes/import", content=line, headers=NDJSON)
            assert imported.status_code == 200, imported.text
            # As a search, id, cursor, version or position in the stream it is invalid, or finds nothing.
            for answer in (
                await client.get("/notes", params={"q": text}),
                await client.get("/notes", params={"after": text}),
                await client.get("/notes", params={"limit": text}),
                await client.get("/notes", params={text: "1"}),
                await client.get(f"/notes/{quote(text, safe='')}"),
                await client.put(path, json={"title": "x"}, headers={"if-match": printable(text)}),
                await client.delete(path, headers={"if-match": f'"{printable(text)}"'}),
                await client.get("/notes/events", headers={"last-event-id": printable(text)}),
            ):
                assert answer.status_code in {200, 400, 404, 412, 422}, (text, answer.request.url, answer.text)
                assert "x-injected" not in answer.headers
            await client.delete(path)
        assert await columns(target.site) == before


def printable(text: str) -> str:
    """Replaces characters that may not be sent in a header."""
    return re.sub(r"[^ -~]", "?", text)


async def columns(site: Site) -> list[tuple[str, str]]:
    """The columns of all tables: an injection would change them."""
    connection = await site.connect()
    try:
        rows = await connection.fetch(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'app' ORDER BY 1, 2"
        )
    finally:
        await connection.close()
    return [(row["table_name"], row["column_name"]) for row in rows]


async def test_a_body_of_100_mib_is_not_kept_in_memory(target: Target) -> None:
    """The service answers 413 or 404, and reads and discards the body or closes the connection."""
    before = target.site.resident()
    head = b"POST %s HTTP/1.1\r\nHost: test\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    for path, media_type, status in (
        (b"/notes", b"application/json", b"413"),
        (b"/notes/import", b"application/x-ndjson", b"413"),
        (b"/nothing", b"text/plain", b"404"),
    ):
        answer = await upload(target.port, head % (path, media_type, 100 * 2**20), 100)
        assert answer in {status, b""}, (path, answer)  # empty: the connection was closed before everything was sent
        assert target.site.resident() - before < 48 * 2**20, path
    await still_serves(target)


async def upload(port: int, head: bytes, mebibytes: int) -> bytes:
    """Returns the status of the answer; empty if there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(ANSWERED_WITHIN):
            writer.write(head)
            for _ in range(mebibytes):
                writer.write(b"x" * 2**20)
                await writer.drain()
            return (await reader.read(12))[9:]
    except (OSError, TimeoutError):
        return b""
    finally:
        writer.transport.abort()


async def test_a_compression_bomb_is_not_decompressed(target: Target) -> None:
    bomb = gzip.compress(bytes(200 * 2**20), compresslevel=1)
    before = target.site.resident()
    async with httpx.AsyncClient(base_url=target.url, timeout=30) as client:
        for path, media_type in (("/notes", "application/json"), ("/notes/import", "application/x-ndjson")):
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
