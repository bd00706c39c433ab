"""One workbench for the whole session, and a client of its ingress.

The workbench uses free ports, so a developer's own workbench can keep running. With INGRESS_URL, the tests that only
need the URL of an ingress use that one instead.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from harness.sign_in import SignIn, to_ingress, to_stack
from service.identity import ADMIN
from tests.ingress.clients import client_of
from tests.ingress.contract import Contract
from tests.servers import SERVER
from tests.waiting import PATIENT, UNHURRIED
from workbench.console import Console
from workbench.errors import WorkbenchError
from workbench.machine.folders import run_folder
from workbench.options import StackOptions, users_by_default, with_users
from workbench.parts.pgdata import NOT_DURABLE, open_postgres
from workbench.stack import Stack

os.environ.pop("PYTHONSAFEPATH", None)  # tests start programs as `python -m`, in the folder of the project
pytest_plugins = [
    "tests.running.alone",
    "tests.running.memory",
    "tests.running.programs",
    "tests.running.workers",
    "tests.service.fixtures",
    "tests.page.fixtures",
]
INGRESS_URL = os.environ.get("INGRESS_URL")
ROUTABLE_WITHIN = 60  # seconds; a gateway knows that a replica is ready only some time later


@pytest.fixture(scope="session")
async def database_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a new workbench, made once for all tests, over the remains of an interrupted start."""
    data = tmp_path_factory.mktemp("template")
    (data / "postgres.new").mkdir()
    (data / "postgres.new" / "PG_VERSION").write_text("half made")
    with (data / "log").open("w") as log, run_folder(data) as run:
        await open_postgres(data, run, Console(log), NOT_DURABLE)
    return data


@pytest.fixture(scope="session")
def new_data(database_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes data folders that contain a database, in a tenth of the time that a first start takes."""

    def copy() -> Path:
        data = tmp_path_factory.mktemp("data")
        subprocess.run(["cp", "-Rp", database_template / "postgres", data], check=True)
        return data

    return copy


@pytest.fixture(scope="session")
async def stack(new_data: Callable[[], Path]) -> AsyncIterator[Stack]:
    """Two replicas behind Envoy, and a database that survives crashes. A test that stops a part restarts it.

    It has users if `make dev` has them by default.
    """
    data = new_data()
    settings = {"SERVICE_SERVER": SERVER, **PATIENT, **UNHURRIED}
    options = StackOptions(data=data, replicas=2, settings=settings, secrets=data / "secrets")
    with (data.parent / f"{data.name}.log").open("w") as log:
        async with Stack(with_users(options) if users_by_default() else options, Console(log)) as stack:
            yield stack


@pytest.fixture(scope="session")
def ingress_url(request: pytest.FixtureRequest) -> str:
    """The ingress that is tested: INGRESS_URL, or else the workbench of this session."""
    if INGRESS_URL:
        if not INGRESS_URL.startswith(("http://", "https://")):
            pytest.exit(f"INGRESS_URL={INGRESS_URL} does not begin with http:// or https://", returncode=2)
        return INGRESS_URL.rstrip("/")
    stack: Stack = request.getfixturevalue("stack")
    return stack.ingress_url


@pytest.fixture(scope="session")
def first_user(request: pytest.FixtureRequest, ingress_url: str) -> SignIn:
    """Whose requests to the ingress most are: those of a user without a role, or of NOBODY if there are no users."""
    return _user(request, ingress_url)


@pytest.fixture(scope="session")
def admin(request: pytest.FixtureRequest, ingress_url: str) -> SignIn:
    """Another user, who is an admin; NOBODY if there are no users."""
    return _user(request, ingress_url, ADMIN)


def _user(request: pytest.FixtureRequest, ingress_url: str, role: str | None = None) -> SignIn:
    try:
        if INGRESS_URL:
            return to_ingress(ingress_url, role)
        return to_stack(request.getfixturevalue("stack"), role)
    except WorkbenchError as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
async def client(ingress_url: str, first_user: SignIn) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the ingress, of the first user if there are users. Others may use the service at the same time."""
    async with client_of(ingress_url, first_user) as client:
        await _until_routable(client)
        yield client


async def _until_routable(client: httpx.AsyncClient) -> None:
    answer: object = None
    try:
        async with asyncio.timeout(ROUTABLE_WITHIN):
            while True:
                try:
                    answer = await client.get("/openapi.json")
                    if answer.status_code == 200:
                        return
                except httpx.TransportError as error:
                    answer = error
                await asyncio.sleep(0.1)
    except TimeoutError:
        message = f"{client.base_url} did not answer 200 within {ROUTABLE_WITHIN} s; last: {answer!r}"
        if INGRESS_URL:  # no other test would fare better
            pytest.exit(message, returncode=1)
        pytest.fail(message)


@pytest.fixture(scope="session")
async def contract(client: httpx.AsyncClient) -> Contract:
    """The operations and responses that /openapi.json describes."""
    return Contract((await client.get("/openapi.json")).json())
