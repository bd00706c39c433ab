"""The workbench that faults happen to."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.faults.proxy import Network
from tests.workbench.processtree import descendants
from workbench.console import Console
from workbench.options import StackOptions
from workbench.parts.postgres import SUPERUSER
from workbench.parts.replica import Replica
from workbench.stack import Stack


@dataclass(frozen=True)
class Place:
    """A workbench, and the network between its replicas and its database if a test is to break that."""

    stack: Stack
    network: Network | None = None

    @property
    def url(self) -> str:
        return self.stack.ingress_url

    async def connect(self, database: str = "app") -> "asyncpg.Connection[asyncpg.Record]":
        """As the superuser, past the network."""
        return await asyncpg.connect(
            self.stack.postgres.url(SUPERUSER, database), server_settings={"search_path": "app"}
        )

    async def routed_to(self, replica: Replica) -> None:
        """Waits until the ingress sends requests there: it learns a little later that a replica is ready."""
        async with asyncio.timeout(30), httpx.AsyncClient(base_url=self.url) as client:
            while (await client.get("/")).headers.get("x-service-instance") != replica.name:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def busy(self) -> dict[str, float]:
        """Seconds of CPU that each part has used so far."""
        parts = {"PostgreSQL": self.database_processes()}
        parts["Envoy"] = [self.stack.envoy.part.pid] if self.stack.envoy.part else []
        parts["replicas"] = [replica.part.pid for replica in self.stack.replicas if replica.part]
        return {name: sum(map(_cpu_seconds, pids)) for name, pids in parts.items()}

    def database_processes(self) -> list[int]:
        """The server and all its children: each is the leader of a session of its own."""
        part = self.stack.postgres.part
        assert part is not None
        return [part.pid, *descendants(part.pid)]


@asynccontextmanager
async def place(*, network: bool = False, folder: Path | None = None, **options: Any) -> AsyncIterator[Place]:
    """A workbench of its own, of two replicas; its data are in `folder`, or in one that is removed at the end."""
    # Short, as it also holds sockets, and not in the project: nothing of it is to stay.
    data = folder or Path(tempfile.mkdtemp(prefix="faults-"))
    data.chmod(0o755)
    async with AsyncExitStack() as undo:
        if folder is None:
            undo.callback(shutil.rmtree, data, ignore_errors=True)
        log = undo.enter_context((data / "log").open("w"))
        between = None
        if network:
            between = await undo.enter_async_context(Network(data / "run" / ".s.PGSQL.5432").running())
            url = f"postgresql://app_rw@127.0.0.1:{between.port}/app"
            options["service"] = (
                shutil.which("env") or "env",
                f"SERVICE_DATABASE_URL={url}",
                sys.executable,
                "-m",
                "service",
            )
        chosen = StackOptions(**{"data": data, "replicas": 2, **options})
        yield Place(await undo.enter_async_context(Stack(chosen, Console(log))), between)


def _cpu_seconds(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0  # it has ended
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
