"""Runs the service's commands to their end, as a person or a container does."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import WITHIN

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int | None
    stdout: str
    stderr: str


def environment(**variables: str) -> dict[str, str]:
    """The environment of this process with `variables`, and without those that would configure the service."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("SERVICE_", "PG", "OTEL_"))
    } | variables


async def run_command(*command: str | Path, **variables: str) -> Done:
    """Runs a command with these environment variables, and waits for its end."""
    async with running(*command, **variables) as process:
        return await ended(process)


@asynccontextmanager
async def running(*command: str | Path, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Starts a command with these environment variables; kills it at the end of the block if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=environment(**variables),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ended(process: asyncio.subprocess.Process) -> Done:
    """Waits for the end of a command."""
    async with asyncio.timeout(WITHIN):
        stdout, stderr = await process.communicate()
    return Done(process.returncode, stdout.decode(), stderr.decode())
