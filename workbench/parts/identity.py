"""The identity provider of the workbench, in the place that Dex has in the cluster; see workbench/identity/."""

import signal
import sys
from pathlib import Path

from workbench.console import Console
from workbench.parts.probe import READY_WITHIN, until_ok
from workbench.parts.process import Part

STOP_WITHIN = 1.0


class Identity:
    """`component` is the folder with its configuration, `own_url` the address of the ingress in front of it."""

    def __init__(self, port: int, own_url: str, component: Path, data: Path, secrets: Path, console: Console) -> None:
        self.port = port
        self.part: Part | None = None
        self._arguments = str(port), own_url, component, data, secrets
        self._console = console

    async def start(self) -> None:
        """Returns when it answers."""
        self.part = await Part.start(
            "identity", sys.executable, "-m", "workbench.identity", *self._arguments, console=self._console
        )
        await self.part.becomes_ready(until_ok(self.port, "/auth/healthz", READY_WITHIN))

    async def stop(self) -> None:
        if self.part:
            await self.part.stop((signal.SIGTERM, STOP_WITHIN))
