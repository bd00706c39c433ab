"""Both halves together: the gateway verifies users, and the service shows each of them their own notes."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from harness.tls import NO_TLS
from tests.servers import SERVER
from tests.waiting import PATIENT
from tests.workbench.ingress.provider import Provider
from tests.workbench.ingress.tokens import EC, header_of, token
from tests.workbench.reload.live import Output
from workbench.console import Console
from workbench.machine.folders import MANIFESTS
from workbench.options import StackOptions
from workbench.stack import Stack


@pytest.fixture
async def url(new_data: Callable[[], Path]) -> AsyncIterator[str]:
    provider = Provider(EC)
    async with provider.running():
        options = StackOptions(
            data=new_data(),
            settings={"SERVICE_SERVER": SERVER, "SERVICE_IDENTITY": "gateway", **PATIENT},
            components=[MANIFESTS / "components" / "identity"],
            identity_port=provider.port,
        )
        async with Stack(options, Console(Output())) as stack:
            yield stack.ingress_url


async def test_users_have_their_own_notes(url: str) -> None:
    def client(user: str, *roles: str, **headers: str) -> httpx.AsyncClient:
        headers["authorization"] = f"Bearer {token(sub=user, groups=list(roles))}"
        return httpx.AsyncClient(base_url=url, headers=headers, verify=NO_TLS)

    async with client("ada") as ada, client("ben") as ben, client("eve", "admin") as admin:
        location = (await ada.post("/notes", json={"title": "Ada's"})).headers["location"]
        assert (await ada.get(location)).json()["title"] == "Ada's"
        assert (await ben.get(location)).status_code == 404
        assert (await ben.delete(location)).status_code == 404
        assert [(await who.get("/notes")).json()["items"] == [] for who in (ada, ben, admin)] == [False, True, False]
    # What the gateway says about a user cannot be said by the user.
    async with client("ben", **{"x-user": "ada", "x-user-roles": header_of("admin")}) as liar:
        assert (await liar.get(location)).status_code == 404
    async with httpx.AsyncClient(base_url=url, headers={"x-user": "ada"}, verify=NO_TLS) as nobody:
        assert (await nobody.get(location)).status_code == 401
