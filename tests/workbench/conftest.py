"""A real Envoy with the ingress rules, and peers in the place of the service's replicas."""

import asyncio
import json
import re
import shutil
import socket
import ssl
import struct
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from workbench.ingress import CLUSTER, Replica, envoy_bootstrap

RULES = Path(__file__).parents[2] / "k8s" / "istio"
ENVOY = Path(sysconfig.get_path("scripts")) / "envoy"

# Without it each client would load the certificates of all authorities, which takes longer than most tests here.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

# What a test changes in one of the files: (file, old text, new text). The old text has to be there.
Edit = tuple[str, str, str]


@pytest.fixture
def edited_rules(tmp_path: Path) -> Callable[..., Path]:
    """Copies k8s/istio with small changes."""

    def edit(*edits: Edit) -> Path:
        rules = tmp_path / "istio"
        shutil.copytree(RULES, rules, dirs_exist_ok=True)
        for name, old, new in edits:
            text = (rules / name).read_text()
            assert old in text, f"{name} no longer holds {old!r}"
            (rules / name).write_text(text.replace(old, new))
        return rules

    return edit


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, within: float = 10) -> None:
    """Waits until the condition holds; fails the test after `within` seconds."""
    try:
        async with asyncio.timeout(within):
            while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"not within {within} s: {what}")


@dataclass
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter

    async def respond(self, status: int, body: bytes = b"", headers: str = "") -> None:
        head = f"HTTP/1.1 {status} -\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        self.writer.write(head.encode() + (b"" if self.method == "HEAD" else body))
        await self.writer.drain()

    async def reset(self) -> None:
        """Ends the connection as a process that is killed does: with a RST."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def ok(request: Received) -> None:
    await request.respond(200, b"ok")


@dataclass
class Peer:
    """A server on the ports of a replica that does as a test tells it."""

    answer: Callable[[Received], Awaitable[None]] = ok
    ready: int = 200
    received: list[Received] = field(default_factory=list)
    replica: Replica = field(init=False)
    _api: asyncio.Server = field(init=False)
    _checks: int = 0
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        self._api = await asyncio.start_server(self._serve_api, "127.0.0.1", 0)
        ops = await asyncio.start_server(self._serve_ops, "127.0.0.1", 0)
        self.replica = Replica(*(server.sockets[0].getsockname()[1] for server in (self._api, ops)))
        try:
            yield self
        finally:
            self._api.close()
            ops.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def refuse(self) -> None:
        """From now on new connections to the API port are refused, while /readyz still answers."""
        self._api.close()

    async def was_checked(self, times: int) -> bool:
        return self._checks >= times

    async def _serve_api(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # the end of the test; asyncio would log it as an error
            async for request in self._requests(reader, writer):
                self.received.append(request)
                await self.answer(request)

    async def _serve_ops(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            async for request in self._requests(reader, writer):
                self._checks += 1
                await request.respond(self.ready if request.target == "/readyz" else 404)

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncIterator[Received]:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.rstrip().split("\r\n")
                method, target, _ = first.split(" ")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                yield Received(method, target, headers, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # Envoy closed the connection
        finally:
            self._connections.discard(task)
            writer.close()


@dataclass
class Gateway:
    """Envoy with the ingress rules, in front of peers."""

    client: httpx.AsyncClient
    admin: httpx.AsyncClient
    admin_socket: Path
    port: int
    process: asyncio.subprocess.Process

    async def stop(self) -> None:
        """Ends Envoy, and with it what it has still to write."""
        self.process.terminate()
        await self.process.wait()

    async def host(self, peer: Peer) -> dict[str, Any]:
        """What Envoy knows about a peer: health_status, stats and so on."""
        return (await self.hosts(peer))[CLUSTER]

    async def hosts(self, peer: Peer) -> dict[str, dict[str, Any]]:
        """The same in each cluster that it is in."""
        clusters = (await self.admin.get("/clusters?format=json")).json()["cluster_statuses"]
        return {
            cluster["name"]: host
            for cluster in clusters
            if cluster["name"].startswith("outbound|")
            for host in cluster["host_statuses"]
            if host["address"]["socket_address"]["port_value"] == peer.replica.api_port
        }

    async def is_usable(self, peer: Peer) -> bool:
        return all(self._healthy(host) for host in (await self.hosts(peer)).values())

    async def is_unusable(self, peer: Peer) -> bool:
        return not any(self._healthy(host) for host in (await self.hosts(peer)).values())

    @staticmethod
    def _healthy(host: dict[str, Any]) -> bool:
        return set(host["health_status"]) == {"eds_health_status"}

    async def statistic(self, name: str, of: str = f"cluster.{CLUSTER}") -> int:
        """A counter or gauge of the service's cluster, such as upstream_rq_retry, or of something else."""
        query = {"format": "json", "filter": f"^{re.escape(f'{of}.{name}')}$"}
        [stat] = (await self.admin.get("/stats", params=query)).json()["stats"]
        return int(stat["value"])

    async def has(self, name: str, value: int, of: str = f"cluster.{CLUSTER}") -> bool:
        return await self.statistic(name, of) == value


StartGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def start_gateway() -> AsyncIterator[StartGateway]:
    """Starts Envoy in front of peers, and returns when it knows all of them to be ready."""
    async with AsyncExitStack() as stack:
        # Not pytest's tmp_path: a path of a socket has to be short.
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ingress-")))

        async def start(*peers: Peer, rules: Path = RULES, wait: bool = True, **options: Any) -> Gateway:
            for peer in peers:
                await stack.enter_async_context(peer.running())
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port: int = free.getsockname()[1]
            admin_socket = directory / "admin.sock"
            config = directory / "envoy.json"
            replicas = [peer.replica for peer in peers]
            bootstrap = envoy_bootstrap(rules, port=port, replicas=replicas, admin_socket=admin_socket, **options)
            config.write_text(json.dumps(bootstrap))
            process = await stack.enter_async_context(_envoy(config))

            socket_transport = httpx.AsyncHTTPTransport(uds=str(admin_socket), verify=NO_TLS)
            admin = await stack.enter_async_context(
                httpx.AsyncClient(base_url="http://envoy", transport=socket_transport)
            )
            client = await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=NO_TLS, timeout=20)
            )
            gateway = Gateway(client, admin, admin_socket, port, process)

            async def serves() -> bool:
                try:
                    live = (await admin.get("/ready")).status_code == 200
                except httpx.TransportError:
                    return False
                return live and (not wait or all([await gateway.is_usable(peer) for peer in peers]))

            await eventually(serves, "Envoy serves and every peer is ready")
            return gateway

        yield start


@asynccontextmanager
async def _envoy(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        ENVOY, "--config-path", config, "--disable-hot-restart", "--concurrency", "1", "--log-level", "error"
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
