"""Fixtures that change ingress rules, and that start a real Envoy with them."""

import asyncio
import json
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.tls import NO_TLS
from tests.waiting import eventually
from tests.workbench.ingress import changed_rules
from tests.workbench.ingress.changed_rules import EditRules, SetRules
from tests.workbench.ingress.gateway import Gateway, StartGateway
from tests.workbench.ingress.stub_replicas import StubReplica
from workbench.ingress.bootstrap import envoy_bootstrap, read_rules
from workbench.machine.folders import INGRESS_RULES
from workbench.parts import envoy_program


@pytest.fixture
def edited_rules(tmp_path: Path) -> EditRules:
    """Makes a copy of the rules of these tests, with changes; returns its path."""
    return partial(changed_rules.edited_rules, tmp_path / "edited")


@pytest.fixture
def set_rules(tmp_path: Path) -> SetRules:
    """Makes a copy of the service's own rules in which some values are set; returns its path."""
    return partial(changed_rules.set_rules, tmp_path / "istio")


@pytest.fixture
async def start_gateway() -> AsyncIterator[StartGateway]:
    """Starts Envoy in front of stub replicas, and returns when it has found all of them ready.

    Without `rules` it has the service's own.
    """
    async with AsyncExitStack() as stack:
        # Not pytest's tmp_path, which is too long for the path of a socket.
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ingress-")))

        async def start(
            *replicas: StubReplica,
            rules: Path = INGRESS_RULES,
            components: Sequence[Path] = (),
            wait: bool = True,
            change: Callable[[dict[str, Any]], None] = lambda bootstrap: None,
            **options: Any,
        ) -> Gateway:
            for replica in replicas:
                await stack.enter_async_context(replica.running())
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port: int = free.getsockname()[1]
            admin_socket = directory / "admin.sock"
            config = directory / "envoy.json"
            upstreams = [replica.upstream for replica in replicas]
            read = read_rules(rules, components)
            bootstrap = envoy_bootstrap(read, port=port, upstreams=upstreams, admin_socket=admin_socket, **options)
            change(bootstrap)
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
                return live and (not wait or all([await gateway.is_usable(replica) for replica in replicas]))

            await eventually(serves, "Envoy serves and every replica is ready")
            return gateway

        yield start


@asynccontextmanager
async def _envoy(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        envoy_program.program(),
        *("--config-path", config, "--disable-hot-restart", "--concurrency", "1", "--log-level", "error"),
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
