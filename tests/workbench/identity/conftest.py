"""A workbench with users: its own identity provider, behind the ingress."""

import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.probe.stack import MODULE, make_table
from tests.servers import SERVER
from tests.waiting import PATIENT
from tests.workbench.identity.person import Person
from tests.workbench.reload.live import Output
from workbench.console import Console
from workbench.machine.folders import IDENTITY, IDENTITY_PROVIDER
from workbench.options import StackOptions
from workbench.stack import Stack


@pytest.fixture(scope="package")
async def stack(new_data: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    provider = Path(shutil.copytree(IDENTITY_PROVIDER, tmp_path_factory.mktemp("component") / "identity-provider"))
    options = StackOptions(
        data=new_data(),
        settings={"SERVICE_SERVER": SERVER, "SERVICE_IDENTITY": "gateway", **PATIENT},
        service=(sys.executable, "-m", MODULE),
        components=[IDENTITY, provider],
        provider=provider,
        secrets=tmp_path_factory.mktemp("secrets") / "new",
    )
    async with Stack(options, Console(Output())) as stack:
        await make_table(stack.postgres)
        yield stack


@pytest.fixture
async def person(stack: Stack) -> AsyncIterator[Person]:
    async with Person(stack.ingress_url, stack.options.secrets) as person:
        yield person
