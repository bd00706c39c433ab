"""Which answers count as refused: the script of the intruder's pod runs against open and closed servers."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import pytest

from cluster.intruder import KNOCK, is_refused

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(answer: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(answer)
        writer.close()

    return handle


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def knock(handler: Handler) -> str:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await knock_at(port)


async def knock_at(port: int) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", KNOCK, "127.0.0.1", str(port), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().strip()


@pytest.mark.parametrize(
    ("handler", "refused"),
    [
        (reset, True),
        (answering(b""), True),
        (answering(b"HTTP/1.1 403 Forbidden\r\nserver: envoy\r\n\r\nRBAC: access denied"), True),
        (answering(b"HTTP/1.1 503 Service Unavailable\r\nserver: envoy\r\n\r\n"), True),
        (answering(b"HTTP/1.1 503 Service Unavailable\r\nX-Service-Instance: replica-1\r\n\r\n"), False),
        (answering(b"HTTP/1.1 404 Not Found\r\n\r\n"), False),
        (answering(b"HTTP/1.1 200 OK\r\nx-service-instance: replica-1\r\n\r\n"), False),
        (answering(b"N"), False),
        (answering(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server."), False),
    ],
    ids=["reset", "closed", "403", "503 of a proxy", "503 of the service", "404", "200", "PostgreSQL", "its status"],
)
async def test_what_counts_as_refused(handler: Handler, refused: bool) -> None:
    answer = await knock(handler)
    assert is_refused(answer) is refused, answer


async def test_a_closed_port_counts_as_refused() -> None:
    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    assert is_refused(await knock_at(port))
