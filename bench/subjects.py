"""The reloaders that are compared. Each serves behind an Envoy, and its answers tell the version of its files."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.breakages import MODULE
from harness.sandbox import Sandbox
from workbench.console import Console
from workbench.ingress.bootstrap import Upstream
from workbench.machine import ports
from workbench.parts.envoy import Envoy
from workbench.parts.probe import until_ok
from workbench.parts.process import Part
from workbench.parts.replica import service_environment
from workbench.stack import Stack

FLASK = "bench/peers/flask_app.py"


@dataclass(frozen=True)
class Subject:
    """`path` is the file that is edited; `{port}` in the command becomes its port."""

    name: str
    command: Sequence[str]
    path: str = MODULE
    ops_port: int = 0

    def version(self, sources: Sandbox) -> str:
        if self.path == FLASK:
            return hashlib.sha256((sources.root / FLASK).read_bytes()).hexdigest()[:8]
        return sources.version


PEERS = (
    Subject(
        "hypercorn --reload", ("-m", "hypercorn", "--reload", "--bind", "127.0.0.1:{port}", "bench.peers.asgi:app")
    ),
    Subject("uvicorn --reload", ("-m", "uvicorn", "--reload", "--port", "{port}", "bench.peers.asgi:app")),
    Subject(
        "flask --debug", ("-m", "flask", "--app", "bench.peers.flask_app", "--debug", "run", "-p", "{port}"), FLASK
    ),
)


@asynccontextmanager
async def behind_envoy(
    peer: Subject, stack: Stack, sources: Sandbox, folder: Path, console: Console
) -> AsyncIterator[int]:
    """Runs a peer on the database of the stack, behind a separate Envoy; yields the port of that Envoy."""
    api_port, ingress_port = ports.free(2)
    async with AsyncExitStack() as undo:
        health = await asyncio.start_server(always_ready, "127.0.0.1", 0)
        undo.callback(health.close)
        env = service_environment(stack.postgres, {"SERVICE_LOG_LEVEL": "warning"})
        command = (sys.executable, *(argument.format(port=api_port) for argument in peer.command))
        part = await Part.start(peer.name, *command, console=console, env=env, cwd=sources.root)
        undo.push_async_callback(part.kill)
        await part.becomes_ready(until_ok(api_port, "/", 30))
        upstream = Upstream(api_port, health.sockets[0].getsockname()[1])
        envoy = Envoy(ingress_port, [upstream], stack.options.rules, folder, console)
        undo.push_async_callback(envoy.stop)
        await envoy.start()
        yield ingress_port


async def always_ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the health checks of Envoy for peers, which have no ops port."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    except (asyncio.IncompleteReadError, OSError):
        writer.close()
