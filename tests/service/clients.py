"""A client of the two ports of a running service, wherever it runs."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from harness.tls import NO_TLS
from tests.service.sse import Subscriber
from tests.waiting import WITHIN, eventually


@dataclass(frozen=True)
class Clients:
    api: httpx.AsyncClient
    ops: httpx.AsyncClient

    @property
    def address(self) -> tuple[str, int]:
        """The API's host and port, for requests that httpx would not send."""
        url = self.api.base_url
        assert url.port
        return url.host, url.port

    async def ready(self) -> None:
        """Waits until the service is ready."""
        await eventually(self.is_ready, "/readyz answers 200")

    async def unready(self) -> None:
        """Waits until the service is not ready."""

        async def is_unready() -> bool:
            return not await self.is_ready()

        await eventually(is_unready, "/readyz answers 503")

    async def is_ready(self) -> bool:
        return (await self.ops.get("/readyz")).status_code == 200

    async def readiness(self) -> dict[str, Any]:
        """The body of /readyz."""
        answer: dict[str, Any] = (await self.ops.get("/readyz")).json()
        return answer

    async def create(self, path: str = "/things", **content: str) -> str:
        """Posts `content`, by default a thing; returns the Location of what was created."""
        response = await self.api.post(path, json=content or {"name": "Launch"})
        assert response.status_code == 201, response.text
        return response.headers["location"]

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples with this name and these labels; 0 if there are no such samples."""
        samples = await self.metrics()
        return sum(value for found, given, value in samples if found == name and labels.items() <= given.items())

    async def metrics(self) -> list[tuple[str, Mapping[str, str], float]]:
        """All samples: name, labels, value."""
        exposition = (await self.ops.get("/metrics")).text
        families = text_string_to_metric_families(exposition)
        return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]

    async def until_metric(self, value: float, name: str, **labels: str) -> None:
        """Waits until the metric has this value."""

        async def met() -> bool:
            return await self.metric(name, **labels) == value

        await eventually(met, f"{name} {labels} is {value}")

    @asynccontextmanager
    async def subscribe(
        self, path: str = "/things/events", last_event_id: str | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Subscriber]:
        """An open event stream."""
        given = {**(headers or {}), **({} if last_event_id is None else {"last-event-id": last_event_id})}
        async with self.api.stream("GET", path, headers=given) as response:
            assert response.status_code == 200, await response.aread()
            yield Subscriber(response)


def client_of(listener: socket.socket) -> httpx.AsyncClient:
    """A client of the server that accepts, or will accept, on this socket."""
    host, port = listener.getsockname()
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(
        base_url=f"http://{host}:{port}", timeout=WITHIN, limits=limits, verify=NO_TLS, trust_env=False
    )


def listeners() -> tuple[socket.socket, socket.socket]:
    """Listening sockets on free ports, for the API and for ops. Clients that connect wait until they are served."""
    return socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
