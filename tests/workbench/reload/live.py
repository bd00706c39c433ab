"""A service under live reload as a person sees it: files, lines, answers."""

import asyncio
import io
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from harness.sandbox import Sandbox
from harness.tls import NO_TLS
from tests.probe.project import MODULE
from tests.servers import SERVER
from tests.waiting import PATIENT, WITHIN
from tests.workbench.things import ANY
from workbench.console import Console
from workbench.machine import ports
from workbench.options import StackOptions
from workbench.parts.postgres import Postgres
from workbench.parts.process import Part
from workbench.parts.replica import service_environment
from workbench.stack import Stack

_LIST = 'paging.answer("/things", query, rows)'
_ROUTE = '    @routes.get("")\n'
_MATCHING = '            scope["state"][_MATCH] = self._match(scope)\n'

CRASH = (
    "service/web/routing.py",
    _MATCHING,
    "            import os, threading\n            from service.rehearsal.rollback import is_rehearsal\n"
    f"            is_rehearsal() or threading.Timer(0.1, os._exit, [1]).start()\n{_MATCHING}",
)
"""An edit after which the service ends soon after its first request."""


def header(name: str, value: str) -> tuple[str, str, str]:
    """An edit after which answers to GET /things have a header; `value` is an expression of Python."""
    return MODULE, _LIST, f'Answer(200, (page := {_LIST}).body, [*page.headers, (b"{name}", ({value}).encode())])'


SAYS_ITS_PID = header("x-pid", 'str(__import__("os").getpid())')
"""An edit after which serving() works."""


def slow_route(go_on: Path) -> tuple[str, str, str]:
    """An edit after which GET /things/slow is answered as soon as the file `go_on` exists."""
    route = f"""
    @routes.get("/slow")
    @endpoint()
    async def slow() -> Answer:
        import asyncio, pathlib
        while not pathlib.Path({str(go_on)!r}).exists():
            await asyncio.sleep(0.01)
        return Answer(200, b"done")

"""
    return MODULE, _ROUTE, f"{route}{_ROUTE}"


_PATIENT = {"SERVICE_MAX_REQUESTS": "1000", **PATIENT}
"""A slow machine makes requests slow. These settings keep the service from refusing them."""


class Output(io.StringIO):
    """All lines that were written; until() waits for one."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._news = asyncio.Event()

    def write(self, text: str) -> int:
        self.lines += text.splitlines()
        self._news.set()
        return len(text)

    def since(self, begin: int) -> list[str]:
        return self.lines[begin:]

    async def until(self, pattern: str, begin: int) -> str:
        """The first line that matches, among those after the first `begin`."""
        try:
            async with asyncio.timeout(WITHIN):
                while True:
                    for line in self.lines[begin:]:
                        if re.search(pattern, line):
                            return line
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no line with {pattern!r} in\n" + "\n".join(self.lines[begin:])) from None


@dataclass
class Live:
    """A supervisor on the two ports, and the sources that it follows. `url` is what clients use."""

    sources: Sandbox
    output: Output
    part: Part
    url: str
    api_port: int
    ops_port: int
    seen: int = 0
    """How many lines there were when the test began, or called forget()."""
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    def forget(self) -> None:
        self.seen = len(self.output.lines)

    async def says(self, pattern: str) -> str:
        return await self.output.until(pattern, self.seen)

    def said(self, pattern: str) -> list[str]:
        return [line for line in self.output.since(self.seen) if re.search(pattern, line)]

    async def serves(self) -> str:
        """Waits until the version of the files answers. Returns it."""
        version = self.sources.version
        async with asyncio.timeout(WITHIN):
            while (await self.get(ANY)).headers.get("x-service-version") != version:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        return version

    async def reloads(self) -> str:
        """Waits for the line that reports a reload to the version of the files."""
        line = await self.says(f"version {self.sources.version} answers after")
        assert (await self.get(ANY)).headers["x-service-version"] == self.sources.version
        return line

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self._client(self.url).get(path, **options)

    async def ops(self, path: str) -> httpx.Response:
        return await self._client(f"http://127.0.0.1:{self.ops_port}").get(path)

    async def metric(self, name: str) -> float:
        [value] = re.findall(rf"^{re.escape(name)} (\S+)$", (await self.ops("/metrics")).text, re.MULTILINE)
        return float(value)

    async def until_answering(self) -> None:
        """Waits until a request is in flight."""
        async with asyncio.timeout(WITHIN):
            while await self.metric('http_requests_in_flight{kind="request"}') == 0:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        for client in self.clients.values():
            await client.aclose()

    def _client(self, url: str) -> httpx.AsyncClient:
        if url not in self.clients:
            self.clients[url] = httpx.AsyncClient(base_url=url, timeout=WITHIN, verify=NO_TLS, trust_env=False)
        return self.clients[url]


@asynccontextmanager
async def live_workbench(sources: Sandbox, data: Path, **options: Any) -> AsyncIterator[tuple[Stack, Live]]:
    """A workbench that follows these sources, with its database in the folder `data`; `options` of StackOptions.

    Live is its first replica.
    """
    output = Output()
    stack_options = StackOptions(
        data=data,
        sources=sources.root,
        service=(sys.executable, "-m", "workbench.reload"),
        settings={
            "SERVICE_SERVER": SERVER,
            "SERVICE_LOG_LEVEL": "warning",
            **_PATIENT,
        },
        **options,
    )
    async with Stack(stack_options, Console(output)) as stack:
        replica = stack.replicas[0]
        assert replica.part
        live = Live(sources, output, replica.part, stack.ingress_url, replica.api_port, replica.ops_port)
        yield stack, live
        await live.close()


@contextmanager
def unseen(live: Live) -> Iterator[None]:
    """The supervisor sees what is saved in the block at once, however slow the machine is."""
    os.kill(live.part.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(live.part.pid, signal.SIGCONT)


async def serving(live: Live) -> int:
    """The process that serves; the sources have to have SAYS_ITS_PID."""
    return int((await live.get(ANY)).headers["x-pid"])


@asynccontextmanager
async def supervised(postgres: Postgres, sources: Sandbox, *prefix: str, **settings: str) -> AsyncIterator[Live]:
    """A supervisor for one test, without an ingress; `prefix` comes before its command."""
    api_port, ops_port = ports.free(2)
    output = Output()
    user = "unprivileged" if settings.pop("user", "") and os.geteuid() == 0 else "same"
    shared = {"SERVICE_DRAIN_DELAY": "0", "SERVICE_LOG_LEVEL": "warning", **PATIENT}
    env = service_environment(postgres, shared | settings)
    env |= {"SERVICE_API_BIND": f"127.0.0.1:{api_port}", "SERVICE_OPS_BIND": f"127.0.0.1:{ops_port}"}
    part = await Part.start(
        "reload",
        *(*prefix, sys.executable, "-m", "workbench.reload"),
        console=Console(output),
        env=env,
        cwd=sources.root,
        user=user,  # type: ignore[arg-type]
    )
    live = Live(sources, output, part, f"http://127.0.0.1:{api_port}", api_port, ops_port)
    try:
        yield live
    finally:
        await live.close()
        await part.stop((signal.SIGTERM, 5))
