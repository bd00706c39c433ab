"""harness/sign_in.py at an ingress that is known by its URL alone."""

import asyncio

import pytest

from harness.sign_in import NOBODY, TOKEN, to_ingress
from tests.workbench.ingress.gateway import StartGateway
from tests.workbench.ingress.stub_replicas import Received, StubReplica
from workbench.errors import WorkbenchError
from workbench.machine.folders import IDENTITY


async def not_found(request: Received) -> None:
    await request.respond(404)


async def test_an_ingress_without_users(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(StubReplica(not_found))

    assert await asyncio.to_thread(to_ingress, f"http://localhost:{gateway.port}") is NOBODY


async def test_an_ingress_with_users_of_another_provider(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await start_gateway(StubReplica(not_found), components=[IDENTITY])
    url = f"http://localhost:{gateway.port}"
    with pytest.raises(WorkbenchError, match=f"^{url} has users of another identity provider: set {TOKEN}"):
        await asyncio.to_thread(to_ingress, url)

    monkeypatch.setenv(TOKEN, "one")
    assert to_ingress(url).headers() == {"authorization": "Bearer one"}


def test_no_ingress() -> None:
    with pytest.raises(WorkbenchError, match=r"^http://localhost:1/\S+ does not answer .*: is it running\?$"):
        to_ingress("http://localhost:1")
