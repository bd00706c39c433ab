"""Requests that Schemathesis generates from /openapi.json."""

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from harness.sign_in import SignIn

ROOT = Path(__file__).parents[2]

# A deeper search: SCHEMATHESIS_EXAMPLES=1000 make test ARGS="-k openapi".
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES") or "10"


async def send(
    ingress_url: str, user: SignIn, config: Path, *options: str, variables: Mapping[str, str] | None = None
) -> int:
    """Sends the requests of a user; returns how many operations were tested.

    Fails with the report of Schemathesis if an answer is not as described. `config` is its configuration, `options`
    select the operations, and `variables` are environment variables for its hooks.
    """
    headers = (f"--header={name.title()}: {value}" for name, value in user.headers().items())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", config),
        *("run", f"{ingress_url}/openapi.json", "--max-examples", EXAMPLES, "--no-color", *headers, *options),
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
