"""Envoy as a process on this machine."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.waiting import WITHIN
from tests.workbench.ingress.gateway import ENVOY, RULES, StartGateway
from tests.workbench.ingress.peers import Peer
from workbench.ingress.bootstrap import envoy_bootstrap


async def test_the_administration_is_a_socket_of_this_user_only(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(Peer())

    assert gateway.admin_socket.is_socket()
    assert gateway.admin_socket.stat().st_mode & 0o777 == 0o600


async def test_a_second_envoy_does_not_share_the_port(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await start_gateway(Peer())

    config = tmp_path / "second.json"
    config.write_text(
        json.dumps(
            envoy_bootstrap(RULES, port=gateway.port, replicas=[], admin_socket=gateway.admin_socket.with_name("2"))
        )
    )
    second = await asyncio.create_subprocess_exec(
        ENVOY, "-c", config, "--disable-hot-restart", "--log-level", "off", stderr=asyncio.subprocess.PIPE
    )
    _, error = await asyncio.wait_for(second.communicate(), WITHIN)

    assert second.returncode != 0
    assert b"in use" in error


async def test_the_access_log_has_istios_keys(start_gateway: StartGateway, capfd: pytest.CaptureFixture[str]) -> None:
    gateway = await start_gateway(Peer(), access_log=True)

    await gateway.client.get("/notes", headers={"user-agent": "curl"})
    await gateway.stop()

    [line] = capfd.readouterr().out.splitlines()
    entry = json.loads(line)
    assert entry["route_name"] == "curl-is-throttled"
    assert (entry["response_code"], entry["response_code_details"]) == (429, "direct_response")
    assert entry["request_id"]


async def test_every_address_is_served(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(Peer(), addresses=("127.0.0.1", "127.0.0.2"))

    assert (await gateway.client.get(f"http://127.0.0.2:{gateway.port}/")).status_code == 200
