"""The workbenches into which faults are injected, and the services that run there."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from harness import usage
from harness.sign_in import NOBODY, AsGateway, SignIn, to_stack
from service.identity import ADMIN
from tests.faults.proxy import Network
from tests.probe import stack as probe
from tests.probe.collection import THINGS, Collection
from tests.workbench.processtree import descendants
from workbench.console import Console
from workbench.options import StackOptions, users_by_default, with_users
from workbench.parts.postgres import SUPERUSER
from workbench.parts.replica import Replica
from workbench.stack import Stack


@dataclass(frozen=True, slots=True)
class Service:
    """A service to which faults happen."""

    module: str
    """A replica runs `python -m module`."""
    collection: Collection
    start: Callable[[StackOptions, Console], AbstractAsyncContextManager[Stack]] = Stack
    """Starts a workbench of it."""
    users: bool = False
    """Whether its rows have owners, so that it can have users."""


PROBE = Service(probe.MODULE, THINGS, probe.probe_stack)


@dataclass(frozen=True)
class Site:
    """A workbench, and the network between its replicas and its database if a test needs to break it."""

    stack: Stack
    collection: Collection
    network: Network | None = None

    @cached_property
    def user(self) -> SignIn:
        """An admin, if there are users: for requests through the ingress."""
        return to_stack(self.stack, ADMIN)

    @property
    def service_user(self) -> SignIn:
        """The same for requests straight to the service."""
        return NOBODY if self.user is NOBODY else AsGateway("admin", ADMIN)

    @property
    def url(self) -> str:
        return self.stack.ingress_url

    async def connect(self, database: str = "app") -> "asyncpg.Connection[asyncpg.Record]":
        """Connects as the superuser, not through the network."""
        return await asyncpg.connect(
            self.stack.postgres.url(SUPERUSER, database), server_settings={"search_path": "app"}
        )

    async def routed_to(self, replica: Replica) -> None:
        """Waits until the ingress sends requests to this replica, which happens a little after it is ready."""
        async with asyncio.timeout(30), httpx.AsyncClient(base_url=self.url) as client:
            while (await client.get("/")).headers.get("x-service-instance") != replica.name:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def busy(self) -> dict[str, float]:
        """Seconds of CPU that each kind of part has used so far; Linux only, 0 elsewhere."""
        stack = self.stack
        parts = {"PostgreSQL": [stack.postgres.part], "Envoy": [stack.envoy.part]}
        parts["replicas"] = [replica.part for replica in stack.replicas]
        return {name: sum(usage.cpu_seconds(part.pid) for part in each if part) for name, each in parts.items()}

    def resident(self) -> int:
        """Bytes of memory of all replicas."""
        return usage.resident(*(replica.part.pid for replica in self.stack.replicas if replica.part))

    def database_processes(self) -> list[int]:
        """The server and all its children, each of which leads a session of its own."""
        part = self.stack.postgres.part
        assert part is not None
        return [part.pid, *descendants(part.pid)]


@asynccontextmanager
async def site(
    service: Service = PROBE,
    *,
    network: bool = False,
    folder: Path | None = None,
    users: bool = True,
    **options: Any,
) -> AsyncIterator[Site]:
    """A separate workbench with two replicas. Its data are in `folder`, or in a folder that is removed at the end.

    It has users if the service can have them and `make dev` has, unless `users` says no.
    """
    # Not in the project, as nothing of it should stay. The path is short because the folder also contains sockets.
    data = folder or Path(tempfile.mkdtemp(prefix="faults-"))
    data.chmod(0o755)
    async with AsyncExitStack() as undo:
        if folder is None:
            undo.callback(shutil.rmtree, data, ignore_errors=True)
        log = undo.enter_context((data / "log").open("w"))
        between, command = None, [sys.executable, "-m", service.module]
        if network:
            between = await undo.enter_async_context(Network(data / "run" / ".s.PGSQL.5432").running())
            url = f"postgresql://app_rw@127.0.0.1:{between.port}/app"
            command = [shutil.which("env") or "env", f"SERVICE_DATABASE_URL={url}", *command]
        defaults = {"data": data, "replicas": 2, "service": command, "secrets": data / "secrets"}
        chosen = StackOptions(**{**defaults, **options})
        if users and service.users and users_by_default():
            chosen = with_users(chosen)
        stack = await undo.enter_async_context(service.start(chosen, Console(log)))
        yield Site(stack, service.collection, between)
