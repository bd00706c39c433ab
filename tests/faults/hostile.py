"""What malicious clients send, through the ingress and straight to the service's port, and what must not follow."""

import asyncio
import re
from dataclasses import dataclass
from typing import Literal

import httpx
import pytest

from harness.sign_in import NOBODY, SignIn
from tests.faults.site import Site

ANSWERED_WITHIN = 20.0
NOTHING_MORE_WITHIN = 1.0
NDJSON = {"content-type": "application/x-ndjson"}

Door = Literal["ingress", "service"]


@dataclass(frozen=True)
class Target:
    door: Door
    port: int
    site: Site

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def user(self) -> SignIn:
        """Whose requests they are."""
        return self.site.user if self.door == "ingress" else self.site.service_user


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


async def still_serves(target: Target) -> None:
    async with httpx.AsyncClient(base_url=target.url, auth=target.user) as client:
        assert (await client.get(target.site.collection.path, params={"limit": 1})).status_code == 200


async def finds_nothing_private(url: str, paths: list[str], user: SignIn = NOBODY) -> None:
    """No answer to a user's GET of these paths contains anything of the service's files, its ops port or Envoy."""
    async with httpx.AsyncClient(base_url=url, auth=user) as client:
        for path in paths:
            answer = await client.get("/", extensions={"target": path.encode()})
            assert answer.status_code in {200, 400, 404, 414, 422, 426, 431}, path
            for word in ("root:", "import ", "postgresql://", "# HELP", '"checks"', "[core]", "Traceback"):
                assert word not in answer.text, path
            assert "x-injected" not in answer.headers


def injections(table: str) -> list[str]:
    """Texts that look like code. Each is a valid text of a member."""
    return [
        *(f"'; DROP TABLE {table}; --", "\\'; SELECT pg_sleep(60); --", '" OR 1=1 --', "E'\\x27'", "$$", "$1"),
        *("a' || pg_read_file('/etc/passwd') || '", f"COPY {table} TO PROGRAM 'true'", "\\.", "\\N", "a\tb\\tc"),
        *("%s %d %(x)s", "{0} {title}", "{{7*7}}", "${jndi:ldap://127.0.0.1}", "`id`", "../../etc/passwd"),
        *("<script>alert(1)</script>", "a\r\nX-Injected: 1", "\u202e", "\U0001f6a2" * 50),
    ]


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


async def body_is_not_kept(target: Target, path: str, media_type: str, status: bytes) -> None:
    """A body of 100 MiB is answered with this status, and read and discarded, or the connection is closed.

    The client repeats what is answered with 503: a busy service does so, and the gateway if the service has closed.
    """
    before = target.site.resident()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: {media_type}\r\nContent-Length: {100 * 2**20}\r\n"
        + "".join(f"{name}: {value}\r\n" for name, value in target.user.headers().items())
        + "\r\n"
    )
    async with asyncio.timeout(10 * ANSWERED_WITHIN):
        while (answer := await _upload(target.port, head.encode(), 100)) == b"503":
            pass
    assert answer in {status, b""}, (path, answer)  # empty: the connection was closed before everything was sent
    assert target.site.resident() - before < 48 * 2**20, path
    await still_serves(target)


async def _upload(port: int, head: bytes, mebibytes: int) -> bytes:
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
