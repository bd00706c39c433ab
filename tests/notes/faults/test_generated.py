"""Requests generated from /openapi.json, also in sequences, sent straight to the service's port; and random noise."""

import asyncio
import os
import sys
from pathlib import Path

import httpx

from tests.faults.noise import noise_harms_nothing
from tests.faults.site import Site
from tests.notes.ingress.notes import create
from workbench.machine.folders import ROOT

CONFIG = ROOT / "tests" / "notes" / "ingress" / "schemathesis.toml"
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES") or "5"


async def test_answers_are_as_described_without_the_ingress(workbench: Site, tmp_path: Path) -> None:
    """Runs all phases: each operation alone, and sequences of operations that use what earlier ones created."""
    through_ingress = CONFIG.read_text()
    assert "stateful.enabled = false" in through_ingress
    config = tmp_path / "schemathesis.toml"
    config.write_text(through_ingress.replace("stateful.enabled = false", "stateful.enabled = true"))
    url = f"http://127.0.0.1:{workbench.stack.replicas[0].api_port}"
    user = workbench.service_user
    headers = (f"--header={name}: {value}" for name, value in user.headers().items())
    async with httpx.AsyncClient(base_url=url, auth=user) as client:
        note = await create(client, "generated")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", config),
            *("run", f"{url}/openapi.json", "--max-examples", EXAMPLES, "--no-color", *headers),
            "--exclude-checks=ignored_auth",  # the service believes whoever reaches its port
            cwd=ROOT,
            env=os.environ | {"NOTE_ID": note["id"]},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode()
        await client.delete(f"/notes/{note['id']}")

    assert process.returncode == 0, output
    assert "(disabled)" not in output, output


async def test_noise_gets_a_client_error_and_harms_nothing(workbench: Site) -> None:
    await noise_harms_nothing(workbench, "/docs", "/static/x")
