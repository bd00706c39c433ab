"""Envoy as a process: its sockets and ports."""

import asyncio
import json
from pathlib import Path

from tests.waiting import WITHIN
from tests.workbench.ingress.changed_rules import RULES
from tests.workbench.ingress.gateway import StartGateway
from tests.workbench.ingress.stub_replicas import StubReplica
from workbench.ingress.bootstrap import envoy_bootstrap
from workbench.parts import envoy_program


async def test_only_this_user_reaches_the_administration_interface(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(StubReplica())

    assert gateway.admin_socket.is_socket()
    assert gateway.admin_socket.stat().st_mode & 0o777 == 0o600


async def test_a_second_envoy_does_not_share_the_port(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await start_gateway(StubReplica())

    config = tmp_path / "second.json"
    config.write_text(
        json.dumps(
            envoy_bootstrap(RULES, port=gateway.port, upstreams=[], admin_socket=gateway.admin_socket.with_name("2"))
        )
    )
    second = await asyncio.create_subprocess_exec(
        envoy_program.program(),
        *("-c", config, "--disable-hot-restart", "--log-level", "off"),
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN):
        _, error = await second.communicate()

    assert second.returncode != 0
    assert b"in use" in error


async def test_every_address_is_served(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(StubReplica(), addresses=("127.0.0.1", "127.0.0.2"))

    assert (await gateway.client.get(f"http://127.0.0.2:{gateway.port}/")).status_code == 200
