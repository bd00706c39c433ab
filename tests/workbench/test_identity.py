"""A workbench with k8s/components/identity: users in front of a real service."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from harness.tls import NO_TLS
from tests.probe.stack import make_table
from tests.servers import SERVER
from tests.waiting import PATIENT, eventually
from tests.workbench.ingress.provider import Provider
from tests.workbench.ingress.tokens import EC, token
from tests.workbench.reload.live import Output
from tests.workbench.things import LOAD
from workbench.console import Console
from workbench.machine.folders import MANIFESTS
from workbench.manifests import Manifests
from workbench.options import StackOptions
from workbench.stack import Stack

PUBLIC = ["/", "/docs", "/openapi.json", "/static/page.js", "/auth/keys"]


@pytest.fixture
def component(tmp_path: Path) -> Path:
    """A copy, for tests that edit it."""
    return Path(shutil.copytree(MANIFESTS / "components" / "identity", tmp_path / "identity"))


@pytest.fixture
async def stack(new_data: Callable[[], Path], component: Path) -> AsyncIterator[Stack]:
    provider = Provider(EC)
    async with provider.running():
        options = StackOptions(
            data=new_data(),
            settings={"SERVICE_SERVER": SERVER, **PATIENT},
            service=(sys.executable, "-m", "tests.probe"),
            components=[component],
            identity_port=provider.port,
        )
        async with Stack(options, Console(Output())) as stack:
            await make_table(stack.postgres)
            yield stack


async def test_the_api_is_for_users(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.ingress_url, verify=NO_TLS) as client:
        assert {(await client.get(path)).status_code for path in PUBLIC} <= {200, 404}  # this service has no page
        assert (await client.get(LOAD.path)).status_code == 401
        ada = {"authorization": f"Bearer {token()}"}
        assert (await client.post(LOAD.path, json={"name": "a"}, headers=ada)).status_code == 201
        # A public path for the gateway, which is none for the service.
        assert (await client.get("/static/..%2f..%2fthings")).status_code == 404


async def test_a_save_changes_who_may_do_what_and_no_request_is_lost(stack: Stack, component: Path) -> None:
    output = Output()
    taking = asyncio.create_task(Manifests(stack, Console(output)).keep_taking())
    policy = component / "authorizationpolicy-gateway.yaml"
    text = policy.read_text()

    async def status() -> int:
        """Of a request of the user ada, on a new connection."""
        async with httpx.AsyncClient(base_url=stack.ingress_url, verify=NO_TLS) as client:
            return (await client.get(LOAD.path, headers={"authorization": f"Bearer {token()}"})).status_code

    async def until(line: str) -> list[int]:
        """The statuses of all requests until a line is printed, and of one more."""
        printed = asyncio.create_task(output.until(line, 0))
        statuses = []
        while not printed.done():
            statuses.append(await status())
        return [*statuses, await status()]

    policy.write_text(text.replace("requestPrincipals:", "principals:"))
    assert {
        *await until(r"gateway.yaml: spec.rules\[1\].from\[0\].source.principals: .*; the rules before it go on")
    } == {200}
    policy.write_text(text.replace("[/auth/*]", "[/auth/*, /more]"))
    assert {*await until("gateway.yaml: the rules answer after")} == {200}
    policy.write_text(text.replace('/auth/*"]', '/auth/eve"]'))

    async def refused() -> bool:
        return await status() == 403

    await eventually(refused, "ada may no longer read things")
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
