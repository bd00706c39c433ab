"""The service as a part of the workbench: its migrations, and one process for each replica."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from workbench.console import Console
from workbench.machine.folders import ROOT
from workbench.options import StackOptions
from workbench.parts import trial
from workbench.parts.postgres import SUPERUSER, Postgres
from workbench.parts.probe import READY_WITHIN, until_ok
from workbench.parts.process import Part, run

MIGRATED_WITHIN = 300.0
STOP_WITHIN = 2.5  # then it is killed; with PostgreSQL's limits, Ctrl-C takes less than 5 s even if a part hangs

# Defaults that the caller can override. The drain delay is as long as four health checks of Envoy.
DEFAULTS = {
    "SERVICE_ENVIRONMENT": "workbench",
    "SERVICE_LOG_FORMAT": "text",
    "SERVICE_DRAIN_DELAY": "1",
    "SERVICE_SHUTDOWN_GRACE": "2",
}


class Replica:
    """One process of the service. After it has ended, start() starts it again on the same ports.

    `labels` are what its pod would have in a cluster.
    """

    def __init__(
        self,
        name: str,
        api_port: int,
        ops_port: int,
        options: StackOptions,
        env: Mapping[str, str],
        console: Console,
        labels: Mapping[str, str],
    ) -> None:
        self.name = name
        self.api_port = api_port
        self.ops_port = ops_port
        self.labels = labels
        self.part: Part | None = None
        self._options = options
        self._console = console
        self._env = dict(env) | {
            "SERVICE_INSTANCE": name,
            "SERVICE_API_BIND": f"127.0.0.1:{api_port}",
            "SERVICE_OPS_BIND": f"127.0.0.1:{ops_port}",
        }

    def debug(self, port: int) -> None:
        """From the next start on, a debugger can attach to this port of 127.0.0.1."""
        self._env["RELOAD_DEBUG_PORT"] = str(port)

    def keep_verdict(self, file: Path) -> None:
        """From the next start on, live reload writes to this file what serves; see workbench/live.py."""
        self._env["RELOAD_VERDICT_FILE"] = str(file)

    async def start(self) -> None:
        options = self._options
        self.part = await Part.start(
            self.name, *options.service, console=self._console, env=self._env, cwd=options.sources
        )

    async def ready(self) -> None:
        """Returns when /readyz answers 200. Raises PartFailed if that takes too long or the process ends."""
        if self.part:
            await self.part.becomes_ready(until_ok(self.ops_port, "/readyz", READY_WITHIN))

    def terminate(self) -> None:
        """Asks it to drain and end; wait() returns when it has ended."""
        if self.part:
            self.part.send(signal.SIGTERM)

    async def kill(self) -> None:
        if self.part:
            await self.part.kill()

    async def wait(self, within: float | None = None) -> int | None:
        """The exit status, or None if it was never started."""
        return await self.part.wait(within) if self.part else None

    async def stop(self) -> None:
        """Ends it with SIGINT, which skips the drain delay: the whole workbench stops, so nothing has to drain."""
        if self.part:
            await self.part.stop((signal.SIGINT, STOP_WITHIN))


def service_environment(postgres: Postgres, settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of the service and its migrations. `settings` are SERVICE_* and OTEL_* variables.

    The caller's own SERVICE_*, OTEL_* and PG* variables are left out, so that they cannot change the service.
    """
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("SERVICE_", "PG", "OTEL_"))
    }
    return {
        **inherited,
        **DEFAULTS,
        **settings,
        "SERVICE_DATABASE_URL": postgres.url("app_rw"),
        "SERVICE_DATABASE_OWNER_URL": postgres.url("app_owner"),
        trial.SERVER: postgres.url(SUPERUSER),
        "PYTHONUNBUFFERED": "1",
    }


async def migrate(env: Mapping[str, str], console: Console, sources: Path = ROOT) -> None:
    """Applies the migrations. Raises StepFailed if one fails."""
    command = sys.executable, "-m", "service.migrate"
    await run("migrate", *command, console=console, env=env, cwd=sources, within=MIGRATED_WITHIN)
