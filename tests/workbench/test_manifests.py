"""What `make dev` does with a save under k8s/, in a running workbench."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from harness.clients import clients
from harness.tls import NO_TLS
from tests.waiting import eventually
from tests.workbench.reload.live import Output
from tests.workbench.things import LOAD
from workbench.console import Console
from workbench.machine.folders import ROLES, SERVICE_MANIFESTS
from workbench.manifests import Manifests
from workbench.stack import Stack

FIRST = "  http:\n"
ROUTE = FIRST + "    - name: added\n      match: [{ uri: { exact: /added } }]\n      directResponse: { status: %d }\n"


class Folder:
    """The files that `make dev` watches, and what it says about them."""

    def __init__(self, stack: Stack, root: Path) -> None:
        self.stack = stack
        self.output = Output()
        self._seen = 0
        self.virtual_service = stack.options.rules / "virtualservice.yaml"
        self.roles = Path(shutil.copy(ROLES, root))
        self.service = Path(shutil.copytree(SERVICE_MANIFESTS, root / "service"))
        self.manifests = Manifests(stack, Console(self.output), roles=self.roles, service=self.service)

    def save(self, file: Path, old: str, new: str) -> None:
        """As most editors do: writes another file, and moves it there."""
        text = file.read_text()
        assert old in text
        beside = file.with_suffix(".new")
        beside.write_text(text.replace(old, new, 1))
        beside.replace(file)

    async def says(self, pattern: str) -> str:
        """Waits for a line since the last one."""
        line = await self.output.until(pattern, self._seen)
        self._seen = self.output.lines.index(line, self._seen) + 1
        return line

    async def answers(self, path: str, status: int) -> None:
        async def answered() -> bool:
            async with httpx.AsyncClient(base_url=self.stack.ingress_url, verify=NO_TLS) as client:
                return (await client.get(path)).status_code == status

        await eventually(answered, f"{path} is answered with {status}")


@pytest.fixture
async def folder(stack: Stack, tmp_path: Path) -> AsyncIterator[Folder]:
    folder = Folder(stack, tmp_path)
    before = folder.virtual_service.read_bytes()
    taking = asyncio.create_task(folder.manifests.keep_taking())
    yield folder
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    folder.virtual_service.write_bytes(before)
    await stack.envoy.reload()


async def test_rules_that_are_saved_answer_and_no_request_is_lost(folder: Folder) -> None:
    async with clients(folder.stack.ingress_url, 4, LOAD, pause=0.05) as record:
        folder.save(folder.virtual_service, FIRST, ROUTE % 418)
        await folder.says(r"  envoy │ reload: \S+/virtualservice.yaml: the rules answer after \d+ ms")
        await folder.answers("/added", 418)

        folder.save(folder.virtual_service, "status: 418", "statuses: 418")
        line = await folder.says(r"  envoy │ reload: \S+/virtualservice.yaml: spec.http\[0\].directResponse.status: ")
        assert line.endswith("; the rules before it go on")
        await folder.answers("/added", 418)

        folder.save(folder.virtual_service, "statuses: 418", "status: 418")
        await folder.says(r"  envoy │ reload: \S+/virtualservice.yaml: the rules match those that answer again")

        for number in range(451, 460):
            folder.save(folder.virtual_service, f"status: {number - 1 if number > 451 else 418}", f"status: {number}")
        await folder.answers("/added", 459)
    assert record.answers
    assert record.failed == 0, record


async def test_a_file_that_is_away_for_a_while(folder: Folder) -> None:
    away = folder.virtual_service.rename(folder.virtual_service.with_suffix(".away"))
    await folder.says(r"/virtualservice.yaml: cannot be read: No such file or directory; the rules before it go on")
    away.rename(folder.virtual_service)
    await folder.says("the rules match those that answer again")


async def test_what_is_no_rule_of_this_ingress(folder: Folder) -> None:
    unlisted = folder.virtual_service.with_name("unlisted.yaml")
    unlisted.write_text("kind: Other\n")
    await folder.says("/unlisted.yaml: nothing changes for this ingress")
    unlisted.unlink()
    os.mkfifo(unlisted)
    await folder.says("/unlisted.yaml: nothing changes for this ingress")
    unlisted.unlink()


async def test_roles_and_labels_need_a_person(folder: Folder) -> None:
    folder.save(folder.roles, "CREATE ROLE", "-- CREATE ROLE")
    line = await folder.says(r"postgres │ reload: \S+/roles.sql: only a new database gets it: ")
    assert "`psql 'postgresql://postgres@/app?host=" in line

    kustomization = folder.service / "kustomization.yaml"
    folder.save(kustomization, "includeTemplates: true", "includeTemplates: false")
    await folder.says(r"service │ reload: \S+/kustomization.yaml: .*: stop, and start `make dev` again")
    folder.save(kustomization, "includeTemplates: false", "includeTemplates: 7")
    await folder.says(
        r"service │ reload: \S+/kustomization.yaml: labels\[0\].includeTemplates: .*; the replicas keep"
    )
