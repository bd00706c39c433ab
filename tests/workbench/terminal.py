"""`make dev` in a terminal: what it prints, and keys that are pressed there."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.waiting import WITHIN
from tests.workbench.processtree import descendants
from workbench.machine.folders import ROOT

ANY_PORTS = {"INGRESS_PORT": "0", "API_PORT": "0", "OPS_PORT": "0", "PROMETHEUS_PORT": "0"}
NO_PROMETHEUS = {"PROMETHEUS": "no"}
NO_USERS = {"IDENTITY": "no"}
WORKBENCH = (sys.executable, "-m", "workbench")
# What a person types, except that the packages are there already.
MAKE = ("make", "dev", "--old-file=environment-workbench", f"VENV_PYTHON={sys.executable}")
STARTED = "try: curl "
ALWAYS = "/openapi.json"
"""A path that the service has, whatever its domain."""


class Terminal:
    """A running `make dev`, and its output so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""

    async def until(self, text: str) -> None:
        await self.until_match(re.escape(text))

    async def until_match(self, pattern: str) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN):
            while not re.search(pattern, self.text):
                line = await self.process.stdout.readline()
                assert line, f"it ended before it wrote {pattern!r}:\n{self.text}"
                self.text += line.decode()

    async def end(self) -> int:
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN):
            self.text += (await self.process.stdout.read()).decode()
            return await self.process.wait()

    @property
    def url(self) -> str:
        found = re.search(r"curl (\S+)", self.text)
        assert found
        return found[1]

    def press_ctrl_c(self) -> None:
        """A terminal sends it to all processes of the foreground group; only the workbench is in that group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def part(self, name: str) -> int:
        """The process id of a part, which is a child of the workbench."""
        children = descendants(self.process.pid)
        return next(pid for pid, program in children.items() if name in program)


@asynccontextmanager
async def make_dev(data: Path, command: Sequence[str] = WORKBENCH, **variables: str) -> AsyncIterator[Terminal]:
    """Without users, unless IDENTITY says so: their passwords would be made in the folder of this project."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**env, **ANY_PORTS, **NO_PROMETHEUS, **NO_USERS, "DATA": str(data), **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        process_group=0,
    )
    terminal = Terminal(process)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.terminate()
            await terminal.end()
