"""A real Dex with the configuration of the cluster, behind a gateway, which accepts its tokens.

DEX is the path of the program, `dex`, which runs behind the gateway of the workbench. IDENTITY_GATEWAY is the URL of
the gateway of a cluster with users, where Dex runs already. Without both, that is not tested.
"""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
import yaml

from cluster.access_token import of_cluster
from tests.probe.stack import MODULE, make_table
from tests.servers import SERVER
from tests.waiting import PATIENT, WITHIN
from tests.workbench.identity.person import Person
from tests.workbench.reload.live import Output
from tests.workbench.things import ANY
from workbench.console import Console
from workbench.errors import WorkbenchError
from workbench.ingress.address import CLUSTER_URL
from workbench.machine import ports
from workbench.machine.folders import IDENTITY, IDENTITY_PROVIDER
from workbench.machine.passwords import make_folder, of_user, write
from workbench.options import StackOptions
from workbench.parts.probe import until_ok
from workbench.stack import Stack

DEX = os.environ.get("DEX", "")
IDENTITY_GATEWAY = os.environ.get("IDENTITY_GATEWAY", "").rstrip("/")

PASSWORD, HASH = "password", "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W"
"""From the examples of Dex. In the cluster, gomplate makes the hashes."""

pytestmark = pytest.mark.skipif(
    not (DEX or IDENTITY_GATEWAY), reason="neither DEX nor IDENTITY_GATEWAY is set; see the top of this file"
)


@pytest.fixture(scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    folder = tmp_path_factory.mktemp("dex")
    configuration: dict[str, Any] = yaml.safe_load((IDENTITY_PROVIDER / "dex.yaml").read_text())
    for user in configuration["staticPasswords"]:
        user["hash"] = HASH
    web, telemetry = ports.free(2)
    configuration["web"]["http"] = f"127.0.0.1:{web}"
    configuration["telemetry"]["http"] = f"127.0.0.1:{telemetry}"
    configuration["storage"]["config"]["file"] = str(folder / "dex.db")
    (folder / "dex.yaml").write_text(yaml.safe_dump(configuration))
    with (folder / "log").open("w") as log:
        dex = await asyncio.create_subprocess_exec(DEX, "serve", folder / "dex.yaml", stdout=log, stderr=log)
        try:
            await until_ok(telemetry, "/healthz/ready", WITHIN)
            yield web
        finally:
            dex.terminate()
            await dex.wait()


@pytest.fixture(scope="module")
def url(request: pytest.FixtureRequest) -> str:
    """Of the gateway."""
    url: str = IDENTITY_GATEWAY or request.getfixturevalue("workbench")
    return url


@pytest.fixture(scope="module")
async def workbench(port: int, new_data: Callable[[], Path]) -> AsyncIterator[str]:
    options = StackOptions(
        data=new_data(),
        settings={"SERVICE_SERVER": SERVER, "SERVICE_IDENTITY": "gateway", **PATIENT},
        service=(sys.executable, "-m", MODULE),
        components=[IDENTITY, IDENTITY_PROVIDER],
        identity_port=port,
    )
    async with Stack(options, Console(Output())) as stack:
        await make_table(stack.postgres)
        yield stack.ingress_url


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder with the passwords of the users."""
    folder = tmp_path / "secrets"
    make_folder(folder)
    for user in ("ada", "grace"):
        write(of_user(user, folder), of_user(user).read_text().strip() if IDENTITY_GATEWAY else PASSWORD)
    return folder


@pytest.fixture
async def person(url: str, secrets: Path) -> AsyncIterator[Person]:
    # Every service has this path. It needs no token, but a token has to be valid there too.
    async with Person(url, secrets, "/openapi.json" if IDENTITY_GATEWAY else ANY) as person:
        yield person


async def sign_in(person: Person, user: str) -> dict[str, str]:
    """The fields of the address that the browser is sent back to: where the page is in the cluster."""
    page = f"{CLUSTER_URL}/"
    form = await person.browser.get("/auth/auth", params=person.request(redirect_uri=page), follow_redirects=True)
    [action] = re.findall(r'<form[^>]* action="([^"]+)"', form.text) or [str(form.url)]
    where = urljoin(str(form.url), action.replace("&amp;", "&"))
    answer = await person.browser.post(
        where, data={"login": f"{user}@example.com", "password": person.password(user)}
    )
    while not (location := answer.headers["location"]).startswith(f"{page}?"):
        answer = await person.browser.get(location)
    return dict(parse_qsl(urlsplit(location).query))


async def test_a_person_signs_in_and_refreshes(person: Person) -> None:
    answer = await sign_in(person, "grace")
    tokens = (await person.exchange_code(answer["code"], redirect_uri=f"{CLUSTER_URL}/")).json()
    assert await person.may_use(tokens["access_token"]) == 200
    claims = await person.claims(tokens["access_token"])
    assert (claims["iss"], claims["groups"]) == (f"{CLUSTER_URL}/auth", ["admin"])
    assert claims["exp"] - claims["iat"] == 3600
    again = (await person.refresh(tokens["refresh_token"])).json()
    assert await person.may_use(again["access_token"]) == 200
    assert (await person.refresh(tokens["refresh_token"])).status_code >= 400


async def test_the_wrong_verifier_and_a_second_use_get_nothing(person: Person) -> None:
    fields = {"redirect_uri": f"{CLUSTER_URL}/"}
    code = (await sign_in(person, "ada"))["code"]
    answer = await person.exchange_code(code, **fields, code_verifier="v" * 43)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    code = (await sign_in(person, "ada"))["code"]
    assert (await person.exchange_code(code, **fields)).status_code == 200
    assert (await person.exchange_code(code, **fields)).status_code == 400


@pytest.mark.parametrize("redirect_uri", ["https://evil.example/", f"{CLUSTER_URL}/other"])
async def test_nobody_is_sent_elsewhere(person: Person, redirect_uri: str) -> None:
    fields = person.request(redirect_uri=redirect_uri)
    answer = await person.browser.get("/auth/auth", params=fields, follow_redirects=True)
    assert (answer.status_code, str(answer.url).startswith(f"{person.url}/auth/")) == (400, True)


async def test_make_token_gets_a_token_of_each_user(person: Person, url: str, secrets: Path) -> None:
    for user, role, groups in (("ada", None, None), (None, "admin", ["admin"])):
        token = await asyncio.to_thread(of_cluster, user, role, url, secrets)
        assert await person.may_use(token) == 200
        claims = await person.claims(token)
        assert (claims.get("groups"), 1 <= len(claims["sub"]) <= 255) == (groups, True)
    write(of_user("ada", secrets), "another")
    with pytest.raises(WorkbenchError, match="Dex has another password for ada"):
        await asyncio.to_thread(of_cluster, "ada", None, url, secrets)
