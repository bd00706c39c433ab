"""Requests that Schemathesis generates from /openapi.json."""

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]

# A deeper search: SCHEMATHESIS_EXAMPLES=1000 make test ARGS="-k openapi".
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES") or "10"


async def send(
    client: httpx.AsyncClient, config: Path, *options: str, variables: Mapping[str, str] | None = None
) -> int:
    """Sends the requests, as the user of the client; returns how many operations were tested.

    Fails with the report of Schemathesis if an answer is not as described. `config` is its configuration, `options`
    select the operations, and `variables` are environment variables for its hooks.
    """
    sent = (await client.get("/openapi.json")).request  # with what the client sends with each request
    authorization = sent.headers.get("authorization", "")
    as_user = ("--header", f"Authorization: {authorization}") if authorization else ()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", config),
        *("run", str(sent.url), "--max-examples", EXAMPLES, "--no-color", *as_user, *options),
        cwd=ROOT,
        env=os.environ | dict(variables or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output
    tested = re.search(r"Tested: (\d+)\n", output)
    assert tested, output
    return int(tested[1])
