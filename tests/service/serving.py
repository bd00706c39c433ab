"""The service in this process: hypercorn on real sockets, as `python -m service` runs it, without its signals.

Quart's own test client would leave out what matters here: the middleware's place in front of Quart, clients that
leave, back pressure, and connections that are closed.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families
from quart import Quart

from service.__main__ import serve_until_closed
from service.app import Application, create_app
from service.settings import Settings
from tests.service.databases import Database
from tests.service.sse import Subscriber
from tests.service.waiting import WITHIN, eventually

# One for all clients: httpx would read all root certificates again for each, which takes longer than most tests.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def settings_for(database: Database, **changes: object) -> Settings:
    """Settings that suit tests: quick checks and a short end, and no limit that a slow machine could meet."""
    defaults: dict[str, object] = {
        "instance": "test",
        "database_url": database.url("app_rw"),
        "acquire_timeout": WITHIN,
        "statement_timeout": WITHIN,
        "request_timeout": WITHIN,
        "check_interval": 0.02,
        "drain_delay": 0,
        "shutdown_grace": 5,
    }
    return Settings.model_validate(defaults | changes)


@dataclass(frozen=True)
class Service:
    """A running service and its two clients."""

    application: Application
    settings: Settings
    api: httpx.AsyncClient
    ops: httpx.AsyncClient

    @property
    def address(self) -> tuple[str, int]:
        """Of the API, for requests that httpx would not send."""
        url = self.api.base_url
        assert url.port
        return url.host, url.port

    async def ready(self) -> None:
        await eventually(self.is_ready, "/readyz answers 200")

    async def is_ready(self) -> bool:
        return (await self.ops.get("/readyz")).status_code == 200

    async def create(self, title: str = "Launch", **fields: str) -> str:
        """Makes a note; its id."""
        response = await self.api.post("/notes", json={"title": title, **fields})
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name that have these labels; 0 if there is none."""
        exposition = (await self.ops.get("/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(exposition)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def until_metric(self, value: float, name: str, **labels: str) -> None:
        async def met() -> bool:
            return await self.metric(name, **labels) == value

        await eventually(met, f"{name} {labels} is {value}")

    @asynccontextmanager
    async def subscribe(self, last_event_id: str | None = None) -> AsyncIterator[Subscriber]:
        headers = {} if last_event_id is None else {"last-event-id": last_event_id}
        async with self.api.stream("GET", "/notes/events", headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            yield Subscriber(response)


@asynccontextmanager
async def serving(
    settings: Settings, prepare: Callable[[Quart], object] = lambda app: None
) -> AsyncIterator[Service]:
    """Runs the service on free ports; `prepare` may add routes to its application first.

    Requests can be sent at once: the sockets listen before the server takes them over.
    """
    api_socket, ops_socket = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    api_url, ops_url = (f"http://127.0.0.1:{listener.getsockname()[1]}" for listener in (api_socket, ops_socket))
    settings = settings.model_copy(
        update={"api_bind": f"fd://{api_socket.detach()}", "ops_bind": f"fd://{ops_socket.detach()}"}
    )
    application = create_app(settings)
    prepare(application.api)
    server = asyncio.create_task(serve_until_closed(application, settings))
    try:
        async with client(api_url) as api, client(ops_url) as ops:
            yield Service(application, settings, api, ops)
    finally:
        application.lifecycle.close()
        async with asyncio.timeout(WITHIN):
            status = await server
    assert status == 0


def client(base_url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=base_url, timeout=WITHIN, limits=limits, verify=_NO_TLS, trust_env=False)
